//! What whole seconds alone say of a run that goes on. The workers' totals come at its end: statuses of good answers, who
//! closed, phases and bytes are not known before.

use std::collections::BTreeMap;

use super::errors::ErrorTable;
use super::interval::{Interval, SecondSummary};
use super::summarise::{Filling, fill};
use super::totals::WorkerTotals;
use crate::model::outcome::Cause;
use crate::model::plan::LoadPlan;
use crate::model::result::RunResult;
use crate::model::time::Stamp;

/// What answers that are no failure are counted under: their statuses are not known before the end.
pub const GOOD_ANSWERS: &str = "below 400";

/// The seconds of one run, all workers merged, in order.
#[derive(Debug, Clone)]
pub struct SoFar {
    plan: LoadPlan,
    totals: WorkerTotals,
    seconds: BTreeMap<u64, SecondSummary>,
    users: Vec<(u64, u32, u32)>,
    connects: u64,
}

impl SoFar {
    /// Before the first second.
    pub fn new(plan: &LoadPlan) -> Self {
        Self {
            plan: plan.clone(),
            totals: WorkerTotals::new(plan.mix.len()),
            seconds: BTreeMap::new(),
            users: Vec::new(),
            connects: 0,
        }
    }

    /// Whole seconds so far.
    pub fn seconds(&self) -> u64 {
        self.seconds.last_key_value().map_or(0, |(second, _)| second + 1)
    }

    /// Adds the next second.
    pub fn push(&mut self, second: &Interval) {
        self.seconds.insert(second.second, SecondSummary::of(second));
        self.connects = self.connects.saturating_add(second.connects);
        self.totals.connects.call.add_sparse(&second.connect_call);
        for (all, now) in self.totals.endpoints.iter_mut().zip(&second.endpoints) {
            all.counts += now.counts;
            all.answered.add(&now.answered);
            all.failed.add(&now.failed);
            all.answers = all.answers.saturating_add(now.counts.requests.saturating_sub(now.counts.failures));
        }
        for ((failure, endpoint), count) in &second.failures {
            let [first, last] = [second.second, second.second + 1].map(|s| Stamp(s * 1_000_000_000));
            self.totals.errors.record_many(*failure, *endpoint, *count, first, last);
            let of = self.totals.endpoints.get_mut(usize::from(endpoint.0));
            if let (Cause::Status(status), Some(endpoint)) = (failure.cause, of) {
                endpoint.count_answers(status, *count);
            }
        }
    }

    /// Notes the users of a second: asked for, active.
    pub fn note_users(&mut self, second: u64, asked: u32, active: u32) {
        self.users.push((second, asked, active));
    }

    /// Fills what was counted into `result`; observed columns of the series stay.
    pub fn fill(&self, result: &mut RunResult) {
        self.fill_whole(result, self.seconds() as f64, &[]);
        result.totals.connections_opened = self.connects;
        for e in &mut result.endpoints {
            let failed: u64 = e.status.values().sum();
            let good = e.requests.saturating_sub(e.failures);
            debug_assert!(failed <= e.failures, "an answer with a bad status is a failure");
            e.status.extend((good > 0).then(|| (GOOD_ANSWERS.to_owned(), good)));
        }
    }

    /// The same of a run that is over: its length, and the seconds again, so that a short last one can join the one before.
    pub fn fill_whole(&self, result: &mut RunResult, duration_s: f64, seconds: &[Interval]) {
        let counted = Filling {
            plan: &self.plan,
            totals: &self.totals,
            errors: &ErrorTable::merged(std::slice::from_ref(&self.totals.errors)),
            seconds: &self.seconds,
            tail: seconds,
            duration_s,
            users: &self.users,
        };
        fill(&counted, result);
    }
}

/// Users asked for and at work of several loads, second by second. One that has ended has none.
pub fn users_of_all(each: impl IntoIterator<Item = (u64, u32, u32)>) -> Vec<(u64, u32, u32)> {
    let mut sums: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
    for (second, asked, active) in each {
        let sum = sums.entry(second).or_default();
        *sum = (sum.0.saturating_add(asked), sum.1.saturating_add(active));
    }
    sums.into_iter().map(|(second, (asked, active))| (second, asked, active)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::outcome::{Call, EADDRNOTAVAIL, EndpointId, Failure, Outcome, Sample};
    use crate::stats::aggregate::Aggregate;
    use crate::stats::fixture;
    use crate::stats::recorder::Recorder;

    fn sample(ms: u64, outcome: Outcome) -> Sample {
        fixture::sample(EndpointId(0), Stamp::from_millis(ms), Stamp::from_millis(ms + 10), outcome)
    }

    /// The same seconds as they were seen and as they were counted at the end.
    #[test]
    fn what_is_shown_in_mid_run_is_what_the_end_says() {
        let no_port = Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL));
        let busy = Failure::new(Call::Http, Cause::Status(503));
        let mut plan = fixture::plan();
        (plan.threads, plan.duration) = (1, Duration::from_secs(3));
        let mut recorder = Recorder::new(plan.mix.len(), Duration::ZERO, false);
        for n in 0..30 {
            let outcome = match n % 5 {
                3 => Outcome::Failed(busy),
                4 => Outcome::Local(no_port),
                _ => Outcome::Answered { status: 200 },
            };
            recorder.record_attempt(Stamp::from_millis(n * 100));
            recorder.record(&sample(n * 100, outcome));
        }
        recorder.roll_to(Stamp::from_millis(3000));
        let seconds: Vec<Interval> = recorder.drain_intervals().collect();
        let new = || fixture::blank(&plan);
        let (mut so_far, mut now, mut end) = (SoFar::new(&plan), new(), new());
        let mut aggregate = Aggregate::new(&plan);
        for second in seconds {
            so_far.push(&second);
            so_far.note_users(second.second, 1, 1);
            aggregate.add_interval(second);
        }
        aggregate.add_worker(recorder.finish(Stamp::from_millis(3000)));
        so_far.fill(&mut now);
        aggregate.fill(&mut end, Duration::from_secs(3), &[(0, 1, 1)]);
        assert_eq!(now.duration_s, 3.0);
        assert_eq!(now.totals.latency_ms, end.totals.latency_ms);
        assert_eq!((now.totals.requests, now.totals.failures, now.totals.local_failures), (24, 6, 6));
        let rows = |run: &RunResult| run.errors.iter().map(|e| (e.call, e.name.clone(), e.count)).collect::<Vec<_>>();
        assert_eq!(rows(&now), rows(&end));
        assert_eq!(
            now.series.iter().map(|p| (p.rps, p.p95_ms)).collect::<Vec<_>>(),
            end.series.iter().map(|p| (p.rps, p.p95_ms)).collect::<Vec<_>>()
        );
        assert_eq!(now.endpoints[0].status, BTreeMap::from([("503".into(), 6), (GOOD_ANSWERS.into(), 18)]));
        assert_eq!(end.endpoints[0].content_size_mean, Some(21.0));
        assert_eq!(now.endpoints[0].content_size_mean, Some(21.0));
    }
}
