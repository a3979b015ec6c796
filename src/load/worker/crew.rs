//! A worker's users: started as they are asked for, and retired in the reverse order.

use std::sync::Arc;

use super::{Slot, Worker};
use crate::model::time::Stamp;

/// The users of this worker.
#[derive(Debug, Default)]
pub(super) struct Crew {
    /// slots at work, by class, in the order of their start
    at_work: Vec<Vec<u32>>,
    /// slots without a user
    vacant: Vec<u32>,
    /// users that were started so far
    started: u32,
    /// when another number may be asked for
    pub(super) next_look: Stamp,
}

impl Worker<'_> {
    /// Starts and retires users until each class has this worker's share of its target.
    pub(super) fn follow(&mut self, now: Stamp) {
        if now < self.crew.next_look {
            return;
        }
        let steering = Arc::clone(&self.steering);
        self.crew.next_look = steering.next_look(now);
        self.crew.at_work.resize_with(steering.classes(), Vec::new);
        for class in 0..steering.classes() {
            let share = steering.share(class, self.plan, self.index, now);
            while self.crew.at_work[class].len() < share {
                let slot = self.recruit(class);
                self.crew.at_work[class].push(slot);
                self.ready.push(slot);
                steering.note_start(class);
            }
            while self.crew.at_work[class].len() > share {
                let Some(slot) = self.crew.at_work[class].pop() else { break };
                self.retire(slot, now);
                steering.note_retirement(class);
            }
        }
    }

    /// A new user, in a slot that has none.
    fn recruit(&mut self, class: usize) -> u32 {
        let number = self.index.wrapping_add(self.crew.started.wrapping_mul(self.plan.threads));
        self.crew.started = self.crew.started.wrapping_add(1);
        let of_class = self.steering.endpoint(class);
        let vacant = self.crew.vacant.pop();
        // Late events of the slot's last connection must not reach the new user.
        let generation = vacant.map(|slot| self.slots[slot as usize].generation).unwrap_or_default();
        let slot = Slot { generation, of_class, ..Slot::new(self.plan, number, &self.rules) };
        if let Some(at) = vacant {
            self.slots[at as usize] = slot;
            return at;
        }
        self.slots.push(slot);
        self.slots.len() as u32 - 1
    }

    /// The user makes no further request. One that waits leaves at once; one that has a request in flight, or is in the list of
    /// those that begin, when that is over.
    fn retire(&mut self, slot: u32, now: Stamp) {
        self.slots[slot as usize].is_leaving = true;
        if self.sleepers.clear(slot) {
            self.leave(slot, now);
        }
    }

    /// A user that retired, and has no request in flight, ends its connection; its slot is vacant.
    pub(super) fn leave(&mut self, slot: u32, now: Stamp) {
        self.unpause(slot);
        if let Some(by) = self.slots[slot as usize].user.on_end(now).close {
            let by = self.ended_by(slot, by);
            self.recorder.record_close(by);
            self.drop_socket(slot);
        }
        self.crew.vacant.push(slot);
    }

    /// Whoever steered the run has ended it, and the last of this worker's users has left.
    pub(super) fn has_drained(&self) -> bool {
        self.steering.is_over() && self.crew.vacant.len() == self.slots.len()
    }
}
