//! The experiment's observations and this run's: the experiment's third step, failing for the same cause. Times are in
//! units of T, so that 120 s there and 60 s here compare. Pure.

use crate::diagnose::thresholds::OTHERS_NAMED_PERCENT;
use crate::model::figures::{self, count, counted, number, seconds, span};
use crate::model::outcome::Call;
use crate::model::plan::LoadPlan;
use crate::model::result::{RunResult, SeriesPoint, Verdict, VerdictId};
use crate::model::study::Comparison;

/// From this part of the asked rate on, it was reached.
const RATE_REACHED: f64 = 0.95;

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
        let sentence = format!("THE ACCIDENT DID NOT HAPPEN: {why}");
        return Verdict { since_s: short.verdict.since_s, ..Verdict::new(short.verdict.id, sentence) };
    };
    let beside = match kept {
        None => String::new(),
        Some(kept) => match kept.totals.failures + kept.totals.local_failures {
            0 => "; kept connections did not fail".into(),
            n => format!("; {} with kept connections too", counted(n, "failure")),
        },
    };
    let sentence = format!("PORTS RAN OUT at {}, as in the experiment{beside}", seconds(first.from_s));
    Verdict { since_s: Some(first.from_s), ..Verdict::new(VerdictId::PortBound, sentence) }
}

/// The rows of the comparison.
pub fn compare(short: &RunResult) -> Vec<Comparison> {
    let row = |what: &str, there: String, here: String| Comparison { what: what.into(), experiment: there, here };
    let there = ceiling(experiment::POOL, experiment::T_S);
    let Some(hold) = short.ports.as_ref().and_then(|p| p.hold_s).filter(|t| *t > 0.0) else {
        return vec![row("ports / T", there, "unavailable: T of this destination is not known".into())];
    };
    let mut rows = vec![row("ports / T", there, pool(short, hold))];
    let Some(first) = short.totals.local_failure_spans.first() else {
        rows.push(row("the ports run out", in_t(experiment::BEGAN_S, experiment::T_S), "no".into()));
        return rows;
    };
    let end = short.duration_s;
    let ramp = short.plan.ramp().as_secs_f64();
    rows.extend([
        row("attempts/s until then", "about 170".into(), mean(short, ramp, first.from_s, |p| p.attempts_per_s)),
        row("the ports run out", in_t(experiment::BEGAN_S, experiment::T_S), in_t(first.from_s, hold)),
        row("attempts/s meanwhile", "over 300, failing at once".into(), meanwhile(short, first.from_s, hold)),
        row("answers again", in_t(experiment::T_S, experiment::T_S), again(short, first.from_s, hold)),
        row("answers/s from T on", "about 120".into(), mean(short, hold + ramp, end, |p| p.rps - p.failures_per_s)),
        row("failed", share(experiment::FAILURES, experiment::REQUESTS), {
            share(short.locust_failures(), short.locust_requests())
        }),
        row("runs out again", "due 1.8 T, ended 1.5 T".into(), recurs(short, first.from_s, hold)),
        row("error (Windows)", "OSError 10048".into(), error(short)),
    ]);
    rows
}

/// Why a plan whose ports last this long cannot show the accident; none where it can. `pool` is the source ports towards
/// its target.
pub fn too_short(plan: &LoadPlan, pool: u32) -> Option<String> {
    let lasts_s = f64::from(pool) / plan.rate;
    let is_short = plan.is_open_loop() && plan.duration.as_secs_f64() < lasts_s + 1.0;
    is_short.then(|| {
        let (ports, lasts) = (counted(pool, "port"), seconds(lasts_s));
        format!("the {ports} last {lasts} at {}/s, so none runs out within {}", figures::rate(plan.rate), span(plan.duration))
    })
}

/// Why the pool lasted: the rate that was reached, or the length of the step.
fn why_not(run: &RunResult) -> String {
    let ports = run.ports.as_ref();
    let (Some(pool), Some(hold)) = (ports.and_then(|p| p.pool), ports.and_then(|p| p.hold_s).filter(|t| *t > 0.0)) else {
        return "the ports in use were not observed".into();
    };
    let (rate, ceiling) = (run.totals.connections_opened as f64 / run.duration_s.max(1e-9), f64::from(pool) / hold);
    let slow = short_of_cpu(run).unwrap_or_default();
    if rate <= ceiling {
        return format!("{} connections/s, not above P/T = {}/s{slow}", figures::rate(rate), figures::rate(ceiling));
    }
    let last = seconds(f64::from(pool) / rate);
    let ports = counted(pool, "port");
    format!("{ports} last {last} at {}/s, the step ended at {}{slow}", figures::rate(rate), seconds(run.duration_s))
}

/// `; of 170/s asked for, 120 were started: other programs took 85 % of all cores`, where the rate was missed.
fn short_of_cpu(run: &RunResult) -> Option<String> {
    let made = run.totals.rate_ratio.filter(|ratio| *ratio < RATE_REACHED)?;
    let (asked, started) = (figures::rate(run.plan.rate), figures::rate(made * run.plan.rate));
    let why = match (run.others_cpu_percent(), run.resources.host.cpu_percent_mean) {
        (Some(others), _) if others >= OTHERS_NAMED_PERCENT => {
            format!("other programs took {} of all cores", figures::percent(others))
        }
        (_, Some(host)) => format!("{} of all cores were in use", figures::percent(host)),
        _ => "the CPU was not measured".into(),
    };
    Some(format!("; of {asked}/s asked for, {started} were started: {why}"))
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

/// The rate of attempts while no port was free, beside the asked one where that was missed.
fn meanwhile(run: &RunResult, from: f64, hold: f64) -> String {
    let to = hold.min(run.duration_s);
    let rates = || run.series.iter().filter(|p| p.t_s - 1.0 >= from && p.t_s <= to).map(|p| p.attempts_per_s);
    let reached = rates().sum::<f64>() / (rates().count().max(1) as f64 * run.plan.rate.max(1e-9));
    let how = match (run.plan.is_open_loop(), reached >= RATE_REACHED) {
        (false, _) => String::new(),
        (true, true) => ", a constant rate".into(),
        (true, false) => format!(" of {} asked for", figures::rate(run.plan.rate)),
    };
    mean(run, from, to, |p| p.attempts_per_s) + &how
}

/// The first second after the failures began in which connections were made again.
fn again(run: &RunResult, began: f64, hold: f64) -> String {
    let dry = run.series.iter().position(|p| p.t_s > began && p.connects == 0);
    let back = dry.and_then(|i| run.series[i..].iter().find(|p| p.connects > 0));
    match (dry, back) {
        (None, _) => "never stopped for 1 s".into(),
        (_, None) => format!("not within {}", seconds(run.duration_s)),
        (_, Some(p)) => in_t(p.t_s - 1.0, hold),
    }
}

/// A later stretch in which nothing succeeds: due one T after the first.
fn recurs(run: &RunResult, began: f64, hold: f64) -> String {
    let due = began + hold;
    if due > run.duration_s {
        return format!("due {} T, ended {} T", number(due / hold), number(run.duration_s / hold));
    }
    let dry = run.series.iter().find(|p| p.t_s > hold + 1.0 && p.t_s - 1.0 >= due - hold * 0.1 && p.connects == 0);
    dry.map_or_else(|| format!("due {} T, not seen", number(due / hold)), |p| in_t(p.t_s - 1.0, hold))
}

/// The error here, and as Windows reports it.
fn error(run: &RunResult) -> String {
    let local = run.errors.iter().filter(|e| matches!(e.call, Call::Connect | Call::Bind)).max_by_key(|e| e.count);
    let Some(e) = local.or_else(|| run.errors.iter().max_by_key(|e| e.count)) else { return "none".into() };
    let windows = e.windows_code.map_or_else(String::new, |code| format!(" ({code})"));
    format!("{}{windows}", e.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_run_without_cpu_for_the_rate_says_so() {
        let mut run = fixture::broken().run;
        run.totals.local_failure_spans.clear();
        (run.plan.rate, run.totals.rate_ratio) = (170.0, Some(0.5));
        run.resources.host.cpu_percent_mean = Some(99.0);
        let said = verdict(&run, None).sentence;
        assert!(said.contains("of 170/s asked for, 85 were started: 99 % of all cores were in use"), "{said}");
        run.totals.rate_ratio = Some(0.99);
        assert!(!verdict(&run, None).sentence.contains("asked for"));
    }

    #[test]
    fn a_step_in_which_no_port_can_run_out_is_refused() {
        let mut plan = fixture::broken().run.plan;
        plan.rate = 170.0;
        for (duration_s, is_short) in [(20, true), (48, true), (60, false), (90, false)] {
            plan.duration = std::time::Duration::from_secs(duration_s);
            assert_eq!(too_short(&plan, 8192).is_some(), is_short, "{duration_s} s");
        }
    }

    #[test]
    fn no_interval_is_negative_and_the_headline_says_whether_it_happened() {
        let mut run = fixture::broken().run;
        let rows = compare(&run);
        let here = |what: &str| rows.iter().find(|r| r.what == what).map(|r| r.here.clone()).unwrap_or_default();
        // The fixture fails from second 12 on and ends at 20 s; T is 60 s.
        assert_eq!(
            (here("the ports run out").as_str(), here("answers/s from T on").as_str()),
            ("0.2 T (12 s)", "the step ended at 20 s")
        );
        assert_eq!(here("runs out again"), "due 1.2 T, ended 0.33 T");
        let said = verdict(&run, Some(&fixture::healthy().run));
        assert_eq!((said.id, said.since_s.map(f64::round)), (VerdictId::PortBound, Some(12.0)));
        assert!(
            rows.iter().all(|r| r.what.len() <= 21 && r.experiment.len() <= 25 && r.here.len() <= 28),
            "80 columns: {rows:?}"
        );
        run.totals.local_failure_spans.clear();
        assert!(verdict(&run, None).sentence.contains("DID NOT HAPPEN"));
        assert_eq!(compare(&run).last().map(|r| r.what.as_str()), Some("the ports run out"));
    }
}
