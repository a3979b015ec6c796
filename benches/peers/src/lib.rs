//! What the bare epoll programs share: the lowest cost of a request that a plain loop reaches on the kernel at hand. Level-triggered
//! epoll(7), one read(2) and one write(2) a request, no HTTP parsing.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

pub use rustix::event::epoll::Event;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Result;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};

/// Events taken from one epoll_wait(2).
const EVENTS: usize = 512;

/// The monotonic clock, seconds.
pub fn now() -> f64 {
    let t = clock_gettime(ClockId::Monotonic);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

/// timerfd_create(2).
pub fn timer() -> Result<OwnedFd> {
    timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)
}

/// Lets `timer` fire once, `seconds` from now.
pub fn set(timer: &OwnedFd, seconds: f64) -> Result<()> {
    let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
    let seconds = seconds.max(0.0);
    let it_value = Timespec { tv_sec: seconds as i64, tv_nsec: ((seconds.fract() * 1e9) as i64).max(1) };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value }).map(|_| ())
}

/// A port of 127.0.0.1.
pub fn loopback(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// A TCP socket that does not block; Nagle's algorithm is off where `nodelay`.
pub fn socket(nodelay: bool) -> Result<OwnedFd> {
    let fd = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, Some(ipproto::TCP))?;
    if nodelay {
        sockopt::set_tcp_nodelay(&fd, true)?;
    }
    Ok(fd)
}

/// read(2).
pub fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> Result<usize> {
    rustix::io::read(fd, buffer)
}

/// write(2); Rust programs ignore SIGPIPE.
pub fn send(fd: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    rustix::io::write(fd, bytes)
}

/// The token of an event, and whether its descriptor can be written to.
pub fn of(event: &Event) -> (u64, bool) {
    (event.data.u64(), { event.flags }.contains(EventFlags::OUT))
}

/// Room for the events of one [`Poll::wait`].
pub fn events() -> Vec<Event> {
    Vec::with_capacity(EVENTS)
}

/// An epoll instance.
pub struct Poll(OwnedFd);

impl Poll {
    /// epoll_create1(2).
    pub fn new() -> Result<Self> {
        epoll::create(epoll::CreateFlags::CLOEXEC).map(Self)
    }

    /// Reports `fd` as `token` when it can be read, and when it can be written to where `writable`.
    pub fn add(&self, fd: &OwnedFd, token: u64, writable: bool) -> Result<()> {
        let flags = if writable { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        epoll::add(&self.0, fd, EventData::new_u64(token), flags)
    }

    /// From now on only when it can be read.
    pub fn reads_only(&self, fd: &OwnedFd, token: u64) -> Result<()> {
        epoll::modify(&self.0, fd, EventData::new_u64(token), EventFlags::IN)
    }

    /// Waits for `ms` at most, for ever where there are none; puts what happened in place of `events`.
    pub fn wait(&self, ms: Option<i64>, events: &mut Vec<Event>) {
        let timeout = ms.map(|ms| Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 });
        events.clear();
        // An interrupted wait has no events.
        let _ = epoll::wait(&self.0, rustix::buffer::spare_capacity(events), timeout.as_ref());
    }
}

/// Times in microseconds, each with an error of less than 1/256.
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; 32768], count: 0 }
    }
}

impl Histogram {
    /// A time in seconds.
    pub fn record(&mut self, seconds: f64) {
        let us = (seconds * 1e6) as u64;
        let bits = us.checked_ilog2().unwrap_or(0).saturating_sub(8);
        let at = (bits as usize * 256 + (us >> bits) as usize).min(self.counts.len() - 1);
        self.counts[at] += 1;
        self.count += 1;
    }

    /// The time below which `share` of all lie, in microseconds.
    pub fn quantile_us(&self, share: f64) -> u64 {
        let (wanted, mut below) = ((self.count as f64 * share) as u64, 0);
        for (at, count) in self.counts.iter().enumerate() {
            below += count;
            if below > wanted {
                let bits = (at / 256).saturating_sub(1);
                return ((at - bits * 256) as u64) << bits;
            }
        }
        0
    }
}
