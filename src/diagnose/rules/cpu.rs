//! The rule about the CPU of a local target: which part of it is used up, and the way past it.

use super::capacity::{all_cores, less_work};
use super::client::apart;
use super::lighter::{Bottleneck, lighter};
use super::prelude::*;
use crate::model::plan::Pinning;
use crate::model::result::TargetResources;
use crate::remedy::software::more_cores;
use crate::remedy::target::Kind;

/// Milliseconds below which the CPU of a request is written in microseconds.
const US_BELOW_MS: f64 = 0.1;

pub(in crate::diagnose) fn target_cpu(run: &RunResult, seen: &Indicators) -> Ruling {
    let limit = seen.cpu.clone()?;
    let t = run.resources.target.as_ref().ok_or(Clear)?;
    let (at, rps) = (percent(limit.percent), seen.steady_rps);
    let per = t.cpu_percent_mean.filter(|_| rps > 0.0).map(|c| c * 10.0 / rps);
    let costs = per.map_or_else(String::new, |per| {
        let time = if per < US_BELOW_MS { format!("{} us", us(per * 1000.0)) } else { format!("{} ms", number(per)) };
        format!(" A request costs it {time} of CPU.")
    });
    let used = match limit.full {
        Full::SharedCores(shared) => format!(
            "Threads of the target's process {} ({}) and of the client are confined to {} and fill {}: the target's used {at} of a core \
             there, the client's {}.",
            t.name,
            t.pid,
            shared.in_words(),
            if shared.count == 1 { "it" } else { "them" },
            percent(shared.client_percent)
        ),
        full => format!(
            "The target's process {} ({}, its children included) used {at} of a core: {}.",
            t.name,
            t.pid,
            words(run, full, limit.percent)
        ),
    };
    let mut text = format!("{used} Throughput stays at {} req/s; more load does not raise it.{costs}", rate(rps));
    if limit.full == Full::Machine && run.resources.client.cpu_percent_mean.is_some_and(|client| client >= SHARED_PERCENT) {
        text += " Client and target share the cores: on a machine of its own the target would do more.";
    }
    let look = if Kind::of(run) == Kind::Own {
        let again = load_with(&run.plan, |_| ()).under("perf record -g --");
        advice("see where it spends the time", again, "perf report then names the functions that use the CPU")
    } else {
        advice("see where it spends the time", format!("perf top -p {}", t.pid), "the functions that use the CPU")
    };
    let title = match limit.full {
        Full::SharedCores(shared) => {
            format!("client and target together fill {}, at {} req/s", shared.in_words(), rate(rps))
        }
        _ => format!("the target is at its CPU limit: {at} of a core at {} req/s", rate(rps)),
    };
    let fewer = lighter(run, seen, Bottleneck { endpoint: None, slots: Some(limit.slots) });
    Ok(Found::new(title, text)
        .with("target_pid", t.pid)
        .with("target_cpu_percent", t.cpu_percent_mean)
        .with("target_busiest_thread_percent", t.busiest_thread_percent)
        .with("target_threads", t.threads)
        .with("client_cpu_percent", run.resources.client.cpu_percent_mean)
        .with("cpus", run.host.cpus)
        .with("shared_cores", if let Full::SharedCores(shared) = limit.full { Some(shared.count) } else { None })
        .with("in_flight", seen.in_flight())
        .with("rps", rps)
        .with("cpu_ms_per_request", per)
        .with("failed_share", Some(seen.failed_share).filter(|f| *f > 0.0))
        .remedies([less_or_more(run, t, &limit), look].into_iter().chain(fewer).collect()))
}

fn words(run: &RunResult, full: Full, used: f64) -> String {
    let cpus = run.host.cpus;
    match full {
        Full::Machine => match run.resources.client.cpu_percent_mean.filter(|_| used < CPU_LIMIT_PERCENT * f64::from(cpus)) {
            Some(client) => format!("{}, with {} of the client beside it", all_cores(cpus), percent(client)),
            None => all_cores(cpus),
        },
        // The caller has words of its own.
        Full::SharedCores(shared) => shared.in_words(),
        Full::CpuPool(workers) => format!("all that its {} for /cpu can use", counted(workers, "worker")),
        Full::Reactor => "one core, by its event loop".to_owned(),
        Full::OneThread => "one core, all that its single thread can use".to_owned(),
        Full::BusiestThread => "one core, by one of its threads".to_owned(),
        Full::OneCoreInAll => "one core in all, as an interpreter lock does".to_owned(),
    }
}

/// The way past this limit.
fn less_or_more(run: &RunResult, t: &TargetResources, limit: &CpuLimit) -> Remedy {
    let cpus = run.host.cpus;
    match (limit.full, Kind::of(run)) {
        (Full::CpuPool(have), _) if have < cpus => advice(
            format!("give /cpu a worker on every core: {have} of {cpus} work for it"),
            serve_with(run, |f| f.cpu_workers = Some(cpus as usize)),
            format!("up to {} times the /cpu req/s, while the cores are free", times(f64::from(cpus) / f64::from(have.max(1)))),
        ),
        (Full::Reactor, _) if cpus > 1 => advice(
            "give the server an event loop on every core",
            serve_with(run, |f| f.reactors = Some(cpus as usize)),
            format!("{cpus} event loops instead of 1: up to {cpus} times the rate, while the cores are free"),
        ),
        (Full::Machine | Full::CpuPool(_) | Full::Reactor, Kind::Own)
            if run.endpoints.iter().any(|e| Pool::of(run, &e.name) == Some(Pool::Cpu)) =>
        {
            less_work(run, &format!("it uses {} already", all_cores(cpus)))
        }
        (Full::SharedCores(shared), _) if run.plan.pin != Pinning::Off && shared.count < cpus => advice(
            format!("leave out --pin: both ends are confined to {}, and this machine has {cpus}", shared.in_words()),
            load_with(&run.plan, |p| p.pin = Pinning::Off),
            "a core for each end",
        ),
        (Full::SharedCores(_), _) => apart(run),
        (Full::OneThread | Full::BusiestThread | Full::OneCoreInAll, _) if cpus > 1 => advice(
            format!("let the target use more cores: {}; and see its threads", more_cores(&t.name)),
            format!("ps -L -o pid,tid,pcpu,stat,comm -p {}", t.pid),
            format!("up to {cpus} cores instead of {} of one; the command only lists its threads", percent(limit.percent)),
        ),
        (_, Kind::Own) => advice(
            "take the client to another machine: it shares the cores with the target",
            "sockbench server --listen 0.0.0.0:8080   # and there: sockbench load http://THIS-HOST:8080 --allow-remote",
            format!("{} for the target alone", all_cores(cpus)),
        ),
        _ => advice(
            "do less for each request, or take a machine with more cores",
            format!("pidstat -t -p {} 1 5", t.pid),
            format!("which of its threads use {}", all_cores(cpus)),
        ),
    }
}
