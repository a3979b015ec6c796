//! Every rule with facts on which it fires, facts on which it is clear, and facts that do not let it decide.
//!
//! Ids, evidence, causes and commands are asserted. What a person reads is in `snapshots/`: [`reads`] compares it.

mod after_stalls;
mod backlog;
mod bodies;
mod busy_port;
mod capacity;
mod client;
mod contract;
mod cores;
mod firing;
mod kept_most;
mod leading;
mod pages;
pub(crate) use capacity::own_cpu;
pub(crate) use firing::firing;
mod port_remedies;
mod ports;
mod statuses;
mod stood_still;
mod stopped;
mod study;
mod target;
mod users;
mod verdict;

use sockbench::testing::diagnose::{Diagnosis, Found, NoFinding, ruling, table::rule_of};
use sockbench::testing::model::{Finding, FindingId as Id, Remedy, RunResult, Validity};

use crate::facts::healthy;
use crate::snapshot;

fn fires(id: Id, run: &RunResult) -> Found {
    match ruling(id, run) {
        Ok(f) => f,
        other => panic!("{}: {other:?}", id.word()),
    }
}

fn clear(id: Id, run: &RunResult) {
    assert_eq!(ruling(id, run), Err(NoFinding::Clear), "{}", id.word());
}

fn unknown(id: Id, run: &RunResult) -> String {
    match ruling(id, run) {
        Err(NoFinding::Undecided(missing)) => {
            assert!(!rule_of(id).unwrap().needs.is_empty(), "{}: needs", id.word());
            missing
        }
        other => panic!("{}: {other:?}", id.word()),
    }
}

/// The stamp. A document of an earlier version, which has the texts alone, is read with the same kinds.
fn stamp(run: &RunResult) -> Validity {
    let of = Diagnosis::of(run);
    let texts = Validity { kinds: Vec::new(), ..of.validity.clone() };
    let mut older = RunResult { validity: texts, findings: of.findings, ..run.clone() };
    older.explain_later_keys();
    assert_eq!(older.validity.kinds, of.validity.kinds, "{:?}", of.validity.reasons);
    of.validity
}

fn ids(found: &[Finding]) -> Vec<Id> {
    found.iter().map(|f| f.id).collect()
}

/// Failures that no row names.
fn unnamed(local: bool) -> RunResult {
    let mut run = healthy();
    if local {
        run.totals.local_failures = 7;
    } else {
        run.totals.failures = 7;
    }
    run
}

/// Compares what a person reads of `found` with the snapshot `name`.
fn reads(name: &str, found: &Found) {
    snapshot::matches("findings", name, &page(&found.title, &found.explanation, &found.remedies));
}

/// Title, explanation and remedies, a sentence a line, so that a change of one word is a change of one line.
fn page(title: &str, explanation: &str, remedies: &[Remedy]) -> String {
    let mut page = format!("{title}\n\n{}\n", explanation.replace(". ", ".\n"));
    for r in remedies {
        let name = r.name.as_deref().unwrap_or("-");
        page += &format!("\n[{name}] {}\n", r.action);
        page.extend(r.change.iter().map(|change| format!("    change: {change}\n")));
        page += &format!("    {}\n", r.command);
        page.extend(r.windows_command.iter().map(|windows| format!("    Windows: {windows}\n")));
        page.extend(r.macos_command.iter().map(|macos| format!("    macOS: {macos}\n")));
        page += &format!("    {}\n", r.expected);
        page.extend(r.price.iter().map(|price| format!("    mind: {price}\n")));
    }
    page
}

/// The remedy called `name`.
fn remedy<'a>(found: &'a Found, name: &str) -> &'a Remedy {
    let named = found.remedies.iter().find(|r| r.name.as_deref() == Some(name));
    named.unwrap_or_else(|| panic!("no {name} in {:?}", found.remedies))
}

/// The names of the remedies, in order.
fn names(found: &Found) -> Vec<&str> {
    found.remedies.iter().filter_map(|r| r.name.as_deref()).collect()
}
