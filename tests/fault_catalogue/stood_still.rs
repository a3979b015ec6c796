//! Requests that get no answer, targets and clients that stall, targets that go away.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sockbench::testing::model::FindingId::{
    ClientStalled, TargetGone, TargetHangs, TargetRefused, TargetResets, TargetStalled, TargetTimeouts, UsersNotReached,
};

use crate::check::{Case, Check, ROW};
use crate::peers::{OK, answer, peer, read_head};
use crate::rig::{load, load_while, server, signal};

/// Longer than any row.
const FOR_EVER: Duration = Duration::from_secs(30);
/// How far a stretch may lie from where it was injected, seconds: the run's own start takes its time.
const AROUND_S: f64 = 0.6;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "every second request never answered",
        expected: Some(TargetHangs),
        run: || {
            peer(odd_ones_only);
            load("/", &["--conns", "10", "--duration", "3s"])
        },
        check: |c| {
            c.is("unanswered", 10.0);
            c.is("connections", 10.0);
            c.is("timed_out", 0.0);
            c.between("waited_max_ms", 2500.0, 3100.0);
            c.same("in flight at the end", c.run.totals.in_flight.map(|f| f.overdue), Some(10));
        },
        ..ROW
    },
    Case {
        name: "one connection of four never answered",
        expected: Some(TargetHangs),
        run: || {
            peer(first_connection_stuck);
            load("/", &["--conns", "4", "--think", "5ms", "--duration", "3s"])
        },
        check: |c| {
            c.is("unanswered", 1.0);
            c.is("connections", 1.0);
            c.that("the others were answered", c.run.totals.requests > 300);
        },
        ..ROW
    },
    Case {
        name: "every second request never answered, open loop",
        expected: Some(TargetHangs),
        run: || {
            peer(odd_ones_only);
            load("/", &["--rate", "20", "--conns", "100", "--duration", "4s"])
        },
        check: |c| {
            // Half of the 80 that were due.
            c.between("unanswered", 30.0, 41.0);
            c.same("answered", c.run.totals.requests, c.run.totals.attempts - c.run.totals.cut);
        },
        ..ROW
    },
    Case {
        name: "every second request never answered, a timeout inside the run",
        expected: Some(TargetTimeouts),
        also: &[TargetHangs, TargetStalled],
        run: || {
            peer(odd_ones_only);
            load("/", &["--conns", "4", "--duration", "3s", "--timeout", "1s"])
        },
        check: |c| {
            c.is("timeout_s", 1.0);
            let hangs = c.run.findings.iter().find(|f| f.id == TargetHangs).map(|f| f.evidence["timed_out"].clone());
            c.that("the hang counts what timed out", hangs == Some(c.run.totals.failures.into()));
        },
        ..ROW
    },
    Case {
        name: "answers that stop after their head",
        expected: Some(TargetHangs),
        run: || {
            peer(head_only);
            load("/", &["--conns", "2", "--duration", "2s"])
        },
        check: |c| {
            c.is("unanswered", 2.0);
            c.is("with_part_of_an_answer", 2.0);
            c.word("first_bytes", "HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nhello");
            let missing = c.run.totals.partial_answer.as_ref().and_then(|p| p.received.missing_bytes);
            c.same("bytes that did not come", missing, Some(95));
        },
        ..ROW
    },
    Case {
        name: "the target stopped for 2 s by a signal",
        expected: Some(TargetStalled),
        run: || {
            let target = server(&[]);
            let pid = target.pid();
            load_while("/health", &["--conns", "1", "--think", "5ms", "--duration", "5s"], |_| stop(pid, 1.5, 2.0))
        },
        check: |c| {
            c.word("stood_still", "target");
            stretch(c, 1.5, 3.5);
        },
        ..ROW
    },
    Case {
        name: "the target's program pauses for 1.5 s",
        expected: Some(TargetStalled),
        run: || {
            peer(pauses_once);
            load("/", &["--conns", "8", "--think", "10ms", "--duration", "4s"])
        },
        check: |c| {
            c.word("stood_still", "target");
            stretch(c, 1.0, 2.5);
            c.between("in_flight", 1.0, 8.0);
        },
        ..ROW
    },
    Case {
        name: "the client stopped for 2 s by a signal",
        expected: Some(ClientStalled),
        run: || {
            let _target = server(&[]);
            load_while("/health", &["--conns", "4", "--think", "5ms", "--duration", "5s"], |pid| stop(pid, 1.5, 2.0))
        },
        check: |c| stretch(c, 1.5, 3.5),
        ..ROW
    },
    Case {
        name: "the client stopped for 2 s, open loop",
        expected: Some(ClientStalled),
        run: || {
            let _target = server(&[]);
            load_while("/health", &["--rate", "200", "--conns", "8", "--duration", "5s"], |pid| stop(pid, 1.5, 2.0))
        },
        check: |c| {
            stretch(c, 1.5, 3.5);
            // All that were due in the two seconds, not only those that found a free connection.
            let late = c.run.resources.client.late_requests;
            c.that(&format!("{late} late requests of 400"), (340..=460).contains(&late));
        },
        ..ROW
    },
    Case {
        name: "the client stopped from 1 to 3 s, the target from 2 to 4 s",
        expected: Some(ClientStalled),
        also: &[TargetStalled],
        run: || {
            let target = server(&[]);
            let server = target.pid();
            load_while("/health", &["--conns", "2", "--think", "5ms", "--duration", "6s"], |client| {
                sleep(Duration::from_secs(1));
                signal(client, Signal::SIGSTOP);
                sleep(Duration::from_secs(1));
                signal(server, Signal::SIGSTOP);
                sleep(Duration::from_secs(1));
                signal(client, Signal::SIGCONT);
                sleep(Duration::from_secs(1));
                signal(server, Signal::SIGCONT);
            })
        },
        check: |c| stretch(c, 1.0, 3.0),
        ..ROW
    },
    Case {
        name: "the target killed at 1.5 s of 4 s",
        expected: Some(TargetGone),
        also: &[TargetRefused, TargetResets, UsersNotReached],
        run: || {
            let target = server(&[]);
            let pid = target.pid();
            load_while("/health", &["--conns", "5", "--think", "5ms", "--duration", "4s"], |_| {
                sleep(Duration::from_millis(1500));
                signal(pid, Signal::SIGKILL);
            })
        },
        check: gone_at_1500_ms,
        ..ROW
    },
    Case {
        name: "the target ends in good order at 1.5 s of 4 s",
        expected: Some(TargetGone),
        also: &[TargetRefused, TargetResets, UsersNotReached],
        run: || {
            let target = server(&[]);
            let pid = target.pid();
            load_while("/health", &["--conns", "5", "--think", "5ms", "--duration", "4s"], |_| {
                sleep(Duration::from_millis(1500));
                signal(pid, Signal::SIGTERM);
            })
        },
        check: gone_at_1500_ms,
        ..ROW
    },
    Case {
        name: "the target killed in the last second",
        expected: Some(TargetGone),
        also: &[TargetRefused, TargetResets, UsersNotReached],
        run: || killed_at(3.4, &["--conns", "5", "--think", "5ms", "--duration", "4s"]),
        check: gone_at_3400_ms,
        ..ROW
    },
    Case {
        name: "the target killed in the last second, a connection per request",
        expected: Some(TargetGone),
        also: &[TargetRefused, TargetResets, UsersNotReached],
        run: || killed_at(3.4, &["--no-keepalive", "--conns", "5", "--think", "20ms", "--duration", "4s"]),
        check: gone_at_3400_ms,
        ..ROW
    },
    Case {
        name: "the target's listener closed for 0.5 s in mid-run",
        expected: Some(TargetRefused),
        // Connections that it has not accepted end with it.
        also: &[TargetResets],
        run: || {
            listens_but_for(Duration::from_millis(1500), Duration::from_millis(500));
            load("/", &["--no-keepalive", "--conns", "4", "--think", "20ms", "--duration", "4s"])
        },
        check: |c| {
            c.between("first_s", 1.5 - AROUND_S, 1.5 + AROUND_S);
            c.between("last_s", 1.6, 2.0 + AROUND_S);
            c.that("answers to the end", c.run.totals.after_last_answer.is_some_and(|a| a.last_answer_s > 3.5 && a.refused == 0));
        },
        ..ROW
    },
    Case {
        name: "healthy: a target that pauses 50 ms in every second",
        run: || {
            peer(collects_garbage);
            load("/", &["--conns", "4", "--think", "10ms", "--duration", "4s"])
        },
        check: |c| {
            let max = c.run.totals.latency_ms.map_or(0.0, |l| l.max);
            c.that(&format!("pauses were seen: {max} ms"), max > 30.0);
        },
        ..ROW
    },
    Case {
        name: "healthy: answers of 1 s, some still on their way at the end",
        run: || {
            peer(one_second);
            load("/", &["--conns", "10", "--spawn-rate", "9", "--duration", "4500ms"])
        },
        check: |c| c.that("some are cut", c.run.totals.cut > 0),
        ..ROW
    },
];

/// Ends in a silence that began and ended about there.
fn stretch(c: &mut Check<'_>, from_s: f64, to_s: f64) {
    c.between("from_s", from_s - AROUND_S, from_s + AROUND_S);
    c.between("to_s", to_s - AROUND_S, to_s + AROUND_S);
    c.between("longest_s", to_s - from_s - 0.3, to_s - from_s + 0.3);
}

fn gone_at_1500_ms(c: &mut Check<'_>) {
    c.between("since_s", 1.5 - AROUND_S, 1.5 + AROUND_S);
    // 5 users / (5 ms + the answer), seen by the series of the seconds before.
    let before = c.run.series.first().map_or(0.0, |p| p.rps);
    c.between("rps_before", before * 0.8, before * 1.2);
    c.same("the stamp says so", c.run.validity.stamp == sockbench::testing::model::RunStamp::Valid, false);
}

fn gone_at_3400_ms(c: &mut Check<'_>) {
    c.between("since_s", 3.4 - AROUND_S, 4.0);
    let after = c.run.totals.after_last_answer.unwrap_or_default();
    c.counts("refused_since", after.refused);
    let since_s = c.number("since_s");
    c.that(&format!("the last answer before it: {after:?}"), after.last_answer_s <= since_s);
    c.same("open at the end", after.open_connections, 0);
    c.same("the stamp says so", c.run.validity.stamp == sockbench::testing::model::RunStamp::Valid, false);
}

/// Our own server, killed after so many seconds of the load.
fn killed_at(after_s: f64, args: &[&str]) -> sockbench::testing::model::RunResult {
    let target = server(&[]);
    let pid = target.pid();
    load_while("/health", args, |_| {
        sleep(Duration::from_secs_f64(after_s));
        signal(pid, Signal::SIGKILL);
    })
}

/// A good target whose listener is closed after `from`, and open again `length` later.
fn listens_but_for(from: Duration, length: Duration) {
    let listener = std::net::TcpListener::bind(crate::rig::LISTEN).unwrap();
    std::thread::spawn(move || {
        let begun = Instant::now();
        listener.set_nonblocking(true).unwrap();
        let mut listener = Some(listener);
        loop {
            let since = begun.elapsed();
            if since >= from && since < from + length {
                listener = None;
            } else if listener.is_none() {
                let again = std::net::TcpListener::bind(crate::rig::LISTEN).unwrap();
                again.set_nonblocking(true).unwrap();
                listener = Some(again);
            }
            match listener.as_ref().map(std::net::TcpListener::accept) {
                Some(Ok((stream, _))) => {
                    stream.set_nonblocking(false).unwrap();
                    std::thread::spawn(move || crate::peers::good(stream));
                }
                Some(Err(_)) | None => sleep(Duration::from_millis(1)),
            }
        }
    });
}

/// Stops a process `after_s` for `for_s`.
fn stop(pid: u32, after_s: f64, for_s: f64) {
    sleep(Duration::from_secs_f64(after_s));
    signal(pid, Signal::SIGSTOP);
    sleep(Duration::from_secs_f64(for_s));
    signal(pid, Signal::SIGCONT);
}

static REQUESTS: AtomicU64 = AtomicU64::new(0);

fn odd_ones_only(mut s: std::net::TcpStream) {
    while read_head(&mut s) {
        if REQUESTS.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            sleep(FOR_EVER);
        }
        if !answer(&mut s, OK) {
            return;
        }
    }
}

fn first_connection_stuck(mut s: std::net::TcpStream) {
    if REQUESTS.fetch_add(1, Ordering::Relaxed) == 0 {
        sleep(FOR_EVER);
    }
    while read_head(&mut s) && answer(&mut s, OK) {}
}

fn head_only(mut s: std::net::TcpStream) {
    read_head(&mut s);
    answer(&mut s, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    sleep(FOR_EVER);
}

fn pauses_once(mut s: std::net::TcpStream) {
    static BEGUN: Mutex<Option<Instant>> = Mutex::new(None);
    let (from, to) = (Duration::from_secs(1), Duration::from_millis(2500));
    while read_head(&mut s) {
        let since = BEGUN.lock().unwrap().get_or_insert_with(Instant::now).elapsed();
        if since > from && since < to {
            sleep(to.saturating_sub(since));
        }
        if !answer(&mut s, OK) {
            return;
        }
    }
}

fn collects_garbage(mut s: std::net::TcpStream) {
    static BEGUN: Mutex<Option<Instant>> = Mutex::new(None);
    while read_head(&mut s) {
        let since = BEGUN.lock().unwrap().get_or_insert_with(Instant::now).elapsed();
        sleep(Duration::from_millis(50).saturating_sub(Duration::from_nanos(u64::from(since.subsec_nanos()))));
        if !answer(&mut s, OK) {
            return;
        }
    }
}

fn one_second(mut s: std::net::TcpStream) {
    while read_head(&mut s) {
        sleep(Duration::from_secs(1));
        if !answer(&mut s, OK) {
            return;
        }
    }
}
