//! Advice is followed: each remedy with a promised figure that can run here is applied to the run that raised it, and the
//! figure must lie within the promise's own tolerance.
//!
//! A remedy that changes another program, or this host, cannot run here: it may promise nothing, or says that it is computed.

use std::collections::BTreeMap;
use std::process::Command;

use crate::support::{SOCKBENCH, describe, namespaces_work};
use crate::{documents, loud};
use sockbench::testing::model::{FindingId as Id, Remedy, RunResult};
use sockbench::testing::remedy::promise::measured;

/// The run, the finding that it raises, and what is followed at least: a part of each change.
struct Row {
    load: &'static str,
    raises: Id,
    follows: &'static [&'static str],
}

/// Sleeping workers: their pace does not depend on who else has the cores.
const SERVER: &str = "--mix /io --server io-workers=4 --server io-sleep=50ms";
/// So few ports that they run out within a second.
const PORTS: &str =
    "--sandbox --sysctl net.ipv4.ip_local_port_range='40000 40199' --sysctl net.ipv4.tcp_tw_reuse=0 --mix /health";

const ROWS: &[Row] = &[
    Row { load: "-c 40 -d 4s SERVER", raises: Id::TargetQueueing, follows: &["io-workers=40", "--conns 4"] },
    Row { load: "-c 40 -d 4s --think 50ms SERVER", raises: Id::TargetQueueing, follows: &["io-workers", "--conns"] },
    Row { load: "-R 200 -c 40 -d 4s SERVER", raises: Id::TargetQueueing, follows: &["--rate"] },
    Row { load: "-R 60 -c 2 -d 4s SERVER", raises: Id::UsersNotReached, follows: &["--conns"] },
    Row {
        load: "-R 100 -c 10 -d 4s --no-keepalive PORTS",
        raises: Id::LocalPortsExhausted,
        follows: &["drop --no-keepalive", "--closer server", "--port-mode ring"],
    },
    Row {
        load: "-R 45 -c 10 -d 4s --no-keepalive PORTS",
        raises: Id::PortBudgetHigh,
        follows: &["drop --no-keepalive", "--closer server"],
    },
    Row { load: "-c 300 -d 3s --think 500ms PORTS", raises: Id::LocalPortsExhausted, follows: &["--conns"] },
];

/// Times that a promise is tried on a machine whose cores others have.
const TRIES: u32 = 3;

fn run(command: &str) -> RunResult {
    let line = command.replacen("sockbench load", &format!("'{SOCKBENCH}' load --quiet --json -"), 1);
    let out = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert!(matches!(out.status.code(), Some(0 | 3)), "{command}: {}", describe(&out));
    documents::parse_bytes("run", &out.stdout)
}

fn advised(run: &RunResult) -> impl Iterator<Item = &Remedy> {
    run.findings.iter().flat_map(|f| &f.remedies)
}

fn can_run(remedy: &Remedy) -> bool {
    remedy.command.starts_with("sockbench load")
}

/// What of its promises the run after the remedy does not keep.
fn broken(remedy: &Remedy, followed: &RunResult) -> Vec<String> {
    let judge = |promised: &_| match measured(followed, promised) {
        Some(got) if promised.is_kept_by(got) => None,
        got => Some(format!(
            "{:?}: promised {} ({:?} to {:?}), got {got:?}",
            promised.metric, promised.value, promised.at_least, promised.at_most
        )),
    };
    remedy.predicts.iter().filter_map(judge).collect()
}

/// Follows the remedies of one command; none where they keep their word.
fn follow(command: &str, remedies: &[&Remedy]) -> Option<String> {
    for left in (0..TRIES).rev() {
        let followed = run(command);
        let wrong: Vec<String> = remedies.iter().flat_map(|r| broken(r, &followed)).collect();
        let contended = followed.findings.iter().any(|f| f.id == Id::HostContended);
        println!("{command}: {}", if wrong.is_empty() { "kept".to_owned() } else { wrong.join("; ") });
        if wrong.is_empty() {
            return None;
        }
        if !contended {
            return Some(format!("{command}: {}", wrong.join("; ")));
        }
        if left == 0 {
            loud::skipped(format!("{command}: other programs have the cores of this machine"));
        }
    }
    None
}

#[test]
fn followed_advice_keeps_its_promises() {
    if !namespaces_work() {
        return;
    }
    let wrong: Vec<String> = ROWS.iter().flat_map(wrong_of).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Follows what a run is advised.
fn wrong_of(row: &Row) -> Vec<String> {
    let load = row.load.replace("SERVER", SERVER).replace("PORTS", PORTS);
    let before = run(&format!("sockbench load {load}"));
    let found: Vec<Id> = before.findings.iter().map(|f| f.id).collect();
    assert!(found.contains(&row.raises), "{load}: {found:?}");
    let promising: Vec<&Remedy> = advised(&before).filter(|r| !r.predicts.is_empty()).collect();
    let (here, elsewhere): (Vec<&Remedy>, Vec<&Remedy>) = promising.iter().partition(|r| can_run(r));
    for part in row.follows {
        let is_there = here.iter().any(|r| r.change.as_ref().is_some_and(|change| change.contains(part)));
        assert!(is_there, "{load}: nobody advises {part}: {here:#?}");
    }
    for remedy in elsewhere {
        assert!(remedy.expected.contains("computed"), "{load}: {remedy:?}");
    }
    let mut by_command: BTreeMap<&str, Vec<&Remedy>> = BTreeMap::new();
    for remedy in here {
        by_command.entry(&remedy.command).or_default().push(remedy);
    }
    by_command.iter().filter_map(|(command, remedies)| follow(command, remedies)).collect()
}
