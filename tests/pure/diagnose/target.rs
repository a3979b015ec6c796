//! Failures at the target: refused, overflowed, reset, late, malformed, forbidding.

use std::time::Duration;

use sockbench::testing::diagnose::{Diagnosis, diagnose};
use sockbench::testing::model::{
    Body, Call, Cause, Closes, Failure, FindingId as Id, Framing, PhaseMs, ProtocolFault, Received, RunResult, RunStamp,
    SurplusKind, VerdictId,
};

use super::capacity::own_cpu;
use super::{clear, fires, ids, reads, unknown, unnamed};
use crate::facts::{errno, exhausted, fail, healthy, over, status, surplus, truncated};

#[test]
fn refused_and_self_connects() {
    let mut run = healthy();
    fail(&mut run, Failure::new(Call::Connect, Cause::SelfConnect), 4, 0.0, 1.0);
    let f = fires(Id::TargetRefused, &run);
    assert_eq!(f.evidence["self_connects"], 4);
    reads("target-refused, connected to itself", &f);
    fail(&mut run, errno(Call::Connect, 111), 30, 0.0, 1.0);
    let f = fires(Id::TargetRefused, &run);
    assert_eq!((&f.evidence["failures"], &f.evidence["windows_code"]), (&34.into(), &10_061.into()));
    reads("target-refused, of both kinds", &f);
    clear(Id::TargetRefused, &healthy());
    unknown(Id::TargetRefused, &unnamed(false));
}

#[test]
fn resets_malformed_and_errors_are_told_apart() {
    let mut run = healthy();
    fail(&mut run, Failure::new(Call::Read, Cause::Eof), 4, 1.0, 2.0);
    fail(&mut run, Failure { reused: true, ..errno(Call::Read, 104) }, 6, 1.0, 2.0);
    let f = fires(Id::TargetResets, &run);
    assert_eq!((f.evidence["on_reused_connections"].as_u64(), f.evidence["on_fresh_connections"].as_u64()), (Some(6), Some(4)));
    clear(Id::TargetErrors, &run);
    clear(Id::TargetMalformed, &run);
    let mut broken_pipe = healthy();
    fail(&mut broken_pipe, errno(Call::Write, 32), 6, 1.0, 2.0);
    fires(Id::TargetResets, &broken_pipe);
    clear(Id::TargetErrors, &broken_pipe);
    let mut other = healthy();
    fail(&mut other, Failure { so_error: true, ..errno(Call::Connect, 113) }, 6, 1.0, 2.0);
    let f = fires(Id::TargetErrors, &other);
    assert_eq!((&f.evidence["name"], &f.evidence["call"]), (&"EHOSTUNREACH".into(), &"connect".into()));
    reads("target-errors, no route", &f);
    for id in [Id::TargetResets, Id::TargetMalformed, Id::TargetErrors] {
        clear(id, &healthy());
        unknown(id, &unnamed(false));
    }
}

#[test]
fn forbidden_keepalive_is_the_cause_of_used_up_ports() {
    let mut run = exhausted();
    run.plan.keepalive = true;
    run.closes.announced_by_target = 28_232;
    let found = diagnose(&run);
    assert_eq!(ids(&found)[..2], [Id::LocalPortsExhausted, Id::TargetForbidsKeepalive]);
    assert_eq!(found[0].caused_by, [Id::TargetForbidsKeepalive]);
    let f = fires(Id::LocalPortsExhausted, &run);
    assert!(f.remedies[0].command.contains("--keep-alive 75"), "the client asks for it already: {:?}", f.remedies[0]);
    run.resources.target.as_mut().unwrap().name = "sockbench".into();
    let f = fires(Id::LocalPortsExhausted, &run);
    assert_eq!(f.remedies[0].command, "sockbench server --listen 10.0.0.1:80 --keepalive on");
    // Each side closes some first: none of them did it "each time".
    for (by_target, says) in
        [(0, "a source port each time"), (14_116, "The client closed 50 % of them first"), (28_000, "stays there")]
    {
        let mut both = run.clone();
        (both.closes.client, both.closes.server) = (28_232 - by_target, by_target);
        let text = fires(Id::TargetForbidsKeepalive, &both).explanation;
        assert!(text.contains(says), "{by_target}: {text}");
    }
    // So do resets: they are ends too.
    (run.closes.client, run.closes.reset) = (14_116, 14_116);
    let text = fires(Id::TargetForbidsKeepalive, &run).explanation;
    assert!(text.contains("The client closed 50 % of them first"), "{text}");
    // A limit of a hundred requests per connection is not a ban.
    let mut hundred = healthy();
    hundred.closes.announced_by_target = 90;
    clear(Id::TargetForbidsKeepalive, &hundred);
    let mut none = healthy();
    none.totals.requests = 3;
    unknown(Id::TargetForbidsKeepalive, &none);
    none.totals.requests = 4;
    clear(Id::TargetForbidsKeepalive, &none);
}

#[test]
fn a_target_that_stops_keeping_connections_in_mid_run() {
    let mut run = healthy();
    for p in run.series.iter_mut().skip(30) {
        p.connects = 150;
    }
    run.totals.connections_opened = 50 + 30 * 150;
    run.closes.server = 30 * 150;
    let f = fires(Id::TargetForbidsKeepalive, &run);
    assert_eq!((f.evidence["since_s"].as_f64(), f.evidence["share"].as_f64()), (Some(30.0), Some(1.0)));
    reads("target-forbids-keepalive, from the middle on", &f);
    // Connections that the target ended before their first answer are after none.
    let mut crowd = healthy();
    (crowd.totals.connections_opened, crowd.closes.server) = (20 * crowd.totals.requests, 20 * crowd.totals.requests);
    assert_eq!(fires(Id::TargetForbidsKeepalive, &crowd).evidence["share"].as_f64(), Some(1.0));
    // Reconnects after failures are no ban, nor are new users.
    let mut failing = healthy();
    for p in failing.series.iter_mut().skip(30) {
        (p.connects, p.failures_per_s, p.rps) = (150, 150.0, 300.0);
    }
    clear(Id::TargetForbidsKeepalive, &failing);
    let mut ramp = healthy();
    for (i, p) in ramp.series.iter_mut().enumerate() {
        (p.users_asked, p.connects, p.rps) = (i as u32 * 10, 10, 12.0);
    }
    clear(Id::TargetForbidsKeepalive, &ramp);
    // Nor are users whom a busy client connects long after they were asked for.
    let mut late = healthy();
    late.totals.connections_opened = 19_000;
    for (i, p) in late.series.iter_mut().enumerate() {
        p.users_asked = [6000, 14_000, 19_000][i.min(2)];
        let made = [8000, 6400, 1500, 2200, 900].get(i).copied().unwrap_or(0);
        (p.connects, p.rps) = (made, made as f64);
    }
    clear(Id::TargetForbidsKeepalive, &late);
}

#[test]
fn an_idle_connection_ended_by_a_reset_is_not_kept_either() {
    let mut run = healthy();
    run.plan.think = sockbench::testing::model::Think::default();
    run.totals.connections_opened = 9000;
    run.closes = sockbench::testing::model::Closes { reset: 8950, client: 50, ..Default::default() };
    let f = fires(Id::TargetForbidsKeepalive, &run);
    assert_eq!(f.evidence["reset_by_target"], 8950);
    // This side resets them itself.
    run.plan.closer = sockbench::testing::model::Closer::Reset;
    clear(Id::TargetForbidsKeepalive, &run);
}

#[test]
fn an_idle_timeout_is_not_a_ban_on_keepalive() {
    let mut run = own_cpu(4, 0.1, 5.0, &["idle-timeout=400ms"]);
    run.plan.think.max = std::time::Duration::from_millis(900);
    run.closes = Closes { server: 8000, client: 4, ..Default::default() };
    run.totals.connections_opened = 8004;
    let f = fires(Id::TargetForbidsKeepalive, &run);
    reads("target-forbids-keepalive, by an idle timeout", &f);
    assert!(f.remedies[0].command.ends_with("--server idle-timeout=75s"), "{:?}", f.remedies[0]);
    assert!(f.remedies.iter().all(|r| !r.command.contains("keepalive=on")), "on already: {:?}", f.remedies);
}

/// Each limit of the program's own: its value in the plan, its flag, and a remedy that raises it.
#[test]
fn an_answer_over_a_limit_names_the_limit_its_value_and_its_flag() {
    for (fault, limit, value) in [
        (ProtocolFault::HeadTooLarge, "head-bytes", 300 * 1024),
        (ProtocolFault::TrailersTooLarge, "head-bytes", 300 * 1024),
        (ProtocolFault::TooManyFields, "head-fields", 5000),
        (ProtocolFault::BodyTooLarge, "body-bytes", 1 << 30),
    ] {
        let mut run = healthy();
        fail(&mut run, over(fault), 30, 1.0, 50.0);
        let f = fires(Id::ClientLimit, &run);
        assert_eq!((f.evidence["limit"].as_str(), f.evidence["value"].as_u64()), (Some(limit), Some(value)), "{fault:?}");
        let change = f.remedies[0].change.as_deref().unwrap();
        assert!(change.starts_with(&format!("--{limit} ")), "{change}");
        clear(Id::TargetMalformed, &run);
        let diagnosis = Diagnosis::of(&run);
        assert_eq!((diagnosis.verdict.id, diagnosis.validity.stamp), (VerdictId::ClientBound, RunStamp::ClientBound));
        assert_eq!(diagnosis.verdict.since_s, Some(1.0));
    }
    clear(Id::ClientLimit, &healthy());
    unknown(Id::ClientLimit, &unnamed(false));
}

#[test]
fn the_advised_limit_is_what_the_answer_needs_and_never_more_than_the_flag_takes() {
    let mut run = healthy();
    run.plan.limits.body_bytes = 1000;
    fail(&mut run, over(ProtocolFault::BodyTooLarge), 30, 1.0, 50.0);
    run.errors[0].received = Some(Received {
        bytes: 1100,
        head_complete: true,
        bare_lf: false,
        status: Some(200),
        framing: Some(Framing::ContentLength(123_456)),
        missing_bytes: None,
    });
    let f = fires(Id::ClientLimit, &run);
    assert_eq!(f.remedies[0].change.as_deref(), Some("--body-bytes 123456"));
    // At the most that the flag takes there is nothing to raise.
    let mut full = healthy();
    full.plan.limits.head_fields = 100_000;
    fail(&mut full, over(ProtocolFault::TooManyFields), 30, 1.0, 50.0);
    let f = fires(Id::ClientLimit, &full);
    assert!(f.remedies.iter().all(|r| r.change.is_none()) && f.remedies.len() == 2, "{:?}", f.remedies);
}

#[test]
fn bytes_beyond_complete_answers_are_a_warning_with_the_first_of_them() {
    for kind in
        [SurplusKind::LineEnd, SurplusKind::SecondAnswer, SurplusKind::BodyToHead, SurplusKind::BodyToStatus, SurplusKind::Other]
    {
        let mut run = healthy();
        run.surplus = vec![surplus(kind, 9000)];
        let f = fires(Id::TargetSurplusBytes, &run);
        assert_eq!((f.evidence["answers"].as_u64(), f.evidence["share"].as_f64()), (Some(9000), Some(1.0)));
        assert_eq!(f.evidence["first_bytes"].as_str(), Some(run.surplus[0].first_bytes.as_str()));
        assert!(f.title.contains(&run.surplus[0].first_bytes), "{}", f.title);
        // The answers count, and the figures are the target's own.
        let diagnosis = Diagnosis::of(&run);
        assert_eq!((diagnosis.verdict.id, diagnosis.validity.stamp), (VerdictId::Healthy, RunStamp::Valid));
    }
    let mut both = healthy();
    both.surplus = vec![surplus(SurplusKind::Other, 7), surplus(SurplusKind::LineEnd, 1)];
    let f = fires(Id::TargetSurplusBytes, &both);
    assert_eq!(f.evidence["answers"].as_u64(), Some(8));
    reads("target-surplus-bytes, of two kinds", &f);
    clear(Id::TargetSurplusBytes, &healthy());
}

/// About 40 ms from the first to the last byte of a small answer, whoever asks: nothing else says so.
#[test]
fn answers_whose_rest_comes_when_an_acknowledgement_is_due() {
    let of = |p50: f64, bytes: f64, requests: u64| {
        let mut run = healthy();
        let e = &mut run.endpoints[0];
        e.phases_ms.receiving = Some(PhaseMs { p50, p99: p50 + 4.0 });
        (e.content_size_mean, e.requests) = (Some(bytes), requests);
        run
    };
    for (p50, bytes, requests) in [(41.0, 2.0, 900), (44.5, 12_000.0, 20), (58.0, 0.0, 4500)] {
        let f = fires(Id::TargetSplitsAnswers, &of(p50, bytes, requests));
        assert_eq!(f.evidence["first_to_last_byte_p50_ms"].as_f64(), Some(p50));
        assert!(f.remedies[0].action.contains("TCP_NODELAY") && f.remedies[1].command.contains("ss -tni"), "{:?}", f.remedies);
    }
    // Quick ones, a pause of another length, a body of many round trips, few answers.
    for (p50, bytes, requests) in [(0.1, 2.0, 900), (100.0, 2.0, 900), (41.0, 900_000.0, 900), (41.0, 2.0, 9)] {
        clear(Id::TargetSplitsAnswers, &of(p50, bytes, requests));
    }
    clear(Id::TargetSplitsAnswers, &healthy());
}

/// What the target says of its limit is in the finding.
#[test]
fn fields_about_a_limit_are_shown() {
    let mut run = healthy();
    fail(&mut run, status(429), 600, 0.0, 59.9);
    run.errors[0].limit_fields = Some("Retry-After: 5".into());
    let f = fires(Id::TargetErrors, &run);
    assert_eq!(f.evidence["limit_fields"], "Retry-After: 5");
    assert!(f.explanation.contains("Retry-After: 5"), "{}", f.explanation);
}

/// Failures that take turns are named as such, with what it means; those of chance have their share.
#[test]
fn every_second_request_is_no_chance() {
    let half = |failed: u64, failure: Failure| {
        let mut run = healthy();
        fail(&mut run, failure, failed, 0.0, 59.9);
        let requests = run.totals.requests;
        run.endpoints.truncate(1);
        run.endpoints[0].requests = requests;
        run
    };
    let answers = healthy().totals.requests;
    for (id, failure) in [
        (Id::TargetResets, Failure::new(Call::Read, Cause::Eof)),
        (Id::TargetErrors, status(503)),
        (Id::TargetMalformed, truncated()),
    ] {
        let even = fires(id, &half(answers, failure));
        assert_eq!(even.evidence["every_nth"], 2, "{}", id.word());
        assert!(even.title.starts_with("every second ") && even.explanation.contains("takes turns"), "{}: {even:?}", id.word());
        let third = fires(id, &half(answers / 2, failure));
        assert_eq!(third.evidence["every_nth"], 3, "{}", id.word());
        let by_chance = fires(id, &half(answers - 100, failure));
        assert!(!by_chance.evidence.contains_key("every_nth"), "{}: {by_chance:?}", id.word());
        assert!(by_chance.title.contains(" % of "), "{}: {}", id.word(), by_chance.title);
        // In a part of the run another one begins.
        let mut part = half(answers, failure);
        (part.errors[0].first_s, part.duration_s) = (40.0, 60.0);
        assert!(!fires(id, &part).evidence.contains_key("every_nth"), "{}", id.word());
    }
    // On reused connections only, each connection ends after so many answers.
    let limit = fires(Id::TargetResets, &half(answers / 3, Failure { reused: true, ..Failure::new(Call::Read, Cause::Eof) }));
    assert!(limit.explanation.contains("It closed each after 3 answers"), "{}", limit.explanation);
    // A pause that is longer than an idle timeout each time takes turns as a limit of one answer does.
    let alternate = |think: Duration| {
        let mut run = half(answers, Failure { reused: true, ..Failure::new(Call::Read, Cause::Eof) });
        (run.plan.think.min, run.plan.think.max) = (think, think);
        let text = fires(Id::TargetResets, &run).explanation;
        assert!(text.contains("after 1 answer"), "{text}");
        text.contains("idle timeout is shorter")
    };
    assert!(alternate(Duration::from_secs(5)) && !alternate(Duration::ZERO));
}

/// A pause of 2 ms is shorter than any idle timeout, unless a connection ended in one.
#[test]
fn a_short_pause_is_no_idle_timeout() {
    let advice = |pause_ms: u64, ended_idle: u64| {
        let mut run = healthy();
        run.plan.think.max = std::time::Duration::from_millis(pause_ms);
        run.closes.idle_fin = ended_idle;
        fail(&mut run, Failure { reused: true, ..Failure::new(Call::Read, Cause::Eof) }, 90, 0.0, 59.9);
        let f = fires(Id::TargetResets, &run);
        (f.explanation.contains("idle timeout is shorter"), f.remedies[0].action.contains("idle"))
    };
    assert_eq!([advice(2, 0), advice(2, 7), advice(500, 0)], [(false, false), (true, true), (true, true)]);
}

/// A request that is sent by hand is the run's: a GET may be answered where a POST is refused.
#[test]
fn what_is_sent_by_hand_is_what_the_run_sent() {
    let mut run = healthy();
    fail(&mut run, status(405), 600, 0.0, 59.9);
    let by_hand = |run: &RunResult| {
        fires(Id::TargetErrors, run).remedies.iter().find_map(|r| r.command.strip_prefix("curl -i ").map(str::to_owned)).unwrap()
    };
    let url = by_hand(&run);
    run.plan.headers = vec![("X-A".into(), "it's".into())];
    run.plan.body = Body::from("a=1 & b");
    run.plan.method = "POST".into();
    assert_eq!(by_hand(&run), format!("-H \"X-A: it's\" --data-raw 'a=1 & b' {url}"));
    (run.plan.method, run.plan.body) = ("PUT".into(), Body::of_file("some file", b"x".to_vec()));
    assert_eq!(by_hand(&run), format!("-X PUT -H \"X-A: it's\" --data-binary '@some file' {url}"));
    (run.plan.method, run.plan.body, run.plan.headers) = ("HEAD".into(), Body::default(), Vec::new());
    assert_eq!(by_hand(&run), format!("-I {url}"));
}
