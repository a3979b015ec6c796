//! Which process listens on an address: the socket's inode from sock_diag, its holder from /proc/*/fd.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::descriptors::read_open;
use super::process::{read_name, read_parent, read_pids};
use super::sock_diag::{Scope, SockDiag, States};
use crate::model::facts::{AcceptQueue, DiagSocket, TcpState};
use crate::model::order::distinct;

/// The processes that hold a listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// processes whose parent does not hold it too: one, or several that share the port by SO_REUSEPORT; by pid
    pub roots: Vec<u32>,
    /// comm of the first
    pub name: String,
}

/// Why no owner was found.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// nothing listens there in this network namespace
    #[error("nothing listens on {0} in this network namespace")]
    NotListening(SocketAddr),
    /// a listener exists, but its process belongs to another user or to another pid namespace
    #[error("a process listens on {addr}, but which one cannot be seen: /proc/PID/fd of {unreadable} processes is not readable")]
    Hidden {
        /// the address
        addr: SocketAddr,
        /// processes whose descriptors could not be listed
        unreadable: usize,
    },
    /// sock_diag or /proc failed
    #[error("owner of the listener on {0}: {1}")]
    Io(SocketAddr, io::Error),
}

/// Finds who listens on `addr`, wildcard listeners included. About 20 us a process of this host: not for a loop.
///
/// Errors: see [`OwnerError`].
pub fn find_owner(addr: SocketAddr) -> Result<Owner, OwnerError> {
    let io_error = |e| OwnerError::Io(addr, e);
    let listening = listeners(addr.port()).map_err(io_error)?;
    let all: Vec<IpAddr> = listening.iter().map(|s| s.local.0).collect();
    let inodes: Vec<u32> = listening.iter().filter(|s| listens_for(s.local.0, addr.ip(), &all)).map(|s| s.inode).collect();
    if inodes.is_empty() {
        return Err(OwnerError::NotListening(addr));
    }
    let (mut holders, unreadable) = find_holders(&inodes).map_err(io_error)?;
    if holders.is_empty() {
        return Err(OwnerError::Hidden { addr, unreadable });
    }
    if holders.len() > 1 {
        // Socket activation: init has the socket that it made for the service, and is the parent of everything.
        holders.retain(|pid| *pid != 1);
    }
    let is_root = |pid: &u32| read_parent(*pid).map_or(true, |parent| !holders.contains(&parent));
    let roots = distinct(holders.iter().copied().filter(is_root));
    let first = roots.first().copied().unwrap_or(holders[0]);
    Ok(Owner { name: read_name(first).map_err(io_error)?, roots })
}

/// All sockets that listen on a port.
fn listeners(port: u16) -> io::Result<Vec<DiagSocket>> {
    let mut sockets = SockDiag::open()?.collect(States::LISTEN, Scope::LocalPort(port))?;
    sockets.retain(|s| s.state == TcpState::Listen);
    Ok(sockets)
}

/// Whether a socket of this network namespace listens on `addr` or on its family's wildcard. A `[::]` listener does not
/// count for an IPv4 address: it may be IPV6_V6ONLY.
///
/// Errors: sock_diag.
pub(super) fn listens_at(addr: SocketAddr) -> io::Result<bool> {
    let matches = |ip: IpAddr| ip == addr.ip() || (ip.is_unspecified() && ip.is_ipv6() == addr.is_ipv6());
    Ok(listeners(addr.port())?.iter().any(|s| matches(s.local.0)))
}

/// The queue at `addr` in this network namespace; none where nobody listens. About 30 us.
///
/// Errors: sock_diag.
pub fn read_accept_queue(addr: SocketAddr) -> io::Result<Option<AcceptQueue>> {
    let queue = |s: &DiagSocket| (s.local.into(), AcceptQueue { waiting: s.receive_queue, limit: s.send_queue });
    Ok(queue_at(addr, &listeners(addr.port())?.iter().map(queue).collect::<Vec<_>>()))
}

/// The queue at `addr`, by all listeners of a network namespace; none where nobody listens.
pub fn queue_at(addr: SocketAddr, listeners: &[(SocketAddr, AcceptQueue)]) -> Option<AcceptQueue> {
    let here = || listeners.iter().filter(|(at, _)| at.port() == addr.port());
    let all: Vec<IpAddr> = here().map(|(at, _)| at.ip()).collect();
    here().filter(|(at, _)| listens_for(at.ip(), addr.ip(), &all)).map(|(_, queue)| *queue).reduce(AcceptQueue::plus)
}

/// Whether a socket that listens on `listener` gets connections to `dest`; `all` listen on that port. A `[::]` listener
/// is taken as dual-stack, which is the default, unless an IPv4 socket listens there as well: the kernel lets no
/// dual-stack one beside it (bind(2): EADDRINUSE).
fn listens_for(listener: IpAddr, dest: IpAddr, all: &[IpAddr]) -> bool {
    if dest.is_unspecified() || listener == dest {
        return true;
    }
    let v4_beside = || all.iter().any(|a| a.is_ipv4() && (a.is_unspecified() || *a == dest));
    listener.is_unspecified() && (listener.is_ipv6() == dest.is_ipv6() || listener.is_ipv6() && !v4_beside())
}

/// Processes that hold one of the sockets, and how many could not be looked into.
fn find_holders(inodes: &[u32]) -> io::Result<(Vec<u32>, usize)> {
    let (mut holders, mut unreadable) = (Vec::new(), 0);
    for pid in read_pids()? {
        match read_open(pid) {
            Ok(open) if open.sockets.iter().any(|inode| inodes.contains(inode)) => holders.push(pid),
            Ok(_) => {}
            Err(e) => unreadable += usize::from(e.kind() == io::ErrorKind::PermissionDenied),
        }
    }
    Ok((holders, unreadable))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_listener_of_this_process_is_ours() {
        let l = TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = find_owner(l.local_addr().unwrap()).unwrap();
        // A child that another test forks may hold it for a moment, but never as a root.
        assert_eq!(owner.roots, vec![std::process::id()]);
        let wild = TcpListener::bind("0.0.0.0:0").unwrap();
        let to = SocketAddr::new("127.0.0.1".parse().unwrap(), wild.local_addr().unwrap().port());
        assert_eq!(find_owner(to).unwrap().roots, vec![std::process::id()]);
    }

    #[test]
    fn nothing_listening_says_so() {
        // Bound, but not listening: nobody else can take the port meanwhile.
        let held = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        held.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let addr = held.local_addr().unwrap().as_socket().unwrap();
        assert!(matches!(find_owner(addr), Err(OwnerError::NotListening(a)) if a == addr));
    }

    #[test]
    fn which_listener_takes_which_destination() {
        let ip = |s: &str| s.parse::<IpAddr>().unwrap();
        assert!(listens_for(ip("0.0.0.0"), ip("127.0.0.1"), &[]));
        assert!(listens_for(ip("::"), ip("127.0.0.1"), &[ip("::"), ip("127.0.0.2")]));
        assert!(!listens_for(ip("::"), ip("127.0.0.1"), &[ip("::"), ip("0.0.0.0")]), "IPV6_V6ONLY");
        assert!(listens_for(ip("::"), ip("::1"), &[ip("::"), ip("0.0.0.0")]));
        assert!(!listens_for(ip("0.0.0.0"), ip("::1"), &[]));
        assert!(!listens_for(ip("127.0.0.2"), ip("127.0.0.1"), &[]));
    }
}
