//! Short connections one at a time, each seen to its very end, so that what the next one meets is decided by the
//! kernel's rules and not by timing.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; tests unwrap")]

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, TcpStream};

use crate::until::{PATIENCE, until};
use sockbench::testing::model::{PortMode, TcpState};
use sockbench::testing::sys::socket::{self, ConnectSpec, SocketError};
use sockbench::testing::sys::sysctl;
use sockbench::testing::sys::{Clock, Scope, SockDiag, States};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Who closes first and so keeps the TIME_WAIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    Client,
    Server,
}

/// A listener and the connections made to it.
#[derive(Debug)]
pub(crate) struct Near {
    listener: Socket,
    pub(crate) dest: SocketAddr,
    clock: Clock,
}

/// Both ends of a live connection.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) client: TcpStream,
    pub(crate) server: Socket,
}

impl Near {
    /// Listens on `dest`; port 0 leaves the port to the kernel.
    pub(crate) fn listen(dest: SocketAddr) -> Self {
        let listener = Socket::new(Domain::for_address(dest), Type::STREAM, Some(Protocol::TCP)).unwrap();
        listener.set_reuse_address(true).unwrap();
        listener.set_read_timeout(Some(PATIENCE)).unwrap();
        listener.bind(&SockAddr::from(dest)).unwrap_or_else(|e| panic!("listen on {dest}: {e}"));
        listener.listen(128).unwrap();
        let dest = listener.local_addr().unwrap().as_socket().unwrap();
        Self { listener, dest, clock: Clock::start() }
    }

    /// Connects, and waits until both ends stand.
    pub(crate) fn open(&self, spec: &ConnectSpec) -> Result<Live, SocketError> {
        let made = socket::connect(spec, self.dest, &self.clock)?;
        let (server, _) = self.listener.accept().expect("the handshake ends");
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        let client = TcpStream::from(made.stream);
        client.set_nonblocking(false).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        Ok(Live { client, server })
    }

    /// One short connection; gives its local port.
    pub(crate) fn short(&self, spec: &ConnectSpec, first: First) -> Result<u16, SocketError> {
        let Live { mut client, mut server } = self.open(spec)?;
        let port = client.local_addr().unwrap().port();
        match first {
            First::Client => {
                drop(client);
                // A reset (SO_LINGER 0) ends the connection as well as an end of file.
                let _ = server.read(&mut [0]);
            }
            First::Server => {
                drop(server);
                assert_eq!(client.read(&mut [0]).expect("the server's FIN"), 0);
            }
        }
        Ok(port)
    }

    /// What one short connection comes to: `ok`, or the call and errno.
    pub(crate) fn outcome(&self, spec: &ConnectSpec, first: First) -> String {
        said(self.short(spec, first))
    }

    /// As many short connections as are asked for, until one fails: how many were made, and the first failure.
    pub(crate) fn burst(&self, spec: &ConnectSpec, n: u32) -> (u32, Option<SocketError>) {
        for made in 0..n {
            if let Err(e) = self.short(spec, First::Client) {
                return (made, Some(e));
            }
        }
        (n, None)
    }

    /// Ends a client whose server has closed, then [`Self::settle`].
    pub(crate) fn settle_after(&self, mut client: TcpStream) {
        assert_eq!(client.read(&mut [0]).expect("the server's FIN"), 0);
        drop(client);
        self.settle();
    }

    /// Waits until nothing but TIME_WAIT is left of the connections to this listener.
    pub(crate) fn settle(&self) {
        let mut diag = SockDiag::open().unwrap();
        until("nothing but TIME_WAIT is left", || {
            let all = diag.collect(States::CONNECTED, Scope::Either(self.dest)).unwrap();
            all.iter().all(|s| s.state == TcpState::TimeWait)
        });
    }
}

/// `ok`, or the call and errno.
#[expect(clippy::needless_pass_by_value, reason = "a result is said once, where it was made")]
pub(crate) fn said<T>(result: Result<T, SocketError>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(e) => format!("{} {}", e.call.word(), e.errno),
    }
}

/// Ring mode from `port` of the address `local`.
pub(crate) fn ring(local: IpAddr, port: u16, reuse_addr: bool) -> ConnectSpec {
    ConnectSpec { port_mode: PortMode::Ring, local: Some(local), port: Some(port), reuse_addr, ..ConnectSpec::default() }
}

/// A mode that leaves the port to the kernel.
pub(crate) fn by_kernel(port_mode: PortMode, local: Option<IpAddr>) -> ConnectSpec {
    ConnectSpec { port_mode, local, ..ConnectSpec::default() }
}

/// Sets ip_local_port_range of this namespace.
pub(crate) fn set_range(lo: u16, ports: u16) {
    sysctl::write("net.ipv4.ip_local_port_range", &format!("{lo} {}", lo + ports - 1)).unwrap();
}
