//! How each remedy of the catalogue is rehearsed: what is set up in the namespace, what is run, what the model predicts.
//!
//! Not here: what a remedy is, costs, and how it is applied for real ([`crate::remedy::catalogue`]).

use std::time::Duration;

use crate::model::plan::{Closer, LoadPlan, PortMode, PortRange};
use crate::model::rehearsal::Commands;
use crate::remedy::PACE_SHARE;
use crate::remedy::catalogue::{Name, Row};

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

/// One remedy, set up.
#[derive(Debug, Clone)]
pub struct Spec {
    /// its name in the catalogue
    pub name: &'static str,
    /// what it does, in words
    pub what: String,
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
    /// how to apply it for real
    pub commands: Commands,
}

impl Spec {
    /// A burst with the remedy `name` of the catalogue.
    fn of(name: Name, size: Size) -> Self {
        let row = name.row();
        Self {
            name: name.word(),
            what: row.what.to_owned(),
            price: row.price,
            commands: commands(row),
            predicted: u64::from(size.asked),
            ..baseline(size)
        }
    }

    /// With what the rehearsal adds to the words of the catalogue.
    fn here(self, how: &str) -> Self {
        Self { what: format!("{}; here {how}", self.what), ..self }
    }
}

/// How a row of the catalogue is applied on each system.
fn commands(row: Row) -> Commands {
    Commands { linux: row.linux.words(), windows: row.windows.words(), macos: row.macos.command().map(str::to_owned) }
}

/// The burst without any remedy.
pub fn baseline(size: Size) -> Spec {
    Spec {
        name: "baseline",
        what: "short connections, the client closes first, tcp_tw_reuse=0".to_owned(),
        sysctls: Vec::new(),
        shape: Shape::Burst,
        client: |_, _| {},
        asked: u64::from(size.asked),
        predicted: u64::from(size.ports.min(size.asked)),
        price: "",
        commands: Commands::default(),
    }
}

/// Every remedy that can run here.
pub fn rows(size: Size) -> Vec<Spec> {
    let pool = u64::from(size.ports.min(size.asked));
    let of = |name| Spec::of(name, size);
    let tw = |key: &'static str, value: &str| vec![(key, value.to_owned())];
    let several = size.asked.div_ceil(size.ports.max(1));
    let (rounds, paced) = (3, u64::from(pace(size) * 10));
    let in_rounds = u64::from(rounds) * pool;
    vec![
        Spec { client: |p, _| p.keepalive = true, ..of(Name::KeepAlive) },
        Spec { client: |p, _| p.closer = Closer::Server, ..of(Name::ServerCloses) },
        Spec {
            client: |p, size| {
                use_ring(p, size);
                p.reuse_addr = true;
            },
            ..of(Name::Ring)
        },
        Spec { sysctls: tw("net.ipv4.tcp_tw_reuse", "1"), predicted: pool, ..of(Name::TwReuseBurst) },
        Spec {
            sysctls: tw("net.ipv4.tcp_tw_reuse", "1"),
            shape: Shape::Paced((size.ports * 4 / 5).max(1)),
            ..of(Name::TwReuse).here("at a rate below P / 1 s")
        },
        Spec {
            sysctls: vec![("net.ipv4.tcp_tw_reuse", "1".into()), ("net.ipv4.tcp_tw_reuse_delay", "1".into())],
            ..of(Name::TwReuseDelay).here("1 ms")
        },
        Spec {
            sysctls: vec![("net.ipv4.ip_local_port_range", range(size.asked + 100))],
            ..of(Name::WiderRange).here("wider than the burst")
        },
        Spec {
            client: |p, size| {
                p.port_mode = PortMode::NoPort;
                p.sources = addresses(size.asked.div_ceil(size.ports.max(1)));
            },
            ..of(Name::SourceIps)
        },
        Spec {
            client: |p, _| {
                p.port_mode = PortMode::Bind;
                p.sources = addresses(1);
            },
            predicted: pool,
            ..of(Name::BindPort0)
        },
        Spec { shape: Shape::Destinations(several), ..of(Name::Destinations) },
        Spec {
            sysctls: short_hold(),
            shape: Shape::Paced(pace(size)),
            asked: paced,
            predicted: paced,
            ..of(Name::Pace).here("with T = 3 s")
        },
        Spec {
            sysctls: short_hold(),
            shape: Shape::BurstsWithWaits(rounds),
            asked: in_rounds,
            predicted: in_rounds,
            ..of(Name::Wait).here("with T = 3 s")
        },
        Spec { shape: Shape::Namespaces(rounds), asked: in_rounds, predicted: in_rounds, ..of(Name::FreshNamespace) },
        Spec { client: |p, _| p.closer = Closer::Reset, ..of(Name::LingerReset) },
        Spec { sysctls: tw("net.ipv4.tcp_max_tw_buckets", "5"), ..of(Name::MaxTwBuckets).here("5") },
        Spec { sysctls: tw("net.ipv4.tcp_fin_timeout", "5"), predicted: pool, ..of(Name::FinTimeout) },
        Spec { client: |p, _| p.reuse_addr = true, predicted: pool, ..of(Name::ReuseAddrAlone) },
        Spec { shape: Shape::LateReuseAddr, client: use_ring, predicted: pool, ..of(Name::ReuseAddrLate) },
    ]
}

/// Explicit source ports, outside the pool.
fn use_ring(p: &mut LoadPlan, size: Size) {
    p.port_mode = PortMode::Ring;
    p.port_range = Some(PortRange { lo: RING_FROM, hi: RING_FROM + (size.ports.max(1) - 1) as u16 });
}

/// `LO HI` for a pool of `ports` from [`POOL_FROM`].
pub fn range(ports: u32) -> String {
    format!("{POOL_FROM} {}", u32::from(POOL_FROM) + ports.max(1) - 1)
}

/// The rate that findings advise, at the short T, connections per second.
fn pace(size: Size) -> u32 {
    (f64::from(size.ports) / SHORT_HOLD.as_secs_f64() * PACE_SHARE).floor().max(1.0) as u32
}

/// T = 3 s for connects without bind.
pub fn short_hold() -> Vec<(&'static str, String)> {
    vec![("net.ipv4.tcp_tw_reuse", "1".into()), ("net.ipv4.tcp_tw_reuse_delay", SHORT_HOLD.as_millis().to_string())]
}

/// 127.0.0.1 and its neighbours.
pub fn addresses(n: u32) -> Vec<std::net::IpAddr> {
    (1..=n.max(1)).map(|i| std::net::Ipv4Addr::from(0x7f00_0000 + i).into()).collect()
}

/// Remedies that only Windows has: name, what the model says of 16,384 ports and 120 s, and the command.
pub fn windows_rows() -> Vec<(&'static str, &'static str, Commands)> {
    [Name::WindowsDynamicPort, Name::WindowsTimedWaitDelay]
        .map(|name| (name.word(), name.row().what, Commands { linux: String::new(), ..commands(name.row()) }))
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remedy::catalogue::Basis;

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

    /// The catalogue says of a remedy that it is rehearsed where, and only where, it is.
    #[test]
    fn what_the_catalogue_calls_rehearsed_is_rehearsed() {
        use strum::IntoEnumIterator as _;
        let rows = rows(Size::default());
        for name in Name::iter() {
            let is_here = rows.iter().any(|row| row.name == name.word());
            assert_eq!(is_here, name.row().basis == Basis::Rehearsed, "{}", name.word());
        }
    }

    #[test]
    fn the_pool_has_the_size_asked_for() {
        assert_eq!(range(50), "33000 33049");
        assert_eq!(pace(Size::default()), 10);
    }
}
