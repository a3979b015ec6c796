//! One axis of time for all machines: whole seconds since the first of them began.

use std::collections::BTreeMap;

use super::Part;
use crate::model::figures::seconds;
use crate::model::order::{Order as _, mapped};
use crate::model::result::{ClockOffset, Machine};
use crate::model::time::{rfc3339_of, unix_seconds};
use crate::stats::interval::Interval;
use crate::stats::so_far::users_of_all;

/// Starts further apart are said.
const APART_S: f64 = 0.5;
/// Machines that share a load begin within this time of each other.
const TOGETHER_S: f64 = 1.0;
/// Ends that are no further apart are one.
const SAME_S: f64 = 0.005;
/// What clocks that nobody has compared may differ by.
const UNKNOWN_S: f64 = 60.0;

/// Where each machine's first second lies. In the order of the parts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// when the first machine began
    pub(super) started_at: String,
    /// whole seconds from there to each machine's start: seconds cannot be cut, so that half of one is lost at most
    pub(super) shifts: Vec<u64>,
    /// the same, as it was
    pub(super) exact: Vec<f64>,
    clocks: Clocks,
}

/// What is known of the clocks of machines that had something to do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Clocks {
    /// all parts ran on one machine
    One,
    /// each was compared with the target's; how far the starts may be wrong
    Compared { within_s: f64 },
    /// not all were compared
    Unknown,
}

impl Axis {
    /// Starts are those of the machines' own clocks; where all machines have compared theirs with the target's, of the target's.
    pub(super) fn of(parts: &[Part]) -> Self {
        let clocks = Clocks::of(parts);
        let began = |part: &Part| {
            let own = unix_seconds(&part.run.started_at).unwrap_or_default();
            own + clock(part).filter(|_| matches!(clocks, Clocks::Compared { .. })).map_or(0.0, |c| c.offset_s)
        };
        let first =
            at_work(parts).map(began).reduce(f64::min).or_else(|| parts.iter().map(began).reduce(f64::min)).unwrap_or_default();
        // One that had nothing to do began with the others.
        let after = |part: &Part| if part.run.plan.is_empty() { 0.0 } else { (began(part) - first).max(0.0) };
        let exact: Vec<f64> = parts.iter().map(after).collect();
        Self { started_at: rfc3339_of(first), shifts: exact.iter().map(|s| s.round() as u64).collect(), exact, clocks }
    }

    /// The run that had ended longest before another began, by more than unknown clocks explain: which two, and seconds.
    pub(super) fn gap(&self, parts: &[Part]) -> Option<(usize, usize, f64)> {
        let working = || parts.iter().zip(&self.exact).enumerate().filter(|(_, (part, _))| !part.run.plan.is_empty());
        let ends = working().map(|(at, (part, began))| (at, began + part.run.duration_s));
        let (first, ended) = ends.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let (last, began) = working().map(|(at, (_, began))| (at, *began)).max_by(|a, b| a.1.total_cmp(&b.1))?;
        let apart = began - ended;
        (apart > UNKNOWN_S).then_some((first, last, apart))
    }

    /// Why the machines were not one load: the last began too long after the first.
    pub(super) fn not_together(&self, machines: &[Machine]) -> Option<String> {
        let (after, machine) = self.last(machines)?;
        let (most, by) = match self.clocks {
            Clocks::One => (TOGETHER_S, ""),
            Clocks::Compared { within_s } => (TOGETHER_S + within_s, ""),
            Clocks::Unknown => (UNKNOWN_S, " by its own clock"),
        };
        (after > most).then(|| format!("not one run: {} began {} after the first machine{by}", machine.name, seconds(after)))
    }

    /// That nobody knows whether they began together, where nobody does: which clock is not known and why, and what follows.
    pub(super) fn unknown_start(&self, parts: &[Part], machines: &[Machine]) -> Option<String> {
        let (after, machine) = self.last(machines).filter(|_| self.clocks == Clocks::Unknown)?;
        let mut lacking = parts.iter().zip(machines).filter(|(part, _)| !part.run.plan.is_empty() && clock(part).is_none());
        let (part, lacks) = lacking.next()?;
        let others = if lacking.next().is_some() { " and others" } else { "" };
        let why = if part.run.start.is_some() { "no answer before the start had a Date" } else { "it takes --start-at" };
        let unknown = format!("the clock of {}{others} was not compared with the target's: {why}", lacks.name);
        let most = seconds(UNKNOWN_S);
        Some(if after >= APART_S {
            let (name, after) = (&machine.name, seconds(after));
            format!(
                "{unknown}. {name} began {after} after the first machine by its own clock; up to {most} may be the clocks' difference"
            )
        } else {
            format!("{unknown}. The machines may have begun up to {most} apart")
        })
    }

    /// The machine that began last.
    fn last<'a>(&self, machines: &'a [Machine]) -> Option<(f64, &'a Machine)> {
        self.exact.iter().copied().zip(machines).max_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// The whole seconds in which every machine that had something to do was at work, none where there is no such second; the
    /// end is none where all ended together.
    pub(super) fn common(&self, parts: &[Part]) -> Option<(u64, Option<u64>)> {
        let working = || parts.iter().zip(&self.shifts).filter(|(part, _)| !part.run.plan.is_empty());
        let ends = || working().map(|(part, shift)| *shift as f64 + part.run.duration_s);
        let from = working().map(|(_, shift)| *shift).max().unwrap_or(0);
        let (first, last) = (ends().fold(f64::INFINITY, f64::min), ends().fold(0.0, f64::max));
        let to = (last - first > SAME_S).then(|| (first + SAME_S).floor() as u64);
        to.is_none_or(|to| to > from).then_some((from, to))
    }

    /// From the first second to the last.
    pub(super) fn duration_s(&self, parts: &[Part]) -> f64 {
        parts.iter().zip(&self.shifts).map(|(part, shift)| *shift as f64 + part.run.duration_s).fold(0.0, f64::max)
    }

    /// Users asked for and at work, of all machines, second by second.
    pub(super) fn users(&self, parts: &[Part]) -> Vec<(u64, u32, u32)> {
        let moved = parts.iter().zip(&self.shifts).flat_map(|(part, shift)| (*shift..).zip(&part.run.series));
        users_of_all(moved.map(|(second, point)| (second, point.users_asked, point.users)))
    }

    /// What a reader must know of starts and clocks, beside what the verdict says where machines were not together.
    pub(super) fn notes(&self, parts: &[Part], machines: &[Machine]) -> Vec<String> {
        let mut notes = Vec::new();
        let is_said = self.not_together(machines).is_some();
        if let Some((after, machine)) = self.last(machines).filter(|(after, _)| *after >= APART_S && !is_said) {
            let within = match self.clocks {
                Clocks::Compared { within_s } => format!(", as far as clocks are known (within {})", seconds(within_s)),
                Clocks::One | Clocks::Unknown => String::new(),
            };
            let counted = machine.from_s as f64;
            let moved = if (counted - after).abs() < 0.05 {
                String::new()
            } else {
                format!("; in the sums, its first second counts as the one that begins at {}", seconds(counted))
            };
            notes.push(format!("{} began {} after the first machine{within}{moved}", machine.name, seconds(after)));
        }
        let clocks = parts.iter().zip(machines).filter_map(|(part, machine)| Some((part.run.start.as_ref()?.clock?, machine)));
        let furthest = clocks.filter(|(c, _)| c.differs()).max_by(|a, b| a.0.offset_s.abs().total_cmp(&b.0.offset_s.abs()));
        if let Some((clock, machine)) = furthest {
            let done = match self.clocks {
                Clocks::Compared { .. } => "its seconds are aligned by the target's",
                Clocks::One => "all parts ran there, so nothing is corrected",
                Clocks::Unknown => "others are not known, so nothing is corrected",
            };
            notes.push(format!("the clock of {} is {}; {done}", machine.name, clock.in_words()));
        }
        notes
    }
}

impl Clocks {
    fn of(parts: &[Part]) -> Self {
        let mut each = at_work(parts);
        if let Some(first) = each.next()
            && each.all(|part| is_one_machine(first, part))
        {
            return Self::One;
        }
        if at_work(parts).any(|part| clock(part).is_none()) {
            return Self::Unknown;
        }
        // The two that are furthest apart may both be wrong.
        let mut wrong: Vec<f64> = at_work(parts).filter_map(clock).map(|c| c.within_s.max(0.0)).collect();
        wrong.order_by(|a, b| b.total_cmp(a));
        Self::Compared { within_s: wrong.iter().take(2).sum() }
    }
}

fn at_work(parts: &[Part]) -> impl Iterator<Item = &Part> {
    parts.iter().filter(|part| !part.run.plan.is_empty())
}

fn clock(part: &Part) -> Option<ClockOffset> {
    part.run.start.as_ref().and_then(|start| start.clock)
}

/// Whether two parts ran on one machine, by one clock. Machines that were made from one image may all have one name.
pub(super) fn is_one_machine(a: &Part, b: &Part) -> bool {
    let (one, other) = (&a.run.host, &b.run.host);
    let is_one_boot = match (&one.boot_id, &other.boot_id) {
        (Some(a), Some(b)) => a == b,
        // A document of an earlier version.
        _ => (&one.kernel, one.cpus, one.memory_bytes) == (&other.kernel, other.cpus, other.memory_bytes),
    };
    let is_one_clock = match (clock(a), clock(b)) {
        (Some(a), Some(b)) => (a.offset_s - b.offset_s).abs() <= a.within_s + b.within_s,
        _ => true,
    };
    one.name.is_some() && one.name == other.name && is_one_boot && is_one_clock
}

/// The seconds of one machine with what its log does not have: requests that began and connections, from its series.
pub(super) fn whole_seconds(part: &Part) -> Vec<Interval> {
    let endpoints = part.run.plan.mix.len();
    let mut seconds = mapped(part.seconds.iter().map(|s| (s.second, s.clone())));
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
            let moved = Interval { second: own.second.saturating_add(shift), ..own };
            match sums.get_mut(&moved.second) {
                Some(sum) => sum.add(&moved),
                None => drop(sums.insert(moved.second, moved)),
            }
        }
    }
    sums.into_values().collect()
}
