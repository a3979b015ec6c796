//! One machine's part of a merged run.
#![allow(missing_docs, reason = "keys as in `ports`")]

use std::net::IpAddr;

use crate::model::observed::share_of;
use crate::model::plan::{PortMode, PortRange};

use super::{ClockOffset, LatencyMs, RunStamp, Verdict};

/// What one machine of a merged run did, and what belongs to it alone: its ports, its CPU, its memory. What is absent was
/// not measured there; its own `run.json` has the reason.
#[apply(sparse)]
pub struct Machine {
    /// host name; with the shard's number where several ran on one host
    pub name: String,
    /// its shard's number; absent where the plan was not divided
    pub shard: Option<u32>,
    pub kernel: String,
    pub cpus: u32,
    /// RFC 3339, UTC, by its own clock
    pub started_at: String,
    /// the second of the merged run in which its own first second lies
    pub from_s: u64,
    /// how long after the first machine it began, by the clocks that the axis goes by; `from_s` is this in whole seconds
    pub began_s: Option<f64>,
    /// how much later than `--start-at` it began
    pub late_s: Option<f64>,
    pub clock: Option<ClockOffset>,
    pub duration_s: f64,
    pub users: u32,
    /// who picked its source ports; with range and addresses it may differ between machines
    #[serde(default)]
    pub port_mode: PortMode,
    pub port_range: Option<PortRange>,
    /// its source addresses; empty: the kernel's choice
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<IpAddr>,
    pub attempts: u64,
    pub requests: u64,
    pub failures: u64,
    pub local_failures: u64,
    pub cut: u64,
    pub connections_opened: u64,
    pub latency_ms: Option<LatencyMs>,
    pub ports: Option<MachinePorts>,
    pub client_cpu_percent_mean: Option<f64>,
    pub client_rss_bytes_max: Option<u64>,
    pub host_cpu_percent_mean: Option<f64>,
    pub host_memory_percent_max: Option<f64>,
    pub verdict: Verdict,
    pub stamp: RunStamp,
    /// its seconds, on the axis of the merged run
    pub series: Vec<MachinePoint>,
}

/// The pool of one machine.
#[apply(sparse)]
pub struct MachinePorts {
    pub source: String,
    pub pool: Option<u32>,
    pub hold_s: Option<f64>,
    pub ceiling_cps: Option<f64>,
    pub rate_cps: f64,
    pub peak_used: Option<u32>,
    pub peak_share: Option<f64>,
    pub peak_time_wait: Option<u32>,
    /// additive
    pub peak_in_use: Option<u32>,
}

impl MachinePorts {
    /// Share of the pool that could not be taken at the peak, as `Ports::in_use_share`.
    pub fn in_use_share(&self) -> Option<f64> {
        share_of(self.peak_in_use, self.pool).or(self.peak_share)
    }
}

/// One second of one machine.
#[apply(sparse)]
#[derive(Copy)]
pub struct MachinePoint {
    pub t_s: f64,
    pub rps: f64,
    pub failures_per_s: f64,
    pub local_failures_per_s: f64,
    pub ports_used: Option<u32>,
    pub time_wait: Option<u32>,
    pub client_cpu_percent: Option<f64>,
    pub host_cpu_percent: Option<f64>,
}
