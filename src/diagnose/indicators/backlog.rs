//! The target's queue of connections that wait for accept(): whether SYNs were dropped.

use super::prelude::*;
use crate::model::result::Connects;

/// An overflow, by what shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Overflow {
    /// SYNs that the kernel of this namespace dropped, where the target lives here
    pub(in crate::diagnose) dropped: Option<u64>,
    /// set-ups of which a SYN was sent again
    pub(in crate::diagnose) retried: Retried,
    pub(in crate::diagnose) near_1s: u64,
    pub(in crate::diagnose) near_3s: u64,
    pub(in crate::diagnose) given_up: u64,
    /// connections that may wait at the target's listener, where it lives here
    pub(in crate::diagnose) limit: Option<u32>,
}

/// Set-ups that took a second or more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Retried {
    pub(in crate::diagnose) count: u64,
    /// the longest, milliseconds
    pub(in crate::diagnose) longest_ms: f64,
}

impl Retried {
    fn of(run: &RunResult) -> Self {
        // A document from before all of them were counted has those near 1 s and 3 s.
        let count = |c: Connects| c.setup_retried.max(c.setup_near_1s.saturating_add(c.setup_near_3s));
        let connects = run.totals.connects;
        Self { count: connects.map_or(0, count), longest_ms: connects.map_or(0.0, |c| c.setup_max_ms) }
    }
}

/// Where the counters are the target's and say that nothing was dropped: something else lost SYNs.
pub(super) fn retried(run: &RunResult) -> Option<Retried> {
    let retried = Retried::of(run);
    (retried.count >= SYN_RETRIES && counted(run) == Some(0)).then_some(retried)
}

/// Drops by listeners of this namespace; none where the target lives elsewhere.
fn counted(run: &RunResult) -> Option<u64> {
    run.kernel.filter(|_| run.is_own_target_here()).map(|k| k.listen_overflows.max(k.listen_drops))
}

pub(super) fn overflow(run: &RunResult) -> Seen<Overflow> {
    let (counted, retried) = (counted(run), Retried::of(run));
    let (near_1s, near_3s) = run.totals.connects.map_or((0, 0), |c| (c.setup_near_1s, c.setup_near_3s));
    let cluster = retried.count;
    let given_up = Rows::kind(run, Kind::ConnectTimeout).count();
    // The counters are of all listeners of the namespace: where none of our set-ups was delayed, another's overflowed.
    let held_up = !nobody_listens(run)
        && (run.totals.connects.is_none_or(|c| c.setup_max_ms >= HELD_UP_MS) || cluster > 0 || given_up > 0 || is_stuck(run));
    let dropped = if held_up { counted } else { counted.map(|_| 0) };
    // Where the counters are the target's and say that nothing was dropped, a retry had another cause: slow-connects.
    let clustered = cluster >= SYN_RETRIES && counted != Some(0);
    if dropped.unwrap_or(0) > 0 || clustered {
        let limit = run.series.iter().find_map(|p| p.accept_queue_limit);
        return Ok(Overflow { dropped: dropped.filter(|n| *n > 0), retried, near_1s, near_3s, given_up, limit });
    }
    match (dropped, run.totals.connects) {
        (None, _) if given_up > 0 => undecided("connects timed out, and the target's ListenOverflows cannot be read from here"),
        // Nothing was established and nothing was waited for: no queue had a part in it.
        (None, None) if run.totals.connections_opened > 0 => {
            undecided("neither ListenOverflows nor the durations of connection set-ups are known")
        }
        _ => Err(Clear),
    }
}

/// No connection was made, and each attempt was refused: there is no listener whose queue could be full.
fn nobody_listens(run: &RunResult) -> bool {
    let t = &run.totals;
    let refused = Rows::are(run, |kind| matches!(kind, Kind::Refused | Kind::SelfConnect)).count();
    let connecting = t.in_flight.map_or(t.cut, |f| f.connecting);
    refused > 0 && t.connections_opened == 0 && connecting == 0 && t.connects_failed <= refused
}

/// A set-up can still be under way at the end: a started user without its connection or, without keep-alive, an
/// attempt whose connection was neither established nor failed. A rate that few connections keep up with opens no more.
fn is_stuck(run: &RunResult) -> bool {
    let t = &run.totals;
    if run.plan.keepalive && run.plan.is_open_loop() {
        return t.in_flight.is_some_and(|f| f.connecting > 0);
    }
    let started = run.series.iter().map(|p| p.users_asked).max().filter(|n| *n > 0).unwrap_or(t.users_asked);
    let ended = t.local_failures.saturating_add(t.connections_opened).saturating_add(t.connects_failed);
    if run.plan.keepalive { t.users_reached < started } else { t.attempts > ended }
}
