//! The arguments about connections, shared by `load` and `study`: what may be typed, no more.

use std::net::IpAddr;

use clap::builder::PossibleValue;

use super::one_of;
use crate::model::figures::count;
use crate::model::limits;
use crate::model::plan::{Closer, Pinning, PortMode, PortRange};
use crate::model::server_flags as flag;
use crate::model::units::{self, Span, span};

/// How connections are made and ended, and by how many threads.
#[derive(Debug, clap::Args, Clone)]
pub(crate) struct ConnectionArgs {
    /// A new connection for every request
    #[arg(long, help_heading = "Connections")]
    pub(crate) no_keepalive: bool,
    /// Who closes first
    ///
    /// Which side closes a connection first when it is not kept alive: client, server, or reset (the client, by RST).
    /// That side gets the TIME_WAIT; a reset leaves none.
    #[arg(long, value_parser = one_of::<Closer>(["client", "server", "reset"]), default_value = "client", value_name = "client|server|reset", hide_possible_values = true, help_heading = "Connections")]
    pub(crate) closer: Closer,
    /// Who chooses the source port [default: auto; ring with --port-range, no-port with --source]
    #[arg(long, value_parser = one_of::<PortMode>(PORT_MODES.map(|(word, help)| PossibleValue::new(word).help(help))), value_name = "MODE", hide_short_help = true, help_heading = "Connections")]
    pub(crate) port_mode: Option<PortMode>,
    #[arg(help = format!("Source ports for --port-mode ring or range [default: for ring those of {}-{} outside ip_local_port_range, for range all of it]",
          limits::RING_RANGE.0, limits::RING_RANGE.1))]
    #[arg(long, value_name = "A-B", value_parser = range, hide_short_help = true, help_heading = "Connections")]
    pub(crate) port_range: Option<PortRange>,
    /// SO_REUSEADDR on every socket, from the first on; no other flag implies it
    #[arg(long, hide_short_help = true, help_heading = "Connections")]
    pub(crate) reuse_addr: bool,
    /// Addresses of this host used in turn as source: IP[,IP...] or CIDR [default: the kernel's choice]
    #[arg(long, hide_short_help = true, value_name = "IP[,IP]|CIDR", help_heading = "Connections")]
    pub(crate) source: Option<String>,
    /// Longest time for one request
    ///
    /// From its start to the last byte of the answer. Requests still waiting when the run ends are reported apart.
    #[arg(long, value_name = "DURATION", default_value_t = Span(limits::REQUEST_TIMEOUT), value_parser = span, help_heading = "Connections")]
    pub(crate) timeout: Span,
    #[arg(help = format!("Longest head of an answer, with trailers and chunk extensions, at most {}", count(limits::RESPONSE_HEAD_BYTES_MAX as u64)))]
    #[arg(long, value_name = "BYTES", default_value_t = limits::RESPONSE_HEAD_BYTES, value_parser = head_bytes, hide_short_help = true, help_heading = "Limits")]
    pub(crate) head_bytes: usize,
    #[arg(help = format!("Most header fields of an answer, at most {}", count(limits::RESPONSE_HEAD_FIELDS_MAX as u64)))]
    #[arg(long, value_name = "N", default_value_t = limits::RESPONSE_HEAD_FIELDS, value_parser = head_fields, hide_short_help = true, help_heading = "Limits")]
    pub(crate) head_fields: usize,
    /// Longest body of an answer
    #[arg(long, value_name = "BYTES", default_value_t = limits::RESPONSE_BODY_BYTES, value_parser = units::count, hide_short_help = true, help_heading = "Limits")]
    pub(crate) body_bytes: u64,
    /// Allow a target that is not this host
    #[arg(long, help_heading = "Target")]
    pub(crate) allow_remote: bool,
    /// Do not watch ports, processes and the host during the run; they are reported as unavailable
    #[arg(long, hide_short_help = true, help_heading = "Connections")]
    pub(crate) no_observe: bool,
    /// Threads of the client
    #[arg(long_help = format!("Threads of the client, at most {} and one per user", limits::THREADS_MAX))]
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::THREADS_MAX)), help_heading = "Load")]
    pub(crate) threads: u32,
    /// Give each thread a core: auto, off
    ///
    /// With auto, thread i runs on core i. A server on this host with --pin auto and as many event loops then has its end of
    /// each connection on the same core.
    #[arg(long, hide_short_help = true, value_name = "auto|off", default_value = "off", value_parser = flag::pin, help_heading = "Load")]
    pub(crate) pin: Pinning,
    /// Poll for events all the time instead of sleeping
    ///
    /// Each thread uses a whole core; a target on this host needs another (so not with --pin auto on both sides). Answers are
    /// seen sooner, which matters with few connections.
    #[arg(long, hide_short_help = true, help_heading = "Load")]
    pub(crate) busy_poll: bool,
    /// Seed of every random choice
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = 1, help_heading = "Load")]
    pub(crate) seed: u64,
}

/// The values of `--port-mode`.
const PORT_MODES: [(&str, &str); 5] = [
    ("auto", "the kernel chooses in connect()"),
    ("bind", "bind(ip, 0): the kernel chooses in bind()"),
    ("no-port", "bind(ip, 0) with IP_BIND_ADDRESS_NO_PORT: the kernel chooses in connect()"),
    ("ring", "bind(ip, port): sockbench takes the ports of a range in turn"),
    ("range", "IP_LOCAL_PORT_RANGE on the socket: the kernel chooses within a range"),
];

/// `A-B`.
pub(crate) fn range(text: &str) -> Result<PortRange, String> {
    let (a, b) = text.split_once('-').ok_or_else(|| format!("{text}: not A-B"))?;
    if a.is_empty() || b.is_empty() {
        return Err(format!("{text}: a range without one of its ends"));
    }
    let port =
        |t: &str| t.trim().parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(|| format!("{t:?}: not a port between 1 and 65535"));
    let (lo, hi) = (port(a)?, port(b)?);
    if lo > hi {
        return Err(format!("{text}: the first port is above the last"));
    }
    Ok(PortRange { lo, hi })
}

/// Source addresses of `--source`: a list, or every host address of a CIDR block; at most [`limits::SOURCES`].
pub(crate) fn sources(text: &str) -> Result<Vec<IpAddr>, String> {
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim) {
        if let Some((base, bits)) = part.split_once('/') {
            let base: std::net::Ipv4Addr = base.parse().map_err(|_| format!("{part}: not an IPv4 CIDR block"))?;
            let bits: u32 = bits
                .parse()
                .ok()
                .filter(|b| (16..=32).contains(b))
                .ok_or_else(|| format!("{part}: prefix not between 16 and 32"))?;
            let size = 1u64 << (32 - bits);
            let first = u64::from(u32::from(base)) & !(size - 1);
            // Network and broadcast address are left out where the block has others.
            let (from, to) = if size > 2 { (1, size - 1) } else { (0, size) };
            all.extend((from..to).map(|i| IpAddr::from(std::net::Ipv4Addr::from((first + i) as u32))));
        } else {
            all.push(part.parse().map_err(|_| format!("{part:?}: not an IP address"))?);
        }
    }
    if all.len() as u64 > limits::SOURCES {
        return Err(format!("more than {} addresses", limits::SOURCES));
    }
    Ok(all)
}

fn head_bytes(text: &str) -> Result<usize, String> {
    within(text, 256, limits::RESPONSE_HEAD_BYTES_MAX)
}

fn head_fields(text: &str) -> Result<usize, String> {
    within(text, 1, limits::RESPONSE_HEAD_FIELDS_MAX)
}

fn within(text: &str, lowest: usize, highest: usize) -> Result<usize, String> {
    let count = usize::try_from(units::count(text)?).unwrap_or(usize::MAX);
    if (lowest..=highest).contains(&count) { Ok(count) } else { Err(format!("not between {lowest} and {highest}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_lists_and_blocks() {
        assert_eq!(sources("127.0.0.1,127.0.0.2").expect("ok").len(), 2);
        let block = sources("127.0.0.0/29").expect("ok");
        assert_eq!((block.len(), block[0].to_string(), block[5].to_string()), (6, "127.0.0.1".into(), "127.0.0.6".into()));
        assert!(sources("127.0.0.1/99").is_err() && sources("x").is_err());
        assert_eq!(sources("127.1.0.0/16").expect("ok").len(), 65_534);
        assert!(sources("127.0.0.0/8").is_err(), "not cut short in silence");
    }
}
