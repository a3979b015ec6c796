//! A skip that is seen. What a passing test prints is captured and thrown away; the standard error itself is not.

use std::fmt::Display;
use std::io::Write as _;

/// Precedes the reason of a skip.
pub(crate) const SKIPPED: &str = "SKIPPED ";
/// Set where everything must run: a skip is a failure then.
const NO_SKIP: &str = "SOCKBENCH_NO_SKIP";

/// Says why the calling test, or a part of it, is not run here.
///
/// # Panics
/// Where `SOCKBENCH_NO_SKIP` is set.
pub(crate) fn skipped(why: impl Display) {
    assert!(std::env::var_os(NO_SKIP).is_none(), "{NO_SKIP} is set, but this is to be skipped: {why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    pass_on(&format!("{SKIPPED}{test}: {why}"));
}

/// A line on the standard error, in one write: tests run beside each other.
pub(crate) fn pass_on(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
