//! Users, a rate or a ramp that the run did not reach, and what the stamp says of it.

use std::time::Duration;

use sockbench::testing::diagnose::diagnose;
use sockbench::testing::model::{Call, Closer, Closes, FindingId as Id, RunResult, RunStamp};

use super::{clear, fires, ids, reads, stamp, unknown};
use crate::facts::{errno, fail, healthy, latency, short};

#[test]
fn users_not_reached_by_users_rate_or_ramp() {
    let mut rate = healthy();
    rate.plan.rate = 1000.0;
    rate.totals.never_started = 51_000;
    let f = fires(Id::UsersNotReached, &rate);
    assert_eq!((f.evidence["rate_asked"].as_f64(), f.evidence["rate_achieved"].as_f64()), (Some(1000.0), Some(150.0)));
    reads("users-not-reached, by rate", &f);
    rate.totals.service_latency_ms = Some(latency(300.0));
    let more = &fires(Id::UsersNotReached, &rate).remedies[0];
    assert!(more.command.contains("--conns 360 "), "1000/s at 300 ms, and a fifth to spare: {more:?}");
    let mut ramp = healthy();
    (ramp.plan.spawn_rate, ramp.totals.users_reached) = (0.5, 30);
    reads("users-not-reached, by a ramp", &fires(Id::UsersNotReached, &ramp));
    // Short connections with think time never stand all at once.
    clear(Id::UsersNotReached, &short(200.0));
    clear(Id::UsersNotReached, &healthy());
    let mut none = healthy();
    (none.totals.attempts, none.totals.requests) = (0, 0);
    unknown(Id::UsersNotReached, &none);
}

#[test]
fn nobody_reached_is_not_answered_with_fewer_users() {
    let mut run = healthy();
    fail(&mut run, errno(Call::Connect, 111), 30, 0.0, 1.0);
    run.totals.users_reached = 0;
    let f = fires(Id::UsersNotReached, &run);
    assert_eq!((&f.evidence["users_reached"], &f.evidence["users_asked"]), (&0.into(), &50.into()));
    assert!(f.remedies.iter().all(|r| !r.command.contains("--conns")), "{:?}", f.remedies);
    run.totals.users_reached = 1;
    let f = fires(Id::UsersNotReached, &run);
    assert_eq!(f.evidence["users_reached"], 1);
    reads("users-not-reached, one user", &f);
}

#[test]
fn a_refused_ramp_is_not_blamed_on_the_ramp() {
    let mut run = healthy();
    (run.plan.users, run.plan.spawn_rate, run.duration_s, run.totals.users_asked) = (10, 2.0, 1.0, 10);
    (run.totals.users_reached, run.totals.connections_opened) = (0, 0);
    run.series.truncate(1);
    run.series[0].users_asked = 2;
    (run.totals.requests, run.totals.attempts, run.totals.latency_ms) = (0, 0, None);
    fail(&mut run, errno(Call::Connect, 111), 30, 0.0, 1.0);
    let found = diagnose(&run);
    assert_eq!(ids(&found), [Id::TargetRefused, Id::UsersNotReached]);
    assert_eq!(found[1].caused_by, [Id::TargetRefused]);
    reads("users-not-reached, a refused ramp", &fires(Id::UsersNotReached, &run));
    assert!(found[0].remedies.iter().all(|r| !r.command.contains("sockbench server")), "{:?}", found[0].remedies);
    // A run to its end: its ramp is as long as it is, whatever failed beside it.
    run.plan.duration = Duration::from_secs(1);
    let f = &diagnose(&run)[1];
    assert!(f.caused_by.is_empty(), "{f:?}");
}

#[test]
fn a_ramp_that_just_misses_the_end_is_said_in_the_stamp() {
    let mut run = healthy();
    (run.plan.users, run.plan.spawn_rate, run.duration_s) = (10, 2.0, 4.0);
    run.plan.duration = Duration::from_secs(4);
    (run.totals.users_asked, run.totals.users_reached, run.totals.attempts, run.totals.requests) = (10, 8, 307, 307);
    run.series.truncate(4);
    for (p, n) in run.series.iter_mut().zip([2, 4, 6, 9]) {
        p.users_asked = n;
    }
    let f = fires(Id::UsersNotReached, &run);
    assert_eq!((&f.evidence["users_started"], &f.evidence["users_asked"]), (&9.into(), &10.into()), "ramp 4.5 s");
    reads("users-not-reached, by a ramp that just misses the end", &f);
    assert_eq!(stamp(&run).stamp, RunStamp::Incomplete);
    // All were started, the last a moment before the end: no fault, but not what was asked for.
    (run.plan.spawn_rate, run.series[3].users_asked) = (2.5, 10);
    clear(Id::UsersNotReached, &run);
    let stamped = stamp(&run);
    assert_eq!((stamped.stamp, stamped.reasons.len()), (RunStamp::Incomplete, 1), "{:?}", stamped.reasons);
    assert!(stamped.reasons[0].contains("10") && stamped.reasons[0].contains('8'), "{:?}", stamped.reasons);
    run.totals.users_reached = 10;
    assert_eq!(stamp(&run).stamp, RunStamp::Valid);
}

#[test]
fn a_target_that_leaves_the_first_fin_to_the_client_is_said_in_the_stamp() {
    let mut run = short(200.0);
    run.plan.closer = Closer::Server;
    let reason = &stamp(&run).reasons[0];
    assert!(reason.contains("0 of 12,000") && reason.contains("1 s"), "{reason}");
    run.closes = Closes { server: 11_990, client: 10, ..Default::default() };
    run.totals.cut = 10;
    assert_eq!(stamp(&run).stamp, RunStamp::Valid, "those that the end cut off: {:?}", stamp(&run).reasons);
    run.closes = Closes { server: 11_000, client: 1000, ..Default::default() };
    run.totals.cut = 1000;
    assert_eq!(stamp(&run).stamp, RunStamp::Valid, "however many: {:?}", stamp(&run).reasons);
}

#[test]
fn a_run_that_is_over_a_moment_early_is_whole() {
    let ended = |duration_s: f64| stamp(&RunResult { duration_s, ..healthy() }).stamp;
    assert_eq!([59.9, 59.6, 59.4].map(ended), [RunStamp::Valid, RunStamp::Valid, RunStamp::Incomplete]);
}
