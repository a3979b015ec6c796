//! Seconds in blocks, so that figures of any number of them, drawn with replacement, are quick to have.

use super::side::{Latency, Second};
use crate::model::comparison::Compared;
use crate::model::order::distinct;

/// Longest block: what happens in one second still shows a few seconds later.
const BLOCK_S: f64 = 5.0;
/// Blocks that a side is cut into at least, where it has so many seconds.
const BLOCKS: f64 = 12.0;
/// Shorter sides say nothing.
pub(super) const SHORTEST_S: usize = 10;

/// Seconds of a block for a side of this length.
pub(super) fn length(seconds: usize) -> usize {
    ((seconds as f64 / BLOCKS).min(BLOCK_S) as usize).max(1)
}

/// The seconds of a side.
#[derive(Debug)]
pub(super) struct Blocks {
    blocks: Vec<Block>,
    /// latencies that occur, microseconds, in order
    values: Vec<u32>,
}

#[derive(Debug, Default)]
struct Block {
    seconds: f64,
    requests: f64,
    failed: f64,
    /// index into `values`, and how often
    bins: Vec<(usize, u64)>,
    /// sums of percentiles of seconds, each as often as there were requests, and how many there were
    p50: f64,
    p95: f64,
    weight: f64,
}

/// What chance is known for, in the order of [`Figures`].
pub(super) const JUDGED: [Compared; 5] =
    [Compared::RateRps, Compared::FailedShare, Compared::P50Ms, Compared::P95Ms, Compared::P99Ms];

/// Figures of some blocks. A percentile is none where nothing was answered in them.
pub(super) type Figures = [Option<f64>; 5];

impl Blocks {
    /// Blocks of `length` seconds; a rest joins the last.
    pub(super) fn of(seconds: &[Second], length: usize) -> Self {
        let count = (seconds.len() / length.max(1)).max(1);
        let values = distinct(seconds.iter().flat_map(bins).map(|(us, _)| us));
        let mut blocks: Vec<Block> = (0..count).map(|_| Block::default()).collect();
        for (i, second) in seconds.iter().enumerate() {
            let block = &mut blocks[(i / length.max(1)).min(count - 1)];
            block.seconds += 1.0;
            block.requests += second.requests;
            block.failed += second.failed;
            block.bins.extend(bins(second).filter_map(|(us, n)| Some((values.binary_search(&us).ok()?, n))));
            if let Latency::Percentiles { p50_ms, p95_ms } = second.latency {
                let answered = (second.requests - second.failed).max(0.0);
                block.p50 += p50_ms * answered;
                block.p95 += p95_ms * answered;
                block.weight += answered;
            }
        }
        Self { blocks, values }
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Figures of the blocks, each as often as `times` says.
    pub(super) fn figures(&self, times: &[u32], counts: &mut Vec<u64>) -> Figures {
        counts.clear();
        counts.resize(self.values.len(), 0);
        let mut sum = Block::default();
        for (block, times) in self.blocks.iter().zip(times).filter(|(_, times)| **times > 0) {
            let n = f64::from(*times);
            sum.seconds += n * block.seconds;
            sum.requests += n * block.requests;
            sum.failed += n * block.failed;
            sum.p50 += n * block.p50;
            sum.p95 += n * block.p95;
            sum.weight += n * block.weight;
            for (at, count) in &block.bins {
                counts[*at] += u64::from(*times) * count;
            }
        }
        let of_seconds = |total: f64| (sum.weight > 0.0).then(|| total / sum.weight);
        [
            Some(if sum.seconds > 0.0 { sum.requests / sum.seconds } else { 0.0 }),
            Some(if sum.requests > 0.0 { sum.failed / sum.requests } else { 0.0 }),
            self.quantile(counts, 0.50).or_else(|| of_seconds(sum.p50)),
            self.quantile(counts, 0.95).or_else(|| of_seconds(sum.p95)),
            self.quantile(counts, 0.99),
        ]
    }

    fn quantile(&self, counts: &[u64], q: f64) -> Option<f64> {
        let all: u64 = counts.iter().sum();
        let rank = ((q * all as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let at = counts.iter().position(|n| {
            seen += n;
            seen >= rank
        })?;
        Some(f64::from(self.values[at]) / 1000.0)
    }
}

fn bins(second: &Second) -> impl Iterator<Item = (u32, u64)> + '_ {
    let all = match &second.latency {
        Latency::All(sparse) => sparse.bins(),
        Latency::Unknown | Latency::Percentiles { .. } => &[],
    };
    all.iter().map(|b| (b.us, u64::from(b.count)))
}
