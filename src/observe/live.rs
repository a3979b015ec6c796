//! The latest port figures, for the status line.

use crate::diagnose::ports::budget::Budget;
use crate::model::port_count::PortCount;

/// A dump from this long before the look is shown with its age, seconds.
const OLD_S: f64 = 0.75;

/// The ports now. Numbers only; cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LivePorts {
    /// the plan makes a connection for each request: ports can run out
    pub short_lived: bool,
    /// towards the destination, at the last dump; none before the first
    pub count: Option<PortCount>,
    /// how old that dump was at the last look, seconds
    pub age_s: f64,
    /// the second of the run that the last look ended
    pub looked: Option<u64>,
    /// ports the run can use
    pub pool: Option<u32>,
    /// the same, and how long each stays in use; none when either is unknown
    pub budget: Option<Budget>,
    /// new connections of this namespace in the last second
    pub rate_cps: Option<f64>,
    /// sockets in TIME_WAIT or FIN_WAIT2 in this namespace, all destinations (sockstat), several times a second
    pub namespace_time_wait: Option<u64>,
}

impl LivePorts {
    /// Seconds until the pool is used up at the present rate; none when the rate is below the ceiling, or unknown.
    /// Zero: it is used up.
    pub fn exhausted_in_s(&self) -> Option<f64> {
        let (budget, in_use) = (self.budget?, self.count?.in_use);
        if in_use.ports() >= budget.pool && !budget.hold.is_zero() {
            return Some(0.0);
        }
        budget.exhausted_from(self.rate_cps?, in_use)
    }

    /// For the status line: `ports 12345/28232 (44 %), 812/s over the ceiling of 470/s, full in 20 s`. None when the
    /// plan keeps its connections, or nothing is known.
    pub fn in_words(&self) -> Option<String> {
        if !self.short_lived {
            return None;
        }
        let (used, pool) = (self.count?.in_use.ports(), self.pool?);
        let rate = match (self.rate_cps, self.budget.and_then(|b| b.limit_cps())) {
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
        Some(format!("ports {used}/{pool} ({:.0} %){ago}{rate}{full}", f64::from(used) / f64::from(pool.max(1)) * 100.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::port_count::InUse;

    /// Ports in TIME_WAIT, the first of them free in half a minute.
    fn timed(n: u32) -> PortCount {
        let in_use = InUse { timed: n, first_free_s: 30.0, last_free_s: 50.0, open: 0 };
        PortCount { used: n, in_use, time_wait_in_use: n, ..PortCount::default() }
    }

    fn live(hold_s: f64, rate_cps: f64) -> LivePorts {
        let (pool, budget) = (Some(1000), Some(Budget::new(1000, hold_s)));
        LivePorts { short_lived: true, pool, budget, rate_cps: Some(rate_cps), ..LivePorts::default() }
    }

    #[test]
    fn leftovers_count_and_so_does_the_age_of_a_look() {
        let mut g = live(60.0, 16.0);
        g.count = Some(timed(600));
        assert_eq!(g.exhausted_in_s(), Some(25.0), "16/s is below P/T, but 400 ports last 25 s and the next is free after 30 s");
        g.age_s = 2.0;
        assert_eq!(g.in_words().unwrap(), "ports 600/1000 (60 %) 2 s ago, 16/s, full in 25 s");
        g.count = Some(PortCount { used: 600, ..PortCount::default() });
        assert_eq!(g.in_words().unwrap(), "ports 0/1000 (0 %) 2 s ago, 16/s", "all of them can be taken again");
    }

    #[test]
    fn above_the_ceiling_it_counts_down_and_below_it_does_not() {
        let mut g = live(60.0, 100.0);
        assert_eq!(g.in_words(), None, "no count yet");
        g.count = Some(timed(200));
        assert_eq!(g.exhausted_in_s(), Some(8.0));
        assert_eq!(g.in_words().unwrap(), "ports 200/1000 (20 %), 100/s over the ceiling of 17/s, full in 8 s");
        g.rate_cps = Some(10.0);
        assert_eq!(g.exhausted_in_s(), None, "it fills, but will level off");
        assert_eq!(g.in_words().unwrap(), "ports 200/1000 (20 %), 10/s");
        g.count = Some(timed(1000));
        assert_eq!(g.exhausted_in_s(), Some(0.0));
        g.budget = Some(Budget::new(1000, 0.0));
        assert_eq!(g.in_words().unwrap(), "ports 1000/1000 (100 %), 10/s", "a ring at full wear is not used up");
        g.short_lived = false;
        assert_eq!(g.in_words(), None);
    }
}
