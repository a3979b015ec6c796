//! One second of one worker, or of all workers merged, and its figures.

use std::collections::BTreeMap;
use std::time::Duration;

use super::counts::Counts;
use super::sparse::Sparse;
use crate::model::order::mapped;
use crate::model::outcome::{EndpointId, Failure};

/// What happened in one whole second. Adding is exact and order-free.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interval {
    /// the second, counted from the run's epoch: 0 is `[0 s, 1 s)`
    pub second: u64,
    /// samples started in it
    pub attempts: u64,
    /// connections established in it
    pub connects: u64,
    /// duration of connect(2) itself, microseconds, 2 digits
    pub connect_call: Sparse,
    /// how long the worker that waited least for events waited for them; none where that was not recorded, and in a stored log
    pub waited: Option<Duration>,
    /// by endpoint, in the order of the plan's mix
    pub endpoints: Vec<EndpointSecond>,
    /// failures by kind, for those who watch: kinds beyond the rows of the error table are left out, and a stored log has none
    pub failures: BTreeMap<(Failure, EndpointId), u64>,
}

/// One endpoint in one second: samples that ended in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointSecond {
    /// how they ended
    pub counts: Counts,
    /// latency of answered requests, microseconds, 3 digits
    pub answered: Sparse,
    /// latency of requests that failed at the target, microseconds, 3 digits
    pub failed: Sparse,
}

impl Interval {
    /// An empty second.
    pub fn empty(second: u64, endpoints: usize) -> Self {
        Self { second, endpoints: vec![EndpointSecond::default(); endpoints], ..Self::default() }
    }

    /// Adds the same second of another worker.
    pub fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.second, other.second, "only the same second adds up");
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.connects = self.connects.saturating_add(other.connects);
        self.connect_call.add(&other.connect_call);
        self.waited = [self.waited, other.waited].into_iter().flatten().min();
        if self.endpoints.len() < other.endpoints.len() {
            self.endpoints.resize(other.endpoints.len(), EndpointSecond::default());
        }
        for (mine, theirs) in self.endpoints.iter_mut().zip(&other.endpoints) {
            mine.counts += theirs.counts;
            mine.answered.add(&theirs.answered);
            mine.failed.add(&theirs.failed);
        }
        for (kind, count) in &other.failures {
            let sum = self.failures.entry(*kind).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    /// The same second of a run of `endpoints` endpoints, in which the first of these is number `first`.
    #[must_use]
    pub fn moved(&self, first: u16, endpoints: usize) -> Self {
        let mut moved = Self { endpoints: Self::empty(self.second, endpoints).endpoints, ..self.clone() };
        for (to, from) in moved.endpoints.iter_mut().skip(usize::from(first)).zip(&self.endpoints) {
            to.clone_from(from);
        }
        let kinds = self.failures.iter().map(|((failure, endpoint), count)| ((*failure, endpoint.moved(first)), *count));
        moved.failures = mapped(kinds);
        moved
    }

    /// Samples over all endpoints.
    pub fn counts(&self) -> Counts {
        self.endpoints.iter().map(|e| e.counts).sum()
    }

    /// Latency of answered requests over all endpoints.
    pub fn answered(&self) -> Sparse {
        self.endpoints.iter().fold(Sparse::default(), |mut all, e| {
            all.add(&e.answered);
            all
        })
    }

    /// Latency of all requests that ended at the target, over all endpoints (Locust's times).
    pub fn answered_and_failed(&self) -> Sparse {
        self.endpoints.iter().fold(self.answered(), |mut all, e| {
            all.add(&e.failed);
            all
        })
    }
}

/// One second over all workers and endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SecondSummary {
    /// the second, counted from the run's epoch
    pub second: u64,
    /// samples started in it
    pub attempts: u64,
    /// samples that ended in it
    pub counts: Counts,
    /// connections established in it
    pub connects: u64,
    /// how long the worker that waited least for events waited for them
    pub waited: Option<Duration>,
    /// of answered requests; none when nothing was answered
    pub p50_ms: Option<f64>,
    /// of answered requests
    pub p95_ms: Option<f64>,
    /// of answered requests
    pub p99_ms: Option<f64>,
    /// duration of connect(2); none when none was called
    pub connect_mean_us: Option<f64>,
    /// duration of connect(2)
    pub connect_p50_us: Option<f64>,
    /// duration of connect(2)
    pub connect_p95_us: Option<f64>,
}

impl SecondSummary {
    /// The figures of a second.
    pub fn of(interval: &Interval) -> Self {
        let answered = interval.answered();
        let ms = |q| answered.quantile_us(q).map(|us| f64::from(us) / 1000.0);
        let call_us = |q| interval.connect_call.quantile_us(q).map(f64::from);
        Self {
            second: interval.second,
            attempts: interval.attempts,
            counts: interval.counts(),
            connects: interval.connects,
            waited: interval.waited,
            p50_ms: ms(0.50),
            p95_ms: ms(0.95),
            p99_ms: ms(0.99),
            connect_mean_us: interval.connect_call.mean_us(),
            connect_p50_us: call_us(0.50),
            connect_p95_us: call_us(0.95),
        }
    }
}
