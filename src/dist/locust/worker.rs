//! The worker as a machine: what the master says, what the run does and what time it is come in; what is to be done comes out.
//!
//! ```text
//!   Asking ── ack ──► Ready ── spawn ──► Run (spawning, running) ── stop ──► Ending ── run over ──► Asking
//! ```
//!
//! Rules that masters force on a worker, each seen:
//! - A master answers every heartbeat. One that does not know this worker (it was restarted) answers none, and says nothing. So
//!   after [`SILENCE`] the run ends, and the worker registers again.
//! - A ROUTER ignores a second connection with an identity that it believes alive. So after mere silence a new node id is used,
//!   and the same one only after the connection ended and a `PAUSE`.
//! - A report may be cut on its way, and a master acknowledges none. It works off what came in order, so that its answer to a
//!   heartbeat says that the report before arrived. Counts whose report has no such answer when the connection ends go with the
//!   next one.
//! - Without an `ack` within `ACK_WAIT` yet another connection is opened, under a new node id.

use std::time::Duration;

use rmpv::Value;

use super::act::{Do, Leave, Usage};
use super::message::{FromMaster, Spawn, encode, map};
use super::run::{Ending, GRACE, Run};
use super::stats::{Unreported, users_sum, users_value};
use crate::model::figures::{count, counted, seconds};
use crate::model::limits::{DURATION_MAX, USERS_MAX};
use crate::model::time::Stamp;
use crate::stats::interval::Interval;

/// Between two heartbeats.
const BEAT: Duration = Duration::from_secs(1);
/// Between two reports of statistics.
const REPORT: Duration = Duration::from_secs(3);
/// How long a heartbeat may be unanswered.
pub const SILENCE: Duration = Duration::from_secs(10);
/// How long `client_ready` may be unanswered.
const ACK_WAIT: Duration = Duration::from_secs(5);
/// How long a master is looked for.
pub const SEARCH: Duration = Duration::from_secs(300);
/// Between the end of a connection and the next one.
const PAUSE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub struct Worker {
    host: String,
    node_id: String,
    is_open: bool,
    registration: Registration,
    next_beat: Stamp,
    /// since when a heartbeat has had no answer, or could not be sent
    unanswered: Option<Stamp>,
    /// heartbeats of this connection, and answers to them
    beats: (u64, u64),
    last_spawn: f64,
    run: Option<Run>,
    out: Vec<Do>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registration {
    /// looked for a master from `since` on; asked it at `asked`
    Asking {
        since: Stamp,
        asked: Option<Stamp>,
    },
    Done,
}

impl Worker {
    /// On the machine `host`, looking for a master from `now` on. `unique` is in no other name.
    pub fn new(host: &str, unique: u128, now: Stamp) -> Self {
        Self {
            host: host.to_owned(),
            node_id: node_id(host, unique),
            is_open: false,
            registration: Registration::Asking { since: now, asked: None },
            next_beat: now,
            unanswered: None,
            beats: (0, 0),
            last_spawn: 0.0,
            run: None,
            out: vec![Do::Reopen(Duration::ZERO)],
        }
    }

    /// The identity of the present connection, or of the next one.
    pub fn node_id(&self) -> &str {
        &self.node_id
    }

    /// What is to be done since the last call.
    pub fn take(&mut self) -> Vec<Do> {
        std::mem::take(&mut self.out)
    }

    /// The connection is open: both ends are ready.
    pub fn on_open(&mut self, now: Stamp) {
        self.is_open = true;
        (self.next_beat, self.beats) = (now, (0, 0));
        if self.registration != Registration::Done {
            self.ask(now);
        }
    }

    /// The connection has ended, or could not be made.
    pub fn on_closed(&mut self, now: Stamp) {
        if std::mem::replace(&mut self.is_open, false) && self.run.as_ref().is_some_and(|run| run.ending.is_none()) {
            self.tell("the connection to the master has ended; the load goes on, another is opened");
        }
        if let Some(run) = &mut self.run {
            run.take_back();
        }
        // During a run the master may still know this worker: the next heartbeat shows that.
        if self.run.is_none() {
            self.look_from(now);
        }
        self.out.push(Do::Reopen(PAUSE));
    }

    /// A message came.
    pub fn on_message(&mut self, message: FromMaster, now: Stamp) {
        match message {
            FromMaster::Ack => {
                if self.registration != Registration::Done {
                    self.registration = Registration::Done;
                    (self.next_beat, self.unanswered) = (now, None);
                    // A master that was restarted may have a clock that is behind.
                    self.last_spawn = 0.0;
                    let line = format!("ready, as {}", self.node_id);
                    self.tell(&line);
                }
            }
            FromMaster::Heartbeat => {
                self.unanswered = None;
                self.beats.1 += 1;
                if let Some(run) = &mut self.run {
                    run.sent.retain(|(beat, _)| *beat > self.beats.1);
                }
            }
            FromMaster::Spawn(spawn) => self.on_spawn(spawn, now),
            FromMaster::SpawningComplete => {
                if let Some(run) = self.run.as_mut().filter(|run| run.spawn.reset_stats) {
                    run.unreported.reset();
                    run.sent.clear();
                }
            }
            FromMaster::Stop => self.end(Ending::Stop, now),
            FromMaster::Quit => self.end(Ending::Quit, now),
            FromMaster::Reconnect => self.on_closed(now),
            // Custom messages of a locustfile, and what the web page edits: nothing that a run here could follow.
            FromMaster::Other(_) => {}
        }
    }

    /// A signal asks the process to end.
    pub fn on_signal(&mut self, now: Stamp) {
        self.end(Ending::Signal, now);
    }

    /// The run has begun at Unix time `started`; it has these classes, and `paths` in the order of its mix.
    pub fn on_begun(&mut self, known: Vec<String>, method: &str, paths: Vec<String>, started: f64, now: Stamp) {
        let host = self.host.clone();
        let Some(run) = &mut self.run else { return };
        run.unreported = Unreported::new(method, paths, &host, started);
        (run.known, run.is_idle, run.next_report) = (Some(known), false, now.plus(REPORT));
        run.longest = Some(now.plus(DURATION_MAX));
        match run.ending {
            Some(ending) => self.out.push(Do::End(run.grace(ending))),
            None => self.aim(),
        }
    }

    /// The run could not be begun, or did not last: the master shows why, and no users come.
    pub fn on_failed(&mut self, why: &str, now: Stamp) {
        self.except(why);
        let Some(run) = &mut self.run else { return };
        (run.known, run.is_idle) = (Some(Vec::new()), true);
        run.at_work.clear();
        if run.ending.is_some() {
            self.on_over(now);
        }
    }

    /// A second of the run is over, at Unix time `unix_s`.
    pub fn on_interval(&mut self, interval: &Interval, unix_s: f64) {
        if let Some(run) = &mut self.run {
            run.unreported.add(interval, unix_s);
        }
    }

    /// These users are at work, by class.
    pub fn on_users(&mut self, at_work: Vec<(String, u32)>) {
        let Some(run) = self.run.as_mut().filter(|run| run.known.is_some()) else { return };
        run.at_work = at_work;
        let is_there = |wanted: &(String, u32)| run.at_work.contains(wanted) || !run.at_work.iter().any(|(c, _)| *c == wanted.0);
        if run.is_spawning && run.ending.is_none() && run.spawn.users.iter().all(is_there) {
            run.is_spawning = false;
            let users = run.users();
            let data = map([("user_classes_count", users_value(&users)), ("user_count", users_sum(&users).into())]);
            self.send("spawning_complete", data);
        }
    }

    /// The run is over, and its last second has come.
    pub fn on_over(&mut self, now: Stamp) {
        let Some(mut run) = self.run.take() else { return };
        let Some(ending) = run.ending else {
            // It ended by itself: it waits for the master's stop.
            (run.is_idle, run.known) = (true, Some(Vec::new()));
            run.at_work.clear();
            self.run = Some(run);
            return;
        };
        run.at_work.clear();
        self.report_last(&mut run, ending, now);
        match ending {
            Ending::Silence => self.renew(now),
            Ending::Stop => {
                self.send("client_stopped", Value::Nil);
                self.look_from(now);
                self.ask(now);
            }
            Ending::Signal | Ending::Quit => self.leave(ending),
        }
    }

    /// The last report of a run that is over. Says how many requests the master does not have, or may not have.
    fn report_last(&mut self, run: &mut Run, ending: Ending, now: Stamp) {
        let last = run.unreported.take();
        self.send("stats", last.to_value(&run.users()));
        // A master that has just sent a stop or a quit gets what was sent before. One that is silent may get none of it.
        let is_silent = match ending {
            Ending::Silence => true,
            Ending::Signal => self.unanswered.is_some_and(|since| now.since(since) > BEAT),
            Ending::Stop | Ending::Quit => false,
        };
        let sent: u64 = run.sent.iter().map(|(_, report)| report.requests()).sum();
        let (lost, lacks) = match self.is_open {
            false => (last.requests(), "the master is gone: it lacks"),
            true if is_silent => (sent + last.requests(), "the master does not answer: it may lack"),
            true => return,
        };
        if lost > 0 {
            self.tell(&format!("{lacks} {}, which this worker's own result has", counted(lost, "request")));
        }
    }

    /// Time passes; called many times a second. `usage` is asked when a heartbeat is due.
    pub fn on_tick(&mut self, now: Stamp, usage: &mut dyn FnMut() -> Usage) {
        if let Registration::Asking { since, asked } = self.registration {
            if now.since(since) >= SEARCH {
                self.out.push(Do::Leave(Leave::NoMaster));
            } else if self.is_open && asked.is_some_and(|at| now.since(at) >= ACK_WAIT) {
                self.tell("the master does not acknowledge this worker: another connection is opened");
                self.rename();
            }
            return;
        }
        let is_due = |run: &&mut Run| run.known.is_some() && run.reports() && now >= run.next_report;
        if let Some(run) = self.run.as_mut().filter(is_due).filter(|_| self.is_open) {
            run.next_report = now.plus(REPORT);
            let report = run.unreported.take();
            let data = report.to_value(&run.users());
            run.sent.push((self.beats.0 + 1, report));
            self.send("stats", data);
            // The answer to a heartbeat after it says that it has arrived.
            self.next_beat = now;
        }
        if now >= self.next_beat {
            self.beat(usage(), now);
        }
        if self.unanswered.is_some_and(|since| now.since(since) >= SILENCE) {
            self.on_silence(now);
            return;
        }
        let is_too_long = |run: &&mut Run| run.ending.is_none() && run.longest.is_some_and(|longest| now >= longest);
        if let Some(run) = self.run.as_mut().filter(is_too_long) {
            run.longest = None;
            self.out.push(Do::End(run.spawn.stop_timeout.max(GRACE)));
            let longest = seconds(DURATION_MAX.as_secs_f64());
            self.except(&format!(
                "this test has run for {longest}, the longest run of a worker: its users end; stop it and start again"
            ));
        }
    }

    fn on_spawn(&mut self, spawn: Spawn, now: Stamp) {
        if self.run.as_ref().is_some_and(|run| run.ending.is_some()) {
            return;
        }
        if spawn.timestamp <= self.last_spawn {
            self.tell("the master repeats an older number of users: ignored");
            return;
        }
        self.last_spawn = spawn.timestamp;
        let asked = spawn.users.iter().fold(0_u64, |sum, (_, n)| sum.saturating_add(u64::from(*n)));
        if asked > u64::from(USERS_MAX) {
            let (asked, most) = (count(asked), count(u64::from(USERS_MAX)));
            self.except(&format!("{asked} users: one worker takes at most {most}; start more workers, or ask for fewer users"));
            return;
        }
        self.send("spawning", Value::Nil);
        if let Some(run) = &mut self.run {
            let is_other = (&run.spawn.host, &run.spawn.flags) != (&spawn.host, &spawn.flags);
            (run.spawn, run.is_spawning) = (spawn, true);
            if is_other {
                self.except("target or flags were changed in mid-run: this worker keeps those that the test began with; stop it and start again");
            }
            self.aim();
            return;
        }
        self.tell("a test begins");
        self.run = Some(Run::new(spawn.clone(), now.plus(REPORT)));
        self.out.push(Do::Begin(Box::new(spawn)));
    }

    /// The run gets the users that the master wants. Classes that it does not have are reported once and get none.
    fn aim(&mut self) {
        let Some(users) = self.run.as_ref().and_then(Run::wanted) else { return };
        self.out.push(Do::Users(users));
        if let Some(why) = self.run.as_mut().and_then(Run::unknown) {
            self.except(&why);
        }
    }

    /// Ends the run if there is one; of several reasons the strongest counts.
    fn end(&mut self, ending: Ending, now: Stamp) {
        let Some(run) = &mut self.run else {
            match ending {
                Ending::Signal | Ending::Quit => self.leave(ending),
                // A stop that comes twice, or that another worker's end caused.
                Ending::Stop | Ending::Silence => {}
            }
            return;
        };
        let before = run.ending;
        run.ending = before.max(Some(ending));
        let grace = run.grace(ending);
        if ending == Ending::Quit && before != Some(Ending::Quit) {
            // The master leaves before a long stop timeout is over: it gets what is known by then.
            run.next_report = now.plus(GRACE);
        }
        if run.is_idle {
            self.on_over(now);
        } else if run.known.is_some() && before.is_none_or(|before| before < ending) {
            self.out.push(Do::End(grace));
        }
    }

    fn leave(&mut self, ending: Ending) {
        if ending == Ending::Signal {
            self.send("quit", Value::Nil);
        }
        self.out.push(Do::Leave(if ending == Ending::Signal { Leave::Signal } else { Leave::Quit }));
    }

    fn on_silence(&mut self, now: Stamp) {
        if self.run.as_ref().is_some_and(|run| run.ending.is_some()) {
            return;
        }
        let what = if self.run.is_some() { "the test ends here, and " } else { "" };
        let line = format!("the master has not answered for {}: {what}it is looked for again", seconds(SILENCE.as_secs_f64()));
        self.tell(&line);
        if self.run.is_some() {
            self.end(Ending::Silence, now);
        } else {
            self.renew(now);
        }
    }

    /// Looks for a master again, as a new worker.
    fn renew(&mut self, now: Stamp) {
        self.look_from(now);
        self.rename();
    }

    fn rename(&mut self) {
        let unique = u128::from_str_radix(&self.node_id[self.node_id.len() - 32..], 16).unwrap_or(0);
        self.node_id = node_id(&self.host, unique.wrapping_add(1));
        self.is_open = false;
        if let Registration::Asking { asked, .. } = &mut self.registration {
            *asked = None;
        }
        self.out.push(Do::Reopen(Duration::ZERO));
    }

    fn look_from(&mut self, now: Stamp) {
        self.unanswered = None;
        if self.registration == Registration::Done {
            self.registration = Registration::Asking { since: now, asked: None };
        }
    }

    /// Registers. -1 leaves the version out of it: the master has no reason to warn of another one.
    fn ask(&mut self, now: Stamp) {
        if let Registration::Asking { asked, .. } = &mut self.registration {
            *asked = Some(now);
        }
        self.send("client_ready", (-1).into());
    }

    fn beat(&mut self, usage: Usage, now: Stamp) {
        self.next_beat = now.plus(BEAT);
        self.unanswered = self.unanswered.or(Some(now));
        self.beats.0 += u64::from(self.is_open);
        let state = match &self.run {
            None => "ready",
            Some(run) if run.is_spawning && run.ending.is_none() => "spawning",
            Some(_) => "running",
        };
        let data = map([
            ("state", state.into()),
            ("current_cpu_usage", usage.cpu_percent.into()),
            ("current_memory_usage", usage.memory_bytes.into()),
        ]);
        self.send("heartbeat", data);
    }

    /// The master groups exceptions by their traceback.
    fn except(&mut self, why: &str) {
        self.tell(why);
        self.send("exception", map([("msg", why.into()), ("traceback", format!("sockbench worker: {why}").into())]));
    }

    fn send(&mut self, kind: &str, data: Value) {
        if self.is_open {
            self.out.push(Do::Send(encode(kind, data, &self.node_id)));
        }
    }

    fn tell(&mut self, line: &str) {
        self.out.push(Do::Tell(line.to_owned()));
    }
}

/// What the master spreads users by is before the first underscore.
fn node_id(host: &str, unique: u128) -> String {
    format!("{}_{unique:032x}", host.replace('_', "-"))
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
