//! Other protocols, recognised by the first bytes that a peer sends. Used only where an HTTP/1 answer did not begin as one.

use crate::model::protocol_fault::Foreign;

/// How every HTTP/1 answer begins (RFC 9112 section 2.3). One of another version is still HTTP, and its fault is named so.
pub(super) const HTTP: &[u8] = b"HTTP/";
/// From this many bytes on nothing more is waited for to say what they are.
pub(super) const ENOUGH: usize = 64;

/// Whether `first` can still become an HTTP answer: it is one's beginning, or shorter than that.
pub(super) fn may_be_http(first: &[u8]) -> bool {
    let n = first.len().min(HTTP.len());
    first[..n] == HTTP[..n]
}

/// Which protocol `first` belongs to; [`None`] while more bytes could say it better. `first` is no HTTP answer.
pub(super) fn recognise(first: &[u8]) -> Option<Foreign> {
    by_text(first).or_else(|| by_shape(first)).or_else(|| (is_line(first) || first.len() >= ENOUGH).then_some(Foreign::Unknown))
}

/// The same at the end of what came.
pub(super) fn recognise_all(first: &[u8]) -> Foreign {
    recognise(first).unwrap_or(Foreign::Unknown)
}

/// Whether a whole line of text has come. A byte 10 inside a binary header is none.
fn is_line(first: &[u8]) -> bool {
    let is_text = |b: &u8| *b >= b' ' || matches!(b, b'\t' | b'\r');
    let begins_as_text = first.first().is_some_and(u8::is_ascii_graphic);
    begins_as_text && first.iter().take(ENOUGH).find(|b| !is_text(b)) == Some(&b'\n')
}

/// Protocols whose first bytes are fixed.
fn by_text(first: &[u8]) -> Option<Foreign> {
    const FIXED: &[(&[u8], Foreign)] = &[
        (b"SSH-", Foreign::Ssh),
        (b"AMQP", Foreign::Amqp),
        (b"RFB ", Foreign::Vnc),
        (b"ICY ", Foreign::Icy),
        (b"RTSP/", Foreign::Rtsp),
        (b"SIP/2", Foreign::Sip),
        (b"PROXY ", Foreign::ProxyHeader),
        (b"PRI * HTTP/2", Foreign::Http2),
        (b"* OK", Foreign::Imap),
        (b"* BYE", Foreign::Imap),
        (b"-ERR", Foreign::Redis),
        (b"-NOAUTH", Foreign::Redis),
        (b"-DENIED", Foreign::Redis),
        (b"-LOADING", Foreign::Redis),
        (b"+PONG", Foreign::Redis),
        (b"CLIENT_ERROR", Foreign::Memcached),
        (b"SERVER_ERROR", Foreign::Memcached),
        (b"ERROR\r", Foreign::Memcached),
        (b"<", Foreign::Http09),
        (b"{", Foreign::Http09),
        (b"GET ", Foreign::HttpRequest),
        (b"HEAD ", Foreign::HttpRequest),
        (b"POST ", Foreign::HttpRequest),
        (b"PUT ", Foreign::HttpRequest),
        (b"PATCH ", Foreign::HttpRequest),
        (b"DELETE ", Foreign::HttpRequest),
        (b"OPTIONS ", Foreign::HttpRequest),
    ];
    FIXED.iter().find(|(start, _)| first.starts_with(start)).map(|f| f.1)
}

/// Protocols known by their lengths, types and versions.
fn by_shape(first: &[u8]) -> Option<Foreign> {
    match *first {
        // A record: type, version 3.0 to 3.4.
        [0x15, 3, 0..=4, ..] => Some(Foreign::TlsAlert),
        [0x14 | 0x16 | 0x17, 3, 0..=4, ..] => Some(Foreign::Tls),
        // A frame on stream 0: SETTINGS (its length a multiple of 6) or GOAWAY.
        [0, _, n, 4, 0 | 1, 0, 0, 0, 0, ..] if n % 6 == 0 => Some(Foreign::Http2),
        [0, 0, 8..=0xff, 7, 0, 0, 0, 0, 0, ..] => Some(Foreign::Http2),
        // A packet: length, number 0, protocol 10 and a version; or an error before the greeting.
        [_, _, 0, 0, 10, b'0'..=b'9', ..] | [_, _, 0, 0 | 1, 0xff, ..] => Some(Foreign::Mysql),
        // ErrorResponse: length, then the severity; before version 3 of the protocol a text.
        [b'E', 0, 0, _, _, b'S', ..] | [b'E', b'F' | b'f', b'A' | b'a', b'T' | b't', ..] => Some(Foreign::Postgres),
        [0xff, 0xfb..=0xfe, ..] => Some(Foreign::Telnet),
        // A final frame that is not masked: text, binary, close, ping, pong. (A MySQL packet has 0 in the third place.)
        [0x81 | 0x82 | 0x88 | 0x89 | 0x8a, 1..=0x7f, 1..=0xff, ..] => Some(Foreign::WebSocket),
        [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ' | b'-', ..] => by_greeting(first),
        [b'+', b'O', b'K', ..] => by_ok(first),
        _ => None,
    }
}

/// A reply code: whose, its text may say.
fn by_greeting(first: &[u8]) -> Option<Foreign> {
    let line = line_of(first)?;
    let says = |word: &[u8]| line.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word));
    // ESMTP contains SMTP; LMTP greets in the same way.
    Some(if says(b"SMTP") {
        Foreign::Smtp
    } else if says(b"FTP") {
        Foreign::Ftp
    } else {
        Foreign::ReplyCode
    })
}

/// `+OK` alone is a reply of Redis; with a text it is a greeting of POP3.
fn by_ok(first: &[u8]) -> Option<Foreign> {
    Some(if line_of(first)?.trim_ascii_end() == b"+OK" { Foreign::Redis } else { Foreign::Pop3 })
}

/// The first line, once it is whole or long enough to be judged without its end.
fn line_of(first: &[u8]) -> Option<&[u8]> {
    let head = &first[..first.len().min(ENOUGH)];
    match head.iter().position(|b| *b == b'\n') {
        Some(end) => Some(&head[..end]),
        None => (head.len() == ENOUGH).then_some(head),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One greeting of each kind as real peers send them.
    const GREETINGS: &[(&[u8], Foreign)] = &[
        (b"\x15\x03\x01\x00\x02\x02\x46", Foreign::TlsAlert),
        (b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76", Foreign::Tls),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80", Foreign::Http2),
        (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", Foreign::Http2),
        (b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", Foreign::Http2),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Foreign::Http2),
        (b"<!DOCTYPE html>\n<html>", Foreign::Http09),
        (b"{\"status\": \"ok\"}", Foreign::Http09),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Foreign::HttpRequest),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Foreign::Ssh),
        (b"220 mail.example.com ESMTP Postfix\r\n", Foreign::Smtp),
        (b"220 (vsFTPd 3.0.5)\r\n", Foreign::Ftp),
        (b"220-Welcome to this server\r\n220 ready\r\n", Foreign::ReplyCode),
        (b"500 5.5.1 Invalid command\r\n", Foreign::ReplyCode),
        (b"+OK Dovecot ready.\r\n", Foreign::Pop3),
        (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", Foreign::Imap),
        (b"-ERR unknown command 'GET'\r\n", Foreign::Redis),
        (b"+OK\r\n", Foreign::Redis),
        (b"-DENIED Redis is running in protected mode", Foreign::Redis),
        (b"ERROR\r\n", Foreign::Memcached),
        (b"E\x00\x00\x00\x8cSFATAL\x00VFATAL\x00C08P01\x00", Foreign::Postgres),
        (b"EFATAL:  unsupported frontend protocol\n\x00", Foreign::Postgres),
        (b"J\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00", Foreign::Mysql),
        (b"\x45\x00\x00\x00\xff\x6a\x04Host '10.0.0.1' is not allowed", Foreign::Mysql),
        (b"AMQP\x00\x00\x09\x01", Foreign::Amqp),
        (b"\x88\x02\x03\xea", Foreign::WebSocket),
        (b"\x81\x05hello", Foreign::WebSocket),
        (b"RTSP/1.0 400 Bad Request\r\n", Foreign::Rtsp),
        (b"SIP/2.0 400 Bad Request\r\n", Foreign::Sip),
        (b"ICY 200 OK\r\n", Foreign::Icy),
        (b"RFB 003.008\n", Foreign::Vnc),
        (b"\xff\xfd\x18\xff\xfd\x20", Foreign::Telnet),
        (b"\x88\x0a\x01abc", Foreign::WebSocket),
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", Foreign::ProxyHeader),
        (b"hello world\n", Foreign::Unknown),
        (&[b'x'; 70], Foreign::Unknown),
    ];

    #[test]
    fn greetings_are_recognised() {
        for (first, foreign) in GREETINGS {
            assert!(!may_be_http(first), "{}", first.escape_ascii());
            assert_eq!(recognise_all(first), *foreign, "{}", first.escape_ascii());
        }
        for http in [&b""[..], b"H", b"HTTP/1.1 200 OK", b"HTTP/2 200"] {
            assert!(may_be_http(http), "{}", http.escape_ascii());
        }
    }

    #[test]
    fn a_greeting_in_pieces_is_the_same() {
        for (first, foreign) in GREETINGS {
            let piece = (1..=first.len()).find_map(|n| recognise(&first[..n]));
            assert_eq!(piece.unwrap_or(Foreign::Unknown), *foreign, "{}", first.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn garbage_in_pieces_is_the_same(bytes in proptest::collection::vec(any::<u8>(), 1..100)) {
            let piece = (1..=bytes.len()).find_map(|n| recognise(&bytes[..n]));
            prop_assert_eq!(piece, recognise(&bytes));
        }
    }
}
