//! `sockbench server` on the wire, as its peers see it: requests of every kind, slow and rude clients. Only the
//! process's command line and sockets are used, so that these tests outlive every change of its inside.

use std::time::Duration;

use sockbench::testing::model::Stamp;
use sockbench::testing::sys::{Clock, sleep};

use crate::served::{Peer, Served};
use crate::until::{PATIENCE, until};
use std::io::ErrorKind;

fn status_and_end(served: &Served, bytes: &str) -> (u16, bool) {
    let mut peer = served.connect();
    peer.send(bytes);
    let got = peer.answer();
    (got.status, got.closes() && peer.is_at_end())
}

#[test]
fn what_breaks_the_rules_is_refused_and_the_connection_ends() {
    let served = Served::start(&[]);
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000));
    let endless_target = format!("GET /{}", "a".repeat(9000));
    let head = format!("GET /health HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(33_000));
    let fields = format!("GET /health HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100));
    let extension = format!("GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;{}\r\n", "a".repeat(2000));
    let start = "GET /health HTTP/1.1\r\nHost: a\r\n";
    let chunked = "GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (bytes, status) in [
        ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400),
        ("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /health HTTP/1.1\nHost: a\n\n", 400),
        ("GET /health HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
        ("GET /health HTTP/0.9\r\n\r\n", 505),
        ("GET /health HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        ("GET /health HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET /health http/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET health HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (&target, 414),
        (&endless_target, 414),
        (&head, 431),
        (&fields, 431),
        ("GET /health HTTP/1.1\r\n\r\n", 400),
        (&[start, "Host: a\r\n\r\n"].concat(), 400),
        ("GET /health HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (&[start, " folded: 1\r\n\r\n"].concat(), 400),
        (&[start, "X: a\rb\r\n\r\n"].concat(), 400),
        (&[start, "X: a\0b\r\n\r\n"].concat(), 400),
        (&[start, "X : a\r\n\r\n"].concat(), 400),
        (&[start, "no colon\r\n\r\n"].concat(), 400),
        (&[start, "Content-Length: -1\r\n\r\n"].concat(), 400),
        (&[start, "Content-Length: +1\r\n\r\nx"].concat(), 400),
        (&[start, "Content-Length: 1, 1\r\n\r\nx"].concat(), 400),
        (&[start, "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"].concat(), 400),
        (&[start, "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"].concat(), 400),
        (&[start, "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"].concat(), 501),
        (&[start, "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"].concat(), 501),
        (&[start, "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"].concat(), 400),
        ("GET /health HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (&[start, "Content-Length: 99999999999\r\n\r\n"].concat(), 413),
        (&[chunked, "7fffffff\r\nabc"].concat(), 413),
        (&[chunked, "\r\n"].concat(), 400),
        (&[chunked, "3 \r\nabc\r\n0\r\n\r\n"].concat(), 400),
        (&[chunked, "0x3\r\nabc\r\n0\r\n\r\n"].concat(), 400),
        (&[chunked, "3\nabc\r\n0\r\n\r\n"].concat(), 400),
        (&[chunked, "3\r\nabcd\r\n0\r\n\r\n"].concat(), 400),
        (&[chunked, "0\r\nno colon\r\n\r\n"].concat(), 400),
        (&extension, 400),
        (&[start, "Expect: tea\r\n\r\n"].concat(), 417),
    ] {
        assert_eq!(
            status_and_end(&served, bytes),
            (status, true),
            "{}",
            bytes.chars().take(120).collect::<String>().escape_debug()
        );
    }
    assert_eq!(served.connect().get("/health").answer().status, 200, "others are not affected");
}

#[test]
fn what_is_only_unknown_leaves_the_connection_usable() {
    let served = Served::start(&[]);
    let mut peer = served.connect();
    for (bytes, status) in [
        ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405),
        ("OPTIONS /io HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("GET /io?ms=nonsense HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /io?ms=99999999 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET http://host:1/health?a=b HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("\r\nGET /health?x=/%20 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
        ("GET /health HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 200),
        ("GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n0\r\nT: 1\r\n\r\n", 200),
    ] {
        let got = peer.send(bytes).answer();
        assert_eq!((got.status, got.closes()), (status, false), "{}", bytes.escape_debug());
        assert_eq!(status == 405, got.head.contains("\r\nAllow: GET, HEAD\r\n"), "{}", got.head);
    }
    peer.send("HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(peer.answer_to("HEAD").head.contains("\r\nContent-Length: 21\r\n"));
    assert_eq!(served.connect().send("BREW /health HTTP/1.1\r\nHost: a\r\n\r\n").answer().status, 501);
    let old = peer.send("GET /health HTTP/1.0\r\n\r\n").answer();
    assert!(old.status == 200 && peer.is_at_end());
}

#[test]
fn bodies_have_their_sizes_and_jobs_their_times() {
    let served = Served::start(&["--io-sleep", "20ms"]);
    let mut peer = served.connect();
    for (target, length, timed) in [("/health", 21, false), ("/io", 24, true), ("/cpu", 33, true)] {
        let got = peer.get(target).answer();
        assert_eq!((got.status, got.body.len()), (200, length), "{target}");
        assert!(got.body.starts_with('{') && got.body.trim_end().ends_with('}'), "{}", got.body);
        assert_eq!(got.head.contains("\r\nServer-Timing: queue;dur="), timed, "{}", got.head);
    }
}

#[test]
fn expect_100_continue() {
    let served = Served::start(&[]);
    let mut peer = served.connect();
    peer.send("GET /health HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(peer.answer().status, 100);
    assert_eq!(peer.send("abc").answer().status, 200);
    peer.send("GET /health HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n");
    assert_eq!(peer.answer().status, 413, "no 100 for a body that is not wanted");
    assert!(peer.is_at_end());
}

#[test]
fn a_thousand_pipelined_requests_in_one_write() {
    let served = Served::start(&["--io-sleep", "10ms"]);
    let mut peer = served.connect();
    let targets: Vec<&str> = (0..1000)
        .map(|i| match i % 100 {
            0 => "/io",
            1 => "/cpu",
            n if n % 3 == 0 => "/nothing",
            _ => "/health",
        })
        .collect();
    let all: Vec<String> = targets.iter().map(|t| format!("GET {t} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    peer.send(all.concat());
    for target in targets {
        let got = peer.answer();
        let expected = match target {
            "/io" => 24,
            "/cpu" => 33,
            "/health" => 21,
            _ => got.body.len(),
        };
        assert_eq!((got.status == 404, got.body.len()), (target == "/nothing", expected));
    }
}

#[test]
fn one_that_pipelines_and_reads_nothing_is_not_read_from_for_ever() {
    let served = Served::start(&[]);
    let peer = served.connect();
    let before = served.rss_bytes();
    peer.stream.set_nonblocking(true).expect("nonblocking");
    let part = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let start = Clock::start();
    let mut stuck = 0;
    while stuck < 20 && start.now().since(Stamp::ZERO) < PATIENCE {
        if std::io::Write::write(&mut &peer.stream, part.as_bytes()).is_ok() {
            stuck = 0;
        } else {
            stuck += 1;
            sleep(Duration::from_millis(10));
        }
    }
    assert_eq!(stuck, 20, "backpressure reaches the client");
    assert!(served.rss_bytes() < before + (4 << 20), "{} -> {}", before, served.rss_bytes());
    assert_eq!(served.connect().get("/health").answer().status, 200);
}

#[test]
fn half_closed_after_the_request_the_answer_comes() {
    let served = Served::start(&["--io-sleep", "100ms"]);
    for target in ["/health", "/io", "/cpu"] {
        let mut peer = served.connect();
        assert_eq!(peer.get(target).half_close().answer().status, 200, "{target}");
        assert!(peer.is_at_end());
    }
    let mut peer = served.connect();
    peer.get("/io").get("/health").get("/io").half_close();
    assert_eq!([peer.answer().status, peer.answer().status, peer.answer().status], [200; 3]);
    assert!(peer.is_at_end());
}

#[test]
fn a_refusal_reaches_a_client_that_goes_on_sending() {
    let served = Served::start(&[]);
    let mut peer = served.connect();
    peer.send("POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n");
    for _ in 0..12 {
        peer.send([b'x'; 16 * 1024]);
    }
    assert_eq!(peer.answer().status, 413, "and not an RST");
}

#[test]
fn dripped_heads_and_stalled_bodies_are_408_and_idle_ones_end_in_silence() {
    let flags = ["--header-timeout", "400ms", "--body-timeout", "300ms", "--idle-timeout", "500ms"];
    let served = Served::start(&flags);
    let mut dripping = served.connect();
    let start = Clock::start();
    while dripping.send("G").is_silent(Duration::from_millis(50)) {
        assert!(start.now().since(Stamp::ZERO) < PATIENCE, "further bytes win no time");
    }
    assert!(start.now().since(Stamp::ZERO) >= Duration::from_millis(400));
    assert_eq!(dripping.answer().status, 408);
    let mut stalled = served.connect();
    stalled.send("GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    assert_eq!(stalled.answer().status, 408);
    assert!(stalled.is_at_end());
    let mut idle = served.connect();
    assert_eq!(idle.get("/health").answer().status, 200);
    assert!(idle.is_at_end());
    assert!(served.connect().is_at_end(), "also before the first request");
}

/// More connections than one turn takes events: none is late before its request was looked at.
#[test]
fn requests_that_came_while_the_server_stood_still_are_answered() {
    let idle = Duration::from_secs(3);
    for busy_poll in ["off", "on"] {
        let served = Served::start(&["--idle-timeout", "3s", "--busy-poll", busy_poll]);
        let mut peers: Vec<Peer> = (0..300).map(|_| served.connect()).collect();
        served.signal("STOP");
        for peer in &mut peers {
            peer.get("/health");
        }
        sleep(idle + Duration::from_secs(1));
        served.signal("CONT");
        for (i, peer) in peers.iter_mut().enumerate() {
            assert_eq!(peer.answer().status, 200, "{i}, --busy-poll {busy_poll}");
        }
    }
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let served = Served::start(&["--write-timeout", "300ms", "--admin", "127.0.0.1:0"]);
    let mut peer = served.connect();
    // More answers than both socket buffers hold.
    peer.stream.set_write_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let part = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let start = Clock::start();
    let error = loop {
        if let Err(e) = std::io::Write::write_all(&mut peer.stream, part.as_bytes()) {
            break e;
        }
        assert!(start.now().since(Stamp::ZERO) < PATIENCE, "the server goes on taking requests");
    };
    let let_go = matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
    assert!(let_go, "it was let go, not only blocked: {error}");
}

#[test]
fn a_full_queue_is_503_at_once_and_others_are_not_affected() {
    let served = Served::start(&["--io-workers", "1", "--queue", "1", "--admin", "127.0.0.1:0"]);
    let mut peers: Vec<Peer> = (0..3).map(|_| served.connect()).collect();
    peers[0].get("/io?ms=1500");
    // The first one is at work before the second one queues, or the second would be the one refused.
    until("the first one is at work", || served.counter("sockbench_pool_busy{pool=\"io\"}") == 1);
    peers[1].get("/io?ms=1");
    until("the second one waits", || served.counter("sockbench_pool_queue_depth{pool=\"io\"}") == 1);
    let full = peers[2].get("/io?ms=1").answer();
    assert_eq!(full.status, 503);
    assert!(full.head.contains("\r\nRetry-After: ") && !full.closes(), "{}", full.head);
    assert_eq!(peers[2].get("/health").answer().status, 200);
    assert_eq!(peers[2].get("/cpu").answer().status, 200, "the other pool has room");
    assert!(peers[0].is_silent(Duration::from_millis(1)), "all that while the first one is at work");
    assert_eq!([peers[0].answer().status, peers[1].answer().status], [200, 200]);
}

#[test]
fn a_completion_for_a_client_that_left_reaches_nobody() {
    let served = Served::start(&["--io-workers", "4"]);
    for _ in 0..20 {
        let mut gone = served.connect();
        gone.get("/io?ms=60").is_read();
        gone.reset();
        // Takes the same place in the table of connections.
        let mut next = served.connect();
        assert_eq!(next.get("/health").answer().body.len(), 21);
        assert!(next.is_silent(Duration::from_millis(90)));
        assert_eq!(next.get("/cpu").answer().body.len(), 33);
    }
}
