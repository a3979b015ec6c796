//! The verdict: which finding decides it, what its headline says, and the stamp that goes with it.

use sockbench::testing::diagnose::Diagnosis;
use sockbench::testing::model::{Call, Cause, FindingId as Id, Phase, RunResult, RunStamp, Severity, VerdictId};

use super::firing::firing;
use crate::facts::{errno, exhausted, fail, healthy, late, short};
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

#[test]
fn what_was_in_flight_when_this_machine_lost_its_way_is_not_the_targets_fault() {
    // EADDRNOTAVAIL, ENETDOWN, ENETUNREACH, EHOSTUNREACH, EPERM: from 41.2 s to the end; three requests were in flight.
    for (n, late_too) in [(99, false), (100, false), (101, true), (113, false), (1, true)] {
        let mut run = super::stood_still::hanging();
        fail(&mut run, errno(Call::Connect, n), 200, 41.2, 59.9);
        let row = &mut run.errors[0];
        row.local = true;
        // 99 means this too, where the port range is nearly free.
        row.cause = if n == 99 { Some(Cause::NoAddress) } else { row.cause };
        (run.totals.local_failures, run.totals.failures) = (200, 0);
        for p in run.series.iter_mut().filter(|p| p.t_s > 42.0) {
            (p.p50_ms, p.rps) = (None, 0.0);
        }
        if late_too {
            run.plan.timeout = std::time::Duration::from_secs(10);
            fail(&mut run, late(Phase::Waiting), 9, 51.1, 51.3);
        }
        let diagnosis = Diagnosis::of(&run);
        let ids: Vec<Id> = diagnosis.findings.iter().map(|f| f.id).collect();
        assert!(!ids.contains(&Id::TargetHangs) && !ids.contains(&Id::TargetTimeouts), "{n}: {ids:?}");
        assert_eq!(diagnosis.verdict.id, VerdictId::ClientBound, "{n}: {:?}", diagnosis.verdict);
        let missing = diagnosis.undecided.iter().find(|u| u.id == Id::TargetHangs).map(|u| u.missing.as_str());
        assert!(missing.is_some_and(|m| m.contains("no way to the target from 41.2 s on")), "{n}: {missing:?}");
        // Requests that had waited for long before say something of the target.
        run.totals.in_flight.as_mut().unwrap().oldest_sent_s = Some(20.0);
        assert!(Diagnosis::of(&run).findings.iter().any(|f| f.id == Id::TargetHangs), "{n}: sent at 20 s");
        // So do those of a machine that went on from another source, one slow answer or not, and of one single failure.
        let hangs = |run: &RunResult| Diagnosis::of(run).findings.iter().any(|f| f.id == Id::TargetHangs);
        run.totals.in_flight.as_mut().unwrap().oldest_sent_s = Some(41.0);
        let mut other = run.clone();
        other.series.iter_mut().for_each(|p| p.p50_ms = Some(1.0));
        assert!(hangs(&other), "{n}: answers from another source");
        // Of a long run a point stands for several seconds: answers of before the cut are in the one in which it lies.
        let mut thin = run.clone();
        thin.series.retain(|p| (p.t_s % 5.0).abs() < 1e-6);
        thin.series.iter_mut().filter(|p| p.t_s < 46.0).for_each(|p| p.p50_ms = Some(1.0));
        assert!(!hangs(&thin), "{n}: nothing was answered after the cut");
        let mut slow = run.clone();
        slow.totals.latency_ms.as_mut().unwrap().max = 8_000.0;
        slow.totals.in_flight.as_mut().unwrap().oldest_sent_s = Some(39.0);
        assert!(hangs(&slow), "{n}: sent two seconds before");
        let mut once = run.clone();
        once.errors[0].count = 1;
        assert!(hangs(&once), "{n}: one failure");
        // And so do those of a machine that found its way again.
        run.errors[0].last_s = 45.0;
        assert!(Diagnosis::of(&run).findings.iter().any(|f| f.id == Id::TargetHangs), "{n}: until 45 s");
    }
}
