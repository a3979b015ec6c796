//! The rates that known limits of the target and of this machine allow: slots / time that a request takes one / share
//! of the requests that take one. `2 cores / 30 ms / 20 % = 333/s`.

use super::growth::{Point, plateau};
use super::thresholds::{CPU_LIMIT_PERCENT, CUT_SHARE, ONE_CORE_PERCENT};
use crate::model::figures::{count, counted, ms, number, seconds, share as percent, us};
use crate::model::order::Order as _;
use crate::model::plan::Closer;
use crate::model::result::{Endpoint, RunResult};
use crate::model::study::{Ceiling, CeilingKind, CoresBy};
use crate::remedy::target::{Pool, cpu_workers, io_workers};

/// Connections that carry fewer requests than this take a port for each.
const SHORT_REQUESTS: f64 = 2.0;
/// The most CPU that one interpreter takes, percent of a core: calls outside its lock run beside it. More is of several.
const ONE_INTERPRETER_PERCENT: f64 = 150.0;

/// The ceilings of `heaviest`, the lowest first. `steps` are all runs against the same target: the least time that any
/// of them saw a request take is nearest to the work itself, without a wait for a core. A ceiling below a rate that one
/// of them reached is none; that by ports is left, because it is of a long run and a short one also spends the pool.
pub(crate) fn ceilings(heaviest: &RunResult, steps: &[&RunResult]) -> Vec<Ceiling> {
    let mut all: Vec<Ceiling> = heaviest.endpoints.iter().filter_map(|e| of_pool(heaviest, e, steps)).collect();
    if all.is_empty() {
        all.extend(of_all_requests(heaviest, steps));
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
fn of_all_requests(run: &RunResult, steps: &[&RunResult]) -> Option<Ceiling> {
    if is_one_at_a_time(run, steps) {
        // CPU beyond a core is of what runs beside the one. A step with failures had cheaper requests.
        let each = |r: &RunResult| worked_ms(r, 100.0);
        let whole = steps.iter().filter(|s| s.totals.failures as f64 <= CUT_SHARE * s.totals.requests as f64);
        let least = whole.filter_map(|s| each(s)).chain(each(run)).reduce(f64::min)?;
        let one = Cores { slots: Cores::of(run).slots.min(1.0), by: Some(CoresBy::OneThread), client_shares: false };
        return Some(one.ceiling(run, least, 1.0));
    }
    Some(Cores::of(run).ceiling(run, worked_ms(run, f64::INFINITY)?, 1.0))
}

/// CPU of the target for a request, milliseconds, where it took no more than `most` percent of a core.
fn worked_ms(run: &RunResult, most: f64) -> Option<f64> {
    let worked = run.resources.target.as_ref()?.worked_percent().filter(|_| run.totals.rps > 0.0)?;
    Some(worked.min(most) * 10.0 / run.totals.rps)
}

/// The target does one thing at a time: it has one thread, or an interpreter lock. By its threads, by its name, or because
/// more users got no more answers while it had more cores than it used.
fn is_one_at_a_time(run: &RunResult, steps: &[&RunResult]) -> bool {
    let Some(target) = run.resources.target.as_ref() else { return false };
    let maxima = steps.iter().chain([&run]).filter_map(|s| s.resources.target.as_ref()?.cpu_percent_max);
    let most = maxima.reduce(f64::max);
    let is_locked = target.busiest_thread_percent.is_some_and(|b| b >= CPU_LIMIT_PERCENT)
        && target.cpu_percent_max.is_some_and(|m| m <= ONE_CORE_PERCENT);
    let is_python = is_interpreter(&target.name) && most.is_some_and(|m| m <= ONE_INTERPRETER_PERCENT);
    let is_full = || {
        let (mean, stopped) = (target.worked_percent(), stopped_growing(steps));
        stopped && mean.is_some_and(|m| m >= CPU_LIMIT_PERCENT) && most.is_some_and(|m| m <= ONE_INTERPRETER_PERCENT)
    };
    target.threads == Some(1) || is_locked || is_python || is_full()
}

/// A program whose threads share one lock: CPython and PyPy, by the name of the process.
fn is_interpreter(name: &str) -> bool {
    ["python", "pypy", "gunicorn", "uvicorn", "flask"].iter().any(|own| name.starts_with(own))
}

/// More users got no more answers: work was queued.
fn stopped_growing(steps: &[&RunResult]) -> bool {
    let point = |run: &&RunResult| Point { load: f64::from(run.plan.users), rate: answered_rps(run) };
    let mut points: Vec<Point> = steps.iter().filter(|run| !run.plan.is_open_loop()).map(point).collect();
    points.order_by(|a, b| a.load.total_cmp(&b.load));
    plateau(&points).is_some()
}

/// P/T, where each request takes a port that this machine then keeps.
fn of_ports(run: &RunResult) -> Option<Ceiling> {
    let ports = run.ports.as_ref()?;
    let (pool, hold_s) = (ports.pool?, ports.hold_s.filter(|t| *t > 0.0)?);
    let short = run.totals.requests_per_connection.is_some_and(|n| n < SHORT_REQUESTS);
    let here = run.closes.client > run.closes.server && run.plan.closer == Closer::Client;
    (short && here).then(|| ceiling(run, CeilingKind::Ports, f64::from(pool), hold_s * 1000.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::fixture;

    /// A step of `users` whose target took `percent` of a core for `rps` answers, on four cores.
    fn step(name: &str, users: u32, rps: f64, percent: f64) -> RunResult {
        let mut run = fixture::blank(&fixture::plan());
        run.plan.users = users;
        (run.totals.rps, run.totals.steady, run.host.cpus) = (rps, None, 4);
        (run.totals.failures, run.totals.requests) = (0, 1000);
        let target = run.resources.target.get_or_insert_default();
        (target.name, target.threads, target.busiest_thread_percent) = (name.into(), Some(9), Some(30.0));
        (target.cpu_percent_mean, target.cpu_percent_max) = (Some(percent), Some(percent + 3.0));
        (target.cores_allowed, target.throttling, target.shares_cores_with_client) = (None, None, None);
        run
    }

    fn of(steps: &[RunResult]) -> (f64, Option<CoresBy>, f64) {
        let all: Vec<&RunResult> = steps.iter().collect();
        let c = of_all_requests(all[all.len() - 1], &all).unwrap();
        (c.slots, c.cores_by, c.rps.round())
    }

    /// Whatever a server is called and however many threads it has: what can use one core only is given one.
    #[test]
    fn a_server_that_does_one_thing_at_a_time_has_one_core() {
        let one = Some(CoresBy::OneThread);
        for name in ["python3", "python3.12", "pypy3", "gunicorn"] {
            assert_eq!(of(&[step(name, 10, 400.0, 50.0)]), (1.0, one, 800.0), "{name}");
        }
        // Above a core by what runs beside the lock: what it reached is what it can do.
        assert_eq!(of(&[step("python3", 10, 1500.0, 100.0), step("python3", 100, 1575.0, 112.0)]), (1.0, one, 1575.0));
        // Any other that stood at a core while more users got no more.
        assert_eq!(of(&[step("node", 10, 1500.0, 99.0), step("node", 100, 1510.0, 104.0)]), (1.0, one, 1515.0));
        // One that grew, one that used several cores, and several workers of Python.
        assert_eq!(of(&[step("node", 10, 500.0, 33.0), step("node", 100, 1500.0, 100.0)]).1, None);
        assert_eq!(of(&[step("java", 10, 1500.0, 260.0), step("java", 100, 1510.0, 260.0)]).1, None);
        assert_eq!(of(&[step("gunicorn", 10, 1500.0, 260.0)]).1, None);
    }
}
