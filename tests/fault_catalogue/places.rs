//! Targets with places for some connections, SYNs that something drops, refusals for a part of the run, statuses, and
//! answers without an end.

use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sockbench::testing::model::FindingId::{
    HostContended, SlowConnects, TargetBacklogOverflow, TargetConnectionLimit, TargetErrors, TargetForbidsKeepalive, TargetHangs,
    TargetQueueing, TargetRefused, TargetResets, TargetStalled, TargetTimeouts, UsersNotReached,
};
use sockbench::testing::model::VerdictId;

use crate::check::{Case, Check, ROW};
use crate::peers::{OK, answer, answer_part, good, peer, read_head};
use crate::rig::{LISTEN, load, load_by, server};

const TOO_MANY: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const WITHOUT_LENGTH: &str = "HTTP/1.1 200 OK\r\n\r\nhello";
const WITHOUT_LAST_CHUNK: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
/// Longer than any row.
const FOR_EVER: Duration = Duration::from_secs(30);

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "two threads for ten kept connections",
        expected: Some(TargetConnectionLimit),
        run: || {
            threads(2, 1024);
            load("/", &["--conns", "10", "--think", "20ms", "--duration", "3s"])
        },
        check: |c| {
            served(c, 2, 8);
            c.is("accept_queue", 8.0);
        },
        ..ROW
    },
    Case {
        name: "one thread for twenty kept connections, a backlog of 5",
        expected: Some(TargetConnectionLimit),
        // 13 of the 20 find no room in the backlog either.
        also: &[TargetBacklogOverflow, UsersNotReached],
        run: || {
            threads(1, 5);
            load("/", &["--conns", "20", "--think", "20ms", "--duration", "4s"])
        },
        check: |c| c.is("served", 1.0),
        ..ROW
    },
    Case {
        name: "two threads for ten kept connections, a timeout inside the run",
        expected: Some(TargetConnectionLimit),
        also: &[TargetTimeouts],
        run: || {
            threads(2, 1024);
            load("/", &["--conns", "10", "--think", "20ms", "--duration", "5s", "--timeout", "1500ms"])
        },
        check: |c| {
            served(c, 2, 8);
            c.counts("timed_out", c.run.totals.failures);
        },
        ..ROW
    },
    Case {
        name: "all ten connections accepted, workers for three",
        expected: Some(TargetConnectionLimit),
        run: || {
            peer(three_workers);
            load("/", &["--conns", "10", "--think", "20ms", "--duration", "3s"])
        },
        check: |c| {
            served(c, 3, 7);
            c.is("accept_queue", 0.0);
        },
        ..ROW
    },
    Case {
        name: "healthy: ten threads for ten kept connections",
        run: || {
            threads(10, 1024);
            load("/", &["--conns", "10", "--think", "20ms", "--duration", "3s"])
        },
        check: |c| c.same("failures", (c.run.totals.failures, c.run.totals.local_failures), (0, 0)),
        ..ROW
    },
    Case {
        name: "four connections kept of twenty, idle ones ended for new ones",
        expected: Some(TargetResets),
        also: &[TargetForbidsKeepalive],
        run: || {
            keeps(4);
            load("/", &["--conns", "20", "--think", "20ms", "--duration", "3s"])
        },
        check: |c| {
            c.between("open_at_the_end", 1.0, 5.0);
            c.between("kept_at_a_time", 1.0, 5.0);
            failing(c, "at a time for 20 users");
            c.that("on reused connections", c.run.totals.failures > 0);
        },
        ..ROW
    },
    Case {
        name: "room in the backlog, never accepting",
        expected: Some(TargetHangs),
        run: || {
            let listener = listener(1024);
            std::thread::spawn(move || {
                let _open = listener;
                sleep(FOR_EVER);
            });
            load("/", &["--conns", "10", "--duration", "5s"])
        },
        check: |c| {
            c.is("accept_queue", 10.0);
            c.is("in_flight_at_end", 10.0);
            let said = c.run.verdict.sentence.clone();
            c.that(&format!("{said:?} says so"), said.starts_with("target not accepting: 10 connections were established"));
        },
        ..ROW
    },
    Case {
        name: "a filter before the listener drops every third SYN or so",
        expected: Some(SlowConnects),
        run: || {
            drops_syns();
            load("/", &["--no-keepalive", "--conns", "20", "--think", "50ms", "--duration", "5s"])
        },
        check: |c| {
            c.between("setups_retried", 3.0, 500.0);
            c.between("setup_max_ms", 950.0, 5000.0);
            c.that("the headline says so", c.run.verdict.sentence.starts_with("slow connects"));
        },
        ..ROW
    },
    Case {
        name: "refused for the first half second",
        expected: Some(TargetRefused),
        run: || {
            std::thread::spawn(|| {
                sleep(Duration::from_millis(700));
                peer(good);
            });
            load("/", &["--conns", "4", "--think", "20ms", "--duration", "4s"])
        },
        check: |c| {
            c.failure("connect", Some(111), Some(10061));
            c.between("last_s", 0.0, 1.2);
            failing(c, "nothing listened yet");
        },
        ..ROW
    },
    Case {
        name: "refused now and then",
        expected: Some(TargetRefused),
        // Connections that it has not accepted end with its listener.
        also: &[TargetResets],
        run: || {
            comes_and_goes(Duration::from_millis(600));
            load("/", &["--no-keepalive", "--conns", "4", "--think", "20ms", "--duration", "5s"])
        },
        check: |c| {
            c.failure("connect", Some(111), Some(10061));
            failing(c, "now and then");
        },
        ..ROW
    },
    Case {
        name: "half of the answers a 429 with Retry-After",
        expected: Some(TargetErrors),
        run: || {
            peer(every_second_refused);
            load("/", &["--conns", "4", "--think", "20ms", "--duration", "3s"])
        },
        check: |c| {
            c.failure("http", None, None);
            c.between("share", 0.45, 0.55);
            c.word("limit_fields", "Retry-After: 5");
            failing(c, "429 Too Many Requests");
        },
        ..ROW
    },
    Case {
        name: "every answer a 404",
        expected: Some(TargetErrors),
        run: || {
            peer(|mut s| while read_head(&mut s) && answer(&mut s, NOT_FOUND) {});
            load("/", &["--conns", "4", "--think", "20ms", "--duration", "2s"])
        },
        check: |c| {
            c.is("share", 1.0);
            failing(c, "every answer was 404 Not Found");
        },
        ..ROW
    },
    Case {
        name: "answers without a length on connections that stay open",
        expected: Some(TargetHangs),
        run: || {
            peer(|s| begins(s, WITHOUT_LENGTH));
            load("/", &["--conns", "3", "--duration", "2s"])
        },
        check: |c| {
            c.is("with_part_of_an_answer", 3.0);
            failing(c, "no length is given");
        },
        ..ROW
    },
    Case {
        name: "answers without their last chunk",
        expected: Some(TargetHangs),
        run: || {
            peer(|s| begins(s, WITHOUT_LAST_CHUNK));
            load("/", &["--conns", "3", "--duration", "2s"])
        },
        check: |c| {
            c.is("with_part_of_an_answer", 3.0);
            failing(c, "the last chunk is missing");
        },
        ..ROW
    },
    Case {
        name: "answers without their last chunk, a timeout inside the run",
        expected: Some(TargetTimeouts),
        also: &[TargetHangs, TargetStalled],
        run: || {
            peer(|s| begins(s, WITHOUT_LAST_CHUNK));
            load("/", &["--conns", "3", "--duration", "2s", "--timeout", "500ms"])
        },
        check: |c| failing(c, "the last chunk is missing"),
        ..ROW
    },
    Case {
        name: "one worker for 16 users on a machine that others use",
        expected: Some(TargetQueueing),
        also: &[HostContended],
        alone: true,
        rivals: true,
        run: || {
            let _server = server(&["--io-workers", "1", "--cpu-workers", "1"]);
            let rivals = "timeout 6 sh -c 'while :; do :; done' & ".repeat(4);
            let shell = format!("{rivals} exec \"$@\"");
            load_by(&["sh", "-c", &shell, "client"], "/io?ms=20", &["--conns", "16", "--duration", "4s"])
        },
        check: |c| {
            c.that("queue longer than the work", c.run.verdict.id == VerdictId::TargetBound);
            let (queue, work) = (c.number("queue_p50_ms"), c.number("work_p50_ms"));
            c.that("as many wait as there are users", queue > 5.0 * work);
        },
        ..ROW
    },
];

fn served(c: &mut Check<'_>, served: u32, waiting: u32) {
    c.is("served", served);
    c.is("waiting", waiting);
    c.that("the served ones are served", c.run.totals.requests > 100);
}

/// The headline says this, and not that the target is gone or slow.
fn failing(c: &mut Check<'_>, words: &str) {
    let verdict = &c.run.verdict;
    let holds = verdict.id == VerdictId::TargetFailing && verdict.sentence.contains(words);
    let said = verdict.sentence.clone();
    c.that(&format!("{words:?} in {said:?}"), holds);
}

/// So many threads, each of which serves one connection to its end.
fn threads(n: usize, backlog: i32) {
    let listener = listener(backlog);
    for _ in 0..n {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                good(stream);
            }
        });
    }
}

fn listener(backlog: i32) -> TcpListener {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&LISTEN.parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(backlog).unwrap();
    socket.into()
}

/// The first three connections have a worker each.
fn three_workers(s: TcpStream) {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    if TAKEN.fetch_add(1, Ordering::Relaxed) < 3 {
        good(s);
    } else {
        sleep(FOR_EVER);
    }
}

/// Ends the connection that was accepted first when there are more than `n`, as servers do at their limit.
fn keeps(n: usize) {
    let listener = listener(1024);
    std::thread::spawn(move || {
        let mut open = std::collections::VecDeque::new();
        for stream in listener.incoming().flatten() {
            open.push_back(stream.try_clone().unwrap());
            std::thread::spawn(move || good(stream));
            if open.len() > n {
                let _ = open.pop_front().map(|oldest| oldest.shutdown(std::net::Shutdown::Both));
            }
        }
    });
}

/// A socket filter of the kernel on the listener: it lets everything pass but a third of the SYNs.
fn drops_syns() {
    use socket2::SockFilter;
    const SYN: u32 = 0x02;
    /// SKF_AD_OFF + SKF_AD_RANDOM
    const RANDOM: u32 = (-0x1000_i32 + 56) as u32;
    let op = |code: u16, jt: u8, jf: u8, k: u32| SockFilter::new(code, jt, jf, k);
    let listener = listener(1024);
    socket2::SockRef::from(&listener)
        .attach_filter(&[
            // The flags of the TCP header; a SYN alone goes on.
            op(0x30, 0, 0, 13),
            op(0x15, 0, 3, SYN),
            op(0x20, 0, 0, RANDOM),
            op(0x35, 0, 1, u32::MAX / 3 * 2),
            op(0x06, 0, 0, 0),
            op(0x06, 0, 0, u32::MAX),
        ])
        .unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || good(stream));
        }
    });
}

/// Listens for `each`, is away for as long, three times; then it stays.
fn comes_and_goes(each: Duration) {
    std::thread::spawn(move || {
        for time in 0.. {
            let here = listener(1024);
            here.set_nonblocking(true).unwrap();
            let begun = Instant::now();
            while begun.elapsed() < each || time == 3 {
                match here.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        std::thread::spawn(move || good(stream));
                    }
                    Err(_) => sleep(Duration::from_millis(1)),
                }
            }
            drop(here);
            sleep(each);
        }
    });
}

fn every_second_refused(mut s: TcpStream) {
    static COUNT: Mutex<u64> = Mutex::new(0);
    while read_head(&mut s) {
        let n = {
            let mut count = COUNT.lock().unwrap();
            *count += 1;
            *count
        };
        if !answer(&mut s, if n.is_multiple_of(2) { OK } else { TOO_MANY }) {
            return;
        }
    }
}

/// Sends the beginning of an answer, and nothing more.
fn begins(mut s: TcpStream, text: &str) {
    while read_head(&mut s) && answer_part(&mut s, text) {}
    sleep(FOR_EVER);
}
