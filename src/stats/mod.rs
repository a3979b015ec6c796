//! Counting and percentiles: one [`recorder::Recorder`] per worker thread, one [`aggregate::Aggregate`] per run.
//!
//! A recorder takes samples without locks, and does not allocate for each: only for a new kind of failure, for one, or when a
//! latency is beyond the range of its histogram, which then at least doubles. Once a second it turns what it saw into an
//! [`interval::Interval`]: counts and sparse histograms, small enough to send over a channel. The aggregate adds intervals
//! and, at the end, [`totals::WorkerTotals`] of all workers in any order, and fills the counted part of a run result. Merging
//! is exact and order-free, because histograms with equal precision share their bins.
//!
//! Not here: a clock, a thread, a lock. Time comes in with each sample.
//!
//! ```
//! use std::time::Duration;
//! use sockbench::testing::model::Stamp;
//! use sockbench::testing::stats::Recorder;
//!
//! let mut recorder = Recorder::new(1, Duration::ZERO, false);
//! recorder.record_attempt(Stamp::from_millis(10));
//! recorder.roll_to(Stamp::from_millis(2_500));
//! let seconds: Vec<_> = recorder.drain_intervals().map(|i| (i.second, i.attempts)).collect();
//! assert_eq!(seconds, [(0, 1), (1, 0)], "completed seconds only, quiet ones included");
//! ```

pub mod aggregate;
pub mod counts;
pub mod errors;
#[cfg(test)]
pub(crate) mod fixture;
pub mod histogram;
pub mod interval;
pub mod outages;
pub mod partial;
pub mod recorder;
pub mod so_far;
pub mod sparse;
pub mod stalls;
mod summarise;
pub mod surplus;
pub mod tail;
#[cfg(test)]
mod tests;
pub mod totals;
