//! The remedies as data: what is set up in the namespace, what is run, what the model predicts, what it costs and
//! how to apply it for real. One table; `docs/FINDINGS.md` uses the same names.
//!
//! Every rehearsal measures these facts again.

use std::time::Duration;

use crate::model::plan::{Closer, LoadPlan, PortMode, PortRange};

/// Size of a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// ports of the pool
    pub ports: u32,
    /// connections that a burst asks for
    pub asked: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { ports: 50, asked: 300 }
    }
}

/// First port of the pool inside the namespace. Even, because the kernel's search goes by parity.
pub const POOL_FROM: u16 = 33_000;
/// First port of the ring, outside the pool.
pub const RING_FROM: u16 = 21_000;
/// T of the rows that must see it pass.
pub const SHORT_HOLD: Duration = Duration::from_secs(3);

/// How a row goes about its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// all at once, by a few users in a hurry
    Burst,
    /// at a constant rate, connections per second
    Paced(u32),
    /// several bursts of one pool each, with the hold time between them
    BurstsWithWaits(u32),
    /// one burst, shared by this many destinations
    Destinations(u32),
    /// bursts of one pool, each in a namespace of its own
    Namespaces(u32),
    /// a first burst of one pool without SO_REUSEADDR, the rest with it
    LateReuseAddr,
}

/// One remedy.
#[derive(Debug, Clone)]
pub struct Spec {
    /// its name, as in findings
    pub name: &'static str,
    /// what it does, in words
    pub what: &'static str,
    /// settings of the namespace beside the pool and the base ones
    pub sysctls: Vec<(&'static str, String)>,
    /// how the connections are made
    pub shape: Shape,
    /// what it changes in the client's plan
    pub client: fn(&mut LoadPlan, Size),
    /// connections asked for
    pub asked: u64,
    /// of those, made: by the model
    pub predicted: u64,
    /// what is given up; empty for nothing that a client would notice
    pub price: &'static str,
    /// how to apply it on Linux
    pub linux: &'static str,
    /// how to apply it on Windows
    pub windows: &'static str,
}

/// The burst without any remedy.
pub fn baseline(size: Size) -> Spec {
    Spec {
        name: "baseline",
        what: "short connections, the client closes first, tcp_tw_reuse=0",
        sysctls: Vec::new(),
        shape: Shape::Burst,
        client: |_, _| {},
        asked: u64::from(size.asked),
        predicted: u64::from(size.ports.min(size.asked)),
        price: "",
        linux: "",
        windows: "",
    }
}

/// Every remedy that can run here.
pub fn rows(size: Size) -> Vec<Spec> {
    let (asked, pool) = (u64::from(size.asked), u64::from(size.ports.min(size.asked)));
    let row = |name, what, predicted, linux, windows| Spec { name, what, predicted, linux, windows, ..baseline(size) };
    let tw = |key: &'static str, value: &str| vec![(key, value.to_owned())];
    let rounds = 3;
    vec![
        Spec {
            client: |p, _| p.keepalive = true,
            ..row(
                "keep-alive",
                "connections are kept: one a user, not one a request",
                asked,
                "sockbench load URL (the default); in the client under test: a session or connection pool",
                "the same: reuse connections in the client",
            )
        },
        Spec {
            client: |p, _| p.closer = Closer::Server,
            ..row(
                "server-closes",
                "the client reads to EOF: the server closes first and keeps the TIME_WAIT",
                asked,
                "sockbench load URL --no-keepalive --closer server",
                "the same: send Connection: close and read to EOF",
            )
        },
        Spec {
            client: |p, size| {
                p.port_mode = PortMode::Ring;
                p.port_range = Some(PortRange { lo: RING_FROM, hi: RING_FROM + (size.ports.max(1) - 1) as u16 });
                p.reuse_addr = true;
            },
            ..row(
                "ring",
                "explicit ports from an own ring, SO_REUSEADDR on every socket",
                asked,
                "sockbench load URL --no-keepalive --port-mode ring --reuse-addr",
                "none: SO_REUSEADDR means something else on Windows",
            )
        },
        Spec {
            sysctls: tw("net.ipv4.tcp_tw_reuse", "1"),
            ..row(
                "tw-reuse-burst",
                "tcp_tw_reuse=1, in a burst shorter than the reuse delay of 1 s",
                pool,
                "sysctl -w net.ipv4.tcp_tw_reuse=1",
                "none",
            )
        },
        Spec {
            sysctls: tw("net.ipv4.tcp_tw_reuse", "1"),
            shape: Shape::Paced((size.ports * 4 / 5).max(1)),
            ..row(
                "tw-reuse",
                "tcp_tw_reuse=1, paced below P / 1 s: ports come back after the reuse delay",
                asked,
                "sysctl -w net.ipv4.tcp_tw_reuse=1",
                "none; nearest: TcpTimedWaitDelay=30",
            )
        },
        Spec {
            sysctls: vec![("net.ipv4.tcp_tw_reuse", "1".into()), ("net.ipv4.tcp_tw_reuse_delay", "1".into())],
            price: "an old segment could be taken for a new one within the delay",
            ..row(
                "tw-reuse-delay",
                "tcp_tw_reuse=1 with tcp_tw_reuse_delay=1 ms (Linux 6.14)",
                asked,
                "sysctl -w net.ipv4.tcp_tw_reuse=1 net.ipv4.tcp_tw_reuse_delay=1",
                "none",
            )
        },
        Spec {
            sysctls: vec![("net.ipv4.ip_local_port_range", range(size.asked + 100))],
            ..row(
                "wider-range",
                "an ip_local_port_range that is wider than the burst",
                asked,
                "sysctl -w net.ipv4.ip_local_port_range='10000 65535' (reserve the listeners: net.ipv4.ip_local_reserved_ports)",
                "netsh int ipv4 set dynamicport tcp start=10000 num=55535",
            )
        },
        Spec {
            client: |p, size| {
                p.port_mode = PortMode::NoPort;
                p.sources = addresses(size.asked.div_ceil(size.ports.max(1)));
            },
            ..row(
                "source-ips",
                "several source addresses, bound with IP_BIND_ADDRESS_NO_PORT",
                asked,
                "sockbench load URL --no-keepalive --source 127.0.0.1,127.0.0.2,...",
                "several addresses on the interface; bind one before connect",
            )
        },
        Spec {
            client: |p, size| {
                p.port_mode = PortMode::Bind;
                p.sources = addresses(1);
                let _ = size;
            },
            ..row(
                "bind-port-0",
                "bind(ip, 0) before connect: the kernel picks at bind, for all destinations at once",
                pool,
                "sockbench load URL --no-keepalive --port-mode bind",
                "the same; error 10055 instead of 10048",
            )
        },
        Spec {
            shape: Shape::Destinations(size.asked.div_ceil(size.ports.max(1))),
            ..row(
                "destinations",
                "several addresses of the server: each destination has a pool of its own",
                asked,
                "sockbench server --listen 127.0.0.1:8080 --listen 127.0.0.2:8080; load each",
                "the same",
            )
        },
        Spec {
            sysctls: short_hold(),
            shape: Shape::Paced(pace(size)),
            asked: u64::from(pace(size) * 10),
            price: "less load",
            ..row(
                "pace",
                "a rate below 0.8 P/T, with T = 3 s",
                u64::from(pace(size) * 10),
                "sockbench load URL --no-keepalive --rate R, R below 0.8 P/T (sockbench ports prints P/T)",
                "the same",
            )
        },
        Spec {
            sysctls: short_hold(),
            shape: Shape::BurstsWithWaits(rounds),
            asked: u64::from(rounds) * pool,
            price: "time",
            ..row(
                "wait",
                "wait T between runs, with T = 3 s",
                u64::from(rounds) * pool,
                "sockbench study waits by itself; sockbench ports says for how long",
                "the same, 120 s by default",
            )
        },
        Spec {
            shape: Shape::Namespaces(rounds),
            asked: u64::from(rounds) * pool,
            ..row(
                "fresh-namespace",
                "a network namespace of its own for every run",
                u64::from(rounds) * pool,
                "sockbench sandbox -- COMMAND",
                "none; nearest: a fresh virtual machine or container",
            )
        },
        Spec {
            client: |p, _| p.closer = Closer::Reset,
            price: "every connection ends in a reset: the peer reads ECONNRESET and unsent data is lost",
            ..row(
                "linger-reset",
                "SO_LINGER 0: an RST, and no TIME_WAIT at all",
                asked,
                "sockbench load URL --no-keepalive --closer reset (diagnosis only)",
                "the same",
            )
        },
        Spec {
            sysctls: tw("net.ipv4.tcp_max_tw_buckets", "5"),
            price: "surplus TIME_WAIT sockets are dropped: no protection from old segments",
            ..row(
                "max-tw-buckets",
                "a small tcp_max_tw_buckets: surplus TIME_WAIT sockets are dropped at once",
                asked,
                "sysctl -w net.ipv4.tcp_max_tw_buckets=5",
                "none",
            )
        },
        Spec {
            sysctls: tw("net.ipv4.tcp_fin_timeout", "5"),
            ..row(
                "fin-timeout",
                "tcp_fin_timeout=5, as folklore has it: it shortens FIN_WAIT2, not TIME_WAIT",
                pool,
                "none: it does not help",
                "none; TcpTimedWaitDelay is another thing, and does",
            )
        },
        Spec {
            client: |p, _| p.reuse_addr = true,
            ..row(
                "reuse-addr-alone",
                "SO_REUSEADDR without an explicit port, as folklore has it",
                pool,
                "none: it does not help",
                "none",
            )
        },
        Spec {
            shape: Shape::LateReuseAddr,
            client: |p, size| {
                p.port_mode = PortMode::Ring;
                p.port_range = Some(PortRange { lo: RING_FROM, hi: RING_FROM + (size.ports.max(1) - 1) as u16 });
            },
            ..row(
                "reuse-addr-late",
                "a ring whose first connections were made without SO_REUSEADDR: both sockets must have it",
                pool,
                "set --reuse-addr from the first connection on",
                "none",
            )
        },
    ]
}

/// `LO HI` for a pool of `ports` from [`POOL_FROM`].
pub fn range(ports: u32) -> String {
    format!("{POOL_FROM} {}", u32::from(POOL_FROM) + ports.max(1) - 1)
}

/// A rate below 0.8 P/T at the short T, connections per second.
fn pace(size: Size) -> u32 {
    (f64::from(size.ports) / SHORT_HOLD.as_secs_f64() * 0.8).floor().max(1.0) as u32
}

/// T = 3 s for connects without bind.
pub fn short_hold() -> Vec<(&'static str, String)> {
    vec![("net.ipv4.tcp_tw_reuse", "1".into()), ("net.ipv4.tcp_tw_reuse_delay", SHORT_HOLD.as_millis().to_string())]
}

/// 127.0.0.1 and its neighbours.
pub fn addresses(n: u32) -> Vec<std::net::IpAddr> {
    (1..=n.max(1)).map(|i| std::net::Ipv4Addr::from(0x7f00_0000 + i).into()).collect()
}

/// Remedies that only Windows has, with what the model predicts from 16,384 ports and 120 s.
pub fn windows_rows() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        (
            "windows-dynamic-port",
            "a wider dynamic port range: 55,535 ports / 120 s = 463 connections/s",
            "netsh int ipv4 set dynamicport tcp start=10000 num=55535",
        ),
        (
            "windows-timed-wait-delay",
            "TcpTimedWaitDelay=30: 16,384 ports / 30 s = 546 connections/s; with the wider range 1,851/s",
            r"reg add HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters /v TcpTimedWaitDelay /t REG_DWORD /d 30 (then reboot)",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_predictions_are_within_what_is_asked() {
        let rows = rows(Size::default());
        let mut names: Vec<_> = rows.iter().map(|r| r.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows.len());
        assert!(rows.iter().all(|r| r.predicted <= r.asked && r.asked > 0));
        assert!(rows.iter().filter(|r| r.predicted < r.asked).count() >= 5, "folklore and bursts are there");
    }

    #[test]
    fn the_pool_has_the_size_asked_for() {
        assert_eq!(range(50), "33000 33049");
        assert_eq!(pace(Size::default()), 13);
    }
}
