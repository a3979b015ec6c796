//! Rules about the target's queue and CPU: where the time goes while nothing fails, and which limit of the target
//! it is. What is advised follows the pool that queues, and never names what the target has already.

use super::capacity::{lighter, one_at_a_time};
use crate::diagnose::indicators::{CpuLimit, Full, Growth, Indicators, Leak, Queue};
use crate::diagnose::rule::{Found, Ruling};
use crate::diagnose::thresholds::{BUSY_POOL_SHARE, CPU_LIMIT_PERCENT};
use crate::model::figures;
use crate::model::finding::Remedy;
use crate::model::limits;
use crate::model::plan::CpuWork;
use crate::model::result::{Endpoint, RunResult, TargetResources};
use crate::remedy::target::{Kind, Pool, cpu_workers, io_workers, serve_with, waiting, working};
use crate::remedy::{advice, count, load_with, number, s};

/// target-queueing.
pub(in crate::diagnose) fn queueing(run: &RunResult, seen: &Indicators) -> Ruling {
    Ruling::about(&seen.queue, |queue| match *queue {
        Queue::Told { endpoint, queue_ms, work_ms } => match run.endpoints.get(endpoint) {
            Some(e) => by_its_own_timing(run, seen, e, queue_ms, work_ms),
            None => Ruling::Clear,
        },
        Queue::Grown(growth) => by_growth(run, seen, growth),
        Queue::Leak(leak) => leaking(run, seen, leak),
    })
}

fn by_growth(run: &RunResult, seen: &Indicators, g: Growth) -> Ruling {
    let text = format!(
        "From {} to {} users throughput went from {}/s to {}/s and the median from {} ms to {} ms: the users more only wait longer, in a queue before the target's \
         limit. Its Server-Timing would say which queue; it sends none. The client is not the limit, nor are its ports. A Windows client sees the same.",
        number(g.users.0.round()),
        number(g.users.1.round()),
        number(g.rps.0.round()),
        number(g.rps.1.round()),
        number(g.p50_ms.0.round()),
        number(g.p50_ms.1.round())
    );
    let mut remedies = vec![other_target(run, "give the target more workers or cores, or less work a request")];
    remedies.push(lighter(run, seen, "the median").unwrap_or_else(|| one_at_a_time(run)));
    Found::new(
        format!(
            "latency grew {} times with the users at flat throughput ({}/s)",
            number((g.p50_ms.1 / g.p50_ms.0 * 10.0).round() / 10.0),
            number(g.rps.1.round())
        ),
        text,
    )
    .with("users_before", g.users.0)
    .with("users_after", g.users.1)
    .with("rps_before", g.rps.0)
    .with("rps_after", g.rps.1)
    .with("p50_ms_before", g.p50_ms.0)
    .with("p50_ms_after", g.p50_ms.1)
    .remedies(remedies)
    .ruling()
}

fn by_its_own_timing(run: &RunResult, seen: &Indicators, e: &Endpoint, queue: f64, work: f64) -> Ruling {
    let p99 = e.server_timing_ms.as_ref().map(|t| t.queue.p99);
    let mut text = format!(
        "The target tells how long each request waited for a worker and how long it was worked on (Server-Timing): at {} half of the requests waited {} ms or more for {} ms \
         of work. That time is in the latencies here, but it is the target's queue, not the network, not the client and not its ports.",
        e.name,
        number(queue.round()),
        number((work * 10.0).round() / 10.0)
    );
    let idle = idle_workers(run, e);
    if let Some((pool, busy)) = idle {
        text += &format!(
            " Yet only {} of its {pool} workers were at work at a time: jobs waited for a core, which others took, not for a worker.",
            number((busy * 10.0).round() / 10.0)
        );
    }
    let latency = e.latency_ms.map(|l| l.p50);
    let mut remedies = Vec::new();
    if idle.is_some() {
        remedies.push(who_takes_the_cores());
    } else {
        remedies.extend(more_workers(run, &e.name));
    }
    remedies.push(lighter(run, seen, &format!("{}: the median", e.name)).unwrap_or_else(|| one_at_a_time(run)));
    Found::new(
        format!(
            "{} waits {} ms in the target's queue for {} ms of work (medians)",
            e.name,
            number(queue.round()),
            number((work * 10.0).round() / 10.0)
        ),
        text,
    )
    .with("endpoint", e.name.as_str())
    .with("queue_p50_ms", queue)
    .with("queue_p99_ms", p99)
    .with("work_p50_ms", work)
    .with("latency_p50_ms", latency)
    .with("requests", e.requests)
    .with("workers", workers(run, &e.name))
    .remedies(remedies)
    .ruling()
}

/// The load stayed, and answers took longer and longer.
fn leaking(run: &RunResult, seen: &Indicators, leak: Leak) -> Ruling {
    let ((from, to), at) = (leak.p50_ms, s(leak.since_s));
    let (was, is) = (figures::ms(from), figures::ms(to));
    let load = if run.plan.is_open_loop() {
        format!("At a constant {} req/s", figures::rate(run.plan.rate))
    } else {
        format!("With the same {}", count(run.plan.users, "user"))
    };
    let text = format!(
        "{load} the median was {was} ms in the first third of the run and {is} ms in the last; most of the growth came by {at}. Work \
         gathers at the target: a queue that is filled faster than it is emptied, a table or a log that grows, a cache that is \
         full, memory that runs short. Throughput went from {} to {} req/s. A longer run would have shown more of it: the figures of \
         this one depend on how long it lasted.",
        figures::rate(leak.rps.0),
        figures::rate(leak.rps.1)
    );
    let longer = load_with(&run.plan, |p| p.duration = p.duration.saturating_mul(3));
    let mut remedies = vec![
        advice(
            "run longer, to see whether it levels off",
            longer,
            format!("a median that stays near {is} ms, or one that grows on"),
        ),
        other_target(run, "see what grows at the target: its memory, its threads, its queues"),
    ];
    remedies.extend(lighter(run, seen, "the median").filter(|_| run.plan.is_open_loop()));
    Found::new(format!("the median grew from {was} to {is} ms at a constant load"), text)
        .with("p50_ms_first_third", from)
        .with("p50_ms_last_third", to)
        .with("rps_first_third", leak.rps.0)
        .with("rps_last_third", leak.rps.1)
        .with("since_s", leak.since_s)
        .remedies(remedies)
        .ruling()
}

fn workers(run: &RunResult, endpoint: &str) -> Option<u32> {
    match Pool::of(run, endpoint)? {
        Pool::Cpu => cpu_workers(run),
        Pool::Io => io_workers(run),
    }
}

/// Workers of the endpoint's pool and how many of them worked at a time, where that is well below all of them: then
/// jobs do not wait for a worker.
fn idle_workers(run: &RunResult, e: &Endpoint) -> Option<(u32, f64)> {
    let (all, busy) = (workers(run, &e.name)?, working(e)?);
    (busy < BUSY_POOL_SHARE * f64::from(all)).then_some((all, busy))
}

fn who_takes_the_cores() -> Remedy {
    advice(
        "see what else takes the cores",
        "top -b -n 1 -o %CPU | head -n 15",
        "what stands above the target and the client, in % of a core",
    )
}

/// What makes the pool behind an endpoint of the target faster; what the target has already is not among it.
pub(in crate::diagnose) fn more_workers(run: &RunResult, endpoint: &str) -> Vec<Remedy> {
    let cpus = run.host.cpus;
    match (Pool::of(run, endpoint), Kind::of(run)) {
        (Some(Pool::Cpu), Kind::Own) => match cpu_workers(run) {
            Some(have) if have < cpus => vec![advice(
                format!("give /cpu a worker on every core: it has {have} of {cpus}"),
                serve_with(run, |f| f.cpu_workers = Some(cpus as usize)),
                format!("up to {} times the /cpu requests/s, while the cores are free", times(cpus, have)),
            )],
            _ => vec![less_work(run, &format!("its workers have {} already", all_cores(cpus)))],
        },
        (Some(Pool::Cpu), _) => vec![advice(
            "give /cpu a worker on every core, unless it has them; beyond that only less work or more cores help",
            serve_with(run, |f| f.cpu_workers = Some(cpus as usize)),
            format!("{} of CPU work at a time", count(cpus, "job")),
        )],
        (Some(Pool::Io), Kind::Own) => {
            let have = io_workers(run).unwrap_or(limits::IO_WORKERS as u32);
            let there = run.endpoints.iter().filter(|e| Pool::of(run, &e.name) == Some(Pool::Io));
            let there: f64 = there.filter_map(|e| Some(working(e)? + waiting(e)?)).sum();
            let want = (there.ceil() as u32).clamp(have.saturating_add(1), have.max(run.plan.users).saturating_mul(2).max(2));
            vec![advice(
                format!("give /io more workers than {have}: they only wait"),
                serve_with(run, |f| f.io_workers = Some(want as usize)),
                format!("{} in /io at a time instead of {have}", count(want, "request")),
            )]
        }
        (Some(Pool::Io), _) => {
            let want = run.plan.users.max(limits::IO_WORKERS as u32 * 2);
            vec![advice(
                "give /io a worker for every request at a time: they only wait",
                serve_with(run, |f| f.io_workers = Some(want as usize)),
                format!("{} in /io at a time", count(want, "request")),
            )]
        }
        (None, _) => {
            vec![other_target(run, &format!("give the target more workers or cores for {endpoint}, or less work a request"))]
        }
    }
}

fn times(all: u32, have: u32) -> String {
    number((f64::from(all) / f64::from(have.max(1)) * 10.0).round() / 10.0)
}

fn all_cores(cpus: u32) -> String {
    if cpus == 1 { "the only core".to_owned() } else { format!("all {cpus} cores") }
}

/// Half of the work of one `/cpu` request, for an own server whose cores are all in use.
fn less_work(run: &RunResult, because: &str) -> Remedy {
    let half = match run.plan.environment.server.cpu_work.unwrap_or(CpuWork::CalibrateS(limits::CPU_WORK)) {
        CpuWork::CalibrateS(work) => CpuWork::CalibrateS(work / 2),
        CpuWork::Iterations(n) => CpuWork::Iterations((n / 2).max(1)),
    };
    advice(
        format!("make a /cpu request cheaper, or take a machine with more cores: {because}"),
        serve_with(run, |f| f.cpu_work = Some(half)),
        "half the work a request: up to 2 times the /cpu requests/s",
    )
}

/// For a server that is not ours: what can be looked at.
fn other_target(run: &RunResult, action: &str) -> Remedy {
    let port = run.plan.target.addr.port();
    match run.resources.target.as_ref() {
        Some(t) => advice(
            action,
            format!("ps -L -o pid,tid,pcpu,stat,comm -p {}", t.pid),
            "its threads: one near 100 % is a core that is full, many in state S wait for something else",
        ),
        None => advice(
            action,
            format!("ss -ltnp 'sport = :{port}'   # on the target's machine: its process"),
            format!("Recv-Q above 0 at port {port}: it does not keep up with accepting either"),
        ),
    }
}

fn words(run: &RunResult, limit: &CpuLimit) -> String {
    let cpus = run.host.cpus;
    match limit.full {
        Full::Machine => {
            match run.resources.client.cpu_percent_mean.filter(|_| limit.percent < CPU_LIMIT_PERCENT * f64::from(cpus)) {
                Some(client) => format!("with the client's {client:.0} % {}", all_cores(cpus)),
                None => all_cores(cpus),
            }
        }
        Full::CpuPool(workers) => format!("all that its {} for /cpu can use", count(workers, "worker")),
        Full::Reactor => "one core, by its event loop".to_owned(),
        Full::OneThread => "one core, all that its single thread can use".to_owned(),
        Full::BusiestThread => "one core, by one of its threads".to_owned(),
        Full::OneCoreInAll => "one core in all, as an interpreter lock does".to_owned(),
    }
}

/// target-cpu-saturated.
pub(in crate::diagnose) fn target_cpu(run: &RunResult, seen: &Indicators) -> Ruling {
    Ruling::about(&seen.cpu, |limit| run.resources.target.as_ref().map_or(Ruling::Clear, |t| full(run, seen, t, *limit)))
}

fn full(run: &RunResult, seen: &Indicators, t: &TargetResources, limit: CpuLimit) -> Ruling {
    let (at, rps) = (limit.percent, seen.steady_rps);
    let per = t.cpu_percent_mean.filter(|_| rps > 0.0).map(|c| c * 10.0 / rps);
    let mut text = format!(
        "The target's process {} ({}) used {at:.0} % of a core: {}, its children included. Throughput stands at {}/s and more load does not raise it",
        t.name,
        t.pid,
        words(run, &limit),
        number(rps.round())
    );
    if let Some(ms) = per {
        text += &format!("; a request costs it {} ms of CPU", number((ms * 100.0).round() / 100.0));
    }
    text += ". This is the target's own limit, neither ports nor the client; Task Manager shows it on Windows as full cores.";
    let mut remedies = vec![less_or_more(run, t, &limit)];
    if Kind::of(run) == Kind::Own {
        remedies.push(advice(
            "see where it spends the time",
            load_with(&run.plan, |_| ()).under("perf record -g --"),
            "perf report then names the functions that take the core",
        ));
    } else {
        remedies.push(advice(
            "see where it spends the time",
            format!("perf top -p {}", t.pid),
            "the functions that take the core",
        ));
    }
    remedies.push(lighter(run, seen, "the median").unwrap_or_else(|| one_at_a_time(run)));
    Found::new(format!("the target is at its CPU limit: {at:.0} % of a core at {}/s", number(rps.round())), text)
        .with("target_pid", t.pid)
        .with("target_cpu_percent", t.cpu_percent_mean)
        .with("target_busiest_thread_percent", t.busiest_thread_percent)
        .with("target_threads", t.threads)
        .with("client_cpu_percent", run.resources.client.cpu_percent_mean)
        .with("cpus", run.host.cpus)
        .with("in_flight", seen.in_flight())
        .with("rps", rps)
        .with("cpu_ms_per_request", per)
        .with("failed_share", Some(seen.failed_share).filter(|f| *f > 0.0))
        .remedies(remedies)
        .ruling()
}

/// The way past this limit.
fn less_or_more(run: &RunResult, t: &TargetResources, limit: &CpuLimit) -> Remedy {
    let cpus = run.host.cpus;
    match (limit.full, Kind::of(run)) {
        (Full::CpuPool(have), _) if have < cpus => advice(
            format!("give /cpu a worker on every core: {have} of {cpus} work for it"),
            serve_with(run, |f| f.cpu_workers = Some(cpus as usize)),
            format!("up to {} times the /cpu requests/s, while the cores are free", times(cpus, have)),
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
        (Full::OneThread | Full::BusiestThread | Full::OneCoreInAll, _) if cpus > 1 => advice(
            "let the target use more cores: more processes of it behind one port, where it can have them (Python, Node.js: one for each core)",
            format!("ps -L -o pid,tid,pcpu,stat,comm -p {}", t.pid),
            format!("up to {cpus} cores instead of {at:.0} % of one", at = limit.percent),
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
