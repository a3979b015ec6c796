//! Which limit was reached, or that none was, and how far away the others were.

use serde_json::Value;

use super::said::Said;
use super::{answered, is_clean, subject};
use crate::diagnose::is_near_search;
use crate::diagnose::{no_rate, search_limit};
use crate::model::figures::{counted, ms, percent, rate, share};
use crate::model::finding::FindingId;
use crate::model::plan::{PortMode, Spread};
use crate::model::result::{Ports, RunResult, VerdictId};
use crate::model::time::per_second;
use crate::report::plan_text::pause;
use crate::report::style::Tone;
use crate::report::text::Page;
use crate::report::text::page::Block;

/// A rate beyond this multiple of what the loop allows is of another run than the plan's: means do not fit it.
const LOOP_WITHIN: f64 = 1.1;
/// Of a rate that was asked: all.
const RATE_WITHIN: f64 = 0.02;
/// A part that is used this much is named as near its limit.
const NEAR: f64 = 0.5;

/// A core that is used this much may be the limit although no second was full: the mean hides that.
const NEAR_CPU: f64 = 0.8;

/// A machine that uses this much of all its cores has none for anybody.
const FULL_HOST_PERCENT: f64 = 95.0;

/// Shares that read the same.
const SAME_SHARE: f64 = 0.005;

/// A queue of this part of a median keeps users from more.
const QUEUED: f64 = 0.25;

/// Ports of before the run are named from this part of those in use at its peak.
const EARLIER: f64 = 0.1;

/// A part of the machine: how much of it was used, in words and as a share of what there is.
struct Part {
    /// of a run whose limit it is
    verdict: VerdictId,
    words: String,
    used: f64,
}

impl Part {
    /// Its figure is a share of a core.
    fn is_cpu(&self) -> bool {
        matches!(self.verdict, VerdictId::TargetBound | VerdictId::ClientBound)
    }
}

/// In a row; the first share of a core says of what it is.
fn of_a_core(parts: &[&Part]) -> String {
    let first = parts.iter().position(|p| p.is_cpu());
    let words = parts.iter().enumerate().map(|(i, p)| format!("{}{}", p.words, if Some(i) == first { " of a core" } else { "" }));
    words.collect::<Vec<_>>().join(", ")
}

pub(super) fn block(run: &RunResult, page: &Page, said: &Said<'_>) -> Option<Block> {
    let parts = parts(run);
    let is_said = |used: f64| said.ports_share().is_some_and(|said| (said - used).abs() < SAME_SHARE);
    let is_new = |p: &Part| !(p.verdict == VerdictId::PortBound && is_said(p.used));
    let on_shared_cores = shares_full_cores(run);
    let words = |near: bool| {
        let is_other = |p: &Part| p.verdict != run.verdict.id || on_shared_cores;
        let wanted = parts.iter().filter(|p| is_other(p) && (p.used >= NEAR) == near && is_new(p));
        wanted.collect::<Vec<_>>()
    };
    let (near, far) = (of_a_core(&words(true)), of_a_core(&words(false)));
    let mut text = String::new();
    if run.verdict.id == VerdictId::Healthy {
        let why = why(run);
        let reached = match (is_clean(run), search_limit(run).or_else(|| slow_search(run))) {
            (_, Some(search)) => search_words(run, search),
            // In a closed loop each user waits for its answer: more users, more requests.
            (true, _) if !run.plan.is_open_loop() && !why.is_empty() => match queue(run) {
                // What waits in a queue there is not the users' own pace alone.
                Some(queue) => format!("the users, and the target's queue ({queue})"),
                None => "the users".to_owned(),
            },
            // Too little to say so.
            (true, _) if no_rate(run, answered(run)).is_some() => String::new(),
            // Users without pauses always press on: something keeps them from more.
            (true, _) if !run.plan.is_open_loop() && run.plan.think.max.is_zero() => pressed(run, &parts),
            (true, _) => "none reached".to_owned(),
            (false, _) => String::new(),
        };
        let first = [&*reached, &why].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(": ");
        if !first.is_empty() {
            text += &page.labelled("limit", &first);
        }
        let rest = [near, far].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(", ");
        if !rest.is_empty() {
            text += &page.labelled(if text.is_empty() { "used" } else { "" }, &rest);
        }
    } else if run.verdict.id == VerdictId::HostBound || is_host_full(run) || on_shared_cores {
        // Nobody had room where all cores were taken, by whatever program.
        let all = words(true).into_iter().chain(words(false)).collect::<Vec<_>>();
        if !all.is_empty() {
            text += &page.labelled("used", &of_a_core(&all));
        }
    } else {
        if !near.is_empty() {
            text += &page.toned("near", Tone::Warn, &near);
        }
        if !far.is_empty() {
            text += &page.labelled("had room", &far);
        }
    }
    (!text.is_empty()).then(|| Block::ranked(5, text))
}

/// Every core of the machine was busy, whoever used it.
fn is_host_full(run: &RunResult) -> bool {
    run.resources.host.cpu_percent_mean.is_some_and(|p| p >= FULL_HOST_PERCENT)
}

/// Both ends are confined to the same cores, and fill them together.
fn shares_full_cores(run: &RunResult) -> bool {
    run.findings.iter().any(|f| f.id == FindingId::TargetCpuSaturated && f.evidence.contains_key("shared_cores"))
}

/// (P/2)/T, connections a second, where the finding of a slow search says that users who press on levelled off near it.
fn slow_search(run: &RunResult) -> Option<f64> {
    let finding = run.findings.iter().find(|f| f.id == FindingId::PortSearchSlow).filter(|_| !run.plan.is_open_loop())?;
    let number = |key: &str| finding.evidence.get(key).and_then(Value::as_f64);
    let (search, made) = (number("search_cps")?, number("rate_cps")?);
    is_near_search(made, search).then_some(search)
}

/// The kernel's search for a free port, where the rate stands at its limit, and the way past it.
fn search_words(run: &RunResult, search: f64) -> String {
    let ring = if run.plan.port_mode == PortMode::Auto { " (--port-mode ring does not search)" } else { "" };
    format!(
        "the kernel's search for a free source port: it takes longer above (P/2)/T = {} connections/s, with half of the ports in use{ring}",
        rate(search)
    )
}

/// What keeps users without pauses from more: a part near its CPU, or all cores; else that it is not known. The figures follow.
fn pressed(run: &RunResult, parts: &[Part]) -> String {
    let full = parts.iter().filter(|p| p.is_cpu() && p.used >= NEAR_CPU).max_by(|a, b| a.used.total_cmp(&b.used));
    match full.map(|p| p.verdict) {
        Some(VerdictId::TargetBound) => "perhaps the target's CPU: it is near its limit".to_owned(),
        Some(_) => "perhaps the client's CPU: it is near its limit".to_owned(),
        // Threads that poll fill cores without work.
        None if is_host_full(run) && !run.plan.busy_poll && run.resources.target.as_ref().is_none_or(|t| !t.busy_poll) => {
            "the CPU of this machine: every core is busy".to_owned()
        }
        None => "what limits is not known: no part that was measured is near its own".to_owned(),
    }
}

/// `191 of 391 ms of /io`: the largest part of a median that is the target's queue, by its own timing, where it is much.
fn queue(run: &RunResult) -> Option<String> {
    let told = run.endpoints.iter().filter_map(|e| Some((e, e.server_timing_ms.as_ref()?.queue.p50, e.latency_ms?.p50)));
    let much = told.filter(|(_, queue, all)| *all > 0.0 && queue / all >= QUEUED);
    let (e, queue, all) = much.max_by(|a, b| (a.1 / a.2).total_cmp(&(b.1 / b.2)))?;
    Some(format!("{} of {} ms of {}", ms(queue), ms(all), e.name))
}

/// Why the rate is what it is, where the plan says so.
fn why(run: &RunResult) -> String {
    let plan = &run.plan;
    let rps = per_second(answered(run), run.duration_s);
    if plan.is_open_loop() {
        let all = rps >= plan.mean_rate(run.duration_s) * (1.0 - RATE_WITHIN);
        return if all { "the rate asked for was reached".to_owned() } else { String::new() };
    }
    let Some(latency) = run.totals.latency_ms.filter(|_| no_rate(run, answered(run)).is_none()) else { return String::new() };
    if plan.stages.is_some() || subject(run).is_some_and(|f| f.id == FindingId::UsersNotReached) {
        return String::new();
    }
    let think_ms = plan.think.mean().as_secs_f64() * 1000.0;
    let at_most = f64::from(plan.users) * 1000.0 / (think_ms + latency.mean);
    let steady = run.totals.steady.as_ref().map_or(rps, |s| s.rps);
    // Far below it the users had not all begun, or paused after failures.
    if steady > at_most * LOOP_WITHIN || steady * LOOP_WITHIN.powi(2) < at_most {
        return String::new();
    }
    let users = counted(plan.users, "user");
    let each = if think_ms == 0.0 {
        format!("{} ms", ms(latency.mean))
    } else {
        let think = if plan.think.min == plan.think.max { pause(plan.think) } else { format!("{} ms", ms(think_ms)) };
        format!("({think} + {} ms)", ms(latency.mean))
    };
    if rate(at_most) == rate(rps) {
        return format!("the rate is {users} / {each}");
    }
    // Random pauses have that mean, and a run may have shorter ones.
    let is_random = plan.think.min != plan.think.max || plan.think.spread == Spread::Exponential;
    format!("{users} / {each} = {} req/s {}", rate(at_most), if is_random { "on average" } else { "at most" })
}

/// A thread that polls uses its core whether it has work or not.
const POLLING: &str = " (busy polling)";

fn parts(run: &RunResult) -> Vec<Part> {
    let mut parts = Vec::new();
    let cpus = f64::from(run.host.cpus.max(1));
    if let Some(t) = &run.resources.target
        && let Some(cpu) = t.cpu_percent_mean
    {
        let busiest = t.busiest_thread_percent.unwrap_or(0.0);
        let (polling, used) = if t.busy_poll { (POLLING, 0.0) } else { ("", (cpu / cpus).max(busiest) / 100.0) };
        let words = format!("target {}{polling}", percent(cpu));
        parts.push(Part { verdict: VerdictId::TargetBound, words, used });
    }
    if let Some(cpu) = run.resources.client.cpu_percent_mean {
        let (polling, used) =
            if run.plan.busy_poll { (POLLING, 0.0) } else { ("", cpu / 100.0 / f64::from(run.plan.threads.max(1))) };
        let words = format!("client {}{polling}", percent(cpu));
        parts.push(Part { verdict: VerdictId::ClientBound, words, used });
    }
    if let Some(used) = run.ports.as_ref().and_then(Ports::in_use_share) {
        let before = run.ports.as_ref().and_then(|p| earlier_share(p, used));
        let before = before.map_or_else(String::new, |before| format!(" ({} before the run)", share(before)));
        parts.push(Part { verdict: VerdictId::PortBound, words: format!("ports {}{before}", share(used)), used });
    }
    if let Some(nofile) = run.host.nofile.filter(|n| *n > 0) {
        let used = f64::from(run.totals.users_reached) / nofile as f64;
        if used >= NEAR {
            parts.push(Part { verdict: VerdictId::FdBound, words: format!("descriptors {}", share(used)), used });
        }
    }
    parts
}

/// The share of the ports that were in use before the run began, where that is much of what was in use at the peak: they are
/// not the run's own.
fn earlier_share(ports: &Ports, used: f64) -> Option<f64> {
    let before = f64::from(ports.leftover_before?) / f64::from(ports.pool.filter(|pool| *pool > 0)?);
    (before >= EARLIER * used && before > 0.0).then_some(before)
}
