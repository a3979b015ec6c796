//! The rule about statuses of 400 and above, and failures at the target that no other rule names.

use super::capacity::more_workers;
use super::prelude::*;
use super::target::{alone, evidence, hidden, in_part, less_load};
use super::unfinished::one_by_hand;
use crate::model::outcome::{Failure, Party, status_words};

pub(in crate::diagnose) fn errors(run: &RunResult, _: &Indicators) -> Ruling {
    let rows = Rows::are(run, |kind| matches!(kind, Kind::Status | Kind::OtherAtTarget));
    let Some(row) = rows.largest() else { return hidden(run, FailureSide::Target) };
    let course = Course::of(run, &rows);
    let of_all = rows.count() as f64 / run.totals.requests.max(1) as f64;
    let status = row.failure().and_then(Failure::status);
    let mut text = format!("{} of the requests failed: {} at {}. ", share(of_all), rows.in_words(), rows.endpoints());
    if let Some(meanwhile) = course.share.filter(|_| course.is_part()) {
        text += &format!("They came{}: {} of the requests of that time. ", course.in_words(), share(meanwhile));
    }
    text += match (status, row.party) {
        (Some(status), _) => meaning(status, is_whole(run, row)),
        (None, Party::Path) => "No answer came: the path to the target failed.",
        (None, Party::TargetMachine) => "No answer came: the target's machine refused.",
        (None, _) => "No answer came: call and errno name what failed.",
    };
    let turn = Turn::of(run, &rows, &course);
    if let Some(turn) = turn {
        text += &format!(" {}", turn.meaning());
    }
    let limits = rows.0.iter().find_map(|row| row.limit_fields.as_deref());
    if let Some(fields) = limits {
        text += &format!(" It says when: {fields}.");
    }
    let mut remedies = match status {
        Some(503 | 429) => take_more(run, row),
        _ => Vec::new(),
    };
    remedies.push(advice(
        "send one by hand",
        format!("curl -i {}", one_by_hand(run, &row.endpoint)),
        format!("{} without load: then it is not the load", name_of(row)),
    ));
    remedies.extend(alone(
        run,
        format!("the same share of errors is not the load's: it was {} with {}", share(of_all), counted(run.plan.users, "user")),
    ));
    Ok(in_part(evidence(Found::new(title(run, &rows, &course, turn), text), &rows), &course)
        .with("share", of_all)
        .with("every_nth", turn.map(|turn| turn.every))
        .with("name", name_of(row).into_owned())
        .with("limit_fields", limits.map(str::to_owned))
        .with("endpoints", rows.endpoints())
        .remedies(remedies))
}

/// Which status, since when, and its share of the answers.
fn title(run: &RunResult, rows: &Rows<'_>, course: &Course, turn: Option<Turn>) -> String {
    let when = course.in_words();
    let mut statuses: Vec<Option<u16>> = rows.0.iter().map(|row| row.failure().and_then(Failure::status)).collect();
    statuses.sort_unstable();
    statuses.dedup();
    let answers = (run.totals.requests - run.totals.failures.min(run.totals.requests)).saturating_add(rows.count());
    let part = share(rows.count() as f64 / answers.max(1) as f64);
    let many = format!("{part} of {}", counted(answers, "answer"));
    match statuses[..] {
        [Some(status)] => {
            let what = status_words(status);
            if rows.count() >= answers {
                format!("every answer was {what}: {} in all", count(answers))
            } else if let Some(turn) = turn {
                format!("{} was {what}: {}", turn.in_words("answer"), turn.counted())
            } else if course.is_part() && course.share.is_some_and(|share| share >= ALL_SHARE) {
                format!("every answer{when} was {what}: {many}")
            } else {
                format!("{many} were {what}{}", course.all_in_words())
            }
        }
        _ if statuses.contains(&None) => {
            format!("{} failed at the target{when}: {}", counted(rows.count(), "request"), rows.in_words())
        }
        _ => format!("{many} were errors{}: {}", course.all_in_words(), rows.in_words()),
    }
}

/// No answer of this row's endpoint had another status.
fn is_whole(run: &RunResult, row: &ErrorRow) -> bool {
    let same = Rows::of(run, |e| (e.call, e.cause, &e.endpoint) == (row.call, row.cause, &row.endpoint)).count();
    run.endpoints.iter().filter(|e| e.name == row.endpoint).all(|e| e.status.values().sum::<u64>() <= same)
}

/// What a status says; `whole` where every answer of the endpoint has it.
const fn meaning(status: u16, whole: bool) -> &'static str {
    match status {
        429 => "The target takes only so many requests in a time: it works, and refuses those above its limit.",
        503 => {
            "The target answered that it will not take more: a queue or a limit of its program is full, or what it needs is away."
        }
        502 | 504 => "A proxy answered: the server behind it gave no answer in time, or none that is valid.",
        401 | 403 | 407 => "The target wants credentials, or does not accept those of this run: it is the request, not the load.",
        404 | 410 if whole => "Nothing is at this path: it is the address that was asked for, not the load.",
        404 | 410 => "At times nothing was at this path: servers behind a balancer differ, or something goes and comes.",
        405 | 501 => "The target does not accept this method here: it is the request, not the load.",
        400..=499 => "The target answered that it does not accept the request as it is: path, method, header or body.",
        _ => "The target's program answered with a failure of its own.",
    }
}

/// Against a full queue or a rate limit.
fn take_more(run: &RunResult, row: &ErrorRow) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    if Pool::of(run, &row.endpoint).is_some() {
        let queue = own_flags(run).and_then(|f| f.queue).unwrap_or(limits::QUEUE) as u32;
        let longer = queue.max(run.plan.users / 2).saturating_mul(2);
        let longer_queue = advice(
            "give its pools a longer queue: requests wait instead of getting 503",
            serve_with(run, |f| f.queue = Some(longer as usize)),
            format!("503 only when {} wait in a pool", counted(longer, "job")),
        );
        // A queue shorter than the users refuses some of them however fast the workers are.
        let is_short = queue < run.plan.users;
        remedies.extend(is_short.then(|| longer_queue.clone()));
        remedies.extend(more_workers(run, &row.endpoint));
        remedies.extend((!is_short).then_some(longer_queue));
    }
    remedies.push(less_load(run, "none refused below the target's limit".into()));
    remedies
}
