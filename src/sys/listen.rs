//! Listening sockets. mio's and std's own bind(2) listen with a backlog of 128: more connects in one pause of the
//! server cost their clients a SYN retry of 1 s.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use nix::libc;
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
    /// of the sockets that share the port, takes the connections whose handshake this core processes: on loopback the
    /// core that called connect(2) (socket(7) SO_INCOMING_CPU; among sockets that share a port since Linux 6.2)
    pub core: Option<usize>,
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
    if let Some(core) = spec.core {
        socket.set_cpu_affinity(core)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.bind(&spec.addr.into())?;
    socket.listen(spec.backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// A socket that listens already, with the options that [`listen`] sets for what it accepts.
///
/// Errors: fcntl(2), setsockopt(2).
pub fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    socket2::SockRef::from(&listener).set_tcp_nodelay(true)?;
    Ok(TcpListener::from_std(listener))
}

/// Whether the next accept(2) can be tried at once after this error: it was about the connection alone that was to be
/// accepted. accept(2) names these; any other, such as EMFILE, ENFILE, ENOBUFS and ENOMEM, would come again and again.
pub fn is_of_one_connection(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECONNABORTED
            | libc::EINTR
            | libc::EPERM
            | libc::ENETDOWN
            | libc::EPROTO
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::EHOSTUNREACH
            | libc::EOPNOTSUPP
            | libc::ENETUNREACH
    )
}

/// Ends what the socket listens for, wherever else it is open (shutdown(2); inet_csk_listen_stop in net/ipv4).
///
/// Errors: ENOTCONN, it does not listen.
pub fn stop_listening(listener: &TcpListener) -> io::Result<()> {
    Ok(rustix::net::shutdown(listener, rustix::net::Shutdown::Both)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_refused_unless_shared() {
        let spec = |addr, reuse_port| ListenSpec { addr, backlog: 16, reuse_port, core: None };
        let any = "127.0.0.1:0".parse().unwrap();
        let first = listen(spec(any, false)).unwrap();
        let taken = first.local_addr().unwrap();
        assert_eq!(listen(spec(taken, false)).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let shared = listen(spec(any, true)).unwrap();
        listen(spec(shared.local_addr().unwrap(), true)).unwrap();
    }

    #[test]
    fn a_copy_of_a_socket_that_has_stopped_listening_takes_nobody() {
        let spec = ListenSpec { addr: "127.0.0.1:0".parse().unwrap(), backlog: 16, reuse_port: false, core: None };
        let socket = std::net::TcpListener::from(listen(spec).unwrap());
        let addr = socket.local_addr().unwrap();
        let _copy = socket.try_clone().unwrap();
        stop_listening(&TcpListener::from_std(socket)).unwrap();
        assert_eq!(std::net::TcpStream::connect(addr).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_connection_goes_to_the_socket_of_the_core_that_opened_it() {
        let release = crate::sys::host::read_kernel_release().unwrap();
        let mut numbers = release.split(['.', '-']).map_while(|n| n.parse::<u32>().ok());
        if (numbers.next(), numbers.next()) < (Some(6), Some(2)) {
            return crate::sys::skipped(&format!("Linux {release} does not look at the core of a connection (since 6.2)"));
        }
        let cores = crate::sys::thread::cores();
        let spec = |addr, core| ListenSpec { addr, backlog: 16, reuse_port: true, core: Some(core) };
        let first = listen(spec("127.0.0.1:0".parse().unwrap(), cores[0])).unwrap();
        let addr = first.local_addr().unwrap();
        let mut sockets = vec![first];
        sockets.extend(cores[1..].iter().map(|core| listen(spec(addr, *core)).unwrap()));
        for (core, socket) in cores.iter().zip(&sockets) {
            let core = *core;
            let connect = move || crate::sys::thread::pin(core).then(|| std::net::TcpStream::connect(addr).unwrap());
            let client = std::thread::spawn(connect).join().unwrap().expect("a core of ours");
            let waits = |socket: &TcpListener| {
                (0..1000).find_map(|_| {
                    socket.accept().ok().or_else(|| {
                        std::thread::yield_now();
                        None
                    })
                })
            };
            let (_, from) = waits(socket).expect("it waits here");
            assert_eq!(from, client.local_addr().unwrap());
        }
    }

    #[test]
    fn an_errno_that_nobody_knows_is_worth_a_pause() {
        let at_once: Vec<i32> = (1..=4095).filter(|errno| is_of_one_connection(*errno)).collect();
        assert_eq!(at_once.len(), 11, "{at_once:?}");
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EBADF, libc::EINVAL, 4000] {
            assert!(!is_of_one_connection(errno), "{errno}");
        }
    }
}
