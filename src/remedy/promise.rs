//! What a remedy about source ports promises, and what a run says about a promised figure.

use super::Situation;
use crate::model::budget::Budget;
use crate::model::figures;
use crate::model::finding::Remedy;
use crate::model::prediction::{Metric, Prediction};
use crate::model::result::RunResult;

/// A pace aims at this share of P/T: below the share of the pool from which the budget counts as high.
pub const PACE_SHARE: f64 = 0.65;
/// A run that asks for less than this share of a ceiling stays below it, as exactly as its rate is known.
const ENOUGH_SHARE: f64 = 0.9;
/// How far a measured ceiling may be from a computed one: ports that others listen on or bind are not in the range.
const CEILING_NEAR: f64 = 0.05;

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

/// Connections that `pool` ports take at the same time, with room beside them.
pub(crate) fn room_for(pool: u32) -> u32 {
    ((PACE_SHARE * f64::from(pool)) as u32).max(1)
}

/// With the promise that every connection finds a port.
pub(super) fn none_missing(remedy: Remedy) -> Remedy {
    remedy.promising(Prediction::at_most(Metric::LocalFailures, 0.0))
}

/// Whether `ports` with this ceiling are enough for what the run asks: then every connection finds a port; else the
/// remedy says so.
pub(super) fn against_demand(remedy: Remedy, ports: u32, ceiling_cps: f64, at: &Situation<'_>) -> Remedy {
    if at.wanted_cps <= ENOUGH_SHARE * ceiling_cps {
        return if at.run.plan.users <= ports { none_missing(remedy) } else { remedy };
    }
    let expected = format!("{}; this run asks for {}/s", remedy.expected, figures::rate(at.wanted_cps));
    Remedy { expected, ..remedy }
}

/// The ceiling of `then`, measured by the run that follows, and whether it is enough.
pub(super) fn leaving(remedy: Remedy, then: Budget, at: &Situation<'_>) -> Remedy {
    let remedy = against_demand(remedy, then.pool, then.ceiling_cps(), at);
    match then.limit_cps() {
        Some(ceiling) => remedy.promising(Prediction::near(Metric::CeilingCps, ceiling, CEILING_NEAR)),
        None => remedy,
    }
}
