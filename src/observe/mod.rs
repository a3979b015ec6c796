//! Facts beside a run: ports towards the target, CPU and memory of client, target and host, kernel counters; each
//! known, or unavailable with its reason. It has its own thread; the load threads never wait for it.
//!
//! ```text
//! before the run   Baseline        host, pool, T, leftovers          -> preflight line
//! each 250 ms      Observer        sockstat, own threads               -> LivePorts -> status line
//! each second                      /proc of client and target, host, a filtered sock_diag dump
//! at the end       Observation     -> apply -> ports{}, kernel{}, resources{}, series[], unavailable[]
//! ```
//!
//! Not here: what the facts mean (`diagnose`), and counting requests (`stats`).

pub mod baseline;
mod by_source;
mod interpreters;
pub mod listing;
mod live;
pub mod looker;
mod meters;
mod observation;
mod observer;
pub mod socket_count;
mod sockets_look;
mod threads;
mod throttle;
mod towards;
mod write_ports;
mod write_result;

pub use baseline::Baseline;
pub use live::LivePorts;
pub use observation::Observation;
pub use observer::{ObservePlan, Observer};
pub use write_result::apply_unobserved;

/// Name of the observer's thread.
pub const THREAD_NAME: &str = "sockbench-observer";
/// How the names of load workers begin.
pub const WORKER_PREFIX: &str = "load-";
