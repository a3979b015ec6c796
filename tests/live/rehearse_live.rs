//! The whole rehearsal as an unprivileged user: it ends by itself, every row comes to its prediction within 10 %, and
//! the host's settings and sockets are what they were before.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support;
use sockbench::testing::model::{Effect, Rehearsal};

const SETTINGS: [&str; 5] =
    ["ip_local_port_range", "tcp_tw_reuse", "tcp_max_tw_buckets", "tcp_fin_timeout", "ip_local_reserved_ports"];

fn settings() -> Vec<Option<String>> {
    SETTINGS.iter().map(|k| fs::read_to_string(format!("/proc/sys/net/ipv4/{k}")).ok()).collect()
}

/// Our program as nobody where this test is root (the binary copied where nobody can read it), as ourselves else.
fn unprivileged(dir: &Path) -> Command {
    let copy = dir.join("sockbench");
    // Once: it cannot be written while it runs, and a keeper may still be at its end.
    if !copy.exists() {
        fs::copy(env!("CARGO_BIN_EXE_sockbench"), &copy).expect("the binary can be copied");
    }
    for path in [dir, &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    let is_root = nix::unistd::geteuid().is_root();
    if is_root && Command::new("setpriv").arg("--version").output().is_ok_and(|o| o.status.success()) {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
        return command;
    }
    crate::loud::pass_on("the rehearsal runs as the present user: not root, or no setpriv");
    Command::new(copy)
}

#[test]
fn every_remedy_comes_to_its_prediction_and_the_host_is_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("state");
    fs::create_dir(&state).expect("it is ours");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let forbidden = unprivileged(dir.path()).args(["sandbox", "--", "true"]).output().expect("it starts");
    if let Some(why) = support::refusal(&forbidden) {
        crate::loud::skipped(why);
        return;
    }
    let before = settings();
    let out =
        unprivileged(dir.path()).args(["rehearse", "--json", "-"]).env("XDG_STATE_HOME", &state).output().expect("it starts");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(settings(), before, "the host's settings are what they were");
    let rehearsal: Rehearsal = crate::documents::parse_bytes("rehearsal", &out.stdout);
    let ran: Vec<_> = rehearsal.rows.iter().chain([&rehearsal.baseline]).filter(|r| r.verdict != Effect::NotRun).collect();
    assert!(ran.len() >= 17, "{:?}", rehearsal.rows.iter().map(|r| (&r.remedy, &r.reason)).collect::<Vec<_>>());
    for row in ran {
        let made = row.made.expect("a row that ran") as f64;
        let predicted = row.predicted.expect("a row that ran has a model") as f64;
        let off = (made / predicted - 1.0).abs();
        assert!(off <= 0.1, "{}: {made} made, {predicted} predicted, {:?}", row.remedy, row.errors);
    }
    for folklore in ["fin-timeout", "reuse-addr-alone", "reuse-addr-late", "tw-reuse-burst"] {
        let row = rehearsal.rows.iter().find(|r| r.remedy == folklore).expect("a row of the table");
        assert_eq!(row.verdict, Effect::NoEffect, "{folklore}");
    }
    let accident = rehearsal.accident.expect("it was run");
    let (predicted, measured) = (&accident.predicted, &accident.measured);
    assert!((measured.failures as f64 / predicted.failures as f64 - 1.0).abs() <= 0.1, "{measured:?}");
    assert!(measured.echo_s.len() >= 2, "two echoes: {measured:?}");
    assert!(state.join("sockbench/rehearsal.json").exists(), "kept for later findings");
}
