//! All latencies of a run by endpoint, for percentiles that a result does not keep.

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

    /// Requests that were answered, of the endpoints for which `wanted` holds of their index.
    pub(super) fn answered(&self, wanted: impl Fn(usize) -> bool) -> Sparse {
        self.sum(wanted, |e, into| into.add(&e.answered))
    }

    /// The same of those that failed at the target.
    pub(super) fn failed(&self, wanted: impl Fn(usize) -> bool) -> Sparse {
        self.sum(wanted, |e, into| into.add(&e.failed))
    }

    fn sum(&self, wanted: impl Fn(usize) -> bool, add: impl Fn(&Ended, &mut Sparse)) -> Sparse {
        let mut all = Sparse::default();
        self.endpoints.iter().enumerate().filter(|(i, _)| wanted(*i)).for_each(|(_, e)| add(e, &mut all));
        all
    }
}
