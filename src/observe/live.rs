//! The latest port figures, for the status line.

use crate::diagnose::ports::budget::{Budget, Held};
use crate::model::facts::PortCensus;

/// A dump from this long before the look is told with its age, seconds.
const OLD_S: f64 = 0.75;

/// How things stand now. Numbers only; cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Gauge {
    /// the plan makes a connection for each request: ports can run out
    pub short_lived: bool,
    /// ports held towards the destination, at the last dump: TIME_WAIT that can be taken again holds none
    pub ports_used: Option<u32>,
    /// of these, in TIME_WAIT
    pub time_wait: Option<u32>,
    /// the same by when they come free
    pub held: Held,
    /// how old that dump was at the last look, seconds
    pub age_s: f64,
    /// the second of the run that the last look ended
    pub looked: Option<u64>,
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
        let budget = Budget::new(pool, self.hold_s?);
        if used >= pool && !budget.hold.is_zero() {
            return Some(0.0);
        }
        budget.exhausted_from(self.rate_cps?, self.held)
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
        let ago = if self.age_s >= OLD_S { format!(" {:.0} s ago", self.age_s) } else { String::new() };
        Some(format!("ports {used}/{pool} ({:.0} %){ago}{rate}{full}", self.share().unwrap_or(0.0) * 100.0))
    }

    /// Takes a new census in.
    pub(super) fn on_census(&mut self, census: &PortCensus) {
        self.ports_used = Some(census.held);
        self.time_wait = Some(census.held_time_wait);
        self.held = Held::of(census);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ports in TIME_WAIT, the first of them free in half a minute.
    fn timed(n: u32) -> PortCensus {
        let times = PortCensus { first_free_ms: Some(30_000), last_free_ms: Some(50_000), ..PortCensus::default() };
        PortCensus { used: n, held: n, held_time_wait: n, timed: n, time_wait: n, ..times }
    }

    #[test]
    fn leftovers_count_and_so_does_the_age_of_a_look() {
        let mut g = Gauge { short_lived: true, pool: Some(1000), hold_s: Some(60.0), rate_cps: Some(16.0), ..Gauge::default() };
        g.on_census(&timed(600));
        assert_eq!(g.exhausted_in_s(), Some(25.0), "16/s is below P/T, but 400 ports last 25 s and the next is free after 30 s");
        g.age_s = 2.0;
        assert_eq!(g.in_words().unwrap(), "ports 600/1000 (60 %) 2 s ago, 16/s, full in 25 s");
        g.on_census(&PortCensus { used: 600, time_wait: 600, ..PortCensus::default() });
        assert_eq!(g.share(), Some(0.0), "all of them can be taken again");
    }

    #[test]
    fn above_the_ceiling_it_counts_down_and_below_it_does_not() {
        let mut g = Gauge { short_lived: true, pool: Some(1000), hold_s: Some(60.0), rate_cps: Some(100.0), ..Gauge::default() };
        assert_eq!(g.in_words(), None, "no census yet");
        g.on_census(&timed(200));
        assert_eq!(g.exhausted_in_s(), Some(8.0));
        assert_eq!(g.in_words().unwrap(), "ports 200/1000 (20 %), 100/s over the ceiling of 17/s, full in 8 s");
        g.rate_cps = Some(10.0);
        assert_eq!(g.exhausted_in_s(), None, "it fills, but will level off");
        assert_eq!(g.in_words().unwrap(), "ports 200/1000 (20 %), 10/s");
        g.on_census(&timed(1000));
        assert_eq!(g.exhausted_in_s(), Some(0.0));
        g.hold_s = Some(0.0);
        assert_eq!(g.in_words().unwrap(), "ports 1000/1000 (100 %), 10/s", "a ring at full wear is not used up");
        g.short_lived = false;
        assert_eq!(g.in_words(), None);
    }
}
