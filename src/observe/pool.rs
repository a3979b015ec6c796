//! How many source ports a plan can use: pure decisions over facts, measured in `tests/live`.
//!
//! Not here: reading the facts ([`super::baseline`]), and the law of what the pool can carry
//! ([`crate::diagnose::ports::budget`]), which this only asks.

use std::net::IpAddr;
use std::time::Duration;

use crate::diagnose::ports::budget::{self, Budget, Held, Hold, HoldFacts, LINUX_HOLD_S};
use crate::model::facts::Fact;
use crate::model::plan::{Closer, PortMode, PortRange};
use crate::model::result::{PortForecast, Sysctls};

/// What the kernel says about local ports, this network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFacts {
    /// net.ipv4.ip_local_port_range
    pub range: PortRange,
    /// net.ipv4.ip_local_reserved_ports
    pub reserved: Vec<PortRange>,
    /// distinct ports of listeners, ascending
    pub listeners: Vec<u16>,
    /// distinct ports of sockets that are bound, but neither connected nor listening, ascending
    pub bound: Vec<u16>,
}

/// The part of a plan that decides about ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortUse {
    /// who picks the port
    pub mode: PortMode,
    /// the plan's own range (ring and range modes)
    pub range: Option<PortRange>,
    /// SO_REUSEADDR on every socket
    pub reuse_addr: bool,
    /// who ends a connection
    pub closer: Closer,
    /// number of source addresses, at least 1
    pub sources: u32,
}

impl Default for PortUse {
    /// A client that leaves everything to the kernel and closes first.
    fn default() -> Self {
        Self { mode: PortMode::Auto, range: None, reuse_addr: false, closer: Closer::Client, sources: 1 }
    }
}

/// The ports that one run can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// the range they come from
    pub range: PortRange,
    /// reserved ports inside it
    pub reserved: u32,
    /// listeners inside it
    pub listeners: u32,
    /// ports bound by others inside it
    pub bound: u32,
    /// what is left, for each source address
    pub per_source: u32,
    /// what is left, all source addresses together
    pub ports: u32,
}

/// How many ports `usage` can draw on.
///
/// A port that anybody listens on or has bound is lost to a kernel that picks, whatever the address
/// (`__inet_hash_connect` skips such buckets). A range of odd size loses one more port when it comes from the
/// sysctl (3 ports: 2 usable), not when it comes from the socket option.
pub fn pool(facts: &PoolFacts, usage: &PortUse) -> Pool {
    let range = effective_range(facts, usage);
    let kernel_picks = usage.mode != PortMode::Ring;
    let usable = match usage.mode {
        PortMode::Auto | PortMode::NoPort | PortMode::Bind if range.len() > 1 && range.len() % 2 == 1 => {
            PortRange { lo: range.lo, hi: range.hi - 1 }
        }
        _ => range,
    };
    let inside = |ports: &[u16]| ports.iter().filter(|p| usable.contains(**p)).count() as u32;
    let is_reserved = |p: u16| facts.reserved.iter().any(|r| r.contains(p));
    let reserved = if kernel_picks { (usable.lo..=usable.hi).filter(|p| is_reserved(*p)).count() as u32 } else { 0 };
    let listeners = inside(&facts.listeners);
    let bound = inside(&facts.bound);
    let lost = (usable.lo..=usable.hi)
        .filter(|p| {
            kernel_picks && is_reserved(*p) || facts.listeners.binary_search(p).is_ok() || facts.bound.binary_search(p).is_ok()
        })
        .count() as u32;
    let per_source = usable.len() - lost;
    Pool { range, reserved, listeners, bound, per_source, ports: per_source.saturating_mul(usage.sources.max(1)) }
}

/// The range that ports come from: the plan's for a ring; the overlap of both for IP_LOCAL_PORT_RANGE, which the
/// kernel ignores in silence when there is none.
fn effective_range(facts: &PoolFacts, usage: &PortUse) -> PortRange {
    match (usage.mode, usage.range) {
        (PortMode::Ring, Some(ring)) => ring,
        (PortMode::Range, Some(own)) if own.overlaps(facts.range) => {
            PortRange { lo: own.lo.max(facts.range.lo), hi: own.hi.min(facts.range.hi) }
        }
        _ => facts.range,
    }
}

/// How long one port stays held after a connection to `dest` (`diagnose::budget`, the truth table); unavailable
/// when a setting that decides could not be read.
pub fn hold(sysctls: &Sysctls, dest: IpAddr, usage: &PortUse) -> Fact<Hold> {
    let facts = HoldFacts {
        destination: dest,
        tcp_tw_reuse: sysctls.tcp_tw_reuse,
        tcp_tw_reuse_delay_ms: sysctls.tcp_tw_reuse_delay_ms,
        tcp_timestamps: sysctls.tcp_timestamps,
        port_mode: usage.mode,
        reuse_addr: usage.reuse_addr,
        closer: usage.closer,
    };
    match budget::hold_for(&facts) {
        Some(hold) => Fact::Known(hold),
        None => Fact::missing("net.ipv4.tcp_tw_reuse or tcp_timestamps could not be read"),
    }
}

/// What of TIME_WAIT's time need not be waited for where each port stays held `hold_s`.
pub fn taken_again(hold_s: f64) -> Duration {
    Duration::try_from_secs_f64(LINUX_HOLD_S - hold_s).unwrap_or(Duration::ZERO)
}

/// P/T, connections per second; none when a port is not held at all.
pub fn ceiling_cps(ports: u32, hold_s: f64) -> Option<f64> {
    Some(Budget::new(ports, hold_s).ceiling_cps()).filter(|c| c.is_finite())
}

/// (P/2)/T, above which connect(2) searches long; none where the kernel does not search (ring), or not by parity
/// (IP_LOCAL_PORT_RANGE).
pub fn search_cps(ports: u32, hold_s: f64, mode: PortMode) -> Option<f64> {
    match mode {
        PortMode::Ring | PortMode::Range => None,
        PortMode::Auto | PortMode::NoPort | PortMode::Bind => {
            Some(Budget::new(ports, hold_s).search_cps()).filter(|c| c.is_finite())
        }
    }
}

/// When the pool is used up at `rate_cps`, with `left` of it held already; none when the rate always finds a port.
pub fn forecast(ports: u32, left: Held, hold_s: f64, rate_cps: f64, duration: Duration) -> Option<PortForecast> {
    let forecast = Budget::new(ports, hold_s).forecast_from(left, rate_cps, duration, None, None);
    Some(PortForecast { rate_cps, exhausted_at_s: forecast.exhausted_at_s?, dead_s: forecast.dead_s?, echo_s: forecast.echo_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: PortRange = PortRange { lo: 32768, hi: 60999 };

    fn facts() -> PoolFacts {
        PoolFacts { range: RANGE, reserved: vec![], listeners: vec![80], bound: vec![] }
    }

    fn using(mode: PortMode) -> PortUse {
        PortUse { mode, ..PortUse::default() }
    }

    #[test]
    fn a_default_range_has_28232_ports() {
        let p = pool(&facts(), &using(PortMode::Auto));
        assert_eq!((p.ports, p.listeners), (28232, 0), "the listener is outside");
    }

    #[test]
    fn reserved_listening_and_bound_ports_are_lost_once_each() {
        let f = PoolFacts {
            range: PortRange { lo: 10000, hi: 10049 },
            reserved: vec![PortRange { lo: 10000, hi: 10004 }],
            listeners: vec![80, 10004, 10010],
            bound: vec![10010, 10020],
        };
        let p = pool(&f, &using(PortMode::Auto));
        assert_eq!((p.reserved, p.listeners, p.bound), (5, 2, 2));
        assert_eq!(p.ports, 50 - 7, "10004 and 10010 are counted once");
        let ring = PortUse { range: Some(PortRange { lo: 10000, hi: 10049 }), ..using(PortMode::Ring) };
        assert_eq!(pool(&f, &ring).ports, 50 - 3, "reserved ports can be bound explicitly");
        assert_eq!(pool(&f, &PortUse { sources: 4, ..using(PortMode::NoPort) }).ports, 4 * 43);
    }

    #[test]
    fn odd_ranges_lose_a_port_unless_the_socket_option_gave_them() {
        let f = PoolFacts { range: PortRange { lo: 10000, hi: 10002 }, ..facts() };
        assert_eq!(pool(&f, &using(PortMode::Auto)).ports, 2);
        let own = PortUse { range: Some(PortRange { lo: 40000, hi: 40002 }), ..using(PortMode::Range) };
        assert_eq!(pool(&facts(), &own).ports, 3);
        let one = PoolFacts { range: PortRange { lo: 10000, hi: 10000 }, ..facts() };
        assert_eq!(pool(&one, &using(PortMode::Auto)).ports, 1);
    }

    #[test]
    fn the_socket_option_is_clamped_or_ignored() {
        let half = PortUse { range: Some(PortRange { lo: 60000, hi: 65000 }), ..using(PortMode::Range) };
        assert_eq!(pool(&facts(), &half).range, PortRange { lo: 60000, hi: 60999 });
        let none = PortUse { range: Some(PortRange { lo: 10000, hi: 10010 }), ..using(PortMode::Range) };
        assert_eq!(pool(&facts(), &none).range, RANGE);
    }

    #[test]
    fn the_law_is_asked_with_the_plans_own_sockets() {
        let sysctls = Sysctls { tcp_tw_reuse: Some(2), tcp_timestamps: Some(1), ..Sysctls::default() };
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let seconds = |usage: &PortUse| hold(&sysctls, loopback, usage).known().unwrap().seconds;
        assert_eq!(seconds(&using(PortMode::Auto)), 1.0);
        assert_eq!(seconds(&using(PortMode::Bind)), 60.0);
        assert_eq!(seconds(&PortUse { reuse_addr: true, ..using(PortMode::Ring) }), 0.0);
        assert_eq!(seconds(&PortUse { closer: Closer::Server, ..using(PortMode::Auto) }), 0.0);
        assert!(hold(&Sysctls::default(), loopback, &using(PortMode::Auto)).reason().is_some());
    }

    #[test]
    fn both_ceilings_and_a_forecast() {
        assert!((ceiling_cps(28232, 60.0).unwrap() - 470.53).abs() < 0.01);
        assert!((search_cps(28232, 60.0, PortMode::Auto).unwrap() - 235.27).abs() < 0.01);
        assert_eq!(search_cps(28232, 60.0, PortMode::Ring), None);
        assert_eq!(ceiling_cps(28232, 0.0), None);
        let left = |timed| Held { timed, first_free_s: 100.0, last_free_s: 110.0, open: 0 };
        let at = |leftover, rate| forecast(16384, left(leftover), 120.0, rate, Duration::from_mins(3)).map(|f| f.exhausted_at_s);
        assert!((at(0, 170.0).unwrap() - 96.4).abs() < 0.1);
        assert!((at(1000, 170.0).unwrap() - 90.5).abs() < 0.1);
        assert_eq!(at(1000, 136.0), None, "leftovers run off: the ceiling is the whole pool's");
    }
}
