//! The experiment's observations beside ours: the study's third step, failing for the same cause, with times in units
//! of T so that 120 s there and 60 s here compare. Pure.

use crate::model::outcome::Call;
use crate::model::result::{FailureSpan, RunResult, SeriesPoint};
use crate::model::study::Comparison;

/// What the experiment saw at 100 users, from its own report (T = 120 s, 16,384 ports).
mod experiment {
    pub(super) const T_S: f64 = 120.0;
    pub(super) const BEGAN_S: f64 = 96.4;
    pub(super) const REQUESTS: u64 = 31_290;
    pub(super) const FAILURES: u64 = 7_046;
    pub(super) const ERROR: &str = "OSError(10048, '[WinError 10048] Only one usage of each socket address ...')";
}

/// Rows of the comparison: `failing` is the step with a connection per request, `kept` the same with kept ones.
pub fn compare(failing: &RunResult, kept: Option<&RunResult>) -> Vec<Comparison> {
    let spans = &failing.totals.local_failure_spans;
    let first = spans.first();
    let end = failing.duration_s;
    let ramp = failing.plan.ramp().as_secs_f64();
    let row = |what: &str, there: String, here: String| Comparison { what: what.into(), experiment: there, here };
    let Some(hold) = failing.ports.as_ref().and_then(|p| p.hold_s).filter(|t| *t > 0.0) else {
        let here = "unavailable: how long this destination holds a port is not known";
        return vec![row("ports, hold time, ceiling", ceiling(16_384.0, experiment::T_S), here.into())];
    };
    let in_t = |s: f64, t: f64| format!("{:.2} T ({s:.1} s)", s / t);
    let mut rows = vec![row("ports, hold time, ceiling", ceiling(16_384.0, experiment::T_S), pool(failing, hold))];
    if first.is_none() {
        // Nothing to hold against the experiment but why it did not come.
        rows.push(row("the ports run out", in_t(experiment::BEGAN_S, experiment::T_S), why_not(failing, hold)));
        return rows;
    }
    rows.extend([
        row(
            "attempts/s before the failures",
            "about 170".into(),
            mean(failing, ramp, first.map_or(end, |s| s.from_s), |p| p.attempts_per_s),
        ),
        row(
            "attempts/s while nothing succeeds",
            "over 300".into(),
            first.map_or_else(none, |s| mean(failing, s.from_s, hold, |p| p.attempts_per_s)),
        ),
        row("answers/s after T", "about 120".into(), mean(failing, hold + ramp, end, |p| p.rps - p.failures_per_s)),
        row("failures begin", in_t(experiment::BEGAN_S, experiment::T_S), first.map_or_else(none, |s| in_t(s.from_s, hold))),
        row("first answers again", in_t(experiment::T_S, experiment::T_S), again(failing, hold, &in_t)),
        row("share of failed requests", share(experiment::FAILURES, experiment::REQUESTS), {
            let failed = failing.locust_failures();
            share(failed, failing.locust_requests())
        }),
        row("the echo", "1.80 T (216.4 s) by the law; the step ended at 1.50 T".into(), echo(spans, failing, hold)),
        row("what the client printed", experiment::ERROR.into(), error(failing)),
        row("what a client on Windows prints", "10048 (WSAEADDRINUSE)".into(), windows(failing)),
    ]);
    if let Some(kept) = kept {
        let t = &kept.totals;
        let here = format!(
            "{} requests, {} failures, {} connections, {:.1}/s",
            t.requests,
            t.failures + t.local_failures,
            t.connections_opened,
            t.rps
        );
        rows.push(row("the same step with kept connections", "not tried".into(), here));
    }
    rows
}

/// Why the pool lasted: the rate that this machine reached, or the length of the step.
fn why_not(run: &RunResult, hold: f64) -> String {
    let ports = run.ports.as_ref();
    let (Some(pool), Some(peak)) = (ports.and_then(|p| p.pool), ports.and_then(|p| p.peak_used)) else {
        return "no; how many ports were held was not observed".into();
    };
    let (rate, ceiling) = (run.totals.connections_opened as f64 / run.duration_s.max(1e-9), f64::from(pool) / hold);
    let why = if rate <= ceiling {
        let host = run.resources.host.cpu_percent_mean;
        let host = host.map_or_else(String::new, |h| format!("; the host's CPU was in use to {h:.0} %"));
        format!("{rate:.1} connections/s are not above P/T = {ceiling:.1}/s{host}: the accident needs the rate")
    } else {
        format!(
            "{rate:.1} connections/s use them up after {:.1} s, the step took {:.1} s",
            f64::from(pool) / rate,
            run.duration_s
        )
    };
    format!("no, at most {peak} of {pool} were held: {why}")
}

fn none() -> String {
    "no failure".into()
}

fn pool(run: &RunResult, hold: f64) -> String {
    let pool = run.ports.as_ref().and_then(|p| p.pool);
    pool.map_or_else(|| "unavailable: ports were not observed".into(), |p| ceiling(f64::from(p), hold))
}

fn ceiling(ports: f64, hold: f64) -> String {
    format!("{ports:.0} ports / {hold:.0} s = {:.1}/s", ports / hold)
}

fn share(failed: u64, all: u64) -> String {
    format!("{failed} of {all} ({:.1} %)", failed as f64 / all.max(1) as f64 * 100.0)
}

/// Mean over the whole seconds that lie between `from` and `to`.
fn mean(run: &RunResult, from: f64, to: f64, figure: impl Fn(&SeriesPoint) -> f64) -> String {
    let inside: Vec<f64> = run.series.iter().filter(|p| p.t_s - 1.0 >= from && p.t_s <= to).map(figure).collect();
    if inside.is_empty() {
        return format!("no whole second between {from:.1} s and {to:.1} s");
    }
    format!("{:.0}", inside.iter().sum::<f64>() / inside.len() as f64)
}

/// The first second after the failures began in which connections were made again.
fn again(run: &RunResult, hold: f64, in_t: &impl Fn(f64, f64) -> String) -> String {
    let Some(first) = run.totals.local_failure_spans.first() else { return none() };
    let dry = run.series.iter().position(|p| p.t_s > first.from_s && p.connects == 0);
    let back = dry.and_then(|i| run.series[i..].iter().find(|p| p.connects > 0));
    match (dry, back) {
        (None, _) => "connections never stopped for a whole second".into(),
        (_, None) => "not within this step".into(),
        (_, Some(p)) => in_t(p.t_s - 1.0, hold),
    }
}

/// A later stretch in which nothing succeeds.
fn echo(spans: &[FailureSpan], run: &RunResult, hold: f64) -> String {
    let Some(first) = spans.first() else { return none() };
    let due = first.from_s + hold;
    if due > run.duration_s {
        return format!("{:.2} T ({due:.1} s) by the law; the step ended at {:.2} T", due / hold, run.duration_s / hold);
    }
    let dry = run.series.iter().find(|p| p.t_s > hold + 1.0 && p.t_s - 1.0 >= due - hold * 0.1 && p.connects == 0);
    dry.map_or_else(
        || format!("due at {:.2} T ({due:.1} s), not seen", due / hold),
        |p| format!("{:.2} T ({:.1} s)", (p.t_s - 1.0) / hold, p.t_s - 1.0),
    )
}

fn error(run: &RunResult) -> String {
    let worst = run.errors.iter().max_by_key(|e| e.count);
    worst.map_or_else(none, |e| format!("{} {} ({}): {}", e.call.word(), e.name, e.errno.unwrap_or(0), e.message))
}

fn windows(run: &RunResult) -> String {
    let own = run.errors.iter().filter(|e| matches!(e.call, Call::Connect | Call::Bind)).max_by_key(|e| e.count);
    match own.and_then(|e| e.windows_code) {
        Some(10048) => "10048 (WSAEADDRINUSE)".into(),
        Some(10055) => "10055 (WSAENOBUFS)".into(),
        Some(10061) => "10061 (WSAECONNREFUSED)".into(),
        Some(code) => code.to_string(),
        None => none(),
    }
}
