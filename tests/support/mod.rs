//! Running things in a private network namespace, from tests. The code is the programme's own: `sockbench sandbox`.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "each test file uses its part; tests unwrap and say what they skip"
)]

use std::process::{Command, Output};

/// The programme under test.
pub(crate) const SOCKBENCH: &str = env!("CARGO_BIN_EXE_sockbench");
const INSIDE: &str = "SOCKBENCH_TEST_INSIDE";

/// `sockbench sandbox OPTIONS -- COMMAND`.
pub(crate) fn sandbox(options: &[&str], command: &[&str]) -> Command {
    let mut c = Command::new(SOCKBENCH);
    c.arg("sandbox").args(options).arg("--").args(command);
    c
}

/// Whether private namespaces can be made here; prints the reason where not.
pub(crate) fn namespaces_work() -> bool {
    let out = sandbox(&[], &["true"]).output().unwrap();
    if !out.status.success() {
        println!("SKIPPED: {}", text(&out.stderr).trim());
    }
    out.status.success()
}

/// Runs the calling test again, alone, in a private namespace with `options` (`--sysctl`, `--address`); `name` is
/// the test's own name. True: this is the run inside, do the test. False: it was run (and passed) or skipped.
///
/// # Panics
/// When the run inside failed.
pub(crate) fn inside(name: &str, options: &[&str]) -> bool {
    if std::env::var(INSIDE).is_ok_and(|v| v == name) {
        return true;
    }
    if !namespaces_work() {
        return false;
    }
    let own = std::env::current_exe().unwrap();
    let mut c = sandbox(options, &[own.to_str().unwrap(), "--exact", name, "--nocapture", "--test-threads=1"]);
    let out = c.env(INSIDE, name).output().unwrap();
    println!("{}{}", text(&out.stdout), text(&out.stderr));
    assert!(out.status.success() && text(&out.stdout).contains("1 passed"), "inside the namespace: {}", out.status);
    false
}

/// Bytes as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One line for an assertion message.
pub(crate) fn describe(out: &Output) -> String {
    format!("{}\nstdout: {}\nstderr: {}", out.status, text(&out.stdout), text(&out.stderr))
}
