//! Whether this machine let a run be what it should be, seen by something that is no part of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use procfs::CurrentSI as _;
use serde::{Deserialize, Serialize};

/// What the witness saw.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// how late a thread woke up that wants to wake up every millisecond, 99th percentile
    pub(crate) late_ms: f64,
    /// CPU that neither this process nor its children took, percent of a core
    pub(crate) others_percent: f64,
}

/// Watches from its start to its end.
pub(crate) struct Witness {
    stop: Arc<AtomicBool>,
    sleeper: Option<JoinHandle<Vec<Duration>>>,
    began: Instant,
    busy_s: f64,
    own_s: f64,
}

impl Witness {
    /// Without the sleeper where the run needs all of the machine.
    pub(crate) fn start(sleeps: Sleeper) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let sleeper = (sleeps == Sleeper::With).then(|| std::thread::spawn(move || lateness(&ended)));
        Self { stop, sleeper, began: Instant::now(), busy_s: busy_s(), own_s: own_s() }
    }

    pub(crate) fn end(self) -> Seen {
        let span_s = self.began.elapsed().as_secs_f64();
        let others_s = (busy_s() - self.busy_s) - (own_s() - self.own_s);
        self.stop.store(true, Ordering::Relaxed);
        let mut late = self.sleeper.map(|thread| thread.join().unwrap()).unwrap_or_default();
        late.sort_unstable();
        let late_ms = late.get(late.len() * 99 / 100).map_or(0.0, |d| d.as_secs_f64() * 1000.0);
        Seen { late_ms, others_percent: (others_s / span_s * 100.0).max(0.0) }
    }
}

/// Whether a witness has a thread that sleeps and wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleeper {
    With,
    Without,
}

fn lateness(ended: &AtomicBool) -> Vec<Duration> {
    let mut late = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let due = Instant::now() + Duration::from_millis(1);
        std::thread::sleep(Duration::from_millis(1));
        late.push(due.elapsed());
    }
    late
}

/// CPU time of the whole machine since it started.
fn busy_s() -> f64 {
    let t = procfs::KernelStats::current().unwrap().total;
    let ticks = t.user + t.nice + t.system + t.irq.unwrap_or(0) + t.softirq.unwrap_or(0);
    ticks as f64 / procfs::ticks_per_second() as f64
}

/// CPU time of this process and of its children that have ended.
fn own_s() -> f64 {
    let of = |who| {
        let usage = getrusage(who).unwrap();
        [usage.user_time(), usage.system_time()].iter().map(|t| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6).sum::<f64>()
    };
    of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN)
}
