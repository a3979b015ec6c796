//! The worker's hands: connect, write, read. What a result means is the user's to say.

use std::io;
use std::sync::atomic::Ordering;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Token};

use super::{READS_PER_TURN, Worker};
use crate::evloop::SlotToken;
use crate::load::source::Local;
use crate::model::outcome::{
    Call, Cause, EADDRINUSE, EADDRNOTAVAIL, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, Failure,
};
use crate::model::plan::PortMode;
use crate::model::time::Stamp;
use crate::sys::socket::{self, SocketError};
use crate::sys::stream;

/// The explicit port is taken: bind(2) met a socket without SO_REUSEADDR, or connect(2) a live twin. On a loaded machine
/// the twin is the last connection of this run: until its FIN is acknowledged (FIN_WAIT1, up to 40 ms) it counts as live.
fn is_busy(error: &SocketError) -> bool {
    matches!((error.call, error.errno), (Call::Bind, EADDRINUSE) | (Call::Connect, EADDRNOTAVAIL))
}

/// Bytes of one read whose parsing takes so long that the clock is read again.
const LONG_READ: usize = 16 * 1024;

/// What a socket's events are to say.
fn interest(writable: bool) -> Interest {
    if writable { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE }
}

impl Worker<'_> {
    pub(super) fn connect(&mut self, slot: u32, now: Stamp) {
        let mut tries = if self.plan.port_mode == PortMode::Ring { self.plan.limits.ring_tries.max(1) } else { 1 };
        loop {
            let Some(local) = self.sources.take() else {
                // Every port of the ring has an open connection of this run.
                let failure = Failure::new(Call::Bind, Cause::Errno(EADDRINUSE));
                self.open_failed(slot, failure, now);
                return;
            };
            self.spec.local = local.addr;
            self.spec.port = local.port;
            match socket::connect(&self.spec, self.plan.target.addr, &self.clock) {
                Ok(made) => {
                    self.sources.hold(local);
                    (self.latest, self.is_stale) = (made.returned, false);
                    self.recorder.record_connect_call(made.returned, made.call_us());
                    self.slots[slot as usize].connect_called = made.called;
                    self.on_connecting(slot, made.stream, local, made.returned);
                    return;
                }
                Err(error) => {
                    let busy = is_busy(&error) && self.cause_of(&error) != Cause::NoAddress;
                    if busy {
                        self.sources.pass_over(local);
                    } else {
                        self.sources.release(local);
                    }
                    let now = self.read_clock();
                    if let Some(us) = error.call_us {
                        self.recorder.record_connect_call(now, us);
                    }
                    tries -= 1;
                    if tries > 0 && busy {
                        self.recorder.totals.ring_skips += 1;
                        continue;
                    }
                    let failure = Failure { port_bound: error.port_bound, ..Failure::new(error.call, self.cause_of(&error)) };
                    self.open_failed(slot, failure, now);
                    return;
                }
            }
        }
    }

    /// EADDRNOTAVAIL at connect(2) has two causes: no source port is free, or this machine has no address to reach the target
    /// from (IPv6 is off). A route lookup, which needs no TCP port, tells them apart. An address that was bound is there.
    fn cause_of(&self, error: &SocketError) -> Cause {
        let could_be = (error.call, error.errno) == (Call::Connect, EADDRNOTAVAIL) && self.spec.local.is_none();
        if could_be && socket::has_no_address_towards(self.plan.target.addr) {
            Cause::NoAddress
        } else {
            Cause::Errno(error.errno)
        }
    }

    pub(super) fn open_failed(&mut self, slot: u32, failure: Failure, now: Stamp) {
        self.recorder.totals.connects.failed += 1;
        let after = self.slots[slot as usize].user.on_open_failed(failure, now, &self.rules);
        self.carry_out(slot, after, now);
    }

    /// connect(2) goes on by itself. On loopback the connection is already established and the first write passes, so
    /// nothing waits for writability; elsewhere the write would block, and the event comes later. An edge that comes between
    /// is not lost: what is ready when a socket is registered is reported.
    pub(super) fn on_connecting(&mut self, slot: u32, stream: TcpStream, local: Local, returned: Stamp) {
        let s = &mut self.slots[slot as usize];
        s.generation = s.generation.next();
        let generation = s.generation;
        s.local = local;
        s.user.on_connecting();
        s.stream = Some(stream);
        // It is registered below, for what the first write leaves to wait for.
        s.watches_write = true;
        s.may_wait = false;
        if self.is_self_connected(slot) {
            self.self_connected(slot, returned);
            return;
        }
        self.write_first(slot, returned);
        let s = &mut self.slots[slot as usize];
        let Some(stream) = s.stream.as_mut().filter(|_| s.generation == generation) else { return };
        s.watches_write = s.user.is_sending();
        let token = Token(SlotToken { slot, generation }.bits());
        if let Err(error) = self.poll.registry().register(stream, token, interest(s.watches_write)) {
            self.fail(slot, Call::Socket, &error);
        }
    }

    fn self_connected(&mut self, slot: u32, now: Stamp) {
        let after = self.slots[slot as usize].user.on_self_connect(now, &self.rules);
        self.carry_out(slot, after, now);
    }

    pub(super) fn is_self_connected(&self, slot: u32) -> bool {
        self.self_connect_possible && self.slots[slot as usize].stream.as_ref().is_some_and(socket::is_self_connected)
    }

    pub(super) fn write_first(&mut self, slot: u32, stood_at: Stamp) {
        let s = &mut self.slots[slot as usize];
        let Some(stream) = &s.stream else { return };
        let request = &self.requests[s.endpoint.0 as usize];
        match stream::send(stream, request) {
            Ok(n) => {
                self.connected(slot, stood_at);
                self.wrote(slot, n);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => {
                let refused = matches!(e.raw_os_error(), Some(ECONNREFUSED | ETIMEDOUT | ENETUNREACH | EHOSTUNREACH));
                if !refused {
                    self.connected(slot, stood_at);
                }
                self.fail(slot, if refused { Call::Connect } else { Call::Write }, &e);
            }
        }
    }

    pub(super) fn connected(&mut self, slot: u32, at: Stamp) {
        let s = &mut self.slots[slot as usize];
        s.user.on_connected(at);
        s.counted = true;
        self.opened = true;
        // Ports of the ring that were busy before are the request's connecting phase, not this connection's set-up.
        self.recorder.record_setup(at, at.micros_since(s.connect_called));
        let now = self.shared.connected.fetch_add(1, Ordering::Relaxed) + 1;
        self.shared.connected_peak.fetch_max(now, Ordering::Relaxed);
    }

    pub(super) fn write(&mut self, slot: u32) {
        let s = &mut self.slots[slot as usize];
        let Some(stream) = &s.stream else { return };
        let request = &self.requests[s.endpoint.0 as usize];
        match stream::send(stream, &request[s.written..]) {
            Ok(n) => self.wrote(slot, n),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.watch_write(slot),
            Err(e) => self.fail(slot, Call::Write, &e),
        }
    }

    /// The kernel takes no more now: an event is to say when it does again.
    #[cold]
    fn watch_write(&mut self, slot: u32) {
        let s = &mut self.slots[slot as usize];
        let token = Token(SlotToken { slot, generation: s.generation }.bits());
        let Some(stream) = s.stream.as_mut().filter(|_| !std::mem::replace(&mut s.watches_write, true)) else { return };
        if let Err(error) = self.poll.registry().reregister(stream, token, interest(true)) {
            self.fail(slot, Call::Socket, &error);
        }
    }

    pub(super) fn wrote(&mut self, slot: u32, n: usize) {
        let s = &mut self.slots[slot as usize];
        s.written += n;
        let all = s.written == self.requests[s.endpoint.0 as usize].len();
        (self.latest, self.is_stale) = (self.clock.now(), false);
        s.user.on_written(n, all, self.latest);
        if !all && n > 0 {
            self.write(slot);
        }
    }

    /// A system call on the user's socket failed.
    pub(super) fn fail(&mut self, slot: u32, call: Call, error: &io::Error) {
        let now = self.read_clock();
        let errno = error.raw_os_error().unwrap_or(0);
        let s = &mut self.slots[slot as usize];
        let port_bound = s.stream.as_ref().and_then(|st| st.local_addr().ok()).is_some_and(|a| a.port() != 0);
        // connect(2) itself was accepted: what it returns at once comes by another way (`open_failed`).
        let so_error = call == Call::Connect;
        let failure = Failure { port_bound, so_error, ..Failure::new(call, Cause::Errno(errno)) };
        let after = s.user.on_error(failure, now, &self.rules);
        self.carry_out(slot, after, now);
    }

    pub(super) fn on_event(&mut self, event: &Event) {
        // The timer has done what it is for: the loop has woken up.
        let Some(SlotToken { slot, generation }) = SlotToken::of_bits(event.token().0) else { return };
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
        if s.generation == generation && s.stream.is_some() && (event.is_readable() || event.is_read_closed() || event.is_error())
        {
            self.read(slot, event.is_read_closed());
        }
    }

    pub(super) fn on_connect_event(&mut self, slot: u32, event: &Event) {
        if !(event.is_writable() || event.is_error() || event.is_read_closed()) {
            return;
        }
        if let Some(errno) = self.slots[slot as usize].stream.as_ref().and_then(socket::take_error) {
            self.fail(slot, Call::Connect, &io::Error::from_raw_os_error(errno));
            return;
        }
        let now = self.read_clock();
        if self.is_self_connected(slot) {
            self.self_connected(slot, now);
            return;
        }
        self.connected(slot, now);
        self.write(slot);
    }

    /// Reads until a short read (a stream may stop there), on to end of file when the peer's FIN is already known:
    /// data and FIN can share one edge.
    pub(super) fn read(&mut self, slot: u32, read_closed: bool) {
        let generation = self.slots[slot as usize].generation;
        for _ in 0..READS_PER_TURN {
            let Some(stream) = &self.slots[slot as usize].stream else { return };
            let received = stream::receive(stream, &mut self.buffer);
            let now = self.read_clock();
            if !self.on_received(slot, received, now, read_closed) {
                return;
            }
        }
        self.unread.push((SlotToken { slot, generation }, read_closed));
    }

    /// What a read of `slot` gave, which was over at `now`. Whether there may be more.
    #[inline]
    pub(super) fn on_received(&mut self, slot: u32, received: io::Result<usize>, now: Stamp, read_closed: bool) -> bool {
        let s = &mut self.slots[slot as usize];
        let generation = s.generation;
        match received {
            Ok(0) => {
                let after = s.user.on_eof(now, &self.rules);
                self.carry_out(slot, after, now);
                false
            }
            Ok(n) => {
                self.read_since_begun += n;
                self.is_stale = n > LONG_READ;
                let after = s.user.on_bytes(&self.buffer[..n], now, &self.rules, &mut self.heads);
                self.carry_out(slot, after, now);
                let s = &self.slots[slot as usize];
                s.generation == generation && s.stream.is_some() && (n == self.buffer.len() || read_closed)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => false,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => true,
            Err(e) => {
                self.fail(slot, Call::Read, &e);
                false
            }
        }
    }

    /// The edge will not come again for bytes that the budget left behind.
    pub(super) fn read_on(&mut self) {
        let mut unread = std::mem::take(&mut self.unread);
        for (SlotToken { slot, generation }, read_closed) in unread.drain(..) {
            if self.slots[slot as usize].generation == generation {
                self.read(slot, read_closed);
                self.begin_between_reads();
            }
        }
        // Those whose budget ended again; the list keeps its memory.
        unread.append(&mut self.unread);
        self.unread = unread;
    }
}
