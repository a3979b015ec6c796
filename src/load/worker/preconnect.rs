//! Connections that are made before the clock starts, so that the first requests of a rate need not wait for theirs.
//!
//! They are set-up, not load: no attempt belongs to them, and one that cannot be made is left to the schedule, which makes
//! it when it needs it and reports what comes of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::{Interest, Token};

use super::Worker;
use crate::evloop::SlotToken;
use crate::model::time::Stamp;
use crate::sys::socket;

/// Longest wait for all of a worker's connections together.
const WAIT: Duration = Duration::from_secs(1);

impl Worker<'_> {
    /// Makes up to `count` connections, which the first requests take.
    pub(in crate::load) fn preconnect(&mut self, count: u32) {
        let made = (0..count.min(self.slots.len() as u32)).take_while(|slot| self.begin_preconnect(*slot)).count();
        let until = self.clock.now().plus(WAIT);
        for slot in 0..made as u32 {
            self.end_preconnect(slot, until);
        }
    }

    /// connect(2) for all before the first is waited for.
    fn begin_preconnect(&mut self, slot: u32) -> bool {
        let Some(local) = self.sources.take() else { return false };
        (self.spec.local, self.spec.port) = (local.addr, local.port);
        let Ok(made) = socket::connect(&self.spec, self.plan.target.addr, &self.clock) else {
            self.sources.release(local);
            return false;
        };
        self.sources.hold(local);
        self.recorder.record_connect_call(Stamp::ZERO, made.call_us());
        let s = &mut self.slots[slot as usize];
        (s.stream, s.local, s.connect_called) = (Some(made.stream), local, made.called);
        true
    }

    fn end_preconnect(&mut self, slot: u32, until: Stamp) {
        let generation = self.slots[slot as usize].generation;
        let token = Token(SlotToken { slot, generation }.bits());
        let left = until.since(self.clock.now());
        let is_self_connected = self.is_self_connected(slot);
        let s = &mut self.slots[slot as usize];
        let Some(stream) = &mut s.stream else { return };
        let is_there = socket::is_established_within(stream, left) && !is_self_connected;
        if !is_there || self.poll.registry().register(stream, token, Interest::READABLE).is_err() {
            s.stream = None;
            let local = std::mem::take(&mut s.local);
            self.sources.release(local);
            return;
        }
        (s.counted, s.watches_write) = (true, false);
        s.user.on_preconnected();
        self.opened = true;
        self.recorder.record_setup_before(self.clock.now().micros_since(s.connect_called));
        let now = self.shared.connected.fetch_add(1, Ordering::Relaxed) + 1;
        self.shared.connected_peak.fetch_max(now, Ordering::Relaxed);
    }
}
