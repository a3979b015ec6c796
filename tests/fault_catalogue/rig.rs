//! How a row is run: in a private namespace by running this test binary again there, and as children of it.

use std::panic::catch_unwind;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sockbench::testing::diagnose::thresholds;
use sockbench::testing::model::FindingId::{self, GeneratorSaturated, HostContended};
use sockbench::testing::model::RunResult;
use sockbench::testing::sys::{Child, ChildError, Stderr};

use crate::check::{Case, Check, Outcome};
use crate::witness::{self, Seen, Sleeper, Witness};
use crate::{loud, runs, support};

/// For any load of the catalogue.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where peers and servers listen: each namespace has this port for itself.
pub(crate) const LISTEN: &str = "127.0.0.1:8080";

/// From here on the witness says that a client had no chance to keep a schedule: half of what the rule calls late.
const LATE_MS: f64 = thresholds::LATENESS_MS / 2.0;
/// From here on the witness says that other programs use this machine: half of what the rule needs.
pub(crate) const OTHERS_PERCENT: f64 = thresholds::OTHERS_PERCENT / 2.0;

/// The rows hold on a machine with one core taken by others. From this on they had more, and nothing is shown.
const OTHERS_MOST_PERCENT: f64 = 125.0;
/// A machine on which a mere sleeper wakes up this late keeps nobody's time.
const HALT_MS: f64 = 150.0;

/// A sleeper that was late by this share of a stall met the same.
const STALL_SHARE: f64 = 0.5;

/// What a row came to, as the run inside its namespace hands it over.
#[derive(Debug, Serialize, Deserialize)]
enum Inside {
    Ran { run: Box<RunResult>, seen: Seen },
    Cannot { why: String },
}

/// Runs the row in a namespace of its own; `here` is the calling test.
pub(crate) fn outcome(here: &str, case: &Case) -> Outcome {
    let name = case.name;
    match catch_unwind(|| inside(here, case)) {
        Ok(Ok((run, seen))) => {
            let (found, wrong) = Check::all(case, &run, &seen);
            match disturbance(case, &run, &found, &seen).filter(|_| !wrong.is_empty()) {
                Some(why) => {
                    println!("DISTURBED {name}: {why}");
                    Outcome::Disturbed { found, why }
                }
                None => Outcome::Ran { found, wrong },
            }
        }
        Ok(Err(why)) => {
            loud::skipped(format!("{name}: {why}"));
            Outcome::Skipped(why)
        }
        Err(_) => Outcome::Ran { found: vec![], wrong: vec!["the run failed: see its panic above".into()] },
    }
}

/// Why a row that is wrong shows nothing: this machine had no core to spare, as the witness saw.
fn disturbance(case: &Case, run: &RunResult, found: &[FindingId], seen: &Seen) -> Option<String> {
    let unexpected = |id: FindingId| found.contains(&id) && case.expected != Some(id) && !case.also.contains(&id);
    if unexpected(HostContended) && seen.others_percent >= OTHERS_PERCENT {
        return Some(format!("other programs used {:.0} % of a core", seen.others_percent));
    }
    if !case.rivals && seen.others_percent >= OTHERS_MOST_PERCENT {
        return Some(format!("other programs used {:.0} % of a core", seen.others_percent));
    }
    if seen.late_max_ms >= HALT_MS {
        return Some(format!("a mere sleeper woke up {:.0} ms late", seen.late_max_ms));
    }
    // A machine that lets nobody run for a while stalls client and target alike.
    let stalled_ms = |id| unexpected_stall_ms(case, run, id);
    let stall_ms = f64::max(stalled_ms(FindingId::TargetStalled), stalled_ms(FindingId::ClientStalled));
    if stall_ms > 0.0 && seen.late_max_ms >= STALL_SHARE * stall_ms {
        return Some(format!("a mere sleeper woke up {:.0} ms late, the stall is one of {stall_ms:.0} ms", seen.late_max_ms));
    }
    // What the kernel says of the client itself: runnable without a core, as long as it was late.
    let client = &run.resources.client;
    let waited_ms = client.threads.iter().map(|t| t.wait_s * 1000.0).fold(0.0, f64::max);
    let starved = waited_ms >= LATE_MS * client.late_requests.max(1) as f64;
    (unexpected(GeneratorSaturated) && (seen.late_ms >= LATE_MS || starved)).then(|| {
        let late = client.late_requests;
        format!("a mere sleeper woke up {:.1} ms late, the client waited {waited_ms:.0} ms for a core: {late} late", seen.late_ms)
    })
}

/// The longest stall that a finding names which the row did not inject; zero where there is none.
fn unexpected_stall_ms(case: &Case, run: &RunResult, id: FindingId) -> f64 {
    let unexpected = case.expected != Some(id) && !case.also.contains(&id);
    let found = run.findings.iter().find(|f| f.id == id && unexpected);
    found.and_then(|f| f.evidence.get("longest_s")?.as_f64()).unwrap_or(0.0) * 1000.0
}

/// The row's result and what the witness saw, or why there is none here.
fn inside(here: &str, case: &Case) -> Result<(Box<RunResult>, Seen), String> {
    let options: Vec<&str> = case.sysctls.iter().flat_map(|s| ["--sysctl", s]).collect();
    let out = support::again(here, &options, case.name)?;
    match support::handed_over(&out) {
        Inside::Ran { run, seen } => {
            // For a look at a row that is wrong.
            let kept = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.json", case.name.replace('/', "-")));
            std::fs::write(kept, serde_json::to_string(&run).unwrap()).unwrap();
            Ok((run, seen))
        }
        Inside::Cannot { why } => Err(why),
    }
}

/// Runs the row here, which is inside its namespace, and hands its result over.
pub(crate) fn run_inside(case: &Case) {
    // A client that is to be saturated needs a target, which may be in this process, with room.
    let needs_all = matches!(case.expected, Some(GeneratorSaturated | HostContended));
    let witness = Witness::start(if needs_all { Sleeper::Without } else { Sleeper::With });
    let run = Box::new((case.run)());
    support::hand_over(&Inside::Ran { run, seen: witness.end() });
}

/// Says, inside, why this machine cannot do the row, and ends the process.
pub(crate) fn cannot(why: &str) -> ! {
    support::hand_over(&Inside::Cannot { why: why.to_owned() });
    std::process::exit(0)
}

/// A load against `path` of [`LISTEN`].
pub(crate) fn load(path: &str, args: &[&str]) -> RunResult {
    load_by(&[], path, args)
}

/// The same, started by another program (`prlimit`, `taskset`) that becomes it.
pub(crate) fn load_by(by: &[&str], path: &str, args: &[&str]) -> RunResult {
    load_of(by, &format!("http://{LISTEN}{path}"), args)
}

/// A load against another address than [`LISTEN`].
pub(crate) fn load_url(url: &str, args: &[&str]) -> RunResult {
    load_of(&[], url, args)
}

fn load_of(by: &[&str], url: &str, args: &[&str]) -> RunResult {
    let whole = [by, &[support::SOCKBENCH, "load", "--quiet", "--json", "-", url], args].concat();
    let mut command = Command::new(whole[0]);
    command.args(&whole[1..]);
    document(Child::start(command, Stderr::Keep).unwrap())
}

/// The same, with `during` called beside it: it gets the client's process id.
pub(crate) fn load_while(path: &str, args: &[&str], during: impl FnOnce(u32)) -> RunResult {
    load_url_while(&format!("http://{LISTEN}{path}"), args, during)
}

/// The same against another address than [`LISTEN`].
pub(crate) fn load_url_while(url: &str, args: &[&str], during: impl FnOnce(u32)) -> RunResult {
    let child = runs::start(&[&["load", "--quiet", "--json", "-", url], args].concat());
    during(child.pid());
    document(child)
}

/// Sends a signal to a process that the row started.
pub(crate) fn signal(pid: u32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), signal).unwrap();
    witness::on_signal(pid, signal);
}

fn document(mut child: Child) -> RunResult {
    let (begun, mut text) = (Instant::now(), String::new());
    loop {
        match child.read_line(PATIENCE.saturating_sub(begun.elapsed())) {
            Ok(line) => text += &line,
            Err(ChildError::Ended { .. }) => break,
            Err(e) => panic!("load: {e}"),
        }
    }
    let status = child.wait(Duration::from_secs(5)).unwrap();
    let code = status.and_then(|s| s.code());
    // 3: no connection could be made at all, but the document is there. 1: not one request was answered below 400.
    assert!(matches!(code, Some(0 | 1 | 3)), "load: {status:?}: {:?}", child.complaint());
    let run: RunResult = crate::documents::parse("run", &text);
    let answered = run.totals.requests - run.totals.failures;
    assert!(
        code == Some(3) || (code == Some(1)) == (answered == 0),
        "load: {code:?} after {answered} answers: {}",
        run.verdict.sentence
    );
    run
}

/// sockbench's own server at [`LISTEN`].
pub(crate) fn server(flags: &[&str]) -> Child {
    let mut child = runs::start(&[&["server", "--listen", LISTEN, "--cpu-iterations", "1"], flags].concat());
    child.read_line(Duration::from_secs(30)).unwrap();
    child
}
