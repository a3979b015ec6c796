//! What the observer saw, each fact known or unavailable with its reason. Nothing here reads anything.

use std::net::IpAddr;

/// A measured value, or why there is none. Silence never reads as healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<T> {
    /// it was read
    Known(T),
    /// it could not be read: the reason, in words
    Unavailable(String),
}

impl<T> Fact<T> {
    /// A missing fact.
    pub fn missing(reason: impl Into<String>) -> Self {
        Self::Unavailable(reason.into())
    }

    /// The value, if known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(v) => Some(v),
            Self::Unavailable(_) => None,
        }
    }

    /// The reason, if unavailable.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unavailable(r) => Some(r),
        }
    }

    /// The value with another shape, the reason untouched.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(v) => Fact::Known(f(v)),
            Self::Unavailable(r) => Fact::Unavailable(r),
        }
    }
}

impl<T, E: std::fmt::Display> From<Result<T, E>> for Fact<T> {
    fn from(r: Result<T, E>) -> Self {
        match r {
            Ok(v) => Self::Known(v),
            Err(e) => Self::Unavailable(e.to_string()),
        }
    }
}

/// /proc/net/sockstat and sockstat6, this network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sockstat {
    /// TCP sockets in use, v4 + v6
    pub inuse: u64,
    /// orphaned TCP sockets
    pub orphan: u64,
    /// TIME_WAIT and FIN_WAIT2 together, v4 + v6 (the kernel counts both here)
    pub tw: u64,
}

/// Counters of /proc/net/netstat (TcpExt) and /proc/net/snmp (Tcp) that matter here; they only grow.
#[apply(sparse)]
#[derive(Copy, Default)]
pub struct KernelCounters {
    /// TcpExt TW: sockets that entered TIME_WAIT for its whole time, either side
    pub time_waited: u64,
    /// TcpExt TWRecycled: TIME_WAIT sockets reused at connect
    pub time_wait_recycled: u64,
    /// TcpExt TCPTimeWaitOverflow: TIME_WAIT sockets dropped at tcp_max_tw_buckets
    pub time_wait_overflow: u64,
    /// TcpExt ListenOverflows
    pub listen_overflows: u64,
    /// TcpExt ListenDrops
    pub listen_drops: u64,
    /// Tcp ActiveOpens
    pub active_opens: u64,
    /// Tcp AttemptFails: connections that were never established, refused ones among them
    pub attempt_fails: u64,
    /// additive: Tcp EstabResets: established connections that ended at once, by a reset of either side
    pub estab_resets: Option<u64>,
    /// Tcp RetransSegs
    pub retrans_segs: u64,
    /// Tcp OutRsts
    pub out_rsts: u64,
    /// additive: TcpExt TCPSynRetrans: SYNs sent again, because nothing came back for a second and more
    pub syn_retrans: Option<u64>,
    /// additive: Icmp InDestUnreachs: messages that a packet could not be delivered
    pub dest_unreachable: Option<u64>,
}

impl KernelCounters {
    /// Connections that were established and so can leave a TIME_WAIT: SYNs sent without those that failed (refused, or
    /// given up; SYNs received that failed are among these, so it is the least it can be).
    pub fn opened_actively(&self) -> u64 {
        self.active_opens.saturating_sub(self.attempt_fails)
    }

    /// Connects that failed at once, answered by a reset: the least it can be. A connect whose SYN was sent again got no answer,
    /// and one that a router or this host's own neighbour table gave up was not refused either.
    pub fn refused(&self) -> u64 {
        let otherwise = self.syn_retrans.unwrap_or(0).saturating_add(self.dest_unreachable.unwrap_or(0));
        self.attempt_fails.saturating_sub(otherwise)
    }

    /// What was added since `earlier`, counter by counter.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let d = |a: u64, b: u64| a.saturating_sub(b);
        let both = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(now, then)| d(now, then));
        Self {
            time_waited: d(self.time_waited, earlier.time_waited),
            time_wait_recycled: d(self.time_wait_recycled, earlier.time_wait_recycled),
            time_wait_overflow: d(self.time_wait_overflow, earlier.time_wait_overflow),
            listen_overflows: d(self.listen_overflows, earlier.listen_overflows),
            listen_drops: d(self.listen_drops, earlier.listen_drops),
            active_opens: d(self.active_opens, earlier.active_opens),
            attempt_fails: d(self.attempt_fails, earlier.attempt_fails),
            estab_resets: both(self.estab_resets, earlier.estab_resets),
            retrans_segs: d(self.retrans_segs, earlier.retrans_segs),
            out_rsts: d(self.out_rsts, earlier.out_rsts),
            syn_retrans: both(self.syn_retrans, earlier.syn_retrans),
            dest_unreachable: both(self.dest_unreachable, earlier.dest_unreachable),
        }
    }
}

/// Connections that wait for accept(), of one listener or of all that listen at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AcceptQueue {
    /// so many wait
    pub waiting: u32,
    /// so many may (the smaller of listen()'s argument and somaxconn); the kernel takes one more before it drops SYNs
    pub limit: u32,
}

impl AcceptQueue {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { waiting: self.waiting.saturating_add(other.waiting), limit: self.limit.saturating_add(other.limit) }
    }
}

/// TCP states that matter to ports (tcp_states.h). `BoundOnly` is bit 13, answered by the kernel as state 7.
#[apply(snake_case)]
#[derive(strum::FromRepr)]
#[repr(u8)]
pub enum TcpState {
    /// 1
    Established = 1,
    /// 2
    SynSent,
    /// 3
    SynRecv,
    /// 4
    FinWait1,
    /// 5
    FinWait2,
    /// 6
    TimeWait,
    /// 7 (CLOSE): bound, not connected, when asked for with bit 13
    BoundOnly,
    /// 8
    CloseWait,
    /// 9
    LastAck,
    /// 10
    Listen,
    /// 11
    Closing,
}

/// One socket as sock_diag reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiagSocket {
    /// its state
    pub state: TcpState,
    /// local address
    pub local: (IpAddr, u16),
    /// peer address; zero for listeners and bound-only sockets
    pub peer: (IpAddr, u16),
    /// remaining time of the running timer, ms (for TIME_WAIT: until the port is free)
    pub expires_ms: u32,
    /// the kernel keeps the connection without its socket, and the timer is its end: TIME_WAIT, or FIN_WAIT2 that no process
    /// has any more
    pub is_timewait: bool,
    /// bytes that were not read; of a listener connections that were not accepted
    pub receive_queue: u32,
    /// bytes that were not acknowledged; of a listener the most connections that may wait for accept()
    pub send_queue: u32,
    /// inode, 0 for TIME_WAIT
    pub inode: u32,
    /// owner's user id
    pub uid: u32,
    /// times that the running timer ran out; of a SYN, how often it was sent again
    pub retransmits: u8,
}

/// CPU and memory of one process (its children included where said).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProcessUsage {
    /// user + system CPU seconds since its start
    pub cpu_s: f64,
    /// resident set, bytes
    pub rss_bytes: u64,
}

/// CPU of one thread (/proc/PID/task/TID/schedstat).
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadUsage {
    /// thread id
    pub tid: i32,
    /// comm
    pub name: String,
    /// seconds on a CPU
    pub cpu_s: f64,
    /// seconds runnable but waiting for a CPU
    pub wait_s: f64,
}

/// The host.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HostUsage {
    /// all cores together, 0..100
    pub cpu_percent: f64,
    /// used memory, 0..100
    pub memory_percent: f64,
}
