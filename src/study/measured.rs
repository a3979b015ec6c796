//! One measured run: the load, the observer beside it, and the diagnosis afterwards. What `load` does once and
//! `study` does once a step.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::diagnose;
use crate::load::run::{self, Ended, LoadRun, UsersNow};
use crate::load::steering::Steering;
use crate::model::plan::LoadPlan;
use crate::model::result::RunResult;
use crate::observe::{self, Baseline, LivePorts, Observation, ObservePlan, Observer};
use crate::stats::aggregate::Aggregate;
use crate::stats::interval::{Interval, SecondSummary};
use crate::sys::clock::{self, Clock};
use crate::sys::first_thread::FirstThread;
use crate::sys::signals::StopFlag;

/// The plan of a run that somebody steered is what they made of it: its length, and the most users at once.
fn planned_as_steered(result: &mut RunResult, load: &LoadRun) {
    result.plan.duration = load.duration;
    result.plan.users = load.users.iter().map(|(_, asked, _)| *asked).max().unwrap_or(0).max(result.plan.threads);
}

/// How often the live of a second that has just ended is read, and how far apart.
const LIVE_TRIES: u32 = 20;
/// See [`LIVE_TRIES`].
const LIVE_EVERY: Duration = Duration::from_millis(5);

/// What is asked of the outside while a run goes on.
pub trait Watch {
    /// A whole second is over, all workers merged.
    fn on_interval(&mut self, interval: &Interval);
    /// The latest whole second in figures, about once a second.
    fn on_second(&mut self, second: &SecondSummary, users: UsersNow, live: Option<&LivePorts>);
    /// What was seen of each of several destinations at the end of the second that [`Self::on_second`] has next.
    fn on_destinations(&mut self, _each: &[LivePorts]) {}
    /// Asked several times a second: true ends the run.
    fn is_stopped(&mut self) -> bool;
    /// Who decides how many users there are; none: the plan.
    fn steering(&self) -> Option<Arc<Steering>> {
        None
    }
    /// The flag of the signals that end the run at once; none: [`Self::is_stopped`] alone ends it.
    fn signal(&self) -> Option<StopFlag> {
        None
    }
    /// How many load threads of this program have lower numbers.
    fn first_thread(&self) -> u32 {
        0
    }
    /// The process's first thread, where the load may have it; asked once.
    fn first(&self) -> Option<&FirstThread> {
        None
    }
    /// All is ready for the load; the clock that it begins with.
    fn on_ready(&mut self) -> Clock {
        Clock::start()
    }
    /// The observer looks on; the load begins.
    fn on_observed(&mut self) {}
    /// The load is over and its last second has come; the result is yet to be made.
    fn on_load_over(&mut self) {}
}

/// A run that is over.
#[derive(Debug)]
pub struct Measured {
    /// the whole result, findings included
    pub result: RunResult,
    /// why it ended
    pub ended: Ended,
}

/// Runs `plan` and watches it; `baseline` is the look before it. `target_pid` names the target's process where it is
/// sockbench's own server.
///
/// Errors: a poll or a thread could not be made.
pub fn measure(
    plan: &LoadPlan,
    baseline: Baseline,
    target_pid: Option<u32>,
    command: &str,
    watch: &mut dyn Watch,
) -> io::Result<Measured> {
    let mut measured = load(plan, baseline, target_pid, command, watch)?.counted();
    diagnose::settle(&mut measured.result);
    Ok(measured)
}

/// A load that is over, and what was seen meanwhile.
pub(super) struct Loaded {
    result: RunResult,
    /// none where there was nothing to do
    pub(super) load: Option<LoadRun>,
    seen: Option<Observation>,
}

/// The load of one plan, with its observer. Errors: a poll or a thread could not be made.
pub(super) fn load(
    plan: &LoadPlan,
    baseline: Baseline,
    target_pid: Option<u32>,
    command: &str,
    watch: &mut dyn Watch,
) -> io::Result<Loaded> {
    let mut result = RunResult::new(plan.clone(), command.to_owned(), clock::wall_rfc3339(), baseline.host.clone());
    for (key, reason) in &baseline.host_missing {
        result.explain_null(key, reason.clone());
    }
    if plan.is_empty() {
        // A shard without users or requests: over before it began.
        return Ok(Loaded { result, load: None, seen: None });
    }
    let observed = plan.observe.then(|| ObservePlan::of(baseline, target_pid));
    let mut relay = Relay { watch, observed, observer: None, shown: None };
    let load = run::run(plan, &mut relay)?;
    let Relay { watch, observer, .. } = relay;
    watch.on_load_over();
    if watch.steering().is_some() {
        planned_as_steered(&mut result, &load);
    }
    Ok(Loaded { result, load: Some(load), seen: observer.map(Observer::stop) })
}

impl Loaded {
    /// The result without its diagnosis.
    pub(super) fn counted(self) -> Measured {
        let Self { mut result, load, seen } = self;
        let Some(load) = load else {
            Aggregate::new(&result.plan).fill(&mut result, Duration::ZERO, &[]);
            observe::apply_unobserved(&mut result, "this shard had nothing to do");
            return Measured { result, ended: Ended::Planned };
        };
        load.aggregate.fill(&mut result, load.duration, &load.users);
        result.totals.users_asked = result.plan.users;
        result.totals.users_reached = load.users_reached;
        match seen {
            Some(mut seen) => {
                if result.totals.requests == result.totals.failures {
                    seen.on_unanswered();
                }
                seen.apply(&mut result);
            }
            None => observe::apply_unobserved(&mut result, "not watched: --no-observe"),
        }
        result.validity.stopped = load.ended == Ended::Stopped;
        Measured { result, ended: load.ended }
    }
}

/// The live as of the end of `second`. The observer looks at the same moment: it is given a little time, so that the line
/// does not show the ports of a second ago. The load threads do not wait for this.
fn live_at(observer: &Observer, second: u64) -> LivePorts {
    for _ in 0..LIVE_TRIES {
        let live = observer.live();
        if live.looked.is_some_and(|looked| looked >= second) {
            return live;
        }
        clock::sleep(LIVE_EVERY);
    }
    observer.live()
}

struct Relay<'a> {
    watch: &'a mut dyn Watch,
    observed: Option<ObservePlan>,
    observer: Option<Observer>,
    shown: Option<u64>,
}

impl run::Watch for Relay<'_> {
    fn on_ready(&mut self) -> Clock {
        let clock = self.watch.on_ready();
        self.observer = self.observed.take().map(|plan| Observer::start(plan, clock));
        self.watch.on_observed();
        clock
    }

    fn on_interval(&mut self, interval: &Interval) {
        self.watch.on_interval(interval);
    }

    fn on_turn(&mut self, now: Duration, users: UsersNow, so_far: &Aggregate) -> bool {
        let last = now.as_secs().checked_sub(1);
        if let Some(second) = last.filter(|s| Some(*s) != self.shown).and_then(|s| so_far.second(s)) {
            self.shown = last;
            let live = self.observer.as_ref().map(|observer| live_at(observer, second.second));
            self.watch.on_second(&second, users, live.as_ref());
        }
        self.watch.is_stopped()
    }

    fn steering(&self) -> Option<Arc<Steering>> {
        self.watch.steering()
    }

    fn signal(&self) -> Option<StopFlag> {
        self.watch.signal()
    }

    fn first_thread(&self) -> u32 {
        self.watch.first_thread()
    }

    fn first(&self) -> Option<&FirstThread> {
        self.watch.first()
    }
}
