//! What the steps of a study say together: figures in rows, conclusions in sentences with their numbers. Pure.

use crate::diagnose::thresholds::{CLOSED_LOOP_NEAR, PLATEAU_TIMES};
use crate::model::result::{Endpoint, RunResult, ServerTimingMs};
use crate::model::study::{Analysis, StepRow};

/// Throughput that grew by less than this share of the users' growth grew less than the users.
const GROWTH_SHARE: f64 = 0.5;
/// While the rate is at least this share of what the quickest step's response would allow, the users set the pace.
const OWN_PACE_SHARE: f64 = 0.9;
/// From this share of all cores taken by others, percent, times are partly theirs.
const OTHERS_PERCENT: f64 = 15.0;

/// Analyses the steps, in their order.
pub fn analyse(steps: &[RunResult]) -> Analysis {
    let rows: Vec<StepRow> = steps.iter().map(StepRow::of).collect();
    let mut sentences = Vec::new();
    sentences.extend(rows.iter().filter_map(|r| closed_loop(r, &rows)));
    sentences.extend(inside_ramp(steps));
    sentences.extend(growth(&rows));
    sentences.extend(tail(steps));
    sentences.extend(cpu_against_io(steps));
    sentences.extend(resources(&rows));
    sentences.extend(others(&rows));
    sentences.extend(cut(&rows));
    sentences.extend(ports(&rows));
    Analysis { rows, sentences }
}

/// What the loop comes to, and what sets its pace. That users / (think + measured response) is the measured rate is no
/// more than bookkeeping; whether the server holds the rate down shows in how much the response grew.
fn closed_loop(row: &StepRow, all: &[StepRow]) -> Option<String> {
    let (steady, predicted, response, off) = (row.steady_rps?, row.predicted_rps?, row.response_mean_s?, row.deviation_percent?);
    let whole = |r: &&StepRow| r.failures + r.local_failures == 0;
    let lighter = all.iter().filter(|r| r.users < row.users).filter(whole).filter_map(|r| r.response_mean_s).reduce(f64::min);
    let verdict = if row.failures + row.local_failures > 0 && off.abs() > CLOSED_LOOP_NEAR * 100.0 {
        "failed requests change the loop: they return sooner or wait longer than an answer".to_owned()
    } else if off.abs() > CLOSED_LOOP_NEAR * 100.0 {
        "the loop was disturbed: look at the findings of this step".to_owned()
    } else if let Some(quick) = lighter {
        let unloaded = f64::from(row.users) / (row.think_mean_s + quick).max(1e-9);
        if steady >= OWN_PACE_SHARE * unloaded {
            "the users' own pace sets the rate, not the server".to_owned()
        } else {
            format!(
                "with the response of a lighter step, {quick:.3} s, it would be {unloaded:.1}/s: the responses grew {:.1} times, and they hold the rate down",
                response / quick.max(1e-9)
            )
        }
    } else if all.iter().any(|r| r.users > row.users) {
        "the heavier steps are held against this response".to_owned()
    } else {
        "whether the users or the server set this rate, a step of fewer users would tell".to_owned()
    };
    Some(format!(
        "{} users: a closed loop comes to users / (think + response) = {} / ({:.3} s + {:.3} s) = {predicted:.1}/s; measured {steady:.1}/s after the last user had started ({off:+.1} %): {verdict}.",
        row.users, row.users, row.think_mean_s, response
    ))
}

/// Steps that ended before their last user had started: no figure of theirs is of all users.
fn inside_ramp(steps: &[RunResult]) -> Option<String> {
    let short = steps.iter().filter(|s| !s.plan.duration.is_zero() && s.plan.ramp() >= s.plan.duration);
    let each: Vec<String> = short
        .map(|s| {
            let (ramp, ran) = (s.plan.ramp().as_secs_f64(), s.plan.duration.as_secs_f64());
            format!("{} users start over {ramp:.1} s, their step took {ran:.1} s", s.plan.users)
        })
        .collect();
    (!each.is_empty()).then(|| {
        format!("Ended inside the ramp, and so without steady figures: {}. A longer step would show all users.", each.join("; "))
    })
}

/// Where throughput stopped growing with the users, or grew less than they.
fn growth(rows: &[StepRow]) -> Option<String> {
    let rate = |r: &StepRow| r.steady_rps.unwrap_or(r.rps);
    let response = |r: &StepRow| r.response_mean_s.map_or_else(|| "unavailable".to_owned(), |s| format!("{:.0} ms", s * 1000.0));
    // A step that ended inside its ramp has no rate of all its users to compare.
    let comparable =
        |a: &StepRow, b: &StepRow| b.users > a.users && a.steady_rps.is_some_and(|r| r > 0.0) && b.steady_rps.is_some();
    for pair in rows.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        if !comparable(a, b) {
            continue;
        }
        let users = f64::from(b.users) / f64::from(a.users) - 1.0;
        let throughput = rate(b) / rate(a) - 1.0;
        if throughput >= users * GROWTH_SHARE {
            continue;
        }
        // The same limit as the finding throughput-plateau.
        let how = if throughput < PLATEAU_TIMES - 1.0 { "stopped growing" } else { "grew less than the users" };
        return Some(format!(
            "Throughput {how} from {} to {} users: {:.0} % more users, {:+.0} % of the rate ({:.1}/s to {:.1}/s), while the mean response went from {} to {}.",
            a.users,
            b.users,
            users * 100.0,
            throughput * 100.0,
            rate(a),
            rate(b),
            response(a),
            response(b)
        ));
    }
    let (first, last) = (rows.first()?, rows.last()?);
    if !comparable(first, last) || rows.iter().any(|r| r.steady_rps.is_none()) {
        return None;
    }
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

/// Steps whose times are partly the doing of other programmes.
fn others(rows: &[StepRow]) -> Option<String> {
    let disturbed: Vec<String> = rows
        .iter()
        .filter_map(|r| {
            let (others, host) = (r.others_cpu_percent?, r.host_cpu_percent?);
            (others >= OTHERS_PERCENT).then(|| format!("at {} users {others:.0} % of all cores, of {host:.0} % in use", r.users))
        })
        .collect();
    (!disturbed.is_empty()).then(|| {
        format!(
            "Neither client nor server, but other programmes on this machine (and its interrupts) took CPU: {}. Response times there are partly theirs.",
            disturbed.join("; ")
        )
    })
}

/// Requests that a step's end cut off.
fn cut(rows: &[StepRow]) -> Option<String> {
    let worst = rows.iter().max_by_key(|r| r.cut).filter(|r| r.cut > 0)?;
    let all = worst.requests + worst.local_failures + worst.cut;
    let share = worst.cut as f64 / all.max(1) as f64 * 100.0;
    Some(format!(
        "In flight at a step's end, neither answered nor failed, were at most {} of {all} requests ({share:.1} %), at {} users{}.",
        worst.cut,
        worst.users,
        if share >= 5.0 { ": the slowest answers are missing from the figures, and a longer step would show them" } else { "" }
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
        "{} makes the tail at {} users: its p99 is {:.0} ms and its median {:.0} ms, while all requests together have p50 {} ms and p95 {} ms; it is {share:.0} % of the requests.",
        worst.name,
        last.plan.users,
        p99(worst),
        worst.latency_ms.map_or(0.0, |l| l.p50),
        fine(all.p50),
        fine(all.p95)
    ))
}

/// How endpoints that compute and endpoints that wait take rising load, told by the server's own timing.
fn cpu_against_io(steps: &[RunResult]) -> Vec<String> {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Vec::new() };
    // Steps with as many users differ in something else: their load did not rise.
    if first.plan.users == last.plan.users {
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
        let host = last.resources.host.cpu_percent_mean;
        out.push(format!(
            "{}: median {} ms at {} users, {} ms at {} ({:.1} times), p95 {} to {} ms{timing}{}.",
            end.name,
            fine(a.p50),
            first.plan.users,
            fine(b.p50),
            last.plan.users,
            b.p50 / a.p50.max(0.001),
            fine(a.p95),
            fine(b.p95),
            end.server_timing_ms.as_ref().map_or_else(String::new, |t| kind(t, b.p50, host))
        ));
    }
    out
}

/// Share of the host's CPU, percent, from which more workers would only wait for a core.
const CORES_TAKEN_PERCENT: f64 = 85.0;

/// What kind of work it is, from the last step's queueing against its work: median against median, tail against tail.
fn kind(t: &ServerTimingMs, median_ms: f64, host_cpu_percent: Option<f64>) -> String {
    let advice = match host_cpu_percent {
        Some(host) if host >= CORES_TAKEN_PERCENT => {
            format!("with {host:.0} % of all cores taken only less work or more cores would help")
        }
        Some(host) => format!("more workers for it would help while cores are idle ({host:.0} % taken)"),
        None => "whether more workers would help is not known: the host's CPU was not read".into(),
    };
    if t.queue.p50 > t.work.p50 {
        format!(" - it mostly waits its turn: {advice}")
    } else if t.queue.p99 > t.work.p99 {
        format!(" - it mostly works, but the slowest wait their turn: {advice}")
    } else if t.work.p50 > 0.8 * median_ms {
        " - it waits for nobody: the time is the work itself".into()
    } else {
        String::new()
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

/// Milliseconds with the digits that a ratio of them needs.
fn fine(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.2}") } else { format!("{ms:.1}") }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::result::PhaseMs;

    fn said(queue: (f64, f64), work: (f64, f64), host: Option<f64>) -> String {
        let pair = |(p50, p99)| PhaseMs { p50, p99 };
        kind(&ServerTimingMs { queue: pair(queue), work: pair(work) }, queue.0 + work.0, host)
    }

    #[test]
    fn a_step_that_ends_inside_its_ramp_is_told() {
        let mut run = crate::report::fixture::healthy().run;
        (run.plan.users, run.plan.spawn_rate) = (50, 5.0);
        run.plan.duration = std::time::Duration::from_secs(3);
        let said = inside_ramp(&[run.clone()]).expect("9.8 s of ramp");
        assert!(said.contains("50 users start over 9.8 s, their step took 3.0 s"), "{said}");
        run.plan.duration = std::time::Duration::from_secs(30);
        assert_eq!(inside_ramp(&[run]), None);
    }

    #[test]
    fn more_workers_are_advised_only_where_cores_are_idle() {
        // /cpu of the built-in study with a pinned worker on each of two cores: the tail queues, the cores are taken.
        let taken = said((10.4, 140.3), (41.0, 90.0), Some(96.0));
        assert!(taken.contains("mostly works") && taken.contains("more cores") && !taken.contains("more workers"), "{taken}");
        let idle = said((300.0, 900.0), (200.0, 201.0), Some(5.0));
        assert!(idle.contains("mostly waits") && idle.contains("more workers for it would help"), "{idle}");
        assert!(said((300.0, 900.0), (200.0, 201.0), None).contains("not known"));
        assert!(said((0.1, 0.4), (200.0, 203.0), Some(5.0)).contains("waits for nobody"));
    }
}
