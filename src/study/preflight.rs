//! The port budget before the first request: what there is, what the plan would use, when it would run out.

use crate::diagnose::budget::Budget;
use crate::model::facts::Fact;
use crate::model::plan::LoadPlan;
use crate::observe::survey::Survey;

/// Lines to print before the run; none for plans that keep their connections.
pub fn lines(plan: &LoadPlan) -> Vec<String> {
    if !plan.is_short_lived() {
        return Vec::new();
    }
    let survey = Survey::of(plan);
    let mut lines: Vec<String> = survey.in_words().into_iter().collect();
    if let (Fact::Known(pool), Fact::Known(hold)) = (&survey.pool, &survey.hold) {
        lines.extend(forecast(plan, &Budget::new(pool.ports, hold.seconds)));
    }
    lines
}

/// What the plan's rate comes to, where it has one: `--rate`, or at most users / think time.
fn forecast(plan: &LoadPlan, budget: &Budget) -> Option<String> {
    let think = plan.think.mean().as_secs_f64();
    let (rate, kind) = if plan.is_open_loop() {
        (plan.rate, "")
    } else if think > 0.0 {
        (f64::from(plan.users) / think, "at most ")
    } else {
        return None;
    };
    let exhausted = budget.exhausted_at(rate)?;
    let dead = budget.dead_for(rate)?;
    let hold = budget.hold.as_secs_f64();
    let length = plan.duration.as_secs_f64();
    let seen = if length > 0.0 && length < exhausted { "; this run ends before that" } else { "" };
    Some(format!(
        "forecast: {kind}{rate:.0} connections/s exceed {:.1}/s: ports run out after {exhausted:.1} s, nothing succeeds for {dead:.1} s, and again every {hold:.0} s{seen}",
        budget.ceiling_cps()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{MixEntry, Target, Think};
    use std::time::Duration;

    fn plan() -> LoadPlan {
        let mix = vec![MixEntry { path: "/".into(), weight: 1 }];
        LoadPlan { keepalive: false, ..LoadPlan::new(Target::at(([127, 0, 0, 1], 80).into()), mix) }
    }

    #[test]
    fn a_rate_over_the_ceiling_is_told_with_its_times() {
        let budget = Budget::new(16384, 120.0);
        let line = forecast(&LoadPlan { rate: 170.0, ..plan() }, &budget).expect("over P/T");
        assert!(line.contains("exceed 136.5/s") && line.contains("96.4 s") && line.contains("23.6 s"), "{line}");
        assert_eq!(forecast(&LoadPlan { rate: 130.0, ..plan() }, &budget), None);
    }

    #[test]
    fn a_closed_loop_is_bounded_by_its_think_time() {
        let think = Think { min: Duration::from_millis(100), max: Duration::from_millis(500) };
        let line = forecast(&LoadPlan { users: 100, think, ..plan() }, &Budget::new(16384, 120.0)).expect("333/s at most");
        assert!(line.contains("at most 333"), "{line}");
    }
}
