//! What keeps a run without a finding from saying much: too few answers, too short a time, answers that are redirects.

use super::thresholds::{FEW_ANSWERS, REDIRECTED_SHARE, SHARED_PERCENT, SHORT_RUN_S};
use crate::model::figures::{counted, seconds, share};
use crate::model::result::{CoreUse, RunResult, TargetResources};
use crate::remedy::target::own_flags;

/// One request was asked for, a try by hand (`-n 1`): nobody asks for a rate, or for what only many show. Of a machine that
/// has a part of a plan, what was asked of all of them counts.
pub fn is_try(run: &RunResult) -> bool {
    run.plan.shard.map_or(run.plan.requests, |shard| shard.whole.requests) == 1
}

/// After "OK, but"; none where the figures of a healthy run can be read as they are.
pub fn caveat(run: &RunResult) -> Option<String> {
    let answers = answers(run);
    if is_try(run) && answers == run.plan.requests {
        return redirected(run, answers);
    }
    if let Some(few) = few_answers(run) {
        return Some(few);
    }
    if run.duration_s < SHORT_RUN_S {
        return Some(format!("the run lasted {}: too short for rates that hold", seconds(run.duration_s)));
    }
    polls_on_a_shared_core(run).or_else(|| redirected(run, answers))
}

/// A thread that polls never leaves its core by itself: the other end's thread there waits for the end of its time slice.
fn polls_on_a_shared_core(run: &RunResult) -> Option<String> {
    let target = run.resources.target.as_ref().filter(|t| run.plan.busy_poll || t.busy_poll)?;
    on_one_core(run, target).or_else(|| polls_beyond_the_cores(run, target))
}

/// Threads of both ends that are confined to the same core.
fn on_one_core(run: &RunResult, target: &TargetResources) -> Option<String> {
    let uses = |used: &CoreUse| 100.0 * used.cpu_s / run.duration_s >= SHARED_PERCENT;
    let of_client = &run.resources.client.cores;
    let shared = target.cores.iter().find(|t| uses(t) && of_client.iter().any(|c| c.core == t.core && uses(c)))?;
    Some(format!(
        "a thread that polls shares core {} with the other end, which waits for its turn: give each end a core of its own, or leave \
         out --busy-poll",
        shared.core
    ))
}

/// Wherever they run: threads that poll, and one of an end that does not, are more than the cores that both ends have.
fn polls_beyond_the_cores(run: &RunResult, target: &TargetResources) -> Option<String> {
    // A server that somebody else started has one event loop at the least.
    let loops = own_flags(run).and_then(|flags| flags.reactors).map_or(1, |n| n as u32);
    let of_client = if run.plan.busy_poll { run.plan.threads } else { 0 };
    let of_target = if target.busy_poll { loops } else { 0 };
    let cores = target.cores_allowed.filter(|_| target.shares_cores_with_client == Some(true)).unwrap_or(run.host.cpus);
    let polling = of_client.saturating_add(of_target);
    let needed = of_client.max(1).saturating_add(of_target.max(1));
    let others = if needed > polling { " and the other end" } else { "" };
    let fewer = if of_client.max(of_target) > 1 { "use fewer threads, or " } else { "" };
    (needed > cores && cores > 0).then(|| {
        format!(
            "{}{others} share {}, and wait for each other: {fewer}leave out --busy-poll",
            counted(polling, "polling thread"),
            counted(cores, "core")
        )
    })
}

fn answers(run: &RunResult) -> u64 {
    run.totals.requests.saturating_sub(run.totals.failures)
}

/// That answers are too few to judge by, where they are; of a try by hand too.
pub fn few_answers(run: &RunResult) -> Option<String> {
    let answers = answers(run);
    let few = || format!("only {} in {}: too few to judge by", counted(answers, "answer"), seconds(run.duration_s));
    (answers < FEW_ANSWERS).then(few)
}

/// Why a number gives no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
pub enum NoRate {
    /// the run lasted less than [`SHORT_RUN_S`]
    #[strum(serialize = "too short for a rate")]
    TooShort,
    /// they are less than [`FEW_ANSWERS`]
    #[strum(serialize = "too few for a rate")]
    TooFew,
}

impl NoRate {
    /// `too short for a rate`
    pub fn words(self) -> &'static str {
        self.into()
    }
}

/// Why `n` of this run, its answers or its requests, give no rate; none where they do.
pub fn no_rate(run: &RunResult, n: u64) -> Option<NoRate> {
    if run.duration_s < SHORT_RUN_S {
        return Some(NoRate::TooShort);
    }
    (n < FEW_ANSWERS).then_some(NoRate::TooFew)
}

fn redirected(run: &RunResult, answers: u64) -> Option<String> {
    let by_status = run.endpoints.iter().flat_map(|e| &e.status).filter(|(status, _)| status.starts_with('3'));
    let mut names: Vec<&str> = Vec::new();
    let mut redirects = 0;
    for (status, n) in by_status {
        redirects += n;
        if !names.contains(&status.as_str()) {
            names.push(status);
        }
    }
    let part = redirects as f64 / answers.max(1) as f64;
    let which = names.join(", ");
    match part {
        p if p < REDIRECTED_SHARE => None,
        p if p >= 1.0 => Some(format!("every answer was a redirect ({which}), and none was followed")),
        p => Some(format!("{} of the answers were redirects ({which}), and none was followed", share(p))),
    }
}
