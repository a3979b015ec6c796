//! The rule about a target that serves so many connections at once, and leaves the others waiting.

use super::prelude::*;
use crate::model::time::per_second;
use crate::remedy::software::{PLACES, more_places};

pub(in crate::diagnose) fn connection_limit(run: &RunResult, seen: &Indicators) -> Ruling {
    let places = seen.places.ok_or(Clear)?;
    let Places { served, waiting, connecting, timed_out, waited_ms, not_accepted } = places;
    let (is, rest) = (if served == 1 { "is" } else { "are" }, places.without());
    let answers = run.totals.requests.saturating_sub(run.totals.failures);
    let mut text = format!(
        "{} got all answers, {} a second. {} sent a request and waited up to {} for its first byte. ",
        counted(served, "connection"),
        rate(per_second(answers, run.duration_s)),
        count(waiting),
        seconds(waited_ms / 1000.0)
    );
    text += &match not_accepted {
        Some(n) if n > 0 => {
            format!(
                "The target's program has not accepted {} (the kernel's accept queue): it takes one only when another ends. ",
                count(n)
            )
        }
        Some(_) => {
            "The target's program accepted them and answers none: its workers are busy with the open connections, or a server \
             behind it hangs. "
                .to_owned()
        }
        None => String::new(),
    };
    text += "It is a limit of connections, not of speed: one that is served keeps its place as long as it is open. Latency figures leave \
             the others out.";
    Ok(Found::new(
        format!("{} of {} {is} served; the other {} unanswered", count(served), counted(places.all(), "connection"), waits(rest)),
        text,
    )
    .with("served", served)
    .with("waiting", rest)
    .with("connecting", connecting)
    .with("timed_out", timed_out)
    .with("waited_max_ms", waited_ms)
    .with("accept_queue", not_accepted)
    .with("rps", per_second(answers, run.duration_s))
    .remedies(remedies(run, &places)))
}

fn waits(rest: u64) -> String {
    if rest == 1 { "1 waits".to_owned() } else { format!("{} wait", count(rest)) }
}

fn remedies(run: &RunResult, places: &Places) -> Vec<Remedy> {
    let all = places.all();
    let served = places.served.min(u64::from(run.plan.users)) as u32;
    let more = more(run, "serve more at once", format!("{all} of {all} are served"));
    let mut remedies = vec![more];
    if served > 0 && served < run.plan.users {
        let fewer = load_with(&run.plan, |p| p.users = served);
        remedies.push(advice("use as many connections as it serves", fewer, format!("{served} of {served} are served")));
    }
    let short = load_with(&run.plan, |p| p.keepalive = false);
    remedies.push(advice(
        "make a connection per request",
        short,
        format!("all {} are answered in turn; mind the source ports", counted(run.plan.users, "user")),
    ));
    remedies
}

/// The target's own setting, by the name of its program.
pub(super) fn more(run: &RunResult, what: &str, expected: String) -> Remedy {
    if own_flags(run).is_some() {
        let command = serve_with(run, |f| f.max_conns = Some((run.plan.users + 64) as usize));
        return advice("let the server take more connections", command, expected);
    }
    match run.resources.target.as_ref().and_then(|t| more_places(&t.name)) {
        Some(setting) => advice(format!("let the target {what}: {}", setting.action), setting.change, expected),
        None => advice(
            format!("let the target {what}: its workers, threads or most connections"),
            PLACES.at(run.plan.target.addr.port()),
            PLACES.reaching(&expected),
        ),
    }
}
