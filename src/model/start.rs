//! A start at a time that was agreed with other machines. Re-exported by [`result`](super::result), whose document it is
//! part of.

use super::figures::seconds;

/// `--start-at`, and what became of it.
#[apply(sparse)]
pub struct PlannedStart {
    /// when the run was to start, by this machine's clock; RFC 3339, UTC
    pub at: String,
    /// how much later it began
    pub late_s: f64,
    /// this machine's clock beside the target's; absent where it was not measured
    pub clock: Option<ClockOffset>,
}

/// A Date field has whole seconds, and a server may make it once a second: it is up to this much older than the answer.
const DATE_AGE_S: f64 = 1.0;

/// The target's clock, by the Date fields of its answers, minus this machine's.
#[apply(record)]
#[derive(Copy)]
pub struct ClockOffset {
    /// above zero: this machine's clock is behind
    pub offset_s: f64,
    /// the true value is at most this far away
    pub within_s: f64,
    /// requests that were made for it before the run; they are in no count of the run
    pub requests: u32,
}

impl ClockOffset {
    /// Whether the clocks differ for sure.
    pub fn differs(&self) -> bool {
        self.offset_s.abs() > self.within_s
    }

    /// `3.2 s behind the target's, within 1 s (its Date has whole seconds)`, `the target's, within 1 s (...)`.
    pub fn in_words(&self) -> String {
        let within = format!("within {} (its Date has whole seconds)", seconds(self.within_s));
        if !self.differs() {
            return format!("the target's, {within}");
        }
        let side = if self.offset_s > 0.0 { "behind" } else { "ahead of" };
        format!("{} {side} the target's, {within}", seconds(self.offset_s.abs()))
    }
}

/// Bounds of a clock's offset, narrowed by one answer after the other. Times are seconds since 1970 by this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OffsetBounds {
    bounds: Option<(f64, f64)>,
    requests: u32,
}

impl OffsetBounds {
    /// An answer to a request that was sent at `sent` and had come by `received` says second `date`.
    pub fn narrow(&mut self, sent: f64, received: f64, date: u64) {
        let (low, high) = (date as f64 - received, date as f64 + 1.0 - sent);
        self.requests += 1;
        self.bounds = Some(match self.bounds {
            Some((a, b)) if low.max(a) <= high.min(b) => (low.max(a), high.min(b)),
            // A clock that was set meanwhile, or a Date that lags: nothing narrower is known.
            Some((a, b)) => (low.min(a), high.max(b)),
            None => (low, high),
        });
    }

    /// The next moment, not before `after`, at which an answer halves the bounds: that at which the target's clock turns to
    /// a new second if it lies in their middle.
    pub fn next(&self, after: f64) -> f64 {
        let Some((low, high)) = self.bounds else { return after };
        let middle = f64::midpoint(low, high);
        (after + middle).ceil() - middle
    }

    /// What is known by now; none before the first answer. Nothing below the age of a Date is.
    pub fn offset(&self) -> Option<ClockOffset> {
        let (low, high) = self.bounds?;
        let within_s = (high - low) / 2.0 + DATE_AGE_S;
        Some(ClockOffset { offset_s: f64::midpoint(low, high), within_s, requests: self.requests })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// `age`: how much older than its answer the Date is.
        #[test]
        fn eight_answers_bound_any_offset_to_a_second(
            offset in -5e3_f64..5e3, trip in 0.0002_f64..0.004, age in prop_oneof![Just(0.0), 0.0_f64..1.0]
        ) {
            let mut bounds = OffsetBounds::default();
            let mut now = 1_795_514_400.25;
            for _ in 0..8 {
                now = bounds.next(now + 0.001);
                let (sent, received) = (now, now + trip);
                bounds.narrow(sent, received, (sent + trip / 2.0 + offset - age).floor() as u64);
                now = received;
            }
            let found = bounds.offset().expect("measured");
            prop_assert!((found.offset_s - offset).abs() <= found.within_s + 1e-5, "{found:?} for {offset}");
            prop_assert!((1.0..1.01).contains(&found.within_s), "{found:?}");
            prop_assert!(now < 1_795_514_409.0, "at most a second for each");
        }
    }

    #[test]
    fn an_offset_in_words() {
        let of = |offset_s| ClockOffset { offset_s, within_s: 1.0, requests: 8 }.in_words();
        assert_eq!(of(3.2), "3.2 s behind the target's, within 1 s (its Date has whole seconds)");
        assert_eq!(of(-1.5), "1.5 s ahead of the target's, within 1 s (its Date has whole seconds)");
        assert_eq!(of(0.4), "the target's, within 1 s (its Date has whole seconds)");
    }

    #[test]
    fn a_clock_that_is_set_meanwhile_widens_the_bounds() {
        let mut bounds = OffsetBounds::default();
        bounds.narrow(100.0, 100.0, 100);
        bounds.narrow(101.0, 101.0, 151);
        let found = bounds.offset().expect("measured");
        assert!(found.within_s >= 25.0, "{found:?}");
    }
}
