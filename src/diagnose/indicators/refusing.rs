//! When the target refused connections: always, before it listened, for a while, now and then, or up to the end.

use super::prelude::*;

/// When connections were refused.
#[derive(Debug, Clone, Copy, PartialEq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(in crate::diagnose) enum Refusing {
    /// no connection met a listener
    Always,
    /// from the start up to this second, before anything was answered: it started late
    AtFirst(f64),
    /// in one stretch, with answers before and after it
    ForAWhile,
    /// with answers in between
    NowAndThen,
    /// from a moment up to the end
    ToTheEnd,
}

/// None where nothing was refused.
pub(super) fn refusing(run: &RunResult) -> Option<Refusing> {
    let rows = Rows::are(run, Kind::is_refused);
    if rows.is_empty() {
        return None;
    }
    // Other requests met a listener, whatever became of them.
    if run.totals.requests.saturating_add(run.totals.cut) <= rows.count() {
        return Some(Refusing::Always);
    }
    let (first, last) = (rows.first_s(), rows.last_s());
    let answered = |from: f64, to: f64| run.series.iter().any(|p| p.p50_ms.is_some() && p.t_s - 1.0 >= from && p.t_s <= to);
    let last_answer = run.totals.after_last_answer.map(|after| after.last_answer_s);
    let is_back = last_answer.map_or_else(|| answered(last.floor(), f64::INFINITY), |at| at > last);
    Some(match (is_back, answered(0.0, last), answered(first, last)) {
        (false, ..) => Refusing::ToTheEnd,
        (true, false, _) if first <= FROM_THE_START_S => Refusing::AtFirst(last),
        (true, _, false) => Refusing::ForAWhile,
        (true, _, true) => Refusing::NowAndThen,
    })
}
