//! The one place that reads a clock. Loops read it once per turn for scheduling; measured stamps are taken right
//! at the system call.
#![expect(clippy::disallowed_methods, reason = "this file is the clock")]

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::model::time::Stamp;

/// A monotonic clock whose epoch is the moment it was made. Copies share the epoch.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch_ns: u64,
}

impl Clock {
    /// A clock that reads zero now.
    pub fn start() -> Self {
        Self { epoch_ns: monotonic_ns() }
    }

    /// Time since the epoch (CLOCK_MONOTONIC, about 22 ns a call through the vDSO).
    pub fn now(&self) -> Stamp {
        Stamp(monotonic_ns().saturating_sub(self.epoch_ns))
    }
}

/// CLOCK_MONOTONIC, nanoseconds since the host started.
fn monotonic_ns() -> u64 {
    let t = clock_gettime(ClockId::Monotonic);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// Wall time, for dates in reports only.
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Wall time in nanoseconds since 1970; 0 before.
pub fn wall_unix_ns() -> u64 {
    wall().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Wall time in seconds since 1970.
pub fn wall_s() -> f64 {
    wall_unix_ns() as f64 / 1e9
}

/// Sleeps. For threads whose job is to wait: the blocking pool, the observer, the commands.
pub fn sleep(d: Duration) {
    std::thread::sleep(d);
}

/// Wall time as reports write it: RFC 3339, UTC, milliseconds.
pub fn wall_rfc3339() -> String {
    humantime::format_rfc3339_millis(wall()).to_string()
}
