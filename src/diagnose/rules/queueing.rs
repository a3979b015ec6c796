//! The rule about requests that wait at the target: by its own timing, with a load that grew, or longer and longer.

use super::capacity::{more_workers, other_target, who_takes_the_cores};
use super::lighter::{Bottleneck, lighter};
use super::prelude::*;
use crate::remedy::target::{workers, working};

pub(in crate::diagnose) fn queueing(run: &RunResult, seen: &Indicators) -> Ruling {
    Ok(match seen.queue.clone()? {
        Queue::Reported { endpoint, queue_ms, work_ms } => {
            by_its_own_timing(run, seen, run.endpoints.get(endpoint).ok_or(Clear)?, queue_ms, work_ms)
        }
        Queue::Rising(growth) => by_growth(run, seen, growth),
        Queue::Leak(leak) => leaking(run, seen, leak),
    })
}

fn by_its_own_timing(run: &RunResult, seen: &Indicators, e: &Endpoint, queue: f64, work: f64) -> Found {
    let mut text = format!(
        "The target says how long requests wait for a worker and how long that one has them (Server-Timing): half of those to {} waited \
         {} ms or more for a service time of {} ms{}. It is the target's queue, not the network, the client or its ports.",
        e.name,
        number(queue),
        number(work),
        waits_for_a_core(seen)
    );
    let idle = idle_workers(run, e);
    if let Some((pool, busy)) = idle {
        text += &format!(
            " On average {} of its {} were at work: jobs waited for a core, not for a worker.",
            number(busy),
            counted(pool, "worker")
        );
    }
    let lacks_cores = is_starved(run, seen, e);
    let mut remedies = if idle.is_some() || lacks_cores { vec![who_takes_the_cores()] } else { more_workers(run, &e.name) };
    if !lacks_cores {
        // What a starved target answered is not what it can take.
        remedies.extend(lighter(run, seen, Bottleneck { endpoint: Some(e), slots: None }));
    }
    let found = Found::new(
        format!("{} waits {} ms in the target's queue for {} ms of service time", e.name, number(queue), number(work)),
        text,
    )
    .with("endpoint", e.name.as_str())
    .with("queue_p50_ms", queue)
    .with("queue_p99_ms", e.server_timing_ms.as_ref().map(|t| t.queue.p99))
    .with("work_p50_ms", work)
    .with("latency_p50_ms", e.latency_ms.map(|l| l.p50))
    .with("requests", e.requests)
    .with("workers", workers(run, &e.name))
    .remedies(remedies);
    // Workers that are all at work, and have their cores, make the queue, whatever else this machine does.
    let starved = idle.is_some() || lacks_cores || has_quota(seen);
    let causes = [(Id::HostContended, starved), (Id::TargetCpuSaturated, true)];
    found.caused_only_by(causes.into_iter().filter_map(|(id, is_so)| is_so.then_some(id)).collect())
}

/// What of the service time is no work.
fn waits_for_a_core(seen: &Indicators) -> String {
    let waiting = seen.contention.as_ref().ok().filter(|c| c.who == Waiter::Target);
    waiting.map_or_else(String::new, |c| format!(", of which its threads waited {} for a core", percent(c.wait_percent)))
}

/// The target's threads had not the cores that they have on a free machine: its work on a request took longer than there. Jobs
/// that only wait, those of `/io`, need hardly any.
fn is_starved(run: &RunResult, seen: &Indicators, e: &Endpoint) -> bool {
    let by_others = seen.contention.as_ref().ok().is_some_and(|c| c.starves_target);
    by_others && Pool::of(run, &e.name) != Some(Pool::Io)
}

/// A quota stopped the target's process.
fn has_quota(seen: &Indicators) -> bool {
    seen.contention.as_ref().ok().is_some_and(|c| c.who == Waiter::Target && matches!(c.reason, Reason::Quota(_)))
}

/// Workers of the endpoint's pool and how many of them worked at a time, where that is well below all of them: then
/// jobs do not wait for a worker.
fn idle_workers(run: &RunResult, e: &Endpoint) -> Option<(u32, f64)> {
    let (all, busy) = (workers(run, &e.name)?, working(e)?);
    (busy < BUSY_POOL_SHARE * f64::from(all)).then_some((all, busy))
}

fn by_growth(run: &RunResult, seen: &Indicators, g: Growth) -> Found {
    let text = format!(
        "From {} to {} users throughput went from {} to {} req/s, and the median from {} to {} ms. Additional users only wait longer: the \
         target is saturated. Server-Timing would say which of its queues; it sends none. It is neither the client nor its ports.",
        number(g.users.0.round()),
        number(g.users.1.round()),
        rate(g.rps.0),
        rate(g.rps.1),
        number(g.p50_ms.0),
        number(g.p50_ms.1)
    );
    let title = format!(
        "the median grew {} times with the users, throughput stayed at {} req/s",
        times(g.p50_ms.1 / g.p50_ms.0),
        rate(g.rps.1)
    );
    Found::new(title, text)
        .with("users_before", g.users.0)
        .with("users_after", g.users.1)
        .with("rps_before", g.rps.0)
        .with("rps_after", g.rps.1)
        .with("p50_ms_before", g.p50_ms.0)
        .with("p50_ms_after", g.p50_ms.1)
        .remedies(
            std::iter::once(other_target(run, "give the target more workers or cores, or less work per request"))
                .chain(lighter(run, seen, Bottleneck::default()))
                .collect(),
        )
}

/// The load stayed, and answers took longer and longer.
fn leaking(run: &RunResult, seen: &Indicators, leak: Leak) -> Found {
    let ((from, to), at) = (leak.p50_ms, seconds(leak.since_s));
    let load = if run.plan.is_open_loop() {
        format!("At a constant {} req/s", rate(run.plan.rate))
    } else {
        format!("With the same {}", counted(run.plan.users, "user"))
    };
    let text = format!(
        "{load} the median was {} ms in the first third of the run and {} ms in the last; most of the growth came by {at}. Something fills \
         up at the target: a queue, a table, a log, a cache, memory. Throughput went from {} to {} req/s. The figures depend on how long \
         the run was.",
        number(from),
        number(to),
        rate(leak.rps.0),
        rate(leak.rps.1)
    );
    let longer = load_with(&run.plan, |p| p.duration = p.duration.saturating_mul(3));
    let mut remedies = vec![
        advice(
            "run longer, to see whether it levels off",
            longer,
            format!("a median that stays near {} ms, or grows on", number(to)),
        ),
        other_target(run, "see what grows at the target: its memory, its threads, its queues"),
    ];
    // Less load helps where more was asked than it answered; what fills up otherwise, fills up at a lower rate too.
    let overloaded = run.plan.is_open_loop() && leak.rps.1 < (1.0 - FALL_SHORT_SHARE) * run.plan.rate;
    remedies.extend(overloaded.then(|| lighter(run, seen, Bottleneck::default())).flatten());
    Found::new(format!("the median grew from {} to {} ms at a constant load", number(from), number(to)), text)
        .with("p50_ms_first_third", from)
        .with("p50_ms_last_third", to)
        .with("rps_first_third", leak.rps.0)
        .with("rps_last_third", leak.rps.1)
        .with("since_s", leak.since_s)
        .remedies(remedies)
}
