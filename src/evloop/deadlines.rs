//! Deadlines of the slots of a loop: a lazy heap with one live entry per slot.
//!
//! Deadlines move with every request, nearly always further away; so an entry is left alone until it is due, and
//! then put where the slot's deadline has gone. It belongs to the slot, not to the connection: one that is reused
//! a thousand times a second has one entry still.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::time::Stamp;

/// The heap.
#[derive(Debug, Default)]
pub struct Deadlines {
    heap: BinaryHeap<Reverse<(Stamp, u32)>>,
    /// when each slot's earliest entry is due
    entry: Vec<Stamp>,
}

impl Deadlines {
    /// The deadline of `slot` is now `at`.
    pub fn set(&mut self, slot: u32, at: Stamp) {
        let index = slot as usize;
        if index >= self.entry.len() {
            self.entry.resize(index + 1, Stamp::NEVER);
        }
        if at < self.entry[index] {
            self.entry[index] = at;
            self.heap.push(Reverse((at, slot)));
        }
    }

    /// `slot` has no deadline any more. Returns whether it had one.
    pub fn clear(&mut self, slot: u32) -> bool {
        let entry = self.entry.get_mut(slot as usize);
        entry.is_some_and(|at| std::mem::replace(at, Stamp::NEVER) != Stamp::NEVER)
    }

    /// When to look again; [`Stamp::NEVER`] when nothing is set.
    pub fn next(&self) -> Stamp {
        self.heap.peek().map_or(Stamp::NEVER, |Reverse((at, _))| *at)
    }

    /// A slot whose entry was due at `now`. The caller looks at its deadline, and sets it again if it has one.
    pub fn pop(&mut self, now: Stamp) -> Option<u32> {
        while let Some(&Reverse((at, slot))) = self.heap.peek().filter(|Reverse((at, _))| *at <= now) {
            self.heap.pop();
            // Otherwise a newer, earlier entry has taken its place, and has been dealt with.
            let entry = &mut self.entry[slot as usize];
            if *entry == at {
                *entry = Stamp::NEVER;
                return Some(slot);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_is_lazy_and_earlier_is_at_once() {
        let ms = Stamp::from_millis;
        let mut t = Deadlines::default();
        t.set(3, ms(10));
        for later in 11..1000 {
            t.set(3, ms(later));
        }
        assert_eq!((t.heap.len(), t.next()), (1, ms(10)));
        t.set(3, ms(5));
        assert_eq!((t.pop(ms(4)), t.pop(ms(5))), (None, Some(3)));
        t.set(3, ms(999));
        assert_eq!((t.pop(ms(998)), t.pop(ms(999)), t.next()), (None, Some(3), Stamp::NEVER));
        t.set(3, ms(1000));
        assert_eq!((t.clear(3), t.clear(3), t.clear(99)), (true, false, false));
        t.set(3, ms(1001));
        assert_eq!((t.pop(ms(1000)), t.pop(ms(1001))), (None, Some(3)), "the entry that was cleared is passed over");
    }
}
