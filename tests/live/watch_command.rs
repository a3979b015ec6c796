//! `sockbench watch` as a command: exit codes, streams, what is left behind, and a pool that runs out before its eyes.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{SOCKBENCH, describe, here, inside, namespaces_work, text};
use crate::until::until;

pub(crate) fn watch(options: &[&str], command: &[&str]) -> Command {
    let mut c = Command::new(SOCKBENCH);
    c.arg("watch").args(options).arg("--").args(command).env("NO_COLOR", "1").stdin(Stdio::null());
    c
}

fn out(options: &[&str], command: &[&str]) -> Output {
    watch(options, command).output().unwrap()
}

/// With the document that it wrote.
pub(crate) fn document(options: &[&str], command: &[&str]) -> (Output, Value) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("watch.json");
    let out = out(&[options, &["--json", file.to_str().unwrap()]].concat(), command);
    let document =
        crate::documents::parse("watch", &std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("{}", describe(&out))));
    (out, document)
}

pub(crate) fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z"))
}

#[test]
fn exit_codes_are_the_commands_own() {
    for (command, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["no-such-program-anywhere"], 127),
        (&["/proc/version"], 126),
        (&["sh", "-c", "kill -9 $$"], 137),
        // A real-time signal.
        (&["sh", "-c", "kill -34 $$"], 162),
    ] {
        let out = out(&[], command);
        assert_eq!(out.status.code(), Some(code), "{command:?}: {}", describe(&out));
        assert!(out.stdout.is_empty(), "stdout is the command's: {}", describe(&out));
    }
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, "exit 7\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let without_interpreter = out(&[], &[script.to_str().unwrap()]);
    let said = text(&without_interpreter.stderr);
    assert!(without_interpreter.status.code() == Some(126) && said.contains("(ENOEXEC)"), "{said}");
    assert!(said.contains("hint: a script begins with a line such as `#!/bin/sh`"), "{said}");
    let (out, document) = document(&[], &["true"]);
    assert!(text(&out.stderr).starts_with("UNDECIDED: no connection of the command was seen"), "{}", describe(&out));
    assert_eq!(document["verdict"]["id"], "undecided");
    assert_eq!(document["watched"]["exit_code"], 0);
}

/// `report DIR` prints the page that was kept of a watch; what a watch has not is refused by name.
#[test]
fn what_is_kept_of_a_watch_is_its_page_again() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let watched = out(&["-q", "-o", kept.to_str().unwrap()], &["true"]);
    let report = |more: &[&str]| {
        let mut command = Command::new(SOCKBENCH);
        command.arg("report").arg(&kept).args(more).env("NO_COLOR", "1").output().unwrap()
    };
    let page = report(&[]);
    assert_eq!(page.status.code(), Some(0), "{}", describe(&page));
    let first = text(&watched.stderr).lines().next().unwrap().to_owned();
    assert!(text(&page.stdout).starts_with(&first), "{first}\n{}", text(&page.stdout));
    assert_eq!(page.stdout, std::fs::read(kept.join("report.txt")).unwrap());
    let stored = std::fs::read(kept.join("watch.json")).unwrap();
    assert_eq!(report(&["--format", "json"]).stdout, stored);
    for more in [&["--format", "html"][..], &["--format", "csv"], &["--format", "hlog"], &["--again"], &["--fail-on-invalid"]] {
        let refused = report(more);
        assert_eq!(refused.status.code(), Some(2), "{}", describe(&refused));
        assert!(text(&refused.stderr).contains(" of a watch"), "{}", describe(&refused));
    }
    std::fs::remove_file(kept.join("report.txt")).unwrap();
    let lost = report(&[]);
    assert!(
        lost.status.code() == Some(2) && text(&lost.stderr).contains("hint: sockbench watch -o DIR keeps"),
        "{}",
        describe(&lost)
    );
}

#[test]
fn output_passes_unchanged() {
    // More than a pipe has room for, with bytes that are no text.
    let script = "head -c 300000 /dev/zero; printf 'a\\r\\n\\377'; echo told >&2";
    let out = out(&["-q"], &["sh", "-c", script]);
    assert_eq!(out.stdout.len(), 300_004, "{}", out.stdout.len());
    assert!(out.stdout.ends_with(b"a\r\n\xff"));
    assert!(text(&out.stderr).starts_with("told\n"), "{}", text(&out.stderr));
    assert!(watch(&["--no-read"], &["sh", "-c", "echo as it is"]).output().unwrap().stdout == b"as it is\n");
}

#[test]
fn what_a_command_leaves_behind_is_followed_and_a_stop_ends_all_of_it() {
    // It forks and dies, or goes into the background as a daemon does: the child is watched on until it ends.
    for script in ["sleep 0.6 & exit 3", "setsid sh -c 'setsid sleep 0.6 &'; exit 3"] {
        let (out, document) = document(&[], &["sh", "-c", script]);
        assert_eq!(out.status.code(), Some(3), "{}", describe(&out));
        let last = document["looks"].as_array().unwrap().last().unwrap()["t_s"].as_f64().unwrap();
        assert!(last >= 0.5, "the last look came at {last} s: {document}");
    }
    for signal in ["INT", "TERM"] {
        let mut child =
            watch(&["-q"], &["sh", "-c", "sleep 61 & echo $!; echo $$; wait"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let pids: Vec<String> = lines.by_ref().take(2).map(Result::unwrap).collect();
        assert!(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success());
        until("the watch ends", || child.try_wait().unwrap().is_some());
        until(&format!("{pids:?} end"), || pids.iter().all(|pid| !lives(pid)));
    }
}

/// Runs `script`, which starts `watch` as "$@", in a shell; all that it printed.
fn from_shell(script: &str, options: &[&str], command: &[&str]) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", SOCKBENCH, "watch"]).args(options).arg("--").args(command);
    shell.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn signals_that_were_ignored_before_are_no_stop_and_do_not_hide_an_end() {
    let out = from_shell("trap '' CHLD; exec \"$@\"", &["-q"], &["sh", "-c", "exit 7"]);
    assert_eq!(out.status.code(), Some(7), "{}", describe(&out));
    // nohup(1), then the terminal goes away.
    let out = from_shell("trap '' HUP; exec \"$@\"", &["-q"], &["sh", "-c", "kill -HUP $PPID; sleep 0.3; exit 5"]);
    assert_eq!(out.status.code(), Some(5), "{}", describe(&out));
    assert!(!text(&out.stderr).contains("stopped"), "{}", describe(&out));
}

#[test]
fn a_command_starts_with_the_signals_that_it_would_have_without_us() {
    let script = ["sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status"];
    let plain = Command::new(script[0]).args(&script[1..]).output().unwrap();
    assert_eq!(text(&out(&["-q"], &script).stdout), text(&plain.stdout));
}

#[test]
fn a_time_limit_ends_what_a_shell_runs() {
    let out = out(&["-q", "-d", "300ms"], &["sh", "-c", "sleep 62 & echo $!; wait"]);
    assert_eq!(out.status.code(), Some(143), "{}", describe(&out));
    assert!(!text(&out.stderr).contains("still run"), "{}", describe(&out));
    assert!(!lives(text(&out.stdout).trim()), "{}", describe(&out));
}

#[test]
fn a_reader_that_has_gone_is_the_commands_affair_as_without_us() {
    let script = ["sh", "-c", "while echo line; do :; done"];
    let mut child = watch(&["-q"], &script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!((line.as_str(), out.status.code()), ("line\n", Some(128 + 13)), "{}", describe(&out));
    // Nobody takes the report, and the exit code is the command's still.
    let mut child = watch(&["-q"], &["sh", "-c", "exit 4"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn a_slow_reader_gets_the_last_line_too() {
    // More than one pipe holds, less than two: the command ends before anything is read.
    let script = "head -c 90000 /dev/zero; echo end";
    let mut child = watch(&["-q"], &["sh", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // A reader that comes late is what this is about; later than this does no harm.
    sockbench::testing::sys::sleep(std::time::Duration::from_millis(1500));
    let mut all = Vec::new();
    std::io::Read::read_to_end(&mut child.stdout.take().unwrap(), &mut all).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(all.len() == 90_004 && all.ends_with(b"end\n"), "{}", all.len());
}

#[test]
fn a_process_that_nobody_buries_has_ended() {
    let mut watched = Command::new("sleep").arg("63").spawn().unwrap();
    let mut child = Command::new(SOCKBENCH)
        .args(["watch", "-q", "--pid", &watched.id().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let fds = format!("/proc/{}/fd", child.id());
    until("it looks at sockets", || {
        let links = std::fs::read_dir(&fds).unwrap().filter_map(|e| std::fs::read_link(e.ok()?.path()).ok());
        links.into_iter().any(|to| to.to_string_lossy().starts_with("socket:"))
    });
    watched.kill().unwrap();
    until("the watch ends", || child.try_wait().unwrap().is_some());
    watched.wait().unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success() && text(&out.stderr).contains(", it has ended"), "{}", describe(&out));
}

#[test]
fn the_end_of_the_command_by_sigkill_is_reported() {
    let mut child =
        watch(&["-q"], &["sh", "-c", "echo $$; exec sleep 60"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(Command::new("kill").args(["-9", line.trim()]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(137), "{}", describe(&out));
    assert!(text(&out.stderr).contains("ended by signal 9"), "{}", text(&out.stderr));
}

/// Connects to `dest` again and again, as fast as it can, until connect() has failed for a second; from Python, whose
/// message is then read.
const SHORT: &str = r"
import socket, sys, time
end = None
while end is None or time.time() < end:
    try:
        with socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5) as s:
            s.sendall(b'x')
            s.shutdown(socket.SHUT_WR)
            s.recv(1)
        time.sleep(0.004)
    except OSError as e:
        if end is None:
            print(repr(e), file=sys.stderr)
        end = end or time.time() + 1.2
        time.sleep(0.01)
";

#[test]
fn ports_that_run_out_are_foreseen_and_named() {
    let settings = ["--sysctl", "net.ipv4.ip_local_port_range=30000 30999", "--sysctl", "net.ipv4.tcp_tw_reuse=0"];
    if !inside(here!(), &settings) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // The client closes first: its end is waited for.
            let mut stream = stream;
            let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut std::io::sink());
            drop(std::io::Write::write_all(&mut stream, b"y"));
        }
    });
    // The words name the destination: others could use this namespace too.
    let named = format!("127.0.0.1:{port}");
    let (out, d) = document(&[], &["python3", "-c", SHORT, &port, &named]);
    let shown = describe(&out);
    assert_eq!(d["verdict"]["id"], "port-bound", "{shown}");
    assert_eq!(d["findings"][0]["id"], "local-ports-exhausted", "{shown}");
    let dest = &d["destinations"][0];
    assert!(dest["peak_used"].as_u64().unwrap() >= 995, "{dest}");
    // Each port was used once: the kernel's own counter is the witness.
    let (seen, opened) = (dest["closed_by_client"].as_u64().unwrap(), d["kernel"]["active_opens"].as_u64().unwrap());
    assert!(seen.abs_diff(opened) <= opened / 50, "{seen} of {opened}");
    assert!(d["output"]["readings"][0]["limit"] == "local-ports", "{}", d["output"]);
    let forecast =
        d["outlooks"].as_array().unwrap().iter().find(|o| o["full_from_s"].is_number()).unwrap_or_else(|| panic!("{shown}"));
    assert!(forecast["at_s"].as_f64() < dest["full_s"][0].as_f64(), "foreseen before it came: {forecast} {dest}");
    assert!(text(&out.stderr).contains("SOURCE PORTS RAN OUT ON THIS MACHINE"), "{shown}");
    assert_eq!(d["findings"][0]["remedies"][0]["name"], "keep-alive");
}

/// Forty connections, each open for as long as the server takes to close it.
const QUICK: &str = r"
import socket, sys
for _ in range(40):
    with socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5) as s:
        s.recv(1)
";

#[test]
fn connections_that_no_look_saw_open_are_listed_or_are_those_of_to() {
    // A server for each run: a port of the first one that is in TIME_WAIT there may be taken again, and is then no new one.
    let serve = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dest = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(drop));
        let port = dest.rsplit(':').next().unwrap().to_owned();
        (dest, port)
    };
    let ended = |d: &Value, dest: &str, key: &str| -> u64 {
        let rows = d[key].as_array().into_iter().flatten().filter(|row| row["destination"] == *dest);
        rows.map(|row| row["closed_by_client"].as_u64().unwrap() + row["closed_by_server"].as_u64().unwrap()).sum()
    };
    // A port that the kernel happens to choose twice takes the place of its own TIME_WAIT: "at least" is said.
    let nearly_all = 38..=40;
    // Nothing but the port is in its words. A look may see one of them open by chance.
    let (dest, port) = serve();
    let (out, d) = document(&[], &["python3", "-c", QUICK, &port]);
    assert!(nearly_all.contains(&(ended(&d, &dest, "destinations") + ended(&d, &dest, "unowned"))), "{}", describe(&out));
    assert!(d["kernel"]["active_opens"].as_u64().unwrap() >= 40, "{d}");
    let (dest, port) = serve();
    let (out, d) = document(&["--to", &dest], &["python3", "-c", QUICK, &port]);
    assert!(nearly_all.contains(&ended(&d, &dest, "destinations")), "{}", describe(&out));
    assert_eq!(ended(&d, &dest, "unowned"), 0, "{}", describe(&out));
    assert_ne!(d["verdict"]["id"], "undecided", "{}", describe(&out));
}

/// One connection to where a server of the host would listen.
const TRIES: &str = "import socket, sys; socket.create_connection(('127.0.0.1', 8123), 5)";

#[test]
fn the_hosts_loopback_is_out_of_reach_of_a_sandbox_and_is_said_to_be() {
    if !namespaces_work() {
        return;
    }
    let (out, d) = document(&["--sandbox"], &["python3", "-c", TRIES, "127.0.0.1:8123"]);
    let shown = describe(&out);
    assert_eq!(d["findings"][0]["id"], "target-refused", "{shown}");
    let said = text(&out.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("a private namespace cannot reach a server outside"), "{shown}");
    assert!(!said.contains("ss -ltn") && said.contains("drop --sandbox"), "{shown}");
}

#[test]
fn a_target_that_answers_no_syn_is_not_healthy_and_has_refused_nothing() {
    let has_ip = Command::new("ip").arg("-V").output().is_ok();
    if !namespaces_work() || !has_ip {
        return crate::loud::skipped("a route to nowhere needs ip(8), and a private namespace");
    }
    // The kernel gives up after the second SYN; the command does not say so.
    let connect = "import socket\ntry: socket.create_connection(('192.0.2.9', 80))\nexcept OSError: pass";
    let script = "ip route add 192.0.2.0/24 dev lo && exec python3 -c \"$0\"";
    let options = ["--sandbox", "--sysctl", "net.ipv4.tcp_syn_retries=1"];
    let (out, d) = document(&options, &["sh", "-c", script, connect]);
    let shown = describe(&out);
    assert_eq!(d["verdict"]["id"], "target-failing", "{shown}");
    assert_eq!(d["findings"][0]["id"], "target-timeouts", "{shown}");
    assert_eq!((&d["kernel"]["attempt_fails"], &d["destinations"][0]["open_max"]), (&1.into(), &0.into()), "{shown}");
}
