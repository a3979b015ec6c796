//! The latest port figures, for the status line.

use std::net::SocketAddr;

use crate::diagnose::ports::budget::Budget;
use crate::model::figures::{count, seconds};
use crate::model::port_count::PortCount;
use crate::model::result::{Ports, SeriesPoint};

/// A dump from this long before the look is shown with its age, seconds.
const OLD_S: f64 = 0.75;

/// The ports now. Numbers only; cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LivePorts {
    /// of a run with several destinations, the one whose ports these are
    pub towards: Option<SocketAddr>,
    /// the target's process; none where it is not known
    pub target_pid: Option<u32>,
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
    /// what was observed at the last look; the counted columns are empty
    pub seen: SeriesPoint,
}

impl LivePorts {
    /// Seconds until the pool is used up at the present rate; none when the rate is below the ceiling, or unknown.
    /// Zero: it is used up.
    pub fn exhausted_in_s(&self) -> Option<f64> {
        let (budget, in_use) = (self.budget?, self.count?.in_use);
        if in_use.fill(budget.pool) && !budget.hold.is_zero() {
            return Some(0.0);
        }
        budget.exhausted_from(self.rate_cps?, in_use)
    }

    /// Whether a larger part of its pool is in use than of `other`'s.
    pub fn is_fuller_than(&self, other: &Self) -> bool {
        let used = |live: &Self| Some(f64::from(live.count?.in_use.ports()) / f64::from(live.pool?.max(1)));
        used(self) > used(other)
    }

    /// What is shown of several destinations as one: the ports of the fullest pool, and the CPU of all targets of this host.
    /// None where nothing was looked at.
    pub fn of_all(each: &[Self]) -> Option<Self> {
        let fullest = each.iter().copied().reduce(|a, b| if b.is_fuller_than(&a) { b } else { a })?;
        let is_new = |at: &usize| each[*at].target_pid.is_none_or(|pid| each[..*at].iter().all(|d| d.target_pid != Some(pid)));
        let is_here = |d: &&Self| d.target_pid.is_some() || d.towards.is_some_and(|to| to.ip().is_loopback());
        let here: Vec<&Self> = (0..each.len()).filter(is_new).map(|at| &each[at]).filter(is_here).collect();
        let sum = here.iter().map(|d| d.seen.target_cpu_percent).sum::<Option<f64>>();
        let target_cpu_percent = sum.filter(|_| !here.is_empty());
        // Of one target alone, it has a place with its destination.
        let seen = SeriesPoint { target_cpu_percent, target_rss_bytes: None, accept_queue: None, ..fullest.seen };
        Some(Self { target_pid: None, seen, ..fullest })
    }

    /// What is known of the ports in mid-run: pool, T and ceiling. None where they were not looked at.
    pub fn ports(&self) -> Option<Ports> {
        self.looked?;
        let hold_s = self.budget.map(|b| b.hold.as_secs_f64());
        let ceiling_cps = self.budget.and_then(|b| b.limit_cps());
        let destination = self.towards.map(|to| to.to_string()).unwrap_or_default();
        Some(Ports {
            destination,
            pool: self.pool,
            hold_s,
            ceiling_cps,
            rate_cps: self.rate_cps.unwrap_or(0.0),
            ..Ports::default()
        })
    }

    /// For the status line: `ports 812/1,000, full in 3 s`. None when the plan keeps its connections, or nothing is known.
    /// `ran_out`: a connection found no port in the second that is shown, whatever the last look had counted.
    pub fn in_words(&self, ran_out: bool) -> Option<String> {
        self.used_in_words(ran_out).filter(|_| self.short_lived).map(|used| format!("ports {used}"))
    }

    /// The same without the noun, also where connections are kept.
    pub fn used_in_words(&self, ran_out: bool) -> Option<String> {
        let (used, pool) = (self.count?.in_use.ports(), self.pool?);
        let full = match self.exhausted_in_s().filter(|_| self.short_lived) {
            Some(s) if s <= 0.0 => ", full".into(),
            _ if ran_out => ", ran out".into(),
            Some(s) => format!(", full in {}", seconds(s.ceil())),
            None => String::new(),
        };
        let ago = if self.age_s >= OLD_S { format!(" {} ago", seconds(self.age_s.round())) } else { String::new() };
        let to = self.towards.map_or_else(String::new, |to| format!("to {to} "));
        Some(format!("{to}{}/{}{ago}{full}", count(used), count(pool)))
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
        assert_eq!(g.in_words(false).unwrap(), "ports 600/1,000 2 s ago, full in 25 s");
        assert_eq!(g.in_words(true).unwrap(), "ports 600/1,000 2 s ago, ran out", "a failure since then says more");
        g.count = Some(PortCount { used: 600, ..PortCount::default() });
        assert_eq!(g.in_words(false).unwrap(), "ports 0/1,000 2 s ago", "all of them can be taken again");
    }

    #[test]
    fn the_targets_of_several_destinations_are_added_up_once_each() {
        let to = |ip: [u8; 4], pid: Option<u32>, cpu: Option<f64>| LivePorts {
            towards: Some((ip, 80).into()),
            target_pid: pid,
            seen: SeriesPoint { target_cpu_percent: cpu, target_rss_bytes: Some(1), ..SeriesPoint::default() },
            ..LivePorts::default()
        };
        let (here, elsewhere) = ([127, 0, 0, 1], [192, 0, 2, 1]);
        let (a, b) = (to(here, Some(1), Some(90.0)), to([10, 0, 0, 1], Some(2), Some(30.0)));
        let cpu =
            |each: &[LivePorts]| LivePorts::of_all(each).map(|all| (all.seen.target_cpu_percent, all.seen.target_rss_bytes));
        assert_eq!(cpu(&[a, b, a, to(elsewhere, None, None)]), Some((Some(120.0), None)), "a process counts once");
        assert_eq!(cpu(&[a, to(here, None, None)]), Some((None, None)), "one of this host is not known");
        assert_eq!(cpu(&[to(elsewhere, None, None)]), Some((None, None)));
        assert_eq!(cpu(&[]), None);
    }

    #[test]
    fn of_several_destinations_the_fullest_is_named() {
        let to = |port: u16, used: u32, pool: u32| LivePorts {
            towards: Some(([127, 0, 0, 1], port).into()),
            count: Some(timed(used)),
            pool: Some(pool),
            ..live(60.0, 100.0)
        };
        let (many, few) = (to(8080, 300, 1000), to(8081, 90, 100));
        assert!(few.is_fuller_than(&many) && !many.is_fuller_than(&few), "by the part of the pool");
        assert!(many.is_fuller_than(&LivePorts { count: None, ..few }), "what is not known is not the fullest");
        assert_eq!(few.in_words(false).unwrap(), "ports to 127.0.0.1:8081 90/100, full in 10 s");
        assert_eq!(few.ports(), None, "not looked at yet");
        let looked = LivePorts { looked: Some(1), ..few };
        assert_eq!(looked.ports().unwrap().destination, "127.0.0.1:8081");
    }

    #[test]
    fn above_the_ceiling_it_counts_down_and_below_it_does_not() {
        let mut g = live(60.0, 100.0);
        assert_eq!(g.in_words(false), None, "no count yet");
        for used in [999, 1000] {
            let full = LivePorts { count: Some(timed(used)), rate_cps: Some(0.0), ..g };
            assert_eq!(full.exhausted_in_s(), Some(0.0), "the last port of an odd range is never taken: {used}");
        }
        g.count = Some(timed(200));
        assert_eq!(g.exhausted_in_s(), Some(8.0));
        assert_eq!(g.in_words(false).unwrap(), "ports 200/1,000, full in 8 s");
        g.rate_cps = Some(10.0);
        assert_eq!(g.exhausted_in_s(), None, "it fills, but will level off");
        assert_eq!(g.in_words(false).unwrap(), "ports 200/1,000");
        g.count = Some(timed(1000));
        assert_eq!(g.exhausted_in_s(), Some(0.0));
        g.budget = Some(Budget::new(1000, 0.0));
        assert_eq!(g.in_words(false).unwrap(), "ports 1,000/1,000", "a ring with every port in TIME_WAIT is not used up");
        g.short_lived = false;
        assert_eq!(g.in_words(false), None);
    }
}
