//! Rules about what was received: answers over a limit of sockbench's own, and bytes beyond complete answers.

use super::prelude::*;
use super::target::{alone, evidence, hidden};
use crate::model::outcome::{Failure, OwnLimit};
use crate::model::result::{Framing, SurplusKind, SurplusRow};

/// How many times as much the advised limit takes, where it is not known how long the answer is.
const RAISE_TIMES: u64 = 4;
/// Kinds of surplus that are described.
const KINDS: usize = 3;

pub(in crate::diagnose) fn client_limit(run: &RunResult, _: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::OwnLimit);
    let Some((row, limit)) = rows.largest().and_then(|row| Some((row, limit_of(row)?))) else {
        return hidden(run, FailureSide::Target);
    };
    let (value, course) = (run.plan.limits.value(limit), Course::of(run, &rows));
    let what = match limit {
        OwnLimit::HeadBytes => format!("{} of head", counted(value, "byte")),
        OwnLimit::HeadFields => counted(value, "header field"),
        OwnLimit::BodyBytes => format!("{} of body", counted(value, "byte")),
    };
    let known = row.received.and_then(|r| r.framing).filter(|_| limit == OwnLimit::BodyBytes);
    let announced = match known {
        Some(Framing::ContentLength(all)) => format!(" Their Content-Length is {} (the first one).", count(all)),
        _ => String::new(),
    };
    let text = format!(
        "{} of the target passed a limit of this program, not of the target: {}. The limit is {what}, and {} raises it. They count as \
         failed and are in no latency figure; each connection was closed, because the rest of the answer was not read.{announced} \
         Other clients have limits of their own: curl takes 300 KiB and 5,000 fields of head.",
        counted(rows.count(), "answer"),
        message_of(row),
        limit.flag()
    );
    let title = format!("{} over this program's limit of {what}{}", counted(rows.count(), "answer"), course.in_words());
    Ok(evidence(Found::new(title, text), &rows)
        .with("name", name_of(row).into_owned())
        .with("limit", limit.flag().trim_start_matches('-'))
        .with("value", value)
        .with("flag", limit.flag())
        .with("first_bytes", row.first_bytes.clone())
        .with("endpoints", rows.endpoints())
        .remedies(against_limit(run, row, limit)))
}

/// The limit that a row's answers passed.
pub(in crate::diagnose) fn limit_of(row: &ErrorRow) -> Option<OwnLimit> {
    match row.failure().map(|f: Failure| f.cause) {
        Some(Cause::Malformed(fault)) => fault.own_limit(),
        _ => None,
    }
}

fn against_limit(run: &RunResult, row: &ErrorRow, limit: OwnLimit) -> Vec<Remedy> {
    let value = run.plan.limits.value(limit);
    let url = quoted(&run.plan.url_of(&row.endpoint));
    let enough = match row.received.and_then(|r| r.framing) {
        Some(Framing::ContentLength(all)) if limit == OwnLimit::BodyBytes => all.max(value),
        _ => value.saturating_mul(RAISE_TIMES),
    };
    let raised = enough.min(match limit {
        OwnLimit::HeadBytes => limits::RESPONSE_HEAD_BYTES_MAX as u64,
        OwnLimit::HeadFields => limits::RESPONSE_HEAD_FIELDS_MAX as u64,
        OwnLimit::BodyBytes => u64::MAX,
    });
    let unit = match limit {
        OwnLimit::HeadBytes | OwnLimit::BodyBytes => "byte",
        OwnLimit::HeadFields => "header field",
    };
    let mut remedies = Vec::new();
    if raised > value {
        let again = load_with(&run.plan, |p| match limit {
            OwnLimit::HeadBytes => p.limits.head_bytes = usize::try_from(raised).unwrap_or(usize::MAX),
            OwnLimit::HeadFields => p.limits.head_fields = usize::try_from(raised).unwrap_or(usize::MAX),
            OwnLimit::BodyBytes => p.limits.body_bytes = raised,
        });
        remedies.push(advice(
            "raise this program's limit",
            again,
            format!("answers of up to {} are taken", counted(raised, unit)),
        ));
    }
    let (measured, said) = match limit {
        OwnLimit::HeadBytes => (format!("curl -s -D - -o /dev/null {url} | wc -c"), "the bytes of its head"),
        OwnLimit::HeadFields => (format!("curl -s -D - -o /dev/null {url} | grep -c :"), "the fields of its head"),
        OwnLimit::BodyBytes => (format!("curl -s -o /dev/null -w '%{{size_download}}\\n' {url}"), "the bytes of its body"),
    };
    remedies.push(advice("measure one answer by hand", measured, format!("{said}: more than {}", count(value))));
    if remedies.len() < 2 {
        let fields = format!("curl -s -D - -o /dev/null {url} | cut -d: -f1 | sort | uniq -c | sort -rn | head");
        remedies.push(advice("see which fields fill the head", fields, "a field that comes 2 times or more, or a long cookie"));
    }
    remedies
}

pub(in crate::diagnose) fn surplus_bytes(run: &RunResult, _: &Indicators) -> Ruling {
    let first = run.surplus.first().ok_or(Clear)?;
    let sum = |of: fn(&SurplusRow) -> u64| run.surplus.iter().map(of).fold(0_u64, u64::saturating_add);
    let (answers, bytes) = (sum(|row| row.count), sum(|row| row.bytes));
    let each: Vec<String> = run
        .surplus
        .iter()
        .take(KINDS)
        .map(|row| {
            format!(
                "{} of {}, followed by {} (\"{}\")",
                counted(row.count, "answer"),
                row.endpoint,
                what(row.kind),
                row.first_bytes
            )
        })
        .collect();
    let text = format!(
        "The target sent more bytes after complete answers: {}. The answers count as answered. Each of their connections was closed \
         after it, because what follows on it cannot be assigned to a request (RFC 9112 section 6.3): on kept connections that costs \
         a new connection for each such answer. The target's program, or a proxy before it, ends its answers elsewhere than their heads say.",
        each.join("; ")
    );
    let title =
        format!("more bytes followed {}: {} (\"{}\")", counted(answers, "complete answer"), what(first.kind), first.first_bytes);
    let url = run.plan.url_of(&first.endpoint);
    let head = if run.plan.method == "HEAD" { "--head " } else { "" };
    let look = advice(
        "look at one raw answer",
        format!("curl -v --raw {head}{}", quoted(&url)),
        "1 length that is announced, and what comes beyond it",
    );
    let again = alone(run, format!("the same with 1 request at a time; {} of this run had them", counted(answers, "answer")));
    let remedies = std::iter::once(look).chain(again).collect();
    Ok(Found::new(title, text)
        .with("answers", answers)
        .with("bytes", bytes)
        .with("share", answers as f64 / run.totals.requests.max(answers).max(1) as f64)
        .with("first_bytes", first.first_bytes.clone())
        .with("endpoint", first.endpoint.clone())
        .with("first_s", run.surplus.iter().map(|row| row.first_s).fold(f64::INFINITY, f64::min))
        .with("last_s", run.surplus.iter().map(|row| row.last_s).fold(0.0, f64::max))
        .remedies(remedies))
}

fn what(kind: SurplusKind) -> &'static str {
    match kind {
        SurplusKind::LineEnd => "a line end",
        SurplusKind::SecondAnswer => "a second answer",
        SurplusKind::BodyToHead => "a body, although HEAD was asked",
        SurplusKind::BodyToStatus => "a body, although their status has none",
        SurplusKind::Other => "more bytes than their length says",
    }
}
