//! An HTTP/1.1 answer as a client reads it, incrementally: head by httparse, framing by RFC 9112 section 6.3.
//!
//! Bytes are looked at where they were received; only a head that arrives in pieces is copied. What is not here:
//! sockets, time, and what an answer means to the run (`load::user`).
//!
//! ```
//! use sockbench::http1::response::{Answer, Progress, ResponseReader};
//! let mut r = ResponseReader::new(32 * 1024, 1 << 20);
//! r.begin(false);
//! assert_eq!(r.on_bytes(b"HTTP/1.1 200 OK\r\nContent-Le"), Ok(Progress::More));
//! assert_eq!(r.on_bytes(b"ngth: 2\r\n\r\nok"), Ok(Progress::Done { surplus: 0 }));
//! assert_eq!(r.answer(), Answer { status: 200, keep: true, body_bytes: 2, server_timing_us: None });
//! ```

use std::mem::MaybeUninit;

use memchr::memmem;

use super::chunked::{Blanks, Chunked, Step};
use super::field;
use crate::model::limits;
use crate::model::outcome::ProtocolFault;

/// What the reader wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// the answer is not whole yet
    More,
    /// the answer is whole; `surplus` bytes of the slice lie beyond it
    Done {
        /// bytes after the answer's end
        surplus: usize,
    },
}

/// What end of file means at this point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEof {
    /// not one byte of an answer had come
    NothingCame,
    /// the body was delimited by the end of the connection: the answer is whole
    Complete,
    /// the answer is cut short
    Truncated,
}

/// A whole answer, or what is known of one so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answer {
    /// HTTP status
    pub status: u16,
    /// the target will keep the connection (RFC 9112 section 9.3)
    pub keep: bool,
    /// body bytes, chunk framing excluded
    pub body_bytes: u64,
    /// `queue` and `work` of a `Server-Timing` field, microseconds
    pub server_timing_us: Option<(u64, u64)>,
}

#[derive(Debug)]
enum State {
    Head,
    Fixed(u64),
    Chunks(Chunked),
    UntilEof,
    Done,
}

/// Reads one answer after another from a connection's bytes.
#[derive(Debug)]
pub struct ResponseReader {
    state: State,
    partial: Vec<u8>,
    answer: Answer,
    head_only: bool,
    any: bool,
    head_bytes: usize,
    body_bytes: u64,
}

impl ResponseReader {
    /// A reader that takes heads of up to `head_bytes` and bodies of up to `body_bytes` bytes.
    pub fn new(head_bytes: usize, body_bytes: u64) -> Self {
        Self {
            state: State::Head,
            partial: Vec::new(),
            answer: Answer::default(),
            head_only: false,
            any: false,
            head_bytes,
            body_bytes,
        }
    }

    /// Prepares for the answer to the next request; `head_only` for the answer to a HEAD request.
    pub fn begin(&mut self, head_only: bool) {
        self.state = State::Head;
        self.partial.clear();
        self.answer = Answer::default();
        self.head_only = head_only;
        self.any = false;
    }

    /// What is known of the answer; final once [`Progress::Done`] or [`AtEof::Complete`] was returned.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// Whether at least one byte of the answer has come.
    pub fn has_begun(&self) -> bool {
        self.any
    }

    /// Takes the next bytes of the connection.
    ///
    /// Errors: how the answer breaks RFC 9112, or which limit it passes. The reader is then done with the
    /// connection.
    pub fn on_bytes(&mut self, bytes: &[u8]) -> Result<Progress, ProtocolFault> {
        if bytes.is_empty() {
            return Ok(Progress::More);
        }
        self.any = true;
        let mut rest = bytes;
        loop {
            match &mut self.state {
                State::Head => match self.take_head(rest)? {
                    None => return Ok(Progress::More),
                    Some(used) => rest = &rest[used..],
                },
                State::Fixed(left) => {
                    let n = (*left).min(rest.len() as u64);
                    *left -= n;
                    self.answer.body_bytes += n;
                    rest = &rest[n as usize..];
                    if *left > 0 {
                        return Ok(Progress::More);
                    }
                    self.state = State::Done;
                }
                State::Chunks(chunks) => {
                    let Ok(step) = chunks.on_bytes(rest) else { return Err(ProtocolFault::Chunk) };
                    let Step { consumed, body, done } = step;
                    self.answer.body_bytes += body as u64;
                    if self.answer.body_bytes > self.body_bytes {
                        return Err(ProtocolFault::BodyTooLarge);
                    }
                    rest = &rest[consumed..];
                    if !done {
                        return Ok(Progress::More);
                    }
                    self.state = State::Done;
                }
                State::UntilEof => {
                    self.answer.body_bytes += rest.len() as u64;
                    return if self.answer.body_bytes > self.body_bytes {
                        Err(ProtocolFault::BodyTooLarge)
                    } else {
                        Ok(Progress::More)
                    };
                }
                State::Done => return Ok(Progress::Done { surplus: rest.len() }),
            }
        }
    }

    /// The connection ended.
    pub fn on_eof(&mut self) -> AtEof {
        match self.state {
            State::UntilEof => {
                self.state = State::Done;
                AtEof::Complete
            }
            State::Head if !self.any => AtEof::NothingCame,
            _ => AtEof::Truncated,
        }
    }

    /// Parses a head if its end is in `bytes` (after what is kept of it). Returns how many of `bytes` it took.
    fn take_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProtocolFault> {
        if self.partial.is_empty() {
            return if let Some(end) = memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4) {
                if end > self.head_bytes {
                    return Err(ProtocolFault::HeadTooLarge);
                }
                self.parse_head(&bytes[..end])?;
                Ok(Some(end))
            } else {
                self.keep_partial(bytes)?;
                Ok(None)
            };
        }
        // The end may straddle the old and the new bytes: look from three bytes before the seam.
        let seam = self.partial.len();
        let room = (self.head_bytes + 4).saturating_sub(seam).min(bytes.len());
        self.partial.extend_from_slice(&bytes[..room]);
        let from = seam.saturating_sub(3);
        let Some(at) = memmem::find(&self.partial[from..], b"\r\n\r\n") else {
            return if self.partial.len() > self.head_bytes { Err(ProtocolFault::HeadTooLarge) } else { Ok(None) };
        };
        let end = from + at + 4;
        if end > self.head_bytes {
            return Err(ProtocolFault::HeadTooLarge);
        }
        let head = std::mem::take(&mut self.partial);
        let parsed = self.parse_head(&head[..end]);
        self.partial = head;
        self.partial.clear();
        parsed?;
        Ok(Some(end - seam))
    }

    fn keep_partial(&mut self, bytes: &[u8]) -> Result<(), ProtocolFault> {
        if bytes.len() > self.head_bytes {
            return Err(ProtocolFault::HeadTooLarge);
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn parse_head(&mut self, head: &[u8]) -> Result<(), ProtocolFault> {
        // Left uninitialised: filling a hundred fields costs more than parsing the usual five.
        let mut fields = [const { MaybeUninit::uninit() }; limits::HEAD_FIELDS];
        let mut response = httparse::Response::new(&mut []);
        match httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, head, &mut fields) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(ProtocolFault::HeadTooLarge),
            Ok(httparse::Status::Partial) | Err(_) => return Err(ProtocolFault::Head),
        }
        let status = response.code.ok_or(ProtocolFault::Head)?;
        let mut length: Option<u64> = None;
        let mut chunked = false;
        let mut coded = false;
        let mut keep = response.version == Some(1);
        for header in response.headers.iter() {
            let name = header.name;
            if name.eq_ignore_ascii_case("content-length") {
                let n = parse_length(header.value).ok_or(ProtocolFault::Framing)?;
                if length.is_some_and(|l| l != n) {
                    return Err(ProtocolFault::Framing);
                }
                length = Some(n);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                coded = true;
                chunked = last_token_is(header.value, "chunked");
            } else if name.eq_ignore_ascii_case("connection") {
                for token in field::tokens(header.value) {
                    if token.eq_ignore_ascii_case(b"close") {
                        keep = false;
                    } else if token.eq_ignore_ascii_case(b"keep-alive") && response.version == Some(0) {
                        keep = true;
                    }
                }
            } else if name.eq_ignore_ascii_case("server-timing") {
                // A proxy may add a field of its own, which tells neither.
                self.answer.server_timing_us = parse_server_timing(header.value).or(self.answer.server_timing_us);
            }
        }
        // 1xx other than 101 is an interim answer: the final one follows (RFC 9110 section 15.2).
        if (100..200).contains(&status) && status != 101 {
            self.state = State::Head;
            return Ok(());
        }
        if coded && length.is_some() {
            return Err(ProtocolFault::Framing);
        }
        self.answer.status = status;
        self.state = if self.head_only || status == 204 || status == 304 || status == 101 {
            State::Fixed(0)
        } else if chunked {
            State::Chunks(Chunked::new(Blanks::Skipped))
        } else if let (false, Some(n)) = (coded, length) {
            if n > self.body_bytes {
                return Err(ProtocolFault::BodyTooLarge);
            }
            State::Fixed(n)
        } else {
            keep = false;
            State::UntilEof
        };
        self.answer.keep = keep;
        Ok(())
    }
}

/// Content-Length as RFC 9110 section 8.6 lets a recipient read it: a list of equal values is one value.
fn parse_length(value: &[u8]) -> Option<u64> {
    let mut all = field::tokens(value).map(field::length);
    let first = all.next()??;
    all.all(|n| n == Some(first)).then_some(first)
}

fn last_token_is(value: &[u8], wanted: &str) -> bool {
    field::tokens(value).last().is_some_and(|t| t.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// `queue;dur=1.5, work;dur=30` to microseconds; both must be there. Server-Timing, W3C section 3: dur is in
/// milliseconds.
fn parse_server_timing(value: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(value).ok()?;
    let mut queue = None;
    let mut work = None;
    for metric in text.split(',') {
        let mut parts = metric.split(';').map(str::trim);
        let name = parts.next()?;
        let duration = parts.find_map(|p| p.strip_prefix("dur=")).and_then(|d| d.trim_matches('"').parse::<f64>().ok());
        let micros = duration.filter(|d| d.is_finite() && *d >= 0.0).map(|ms| (ms * 1000.0).round() as u64);
        match name {
            "queue" => queue = micros,
            "work" => work = micros,
            _ => {}
        }
    }
    Some((queue?, work?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> (Result<Progress, ProtocolFault>, Answer) {
        let mut r = ResponseReader::new(1024, 1 << 20);
        r.begin(false);
        let p = r.on_bytes(bytes);
        (p, r.answer())
    }

    #[test]
    fn a_fixed_length_answer() {
        let (p, a) = read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(p, Ok(Progress::Done { surplus: 0 }));
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
        assert_eq!(p, Ok(Progress::Done { surplus: 0 }));
        assert_eq!(a.body_bytes, 3);
    }

    #[test]
    fn no_length_means_until_eof() {
        let mut r = ResponseReader::new(1024, 1 << 20);
        r.begin(false);
        assert_eq!(r.on_bytes(b"HTTP/1.0 200 OK\r\n\r\nabc"), Ok(Progress::More));
        assert_eq!(r.on_eof(), AtEof::Complete);
        assert_eq!(r.answer().body_bytes, 3);
    }

    #[test]
    fn eof_is_told_apart() {
        let mut r = ResponseReader::new(1024, 1 << 20);
        r.begin(false);
        assert_eq!(r.on_eof(), AtEof::NothingCame);
        r.begin(false);
        assert_eq!(r.on_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"), Ok(Progress::More));
        assert_eq!(r.on_eof(), AtEof::Truncated);
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let (p, a) = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(p, Ok(Progress::Done { surplus: 0 }));
        assert_eq!(a.status, 204);
    }

    #[test]
    fn surplus_is_seen() {
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab").0, Ok(Progress::Done { surplus: 1 }));
    }

    #[test]
    fn faults_by_name() {
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n").0, Err(ProtocolFault::Framing));
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n").0, Err(ProtocolFault::Framing));
        assert_eq!(
            read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n").0,
            Err(ProtocolFault::Framing)
        );
        assert_eq!(read(b"SSH-2.0-OpenSSH\r\n\r\n").0, Err(ProtocolFault::Head));
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").0, Err(ProtocolFault::Chunk));
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(2000));
        assert_eq!(read(long.as_bytes()).0, Err(ProtocolFault::HeadTooLarge));
    }

    #[test]
    fn server_timing_needs_both_parts() {
        assert_eq!(parse_server_timing(b"queue;dur=0.012, work;dur=200.1"), Some((12, 200_100)));
        assert_eq!(parse_server_timing(b"queue;desc=\"x\";dur=\"1\", work;dur=2"), Some((1000, 2000)));
        assert_eq!(parse_server_timing(b"total;dur=1"), None);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_answer(cuts in proptest::collection::vec(0usize..200, 0..8), which in 0usize..4) {
            let whole: &[u8] = [
                &b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nServer-Timing: queue;dur=1, work;dur=2\r\n\r\nhello world"[..],
                &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n"[..],
                &b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"[..],
                &b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"[..],
            ][which];
            let (_, expected) = read(whole);
            let mut at: Vec<usize> = cuts.into_iter().map(|c| c.min(whole.len())).collect();
            at.push(0);
            at.push(whole.len());
            at.sort_unstable();
            let mut r = ResponseReader::new(1024, 1 << 20);
            r.begin(false);
            let mut last = Progress::More;
            for w in at.windows(2) {
                if w[0] < w[1] {
                    last = r.on_bytes(&whole[w[0]..w[1]]).expect("sound");
                }
            }
            prop_assert_eq!(last, Progress::Done { surplus: 0 });
            prop_assert_eq!(r.answer(), expected);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }
    }
}
