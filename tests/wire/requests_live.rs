//! What the client sends, and over which connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::scripted::{Scripted, plan, run};
use sockbench::testing::model::{Body, LoadPlan};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// All bytes of each connection, as a server received them that keeps every connection.
type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

fn listening() -> (Scripted, Heard) {
    let heard = Heard::default();
    let given = Arc::clone(&heard);
    let server = Scripted::start(move |mut s: TcpStream, _| {
        let mut all = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = s.read(&mut piece) {
            all.extend_from_slice(&piece[..n]);
            if s.write_all(OK).is_err() {
                break;
            }
        }
        given.lock().expect("no test panics with it").push(all);
    });
    (server, heard)
}

/// What the server heard once `n` connections have ended.
fn heard(heard: &Heard, n: usize) -> Vec<String> {
    crate::until::until("every connection has ended", || heard.lock().expect("no panic").len() >= n);
    heard.lock().expect("no panic").iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

#[test]
fn nothing_follows_a_request_that_says_close() {
    let (server, all) = listening();
    let p = LoadPlan { users: 1, requests: 5, keepalive: false, says_close: true, ..plan(server.addr) };
    let (r, _) = run(&p);
    assert_eq!((r.totals.requests, r.totals.connections_opened), (5, 5), "{:?}", r.errors);
    for connection in heard(&all, 5) {
        assert_eq!((connection.matches("GET / ").count(), connection.matches("Connection: close\r\n").count()), (1, 1));
    }
}

#[test]
fn nothing_follows_an_answer_that_says_close() {
    let heard = Heard::default();
    let given = Arc::clone(&heard);
    // It says so, and keeps the connection all the same.
    let server = Scripted::start(move |mut s, _| {
        let mut all = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = s.read(&mut piece) {
            all.extend_from_slice(&piece[..n]);
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        }
        given.lock().expect("no panic").push(all);
    });
    let (r, _) = run(&LoadPlan { users: 1, requests: 4, ..plan(server.addr) });
    assert_eq!((r.totals.requests, r.totals.connections_opened), (4, 4));
    assert!(self::heard(&heard, 4).iter().all(|c| c.matches("GET / ").count() == 1));
}

#[test]
fn bodies_go_out_as_they_are_with_their_length() {
    for (method, body, expected) in [
        ("POST", Body::default(), "Content-Length: 0\r\n\r\n"),
        ("PUT", "a=1".into(), "Content-Length: 3\r\n\r\na=1"),
        ("POST", Body::of_file("b", b"from a file".to_vec()), "Content-Length: 11\r\n\r\nfrom a file"),
    ] {
        let (server, all) = listening();
        let p = LoadPlan { users: 1, requests: 1, method: method.into(), body, ..plan(server.addr) };
        assert_eq!(run(&p).0.totals.requests, 1);
        let connections = heard(&all, 1);
        assert!(connections[0].starts_with(method) && connections[0].ends_with(expected), "{}", connections[0]);
    }
}

#[test]
fn the_steady_part_begins_when_the_last_user_has_started() {
    let (server, _) = listening();
    let mut p = LoadPlan { users: 4, requests: 0, spawn_rate: 10.0, ..plan(server.addr) };
    p.duration = Duration::from_millis(900);
    let (r, _) = run(&p);
    let steady = r.totals.steady.expect("the run is longer than its ramp");
    assert!((steady.from_s - 0.3).abs() < 1e-9, "{}", steady.from_s);
    p.duration = Duration::from_millis(200);
    assert!(run(&p).0.totals.steady.is_none(), "it ended inside its ramp");
}
