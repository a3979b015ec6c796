//! Outgoing TCP sockets under full control of the local port: socket, options, bind, connect. The errno and the
//! call that gave it survive in [`SocketError`].
//!
//! Not here: waiting until the connection is established (the load loop does that), and choosing ports (`load::source`).
//!
//! System calls of one successful connection: socket, the options that are on, bind where the mode asks for one,
//! connect. No getsockname: it is called only to describe a failure.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use mio::net::TcpStream;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::clock::Clock;
use super::proc_text;
use super::raw;
use crate::model::outcome::{Call, EADDRNOTAVAIL};
use crate::model::plan::{PortMode, PortRange};
use crate::model::time::Stamp;

/// How one outgoing socket is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectSpec {
    /// who picks the local port, and when
    pub port_mode: PortMode,
    /// SO_REUSEADDR before bind
    pub reuse_addr: bool,
    /// SO_LINGER{1,0} from the start: close(2) sends an RST and leaves no TIME_WAIT
    pub linger_reset: bool,
    /// TCP_NODELAY
    pub nodelay: bool,
    /// source address; none leaves it to the routing table (bind and ring modes then bind the wildcard)
    pub local: Option<IpAddr>,
    /// the port of ring mode; must be set there, ignored elsewhere
    pub port: Option<u16>,
    /// the range of range mode; must be set there, ignored elsewhere
    pub port_range: Option<PortRange>,
}

/// A socket whose connect(2) was accepted by the kernel: connected, or on its way.
#[derive(Debug)]
pub struct Connecting {
    /// non-blocking; writable once the handshake is over, then ask [`take_error`]
    pub stream: TcpStream,
    /// right before connect(2)
    pub called: Stamp,
    /// right after connect(2): the difference contains the kernel's port search
    pub returned: Stamp,
}

impl Connecting {
    /// Duration of the connect(2) call itself, microseconds.
    pub const fn call_us(&self) -> u64 {
        self.returned.micros_since(self.called)
    }
}

/// Why there is no socket. For a failed connect(2) the duration of that call is kept: a refused port search is
/// the slowest one (3.8 ms with 28,232 ports).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}: {} ({})", call.word(), crate::model::outcome::errno_text(*errno), crate::model::outcome::errno_name(*errno))]
pub struct SocketError {
    /// `Socket` (socket(2) and its options), `Bind` or `Connect`
    pub call: Call,
    /// errno; 0 when the OS gave none
    pub errno: i32,
    /// getsockname gave a local port after the failure
    pub port_bound: bool,
    /// duration of connect(2), microseconds; none when it was not called
    pub call_us: Option<u64>,
}

/// Makes a socket as `spec` says and starts connecting it to `dest`. Never blocks. EINPROGRESS is success.
///
/// A source address in auto, no-port or range mode is bound with IP_BIND_ADDRESS_NO_PORT, so that the kernel
/// still picks the port at connect(2), per destination.
///
/// # Panics
/// Ring mode without `port`, or range mode without `port_range`: the plan is checked before the run.
pub fn connect(spec: &ConnectSpec, dest: SocketAddr, clock: &Clock) -> Result<Connecting, SocketError> {
    let at = |call, e: &io::Error| SocketError { call, errno: e.raw_os_error().unwrap_or(0), port_bound: false, call_us: None };
    let socket = open(spec, dest).map_err(|e| at(Call::Socket, &e))?;
    if let Some(local) = bind_address(spec, dest) {
        socket.bind(&SockAddr::from(local)).map_err(|e| at(Call::Bind, &e))?;
    }
    let dest = SockAddr::from(dest);
    let called = clock.now();
    let result = socket.connect(&dest);
    let returned = clock.now();
    if let Err(e) = result
        && e.raw_os_error() != Some(nix::libc::EINPROGRESS)
    {
        let (port_bound, call_us) = (is_port_bound(&socket), Some(returned.micros_since(called)));
        return Err(SocketError { port_bound, call_us, ..at(Call::Connect, &e) });
    }
    Ok(Connecting { stream: TcpStream::from_std(socket.into()), called, returned })
}

fn open(spec: &ConnectSpec, dest: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new_raw(Domain::for_address(dest), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    if spec.reuse_addr {
        socket.set_reuse_address(true)?;
    }
    if spec.linger_reset {
        socket.set_linger(Some(Duration::ZERO))?;
    }
    if spec.nodelay {
        socket.set_tcp_nodelay(true)?;
    }
    match spec.port_mode {
        PortMode::Range => {
            let range = spec.port_range.expect("range mode has a port range: checked with the plan");
            raw::set_local_port_range(socket.as_fd(), range)?;
            if spec.local.is_some() {
                setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
            }
        }
        PortMode::NoPort => setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?,
        PortMode::Auto if spec.local.is_some() => setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?,
        PortMode::Auto | PortMode::Bind | PortMode::Ring => {}
    }
    Ok(socket)
}

/// What to bind to; none when the mode asks for no bind.
fn bind_address(spec: &ConnectSpec, dest: SocketAddr) -> Option<SocketAddr> {
    let wildcard = if dest.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let port = match spec.port_mode {
        PortMode::Auto | PortMode::Range => return spec.local.map(|ip| SocketAddr::new(ip, 0)),
        PortMode::Bind | PortMode::NoPort => 0,
        PortMode::Ring => spec.port.expect("ring mode has a port: the ring gave one"),
    };
    Some(SocketAddr::new(spec.local.unwrap_or(wildcard), port))
}

fn is_port_bound(socket: &Socket) -> bool {
    socket.local_addr().ok().and_then(|a| a.as_socket()).is_some_and(|a| a.port() != 0)
}

/// SO_ERROR, read and cleared: the errno with which a non-blocking connect ended; none when it is established.
pub fn take_error(stream: &TcpStream) -> Option<i32> {
    match stream.take_error() {
        Ok(None) => None,
        Ok(Some(e)) | Err(e) => Some(e.raw_os_error().unwrap_or(0)),
    }
}

/// Waits until a connection that is being made is there, for `most` at the longest. Returns whether it is.
pub fn is_established_within(stream: &TcpStream, most: Duration) -> bool {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
    let ready = poll(&mut fds, PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX));
    ready.is_ok_and(|n| n > 0) && take_error(stream).is_none()
}

/// Whether a socket connected to itself (simultaneous open with the destination as its own source port): its
/// local and peer address are the same. Two system calls: ask only when [`can_self_connect`] says so.
pub fn is_self_connected(stream: &impl AsFd) -> bool {
    let stream = socket2::SockRef::from(stream);
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}

/// Whether a connection to `dest` could connect to itself: an address of this host, and a port that may be
/// picked as source (`ports` is ip_local_port_range, or the plan's own range).
pub fn can_self_connect(dest: SocketAddr, ports: Option<PortRange>) -> bool {
    ports.is_none_or(|r| r.contains(dest.port())) && is_own_address(dest.ip())
}

/// All TCP addresses of `host` (a name or a literal; IPv6 without brackets), in the resolver's order
/// (getaddrinfo(3)), without repeats.
///
/// Errors: the resolver's, in words; never an empty list.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut all: Vec<SocketAddr> = Vec::new();
    for addr in (host, port).to_socket_addrs()? {
        if !all.contains(&addr) {
            all.push(addr);
        }
    }
    if all.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(all)
}

/// Whether `ip` is loopback, the wildcard, or an address of this host: a UDP socket can be bound to it.
/// (Under net.ipv4.ip_nonlocal_bind=1 any address can be; the interface addresses decide then.)
pub fn is_own_address(ip: IpAddr) -> bool {
    if ip.is_loopback() || ip.is_unspecified() {
        return true;
    }
    if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return false;
    }
    UdpSocket::bind((ip, 0)).is_ok() && (!nonlocal_bind(ip) || is_interface_address(ip))
}

fn nonlocal_bind(ip: IpAddr) -> bool {
    let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
    proc_text::read(format!("/proc/sys/net/{family}/ip_nonlocal_bind")).is_ok_and(|v| v.trim() == "1")
}

fn is_interface_address(ip: IpAddr) -> bool {
    let Ok(addrs) = nix::ifaddrs::getifaddrs() else { return false };
    addrs.filter_map(|a| a.address).any(|a| match ip {
        IpAddr::V4(v4) => a.as_sockaddr_in().is_some_and(|s| s.ip() == v4),
        IpAddr::V6(v6) => a.as_sockaddr_in6().is_some_and(|s| s.ip() == v6),
    })
}

/// The source address that the routing table picks towards `dest` (connect(2) of a UDP socket: nothing is sent).
///
/// Errors: no route.
pub fn source_towards(dest: SocketAddr) -> io::Result<IpAddr> {
    let wildcard = if dest.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((wildcard, 0))?;
    // Port 0 is refused by some kernels; any other does for a route lookup.
    socket.connect(SocketAddr::new(dest.ip(), dest.port().max(1)))?;
    Ok(socket.local_addr()?.ip())
}

/// Whether this machine has no address from which `dest` can be reached: the route lookup itself ends with EADDRNOTAVAIL.
/// A system call or three; for the path of a failed connect. False where the lookup cannot be made.
pub fn has_no_address_towards(dest: SocketAddr) -> bool {
    source_towards(dest).is_err_and(|e| e.raw_os_error() == Some(EADDRNOTAVAIL))
}

/// Whether this kernel has IP_LOCAL_PORT_RANGE (Linux 6.3 and later), tried on a fresh socket.
///
/// Errors: ENOPROTOOPT (92) where it has not.
pub fn probe_local_port_range() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    raw::set_local_port_range(socket.as_fd(), PortRange { lo: 32768, hi: 60999 })
}

/// A connection to the first of `addrs` that takes one; a connect, a read or a write takes no longer than `patience`.
///
/// Errors: the last address' refusal.
pub fn connect_any(addrs: &[SocketAddr], patience: Duration) -> io::Result<std::net::TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for addr in addrs {
        match std::net::TcpStream::connect_timeout(addr, patience) {
            Ok(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::model::outcome::{EADDRINUSE, ECONNREFUSED};

    fn wait_writable(stream: &mut TcpStream) {
        let mut poll = mio::Poll::new().unwrap();
        poll.registry().register(stream, mio::Token(0), mio::Interest::WRITABLE).unwrap();
        let mut events = mio::Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert!(!events.is_empty(), "connected within 5 s");
    }

    fn listener() -> (TcpListener, SocketAddr) {
        let l = TcpListener::bind("127.0.0.1:0").unwrap();
        let a = l.local_addr().unwrap();
        (l, a)
    }

    #[test]
    fn every_mode_connects_from_where_it_was_told() {
        let (_l, dest) = listener();
        let clock = Clock::start();
        let two = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        let sysctl = crate::sys::sysctl::read_local_port_range().unwrap();
        for port_mode in [PortMode::Auto, PortMode::Bind, PortMode::NoPort, PortMode::Range] {
            for local in [None, Some(two)] {
                let spec = ConnectSpec { port_mode, local, nodelay: true, port_range: Some(sysctl), ..Default::default() };
                let mut c = connect(&spec, dest, &clock).unwrap_or_else(|e| panic!("{port_mode:?} {local:?}: {e}"));
                wait_writable(&mut c.stream);
                assert_eq!(take_error(&c.stream), None);
                let from = c.stream.local_addr().unwrap();
                assert_eq!(from.ip(), local.unwrap_or(dest.ip()), "{port_mode:?}");
                assert!(sysctl.contains(from.port()), "{port_mode:?}: {from}");
                assert!(c.returned >= c.called);
                assert!(!is_self_connected(&c.stream));
            }
        }
    }

    #[test]
    fn a_ring_port_held_by_a_live_socket_is_bind_98() {
        let (held, held_addr) = listener();
        let (_l, dest) = listener();
        let spec =
            ConnectSpec { port_mode: PortMode::Ring, port: Some(held_addr.port()), local: Some(dest.ip()), ..Default::default() };
        let e = connect(&spec, dest, &Clock::start()).unwrap_err();
        assert_eq!((e.call, e.errno, e.port_bound, e.call_us), (Call::Bind, EADDRINUSE, false, None));
        assert_eq!(e.to_string(), "bind: address already in use (EADDRINUSE)");
        drop(held);
    }

    #[test]
    fn refused_comes_through_so_error() {
        // Bound, but not listening: refused for certain, and no self-connect.
        let held = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        held.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let dest = held.local_addr().unwrap().as_socket().unwrap();
        let spec = ConnectSpec { port_mode: PortMode::Bind, ..Default::default() };
        match connect(&spec, dest, &Clock::start()) {
            Ok(mut c) => {
                wait_writable(&mut c.stream);
                assert_eq!(take_error(&c.stream), Some(ECONNREFUSED));
            }
            Err(e) => assert_eq!((e.call, e.errno), (Call::Connect, ECONNREFUSED)),
        }
    }

    #[test]
    fn a_socket_bound_to_its_own_destination_connects_to_itself() {
        let (l, dest) = listener();
        drop(l);
        let spec =
            ConnectSpec { port_mode: PortMode::Ring, port: Some(dest.port()), local: Some(dest.ip()), ..Default::default() };
        let mut c = connect(&spec, dest, &Clock::start()).unwrap();
        wait_writable(&mut c.stream);
        assert!(is_self_connected(&c.stream));
        assert!(can_self_connect(dest, Some(PortRange { lo: dest.port(), hi: dest.port() })));
        assert!(!can_self_connect(dest, Some(PortRange { lo: 1, hi: 2 })));
    }

    #[test]
    fn own_addresses_and_sources() {
        assert!(is_own_address("127.0.0.9".parse().unwrap()));
        assert!(is_own_address("::1".parse().unwrap()));
        assert!(!is_own_address("192.0.2.1".parse().unwrap()), "TEST-NET-1 is nobody's");
        assert!(!is_own_address("224.0.0.1".parse().unwrap()));
        assert!(!has_no_address_towards("127.0.0.1:80".parse().unwrap()));
        assert_eq!(source_towards("127.0.0.1:80".parse().unwrap()).unwrap(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn literals_resolve_to_themselves_and_nonsense_fails() {
        assert_eq!(resolve("127.0.0.1", 80).unwrap(), vec!["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(resolve("::1", 80).unwrap(), vec!["[::1]:80".parse().unwrap()]);
        assert!(resolve("no such host.invalid", 80).is_err());
    }

    #[test]
    fn the_option_range_is_known_or_refused_by_name() {
        match probe_local_port_range() {
            Ok(()) => {}
            Err(e) => assert_eq!(e.raw_os_error(), Some(nix::libc::ENOPROTOOPT)),
        }
    }
}
