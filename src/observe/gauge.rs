//! The latest port figures, for the status line.

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
    /// P/T; none when unknown or when no port stays held
    pub ceiling_cps: Option<f64>,
    /// new connections of this namespace in the last second
    pub rate_cps: Option<f64>,
    /// ports more (or less) held than a second ago
    pub growth_per_s: Option<f64>,
    /// sockets in TIME_WAIT or FIN_WAIT2 in this namespace, all destinations (sockstat), several times a second
    pub namespace_time_wait: Option<u64>,
}

impl Gauge {
    /// Share of the pool that is held, 0..1.
    pub fn share(&self) -> Option<f64> {
        let pool = self.pool.filter(|p| *p > 0)?;
        Some(f64::from(self.ports_used?) / f64::from(pool))
    }

    /// Seconds until the pool is used up at the present growth; none when the rate is below the ceiling, or
    /// unknown. Zero: it is used up.
    pub fn exhausted_in_s(&self) -> Option<f64> {
        let (pool, used) = (self.pool?, self.ports_used?);
        if used >= pool {
            return Some(0.0);
        }
        let (ceiling, growth) = (self.ceiling_cps?, self.growth_per_s?);
        if self.rate_cps? <= ceiling || growth <= 0.0 {
            return None;
        }
        Some(f64::from(pool - used) / growth)
    }

    /// For the status line: `ports 12345/28232 (44 %), 812/s over 470/s, full in 20 s`. None when the plan keeps
    /// its connections, or nothing is known.
    pub fn in_words(&self) -> Option<String> {
        if !self.short_lived {
            return None;
        }
        let (used, pool) = (self.ports_used?, self.pool?);
        let rate = match (self.rate_cps, self.ceiling_cps) {
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

    /// Takes a new census in, `seconds` after the last one.
    pub(super) fn on_census(&mut self, census: &PortCensus, seconds: f64) {
        self.growth_per_s = match self.ports_used {
            Some(before) if seconds > 0.0 => Some((f64::from(census.used) - f64::from(before)) / seconds),
            _ => None,
        };
        self.ports_used = Some(census.used);
        self.time_wait = Some(census.time_wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_the_ceiling_it_counts_down_and_below_it_does_not() {
        let mut g =
            Gauge { short_lived: true, pool: Some(1000), ceiling_cps: Some(16.7), rate_cps: Some(100.0), ..Gauge::default() };
        assert_eq!(g.in_words(), None, "no census yet");
        g.on_census(&PortCensus { used: 100, ..PortCensus::default() }, 1.0);
        assert_eq!(g.exhausted_in_s(), None, "growth needs two");
        g.on_census(&PortCensus { used: 200, ..PortCensus::default() }, 1.0);
        assert_eq!(g.exhausted_in_s(), Some(8.0));
        assert_eq!(g.in_words().unwrap(), "ports 200/1000 (20 %), 100/s over the ceiling of 17/s, full in 8 s");
        g.rate_cps = Some(10.0);
        assert_eq!(g.exhausted_in_s(), None, "it fills, but will level off");
        assert_eq!(g.in_words().unwrap(), "ports 200/1000 (20 %), 10/s");
        g.on_census(&PortCensus { used: 1000, ..PortCensus::default() }, 1.0);
        assert_eq!(g.exhausted_in_s(), Some(0.0));
        g.short_lived = false;
        assert_eq!(g.in_words(), None);
    }
}
