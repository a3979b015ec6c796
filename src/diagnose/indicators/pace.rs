//! The closed loop: whether the users' own pace, and nothing else, sets the rate.

use super::prelude::*;

/// Users / (think + response), and what it is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct OwnPace {
    pub(in crate::diagnose) response_s: f64,
    pub(in crate::diagnose) predicted_rps: f64,
}

pub(super) fn own_pace(run: &RunResult, seen: &Indicators) -> Seen<OwnPace> {
    if run.plan.is_open_loop() || run.plan.think.max.is_zero() {
        return Err(Clear);
    }
    let (Some(response_s), Some(predicted_rps)) = (seen.response_s, seen.closed_loop_rps(run)) else {
        return undecided("nothing was answered");
    };
    if run.totals.steady.is_none() && run.plan.ramp().as_secs_f64() > 0.1 * seen.duration_s {
        return undecided("the run ended before all users had been started for long");
    }
    if seen.is_disturbed() {
        return Err(Clear);
    }
    let near = (seen.steady_rps - predicted_rps).abs() <= CLOSED_LOOP_NEAR * predicted_rps;
    if !near || response_s > seen.think_s || seen.failed_share > FEW_FAILURES {
        return Err(Clear);
    }
    // users / (think + response) is the rate of a full target too, whose queue is in the response: then it is the limit.
    if seen.queue.is_ok() || seen.cpu.is_ok() {
        return Err(Clear);
    }
    match waited_s(run) {
        Some(waited) if waited <= CLOSED_LOOP_NEAR * (seen.think_s + response_s) => Ok(OwnPace { response_s, predicted_rps }),
        _ if told_queue_s(run).is_some() => Err(Clear),
        _ => undecided(
            "answers vary, and without Server-Timing a queue at the target cannot be distinguished from work that varies",
        ),
    }
}

/// Seconds of a mean answer that a target without a queue would not have taken: as it says itself, else what the
/// median of each endpoint is above its quickest answer.
fn waited_s(run: &RunResult) -> Option<f64> {
    told_queue_s(run).or_else(|| {
        let answered = run.endpoints.iter().filter_map(|e| e.latency_ms.map(|l| (e.requests as f64, l.p50 - l.min)));
        weighted(answered)
    })
}

/// Mean of the endpoints' median queues by their Server-Timing, where each of them reports one.
fn told_queue_s(run: &RunResult) -> Option<f64> {
    let answered = || run.endpoints.iter().filter(|e| e.latency_ms.is_some());
    answered().all(|e| e.server_timing_ms.is_some()).then_some(())?;
    weighted(answered().filter_map(|e| e.server_timing_ms.as_ref().map(|t| (e.requests as f64, t.queue.p50))))
}

/// Weighted mean of milliseconds, in seconds.
fn weighted(all: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (weight, sum) = all.fold((0.0, 0.0), |(w, s), (weight, ms)| (w + weight, s + weight * ms.max(0.0)));
    (weight > 0.0).then(|| sum / weight / 1000.0)
}
