//! The port budget before the first request: what there is, what is in use already, when the plan would use it up.

use crate::diagnose::preflight;
use crate::model::plan::LoadPlan;
use crate::observe::baseline::Baseline;

/// Lines to print before the run; none for plans that keep their connections.
pub fn lines(plan: &LoadPlan, baseline: &Baseline) -> Vec<String> {
    if !plan.is_short_lived() {
        return Vec::new();
    }
    let Some(budget) = baseline.budget() else { return baseline.in_words().into_iter().collect() };
    let leftover = baseline.leftover.known().and_then(|c| preflight::leftovers(c, budget.pool, &baseline.dest.to_string()));
    let held = baseline.leftover.known().map(|c| c.in_use).unwrap_or_default();
    let forecast = preflight::preflight(plan, &budget, held).or_else(|| baseline.in_words().filter(|_| leftover.is_none()));
    forecast.into_iter().chain(leftover).collect()
}
