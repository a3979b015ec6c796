//! What is said and advised after a stall, a hang and a restart: what shows who did it, and nothing that cannot.

use std::time::Duration;

use sockbench::testing::diagnose::Diagnosis;
use sockbench::testing::model::{AfterLastAnswer, Call, Cause, Failure, FindingId as Id, Phase, RunResult, Stretch, VerdictId};

use super::stood_still::{TWO_SECONDS, gone, hanging, silent};
use super::{clear, fires};
use crate::facts::{errno, fail, healthy, late};

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

#[test]
fn only_a_process_that_was_stopped_to_the_end_was_stopped_when_the_run_ended() {
    let said = |to_s| {
        let mut run = hanging();
        run.resources.target.as_mut().unwrap().stopped = Some(vec![Stretch { from_s: 41.0, to_s }]);
        let f = fires(Id::TargetHangs, &run);
        let advised = f.remedies.iter().any(|r| r.command.starts_with("kill -CONT"));
        assert_eq!(f.title.contains("was stopped (SIGSTOP"), advised, "{f:?}");
        advised
    };
    // Its last look was up to a second before.
    assert_eq!([60.0, 59.7, 55.0].map(said), [true, true, false]);
}

/// Requests that timed out while nothing was answered have no reason of their own; half of the rate would help none of them.
#[test]
fn timeouts_during_a_stall_follow_from_it() {
    let verdict = |slowest_ms: f64, last_s: f64, stopped: bool, full: bool| {
        let mut run = silent();
        run.totals.latency_ms.as_mut().unwrap().max = slowest_ms;
        run.plan.timeout = Duration::from_secs(1);
        run.resources.target.as_mut().unwrap().stopped = Some(stopped.then_some(TWO_SECONDS).into_iter().collect());
        if full {
            run.series.iter_mut().for_each(|p| p.host_cpu_percent = Some(100.0));
        }
        run.totals.silences.as_mut().unwrap()[0].stretch.to_s = 24.0;
        run.resources.target.as_mut().unwrap().stopped.iter_mut().flatten().for_each(|s| s.to_s = 24.0);
        fail(&mut run, late(Phase::Waiting), 30, 21.0, last_s);
        for p in run.series.iter_mut().filter(|p| (21.0..=24.0).contains(&p.t_s)) {
            p.target_cpu_percent = Some(0.0);
        }
        for p in run.series.iter_mut().filter(|p| p.t_s > 20.5 && p.t_s <= last_s + 0.5) {
            p.failures_per_s = 10.0;
        }
        Diagnosis::of(&run).verdict.sentence
    };
    let stopped = verdict(3900.0, 23.5, true, false);
    assert!(stopped.contains("nothing was answered for 4 s, from 20 s to 24 s: the target's process was stopped"), "{stopped}");
    let idle = verdict(3900.0, 23.5, false, false);
    assert!(idle.contains("nothing was answered for 4 s"), "{idle}");
    for other in [verdict(3900.0, 40.0, true, false), verdict(3900.0, 23.5, false, true)] {
        assert!(other.contains("timed out after 1 s"), "others too, or nobody can say whose the stall is: {other}");
    }
    // Of those in flight each was ended by the timeout: none was answered late.
    let none_late = verdict(40.0, 23.5, true, false);
    assert!(none_late.contains("got no answer: the target's process was stopped"), "{none_late}");
    for other in [verdict(40.0, 40.0, true, false), verdict(40.0, 23.5, false, false)] {
        assert!(other.contains("waited up to 1 s and got no answer"), "{other}");
    }
}

/// Ordinary answers are cut by the end as well: only as many as hang can be without an end.
#[test]
fn answers_that_the_end_cut_are_not_without_an_end() {
    let begun = |receiving| {
        let mut run = hanging();
        let f = run.totals.in_flight.as_mut().unwrap();
        (f.count, f.waiting, f.receiving) = (20, 20 - receiving, receiving);
        fires(Id::TargetHangs, &run).evidence["with_part_of_an_answer"].clone()
    };
    assert_eq!([0, 17, 19, 20].map(begun), [0, 0, 2, 3].map(serde_json::Value::from));
}

/// A retry of a lost SYN comes after 1, 3 and 7 s: no answer was missing so long.
#[test]
fn users_whose_syn_was_lost_wait_for_no_answer() {
    let with = |longest_ms| {
        let mut run = silent();
        let connects = run.totals.connects.as_mut().unwrap();
        (connects.setup_retried, connects.setup_max_ms) = (7, longest_ms);
        run
    };
    clear(Id::TargetStalled, &with(3_040.0));
    fires(Id::TargetStalled, &with(1_020.0));
}

#[test]
fn resets_before_the_target_went_away_have_a_reason_of_their_own() {
    let resets = |run: &RunResult| {
        let f = Diagnosis::of(run).findings.into_iter().find(|f| f.id == Id::TargetResets).unwrap();
        (f.caused_by.contains(&Id::TargetGone), f.remedies.is_empty())
    };
    assert_eq!(resets(&gone()), (true, true));
    let mut before = gone();
    fail(&mut before, Failure { reused: true, ..errno(Call::Read, 104) }, 3, 1.0, 1.2);
    assert_eq!(resets(&before), (false, false));
}

/// The mean of many threads is low where one of them does all the work.
#[test]
fn a_target_with_one_busy_thread_has_no_time() {
    let said = |busiest| {
        let mut run = healthy();
        fail(&mut run, late(Phase::Waiting), 9, 15.0, 50.0);
        let target = run.resources.target.as_mut().unwrap();
        (target.cpu_percent_mean, target.busiest_thread_percent) = (Some(5.0), Some(busiest));
        fires(Id::TargetTimeouts, &run).explanation.contains("hardly used its CPU")
    };
    assert_eq!([5.0, 97.0].map(said), [true, false]);
}

#[test]
fn less_load_is_half_of_the_rate_or_less_than_what_was_answered() {
    let advised = |rate| {
        let mut run = healthy();
        run.plan.rate = rate;
        fail(&mut run, errno(Call::Read, 104), 30, 5.0, 50.0);
        let found = fires(Id::TargetResets, &run);
        let less = found.remedies.iter().find(|r| r.action.starts_with("try ")).unwrap();
        less.action.clone()
    };
    // 150/s were answered.
    assert_eq!(advised(200.0), "try half of the rate");
    assert_eq!(advised(1000.0), "try a rate below what it answers");
}

/// Requests that ran into their timeout while this program did not run are this machine's, and no other are.
#[test]
fn a_stall_of_this_program_explains_the_timeouts_that_it_covers() {
    const WAIT: Failure = Failure::new(Call::Timeout, Cause::TimedOut(Phase::Waiting));
    let run = |stalls: &[Stretch], rows: &[(f64, f64)]| {
        let mut run = healthy();
        run.plan.timeout = Duration::from_secs(1);
        run.resources.client.stalls = Some(stalls.to_vec());
        run.totals.latency_ms.as_mut().unwrap().max = 60.0;
        run.totals.service_latency_ms = None;
        for (first_s, last_s) in rows {
            fail(&mut run, WAIT, 4, *first_s, *last_s);
            for p in run.series.iter_mut().filter(|p| p.t_s >= *first_s && p.t_s - 1.0 <= *first_s) {
                p.failures_per_s = 4.0;
            }
        }
        run
    };
    let later = Stretch { from_s: 40.0, to_s: 42.5 };
    let own = [run(&[TWO_SECONDS], &[(22.0, 22.0)]), run(&[TWO_SECONDS], &[(21.0, 22.4)]), {
        let mut run = run(&[TWO_SECONDS, later], &[(22.0, 42.5)]);
        run.series.iter_mut().for_each(|p| p.failures_per_s = if [22.0, 43.0].contains(&p.t_s) { 4.0 } else { 0.0 });
        run
    }];
    for run in own {
        let seen = Diagnosis::of(&run);
        for id in [Id::TargetHangs, Id::TargetTimeouts] {
            let f = seen.findings.iter().find(|f| f.id == id).expect("it fires");
            assert!(f.caused_by.contains(&Id::ClientStalled), "{f:?}");
        }
        assert_eq!(seen.verdict.id, VerdictId::ClientBound, "{}", seen.verdict.sentence);
    }
    // Before the stall, long after it, and throughout the run.
    for rows in [(10.0, 10.5), (50.0, 50.2), (5.0, 59.0), (22.0, 30.0)] {
        let run = run(&[TWO_SECONDS], &[rows]);
        let seen = Diagnosis::of(&run);
        let blamed = seen.findings.iter().filter(|f| f.caused_by.contains(&Id::ClientStalled)).count();
        assert_eq!((seen.verdict.id, blamed), (VerdictId::TargetFailing, 0), "{rows:?}: {}", seen.verdict.sentence);
    }
}

/// A request that still waits when the run ends, and had this program stalled for most of that time.
#[test]
fn a_stall_of_this_program_explains_what_waits_at_the_end_only_where_it_covers_that_wait() {
    let verdict = |from_s: f64| {
        let mut run = hanging();
        run.resources.client.stalls = Some(vec![Stretch { from_s, to_s: 59.9 }]);
        Diagnosis::of(&run).verdict.id
    };
    assert_eq!([42.0, 58.0].map(verdict), [VerdictId::ClientBound, VerdictId::TargetFailing]);
}

/// One request of a moment shows no waiting for a core; one that takes seconds does.
#[test]
fn only_a_short_try_is_too_short_to_tell_how_threads_wait() {
    let missing = |duration_s: f64| {
        let mut run = healthy();
        (run.plan.requests, run.duration_s) = (1, duration_s);
        Diagnosis::of(&run).undecided.into_iter().find(|u| u.id == Id::HostContended).map(|u| u.missing)
    };
    assert!(missing(0.2).is_some_and(|why| why.contains("does not last long enough")));
    assert_eq!(missing(4.0), None);
}
