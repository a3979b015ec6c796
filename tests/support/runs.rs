//! sockbench's commands as children of a test: a server, and load runs against it. None outlives the test.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; tests unwrap")]

use std::process::Command;
use std::time::Duration;

use sockbench::testing::model::RunResult;
use sockbench::testing::sys::{Child, ChildError, Clock, Stderr};

const SOCKBENCH: &str = env!("CARGO_BIN_EXE_sockbench");
/// How long a child may take to say its first word.
const START: Duration = Duration::from_secs(20);

/// `sockbench ARGS`, started. It dies with the calling thread.
pub(crate) fn start(args: &[&str]) -> Child {
    let mut command = Command::new(SOCKBENCH);
    command.args(args);
    Child::start(command, Stderr::Keep).unwrap()
}

/// `sockbench server --listen LISTEN FLAGS`, listening; and its URL. Its stderr is among the lines of its stdout.
pub(crate) fn server(listen: &str, flags: &[&str]) -> (Child, String) {
    let small = ["--io-workers", "4", "--cpu-workers", "1", "--cpu-iterations", "1"];
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" server \"$@\" 2>&1", SOCKBENCH, "--listen", listen]).args(small).args(flags);
    let mut child = Child::start(command, Stderr::Keep).unwrap();
    loop {
        let line = child.read_line(START).unwrap_or_else(|e| panic!("server {flags:?}: {e}"));
        if let Some(url) = line.strip_prefix("listening on ") {
            return (child, url.trim().to_owned());
        }
    }
}

/// The lines that it printed from now to its end.
pub(crate) fn last_lines(mut child: Child, patience: Duration) -> Vec<String> {
    let status = child.wait(patience).unwrap();
    assert!(status.is_some_and(|s| s.success()), "it ends well: {status:?}");
    let mut lines = Vec::new();
    while let Ok(line) = child.read_line(Duration::from_secs(5)) {
        lines.push(line);
    }
    lines
}

/// `sockbench load ARGS --json -`, started: [`result`] waits for it.
pub(crate) fn start_load(args: &[&str]) -> Child {
    start(&[&["load", "--quiet", "--json", "-"], args].concat())
}

/// The document that a load prints at its end.
///
/// # Panics
/// When it takes longer than `patience`, or ends badly.
pub(crate) fn result(load: Child, patience: Duration) -> RunResult {
    result_with_code(load, 0, patience)
}

/// The same of a load that ends with exit code `code`: 3 where the target went away.
pub(crate) fn result_with_code(mut load: Child, code: i32, patience: Duration) -> RunResult {
    let clock = Clock::start();
    let mut text = String::new();
    loop {
        let left = patience.saturating_sub(Duration::from_nanos(clock.now().0));
        match load.read_line(left) {
            Ok(line) => text += &line,
            Err(ChildError::Ended { .. }) => break,
            Err(e) => panic!("load: {e} after {patience:?}"),
        }
    }
    let status = load.wait(Duration::from_secs(1)).unwrap();
    assert_eq!(status.and_then(|s| s.code()), Some(code), "load: {:?}", load.complaint());
    crate::documents::parse("run", &text)
}

/// A whole load run. See [`result`].
pub(crate) fn load(args: &[&str], patience: Duration) -> RunResult {
    result(start_load(args), patience)
}
