//! One worker thread: a mio loop over its share of the users. The loop is mechanism only; what a user does next is
//! decided by [`super::user`], when by [`super::pacer`], and from which local end by [`super::source`].
//!
//! A turn, in this order: read the clock; hand over whole seconds; stop if it is time; start what is due (users of
//! the ramp, users that waited, arrivals of the schedule); expire timeouts; poll; do what the sockets say.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::pacer::{self, ConstantRate};
use super::source::{Local, Sources};
use super::user::{After, Begin, Rules, User};
use crate::model::outcome::{Call, Cause, ClosedBy, EADDRINUSE, ECONNREFUSED, ETIMEDOUT, EndpointId, Failure, Outcome};
use crate::model::plan::{Closer, LoadPlan, PortMode};
use crate::model::time::Stamp;
use crate::stats::interval::Interval;
use crate::stats::recorder::Recorder;
use crate::stats::totals::WorkerTotals;
use crate::sys::clock::Clock;
use crate::sys::socket::{self, ConnectSpec, SocketError};
use crate::sys::sysctl;
use crate::sys::timer::LoopTimer;

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

/// What the workers of a run share: a few counters, no locks.
#[derive(Debug)]
pub(super) struct Shared {
    /// end now
    pub(super) stop: AtomicBool,
    /// attempts left of `--requests`; meaningless without it
    pub(super) tickets: AtomicI64,
    /// users that hold a connection
    pub(super) connected: AtomicU32,
    /// the most there were at once
    pub(super) connected_peak: AtomicU32,
    /// users that were started
    pub(super) started: AtomicU32,
    /// users that wait after a failure of our own machine
    pub(super) paused: AtomicU32,
}

impl Shared {
    pub(super) fn new(requests: u64) -> Self {
        Self {
            stop: AtomicBool::new(false),
            tickets: AtomicI64::new(requests.min(i64::MAX as u64) as i64),
            connected: AtomicU32::new(0),
            connected_peak: AtomicU32::new(0),
            started: AtomicU32::new(0),
            paused: AtomicU32::new(0),
        }
    }
}

/// What a worker tells the run.
#[derive(Debug)]
pub(super) enum Report {
    /// a whole second is over
    Second(Box<Interval>),
    /// a second passed in which no connection had ever stood and all attempts had failed alike
    Refused(Failure),
    /// the worker is done
    Done { totals: Box<WorkerTotals>, ended: Stamp, alike: Option<Failure>, opened: bool },
}

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

pub(super) struct Worker<'a> {
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
    unread: Vec<(u32, u32)>,
    /// open loop: users without a request
    free: Vec<u32>,
    next_spawn: u32,
    in_flight: u32,
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
    pub(super) fn new(
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
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// Runs until the plan's end or a stop request, then reports its totals.
    pub(super) fn run(mut self) {
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

    /// `--requests` are used up and answered.
    fn is_finished(&self) -> bool {
        self.plan.requests > 0 && self.in_flight == 0 && self.shared.tickets.load(Ordering::Relaxed) <= 0
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
        // Beginning can fail at once and put the user to sleep, never back into this list.
        let mut ready = std::mem::take(&mut self.ready);
        for slot in ready.drain(..) {
            self.begin(slot, None);
        }
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
        if !self.take_ticket() {
            return;
        }
        self.unpause(slot);
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

    fn connect(&mut self, slot: u32, now: Stamp) {
        let mut tries = if self.plan.port_mode == PortMode::Ring { self.plan.limits.ring_tries.max(1) } else { 1 };
        loop {
            let Some(local) = self.sources.next() else {
                // Every port of the ring is held by a live connection of ours.
                let failure = Failure::new(Call::Bind, Cause::Errno(EADDRINUSE));
                self.open_failed(slot, failure, now);
                return;
            };
            self.spec.local = local.addr;
            self.spec.port = local.port;
            match socket::connect(&self.spec, self.plan.target.addr, &self.clock) {
                Ok(made) => {
                    self.recorder.record_connect_call(made.returned, made.call_us());
                    self.on_connecting(slot, made.stream, local, made.returned);
                    return;
                }
                Err(error) => {
                    self.sources.release(local);
                    let now = self.clock.now();
                    if let Some(us) = error.call_us {
                        self.recorder.record_connect_call(now, us);
                    }
                    tries -= 1;
                    if tries > 0 && error.call == Call::Bind && error.errno == EADDRINUSE {
                        self.recorder.add_ring_skips(1);
                        continue;
                    }
                    let SocketError { call, errno, port_bound, .. } = error;
                    let failure = Failure { port_bound, ..Failure::new(call, Cause::Errno(errno)) };
                    self.open_failed(slot, failure, now);
                    return;
                }
            }
        }
    }

    fn open_failed(&mut self, slot: u32, failure: Failure, now: Stamp) {
        self.recorder.record_connect_failed();
        let after = self.slots[slot as usize].user.on_open_failed(failure, now, &self.rules);
        self.carry_out(slot, after, now, false);
    }

    /// connect(2) goes on by itself. On loopback the connection already stands and the first write passes, so
    /// nothing waits for writability; elsewhere the write would block, and the event comes later.
    fn on_connecting(&mut self, slot: u32, mut stream: TcpStream, local: Local, returned: Stamp) {
        let s = &mut self.slots[slot as usize];
        s.generation = s.generation.wrapping_add(1);
        s.local = local;
        let registered =
            self.poll.registry().register(&mut stream, token(slot, s.generation), Interest::READABLE | Interest::WRITABLE);
        s.user.on_connecting();
        s.stream = Some(stream);
        if let Err(error) = registered {
            self.fail(slot, Call::Socket, &error);
            return;
        }
        if self.is_self_connected(slot) {
            let after = self.slots[slot as usize].user.on_self_connect(returned, &self.rules);
            self.carry_out(slot, after, returned, false);
            return;
        }
        self.write_first(slot, returned);
    }

    fn is_self_connected(&self, slot: u32) -> bool {
        self.self_connect_possible && self.slots[slot as usize].stream.as_ref().is_some_and(socket::is_self_connected)
    }

    fn write_first(&mut self, slot: u32, stood_at: Stamp) {
        let s = &mut self.slots[slot as usize];
        let Some(stream) = s.stream.as_mut() else { return };
        let request = &self.requests[s.endpoint.0 as usize];
        match stream.write(request) {
            Ok(n) => {
                self.connected(slot, stood_at);
                self.wrote(slot, n);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => {
                let refused = matches!(e.raw_os_error(), Some(ECONNREFUSED | ETIMEDOUT | 101 | 113));
                if !refused {
                    self.connected(slot, stood_at);
                }
                self.fail(slot, if refused { Call::Connect } else { Call::Write }, &e);
            }
        }
    }

    fn connected(&mut self, slot: u32, at: Stamp) {
        let s = &mut self.slots[slot as usize];
        s.user.on_connected(at);
        s.counted = true;
        self.opened = true;
        let began = s.user.began_at();
        self.recorder.record_setup(at.micros_since(began));
        let now = self.shared.connected.fetch_add(1, Ordering::Relaxed) + 1;
        self.shared.connected_peak.fetch_max(now, Ordering::Relaxed);
    }

    fn write(&mut self, slot: u32) {
        let s = &mut self.slots[slot as usize];
        let Some(stream) = s.stream.as_mut() else { return };
        let request = &self.requests[s.endpoint.0 as usize];
        match stream.write(&request[s.written..]) {
            Ok(n) => self.wrote(slot, n),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => self.fail(slot, Call::Write, &e),
        }
    }

    fn wrote(&mut self, slot: u32, n: usize) {
        let s = &mut self.slots[slot as usize];
        s.written += n;
        let all = s.written == self.requests[s.endpoint.0 as usize].len();
        s.user.on_written(n, all, self.clock.now());
        if !all && n > 0 {
            self.write(slot);
        }
    }

    /// A system call on the user's socket failed.
    fn fail(&mut self, slot: u32, call: Call, error: &io::Error) {
        let now = self.clock.now();
        let errno = error.raw_os_error().unwrap_or(0);
        let s = &mut self.slots[slot as usize];
        let bound = s.stream.as_ref().and_then(|st| st.local_addr().ok()).is_some_and(|a| a.port() != 0);
        let after = s.user.on_error(call, errno, bound, now, &self.rules);
        self.carry_out(slot, after, now, false);
    }

    fn on_event(&mut self, event: &Event) {
        if event.token() == TIMER {
            return;
        }
        let slot = (event.token().0 & 0xFFFF_FFFF) as u32;
        let generation = (event.token().0 >> 32) as u32;
        let s = &mut self.slots[slot as usize];
        if s.generation != generation || s.stream.is_none() {
            return;
        }
        if s.user.is_connecting() {
            self.on_connect_event(slot, event);
        } else if event.is_writable() && s.user.is_sending() {
            self.write(slot);
        }
        let s = &self.slots[slot as usize];
        if s.generation == generation && s.stream.is_some() && (event.is_readable() || event.is_read_closed() || event.is_error()) {
            self.read(slot, event.is_read_closed());
        }
    }

    fn on_connect_event(&mut self, slot: u32, event: &Event) {
        if !(event.is_writable() || event.is_error() || event.is_read_closed()) {
            return;
        }
        match self.slots[slot as usize].stream.as_ref().and_then(socket::take_error) {
            Some(errno) => self.fail(slot, Call::Connect, &io::Error::from_raw_os_error(errno)),
            None => {
                if self.is_self_connected(slot) {
                    let now = self.clock.now();
                    let after = self.slots[slot as usize].user.on_self_connect(now, &self.rules);
                    self.carry_out(slot, after, now, false);
                    return;
                }
                let now = self.clock.now();
                self.connected(slot, now);
                self.write(slot);
            }
        }
    }

    /// Reads until a short read (a stream may stop there), on to end of file when the peer's FIN is already known:
    /// data and FIN can share one edge.
    fn read(&mut self, slot: u32, read_closed: bool) {
        let generation = self.slots[slot as usize].generation;
        for _ in 0..READS_PER_TURN {
            let s = &mut self.slots[slot as usize];
            let Some(stream) = s.stream.as_mut() else { return };
            match stream.read(&mut self.buffer) {
                Ok(0) => {
                    let now = self.clock.now();
                    let after = s.user.on_eof(now, &self.rules);
                    self.carry_out(slot, after, now, false);
                    return;
                }
                Ok(n) => {
                    let now = self.clock.now();
                    let after = s.user.on_bytes(&self.buffer[..n], now, &self.rules);
                    // With a FIN already in the socket the next request must not go out on this connection.
                    self.carry_out(slot, after, now, !read_closed);
                    let s = &self.slots[slot as usize];
                    if s.generation != generation || s.stream.is_none() || (n < self.buffer.len() && !read_closed) {
                        return;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.fail(slot, Call::Read, &e);
                    return;
                }
            }
        }
        self.unread.push((slot, generation));
    }

    /// The edge will not come again for bytes that the budget left behind.
    fn read_on(&mut self) {
        for (slot, generation) in std::mem::take(&mut self.unread) {
            if self.slots[slot as usize].generation == generation {
                self.read(slot, false);
            }
        }
    }

    /// Does what the machine said: records the sample, closes, and lets the user go on, `at_once` if it may begin
    /// on the connection that is being read.
    fn carry_out(&mut self, slot: u32, after: After, now: Stamp, at_once: bool) {
        if after.announced_close {
            self.recorder.record_announced_close();
        }
        let mut local_failure = false;
        if let Some(sample) = &after.sample {
            self.in_flight -= 1;
            self.recorder.record(sample);
            local_failure = matches!(sample.outcome, Outcome::Local(_));
            self.remember(&sample.outcome);
        }
        let unconnected = !self.slots[slot as usize].user.is_connected() && !self.slots[slot as usize].user.is_connecting();
        if let Some(by) = after.close {
            self.recorder.record_close(by);
            self.drop_socket(slot);
        } else if unconnected && after.sample.is_some() {
            self.drop_socket(slot);
        }
        let Some(free_at) = after.free_at else { return };
        if local_failure {
            self.slots[slot as usize].paused = true;
            self.shared.paused.fetch_add(1, Ordering::Relaxed);
        }
        if free_at > now {
            self.sleepers.push(Reverse((free_at, slot)));
        } else if self.pacer.is_some() {
            self.set_free(slot, now);
        } else if at_once && now < self.end {
            self.begin(slot, None);
        } else {
            self.ready.push(slot);
        }
    }

    fn remember(&mut self, outcome: &Outcome) {
        if self.opened {
            return;
        }
        let (Outcome::Failed(failure) | Outcome::Local(failure)) = *outcome else { return };
        self.alike = match self.alike {
            Alike::Nothing => Alike::All(failure),
            Alike::All(f) if f == failure => Alike::All(f),
            _ => Alike::Mixed,
        };
    }

    fn drop_socket(&mut self, slot: u32) {
        let s = &mut self.slots[slot as usize];
        if s.stream.take().is_none() {
            return;
        }
        // Dropping the socket closes it, which takes it out of the poll; a late event is told by its generation.
        s.generation = s.generation.wrapping_add(1);
        let local = std::mem::take(&mut s.local);
        if std::mem::replace(&mut s.counted, false) {
            self.shared.connected.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.recorder.record_connect_failed();
        }
        self.sources.release(local);
    }

    fn unpause(&mut self, slot: u32) {
        if std::mem::replace(&mut self.slots[slot as usize].paused, false) {
            self.shared.paused.fetch_sub(1, Ordering::Relaxed);
        }
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
        if let Some(pacer) = &self.pacer {
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
        let _ = reports.send(Report::Done { totals, ended: now, alike, opened });
    }
}
