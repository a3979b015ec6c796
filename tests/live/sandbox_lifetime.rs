//! `sockbench sandbox`: who may use it, and that nothing outlives its parent.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::support::{SOCKBENCH, describe, namespaces_work, text};
use crate::until::until;

fn lives(pid: &str) -> bool {
    // A zombie (its reaper is busy) is dead for our purpose.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z"))
}

#[test]
fn sigkill_of_the_parent_ends_the_namespace() {
    if !namespaces_work() {
        return;
    }
    // sh is the parent that gets killed; the sandbox and the sandbox inside the sandbox are its children.
    let script = format!(
        "SOCKBENCH_PARENT=$$ {SOCKBENCH} sandbox -- sh -c 'echo $$; SOCKBENCH_PARENT=$$ {SOCKBENCH} sandbox -- \
         sh -c \"echo \\$\\$; exec sleep 60\" & wait' & wait"
    );
    let mut parent = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let outer = lines.next().unwrap().unwrap();
    let inner = lines.next().unwrap().unwrap();
    assert!(lives(&outer) && lives(&inner));
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_ne!(namespace(&outer), namespace("self"));
    assert_ne!(namespace(&outer), namespace(&inner));
    parent.kill().unwrap();
    parent.wait().unwrap();
    until(&format!("outer {outer} and inner {inner} end with their parent"), || !lives(&outer) && !lives(&inner));
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    if !namespaces_work() {
        return;
    }
    for kill in [true, false] {
        // Two sleeps in the background; the command waits for them, or ends at once.
        let last = if kill { "wait" } else { "true" };
        let script = format!("sleep 61 & a=$!; sleep 62 & echo $$ $a $!; {last}");
        let mut child = Command::new(SOCKBENCH)
            .args(["sandbox", "--", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pids: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(pids.len(), 3, "{line}");
        assert_eq!(pids[0], child.id().to_string(), "the command is the process that was started");
        if kill {
            assert!(pids.iter().all(|pid| lives(pid)));
            child.kill().unwrap();
        }
        child.wait().unwrap();
        until(&format!("{line} end with the command (killed: {kill})"), || !pids.iter().any(|pid| lives(pid)));
    }
}

#[test]
fn what_is_left_behind_is_asked_once_before_it_is_killed() {
    if !namespaces_work() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let said = dir.path().join("said");
    let stubborn = format!("trap 'echo asked >> {0}' TERM; echo up > {0}; while :; do sleep 0.05; done", said.display());
    let script = format!("sh -c \"{stubborn}\" >/dev/null & while [ ! -s {} ]; do sleep 0.01; done; echo $!", said.display());
    let out = Command::new(SOCKBENCH).args(["sandbox", "--", "sh", "-c", &script]).output().unwrap();
    assert!(out.status.success(), "{}", describe(&out));
    let pid = text(&out.stdout).trim().to_owned();
    until(&format!("{pid} ends with the grace"), || !lives(&pid));
    assert_eq!(std::fs::read_to_string(said).unwrap(), "up\nasked\n");
}

#[test]
fn a_child_whose_parent_is_gone_does_nothing() {
    let out = Command::new(SOCKBENCH).args(["sandbox", "--", "echo", "ran"]).env("SOCKBENCH_PARENT", "1").output().unwrap();
    assert_eq!(out.status.code(), Some(3), "{}", describe(&out));
    assert_eq!(text(&out.stdout), "");
}

#[test]
fn any_user_may() {
    if !namespaces_work() {
        return;
    }
    if text(&Command::new("id").arg("-u").output().unwrap().stdout).trim() != "0" {
        // Nothing is left out: all the other tests run as such a user then.
        return;
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        crate::loud::skipped("setpriv (util-linux) is not installed");
        return;
    }
    // nobody may not be able to reach the build directory.
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("sockbench");
    std::fs::copy(SOCKBENCH, &copy).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), mode).unwrap();
    let out = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"])
        .arg(&copy)
        .args(["sandbox", "--sysctl", "net.ipv4.tcp_tw_reuse=1", "--address", "10.1.2.3", "--", "sh", "-c"])
        .arg("id -u; cat /proc/self/uid_map /proc/sys/net/ipv4/tcp_tw_reuse; echo 0 > /proc/sys/net/ipv4/tcp_tw_reuse && echo writable")
        .current_dir("/")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", describe(&out));
    let words: Vec<String> = text(&out.stdout).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["0", "0", "65534", "1", "1", "writable"], "capabilities survive exec: {}", describe(&out));
}
