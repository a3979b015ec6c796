//! The truth table of closed connections, live: who closed first, tcp_tw_reuse, the address, the client's call and
//! SO_REUSEADDR decide what the connection after the last free port gets, at once and when tcp_tw_reuse's delay of
//! one second is over.
//!
//! A namespace per tcp_tw_reuse; in it every row has 50 ports of its own, so that no row sees another's TIME_WAIT.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::near::{First, Near, by_kernel, ring, set_range};
use crate::support::{self, here};
use sockbench::testing::model::PortMode;
use sockbench::testing::sys::sleep;
use sockbench::testing::sys::socket::ConnectSpec;

const PORTS: u16 = 50;
/// Port ranges of the rows start here, listeners lie below.
const FROM: u16 = 30_000;
/// Beyond tcp_tw_reuse_delay's default of 1 s.
const LATER: Duration = Duration::from_millis(1150);
const OTHER: &str = "10.9.9.9";

/// What the client calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallOf {
    /// connect() alone
    Auto,
    /// bind(ip, 0) with IP_BIND_ADDRESS_NO_PORT
    NoPort,
    /// bind(ip, 0)
    Bind,
    /// bind(ip, port)
    Ring,
}

/// One row of the table.
struct Row {
    near: Near,
    first: First,
    call: CallOf,
    reuse_addr: bool,
    /// the first of its 50 ports
    lo: u16,
}

impl Row {
    fn spec(&self, n: u16) -> ConnectSpec {
        let ip = self.near.dest.ip();
        let spec = match self.call {
            CallOf::Auto => by_kernel(PortMode::Auto, None),
            CallOf::NoPort => by_kernel(PortMode::NoPort, Some(ip)),
            CallOf::Bind => by_kernel(PortMode::Bind, Some(ip)),
            CallOf::Ring => ring(ip, self.lo + n % PORTS, false),
        };
        ConnectSpec { reuse_addr: self.reuse_addr, ..spec }
    }

    /// Uses up the ports, then gives what one more connection gets.
    fn fill(&self) -> String {
        set_range(self.lo, PORTS);
        for n in 0..PORTS {
            self.near.short(&self.spec(n), self.first).unwrap_or_else(|e| panic!("{self}: connection {n}: {e}"));
        }
        self.near.settle();
        self.near.outcome(&self.spec(PORTS), self.first)
    }

    /// What a connection gets later.
    fn again(&self) -> String {
        set_range(self.lo, PORTS);
        self.near.settle();
        self.near.outcome(&self.spec(PORTS + 1), self.first)
    }

    /// The table of ports.md section 2: at once, later.
    fn expected(&self, tw_reuse: u32) -> (&'static str, &'static str) {
        let reuse_applies = tw_reuse == 1 || (tw_reuse == 2 && self.near.dest.ip().is_loopback());
        match (self.first, self.call) {
            (First::Server, _) => ("ok", "ok"),
            (First::Client, CallOf::Auto | CallOf::NoPort) if reuse_applies => ("connect 99", "ok"),
            (First::Client, CallOf::Auto | CallOf::NoPort) => ("connect 99", "connect 99"),
            (First::Client, CallOf::Ring) if self.reuse_addr => ("ok", "ok"),
            (First::Client, CallOf::Bind | CallOf::Ring) => ("bind 98", "bind 98"),
        }
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { near, first, call, reuse_addr, .. } = self;
        write!(f, "{first:?} closes first, {}, {call:?}, SO_REUSEADDR {reuse_addr}", near.dest.ip())
    }
}

fn addresses() -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = vec!["127.0.0.1".parse().unwrap(), OTHER.parse().unwrap()];
    let v6: SocketAddr = "[::1]:0".parse().unwrap();
    match std::net::TcpListener::bind(v6) {
        Ok(_) => all.push(v6.ip()),
        Err(e) => crate::loud::skipped(format!("the rows of ::1: {e}")),
    }
    all
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for ip in addresses() {
        for first in [First::Server, First::Client] {
            for call in [CallOf::Auto, CallOf::NoPort, CallOf::Bind, CallOf::Ring] {
                for reuse_addr in [false, true] {
                    let n = rows.len() as u16;
                    let near = Near::listen((ip, FROM - 1 - n).into());
                    rows.push(Row { near, first, call, reuse_addr, lo: FROM + n * PORTS });
                }
            }
        }
    }
    rows
}

fn table(name: &str, tw_reuse: u32) {
    let setting = format!("net.ipv4.tcp_tw_reuse={tw_reuse}");
    if !support::inside(name, &["--sysctl", &setting, "--address", OTHER]) {
        return;
    }
    let rows = rows();
    let at_once: Vec<String> = rows.iter().map(Row::fill).collect();
    sleep(LATER);
    let mut wrong = Vec::new();
    for (row, at_once) in rows.iter().zip(&at_once) {
        let later = row.again();
        println!("tcp_tw_reuse={tw_reuse}, {row}: {at_once} / {later}");
        if (at_once.as_str(), later.as_str()) != row.expected(tw_reuse) {
            wrong.push(format!("{row}: {at_once} / {later}, expected {:?}", row.expected(tw_reuse)));
        }
    }
    assert!(rows.len() >= 32 && wrong.is_empty(), "{} rows, wrong:\n{}", rows.len(), wrong.join("\n"));
}

#[test]
fn without_reuse() {
    table(here!(), 0);
}

#[test]
fn with_reuse_everywhere() {
    table(here!(), 1);
}

#[test]
fn with_reuse_on_loopback() {
    table(here!(), 2);
}
