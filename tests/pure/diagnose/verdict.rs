//! The verdict: which finding decides it, what its headline says, and the stamp that goes with it.

use sockbench::testing::diagnose::Diagnosis;
use sockbench::testing::model::finding::Severity;
use sockbench::testing::model::outcome::Call;
use sockbench::testing::model::result::{RunResult, RunStamp, VerdictId};

use super::firing::firing;
use crate::facts::{errno, exhausted, fail, healthy, short};
use crate::snapshot;

/// What a headline says in any case, by verdict.
fn keyword(id: VerdictId) -> &'static [&'static str] {
    match id {
        VerdictId::Healthy => &["ok"],
        VerdictId::PortBound => &["ports"],
        VerdictId::FdBound => &["descriptors"],
        VerdictId::ClientBound => &["client"],
        VerdictId::HostBound => &["other programs"],
        VerdictId::TargetBound => &["saturated"],
        VerdictId::TargetFailing => &["failing"],
        VerdictId::TargetGone => &["gone", "refused"],
        VerdictId::Undecided => &["undecided"],
    }
}

#[test]
fn every_headline_has_its_keyword_and_is_one_line() {
    let mut page = String::new();
    for (id, run) in firing() {
        let verdict = Diagnosis::of(&run).verdict;
        let said = verdict.sentence.to_lowercase();
        assert!(keyword(verdict.id).iter().any(|w| said.contains(w)), "{}: {verdict:?}", id.word());
        assert!(!said.contains('\n') && !said.ends_with('.'), "{verdict:?}");
        assert_eq!(verdict.id == VerdictId::Healthy, verdict.sentence.starts_with("OK"), "{verdict:?}");
        page += &format!("{}: {}\n", id.word(), verdict.sentence);
    }
    snapshot::matches("verdicts", "headlines", &page);
}

fn decided(run: &RunResult) -> (VerdictId, RunStamp) {
    let diagnosis = Diagnosis::of(run);
    (diagnosis.verdict.id, diagnosis.validity.stamp)
}

#[test]
fn the_stamp_agrees_with_the_verdict() {
    assert_eq!(decided(&healthy()), (VerdictId::Healthy, RunStamp::Valid));
    assert_eq!(decided(&exhausted()), (VerdictId::PortBound, RunStamp::PortBound));
    for (id, run) in firing() {
        let (verdict, stamp) = decided(&run);
        assert_eq!(verdict == VerdictId::PortBound, stamp == RunStamp::PortBound, "{}", id.word());
        if matches!(verdict, VerdictId::FdBound | VerdictId::ClientBound | VerdictId::HostBound) {
            assert_eq!(stamp, RunStamp::ClientBound, "{}", id.word());
        }
    }
}

#[test]
fn an_error_is_never_called_healthy() {
    for (id, run) in firing() {
        let diagnosis = Diagnosis::of(&run);
        if diagnosis.findings.iter().any(|f| f.severity == Severity::Error) {
            assert_ne!(diagnosis.verdict.id, VerdictId::Healthy, "{}", id.word());
        }
    }
}

#[test]
fn the_time_since_when_is_known_where_the_errors_have_one() {
    let verdict = Diagnosis::of(&exhausted()).verdict;
    assert_eq!(verdict.since_s, Some(35.3));
    assert_eq!(Diagnosis::of(&healthy()).verdict.since_s, None);
}

#[test]
fn nothing_answered_and_nothing_failed_is_undecided() {
    let mut run = healthy();
    (run.totals.requests, run.totals.cut, run.totals.latency_ms) = (0, 50, None);
    run.totals.attempts = 50;
    assert_eq!(decided(&run), (VerdictId::Undecided, RunStamp::Incomplete));
}

#[test]
fn what_this_machine_refuses_is_not_the_targets_fault() {
    let mut run = short(100.0);
    (run.totals.requests, run.totals.attempts, run.totals.latency_ms) = (0, 0, None);
    fail(&mut run, errno(Call::Connect, 101), 20, 0.0, 1.0);
    let row = &mut run.errors[0];
    row.local = true;
    (run.totals.local_failures, run.totals.failures, run.totals.requests) = (20, 0, 0);
    let diagnosis = Diagnosis::of(&run);
    assert_eq!(diagnosis.verdict.id, VerdictId::ClientBound);
    assert!(diagnosis.verdict.sentence.contains("no route to 10.0.0.1"), "{:?}", diagnosis.verdict);
    assert_eq!(diagnosis.validity.stamp, RunStamp::ClientBound);
}
