//! What was received of an answer that failed, and what came beyond complete ones. Re-exported by
//! [`result`](super::result), whose document these are part of.

use super::figures::{count, counted};
use super::protocol_fault::OwnLimit;

/// Longest excerpt of received bytes, in characters after escaping.
pub const EXCERPT_CHARS: usize = 80;

/// How an answer says where its body ends (RFC 9112 section 6.3). Serialised in kebab case: `{"content-length": 100}`.
#[apply(kebab_case)]
pub enum Framing {
    /// no body follows: HEAD, 204, 304
    NoBody,
    /// this many bytes
    ContentLength(u64),
    /// a last chunk
    Chunked,
    /// the end of the connection
    UntilClose,
}

/// What had come of an answer when it failed or was given up.
#[apply(sparse)]
#[derive(Copy, Eq)]
pub struct Received {
    /// bytes of it, head included
    pub bytes: u64,
    /// the blank line after the fields had come
    pub head_complete: bool,
    /// lines of its head end with LF alone
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bare_lf: bool,
    /// its status; absent before the head was complete
    pub status: Option<u16>,
    /// how its end is marked; absent before the head was complete
    pub framing: Option<Framing>,
    /// bytes of its Content-Length that did not come
    pub missing_bytes: Option<u64>,
}

impl Received {
    /// What was there and what was missing, after "it": `never ended its head: 36 bytes, no blank line`.
    pub fn in_words(&self) -> String {
        let lines = if self.bare_lf { "; its lines end with LF alone, not CR LF" } else { "" };
        if !self.head_complete {
            return format!("never ended its head: {}, no blank line{lines}", counted(self.bytes, "byte"));
        }
        match self.framing {
            Some(Framing::ContentLength(all)) => {
                let missing = self.missing_bytes.unwrap_or(all).min(all);
                format!("stopped after {} of the {} of its body{lines}", count(all - missing), counted(all, "byte"))
            }
            Some(Framing::Chunked) => format!("never sent its last chunk{lines}"),
            Some(Framing::UntilClose) => {
                format!("has neither Content-Length nor chunks, so its end is the end of the connection, which stays open{lines}")
            }
            Some(Framing::NoBody) | None => format!("stopped after {}{lines}", counted(self.bytes, "byte")),
        }
    }
}

/// What had come of an answer when the run ended.
#[apply(record)]
pub struct PartialAnswer {
    /// of the request
    pub method: String,
    /// of the request
    pub endpoint: String,
    /// since the request was sent
    pub waited_ms: f64,
    /// escaped, at most 80 characters
    pub first_bytes: String,
    /// how far it had come
    pub received: Received,
}

/// A limit of sockbench's own that an answer passed.
#[apply(record)]
pub struct LimitHit {
    /// which
    pub limit: OwnLimit,
    /// its value in this run
    pub value: u64,
    /// the flag that raises it
    pub flag: String,
}

/// What bytes beyond a complete answer are. Serialised in kebab case.
#[apply(kebab_case)]
pub enum SurplusKind {
    /// line ends only
    LineEnd,
    /// a second answer to the one request
    SecondAnswer,
    /// a body in the answer to a HEAD request
    BodyToHead,
    /// a body after a status that has none (204, 304)
    BodyToStatus,
    /// anything else: the body is longer than its Content-Length, or has no framing
    Other,
}

/// Complete answers that more bytes followed, by kind and endpoint. The answers are counted as such; the connection was
/// closed after each, for it cannot carry a further request safely (RFC 9112 section 6.3).
#[apply(record)]
pub struct SurplusRow {
    /// what came
    pub kind: SurplusKind,
    /// of the requests
    pub method: String,
    /// of the requests
    pub endpoint: String,
    /// answers
    pub count: u64,
    /// bytes seen beyond them; what came after the close is not
    pub bytes: u64,
    /// of the first of them: escaped, at most 80 characters
    pub first_bytes: String,
    /// when it was first seen, from the run's start
    pub first_s: f64,
    /// and last
    pub last_s: f64,
}

/// `bytes` as they are shown in one line: printable ASCII as it is, all else escaped, at most [`EXCERPT_CHARS`] characters.
/// What is cut short ends with `...`.
///
/// ```
/// use sockbench::testing::model::escaped;
/// assert_eq!(escaped(b"HTTP/1.1 200 OK\r\n\x00"), "HTTP/1.1 200 OK\\r\\n\\x00");
/// assert_eq!(escaped(&[b'a'; 100]).len(), 80);
/// ```
pub fn escaped(bytes: &[u8]) -> String {
    const CUT: &str = "...";
    let mut shown = String::with_capacity(EXCERPT_CHARS);
    // Where the text can be cut so that the dots fit in.
    let mut cut_at = 0;
    for byte in bytes {
        let char = std::ascii::escape_default(*byte);
        // Quotes are escaped for literals of Rust; here they are text.
        let plain = matches!(byte, b'\'' | b'"');
        let width = if plain { 1 } else { char.len() };
        if shown.len() + width > EXCERPT_CHARS {
            shown.truncate(cut_at);
            shown.push_str(CUT);
            return shown;
        }
        if plain {
            shown.push(char::from(*byte));
        } else {
            shown.extend(char.map(char::from));
        }
        if shown.len() + CUT.len() <= EXCERPT_CHARS {
            cut_at = shown.len();
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let head = Received { bytes: 36, head_complete: false, bare_lf: true, status: None, framing: None, missing_bytes: None };
        assert_eq!(head.in_words(), "never ended its head: 36 bytes, no blank line; its lines end with LF alone, not CR LF");
        let of = |framing, missing_bytes| {
            let whole = Received { bytes: 80, head_complete: true, bare_lf: false, status: Some(200), ..head };
            Received { framing: Some(framing), missing_bytes, ..whole }.in_words()
        };
        assert_eq!(of(Framing::ContentLength(100), Some(95)), "stopped after 5 of the 100 bytes of its body");
        assert_eq!(of(Framing::Chunked, None), "never sent its last chunk");
        assert!(of(Framing::UntilClose, None).ends_with("which stays open"));
    }

    #[test]
    fn quotes_and_backslashes() {
        assert_eq!(escaped(b"\"Connection: close\" it's \\"), "\"Connection: close\" it's \\\\");
    }

    proptest! {
        #[test]
        fn an_excerpt_is_one_short_line(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let text = escaped(&bytes);
            prop_assert!(text.len() <= EXCERPT_CHARS && text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text}");
        }
    }
}
