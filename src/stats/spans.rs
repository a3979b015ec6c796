//! When failures of our own machine came and went: stretches in which they follow each other closely.

use crate::model::time::Stamp;

/// Half a second without one ends a stretch.
const QUIET_NS: u64 = 500_000_000;
/// Stretches kept; later failures lengthen the last one.
const SPANS_MAX: usize = 1024;

/// One stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// its first failure
    pub from: Stamp,
    /// its last
    pub to: Stamp,
    /// how many
    pub count: u64,
}

impl Span {
    fn touches(&self, other: &Self) -> bool {
        let gap = |a: Stamp, b: Stamp| a.0.saturating_sub(b.0);
        gap(other.from, self.to).max(gap(self.from, other.to)) < QUIET_NS
    }

    fn join(&mut self, other: &Self) {
        self.from = self.from.min(other.from);
        self.to = self.to.max(other.to);
        self.count += other.count;
    }
}

/// Stretches in the order in which they began, bounded.
#[derive(Debug, Clone, Default)]
pub struct Spans {
    list: Vec<Span>,
}

impl Spans {
    /// Counts one failure. Costs a comparison within a stretch.
    pub fn record(&mut self, at: Stamp) {
        self.add(Span { from: at, to: at, count: 1 });
    }

    fn add(&mut self, span: Span) {
        let full = self.list.len() >= SPANS_MAX;
        match self.list.last_mut() {
            Some(last) if full || last.touches(&span) => last.join(&span),
            _ => self.list.push(span),
        }
    }

    /// The stretches of several workers together. Joining stretches that are less than half a second apart gives
    /// the same as recording all failures in one place, in any order of `workers`.
    pub fn merged(workers: &[Self]) -> Self {
        let mut all: Vec<Span> = workers.iter().flat_map(|w| w.list.iter().copied()).collect();
        all.sort_unstable();
        let mut merged = Self::default();
        for span in all {
            merged.add(span);
        }
        merged
    }

    /// The stretches.
    pub fn list(&self) -> &[Span] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(at_ms: &[u64]) -> Spans {
        let mut s = Spans::default();
        for ms in at_ms {
            s.record(Stamp::from_millis(*ms));
        }
        s
    }

    fn told(s: &Spans) -> Vec<(u64, u64, u64)> {
        s.list().iter().map(|s| (s.from.0 / 1_000_000, s.to.0 / 1_000_000, s.count)).collect()
    }

    #[test]
    fn half_a_second_without_a_failure_ends_a_stretch() {
        assert_eq!(told(&spans(&[1000, 1499, 1998, 2498, 4000])), [(1000, 1998, 3), (2498, 2498, 1), (4000, 4000, 1)]);
    }

    #[test]
    fn workers_together_tell_what_one_would() {
        let (a, b) = (spans(&[1000, 1900, 5000]), spans(&[1400, 2300, 9000]));
        let one = spans(&[1000, 1400, 1900, 2300, 5000, 9000]);
        assert_eq!(told(&Spans::merged(&[a.clone(), b.clone()])), told(&one));
        assert_eq!(told(&Spans::merged(&[b, a])), told(&one));
    }

    #[test]
    fn the_list_is_bounded_and_counts_on() {
        let s = spans(&(0..2000).map(|n| n * 1000).collect::<Vec<_>>());
        assert_eq!((s.list().len(), s.list().iter().map(|s| s.count).sum::<u64>()), (SPANS_MAX, 2000));
    }
}
