//! Rules about the closed loop and the tail: how to read figures while nothing fails.

use super::prelude::*;
use crate::remedy::target::useful_workers;

/// Connections beyond those that a rate needs on average, times.
const SPARE: f64 = 1.2;
/// How far twice the rate may be from what was computed: longer answers make the loop slower.
const DOUBLED_NEAR: f64 = 0.15;

pub(in crate::diagnose) fn closed_loop(run: &RunResult, seen: &Indicators) -> Ruling {
    let pace = seen.own_pace.clone()?;
    let (think, rps) = (seen.think_s, seen.steady_rps);
    let OwnPace { response_s: response, predicted_rps: predicted } = pace;
    let users = run.plan.users;
    let who = if users == 1 { "The one user".to_owned() } else { format!("Each of the {} users", count(users)) };
    let text = format!(
        "{who} waits {} between requests and {} for an answer: {} / ({} + {}) = {} req/s; {} were measured. The users' own pace sets this \
         rate, not the target. With answers in no time it would be {} req/s; twice the users make about twice the rate.",
        seconds(think),
        seconds(response),
        count(users),
        seconds(think),
        seconds(response),
        rate(predicted),
        rate(rps),
        rate(f64::from(users) / think)
    );
    let double = load_with(&run.plan, |p| p.users = p.users.saturating_mul(2));
    let asked = (rps * 2.0).ceil();
    // Twice the requests are twice as often under way: each of them needs a connection.
    let busy = (asked * response * SPARE).ceil().min(f64::from(run.plan.limits.users_max)) as u32;
    let open = load_with(&run.plan, |p| (p.rate, p.users) = (asked, p.users.max(busy)));
    let most = pools_can(run).unwrap_or(f64::INFINITY);
    let doubled = (predicted * 2.0).min(most);
    let until = if doubled < predicted * 2.0 {
        "which is all that the workers of the target can do (computed)"
    } else {
        "while the target keeps its response time (computed)"
    };
    let remedies = vec![
        advice("use more users", double, format!("{} req/s, {until}", rate(doubled))).promising(Prediction::near(
            Metric::Rps,
            doubled,
            DOUBLED_NEAR,
        )),
        advice(
            "ask for a rate instead of users",
            open,
            format!("{} req/s, however long the answers take, while connections are free", rate(asked)),
        )
        .promising(Prediction::near(Metric::Rps, asked.min(most), DOUBLED_NEAR)),
    ];
    Ok(Found::new(
        format!(
            "{} req/s is what {} can ask for: the closed loop is the limit, not the target",
            rate(rps),
            counted(users, "user")
        ),
        text,
    )
    .with("users", users)
    .with("think_s", think)
    .with("response_s", response)
    .with("predicted_rps", predicted)
    .with("rps", rps)
    .remedies(remedies))
}

/// Requests per second, of all endpoints, that the pools of its own server can work on; none where nothing bounds them.
fn pools_can(run: &RunResult) -> Option<f64> {
    let bound = |e: &Endpoint| {
        let workers = useful_workers(run, &e.name)?;
        let part = e.requests as f64 / run.totals.requests.max(1) as f64;
        let work_s = e.server_timing_ms.as_ref()?.work.p50 / 1000.0;
        Some(f64::from(workers) / (part * work_s)).filter(|rps| rps.is_finite())
    };
    run.endpoints.iter().filter_map(bound).min_by(f64::total_cmp)
}

pub(in crate::diagnose) fn tail(run: &RunResult, _: &Indicators) -> Ruling {
    let mut known: Vec<(&Endpoint, f64)> =
        run.endpoints.iter().filter(|e| e.requests >= TAIL_REQUESTS).filter_map(|e| e.latency_ms.map(|l| (e, l.p95))).collect();
    if known.len() < 2 {
        return if run.endpoints.len() < 2 && run.plan.mix.len() < 2 {
            Err(Clear)
        } else {
            undecided(format!("fewer than two endpoints gave {TAIL_REQUESTS} answers"))
        };
    }
    known.order_by(|a, b| b.1.total_cmp(&a.1));
    let ((top, p95), (next, next_p95)) = (known[0], known[1]);
    if p95 < TAIL_TIMES * next_p95 {
        return Err(Clear);
    }
    let of_all = top.requests as f64 / run.totals.requests.max(1) as f64;
    let all = run.totals.latency_ms;
    let mut text = format!(
        "The slowest answers come from {}: p95 {} ms, {} ms of the next one ({}). It gets {} of the requests. ",
        top.name,
        number(p95),
        number(next_p95),
        next.name,
        share(of_all)
    );
    if let Some(all) = all {
        text += &format!(
            "So the p95 of all together ({} ms), like every percentile above p{}, describes this endpoint only. ",
            number(all.p95),
            number(((1.0 - of_all) * 100.0).round())
        );
    }
    text += "Read the endpoints' own rows: a percentile over the mix moves with the mix.";
    let alone = load_with(&run.plan, |p| p.mix = vec![MixEntry { path: top.name.clone(), weight: 1 }]);
    let others: Vec<MixEntry> = run.plan.mix.iter().filter(|m| m.path != top.name).cloned().collect();
    let mut remedies = vec![advice(
        "measure it alone",
        alone,
        format!("its own p50 and p95 ({} ms now) without the load of the others", number(p95)),
    )];
    if !others.is_empty() {
        let without = load_with(&run.plan, |p| p.mix = others);
        remedies.push(advice(
            "measure the others without it",
            without,
            format!("their own p95 ({} ms now) without its load", number(next_p95)),
        ));
    }
    Ok(Found::new(
        format!("{} makes the tail: p95 {} ms, {} ms for the next endpoint", top.name, number(p95), number(next_p95)),
        text,
    )
    .with("endpoint", top.name.as_str())
    .with("p95_ms", p95)
    .with("next_endpoint", next.name.as_str())
    .with("next_p95_ms", next_p95)
    .with("share_of_requests", of_all)
    .with("all_p95_ms", all.map(|l| l.p95))
    .remedies(remedies))
}
