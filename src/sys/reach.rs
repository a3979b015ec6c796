//! Which of several addresses takes connections: they are tried in the resolver's order, as RFC 8305 has it without its
//! races.
//!
//! On an address of this host the list of listening sockets decides, so that the target meets no connection that is not
//! the run's. Where that list says no, or the address is another host's, connect(2) decides; such a connection is reset at
//! once and leaves no TIME_WAIT.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::owner;
use super::socket::{is_own_address, is_self_connected};
use crate::model::outcome::{Cause, Phase};
use crate::model::plan::Unreached;

/// Longest that one address is waited for, before the next one is tried.
pub const TRY_FOR: Duration = Duration::from_secs(2);

/// The first address that takes connections, and those before it that do not, with the reason. None takes any: the first
/// address, and all of them.
///
/// # Panics
/// `addrs` is empty.
pub fn first_that_connects(addrs: &[SocketAddr]) -> (SocketAddr, Vec<Unreached>) {
    let mut failed = Vec::new();
    for (i, addr) in addrs.iter().enumerate() {
        let is_last = i + 1 == addrs.len();
        // The last one of another host is what remains: the run itself asks it.
        if is_last && !is_own_address(addr.ip()) {
            return (*addr, failed);
        }
        match try_address(*addr) {
            Ok(()) => return (*addr, failed),
            Err(cause) => failed.push(Unreached { addr: *addr, cause }),
        }
    }
    (addrs[0], failed)
}

fn try_address(addr: SocketAddr) -> Result<(), Cause> {
    if is_own_address(addr.ip()) && owner::listens_at(addr).unwrap_or(false) {
        return Ok(());
    }
    match TcpStream::connect_timeout(&addr, TRY_FOR) {
        Ok(stream) if is_self_connected(&stream) => Err(Cause::SelfConnect),
        Ok(stream) => {
            // Nothing was sent: whether the reset is asked for or not changes only the TIME_WAIT.
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            Ok(())
        }
        Err(e) if matches!(e.kind(), io::ErrorKind::TimedOut) && e.raw_os_error().is_none() => {
            Err(Cause::TimedOut(Phase::Connecting))
        }
        Err(e) => Err(Cause::Errno(e.raw_os_error().unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::model::outcome::ECONNREFUSED;

    fn at(ip: &str, port: u16) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), port)
    }

    /// A port on which 127.0.0.3 listens, and on 127.0.0.2 nothing.
    fn one_of_two() -> (TcpListener, socket2::Socket, u16) {
        let listener = TcpListener::bind("127.0.0.3:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // Bound, not listening: nobody else can listen there meanwhile.
        let held = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        held.bind(&at("127.0.0.2", port).into()).unwrap();
        (listener, held, port)
    }

    #[test]
    fn the_first_that_listens_is_used_and_those_before_it_are_named() {
        let (listener, _held, port) = one_of_two();
        let (dead, alive) = (at("127.0.0.2", port), at("127.0.0.3", port));
        let refused = Unreached { addr: dead, cause: Cause::Errno(ECONNREFUSED) };
        assert_eq!(first_that_connects(&[dead, alive]), (alive, vec![refused]));
        assert_eq!(first_that_connects(&[alive, dead]), (alive, vec![]), "the second is not asked");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "a listener of this host is seen without a connection");
    }

    #[test]
    fn where_none_listens_the_first_is_used_and_all_are_named() {
        let (listener, _held, port) = one_of_two();
        let (first, second) = (at("127.0.0.2", port), at("127.0.0.3", port));
        drop(listener);
        let (used, failed) = first_that_connects(&[first, second]);
        assert_eq!((used, failed.iter().map(|f| f.addr).collect::<Vec<_>>()), (first, vec![first, second]));
    }

    #[test]
    fn both_families_are_tried() {
        let Ok(v6) = TcpListener::bind("[::1]:0") else {
            crate::sys::skipped("both_families_are_tried: no IPv6 on this host");
            return;
        };
        let port = v6.local_addr().unwrap().port();
        let Ok(held) = TcpListener::bind(("127.0.0.1", port)) else {
            crate::sys::skipped("both_families_are_tried: the port is in use on 127.0.0.1");
            return;
        };
        assert_eq!(first_that_connects(&[at("::1", port), at("127.0.0.1", port)]).0, at("::1", port));
        drop(v6);
        let (used, failed) = first_that_connects(&[at("::1", port), at("127.0.0.1", port)]);
        assert_eq!((used, failed.len(), failed[0].addr), (held.local_addr().unwrap(), 1, at("::1", port)));
    }
}
