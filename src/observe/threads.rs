//! Threads of the processes that are measured: their CPU time and run-queue wait since the start, and within the last
//! interval.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::model::facts::ThreadUsage;
use crate::model::order::Order as _;
use crate::model::result::{CoreUse, ThreadRow};
use crate::model::time::Stamp;
use crate::sys::first_thread;
use crate::sys::process::ThreadReader;
use crate::sys::thread::only_core_of;

/// Linux cuts thread names after 15 bytes.
const COMM_BYTES: usize = 15;
/// Names of this program's threads that are longer than that.
const LONG_NAMES: [&str; 1] = [super::THREAD_NAME];

/// Threads of one or more processes: their time since the start, and within the last interval.
#[derive(Debug, Default)]
pub(super) struct Threads {
    reader: ThreadReader,
    known: HashMap<i32, Track>,
    primed: bool,
    /// when the last interval ended
    marked: Stamp,
    /// most CPU seconds of a thread that was forgotten
    retired_cpu_s: f64,
}

/// What threads did with an interval: shares of its length, 1 is all of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shares {
    /// the thread that ran most: running
    pub(super) ran: f64,
    /// the same thread: runnable, but waiting for a core
    pub(super) waited: f64,
    /// the longest such wait of any of the threads
    pub(super) waited_most: f64,
}

#[derive(Debug)]
struct Track {
    name: String,
    /// at the start of the observation; zero for a thread that was born later
    first: (f64, f64),
    /// at the last interval's end
    mark: (f64, f64),
    last: (f64, f64),
    last_at: Stamp,
    alive: bool,
    /// the only core that it may run on, at the end of the last interval in which it ran, or else of its first one
    core: Option<u32>,
    is_core_known: bool,
}

/// A shorter time gives no share of CPU: its start and end are read too unevenly. Nor does a thread that ended this soon after the
/// last interval say anything about the present one.
pub(super) const SHARE_SPAN_MIN: Duration = Duration::from_millis(200);

/// What a process or thread that is seen for the first time had used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Newcomer {
    /// nothing: it was born since the last look
    Born,
    /// what it has by now: it may have lived unseen for longer
    Unseen,
}

impl Newcomer {
    pub(super) fn baseline<T: Default>(self, now: T) -> T {
        if self == Self::Born { T::default() } else { now }
    }
}

impl Threads {
    /// Reads all threads of `pids`. The first reading is the baseline.
    pub(super) fn read(&mut self, pids: &[u32], at: Stamp, newcomer: Newcomer) -> Result<(), String> {
        let mut failure = None;
        let mut seen: Vec<ThreadUsage> = Vec::new();
        for pid in pids {
            match self.reader.read(*pid) {
                Ok(threads) => seen.extend(threads),
                Err(e) => failure = Some(format!("/proc/{pid}/task/*/schedstat: {e}")),
            }
        }
        if let (true, Some(e)) = (seen.is_empty(), failure) {
            return Err(e);
        }
        for track in self.known.values_mut() {
            track.alive = false;
        }
        for t in seen {
            let now = (t.cpu_s, t.wait_s);
            let born = if self.primed { newcomer.baseline(now) } else { now };
            let track = self.known.entry(t.tid).or_insert_with(|| Track {
                name: String::new(),
                first: born,
                mark: born,
                last: now,
                last_at: at,
                alive: true,
                core: None,
                is_core_known: false,
            });
            track.name = first_thread::name_of(t.tid).map_or(t.name, str::to_owned);
            (track.last, track.last_at) = (now, at);
            track.alive = true;
        }
        if !self.primed {
            (self.primed, self.marked) = (true, at);
        }
        Ok(())
    }

    /// What the `wanted` threads did since the last mark. One that ended meanwhile is judged by the part
    /// in which it was seen: workers end with the run's last second. None where no thread was seen long enough.
    pub(super) fn shares(&self, wanted: impl Fn(&str) -> bool) -> Option<Shares> {
        let share = |t: &Track| {
            let span = t.last_at.since(self.marked);
            (span >= SHARE_SPAN_MIN).then(|| {
                let (ran, waited) = ((t.last.0 - t.mark.0) / span.as_secs_f64(), (t.last.1 - t.mark.1) / span.as_secs_f64());
                Shares { ran, waited, waited_most: waited }
            })
        };
        self.known.values().filter(|t| wanted(&t.name)).filter_map(share).reduce(|a, b| {
            let busiest = if b.ran > a.ran { b } else { a };
            Shares { waited_most: a.waited_most.max(b.waited_most), ..busiest }
        })
    }

    pub(super) fn mark(&mut self, at: Stamp) {
        self.marked = at;
        for (tid, track) in &mut self.known {
            // A pool of idle threads costs nothing here. Less time than before is that of a new thread with an old number.
            let ran = track.last.0 != track.mark.0;
            track.mark = track.last;
            // One that ended since the last look keeps what was seen of it.
            if track.alive
                && (ran || !track.is_core_known)
                && let Ok(core) = only_core_of(*tid)
            {
                (track.core, track.is_core_known) = (core, true);
            }
        }
    }

    /// Threads that lived at the last reading.
    pub(super) fn alive(&self) -> u32 {
        self.known.values().filter(|t| t.alive).count() as u32
    }

    /// Forgets threads that ended: a target may start one for each request.
    pub(super) fn retire_dead(&mut self) {
        let dead = self.known.values().filter(|t| !t.alive).map(|t| t.last.0 - t.first.0);
        self.retired_cpu_s = dead.fold(self.retired_cpu_s, f64::max);
        self.known.retain(|_, t| t.alive);
        self.reader.forget_but(|tid| self.known.contains_key(&tid));
    }

    /// CPU seconds since the start of the thread that used most.
    pub(super) fn busiest_cpu_s(&self) -> Option<f64> {
        let alive = self.known.values().map(|t| t.last.0 - t.first.0).reduce(f64::max);
        alive.or((self.retired_cpu_s > 0.0).then_some(0.0)).map(|cpu_s| cpu_s.max(self.retired_cpu_s))
    }

    /// What threads that are confined to one core used of it, by core.
    pub(super) fn cores(&self) -> Vec<CoreUse> {
        let mut by_core = BTreeMap::new();
        for track in self.known.values() {
            if let Some(core) = track.core {
                *by_core.entry(core).or_insert(0.0) += track.last.0 - track.first.0;
            }
        }
        by_core.into_iter().map(|(core, cpu_s)| CoreUse { core, cpu_s }).collect()
    }

    pub(super) fn rows(&self) -> Vec<ThreadRow> {
        let mut tids: Vec<_> = self.known.iter().collect();
        tids.order_by_key(|(tid, _)| **tid);
        tids.into_iter()
            .map(|(_, t)| ThreadRow { name: full_name(&t.name), cpu_s: t.last.0 - t.first.0, wait_s: t.last.1 - t.first.1 })
            .collect()
    }
}

fn full_name(comm: &str) -> String {
    let whole = LONG_NAMES.iter().find(|n| n.len() > COMM_BYTES && comm == &n[..COMM_BYTES]);
    whole.map_or_else(|| comm.to_owned(), |n| (*n).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_long_thread_name_is_whole_again() {
        assert_eq!(full_name("sockbench-obser"), "sockbench-observer");
        assert_eq!(full_name("load-255"), "load-255");
    }

    #[test]
    fn a_thread_is_asked_for_its_core_where_it_ran_or_is_new() {
        let (own, elsewhere) = (nix::unistd::gettid().as_raw(), Some(9999));
        let after_of = |tid: i32, used_before: f64, used: f64, is_core_known: bool| {
            let (mark, last) = ((used_before, 0.0), (used, 0.0));
            let (name, last_at) = (String::new(), Stamp::ZERO);
            let track = Track { name, first: (0.0, 0.0), mark, last, last_at, alive: true, core: elsewhere, is_core_known };
            let mut threads = Threads { known: HashMap::from([(tid, track)]), ..Threads::default() };
            threads.mark(Stamp::from_millis(1000));
            threads.known[&tid].core
        };
        let after = |used_before: f64, used: f64, is_core_known: bool| after_of(own, used_before, used, is_core_known);
        let now = only_core_of(own).expect("this thread");
        assert_ne!(now, elsewhere);
        assert_eq!(after(1.0, 1.0, true), elsewhere, "it was idle");
        assert_eq!(after(1.0, 1.5, true), now, "it ran");
        assert_eq!(after(1.0, 0.0, true), now, "another thread has its number");
        assert_eq!(after(1.0, 1.0, false), now, "it is new");
        assert_eq!(after_of(i32::MAX, 1.0, 1.5, true), elsewhere, "it ran until it ended");
    }

    #[test]
    fn what_a_newcomer_had_used_unseen_is_not_charged_to_the_second_that_finds_it() {
        assert_eq!(Newcomer::Born.baseline(5.0), 0.0);
        assert_eq!(Newcomer::Unseen.baseline(5.0), 5.0);
    }
}
