//! How each endpoint takes rising load: which median stays, which rises, and where the added time goes.

use super::Steps;
use crate::diagnose::growth::{Change, Trend, staying};
use crate::diagnose::thresholds::CUT_SHARE;
use crate::model::figures::{ms, share};
use crate::model::order::Order as _;
use crate::model::study::EndpointLoad;

/// A median that changed by less than this, milliseconds, changed by nothing that a user sees.
const SMALL_MS: f64 = 1.0;
/// A part of a median's growth of at least this much is all of it.
const ALL_SHARE: f64 = 0.9;
/// Of a median's growth less than this in the target's queue and work is most of it elsewhere: its event loop, the client.
const OUTSIDE_SHARE: f64 = 0.5;
/// Endpoints of one kind that are named.
const NAMED: usize = 3;

/// `medians from 10 to 100 users: /io stays at 200 ms; /cpu rises from 32 to 119 ms (3.7 times as much), all by waiting
/// in the queue`.
pub(super) fn under_load(steps: &Steps<'_>, endpoints: &[EndpointLoad]) -> Option<String> {
    let users = endpoints.first()?.users;
    let (mut stay, mut change): (Vec<&EndpointLoad>, Vec<&EndpointLoad>) = endpoints.iter().partition(|e| stays(e));
    change.order_by(|a, b| b.times().total_cmp(&a.times()));
    let mut parts = Vec::new();
    if !stay.is_empty() {
        // Those with the same verb come together, and it is said once.
        stay.order_by_key(|e| change_of(e).trend() != Trend::Stays);
        let mut each: Vec<String> = stay.iter().map(|e| stayed(e) + &of_the_answered(steps, e)).collect();
        for text in each.iter_mut().skip(1) {
            *text = text.replacen(" stays ", " ", 1);
        }
        parts.push(some(each, ", ", "stay"));
    }
    if !change.is_empty() {
        let each = change.iter().map(|e| changed(e) + &of_the_answered(steps, e)).collect();
        parts.push(some(each, "; ", "change"));
    }
    let between = match steps.rising().filter(|_| users[0] < users[1]) {
        Some((light, heavy)) => match (steps.users(light), steps.users(heavy)) {
            (Some(light), Some(_)) => format!("medians from {light} to {}: ", steps.rows[heavy].label),
            _ => format!("medians from {} to {} users: ", users[0], users[1]),
        },
        None => String::new(),
    };
    Some(between + &parts.join("; "))
}

/// The first few of many, and how many more there are.
fn some(mut parts: Vec<String>, joint: &str, verb: &str) -> String {
    let more = parts.len().saturating_sub(NAMED);
    parts.truncate(NAMED);
    let text = parts.join(joint);
    if more > 0 { format!("{text}{joint}{more} more {verb}") } else { text }
}

/// Where many requests were not answered, the percentiles are those of the others, and say so.
fn of_the_answered(steps: &Steps<'_>, e: &EndpointLoad) -> String {
    let worse = usize::from(e.unanswered_share[1] >= e.unanswered_share[0]);
    let unanswered = e.unanswered_share[worse];
    if unanswered <= CUT_SHARE {
        return String::new();
    }
    let place = steps.rising().map_or_else(String::new, |ends| steps.at([ends.0, ends.1][worse]));
    format!(", of the {} that were answered {place}", share(1.0 - unanswered))
}

/// No step has a median that is called other than staying.
fn stays(e: &EndpointLoad) -> bool {
    e.p50_by_step_ms.iter().flatten().chain([&e.p50_ms[1]]).all(|to| {
        let change = Change { from: e.p50_ms[0], to: *to };
        change.trend() == Trend::Stays || (change.to - change.from).abs() < SMALL_MS
    })
}

const fn change_of(e: &EndpointLoad) -> Change {
    Change { from: e.p50_ms[0], to: e.p50_ms[1] }
}

fn stayed(e: &EndpointLoad) -> String {
    let change = change_of(e);
    if change.trend() == Trend::Stays {
        let steps = e.p50_by_step_ms.iter().flatten().copied();
        return format!("{} {}", e.name, staying(e.p50_ms.into_iter().chain(steps), ms, "ms"));
    }
    format!("{} changes by less than 1 ms, from {} to {} ms", e.name, ms(change.from), ms(change.to))
}

fn changed(e: &EndpointLoad) -> String {
    let change = change_of(e);
    let known = || e.p50_by_step_ms.iter().flatten().copied();
    let text = format!("{} {}", e.name, change.in_words(ms, "ms"));
    let (least, most) = (known().fold(f64::MAX, f64::min), known().fold(0.0, f64::max));
    match change.trend() {
        Trend::Rises => text + &spent(e),
        // A step between the two is what differs.
        Trend::Stays => format!("{text}, with {} to {} ms between", ms(least), ms(most)),
        Trend::Falls => text,
    }
}

/// Where the added time goes, as the target's Server-Timing says.
fn spent(e: &EndpointLoad) -> String {
    let (Some(queue), Some(work)) = (e.queue_p50_ms, e.work_p50_ms) else { return String::new() };
    let (queued, worked) = (queue[1] - queue[0], work[1] - work[0]);
    let added = (e.p50_ms[1] - e.p50_ms[0]).max(1e-3);
    if queued >= ALL_SHARE * added {
        ", all by waiting in the queue".into()
    } else if worked >= ALL_SHARE * added {
        ", all by longer work".into()
    } else if queued + worked < OUTSIDE_SHARE * added {
        ", mostly neither by waiting in the queue nor by work".into()
    } else {
        format!(": {} ms more in the queue, {} ms more at work", ms(queued.max(0.0)), ms(worked.max(0.0)))
    }
}
