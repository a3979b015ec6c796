//! The pool of source ports as a fluid: exact, because demand and releases are constant in pieces. The law in closed
//! form is in [`super::budget`].

use crate::model::budget::Budget;
use crate::model::course::Course;
use crate::model::port_count::InUse;

/// Pieces of constant rate that are followed one by one; a real playback takes a handful per hold time. Beyond them the
/// counts go on at their mean.
const PIECES_MAX: usize = 1 << 15;

/// One piece in which everything flows at a constant rate.
struct Piece {
    end: f64,
    success_rate: f64,
}

/// Steps that one straight line of a course is played back in: the counts at their ends are exact.
const STEPS: u32 = 200;

/// New connections per second over time, constant in steps.
pub(super) struct Steps(Vec<(f64, f64)>);

impl Steps {
    /// `rate` up to `at_s`, `then` from there on.
    pub(super) fn changing(rate: f64, at_s: f64, then: f64) -> Self {
        Self(vec![(at_s, rate), (f64::INFINITY, then)])
    }

    /// So many per second and unit of a course, up to `until_s`; none from there on.
    pub(super) fn of(course: &Course, each_cps: f64, until_s: f64) -> Self {
        let steps = course.steps(until_s, STEPS).into_iter().map(|(end, level)| (end, level * each_cps));
        Self(steps.chain([(f64::INFINITY, 0.0)]).collect())
    }

    fn peak(&self) -> f64 {
        self.0.iter().fold(0.0, |most, (_, rate)| most.max(*rate))
    }

    /// Connections that are asked for up to `until`.
    fn total(&self, until: f64) -> f64 {
        let mut from = 0.0;
        let mut sum = 0.0;
        for (end, rate) in &self.0 {
            let to = end.min(until);
            sum += (to - from).max(0.0) * rate;
            from = to;
        }
        sum
    }

    /// The rate at `now`, and how long it lasts.
    pub(super) fn at(&self, now: f64) -> (f64, f64) {
        let passed = self.0.partition_point(|(end, _)| *end <= now);
        let (end, rate) = self.0[passed.min(self.0.len() - 1)];
        (rate, end)
    }
}

/// What a demand comes to.
#[derive(Default)]
pub(super) struct Playback {
    pub(super) successes: f64,
    pub(super) failures: f64,
    /// when a time with failures began
    pub(super) began: Vec<f64>,
    /// how long nothing succeeded after the first of them
    pub(super) dead_s: Option<f64>,
}

impl Playback {
    /// Plays `demand` from 0 to `until`, the timed ones of `held` in the pool at the start (open ones are no part of it).
    /// While nothing succeeds calls fail at `fail_cps`, or as the demand asks.
    pub(super) fn run(budget: &Budget, held: InUse, demand: &Steps, fail_cps: Option<f64>, until: f64) -> Self {
        let (pool, hold) = (f64::from(budget.pool), budget.hold.as_secs_f64());
        let mut out = Self::default();
        let left = Left::of(held);
        if hold <= 0.0 || budget.is_capped() || (left.ports <= 0.0 && demand.peak() <= budget.ceiling_cps()) {
            out.successes = demand.total(until);
            return out;
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut now, mut used, mut released, mut failing) = (0.0_f64, left.ports.min(pool), 0_usize, false);
        while now < until && pieces.len() < PIECES_MAX {
            let (asked, asked_until) = demand.at(now);
            // Releases now are the successes of T ago.
            while released < pieces.len() && pieces[released].end + hold <= now {
                released += 1;
            }
            let own = if now < hold { 0.0 } else { pieces.get(released).map_or(0.0, |p| p.success_rate) };
            let release = own + left.rate_at(now);
            let full = used >= pool;
            let success = if full { asked.min(release) } else { asked };
            let mut next = left.next_after(now).unwrap_or(until).min(until).min(asked_until);
            if now < hold {
                next = next.min(hold);
            } else if let Some(p) = pieces.get(released) {
                next = next.min(p.end + hold);
            }
            let net = success - release;
            let mut fills = false;
            if !full && net > 0.0 {
                let at = now + (pool - used) / net;
                if at <= next {
                    (next, fills) = (at, true);
                }
            }
            let fails = full && success < asked;
            if fails && !failing {
                out.began.push(now);
            }
            if out.dead_s.is_none() && !out.began.is_empty() && release > 0.0 {
                out.dead_s = Some(now - out.began[0]);
            }
            failing = fails;
            let span = next - now;
            out.successes += success * span;
            if fails {
                out.failures += fail_cps.unwrap_or(asked) * (asked - success) / asked * span;
            }
            used = if fills { pool } else { (used + net * span).clamp(0.0, pool) };
            // A piece shorter than the clock's own resolution would never end.
            now = if next > now { next } else { now + hold * 1e-12 };
            pieces.push(Piece { end: now, success_rate: success });
        }
        if out.dead_s.is_none() {
            out.dead_s = out.began.first().map(|at| now - at);
        }
        if now > 0.0 && now < until {
            out.successes *= until / now;
            out.failures *= until / now;
        }
        out
    }
}

/// Ports in use at the start, coming free evenly between two times.
struct Left {
    ports: f64,
    from: f64,
    to: f64,
}

impl Left {
    /// Ports that are all free at one moment are given a millisecond: a rate must be finite.
    fn of(held: InUse) -> Self {
        let from = if held.first_free_s > 0.0 { held.first_free_s } else { 0.0 };
        Self { ports: f64::from(held.timed), from, to: held.last_free_s.max(from + 1e-3) }
    }

    fn rate_at(&self, now: f64) -> f64 {
        if self.ports > 0.0 && now >= self.from && now < self.to { self.ports / (self.to - self.from) } else { 0.0 }
    }

    fn next_after(&self, now: f64) -> Option<f64> {
        [self.from, self.to].into_iter().find(|at| self.ports > 0.0 && *at > now)
    }
}
