//! A chosen source port that is busy, or an address that is not this host's.

use sockbench::testing::diagnose::diagnose;
use sockbench::testing::model::{Call, Failure, FindingId as Id, PortMode, PortRange, RunResult};

use super::client::connections_busy;
use super::{clear, fires, ids, reads, stamp, unknown, unnamed};
use crate::facts::{errno, exhausted, fail, healthy, short};

#[test]
fn port_busy_by_holder() {
    let ring = |reuse: bool, failure: Failure| {
        let mut run = short(100.0);
        run.plan.port_mode = PortMode::Ring;
        run.plan.reuse_addr = reuse;
        run.plan.port_range = Some(PortRange { lo: 10_000, hi: 14_999 });
        fail(&mut run, failure, 40, 50.1, 59.0);
        run
    };
    let f = fires(Id::LocalPortBusy, &ring(false, errno(Call::Bind, 98)));
    assert_eq!((&f.evidence["reuse_addr"], &f.evidence["ring_ports"]), (&0.into(), &5000.into()));
    assert!(f.remedies[0].command.contains("--reuse-addr"));
    let twin = Failure { port_bound: true, ..errno(Call::Connect, 99) };
    let f = fires(Id::LocalPortBusy, &ring(true, twin));
    assert_eq!((&f.evidence["call"], &f.evidence["port_bound"]), (&"connect".into(), &1.into()));
    reads("local-port-busy, by a live twin", &f);
    let mut off = ring(true, twin);
    off.host.sysctls.tcp_timestamps = Some(0);
    let f = fires(Id::LocalPortBusy, &off);
    assert_eq!(f.evidence["tcp_timestamps"], 0);
    assert!(f.remedies[0].command.starts_with("sysctl -w net.ipv4.tcp_timestamps=1"), "{:?}", f.remedies);
    reads("local-port-busy, without timestamps", &f);
    // As many users as ports can all have one; with one more, the ports are this run's own.
    let crowded = |users: u32| {
        let mut run = ring(true, errno(Call::Bind, 98));
        (run.totals.users_asked, run.totals.users_reached) = (users, 5000);
        fires(Id::LocalPortBusy, &run).explanation
    };
    assert!(!crowded(5000).contains("more users than its ring has ports"), "{}", crowded(5000));
    assert!(crowded(5001).contains("more users than its ring has ports"), "{}", crowded(5001));
    clear(Id::LocalPortBusy, &exhausted());
    unknown(Id::LocalPortBusy, &unnamed(true));
}

/// A ring of 100 ports without reuse at `cps` for 3 s, own 100 ports used up after one.
fn ring_of_100() -> RunResult {
    let mut run = connections_busy();
    run.plan.target = sockbench::testing::model::Target::own(([127, 0, 0, 1], 8080).into());
    (run.plan.rate, run.plan.keepalive, run.plan.port_mode) = (100.0, false, PortMode::Ring);
    run.plan.port_range = Some(PortRange { lo: 20_000, hi: 20_099 });
    run.plan.sources = vec![[127, 0, 0, 1].into()];
    (run.duration_s, run.totals.never_started, run.totals.connections_opened) = (3.0, 175, 100);
    run.resources.client.late_requests = 0;
    let ports = run.ports.as_mut().unwrap();
    (ports.pool, ports.hold_s) = (Some(100), Some(60.0));
    run.series.truncate(3);
    for (p, n) in run.series.iter_mut().zip([99, 1, 0]) {
        p.connects = n;
    }
    fail(&mut run, errno(Call::Bind, 98), 25, 1.0, 3.0);
    run
}

#[test]
fn what_a_busy_port_kept_away_is_advised_as_a_busy_port() {
    let found = diagnose(&ring_of_100());
    assert_eq!(ids(&found)[..2], [Id::LocalPortBusy, Id::UsersNotReached]);
    let f = &found[1];
    assert_eq!(f.caused_by, [Id::LocalPortBusy]);
    assert!(found[0].remedies[0].command.contains("--reuse-addr"), "{:?}", found[0].remedies);
    assert!(f.remedies.iter().any(|r| r.command.contains("--rate 1 ")), "0.65 of 1.7/s: {:?}", f.remedies);
    assert!(f.remedies.iter().all(|r| !r.command.contains("--rate 37") && !r.command.contains("--conns 72")), "{:?}", f.remedies);
    for r in found.iter().flat_map(|f| &f.remedies) {
        assert!(!r.command.contains("--source"), "nobody gave one: {r:?}");
    }
    // Two busy ports among many requests do not explain what a slow target left out.
    let mut few = connections_busy();
    few.plan.port_mode = PortMode::Ring;
    fail(&mut few, errno(Call::Bind, 98), 2, 1.0, 3.0);
    let found = diagnose(&few);
    assert!(found[1].caused_by.is_empty() && found[1].remedies[0].command.contains("--conns 72 "), "{:?}", found[1]);
}

#[test]
fn ports_of_an_earlier_run_are_told_from_those_of_this_one() {
    let own = fires(Id::LocalPortBusy, &ring_of_100());
    assert!(own.remedies[0].command.starts_with("sleep 60 && "), "its own lack it for 60 s: {:?}", own.remedies[0]);
    let mut run = ring_of_100();
    // The first failure comes before the ring was round once.
    for p in &mut run.series {
        p.connects = 0;
    }
    let f = fires(Id::LocalPortBusy, &run);
    assert_eq!(f.evidence["ring_held_before"], 95);
    reads("local-port-busy, by an earlier run", &f);
    let moved = &f.remedies[1].command;
    assert!(moved.contains("--port-range 20100-32000 "), "past those in use: {moved}");
}

#[test]
fn a_policy_that_forbids_connections_is_named() {
    for refused in [1, 13] {
        let mut run = healthy();
        (run.totals.requests, run.totals.attempts, run.totals.users_reached, run.totals.latency_ms) = (0, 0, 0, None);
        fail(&mut run, errno(Call::Connect, refused), 500, 0.0, 1.0);
        let f = fires(Id::UsersNotReached, &run);
        assert!(f.title.contains("a policy of this machine forbids connections"), "{refused}: {}", f.title);
    }
}

#[test]
fn a_source_address_of_another_host_is_named() {
    let mut run = healthy();
    run.plan.sources = vec![[10, 99, 99, 1].into()];
    (run.totals.requests, run.totals.attempts, run.totals.users_reached, run.totals.latency_ms) = (0, 0, 0, None);
    fail(&mut run, errno(Call::Bind, 99), 500, 0.0, 1.0);
    clear(Id::LocalPortBusy, &run);
    let found = diagnose(&run);
    assert_eq!(ids(&found)[0], Id::UsersNotReached);
    assert_eq!(found[0].evidence["bind_failures"], 500);
    reads("users-not-reached, the source address of another host", &fires(Id::UsersNotReached, &run));
    assert!(stamp(&run).reasons[0].contains("10.99.99.1"), "{:?}", stamp(&run).reasons);
}
