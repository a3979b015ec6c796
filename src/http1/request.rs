//! A request head as a server reads it: found incrementally, parsed by httparse, and everything that httparse lets
//! through checked by hand (Host, target, Content-Length, Transfer-Encoding, version, bare LF).
//!
//! httparse starts from byte 0 at each call, so it is called once per head, when the head's end is in the bytes
//! that just came; what was searched already is not searched again.
//!
//! ```
//! use sockbench::testing::http1::{Found, HeadLimits, HeadReader};
//! let mut reader = HeadReader::default();
//! let bytes = b"GET /io?ms=5 HTTP/1.1\r\nHost: a\r\n\r\nGET";
//! assert!(matches!(reader.read(&bytes[..20], &HeadLimits::default()), Ok(Found::More)));
//! let Ok(Found::Head { head, consumed }) = reader.read(bytes, &HeadLimits::default()) else { panic!() };
//! assert_eq!((head.path, head.query, head.keep, consumed), ("/io", "ms=5", true, bytes.len() - 3));
//! ```

use std::mem::MaybeUninit;

use memchr::{memchr, memchr_iter, memmem};

use super::fault::Fault;
use super::field;
use crate::model::limits;

/// Room for fields on the stack; the limit in force is [`HeadLimits::fields`].
pub const FIELDS_ROOM: usize = limits::HEAD_FIELDS_MAX;

/// How long a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// whole head, bytes
    pub bytes: usize,
    /// fields, at most [`FIELDS_ROOM`]
    pub fields: usize,
    /// request target, bytes
    pub target: usize,
    /// body announced by Content-Length, bytes
    pub body: u64,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { bytes: limits::HEAD_BYTES, fields: limits::HEAD_FIELDS, target: limits::TARGET_BYTES, body: limits::BODY_BYTES }
    }
}

/// The methods of RFC 9110 and PATCH; any other is answered 501.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST, PUT, DELETE, OPTIONS, TRACE, PATCH: known, allowed nowhere here
    Other,
}

/// How the request's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// there is none
    None,
    /// this many bytes, at least one
    Fixed(u64),
    /// chunked transfer coding
    Chunked,
}

/// One sound request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// the method
    pub method: Method,
    /// path of the target, not decoded
    pub path: &'a str,
    /// query of the target without `?`; empty when there is none
    pub query: &'a str,
    /// HTTP/1.1 rather than 1.0
    pub is_1_1: bool,
    /// the client lets the connection stay
    pub keep: bool,
    /// what follows the head
    pub body: Body,
    /// the client waits for 100 before it sends the body
    pub expects_continue: bool,
}

/// What a search for a head gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// the head is not whole yet
    More,
    /// a head
    Head {
        /// the head
        head: Head<'a>,
        /// bytes up to the head's end, blank lines before it included
        consumed: usize,
    },
}

/// Remembers between reads how far a head has been searched.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeadReader {
    start: u32,
    searched: u32,
}

impl HeadReader {
    /// Whether a head has begun: bytes other than blank lines were seen.
    pub fn has_begun(&self) -> bool {
        self.searched > self.start
    }

    /// Looks for a head in `bytes`, which begin where they began at the calls before, with more at their end.
    ///
    /// Errors: the request is refused; the fault names the answer's status. The connection must then close.
    pub fn read<'a>(&mut self, bytes: &'a [u8], limits: &HeadLimits) -> Result<Found<'a>, Fault> {
        if !self.has_begun() {
            self.skip_blank_lines(bytes)?;
        }
        let start = self.start as usize;
        let Some(first) = bytes.get(start).copied().filter(|b| *b != b'\r') else { return Ok(Found::More) };
        if !super::is_token_byte(first) {
            return Err(Fault::RequestLine); // a TLS hello, say: no need to wait for its end
        }
        // The end may straddle old and new bytes.
        let from = (self.searched as usize).saturating_sub(3).max(start);
        let Some(at) = memmem::find(&bytes[from..], b"\r\n\r\n") else {
            if let Some(fault) = overlong(&bytes[start..], limits) {
                return Err(fault);
            }
            if has_bare_lf(bytes, from) {
                return Err(Fault::BareLf);
            }
            self.searched = bytes.len() as u32;
            return Ok(Found::More);
        };
        let end = from + at + 4;
        let head = &bytes[start..end];
        if head.len() > limits.bytes {
            return Err(overlong(head, limits).unwrap_or(Fault::HeadTooLong));
        }
        let head = parse(head, limits)?;
        *self = Self::default();
        Ok(Found::Head { head, consumed: end })
    }

    fn skip_blank_lines(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        while bytes[self.start as usize..].starts_with(b"\r\n") {
            self.start += 2;
            if self.start as usize > 2 * limits::LEADING_BLANK_LINES {
                return Err(Fault::BlankLines);
            }
        }
        match bytes[self.start as usize..] {
            [b'\n', ..] => Err(Fault::BareLf),
            [b'\r', b, ..] if b != b'\n' => Err(Fault::RequestLine),
            _ => {
                self.searched = self.start;
                Ok(())
            }
        }
    }
}

/// What is wrong with the length of an unfinished head, if anything.
fn overlong(head: &[u8], limits: &HeadLimits) -> Option<Fault> {
    // "OPTIONS " and " HTTP/1.1" around a target of the greatest length
    if head.len() > limits.target + 32 && memchr(b'\n', &head[..limits.target + 32]).is_none() {
        return Some(Fault::TargetTooLong);
    }
    (head.len() > limits.bytes).then_some(Fault::HeadTooLong)
}

fn has_bare_lf(bytes: &[u8], from: usize) -> bool {
    memchr_iter(b'\n', &bytes[from..]).any(|i| from + i == 0 || bytes[from + i - 1] != b'\r')
}

fn parse<'a>(bytes: &'a [u8], limits: &HeadLimits) -> Result<Head<'a>, Fault> {
    if has_bare_lf(bytes, 0) {
        return Err(Fault::BareLf);
    }
    let mut room = [const { MaybeUninit::uninit() }; FIELDS_ROOM];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut room[..limits.fields.min(FIELDS_ROOM)]) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Fault::RequestLine),
        Err(e) => return Err(of_httparse(e, bytes)),
    }
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(Fault::RequestLine);
    };
    if target.len() > limits.target {
        return Err(Fault::TargetTooLong);
    }
    // The method first: the target of CONNECT has a special form, and 501 says more than 400.
    let asterisk_allowed = method == "OPTIONS";
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" | "PUT" | "DELETE" | "OPTIONS" | "TRACE" | "PATCH" => Method::Other,
        _ => return Err(Fault::Method),
    };
    let (path, query) = split_target(target).ok_or(Fault::Target)?;
    if path == "*" && !asterisk_allowed {
        return Err(Fault::Target);
    }
    let is_1_1 = version == 1;
    let fields = Fields::collect(request.headers, is_1_1)?;
    let body = match (fields.chunked, fields.length) {
        (true, _) => Body::Chunked,
        (false, None | Some(0)) => Body::None,
        (false, Some(n)) if n > limits.body => return Err(Fault::BodyTooLarge),
        (false, Some(n)) => Body::Fixed(n),
    };
    let keep = !fields.close && (is_1_1 || fields.keep_alive);
    Ok(Head { method, path, query, is_1_1, keep, body, expects_continue: fields.expects && is_1_1 && body != Body::None })
}

/// What the fields say about framing and connection.
#[derive(Debug, Default)]
struct Fields {
    hosts: u32,
    length: Option<u64>,
    coded: bool,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects: bool,
}

impl Fields {
    fn collect(headers: &[httparse::Header<'_>], is_1_1: bool) -> Result<Self, Fault> {
        let mut f = Self::default();
        for h in headers {
            f.take(h.name, h.value)?;
        }
        if f.hosts > 1 || (f.hosts == 0 && is_1_1) {
            return Err(Fault::Host);
        }
        // A body delimited in two ways, or a coding that 1.0 does not know: the classic ways to smuggle.
        if f.coded && (f.length.is_some() || !is_1_1) {
            return Err(Fault::Framing);
        }
        Ok(f)
    }

    fn take(&mut self, name: &str, value: &[u8]) -> Result<(), Fault> {
        // The length first: few names have these lengths, and comparing them costs more.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => {
                self.hosts += 1;
                if !field::is_host(value) {
                    return Err(Fault::Host);
                }
            }
            6 if name.eq_ignore_ascii_case("expect") => {
                if !value.trim_ascii().eq_ignore_ascii_case(b"100-continue") {
                    return Err(Fault::Expectation);
                }
                self.expects = true;
            }
            10 if name.eq_ignore_ascii_case("connection") => {
                for token in field::tokens(value) {
                    self.close |= token.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                if self.length.is_some() {
                    return Err(Fault::Framing);
                }
                self.length = Some(field::length(value).ok_or(Fault::Framing)?);
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => self.take_coding(value)?,
            _ => {}
        }
        Ok(())
    }

    /// Only `chunked`, once, is understood; it must be the last coding (RFC 9112 section 6.1).
    fn take_coding(&mut self, value: &[u8]) -> Result<(), Fault> {
        if self.chunked {
            return Err(Fault::Framing);
        }
        self.coded = true;
        let value = value.trim_ascii();
        if value.eq_ignore_ascii_case(b"chunked") {
            self.chunked = true;
            return Ok(());
        }
        let mut codings = field::tokens(value);
        let count_chunked = field::tokens(value).filter(|t| t.eq_ignore_ascii_case(b"chunked")).count();
        let well_formed = codings.all(|t| !t.is_empty() && t.iter().all(|b| super::is_token_byte(*b) || b";=\" ".contains(b)));
        let misplaced = count_chunked == 1 && !field::tokens(value).last().is_some_and(|t| t.eq_ignore_ascii_case(b"chunked"));
        Err(if well_formed && count_chunked <= 1 && !misplaced { Fault::Coding } else { Fault::Framing })
    }
}

/// Path and query of an origin-form, absolute-form or asterisk-form target (RFC 9112 section 3.2).
fn split_target(target: &str) -> Option<(&str, &str)> {
    if !target.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return None;
    }
    let local = if target.starts_with('/') || target == "*" {
        target
    } else {
        let after = target.get(..7).filter(|s| s.eq_ignore_ascii_case("http://")).map(|_| &target[7..])?;
        let at = after.find(['/', '?']).unwrap_or(after.len());
        if at == 0 || !field::is_host(&after.as_bytes()[..at]) {
            return None;
        }
        &after[at..]
    };
    Some(match local.split_once('?') {
        Some(("", query)) => ("/", query),
        Some(both) => both,
        None if local.is_empty() => ("/", ""),
        None => (local, ""),
    })
}

fn of_httparse(e: httparse::Error, head: &[u8]) -> Fault {
    match e {
        httparse::Error::TooManyHeaders => Fault::TooManyFields,
        httparse::Error::Version | httparse::Error::Token | httparse::Error::NewLine if names_a_version(head) => Fault::Version,
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Fault::Field,
        _ => Fault::RequestLine,
    }
}

/// Whether the first line is `METHOD target HTTP/digit.digit` with a version that is not one of ours, or `METHOD
/// target` alone: HTTP/0.9.
fn names_a_version(head: &[u8]) -> bool {
    let line = &head[..memchr(b'\r', head).unwrap_or(head.len())];
    let mut words = line.split(|b| *b == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let spoken = method.is_some_and(|m| !m.is_empty() && m.iter().all(|b| super::is_token_byte(*b)))
        && target.is_some_and(|t| matches!(t, [b'/', ..]) || t == b"*");
    match version {
        None => spoken && head.len() == line.len() + 4,
        Some([b'H', b'T', b'T', b'P', b'/', a, b'.', b]) => {
            spoken && a.is_ascii_digit() && b.is_ascii_digit() && !matches!((a, b), (b'1', b'0' | b'1')) && words.next().is_none()
        }
        Some(_) => false,
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
