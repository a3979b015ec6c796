//! Answers that are malformed, incomplete, surplus or large, from scripted servers: what the client counts, and what it
//! can show of them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::scripted::{Scripted, plan, read_head, run};
use sockbench::testing::model::{
    Call, Cause, ErrorRow, Foreign, Framing, LoadPlan, Party, Phase, ProtocolFault, Received, RunResult, SurplusKind, Think,
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a server does after it has sent its bytes.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// closes
    Close,
    /// keeps the connection and says nothing more
    Hold,
    /// waits for the next request
    Serve,
}

/// A server that sends `bytes` in answer to each request, each piece in a segment of its own.
fn sends(pieces: Vec<Vec<u8>>, then: Then) -> Scripted {
    Scripted::start(move |mut s, _| {
        s.set_nodelay(true).expect("a TCP socket");
        while read_head(&mut s) {
            for (i, piece) in pieces.iter().enumerate() {
                if i > 0 {
                    std::thread::park_timeout(Duration::from_millis(15));
                }
                if s.write_all(piece).is_err() {
                    return;
                }
            }
            match then {
                Then::Close => return,
                Then::Hold => wait_for_end(&mut s),
                Then::Serve => {}
            }
        }
    })
}

/// Until the client closes.
fn wait_for_end(stream: &mut TcpStream) {
    while matches!(stream.read(&mut [0; 64]), Ok(n) if n > 0) {}
}

/// One user, four requests, a short timeout.
fn small_plan(server: &Scripted) -> LoadPlan {
    LoadPlan { users: 1, requests: 4, timeout: Duration::from_millis(200), ..plan(server.addr) }
}

fn only_row(r: &RunResult) -> &ErrorRow {
    let [row] = &r.errors[..] else { panic!("one kind of failure: {:?}", r.errors) };
    row
}

#[test]
fn a_malformed_answer_shows_its_fault_and_the_line() {
    use ProtocolFault as F;
    for (bytes, then, fault, shown) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], Then::Close, F::NotHttp(Foreign::Ssh), "SSH-2.0-OpenSSH_9.2\\r\\n"),
        (b"\x15\x03\x01\x00\x02\x02\x46", Then::Close, F::NotHttp(Foreign::TlsAlert), "\\x15\\x03\\x01\\x00\\x02\\x02F"),
        (
            b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
            Then::Hold,
            F::NotHttp(Foreign::Http2),
            "\\x00\\x00\\x00\\x04\\x00\\x00\\x00\\x00\\x00",
        ),
        (b"-ERR unknown command\r\n", Then::Hold, F::NotHttp(Foreign::Redis), "-ERR unknown command\\r\\n"),
        (b"<html>hello</html>", Then::Close, F::NotHttp(Foreign::Http09), "<html>hello</html>"),
        (
            b"HTTP/1.1 200 OK\r\n\"Connection: close\"\r\nContent-Length: 2\r\n\r\nok",
            Then::Hold,
            F::FieldName,
            "\"Connection: close\"",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", Then::Hold, F::BlankBeforeColon, "Content-Length : 2"),
        (b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok", Then::Hold, F::FoldedLine, " c"),
        (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", Then::Hold, F::NoColon, "nonsense"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", Then::Hold, F::BareLf, "HTTP/1.1 200 OK\\nContent-Length: 2\\n\\n"),
        (b"HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n", Then::Hold, F::StatusCode, "HTTP/1.1 000 X"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", Then::Hold, F::Unasked101, "HTTP/1.1 101 Switching Protocols\\r\\n\\r\\n"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            Then::Hold,
            F::TransferCoding,
            "Transfer-Encoding: chunked, chunked",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n", Then::Hold, F::ChunkSize, "hello\\r\\n"),
    ] {
        let server = sends(vec![bytes.to_vec()], then);
        let (r, _) = run(&small_plan(&server));
        let row = only_row(&r);
        assert_eq!((row.call, row.cause, row.count), (Call::Protocol, Some(Cause::Malformed(fault)), 4));
        assert_eq!(row.first_bytes.as_deref(), Some(shown), "{fault:?}");
        assert_eq!((row.party, r.totals.failures), (Party::TargetProgram, 4));
        assert!(r.duration_s < 3.0, "no timeout was waited for: {} s", r.duration_s);
    }
}

#[test]
fn a_peer_that_speaks_first_is_recognised() {
    let server = Scripted::start(|mut s, _| {
        let _ = s.write_all(b"220 mail.example.com ESMTP ready\r\n");
        wait_for_end(&mut s);
    });
    let (r, _) = run(&small_plan(&server));
    assert_eq!(only_row(&r).cause, Some(Cause::Malformed(ProtocolFault::NotHttp(Foreign::Smtp))));
}

#[test]
fn an_answer_that_does_not_end_is_described() {
    let received = |bytes, head_complete, framing, missing_bytes| Received {
        bytes,
        head_complete,
        bare_lf: false,
        status: head_complete.then_some(200),
        framing,
        missing_bytes,
    };
    for (bytes, expected) in [
        (&b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n"[..], received(34, true, Some(Framing::UntilClose), None)),
        (b"HTTP/1.1 200 OK\r\nServer: nginx\r\n", received(32, false, None, None)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", received(45, true, Some(Framing::ContentLength(100)), Some(95))),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            received(57, true, Some(Framing::Chunked), None),
        ),
        (b"HTTP/1.1 200 OK\nServer: x\n", Received { bare_lf: true, ..received(26, false, None, None) }),
    ] {
        let server = sends(vec![bytes.to_vec()], Then::Hold);
        let (r, _) = run(&small_plan(&server));
        let row = only_row(&r);
        assert_eq!((row.cause, row.phase), (Some(Cause::TimedOut(Phase::Receiving)), Some(Phase::Receiving)));
        assert_eq!((row.received, row.count), (Some(expected), 4), "{}", bytes.escape_ascii());
        assert!(row.first_bytes.as_ref().is_some_and(|b| b.starts_with("HTTP/1.1 200 OK")), "{:?}", row.first_bytes);
    }
}

#[test]
fn a_truncated_answer_says_what_is_missing() {
    for (bytes, fault, missing) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"[..], ProtocolFault::Truncated, Some(6)),
        (b"HTTP/1.1 200 OK\r\nContent-", ProtocolFault::TruncatedHead, None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", ProtocolFault::Truncated, None),
    ] {
        let server = sends(vec![bytes.to_vec()], Then::Close);
        let (r, _) = run(&small_plan(&server));
        let row = only_row(&r);
        assert_eq!((row.cause, row.name.as_str()), (Some(Cause::Malformed(fault)), "TRUNCATED"));
        let received = row.received.expect("an answer had begun");
        assert_eq!((received.bytes, received.missing_bytes), (bytes.len() as u64, missing));
    }
}

#[test]
fn whole_answers_with_more_behind_them_count() {
    let with = |more: &[u8]| [OK, more].concat();
    let no_content = b"HTTP/1.1 204 No Content\r\n\r\nbody".to_vec();
    for (bytes, method, kind, shown) in [
        (with(b"\r\n"), "GET", SurplusKind::LineEnd, "\\r\\n"),
        (with(b"and more"), "GET", SurplusKind::Other, "and more"),
        (with(OK), "GET", SurplusKind::SecondAnswer, "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"),
        (with(b""), "HEAD", SurplusKind::BodyToHead, "ok"),
        (no_content, "GET", SurplusKind::BodyToStatus, "body"),
    ] {
        let server = sends(vec![bytes], Then::Serve);
        let (r, _) = run(&LoadPlan { method: method.into(), ..small_plan(&server) });
        let t = &r.totals;
        assert_eq!((t.requests, t.failures, t.connections_opened), (4, 0, 4), "{kind:?}: {:?}", r.errors);
        let [row] = &r.surplus[..] else { panic!("one kind of surplus: {:?}", r.surplus) };
        assert_eq!((row.kind, row.count, row.first_bytes.as_str()), (kind, 4, shown));
    }
}

#[test]
fn more_bytes_that_come_in_their_own_segment_are_the_same_surplus() {
    // With a pause they meet an idle connection; without one they meet the next request.
    for think in [Duration::from_millis(60), Duration::ZERO] {
        let server = sends(vec![OK.to_vec(), b"\r\n".to_vec()], Then::Serve);
        let mut p = small_plan(&server);
        (p.think, p.timeout) = (Think::uniform(think, think), Duration::from_secs(2));
        let (r, _) = run(&p);
        assert_eq!((r.totals.requests, r.totals.failures), (4, 0), "think {think:?}: {:?}", r.errors);
        let [row] = &r.surplus[..] else { panic!("one kind of surplus: {:?}", r.surplus) };
        assert_eq!(row.kind, SurplusKind::LineEnd);
        assert!(row.count >= 1, "{row:?}");
    }
}

#[test]
fn large_heads_pass_as_with_other_clients() {
    let fields = |n: usize| format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X-Field: 1\r\n".repeat(n));
    let cookie = format!("HTTP/1.1 200 OK\r\nSet-Cookie: a={}\r\nContent-Length: 2\r\n\r\nok", "x".repeat(250_000));
    for head in [fields(101), fields(4000), cookie] {
        let server = sends(vec![head.into_bytes()], Then::Serve);
        let (r, _) = run(&LoadPlan { timeout: Duration::from_secs(5), ..small_plan(&server) });
        assert_eq!((r.totals.requests, r.totals.failures, r.totals.connections_opened), (4, 0, 1), "{:?}", r.errors);
    }
}

#[test]
fn a_limit_of_sockbench_is_its_own_and_names_its_flag() {
    let long = format!("HTTP/1.1 200 OK\r\nSet-Cookie: a={}\r\n\r\n", "x".repeat(400_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(5001));
    let body = b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n".to_vec();
    for (bytes, value, flag) in [
        (long.into_bytes(), 307_200, "--head-bytes"),
        (many.into_bytes(), 5000, "--head-fields"),
        (body, 1 << 30, "--body-bytes"),
    ] {
        let server = sends(vec![bytes], Then::Hold);
        let (r, _) = run(&LoadPlan { timeout: Duration::from_secs(5), ..small_plan(&server) });
        let row = only_row(&r);
        assert_eq!((row.party, row.count, r.totals.failures), (Party::Sockbench, 4, 4));
        let limit = row.limit.as_ref().expect("the limit is named");
        assert_eq!((limit.value, limit.flag.as_str()), (value, flag));
        assert!(row.first_bytes.is_some());
    }
}

#[test]
fn a_kept_connection_ended_between_requests_is_noted_by_fin_and_by_rst() {
    let ended = |by_rst: bool| {
        let server = Scripted::start(move |mut s, _| {
            if !read_head(&mut s) {
                return;
            }
            let _ = s.write_all(OK);
            std::thread::park_timeout(Duration::from_millis(10));
            if by_rst {
                let _ = socket2::SockRef::from(&s).set_linger(Some(Duration::ZERO));
            }
        });
        let mut p = plan(server.addr);
        (p.users, p.requests) = (1, 5);
        p.think = Think::uniform(Duration::from_millis(60), Duration::from_millis(60));
        let (r, _) = run(&p);
        assert_eq!((r.totals.requests, r.totals.failures), (5, 0), "{:?}", r.errors);
        (r.closes.idle_fin, r.closes.idle_reset)
    };
    let (fin, rst) = (ended(false), ended(true));
    assert!(fin.0 >= 4 && fin.1 == 0, "{fin:?}");
    assert!(rst.0 == 0 && rst.1 >= 4, "{rst:?}");
}
