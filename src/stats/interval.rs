//! One second of one worker, or of all workers merged.

use super::counts::Counts;
use super::sparse::Sparse;

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
    /// by endpoint, in the order of the plan's mix
    pub endpoints: Vec<EndpointSecond>,
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
        self.attempts += other.attempts;
        self.connects += other.connects;
        self.connect_call.add(&other.connect_call);
        if self.endpoints.len() < other.endpoints.len() {
            self.endpoints.resize(other.endpoints.len(), EndpointSecond::default());
        }
        for (mine, theirs) in self.endpoints.iter_mut().zip(&other.endpoints) {
            mine.counts += theirs.counts;
            mine.answered.add(&theirs.answered);
            mine.failed.add(&theirs.failed);
        }
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
