//! Runs of several machines made one: latencies added bin by bin, seconds aligned on wall clock, counts added up. What
//! belongs to one machine (its ports, its CPU, its memory) stays with it: a sum would say nothing true.
//!
//! Rules run on each machine's own facts, and once over all. A finding about a machine names it.

mod align;
mod counts;
#[cfg(test)]
mod damaged_tests;
pub mod destinations;
#[cfg(test)]
mod destinations_tests;
mod diagnosis;
mod fits;
#[cfg(test)]
mod leading_tests;
mod machines;
mod sound;
#[cfg(test)]
mod tests;

use crate::model::document;
use crate::model::order::{Order as _, distinct};
use crate::model::plan::{LoadPlan, Whole};
use crate::model::result::{Host, PhasesMs, RunResult, Steady, Sysctls};
use crate::model::time::per_second;
use crate::stats::histogram::Latencies;
use crate::stats::interval::Interval;
use crate::stats::so_far::SoFar;

pub use fits::Misfit;

/// Why a figure of one machine is null in the merged run.
const PER_MACHINE: &str = "each machine has its own: machines[]";
/// Why a percentile is null that no log keeps.
const NOT_ADDED: &str = "percentiles of several machines do not add up, and the log has no distribution of it";

/// One machine's run, as it was kept.
#[derive(Debug, Clone)]
pub struct Part {
    /// what the reader calls it: the path
    pub from: String,
    /// its document
    pub run: RunResult,
    /// its interval log
    pub seconds: Vec<Interval>,
}

/// What several runs come to.
#[derive(Debug, Clone)]
pub struct Merged {
    /// as one run
    pub run: RunResult,
    /// and its seconds
    pub seconds: Vec<Interval>,
    /// what the reader must know beside it: a line each
    pub notes: Vec<String>,
}

/// Merges runs of one plan, in whatever order they come. `command` is what asked for it.
///
/// Errors: they do not belong together; which, and why.
pub fn merge(mut parts: Vec<Part>, command: String) -> Result<Merged, Misfit> {
    parts.order_by(|a, b| order(a).cmp(&order(b)));
    parts.iter().try_for_each(sound::check)?;
    let missing = fits::check(&parts)?;
    let axis = align::Axis::of(&parts);
    fits::one_time(&parts, &axis)?;
    let seconds = align::joined(parts.iter().zip(&axis.shifts).map(|(part, shift)| (align::whole_seconds(part), *shift)));
    let plan = whole_plan(&parts);
    let mut run = RunResult::new(plan, command, axis.started_at.clone(), host(&parts));
    run.tool = parts[0].run.tool.clone();
    // The first reason for a key stays.
    if !machines::alike(&parts, |plan| plan.port_range) {
        run.explain_null("plan.port_range", PER_MACHINE);
    }
    for key in ["totals.service_latency_ms", "totals.lag_p99_ms", "totals.connects", "endpoints[].server_timing_ms"] {
        run.explain_null(key, NOT_ADDED);
    }
    for step in ["blocked", "connecting", "sending", "waiting", "receiving"] {
        run.explain_null(&format!("endpoints[].phases_ms.{step}"), NOT_ADDED);
    }
    for column in ["connect_p50_us", "connect_p95_us", "connect_mean_us"] {
        run.explain_null(&format!("series[].{column}"), PER_MACHINE);
    }
    run.explain_null("resources.client.lateness_p99_ms", PER_MACHINE);
    let duration_s = axis.duration_s(&parts);
    let mut counted = SoFar::new(&run.plan);
    for second in &seconds {
        counted.push(second);
    }
    axis.users(&parts).into_iter().for_each(|(second, asked, active)| counted.note_users(second, asked, active));
    counted.fill_whole(&mut run, duration_s, &seconds);
    for endpoint in &mut run.endpoints {
        endpoint.phases_ms = PhasesMs { blocked: None, connecting: None, sending: None, waiting: None, receiving: None };
        endpoint.server_timing_ms = None;
    }
    counts::add(&parts, &axis, &mut run);
    run.totals.steady = steady(&run.plan, axis.common(&parts), &seconds, duration_s);
    run.machines = machines::rows(&parts, &axis);
    run.totals.rate_ratio = run.shortfall().map(|s| 1.0 - s.missing / s.asked);
    let apart = axis.not_together(&run.machines);
    if apart.is_some() {
        // What came after all had started is of those that began last.
        run.totals.steady = None;
        run.explain_null("totals.steady", "the machines did not run together");
    }
    if run.totals.steady.is_none() {
        run.explain_null("totals.steady", "no whole second after the warm-up in which all machines were at work");
    }
    let lacks: Vec<String> = missing.into_iter().chain(apart).collect();
    run.careful = machines::careful(&parts, &run.machines);
    run.careful.extend(axis.unknown_start(&parts, &run.machines));
    diagnosis::settle(&mut run, &parts, &lacks);
    let nulls = document::nulls(&run);
    run.unavailable.retain(|row| nulls.contains(&row.key));
    for key in nulls {
        run.explain_null(&key, PER_MACHINE);
    }
    let clocks = axis.notes(&parts, &run.machines);
    let notes = clocks.into_iter().chain(machines::notes(&parts)).collect();
    Ok(Merged { run, seconds, notes })
}

fn order(part: &Part) -> (u32, &str, &str) {
    (part.run.plan.shard.map_or(0, |shard| shard.number), &part.run.started_at, &part.from)
}

/// The plan that was divided; of runs that were not, the sum of theirs.
fn whole_plan(parts: &[Part]) -> LoadPlan {
    let plans = || parts.iter().map(|part| &part.run.plan);
    let first = plans().find(|plan| !plan.is_empty()).unwrap_or(&parts[0].run.plan).clone();
    let whole = first.shard.map_or_else(
        || Whole {
            users: plans().fold(0, |sum, p| sum.saturating_add(p.users)),
            spawn_rate: plans().map(|p| p.spawn_rate).sum(),
            rate: plans().map(|p| p.rate).sum(),
            requests: plans().fold(0, |sum, p| sum.saturating_add(p.requests)),
        },
        |shard| shard.whole,
    );
    let Whole { users, spawn_rate, rate, requests } = whole;
    let threads = plans().map(|p| p.threads).max().unwrap_or(1);
    // A part knows the stages of all machines; a run that was not divided those of its own.
    let times = if first.shard.is_some() { 1.0 } else { parts.len() as f64 };
    let stages = first.stages.as_ref().map(|stages| stages.scaled(times, 1.0));
    // Of machines that were led each has the length that it had.
    let duration = plans().map(|p| p.duration).max().unwrap_or_default();
    let port_range = first.port_range.filter(|_| machines::alike(parts, |plan| plan.port_range));
    let sources = distinct(plans().flat_map(|p| p.sources.iter().copied()));
    LoadPlan { users, spawn_rate, rate, requests, stages, duration, threads, port_range, sources, shard: None, ..first }
}

/// What all machines have in common.
fn host(parts: &[Part]) -> Host {
    let hosts = || parts.iter().map(|part| &part.run.host);
    let kernels = distinct(hosts().map(|h| h.kernel.as_str()));
    let first = &parts[0].run.host;
    let alike = |same: &dyn Fn(&Host) -> bool| hosts().all(same);
    Host {
        name: None,
        boot_id: None,
        kernel: kernels.join(", "),
        cpus: machines::by_host(parts).iter().fold(0, |sum, part| sum.saturating_add(part.run.host.cpus)),
        memory_bytes: None,
        nofile: None,
        sysctls: if alike(&|h| h.sysctls == first.sysctls) { first.sysctls.clone() } else { Sysctls::default() },
        sysctls_at_end: None,
        congestion_control: first
            .congestion_control
            .clone()
            .filter(|_| alike(&|h| h.congestion_control == first.congestion_control)),
        cpu_quota: None,
    }
}

/// The part after every machine's warm-up in which all were at work, in whole seconds: that is what a log can be cut at.
fn steady(plan: &LoadPlan, common: Option<(u64, Option<u64>)>, seconds: &[Interval], duration_s: f64) -> Option<Steady> {
    let (began, to) = common?;
    let from = (plan.steady_from().as_secs_f64().ceil() as u64).saturating_add(began);
    let mut answered = Latencies::default();
    let mut requests = 0;
    for second in seconds.iter().filter(|s| s.second >= from && to.is_none_or(|to| s.second < to)) {
        requests = u64::saturating_add(requests, second.counts().requests);
        second.endpoints.iter().for_each(|e| answered.add_sparse(&e.answered));
    }
    let (from_s, to_s) = (from as f64, to.map(|to| to as f64));
    let lasted = to_s.unwrap_or(duration_s) - from_s;
    let rps = per_second(requests, lasted);
    (lasted > 0.0).then(|| Steady { from_s, to_s, rps, latency_ms: answered.latency_ms() })
}
