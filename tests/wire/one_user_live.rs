//! A user alone on its thread waits in recv(2): whatever ends the wait is seen as soon and as exactly as by a poll.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt::Linger};

use crate::scripted::{Scripted, plan, read_head, run};
use sockbench::testing::load::Ended;
use sockbench::testing::model::{Call, ErrorRow, LoadPlan, RunResult};
use sockbench::testing::sys::sleep;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// Longer than one wait.
const LONG: Duration = Duration::from_millis(250);

/// `requests` of one user towards a server that answers three and then does `last` with each further one of a connection.
fn after_three(
    requests: u64,
    with: impl Fn(LoadPlan) -> LoadPlan,
    last: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> (RunResult, Ended) {
    let server = Scripted::start(move |mut stream, _: &AtomicU64| {
        for _ in 0..3 {
            if !read_head(&mut stream) || stream.write_all(OK).is_err() {
                return;
            }
        }
        while read_head(&mut stream) {
            last(&mut stream);
        }
    });
    run(&with(LoadPlan { users: 1, requests, ..plan(server.addr) }))
}

fn only_error(r: &RunResult) -> (Call, &str, u64) {
    let [ErrorRow { call, name, count, .. }] = &r.errors[..] else { panic!("one kind of error: {:?}", r.errors) };
    (*call, name, *count)
}

#[test]
fn an_answer_that_takes_longer_than_a_wait_is_read_to_its_end() {
    let (r, ended) = after_three(
        5,
        |p| p,
        |stream| {
            for part in [&OK[..10], &OK[10..30], &OK[30..]] {
                sleep(LONG);
                let _ = stream.write_all(part);
            }
        },
    );
    let t = &r.totals;
    assert_eq!((t.requests, t.failures, t.connections_opened, ended), (5, 0, 1, Ended::Planned), "{:?}", r.errors);
    let most = t.latency_ms.as_ref().expect("answers").max;
    assert!(most >= 750.0, "{most} ms");
}

#[test]
fn an_answer_larger_than_the_buffer_is_read_to_its_end() {
    let (r, _) = after_three(
        6,
        |p| p,
        |stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
            let _ = stream.write_all(&vec![b'x'; 1_000_000]);
        },
    );
    assert_eq!((r.totals.requests, r.totals.failures, r.totals.connections_opened), (6, 0, 1), "{:?}", r.errors);
}

#[test]
fn a_request_has_its_time_and_no_more() {
    let timeout = Duration::from_millis(330);
    let (r, _) = after_three(4, |p| LoadPlan { timeout, ..p }, |_| sleep(Duration::from_secs(2)));
    assert_eq!((r.totals.requests, r.totals.failures), (4, 1), "{:?}", r.errors);
    assert_eq!(only_error(&r), (Call::Timeout, "TIMEOUT", 1));
    assert!(r.duration_s >= 0.33, "no earlier: {} s", r.duration_s);
}

#[test]
fn the_end_of_the_run_cuts_the_wait() {
    let duration = Duration::from_millis(650);
    let (r, ended) = after_three(0, |p| LoadPlan { duration, ..p }, |_| sleep(Duration::from_secs(2)));
    assert_eq!((r.totals.requests, r.totals.cut, ended), (3, 1, Ended::Planned));
    assert!((r.duration_s - 0.65).abs() < 0.001, "{} s", r.duration_s);
}

#[test]
fn a_fin_and_a_reset_keep_their_cause() {
    let (r, _) = after_three(
        4,
        |p| p,
        |stream| {
            sleep(LONG);
            let _ = stream.shutdown(Shutdown::Both);
        },
    );
    assert_eq!((r.totals.failures, only_error(&r).0), (1, Call::Read), "{:?}", r.errors);
    let (r, _) = after_three(
        4,
        |p| p,
        |stream| {
            sleep(LONG);
            let now = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            setsockopt(&*stream, Linger, &now).expect("SO_LINGER");
            let _ = stream.shutdown(Shutdown::Read);
            *stream = TcpStream::connect(stream.local_addr().expect("bound")).expect("the server listens");
        },
    );
    assert_eq!(only_error(&r), (Call::Read, "ECONNRESET", 1));
}

/// The FIN is in the segment of the answer, so the next request needs another connection.
#[test]
fn an_answer_with_a_fin_is_the_connections_last() {
    let (r, _) = after_three(
        9,
        |p| p,
        |stream| {
            rustix::net::sockopt::set_tcp_cork(&*stream, true).expect("TCP_CORK");
            let _ = stream.write_all(OK);
            let _ = stream.shutdown(Shutdown::Both);
        },
    );
    assert_eq!((r.totals.requests, r.totals.failures), (9, 0), "{:?}", r.errors);
    assert_eq!((r.totals.connections_opened, r.closes.server), (3, 2), "{:?}", r.closes);
}
