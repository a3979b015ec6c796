//! What is advised after a stall, a hang and a restart: what shows who did it, and nothing that cannot.

use sockbench::testing::diagnose::Diagnosis;
use sockbench::testing::model::finding::FindingId as Id;
use sockbench::testing::model::outcome::Call;
use sockbench::testing::model::result::{AfterLastAnswer, RunResult, Stretch};

use super::fires;
use super::stood_still::{TWO_SECONDS, hanging, silent};
use crate::facts::{errno, fail, healthy};

/// Advice after a stall is about who stalled: no log has a line about a signal, and more time shows nothing of it.
#[test]
fn advice_after_a_stall_fits_who_stalled() {
    let with = |change: fn(&mut RunResult)| {
        let mut run = silent();
        change(&mut run);
        fires(Id::TargetStalled, &run)
            .remedies
            .iter()
            .map(|r| format!("{} {}", r.action, r.command))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let stopped = with(|r| r.resources.target.as_mut().unwrap().stopped = Some(vec![TWO_SECONDS]));
    assert!(stopped.contains("TracerPid") && stopped.contains("kill -CONT"), "{stopped}");
    assert!(!stopped.contains("journalctl") && !stopped.contains("--duration"), "{stopped}");
    let idle = with(|_| ());
    assert!(idle.contains("wchan") && idle.contains("journalctl"), "{idle}");
    let unseen = with(|r| r.resources.target = None);
    assert!(unseen.contains("journalctl") && !unseen.contains("/proc"), "{unseen}");
}

/// Waits of many times the slowest answer are stuck: waiting longer is not advised. Waits of a few times may be slow.
#[test]
fn stuck_requests_are_not_waited_for() {
    let advice = |slowest_ms: f64| {
        let mut run = hanging();
        run.totals.latency_ms.as_mut().unwrap().max = slowest_ms;
        run.totals.service_latency_ms = None;
        fires(Id::TargetHangs, &run).remedies.iter().map(|r| r.action.clone()).collect::<Vec<_>>().join("\n")
    };
    assert!(!advice(60.0).contains("wait longer"), "{}", advice(60.0));
    assert!(advice(6000.0).contains("wait longer"), "{}", advice(6000.0));
}

/// A restarted target was away from the last answer before to the first one after, not between two refusals.
#[test]
fn a_restart_lasts_from_answer_to_answer() {
    let mut run = healthy();
    fail(&mut run, errno(Call::Connect, 111), 20, 20.1, 20.8);
    for p in run.series.iter_mut().filter(|p| p.t_s > 20.0 && p.t_s <= 21.0) {
        (p.p50_ms, p.rps) = (None, 0.0);
    }
    run.totals.after_last_answer = Some(AfterLastAnswer { last_answer_s: 59.9, open_connections: 10, ..Default::default() });
    let sentence = |run: &RunResult| Diagnosis::of(run).verdict.sentence;
    assert!(sentence(&run).contains("from 20.1 s to 20.8 s, and was back"), "{}", sentence(&run));
    run.totals.away = Some(Stretch { from_s: 20.0, to_s: 21.05 });
    assert!(sentence(&run).contains("away for 1.1 s, from 20 s to 21.1 s"), "{}", sentence(&run));
    let f = fires(Id::TargetRefused, &run);
    assert_eq!((&f.evidence["away_from_s"], &f.evidence["away_to_s"]), (&20.0.into(), &21.05.into()));
    assert!(f.remedies.iter().all(|r| !r.action.contains("own server")), "{:?}", f.remedies);
}
