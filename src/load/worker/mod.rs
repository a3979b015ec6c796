//! One worker thread: a mio loop over its share of the users. The loop is mechanism only; what a user does next is
//! decided by [`crate::load::user`], when by [`crate::load::pacer`], and from which local end by [`crate::load::source`].
//!
//! A turn, in this order: read the clock; hand over whole seconds; stop if it is time; start what is due (users of
//! the ramp, users that waited, arrivals of the schedule); expire timeouts; poll; do what the sockets say.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::Sender;
use mio::net::TcpStream;
use mio::{Events, Poll, Token};

use crate::load::pacer::{self, ConstantRate};
use crate::load::source::{Local, Sources};
use crate::load::user::{Begin, Rules, User};
use crate::model::outcome::{ClosedBy, EndpointId, Failure};
use crate::model::plan::{Closer, LoadPlan, PortMode};
use crate::model::time::Stamp;
use crate::stats::recorder::Recorder;
use crate::sys::clock::Clock;
use crate::sys::socket::{self, ConnectSpec};
use crate::sys::sysctl;
use crate::sys::timer::LoopTimer;

mod after;
mod shared;
mod sockets;

pub(in crate::load) use shared::{Report, Shared};

/// Bytes of the one read buffer that a worker's users share.
const READ_BUFFER: usize = 64 * 1024;
/// Buffers' worth of bytes read from one connection before the others get their turn.
const READS_PER_TURN: usize = 4;
/// Events taken per poll.
const EVENTS: usize = 1024;
/// Longest sleep of the loop: how late a stop request may be noticed.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// A request longer than this may need two segments: Nagle's algorithm would hold the second one back.
const ONE_SEGMENT: usize = 1000;

struct Slot {
    user: User,
    stream: Option<TcpStream>,
    generation: u32,
    local: Local,
    endpoint: EndpointId,
    written: usize,
    /// the earliest entry of this user in the deadline heap
    timer_at: Stamp,
    free_since: Stamp,
    counted: bool,
    paused: bool,
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
    reports: Sender<Report>,
    poll: Poll,
    timer: Option<LoopTimer>,
    requests: &'a [Vec<u8>],
    weights: Vec<u32>,
    recorder: Recorder,
    slots: Vec<Slot>,
    sources: Sources,
    pacer: Option<ConstantRate>,
    spec: ConnectSpec,
    self_connect_possible: bool,
    /// users waiting for their next request
    sleepers: BinaryHeap<Reverse<(Stamp, u32)>>,
    deadlines: BinaryHeap<Reverse<(Stamp, u32)>>,
    /// users to begin in this turn
    ready: Vec<u32>,
    /// connections whose read budget ended before their bytes did
    unread: Vec<(u32, u32, bool)>,
    /// open loop: users without a request
    free: Vec<u32>,
    next_spawn: u32,
    in_flight: u32,
    /// when the latest sample ended
    last_sample: Stamp,
    end: Stamp,
    buffer: Vec<u8>,
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

fn token(slot: u32, generation: u32) -> Token {
    Token(((generation as usize) << 32) | slot as usize)
}

impl<'a> Worker<'a> {
    /// Errors: no poll or timer could be made (EMFILE).
    pub(in crate::load) fn new(
        plan: &'a LoadPlan,
        index: u32,
        requests: &'a [Vec<u8>],
        clock: Clock,
        shared: Arc<Shared>,
        reports: Sender<Report>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let pacer = plan.is_open_loop().then(|| ConstantRate::new(plan.rate, index, plan.threads));
        let timer = if pacer.is_some() { Some(LoopTimer::register(poll.registry(), TIMER)?) } else { None };
        let rules = Rules::of(plan);
        let mine = (index..plan.users).step_by(plan.threads as usize);
        let slots: Vec<Slot> = mine
            .map(|n| Slot {
                user: User::new(plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(u64::from(n)), &rules),
                stream: None,
                generation: 0,
                local: Local::default(),
                endpoint: EndpointId(0),
                written: 0,
                timer_at: Stamp::NEVER,
                free_since: Stamp::ZERO,
                counted: false,
                paused: false,
            })
            .collect();
        let ring = if plan.port_mode == PortMode::Ring { plan.port_range } else { None };
        let longest = requests.iter().map(Vec::len).max().unwrap_or(0);
        let free = if pacer.is_some() { (0..slots.len() as u32).rev().collect() } else { Vec::new() };
        Ok(Self {
            plan,
            index,
            clock,
            shared,
            reports,
            poll,
            timer,
            requests,
            weights: plan.mix.iter().map(|m| m.weight).collect(),
            recorder: Recorder::new(plan.mix.len(), plan.warmup, plan.is_open_loop()),
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
            sleepers: BinaryHeap::new(),
            deadlines: BinaryHeap::new(),
            ready: Vec::new(),
            unread: Vec::new(),
            free,
            next_spawn: 0,
            in_flight: 0,
            last_sample: Stamp::ZERO,
            end: if plan.duration.is_zero() { Stamp::NEVER } else { Stamp::from_duration(plan.duration) },
            buffer: vec![0; READ_BUFFER],
            opened: false,
            alike: Alike::Nothing,
            refusal_reported: false,
            slots,
            rules,
        })
    }

    /// Its number among the run's workers, from 0.
    pub(in crate::load) fn index(&self) -> u32 {
        self.index
    }

    /// Runs until the plan's end or a stop request, then reports its totals.
    pub(in crate::load) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let now = self.clock.now();
            self.hand_over(now);
            if now >= self.end || self.shared.stop.load(Ordering::Relaxed) || self.is_finished() {
                break;
            }
            self.start_due(now);
            self.expire(now);
            let wait = self.next_wait(now);
            if self.poll.poll(&mut events, Some(wait)).is_err() {
                // EINTR: signals are handled by another thread; the next turn goes on.
                continue;
            }
            for event in &events {
                self.on_event(event);
            }
            self.read_on();
        }
        self.finish();
    }

    /// Whole seconds go to the run as soon as they are over.
    fn hand_over(&mut self, now: Stamp) {
        self.recorder.roll_to(now);
        for interval in self.recorder.drain_intervals() {
            // The run has gone only when it was told to stop: nobody is left to report to.
            let _ = self.reports.send(Report::Second(Box::new(interval)));
        }
        if !self.refusal_reported && now.second() >= 1 {
            self.refusal_reported = true;
            if let (false, Alike::All(failure)) = (self.opened, self.alike) {
                let _ = self.reports.send(Report::Refused(failure));
            }
        }
    }

    /// `--requests` are used up and answered, and targets that are to close first have done so: closing on them would
    /// leave the TIME_WAIT here.
    fn is_finished(&self) -> bool {
        let used_up = self.plan.requests > 0 && self.in_flight == 0 && self.shared.tickets.load(Ordering::Relaxed) <= 0;
        used_up && !self.slots.iter().any(|s| s.user.is_lingering())
    }

    fn start_due(&mut self, now: Stamp) {
        if self.pacer.is_some() {
            self.start_arrivals(now);
            return;
        }
        while (self.next_spawn as usize) < self.slots.len() {
            let number = self.index + self.next_spawn * self.plan.threads;
            if pacer::user_start(number, self.plan.spawn_rate) > now {
                break;
            }
            self.shared.started.fetch_add(1, Ordering::Relaxed);
            self.ready.push(self.next_spawn);
            self.next_spawn += 1;
        }
        while let Some(Reverse((at, slot))) = self.sleepers.peek().copied() {
            if at > now {
                break;
            }
            self.sleepers.pop();
            self.ready.push(slot);
        }
        let mut ready = std::mem::take(&mut self.ready);
        for slot in ready.drain(..) {
            self.begin(slot, None);
        }
        // On loopback a target refuses at once: a user without think time is back in the list, for the next turn.
        ready.append(&mut self.ready);
        self.ready = ready;
    }

    /// Open loop: every arrival that is due and finds a free user begins, with its intended start kept.
    fn start_arrivals(&mut self, now: Stamp) {
        while let Some(pacer) = &mut self.pacer {
            let due = pacer.next();
            if due > now || due >= self.end {
                break;
            }
            let Some(slot) = self.free.pop() else { break };
            pacer.advance();
            self.begin(slot, Some(due));
        }
        while let Some(Reverse((at, slot))) = self.sleepers.peek().copied() {
            if at > now {
                break;
            }
            self.sleepers.pop();
            self.set_free(slot, now);
        }
    }

    fn set_free(&mut self, slot: u32, now: Stamp) {
        self.unpause(slot);
        self.slots[slot as usize].free_since = now;
        self.free.push(slot);
    }

    /// Takes one attempt of `--requests`; false when there is none left.
    fn take_ticket(&self) -> bool {
        self.plan.requests == 0 || self.shared.tickets.fetch_sub(1, Ordering::Relaxed) > 0
    }

    fn begin(&mut self, slot: u32, intended: Option<Stamp>) {
        self.unpause(slot);
        if !self.take_ticket() {
            return;
        }
        let now = self.clock.now();
        let endpoint = self.pick_endpoint(slot);
        let s = &mut self.slots[slot as usize];
        s.endpoint = endpoint;
        s.written = 0;
        if let Some(intended) = intended {
            self.recorder.record_lateness(now.micros_since(intended.max(s.free_since)));
        }
        self.recorder.record_attempt(now);
        self.in_flight += 1;
        match s.user.begin(endpoint, intended, now, &self.rules) {
            Begin::Write => self.write(slot),
            Begin::Connect => self.connect(slot, now),
        }
        self.watch_deadline(slot);
    }

    fn pick_endpoint(&mut self, slot: u32) -> EndpointId {
        if let [_] = self.weights[..] {
            return EndpointId(0);
        }
        let total: u32 = self.weights.iter().sum();
        let mut at = self.slots[slot as usize].user.rng().u32(0..total.max(1));
        for (i, w) in self.weights.iter().enumerate() {
            if at < *w {
                return EndpointId(i as u16);
            }
            at -= w;
        }
        EndpointId(0)
    }

    /// Keeps one heap entry a user at most: an entry that fires early looks up the user's real deadline.
    fn watch_deadline(&mut self, slot: u32) {
        let s = &mut self.slots[slot as usize];
        let deadline = s.user.deadline();
        if deadline < s.timer_at {
            s.timer_at = deadline;
            self.deadlines.push(Reverse((deadline, slot)));
        }
    }

    fn expire(&mut self, now: Stamp) {
        while let Some(Reverse((at, slot))) = self.deadlines.peek().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop();
            let s = &mut self.slots[slot as usize];
            if s.timer_at != at {
                continue;
            }
            s.timer_at = Stamp::NEVER;
            if s.user.deadline() <= now {
                let after = s.user.on_deadline(now, &self.rules);
                self.carry_out(slot, after, now, false);
            }
            self.watch_deadline(slot);
        }
    }

    /// Until the nearest thing that is due. Arrivals of a schedule go by the timer, which is finer than poll.
    fn next_wait(&self, now: Stamp) -> Duration {
        if !self.ready.is_empty() || !self.unread.is_empty() {
            return Duration::ZERO;
        }
        let mut next = now.plus(LONGEST_WAIT).min(self.end);
        if let Some(Reverse((at, _))) = self.sleepers.peek() {
            next = next.min(*at);
        }
        if let Some(Reverse((at, _))) = self.deadlines.peek() {
            next = next.min(*at);
        }
        if self.pacer.is_none() && (self.next_spawn as usize) < self.slots.len() {
            let number = self.index + self.next_spawn * self.plan.threads;
            next = next.min(pacer::user_start(number, self.plan.spawn_rate));
        }
        if let (Some(pacer), Some(timer), false) = (&self.pacer, &self.timer, self.free.is_empty()) {
            let due = pacer.next();
            if due <= now {
                return Duration::ZERO;
            }
            if due < next && timer.set(due.since(now)).is_err() {
                next = due;
            }
        }
        next.since(now)
    }

    /// Ends what is in flight and reports.
    fn finish(mut self) {
        let now = self.clock.now();
        // A count that was used up ended with its last answer, not when the loop noticed.
        let counted_out = self.is_finished();
        let ended = if counted_out { self.last_sample } else { now };
        for slot in 0..self.slots.len() as u32 {
            let after = self.slots[slot as usize].user.on_end(now);
            if let Some(sample) = &after.sample {
                self.recorder.record(sample);
            }
            if let Some(by) = after.close {
                self.recorder.record_close(if self.spec.linger_reset { ClosedBy::Reset } else { by });
            }
            let s = &mut self.slots[slot as usize];
            // A connection that was still being made when the run ended did not fail.
            s.counted = true;
            s.stream = None;
        }
        if let (Some(pacer), false) = (&self.pacer, counted_out) {
            let end = self.end.min(now);
            self.recorder.add_never_started(pacer.left_before(end));
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
