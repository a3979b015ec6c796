//! The P/T law: how many connections a second a pool of source ports can carry, when it runs out and when the
//! failures come back. Arithmetic only; the hold time T for a destination comes from the measured truth table.

use std::net::IpAddr;
use std::time::Duration;

use super::playback::Playback;
pub use crate::model::budget::{Budget, LINUX_HOLD_S, REUSE_DELAY_DEFAULT_MS};
use crate::model::facts::PortCensus;
use crate::model::forecast::{Assumed, FORECAST_SCHEMA, Forecast};
use crate::model::plan::{Closer, PortMode};

/// Rates beyond it are taken for it: no machine opens that many connections a second.
const RATE_MAX: f64 = 1e12;
/// Echoes named in a forecast.
const ECHOES_MAX: usize = 100;

/// Ports of the pool that are held already when the first connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Held {
    /// until nobody knows when: open connections
    pub open: u32,
    /// until a time that is known: TIME_WAIT
    pub timed: u32,
    /// seconds until the first of the timed ones is free
    pub first_free_s: f64,
    /// seconds until the last one is; between the two they are taken to come free evenly
    pub last_free_s: f64,
}

impl Held {
    /// What a census found.
    pub fn of(census: &PortCensus) -> Self {
        let seconds = |ms: Option<u32>| f64::from(ms.unwrap_or(0)) / 1000.0;
        let timed = census.timed.min(census.held);
        Self {
            open: census.held - timed,
            timed,
            first_free_s: seconds(census.first_free_ms),
            last_free_s: seconds(census.last_free_ms),
        }
    }

    /// All of them.
    pub fn ports(&self) -> u32 {
        self.open.saturating_add(self.timed)
    }
}

impl Budget {
    /// P/r seconds from an empty pool, where the rate exceeds the ceiling.
    pub fn exhausted_at(&self, rate: f64) -> Option<f64> {
        (rate.is_finite() && rate > self.ceiling_cps()).then(|| f64::from(self.pool) / rate)
    }

    /// T - P/r seconds in which nothing succeeds, where the rate exceeds the ceiling.
    pub fn dead_for(&self, rate: f64) -> Option<f64> {
        self.exhausted_at(rate).map(|t| self.hold.as_secs_f64() - t)
    }

    /// Seconds until `rate` finds no port, with `held` of the pool held now; none where it always finds one.
    pub fn exhausted_from(&self, rate: f64, held: Held) -> Option<f64> {
        self.forecast_from(held, rate, Duration::ZERO, None, None).exhausted_at_s
    }

    /// What `rate` comes to over `duration`, played back exactly from an empty pool: each connection holds its port
    /// for T, a call without a free port fails. While nothing succeeds calls fail at `fail_rate`; after the first
    /// recovery `recovered_rate` is asked for. Either is the asked rate when not given.
    pub fn forecast(&self, rate: f64, duration: Duration, fail_rate: Option<f64>, recovered_rate: Option<f64>) -> Forecast {
        self.forecast_from(Held::default(), rate, duration, fail_rate, recovered_rate)
    }

    /// As [`Self::forecast`], with `held` of the pool held at the start: open connections are no part of the pool, the
    /// others come back in their time.
    pub fn forecast_from(
        &self,
        held: Held,
        rate: f64,
        duration: Duration,
        fail_rate: Option<f64>,
        recovered_rate: Option<f64>,
    ) -> Forecast {
        let budget = Self { pool: self.pool.saturating_sub(held.open), ..*self };
        budget.play(held, rate, duration, fail_rate, recovered_rate)
    }

    fn play(&self, held: Held, rate: f64, duration: Duration, fail_rate: Option<f64>, recovered_rate: Option<f64>) -> Forecast {
        let sane = |r: f64| if r > 0.0 { r.min(RATE_MAX) } else { 0.0 };
        let rate = sane(rate);
        let assumed =
            Assumed { fail_rate_cps: fail_rate.map_or(rate, sane), recovered_rate_cps: recovered_rate.map_or(rate, sane) };
        let (hold_s, duration_s) = (self.hold.as_secs_f64(), duration.as_secs_f64());
        let counted = Playback::run(self, held, rate, assumed, duration_s);
        let horizon = duration_s.max(hold_s).max(held.last_free_s) + hold_s;
        let again = Playback::run(self, held, rate, Assumed { recovered_rate_cps: rate, ..assumed }, horizon);
        let recovered = Playback::run(self, held, rate, assumed, horizon);
        let echoes = |p: &Playback| p.began.iter().skip(1).copied().take(ECHOES_MAX).collect();
        let (exhausted_at_s, dead_s) = if held.timed == 0 {
            (self.exhausted_at(rate), self.dead_for(rate))
        } else {
            (again.began.first().copied(), again.dead_s)
        };
        let finite = |cps: f64| cps.is_finite().then_some(cps);
        Forecast {
            schema: FORECAST_SCHEMA.into(),
            rate_cps: rate,
            pool: self.pool,
            hold_s,
            duration_s,
            ceiling_cps: finite(self.ceiling_cps()),
            search_cps: finite(self.search_cps()),
            peak_share: if self.pool == 0 { 1.0 } else { self.held_at(rate) / f64::from(self.pool) },
            exhausted_at_s,
            dead_s,
            echo_s: echoes(&again),
            echo_recovered_s: echoes(&recovered),
            failures: counted.failures.round() as u64,
            successes: counted.successes.round() as u64,
            assumed,
        }
    }
}

/// T solved backwards: the pool ran out after P/r, and the dead time is the failures over their rate.
pub fn solve_hold_s(pool: u32, rate: f64, failures: f64, fail_rate: f64) -> Option<f64> {
    (rate > 0.0 && fail_rate > 0.0).then(|| f64::from(pool) / rate + failures / fail_rate)
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
    let hold = f.hold_s;
    if f.failures == 0 {
        return Some(match f.ceiling_cps {
            Some(ceiling) if ceiling >= rate => format!("T = {hold:.0} s sustains {ceiling:.1}/s: {rate:.1}/s would never fail"),
            _ => format!("T = {hold:.0} s: nothing would fail within {:.0} s", f.duration_s),
        });
    }
    let off = (f.failures as f64 - failures).abs();
    (off > within * failures).then(|| format!("T = {hold:.0} s would make {} failures, not {failures:.0}", f.failures))
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

/// What decides how long a port stays held towards one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldFacts {
    /// where to
    pub destination: IpAddr,
    /// net.ipv4.tcp_tw_reuse; none when not readable
    pub tcp_tw_reuse: Option<u32>,
    /// net.ipv4.tcp_tw_reuse_delay; none before 6.14: 1 s
    pub tcp_tw_reuse_delay_ms: Option<u32>,
    /// net.ipv4.tcp_timestamps; none when not readable
    pub tcp_timestamps: Option<u32>,
    /// who picks the port
    pub port_mode: PortMode,
    /// SO_REUSEADDR on every socket from the first
    pub reuse_addr: bool,
    /// who ends the connection
    pub closer: Closer,
}

/// How long, and by which rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold {
    /// zero: the port is free at once
    pub seconds: f64,
    /// the rule, for the reader
    pub why: String,
}

/// T for this destination and these sockets; none when a setting that decides it could not be read.
pub fn hold_for(facts: &HoldFacts) -> Option<Hold> {
    let hold = |seconds: f64, why: &str| Some(Hold { seconds, why: why.to_owned() });
    match facts.closer {
        Closer::Server => return hold(0.0, "the target closes first and keeps the TIME_WAIT"),
        Closer::Reset => return hold(0.0, "connections are reset: no TIME_WAIT at all"),
        Closer::Client => {}
    }
    match facts.port_mode {
        PortMode::Bind => hold(LINUX_HOLD_S, "bind(ip,0) never takes a port in TIME_WAIT: tcp_tw_reuse does not help it"),
        PortMode::Ring if !facts.reuse_addr => {
            hold(LINUX_HOLD_S, "an explicit bind without SO_REUSEADDR waits for TIME_WAIT to end")
        }
        PortMode::Ring => match facts.tcp_timestamps? {
            0 => hold(LINUX_HOLD_S, "SO_REUSEADDR passes bind(), but without tcp_timestamps connect() refuses the old pair"),
            _ => hold(0.0, "own port ring with SO_REUSEADDR: a port in TIME_WAIT is taken again at once"),
        },
        PortMode::Auto | PortMode::NoPort | PortMode::Range => at_connect(facts),
    }
}

/// The kernel picks the port in connect(): the only case in which tcp_tw_reuse counts.
fn at_connect(facts: &HoldFacts) -> Option<Hold> {
    let full = |why: String| Some(Hold { seconds: LINUX_HOLD_S, why });
    let reuse = facts.tcp_tw_reuse?;
    let loopback = facts.destination.to_canonical().is_loopback();
    match reuse {
        0 => return full("tcp_tw_reuse=0: TIME_WAIT lasts its full 60 s".into()),
        2 if !loopback => return full("tcp_tw_reuse=2 helps 127.0.0.0/8 and ::1 only: TIME_WAIT lasts 60 s here".into()),
        _ => {}
    }
    if facts.tcp_timestamps? == 0 {
        return full(format!("tcp_tw_reuse={reuse} needs tcp_timestamps=1, which is off: TIME_WAIT lasts its full 60 s"));
    }
    let delay = facts.tcp_tw_reuse_delay_ms.unwrap_or(REUSE_DELAY_DEFAULT_MS);
    let seconds = f64::from(delay) / 1000.0;
    let here = if reuse == 2 { ", loopback" } else { "" };
    Some(Hold { seconds, why: format!("tcp_tw_reuse={reuse}{here}: a port in TIME_WAIT is taken again after {seconds} s") })
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
