//! What the P/T law predicts for a rate, a pool and a T: schema `sockbench-forecast/1` (docs/JSON.md).

/// The schema of [`Forecast`].
pub const FORECAST_SCHEMA: &str = "sockbench-forecast/1";

/// A prediction over `duration_s`. Times in seconds from the first connection on an empty pool.
#[apply(record)]
pub struct Forecast {
    /// [`FORECAST_SCHEMA`]
    pub schema: String,
    /// connections asked for per second
    pub rate_cps: f64,
    /// source ports
    pub pool: u32,
    /// T: how long a closed connection keeps its port
    pub hold_s: f64,
    /// what the counts cover
    pub duration_s: f64,
    /// P/T: the highest sustained rate; null when T is 0
    pub ceiling_cps: Option<f64>,
    /// additive: (P/2)/T: above it the kernel's port search is slow
    pub search_cps: Option<f64>,
    /// rate / ceiling: the share of the pool in use at this rate; above 1 it runs out
    pub peak_share: f64,
    /// P/r: when the first connection fails; null when the rate stays below the ceiling
    pub exhausted_at_s: Option<f64>,
    /// T - P/r: how long nothing succeeds; null when the rate stays below the ceiling
    pub dead_s: Option<f64>,
    /// when failures begin again if the asked rate goes on, over the duration and one T more
    pub echo_s: Vec<f64>,
    /// additive: the same at the recovered rate, which the counts use; empty when that rate stays inside the pool
    pub echo_recovered_s: Vec<f64>,
    /// connections that fail within the duration
    pub failures: u64,
    /// connections that succeed within the duration
    pub successes: u64,
    /// what was taken for granted
    pub assumed: Assumed,
}

impl Forecast {
    /// The pool runs out within the duration.
    pub fn fails_within(&self) -> bool {
        self.exhausted_at_s.is_some_and(|t| t < self.duration_s)
    }
}

/// Rates that the law itself does not give.
#[apply(record)]
#[derive(Copy)]
pub struct Assumed {
    /// calls per second that fail while no port is free (failures return at once, so a closed loop calls faster);
    /// the asked rate when not given
    pub fail_rate_cps: f64,
    /// connections per second that succeed after the first recovery; the asked rate when not given
    pub recovered_rate_cps: f64,
}
