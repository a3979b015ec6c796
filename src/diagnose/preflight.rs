//! Before the first request: what the port budget sustains, what the plan asks for, and when the one exceeds the other.

use super::budget::Budget;
use super::command::{cps, s};
use super::thresholds::HURRY_CPS;
use crate::model::plan::LoadPlan;

pub use super::budget::seconds_to_exhaustion;

/// One line when a plan of short connections can reach the budget; none when it cannot, or keeps its connections.
///
/// ```
/// use sockbench::diagnose::{budget::Budget, preflight};
/// use sockbench::model::plan::{LoadPlan, Target};
/// let mut plan = LoadPlan::new(Target::at(([10, 0, 0, 1], 80).into()), Vec::new());
/// (plan.keepalive, plan.rate, plan.duration) = (false, 800.0, std::time::Duration::from_secs(180));
/// assert_eq!(
///     preflight(&plan, &Budget::new(28232, 60.0)).as_deref(),
///     Some("ports: 28232 to 10.0.0.1:80 from one source, held 60 s after each connection: sustains 470.5 connections/s; \
///           asked 800/s: exhausted after 35.3 s, dead 24.7 s, echoes every 60 s"),
/// );
/// ```
pub fn preflight(plan: &LoadPlan, budget: &Budget) -> Option<String> {
    if !plan.is_short_lived() || budget.hold.is_zero() {
        return None;
    }
    let (hold, ceiling) = (budget.hold.as_secs_f64(), budget.ceiling_cps());
    let from = match plan.sources.len() {
        0 | 1 => "one source".to_owned(),
        n => format!("{n} sources"),
    };
    let lead = format!(
        "ports: {} to {} from {from}, held {} after each connection: sustains {} connections/s",
        budget.pool,
        plan.target.addr,
        s(hold),
        cps(ceiling)
    );
    let think = plan.think.mean().as_secs_f64();
    let (rate, asked) = if plan.is_open_loop() {
        (plan.rate, format!("asked {}/s", cps(plan.rate)))
    } else if think > 0.0 {
        let most = f64::from(plan.users) / think;
        (most, format!("{} users ask for {}/s at most", plan.users, cps(most)))
    } else {
        return hurry(plan, budget, &lead);
    };
    let at = budget.exhausted_at(rate)?;
    let reaches = reaches(plan, budget, at);
    let when = format!("exhausted after {}, dead {}, echoes every {}", s(at), s(hold - at), s(hold));
    Some(if reaches {
        format!("{lead}; {asked}: {when}")
    } else {
        format!("{lead}; {asked}: this run ends before they are used up; a longer one: {when}")
    })
}

/// The plan lasts long enough, in time and in requests, to use the pool up.
fn reaches(plan: &LoadPlan, budget: &Budget, at_s: f64) -> bool {
    (plan.duration.is_zero() || plan.duration.as_secs_f64() > at_s)
        && (plan.requests == 0 || plan.requests > u64::from(budget.pool))
}

/// No pause and no rate: how fast it will be is not known, so only the ceilings are told.
fn hurry(plan: &LoadPlan, budget: &Budget, lead: &str) -> Option<String> {
    let ceiling = budget.ceiling_cps();
    let enough = plan.requests == 0 || plan.requests > u64::from(budget.pool);
    (ceiling < HURRY_CPS && enough).then(|| {
        format!("{lead}; no rate and no think time are set: faster than that, {} connections are made, then they fail until {} after the first", budget.pool, s(budget.hold.as_secs_f64()))
    })
}

/// The line about ports that an earlier run left held; none when there are none.
pub fn leftovers(used: u32, pool: u32, last_free_s: f64, destination: &str) -> Option<String> {
    (used > 0).then(|| {
        format!("ports: {used} of {pool} to {destination} are still held by an earlier run, the last for {}", s(last_free_s))
    })
}
