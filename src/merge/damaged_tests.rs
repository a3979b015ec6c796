//! Documents that were damaged or made by hand: each is refused with one line, or merged. None ends the program.

use serde_json::Value;

use super::tests::{OK, part};
use super::*;
use crate::model::document;
use crate::model::outcome::Outcome;

/// Where one value of a document is: keys and places in lists.
type Path = Vec<String>;

/// Every leaf of a document; of lists those of the first item.
fn leaves(value: &Value, at: &mut Path, into: &mut Vec<Path>) {
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                at.push(key.clone());
                leaves(item, at, into);
                at.pop();
            }
        }
        Value::Array(items) => {
            into.push(at.clone());
            if let Some(first) = items.first() {
                at.push("0".into());
                leaves(first, at, into);
                at.pop();
            }
        }
        _ => into.push(at.clone()),
    }
}

fn slot<'a>(document: &'a mut Value, path: &Path) -> &'a mut Value {
    path.iter().fold(document, |value, key| match value {
        Value::Array(items) => &mut items[key.parse::<usize>().unwrap()],
        other => &mut other[key.as_str()],
    })
}

/// What may be in its place.
fn others(value: &Value) -> Vec<Value> {
    let json = |texts: &[&str]| texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    match value {
        Value::Number(_) => json(&[
            "0",
            "1",
            "-1",
            "0.5",
            "255",
            "65535",
            "4294967295",
            "9007199254740993",
            "18446744073709551615",
            "999999999999999",
            "1e308",
            "-1e308",
        ]),
        Value::String(_) => {
            json(&["\"\"", "\"1970-01-01T00:00:00Z\"", "\"9999-12-31T23:59:59Z\"", "\"2026-11-24T10:00:00+23:59\"", "\"\u{e9}\""])
        }
        Value::Array(items) => vec![
            Value::Array(Vec::new()),
            Value::Array(items.iter().chain(items).cloned().collect()),
            Value::Array(items.iter().cycle().take(items.len() * 1000).cloned().collect()),
        ],
        _ => json(&["null", "true", "1e15"]),
    }
}

fn two() -> Vec<Part> {
    [1, 2].map(|n| part(n, 2, "2026-11-24T10:00:00Z", &[(0, 10, OK), (1_000, 20, OK)])).to_vec()
}

/// One value after the other is another one, in a part of a plan and in a whole one.
#[test]
fn no_damaged_document_ends_the_program() {
    let mut whole = two();
    for part in &mut whole {
        part.run.plan.shard = None;
    }
    let (mut merged, mut refused) = (0, 0);
    for parts in [two(), whole] {
        let sound = serde_json::to_value(&parts[1].run).unwrap();
        let mut all = Vec::new();
        leaves(&sound, &mut Vec::new(), &mut all);
        for path in all {
            let now = slot(&mut sound.clone(), &path).clone();
            for other in others(&now) {
                let mut damaged = sound.clone();
                *slot(&mut damaged, &path) = other.clone();
                let Ok(run) = serde_json::from_value::<RunResult>(damaged) else { continue };
                let given = vec![parts[0].clone(), Part { run, ..parts[1].clone() }];
                match merge(given, String::new()) {
                    Ok(all) => {
                        merged += 1;
                        let lacks = document::unexplained(&all.run, &all.run.unavailable);
                        assert!(lacks.is_empty(), "{path:?} {other}: {lacks:?}");
                    }
                    Err(misfit) => {
                        refused += 1;
                        assert!(!misfit.message.contains('\n') && misfit.message.contains("run-2"), "{path:?}: {misfit:?}");
                    }
                }
            }
        }
    }
    assert!(merged > 100 && refused > 100, "{merged} merged, {refused} refused");
}

#[test]
fn what_no_run_can_be_is_refused_with_its_key() {
    let refused = |change: &dyn Fn(&mut RunResult)| {
        let mut parts = two();
        change(&mut parts[1].run);
        let misfit = merge(parts, String::new()).expect_err("refused");
        misfit.message.strip_prefix("run-2: ").map(str::to_owned).unwrap_or(misfit.message)
    };
    let shard = |change: fn(&mut crate::model::plan::Shard)| refused(&|run| change(run.plan.shard.as_mut().unwrap()));
    for (message, begins) in [
        (shard(|s| s.number = 0), "plan.shard.number: 0: not between 1 and 2"),
        (shard(|s| s.number = 3), "plan.shard.number: 3: not between 1 and 2"),
        (shard(|s| s.of = 0), "plan.shard.of: 0: not between 1 and 10,000"),
        (shard(|s| s.of = u32::MAX), "plan.shard.of: 4294967295: not between"),
        (shard(|s| s.at_work = 0), "plan.shard.at_work: 0: of 2 shards of this plan 2 have work"),
        (refused(&|run| run.plan.users = 5), "plan.users, plan.requests: 5 and 0: shard 2/2 has 4 and 0"),
        (refused(&|run| run.started_at = "soon".into()), "started_at: soon: not a time"),
        (refused(&|run| run.duration_s = 1e9), "duration_s: 1000000000: not between 0 and"),
        (refused(&|run| run.duration_s = -1.0), "duration_s: -1: not between 0 and"),
        (refused(&|run| run.series.clear()), "series: 0 points in 4 s"),
        (refused(&|run| run.series[0].t_s = 9.0), "series[].t_s: no rising seconds of a run of 4 s"),
        (refused(&|run| run.totals.bytes_in = u64::MAX), "totals.bytes_in: 18446744073709551615: no run has such a figure"),
        (refused(&|run| run.series[1].rps = 1e300), "series[].rps: 1e+300: no run has such a figure"),
        (refused(&|run| run.totals.attempts = 9), "totals.attempts: 9: requests, local failures and cut are 2"),
        (refused(&|run| run.totals.failures = 3), "totals.failures: 3: more than the 2 requests"),
        (refused(&|run| run.endpoints[0].failures = 30), "endpoints[].failures: 30: more than"),
        (refused(&|run| run.endpoints.truncate(1)), "endpoints: 1, and plan.mix has 3"),
        (refused(&|run| run.plan.mix.clear()), "plan.mix: empty: nothing was asked for"),
    ] {
        assert!(message.starts_with(begins), "{message}");
    }
}

#[test]
fn a_run_whose_end_cut_requests_is_sound() {
    let mut parts = two();
    parts[1] = part(2, 2, "2026-11-24T10:00:00Z", &[(0, 10, OK), (3_000, 1_000, Outcome::Cut)]);
    let t = merge(parts, String::new()).unwrap().run.totals;
    assert_eq!((t.attempts, t.requests, t.cut), (4, 3, 1));
}

/// Documents that are sound by themselves may still be more together than a number has room for.
#[test]
fn sums_stay_at_the_most_that_fits() {
    let mut parts = two();
    for part in &mut parts {
        (part.run.plan.shard, part.run.plan.users) = (None, 3_000_000_000);
        part.run.host.cpus = 3_000_000_000;
        (part.run.totals.users_asked, part.run.totals.users_reached) = (3_000_000_000, 3_000_000_000);
        part.run.series.iter_mut().for_each(|point| (point.users, point.users_asked) = (3_000_000_000, 3_000_000_000));
        part.run.plan.warmup = std::time::Duration::MAX;
    }
    parts[1].run.host.name = Some("another".into());
    let all = merge(parts, String::new()).unwrap();
    assert_eq!((all.run.plan.users, all.run.host.cpus, all.run.totals.users_reached), (u32::MAX, u32::MAX, u32::MAX));
}
