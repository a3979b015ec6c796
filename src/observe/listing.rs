//! The port budget of this namespace now, destination by destination: `sockbench ports`.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::baseline::{bound_inside, read_pool_facts};
use super::socket_count::free;
use crate::diagnose::ports::budget::Budget;
use crate::diagnose::ports::hold::{CAPPED, Hold, hold};
use crate::diagnose::ports::pool::{PoolFacts, PortPool, PortUse, pool};
use crate::model::facts::{DiagSocket, Fact, TcpState};
use crate::model::port_count::{PortCount, concrete};
use crate::model::ports_report::{DestinationPorts, PORTS_SCHEMA, PortsReport};
use crate::model::result::Sysctls;
use crate::sys::sock_diag::{Scope, SockDiag, States};
use crate::sys::{host, socket, sysctl};

/// Looks now. `to` narrows it to one destination, which is then listed even if none of its ports is in use; at most `rows`
/// destinations are listed. One dump of all sockets (of the destination's with `to`).
///
/// Errors: sock_diag refused, so that nothing is known of any socket.
pub fn look(to: Option<SocketAddr>, rows: usize) -> io::Result<PortsReport> {
    let to = to.map(concrete);
    let scope = to.map_or(Scope::All, Scope::Either);
    let sockets = SockDiag::open()?.collect(States::CONNECTED, scope)?;
    let facts = read_pool_facts();
    let usage = PortUse::default();
    let pool = facts.clone().map(|f| pool(&f, &usage));
    let (sysctls, _) = sysctl::read_sysctls();
    let kernel = host::read_kernel_release().unwrap_or_else(|e| format!("unknown ({e})"));
    // T is a matter of the destination alone.
    let taken_again = |dest: SocketAddr| hold(&sysctls, dest, &usage).known().map_or(Duration::ZERO, Hold::taken_again);
    let (mut groups, at_servers) = group(&sockets, &facts, to, taken_again);
    if let Some(dest) = to
        && groups.is_empty()
    {
        let source = socket::source_towards(dest).map_or(dest.ip(), |ip| ip);
        groups.push(((source, dest), Towards::default()));
    }
    let mut report = PortsReport {
        schema: PORTS_SCHEMA.into(),
        kernel: kernel.clone(),
        range: pool.known().map(|p| [p.range.lo, p.range.hi]),
        reserved: pool.known().map(|p| p.reserved),
        listeners: pool.known().map(|p| p.listeners),
        bound_only: None,
        pool: pool.known().map(|p| p.ports),
        destinations: groups.iter().take(rows).map(|(key, towards)| destination(key, towards, &pool, &sysctls, &usage)).collect(),
        more_destinations: groups.len().saturating_sub(rows) as u32,
        more_used: groups.iter().skip(rows).map(|(_, towards)| towards.count.in_use.ports()).sum(),
        time_wait_at_servers: at_servers,
        unavailable: Vec::new(),
    };
    explain(&mut report, &pool, bound_inside(&facts, &pool, &kernel));
    Ok(report)
}

/// Ports of one source towards one destination. Each socket has a port of its own there: the four-tuple is unique.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Towards {
    /// inside the range
    count: PortCount,
    used_outside: u32,
}

type Key = (IpAddr, SocketAddr);

/// Outgoing sockets by source and destination, the most ports first; and sockets in TIME_WAIT at a server's end that belong to
/// none of these.
fn group(
    sockets: &[DiagSocket],
    facts: &Fact<PoolFacts>,
    to: Option<SocketAddr>,
    taken_again: impl Fn(SocketAddr) -> Duration,
) -> (Vec<(Key, Towards)>, u32) {
    let degrees = degrees(sockets);
    let mut groups: HashMap<Key, Towards> = HashMap::new();
    let mut target_side: HashMap<Key, u32> = HashMap::new();
    for s in sockets {
        let (local, peer) = (SocketAddr::from(s.local), SocketAddr::from(s.peer));
        let outgoing = match to {
            Some(dest) => peer == dest,
            None => is_outgoing(s, facts.known(), &degrees),
        };
        if !outgoing {
            if s.state == TcpState::TimeWait {
                *target_side.entry((peer.ip(), local)).or_default() += 1;
            }
            continue;
        }
        let towards = groups.entry((local.ip(), peer)).or_default();
        if facts.known().is_none_or(|f| f.range.contains(local.port())) {
            towards.count.add_port(s.state, free(s, taken_again(peer)));
        } else {
            towards.used_outside += 1;
        }
    }
    // Where a destination on this host has the TIME_WAIT itself, no port of the source is lost: a figure of its own.
    let mut at_servers = 0;
    for (key, n) in target_side {
        if to.is_none_or(|dest| key.1 == dest) && (groups.contains_key(&key) || to.is_some()) {
            groups.entry(key).or_default().count.time_wait_target_side += n;
        } else {
            at_servers += n;
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_unstable_by_key(|((source, dest), t)| (std::cmp::Reverse(t.count.used + t.used_outside), *dest, *source));
    (groups, at_servers)
}

pub(super) type End = (IpAddr, u16);

/// How many sockets name each end: a server's end is named by many, a client's by one or two.
pub(super) fn degrees(sockets: &[DiagSocket]) -> HashMap<End, u32> {
    let mut degrees = HashMap::new();
    for end in sockets.iter().flat_map(|s| [s.local, s.peer]) {
        *degrees.entry(end).or_default() += 1;
    }
    degrees
}

/// Which end of a connection on this host made it, as far as ports tell: the end at a listener's port did not; else
/// the end whose port lies in the range did; else the end that fewer sockets name (a server that has gone leaves
/// many with its own), else the higher port.
fn is_outgoing(s: &DiagSocket, facts: Option<&PoolFacts>, degrees: &HashMap<End, u32>) -> bool {
    facts.and_then(|facts| by_ports(s, facts)).unwrap_or_else(|| by_number(s, degrees))
}

/// What the ports alone tell; none where both ends may have made it.
pub(super) fn by_ports(s: &DiagSocket, facts: &PoolFacts) -> Option<bool> {
    let (local, peer) = (s.local.1, s.peer.1);
    let listens = |port: u16| facts.listeners.binary_search(&port).is_ok();
    match (listens(local), facts.range.contains(local), facts.range.contains(peer)) {
        (true, ..) => Some(false),
        (false, true, false) => Some(true),
        (false, false, true) => Some(listens(peer)),
        (false, _, _) => listens(peer).then_some(true),
    }
}

/// The end that fewer sockets name made it, else the one with the higher port.
pub(super) fn by_number(s: &DiagSocket, degrees: &HashMap<End, u32>) -> bool {
    match degrees.get(&s.peer).cmp(&degrees.get(&s.local)) {
        std::cmp::Ordering::Equal => s.local.1 > s.peer.1,
        more => more.is_gt(),
    }
}

fn destination(key: &Key, towards: &Towards, pool: &Fact<PortPool>, sysctls: &Sysctls, usage: &PortUse) -> DestinationPorts {
    let (source, dest) = key;
    let Towards { count, used_outside } = *towards;
    let hold = hold(sysctls, *dest, usage);
    let ports = pool.known().map(|p| p.ports);
    let hold_s = hold.known().map(|h| h.seconds);
    let budget = ports.zip(hold_s).map(|(p, t)| Budget::new(p, t).capped_at(sysctls.tcp_max_tw_buckets));
    let held = count.in_use.ports();
    // With every one of them free to be taken again: 0.
    let is_timed = count.in_use.last_free_s > 0.0 || count.states.time_wait > 0;
    DestinationPorts {
        source: source.to_string(),
        destination: dest.to_string(),
        used: count.used,
        held,
        used_outside,
        share: ports.filter(|p| *p > 0).map(|p| f64::from(held) / f64::from(p)),
        states: count.states,
        time_wait_target_side: count.time_wait_target_side,
        hold_s,
        hold_why: match hold {
            Fact::Known(h) if budget.is_some_and(|b| b.is_capped()) => format!("{}; {CAPPED}", h.why),
            Fact::Known(h) => h.why,
            Fact::Unavailable(why) => why,
        },
        ceiling_cps: budget.and_then(|b| b.limit_cps()),
        search_cps: budget.and_then(|b| b.search_limit_cps(usage.mode)),
        first_free_in_s: is_timed.then_some(count.in_use.first_free_s),
        last_free_in_s: is_timed.then_some(count.in_use.last_free_s),
    }
}

fn explain(report: &mut PortsReport, pool: &Fact<PortPool>, bound_only: Fact<u32>) {
    match bound_only {
        Fact::Known(n) => report.bound_only = Some(n),
        Fact::Unavailable(why) => report.explain_null("bound_only", why),
    }
    if let Some(why) = pool.reason() {
        for key in ["range", "reserved", "listeners", "pool", "destinations[].share"] {
            report.explain_null(key, why);
        }
    }
    let rows = std::mem::take(&mut report.destinations);
    for d in &rows {
        let unknown = pool.reason().unwrap_or(&d.hold_why).to_owned();
        if d.share.is_none() {
            report.explain_null("destinations[].share", "the pool is empty");
        }
        if d.hold_s.is_none() {
            report.explain_null("destinations[].hold_s", d.hold_why.clone());
        }
        for (null, key) in [(d.ceiling_cps.is_none(), "ceiling_cps"), (d.search_cps.is_none(), "search_cps")] {
            if null {
                report.explain_null(&format!("destinations[].{key}"), unknown.clone());
            }
        }
        if d.first_free_in_s.is_none() {
            for key in ["first_free_in_s", "last_free_in_s"] {
                report.explain_null(&format!("destinations[].{key}"), "nothing is in TIME_WAIT towards this destination");
            }
        }
    }
    report.destinations = rows;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::PortRange;

    fn row(state: TcpState, local: &str, peer: &str, expires_ms: u32) -> DiagSocket {
        let at = |a: &str| {
            let a: SocketAddr = a.parse().unwrap();
            (a.ip(), a.port())
        };
        DiagSocket { state, local: at(local), peer: at(peer), expires_ms, receive_queue: 0, send_queue: 0, inode: 0, uid: 0 }
    }

    fn facts() -> Fact<PoolFacts> {
        Fact::Known(PoolFacts {
            range: PortRange { lo: 32768, hi: 60999 },
            reserved: vec![],
            listeners: vec![80, 50_000],
            bound: vec![],
        })
    }

    #[test]
    fn sockets_of_a_server_that_has_gone_are_not_destinations() {
        let rows: Vec<_> = (0..5)
            .map(|i| row(TcpState::TimeWait, "127.0.0.1:45000", &format!("127.0.0.1:{}", 40_000 + i), 1))
            .chain((0..3).map(|i| row(TcpState::TimeWait, &format!("127.0.0.1:{}", 41_000 + i), "127.0.0.1:46000", 1)))
            .collect();
        let (groups, at_servers) = group(&rows, &facts(), None, |_| Duration::ZERO);
        assert_eq!(at_servers, 5);
        let named: Vec<_> = groups.iter().map(|((_, dest), held)| (dest.port(), held.count.used)).collect();
        assert_eq!(named, [(46_000, 3)]);
    }

    #[test]
    fn outgoing_ends_are_grouped_and_sorted() {
        use TcpState::{Established, FinWait2, TimeWait};
        let rows = [
            row(TimeWait, "127.0.0.1:40000", "127.0.0.1:80", 10_000),
            row(TimeWait, "127.0.0.1:40001", "127.0.0.1:80", 50_000),
            row(FinWait2, "127.0.0.1:20000", "127.0.0.1:80", 0),
            row(Established, "127.0.0.1:80", "127.0.0.1:40002", 0),
            row(TimeWait, "127.0.0.1:80", "127.0.0.1:40003", 1),
            row(Established, "10.0.0.1:40000", "10.0.0.2:443", 0),
            row(Established, "127.0.0.1:40005", "127.0.0.1:50000", 0),
        ];
        let (groups, at_servers) = group(&rows, &facts(), None, |_| Duration::ZERO);
        assert_eq!(at_servers, 0, "said in the row");
        let at = |i: usize| (groups[i].0.1.to_string(), groups[i].1);
        assert_eq!(groups.len(), 3, "{groups:?}");
        let (dest, held) = at(0);
        assert_eq!(dest, "127.0.0.1:80");
        assert_eq!((held.count.used, held.used_outside, held.count.time_wait_target_side), (2, 1, 1));
        assert_eq!((held.count.states.time_wait, held.count.states.fin_wait2), (2, 0), "20000 lies outside the range");
        assert_eq!((held.count.in_use.first_free_s, held.count.in_use.last_free_s), (10.0, 50.0));
        assert_eq!((at(1).0.as_str(), at(2).0.as_str()), ("10.0.0.2:443", "127.0.0.1:50000"));
    }

    #[test]
    fn where_reuse_applies_a_port_in_time_wait_is_held_for_t_alone() {
        let at = |port: u16, ms| row(TcpState::TimeWait, &format!("127.0.0.1:{port}"), "127.0.0.1:80", ms);
        let rows = [at(40000, 59_400), at(40001, 59_800), at(40002, 30_000)];
        let shown = |rows: &[DiagSocket]| {
            let (groups, _) = group(rows, &facts(), None, |_| Duration::from_secs(59));
            let usage = PortUse::default();
            destination(&groups[0].0, &groups[0].1, &Fact::missing("not read"), &Sysctls::default(), &usage)
        };
        let d = shown(&rows);
        assert_eq!((d.used, d.held, d.first_free_in_s, d.last_free_in_s), (3, 2, Some(0.4), Some(0.8)));
        let old = shown(&rows[2..]);
        assert_eq!((old.used, old.held, old.first_free_in_s, old.last_free_in_s), (1, 0, Some(0.0), Some(0.0)));
    }

    #[test]
    fn a_destination_asked_for_is_taken_by_its_address() {
        let rows = [
            row(TcpState::Established, "127.0.0.1:40000", "127.0.0.1:41000", 0),
            row(TcpState::Established, "127.0.0.1:41000", "127.0.0.1:40000", 0),
        ];
        let (groups, _) = group(&rows, &facts(), Some("127.0.0.1:41000".parse().unwrap()), |_| Duration::ZERO);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].1.count.used, 1);
    }
}
