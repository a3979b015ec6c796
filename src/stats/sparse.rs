//! A distribution as a sorted list of its non-empty bins: what a second of latencies costs to keep and to send.

use crate::model::result::LatencyMs;

/// The quantiles that [`LatencyMs`] carries between its mean and its maximum, in order.
pub const QUANTILES: [f64; 10] = [0.50, 0.66, 0.75, 0.80, 0.90, 0.95, 0.98, 0.99, 0.999, 0.9999];

/// One bin: the highest value that falls into it, and how often it was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    /// highest equivalent value, microseconds (limits::LATENCY_MAX_US fits)
    pub us: u32,
    /// hits
    pub count: u32,
}

/// Sorted non-empty bins with the exact sum, minimum and maximum beside them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sparse {
    list: Vec<Bin>,
    count: u64,
    sum_us: u64,
    min_us: u32,
    max_us: u32,
}

impl Sparse {
    /// From bins in rising order of `us`, with the exact extremes and sum of the values behind them.
    pub fn from_sorted(bins: Vec<Bin>, sum_us: u64, min_us: u32, max_us: u32) -> Self {
        debug_assert!(bins.windows(2).all(|w| w[0].us < w[1].us), "bins rise");
        let count = bins.iter().map(|b| u64::from(b.count)).sum();
        Self { list: bins, count, sum_us, min_us, max_us }
    }

    /// The non-empty bins, rising.
    pub fn bins(&self) -> &[Bin] {
        &self.list
    }

    /// Values recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Nothing recorded.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Exact sum, microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// Exact minimum, microseconds; none when empty.
    pub fn min_us(&self) -> Option<u32> {
        (!self.is_empty()).then_some(self.min_us)
    }

    /// Exact maximum, microseconds; none when empty.
    pub fn max_us(&self) -> Option<u32> {
        (!self.is_empty()).then_some(self.max_us)
    }

    /// Exact mean, microseconds; none when empty.
    pub fn mean_us(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.sum_us as f64 / self.count as f64)
    }

    /// The value below or at which a share `q` (0..=1) of all values lies; none when empty.
    ///
    /// The same rule as HdrHistogram's `value_at_quantile`, kept within the exact extremes.
    pub fn quantile_us(&self, q: f64) -> Option<u32> {
        let (rank, mut seen) = (rank(q, self.count), 0);
        let found = self.list.iter().find(|b| {
            seen += u64::from(b.count);
            seen >= rank
        })?;
        Some(found.us.clamp(self.min_us, self.max_us))
    }

    /// All figures of a latency, in milliseconds; none when empty.
    pub fn latency_ms(&self) -> Option<LatencyMs> {
        let (min, max, mean) = (self.min_us()?, self.max_us()?, self.mean_us()?);
        let at = QUANTILES.map(|q| f64::from(self.quantile_us(q).unwrap_or(max)));
        Some(latency_from_us(f64::from(min), mean, at, f64::from(max)))
    }

    /// Adds another distribution of the same precision. Exact, and in any order the same.
    pub fn add(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            self.clone_from(other);
            return;
        }
        // Later seconds of a run bring few new bins: those that are there are counted in place.
        let (mut new, mut at) = (Vec::new(), 0);
        for bin in &other.list {
            at += self.list[at..].partition_point(|mine| mine.us < bin.us);
            match self.list.get_mut(at) {
                Some(mine) if mine.us == bin.us => mine.count = mine.count.saturating_add(bin.count),
                _ => new.push(*bin),
            }
        }
        if !new.is_empty() {
            self.list = merged(&self.list, &new);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
    }
}

/// Which of `count` values in rising order is the one at or below which a share `q` of them lies, from 1.
pub(super) fn rank(q: f64, count: u64) -> u64 {
    ((q * count as f64).ceil() as u64).clamp(1, count.max(1))
}

/// Two lists without a bin in common, as one.
fn merged(a: &[Bin], b: &[Bin]) -> Vec<Bin> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let Some(next) = if b.peek().is_some_and(|y| a.peek().is_none_or(|x| y.us < x.us)) { b.next() } else { a.next() } {
        out.push(*next);
    }
    out
}

/// [`LatencyMs`] of figures in microseconds; `at` in the order of [`QUANTILES`].
pub(crate) fn latency_from_us(min: f64, mean: f64, at: [f64; 10], max: f64) -> LatencyMs {
    let ms = |us: f64| us / 1000.0;
    let [p50, p66, p75, p80, p90, p95, p98, p99, p99_9, p99_99] = at.map(ms);
    LatencyMs { min: ms(min), mean: ms(mean), p50, p66, p75, p80, p90, p95, p98, p99, p99_9, p99_99, max: ms(max) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(values: &[u32]) -> Sparse {
        let mut all = Sparse::default();
        for &us in values {
            all.add(&Sparse::from_sorted(vec![Bin { us, count: 1 }], u64::from(us), us, us));
        }
        all
    }

    #[test]
    fn quantiles_walk_the_bins() {
        let b = bins(&[30, 10, 20, 20]);
        assert_eq!(b.count(), 4);
        assert_eq!(b.quantile_us(0.0), Some(10));
        assert_eq!(b.quantile_us(0.25), Some(10));
        assert_eq!(b.quantile_us(0.5), Some(20));
        assert_eq!(b.quantile_us(0.76), Some(30));
        assert_eq!(b.quantile_us(1.0), Some(30));
        assert_eq!(b.mean_us(), Some(20.0));
    }

    #[test]
    fn an_empty_distribution_has_no_figures() {
        let b = Sparse::default();
        assert_eq!((b.quantile_us(0.5), b.mean_us(), b.min_us(), b.max_us()), (None, None, None, None));
        assert!(b.latency_ms().is_none());
    }

    #[test]
    fn adding_is_order_free() {
        assert_eq!(bins(&[1, 5, 9, 5]), bins(&[5, 9, 5, 1]));
        let (mut ab, mut ba) = (bins(&[1, 2, 8]), bins(&[2, 3]));
        let (a, b) = (ab.clone(), ba.clone());
        ab.add(&b);
        ba.add(&a);
        assert_eq!(ab, ba);
    }
}
