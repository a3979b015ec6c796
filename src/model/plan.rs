//! What is asked, fully resolved: defaults filled in, conflicts decided, names resolved. `cli` makes these from
//! arguments and TOML; everything below only reads them. Serialised as `plan{}` of a run result.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::body::Body;
pub use super::course::Arrivals;
use super::course::{Course, LevelOf, Stages};
use super::environment::Environment;
use super::limits;
use super::outcome::{Call, Cause, ECONNREFUSED, ETIMEDOUT, Failure, OwnLimit};
pub use super::pinning::Pinning;
pub use super::port_mode::{PortChoice, PortMode};
pub use super::server_plan::{CpuWork, ServerCloser, ServerPlan};
use super::time::Secs;
use super::units::exact;

mod destinations;
mod mix;
mod shard;

pub use destinations::{Aim, Destination, Share, Undivided};
pub use mix::MixEntry;
pub use shard::{Shard, Whole};

/// Who ends a connection that is not kept (`--closer`).
#[apply(lowercase)]
#[derive(Default, strum::EnumString)]
pub enum Closer {
    /// the client closes as soon as it has the last byte: it keeps the TIME_WAIT
    #[default]
    Client,
    /// the client reads to EOF and closes second: the server keeps the TIME_WAIT
    Server,
    /// SO_LINGER{1,0}: an RST and no TIME_WAIT at all
    Reset,
}

/// An inclusive range of ports, `lo <= hi`.
#[apply(record)]
#[derive(Copy, Eq, Hash)]
pub struct PortRange {
    /// first port
    pub lo: u16,
    /// last port, included
    pub hi: u16,
}

impl PortRange {
    /// Number of ports.
    pub const fn count(self) -> u32 {
        self.hi as u32 - self.lo as u32 + 1
    }

    /// Whether `port` lies inside.
    pub const fn contains(self, port: u16) -> bool {
        self.lo <= port && port <= self.hi
    }

    /// Number of ports that are in both.
    pub fn shared_with(self, other: Self) -> u32 {
        (u32::from(self.hi.min(other.hi)) + 1).saturating_sub(u32::from(self.lo.max(other.lo)))
    }

    /// Whether the two share a port.
    pub fn overlaps(self, other: Self) -> bool {
        self.shared_with(other) > 0
    }
}

/// How the waits of a user vary.
#[apply(lowercase)]
#[derive(Default)]
pub enum Spread {
    /// each length between the shortest and the longest is as likely
    #[default]
    Uniform,
    /// exponential: independent of how long it has lasted; both ends of the range are its mean
    Exponential,
}

/// Wait between an answer and the user's next request.
#[apply(record)]
#[derive(Copy, Default)]
pub struct Think {
    /// shortest
    #[serde(rename = "min_s", with = "Secs")]
    pub min: Duration,
    /// longest
    #[serde(rename = "max_s", with = "Secs")]
    pub max: Duration,
    /// additive: how it varies
    #[serde(default)]
    pub spread: Spread,
}

impl Think {
    /// As likely any length from `min` to `max`.
    pub const fn uniform(min: Duration, max: Duration) -> Self {
        Self { min, max, spread: Spread::Uniform }
    }

    /// Exponential with this mean.
    pub const fn exponential(mean: Duration) -> Self {
        Self { min: mean, max: mean, spread: Spread::Exponential }
    }

    /// As it is typed: `100ms..500ms`, `exp(300ms)`.
    pub fn typed(self) -> String {
        match self.spread {
            Spread::Uniform => format!("{}..{}", exact(self.min), exact(self.max)),
            Spread::Exponential => format!("exp({})", exact(self.max)),
        }
    }

    /// Mean wait.
    pub fn mean(self) -> Duration {
        self.min.saturating_add(self.max) / 2
    }
}

/// An address of the target's name that took no connection before the run.
#[apply(record)]
#[derive(Copy, Eq)]
pub struct Unreached {
    /// the address
    pub addr: SocketAddr,
    /// what connect(2) said
    pub cause: Cause,
}

impl Unreached {
    /// `[::1]:8080 refused`, `192.0.2.1:80 timed out`, `[::1]:80 failed with EADDRNOTAVAIL`.
    pub fn in_words(&self) -> String {
        let failed = match self.cause {
            Cause::Errno(ECONNREFUSED) | Cause::SelfConnect => "refused".to_owned(),
            Cause::TimedOut(_) | Cause::Errno(ETIMEDOUT) => "timed out".to_owned(),
            cause => format!("failed with {}", Failure::new(Call::Connect, cause).name()),
        };
        format!("{} {failed}", self.addr)
    }
}

/// Where the load goes.
#[apply(record)]
pub struct Target {
    /// as given, or made for the own child server
    pub url: String,
    /// host of the URL (name or literal, IPv6 without brackets), for the Host field
    pub host: String,
    /// the address used
    pub addr: SocketAddr,
    /// all addresses the name resolved to
    pub resolved: Vec<SocketAddr>,
    /// additive: addresses of the name that were tried before `addr` and took no connection; all of them where none did
    #[serde(default)]
    pub unreached: Vec<Unreached>,
    /// value of the Host field
    pub authority: String,
    /// sockbench started this server itself
    pub own_server: bool,
}

impl Target {
    /// A target at a literal address.
    pub fn at(addr: SocketAddr) -> Self {
        Self {
            url: format!("http://{addr}"),
            host: addr.ip().to_string(),
            addr,
            resolved: vec![addr],
            unreached: Vec::new(),
            authority: addr.to_string(),
            own_server: false,
        }
    }

    /// Its name has several addresses: which is used, and which took no connection. None for one address.
    /// `at 127.0.0.1:8080; [::1]:8080 refused`, `at 127.0.0.1:80, of 2 addresses`.
    pub fn choice_in_words(&self) -> Option<String> {
        if self.resolved.len() < 2 {
            return None;
        }
        if self.unreached.is_empty() {
            return Some(format!("at {}, of {} addresses", self.addr, self.resolved.len()));
        }
        let others: Vec<String> = self.unreached.iter().filter(|u| u.addr != self.addr).map(Unreached::in_words).collect();
        let too = if others.len() < self.unreached.len() { " too" } else { "" };
        Some(format!("at {}; {}{too}", self.addr, others.join(", ")))
    }

    /// Our own child server's.
    pub fn own(addr: SocketAddr) -> Self {
        Self { own_server: true, ..Self::at(addr) }
    }
}

/// One load run, resolved.
#[apply(record)]
pub struct LoadPlan {
    /// where to; of several destinations the first
    pub target: Target,
    /// additive: of a run with several destinations, each of them; absent where there is one
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Destination>,
    /// request method
    pub method: String,
    /// further header fields, in order
    pub headers: Vec<(String, String)>,
    /// request body
    pub body: Body,
    /// additive: each request says `Connection: close`, whoever is to close first
    #[serde(default)]
    pub says_close: bool,
    /// what is asked for, with weights
    pub mix: Vec<MixEntry>,
    /// virtual users, with stages the most: one connection each
    pub users: u32,
    /// users started per second; 0 starts all at once
    pub spawn_rate: f64,
    /// end after this long; 0 when only a count bounds the run
    #[serde(rename = "duration_s", with = "Secs")]
    pub duration: Duration,
    /// end after this many attempts; 0 when only time bounds the run
    pub requests: u64,
    /// wait between requests; none for an endless hurry
    pub think: Think,
    /// total requests per second in an open loop, with stages the most; 0 for a closed loop
    pub rate: f64,
    /// additive: when they are due
    #[serde(default)]
    pub arrivals: Arrivals,
    /// additive: the load's course, where it changes; absent for a level one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
    /// additive: connections opened before the clock starts, where another number than the usual one was asked for
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preconnect: Option<u32>,
    /// worker threads
    pub threads: u32,
    /// additive: which cores they run on
    #[serde(default, skip_serializing_if = "super::document::is_default")]
    pub pin: Pinning,
    /// additive: they look for events all the time instead of sleeping until the next one
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub busy_poll: bool,
    /// seed of every random choice
    pub seed: u64,
    /// first part that `totals.steady` leaves out
    #[serde(rename = "warmup_s", with = "Secs")]
    pub warmup: Duration,
    /// ask the target to keep connections
    pub keepalive: bool,
    /// who ends a connection that is not kept
    pub closer: Closer,
    /// who picks the local port
    pub port_mode: PortMode,
    /// the range for ring and range modes, as resolved
    pub port_range: Option<PortRange>,
    /// SO_REUSEADDR on every socket, from the first
    pub reuse_addr: bool,
    /// source addresses used in turn; empty: the kernel's choice
    pub sources: Vec<IpAddr>,
    /// one request, start to last byte
    #[serde(rename = "timeout_s", with = "Secs")]
    pub timeout: Duration,
    /// targets that are not this host's are allowed
    pub allow_remote: bool,
    /// the observer of ports and processes runs beside the load
    pub observe: bool,
    /// limits in force
    pub limits: LoadLimits,
    /// namespace and sockbench's own server
    #[serde(rename = "surroundings", alias = "environment", default)]
    pub environment: Environment,
    /// additive: the part of a plan that several machines share; users, rates and requests above are those of this machine
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// additive: somebody else, such as a Locust master, decided how many users there were and when they ended
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub led: bool,
}

impl LoadPlan {
    /// Kept connections in a closed loop without think time, every limit at its default: what plans start from.
    pub fn new(target: Target, mix: Vec<MixEntry>) -> Self {
        Self {
            target,
            destinations: Vec::new(),
            method: "GET".into(),
            headers: Vec::new(),
            body: Body::default(),
            says_close: false,
            mix,
            users: limits::USERS,
            spawn_rate: 0.0,
            duration: limits::DURATION,
            requests: 0,
            think: Think::default(),
            rate: 0.0,
            arrivals: Arrivals::default(),
            stages: None,
            preconnect: None,
            threads: 1,
            pin: Pinning::Off,
            busy_poll: false,
            seed: 1,
            warmup: Duration::ZERO,
            keepalive: true,
            closer: Closer::Client,
            port_mode: PortMode::Auto,
            port_range: None,
            reuse_addr: false,
            sources: Vec::new(),
            timeout: limits::REQUEST_TIMEOUT,
            allow_remote: false,
            observe: true,
            limits: LoadLimits::default(),
            environment: Environment::default(),
            shard: None,
            led: false,
        }
    }

    /// Requests are due by the clock, not by answers.
    pub fn is_open_loop(&self) -> bool {
        self.rate > 0.0
    }

    /// Its stages, where they are of `level`.
    pub fn stages_of(&self, level: LevelOf) -> Option<&Stages> {
        self.stages.as_ref().filter(|s| s.of == level)
    }

    /// The users that are asked for over time; of all machines.
    pub fn users_course(&self) -> Course {
        match self.stages_of(LevelOf::Users) {
            Some(stages) => stages.course(),
            None => Course::ramp(f64::from(self.whole().users), self.whole().spawn_rate),
        }
    }

    /// The requests per second that an open loop asks for over time, 0 in a closed loop; of all machines.
    pub fn rate_course(&self) -> Course {
        self.stages_of(LevelOf::Rate).map_or_else(|| Course::level(self.whole().rate), Stages::course)
    }

    /// Requests per second that an open loop asks for in the mean of its first `duration_s`.
    pub fn mean_rate(&self, duration_s: f64) -> f64 {
        match self.stages_of(LevelOf::Rate) {
            Some(stages) if duration_s > 0.0 => stages.course().until(duration_s) / duration_s * self.share(),
            _ => self.rate,
        }
    }

    /// Connections opened before the clock starts: in an open loop over kept connections one for each hundred requests a second,
    /// or as many as were asked for.
    pub fn preconnects(&self) -> u32 {
        if !self.is_open_loop() || !self.keepalive {
            return 0;
        }
        let usual = ((self.rate / 100.0) as u32).max(self.threads);
        self.preconnect.unwrap_or(usual).min(self.users)
    }

    /// When the last user has started, at the asked spawn rate; of all machines.
    pub fn ramp(&self) -> Duration {
        let whole = self.whole();
        if whole.spawn_rate > 0.0 {
            Duration::try_from_secs_f64(f64::from(whole.users.saturating_sub(1)) / whole.spawn_rate).unwrap_or(Duration::MAX)
        } else {
            Duration::ZERO
        }
    }

    /// When the steady part begins: the warm-up is over and the last user has started.
    pub fn steady_from(&self) -> Duration {
        self.warmup.max(self.ramp())
    }

    /// Every request makes a connection of its own.
    pub fn is_short_lived(&self) -> bool {
        !self.keepalive
    }
}

/// Limits of the client, with [`limits`] as defaults; printed in the plan.
#[apply(record)]
pub struct LoadLimits {
    /// users
    pub users_max: u32,
    /// response head, bytes
    pub head_bytes: usize,
    /// response fields
    pub head_fields: usize,
    /// response body, bytes
    pub body_bytes: u64,
    /// highest recordable latency, microseconds
    pub latency_max_us: u64,
    /// bind retries of the ring
    pub ring_tries: u32,
    /// rows of the error table
    pub error_rows: usize,
}

impl LoadLimits {
    /// The value of one that an answer can pass.
    pub const fn value(&self, limit: OwnLimit) -> u64 {
        match limit {
            OwnLimit::HeadBytes => self.head_bytes as u64,
            OwnLimit::HeadFields => self.head_fields as u64,
            OwnLimit::BodyBytes => self.body_bytes,
        }
    }
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            users_max: limits::USERS_MAX,
            head_bytes: limits::RESPONSE_HEAD_BYTES,
            head_fields: limits::RESPONSE_HEAD_FIELDS,
            body_bytes: limits::RESPONSE_BODY_BYTES,
            latency_max_us: limits::LATENCY_MAX_US,
            ring_tries: limits::RING_TRIES,
            error_rows: limits::ERROR_ROWS,
        }
    }
}
