//! Percentiles of times, in milliseconds, as the documents have them.
#![allow(missing_docs, reason = "contract keys")]

/// Percentiles of a latency, milliseconds.
#[apply(record)]
#[derive(Copy)]
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

impl LatencyMs {
    /// Shares of the requests, 0 to 1, and the latency that each kept within, milliseconds. The maximum has no share.
    pub fn by_share(&self) -> [(f64, f64); 11] {
        [
            (0.0, self.min),
            (0.5, self.p50),
            (0.66, self.p66),
            (0.75, self.p75),
            (0.8, self.p80),
            (0.9, self.p90),
            (0.95, self.p95),
            (0.98, self.p98),
            (0.99, self.p99),
            (0.999, self.p99_9),
            (0.9999, self.p99_99),
        ]
    }

    /// All percentiles of [`by_share`](Self::by_share) but the minimum, to be changed.
    pub fn percentiles_mut(&mut self) -> [&mut f64; 10] {
        let Self { p50, p66, p75, p80, p90, p95, p98, p99, p99_9, p99_99, .. } = self;
        [p50, p66, p75, p80, p90, p95, p98, p99, p99_9, p99_99]
    }

    /// Those of [`by_share`](Self::by_share) that `answers` can tell apart from the maximum.
    pub fn supported_by(&self, answers: u64) -> impl Iterator<Item = (f64, f64)> {
        self.by_share().into_iter().filter(move |(share, _)| answers as f64 * (1.0 - share) >= 1.0)
    }
}

/// Where the time of answered requests went.
#[apply(record)]
pub struct PhasesMs {
    pub blocked: Option<PhaseMs>,
    pub connecting: Option<PhaseMs>,
    pub sending: Option<PhaseMs>,
    pub waiting: Option<PhaseMs>,
    pub receiving: Option<PhaseMs>,
}

/// Two percentiles, milliseconds.
#[apply(record)]
#[derive(Copy)]
pub struct PhaseMs {
    pub p50: f64,
    pub p99: f64,
}

/// What the target says of its own time (`Server-Timing`).
#[apply(record)]
pub struct ServerTimingMs {
    pub queue: PhaseMs,
    pub work: PhaseMs,
}
