//! The server over real sockets, on free loopback ports.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::until::{read_by_peer, until};
use sockbench::testing::model::{CpuWork, Pinning, ServerCloser, ServerPlan, limits};
use sockbench::testing::server::{Handle, Server, Summary};
use sockbench::testing::sys::Clock;

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
const IO: &str = "GET /io HTTP/1.1\r\nHost: a\r\n\r\n";

fn plan() -> ServerPlan {
    ServerPlan {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        admin: None,
        pin: Pinning::Off,
        busy_poll: false,
        reactors: 1,
        io_workers: 4,
        cpu_workers: 1,
        cpu_pin: false,
        io_sleep: Duration::from_millis(50),
        cpu_work: CpuWork::Iterations(1000),
        queue: 8,
        max_conns: 1000,
        backlog: 128,
        keepalive: true,
        closer: ServerCloser::Server,
        header_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(600),
        body_timeout: Duration::from_millis(300),
        write_timeout: Duration::from_secs(5),
        drain_timeout: Duration::from_secs(5),
        head_bytes: limits::HEAD_BYTES,
        head_fields: limits::HEAD_FIELDS,
        target_bytes: limits::TARGET_BYTES,
        body_bytes: limits::BODY_BYTES,
    }
}

struct Running {
    addr: SocketAddr,
    admin: Option<SocketAddr>,
    handle: Handle,
    thread: Option<JoinHandle<Summary>>,
}

fn start(plan: &ServerPlan) -> Running {
    let server = Server::bind(plan, &[]).unwrap();
    let (addr, admin, handle) = (server.addrs()[0], server.admin_addr(), server.handle());
    Running { addr, admin, handle, thread: Some(std::thread::spawn(|| server.run().unwrap())) }
}

impl Running {
    fn stop(mut self) -> Summary {
        self.handle.stop();
        self.thread.take().unwrap().join().unwrap()
    }

    fn connect(&self) -> TcpStream {
        let s = TcpStream::connect(self.addr).unwrap();
        s.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        s
    }

    /// The page of its counters.
    fn metrics(&self) -> String {
        let mut s = TcpStream::connect(self.admin.unwrap()).unwrap();
        s.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        read_all(&mut s)
    }

    /// Sends and reads to EOF.
    fn ask(&self, text: &str) -> String {
        let mut s = self.connect();
        s.write_all(text.as_bytes()).unwrap();
        read_all(&mut s)
    }
}

/// A test that ends without looking at the counters leaves no server behind.
impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_all(s: &mut TcpStream) -> String {
    let mut text = String::new();
    s.read_to_string(&mut text).unwrap();
    text
}

/// Reads answers until `n` of them, with their bodies, are there.
fn read_answers(s: &mut TcpStream, n: usize) -> String {
    let mut text = String::new();
    let mut piece = [0; 4096];
    while text.matches("HTTP/1.1 ").count() < n || !text.ends_with('}') {
        let got = s.read(&mut piece).unwrap();
        assert!(got > 0, "ended after {text}");
        text.push_str(std::str::from_utf8(&piece[..got]).unwrap());
    }
    text
}

fn count(s: &Summary, handler: &str, code: &str) -> u64 {
    s.answers.iter().filter(|a| a.0 == handler && a.2 == code).map(|a| a.3).sum()
}

fn closes(s: &Summary, reason: &str) -> u64 {
    s.closes.iter().find(|c| c.0 == reason).unwrap().1
}

#[test]
fn three_endpoints_to_the_byte() {
    let server = start(&plan());
    let mut s = server.connect();
    for (path, length) in [("/health", 21), ("/io?ms=1", 24), ("/cpu", 33)] {
        s.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
        let text = read_answers(&mut s, 1);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {length}")) && body.len() == length, "{text}");
        assert_eq!(head.contains("Server-Timing: queue;dur="), path != "/health");
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
    drop(s);
    let summary = server.stop();
    assert_eq!((summary.answered(), summary.accepted), (3, 1));
}

#[test]
fn pipelined_answers_come_in_order_around_jobs() {
    let server = start(&plan());
    let mut s = server.connect();
    s.write_all([HEALTH, IO, HEALTH, "GET /cpu HTTP/1.1\r\nHost: a\r\n\r\n", HEALTH].concat().as_bytes()).unwrap();
    let text = read_answers(&mut s, 5);
    let lengths: Vec<_> = text.split("Content-Length: ").skip(1).map(|t| &t[..2]).collect();
    assert_eq!(lengths, ["21", "24", "21", "33", "21"]);
}

#[test]
fn a_half_closed_client_is_answered_from_a_pool_too() {
    let server = start(&plan());
    let mut s = server.connect();
    s.write_all([IO, HEALTH].concat().as_bytes()).unwrap();
    s.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut s).matches("200 OK").count(), 2);
}

/// The kernel reports the last bytes and the FIN behind them as one event: no further one comes.
#[test]
fn a_fin_in_the_packet_of_the_request_ends_the_connection() {
    let server = start(&plan());
    for _ in 0..10 {
        let mut s = server.connect();
        s.write_all(HEALTH.as_bytes()).unwrap();
        read_answers(&mut s, 1);
        socket2::SockRef::from(&s).set_tcp_cork(true).unwrap();
        s.write_all(HEALTH.as_bytes()).unwrap();
        s.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut s).matches("200 OK").count(), 1);
    }
    assert_eq!(closes(&server.stop(), "client-fin"), 10);
}

#[test]
fn refusals_reach_a_client_that_goes_on_sending() {
    let server = start(&plan());
    let big = "x".repeat(100_000);
    for (text, status) in [
        ("GET /health HTTP/1.1\r\n\r\n".to_owned(), "400"),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &big[..9000]), "414"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {big}\r\n\r\n"), "431"),
        (format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n{big}"), "413"),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "501"),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), "505"),
    ] {
        let answer = server.ask(&text);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains("Connection: close"), "{status}: {answer}");
    }
    let kept = server.ask(
        "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert!(kept.starts_with("HTTP/1.1 405 ") && kept.contains("Allow: GET, HEAD") && kept.contains("HTTP/1.1 404 "), "{kept}");
    assert_eq!(closes(&server.stop(), "refused"), 6);
}

#[test]
fn slow_heads_bodies_and_idle_connections_have_their_time() {
    let server = start(&plan());
    let clock = Clock::start();
    assert!(server.ask("GET / HT").starts_with("HTTP/1.1 408 "));
    assert!(server.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab").starts_with("HTTP/1.1 408 "));
    assert_eq!(server.ask(""), "");
    let ms = clock.now().since(sockbench::testing::model::Stamp::ZERO).as_millis();
    assert!(ms >= 1200, "{ms}");
    let s = server.stop();
    assert_eq!((closes(&s, "header-timeout"), closes(&s, "body-timeout"), closes(&s, "idle-timeout")), (1, 1, 1));
}

#[test]
fn a_full_pool_answers_503_at_once_and_the_rest_is_unaffected() {
    let admin = Some("127.0.0.1:0".parse().unwrap());
    let server = start(&ServerPlan { io_workers: 1, queue: 1, io_sleep: Duration::from_secs(1), admin, ..plan() });
    let mut clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
    clients[0].write_all(IO.as_bytes()).unwrap();
    // The worker takes the first; then one may wait.
    until("the worker has taken it", || server.metrics().contains("sockbench_pool_busy{pool=\"io\"} 1\n"));
    clients[1..].iter_mut().for_each(|s| s.write_all(IO.as_bytes()).unwrap());
    assert!(server.ask(&HEALTH.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).starts_with("HTTP/1.1 200"));
    let answers: Vec<_> = clients.iter_mut().map(|s| read_answers(s, 1)).collect();
    let refused: Vec<_> = answers.iter().filter(|a| a.starts_with("HTTP/1.1 503 ")).collect();
    assert_eq!(refused.len(), 4, "{answers:?}");
    assert!(refused.iter().all(|a| a.contains("Retry-After: ")));
}

#[test]
fn who_closes_first_can_be_chosen() {
    let server = start(&ServerPlan { keepalive: false, ..plan() });
    assert!(server.ask(HEALTH).contains("Connection: close"));
    drop(server);

    let server = start(&ServerPlan { keepalive: false, closer: ServerCloser::Client, ..plan() });
    let mut s = server.connect();
    s.write_all(HEALTH.as_bytes()).unwrap();
    read_answers(&mut s, 1);
    s.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(s.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "no FIN from the server");
    drop(s);
    assert_eq!(closes(&server.stop(), "announced"), 1);
}

#[test]
fn a_drain_finishes_what_is_in_flight() {
    let server = start(&ServerPlan { io_sleep: Duration::from_secs(2), idle_timeout: Duration::from_secs(60), ..plan() });
    let (mut busy, mut idle) = (server.connect(), server.connect());
    idle.write_all(HEALTH.as_bytes()).unwrap();
    read_answers(&mut idle, 1);
    busy.write_all(IO.as_bytes()).unwrap();
    read_by_peer(&busy);
    server.handle.stop();
    assert_eq!(read_all(&mut idle), "");
    let answer = read_all(&mut busy);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("Connection: close"), "{answer}");
    assert!(TcpStream::connect(server.addr).is_err(), "the listener is closed");
    drop((busy, idle));
    let s = server.stop();
    assert_eq!((closes(&s, "drain"), count(&s, "/io", "200")), (2, 1));
}

#[test]
fn a_drain_that_takes_too_long_is_cut() {
    let server = start(&ServerPlan { io_sleep: Duration::from_secs(3), drain_timeout: Duration::from_millis(200), ..plan() });
    let mut s = server.connect();
    s.write_all(IO.as_bytes()).unwrap();
    read_by_peer(&s);
    assert_eq!(closes(&server.stop(), "drain-cut"), 1);
}

/// Closing with bytes unread would reset the connection, and a reset can overtake the answer.
#[test]
fn a_client_that_sends_more_than_it_announced_gets_its_answer_and_no_reset() {
    let server = start(&plan());
    let last = "GET /io?ms=2000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for (first, more) in
        [(last, "\r\n"), (last, HEALTH), (&[HEALTH, last].concat(), "\r\n"), (&last.replace("/io", "/health"), "")]
    {
        let mut s = server.connect();
        s.write_all(first.as_bytes()).unwrap();
        if !more.is_empty() {
            read_by_peer(&s);
            s.write_all(more.as_bytes()).unwrap();
        }
        let text = read_all(&mut s);
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), first.matches("GET ").count(), "{first}: {text}");
    }
    let summary = server.stop();
    assert_eq!(closes(&summary, "announced"), 4, "{summary:?}");
}

#[test]
fn every_answer_is_counted_once_also_with_a_drain_in_the_middle() {
    let server = start(&ServerPlan { reactors: 2, ..plan() });
    let addr = server.addr;
    let clients: Vec<_> = (0..4)
        .map(|i| {
            std::thread::spawn(move || {
                let mut got = 0;
                while let Ok(mut s) = TcpStream::connect(addr) {
                    let batch = HEALTH.repeat(1 + i);
                    let mut piece = [0; 4096];
                    for _ in 0..50 {
                        if s.write_all(batch.as_bytes()).is_err() {
                            break;
                        }
                        let mut in_batch = 0;
                        while in_batch < (1 + i) * 129 {
                            match s.read(&mut piece) {
                                Ok(0) | Err(_) => break,
                                Ok(n) => in_batch += n,
                            }
                        }
                        got += in_batch / 129;
                        if in_batch % 129 != 0 {
                            // The last answer says close, 19 bytes more, and may follow others of the batch.
                            assert_eq!(in_batch % 129, 19);
                        }
                    }
                }
                got as u64
            })
        })
        .collect();
    until("it is in the middle", || server.handle.summary().answered() > 2000);
    let summary = server.stop();
    let got: u64 = clients.into_iter().map(|c| c.join().unwrap()).sum();
    assert!(got > 1000, "{got}");
    assert_eq!(summary.answered(), got);
    assert_eq!(summary.accepted, summary.closed());
}

#[test]
fn metrics_are_served_on_their_own_port() {
    let server = start(&ServerPlan { admin: Some("127.0.0.1:0".parse().unwrap()), ..plan() });
    server.ask(&HEALTH.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    let text = server.metrics();
    for part in ["http_requests_total{handler=\"/health\",method=\"GET\",code=\"200\"} 1\n", "process_open_fds ", "# TYPE "] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Closes with a reset.
fn reset(s: TcpStream) {
    socket2::SockRef::from(&s).set_linger(Some(Duration::ZERO)).unwrap();
    drop(s);
}

/// Jobs of clients that have gone are left out, so that they keep no honest client waiting: all of them would take
/// longer than the client has patience.
#[test]
fn clients_that_reset_during_a_job_keep_neither_their_places_nor_the_workers() {
    for pool in ["/io?ms=5000", "/cpu"] {
        let running = start(&ServerPlan {
            io_workers: 1,
            queue: 100,
            max_conns: 13,
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            cpu_work: CpuWork::CalibrateS(Duration::from_secs(3)),
            ..plan()
        });
        let ask = format!("GET {pool} HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut clients: Vec<TcpStream> = (0..12).map(|_| running.connect()).collect();
        for client in &mut clients {
            client.write_all(ask.as_bytes()).unwrap();
            read_by_peer(client);
        }
        clients.into_iter().for_each(reset);
        until("every connection has ended", || closes(&running.handle.summary(), "client-reset") == 12);
        let mut honest: Vec<TcpStream> = (0..13).map(|_| running.connect()).collect();
        for client in &mut honest {
            client.write_all(HEALTH.as_bytes()).unwrap();
            read_answers(client, 1);
        }
        let mut last = honest.pop().unwrap();
        last.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        last.write_all(if pool == "/cpu" { ask.as_bytes() } else { IO.as_bytes() }).unwrap();
        read_answers(&mut last, 1);
    }
}

#[test]
fn all_reactors_share_the_places_for_connections() {
    let running = start(&ServerPlan { reactors: 3, max_conns: 10, ..plan() });
    // The kernel spreads them over the reactors' listeners as it likes.
    let mut clients: Vec<TcpStream> = (0..10).map(|_| running.connect()).collect();
    for client in &mut clients {
        client.write_all(HEALTH.as_bytes()).unwrap();
        read_answers(client, 1);
    }
    let mut further: Vec<TcpStream> = (0..10).map(|_| running.connect()).collect();
    for client in &mut further {
        client.write_all(HEALTH.as_bytes()).unwrap();
    }
    assert_eq!(running.handle.summary().accepted, 10);
    for (client, mut next) in clients.into_iter().zip(further) {
        drop(client);
        read_answers(&mut next, 1);
        drop(next);
    }
}

#[test]
fn silent_clients_of_the_admin_port_keep_nobody_from_the_counters() {
    let running = start(&ServerPlan { admin: Some("127.0.0.1:0".parse().unwrap()), ..plan() });
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(running.admin.unwrap()).unwrap()).collect();
    for _ in 0..3 {
        assert!(running.metrics().starts_with("HTTP/1.1 200 "));
    }
    drop(silent);
}

#[test]
fn many_scrapers_at_once_get_the_page_or_a_503_and_never_a_reset() {
    let running = start(&ServerPlan { admin: Some("127.0.0.1:0".parse().unwrap()), ..plan() });
    let statuses: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..32).map(|_| scope.spawn(|| running.metrics())).collect();
        threads.into_iter().map(|t| t.join().unwrap()[..12].to_owned()).collect()
    });
    assert!(statuses.iter().all(|s| s == "HTTP/1.1 200" || s == "HTTP/1.1 503"), "{statuses:?}");
    assert!(statuses.iter().any(|s| s == "HTTP/1.1 200"), "{statuses:?}");
}
