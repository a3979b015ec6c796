//! What strerror(3), FormatMessage, runtimes and log lines say, in English. Data only; all in lower case.
//!
//! A pattern matches whole words, but where `*` is at its start or end: there it may be part of a longer word.

use super::codes::{Condition, Lookup};
use crate::model::explanation::{Exactly, FailedCall, Os};

/// Words of a message and what they mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    pub(super) pattern: &'static str,
    pub(super) means: Means,
    /// the call that these words belong to, where they belong to one only
    pub(super) call: Option<FailedCall>,
    /// the system, where only one says it so
    pub(super) os: Option<Os>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Means {
    /// the system's own words, or its name, for an errno
    Errno(&'static str),
    /// the words of a program or of a log: no errno behind them
    Only(Condition),
}

pub(super) const NO_NAME: Condition = Condition::NoName(Lookup::Unsaid);
pub(super) const NO_SUCH_NAME: Condition = Condition::NoName(Lookup::Unknown);
pub(super) const NO_NAME_SERVER: Condition = Condition::NoName(Lookup::NoAnswer);

impl Message {
    pub(super) const fn at(self, call: FailedCall) -> Self {
        Self { call: Some(call), ..self }
    }

    pub(super) const fn on(self, os: Os) -> Self {
        Self { os: Some(os), ..self }
    }
}

pub(super) const fn system(pattern: &'static str, errno: &'static str) -> Message {
    Message { pattern, means: Means::Errno(errno), call: None, os: None }
}

pub(super) const fn program(pattern: &'static str, condition: Condition) -> Message {
    Message { pattern, means: Means::Only(condition), call: None, os: None }
}

pub(super) const fn exact(pattern: &'static str, exactly: Exactly) -> Message {
    program(pattern, Condition::Exact(exactly))
}

/// strerror(3) of glibc, musl, BSD and Darwin; names that languages give to an errno.
pub(super) const SYSTEM: &[Message] = &[
    system("address already in use", "EADDRINUSE"),
    system("address in use", "EADDRINUSE"),
    system("addrinuse", "EADDRINUSE"),
    system("addressalreadyinuse", "EADDRINUSE"),
    system("err_address_in_use", "EADDRINUSE"),
    system("cannot assign requested address", "EADDRNOTAVAIL"),
    system("can't assign requested address", "EADDRNOTAVAIL").on(Os::Macos),
    system("address not available", "EADDRNOTAVAIL"),
    system("addrnotavailable", "EADDRNOTAVAIL"),
    system("addressnotavailable", "EADDRNOTAVAIL"),
    system("err_address_invalid", "EADDRNOTAVAIL"),
    system("address family not supported", "EAFNOSUPPORT"),
    system("addressfamilynotsupported", "EAFNOSUPPORT"),
    system("no buffer space available (maximum connections reached?)", "ENOBUFS").on(Os::Windows),
    system("no buffer space available", "ENOBUFS"),
    system("nobufferspaceavailable", "ENOBUFS").on(Os::Windows),
    system("err_no_buffer_space", "ENOBUFS"),
    system("cannot allocate memory", "ENOMEM"),
    system("too many open files in system", "ENFILE"),
    system("too many open files", "EMFILE"),
    system("no file descriptors available", "EMFILE"),
    system("too many open sockets", "EMFILE").on(Os::Windows),
    system("toomanyopensockets", "EMFILE").on(Os::Windows),
    system("file descriptor limit reached", "EMFILE"),
    system("resource temporarily unavailable", "EAGAIN"),
    system("operation already in progress", "EALREADY"),
    system("permission denied", "EACCES"),
    system("operation not permitted", "EPERM"),
    system("connection refused", "ECONNREFUSED"),
    system("connectionrefused", "ECONNREFUSED"),
    system("connectionrefusederror", "ECONNREFUSED"),
    system("err_connection_refused", "ECONNREFUSED"),
    system("ns_error_connection_refused", "ECONNREFUSED"),
    system("connection reset by peer", "ECONNRESET"),
    system("connection reset by server", "ECONNRESET"),
    system("connection reset", "ECONNRESET"),
    // libcurl has words of its own for Winsock.
    system("connection was reset", "ECONNRESET").on(Os::Windows),
    system("connection was aborted", "ECONNABORTED").on(Os::Windows),
    system("connectionreset", "ECONNRESET"),
    system("connectionreseterror", "ECONNRESET"),
    system("err_connection_reset", "ECONNRESET"),
    system("ns_error_net_reset", "ECONNRESET"),
    system("socket hang up", "ECONNRESET"),
    system("software caused connection abort", "ECONNABORTED"),
    system("connectionaborted", "ECONNABORTED"),
    system("connectionabortederror", "ECONNABORTED"),
    system("network dropped connection on reset", "ENETRESET"),
    system("broken pipe", "EPIPE"),
    system("brokenpipe", "EPIPE"),
    system("brokenpipeerror", "EPIPE"),
    system("transport endpoint is not connected", "ENOTCONN"),
    system("socket is not connected", "ENOTCONN"),
    system("socket not connected", "ENOTCONN"),
    system("cannot send after transport endpoint shutdown", "ESHUTDOWN"),
    system("connection timed out", "ETIMEDOUT"),
    system("err_connection_timed_out", "ETIMEDOUT").at(FailedCall::Connect),
    system("network is unreachable", "ENETUNREACH"),
    system("network unreachable", "ENETUNREACH"),
    system("networkunreachable", "ENETUNREACH"),
    system("network is down", "ENETDOWN"),
    system("no route to host", "EHOSTUNREACH"),
    system("host is unreachable", "EHOSTUNREACH"),
    system("hostunreachable", "EHOSTUNREACH"),
    system("err_address_unreachable", "EHOSTUNREACH"),
    system("host is down", "EHOSTDOWN"),
    // Darwin's strerror(60) behind a call; other programs say the same of a clock of their own.
    system("*exception: operation timed out", "ETIMEDOUT").on(Os::Macos),
    system("connect: operation timed out", "ETIMEDOUT").on(Os::Macos),
    system("read: operation timed out", "ETIMEDOUT").on(Os::Macos),
];

/// FormatMessage of an English Windows, and its event log.
pub(super) const WINDOWS: &[Message] = &[
    system("only one usage of each socket address", "EADDRINUSE").on(Os::Windows),
    system("normally only one use of each socket address", "EADDRINUSE").on(Os::Windows),
    // In whatever words it was translated back.
    system("(protocol/network address/port)", "EADDRINUSE").on(Os::Windows),
    system("the requested address is not valid in its context", "EADDRNOTAVAIL").on(Os::Windows),
    system("an address incompatible with the requested protocol was used", "EAFNOSUPPORT").on(Os::Windows),
    system("lacked sufficient buffer space or because a queue was full", "ENOBUFS").on(Os::Windows),
    system("in a way forbidden by its access permissions", "EACCES").on(Os::Windows),
    system("the target machine actively refused it", "ECONNREFUSED").on(Os::Windows),
    system("the remote computer refused the network connection", "ECONNREFUSED").on(Os::Windows),
    system("an existing connection was forcibly closed by the remote host", "ECONNRESET").on(Os::Windows),
    system("the specified network name is no longer available", "ECONNRESET").on(Os::Windows).at(FailedCall::Read),
    system("an established connection was aborted by the software in your host machine", "ECONNABORTED").on(Os::Windows),
    system("the network connection was aborted by the local system", "ECONNABORTED").on(Os::Windows),
    system("broken due to keep-alive activity detecting a failure", "ENETRESET").on(Os::Windows),
    system("was disallowed because the socket is not connected", "ENOTCONN").on(Os::Windows),
    system("the connected party did not properly respond", "ETIMEDOUT").on(Os::Windows),
    system("the semaphore timeout period has expired", "ETIMEDOUT").on(Os::Windows),
    system("socket operation was attempted to an unreachable network", "ENETUNREACH").on(Os::Windows),
    system("socket operation was attempted to an unreachable host", "EHOSTUNREACH").on(Os::Windows),
    system("a socket operation encountered a dead network", "ENETDOWN").on(Os::Windows),
    system("a socket operation failed because the destination host was down", "EHOSTDOWN").on(Os::Windows),
    program("no such host is known", NO_SUCH_NAME).on(Os::Windows),
    program("temporary error during hostname resolution", NO_NAME_SERVER).on(Os::Windows),
    program("no data of the requested type was found", NO_SUCH_NAME).on(Os::Windows),
    program("the server name or address could not be resolved", NO_NAME).on(Os::Windows),
    exact("the requested service provider could not be loaded or initialized", Exactly::Winsock).on(Os::Windows),
    exact("unrecognized windows sockets error", Exactly::Winsock).on(Os::Windows),
    program("selected local endpoint was recently used to connect to the same remote endpoint", Condition::PortsUsedUp)
        .on(Os::Windows),
    program("allocate an ephemeral port number from the global tcp port space has failed", Condition::PortsUsedUp)
        .on(Os::Windows),
    program("a connection with the server could not be established", Condition::NoReason).on(Os::Windows).at(FailedCall::Connect),
    program("the connection with the server was terminated abnormally", Condition::Ended).on(Os::Windows).at(FailedCall::Read),
];
