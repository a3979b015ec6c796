//! Heads that are taken, and heads that are refused by name.

use proptest::prelude::*;

use super::*;

const SMALL: HeadLimits = HeadLimits { bytes: 400, fields: 4, target: 64, body: 1000 };

fn read(bytes: &[u8]) -> Result<Head<'_>, Fault> {
    match HeadReader::default().read(bytes, &SMALL)? {
        Found::Head { head, consumed } => {
            assert_eq!(consumed, bytes.len());
            Ok(head)
        }
        Found::More => panic!("incomplete: {}", bytes.escape_ascii()),
    }
}

#[test]
fn connection_persists_by_version_and_field() {
    let keep = |t: &str| read(t.as_bytes()).unwrap().keep;
    assert!(keep("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(!keep("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"));
    assert!(!keep("GET / HTTP/1.0\r\n\r\n"));
    assert!(keep("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    assert!(!keep("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"));
}

#[test]
fn targets_in_all_forms() {
    let target = |t: &str| {
        let text = format!("GET {t} HTTP/1.1\r\nHost: a\r\n\r\n");
        read(text.as_bytes()).map(|h| (h.path.to_owned(), h.query.to_owned()))
    };
    let ok = |p: &str, q: &str| Ok((p.to_owned(), q.to_owned()));
    assert_eq!(target("/a/b?c=d?e"), ok("/a/b", "c=d?e"));
    assert_eq!(target("http://a:80/io?x"), ok("/io", "x"));
    assert_eq!(target("HTTP://a"), ok("/", ""));
    assert_eq!(target("http://a?x"), ok("/", "x"));
    for bad in ["io", "*", "/a#b", "ftp://a/", "http:///a", "/\u{e9}", "a:80"] {
        assert_eq!(target(bad), Err(Fault::Target), "{bad}");
    }
    let text = b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(read(text).unwrap().path, "*");
}

#[test]
fn bodies_are_delimited_in_one_way() {
    let body = |f: &str| read(format!("POST / HTTP/1.1\r\nHost: a\r\n{f}\r\n").as_bytes()).map(|h| h.body);
    assert_eq!(body(""), Ok(Body::None));
    assert_eq!(body("Content-Length: 0\r\n"), Ok(Body::None));
    assert_eq!(body("Content-Length: 7\r\n"), Ok(Body::Fixed(7)));
    assert_eq!(body("Transfer-Encoding: Chunked\r\n"), Ok(Body::Chunked));
    assert_eq!(body("Content-Length: 1001\r\n"), Err(Fault::BodyTooLarge));
    assert_eq!(body("Content-Length: 99999999999999999999999\r\n"), Err(Fault::BodyTooLarge));
    for bad in [
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length:\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: ,chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
    ] {
        let got = body(bad);
        assert!(matches!(got, Err(Fault::Framing | Fault::Field)), "{bad:?}: {got:?}");
    }
    for unknown in ["gzip", "gzip, chunked", "identity", "chunkedx"] {
        assert_eq!(body(&format!("Transfer-Encoding: {unknown}\r\n")), Err(Fault::Coding), "{unknown}");
    }
    assert_eq!(read(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), Err(Fault::Framing));
}

#[test]
fn refused_by_name() {
    for (text, fault) in [
        ("GET / HTTP/1.1\r\n\r\n", Fault::Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Fault::Host),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Fault::Host),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Fault::Host),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Fault::Version),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Fault::Version),
        ("PRI * HTTP/2.0\r\n\r\n", Fault::Version),
        ("GET /health\r\n\r\n", Fault::Version),
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", Fault::Framing),
        ("GET / FOO/1.1\r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("GET /\r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::Method),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", Fault::Method),
        ("POST * HTTP/1.1\r\nHost: a\r\n\r\n", Fault::Target),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::Method),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Fault::Field),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Fault::Field),
        ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", Fault::BareLf),
        ("GET / HTTP/1.1\nHost: a\n\n", Fault::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", Fault::Field),
        ("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::BlankLines),
        ("\x16\x03\x01", Fault::RequestLine),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", Fault::Expectation),
        ("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", Fault::TooManyFields),
    ] {
        assert_eq!(read(text.as_bytes()).unwrap_err(), fault, "{text:?}");
    }
}

#[test]
fn lengths_are_limited_before_the_end_is_seen() {
    let long_target = format!("GET /{}", "a".repeat(120));
    let long_field = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(400));
    assert_eq!(HeadReader::default().read(long_target.as_bytes(), &SMALL), Err(Fault::TargetTooLong));
    assert_eq!(HeadReader::default().read(long_field.as_bytes(), &SMALL), Err(Fault::HeadTooLong));
    assert_eq!(read(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(64)).as_bytes()), Err(Fault::TargetTooLong));
    assert_eq!(read(format!("{long_field}\r\nHost: a\r\n\r\n").as_bytes()), Err(Fault::HeadTooLong));
    let of_length = |n: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(n - 32));
    assert_eq!(of_length(SMALL.bytes).len(), SMALL.bytes);
    assert!(read(of_length(SMALL.bytes).as_bytes()).is_ok(), "the greatest length is allowed");
    assert_eq!(read(of_length(SMALL.bytes + 1).as_bytes()), Err(Fault::HeadTooLong));
}

#[test]
fn two_blank_lines_are_tolerated() {
    assert!(read(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok());
}

#[test]
fn continue_is_expected_only_with_a_body_in_1_1() {
    let expects = |t: &str| read(t.as_bytes()).unwrap().expects_continue;
    assert!(expects("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"));
    assert!(!expects("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"));
    assert!(!expects("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
}

proptest! {
    #[test]
    fn dripped_heads_are_found_as_whole_ones_are(step in 1usize..7, which in 0usize..4) {
        let text: &[u8] = [
            &b"GET /io HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
            b"GET / HTTP/3.0\r\nHost: a\r\n\r\n",
            b"\r\nGET / HTTP/1.1\r\nX: y\r\n\r\n",
        ][which];
        let whole = read(text);
        let mut reader = HeadReader::default();
        let mut seen = 0;
        while seen < text.len() {
            seen = (seen + step).min(text.len());
            match reader.read(&text[..seen], &SMALL) {
                Ok(Found::More) => prop_assert!(seen < text.len()),
                Ok(Found::Head { head, .. }) => prop_assert_eq!(Ok(head), whole),
                Err(e) => prop_assert_eq!(Err(e), whole),
            }
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = HeadReader::default().read(&bytes, &SMALL);
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
        head.extend_from_slice(&bytes);
        head.extend_from_slice(b"\r\n\r\n");
        let _ = HeadReader::default().read(&head, &SMALL);
    }
}
