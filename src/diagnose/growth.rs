//! How a figure changed from one step of a study to another: one measure and one table of thresholds for every sentence
//! that says so. Pure.

use super::thresholds::{GROWN_USERS, PLATEAU_TIMES};
use crate::model::figures::{share, times};

/// What a change is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trend {
    /// less than before, by more than [`PLATEAU_TIMES`]
    Falls,
    /// within [`PLATEAU_TIMES`] of before
    Stays,
    /// [`PLATEAU_TIMES`] of before and more
    Rises,
}

/// A figure before and after. Both are positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Change {
    /// After as a multiple of before.
    pub(crate) fn times(self) -> f64 {
        self.to / self.from.max(1e-9)
    }

    pub(crate) fn trend(self) -> Trend {
        match self.times() {
            t if t >= PLATEAU_TIMES => Trend::Rises,
            t if t <= 1.0 / PLATEAU_TIMES => Trend::Falls,
            _ => Trend::Stays,
        }
    }

    /// `30 % more`, `3.7 times as much`: what it rose to; in per cent up to twice as much.
    fn risen_to(self) -> String {
        if self.times() < 2.0 {
            format!("{} more", share(self.times() - 1.0))
        } else {
            format!("{} times as much", times(self.times()))
        }
    }

    /// `stays at 200 ms`, `stays between 200 and 213 ms`, `rises from 32 to 119 ms (3.7 times as much)`, `falls from 40 to 32 ms
    /// (20 % less)`.
    pub(crate) fn in_words(self, figure: fn(f64) -> String, unit: &str) -> String {
        let (from, to) = (figure(self.from), figure(self.to));
        match self.trend() {
            Trend::Stays => staying([self.from, self.to], figure, unit),
            Trend::Rises => format!("rises from {from} to {to} {unit} ({})", self.risen_to()),
            Trend::Falls => format!("falls from {from} to {to} {unit} ({} less)", share(1.0 - self.times())),
        }
    }
}

/// `stays at 200 ms`, `stays between 200 and 213 ms`: from the least of `all` to the most.
pub(crate) fn staying(all: impl IntoIterator<Item = f64>, figure: fn(f64) -> String, unit: &str) -> String {
    let (low, high) = all.into_iter().fold((f64::MAX, f64::MIN), |(low, high), f| (low.min(f), high.max(f)));
    match (figure(low), figure(high)) {
        (low, high) if low == high => format!("stays at {low} {unit}"),
        (low, high) => format!("stays between {low} and {high} {unit}"),
    }
}

/// Load and rate of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) load: f64,
    pub(crate) rate: f64,
}

/// Where the rate stopped growing: the first point, and the next with [`GROWN_USERS`] times its load, after which no
/// point has a rate that [rises](Trend::Rises) against it. `points` are in rising order of load.
pub(crate) fn plateau(points: &[Point]) -> Option<(usize, usize)> {
    let flat = |(at, first): (usize, &Point)| {
        let rest = &points[at + 1..];
        let heavier = rest.iter().position(|p| p.load >= GROWN_USERS * first.load)? + at + 1;
        let rises = rest.iter().any(|p| Change { from: first.rate, to: p.rate }.trend() == Trend::Rises);
        (first.rate > 0.0 && !rises).then_some((at, heavier))
    };
    points.iter().enumerate().find_map(flat)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::figures::{ms, rate};

    fn points(of: &[(f64, f64)]) -> Vec<Point> {
        of.iter().map(|&(load, rate)| Point { load, rate }).collect()
    }

    #[test]
    fn a_change_is_called_what_it_is() {
        for (from, to, says) in [
            (200.0, 200.0, "stays at 200 ms"),
            (200.0, 213.0, "stays between 200 and 213 ms"),
            (30.0, 39.0, "rises from 30.0 to 39.0 ms (30 % more)"),
            (32.0, 119.0, "rises from 32.0 to 119 ms (3.7 times as much)"),
            (40.0, 32.0, "falls from 40.0 to 32.0 ms (20 % less)"),
        ] {
            assert_eq!(Change { from, to }.in_words(ms, "ms"), says);
        }
    }

    #[test]
    fn a_rate_that_grows_again_later_did_not_stop_growing() {
        assert_eq!(plateau(&points(&[(1.0, 10.0), (2.0, 10.4), (5.0, 30.0), (10.0, 60.0)])), None);
        assert_eq!(plateau(&points(&[(1.0, 15.0), (2.0, 31.0), (5.0, 49.5), (10.0, 48.9)])), Some((2, 3)));
        assert_eq!(plateau(&points(&[(10.0, 48.6), (50.0, 48.8), (100.0, 43.7)])), Some((0, 1)), "already at the first");
        assert_eq!(plateau(&points(&[(10.0, 48.0), (11.0, 48.0)])), None, "the load hardly grew");
        assert_eq!(plateau(&points(&[(10.0, 100.0), (20.0, 200.0), (40.0, 261.0)])), None);
    }

    proptest! {
        /// No sentence denies its own figures: what stays is within the table, and a plateau has no higher rate after it.
        #[test]
        fn words_and_figures_agree(rates in prop::collection::vec(0.1f64..1e5, 2..8), a in 0.01f64..1e5, b in 0.01f64..1e5) {
            let all: Vec<Point> = rates.iter().zip(1i32..).map(|(r, i)| Point { load: 2f64.powi(i), rate: *r }).collect();
            if let Some((at, heavier)) = plateau(&all) {
                prop_assert!(all[at + 1..].iter().all(|p| p.rate < PLATEAU_TIMES * all[at].rate));
                prop_assert!(all[heavier].load >= GROWN_USERS * all[at].load);
            }
            let change = Change { from: a, to: b };
            let text = change.in_words(rate, "req/s");
            prop_assert_eq!(text.starts_with("stays"), b < PLATEAU_TIMES * a && a < PLATEAU_TIMES * b);
            prop_assert!(text.contains(&rate(a)) && text.contains(&rate(b)));
        }
    }
}
