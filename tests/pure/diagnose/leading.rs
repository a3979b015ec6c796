//! Which finding leads the page: a cause with direct evidence before the other programs of this machine.

use std::time::Duration;

use sockbench::testing::diagnose::table::{rule_of, rules};
use sockbench::testing::diagnose::{Diagnosis, deciding};
use sockbench::testing::model::{
    AfterLastAnswer, Call, Cause, Failure, Finding, FindingId as Id, Framing, InFlight, PartialAnswer, Phase, PhaseMs, Received,
    RunResult, Think, VerdictId,
};
use sockbench::testing::report::{Page, render_run};

use super::capacity::own_cpu;
use super::cores::contended;
use super::stood_still::hanging;
use super::{fires, reads};
use crate::facts::{errno, fail, healthy, late, status};

/// A run on a machine that other programs use, with one more thing wrong.
fn beside(what: impl FnOnce(&mut RunResult)) -> RunResult {
    let mut run = contended();
    what(&mut run);
    run
}

/// Each cause that errno, a counter, Server-Timing or an unanswered request shows.
fn causes() -> Vec<(&'static str, RunResult, VerdictId)> {
    let target = VerdictId::TargetFailing;
    vec![
        ("reset", beside(|r| fail(r, errno(Call::Read, 104), 500, 1.0, 59.0)), target),
        ("refused", beside(|r| fail(r, errno(Call::Connect, 111), 500, 1.0, 59.0)), target),
        ("timeouts", beside(|r| fail(r, late(Phase::Waiting), 500, 10.0, 59.0)), target),
        ("status", beside(|r| fail(r, status(500), 500, 1.0, 59.0)), target),
        ("ports", beside(|r| fail(r, errno(Call::Connect, 99), 500, 1.0, 59.0)), VerdictId::PortBound),
        ("descriptors", beside(|r| fail(r, errno(Call::Socket, 24), 500, 1.0, 59.0)), VerdictId::FdBound),
        (
            "backlog",
            beside(|r| {
                r.kernel.as_mut().unwrap().listen_overflows = 44;
                r.totals.connects.as_mut().unwrap().setup_near_1s = 20;
            }),
            target,
        ),
        (
            "hangs",
            beside(|r| {
                let waits = InFlight { count: 9, waiting: 9, overdue: 9, waited_max_ms: 50_000.0, ..InFlight::default() };
                r.totals.in_flight = Some(waits);
            }),
            target,
        ),
        ("queue", beside(|r| r.endpoints[0].server_timing_ms.as_mut().unwrap().queue.p50 = 80.0), VerdictId::TargetBound),
    ]
}

#[test]
fn a_cause_with_direct_evidence_comes_before_other_programs() {
    for (name, mut run, expected) in causes() {
        let diagnosis = Diagnosis::of(&run);
        assert_eq!(diagnosis.verdict.id, expected, "{name}: {}", diagnosis.verdict.sentence);
        let others = diagnosis.findings.iter().find(|f| f.id == Id::HostContended);
        assert!(others.is_some_and(|f| f.evidence.contains_key("spoils")), "{name}: it is still found");
        sockbench::testing::diagnose::settle(&mut run);
        let page = render_run(&run, &Page::plain());
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(page.contains("that spoils latencies"), "{name}: one line says what it spoils: {page}");
    }
}

/// Threads that are stuck do not wait for a core. A target that had none may only be slow, unless the waits are far longer than
/// the slowest answer.
#[test]
fn a_target_without_cores_that_answers_nothing_is_of_the_other_programs() {
    for (target_waits, slowest_ms, expected) in
        [(70.0, None, VerdictId::HostBound), (1.0, None, VerdictId::TargetFailing), (70.0, Some(4.0), VerdictId::TargetFailing)]
    {
        let mut run = hanging();
        run.series.iter_mut().for_each(|p| (p.target_wait_percent, p.host_cpu_percent) = (Some(target_waits), Some(100.0)));
        match slowest_ms {
            Some(ms) => run.totals.latency_ms.as_mut().unwrap().max = ms,
            None => run.totals.latency_ms = None,
        }
        let diagnosis = Diagnosis::of(&run);
        assert_eq!(diagnosis.verdict.id, expected, "{target_waits} {slowest_ms:?}: {}", diagnosis.verdict.sentence);
    }
}

/// What its workers need for a request is not what they need on a free machine: neither its capacity nor its limit is known.
/// What follows from its queue follows from the same.
#[test]
fn a_queue_of_a_target_without_cores_is_of_the_other_programs() {
    let queue = |r: &mut RunResult| {
        let timing = r.endpoints[0].server_timing_ms.as_mut().unwrap();
        (timing.queue.p50, timing.work.p50) = (600.0, 150.0);
    };
    let starved = |r: &mut RunResult| {
        r.series.iter_mut().for_each(|p| (p.target_wait_percent, p.host_cpu_percent) = (Some(70.0), Some(100.0)));
    };
    let of = |what: &[&dyn Fn(&mut RunResult)]| {
        let mut run = healthy();
        for change in what {
            change(&mut run);
        }
        sockbench::testing::diagnose::settle(&mut run);
        run
    };
    let late_too = |r: &mut RunResult| {
        fail(r, late(Phase::Waiting), 500, 10.0, 59.0);
        r.totals.latency_ms.as_mut().unwrap().max = 9_900.0;
    };
    for (name, run) in [("queue", of(&[&queue, &starved])), ("timeouts", of(&[&queue, &starved, &late_too]))] {
        assert_eq!(run.verdict.id, VerdictId::HostBound, "{name}: {}", run.verdict.sentence);
        let page = render_run(&run, &Page::plain());
        assert!(page.starts_with("OTHER PROGRAMS TOOK THE CORES"), "{name}: {page}");
        assert!(!page.contains("capacity =") && page.contains("see what takes the cores"), "{name}: {page}");
        let f = run.findings.iter().find(|f| f.id == Id::TargetQueueing).unwrap();
        assert_eq!(f.caused_by, [Id::HostContended], "{name}");
        assert_eq!(f.remedies.len(), 1, "{name}: no load is advised by a capacity that is not its own: {:?}", f.remedies);
    }
    // Jobs that only wait need no core.
    let mut io = own_cpu(20, 1800.0, 5.0, &["io-workers=2"]);
    "/io".clone_into(&mut io.endpoints[0].name);
    io.endpoints[0].server_timing_ms.as_mut().unwrap().work.p50 = 200.0;
    starved(&mut io);
    sockbench::testing::diagnose::settle(&mut io);
    assert!(io.findings.iter().any(|f| f.id == Id::HostContended));
    for (name, run) in [("quiet", of(&[&queue])), ("jobs that wait", io)] {
        assert_eq!(run.verdict.id, VerdictId::TargetBound, "{name}: {}", run.verdict.sentence);
    }
}

/// Requests that were late because a pool was full are a symptom; a target that hangs as well is not full.
#[test]
fn a_full_target_comes_before_the_timeouts_that_follow() {
    let queueing = |r: &mut RunResult| r.endpoints[0].server_timing_ms.as_mut().unwrap().queue.p50 = 80.0;
    let mut full = healthy();
    queueing(&mut full);
    fail(&mut full, late(Phase::Waiting), 500, 10.0, 59.0);
    full.totals.latency_ms.as_mut().unwrap().max = 9_900.0;
    let diagnosis = Diagnosis::of(&full);
    assert_eq!(diagnosis.verdict.id, VerdictId::TargetBound, "{}", diagnosis.verdict.sentence);
    assert!(diagnosis.verdict.sentence.starts_with("target saturated"), "{}", diagnosis.verdict.sentence);
    let mut hangs = full;
    hangs.totals.latency_ms.as_mut().unwrap().max = 90.0;
    assert_eq!(Diagnosis::of(&hangs).verdict.id, VerdictId::TargetFailing);
}

/// Half of the requests get nothing, the others a quick answer, and the target does nothing: less load is no advice.
#[test]
fn an_idle_and_quick_target_is_not_asked_for_less() {
    let timed_out = |cpu: f64, mean_ms: f64| {
        let mut run = healthy();
        run.plan.timeout = Duration::from_millis(500);
        fail(&mut run, late(Phase::Waiting), 500, 0.5, 59.0);
        run.totals.latency_ms = Some(crate::facts::latency(mean_ms));
        let target = run.resources.target.as_mut().unwrap();
        (target.cpu_percent_mean, target.busiest_thread_percent) = (Some(cpu), Some(cpu));
        fires(Id::TargetTimeouts, &run).remedies.iter().map(|r| r.action.clone()).collect::<Vec<_>>().join("; ")
    };
    let idle = timed_out(0.5, 0.8);
    assert!(idle.contains("by hand") && !idle.contains("half of the users"), "{idle}");
    assert!(!idle.contains("wait longer"), "the timeout is not the cause: {idle}");
    for (cpu, mean_ms) in [(60.0, 0.8), (0.5, 300.0)] {
        let loaded = timed_out(cpu, mean_ms);
        assert!(
            loaded.contains("half of the users") && loaded.contains("wait longer"),
            "{cpu} % of a core, {mean_ms} ms: {loaded}"
        );
    }
}

/// The room that the kernel gives the target's listener is what fits.
#[test]
fn a_known_backlog_is_said_and_advised() {
    let mut run = healthy();
    run.kernel.as_mut().unwrap().listen_overflows = 44;
    run.totals.connects.as_mut().unwrap().setup_near_1s = 20;
    run.plan.keepalive = false;
    run.series.iter_mut().for_each(|p| p.accept_queue_limit = Some(5));
    let f = fires(Id::TargetBacklogOverflow, &run);
    assert_eq!(f.evidence["backlog"], 5);
    assert!(f.explanation.contains("room for 6 connections") && !f.explanation.contains("smaller of"), "{}", f.explanation);
    assert!(f.remedies.iter().any(|r| r.change.as_deref() == Some("--conns 5")), "{:?}", f.remedies);
    assert!(!f.remedies[0].command.starts_with("ss "), "a look-up changes nothing: {:?}", f.remedies[0]);
}

#[test]
fn other_programs_lead_where_nothing_else_explains() {
    assert_eq!(Diagnosis::of(&contended()).verdict.id, VerdictId::HostBound);
    // Fewer users than asked for is no cause.
    let fewer = beside(|r| r.totals.users_reached = 31);
    assert_eq!(Diagnosis::of(&fewer).verdict.id, VerdictId::HostBound);
}

/// Answers to 10 s of 60, and from there on as `run` says.
fn refused(first_s: f64, last_s: f64, answered: &[(f64, f64)], last_answer_s: f64) -> RunResult {
    let mut run = healthy();
    for p in &mut run.series {
        if !answered.iter().any(|(from, to)| *from < p.t_s && p.t_s <= *to) {
            (p.p50_ms, p.p95_ms, p.rps) = (None, None, 5.0);
        }
    }
    fail(&mut run, errno(Call::Connect, 111), 300, first_s, last_s);
    run.totals.after_last_answer = Some(AfterLastAnswer { last_answer_s, open_connections: 50, ..AfterLastAnswer::default() });
    run
}

#[test]
fn refused_at_the_start_now_and_then_for_a_while_and_to_the_end() {
    let of = |run: &RunResult| {
        let verdict = Diagnosis::of(run).verdict;
        (verdict.id, verdict.sentence)
    };
    let at_first = refused(0.0, 5.2, &[(6.0, 60.0)], 59.9);
    let (id, sentence) = of(&at_first);
    assert_eq!(id, VerdictId::TargetFailing, "it is there: {sentence}");
    assert!(sentence.contains("until 5.2 s: nothing listened yet"), "{sentence}");
    let f = fires(Id::TargetRefused, &at_first);
    assert!(f.remedies[0].command.contains("sleep 0.1; done; sockbench load"), "{:?}", f.remedies);
    reads("target-refused, at the start only", &f);
    let (id, sentence) = of(&refused(20.1, 25.4, &[(0.0, 20.0), (26.0, 60.0)], 59.9));
    assert_eq!((id, sentence.contains("was back")), (VerdictId::TargetFailing, true), "{sentence}");
    let (id, sentence) = of(&refused(5.0, 55.0, &[(0.0, 60.0)], 59.9));
    assert_eq!((id, sentence.contains("now and then")), (VerdictId::TargetFailing, true), "{sentence}");
    let (id, _) = of(&refused(20.1, 59.9, &[(0.0, 20.0)], 20.0));
    assert_eq!(id, VerdictId::TargetGone);
    let mut never = healthy();
    (never.totals.requests, never.totals.attempts, never.totals.latency_ms) = (0, 0, None);
    fail(&mut never, errno(Call::Connect, 111), 300, 0.0, 59.9);
    assert_eq!(of(&never).0, VerdictId::TargetGone);
}

#[test]
fn a_status_its_share_and_since_when_are_in_the_headline() {
    let with = |n: u16, answered: u64, count: u64, first_s: f64, last_s: f64| {
        let mut run = healthy();
        (run.totals.requests, run.totals.attempts) = (answered, answered);
        run.endpoints.truncate(1);
        run.endpoints[0].status = [("200".to_owned(), answered), (n.to_string(), count)].into();
        for p in run.series.iter_mut().filter(|p| p.t_s > first_s) {
            p.rps = count as f64 / (60.0 - first_s);
        }
        fail(&mut run, status(n), count, first_s, last_s);
        Diagnosis::of(&run).verdict.sentence
    };
    assert_eq!(with(429, 500, 500, 0.0, 59.9), "target failing: 50 % of 1,000 answers were 429 Too Many Requests");
    assert_eq!(with(404, 0, 1000, 0.0, 59.9), "target failing: every answer was 404 Not Found: 1,000 in all");
    let since = with(503, 500, 500, 30.0, 59.9);
    assert_eq!(since, "target failing: every answer since 30 s was 503 Service Unavailable: 50 % of 1,000 answers");
    assert_eq!(with(599, 9, 1, 0.0, 59.9), "target failing: 10 % of 10 answers were 599");
    // Where not all answers since then were errors, the share is of the whole run.
    let mut some = healthy();
    fail(&mut some, status(500), 1000, 30.0, 59.9);
    let some = Diagnosis::of(&some).verdict.sentence;
    assert_eq!(some, "target failing: 10 % of 10,000 answers were 500 Internal Server Error, all since 30 s");
}

#[test]
fn several_statuses_are_named_by_number() {
    let mut run = healthy();
    fail(&mut run, status(503), 700, 0.0, 59.9);
    fail(&mut run, Failure { reused: true, ..status(500) }, 300, 0.0, 59.9);
    let sentence = Diagnosis::of(&run).verdict.sentence;
    assert_eq!(sentence, "target failing: 10 % of 10,000 answers were errors: 700 x status 503, 300 x status 500");
}

#[test]
fn a_path_that_is_not_there_differs_from_one_that_comes_and_goes() {
    let meaning = |found: u64| {
        let mut run = healthy();
        run.endpoints[0].status = [("200".to_owned(), found), ("404".to_owned(), 90)].into();
        // On fresh and on reused connections: two rows of the table.
        fail(&mut run, status(404), 4, 0.0, 59.0);
        fail(&mut run, Failure { reused: true, ..status(404) }, 86, 0.0, 59.0);
        fires(Id::TargetErrors, &run).explanation
    };
    assert!(meaning(0).contains("the address that was asked for"), "{}", meaning(0));
    assert!(meaning(900).contains("At times"), "{}", meaning(900));
}

#[test]
fn too_few_answers_too_short_a_run_and_redirects_are_in_the_headline() {
    let of = |answers: u64, duration_s: f64, redirects: u64| {
        let mut run = healthy();
        (run.totals.requests, run.totals.attempts, run.duration_s) = (answers, answers, duration_s);
        run.plan.duration = Duration::from_secs_f64(duration_s);
        run.endpoints.truncate(1);
        run.endpoints[0].status = [("200".to_owned(), answers - redirects), ("302".to_owned(), redirects)].into();
        sockbench::testing::diagnose::settle(&mut run);
        (run.verdict.clone(), render_run(&run, &Page::plain()))
    };
    for (answers, duration_s, redirects, says) in [
        (5, 60.0, 0, "only 5 answers in"),
        (19, 60.0, 0, "only 19 answers in"),
        (9000, 0.5, 0, "the run lasted 0.5 s"),
        (9000, 60.0, 9000, "every answer was a redirect (302)"),
        (9000, 60.0, 6000, "67 % of the answers were redirects (302)"),
    ] {
        let (verdict, page) = of(answers, duration_s, redirects);
        assert_eq!(verdict.id, VerdictId::Healthy);
        let head = page.lines().take(2).collect::<Vec<_>>().join(" ");
        assert!(verdict.sentence.contains(says) && head.contains(says), "{}\n{page}", verdict.sentence);
        assert_eq!(page.contains("p95"), answers >= 20, "{page}");
    }
    let (verdict, page) = of(9000, 60.0, 10);
    assert!(verdict.sentence.starts_with("OK: ") && page.starts_with("OK   "), "{page}");
}

/// A try by hand: what only many requests can show is no matter of it, and nothing that was done is advised.
#[test]
fn a_request_that_was_asked_for_alone_needs_no_care() {
    let of = |what: fn(&mut RunResult)| {
        let mut run = contended();
        (run.plan.requests, run.plan.users, run.plan.duration, run.duration_s) = (1, 1, Duration::ZERO, 0.3);
        (run.totals.requests, run.totals.attempts, run.totals.users_asked, run.totals.users_reached) = (1, 1, 1, 1);
        run.endpoints.truncate(1);
        (run.endpoints[0].requests, run.totals.steady) = (1, None);
        run.endpoints[0].status = [("200".to_owned(), 1)].into();
        run.resources.client.cpu_percent_mean = None;
        run.explain_null("resources.client.cpu_percent_mean", "too short");
        what(&mut run);
        sockbench::testing::diagnose::settle(&mut run);
        (run.verdict.clone(), render_run(&run, &Page::plain()))
    };
    let (verdict, page) = of(|_| ());
    assert_eq!((verdict.id, verdict.sentence.as_str()), (VerdictId::Healthy, "OK: 1 of 1 request answered in 0.3 s"));
    assert!(page.starts_with("OK   1 user") && !page.contains("careful"), "{page}");
    let (verdict, page) = of(|r| {
        r.endpoints[0].status = [("404".to_owned(), 1)].into();
        fail(r, status(404), 1, 0.0, 0.0);
        (r.totals.requests, r.totals.attempts, r.totals.latency_ms) = (1, 1, None);
    });
    assert_eq!(verdict.id, VerdictId::TargetFailing, "{page}");
    assert!(!page.contains("careful") && !page.contains("try one request"), "{page}");
}

#[test]
fn answers_without_an_end_say_what_is_missing_and_not_that_they_are_slow() {
    let received = |framing: Option<Framing>, missing_bytes: Option<u64>| Received {
        bytes: 43,
        head_complete: framing.is_some(),
        bare_lf: false,
        status: Some(200),
        framing,
        missing_bytes,
    };
    for (received, missing, fix) in [
        (received(Some(Framing::UntilClose), None), "no length is given, and the connection stays open", "Content-Length"),
        (received(Some(Framing::ContentLength(100)), Some(95)), "95 of the 100 bytes of the body are missing", "Content-Length"),
        (received(Some(Framing::Chunked), None), "the last chunk is missing", "last chunk"),
        (received(None, None), "no blank line ends the head after 43 bytes", "blank line"),
    ] {
        // In flight at the end, or ended by the timeout.
        let mut at_end = healthy();
        (at_end.totals.requests, at_end.totals.attempts, at_end.totals.latency_ms) = (0, 4, None);
        at_end.totals.cut = 4;
        let mut by_timeout = at_end.clone();
        (by_timeout.totals.cut, by_timeout.totals.attempts) = (0, 0);
        at_end.totals.in_flight =
            Some(InFlight { count: 4, receiving: 4, overdue: 4, waited_max_ms: 59_000.0, ..InFlight::default() });
        at_end.totals.partial_answer = Some(PartialAnswer {
            method: "GET".into(),
            endpoint: "/health".into(),
            waited_ms: 59_000.0,
            first_bytes: "HTTP/1.1 200 OK".into(),
            received,
        });
        by_timeout.plan.timeout = Duration::from_millis(500);
        let given_up = Failure::new(Call::Timeout, Cause::TimedOut(Phase::Receiving));
        fail(&mut by_timeout, given_up, 400, 0.5, 59.9);
        by_timeout.errors[0].received = Some(received);
        for run in [at_end, by_timeout] {
            let verdict = Diagnosis::of(&run).verdict;
            assert_eq!(verdict.id, VerdictId::TargetFailing);
            assert!(verdict.sentence.contains(missing) && !verdict.sentence.contains("slow"), "{}", verdict.sentence);
            let first = Diagnosis::of(&run).findings[0].clone();
            assert!(first.remedies[0].action.contains(fix), "{:?}", first.remedies);
            assert!(!first.explanation.contains("too slow"), "{}", first.explanation);
        }
    }
}

/// In a run.json that somebody edited, any finding may name any other as its cause, itself too.
#[test]
fn findings_that_cause_each_other_have_a_verdict() {
    let any = Diagnosis::of(&hanging()).findings.remove(0);
    let all: Vec<Id> = rules().map(|rule| rule.id).collect();
    let whole: Vec<Finding> = all.iter().map(|id| Finding { id: *id, caused_by: all.clone(), ..any.clone() }).collect();
    assert!(deciding(&whole).is_some());
    let pair = [(Id::TargetHangs, Id::TargetTimeouts), (Id::TargetTimeouts, Id::TargetHangs)];
    let pair = pair.map(|(id, cause)| Finding { id, caused_by: vec![cause], ..any.clone() });
    assert!(deciding(&pair).is_some_and(|f| f.id == Id::TargetHangs));
}

/// What a finding follows from never follows from that finding, through whatever other ones.
#[test]
fn no_finding_of_the_table_is_a_cause_of_its_own() {
    for rule in rules() {
        let mut causes = rule.caused_by.to_vec();
        let mut at = 0;
        while let Some(cause) = causes.get(at).copied() {
            assert_ne!(cause, rule.id, "{} follows from itself", rule.id.word());
            for more in rule_of(cause).expect("a rule for each finding").caused_by {
                if !causes.contains(more) {
                    causes.push(*more);
                }
            }
            at += 1;
        }
    }
}

/// What the answers show comes after the load that was not given as asked.
#[test]
fn a_load_that_fell_short_leads_what_its_answers_show() {
    let mut run = healthy();
    run.totals.users_reached = 31;
    run.endpoints[0].phases_ms.receiving = Some(PhaseMs { p50: 41.2, p99: 44.8 });
    run.endpoints[0].content_size_mean = Some(512.0);
    sockbench::testing::diagnose::settle(&mut run);
    let ids: Vec<Id> = run.findings.iter().map(|f| f.id).collect();
    assert!(ids.contains(&Id::TargetSplitsAnswers) && ids.contains(&Id::UsersNotReached), "{ids:?}");
    assert_eq!(run.verdict.id, VerdictId::Healthy);
    assert!(run.verdict.sentence.starts_with("OK, but 31 of 50 users"), "{}", run.verdict.sentence);
    let page = render_run(&run, &Page::plain());
    assert!(page.starts_with("OK, but 31 of 50 users"), "{page}");
    // Requests of an open loop that never started lead too, and what they follow from leads them.
    run.totals.users_reached = 50;
    (run.plan.rate, run.totals.never_started, run.plan.think) = (250.0, 6000, Think::default());
    sockbench::testing::diagnose::settle(&mut run);
    assert!(run.findings.iter().any(|f| f.id == Id::TargetSplitsAnswers), "{:?}", run.findings);
    assert!(run.verdict.sentence.starts_with("OK, but 150 of 250 req/s were sent"), "{}", run.verdict.sentence);
    for p in &mut run.series {
        (p.client_wait_percent, p.host_cpu_percent) = (Some(14.0), Some(98.0));
    }
    sockbench::testing::diagnose::settle(&mut run);
    assert!(run.verdict.sentence.starts_with("other programs took the cores"), "{}", run.verdict.sentence);
}
