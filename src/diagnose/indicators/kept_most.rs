//! A target that keeps fewer connections at a time than there are users, and ends others for new ones.

use super::prelude::*;

/// Connections at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct KeptMost {
    /// open at the end
    pub(in crate::diagnose) open: u64,
    /// users that should have kept one each
    pub(in crate::diagnose) users: u32,
    /// mean life of a connection, by Little's law: those open at a time by those opened per second, seconds
    pub(in crate::diagnose) life_s: f64,
    /// the target's own timeout of idle connections does not explain it
    pub(in crate::diagnose) is_limit: bool,
}

/// None where most users kept a connection, or none at all was kept.
pub(super) fn kept_most(run: &RunResult, seen: &Indicators) -> Option<KeptMost> {
    let (open, users) = (run.totals.after_last_answer?.open_connections, run.plan.users);
    let each_keeps = run.plan.keepalive && !run.plan.is_open_loop();
    if !each_keeps || open == 0 || open as f64 > KEPT_MOST_SHARE * f64::from(users) {
        return None;
    }
    // Users whose connections are refused, lost or still being made have none for another reason.
    let is_away = seen.gone.is_some() || seen.refusing.is_some() || seen.overflow.is_ok() || seen.retried.is_some();
    let resets = Rows::kind(run, Kind::Reset);
    let reused = resets.0.iter().filter(|row| row.reused).fold(0_u64, |sum, row| sum.saturating_add(row.count));
    let idle = run.closes.idle_fin.saturating_add(run.closes.idle_reset);
    // One that turns new ones away goes on serving those that it has.
    let turned_away = match run.totals.in_flight {
        Some(f) if f.served > 0 && resets.last_s() + STILL_GONE_S >= run.duration_s => resets.count() - reused,
        _ => 0,
    };
    let ends = reused.saturating_add(idle).saturating_add(turned_away);
    if is_away || ends == 0 {
        return None;
    }
    let life_s = open as f64 * seen.duration_s / run.totals.connections_opened.max(1) as f64;
    let enough = ends >= u64::from(users).saturating_sub(open);
    let never_idle = run.plan.think.max.is_zero();
    let is_limit = enough && (never_idle || life_s < IDLE_TIMEOUT_LEAST_S);
    (is_limit || open.saturating_mul(2) <= u64::from(users)).then_some(KeptMost { open, users, life_s, is_limit })
}
