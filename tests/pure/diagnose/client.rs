//! A client at its own limit: descriptors, cores, connections that are all busy.

use std::time::Duration;

use sockbench::testing::diagnose::{Diagnosis, diagnose};
use sockbench::testing::model::{Call, CoreUse, FindingId as Id, PortMode, RunResult, RunStamp, Target, Think, ThreadRow};

use super::cores::contended;
use super::{clear, fires, ids, reads, stamp, unknown, unnamed};
use crate::facts::{errno, fail, healthy, latency, short};

#[test]
fn fd_limit() {
    let mut run = healthy();
    run.plan.users = 2000;
    fail(&mut run, errno(Call::Socket, 24), 900, 0.1, 59.0);
    run.totals.users_reached = 1010;
    run.totals.users_asked = 2000;
    let f = fires(Id::LocalFdLimit, &run);
    assert!(
        f.remedies[0]
            .command
            .starts_with("sudo prlimit --pid $$ --nofile=2064 && sockbench load http://10.0.0.1:80 --conns 2000 "),
        "{f:?}"
    );
    assert_eq!((&f.evidence["windows_code"], &f.evidence["nofile"]), (&10_024.into(), &1024.into()));
    let found = diagnose(&run);
    assert!(!ids(&found).contains(&Id::UsersNotReached), "swallowed: {:?}", ids(&found));
    let mut of_the_system = healthy();
    fail(&mut of_the_system, errno(Call::Socket, 23), 900, 0.1, 59.0);
    fires(Id::LocalFdLimit, &of_the_system);
    clear(Id::LocalFdLimit, &healthy());
    unknown(Id::LocalFdLimit, &unnamed(true));
}

#[test]
fn generator_saturated_by_cpu_or_by_lateness() {
    let mut run = healthy();
    run.plan.rate = 150.0;
    run.resources.client.lateness_p99_ms = Some(25.0);
    let f = fires(Id::GeneratorSaturated, &run);
    assert_eq!(f.evidence["lateness_p99_ms"].as_f64(), Some(25.0));
    reads("generator-saturated, by lateness", &f);
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
    blind.series.iter_mut().for_each(|p| p.client_busiest_percent = None);
    // Threads that hardly ran cannot have been the limit.
    clear(Id::GeneratorSaturated, &blind);
    blind.resources.client.threads.clear();
    unknown(Id::GeneratorSaturated, &blind);
}

#[test]
fn a_client_is_saturated_by_what_it_ran_and_not_by_what_it_waited() {
    let mut run = healthy();
    run.series[..40].iter_mut().for_each(|p| p.client_busiest_percent = Some(95.0));
    assert_eq!(fires(Id::GeneratorSaturated, &run).evidence["saturated_seconds"], 40);
    // Two measured seconds are enough, one is not.
    let mut short = healthy();
    short.series.iter_mut().for_each(|p| p.client_busiest_percent = None);
    short.series[..2].iter_mut().for_each(|p| p.client_busiest_percent = Some(95.0));
    assert_eq!(fires(Id::GeneratorSaturated, &short).evidence["saturated_seconds"], 2);
    short.series[1].client_busiest_percent = None;
    clear(Id::GeneratorSaturated, &short);
    // The target's busiest thread was as full: then it is the target.
    let mut both = run.clone();
    both.series.iter_mut().for_each(|p| p.target_busiest_percent = Some(98.0));
    clear(Id::GeneratorSaturated, &both);
    // It ran for half of the time and waited for the rest: others had the core.
    let mut starved = contended();
    starved.series.iter_mut().for_each(|p| p.client_busiest_percent = Some(50.0));
    starved.plan.rate = 150.0;
    starved.resources.client.lateness_p99_ms = Some(40.0);
    clear(Id::GeneratorSaturated, &starved);
    assert_eq!(ids(&diagnose(&starved))[0], Id::HostContended);
}

#[test]
fn a_rate_that_was_kept_is_no_maximum() {
    let mut run = healthy();
    run.series.iter_mut().for_each(|p| p.client_busiest_percent = Some(95.0));
    run.plan.rate = run.totals.attempts as f64 / run.duration_s;
    let said = |run: &RunResult| (fires(Id::GeneratorSaturated, run).explanation, Diagnosis::of(run).verdict.sentence);
    let (text, verdict) = said(&run);
    assert!(text.contains("It kept the rate") && verdict.contains("with hardly any time left"), "{text} {verdict}");
    let kept = fires(Id::GeneratorSaturated, &run);
    assert!(kept.title.starts_with("the client had hardly any time left"), "{}", kept.title);
    assert!(!kept.remedies.iter().any(|r| r.action.contains("limit")), "{:?}", kept.remedies);
    reads("generator-saturated, a rate that was kept", &kept);
    // A second thread waits less where a core is free, and takes one from others where none is.
    let more_threads =
        |run: &RunResult| fires(Id::GeneratorSaturated, run).remedies.into_iter().find(|r| r.command.contains("--threads 2"));
    run.resources.host.cpu_percent_mean = Some(60.0);
    assert!(more_threads(&run).is_some_and(|r| r.expected.contains("less waiting") && !r.expected.contains("the rate")));
    run.resources.host.cpu_percent_mean = Some(98.0);
    assert!(more_threads(&run).is_none(), "{:?}", more_threads(&run));
    run.resources.host.cpu_percent_mean = None;
    assert!(more_threads(&run).is_some(), "not read: there may be one");
    // A part was never started: so much it can do.
    run.totals.never_started = run.totals.attempts / 2;
    let (text, verdict) = said(&run);
    assert!(text.contains("Throughput is what the client can make") && verdict.contains("its own maximum"), "{text} {verdict}");
}

#[test]
fn a_thread_that_polls_on_a_core_of_the_other_end_is_named() {
    let sentence = |of_client: u32, client_s: f64, polls: bool| {
        let mut run = healthy();
        let half = run.duration_s / 2.0;
        run.plan.busy_poll = polls;
        run.resources.client.cores = vec![CoreUse { core: of_client, cpu_s: client_s * run.duration_s }];
        run.resources.target.as_mut().expect("a local target").cores = vec![CoreUse { core: 0, cpu_s: half }];
        Diagnosis::of(&run).verdict.sentence
    };
    let named = |sentence: &String| sentence.contains("shares core 0");
    assert!(named(&sentence(0, 0.3, true)), "{}", sentence(0, 0.3, true));
    // Two ends that sleep, ends on cores of their own, and a pool's thread that is confined there and idle.
    let others = [sentence(0, 0.3, false), sentence(1, 0.3, true), sentence(0, 0.0, true)];
    assert!(!others.iter().any(named), "{others:?}");
}

#[test]
fn more_threads_that_poll_than_cores_are_named() {
    let sentence = |client: Option<u32>, reactors: Option<&str>, cpus: u32| {
        let mut run = healthy();
        run.host.cpus = cpus;
        (run.plan.busy_poll, run.plan.threads) = (client.is_some(), client.unwrap_or(1));
        let target = run.resources.target.as_mut().expect("a local target");
        target.busy_poll = reactors.is_some();
        if let Some(reactors) = reactors {
            run.plan.target = Target::own(([127, 0, 0, 1], 8080).into());
            let flags = vec![format!("reactors={reactors}"), "busy-poll=on".to_owned()];
            run.plan.environment.server = flags.try_into().expect("flags");
        }
        Diagnosis::of(&run).verdict.sentence
    };
    for (client, reactors, cpus, words) in [
        (Some(2), Some("1"), 2, "3 polling threads share 2 cores"),
        (Some(1), Some("2"), 2, "3 polling threads share 2 cores"),
        (Some(2), None, 2, "2 polling threads and the other end share 2 cores"),
        (None, Some("2"), 2, "2 polling threads and the other end share 2 cores"),
        (Some(1), Some("1"), 1, "2 polling threads share 1 core"),
    ] {
        let said = sentence(client, reactors, cpus);
        assert!(said.contains(words) && said.contains("leave out --busy-poll"), "{said}");
    }
    for (client, reactors, cpus) in
        [(Some(1), Some("1"), 2), (Some(1), None, 2), (None, Some("1"), 2), (Some(2), Some("2"), 4), (None, None, 1)]
    {
        let said = sentence(client, reactors, cpus);
        assert!(!said.contains("poll"), "{said}");
    }
    // Both ends are confined to fewer cores than the machine has.
    let mut run = healthy();
    run.plan.busy_poll = true;
    let target = run.resources.target.as_mut().expect("a local target");
    (target.cores_allowed, target.shares_cores_with_client) = (Some(1), Some(true));
    let said = Diagnosis::of(&run).verdict.sentence;
    assert!(said.contains("1 polling thread and the other end share 1 core"), "{said}");
}

#[test]
fn a_loop_that_never_waits_is_the_limit_whatever_its_thread_ran() {
    // A core that others, or the host of a virtual machine, leave to it for a part of the time only.
    let busy = |ran: f64, waited: f64, idle: f64| {
        let mut run = healthy();
        for p in &mut run.series {
            p.client_busiest_percent = Some(ran);
            (p.client_wait_percent, p.client_idle_percent) = (Some(waited), Some(idle));
        }
        run
    };
    for (ran, waited) in [(85.0, 4.0), (60.0, 0.5), (20.0, 8.0), (89.0, 9.0)] {
        let f = fires(Id::GeneratorSaturated, &busy(ran, waited, 1.0));
        assert_eq!((&f.evidence["saturated_seconds"], &f.evidence["seconds_never_idle"]), (&60.into(), &60.into()), "{ran}");
        assert_eq!(diagnose(&busy(ran, waited, 1.0))[0].caused_by, [], "{ran}");
        // The same with some time to wait in: it kept up.
        clear(Id::GeneratorSaturated, &busy(ran, waited, 30.0));
    }
    reads("generator-saturated, by its loop", &fires(Id::GeneratorSaturated, &busy(85.0, 4.0, 1.0)));
    // A thread with little to do that gets a core late, each time its events have come.
    clear(Id::GeneratorSaturated, &busy(10.0, 85.0, 88.0));
    // The target was as full, or waited for a core itself.
    for (ran, waited) in [(97.0, 0.0), (40.0, 58.0)] {
        let mut both = busy(60.0, 5.0, 1.0);
        for p in &mut both.series {
            (p.target_busiest_percent, p.target_wait_percent) = (Some(ran), Some(waited));
        }
        clear(Id::GeneratorSaturated, &both);
    }
    // Where only the loop was measured, that decides.
    let mut unseen = busy(0.0, 0.0, 1.0);
    unseen.series.iter_mut().for_each(|p| p.client_busiest_percent = None);
    fires(Id::GeneratorSaturated, &unseen);
    // Where others had its core, it is the limit because of them, and they are the headline.
    let mut starved = contended();
    starved.series.iter_mut().for_each(|p| p.client_idle_percent = Some(0.5));
    let found = diagnose(&starved);
    let limit = found.iter().find(|f| f.id == Id::GeneratorSaturated).unwrap();
    assert_eq!(limit.caused_by, [Id::HostContended]);
    assert_eq!(stamp(&starved).stamp, RunStamp::ClientBound);
}

/// 5 connections at 200 ms carry 25/s of 300/s; a turn of the loop that took up five answers late is not the cause.
pub(super) fn connections_busy() -> RunResult {
    let mut run = healthy();
    (run.plan.users, run.plan.rate, run.plan.think) = (5, 300.0, Think::default());
    (run.duration_s, run.plan.duration) = (4.0, Duration::from_secs(4));
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
    assert_eq!(valid.stamp, RunStamp::Incomplete);
    assert!(valid.reasons[0].contains("1,100"), "{:?}", valid.reasons);
    // A full target answers no faster over more connections, and no faster than it answers now.
    let mut full = run.clone();
    (full.totals.rps, full.plan.users) = (9.0, 10);
    full.endpoints.iter_mut().for_each(|e| e.server_timing_ms.as_mut().unwrap().queue.p50 = 900.0);
    let f = fires(Id::UsersNotReached, &full);
    assert!(f.remedies[0].command.contains("--rate 6.3 "), "{:?}", f.remedies);
    assert!(f.remedies.iter().all(|r| !r.command.contains("--conns ") || r.command.contains("--conns 10 ")), "{:?}", f.remedies);
    reads("users-not-reached, a full target", &f);
    // The same with a worker that had no time, or late all along: then it is the client.
    let mut hurried = run.clone();
    hurried.resources.client.threads[0].wait_s = 3.0;
    reads("generator-saturated, by others on its cores", &fires(Id::GeneratorSaturated, &hurried));
    let mut stopped = run;
    stopped.resources.client.late_requests = 90;
    let f = fires(Id::GeneratorSaturated, &stopped);
    assert!(f.remedies.iter().all(|r| !r.command.contains("--threads")), "it had its core: {:?}", f.remedies);
}

/// At (P/2)/T the kernel's search takes the CPU: a second thread searches as well.
#[test]
fn a_client_that_searches_for_ports_is_told_so_and_gets_a_ring_first() {
    let at = |cps: f64| {
        let mut run = short(cps);
        (run.plan.users, run.plan.threads) = (10, 1);
        run.resources.client.cpu_percent_mean = Some(95.0);
        run.series[..40].iter_mut().for_each(|p| p.client_busiest_percent = Some(95.0));
        run
    };
    let found = fires(Id::GeneratorSaturated, &at(236.0));
    assert!(found.explanation.contains("(P/2)/T = 235/s") && found.evidence["search_cps"].is_number(), "{found:?}");
    assert!(found.remedies[0].command.contains("--port-mode ring"), "{:?}", found.remedies[0]);
    let sentence = Diagnosis::of(&at(236.0)).verdict.sentence;
    assert!(sentence.contains("the kernel searches longer"), "{sentence}");
    // Far from it, and where the kernel does not search, threads come first.
    let mut ring = at(236.0);
    ring.plan.port_mode = PortMode::Ring;
    for run in [at(120.0), at(400.0), ring] {
        let found = fires(Id::GeneratorSaturated, &run);
        assert!(!found.evidence.contains_key("search_cps") && !found.explanation.contains("(P/2)/T"), "{found:?}");
    }
}
