//! The four questions of a study: how each endpoint takes rising load, where it saturates, what limits it, what to do.
//!
//! Limits, reasons and advice are those of the steps' findings: this page never says anything else than they do.

use super::Steps;
use crate::diagnose::ceiling::formula;
use crate::diagnose::thresholds::{GROWN_USERS, PLATEAU_TIMES};
use crate::model::figures::{ms, percent, rate, share, times};
use crate::model::finding::{Finding, FindingId, Severity};
use crate::model::study::{Answer, Ceiling, CeilingKind, EndpointLoad, Question};

/// A median that grew less than this many times, or by less than [`STAYS_MS`], stays.
const STAYS_TIMES: f64 = 1.25;
/// See [`STAYS_TIMES`].
const STAYS_MS: f64 = 1.0;
/// A part of a median's growth of at least this much is all of it.
const ALL_SHARE: f64 = 0.9;
/// Endpoints of one kind that are named.
const NAMED: usize = 3;
/// From this share of all cores taken by others, percent, a ceiling by CPU is not all there.
pub(super) const OTHERS_PERCENT: f64 = 15.0;

/// The answers that the steps allow, in the order of the questions.
pub(super) fn answers(steps: &Steps<'_>, endpoints: &[EndpointLoad], ceiling: Option<&Ceiling>) -> Vec<Answer> {
    let answer = |question, text: Option<String>| text.map(|text| Answer { question, text });
    [
        answer(Question::UnderLoad, under_load(endpoints)),
        answer(Question::Saturation, saturation(steps, ceiling)),
        answer(Question::Why, (!steps.runs.is_empty()).then(|| why(steps))),
        answer(Question::Next, next(steps, ceiling)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `/io stays at 200 ms from 10 to 100 users; /cpu rises 3.7 times, from 32 to 119 ms, all of it in the queue`.
fn under_load(endpoints: &[EndpointLoad]) -> Option<String> {
    let users = endpoints.first()?.users;
    let (stay, mut move_): (Vec<&EndpointLoad>, Vec<&EndpointLoad>) = endpoints.iter().partition(|e| stays(e));
    move_.sort_by(|a, b| b.times().total_cmp(&a.times()));
    let mut parts = Vec::new();
    if !stay.is_empty() {
        let verb = |i: usize| if i == 0 { " stays" } else { "" };
        let each = |(i, e): (usize, &&EndpointLoad)| format!("{}{} at {} ms", e.name, verb(i), ms(e.p50_ms[1]));
        parts.push(some(stay.iter().enumerate().map(each).collect(), ", ", "stay"));
    }
    if !move_.is_empty() {
        parts.push(some(move_.iter().map(|e| moved(e)).collect(), "; ", "change"));
    }
    // The users are said once, with the first part.
    if users[0] < users[1] {
        parts[0] += &format!(" from {} to {} users", users[0], users[1]);
    }
    Some(parts.join("; "))
}

/// The first few of many, and how many more there are.
fn some(mut parts: Vec<String>, joint: &str, verb: &str) -> String {
    let more = parts.len().saturating_sub(NAMED);
    parts.truncate(NAMED);
    let text = parts.join(joint);
    if more > 0 { format!("{text}{joint}{more} more {verb}") } else { text }
}

fn stays(e: &EndpointLoad) -> bool {
    (1.0 / STAYS_TIMES..STAYS_TIMES).contains(&e.times()) || (e.p50_ms[1] - e.p50_ms[0]).abs() < STAYS_MS
}

fn moved(e: &EndpointLoad) -> String {
    let [a, b] = e.p50_ms;
    if b < a {
        return format!("{} falls from {} to {} ms", e.name, ms(a), ms(b));
    }
    format!("{} rises {} times, from {} to {} ms{}", e.name, times(e.times()), ms(a), ms(b), spent(e))
}

/// Where the added time goes, as the target's Server-Timing says.
fn spent(e: &EndpointLoad) -> String {
    let (Some(queue), Some(work)) = (e.queue_p50_ms, e.work_p50_ms) else {
        return " (the target does not say whether it queues or works)".into();
    };
    let (queued, worked) = (queue[1] - queue[0], work[1] - work[0]);
    let added = (e.p50_ms[1] - e.p50_ms[0]).max(1e-3);
    if queued >= ALL_SHARE * added {
        ", all of the added time in the queue".into()
    } else if worked >= ALL_SHARE * added {
        ", all of the added time at work".into()
    } else {
        format!(": {} ms more in the queue, {} ms more at work", ms(queued.max(0.0)), ms(worked.max(0.0)))
    }
}

/// The ceiling, how near the heaviest step came, and whether the rate still grew.
fn saturation(steps: &Steps<'_>, ceiling: Option<&Ceiling>) -> Option<String> {
    let focus = steps.focus()?;
    let reached = ceiling.map(|c| {
        let plan = &steps.runs[focus].plan;
        let beside = if c.kind == CeilingKind::Ports && plan.is_open_loop() {
            // The pool itself adds to the rate of a short step: what was asked is what compares.
            format!("{} were asked for", rate(plan.rate))
        } else {
            format!("{}, {} of it", rate(c.reached_rps), share(c.reached_rps / c.rps))
        };
        format!("{} = {} req/s; {} {beside}", formula(c), rate(c.rps), steps.at(focus))
    });
    let parts: Vec<String> = reached.into_iter().chain(growth(steps, ceiling)).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Whether the rate of the steps kept growing, by the thresholds of throughput-plateau. That it did is said only
/// where no ceiling says how far it could.
fn growth(steps: &Steps<'_>, ceiling: Option<&Ceiling>) -> Option<String> {
    let (light, heavy) = steps.rising()?;
    let mut order: Vec<usize> = (0..steps.runs.len()).collect();
    order.sort_by(|a, b| Steps::offered(&steps.runs[*a]).total_cmp(&Steps::offered(&steps.runs[*b])));
    let steady = |i: usize| steps.rows[i].steady_rps;
    for pair in order.windows(2) {
        let (Some(a), Some(b)) = (steady(pair[0]), steady(pair[1])) else { continue };
        let more = Steps::offered(&steps.runs[pair[1]]) / Steps::offered(&steps.runs[pair[0]]);
        if more >= GROWN_USERS && a > 0.0 && b < PLATEAU_TIMES * a {
            return Some(format!(
                "the rate stopped growing after {}: {} req/s, then {}",
                steps.rows[pair[0]].label,
                rate(a),
                rate(b)
            ));
        }
    }
    let (a, b) = (steady(light)?, steady(heavy)?);
    if ceiling.is_some() {
        return None;
    }
    let offered = Steps::offered(&steps.runs[heavy]) / Steps::offered(&steps.runs[light]);
    Some(format!("{} times the load gave {} times the rate", times(offered), times(b / a.max(1e-9))))
}

/// The title of the finding that decides.
fn why(steps: &Steps<'_>) -> String {
    let Some((index, finding)) = decisive(steps) else { return "no limit was reached".into() };
    let mut text = finding.title.clone();
    if steps.focus() != Some(index) || steps.rising().is_none() && steps.rows.len() > 1 {
        text = format!("{}: {text}", steps.at(index));
    }
    let row = &steps.rows[index];
    if let (Some(host), FindingId::TargetQueueing | FindingId::TargetCpuSaturated) = (row.host_cpu_percent, finding.id) {
        let others = row.others_cpu_percent.filter(|o| *o >= OTHERS_PERCENT);
        let others = others.map_or_else(String::new, |o| format!(", {} by other programs", percent(o)));
        text += &format!("; cores {} in use{others}", percent(host));
    }
    text
}

/// What helps: the first remedy of the finding that decides; where users alone limit, the users that reach the ceiling.
fn next(steps: &Steps<'_>, ceiling: Option<&Ceiling>) -> Option<String> {
    let Some((index, finding)) = decisive(steps) else { return knee(steps, steps.focus()?, ceiling) };
    if finding.id == FindingId::ClosedLoopLimited
        && let Some(text) = knee(steps, index, ceiling)
    {
        return Some(text);
    }
    let remedy = finding.remedies.first()?;
    let change = remedy.change.as_ref().map_or_else(String::new, |c| format!(" ({c})"));
    Some(format!("{}{change}", remedy.action))
}

/// The users whose closed loop comes to the ceiling while the answers stay as quick as at the lightest step.
fn knee(steps: &Steps<'_>, index: usize, ceiling: Option<&Ceiling>) -> Option<String> {
    let light = steps.rising().map_or(index, |r| r.0);
    let row = &steps.rows[light];
    let users = (ceiling?.rps * (row.think_mean_s + row.response_mean_s?)).ceil();
    let most = steps.rows[index].users;
    (users > f64::from(most) && users < 1e5).then(|| {
        let (users, far) = (users as u64, (users * 1.5).ceil() as u64);
        format!("more users: about {users} reach the ceiling (sockbench study --users {most},{users},{far})")
    })
}

/// The step and the finding that the study is about: an error before a warning before anything else, the heaviest step
/// first among equals.
pub(super) fn decisive<'a>(steps: &Steps<'a>) -> Option<(usize, &'a Finding)> {
    let rank = |f: &Finding| match (f.severity, f.id) {
        (Severity::Error, _) => 0,
        (Severity::Warning, _) => 1,
        (_, FindingId::TargetCpuSaturated) => 2,
        (_, FindingId::ClosedLoopLimited) => 3,
        _ => 4,
    };
    let all = steps.runs.iter().enumerate().flat_map(|(i, r)| r.findings.iter().map(move |f| (i, f)));
    // The last step of the least rank: with rising load that is the heaviest.
    all.filter(|(_, f)| rank(f) < 4).min_by_key(|(i, f)| (rank(f), std::cmp::Reverse(*i)))
}
