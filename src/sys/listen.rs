//! Listening sockets. mio's and std's own bind(2) listen with a backlog of 128: more connects in one pause of the
//! server cost their clients a SYN retry of 1 s.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

/// How to listen.
#[derive(Debug, Clone, Copy)]
pub struct ListenSpec {
    /// where; port 0 for a free one
    pub addr: SocketAddr,
    /// listen(2) backlog; the kernel clamps it to net.core.somaxconn
    pub backlog: i32,
    /// several sockets share the port
    pub reuse_port: bool,
}

/// Binds and listens. TCP_NODELAY is set here: accepted sockets inherit it, which saves a call for each.
///
/// Errors: EADDRINUSE, EACCES, EADDRNOTAVAIL.
pub fn listen(spec: ListenSpec) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(spec.addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // On Linux this does not let two listeners share a port; it lets a restart bind over TIME_WAIT.
    socket.set_reuse_address(true)?;
    if spec.addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if spec.reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.bind(&spec.addr.into())?;
    socket.listen(spec.backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_refused_unless_shared() {
        let spec = |addr, reuse_port| ListenSpec { addr, backlog: 16, reuse_port };
        let any = "127.0.0.1:0".parse().unwrap();
        let first = listen(spec(any, false)).unwrap();
        let taken = first.local_addr().unwrap();
        assert_eq!(listen(spec(taken, false)).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let shared = listen(spec(any, true)).unwrap();
        listen(spec(shared.local_addr().unwrap(), true)).unwrap();
    }
}
