//! A dense distribution for counting fast: HdrHistogram with the exact sum and extremes beside it.

use hdrhistogram::Histogram;

use super::sparse::{Bin, QUANTILES, Sparse, latency_from_us};
use crate::model::limits::{LATENCY_DIGITS, LATENCY_MAX_US, PHASE_DIGITS};
use crate::model::result::{LatencyMs, PhaseMs};

/// Values up to this need no further allocation once the first was recorded, microseconds. Slower ones grow the histogram,
/// which doubles its range at least, up to [`LATENCY_MAX_US`]. With 50 endpoints that is megabytes (docs/MEASURING.md).
const FIRST_RANGE_US: u64 = 1_000;

/// One distribution in microseconds, of `DIGITS` significant decimal digits (1..=5). Allocates when first used: an unused one
/// costs a few words.
#[derive(Debug, Clone)]
pub struct Dense<const DIGITS: u8> {
    hist: Option<Histogram<u32>>,
    sum_us: u64,
    min_us: u64,
    max_us: u64,
}

/// Of latencies.
pub type Latencies = Dense<LATENCY_DIGITS>;
/// Of phases and calls.
pub type Coarse = Dense<PHASE_DIGITS>;

impl<const DIGITS: u8> Default for Dense<DIGITS> {
    fn default() -> Self {
        Self { hist: None, sum_us: 0, min_us: u64::MAX, max_us: 0 }
    }
}

impl<const DIGITS: u8> Dense<DIGITS> {
    /// Records one value; one above [`LATENCY_MAX_US`] is recorded as that.
    pub fn record(&mut self, us: u64) {
        let us = us.min(LATENCY_MAX_US);
        self.count_n(us, 1);
        self.sum_us += us;
        self.min_us = self.min_us.min(us);
        self.max_us = self.max_us.max(us);
    }

    fn count_n(&mut self, us: u64, n: u32) {
        let recorded = self.hist.get_or_insert_with(|| first_histogram(DIGITS)).record_n(us, n);
        debug_assert!(recorded.is_ok(), "a histogram that grows by itself takes {us} us");
    }

    /// Values recorded.
    pub fn count(&self) -> u64 {
        self.hist.as_ref().map_or(0, Histogram::len)
    }

    /// Nothing recorded.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Exact mean, microseconds; none when empty.
    pub fn mean_us(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.sum_us as f64 / self.count() as f64)
    }

    /// Exact maximum, microseconds; none when empty.
    pub fn max_us(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.max_us)
    }

    /// Values above `us`, to the histogram's precision.
    pub fn count_above_us(&self, us: u64) -> u64 {
        self.hist.as_ref().map_or(0, |h| h.count_between(us.saturating_add(1), LATENCY_MAX_US))
    }

    /// The value at or below which a share `q` of all values lies; none when empty.
    pub fn quantile_us(&self, q: f64) -> Option<u64> {
        let hist = self.hist.as_ref().filter(|h| !h.is_empty())?;
        Some(hist.value_at_quantile(q).clamp(self.min_us, self.max_us))
    }

    /// All figures of a latency; none when empty.
    pub fn latency_ms(&self) -> Option<LatencyMs> {
        let (mean, max) = (self.mean_us()?, self.max_us()?);
        let at = QUANTILES.map(|q| self.quantile_us(q).unwrap_or(max) as f64);
        Some(latency_from_us(self.min_us as f64, mean, at, max as f64))
    }

    /// Median and 99th percentile; none when empty.
    pub fn phase_ms(&self) -> Option<PhaseMs> {
        let ms = |q| self.quantile_us(q).map(|us| us as f64 / 1000.0);
        Some(PhaseMs { p50: ms(0.5)?, p99: ms(0.99)? })
    }

    /// Adds another histogram of the same precision. Exact, and in any order the same.
    pub fn add(&mut self, other: &Self) {
        let Some(theirs) = &other.hist else { return };
        let added = self.hist.get_or_insert_with(|| first_histogram(DIGITS)).add(theirs);
        debug_assert!(added.is_ok(), "a histogram that grows by itself takes another");
        self.sum_us += other.sum_us;
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
    }

    /// Adds sparse bins of the same precision.
    pub fn add_sparse(&mut self, other: &Sparse) {
        let (Some(min), Some(max)) = (other.min_us(), other.max_us()) else { return };
        for bin in other.bins() {
            self.count_n(u64::from(bin.us), bin.count);
        }
        self.sum_us += other.sum_us();
        self.min_us = self.min_us.min(u64::from(min));
        self.max_us = self.max_us.max(u64::from(max));
    }

    /// What was recorded, as sparse bins; the histogram is empty afterwards and keeps its memory.
    pub fn take_sparse(&mut self) -> Sparse {
        let Some(hist) = self.hist.as_mut().filter(|h| !h.is_empty()) else { return Sparse::default() };
        let mut bins: Vec<Bin> = hist
            .iter_recorded()
            .map(|v| Bin { us: u32::try_from(v.value_iterated_to()).unwrap_or(u32::MAX), count: v.count_at_value() })
            .collect();
        // Seconds are kept and handed on; room for growth is of no use to them.
        bins.shrink_to_fit();
        hist.clear();
        let narrow = |us: u64| u32::try_from(us).unwrap_or(u32::MAX);
        let taken = Sparse::from_sorted(bins, self.sum_us, narrow(self.min_us), narrow(self.max_us));
        (self.sum_us, self.min_us, self.max_us) = (0, u64::MAX, 0);
        taken
    }
}

fn first_histogram(digits: u8) -> Histogram<u32> {
    let mut hist = Histogram::new_with_bounds(1, FIRST_RANGE_US, digits).expect("constant bounds and 1..=5 digits are valid");
    hist.auto(true);
    hist
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_exact_at_the_ends_and_within_a_thousandth_between() {
        let mut t = Latencies::default();
        (1..=100_000).for_each(|us| t.record(us));
        let ms = t.latency_ms().unwrap();
        assert_eq!((ms.min, ms.max, ms.mean), (0.001, 100.0, 50.0005));
        assert!((ms.p50 - 50.0).abs() < 0.05 && (ms.p99 - 99.0).abs() < 0.1, "{ms:?}");
    }

    #[test]
    fn taking_bins_and_adding_them_back_loses_nothing() {
        let mut second = Latencies::default();
        let mut direct = Latencies::default();
        let mut by_bins = Latencies::default();
        for us in [0, 1, 1023, 2047, 2048, 2049, 999_999, 5_000_000, LATENCY_MAX_US, u64::MAX] {
            second.record(us);
            direct.record(us);
            by_bins.add_sparse(&second.take_sparse());
        }
        assert!(second.is_empty() && second.take_sparse().is_empty());
        assert_eq!(direct.latency_ms(), by_bins.latency_ms());
        assert_eq!(direct.count(), by_bins.count());
        assert_eq!(by_bins.max_us(), Some(LATENCY_MAX_US));
    }

    #[test]
    fn what_is_at_a_bound_is_not_above_it() {
        let mut t = Latencies::default();
        for us in [999, 1000, 1000, 1001, 2_000_000] {
            t.record(us);
        }
        assert_eq!([998, 999, 1000, 1001, 3_000_000].map(|us| t.count_above_us(us)), [5, 4, 2, 1, 0]);
    }

    #[test]
    fn sparse_and_dense_agree_on_every_quantile() {
        let mut dense = Latencies::default();
        (0..5000_u64).for_each(|i| dense.record(i * i % 700_001));
        let sparse = dense.clone().take_sparse();
        assert_eq!(dense.latency_ms(), sparse.latency_ms());
    }
}
