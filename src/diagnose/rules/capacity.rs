//! The load that a full target can take, by arithmetic over what was measured: in a closed loop as many users as its
//! capacity serves without a queue, in an open one a part of its capacity.

use std::time::Duration;

use crate::diagnose::indicators::Indicators;
use crate::diagnose::thresholds::CAPACITY_SHARE;
use crate::model::figures;
use crate::model::finding::Remedy;
use crate::model::result::{Endpoint, RunResult};
use crate::remedy::{advice, count, load_with};

/// The same plan with the load that leaves no queue; `whose` median it is that the remedy promises. None where nothing is
/// known of the target without a queue, or nothing is left to take away.
pub(super) fn lighter(run: &RunResult, seen: &Indicators, whose: &str) -> Option<Remedy> {
    let plan = &run.plan;
    let capacity = seen.steady_rps;
    let alone_ms = response_without_queue_ms(run)?;
    let median = format!("{whose} near {} ms, the response without a queue (computed)", figures::ms(alone_ms));
    if plan.is_open_loop() {
        let rate = CAPACITY_SHARE * capacity.min(plan.rate);
        // Digits that nobody would type say nothing.
        let rate = if rate >= 10.0 { rate.floor() } else { ((rate * 10.0).floor() / 10.0).max(0.1) };
        let action = format!("ask for {} req/s, {} of what it answered", figures::rate(rate), figures::share(CAPACITY_SHARE));
        return Some(advice(action, load_with(plan, |p| p.rate = rate), median));
    }
    // Users who fill the target without a queue: capacity x (think + response without one).
    let fill = capacity * (seen.think_s + alone_ms / 1000.0);
    let users = (CAPACITY_SHARE * fill).ceil().min(fill.floor()).max(1.0);
    if users < f64::from(plan.users) {
        let users = users as u32;
        let action = format!(
            "offer what it can take: {} ({} req/s x ({} + {}) = {})",
            count(users, "user"),
            figures::rate(capacity),
            figures::seconds(seen.think_s),
            figures::seconds(alone_ms / 1000.0),
            figures::number(fill)
        );
        return Some(advice(action, load_with(plan, |p| p.users = users), median));
    }
    // As many users, who pause: the same arithmetic the other way round.
    let think = f64::from(plan.users) / (CAPACITY_SHARE * capacity) - alone_ms / 1000.0;
    let think = Duration::try_from_secs_f64(think).ok().filter(|t| *t > plan.think.mean())?;
    let think = Duration::from_millis(think.as_millis() as u64 + 1);
    let command = load_with(plan, |p| (p.think.min, p.think.max) = (think, think));
    Some(advice(format!("let the users pause {} between requests", figures::span(think)), command, median))
}

/// Where the arithmetic has nothing to say: the response without a queue, measured.
pub(super) fn one_at_a_time(run: &RunResult) -> Remedy {
    let once = load_with(&run.plan, |p| (p.users, p.rate, p.requests, p.duration) = (1, 0.0, 10, Duration::ZERO));
    advice("measure 10 requests, one at a time", once, "the response without a queue")
}

/// Mean of the endpoints' medians without the time in the target's queue, by how often each was asked; without
/// Server-Timing the quickest answer of each.
pub(super) fn response_without_queue_ms(run: &RunResult) -> Option<f64> {
    let alone = |e: &Endpoint| {
        let latency = e.latency_ms?;
        Some(e.server_timing_ms.as_ref().map_or(latency.min, |t| (latency.p50 - t.queue.p50).max(t.work.p50)))
    };
    let known: Vec<(f64, f64)> = run.endpoints.iter().filter_map(|e| Some((e.requests as f64, alone(e)?))).collect();
    let weight: f64 = known.iter().map(|(n, _)| n).sum();
    let mean = known.iter().map(|(n, ms)| n * ms).sum::<f64>() / weight;
    (weight > 0.0 && mean.is_finite() && mean > 0.0).then_some(mean)
}
