//! The P/T law: how many connections a second a pool of source ports can carry, when it runs out and when the
//! failures come back. Arithmetic only.

use std::time::Duration;

pub use super::demand::Demand;
use super::playback::{Playback, Steps};
pub use crate::model::budget::Budget;
use crate::model::figures::{self, count, counted, seconds};
use crate::model::forecast::{Assumed, FORECAST_SCHEMA, Forecast};
use crate::model::plan::PortMode;
use crate::model::port_count::InUse;
use crate::model::result::PortForecast;

/// Rates beyond it are taken for it: no machine opens that many connections a second.
const RATE_MAX: f64 = 1e12;
/// Recurrences named in a forecast.
const RECURRENCES_MAX: usize = 100;

impl Budget {
    /// P/r seconds from an empty pool, where the rate exceeds the ceiling.
    pub fn exhausted_at(&self, rate: f64) -> Option<f64> {
        (rate.is_finite() && rate > self.ceiling_cps()).then(|| f64::from(self.pool) / rate)
    }

    /// T - P/r seconds in which nothing succeeds, where the rate exceeds the ceiling.
    pub fn dead_for(&self, rate: f64) -> Option<f64> {
        self.exhausted_at(rate).map(|t| self.hold.as_secs_f64() - t)
    }

    /// Seconds until `rate` finds no port, with `held` of the pool in use now; none where it always finds one.
    pub fn exhausted_from(&self, rate: f64, held: InUse) -> Option<f64> {
        self.forecast_from(held, rate, Duration::ZERO, None, None).exhausted_at_s
    }

    /// What `rate` comes to over `duration`, played back exactly from an empty pool: each connection keeps its port
    /// for T, a call without a free port fails. While nothing succeeds calls fail at `fail_rate`; after the first
    /// recovery `recovered_rate` is asked for. Either is the asked rate when not given.
    pub fn forecast(&self, rate: f64, duration: Duration, fail_rate: Option<f64>, recovered_rate: Option<f64>) -> Forecast {
        self.forecast_from(InUse::default(), rate, duration, fail_rate, recovered_rate)
    }

    /// When the pool is used up by `demand` with `left` of it in use already, and for how long no port comes back; none when it
    /// always finds a port. One that follows a course is played for `duration`; its rate is that of the moment.
    pub fn port_forecast(&self, left: InUse, demand: &Demand, duration: Duration) -> Option<PortForecast> {
        let (course, each_cps) = match demand {
            Demand::Level(rate) => {
                let f = self.forecast_from(left, *rate, duration, None, None);
                return Some(PortForecast {
                    rate_cps: *rate,
                    exhausted_at_s: f.exhausted_at_s?,
                    dead_s: f.dead_s?,
                    echo_s: f.echo_s,
                });
            }
            Demand::Course { course, each_cps } => (course, *each_cps),
        };
        let budget = Self { pool: self.pool.saturating_sub(left.open), ..*self };
        let duration_s = duration.as_secs_f64();
        let steps = Steps::of(course, each_cps, duration_s);
        let played = Playback::run(&budget, left, &steps, None, duration_s + self.hold.as_secs_f64() + left.last_free_s.max(0.0));
        let exhausted_at_s = *played.began.first()?;
        let echo_s = played.began.iter().skip(1).copied().take(RECURRENCES_MAX).collect();
        Some(PortForecast { rate_cps: steps.at(exhausted_at_s).0, exhausted_at_s, dead_s: played.dead_s?, echo_s })
    }

    /// As [`Self::forecast`], with `held` of the pool in use at the start: open connections are no part of the pool, the
    /// others come back in their time.
    pub fn forecast_from(
        &self,
        held: InUse,
        rate: f64,
        duration: Duration,
        fail_rate: Option<f64>,
        recovered_rate: Option<f64>,
    ) -> Forecast {
        let budget = Self { pool: self.pool.saturating_sub(held.open), ..*self };
        let sane = |r: f64| if r > 0.0 { r.min(RATE_MAX) } else { 0.0 };
        let rate = sane(rate);
        let assumed =
            Assumed { fail_rate_cps: fail_rate.map_or(rate, sane), recovered_rate_cps: recovered_rate.map_or(rate, sane) };
        let (hold_s, duration_s) = (budget.hold.as_secs_f64(), duration.as_secs_f64());
        let asked = |recovered| Steps::changing(rate, hold_s, recovered);
        let run = |recovered, until| Playback::run(&budget, held, &asked(recovered), Some(assumed.fail_rate_cps), until);
        let counted = run(assumed.recovered_rate_cps, duration_s);
        let horizon = duration_s.max(hold_s).max(held.last_free_s) + hold_s;
        let again = run(rate, horizon);
        let recovered = run(assumed.recovered_rate_cps, horizon);
        let recurrences = |p: &Playback| p.began.iter().skip(1).copied().take(RECURRENCES_MAX).collect();
        let (exhausted_at_s, dead_s) = if held.timed == 0 {
            (budget.exhausted_at(rate), budget.dead_for(rate))
        } else {
            (again.began.first().copied(), again.dead_s)
        };
        Forecast {
            schema: FORECAST_SCHEMA.into(),
            rate_cps: rate,
            pool: budget.pool,
            hold_s,
            duration_s,
            ceiling_cps: budget.limit_cps(),
            search_cps: budget.search_limit_cps(PortMode::Auto),
            peak_share: if budget.pool == 0 { 1.0 } else { budget.held_at(rate) / f64::from(budget.pool) },
            exhausted_at_s,
            dead_s,
            echo_s: recurrences(&again),
            echo_recovered_s: recurrences(&recovered),
            failures: counted.failures.round() as u64,
            successes: counted.successes.round() as u64,
            assumed,
        }
    }
}

/// Why a hold time does not fit what was counted over `duration`, or none when its failures are within `within` (a
/// share) of the `failures` that were counted.
pub fn hold_rejected(
    budget: Budget,
    rate: f64,
    fail_rate: f64,
    duration: Duration,
    failures: f64,
    within: f64,
) -> Option<String> {
    let f = budget.forecast(rate, duration, Some(fail_rate), None);
    let hold = figures::hold(f.hold_s);
    if f.failures == 0 {
        return Some(match f.ceiling_cps {
            Some(ceiling) if ceiling >= rate => {
                format!("T = {hold} sustains {}/s: {}/s would never fail", figures::rate(ceiling), figures::rate(rate))
            }
            _ => format!("T = {hold}: nothing would fail within {}", seconds(f.duration_s)),
        });
    }
    let off = (f.failures as f64 - failures).abs();
    (off > within * failures)
        .then(|| format!("T = {hold} would make {}, not {}", counted(f.failures, "failure"), count(failures.round() as u64)))
}

/// New connections a second up to `until_s`, from those made in each second. `most`: so many at the most were made
/// until then, where that is known (the free ports, when none was given back yet); it makes a time inside a second
/// exact, because what the second has beyond it was made later.
pub fn rate_until(connects: impl IntoIterator<Item = u64>, until_s: f64, most: Option<u64>) -> Option<f64> {
    if !until_s.is_finite() || until_s <= 0.0 {
        return None;
    }
    let whole = until_s.floor();
    let (mut before, mut in_it) = (0_u64, 0_u64);
    for (i, n) in connects.into_iter().enumerate().take_while(|(i, _)| *i as f64 <= whole) {
        if (i as f64) < whole { before = before.saturating_add(n) } else { in_it = n }
    }
    let (made, over) = match most {
        Some(most) => (before.saturating_add(in_it).min(most), until_s),
        None if whole >= 1.0 => (before, whole),
        None => (in_it, 1.0),
    };
    (made > 0).then(|| made as f64 / over)
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
