//! Rules about the closed loop and the tail: how to read figures while nothing fails.

use crate::diagnose::indicators::{Indicators, OwnPace};
use crate::diagnose::rule::{Found, Ruling};
use crate::diagnose::thresholds::{TAIL_REQUESTS, TAIL_TIMES};
use crate::model::plan::MixEntry;
use crate::model::result::{Endpoint, RunResult};
use crate::remedy::{advice, count, load_with, number, percent, s};

/// closed-loop-limited.
pub(in crate::diagnose) fn closed_loop(run: &RunResult, seen: &Indicators) -> Ruling {
    Ruling::about(&seen.own_pace, |pace| paced(run, seen, *pace))
}

fn paced(run: &RunResult, seen: &Indicators, pace: OwnPace) -> Ruling {
    let (think, rps) = (seen.think_s, seen.steady_rps);
    let OwnPace { response_s: response, predicted_rps: predicted } = pace;
    let users = run.plan.users;
    let at_most = f64::from(users) / think;
    let each = if users == 1 { "The one user".to_owned() } else { format!("Each of the {users} users") };
    let text = format!(
        "{each} waits {} between requests and {} for an answer, so together they come to {users} / ({} + {}) = {}/s; measured were {}/s. \
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
            "{}/s is what {} can ask for: the closed loop, not the target, is the limit",
            number((rps * 10.0).round() / 10.0),
            count(users, "user")
        ),
        text,
    )
    .with("users", users)
    .with("think_s", think)
    .with("response_s", response)
    .with("predicted_rps", predicted)
    .with("rps", rps)
    .remedies(remedies)
    .ruling()
}

/// Milliseconds where tenths of a second would hide them.
pub(in crate::diagnose) fn s3(v: f64) -> String {
    if v < 1.0 { format!("{} ms", number((v * 1e4).round() / 10.0)) } else { s(v) }
}

/// tail-endpoint.
pub(in crate::diagnose) fn tail(run: &RunResult, _: &Indicators) -> Ruling {
    let mut known: Vec<(&Endpoint, f64)> =
        run.endpoints.iter().filter(|e| e.requests >= TAIL_REQUESTS).filter_map(|e| e.latency_ms.map(|l| (e, l.p95))).collect();
    if known.len() < 2 {
        return if run.endpoints.len() < 2 && run.plan.mix.len() < 2 {
            Ruling::Clear
        } else {
            Ruling::Undecided(format!("fewer than two endpoints gave {TAIL_REQUESTS} answers"))
        };
    }
    known.sort_by(|a, b| b.1.total_cmp(&a.1));
    let ((top, p95), (next, next_p95)) = (known[0], known[1]);
    if p95 < TAIL_TIMES * next_p95 {
        return Ruling::Clear;
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
    let alone = load_with(&run.plan, |p| p.mix = vec![MixEntry { path: top.name.clone(), weight: 1 }]);
    let others: Vec<MixEntry> = run.plan.mix.iter().filter(|m| m.path != top.name).cloned().collect();
    let mut remedies =
        vec![advice("measure it alone", alone, format!("its own p50 and p95 (now {} ms) without the others' load", ms(p95)))];
    if !others.is_empty() {
        let without = load_with(&run.plan, |p| p.mix = others);
        remedies.push(advice("measure the others without it", without, format!("p95 near {} ms", ms(next_p95))));
    }
    Found::new(format!("{} makes the tail: p95 {} ms against {} ms of the next endpoint", top.name, ms(p95), ms(next_p95)), text)
        .with("endpoint", top.name.as_str())
        .with("p95_ms", p95)
        .with("next_endpoint", next.name.as_str())
        .with("next_p95_ms", next_p95)
        .with("share_of_requests", share)
        .with("all_p95_ms", all.map(|l| l.p95))
        .remedies(remedies)
        .ruling()
}
