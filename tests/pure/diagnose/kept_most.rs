//! A target that keeps fewer connections than there are users, and not an idle timeout or whatever else leaves few open.

use std::time::Duration;

use sockbench::testing::diagnose::diagnose;
use sockbench::testing::model::{Call, Cause, Failure, FindingId as Id, LevelOf, RunResult, Stage, Stages};

use super::fires;
use crate::facts::{fail, healthy};

/// A server that keeps fewer connections than there are users ends idle ones for new ones.
#[test]
fn resets_of_a_target_that_keeps_few_connections_say_how_many() {
    let mut run = healthy();
    fail(&mut run, Failure { reused: true, ..Failure::new(Call::Read, Cause::Eof) }, 600, 0.0, 59.9);
    run.totals.after_last_answer =
        Some(sockbench::testing::model::AfterLastAnswer { last_answer_s: 59.9, open_connections: 6, ..Default::default() });
    run.totals.in_flight.as_mut().unwrap().served = 6;
    run.resources.target.as_mut().unwrap().name = "nginx".into();
    let f = fires(Id::TargetResets, &run);
    assert_eq!(f.evidence["open_at_the_end"], 6);
    assert_eq!(f.remedies[0].command, "events { worker_connections 4096; }");
    // With many more users than it keeps, each connection ends before its second request: all failures are fresh ones.
    let mut fresh = run.clone();
    fresh.errors[0].reused = false;
    fresh.totals.in_flight.as_mut().unwrap().served = 0;
    assert!(!fires(Id::TargetResets, &fresh).evidence.contains_key("open_at_the_end"), "none had carried an answer");
    fresh.closes.idle_fin = 2_187;
    fresh.totals.in_flight.as_mut().unwrap().served = 6;
    let f = fires(Id::TargetResets, &fresh);
    assert_eq!(
        (&f.evidence["open_at_the_end"], f.remedies[0].command.as_str()),
        (&6.into(), "events { worker_connections 4096; }")
    );
    run.totals.after_last_answer.as_mut().unwrap().open_connections = 50;
    assert!(!fires(Id::TargetResets, &run).evidence.contains_key("open_at_the_end"));
}

/// A run whose target ended idle connections: so many were open, all through the run, and all of them had carried an answer.
fn kept_few(open: u64, opened: u64, think_ms: u64) -> RunResult {
    let mut run = healthy();
    fail(&mut run, Failure { reused: true, ..Failure::new(Call::Read, Cause::Eof) }, 600, 0.0, 59.9);
    let after = sockbench::testing::model::AfterLastAnswer { last_answer_s: 59.9, open_connections: open, ..Default::default() };
    (run.totals.after_last_answer, run.totals.connections_opened, run.closes.idle_fin) = (Some(after), opened, opened);
    (run.plan.think.min, run.plan.think.max) = (Duration::from_millis(think_ms), Duration::from_millis(think_ms));
    run.totals.in_flight.as_mut().unwrap().served = open;
    run.ports.as_mut().unwrap().states.established = Some(open as u32);
    run.series.iter_mut().for_each(|p| p.ports_used = Some(open as u32));
    run
}

/// Connections that live shorter than an idle timeout, and fewer than there are users: it is the number of connections.
#[test]
fn a_limit_of_connections_at_a_time_is_told_from_an_idle_timeout() {
    let with = kept_few;
    // 40 open / (60,000 opened / 60 s) = 40 ms.
    for run in [with(40, 60_000, 50), with(40, 6000, 0)] {
        let (f, open) = (fires(Id::TargetResets, &run), run.totals.after_last_answer.unwrap().open_connections);
        assert_eq!(f.evidence["kept_at_a_time"], open);
        assert!(
            f.title.starts_with(&format!("the target keeps about {open} connections at a time for 50 users: ")),
            "{}",
            f.title
        );
        let commands: Vec<&str> = f.remedies.iter().map(|r| r.command.as_str()).collect();
        // Settings of several programs are no command.
        assert_eq!(commands[0], "ss -ltnp 'sport = :80'");
        let more = &f.remedies[0];
        assert!(
            more.change.as_ref().is_some_and(|c| c.contains("worker_connections"))
                && more.expected.contains("MaxRequestWorkers 400"),
            "{more:?}"
        );
        assert!(commands[1].contains(&format!("--conns {open} ")), "{commands:?}");
        let all = format!("{}{commands:?}", f.explanation);
        assert!(!all.contains("keepalive_timeout") && !all.contains("Its idle timeout"), "{all}");
    }
    assert_eq!(fires(Id::TargetResets, &with(40, 60_000, 50)).evidence["mean_life_s"], 0.04);
    // 2.4 s may be a timeout; 49 of 50 are hardly fewer; and who has just lost a few ends nothing for new ones.
    for run in [with(40, 1000, 5000), with(49, 60_000, 50), with(40, 60_000, 50)] {
        let mut run = run;
        if run.totals.connections_opened == 60_000 && run.plan.think.max.as_millis() == 50 {
            (run.errors[0].count, run.closes.idle_fin) = (9, 0);
        }
        assert!(!fires(Id::TargetResets, &run).evidence.contains_key("kept_at_a_time"));
    }
    let mut announced = with(40, 60_000, 50);
    announced.closes.server = 9000;
    let f = fires(Id::TargetForbidsKeepalive, &announced);
    assert!(f.explanation.contains("it keeps about 40 connections at a time, and ends others for new ones"), "{}", f.explanation);
    assert!(f.remedies[0].expected.contains("worker_connections"), "{:?}", f.remedies[0]);
}

/// How long one lives is said as it is: 40 ms are shorter than an idle timeout, and 0.4 s or 30 s are none where nobody pauses.
#[test]
fn a_life_is_called_shorter_than_an_idle_timeout_only_where_it_is() {
    for (run, short) in [(kept_few(40, 60_000, 50), true), (kept_few(40, 6000, 0), false), (kept_few(40, 80, 0), false)] {
        let mut run = run;
        run.totals.requests = 90_000;
        let said = fires(Id::TargetResets, &run).explanation;
        assert_eq!(said.contains("shorter than idle timeouts are"), short, "{said}");
        assert_eq!(said.contains("users never pause, so it is no idle timeout"), !short, "{said}");
    }
}

/// In words, and what it changes of a run whose target keeps few connections.
type Case<'a> = (&'a str, &'a dyn Fn(&mut RunResult));

/// Few connections are open at the end of many runs whose target has no limit of them.
#[test]
fn few_open_connections_have_other_causes_than_a_limit_of_them() {
    let changed = |change: &dyn Fn(&mut RunResult)| {
        let mut run = kept_few(10, 60_000, 0);
        change(&mut run);
        run
    };
    let answers = |run: &mut RunResult, n: u64| run.totals.requests = n + run.totals.failures;
    assert!(fires(Id::TargetResets, &changed(&|_| ())).evidence.contains_key("kept_at_a_time"));
    let cases: [Case<'_>; 9] = [
        ("three answers for each connection", &|run| answers(run, 179_990)),
        ("one answer for each connection", &|run| answers(run, 59_995)),
        ("three, and some connections carried fewer", &|run| answers(run, 178_000)),
        ("each ends after its answer, and the users pause: those that are open are in service", &|run| {
            (run.plan.think.min, run.plan.think.max) = (Duration::from_secs(1), Duration::from_secs(1));
            answers(run, 59_995);
            run.totals.in_flight.as_mut().unwrap().served = 0;
        }),
        ("stages end users", &|run| {
            run.plan.stages =
                Some(Stages { of: LevelOf::Users, each: vec![Stage { duration: Duration::from_secs(60), to: 50.0 }] });
        }),
        ("fewer users at the end", &|run| run.series.last_mut().unwrap().users_asked = 10),
        ("no requests are left", &|run| run.plan.requests = 9000),
        ("more were open before", &|run| run.ports.as_mut().unwrap().states.established = Some(49)),
        ("fewer were open before", &|run| run.series[30].ports_used = Some(3)),
    ];
    for (name, change) in cases {
        let run = changed(change);
        let f = fires(Id::TargetResets, &run);
        assert!(!f.evidence.contains_key("kept_at_a_time"), "{name}: {}", f.title);
        assert!(!f.title.contains("at a time"), "{name}: {}", f.title);
        let said: String = diagnose(&run).iter().map(|f| f.explanation.clone()).collect();
        assert!(!said.contains("at a time"), "{name}: {said}");
    }
    // Nobody looked at the ports.
    let unseen = changed(&|run| run.ports = None);
    assert!(!fires(Id::TargetResets, &unseen).evidence.contains_key("kept_at_a_time"));
}
