//! What stays with each machine, and what each is called.

use super::Part;
use super::align::Axis;
use crate::model::result::{Host, Machine, MachinePoint, MachinePorts, Ports, RunResult};

/// The hosts, each once: several shards may have run on one.
pub(super) fn by_host(parts: &[Part]) -> Vec<&Host> {
    let mut hosts: Vec<&Host> = Vec::new();
    for host in parts.iter().map(|part| &part.run.host) {
        if host.name.is_none() || hosts.iter().all(|known| known.name != host.name) {
            hosts.push(host);
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
    let shared = by_host(parts).into_iter().filter_map(|host| {
        let name = host.name.as_deref()?;
        let shards = parts.iter().filter(|part| part.run.host.name == host.name).count();
        (shards > 1).then(|| {
            format!("{shards} parts ran on {name}: the ports and the host's CPU in each of their rows are of all of them")
        })
    });
    shared.collect()
}

/// A row for each machine, in the order of the parts.
pub(super) fn rows(parts: &[Part], axis: &Axis) -> Vec<Machine> {
    let rows = parts.iter().zip(names(parts)).zip(&axis.shifts);
    rows.map(|((part, name), shift)| row(&part.run, name, *shift)).collect()
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
        late_s: run.start.as_ref().map(|start| start.late_s),
        clock: run.start.as_ref().and_then(|start| start.clock),
        duration_s: run.duration_s,
        users: run.plan.users,
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
    }
}
