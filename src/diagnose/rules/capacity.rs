//! What makes a full target do more: more workers or less work, as far as it has not got them.
//!
//! Not here: the load that it can take as it is ([`super::lighter`]).

use super::lighter::{MEDIAN_TOLD, median_range};
use super::prelude::*;
use crate::model::plan::CpuWork;
use crate::remedy::target::{Kind, io_workers, waiting, working};

/// What makes the pool behind an endpoint of the target faster; what the target has already is not among it.
pub(super) fn more_workers(run: &RunResult, endpoint: &str) -> Vec<Remedy> {
    let cpus = run.host.cpus;
    match (Pool::of(run, endpoint), Kind::of(run)) {
        (Some(Pool::Cpu), Kind::Own) => match cpu_workers(run) {
            Some(have) if have < cpus => vec![advice(
                format!("give /cpu a worker on every core: it has {have} of {cpus}"),
                serve_with(run, |f| f.cpu_workers = Some(cpus as usize)),
                format!(
                    "up to {} times the /cpu req/s, while the cores are free",
                    figures::times(f64::from(cpus) / f64::from(have.max(1)))
                ),
            )],
            _ => vec![less_work(run, &format!("its workers use {} already", all_cores(cpus)))],
        },
        // Of a sockbench server, workers for /cpu are what is confined to a core each.
        (Some(Pool::Cpu), _) if run.resources.target.as_ref().is_some_and(|t| t.cores.len() as u32 >= cpus) => {
            vec![less_work(run, &format!("it has a worker on {} already", all_cores(cpus)))]
        }
        (Some(Pool::Cpu), _) => vec![advice(
            "give /cpu a worker on every core, unless it has them; beyond that only less work or more cores help",
            serve_with(run, |f| f.cpu_workers = Some(cpus as usize)),
            format!("{} worked on at a time", counted(cpus, "job")),
        )],
        (Some(Pool::Io), Kind::Own) => vec![more_io_workers(run, endpoint)],
        (Some(Pool::Io), _) => {
            let want = run.plan.users.max(limits::IO_WORKERS as u32 * 2);
            vec![advice(
                "give /io a worker for every request at a time: they only wait",
                serve_with(run, |f| f.io_workers = Some(want as usize)),
                format!("{} in /io at a time", counted(want, "request")),
            )]
        }
        (None, _) => {
            vec![other_target(run, &format!("give the target more workers or cores for {endpoint}, or less work a request"))]
        }
    }
}

/// A worker of its own server for every request that can be in `/io` at a time: none waits then.
fn more_io_workers(run: &RunResult, endpoint: &str) -> Remedy {
    let have = io_workers(run).unwrap_or(limits::IO_WORKERS as u32);
    let there: Vec<&Endpoint> = run.endpoints.iter().filter(|e| Pool::of(run, &e.name) == Some(Pool::Io)).collect();
    let at_a_time: f64 = there.iter().filter_map(|e| Some(working(e)? + waiting(e)?)).sum();
    // Each user has one request at a time, and all of them may be there; an open loop goes by what was there.
    let want = if run.plan.is_open_loop() { at_a_time.ceil() as u32 } else { run.plan.users };
    let most = limits::WORKERS_MAX as u32;
    let want = want.clamp(have.saturating_add(1).min(most), most);
    let remedy = advice(
        format!("give /io more workers than {have}: they only wait"),
        serve_with(run, |f| f.io_workers = Some(want as usize)),
        format!("{} in /io at a time instead of {have}", counted(want, "request")),
    );
    let work = there.iter().find(|e| e.name == endpoint).and_then(|e| e.server_timing_ms.as_ref()).map(|t| t.work.p50);
    match work.filter(|_| !run.plan.is_open_loop() && want >= run.plan.users) {
        Some(ms) => {
            let (low, high) = median_range(ms, MEDIAN_TOLD);
            let expected = format!("{}: none waits, {endpoint} takes {} to {} ms", remedy.expected, number(low), number(high));
            let median = Prediction::between(Metric::LatencyP50Ms, ms, low, high).of(endpoint);
            Remedy { expected, ..remedy }.promising(median)
        }
        None => remedy,
    }
}

/// Half of the work of one `/cpu` request, for an own server whose cores are all in use.
pub(super) fn less_work(run: &RunResult, because: &str) -> Remedy {
    let half = match run.plan.environment.server.cpu_work.unwrap_or(CpuWork::CalibrateS(limits::CPU_WORK)) {
        CpuWork::CalibrateS(work) => CpuWork::CalibrateS(work / 2),
        CpuWork::Iterations(n) => CpuWork::Iterations((n / 2).max(1)),
    };
    advice(
        format!("make a /cpu request cheaper, or take a machine with more cores: {because}"),
        serve_with(run, |f| f.cpu_work = Some(half)),
        "half the work per request: up to 2 times the /cpu req/s",
    )
}

/// For a server that is not ours: what can be looked at.
pub(super) fn other_target(run: &RunResult, action: &str) -> Remedy {
    let port = run.plan.target.addr.port();
    match run.resources.target.as_ref() {
        Some(t) => advice(
            action,
            format!("ps -L -o pid,tid,pcpu,stat,comm -p {}", t.pid),
            "its threads: one near 100 % uses a whole core; many in state S wait for something else",
        ),
        None => advice(
            action,
            format!("ss -ltnp 'sport = :{port}'   # on the target's machine: its process"),
            format!("Recv-Q above 0 at port {port}: it does not keep up with accept() either"),
        ),
    }
}

pub(super) fn who_takes_the_cores() -> Remedy {
    advice(
        "see what else takes the cores",
        "top -b -n 1 -o %CPU | head -n 15",
        "programs above the target and the client, in % of a core",
    )
}

pub(super) fn all_cores(cpus: u32) -> String {
    if cpus == 1 { "the only core".to_owned() } else { format!("all {cpus} cores") }
}
