//! What one worker counted over its whole run, and how workers add up.

use super::counts::Counts;
use super::errors::ErrorTable;
use super::histogram::{Coarse, Latencies};
use super::interval::Interval;
use super::outages::Outages;
use super::partial::Partial;
use super::sparse::Sparse;
use super::stalls::{SharedSilences, Standstills, Unanswered};
use super::surplus::SurplusTable;
use super::tail::Tail;
use crate::model::outcome::Sample;
use crate::model::result::Closes;

/// One endpoint over the whole run of a worker.
#[derive(Debug, Clone, Default)]
pub struct EndpointTotals {
    /// how its samples ended
    pub counts: Counts,
    /// requests that ended before a connection was established; part of `failures`
    pub never_connected: u64,
    /// answers of any status
    pub answers: u64,
    /// answers by status, in order of first sight
    pub statuses: Vec<(u16, u64)>,
    /// latency of answered requests
    pub answered: Sparse,
    /// latency of requests that failed at the target
    pub failed: Sparse,
    /// where the time of answered requests went
    pub phases: Phases,
    /// `Server-Timing: queue`
    pub server_queue: Coarse,
    /// `Server-Timing: work`
    pub server_work: Coarse,
}

/// The phases of answered requests, microseconds, 2 digits.
#[derive(Debug, Clone, Default)]
pub struct Phases {
    /// intended start to real start (constant rate only)
    pub blocked: Coarse,
    /// real start to the established connection, where the sample made one: failed tries of the ring included
    pub connecting: Coarse,
    /// to the last request byte handed over
    pub sending: Coarse,
    /// to the first byte of the answer
    pub waiting: Coarse,
    /// to the last byte of the answer
    pub receiving: Coarse,
}

impl Phases {
    /// Records the steps of one answered request; a step that did not happen is not recorded.
    pub(super) fn record(&mut self, s: &Sample) {
        if s.intended.is_some() {
            self.blocked.record(s.blocked_us());
        }
        if let Some(connected) = s.connected {
            self.connecting.record(connected.micros_since(s.started));
        }
        if let Some(sent) = s.sent {
            self.sending.record(sent.micros_since(s.connected.unwrap_or(s.started)));
            if let Some(first) = s.first_byte {
                self.waiting.record(first.micros_since(sent));
            }
        }
        if let Some(first) = s.first_byte {
            self.receiving.record(s.ended.micros_since(first));
        }
    }

    fn add(&mut self, other: &Self) {
        self.blocked.add(&other.blocked);
        self.connecting.add(&other.connecting);
        self.sending.add(&other.sending);
        self.waiting.add(&other.waiting);
        self.receiving.add(&other.receiving);
    }
}

impl EndpointTotals {
    pub(super) fn count_answers(&mut self, status: u16, n: u64) {
        self.answers += n;
        self.count_status(status, n);
    }

    fn count_status(&mut self, status: u16, n: u64) {
        match self.statuses.iter_mut().find(|s| s.0 == status) {
            Some(known) => known.1 += n,
            None => self.statuses.push((status, n)),
        }
    }

    fn add(&mut self, other: &Self) {
        self.counts += other.counts;
        self.never_connected += other.never_connected;
        self.answers += other.answers;
        other.statuses.iter().for_each(|&(status, n)| self.count_status(status, n));
        self.answered.add(&other.answered);
        self.failed.add(&other.failed);
        self.phases.add(&other.phases);
        self.server_queue.add(&other.server_queue);
        self.server_work.add(&other.server_work);
    }
}

/// Connection set-up over the whole run of a worker.
#[derive(Debug, Clone, Default)]
pub struct ConnectTotals {
    /// duration of connect(2) itself, microseconds, 2 digits
    pub call: Coarse,
    /// connect(2) to the established connection, failed tries of the ring left out, microseconds, 3 digits
    pub setup: Latencies,
    /// set-ups of 0.95-1.2 s: the first SYN was sent again
    pub setup_near_1s: u64,
    /// set-ups of 2.9-3.4 s: the second as well
    pub setup_near_3s: u64,
    /// set-ups of 0.95 s and more
    pub setup_retried: u64,
    /// connections that were not established
    pub failed: u64,
    /// of the established ones, those made before the clock started
    pub before: u64,
}

impl ConnectTotals {
    pub(super) fn record_setup(&mut self, us: u64) {
        self.setup.record(us);
        self.setup_retried += u64::from(us >= 950_000);
        match us {
            950_000..=1_200_000 => self.setup_near_1s += 1,
            2_900_000..=3_400_000 => self.setup_near_3s += 1,
            _ => {}
        }
    }

    fn add(&mut self, other: &Self) {
        self.call.add(&other.call);
        self.setup.add(&other.setup);
        self.setup_near_1s += other.setup_near_1s;
        self.setup_near_3s += other.setup_near_3s;
        self.setup_retried += other.setup_retried;
        self.failed += other.failed;
        self.before += other.before;
    }
}

/// The part after the warm-up.
#[derive(Debug, Clone, Default)]
pub struct SteadyTotals {
    /// requests that ended in it
    pub requests: u64,
    /// latency of the answered ones, microseconds, 3 digits
    pub answered: Latencies,
}

/// Everything one worker counted. Send it to the aggregate when the worker ends.
#[derive(Debug, Clone, Default)]
pub struct WorkerTotals {
    /// by endpoint, in the order of the plan's mix
    pub endpoints: Vec<EndpointTotals>,
    /// failures by kind
    pub errors: ErrorTable,
    /// after the warm-up
    pub steady: SteadyTotals,
    /// answered requests from their real start (constant rate only), microseconds, 3 digits
    pub service: Latencies,
    /// how late due requests were written although a connection was free, microseconds, 3 digits
    pub lateness: Latencies,
    /// from the due time of requests to their start, whatever they waited for, microseconds, 3 digits
    pub lag: Latencies,
    /// connection set-up
    pub connects: ConnectTotals,
    /// who ended the connections
    pub closes: Closes,
    /// answers that more bytes followed
    pub surplus: SurplusTable,
    /// due by the schedule but never started
    pub never_started: u64,
    /// ports of the ring found busy and skipped
    pub ring_skips: u64,
    /// stretches of own-machine failures
    pub local_outages: Outages,
    /// stretches without an answer
    pub silences: SharedSilences,
    /// stretches in which the worker did not run
    pub standstills: Standstills,
    /// in flight when the run ended
    pub unanswered: Unanswered,
    /// what had come of an answer to the oldest of them
    pub partial: Partial,
    /// the last answer, and what was refused after it
    pub tail: Tail,
    /// bytes of answers, heads included
    pub bytes_in: u64,
    /// request bytes handed to the kernel
    pub bytes_out: u64,
    /// seconds that were not drained before, the last one included
    pub intervals: Vec<Interval>,
    /// the second in which the worker finished
    pub last_second: u64,
}

impl WorkerTotals {
    pub(super) fn new(endpoints: usize) -> Self {
        Self { endpoints: vec![EndpointTotals::default(); endpoints], ..Self::default() }
    }

    /// The same of a run of `endpoints` endpoints, in which the first of these is number `first`; error table and intervals
    /// are left as they are.
    pub(super) fn moved(mut self, first: u16, endpoints: usize) -> Self {
        let own = std::mem::take(&mut self.endpoints);
        self.endpoints = vec![EndpointTotals::default(); endpoints];
        for (to, from) in self.endpoints.iter_mut().skip(usize::from(first)).zip(own) {
            *to = from;
        }
        self.surplus.move_by(first);
        self.partial.move_by(first);
        self
    }

    /// Adds another worker, its error table and intervals excepted: those are merged over all workers at once.
    pub(super) fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.endpoints.len(), other.endpoints.len(), "all workers have the plan's mix");
        for (mine, theirs) in self.endpoints.iter_mut().zip(&other.endpoints) {
            mine.add(theirs);
        }
        self.steady.requests += other.steady.requests;
        self.steady.answered.add(&other.steady.answered);
        self.service.add(&other.service);
        self.lateness.add(&other.lateness);
        self.lag.add(&other.lag);
        self.connects.add(&other.connects);
        self.closes += other.closes;
        self.surplus.add(&other.surplus);
        self.never_started += other.never_started;
        self.ring_skips += other.ring_skips;
        self.local_outages.add(&other.local_outages);
        self.silences.add(&other.silences);
        self.standstills.add(&other.standstills);
        self.unanswered.add(&other.unanswered);
        self.partial.add(&other.partial);
        self.tail.add(&other.tail);
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.last_second = self.last_second.max(other.last_second);
    }
}
