//! What the steps of a study show together: figures in rows, and the four questions that a study asks, answered in
//! sentences with their numbers. Pure.
//!
//! `verdict` is the first line of the report; `answers` the first paragraph; `details` everything else.

mod answers;
mod details;
mod saturation;
mod under_load;
mod verdict;

pub use verdict::{StoppedStudy, verdict};

use crate::diagnose::ceiling::ceilings;
use crate::diagnose::users_started;
use crate::model::order::Order as _;
use crate::model::result::{Endpoint, RunResult};
use crate::model::study::{Analysis, EndpointLoad, Saturation, StepKind, StepRow, unanswered_share};

/// Analyses the steps, in their order; `kinds` is what each is called. One that ended before all of its users had started is
/// called by those that had: `21 of 100 users`.
pub fn analyse(runs: &[RunResult], kinds: &[StepKind]) -> Analysis {
    let mut rows: Vec<StepRow> = runs.iter().zip(kinds).map(|(run, kind)| row(run, kind.clone())).collect();
    let quick = rows.iter().filter(|r| r.failures + r.local_failures == 0).filter_map(|r| r.response_mean_s).reduce(f64::min);
    for (row, run) in rows.iter_mut().zip(runs) {
        let started = users_started(run);
        row.expected_rps = if run.plan.is_open_loop() {
            Some(run.plan.rate)
        } else {
            // Users that never started make no line.
            quick.filter(|_| started.is_none()).map(|q| f64::from(row.users) / (row.think_mean_s + q).max(1e-9))
        };
        row.expected_share = row.steady_rps.zip(row.expected_rps).map(|(steady, expected)| steady / expected.max(1e-9));
    }
    saturation::censor(&mut rows);
    let is_loop = runs.iter().all(|r| !r.plan.is_open_loop());
    let steps = Steps { runs, rows: &rows, saturation: None };
    let found = steps.rising().filter(|_| is_loop).and_then(|_| saturation::find(&rows));
    let steps = Steps { saturation: found.as_ref(), ..steps };
    let endpoints = steps.endpoints();
    let all: Vec<&RunResult> = runs.iter().collect();
    let ceiling = steps.focus().and_then(|i| ceilings(&runs[i], &all).into_iter().next());
    let answers = answers::answers(&steps, &endpoints, ceiling.as_ref());
    let sentences = answers.iter().map(|a| a.text.clone()).chain(details::sentences(&steps)).collect();
    Analysis { rows, answers, endpoints, ceiling, saturation: found, sentences }
}

/// The steps and their rows.
#[derive(Debug, Clone, Copy)]
struct Steps<'a> {
    runs: &'a [RunResult],
    rows: &'a [StepRow],
    /// where the rate falls behind the users; none where it does not, or that cannot be said
    saturation: Option<&'a Saturation>,
}

impl<'a> Steps<'a> {
    /// Users, or requests per second in an open loop: what a step offers.
    fn offered(run: &RunResult) -> f64 {
        if run.plan.is_open_loop() { run.plan.rate } else { f64::from(run.plan.users) }
    }

    /// The steps with the least and with the most load; none where the load did not rise, or the steps differ in more.
    fn rising(&self) -> Option<(usize, usize)> {
        let alike =
            |w: &[RunResult]| w[0].plan.is_open_loop() == w[1].plan.is_open_loop() && w[0].plan.keepalive == w[1].plan.keepalive;
        if !self.runs.windows(2).all(alike) {
            return None;
        }
        let by_load = |a: &usize, b: &usize| Self::offered(&self.runs[*a]).total_cmp(&Self::offered(&self.runs[*b]));
        let (light, heavy) = ((0..self.runs.len()).min_by(by_load)?, (0..self.runs.len()).max_by(by_load)?);
        (Self::offered(&self.runs[light]) < Self::offered(&self.runs[heavy])).then_some((light, heavy))
    }

    /// The step with the most load; the last of equals.
    fn heaviest(&self) -> Option<usize> {
        (0..self.runs.len()).max_by(|a, b| Self::offered(&self.runs[*a]).total_cmp(&Self::offered(&self.runs[*b])))
    }

    /// The step that the answers are about: with rising load the heaviest, else the one with the gravest finding.
    fn focus(&self) -> Option<usize> {
        let gravest = || answers::decisive(self).map(|(index, _)| index);
        self.rising().map(|(_, heavy)| heavy).or_else(gravest).or_else(|| self.heaviest())
    }

    /// `at 100 users`, `in step short`.
    fn at(&self, index: usize) -> String {
        self.rows[index].place()
    }

    /// `100`, `21 of 100`; none for a step that is not called by its users.
    fn users(&self, index: usize) -> Option<String> {
        self.rows[index].kind.as_ref()?.users()
    }

    /// Each endpoint that was answered at both ends of rising load.
    fn endpoints(&self) -> Vec<EndpointLoad> {
        let Some((light, heavy)) = self.rising() else { return Vec::new() };
        let (first, last) = (&self.runs[light], &self.runs[heavy]);
        let mut by_load: Vec<&RunResult> = self.runs.iter().collect();
        by_load.order_by(|a, b| Self::offered(a).total_cmp(&Self::offered(b)));
        let both = |end: &'a Endpoint| {
            let start = first.endpoints.iter().find(|e| e.name == end.name && e.method == end.method)?;
            let (a, b) = (start.latency_ms?, end.latency_ms?);
            let of = |run: &RunResult| {
                let e = run.endpoints.iter().find(|e| e.name == end.name && e.method == end.method)?;
                e.latency_ms.map(|l| l.p50)
            };
            let unanswered = |run: &RunResult, e: &Endpoint| {
                unanswered_share(e.requests, [e.failures, e.local_failures], e.cut.min(run.cut_late()))
            };
            let timing = start.server_timing_ms.as_ref().zip(end.server_timing_ms.as_ref());
            Some(EndpointLoad {
                name: end.name.clone(),
                users: [first.plan.users, last.plan.users],
                p50_ms: [a.p50, b.p50],
                p95_ms: [a.p95, b.p95],
                p50_by_step_ms: by_load.iter().map(|run| of(run)).collect(),
                unanswered_share: [unanswered(first, start), unanswered(last, end)],
                queue_p50_ms: timing.map(|(s, e)| [s.queue.p50, e.queue.p50]),
                work_p50_ms: timing.map(|(s, e)| [s.work.p50, e.work.p50]),
            })
        };
        last.endpoints.iter().filter_map(both).collect()
    }
}

/// The row of a step that the plan calls `kind`.
fn row(run: &RunResult, kind: StepKind) -> StepRow {
    let kind = match users_started(run) {
        Some(n) => kind.with_started(n),
        None => kind,
    };
    StepRow::of(run).called(kind)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth_tests;
