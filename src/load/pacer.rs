//! When: the intended starts of an open loop, as a pure function of the load's course. Nothing here reads a clock.

use crate::model::course::Course;
use crate::model::plan::{Arrivals, LoadPlan};
use crate::model::time::Stamp;

/// Starts that were due and never taken are counted one by one up to so many; beyond, by the mean.
const COUNTED_MAX: u64 = 1_000_000;

/// The arrivals of one worker: every `workers`-th of the run's, so that all workers together make the asked rate evenly
/// spaced. Poisson arrivals of each worker are its own process: together they are one again.
///
/// ```
/// use sockbench::testing::load::Schedule;
/// use sockbench::testing::model::{LoadPlan, Stamp, Target};
/// let plan = LoadPlan { rate: 1000.0, threads: 2, ..LoadPlan::new(Target::at(([10, 0, 0, 1], 80).into()), Vec::new()) };
/// let mut second_of_two = Schedule::of(&plan, 1);
/// assert_eq!(second_of_two.next(), Stamp(1_000_000));
/// second_of_two.advance();
/// assert_eq!(second_of_two.next(), Stamp(3_000_000));
/// ```
#[derive(Debug, Clone)]
pub struct Schedule {
    course: Course,
    arrivals: Arrivals,
    /// requests of the run that are due before the next one of this worker
    due_before: f64,
    workers: f64,
    rng: fastrand::Rng,
    next: Stamp,
}

impl Schedule {
    /// The arrivals of worker `worker`, which counts from 0 to the plan's threads - 1.
    pub fn of(plan: &LoadPlan, worker: u32) -> Self {
        debug_assert!(plan.is_open_loop() && worker < plan.threads, "a rate and a place among the workers");
        let mut schedule = Self {
            course: plan.rate_course(),
            arrivals: plan.arrivals,
            due_before: f64::from(plan.in_whole(worker)),
            workers: f64::from(plan.threads_of_all()),
            rng: fastrand::Rng::with_seed(plan.seed.wrapping_add(u64::from(plan.in_whole(worker)) << 32)),
            next: Stamp::ZERO,
        };
        if schedule.arrivals == Arrivals::Poisson {
            schedule.due_before = 0.0;
            schedule.advance();
        }
        schedule.next = schedule.at();
        schedule
    }

    /// The next intended start.
    pub fn next(&self) -> Stamp {
        self.next
    }

    /// The next intended start was taken.
    pub fn advance(&mut self) {
        let step = if self.arrivals == Arrivals::Poisson { exponential(&mut self.rng) } else { 1.0 };
        self.due_before += step * self.workers;
        self.next = self.at();
    }

    /// From the count of requests, not by adding intervals: the error does not grow with the run.
    fn at(&self) -> Stamp {
        let count = match self.arrivals {
            Arrivals::Burst(n) => (self.due_before / f64::from(n.max(1))).floor() * f64::from(n.max(1)),
            Arrivals::Constant | Arrivals::Poisson => self.due_before,
        };
        self.course.when(count).map_or(Stamp::NEVER, Stamp::after_secs)
    }

    /// How many intended starts lie before `end` and were not taken.
    pub fn left_before(&self, end: Stamp) -> u64 {
        let mut rest = self.clone();
        let mut left = 0;
        while rest.next < end {
            if left == COUNTED_MAX {
                let all = self.course.until(end.as_secs_f64());
                return left + ((all - rest.due_before) / self.workers).ceil().max(0.0) as u64;
            }
            left += 1;
            rest.advance();
        }
        left
    }
}

/// A length of an exponential distribution with mean 1.
pub(super) fn exponential(rng: &mut fastrand::Rng) -> f64 {
    // From (0, 1]: the logarithm of 0 has no length.
    -(1.0 - rng.f64()).ln()
}

/// How many of `users` are those of worker `worker` of `workers`: user n is of worker n modulo the number of workers.
pub fn share(users: u32, worker: u32, workers: u32) -> u32 {
    users.saturating_sub(worker).div_ceil(workers.max(1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::course::{LevelOf, Stage, Stages};
    use crate::model::plan::Target;

    fn plan(rate: f64, threads: u32) -> LoadPlan {
        LoadPlan { rate, threads, ..LoadPlan::new(Target::at(([10, 0, 0, 1], 80).into()), Vec::new()) }
    }

    /// The starts of all workers before `end_ms`, in order.
    fn starts(plan: &LoadPlan, end_ms: u64) -> Vec<u64> {
        let mut all: Vec<u64> = Vec::new();
        for w in 0..plan.threads {
            let mut p = Schedule::of(plan, w);
            let before = all.len() as u64;
            let left = p.left_before(Stamp::from_millis(end_ms));
            while p.next() < Stamp::from_millis(end_ms) {
                all.push(p.next().0);
                p.advance();
            }
            assert_eq!(all.len() as u64 - before, left, "what was due and never started is counted");
        }
        all.sort_unstable();
        all
    }

    #[test]
    fn the_last_user_starts_at_the_end_of_the_ramp_and_no_more_connect_before_it_than_there_are() {
        let ramp = LoadPlan { users: 11, spawn_rate: 10.0, ..plan(0.0, 1) };
        assert_eq!(ramp.ramp(), Duration::from_secs(1));
        let few = LoadPlan { users: 3, ..plan(10_000.0, 1) };
        assert_eq!((few.preconnects(), LoadPlan { preconnect: Some(2), ..few.clone() }.preconnects()), (3, 2));
        assert_eq!(LoadPlan { preconnect: Some(9), ..few }.preconnects(), 3);
    }

    #[test]
    fn workers_share_the_rate_evenly() {
        let all = starts(&plan(300.0, 3), 1000);
        assert_eq!(all.len(), 300);
        assert!(all.windows(2).all(|w| (3_333_332..=3_333_334).contains(&(w[1] - w[0]))));
        assert_eq!([(10, 0), (10, 1), (11, 0), (0, 1), (1, 1)].map(|(n, w)| share(n, w, 2)), [5, 5, 6, 0, 0]);
    }

    #[test]
    fn bursts_come_at_once_and_keep_the_rate() {
        let all = starts(&LoadPlan { arrivals: Arrivals::Burst(5), ..plan(100.0, 2) }, 1000);
        assert_eq!(all.len(), 100);
        assert!(all.chunks(5).enumerate().all(|(i, burst)| burst.iter().all(|at| *at == i as u64 * 50_000_000)), "{all:?}");
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() {
        let all = starts(&LoadPlan { arrivals: Arrivals::Poisson, ..plan(1000.0, 3) }, 20_000);
        assert!((19_400..=20_600).contains(&all.len()), "{}: within four times the square root", all.len());
        let gaps: Vec<f64> = all.windows(2).map(|w| (w[1] - w[0]) as f64 / 1e6).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((deviation / mean - 1.0).abs() < 0.05, "as long as the mean: {deviation} of {mean} ms");
        assert_eq!(all, starts(&LoadPlan { arrivals: Arrivals::Poisson, ..plan(1000.0, 3) }, 20_000), "the seed decides");
    }

    #[test]
    fn a_schedule_follows_its_stages() {
        let each = [(2, 40.0), (1, 40.0), (2, 0.0)].map(|(s, to)| Stage { duration: Duration::from_secs(s), to }).to_vec();
        let stages = Some(Stages { of: LevelOf::Rate, each });
        let all = starts(&LoadPlan { stages, ..plan(40.0, 2) }, 60_000);
        let within = |from: u64, to: u64| all.iter().filter(|at| (from..to).contains(&(*at / 1_000_000))).count();
        assert_eq!([within(0, 1000), within(1000, 2000), within(2000, 3000), within(3000, 4000)], [10, 30, 40, 30]);
        assert!((119..=121).contains(&all.len()), "nothing is due after the last stage: {}", all.len());
    }
}
