//! `sockbench server` as a process: who closes, drains and signals, exit codes, descriptors, memory, counters. Only
//! its command line and sockets are used.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Barrier;
use std::time::Duration;

use sockbench::testing::model::Stamp;
use sockbench::testing::sys::{Clock, sleep};

use crate::loud;
use crate::served::{Peer, Served};
use crate::until::{read_by_peer, until};

#[test]
fn who_closes_first() {
    let served = Served::start(&["--keepalive", "off"]);
    let mut peer = served.connect();
    assert!(peer.get("/health").get("/health").answer().closes());
    assert!(peer.is_at_end(), "one answer, then the server's FIN");
    let served = Served::start(&["--keepalive", "off", "--closer", "client"]);
    let mut peer = served.connect();
    assert!(peer.get("/health").answer().closes());
    assert!(peer.is_silent(Duration::from_millis(700)), "the server waits for the client's FIN");
    assert!(peer.half_close().is_at_end());
}

#[test]
fn a_drain_answers_what_has_begun_and_what_waits_in_the_backlog() {
    let mut served = Served::start(&[]);
    let mut idle = served.connect();
    assert_eq!(idle.get("/health").answer().status, 200);
    let mut busy = served.connect();
    busy.get("/io?ms=2000");
    let mut half = served.connect();
    half.send("GET /health HTTP/1.1\r\n");
    busy.is_read();
    half.is_read();
    served.signal("STOP");
    let mut waiting = served.connect();
    waiting.get("/health");
    served.signal("TERM");
    served.signal("CONT");
    assert!(idle.is_at_end());
    let answer = waiting.answer();
    // It may be accepted just before the drain is seen: then the answer keeps the connection, and the drain ends it.
    assert!(answer.status == 200 && waiting.is_at_end(), "{answer:?}");
    half.send("Host: a\r\n\r\n");
    assert!(half.answer().closes() && half.is_at_end());
    assert!(TcpStream::connect(served.addr).is_err(), "the listener is closed");
    let answer = busy.answer();
    assert!(answer.status == 200 && answer.closes() && busy.is_at_end(), "{answer:?}");
    drop((idle, busy, half, waiting));
    assert_eq!(served.ended().code(), Some(0));
    assert!(!served.last_words().contains("drain-cut"), "not by a timeout");
}

#[test]
fn a_drain_answers_the_backlog_also_when_all_connections_are_taken() {
    let mut served = Served::start(&["--max-conns", "5"]);
    let mut kept: Vec<Peer> = (0..5).map(|_| served.connect()).collect();
    for peer in &mut kept {
        assert_eq!(peer.get("/health").answer().status, 200);
    }
    let mut waiting: Vec<Peer> = (0..3).map(|_| served.connect()).collect();
    for peer in &mut waiting {
        peer.get("/health");
    }
    served.signal("TERM");
    for mut peer in kept {
        assert!(peer.is_at_end(), "idle ones end, which makes room");
    }
    for mut peer in waiting {
        let answer = peer.answer();
        assert!(answer.status == 200 && peer.is_at_end(), "{answer:?}");
    }
    assert_eq!(served.ended().code(), Some(0));
}

#[test]
fn a_slow_scraper_does_not_hold_a_drain() {
    let mut served = Served::start(&["--admin", "127.0.0.1:0", "--drain-timeout", "100ms"]);
    let admin = served.admin();
    let mut scraper = TcpStream::connect(admin).expect("it accepts");
    let silent = TcpStream::connect(admin).expect("it accepts");
    assert_eq!(Peer::connect(admin).get("/metrics").answer().status, 200, "another scrape does not wait for them");
    // A byte now and then, each well within the patience for one read; until the server is gone.
    let dripping = std::thread::spawn(move || {
        while scraper.write_all(b"G").is_ok() {
            sleep(Duration::from_millis(500));
        }
    });
    read_by_peer(&silent);
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(0));
    dripping.join().expect("it ends with the server");
    drop(silent);
}

#[test]
fn a_drain_ends_at_its_timeout_and_a_second_signal_at_once() {
    let mut served = Served::start(&["--drain-timeout", "300ms"]);
    let mut busy = served.connect();
    busy.get("/io?ms=9000").is_read();
    let start = Clock::start();
    served.signal("TERM");
    assert_eq!(served.ended().code(), Some(1), "a request was cut");
    assert!(start.now().since(Stamp::ZERO) >= Duration::from_millis(300), "it waits as long as it is asked to");
    let words = served.last_words();
    assert!(words.contains("drain-cut 1") && words.contains("the drain cut 1 connection"), "and no longer: {words}");
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut served = Served::start(&[]);
        let mut busy = served.connect();
        busy.get("/io?ms=9000").is_read();
        served.signal(signal);
        until("the drain has begun", || TcpStream::connect(served.addr).is_err());
        // Sooner it is the same wish: timeout(1) sends two.
        served.signal(signal);
        sleep(Duration::from_millis(1200));
        served.signal(signal);
        assert_eq!(served.ended().code(), Some(code));
    }
}

#[test]
fn out_of_descriptors_it_waits_without_spinning_and_goes_on() {
    // Both limits: the server raises the soft one to the hard one.
    let served = Served::start_under(&["sh", "-c", "ulimit -n 60; exec \"$@\"", "sh"], &["--io-workers", "2"]);
    let mut peers: Vec<Peer> = (0..100).map(|_| served.connect()).collect();
    for peer in &mut peers {
        peer.get("/health");
    }
    assert_eq!(peers[0].answer().status, 200);
    served.said("too many open files (EMFILE): new connections wait");
    // Once it has settled, a second of waiting costs it next to nothing.
    until("a second without spinning", || {
        let before = served.cpu_ticks();
        sleep(Duration::from_secs(1));
        served.cpu_ticks() - before < 20
    });
    for mut peer in peers.drain(..).skip(1) {
        assert_eq!(peer.answer().status, 200);
    }
    served.said("accept: no failure for a second");
}

#[test]
fn without_a_descriptor_for_connections_it_does_not_start() {
    // Whatever the number: where it listens, it serves.
    for descriptors in [6, 8, 16] {
        let script = format!("ulimit -n {descriptors}; exec \"$@\"");
        let mut command = Command::new("timeout");
        command.args(["-s", "TERM", "5", "sh", "-c", &script, "sh", env!("CARGO_BIN_EXE_sockbench"), "server"]);
        let out =
            command.args(["--listen", "127.0.0.1:0", "--io-workers", "1", "--cpu-iterations", "1000"]).output().expect("it runs");
        let err = String::from_utf8_lossy(&out.stderr);
        let listens = out.stdout.starts_with(b"listening");
        assert!(listens || err.lines().any(|l| l.starts_with("sockbench: ")), "{descriptors}: {err}");
        if descriptors <= 8 {
            assert!(!listens && out.status.code() == Some(3), "{descriptors}: {:?} {err}", out.status);
        }
    }
}

#[test]
fn a_full_house_leaves_further_ones_in_the_backlog() {
    let served = Served::start(&["--max-conns", "2", "--admin", "127.0.0.1:0"]);
    let (mut first, mut second, mut third) = (served.connect(), served.connect(), served.connect());
    assert_eq!([first.get("/health").answer().status, second.get("/health").answer().status], [200; 2]);
    assert!(third.get("/health").is_silent(Duration::from_millis(200)));
    drop(first);
    assert_eq!(third.answer().status, 200);
}

#[test]
fn counts_agree_to_the_unit() {
    const THREADS: u64 = 4;
    const EACH: u64 = 2500;
    let served = Served::start(&["--admin", "127.0.0.1:0", "--reactors", "2"]);
    let admin = served.admin();
    let (start, addr) = (Barrier::new(THREADS as usize), served.addr);
    std::thread::scope(|s| {
        for _ in 0..THREADS {
            s.spawn(|| {
                let mut peer = Peer::connect(addr);
                start.wait();
                for _ in 0..EACH {
                    assert_eq!(peer.get("/health").answer().status, 200);
                }
                // Left before the answer: no client has counted it, and neither does the server.
                peer.get("/io?ms=4000").is_read();
                peer.reset();
            });
        }
    });
    served.connect().send("HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n").answer_to("HEAD");
    until("the jobs of those that left are done", || {
        let left = served.counter("sockbench_connections_closed_total{reason=\"client-reset\"}");
        left == THREADS && served.counter("sockbench_pool_busy{pool=\"io\"}") == 0
    });
    let page = Peer::connect(admin).get("/metrics").answer();
    let count = |line: &str| {
        page.body.lines().find_map(|l| l.strip_prefix(line)).map_or(0, |n| n.trim().parse::<u64>().expect("a number"))
    };
    assert_eq!(count("http_requests_total{handler=\"/health\",method=\"GET\",code=\"200\"}"), THREADS * EACH, "{}", page.body);
    assert_eq!(count("http_requests_total{handler=\"/health\",method=\"HEAD\",code=\"200\"}"), 1);
    assert_eq!(count("http_requests_total{handler=\"/io\",method=\"GET\",code=\"200\"}"), 0);
    for name in
        ["process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_open_fds ", "process_start_time_seconds "]
    {
        assert!(page.body.lines().any(|l| l.starts_with(name)), "{name} in {}", page.body);
    }
    assert!(page.head.contains("text/plain"), "{}", page.head);
    assert_eq!(Peer::connect(admin).get("/health").answer().status, 404);
    assert_eq!(Peer::connect(admin).send("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n").answer_to("HEAD").status, 200);
}

#[test]
fn a_taken_port_is_exit_3_with_a_hint() {
    let served = Served::start(&[]);
    let out = Command::new(env!("CARGO_BIN_EXE_sockbench"))
        .args(["server", "--listen", &served.addr.to_string()])
        .output()
        .expect("it runs");
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(3), "{err}");
    assert!(
        out.stdout.is_empty() && err.contains(&served.addr.to_string()) && err.lines().any(|l| l.starts_with("hint: ")),
        "{err}"
    );
}

/// A call on a descriptor costs less where one thread has the table; ss(8) and lsof(8) read the first thread's.
#[test]
fn the_first_thread_alone_holds_the_sockets_that_serve() {
    let served = Served::start(&["--admin", "127.0.0.1:0"]);
    let mut peer = served.connect();
    assert_eq!(peer.get("/health").answer().status, 200);
    let Some((first, other)) = crate::tables::of_first_and_another(served.pid()) else { return };
    let only = |here: &[String], there: &[String]| here.iter().filter(|n| !there.contains(n)).count();
    assert_eq!(only(&first, &other), 4, "listener, connection, poll and timer: {first:?}, {other:?}");
    // The admin port's listener is in both: ss(8) is to name its owner too.
    assert_eq!(only(&other, &first), 0, "{first:?}, {other:?}");
}

#[test]
fn five_thousand_idle_connections_cost_under_8_mb() {
    const CONNS: usize = 5000;
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).expect("getrlimit").1;
    if limit < CONNS as u64 + 200 {
        loud::skipped(format!("this needs {} descriptors, the hard limit is {limit}", CONNS + 200));
        return;
    }
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, limit, limit).expect("setrlimit");
    let served = Served::start(&[]);
    assert_eq!(served.connect().get("/health").answer().status, 200);
    let before = served.rss_bytes();
    let mut peers: Vec<Peer> = (0..CONNS).map(|_| served.connect()).collect();
    for peer in &mut peers {
        assert_eq!(peer.get("/health").answer().status, 200);
    }
    let added = served.rss_bytes().saturating_sub(before);
    println!("{CONNS} idle connections: {added} bytes, {} each", added / CONNS as u64);
    assert!(added < 8_000_000, "{added} bytes");
}
