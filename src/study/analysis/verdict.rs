//! The verdict of a study: the gravest verdict of its steps, and from which step on. Where no step alone shows it, the
//! steps together do: the rate stays behind the users.

use super::Steps;
use super::answers::host_bound;
use crate::model::figures::{counted, rate, seconds, share};
use crate::model::finding::FindingId;
use crate::model::result::{RunResult, Verdict, VerdictId};
use crate::model::study::{Analysis, Saturation, SaturationKind, StepKind};

/// What a step is called whose target refused some connections and answered others.
const REFUSED: &str = "TARGET REFUSED CONNECTIONS";

/// Where somebody stopped a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoppedStudy {
    /// steps of its plan
    pub planned: usize,
}

impl StoppedStudy {
    /// `in step 2 of 3`, `before step 2 of 3`
    pub fn place(self, runs: &[RunResult]) -> String {
        let (ran, of) = (runs.len(), self.planned);
        match runs.last() {
            Some(last) if last.was_stopped() => format!("in step {ran} of {of}"),
            _ => format!("before step {} of {of}", ran + 1),
        }
    }
}

/// The verdict over all steps; of a study that somebody stopped it says so.
pub fn verdict(runs: &[RunResult], analysis: &Analysis, stopped: Option<StoppedStudy>) -> Verdict {
    let verdict = as_far_as_it_went(runs, analysis, stopped.is_some());
    let Some(place) = stopped.map(|stopped| stopped.place(runs)) else { return verdict };
    match verdict.id {
        VerdictId::Healthy => Verdict { sentence: format!("STOPPED {place}: {}", verdict.sentence), ..verdict },
        _ => verdict.with_end(&format!("; stopped {place}")),
    }
}

/// The first of the gravest verdicts decides; the sentence names the steps it is about. That of a healthy study which was
/// stopped does not begin with `OK`.
fn as_far_as_it_went(runs: &[RunResult], analysis: &Analysis, is_stopped: bool) -> Verdict {
    let steps = Steps { runs, rows: &analysis.rows, saturation: analysis.saturation.as_ref() };
    // Where other programs had the cores, the rate may be flat for that: only what a step shows by itself counts.
    let saturation = steps.saturation.filter(|found| host_bound(&steps, found).is_none());
    let steps = Steps { saturation, ..steps };
    let Some(id) = runs.iter().min_by_key(|run| gravity_of(run)).map(|run| run.verdict.id) else {
        return Verdict { sentence: "UNDECIDED: no step ran".into(), ..Verdict::default() };
    };
    // A client or a host that was the limit makes the rate flat as well.
    if let (Some(found), VerdictId::Healthy | VerdictId::Undecided) = (steps.saturation, id) {
        return Verdict::new(VerdictId::TargetBound, saturated(found));
    }
    if id == VerdictId::Healthy {
        let (ok, text) = healthy(&steps);
        return Verdict::new(id, if is_stopped { text } else { format!("{ok} {text}") });
    }
    let is_full = |i: &usize| steps.saturation.is_some_and(|s| steps.rows[*i].users >= s.users) && id == VerdictId::TargetBound;
    let hit: Vec<usize> = (0..runs.len()).filter(|i| runs[*i].verdict.id == id || is_full(i)).collect();
    let first = hit.first().map(|i| &runs[*i]);
    let since_s = first.and_then(|run| run.verdict.since_s);
    let words = first.map_or_else(|| words(id), |run| words_of(run, id));
    let when = since_s.filter(|_| id == VerdictId::TargetGone);
    let when = when.map_or_else(String::new, |s| format!(" ({} into the step)", seconds(s)));
    Verdict { since_s, ..Verdict::new(id, format!("{words} {}", places(&steps, &hit, &when))) }
}

/// `TARGET SATURATED already at 10 users: 48.6 req/s`.
fn saturated(s: &Saturation) -> String {
    let (users, rps) = (counted(s.users, "user"), rate(s.rps));
    match (s.kind, s.users_before) {
        (SaturationKind::Flat, None) => format!("TARGET SATURATED already at {users}: {rps} req/s"),
        (SaturationKind::Flat, Some(_)) => format!("TARGET SATURATED from {users} on: {rps} req/s"),
        (SaturationKind::Bends, _) => {
            format!("TARGET SLOWS DOWN from {users} on: {rps} req/s, {} of the rate without a queue", share(s.expected_share))
        }
    }
}

/// A target that refused some connections and answered others is not gone.
fn words_of(run: &RunResult, id: VerdictId) -> &'static str {
    let has_gone = run.findings.iter().any(|f| f.id == FindingId::TargetGone);
    match id {
        VerdictId::TargetGone if has_gone => words(id),
        VerdictId::TargetGone if run.totals.latency_ms.is_some() => REFUSED,
        VerdictId::TargetGone => "NOTHING LISTENED AT THE TARGET",
        _ => words(id),
    }
}

/// A target that only refused some connections fails, it is not gone.
fn gravity_of(run: &RunResult) -> usize {
    let refused = words_of(run, run.verdict.id) == REFUSED;
    gravity_and_words(if refused { VerdictId::TargetFailing } else { run.verdict.id }).0
}

/// The place of a verdict among all, and how a study says it. The gravest first: what fails, then what limits, then what is
/// not known.
const fn gravity_and_words(id: VerdictId) -> (usize, &'static str) {
    match id {
        VerdictId::TargetGone => (0, "TARGET GONE"),
        VerdictId::PortBound => (1, "PORTS RAN OUT ON THIS MACHINE"),
        VerdictId::FdBound => (2, "DESCRIPTORS RAN OUT ON THIS MACHINE"),
        VerdictId::TargetFailing => (3, "TARGET FAILING"),
        VerdictId::TargetBound => (4, "TARGET SATURATED"),
        VerdictId::ClientBound => (5, "THE CLIENT WAS THE LIMIT"),
        VerdictId::HostBound => (6, "OTHER PROGRAMS TOOK THE CPU"),
        VerdictId::Undecided => (7, "UNDECIDED"),
        VerdictId::Healthy => (8, "OK"),
    }
}

const fn words(id: VerdictId) -> &'static str {
    gravity_and_words(id).1
}

/// `OK:` or the like, and what is.
fn healthy(steps: &Steps<'_>) -> (&'static str, String) {
    let Some(heavy) = steps.heaviest() else { return ("OK:", "no limit reached".into()) };
    let row = &steps.rows[heavy];
    let censored = steps.rows.iter().filter(|r| r.is_censored).max_by(|a, b| a.unanswered_share.total_cmp(&b.unanswered_share));
    if let Some(worst) = censored {
        return (
            "OK, but",
            format!("{} of the requests {} failed or had no answer", share(worst.unanswered_share), worst.place()),
        );
    }
    // Users that share connections, or had none, are not the load that was asked for.
    let short = steps.runs[heavy].findings.iter().find(|f| f.id == FindingId::UsersNotReached);
    if let Some(finding) = short {
        return ("OK as far as it went:", format!("{} ({})", finding.title, row.place()));
    }
    ("OK:", format!("no limit reached up to {}: {} req/s", row.label, rate(row.steady_rps.unwrap_or(row.rps))))
}

/// `at 100 users; the other steps are fine`; `when` comes after the steps.
fn places(steps: &Steps<'_>, hit: &[usize], when: &str) -> String {
    let row = |i: &usize| &steps.rows[*i];
    let rest: Vec<usize> = (0..steps.rows.len()).filter(|i| !hit.contains(i)).collect();
    let text = match hit {
        [] => String::new(),
        _ if rest.is_empty() && steps.rows.len() > 1 => "in every step".into(),
        [one] => row(one).place(),
        [first, ..] if *hit == (*first..steps.rows.len()).collect::<Vec<_>>() && steps.rising().is_some() => {
            format!("from {} on", row(first).label)
        }
        many => many.iter().map(|i| row(i).place()).collect::<Vec<_>>().join(", "),
    };
    let text = text + when;
    let fine = rest.iter().all(|i| steps.runs[*i].verdict.id == VerdictId::Healthy);
    match rest.as_slice() {
        [] => text,
        [one] if fine => {
            let (label, kind) = (&row(one).label, &row(one).kind);
            let is_many = matches!(kind, Some(StepKind::Users { of, .. }) if *of != 1);
            format!("{text}; {label} {} fine", if is_many { "are" } else { "is" })
        }
        _ if fine => format!("{text}; the other steps are fine"),
        _ => text,
    }
}
