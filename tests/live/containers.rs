//! What a container is like: /proc/sys that is read-only, no /proc, a seccomp filter that forbids unshare(2). Each is made in
//! namespaces of its own, and the true cause is to be in the message.

use std::process::{Command, Output};

use serde_json::Value;

use crate::served::Served;
use crate::support::{SOCKBENCH, describe, messages, namespaces_work, text};
use crate::{documents, loud};

/// `script` as root of a user and a mount namespace of its own, then the program with `args`; none where util-linux cannot make
/// them.
fn after(script: &str, args: &[&str]) -> Option<Output> {
    // By its path: without /proc the shell is not to look for it.
    let script = format!("{script} && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    let trial = command.arg(&script).arg("sh").arg("true").output();
    match trial {
        Ok(out) if out.status.success() => {}
        Ok(out) => {
            loud::skipped(format!("{script}: {}", describe(&out)));
            return None;
        }
        Err(e) => {
            loud::skipped(format!("unshare (util-linux): {e}"));
            return None;
        }
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]).arg(&script).arg("sh").arg(SOCKBENCH).args(args);
    Some(command.env("NO_COLOR", "1").output().unwrap())
}

const READ_ONLY: &str = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys";
const NO_PROC: &str = "mount -t tmpfs none /proc";

/// Ends with 3, one line that says `why`, and a hint that says `what`; nothing on stdout.
fn refuses(out: &Output, why: &str, what: &str) {
    let err = messages(out);
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(out.status.code(), Some(3), "{}", describe(out));
    assert!(text(&out.stdout).is_empty(), "{}", describe(out));
    let [message, hint] = lines[..] else { panic!("a message and a hint: {err}") };
    assert!(message.starts_with("sockbench: ") && message.contains(why) && !message.contains("ERRNO"), "{err}");
    assert!(hint.starts_with("hint: ") && hint.contains(what), "{err}");
}

#[test]
fn settings_where_proc_sys_is_read_only() {
    if !namespaces_work() {
        return;
    }
    let setting = ["--sysctl", "net.ipv4.tcp_tw_reuse=0"];
    let sandbox = [&["sandbox"], &setting[..], &["--", "echo", "ran"]].concat();
    let load = [&["load", "--sandbox", "-d", "1s"], &setting[..]].concat();
    for args in [&sandbox[..], &load, &["rehearse"]] {
        let Some(out) = after(READ_ONLY, args) else { return };
        refuses(&out, "read-only file system (EROFS): /proc/sys is mounted read-only", "systempaths=unconfined");
    }
    let Some(out) = after(READ_ONLY, &["sandbox", "--", "echo", "ran"]) else { return };
    assert!(out.status.success() && text(&out.stdout) == "ran\n", "a namespace without settings needs none: {}", describe(&out));
}

#[test]
fn what_needs_proc_says_so_and_a_load_goes_on_without() {
    for args in
        [&["sandbox", "--", "echo", "ran"][..], &["rehearse"], &["load", "--sandbox", "-d", "1s"], &["load", "-d", "1s", "-q"]]
    {
        let Some(out) = after(NO_PROC, args) else { return };
        let hint = if args.contains(&"-q") { "sockbench server" } else { "mount -t proc proc /proc" };
        if args == ["rehearse"] {
            // It cannot start itself again.
            let err = text(&out.stderr);
            assert!(out.status.code() == Some(3) && err.contains("/proc is not mounted here"), "{}", describe(&out));
            continue;
        }
        refuses(&out, "/proc is not mounted here", hint);
    }
    // Each figure that is not known has its reason: a document without would not fit its schema.
    let target = Served::start(&[]);
    let url = format!("http://{}/health", target.addr);
    let args = ["load", &url, "-c", "2", "--think", "10ms", "-d", "1s", "-q", "--json", "-"];
    let Some(out) = after(NO_PROC, &args) else { return };
    assert!(out.status.success(), "{}", describe(&out));
    let run: Value = documents::parse_bytes("run", &out.stdout);
    assert!(run["totals"]["requests"].as_u64().unwrap() > 10, "{}", run["totals"]);
    let reasons: Vec<&str> = run["unavailable"].as_array().unwrap().iter().map(|u| u["reason"].as_str().unwrap()).collect();
    assert!(reasons.iter().any(|r| r.contains("/proc is not mounted here")), "{reasons:?}");
}

/// unshare(2) ends with EPERM, all else passes: a filter of four instructions, installed by prctl(2).
const FORBIDS_UNSHARE: &str = "\
import ctypes, os, struct, sys
unshare = {'x86_64': 272, 'aarch64': 97}[os.uname().machine]
load, equal, give = 0x20, 0x15, 0x06
code = b''.join(struct.pack('HBBI', *i) for i in [(load, 0, 0, 0), (equal, 0, 1, unshare), (give, 0, 0, 0x50001), (give, 0, 0, 0x7fff0000)])
room = ctypes.create_string_buffer(code)
program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', 4, ctypes.addressof(room)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
";

#[test]
fn a_filter_that_forbids_unshare_is_named() {
    if !namespaces_work() {
        return;
    }
    for args in [&["sandbox", "--", "echo", "ran"][..], &["rehearse"], &["load", "--sandbox", "-d", "1s"]] {
        let out = match Command::new("python3").args(["-c", FORBIDS_UNSHARE, SOCKBENCH]).args(args).output() {
            Ok(out) if text(&out.stderr).contains("Traceback") => return loud::skipped(text(&out.stderr)),
            Ok(out) => out,
            Err(e) => return loud::skipped(format!("python3: {e}")),
        };
        refuses(&out, "unshare(user, net): operation not permitted (EPERM): a seccomp filter", "an administrator can allow it");
    }
}
