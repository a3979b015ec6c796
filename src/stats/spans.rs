//! Stretches of failures of our own machine: when they began, when they ended, how many. The echo of an exhaustion
//! shows here to the millisecond, where a series by the second is too coarse.

use std::time::Duration;

use crate::model::result::FailureSpan;
use crate::model::time::Stamp;

/// A stretch ends when a connection was made after its last failure and the next failure is further away than this.
/// Time alone ends none: at a low rate, or with pausing users, failures of one outage lie seconds apart.
pub const GAP: Duration = Duration::from_millis(500);
/// Stretches kept; later ones are added to the last.
const SPANS: usize = 256;

/// Stretches in the order of time.
///
/// ```
/// use sockbench::model::time::Stamp;
/// use sockbench::stats::spans::Spans;
/// let mut spans = Spans::default();
/// for ms in [1000, 1100, 1500] {
///     spans.record(Stamp::from_millis(ms));
/// }
/// spans.on_connected();
/// spans.record(Stamp::from_millis(4000));
/// let all: Vec<_> = spans.to_rows().iter().map(|s| (s.from_s, s.to_s, s.count)).collect();
/// assert_eq!(all, [(1.0, 1.5, 3), (4.0, 4.0, 1)]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Spans {
    spans: Vec<Span>,
    /// a connection was made since the last failure
    connected: bool,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    from: Stamp,
    to: Stamp,
    count: u64,
}

impl Spans {
    /// One failure; stamps come in order.
    pub fn record(&mut self, at: Stamp) {
        let full = self.spans.len() >= SPANS;
        let connected = std::mem::take(&mut self.connected);
        match self.spans.last_mut() {
            Some(last) if full || !connected || at.since(last.to) <= GAP => {
                last.to = last.to.max(at);
                last.count += 1;
            }
            _ => self.spans.push(Span { from: at, to: at, count: 1 }),
        }
    }

    /// A connection was made.
    pub fn on_connected(&mut self) {
        self.connected = true;
    }

    /// Adds another worker's stretches; those closer than [`GAP`] become one. Order-free.
    pub fn add(&mut self, other: &Self) {
        let mut all: Vec<Span> = self.spans.iter().chain(&other.spans).copied().collect();
        all.sort_by_key(|s| s.from);
        let mut merged: Vec<Span> = Vec::with_capacity(all.len());
        for span in all {
            match merged.last_mut() {
                Some(last) if span.from <= last.to.plus(GAP) => {
                    last.to = last.to.max(span.to);
                    last.count += span.count;
                }
                _ => merged.push(span),
            }
        }
        self.spans = merged;
    }

    /// As they stand in a result.
    pub fn to_rows(&self) -> Vec<FailureSpan> {
        let row = |s: &Span| FailureSpan { from_s: s.from.as_secs_f64(), to_s: s.to.as_secs_f64(), count: s.count };
        self.spans.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up_in_any_order() {
        let spans = |ms: &[u64]| {
            let mut s = Spans::default();
            for m in ms {
                s.on_connected();
                s.record(Stamp::from_millis(*m));
            }
            s
        };
        let (a, b) = (spans(&[100, 300, 5000]), spans(&[600, 900, 9000]));
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.add(&b);
        ba.add(&a);
        assert_eq!(ab.to_rows(), ba.to_rows());
        assert_eq!(ab.to_rows().iter().map(|s| s.count).collect::<Vec<_>>(), [4, 1, 1]);
    }

    #[test]
    fn one_outage_at_a_low_rate_is_one_stretch() {
        let mut s = Spans::default();
        (1..=5).for_each(|second| s.record(Stamp::from_millis(second * 1000)));
        s.on_connected();
        s.record(Stamp::from_millis(5400));
        s.on_connected();
        s.record(Stamp::from_millis(9000));
        let rows: Vec<_> = s.to_rows().iter().map(|s| (s.from_s, s.to_s, s.count)).collect();
        assert_eq!(rows, [(1.0, 5.4, 6), (9.0, 9.0, 1)]);
    }
}
