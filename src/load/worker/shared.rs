//! What the workers of a run share, and what they report to it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use crate::model::outcome::Failure;
use crate::model::time::Stamp;
use crate::stats::interval::Interval;
use crate::stats::totals::WorkerTotals;
use crate::sys::signals::StopFlag;

/// What the workers of a run share: a few counters, no locks.
#[derive(Debug)]
pub(in crate::load) struct Shared {
    /// end now
    pub(in crate::load) stop: AtomicBool,
    /// so does a signal: its sender may have ended the target as well, and what fails after it says nothing of the target
    pub(in crate::load) signal: StopFlag,
    /// attempts left of `--requests`; meaningless without it
    pub(in crate::load) tickets: AtomicI64,
    /// users that have a connection
    pub(in crate::load) connected: AtomicU32,
    /// the most there were at once
    pub(in crate::load) connected_peak: AtomicU32,
    /// users that pause because they could not make a connection
    pub(in crate::load) paused: AtomicU32,
}

impl Shared {
    pub(in crate::load) fn new(requests: u64, signal: StopFlag) -> Self {
        Self {
            stop: AtomicBool::new(false),
            signal,
            tickets: AtomicI64::new(i64::try_from(requests).unwrap_or(i64::MAX)),
            connected: AtomicU32::new(0),
            connected_peak: AtomicU32::new(0),
            paused: AtomicU32::new(0),
        }
    }

    /// Whether the run is to end now.
    pub(in crate::load) fn is_to_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.signal.is_set()
    }
}

/// What a worker reports to the run.
#[derive(Debug)]
pub(in crate::load) enum Report {
    /// the worker is made and waits for the clock; or why it could not be made
    Ready(io::Result<()>),
    /// a whole second is over
    Second(Box<Interval>),
    /// after the first second no connection was ever established, and all attempts failed in the same way
    Refused(Failure),
    /// the worker is done
    Done { totals: Box<WorkerTotals>, ended: Stamp, alike: Option<Failure>, opened: bool },
}
