//! What helps a full target: the load that it can take, by arithmetic over what was measured, and more workers or less
//! work, as far as it has not got them.

use std::time::Duration;

use crate::diagnose::indicators::Indicators;
use crate::diagnose::thresholds::CAPACITY_SHARE;
use crate::model::figures;
use crate::model::figures::counted;
use crate::model::finding::Remedy;
use crate::model::limits;
use crate::model::plan::CpuWork;
use crate::model::result::{Endpoint, RunResult};
use crate::remedy::target::{Kind, Pool, cpu_workers, io_workers, serve_with, waiting, working};
use crate::remedy::{advice, load_with};

/// The same plan with the load that leaves no queue, with the median that it promises: of this endpoint, else of all.
pub(super) fn lighter(run: &RunResult, seen: &Indicators, of: Option<&Endpoint>) -> Remedy {
    by_arithmetic(run, seen, of).unwrap_or_else(|| one_at_a_time(run))
}

/// None where nothing is known of the target without a queue, or nothing is left to take away.
fn by_arithmetic(run: &RunResult, seen: &Indicators, of: Option<&Endpoint>) -> Option<Remedy> {
    let plan = &run.plan;
    let capacity = seen.steady_rps;
    let alone_ms = response_without_queue_ms(run)?;
    let median = match of.and_then(|e| Some((e, without_queue_ms(e)?))) {
        Some((e, ms)) => format!("{}: median near {} ms, its response without a queue (computed)", e.name, figures::number(ms)),
        None => format!("median near {} ms, the response without a queue (computed)", figures::number(alone_ms)),
    };
    if plan.is_open_loop() {
        let rate = CAPACITY_SHARE * capacity.min(plan.rate);
        // Digits that nobody would type say nothing.
        let rate = if rate >= 10.0 { rate.floor() } else { ((rate * 10.0).floor() / 10.0).max(0.1) };
        let action = format!("ask for {} req/s, {} of what it answered", figures::rate(rate), figures::share(CAPACITY_SHARE));
        return Some(advice(action, load_with(plan, |p| p.rate = rate), median));
    }
    // Users who fill the target without a queue: capacity x (think + response without one).
    let fill = capacity * (seen.think_s + alone_ms / 1000.0);
    let users = (CAPACITY_SHARE * fill).ceil().min(fill.floor()).max(1.0);
    if users < f64::from(plan.users) {
        let users = users as u32;
        let action = format!(
            "offer what it can take: {} ({} req/s x ({} + {}) = {})",
            counted(users, "user"),
            figures::rate(capacity),
            figures::seconds(seen.think_s),
            figures::seconds(alone_ms / 1000.0),
            figures::number(fill)
        );
        return Some(advice(action, load_with(plan, |p| p.users = users), median));
    }
    // As many users, who pause: the same arithmetic the other way round.
    let think = f64::from(plan.users) / (CAPACITY_SHARE * capacity) - alone_ms / 1000.0;
    let think = Duration::try_from_secs_f64(think).ok().filter(|t| *t > plan.think.mean())?;
    let think = Duration::from_millis(think.as_millis() as u64 + 1);
    let command = load_with(plan, |p| (p.think.min, p.think.max) = (think, think));
    Some(advice(format!("let the users pause {} between requests", figures::span(think)), command, median))
}

/// Where the arithmetic has nothing to say: the response without a queue, measured.
fn one_at_a_time(run: &RunResult) -> Remedy {
    let once = load_with(&run.plan, |p| (p.users, p.rate, p.requests, p.duration) = (1, 0.0, 10, Duration::ZERO));
    advice("measure 10 requests, one at a time", once, "the response without a queue")
}

fn without_queue_ms(e: &Endpoint) -> Option<f64> {
    let latency = e.latency_ms?;
    Some(e.server_timing_ms.as_ref().map_or(latency.min, |t| (latency.p50 - t.queue.p50).max(t.work.p50)))
}

/// Mean of the endpoints' medians without the time in the target's queue, by how often each was asked; without
/// Server-Timing the quickest answer of each.
fn response_without_queue_ms(run: &RunResult) -> Option<f64> {
    let known: Vec<(f64, f64)> = run.endpoints.iter().filter_map(|e| Some((e.requests as f64, without_queue_ms(e)?))).collect();
    let weight: f64 = known.iter().map(|(n, _)| n).sum();
    let mean = known.iter().map(|(n, ms)| n * ms).sum::<f64>() / weight;
    (weight > 0.0 && mean.is_finite() && mean > 0.0).then_some(mean)
}

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
        (Some(Pool::Cpu), _) => vec![advice(
            "give /cpu a worker on every core, unless it has them; beyond that only less work or more cores help",
            serve_with(run, |f| f.cpu_workers = Some(cpus as usize)),
            format!("{} worked on at a time", counted(cpus, "job")),
        )],
        (Some(Pool::Io), Kind::Own) => {
            let have = io_workers(run).unwrap_or(limits::IO_WORKERS as u32);
            let there = run.endpoints.iter().filter(|e| Pool::of(run, &e.name) == Some(Pool::Io));
            let there: f64 = there.filter_map(|e| Some(working(e)? + waiting(e)?)).sum();
            let want = (there.ceil() as u32).clamp(have.saturating_add(1), have.max(run.plan.users).saturating_mul(2).max(2));
            vec![advice(
                format!("give /io more workers than {have}: they only wait"),
                serve_with(run, |f| f.io_workers = Some(want as usize)),
                format!("{} in /io at a time instead of {have}", counted(want, "request")),
            )]
        }
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
