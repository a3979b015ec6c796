//! A target that answered, went away in mid-run, and was still away at the end.

use super::prelude::*;
use super::rows::is_in_the_stop;

/// Since when, and what came before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Gone {
    /// seconds from the run's start
    pub(in crate::diagnose) since_s: f64,
    /// answered requests until then
    pub(in crate::diagnose) answered: u64,
    /// and how many that were per second
    pub(in crate::diagnose) rps_before: f64,
    /// connections refused since then
    pub(in crate::diagnose) refused: u64,
}

/// None where it never answered, or was there at the end.
pub(super) fn gone(run: &RunResult) -> Option<Gone> {
    by_seconds(run).or_else(|| by_last_answer(run))
}

/// A whole second without an answer, and refused connections.
fn by_seconds(run: &RunResult) -> Option<Gone> {
    let last = run.series.iter().rposition(|p| p.p50_ms.is_some())?;
    let after = run.series.get(last + 1..).filter(|rest| !rest.is_empty())?;
    // The second of the last answer may have the first refusals already.
    let second_began = if last == 0 { 0.0 } else { run.series[last - 1].t_s };
    let rows = Rows::of(run, |row| Kind::of(row).is_refused() && row.last_s >= run.series[last].t_s);
    let first = rows.first_s();
    let ended_s = after.iter().map(|p| p.t_s).fold(0.0, f64::max);
    let still_away = rows.last_s() + STILL_GONE_S >= ended_s.min(run.duration_s);
    if rows.is_empty() || !first.is_finite() || !still_away {
        return None;
    }
    // Connections that ended before the first refusal were the first sign.
    let ended = Rows::of(run, |row| Kind::of(row) == Kind::Reset && row.first_s >= second_began);
    let since_s = first.max(second_began).min(ended.first_s());
    Some(since(run, since_s, rows.count()))
}

/// No answer after the first of the connections that were refused up to the end, and none open at the end: a target that
/// went away in the last second shows no whole second without an answer.
fn by_last_answer(run: &RunResult) -> Option<Gone> {
    let after = run.totals.after_last_answer?;
    let (first, last) = (after.first_refused_s?, after.last_refused_s?);
    let still_away = last + STILL_GONE_S >= run.duration_s;
    if after.open_connections > 0 || !still_away || is_in_the_stop(run, first) {
        return None;
    }
    let ended = Rows::of(run, |row| Kind::of(row) == Kind::Reset && row.first_s >= after.last_answer_s);
    let gone = since(run, first.min(ended.first_s()), after.refused);
    // One that refuses now and then refuses at the end as well.
    let before = Rows::are(run, Kind::is_refused).count().saturating_sub(after.refused);
    let missing = gone.rps_before * (run.duration_s - after.last_answer_s);
    (before == 0 || missing >= GONE_MISSING as f64).then_some(gone)
}

fn since(run: &RunResult, since_s: f64, refused: u64) -> Gone {
    let answered = run.totals.requests.saturating_sub(run.totals.failures);
    Gone { since_s, answered, rps_before: answered as f64 / since_s.max(0.001), refused }
}
