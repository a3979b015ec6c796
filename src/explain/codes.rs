//! Names and numbers of system errors. Data and its look-up only.
//!
//! Sources: asm-generic/errno.h, winsock2.h and winerror.h, sys/errno.h of Darwin, include/uv.h of libuv.

use crate::model::explanation::{Exactly, FailedCall, KernelTable, Os};

/// What a text says went wrong, whatever the system and the words; [`ERRNOS`] has the errors of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Condition {
    /// a limit or an event that reports have a name for
    Exact(Exactly),
    InUse,
    NotAvailable,
    FamilyOff,
    NoBuffers,
    NoMemory,
    TooManyFiles,
    /// EALREADY: connect() again, before the first one has come to an end
    UnderWay,
    /// EAGAIN: an error at connect() only, elsewhere the normal answer of a non-blocking socket
    Again,
    Denied,
    NotPermitted,
    Refused,
    Reset,
    /// EPIPE, ENOTCONN, ESHUTDOWN: written after the end
    BrokenPipe,
    /// an end of file where an answer was expected: no errno
    Ended,
    /// ETIMEDOUT, or the program's own clock
    TimedOut,
    Unreachable,
    /// a kernel says outright that its ports are used up
    PortsUsedUp,
    /// a name could not be turned into an address, and why
    NoName(Lookup),
    /// listen queue overflow
    BacklogFull,
    /// SYN flooding: the queue of half-open connections
    SynQueueFull,
    /// `nf_conntrack: table full`
    ConntrackFull,
    /// a table or the memory of the kernel, and which where the line names it
    KernelFull(Option<KernelTable>),
    /// the program says that a connection failed, not why
    NoReason,
    /// a process was killed, or ended, for lack of memory
    OutOfMemory,
    /// a server found its worker killed, and guesses at memory
    WorkerGone,
    /// the kernel's first lines about a process that it is going to kill
    OomBegins,
}

/// Why a name gave no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Lookup {
    /// the text does not say
    Unsaid,
    /// there is no such name, or it has no address
    Unknown,
    /// no answer came from the name server, or it could not say
    NoAnswer,
}

impl Condition {
    pub(super) const fn is_lookup(self) -> bool {
        matches!(self, Self::NoName(_))
    }

    /// Which of several conditions of one line is the cause: this machine's own limits come first, then what a system
    /// said, then what a program concluded from it, a bare "failed" last.
    pub(super) const fn rank(self) -> u8 {
        match self {
            // A refusal or a timeout beside a failed look-up is the name server's.
            Self::NoName(_) => 5,
            Self::NoMemory
            | Self::Denied
            | Self::NotPermitted
            | Self::Refused
            | Self::Reset
            | Self::BrokenPipe
            | Self::Exact(Exactly::PingLost | Exactly::IdleClosed)
            | Self::Unreachable => 4,
            Self::TimedOut | Self::UnderWay => 3,
            Self::Ended | Self::Again => 2,
            Self::Exact(Exactly::ClosedHere) => 1,
            Self::NoReason => 0,
            // Limits of this machine, of a program or of a kernel.
            _ => 6,
        }
    }

    /// A limit of a program or of its machine: no call failed by it.
    pub(super) const fn has_no_call(self) -> bool {
        use Exactly::{AllDown, ProgramLimit, RateLimit, ServerLimit, Threads, ToolCpu, ToolUsers, WorkerKilled};
        matches!(
            self,
            Self::Exact(ProgramLimit | ServerLimit | RateLimit | AllDown | Threads | WorkerKilled | ToolCpu | ToolUsers)
                | Self::OutOfMemory
                | Self::WorkerGone
                | Self::OomBegins
        )
    }

    /// Another condition that says the same and more: where a text has both, this one is part of it.
    pub(super) const fn part_of(self) -> Option<Self> {
        match self {
            Self::Exact(Exactly::ListenDrops) => Some(Self::BacklogFull),
            Self::OomBegins => Some(Self::OutOfMemory),
            // After its own time limit a server ends the worker with a SIGKILL too.
            Self::WorkerGone => Some(Self::Exact(Exactly::WorkerKilled)),
            _ => None,
        }
    }
}

/// Symbolic name and the number on each system; zero where there is none.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Errno {
    pub(super) name: &'static str,
    pub(super) condition: Condition,
    linux: i32,
    windows: i32,
    macos: i32,
    /// what Node.js prints on Windows, without the sign
    libuv: i32,
}

const fn errno(name: &'static str, condition: Condition, linux: i32, windows: i32, macos: i32, libuv: i32) -> Errno {
    Errno { name, condition, linux, windows, macos, libuv }
}

pub(super) const ERRNOS: &[Errno] = &[
    errno("EADDRINUSE", Condition::InUse, 98, 10048, 48, 4091),
    errno("EADDRNOTAVAIL", Condition::NotAvailable, 99, 10049, 49, 4090),
    errno("EAFNOSUPPORT", Condition::FamilyOff, 97, 10047, 47, 4089),
    errno("ENOBUFS", Condition::NoBuffers, 105, 10055, 55, 4060),
    errno("ENOMEM", Condition::NoMemory, 12, 0, 12, 4057),
    errno("EMFILE", Condition::TooManyFiles, 24, 10024, 24, 4066),
    errno("ENFILE", Condition::TooManyFiles, 23, 0, 23, 4061),
    errno("EAGAIN", Condition::Again, 11, 0, 35, 4088),
    errno("EACCES", Condition::Denied, 13, 10013, 13, 4092),
    errno("EPERM", Condition::NotPermitted, 1, 0, 1, 4048),
    errno("ECONNREFUSED", Condition::Refused, 111, 10061, 61, 4078),
    errno("ECONNRESET", Condition::Reset, 104, 10054, 54, 4077),
    errno("ECONNABORTED", Condition::Reset, 103, 10053, 53, 4079),
    errno("ENETRESET", Condition::Reset, 102, 10052, 52, 0),
    errno("EPIPE", Condition::BrokenPipe, 32, 0, 32, 4047),
    errno("ENOTCONN", Condition::BrokenPipe, 107, 10057, 57, 4053),
    errno("ESHUTDOWN", Condition::BrokenPipe, 108, 10058, 58, 0),
    errno("EALREADY", Condition::UnderWay, 114, 10037, 37, 4084),
    errno("ETIMEDOUT", Condition::TimedOut, 110, 10060, 60, 4039),
    errno("ENETUNREACH", Condition::Unreachable, 101, 10051, 51, 4062),
    errno("EHOSTUNREACH", Condition::Unreachable, 113, 10065, 65, 4073),
    errno("ENETDOWN", Condition::Unreachable, 100, 10050, 50, 4063),
    errno("EHOSTDOWN", Condition::Unreachable, 112, 10064, 64, 0),
];

impl Errno {
    /// Its number on a system; Linux's where the system is not known.
    pub(super) const fn number_on(&self, os: Option<Os>) -> Option<i32> {
        let n = match os {
            Some(Os::Windows) => self.windows,
            Some(Os::Macos) => self.macos,
            Some(Os::Linux) | None => self.linux,
        };
        if n == 0 { None } else { Some(n) }
    }

    /// Its name on a system: Winsock's begin with WSA.
    pub(super) fn name_on(&self, os: Option<Os>) -> String {
        let is_winsock = os == Some(Os::Windows) && self.windows != 0;
        if is_winsock { format!("WSA{}", self.name) } else { self.name.to_owned() }
    }

    /// The system on which this error has this number.
    pub(super) const fn system_of(&self, n: i32) -> Option<Os> {
        if n == 0 {
            None
        } else if n == self.linux {
            Some(Os::Linux)
        } else if n == self.windows || n == self.libuv {
            Some(Os::Windows)
        } else if n == self.macos {
            Some(Os::Macos)
        } else {
            None
        }
    }
}

pub(super) fn by_name(name: &str) -> Option<&'static Errno> {
    ERRNOS.iter().find(|e| e.name.eq_ignore_ascii_case(name))
}

/// What a piece of a line, a number or words, means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) condition: Condition,
    pub(super) errno: Option<&'static Errno>,
    pub(super) call: Option<FailedCall>,
    pub(super) os: Option<Os>,
}

impl Meaning {
    pub(super) const fn of(errno: &'static Errno, os: Option<Os>) -> Self {
        Self { condition: errno.condition, errno: Some(errno), call: None, os }
    }
}

/// Winsock's numbers begin here; all others are below.
pub(super) const WINSOCK_FROM: i32 = 10_000;

/// A number as the errno of a system. Small ones are Linux's unless macOS is asked for or said otherwise: the two overlap
/// (48, 49, 61 are other errors on Linux).
pub(super) fn by_number(n: i32, asked: Option<Os>) -> Option<Meaning> {
    let on = |os, errno| Meaning::of(errno, Some(os));
    if n >= WINSOCK_FROM {
        let winsock = ERRNOS.iter().find(|e| e.windows == n).map(|e| on(Os::Windows, e));
        return winsock.or_else(|| windows_only(n));
    }
    if asked == Some(Os::Macos) {
        return ERRNOS.iter().find(|e| e.macos == n).map(|e| on(Os::Macos, e));
    }
    let linux = ERRNOS.iter().find(|e| e.linux == n).map(|e| on(Os::Linux, e));
    let libuv = || ERRNOS.iter().find(|e| e.libuv == n && n > 0).map(|e| on(Os::Windows, e));
    linux.or_else(libuv).or_else(|| ERRNOS.iter().find(|e| e.macos == n && (47..=65).contains(&n)).map(|e| on(Os::Macos, e)))
}

/// Numbers of Windows that are no errno: of the resolver, of WinHTTP, of Winsock's own providers.
fn windows_only(n: i32) -> Option<Meaning> {
    let (condition, call) = match n {
        11_001 | 11_004 => (Condition::NoName(Lookup::Unknown), Some(FailedCall::Getaddrinfo)),
        11_002 => (Condition::NoName(Lookup::NoAnswer), Some(FailedCall::Getaddrinfo)),
        11_003 | 12_007 => (Condition::NoName(Lookup::Unsaid), Some(FailedCall::Getaddrinfo)),
        10_091..=10_093 | 10_104..=10_107 => (Condition::Exact(Exactly::Winsock), None),
        12_002 => (Condition::TimedOut, None),
        12_029 => (Condition::NoReason, Some(FailedCall::Connect)),
        12_030 | 12_031 => (Condition::Reset, Some(FailedCall::Read)),
        _ => return None,
    };
    Some(Meaning { condition, errno: None, call, os: Some(Os::Windows) })
}

/// `[WinError N]` below Winsock's numbers (winerror.h): errors of overlapped sockets.
pub(super) fn by_winerror(n: i32) -> Option<Meaning> {
    let (name, call) = match n {
        64 | 1236 => ("ECONNRESET", FailedCall::Read),
        121 => ("ETIMEDOUT", FailedCall::Unnamed),
        1225 => ("ECONNREFUSED", FailedCall::Connect),
        1231 => ("ENETUNREACH", FailedCall::Connect),
        1232 => ("EHOSTUNREACH", FailedCall::Connect),
        _ => return None,
    };
    let errno = by_name(name)?;
    let call = (call != FailedCall::Unnamed).then_some(call);
    Some(Meaning { call, ..Meaning::of(errno, Some(Os::Windows)) })
}

/// k6's own numbers (lib/netext/httpext/error_codes.go): what it prints as `error_code`.
pub(super) fn by_k6_code(n: i32) -> Option<Meaning> {
    let (condition, call) = match n {
        1050 => (Condition::TimedOut, None),
        1100 => (Condition::NoName(Lookup::Unsaid), Some(FailedCall::Getaddrinfo)),
        1101 => (Condition::NoName(Lookup::Unknown), Some(FailedCall::Getaddrinfo)),
        1201 => (Condition::BrokenPipe, Some(FailedCall::Write)),
        1200 | 1202 => (Condition::NoReason, None),
        1210 | 1213 => (Condition::NoReason, Some(FailedCall::Connect)),
        1211 => (Condition::TimedOut, Some(FailedCall::Connect)),
        1212 => (Condition::Refused, Some(FailedCall::Connect)),
        1220 => (Condition::Reset, Some(FailedCall::Read)),
        _ => return None,
    };
    Some(Meaning { condition, errno: None, call, os: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Winsock's numbers are those of BSD after WSABASEERR (winsock2.h), and Darwin's are those of BSD.
    #[test]
    fn winsock_counts_from_its_base_as_bsd_does() {
        for e in ERRNOS.iter().filter(|e| e.windows != 0) {
            assert_eq!(e.windows, 10_000 + e.macos, "{}", e.name);
        }
        for system in 0..4 {
            let number = |e: &Errno| [e.linux, e.windows, e.macos, e.libuv][system];
            let mut known: Vec<i32> = ERRNOS.iter().map(number).filter(|n| *n != 0).collect();
            known.sort_unstable();
            assert!(known.windows(2).all(|pair| pair[0] != pair[1]), "{known:?}");
        }
    }
}
