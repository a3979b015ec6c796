//! What error texts look like: words of the C libraries, names and numbers of errors, what shows the call, what shows
//! the tool. Data only; all in lower case.

use crate::model::explanation::{FailedCall, Os};

/// What the system said, whatever the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Condition {
    /// EADDRINUSE
    InUse,
    /// EADDRNOTAVAIL
    NotAvailable,
    /// WSAENOBUFS, ENOBUFS
    NoBuffers,
    /// EMFILE, ENFILE
    TooManyFiles,
    /// ECONNREFUSED
    Refused,
    /// ECONNRESET, EPIPE, ECONNABORTED
    Reset,
    /// ETIMEDOUT
    TimedOut,
    /// ENETUNREACH, EHOSTUNREACH
    Unreachable,
    /// a kernel says outright that its ports are used up
    PortsUsedUp,
    /// SYN flooding, listen queue overflow
    BacklogFull,
    /// nf_conntrack: table full
    ConntrackFull,
    /// a tool says that a connection failed, not why
    NoReason,
}

/// Symbolic name, numbers on Linux, Windows and macOS; zero where there is none.
pub(super) struct Code {
    pub(super) name: &'static str,
    pub(super) condition: Condition,
    pub(super) linux: i32,
    pub(super) windows: i32,
    pub(super) macos: i32,
}

const fn code(name: &'static str, condition: Condition, linux: i32, windows: i32, macos: i32) -> Code {
    Code { name, condition, linux, windows, macos }
}

/// Names and numbers (asm-generic/errno.h, winsock2.h, sys/errno.h).
pub(super) const CODES: &[Code] = &[
    code("EADDRINUSE", Condition::InUse, 98, 10048, 48),
    code("EADDRNOTAVAIL", Condition::NotAvailable, 99, 10049, 49),
    code("ENOBUFS", Condition::NoBuffers, 105, 10055, 55),
    code("EMFILE", Condition::TooManyFiles, 24, 10024, 24),
    code("ENFILE", Condition::TooManyFiles, 23, 0, 23),
    code("ECONNREFUSED", Condition::Refused, 111, 10061, 61),
    code("ECONNRESET", Condition::Reset, 104, 10054, 54),
    code("ECONNABORTED", Condition::Reset, 103, 10053, 53),
    code("EPIPE", Condition::Reset, 32, 0, 32),
    code("ETIMEDOUT", Condition::TimedOut, 110, 10060, 60),
    code("ENETUNREACH", Condition::Unreachable, 101, 10051, 51),
    code("EHOSTUNREACH", Condition::Unreachable, 113, 10065, 65),
];

/// What strerror(3), FormatMessage and log lines say; the system where only one says it so.
pub(super) const PHRASES: &[(&str, Condition, Option<Os>)] = &[
    ("only one usage of each socket address", Condition::InUse, Some(Os::Windows)),
    ("normally only one use of each socket address", Condition::InUse, Some(Os::Windows)),
    ("the requested address is not valid in its context", Condition::NotAvailable, Some(Os::Windows)),
    ("lacked sufficient buffer space or because a queue was full", Condition::NoBuffers, Some(Os::Windows)),
    ("no connection could be made because the target machine actively refused it", Condition::Refused, Some(Os::Windows)),
    ("an existing connection was forcibly closed by the remote host", Condition::Reset, Some(Os::Windows)),
    ("a connection attempt failed because the connected party did not properly respond", Condition::TimedOut, Some(Os::Windows)),
    ("a socket operation was attempted to an unreachable network", Condition::Unreachable, Some(Os::Windows)),
    (
        "selected local endpoint was recently used to connect to the same remote endpoint",
        Condition::PortsUsedUp,
        Some(Os::Windows),
    ),
    ("allocate an ephemeral port number from the global tcp port space has failed", Condition::PortsUsedUp, Some(Os::Windows)),
    ("too many open sockets", Condition::TooManyFiles, Some(Os::Windows)),
    ("can't assign requested address", Condition::NotAvailable, Some(Os::Macos)),
    ("cannot assign requested address", Condition::NotAvailable, None),
    ("address not available", Condition::NotAvailable, None),
    ("address already in use", Condition::InUse, None),
    ("address in use", Condition::InUse, None),
    ("no free ports", Condition::PortsUsedUp, None),
    ("no buffer space available", Condition::NoBuffers, None),
    ("too many open files", Condition::TooManyFiles, None),
    ("connection refused", Condition::Refused, None),
    ("connection reset by peer", Condition::Reset, None),
    ("connection reset by server", Condition::Reset, None),
    ("socket hang up", Condition::Reset, None),
    ("broken pipe", Condition::Reset, None),
    ("connection timed out", Condition::TimedOut, None),
    ("connect timed out", Condition::TimedOut, None),
    ("i/o timeout", Condition::TimedOut, None),
    ("network is unreachable", Condition::Unreachable, None),
    ("no route to host", Condition::Unreachable, None),
    ("possible syn flooding on port", Condition::BacklogFull, Some(Os::Linux)),
    ("table full, dropping packet", Condition::ConntrackFull, Some(Os::Linux)),
    ("client could not connect to host", Condition::NoReason, None),
    ("couldn't connect to server", Condition::NoReason, None),
    ("socket errors: connect ", Condition::NoReason, None),
];

/// What shows the call, the first that occurs in this order: a bind inside a dial is a bind.
pub(super) const CALLS: &[(&str, FailedCall)] = &[
    ("accept4", FailedCall::Accept),
    ("accept(", FailedCall::Accept),
    ("accept:", FailedCall::Accept),
    ("accept tcp", FailedCall::Accept),
    (": bind: ", FailedCall::Bind),
    ("bind:", FailedCall::Bind),
    ("bind()", FailedCall::Bind),
    ("bind failed", FailedCall::Bind),
    ("bind on address", FailedCall::Bind),
    ("bind exception", FailedCall::Bind),
    ("in use: bind", FailedCall::Bind),
    ("address: bind", FailedCall::Bind),
    ("jvm_bind", FailedCall::Bind),
    ("could not bind", FailedCall::Bind),
    ("couldn't bind", FailedCall::Bind),
    ("cannot bind", FailedCall::Bind),
    ("failed to bind", FailedCall::Bind),
    ("unable to bind", FailedCall::Bind),
    ("bind eaddr", FailedCall::Bind),
    ("listen eaddr", FailedCall::Bind),
    ("listen tcp", FailedCall::Bind),
    ("listen udp", FailedCall::Bind),
    ("failed to listen", FailedCall::Bind),
    ("socket: too many", FailedCall::Socket),
    ("socket() failed", FailedCall::Socket),
    ("apr_socket_create", FailedCall::Socket),
    ("apr_socket_connect", FailedCall::Connect),
    ("apr_socket_recv", FailedCall::Read),
    ("connect() ", FailedCall::Connect),
    ("connect()", FailedCall::Connect),
    ("connectex", FailedCall::Connect),
    ("connect:", FailedCall::Connect),
    ("in use: connect", FailedCall::Connect),
    ("address: connect", FailedCall::Connect),
    ("connect eaddr", FailedCall::Connect),
    ("connect econn", FailedCall::Connect),
    ("connect emfile", FailedCall::Connect),
    ("connect etimedout", FailedCall::Connect),
    ("connect error", FailedCall::Connect),
    ("connect fail", FailedCall::Connect),
    ("connecterror", FailedCall::Connect),
    ("kind: connect", FailedCall::Connect),
    ("hyper::error(connect", FailedCall::Connect),
    ("to connect", FailedCall::Connect),
    ("not connect", FailedCall::Connect),
    ("can't connect", FailedCall::Connect),
    ("error connecting", FailedCall::Connect),
    ("connectexception", FailedCall::Connect),
    ("noroutetohostexception", FailedCall::Connect),
    ("connection attempt", FailedCall::Connect),
    ("establish a new connection", FailedCall::Connect),
    ("outgoing connection", FailedCall::Connect),
    ("while connecting", FailedCall::Connect),
    ("connecting to", FailedCall::Connect),
    ("errors: connect ", FailedCall::Connect),
    ("\"syscall\":\"connect\"", FailedCall::Connect),
    ("syscall: 'connect'", FailedCall::Connect),
    ("urlopen error", FailedCall::Connect),
    ("clientconnectorerror", FailedCall::Connect),
    ("sqlstate[hy000] [2002]", FailedCall::Connect),
    ("httprequestexception", FailedCall::Connect),
    (": read: ", FailedCall::Read),
    ("read econn", FailedCall::Read),
    ("recv", FailedCall::Read),
    ("readerror", FailedCall::Read),
    ("failed to respond", FailedCall::Read),
    (": write: ", FailedCall::Write),
    ("write epipe", FailedCall::Write),
    ("send()", FailedCall::Write),
    ("dial tcp", FailedCall::Connect),
];

/// What shows the tool, and whether it only ever makes connections (then an address error without a call is its
/// connect). The first that occurs counts.
pub(super) const TOOLS: &[(&str, &str, bool)] = &[
    ("oserror(", "Locust", true),
    ("connectionrefusederror(", "Locust", true),
    ("connectionreseterror(", "Locust", true),
    ("connectionabortederror(", "Locust", true),
    ("newconnectionerror", "Python requests", true),
    ("clientconnectorerror", "aiohttp", true),
    ("httpcore.connecterror", "Python httpx", true),
    ("urlopen error", "Python urllib", true),
    ("winerror", "Python", false),
    ("[errno ", "Python", false),
    ("request failed", "k6", true),
    ("0.0.0.0:0->", "vegeta", true),
    ("connectex", "Go", true),
    ("dial tcp", "Go", true),
    ("listen tcp", "Go", false),
    ("accept tcp", "Go", false),
    ("non http response", "JMeter", true),
    ("i.n.c.", "Gatling", true),
    ("java.net.", "Java", false),
    ("system.net.", "NET", false),
    ("socketexception (", "NET", false),
    ("os error ", "Rust", false),
    ("hyper::error", "Rust hyper", true),
    ("kind: hyper", "Rust reqwest", true),
    ("socket errors: connect", "wrk", true),
    ("unable to connect to ", "wrk", true),
    ("apr_socket", "ab", true),
    ("client could not connect to host", "h2load", true),
    ("sock.c:", "siege", true),
    ("curl: (", "curl", true),
    ("immediate connect fail", "curl", true),
    ("while connecting to upstream", "nginx", true),
    ("failed (98:", "nginx", false),
    ("for backend", "HAProxy", true),
    ("sqlstate[", "PHP PDO", true),
    ("mysql server", "MySQL", true),
    ("could not connect to redis", "redis-cli", true),
    ("io::socket::inet", "Perl", true),
    ("error: connect e", "Node.js", true),
    ("error: listen e", "Node.js", false),
    ("error: read e", "Node.js", true),
    ("tcp/ip failed to establish", "Windows event 4227", true),
    ("request to allocate an ephemeral port", "Windows event 4231", true),
    ("nf_conntrack", "Linux kernel", false),
    ("possible syn flooding", "Linux kernel", false),
];
