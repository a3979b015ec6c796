//! What stays with each machine, and what each is called.

use super::Part;
use super::align::{Axis, is_one_machine};
use crate::diagnose::{self, thresholds::OTHERS_NAMED_PERCENT};
use crate::model::figures::percent;
use crate::model::finding::FindingId;
use crate::model::order::grouped;
use crate::model::plan::LoadPlan;
use crate::model::result::{Machine, MachinePoint, MachinePorts, Ports, RunResult, VerdictId};

/// What they are called where there are many.
pub(super) const NOUN: &str = "machine";
/// Machines that a sentence names.
const NAMED: usize = 3;

/// The first part of each host: several shards may have run on one.
pub(super) fn by_host(parts: &[Part]) -> Vec<&Part> {
    let mut hosts: Vec<&Part> = Vec::new();
    for part in parts {
        if !hosts.iter().any(|known| is_one_machine(known, part)) {
            hosts.push(part);
        }
    }
    hosts
}

/// Names by which a reader knows the machines: that of the host, with the shard's number where several have it; without a
/// host's name the path.
fn names(parts: &[Part]) -> Vec<String> {
    let host = |part: &Part| part.run.host.name.clone().unwrap_or_else(|| part.from.clone());
    let name = |(at, part): (usize, &Part)| {
        let name = host(part);
        let several = parts.iter().filter(|other| host(other) == name).count() > 1;
        match part.run.plan.shard {
            Some(shard) if several => format!("{name} {}/{}", shard.number, shard.of),
            None if several => format!("{name} {}", at + 1),
            _ => name,
        }
    };
    parts.iter().enumerate().map(name).collect()
}

/// Hosts on which several shards ran: what each saw of ports and of the host is not its own.
pub(super) fn notes(parts: &[Part]) -> Vec<String> {
    let shared = by_host(parts).into_iter().filter_map(|first| {
        let name = first.run.host.name.as_deref()?;
        let shards = parts.iter().filter(|part| is_one_machine(first, part)).count();
        (shards > 1).then(|| {
            format!(
                "{shards} parts ran on {name}: the ports in each of their rows are of all of them, and so is host_cpu_percent"
            )
        })
    });
    shared.collect()
}

/// `w1`, `w1, w2`, `w1, w2, w3 and 4 more of 9 machines`, `all 9 machines (first w1)`; `noun` is what one of them is.
pub(super) fn who(names: &[String], all: usize, noun: &str) -> String {
    if names.len() == all && all > NAMED {
        return format!("all {all} {noun}s (first {})", names[0]);
    }
    let first = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more of {all} {noun}s"),
    }
}

/// What is said of machines, each text once: `w1, w2: TEXT`. In the order in which texts come.
pub(super) fn by_text(said: impl IntoIterator<Item = (String, String)>, all: usize, noun: &str) -> Vec<String> {
    let texts = grouped(said.into_iter().map(|(name, text)| (text, name)));
    texts.into_iter().map(|(text, names)| format!("{}: {text}", who(&names, all, noun))).collect()
}

/// Whether all plans say the same.
pub(super) fn alike<T: PartialEq>(parts: &[Part], of: impl Fn(&LoadPlan) -> T) -> bool {
    parts.windows(2).all(|pair| of(&pair[0].run.plan) == of(&pair[1].run.plan))
}

/// What makes the figures of some machines doubtful. What no machine could decide is with the findings.
pub(super) fn careful(parts: &[Part], machines: &[Machine]) -> Vec<String> {
    let at_work = || machines.iter().zip(parts).filter(|(_, part)| !part.run.plan.is_empty());
    let named = |(machine, text): (&Machine, String)| (machine.name.clone(), text);
    let doubts = at_work().flat_map(|(machine, part)| doubts(&part.run).into_iter().map(move |text| (machine, text)));
    let mut lines = by_text(doubts.map(named), machines.len(), NOUN);
    if !alike(parts, |plan| (plan.port_mode, plan.port_range)) {
        let ways = at_work().map(|(machine, part)| (machine, way(&part.run.plan)));
        let ways = by_text(ways.map(named), machines.len(), NOUN);
        lines.push(format!("source ports were not chosen alike: {}", ways.join("; ")));
    }
    lines
}

/// `--port-mode ring, 10000-32000`.
fn way(plan: &LoadPlan) -> String {
    let range = plan.port_range.map_or_else(String::new, |r| format!(", {}-{}", r.lo, r.hi));
    format!("--port-mode {}{range}", plan.port_mode.word())
}

/// What a reader of one machine's report would be warned of, beside its findings.
fn doubts(run: &RunResult) -> Vec<String> {
    let mut doubts: Vec<String> = Vec::new();
    doubts.extend(diagnose::caveat(run).filter(|_| run.verdict.id == VerdictId::Healthy));
    let is_said = run.findings.iter().any(|f| f.id == FindingId::HostContended);
    let others = run.others_cpu_percent().filter(|others| *others >= OTHERS_NAMED_PERCENT && !is_said);
    doubts.extend(others.map(|others| format!("other programs took {} of its CPU", percent(others))));
    for (key, what) in [("ports", "ports"), ("resources.host.cpu_percent_mean", "the host's CPU")] {
        let row = run.unavailable.iter().find(|row| row.key == key);
        doubts.extend(row.map(|row| format!("{what} not measured: {}", row.reason)));
    }
    doubts
}

/// A row for each machine, in the order of the parts.
pub(super) fn rows(parts: &[Part], axis: &Axis) -> Vec<Machine> {
    let starts = axis.shifts.iter().zip(&axis.exact);
    let rows = parts.iter().zip(names(parts)).zip(starts);
    rows.map(|((part, name), (shift, exact))| Machine { began_s: Some(*exact), ..row(&part.run, name, *shift) }).collect()
}

fn row(run: &RunResult, name: String, from_s: u64) -> Machine {
    let (t, r) = (&run.totals, &run.resources);
    let point = |p: &crate::model::result::SeriesPoint| MachinePoint {
        t_s: p.t_s + from_s as f64,
        rps: p.rps,
        failures_per_s: p.failures_per_s,
        local_failures_per_s: p.local_failures_per_s,
        ports_used: p.ports_used,
        time_wait: p.time_wait,
        client_cpu_percent: p.client_cpu_percent,
        host_cpu_percent: p.host_cpu_percent,
    };
    Machine {
        name,
        shard: run.plan.shard.map(|shard| shard.number),
        kernel: run.host.kernel.clone(),
        cpus: run.host.cpus,
        started_at: run.started_at.clone(),
        from_s,
        began_s: None,
        late_s: run.start.as_ref().map(|start| start.late_s),
        clock: run.start.as_ref().and_then(|start| start.clock),
        duration_s: run.duration_s,
        users: run.plan.users,
        port_mode: run.plan.port_mode,
        port_range: run.plan.port_range,
        sources: run.plan.sources.clone(),
        attempts: t.attempts,
        requests: t.requests,
        failures: t.failures,
        local_failures: t.local_failures,
        cut: t.cut,
        connections_opened: t.connections_opened,
        latency_ms: t.latency_ms,
        ports: run.ports.as_ref().map(ports),
        client_cpu_percent_mean: r.client.cpu_percent_mean,
        client_rss_bytes_max: r.client.rss_bytes_max,
        host_cpu_percent_mean: r.host.cpu_percent_mean,
        host_memory_percent_max: r.host.memory_percent_max,
        verdict: run.verdict.clone(),
        stamp: run.validity.stamp,
        series: run.series.iter().map(point).collect(),
    }
}

fn ports(p: &Ports) -> MachinePorts {
    MachinePorts {
        source: p.source.clone(),
        pool: p.pool,
        hold_s: p.hold_s,
        ceiling_cps: p.ceiling_cps,
        rate_cps: p.rate_cps,
        peak_used: p.peak_used,
        peak_share: p.peak_share,
        peak_time_wait: p.peak_time_wait,
        peak_in_use: p.peak_in_use,
    }
}
