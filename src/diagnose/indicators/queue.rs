//! Requests that wait at the target: by its own timing, with a load that grew, or longer and longer at a constant one.

use super::prelude::*;

/// Requests that queue at the target, by what shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) enum Queue {
    /// Server-Timing of the endpoint with this index: medians in milliseconds
    Reported { endpoint: usize, queue_ms: f64, work_ms: f64 },
    /// latency grew with the users at flat throughput
    Rising(Growth),
    /// latency grew during the run at a constant load
    Leak(Leak),
}

/// Figures of earlier and of later seconds, between which the users grew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Growth {
    pub(in crate::diagnose) users: (f64, f64),
    pub(in crate::diagnose) rps: (f64, f64),
    pub(in crate::diagnose) p50_ms: (f64, f64),
}

/// Figures of the first and of the last third of a run with a constant load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Leak {
    pub(in crate::diagnose) p50_ms: (f64, f64),
    pub(in crate::diagnose) rps: (f64, f64),
    /// from which second on the median stayed above half of the growth
    pub(in crate::diagnose) since_s: f64,
}

pub(super) fn queue(run: &RunResult, seen: &Indicators) -> Seen<Queue> {
    let reported: Vec<(usize, f64, f64)> = run
        .endpoints
        .iter()
        .enumerate()
        .filter(|(_, e)| e.requests >= QUEUE_REQUESTS)
        .filter_map(|(i, e)| e.server_timing_ms.as_ref().map(|t| (i, t.queue.p50, t.work.p50)))
        .collect();
    let worst = reported.iter().filter(|(_, queue, work)| *queue >= QUEUE_MS && queue > work).max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some(&(endpoint, queue_ms, work_ms)) = worst {
        return Ok(Queue::Reported { endpoint, queue_ms, work_ms });
    }
    // A client that is saturated, starved or stalled queues too.
    let is_spoilt = seen.saturated.is_ok() || seen.is_disturbed();
    let growth = seen.growth.filter(|g| reported.is_empty() && !is_spoilt && is_flat(g));
    let leak = leak(run).filter(|_| !is_spoilt);
    match (growth, leak) {
        (Some(growth), _) => Ok(Queue::Rising(growth)),
        (None, Some(leak)) => Ok(Queue::Leak(leak)),
        // Timings that show no queue have the last word.
        (None, None) if reported.is_empty() && seen.growth.is_none() && !is_spoilt && is_pushed(run, seen) => {
            undecided("the target sends no Server-Timing, and the load never grew enough to compare")
        }
        (None, None) => Err(Clear),
    }
}

fn is_flat(g: &Growth) -> bool {
    let slower = g.p50_ms.1 >= GROWN_LATENCY * g.p50_ms.0 && g.p50_ms.1 - g.p50_ms.0 >= QUEUE_MS;
    slower && g.rps.1 < FLAT_THROUGHPUT * g.rps.0
}

/// More users than the one that cannot queue, in a hurry: a queue is possible, and would be what limits the rate.
fn is_pushed(run: &RunResult, seen: &Indicators) -> bool {
    let plan = &run.plan;
    let hurried = plan.think.max.is_zero() || seen.response_s.is_some_and(|r| r > seen.think_s);
    run.totals.latency_ms.is_some() && !plan.is_open_loop() && plan.users > 1 && hurried
}

/// Compares the seconds at up to two thirds of the users with those at nearly all; none where the users never grew that
/// much, or for lack of seconds. Seconds with failures are left out: failed requests make another loop.
pub(super) fn growth(run: &RunResult) -> Option<Growth> {
    let top = f64::from(run.series.iter().map(|p| p.users_asked).max()?);
    let band = |lo: f64, hi: f64| {
        let of = |p: &&SeriesPoint| {
            p.failures_per_s + p.local_failures_per_s <= 0.0 && (lo * top..=hi * top).contains(&f64::from(p.users_asked))
        };
        means(run.series.iter().filter(of), GROWTH_SECONDS)
    };
    let (early, late) = (band(0.0, 0.66)?, band(0.95, 1.0)?);
    (late.users >= GROWN_USERS * early.users).then_some(Growth {
        users: (early.users, late.users),
        rps: (early.rps, late.rps),
        p50_ms: (early.p50_ms, late.p50_ms),
    })
}

/// A median that is higher in the last third of the seconds at the full load: it rose all along, or from a moment on.
fn leak(run: &RunResult) -> Option<Leak> {
    let top = run.series.iter().map(|p| p.users_asked).max()?;
    let full = |p: &&SeriesPoint| run.plan.is_open_loop() || p.users_asked == top;
    let answered: Vec<&SeriesPoint> = run.series.iter().filter(full).filter(|p| p.p50_ms.is_some()).collect();
    let third = answered.len() / 3;
    let of = |part: &[&SeriesPoint]| means(part.iter().copied(), LEAK_SECONDS);
    let (first, rest) = answered.split_at(third);
    let (middle, last) = rest.split_at(rest.len() - third);
    let (first, middle, last) = (of(first)?, of(middle)?, of(last)?);
    let rises = middle.p50_ms < last.p50_ms;
    let slower = last.p50_ms >= LEAK_TIMES * first.p50_ms && last.p50_ms - first.p50_ms >= QUEUE_MS;
    let half = f64::midpoint(first.p50_ms, last.p50_ms);
    let since_s = answered.iter().rev().take_while(|p| p.p50_ms.is_some_and(|ms| ms >= half)).last().map_or(0.0, |p| p.t_s);
    (rises && slower).then_some(Leak { p50_ms: (first.p50_ms, last.p50_ms), rps: (first.rps, last.rps), since_s })
}

struct Means {
    users: f64,
    rps: f64,
    p50_ms: f64,
}

/// None for fewer seconds with an answer than `enough`.
fn means<'a>(points: impl Iterator<Item = &'a SeriesPoint>, enough: usize) -> Option<Means> {
    let known: Vec<(f64, f64, f64)> = points.filter_map(|p| Some((f64::from(p.users_asked), p.rps, p.p50_ms?))).collect();
    let n = known.len() as f64;
    let mean = |of: fn(&(f64, f64, f64)) -> f64| known.iter().map(of).sum::<f64>() / n;
    (known.len() >= enough.max(1)).then(|| Means { users: mean(|p| p.0), rps: mean(|p| p.1), p50_ms: mean(|p| p.2) })
}
