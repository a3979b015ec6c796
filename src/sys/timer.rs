//! A timer with microsecond resolution in an event loop: timerfd(2). mio rounds a poll's timeout up to whole
//! milliseconds, which would make every request of a constant-rate run up to 1 ms late.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// A one-shot timer registered with a poll.
#[derive(Debug)]
pub struct LoopTimer {
    fd: TimerFd,
}

impl LoopTimer {
    /// Makes a timer that reports readiness under `token`. Errors: EMFILE and what epoll_ctl(2) gives.
    pub fn register(registry: &Registry, token: Token) -> io::Result<Self> {
        let fd = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        registry.register(&mut SourceFd(&fd.as_fd().as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { fd })
    }

    /// For a table of descriptors that is split.
    pub fn descriptor(&self) -> RawFd {
        self.fd.as_fd().as_raw_fd()
    }

    /// Fires once, `after` from now; an earlier setting is replaced. The readiness needs no read: setting the
    /// timer again clears it, and registration is edge-triggered.
    pub fn set(&self, after: Duration) -> io::Result<()> {
        let after = after.max(Duration::from_nanos(1));
        self.fd.set(Expiration::OneShot(TimeSpec::from_duration(after)), TimerSetTimeFlags::empty())?;
        Ok(())
    }
}
