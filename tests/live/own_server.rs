//! sockbench's own server, a child of the load, killed or stopped by somebody else in mid-run.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use sockbench::testing::sys::{read_tree, read_usage};
use std::process::{Child, Command, Stdio};

use crate::documents;
use crate::support::{SOCKBENCH, text};
use crate::until::until;

/// CPU of a server that has answered some dozens of requests.
const ANSWERED_CPU_S: f64 = 0.005;

/// A load of `duration` on its own server, which gets `signal` once it has answered for a while. Exit code, run, what was said.
fn struck(signal: Signal, duration: &str) -> (Option<i32>, Value, String) {
    let mut load = Command::new(SOCKBENCH);
    load.args(["load", "--mix", "/health", "-c", "2", "--think", "10ms", "-q", "--json", "-", "-d", duration]);
    let load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let server = server_of(&load);
    // By its own CPU time: some dozens of answers, so that there is a rate before the signal.
    let before = read_usage(server).unwrap().cpu_s;
    until("the server has answered for a while", || read_usage(server).unwrap().cpu_s > before + ANSWERED_CPU_S);
    kill(Pid::from_raw(server.cast_signed()), signal).unwrap();
    let out = load.wait_with_output().unwrap();
    (out.status.code(), documents::parse_bytes("run", &out.stdout), text(&out.stderr))
}

/// Its server, once the load goes on.
fn server_of(load: &Child) -> u32 {
    let mut server = 0;
    until("the load has a connection to its server", || {
        let tree = read_tree(&[load.id()]).unwrap_or_default();
        server = tree.get(1).copied().unwrap_or(0);
        let fds = std::fs::read_dir(format!("/proc/{server}/fd"));
        let sockets = fds.map_or(0, |all| all.flatten().filter(|fd| is_socket(&fd.path())).count());
        // The listener, and a connection of each user.
        tree.len() == 2 && sockets >= 3
    });
    server
}

fn is_socket(fd: &std::path::Path) -> bool {
    std::fs::read_link(fd).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
}

fn finding(run: &Value, id: &str) -> Value {
    let all = run["findings"].as_array().unwrap();
    all.iter().find(|f| f["id"] == id).unwrap_or_else(|| panic!("no {id} in {all:?}")).clone()
}

#[test]
fn killed_it_is_gone_and_its_signal_is_named() {
    let (code, run, said) = struck(Signal::SIGKILL, "3s");
    assert_eq!(code, Some(3), "{said}");
    let gone = finding(&run, "target-gone");
    assert_eq!(gone["evidence"]["ended"], "signal: 9 (SIGKILL)", "{gone}");
    assert_eq!(run["resources"]["target"]["ended"], "signal: 9 (SIGKILL)");
    assert_ne!(run["validity"]["stamp"], "valid");
    assert!(said.contains("the target is gone"), "{said}");
}

/// The run ends in its time and says what stood still; the server is ended although it takes no signal while it is stopped.
#[test]
fn stopped_for_good_it_holds_nobody() {
    let (code, run, said) = struck(Signal::SIGSTOP, "4s");
    assert_eq!(code, Some(0), "{said}");
    let hangs = finding(&run, "target-hangs");
    assert!(hangs["title"].as_str().unwrap().ends_with("the target's process was stopped (SIGSTOP, a debugger)"), "{hangs}");
    assert!(run["resources"]["target"].get("ended").is_none());
    assert!(said.is_empty(), "it drained as any other: {said}");
}
