//! The rule about the client as the limit: a load thread that used its whole core, a schedule that it could not keep.

use super::lighter::round_rate;
use super::prelude::*;
use crate::model::order::Order as _;
use crate::model::plan::Pinning;
use crate::model::result::{CoreUse, ThreadRow};
use crate::remedy::for_search;
use crate::remedy::target::Kind;

pub(in crate::diagnose) fn generator_saturated(run: &RunResult, seen: &Indicators) -> Ruling {
    let how = seen.saturated.clone()?;
    let Saturated { seconds: full, measured, for_long, late_ms, .. } = how;
    let c = &run.resources.client;
    let busiest = busiest(run);
    let target = run.resources.target.as_ref().and_then(|t| t.busiest_thread_percent);
    let mut text = String::new();
    if full > 0 {
        let room = match target {
            Some(t) => format!("while the target's busiest thread used {} of a core", percent(t)),
            None => "and the target's threads could not be read".to_owned(),
        };
        text += &if how.by_loop() {
            format!(
                "A load thread never had to wait for the target in {full} of {measured} measured seconds: there was always something \
                 to read or to send{}, {room}. ",
                least_of_a_core(run)
            )
        } else {
            format!("A load thread used its whole core in {full} of {measured} measured seconds, {room}. ")
        };
    }
    if let Some(late) = late_ms {
        text += &format!(
            "Due requests were sent up to {} ms late (p99) although a connection was free: the client could not keep its schedule. ",
            number(late)
        );
    }
    text +=
        if how.kept_rate { "It kept the rate that was asked for, but" } else { "Throughput is what the client can make, and" };
    text += " its own waiting is in the latencies; the target may do better.";
    if let Some(search) = search_limit(run) {
        text += &format!(
            " The rate stands at (P/2)/T = {}/s with half of the source ports in use: there the kernel searches longer for a free port, and \
             that search takes the client's CPU.",
            rate(search)
        );
    }
    if let Some(t) = busiest.filter(|t| waits(t)) {
        text += &format!(
            " The busiest load thread waited {} for a core and had one for {}: other processes, the target perhaps among them, had the cores.",
            seconds(t.wait_s),
            seconds(t.cpu_s)
        );
    }
    let title = match late_ms {
        Some(late) if !for_long => format!("the client is the limit: it sent due requests {} ms late (p99)", number(late)),
        _ => {
            let client = if how.kept_rate { "the client had hardly any time left" } else { "the client is the limit" };
            let thread = if how.by_loop() { "never had to wait for the target" } else { "used its whole core" };
            format!("{client}: a load thread {thread} in {full} of {measured} s")
        }
    };
    // With a little waiting for a core it would have been the limit all the same.
    let by_others = seen.contention.as_ref().ok().is_some_and(|c| c.who == Waiter::Client && c.spoils);
    let possible = [Id::LocalPortsExhausted, Id::HostContended, Id::PortSearchSlow];
    let causes = possible.into_iter().filter(|id| by_others || *id != Id::HostContended).collect();
    Ok(Found::new(title, text)
        .with("saturated_seconds", full)
        .with("measured_seconds", measured)
        .with("seconds_never_idle", Some(how.never_idle).filter(|n| *n > 0))
        .with("lateness_p99_ms", c.lateness_p99_ms)
        .with("late_requests", c.lateness_p99_ms.map(|_| c.late_requests))
        .with("client_cpu_percent", c.cpu_percent_mean)
        .with("busiest_thread", busiest.map(|t| t.name.as_str()))
        .with("busiest_thread_cpu_s", busiest.map(|t| t.cpu_s))
        .with("busiest_thread_wait_s", busiest.map(|t| t.wait_s))
        .with("target_busiest_thread_percent", target)
        .with("search_cps", search_limit(run))
        .with("threads", run.plan.threads)
        .with("cpus", run.host.cpus)
        .remedies(remedies(run, seen, how))
        .caused_only_by(causes))
}

/// `, although it had as little as 60 % of a core`; empty where it had all of it, or that was not measured.
fn least_of_a_core(run: &RunResult) -> String {
    let least = run.series.iter().filter_map(|p| p.client_busiest_percent).fold(f64::INFINITY, f64::min);
    let part = least < RAN_PERCENT;
    if part { format!(", although it had as little as {} of a core", percent(least)) } else { String::new() }
}

fn busiest(run: &RunResult) -> Option<&ThreadRow> {
    run.resources.client.threads.iter().max_by(|a, b| (a.cpu_s + a.wait_s).total_cmp(&(b.cpu_s + b.wait_s)))
}

/// Where a thread waited longer for a core than it had one, others had it: more threads would wait too.
fn waits(thread: &ThreadRow) -> bool {
    thread.wait_s > thread.cpu_s
}

/// Idle CPU of the machine, percent of a core, from which another thread has a core to run on.
const FREE_CORE_PERCENT: f64 = 50.0;

/// There is a core for another thread; where the CPU of the machine was not read, there may be one.
fn has_core(run: &RunResult) -> bool {
    let idle = |used: f64| (100.0 - used) * f64::from(run.host.cpus);
    run.resources.host.cpu_percent_mean.is_none_or(|used| idle(used) >= FREE_CORE_PERCENT)
}

fn remedies(run: &RunResult, seen: &Indicators, how: Saturated) -> Vec<Remedy> {
    let (threads, cpus) = (run.plan.threads, run.host.cpus);
    let mut remedies = Vec::new();
    if search_limit(run).is_some() {
        let mut against = for_search(&seen.situation(run));
        // The ring changes nothing about the requests.
        against.order_by_key(|remedy| !Name::Ring.is(remedy));
        against.truncate(2);
        remedies = against;
    }
    if busiest(run).is_some_and(waits) {
        remedies.push(advice(
            "see what takes the cores, and stop it for the run",
            "top -b -n 1 -o %CPU | head -n 15",
            format!("programs above sockbench, in % of one of {}", counted(cpus, "core")),
        ));
    } else if threads < cpus && run.plan.users > threads && (how.seconds > 0 || how.hurried) && has_core(run) {
        // A thread that hardly asked for a core has no use for a second one.
        let cpus = cpus.min(run.plan.users);
        let effect = if how.kept_rate {
            "less waiting".to_owned()
        } else {
            format!("up to {} times the rate, while cores are free", times(f64::from(cpus) / f64::from(threads.max(1))))
        };
        remedies.push(advice(
            "use more load threads",
            load_with(&run.plan, |p| p.threads = cpus),
            format!("{} instead of {threads}: {effect}", counted(cpus, "thread")),
        ));
    } else if how.seconds == 0 {
        remedies.push(advice(
            "see what else the machine does: the load thread had its core when it asked for one",
            "vmstat 1 5",
            format!("st above 0: the host of a virtual machine takes the CPU; r above {cpus}: more to do than cores"),
        ));
    }
    let rps = if run.plan.is_open_loop() { run.totals.rps.min(run.plan.rate) } else { run.totals.rps };
    let lower = round_rate(CAPACITY_SHARE * rps);
    remedies.push(
        advice(
            if how.kept_rate { "ask for a lower rate" } else { "ask for a rate below the client's limit" },
            load_with(&run.plan, |p| p.rate = lower),
            format!(
                "{} of the {} req/s reached now: latencies without the client's own waiting",
                share(CAPACITY_SHARE),
                rate(rps)
            ),
        )
        .promising(Prediction::near(Metric::Rps, lower, FALL_SHORT_SHARE)),
    );
    let is_new = !remedies.iter().any(|r| Name::KeepAlive.is(r));
    if let Some(keep) = keep_alive(&seen.situation(run)).filter(|_| !run.plan.keepalive && is_new) {
        remedies.push(Remedy { expected: "30 to 70 us of CPU less per request: no handshake".into(), ..keep });
    }
    remedies.push(apart(run));
    remedies
}

/// Client and target on cores of their own, as far as there are any.
pub(super) fn apart(run: &RunResult) -> Remedy {
    let cpus = run.host.cpus;
    let (action, effect) = ("give the client a core that the target does not use", "no core shared with the target");
    let of_target: &[CoreUse] = run.resources.target.as_ref().map_or(&[], |t| &t.cores);
    // The own server is started again, on other cores.
    let is_own = Kind::of(run) == Kind::Own && !run.plan.environment.sandbox;
    let free = (0..cpus).rev().find(|core| is_own || of_target.iter().all(|used| used.core != *core));
    let Some(last) = free.filter(|_| cpus > 1) else {
        // What that machine calls this one is not known here.
        let why = if cpus > 1 { "the target uses each core of this one" } else { "this one has 1 core" };
        let action = format!("run the client on another machine, with the URL of this one and --allow-remote: {why}");
        return advice(action, "ip -brief address", format!("{effect}; this lists the addresses of this machine"));
    };
    if is_own {
        let mut serve = vec!["sockbench server".to_owned()];
        serve.extend(run.plan.environment.server.arguments().iter().map(|word| quoted(word)));
        let serve = serve.join(" ");
        let load = load_with(&run.plan, |p| {
            p.target.own_server = false;
            p.pin = Pinning::Off;
            p.target.url = "http://127.0.0.1:8080".into();
        });
        let others = if last == 1 { "0".to_owned() } else { format!("0-{}", last - 1) };
        let client = load.under(&format!("taskset -c {last}"));
        let line = format!("taskset -c {others} {serve} & SERVER=$!; sleep 1; {}; kill $SERVER", client.line);
        return advice(action, Command { line, ..client }, effect);
    }
    advice(
        action,
        load_with(&run.plan, |p| p.pin = Pinning::Off).under(&format!("taskset -c {last}")),
        format!("{effect}, once the target has the others"),
    )
}
