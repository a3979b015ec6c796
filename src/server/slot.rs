//! What a reactor does with one connection's socket: read, write, and ask for events.

use std::collections::VecDeque;
use std::io;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use slab::Slab;

use super::conn::{Conn, Ctx};
use crate::evloop::{Generation, SlotToken};
use crate::sys::clock::Clock;
use crate::sys::stream;

/// A connection and its socket.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) stream: TcpStream,
    pub(super) conn: Conn,
    pub(super) generation: Generation,
    /// what the last edge said of reading, until a read says otherwise
    pub(super) readable: bool,
    /// the same of writing
    pub(super) writable: bool,
    /// the peer's FIN is known
    pub(super) read_closed: bool,
    /// on the list of those that are driven on
    pub(super) queued: bool,
    /// the poll knows it
    pub(super) watched: bool,
    /// its events say when it can be written to
    pub(super) watches_write: bool,
}

/// Puts a connection on the list of those that are driven on, once.
pub(super) fn again(list: &mut VecDeque<SlotToken>, slot: &mut Slot, token: SlotToken) {
    if !std::mem::replace(&mut slot.queued, true) {
        list.push_back(token);
    }
}

/// Sends what is ready; the connection hears what the kernel took.
pub(super) fn write(slot: &mut Slot, cx: &mut Ctx<'_>, clock: Clock) {
    match stream::send(&slot.stream, slot.conn.output()) {
        Ok(n) => {
            slot.writable = n == slot.conn.output().len();
            // Measured where the kernel has it: the turn's time would hide what the turn itself took.
            let turn = std::mem::replace(&mut cx.now, clock.now());
            slot.conn.on_written(cx, n);
            cx.now = turn;
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            slot.writable = false;
            slot.conn.on_written(cx, 0);
        }
        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
        Err(_) => slot.conn.on_reset(cx),
    }
}

/// The kernel takes no more now: an event is to say when it does again. Most connections never need that.
#[cold]
pub(super) fn watch_write(registry: &Registry, slot: &mut Slot, token: SlotToken, cx: &mut Ctx<'_>) {
    slot.watches_write = true;
    if watch(registry, slot, token).is_err() {
        slot.conn.on_unwatched(cx);
    }
}

/// Has the poll report what the connection waits for; what is ready already is reported too. Errors: epoll_ctl(2).
pub(super) fn watch(registry: &Registry, slot: &mut Slot, token: SlotToken) -> io::Result<()> {
    let interest = if slot.watches_write { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
    let token = Token(token.bits());
    if std::mem::replace(&mut slot.watched, true) {
        registry.reregister(&mut slot.stream, token, interest)
    } else {
        registry.register(&mut slot.stream, token, interest)
    }
}

/// Reads once and hands on what came; `budget`, in bytes, becomes less by it.
pub(super) fn read(slot: &mut Slot, cx: &mut Ctx<'_>, scratch: &mut [u8], budget: &mut usize) {
    match stream::receive(&slot.stream, scratch) {
        Ok(0) => {
            slot.readable = false;
            slot.conn.on_eof(cx);
        }
        Ok(n) => {
            slot.readable = n == scratch.len() || slot.read_closed;
            *budget = budget.saturating_sub(n);
            slot.conn.on_bytes(cx, &scratch[..n]);
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            slot.readable = false;
            slot.conn.on_dry(cx);
        }
        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
        Err(_) => slot.conn.on_reset(cx),
    }
}

/// The connection that `token` means, unless it has ended.
pub(super) fn slot_of(slots: &mut Slab<Slot>, token: SlotToken) -> Option<&mut Slot> {
    slots.get_mut(token.slot as usize).filter(|s| s.generation == token.generation)
}
