//! When: the intended starts of a constant-rate run and the start of each user in a ramp. Pure functions of an
//! index; nothing here reads a clock.

use std::time::Duration;

use crate::model::time::Stamp;

/// Constant arrivals of one worker: every `workers`-th of the run's arrivals, so that all workers together make
/// the asked rate evenly spaced.
///
/// ```
/// use sockbench::testing::load::pacer::ConstantRate;
/// use sockbench::testing::model::time::Stamp;
/// let mut second_of_two = ConstantRate::new(1000.0, 1, 2);
/// assert_eq!(second_of_two.next(), Stamp(1_000_000));
/// second_of_two.advance();
/// assert_eq!(second_of_two.next(), Stamp(3_000_000));
/// ```
#[derive(Debug, Clone)]
pub struct ConstantRate {
    interval_ns: f64,
    index: u64,
    step: u64,
}

impl ConstantRate {
    /// `rate` is the run's total in requests per second, above zero; `worker` counts from 0 to `workers - 1`.
    pub fn new(rate: f64, worker: u32, workers: u32) -> Self {
        debug_assert!(rate > 0.0 && worker < workers, "a rate and a place among the workers");
        Self { interval_ns: 1e9 / rate, index: u64::from(worker), step: u64::from(workers) }
    }

    /// The next intended start.
    pub fn next(&self) -> Stamp {
        // From the index, not by adding intervals: the error does not grow with the run.
        Stamp((self.index as f64 * self.interval_ns) as u64)
    }

    /// The next intended start was taken.
    pub fn advance(&mut self) {
        self.index += self.step;
    }

    /// How many intended starts lie before `end` and were not taken.
    pub fn left_before(&self, end: Stamp) -> u64 {
        if self.next() >= end {
            return 0;
        }
        let last = (end.0 as f64 / self.interval_ns).ceil() as u64;
        last.saturating_sub(self.index).div_ceil(self.step)
    }
}

/// When user `index` (counted over all workers) starts; `spawn_rate` in users per second, 0 for all at once.
pub fn user_start(index: u32, spawn_rate: f64) -> Stamp {
    if spawn_rate <= 0.0 {
        return Stamp::ZERO;
    }
    // A spawn rate near zero: the second user never starts.
    Duration::try_from_secs_f64(f64::from(index) / spawn_rate).map_or(Stamp::NEVER, Stamp::from_duration)
}

/// Users that should have started by `now`, of `users`.
pub fn users_due(now: Stamp, users: u32, spawn_rate: f64) -> u32 {
    if spawn_rate > 0.0 { ((now.as_secs_f64() * spawn_rate) as u32).saturating_add(1).min(users) } else { users }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_the_rate_evenly() {
        let mut all: Vec<u64> = Vec::new();
        for w in 0..3 {
            let mut p = ConstantRate::new(300.0, w, 3);
            while p.next() < Stamp::from_millis(1000) {
                all.push(p.next().0);
                p.advance();
            }
        }
        all.sort_unstable();
        assert_eq!(all.len(), 300);
        assert!(all.windows(2).all(|w| (3_333_332..=3_333_334).contains(&(w[1] - w[0]))));
    }

    #[test]
    fn what_was_due_and_never_started_is_counted() {
        let mut p = ConstantRate::new(10.0, 0, 1);
        assert_eq!(p.left_before(Stamp::from_millis(1000)), 10);
        p.advance();
        assert_eq!(p.left_before(Stamp::from_millis(1000)), 9);
        let q = ConstantRate::new(10.0, 1, 2);
        assert_eq!(q.left_before(Stamp::from_millis(1000)), 5);
        assert_eq!(q.left_before(Stamp::from_millis(50)), 0);
    }

    #[test]
    fn users_come_at_the_spawn_rate() {
        assert_eq!(user_start(20, 10.0), Stamp::from_millis(2000));
        assert_eq!(user_start(20, 0.0), Stamp::ZERO);
        assert_eq!((user_start(0, 1e-300), user_start(1, 1e-300)), (Stamp::ZERO, Stamp::NEVER));
        assert_eq!(user_start(1, 1e-12), Stamp::NEVER);
        assert_eq!(users_due(Stamp::from_millis(950), 100, 10.0), 10);
        assert_eq!(users_due(Stamp::from_millis(99_000), 100, 10.0), 100);
    }
}
