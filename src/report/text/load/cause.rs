//! Why: the arithmetic of the limit that was reached, in two or three lines.

use std::collections::BTreeMap;

use serde_json::Value;

use super::said::Said;
use super::subject;
use crate::diagnose::thresholds::SHORT_RUN_S;
use crate::model::figures::{self, count, counted, ms, rate, seconds, span};
use crate::model::finding::{Finding, FindingId};
use crate::model::limits::LOCAL_PAUSE_MAX;
use crate::model::result::{Holder, Ports, RunResult};
use crate::model::time::per_second;
use crate::report::style::wrapped;
use crate::report::text::Page;
use crate::report::text::page::Block;

/// Lines of an explanation that are shown; `-v` has all.
const LINES: usize = 3;
/// The same where the failures have lines of their own.
const LINES_BESIDE_FAULTS: usize = 2;

/// The lines of the finding that the page is about, but for what was `said` above them.
pub(super) fn blocks(run: &RunResult, page: &Page, said: &Said<'_>) -> Vec<Block> {
    let Some(finding) = subject(run) else { return Vec::new() };
    let lines = match (finding.id, run.ports.as_ref()) {
        (FindingId::LocalPortsExhausted, Some(ports)) => exhausted(run, ports),
        (FindingId::LocalPortsExhausted, None) if !finding.machines.is_empty() => exhausted_there(run, finding),
        (FindingId::TargetQueueing, _) => queueing(run, finding),
        (FindingId::UsersNotReached, _) if run.totals.never_started > 0 => busy(run),
        _ => in_short(run, finding, said, page),
    };
    let text = lines.iter().map(|line| wrapped(line, 2, page.width)).collect();
    vec![Block::kept(text)]
}

fn exhausted(run: &RunResult, p: &Ports) -> Vec<String> {
    let mut lines = Vec::new();
    let hold = p.hold_s.filter(|h| *h > 0.0);
    let law = p.pool.zip(hold).zip(p.ceiling_cps).map(|((pool, hold), ceiling)| (pool, hold, ceiling));
    if let Some(pool) = p.pool {
        let by = match p.holder() {
            Some(Holder::TimeWait) => "in TIME_WAIT",
            Some(Holder::FinWait2) => "in FIN_WAIT2",
            Some(Holder::Open) => "in use by open connections",
            None => "in use",
        };
        let all = if p.peak_used.is_some_and(|used| used >= pool) { "all " } else { "the " };
        // The law below says how many there are.
        let many = if law.is_some() { String::new() } else { format!("{} ", count(pool)) };
        lines.push(format!("{all}{many}source ports to {} are {by}", p.destination));
    }
    if let Some((pool, hold, ceiling)) = law {
        lines.push(format!("{}; {}", sustained(pool, hold, ceiling), tried(run)));
    }
    lines
}

/// The law of the first machine of a merged run that has the finding.
fn exhausted_there(run: &RunResult, finding: &Finding) -> Vec<String> {
    let ports = run.machines.iter().find(|m| finding.machines.contains(&m.name)).and_then(|m| m.ports.as_ref());
    let law = ports.and_then(|p| Some((p.pool?, p.hold_s.filter(|h| *h > 0.0)?, p.ceiling_cps?)));
    law.map(|(pool, hold, ceiling)| sustained(pool, hold, ceiling) + " there").into_iter().collect()
}

/// `28,230 ports / 60 s sustain 471 new connections/s`
fn sustained(pool: u32, hold: f64, ceiling: f64) -> String {
    format!("{} ports / {} sustain {} new connections/s", count(pool), figures::hold(hold), rate(ceiling))
}

/// What used the ports up: the rate of the whole run, or that until the first failure where users without a pause of
/// their own paused after it.
fn tried(run: &RunResult) -> String {
    let all = per_second(run.totals.attempts, run.duration_s);
    let finding = subject(run).filter(|f| f.id == FindingId::LocalPortsExhausted);
    let until = finding.and_then(|f| f.evidence.get("rate_until_first_cps")?.as_f64());
    let until = until.filter(|cps| run.plan.think.max.is_zero() && !run.plan.is_open_loop() && *cps > all);
    let used_up = match (until, run.verdict.since_s) {
        // No rate follows from less than a second.
        (Some(_), Some(since)) if since < SHORT_RUN_S => format!("all were used within {}", seconds(since)),
        (Some(cps), _) => format!("{}/s were made until they ran out", rate(cps)),
        (None, _) => return format!("{}/s were tried", rate(all)),
    };
    format!("{used_up}; after a failure sockbench's users pause up to {}", span(LOCAL_PAUSE_MAX))
}

/// When the ports are free again, when they run out again.
pub(super) fn recurrence(run: &RunResult, page: &Page) -> Vec<Block> {
    let exhausted = run.findings.iter().any(|f| f.id == FindingId::LocalPortsExhausted);
    let Some(p) = run.ports.as_ref().filter(|_| exhausted) else { return Vec::new() };
    let mut parts = Vec::new();
    let since = run.verdict.since_s.or_else(|| p.forecast.as_ref().map(|f| f.exhausted_at_s));
    // What recurred within the run is in the figures by second; after its last stage a load does not go on.
    let later = run.plan.stages.is_none() && since.zip(p.hold_s).is_none_or(|(since, hold)| since + hold > run.duration_s);
    if let (Some(hold), Some(since), true) = (p.hold_s, since, later && p.holder() == Some(Holder::TimeWait)) {
        parts.push(format!(
            "if the load goes on, it connects again at {} and fails again at {}",
            figures::hold(hold),
            seconds(since + hold)
        ));
    }
    if let Some(free) = p.free_again_in_s.filter(|s| *s > 0.0) {
        parts.push(format!("all ports are free {} after the run", seconds(free)));
    }
    if parts.is_empty() { Vec::new() } else { vec![page.ranked(4, "again", &parts.join("; "))] }
}

/// `/cpu waits 1,163 ms in the target's queue for 42 ms of service time`, and the capacity that follows from the work.
fn queueing(run: &RunResult, f: &Finding) -> Vec<String> {
    let number = |name: &str| f.evidence.get(name).and_then(Value::as_f64);
    // The headline has the rate.
    let mut lines = vec![f.title.clone()];
    if let (Some(workers), Some(work)) = (number("workers"), number("work_p50_ms").filter(|w| *w > 0.0)) {
        let of = word(&f.evidence, "endpoint")
            .filter(|_| run.endpoints.len() > 1)
            .map_or_else(String::new, |name| format!(" of {name}"));
        lines.push(format!(
            "capacity{of} = {} / {} ms = {} req/s",
            counted(workers as u64, "worker"),
            ms(work),
            rate(workers * 1000.0 / work)
        ));
    }
    lines
}

/// What the connections of an open loop can carry.
fn busy(run: &RunResult) -> Vec<String> {
    let Some(service) = run.totals.service_latency_ms.filter(|l| l.mean > 0.0) else { return Vec::new() };
    let most = f64::from(run.plan.users) * 1000.0 / service.mean;
    // More than was asked for explains nothing.
    if most >= run.plan.rate {
        return Vec::new();
    }
    vec![format!(
        "{} / {} ms an answer = {} req/s at most: all were busy when requests were due",
        counted(run.plan.users, "connection"),
        ms(service.mean),
        rate(most)
    )]
}

fn word<'a>(evidence: &'a BTreeMap<String, Value>, name: &str) -> Option<&'a str> {
    evidence.get(name).and_then(Value::as_str)
}

/// The title, where the headline says something else, and the first sentences of the explanation that say more.
fn in_short(run: &RunResult, f: &Finding, said: &Said<'_>, page: &Page) -> Vec<String> {
    let failed = !run.errors.is_empty();
    let mut lines: Vec<String> = (!failed && !said.has_title()).then(|| f.title.clone()).into_iter().collect();
    let room = if failed { LINES_BESIDE_FAULTS } else { LINES };
    let height = |text: &str| wrapped(text, 2, page.width).lines().count();
    let mut shown = String::new();
    for sentence in said.sentences_but(sentences(&f.explanation)) {
        let more = if shown.is_empty() { sentence.to_owned() } else { format!("{shown} {sentence}") };
        if height(&more) + lines.iter().map(|l| height(l)).sum::<usize>() > room {
            break;
        }
        shown = more;
    }
    lines.extend((!shown.is_empty()).then_some(shown));
    lines
}

/// Ends of sentences are a full stop before a blank and a capital, not inside what was received.
fn sentences(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(". ") {
        if is_quoted(text, at) {
            continue;
        }
        let next = text[at + 2..].chars().next();
        if next.is_some_and(|c| c.is_uppercase() || c == '/') {
            all.push(&text[from..=at]);
            from = at + 2;
        }
    }
    all.push(&text[from..]);
    all.retain(|s| !s.is_empty());
    all
}

/// Whether the byte at `at` is between double quotes; `\"` is none.
fn is_quoted(text: &str, at: usize) -> bool {
    let mut before = None;
    let marks = text[..at].chars().filter(|c| before.replace(*c) != Some('\\') && *c == '"');
    marks.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_were_received_are_no_sentences() {
        let text = r#"The head has no colon (received: "Oops. Something \"broke\". So"). It ends there."#;
        assert_eq!(sentences(text), [&text[..text.len() - 15], "It ends there."]);
    }

    #[test]
    fn sentences_end_before_a_capital() {
        assert_eq!(sentences("One is 1.5 s. Two at 10.0.0.1. three. Four"), ["One is 1.5 s.", "Two at 10.0.0.1. three.", "Four"]);
        assert!(sentences("").is_empty());
    }
}
