//! One run to several destinations: a load for each, side by side in this program, with one start, one clock and one end.
//! Each has its own workers, its own observer and its own pool of ports; what they counted is joined second by second.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::measured::{self, Loaded, Watch};
use crate::load::run::{Ended, UsersNow};
use crate::merge::destinations as joined;
use crate::model::plan::LoadPlan;
use crate::model::result::RunResult;
use crate::observe::{Baseline, LivePorts};
use crate::stats::aggregate::Aggregate;
use crate::stats::interval::{Interval, SecondSummary};
use crate::stats::so_far::users_of_all;
use crate::sys::clock::{self, Clock};
use crate::sys::signals::StopFlag;

/// How long to wait for what a load says before the outside is asked whether all are to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The plan of one destination, and the look before its run.
#[derive(Debug)]
pub struct Planned {
    /// its part of the plan
    pub plan: LoadPlan,
    /// what was found before the first request
    pub baseline: Baseline,
}

/// Runs to several destinations that are over.
#[derive(Debug)]
pub struct Several {
    /// all of them as one run, in which each is kept
    pub result: RunResult,
    /// why each ended, in the order of the destinations
    pub ended: Vec<Ended>,
}

/// Runs all `parts` of `plan` at the same time and watches them as one run.
///
/// Errors: a poll or a thread could not be made; all have ended then.
pub fn measure(plan: &LoadPlan, parts: Vec<Planned>, command: &str, watch: &mut dyn Watch) -> io::Result<Several> {
    let (told, hear) = crossbeam_channel::unbounded();
    let gate = Gate::for_all(parts.len());
    let stop = AtomicBool::new(false);
    let host = parts.first().map(|part| part.baseline.host.clone());
    let Some(host) = host else { return Err(io::Error::other("no destination")) };
    let mut joint = RunResult::new(plan.clone(), command.to_owned(), clock::wall_rfc3339(), host);
    let mut gathering = Gathering::new(plan, &parts);
    let loaded: io::Result<Vec<Loaded>> = thread::scope(|scope| {
        let mut threads = Vec::new();
        let mut first_thread = 0;
        for (at, part) in parts.into_iter().enumerate() {
            let mut lane = Lane {
                at,
                first_thread,
                told: told.clone(),
                gate: &gate,
                stop: &stop,
                signal: watch.signal().unwrap_or_default(),
            };
            first_thread += part.plan.threads;
            let run = move || {
                let loaded = measured::load(&part.plan, part.baseline, None, command, &mut lane);
                if loaded.is_err() {
                    lane.give_up();
                }
                loaded
            };
            threads.push(thread::Builder::new().name(format!("destination-{}", at + 1)).spawn_scoped(scope, run));
        }
        drop(told);
        if threads.iter().any(Result::is_err) {
            stop.store(true, Ordering::Relaxed);
            gate.open();
        }
        gathering.gather(&hear, &stop, watch);
        let ends = threads.into_iter().map(|made| made?.join().map_err(|_| io::Error::other("a load ended in a panic"))?);
        ends.collect()
    });
    let loaded = loaded?;
    watch.on_load_over();
    gathering.fill(&mut joint, &loaded);
    let (runs, ended): (Vec<RunResult>, Vec<Ended>) =
        loaded.into_iter().map(Loaded::counted).map(|measured| (measured.result, measured.ended)).unzip();
    joint.totals.users_asked = runs.iter().map(|run| run.totals.users_asked).sum();
    joint.totals.users_reached = runs.iter().map(|run| run.totals.users_reached).sum();
    joined::join(&mut joint, runs);
    Ok(Several { result: joint, ended })
}

/// What a load says while it goes on, with its place among the destinations.
enum Told {
    /// a whole second is over
    Interval(usize, Interval),
    /// and was looked at
    Second(usize, Box<Looked>),
    /// there is nothing more to come
    Over(usize),
}

/// What was seen of one destination at the end of a second.
#[derive(Debug, Clone, Copy)]
struct Looked {
    second: u64,
    users: UsersNow,
    live: Option<LivePorts>,
}

/// One load.
struct Lane<'a> {
    at: usize,
    first_thread: u32,
    told: Sender<Told>,
    gate: &'a Gate,
    stop: &'a AtomicBool,
    signal: StopFlag,
}

impl Lane<'_> {
    /// It could not begin: the others end.
    fn give_up(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.gate.open();
    }

    fn tell(&self, told: Told) {
        // Nobody hears it where all has failed.
        let _ = self.told.send(told);
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        // Nobody waits for one that ended in a panic.
        if thread::panicking() {
            self.give_up();
        }
        self.tell(Told::Over(self.at));
    }
}

impl Watch for Lane<'_> {
    fn on_interval(&mut self, interval: &Interval) {
        self.tell(Told::Interval(self.at, interval.clone()));
    }

    fn on_second(&mut self, second: &SecondSummary, users: UsersNow, live: Option<&LivePorts>) {
        // The kernel counts the connections of all destinations.
        let live = live.map(|live| LivePorts { rate_cps: Some(second.connects as f64), ..*live });
        self.tell(Told::Second(self.at, Box::new(Looked { second: second.second, users, live })));
    }

    fn is_stopped(&mut self) -> bool {
        // The workers see a signal themselves: a load that it ended is stopped, whether or not the others know of it yet.
        self.stop.load(Ordering::Relaxed) || self.signal.is_set()
    }

    fn signal(&self) -> Option<StopFlag> {
        Some(self.signal.clone())
    }

    fn first_thread(&self) -> u32 {
        self.first_thread
    }

    fn on_ready(&mut self) -> Clock {
        self.gate.pass();
        self.gate.clock()
    }

    /// An observer copies the table of descriptors, and closes the copies: no load opens or closes a connection before all
    /// have theirs. Those that were made before the start stay open meanwhile.
    fn on_observed(&mut self) {
        self.gate.pass();
    }
}

/// All loads pass it together, twice: when their workers are ready, and when their observers look on.
struct Gate {
    loads: usize,
    state: Mutex<GateState>,
    moved: Condvar,
    clock: OnceLock<Clock>,
}

#[derive(Default)]
struct GateState {
    /// times that a load came to it
    came: usize,
    /// nobody waits any more
    open: bool,
}

impl Gate {
    fn for_all(loads: usize) -> Self {
        Self { loads: loads.max(1), state: Mutex::default(), moved: Condvar::new(), clock: OnceLock::new() }
    }

    /// Waits until all have come as often as this one.
    fn pass(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.came += 1;
        let wanted = state.came.div_ceil(self.loads) * self.loads;
        self.moved.notify_all();
        while state.came < wanted && !state.open {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).open = true;
        self.moved.notify_all();
    }

    /// One for all.
    fn clock(&self) -> Clock {
        *self.clock.get_or_init(Clock::start)
    }
}

/// Joins what the loads say.
struct Gathering {
    aggregate: Aggregate,
    endpoints: usize,
    /// of each destination, the number of its first endpoint
    first: Vec<u16>,
    /// of each destination the last look; none before the first
    looked: Vec<Option<Looked>>,
    /// of each destination the last second that came
    last: Vec<Option<u64>>,
    is_over: Vec<bool>,
    addresses: Vec<std::net::SocketAddr>,
    shown: Option<u64>,
}

impl Gathering {
    fn new(plan: &LoadPlan, parts: &[Planned]) -> Self {
        let endpoints = |before: &[Planned]| before.iter().map(|part| part.plan.mix.len()).sum::<usize>();
        let first = (0..parts.len()).map(|at| endpoints(&parts[..at]) as u16).collect();
        Self {
            aggregate: Aggregate::of_destinations(plan),
            endpoints: plan.mix.len(),
            first,
            looked: vec![None; parts.len()],
            last: vec![None; parts.len()],
            is_over: vec![false; parts.len()],
            addresses: parts.iter().map(|part| part.baseline.dest).collect(),
            shown: None,
        }
    }

    /// Until all are over.
    fn gather(&mut self, hear: &Receiver<Told>, stop: &AtomicBool, watch: &mut dyn Watch) {
        loop {
            match hear.recv_timeout(LOOK) {
                Ok(Told::Interval(at, interval)) => {
                    self.last[at] = Some(interval.second);
                    self.aggregate.add_interval(interval.moved(self.first[at], self.endpoints));
                    self.hand_over(watch);
                }
                Ok(Told::Second(at, looked)) => self.looked[at] = Some(*looked),
                Ok(Told::Over(at)) => {
                    self.is_over[at] = true;
                    self.aggregate.end_destination(self.last[at]);
                    self.hand_over(watch);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.show(watch);
            if watch.is_stopped() {
                stop.store(true, Ordering::Relaxed);
            }
        }
    }

    fn hand_over(&mut self, watch: &mut dyn Watch) {
        for second in self.aggregate.take_complete() {
            watch.on_interval(&second);
        }
    }

    /// The latest second that all who go on have looked at.
    fn show(&mut self, watch: &mut dyn Watch) {
        let going = || self.looked.iter().zip(&self.is_over).filter(|(_, over)| !**over).map(|(looked, _)| looked);
        let Some(Some(second)) = going().map(|looked| looked.map(|l| l.second)).min() else { return };
        if self.shown >= Some(second) {
            return;
        }
        let Some(counted) = self.aggregate.second(second) else { return };
        self.shown = Some(second);
        let users = at_work(&self.looked, second).fold(UsersNow::default(), |sum, (_, looked)| UsersNow {
            asked: sum.asked.saturating_add(looked.users.asked),
            active: sum.active.saturating_add(looked.users.active),
        });
        let each: Vec<LivePorts> = at_work(&self.looked, second)
            .filter_map(|(at, looked)| Some(LivePorts { towards: Some(self.addresses[at]), ..looked.live? }))
            .collect();
        watch.on_destinations(&each);
        watch.on_second(&counted, users, LivePorts::of_all(&each).as_ref());
    }

    /// Writes what was counted of all into `result`.
    fn fill(mut self, result: &mut RunResult, loaded: &[Loaded]) {
        let loads = || loaded.iter().filter_map(|one| one.load.as_ref());
        for (one, first) in loaded.iter().zip(&self.first) {
            if let Some(load) = &one.load {
                self.aggregate.add_destination(&load.aggregate, *first);
            }
        }
        let duration = loads().map(|load| load.duration).max().unwrap_or_default();
        self.aggregate.fill(result, duration, &users_of_all(loads().flat_map(|load| load.users.iter().copied())));
    }
}

/// The last look at each destination that had not ended before `second`, with its place. What was seen of one that had is of
/// another time.
fn at_work(looked: &[Option<Looked>], second: u64) -> impl Iterator<Item = (usize, &Looked)> {
    let known = looked.iter().enumerate().filter_map(|(at, looked)| Some((at, looked.as_ref()?)));
    known.filter(move |(_, looked)| looked.second >= second)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Workers end at a signal by themselves, before the others know of it.
    #[test]
    fn a_load_that_a_signal_ended_is_stopped_at_once() {
        let (gate, stop, signal) = (Gate::for_all(1), AtomicBool::new(false), StopFlag::default());
        let (told, _hear) = crossbeam_channel::unbounded();
        let mut lane = Lane { at: 0, first_thread: 0, told, gate: &gate, stop: &stop, signal: signal.clone() };
        assert!(!lane.is_stopped());
        signal.ask(2).expect("the first");
        assert!(lane.is_stopped() && !stop.load(Ordering::Relaxed));
    }

    /// Whoever waits at the gate for a load that panicked goes on, and ends.
    #[test]
    fn a_load_that_ends_in_a_panic_opens_the_gate() {
        let (gate, stop) = (Gate::for_all(2), AtomicBool::new(false));
        let (told, hear) = crossbeam_channel::unbounded();
        let lane = |at| Lane { at, first_thread: 0, told: told.clone(), gate: &gate, stop: &stop, signal: StopFlag::default() };
        let (mut waits, fails) = (lane(0), lane(1));
        thread::scope(|scope| {
            let waits = scope.spawn(move || {
                waits.on_ready();
                waits.on_observed();
                waits.is_stopped()
            });
            let fails = scope.spawn(move || {
                let _lane = fails;
                // As a worker's panic comes out of the scope that joined it.
                std::panic::resume_unwind(Box::new("a worker"));
            });
            assert!(fails.join().is_err());
            assert!(waits.join().expect("it waits no more"));
        });
        let over = hear.try_iter().filter(|told| matches!(told, Told::Over(_))).count();
        assert_eq!(over, 2, "nobody waits for what either says");
    }

    #[test]
    fn one_that_ended_in_a_second_has_its_users_in_it_and_none_after() {
        let users = UsersNow { asked: 20, active: 20 };
        let looked = [Some(Looked { second: 9, users, live: None }), Some(Looked { second: 10, users, live: None }), None];
        let places = |second| at_work(&looked, second).map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!((places(9), places(10), places(11)), (vec![0, 1], vec![1], vec![]));
    }

    #[test]
    fn loads_pass_a_gate_together_or_not_at_all() {
        let gate = Gate::for_all(3);
        let passed = std::sync::atomic::AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    gate.pass();
                    passed.fetch_add(1, Ordering::SeqCst);
                    let clock = gate.clock();
                    gate.pass();
                    assert_eq!(passed.load(Ordering::SeqCst), 3, "all had passed it once");
                    assert_eq!(format!("{clock:?}"), format!("{:?}", gate.clock()), "one clock");
                });
            }
        });
        let gate = Gate::for_all(2);
        thread::scope(|scope| {
            scope.spawn(|| gate.pass());
            gate.open();
        });
    }
}
