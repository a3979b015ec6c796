//! Running things in a private network namespace, from tests. The code is the program's own: `sockbench sandbox`.
#![allow(
    dead_code,
    unused_macros,
    unused_imports,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "each test binary uses its part; tests unwrap and print what they measured"
)]

use std::process::{Command, Output};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::loud;

/// The program under test.
pub(crate) const SOCKBENCH: &str = env!("CARGO_BIN_EXE_sockbench");
/// Names the test that runs again, and the part of it that it is to do.
const INSIDE: &str = "SOCKBENCH_TEST_INSIDE";
/// Precedes a document on the standard output of such a run.
const RESULT: &str = "RESULT ";

/// The path of the calling test within its binary, as `--exact` takes it.
macro_rules! here {
    () => {{
        fn here() {}
        crate::support::path_of_test(std::any::type_name_of_val(&here))
    }};
}
pub(crate) use here;

/// `module::test` of `live::module::test::here`.
pub(crate) fn path_of_test(inner: &'static str) -> &'static str {
    let path = inner.strip_suffix("::here").unwrap_or(inner);
    path.split_once("::").map_or(path, |(_, rest)| rest)
}

/// Runs the calling test again, alone, in a private namespace with `options` (`--sysctl`, `--address`); `name` is
/// [`here!`]. True: this is the run inside, do the test. False: it was run (and passed) or skipped.
///
/// # Panics
/// When the run inside failed.
pub(crate) fn inside(name: &str, options: &[&str]) -> bool {
    if part(name).is_some() {
        return true;
    }
    match again(name, options, "") {
        Ok(out) => println!("{}{}", text(&out.stdout), text(&out.stderr)),
        Err(why) => loud::skipped(why),
    }
    false
}

/// What the calling test is to do where [`again`] started it; none in the run that `cargo test` started.
pub(crate) fn part(name: &str) -> Option<String> {
    let inside = std::env::var(INSIDE).ok()?;
    inside.strip_prefix(name)?.strip_prefix('=').map(str::to_owned)
}

/// Runs the test `name` again, alone, in a private namespace with `options`, where [`part`] gives it `part`.
///
/// Errors: why this kernel or system cannot make such a namespace.
///
/// # Panics
/// When the run inside failed.
pub(crate) fn again(name: &str, options: &[&str], part: &str) -> Result<Output, String> {
    if let Some(why) = refused(options) {
        return Err(why);
    }
    let this = std::env::current_exe().unwrap();
    let mut command = sandbox(options, &[this.to_str().unwrap(), "--exact", name, "--nocapture", "--test-threads=1"]);
    let out = command.env(INSIDE, format!("{name}={part}")).output().unwrap();
    let shown = text(&out.stdout);
    // Without a result and a count the run did something else: a name that no test has passes too.
    let ran = shown.contains("1 passed") || shown.contains(RESULT);
    assert!(out.status.success() && ran, "{name} {part} inside the namespace: {}", describe(&out));
    text(&out.stderr).lines().filter(|l| l.starts_with(loud::SKIPPED)).for_each(loud::pass_on);
    Ok(out)
}

/// Gives `document` to the run that started this one by [`again`].
pub(crate) fn hand_over(document: &impl Serialize) {
    println!("{RESULT}{}", serde_json::to_string(document).unwrap());
}

/// What the run inside gave by [`hand_over`].
pub(crate) fn handed_over<T: DeserializeOwned>(out: &Output) -> T {
    let shown = text(&out.stdout);
    let line = shown.split_once(RESULT).and_then(|(_, rest)| rest.lines().next());
    let line = line.unwrap_or_else(|| panic!("no result: {}", describe(out)));
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
}

/// `sockbench sandbox OPTIONS -- COMMAND`.
pub(crate) fn sandbox(options: &[&str], command: &[&str]) -> Command {
    let mut c = Command::new(SOCKBENCH);
    c.arg("sandbox").args(options).arg("--").args(command);
    c
}

/// Whether private namespaces can be made here; says the reason where not.
///
/// # Panics
/// When `sockbench sandbox` fails in another way than by the kernel's refusal: that is a defect, not a reason to skip.
pub(crate) fn namespaces_work() -> bool {
    let why = refused(&[]);
    why.iter().for_each(loud::skipped);
    why.is_none()
}

/// Why this kernel or system cannot make a namespace with `options`.
///
/// # Panics
/// See [`namespaces_work`].
pub(crate) fn refused(options: &[&str]) -> Option<String> {
    refusal(&sandbox(options, &["true"]).output().unwrap())
}

/// Why this kernel or system cannot make the namespace that `out` is the trial of (`sockbench sandbox ... -- true`).
///
/// # Panics
/// See [`namespaces_work`].
pub(crate) fn refusal(out: &Output) -> Option<String> {
    if out.status.success() {
        return None;
    }
    let why = text(&out.stderr).trim().to_owned();
    let forbidden = why.contains("private namespaces are forbidden here");
    let by_kernel = forbidden || why.contains("this kernel has no such setting");
    assert!(out.status.code() == Some(3) && by_kernel, "sockbench sandbox is broken: {}", describe(out));
    // An independent witness, where util-linux is installed.
    let witness = Command::new("unshare").args(["--user", "--map-root-user", "--net", "true"]).output();
    assert!(!(forbidden && witness.is_ok_and(|o| o.status.success())), "unshare(1) can, sockbench cannot: {why}");
    Some(why)
}

/// Bytes as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Messages on stderr, a line for each: their further lines begin under their words.
pub(crate) fn messages(out: &Output) -> String {
    text(&out.stderr).replace("\n  ", " ")
}

/// One line for an assertion message.
pub(crate) fn describe(out: &Output) -> String {
    format!("{}\nstdout: {}\nstderr: {}", out.status, text(&out.stdout), text(&out.stderr))
}

/// Leaves `ports` with a TIME_WAIT each towards `listener`, which must be blocking: connected, accepted, closed by
/// the client first.
pub(crate) fn leave_time_wait(listener: &std::net::TcpListener, ports: std::ops::RangeInclusive<u16>) {
    use sockbench::testing::model::{Body, PortMode};
    use sockbench::testing::sys::{Clock, socket};
    let dest = listener.local_addr().unwrap();
    let clock = Clock::start();
    for port in ports {
        let spec = socket::ConnectSpec {
            port_mode: PortMode::Ring,
            port: Some(port),
            local: Some(dest.ip()),
            reuse_addr: true,
            ..Default::default()
        };
        let client = socket::connect(&spec, dest, &clock).unwrap();
        let (server, _) = listener.accept().unwrap();
        drop(client);
        drop(server);
    }
}

/// A plan of short connections towards `addr`, the client closing first.
pub(crate) fn short_plan(addr: std::net::SocketAddr) -> sockbench::testing::model::LoadPlan {
    use std::time::Duration;

    use sockbench::testing::model::{LoadPlan, MixEntry, Target};
    let target = Target { url: format!("http://{addr}/"), ..Target::at(addr) };
    let mix = vec![MixEntry { path: "/".into(), weight: 1 }];
    let (duration, timeout) = (Duration::from_secs(3), Duration::from_secs(10));
    LoadPlan { users: 1, duration, timeout, keepalive: false, ..LoadPlan::new(target, mix) }
}

/// A result of `plan` with `seconds` points, as the counting part leaves it.
pub(crate) fn counted(
    plan: &sockbench::testing::model::LoadPlan,
    seconds: u32,
    opened: u64,
) -> sockbench::testing::model::RunResult {
    use sockbench::testing::model::{RunResult, SeriesPoint};
    let (host, unreadable) = sockbench::testing::sys::read_host();
    let mut result = RunResult::new(plan.clone(), "load".into(), "2026-01-01T00:00:00Z".into(), host);
    for (key, reason) in unreadable {
        result.explain_null(&key, reason);
    }
    result.duration_s = f64::from(seconds);
    result.totals.connections_opened = opened;
    result.series = (1..=seconds).map(|s| SeriesPoint { t_s: f64::from(s), ..SeriesPoint::default() }).collect();
    result
}

/// Keys that the observation must fill or explain, and did not.
pub(crate) fn observed_nulls(result: &sockbench::testing::model::RunResult) -> Vec<String> {
    let counted = |k: &String| {
        ["totals.", "series[].p50", "series[].p95", "series[].connect", "resources.client.lateness"]
            .iter()
            .any(|c| k.starts_with(c))
            || k.starts_with("plan.")
    };
    result.unexplained_nulls().into_iter().filter(|k| !counted(k)).collect()
}
