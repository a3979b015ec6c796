//! A fault catalogue: each error and warning is provoked by a real fault, in a private namespace of its own, and
//! the run's first finding must name it with the right numbers. Healthy runs must have neither error nor warning.
//! Prints the confusion matrix, and writes it to target/tmp/confusion.md.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::needless_update,
    clippy::needless_pass_by_value,
    reason = "a test may unwrap and prints its matrix; scripted peers sleep; rows end alike"
)]

mod check;
#[path = "../support/documents.rs"]
mod documents;
mod healthy;
mod ledger;
mod local;
#[path = "../support/loud.rs"]
mod loud;
mod matrix;
mod parts;
mod peers;
mod places;
mod ports;
mod received;
mod rig;
#[path = "../support/runs.rs"]
mod runs;
mod slow;
mod stood_still;
#[path = "../support/mod.rs"]
mod support;
mod target;
mod witness;

use std::sync::atomic::{AtomicUsize, Ordering};

use check::{Case, Outcome};
use sockbench::testing::model::{FindingId, Severity};
use support::here;

/// Faults at once: most of them only wait.
const AT_ONCE: usize = 6;

/// One of this many rows may show nothing because of what others did to this machine.
const DISTURBED_MOST: usize = 20;

fn all() -> Vec<Case> {
    [
        local::CASES,
        target::CASES,
        ports::CASES,
        slow::CASES,
        stood_still::CASES,
        parts::CASES,
        received::CASES,
        places::CASES,
        healthy::CASES,
    ]
    .concat()
}

#[test]
fn every_error_and_warning_is_provoked_and_named() {
    let cases = all();
    let here = here!();
    if let Some(name) = support::part(here) {
        return rig::run_inside(cases.iter().find(|c| c.name == name).unwrap());
    }
    // For a look at some rows: part of their names.
    let only = std::env::var("SOCKBENCH_TEST_ONLY").unwrap_or_default();
    let (alone, beside): (Vec<&Case>, Vec<&Case>) = cases.iter().filter(|c| c.name.contains(&only)).partition(|c| c.alone);
    let mut rows = in_lanes(here, &beside, AT_ONCE);
    rows.extend(alone.into_iter().map(|case| (case, rig::outcome(here, case))));
    // What others on this machine disturbed gets another chance, with less beside it.
    for at_once in [2, 1] {
        let (again, done): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, o)| matches!(o, Outcome::Disturbed { .. }));
        let again: Vec<&Case> = again.into_iter().map(|(case, _)| case).collect();
        rows = done;
        rows.extend(in_lanes(here, &again, at_once));
    }
    for (case, outcome) in &rows {
        if matches!(outcome, Outcome::Disturbed { .. }) {
            loud::pass_on(&format!("DISTURBED {}: in three runs this machine had no core to spare", case.name));
        }
    }
    let disturbed = rows.iter().filter(|(_, o)| matches!(o, Outcome::Disturbed { .. })).count();
    rows.sort_by_key(|(case, _)| cases.iter().position(|c| c.name == case.name));
    let text = matrix::markdown(&rows);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("confusion.md");
    if let Err(e) = std::fs::write(&path, &text) {
        println!("{}: {e}", path.display());
    }
    // What is wrong is printed by itself: a log that is cut in the middle of the matrix would leave it out.
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(case, outcome)| match outcome {
            Outcome::Ran { wrong, .. } if !wrong.is_empty() => Some(format!("{}:\n  {}", case.name, wrong.join("\n  "))),
            _ => None,
        })
        .collect();
    let (count, all) = (wrong.len(), rows.len());
    assert!(wrong.is_empty(), "{count} of {all} rows are wrong (matrix: {})\n{}", path.display(), wrong.join("\n"));
    println!("{text}");
    let most = rows.len() / DISTURBED_MOST;
    assert!(disturbed <= most, "{disturbed} of {} rows show nothing, more than {most}: this machine is too busy", rows.len());
}

/// Runs them, `at_once` beside each other.
fn in_lanes<'a>(here: &str, cases: &[&'a Case], at_once: usize) -> Vec<(&'a Case, Outcome)> {
    let next = AtomicUsize::new(0);
    let lane = || {
        // A child dies with the thread that started it, so each lane waits for its own.
        let mut done = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((*case, rig::outcome(here, case)));
        }
        done
    };
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..at_once).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    })
}

#[test]
fn the_catalogue_leaves_no_error_or_warning_out() {
    let cases = all();
    for id in FindingId::ALL.iter().copied().filter(|id| id.severity() != Severity::Info) {
        assert!(cases.iter().any(|c| c.expected == Some(id)), "no fault for {}", id.word());
    }
    assert!(cases.iter().filter(|c| c.expected.is_none()).count() >= 5, "too few healthy runs");
    let mut names: Vec<&str> = cases.iter().map(|c| c.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|w| w[0] != w[1]), "{names:?}");
}
