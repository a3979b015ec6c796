//! What stalled or went away: the target, some of its answers, the client.

use sockbench::testing::diagnose::{Diagnosis, diagnose, settle};
use sockbench::testing::model::{
    AfterLastAnswer, Call, Failure, FindingId as Id, InFlight, Phase, RunResult, RunStamp, Silence, Stretch, VerdictId,
};

use super::{clear, fires, ids, reads, unknown};
use crate::facts::{errno, fail, healthy, late};

/// Answers until 3.4 s of 60, then refusals to the end.
pub(super) fn gone() -> RunResult {
    let mut run = healthy();
    for p in run.series.iter_mut().filter(|p| p.t_s > 4.0) {
        (p.p50_ms, p.p95_ms, p.rps, p.failures_per_s) = (None, None, 5.0, 5.0);
    }
    let t = &mut run.totals;
    (t.attempts, t.requests) = (510, 510);
    fail(&mut run, Failure { reused: true, ..errno(Call::Read, 104) }, 20, 3.4, 3.4);
    fail(&mut run, errno(Call::Connect, 111), 280, 3.5, 59.8);
    run
}

/// Three requests of 9000 still wait at the end, since 41 s.
pub(super) fn hanging() -> RunResult {
    let mut run = healthy();
    run.totals.in_flight = Some(InFlight {
        count: 3,
        waiting: 3,
        overdue: 3,
        waited_max_ms: 19_000.0,
        oldest_sent_s: Some(41.0),
        ..Default::default()
    });
    (run.totals.cut, run.totals.attempts) = (3, 9003);
    run
}

/// Two of ten connections are served; the others wait since the start.
pub(super) fn places() -> RunResult {
    let mut run = healthy();
    run.plan.users = 10;
    (run.totals.users_asked, run.totals.users_reached, run.totals.connections_opened) = (10, 10, 10);
    run.totals.in_flight = Some(InFlight {
        count: 8,
        waiting: 8,
        overdue: 8,
        unserved: 8,
        served: 2,
        waited_max_ms: 59_900.0,
        oldest_sent_s: Some(0.1),
        ..Default::default()
    });
    (run.totals.cut, run.totals.attempts) = (8, 9008);
    run
}

/// Nothing was answered, and the kernel says who waits in the target's accept queue.
#[test]
fn a_target_that_never_accepts_is_told_from_one_that_hangs() {
    let with = |in_queue: u32| {
        let mut run = places();
        let flight = run.totals.in_flight.as_mut().unwrap();
        (flight.count, flight.waiting, flight.overdue, flight.unserved, flight.served) = (10, 10, 10, 10, 0);
        (run.totals.requests, run.totals.attempts, run.totals.cut) = (0, 10, 10);
        (run.totals.latency_ms, run.totals.service_latency_ms) = (None, None);
        run.series.iter_mut().for_each(|p| (p.rps, p.p50_ms, p.accept_queue) = (0.0, None, Some(in_queue)));
        (run.series[0].connects, run.totals.connections_opened) = (10, 10);
        run
    };
    let f = fires(Id::TargetHangs, &with(10));
    assert_eq!((&f.evidence["accept_queue"], &f.evidence["unanswered"]), (&10.into(), &10.into()));
    assert!(f.explanation.contains("established by the kernel; the target's program never accepted them"), "{}", f.explanation);
    assert!(f.remedies[0].action.contains("does not accept()"), "{:?}", f.remedies[0]);
    let sentence = Diagnosis::of(&with(10)).verdict.sentence;
    assert!(sentence.starts_with("target not accepting: 10 connections were established by the kernel"), "{sentence}");
    // One that it accepted hangs; and the time that it timed out leaves more of them in the queue than there are users.
    let f = fires(Id::TargetHangs, &with(9));
    assert!(!f.evidence.contains_key("accept_queue") && f.explanation.contains("not answered"), "{f:?}");
    let late = |in_queue: u32| {
        let mut late = with(in_queue);
        late.totals.in_flight = None;
        fail(&mut late, crate::facts::late(sockbench::testing::model::Phase::Waiting), 30, 5.0, 55.0);
        (late.series[10].connects, late.series[20].connects, late.totals.connections_opened) = (10, 10, 30);
        late
    };
    assert_eq!(fires(Id::TargetHangs, &late(30)).evidence["accept_queue"], 30);
    // A look after its second, when as many had come as the target has accepted, makes no difference.
    let mut after = late(30);
    after.series[40].accept_queue = Some(20);
    assert!(!fires(Id::TargetHangs, &after).evidence.contains_key("accept_queue"));
    // A slow one takes some of them meanwhile; one that hangs took one. What was given up stays in the queue all the same.
    for in_queue in [29, 26, 10] {
        let f = fires(Id::TargetHangs, &late(in_queue));
        assert!(!f.evidence.contains_key("accept_queue") && !f.title.contains("accepted none"), "{f:?}");
        assert!(f.remedies.iter().any(|r| r.action.starts_with("wait longer")), "{:?}", f.remedies);
        assert!(!Diagnosis::of(&late(in_queue)).verdict.sentence.contains("not accepting"));
    }
}

pub(super) const TWO_SECONDS: Stretch = Stretch { from_s: 20.0, to_s: 22.0 };

/// This program did not run from 20 to 22 s.
pub(super) fn stopped() -> RunResult {
    let mut run = silent();
    run.resources.client.stalls = Some(vec![TWO_SECONDS]);
    run
}

/// Nothing was answered from 20 to 22 s.
pub(super) fn silent() -> RunResult {
    let mut run = healthy();
    run.totals.silences = Some(vec![Silence { stretch: TWO_SECONDS, in_flight: 40 }]);
    for p in run.series.iter_mut().filter(|p| (21.0..=22.0).contains(&p.t_s)) {
        (p.p50_ms, p.p95_ms, p.rps, p.target_cpu_percent) = (None, None, 0.0, Some(0.0));
    }
    run
}

#[test]
fn a_target_that_went_away() {
    let run = gone();
    let f = fires(Id::TargetGone, &run);
    assert_eq!(
        (&f.evidence["since_s"], &f.evidence["answered_before"], &f.evidence["refused_since"]),
        (&3.4.into(), &510.into(), &280.into())
    );
    assert!((f.evidence["rps_before"].as_f64().unwrap() - 150.0).abs() < 0.1);
    let found = diagnose(&run);
    for f in found.iter().filter(|f| matches!(f.id, Id::TargetRefused | Id::TargetResets)) {
        assert_eq!(f.caused_by, [Id::TargetGone], "{f:?}");
    }
    assert!(ids(&found).contains(&Id::TargetResets), "{:?}", ids(&found));
    reads("target-resets, because it is gone", &fires(Id::TargetResets, &run));
    let diagnosis = Diagnosis::of(&run);
    assert_eq!((diagnosis.verdict.id, diagnosis.verdict.since_s), (VerdictId::TargetGone, Some(3.4)));
    assert_eq!(diagnosis.validity.stamp, RunStamp::Incomplete);
    // Its end was seen.
    let mut killed = run.clone();
    killed.resources.target.as_mut().unwrap().ended = Some("signal: 9 (SIGKILL)".into());
    let seen = fires(Id::TargetGone, &killed);
    assert_eq!((f.evidence.get("ended"), &seen.evidence["ended"]), (None, &"signal: 9 (SIGKILL)".into()));
    assert!(seen.explanation.contains("Its process 4711 (server) has ended (signal: 9 (SIGKILL))."), "{}", seen.explanation);
    // It came back: refused for a while, but not gone.
    let mut back = run.clone();
    (back.series[59].p50_ms, back.series[59].rps) = (Some(30.0), 150.0);
    clear(Id::TargetGone, &back);
    fires(Id::TargetRefused, &back);
    // Never there.
    let mut never = run;
    never.series.iter_mut().for_each(|p| p.p50_ms = None);
    clear(Id::TargetGone, &never);
    clear(Id::TargetGone, &healthy());
}

/// Killed in the last second: no whole second is without an answer.
#[test]
fn a_target_that_goes_in_the_last_second_is_gone() {
    let at_the_end = |refused: u64| {
        let mut run = healthy();
        fail(&mut run, Failure { reused: true, ..errno(Call::Read, 104) }, 5, 59.6, 59.6);
        fail(&mut run, errno(Call::Connect, 111), refused, 59.7, 59.9);
        run.totals.after_last_answer = Some(AfterLastAnswer {
            last_answer_s: 59.6,
            refused,
            first_refused_s: Some(59.7),
            last_refused_s: Some(59.9),
            open_connections: 0,
        });
        run
    };
    let run = at_the_end(12);
    let f = fires(Id::TargetGone, &run);
    assert_eq!((&f.evidence["since_s"], &f.evidence["refused_since"]), (&59.6.into(), &12.into()));
    let diagnosis = Diagnosis::of(&run);
    assert_eq!((diagnosis.verdict.id, diagnosis.validity.stamp), (VerdictId::TargetGone, RunStamp::Incomplete));
    fires(Id::TargetGone, &at_the_end(1));
    // Its listener is closed, and what is connected is served: refused, but not gone.
    let mut kept = at_the_end(12);
    kept.totals.after_last_answer.as_mut().unwrap().open_connections = 3;
    clear(Id::TargetGone, &kept);
    // It refuses now and then, all the time: the last one is a refusal by chance.
    let mut flaps = at_the_end(2);
    fail(&mut flaps, errno(Call::Connect, 111), 90, 1.0, 58.0);
    flaps.totals.after_last_answer.as_mut().unwrap().last_answer_s = 59.98;
    clear(Id::TargetGone, &flaps);
    fires(Id::TargetRefused, &flaps);
    // It was away before, came back, and went again: 150/s for 0.4 s are missing.
    flaps.totals.after_last_answer.as_mut().unwrap().last_answer_s = 59.6;
    fires(Id::TargetGone, &flaps);
    // Not refused to the end.
    let mut early = at_the_end(12);
    early.totals.after_last_answer.as_mut().unwrap().last_refused_s = Some(50.0);
    clear(Id::TargetGone, &early);
}

#[test]
fn requests_that_get_no_answer() {
    let run = hanging();
    let f = fires(Id::TargetHangs, &run);
    assert_eq!(
        (&f.evidence["unanswered"], &f.evidence["connections"], &f.evidence["since_s"]),
        (&3.into(), &3.into(), &41.0.into())
    );
    let diagnosis = Diagnosis::of(&run);
    assert_eq!((diagnosis.verdict.id, diagnosis.validity.stamp), (VerdictId::TargetFailing, RunStamp::Incomplete));
    // Longer than any answered one, but not by much: the tail of a slow target.
    let mut tail = run.clone();
    tail.totals.in_flight.as_mut().unwrap().waited_max_ms = 180.0;
    clear(Id::TargetHangs, &tail);
    clear(Id::TargetHangs, &healthy());
    // The timeout ended them: the same, and the cause of the timeouts.
    let mut timed_out = healthy();
    timed_out.plan.timeout = std::time::Duration::from_secs(10);
    fail(&mut timed_out, late(Phase::Waiting), 9, 15.0, 50.0);
    let f = fires(Id::TargetHangs, &timed_out);
    assert_eq!((&f.evidence["timed_out"], &f.evidence["since_s"]), (&9.into(), &5.0.into()));
    let found = diagnose(&timed_out);
    assert_eq!(found[0].caused_by, [Id::TargetHangs]);
    // A slow target: answers just below the timeout, and some above it.
    timed_out.totals.latency_ms.as_mut().unwrap().max = 9_000.0;
    clear(Id::TargetHangs, &timed_out);
    let mut blind = healthy();
    (blind.totals.in_flight, blind.totals.cut) = (None, 5);
    unknown(Id::TargetHangs, &blind);
}

#[test]
fn a_client_that_stood_still_is_not_a_target_that_did() {
    let run = stopped();
    let f = fires(Id::ClientStalled, &run);
    assert_eq!((&f.evidence["from_s"], &f.evidence["to_s"]), (&20.0.into(), &22.0.into()));
    clear(Id::TargetStalled, &run);
    assert_eq!(Diagnosis::of(&run).verdict.id, VerdictId::ClientBound);
    clear(Id::ClientStalled, &healthy());
    let mut blind = healthy();
    blind.resources.client.stalls = None;
    unknown(Id::ClientStalled, &blind);
}

#[test]
fn a_target_that_stood_still() {
    let mut run = silent();
    let f = fires(Id::TargetStalled, &run);
    assert_eq!((&f.evidence["longest_s"], &f.evidence["stood_still"]), (&2.0.into(), &"target".into()));
    assert!(!ids(&diagnose(&run)).contains(&Id::ClosedLoopLimited), "silent beside a stall");
    run.resources.target.as_mut().unwrap().stopped = Some(vec![TWO_SECONDS]);
    reads("target-stalled, its process was stopped", &fires(Id::TargetStalled, &run));
    let mut starved = silent();
    for p in &mut starved.series {
        p.target_wait_percent = Some(80.0);
    }
    assert_eq!(fires(Id::TargetStalled, &starved).evidence["stood_still"], "host");
    // Threads that slept, and waited a little for a core when they woke up: a busy machine is not the reason.
    for p in &mut starved.series {
        (p.target_wait_percent, p.target_cpu_percent) = (Some(30.0), Some(1.0));
    }
    assert_eq!(fires(Id::TargetStalled, &starved).evidence["stood_still"], "target");
    // Without a core that was idle, nobody can say whether it slept or waited for one.
    let mut full = silent();
    for p in &mut full.series {
        (p.target_wait_percent, p.client_wait_percent, p.target_cpu_percent) = (None, None, Some(0.0));
    }
    for (host, who) in [(None, "target"), (Some(60.0), "target"), (Some(99.0), "undecided")] {
        full.series.iter_mut().for_each(|p| p.host_cpu_percent = host);
        assert_eq!(fires(Id::TargetStalled, &full).evidence["stood_still"], who);
        let verdict = Diagnosis::of(&full).verdict;
        let expected = if who == "target" { VerdictId::TargetFailing } else { VerdictId::Undecided };
        assert_eq!((verdict.id, verdict.since_s), (expected, Some(20.0)), "{}", verdict.sentence);
    }
    // A client that polls fills cores as well, and says nothing of other programs.
    let mut polling = full.clone();
    polling.series.iter_mut().for_each(|p| p.client_cpu_percent = p.host_cpu_percent.map(|h| h * f64::from(full.host.cpus)));
    assert_eq!(fires(Id::TargetStalled, &polling).evidence["stood_still"], "target");
    // Where the client waited for a core, other programs had it: no question is left.
    full.series.iter_mut().for_each(|p| (p.client_wait_percent, p.client_cpu_percent) = (Some(30.0), Some(5.0)));
    assert_eq!(Diagnosis::of(&full).verdict.id, VerdictId::HostBound);
    // A stall that lies across two seconds fills neither.
    let mut across = silent();
    across.totals.silences = Some(vec![Silence { stretch: Stretch { from_s: 20.7, to_s: 21.3 }, in_flight: 40 }]);
    for p in &mut across.series {
        (p.target_wait_percent, p.target_cpu_percent) = (Some(31.0), Some(20.0));
    }
    assert_eq!(fires(Id::TargetStalled, &across).evidence["stood_still"], "host");
    // A slow but steady target is silent between its answers.
    let mut slow = silent();
    slow.totals.latency_ms.as_mut().unwrap().p75 = 900.0;
    clear(Id::TargetStalled, &slow);
    // A pause of 50 ms is none.
    let pause = |from_s, to_s| {
        let mut run = silent();
        run.totals.silences = Some(vec![Silence { stretch: Stretch { from_s, to_s }, in_flight: 40 }]);
        run
    };
    clear(Id::TargetStalled, &pause(20.0, 20.05));
    // One that lasts to the end counts, unless what waited is found to hang, or was still being connected.
    assert_eq!(fires(Id::TargetStalled, &pause(50.0, 60.0)).evidence["to_s"], 60.0);
    let mut hung = pause(50.0, 60.0);
    hung.totals.in_flight = Some(InFlight {
        count: 3,
        waiting: 3,
        overdue: 3,
        waited_max_ms: 10_000.0,
        oldest_sent_s: Some(50.0),
        ..Default::default()
    });
    clear(Id::TargetStalled, &hung);
    assert!(fires(Id::TargetHangs, &hung).evidence["rps_before"].as_f64().is_some_and(|rps| rps > 0.0), "until 50 s");
    let mut connecting = pause(50.0, 60.0);
    connecting.totals.in_flight = Some(InFlight { count: 3, connecting: 3, ..Default::default() });
    clear(Id::TargetStalled, &connecting);
    clear(Id::TargetStalled, &healthy());
    let mut blind = healthy();
    blind.totals.silences = None;
    unknown(Id::TargetStalled, &blind);
}

#[test]
fn a_setting_that_changed() {
    let mut run = healthy();
    run.host.sysctls_at_end.as_mut().unwrap().tcp_tw_reuse = Some(1);
    let f = fires(Id::SysctlChanged, &run);
    assert_eq!((&f.evidence["tcp_tw_reuse_before"], &f.evidence["tcp_tw_reuse_after"]), (&"2".into(), &"1".into()));
    settle(&mut run);
    assert_eq!(run.verdict.id, VerdictId::Healthy, "care, and no limit");
    clear(Id::SysctlChanged, &healthy());
    // Kept connections rest on none of them; short ones do.
    let mut kept = healthy();
    kept.host.sysctls_at_end = None;
    clear(Id::SysctlChanged, &kept);
    kept.plan.keepalive = false;
    unknown(Id::SysctlChanged, &kept);
}

/// N of M connections are served: by the connections alone, with the kernel's accept queue, and what it is not.
#[test]
fn a_target_with_places_for_some_connections() {
    let found = |run: &RunResult| diagnose(run).into_iter().find(|f| f.id == Id::TargetConnectionLimit);
    let run = places();
    let f = fires(Id::TargetConnectionLimit, &run);
    assert_eq!((&f.evidence["served"], &f.evidence["waiting"]), (&2.into(), &8.into()));
    assert!(f.remedies.iter().any(|r| r.change.as_deref() == Some("--conns 2")), "{:?}", f.remedies);
    assert!(!ids(&diagnose(&run)).contains(&Id::TargetHangs), "one finding for one thing");
    let diagnosis = Diagnosis::of(&run);
    assert_eq!((diagnosis.verdict.id, diagnosis.validity.stamp), (VerdictId::TargetFailing, RunStamp::Incomplete));
    let mut queued = run.clone();
    queued.series.iter_mut().for_each(|p| p.accept_queue = Some(8));
    let f = fires(Id::TargetConnectionLimit, &queued);
    assert_eq!(f.evidence["accept_queue"], 8);
    reads("target-connection-limit, not accepted", &f);
    // Timeouts inside the run, all on connections that carried no answer.
    let mut timed = run.clone();
    fail(&mut timed, late(Phase::Waiting), 88, 5.0, 55.0);
    let f = found(&timed).unwrap();
    assert_eq!(f.evidence["timed_out"], 88);
    let timeouts = diagnose(&timed).into_iter().find(|f| f.id == Id::TargetTimeouts).unwrap();
    assert!(timeouts.caused_by.contains(&Id::TargetConnectionLimit));
    assert_eq!(Diagnosis::of(&timed).verdict.sentence, Diagnosis::of(&run).verdict.sentence);
    // A served connection hangs too: it is the requests.
    let mut requests = run.clone();
    requests.totals.in_flight.as_mut().unwrap().overdue = 9;
    clear(Id::TargetConnectionLimit, &requests);
    fires(Id::TargetHangs, &requests);
    let mut reused = run.clone();
    fail(&mut reused, Failure { reused: true, ..late(Phase::Waiting) }, 3, 5.0, 55.0);
    clear(Id::TargetConnectionLimit, &reused);
    // Nobody is served: it hangs as a whole.
    let mut nobody = run.clone();
    nobody.totals.in_flight.as_mut().unwrap().served = 0;
    clear(Id::TargetConnectionLimit, &nobody);
    // One alone may be stuck, unless the kernel says that the target did not accept it.
    let mut one = run;
    let f = one.totals.in_flight.as_mut().unwrap();
    (f.count, f.waiting, f.overdue, f.unserved, f.served) = (1, 1, 1, 1, 9);
    clear(Id::TargetConnectionLimit, &one);
    one.series.iter_mut().for_each(|p| p.accept_queue = Some(1));
    fires(Id::TargetConnectionLimit, &one);
    // One that waited in the first half only was accepted later.
    one.series.iter_mut().skip(30).for_each(|p| p.accept_queue = Some(0));
    clear(Id::TargetConnectionLimit, &one);
    clear(Id::TargetConnectionLimit, &healthy());
}

/// What follows from a target that is gone is no second list.
#[test]
fn a_dead_target_is_one_page() {
    let mut run = gone();
    fail(&mut run, late(Phase::Waiting), 7, 8.4, 58.0);
    run.totals.users_reached = 31;
    settle(&mut run);
    let timeouts = run.findings.iter().find(|f| f.id == Id::TargetTimeouts).unwrap();
    assert_eq!((&timeouts.caused_by[..], timeouts.remedies.len()), (&[Id::TargetGone][..], 0));
    let page = sockbench::testing::report::render_run(&run, &sockbench::testing::report::Page::plain());
    assert!(page.contains("with it 20 x ECONNRESET at read(), 7 x timed out"), "{page}");
    assert!(!page.contains("(2.5 %)"), "no line of its own: {page}");
}
