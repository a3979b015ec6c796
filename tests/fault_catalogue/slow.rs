//! Nothing fails, but something is short: the client's CPU, users, the asked rate, the target's workers.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use sockbench::testing::model::FindingId::{GeneratorSaturated, HostContended, SlowBodies, TargetQueueing, UsersNotReached};

use sockbench::testing::model::VerdictId;

use crate::check::{Case, Check, ROW};
use crate::peers::{OK, answer, answer_part, peer, read_head};
use crate::rig::{cannot, load, load_by, server};

/// Processes that share the client's core.
const RIVALS: usize = 3;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "answers in 16384 chunks: all work is the client's",
        expected: Some(GeneratorSaturated),
        alone: true,
        run: || {
            peer(many_chunks);
            load("/", &["--conns", "8", "--duration", "4s"])
        },
        check: saturated,
        ..ROW
    },
    Case {
        name: "the same on one core with three busy rivals",
        expected: Some(HostContended),
        also: &[GeneratorSaturated],
        alone: true,
        rivals: true,
        run: || {
            let cores = sockbench::testing::sys::cores();
            let [_, .., last] = cores[..] else { cannot("one core only: client and target cannot have one each") };
            let last = last.to_string();
            peer(many_chunks);
            // Not as children of this process, which is the target: they would be the target's CPU.
            let rivals = "timeout 7 sh -c 'while :; do :; done' & ".repeat(RIVALS);
            let shell = format!("{rivals} exec \"$@\"");
            load_by(&["taskset", "-c", &last, "sh", "-c", &shell, "client"], "/", &["--conns", "8", "--duration", "4s"])
        },
        check: |c| {
            c.word("waiting", "client");
            c.between("others_cpu_percent", 50.0, 250.0);
            let worker = c.run.resources.client.threads.iter().find(|t| t.name == "load-0");
            c.that("it waited longer than it ran", worker.is_some_and(|t| t.wait_s > t.cpu_s));
            // It always had something to do, so it is the limit whatever part of a core it got.
            let limit = c.run.findings.iter().find(|f| f.id == GeneratorSaturated);
            c.that("the client is the limit, because of others", limit.is_some_and(|f| f.caused_by == [HostContended]));
            c.that("others are the headline", c.run.verdict.id == VerdictId::HostBound);
        },
        ..ROW
    },
    Case {
        name: "a body of 8 bytes in eight pieces over 800 ms",
        run: || {
            peer(trickles);
            load("/", &["--conns", "20", "--duration", "4s"])
        },
        check: |c| {
            let slow = c.run.findings.iter().find(|f| f.id == SlowBodies);
            let of = |key: &str| slow.and_then(|f| f.evidence.get(key)?.as_f64()).unwrap_or(0.0);
            c.that(
                "the body's time is named",
                of("body_ms") >= 700.0 && of("first_byte_ms") < 100.0 && of("content_size_mean") == 8.0,
            );
        },
        ..ROW
    },
    Case {
        name: "ramp longer than the run",
        expected: Some(UsersNotReached),
        run: || {
            let _server = server(&[]);
            load("/health", &["--conns", "100", "--spawn-rate", "10", "--think", "100ms", "--duration", "3s"])
        },
        check: |c| {
            c.is("users_asked", 100.0);
            c.between("users_started", 28.0, 31.0);
            c.between("users_reached", 28.0, 31.0);
        },
        ..ROW
    },
    Case {
        name: "four connections for 100/s of 200 ms",
        expected: Some(UsersNotReached),
        run: || {
            peer(slow);
            load("/", &["--conns", "4", "--rate", "100", "--duration", "3s"])
        },
        check: |c| {
            c.is("rate_asked", 100.0);
            c.between("rate_achieved", 10.0, 22.0);
            let t = &c.run.totals;
            c.counts("never_started", t.never_started);
            c.that("none is forgotten", (t.attempts + t.never_started).abs_diff(300) <= 5);
        },
        ..ROW
    },
    Case {
        name: "one worker for 16 users, by Server-Timing",
        expected: Some(TargetQueueing),
        run: || {
            let _server = server(&["--io-workers", "1", "--cpu-workers", "1"]);
            load("/io?ms=20", &["--conns", "16", "--duration", "3s"])
        },
        check: |c| {
            // Fifteen wait for 20 ms each.
            c.between("queue_p50_ms", 250.0, 400.0);
            c.between("work_p50_ms", 20.0, 30.0);
            let (queue, work) = (c.number("queue_p50_ms"), c.number("work_p50_ms"));
            c.between("latency_p50_ms", queue, (queue + work) * 1.1);
            c.counts("requests", c.run.totals.requests);
        },
        ..ROW
    },
    Case {
        name: "one worker for a ramp to 20 users, without Server-Timing",
        expected: Some(TargetQueueing),
        run: || {
            peer(one_at_a_time);
            load("/", &["--conns", "20", "--spawn-rate", "2", "--duration", "15s"])
        },
        check: |c| {
            c.between("users_before", 7.0, 13.0);
            c.between("users_after", 19.0, 20.0);
            // A worker that takes 20 ms makes 50/s at most, however many wait.
            c.between("rps_before", 25.0, 51.0);
            c.between("rps_after", 25.0, 51.0);
            let (before, after) = (c.number("p50_ms_before"), c.number("p50_ms_after"));
            c.that("latency grew with the users", after >= 1.5 * before);
        },
        ..ROW
    },
];

/// The client is the limit, and the target has room.
fn saturated(c: &mut Check<'_>) {
    let r = &c.run.resources.client;
    c.counts("measured_seconds", u64::from(r.measured_seconds));
    c.counts("saturated_seconds", u64::from(r.saturated_seconds.unwrap_or(0)));
    c.that("most seconds", 2 * r.saturated_seconds.unwrap_or(0) > r.measured_seconds);
    c.word("busiest_thread", "load-0");
    c.between("target_busiest_thread_percent", 0.0, 90.0);
}

/// Nothing to make, much to read: each byte of the body is a chunk of its own.
fn many_chunks(mut s: std::net::TcpStream) {
    // A whole answer in one write, so that the peer never waits for a core in the middle of it.
    socket2::SockRef::from(&s).set_send_buffer_size(1 << 20).unwrap();
    let body = "1\r\na\r\n".repeat(16_384);
    let whole = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}0\r\n\r\n");
    while read_head(&mut s) && answer(&mut s, &whole) {}
}

/// The head at once, then a byte every 100 ms.
fn trickles(mut s: std::net::TcpStream) {
    s.set_nodelay(true).unwrap();
    while read_head(&mut s) && answer_part(&mut s, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n") {
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(100));
            if !answer_part(&mut s, "x") {
                return;
            }
        }
        crate::ledger::on_answer();
    }
}

/// 200 ms for every answer, whatever the load.
pub(crate) fn slow(mut s: std::net::TcpStream) {
    while read_head(&mut s) {
        std::thread::sleep(Duration::from_millis(200));
        if !answer(&mut s, OK) {
            return;
        }
    }
}

/// One worker that takes 20 ms for every answer, by the clock: late wake-ups of a busy machine do not add up.
fn one_at_a_time(mut s: std::net::TcpStream) {
    static FREE_AT: Mutex<Option<Instant>> = Mutex::new(None);
    while read_head(&mut s) {
        let done = {
            let mut free_at = FREE_AT.lock().unwrap();
            let now = Instant::now();
            let done = free_at.map_or(now, |t| t.max(now)) + Duration::from_millis(20);
            *free_at = Some(done);
            done
        };
        std::thread::sleep(done.saturating_duration_since(Instant::now()));
        if !answer(&mut s, OK) {
            return;
        }
    }
}
