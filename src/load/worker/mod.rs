//! One worker thread: a mio loop over its share of the users. The loop is mechanism only; what a user does next is
//! decided by [`crate::load::user`], when by [`crate::load::pacer`], and from which local end by [`crate::load::source`].
//!
//! A turn, in this order: read the clock; hand over whole seconds; stop if it is time; start what is due (users of
//! the ramp, users that waited or had their answer in the last turn, arrivals of the schedule); expire timeouts; poll; do what the sockets say.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Sender;
use mio::net::TcpStream;
use mio::{Events, Poll, Token};

use crate::evloop::{Deadlines, Generation, SlotToken};
use crate::http1::response::AnswerHeads;
use crate::load::pacer::Schedule;
use crate::load::source::{Local, Sources};
use crate::load::steering::Steering;
use crate::load::user::{Rules, User};
use crate::model::limits;
use crate::model::outcome::{ClosedBy, EndpointId, Failure};
use crate::model::plan::{Closer, LoadPlan, PortMode};
use crate::model::time::Stamp;
use crate::stats::errors::Evidence;
use crate::stats::recorder::Recorder;
use crate::sys::clock::Clock;
use crate::sys::socket::{self, ConnectSpec};
use crate::sys::sysctl;
use crate::sys::thread;
use crate::sys::timer::LoopTimer;

mod after;
mod alone;
mod crew;
mod preconnect;
mod schedule;
mod shared;
mod sockets;

use crew::Crew;
pub(in crate::load) use shared::{Report, Shared};

/// Bytes of the one read buffer that a worker's users share.
const READ_BUFFER: usize = 64 * 1024;
/// Buffers' worth of bytes read from one connection before the others get their turn.
const READS_PER_TURN: usize = 4;
/// Bytes of answers after which requests begin although the turn is not over, where answers are larger than
/// [`LARGE_ANSWER`]: reading those of all others first would leave the target without work.
const READ_BEFORE_BEGIN: usize = 64 * 1024;
/// Bytes of an answer that take longer to read than its request to write.
const LARGE_ANSWER: usize = 1024;
/// Events taken from one poll. A turn reads all answers before the next requests go out; with more of them the kernel's state of
/// the first connections is out of the cache by then (docs/MEASURING.md).
const EVENTS: usize = 64;
/// The same after this thread stood still: every socket is looked at once before a request may time out.
const EVENTS_OF_A_LOOK: usize = 1024;
/// Longest sleep of the loop: how late a stop request may be noticed.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// No turn of the loop takes longer than this beside its wait while the thread runs: starts and reads are bounded.
const LONGEST_TURN: Duration = Duration::from_millis(100);
/// Arrivals of a worker that is to start more than so many a second are started in batches.
const BATCHED_FROM: f64 = 20_000.0;
/// How long an arrival of such a worker may wait for the next ones.
const BATCH: Duration = Duration::from_micros(50);
/// A request longer than this may need two segments: Nagle's algorithm would delay the second one.
const ONE_SEGMENT: usize = 1000;

struct Slot {
    user: User,
    stream: Option<TcpStream>,
    generation: Generation,
    local: Local,
    endpoint: EndpointId,
    written: usize,
    /// right before the connect(2) that made or is making the connection
    connect_called: Stamp,
    free_since: Stamp,
    counted: bool,
    /// its events say when it can be written to
    watches_write: bool,
    /// a read of it may wait
    may_wait: bool,
    paused: bool,
    /// makes no further request
    is_leaving: bool,
    /// all that its user asks for; none: the whole mix
    of_class: Option<EndpointId>,
}

impl Slot {
    /// With user `number` of the run, who has no connection yet.
    fn new(plan: &LoadPlan, number: u32, rules: &Rules) -> Self {
        Self {
            user: User::new(plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(u64::from(plan.in_whole(number))), rules),
            stream: None,
            generation: Generation::default(),
            local: Local::default(),
            endpoint: EndpointId(0),
            written: 0,
            connect_called: Stamp::ZERO,
            free_since: Stamp::ZERO,
            counted: false,
            watches_write: false,
            may_wait: false,
            paused: false,
            is_leaving: false,
            of_class: None,
        }
    }
}

/// Whether all attempts so far failed, and all in the same way.
#[derive(Debug, Clone, Copy)]
enum Alike {
    Nothing,
    All(Failure),
    Mixed,
}

pub(in crate::load) struct Worker<'a> {
    plan: &'a LoadPlan,
    index: u32,
    rules: Rules,
    clock: Clock,
    shared: Arc<Shared>,
    /// how many users there are to be
    steering: Arc<Steering>,
    crew: Crew,
    reports: Sender<Report>,
    poll: Poll,
    timer: LoopTimer,
    /// when the timer ends a wait
    timer_at: Stamp,
    requests: &'a [Vec<u8>],
    weights: Vec<u32>,
    weight_total: u32,
    recorder: Recorder,
    slots: Vec<Slot>,
    sources: Sources,
    pacer: Option<Schedule>,
    spec: ConnectSpec,
    self_connect_possible: bool,
    /// users waiting for their next request
    sleepers: Deadlines,
    /// when users give up what they wait for
    deadlines: Deadlines,
    /// users to begin in the next turn, or after many bytes of this one
    ready: Vec<u32>,
    /// bytes read since they last began
    read_since_begun: usize,
    /// the latest reading of the clock
    latest: Stamp,
    /// something that takes its time was done since
    is_stale: bool,
    /// connections whose read budget ended before their bytes did
    unread: Vec<(SlotToken, bool)>,
    /// open loop: users without a request
    free: Vec<u32>,
    /// until when this turn may start requests; NEVER: it has not begun to
    begins_until: Stamp,
    /// arrivals wait for each other until then
    batch_until: Stamp,
    in_flight: u32,
    /// the latest stretch in which this thread did not run
    standstill: (Stamp, Stamp),
    /// when the latest sample ended
    last_sample: Stamp,
    end: Stamp,
    buffer: Vec<u8>,
    heads: AnswerHeads,
    opened: bool,
    alike: Alike,
    refusal_reported: bool,
}

const TIMER: Token = Token(usize::MAX);

/// The kernel, or the ring, may give a connection the target's own port as its local one.
fn self_connect_possible(plan: &LoadPlan) -> bool {
    let ports = plan.port_range.or_else(|| sysctl::read_local_port_range().ok());
    socket::can_self_connect(plan.target.addr, ports)
}

impl<'a> Worker<'a> {
    /// Errors: no poll or timer could be made (EMFILE).
    pub(in crate::load) fn new(
        plan: &'a LoadPlan,
        index: u32,
        requests: &'a [Vec<u8>],
        shared: Arc<Shared>,
        steering: Arc<Steering>,
        reports: Sender<Report>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let pacer = plan.is_open_loop().then(|| Schedule::of(plan, index));
        let timer = LoopTimer::register(poll.registry(), TIMER)?;
        let rules = Rules::of(plan);
        // Connections of a rate are there from the start; users come when they are asked for.
        let own = (index..plan.users).step_by(plan.threads as usize);
        let mut slots = Vec::with_capacity(own.len());
        if pacer.is_some() {
            slots.extend(own.map(|number| Slot::new(plan, number, &rules)));
        }
        let ring = if plan.port_mode == PortMode::Ring { plan.port_range } else { None };
        let longest = requests.iter().map(Vec::len).max().unwrap_or(0);
        let free = if pacer.is_some() { (0..slots.len() as u32).rev().collect() } else { Vec::new() };
        Ok(Self {
            plan,
            index,
            clock: Clock::start(),
            shared,
            steering,
            crew: Crew::default(),
            reports,
            poll,
            timer,
            timer_at: Stamp::NEVER,
            requests,
            weights: plan.mix.iter().map(|m| m.weight).collect(),
            weight_total: plan.mix.iter().map(|m| m.weight).sum(),
            recorder: Recorder::new(plan.mix.len(), plan.steady_from(), plan.is_open_loop()),
            sources: Sources::new(&plan.sources, ring, index, plan.threads),
            pacer,
            spec: ConnectSpec {
                port_mode: plan.port_mode,
                reuse_addr: plan.reuse_addr,
                linger_reset: plan.closer == Closer::Reset,
                nodelay: plan.keepalive || longest > ONE_SEGMENT,
                port_range: plan.port_range,
                local: None,
                port: None,
            },
            self_connect_possible: self_connect_possible(plan),
            sleepers: Deadlines::default(),
            deadlines: Deadlines::default(),
            ready: Vec::new(),
            read_since_begun: 0,
            latest: Stamp::ZERO,
            is_stale: true,
            unread: Vec::new(),
            free,
            begins_until: Stamp::NEVER,
            batch_until: Stamp::ZERO,
            in_flight: 0,
            standstill: (Stamp::NEVER, Stamp::ZERO),
            last_sample: Stamp::ZERO,
            end: if plan.duration.is_zero() { Stamp::NEVER } else { Stamp::from_duration(plan.duration) },
            buffer: vec![0; READ_BUFFER],
            heads: AnswerHeads::default(),
            opened: false,
            alike: Alike::Nothing,
            refusal_reported: false,
            slots,
            rules,
        })
    }

    /// Runs on `clock`, and on `core` if one is named, until the plan's end or a stop request; then reports its totals.
    pub(in crate::load) fn run(mut self, clock: Clock, core: Option<usize>) {
        // Where it is refused, resources.client.cores lacks the core.
        core.map(thread::pin);
        self.clock = clock;
        let (mut few, mut many) = (Events::with_capacity(EVENTS), Events::with_capacity(EVENTS_OF_A_LOOK));
        let mut wait_over = Stamp::NEVER;
        // Looks at the sockets that are owed before a request may time out.
        let (mut looks_owed, mut may_expire) = (0, true);
        loop {
            let now = self.now();
            if now > wait_over.plus(LONGEST_TURN) {
                self.stood_still(wait_over, now);
                // Answers came meanwhile, and SIGCONT interrupts the poll that would have shown them. As many looks as show
                // each socket once; a turn that lets requests time out lies between two such debts.
                looks_owed = if may_expire { self.slots.len() / EVENTS_OF_A_LOOK + 1 } else { looks_owed };
            }
            self.hand_over(now);
            if now >= self.end || self.shared.is_to_stop() || self.is_finished() || self.has_drained() {
                break;
            }
            self.begins_until = now.plus(limits::TURN);
            self.start_due(now);
            may_expire = looks_owed == 0;
            if may_expire {
                self.expire(now);
            }
            let until = self.next_due(now);
            wait_over = until;
            let from = self.now();
            if self.waits_for_one_answer(until == now.plus(LONGEST_WAIT)) {
                if self.wait_for_answer(from) {
                    looks_owed = 0;
                }
                continue;
            }
            let events = if looks_owed > 0 { &mut many } else { &mut few };
            let timeout = self.timeout(until, now);
            let polled = self.poll.poll(events, timeout);
            self.is_stale = true;
            let to = if until == now { from } else { self.now() };
            self.recorder.record_wait(from, to);
            if polled.is_err() {
                // EINTR: signals are handled by another thread; the next turn goes on.
                continue;
            }
            looks_owed = looks_owed.saturating_sub(1);
            self.begins_until = Stamp::NEVER;
            if self.shared.is_to_stop() {
                break;
            }
            for event in &*events {
                self.on_event(event);
                self.begin_between_reads();
            }
            self.read_on();
        }
        self.finish();
    }

    /// Reads the clock.
    fn read_clock(&mut self) -> Stamp {
        (self.latest, self.is_stale) = (self.clock.now(), false);
        self.latest
    }

    /// The latest reading, as long as nothing was done since that takes its time: an answer that was read, or a request that was
    /// written, has just read the clock.
    fn now(&mut self) -> Stamp {
        if self.is_stale { self.read_clock() } else { self.latest }
    }

    /// The loop's wait was over at `at`, and it went on at `now`, more than a whole turn later: this thread did not run.
    #[cold]
    fn stood_still(&mut self, at: Stamp, now: Stamp) {
        self.standstill = (at, now);
        self.recorder.totals.standstills.record(at, now);
    }

    /// Whole seconds go to the run as soon as they are over.
    fn hand_over(&mut self, now: Stamp) {
        self.recorder.roll_to(now);
        for interval in self.recorder.drain_intervals() {
            self.is_stale = true;
            // The run ends only when it was stopped: nobody is left to report to.
            let _ = self.reports.send(Report::Second(Box::new(interval)));
        }
        if self.refusal_reported || now.second() < 1 {
            return;
        }
        match (self.opened, self.alike) {
            // A slow ramp or schedule: its first attempt is yet to come.
            (false, Alike::Nothing) => return,
            (false, Alike::All(failure)) => {
                let _ = self.reports.send(Report::Refused(failure));
            }
            (true, _) | (false, Alike::Mixed) => {}
        }
        self.refusal_reported = true;
    }

    /// `--requests` are used up and answered, and targets that are to close first have done so: closing on them would
    /// leave the TIME_WAIT here.
    fn is_finished(&self) -> bool {
        let used_up = self.plan.requests > 0 && self.in_flight == 0 && self.shared.tickets.load(Ordering::Relaxed) <= 0;
        used_up && !self.slots.iter().any(|s| s.user.is_lingering())
    }

    /// Ends what is in flight and reports.
    fn finish(mut self) {
        let now = self.clock.now();
        // A count that was used up ended with its last answer, not when the loop noticed.
        let counted_out = self.is_finished();
        let ended = if counted_out { self.last_sample } else { now };
        for slot in 0..self.slots.len() as u32 {
            let is_served = self.slots[slot as usize].user.has_carried_an_answer();
            let after = self.slots[slot as usize].user.on_end(now);
            if after.ended {
                let user = &self.slots[slot as usize].user;
                let sample = user.sample();
                self.recorder.record(sample);
                self.recorder.totals.partial.keep(sample, || Evidence::of(user.received()?, user.excerpt()));
                if !is_served {
                    self.recorder.totals.unanswered.record_unserved(sample);
                }
            }
            if let Some(by) = after.close {
                let by = self.ended_by(slot, by);
                self.recorder.record_close(by);
                // What the target has ended is open no more, although nobody has read that yet; with SO_LINGER 0 that cannot
                // be known.
                if by == ClosedBy::Client || (by == ClosedBy::Reset && self.spec.linger_reset) {
                    self.recorder.record_open_at_end(is_served);
                }
            }
            let s = &mut self.slots[slot as usize];
            // A connection that was still being made when the run ended did not fail.
            s.counted = true;
            s.stream = None;
        }
        if let (Some(pacer), false) = (&self.pacer, counted_out) {
            let end = self.end.min(now);
            self.recorder.totals.never_started += pacer.left_before(end);
        }
        let alike = match (self.opened, self.alike) {
            (false, Alike::All(f)) => Some(f),
            _ => None,
        };
        let opened = self.opened;
        let reports = self.reports.clone();
        let totals = Box::new(self.recorder.finish(now));
        let _ = reports.send(Report::Done { totals, ended, alike, opened });
    }
}
