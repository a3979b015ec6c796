//! Runs that somebody stopped: every headline says so, and what the stop cut is nobody's fault.

use std::time::Duration;

use sockbench::testing::diagnose::Diagnosis;
use sockbench::testing::model::{
    AfterLastAnswer, Call, Doubt, Failure, FindingId as Id, Phase, RunResult, RunStamp, Severity, Silence, Stretch, VerdictId,
};
use sockbench::testing::report::{Page, render_run};

use super::fires;
use super::firing::firing;
use super::stood_still::{gone, hanging, places};
use crate::facts::{errno, fail, healthy, late};

/// The same facts of a run that was to last longer, and that somebody stopped.
fn stopped(mut run: RunResult) -> RunResult {
    run.plan.duration = Duration::from_secs_f64(run.duration_s * 2.0);
    run.validity.stopped = true;
    run
}

fn diagnosed(mut run: RunResult) -> RunResult {
    let diagnosis = Diagnosis::of(&run);
    (run.findings, run.verdict, run.validity) = (diagnosis.findings, diagnosis.verdict, diagnosis.validity);
    run
}

#[test]
fn every_headline_of_a_stopped_run_says_so() {
    let all = firing().into_iter().map(|(id, run)| (id.word(), run)).chain([("healthy", healthy())]);
    for (name, run) in all {
        let run = diagnosed(stopped(run));
        assert!(run.was_stopped(), "{name}: it stays so when it is diagnosed again");
        assert!(run.verdict.sentence.contains("stopped after 60 s of 2 min"), "{name}: {:?}", run.verdict);
        assert!(!run.verdict.sentence.starts_with("OK"), "{name}: {:?}", run.verdict);
        assert_ne!(run.validity.stamp, RunStamp::Valid, "{name}");
        assert!(run.validity.kinds.contains(&Doubt::Stopped), "{name}: {:?}", run.validity);
        assert_eq!(run.validity.kinds.len(), run.validity.reasons.len(), "{name}");
        let page = render_run(&run, &Page::plain()).to_lowercase();
        let head: Vec<&str> = page.split_once("     http").unwrap_or((&page, "")).0.split_whitespace().collect();
        assert!(head.join(" ").contains("stopped after 60 s of 2 min"), "{name}: {page}");
        assert!(!page.starts_with("ok"), "{name}: {page}");
    }
    let page = render_run(&diagnosed(stopped(healthy())), &Page::plain());
    assert!(page.starts_with("STOPPED after 60 s of 2 min: no limit was reached until then\n"), "{page}");
    assert!(page.contains("150 req/s"), "what was measured until then: {page}");
}

#[test]
fn what_had_waited_for_long_when_the_run_was_stopped_hangs() {
    for run in [hanging(), places()] {
        assert_eq!(diagnosed(run.clone()).verdict.id, VerdictId::TargetFailing);
        let mut run = stopped(run);
        assert_eq!(diagnosed(run.clone()).verdict.id, VerdictId::TargetFailing, "somebody stopped it because it hangs");
        // The stop takes a moment itself.
        run.totals.in_flight.as_mut().unwrap().waited_max_ms = 1_100.0;
        let found = diagnosed(run).findings;
        assert!(!found.iter().any(|f| f.id == Id::TargetHangs), "{found:?}");
    }
    // What the timeout ended before is the target's.
    let mut run = stopped(healthy());
    fail(&mut run, late(Phase::Waiting), 40, 2.0, 50.0);
    assert_eq!(diagnosed(run).verdict.id, VerdictId::TargetFailing);
    // So is a stretch without an answer that lasted until somebody stopped the run.
    let mut run = stopped(healthy());
    run.totals.silences = Some(vec![Silence { stretch: Stretch { from_s: 55.0, to_s: 60.0 }, in_flight: 40 }]);
    fires(Id::TargetStalled, &run);
}

#[test]
fn a_run_that_was_stopped_at_once_keeps_its_failures() {
    let mut run = stopped(healthy());
    (run.duration_s, run.totals.latency_ms) = (0.2, None);
    fail(&mut run, errno(Call::Read, 104), 2_249, 0.0, 0.2);
    assert_eq!(diagnosed(run).findings.first().map(|f| f.id), Some(Id::TargetResets));
}

/// Ctrl-C reaches every program of the terminal, the target too: its connections end, and nothing listens any more.
#[test]
fn what_fails_when_the_run_is_stopped_says_nothing_of_the_target() {
    let ends: [(Failure, u64); 3] = [(errno(Call::Read, 104), 20), (errno(Call::Connect, 111), 30), (errno(Call::Write, 32), 1)];
    for (failure, n) in ends {
        let at_the_end = |from_s: f64| {
            let mut run = healthy();
            let to_s = run.duration_s;
            fail(&mut run, failure, n, from_s, to_s);
            run.totals.after_last_answer = Some(AfterLastAnswer {
                last_answer_s: from_s,
                refused: n,
                first_refused_s: Some(from_s),
                last_refused_s: Some(to_s),
                ..Default::default()
            });
            run
        };
        let run = diagnosed(stopped(at_the_end(59.9)));
        let is_remark = run.findings.iter().all(|f| f.severity == Severity::Info);
        assert!(run.verdict.id == VerdictId::Healthy && is_remark, "{failure:?}: {:?}", run.findings);
        // Without the stop, or long before it, it is the target's.
        assert_ne!(diagnosed(at_the_end(59.9)).verdict.id, VerdictId::Healthy, "{failure:?}");
        assert_ne!(diagnosed(stopped(at_the_end(50.0))).verdict.id, VerdictId::Healthy, "{failure:?}");
    }
    assert_eq!(diagnosed(stopped(gone())).verdict.id, VerdictId::TargetGone);
}
