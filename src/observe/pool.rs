//! How many source ports there are, and how long each stays held: pure decisions over facts. Each line of the
//! decision was measured (ports.md sections 2 to 4).
//!
//! Not here: reading the facts ([`super::survey`]) and forecasting from them (`diagnose`).

use std::net::IpAddr;

use crate::model::facts::Fact;
use crate::model::plan::{Closer, PortMode, PortRange};
use crate::model::result::{PortForecast, Sysctls};

/// TCP_TIMEWAIT_LEN (include/net/tcp.h): not a setting; tcp_fin_timeout does not change it.
pub const TIME_WAIT_S: f64 = 60.0;
/// Reuse age before tcp_tw_reuse_delay existed (Linux 6.14).
const REUSE_DELAY_DEFAULT_S: f64 = 1.0;

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

/// How long one port stays held after its connection, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hold {
    /// seconds; 0 when a port can be used again at once
    pub seconds: f64,
    /// the rule, in words
    pub why: &'static str,
}

/// The T of `P/T` for connections from `source` to `dest`.
///
/// Unavailable when a setting that decides could not be read.
pub fn hold(sysctls: &Sysctls, dest: IpAddr, source: Option<IpAddr>, usage: &PortUse) -> Fact<Hold> {
    let full = |why| Fact::Known(Hold { seconds: TIME_WAIT_S, why });
    let none = |why| Fact::Known(Hold { seconds: 0.0, why });
    match usage.closer {
        Closer::Reset => return none("SO_LINGER 0: a reset connection leaves no TIME_WAIT"),
        Closer::Server => return none("the server closes first and keeps the TIME_WAIT"),
        Closer::Client => {}
    }
    let Some(timestamps) = sysctls.tcp_timestamps else {
        return Fact::missing("net.ipv4.tcp_timestamps could not be read");
    };
    match usage.mode {
        PortMode::Ring if usage.reuse_addr && timestamps != 0 => {
            none("explicit ports with SO_REUSEADDR on every socket are reused at once")
        }
        PortMode::Ring if usage.reuse_addr => full("SO_REUSEADDR does not help without TCP timestamps"),
        PortMode::Ring => full("explicit ports without SO_REUSEADDR"),
        PortMode::Bind => full("tcp_tw_reuse never helps bind(2)"),
        PortMode::Auto | PortMode::NoPort | PortMode::Range => {
            let Some(reuse) = sysctls.tcp_tw_reuse else { return Fact::missing("net.ipv4.tcp_tw_reuse could not be read") };
            let loopback = dest.is_loopback() || source.is_some_and(|s| s.is_loopback());
            let delay = sysctls.tcp_tw_reuse_delay_ms.map_or(REUSE_DELAY_DEFAULT_S, |ms| f64::from(ms) / 1000.0);
            let reused = |why| Fact::Known(Hold { seconds: delay, why });
            match (reuse, timestamps != 0) {
                (0, _) => full("tcp_tw_reuse=0"),
                (_, false) => full("tcp_tw_reuse does not work without TCP timestamps"),
                (1, _) => reused("tcp_tw_reuse=1: a port can be taken again after tcp_tw_reuse_delay"),
                (_, _) if loopback => {
                    reused("tcp_tw_reuse=2 and a loopback address: a port can be taken again after tcp_tw_reuse_delay")
                }
                _ => full("tcp_tw_reuse=2 does nothing outside 127/8 and ::1"),
            }
        }
    }
}

/// P/T, connections per second; none when a port is not held at all.
pub fn ceiling_cps(ports: u32, hold: Hold) -> Option<f64> {
    (hold.seconds > 0.0).then(|| f64::from(ports) / hold.seconds)
}

/// (P/2)/T, where more than half of the ports of a parity are held and connect(2) searches long; none where the
/// kernel does not search (ring), or not by parity (IP_LOCAL_PORT_RANGE).
pub fn search_cps(ports: u32, hold: Hold, mode: PortMode) -> Option<f64> {
    match mode {
        PortMode::Ring | PortMode::Range => None,
        PortMode::Auto | PortMode::NoPort | PortMode::Bind => ceiling_cps(ports, hold).map(|c| c / 2.0),
    }
}

/// When `free` ports are used up at `rate_cps`, how long nothing succeeds then, and when the failures come back
/// (the next three times); none when the rate stays under the ceiling. The law of ports.md section 1: exhausted
/// after `free/rate`, dead until the first port is free after T, then the connections of T ago are played back.
pub fn forecast(free: u32, hold: Hold, rate_cps: f64) -> Option<PortForecast> {
    const ECHOES: u32 = 3;
    if rate_cps <= 0.0 || hold.seconds <= 0.0 {
        return None;
    }
    let exhausted_at_s = f64::from(free) / rate_cps;
    (exhausted_at_s < hold.seconds).then(|| PortForecast {
        exhausted_at_s,
        dead_s: hold.seconds - exhausted_at_s,
        echo_s: (1..=ECHOES).map(|k| exhausted_at_s + f64::from(k) * hold.seconds).collect(),
    })
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

    /// The truth table of ports.md section 2, client closing first.
    #[test]
    fn the_hold_time_follows_the_truth_table() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let other: IpAddr = "10.0.0.1".parse().unwrap();
        let s = |reuse| Sysctls {
            tcp_tw_reuse: Some(reuse),
            tcp_timestamps: Some(1),
            tcp_tw_reuse_delay_ms: Some(1000),
            ..Sysctls::default()
        };
        let t = |sysctls: &Sysctls, dest, usage: &PortUse| hold(sysctls, dest, None, usage).known().unwrap().seconds;
        for mode in [PortMode::Auto, PortMode::NoPort, PortMode::Range] {
            for (reuse, dest, seconds) in
                [(0, loopback, 60.0), (1, loopback, 1.0), (1, other, 1.0), (2, loopback, 1.0), (2, other, 60.0)]
            {
                for reuse_addr in [false, true] {
                    assert_eq!(t(&s(reuse), dest, &PortUse { reuse_addr, ..using(mode) }), seconds, "{mode:?} {reuse} {dest}");
                }
            }
        }
        for reuse in 0..=2 {
            assert_eq!(t(&s(reuse), loopback, &using(PortMode::Bind)), 60.0);
            assert_eq!(t(&s(reuse), loopback, &using(PortMode::Ring)), 60.0);
            assert_eq!(t(&s(reuse), other, &PortUse { reuse_addr: true, ..using(PortMode::Ring) }), 0.0);
            for closer in [Closer::Server, Closer::Reset] {
                assert_eq!(t(&s(reuse), other, &PortUse { closer, ..using(PortMode::Auto) }), 0.0);
            }
        }
    }

    #[test]
    fn without_timestamps_nothing_is_reused_and_the_delay_is_the_kernels() {
        let dest: IpAddr = "127.0.0.1".parse().unwrap();
        let off = Sysctls { tcp_tw_reuse: Some(1), tcp_timestamps: Some(0), ..Sysctls::default() };
        assert_eq!(hold(&off, dest, None, &using(PortMode::Auto)).known().unwrap().seconds, 60.0);
        let ring = PortUse { reuse_addr: true, ..using(PortMode::Ring) };
        assert_eq!(hold(&off, dest, None, &ring).known().unwrap().seconds, 60.0);
        let slow =
            Sysctls { tcp_tw_reuse: Some(1), tcp_timestamps: Some(1), tcp_tw_reuse_delay_ms: Some(3000), ..Sysctls::default() };
        assert_eq!(hold(&slow, dest, None, &using(PortMode::Auto)).known().unwrap().seconds, 3.0);
        let old = Sysctls { tcp_tw_reuse_delay_ms: None, ..slow };
        assert_eq!(hold(&old, dest, None, &using(PortMode::Auto)).known().unwrap().seconds, 1.0);
        assert!(hold(&Sysctls::default(), dest, None, &using(PortMode::Auto)).reason().is_some());
    }

    #[test]
    fn the_experiments_forecast() {
        let f = forecast(16384, Hold { seconds: 120.0, why: "" }, 170.0).unwrap();
        assert!((f.exhausted_at_s - 96.4).abs() < 0.1 && (f.dead_s - 23.6).abs() < 0.1, "{f:?}");
        assert!((f.echo_s[0] - 216.4).abs() < 0.1);
        assert_eq!(forecast(16384, Hold { seconds: 120.0, why: "" }, 136.0), None);
    }

    #[test]
    fn both_ceilings() {
        let h = Hold { seconds: 60.0, why: "" };
        assert!((ceiling_cps(28232, h).unwrap() - 470.53).abs() < 0.01);
        assert!((search_cps(28232, h, PortMode::Auto).unwrap() - 235.27).abs() < 0.01);
        assert_eq!(search_cps(28232, h, PortMode::Ring), None);
        assert_eq!(ceiling_cps(28232, Hold { seconds: 0.0, why: "" }), None);
    }
}
