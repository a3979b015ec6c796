//! P: how many source ports a plan can use. Decisions over facts, measured in `tests/live`; reading the facts is for others.

use crate::model::plan::{Closer, LoadPlan, PortMode, PortRange};

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

impl PortUse {
    /// Of a plan.
    pub fn of(plan: &LoadPlan) -> Self {
        Self {
            mode: plan.port_mode,
            range: plan.port_range,
            reuse_addr: plan.reuse_addr,
            closer: plan.closer,
            sources: (plan.sources.len() as u32).max(1),
        }
    }

    /// All destinations share its ports: a port that is bound before the destination is known is taken for all.
    pub fn shares_all_destinations(&self) -> bool {
        self.mode == PortMode::Bind
    }
}

impl Default for PortUse {
    /// A client that leaves everything to the kernel and closes first.
    fn default() -> Self {
        Self { mode: PortMode::Auto, range: None, reuse_addr: false, closer: Closer::Client, sources: 1 }
    }
}

/// The ports that one run can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortPool {
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
pub fn pool(facts: &PoolFacts, usage: &PortUse) -> PortPool {
    let range = effective_range(facts, usage);
    let kernel_picks = usage.mode != PortMode::Ring;
    let usable = match usage.mode {
        PortMode::Auto | PortMode::NoPort | PortMode::Bind if range.count() > 1 && range.count() % 2 == 1 => {
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
    let per_source = usable.count() - lost;
    PortPool { range, reserved, listeners, bound, per_source, ports: per_source.saturating_mul(usage.sources.max(1)) }
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
}
