//! When failures came in a run: all along, from a moment on, or for a while.

use super::prelude::*;

/// When failures came, and how many requests ended in that time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Course {
    /// none where they came from the beginning
    pub(in crate::diagnose) since_s: Option<f64>,
    /// none where they still came at the end
    pub(in crate::diagnose) until_s: Option<f64>,
    /// share of the requests of that time that failed; none without a series
    pub(in crate::diagnose) share: Option<f64>,
}

/// As many times the mean time between two failures without one show that they stopped.
const GAPS: f64 = 3.0;

impl Course {
    pub(in crate::diagnose) fn of(run: &RunResult, rows: &Rows<'_>) -> Self {
        Self::after(run, rows, 0.0)
    }

    /// As [`Self::of`], of failures that are noticed `delay_s` after they began.
    pub(in crate::diagnose) fn after(run: &RunResult, rows: &Rows<'_>, delay_s: f64) -> Self {
        let (first, last, end) = (rows.first_s() - delay_s, rows.last_s(), run.duration_s);
        let late = end * MID_RUN_SHARE;
        // Where nothing ended otherwise, nothing was different before.
        let is_all = rows.count().saturating_add(run.totals.cut) >= run.totals.attempts;
        let since_s = (first.is_finite() && first > late && !is_all).then_some(first);
        // Users pause after a failure, and rare ones leave gaps.
        let gap = (last - first) / rows.count().saturating_sub(1).max(1) as f64;
        let still = last + late.max(STILL_GONE_S + delay_s).max(GAPS * gap) >= end;
        let until_s = (!still && last.is_finite()).then_some(last);
        let from = since_s.unwrap_or(0.0);
        let inside = |t_s: f64| t_s > from && t_s - 1.0 <= until_s.unwrap_or(end);
        let then = seconds_of(run).filter(|(_, p)| inside(p.t_s));
        let ended: f64 = then.map(|(from_s, p)| p.rps * (p.t_s - from_s).max(0.0)).sum();
        let share = (ended >= 1.0).then(|| (rows.count() as f64 / ended).min(1.0));
        Self { since_s, until_s, share }
    }

    /// ` since 50 s`, ` from 10 s to 20 s`, ` until 3 s`; nothing where they came all along.
    pub(in crate::diagnose) fn in_words(&self) -> String {
        match (self.since_s, self.until_s) {
            (None, None) => String::new(),
            (Some(since), None) => format!(" since {}", seconds(since)),
            (Some(since), Some(until)) if until - since < 1.0 => format!(" at {}", seconds(since)),
            (Some(since), Some(until)) => format!(" from {} to {}", seconds(since), seconds(until)),
            (None, Some(until)) => format!(" until {}", seconds(until)),
        }
    }

    /// The same after a share of the whole run, which is none of that time: `, all since 50 s`.
    pub(in crate::diagnose) fn all_in_words(&self) -> String {
        if self.is_part() { format!(", all{}", self.in_words()) } else { String::new() }
    }

    /// It began or ended in mid-run.
    pub(in crate::diagnose) const fn is_part(&self) -> bool {
        self.since_s.is_some() || self.until_s.is_some()
    }
}
