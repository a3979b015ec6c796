//! The rates that known limits of the target and of this machine allow: slots / time that a request takes one / share
//! of the requests that take one. `2 cores / 30 ms / 20 % = 333/s`.

use super::thresholds::{CPU_LIMIT_PERCENT, ONE_CORE_PERCENT};
use crate::model::figures::{count, counted, ms, seconds, share as percent};
use crate::model::plan::Closer;
use crate::model::result::{Endpoint, RunResult};
use crate::model::study::{Ceiling, CeilingKind};
use crate::remedy::target::{Pool, cpu_workers, io_workers};

/// Connections that carry fewer requests than this take a port for each.
const SHORT_REQUESTS: f64 = 2.0;

/// The ceilings of `heaviest`, the lowest first. `steps` are all runs against the same target: the least time that any
/// of them saw a request take is nearest to the work itself, without a wait for a core.
pub(crate) fn ceilings(heaviest: &RunResult, steps: &[&RunResult]) -> Vec<Ceiling> {
    let mut all: Vec<Ceiling> = heaviest.endpoints.iter().filter_map(|e| of_pool(heaviest, e, steps)).collect();
    if all.is_empty() {
        all.extend(of_all_requests(heaviest));
    }
    all.extend(of_ports(heaviest));
    all.retain(|c| c.rps.is_finite() && c.rps > 0.0);
    all.sort_by(|a, b| a.rps.total_cmp(&b.rps));
    all
}

/// How it comes about, without the rate: `ceiling by CPU: 2 cores / 30 ms / 20 %`.
pub(crate) fn formula(c: &Ceiling) -> String {
    let slots = c.slots.round() as u64;
    let busy = ms(c.busy_ms);
    match (c.kind, &c.endpoint) {
        (CeilingKind::Ports, _) => format!("ceiling by ports: {} ports / {}", count(slots), seconds(c.busy_ms / 1000.0)),
        (CeilingKind::Cpu, Some(_)) => {
            format!("ceiling by CPU: {} / {busy} ms / {}", counted(slots, "core"), percent(c.share))
        }
        (CeilingKind::Cpu, None) => format!("ceiling by CPU: {} / {busy} ms a request", counted(slots, "core")),
        (CeilingKind::Workers, name) => format!(
            "ceiling by workers for {}: {} / {busy} ms / {}",
            name.as_deref().unwrap_or("all"),
            counted(slots, "worker"),
            percent(c.share)
        ),
    }
}

fn ceiling(run: &RunResult, kind: CeilingKind, slots: f64, busy_ms: f64, share: f64) -> Ceiling {
    let reached_rps = run.totals.steady.as_ref().map_or(run.totals.rps, |s| s.rps);
    Ceiling { kind, endpoint: None, slots, busy_ms, share, rps: slots / (busy_ms / 1000.0) / share, reached_rps }
}

/// A pool of a sockbench server, by what its Server-Timing says of the work.
fn of_pool(run: &RunResult, endpoint: &Endpoint, steps: &[&RunResult]) -> Option<Ceiling> {
    let cores = run.host.cpus;
    let (kind, slots) = match Pool::of(run, &endpoint.name)? {
        Pool::Cpu => match cpu_workers(run) {
            Some(workers) if workers < cores => (CeilingKind::Workers, workers),
            _ => (CeilingKind::Cpu, cores),
        },
        Pool::Io => (CeilingKind::Workers, io_workers(run)?),
    };
    let same = steps.iter().flat_map(|s| s.endpoints.iter()).filter(|e| e.name == endpoint.name);
    let work_ms = same.filter_map(|e| e.server_timing_ms.as_ref()).map(|t| t.work.p50).reduce(f64::min)?;
    let found = ceiling(run, kind, f64::from(slots), work_ms, share(run, &endpoint.name)?);
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
    let ms = target.cpu_percent_mean.filter(|_| run.totals.rps > 0.0)? * 10.0 / run.totals.rps;
    // One thread, or one that is busy while all together use no more than a core: an interpreter lock.
    let locked = target.busiest_thread_percent.is_some_and(|b| b >= CPU_LIMIT_PERCENT)
        && target.cpu_percent_max.is_some_and(|m| m <= ONE_CORE_PERCENT);
    let cores = if target.threads == Some(1) || locked { 1 } else { run.host.cpus };
    Some(ceiling(run, CeilingKind::Cpu, f64::from(cores), ms, 1.0))
}

/// P/T, where each request takes a port that this machine then keeps.
fn of_ports(run: &RunResult) -> Option<Ceiling> {
    let ports = run.ports.as_ref()?;
    let (pool, hold_s) = (ports.pool?, ports.hold_s.filter(|t| *t > 0.0)?);
    let short = run.totals.requests_per_connection.is_some_and(|n| n < SHORT_REQUESTS);
    let here = run.closes.client > run.closes.server && run.plan.closer == Closer::Client;
    (short && here).then(|| ceiling(run, CeilingKind::Ports, f64::from(pool), hold_s * 1000.0, 1.0))
}
