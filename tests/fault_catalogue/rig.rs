//! How a row is run: in a private namespace by running this test binary again there, and as children of it.

use std::panic::catch_unwind;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sockbench::model::finding::FindingId::GeneratorSaturated;
use sockbench::model::result::RunResult;
use sockbench::sys::child::{Child, ChildError, Stderr};

use crate::check::{Case, Check, Outcome};
use crate::{loud, runs, support};

/// For any load of the catalogue.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where peers and servers listen: each namespace has this port for itself.
pub(crate) const LISTEN: &str = "127.0.0.1:8080";

/// From here on the canary says that a client had no chance to keep a schedule: half of what the rule calls late.
const DISTURBED_MS: f64 = sockbench::diagnose::thresholds::LATENESS_MS / 2.0;

/// What a row came to, as the run inside its namespace hands it over.
#[derive(Debug, Serialize, Deserialize)]
enum Inside {
    Ran { run: Box<RunResult>, late_ms: f64 },
    Cannot { why: String },
}

/// Runs the row in a namespace of its own; `here` is the calling test.
pub(crate) fn outcome(here: &str, case: &Case) -> Outcome {
    let name = case.name;
    match catch_unwind(|| inside(here, case)) {
        Ok(Ok((run, late_ms))) => {
            let (found, wrong) = Check::all(case, &run);
            let told = !wrong.is_empty() && found.contains(&GeneratorSaturated) && case.expected != Some(GeneratorSaturated);
            // What the kernel says of the client itself: runnable without a core, as long as it was late.
            let client = &run.resources.client;
            let waited_ms = client.threads.iter().map(|t| t.wait_s * 1000.0).fold(0.0, f64::max);
            let starved = waited_ms >= DISTURBED_MS * client.late_requests.max(1) as f64;
            if told && (late_ms >= DISTURBED_MS || starved) {
                println!(
                    "{name}: the kernel let the client wait {waited_ms:.0} ms for a core, {} were late",
                    client.late_requests
                );
                println!(
                    "DISTURBED {name}: this machine woke a mere sleeper {late_ms:.1} ms late, and the client says so of itself"
                );
                return Outcome::Disturbed { found, late_ms };
            }
            Outcome::Ran { found, wrong }
        }
        Ok(Err(why)) => {
            loud::skipped(format!("{name}: {why}"));
            Outcome::Skipped(why)
        }
        Err(_) => Outcome::Ran { found: vec![], wrong: vec!["the run failed: see its panic above".into()] },
    }
}

/// The row's result and how late the canary was, or why it cannot be had here.
fn inside(here: &str, case: &Case) -> Result<(Box<RunResult>, f64), String> {
    let options: Vec<&str> = case.sysctls.iter().flat_map(|s| ["--sysctl", s]).collect();
    let out = support::again(here, &options, case.name)?;
    match support::handed_over(&out) {
        Inside::Ran { run, late_ms } => {
            // For a look at a row that is wrong.
            let kept = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.json", case.name.replace('/', "-")));
            std::fs::write(kept, serde_json::to_string(&run).unwrap()).unwrap();
            Ok((run, late_ms))
        }
        Inside::Cannot { why } => Err(why),
    }
}

/// Runs the row here, which is inside its namespace, and hands its result over.
pub(crate) fn run_inside(case: &Case) {
    // A client that is to be saturated needs a target, which may be in this process, with room.
    let canary = (case.expected != Some(GeneratorSaturated)).then(Canary::start);
    let run = Box::new((case.run)());
    support::hand_over(&Inside::Ran { run, late_ms: canary.map_or(0.0, Canary::late_p99_ms) });
}

/// Says, inside, why this machine cannot do the row, and ends the process.
pub(crate) fn cannot(why: &str) -> ! {
    support::hand_over(&Inside::Cannot { why: why.to_owned() });
    std::process::exit(0)
}

/// A thread beside the run that only wants to wake up every millisecond. Where it is late, the machine had no core
/// to spare, and a client that is late too says the truth.
struct Canary {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<Vec<Duration>>,
}

impl Canary {
    fn start() -> Self {
        use std::sync::atomic::Ordering;
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let ended = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut late = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let due = Instant::now() + Duration::from_millis(1);
                std::thread::sleep(Duration::from_millis(1));
                late.push(due.elapsed());
            }
            late
        });
        Self { stop, thread }
    }

    /// How late it woke up, 99th percentile, milliseconds.
    fn late_p99_ms(self) -> f64 {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let mut late = self.thread.join().unwrap();
        late.sort_unstable();
        late.get(late.len() * 99 / 100).map_or(0.0, |d| d.as_secs_f64() * 1000.0)
    }
}

/// A load against `path` of [`LISTEN`].
pub(crate) fn load(path: &str, args: &[&str]) -> RunResult {
    load_by(&[], path, args)
}

/// The same, started by another programme (`prlimit`, `taskset`) that becomes it.
pub(crate) fn load_by(by: &[&str], path: &str, args: &[&str]) -> RunResult {
    let url = format!("http://{LISTEN}{path}");
    let whole = [by, &[support::SOCKBENCH, "load", "--quiet", "--json", "-", &url], args].concat();
    let mut command = Command::new(whole[0]);
    command.args(&whole[1..]);
    let mut child = Child::start(command, Stderr::Keep).unwrap();
    let (begun, mut text) = (Instant::now(), String::new());
    loop {
        match child.read_line(PATIENCE.saturating_sub(begun.elapsed())) {
            Ok(line) => text += &line,
            Err(ChildError::Ended { .. }) => break,
            Err(e) => panic!("load: {e}"),
        }
    }
    let status = child.wait(Duration::from_secs(5)).unwrap();
    // 3: no connection could be made at all, but the document is there.
    assert!(matches!(status.and_then(|s| s.code()), Some(0 | 3)), "load: {status:?}: {:?}", child.complaint());
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("its document: {e}: {text}"))
}

/// Our own server at [`LISTEN`].
pub(crate) fn server(flags: &[&str]) -> Child {
    let mut child = runs::start(&[&["server", "--listen", LISTEN, "--cpu-iterations", "1"], flags].concat());
    child.read_line(Duration::from_secs(30)).unwrap();
    child
}
