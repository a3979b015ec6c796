//! The queue of connections that wait for accept(), and SYNs that were lost.

use sockbench::testing::diagnose::{Diagnosis, diagnose};
use sockbench::testing::model::{Call, FindingId as Id, InFlight, Phase};

use super::stood_still::hanging;
use super::{clear, fires, ids, reads, unknown, unnamed};
use crate::facts::{errno, fail, healthy, late, short};

#[test]
fn backlog_by_counter_or_by_cluster() {
    let mut run = healthy();
    run.kernel.as_mut().unwrap().listen_overflows = 1;
    // None of our set-ups was delayed: another listener of the namespace overflowed.
    clear(Id::TargetBacklogOverflow, &run);
    run.totals.users_reached = 40;
    fires(Id::TargetBacklogOverflow, &run);
    run.totals.users_reached = 50;
    run.totals.connects.as_mut().unwrap().setup_max_ms = 1021.0;
    fires(Id::TargetBacklogOverflow, &run);
    // Of a target elsewhere this namespace's counters say nothing; the cluster does.
    run.resources.target = None;
    clear(Id::TargetBacklogOverflow, &run);
    run.totals.connects.as_mut().unwrap().setup_near_3s = 3;
    fires(Id::TargetBacklogOverflow, &run);
    clear(Id::TargetBacklogOverflow, &healthy());
    let mut blind = healthy();
    (blind.kernel, blind.totals.connects) = (None, None);
    unknown(Id::TargetBacklogOverflow, &blind);
}

/// It is not slow: a longer queue helps nobody.
#[test]
fn a_program_that_never_accepts_is_told_so() {
    let mut run = healthy();
    (run.totals.latency_ms, run.totals.users_reached) = (None, 5);
    let counters = run.kernel.as_mut().unwrap();
    (counters.listen_overflows, counters.listen_drops) = (38, 38);
    let f = fires(Id::TargetBacklogOverflow, &run);
    assert!(f.explanation.contains("does not accept()"), "{}", f.explanation);
    assert!(f.remedies[0].action.contains("is stuck") && f.remedies[0].command.starts_with("ps -L "), "{:?}", f.remedies);
    assert!(!f.remedies.iter().any(|r| r.action.contains("listen()")), "{:?}", f.remedies);
    let sentence = Diagnosis::of(&run).verdict.sentence;
    assert!(sentence.starts_with("target not accepting: 0 of 50 users got an answer"), "{sentence}");
}

/// Of several destinations the plan's own is elsewhere, and another one is here.
#[test]
fn another_destination_here_does_not_make_the_target_a_local_one() {
    let here = healthy();
    let mut run = hanging();
    run.resources.target = None;
    run.destinations = vec![run.clone(), here];
    run.kernel.as_mut().unwrap().listen_drops = 40;
    run.totals.connects.as_mut().unwrap().setup_max_ms = 1021.0;
    assert!(run.is_target_here() && !run.is_own_target_here());
    clear(Id::TargetBacklogOverflow, &run);
    let commands = |run: &_| fires(Id::TargetHangs, run).remedies.into_iter().map(|r| r.command).collect::<String>();
    assert!(commands(&run).contains("'dport = "), "{}", commands(&run));
    run.resources.target = run.destinations[1].resources.target.clone();
    assert!(commands(&run).contains("'sport = "), "{}", commands(&run));
    fires(Id::TargetBacklogOverflow, &run);
}

/// The counters are of the whole namespace: where nothing listens, another listener's queue was full.
#[test]
fn a_target_that_refuses_everything_has_no_queue() {
    let mut run = healthy();
    fail(&mut run, errno(Call::Connect, 111), 40, 0.0, 1.0);
    run.kernel.as_mut().unwrap().listen_overflows = 53;
    let t = &mut run.totals;
    (t.connections_opened, t.connects_failed, t.users_reached, t.connects) = (0, 40, 0, None);
    (t.cut, t.in_flight) = (0, None);
    clear(Id::TargetBacklogOverflow, &run);
    run.totals.cut = 1;
    fires(Id::TargetBacklogOverflow, &run);
}

#[test]
fn nobody_held_up_means_no_overflow_of_this_target() {
    let mut run = healthy();
    run.kernel.as_mut().unwrap().listen_overflows = 9;
    (run.resources.target.as_mut().unwrap().pid, run.duration_s) = (1, 1.0);
    clear(Id::TargetBacklogOverflow, &run);
    // A ramp that was cut short delayed nobody either.
    (run.totals.users_asked, run.totals.users_reached) = (50, 20);
    run.series.iter_mut().for_each(|p| p.users_asked = 20);
    clear(Id::TargetBacklogOverflow, &run);
    run.series.iter_mut().for_each(|p| p.users_asked = 50);
    fires(Id::TargetBacklogOverflow, &run);
    let mut brief = short(200.0);
    (brief.duration_s, brief.kernel) = (1.0, run.kernel);
    clear(Id::TargetBacklogOverflow, &brief);
    brief.totals.attempts += 1;
    fires(Id::TargetBacklogOverflow, &brief);
    // A rate that one connection keeps up with opens no more.
    let mut rate = healthy();
    (rate.plan.rate, rate.plan.keepalive, rate.kernel) = (100.0, true, run.kernel);
    (rate.totals.users_asked, rate.totals.users_reached) = (50, 1);
    clear(Id::TargetBacklogOverflow, &rate);
    rate.totals.in_flight = Some(InFlight { connecting: 1, ..InFlight::default() });
    fires(Id::TargetBacklogOverflow, &rate);
}

#[test]
fn timeouts_at_connect_belong_to_the_backlog() {
    let mut run = healthy();
    fail(&mut run, late(Phase::Connecting), 12, 10.0, 20.0);
    let f = fires(Id::TargetTimeouts, &run);
    assert_eq!(f.evidence["while_connecting"], 12);
    run.kernel.as_mut().unwrap().listen_drops = 40;
    assert_eq!(ids(&diagnose(&run))[..1], [Id::TargetBacklogOverflow]);
    clear(Id::TargetTimeouts, &run);
    fail(&mut run, late(Phase::Waiting), 3, 10.0, 20.0);
    let found = diagnose(&run);
    assert_eq!(found[1].id, Id::TargetTimeouts);
    assert_eq!(found[1].evidence["failures"], 3);
    assert_eq!(found[1].caused_by, [Id::TargetBacklogOverflow, Id::TargetHangs]);
    reads("target-timeouts, beside a full backlog", &fires(Id::TargetTimeouts, &run));
    clear(Id::TargetTimeouts, &healthy());
    unknown(Id::TargetTimeouts, &unnamed(false));
}

/// Where the counters are the target's and stayed at 0, something else lost SYNs; it is never a slow target.
#[test]
fn slow_connects_are_named_by_who_lost_the_syns() {
    let sentence = |run: &sockbench::testing::model::RunResult| Diagnosis::of(run).verdict.sentence;
    let slow = |retried: u64, longest_ms: f64| {
        let mut run = healthy();
        let connects = run.totals.connects.as_mut().unwrap();
        (connects.setup_retried, connects.setup_max_ms) = (retried, longest_ms);
        run
    };
    let on_the_way = slow(7, 3140.0);
    let f = fires(Id::SlowConnects, &on_the_way);
    assert_eq!(f.evidence["setups_retried"], 7);
    assert!(
        sentence(&on_the_way).starts_with("slow connects: 7 of 50 connections took 1 s to 3.1 s"),
        "{}",
        sentence(&on_the_way)
    );
    clear(Id::TargetBacklogOverflow, &on_the_way);
    clear(Id::SlowConnects, &slow(2, 1020.0));
    let mut dropped = slow(7, 1040.0);
    dropped.kernel.as_mut().unwrap().listen_drops = 9;
    clear(Id::SlowConnects, &dropped);
    fires(Id::TargetBacklogOverflow, &dropped);
    assert!(sentence(&dropped).contains("about 1 s") && sentence(&dropped).contains("accept"), "{}", sentence(&dropped));
    // Nobody can say who, of a target elsewhere.
    let mut elsewhere = slow(7, 1040.0);
    elsewhere.resources.target = None;
    fires(Id::TargetBacklogOverflow, &elsewhere);
    assert!(sentence(&elsewhere).contains("the way or the target's backlog"), "{}", sentence(&elsewhere));
    // Given up by the timeout, without one that was made late.
    let mut given_up = slow(0, 0.3);
    fail(&mut given_up, late(Phase::Connecting), 12, 10.0, 20.0);
    given_up.kernel.as_mut().unwrap().listen_drops = 40;
    assert!(sentence(&given_up).starts_with("slow connects: 12 connections were not made within 5 s"), "{}", sentence(&given_up));
    clear(Id::SlowConnects, &healthy());
}
