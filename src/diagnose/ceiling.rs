//! The rates that known limits of the target and of this machine allow: slots / time that a request takes one / share
//! of the requests that take one. `2 cores / 30 ms / 20 % = 333/s`.

use super::thresholds::{CPU_LIMIT_PERCENT, ONE_CORE_PERCENT};
use crate::model::figures::{count, counted, ms, number, seconds, share as percent, us};
use crate::model::order::Order as _;
use crate::model::plan::Closer;
use crate::model::result::{Endpoint, RunResult};
use crate::model::study::{Ceiling, CeilingKind, CoresBy};
use crate::remedy::target::{Pool, cpu_workers, io_workers};

/// Connections that carry fewer requests than this take a port for each.
const SHORT_REQUESTS: f64 = 2.0;

/// The ceilings of `heaviest`, the lowest first. `steps` are all runs against the same target: the least time that any
/// of them saw a request take is nearest to the work itself, without a wait for a core. A ceiling below a rate that one
/// of them reached is none; that by ports is left, because it is of a long run and a short one also spends the pool.
pub(crate) fn ceilings(heaviest: &RunResult, steps: &[&RunResult]) -> Vec<Ceiling> {
    let mut all: Vec<Ceiling> = heaviest.endpoints.iter().filter_map(|e| of_pool(heaviest, e, steps)).collect();
    if all.is_empty() {
        all.extend(of_all_requests(heaviest));
    }
    all.extend(of_ports(heaviest));
    let most = steps.iter().chain([&heaviest]).map(|run| answered_rps(run)).fold(0.0, f64::max);
    all.retain(|c| c.rps.is_finite() && c.rps > 0.0 && (c.kind == CeilingKind::Ports || c.rps >= most));
    all.order_by(|a, b| a.rps.total_cmp(&b.rps));
    all
}

/// How it comes about, without the rate: `ceiling by CPU: 2 cores / 30 ms / 20 %`.
pub(crate) fn formula(c: &Ceiling) -> String {
    let slots = c.slots.round() as u64;
    let busy = time(c.busy_ms);
    match (c.kind, &c.endpoint) {
        (CeilingKind::Ports, _) => format!("ceiling by ports: {} ports / {}", count(slots), seconds(c.busy_ms / 1000.0)),
        (CeilingKind::Cpu, name) => {
            let each = match (name, c.client_ms.map(time)) {
                (Some(_), None) => format!("{busy} / {}", percent(c.share)),
                (Some(_), Some(client)) => format!("({busy} x {} + {client} of the client)", percent(c.share)),
                (None, None) => format!("{busy} a request"),
                (None, Some(client)) => format!("({busy} + {client} of the client) a request"),
            };
            format!("ceiling by CPU: {} / {each}", cores_in_words(c))
        }
        (CeilingKind::Workers, name) => format!(
            "ceiling by workers for {}: {} / {busy} / {}",
            name.as_deref().unwrap_or("all"),
            counted(slots, "worker"),
            percent(c.share)
        ),
    }
}

/// A time with its unit; one below a tenth of a millisecond keeps its figures.
fn time(of_ms: f64) -> String {
    if of_ms < 0.1 { format!("{} us", us(of_ms * 1000.0)) } else { format!("{} ms", ms(of_ms)) }
}

/// `2 cores`, `1 core (affinity)`, `0.5 cores (CPU quota)`.
fn cores_in_words(c: &Ceiling) -> String {
    let cores = if c.slots.fract() == 0.0 { counted(c.slots as u64, "core") } else { format!("{} cores", number(c.slots)) };
    let why = match c.cores_by {
        None => return cores,
        Some(CoresBy::Affinity) => "affinity",
        Some(CoresBy::Quota) => "CPU quota",
        Some(CoresBy::OneThread) => "one thread at a time",
    };
    format!("{cores} ({why})")
}

/// Answered requests a second, in the steady part where there is one.
fn answered_rps(run: &RunResult) -> f64 {
    let all = run.totals.steady.as_ref().map_or(run.totals.rps, |s| s.rps);
    let failed = run.totals.failures as f64 / run.totals.requests.max(1) as f64;
    all * (1.0 - failed)
}

/// The cores that the target may use, and what it shares of them.
#[derive(Debug, Clone, Copy)]
struct Cores {
    slots: f64,
    by: Option<CoresBy>,
    client_shares: bool,
}

impl Cores {
    fn of(run: &RunResult) -> Self {
        let target = run.resources.target.as_ref();
        let machine = f64::from(run.host.cpus);
        let shares = target.and_then(|t| t.shares_cores_with_client) == Some(true);
        let allowed = target.and_then(|t| t.cores_allowed).map_or(machine, |n| f64::from(n).min(machine));
        let by = (allowed < machine).then_some(CoresBy::Affinity);
        let quota = target.and_then(|t| t.throttling).map(|t| t.quota_cores).filter(|q| *q < allowed);
        match quota {
            // The client is inside the quota where the same one is in force for it.
            Some(slots) => Self { slots, by: Some(CoresBy::Quota), client_shares: run.host.cpu_quota == Some(slots) },
            None => Self { slots: allowed, by, client_shares: shares },
        }
    }

    /// CPU of the client for a request, milliseconds, where it takes it of these cores.
    fn client_ms(self, run: &RunResult) -> Option<f64> {
        let percent = run
            .resources
            .client
            .cpu_percent_mean
            .filter(|_| self.client_shares && !run.plan.busy_poll && run.totals.rps > 0.0)?;
        Some(percent * 10.0 / run.totals.rps)
    }

    fn ceiling(self, run: &RunResult, busy_ms: f64, share: f64) -> Ceiling {
        let client_ms = self.client_ms(run);
        let rps = self.slots * 1000.0 / (busy_ms * share + client_ms.unwrap_or(0.0));
        let plain = ceiling(run, CeilingKind::Cpu, self.slots, busy_ms, share);
        Ceiling { client_ms, cores_by: self.by, rps, ..plain }
    }
}

fn ceiling(run: &RunResult, kind: CeilingKind, slots: f64, busy_ms: f64, share: f64) -> Ceiling {
    let reached_rps = run.totals.steady.as_ref().map_or(run.totals.rps, |s| s.rps);
    let rps = slots / (busy_ms / 1000.0) / share;
    Ceiling { kind, endpoint: None, slots, busy_ms, share, client_ms: None, cores_by: None, rps, reached_rps }
}

/// A pool of a sockbench server, by what its Server-Timing says of the work.
fn of_pool(run: &RunResult, endpoint: &Endpoint, steps: &[&RunResult]) -> Option<Ceiling> {
    let pool = Pool::of(run, &endpoint.name)?;
    let same = steps.iter().flat_map(|s| s.endpoints.iter()).filter(|e| e.name == endpoint.name);
    let work_ms = same.filter_map(|e| e.server_timing_ms.as_ref()).map(|t| t.work.p50).reduce(f64::min)?;
    let share = share(run, &endpoint.name)?;
    let by_workers = |workers: u32| ceiling(run, CeilingKind::Workers, f64::from(workers), work_ms, share);
    let cores = Cores::of(run);
    let found = match pool {
        Pool::Cpu => match cpu_workers(run) {
            Some(workers) if f64::from(workers) < cores.slots => by_workers(workers),
            _ => cores.ceiling(run, work_ms, share),
        },
        Pool::Io => by_workers(io_workers(run)?),
    };
    Some(Ceiling { endpoint: Some(endpoint.name.clone()), ..found })
}

/// The part of the requests that the plan gives an endpoint.
fn share(run: &RunResult, name: &str) -> Option<f64> {
    let all: u64 = run.plan.mix.iter().map(|m| u64::from(m.weight)).sum();
    let own = run.plan.mix.iter().find(|m| m.path == name)?.weight;
    (all > 0).then(|| f64::from(own) / all as f64)
}

/// The CPU of a local target, by what a request of the mix takes of it on average.
fn of_all_requests(run: &RunResult) -> Option<Ceiling> {
    let target = run.resources.target.as_ref()?;
    let ms = target.worked_percent().filter(|_| run.totals.rps > 0.0)? * 10.0 / run.totals.rps;
    // One thread, or one that is busy while all together use no more than a core: an interpreter lock.
    let locked = target.busiest_thread_percent.is_some_and(|b| b >= CPU_LIMIT_PERCENT)
        && target.cpu_percent_max.is_some_and(|m| m <= ONE_CORE_PERCENT);
    if target.threads == Some(1) || locked {
        let one = Cores { slots: Cores::of(run).slots.min(1.0), by: Some(CoresBy::OneThread), client_shares: false };
        return Some(one.ceiling(run, ms, 1.0));
    }
    Some(Cores::of(run).ceiling(run, ms, 1.0))
}

/// P/T, where each request takes a port that this machine then keeps.
fn of_ports(run: &RunResult) -> Option<Ceiling> {
    let ports = run.ports.as_ref()?;
    let (pool, hold_s) = (ports.pool?, ports.hold_s.filter(|t| *t > 0.0)?);
    let short = run.totals.requests_per_connection.is_some_and(|n| n < SHORT_REQUESTS);
    let here = run.closes.client > run.closes.server && run.plan.closer == Closer::Client;
    (short && here).then(|| ceiling(run, CeilingKind::Ports, f64::from(pool), hold_s * 1000.0, 1.0))
}
