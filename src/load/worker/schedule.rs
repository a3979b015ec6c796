//! When the worker's users begin and how long the loop may sleep: users that waited, arrivals of a schedule,
//! timeouts.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{BATCH, BATCHED_FROM, LARGE_ANSWER, LONGEST_WAIT, READ_BEFORE_BEGIN, Worker};
use crate::load::user::Begin;
use crate::model::limits;
use crate::model::outcome::EndpointId;
use crate::model::time::Stamp;

impl Worker<'_> {
    pub(super) fn start_due(&mut self, now: Stamp) {
        self.read_since_begun = 0;
        if self.pacer.is_some() {
            self.start_arrivals(now);
            return;
        }
        self.follow(now);
        while let Some(slot) = self.sleepers.pop(now) {
            self.ready.push(slot);
        }
        self.begin_ready(now);
    }

    /// Begins what is ready, or due, within a turn that reads large answers.
    pub(super) fn begin_between_reads(&mut self) {
        if !is_much(self.read_since_begun, self.ready.len()) {
            return;
        }
        self.read_since_begun = 0;
        let now = self.now();
        if self.pacer.is_some() {
            self.start_arrivals(now);
        } else {
            self.begin_ready(now);
        }
    }

    /// Begins what is ready at `now`.
    fn begin_ready(&mut self, now: Stamp) {
        let mut ready = std::mem::take(&mut self.ready);
        let (mut begun, mut at) = (0, now);
        while begun < ready.len() && self.may_begin(at) {
            at = self.now();
            self.begin(ready[begun], None, at);
            begun += 1;
        }
        ready.drain(..begun);
        // A user that failed on loopback at once may be back in the list, for the next turn.
        ready.append(&mut self.ready);
        self.ready = ready;
    }

    /// Whether one more request may begin in this turn at `at`, a stamp taken in it: a turn of slow connects must not
    /// keep the loop from its events, a stop request, or the end of the run.
    pub(super) fn may_begin(&mut self, at: Stamp) -> bool {
        if self.begins_until == Stamp::NEVER {
            self.begins_until = at.plus(limits::TURN);
        }
        at < self.end && at < self.begins_until
    }

    /// Open loop: every arrival that is due and finds a free user begins, with its intended start kept.
    fn start_arrivals(&mut self, now: Stamp) {
        while let Some(slot) = self.sleepers.pop(now) {
            self.set_free(slot, now);
        }
        let mut at = now;
        while self.may_begin(at) {
            let Some(pacer) = &mut self.pacer else { break };
            let due = pacer.next();
            if due > now || due >= self.end {
                break;
            }
            let Some(slot) = self.free.pop() else { break };
            pacer.advance();
            at = self.now();
            self.begin(slot, Some(due), at);
        }
        if at > now && self.plan.rate > BATCHED_FROM * f64::from(self.plan.threads) {
            self.batch_until = at.plus(BATCH);
        }
    }

    pub(super) fn set_free(&mut self, slot: u32, now: Stamp) {
        self.unpause(slot);
        self.slots[slot as usize].free_since = now;
        self.free.push(slot);
    }

    /// Takes one attempt of `--requests`; false when there is none left.
    pub(super) fn take_ticket(&self) -> bool {
        self.plan.requests == 0 || self.shared.tickets.fetch_sub(1, Ordering::Relaxed) > 0
    }

    /// Begins a request at `now`, unless `--requests` are used up.
    pub(super) fn begin(&mut self, slot: u32, intended: Option<Stamp>, now: Stamp) {
        if self.slots[slot as usize].is_leaving {
            self.leave(slot, now);
            return;
        }
        self.unpause(slot);
        if !self.take_ticket() {
            return;
        }
        let endpoint = self.pick_endpoint(slot);
        let s = &mut self.slots[slot as usize];
        s.endpoint = endpoint;
        s.written = 0;
        if let Some(intended) = intended {
            self.recorder.totals.lateness.record(now.micros_since(could_begin(intended, s.free_since, self.standstill)));
            self.recorder.totals.lag.record(now.micros_since(intended));
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
        if let Some(endpoint) = self.slots[slot as usize].of_class {
            return endpoint;
        }
        let mut at = self.slots[slot as usize].user.rng().u32(0..self.weight_total.max(1));
        for (i, w) in self.weights.iter().enumerate() {
            if at < *w {
                return EndpointId(i as u16);
            }
            at -= w;
        }
        EndpointId(0)
    }

    /// The user's deadline may have come nearer.
    pub(super) fn watch_deadline(&mut self, slot: u32) {
        self.deadlines.set(slot, self.slots[slot as usize].user.deadline());
    }

    pub(super) fn expire(&mut self, now: Stamp) {
        while let Some(slot) = self.deadlines.pop(now) {
            let user = &mut self.slots[slot as usize].user;
            if user.deadline() <= now {
                let after = user.on_deadline(now, &self.rules);
                self.carry_out(slot, after, now);
            }
            self.watch_deadline(slot);
        }
    }

    /// When the nearest thing is due, or the loop is to look after a stop request; `now` where there is something to do.
    pub(super) fn next_due(&self, now: Stamp) -> Stamp {
        if self.plan.busy_poll || !self.ready.is_empty() || !self.unread.is_empty() {
            return now;
        }
        let next = now.plus(LONGEST_WAIT).min(self.end).min(self.sleepers.next()).min(self.deadlines.next());
        next.min(if self.pacer.is_some() { self.next_arrival() } else { self.crew.next_look }).max(now)
    }

    /// NEVER where no arrival could begin.
    fn next_arrival(&self) -> Stamp {
        match &self.pacer {
            Some(pacer) if !self.free.is_empty() => pacer.next().max(self.batch_until),
            _ => Stamp::NEVER,
        }
    }

    /// How long a poll may wait at `now` for what is due at `until`; none: the timer ends it.
    ///
    /// Arrivals of a schedule go by the timer because it is finer than a poll. What is far away does so because a poll with a
    /// timeout costs the kernel two looks at its clock and a timer of its own, each time (`ep_poll` in fs/eventpoll.c).
    pub(super) fn timeout(&mut self, until: Stamp, now: Stamp) -> Option<Duration> {
        if now < self.timer_at && self.timer_at <= until {
            return None;
        }
        let is_far = until == now.plus(LONGEST_WAIT);
        if until > now && (is_far || until == self.next_arrival()) {
            // What began in this turn took its time.
            let after = until.since(self.now());
            if self.timer.set(after).is_ok() {
                self.timer_at = until;
                return None;
            }
        }
        Some(until.since(now))
    }
}

/// So many bytes were read since requests last began that those of `ready` users may not wait for the rest of the turn.
fn is_much(bytes: usize, ready: usize) -> bool {
    bytes >= READ_BEFORE_BEGIN.max(ready.saturating_mul(LARGE_ANSWER))
}

/// When a request that was due at `intended` could have begun on a connection that was free since then. One that became due
/// while this thread did not run is late from then on, free connection or not.
fn could_begin(intended: Stamp, free_since: Stamp, (stood_from, ran_again): (Stamp, Stamp)) -> Stamp {
    let in_standstill = stood_from <= intended && intended < ran_again;
    if in_standstill { intended } else { intended.max(free_since) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_answers_are_much() {
        assert!(is_much(98_304, 1), "one of 96 KiB");
        assert!(is_much(80_000, 8), "eight of 10 kB");
        assert!(is_much(200_000, 0), "a part of one");
        assert!(!is_much(130_000, 1000), "a thousand of 130 bytes");
        assert!(!is_much(20_000, 2), "what is read in no time");
    }

    #[test]
    fn a_request_is_late_from_when_it_could_have_begun_unless_the_client_stood_still() {
        let begins = |due_ms, free_ms| {
            let stood = (Stamp::from_millis(100), Stamp::from_millis(200));
            could_begin(Stamp::from_millis(due_ms), Stamp::from_millis(free_ms), stood)
        };
        assert_eq!(begins(50, 20), Stamp::from_millis(50), "a connection was free");
        assert_eq!(begins(50, 80), Stamp::from_millis(80), "all were in use");
        assert_eq!(begins(100, 201), Stamp::from_millis(100), "answers came meanwhile, and nobody read them");
        assert_eq!(begins(200, 201), Stamp::from_millis(201));
    }
}
