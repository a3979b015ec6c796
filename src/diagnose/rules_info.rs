//! Rules about the target's queue and CPU, the closed loop, and the tail: where the time goes while nothing fails.

use super::command::{load_with, number, percent, s};
use super::reading::{duration_s, failed_share, growth, held_by_second, rate_shortfall, response_s, steady_rps, think_s};
use super::remedies::advice;
use super::rule::{Found, Verdict};
use super::thresholds::{
    CLOSED_LOOP_NEAR, CPU_LIMIT_PERCENT, FALL_SHORT_SHARE, FEW_FAILURES, FLAT_THROUGHPUT, GROWN_LATENCY, ONE_CORE_PERCENT,
    QUEUE_MS, QUEUE_REQUESTS, TAIL_REQUESTS, TAIL_TIMES,
};
use crate::model::result::{Endpoint, RunResult, TargetResources};

/// target-queueing.
pub(super) fn queueing(run: &RunResult) -> Verdict {
    let told: Vec<(&Endpoint, f64, f64)> = run
        .endpoints
        .iter()
        .filter(|e| e.requests >= QUEUE_REQUESTS)
        .filter_map(|e| e.server_timing_ms.as_ref().map(|t| (e, t.queue.p50, t.work.p50)))
        .collect();
    let worst = told.iter().filter(|(_, queue, work)| *queue >= QUEUE_MS && queue > work).max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((e, queue, work)) = worst {
        return by_its_own_timing(run, e, *queue, *work);
    }
    let Some(g) = growth(run) else {
        return if told.is_empty() {
            Verdict::Unknown("the target sends no Server-Timing, and the users never grew enough to compare".into())
        } else {
            Verdict::Clear
        };
    };
    let slower = g.p50_ms.1 >= GROWN_LATENCY * g.p50_ms.0 && g.p50_ms.1 - g.p50_ms.0 >= QUEUE_MS;
    // A saturated client queues too, and told timings that show no queue have the last word.
    if !slower || g.rps.1 >= FLAT_THROUGHPUT * g.rps.0 || client_saturated(run) || !told.is_empty() {
        return Verdict::Clear;
    }
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
    .remedies(queue_remedies(run, g.users.0, g.p50_ms.0))
    .verdict()
}

fn queue_remedies(run: &RunResult, users: f64, p50_ms: f64) -> Vec<crate::model::finding::Remedy> {
    let fewer = load_with(&run.plan, |p| {
        p.users = (users.round() as u32).max(1);
        p.rate *= 0.5;
    });
    vec![
        advice(
            "give the target more workers for what it queues",
            format!("sockbench server --io-workers 256 --cpu-workers {}", run.host.cpus),
            format!("CPU work on {} cores at most; waits no longer bound by 128 threads", run.host.cpus),
        ),
        advice("offer what it can take", fewer, format!("median near {} ms, no queue", number(p50_ms.round()))),
    ]
}

fn by_its_own_timing(run: &RunResult, e: &Endpoint, queue: f64, work: f64) -> Verdict {
    let p99 = e.server_timing_ms.as_ref().map(|t| t.queue.p99);
    let text = format!(
        "The target tells how long each request waited for a worker and how long it was worked on (Server-Timing): at {} half of the requests waited {} ms or more for {} ms \
         of work. That time is in the latencies here, but it is the target's queue, not the network, not the client and not its ports.",
        e.name,
        number(queue.round()),
        number((work * 10.0).round() / 10.0)
    );
    let latency = e.latency_ms.map(|l| l.p50);
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
    .remedies(queue_remedies(run, f64::from(run.plan.users) * work / (queue + work), work))
    .verdict()
}

fn client_saturated(run: &RunResult) -> bool {
    matches!(super::rules_client::generator_saturated(run), Verdict::Finding(_))
}

/// Which limit the target's CPU is at, in words, with its percent.
fn cpu_limit(t: &TargetResources, cpus: u32) -> Option<(&'static str, f64)> {
    let mean = t.cpu_percent_mean?;
    if cpus > 0 && mean >= CPU_LIMIT_PERCENT * f64::from(cpus) {
        return Some(("all cores of this machine", mean));
    }
    if let Some(busiest) = t.busiest_thread_percent.filter(|b| *b >= CPU_LIMIT_PERCENT) {
        return Some(("one core, by one thread", busiest));
    }
    let one_core = t.threads == Some(1) || t.cpu_percent_max.is_some_and(|m| m <= ONE_CORE_PERCENT);
    (one_core && mean >= CPU_LIMIT_PERCENT).then_some(("one core in all, as a single thread or an interpreter lock does", mean))
}

/// More load would not bring more throughput: the loop has no pause, or answers take longer than the users' pauses,
/// or the asked rate was not reached, or the rate stayed flat while users came.
fn is_pushed(run: &RunResult) -> bool {
    if let Some((missing, asked)) = rate_shortfall(run) {
        return missing > FALL_SHORT_SHARE * asked;
    }
    let flat = growth(run).is_some_and(|g| g.rps.1 < FLAT_THROUGHPUT * g.rps.0);
    flat || run.plan.think.max.is_zero() || response_s(run).is_some_and(|r| r > think_s(run))
}

/// target-cpu-saturated.
pub(super) fn target_cpu(run: &RunResult) -> Verdict {
    let Some(t) = run.resources.target.as_ref() else {
        return Verdict::Unknown("the target's process is not of this host, or was not found".into());
    };
    if t.cpu_percent_mean.is_none() {
        return Verdict::Unknown("the target's CPU could not be read".into());
    }
    let Some((limit, at)) = cpu_limit(t, run.host.cpus).filter(|_| is_pushed(run)) else { return Verdict::Clear };
    let rps = steady_rps(run);
    let per = t.cpu_percent_mean.filter(|_| rps > 0.0).map(|c| c * 10.0 / rps);
    let mut text = format!(
        "The target's process {} ({}) used {at:.0} % of a core: {limit}, its children included. Throughput stands at {}/s and more load does not raise it",
        t.name,
        t.pid,
        number(rps.round())
    );
    if let Some(ms) = per {
        text += &format!("; a request costs it {} ms of CPU", number((ms * 100.0).round() / 100.0));
    }
    text += ". This is the target's own limit, neither ports nor the client; Task Manager shows it on Windows as one full core.";
    let fewer = load_with(&run.plan, |p| p.users = (p.users / 2).max(1));
    let remedies = vec![
        advice(
            "let the target use more cores, or do less per request",
            format!("sockbench server --cpu-workers {} --reactors {}", run.host.cpus, run.host.cpus),
            format!("up to {} cores instead of {at:.0} % of one", run.host.cpus),
        ),
        advice("see where it spends the time", format!("perf top -p {}", t.pid), "the functions that take the core"),
        advice("measure latency below the limit", fewer, "the same throughput at half of the users, with shorter answers"),
    ];
    Found::new(format!("the target is at its CPU limit: {at:.0} % of a core at {}/s", number(rps.round())), text)
        .with("target_pid", t.pid)
        .with("target_cpu_percent", t.cpu_percent_mean)
        .with("target_busiest_thread_percent", t.busiest_thread_percent)
        .with("target_threads", t.threads)
        .with("cpus", run.host.cpus)
        .with("rps", rps)
        .with("cpu_ms_per_request", per)
        .remedies(remedies)
        .verdict()
}

/// Users / (think + response), where the plan is a closed loop and something was answered.
pub(super) fn closed_loop_rps(run: &RunResult) -> Option<f64> {
    let cycle = think_s(run) + response_s(run)?;
    (!run.plan.is_open_loop() && cycle > 0.0).then(|| f64::from(run.plan.users) / cycle)
}

/// closed-loop-limited.
pub(super) fn closed_loop(run: &RunResult) -> Verdict {
    if run.plan.is_open_loop() || run.plan.think.max.is_zero() {
        return Verdict::Clear;
    }
    let (Some(response), Some(predicted)) = (response_s(run), closed_loop_rps(run)) else {
        return Verdict::Unknown("nothing was answered".into());
    };
    if run.totals.steady.is_none() && run.plan.ramp().as_secs_f64() > 0.1 * duration_s(run) {
        return Verdict::Unknown("the run ended before all users had been started for long".into());
    }
    let (think, rps) = (think_s(run), steady_rps(run));
    let near = (rps - predicted).abs() <= CLOSED_LOOP_NEAR * predicted;
    if !near || response > think || failed_share(run) > FEW_FAILURES {
        return Verdict::Clear;
    }
    let users = run.plan.users;
    let at_most = f64::from(users) / think;
    let text = format!(
        "Each of the {users} users waits {} between requests and {} for an answer, so together they come to {users} / ({} + {}) = {}/s; measured were {}/s. \
         The users' own pace sets this rate: an answer in no time would give {}/s at most, twice the users about twice the rate. Do not read it as what the \
         target can do. It is arithmetic, the same on Windows.",
        s3(think),
        s3(response),
        s3(think),
        s3(response),
        number((predicted * 10.0).round() / 10.0),
        number((rps * 10.0).round() / 10.0),
        number(at_most.round())
    );
    let double = load_with(&run.plan, |p| p.users = p.users.saturating_mul(2));
    let open = load_with(&run.plan, |p| p.rate = (rps * 2.0).ceil());
    let remedies = vec![
        advice(
            "use more users",
            double,
            format!("{}/s, while the target keeps its response time", number((predicted * 2.0).round())),
        ),
        advice("ask for a rate instead of users", open, format!("{}/s whatever the answers take", number((rps * 2.0).ceil()))),
    ];
    Found::new(
        format!(
            "{}/s is what {users} users can ask for: the closed loop, not the target, is the limit",
            number((rps * 10.0).round() / 10.0)
        ),
        text,
    )
    .with("users", users)
    .with("think_s", think)
    .with("response_s", response)
    .with("predicted_rps", predicted)
    .with("rps", rps)
    .remedies(remedies)
    .verdict()
}

/// Milliseconds where tenths of a second would hide them.
pub(super) fn s3(v: f64) -> String {
    if v < 1.0 { format!("{} ms", number((v * 1e4).round() / 10.0)) } else { s(v) }
}

/// tail-endpoint.
pub(super) fn tail(run: &RunResult) -> Verdict {
    let mut known: Vec<(&Endpoint, f64)> =
        run.endpoints.iter().filter(|e| e.requests >= TAIL_REQUESTS).filter_map(|e| e.latency_ms.map(|l| (e, l.p95))).collect();
    if known.len() < 2 {
        return if run.endpoints.len() < 2 && run.plan.mix.len() < 2 {
            Verdict::Clear
        } else {
            Verdict::Unknown(format!("fewer than two endpoints gave {TAIL_REQUESTS} answers"))
        };
    }
    known.sort_by(|a, b| b.1.total_cmp(&a.1));
    let ((top, p95), (next, next_p95)) = (known[0], known[1]);
    if p95 < TAIL_TIMES * next_p95 {
        return Verdict::Clear;
    }
    let share = top.requests as f64 / run.totals.requests.max(1) as f64;
    let all = run.totals.latency_ms;
    let ms = |v: f64| number((v * 10.0).round() / 10.0);
    let mut text = format!(
        "The slowest answers come from {}: its p95 is {} ms, that of the next one ({}) {} ms. It is {} of the requests",
        top.name,
        ms(p95),
        next.name,
        ms(next_p95),
        percent(share)
    );
    if let Some(all) = all {
        text += &format!(
            ", so the p95 of all together ({} ms) and everything above the {} percentile tell of it alone",
            ms(all.p95),
            number(((1.0 - share) * 100.0).round())
        );
    }
    text += ". Read the endpoints' own rows; a percentile over the mix moves with the mix.";
    let alone = format!("{} --mix '{}=1'", load_with(&run.plan, |_| ()), top.name);
    let without: Vec<String> =
        run.plan.mix.iter().filter(|m| m.path != top.name).map(|m| format!("{}={}", m.path, m.weight)).collect();
    let mut remedies =
        vec![advice("measure it alone", alone, format!("its own p50 and p95 (now {} ms) without the others' load", ms(p95)))];
    if !without.is_empty() {
        remedies.push(advice(
            "measure the others without it",
            format!("{} --mix '{}'", load_with(&run.plan, |_| ()), without.join(",")),
            format!("p95 near {} ms", ms(next_p95)),
        ));
    }
    Found::new(format!("{} makes the tail: p95 {} ms against {} ms of the next endpoint", top.name, ms(p95), ms(next_p95)), text)
        .with("endpoint", top.name.as_str())
        .with("p95_ms", p95)
        .with("next_endpoint", next.name.as_str())
        .with("next_p95_ms", next_p95)
        .with("share_of_requests", share)
        .with("all_p95_ms", all.map(|l| l.p95))
        .remedies(remedies)
        .verdict()
}

/// The most ports held in any second, where the observer looked.
pub(super) fn peak_held(run: &RunResult) -> Option<u32> {
    let by_series = held_by_second(run).into_iter().filter_map(|(_, held)| held).max();
    run.ports.as_ref().and_then(|p| p.peak_used).or(by_series)
}
