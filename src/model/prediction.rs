//! What a remedy promises, as figures: a run that follows its command can be compared with them.
//!
//! Not here: reading the figure from a run ([`crate::remedy::promise`]).

/// A figure of a run that a remedy may promise.
#[apply(snake_case)]
pub enum Metric {
    /// `latency_ms.p50`, of one endpoint or of all together
    LatencyP50Ms,
    /// `totals.steady.rps`, without a steady part `totals.rps`
    Rps,
    /// `totals.local_failures`
    LocalFailures,
    /// `totals.never_started`
    NeverStarted,
    /// `totals.connections_opened`
    ConnectionsOpened,
    /// `totals.users_reached`
    UsersReached,
    /// `ports.peak_share`
    PeakShare,
    /// `ports.ceiling_cps`
    CeilingCps,
}

/// One promised figure with its tolerance.
#[apply(sparse)]
pub struct Prediction {
    /// which figure of the run
    pub metric: Metric,
    /// of this endpoint; absent: of the whole run
    pub endpoint: Option<String>,
    /// what is expected, in the unit of the metric
    pub value: f64,
    /// the least that keeps the promise; absent where less is better
    pub at_least: Option<f64>,
    /// the most that keeps the promise; absent where more is better
    pub at_most: Option<f64>,
}

impl Prediction {
    /// `value`, or anything from `low` to `high`.
    pub const fn between(metric: Metric, value: f64, low: f64, high: f64) -> Self {
        Self { metric, endpoint: None, value, at_least: Some(low), at_most: Some(high) }
    }

    /// `value`, give or take `share` of it.
    pub fn near(metric: Metric, value: f64, share: f64) -> Self {
        Self::between(metric, value, value * (1.0 - share), value * (1.0 + share))
    }

    /// `value` or less.
    pub const fn at_most(metric: Metric, value: f64) -> Self {
        Self { metric, endpoint: None, value, at_least: None, at_most: Some(value) }
    }

    /// The same of one endpoint.
    #[must_use]
    pub fn of(self, endpoint: &str) -> Self {
        Self { endpoint: Some(endpoint.to_owned()), ..self }
    }

    /// Whether `measured` keeps the promise.
    ///
    /// ```
    /// use sockbench::testing::model::{Metric, Prediction};
    /// let median = Prediction::near(Metric::LatencyP50Ms, 100.0, 0.25);
    /// assert!(median.is_kept_by(80.0) && !median.is_kept_by(666.0));
    /// ```
    pub fn is_kept_by(&self, measured: f64) -> bool {
        self.at_least.is_none_or(|low| measured >= low) && self.at_most.is_none_or(|high| measured <= high)
    }
}
