//! The experiment's observations and this run's: the experiment's third step, failing for the same cause. Times are in
//! units of T, so that 120 s there and 60 s here compare. Pure.

use crate::model::figures::{self, count, counted, number, seconds};
use crate::model::outcome::Call;
use crate::model::result::{RunResult, SeriesPoint, Verdict, VerdictId};
use crate::model::study::Comparison;

/// What the experiment saw at 100 users, from its own report.
mod experiment {
    pub(super) const POOL: u32 = 16_384;
    pub(super) const T_S: f64 = 120.0;
    pub(super) const BEGAN_S: f64 = 96.4;
    pub(super) const REQUESTS: u64 = 31_290;
    pub(super) const FAILURES: u64 = 7_046;
}

/// Whether the ports ran out here as they did there, in one sentence. `short` is the step with a connection for each
/// request, `kept` the one with kept connections.
pub fn verdict(short: &RunResult, kept: Option<&RunResult>) -> Verdict {
    let Some(first) = short.totals.local_failure_spans.first() else {
        let why = why_not(short);
        return Verdict { sentence: format!("THE ACCIDENT DID NOT HAPPEN: {why}"), ..short.verdict.clone() };
    };
    let beside = match kept {
        None => String::new(),
        Some(kept) => match kept.totals.failures + kept.totals.local_failures {
            0 => "; kept connections did not fail".into(),
            n => format!("; {} with kept connections too", counted(n, "failure")),
        },
    };
    Verdict {
        id: VerdictId::PortBound,
        sentence: format!("PORTS RAN OUT at {}, as in the experiment{beside}", seconds(first.from_s)),
        since_s: Some(first.from_s),
    }
}

/// The rows of the comparison.
pub fn compare(short: &RunResult, kept: Option<&RunResult>) -> Vec<Comparison> {
    let row = |what: &str, there: String, here: String| Comparison { what: what.into(), experiment: there, here };
    let there = ceiling(experiment::POOL, experiment::T_S);
    let Some(hold) = short.ports.as_ref().and_then(|p| p.hold_s).filter(|t| *t > 0.0) else {
        return vec![row("ports / T", there, "unavailable: T of this destination is not known".into())];
    };
    let mut rows =
        vec![row("ports / T", there, pool(short, hold)), row("connections", "one per request".into(), "one per request".into())];
    let Some(first) = short.totals.local_failure_spans.first() else {
        rows.push(row("the ports run out", in_t(experiment::BEGAN_S, experiment::T_S), format!("no: {}", why_not(short))));
        return rows;
    };
    let end = short.duration_s;
    let ramp = short.plan.ramp().as_secs_f64();
    rows.extend([
        row("attempts/s before", "about 170".into(), mean(short, ramp, first.from_s, |p| p.attempts_per_s)),
        row("the ports run out", in_t(experiment::BEGAN_S, experiment::T_S), in_t(first.from_s, hold)),
        row("attempts/s meanwhile", "over 300, as fast as they fail".into(), meanwhile(short, first.from_s, hold)),
        row("answers again", in_t(experiment::T_S, experiment::T_S), again(short, first.from_s, hold)),
        row("answers/s after T", "about 120".into(), mean(short, hold + ramp, end, |p| p.rps - p.failures_per_s)),
        row("failed", share(experiment::FAILURES, experiment::REQUESTS), {
            share(short.locust_failures(), short.locust_requests())
        }),
        row("runs out again", "due at 1.8 T, ended at 1.5 T".into(), recurs(short, first.from_s, hold)),
        row("error", "OSError 10048".into(), error(short)),
        row("on Windows", "10048 (WSAEADDRINUSE)".into(), windows(short)),
    ]);
    if let Some(kept) = kept {
        let t = &kept.totals;
        let failed = t.failures + t.local_failures;
        let here = {
            let all = count(t.requests + t.local_failures);
            format!("{} of {all} failed, {}", count(failed), counted(t.connections_opened, "connection"))
        };
        rows.push(row("kept connections", "not tried".into(), here));
    }
    rows
}

/// Why the pool lasted: the rate that was reached, or the length of the step.
fn why_not(run: &RunResult) -> String {
    let ports = run.ports.as_ref();
    let (Some(pool), Some(hold)) = (ports.and_then(|p| p.pool), ports.and_then(|p| p.hold_s).filter(|t| *t > 0.0)) else {
        return "the ports in use were not observed".into();
    };
    let (rate, ceiling) = (run.totals.connections_opened as f64 / run.duration_s.max(1e-9), f64::from(pool) / hold);
    if rate <= ceiling {
        return format!("{} connections/s, not above P/T = {}/s", figures::rate(rate), figures::rate(ceiling));
    }
    let last = seconds(f64::from(pool) / rate);
    format!("{} last {last} at {}/s, the step ended at {}", counted(pool, "port"), figures::rate(rate), seconds(run.duration_s))
}

fn pool(run: &RunResult, hold: f64) -> String {
    let pool = run.ports.as_ref().and_then(|p| p.pool);
    pool.map_or_else(|| "unavailable: ports were not observed".into(), |p| ceiling(p, hold))
}

fn ceiling(ports: u32, hold: f64) -> String {
    format!("{} / {} = {}/s", count(ports), figures::hold(hold), figures::rate(f64::from(ports) / hold))
}

/// The time `s` in units of T, and in seconds.
fn in_t(s: f64, hold: f64) -> String {
    format!("{} T ({})", number(s / hold), seconds(s))
}

fn share(failed: u64, all: u64) -> String {
    format!("{} of {} ({})", count(failed), count(all), figures::share(failed as f64 / all.max(1) as f64))
}

/// Mean over the whole seconds between `from` and `to`.
fn mean(run: &RunResult, from: f64, to: f64, figure: impl Fn(&SeriesPoint) -> f64) -> String {
    let inside: Vec<f64> = run.series.iter().filter(|p| p.t_s - 1.0 >= from && p.t_s <= to).map(figure).collect();
    if inside.is_empty() {
        return if to >= run.duration_s {
            format!("the step ended at {}", seconds(run.duration_s))
        } else {
            "under a second".into()
        };
    }
    figures::rate(inside.iter().sum::<f64>() / inside.len() as f64)
}

fn meanwhile(run: &RunResult, from: f64, hold: f64) -> String {
    let how = if run.plan.is_open_loop() { ", at a constant rate" } else { "" };
    mean(run, from, hold.min(run.duration_s), |p| p.attempts_per_s) + how
}

/// The first second after the failures began in which connections were made again.
fn again(run: &RunResult, began: f64, hold: f64) -> String {
    let dry = run.series.iter().position(|p| p.t_s > began && p.connects == 0);
    let back = dry.and_then(|i| run.series[i..].iter().find(|p| p.connects > 0));
    match (dry, back) {
        (None, _) => "connections never stopped for a second".into(),
        (_, None) => format!("not within {}", seconds(run.duration_s)),
        (_, Some(p)) => in_t(p.t_s - 1.0, hold),
    }
}

/// A later stretch in which nothing succeeds: due one T after the first.
fn recurs(run: &RunResult, began: f64, hold: f64) -> String {
    let due = began + hold;
    if due > run.duration_s {
        return format!("due at {} T, ended at {} T", number(due / hold), number(run.duration_s / hold));
    }
    let dry = run.series.iter().find(|p| p.t_s > hold + 1.0 && p.t_s - 1.0 >= due - hold * 0.1 && p.connects == 0);
    dry.map_or_else(|| format!("due at {} T, not seen", number(due / hold)), |p| in_t(p.t_s - 1.0, hold))
}

fn error(run: &RunResult) -> String {
    let most = run.errors.iter().max_by_key(|e| e.count);
    most.map_or_else(|| "none".into(), |e| format!("{} {} ({})", e.call.word(), e.name, e.errno.unwrap_or(0)))
}

fn windows(run: &RunResult) -> String {
    let local = run.errors.iter().filter(|e| matches!(e.call, Call::Connect | Call::Bind)).max_by_key(|e| e.count);
    match local.and_then(|e| e.windows_code) {
        Some(10048) => "10048 (WSAEADDRINUSE)".into(),
        Some(10055) => "10055 (WSAENOBUFS)".into(),
        Some(10061) => "10061 (WSAECONNREFUSED)".into(),
        Some(code) => code.to_string(),
        None => "none".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn no_interval_is_negative_and_the_headline_says_whether_it_happened() {
        let mut run = fixture::broken().run;
        let rows = compare(&run, None);
        let here = |what: &str| rows.iter().find(|r| r.what == what).map(|r| r.here.clone()).unwrap_or_default();
        // The fixture fails from second 12 on and ends at 20 s; T is 60 s.
        assert_eq!(
            (here("the ports run out").as_str(), here("answers/s after T").as_str()),
            ("0.2 T (12 s)", "the step ended at 20 s")
        );
        assert_eq!(here("runs out again"), "due at 1.2 T, ended at 0.33 T");
        let said = verdict(&run, Some(&fixture::healthy().run));
        assert_eq!((said.id, said.since_s.map(f64::round)), (VerdictId::PortBound, Some(12.0)));
        run.totals.local_failure_spans.clear();
        assert!(verdict(&run, None).sentence.contains("DID NOT HAPPEN"));
        assert_eq!(compare(&run, None).last().map(|r| r.what.as_str()), Some("the ports run out"));
    }
}
