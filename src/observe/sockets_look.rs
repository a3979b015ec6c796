//! All sockets of this network namespace in one dump: outgoing ones by source and destination, with when each entered
//! TIME_WAIT, and the queues of the listeners.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::baseline::pool_facts_of;
use super::towards::{Groups, Last, Pair, Reading, young};
use crate::diagnose::ports::pool::{PortUse, pool};
use crate::model::facts::{AcceptQueue, DiagSocket, TcpState};
use crate::model::result::Sysctls;
use crate::model::time::Stamp;
use crate::sys::clock::Clock;
use crate::sys::sock_diag::{Family, Scope, SockDiag, States};
use crate::sys::socket;
use crate::watch::Towards;

/// Addresses that are remembered as this host's, or not: a server meets new ones all the time.
const OWN_MAX: usize = 4096;

/// What one dump shows.
#[derive(Debug, Default)]
pub(super) struct SocketsLook {
    pub(super) towards: Vec<Towards>,
    pub(super) pool: Option<u32>,
    pub(super) listeners: Vec<(SocketAddr, AcceptQueue)>,
}

/// Dumps again and again.
#[derive(Debug)]
pub(super) struct SocketsLooker {
    diag: SockDiag,
    sockets: Vec<DiagSocket>,
    own_addresses: HashMap<IpAddr, bool>,
    last: Option<Stamp>,
    young: HashSet<Pair>,
}

impl SocketsLooker {
    /// Errors: no sock_diag.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            diag: SockDiag::open()?,
            sockets: Vec::new(),
            own_addresses: HashMap::new(),
            last: None,
            young: HashSet::new(),
        })
    }

    /// Looks now. `inodes` are the command's sockets.
    ///
    /// Errors: the kernel's.
    pub(super) fn look(&mut self, inodes: &HashSet<u32>, sysctls: &Sysctls, clock: Clock) -> io::Result<SocketsLook> {
        // Ages are those of the dump, not of the whole look.
        let now = clock.now();
        let ago = self.last.replace(now).map(|last| now.since(last));
        self.sockets.clear();
        let (states, sockets) = (States::CONNECTED.and(States::LISTEN).and(States::BOUND_ONLY), &mut self.sockets);
        self.diag.dump(Family::Both, states, Scope::All, |s| sockets.push(s))?;
        let facts = pool_facts_of(&self.sockets).ok();
        let before = std::mem::replace(&mut self.young, young(&self.sockets));
        let last = ago.map(|ago| Last { ago, young: &before });
        let how = Reading { facts: facts.as_ref(), sysctls, to: None, inodes, last };
        let own = &mut self.own_addresses;
        if own.len() > OWN_MAX {
            own.clear();
        }
        // The client's end may have gone already: its server is all that shows the connection.
        let (towards, _) = Groups::of(&self.sockets, &how).joined(|(source, _), side| {
            side.new + side.close_wait > 0 && *own.entry(*source).or_insert_with(|| socket::is_own_address(*source))
        });
        let listening = self.sockets.iter().filter(|s| s.state == TcpState::Listen);
        let queue = |s: &DiagSocket| AcceptQueue { waiting: s.receive_queue, limit: s.send_queue };
        Ok(SocketsLook {
            towards,
            pool: facts.map(|f| pool(&f, &PortUse::default()).ports),
            listeners: listening.map(|s| (SocketAddr::from(s.local), queue(s))).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;
    use std::time::Duration;

    use super::*;
    use crate::sys::owner::queue_at;
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
        assert_eq!(queue_at(dest, &first.listeners), Some(AcceptQueue { waiting: 1, limit: 128 }));
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
