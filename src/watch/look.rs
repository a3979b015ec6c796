//! One look at a command from outside.

use std::net::{IpAddr, SocketAddr};

use crate::model::facts::{AcceptQueue, KernelCounters};
use crate::model::port_count::PortCount;
use crate::model::result::Sysctls;

/// Width of a bin of [`Births`], seconds.
pub(super) const BIN_S: f64 = 0.25;
/// Bins of [`Births`]: TIME_WAIT lasts 60 s.
const BINS: usize = 244;

/// Connections in TIME_WAIT by how long ago they entered it: one dump holds the last minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Births(Box<[u32; BINS]>);

impl Default for Births {
    fn default() -> Self {
        Self(Box::new([0; BINS]))
    }
}

impl Births {
    /// One that entered TIME_WAIT so long ago.
    pub fn add(&mut self, age_s: f64) {
        let at = (age_s / BIN_S).clamp(0.0, (BINS - 1) as f64) as usize;
        self.0[at] += 1;
    }

    /// Those between two ages, whole bins.
    pub fn between(&self, from_s: f64, to_s: f64) -> u32 {
        let bin = |s: f64| ((s / BIN_S).round().max(0.0) as usize).min(BINS);
        let (from, to) = (bin(from_s), bin(to_s));
        if from < to { self.0[from..to].iter().sum() } else { 0 }
    }

    /// How long ago the newest one was, at least; none where there is none.
    pub fn newest_s(&self) -> Option<f64> {
        self.0.iter().position(|n| *n > 0).map(|at| at as f64 * BIN_S)
    }

    /// How long ago the oldest one was that is younger than `within_s`.
    pub fn oldest_within(&self, within_s: f64) -> Option<f64> {
        let bins = ((within_s / BIN_S).ceil().max(0.0) as usize).min(BINS);
        self.0[..bins].iter().rposition(|n| *n > 0).map(|at| (at + 1) as f64 * BIN_S)
    }
}

/// Sockets from one source address to one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Towards {
    /// local address
    pub source: IpAddr,
    /// peer
    pub dest: SocketAddr,
    /// inside the range; each socket has a port of its own there: the four-tuple is unique
    pub count: PortCount,
    /// ports outside of it
    pub used_outside: u32,
    /// connections that entered TIME_WAIT on this side
    pub births: Births,
    /// of these, since the last look
    pub new: u32,
    /// connections that entered TIME_WAIT on the destination's side since the last look
    pub server_new: u32,
    /// open sockets of the command
    pub owned: u32,
    /// connections whose SYN has no answer yet
    pub opening: u32,
    /// of these, those whose SYN was sent again: no answer for a second and more
    pub unanswered: u32,
    /// sockets on the destination's side in CLOSE_WAIT
    pub server_close_wait: u32,
}

impl Towards {
    /// Nothing yet.
    pub fn new(source: IpAddr, dest: SocketAddr) -> Self {
        Self {
            source,
            dest,
            count: PortCount::default(),
            used_outside: 0,
            births: Births::default(),
            new: 0,
            server_new: 0,
            owned: 0,
            opening: 0,
            unanswered: 0,
            server_close_wait: 0,
        }
    }
}

/// The process that listens at a destination on this host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerLook {
    /// process id; 0 where it cannot be seen
    pub pid: u32,
    /// its name
    pub name: String,
    /// since the last look, with its children
    pub cpu_percent: Option<f64>,
    /// its busiest thread, 0 to 1; all threads of an interpreter that runs one at a time count as one
    pub ran: Option<f64>,
    /// the same thread: ready to run, but waiting for a core; 0 where several threads count as one
    pub waited: Option<f64>,
    /// its queue; none where nothing listens any more
    pub queue: Option<AcceptQueue>,
    /// open descriptors, and their limit
    pub descriptors: Option<(u32, Option<u64>)>,
}

/// The command's processes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TreeLook {
    /// how many live
    pub count: u32,
    /// CPU since the last look, 100 is one core
    pub cpu_percent: Option<f64>,
    /// the thread that ran most, 0 to 1; all threads of an interpreter that runs one at a time count as one
    pub ran: Option<f64>,
    /// the same thread: ready to run, but waiting for a core; 0 where several threads count as one
    pub busiest_waited: Option<f64>,
    /// the longest wait for a core of a thread, 0 to 1
    pub waited: Option<f64>,
    /// resident memory
    pub rss_bytes: Option<u64>,
    /// descriptors of the process that is nearest to its limit, and that limit
    pub descriptors: Option<(u32, Option<u64>)>,
}

/// Everything that is seen at once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Look {
    /// since the command started; 0 before
    pub at_s: f64,
    /// why sockets could not be read
    pub sockets_missing: Option<String>,
    /// outgoing sockets by source and destination
    pub towards: Vec<Towards>,
    /// P, where the kernel picks the port
    pub pool: Option<u32>,
    /// counters of the namespace so far
    pub counters: Option<KernelCounters>,
    /// the command's processes
    pub tree: TreeLook,
    /// who listens at destinations of the command
    pub servers: Vec<(SocketAddr, ServerLook)>,
    /// CPU of the machine since the last look
    pub host_cpu_percent: Option<f64>,
    /// settings in force
    pub sysctls: Sysctls,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_gives_the_rate_of_any_part_of_the_last_minute() {
        let mut births = Births::default();
        (0..100).for_each(|i| births.add(f64::from(i) * 0.1));
        assert_eq!((births.between(0.0, 2.0), births.between(5.0, 10.0), births.between(3.0, 3.0)), (20, 50, 0));
        assert_eq!(
            (births.newest_s(), births.oldest_within(60.0), births.oldest_within(1.0)),
            (Some(0.0), Some(10.0), Some(1.0))
        );
        assert_eq!(Births::default().newest_s(), None);
    }
}
