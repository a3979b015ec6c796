//! All latencies of a run by endpoint, for percentiles that a result does not keep.

use super::threshold::Answered;
use crate::stats::interval::Interval;
use crate::stats::sparse::Sparse;

/// Latencies by endpoint, in the order of the plan's mix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durations {
    endpoints: Vec<Ended>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Ended {
    answered: Sparse,
    failed: Sparse,
}

impl Durations {
    /// Adds one second of all workers.
    pub fn push(&mut self, second: &Interval) {
        if self.endpoints.len() < second.endpoints.len() {
            self.endpoints.resize(second.endpoints.len(), Ended::default());
        }
        for (all, now) in self.endpoints.iter_mut().zip(&second.endpoints) {
            all.answered.add(&now.answered);
            all.failed.add(&now.failed);
        }
    }

    /// Of these seconds.
    pub fn of(seconds: &[Interval]) -> Self {
        let mut all = Self::default();
        for second in seconds {
            all.push(second);
        }
        all
    }

    /// Those of the endpoints for which `wanted` holds of their index: of requests that were answered, that failed at the target,
    /// or of both.
    pub(super) fn latencies(&self, wanted: impl Fn(usize) -> bool, only: Option<Answered>) -> Sparse {
        let mut all = Sparse::default();
        for (_, ended) in self.endpoints.iter().enumerate().filter(|(i, _)| wanted(*i)) {
            if only != Some(Answered::Badly) {
                all.add(&ended.answered);
            }
            if only != Some(Answered::Well) {
                all.add(&ended.failed);
            }
        }
        all
    }
}
