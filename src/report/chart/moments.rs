//! When something happened in a run: marked in every chart over its time.

use super::Marker;
use crate::model::finding::FindingId;
use crate::model::order::Order as _;
use crate::model::result::{RunResult, Stretch, VerdictId};

/// Stretches of one kind that are marked, the longest; the rest would hide the curves.
const MOST: usize = 4;
/// Stretches that are closer to each other are one, seconds.
const APART_S: f64 = 1.5;

/// Marks and stretches on the time axis of one chart or several runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) markers: Vec<Marker>,
    pub(super) alarms: Vec<(f64, f64)>,
}

/// Those of a run that begins at `offset` on the axis.
pub(super) fn moments(run: &RunResult, offset: f64) -> Moments {
    let mut all = Moments::default();
    let has = |id: FindingId| run.findings.iter().any(|f| f.id == id);
    let spans = run.totals.local_failure_spans.iter().map(|s| Stretch { from_s: s.from_s, to_s: s.to_s });
    let spans = longest(joined(spans.collect()));
    if has(FindingId::LocalPortsExhausted) {
        all.add(run, &spans, ["ports run out", "ports run out again", "works again"]);
    } else if !spans.is_empty() {
        all.add(run, &spans, ["fails on this machine", "fails again", "works again"]);
    }
    if has(FindingId::TargetStalled)
        && let Some(silences) = &run.totals.silences
    {
        let silences = longest(joined(silences.iter().map(|s| s.stretch).collect()));
        all.add(run, &silences, ["no answers", "no answers", ""]);
    }
    if has(FindingId::ClientStalled)
        && let Some(stalls) = &run.resources.client.stalls
    {
        all.add(run, &longest(joined(stalls.clone())), ["client stalled", "client stalled", ""]);
    }
    if let Some(since) = run.verdict.since_s.filter(|s| !all.markers.iter().any(|m| (m.x - s).abs() < APART_S)) {
        let label = match run.verdict.id {
            VerdictId::PortBound => "ports run out",
            VerdictId::FdBound => "descriptors run out",
            VerdictId::TargetGone => "target gone",
            VerdictId::TargetFailing => "failures begin",
            VerdictId::TargetBound => "saturated",
            VerdictId::ClientBound | VerdictId::HostBound => "client slow",
            VerdictId::Healthy | VerdictId::Undecided => "",
        };
        if !label.is_empty() {
            all.markers.push(Marker { x: since, label: label.into() });
        }
        if run.verdict.id == VerdictId::TargetGone {
            all.alarms.push((since, run.duration_s));
        }
    }
    for marker in &mut all.markers {
        marker.x += offset;
    }
    for (from, to) in &mut all.alarms {
        (*from, *to) = (*from + offset, *to + offset);
    }
    all
}

impl Moments {
    /// `labels`: of the first beginning, of later ones, of an end within the run; none where empty.
    fn add(&mut self, run: &RunResult, stretches: &[Stretch], labels: [&str; 3]) {
        for (i, s) in stretches.iter().enumerate() {
            self.alarms.push((s.from_s, s.to_s.min(run.duration_s)));
            self.markers.push(Marker { x: s.from_s, label: labels[usize::from(i > 0)].into() });
            if !labels[2].is_empty() && s.to_s + APART_S < run.duration_s {
                self.markers.push(Marker { x: s.to_s, label: labels[2].into() });
            }
        }
    }
}

/// Stretches with a short time between them as one.
fn joined(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.order_by(|a, b| a.from_s.total_cmp(&b.from_s));
    let mut out: Vec<Stretch> = Vec::new();
    for s in stretches {
        match out.last_mut().filter(|last| s.from_s - last.to_s < APART_S) {
            Some(last) => last.to_s = last.to_s.max(s.to_s),
            None => out.push(s),
        }
    }
    out
}

/// The longest, in the order of time.
fn longest(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    let length = |s: &Stretch| s.to_s - s.from_s;
    stretches.order_by(|a, b| length(b).total_cmp(&length(a)));
    stretches.truncate(MOST);
    stretches.order_by(|a, b| a.from_s.total_cmp(&b.from_s));
    stretches
}
