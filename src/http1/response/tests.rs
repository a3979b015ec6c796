//! Answers as bytes: whole, in pieces, malformed, surplus.

use proptest::prelude::*;

use super::*;
use crate::http1::recent::{MUTATED_HEADS, mutated};
use crate::model::protocol_fault::Foreign;

const SMALL: Expect = Expect { head_bytes: 1024, head_fields: 64, body_bytes: 1 << 20, head_only: false, upgrade: false };
const DONE: Result<Progress, ProtocolFault> = Ok(Progress::Done { surplus: None });

/// What came of some bytes: the last progress, the answer, what was received, the excerpt.
type Outcome = (Result<Progress, ProtocolFault>, Answer, String);

fn read_in(pieces: &[&[u8]], expect: Expect, start: Start) -> Outcome {
    let mut r = ResponseReader::new(expect);
    r.begin(start);
    let mut last = Ok(Progress::More);
    for piece in pieces {
        last = r.on_bytes(piece, &mut AnswerHeads::default());
        if last != Ok(Progress::More) {
            break;
        }
    }
    (last, r.answer(), r.excerpt().escape_ascii().to_string())
}

fn read(bytes: &[u8]) -> (Result<Progress, ProtocolFault>, Answer) {
    let (progress, answer, _) = read_in(&[bytes], SMALL, Start::Fresh);
    (progress, answer)
}

fn at_eof(bytes: &[u8], start: Start) -> AtEof {
    let mut r = ResponseReader::new(SMALL);
    r.begin(start);
    let _ = r.on_bytes(bytes, &mut AnswerHeads::default());
    r.on_eof()
}

#[test]
fn a_fixed_length_answer() {
    let (p, a) = read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(p, DONE);
    assert_eq!((a.status, a.keep, a.body_bytes), (200, true, 5));
}

#[test]
fn close_is_announced_by_field_or_version() {
    assert!(!read(b"HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 0\r\n\r\n").1.keep);
    assert!(!read(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").1.keep);
    assert!(read(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n").1.keep);
}

#[test]
fn chunks_with_a_trailer() {
    let (p, a) = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n");
    assert_eq!((p, a.body_bytes), (DONE, 3));
}

#[test]
fn no_length_means_until_eof() {
    let mut r = ResponseReader::new(SMALL);
    r.begin(Start::Fresh);
    assert_eq!(r.on_bytes(b"HTTP/1.0 200 OK\r\n\r\nabc", &mut AnswerHeads::default()), Ok(Progress::More));
    assert_eq!(r.received(22).and_then(|r| r.framing), Some(Framing::UntilClose));
    assert_eq!((r.on_eof(), r.answer().body_bytes), (AtEof::Complete, 3));
}

#[test]
fn eof_is_told_apart() {
    let broken = AtEof::Broken;
    for (bytes, start, expected) in [
        (&b""[..], Start::Fresh, AtEof::NothingCame),
        (b"\r\n", Start::Reused, AtEof::NothingCame),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", Start::Fresh, broken(ProtocolFault::Truncated)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", Start::Fresh, broken(ProtocolFault::Truncated)),
        (b"HTTP/1.1 200 OK\r\nConte", Start::Fresh, broken(ProtocolFault::TruncatedHead)),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Start::Fresh, broken(ProtocolFault::TruncatedHead)),
        (b"\x15\x03", Start::Fresh, broken(ProtocolFault::NotHttp(Foreign::Unknown))),
        (b"left of a body", Start::Reused, broken(ProtocolFault::NotHttp(Foreign::Unknown))),
    ] {
        assert_eq!(at_eof(bytes, start), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_is_known_of_an_answer_that_does_not_end() {
    let received = |bytes: &[u8]| {
        let mut r = ResponseReader::new(SMALL);
        r.begin(Start::Fresh);
        assert_eq!(r.on_bytes(bytes, &mut AnswerHeads::default()), Ok(Progress::More), "{}", bytes.escape_ascii());
        r.received(bytes.len() as u64).expect("bytes came")
    };
    let open = received(b"HTTP/1.1 200 OK\r\nServer: nginx\r\n");
    assert_eq!((open.head_complete, open.framing, open.status, open.bytes), (false, None, None, 32));
    let short = received(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    assert_eq!((short.framing, short.missing_bytes, short.status), (Some(Framing::ContentLength(100)), Some(95), Some(200)));
    let chunks = received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    assert_eq!((chunks.head_complete, chunks.framing, chunks.missing_bytes), (true, Some(Framing::Chunked), None));
    assert!(received(b"HTTP/1.1 200 OK\nServer: x\n").bare_lf);
}

#[test]
fn interim_answers_are_passed_over() {
    for interim in ["100 Continue", "102 Processing", "103 Early Hints"] {
        let text = format!("HTTP/1.1 {interim}\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
        let (p, a) = read(text.as_bytes());
        assert_eq!((p, a.status), (DONE, 204));
    }
}

#[test]
fn surplus_is_counted_and_named() {
    let head = Expect { head_only: true, ..SMALL };
    for (bytes, expect, kind, n) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"[..], SMALL, SurplusKind::Other, 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na\r\n", SMALL, SurplusKind::LineEnd, 2),
        (b"HTTP/1.1 204 No Content\r\n\r\n<html>", SMALL, SurplusKind::BodyToStatus, 6),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", head, SurplusKind::BodyToHead, 4),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", SMALL, SurplusKind::SecondAnswer, 19),
        (b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", SMALL, SurplusKind::LineEnd, 2),
    ] {
        let (p, a, _) = read_in(&[bytes], expect, Start::Fresh);
        assert_eq!(p, Ok(Progress::Done { surplus: Some(Surplus { kind, bytes: n }) }), "{}", bytes.escape_ascii());
        assert!(a.status == 200 || a.status == 204);
    }
}

#[test]
fn what_is_left_of_the_answer_before_is_passed_over_on_a_reused_connection() {
    let bytes = b"more of a body H HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let surplus = Some(Surplus { kind: SurplusKind::Other, bytes: 17 });
    for cut in 1..bytes.len() {
        let (p, a, excerpt) = read_in(&[&bytes[..cut], &bytes[cut..]], SMALL, Start::Reused);
        assert_eq!((p, a.body_bytes), (Ok(Progress::Done { surplus }), 2), "cut at {cut}");
        assert_eq!(excerpt, "more of a body H ", "cut at {cut}");
    }
    let endless = [b'x'; 2000];
    let (p, ..) = read_in(&[&endless], SMALL, Start::Reused);
    assert_eq!(p, Err(ProtocolFault::NotHttp(Foreign::Unknown)), "not for ever");
}

#[test]
fn faults_by_name_with_the_bytes_that_show_them() {
    use ProtocolFault as F;
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(2000));
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(2000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(65));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (text, fault, shown) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", F::ContentLength, "Content-Length: +5"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            F::BothFramings,
            "Transfer-Encoding: chunked",
        ),
        ("SSH-2.0-OpenSSH\r\n", F::NotHttp(Foreign::Ssh), "SSH-2.0-OpenSSH\\r\\n"),
        ("<html>\r\n\r\n", F::NotHttp(Foreign::Http09), "<html>\\r\\n\\r\\n"),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", F::BareLf, "HTTP/1.1 200 OK\\nContent-Length: 2\\n\\n"),
        ("HTTP/1.1 200 OK\nContent-Length: 20\n\nok\r\n\r\n", F::BareLf, "HTTP/1.1 200 OK"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok", F::BareLf, "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\n"),
        ("HTTP/1.1 200 OK\r\nA: b\n\r\nok", F::BareLf, "HTTP/1.1 200 OK\\r\\nA: b\\n\\r\\n"),
        ("HTTP/1.1 000 X\r\n\r\n", F::StatusCode, "HTTP/1.1 000 X"),
        ("HTTP/1.1 600 X\r\n\r\n", F::StatusCode, "HTTP/1.1 600 X"),
        ("HTTP/2 200\r\n\r\n", F::Version, "HTTP/2 200"),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", F::BlankBeforeColon, "A : b"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", F::Unasked101, "HTTP/1.1 101 Switching Protocols\\r\\n\\r\\n"),
        (&[chunked, "zz\r\n"].concat(), F::ChunkSize, "zz\\r\\n"),
        (&[chunked, "3\r\nabcX\r\n"].concat(), F::ChunkEnd, "X\\r\\n"),
        (&[chunked, "0\r\nno colon\r\n\r\n"].concat(), F::Trailer, "no colon\\r\\n\\r\\n"),
        (&[chunked, "1;\x01\r\n"].concat(), F::ChunkExtension, "1;\\x01\\r\\n"),
        (&[chunked, "1;", &"a".repeat(2000)].concat(), F::TrailersTooLarge, ""),
        (&long, F::HeadTooLarge, ""),
        (&endless, F::HeadTooLarge, ""),
        (&many, F::TooManyFields, ""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n", F::BodyTooLarge, ""),
    ] {
        let (p, _, excerpt) = read_in(&[text.as_bytes()], SMALL, Start::Fresh);
        assert_eq!(p, Err(fault), "{text:?}");
        assert!(!excerpt.is_empty() && (shown.is_empty() || excerpt == shown), "{text:?}: {excerpt}");
    }
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    for status in ["204 No Content", "304 Not Modified"] {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n");
        let (p, a) = read(text.as_bytes());
        assert_eq!((p, a.keep, a.body_bytes), (DONE, true, 0), "the length of a {status} is that of another answer");
    }
}

#[test]
fn a_body_may_have_the_greatest_length_and_no_byte_more() {
    let expect = Expect { body_bytes: 5, ..SMALL };
    let (length, chunks) =
        ("Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    for framing in [length, chunks] {
        let text = format!("HTTP/1.1 200 OK\r\n{framing}");
        let (p, a, _) = read_in(&[text.as_bytes()], expect, Start::Fresh);
        assert_eq!((p, a.body_bytes), (DONE, 5), "{framing:?}");
        let (p, ..) = read_in(&[text.as_bytes()], Expect { body_bytes: 4, ..expect }, Start::Fresh);
        assert_eq!(p, Err(ProtocolFault::BodyTooLarge), "{framing:?}");
    }
    let open = b"HTTP/1.1 200 OK\r\n\r\nhello";
    assert_eq!(read_in(&[open], expect, Start::Fresh).0, Ok(Progress::More), "whole at the end of the connection");
    assert_eq!(read_in(&[open, b"!"], expect, Start::Fresh).0, Err(ProtocolFault::BodyTooLarge));
}

#[test]
fn an_upgrade_that_was_asked_for_is_an_answer() {
    let asked = Expect { upgrade: true, ..SMALL };
    let (p, a, _) = read_in(&[b"HTTP/1.1 101 Switching Protocols\r\n\r\n"], asked, Start::Fresh);
    assert_eq!((p, a.status, a.keep), (DONE, 101, false));
}

#[test]
fn a_long_head_in_pieces_leaves_no_room_behind() {
    let head = format!("HTTP/1.1 200 OK\r\nSet-Cookie: {}\r\nContent-Length: 0\r\n\r\n", "a".repeat(40_000));
    let mut r = ResponseReader::new(Expect::default());
    r.begin(Start::Fresh);
    for piece in head.as_bytes().chunks(1000) {
        r.on_bytes(piece, &mut AnswerHeads::default()).expect("sound");
    }
    assert_eq!(r.answer().status, 200);
    let room = r.aside().partial.capacity();
    assert!(room <= KEPT_ROOM, "{room}");
}

/// Streams of every kind: sound, malformed, foreign.
const STREAMS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nServer-Timing: queue;dur=1, work;dur=2\r\n\r\nhello world",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n!\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\nhello",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok",
    b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    b"HTTP/1.1 100 Continue\x00\n\r\n",
    b"HTTP/1.1 000 No\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"J\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00",
    b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
];

proptest! {
    #[test]
    fn any_split_gives_the_same_events(cuts in proptest::collection::vec(0usize..200, 0..8), which in 0..STREAMS.len(), reused in any::<bool>()) {
        let whole = STREAMS[which];
        let start = if reused { Start::Reused } else { Start::Fresh };
        let mut at: Vec<usize> = cuts.into_iter().map(|c| c.min(whole.len())).collect();
        at.extend([0, whole.len()]);
        at.sort_unstable();
        at.dedup();
        let pieces: Vec<&[u8]> = at.windows(2).map(|w| &whole[w[0]..w[1]]).collect();
        let (expected, mut answer, shown) = read_in(&[whole], SMALL, start);
        let (progress, mut split_answer, split_shown) = read_in(&pieces, SMALL, start);
        prop_assert_eq!(progress, expected);
        // The figures of an answer that never came are nobody's.
        if expected.is_err() && answer.status == 0 {
            (answer, split_answer) = (Answer::default(), Answer::default());
        }
        prop_assert_eq!(split_answer, answer);
        prop_assert!(shown.starts_with(&split_shown) || split_shown.starts_with(&shown), "{} {}", shown, split_shown);
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..400, reused in any::<bool>()) {
        let cut = cut.min(bytes.len());
        let start = if reused { Start::Reused } else { Start::Fresh };
        let mut r = ResponseReader::new(SMALL);
        r.begin(start);
        let mut heads = AnswerHeads::default();
        if r.on_bytes(&bytes[..cut], &mut heads).is_ok() {
            let _ = r.on_bytes(&bytes[cut..], &mut heads);
        }
        let _ = (r.received(1), r.on_eof());
    }

    #[test]
    fn mutated_answers_in_pieces_are_the_same(which in 0..STREAMS.len(), at in 0usize..120, byte in any::<u8>(), cut in 0usize..130) {
        let mut bytes = STREAMS[which].to_vec();
        let at = at.min(bytes.len() - 1);
        bytes[at] = byte;
        let cut = cut.min(bytes.len());
        let (expected, answer, _) = read_in(&[&bytes], SMALL, Start::Fresh);
        let (progress, split, _) = read_in(&[&bytes[..cut], &bytes[cut..]], SMALL, Start::Fresh);
        let surplus = |p: &Result<Progress, ProtocolFault>| matches!(p, Ok(Progress::Done { surplus: Some(_) }));
        // Bytes beyond an answer are seen only as far as they have come.
        if !surplus(&expected) {
            prop_assert_eq!((progress, split), (expected, answer));
        }
    }
}

#[test]
fn a_head_from_the_table_reads_the_same_as_one_that_is_parsed() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut heads, mut known) = (AnswerHeads::default(), 0_u32);
    for _ in 0..MUTATED_HEADS {
        let bytes = mutated(STREAMS[rng.usize(..STREAMS.len())], &mut rng);
        known += u32::from(heads.0.find(&bytes).is_some());
        let [with_table, without] = [&mut heads, &mut AnswerHeads::default()].map(|heads| {
            let mut r = ResponseReader::new(SMALL);
            r.begin(Start::Fresh);
            (r.on_bytes(&bytes, heads), r.answer(), r.received(0), r.excerpt().to_vec(), r.on_eof())
        });
        assert_eq!(with_table, without, "{}", bytes.escape_ascii());
    }
    assert!(known > MUTATED_HEADS / 50, "{known} came from the table");
}
