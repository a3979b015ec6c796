//! The P/T law for what a text or a history tells: from flags, from measured rates, and the system's defaults.

use std::time::Duration;

use super::Known;
use crate::diagnose::budget::{Budget, LINUX_HOLD_S, hold_rejected, solve_hold_s};
use crate::model::explanation::{Arithmetic, Measured, Os};

/// Rates of the run that failed, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// new connections per second before the failures
    pub rate_cps: Option<f64>,
    /// failing calls per second
    pub fail_rate_cps: Option<f64>,
    /// new connections per second after recovery
    pub recovered_rate_cps: Option<f64>,
    /// length of the run
    pub duration: Option<Duration>,
}

/// Hold times that people guess; those that do not fit are told.
const GUESSES_S: [f64; 4] = [30.0, 60.0, 120.0, 240.0];
/// Share by which the failures of a fitting hold time may differ from those counted.
const FITS_WITHIN: f64 = 0.10;

/// P and T by default: (ports, seconds, where they come from).
const fn defaults(os: Os) -> (u32, f64, &'static str) {
    match os {
        Os::Linux => (28_232, LINUX_HOLD_S, "Linux: ip_local_port_range 32768-60999, TIME_WAIT 60 s"),
        Os::Windows => (16_384, 120.0, "Windows: dynamic ports 49152-65535, TIME_WAIT about 120 s; documentation, not measured"),
        Os::Macos => (16_384, 30.0, "macOS: ports 49152-65535, TIME_WAIT 2 x MSL of 15 s; documentation, not measured"),
    }
}

/// The law for `known`, with what a history shows where there is one: flags first, then measurements.
pub(super) fn of(known: &Known, os: Os, measured: Option<Measured>) -> Arithmetic {
    let (pool, hold_s, from) = defaults(os);
    let mut assumed = Vec::new();
    if known.pool.is_none() || known.hold_s.is_none() {
        assumed.push(format!(
            "{} by default of {from}",
            match (known.pool, known.hold_s) {
                (None, None) => "pool and hold time",
                (None, Some(_)) => "pool",
                _ => "hold time",
            }
        ));
    }
    let (pool, hold_s) = (known.pool.unwrap_or(pool), known.hold_s.unwrap_or(hold_s));
    let budget = Budget::new(pool, hold_s);
    let m = measured.as_ref();
    let rate = known.rates.rate_cps.or(m.map(|m| m.rate_before_cps));
    let fail_rate = known.rates.fail_rate_cps.or(m.map(|m| m.fail_rate_cps));
    let recovered = known.rates.recovered_rate_cps.or(m.and_then(|m| m.recovered_rate_cps));
    let duration = known.rates.duration.or(m.and_then(|m| Duration::try_from_secs_f64(m.duration_s).ok()));
    if rate.is_some() {
        if fail_rate.is_none() {
            assumed.push("calls fail at the asked rate (--fail-rate)".into());
        }
        if recovered.is_none() {
            assumed.push("the asked rate again after recovery (--recovered-rate)".into());
        }
        if duration.is_none() {
            assumed.push("a run of two hold times (--duration)".into());
        }
    }
    let duration = duration.unwrap_or(budget.hold.saturating_mul(2));
    let forecast = rate.map(|rate| budget.forecast(rate, duration, fail_rate, recovered));
    let (solved_hold_s, rejected) = match (m, rate, fail_rate) {
        (Some(m), Some(rate), Some(fail_rate)) if m.failures > 0 && m.dead_s.is_some() => {
            // Times and rates of a history share one clock: P from the successes before the first failure.
            (
                solve_hold_s(pool, rate, m.failures as f64, fail_rate),
                rejected(pool, hold_s, rate, fail_rate, duration, m.failures as f64),
            )
        }
        _ => (None, Vec::new()),
    };
    let ceiling_cps = budget.ceiling_cps();
    Arithmetic {
        pool,
        hold_s,
        ceiling_cps: if ceiling_cps.is_finite() { ceiling_cps } else { f64::MAX },
        assumed,
        forecast,
        measured,
        solved_hold_s,
        rejected,
    }
}

fn rejected(pool: u32, hold_s: f64, rate: f64, fail_rate: f64, duration: Duration, failures: f64) -> Vec<String> {
    GUESSES_S
        .iter()
        .filter(|g| (**g - hold_s).abs() > 0.5)
        .filter_map(|g| hold_rejected(Budget::new(pool, *g), rate, fail_rate, duration, failures, FITS_WITHIN))
        .collect()
}
