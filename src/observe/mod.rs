//! Facts beside a run: ports towards the target, CPU and memory of client, target and host, kernel counters; each
//! known, or unavailable with its reason. A thread of its own; the load threads never wait for it.
//!
//! ```text
//! before the run   Survey          pool, hold time, leftovers          -> preflight line
//! each 250 ms      Observer        sockstat, own threads               -> Gauge -> status line
//! each second                      /proc of client and target, host, a filtered sock_diag dump
//! at the end       Observation     -> apply -> ports{}, kernel{}, resources{}, series[], unavailable[]
//! ```
//!
//! Not here: what the facts mean (`diagnose`), and counting requests (`stats`).

mod apply;
mod apply_ports;
pub mod census;
mod gauge;
pub mod inventory;
mod meter;
mod observation;
mod observer;
pub mod pool;
pub mod survey;
mod threads;

pub use apply::apply_unobserved;
pub use gauge::Gauge;
pub use observation::Observation;
pub use observer::{ObservePlan, Observer};
pub use survey::Survey;

/// Name of the observer's thread.
pub const THREAD_NAME: &str = "sockbench-observer";
/// How the names of load workers begin.
pub const WORKER_PREFIX: &str = "load-";
