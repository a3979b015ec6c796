//! What the truth table does not show: facts about local ports that findings and remedies rest on, each caused live
//! in a private namespace of its own. The folklore that does not help is here too.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::near::{First, Near, by_kernel, ring, said, set_range};
use crate::support::{here, inside};
use crate::until::until;
use sockbench::testing::model::{Call, EADDRNOTAVAIL, PortMode, PortRange};
use sockbench::testing::sys::socket::{self, ConnectSpec};
use sockbench::testing::sys::{Clock, sleep};
use sockbench::testing::sys::{proc_net, sysctl};
use socket2::{Domain, SockAddr, Socket, Type};

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const FROM: u16 = 30_000;
const DELAY: &str = "net.ipv4.tcp_tw_reuse_delay";
const NEVER_REUSED: [&str; 2] = ["--sysctl", "net.ipv4.tcp_tw_reuse=0"];
/// Beyond tcp_tw_reuse_delay's default of 1 s.
const LATER: Duration = Duration::from_millis(1150);

/// A listener below every range of these tests.
fn near() -> Near {
    Near::listen((LOOPBACK, 8080).into())
}

fn auto() -> ConnectSpec {
    by_kernel(PortMode::Auto, None)
}

/// A socket that is bound and nothing else.
fn bound(at: SocketAddr) -> Socket {
    let s = Socket::new(Domain::for_address(at), Type::STREAM, None).unwrap();
    s.bind(&SockAddr::from(at)).unwrap();
    s
}

#[test]
fn a_live_twin_is_bind_98_or_with_reuse_addr_on_both_connect_99() {
    if !inside(here!(), &[]) {
        return;
    }
    let near = near();
    for (first, second, says) in [(false, false, "bind 98"), (true, false, "bind 98"), (false, true, "bind 98")] {
        let live = near.open(&ring(LOOPBACK, FROM, first)).unwrap();
        assert_eq!(near.outcome(&ring(LOOPBACK, FROM, second), First::Server), says, "{first} {second}");
        // The server's side keeps the TIME_WAIT: the port is free for the next pair.
        drop(live.server);
        near.settle_after(live.client);
    }
    let _live = near.open(&ring(LOOPBACK, FROM, true)).unwrap();
    let e = near.open(&ring(LOOPBACK, FROM, true)).unwrap_err();
    assert_eq!((e.call, e.errno, e.port_bound), (Call::Connect, EADDRNOTAVAIL, true), "99 with a port bound: busy, not used up");
}

#[test]
fn used_up_is_connect_99_without_a_bound_port() {
    if !inside(here!(), &NEVER_REUSED) {
        return;
    }
    set_range(FROM, 4);
    let (made, e) = near().burst(&auto(), 5);
    let e = e.unwrap();
    assert_eq!((made, e.call, e.errno, e.port_bound), (4, Call::Connect, EADDRNOTAVAIL, false));
}

#[test]
fn reuse_addr_must_be_on_both_sockets() {
    if !inside(here!(), &NEVER_REUSED) {
        return;
    }
    let near = near();
    let cases = [(false, true, "bind 98"), (true, false, "bind 98"), (true, true, "ok")];
    for (port, (old, new, says)) in (FROM..).zip(cases) {
        assert_eq!(near.outcome(&ring(LOOPBACK, port, old), First::Client), "ok");
        near.settle();
        assert_eq!(near.outcome(&ring(LOOPBACK, port, new), First::Client), says, "first {old}, then {new}");
    }
}

#[test]
fn the_ring_needs_timestamps() {
    if !inside(here!(), &["--sysctl", "net.ipv4.tcp_timestamps=0"]) {
        return;
    }
    let near = near();
    assert_eq!(near.outcome(&ring(LOOPBACK, FROM, true), First::Client), "ok");
    near.settle();
    let e = near.short(&ring(LOOPBACK, FROM, true), First::Client).unwrap_err();
    assert_eq!((e.call, e.errno, e.port_bound), (Call::Connect, EADDRNOTAVAIL, true), "bind passes, connect does not");
}

#[test]
fn a_dead_port_inside_the_range_answers_with_ourselves() {
    if !inside(here!(), &[]) {
        return;
    }
    // connect() tries ports of the range's own parity first: with two ports that is the lower one.
    set_range(FROM, 2);
    let dest = SocketAddr::from((LOOPBACK, FROM));
    let made = socket::connect(&auto(), dest, &Clock::start()).unwrap();
    until("connected to itself", || socket::is_self_connected(&made.stream));
    assert!(socket::can_self_connect(dest, Some(PortRange { lo: FROM, hi: FROM + 1 })));
}

#[test]
fn a_port_that_anybody_bound_is_lost_to_auto_connect() {
    if !inside(here!(), &["--address", "10.9.9.9"]) {
        return;
    }
    set_range(FROM, 2);
    let (here, elsewhere) = (near(), Near::listen("10.9.9.9:8080".parse().unwrap()));
    let held = [FROM, FROM + 1].map(|port| bound(SocketAddr::from(([127, 0, 0, 7], port))));
    for near in [&here, &elsewhere] {
        assert_eq!(near.outcome(&auto(), First::Server), "connect 99", "to {}, from any address", near.dest);
    }
    drop(held);
    for near in [&here, &elsewhere] {
        assert_eq!(near.outcome(&auto(), First::Server), "ok");
    }
}

#[test]
fn time_wait_of_a_ring_blocks_auto_connect_even_with_tw_reuse() {
    if !inside(here!(), &["--sysctl", "net.ipv4.tcp_tw_reuse=1"]) {
        return;
    }
    set_range(FROM, 4);
    let near = near();
    for port in FROM..FROM + 4 {
        near.short(&ring(LOOPBACK, port, true), First::Client).unwrap();
    }
    near.settle();
    assert_eq!(near.outcome(&auto(), First::Client), "connect 99");
    sleep(LATER);
    assert_eq!(near.outcome(&auto(), First::Client), "connect 99", "the reuse delay does not help");
}

#[test]
fn bind_0_shares_one_pool_among_destinations_and_no_port_does_not() {
    if !inside(here!(), &NEVER_REUSED) {
        return;
    }
    for (lo, mode, made) in [(FROM, PortMode::Bind, 0), (FROM + 10, PortMode::NoPort, 4), (FROM + 20, PortMode::Auto, 4)] {
        set_range(lo, 4);
        let (a, b) = (Near::listen((LOOPBACK, lo - 1000).into()), Near::listen((LOOPBACK, lo - 1001).into()));
        let spec = by_kernel(mode, (mode != PortMode::Auto).then_some(LOOPBACK));
        assert_eq!(a.burst(&spec, 5).0, 4, "{mode:?}");
        a.settle();
        assert_eq!(b.burst(&spec, 5).0, made, "{mode:?}: towards the other destination");
    }
}

#[test]
fn every_source_address_has_a_pool_of_its_own() {
    if !inside(here!(), &NEVER_REUSED) {
        return;
    }
    set_range(FROM, 4);
    let near = near();
    for last in 1..=3 {
        let from = IpAddr::from([127, 0, 0, last]);
        assert_eq!(near.burst(&by_kernel(PortMode::NoPort, Some(from)), 5).0, 4, "from {from}");
    }
}

#[test]
fn an_odd_range_loses_a_port_and_the_socket_option_does_not() {
    if !inside(here!(), &NEVER_REUSED) {
        return;
    }
    let near = near();
    set_range(FROM, 3);
    assert_eq!(near.burst(&auto(), 5).0, 2, "3 ports, 2 usable");
    if let Err(e) = socket::probe_local_port_range() {
        crate::loud::skipped(format!("IP_LOCAL_PORT_RANGE: {e}"));
        return;
    }
    set_range(FROM + 10, 50);
    let ranged = |lo, hi| ConnectSpec { port_range: Some(PortRange { lo, hi }), ..by_kernel(PortMode::Range, None) };
    assert_eq!(near.burst(&ranged(FROM + 10, FROM + 12), 5).0, 3);
    assert_eq!(near.burst(&ranged(FROM + 56, FROM + 90), 9).0, 4, "clamped by the sysctl range");
    let port = near.short(&ranged(FROM + 500, FROM + 510), First::Server).unwrap();
    assert!((FROM + 10..FROM + 60).contains(&port), "no overlap is ignored in silence: {port}");
}

#[test]
fn reserved_ports_and_listeners_shrink_the_pool() {
    if !inside(here!(), &NEVER_REUSED) {
        return;
    }
    set_range(FROM, 20);
    sysctl::write("net.ipv4.ip_local_reserved_ports", &format!("{}-{}", FROM + 2, FROM + 4)).unwrap();
    let _listener = Near::listen((LOOPBACK, FROM + 10).into());
    assert_eq!(near().burst(&auto(), 30).0, 20 - 3 - 1);
}

#[test]
fn a_short_reuse_delay_is_the_hold_time_of_auto_connect() {
    if !inside(here!(), &["--sysctl", "net.ipv4.tcp_tw_reuse=1"]) {
        return;
    }
    if let Err(e) = sysctl::write(DELAY, "300") {
        crate::loud::skipped(format!("{DELAY} (Linux 6.14): {e}"));
        return;
    }
    let refused = sysctl::write(DELAY, "0").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(22), "0 is refused");
    set_range(FROM, 4);
    let near = near();
    assert_eq!(near.burst(&auto(), 5).0, 4);
    near.settle();
    sleep(Duration::from_millis(350));
    assert_eq!(near.burst(&auto(), 5).0, 4);
}

#[test]
fn a_reset_leaves_no_time_wait() {
    if !inside(here!(), &NEVER_REUSED) {
        return;
    }
    set_range(FROM, 4);
    let spec = ConnectSpec { linger_reset: true, ..auto() };
    assert_eq!(near().burst(&spec, 30).0, 30);
}

#[test]
fn few_time_wait_buckets_drop_the_surplus() {
    let few = ["--sysctl", "net.ipv4.tcp_tw_reuse=0", "--sysctl", "net.ipv4.tcp_max_tw_buckets=2"];
    if !inside(here!(), &few) {
        return;
    }
    set_range(FROM, 6);
    assert_eq!(near().burst(&auto(), 30).0, 30);
    let overflows = proc_net::read_counters().unwrap().time_wait_overflow;
    assert!(overflows >= 24, "TCPTimeWaitOverflow: {overflows}");
}

#[test]
fn folklore_does_not_help() {
    let folklore = ["--sysctl", "net.ipv4.tcp_tw_reuse=0", "--sysctl", "net.ipv4.tcp_fin_timeout=1"];
    if !inside(here!(), &folklore) {
        return;
    }
    set_range(FROM, 4);
    let near = near();
    let reuse_addr = ConnectSpec { reuse_addr: true, ..auto() };
    assert_eq!(near.burst(&reuse_addr, 5).0, 4, "SO_REUSEADDR without an explicit port");
    near.settle();
    sleep(LATER);
    assert_eq!(said(near.short(&auto(), First::Client)), "connect 99", "tcp_fin_timeout is not the length of TIME_WAIT");
}
