//! A target at its limit: queues before workers, cores that are full.

use std::time::Duration;

use sockbench::testing::model::{Arrivals, CoreUse, FindingId as Id, Phase, Pinning, Remedy, RunResult, Target, Think};

use super::{clear, fires, reads, unknown};
use crate::facts::{endpoint, fail, healthy, late, latency, second};

/// sockbench's own server loaded with /cpu by users in a hurry: `queue_ms` before 30 ms of work, the target at `cpu` %.
pub(crate) fn own_cpu(users: u32, queue_ms: f64, cpu: f64, flags: &[&str]) -> RunResult {
    let mut run = healthy();
    run.plan.target = Target::own(([127, 0, 0, 1], 8080).into());
    run.plan.think = Think::default();
    run.plan.users = users;
    run.plan.mix.truncate(1);
    run.plan.mix[0].path = "/cpu".into();
    run.plan.environment.server = flags.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>().try_into().unwrap();
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
fn queueing_by_timing_or_by_growth() {
    let mut rising = healthy();
    for e in &mut rising.endpoints {
        e.server_timing_ms = None;
    }
    rising.series = (0..60).map(|i| if i < 10 { second(i, 25, 150.0, 60.0) } else { second(i, 50, 152.0, 200.0) }).collect();
    let f = fires(Id::TargetQueueing, &rising);
    assert_eq!((f.evidence["p50_ms_before"].as_f64(), f.evidence["p50_ms_after"].as_f64()), (Some(60.0), Some(200.0)));
    reads("target-queueing, by growth", &f);
    clear(Id::TargetQueueing, &healthy());
    let mut blind = rising.clone();
    blind.series.truncate(10);
    blind.series.iter_mut().for_each(|p| p.p50_ms = Some(60.0));
    // Users who mostly pause fill nothing; users in a hurry may.
    clear(Id::TargetQueueing, &blind);
    blind.plan.think = Think::default();
    unknown(Id::TargetQueueing, &blind);
    // A queue that is shorter than the work behind it is no saturation.
    let mut short = healthy();
    let timing = short.endpoints[0].server_timing_ms.as_mut().unwrap();
    (timing.queue.p50, timing.work.p50) = (20.0, 30.0);
    clear(Id::TargetQueueing, &short);
    short.endpoints[0].server_timing_ms.as_mut().unwrap().work.p50 = 19.0;
    fires(Id::TargetQueueing, &short);
    // Timings that show no queue have the last word.
    let mut reported = rising;
    reported.endpoints = healthy().endpoints;
    clear(Id::TargetQueueing, &reported);
}

#[test]
fn one_lock_behind_a_short_ramp() {
    // 20 ms under one lock, 40 users at 8/s: 50/s from the first second on.
    let mut run = healthy();
    run.endpoints.iter_mut().for_each(|e| e.server_timing_ms = None);
    run.plan.think = Think::default();
    (run.plan.users, run.plan.spawn_rate, run.duration_s) = (40, 8.0, 10.0);
    run.series = (0..10)
        .map(|i| {
            let users = (8 * (i + 1)).min(40);
            second(i, users, 50.0, f64::from(users) * 20.0 * 0.8)
        })
        .collect();
    fires(Id::TargetQueueing, &run);
    // The same ramp on a target that keeps up.
    run.series = (0..10).map(|i| second(i, (8 * (i + 1)).min(40), f64::from((8 * (i + 1)).min(40)) * 50.0, 20.0)).collect();
    clear(Id::TargetQueueing, &run);
}

#[test]
fn a_latency_that_grows_at_a_constant_load() {
    let leaking = |to: f64| {
        let mut run = healthy();
        run.series = (0..60).map(|i| second(i, 50, 150.0, 30.0 + (to - 30.0) * f64::from(i) / 59.0)).collect();
        run
    };
    let f = fires(Id::TargetQueueing, &leaking(200.0));
    assert!(f.evidence["p50_ms_last_third"].as_f64() > f.evidence["p50_ms_first_third"].as_f64(), "{:?}", f.evidence);
    reads("target-queueing, by a leak", &f);
    clear(Id::TargetQueueing, &leaking(40.0));
    // It rose once, early, and stays: that is a level, not a leak.
    let mut once = healthy();
    once.series = (0..60).map(|i| second(i, 50, 150.0, if i < 20 { 30.0 } else { 100.0 })).collect();
    clear(Id::TargetQueueing, &once);
    // From a moment on, in a run as short as the default one, is seen too, and so is when.
    let from = |at: u32, seconds: u32| {
        let mut run = healthy();
        run.duration_s = f64::from(seconds);
        run.series = (0..seconds).map(|i| second(i, 50, 150.0, if i < at { 0.2 } else { 100.0 })).collect();
        run
    };
    for (at, seconds) in [(3, 6), (5, 10), (8, 10), (50, 60)] {
        let since = fires(Id::TargetQueueing, &from(at, seconds)).evidence["since_s"].as_f64();
        assert!(since.is_some_and(|s| (s - f64::from(at)).abs() <= 1.0), "{at} of {seconds}: {since:?}");
    }
    clear(Id::TargetQueueing, &from(0, 10));
    // A client without a core sees the same.
    let mut starved = leaking(200.0);
    for p in &mut starved.series {
        (p.client_wait_percent, p.host_cpu_percent) = (Some(30.0), Some(98.0));
    }
    clear(Id::TargetQueueing, &starved);
}

/// users = capacity x (think + response without a queue), 70 % of it.
#[test]
fn the_load_that_is_advised_is_arithmetic() {
    // 2 workers, 30 ms of work, 60 users: 66.7/s, and 66.7/s x 30 ms = 2 users.
    let mut run = own_cpu(60, 870.0, 190.0, &[]);
    run.host.cpus = 2;
    let f = fires(Id::TargetQueueing, &run);
    let fewer = f.remedies.iter().find(|r| r.command.contains("--conns 2 ")).unwrap_or_else(|| panic!("{:?}", f.remedies));
    assert!(fewer.expected.contains("30"), "{fewer:?}");
    let mut open = run.clone();
    open.plan.rate = 200.0;
    (open.totals.attempts, open.totals.never_started) = (4000, 8000);
    let f = fires(Id::TargetQueueing, &open);
    assert!(f.remedies.iter().any(|r| r.command.contains("--rate 46 ")), "70 % of 66.7/s: {:?}", f.remedies);
    // One worker: at random moments more than half of the requests wait at 60 % of its 33.3/s too.
    let lower = |arrivals: Arrivals| {
        let mut one = own_cpu(60, 1770.0, 97.0, &["cpu-workers=1"]);
        (one.plan.rate, one.plan.arrivals) = (200.0, arrivals);
        one.endpoints[0].server_timing_ms.as_mut().unwrap().work.p99 = 40.0;
        (one.totals.attempts, one.totals.never_started) = (2000, 10_000);
        let rate = |r: &Remedy| r.command.split(' ').skip_while(|w| *w != "--rate").nth(1)?.parse::<f64>().ok();
        fires(Id::TargetQueueing, &one).remedies.iter().filter_map(rate).reduce(f64::min).unwrap()
    };
    assert_eq!((lower(Arrivals::Constant), lower(Arrivals::Poisson)), (23.0, 16.0));
}

#[test]
fn queueing_advice_follows_the_pool_that_queues() {
    let first = |run: &RunResult| fires(Id::TargetQueueing, run).remedies[0].clone();
    let pool = own_cpu(20, 570.0, 97.0, &["cpu-workers=1"]);
    assert!(first(&pool).command.contains("cpu-workers=2"), "{:?}", first(&pool));
    reads("target-queueing, before one worker", &fires(Id::TargetQueueing, &pool));
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
    reads("target-cpu-saturated, by an interpreter lock", &fires(Id::TargetCpuSaturated, &run));
    run.resources.target = None;
    unknown(Id::TargetCpuSaturated, &run);
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
    reads("target-cpu-saturated, by its pool", &f);
    assert!(f.remedies[0].command.ends_with("--mix /cpu=1 --server cpu-workers=2"), "{:?}", f.remedies[0]);
    // All cores: what is on is not advised.
    let all = own_cpu(20, 270.0, 190.0, &["io-workers=256"]);
    let f = fires(Id::TargetCpuSaturated, &all);
    reads("target-cpu-saturated, by all cores", &f);
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
    (paced.plan.think.min, paced.plan.think.max) = (Duration::from_secs(5), Duration::from_secs(5));
    clear(Id::TargetCpuSaturated, &paced);
}

/// Both fill the machine: which of them is the limit, their shares say.
#[test]
fn a_client_that_fills_the_machine_is_no_limit_of_the_target() {
    let run = |client, target| {
        let mut run = own_cpu(20, 270.0, target, &[]);
        run.resources.client.cpu_percent_mean = Some(client);
        run
    };
    clear(Id::TargetCpuSaturated, &run(110.0, 80.0));
    fires(Id::TargetCpuSaturated, &run(50.0, 140.0));
}

#[test]
fn a_run_of_moments_says_nothing_of_the_targets_cpu() {
    let mut run = own_cpu(50, 40.0, 190.0, &[]);
    fires(Id::TargetCpuSaturated, &run);
    run.duration_s = 0.036;
    unknown(Id::TargetCpuSaturated, &run);
}

#[test]
fn both_ends_on_one_core_fill_it_together() {
    let mut run = healthy();
    let on = |core, cpu_s| CoreUse { core, cpu_s };
    let set = |run: &mut RunResult, client: &[CoreUse], target: &[CoreUse]| {
        run.resources.client.cores = client.to_vec();
        run.resources.target.as_mut().unwrap().cores = target.to_vec();
    };
    run.totals.latency_ms = Some(latency(900.0));
    run.totals.steady.as_mut().unwrap().latency_ms = Some(latency(900.0));
    let whole = run.duration_s;
    set(&mut run, &[on(0, 0.45 * whole)], &[on(0, 0.5 * whole)]);
    let f = fires(Id::TargetCpuSaturated, &run);
    reads("target-cpu-saturated, by a core that both share", &f);
    // Pinned by a flag of this run, it needs no other machine and no other program.
    let cpus = run.host.cpus;
    run.plan.pin = Pinning::Auto;
    let first = &fires(Id::TargetCpuSaturated, &run).remedies[0];
    assert!(first.action.starts_with("leave out --pin") && !first.command.contains("--pin"), "{first:?}");
    run.host.cpus = 1;
    let first = &fires(Id::TargetCpuSaturated, &run).remedies[0];
    assert!(!first.action.contains("--pin"), "{first:?}");
    (run.plan.pin, run.host.cpus) = (Pinning::Off, cpus);
    // Neither is full, and they do not share a core.
    set(&mut run, &[on(1, 0.45 * whole)], &[on(0, 0.5 * whole)]);
    clear(Id::TargetCpuSaturated, &run);
    // They share one with room.
    set(&mut run, &[on(0, 0.3 * whole)], &[on(0, 0.3 * whole)]);
    clear(Id::TargetCpuSaturated, &run);
    // The client hardly uses it: the target is what fills it.
    set(&mut run, &[on(0, 0.02 * whole)], &[on(0, 0.97 * whole)]);
    clear(Id::TargetCpuSaturated, &run);
    // Nor does it share what it hardly uses where the target leaves it a little.
    set(&mut run, &[on(0, 0.05 * whole)], &[on(0, 0.86 * whole)]);
    clear(Id::TargetCpuSaturated, &run);
    // The target's threads there are idle: the client fills it alone.
    for idle in [0.0, 0.05] {
        set(&mut run, &[on(1, 0.97 * whole)], &[on(0, 0.0), on(1, idle * whole)]);
        clear(Id::TargetCpuSaturated, &run);
    }
    // One of two has room.
    set(&mut run, &[on(0, 0.1 * whole), on(3, 0.5 * whole)], &[on(0, 0.2 * whole), on(3, 0.47 * whole)]);
    clear(Id::TargetCpuSaturated, &run);
    set(&mut run, &[on(0, 0.5 * whole), on(1, 0.5 * whole)], &[on(0, 0.45 * whole), on(1, 0.47 * whole)]);
    reads("target-cpu-saturated, by two cores that both share", &fires(Id::TargetCpuSaturated, &run));
}

#[test]
fn a_thread_that_polls_all_the_time_says_nothing_of_its_core() {
    let mut run = own_cpu(20, 570.0, 97.0, &["busy-poll=on"]);
    run.resources.target.as_mut().unwrap().busy_poll = true;
    unknown(Id::TargetCpuSaturated, &run);
    run.plan.busy_poll = true;
    unknown(Id::GeneratorSaturated, &run);
}

/// N* = X x (S + Z), at least one, and half of the users where that is fewer.
#[test]
fn a_lighter_load_for_a_failing_target_is_what_just_saturates_it() {
    let advised = |answers: u64, without_queue_ms: f64, think_ms: u64| {
        let mut run = healthy();
        run.endpoints.truncate(1);
        (run.endpoints[0].requests, run.endpoints[0].server_timing_ms) = (answers, None);
        run.endpoints[0].latency_ms = Some(latency(2.0 * without_queue_ms));
        (run.totals.requests, run.totals.attempts) = (answers, answers);
        (run.plan.think.min, run.plan.think.max) = (Duration::from_millis(think_ms), Duration::from_millis(think_ms));
        fail(&mut run, late(Phase::Waiting), 90, 10.0, 50.0);
        let remedies = fires(Id::TargetTimeouts, &run).remedies;
        let users = |r: &Remedy| r.command.split("--conns ").nth(1)?.split(' ').next()?.parse::<u32>().ok();
        (remedies.iter().find_map(users).unwrap(), remedies.iter().map(|r| r.action.clone()).collect::<Vec<_>>().join("; "))
    };
    // 150 answers/s x (50 ms + 10 ms) = 9.
    let (users, action) = advised(9000, 10.0, 50);
    assert_eq!(users, 9, "{action}");
    assert!(
        action.contains("150 answers/s x (0.05 s + 0.01 s) = 9") || action.contains("150 answers/s x (50 ms + 10 ms) = 9"),
        "{action}"
    );
    // Less than one request at a time, or a time that wake-ups and system calls make: not what a full target works on.
    for (answers, without_queue_ms) in [(9000, 2.0), (9000, 0.1), (2_000_000, 0.06)] {
        let (users, action) = advised(answers, without_queue_ms, 0);
        assert_eq!(users, 25, "{answers} {without_queue_ms}: {action}");
    }
    // 10,000 answers/s x (1 ms + 0.06 ms) = 10.6: the pause is what counts.
    assert_eq!(advised(600_000, 0.06, 1).0, 11);
    // 150 answers/s x (300 ms + 10 ms) = 46.5 of 50: there is no queue.
    assert_eq!(advised(9000, 10.0, 300).0, 25);
    assert_eq!(advised(19, 10.0, 50).0, 25, "too few answers to say");
}

/// 200,000 answers/s of 60 us each: Little's law has 12 users there, and fewer with a quicker answer.
#[test]
fn answers_of_microseconds_give_no_number_of_users() {
    let fast = |without_queue_ms: f64| {
        let mut run = healthy();
        let t = run.resources.target.as_mut().unwrap();
        (t.cpu_percent_mean, t.cpu_percent_max, t.threads) = (Some(95.0), Some(98.0), Some(1));
        t.busiest_thread_percent = Some(95.0);
        run.plan.think = Think::default();
        run.endpoints.truncate(1);
        let e = &mut run.endpoints[0];
        (e.requests, e.server_timing_ms) = (12_000_000, None);
        e.latency_ms = Some(latency(2.0 * without_queue_ms));
        (run.totals.requests, run.totals.attempts) = (12_000_000, 12_000_000);
        let response = latency(0.25_f64.max(2.0 * without_queue_ms));
        run.totals.latency_ms = Some(response);
        let steady = run.totals.steady.as_mut().unwrap();
        (steady.rps, steady.latency_ms) = (200_000.0, Some(response));
        fires(Id::TargetCpuSaturated, &run).remedies
    };
    for quickest in [0.002, 0.06, 0.4] {
        let remedies = fast(quickest);
        assert!(remedies.iter().all(|r| !r.command.contains("--conns ")), "{quickest}: {remedies:?}");
        assert!(!remedies.is_empty());
    }
}
