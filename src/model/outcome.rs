//! What became of one request: the sample, its outcome, and the failure's whole cause (call, errno, port).
//!
//! Invariants held here: a failure keeps the system call and the errno that it came with; a failure of our own
//! machine ([`FailureSide::Local`]) is never the target's; nothing is "just an error".

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use super::errno::*;
use super::plan::PortChoice;
use super::time::Stamp;

/// Where in an exchange a failure was noticed. Serialised in lower case (`errors[].call`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
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

impl Call {
    /// The word used in reports and JSON.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// The part of an exchange in which something failed. Serialised in lower case (`errors[].phase`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// How an answer broke the protocol. Serialised in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtocolFault {
    /// the status line or a field could not be parsed
    Head,
    /// the head was longer than the limit or had too many fields
    HeadTooLarge,
    /// Content-Length absent where needed, doubled, not a number, or together with Transfer-Encoding
    Framing,
    /// a chunk size, extension or terminator was wrong
    Chunk,
    /// the connection ended inside a head, a body or the last chunk
    Truncated,
    /// more bytes than the answer's own length came before the next request
    Surplus,
    /// the body was longer than the client's limit
    BodyTooLarge,
}

/// What exactly failed; small and `Copy`, so that a row of the error table is found without allocation.
/// Serialised in kebab case (`errors[].cause`): `{"errno": 99}`, `"eof"`, `{"timed-out": "waiting"}`, `{"status": 503}`,
/// `{"malformed": "truncated"}`, `"self-connect"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
}

/// Who is responsible for a failure, as far as the call and the errno say (`errors[].party`). Exactly one, or
/// undecided where they cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// this machine's sockets: no free port, a port in use
    Sockets,
    /// this machine's limits or policy: descriptors, memory, firewall, no route
    Limits,
    /// the network between the two machines
    Path,
    /// the target's machine: it answered that nothing listens there
    TargetMachine,
    /// the target's program: resets, malformed answers, statuses, no answer
    TargetProgram,
    /// a limit of sockbench's own
    Sockbench,
    /// the errno fits several (ETIMEDOUT at connect: path, machine or backlog)
    #[default]
    Undecided,
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
}

impl Failure {
    /// A failure on a fresh, unbound socket.
    pub const fn new(call: Call, cause: Cause) -> Self {
        Self { call, cause, port_bound: false, reused: false }
    }

    /// Our machine's or the target's (socket, bind, connect 99 and EMFILE are local).
    pub const fn side(self) -> FailureSide {
        // ENOMEM 12, EAGAIN 11 and ENOBUFS 105 at connect() are our kernel's shortage as well.
        let own = match self.call {
            Call::Socket | Call::Bind => true,
            Call::Connect => {
                matches!(self.cause, Cause::Errno(EADDRNOTAVAIL | EADDRINUSE | EMFILE | ENFILE | 11 | 12 | 105))
            }
            _ => false,
        };
        if own { FailureSide::Local } else { FailureSide::Target }
    }

    /// Who is responsible, as far as the call and the errno say.
    pub const fn party(self) -> Party {
        match (self.call, self.cause) {
            (_, Cause::Errno(EMFILE | ENFILE | EPERM | EACCES | EAGAIN | ENOMEM | ENOBUFS)) => Party::Limits,
            (Call::Connect, Cause::Errno(ETIMEDOUT)) | (Call::Timeout, Cause::TimedOut(Phase::Connecting)) => Party::Undecided,
            (Call::Connect, Cause::Errno(ECONNREFUSED)) | (_, Cause::SelfConnect) => Party::TargetMachine,
            (Call::Connect, Cause::Errno(ENETUNREACH | EHOSTUNREACH)) => Party::Path,
            (Call::Socket | Call::Bind, _) | (Call::Connect, Cause::Errno(EADDRNOTAVAIL | EADDRINUSE)) => Party::Sockets,
            (_, Cause::Malformed(ProtocolFault::HeadTooLarge | ProtocolFault::BodyTooLarge)) => Party::Sockbench,
            _ => Party::TargetProgram,
        }
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
            Cause::Malformed(f) => Cow::Borrowed(match f {
                ProtocolFault::Head => "BAD-HEAD",
                ProtocolFault::HeadTooLarge => "HEAD-TOO-LARGE",
                ProtocolFault::Framing => "BAD-FRAMING",
                ProtocolFault::Chunk => "BAD-CHUNK",
                ProtocolFault::Truncated => "TRUNCATED",
                ProtocolFault::Surplus => "SURPLUS-BYTES",
                ProtocolFault::BodyTooLarge => "BODY-TOO-LARGE",
            }),
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
            Cause::Malformed(f) => match f {
                ProtocolFault::Head => "the answer's head could not be parsed",
                ProtocolFault::HeadTooLarge => "the answer's head is larger than the limit",
                ProtocolFault::Framing => "the answer's length is not told in a valid way",
                ProtocolFault::Chunk => "a chunk of the answer is malformed",
                ProtocolFault::Truncated => "the connection ended inside the answer",
                ProtocolFault::Surplus => "bytes came after the end of the answer",
                ProtocolFault::BodyTooLarge => "the answer's body is larger than the limit",
            }
            .into(),
            Cause::SelfConnect => {
                "the socket connected to itself: nothing listens there, and the kernel picked the target's own port".into()
            }
        }
    }

    /// What a Windows client would have shown in the same situation (Winsock code), where there is one.
    /// 10055 for a refused bind to port 0 is inferred, not measured.
    pub const fn windows_code(self, choice: PortChoice) -> Option<i32> {
        match (self.call, self.cause) {
            (Call::Bind, Cause::Errno(EADDRINUSE)) => match choice {
                PortChoice::KernelAtBind => Some(10055),
                _ => Some(10048),
            },
            (Call::Connect, Cause::Errno(EADDRNOTAVAIL)) => Some(10048),
            (_, Cause::Errno(ECONNREFUSED)) => Some(10061),
            (_, Cause::Errno(ECONNRESET)) => Some(10054),
            (_, Cause::Errno(ETIMEDOUT)) | (Call::Timeout, _) => Some(10060),
            (_, Cause::Errno(EMFILE | ENFILE)) => Some(10024),
            _ => None,
        }
    }
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
    fn own_machine_failures_are_local_and_all_others_are_the_targets() {
        let f = |call, errno| Failure::new(call, Cause::Errno(errno)).side();
        assert_eq!(f(Call::Socket, EMFILE), FailureSide::Local);
        assert_eq!(f(Call::Bind, EADDRINUSE), FailureSide::Local);
        assert_eq!(f(Call::Connect, EADDRNOTAVAIL), FailureSide::Local);
        assert_eq!(f(Call::Connect, ECONNREFUSED), FailureSide::Target);
        assert_eq!(f(Call::Read, ECONNRESET), FailureSide::Target);
        assert_eq!(Failure::new(Call::Connect, Cause::SelfConnect).side(), FailureSide::Target);
    }

    #[test]
    fn windows_codes_go_by_situation() {
        let exhausted = Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL));
        assert_eq!(exhausted.windows_code(PortChoice::KernelAtConnect), Some(10048));
        let bind = Failure::new(Call::Bind, Cause::Errno(EADDRINUSE));
        assert_eq!(bind.windows_code(PortChoice::KernelAtBind), Some(10055));
        assert_eq!(bind.windows_code(PortChoice::Explicit), Some(10048));
    }
}
