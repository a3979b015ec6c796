//! The port budget before the first request: what there is, what is held already, when the plan would use it up.

use crate::diagnose::ports::budget::{Budget, Held};
use crate::diagnose::preflight;
use crate::model::facts::Fact;
use crate::model::plan::LoadPlan;
use crate::observe::baseline::Survey;

/// Lines to print before the run; none for plans that keep their connections.
pub fn lines(plan: &LoadPlan) -> Vec<String> {
    if !plan.is_short_lived() {
        return Vec::new();
    }
    let survey = Survey::of(plan);
    let (Fact::Known(pool), Fact::Known(hold)) = (&survey.pool, &survey.hold) else {
        return survey.in_words().into_iter().collect();
    };
    let leftover = survey.leftover.known().and_then(|c| preflight::leftovers(c, pool.ports, &survey.dest.to_string()));
    let held = survey.leftover.known().map(Held::of).unwrap_or_default();
    let forecast = preflight::preflight(plan, &Budget::new(pool.ports, hold.seconds), held)
        .or_else(|| survey.in_words().filter(|_| leftover.is_none()));
    forecast.into_iter().chain(leftover).collect()
}
