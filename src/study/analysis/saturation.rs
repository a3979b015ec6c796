//! Where a target saturates: from which step on the rate stays below the closed loop's line while answers take longer.

use crate::diagnose::growth::{Change, Point, Trend, plateau};
use crate::diagnose::thresholds::{CUT_SHARE, FEW_FAILURES, GROWN_LATENCY, OWN_PACE_SHARE};
use crate::model::order::Order as _;
use crate::model::study::{Saturation, SaturationKind, StepRow};

/// A step of users with its figures, all of them known.
#[derive(Debug, Clone, Copy)]
struct Loop {
    users: u32,
    rps: f64,
    response_s: f64,
    /// part of the closed loop's line
    share: f64,
}

/// Marks the steps whose percentiles leave out too many requests.
pub(super) fn censor(rows: &mut [StepRow]) {
    for row in rows {
        row.is_censored = failed_share(row) > FEW_FAILURES || row.unanswered_share - failed_share(row) > CUT_SHARE;
    }
}

/// Failed requests as a part of all that were started.
fn failed_share(row: &StepRow) -> f64 {
    let all = (row.requests + row.local_failures + row.cut).max(1) as f64;
    (row.failures + row.local_failures) as f64 / all
}

/// Whether the rate of a step is one of answers: failed requests return sooner or later than answers.
pub(super) fn is_of_answers(row: &StepRow) -> bool {
    failed_share(row) <= FEW_FAILURES
}

/// The first step from which on additional users only wait longer. `rows` are steps of a closed loop; those without
/// steady figures, or with failures, say nothing of it.
pub(super) fn find(rows: &[StepRow]) -> Option<Saturation> {
    let known = |r: &StepRow| {
        let (rps, response_s, share) = (r.steady_rps?, r.response_mean_s?, r.expected_share?);
        is_of_answers(r).then_some(Loop { users: r.users, rps, response_s, share })
    };
    let mut steps: Vec<Loop> = rows.iter().filter_map(known).collect();
    steps.order_by_key(|s| s.users);
    let quickest = steps.iter().map(|s| s.response_s).reduce(f64::min)?;
    let heaviest = *steps.last()?;
    let points: Vec<Point> = steps.iter().map(|s| Point { load: f64::from(s.users), rate: s.rps }).collect();
    // A flat rate whose answers do not take longer was not limited by the target: something else kept the users from more.
    let flat = plateau(&points)
        .map(|(at, _)| at)
        .filter(|at| Change { from: steps[*at].response_s, to: heaviest.response_s }.trend() == Trend::Rises);
    let bent = steps.iter().position(|s| s.share < OWN_PACE_SHARE && s.response_s >= GROWN_LATENCY * quickest);
    let at = flat.or(bent)?;
    let kind = if flat.is_some() { SaturationKind::Flat } else { SaturationKind::Bends };
    let step = steps[at];
    Some(Saturation {
        kind,
        users: step.users,
        users_before: at.checked_sub(1).map(|before| steps[before].users),
        rps: step.rps,
        expected_share: step.share,
        response_mean_ms: step.response_s * 1000.0,
        heaviest_users: heaviest.users,
        heaviest_rps: heaviest.rps,
        heaviest_response_mean_ms: heaviest.response_s * 1000.0,
    })
}
