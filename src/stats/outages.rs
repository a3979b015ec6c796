//! Stretches of failures of this machine: when they began, when they ended, how many. The recurrence of an exhaustion
//! shows here to the millisecond, where a series by the second is too coarse.

use std::time::Duration;

use crate::model::order::Order as _;
use crate::model::result::FailureSpan;
use crate::model::time::Stamp;

/// Failures further apart than this belong to different stretches, if a connection was made between them. Time alone
/// ends none: at a low rate, or with pausing users, failures of one outage lie seconds apart.
pub const GAP: Duration = Duration::from_millis(500);
/// Stretches kept of one worker; later failures are added to the last.
const OUTAGES: usize = 256;

/// Stretches in the order of time.
///
/// ```
/// use sockbench::testing::model::Stamp;
/// use sockbench::testing::stats::Outages;
/// let mut outages = Outages::default();
/// for ms in [1000, 1100, 1500] {
///     outages.record(Stamp::from_millis(ms));
/// }
/// outages.record_connected(Stamp::from_millis(2500));
/// outages.record(Stamp::from_millis(4000));
/// let all: Vec<_> = outages.to_rows().iter().map(|s| (s.from_s, s.to_s, s.count)).collect();
/// assert_eq!(all, [(1.0, 1.5, 3), (4.0, 4.0, 1)]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Outages {
    /// each worker's in the order of time
    outages: Vec<Outage>,
}

/// Failures at most [`GAP`] apart.
#[derive(Debug, Clone, Copy)]
struct Outage {
    from: Stamp,
    to: Stamp,
    count: u64,
    /// the first and last connection that this worker made after `to` and before its next failure
    connected: Option<(Stamp, Stamp)>,
}

impl Outages {
    /// One failure; stamps come in order.
    pub fn record(&mut self, at: Stamp) {
        let full = self.outages.len() >= OUTAGES;
        match self.outages.last_mut() {
            Some(last) if full || at.since(last.to) <= GAP => {
                last.to = last.to.max(at);
                last.count += 1;
                last.connected = None;
            }
            _ => self.outages.push(Outage { from: at, to: at, count: 1, connected: None }),
        }
    }

    /// A connection was made. Costs nothing before the first failure.
    pub fn record_connected(&mut self, at: Stamp) {
        if let Some(last) = self.outages.last_mut() {
            last.connected = Some((last.connected.map_or(at, |(first, _)| first), at));
        }
    }

    /// Adds another worker's stretches. Order-free.
    pub fn add(&mut self, other: &Self) {
        self.outages.extend_from_slice(&other.outages);
    }

    /// In the form of a result: over all workers, those with nothing between them joined.
    pub fn to_rows(&self) -> Vec<FailureSpan> {
        let mut outages = self.outages.clone();
        outages.order_by_key(|s| (s.from, s.to, s.count));
        let mut connected: Vec<(Stamp, Stamp)> = outages.iter().filter_map(|s| s.connected).collect();
        connected.order_by(Ord::cmp);
        let mut connected = connected.into_iter().peekable();
        // The latest connection among the stretches of connections that began before the outage at hand.
        let mut latest = Stamp::ZERO;
        let mut joined: Vec<Outage> = Vec::new();
        for outage in outages {
            while let Some((_, last)) = connected.next_if(|(first, _)| *first < outage.from) {
                latest = latest.max(last);
            }
            match joined.last_mut() {
                Some(before) if outage.from <= before.to.plus(GAP) || latest <= before.to => {
                    before.to = before.to.max(outage.to);
                    before.count += outage.count;
                }
                _ => joined.push(outage),
            }
        }
        let row = |s: &Outage| FailureSpan { from_s: s.from.as_secs_f64(), to_s: s.to.as_secs_f64(), count: s.count };
        joined.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up_in_any_order() {
        let outages = |ms: &[u64]| {
            let mut s = Outages::default();
            for m in ms {
                s.record(Stamp::from_millis(*m));
                s.record_connected(Stamp::from_millis(*m + 10));
            }
            s
        };
        let (a, b) = (outages(&[100, 300, 5000]), outages(&[600, 900, 9000]));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.add(&b);
        ba.add(&a);
        assert_eq!(ab.to_rows(), ba.to_rows());
        assert_eq!(ab.to_rows().iter().map(|s| s.count).collect::<Vec<_>>(), [4, 1, 1]);
    }

    #[test]
    fn one_outage_at_a_low_rate_is_one_stretch() {
        let mut s = Outages::default();
        (1..=5).for_each(|second| s.record(Stamp::from_millis(second * 1000)));
        s.record_connected(Stamp::from_millis(5200));
        s.record(Stamp::from_millis(5400));
        s.record_connected(Stamp::from_millis(6000));
        s.record(Stamp::from_millis(9000));
        let rows: Vec<_> = s.to_rows().iter().map(|s| (s.from_s, s.to_s, s.count)).collect();
        assert_eq!(rows, [(1.0, 5.4, 6), (9.0, 9.0, 1)]);
    }

    #[test]
    fn a_connection_of_any_worker_parts_the_failures_of_all() {
        let mut failing = Outages::default();
        failing.record(Stamp::from_millis(1000));
        let mut other = Outages::default();
        other.record(Stamp::from_millis(2000));
        let both = |mut a: Outages, b: &Outages| {
            a.add(b);
            a.to_rows().len()
        };
        assert_eq!(both(failing.clone(), &other), 1);
        failing.record_connected(Stamp::from_millis(1500));
        assert_eq!((both(failing.clone(), &other), both(other, &failing)), (2, 2));
    }

    #[test]
    fn only_a_connection_after_the_last_failure_and_more_than_the_gap_part_two_workers() {
        let rows = |mine: &[u64], connected: &[u64], other: u64| {
            let (mut a, mut b) = (Outages::default(), Outages::default());
            for at in mine {
                a.record(Stamp::from_millis(*at));
                connected.iter().filter(|c| *c > at).for_each(|c| a.record_connected(Stamp::from_millis(*c)));
            }
            b.record(Stamp::from_millis(other));
            a.add(&b);
            a.to_rows().len()
        };
        assert_eq!((rows(&[1000], &[1100], 1500), rows(&[1000], &[1100], 1501)), (1, 2), "the gap belongs to the stretch");
        // A connection in the stretch says nothing of its end: the first after it was made when the other had failed.
        assert_eq!(rows(&[5000, 5400], &[5200, 6000], 5950), 1);
    }
}
