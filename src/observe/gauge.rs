//! The latest port figures, for the status line.

use std::time::Duration;

use crate::diagnose::budget::{self, Budget};
use crate::model::facts::PortCensus;

/// How things stand now. Numbers only; cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Gauge {
    /// the plan makes a connection for each request: ports can run out
    pub short_lived: bool,
    /// ports held towards the destination, at the last dump
    pub ports_used: Option<u32>,
    /// of these, in TIME_WAIT
    pub time_wait: Option<u32>,
    /// ports the run can use
    pub pool: Option<u32>,
    /// how long a port stays held, seconds; none when unknown
    pub hold_s: Option<f64>,
    /// new connections of this namespace in the last second
    pub rate_cps: Option<f64>,
    /// sockets in TIME_WAIT or FIN_WAIT2 in this namespace, all destinations (sockstat), several times a second
    pub namespace_time_wait: Option<u64>,
}

impl Gauge {
    /// Share of the pool that is held, 0..1.
    pub fn share(&self) -> Option<f64> {
        let pool = self.pool.filter(|p| *p > 0)?;
        Some(f64::from(self.ports_used?) / f64::from(pool))
    }

    /// P/T, connections per second; none when unknown or when no port stays held.
    pub fn ceiling_cps(&self) -> Option<f64> {
        Some(Budget::new(self.pool?, self.hold_s?).ceiling_cps()).filter(|c| c.is_finite())
    }

    /// Seconds until the pool is used up at the present rate; none when the rate is below the ceiling, or unknown.
    /// Zero: it is used up.
    pub fn exhausted_in_s(&self) -> Option<f64> {
        let (pool, used) = (self.pool?, self.ports_used?);
        let hold = Duration::try_from_secs_f64(self.hold_s?).ok()?;
        if used >= pool && !hold.is_zero() {
            return Some(0.0);
        }
        budget::seconds_to_exhaustion(pool, used, self.rate_cps?, hold)
    }

    /// For the status line: `ports 12345/28232 (44 %), 812/s over the ceiling of 470/s, full in 20 s`. None when the
    /// plan keeps its connections, or nothing is known.
    pub fn in_words(&self) -> Option<String> {
        if !self.short_lived {
            return None;
        }
        let (used, pool) = (self.ports_used?, self.pool?);
        let rate = match (self.rate_cps, self.ceiling_cps()) {
            (Some(rate), Some(ceiling)) if rate > ceiling => format!(", {rate:.0}/s over the ceiling of {ceiling:.0}/s"),
            (Some(rate), _) => format!(", {rate:.0}/s"),
            (None, _) => String::new(),
        };
        let full = match self.exhausted_in_s() {
            Some(s) if s <= 0.0 => ", full".into(),
            Some(s) => format!(", full in {s:.0} s"),
            None => String::new(),
        };
        Some(format!("ports {used}/{pool} ({:.0} %){rate}{full}", self.share().unwrap_or(0.0) * 100.0))
    }

    /// Takes a new census in.
    pub(super) fn on_census(&mut self, census: &PortCensus) {
        self.ports_used = Some(census.used);
        self.time_wait = Some(census.time_wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_the_ceiling_it_counts_down_and_below_it_does_not() {
        let mut g = Gauge { short_lived: true, pool: Some(1000), hold_s: Some(60.0), rate_cps: Some(100.0), ..Gauge::default() };
        assert_eq!(g.in_words(), None, "no census yet");
        g.on_census(&PortCensus { used: 200, ..PortCensus::default() });
        assert_eq!(g.exhausted_in_s(), Some(8.0));
        assert_eq!(g.in_words().unwrap(), "ports 200/1000 (20 %), 100/s over the ceiling of 17/s, full in 8 s");
        g.rate_cps = Some(10.0);
        assert_eq!(g.exhausted_in_s(), None, "it fills, but will level off");
        assert_eq!(g.in_words().unwrap(), "ports 200/1000 (20 %), 10/s");
        g.on_census(&PortCensus { used: 1000, ..PortCensus::default() });
        assert_eq!(g.exhausted_in_s(), Some(0.0));
        g.hold_s = Some(0.0);
        assert_eq!(g.in_words().unwrap(), "ports 1000/1000 (100 %), 10/s", "a ring at full wear is not used up");
        g.short_lived = false;
        assert_eq!(g.in_words(), None);
    }
}
