//! All sockets of this network namespace in one dump: outgoing ones by source and destination, with when each entered
//! TIME_WAIT, and the queues of the listeners.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::listing::{by_number, by_ports, degrees};
use super::socket_count::free;
use crate::diagnose::ports::hold::{Hold, hold};
use crate::diagnose::ports::pool::{PoolFacts, PortUse, pool};
use crate::model::budget::LINUX_HOLD_S;
use crate::model::facts::{DiagSocket, TcpState};
use crate::model::port_count::PortCount;
use crate::model::result::Sysctls;
use crate::model::time::Stamp;
use crate::sys::clock::Clock;
use crate::sys::sock_diag::{Family, Scope, SockDiag, States};
use crate::sys::{socket, sysctl};
use crate::watch::{Births, ListenQueue, Towards};

/// What one dump shows.
#[derive(Debug, Default)]
pub(super) struct SocketsLook {
    pub(super) towards: Vec<Towards>,
    pub(super) pool: Option<u32>,
    pub(super) listeners: Vec<(SocketAddr, ListenQueue)>,
}

/// Dumps again and again.
#[derive(Debug)]
pub(super) struct SocketsLooker {
    diag: SockDiag,
    sockets: Vec<DiagSocket>,
    own_addresses: HashMap<IpAddr, bool>,
    last: Option<Stamp>,
}

impl SocketsLooker {
    /// Errors: no sock_diag.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { diag: SockDiag::open()?, sockets: Vec::new(), own_addresses: HashMap::new(), last: None })
    }

    /// Looks now. `inodes` are the command's sockets.
    ///
    /// Errors: the kernel's.
    pub(super) fn look(&mut self, inodes: &HashSet<u32>, sysctls: &Sysctls, clock: Clock) -> io::Result<SocketsLook> {
        // Ages are those of the dump, not of the whole look, so that none is counted twice.
        let now = clock.now();
        let since = self.last.replace(now).map_or(Duration::ZERO, |last| now.since(last));
        self.sockets.clear();
        for family in Family::BOTH {
            let states = States::CONNECTED.and(States::LISTEN).and(States::BOUND_ONLY);
            let sockets = &mut self.sockets;
            self.diag.dump(family, states, Scope::All, |s| sockets.push(s))?;
        }
        let facts = pool_facts(&self.sockets);
        let mut look = SocketsLook { pool: facts.as_ref().map(|f| pool(f, &PortUse::default()).ports), ..SocketsLook::default() };
        let (own, sockets) = (&mut self.own_addresses, &self.sockets);
        let counts = OnceCell::new();
        let mut groups =
            Groups { index: HashMap::new(), towards: &mut look.towards, taken_again: Vec::new(), last: None, sysctls };
        for s in sockets {
            match s.state {
                TcpState::Listen => {
                    let queue = ListenQueue { waiting: s.receive_queue, limit: s.send_queue };
                    look.listeners.push((SocketAddr::from(s.local), queue));
                    continue;
                }
                TcpState::BoundOnly => continue,
                _ => {}
            }
            let by_ports = facts.as_ref().and_then(|f| by_ports(s, f));
            let is_outgoing = by_ports.unwrap_or_else(|| by_number(s, counts.get_or_init(|| degrees(sockets))));
            let age_s = (LINUX_HOLD_S - f64::from(s.expires_ms) / 1000.0).max(0.0);
            let is_new = s.state == TcpState::TimeWait && age_s <= since.as_secs_f64();
            if is_outgoing {
                let (at, taken_again) = groups.at((s.local.0, SocketAddr::from(s.peer)));
                let t = &mut groups.towards[at];
                if facts.as_ref().is_none_or(|f| f.range.contains(s.local.1)) {
                    t.count.add_port(s.state, free(s, taken_again));
                }
                if s.state == TcpState::TimeWait {
                    t.births.add(age_s);
                    t.new += u32::from(is_new);
                } else if inodes.contains(&s.inode) {
                    t.owned += 1;
                }
            } else if is_new || s.state == TcpState::CloseWait {
                // The client's end may have gone already: its server is all that shows the connection.
                if !*own.entry(s.peer.0).or_insert_with(|| socket::is_own_address(s.peer.0)) {
                    continue;
                }
                let (at, _) = groups.at((s.peer.0, SocketAddr::from(s.local)));
                let t = &mut groups.towards[at];
                t.server_new += u32::from(is_new);
                t.server_close_wait += u32::from(s.state == TcpState::CloseWait);
            }
        }
        Ok(look)
    }
}

impl SocketsLook {
    /// The queue of what listens for `dest`: the fullest, where several do.
    pub(super) fn queue_of(&self, dest: SocketAddr) -> Option<ListenQueue> {
        let listens = |at: &SocketAddr| at.port() == dest.port() && (at.ip() == dest.ip() || at.ip().is_unspecified());
        let queues = self.listeners.iter().filter(|(at, _)| listens(at)).map(|(_, queue)| *queue);
        queues.max_by_key(|q| (q.waiting, q.limit))
    }
}

/// Range and reserved ports, with the listeners and bound sockets of a dump; none where they cannot be read.
fn pool_facts(sockets: &[DiagSocket]) -> Option<PoolFacts> {
    let ports = |wanted: TcpState| {
        let mut ports: Vec<u16> = sockets.iter().filter(|s| s.state == wanted).map(|s| s.local.1).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    };
    Some(PoolFacts {
        range: sysctl::read_local_port_range().ok()?,
        reserved: sysctl::read_reserved_ports().ok()?,
        listeners: ports(TcpState::Listen),
        bound: ports(TcpState::BoundOnly),
    })
}

type Key = (IpAddr, SocketAddr);

/// Groups by source and destination. Rows of one mostly come in a row, so the last is kept.
struct Groups<'a> {
    index: HashMap<Key, usize>,
    towards: &'a mut Vec<Towards>,
    taken_again: Vec<Duration>,
    last: Option<(Key, usize)>,
    sysctls: &'a Sysctls,
}

impl Groups<'_> {
    fn at(&mut self, key: Key) -> (usize, Duration) {
        let at = match self.last {
            Some((last, at)) if last == key => at,
            _ => *self.index.entry(key).or_insert_with(|| {
                let held = hold(self.sysctls, key.1, &PortUse::default());
                self.taken_again.push(held.known().map_or(Duration::ZERO, Hold::taken_again));
                self.towards.push(Towards {
                    source: key.0,
                    dest: key.1,
                    count: PortCount::default(),
                    births: Births::default(),
                    new: 0,
                    server_new: 0,
                    owned: 0,
                    server_close_wait: 0,
                });
                self.towards.len() - 1
            }),
        };
        self.last = Some((key, at));
        (at, self.taken_again[at])
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;

    use super::*;
    use crate::sys::{clock, descriptors};

    #[test]
    fn a_connection_is_seen_with_its_owner_and_then_with_who_closed_first() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dest = listener.local_addr().unwrap();
        let mut looker = SocketsLooker::open().unwrap();
        let own = HashSet::new();
        let clock = Clock::start();
        looker.look(&own, &Sysctls::default(), clock).unwrap();
        let client = TcpStream::connect(dest).unwrap();
        assert!(client.as_raw_fd() > 2);
        let own: HashSet<u32> = descriptors::read_open(std::process::id()).unwrap().sockets.into_iter().collect();
        let mut look = || looker.look(&own, &Sysctls::default(), clock).unwrap();
        let of = |look: &SocketsLook| look.towards.iter().find(|t| t.dest == dest).cloned().unwrap();
        let first = look();
        assert_eq!(first.queue_of(dest), Some(ListenQueue { waiting: 1, limit: 128 }));
        assert_eq!((of(&first).owned, of(&first).count.used, of(&first).new), (1, 1, 0));
        let (server, _) = listener.accept().unwrap();
        // The kernel counts ages in ticks of 4 ms or more: what closes now must be younger than the last look by several.
        clock::sleep(Duration::from_millis(100));
        drop(client);
        drop(server);
        let t = of(&look());
        assert_eq!((t.new, t.server_new, t.owned), (1, 0, 0), "the client closed first");
        let client = TcpStream::connect(dest).unwrap();
        clock::sleep(Duration::from_millis(100));
        drop(listener.accept().unwrap());
        drop(client);
        let t = of(&look());
        assert_eq!((t.server_new, t.count.used), (1, 1), "the server closed first: no port of the client is in use");
    }
}
