//! `sockbench server` as a service: what it reports to a manager, sockets that were opened for it, logs for programs, SIGHUP, its
//! unit.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::loud;
use crate::served::Served;
use crate::support::text;
use crate::until::PATIENCE;

/// A manager that listens at `at`.
fn manager(at: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(at).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn told(manager: &UnixDatagram) -> String {
    let mut room = [0; 4096];
    let n = manager.recv(&mut room).expect("it says something");
    text(&room[..n])
}

#[test]
fn a_manager_is_told_when_it_is_ready_turns_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("notify");
    let manager = manager(&at);
    let script = format!("export NOTIFY_SOCKET={} WATCHDOG_PID=$$ WATCHDOG_USEC=300000; exec \"$@\"", at.display());
    let mut served = Served::start_under(&["sh", "-c", &script, "sh"], &["--reactors", "2"]);
    let ready = told(&manager);
    assert!(ready.starts_with("READY=1\n") && ready.contains(&format!("STATUS=listening on http://{}", served.addr)), "{ready}");
    for _ in 0..3 {
        assert_eq!(told(&manager), "WATCHDOG=1\n");
    }
    let mut busy = served.connect();
    busy.get("/io?ms=700").is_read();
    served.signal("TERM");
    while told(&manager) != "STOPPING=1\n" {}
    assert_eq!(told(&manager), "WATCHDOG=1\n", "also while it drains");
    assert_eq!(busy.answer().status, 200);
    assert_eq!(served.ended().code(), Some(0));
    // Its socket is gone: that ends no server.
    drop(manager);
    std::fs::remove_file(&at).unwrap();
    let mut served = Served::start_under(&["sh", "-c", &script, "sh"], &[]);
    assert_eq!(served.connect().get("/health").answer().status, 200);
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(0));
    assert!(served.last_words().contains("the service manager was not notified"));
}

/// Opens two sockets as descriptors 3 and 4, for the program that it becomes.
const ACTIVATE: &str = "\
import os, socket, sys
given = [socket.create_server(('127.0.0.1', 0)), socket.create_server(('127.0.0.1', 0))]
for fd, s in enumerate(given, 10): os.dup2(s.fileno(), fd)
for fd in (3, 4): os.dup2(fd + 7, fd)
os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn sockets_that_were_opened_for_it_are_served() {
    if Command::new("python3").arg("--version").output().is_err() {
        return loud::skipped("python3 is not installed");
    }
    for reactors in ["1", "3"] {
        let mut served = Served::start_under(&["python3", "-c", ACTIVATE], &["--reactors", reactors, "--admin", "127.0.0.1:0"]);
        let second = served.lines[1].strip_prefix("listening on http://").expect("its second line").parse().unwrap();
        assert_ne!(served.addr, second);
        for addr in [served.addr, second, served.addr] {
            assert_eq!(crate::served::Peer::connect(addr).get("/health").answer().status, 200);
        }
        served.signal("TERM");
        assert_eq!(served.ended().code(), Some(0));
    }
    // Flags about sockets of its own have no effect then, and one line says which.
    let mut served = Served::start_under(
        &["python3", "-c", ACTIVATE],
        &["--listen", "127.0.0.1:1", "--backlog", "7", "--listen", "[::1]:2", "--log", "json", "--admin", "127.0.0.1:0"],
    );
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(0));
    let words = served.last_words();
    let ignored: Vec<Value> =
        words.lines().map(|l| serde_json::from_str(l).unwrap()).filter(|l: &Value| l["event"] == "ignored-flags").collect();
    let flags = serde_json::json!(["--listen 127.0.0.1:0", "--listen 127.0.0.1:1", "--listen [::1]:2", "--backlog 7"]);
    assert_eq!(ignored.iter().map(|l| &l["flags"]).collect::<Vec<_>>(), [&flags], "{words}");
    // What is no TCP listener is said, and nobody serves.
    let script = "import os, sys\nos.dup2(os.open('/dev/null', 0), 3)\nos.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n\
                  os.execv(sys.argv[1], sys.argv[1:])";
    let out = Command::new("python3").args(["-c", script, env!("CARGO_BIN_EXE_sockbench"), "server"]).output().unwrap();
    let err = text(&out.stderr);
    assert!(out.status.code() == Some(3) && err.contains("descriptor 3 is no TCP listener"), "{err}");
}

#[test]
fn each_line_of_a_log_for_programs_is_an_object() {
    let mut served =
        Served::start_under(&["sh", "-c", "ulimit -Sn 100; exec \"$@\"", "sh"], &["--log", "json", "--drain-timeout", "100ms"]);
    assert_eq!(served.connect().get("/health").answer().status, 200);
    let mut busy = served.connect();
    busy.get("/io?ms=9000").is_read();
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(1));
    let words = served.last_words();
    let lines: Vec<Value> = words.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect();
    let of = |event: &str| lines.iter().find(|l| l["event"] == event).unwrap_or_else(|| panic!("no {event} in {words}"));
    for key in ["time", "level", "event", "message"] {
        assert!(lines.iter().all(|l| l[key].is_string()), "{key}: {words}");
    }
    assert_eq!(of("descriptors")["from"], 100);
    // stdout is for who waits for the addresses, in words; they are in the log too.
    assert_eq!(served.lines, [format!("listening on http://{}", served.addr)]);
    assert_eq!(of("listening")["addresses"], serde_json::json!([served.addr.to_string()]));
    assert!(!words.contains("ignored-flags"), "{words}");
    assert_eq!((of("ended")["answers"].as_u64(), of("ended")["accepted"].as_u64()), (Some(1), Some(2)));
    assert_eq!((&of("drain-cut")["connections"], &of("drain-cut")["level"]), (&1.into(), &"warning".into()));
    // Why it does not start is one too.
    let other = Served::start(&[]);
    let taken = other.addr.to_string();
    let out =
        Command::new(env!("CARGO_BIN_EXE_sockbench")).args(["server", "--log", "json", "--listen", &taken]).output().unwrap();
    let err = text(&out.stderr);
    let last: Value = serde_json::from_str(err.lines().last().unwrap()).unwrap_or_else(|e| panic!("{e}: {err}"));
    assert_eq!((&last["level"], &last["exit"], last["hint"].is_string()), (&"error".into(), &3.into(), true));
}

/// Without a terminal a SIGHUP is a word in the log; with one, its end is the end of the server.
#[test]
fn a_sighup_ends_it_only_at_a_terminal() {
    if Command::new("setsid").arg("--version").output().is_err() || Command::new("script").arg("--version").output().is_err() {
        return loud::skipped("setsid and script (util-linux) are not installed");
    }
    // Who runs the tests may have ignored it, as nohup(1) does, and a process inherits that.
    let defaults = ["env", "--default-signal=HUP"];
    let mut served = Served::start_under(&[&defaults[..], &["setsid"]].concat(), &[]);
    served.signal("HUP");
    served.said("the server goes on");
    assert_eq!(served.connect().get("/health").answer().status, 200);
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(0));
    // script(1) gives its command a terminal; the command prints its own pid.
    let line = format!(
        "echo pid $$; exec {} server --listen 127.0.0.1:0 --cpu-iterations 1000 --io-workers 1",
        env!("CARGO_BIN_EXE_sockbench")
    );
    let mut script = Command::new(defaults[0]);
    script.args([defaults[1], "script", "--quiet", "--return", "--command", &line, "/dev/null"]).env("SHELL", "/bin/sh");
    script.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut script = script.spawn().unwrap();
    let mut out = std::io::BufRead::lines(std::io::BufReader::new(script.stdout.take().unwrap()));
    let mut line_of = |start: &str| {
        let found = out.by_ref().map_while(Result::ok).find_map(|l| Some(l.split_once(start)?.1.trim().to_owned()));
        found.unwrap_or_else(|| panic!("no {start}"))
    };
    let pid = line_of("pid ");
    line_of("listening on ");
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let mut code = None;
    crate::until::until("it drains and ends", || {
        code = script.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(0));
}

/// The unit that packages install: systemd understands it, and finds little that it could be kept from.
#[test]
fn its_unit_is_sound_and_hardened() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return loud::skipped("systemd-analyze is not installed");
    }
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist");
    let unit = dist.join("sockbench.service");
    let out = Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=15"]).arg(&unit).output().unwrap();
    assert!(out.status.success(), "an exposure above 1.5 of 10: {}{}", text(&out.stdout), text(&out.stderr));
    // It looks for the program that the unit starts.
    let dir = tempfile::tempdir().unwrap();
    let written = std::fs::read_to_string(&unit).unwrap().replace("/usr/bin/sockbench", env!("CARGO_BIN_EXE_sockbench"));
    std::fs::write(dir.path().join("sockbench.service"), written).unwrap();
    std::fs::copy(dist.join("sockbench.socket"), dir.path().join("sockbench.socket")).unwrap();
    let units = ["sockbench.service", "sockbench.socket"].map(|name| dir.path().join(name));
    let out = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units).output().unwrap();
    let ours: String = text(&out.stderr).lines().filter(|l| l.contains("sockbench")).collect();
    assert!(out.status.success() && ours.is_empty(), "{}", text(&out.stderr));
}
