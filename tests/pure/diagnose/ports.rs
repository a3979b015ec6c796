//! Source ports that run out, and what announces it.

use sockbench::testing::diagnose::{diagnose, settle};
use sockbench::testing::model::{Call, FindingId as Id, PortMode, RunResult, RunStamp, VerdictId};

use super::{clear, fires, ids, names, reads, unknown, unnamed};
use crate::facts::{errno, exhausted, fail, healthy, short};

#[test]
fn ports_exhausted_by_call_and_choice() {
    let f = fires(Id::LocalPortsExhausted, &exhausted());
    assert_eq!(
        (&f.evidence["failures"], &f.evidence["pool"], &f.evidence["windows_code"]),
        (&12_350.into(), &28_232.into(), &10_048.into())
    );
    assert!((f.evidence["ceiling_cps"].as_f64().unwrap() - 470.5).abs() < 0.1);
    assert!((f.evidence["rate_until_first_cps"].as_f64().unwrap() - 800.0).abs() < 1.0);
    // Half of the ports were in use before: at most the other half was used up.
    let mut half = exhausted();
    half.ports.as_mut().unwrap().leftover_before = Some(14_116);
    let f = fires(Id::LocalPortsExhausted, &half);
    assert!((f.evidence["rate_until_first_cps"].as_f64().unwrap() - 14_116.0 / 35.3).abs() < 1.0, "{:?}", f.evidence);
    let mut bind = short(800.0);
    bind.plan.port_mode = PortMode::Bind;
    fail(&mut bind, errno(Call::Bind, 98), 10, 35.0, 60.0);
    let f = fires(Id::LocalPortsExhausted, &bind);
    assert_eq!(f.evidence["windows_code"], 10_055);
    reads("local-ports-exhausted, by bind", &f);
    clear(Id::LocalPortBusy, &bind);
    clear(Id::LocalPortsExhausted, &healthy());
    unknown(Id::LocalPortsExhausted, &unnamed(true));
}

#[test]
fn no_local_address_is_not_told_as_used_up_ports() {
    let mut run = healthy();
    (run.totals.connections_opened, run.totals.requests, run.totals.attempts) = (0, 0, 0);
    run.totals.latency_ms = None;
    fail(&mut run, errno(Call::Connect, 99), 500, 0.0, 1.0);
    clear(Id::LocalPortsExhausted, &run);
    clear(Id::FailuresWillReturn, &run);
    let f = fires(Id::UsersNotReached, &run);
    assert_eq!((&f.evidence["errno"], &f.evidence["windows_code"]), (&99.into(), &10049.into()));
    reads("users-not-reached, no address to connect from", &f);
    settle(&mut run);
    assert_eq!((run.validity.stamp, run.verdict.id), (RunStamp::ClientBound, VerdictId::ClientBound));
    assert_eq!(run.errors[0].windows_code, Some(10049), "Windows keeps the two apart");
}

#[test]
fn failures_return_every_hold_time() {
    let f = fires(Id::FailuresWillReturn, &exhausted());
    assert_eq!(f.evidence["next_s"].as_f64(), Some(95.3));
    let mut kept = exhausted();
    let ports = kept.ports.as_mut().unwrap();
    (ports.peak_time_wait, ports.states.established) = (Some(0), Some(28_232));
    clear(Id::FailuresWillReturn, &kept);
    let mut blind = exhausted();
    blind.ports = None;
    blind.host.sysctls.tcp_tw_reuse = None;
    unknown(Id::FailuresWillReturn, &blind);
}

#[test]
fn a_recurrence_at_the_very_end_is_not_counted_in_microseconds() {
    let mut run = exhausted();
    run.duration_s = 95.299_82;
    reads("failures-will-return, just as it ended", &fires(Id::FailuresWillReturn, &run));
}

#[test]
fn budget_high_by_peak_or_by_rate() {
    let f = fires(Id::PortBudgetHigh, &short(400.0));
    assert!((f.evidence["peak_share"].as_f64().unwrap() - 0.85).abs() < 0.005, "{:?}", f.evidence);
    // Over P/T, but only 10 s long: 6000 of 28232.
    let mut brief = short(600.0);
    brief.duration_s = 10.0;
    brief.series.truncate(10);
    let t = &mut brief.totals;
    (t.connections_opened, t.requests, t.attempts) = (6000, 6000, 6000);
    let ports = brief.ports.as_mut().unwrap();
    (ports.peak_used, ports.peak_share) = (Some(6000), Some(0.2125));
    let f = fires(Id::PortBudgetHigh, &brief);
    assert!((f.evidence["exhausted_at_s"].as_f64().unwrap() - 47.05).abs() < 0.1, "{:?}", f.evidence);
    reads("port-budget-high, a longer run fails", &f);
    // More than P connections made, and the pool never filled: the model is proven wrong, so no warning.
    let mut proven = brief.clone();
    proven.totals.connections_opened = 30_000;
    clear(Id::PortBudgetHigh, &proven);
    assert!(!ids(&diagnose(&exhausted())).contains(&Id::PortBudgetHigh));
    clear(Id::PortBudgetHigh, &short(200.0));
    // Ten thousand users who connect in 10 s and stay connected make no rate that uses ports up.
    let mut kept = healthy();
    kept.duration_s = 10.0;
    kept.series.truncate(10);
    let t = &mut kept.totals;
    (t.connections_opened, t.users_asked, t.users_reached) = (10_000, 10_000, 10_000);
    kept.closes.client = 10_000;
    clear(Id::PortBudgetHigh, &kept);
    let mut blind = short(400.0);
    blind.ports = None;
    unknown(Id::PortBudgetHigh, &blind);
}

#[test]
fn search_slow_by_mean_and_p95() {
    let slow = |mean: f64, p95: f64| {
        let mut run = short(400.0);
        for p in run.series.iter_mut().filter(|p| p.ports_used.unwrap() > 14_116) {
            (p.connect_mean_us, p.connect_p95_us) = (Some(mean), Some(p95));
        }
        run
    };
    let f = fires(Id::PortSearchSlow, &slow(1950.0, 2400.0));
    assert_eq!((f.evidence["mean_us"].as_f64(), f.evidence["mean_us_below_half"].as_f64()), (Some(1950.0), Some(13.0)));
    clear(Id::PortSearchSlow, &slow(40.0, 60.0));
    clear(Id::PortSearchSlow, &short(400.0));
    // A hundred ports are searched in 50 us: the rest is the machine's.
    let mut few = slow(257.0, 2400.0);
    few.ports.as_mut().unwrap().pool = Some(100);
    for p in &mut few.series {
        p.ports_used = p.ports_used.map(|used| used * 100 / 28_232);
    }
    clear(Id::PortSearchSlow, &few);
    let mut blind = slow(1950.0, 2400.0);
    for p in &mut blind.series {
        p.ports_used = None;
    }
    unknown(Id::PortSearchSlow, &blind);
}

/// 19,000 users who keep their connections: the search is as slow, but no port comes back.
#[test]
fn search_slow_for_kept_connections() {
    let mut run = healthy();
    (run.plan.users, run.totals.connections_opened, run.totals.users_reached) = (19_000, 19_000, 19_000);
    for (i, p) in run.series.iter_mut().enumerate() {
        let (made, mean) =
            [(8000, 14.0), (6100, 50.0), (1500, 660.0), (2400, 430.0), (1000, 530.0)].get(i).copied().unwrap_or((0, 0.0));
        (p.users_asked, p.ports_used) = (19_000, Some([8000, 14_100, 15_600, 18_000, 19_000][i.min(4)]));
        p.connects = made;
        (p.connect_p50_us, p.connect_mean_us, p.connect_p95_us) =
            if made > 0 { (Some(mean), Some(mean), Some(mean * 2.0)) } else { (None, None, None) };
    }
    let ports = run.ports.as_mut().unwrap();
    (ports.peak_used, ports.peak_share) = (Some(19_000), Some(0.673));
    let f = fires(Id::PortSearchSlow, &run);
    assert!(!f.evidence.contains_key("search_cps"), "no rate comes of it: {:?}", f.evidence);
    assert!(!f.explanation.contains("/T"), "{}", f.explanation);
    reads("port-search-slow, kept connections", &f);
}

/// Ports of one parity run out in the fourth second of every four: 8000 ports, T = 4 s, 1250/s.
fn waves() -> RunResult {
    let mut run = short(1250.0);
    run.series.truncate(8);
    (run.duration_s, run.totals.connections_opened) = (8.0, 10_000);
    let ports = run.ports.as_mut().unwrap();
    (ports.pool, ports.hold_s, ports.peak_used) = (Some(8000), Some(4.0), Some(5000));
    for (i, p) in run.series.iter_mut().enumerate() {
        let slow = i % 4 == 3;
        p.connects = 1250;
        p.ports_used = Some((1250 * (i as u32 + 1)).min(5000));
        p.connect_p50_us = Some(if slow { 627.0 } else { 29.0 });
        // A busy machine: single calls lose the core.
        p.connect_mean_us = Some(if slow { 611.0 } else { 70.0 });
        p.connect_p95_us = Some(if slow { 719.0 } else { 547.0 });
    }
    run
}

#[test]
fn a_slow_search_is_seen_on_a_busy_machine_and_between_two_looks() {
    let f = fires(Id::PortSearchSlow, &waves());
    assert_eq!((&f.evidence["seconds_above_half"], &f.evidence["seconds_slow"]), (&5.into(), &2.into()));
    assert_eq!(f.evidence["mean_us"].as_f64(), Some(611.0));
    reads("port-search-slow, in waves", &f);
    // The look of the slow second is missing, as on a machine where a look takes long.
    let mut between = waves();
    (between.series[3].ports_used, between.series[4].ports_used, between.series[7].ports_used) = (None, Some(5031), None);
    assert_eq!(fires(Id::PortSearchSlow, &between).evidence["seconds_slow"], 2);
    // From above half to below it between two looks: ports become free as T ends, not by the connections made, so nothing says
    // how many were in use in the slow second between them.
    let mut falling = waves();
    for (p, used) in falling.series.iter_mut().skip(2).zip([Some(4500), None, None, Some(1000), Some(1000), Some(1000)]) {
        p.ports_used = used;
    }
    falling.series[7].connect_p50_us = Some(29.0);
    assert!(unknown(Id::PortSearchSlow, &falling).contains("not observed"));
    // Single slow calls, a median that is higher for another reason, and a median of a few calls are no slow search.
    let mut lost = waves();
    lost.series.iter_mut().for_each(|p| p.connect_p50_us = Some(29.0));
    clear(Id::PortSearchSlow, &lost);
    let mut contended = waves();
    contended.series.iter_mut().for_each(|p| p.connect_p50_us = p.connect_p50_us.map(|us| us.min(90.0)));
    clear(Id::PortSearchSlow, &contended);
    let mut few = waves();
    few.series.iter_mut().for_each(|p| p.connects = 60);
    clear(Id::PortSearchSlow, &few);
    // Where slow seconds were not looked at, and nothing says how many ports were in use, it is not decided.
    let mut unseen = waves();
    unseen.series.iter_mut().for_each(|p| p.ports_used = None);
    unknown(Id::PortSearchSlow, &unseen);
}

/// Four users who press on, in the first second at (P/2)/T already: 6000 ports, T = 1 s, as measured on Linux 6.18.
#[test]
fn a_closed_loop_that_stands_at_the_search_limit_is_seen_without_a_second_before() {
    let stands = |p50: f64, mean: f64, p95: f64, cps: u64| {
        let mut run = short(cps as f64);
        (run.plan.rate, run.plan.users) = (0.0, 4);
        run.series.truncate(8);
        (run.duration_s, run.totals.connections_opened) = (8.0, 8 * cps);
        run.closes.client = 8 * cps;
        let ports = run.ports.as_mut().unwrap();
        (ports.pool, ports.hold_s, ports.peak_used) = (Some(6000), Some(1.0), Some(3447));
        for p in &mut run.series {
            (p.connects, p.ports_used) = (cps, Some(3184));
            (p.connect_p50_us, p.connect_mean_us, p.connect_p95_us) = (Some(p50), Some(mean), Some(p95));
        }
        assert!(!run.plan.is_open_loop());
        run
    };
    let f = fires(Id::PortSearchSlow, &stands(16.0, 130.0, 567.0, 3282));
    assert_eq!((f.evidence["p50_us"].as_f64(), f.evidence["search_cps"].as_f64()), (Some(16.0), Some(3000.0)));
    assert!(f.explanation.contains("near where this run levelled off"), "{}", f.explanation);
    reads("port-search-slow, from the first second", &f);
    // Calls that lose the core now and then, calls that are all alike, and a rate far from the limit are something else.
    clear(Id::PortSearchSlow, &stands(16.0, 40.0, 36.0, 3282));
    clear(Id::PortSearchSlow, &stands(120.0, 130.0, 180.0, 3282));
    clear(Id::PortSearchSlow, &stands(16.0, 130.0, 567.0, 4600));
    clear(Id::PortSearchSlow, &stands(16.0, 5000.0, 20_000.0, 3282));
}

/// The exhausted run with the ports in use by something else at the peak.
fn held_by(change: impl FnOnce(&mut sockbench::testing::model::Ports)) -> RunResult {
    let mut run = exhausted();
    let ports = run.ports.as_mut().unwrap();
    (ports.states, ports.peak_time_wait) = (sockbench::testing::model::PortStates::default(), Some(0));
    change(ports);
    run
}

#[test]
fn fin_wait2_is_the_targets_doing_and_not_a_matter_of_reuse() {
    let mut run = held_by(|p| p.states.fin_wait2 = Some(28_232));
    run.host.sysctls.tcp_fin_timeout_s = Some(60);
    let f = fires(Id::LocalPortsExhausted, &run);
    assert_eq!(f.evidence["fin_wait2"], 28_232);
    reads("local-ports-exhausted, in FIN_WAIT2", &f);
    let commands: Vec<_> = f.remedies.iter().map(|r| r.command.as_str()).collect();
    assert!(commands.iter().any(|c| c.contains("tcp_fin_timeout=2")), "{commands:?}");
    assert!(!commands.iter().any(|c| c.contains("tcp_tw_reuse") || c.contains("--closer server")), "{commands:?}");
    fires(Id::FailuresWillReturn, &run);
}

#[test]
fn open_connections_do_not_obey_the_law() {
    let run = held_by(|p| p.states.established = Some(28_232));
    let f = fires(Id::LocalPortsExhausted, &run);
    assert_eq!(f.evidence["established"], 28_232);
    assert!(!names(&f).iter().any(|name| ["tw-reuse", "wait", "pace"].contains(name)), "P/T does not decide: {:?}", names(&f));
    reads("local-ports-exhausted, by open connections", &f);
    clear(Id::FailuresWillReturn, &run);
}

#[test]
fn ports_that_others_bound_are_said_to_be_unseen() {
    use sockbench::testing::model::Elsewhere;
    let run = held_by(|p| {
        (p.pool, p.peak_used, p.states.time_wait) = (Some(100), Some(20), Some(20));
        p.elsewhere = vec![Elsewhere { destination: "10.0.0.9:5432".into(), ports: 80 }];
    });
    let f = fires(Id::LocalPortsExhausted, &run);
    assert_eq!((&f.evidence["ports_elsewhere"], &f.evidence["peak_used"]), (&80.into(), &20.into()));
    reads("local-ports-exhausted, ports of others", &f);
    clear(Id::FailuresWillReturn, &run);
}

#[test]
fn the_time_without_ports_is_told_by_its_stretches() {
    use sockbench::testing::model::FailureSpan;
    let mut run = exhausted();
    let span = |from_s, to_s| FailureSpan { from_s, to_s, count: 6175 };
    run.totals.local_failure_spans = vec![span(35.3, 40.0), span(55.0, 59.9)];
    reads("local-ports-exhausted, in two stretches", &fires(Id::LocalPortsExhausted, &run));
    run.totals.local_failure_spans.clear();
    run.series[45].connects = 30;
    reads("local-ports-exhausted, for some of the connections", &fires(Id::LocalPortsExhausted, &run));
}
