//! The recorder of one worker thread: samples in, whole seconds and totals out.
//!
//! No locks, and no allocation for each sample: a histogram allocates when first used, and when a value is beyond its range,
//! which then at least doubles; tables and lists allocate for what they did not have. What is recorded in a second goes into
//! dense histograms that are emptied into sparse bins when the second ends.

use std::collections::BTreeMap;
use std::time::Duration;

use super::counts::Counts;
use super::histogram::{Coarse, Latencies};
use super::interval::{EndpointSecond, Interval};
use super::stalls::{Silences, Standstills};
use super::totals::WorkerTotals;
use crate::model::outcome::{Call, Cause, ClosedBy, EndpointId, Failure, Outcome, Phase, Sample};
use crate::model::time::Stamp;

/// Quiet seconds made up at once when time jumps; a longer jump is a broken clock.
const GAP_SECONDS_MAX: u64 = 86_400;

/// Counts what one worker thread sees. See the module.
#[derive(Debug)]
pub struct Recorder {
    steady_from: Stamp,
    open_loop: bool,
    /// the running second, and the stamp at which it ends
    second: u64,
    second_end: Stamp,
    now: RunningSecond,
    done: Vec<Interval>,
    /// of each row of the error table, how many are in seconds that are done
    passed_on: Vec<u64>,
    silences: Silences,
    /// the whole run so far. The worker counts here directly what changes one figure and belongs to no second; what must
    /// change together has a method. `intervals`, `last_second` and `silences` are filled by [`Self::finish`]
    pub(crate) totals: WorkerTotals,
}

/// The running second.
#[derive(Debug, Default)]
struct RunningSecond {
    attempts: u64,
    connects: u64,
    connect_call: Coarse,
    /// how long the loop waited for events, nanoseconds; none: that was not recorded
    waited_ns: Option<u64>,
    endpoints: Vec<RunningEndpoint>,
}

#[derive(Debug, Clone, Default)]
struct RunningEndpoint {
    counts: Counts,
    answered: Latencies,
    failed: Latencies,
}

impl Recorder {
    /// A recorder for a mix of `endpoints` entries. Samples that end before `steady_from` are left out of the steady
    /// part; `open_loop` keeps the second clock (service latency from the real start).
    pub fn new(endpoints: usize, steady_from: Duration, open_loop: bool) -> Self {
        Self {
            steady_from: Stamp::from_duration(steady_from),
            open_loop,
            second: 0,
            second_end: end_of(0),
            now: RunningSecond { endpoints: vec![RunningEndpoint::default(); endpoints], ..RunningSecond::default() },
            done: Vec::new(),
            passed_on: Vec::new(),
            silences: Silences::default(),
            totals: WorkerTotals { standstills: Standstills::of_worker(), ..WorkerTotals::new(endpoints) },
        }
    }

    /// Counts one ended sample in the second of its end. One that ended before the running second (its stamp was
    /// taken before the last [`Self::roll_to`]) is counted in the running one: no sample is lost.
    ///
    /// Panics when the sample names an endpoint that the mix does not have.
    pub fn record(&mut self, s: &Sample) {
        self.roll_to(s.ended);
        let index = usize::from(s.endpoint.0);
        let (now, all) = (&mut self.now.endpoints[index], &mut self.totals.endpoints[index]);
        self.totals.bytes_in += s.bytes_in;
        self.totals.bytes_out += s.bytes_out;
        match s.outcome {
            Outcome::Answered { status } => {
                let latency = s.latency_us();
                now.counts.requests += 1;
                now.counts.body_bytes += s.body_bytes;
                now.answered.record(latency);
                all.count_answers(status, 1);
                all.phases.record(s);
                if let Some((queue, work)) = s.server_timing_us {
                    all.server_queue.record(queue);
                    all.server_work.record(work);
                }
                if self.open_loop {
                    self.totals.service.record(s.ended.micros_since(s.started));
                }
                if self.has_warm_up() && s.ended >= self.steady_from {
                    self.totals.steady.requests += 1;
                    self.totals.steady.answered.record(latency);
                }
            }
            Outcome::Failed(failure) => {
                now.counts.requests += 1;
                now.counts.failures += 1;
                now.failed.record(s.latency_us());
                if let Cause::Status(status) = failure.cause {
                    now.counts.body_bytes += s.body_bytes;
                    all.count_answers(status, 1);
                }
                all.never_connected += u64::from(failed_to_connect(failure));
                if self.has_warm_up() && s.ended >= self.steady_from {
                    self.totals.steady.requests += 1;
                }
                self.totals.errors.record(failure, s.endpoint, s.ended);
            }
            Outcome::Local(failure) => {
                now.counts.local_failures += 1;
                self.totals.local_outages.record(s.ended);
                self.totals.errors.record(failure, s.endpoint, s.ended);
            }
            Outcome::Cut => {
                now.counts.cut += 1;
                self.totals.unanswered.record(s);
                // It is in flight until the end.
                return;
            }
        }
        self.silences.on_end(s);
        self.totals.tail.on_end(s);
    }

    fn has_warm_up(&self) -> bool {
        self.steady_from > Stamp::ZERO
    }

    /// A sample started.
    pub fn record_attempt(&mut self, at: Stamp) {
        self.roll_to(at);
        self.now.attempts += 1;
        self.silences.on_begin(at);
    }

    /// connect(2) returned, whatever it said, after `call_us` microseconds.
    pub fn record_connect_call(&mut self, at: Stamp, call_us: u64) {
        self.roll_to(at);
        self.now.connect_call.record(call_us);
    }

    /// A connection was established at `at`, `setup_us` microseconds after connect(2) was called.
    pub fn record_setup(&mut self, at: Stamp, setup_us: u64) {
        self.now.connects += 1;
        self.totals.connects.record_setup(setup_us);
        self.totals.local_outages.record_connected(at);
    }

    /// A connection was established before the clock started, `setup_us` microseconds after connect(2) was called.
    pub fn record_setup_before(&mut self, setup_us: u64) {
        self.record_setup(Stamp::ZERO, setup_us);
        self.totals.connects.before += 1;
    }

    /// An established connection has ended.
    pub fn record_close(&mut self, by: ClosedBy) {
        let closes = &mut self.totals.closes;
        match by {
            ClosedBy::Client => closes.client += 1,
            ClosedBy::Server => closes.server += 1,
            ClosedBy::Reset => closes.reset += 1,
        }
    }

    /// The target ended a kept connection between two requests.
    pub fn record_idle_close(&mut self, by: ClosedBy) {
        let closes = &mut self.totals.closes;
        match by {
            ClosedBy::Reset => closes.idle_reset += 1,
            ClosedBy::Server | ClosedBy::Client => closes.idle_fin += 1,
        }
    }

    /// The run ends while a connection is open; `is_served`: it has carried an answer.
    pub fn record_open_at_end(&mut self, is_served: bool) {
        self.totals.tail.on_open_at_end();
        if is_served {
            self.totals.unanswered.record_served();
        }
    }

    /// The worker's loop waited for events from `from` to `to`; the same stamp twice: it had more to do and asked only
    /// what else there is.
    pub fn record_wait(&mut self, from: Stamp, to: Stamp) {
        if to >= self.second_end {
            self.add_wait(from, self.second_end);
            self.roll_to(to);
        }
        self.add_wait(from.max(Stamp(self.second * 1_000_000_000)), to);
    }

    fn add_wait(&mut self, from: Stamp, to: Stamp) {
        let waited = self.now.waited_ns.get_or_insert_default();
        *waited = waited.saturating_add(to.0.saturating_sub(from.0));
    }

    /// Completes all seconds that ended before `now`, quiet ones included. Costs a comparison within a second.
    pub fn roll_to(&mut self, now: Stamp) {
        if now >= self.second_end {
            self.roll(now.second());
        }
    }

    #[cold]
    fn roll(&mut self, to: u64) {
        self.close_second();
        debug_assert!(to - self.second <= GAP_SECONDS_MAX, "the clock jumped by {} s", to - self.second);
        let quiet_from = (self.second + 1).max(to.saturating_sub(GAP_SECONDS_MAX));
        self.done.extend((quiet_from..to).map(|second| Interval::empty(second, self.now.endpoints.len())));
        self.second = to;
        self.second_end = end_of(to);
    }

    fn close_second(&mut self) {
        let mut endpoints = Vec::with_capacity(self.now.endpoints.len());
        for (now, all) in self.now.endpoints.iter_mut().zip(&mut self.totals.endpoints) {
            let second = EndpointSecond {
                counts: std::mem::take(&mut now.counts),
                answered: now.answered.take_sparse(),
                failed: now.failed.take_sparse(),
            };
            all.counts += second.counts;
            all.answered.add(&second.answered);
            all.failed.add(&second.failed);
            endpoints.push(second);
        }
        let connect_call = self.now.connect_call.take_sparse();
        self.totals.connects.call.add_sparse(&connect_call);
        let failures = self.take_failures();
        self.done.push(Interval {
            second: self.second,
            attempts: std::mem::take(&mut self.now.attempts),
            connects: std::mem::take(&mut self.now.connects),
            connect_call,
            waited: self.now.waited_ns.take().map(Duration::from_nanos),
            endpoints,
            failures,
        });
    }

    /// What the error table has counted since the last second.
    fn take_failures(&mut self) -> BTreeMap<(Failure, EndpointId), u64> {
        let rows = self.totals.errors.rows();
        self.passed_on.resize(rows.len(), 0);
        let mut failures = BTreeMap::new();
        for (row, passed_on) in rows.iter().zip(&mut self.passed_on) {
            let more = row.hits.count - std::mem::replace(passed_on, row.hits.count);
            if more > 0 {
                failures.insert((row.failure, row.endpoint), more);
            }
        }
        failures
    }

    /// The seconds completed since the last call, in order, none left out.
    pub fn drain_intervals(&mut self) -> impl Iterator<Item = Interval> + '_ {
        self.done.drain(..)
    }

    /// Ends the recording; the running second and all undrained ones come with the totals.
    pub fn finish(mut self, now: Stamp) -> WorkerTotals {
        self.roll_to(now);
        self.close_second();
        if !self.has_warm_up() {
            // All of it is steady.
            for endpoint in &self.totals.endpoints {
                self.totals.steady.requests += endpoint.counts.requests;
                self.totals.steady.answered.add_sparse(&endpoint.answered);
            }
        }
        let silences = self.silences.finish(now);
        WorkerTotals { intervals: self.done, last_second: self.second, silences, ..self.totals }
    }
}

const fn end_of(second: u64) -> Stamp {
    Stamp(second.saturating_add(1).saturating_mul(1_000_000_000))
}

fn failed_to_connect(failure: Failure) -> bool {
    matches!((failure.call, failure.cause), (Call::Connect, _) | (Call::Timeout, Cause::TimedOut(Phase::Connecting)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{EADDRNOTAVAIL, ECONNREFUSED};
    use crate::stats::fixture;

    fn sample(started_ms: u64, ended_ms: u64, outcome: Outcome) -> Sample {
        let (started, ended) = (Stamp::from_millis(started_ms), Stamp::from_millis(ended_ms));
        fixture::sample(EndpointId(0), started, ended, outcome)
    }

    const OK: Outcome = Outcome::Answered { status: 200 };

    #[test]
    fn samples_land_in_the_second_of_their_end_and_quiet_seconds_are_reported() {
        let mut r = Recorder::new(1, Duration::ZERO, false);
        r.record(&sample(900, 1100, OK));
        r.record(&sample(3000, 3200, OK));
        let seen: Vec<_> = r.drain_intervals().map(|i| (i.second, i.endpoints[0].counts.requests)).collect();
        assert_eq!(seen, [(0, 0), (1, 1), (2, 0)]);
        let totals = r.finish(Stamp::from_millis(3300));
        assert_eq!(totals.intervals.len(), 1);
        assert_eq!((totals.intervals[0].second, totals.intervals[0].endpoints[0].answered.count()), (3, 1));
        assert_eq!(totals.endpoints[0].counts.requests, 2);
        assert_eq!(totals.endpoints[0].answered.max_us(), Some(200_000));
    }

    #[test]
    fn a_late_stamp_is_counted_in_the_running_second() {
        let mut r = Recorder::new(1, Duration::ZERO, false);
        r.roll_to(Stamp::from_millis(2001));
        r.record(&sample(1500, 1999, OK));
        let totals = r.finish(Stamp::from_millis(2100));
        assert_eq!(totals.intervals.iter().map(|i| i.endpoints[0].counts.requests).collect::<Vec<_>>(), [0, 0, 1]);
    }

    #[test]
    fn local_failures_and_cut_samples_enter_no_latency() {
        let mut r = Recorder::new(1, Duration::ZERO, false);
        let local = Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL));
        let refused = Failure::new(Call::Connect, Cause::Errno(ECONNREFUSED));
        r.record(&sample(0, 5, Outcome::of(local)));
        r.record(&sample(0, 7, Outcome::of(refused)));
        r.record(&sample(0, 9, Outcome::Cut));
        let e = &r.finish(Stamp::from_millis(10)).endpoints[0];
        assert_eq!(
            (e.counts, e.never_connected),
            (Counts { requests: 1, failures: 1, local_failures: 1, cut: 1, body_bytes: 0 }, 1)
        );
        assert!(e.answered.is_empty());
        assert_eq!((e.failed.count(), e.failed.max_us()), (1, Some(7000)));
    }

    #[test]
    fn an_open_loop_keeps_both_clocks() {
        let mut r = Recorder::new(1, Duration::ZERO, true);
        r.record(&Sample { intended: Some(Stamp::ZERO), ..sample(100, 150, OK) });
        let t = r.finish(Stamp::from_millis(200));
        assert_eq!(t.endpoints[0].answered.max_us(), Some(150_000));
        assert_eq!(t.service.max_us(), Some(50_000));
        assert_eq!(t.endpoints[0].phases.blocked.max_us(), Some(100_000));
    }

    #[test]
    fn the_warm_up_is_left_out_of_the_steady_part_only() {
        let mut r = Recorder::new(1, Duration::from_millis(500), false);
        r.record(&sample(0, 499, OK));
        r.record(&sample(0, 500, OK));
        let t = r.finish(Stamp::from_millis(600));
        assert_eq!((t.steady.requests, t.steady.answered.count(), t.endpoints[0].counts.requests), (1, 1, 2));
    }
}
