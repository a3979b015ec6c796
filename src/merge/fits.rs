//! Whether runs belong together: one version, one plan, no part twice, all at the same time. Whether each of them is the
//! document of a run at all is asked before (`sound`).

use std::time::Duration;

use serde_json::Value;

use super::Part;
use super::align::Axis;
use crate::model::document::as_value;
use crate::model::environment::Environment;
use crate::model::figures::{counted, seconds};
use crate::model::plan::{LoadPlan, PortMode, PortRange};

/// Stretches of missing shards that are named.
const STRETCHES: usize = 8;
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

/// `parts` are in the order of their shards. Returns which shards are missing for the whole plan.
pub(super) fn check(parts: &[Part]) -> Result<Option<String>, Misfit> {
    let Some(first) = parts.first() else {
        return Err(Misfit { message: "nothing to merge".into(), hint: "give the directories that -o made" });
    };
    for other in &parts[1..] {
        one_version(first, other)?;
        one_plan(first, other)?;
    }
    for (at, part) in parts.iter().enumerate() {
        // In their order a shard that is there twice has itself beside it; a whole plan has no such order.
        let before = if part.run.plan.shard.is_some() { at.saturating_sub(1) } else { 0 };
        parts[before..at].iter().try_for_each(|other| no_overlap(other, part))?;
    }
    Ok(missing(parts))
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
    let plans = [a, b].map(|part| as_value(&shared(&part.run.plan)).unwrap_or_default());
    match difference("plan", &plans[0], &plans[1]) {
        Some((key, one, other)) => Err(Misfit {
            message: format!("{} and {} ran different plans: {key} {one} and {other}", a.from, b.from),
            hint: "the same command on all machines; only --shard, --threads, --source, --port-mode, --port-range and the address of the target may differ",
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
        // A machine has the addresses and the ports that it has, and both choose the mode.
        port_mode: PortMode::Auto,
        port_range: None::<PortRange>,
        sources: Vec::new(),
        // Whoever led it ended it: some milliseconds apart on each machine.
        duration: if plan.led { Duration::ZERO } else { plan.duration },
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

fn no_overlap(a: &Part, b: &Part) -> Result<(), Misfit> {
    match (a.run.plan.shard, b.run.plan.shard) {
        (Some(one), Some(other)) if one.number == other.number => Err(Misfit {
            message: format!("{} and {} are both shard {}/{}", a.from, b.from, one.number, one.of),
            hint: "each part of the plan once",
        }),
        // Two machines, or two programs on one, may begin in the same millisecond. They do not count the same in each second.
        (None, None) if as_value(&a.run).ok() == as_value(&b.run).ok() => {
            Err(Misfit { message: format!("{} and {} are the same run", a.from, b.from), hint: "each run once" })
        }
        _ => Ok(()),
    }
}

/// Runs that did not overlap in time were no load together.
pub(super) fn one_time(parts: &[Part], axis: &Axis) -> Result<(), Misfit> {
    let Some((ended, began, apart)) = axis.gap(parts) else { return Ok(()) };
    Err(Misfit {
        message: format!(
            "{} had ended {} before {} began: they were no load together",
            parts[ended].from,
            seconds(apart),
            parts[began].from
        ),
        hint: "start all machines at one time: --start-at",
    })
}

/// Shards with work that nobody gave, by their numbers: one line, or none.
fn missing(parts: &[Part]) -> Option<String> {
    let shard = parts.first()?.run.plan.shard?;
    let is_there = |number: u32| parts.iter().any(|part| part.run.plan.shard.is_some_and(|s| s.number == number));
    let mut stretches: Vec<(u32, u32)> = Vec::new();
    for number in (1..=shard.at_work).filter(|n| !is_there(*n)) {
        match stretches.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => stretches.push((number, number)),
        }
    }
    if let [(one, last)] = stretches[..]
        && one == last
    {
        return Some(format!("shard {one}/{} of the plan is missing", shard.of));
    }
    let more: u32 = stretches.iter().skip(STRETCHES).map(|(first, last)| last - first + 1).sum();
    let mut named: Vec<String> = stretches.iter().take(STRETCHES).map(|s| stretch(*s)).collect();
    named.extend((more > 0).then(|| counted(more, "more shard")));
    let (last, before) = named.split_last()?;
    let and = if before.is_empty() { String::new() } else { format!("{} and ", before.join(", ")) };
    Some(format!("shards {and}{last} of {} of the plan are missing", shard.of))
}

/// `5`, `5 to 9`.
fn stretch((first, last): (u32, u32)) -> String {
    match last - first {
        0 => first.to_string(),
        _ => format!("{first} to {last}"),
    }
}
