//! `sockbench load` and `study` as commands: what they say, keep and end with.

use std::fs::{self, File};
use std::process::{Command, Output};

use crate::support::messages;

/// A short run against sockbench's own server that is ready at once.
const SHORT: &[&str] =
    &["load", "-n", "20", "-c", "2", "--mix", "/health", "--server", "cpu-iterations=1", "--server", "io-workers=2"];

fn sockbench(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockbench"));
    command.args(args);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn last_lines(out: &Output) -> (String, String) {
    let err = messages(out);
    let mut lines = err.lines().rev().map(str::to_owned);
    let hint = lines.next().unwrap_or_default();
    (lines.next().unwrap_or_default(), hint)
}

#[test]
fn a_target_that_refuses_is_named_after_the_report() {
    let out = sockbench(&["load", "http://127.0.0.1:1/", "-n", "2", "-c", "1", "-q"]).output().unwrap();
    let (message, hint) = last_lines(&out);
    assert_eq!(out.status.code(), Some(3));
    assert!(message.contains("connect 127.0.0.1:1: connection refused (ECONNREFUSED)"), "{message}");
    assert!(hint.starts_with("hint: ") && text(&out.stdout).contains("ECONNREFUSED"), "{hint}");
}

/// Whatever the status is, and where it is one of several destinations; one answer below 400 is enough.
#[test]
fn a_run_without_one_good_answer_does_not_end_with_0() {
    let (_server, url) = crate::runs::server("127.0.0.1:0", &[]);
    let code = |args: &[&str]| {
        let out = sockbench(&["load", "-n", "4", "-c", "2", "-q"]).args(args).output().unwrap();
        out.status.code()
    };
    let (missing, found) =
        (format!("{}/nothing-here", url.trim_end_matches('/')), format!("{}/health", url.trim_end_matches('/')));
    assert_eq!(code(&[&missing]), Some(1));
    assert_eq!(code(&[&found]), Some(0));
    assert_eq!(code(&[&found, &missing]), Some(0), "paths of one destination");
    // The program never accepts: the kernel makes the connections, and nothing is answered.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/", listener.local_addr().unwrap());
    assert_eq!(code(&[&silent, "--timeout", "100ms"]), Some(1));
}

/// A run that is over before its first look too, where its page shows the target.
#[test]
fn one_request_names_the_process_of_a_local_target() {
    let (server, url) = crate::runs::server("127.0.0.1:0", &[]);
    let asked = format!("{}/health", url.trim_end_matches('/'));
    let out = sockbench(&["load", &asked, "-n", "1", "-v", "-q"]).output().unwrap();
    let page = text(&out.stdout);
    let named = format!("sockbench (pid {})", server.pid());
    assert!(page.contains(&named), "{named}: {page}");
    assert!(!page.contains("before its process was looked for"), "{page}");
}

#[test]
fn fewer_connections_before_the_start_than_asked_for_are_said() {
    let said = |preconnect: &str| {
        let flags = ["-R", "100", "--preconnect", preconnect];
        let out = sockbench(SHORT).args(flags).output().unwrap();
        assert_eq!(out.status.code(), Some(0));
        messages(&out)
    };
    let warning = "warning: --preconnect 5: only 2 connections are opened, as many as -c 2 allows";
    assert!(said("5").contains(warning), "{}", said("5"));
    assert!(!said("2").contains("--preconnect 2:"), "{}", said("2"));
}

#[test]
fn a_stderr_that_takes_nothing_ends_no_run() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let out = sockbench(SHORT).stderr(full).output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    assert!(text(&out.stdout).contains("/health"), "{}", text(&out.stdout));
}

#[test]
fn the_page_of_stdout_is_kept_beside_the_documents() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str], name: &str| {
        let to = dir.path().join(name);
        let out = sockbench(args).args(["-q", "-o", to.to_str().unwrap()]).env("NO_COLOR", "1").output().unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        assert_eq!(fs::read_to_string(to.join("report.txt")).unwrap(), text(&out.stdout), "{name}");
    };
    // The page of stdout is short; the whole of it is kept.
    run(&[SHORT, &["-v"]].concat(), "load");
    let plan = dir.path().join("plan.toml");
    fs::write(&plan, "name = 'one'\nmix = '/health'\n[server]\ncpu-iterations = 1\n[[step]]\nusers = 1\nduration = '300ms'\n")
        .unwrap();
    run(&["study", "--verbose", plan.to_str().unwrap()], "study");
}

/// A run that a closing terminal ends: twice, as the shell and the kernel do it.
#[test]
fn a_hangup_keeps_the_results_and_says_that_the_run_was_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let (_server, url) = crate::runs::server("127.0.0.1:0", &[]);
    let args = ["load", &url, "-c", "2", "--think", "5ms", "-d", "30s", "-q", "-o"];
    let mut child = sockbench(&args).arg(&kept).stdout(std::process::Stdio::null()).spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    sockbench::testing::sys::sleep(std::time::Duration::from_millis(1300));
    for _ in 0..2 {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(129));
    let run: serde_json::Value = crate::documents::parse_bytes("run", &fs::read(kept.join("run.json")).unwrap());
    assert!(run["totals"]["requests"].as_u64().unwrap() > 50 && run["duration_s"].as_f64().unwrap() < 20.0, "{}", run["totals"]);
    assert_eq!(run["validity"]["stamp"], "incomplete");
    assert!(run["validity"]["reasons"].to_string().contains("stopped before its planned end"), "{}", run["validity"]);
    assert!(kept.join("report.txt").exists() && kept.join("run.hlog").exists());
}

/// `nohup sockbench load`: the hangup that was ignored before it began stays ignored.
#[test]
fn a_hangup_that_nohup_ignores_does_not_end_the_run() {
    let (_server, url) = crate::runs::server("127.0.0.1:0", &[]);
    let url = format!("{}/health", url.trim_end_matches('/'));
    let load = [env!("CARGO_BIN_EXE_sockbench"), "load", &url, "-c", "1", "--think", "5ms", "-d", "2s", "-q", "--json", "-"];
    let child = Command::new("nohup").args(load).stderr(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).spawn();
    let Ok(child) = child else {
        crate::loud::skipped("nohup(1) is not installed");
        return;
    };
    sockbench::testing::sys::sleep(std::time::Duration::from_millis(1000));
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    let run: serde_json::Value = crate::documents::parse_bytes("run", &out.stdout);
    assert!((run["duration_s"].as_f64().unwrap() - 2.0).abs() < 0.1, "{}", run["duration_s"]);
}

/// A call on a descriptor costs less where one thread has the table; ss(8) and lsof(8) read the first thread's. It keeps the name of
/// the program, which pgrep(1) looks for, and is the load thread of the result.
#[test]
fn the_first_thread_alone_holds_the_connections_of_a_single_load_thread() {
    let (_server, url) = crate::runs::server("127.0.0.1:0", &[]);
    let load = ["load", &url, "-c", "3", "--think", "5ms", "-d", "2s", "-q", "--json", "-", "--live", "127.0.0.1:0"];
    let child = Command::new(env!("CARGO_BIN_EXE_sockbench")).args(load).stdout(std::process::Stdio::piped()).spawn().unwrap();
    sockbench::testing::sys::sleep(std::time::Duration::from_millis(1000));
    let comm = fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap();
    let tables = crate::tables::of_first_and_another(child.id());
    let out = child.wait_with_output().unwrap();
    let run: serde_json::Value = crate::documents::parse_bytes("run", &out.stdout);
    let threads = run["resources"]["client"]["threads"].as_array().unwrap();
    assert_eq!((comm.trim(), threads.iter().filter(|t| t["name"] == "load-0").count()), ("sockbench", 1), "{threads:?}");
    let Some((first, other)) = tables else { return };
    let only: Vec<&String> = first.iter().filter(|n| !other.contains(n)).collect();
    assert_eq!(only.iter().filter(|n| n.starts_with("socket:")).count(), 3, "{first:?}, {other:?}");
}

/// timeout(1) signals its command and then the whole group: the result is kept all the same.
#[test]
fn two_signals_at_once_are_one_wish() {
    let (_server, url) = crate::runs::server("127.0.0.1:0", &[]);
    let load = ["load", &url, "-c", "2", "--think", "5ms", "-d", "20s", "-q", "--json", "-"];
    let child = Command::new(env!("CARGO_BIN_EXE_sockbench")).args(load).stdout(std::process::Stdio::piped()).spawn().unwrap();
    sockbench::testing::sys::sleep(std::time::Duration::from_millis(1000));
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGINT, nix::sys::signal::Signal::SIGTERM] {
        nix::sys::signal::kill(pid, signal).unwrap();
    }
    let out = child.wait_with_output().unwrap();
    assert!(matches!(out.status.code(), Some(130 | 143)), "{:?}", out.status);
    let run: serde_json::Value = crate::documents::parse_bytes("run", &out.stdout);
    assert_eq!(run["validity"]["stamp"], "incomplete");
}
