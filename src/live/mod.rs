//! A run for those who follow it: the page in a browser while it is filled, `/metrics` for Prometheus, the series for a
//! collector of OpenTelemetry. Each has a thread of its own; the load threads never wait for one, nor does the run.
//!
//! ```text
//! the run  -> Update -> Course -> Document -> a client of the page   (door.rs, a loop that never blocks)
//!                              -> metrics  -> /metrics
//! the run  -> Update -> Course -> metrics  -> a collector            (collector.rs, bounded waits)
//! ```
//!
//! `answer`, `client`, `course`, `metrics` and `otlp` are pure. Not here: what the page looks like (`report`).

mod answer;
mod client;
mod collector;
mod course;
mod door;
mod metrics;
mod otlp;
#[cfg(test)]
mod tests;

pub use collector::Collector;
pub use course::{Begun, Now, Update};
pub use door::{Door, Page};
pub use metrics::Towards;
