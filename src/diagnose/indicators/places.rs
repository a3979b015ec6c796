//! A target that serves some connections all the time and others not at all: it has so many places for connections.

use super::prelude::*;

/// How many connections have a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Places {
    /// connections open at the end that have carried answers
    pub(in crate::diagnose) served: u64,
    /// connections whose first request waits for its first byte
    pub(in crate::diagnose) waiting: u64,
    /// connections still being made
    pub(in crate::diagnose) connecting: u64,
    /// requests on fresh connections that the timeout ended
    pub(in crate::diagnose) timed_out: u64,
    /// longest wait, milliseconds
    pub(in crate::diagnose) waited_ms: f64,
    /// connections that the target had not accepted through the later half of the run; none where that cannot be seen
    pub(in crate::diagnose) not_accepted: Option<u32>,
}

impl Places {
    pub(in crate::diagnose) const fn without(&self) -> u64 {
        self.waiting.saturating_add(self.connecting)
    }

    pub(in crate::diagnose) const fn all(&self) -> u64 {
        self.served.saturating_add(self.without())
    }
}

/// None where a connection that was served hangs too: then it is the requests, and not the places.
pub(super) fn places(run: &RunResult, seen: &Indicators) -> Option<Places> {
    let hang = seen.hang.as_ref().ok().filter(|hang| run.plan.keepalive && hang.rps_before.is_none())?;
    let f = run.totals.in_flight?;
    let late = Rows::kind(run, Kind::AnswerTimeout);
    let is_first = |cause| cause == Cause::TimedOut(Phase::Waiting);
    let only_fresh = late.0.iter().all(|row| !row.reused && row.failure().is_some_and(|failure| is_first(failure.cause)));
    // A served connection may be in the middle of an answer when the run ends.
    if f.served == 0 || f.receiving > f.served || f.overdue != f.unserved || !only_fresh {
        return None;
    }
    // Those whose timeout has just ended begin again at the end.
    let waiting = if f.unserved == 0 { u64::from(run.plan.users).saturating_sub(f.served + f.connecting) } else { f.unserved };
    let not_accepted = not_accepted(run);
    let enough = waiting >= WAITING_CONNECTIONS || not_accepted.is_some_and(|n| u64::from(n) >= waiting.max(1));
    (enough && waiting > 0).then_some(Places {
        served: f.served,
        waiting,
        connecting: f.connecting,
        timed_out: late.count(),
        waited_ms: hang.waited_ms,
        not_accepted,
    })
}

/// The accept queue at the last look before the end, where it holds every connection that was established by then: the target
/// has accepted none. Connections that this side gave up stay in the queue, so their number alone says nothing. A look may come a
/// little later than the count of its second, and see those that were made between them; so no look of the later half may see
/// fewer.
pub(super) fn none_accepted(run: &RunResult) -> Option<u32> {
    let last = run.series.len().checked_sub(1)?;
    let mut established = 0_u64;
    let counted = run.series[..last].iter().map(|p| {
        established += p.connects;
        Some((u64::from(p.accept_queue?), established))
    });
    let looks: Vec<(u64, u64)> = counted.skip(last / 2).flatten().collect();
    let (waiting, all) = *looks.last()?;
    let never_fewer = looks.iter().all(|(waiting, all)| waiting >= all);
    (never_fewer && waiting > 0 && waiting == all).then(|| u32::try_from(waiting).unwrap_or(u32::MAX))
}

/// The fewest in the later half of the seconds: these stayed. The look at the end of the last one may come when the load is
/// over, and the target takes those that waited for its connections.
pub(super) fn not_accepted(run: &RunResult) -> Option<u32> {
    let last = run.series.len().checked_sub(1)?;
    let later = run.series.get(last / 2..last)?;
    later.iter().filter_map(|p| p.accept_queue).min()
}
