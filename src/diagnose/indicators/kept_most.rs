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
    let each_keeps = run.plan.keepalive && !run.plan.is_open_loop() && all_work_to_the_end(run);
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
    if is_away || ends == 0 || limits_requests(run, open) || !keeps_idle_ones(run, open) {
        return None;
    }
    let life_s = open as f64 * seen.duration_s / run.totals.connections_opened.max(1) as f64;
    let enough = ends >= u64::from(users).saturating_sub(open);
    let never_idle = run.plan.think.max.is_zero();
    let is_limit = enough && is_steady(run, open) && (never_idle || life_s < IDLE_TIMEOUT_LEAST_S);
    (is_limit || open.saturating_mul(2) <= u64::from(users)).then_some(KeptMost { open, users, life_s, is_limit })
}

/// Users who have ended, or have no request left to make, keep no connection, whatever the target does.
fn all_work_to_the_end(run: &RunResult) -> bool {
    let asked = run.series.last().map_or(run.plan.users, |p| p.users_asked);
    run.plan.stages.is_none() && run.plan.requests == 0 && asked >= run.plan.users
}

/// Each connection that ended carried the same small number of answers, and none carried more: the target limits the requests of
/// a connection. With pauses, one that ends each after its first answer is known by the idle ones that it does not keep.
fn limits_requests(run: &RunResult, open: u64) -> bool {
    let (answers, opened) = (run.totals.requests.saturating_sub(run.totals.failures), run.totals.connections_opened);
    let ended = opened.saturating_sub(open) as f64;
    // None of them carried more than this, and those that are still open have carried some as well.
    let most = (answers as f64 / opened.max(1) as f64).ceil();
    let first = if run.plan.think.max.is_zero() { 1.0 } else { 2.0 };
    (first..=REQUESTS_MOST).contains(&most) && answers as f64 >= (most - REQUESTS_NEAR) * ended
}

/// Where users pause, many connections of a target that has too few of them are idle. Those of one that ends each after its
/// answer are all in service.
fn keeps_idle_ones(run: &RunResult, open: u64) -> bool {
    run.plan.think.max.is_zero() || run.totals.in_flight.is_some_and(|f| f.served as f64 >= KEPT_IDLE_SHARE * open as f64)
}

/// As many were open at earlier looks, the one with the most ports among them: one look at the end is of a moment.
fn is_steady(run: &RunResult, open: u64) -> bool {
    let near = |open: u64| STEADY_OPEN_TIMES * open as f64 + STEADY_OPEN_ROOM;
    let Some(most) = run.ports.as_ref().and_then(|ports| ports.states.established).map(u64::from) else { return false };
    let before = run.series.split_last().map_or(&[][..], |(_, before)| before);
    let mut looks = before
        .iter()
        .filter(|p| p.users_asked >= run.plan.users)
        .filter_map(|p| Some(u64::from(p.ports_used?.saturating_sub(p.time_wait?))));
    let mut seen = false;
    let never_fewer = looks.all(|used| {
        seen = true;
        open as f64 <= near(used)
    });
    seen && never_fewer && open as f64 <= near(most) && most as f64 <= near(open)
}
