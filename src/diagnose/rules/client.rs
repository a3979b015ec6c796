//! The rule about the client as the limit: a worker without a core to spare, a schedule that it could not keep.

use crate::diagnose::indicators::{Indicators, Saturated};
use crate::diagnose::rule::{Found, Ruling};
use crate::model::finding::Remedy;
use crate::model::result::RunResult;
use crate::remedy::command::Command;
use crate::remedy::target::Kind;
use crate::remedy::{advice, count, keep_alive, load_with, number, percent, quoted, s};

/// generator-saturated.
pub(in crate::diagnose) fn generator_saturated(run: &RunResult, seen: &Indicators) -> Ruling {
    Ruling::about(&seen.saturated, |how| saturated(run, seen, *how))
}

fn saturated(run: &RunResult, seen: &Indicators, how: Saturated) -> Ruling {
    let Saturated { seconds, measured, for_long, late_ms: late, hurried } = how;
    let c = &run.resources.client;
    let busiest = c.threads.iter().max_by(|a, b| (a.cpu_s + a.wait_s).total_cmp(&(b.cpu_s + b.wait_s)));
    let target = run.resources.target.as_ref().and_then(|t| t.busiest_thread_percent);
    let mut text = String::new();
    if seconds > 0 {
        text += &format!(
            "A worker of the client had its core full (95 % and more, waiting for a core included) in {seconds} of {measured} measured seconds"
        );
        text += &match target {
            Some(t) => format!(", while the target's busiest thread used {t:.0} % of a core. "),
            None => ", and the target's threads could not be read. ".to_owned(),
        };
    }
    if let Some(ms) = late {
        text += &format!(
            "Due requests were written up to {} ms late (99th percentile) although a connection was free: the client could not keep its own schedule. ",
            number(ms.round())
        );
    }
    text += "The figures then describe the client: throughput is what it can make, and its own waiting is in the latencies. The target may be able to do more. The same happens to every load generator, on Windows too.";
    let (threads, cpus) = (run.plan.threads, run.host.cpus);
    let mut remedies = Vec::new();
    // Where the worker waited longer for a core than it had one, others took it: more workers would wait too.
    // And a worker that hardly asked for one has no use for a second.
    let waits = busiest.is_some_and(|t| t.wait_s > t.cpu_s);
    if let Some(t) = busiest.filter(|_| waits) {
        text += &format!(
            " The busiest worker waited {} for a core and had one for {}: other processes took the cores, the target perhaps among them.",
            s(t.wait_s),
            s(t.cpu_s)
        );
        remedies.push(advice(
            "see what takes the cores, and stop it for the run",
            "top -b -n 1 -o %CPU | head -n 15",
            format!("what stands above sockbench, in % of one of {cpus} cores"),
        ));
    } else if threads < cpus && run.plan.users > threads && (seconds > 0 || hurried) {
        let cpus = cpus.min(run.plan.users);
        let more = load_with(&run.plan, |p| p.threads = cpus);
        remedies.push(advice(
            "use more worker threads",
            more,
            format!(
                "{} instead of {threads}: up to {} times the rate, while cores are free",
                count(cpus, "worker"),
                number(f64::from(cpus) / f64::from(threads.max(1)))
            ),
        ));
    } else if seconds == 0 {
        remedies.push(advice(
            "see what else the machine does: the worker had its core when it asked for one",
            "vmstat 1 5",
            format!("st: taken by the host of a virtual machine; r above {cpus}: more to do than cores"),
        ));
    }
    let rps = run.totals.rps;
    let rate = (0.7 * if run.plan.is_open_loop() { rps.min(run.plan.rate) } else { rps }).floor().max(1.0);
    remedies.push(advice(
        "ask for a rate below the client's limit",
        load_with(&run.plan, |p| p.rate = rate),
        format!(
            "{} of the {} requests/s reached now: latencies without the client's own queue",
            percent(0.7),
            number(rps.round())
        ),
    ));
    if let Some(keep) = keep_alive(&seen.situation(run)).filter(|_| !run.plan.keepalive) {
        let action = "keep connections: a handshake costs the client more than a request";
        remedies.push(advice(action, keep.command, "30 to 70 us of CPU less per request"));
    }
    remedies.push(apart(run));
    let title = match late {
        Some(ms) if !for_long => {
            format!("the client wrote due requests {} ms late (p99): it is the limit", number(ms.round()))
        }
        _ => format!("the client was the limit in {seconds} of {measured} measured seconds"),
    };
    Found::new(title, text)
        .with("saturated_seconds", seconds)
        .with("measured_seconds", measured)
        .with("lateness_p99_ms", c.lateness_p99_ms)
        .with("late_requests", c.lateness_p99_ms.map(|_| c.late_requests))
        .with("client_cpu_percent", c.cpu_percent_mean)
        .with("busiest_thread", busiest.map(|t| t.name.as_str()))
        .with("busiest_thread_cpu_s", busiest.map(|t| t.cpu_s))
        .with("busiest_thread_wait_s", busiest.map(|t| t.wait_s))
        .with("target_busiest_thread_percent", target)
        .with("threads", threads)
        .with("cpus", cpus)
        .remedies(remedies)
        .ruling()
}

/// Client and target on cores of their own, as far as there are any.
fn apart(run: &RunResult) -> Remedy {
    let cpus = run.host.cpus;
    let (action, effect) = ("give the client a core that the target does not use", "no core shared with the target");
    if cpus < 2 {
        // What that machine calls this one is not known here.
        let action = "run the client on another machine, with the URL of this one and --allow-remote: this one has 1 core";
        return advice(action, "ip -brief address", format!("{effect}; this lists the addresses of this machine"));
    }
    let last = cpus - 1;
    if Kind::of(run) == Kind::Own && !run.plan.environment.sandbox {
        let mut serve = vec!["sockbench server".to_owned()];
        serve.extend(run.plan.environment.server.arguments().iter().map(|word| quoted(word)));
        let serve = serve.join(" ");
        let load = load_with(&run.plan, |p| {
            p.target.own_server = false;
            p.target.url = "http://127.0.0.1:8080".into();
        });
        let others = if last == 1 { "0".to_owned() } else { format!("0-{}", last - 1) };
        let line = format!("taskset -c {others} {serve} & sleep 1; taskset -c {last} {load}; kill %1");
        let change = Some(format!("taskset -c {last}, the server under taskset -c {others}"));
        return advice(action, Command { line, change }, effect);
    }
    advice(
        action,
        load_with(&run.plan, |_| ()).under(&format!("taskset -c {last}")),
        format!("{effect}, once that has the others"),
    )
}
