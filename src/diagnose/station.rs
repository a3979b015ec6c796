//! A closed queue: users who ask a station of workers, and stay away from it between two requests. Exact for times that
//! vary exponentially (M/M/c//N, the machine repair model); steadier times wait less, so it errs on the careful side.

/// Workers with one queue, and how long a user stays away from them between two requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Station {
    /// at least 1
    pub(super) workers: u32,
    /// time that a worker needs for a request, seconds
    pub(super) work_s: f64,
    /// think time, and what a request does elsewhere, seconds
    pub(super) away_s: f64,
}

/// The share that waits at a constant pace is the limit of so many steps.
const PACE_STEPS: u32 = 60;
/// Weights of the states are kept below this.
const LARGE: f64 = 1e150;

impl Station {
    /// Share of the requests that wait longer than `wait_s` for a worker. By the arrival theorem a request finds the
    /// station as it would be with one user less.
    pub(super) fn waiting_longer(&self, users: u32, wait_s: f64) -> f64 {
        let (others, workers) = (users.saturating_sub(1), self.workers.max(1));
        // Departures until the station is one short of full, at the pace of all workers.
        let pace = wait_s * f64::from(workers) / self.work_s;
        if self.away_s <= 0.0 {
            return others.checked_sub(workers).map_or(0.0, |queue| fewer_departures(pace, queue));
        }
        let load = self.work_s / self.away_s;
        let (mut weight, mut all, mut late) = (1.0, 1.0, 0.0);
        let (mut term, mut fewer) = ((-pace).exp(), 0.0);
        for k in 0..others {
            weight *= f64::from(others - k) * load / f64::from((k + 1).min(workers));
            let here = k + 1;
            all += weight;
            if here >= workers {
                fewer += term;
                term *= pace / f64::from(here - workers + 1);
                late += weight * fewer;
            }
            if weight > LARGE {
                (weight, all, late) = (weight / LARGE, all / LARGE, late / LARGE);
            }
        }
        late / all
    }

    /// The same where requests come at a constant pace, which keeps the workers busy for the share `busy` of the time:
    /// exact for one worker (D/M/1); of several fewer wait.
    pub(super) fn waiting_longer_at_a_pace(&self, busy: f64, wait_s: f64) -> f64 {
        if busy >= 1.0 {
            return 1.0;
        }
        let mut waiting = busy;
        for _ in 0..PACE_STEPS {
            waiting = (-(1.0 - waiting) / busy).exp();
        }
        waiting * (-(1.0 - waiting) * wait_s * f64::from(self.workers.max(1)) / self.work_s).exp()
    }

    /// The same where requests come at random moments (`--arrivals poisson`): Erlang's C, the probability that all of the workers
    /// are at work, and the time until one is free (M/M/c).
    pub(super) fn waiting_longer_at_random(&self, busy: f64, wait_s: f64) -> f64 {
        if busy >= 1.0 {
            return 1.0;
        }
        let workers = self.workers.max(1);
        let asked = busy * f64::from(workers);
        let lost = (1..=workers).fold(1.0, |lost, k| asked * lost / (f64::from(k) + asked * lost));
        let waiting = lost / (1.0 - busy * (1.0 - lost));
        waiting * (-(1.0 - busy) * wait_s * f64::from(workers) / self.work_s).exp()
    }

    /// The most users, up to `most`, of whose requests not more than `share` wait longer than `wait_s`; at least 1.
    pub(super) fn users_within(&self, wait_s: f64, share: f64, most: u32) -> u32 {
        let (mut fits, mut beyond) = (1, most.max(1).saturating_add(1));
        while beyond - fits > 1 {
            let middle = u32::midpoint(fits, beyond);
            if self.waiting_longer(middle, wait_s) <= share { fits = middle } else { beyond = middle }
        }
        fits
    }
}

/// Chance that a Poisson process of mean `pace` gave at most `queue` departures.
fn fewer_departures(pace: f64, queue: u32) -> f64 {
    let (mut term, mut sum) = ((-pace).exp(), 0.0);
    for k in 0..=queue {
        sum += term;
        term *= pace / f64::from(k + 1);
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-3
    }

    /// D/M/1: the root of s = exp(-(1 - s) / load).
    #[test]
    fn at_a_constant_pace_fewer_wait() {
        let one = Station { workers: 1, work_s: 1.0, away_s: 0.0 };
        for (busy, waiting) in [(0.0, 0.0), (0.5, 0.2032), (0.7, 0.4670), (1.0, 1.0)] {
            let got = one.waiting_longer_at_a_pace(busy, 0.0);
            assert!(near(got, waiting), "{busy}: {got}");
        }
        assert!(near(one.waiting_longer_at_a_pace(0.7, 1.0), 0.4670 * (-0.533_f64).exp()));
    }

    /// M/M/1: the load itself; of two workers at 0.5 each a third of the requests wait (Erlang C).
    #[test]
    fn at_random_moments_more_wait_than_at_a_constant_pace() {
        let of = |workers: u32| Station { workers, work_s: 1.0, away_s: 0.0 };
        for (workers, busy, waiting) in [(1, 0.0, 0.0), (1, 0.5, 0.5), (1, 0.7, 0.7), (1, 1.0, 1.0), (2, 0.5, 1.0 / 3.0)] {
            let got = of(workers).waiting_longer_at_random(busy, 0.0);
            assert!(near(got, waiting), "{workers} at {busy}: {got}");
        }
        assert!(near(of(1).waiting_longer_at_random(0.7, 1.0), 0.7 * (-0.3_f64).exp()));
        for busy in [0.3, 0.5, 0.7, 0.9] {
            assert!(of(1).waiting_longer_at_random(busy, 0.25) > of(1).waiting_longer_at_a_pace(busy, 0.25), "{busy}");
        }
        assert!(of(100_000).waiting_longer_at_random(0.99, 0.0).is_finite());
    }

    /// One worker, Z = 9 S: by mean value analysis six users keep it busy for 0.5595 of the time.
    #[test]
    fn a_request_waits_as_the_machine_repair_model_says() {
        let one = Station { workers: 1, work_s: 1.0, away_s: 9.0 };
        assert!(near(one.waiting_longer(7, 0.0), 0.5595), "{}", one.waiting_longer(7, 0.0));
        assert!(near(one.waiting_longer(1, 0.0), 0.0));
        assert!(near(one.waiting_longer(2, 0.0), 0.1));
        assert!(near(one.waiting_longer(2, 1.0), 0.1 * (-1.0_f64).exp()));
    }

    #[test]
    fn without_a_pause_there_is_a_worker_for_each_or_a_queue() {
        let pool = Station { workers: 50, work_s: 0.2, away_s: 0.0 };
        assert!(near(pool.waiting_longer(50, 0.0), 0.0));
        assert!(near(pool.waiting_longer(51, 0.0), 1.0));
        assert_eq!(pool.users_within(0.0, 0.5, 10_000), 50);
        assert_eq!(pool.users_within(0.0, 0.5, 20), 20);
    }

    #[test]
    fn thousands_of_users_keep_the_arithmetic_finite() {
        let busy = Station { workers: 4, work_s: 0.001, away_s: 1.0 };
        assert!(near(busy.waiting_longer(100_000, 0.1), 1.0));
        let within = busy.users_within(0.000_25, 0.5, 100_000);
        assert!((2_000..4_000).contains(&within), "{within} of 4,004 that fill it");
    }
}
