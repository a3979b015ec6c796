//! The port budget now, of this network namespace: schema `sockbench-ports/1`.

use super::document::{self, Unavailable};
use super::port_count::StateCounts;

/// The schema of [`PortsReport`].
pub const PORTS_SCHEMA: &str = "sockbench-ports/1";

/// One look at the local ports.
#[apply(record)]
pub struct PortsReport {
    /// [`PORTS_SCHEMA`]
    pub schema: String,
    /// kernel release
    pub kernel: String,
    /// net.ipv4.ip_local_port_range; null when unreadable
    pub range: Option<[u16; 2]>,
    /// reserved ports inside it
    pub reserved: Option<u32>,
    /// ports inside it on which something listens
    pub listeners: Option<u32>,
    /// ports inside it that are bound without connecting or listening; null before Linux 6.8
    pub bound_only: Option<u32>,
    /// what is left for a kernel that picks: from one source address to one destination
    pub pool: Option<u32>,
    /// destinations with ports in use, most first; with `--to` the asked one, even without
    pub destinations: Vec<DestinationPorts>,
    /// destinations with ports in use beyond the longest list
    pub more_destinations: u32,
    /// ports in use towards them
    pub more_used: u32,
    /// sockets in TIME_WAIT at a server's end of connections to this host's listeners that no row above counts: no source
    /// port is in use by them
    #[serde(default)]
    pub time_wait_at_servers: u32,
    /// every null in this document has its row here
    pub unavailable: Vec<Unavailable>,
}

/// Ports from one source address to one destination.
#[apply(record)]
pub struct DestinationPorts {
    /// local address
    pub source: String,
    /// peer address and port
    pub destination: String,
    /// ports with a socket inside the range, all states together
    pub used: u32,
    /// of these, the ones that connect() cannot take: all but TIME_WAIT older than T
    #[serde(default)]
    pub held: u32,
    /// of these, the ones without a known end: open connections, and those that this side has closed, a process still has and
    /// the other side has not closed
    #[serde(default)]
    pub open: u32,
    /// ports in use that lie outside the range: bound explicitly
    pub used_outside: u32,
    /// `held` / pool
    pub share: Option<f64>,
    /// by what, inside the range; `bound_only` has no destination and is reported once for the namespace
    pub states: StateCounts,
    /// connections in TIME_WAIT at the destination's end: the server closed first; null where that is on another host
    pub time_wait_target_side: Option<u32>,
    /// T for a connection whose port the kernel picks and whose client closes first, seconds
    pub hold_s: Option<f64>,
    /// the rule that gives it
    pub hold_why: String,
    /// P/T, connections per second; null when unknown
    pub ceiling_cps: Option<f64>,
    /// (P/2)/T, from which on the port search is slow
    pub search_cps: Option<f64>,
    /// seconds until the first port in use with a known end is free again, 0 when those in TIME_WAIT can all be taken now; null
    /// when none has a known end
    pub first_free_in_s: Option<f64>,
    /// seconds until the last one is
    pub last_free_in_s: Option<f64>,
}

impl PortsReport {
    /// Adds a row to `unavailable`; the first reason for a key stays.
    pub fn explain_null(&mut self, key: &str, reason: impl Into<String>) {
        document::explain(&mut self.unavailable, key, reason);
    }

    /// Keys that are null and have no row in `unavailable`; empty for a sound document.
    pub fn unexplained_nulls(&self) -> Vec<String> {
        document::unexplained(self, &self.unavailable)
    }
}
