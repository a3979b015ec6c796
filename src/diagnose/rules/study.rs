//! The rule over the steps of a study: where throughput stopped growing, and the limits that could explain it.

use super::exhaustion::hold_words;
use super::prelude::*;
use crate::diagnose::ceiling::{ceilings, formula};
use crate::diagnose::growth::{self, Point};
use crate::diagnose::rule::Step;
use crate::model::study::CeilingKind;
use crate::remedy::target::Kind;

/// One run alone cannot show it.
pub(in crate::diagnose) fn single(_: &RunResult, _: &Indicators) -> Ruling {
    Err(Clear)
}

/// A limit with the rate it allows and how it comes about.
struct Limit {
    name: &'static str,
    rps: f64,
    words: String,
}

pub(in crate::diagnose) fn plateau(steps: &[Step<'_>]) -> Ruling {
    let answered = |s: &&Step<'_>| !s.run.plan.is_open_loop() && s.run.totals.requests > 0;
    let mut known: Vec<&Step<'_>> = steps.iter().filter(answered).collect();
    known.order_by_key(|s| s.run.plan.users);
    if known.len() < 2 {
        return undecided("fewer than two steps of users were answered");
    }
    let points: Vec<Point> = known.iter().map(|s| Point { load: f64::from(s.run.plan.users), rate: s.seen.steady_rps }).collect();
    let (first, second) = growth::plateau(&points).map(|(a, b)| (known[a], known[b])).ok_or(Clear)?;
    let (a, b) = (first.seen.steady_rps, second.seen.steady_rps);
    let mut limits = limits(first, second);
    let (before, after) = (first.run, second.run);
    // The two that lie closest to what was measured could explain it; the others are far from it.
    let distance = |l: &Limit| (l.rps / b.max(1e-9)).ln().abs();
    limits.order_by(|x, y| distance(x).total_cmp(&distance(y)));
    limits.truncate(2);
    let mut text = format!(
        "Throughput grew up to {} ({} req/s); with {} it was {} req/s, {} of that. ",
        counted(before.plan.users, "user"),
        rate(a),
        counted(after.plan.users, "user"),
        rate(b),
        share(b / a)
    );
    match limits.as_slice() {
        [] => {
            text += "Ports, the target's CPU and the client were not measured, so what limits it cannot be said. ";
        }
        [one] => text += &format!("One limit could explain it: {}. ", one.words),
        [one, two, ..] => text += &format!("Two limits could explain it: {}; or {}. ", one.words, two.words),
    }
    if second.seen.failed_share > FEW_FAILURES {
        text += &format!(
            "In the later step {} of the attempts failed; failed requests return early, so its rate is not that of its users alone. ",
            share(second.seen.failed_share)
        );
    }
    let middle = u32::midpoint(before.plan.users, after.plan.users);
    let mut remedies = Vec::new();
    if middle > before.plan.users {
        remedies.push(advice(
            "add a step between the two",
            load_with(&after.plan, |p| p.users = middle),
            format!("shows whether the knee lies nearer to {} or to {} users", before.plan.users, after.plan.users),
        ));
    } else {
        remedies.push(advice(
            "add a step beyond the two",
            load_with(&after.plan, |p| p.users = p.users.saturating_mul(2)),
            format!("shows whether throughput stays at {} req/s with twice the users", rate(b)),
        ));
    }
    // Where connections were to be kept and were kept, there is nothing to save.
    let kept = after.plan.keepalive && after.totals.requests_per_connection.is_none_or(|n| n >= 2.0);
    if !kept && second.seen.ports.closed_by_client > 0.5 && ports_were_seen(after) {
        let expected = format!("more than {} req/s if ports were the limit, the same if not", rate(b));
        if let Some(keep) = keep_alive(&second.seen.situation(after)) {
            let action = "repeat the later step with kept connections: that takes the ports away as a limit";
            remedies.push(Remedy { action: action.to_owned(), expected, ..keep });
        }
    }
    let expected = format!("more than {} req/s if the target was the limit, the same if not", rate(b));
    let cpus = after.host.cpus;
    let lone = load_with(&after.plan, |p| p.mix.truncate(1));
    remedies.push(match (Kind::of(after), cpu_workers(after)) {
        (Kind::Own, Some(have)) if have < cpus => {
            let more = serve_with(after, |f| f.cpu_workers = Some(cpus as usize));
            advice(format!("repeat it with a CPU worker on every core of the server ({have} of {cpus} now)"), more, expected)
        }
        (Kind::Sockbench, _) => {
            let more = serve_with(after, |f| f.cpu_workers = Some(cpus as usize));
            advice("repeat it with a CPU worker on every core of the server", more, expected)
        }
        _ if after.plan.mix.len() > 1 => {
            let name = &after.plan.mix[0].path;
            advice(format!("repeat it for {name} alone: that takes the other endpoints' work away"), lone, expected)
        }
        _ => advice("repeat it with a server that can do more", load_with(&after.plan, |_| ()), expected),
    });
    let mut found = Found::new(
        format!(
            "throughput stops growing after {}: {} req/s, and {} req/s with {}",
            counted(before.plan.users, "user"),
            rate(a),
            rate(b),
            after.plan.users
        ),
        text,
    )
    .with("users_before", before.plan.users)
    .with("users_after", after.plan.users)
    .with("rps_before", a)
    .with("rps_after", b);
    for l in &limits {
        found = found.with(&format!("limit_{}_rps", l.name), l.rps);
    }
    Ok(found.remedies(remedies))
}

fn ports_were_seen(run: &RunResult) -> bool {
    let peak = run.ports.as_ref().and_then(|p| p.peak_used);
    peak.is_some() || run.series.iter().any(|p| p.ports_used.is_some())
}

fn limits(first: &Step<'_>, second: &Step<'_>) -> Vec<Limit> {
    let (before, after) = (first.run, second.run);
    let mut all = Vec::new();
    if let (Some(rps), Some(response)) = (first.seen.closed_loop_rps(before), first.seen.response_s) {
        let think = first.seen.think_s;
        all.push(Limit {
            name: "closed_loop",
            rps,
            words: format!(
                "{} / ({} think + {} response) = {} req/s by the closed loop{}",
                counted(before.plan.users, "user"),
                seconds(think),
                seconds(response),
                rate(rps),
                if first.seen.own_pace.is_ok() {
                    ", so the earlier step was its users' own pace and not a full target"
                } else {
                    ""
                }
            ),
        });
    }
    let of_client = second.seen.ports.closed_by_client;
    let per = after.totals.requests_per_connection.unwrap_or(1.0).max(1.0);
    if let Some(b) = second.seen.ports.budget.filter(|b| !b.hold.is_zero() && of_client > 0.0 && per < 2.0) {
        let rps = b.ceiling_cps() * per / of_client;
        all.push(Limit {
            name: "ports",
            rps,
            words: format!(
                "{} / {} sustain {} req/s when every request takes a connection",
                counted(b.pool, "source port"),
                hold_words(b.hold.as_secs_f64()),
                rate(rps)
            ),
        });
    }
    let of_target = ceilings(after, &[before, after]).into_iter().find(|c| c.kind != CeilingKind::Ports);
    if let Some(c) = of_target {
        all.push(Limit {
            name: "target_cpu",
            rps: c.rps,
            words: format!("the target's {} = {} req/s", formula(&c), rate(c.rps)),
        });
    }
    if let Some(how) = second.seen.saturated.as_ref().ok().filter(|how| how.for_long) {
        all.push(Limit {
            name: "client",
            rps: second.seen.steady_rps,
            words: format!("the client's own CPU, full in {} of {} s", how.seconds, how.measured),
        });
    }
    all.retain(|l| l.rps.is_finite() && l.rps > 0.0);
    all
}
