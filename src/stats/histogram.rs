//! A dense distribution for counting fast: the bins of HdrHistogram, with the exact sum and extremes beside them.
//!
//! A value passes through five of these for each request, so that its bin is found here in a few instructions. A test holds
//! the bins to those of the `hdrhistogram` crate, which writes and reads the files.

use super::sparse::{Bin, QUANTILES, Sparse, latency_from_us, rank};
use crate::model::limits::{LATENCY_DIGITS, LATENCY_MAX_US, PHASE_DIGITS};
use crate::model::result::{LatencyMs, PhaseMs};

/// One distribution in microseconds, of `DIGITS` significant decimal digits (1..=5). It has bins up to the largest value that
/// was recorded, in a range that doubles: an unused one costs a few words, one of an hour 94 KB with 3 digits. With 50 endpoints
/// that is megabytes (docs/MEASURING.md).
#[derive(Debug, Clone)]
pub struct Dense<const DIGITS: u8> {
    /// hits by bin: those of the values below 2^[`Self::BITS`] hold one value each, every further half of as many bins holds
    /// values twice as wide
    bins: Vec<u32>,
    count: u64,
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
        Self { bins: Vec::new(), count: 0, sum_us: 0, min_us: u64::MAX, max_us: 0 }
    }
}

impl<const DIGITS: u8> Dense<DIGITS> {
    /// Values of so many bits have bins of their own: enough for twice ten to the power of `DIGITS`.
    const BITS: u32 = (2 * 10_u64.pow(DIGITS as u32)).next_power_of_two().trailing_zeros();

    /// The number of the bin of `us`.
    const fn bin_of(us: u64) -> usize {
        let bits = u64::BITS - (us | ((1 << Self::BITS) - 1)).leading_zeros();
        let shift = bits - Self::BITS;
        ((shift as usize) << (Self::BITS - 1)) + (us >> shift) as usize
    }

    /// The highest value that falls into bin number `bin`.
    const fn highest_of(bin: usize) -> u64 {
        let half = bin >> (Self::BITS - 1);
        let shift = half.saturating_sub(1);
        let low = (bin - (shift << (Self::BITS - 1))) as u64;
        ((low + 1) << shift) - 1
    }

    /// Records one value; one above [`LATENCY_MAX_US`] is recorded as that.
    pub fn record(&mut self, us: u64) {
        let us = us.min(LATENCY_MAX_US);
        self.count_n(us, 1);
        self.sum_us += us;
        self.min_us = self.min_us.min(us);
        self.max_us = self.max_us.max(us);
    }

    fn count_n(&mut self, us: u64, n: u32) {
        let bin = Self::bin_of(us);
        if bin >= self.bins.len() {
            self.grow(bin);
        }
        self.bins[bin] = self.bins[bin].saturating_add(n);
        self.count += u64::from(n);
    }

    /// Makes room for `bin`, and for all that are as wide.
    #[cold]
    fn grow(&mut self, bin: usize) {
        let half = Self::BITS - 1;
        let length = ((bin >> half) + 1) << half;
        self.bins.reserve_exact(length - self.bins.len());
        self.bins.resize(length, 0);
    }

    /// Values recorded.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Nothing recorded.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Exact mean, microseconds; none when empty.
    pub fn mean_us(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.sum_us as f64 / self.count as f64)
    }

    /// Exact maximum, microseconds; none when empty.
    pub fn max_us(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.max_us)
    }

    /// Values above `us`, to the precision of the bins.
    pub fn count_above_us(&self, us: u64) -> u64 {
        let above = self.bins.iter().skip(Self::bin_of(us.saturating_add(1)));
        above.map(|hits| u64::from(*hits)).sum()
    }

    /// The value at or below which a share `q` of all values lies; none when empty.
    pub fn quantile_us(&self, q: f64) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        let (rank, mut seen) = (rank(q, self.count), 0);
        let bin = self.bins.iter().position(|hits| {
            seen += u64::from(*hits);
            seen >= rank
        });
        // A bin that is full holds fewer hits than were counted.
        Some(bin.map_or(self.max_us, Self::highest_of).clamp(self.min_us, self.max_us))
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

    /// Adds another distribution of the same precision. Exact, and in any order the same.
    pub fn add(&mut self, other: &Self) {
        if other.bins.len() > self.bins.len() {
            self.grow(other.bins.len() - 1);
        }
        for (mine, theirs) in self.bins.iter_mut().zip(&other.bins) {
            *mine = mine.saturating_add(*theirs);
        }
        self.count += other.count;
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

    /// What was recorded, as sparse bins; the distribution is empty afterwards and keeps its memory.
    pub fn take_sparse(&mut self) -> Sparse {
        if self.is_empty() {
            return Sparse::default();
        }
        let narrow = |us: u64| u32::try_from(us).unwrap_or(u32::MAX);
        let hit = self.bins.iter().enumerate().filter(|(_, hits)| **hits > 0);
        let mut bins: Vec<Bin> = hit.map(|(bin, hits)| Bin { us: narrow(Self::highest_of(bin)), count: *hits }).collect();
        // Seconds are kept and handed on; room for growth is of no use to them.
        bins.shrink_to_fit();
        self.bins.fill(0);
        let taken = Sparse::from_sorted(bins, self.sum_us, narrow(self.min_us), narrow(self.max_us));
        (self.count, self.sum_us, self.min_us, self.max_us) = (0, 0, u64::MAX, 0);
        taken
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bins_are_those_of_the_library(values in proptest::collection::vec(value(), 1..200), q in 0.0..=1.0_f64) {
            is_as_the_library(&Latencies::default(), &values, q)?;
            is_as_the_library(&Coarse::default(), &values, q)?;
        }
    }

    /// Of any magnitude up to the greatest, and those around a power of two.
    fn value() -> impl Strategy<Value = u64> {
        let magnitude = || 0_u32..32;
        let near = (magnitude(), -2_i64..=2).prop_map(|(bits, by)| (1_u64 << bits).saturating_add_signed(by));
        let any = magnitude().prop_flat_map(|bits| 0..(2_u64 << bits));
        prop_oneof![near, any].prop_map(|us| us.min(LATENCY_MAX_US))
    }

    fn is_as_the_library<const D: u8>(empty: &Dense<D>, values: &[u64], q: f64) -> Result<(), TestCaseError> {
        let (mut own, mut theirs) = (empty.clone(), Histogram::<u32>::new(D).expect("digits that there are"));
        for us in values {
            own.record(*us);
            theirs.record(*us).expect("it grows");
        }
        let ends = |us: u64| us.clamp(own.min_us, own.max_us);
        prop_assert_eq!(own.quantile_us(q), Some(ends(theirs.value_at_quantile(q))));
        let bins: Vec<(u64, u32)> = theirs.iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value())).collect();
        let taken = own.take_sparse();
        prop_assert_eq!(taken.bins().iter().map(|bin| (u64::from(bin.us), bin.count)).collect::<Vec<_>>(), bins);
        Ok(())
    }

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
