//! Everything else that the steps show, in sentences: for `-v` and the stored document.

use super::Steps;
use crate::diagnose::thresholds::{CLOSED_LOOP_NEAR, CUT_SHARE, OTHERS_NAMED_PERCENT, OWN_PACE_SHARE};
use crate::model::figures::{bytes, count, counted, deviation, ms, percent, rate, seconds};
use crate::model::result::{Endpoint, RunResult};
use crate::model::study::StepRow;

pub(super) fn sentences(steps: &Steps<'_>) -> Vec<String> {
    let (runs, rows) = (steps.runs, steps.rows);
    let mut all = Vec::new();
    all.extend(rows.iter().filter_map(|r| closed_loop(r, rows)));
    all.extend(inside_ramp(runs));
    all.extend(tail(steps));
    all.extend(resources(rows));
    all.extend(others(rows));
    all.extend(cut(rows));
    all.extend(ports(rows));
    all
}

/// The rate of the closed loop and what sets its pace. That users / (think + measured response) is the measured rate is
/// bookkeeping; whether the server limits the rate shows in how much the response grew.
fn closed_loop(row: &StepRow, all: &[StepRow]) -> Option<String> {
    let (steady, predicted, response, off) = (row.steady_rps?, row.predicted_rps?, row.response_mean_s?, row.deviation_percent?);
    let failed = row.failures + row.local_failures > 0;
    let verdict = if off.abs() > CLOSED_LOOP_NEAR * 100.0 {
        let why = if failed { "failed requests return sooner or later than answers" } else { "see the findings of this step" };
        format!("the loop was disturbed: {why}")
    } else if let Some(expected) = row.expected_rps.filter(|_| all.iter().any(|r| r.users < row.users)) {
        if steady >= OWN_PACE_SHARE * expected {
            "the users set this rate, not the server".to_owned()
        } else {
            format!("with answers as quick as at the lightest step it would be {}", rate(expected))
        }
    } else if all.iter().any(|r| r.users > row.users) {
        "heavier steps are compared with this response".to_owned()
    } else {
        "a step with fewer users would show whether the users or the server set this rate".to_owned()
    };
    Some(format!(
        "{}: users / (think + response) = {} / ({} + {} ms) = {} req/s; measured {} after the last user had started ({}): {verdict}.",
        row.label,
        row.users,
        ms(row.think_mean_s * 1000.0),
        ms(response * 1000.0),
        rate(predicted),
        rate(steady),
        deviation(off)
    ))
}

/// Steps that ended before their last user had started: none of their figures covers all users.
fn inside_ramp(runs: &[RunResult]) -> Option<String> {
    let short = runs.iter().filter(|s| !s.plan.duration.is_zero() && s.plan.ramp() >= s.plan.duration);
    let each: Vec<String> = short
        .map(|s| {
            let (ramp, ran) = (s.plan.ramp().as_secs_f64(), s.plan.duration.as_secs_f64());
            format!("{} start over {}, their step took {}", counted(s.plan.users, "user"), seconds(ramp), seconds(ran))
        })
        .collect();
    (!each.is_empty()).then(|| {
        format!(
            "No steady figures, because the step ended while users were still starting: {}. A longer step helps.",
            each.join("; ")
        )
    })
}

/// Which endpoint makes the tail, at the heaviest step.
fn tail(steps: &Steps<'_>) -> Option<String> {
    let heavy = steps.heaviest()?;
    let run = &steps.runs[heavy];
    let all = run.totals.latency_ms?;
    let p99 = |e: &Endpoint| e.latency_ms.map_or(0.0, |l| l.p99);
    let worst = run.endpoints.iter().filter(|e| e.latency_ms.is_some()).max_by(|a, b| p99(a).total_cmp(&p99(b)))?;
    if run.endpoints.len() < 2 {
        return None;
    }
    let share = worst.requests as f64 / run.totals.requests.max(1) as f64 * 100.0;
    Some(format!(
        "{} makes the tail {}: p50 {} and p99 {} ms, while all requests together have p50 {} and p95 {} ms; it is {} of the requests.",
        worst.name,
        steps.at(heavy),
        ms(worst.latency_ms.map_or(0.0, |l| l.p50)),
        ms(p99(worst)),
        ms(all.p50),
        ms(all.p95),
        percent(share)
    ))
}

fn resources(rows: &[StepRow]) -> Vec<String> {
    let mut out = Vec::new();
    let series = |f: &dyn Fn(&StepRow) -> Option<String>| -> Option<String> {
        let all: Option<Vec<String>> = rows.iter().map(f).collect();
        all.map(|v| v.join(", "))
    };
    let unknown = || "unavailable".to_owned();
    let steps = rows.iter().map(|r| r.label.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(target) = series(&|r| r.target_cpu_percent.map(percent)) {
        let client = series(&|r| r.client_cpu_percent.map(percent)).unwrap_or_else(unknown);
        out.push(format!("CPU, % of one core, at {steps}: target {target}; client {client}."));
    }
    if let Some(host) = series(&|r| r.host_cpu_percent.map(percent)) {
        let memory = series(&|r| r.host_memory_percent.map(percent)).unwrap_or_else(unknown);
        out.push(format!("This machine at {steps}: CPU {host} of all cores; memory in use {memory}."));
    }
    if let Some(rss) = series(&|r| r.target_rss_bytes.map(bytes)) {
        let client = series(&|r| r.client_rss_bytes.map(bytes)).unwrap_or_else(unknown);
        out.push(format!("Memory at {steps}: target {rss}; client {client}."));
    }
    out
}

/// Steps in which other programs took much of the CPU.
fn others(rows: &[StepRow]) -> Option<String> {
    let disturbed: Vec<String> = rows
        .iter()
        .filter_map(|r| {
            let (others, host) = (r.others_cpu_percent?, r.host_cpu_percent?);
            (others >= OTHERS_NAMED_PERCENT)
                .then(|| format!("{} {} of all cores, of {} in use", r.label, percent(others), percent(host)))
        })
        .collect();
    (!disturbed.is_empty()).then(|| {
        format!("Other programs on this machine took CPU: {}. They are part of the response times there.", disturbed.join("; "))
    })
}

/// Requests that were in flight when their step ended.
fn cut(rows: &[StepRow]) -> Option<String> {
    let worst = rows.iter().max_by_key(|r| r.cut).filter(|r| r.cut > 0)?;
    let all = worst.requests + worst.local_failures + worst.cut;
    let share = worst.cut as f64 / all.max(1) as f64 * 100.0;
    let warning = if worst.is_censored && share > CUT_SHARE * 100.0 {
        ": the slowest answers are missing from the figures; a longer step would show them"
    } else {
        ""
    };
    Some(format!(
        "In flight when their step ended: at most {} of {} requests ({}), {}{warning}.",
        count(worst.cut),
        count(all),
        percent(share),
        worst.label
    ))
}

fn ports(rows: &[StepRow]) -> Option<String> {
    let worst = rows.iter().filter(|r| r.pool.is_some()).max_by_key(|r| r.peak_ports)?;
    let (peak, pool) = (worst.peak_ports?, worst.pool?);
    Some(format!(
        "Source ports towards the target: at most {} of {} in use ({}), {}.",
        count(peak),
        count(pool),
        percent(f64::from(peak) / f64::from(pool.max(1)) * 100.0),
        worst.label
    ))
}
