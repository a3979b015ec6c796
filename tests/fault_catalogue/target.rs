//! Failures at the target: scripted peers that refuse, drop, reset, stay silent, break off, or answer with errors.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sockbench::testing::model::FindingId::{
    TargetBacklogOverflow, TargetErrors, TargetForbidsKeepalive, TargetHangs, TargetMalformed, TargetRefused, TargetResets,
    TargetTimeouts, UsersNotReached,
};

use sockbench::testing::model::Phase;

use crate::check::{Case, ROW};
use crate::peers::{OK, answer, good, peer, read_head, reset, slow_to_accept};
use crate::rig::{load, server};

/// Few users that pause: a failing target is not to be hurried.
const CALM: [&str; 6] = ["--conns", "4", "--think", "50ms", "--duration", "2s"];

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "nothing listens",
        expected: Some(TargetRefused),
        also: &[UsersNotReached],
        run: || load("/", &CALM),
        check: |c| {
            c.failure("connect", Some(111), Some(10061));
            c.counts("failures", c.run.totals.failures);
            c.is("self_connects", 0.0);
            c.is("port_in_local_range", 0.0);
        },
        ..ROW
    },
    Case {
        name: "nothing listens, the port inside the client's range",
        expected: Some(TargetRefused),
        also: &[UsersNotReached],
        sysctls: &["net.ipv4.ip_local_port_range=8078 8081"],
        run: || load("/", &["--conns", "1", "--think", "5ms", "--duration", "2s"]),
        check: |c| {
            let own = c.run.count_errors(|e| e.name == "SELFCONNECT");
            c.that("some connected to themselves", own > 0);
            c.counts("self_connects", own);
            c.counts("failures", c.run.totals.failures);
            c.is("port_in_local_range", 1.0);
            c.same("requests", c.run.totals.requests, c.run.totals.failures);
        },
        ..ROW
    },
    Case {
        name: "backlog of 1, never accepting",
        expected: Some(TargetBacklogOverflow),
        // The two in the backlog wait for an answer in vain.
        also: &[TargetTimeouts, TargetHangs, UsersNotReached],
        run: || {
            slow_to_accept(None, good);
            load("/", &["--conns", "10", "--duration", "3s", "--timeout", "1500ms"])
        },
        check: |c| {
            let late = c.run.count_errors(|e| e.phase == Some(Phase::Connecting));
            c.that("set-ups timed out", late > 0);
            c.counts("connect_timeouts", late);
            overflowed(c);
        },
        ..ROW
    },
    Case {
        name: "backlog of 1, accepting after 0.5 s",
        expected: Some(TargetBacklogOverflow),
        run: || {
            slow_to_accept(Some(Duration::from_millis(500)), good);
            load("/", &["--conns", "10", "--think", "100ms", "--duration", "4s"])
        },
        check: |c| {
            overflowed(c);
            c.is("connect_timeouts", 0.0);
            c.between("setups_near_1s", 3.0, 8.0);
            c.same("failures", c.run.totals.failures, 0);
        },
        ..ROW
    },
    Case {
        name: "RST instead of an answer",
        expected: Some(TargetResets),
        run: || {
            peer(|mut s| {
                read_head(&mut s);
                reset(s);
            });
            load("/", &CALM)
        },
        check: |c| {
            c.failure("read", Some(104), Some(10054));
            c.counts("on_fresh_connections", c.run.totals.failures);
            c.is("on_reused_connections", 0.0);
        },
        ..ROW
    },
    Case {
        name: "end of file instead of an answer",
        expected: Some(TargetResets),
        run: || {
            peer(|mut s| {
                read_head(&mut s);
            });
            load("/", &CALM)
        },
        check: |c| {
            c.failure("read", None, None);
            c.counts("on_fresh_connections", c.run.totals.failures);
        },
        ..ROW
    },
    Case {
        name: "RST instead of every third answer of a connection",
        expected: Some(TargetResets),
        run: || {
            peer(|mut s| {
                for _ in 0..2 {
                    if !read_head(&mut s) || !answer(&mut s, OK) {
                        return;
                    }
                }
                if read_head(&mut s) {
                    reset(s);
                }
            });
            load("/", &CALM)
        },
        check: |c| {
            c.failure("read", Some(104), Some(10054));
            c.counts("on_reused_connections", c.run.totals.failures);
            c.is("on_fresh_connections", 0.0);
            // Two answers to each reset; the last connections may have had fewer or more.
            let (answered, reset) = (c.run.totals.requests - c.run.totals.failures, c.run.totals.failures);
            c.that("two answers a connection", (2 * reset..=2 * reset + 8).contains(&answered));
        },
        ..ROW
    },
    Case {
        name: "end of file instead of every second answer, over all connections",
        expected: Some(TargetResets),
        run: || {
            static ASKED: AtomicU64 = AtomicU64::new(0);
            peer(
                |mut s| {
                    while read_head(&mut s) && ASKED.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) && answer(&mut s, OK) {}
                },
            );
            load("/", &["--conns", "10", "--requests", "2000"])
        },
        check: |c| {
            c.failure("read", None, None);
            c.same("failures", c.run.totals.failures, 1000);
            c.is("every_nth", 2.0);
            c.is("share", 0.5);
            let reused = c.run.errors.iter().filter(|e| e.reused).map(|e| e.count).sum::<u64>();
            c.counts("on_reused_connections", reused);
            c.counts("on_fresh_connections", 1000 - reused);
        },
        ..ROW
    },
    Case {
        name: "silence",
        expected: Some(TargetTimeouts),
        run: || {
            peer(|mut s| while read_head(&mut s) {});
            load("/", &["--conns", "4", "--duration", "3s", "--timeout", "500ms"])
        },
        check: |c| {
            c.failure("timeout", None, Some(10060));
            c.is("timeout_s", 0.5);
            c.is("while_connecting", 0.0);
            c.counts("after_connecting", c.run.totals.failures);
        },
        ..ROW
    },
    Case {
        name: "answers that break off",
        expected: Some(TargetMalformed),
        run: || {
            peer(|mut s| {
                if read_head(&mut s) {
                    answer(&mut s, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.");
                }
            });
            load("/", &CALM)
        },
        check: |c| malformed(c, "TRUNCATED"),
        ..ROW
    },
    Case {
        name: "answers that are no HTTP",
        expected: Some(TargetMalformed),
        run: || {
            peer(|mut s| {
                if read_head(&mut s) {
                    answer(&mut s, "SSH-2.0-OpenSSH_9.9\r\n\r\n");
                }
            });
            load("/", &CALM)
        },
        check: |c| malformed(c, "NOT-HTTP"),
        ..ROW
    },
    Case {
        name: "every answer a 500",
        expected: Some(TargetErrors),
        run: || {
            peer(|mut s| while read_head(&mut s) && answer(&mut s, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") {});
            load("/", &CALM)
        },
        check: |c| {
            c.failure("http", None, None);
            c.word("name", "500");
            c.is("share", 1.0);
            c.counts("failures", c.run.totals.requests);
        },
        ..ROW
    },
    Case {
        name: "one of two paths a 404",
        expected: Some(TargetErrors),
        run: || {
            let _server = server(&[]);
            load("/", &[&CALM[..], &["--mix", "/health=1,/nothing-here=1"]].concat())
        },
        check: |c| {
            c.failure("http", None, None);
            c.word("name", "404");
            c.word("endpoints", "/nothing-here");
            let t = &c.run.totals;
            let share = t.failures as f64 / t.requests as f64;
            c.between("share", share - 1e-4, share + 1e-4);
        },
        ..ROW
    },
    Case {
        name: "Connection: close after every answer",
        expected: Some(TargetForbidsKeepalive),
        run: || {
            let _server = server(&["--keepalive", "off"]);
            load("/health", &["--rate", "40", "--conns", "10", "--duration", "3s"])
        },
        check: |c| {
            let t = &c.run.totals;
            forbids(c, t.requests, 0);
        },
        ..ROW
    },
    Case {
        name: "closing unannounced after every answer",
        expected: Some(TargetForbidsKeepalive),
        run: || {
            peer(|mut s| {
                if read_head(&mut s) {
                    answer(&mut s, OK);
                }
            });
            // Users that pause see the end before their next request.
            load("/", &["--conns", "4", "--think", "100ms", "--duration", "3s"])
        },
        check: |c| forbids(c, 0, c.run.totals.connections_opened - 4),
        ..ROW
    },
];

fn malformed(c: &mut crate::check::Check<'_>, fault: &str) {
    c.failure("protocol", None, None);
    c.word("fault", fault);
    c.word("endpoints", "/");
    c.counts("failures", c.run.totals.requests);
}

/// The kernel's own counters are in the evidence.
fn overflowed(c: &mut crate::check::Check<'_>) {
    let kernel = c.run.kernel.unwrap_or_default();
    c.that("listen_overflows rose", kernel.listen_overflows > 0);
    c.counts("listen_overflows", kernel.listen_overflows);
    c.counts("listen_drops", kernel.listen_drops);
}

fn forbids(c: &mut crate::check::Check<'_>, announced: u64, closed_at_least: u64) {
    let t = &c.run.totals;
    c.same("failures", (t.failures, t.local_failures), (0, 0));
    c.counts("answers", t.requests);
    c.counts("announced_by_target", announced);
    c.counts("closed_by_target", c.run.closes.server);
    c.that("closed by the target", c.run.closes.server >= closed_at_least);
    c.counts("connections_opened", t.connections_opened);
    c.between("share", 0.9, 1.0);
    c.between("requests_per_connection", 0.9, 1.0);
}
