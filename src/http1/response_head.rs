//! The head of one answer: parsed by httparse, its framing decided by RFC 9112 section 6.3.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::expect::Expect;
use super::field;
use super::head_fault::{self, HeadFault};
use crate::model::protocol_fault::ProtocolFault;
use crate::model::received::Framing;

/// Fields that are parsed without an allocation; answers with more are rare, and pay one.
const FEW_FIELDS: usize = 100;

/// What a head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    /// the target will keep the connection (RFC 9112 section 9.3)
    pub(super) keep: bool,
    pub(super) framing: Framing,
    pub(super) server_timing_us: Option<(u64, u64)>,
}

impl Head {
    /// An interim answer, which a final one follows (RFC 9110 section 15.2).
    pub(super) const fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }
}

/// Parses one head, its blank line included.
///
/// Errors: what is wrong, and in which line.
pub(super) fn parse(head: &[u8], expect: &Expect) -> Result<Head, HeadFault> {
    // Left uninitialised: filling a hundred fields costs more than parsing the usual five.
    let mut few = [const { MaybeUninit::uninit() }; FEW_FIELDS];
    match parse_into(head, expect, &mut few) {
        Err(HeadFault { fault: ProtocolFault::TooManyFields, .. }) if expect.head_fields > FEW_FIELDS => parse_many(head, expect),
        parsed => parsed,
    }
}

#[cold]
fn parse_many(head: &[u8], expect: &Expect) -> Result<Head, HeadFault> {
    // No head has more fields than lines.
    let lines = memchr::memchr_iter(b'\n', head).count();
    let mut many = vec![MaybeUninit::uninit(); lines.min(expect.head_fields)];
    parse_into(head, expect, &mut many)
}

fn parse_into<'a>(head: &'a [u8], expect: &Expect, room: &mut [MaybeUninit<httparse::Header<'a>>]) -> Result<Head, HeadFault> {
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, head, room);
    let whole = HeadFault { fault: ProtocolFault::TooManyFields, line: 0..head.len() };
    match parsed {
        // One that ends before our own blank line has an earlier one, in LF alone.
        Ok(httparse::Status::Complete(n)) if n == head.len() => {}
        Ok(httparse::Status::Complete(_)) => return Err(HeadFault::of_start(ProtocolFault::BareLf, head)),
        Err(httparse::Error::TooManyHeaders) => return Err(whole),
        Ok(httparse::Status::Partial) | Err(_) => {
            return Err(head_fault::find(head).unwrap_or_else(|| HeadFault::of_start(ProtocolFault::StatusLine, head)));
        }
    }
    if response.headers.len() > expect.head_fields {
        return Err(whole);
    }
    let (Some(status @ 100..=599), Some(version)) = (response.code, response.version) else {
        return Err(HeadFault::of_start(ProtocolFault::StatusCode, head));
    };
    read_fields(head, response.headers, status, version, expect)
}

fn read_fields(
    head: &[u8],
    fields: &[httparse::Header<'_>],
    status: u16,
    version: u8,
    expect: &Expect,
) -> Result<Head, HeadFault> {
    let at = |fault, field: &httparse::Header<'_>| HeadFault { fault, line: line_of(head, field) };
    let mut length: Option<u64> = None;
    let mut coding = Coding::default();
    let mut keep = version == 1;
    let mut server_timing_us = None;
    for field in fields {
        let name = field.name;
        if name.eq_ignore_ascii_case("content-length") {
            let n = parse_length(field.value).ok_or_else(|| at(ProtocolFault::ContentLength, field))?;
            if length.is_some_and(|l| l != n) {
                return Err(at(ProtocolFault::ContentLength, field));
            }
            length = Some(n);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            coding.read(field.value).map_err(|fault| at(fault, field))?;
        } else if name.eq_ignore_ascii_case("connection") {
            for token in field::tokens(field.value) {
                if token.eq_ignore_ascii_case(b"close") {
                    keep = false;
                } else if token.eq_ignore_ascii_case(b"keep-alive") && version == 0 {
                    keep = true;
                }
            }
        } else if name.eq_ignore_ascii_case("server-timing") {
            // A proxy may add another field, with neither metric.
            server_timing_us = parse_server_timing(field.value).or(server_timing_us);
        }
    }
    let bodyless = expect.head_only || matches!(status, 100..=199 | 204 | 304);
    let framing = if bodyless {
        Framing::NoBody
    } else if coding.is_coded && length.is_some() {
        let coded = fields.iter().find(|f| f.name.eq_ignore_ascii_case("transfer-encoding"));
        return Err(HeadFault { fault: ProtocolFault::BothFramings, line: coded.map_or(0..0, |f| line_of(head, f)) });
    } else if coding.ends_chunked {
        Framing::Chunked
    } else if let (false, Some(n)) = (coding.is_coded, length) {
        Framing::ContentLength(n)
    } else {
        Framing::UntilClose
    };
    // HTTP/1.0 has no transfer codings: such framing is not to be relied on for a further answer (RFC 9112 section 6.1).
    let keep = keep && framing != Framing::UntilClose && !(version == 0 && coding.is_coded) && status != 101;
    Ok(Head { status, keep, framing, server_timing_us })
}

/// The line of a field inside the head that it was parsed from.
fn line_of(head: &[u8], field: &httparse::Header<'_>) -> Range<usize> {
    let offset = |part: *const u8| (part as usize).saturating_sub(head.as_ptr() as usize).min(head.len());
    offset(field.name.as_ptr())..(offset(field.value.as_ptr()) + field.value.len()).min(head.len())
}

/// Transfer-Encoding over all its fields (RFC 9112 section 6.1).
#[derive(Debug, Default)]
struct Coding {
    is_coded: bool,
    has_chunked: bool,
    ends_chunked: bool,
}

impl Coding {
    fn read(&mut self, value: &[u8]) -> Result<(), ProtocolFault> {
        for token in field::tokens(value).filter(|t| !t.is_empty()) {
            let name = token.split(|b| *b == b';').next().unwrap_or(token).trim_ascii_end();
            if name.eq_ignore_ascii_case(b"identity") {
                // No coding at all, in RFC 2616; some servers still send it.
                continue;
            }
            let is_chunked = name.eq_ignore_ascii_case(b"chunked");
            if is_chunked && (self.has_chunked || name.len() < token.len()) {
                return Err(ProtocolFault::TransferCoding);
            }
            self.is_coded = true;
            self.has_chunked |= is_chunked;
            self.ends_chunked = is_chunked;
        }
        Ok(())
    }
}

/// Content-Length as RFC 9110 section 8.6 lets a recipient read it: a list of equal values is one value.
fn parse_length(value: &[u8]) -> Option<u64> {
    let mut all = field::tokens(value).map(field::length);
    let first = all.next()??;
    all.all(|n| n == Some(first)).then_some(first)
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
    use super::*;

    fn framing(fields: &str) -> Result<(Framing, bool), ProtocolFault> {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        parse(head.as_bytes(), &Expect::default()).map(|h| (h.framing, h.keep)).map_err(|f| f.fault)
    }

    #[test]
    fn transfer_codings() {
        for (fields, expected) in [
            ("Transfer-Encoding: chunked\r\n", Ok((Framing::Chunked, true))),
            ("Transfer-Encoding: gzip, Chunked\r\n", Ok((Framing::Chunked, true))),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Ok((Framing::Chunked, true))),
            ("Transfer-Encoding: identity\r\nContent-Length: 3\r\n", Ok((Framing::ContentLength(3), true))),
            ("Transfer-Encoding: chunked, gzip\r\n", Ok((Framing::UntilClose, false))),
            ("Transfer-Encoding: gzip\r\n", Ok((Framing::UntilClose, false))),
            ("Transfer-Encoding: chunked, chunked\r\n", Err(ProtocolFault::TransferCoding)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(ProtocolFault::TransferCoding)),
            ("Transfer-Encoding: chunked;q=1\r\n", Err(ProtocolFault::TransferCoding)),
            ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", Err(ProtocolFault::BothFramings)),
            ("Content-Length: 3, 3\r\n", Ok((Framing::ContentLength(3), true))),
            ("Content-Length: 3\r\nContent-Length: 4\r\n", Err(ProtocolFault::ContentLength)),
            ("Content-Length: +3\r\n", Err(ProtocolFault::ContentLength)),
            ("Content-Length:\r\n", Err(ProtocolFault::ContentLength)),
            ("", Ok((Framing::UntilClose, false))),
        ] {
            assert_eq!(framing(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn chunks_of_http_1_0_end_the_connection() {
        let head = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";
        let parsed = parse(head, &Expect::default()).expect("sound");
        assert_eq!((parsed.framing, parsed.keep), (Framing::Chunked, false));
    }

    #[test]
    fn many_fields_pass_up_to_the_limit() {
        let head = |n: usize| format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\n", "X: 1\r\n".repeat(n - 1));
        let expect = Expect { head_fields: 1000, ..Expect::default() };
        for n in [FEW_FIELDS, FEW_FIELDS + 1, 1000] {
            assert_eq!(parse(head(n).as_bytes(), &expect).map(|h| h.framing), Ok(Framing::ContentLength(2)), "{n}");
        }
        for (n, limit) in [(1001, 1000), (51, 50)] {
            let fault = parse(head(n).as_bytes(), &Expect { head_fields: limit, ..expect }).map_err(|f| f.fault);
            assert_eq!(fault, Err(ProtocolFault::TooManyFields), "{n}");
        }
    }

    #[test]
    fn the_offending_line_is_named() {
        let head = b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: x\r\n\r\n";
        let fault = parse(head, &Expect::default()).expect_err("no number");
        assert_eq!(&head[fault.line], b"Content-Length: x");
    }

    #[test]
    fn server_timing_needs_both_parts() {
        assert_eq!(parse_server_timing(b"queue;dur=0.012, work;dur=200.1"), Some((12, 200_100)));
        assert_eq!(parse_server_timing(b"queue;desc=\"x\";dur=\"1\", work;dur=2"), Some((1000, 2000)));
        assert_eq!(parse_server_timing(b"total;dur=1"), None);
    }
}
