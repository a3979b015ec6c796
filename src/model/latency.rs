//! Percentiles of times, in milliseconds, as the documents have them.

use serde::{Deserialize, Serialize};

/// Percentiles of a latency, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "contract keys")]
pub struct LatencyMs {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p66: f64,
    pub p75: f64,
    pub p80: f64,
    pub p90: f64,
    pub p95: f64,
    pub p98: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub p99_99: f64,
    pub max: f64,
}

/// Where the time of answered requests went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "contract keys")]
pub struct PhasesMs {
    pub blocked: Option<PhaseMs>,
    pub connecting: Option<PhaseMs>,
    pub sending: Option<PhaseMs>,
    pub waiting: Option<PhaseMs>,
    pub receiving: Option<PhaseMs>,
}

/// Two percentiles, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "contract keys")]
pub struct PhaseMs {
    pub p50: f64,
    pub p99: f64,
}

/// What the target says of its own time (`Server-Timing`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "contract keys")]
pub struct ServerTimingMs {
    pub queue: PhaseMs,
    pub work: PhaseMs,
}
