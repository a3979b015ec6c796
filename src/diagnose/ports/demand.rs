//! New connections per second that a plan of short connections asks for.

use crate::model::course::{Course, LevelOf};
use crate::model::plan::LoadPlan;

/// New connections per second, level or following the course of a load.
#[derive(Debug, Clone, PartialEq)]
pub enum Demand {
    /// the same all the time
    Level(f64),
    /// so many for each unit of the course
    Course {
        /// users, or requests per second
        course: Course,
        /// connections per second of one of them
        each_cps: f64,
    },
}

impl Demand {
    /// What `plan` asks for where an answer takes `response_s`; none where its users never pause and answers take no time: only
    /// the target knows then.
    pub fn of(plan: &LoadPlan, response_s: f64) -> Option<Self> {
        let pace_s = plan.think.mean().as_secs_f64() + response_s;
        let each_cps = if plan.is_open_loop() { 1.0 } else { 1.0 / pace_s };
        let level = if plan.is_open_loop() { plan.rate } else { f64::from(plan.users) };
        each_cps.is_finite().then(|| match plan.stages.as_ref().map(|s| s.of) {
            Some(LevelOf::Rate) => Self::Course { course: plan.rate_course(), each_cps: each_cps * plan.share() },
            Some(LevelOf::Users) => Self::Course { course: plan.users_course(), each_cps: each_cps * plan.share() },
            None => Self::Level(level * each_cps),
        })
    }

    /// An equal share of it.
    #[must_use]
    pub fn part(&self, share: f64) -> Self {
        match self {
            Self::Level(rate) => Self::Level(rate * share),
            Self::Course { course, each_cps } => Self::Course { course: course.clone(), each_cps: each_cps * share },
        }
    }
}
