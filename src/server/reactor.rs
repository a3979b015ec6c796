//! One event loop: its own poll, listeners, connections and buffers. It moves bytes and time into [`Conn`] and does
//! what that asks for.
//!
//! mio is edge-triggered. A socket is registered for reading when it first has to wait, and for both directions once a write
//! would have blocked; what an edge said is remembered in the slot (`readable`, `writable`) until a call says otherwise. A read
//! may stop at a short one, which saves the call that ends in EAGAIN, but not when the edge said that the peer has finished: data
//! and FIN share one edge.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crossbeam_channel::Receiver;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::Shared;
use super::conn::{Conn, Ctx, Job, JobResult, RequestHeads, Rules, Spare};
use super::pools::{Completion, Task, WorkerPool};
use super::slot::{Slot, again, read, slot_of, watch, watch_write, write};
use crate::evloop::{Deadlines, Generation, SlotToken};
use crate::http1::encode::Answers;
use crate::model::limits;
use crate::model::time::Stamp;
use crate::sys::clock::{Clock, wall};
use crate::sys::listen::is_of_one_connection;
use crate::sys::thread;
use crate::sys::timer::LoopTimer;

/// Events taken from one poll. A turn reads all requests before it answers; with more of them the kernel's state of the first
/// connections is out of the cache by then (docs/MEASURING.md).
const EVENTS: usize = 64;
/// A turn that took longer beside its wait: the thread did not run.
const LONGEST_TURN: Duration = Duration::from_millis(100);
/// Token of the waker.
pub(super) const WAKER: Token = Token(usize::MAX);
/// Of the timer; listeners count down from the next.
const TIMER: Token = Token(WAKER.0 - 1);

#[derive(Debug)]
struct Listening {
    socket: TcpListener,
    token: Token,
    ready: bool,
}

/// One reactor.
#[derive(Debug)]
pub(super) struct Reactor {
    number: usize,
    clock: Clock,
    poll: Poll,
    shared: Arc<Shared>,
    rules: Rules,
    io: WorkerPool,
    cpu: WorkerPool,
    results: Receiver<Completion>,
    listeners: Vec<Listening>,
    slots: Slab<Slot>,
    deadlines: Deadlines,
    timer: LoopTimer,
    /// when the timer ends a wait; NEVER: it has not been set
    timer_at: Stamp,
    /// to be driven on in this turn, after its events: answers to send, and bytes beyond a read budget
    again: VecDeque<SlotToken>,
    /// whether answers are sent now, or wait until all requests of the turn are read
    sends: bool,
    answers: Answers,
    spare: Spare,
    heads: RequestHeads,
    scratch: Box<[u8]>,
    generation: Generation,
    /// turns one after the other that took as many events as one takes
    full_turns: usize,
    accept_at: Stamp,
    drain_timeout: Duration,
    core: Option<usize>,
    busy_poll: bool,
    /// when the drain cuts; none while it has not begun
    cut_at: Option<Stamp>,
}

/// What a reactor is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) number: usize,
    pub(super) clock: Clock,
    pub(super) poll: Poll,
    pub(super) shared: Arc<Shared>,
    pub(super) rules: Rules,
    pub(super) io: WorkerPool,
    pub(super) cpu: WorkerPool,
    pub(super) results: Receiver<Completion>,
    pub(super) listeners: Vec<TcpListener>,
    pub(super) drain_timeout: Duration,
    /// where it runs; none: wherever the kernel likes
    pub(super) core: Option<usize>,
    /// it never sleeps
    pub(super) busy_poll: bool,
}

impl Reactor {
    /// Registers the listeners and a timer. Errors: epoll_ctl(2), EMFILE.
    pub(super) fn new(p: Parts) -> io::Result<Self> {
        let timer = LoopTimer::register(p.poll.registry(), TIMER)?;
        let mut listeners = Vec::new();
        for (i, mut socket) in p.listeners.into_iter().enumerate() {
            let token = Token(TIMER.0 - 1 - i);
            p.poll.registry().register(&mut socket, token, Interest::READABLE)?;
            listeners.push(Listening { socket, token, ready: false });
        }
        Ok(Self {
            number: p.number,
            clock: p.clock,
            poll: p.poll,
            shared: p.shared,
            rules: p.rules,
            io: p.io,
            cpu: p.cpu,
            results: p.results,
            listeners,
            slots: Slab::new(),
            deadlines: Deadlines::default(),
            timer,
            timer_at: Stamp::NEVER,
            again: VecDeque::new(),
            sends: false,
            answers: Answers::new(),
            spare: Spare::default(),
            heads: RequestHeads::default(),
            scratch: vec![0; limits::READ_BUDGET].into_boxed_slice(),
            generation: Generation::default(),
            full_turns: 0,
            accept_at: Stamp::ZERO,
            drain_timeout: p.drain_timeout,
            core: p.core,
            busy_poll: p.busy_poll,
            cut_at: None,
        })
    }

    /// Those that nobody else uses: of its poll, its timer and its listeners.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        let listeners = self.listeners.iter().map(|l| l.socket.as_raw_fd());
        listeners.chain([self.poll.as_raw_fd(), self.timer.descriptor()]).collect()
    }

    /// Serves until a drain has ended. Errors: epoll_wait(2) or the clock of the host failed.
    pub(super) fn run(mut self) -> io::Result<()> {
        // Where it is refused, resources.target.cores of a load lacks the core.
        self.core.map(thread::pin);
        let mut events = Events::with_capacity(EVENTS);
        let mut date_due = Stamp::ZERO;
        let mut stood_still = false;
        let mut now = self.clock.now();
        loop {
            // From the last turn's time, which saves a clock read; late by a turn at most.
            let (timeout, until) = self.timeout(now);
            let polled = self.poll.poll(&mut events, timeout);
            now = self.clock.now();
            let stood_before = std::mem::replace(&mut stood_still, now > until.plus(LONGEST_TURN));
            match polled {
                // SIGCONT does it. What came while this process was stopped is looked at before a connection may be late.
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            if now >= date_due {
                date_due = self.set_date(now);
            }
            // All requests of a turn are read before its answers go out: one direction of the kernel's code at a time stays
            // in the cache (docs/MEASURING.md). A single event has nothing to wait for.
            self.sends = events.iter().nth(1).is_none();
            for event in &events {
                match SlotToken::of_bits(event.token().0) {
                    None if event.token() == WAKER => {
                        self.shared.mailboxes[self.number].woken();
                        self.take_results(now);
                    }
                    None => {
                        self.listeners.iter_mut().filter(|l| l.token == event.token()).for_each(|l| l.ready = true);
                    }
                    Some(token) => {
                        let Some(slot) = self.slot(token) else { continue };
                        slot.readable |= event.is_readable();
                        slot.writable |= event.is_writable();
                        slot.read_closed |= event.is_read_closed();
                        if event.is_error() {
                            // The client reset it. A connection that waits for a job does not read, so nothing else says so.
                            self.tell(token, now, &Conn::on_reset);
                        } else {
                            self.drive(token, now);
                        }
                    }
                }
            }
            if self.cut_at.is_none() && self.shared.is_stopping() {
                // A connection reads on only when its answers are out, and a request that waits behind them is answered too.
                self.sends = true;
                self.begin_drain(now);
            }
            self.accept(now, limits::ACCEPT_BUDGET);
            if self.cut_at.is_some() {
                self.close_emptied_listeners();
            }
            self.sends = true;
            for _ in 0..self.again.len() {
                let Some(token) = self.again.pop_front() else { break };
                if let Some(slot) = self.slot(token) {
                    slot.queued = false;
                    self.drive(token, now);
                }
            }
            // Where this process stood still, what came meanwhile is looked at first.
            if stood_before || !stood_still {
                self.expire(now, events.iter().nth(EVENTS - 1).is_some());
            }
            if let Some(cut_at) = self.cut_at {
                if now >= cut_at {
                    self.listeners.clear();
                    self.for_all(|r, token| r.tell(token, now, &Conn::on_cut));
                }
                if self.slots.is_empty() && self.listeners.is_empty() {
                    return Ok(());
                }
            }
        }
    }

    /// Deals with connections that are late, unless more events wait in the kernel after a full turn, as they do where this process
    /// stood still: a connection is late only once its event was looked at. Each has one at most, so the number of full turns is
    /// bounded.
    fn expire(&mut self, now: Stamp, is_full: bool) {
        self.full_turns = if is_full { self.full_turns + 1 } else { 0 };
        if is_full && self.full_turns * EVENTS <= self.slots.len() {
            return;
        }
        self.full_turns = 0;
        while let Some(slot) = self.deadlines.pop(now) {
            let Some(Slot { generation, .. }) = self.slots.get(slot as usize) else { continue };
            let token = SlotToken { slot, generation: *generation };
            self.tell(token, now, &Conn::on_deadline);
        }
    }

    /// Sets the Date of answers; when to do it again: at the next whole second of the wall clock.
    fn set_date(&mut self, now: Stamp) -> Stamp {
        // Before 1970 the clock of the host is wrong, and Date with it.
        let wall = wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.answers.set_date(wall.as_secs());
        now.plus(Duration::from_nanos(1_000_000_000 - u64::from(wall.subsec_nanos())))
    }

    /// How long a poll may wait at `now`, and when that is over at the latest. None: until an event, that of the timer among them.
    ///
    /// Deadlines of connections go by the timer: they are far away and move further with every request, and a poll with a
    /// timeout costs the kernel two looks at its clock and a timer of its own, each time (`ep_poll` in fs/eventpoll.c).
    fn timeout(&mut self, now: Stamp) -> (Option<Duration>, Stamp) {
        if self.busy_poll || !self.again.is_empty() {
            return (Some(Duration::ZERO), now);
        }
        let mut soon = self.cut_at.unwrap_or(Stamp::NEVER);
        if self.shared.room.is_free() && self.listeners.iter().any(|l| l.ready) {
            soon = soon.min(self.accept_at);
        }
        let late = self.deadlines.next();
        // It has fired, or was set for a later deadline.
        if late != Stamp::NEVER && (self.timer_at <= now || late < self.timer_at) {
            match self.timer.set(late.since(now)) {
                Ok(()) => self.timer_at = late,
                Err(_) => soon = soon.min(late),
            }
        }
        ((soon != Stamp::NEVER).then(|| soon.since(now)), soon.min(late))
    }

    fn slot(&mut self, token: SlotToken) -> Option<&mut Slot> {
        slot_of(&mut self.slots, token)
    }

    fn accept(&mut self, now: Stamp, budget: usize) {
        for i in 0..self.listeners.len() {
            let mut left = budget;
            while self.listeners[i].ready && left > 0 && now >= self.accept_at && self.shared.room.take() {
                left -= 1;
                match self.listeners[i].socket.accept() {
                    Ok((stream, _)) => {
                        self.admit(stream, now);
                        continue;
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.listeners[i].ready = false,
                    Err(e) if e.raw_os_error().is_some_and(is_of_one_connection) => {}
                    // No second edge comes for the connections that wait: try again by the clock.
                    Err(e) => self.pause_accept(now, &e),
                }
                self.give_back_place();
            }
        }
    }

    fn pause_accept(&mut self, now: Stamp, why: &io::Error) {
        self.shared.counters[self.number].accept_paused(why.raw_os_error().unwrap_or(0));
        self.accept_at = now.plus(limits::ACCEPT_PAUSE);
    }

    /// A place is free. Reactors that wait for one get no event of their own for it.
    fn give_back_place(&self) {
        if self.shared.room.give_back() {
            let others = self.shared.mailboxes.iter().enumerate().filter(|(number, _)| *number != self.number);
            others.for_each(|(_, mailbox)| mailbox.wake());
        }
    }

    /// Takes a connection in. The poll hears of it only when it has to wait: its request is usually there, and its answer may
    /// be its end.
    fn admit(&mut self, stream: TcpStream, now: Stamp) {
        self.generation = self.generation.next();
        let generation = self.generation;
        let entry = self.slots.vacant_entry();
        let token = SlotToken { slot: entry.key() as u32, generation };
        self.shared.counters[self.number].accepted.add(1);
        self.shared.mailboxes[self.number].living.begin(token);
        let counters = &self.shared.counters[self.number];
        let cx =
            Ctx { now, rules: &self.rules, answers: &self.answers, counters, spare: &mut self.spare, heads: &mut self.heads };
        let conn = Conn::new(&cx);
        entry.insert(Slot {
            stream,
            conn,
            generation,
            readable: true,
            writable: true,
            read_closed: false,
            queued: false,
            watched: false,
            watches_write: false,
        });
        if self.cut_at.is_some() {
            self.tell(token, now, &Conn::on_drain);
        } else {
            self.drive(token, now);
        }
    }

    fn take_results(&mut self, now: Stamp) {
        while let Ok(Completion { token, result }) = self.results.try_recv() {
            self.tell(token, now, &|conn, cx| conn.on_job_done(cx, result));
        }
    }

    fn begin_drain(&mut self, now: Stamp) {
        self.cut_at = Some(now.plus(self.drain_timeout));
        // What the kernel has accepted must be answered: a listener closes when its queue is empty, in the turns that follow.
        // With all connections or descriptors in use that takes until some end.
        self.listeners.iter_mut().for_each(|l| l.ready = true);
        self.accept_at = Stamp::ZERO;
        self.for_all(|r, token| {
            // A request may have come since the last poll: it is answered.
            if let Some(slot) = r.slot(token) {
                slot.readable = true;
            }
            r.drive(token, now);
            r.tell(token, now, &Conn::on_drain);
        });
    }

    /// While draining: accept(2) has said that nothing waits there.
    fn close_emptied_listeners(&mut self) {
        self.listeners.retain(|l| l.ready);
    }

    fn for_all(&mut self, mut each: impl FnMut(&mut Self, SlotToken)) {
        let token_of = |(i, s): (usize, &Slot)| SlotToken { slot: i as u32, generation: s.generation };
        let tokens: Vec<SlotToken> = self.slots.iter().map(token_of).collect();
        for token in tokens {
            each(self, token);
        }
    }

    /// Gives a connection an event, then does what it asks for.
    fn tell(&mut self, token: SlotToken, now: Stamp, event: &dyn Fn(&mut Conn, &mut Ctx<'_>)) {
        let Some(slot) = slot_of(&mut self.slots, token) else { return };
        let counters = &self.shared.counters[self.number];
        let mut cx =
            Ctx { now, rules: &self.rules, answers: &self.answers, counters, spare: &mut self.spare, heads: &mut self.heads };
        event(&mut slot.conn, &mut cx);
        self.drive(token, now);
    }

    /// Does what a connection asks for, until it has to wait for an event.
    fn drive(&mut self, token: SlotToken, now: Stamp) {
        let Some(slot) = slot_of(&mut self.slots, token) else { return };
        let counters = &self.shared.counters[self.number];
        let mut cx =
            Ctx { now, rules: &self.rules, answers: &self.answers, counters, spare: &mut self.spare, heads: &mut self.heads };
        let mut budget = limits::READ_BUDGET;
        loop {
            if slot.writable && !slot.conn.output().is_empty() {
                if !self.sends {
                    again(&mut self.again, slot, token);
                    return;
                }
                write(slot, &mut cx, self.clock);
                if !slot.writable && !slot.watches_write {
                    watch_write(self.poll.registry(), slot, token, &mut cx);
                }
                continue;
            }
            if let Some(job) = slot.conn.take_job() {
                let pool = if job == Job::Cpu { &self.cpu } else { &self.io };
                if !pool.submit(Task { job, token, reactor: self.number, queued: self.clock.now() }) {
                    slot.conn.on_job_done(&mut cx, JobResult::Refused);
                }
                continue;
            }
            if slot.conn.take_shutdown() {
                // ENOTCONN: it is gone already, and the next read says so.
                let _ = slot.stream.shutdown(Shutdown::Write);
            }
            if slot.conn.closed().is_some() {
                self.slots.remove(token.slot as usize);
                self.shared.mailboxes[self.number].living.end(token.slot);
                self.give_back_place();
                return;
            }
            if !(slot.conn.takes_last_look() || slot.readable && slot.conn.wants_read()) {
                if !slot.watched
                    && let Err(e) = watch(self.poll.registry(), slot, token)
                {
                    // ENOMEM or max_user_watches: this connection ends, the next ones wait.
                    self.pause_accept(now, &e);
                    return self.tell(token, now, &Conn::on_unwatched);
                }
                break;
            }
            if budget == 0 {
                // The edge will not come again: this list keeps it.
                again(&mut self.again, slot, token);
                break;
            }
            read(slot, &mut cx, &mut self.scratch, &mut budget);
        }
        self.deadlines.set(token.slot, slot.conn.deadline());
    }
}
