//! The sockets of one dump by source and destination: whose ports they take, and which side closed first. Pure.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::socket_count::{fin_wait2_rest, free};
use crate::diagnose::ports::hold::{Hold, hold};
use crate::diagnose::ports::pool::{PoolFacts, PortUse};
use crate::model::budget::LINUX_HOLD_S;
use crate::model::facts::{DiagSocket, TcpState};
use crate::model::result::Sysctls;
use crate::watch::Towards;

pub(super) type Key = (IpAddr, SocketAddr);

/// How the sockets are to be read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) facts: Option<&'a PoolFacts>,
    pub(super) sysctls: &'a Sysctls,
    /// the dump is of this destination alone
    pub(super) to: Option<SocketAddr>,
    /// sockets that somebody is known to own
    pub(super) inodes: &'a HashSet<u32>,
    /// the look before, where what entered TIME_WAIT since then matters
    pub(super) last: Option<Last<'a>>,
}

/// A look takes a while, and the kernel counts ages in ticks of 4 ms or more: by its age alone a socket that entered TIME_WAIT so
/// near to the look before may have been seen by it or not.
const BORDER: Duration = Duration::from_millis(250);
/// What the next look needs of this one: sockets that are younger than this.
const YOUNG: Duration = Duration::from_millis(500);

/// Both ends of a connection.
pub(super) type Pair = ((IpAddr, u16), (IpAddr, u16));

/// The look before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last<'a> {
    pub(super) ago: Duration,
    /// of the sockets in TIME_WAIT that it saw, the youngest: [`young`]
    pub(super) young: &'a HashSet<Pair>,
}

impl Last<'_> {
    /// Whether it has not seen this one, which has been in TIME_WAIT for `age`.
    fn missed(&self, s: &DiagSocket, age: Duration) -> bool {
        age + BORDER <= self.ago || age <= self.ago + BORDER && !self.young.contains(&(s.local, s.peer))
    }
}

/// For how long a socket has been in TIME_WAIT.
fn age(s: &DiagSocket) -> Duration {
    Duration::from_secs_f64((LINUX_HOLD_S - f64::from(s.expires_ms) / 1000.0).max(0.0))
}

/// The sockets of a look that the next one may take for new by their age alone.
pub(super) fn young(sockets: &[DiagSocket]) -> HashSet<Pair> {
    let young = sockets.iter().filter(|s| s.state == TcpState::TimeWait && age(s) <= YOUNG);
    young.map(|s| (s.local, s.peer)).collect()
}

/// Sockets at a server's end of connections from one source.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct ServerSide {
    time_wait: u32,
    pub(super) new: u32,
    pub(super) close_wait: u32,
}

/// Outgoing sockets by source and destination, and servers' ends apart: those of a busy server have a source each.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    sysctls: &'a Sysctls,
    index: HashMap<Key, usize>,
    towards: Vec<Towards>,
    taken_again: Vec<Duration>,
    last: Option<(Key, usize)>,
    servers: HashMap<Key, ServerSide>,
}

impl<'a> Groups<'a> {
    pub(super) fn of(sockets: &[DiagSocket], how: &Reading<'a>) -> Self {
        let (index, servers) = (HashMap::new(), HashMap::new());
        let mut groups = Self { sysctls: how.sysctls, index, towards: Vec::new(), taken_again: Vec::new(), last: None, servers };
        let counts = OnceCell::new();
        let rest = fin_wait2_rest(how.sysctls);
        for s in sockets.iter().filter(|s| !matches!(s.state, TcpState::Listen | TcpState::BoundOnly)) {
            let (local, peer) = (SocketAddr::from(s.local), SocketAddr::from(s.peer));
            let is_outgoing = match how.to {
                Some(dest) => peer == dest,
                None => is_outgoing(s, how.facts, || counts.get_or_init(|| degrees(sockets))),
            };
            let is_new = s.state == TcpState::TimeWait && how.last.is_some_and(|last| last.missed(s, age(s)));
            if !is_outgoing {
                if matches!(s.state, TcpState::TimeWait | TcpState::CloseWait) {
                    let side = groups.servers.entry((peer.ip(), local)).or_default();
                    side.time_wait += u32::from(s.state == TcpState::TimeWait);
                    side.close_wait += u32::from(s.state == TcpState::CloseWait);
                    side.new += u32::from(is_new);
                }
                continue;
            }
            let at = groups.at((local.ip(), peer));
            let t = &mut groups.towards[at];
            if s.state == TcpState::SynSent {
                t.opening += 1;
                t.unanswered += u32::from(s.retransmits > 0);
            }
            if how.facts.is_none_or(|f| f.range.contains(local.port())) {
                t.count.add_port(s.state, free(s, groups.taken_again[at], rest));
            } else {
                t.used_outside += 1;
            }
            if s.state == TcpState::TimeWait {
                t.births.add(age(s).as_secs_f64());
                t.new += u32::from(is_new);
            } else if how.inodes.contains(&s.inode) {
                t.owned += 1;
            }
        }
        groups
    }

    /// With the servers' ends beside the clients' where both are on this host, or where `is_wanted` says so: the client's
    /// end may have gone already. And the sockets in TIME_WAIT of the others.
    pub(super) fn joined(mut self, mut is_wanted: impl FnMut(&Key, &ServerSide) -> bool) -> (Vec<Towards>, u32) {
        let mut elsewhere = 0;
        for (key, side) in std::mem::take(&mut self.servers) {
            if !self.index.contains_key(&key) && !is_wanted(&key, &side) {
                elsewhere += side.time_wait;
                continue;
            }
            let at = self.at(key);
            let t = &mut self.towards[at];
            *t.count.time_wait_target_side.get_or_insert(0) += side.time_wait;
            t.server_new += side.new;
            t.server_close_wait += side.close_wait;
        }
        (self.towards, elsewhere)
    }

    /// Rows of one group mostly come in a row, so the last is kept.
    fn at(&mut self, key: Key) -> usize {
        let at = match self.last {
            Some((last, at)) if last == key => at,
            _ => *self.index.entry(key).or_insert_with(|| {
                // T is a matter of the destination alone.
                let held = hold(self.sysctls, key.1, &PortUse::default());
                self.taken_again.push(held.known().map_or(Duration::ZERO, Hold::taken_again));
                self.towards.push(Towards::new(key.0, key.1));
                self.towards.len() - 1
            }),
        };
        self.last = Some((key, at));
        at
    }
}

type End = (IpAddr, u16);

/// How many sockets name each end: a server's end is named by many, a client's by one or two.
fn degrees(sockets: &[DiagSocket]) -> HashMap<End, u32> {
    let mut degrees = HashMap::new();
    for end in sockets.iter().flat_map(|s| [s.local, s.peer]) {
        *degrees.entry(end).or_default() += 1;
    }
    degrees
}

/// Which end of a connection on this host made it, as far as ports tell: the end at a listener's port did not; else
/// the end whose port lies in the range did; else the end that fewer sockets name (a server that has gone leaves
/// many with its own), else the higher port.
fn is_outgoing<'d>(s: &DiagSocket, facts: Option<&PoolFacts>, degrees: impl FnOnce() -> &'d HashMap<End, u32>) -> bool {
    facts.and_then(|facts| by_ports(s, facts)).unwrap_or_else(|| {
        let degrees = degrees();
        match degrees.get(&s.peer).cmp(&degrees.get(&s.local)) {
            std::cmp::Ordering::Equal => s.local.1 > s.peer.1,
            more => more.is_gt(),
        }
    })
}
/// What the ports alone tell; none where both ends may have made it.
fn by_ports(s: &DiagSocket, facts: &PoolFacts) -> Option<bool> {
    let (local, peer) = (s.local.1, s.peer.1);
    let listens = |port: u16| facts.listeners.binary_search(&port).is_ok();
    match (listens(local), facts.range.contains(local), facts.range.contains(peer)) {
        (true, ..) => Some(false),
        (false, true, false) => Some(true),
        (false, false, true) => Some(listens(peer)),
        (false, _, _) => listens(peer).then_some(true),
    }
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
        DiagSocket {
            state,
            local: at(local),
            peer: at(peer),
            expires_ms,
            is_timewait: expires_ms > 0,
            receive_queue: 0,
            send_queue: 0,
            inode: 0,
            uid: 0,
            retransmits: 0,
        }
    }

    /// By destination; the most ports first.
    fn grouped(rows: &[DiagSocket], to: Option<&str>, tcp_tw_reuse: Option<u32>) -> (Vec<Towards>, u32) {
        let range = PortRange { lo: 32768, hi: 60999 };
        let facts = PoolFacts { range, reserved: vec![], listeners: vec![80, 50_000], bound: vec![] };
        let sysctls = Sysctls { tcp_tw_reuse, tcp_timestamps: Some(1), ..Sysctls::default() };
        let to = to.map(|to| to.parse().unwrap());
        let inodes = HashSet::new();
        let how = Reading { facts: Some(&facts), sysctls: &sysctls, to, inodes: &inodes, last: None };
        let (mut all, elsewhere) = Groups::of(rows, &how).joined(|_, _| to.is_some());
        all.sort_by_key(|t| (std::cmp::Reverse(t.count.used), t.dest));
        (all, elsewhere)
    }

    #[test]
    fn sockets_of_a_server_that_has_gone_are_not_destinations() {
        let rows: Vec<_> = (0..5)
            .map(|i| row(TcpState::TimeWait, "127.0.0.1:45000", &format!("127.0.0.1:{}", 40_000 + i), 1))
            .chain((0..3).map(|i| row(TcpState::TimeWait, &format!("127.0.0.1:{}", 41_000 + i), "127.0.0.1:46000", 1)))
            .collect();
        let (groups, at_servers) = grouped(&rows, None, None);
        assert_eq!(at_servers, 5);
        assert_eq!(groups.iter().map(|t| (t.dest.port(), t.count.used)).collect::<Vec<_>>(), [(46_000, 3)]);
    }

    /// A look a second, each of which walks over the sockets for a while, on a kernel that counts in ticks.
    #[test]
    fn each_connection_is_new_once_however_long_a_look_takes() {
        const TICK_MS: u32 = 4;
        let tick = |ms: u32| ms / TICK_MS * TICK_MS;
        let born = |i: u32| i * 3;
        for walks_ms in [[0, 0, 0, 0], [1, 9, 2, 40], [120, 3, 90, 5], [0, 200, 0, 200]] {
            let (mut before, mut new, mut seen) = (HashSet::new(), 0, 0);
            for (n, walk_ms) in walks_ms.into_iter().enumerate() {
                let now_ms = 1000 * (n as u32 + 1) + 1;
                let at_ms = now_ms + walk_ms;
                let rows: Vec<DiagSocket> = (0..at_ms / 3)
                    .map(|i| {
                        let left_ms = 60_000 + tick(born(i)) - tick(at_ms);
                        row(TcpState::TimeWait, &format!("127.0.0.1:{}", 33_000 + i), "127.0.0.1:80", left_ms)
                    })
                    .collect();
                seen = rows.len();
                let ago = Duration::from_millis(if n == 0 { u64::from(now_ms) } else { 1000 });
                let (inodes, sysctls) = (HashSet::new(), Sysctls::default());
                let last = Some(Last { ago, young: &before });
                let how = Reading { facts: None, sysctls: &sysctls, to: None, inodes: &inodes, last };
                let (groups, _) = Groups::of(&rows, &how).joined(|_, _| false);
                new += groups.iter().map(|t| t.new as usize).sum::<usize>();
                before = young(&rows);
            }
            assert_eq!(new, seen, "{walks_ms:?}");
        }
    }

    #[test]
    fn outgoing_ends_are_grouped() {
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
        let (groups, at_servers) = grouped(&rows, None, Some(0));
        assert_eq!((groups.len(), at_servers), (3, 0), "said in the row: {groups:?}");
        let first = &groups[0];
        assert_eq!(first.dest.to_string(), "127.0.0.1:80");
        assert_eq!((first.count.used, first.used_outside, first.count.time_wait_target_side), (2, 1, Some(1)));
        assert_eq!((first.count.states.time_wait, first.count.states.fin_wait2), (2, 0), "20000 lies outside the range");
        assert_eq!((first.count.in_use.first_free_s, first.count.in_use.last_free_s), (10.0, 50.0));
        assert_eq!([groups[1].dest.port(), groups[2].dest.port()], [443, 50_000]);
    }

    #[test]
    fn where_reuse_applies_a_port_in_time_wait_is_held_for_t_alone() {
        let at = |port: u16, ms| row(TcpState::TimeWait, &format!("127.0.0.1:{port}"), "127.0.0.1:80", ms);
        let rows = [at(40000, 59_400), at(40001, 59_800), at(40002, 30_000)];
        let in_use = |rows: &[DiagSocket]| {
            let count = grouped(rows, None, Some(1)).0[0].count;
            (count.used, count.in_use.ports(), count.in_use.first_free_s, count.in_use.last_free_s)
        };
        assert_eq!((in_use(&rows), in_use(&rows[2..])), ((3, 2, 0.4, 0.8), (1, 0, 0.0, 0.0)));
    }

    #[test]
    fn a_destination_asked_for_is_taken_by_its_address() {
        let rows = [
            row(TcpState::Established, "127.0.0.1:40000", "127.0.0.1:41000", 0),
            row(TcpState::Established, "127.0.0.1:41000", "127.0.0.1:40000", 0),
            row(TcpState::TimeWait, "127.0.0.1:41000", "10.0.0.9:40001", 1),
        ];
        let (groups, elsewhere) = grouped(&rows, Some("127.0.0.1:41000"), None);
        let seen: Vec<_> = groups.iter().map(|t| (t.count.used, t.count.time_wait_target_side)).collect();
        assert_eq!((seen, elsewhere), (vec![(1, None), (0, Some(1))], 0));
    }
}
