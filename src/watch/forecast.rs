//! When a pool of source ports will be full, as a range: from one dump, whose TIME_WAIT sockets say when they began.

use super::look::{BIN_S, Births};
use crate::diagnose::ports::budget::Budget;
use crate::model::port_count::InUse;

/// Where T is this short, a pool fills before anybody reads of it.
const HOLD_MIN_S: f64 = 5.0;
/// Windows over which a rate is taken, seconds.
const WINDOWS_S: [f64; 3] = [2.0, 5.0, 10.0];
/// Fewer connections in a window are no rate.
const COUNT_MIN: u32 = 10;
/// A rate that differs by less from the one before it is steady.
const STEADY_SHARE: f64 = 0.10;
/// Standard deviations by which two counts may differ by chance.
const CHANCE: f64 = 3.0;

/// A pool that is filling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Filling {
    /// seconds from now until it is full, at the earliest
    pub(super) from_s: f64,
    /// and at the latest; none where a falling rate may never fill it
    pub(super) to_s: Option<f64>,
    /// new connections per second, lately
    pub(super) rate_cps: f64,
}

/// Whether the rates of late fill the pool. `budget` is P and T, `history_s` how long connections have been made.
pub(super) fn filling(births: &Births, in_use: InUse, budget: Budget, history_s: f64) -> Option<Filling> {
    let hold_s = budget.hold.as_secs_f64();
    if hold_s < HOLD_MIN_S || budget.is_capped() || in_use.fill(budget.pool) {
        return None;
    }
    let whole = |s: f64| (s / BIN_S).floor() * BIN_S;
    let windows = WINDOWS_S.map(|w| whole(w.min(history_s).min(hold_s)));
    let rates: Vec<f64> = windows
        .iter()
        .filter(|w| **w >= 2.0 * BIN_S)
        .map(|w| (births.between(0.0, *w), *w))
        .filter(|(n, _)| *n >= COUNT_MIN)
        .map(|(n, w)| f64::from(n) / w)
        .collect();
    let now = *rates.first()?;
    let at = |rate: f64| budget.exhausted_from(rate, in_use);
    let steady: Vec<f64> = rates.iter().filter_map(|rate| at(*rate)).collect();
    let lowest = steady.iter().copied().reduce(f64::min);
    let highest = steady.iter().copied().reduce(f64::max);
    match slope(births, history_s) {
        // It grows: between what it comes to if it goes on growing and what it is now.
        Some(per_s) if per_s > 0.0 => {
            let free = f64::from(budget.pool.saturating_sub(in_use.ports()));
            // The rate is that of the middle of its window.
            let here = now + per_s * windows[0] / 2.0;
            let grown = ((here * here + 2.0 * per_s * free).sqrt() - here) / per_s;
            // Ports come back after T: later than that the law of a growing rate says nothing.
            let from_s = if grown < hold_s - history_s.min(hold_s) { Some(grown) } else { None };
            let from_s = from_s.or(lowest)?;
            Some(Filling { from_s, to_s: at(now).or(highest), rate_cps: now })
        }
        Some(_) => {
            let from_s = at(now)?;
            Some(Filling { from_s, to_s: None, rate_cps: now })
        }
        None => {
            let longest = *rates.last()?;
            // The longest window is the best estimate of a steady rate; the others say how far off it may be.
            at(longest)?;
            Some(Filling { from_s: lowest?, to_s: highest, rate_cps: longest })
        }
    }
}

/// By how much the rate grows each second; none where it is steady as far as counts can tell.
fn slope(births: &Births, history_s: f64) -> Option<f64> {
    let part = (history_s / 2.0).min(5.0);
    if part < 1.0 {
        return None;
    }
    let (late, early) = (f64::from(births.between(0.0, part)), f64::from(births.between(part, 2.0 * part)));
    let differ = (late - early).abs();
    let is_chance = differ <= CHANCE * (late + early).sqrt() || differ <= STEADY_SHARE * late.max(early);
    (!is_chance).then(|| (late - early) / part / part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections made at `rate(t)` for the last `seconds`, t counted from the first.
    fn made(seconds: f64, rate: impl Fn(f64) -> f64) -> (Births, InUse) {
        let mut births = Births::default();
        let mut count = 0_u32;
        let (step, mut due) = (0.01, 0.0);
        for i in 0..(seconds / step) as u32 {
            let t = f64::from(i) * step;
            due += rate(t) * step;
            while due >= 1.0 {
                due -= 1.0;
                count += 1;
                births.add(seconds - t);
            }
        }
        let in_use = InUse { timed: count, first_free_s: 60.0 - seconds, last_free_s: 60.0, open: 0 };
        (births, in_use)
    }

    fn says(pool: u32, hold_s: f64, seconds: f64, rate: impl Fn(f64) -> f64) -> Option<Filling> {
        let (births, in_use) = made(seconds, rate);
        filling(&births, in_use, Budget::new(pool, hold_s), seconds)
    }

    #[test]
    fn a_steady_rate_is_forecast_exactly() {
        for (seconds, left) in [(5.0, 45.0), (10.0, 40.0), (30.0, 20.0)] {
            let f = says(5000, 60.0, seconds, |_| 100.0).unwrap();
            assert!((f.from_s - left).abs() <= 0.03 * left && (f.to_s.unwrap() - left).abs() <= 0.03 * left, "{f:?} {left}");
        }
    }

    #[test]
    fn a_ramp_is_a_range_that_has_the_moment_in_it() {
        // 10/s more each second: full when 5 t^2 = 5000, at 31.6 s.
        for seconds in [8.0, 12.0, 20.0] {
            let f = says(5000, 60.0, seconds, |t| 10.0 * t).unwrap();
            let left = 31.62 - seconds;
            assert!(f.from_s <= left * 1.03 && f.to_s.is_none_or(|to| to >= left), "{f:?} {left}");
        }
    }

    #[test]
    fn after_the_ramp_the_range_closes() {
        let f = says(5000, 60.0, 30.0, |t| 10.0 * t.min(15.0)).unwrap();
        let used = 1125.0 + 15.0 * 150.0;
        let left = (5000.0 - used) / 150.0;
        assert!((f.from_s - left).abs() < 0.5 && (f.to_s.unwrap() - left).abs() < 0.5, "{f:?} {left}");
    }

    #[test]
    fn what_levels_off_below_the_pool_is_no_forecast() {
        assert_eq!(says(5000, 60.0, 50.0, |_| 80.0), None, "below P/T = 83/s");
        assert_eq!(says(5000, 1.0, 10.0, |_| 400.0), None, "reuse: T = 1 s");
        assert_eq!(says(5000, 60.0, 20.0, |t| if t < 10.0 { 100.0 } else { 0.0 }), None, "a burst that is over");
        assert_eq!(says(5000, 60.0, 20.0, |_| 0.0), None, "the server closes first: no TIME_WAIT here");
        assert_eq!(says(100, 60.0, 0.3, |_| 10.0), None, "too early");
    }

    #[test]
    fn a_falling_rate_has_no_latest_moment() {
        let f = says(5000, 60.0, 20.0, |t| 200.0 - 5.0 * t).unwrap();
        assert_eq!(f.to_s, None);
        assert!(f.from_s > 0.0);
    }

    #[test]
    fn leftovers_shorten_it_and_come_back() {
        let (births, _) = made(5.0, |_| 100.0);
        let in_use = InUse { timed: 4000, first_free_s: 1.0, last_free_s: 60.0, open: 0 };
        let f = filling(&births, in_use, Budget::new(5000, 60.0), 5.0);
        assert!(f.is_some_and(|f| f.from_s > 10.0), "1,000 free, 100/s asked, 59/s come back: {f:?}");
    }
}
