//! The verdict of a study: the gravest verdict of its steps, and from which step on.

use super::{Steps, place};
use crate::model::figures::rate;
use crate::model::result::{RunResult, Verdict, VerdictId};
use crate::model::study::Analysis;

/// The verdict over all steps. The first of the gravest verdicts decides; the sentence names the steps it is about.
pub fn verdict(runs: &[RunResult], analysis: &Analysis) -> Verdict {
    let steps = Steps { runs, rows: &analysis.rows };
    let Some(id) = runs.iter().map(|r| r.verdict.id).min_by_key(|id| gravity(*id)) else {
        return Verdict { sentence: "UNDECIDED: no step ran".into(), ..Verdict::default() };
    };
    if id == VerdictId::Healthy {
        return Verdict { id, sentence: healthy(&steps), since_s: None };
    }
    let hit: Vec<usize> = (0..runs.len()).filter(|i| runs[*i].verdict.id == id).collect();
    let since_s = hit.first().and_then(|i| runs[*i].verdict.since_s);
    Verdict { id, sentence: format!("{} {}", words(id), places(&steps, &hit)), since_s }
}

/// The gravest first: what fails, then what limits, then what is not known.
fn gravity(id: VerdictId) -> u8 {
    match id {
        VerdictId::TargetGone => 0,
        VerdictId::PortBound => 1,
        VerdictId::FdBound => 2,
        VerdictId::TargetFailing => 3,
        VerdictId::TargetBound => 4,
        VerdictId::ClientBound => 5,
        VerdictId::HostBound => 6,
        VerdictId::Undecided => 7,
        VerdictId::Healthy => 8,
    }
}

const fn words(id: VerdictId) -> &'static str {
    match id {
        VerdictId::Healthy => "OK",
        VerdictId::PortBound => "PORTS RAN OUT ON THIS MACHINE",
        VerdictId::FdBound => "DESCRIPTORS RAN OUT ON THIS MACHINE",
        VerdictId::ClientBound => "THE CLIENT WAS THE LIMIT",
        VerdictId::HostBound => "OTHER PROGRAMS TOOK THE CPU",
        VerdictId::TargetBound => "TARGET SATURATED",
        VerdictId::TargetFailing => "TARGET FAILING",
        VerdictId::TargetGone => "TARGET GONE",
        VerdictId::Undecided => "UNDECIDED",
    }
}

fn healthy(steps: &Steps<'_>) -> String {
    let Some(heavy) = steps.heaviest() else { return "OK".into() };
    let row = &steps.rows[heavy];
    format!("OK   no limit reached up to {}: {} req/s", row.label, rate(row.steady_rps.unwrap_or(row.rps)))
}

/// `at 100 users; the other steps are fine`.
fn places(steps: &Steps<'_>, hit: &[usize]) -> String {
    let row = |i: &usize| &steps.rows[*i];
    let rest: Vec<usize> = (0..steps.rows.len()).filter(|i| !hit.contains(i)).collect();
    let text = match hit {
        [] => String::new(),
        _ if rest.is_empty() && steps.rows.len() > 1 => "in every step".into(),
        [one] => place(row(one)),
        [first, ..] if *hit == (*first..steps.rows.len()).collect::<Vec<_>>() && steps.rising().is_some() => {
            format!("from {} on", row(first).label)
        }
        many => many.iter().map(|i| place(row(i))).collect::<Vec<_>>().join(", "),
    };
    let fine = rest.iter().all(|i| steps.runs[*i].verdict.id == VerdictId::Healthy);
    match rest.as_slice() {
        [] => text,
        [one] if fine => {
            let label = &row(one).label;
            format!("{text}; {label} {} fine", if label.ends_with("users") { "are" } else { "is" })
        }
        _ if fine => format!("{text}; the others are fine"),
        _ => text,
    }
}
