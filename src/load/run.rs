//! One load run: starts the workers, gathers their seconds, ends them, and merges what they counted.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::pacer;
use super::steering::Steering;
use super::worker::{Report, Shared, Worker};
use crate::http1::request_bytes;
use crate::model::outcome::Failure;
use crate::model::plan::LoadPlan;
use crate::model::time::Stamp;
use crate::stats::aggregate::Aggregate;
use crate::stats::interval::Interval;
use crate::sys::clock::Clock;
use crate::sys::first_thread::FirstThread;
use crate::sys::signals::StopFlag;
use crate::sys::thread::{self, cores};

/// How long after the planned end a worker may take to report.
const JOIN_GRACE: Duration = Duration::from_secs(5);

/// How long the run waits for a report of its workers before it looks around.
const LOOK: Duration = Duration::from_millis(250);
/// The same where somebody steers: an end that they ask for is to come soon.
const LOOK_STEERED: Duration = Duration::from_millis(50);

/// Requests from which on a single worker has the process's first thread.
const MANY_REQUESTS: u64 = 1000;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// the plan's duration or count was reached
    Planned,
    /// somebody asked for it
    Stopped,
    /// no connection was established, and every attempt failed like this
    Refused(Failure),
}

/// What a run says while it goes on.
pub trait Watch {
    /// A whole second of all workers is over.
    fn on_interval(&mut self, interval: &Interval);
    /// At least four times a second. Returns true to end the run.
    fn on_turn(&mut self, now: Duration, users: UsersNow, so_far: &Aggregate) -> bool;
    /// Who decides how many users there are; asked once. None: the plan.
    fn steering(&self) -> Option<Arc<Steering>> {
        None
    }
    /// The flag of the signals that end the run at once; asked once. None: `on_turn` alone ends it.
    fn signal(&self) -> Option<StopFlag> {
        None
    }
    /// How many load threads of this program have lower numbers; asked once.
    fn first_thread(&self) -> u32 {
        0
    }
    /// The process's first thread, where the load may have it; asked once.
    fn first(&self) -> Option<&FirstThread> {
        None
    }
    /// All is ready: starts the clock of the run, whose epoch is the run's start.
    fn on_ready(&mut self) -> Clock;
}

/// Users at the end of one second: the second, users asked for by then, users active.
pub type UsersAt = (u64, u32, u32);

/// Users at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsersNow {
    /// the plan asks for this many by now
    pub asked: u32,
    /// closed loop: started, and not paused because no connection could be made; open loop: with a connection
    pub active: u32,
}

/// A run that is over.
#[derive(Debug)]
pub struct LoadRun {
    /// what was counted
    pub aggregate: Aggregate,
    /// users at the end of each second
    pub users: Vec<UsersAt>,
    /// the most users that had a connection at the same time
    pub users_reached: u32,
    /// measured length
    pub duration: Duration,
    /// why it ended
    pub ended: Ended,
}

/// Runs the plan, on the clock of `watch`. A single worker of many requests has the process's first thread if there is one to have.
///
/// Errors: a worker's poll or thread could not be made, or a worker panicked.
pub fn run(plan: &LoadPlan, watch: &mut dyn Watch) -> io::Result<LoadRun> {
    let others = watch.steering();
    debug_assert!(others.is_none() || !plan.is_open_loop(), "a rate has no users to steer");
    let is_alone = others.is_none();
    let duty = Arc::new(Duty {
        plan: plan.clone(),
        requests: request_bytes::requests(plan),
        shared: Arc::new(Shared::new(plan.requests, watch.signal().unwrap_or_default())),
        steering: others.unwrap_or_else(|| Arc::new(Steering::of(plan))),
        begin: OnceLock::new(),
    });
    let reports = duty.ready(watch).inspect_err(|_| duty.begin(None))?;
    let clock = watch.on_ready();
    let mut gathering = Gathering {
        plan,
        clock,
        shared: &duty.shared,
        steering: Arc::clone(&duty.steering),
        is_alone,
        aggregate: Aggregate::new(plan),
        users: Vec::new(),
        ended: Ended::Planned,
        refusals: Vec::new(),
        opened: false,
        last_end: Stamp::ZERO,
        done: 0,
    };
    duty.begin(Some(clock));
    gathering.gather(&reports, watch);
    if gathering.done < plan.threads {
        return Err(panicked());
    }
    Ok(gathering.finish())
}

fn panicked() -> io::Error {
    io::Error::other("a load thread panicked")
}

/// What the workers of a run have in common.
struct Duty {
    plan: LoadPlan,
    requests: Vec<Vec<u8>>,
    shared: Arc<Shared>,
    steering: Arc<Steering>,
    /// the clock to begin with; none: the run does not take place
    begin: OnceLock<Option<Clock>>,
}

impl Duty {
    /// Makes the workers, each on its thread, where they wait until they may begin. What they report from then on.
    ///
    /// Errors: a poll or a thread could not be made, or a worker panicked.
    fn ready(self: &Arc<Self>, watch: &dyn Watch) -> io::Result<Receiver<Report>> {
        let (allowed, first_thread, threads) = (cores(), watch.first_thread(), self.plan.threads);
        // For a few requests a table of their own takes longer than it saves.
        let is_short = (1..MANY_REQUESTS).contains(&self.plan.requests);
        let lent = watch.first().filter(|_| threads == 1 && !is_short);
        let (report, reports) = crossbeam_channel::unbounded();
        for index in 0..threads {
            let number = first_thread + index;
            let core = self.plan.pin.core(number as usize, &allowed);
            let (duty, report) = (Arc::clone(self), report.clone());
            let work = Box::new(move || duty.work(index, core, report));
            match lent {
                Some(first) => first.start("load-0", work),
                None => drop(thread::start(&format!("load-{number}"), work)?),
            }
        }
        drop(report);
        for _ in 0..threads {
            match reports.recv() {
                Ok(Report::Ready(made)) => made?,
                _ => return Err(panicked()),
            }
        }
        Ok(reports)
    }

    fn begin(&self, clock: Option<Clock>) {
        // It is said once.
        let _ = self.begin.set(clock);
    }

    /// The whole work of worker `index`, on its thread.
    fn work(&self, index: u32, core: Option<usize>, report: Sender<Report>) {
        let Self { plan, requests, shared, steering, begin } = self;
        let made = Worker::new(plan, index, requests, Arc::clone(shared), Arc::clone(steering), report.clone());
        let worker = made.map(|mut worker| {
            worker.preconnect(pacer::share(plan.preconnects(), index, plan.threads));
            worker
        });
        let (worker, made) = match worker {
            Ok(worker) => (Some(worker), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // Nobody hears it where another one could not be made.
        let _ = report.send(Report::Ready(made));
        drop(report);
        if let (Some(worker), Some(clock)) = (worker, *begin.wait()) {
            worker.run(clock, core);
        }
    }
}

struct Gathering<'a> {
    plan: &'a LoadPlan,
    clock: Clock,
    shared: &'a Shared,
    steering: Arc<Steering>,
    /// the plan alone says when the run ends: whoever else steers it decides also where nothing listens
    is_alone: bool,
    aggregate: Aggregate,
    users: Vec<UsersAt>,
    ended: Ended,
    refusals: Vec<Failure>,
    opened: bool,
    last_end: Stamp,
    done: u32,
}

impl Gathering<'_> {
    fn gather(&mut self, receive: &Receiver<Report>, watch: &mut dyn Watch) {
        let planned = if self.plan.duration.is_zero() { None } else { Some(self.plan.duration) };
        let look = if self.is_alone { LOOK } else { LOOK_STEERED };
        while self.done < self.plan.threads {
            match receive.recv_timeout(look) {
                Ok(report) => self.on_report(report, watch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = self.clock.now().since(Stamp::ZERO);
            // What stages ask for at their very end belongs to no second of the run.
            let within = planned.map_or(now, |p| now.min(p.saturating_sub(Duration::from_nanos(1))));
            let users = self.users_now(within);
            self.note_users(now, users);
            if watch.on_turn(now, users, &self.aggregate) && self.ended == Ended::Planned {
                self.ended = Ended::Stopped;
                self.shared.stop.store(true, Ordering::Relaxed);
            }
            if planned.is_some_and(|p| now > p + JOIN_GRACE) {
                self.shared.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    fn on_report(&mut self, report: Report, watch: &mut dyn Watch) {
        match report {
            // Said before the clock ran.
            Report::Ready(_) => {}
            Report::Second(interval) => {
                self.aggregate.add_interval(*interval);
                for merged in self.aggregate.take_complete() {
                    watch.on_interval(&merged);
                }
            }
            Report::Refused(failure) => {
                self.refusals.push(failure);
                if self.is_alone && self.refusals.len() as u32 == self.plan.threads && self.refusals.iter().all(|f| *f == failure)
                {
                    self.ended = Ended::Refused(failure);
                    self.shared.stop.store(true, Ordering::Relaxed);
                }
            }
            Report::Done { totals, ended, alike, opened } => {
                self.last_end = self.last_end.max(ended);
                self.done += 1;
                self.opened |= opened;
                self.refusals.extend(alike);
                self.aggregate.add_worker(*totals);
                for merged in self.aggregate.take_complete() {
                    watch.on_interval(&merged);
                }
            }
        }
    }

    fn users_now(&self, now: Duration) -> UsersNow {
        if self.plan.is_open_loop() {
            let connected = self.shared.connected.load(Ordering::Relaxed);
            return UsersNow { asked: self.plan.users, active: connected };
        }
        let asked = self.steering.asked(self.plan, Stamp::from_duration(now));
        let at_work = self.steering.all_at_work();
        UsersNow { asked, active: at_work.saturating_sub(self.shared.paused.load(Ordering::Relaxed)) }
    }

    /// Each second has the figures of the last look in it.
    fn note_users(&mut self, now: Duration, users: UsersNow) {
        let at = (now.as_secs(), users.asked, users.active);
        match self.users.last_mut() {
            Some(last) if last.0 == at.0 => *last = at,
            _ => self.users.push(at),
        }
    }

    fn finish(self) -> LoadRun {
        // A run that reached its planned end lasted that long: workers notice the end within a turn.
        let ran = self.last_end.since(Stamp::ZERO);
        let planned = self.plan.duration;
        let duration = if !planned.is_zero() && ran > planned { planned } else { ran };
        let mut ended = self.ended;
        if let (false, [first, rest @ ..]) = (self.opened || !self.is_alone, &self.refusals[..])
            && rest.iter().all(|f| f == first)
        {
            ended = Ended::Refused(*first);
        }
        LoadRun {
            aggregate: self.aggregate,
            users: self.users,
            users_reached: self.shared.connected_peak.load(Ordering::Relaxed),
            duration,
            ended,
        }
    }
}
