//! Percentiles of each endpoint, second by second: what the run result keeps of the mix alone. Fed while a run goes on,
//! or with the seconds of a stored interval log.

use crate::stats::interval::Interval;

/// p50 and p95 of the answered requests, milliseconds; none in a second without an answer.
type Times = Option<(f64, f64)>;

/// A row for each second, a column for each endpoint in the order of the plan's mix.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointTimes {
    seconds: Vec<(u64, Vec<Times>)>,
}

impl EndpointTimes {
    /// Adds the next second, all workers merged.
    pub fn push(&mut self, second: &Interval) {
        let times = second.endpoints.iter().map(|e| e.answered.latency_ms().map(|l| (l.p50, l.p95)));
        self.seconds.push((second.second, times.collect()));
    }

    /// The middle of each second and the figure of endpoint `index` in it.
    pub(super) fn points(&self, index: usize, figure: fn((f64, f64)) -> f64) -> impl Iterator<Item = (f64, Option<f64>)> {
        let of =
            move |(second, times): &(u64, Vec<Times>)| (*second as f64 + 0.5, times.get(index).copied().flatten().map(figure));
        self.seconds.iter().map(of)
    }
}
