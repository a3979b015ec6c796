//! Around a watched command: the terminal that it has, a process that runs already, another namespace, another user; and what
//! is watched all the time for Prometheus.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::{Winsize, openpty};
use rustix::termios::tcsetwinsize;
use serde_json::Value;

use crate::support::{SOCKBENCH, describe, messages, namespaces_work, sandbox, text};
use crate::until::until;
use crate::watch_command::{document, lives, watch};
use crate::{documents, followers, loud};

/// Signals by their number.
fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

/// A command on a terminal of its own, and what comes out there.
fn on_terminal(command: &mut Command) -> (Child, BufReader<File>) {
    // A command that another test starts meanwhile inherits neither end.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let size = Winsize { ws_row: 33, ws_col: 111, ws_xpixel: 0, ws_ypixel: 0 };
    let pair = openpty(Some(&size), None).unwrap();
    for end in [&pair.master, &pair.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
    }
    let theirs = || Stdio::from(pair.slave.try_clone().unwrap());
    let child = command.stdin(Stdio::null()).stdout(theirs()).stderr(theirs()).spawn().unwrap();
    // The command keeps its end in its own description: it must be dropped, or the terminal never ends.
    *command = Command::new("true");
    (child, BufReader::new(File::from(pair.master)))
}

fn line(from: &mut BufReader<File>) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn a_command_at_a_terminal_has_one_of_the_same_size_whatever_becomes_of_it() {
    let script = "trap 'stty size <&1' WINCH; test -t 2 && stty size <&1; until test -e \"$0\"; do sleep 0.05; done";
    let over = tempfile::tempdir().unwrap();
    let over = over.path().join("over");
    let mut command = watch(&["-q"], &["sh", "-c", script, over.to_str().unwrap()]);
    let (mut child, mut terminal) = on_terminal(command.env_remove("NO_COLOR").env_remove("CI").env("TERM", "xterm"));
    assert_eq!(line(&mut terminal), "33 111");
    let size = rustix::termios::Winsize { ws_row: 20, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal.get_ref(), size).unwrap();
    // This process is in no session of that terminal, so the kernel says nothing.
    signal("WINCH", child.id());
    assert_eq!(line(&mut terminal), "20 60");
    std::fs::write(&over, "").unwrap();
    let report = line(&mut terminal);
    assert!(report.starts_with("\u{1b}[33mUNDECIDED: "), "in colour: {report:?}");
    child.wait().unwrap();
}

#[test]
fn a_command_at_a_terminal_has_no_descriptor_more_than_without_us() {
    let script = ["sh", "-c", "ls /proc/self/fd | tr '\\n' ' '; echo"];
    let (mut plain, mut terminal) = on_terminal(Command::new(script[0]).args(&script[1..]));
    let without = line(&mut terminal);
    plain.wait().unwrap();
    let (mut child, mut terminal) = on_terminal(&mut watch(&["-q"], &script));
    assert_eq!(line(&mut terminal), without);
    until("the watch ends", || child.try_wait().unwrap().is_some());
}

/// Runs its arguments as the foreground of a terminal of their own, and types Ctrl-C there when they have said `ready`.
const CTRL_C: &str = r"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
said, typed = b'', False
while True:
    try: some = os.read(terminal, 4096)
    except OSError: break
    said += some
    if b'ready' in said and not typed: typed = bool(os.write(terminal, b'\x03'))
print(said.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn ctrl_c_reaches_the_command_once_and_its_report_follows() {
    let script =
        "trap 'echo got; n=$((n + 1))' INT; echo ready; until test \"$n\"; do sleep 0.05; done; sleep 0.3; exit $((4 + n))";
    let out = Command::new("python3")
        .args(["-c", CTRL_C, SOCKBENCH, "watch", "-q", "--", "sh", "-c", script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = text(&out.stdout);
    assert_eq!((out.status.code(), said.matches("got").count() - 1), (Some(5), 1), "the words in the report aside: {said}");
    assert!(said.contains("exit code 5"), "{said}");
}

/// A terminal, or a pipe, that another process of the same description has made non-blocking.
#[test]
fn output_to_a_stream_that_does_not_block_comes_whole() {
    let (mut from, to) = std::io::pipe().unwrap();
    fcntl(&to, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut command = watch(&["-q"], &["head", "-c", "500000", "/dev/zero"]);
    let mut child = command.stdout(to).stderr(Stdio::null()).spawn().unwrap();
    // It keeps its end of the pipe, which would never end.
    drop(command);
    // It is full by then.
    until("nothing more fits", || std::fs::read_to_string(format!("/proc/{}/stat", child.id())).is_ok_and(|s| s.contains(") S")));
    let mut all = Vec::new();
    from.read_to_end(&mut all).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(all.len(), 500_000);
}

/// `watch --pid PID OPTIONS`, for so long; with the document that it wrote.
fn attached(pid: u32, options: &[&str]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("watch.json");
    let mut c = Command::new(SOCKBENCH);
    c.args(["watch", "--pid", &pid.to_string(), "--json", file.to_str().unwrap()]).args(options).stdin(Stdio::null());
    let out = c.output().unwrap();
    assert!(out.status.success(), "{}", describe(&out));
    documents::parse("watch", &std::fs::read_to_string(&file).unwrap())
}

#[test]
fn a_process_that_runs_already_runs_on_when_the_time_of_the_watch_is_over() {
    let mut watched = Command::new("sleep").arg("64").spawn().unwrap();
    let d = attached(watched.id(), &["-d", "300ms"]);
    assert_eq!(d["watched"]["ended"], false);
    assert!(lives(&watched.id().to_string()));
    assert_eq!((d["watched"]["exit_code"].clone(), d["processes"]["left"].clone()), (Value::Null, 0.into()), "{d}");
    watched.kill().unwrap();
    watched.wait().unwrap();
}

#[test]
fn who_starts_the_watch_is_watched_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("watch.json");
    let script = "\"$0\" watch --pid $$ -d 300ms --json \"$1\"; exit $?";
    let out = Command::new("sh").args(["-c", script, SOCKBENCH, file.to_str().unwrap()]).output().unwrap();
    assert!(out.status.success(), "{}", describe(&out));
    let d: Value = documents::parse("watch", &std::fs::read_to_string(&file).unwrap());
    assert_eq!(d["processes"]["count_max"], 1, "the shell alone: {d}");
}

/// A server and a client in one, 50 connections a second that the client closes first, and one that stays open.
const INSIDE: &str = r"
import socket, threading, time
s = socket.socket(); s.bind(('127.0.0.1', 7070)); s.listen(99)
def serve():
    while True:
        c, _ = s.accept()
        threading.Thread(target=lambda: (c.recv(1), c.close()), daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
kept = socket.create_connection(('127.0.0.1', 7070))
print('ready', flush=True)
for _ in range(1000):
    c = socket.create_connection(('127.0.0.1', 7070)); c.shutdown(socket.SHUT_WR); c.recv(1); c.close(); time.sleep(0.02)
";

#[test]
fn a_process_in_another_namespace_is_looked_at_there() {
    if !namespaces_work() {
        return;
    }
    let settings = ["--sysctl", "net.ipv4.ip_local_port_range=30000 30999", "--sysctl", "net.ipv4.tcp_tw_reuse=0"];
    let mut contained = sandbox(&settings, &["python3", "-c", INSIDE]).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(contained.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    let d = attached(contained.id(), &["-d", "1500ms"]);
    contained.kill().unwrap();
    contained.wait().unwrap();
    let dest = &d["destinations"][0];
    assert_eq!((dest["destination"].as_str(), dest["by"].as_str()), (Some("127.0.0.1:7070"), Some("socket")), "{d}");
    assert_eq!(dest["pool"], 1000, "its range, not this host's: {dest}");
    assert!(dest["closed_by_client"].as_u64().unwrap() > 0, "{dest}");
    assert_eq!(d["host"]["sysctls"]["tcp_tw_reuse"], 0, "{}", d["host"]);
}

#[test]
fn a_command_that_becomes_another_user_is_followed() {
    let command = ["setpriv", "--reuid", "65534", "--clear-groups", "sh", "-c", "id -u; sleep 0.6; exit 4"];
    let can = Command::new(command[0]).args(&command[1..5]).arg("-c").arg("exit 0").status();
    if !can.is_ok_and(|status| status.success()) {
        return loud::skipped("another user needs root, and setpriv");
    }
    let (out, d) = document(&[], &command);
    assert_eq!((out.status.code(), text(&out.stdout).trim()), (Some(4), "65534"), "{}", describe(&out));
    assert!(d["processes"]["count_max"].as_u64() >= Some(1) && d["processes"]["left"] == 0, "{d}");
}

#[test]
fn a_command_that_is_not_read_is_said_to_be() {
    let (out, d) = document(&["--no-read"], &["sh", "-c", "echo 'connect: Cannot assign requested address' >&2"]);
    assert_eq!((d["output"]["read"].clone(), d["output"]["readings"].clone()), (false.into(), Value::Array(vec![])));
    assert!(text(&out.stderr).contains("output    not read"), "{}", describe(&out));
}

#[test]
fn what_watching_cannot_find_is_no_reason_to_fail() {
    let out = watch(&["--fail-on", "target-hangs"], &["true"]).output().unwrap();
    let err = messages(&out);
    assert!(out.status.code() == Some(2) && err.contains("nothing that watching can find"), "{}", describe(&out));
    assert!(err.contains("local-ports-exhausted") && !err.contains("FINDINGS.md"), "{err}");
}

#[test]
fn ports_are_served_to_prometheus_and_to_people() {
    let mut child = Command::new(SOCKBENCH)
        .args(["ports", "--serve", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let addr = said.split_once("http://").unwrap().1.split('/').next().unwrap().to_owned();
    // Who says nothing, and who asks a byte at a time, hold nobody.
    let _silent = TcpStream::connect(&addr).unwrap();
    let mut slow = TcpStream::connect(&addr).unwrap();
    slow.write_all(b"G").unwrap();
    let get = |path: &str| {
        let mut to = TcpStream::connect(&addr).unwrap();
        to.write_all(format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes()).unwrap();
        let mut all = String::new();
        to.read_to_string(&mut all).unwrap();
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
    };
    let (status, page) = get("/");
    assert!(status == "200" && page.contains("<a href=\"metrics\">"), "{status} {page}");
    assert_eq!([get("/events").0, get("/x").0], ["404", "404"]);
    let (status, metrics) = get("/metrics");
    assert_eq!(status, "200");
    for name in ["sockbench_ephemeral_port_pool ", "sockbench_ephemeral_ports{", "sockbench_listen_queue_connections{"] {
        assert!(metrics.lines().any(|l| l.starts_with(name)), "{name}: {metrics}");
    }
    followers::promtool(&metrics);
    signal("TERM", child.id());
    until("it ends", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(143));
}
