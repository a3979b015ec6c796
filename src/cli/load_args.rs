//! The arguments of a load run, and their one conversion into a [`LoadPlan`]: defaults and conflicts are decided
//! here, so that nothing below sees raw arguments.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::{Exit, ports_args, units};
use crate::model::limits;
use crate::model::plan::{Closer, LoadPlan, MixEntry, PortMode, PortRange, Target, Think};

/// Who loads what, how, and for how long. Shared by `load` and `study`.
#[derive(Debug, clap::Args, Clone)]
pub(crate) struct ConnectionArgs {
    /// Make a new connection for every request
    #[arg(long, help_heading = "Connections")]
    pub(crate) no_keepalive: bool,
    /// Who ends a connection that is not kept: the one who closes first keeps the TIME_WAIT
    #[arg(long, value_enum, default_value_t = CloserArg::Client, help_heading = "Connections")]
    pub(crate) closer: CloserArg,
    /// Who picks the local port [default: auto; ring with --port-range, no-port with --source]
    #[arg(long, value_enum, help_heading = "Connections")]
    pub(crate) port_mode: Option<PortModeArg>,
    /// Local ports for --port-mode ring or range [ring's default: 10000-32000 outside ip_local_port_range]
    #[arg(long, value_name = "A-B", value_parser = ports_args::range, help_heading = "Connections")]
    pub(crate) port_range: Option<PortRange>,
    /// SO_REUSEADDR on every socket, from the first on (never implied)
    #[arg(long, help_heading = "Connections")]
    pub(crate) reuse_addr: bool,
    /// Source addresses used in turn: IP[,IP...] or CIDR
    #[arg(long, value_name = "IP[,IP]|CIDR", help_heading = "Connections")]
    pub(crate) source: Option<String>,
    /// One request, from its start to its last byte
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration, help_heading = "Connections")]
    pub(crate) timeout: Duration,
    /// Load a server that is not this host's
    #[arg(long, help_heading = "Connections")]
    pub(crate) allow_remote: bool,
    /// Do not watch ports, processes and the host during the run (what is not watched is reported as unavailable)
    #[arg(long, help_heading = "Connections")]
    pub(crate) no_observe: bool,
    /// Worker threads of the client
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256), help_heading = "Load")]
    pub(crate) threads: u32,
    /// Seed of every random choice [default: 1]
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Load")]
    pub(crate) seed: u64,
}

/// `--closer`.
#[derive(Debug, Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum CloserArg {
    /// the client closes after the last byte
    Client,
    /// the client reads to EOF: the server closes first
    Server,
    /// SO_LINGER 0: an RST, no TIME_WAIT; for diagnosis only
    Reset,
}

impl From<CloserArg> for Closer {
    fn from(c: CloserArg) -> Self {
        match c {
            CloserArg::Client => Self::Client,
            CloserArg::Server => Self::Server,
            CloserArg::Reset => Self::Reset,
        }
    }
}

/// `--port-mode`.
#[derive(Debug, Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum PortModeArg {
    /// the kernel picks at connect
    Auto,
    /// bind(ip, 0): the kernel picks at bind
    Bind,
    /// bind(ip, 0) with IP_BIND_ADDRESS_NO_PORT: the kernel picks at connect
    NoPort,
    /// bind(ip, port) from an own ring
    Ring,
    /// IP_LOCAL_PORT_RANGE on the socket
    Range,
}

impl From<PortModeArg> for PortMode {
    fn from(m: PortModeArg) -> Self {
        match m {
            PortModeArg::Auto => Self::Auto,
            PortModeArg::Bind => Self::Bind,
            PortModeArg::NoPort => Self::NoPort,
            PortModeArg::Ring => Self::Ring,
            PortModeArg::Range => Self::Range,
        }
    }
}

/// The load of one run.
#[derive(Debug, clap::Args, Clone)]
pub(crate) struct RunArgs {
    /// Virtual users, one connection each; with --rate the most connections at once
    #[arg(short = 'c', long = "conns", visible_alias = "users", visible_short_alias = 'u', value_name = "N",
          value_parser = units::count, help_heading = "Load")]
    pub(crate) conns: Option<u64>,
    /// End after this long [default: 10s, unless --requests]
    #[arg(short = 'd', long, value_name = "DURATION", value_parser = units::duration, help_heading = "Load")]
    pub(crate) duration: Option<Duration>,
    /// The same, as Locust names it (with a unit)
    #[arg(short = 't', long, value_name = "DURATION", value_parser = run_time, conflicts_with = "duration", help_heading = "Load")]
    pub(crate) run_time: Option<Duration>,
    /// End after this many attempts
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count, help_heading = "Load")]
    pub(crate) requests: Option<u64>,
    /// Users started per second [default: all at once]
    #[arg(short = 'r', long, value_name = "N", conflicts_with = "rate", help_heading = "Load")]
    pub(crate) spawn_rate: Option<f64>,
    /// Constant rate: total requests per second, whatever the answers do (open loop)
    #[arg(short = 'R', long, value_name = "N", help_heading = "Load")]
    pub(crate) rate: Option<f64>,
    /// Wait between an answer and the user's next request: 200ms, or 100ms..500ms (uniform)
    #[arg(long, value_name = "A..B", value_parser = think, conflicts_with = "rate", help_heading = "Load")]
    pub(crate) think: Option<Think>,
    /// Leave the first part out of the steady figures
    #[arg(long, value_name = "DURATION", value_parser = units::duration, help_heading = "Load")]
    pub(crate) warmup: Option<Duration>,
    /// What to ask for, with weights: '/health=50,/io=30,/cpu=20'
    #[arg(long, value_name = "PATH=WEIGHT,...", value_parser = mix, help_heading = "Request")]
    pub(crate) mix: Option<Mix>,
    /// Further header field, 'Name: value'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = header, help_heading = "Request")]
    pub(crate) headers: Vec<(String, String)>,
    /// Request method
    #[arg(long, value_name = "METHOD", default_value = "GET", value_parser = method, help_heading = "Request")]
    pub(crate) method: String,
    /// Request body
    #[arg(long, value_name = "TEXT", default_value = "", help_heading = "Request")]
    pub(crate) body: String,
}

/// Where results go. Shared by `load` and `study`.
#[derive(Debug, clap::Args, Clone, Default)]
pub(crate) struct OutputArgs {
    /// Keep everything in this directory: JSON, HdrHistogram log, CSV, charts
    #[arg(short = 'o', long = "output", value_name = "DIR", help_heading = "Output")]
    pub(crate) dir: Option<PathBuf>,
    /// Write the result document; - is stdout (and then nothing else is)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,
    /// Write Locust's PREFIX_stats.csv, PREFIX_stats_history.csv and PREFIX_failures.csv
    #[arg(long, value_name = "PREFIX", help_heading = "Output")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace results that are already in the output directory
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// No status lines
    #[arg(short = 'q', long, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// No colours (also: NO_COLOR, CI, not a terminal)
    #[arg(long, help_heading = "Output")]
    pub(crate) no_color: bool,
    /// Exit with 1 when a request failed
    #[arg(long, help_heading = "Output")]
    pub(crate) fail_on_errors: bool,
}

/// A parsed `--mix`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mix(pub(crate) Vec<MixEntry>);

/// Makes the plan of one run against `target`, whose URL named `path`.
pub(crate) fn plan(run: &RunArgs, conn: &ConnectionArgs, target: Target, path: &str) -> Result<LoadPlan, Exit> {
    let users = run.conns.unwrap_or(u64::from(limits::USERS));
    if users == 0 || users > u64::from(limits::USERS_MAX) {
        return Err(Exit::usage(format!("--conns {users}: not between 1 and {}", limits::USERS_MAX)));
    }
    let users = users as u32;
    let requests = run.requests.unwrap_or(0);
    if run.requests == Some(0) {
        return Err(Exit::usage("--requests 0: nothing to do"));
    }
    let asked = run.duration.or(run.run_time);
    if asked.is_some_and(|d| d.is_zero()) {
        return Err(Exit::usage("--duration 0: nothing to do"));
    }
    let duration = match (asked, requests) {
        (Some(d), _) => d,
        (None, 0) => limits::DURATION,
        (None, _) => Duration::ZERO,
    };
    for (name, value) in [("--rate", run.rate), ("--spawn-rate", run.spawn_rate)] {
        if value.is_some_and(|v| !v.is_finite() || v <= 0.0 || v > 1e7) {
            return Err(Exit::usage(format!("{name} {}: not a rate above 0 per second", value.unwrap_or(0.0))));
        }
    }
    if conn.threads > users {
        return Err(Exit::usage(format!("--threads {}: more threads than --conns {users}", conn.threads)));
    }
    if conn.timeout.is_zero() {
        return Err(Exit::usage("--timeout 0: no answer could come in time"));
    }
    let ports = ports_args::resolve(conn, target.addr)?;
    let mix = match (&run.mix, target.own_server) {
        (Some(mix), _) => mix.0.clone(),
        (None, true) => experiment_mix(),
        (None, false) => vec![MixEntry { path: path.into(), weight: 1 }],
    };
    Ok(LoadPlan {
        method: run.method.clone(),
        headers: run.headers.clone(),
        body: run.body.clone(),
        users,
        spawn_rate: run.spawn_rate.unwrap_or(0.0),
        duration,
        requests,
        think: run.think.unwrap_or_default(),
        rate: run.rate.unwrap_or(0.0),
        threads: conn.threads,
        seed: conn.seed,
        warmup: run.warmup.unwrap_or(Duration::ZERO),
        keepalive: !conn.no_keepalive,
        closer: conn.closer.into(),
        port_mode: ports.mode,
        port_range: ports.range,
        reuse_addr: conn.reuse_addr,
        sources: ports.sources,
        timeout: conn.timeout,
        allow_remote: conn.allow_remote,
        observe: !conn.no_observe,
        ..LoadPlan::new(target, mix)
    })
}

/// The mix of the experiment: 50 % `/health`, 30 % `/io`, 20 % `/cpu`.
pub(crate) fn experiment_mix() -> Vec<MixEntry> {
    [("/health", 50), ("/io", 30), ("/cpu", 20)].map(|(path, weight)| MixEntry { path: path.into(), weight }).to_vec()
}

fn run_time(text: &str) -> Result<Duration, String> {
    if text.trim().parse::<f64>().is_ok() {
        return Err("a number without a unit (hint: wrk's -t is --threads; a time is 30s or 3m)".into());
    }
    units::duration(text)
}

/// `100ms..500ms`, or one duration for a constant wait.
pub(crate) fn think(text: &str) -> Result<Think, String> {
    let (min, max) = match text.split_once("..") {
        Some((a, b)) => (units::duration(a)?, units::duration(b)?),
        None => (units::duration(text)?, units::duration(text)?),
    };
    if min > max {
        return Err(format!("{text}: the shortest wait is longer than the longest"));
    }
    Ok(Think { min, max })
}

/// `/a=50,/b=30`; a path without a weight has weight 1.
pub(crate) fn mix(text: &str) -> Result<Mix, String> {
    let mut entries: Vec<MixEntry> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (path, weight) = match part.rsplit_once('=') {
            // The '=' of a query string is not a weight.
            Some((path, weight)) if !weight.is_empty() && weight.bytes().all(|b| b.is_ascii_digit()) && !path.contains('?') => {
                (path, weight)
            }
            Some((path, weight)) if !path.contains('?') => {
                return Err(format!("{path}: weight {weight:?} is not a whole number"));
            }
            _ => (part, "1"),
        };
        let weight: u32 = weight.parse().map_err(|_| format!("{path}: weight {weight} is too large"))?;
        if !path.starts_with('/') || path.bytes().any(|b| b <= b' ' || b == 127) {
            return Err(format!("{path:?}: a path starts with / and has no blanks"));
        }
        if weight == 0 {
            return Err(format!("{path}: weight 0"));
        }
        if entries.iter().any(|e| e.path == path) {
            return Err(format!("{path}: named twice"));
        }
        entries.push(MixEntry { path: path.into(), weight });
    }
    if entries.len() > 256 || entries.iter().map(|e| u64::from(e.weight)).sum::<u64>() > u64::from(u32::MAX) {
        return Err("too many entries or weight".into());
    }
    Ok(Mix(entries))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("{text:?}: not 'Name: value'"))?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("{name:?}: not a field name (RFC 9110 section 5.1)"));
    }
    let value = value.trim();
    if value.bytes().any(|b| b == b'\r' || b == b'\n' || b == 0) {
        return Err(format!("{name}: a line break in the value"));
    }
    Ok((name.into(), value.into()))
}

fn method(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(format!("{text:?}: a method is a word in capitals, such as GET"));
    }
    Ok(text.into())
}

/// Source addresses of `--source`: a list, or every host address of a CIDR block (at most 65,536).
pub(crate) fn sources(text: &str) -> Result<Vec<IpAddr>, String> {
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim) {
        if let Some((base, bits)) = part.split_once('/') {
            let base: std::net::Ipv4Addr = base.parse().map_err(|_| format!("{part}: not an IPv4 CIDR block"))?;
            let bits: u32 = bits
                .parse()
                .ok()
                .filter(|b| (8..=32).contains(b))
                .ok_or_else(|| format!("{part}: prefix not between 8 and 32"))?;
            let size = 1u64 << (32 - bits);
            let first = u64::from(u32::from(base)) & !(size - 1);
            // Network and broadcast address are left out where the block has others.
            let (from, to) = if size > 2 { (1, size - 1) } else { (0, size) };
            let many = (to - from).min(1 << 16);
            all.extend((from..from + many).map(|i| IpAddr::from(std::net::Ipv4Addr::from((first + i) as u32))));
        } else {
            all.push(part.parse().map_err(|_| format!("{part:?}: not an IP address"))?);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes() {
        let m = mix("/health=50,/io=30,/cpu?a=b").expect("ok").0;
        assert_eq!(
            m.iter().map(|e| (e.path.as_str(), e.weight)).collect::<Vec<_>>(),
            [("/health", 50), ("/io", 30), ("/cpu?a=b", 1)]
        );
        for bad in ["", "health=1", "/a=0", "/a=x", "/a=1,/a=2", "/a b=1", "/a=99999999999"] {
            assert!(mix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn think_times() {
        let t = think("100ms..500ms").expect("ok");
        assert_eq!(
            (t.min, t.max, t.mean()),
            (Duration::from_millis(100), Duration::from_millis(500), Duration::from_millis(300))
        );
        assert!(think("5s..1s").is_err() && think("x").is_err());
    }

    #[test]
    fn a_bare_number_after_t_is_wrks() {
        assert!(run_time("4").expect_err("no unit").contains("--threads"));
        assert_eq!(run_time("3m"), Ok(Duration::from_secs(180)));
    }

    #[test]
    fn source_lists_and_blocks() {
        assert_eq!(sources("127.0.0.1,127.0.0.2").expect("ok").len(), 2);
        let block = sources("127.0.0.0/29").expect("ok");
        assert_eq!((block.len(), block[0].to_string(), block[5].to_string()), (6, "127.0.0.1".into(), "127.0.0.6".into()));
        assert!(sources("127.0.0.1/99").is_err() && sources("x").is_err());
    }
}
