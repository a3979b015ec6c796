//! What the rules read off a run, computed once: figures that several rules need, and conditions that one rule reports
//! and another one must know of. A rule reads these; it never calls another rule. A figure that is not available is none,
//! never a guess.

mod backlog;
mod budget;
mod client;
mod contention;
mod course;
mod gone;
mod keepalive;
mod kept_most;
mod load;
mod pace;
mod places;
mod ports;
mod queue;
mod refusing;
mod rows;
mod stalls;
mod target;
mod turns;

pub(super) use backlog::{Overflow, Retried};
pub(super) use budget::HighBudget;
pub(super) use client::Saturated;
pub(super) use contention::{Contention, Reason, Waiter};
pub(super) use course::Course;
pub(super) use gone::Gone;
pub(super) use keepalive::{Ending, NotKept};
pub(super) use kept_most::KeptMost;
pub(super) use load::{duration_s, is_many};
pub(super) use pace::OwnPace;
pub(super) use places::Places;
pub(crate) use ports::search_limit;
pub(super) use ports::{Holding, PortFigures, cps_before, elsewhere, held_against, kernel_searches};
pub(super) use queue::{Growth, Leak, Queue};
pub(super) use refusing::Refusing;
pub(super) use rows::{Kind, Rows, message_of, name_of, unnamed};
pub(super) use stalls::{Hang, Stalls, Still, TargetStall, cover, no_way_back, stalls_cover};
pub(super) use target::{CpuLimit, Full};
pub(crate) use turns::Form;
pub(super) use turns::{Turn, part_of};

use self::prelude::*;
use crate::model::result::Shortfall;
use crate::remedy::Situation;

/// Why there is no finding.
#[derive(Debug, Clone, PartialEq)]
pub enum NoFinding {
    /// looked, and it is not so
    Clear,
    /// cannot be decided: what is missing
    Undecided(String),
}

/// It cannot be decided, because this is missing.
pub(crate) fn undecided<T>(missing: impl Into<String>) -> Result<T, NoFinding> {
    Err(NoFinding::Undecided(missing.into()))
}

/// What was found in a run; or that it is not there, or cannot be decided.
pub(super) type Seen<T> = Result<T, NoFinding>;

/// What was read off one run; the types say what each is.
#[derive(Debug, Clone, PartialEq)]
pub struct Indicators {
    /// seconds the run lasted; at least a thousandth, so that rates stay finite
    pub(super) duration_s: f64,
    /// mean pause of the plan, seconds
    pub(super) think_s: f64,
    /// mean answered response of the steady part, else of the whole run, seconds
    pub(super) response_s: Option<f64>,
    /// requests per second of the steady part, else of the whole run
    pub(super) steady_rps: f64,
    /// share of the attempts that failed, on either side
    pub(super) failed_share: f64,
    /// requests that the schedule asked for and that were not made; none in a closed loop
    pub(super) shortfall: Option<Shortfall>,
    /// the earlier and the later seconds of a run whose users grew
    pub(super) growth: Option<Growth>,
    pub(super) ports: PortFigures,
    pub(super) gone: Option<Gone>,
    pub(super) refusing: Option<Refusing>,
    pub(super) hang: Seen<Hang>,
    pub(super) places: Option<Places>,
    /// this program itself stalled
    pub(super) client_stalls: Seen<Stalls>,
    pub(super) target_stall: Seen<TargetStall>,
    pub(super) contention: Seen<Contention>,
    pub(super) not_kept: Seen<NotKept>,
    /// the target keeps fewer connections at a time than there are users
    pub(super) kept_most: Option<KeptMost>,
    pub(super) high_budget: Seen<HighBudget>,
    pub(super) overflow: Seen<Overflow>,
    /// SYNs were sent again, and it was no backlog of the target
    pub(super) retried: Option<Retried>,
    pub(super) saturated: Seen<Saturated>,
    pub(super) queue: Seen<Queue>,
    /// the target's CPU is at its limit
    pub(super) cpu: Seen<CpuLimit>,
    pub(super) own_pace: Seen<OwnPace>,
}

impl Indicators {
    /// Reads a run.
    pub fn of(run: &RunResult) -> Self {
        let mut seen = Self {
            duration_s: load::duration_s(run),
            think_s: run.plan.think.mean().as_secs_f64(),
            response_s: load::response_s(run),
            steady_rps: run.totals.steady.as_ref().map_or(run.totals.rps, |s| s.rps),
            failed_share: load::failed_share(run),
            shortfall: run.shortfall(),
            growth: queue::growth(run),
            ports: PortFigures::of(run),
            gone: gone::gone(run),
            refusing: refusing::refusing(run),
            hang: stalls::hang(run),
            places: None,
            client_stalls: stalls::client_stalls(run),
            target_stall: Err(NoFinding::Clear),
            contention: contention::contention(run),
            not_kept: Err(NoFinding::Clear),
            kept_most: None,
            high_budget: Err(NoFinding::Clear),
            overflow: backlog::overflow(run),
            retried: backlog::retried(run),
            saturated: Err(NoFinding::Clear),
            queue: Err(NoFinding::Clear),
            cpu: Err(NoFinding::Clear),
            own_pace: Err(NoFinding::Clear),
        };
        // Each of these looks at those before it.
        seen.places = places::places(run, &seen);
        seen.high_budget = budget::high_budget(run, &seen);
        seen.kept_most = kept_most::kept_most(run, &seen);
        seen.not_kept = keepalive::not_kept(run, &seen);
        seen.target_stall = stalls::target_stall(run, &seen);
        seen.saturated = client::saturated(run, &seen);
        seen.queue = queue::queue(run, &seen);
        seen.cpu = target::cpu(run, &seen);
        seen.own_pace = pace::own_pace(run, &seen);
        seen
    }

    /// Something stalled, went away or was starved: rates and latencies say nothing of the users' pace or of a queue.
    pub(super) const fn is_disturbed(&self) -> bool {
        self.gone.is_some()
            || self.hang.is_ok()
            || self.client_stalls.is_ok()
            || self.target_stall.is_ok()
            || self.contention.is_ok()
    }

    /// Requests at the target at the same time, by Little's law.
    pub(super) fn in_flight(&self) -> Option<f64> {
        self.response_s.map(|response| self.steady_rps * response)
    }

    /// Users / (think + response), where the plan is a closed loop and something was answered.
    pub(super) fn closed_loop_rps(&self, run: &RunResult) -> Option<f64> {
        let cycle = self.think_s + self.response_s?;
        (!run.plan.is_open_loop() && cycle > 0.0).then(|| f64::from(run.plan.users) / cycle)
    }

    /// What remedies must know of the run.
    pub(super) fn situation<'a>(&self, run: &'a RunResult) -> Situation<'a> {
        Situation {
            run,
            pool: self.ports.pool,
            hold_s: self.ports.hold.as_ref().map(|h| h.seconds),
            wanted_cps: if run.plan.is_open_loop() { run.plan.rate } else { ports::wanted_cps(run) },
            ends_most: self.not_kept.is_ok(),
        }
    }
}

/// What indicators are written with: the rows of a run, the thresholds, words for figures.
mod prelude {
    pub(super) use super::load::seconds_of;
    pub(super) use super::rows::{Kind, Rows};
    pub(super) use super::{Indicators, NoFinding::Clear, Seen, undecided};
    pub(super) use crate::diagnose::thresholds::*;
    pub(super) use crate::model::budget::Budget;
    pub(super) use crate::model::figures::{count, counted, seconds, share};
    pub(super) use crate::model::order::Order as _;
    pub(super) use crate::model::outcome::{Cause, Phase};
    pub(super) use crate::model::result::{ErrorRow, Holder, RunResult, SeriesPoint};
}
