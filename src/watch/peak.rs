//! The highest rate of something that is counted at looks, over spans that are long enough to be a rate.

use std::collections::VecDeque;

/// Seconds over which a rate counts: a burst of one look is none.
pub(super) const RATE_S: f64 = 2.0;
/// A shorter span gives no rate, however short the watch was.
pub(super) const RATE_SPAN_MIN_S: f64 = 0.45;
/// Spans that differ by less are equally long.
pub(super) const JITTER_S: f64 = 0.1;

/// The highest rate per second over [`RATE_S`], or over the longest span that there was.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Peak {
    /// seconds that it was counted over; 0 where there was no rate
    pub(super) over_s: f64,
    pub(super) cps: f64,
}

impl Peak {
    /// So many in so many seconds. A longer span replaces a shorter one: the shorter was only the beginning of it.
    pub(super) fn add(&mut self, count: f64, over_s: f64) {
        if over_s < RATE_SPAN_MIN_S {
            return;
        }
        let (cps, span_s) = (count / over_s, over_s.min(RATE_S));
        if span_s > self.over_s + JITTER_S {
            *self = Self { over_s: span_s, cps };
        } else if span_s >= self.over_s - JITTER_S {
            self.cps = self.cps.max(cps);
        }
    }

    /// The higher of both.
    pub(super) fn or(self, other: Self) -> Self {
        if other.cps > self.cps { other } else { self }
    }
}

/// What a counter that only grows came to at the latest looks, as many as [`RATE_S`] needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Growth {
    marks: VecDeque<(f64, u64)>,
    pub(super) peak: Peak,
}

impl Growth {
    /// The counter at `at_s`, in the order of time.
    pub(super) fn add(&mut self, at_s: f64, total: u64) {
        self.marks.push_back((at_s, total));
        let is_old = |mark: Option<&(f64, u64)>| mark.is_some_and(|(then_s, _)| at_s - then_s >= RATE_S);
        // The youngest mark that is old enough is the first one; its own age is the span.
        while is_old(self.marks.get(1)) {
            self.marks.pop_front();
        }
        if let Some((then_s, before)) = self.marks.front() {
            self.peak.add(total.saturating_sub(*before) as f64, at_s - then_s);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peak(marks: &[(f64, u64)]) -> f64 {
        let mut growth = Growth::default();
        for (at_s, total) in marks {
            growth.add(*at_s, *total);
        }
        (growth.peak.cps * 10.0).round() / 10.0
    }

    #[test]
    fn a_burst_within_one_look_is_the_rate_of_two_seconds() {
        assert_eq!(peak(&[(0.0, 0), (1.0, 100), (1.5, 300), (2.0, 300), (3.0, 300), (4.0, 400)]), 150.0);
        // A look that came late is divided by its own time.
        assert_eq!(peak(&[(0.0, 0), (1.0, 100), (2.0, 200), (5.0, 500)]), 100.0);
    }

    #[test]
    fn the_beginning_of_a_longer_watch_is_no_rate_of_its_own() {
        assert_eq!(peak(&[(0.0, 0), (0.1, 50), (0.25, 90), (0.5, 100), (1.0, 100), (2.0, 100), (3.0, 100)]), 50.0);
        assert_eq!(peak(&[(0.0, 0), (0.1, 50), (0.25, 90), (0.5, 100)]), 200.0, "half a second is all there was");
        assert_eq!(peak(&[(0.0, 0), (0.1, 50), (0.25, 90)]), 0.0, "no rate");
    }

    #[test]
    fn a_steady_rate_is_itself_whatever_the_looks_are() {
        let looks = [0.0, 0.1, 0.25, 0.5, 1.0, 1.98, 3.03, 4.0, 5.01, 6.4, 7.0];
        let marks: Vec<(f64, u64)> = looks.iter().map(|s| (*s, (s * 1000.0_f64).round() as u64)).collect();
        assert_eq!(peak(&marks), 1000.0);
    }
}
