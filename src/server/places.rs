//! The server's places for connections: one count for all reactors, and for each reactor which of its connections are
//! still there, so that a worker leaves out the job of one that is gone.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::evloop::SlotToken;

/// The connections that all reactors together may have.
#[derive(Debug)]
pub(super) struct Room {
    max: usize,
    taken: AtomicUsize,
}

impl Room {
    /// An empty one.
    pub(super) fn new(max: usize) -> Self {
        Self { max, taken: AtomicUsize::new(0) }
    }

    /// Whether a place is free now. Another reactor may take it first.
    pub(super) fn is_free(&self) -> bool {
        self.taken.load(Ordering::SeqCst) < self.max
    }

    /// Takes a place. False: all are taken.
    pub(super) fn take(&self) -> bool {
        let more = |taken| (taken < self.max).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    /// Gives a place back. True: it was the only free one, so others may wait for it.
    pub(super) fn give_back(&self) -> bool {
        self.taken.fetch_sub(1, Ordering::SeqCst) == self.max
    }
}

/// Which connection each slot of a reactor has. Written by that reactor alone, read by any thread.
#[derive(Debug)]
pub(crate) struct Living(Box<[AtomicU64]>);

/// No token has these bits.
const NOBODY: u64 = u64::MAX;

impl Living {
    /// Slots without a connection.
    pub(crate) fn new(slots: usize) -> Self {
        Self((0..slots).map(|_| AtomicU64::new(NOBODY)).collect())
    }

    /// The connection is there.
    pub(super) fn begin(&self, token: SlotToken) {
        self.set(token.slot, token.bits() as u64);
    }

    /// The slot's connection has ended.
    pub(super) fn end(&self, slot: u32) {
        self.set(slot, NOBODY);
    }

    fn set(&self, slot: u32, bits: u64) {
        if let Some(place) = self.0.get(slot as usize) {
            place.store(bits, Ordering::Release);
        }
    }

    /// Whether this very connection is still there.
    pub(super) fn has(&self, token: SlotToken) -> bool {
        self.0.get(token.slot as usize).is_some_and(|place| place.load(Ordering::Acquire) == token.bits() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evloop::Generation;

    #[test]
    fn a_room_is_never_fuller_than_its_size_and_says_when_a_place_comes_free() {
        let room = Room::new(2);
        assert!(room.take() && room.take() && !room.is_free() && !room.take());
        assert!(room.give_back(), "the only free place");
        assert!(room.is_free() && !room.give_back());
    }

    #[test]
    fn a_connection_is_not_the_one_before_it_in_its_slot() {
        let living = Living::new(1);
        let first = SlotToken { slot: 0, generation: Generation::default() };
        let second = SlotToken { generation: first.generation.next(), ..first };
        assert!(!living.has(first));
        living.begin(first);
        assert!(living.has(first) && !living.has(second));
        living.end(0);
        assert!(!living.has(first));
        assert!(!living.has(SlotToken { slot: 9, ..first }), "no such slot");
    }
}
