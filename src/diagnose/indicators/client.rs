//! The client as the limit: a worker without CPU to spare, or a schedule that it could not keep.

use super::prelude::*;
use crate::model::result::{full_client_seconds, whole_seconds};

/// How the client was the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Saturated {
    /// seconds in which a load thread was saturated
    pub(in crate::diagnose) seconds: u32,
    /// of them, seconds in which its loop never had to wait for events although it did not run all the time
    pub(in crate::diagnose) never_idle: u32,
    /// of so many that were measured
    pub(in crate::diagnose) measured: u32,
    /// and these were more than the share of the measured ones that counts
    pub(in crate::diagnose) for_long: bool,
    /// p99 lateness by its own fault, milliseconds
    pub(in crate::diagnose) late_ms: Option<f64>,
    /// a worker had or wanted a core for most of the run
    pub(in crate::diagnose) hurried: bool,
    /// a rate was asked for, and the client kept it: more was not tried
    pub(in crate::diagnose) kept_rate: bool,
}

impl Saturated {
    /// Most of its seconds are known by its loop alone: it had less than its whole core.
    pub(in crate::diagnose) fn by_loop(&self) -> bool {
        self.never_idle.saturating_mul(2) > self.seconds
    }
}

pub(super) fn saturated(run: &RunResult, seen: &Indicators) -> Seen<Saturated> {
    let hurried = is_hurried(run, seen);
    // Where threads wait for a core that others have, or stalled, they are late for that: host-contended, client-stalled.
    let late_ms = lateness(run, seen, hurried).filter(|_| seen.contention.is_err() && seen.client_stalls.is_err());
    let ran_all = |p: &SeriesPoint| p.client_busiest_percent.is_some_and(|ran| ran >= RAN_PERCENT);
    let never_idle = whole_seconds(&run.series).filter(|p| p.is_client_full() == Some(true) && !ran_all(p)).count() as u32;
    let kept_rate = late_ms.is_none() && seen.shortfall.is_some_and(|s| s.missing <= FALL_SHORT_SHARE * s.asked);
    let of = |seconds, measured, for_long| Ok(Saturated { seconds, never_idle, measured, for_long, late_ms, hurried, kept_rate });
    if run.plan.busy_poll {
        return match late_ms {
            Some(_) => of(0, 0, false),
            None => undecided("with --busy-poll a thread uses its whole core, with work or without"),
        };
    }
    let Some((seconds, measured)) = full_seconds(run) else {
        return match late_ms {
            Some(_) => of(0, 0, false),
            None if had_time(run, seen) => Err(Clear),
            None => undecided("the CPU of the client's threads was not measured for a whole second"),
        };
    };
    let enough = measured >= SATURATED_SECONDS;
    let for_long = enough && f64::from(seconds) > SATURATED_SHARE * f64::from(measured);
    match (for_long || late_ms.is_some(), enough) {
        (true, _) => of(seconds, measured, for_long),
        (false, true) => Err(Clear),
        (false, false) if had_time(run, seen) => Err(Clear),
        (false, false) => undecided(format!("the CPU of the client's threads was measured for {measured} s only")),
    }
}

/// Seconds in which a load thread had no time left while the target had room, and measured seconds: from the series, else as
/// they were counted when the run ended.
fn full_seconds(run: &RunResult) -> Option<(u32, u32)> {
    let (full, measured) = full_client_seconds(&run.series);
    if measured == 0 {
        let c = &run.resources.client;
        return c.saturated_seconds.map(|full| (full, c.measured_seconds));
    }
    Some((full, measured))
}

/// How late the client was by its own fault, 99th percentile in milliseconds; none where it kept its schedule, where
/// the requests are too few for a percentile, or where its connections were busy and it was not.
fn lateness(run: &RunResult, seen: &Indicators, hurried: bool) -> Option<f64> {
    let (c, attempts) = (&run.resources.client, run.totals.attempts);
    let ms = c.lateness_p99_ms.filter(|l| run.plan.is_open_loop() && *l > LATENESS_MS)?;
    // p99 is that late, so 1 % are at least.
    let times = c.late_requests.max(attempts / 100);
    // One stall of the machine makes all late that were due in it: this is how long the stalls were together.
    let stalled_s = times as f64 / attempts.max(1) as f64 * seen.duration_s;
    let enough = attempts >= LATE_SAMPLE && times >= LATE_REQUESTS && stalled_s >= LATE_STALL_S;
    // A loop that has time and leaves due requests out has no free connection for them: it waits for answers, and the
    // few that come late are those that it takes up at once when an answer frees a connection.
    let left_out = seen.shortfall.is_some_and(|s| s.missing > FALL_SHORT_SHARE * s.asked);
    let waits_for_answers = left_out && times.saturating_mul(2) < attempts && !hurried;
    (enough && !waits_for_answers).then_some(ms)
}

/// Every load thread was idle for most of the run: no second of it can say otherwise.
fn had_time(run: &RunResult, seen: &Indicators) -> bool {
    !run.resources.client.threads.is_empty() && !is_hurried(run, seen)
}

fn is_hurried(run: &RunResult, seen: &Indicators) -> bool {
    let most = run.resources.client.threads.iter().map(|t| t.cpu_s + t.wait_s).fold(0.0, f64::max);
    most >= BUSY_WORKER_SHARE * seen.duration_s
}
