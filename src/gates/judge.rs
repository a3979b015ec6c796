//! A threshold against a result. Without samples it fails.

use super::durations::Durations;
use super::threshold::{Answered, Figure, Metric, Selector, Test, Threshold, Unit};
use crate::model::result::{Endpoint, LatencyMs, Ports, RunResult, RunStamp, VerdictId};
use crate::model::time::per_second;
use crate::stats::sparse::Sparse;

/// A threshold that was compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// as it was written
    pub text: String,
    /// whether it holds
    pub passed: bool,
    /// what the run has
    pub actual: Actual,
}

/// What a run has where a threshold looks.
#[derive(Debug, Clone, PartialEq)]
pub enum Actual {
    /// a figure and its unit
    Number(f64, Unit),
    /// the stamp
    Stamp(RunStamp),
    /// the verdict
    Verdict(VerdictId),
    /// nothing, and why: the threshold fails
    Missing(String),
}

/// A percentile that the result does not keep, and no histograms to make it of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not among the percentiles of run.json, and there is no interval log to make it of")]
pub struct NoHistogram;

/// Whether `threshold` asks for a figure that only the histograms have.
pub fn needs_histogram(threshold: &Threshold, run: &RunResult) -> bool {
    judge(threshold, run, None).is_err()
}

/// Compares `threshold` with `run`. Errors: it needs `durations`, and there are none.
pub fn judge(threshold: &Threshold, run: &RunResult, durations: Option<&Durations>) -> Result<Judged, NoHistogram> {
    let (passed, actual) = match threshold.test {
        Test::Stamp { operator, stamp } => {
            let actual = run.validity.stamp;
            // Words have no order: they are the same or not.
            (operator.holds(u8::from(actual != stamp), 0), Actual::Stamp(actual))
        }
        Test::Verdict { operator, id } => (operator.holds(run.verdict.id, id), Actual::Verdict(run.verdict.id)),
        Test::Number { figure, operator, bound } => match number(threshold, figure, run, durations)? {
            Ok(value) => (operator.holds(value, bound), Actual::Number(value, threshold.metric.unit(figure))),
            Err(why) => (false, Actual::Missing(why)),
        },
    };
    Ok(Judged { text: threshold.text.clone(), passed, actual })
}

/// The figure, or why there is none.
type Value = Result<f64, String>;

fn number(threshold: &Threshold, figure: Figure, run: &RunResult, durations: Option<&Durations>) -> Result<Value, NoHistogram> {
    let only = &threshold.only;
    let t = &run.totals;
    let part = Part::of(only, run);
    let sampled = |n: u64| if part.samples() == 0 { Err(NO_SAMPLES.to_owned()) } else { Ok(n) };
    let counted =
        |n: Result<u64, String>| n.map(|n| if figure == Figure::Rate { per_second(n, run.duration_s) } else { n as f64 });
    let or_reason = |value: Option<f64>, keys: &[&str]| value.ok_or_else(|| reason(run, keys));
    Ok(match threshold.metric {
        Metric::Duration => return duration(only, figure, run, &part, durations),
        Metric::Failed => sampled(part.failures()).map(|failed| failed as f64 / part.samples().max(1) as f64),
        Metric::Requests => counted(sampled(part.requests(only))),
        Metric::LocalFailures => counted(sampled(part.local_failures())),
        Metric::DataReceived => counted(sampled(t.bytes_in)),
        Metric::DataSent => counted(sampled(t.bytes_out)),
        Metric::NeverStarted => match t.rate_ratio {
            Some(_) => counted(Ok(t.never_started)),
            None => Err(reason(run, &["totals.rate_ratio"])),
        },
        Metric::RateRatio => or_reason(t.rate_ratio, &["totals.rate_ratio"]),
        Metric::ScheduleLag if figure == Figure::Maximum => or_reason(t.lag_max_ms, &["totals.lag_max_ms"]),
        Metric::ScheduleLag => or_reason(t.lag_p99_ms, &["totals.lag_p99_ms"]),
        Metric::PortsPeakShare => {
            or_reason(run.ports.as_ref().and_then(Ports::in_use_share), &["ports.peak_share", "ports.pool", "ports"])
        }
        Metric::ClientBusiestThread => or_reason(run.resources.client.busiest_thread, &["resources.client.busiest_thread"]),
        Metric::Validity | Metric::Verdict => Err("it is a word".into()),
    })
}

const NO_SAMPLES: &str = "no samples";

/// Why the first of `keys` that is null is null.
fn reason(run: &RunResult, keys: &[&str]) -> String {
    let row = keys.iter().find_map(|key| run.unavailable.iter().find(|u| u.key == *key));
    row.map_or_else(|| "not measured".into(), |u| u.reason.clone())
}

/// The endpoints that a selector leaves.
struct Part<'a> {
    run: &'a RunResult,
    /// by index in the mix; none for the whole run
    endpoints: Option<Vec<(usize, &'a Endpoint)>>,
}

impl<'a> Part<'a> {
    fn of(only: &Selector, run: &'a RunResult) -> Self {
        let narrow = only.name.is_some() || only.method.is_some();
        let fits =
            |e: &Endpoint| only.name.as_ref().is_none_or(|n| *n == e.name) && only.method.as_ref().is_none_or(|m| *m == e.method);
        Self { run, endpoints: narrow.then(|| run.endpoints.iter().enumerate().filter(|(_, e)| fits(e)).collect()) }
    }

    fn sum(&self, whole: u64, of: impl Fn(&Endpoint) -> u64) -> u64 {
        self.endpoints.as_ref().map_or(whole, |all| all.iter().map(|(_, e)| of(e)).sum())
    }

    /// Requests and local failures.
    fn samples(&self) -> u64 {
        self.sum(self.run.locust_requests(), |e| e.requests + e.local_failures)
    }

    /// Failures and local failures.
    fn failures(&self) -> u64 {
        self.sum(self.run.locust_failures(), |e| e.failures + e.local_failures)
    }

    fn local_failures(&self) -> u64 {
        self.sum(self.run.totals.local_failures, |e| e.local_failures)
    }

    /// Those that ended as the selector says.
    fn requests(&self, only: &Selector) -> u64 {
        match (only.status, only.answered) {
            (Some(status), _) => {
                let with = |e: &Endpoint| e.status.get(&status.to_string()).copied().unwrap_or(0);
                self.sum(self.run.endpoints.iter().map(with).sum(), with)
            }
            (None, Some(Answered::Well)) => self.samples() - self.failures(),
            (None, Some(Answered::Badly)) => self.failures(),
            (None, None) => self.samples(),
        }
    }
}

/// A figure of a latency: as the result has it, else of the histograms.
fn duration(
    only: &Selector,
    figure: Figure,
    run: &RunResult,
    part: &Part<'_>,
    durations: Option<&Durations>,
) -> Result<Value, NoHistogram> {
    let t = &run.totals;
    let kept = match (part.endpoints.as_deref(), only.answered) {
        (None, None) => Some(t.all_latency_ms),
        (None, Some(Answered::Well)) => Some(t.latency_ms),
        (None, Some(Answered::Badly)) => Some(t.failed_latency_ms),
        (Some([]), _) => Some(None),
        (Some([(_, one)]), None) => Some(one.all_latency_ms),
        (Some([(_, one)]), Some(Answered::Well)) => Some(one.latency_ms),
        (Some(_), _) => None,
    };
    match kept {
        Some(None) => return Ok(Err(NO_SAMPLES.into())),
        Some(Some(latency)) => {
            if let Some(ms) = of_latency(&latency, figure) {
                return Ok(Ok(ms));
            }
        }
        None => {}
    }
    let durations = durations.ok_or(NoHistogram)?;
    let wanted = |i: usize| part.endpoints.as_ref().is_none_or(|all| all.iter().any(|(at, _)| *at == i));
    let all = durations.latencies(wanted, only.answered);
    Ok(of_histogram(&all, figure).ok_or_else(|| NO_SAMPLES.into()))
}

fn of_latency(l: &LatencyMs, figure: Figure) -> Option<f64> {
    match figure {
        Figure::Average => Some(l.mean),
        Figure::Minimum => Some(l.min),
        Figure::Median => Some(l.p50),
        Figure::Maximum | Figure::Percentile(100.0) => Some(l.max),
        Figure::Percentile(n) => l.by_share().into_iter().find(|(share, _)| (share * 100.0 - n).abs() < 1e-9).map(|(_, ms)| ms),
        Figure::Value | Figure::Count | Figure::Rate => None,
    }
}

fn of_histogram(all: &Sparse, figure: Figure) -> Option<f64> {
    let us = match figure {
        Figure::Average => return all.mean_us().map(|us| us / 1000.0),
        Figure::Minimum => all.min_us(),
        Figure::Median => all.quantile_us(0.5),
        Figure::Maximum => all.max_us(),
        Figure::Percentile(n) => all.quantile_us(n / 100.0),
        Figure::Value | Figure::Count | Figure::Rate => None,
    };
    us.map(|us| f64::from(us) / 1000.0)
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
