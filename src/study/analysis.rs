//! What the steps of a study say together: figures in rows, conclusions in sentences with their numbers. Pure.

use crate::model::result::{Endpoint, RunResult};
use crate::model::study::{Analysis, StepRow};

/// Throughput has stopped growing when users grew and it grew by less than this share of that.
const GROWTH_SHARE: f64 = 0.5;
/// A measured rate within this many percent of the closed loop's prediction is the closed loop.
const CLOSED_LOOP_PERCENT: f64 = 3.0;

/// Analyses the steps, in their order.
pub fn analyse(steps: &[RunResult]) -> Analysis {
    let rows: Vec<StepRow> = steps.iter().map(StepRow::of).collect();
    let mut sentences = Vec::new();
    sentences.extend(rows.iter().filter_map(closed_loop));
    sentences.extend(growth(&rows));
    sentences.extend(tail(steps));
    sentences.extend(cpu_against_io(steps));
    sentences.extend(resources(&rows));
    sentences.extend(ports(&rows));
    Analysis { rows, sentences }
}

fn closed_loop(row: &StepRow) -> Option<String> {
    let (steady, predicted, response, off) = (row.steady_rps?, row.predicted_rps?, row.response_mean_s?, row.deviation_percent?);
    let verdict = if off.abs() <= CLOSED_LOOP_PERCENT {
        "the users' own pace sets the rate, not the server"
    } else if row.failures + row.local_failures > 0 {
        "failed requests change the loop: they return sooner or wait longer than an answer"
    } else {
        "the loop was disturbed: look at the findings of this step"
    };
    Some(format!(
        "{} users: a closed loop comes to users / (think + response) = {} / ({:.3} s + {:.3} s) = {predicted:.1}/s; measured {steady:.1}/s after the last user had started ({off:+.1} %): {verdict}.",
        row.users, row.users, row.think_mean_s, response
    ))
}

/// Where throughput stopped growing with the users.
fn growth(rows: &[StepRow]) -> Option<String> {
    let rate = |r: &StepRow| r.steady_rps.unwrap_or(r.rps);
    if rows.len() < 2 {
        return None;
    }
    for pair in rows.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        // A step that ended inside its ramp has no rate of all its users to compare.
        if b.users <= a.users || rate(a) <= 0.0 || a.steady_rps.is_none() || b.steady_rps.is_none() {
            continue;
        }
        let users = f64::from(b.users) / f64::from(a.users) - 1.0;
        let throughput = rate(b) / rate(a) - 1.0;
        if throughput < users * GROWTH_SHARE {
            return Some(format!(
                "Throughput stopped growing after {} users: {} users are {:.0} % more, the rate grew by {:.0} % ({:.1}/s to {:.1}/s), and the median went from {} to {}.",
                a.users,
                b.users,
                users * 100.0,
                throughput * 100.0,
                rate(a),
                rate(b),
                ms(a.p50_ms),
                ms(b.p50_ms)
            ));
        }
    }
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    if last.users <= first.users || rate(first) <= 0.0 || rows.iter().any(|r| r.steady_rps.is_none()) {
        return None;
    }
    let response = |r: &StepRow| r.response_mean_s.map_or_else(|| "unavailable".to_owned(), |s| format!("{:.0} ms", s * 1000.0));
    Some(format!(
        "Throughput grew up to the last step: {:.1} times the users made {:.1} times the rate ({:.1}/s to {:.1}/s), while the mean response went from {} to {}.",
        f64::from(last.users) / f64::from(first.users),
        rate(last) / rate(first),
        rate(first),
        rate(last),
        response(first),
        response(last)
    ))
}

/// Which endpoint makes the tail, at the last step.
fn tail(steps: &[RunResult]) -> Option<String> {
    let last = steps.last()?;
    let all = last.totals.latency_ms?;
    let p99 = |e: &Endpoint| e.latency_ms.map_or(0.0, |l| l.p99);
    let worst = last.endpoints.iter().filter(|e| e.latency_ms.is_some()).max_by(|a, b| p99(a).total_cmp(&p99(b)))?;
    let share = worst.requests as f64 / last.totals.requests.max(1) as f64 * 100.0;
    Some(format!(
        "{} makes the tail at {} users: its p99 is {:.0} ms and its median {:.0} ms, while all requests together have p50 {:.0} ms and p95 {:.0} ms; it is {share:.0} % of the requests.",
        worst.name,
        last.plan.users,
        p99(worst),
        worst.latency_ms.map_or(0.0, |l| l.p50),
        all.p50,
        all.p95
    ))
}

/// How endpoints that compute and endpoints that wait take rising load, told by the server's own timing.
fn cpu_against_io(steps: &[RunResult]) -> Vec<String> {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Vec::new() };
    if steps.len() < 2 {
        return Vec::new();
    }
    let mut out = Vec::new();
    for end in &last.endpoints {
        let Some(start) = first.endpoints.iter().find(|e| e.name == end.name) else { continue };
        let (Some(a), Some(b)) = (start.latency_ms, end.latency_ms) else { continue };
        let timing = match (&start.server_timing_ms, &end.server_timing_ms) {
            (Some(s), Some(e)) => format!(
                "; of the median the server spent {:.1} ms working ({:.1} before) and {:.1} ms queueing ({:.1} before; p99 {:.1})",
                e.work.p50, s.work.p50, e.queue.p50, s.queue.p50, e.queue.p99
            ),
            _ => "; the server does not tell how long it queued".into(),
        };
        out.push(format!(
            "{}: median {:.1} ms at {} users, {:.1} ms at {} ({:.1} times), p95 {:.1} to {:.1} ms{timing}{}.",
            end.name,
            a.p50,
            first.plan.users,
            b.p50,
            last.plan.users,
            b.p50 / a.p50.max(0.001),
            a.p95,
            b.p95,
            kind(end)
        ));
    }
    out
}

/// What kind of work it is, from the last step's queueing against its work.
fn kind(e: &Endpoint) -> &'static str {
    let (Some(t), Some(l)) = (&e.server_timing_ms, e.latency_ms) else { return "" };
    if t.queue.p99 > t.work.p50 {
        " - it waits its turn: more workers for it would help"
    } else if t.work.p50 > 0.8 * l.p50 {
        " - it waits for nobody: the time is the work itself"
    } else {
        ""
    }
}

fn resources(rows: &[StepRow]) -> Vec<String> {
    let mut out = Vec::new();
    let series = |f: &dyn Fn(&StepRow) -> Option<String>| -> Option<String> {
        let all: Option<Vec<String>> = rows.iter().map(f).collect();
        all.map(|v| v.join(", "))
    };
    let users = rows.iter().map(|r| r.users.to_string()).collect::<Vec<_>>().join("/");
    if let Some(target) = series(&|r| r.target_cpu_percent.map(|c| format!("{c:.0} %"))) {
        let client = series(&|r| r.client_cpu_percent.map(|c| format!("{c:.0} %"))).unwrap_or_else(|| "unavailable".into());
        out.push(format!("CPU at {users} users, of one core: server {target}; client {client}."));
    }
    if let Some(host) = series(&|r| r.host_cpu_percent.map(|c| format!("{c:.0} %"))) {
        let memory = series(&|r| r.host_memory_percent.map(|m| format!("{m:.1} %"))).unwrap_or_else(|| "unavailable".into());
        out.push(format!("Host at {users} users: CPU {host} of all cores; memory in use {memory}."));
    }
    if let Some(rss) = series(&|r| r.target_rss_bytes.map(mib)) {
        let client = series(&|r| r.client_rss_bytes.map(mib)).unwrap_or_else(|| "unavailable".into());
        out.push(format!("Memory at {users} users: server {rss}; client {client}."));
    }
    out
}

fn ports(rows: &[StepRow]) -> Option<String> {
    let worst = rows.iter().filter(|r| r.pool.is_some()).max_by_key(|r| r.peak_ports)?;
    let (peak, pool) = (worst.peak_ports?, worst.pool?);
    Some(format!(
        "Ports: at most {peak} of {pool} source ports were held towards the target ({:.1} %), at {} users.",
        f64::from(peak) / f64::from(pool.max(1)) * 100.0,
        worst.users
    ))
}

fn ms(v: Option<f64>) -> String {
    v.map_or_else(|| "unavailable".into(), |v| format!("{v:.0} ms"))
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}
