//! What follows from an input to a user: its sample recorded, its socket closed, its next request planned.

use std::io::ErrorKind;
use std::sync::atomic::Ordering;

use super::{Alike, Worker};
use crate::load::user::After;
use crate::model::outcome::{ClosedBy, Outcome};
use crate::model::time::Stamp;
use crate::stats::errors::Evidence;
use crate::sys::stream;

impl Worker<'_> {
    /// Does what the machine said: records the sample, closes, and lets the user go on. One that may go on at once begins in the
    /// next turn, or between large answers (`is_much`): the answers of a turn are read before the next requests go out. So one
    /// direction of the kernel's code at a time stays in the cache (docs/MEASURING.md), and no answer waits behind a write
    /// before its time is taken.
    pub(super) fn carry_out(&mut self, slot: u32, after: After, now: Stamp) {
        if after.announced_close {
            self.recorder.totals.closes.announced_by_target += 1;
        }
        if after.ended {
            let user = &self.slots[slot as usize].user;
            let sample = user.sample();
            self.in_flight -= 1;
            self.last_sample = self.last_sample.max(sample.ended);
            self.recorder.record(sample);
            if let Outcome::Failed(failure) = sample.outcome {
                self.recorder.totals.errors.keep_evidence(failure, sample.endpoint, || {
                    Some(Evidence::of(user.received()?, user.excerpt())?.with_limit_fields(user.limit_fields()))
                });
            }
            if !self.opened {
                self.remember(sample.outcome);
            }
        }
        if let Some(surplus) = after.surplus {
            let s = &self.slots[slot as usize];
            self.recorder.totals.surplus.record(surplus.kind, s.endpoint, surplus.bytes, now, s.user.excerpt());
        }
        let unconnected = !self.slots[slot as usize].user.is_connected() && !self.slots[slot as usize].user.is_connecting();
        if let Some(by) = after.close {
            let by = self.ended_by(slot, by);
            self.recorder.record_close(by);
            if after.ended_idle {
                self.recorder.record_idle_close(by);
            }
            self.drop_socket(slot);
        } else if unconnected && after.ended {
            self.drop_socket(slot);
        }
        let Some(free_at) = after.free_at else {
            // Lingering for the target's FIN has a nearer deadline than the request had.
            self.watch_deadline(slot);
            return;
        };
        if after.paused {
            self.slots[slot as usize].paused = true;
            self.shared.paused.fetch_add(1, Ordering::Relaxed);
        }
        if self.slots[slot as usize].is_leaving {
            self.leave(slot, now);
        } else if free_at > now {
            self.sleepers.set(slot, free_at);
        } else if self.pacer.is_some() {
            self.set_free(slot, now);
        } else {
            self.ready.push(slot);
        }
    }

    /// Who ends the connection of `slot`, which is closed next, and so who keeps the TIME_WAIT. For the user it is the client's
    /// close when it has its answer, but the target's FIN may be in the socket already: one more look shows that. Only
    /// connections that end pay for it. When both FINs cross at this instant, the client's counts as first.
    pub(super) fn ended_by(&self, slot: u32, seen: ClosedBy) -> ClosedBy {
        let Some(stream) = self.slots[slot as usize].stream.as_ref().filter(|_| seen == ClosedBy::Client) else { return seen };
        match stream::peek(stream, &mut [0]) {
            Ok(0) => ClosedBy::Server,
            // With SO_LINGER 0 our close is an RST.
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                if self.spec.linger_reset {
                    ClosedBy::Reset
                } else {
                    ClosedBy::Client
                }
            }
            // Closed with bytes unread, the kernel sends an RST (RFC 2525 section 2.17); or one has come.
            Ok(_) | Err(_) => ClosedBy::Reset,
        }
    }

    /// What a request came to before any connection stood.
    fn remember(&mut self, outcome: Outcome) {
        let (Outcome::Failed(failure) | Outcome::Local(failure)) = outcome else { return };
        self.alike = match self.alike {
            Alike::Nothing => Alike::All(failure),
            Alike::All(f) if f == failure => Alike::All(f),
            _ => Alike::Mixed,
        };
    }

    pub(super) fn drop_socket(&mut self, slot: u32) {
        let s = &mut self.slots[slot as usize];
        if s.stream.take().is_none() {
            return;
        }
        self.is_stale = true;
        // Dropping the socket closes it, which takes it out of the poll; a late event is known by its generation.
        s.generation = s.generation.next();
        let local = std::mem::take(&mut s.local);
        if std::mem::replace(&mut s.counted, false) {
            self.shared.connected.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.recorder.totals.connects.failed += 1;
        }
        self.sources.release(local);
    }

    pub(super) fn unpause(&mut self, slot: u32) {
        if std::mem::replace(&mut self.slots[slot as usize].paused, false) {
            self.shared.paused.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
