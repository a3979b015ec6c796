//! The chunked transfer coding (RFC 9112 section 7.1) as a push decoder: it counts, it does not keep.
//!
//! Stricter than many: sizes are 1 to 16 hex digits and at most 2^62, every line ends with exactly CRLF, extensions and
//! trailers are capped. Blanks after a size are refused in requests: a lenient reader behind or before a strict one is
//! how requests are smuggled. In answers they pass, as RFC 9112 section 7.1.1 asks of a recipient (BWS around `;`; some
//! servers pad the size itself): a client has no reader behind it.
//!
//! ```
//! use sockbench::testing::http1::Chunked;
//! let mut c = Chunked::of_request();
//! let step = c.on_bytes(b"3\r\nabc\r\n0\r\n\r\nGET").unwrap();
//! assert_eq!((step.consumed, step.body, step.done), (13, 3, true));
//! ```

use crate::model::limits;

/// Largest size of one chunk.
const SIZE_MAX: u64 = 1 << 62;

/// How a chunked body breaks the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkFault {
    /// a chunk size that is not 1 to 16 hex digits, or is too large
    Size,
    /// a chunk extension with a control character
    Extension,
    /// more bytes of extensions of one chunk, or of trailers, than the limit
    TooLong,
    /// something else where CRLF must be
    LineEnd,
    /// a trailer field that is none
    Trailer,
}

/// Where in its input a body broke the rules, and what it gave until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// how
    pub fault: ChunkFault,
    /// bytes of the input before the one that is wrong
    pub consumed: usize,
    /// payload bytes among them
    pub body: usize,
}

/// What one piece of input gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// bytes used up; less than the input only when the body is done
    pub consumed: usize,
    /// payload bytes among them
    pub body: usize,
    /// the last chunk and its trailers are read
    pub done: bool,
}

/// What becomes of blanks between a chunk's size and its `;` or line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blanks {
    /// requests
    Refused,
    /// answers
    Skipped,
}

/// Bytes kept of the line that is being read.
const LINE_BYTES: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size,
    AfterSize,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// The decoder of one body.
#[derive(Debug, Clone, Copy)]
pub struct Chunked {
    at: At,
    blanks: Blanks,
    /// of the present chunk: its size while that is read, then what is left of it
    left: u64,
    digits: u8,
    /// bytes of the present extension, later of all trailers
    aside: usize,
    extension_max: usize,
    trailers_max: usize,
    /// the beginning of the present line, for a report of what is wrong with it
    line: [u8; LINE_BYTES],
    line_len: u8,
}

impl Chunked {
    /// Before the first chunk of a request.
    pub const fn of_request() -> Self {
        Self::new(Blanks::Refused, limits::CHUNK_EXT_BYTES, limits::TRAILER_BYTES)
    }

    /// Before the first chunk of an answer, whose extensions and trailers may have `aside_max` bytes each.
    pub const fn of_answer(aside_max: usize) -> Self {
        Self::new(Blanks::Skipped, aside_max, aside_max)
    }

    const fn new(blanks: Blanks, extension_max: usize, trailers_max: usize) -> Self {
        let line = [0; LINE_BYTES];
        Self { at: At::Size, blanks, left: 0, digits: 0, aside: 0, extension_max, trailers_max, line, line_len: 0 }
    }

    /// The beginning of the line (size, trailer, or what is in their place) that is being read; after a fault up to and
    /// with the byte that is wrong.
    pub fn line(&self) -> &[u8] {
        &self.line[..usize::from(self.line_len)]
    }

    /// Notes a byte that is no payload; a line begins where a size, a chunk's end or a trailer does.
    fn note(&mut self, b: u8) {
        if matches!((self.at, self.digits), (At::Size, 0) | (At::DataCr | At::TrailerStart, _)) {
            self.line_len = 0;
        }
        if let Some(room) = self.line.get_mut(usize::from(self.line_len)) {
            *room = b;
            self.line_len += 1;
        }
    }

    /// Payload bytes that the present chunk still announces: what a body limit has to be checked with.
    pub fn announced(&self) -> u64 {
        if self.at == At::Data { self.left } else { 0 }
    }

    /// Takes the next bytes; stops after the end of the body.
    ///
    /// Errors: the body is malformed; the decoder must not be used again.
    pub fn on_bytes(&mut self, bytes: &[u8]) -> Result<Step, Broken> {
        let mut i = 0;
        let mut body = 0;
        while self.at != At::Done && i < bytes.len() {
            if self.at == At::Data {
                let n = self.left.min((bytes.len() - i) as u64);
                self.left -= n;
                i += n as usize;
                body += n as usize;
                if self.left == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            self.note(bytes[i]);
            self.at = self.next(bytes[i]).map_err(|fault| Broken { fault, consumed: i, body })?;
            i += 1;
        }
        Ok(Step { consumed: i, body, done: self.at == At::Done })
    }

    fn next(&mut self, b: u8) -> Result<At, ChunkFault> {
        Ok(match self.at {
            At::Size => match (char::from(b).to_digit(16), b) {
                (Some(d), _) => {
                    self.digits += 1;
                    if self.digits > 16 || self.left >= SIZE_MAX / 16 {
                        return Err(ChunkFault::Size);
                    }
                    self.left = self.left * 16 + u64::from(d);
                    At::Size
                }
                (None, b'\r' | b';' | b' ' | b'\t') if self.digits > 0 => {
                    self.aside = 0;
                    self.after_size(b)?
                }
                _ => return Err(ChunkFault::Size),
            },
            At::AfterSize => self.after_size(b)?,
            At::Extension => {
                self.aside += 1;
                match b {
                    b'\r' => At::SizeLf,
                    _ if self.aside > self.extension_max => return Err(ChunkFault::TooLong),
                    _ if is_text(b) => At::Extension,
                    _ => return Err(ChunkFault::Extension),
                }
            }
            At::SizeLf if b == b'\n' => {
                self.digits = 0;
                self.aside = 0;
                if self.left > 0 { At::Data } else { At::TrailerStart }
            }
            At::DataCr if b == b'\r' => At::DataLf,
            At::DataLf if b == b'\n' => At::Size,
            At::EndLf if b == b'\n' => At::Done,
            At::TrailerLf if b == b'\n' => At::TrailerStart,
            At::TrailerStart if b == b'\r' => At::EndLf,
            At::TrailerStart | At::TrailerName | At::TrailerValue => return self.next_of_trailer(b),
            _ => return Err(ChunkFault::LineEnd),
        })
    }

    fn after_size(&mut self, b: u8) -> Result<At, ChunkFault> {
        match b {
            b'\r' => Ok(At::SizeLf),
            b';' => Ok(At::Extension),
            b' ' | b'\t' if self.blanks == Blanks::Skipped && self.aside < self.extension_max => {
                self.aside += 1;
                Ok(At::AfterSize)
            }
            _ => Err(ChunkFault::Size),
        }
    }

    fn next_of_trailer(&mut self, b: u8) -> Result<At, ChunkFault> {
        self.aside += 1;
        if self.aside > self.trailers_max {
            return Err(ChunkFault::TooLong);
        }
        match (self.at, b) {
            (At::TrailerName, b':') => Ok(At::TrailerValue),
            (At::TrailerStart | At::TrailerName, b) if super::is_token_byte(b) => Ok(At::TrailerName),
            (At::TrailerValue, b'\r') => Ok(At::TrailerLf),
            (At::TrailerValue, b) if is_text(b) => Ok(At::TrailerValue),
            _ => Err(ChunkFault::Trailer),
        }
    }
}

/// Neither a control character (tab excepted) nor DEL.
fn is_text(b: u8) -> bool {
    b == b'\t' || (b >= b' ' && b != 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(bytes: &[u8]) -> Result<Step, ChunkFault> {
        Chunked::of_request().on_bytes(bytes).map_err(|broken| broken.fault)
    }

    fn of_answer(bytes: &[u8]) -> Result<Step, ChunkFault> {
        Chunked::of_answer(1024).on_bytes(bytes).map_err(|broken| broken.fault)
    }

    #[test]
    fn blanks_after_a_size_pass_in_answers_only() {
        for text in [&b"2   \r\nab\r\n0\r\n\r\n"[..], b"2 ;a=b\r\nab\r\n0\r\n\r\n", b"2\t; a = b\r\nab\r\n0 \r\n\r\n"] {
            let step = of_answer(text);
            assert_eq!(step, Ok(Step { consumed: text.len(), body: 2, done: true }), "{}", text.escape_ascii());
            assert_eq!(whole(text), Err(ChunkFault::Size), "{}", text.escape_ascii());
        }
        for bad in [&b" 2\r\n"[..], b"2 2\r\n", b"2 \n", &[&b"2"[..], &[b' '; 2000]].concat()] {
            assert_eq!(of_answer(bad), Err(ChunkFault::Size), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn chunks_extensions_trailers_and_what_follows() {
        let text = b"A;name=\"v\"\r\n0123456789\r\n01\r\nx\r\n000\r\nT: v\r\nU:\r\n\r\nnext";
        assert_eq!(whole(text), Ok(Step { consumed: text.len() - 4, body: 11, done: true }));
        assert_eq!(whole(b"5\r\nab"), Ok(Step { consumed: 5, body: 2, done: false }));
    }

    #[test]
    fn what_is_announced_is_known_before_it_comes() {
        let mut c = Chunked::of_request();
        c.on_bytes(b"ff\r\nab").unwrap();
        assert_eq!(c.announced(), 253);
    }

    #[test]
    fn what_others_let_through_is_refused() {
        use ChunkFault::{Extension, LineEnd, Size, Trailer};
        for (text, fault) in [
            (&b"\r\n\r\n"[..], Size),
            (b" 3\r\n", Size),
            (b"3 \r\n", Size),
            (b"0x3\r\n", Size),
            (b"-1\r\n", Size),
            (b"ffffffffffffffff\r\n", Size),
            (b"00000000000000003\r\n", Size),
            (b"3\nabc", Size),
            (b"3\rabc", LineEnd),
            (b"3\r\nabcd", LineEnd),
            (b"3\r\nabc\n", LineEnd),
            (b"3;a\nabc", Extension),
            (b"3;a\0", Extension),
            (b"0\r\n : v\r\n", Trailer),
            (b"0\r\nT : v\r\n", Trailer),
            (b"0\r\nT: v\n\r\n", Trailer),
            (b"0\r\nT\r\n", Trailer),
            (b"0\r\nT: v\r\r\n", LineEnd),
            (b"0\r\n\rX", LineEnd),
        ] {
            assert_eq!(whole(text), Err(fault), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn endless_things_end() {
        assert_eq!(whole(&[&b"1;"[..], &[b'a'; 2000]].concat()), Err(ChunkFault::TooLong));
        assert_eq!(whole(&[&b"0\r\nT:"[..], &[b'a'; 10_000]].concat()), Err(ChunkFault::TooLong));
    }

    #[test]
    fn each_chunk_and_the_trailers_have_their_limits_for_themselves() {
        let many = [b"1\r\nx\r\n".repeat(20), b"0\r\n\r\n".to_vec()].concat();
        assert_eq!(whole(&many), Ok(Step { consumed: many.len(), body: 20, done: true }), "21 digits in all");
        let (extension, trailer) = ("e".repeat(limits::CHUNK_EXT_BYTES - 1), "t".repeat(limits::TRAILER_BYTES - 3));
        let longest = format!("1;{extension}\r\nx\r\n0;{extension}\r\nT:{trailer}\r\n\r\n");
        assert_eq!(whole(longest.as_bytes()), Ok(Step { consumed: longest.len(), body: 1, done: true }));
        assert_eq!(whole(longest.replace("T:", "T:t").as_bytes()), Err(ChunkFault::TooLong), "one byte more");
    }

    #[test]
    fn a_fault_says_where_and_shows_its_line() {
        for (text, consumed, body, line) in [
            (&b"3\r\nabc\r\nzz\r\n"[..], 8, 3, &b"z"[..]),
            (b"3\r\nabcdef\r\n", 6, 3, b"d"),
            (b"3\r\nabc\r\n0\r\nno colon\r\n", 13, 3, b"no "),
        ] {
            let mut c = Chunked::of_request();
            let broken = c.on_bytes(text).expect_err("malformed");
            assert_eq!((broken.consumed, broken.body, c.line()), (consumed, body, line), "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(cut in 0usize..60) {
            let text = b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n";
            let cut = cut.min(text.len());
            let mut c = Chunked::of_request();
            let a = c.on_bytes(&text[..cut]).unwrap();
            let b = c.on_bytes(&text[cut..]).unwrap();
            prop_assert_eq!((a.consumed + b.consumed, a.body + b.body, b.done), (text.len(), 6, true));
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = whole(&bytes);
        }
    }
}
