//! A skip that is seen. What a passing test prints is captured and thrown away; the standard error itself is not.

use std::fmt::Display;
use std::io::Write as _;

/// Says why the calling test, or a part of it, is not run here.
pub(crate) fn skipped(why: impl Display) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    pass_on(&format!("SKIPPED {test}: {why}"));
}

/// A line of the kind that [`skipped`] writes, from a run of the test elsewhere.
pub(crate) fn pass_on(line: &str) {
    // In one write: tests run beside each other.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
