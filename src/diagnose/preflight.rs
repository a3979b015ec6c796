//! Before the first request: what the port budget sustains, what the plan asks for, and when the one exceeds the other.

use super::ports::budget::{Budget, Demand};
use super::ports::hold::CAPPED;
use super::thresholds::HURRY_CPS;
use crate::model::figures::{self, count, counted};
use crate::model::plan::LoadPlan;
use crate::model::port_count::{InUse, PortCount};

/// One line when a plan of short connections can reach the budget, `held` of which is in use already; none when it cannot,
/// or keeps its connections.
///
/// ```
/// use sockbench::testing::diagnose::{Budget, preflight};
/// use sockbench::testing::model::{InUse, LoadPlan, Target};
/// let mut plan = LoadPlan::new(Target::at(([10, 0, 0, 1], 80).into()), Vec::new());
/// (plan.keepalive, plan.rate, plan.duration) = (false, 800.0, std::time::Duration::from_secs(180));
/// assert_eq!(
///     preflight(&plan, &Budget::new(28232, 60.0), InUse::default()).as_deref(),
///     Some("ports: 28,232 to 10.0.0.1:80, each in use for 60 s after its connection: at most 471 connections/s. 800/s are \
///           asked for: ports run out after 35.3 s; nothing connects for 24.7 s; this recurs every 60 s"),
/// );
/// ```
pub fn preflight(plan: &LoadPlan, budget: &Budget, held: InUse) -> Option<String> {
    if !plan.is_short_lived() || budget.hold.is_zero() {
        return None;
    }
    if budget.is_capped() {
        return capped(plan, budget);
    }
    let (hold, ceiling) = (budget.hold.as_secs_f64(), budget.ceiling_cps());
    let from = match plan.sources.len() {
        0 | 1 => String::new(),
        n => format!(" from {} sources", count(n as u64)),
    };
    let now = match held.ports() {
        0 => String::new(),
        n => format!(", {} of them free now", count(budget.pool.saturating_sub(n))),
    };
    let lead = format!(
        "ports: {} to {}{from}{now}, each in use for {} after its connection: at most {} connections/s",
        count(budget.pool),
        plan.target.addr,
        figures::hold(hold),
        figures::rate(ceiling)
    );
    let think = plan.think.mean().as_secs_f64();
    let (rate, asked) = match (&plan.stages, plan.is_open_loop()) {
        (Some(_), true) => (plan.rate, format!("the stages ask for up to {}/s", figures::rate(plan.rate))),
        (None, true) => (plan.rate, format!("{}/s are asked for", figures::rate(plan.rate))),
        (_, false) => {
            let most = f64::from(plan.users) / think;
            (most, format!("{} ask for up to {}/s", counted(plan.users, "user"), figures::rate(most)))
        }
    };
    let Some(demand) = Demand::of(plan, 0.0) else { return hurry(plan, budget, held, &lead) };
    let forecast = budget.port_forecast(held, &demand, plan.duration)?;
    let (at, dead) = (forecast.exhausted_at_s, forecast.dead_s);
    let recurs = match (&plan.stages, forecast.echo_s.first()) {
        (Some(_), next) => next.map_or_else(String::new, |at| format!("; again from {} on", figures::seconds(*at))),
        (None, _) if rate > ceiling => format!("; this recurs every {}", figures::seconds(hold)),
        (None, _) => String::new(),
    };
    let when = match (at > 0.0, dead > 0.0) {
        (true, true) => {
            format!("ports run out after {}; nothing connects for {}{recurs}", figures::seconds(at), figures::seconds(dead))
        }
        (true, false) => format!("ports run out after {}; from then on some connections fail{recurs}", figures::seconds(at)),
        (false, _) => format!("no port is free now: nothing connects for {}{recurs}", figures::seconds(dead)),
    };
    Some(if reaches(plan, budget, held, at) {
        format!("{lead}. {asked}: {when}")
    } else {
        format!("{lead}. {asked}: this run ends before they run out; in a longer one {when}")
    })
}

/// One line where the plan makes more connections than TIME_WAIT keeps.
fn capped(plan: &LoadPlan, budget: &Budget) -> Option<String> {
    let endless = !plan.is_open_loop() && plan.think.mean().is_zero();
    let most = if plan.is_open_loop() { plan.rate } else { f64::from(plan.users) / plan.think.mean().as_secs_f64().max(1e-9) };
    let reached = endless || most * plan.duration.min(budget.hold).as_secs_f64() > f64::from(budget.time_wait_max);
    reached.then(|| {
        format!("ports: {} to {}, at most {} of them in TIME_WAIT: {CAPPED}", budget.pool, plan.target.addr, budget.time_wait_max)
    })
}

/// The plan lasts long enough, in time and in requests, to use up what is free.
fn reaches(plan: &LoadPlan, budget: &Budget, held: InUse, at_s: f64) -> bool {
    (plan.duration.is_zero() || plan.duration.as_secs_f64() > at_s) && has_requests(plan, budget, held)
}

fn has_requests(plan: &LoadPlan, budget: &Budget, held: InUse) -> bool {
    plan.requests == 0 || plan.requests > u64::from(budget.pool.saturating_sub(held.ports()))
}

/// No pause and no rate: how fast it will be is not known, so only the ceiling is said.
fn hurry(plan: &LoadPlan, budget: &Budget, held: InUse, lead: &str) -> Option<String> {
    (budget.ceiling_cps() < HURRY_CPS && has_requests(plan, budget, held)).then(|| {
        let hold = figures::seconds(budget.hold.as_secs_f64());
        let free = budget.pool.saturating_sub(held.ports());
        let until = if held.timed == 0 {
            format!("until {hold} after the first")
        } else {
            format!("until the first port is free again in {}", figures::seconds(held.first_free_s))
        };
        format!(
            "{lead}. Users without a pause may try more: then {} are made, and further ones fail {until}",
            counted(free, "connection")
        )
    })
}

/// The line about ports that are in use before the run; none when there are none.
pub fn leftovers(ports: &PortCount, pool: u32, destination: &str) -> Option<String> {
    let held = ports.in_use;
    let mut parts = Vec::new();
    if held.timed > 0 {
        parts.push(format!(
            "{} by connections that have ended ({} in TIME_WAIT), the last for {}",
            count(held.timed),
            count(ports.time_wait_in_use),
            figures::seconds(held.last_free_s)
        ));
    }
    if held.open > 0 {
        parts.push(format!("{} by open connections of other programs, as long as these live", count(held.open)));
    }
    (!parts.is_empty()).then(|| {
        format!(
            "ports: {} of {} to {destination} are in use before the run: {}",
            count(held.ports()),
            count(pool),
            parts.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::course::{LevelOf, Stage, Stages};
    use crate::model::plan::{Target, Think};

    fn asked(rate: f64, seconds: u64) -> LoadPlan {
        let plan = LoadPlan::new(Target::at(([10, 0, 0, 1], 80).into()), Vec::new());
        LoadPlan { keepalive: false, rate, duration: Duration::from_secs(seconds), ..plan }
    }

    #[test]
    fn what_is_held_already_is_not_there_for_this_run() {
        let left = |timed| InUse { timed, first_free_s: 50.0, last_free_s: 55.0, open: 0 };
        let said = |pool, timed, rate| preflight(&asked(rate, 5), &Budget::new(pool, 60.0), left(timed)).unwrap_or_default();
        let empty = said(1000, 0, 150.0);
        assert!(empty.contains("this run ends before they run out; in a longer one ports run out after 6.7 s"), "{empty}");
        let half = said(1000, 600, 150.0);
        assert!(
            half.contains(", 400 of them free now, ")
                && half.contains(": ports run out after 2.7 s; nothing connects for 47.3 s"),
            "{half}"
        );
        assert!(!half.contains("ends before"), "{half}");
        let none = said(50, 50, 30.0);
        assert!(none.contains("no port is free now: nothing connects for 50 s"), "{none}");
        let slow = preflight(&asked(10.0, 60), &Budget::new(1000, 60.0), left(600)).unwrap();
        assert!(slow.ends_with("ports run out after 40 s; nothing connects for 10 s"), "below P/T it does not recur: {slow}");
    }

    #[test]
    fn stages_run_out_when_their_course_does() {
        let each = [(40, 800.0), (20, 0.0)].map(|(s, to)| Stage { duration: Duration::from_secs(s), to }).to_vec();
        let ramp = |of, rate, users, think| LoadPlan {
            stages: Some(Stages { of, each: each.clone() }),
            users,
            think: Think::uniform(think, think),
            ..asked(rate, 60)
        };
        let said = |plan, pool| preflight(&plan, &Budget::new(pool, 60.0), InUse::default());
        // 20 t a second are 10 t^2 at t.
        let rate = said(ramp(LevelOf::Rate, 800.0, 10, Duration::ZERO), 9000).unwrap_or_default();
        assert!(
            rate.ends_with(". the stages ask for up to 800/s: ports run out after 30 s; nothing connects for 30 s"),
            "{rate}"
        );
        let users = said(ramp(LevelOf::Users, 0.0, 800, Duration::from_secs(2)), 4500).unwrap_or_default();
        assert!(
            users.ends_with(". 800 users ask for up to 400/s: ports run out after 30 s; nothing connects for 30 s"),
            "{users}"
        );
        assert_eq!(said(ramp(LevelOf::Rate, 800.0, 10, Duration::ZERO), 25_000), None, "24,000 in all");
    }

    #[test]
    fn open_connections_of_others_are_not_said_to_come_free() {
        let count = |in_use: InUse, time_wait_in_use| PortCount { in_use, time_wait_in_use, ..PortCount::default() };
        let open = count(InUse { open: 30, ..InUse::default() }, 0);
        assert_eq!(
            leftovers(&open, 50, "10.0.0.1:80").unwrap(),
            "ports: 30 of 50 to 10.0.0.1:80 are in use before the run: 30 by open connections of other programs, as long as these live"
        );
        let timed = count(InUse { timed: 9, last_free_s: 57.9, ..InUse::default() }, 9);
        let said = leftovers(&timed, 50, "10.0.0.1:80").unwrap();
        assert!(said.ends_with("9 by connections that have ended (9 in TIME_WAIT), the last for 57.9 s"), "{said}");
        assert_eq!(leftovers(&PortCount { used: 9, ..PortCount::default() }, 50, "x"), None, "free to be taken again");
    }
}
