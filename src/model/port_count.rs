//! Source ports towards one destination: by the state of their sockets, and by when they come free.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::facts::TcpState;

/// `dest` as the kernel shows it: the wildcard address means loopback, a mapped address is IPv4.
pub fn concrete(dest: SocketAddr) -> SocketAddr {
    let ip = match dest.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, dest.port())
}

/// What is not in use although it has a socket: the words of every page that counts ports.
pub const REUSABLE: &str = "in TIME_WAIT that connect() can take again";

/// Sockets by state. The opening and closing states are counted with their neighbours.
#[apply(record)]
#[derive(Copy, Default)]
pub struct StateCounts {
    /// true TIME_WAIT, FIN_WAIT2 not counted
    pub time_wait: u32,
    /// ESTABLISHED and the opening states
    pub established: u32,
    /// FIN_WAIT1, FIN_WAIT2, CLOSING
    pub fin_wait2: u32,
    /// of these, FIN_WAIT2 that no process has any more: the kernel ends it after tcp_fin_timeout
    #[serde(default)]
    pub fin_wait2_timed: u32,
    /// of these, FIN_WAIT2 that a process still has: it ends when the other side closes
    #[serde(default)]
    pub fin_wait2_kept: u32,
    /// CLOSE_WAIT, LAST_ACK
    pub close_wait: u32,
    /// of these, LAST_ACK: both sides have closed
    #[serde(default)]
    pub last_ack: u32,
}

impl StateCounts {
    /// One more socket; listeners and bound sockets are towards no destination.
    pub fn add(&mut self, state: TcpState) {
        match state {
            TcpState::TimeWait => self.time_wait += 1,
            TcpState::Established | TcpState::SynSent | TcpState::SynRecv => self.established += 1,
            TcpState::FinWait1 | TcpState::FinWait2 | TcpState::Closing => self.fin_wait2 += 1,
            TcpState::CloseWait => self.close_wait += 1,
            TcpState::LastAck => (self.close_wait, self.last_ack) = (self.close_wait + 1, self.last_ack + 1),
            TcpState::BoundOnly | TcpState::Listen => {}
        }
    }
}

/// When a socket gives its port back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Free {
    /// it can be taken already: TIME_WAIT that may be reused
    Now,
    /// in so many seconds, above zero
    In(f64),
    /// nobody knows: an open connection
    Unknown,
}

/// Ports that cannot be taken now, by when they come free.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct InUse {
    /// until nobody knows when: open connections
    pub open: u32,
    /// until a time that is known: TIME_WAIT, and FIN_WAIT2 without a process
    pub timed: u32,
    /// seconds until the first of the timed ones is free; 0 when there is none
    pub first_free_s: f64,
    /// seconds until the last one is; between the two they are taken to come free evenly
    pub last_free_s: f64,
}

/// This much of a pool may be missing when it is full.
const FULL_SHARE: f64 = 0.995;

impl InUse {
    /// All of them.
    pub fn ports(&self) -> u32 {
        self.open.saturating_add(self.timed)
    }

    /// Whether they are all of `pool` ports. An odd range loses a port, and a look is no instant: nearly full is full.
    pub fn fill(&self, pool: u32) -> bool {
        let used = self.ports();
        used > 0 && f64::from(used) >= (f64::from(pool) * FULL_SHARE).min(f64::from(pool.saturating_sub(1)))
    }

    fn add(&mut self, free: Free) {
        match free {
            Free::Now => {}
            Free::In(_) => self.timed += 1,
            Free::Unknown => self.open += 1,
        }
    }

    fn widen(&mut self, free_s: f64) {
        self.first_free_s = if self.last_free_s > 0.0 { self.first_free_s.min(free_s) } else { free_s };
        self.last_free_s = self.last_free_s.max(free_s);
    }
}

/// One look at the ports towards a destination.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PortCount {
    /// distinct local ports, all states together, inside the pool's range
    pub used: u32,
    /// of these, the ones that cannot be taken: all but TIME_WAIT that may be reused
    pub in_use: InUse,
    /// sockets in TIME_WAIT whose port is in use
    pub time_wait_in_use: u32,
    /// the sockets by state
    pub states: StateCounts,
    /// sockets in TIME_WAIT with the destination as LOCAL end: the target has them; none where it is on another host, whose
    /// sockets are not seen
    pub time_wait_target_side: Option<u32>,
}

impl PortCount {
    /// A socket of a port that was not counted yet.
    pub fn add_port(&mut self, state: TcpState, free: Free) {
        self.used += 1;
        self.in_use.add(free);
        self.add_socket(state, free);
    }

    /// One more socket of a port that was.
    pub fn add_socket(&mut self, state: TcpState, free: Free) {
        self.states.add(state);
        self.time_wait_in_use += u32::from(state == TcpState::TimeWait && free != Free::Now);
        if state == TcpState::FinWait2 {
            self.states.fin_wait2_timed += u32::from(free != Free::Unknown);
            self.states.fin_wait2_kept += u32::from(free == Free::Unknown);
        }
        if let Free::In(free_s) = free {
            self.in_use.widen(free_s);
        }
    }

    /// The same ports as they were before a run closed its kept connections: of those that are closing or in TIME_WAIT
    /// now, all but `earlier`, which were in TIME_WAIT when it began.
    #[must_use]
    pub fn before_closing(mut self, earlier: u32) -> Self {
        let s = &mut self.states;
        let own = s.time_wait.saturating_sub(earlier);
        s.time_wait -= own;
        s.established = s.established.saturating_add(own).saturating_add(std::mem::take(&mut s.fin_wait2));
        (s.fin_wait2_timed, s.fin_wait2_kept) = (0, 0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_full_but_for_a_port_or_half_a_percent() {
        let full = |used, pool| InUse { timed: used, ..InUse::default() }.fill(pool);
        for (used, pool) in [(1, 1), (1, 2), (499, 500), (500, 500), (28_091, 28_232)] {
            assert!(full(used, pool), "{used} of {pool}");
        }
        for (used, pool) in [(0, 0), (0, 1), (0, 2), (497, 500), (28_090, 28_232)] {
            assert!(!full(used, pool), "{used} of {pool}");
        }
    }

    #[test]
    fn what_a_run_closed_at_its_end_had_been_open() {
        let states = StateCounts { time_wait: 30, fin_wait2: 20, established: 10, ..StateCounts::default() };
        let end = PortCount { used: 60, states, ..PortCount::default() };
        let before = end.before_closing(8);
        let s = before.states;
        assert_eq!((before.used, s.time_wait, s.fin_wait2, s.established), (60, 8, 0, 52));
        assert_eq!(end.before_closing(99).states.time_wait, 30, "no more than there is");
    }

    #[test]
    fn a_wildcard_destination_is_loopback() {
        for (asked, shown) in [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("[::ffff:127.0.0.1]:80", "127.0.0.1:80")]
        {
            assert_eq!(concrete(asked.parse().unwrap()), shown.parse().unwrap());
        }
    }
}
