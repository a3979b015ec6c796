//! The client against scripted servers on loopback: every sample ends once, and failures keep their cause.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use procfs::net::TcpState;

use crate::scripted::{Scripted, keep_answering, plan, read_head, run};
use crate::until::until;
use sockbench::testing::load::Ended;
use sockbench::testing::model::{Call, Closer, ErrorRow, MixEntry, PortMode, PortRange, RunResult, Think};
use sockbench::testing::sys::Clock;
use sockbench::testing::sys::socket::{self, ConnectSpec};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The only row of the error table: call, errno name, count, reused.
fn only_error(r: &RunResult) -> (Call, &str, u64, bool) {
    let [ErrorRow { call, name, count, reused, .. }] = &r.errors[..] else { panic!("one kind of error: {:?}", r.errors) };
    (*call, name, *count, *reused)
}

#[test]
fn every_request_is_answered_and_counted_on_both_sides() {
    let server = Scripted::start(keep_answering);
    let mut p = plan(server.addr);
    p.requests = 2000;
    let (r, ended) = run(&p);
    let t = &r.totals;
    assert_eq!((t.attempts, t.requests, t.failures, t.local_failures, t.cut), (2000, 2000, 0, 0, 0));
    assert_eq!(server.answers.load(Ordering::SeqCst), 2000);
    assert_eq!((t.users_reached, t.connections_opened, ended), (4, 4, Ended::Planned));
    assert_eq!((r.closes.client, r.closes.server, r.closes.reset), (4, 0, 0));
}

#[test]
fn several_threads_share_the_attempts() {
    let server = Scripted::start(keep_answering);
    let mut p = plan(server.addr);
    (p.requests, p.threads, p.users) = (3000, 3, 7);
    let (r, _) = run(&p);
    assert_eq!((r.totals.requests, r.totals.users_reached), (3000, 7));
    assert_eq!(server.answers.load(Ordering::SeqCst), 3000);
}

#[test]
fn the_end_of_the_duration_cuts_what_is_in_flight() {
    let server = Scripted::start(|mut s, _| {
        read_head(&mut s);
        std::thread::park_timeout(Duration::from_secs(3));
    });
    let mut p = plan(server.addr);
    (p.requests, p.duration) = (0, Duration::from_millis(300));
    let (r, ended) = run(&p);
    assert_eq!((r.totals.requests, r.totals.cut, ended), (0, 4, Ended::Planned));
    assert!((r.duration_s - 0.3).abs() < 0.001);
}

#[test]
fn a_closed_port_is_refused_and_stops_the_run() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback");
    let mut p = plan(free);
    (p.requests, p.think) = (0, Think::uniform(Duration::from_millis(50), Duration::from_millis(50)));
    let (r, ended) = run(&p);
    assert!(matches!(ended, Ended::Refused(_)));
    assert!(r.duration_s < p.duration.as_secs_f64(), "it does not go on: {} s", r.duration_s);
    let (call, name, count, _) = only_error(&r);
    assert_eq!((call, name), (Call::Connect, "ECONNREFUSED"));
    assert_eq!((count, r.totals.connections_opened), (r.totals.requests, 0));
    assert!(r.totals.latency_ms.is_none(), "no latency of an answer");
}

#[test]
fn a_closed_port_is_not_hammered() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback");
    let mut p = plan(free);
    (p.requests, p.users) = (0, 2);
    let (r, ended) = run(&p);
    assert!(matches!(ended, Ended::Refused(_)));
    // After 0, 100, 300, 700 ms and so on, until the run is stopped: many thousands without a pause.
    assert!(r.totals.attempts < 100, "two users, {} attempts in {} s", r.totals.attempts, r.duration_s);
    let mut p = plan(free);
    (p.requests, p.users, p.rate, p.duration) = (0, 2, 1000.0, Duration::from_millis(500));
    let (r, _) = run(&p);
    let t = &r.totals;
    assert_eq!(t.attempts + t.never_started, 500, "what was due and found every user waiting is counted");
    assert!(t.attempts < 100, "{}", t.attempts);
}

#[test]
fn a_worker_whose_users_start_late_still_notices_the_refusal() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback");
    let mut p = plan(free);
    // The second thread's only user starts after 1.25 s, when the first has long been refused.
    (p.requests, p.users, p.threads, p.spawn_rate) = (0, 2, 2, 0.8);
    let (r, ended) = run(&p);
    assert!(matches!(ended, Ended::Refused(_)));
    assert!(r.duration_s < p.duration.as_secs_f64(), "it does not go on: {} s", r.duration_s);
}

#[test]
fn a_turn_of_many_connects_ends_with_the_run() {
    // 900 connects, several milliseconds of system calls, are due in the first turn of a run of one millisecond.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let mut p = plan(listener.local_addr().expect("bound"));
    (p.requests, p.users, p.duration) = (0, 900, Duration::from_millis(1));
    let (r, _) = run(&p);
    assert!(r.totals.attempts < 900, "{}", r.totals.attempts);
    assert_eq!(r.totals.attempts, r.totals.cut, "{:?}", r.errors);
}

#[test]
fn users_go_on_when_the_target_dies_in_the_middle() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("bound");
    let server = std::thread::spawn(move || {
        for _ in 0..10 {
            let (mut s, _) = listener.accept().expect("a client");
            read_head(&mut s);
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let mut p = plan(addr);
    (p.requests, p.keepalive, p.closer) = (26, false, Closer::Server);
    let (r, ended) = run(&p);
    server.join().expect("it answers ten");
    // On loopback connections are refused within the call: the user must come round again all the same.
    assert_eq!((r.totals.requests, r.totals.failures, ended), (26, 16, Ended::Planned), "{:?}", r.errors);
    assert!(r.duration_s < p.duration.as_secs_f64(), "it does not wait for its longest time: {} s", r.duration_s);
}

#[test]
fn eof_before_the_answer_on_a_fresh_connection() {
    let server = Scripted::start(|mut s, _| {
        read_head(&mut s);
    });
    let (r, _) = run(&plan(server.addr));
    assert_eq!(only_error(&r), (Call::Read, "EOF", 100, false));
    assert_eq!(r.closes.server, 100);
}

#[test]
fn a_reset_keeps_its_errno() {
    let server = Scripted::start(|mut s, _| {
        // One byte read, the rest left: close(2) sends an RST (RFC 2525 section 2.17).
        let _ = s.read(&mut [0]);
    });
    let (r, _) = run(&plan(server.addr));
    assert_eq!(only_error(&r), (Call::Read, "ECONNRESET", 100, false));
    assert_eq!(r.closes.reset, 100);
}

#[test]
fn a_truncated_body_is_malformed() {
    let server = Scripted::start(|mut s, _| {
        read_head(&mut s);
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let (r, _) = run(&plan(server.addr));
    assert_eq!(only_error(&r), (Call::Protocol, "TRUNCATED", 100, false));
}

#[test]
fn a_silent_server_times_out_while_waiting() {
    let server = Scripted::start(|mut s, _| {
        read_head(&mut s);
        let _ = s.read(&mut [0]);
    });
    let mut p = plan(server.addr);
    (p.requests, p.timeout) = (8, Duration::from_millis(100));
    let (r, _) = run(&p);
    assert_eq!(only_error(&r), (Call::Timeout, "TIMEOUT", 8, false));
    assert!(r.errors[0].message.contains("waiting"));
}

#[test]
fn statuses_are_failures_that_keep_the_connection() {
    let server = Scripted::start(|mut s, n| {
        while read_head(&mut s) {
            n.fetch_add(1, Ordering::SeqCst);
            let _ = s.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let (r, _) = run(&plan(server.addr));
    assert_eq!((r.totals.failures, r.totals.connections_opened), (100, 4));
    assert_eq!(r.count_errors(|e| e.call == Call::Http && e.name == "503"), 100);
    assert_eq!(r.endpoints[0].status.get("503"), Some(&100));
}

#[test]
fn an_idle_connection_that_the_server_closes_is_made_again_without_a_failure() {
    let server = Scripted::start(|mut s, _| {
        read_head(&mut s);
        let _ = s.write_all(OK);
        let _ = s.shutdown(Shutdown::Both);
    });
    let mut p = plan(server.addr);
    (p.requests, p.think) = (40, Think::uniform(Duration::from_millis(30), Duration::from_millis(30)));
    let (r, _) = run(&p);
    assert_eq!((r.totals.requests, r.totals.failures, r.totals.connections_opened), (40, 0, 40));
    assert_eq!(r.closes.server + r.closes.client, 40);
}

#[test]
fn the_closer_decides_who_closes_first() {
    let server = Scripted::start(|mut s, _| {
        while read_head(&mut s) {
            let _ = s.write_all(OK);
        }
    });
    let mut p = plan(server.addr);
    p.keepalive = false;
    let (r, _) = run(&p);
    assert_eq!((r.totals.requests, r.closes.client, r.totals.connections_opened), (100, 100, 100));
    assert!((1..=p.users).contains(&r.totals.users_reached), "at the same time: {}", r.totals.users_reached);
    p.closer = Closer::Reset;
    let (r, _) = run(&p);
    assert_eq!((r.totals.requests, r.closes.reset), (100, 100));
    let closing = Scripted::start(|mut s, _| {
        read_head(&mut s);
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    });
    p = plan(closing.addr);
    (p.keepalive, p.closer) = (false, Closer::Server);
    let (r, _) = run(&p);
    assert_eq!((r.totals.requests, r.totals.failures, r.closes.server), (100, 0, 100));
}

#[test]
fn whoever_sent_its_fin_first_closed_first() {
    const ENDS: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let announcing = |script: fn(TcpStream, &AtomicU64)| {
        let server = Scripted::start(script);
        let (r, _) = run(&plan(server.addr));
        assert_eq!((r.closes.announced_by_target, r.totals.failures), (100, 0), "{:?}", r.errors);
        (r.closes.client, r.closes.server, r.closes.reset)
    };
    // Answer and FIN leave in one segment, so the FIN is there when the answer is.
    let first = announcing(|mut s, _| {
        read_head(&mut s);
        let tcp = socket2::SockRef::from(&s);
        tcp.set_tcp_cork(true).expect("a TCP socket");
        let _ = s.write_all(ENDS);
        let _ = s.shutdown(Shutdown::Write);
        let _ = s.read(&mut [0]);
    });
    assert_eq!(first, (0, 100, 0), "the target");
    let second = announcing(|mut s, _| {
        read_head(&mut s);
        let _ = s.write_all(ENDS);
        // Ends at the client's FIN.
        let _ = s.read(&mut [0]);
    });
    assert_eq!(second, (100, 0, 0), "the client");
}

#[test]
fn a_second_run_passes_the_ports_that_the_first_left_held() {
    let server = Scripted::start(keep_answering);
    let mut p = plan(server.addr);
    // Without SO_REUSEADDR each port rests for T after its one connection: a test that was run a moment ago has those of
    // another address. Process ids have 22 bits.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    p.sources = vec![Ipv4Addr::new(127, 64 | high, middle, low).into()];
    (p.port_mode, p.keepalive) = (PortMode::Ring, false);
    (p.port_range, p.requests) = (Some(PortRange { lo: 22_000, hi: 23_199 }), 200);
    let (first, _) = run(&p);
    let (second, _) = run(&p);
    for r in [&first, &second] {
        assert_eq!((r.totals.requests, r.totals.local_failures), (200, 0), "{:?}", r.errors);
    }
    assert!(second.totals.ring_busy_skips > 0, "every busy port is counted");
}

#[test]
fn an_announced_close_is_counted() {
    let server = Scripted::start(|mut s, _| {
        read_head(&mut s);
        let _ = s.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let _ = s.read(&mut [0]);
    });
    let (r, _) = run(&plan(server.addr));
    assert_eq!((r.closes.announced_by_target, r.totals.connections_opened, r.totals.failures), (100, 100, 0));
}

#[test]
fn a_constant_rate_keeps_its_schedule_and_counts_what_it_could_not_start() {
    let server = Scripted::start(keep_answering);
    let mut p = plan(server.addr);
    (p.requests, p.rate, p.duration) = (0, 200.0, Duration::from_secs(1));
    let (r, _) = run(&p);
    let t = &r.totals;
    assert_eq!(t.attempts + t.never_started, 200);
    assert_eq!((t.failures, t.never_started), (0, 0));
    let stuck = Scripted::start(|mut s, _| {
        read_head(&mut s);
        let _ = s.read(&mut [0]);
    });
    let mut p = plan(stuck.addr);
    (p.requests, p.rate, p.duration) = (0, 100.0, Duration::from_millis(500));
    let (r, _) = run(&p);
    assert_eq!((r.totals.cut, r.totals.attempts + r.totals.never_started), (4, 50));
}

#[test]
fn latency_of_a_constant_rate_counts_from_the_intended_start() {
    // One connection, 50 ms an answer, 100 due in a second: the later ones wait long before they start.
    let server = Scripted::start(|mut s, _| {
        while read_head(&mut s) {
            std::thread::park_timeout(Duration::from_millis(50));
            let _ = s.write_all(OK);
        }
    });
    let mut p = plan(server.addr);
    (p.requests, p.rate, p.duration, p.users) = (0, 100.0, Duration::from_secs(1), 1);
    let (r, _) = run(&p);
    let (both, service) = (r.totals.latency_ms.expect("answered"), r.totals.service_latency_ms.expect("open loop"));
    assert!(both.max > 300.0 && service.p50 < 100.0, "{both:?} {service:?}");
}

#[test]
fn the_ring_binds_the_ports_it_names() {
    let server = Scripted::start(keep_answering);
    let mut p = plan(server.addr);
    p.sources = vec![server.addr.ip()];
    (p.port_mode, p.reuse_addr, p.keepalive) = (PortMode::Ring, true, false);
    // Below the default ip_local_port_range, above the well-known ports.
    p.port_range = Some(PortRange { lo: 21_100, hi: 21_139 });
    (p.requests, p.users) = (400, 4);
    let (r, _) = run(&p);
    assert_eq!((r.totals.attempts, r.totals.requests, r.totals.local_failures), (400, 400, 0), "{:?}", r.errors);
}

#[test]
fn the_ring_passes_over_a_port_with_a_live_twin() {
    let server = Scripted::start(keep_answering);
    let mut p = plan(server.addr);
    p.sources = vec![server.addr.ip()];
    (p.port_mode, p.reuse_addr, p.keepalive) = (PortMode::Ring, true, false);
    (p.port_range, p.users, p.requests) = (Some(PortRange { lo: 21_200, hi: 21_219 }), 1, 100);
    let (local, port, reuse_addr) = (Some(server.addr.ip()), Some(21_205), true);
    let twin = ConnectSpec { port_mode: PortMode::Ring, local, port, reuse_addr, ..ConnectSpec::default() };
    let held = socket::connect(&twin, server.addr, &Clock::start()).expect("the port is free");
    let (r, _) = run(&p);
    // bind(2) passes by SO_REUSEADDR, connect(2) is EADDRNOTAVAIL: once a round, five rounds.
    assert_eq!((r.totals.requests, r.totals.failures, r.totals.local_failures), (100, 0, 0), "{:?}", r.errors);
    assert!(r.totals.ring_busy_skips >= 5, "passed over, and counted: {}", r.totals.ring_busy_skips);
    drop(held);
}

#[test]
fn a_busy_port_of_the_ring_is_an_own_failure_with_its_call() {
    let server = Scripted::start(keep_answering);
    let held = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = held.local_addr().expect("bound").port();
    let mut p = plan(server.addr);
    p.sources = vec![server.addr.ip()];
    (p.port_mode, p.port_range, p.users) = (PortMode::Ring, Some(PortRange { lo: port, hi: port }), 1);
    (p.requests, p.think) = (5, Think::uniform(Duration::from_millis(10), Duration::from_millis(10)));
    let (r, ended) = run(&p);
    assert_eq!(only_error(&r), (Call::Bind, "EADDRINUSE", 5, false));
    assert_eq!((r.totals.local_failures, r.totals.requests), (5, 0));
    assert_eq!(r.errors[0].windows_code, Some(10048));
    assert!(matches!(ended, Ended::Refused(_)));
}

#[test]
fn the_mix_is_kept_in_proportion() {
    let server = Scripted::start(keep_answering);
    let mut p = plan(server.addr);
    p.mix = [("/a", 70), ("/b", 30)].map(|(path, weight)| MixEntry { path: path.into(), weight }).to_vec();
    p.requests = 4000;
    let (r, _) = run(&p);
    let a = r.endpoints.iter().find(|e| e.name == "/a").expect("named").requests;
    assert!((2600..3000).contains(&a), "{a} of 4000 with weight 70 of 100");
}

#[test]
fn nothing_of_a_partial_write_is_lost() {
    // Numbers of eight digits: no part is like another. Twice what a connection's buffers take: it goes in three parts or more.
    let body = (0..3_000_000).map(|n| format!("{n:08}")).collect::<Vec<_>>().concat();
    let expected = body.clone();
    let server = Scripted::start(move |mut s, n| {
        let (mut all, mut buf) = (Vec::new(), [0u8; 16_384]);
        let whole =
            |all: &[u8]| all.windows(4).take(1000).position(|w| w == b"\r\n\r\n").map_or(usize::MAX, |at| at + 4 + 24_000_000);
        while all.len() < whole(&all) {
            match s.read(&mut buf) {
                Ok(n) if n > 0 => all.extend_from_slice(&buf[..n]),
                _ => return,
            }
        }
        if !all.ends_with(expected.as_bytes()) {
            return;
        }
        n.fetch_add(1, Ordering::SeqCst);
        let _ = s.write_all(OK);
        let _ = s.read(&mut buf);
    });
    let mut p = plan(server.addr);
    p.body = body.as_str().into();
    (p.requests, p.users, p.method) = (1, 1, "POST".into());
    let (r, _) = run(&p);
    assert_eq!((r.totals.requests, r.totals.failures), (1, 0), "{:?}", r.errors);
    assert!(r.totals.bytes_out > 24_000_000);
}

#[test]
fn large_answers_to_several_users_of_one_thread_are_read_to_their_end() {
    // Answers that the kernel has whole, while the thread reads those of other users: more than one turn reads, and no edge
    // comes for the rest.
    let server = Scripted::start(|mut s, _| {
        s.set_nodelay(true).expect("a TCP socket");
        let answer = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec(), vec![b'x'; 1_000_000]].concat();
        while read_head(&mut s) && s.write_all(&answer).is_ok() {}
    });
    let mut p = plan(server.addr);
    (p.requests, p.threads) = (400, 1);
    let (r, _) = run(&p);
    assert_eq!((r.totals.requests, r.totals.failures), (400, 0), "{:?}", r.errors);
    assert!(r.totals.bytes_in > 400_000_000);
}

#[test]
fn a_connect_that_is_refused_later_keeps_its_errno() {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("loopback");
    listener.listen(0).expect("a listener");
    let addr = listener.local_addr().ok().and_then(|a| a.as_socket()).expect("bound");
    // It has room for one. The SYN of a second one is dropped, sent again after a second, and answered by a reset then.
    let first = TcpStream::connect(addr).expect("room for one");
    let mut p = plan(addr);
    (p.requests, p.users) = (1, 1);
    let (r, _) = std::thread::scope(|scope| {
        let load = scope.spawn(|| run(&p));
        until("a SYN waits", || {
            let all = procfs::net::tcp().expect("/proc/net/tcp");
            all.iter().any(|e| e.remote_address == addr && e.state == TcpState::SynSent)
        });
        drop(listener);
        load.join().expect("it ends")
    });
    drop(first);
    assert_eq!(only_error(&r), (Call::Connect, "ECONNREFUSED", 1, false));
    assert!(r.errors[0].so_error && r.totals.connections_opened == 0);
}
