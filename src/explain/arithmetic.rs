//! The P/T law for what a text or a history says: from flags, from measured rates, and the system's defaults.

use std::time::Duration;

use super::endpoint::{Destination, destination};
use super::history::History;
use super::{Known, may_be_ports};
use crate::diagnose::ports::budget::{Budget, hold_rejected};
use crate::model::explanation::{Arithmetic, Certainty, FailedCall, Limit, Os, Reading};
use crate::model::figures::{self, count, counted, rate, seconds};
use crate::model::forecast::Forecast;
use crate::remedy::systems::System;

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

/// Hold times that people guess; those that do not fit are named.
const GUESSES_S: [f64; 4] = [30.0, 60.0, 120.0, 240.0];
/// Share by which the failures of a fitting hold time may differ from those counted.
const FITS_WITHIN: f64 = 0.10;
/// Share by which a hold time may differ from the one that a history solves to: its rows are a second apart, and
/// failures end one by one.
const SOLVED_WITHIN: f64 = 0.15;
/// Source ports from one address to one destination, at the most.
const PORTS_MAX: u32 = 65_535;

/// Where a default comes from.
struct Origin {
    /// the system, and on which way: `Linux to loopback`
    of: String,
    /// its settings
    why: String,
}

/// P and T by default: (ports, seconds, where they come from). To loopback Linux's connect() takes ports again after 1 s,
/// unless a setting says otherwise.
fn defaults((os, to): (Os, Destination), tw_reuse: Option<u32>) -> (u32, f64, Origin) {
    let system = System::of(os);
    let (name, range) = system.source.split_once(": ").unwrap_or((system.source, ""));
    let whole = |hold_s, where_to: &str, set: String| {
        (system.pool, hold_s, Origin { of: format!("{name}{where_to}"), why: format!("{range}{set}") })
    };
    match (os, to, tw_reuse) {
        (Os::Linux, Destination::Loopback, Some(0)) => whole(system.hold_s, " with tcp_tw_reuse = 0, as here", String::new()),
        (Os::Linux, Destination::Loopback, set) => {
            let set = set.map_or("2 by default".to_owned(), |n| format!("{n} here"));
            whole(system.short_hold_s, " to loopback", format!(", but there 1 s (tcp_tw_reuse is {set})"))
        }
        (Os::Linux, Destination::Unsaid, _) => whole(system.hold_s, " (to loopback 1 s)", String::new()),
        _ => whole(system.hold_s, "", String::new()),
    }
}

pub(super) const fn default_pool(os: Os) -> u32 {
    System::of(os).pool
}

/// The law for what a text says; none where ports have nothing to do with it.
pub(super) fn of_readings(known: &Known, os: Option<Os>, history: Option<&History>, readings: &[Reading]) -> Option<Arithmetic> {
    let first = readings.iter().find(|r| may_be_ports(r))?;
    // tcp_tw_reuse never helps bind().
    let to = if first.call == FailedCall::Bind { Destination::Elsewhere } else { destination(first.address.as_ref()) };
    let is_sure = |r: &Reading| r.limit == Limit::LocalPorts && r.certainty != Certainty::Ambiguous;
    let seen = if readings.iter().any(is_sure) { Seen::Failures } else { Seen::MaybeFailures };
    Some(of(known, (os.unwrap_or(Os::Linux), to), history, seen))
}

/// What P and T are taken for, and why.
struct Taken {
    pool: u32,
    hold_s: f64,
    assumed: Vec<String>,
    /// where both come from, in short
    basis: Option<String>,
    doubts: Vec<String>,
    solved_pool: Option<u64>,
    solved_hold_s: Option<f64>,
    /// the pool is not that of the history, which gives none either
    is_other_pool: bool,
}

/// What happened in the run that the law is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// connections failed for lack of a port
    Failures,
    /// connections failed, and ports are one of the possible reasons
    MaybeFailures,
    Nothing,
}

/// The law for `known`, with what a history shows where there is one: flags first, then what fits the history, then
/// the system's defaults.
pub(super) fn of(known: &Known, from: (Os, Destination), history: Option<&History>, seen: Seen) -> Arithmetic {
    let Taken { pool, hold_s, mut assumed, basis, mut doubts, solved_pool, solved_hold_s, is_other_pool } =
        take(known, from, history);
    let budget = Budget::new(pool, hold_s);
    let m = history.map(|h| &h.measured);
    let asked = known.rates.rate_cps.or(m.map(|m| m.rate_before_cps));
    let fail_rate = known.rates.fail_rate_cps.or(m.map(|m| m.fail_rate_cps));
    let recovered = known.rates.recovered_rate_cps.or(m.and_then(|m| m.recovered_rate_cps));
    let duration = known.rates.duration.or(m.and_then(|m| Duration::try_from_secs_f64(m.duration_s).ok()));
    if asked.is_some() {
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
    let mut forecast = asked.map(|rate| budget.forecast(rate, duration, fail_rate, recovered));
    let mut is_constant = true;
    if let (Some(m), Some(f)) = (m, forecast.as_ref()) {
        let counted = m.port_failures as f64;
        is_constant = (f.failures as f64 - counted).abs() <= FITS_WITHIN * counted;
        if f.failures == 0 && !is_other_pool {
            // A forecast without failures beside a history that has them says nothing of this run.
            doubts.push(format!(
                "the mean rate before the first failure, {}/s, is below {}/s: the rate rose late, or P or T is another",
                rate(f.rate_cps),
                rate(budget.ceiling_cps())
            ));
        } else if !is_constant && !is_other_pool {
            assumed.push(format!(
                "a constant {}/s from the start; the history's rate was not constant, so it counts {} failures instead of {}",
                rate(f.rate_cps),
                count(m.port_failures),
                count(f.failures)
            ));
        }
        if f.failures == 0 || is_other_pool {
            forecast = None;
        }
    }
    if let (None, Some(f)) = (m, forecast.as_ref().filter(|f| f.failures == 0)) {
        doubts.extend(against_the_failure(f, seen));
    }
    let rejected = match (solved_hold_s, asked, fail_rate, m) {
        (Some(solved), Some(rate), Some(fail_rate), Some(m)) => {
            let failures = m.port_failures as f64;
            let apart = |g: &&f64| (**g - solved).abs() > SOLVED_WITHIN * solved;
            let by_count = |g: f64| hold_rejected(Budget::new(pool, g), rate, fail_rate, duration, failures, FITS_WITHIN);
            // Counts of a constant rate say nothing where it was not constant; when the ports came back still does.
            let by_time = |g: f64| {
                format!("T = {}: the ports came back about {} after they were taken", figures::hold(g), seconds(solved.round()))
            };
            let why = |g: &f64| by_count(*g).filter(|_| is_constant).unwrap_or_else(|| by_time(*g));
            GUESSES_S.iter().filter(apart).map(why).collect()
        }
        _ => Vec::new(),
    };
    let ceiling_cps = budget.ceiling_cps();
    Arithmetic {
        pool,
        hold_s,
        ceiling_cps: if ceiling_cps.is_finite() { ceiling_cps } else { f64::MAX },
        assumed,
        basis,
        forecast,
        measured: m.cloned(),
        solved_pool,
        doubts,
        solved_hold_s,
        rejected,
    }
}

/// A forecast without a failure beside a failure that happened: one of the two is about something else.
fn against_the_failure(f: &Forecast, seen: Seen) -> Option<String> {
    let why = match seen {
        Seen::Nothing => return None,
        Seen::Failures => "the rate to this destination was higher, other programs use its ports too, or P or T is another",
        Seen::MaybeFailures => "the other reading is more likely; or the rate was higher, or P or T is another",
    };
    let used = match f.exhausted_at_s {
        Some(at) => format!("ports would run out after {} only, and the run is {} long", seconds(at), seconds(f.duration_s)),
        None => {
            format!("at most {} of {} ports are in use", count((f.peak_share * f64::from(f.pool)).round() as u64), count(f.pool))
        }
    };
    Some(format!("at {}/s no connection would lack a port ({used}), but one failed: {why}", rate(f.rate_cps)))
}

/// P and T: as given; of the system where that fits what was measured; else as solved from it.
fn take(known: &Known, on: (Os, Destination), history: Option<&History>) -> Taken {
    let (default_pool, default_hold_s, from) = defaults(on, known.tw_reuse);
    let (pool, hold_s) = (known.pool.unwrap_or(default_pool), known.hold_s.unwrap_or(default_hold_s));
    let solved_pool = history.and_then(|h| h.pool_for(hold_s)).filter(|p| *p > 0);
    let fits_pool = solved_pool.is_none_or(|p| p.abs_diff(pool.into()) as f64 <= FITS_WITHIN * f64::from(pool));
    let solved_hold_s = history.zip(solved_pool).and_then(|(h, p)| h.hold_for(if fits_pool { pool.into() } else { p }));
    let fits_hold = solved_hold_s.is_none_or(|t| (t - hold_s).abs() <= SOLVED_WITHIN * t);
    let (mut by_default, mut solved): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    // More than there are ports: connections were reused, or did not share one pool.
    let one_pool = solved_pool.and_then(|p| u32::try_from(p).ok()).filter(|p| *p <= PORTS_MAX);
    let is_other_pool = !fits_pool && (known.pool.is_some() || one_pool.is_none());
    let mut out =
        Taken { pool, hold_s, assumed: Vec::new(), basis: None, doubts: Vec::new(), solved_pool, solved_hold_s, is_other_pool };
    match (known.pool, one_pool.filter(|_| !fits_pool)) {
        (None, Some(p)) => {
            out.pool = p;
            solved.push("pool");
        }
        (None, None) => by_default.push("pool"),
        _ => {}
    }
    match (known.hold_s, solved_hold_s.filter(|_| !fits_hold)) {
        (None, Some(t)) => {
            out.hold_s = t.round();
            solved.push("hold time");
        }
        (None, None) => by_default.push("hold time"),
        _ => {}
    }
    if !by_default.is_empty() {
        let basis = format!("{} by default of {}", by_default.join(" and "), from.of);
        out.assumed.push(if from.why.is_empty() { basis.clone() } else { format!("{basis}: {}", from.why) });
        out.basis = Some(basis);
    }
    if known.hold_s.is_none() && on == (Os::Linux, Destination::Loopback) && out.hold_s < System::of(Os::Linux).hold_s {
        out.doubts.push(
            "few clients come near that: see whether the range is narrow, connections stay open, or timestamps are off where it \
             failed (sysctl net.ipv4.ip_local_port_range net.ipv4.tcp_tw_reuse net.ipv4.tcp_timestamps)"
                .into(),
        );
    }
    if !solved.is_empty() {
        let basis = format!("{} solved backwards from the history", solved.join(" and "));
        out.assumed.push(basis.clone());
        out.basis.get_or_insert(basis);
    }
    if let (false, Some(p), Some(m)) = (fits_pool, solved_pool, history.map(|h| &h.measured)) {
        let counted = format!(
            "{} do not fit: {} calls got a port within {} before the first failure",
            counted(pool, "port"),
            count(p),
            seconds(m.onset_s.min(hold_s).round())
        );
        out.doubts.push(match one_pool {
            Some(p) => {
                let hold = if fits_hold { hold_s } else { solved_hold_s.unwrap_or(hold_s) };
                format!(
                    "{counted}; give --pool and --hold of the machine that made the calls, or --pool {p} --hold {}s",
                    hold.round()
                )
            }
            None => format!("{counted}: connections were reused, or went to several destinations or from several addresses"),
        });
    }
    if let (false, Some(t)) = (fits_hold, solved_hold_s) {
        out.doubts.push(format!(
            "a hold time of {} does not fit: the ports came back {} after they were taken",
            figures::hold(hold_s),
            seconds(t)
        ));
    }
    out
}
