//! What became of one request: the sample, its outcome, and the failure's whole cause (call, errno, port).
//!
//! Invariants kept here: a failure keeps the system call and the errno that it came with; a failure of our own
//! machine ([`FailureSide::Local`]) is never the target's; nothing is "just an error".

use std::borrow::Cow;

pub use self::party::Party;
pub use super::errno::*;
use super::port_mode::PortChoice;
pub use super::protocol_fault::{Foreign, OwnLimit, ProtocolFault};
use super::time::Stamp;

mod party;

/// Where in an exchange a failure was noticed. Serialised in lower case (`errors[].call`).
#[apply(lowercase)]
pub enum Call {
    /// socket(2)
    Socket,
    /// bind(2)
    Bind,
    /// connect(2), at once or through SO_ERROR
    Connect,
    /// write(2)/send(2)
    Write,
    /// read(2)/recv(2), end of file included
    Read,
    /// our own clock ended the exchange
    Timeout,
    /// the answer's status was 400 or above
    Http,
    /// the answer broke RFC 9112
    Protocol,
}

words!(Call);

/// The part of an exchange in which something failed. Serialised in lower case (`errors[].phase`).
#[apply(lowercase)]
pub enum Phase {
    /// before the connection stood
    Connecting,
    /// before the last request byte was handed over
    Sending,
    /// before the first byte of the answer
    Waiting,
    /// before the last byte of the answer
    Receiving,
}

impl Phase {
    /// What was going on, after "while".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Sending => "sending the request",
            Self::Waiting => "waiting for the first byte",
            Self::Receiving => "receiving the answer",
        }
    }
}

/// What exactly failed; small and `Copy`, so that a row of the error table is found without allocation.
/// Serialised in kebab case (`errors[].cause`): `{"errno": 99}`, `"eof"`, `{"timed-out": "waiting"}`, `{"status": 503}`,
/// `{"malformed": "truncated"}`, `"self-connect"`, `"no-address"`.
#[apply(kebab_case)]
pub enum Cause {
    /// the errno of the system call
    Errno(i32),
    /// end of file before the first byte of an answer
    Eof,
    /// the plan's timeout, in this phase
    TimedOut(Phase),
    /// the answer's status (400 or above)
    Status(u16),
    /// the answer broke the protocol
    Malformed(ProtocolFault),
    /// the socket connected to itself: local and peer address are the same (simultaneous open)
    SelfConnect,
    /// EADDRNOTAVAIL without a port involved: this machine has no address to reach the target from (IPv6 is off)
    NoAddress,
}

/// Whose fault: our own machine's or the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureSide {
    /// our own machine: no port, no descriptor; never in latency figures
    Local,
    /// the target or the way to it
    Target,
}

/// One failure with its whole cause. The key of a row of the error table (with the endpoint).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Failure {
    /// the call that failed
    pub call: Call,
    /// what it said
    pub cause: Cause,
    /// getsockname gave a local port when it failed
    pub port_bound: bool,
    /// the connection had carried an answered request before
    pub reused: bool,
    /// connect(2) had gone on without an error, and this came later (SO_ERROR): from the way or the target
    pub so_error: bool,
}

impl Failure {
    /// A failure on a fresh, unbound socket.
    pub const fn new(call: Call, cause: Cause) -> Self {
        Self { call, cause, port_bound: false, reused: false, so_error: false }
    }

    /// The phase, where the cause or the call says it.
    pub const fn phase(self) -> Option<Phase> {
        match (self.call, self.cause) {
            (_, Cause::TimedOut(phase)) => Some(phase),
            (Call::Socket | Call::Bind | Call::Connect, _) => Some(Phase::Connecting),
            (Call::Write, _) => Some(Phase::Sending),
            (Call::Read, Cause::Eof) => Some(Phase::Waiting),
            (Call::Http | Call::Protocol, _) => Some(Phase::Receiving),
            (Call::Read | Call::Timeout, _) => None,
        }
    }

    /// The errno, where a system call gave one.
    pub const fn errno(self) -> Option<i32> {
        match self.cause {
            Cause::Errno(n) => Some(n),
            Cause::NoAddress => Some(EADDRNOTAVAIL),
            _ => None,
        }
    }

    /// The status, where an answer had one.
    pub const fn status(self) -> Option<u16> {
        match self.cause {
            Cause::Status(status) => Some(status),
            _ => None,
        }
    }

    /// Short name for reports: `EADDRNOTAVAIL`, `EOF`, `TIMEOUT`, `503`, `TRUNCATED`, `SELFCONNECT`.
    pub fn name(self) -> Cow<'static, str> {
        match self.cause {
            Cause::Errno(n) => errno_name(n),
            Cause::Eof => Cow::Borrowed("EOF"),
            Cause::TimedOut(_) => Cow::Borrowed("TIMEOUT"),
            Cause::Status(s) => Cow::Owned(s.to_string()),
            Cause::Malformed(fault) => Cow::Borrowed(fault.name()),
            Cause::NoAddress => errno_name(EADDRNOTAVAIL),
            Cause::SelfConnect => Cow::Borrowed("SELFCONNECT"),
        }
    }

    /// One line: what happened, in words.
    pub fn message(self) -> String {
        let on = if self.reused { " on a reused connection" } else { "" };
        match self.cause {
            Cause::Errno(n) => format!("{}{on}", errno_text(n)),
            Cause::Eof if self.reused => "connection closed by the target before the answer, on a reused connection".into(),
            Cause::Eof => "connection closed by the target before the first byte of an answer".into(),
            Cause::TimedOut(p) => format!("no progress before the timeout, while {}{on}", p.words()),
            Cause::Status(s) => format!("answered with status {s}"),
            Cause::Malformed(fault) => fault.message().into(),
            Cause::NoAddress => {
                format!("{}: this machine has no address to reach the target from", errno_text(EADDRNOTAVAIL))
            }
            Cause::SelfConnect => {
                "the socket connected to itself: nothing listens there, and the kernel picked the target's own port".into()
            }
        }
    }

    /// What a Windows client would have shown in the same situation (Winsock code), where there is one.
    /// 10055 for a refused bind to port 0 is inferred, not measured.
    pub const fn windows_code(self, choice: PortChoice) -> Option<i32> {
        let errno = match self.cause {
            Cause::Errno(errno) => errno,
            Cause::NoAddress => return Some(10049),
            Cause::TimedOut(_) => return Some(10060),
            _ => return None,
        };
        match (self.call, errno) {
            (Call::Bind, EADDRINUSE) if matches!(choice, PortChoice::KernelAtBind) => Some(10055),
            (Call::Bind, EADDRNOTAVAIL) => Some(10049),
            (Call::Bind, EADDRINUSE) | (Call::Connect, EADDRNOTAVAIL) => Some(10048),
            (_, EPERM | EACCES) => Some(10013),
            (_, EINVAL) => Some(10022),
            (_, EMFILE | ENFILE) => Some(10024),
            (_, EAFNOSUPPORT) => Some(10047),
            (_, ENETDOWN) => Some(10050),
            (_, ENETUNREACH) => Some(10051),
            (_, ECONNRESET) => Some(10054),
            (_, ENOBUFS) => Some(10055),
            (_, ETIMEDOUT) => Some(10060),
            (_, ECONNREFUSED) => Some(10061),
            (_, EHOSTUNREACH) => Some(10065),
            _ => None,
        }
    }
}

/// A status with its reason phrase (RFC 9110 section 15, RFC 6585): `429 Too Many Requests`; the number alone where it has
/// none.
pub fn status_words(status: u16) -> String {
    let reason = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => return status.to_string(),
    };
    format!("{status} {reason}")
}

/// How a started sample ended. Every sample ends as exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// a whole answer with a status below 400
    Answered {
        /// HTTP status
        status: u16,
    },
    /// ended at the target: refused, reset, EOF, timeout, malformed, status 400 or above
    Failed(Failure),
    /// ended on our own machine before it reached the target
    Local(Failure),
    /// in flight when the run ended
    Cut,
}

impl Outcome {
    /// The outcome of a failure, on the side it belongs to.
    pub const fn of(failure: Failure) -> Self {
        match failure.side() {
            FailureSide::Local => Self::Local(failure),
            FailureSide::Target => Self::Failed(failure),
        }
    }
}

/// Who ended a connection, as the client saw it (`closes{}`): the side whose FIN was first keeps the TIME_WAIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClosedBy {
    /// our FIN went out first
    Client,
    /// the target's FIN was in our socket before ours went out
    Server,
    /// an RST in either direction: nobody keeps a TIME_WAIT
    Reset,
}

/// The index of an endpoint in the plan's mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub u16);

impl EndpointId {
    /// The same endpoint of a run in which the first of these is number `first`.
    pub(crate) fn moved(self, first: u16) -> Self {
        Self(self.0.saturating_add(first))
    }
}

/// One request of one user: when each step happened, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// which entry of the mix
    pub endpoint: EndpointId,
    /// when the schedule wanted it (constant rate only)
    pub intended: Option<Stamp>,
    /// when the user began on it: before socket(2), or before the first write on a kept connection
    pub started: Stamp,
    /// when the connection stood, where this sample made one
    pub connected: Option<Stamp>,
    /// when the last request byte was handed to the kernel
    pub sent: Option<Stamp>,
    /// when the first byte of the answer was read
    pub first_byte: Option<Stamp>,
    /// when the last byte was read, or the failure noticed
    pub ended: Stamp,
    /// how it ended
    pub outcome: Outcome,
    /// bytes of the answer, head included
    pub bytes_in: u64,
    /// bytes of the answer's body, framing excluded
    pub body_bytes: u64,
    /// request bytes handed to the kernel
    pub bytes_out: u64,
    /// `Server-Timing: queue;dur=..., work;dur=...` of the answer, microseconds
    pub server_timing_us: Option<(u64, u64)>,
}

impl Sample {
    /// One that begins now: cut, unless something else comes of it.
    pub const fn begun(endpoint: EndpointId, intended: Option<Stamp>, now: Stamp) -> Self {
        Self {
            endpoint,
            intended,
            started: now,
            connected: None,
            sent: None,
            first_byte: None,
            ended: now,
            outcome: Outcome::Cut,
            bytes_in: 0,
            body_bytes: 0,
            bytes_out: 0,
            server_timing_us: None,
        }
    }

    /// Latency as reported: from the intended start when there is one (coordinated omission), else from the
    /// real one. Microseconds.
    pub fn latency_us(&self) -> u64 {
        self.ended.micros_since(self.intended.unwrap_or(self.started))
    }

    /// How long the request waited for its turn after its intended start. Microseconds; zero in a closed loop.
    pub fn blocked_us(&self) -> u64 {
        self.intended.map_or(0, |i| self.started.micros_since(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_codes_go_by_situation() {
        let exhausted = Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL));
        assert_eq!(exhausted.windows_code(PortChoice::KernelAtConnect), Some(10048));
        let bind = Failure::new(Call::Bind, Cause::Errno(EADDRINUSE));
        assert_eq!(bind.windows_code(PortChoice::KernelAtBind), Some(10055));
        assert_eq!(bind.windows_code(PortChoice::Explicit), Some(10048));
        let no_address = Failure::new(Call::Connect, Cause::NoAddress);
        assert_eq!((no_address.windows_code(PortChoice::KernelAtConnect), no_address.errno()), (Some(10049), Some(99)));
        assert_eq!(Failure::new(Call::Connect, Cause::Errno(EACCES)).windows_code(PortChoice::Explicit), Some(10013));
    }
}
