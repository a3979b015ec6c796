//! What stands still, goes away or changes in mid-run: the target, some of its answers, the client, a setting.

use std::time::Duration;

use nix::sys::signal::Signal;
use sockbench::model::finding::FindingId::{
    ClientStalled, SysctlChanged, TargetGone, TargetHangs, TargetRefused, TargetResets, TargetStalled, UsersNotReached,
};
use sockbench::sys::sysctl;

use crate::check::{Case, ROW};
use crate::peers::{OK, answer, peer, read_head};
use crate::rig::{load, load_by, server};

/// How long something stands still.
const STILL: Duration = Duration::from_millis(1200);

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "target killed in mid-run",
        expected: Some(TargetGone),
        also: &[TargetRefused, TargetResets, UsersNotReached],
        run: || {
            let mut target = server(&[]);
            after(Duration::from_millis(1500), move || target.signal(Signal::SIGKILL).unwrap());
            load("/health", &["--conns", "4", "--think", "50ms", "--duration", "5s"])
        },
        check: |c| {
            c.between("since_s", 1.0, 2.5);
            let t = &c.run.totals;
            c.counts("answered_before", t.requests - t.failures);
            c.between("refused_since", 1.0, 1000.0);
        },
        ..ROW
    },
    Case {
        name: "every tenth request is never answered",
        expected: Some(TargetHangs),
        also: &[UsersNotReached],
        run: || {
            peer(all_but_the_tenth);
            load("/", &["--conns", "3", "--think", "20ms", "--duration", "3s"])
        },
        check: |c| {
            c.is("unanswered", 3.0);
            c.is("in_flight_at_end", 3.0);
            c.is("timed_out", 0.0);
            c.is("connections", 3.0);
            c.between("waited_max_ms", 1000.0, 3000.0);
            c.same("answered", c.run.totals.requests, 27);
        },
        ..ROW
    },
    Case {
        name: "client stopped for 1.2 s",
        expected: Some(ClientStalled),
        run: || {
            let _server = server(&[]);
            let pause = format!("me=$$; (sleep 1; kill -STOP $me; sleep {}; kill -CONT $me) & exec \"$@\"", STILL.as_secs_f64());
            load_by(&["sh", "-c", &pause, "client"], "/health", &["--conns", "4", "--think", "20ms", "--duration", "4s"])
        },
        check: |c| {
            c.is("stalls", 1.0);
            c.between("longest_s", STILL.as_secs_f64() - 0.1, STILL.as_secs_f64() + 0.5);
            c.between("from_s", 0.5, 1.5);
        },
        ..ROW
    },
    Case {
        name: "target stopped for 1.2 s",
        expected: Some(TargetStalled),
        run: || {
            let mut target = server(&[]);
            after(Duration::from_secs(1), move || {
                target.signal(Signal::SIGSTOP).unwrap();
                std::thread::sleep(STILL);
                target.signal(Signal::SIGCONT).unwrap();
                // Ends with this thread, so not before the run does.
                std::thread::sleep(Duration::from_secs(60));
            });
            load("/health", &["--conns", "4", "--think", "20ms", "--duration", "4s"])
        },
        check: |c| {
            c.between("longest_s", STILL.as_secs_f64() - 0.1, STILL.as_secs_f64() + 0.5);
            c.same("failures", c.run.totals.failures, 0);
        },
        ..ROW
    },
    Case {
        name: "tcp_fin_timeout changed in mid-run",
        expected: Some(SysctlChanged),
        run: || {
            let _server = server(&[]);
            after(Duration::from_secs(1), || drop(sysctl::write("net.ipv4.tcp_fin_timeout", "30").unwrap()));
            load("/health", &["--no-keepalive", "--conns", "4", "--think", "50ms", "--duration", "3s"])
        },
        check: |c| {
            c.is("changed", 1.0);
            c.word("tcp_fin_timeout_before", "60");
            c.word("tcp_fin_timeout_after", "30");
        },
        ..ROW
    },
];

/// Does it while a run goes on.
fn after(pause: Duration, what: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        std::thread::sleep(pause);
        what();
    });
}

/// Answers nine requests of a connection, and keeps the tenth waiting.
fn all_but_the_tenth(mut s: std::net::TcpStream) {
    for _ in 0..9 {
        if !read_head(&mut s) || !answer(&mut s, OK) {
            return;
        }
    }
    while read_head(&mut s) {}
}
