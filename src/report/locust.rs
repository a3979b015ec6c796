//! A run as Locust counts it, for the terminal table and the CSV files alike.
//!
//! Request Count = requests + local failures, Failure Count = failures + local failures; times are over the requests
//! that ended at the target, answered or failed there (a failure of our own machine has no latency).

use super::table::or_dash;
use crate::model::figures::ms;
use crate::model::order::Order as _;
use crate::model::result::{Endpoint, LatencyMs, RunResult};
use crate::model::time::per_second;

/// A percentile: the head of its column, and where it is.
type Percentile = (&'static str, fn(&LatencyMs) -> f64);
/// Those of Locust's tables and files.
pub const PERCENTILES: [Percentile; 11] = [
    ("50%", |l| l.p50),
    ("66%", |l| l.p66),
    ("75%", |l| l.p75),
    ("80%", |l| l.p80),
    ("90%", |l| l.p90),
    ("95%", |l| l.p95),
    ("98%", |l| l.p98),
    ("99%", |l| l.p99),
    ("99.9%", |l| l.p99_9),
    ("99.99%", |l| l.p99_99),
    ("100%", |l| l.max),
];

/// One row: an endpoint, or all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct LocustRow {
    /// the method; empty in the last row
    pub method: String,
    /// the endpoint, or `Aggregated`
    pub name: String,
    /// requests and local failures
    pub requests: u64,
    /// failures and local failures
    pub failures: u64,
    /// over requests that ended at the target; none when there was none
    pub times_ms: Option<LatencyMs>,
    /// mean body size over all counted requests: one without an answer counts as empty
    pub content_size_mean: f64,
    /// counted requests per second
    pub rps: f64,
    /// counted failures per second
    pub failures_per_s: f64,
}

impl LocustRow {
    /// Share of counted requests that failed, per cent.
    pub fn failures_percent(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { 100.0 * self.failures as f64 / self.requests as f64 }
    }

    /// One of its times in ms, `-` where there was none.
    pub fn time(&self, pick: fn(&LatencyMs) -> f64) -> String {
        or_dash(self.times_ms.as_ref(), |times| ms(pick(times)))
    }
}

/// One row per endpoint, by name, and the aggregated one.
pub fn rows(run: &RunResult) -> (Vec<LocustRow>, LocustRow) {
    let mut endpoints: Vec<&Endpoint> = run.endpoints.iter().collect();
    endpoints.order_by(|a, b| (&a.name, &a.method).cmp(&(&b.name, &b.method)));
    let counted = |method: &str, name: &str, requests: u64, failures: u64, times_ms, body_bytes: f64| LocustRow {
        method: method.into(),
        name: name.into(),
        requests,
        failures,
        times_ms,
        content_size_mean: if requests == 0 { 0.0 } else { body_bytes / requests as f64 },
        rps: per_second(requests, run.duration_s),
        failures_per_s: per_second(failures, run.duration_s),
    };
    let rows = endpoints.iter().map(|e| {
        let (requests, failures) = (e.requests + e.local_failures, e.failures + e.local_failures);
        counted(&e.method, &e.name, requests, failures, e.all_latency_ms, body_bytes(e))
    });
    let all_bytes = endpoints.iter().map(|e| body_bytes(e)).sum();
    let all = counted("", "Aggregated", run.locust_requests(), run.locust_failures(), run.totals.all_latency_ms, all_bytes);
    (rows.collect(), all)
}

/// Bytes of all bodies of an endpoint: the mean is over answers of any status, and those are counted.
fn body_bytes(e: &Endpoint) -> f64 {
    e.content_size_mean.unwrap_or(0.0) * e.status.values().sum::<u64>() as f64
}
