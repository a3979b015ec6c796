//! Which local address and port the next connection leaves from: source addresses in turn, and sockbench's ring of
//! explicit ports. Pure; the sockets are made elsewhere.

use std::net::IpAddr;

use crate::model::plan::PortRange;

/// A local end to bind to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Local {
    /// source address; none leaves it to the kernel
    pub addr: Option<IpAddr>,
    /// explicit port, ring mode only
    pub port: Option<u16>,
    /// which source address it came from, for [`Sources::release`]
    slot: usize,
}

/// One worker's source addresses and, in ring mode, its share of the ports.
#[derive(Debug)]
pub struct Sources {
    addrs: Vec<IpAddr>,
    turn: usize,
    rings: Vec<Ring>,
}

impl Sources {
    /// Addresses used in turn (none: the kernel's choice); with `ring`, worker `worker` of `workers` takes every
    /// `workers`-th port, so that no two workers try the same one.
    pub fn new(addrs: &[IpAddr], ring: Option<PortRange>, worker: u32, workers: u32) -> Self {
        let slots = addrs.len().max(1);
        let rings = ring.map_or_else(Vec::new, |range| (0..slots).map(|_| Ring::new(range, worker, workers)).collect());
        Self { addrs: addrs.to_vec(), turn: worker as usize % slots, rings }
    }

    /// The next local address and port; none when this worker uses every port of its ring.
    pub fn take(&mut self) -> Option<Local> {
        let slots = self.addrs.len().max(1);
        for _ in 0..slots {
            let slot = self.turn;
            self.turn = (self.turn + 1) % slots;
            let addr = self.addrs.get(slot).copied();
            match self.rings.get_mut(slot) {
                None => return Some(Local { addr, port: None, slot }),
                Some(ring) => {
                    if let Some(port) = ring.take() {
                        return Some(Local { addr, port: Some(port), slot });
                    }
                }
            }
        }
        None
    }

    /// A connection from `local` was made, or is being made.
    pub fn hold(&mut self, local: Local) {
        if let (Some(ring), Some(_)) = (self.rings.get_mut(local.slot), local.port) {
            ring.busy = 0;
        }
    }

    /// The port of `local` is in use by another socket: the more ports were busy in a row, the farther the next try skips.
    pub fn pass_over(&mut self, local: Local) {
        self.release(local);
        if let (Some(ring), Some(_)) = (self.rings.get_mut(local.slot), local.port) {
            ring.leap();
        }
    }

    /// The connection from `local` has ended, or was never made.
    pub fn release(&mut self, local: Local) {
        if let (Some(ring), Some(port)) = (self.rings.get_mut(local.slot), local.port) {
            ring.release(port);
        }
    }
}

/// A leap over busy ports goes no farther than this share of the ring, so that a free stretch as long is not missed.
const LEAP_SHARE: usize = 8;

/// Ports of a range in turn; those in use are skipped. The least recently used port comes first, so each rests
/// as long as possible.
///
/// Where one port after another is busy, a whole stretch is in use, perhaps by an earlier run: the steps between
/// the ports tried grow (1, 1, 2, 4, 8, ...), so that a bounded number of tries passes it.
#[derive(Debug)]
struct Ring {
    lo: u32,
    step: u32,
    live: Vec<bool>,
    cursor: usize,
    held: usize,
    /// ports found busy in a row
    busy: u32,
}

impl Ring {
    fn new(range: PortRange, worker: u32, workers: u32) -> Self {
        let lo = u32::from(range.lo) + worker;
        let hi = u32::from(range.hi);
        let count = if lo > hi { 0 } else { ((hi - lo) / workers + 1) as usize };
        Self { lo, step: workers, live: vec![false; count], cursor: 0, held: 0, busy: 0 }
    }

    fn take(&mut self) -> Option<u16> {
        if self.held == self.live.len() {
            return None;
        }
        while self.live[self.cursor] {
            self.cursor = (self.cursor + 1) % self.live.len();
        }
        let at = self.cursor;
        self.live[at] = true;
        self.held += 1;
        self.cursor = (at + 1) % self.live.len();
        Some((self.lo + at as u32 * self.step) as u16)
    }

    /// From the port after the busy one to where the next try is. Leaps of one length would come back to the same few ports
    /// after a round: one in each round is shorter.
    fn leap(&mut self) {
        let doubled = 1_usize.checked_shl(self.busy.saturating_sub(1)).unwrap_or(usize::MAX);
        let most = self.live.len() / LEAP_SHARE;
        let is_shorter = doubled > most && self.busy.is_multiple_of(LEAP_SHARE as u32);
        let step = if is_shorter { most * 5 / 8 } else { doubled.min(most) }.max(1);
        self.cursor = (self.cursor + step - 1) % self.live.len();
        self.busy = self.busy.saturating_add(1);
    }

    fn release(&mut self, port: u16) {
        let at = ((u32::from(port) - self.lo) / self.step) as usize;
        if std::mem::replace(&mut self.live[at], false) {
            self.held -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: PortRange = PortRange { lo: 10, hi: 14 };

    #[test]
    fn the_ring_goes_round_and_passes_over_live_ports() {
        let mut s = Sources::new(&[], Some(FIVE), 0, 1);
        let first = s.take().expect("free");
        assert_eq!(first.port, Some(10));
        let ports: Vec<_> = (0..4).map(|_| s.take().and_then(|l| l.port)).collect();
        assert_eq!(ports, [Some(11), Some(12), Some(13), Some(14)]);
        assert_eq!(s.take(), None, "all in use");
        s.release(first);
        assert_eq!(s.take().and_then(|l| l.port), Some(10));
    }

    /// The ports tried in a row while all are busy.
    fn tries(s: &mut Sources, n: usize) -> Vec<u16> {
        let mut tried = Vec::new();
        for _ in 0..n {
            let local = s.take().expect("none is live");
            tried.extend(local.port);
            s.pass_over(local);
        }
        tried
    }

    #[test]
    fn a_stretch_that_is_held_is_passed_by_growing_leaps() {
        let mut s = Sources::new(&[], Some(PortRange { lo: 10_000, hi: 31_999 }), 0, 1);
        assert_eq!(tries(&mut s, 7), [10_000, 10_001, 10_002, 10_004, 10_008, 10_016, 10_032]);
        assert_eq!(tries(&mut s, 5), [10_064, 10_128, 10_256, 10_512, 11_024], "775 busy ports cost twelve tries");
        let free = s.take().expect("free");
        assert_eq!(free.port, Some(12_048));
        s.hold(free);
        assert_eq!(tries(&mut s, 3), [12_049, 12_050, 12_051], "one that is free ends the stretch");
    }

    #[test]
    fn leaps_are_bounded_by_a_share_of_the_ring() {
        let mut s = Sources::new(&[], Some(PortRange { lo: 100, hi: 139 }), 0, 1);
        assert_eq!(tries(&mut s, 9), [100, 101, 102, 104, 108, 113, 118, 123, 128], "five of 40 at most");
        let mut small = Sources::new(&[], Some(FIVE), 0, 1);
        assert_eq!(tries(&mut small, 7), [10, 11, 12, 13, 14, 10, 11], "a small ring is tried port by port");
        assert_eq!(tries(&mut small, 100).len(), 100, "for ever, if asked");
    }

    #[test]
    fn stretches_that_earlier_runs_left_in_use_are_passed_while_a_third_of_the_ring_is_free() {
        for ports in [1000_u16, 10_000, 28_000] {
            let mut in_use = std::collections::HashSet::new();
            // Each run begins at the first port again, and leaves a fiftieth of the ring in TIME_WAIT.
            while in_use.len() < usize::from(ports) * 2 / 3 {
                let mut s = Sources::new(&[], Some(PortRange { lo: 1, hi: ports }), 0, 1);
                let failed = (0..ports / 50).filter(|_| {
                    let is_made = (0..crate::model::limits::RING_TRIES).any(|_| {
                        let local = s.take().expect("none is live");
                        let is_free = in_use.insert(local.port);
                        if is_free {
                            s.hold(local);
                        } else {
                            s.pass_over(local);
                        }
                        is_free
                    });
                    !is_made
                });
                let failed = failed.count();
                assert!(failed <= 2 + usize::from(ports) / 250, "{failed} with {} of {ports} in use", in_use.len());
            }
        }
    }

    #[test]
    fn workers_never_share_a_port() {
        let take = |w| {
            let mut s = Sources::new(&[], Some(FIVE), w, 2);
            std::iter::from_fn(move || s.take().and_then(|l| l.port)).collect::<Vec<_>>()
        };
        assert_eq!(take(0), [10, 12, 14]);
        assert_eq!(take(1), [11, 13]);
    }

    #[test]
    fn addresses_take_turns_with_a_ring_each() {
        let a: Vec<IpAddr> = ["127.0.0.2", "127.0.0.3"].iter().map(|s| s.parse().expect("literal")).collect();
        let mut s = Sources::new(&a, Some(PortRange { lo: 10, hi: 11 }), 0, 1);
        let got: Vec<_> = std::iter::from_fn(|| s.take()).map(|l| (l.addr, l.port)).collect();
        assert_eq!(got.len(), 4);
        assert_eq!((got[0], got[1]), ((Some(a[0]), Some(10)), (Some(a[1]), Some(10))));
        let mut free = Sources::new(&a, None, 0, 1);
        assert_eq!(free.take().and_then(|l| l.port), None);
    }
}
