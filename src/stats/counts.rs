//! Samples by how they ended: what adds up over endpoints, seconds and workers. Sums stay at the most that fits: counts may
//! come from a document.

use std::iter::Sum;
use std::ops::AddAssign;

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

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failures = self.failures.saturating_add(other.failures);
        self.local_failures = self.local_failures.saturating_add(other.local_failures);
        self.cut = self.cut.saturating_add(other.cut);
        self.body_bytes = self.body_bytes.saturating_add(other.body_bytes);
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut all, one| {
            all += one;
            all
        })
    }
}
