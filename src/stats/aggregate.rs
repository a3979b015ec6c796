//! All workers of a run: intervals and totals in, in any order; seconds and the counted part of a result out.
//!
//! A second is complete once every worker has delivered it or has finished before it. Complete seconds are taken
//! with [`Aggregate::take_complete`] (for the interval log and the CSV history); what stays of them here is a
//! summary of fixed size, so that memory does not grow with the length of a run.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::errors::ErrorTable;
use super::interval::{Interval, SecondSummary};
use super::summarise::{Filling, fill};
use super::totals::WorkerTotals;
use crate::model::plan::LoadPlan;
use crate::model::result::RunResult;

/// Taken seconds whose bins are kept, so that a short last second can still join the one before.
const TAIL_SECONDS: usize = 3;

/// Adds up the workers of one run. See the module.
#[derive(Debug)]
pub struct Aggregate {
    plan: LoadPlan,
    workers: usize,
    /// rising
    open: VecDeque<OpenSecond>,
    taken: BTreeMap<u64, SecondSummary>,
    tail: VecDeque<Interval>,
    totals: WorkerTotals,
    error_tables: Vec<ErrorTable>,
    finished_in: Vec<u64>,
}

#[derive(Debug)]
struct OpenSecond {
    delivered: usize,
    sum: Interval,
}

impl Aggregate {
    /// For `plan.threads` workers, each of which delivers every second once.
    pub fn new(plan: &LoadPlan) -> Self {
        Self::of(plan, plan.threads.max(1) as usize)
    }

    /// For the runs to the destinations of `plan`, each of which delivers every second once, moved to its endpoints.
    pub fn of_destinations(plan: &LoadPlan) -> Self {
        Self::of(plan, plan.destinations.len())
    }

    fn of(plan: &LoadPlan, workers: usize) -> Self {
        Self {
            plan: plan.clone(),
            workers,
            open: VecDeque::new(),
            taken: BTreeMap::new(),
            tail: VecDeque::new(),
            totals: WorkerTotals::new(plan.mix.len()),
            error_tables: Vec::new(),
            finished_in: Vec::new(),
        }
    }

    /// Adds a second of one worker.
    pub fn add_interval(&mut self, interval: Interval) {
        debug_assert!(!self.taken.contains_key(&interval.second), "second {} was complete already", interval.second);
        let at = self.open.partition_point(|open| open.sum.second < interval.second);
        match self.open.get_mut(at).filter(|open| open.sum.second == interval.second) {
            Some(known) => {
                known.delivered += 1;
                known.sum.add(&interval);
            }
            None => self.open.insert(at, OpenSecond { delivered: 1, sum: interval }),
        }
    }

    /// Adds a worker that has ended, with the seconds that it had not delivered yet.
    pub fn add_worker(&mut self, mut worker: WorkerTotals) {
        for interval in std::mem::take(&mut worker.intervals) {
            self.add_interval(interval);
        }
        self.error_tables.push(std::mem::take(&mut worker.errors));
        self.finished_in.push(worker.last_second);
        self.totals.add(&worker);
    }

    /// The run to one destination has ended: no second after `last` comes any more; none: there was none.
    pub fn end_destination(&mut self, last: Option<u64>) {
        match last {
            Some(last) => self.finished_in.push(last),
            None => self.workers = self.workers.saturating_sub(1),
        }
    }

    /// Adds what the run to one destination counted beside its seconds; the first of its endpoints is number `first`.
    pub fn add_destination(&mut self, own: &Self, first: u16) {
        self.error_tables.extend(own.error_tables.iter().map(|table| table.clone().moved(first)));
        self.totals.add(&own.totals.clone().moved(first, self.plan.mix.len()));
    }

    /// The figures of second `n`, once it is complete.
    pub fn second(&self, n: u64) -> Option<SecondSummary> {
        if let Some(taken) = self.taken.get(&n) {
            return Some(*taken);
        }
        self.open.iter().find(|s| s.sum.second == n && self.is_complete(s)).map(|s| SecondSummary::of(&s.sum))
    }

    fn is_complete(&self, second: &OpenSecond) -> bool {
        second.delivered + self.finished_in.iter().filter(|last| **last < second.sum.second).count() >= self.workers
    }

    /// Takes the seconds that have become complete since the last call, oldest first, all workers merged.
    pub fn take_complete(&mut self) -> Vec<Interval> {
        let mut out = Vec::new();
        while self.open.front().is_some_and(|second| self.is_complete(second)) {
            let Some(second) = self.open.pop_front() else { break };
            self.take(&second.sum);
            out.push(second.sum);
        }
        out
    }

    fn take(&mut self, interval: &Interval) {
        self.taken.insert(interval.second, SecondSummary::of(interval));
        if self.tail.len() == TAIL_SECONDS {
            self.tail.pop_front();
        }
        self.tail.push_back(interval.clone());
    }

    /// Fills what was counted into `result`: totals, endpoints, errors, closes, the load columns of the series, the
    /// lateness of the client, and a row of `unavailable` for each null that these leave. Observed columns of the
    /// series are left as they are; the series gets one point a second, and a last second shorter than half a
    /// second joins the one before.
    ///
    /// `users` is (second, users asked for, users at work), in order; a second without an entry repeats
    /// the one before.
    pub fn fill(mut self, result: &mut RunResult, duration: Duration, users: &[(u64, u32, u32)]) {
        while let Some(second) = self.open.pop_front() {
            self.take(&second.sum);
        }
        let counted = Filling {
            plan: &self.plan,
            totals: &self.totals,
            errors: &ErrorTable::merged(&self.error_tables),
            seconds: &self.taken,
            tail: self.tail.make_contiguous(),
            duration_s: duration.as_secs_f64(),
            users,
        };
        fill(&counted, result);
    }
}
