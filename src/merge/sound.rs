//! Whether the document of one run can be true by itself. What is checked here needs no other machine: a document that was
//! damaged, or made by hand, is refused with its key before anything is added up.

use serde::Serialize;
use serde_json::Value;

use super::Part;
use super::fits::Misfit;
use crate::model::document::as_value;
use crate::model::figures::{count, seconds};
use crate::model::limits::{DURATION_MAX, SHARDS_MAX};
use crate::model::plan::Shard;
use crate::model::result::RunResult;
use crate::model::time::unix_seconds;

/// No figure of a run comes near: a machine that counts a thousand million requests a second does so for eleven days.
const FIGURE_MAX: f64 = 1e15;
/// A run may outlast its plan by the requests that it waits for, and a log may have a second more than the run.
const SLACK_S: f64 = 3_600.0;

/// Errors: what of the part is no result of a run; the key, and why.
pub(super) fn check(part: &Part) -> Result<(), Misfit> {
    let run = &part.run;
    if !run.machines.is_empty() {
        return Err(Misfit { message: format!("{}: merged already", part.from), hint: "give the runs that it was merged from" });
    }
    if !run.destinations.is_empty() {
        let message = format!("{}: {} destinations: only runs to one are merged", part.from, run.destinations.len());
        return Err(Misfit { message, hint: "destinations[] of run.json has the run to each" });
    }
    let wrong = mix(run).or_else(|| shard(run)).or_else(|| times(part)).or_else(|| figures(run)).or_else(|| sums(run));
    if let Some(why) = wrong {
        let message = format!("{}: {why}", part.from);
        return Err(Misfit { message, hint: "run.json as sockbench wrote it" });
    }
    whole_log(part)
}

fn mix(run: &RunResult) -> Option<String> {
    let (asked, counted) = (run.plan.mix.len(), run.endpoints.len());
    if asked == 0 {
        return Some("plan.mix: empty: nothing was asked for".into());
    }
    (asked != counted).then(|| format!("endpoints: {counted}, and plan.mix has {asked}"))
}

/// A part of a plan is the part that its number has.
fn shard(run: &RunResult) -> Option<String> {
    let shard = run.plan.shard?;
    let Shard { number, of, whole, .. } = shard;
    if of == 0 || of > SHARDS_MAX {
        return Some(format!("plan.shard.of: {of}: not between 1 and {}", count(SHARDS_MAX)));
    }
    if number == 0 || number > of {
        return Some(format!("plan.shard.number: {number}: not between 1 and {of}"));
    }
    let own = Shard::new(number, of, whole);
    if own.at_work != shard.at_work {
        return Some(format!("plan.shard.at_work: {}: of {of} shards of this plan {} have work", shard.at_work, own.at_work));
    }
    let (users, requests) = (own.part(u64::from(whole.users)), own.part(whole.requests));
    if (u64::from(run.plan.users), run.plan.requests) != (users, requests) {
        return Some(format!(
            "plan.users, plan.requests: {} and {}: shard {number}/{of} has {users} and {requests}",
            run.plan.users, run.plan.requests
        ));
    }
    None
}

/// Its seconds are those between its start and its end.
fn times(part: &Part) -> Option<String> {
    let run = &part.run;
    if unix_seconds(&run.started_at).is_none() {
        return Some(format!("started_at: {}: not a time", run.started_at));
    }
    let most = DURATION_MAX.as_secs_f64() + SLACK_S;
    if !(0.0..=most).contains(&run.duration_s) {
        return Some(format!("duration_s: {}: not between 0 and {}", run.duration_s, seconds(most)));
    }
    let points = run.duration_s.round().max(1.0);
    if (run.series.len() as f64 - points).abs() > 1.0 {
        return Some(format!("series: {} points in {}", run.series.len(), seconds(run.duration_s)));
    }
    let rise = run.series.windows(2).all(|pair| pair[0].t_s < pair[1].t_s);
    if !rise || run.series.iter().any(|point| !(0.0..=points + 1.0).contains(&point.t_s)) {
        return Some(format!("series[].t_s: no rising seconds of a run of {}", seconds(run.duration_s)));
    }
    let last = part.seconds.iter().map(|s| s.second).max().unwrap_or(0);
    (last as f64 > run.duration_s + SLACK_S)
        .then(|| format!("its log has second {last}, and the run lasted {}", seconds(run.duration_s)))
}

/// Figures that no run can have.
fn figures(run: &RunResult) -> Option<String> {
    absurd_in("totals", &run.totals)
        .or_else(|| absurd_in("endpoints", &run.endpoints))
        .or_else(|| absurd_in("errors", &run.errors))
        .or_else(|| absurd_in("surplus", &run.surplus))
        .or_else(|| absurd_in("closes", &run.closes))
        .or_else(|| absurd_in("series", &run.series))
        .or_else(|| absurd_in("start", &run.start))
        .or_else(|| absurd_in("verdict", &run.verdict))
}

/// What is wrong with the figures of `part`, which is the run's `key`; none where nothing is.
fn absurd_in(key: &str, part: &impl Serialize) -> Option<String> {
    match as_value(part) {
        Ok(value) => absurd(key, &value),
        Err(e) => Some(format!("{key}: no JSON: {e}")),
    }
}

/// The first number that is too large, with its key.
fn absurd(key: &str, value: &Value) -> Option<String> {
    match value {
        Value::Number(n) => {
            let too_large = n.as_f64().is_none_or(|x| x.abs() > FIGURE_MAX);
            too_large.then(|| format!("{key}: {n}: no run has such a figure"))
        }
        Value::Array(items) => items.iter().find_map(|item| absurd(&format!("{key}[]"), item)),
        Value::Object(map) => map.iter().find_map(|(name, item)| absurd(&format!("{key}.{name}"), item)),
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}

/// Each sample that began ended in one way.
fn sums(run: &RunResult) -> Option<String> {
    let t = &run.totals;
    let ended = t.requests.saturating_add(t.local_failures).saturating_add(t.cut);
    if t.attempts != ended {
        return Some(format!("totals.attempts: {}: requests, local failures and cut are {}", count(t.attempts), count(ended)));
    }
    if t.failures > t.requests {
        return Some(format!("totals.failures: {}: more than the {} requests", count(t.failures), count(t.requests)));
    }
    let too_many = run.endpoints.iter().find(|e| e.failures > e.requests)?;
    Some(format!("endpoints[].failures: {}: more than the {} requests", count(too_many.failures), count(too_many.requests)))
}

/// A log has what its document counted.
fn whole_log(part: &Part) -> Result<(), Misfit> {
    let logged = part.seconds.iter().fold(0_u64, |sum, s| sum.saturating_add(s.counts().requests));
    if logged == part.run.totals.requests {
        return Ok(());
    }
    let message =
        format!("{}: its log has {} of the {} requests of run.json", part.from, count(logged), count(part.run.totals.requests));
    Err(Misfit { message, hint: "run.hlog and run.json belong to one run" })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::merge::tests::{OK, part};
    use crate::model::outcome::{Call, Cause, Failure, Outcome};
    use crate::model::received::SurplusKind;
    use crate::model::result::{PlannedStart, SurplusRow};

    type Change = fn(&mut RunResult);

    const TOO_LARGE: u64 = 2_000_000_000_000_000;

    #[test]
    fn each_part_with_figures_is_looked_at_and_named_by_its_key() {
        let failed = Outcome::Failed(Failure::new(Call::Http, Cause::Status(503)));
        let mut run = part(1, 1, "2026-11-24T10:00:00Z", &[(0, 10, OK), (500, 10, failed)]).run;
        run.start = Some(PlannedStart { at: run.started_at.clone(), late_s: 0.0, clock: None });
        run.surplus.push(SurplusRow {
            kind: SurplusKind::SecondAnswer,
            method: "GET".into(),
            endpoint: "/".into(),
            count: 1,
            bytes: 1,
            first_bytes: "x".into(),
            first_s: 0.0,
            last_s: 0.0,
        });
        assert_eq!(figures(&run), None);

        let changes: [(&str, Change); 8] = [
            ("totals.requests", |run| run.totals.requests = TOO_LARGE),
            ("endpoints[].requests", |run| run.endpoints[1].requests = TOO_LARGE),
            ("errors[].count", |run| run.errors[0].count = TOO_LARGE),
            ("surplus[].count", |run| run.surplus[0].count = TOO_LARGE),
            ("closes.client", |run| run.closes.client = TOO_LARGE),
            ("series[].rps", |run| run.series[1].rps = TOO_LARGE as f64),
            ("start.late_s", |run| run.start.as_mut().expect("given").late_s = TOO_LARGE as f64),
            ("verdict.since_s", |run| run.verdict.since_s = Some(TOO_LARGE as f64)),
        ];
        for (key, change) in changes {
            let mut absurd = run.clone();
            change(&mut absurd);
            let why = figures(&absurd).unwrap_or_default();
            assert!(why.starts_with(&format!("{key}: 2")) && why.ends_with("no run has such a figure"), "{key}: {why}");
        }
    }

    #[test]
    fn a_part_that_is_no_json_is_named_by_its_key() {
        let keys_are_no_texts = BTreeMap::from([((1, 2), 3)]);
        assert_eq!(absurd_in("start", &keys_are_no_texts).as_deref(), Some("start: no JSON: key must be a string"));
    }
}
