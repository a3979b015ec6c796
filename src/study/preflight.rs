//! The port budget before the first request: what there is, what is held already, when the plan would use it up.

use crate::diagnose::budget::Budget;
use crate::diagnose::preflight;
use crate::model::facts::Fact;
use crate::model::plan::LoadPlan;
use crate::observe::survey::Survey;

/// Lines to print before the run; none for plans that keep their connections.
pub fn lines(plan: &LoadPlan) -> Vec<String> {
    if !plan.is_short_lived() {
        return Vec::new();
    }
    let survey = Survey::of(plan);
    let (Fact::Known(pool), Fact::Known(hold)) = (&survey.pool, &survey.hold) else {
        return survey.in_words().into_iter().collect();
    };
    let leftover = survey.leftover.known().filter(|c| c.used > 0).and_then(|c| {
        let last_free_s = f64::from(c.last_free_ms.unwrap_or(0)) / 1000.0;
        preflight::leftovers(c.used, pool.ports, last_free_s, &survey.dest.to_string())
    });
    let forecast = preflight::preflight(plan, &Budget::new(pool.ports, hold.seconds))
        .or_else(|| survey.in_words().filter(|_| leftover.is_none()));
    forecast.into_iter().chain(leftover).collect()
}
