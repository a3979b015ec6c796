//! Every rule with facts on which it fires, facts on which it is clear, and facts that do not let it tell.

use crate::facts::{endpoint, errno, exhausted, fail, healthy, late, latency, second, short, status, truncated};
use sockbench::diagnose::rule::{Found, Verdict};
use sockbench::diagnose::table::{RULES, STUDY_RULES};
use sockbench::diagnose::{diagnose, stamp};
use sockbench::model::finding::{Finding, FindingId as Id, Severity};
use sockbench::model::outcome::{Call, Cause, Failure, Phase};
use sockbench::model::plan::{Closer, PortMode, PortRange};
use sockbench::model::result::{RunResult, Stamp, ThreadRow};

fn check(id: Id, run: &RunResult) -> Verdict {
    (RULES.iter().find(|r| r.id == id).unwrap().check)(run)
}

fn fires(id: Id, run: &RunResult) -> Found {
    match check(id, run) {
        Verdict::Finding(f) => *f,
        other => panic!("{}: {other:?}", id.word()),
    }
}

fn clear(id: Id, run: &RunResult) {
    assert_eq!(check(id, run), Verdict::Clear, "{}", id.word());
}

fn unknown(id: Id, run: &RunResult) -> String {
    match check(id, run) {
        Verdict::Unknown(missing) => missing,
        other => panic!("{}: {other:?}", id.word()),
    }
}

fn ids(found: &[Finding]) -> Vec<Id> {
    found.iter().map(|f| f.id).collect()
}

/// Failures that no row names.
fn unnamed(local: bool) -> RunResult {
    let mut run = healthy();
    if local {
        run.totals.local_failures = 7;
    } else {
        run.totals.failures = 7;
    }
    run
}

/// One run for each id on which its finding is expected among the others.
fn firing() -> Vec<(Id, RunResult)> {
    let with = |base: RunResult, f: &dyn Fn(&mut RunResult)| {
        let mut run = base;
        f(&mut run);
        run
    };
    vec![
        (Id::LocalPortsExhausted, exhausted()),
        (
            Id::LocalPortBusy,
            with(short(100.0), &|r| {
                r.plan.port_mode = PortMode::Ring;
                r.plan.port_range = Some(PortRange { lo: 10_000, hi: 14_999 });
                fail(r, errno(Call::Bind, 98), 40, 50.1, 59.0);
            }),
        ),
        (
            Id::LocalFdLimit,
            with(healthy(), &|r| {
                r.plan.users = 2000;
                fail(r, errno(Call::Socket, 24), 900, 0.1, 59.0);
            }),
        ),
        (Id::TargetRefused, with(healthy(), &|r| fail(r, errno(Call::Connect, 111), 30, 0.0, 1.0))),
        (
            Id::TargetBacklogOverflow,
            with(healthy(), &|r| {
                r.kernel.as_mut().unwrap().listen_overflows = 44;
                r.totals.connects.as_mut().unwrap().setup_near_1s = 20;
            }),
        ),
        (Id::TargetResets, with(healthy(), &|r| fail(r, Failure { reused: true, ..errno(Call::Read, 104) }, 5, 3.0, 40.0))),
        (Id::TargetTimeouts, with(healthy(), &|r| fail(r, late(Phase::Waiting), 9, 10.0, 50.0))),
        (Id::TargetMalformed, with(healthy(), &|r| fail(r, truncated(), 3, 10.0, 50.0))),
        (Id::TargetErrors, with(healthy(), &|r| fail(r, status(503), 90, 10.0, 50.0))),
        (
            Id::TargetForbidsKeepalive,
            with(healthy(), &|r| {
                r.closes.announced_by_target = 9000;
                r.totals.connections_opened = 9000;
                r.totals.requests_per_connection = Some(1.0);
                r.closes.client = 9000;
            }),
        ),
        (Id::FailuresWillReturn, exhausted()),
        (Id::PortBudgetHigh, short(400.0)),
        (
            Id::PortSearchSlow,
            with(short(400.0), &|r| {
                for p in r.series.iter_mut().filter(|p| p.ports_used.unwrap() > 14_116) {
                    (p.connect_mean_us, p.connect_p95_us) = (Some(1950.0), Some(2400.0));
                }
            }),
        ),
        (Id::GeneratorSaturated, with(healthy(), &|r| r.resources.client.saturated_seconds = Some(50))),
        (Id::UsersNotReached, with(healthy(), &|r| r.totals.users_reached = 31)),
        (
            Id::TargetQueueing,
            with(healthy(), &|r| {
                r.endpoints[0].server_timing_ms.as_mut().unwrap().queue.p50 = 80.0;
            }),
        ),
        (
            Id::TargetCpuSaturated,
            with(healthy(), &|r| {
                r.plan.think = sockbench::model::plan::Think::default();
                r.resources.target.as_mut().unwrap().busiest_thread_percent = Some(97.0);
            }),
        ),
        (Id::ClosedLoopLimited, healthy()),
        (Id::TailEndpoint, with(healthy(), &|r| r.endpoints[1] = endpoint("/io", 4500, 210.0))),
    ]
}

#[test]
fn every_single_run_id_has_facts_on_which_it_fires() {
    let all = firing();
    for id in Id::ALL.into_iter().filter(|id| *id != Id::ThroughputPlateau) {
        let (_, run) = all.iter().find(|(i, _)| *i == id).unwrap();
        let found = diagnose(run);
        assert!(ids(&found).contains(&id), "{}: {:?}", id.word(), ids(&found));
        if id.severity() != Severity::Info && id != Id::FailuresWillReturn && id != Id::PortSearchSlow {
            assert_eq!(found[0].id, id, "{:?}", ids(&found));
        }
    }
}

#[test]
fn a_finding_names_its_number_two_remedies_their_commands_and_effects() {
    for (id, run) in firing() {
        for f in diagnose(&run) {
            let word = f.id.word();
            assert!(f.title.chars().any(|c| c.is_ascii_digit()), "{word}: {}", f.title);
            assert!(f.remedies.len() >= 2, "{word}: {:?}", f.remedies);
            assert!(!f.evidence.is_empty() && f.evidence.values().all(|v| !v.is_null()), "{word}: {:?}", f.evidence);
            assert!(f.explanation.matches(['.', '?']).count() >= 2, "{word}: {}", f.explanation);
            assert_eq!(f.severity, f.id.severity());
            for r in &f.remedies {
                assert!(!r.command.is_empty() && !r.action.is_empty(), "{word} ({}): {r:?}", id.word());
                assert!(r.expected.len() > 10 && r.proven.is_none(), "{word}: {r:?}");
            }
            let numbers = f.remedies.iter().filter(|r| r.expected.chars().any(|c| c.is_ascii_digit())).count();
            assert!(numbers >= 1, "{word}: no remedy says its effect in numbers: {:?}", f.remedies);
            for cause in &f.caused_by {
                assert!(f.explanation.split(". ").next().unwrap().contains(cause.word()), "{word}: {}", f.explanation);
            }
        }
    }
}

#[test]
fn a_healthy_run_is_clear_of_errors_and_warnings() {
    let mut rate = healthy();
    rate.plan.think = sockbench::model::plan::Think::default();
    rate.plan.rate = 150.0;
    rate.resources.client.lateness_p99_ms = Some(1.2);
    let mut server_closes = short(3000.0);
    server_closes.plan.closer = Closer::Server;
    let n = server_closes.totals.connections_opened;
    server_closes.closes = sockbench::model::result::Closes { server: n, ..Default::default() };
    let ports = server_closes.ports.as_mut().unwrap();
    (ports.hold_s, ports.peak_used, ports.peak_share) = (Some(0.0), Some(20), Some(0.001));
    let mut ring = short(5000.0);
    ring.plan.port_mode = PortMode::Ring;
    ring.plan.reuse_addr = true;
    ring.plan.port_range = Some(PortRange { lo: 10_000, hi: 13_999 });
    let ports = ring.ports.as_mut().unwrap();
    (ports.pool, ports.hold_s, ports.peak_used, ports.peak_share) = (Some(4000), Some(0.0), Some(4000), Some(1.0));
    // A default Linux box on 127.0.0.1: all ports wear TIME_WAIT, and are taken again after 1 s.
    let mut loopback = short(1000.0);
    loopback.plan.target = sockbench::model::plan::Target::own(([127, 0, 0, 1], 8080).into());
    let ports = loopback.ports.as_mut().unwrap();
    (ports.hold_s, ports.ceiling_cps, ports.search_cps) = (Some(1.0), Some(28_232.0), Some(14_116.0));
    let mut short_well_below = short(200.0);
    short_well_below.plan.rate = 200.0;
    short_well_below.resources.client.lateness_p99_ms = Some(0.4);
    let runs = [
        ("keep-alive", healthy()),
        ("rate", rate),
        ("server closes", server_closes),
        ("ring", ring),
        ("loopback", loopback),
        ("short", short_well_below),
    ];
    for (name, run) in runs {
        let bad: Vec<Finding> = diagnose(&run).into_iter().filter(|f| f.severity != Severity::Info).collect();
        assert!(bad.is_empty(), "{name}: {bad:#?}");
    }
}

#[test]
fn findings_come_in_the_order_of_the_contract() {
    assert_eq!(RULES.iter().map(|r| r.id).collect::<Vec<_>>(), Id::ALL);
    let mut run = exhausted();
    fail(&mut run, status(500), 9, 1.0, 2.0);
    fail(&mut run, errno(Call::Connect, 111), 9, 1.0, 2.0);
    let found = ids(&diagnose(&run));
    let mut sorted = found.clone();
    sorted.sort();
    assert_eq!(found, sorted);
    assert!(found.starts_with(&[Id::LocalPortsExhausted, Id::TargetRefused, Id::TargetErrors]), "{found:?}");
}

#[test]
fn ports_exhausted_by_call_and_choice() {
    let f = fires(Id::LocalPortsExhausted, &exhausted());
    assert!(f.title.starts_with("12350 connections could not be made: all 28232 source ports to 10.0.0.1:80"), "{}", f.title);
    assert!(f.explanation.contains("470.5") && f.explanation.contains("10048"), "{}", f.explanation);
    assert!((f.evidence["rate_until_first_cps"].as_f64().unwrap() - 800.0).abs() < 1.0);
    let mut bind = short(800.0);
    bind.plan.port_mode = PortMode::Bind;
    fail(&mut bind, errno(Call::Bind, 98), 10, 35.0, 60.0);
    assert!(fires(Id::LocalPortsExhausted, &bind).explanation.contains("10055"));
    clear(Id::LocalPortBusy, &bind);
    clear(Id::LocalPortsExhausted, &healthy());
    assert!(unknown(Id::LocalPortsExhausted, &unnamed(true)).contains("7 failures"));
}

#[test]
fn remedies_fit_the_plan_in_force() {
    let names = |run: &RunResult| -> Vec<String> {
        fires(Id::LocalPortsExhausted, run).remedies.into_iter().filter_map(|r| r.name).collect()
    };
    let mut run = exhausted();
    let all = names(&run);
    assert_eq!(&all[..4], ["keep-alive", "server-closes", "ring", "tw-reuse"], "{all:?}");
    for folklore in ["fin-timeout", "reuse-addr-alone", "linger-reset", "max-tw-buckets"] {
        assert!(!all.contains(&folklore.to_owned()));
    }
    let f = fires(Id::LocalPortsExhausted, &run);
    let by = |name: &str| f.remedies.iter().find(|r| r.name.as_deref() == Some(name)).unwrap();
    assert!(by("tw-reuse").expected.contains("28232/s instead of 470.5/s"), "{}", by("tw-reuse").expected);
    assert!(by("wider-range").expected.contains("1075/s"), "{}", by("wider-range").expected);
    assert!(by("wider-range").windows_command.as_deref().unwrap().contains("netsh"));
    assert!(by("pace").command.contains("--rate 376"), "{}", by("pace").command);
    assert!(by("ring").command.contains("--port-mode ring --port-range 10000-32000 --reuse-addr"));
    assert!(!by("keep-alive").command.contains("--no-keepalive"));
    run.host.sysctls.ip_local_port_range = Some([1024, 65535]);
    assert!(!names(&run).contains(&"wider-range".to_owned()), "never advise what is already on");
    run.host.sysctls.tcp_tw_reuse = Some(1);
    run.ports.as_mut().unwrap().hold_s = Some(1.0);
    let reusing = names(&run);
    assert!(!reusing.contains(&"tw-reuse".to_owned()) && reusing.contains(&"tw-reuse-delay".to_owned()), "{reusing:?}");
}

#[test]
fn no_local_address_is_not_told_as_used_up_ports() {
    let mut run = healthy();
    (run.totals.connections_opened, run.totals.requests, run.totals.attempts) = (0, 0, 0);
    run.totals.latency_ms = None;
    fail(&mut run, errno(Call::Connect, 99), 500, 0.0, 1.0);
    let f = fires(Id::LocalPortsExhausted, &run);
    assert!(f.title.contains("did not run out") && f.explanation.contains("IPv6"), "{}", f.title);
    clear(Id::FailuresWillReturn, &run);
}

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
    assert!(f.title.contains("without SO_REUSEADDR") && f.explanation.contains("83.3/s"), "{}", f.explanation);
    assert!(f.remedies[0].command.contains("--reuse-addr"));
    let twin = Failure { port_bound: true, ..errno(Call::Connect, 99) };
    assert!(fires(Id::LocalPortBusy, &ring(true, twin)).title.contains("live twin"));
    let mut off = ring(true, twin);
    off.host.sysctls.tcp_timestamps = Some(0);
    let f = fires(Id::LocalPortBusy, &off);
    assert!(f.title.contains("timestamps") && f.remedies.iter().all(|r| !r.action.contains("SO_REUSEADDR on every")), "{f:?}");
    clear(Id::LocalPortBusy, &exhausted());
    unknown(Id::LocalPortBusy, &unnamed(true));
}

#[test]
fn fd_limit() {
    let mut run = healthy();
    run.plan.users = 2000;
    fail(&mut run, errno(Call::Socket, 24), 900, 0.1, 59.0);
    run.totals.users_reached = 1010;
    run.totals.users_asked = 2000;
    let f = fires(Id::LocalFdLimit, &run);
    assert!(
        f.remedies[0].command.starts_with("ulimit -n 2064 && sockbench load http://10.0.0.1:80 --conns 2000 ")
            && f.explanation.contains("10024"),
        "{f:?}"
    );
    let found = diagnose(&run);
    assert!(!ids(&found).contains(&Id::UsersNotReached), "swallowed: {:?}", ids(&found));
    clear(Id::LocalFdLimit, &healthy());
    unknown(Id::LocalFdLimit, &unnamed(true));
}

#[test]
fn refused_and_self_connects() {
    let mut run = healthy();
    fail(&mut run, Failure::new(Call::Connect, Cause::SelfConnect), 4, 0.0, 1.0);
    assert!(fires(Id::TargetRefused, &run).title.contains("connected to themselves"));
    fail(&mut run, errno(Call::Connect, 111), 30, 0.0, 1.0);
    assert!(fires(Id::TargetRefused, &run).explanation.contains("10061"));
    clear(Id::TargetRefused, &healthy());
    unknown(Id::TargetRefused, &unnamed(false));
}

#[test]
fn backlog_by_counter_or_by_cluster() {
    let mut run = healthy();
    run.kernel.as_mut().unwrap().listen_overflows = 1;
    // None of our set-ups was held up: another listener of the namespace overflowed.
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
    assert_eq!(found[1].caused_by, [Id::TargetBacklogOverflow]);
    assert!(found[1].explanation.starts_with("Because the target's backlog overflowed (target-backlog-overflow), the target"));
    clear(Id::TargetTimeouts, &healthy());
    unknown(Id::TargetTimeouts, &unnamed(false));
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
    let mut other = healthy();
    fail(&mut other, errno(Call::Connect, 113), 6, 1.0, 2.0);
    assert!(fires(Id::TargetErrors, &other).title.contains("EHOSTUNREACH at connect()"));
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
    // A limit of a hundred requests per connection is not a ban.
    let mut hundred = healthy();
    hundred.closes.announced_by_target = 90;
    clear(Id::TargetForbidsKeepalive, &hundred);
    let mut none = healthy();
    none.totals.requests = 2;
    unknown(Id::TargetForbidsKeepalive, &none);
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
    assert!(unknown(Id::FailuresWillReturn, &blind).contains("tcp_tw_reuse"));
}

#[test]
fn budget_high_by_peak_or_by_rate() {
    let f = fires(Id::PortBudgetHigh, &short(400.0));
    assert!(f.title.contains("85 % of the 28232"), "{}", f.title);
    // Over P/T, but only 10 s long: 6000 of 28232.
    let mut brief = short(600.0);
    brief.duration_s = 10.0;
    brief.series.truncate(10);
    let t = &mut brief.totals;
    (t.connections_opened, t.requests, t.attempts) = (6000, 6000, 6000);
    let ports = brief.ports.as_mut().unwrap();
    (ports.peak_used, ports.peak_share) = (Some(6000), Some(0.2125));
    let f = fires(Id::PortBudgetHigh, &brief);
    assert!(f.title.contains("a longer run fails after 47.1 s"), "{}", f.title);
    // More than P connections made, and the pool never filled: the model is proven wrong, so no warning.
    let mut proven = brief.clone();
    proven.totals.connections_opened = 30_000;
    clear(Id::PortBudgetHigh, &proven);
    assert!(!ids(&diagnose(&exhausted())).contains(&Id::PortBudgetHigh));
    clear(Id::PortBudgetHigh, &short(200.0));
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
    assert!(f.title.contains("150 times dearer"), "{}", f.title);
    clear(Id::PortSearchSlow, &slow(40.0, 60.0));
    clear(Id::PortSearchSlow, &short(400.0));
    let mut blind = slow(1950.0, 2400.0);
    for p in &mut blind.series {
        p.ports_used = None;
    }
    unknown(Id::PortSearchSlow, &blind);
}

#[test]
fn generator_saturated_by_cpu_or_by_lateness() {
    let mut run = healthy();
    run.plan.rate = 150.0;
    run.resources.client.lateness_p99_ms = Some(25.0);
    assert!(fires(Id::GeneratorSaturated, &run).title.contains("25 ms late"));
    run.plan.rate = 2.0;
    (run.totals.attempts, run.resources.client.late_requests) = (120, 1);
    clear(Id::GeneratorSaturated, &run);
    run.resources.client.late_requests = 5;
    fires(Id::GeneratorSaturated, &run);
    // The 99th percentile of 60 requests is the latest of them.
    (run.plan.rate, run.totals.attempts) = (1.0, 60);
    clear(Id::GeneratorSaturated, &run);
    // One stall of 40 ms in 3 s makes 1 % late, however many there are.
    (run.plan.rate, run.totals.attempts, run.duration_s) = (1000.0, 3000, 3.0);
    run.resources.client.late_requests = 40;
    clear(Id::GeneratorSaturated, &run);
    run.resources.client.late_requests = 400;
    fires(Id::GeneratorSaturated, &run);
    clear(Id::GeneratorSaturated, &healthy());
    let mut blind = healthy();
    blind.resources.client.saturated_seconds = None;
    unknown(Id::GeneratorSaturated, &blind);
}

#[test]
fn users_not_reached_by_users_rate_or_ramp() {
    let mut rate = healthy();
    rate.plan.rate = 1000.0;
    rate.totals.never_started = 51_000;
    assert!(fires(Id::UsersNotReached, &rate).title.contains("1000/s were asked and 150/s made"));
    rate.totals.service_latency_ms = Some(latency(300.0));
    let more = &fires(Id::UsersNotReached, &rate).remedies[0];
    assert!(more.command.contains("--conns 360 "), "1000/s at 300 ms, and a fifth to spare: {more:?}");
    let mut ramp = healthy();
    (ramp.plan.spawn_rate, ramp.totals.users_reached) = (0.5, 30);
    assert!(fires(Id::UsersNotReached, &ramp).title.contains("the ramp takes 98 s"));
    // Short connections with think time never stand all at once.
    clear(Id::UsersNotReached, &short(200.0));
    clear(Id::UsersNotReached, &healthy());
    let mut none = healthy();
    (none.totals.attempts, none.totals.requests) = (0, 0);
    unknown(Id::UsersNotReached, &none);
}

#[test]
fn queueing_by_timing_or_by_growth() {
    let mut grown = healthy();
    for e in &mut grown.endpoints {
        e.server_timing_ms = None;
    }
    grown.series = (0..60).map(|i| if i < 10 { second(i, 25, 150.0, 60.0) } else { second(i, 50, 152.0, 200.0) }).collect();
    assert!(fires(Id::TargetQueueing, &grown).title.contains("3.3 times"));
    clear(Id::TargetQueueing, &healthy());
    let mut blind = grown.clone();
    blind.series.truncate(10);
    unknown(Id::TargetQueueing, &blind);
}

#[test]
fn target_cpu_only_when_pushed() {
    let mut run = healthy();
    run.resources.target.as_mut().unwrap().busiest_thread_percent = Some(97.0);
    clear(Id::TargetCpuSaturated, &run);
    run.totals.latency_ms = Some(latency(900.0));
    run.totals.steady.as_mut().unwrap().latency_ms = Some(latency(900.0));
    fires(Id::TargetCpuSaturated, &run);
    // An interpreter lock: many threads, one core in all.
    let t = run.resources.target.as_mut().unwrap();
    (t.busiest_thread_percent, t.cpu_percent_mean, t.cpu_percent_max) = (Some(30.0), Some(95.0), Some(101.0));
    assert!(fires(Id::TargetCpuSaturated, &run).explanation.contains("interpreter lock"));
    run.resources.target = None;
    unknown(Id::TargetCpuSaturated, &run);
}

/// An own server loaded with /cpu by users in a hurry: `queue_ms` before 30 ms of work, the target at `cpu` %.
fn own_cpu(users: u32, queue_ms: f64, cpu: f64, flags: &[&str]) -> RunResult {
    let mut run = healthy();
    run.plan.target = sockbench::model::plan::Target::own(([127, 0, 0, 1], 8080).into());
    run.plan.think = sockbench::model::plan::Think::default();
    run.plan.users = users;
    run.plan.mix.truncate(1);
    run.plan.mix[0].path = "/cpu".into();
    run.plan.surroundings.server = flags.iter().map(|f| (*f).to_owned()).collect();
    let rps = f64::from(users) * 1000.0 / (queue_ms + 30.0);
    run.endpoints = vec![endpoint("/cpu", (rps * 60.0) as u64, queue_ms + 30.0)];
    let timing = run.endpoints[0].server_timing_ms.as_mut().unwrap();
    (timing.queue.p50, timing.work.p50) = (queue_ms, 30.0);
    let steady = run.totals.steady.as_mut().unwrap();
    (steady.rps, steady.latency_ms) = (rps, Some(latency(queue_ms + 30.0)));
    let t = run.resources.target.as_mut().unwrap();
    (t.name, t.threads) = ("sockbench".into(), Some(132));
    (t.cpu_percent_mean, t.cpu_percent_max) = (Some(cpu), Some(cpu + 2.0));
    t.busiest_thread_percent = Some(cpu.min(98.0));
    run
}

#[test]
fn target_cpu_is_the_limit_of_what_can_work() {
    // One user keeps one core busy; the other worker is idle, and more users would raise the rate.
    clear(Id::TargetCpuSaturated, &own_cpu(1, 0.1, 97.0, &[]));
    // Two users, two of four workers: full threads, but half of the pool is idle.
    let mut half = own_cpu(2, 0.1, 195.0, &[]);
    half.host.cpus = 4;
    clear(Id::TargetCpuSaturated, &half);
    let pool = own_cpu(20, 570.0, 97.0, &["cpu-workers=1"]);
    let f = fires(Id::TargetCpuSaturated, &pool);
    assert!(f.explanation.contains("its 1 worker for /cpu"), "{}", f.explanation);
    assert!(f.remedies[0].command.ends_with("--mix /cpu=1 --server cpu-workers=2"), "{:?}", f.remedies[0]);
    // All cores: what is on is not advised.
    let all = own_cpu(20, 270.0, 190.0, &["io-workers=256"]);
    let f = fires(Id::TargetCpuSaturated, &all);
    assert!(f.explanation.contains("all 2 cores"), "{}", f.explanation);
    for f in [f, fires(Id::TargetQueueing, &all)] {
        assert!(
            f.remedies.iter().all(|r| !r.command.contains("cpu-workers") && !r.command.contains("reactors")),
            "{:?}",
            f.remedies
        );
        assert!(
            f.remedies.iter().any(|r| r.command.contains("--server io-workers=256 --server cpu-work=15ms")),
            "{:?}",
            f.remedies
        );
    }
    // A pause that is longer than the answers: more users would come to more.
    let mut paced = own_cpu(20, 570.0, 97.0, &["cpu-workers=1"]);
    paced.plan.think.min = std::time::Duration::from_secs(5);
    paced.plan.think.max = std::time::Duration::from_secs(5);
    clear(Id::TargetCpuSaturated, &paced);
}

#[test]
fn queueing_advice_follows_the_pool_that_queues() {
    let first = |run: &RunResult| fires(Id::TargetQueueing, run).remedies[0].clone();
    let cpu = first(&own_cpu(20, 570.0, 97.0, &["cpu-workers=1"]));
    assert!(cpu.action.contains("has 1 of 2") && cpu.command.contains("cpu-workers=2"), "{cpu:?}");
    let mut io = own_cpu(20, 1800.0, 5.0, &["io-workers=2"]);
    io.endpoints[0].name = "/io".into();
    let timing = io.endpoints[0].server_timing_ms.as_mut().unwrap();
    timing.work.p50 = 200.0;
    let io = first(&io);
    assert!(io.command.contains("io-workers=") && !io.command.contains("cpu-workers"), "{io:?}");
    // Idle workers: jobs wait for a core.
    let mut starved = own_cpu(20, 570.0, 30.0, &[]);
    starved.endpoints[0].rps = 3.0;
    assert!(first(&starved).command.starts_with("top "), "{:?}", first(&starved));
    // Another's server: nothing of ours is advised.
    let mut other = healthy();
    other.endpoints[0].server_timing_ms.as_mut().unwrap().queue.p50 = 80.0;
    let f = fires(Id::TargetQueueing, &other);
    assert!(f.remedies.iter().all(|r| !r.command.contains("sockbench server")), "{:?}", f.remedies);
}

#[test]
fn nobody_reached_is_not_answered_with_fewer_users() {
    let mut run = healthy();
    fail(&mut run, errno(Call::Connect, 111), 30, 0.0, 1.0);
    run.totals.users_reached = 0;
    let f = fires(Id::UsersNotReached, &run);
    assert!(f.title.starts_with("0 of 50 users"), "{}", f.title);
    assert!(f.remedies.iter().all(|r| !r.command.contains("--conns")), "{:?}", f.remedies);
    run.totals.users_reached = 1;
    let f = fires(Id::UsersNotReached, &run);
    let said = format!("{f:?}");
    assert!(said.contains("1 user,") && !said.contains("1 users"), "{said}");
}

/// A count of one is followed by the singular, in every text of every finding.
#[test]
fn one_is_singular() {
    let plural = |text: &str| {
        let words: Vec<&str> = text.split([' ', ',', ';', ':', '(', ')']).collect();
        let nouns =
            ["users", "connections", "requests", "ports", "answers", "sockets", "set-ups", "workers", "failures", "cores"];
        words.windows(2).any(|w| w[0] == "1" && nouns.contains(&w[1]))
    };
    for (_, mut run) in firing() {
        run.plan.users = 1;
        run.totals.users_asked = 1;
        run.host.cpus = 1;
        run.errors.iter_mut().for_each(|e| e.count = 1);
        (run.totals.users_reached, run.totals.connections_opened) =
            (run.totals.users_reached.min(1), run.totals.connections_opened);
        for f in diagnose(&run) {
            let texts = [&f.title, &f.explanation].into_iter().chain(f.remedies.iter().flat_map(|r| [&r.action, &r.expected]));
            for text in texts {
                assert!(!plural(text), "{}: {text}", f.id.word());
            }
        }
    }
}

#[test]
fn an_idle_timeout_is_not_a_ban_on_keepalive() {
    let mut run = own_cpu(4, 0.1, 5.0, &["idle-timeout=400ms"]);
    run.plan.think.max = std::time::Duration::from_millis(900);
    run.closes = sockbench::model::result::Closes { server: 8000, client: 4, ..Default::default() };
    run.totals.connections_opened = 8004;
    let f = fires(Id::TargetForbidsKeepalive, &run);
    assert!(f.explanation.contains("idle timeout"), "{}", f.explanation);
    assert!(f.remedies[0].command.ends_with("--server idle-timeout=75s"), "{:?}", f.remedies[0]);
    assert!(f.remedies.iter().all(|r| !r.command.contains("keepalive=on")), "on already: {:?}", f.remedies);
}

/// In a private namespace the settings are part of the command; the host's are left alone.
#[test]
fn a_sandbox_stays_a_sandbox() {
    let mut run = exhausted();
    run.plan.target = sockbench::model::plan::Target::own(([127, 0, 0, 1], 8080).into());
    run.plan.surroundings.sandbox = true;
    run.plan.surroundings.set_sysctl("net.ipv4.tcp_tw_reuse", "0");
    run.plan.surroundings.server = vec!["closer=client".into()];
    let f = fires(Id::LocalPortsExhausted, &run);
    for r in &f.remedies {
        assert!(r.command.starts_with("sockbench load --sandbox "), "{r:?}");
    }
    let by = |name: &str| &f.remedies.iter().find(|r| r.name.as_deref() == Some(name)).unwrap().command;
    assert!(by("tw-reuse").contains("--sysctl net.ipv4.tcp_tw_reuse=1 ") && !by("tw-reuse").contains("tcp_tw_reuse=0"));
    assert!(by("server-closes").ends_with("--server closer=server"), "{}", by("server-closes"));
    assert!(f.remedies.iter().all(|r| !matches!(r.name.as_deref(), Some("wait" | "fresh-namespace"))), "it is fresh each time");
}

#[test]
fn closed_loop_is_the_experiments_arithmetic() {
    let mut run = healthy();
    run.totals.latency_ms = Some(latency(102.73));
    run.totals.steady.as_mut().unwrap().latency_ms = Some(latency(102.73));
    run.totals.steady.as_mut().unwrap().rps = 122.6;
    let f = fires(Id::ClosedLoopLimited, &run);
    assert!(f.explanation.contains("= 124.2/s; measured were 122.6/s"), "{}", f.explanation);
    run.plan.think = sockbench::model::plan::Think::default();
    clear(Id::ClosedLoopLimited, &run);
    let mut none = healthy();
    (none.totals.latency_ms, none.totals.steady) = (None, None);
    unknown(Id::ClosedLoopLimited, &none);
}

#[test]
fn tail_needs_two_endpoints() {
    clear(Id::TailEndpoint, &healthy());
    let mut one = healthy();
    one.endpoints.truncate(1);
    unknown(Id::TailEndpoint, &one);
    one.plan.mix.truncate(1);
    clear(Id::TailEndpoint, &one);
}

/// 10, 50 and 100 users of the experiment.
fn study() -> Vec<RunResult> {
    let step = |users: u32, rps: f64, mean: f64| {
        let mut run = short(rps);
        run.plan.users = users;
        run.totals.users_asked = users;
        run.totals.latency_ms = Some(latency(mean));
        let steady = run.totals.steady.as_mut().unwrap();
        (steady.rps, steady.latency_ms) = (rps, Some(latency(mean)));
        let ports = run.ports.as_mut().unwrap();
        (ports.pool, ports.hold_s) = (Some(16_384), Some(120.0));
        run
    };
    vec![step(10, 25.9, 74.66), step(50, 122.6, 102.73), step(100, 122.0, 256.23)]
}

#[test]
fn plateau_names_the_two_limits_of_the_experiment() {
    let rule = STUDY_RULES.iter().find(|r| r.id == Id::ThroughputPlateau).unwrap();
    let found = sockbench::diagnose::diagnose_study(&study());
    assert_eq!(ids(&found), [Id::ThroughputPlateau]);
    let f = &found[0];
    assert!(f.title.starts_with("throughput stops growing after 50 users: 122.6/s, and 122/s with 100"), "{}", f.title);
    assert!(f.explanation.contains("124.2/s by the closed loop") && f.explanation.contains("136.5/s"), "{}", f.explanation);
    assert!((f.evidence["limit_ports_rps"].as_f64().unwrap() - 136.5).abs() < 0.1);
    let mut growing = study();
    growing[2].totals.steady.as_mut().unwrap().rps = 200.0;
    assert_eq!((rule.check)(&growing), Verdict::Clear);
    assert!(matches!((rule.check)(&study()[..1]), Verdict::Unknown(_)));
}

/// The exhausted run with the ports held by something else at the peak.
fn held_by(change: impl FnOnce(&mut sockbench::model::result::Ports)) -> RunResult {
    let mut run = exhausted();
    let ports = run.ports.as_mut().unwrap();
    (ports.states, ports.peak_time_wait) = (sockbench::model::result::PortStates::default(), Some(0));
    change(ports);
    run
}

#[test]
fn fin_wait2_is_the_targets_doing_and_not_a_matter_of_reuse() {
    let mut run = held_by(|p| p.states.fin_wait2 = Some(28_232));
    run.host.sysctls.tcp_fin_timeout_s = Some(60);
    let f = fires(Id::LocalPortsExhausted, &run);
    assert!(
        f.explanation.contains("28232 were in FIN_WAIT2") && f.explanation.contains("tcp_fin_timeout (60 s)"),
        "{}",
        f.explanation
    );
    assert!(
        f.explanation.contains("The target is the cause") && !f.explanation.contains("It is not the target"),
        "{}",
        f.explanation
    );
    let commands: Vec<_> = f.remedies.iter().map(|r| r.command.as_str()).collect();
    assert!(commands.iter().any(|c| c.contains("tcp_fin_timeout=2")), "{commands:?}");
    assert!(!commands.iter().any(|c| c.contains("tcp_tw_reuse") || c.contains("--closer server")), "{commands:?}");
    fires(Id::FailuresWillReturn, &run);
}

#[test]
fn open_connections_do_not_obey_the_law() {
    let run = held_by(|p| p.states.established = Some(28_232));
    let f = fires(Id::LocalPortsExhausted, &run);
    assert!(
        f.explanation.contains("28232 had open connections; each port is free again when its connection ends"),
        "{}",
        f.explanation
    );
    assert!(!f.explanation.contains("sustain"), "P/T does not decide: {}", f.explanation);
    assert!(!f.remedies.iter().any(|r| matches!(r.name.as_deref(), Some("tw-reuse" | "wait" | "pace"))), "{:?}", f.remedies);
    clear(Id::FailuresWillReturn, &run);
}

#[test]
fn ports_that_others_bound_are_said_to_be_unseen() {
    use sockbench::model::result::Elsewhere;
    let run = held_by(|p| {
        (p.pool, p.peak_used, p.states.time_wait) = (Some(100), Some(20), Some(20));
        p.elsewhere = vec![Elsewhere { destination: "10.0.0.9:5432".into(), ports: 80 }];
    });
    let f = fires(Id::LocalPortsExhausted, &run);
    assert!(f.title.contains("although only 20 of the 100 source ports") && !f.title.contains("all 100"), "{}", f.title);
    assert!(f.explanation.contains("about 80 are held by sockets that chose their port by bind()"), "{}", f.explanation);
    assert!(f.explanation.contains("80 to 10.0.0.9:5432): the likely holders"), "{}", f.explanation);
    assert_eq!(f.evidence["ports_elsewhere"], 80);
    clear(Id::FailuresWillReturn, &run);
}

#[test]
fn the_time_without_ports_is_told_by_its_stretches() {
    use sockbench::model::result::FailureSpan;
    let mut run = exhausted();
    assert!(fires(Id::LocalPortsExhausted, &run).explanation.contains("had no source port left from 35.3 s to 59.9 s: "));
    let span = |from_s, to_s| FailureSpan { from_s, to_s, count: 6175 };
    run.totals.local_failure_spans = vec![span(35.3, 40.0), span(55.0, 59.9)];
    let text = fires(Id::LocalPortsExhausted, &run).explanation;
    assert!(text.contains("left in 2 stretches (35.3 s to 40 s, 55 s to 59.9 s): "), "{text}");
    run.totals.local_failure_spans.clear();
    run.series[45].connects = 30;
    let text = fires(Id::LocalPortsExhausted, &run).explanation;
    assert!(text.contains("left for some of the connections between 35.3 s and 59.9 s: "), "{text}");
}

#[test]
fn an_echo_at_the_very_end_is_not_counted_in_microseconds() {
    let mut run = exhausted();
    run.duration_s = 95.299_82;
    let text = fires(Id::FailuresWillReturn, &run).explanation;
    assert!(text.contains("(just as it ended)"), "{text}");
}

/// 5 connections at 200 ms carry 25/s of 300/s; a turn of the loop that took up five answers late is not the cause.
fn connections_busy() -> RunResult {
    let mut run = healthy();
    (run.plan.users, run.plan.rate, run.plan.think) = (5, 300.0, sockbench::model::plan::Think::default());
    (run.duration_s, run.plan.duration) = (4.0, std::time::Duration::from_secs(4));
    let t = &mut run.totals;
    (t.users_asked, t.users_reached, t.attempts, t.requests, t.never_started) = (5, 5, 100, 100, 1100);
    t.service_latency_ms = Some(latency(200.0));
    let c = &mut run.resources.client;
    (c.lateness_p99_ms, c.late_requests, c.measured_seconds) = (Some(87.0), 5, 4);
    c.threads = vec![ThreadRow { name: "load-0".into(), cpu_s: 0.02, wait_s: 0.09 }];
    run
}

#[test]
fn busy_connections_are_not_a_late_generator() {
    let run = connections_busy();
    clear(Id::GeneratorSaturated, &run);
    let found = diagnose(&run);
    assert!(ids(&found).contains(&Id::UsersNotReached), "not swallowed: {:?}", ids(&found));
    let more = &found.iter().find(|f| f.id == Id::UsersNotReached).unwrap().remedies[0];
    assert!(more.command.contains("--conns 72 "), "300/s at 200 ms and a fifth: {more:?}");
    let valid = stamp(&run);
    assert_eq!(valid.stamp, Stamp::Incomplete);
    assert!(valid.reasons[0].contains("1100 requests never started"), "{:?}", valid.reasons);
    // A full target answers no faster over more connections, and no faster than it answers now.
    let mut full = run.clone();
    (full.totals.rps, full.plan.users) = (9.0, 10);
    full.endpoints.iter_mut().for_each(|e| e.server_timing_ms.as_mut().unwrap().queue.p50 = 900.0);
    let f = fires(Id::UsersNotReached, &full);
    assert!(f.remedies[0].command.contains("--rate 8.1 ") && f.remedies[0].expected.starts_with("9/s"), "{:?}", f.remedies);
    assert!(f.remedies.iter().all(|r| !r.action.contains("more connections")), "{:?}", f.remedies);
    // The same with a worker that had no time, or late all along: then it is the client.
    let mut hurried = run.clone();
    hurried.resources.client.threads[0].wait_s = 3.0;
    assert!(fires(Id::GeneratorSaturated, &hurried).remedies[0].action.contains("takes the cores"));
    let mut stopped = run;
    stopped.resources.client.late_requests = 90;
    let f = fires(Id::GeneratorSaturated, &stopped);
    assert!(f.remedies.iter().all(|r| !r.command.contains("--threads")), "it had its core: {:?}", f.remedies);
}

#[test]
fn a_ramp_that_just_misses_the_end_is_said_in_the_stamp() {
    let mut run = healthy();
    (run.plan.users, run.plan.spawn_rate, run.duration_s) = (10, 2.0, 4.0);
    run.plan.duration = std::time::Duration::from_secs(4);
    (run.totals.users_asked, run.totals.users_reached, run.totals.attempts, run.totals.requests) = (10, 8, 307, 307);
    run.series.truncate(4);
    for (p, n) in run.series.iter_mut().zip([2, 4, 6, 9]) {
        p.users_asked = n;
    }
    assert!(fires(Id::UsersNotReached, &run).title.starts_with("9 of 10 users started"), "ramp 4.5 s");
    assert_eq!(stamp(&run).stamp, Stamp::Incomplete);
    // All were started, the last a moment before the end: no fault, but not what was asked for.
    (run.plan.spawn_rate, run.series[3].users_asked) = (2.5, 10);
    clear(Id::UsersNotReached, &run);
    assert_eq!(stamp(&run).reasons, ["10 users asked for, 8 held a connection at the same time"]);
    run.totals.users_reached = 10;
    assert_eq!(stamp(&run).stamp, Stamp::Valid);
}

#[test]
fn a_target_that_leaves_the_first_fin_to_the_client_is_said_in_the_stamp() {
    let mut run = short(200.0);
    run.plan.closer = Closer::Server;
    let reason = &stamp(&run).reasons[0];
    assert!(reason.contains("it did on 0 of 12000 connections") && reason.contains("after 1 s without its FIN"), "{reason}");
    run.closes = sockbench::model::result::Closes { server: 11_990, client: 10, ..Default::default() };
    run.totals.cut = 10;
    assert_eq!(stamp(&run).stamp, Stamp::Valid, "those that the end cut off: {:?}", stamp(&run).reasons);
}

/// A ring of 100 ports without reuse at `cps` for 3 s, own 100 ports used up after one.
fn ring_of_100() -> RunResult {
    let mut run = connections_busy();
    run.plan.target = sockbench::model::plan::Target::own(([127, 0, 0, 1], 8080).into());
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
    assert!(f.remedies[0].command.contains("--reuse-addr"), "{:?}", f.remedies);
    assert!(f.remedies.iter().any(|r| r.command.contains("--rate 1.3 ")), "0.8 of 1.7/s: {:?}", f.remedies);
    assert!(f.remedies.iter().all(|r| !r.command.contains("--rate 37") && !r.action.contains("more connections")));
    for r in found.iter().flat_map(|f| &f.remedies) {
        assert!(!r.command.contains("--source"), "nobody gave one: {r:?}");
    }
    // Two busy ports among many requests do not explain what a slow target left out.
    let mut few = connections_busy();
    few.plan.port_mode = PortMode::Ring;
    fail(&mut few, errno(Call::Bind, 98), 2, 1.0, 3.0);
    let found = diagnose(&few);
    assert!(found[1].caused_by.is_empty() && found[1].remedies[0].action.contains("more connections"), "{:?}", found[1]);
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
    assert!(f.title.ends_with("that is not this run's (EADDRINUSE at bind())"), "{}", f.title);
    assert!(f.explanation.contains("about 95 of them were held from before"), "{}", f.explanation);
    assert!(f.remedies[0].action.contains("wait until"), "{:?}", f.remedies[0]);
    let moved = &f.remedies[1].command;
    assert!(moved.contains("--port-range 20100-32000 "), "past the held ones: {moved}");
    assert!(f.remedies.iter().all(|r| !r.expected.contains("taken again at once")), "{:?}", f.remedies);
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
    assert!(found[0].title.contains("the source address 10.99.99.1 is not this host's"), "{}", found[0].title);
    assert!(found[0].remedies.iter().all(|r| !r.expected.contains("SYN-SENT")), "{:?}", found[0].remedies);
    assert!(stamp(&run).reasons[0].contains("10.99.99.1"), "{:?}", stamp(&run).reasons);
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
    let text = &found[1].explanation;
    assert!(
        text.starts_with("Because the target refused connections (target-refused), the run ended after 1 s, when 2 of"),
        "{text}"
    );
    assert!(found[0].remedies.iter().all(|r| !r.command.contains("sockbench server")), "{:?}", found[0].remedies);
    // A run to its end: its ramp is as long as it is, whatever failed beside it.
    run.plan.duration = std::time::Duration::from_secs(1);
    let f = &diagnose(&run)[1];
    assert!(f.caused_by.is_empty() && f.explanation.starts_with("Users start at 2/s"), "{f:?}");
}

#[test]
fn a_full_target_is_not_the_closed_loops_own_pace() {
    let mut run = healthy();
    run.totals.latency_ms = Some(latency(102.73));
    run.totals.steady.as_mut().unwrap().latency_ms = Some(latency(102.73));
    run.totals.steady.as_mut().unwrap().rps = 122.6;
    fires(Id::ClosedLoopLimited, &run);
    let queue = |run: &mut RunResult, p50: f64| {
        run.endpoints.iter_mut().for_each(|e| e.server_timing_ms.as_mut().unwrap().queue.p50 = p50);
    };
    queue(&mut run, 90.0);
    clear(Id::ClosedLoopLimited, &run);
    // Without Server-Timing: far above the quickest answer is a queue or other work, near it is neither.
    run.endpoints.iter_mut().for_each(|e| e.server_timing_ms = None);
    fires(Id::ClosedLoopLimited, &run);
    run.endpoints.iter_mut().for_each(|e| e.latency_ms.as_mut().unwrap().p50 = 200.0);
    unknown(Id::ClosedLoopLimited, &run);
}

#[test]
fn a_run_of_moments_says_nothing_of_the_targets_cpu() {
    let mut run = own_cpu(50, 40.0, 190.0, &[]);
    fires(Id::TargetCpuSaturated, &run);
    run.duration_s = 0.036;
    assert!(unknown(Id::TargetCpuSaturated, &run).contains("36 ms"));
}

#[test]
fn nobody_held_up_means_no_overflow_of_this_target() {
    let mut run = healthy();
    run.kernel.as_mut().unwrap().listen_overflows = 9;
    (run.resources.target.as_mut().unwrap().pid, run.duration_s) = (1, 1.0);
    clear(Id::TargetBacklogOverflow, &run);
    // A ramp that was cut short held nobody up either.
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
}

#[test]
fn port_remedies_work_beside_each_other() {
    let by = |run: &RunResult, name: &str| {
        let f = fires(Id::LocalPortsExhausted, run);
        f.remedies.into_iter().find(|r| r.name.as_deref() == Some(name)).unwrap()
    };
    // After the range was widened the ring's ports are set aside first.
    let mut wide = exhausted();
    wide.host.sysctls.ip_local_port_range = Some([1024, 65535]);
    let ring = by(&wide, "ring").command;
    assert!(ring.starts_with("sysctl -w net.ipv4.ip_local_reserved_ports=10000-32000 && "), "{ring}");
    assert!(by(&exhausted(), "ring").command.starts_with("sockbench load "), "nothing to set aside");
    // A small pool is compared with itself, not with its range; the target's own listener is not gained.
    let mut small = exhausted();
    small.plan.target = sockbench::model::plan::Target::own(([127, 0, 0, 1], 8080).into());
    small.host.sysctls.ip_local_port_range = Some([33000, 33099]);
    small.ports.as_mut().unwrap().pool = Some(40);
    let expected = by(&small, "wider-range").expected;
    assert!(expected.starts_with("64451 ports: ceiling 1074/s instead of 0.7/s"), "{expected}");
    let fresh = by(&small, "fresh-namespace").command;
    assert!(fresh.contains("--sandbox --sysctl 'net.ipv4.ip_local_port_range=33000 33099'"), "the same ceiling there: {fresh}");
    let sources = by(&small, "source-ips");
    assert!(!sources.expected.contains("share one pool"), "{}", sources.expected);
    // A second server beside the first, and half of the load to each.
    let mut second = exhausted();
    second.plan.target = sockbench::model::plan::Target::at(([127, 0, 0, 1], 8080).into());
    second.resources.target.as_mut().unwrap().name = "sockbench".into();
    let command = by(&second, "destinations").command;
    assert!(command.starts_with("sockbench server --listen 127.0.0.1:8081 & "), "{command}");
    assert!(command.matches("--conns 25 ").count() == 2 && command.contains("load http://127.0.0.1:8081 "), "{command}");
}
