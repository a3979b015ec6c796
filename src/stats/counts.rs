//! Samples by how they ended: what adds up over endpoints, seconds and workers. Sums stay at the most that fits: counts may
//! come from a document.

use std::iter::Sum;

use crate::model::adds_up;

/// Ended samples. Every sample is a request, a local failure or cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// ended at the target, answered or failed there
    pub requests: u64,
    /// failed at the target; part of `requests`
    pub failures: u64,
    /// failed on this machine
    pub local_failures: u64,
    /// in flight at the run's end
    pub cut: u64,
    /// bytes of the answers' bodies
    pub body_bytes: u64,
}

impl Counts {
    /// Samples that ended in any way.
    pub const fn samples(&self) -> u64 {
        self.requests.saturating_add(self.local_failures).saturating_add(self.cut)
    }
}

adds_up!(Counts: requests, failures, local_failures, cut, body_bytes);

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut all, one| {
            all += one;
            all
        })
    }
}
