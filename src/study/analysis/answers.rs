//! The four questions of a study: how each endpoint takes rising load, where it saturates, what limits it, what to do.
//!
//! Limits, reasons and advice are those of the steps' findings; figures are those of the rows. This page never says
//! anything else than they do.

use super::Steps;
use super::saturation::is_of_answers;
use super::under_load::under_load;
use crate::diagnose::ceiling::formula;
use crate::diagnose::decision;
use crate::diagnose::growth::Change;
use crate::diagnose::thresholds::{CPU_LIMIT_PERCENT, OTHERS_NAMED_PERCENT, OWN_PACE_SHARE};
use crate::model::figures::{counted, ms, number, percent, rate, share, times};
use crate::model::finding::{Finding, FindingId, Severity};
use crate::model::result::{RunResult, VerdictId};
use crate::model::study::{Answer, Ceiling, CeilingKind, EndpointLoad, Question, Saturation, SaturationKind, StepRow};
use crate::remedy::{self, catalogue::Name};

/// Of a ceiling of which less than this was reached at saturation, something else is the limit.
const CEILING_NEAR_SHARE: f64 = 0.5;
/// The rank of a finding that is no answer to what limits a study.
const LIMITS_NOTHING: u8 = 5;
/// Users further away than this many times are no advice but a guess.
const KNEE_TIMES: f64 = 10.0;

/// The answers that the steps allow, in the order of the questions.
pub(super) fn answers(steps: &Steps<'_>, endpoints: &[EndpointLoad], ceiling: Option<&Ceiling>) -> Vec<Answer> {
    let named = decisive(steps).map(|(_, finding)| finding.id);
    let answer = |question, text: Option<String>| {
        text.map(|text| Answer { question, text, finding: named.filter(|_| question == Question::Why) })
    };
    [
        answer(Question::UnderLoad, under_load(steps, endpoints)),
        answer(Question::Saturation, saturation(steps, ceiling)),
        answer(Question::Why, (!steps.runs.is_empty()).then(|| why(steps))),
        answer(Question::Next, next(steps, ceiling)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Where the rate falls behind the users, and the lowest known ceiling.
fn saturation(steps: &Steps<'_>, ceiling: Option<&Ceiling>) -> Option<String> {
    let is_full = || steps.runs.iter().any(|run| run.verdict.id == VerdictId::TargetBound);
    let (found, about) = match steps.saturation {
        Some(found) => match host_bound(steps, found) {
            // A step that its own findings call saturated is.
            Some(_) if is_full() => by_row(steps).map_or((None, None), |(text, about)| (Some(text), about)),
            Some(row) => return Some(format!("cannot be said: other programs took the cores {}", row.place())),
            None => (Some(at_step(found) + beside_the_target(steps, found)), None),
        },
        None if failing(steps).is_some() => (failing(steps), None),
        None => by_row(steps).map_or((None, None), |(text, about)| (Some(text), about)),
    };
    // Failures kept the rate from the ceiling of the target; that of the ports may be why they failed.
    let is_of_use = |c: &&Ceiling| c.kind == CeilingKind::Ports || steps.saturation.is_some() || failing(steps).is_none();
    let near = ceiling.filter(is_of_use).and_then(|c| near(steps, c, about));
    match (found, near) {
        (Some(found), Some(near)) => Some(format!("{found}; {near}")),
        (found, near) => found.or(near),
    }
}

/// The first step of the saturated ones whose cores other programs had: it may be flat for that.
pub(super) fn host_bound<'a>(steps: &Steps<'a>, found: &Saturation) -> Option<&'a StepRow> {
    let is_there = |i: &usize| steps.rows[*i].users >= found.users && steps.runs[*i].verdict.id == VerdictId::HostBound;
    (0..steps.rows.len()).find(is_there).map(|i| &steps.rows[i])
}

/// `at the first step already: 10 users get 48.6 req/s, 100 users get 43.7 req/s; the mean answer rises from 205 to 2,090 ms (10
/// times as much)`.
fn at_step(s: &Saturation) -> String {
    let users = counted(s.users, "user");
    let get = |users: u32, rps: f64| {
        format!("{} {} {} req/s", counted(users, "user"), if users == 1 { "gets" } else { "get" }, rate(rps))
    };
    let here = get(s.users, s.rps);
    let response = Change { from: s.response_mean_ms, to: s.heaviest_response_mean_ms };
    let beyond = if s.heaviest_users > s.users {
        format!(", {}; the mean answer {}", get(s.heaviest_users, s.heaviest_rps), response.in_words(ms, "ms"))
    } else {
        format!("; the mean answer takes {} ms", ms(s.response_mean_ms))
    };
    match (s.kind, s.users_before) {
        (SaturationKind::Flat, None) => format!("at the first step already: {here}{beyond}"),
        (SaturationKind::Flat, Some(before)) => format!("between {before} and {users}: {here}{beyond}"),
        (SaturationKind::Bends, _) => {
            format!("slows down from {users} on: {here}, {} of the ideal rate{beyond}", share(s.expected_share))
        }
    }
}

/// A client or a host that was the limit makes the rate flat as well.
fn beside_the_target(steps: &Steps<'_>, found: &Saturation) -> &'static str {
    let is_other = |id: VerdictId| matches!(id, VerdictId::ClientBound | VerdictId::HostBound);
    let from = steps.runs.iter().filter(|run| run.plan.users >= found.users);
    if from.into_iter().any(|run| is_other(run.verdict.id)) { ", not by the target alone" } else { "" }
}

/// Why saturation cannot be said of steps of rising load with failures: their rates are not those of answers.
fn failing(steps: &Steps<'_>) -> Option<String> {
    steps.rising()?;
    let row = steps.rows.iter().find(|r| !is_of_answers(r))?;
    Some(format!("cannot be said: {} of the requests {} failed or had no answer", share(row.unanswered_share), row.place()))
}

/// The heaviest step against the ideal rate, that of its users if none waited, where the rows alone show no saturation; a step that its own findings
/// call saturated is called so here. With the step that the text ends with; nothing where the load did not rise.
fn by_row(steps: &Steps<'_>) -> Option<(String, Option<usize>)> {
    let (light, heavy) = steps.rising()?;
    let (first, last) = (&steps.rows[light], &steps.rows[heavy]);
    let full = (0..steps.rows.len()).find(|i| steps.runs[*i].verdict.id == VerdictId::TargetBound);
    let how = full.map(|i| steps.at(i));
    if steps.runs[heavy].plan.is_open_loop() {
        let offered = Steps::offered(&steps.runs[heavy]) / Steps::offered(&steps.runs[light]);
        let made = last.steady_rps? / first.steady_rps?.max(1e-9);
        let made = format!("{} times the load gave {} times the rate", times(offered), times(made));
        return Some((how.map_or_else(|| made.clone(), |how| format!("{how}: {made}")), None));
    }
    let about = full.unwrap_or(heavy);
    let row = &steps.rows[about];
    let (rps, line) = (row.steady_rps?, row.expected_share?);
    let how = how.unwrap_or_else(|| {
        let how = if line >= OWN_PACE_SHARE { "not up to" } else { "cannot be said up to" };
        format!("{how} {}", last.label)
    });
    Some((format!("{how}: {} req/s, {} of the ideal rate", rate(rps), share(line)), Some(about)))
}

/// The ceiling and how near the heaviest step came, who else took of it; `about` is the step that was named already. Nothing where
/// saturation lies far below it.
fn near(steps: &Steps<'_>, c: &Ceiling, about: Option<usize>) -> Option<String> {
    let focus = steps.focus()?;
    let plan = &steps.runs[focus].plan;
    if steps.saturation.is_some() && c.reached_rps < CEILING_NEAR_SHARE * c.rps {
        return None;
    }
    let others = others(&steps.rows[focus]).filter(|_| c.kind == CeilingKind::Cpu);
    let others = others.map_or_else(String::new, |o| format!(" (less here: other programs took {o} of the CPU)"));
    let ceiling = format!("{} = {} req/s{others}", formula(c), rate(c.rps));
    if c.kind == CeilingKind::Ports && plan.is_open_loop() {
        // The pool itself adds to the rate of a short step: what was asked is what compares.
        return Some(format!("{ceiling}; {} were asked for", rate(plan.rate)));
    }
    let place = if about == Some(focus) { String::new() } else { format!("{} ", steps.at(focus)) };
    Some(format!("{place}{} of the {ceiling}", share(c.reached_rps / c.rps)))
}

/// What other programs took of all cores, where it matters.
fn others(row: &StepRow) -> Option<String> {
    row.others_cpu_percent.filter(|o| *o >= OTHERS_NAMED_PERCENT).map(percent)
}

/// The title of the finding that decides; without one, what the rows say.
fn why(steps: &Steps<'_>) -> String {
    let Some((index, finding)) = decisive(steps) else {
        return match steps.saturation {
            Some(found) => what_waits(steps, found),
            None if steps.rows.iter().all(is_of_answers) => "no limit was reached".into(),
            None => "no finding says why requests failed or had no answer".into(),
        };
    };
    let mut text = finding.title.clone();
    if steps.focus() != Some(index) || steps.rising().is_none() && steps.rows.len() > 1 {
        text = format!("{}: {text}", steps.at(index));
    }
    let row = &steps.rows[index];
    if let (Some(host), FindingId::TargetQueueing | FindingId::TargetCpuSaturated) = (row.host_cpu_percent, finding.id) {
        let others = others(row).map_or_else(String::new, |o| format!(", {o} by other programs"));
        text += &format!("; cores {} in use{others}", percent(host));
    }
    text
}

/// A target that says nothing of its queues: how many requests it works on at a time, and whether its CPU is the limit.
fn what_waits(steps: &Steps<'_>, found: &Saturation) -> String {
    let most = steps.rows.iter().filter_map(|r| r.steady_rps).fold(0.0, f64::max);
    let quickest = steps.rows.iter().filter(|r| is_of_answers(r)).filter_map(|r| r.response_mean_s).reduce(f64::min);
    let at_once = match (quickest, found.users_before) {
        // Little's law; the lightest step is not known to be without a queue where it saturates itself.
        (Some(response), Some(_)) => format!(
            "it works on about {} requests at a time ({}/s x {} ms), further ones wait",
            number((most * response).round().max(1.0)),
            rate(most),
            ms(response * 1000.0)
        ),
        _ => "more users only wait longer".into(),
    };
    let Some(row) = steps.heaviest().map(|i| &steps.rows[i]) else { return at_once };
    let cpu = match row.target_cpu_percent {
        None => "its CPU was not measured".to_owned(),
        Some(used) if used < CPU_LIMIT_PERCENT => format!("its CPU is not full, {} of a core", percent(used)),
        Some(used) => format!("it uses {} of a core", percent(used)),
    };
    let others = others(row).map_or_else(String::new, |o| format!("; other programs took {o} of all cores"));
    format!("{at_once}; {cpu}{others}")
}

/// What helps: the first remedy of the finding that decides; where users alone limit, the users that reach the ceiling.
fn next(steps: &Steps<'_>, ceiling: Option<&Ceiling>) -> Option<String> {
    let Some((index, finding)) = decisive(steps) else {
        return match steps.saturation {
            Some(found) => Some(lighter_or_look(steps, found)),
            None => knee(steps, steps.focus()?, ceiling),
        };
    };
    if finding.id == FindingId::ClosedLoopLimited
        && let Some(text) = knee(steps, index, ceiling)
    {
        return Some(text);
    }
    let remedy = finding.remedies.first()?;
    if let Some(kept) = shown_by(steps, index).filter(|_| Name::KeepAlive.is(remedy)) {
        let all = counted(kept.requests, "request");
        return Some(format!("keep connections open: {} 0 of {all} failed", kept.place()));
    }
    let change = remedy.change.as_deref().map(of_a_study).filter(|c| !c.is_empty());
    let change = change.map_or_else(String::new, |c| format!(" ({c})"));
    Some(format!("{}{change}", remedy.action))
}

/// Flags of a run that a study has not: its steps have their own, or their plan says it.
const NOT_OF_A_STUDY: [&str; 3] = ["--warmup", "--requests", "--timeout"];

/// A change of the flags of a load as one of a study's, without those that it has not; each takes one value.
fn of_a_study(change: &str) -> String {
    let mut words = change.split(' ');
    let mut kept: Vec<&str> = Vec::new();
    while let Some(word) = words.next() {
        match word {
            word if NOT_OF_A_STUDY.contains(&word) => drop(words.next()),
            "--conns" => kept.push("--users"),
            word => kept.push(word),
        }
    }
    kept.join(" ")
}

/// A step with kept connections and without failures, beside one with short connections: it shows the remedy.
fn shown_by<'a>(steps: &Steps<'a>, failed: usize) -> Option<&'a StepRow> {
    let is_kept = |i: &usize| steps.runs[*i].plan.keepalive && !steps.runs[failed].plan.keepalive;
    let row = |i: usize| &steps.rows[i];
    (0..steps.rows.len()).filter(is_kept).map(row).find(|r| r.requests > 0 && r.failures + r.local_failures == 0)
}

/// Lighter steps where the first is full already; else where to look.
fn lighter_or_look(steps: &Steps<'_>, found: &Saturation) -> String {
    let look = "find what lets few requests through at a time: a lock, a pool of workers or connections, a service behind it";
    if found.users_before.is_some() || found.users == 1 {
        return look.into();
    }
    let mut users: Vec<u32> = [10, 4, 2].iter().map(|part| (found.users / part).max(1)).collect();
    users.dedup();
    let Some((light, _)) = steps.rising() else { return look.into() };
    format!("lighter steps show how quick it is without a queue: {}", remedy::study(&steps.runs[light].plan, &users))
}

/// The finding that decides a run's verdict where that is that other programs took the cores.
fn of_other_programs(run: &RunResult) -> Option<FindingId> {
    decision(&run.findings).filter(|(id, _)| *id == VerdictId::HostBound).map(|(_, finding)| finding.id)
}

/// The users whose closed loop comes to the ceiling while the answers stay as quick as at the lightest step.
fn knee(steps: &Steps<'_>, index: usize, ceiling: Option<&Ceiling>) -> Option<String> {
    let light = steps.rising().map_or(index, |r| r.0);
    let row = &steps.rows[light];
    let users = (ceiling?.rps * (row.think_mean_s + row.response_mean_s?)).ceil();
    let most = steps.rows[index].users;
    (users > f64::from(most) && users <= KNEE_TIMES * f64::from(most)).then(|| {
        let (users, far) = (users as u32, (users * 1.5).ceil() as u32);
        let command = remedy::study(&steps.runs[index].plan, &[most, users, far]);
        format!("more users: about {users} reach the ceiling ({command})")
    })
}

/// The step and the finding that the study is about: an error before a warning before anything else, the heaviest step
/// first among equals. Where the rows show saturation, only a finding that explains a verdict is more than they are.
pub(super) fn decisive<'a>(steps: &Steps<'a>) -> Option<(usize, &'a Finding)> {
    let rank = |f: &Finding| match (f.severity, f.id) {
        // What was refused after the target had gone follows from that.
        (_, FindingId::TargetGone) => 0,
        (Severity::Error, _) => 1,
        // It limits nothing by itself.
        (_, FindingId::TargetForbidsKeepalive) => LIMITS_NOTHING,
        (Severity::Warning, _) => 2,
        (_, FindingId::TargetCpuSaturated) => 3,
        (_, FindingId::ClosedLoopLimited) if steps.saturation.is_none() => 4,
        _ => LIMITS_NOTHING,
    };
    let explains = |run: usize| steps.saturation.is_none() || steps.runs[run].verdict.id != VerdictId::Healthy;
    let all = steps.runs.iter().enumerate().flat_map(|(i, r)| r.findings.iter().map(move |f| (i, f)));
    // What follows from other programs is not what a step is about.
    let of_others: Vec<Option<FindingId>> = steps.runs.iter().map(of_other_programs).collect();
    let all = all.filter(|(i, f)| of_others[*i].is_none_or(|decides| decides == f.id));
    // The last step of the least rank: with rising load that is the heaviest.
    all.filter(|(i, f)| rank(f) < LIMITS_NOTHING && explains(*i)).min_by_key(|(i, f)| (rank(f), std::cmp::Reverse(*i)))
}
