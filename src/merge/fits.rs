//! Whether runs belong together: one version, one plan, no part twice, all at the same time.

use serde_json::Value;

use super::Part;
use crate::model::environment::Environment;
use crate::model::figures::{count, seconds};
use crate::model::plan::{LoadPlan, PortRange};
use crate::model::time::unix_seconds;

/// Runs further apart than this did not run together.
const APART_S: f64 = 60.0;
/// Longer values are cut in a message.
const SHOWN: usize = 40;

/// Why runs cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// which, and why
    pub message: String,
    /// what to do
    pub hint: &'static str,
}

/// `parts` are in the order of their shards. Returns what is missing for the whole plan, a line each.
pub(super) fn check(parts: &[Part]) -> Result<Vec<String>, Misfit> {
    let Some(first) = parts.first() else {
        return Err(Misfit { message: "nothing to merge".into(), hint: "give the directories that -o made" });
    };
    for part in parts {
        whole_log(part)?;
    }
    for other in &parts[1..] {
        one_version(first, other)?;
        one_plan(first, other)?;
    }
    for pair in parts.windows(2) {
        no_overlap(&pair[0], &pair[1])?;
    }
    one_time(parts)?;
    Ok(missing(parts))
}

/// A merged run is not merged again, and a log has what its document counted.
fn whole_log(part: &Part) -> Result<(), Misfit> {
    if !part.run.machines.is_empty() {
        return Err(Misfit { message: format!("{}: merged already", part.from), hint: "give the runs that it was merged from" });
    }
    let logged: u64 = part.seconds.iter().map(|s| s.counts().requests).sum();
    if logged != part.run.totals.requests {
        return Err(Misfit {
            message: format!(
                "{}: its log has {} of the {} requests of run.json",
                part.from,
                count(logged),
                count(part.run.totals.requests)
            ),
            hint: "run.hlog and run.json belong to one run",
        });
    }
    Ok(())
}

fn one_version(a: &Part, b: &Part) -> Result<(), Misfit> {
    let (one, other) = (&a.run.tool.version, &b.run.tool.version);
    if one == other {
        return Ok(());
    }
    let message = format!("{} is of sockbench {one}, {} of {other}: versions may count differently", a.from, b.from);
    Err(Misfit { message, hint: "run one version on all machines" })
}

fn one_plan(a: &Part, b: &Part) -> Result<(), Misfit> {
    if let (Some(one), Some(other)) = (a.run.plan.shard, b.run.plan.shard)
        && one.of != other.of
    {
        let message = format!("{} is one of {} shards, {} one of {}", a.from, one.of, b.from, other.of);
        return Err(Misfit { message, hint: "--shard I/N with the same N on all machines" });
    }
    if a.run.plan.shard.is_some() != b.run.plan.shard.is_some() {
        let whole = if a.run.plan.shard.is_some() { b } else { a };
        let message = format!("{} is a whole plan, the others are parts of one", whole.from);
        return Err(Misfit { message, hint: "leave it out, or run it with --shard" });
    }
    let plans = [a, b].map(|part| serde_json::to_value(shared(&part.run.plan)).unwrap_or_default());
    match difference("plan", &plans[0], &plans[1]) {
        Some((key, one, other)) => Err(Misfit {
            message: format!("{} and {} ran different plans: {key} {one} and {other}", a.from, b.from),
            hint: "the same command on all machines; only --shard, --threads, --source, --port-range and the address of the target may differ",
        }),
        None => Ok(()),
    }
}

/// What all machines must share of their plans.
fn shared(plan: &LoadPlan) -> LoadPlan {
    let whole = plan.shard.map(|shard| shard.whole).unwrap_or_default();
    let mut shared = LoadPlan {
        users: whole.users,
        spawn_rate: whole.spawn_rate,
        // An open loop is none of a closed one.
        rate: if whole.rate > 0.0 { whole.rate } else { f64::from(u8::from(plan.rate > 0.0)) },
        requests: whole.requests,
        threads: 1,
        port_range: None::<PortRange>,
        sources: Vec::new(),
        allow_remote: true,
        observe: true,
        environment: Environment::default(),
        shard: None,
        ..plan.clone()
    };
    // A name may have another address on another machine.
    shared.target.addr = ([0, 0, 0, 0], 0).into();
    shared.target.resolved.clear();
    shared.target.unreached.clear();
    shared
}

/// The first key in which two documents differ, and both values.
fn difference(key: &str, a: &Value, b: &Value) -> Option<(String, String, String)> {
    match (a, b) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one.keys().chain(other.keys().filter(|k| !one.contains_key(*k)));
            keys.into_iter().find_map(|k| difference(&format!("{key}.{k}"), &a[k.as_str()], &b[k.as_str()]))
        }
        _ if a == b => None,
        _ => Some((key.to_owned(), shown(a), shown(b))),
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

/// Neighbours in the order of shards.
fn no_overlap(a: &Part, b: &Part) -> Result<(), Misfit> {
    let same_run = a.run.started_at == b.run.started_at && a.run.host.name == b.run.host.name && a.run.command == b.run.command;
    match (a.run.plan.shard, b.run.plan.shard) {
        (Some(one), Some(other)) if one.number == other.number => Err(Misfit {
            message: format!("{} and {} are both shard {}/{}", a.from, b.from, one.number, one.of),
            hint: "each part of the plan once",
        }),
        (None, None) if same_run => {
            Err(Misfit { message: format!("{} and {} are the same run", a.from, b.from), hint: "each run once" })
        }
        _ => Ok(()),
    }
}

/// Runs that did not overlap in time were no load together.
fn one_time(parts: &[Part]) -> Result<(), Misfit> {
    let mut times = Vec::new();
    for part in parts.iter().filter(|part| !part.run.plan.is_empty()) {
        let Some(began) = unix_seconds(&part.run.started_at) else {
            let message = format!("{}: started_at {}: not a time", part.from, part.run.started_at);
            return Err(Misfit { message, hint: "run.json as sockbench wrote it" });
        };
        times.push((began, began + part.run.duration_s, part));
    }
    let first_end = times.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let last_start = times.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let Some((ended, began)) = first_end.zip(last_start) else { return Ok(()) };
    let apart = began.0 - ended.1;
    if apart <= APART_S {
        return Ok(());
    }
    Err(Misfit {
        message: format!(
            "{} had ended {} before {} began: they were no load together",
            ended.2.from,
            seconds(apart),
            began.2.from
        ),
        hint: "start all machines at one time: --start-at",
    })
}

/// Shards with work that nobody gave.
fn missing(parts: &[Part]) -> Vec<String> {
    let Some(shard) = parts[0].run.plan.shard else { return Vec::new() };
    let is_there = |number: &u32| parts.iter().any(|part| part.run.plan.shard.is_some_and(|s| s.number == *number));
    let missing: Vec<String> = (1..=shard.at_work).filter(|n| !is_there(n)).map(|n| format!("{n}/{}", shard.of)).collect();
    match missing.as_slice() {
        [] => Vec::new(),
        [one] => vec![format!("shard {one} of the plan is missing")],
        [one, .., last] => vec![format!("{} shards of the plan are missing, {one} to {last}", missing.len())],
    }
}
