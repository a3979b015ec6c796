//! The load as it was made: how long, how fast, how much of what was asked for.

use super::prelude::*;

/// Seconds the run lasted; at least a thousandth, so that rates stay finite.
pub(in crate::diagnose) fn duration_s(run: &RunResult) -> f64 {
    if run.duration_s.is_finite() { run.duration_s.max(0.001) } else { 0.001 }
}

/// Each second of the series with when it began, seconds from the run's start.
pub(super) fn seconds_of(run: &RunResult) -> impl Iterator<Item = (f64, &SeriesPoint)> {
    std::iter::once(0.0).chain(run.series.iter().map(|p| p.t_s)).zip(&run.series)
}

/// Mean answered response of the steady part, else of the whole run, seconds.
pub(super) fn response_s(run: &RunResult) -> Option<f64> {
    let t = &run.totals;
    let ms = t.steady.as_ref().and_then(|s| s.latency_ms).or(t.latency_ms)?.mean;
    (ms.is_finite() && ms >= 0.0).then_some(ms / 1000.0)
}

/// Share of the attempts that failed, on either side.
pub(super) fn failed_share(run: &RunResult) -> f64 {
    let t = &run.totals;
    t.failures.saturating_add(t.local_failures) as f64 / t.attempts.max(1) as f64
}

/// What failed is a share of the attempts that can explain missing ones.
pub(in crate::diagnose) fn is_many(run: &RunResult, failed: u64) -> bool {
    failed as f64 > FALL_SHORT_SHARE * run.totals.attempts as f64
}
