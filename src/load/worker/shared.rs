//! What the workers of a run share, and what they report to it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32};

use crate::model::outcome::Failure;
use crate::model::time::Stamp;
use crate::stats::interval::Interval;
use crate::stats::totals::WorkerTotals;

/// What the workers of a run share: a few counters, no locks.
#[derive(Debug)]
pub(in crate::load) struct Shared {
    /// end now
    pub(in crate::load) stop: AtomicBool,
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
    pub(in crate::load) fn new(requests: u64) -> Self {
        Self {
            stop: AtomicBool::new(false),
            tickets: AtomicI64::new(i64::try_from(requests).unwrap_or(i64::MAX)),
            connected: AtomicU32::new(0),
            connected_peak: AtomicU32::new(0),
            paused: AtomicU32::new(0),
        }
    }
}

/// What a worker reports to the run.
#[derive(Debug)]
pub(in crate::load) enum Report {
    /// a whole second is over
    Second(Box<Interval>),
    /// after the first second no connection was ever established, and all attempts failed in the same way
    Refused(Failure),
    /// the worker is done
    Done { totals: Box<WorkerTotals>, ended: Stamp, alike: Option<Failure>, opened: bool },
}
