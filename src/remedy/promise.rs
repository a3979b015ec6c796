//! What a run says about a promised figure.

use crate::model::prediction::{Metric, Prediction};
use crate::model::result::RunResult;

/// The promised figure as `run` measured it; none where the run does not have it.
pub fn measured(run: &RunResult, promised: &Prediction) -> Option<f64> {
    let t = &run.totals;
    let endpoint = promised.endpoint.as_ref().map(|name| run.endpoints.iter().find(|e| e.name == *name));
    let ports = run.ports.as_ref();
    match (promised.metric, endpoint) {
        (Metric::LatencyP50Ms, Some(endpoint)) => Some(endpoint?.latency_ms?.p50),
        (Metric::LatencyP50Ms, None) => Some(t.latency_ms?.p50),
        (Metric::Rps, Some(endpoint)) => Some(endpoint?.rps),
        (Metric::Rps, None) => Some(t.steady.as_ref().map_or(t.rps, |s| s.rps)),
        (Metric::LocalFailures, Some(endpoint)) => Some(endpoint?.local_failures as f64),
        (Metric::LocalFailures, None) => Some(t.local_failures as f64),
        (Metric::NeverStarted, _) => Some(t.never_started as f64),
        (Metric::ConnectionsOpened, _) => Some(t.connections_opened as f64),
        (Metric::UsersReached, _) => Some(f64::from(t.users_reached)),
        (Metric::PeakShare, _) => ports?.peak_share,
        (Metric::CeilingCps, _) => ports?.ceiling_cps,
    }
}
