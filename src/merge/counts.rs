//! What adds up: counts, errors, statuses. Extremes and means of latencies are exact in each machine's document, and so in
//! the merged one.

use super::Part;
use super::align::Axis;
use crate::model::order::Order as _;
use crate::model::result::{ErrorRow, FailureSpan, InFlight, LatencyMs, RunResult, SurplusRow};
use crate::model::time::per_second;
use crate::stats::outages;

/// Puts the sums over all machines into `run`.
pub(super) fn add(parts: &[Part], axis: &Axis, run: &mut RunResult) {
    totals(parts, run);
    endpoints(parts, run);
    run.errors = rows(parts, axis, |run| &run.errors, same_error, |row| [&mut row.first_s, &mut row.last_s], add_error);
    run.errors.order_by(|a, b| b.count.cmp(&a.count).then_with(|| a.first_s.total_cmp(&b.first_s)));
    run.surplus = rows(parts, axis, |run| &run.surplus, same_surplus, |row| [&mut row.first_s, &mut row.last_s], add_surplus);
    run.closes = parts.iter().fold(run.closes, |mut sum, part| {
        sum += part.run.closes;
        sum
    });
    run.totals.local_failure_spans = spans(parts, axis);
    run.totals.in_flight = parts.iter().map(|part| part.run.totals.in_flight).reduce(in_flight).flatten();
    let partial = parts.iter().filter_map(|part| part.run.totals.partial_answer.clone());
    run.totals.partial_answer = partial.reduce(|a, b| if b.waited_ms > a.waited_ms { b } else { a });
}

/// Sums of documents stay at the most that fits.
fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

fn totals(parts: &[Part], run: &mut RunResult) {
    let all = || parts.iter().map(|part| &part.run.totals);
    let t = &mut run.totals;
    t.attempts = sum(all().map(|t| t.attempts));
    t.requests = sum(all().map(|t| t.requests));
    t.failures = sum(all().map(|t| t.failures));
    t.local_failures = sum(all().map(|t| t.local_failures));
    t.cut = sum(all().map(|t| t.cut));
    t.never_started = sum(all().map(|t| t.never_started));
    t.rps = per_second(t.requests, run.duration_s);
    t.failures_per_s = per_second(t.failures, run.duration_s);
    t.bytes_in = sum(all().map(|t| t.bytes_in));
    t.bytes_out = sum(all().map(|t| t.bytes_out));
    t.connections_opened = sum(all().map(|t| t.connections_opened));
    t.connects_failed = sum(all().map(|t| t.connects_failed));
    let carried: f64 = all().filter_map(|t| Some(t.requests_per_connection? * t.connections_opened as f64)).sum();
    t.requests_per_connection = (t.connections_opened > 0).then(|| carried / t.connections_opened as f64);
    t.users_asked = all().fold(0, |sum, t| sum.saturating_add(t.users_asked));
    t.users_reached = all().fold(0, |sum, t| sum.saturating_add(t.users_reached));
    t.ring_busy_skips = sum(all().map(|t| t.ring_busy_skips));
    t.lag_max_ms = all().filter_map(|t| t.lag_max_ms).reduce(f64::max);
    exact(&mut t.latency_ms, all().map(|t| (t.latency_ms, t.requests - t.failures.min(t.requests))));
    exact(&mut t.failed_latency_ms, all().map(|t| (t.failed_latency_ms, t.failures)));
    exact(&mut t.all_latency_ms, all().map(|t| (t.all_latency_ms, t.requests)));
}

/// The extremes and the mean of distributions with so many values each.
fn exact(merged: &mut Option<LatencyMs>, parts: impl Iterator<Item = (Option<LatencyMs>, u64)>) {
    let Some(merged) = merged else { return };
    let known: Vec<(LatencyMs, u64)> = parts.filter_map(|(latency, n)| Some((latency?, n))).collect();
    let values = sum(known.iter().map(|(_, n)| *n));
    let (Some(min), Some(max)) =
        (known.iter().map(|(l, _)| l.min).reduce(f64::min), known.iter().map(|(l, _)| l.max).reduce(f64::max))
    else {
        return;
    };
    if values > 0 {
        merged.mean = known.iter().map(|(l, n)| l.mean * *n as f64).sum::<f64>() / values as f64;
    }
    // A percentile of the log is the upper end of its bin: none lies beyond what was measured.
    for p in merged.percentiles_mut() {
        *p = p.clamp(min, max);
    }
    (merged.min, merged.max) = (min, max);
}

fn endpoints(parts: &[Part], run: &mut RunResult) {
    let duration_s = run.duration_s;
    for (at, endpoint) in run.endpoints.iter_mut().enumerate() {
        let all = || parts.iter().filter_map(|part| part.run.endpoints.get(at));
        endpoint.requests = sum(all().map(|e| e.requests));
        endpoint.failures = sum(all().map(|e| e.failures));
        endpoint.local_failures = sum(all().map(|e| e.local_failures));
        endpoint.cut = sum(all().map(|e| e.cut));
        endpoint.rps = per_second(endpoint.requests, duration_s);
        endpoint.status.clear();
        for (status, n) in all().flat_map(|e| &e.status) {
            let sum = endpoint.status.entry(status.clone()).or_default();
            *sum = sum.saturating_add(*n);
        }
        let answers = sum(endpoint.status.values().copied());
        let bytes: f64 = all().filter_map(|e| Some(e.content_size_mean? * sum(e.status.values().copied()) as f64)).sum();
        endpoint.content_size_mean = (answers > 0).then(|| bytes / answers as f64);
        exact(&mut endpoint.latency_ms, all().map(|e| (e.latency_ms, e.requests - e.failures.min(e.requests))));
        exact(&mut endpoint.all_latency_ms, all().map(|e| (e.all_latency_ms, e.requests)));
    }
}

/// Rows of all machines in the order of their parts, with `times` (when it was seen first and last) on one axis. `add` adds the
/// counts of a row to those of the same one; what else a row says is that of the first in time.
fn rows<R: Clone>(
    parts: &[Part],
    axis: &Axis,
    of: fn(&RunResult) -> &Vec<R>,
    same: fn(&R, &R) -> bool,
    times: fn(&mut R) -> [&mut f64; 2],
    add: fn(&mut R, &R),
) -> Vec<R> {
    let mut all: Vec<R> = Vec::new();
    for (part, shift) in parts.iter().zip(&axis.shifts) {
        for mut row in of(&part.run).iter().cloned() {
            for t in times(&mut row) {
                *t += *shift as f64;
            }
            let Some(known) = all.iter_mut().find(|known| same(known, &row)) else {
                all.push(row);
                continue;
            };
            if *times(&mut row)[0] < *times(known)[0] {
                std::mem::swap(known, &mut row);
            }
            add(known, &row);
            let last_s = times(known)[1].max(*times(&mut row)[1]);
            *times(known)[1] = last_s;
        }
    }
    all
}

fn same_error(a: &ErrorRow, b: &ErrorRow) -> bool {
    let kind = |e: &ErrorRow| (e.call, e.errno, e.cause, e.port_choice, e.port_bound, e.reused, e.so_error, e.local, e.phase);
    kind(a) == kind(b) && a.name == b.name && a.endpoint == b.endpoint && a.method == b.method
}

fn add_error(known: &mut ErrorRow, row: &ErrorRow) {
    known.count = known.count.saturating_add(row.count);
}

fn same_surplus(a: &SurplusRow, b: &SurplusRow) -> bool {
    a.kind == b.kind && a.endpoint == b.endpoint && a.method == b.method
}

fn add_surplus(known: &mut SurplusRow, row: &SurplusRow) {
    known.count = known.count.saturating_add(row.count);
    known.bytes = known.bytes.saturating_add(row.bytes);
}

/// Stretches of failures of any machine.
fn spans(parts: &[Part], axis: &Axis) -> Vec<FailureSpan> {
    let moved = parts.iter().zip(&axis.shifts).flat_map(|(part, shift)| {
        let by = *shift as f64;
        part.run.totals.local_failure_spans.iter().map(move |s| FailureSpan { from_s: s.from_s + by, to_s: s.to_s + by, ..*s })
    });
    let mut all: Vec<FailureSpan> = moved.collect();
    all.order_by(|a, b| a.from_s.total_cmp(&b.from_s).then(a.to_s.total_cmp(&b.to_s)));
    let mut joined: Vec<FailureSpan> = Vec::new();
    for span in all {
        match joined.last_mut() {
            Some(last) if span.from_s <= last.to_s + outages::GAP.as_secs_f64() => {
                last.to_s = last.to_s.max(span.to_s);
                last.count = last.count.saturating_add(span.count);
            }
            _ => joined.push(span),
        }
    }
    joined
}

/// None where one machine did not record it. When the oldest was sent is of its own machine's time, and left out.
fn in_flight(a: Option<InFlight>, b: Option<InFlight>) -> Option<InFlight> {
    let (a, b) = (a?, b?);
    Some(InFlight {
        count: a.count.saturating_add(b.count),
        connecting: a.connecting.saturating_add(b.connecting),
        waiting: a.waiting.saturating_add(b.waiting),
        receiving: a.receiving.saturating_add(b.receiving),
        overdue: a.overdue.saturating_add(b.overdue),
        unserved: a.unserved.saturating_add(b.unserved),
        served: a.served.saturating_add(b.served),
        waited_max_ms: a.waited_max_ms.max(b.waited_max_ms),
        oldest_sent_s: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{OK, part};
    use super::*;

    #[test]
    fn a_short_outage_within_a_long_one_ends_with_it() {
        let mut parts = [1, 2, 3].map(|n| part(n, 3, "2026-11-24T10:00:00Z", &[(0, 10, OK)]));
        let outages = [(1.0, 3.0, 10), (1.5, 1.7, 2), (3.2, 3.4, 1)];
        for (part, (from_s, to_s, count)) in parts.iter_mut().zip(outages) {
            part.run.totals.local_failure_spans = vec![FailureSpan { from_s, to_s, count }];
        }
        let axis = Axis::of(&parts);
        // The third begins less than half a second after the first has ended.
        assert_eq!(spans(&parts, &axis), [FailureSpan { from_s: 1.0, to_s: 3.4, count: 13 }]);
        parts[2].run.totals.local_failure_spans.clear();
        assert_eq!(spans(&parts, &axis), [FailureSpan { from_s: 1.0, to_s: 3.0, count: 12 }]);
    }
}
