//! One machine's part of a merged run.
#![allow(missing_docs, reason = "keys as in `ports`")]

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::observed::share_of;
use crate::model::plan::{PortMode, PortRange};

use super::{ClockOffset, LatencyMs, RunStamp, Verdict};

/// What one machine of a merged run did, and what belongs to it alone: its ports, its CPU, its memory. What is absent was
/// not measured there; its own `run.json` has the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Machine {
    /// host name; with the shard's number where several ran on one host
    pub name: String,
    /// its shard's number; absent where the plan was not divided
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<u32>,
    pub kernel: String,
    pub cpus: u32,
    /// RFC 3339, UTC, by its own clock
    pub started_at: String,
    /// the second of the merged run in which its own first second lies
    pub from_s: u64,
    /// how much later than `--start-at` it began
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockOffset>,
    pub duration_s: f64,
    pub users: u32,
    /// who picked its source ports; with range and addresses it may differ between machines
    #[serde(default)]
    pub port_mode: PortMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<LatencyMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<MachinePorts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cpu_percent_mean: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_rss_bytes_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_cpu_percent_mean: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_memory_percent_max: Option<f64>,
    pub verdict: Verdict,
    pub stamp: RunStamp,
    /// its seconds, on the axis of the merged run
    pub series: Vec<MachinePoint>,
}

/// The pool of one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MachinePorts {
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling_cps: Option<f64>,
    pub rate_cps: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_used: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_share: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_time_wait: Option<u32>,
    /// additive
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_in_use: Option<u32>,
}

impl MachinePorts {
    /// Share of the pool that could not be taken at the peak, as `Ports::in_use_share`.
    pub fn in_use_share(&self) -> Option<f64> {
        share_of(self.peak_in_use, self.pool).or(self.peak_share)
    }
}

/// One second of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MachinePoint {
    pub t_s: f64,
    pub rps: f64,
    pub failures_per_s: f64,
    pub local_failures_per_s: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports_used: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_wait: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cpu_percent: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_cpu_percent: Option<f64>,
}
