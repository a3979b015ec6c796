//! One axis of time for all machines: whole seconds since the first of them began.

use std::collections::BTreeMap;

use super::Part;
use crate::model::figures::seconds;
use crate::model::result::Machine;
use crate::model::time::{rfc3339_of, unix_seconds};
use crate::stats::interval::Interval;

/// Starts further apart are said.
const APART_S: f64 = 0.5;

/// Where each machine's first second lies. In the order of the parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// when the first machine began
    pub(super) started_at: String,
    /// whole seconds from there to each machine's start: seconds cannot be cut, so that half of one is lost at most
    pub(super) shifts: Vec<u64>,
    /// the same, as it was
    exact: Vec<f64>,
    /// by the target's clock
    corrected: bool,
}

impl Axis {
    /// Starts are those of the machines' own clocks. Where each machine has measured how far its clock is from the target's,
    /// they are those of the target's.
    pub(super) fn of(parts: &[Part]) -> Self {
        let at_work = || parts.iter().filter(|part| !part.run.plan.is_empty());
        let clock = |part: &Part| part.run.start.as_ref().and_then(|start| start.clock);
        let corrected = at_work().all(|part| clock(part).is_some()) && at_work().any(|p| clock(p).is_some_and(|c| c.differs()));
        let began = |part: &Part| {
            let own = unix_seconds(&part.run.started_at).unwrap_or_default();
            own + clock(part).filter(|_| corrected).map_or(0.0, |c| c.offset_s)
        };
        let first =
            at_work().map(began).reduce(f64::min).or_else(|| parts.iter().map(began).reduce(f64::min)).unwrap_or_default();
        // One that had nothing to do began with the others.
        let after = |part: &Part| if part.run.plan.is_empty() { 0.0 } else { (began(part) - first).max(0.0) };
        let exact: Vec<f64> = parts.iter().map(after).collect();
        Self { started_at: rfc3339_of(first), shifts: exact.iter().map(|s| s.round() as u64).collect(), exact, corrected }
    }

    /// From the first second to the last.
    pub(super) fn duration_s(&self, parts: &[Part]) -> f64 {
        parts.iter().zip(&self.shifts).map(|(part, shift)| *shift as f64 + part.run.duration_s).fold(0.0, f64::max)
    }

    /// Users asked for and at work, of all machines, second by second.
    pub(super) fn users(&self, parts: &[Part]) -> Vec<(u64, u32, u32)> {
        let mut sums: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for (part, shift) in parts.iter().zip(&self.shifts) {
            for (second, point) in (*shift..).zip(&part.run.series) {
                let sum = sums.entry(second).or_default();
                *sum = (sum.0 + point.users_asked, sum.1 + point.users);
            }
        }
        sums.into_iter().map(|(second, (asked, active))| (second, asked, active)).collect()
    }

    /// What a reader must know of starts and clocks.
    pub(super) fn notes(&self, parts: &[Part], machines: &[Machine]) -> Vec<String> {
        let mut notes = Vec::new();
        let last = self.exact.iter().zip(machines).max_by(|a, b| a.0.total_cmp(b.0)).filter(|(after, _)| **after >= APART_S);
        if let Some((after, machine)) = last {
            notes.push(format!("{} began {} after the first machine", machine.name, seconds(*after)));
        }
        let clocks = parts.iter().zip(machines).filter_map(|(part, machine)| Some((part.run.start.as_ref()?.clock?, machine)));
        let furthest = clocks.filter(|(c, _)| c.differs()).max_by(|a, b| a.0.offset_s.abs().total_cmp(&b.0.offset_s.abs()));
        if let Some((clock, machine)) = furthest {
            let done = if self.corrected {
                "seconds are aligned by the target's"
            } else {
                "others are not known, so nothing is corrected"
            };
            notes.push(format!("the clock of {} is {}; {done}", machine.name, clock.in_words()));
        }
        notes
    }
}

/// The seconds of one machine with what its log does not have: requests that began and connections, from its series.
pub(super) fn whole_seconds(part: &Part) -> Vec<Interval> {
    let endpoints = part.run.plan.mix.len();
    let mut seconds: BTreeMap<u64, Interval> = part.seconds.iter().map(|s| (s.second, s.clone())).collect();
    let mut from = 0.0;
    for (second, point) in (0..).zip(&part.run.series) {
        let interval = seconds.entry(second).or_insert_with(|| Interval::empty(second, endpoints));
        interval.attempts = (point.attempts_per_s * (point.t_s - from)).round().max(0.0) as u64;
        interval.connects = point.connects;
        from = point.t_s;
    }
    seconds.into_values().collect()
}

/// All machines' seconds on one axis, each machine's moved by whole seconds. In any order the same.
pub(super) fn joined(machines: impl IntoIterator<Item = (Vec<Interval>, u64)>) -> Vec<Interval> {
    let mut sums: BTreeMap<u64, Interval> = BTreeMap::new();
    for (seconds, shift) in machines {
        for own in seconds {
            let moved = Interval { second: own.second + shift, ..own };
            match sums.get_mut(&moved.second) {
                Some(sum) => sum.add(&moved),
                None => drop(sums.insert(moved.second, moved)),
            }
        }
    }
    sums.into_values().collect()
}
