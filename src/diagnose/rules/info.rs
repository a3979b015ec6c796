//! Rules about the closed loop and the tail: how to read figures while nothing fails.

use crate::diagnose::indicators::{Indicators, OwnPace};
use crate::diagnose::rule::{Found, Ruling};
use crate::diagnose::thresholds::{TAIL_REQUESTS, TAIL_TIMES};
use crate::model::figures::{count, counted, number, rate, seconds, share};
use crate::model::plan::MixEntry;
use crate::model::result::{Endpoint, RunResult};
use crate::remedy::{advice, load_with};

/// closed-loop-limited.
pub(in crate::diagnose) fn closed_loop(run: &RunResult, seen: &Indicators) -> Ruling {
    Ruling::about(&seen.own_pace, |pace| paced(run, seen, *pace))
}

fn paced(run: &RunResult, seen: &Indicators, pace: OwnPace) -> Ruling {
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
    let open = load_with(&run.plan, |p| p.rate = (rps * 2.0).ceil());
    let remedies = vec![
        advice(
            "use more users",
            double,
            format!("{} req/s, while the target keeps its response time (computed)", rate(predicted * 2.0)),
        ),
        advice(
            "ask for a rate instead of users",
            open,
            format!("{} req/s, however long the answers take", rate((rps * 2.0).ceil())),
        ),
    ];
    Found::new(
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
    .remedies(remedies)
    .ruling()
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
        remedies.push(advice("measure the others without it", without, format!("p95 near {} ms", number(next_p95))));
    }
    Found::new(
        format!("{} makes the tail: p95 {} ms, {} ms for the next endpoint", top.name, number(p95), number(next_p95)),
        text,
    )
    .with("endpoint", top.name.as_str())
    .with("p95_ms", p95)
    .with("next_endpoint", next.name.as_str())
    .with("next_p95_ms", next_p95)
    .with("share_of_requests", of_all)
    .with("all_p95_ms", all.map(|l| l.p95))
    .remedies(remedies)
    .ruling()
}
