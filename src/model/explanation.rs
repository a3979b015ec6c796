//! What `explain` makes of an error text, of another tool's files, or of a stored run: schema `sockbench-explain/1`.
//! Absent keys mean that there is nothing to say; there are no nulls.

use super::address::Address;
use super::document::is_default;
use super::finding::{Finding, Remedy};
use super::forecast::Forecast;

/// The schema of [`Explanation`].
pub const EXPLAIN_SCHEMA: &str = "sockbench-explain/1";

/// The call that failed.
#[apply(kebab_case)]
pub enum FailedCall {
    /// socket(2)
    Socket,
    /// bind(2) to an explicit port or address
    Bind,
    /// connect(2)
    Connect,
    /// accept(2)
    Accept,
    /// read(2)/recv(2)
    Read,
    /// write(2)/send(2)
    Write,
    /// getaddrinfo(3), before any socket
    Getaddrinfo,
    /// the text names none
    Unnamed,
}

/// The limit that was hit.
#[apply(kebab_case)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub enum Limit {
    /// source ports to one destination are used up
    LocalPorts,
    /// one particular port is in use by another socket
    PortBusy,
    /// the address is not one of this machine's, or has no way to the destination
    NotLocal,
    /// descriptors of a process or of the machine
    Descriptors,
    /// the queue of connections waiting for accept()
    Backlog,
    /// connection tracking of a firewall or NAT
    Conntrack,
    /// this machine forbids the program the call: privileges, a firewall, an excluded range of ports
    Policy,
    /// nothing listens at the target
    Refused,
    /// the target ended the connection
    Reset,
    /// no answer in time
    TimedOut,
    /// no route
    Unreachable,
    /// the host name gave no address
    NameResolution,
    /// the tool hides why
    Hidden,
}

/// How sure the reading is.
#[apply(kebab_case)]
pub enum Certainty {
    /// call and code are named: there is one reading
    Certain,
    /// one reading fits the context better; the other is given too
    Likely,
    /// several readings fit: the explanation says how to distinguish them
    Ambiguous,
}

/// The system that the text comes from.
#[apply(lowercase)]
#[derive(strum::EnumString)]
pub enum Os {
    /// errno numbers below 200, 28232 ports and T = 60 s by default
    Linux,
    /// Winsock numbers from 10000, 16384 ports and T = 120 s by default
    Windows,
    /// BSD errno numbers, 16384 ports and T = 30 s by default
    Macos,
}

words!(FailedCall, Limit, Exactly, Certainty, Os);

/// What a limit is more exactly, where the text shows it.
#[apply(kebab_case)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub enum Exactly {
    /// the client program's own limit of connections: none was tried
    ProgramLimit,
    /// the server program's own limit of connections
    ServerLimit,
    /// a table or a limit of the kernel: tcp_mem, orphans, neighbours
    KernelTable,
    /// the kernel's table of connections in TIME_WAIT
    TimeWaitTable,
    /// the kernel's memory for sockets
    KernelMemory,
    /// Winsock's catalogue, or the environment of the process
    Winsock,
    /// the program itself closed the socket
    ClosedHere,
    /// connection attempts that the kernel dropped at a listener, not all of them for a full queue
    ListenDrops,
    /// the server's limit for what one client may ask
    RateLimit,
    /// a proxy has marked all servers behind it as failed
    AllDown,
    /// threads or processes of a user, a container or the machine
    Threads,
    /// memory: the process was killed, or ended by itself
    Memory,
    /// the load tool's own CPU
    ToolCpu,
    /// the users that the load tool may start
    ToolUsers,
    /// a worker of the server that took longer than the server allows, and was ended
    WorkerKilled,
    /// a PING, of HTTP/2 or of a connection kept alive, that was not answered
    PingLost,
    /// a kept connection that the target ended between two requests
    IdleClosed,
    /// a host name that does not exist, or has no address
    UnknownName,
    /// a name server that gave no answer
    NameServer,
}

/// A table or a limit of the kernel, where a line names it.
#[apply(kebab_case)]
pub enum KernelTable {
    /// `net.ipv4.tcp_mem`
    TcpMem,
    /// `net.ipv4.tcp_max_orphans`
    Orphans,
    /// `net.ipv4.neigh.default.gc_thresh3`
    Neighbours,
    /// `net.ipv6.neigh.default.gc_thresh3`
    Neighbours6,
    /// `net.ipv6.route.max_size`
    Routes,
}

/// Whose socket failed.
#[apply(lowercase)]
pub enum Side {
    /// an outgoing connection
    Client,
    /// a listener
    Server,
}

/// Another reading of the same text.
#[apply(record)]
pub struct Alternative {
    /// if this call failed
    pub call: FailedCall,
    /// then this limit was hit
    pub limit: Limit,
    /// how to see that it is this one
    pub tell: String,
}

/// One reading of one kind of line.
#[apply(sparse)]
pub struct Reading {
    /// the line, as given
    pub text: String,
    /// lines like it, or occurrences by the file's own count
    pub count: u64,
    /// the tool or language, where the text shows it
    pub tool: Option<String>,
    /// the system, where the text shows it
    pub os: Option<Os>,
    /// symbolic name of the error, where there is one
    pub name: Option<String>,
    /// its number on that system
    pub code: Option<i32>,
    /// the call that failed
    pub call: FailedCall,
    /// the limit that was hit
    pub limit: Limit,
    /// additive: what the limit is more exactly
    pub exactly: Option<Exactly>,
    /// additive: which table of the kernel, where the line names it
    pub table: Option<KernelTable>,
    /// additive: the address that it is about, the target's or a listener's (`10.0.0.1:8080`, `:3000`); of a failed look-up
    /// the name
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub address: Option<Address>,
    /// whose socket, where the text shows it
    pub side: Option<Side>,
    /// how sure that is
    pub certainty: Certainty,
    /// what happened, in sentences
    pub says: String,
    /// what it is not
    pub is_not: String,
    /// other readings, and how to distinguish them; empty when certain
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub alternatives: Vec<Alternative>,
}

/// What was measured in another tool's history of a run.
#[apply(sparse)]
pub struct Measured {
    /// seconds from the first request to the first failure that ports may be the limit of
    pub onset_s: f64,
    /// seconds from there until failures stopped; absent when they did not stop
    pub dead_s: Option<f64>,
    /// calls that got a port before the first that did not
    pub successes_before: u64,
    /// such calls per second before the first failure
    pub rate_before_cps: f64,
    /// failures for lack of a port per second while failing
    pub fail_rate_cps: f64,
    /// successes per second afterwards; absent when nothing came after
    pub recovered_rate_cps: Option<f64>,
    /// failures in all
    pub failures: u64,
    /// of these, those of a kind that ports may be the limit of
    pub port_failures: u64,
    /// successes in all
    pub successes: u64,
    /// length of the history
    pub duration_s: f64,
}

/// The P/T law against what is known.
#[apply(sparse)]
pub struct Arithmetic {
    /// P
    pub pool: u32,
    /// T
    pub hold_s: f64,
    /// P/T
    pub ceiling_cps: f64,
    /// what was taken for granted, in words
    pub assumed: Vec<String>,
    /// additive: where P and T come from, in short: `pool and hold time by default of Windows`; absent where both are given
    pub basis: Option<String>,
    /// what the law says of the rate; absent when no rate is known
    pub forecast: Option<Forecast>,
    /// what the history shows; absent without one
    pub measured: Option<Measured>,
    /// P solved backwards: ports in use when the first call failed
    pub solved_pool: Option<u64>,
    /// where P or T do not fit what was measured, and what to give
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub doubts: Vec<String>,
    /// T solved backwards from what was measured
    pub solved_hold_s: Option<f64>,
    /// other values of T, and why they do not fit
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rejected: Vec<String>,
}

/// The whole answer.
#[apply(sparse)]
pub struct Explanation {
    /// [`EXPLAIN_SCHEMA`]
    pub schema: String,
    /// `text`, `locust`, `run` or `study`
    pub source: String,
    /// what each kind of line says, the most frequent first
    pub readings: Vec<Reading>,
    /// lines that say nothing about connections
    pub other_lines: u64,
    /// additive: lines of which only the first 64 KiB were read; absent when there is none
    #[serde(skip_serializing_if = "is_default", default)]
    pub cut_lines: u64,
    /// additive: answers with another status than 2xx or 3xx, where the text counts them; absent when there is none
    #[serde(skip_serializing_if = "is_default", default)]
    pub bad_answers: u64,
    /// additive: their status, where all have the same one that the text names; absent otherwise
    pub bad_status: Option<u16>,
    /// additive: of a text in which no connection failed, what it shows instead (answers and their statuses, a list of sockets far
    /// from any limit), in a sentence; absent where there are readings
    pub answer: Option<String>,
    /// the law, where ports are the limit
    pub arithmetic: Option<Arithmetic>,
    /// what to do, best first
    pub remedies: Vec<Remedy>,
    /// of a stored run: its findings, diagnosed again from its facts
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<Finding>,
}
