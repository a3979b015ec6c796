//! The verdict on a row: its measurement compared with the baseline and the model. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rows::{Shape, Spec};
use crate::model::figures::{self, counted};
use crate::model::rehearsal::{ConnectUs, Effect, Row, RowError, Sides};
use crate::model::result::RunResult;

/// A remedy helps when it makes at least this share of what was asked.
const HELPS_SHARE: f64 = 0.95;
/// It has no effect when it makes at most this much more than the baseline.
const NO_EFFECT_SHARE: f64 = 1.1;

/// What a row measured inside its namespace.
#[derive(Debug, Serialize, Deserialize)]
pub struct Inside {
    /// its runs, in order
    pub runs: Vec<RunResult>,
    /// sockets in TIME_WAIT after them, by side
    pub time_wait: Sides,
}

/// The baseline, which the others are compared with.
pub fn baseline(spec: &Spec, inside: &Inside) -> Row {
    let row = row(spec, std::slice::from_ref(inside), 1.0);
    let share = row.made.unwrap_or(0) as f64 / row.asked.max(1) as f64;
    let reason = format!("{} of what was asked, without any remedy", figures::share(share));
    Row { verdict: Effect::Baseline, reason, ..row }
}

/// The row of `spec` from what its namespaces measured; `baseline_share` is the share of asked connections that are
/// made without a remedy.
pub fn row(spec: &Spec, inside: &[Inside], baseline_share: f64) -> Row {
    let runs: Vec<&RunResult> = inside.iter().flat_map(|i| &i.runs).collect();
    let sum = |f: fn(&RunResult) -> u64| runs.iter().map(|r| f(r)).sum::<u64>();
    let made = sum(|r| r.totals.requests - r.totals.failures);
    let asked = spec.asked;
    let share = made as f64 / asked.max(1) as f64;
    let (verdict, reason) = verdict(spec, share, baseline_share, &runs);
    let resets = sum(|r| r.closes.reset);
    let price = if resets > 0 { format!("{}; {}", counted(resets, "reset"), spec.price) } else { spec.price.to_owned() };
    Row {
        remedy: spec.name.into(),
        what: spec.what.clone(),
        asked,
        made: Some(made),
        errors: errors(&runs),
        rate_cps: rate(&runs),
        connections: Some(sum(|r| r.totals.connections_opened)),
        connect_us: connect_us(&runs),
        time_wait: sides(inside),
        predicted: Some(spec.predicted),
        measured: Some(made),
        verdict,
        price,
        reason,
        paced_cps: if let Shape::Paced(cps) = spec.shape { Some(f64::from(cps)) } else { None },
        rehearsed_at: None,
        commands: spec.commands.clone(),
    }
}

fn verdict(spec: &Spec, share: f64, baseline_share: f64, runs: &[&RunResult]) -> (Effect, String) {
    let made = format!("{} of what was asked, against {} without it", figures::share(share), figures::share(baseline_share));
    if share <= baseline_share * NO_EFFECT_SHARE {
        return (Effect::NoEffect, made);
    }
    let price = !spec.price.is_empty() || runs.iter().any(|r| r.closes.reset > 0);
    if share < HELPS_SHARE || price { (Effect::AtAPrice, made) } else { (Effect::Helps, made) }
}

fn errors(runs: &[&RunResult]) -> Vec<RowError> {
    let mut all: BTreeMap<(&'static str, &str), RowError> = BTreeMap::new();
    for e in runs.iter().flat_map(|r| &r.errors) {
        let entry =
            all.entry((e.call.word(), &e.name)).or_insert_with(|| RowError { call: e.call, name: e.name.clone(), count: 0 });
        entry.count += e.count;
    }
    all.into_values().collect()
}

fn rate(runs: &[&RunResult]) -> Option<f64> {
    let seconds: f64 = runs.iter().map(|r| r.duration_s).sum();
    let opened: u64 = runs.iter().map(|r| r.totals.connections_opened).sum();
    (seconds > 0.0).then(|| opened as f64 / seconds)
}

/// Percentiles do not add up: the row shows those of the run with the most connections.
fn connect_us(runs: &[&RunResult]) -> Option<ConnectUs> {
    let most = runs.iter().max_by_key(|r| r.totals.connections_opened)?;
    most.totals.connects.map(|c| ConnectUs { p50: c.call_p50_us, p99: c.call_p99_us })
}

fn sides(inside: &[Inside]) -> Sides {
    let add = |f: fn(&Sides) -> Option<u32>| inside.iter().map(|i| f(&i.time_wait)).sum::<Option<u32>>();
    Sides { client: add(|s| s.client), server: add(|s| s.server) }
}
