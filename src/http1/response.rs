//! An HTTP/1.1 answer as a client reads it, incrementally.
//!
//! Bytes are looked at where they were received; only a head that arrives in pieces is copied, and the first bytes of an
//! answer that does. What is not here: sockets, time, and what an answer means to the run (`load::user`).
//!
//! ```
//! use sockbench::testing::http1::{Answer, AnswerHeads, Expect, Progress, ResponseReader, Start};
//! let mut r = ResponseReader::new(Expect::default());
//! r.begin(Start::Fresh);
//! let mut heads = AnswerHeads::default();
//! assert_eq!(r.on_bytes(b"HTTP/1.1 200 OK\r\nContent-Le", &mut heads), Ok(Progress::More));
//! assert_eq!(r.on_bytes(b"ngth: 2\r\n\r\nok", &mut heads), Ok(Progress::Done { surplus: None }));
//! assert_eq!(r.answer(), Answer { status: 200, keep: true, body_bytes: 2, server_timing_us: None });
//! ```

use memchr::memmem;

use super::chunked::{Broken, ChunkFault, Chunked, Step};
use super::excerpt::Excerpt;
use super::expect::Expect;
use super::foreign;
use super::head_fault::{self, HeadFault};
use super::limit_fields::LimitFields;
use super::recent::RecentHeads;
use super::response_head;
use crate::model::protocol_fault::ProtocolFault;
use crate::model::received::{Framing, Received, SurplusKind};

mod progress;

pub use progress::{Answer, AtEof, Progress, Start, Surplus};

/// Answer heads that a loop has read lately. They fit one [`Expect`]: whoever reads with another needs a table of its own.
#[derive(Debug, Default)]
pub struct AnswerHeads(RecentHeads<response_head::Head>);

/// Room for a head in pieces that an idle connection may keep.
const KEPT_ROOM: usize = 16 * 1024;

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
    expect: Expect,
    state: State,
    start: Start,
    /// of a head that arrives in pieces
    partial: Vec<u8>,
    answer: Answer,
    framing: Option<Framing>,
    any: bool,
    /// an interim answer (1xx) came
    interim: bool,
    /// bytes before the answer that belong to none
    before: u64,
    excerpt: Excerpt,
    limit_fields: LimitFields,
}

impl ResponseReader {
    /// A reader for the answers of one connection after another.
    pub fn new(expect: Expect) -> Self {
        Self {
            expect,
            state: State::Head,
            start: Start::Fresh,
            partial: Vec::new(),
            answer: Answer::default(),
            framing: None,
            any: false,
            interim: false,
            before: 0,
            excerpt: Excerpt::default(),
            limit_fields: LimitFields::default(),
        }
    }

    /// Prepares for the answer to the next request.
    pub fn begin(&mut self, start: Start) {
        self.state = State::Head;
        self.start = start;
        self.partial.clear();
        self.answer = Answer::default();
        self.framing = None;
        self.any = false;
        self.interim = false;
        self.before = 0;
        self.excerpt.clear();
    }

    /// What is known of the answer; final once [`Progress::Done`] or [`AtEof::Complete`] was returned.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// Whether at least one byte has come since [`Self::begin`].
    pub fn has_begun(&self) -> bool {
        self.any
    }

    /// After a failure: the line that is wrong, or the first bytes. After a surplus: its first bytes.
    pub fn excerpt(&self) -> &[u8] {
        self.excerpt.bytes()
    }

    /// Of an answer that refuses more for now (429, 503): the fields that say for how long.
    pub fn limit_fields(&self) -> Option<&str> {
        self.limit_fields.of(self.answer.status)
    }

    /// What is known of an answer of which `bytes` bytes came and that did not end well; none where nothing came.
    pub fn received(&self, bytes: u64) -> Option<Received> {
        let head_complete = self.framing.is_some();
        self.any.then(|| Received {
            bytes,
            head_complete,
            bare_lf: has_bare_lf(&self.partial),
            status: head_complete.then_some(self.answer.status),
            framing: self.framing,
            missing_bytes: if let State::Fixed(left) = self.state { Some(left) } else { None },
        })
    }

    /// Takes the next bytes of the connection. A head that is in `heads` is not parsed again.
    ///
    /// Errors: how the answer breaks RFC 9112, or which limit it passes. The reader is then done with the
    /// connection.
    pub fn on_bytes(&mut self, bytes: &[u8], heads: &mut AnswerHeads) -> Result<Progress, ProtocolFault> {
        if bytes.is_empty() {
            return Ok(Progress::More);
        }
        self.any = true;
        let progress = self.advance(bytes, heads);
        if progress == Ok(Progress::More) && self.before == 0 {
            self.excerpt.extend(bytes);
        }
        progress
    }

    fn advance(&mut self, bytes: &[u8], heads: &mut AnswerHeads) -> Result<Progress, ProtocolFault> {
        let mut rest = bytes;
        loop {
            match &mut self.state {
                State::Head if rest.is_empty() => return Ok(Progress::More),
                State::Head => rest = &rest[self.take_head(rest, heads)?..],
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
                State::Chunks(chunks) => match chunks.on_bytes(rest) {
                    Ok(Step { consumed, body, done }) => {
                        self.count_body(body as u64, bytes)?;
                        rest = &rest[consumed..];
                        if !done {
                            return Ok(Progress::More);
                        }
                        self.state = State::Done;
                    }
                    Err(broken) => {
                        self.excerpt.set(chunks.line());
                        self.excerpt.extend(&rest[broken.consumed + 1..]);
                        return Err(self.chunk_fault(broken));
                    }
                },
                State::UntilEof => {
                    self.count_body(rest.len() as u64, bytes)?;
                    return Ok(Progress::More);
                }
                State::Done => return Ok(Progress::Done { surplus: self.surplus(rest) }),
            }
        }
    }

    /// Adds to the body; what is beyond the limit is not counted, so that the count does not depend on the pieces.
    fn count_body(&mut self, more: u64, bytes: &[u8]) -> Result<(), ProtocolFault> {
        self.answer.body_bytes += more;
        if self.answer.body_bytes <= self.expect.body_bytes {
            return Ok(());
        }
        self.answer.body_bytes = self.expect.body_bytes;
        self.excerpt.extend(bytes);
        Err(ProtocolFault::BodyTooLarge)
    }

    fn chunk_fault(&mut self, broken: Broken) -> ProtocolFault {
        let body = self.answer.body_bytes + broken.body as u64;
        self.answer.body_bytes = body.min(self.expect.body_bytes);
        if body > self.expect.body_bytes {
            return ProtocolFault::BodyTooLarge;
        }
        match broken.fault {
            ChunkFault::Size => ProtocolFault::ChunkSize,
            ChunkFault::Extension => ProtocolFault::ChunkExtension,
            ChunkFault::TooLong => ProtocolFault::TrailersTooLarge,
            ChunkFault::LineEnd => ProtocolFault::ChunkEnd,
            ChunkFault::Trailer => ProtocolFault::Trailer,
        }
    }

    /// The connection ended.
    pub fn on_eof(&mut self) -> AtEof {
        match self.state {
            State::UntilEof => {
                self.state = State::Done;
                AtEof::Complete
            }
            State::Head => match self.certain_fault() {
                Some(fault) => AtEof::Broken(fault),
                // Line ends that were left of the answer before are no beginning of this one.
                None if self.partial.is_empty() && self.framing.is_none() && !self.interim => AtEof::NothingCame,
                None => AtEof::Broken(ProtocolFault::TruncatedHead),
            },
            _ => AtEof::Broken(ProtocolFault::Truncated),
        }
    }

    /// A fault that no further bytes can undo, although more were waited for to name it better: what came is no HTTP.
    pub fn certain_fault(&self) -> Option<ProtocolFault> {
        let shown = self.excerpt.bytes();
        let left_of_another = self.before > 0 && !is_line_ends(shown);
        let first = if left_of_another { shown } else { &self.partial };
        let is_foreign = matches!(self.state, State::Head) && (left_of_another || !foreign::may_be_http(first));
        is_foreign.then(|| ProtocolFault::NotHttp(foreign::recognise_all(first)))
    }

    /// Bytes beyond the whole answer, `rest` and what came before it; the excerpt then shows them.
    fn surplus(&mut self, rest: &[u8]) -> Option<Surplus> {
        if rest.is_empty() && self.before == 0 {
            return None;
        }
        let kind = if !rest.is_empty() {
            self.excerpt.set(rest);
            self.surplus_kind(rest)
        } else if is_line_ends(self.excerpt()) {
            SurplusKind::LineEnd
        } else {
            SurplusKind::Other
        };
        Some(Surplus { kind, bytes: self.before + rest.len() as u64 })
    }

    /// Bytes that came after the whole answer and before the next request began. The excerpt then shows them.
    pub fn on_surplus(&mut self, bytes: &[u8]) -> Surplus {
        self.excerpt.set(bytes);
        Surplus { kind: self.surplus_kind(bytes), bytes: bytes.len() as u64 }
    }

    fn surplus_kind(&self, bytes: &[u8]) -> SurplusKind {
        if is_line_ends(bytes) {
            SurplusKind::LineEnd
        } else if bytes.starts_with(foreign::HTTP) {
            SurplusKind::SecondAnswer
        } else if self.expect.head_only {
            SurplusKind::BodyToHead
        } else if matches!(self.answer.status, 204 | 304) {
            SurplusKind::BodyToStatus
        } else {
            SurplusKind::Other
        }
    }

    /// Takes a head, or a part of it. Returns how many of `bytes` it took.
    fn take_head(&mut self, bytes: &[u8], heads: &mut AnswerHeads) -> Result<usize, ProtocolFault> {
        // Load gets the same head again and again.
        if self.partial.is_empty()
            && let Some((head, end)) = heads.0.find(bytes)
        {
            self.begin_body(Ok(head), &bytes[..end])?;
            return Ok(end);
        }
        // A whole head, parsed where it is.
        if self.partial.is_empty()
            && bytes.starts_with(foreign::HTTP)
            && let Some(end) = memmem::find(bytes, BLANK_LINE).map(|at| at + BLANK_LINE.len())
        {
            if end > self.expect.head_bytes {
                self.excerpt.extend(bytes);
                return Err(ProtocolFault::HeadTooLarge);
            }
            let parsed = response_head::parse(&bytes[..end], &self.expect);
            if let Ok(head) = &parsed {
                heads.0.keep(&bytes[..end], *head);
            }
            self.begin_body(parsed, &bytes[..end])?;
            return Ok(end);
        }
        self.take_piece(bytes)
    }

    /// A head in pieces, or one with something before it.
    fn take_piece(&mut self, bytes: &[u8]) -> Result<usize, ProtocolFault> {
        let seam = self.partial.len();
        let taken = (self.expect.head_bytes + BLANK_LINE.len()).saturating_sub(seam).min(bytes.len());
        self.partial.extend_from_slice(&bytes[..taken]);
        let cut = self.pass_before()?;
        if !foreign::may_be_http(&self.partial) {
            return Ok(taken);
        }
        // The end may straddle the old and the new bytes: look from three bytes before the seam.
        let from = seam.saturating_sub(cut).saturating_sub(BLANK_LINE.len() - 1);
        let crlf = memmem::find(&self.partial[from..], BLANK_LINE).map(|at| from + at + BLANK_LINE.len());
        let Some(end) = crlf.filter(|end| *end <= self.expect.head_bytes) else {
            self.check_open_head(from, crlf.is_some())?;
            return Ok(taken);
        };
        let head = std::mem::take(&mut self.partial);
        let parsed = response_head::parse(&head[..end], &self.expect);
        let begun = self.begin_body(parsed, &head[..end]);
        self.partial = head;
        self.partial.clear();
        self.partial.shrink_to(KEPT_ROOM);
        begun?;
        Ok((cut + end).saturating_sub(seam))
    }

    /// Drops what comes before a head and belongs to no answer: line ends; on a reused connection also what cannot begin
    /// an answer, which is left of the one before. Returns how many bytes that were.
    ///
    /// Errors: on a fresh connection, that this is another protocol.
    fn pass_before(&mut self) -> Result<usize, ProtocolFault> {
        let mut cut = self.partial.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let first = &self.partial[cut..];
        if !foreign::may_be_http(first) {
            if self.start == Start::Reused {
                cut = memmem::find(&self.partial, foreign::HTTP).unwrap_or_else(|| {
                    // Its beginning may be the end of what came.
                    let tail = (1..foreign::HTTP.len()).rev().find(|n| self.partial.ends_with(&foreign::HTTP[..*n]));
                    self.partial.len() - tail.unwrap_or(0)
                });
            } else if let Some(foreign) = foreign::recognise(first) {
                self.excerpt.set(first);
                return Err(ProtocolFault::NotHttp(foreign));
            }
        }
        if cut == 0 {
            return Ok(0);
        }
        if self.before == 0 {
            self.excerpt.clear();
        }
        self.excerpt.extend(&self.partial[..cut]);
        self.partial.drain(..cut);
        self.before += cut as u64;
        if self.before > self.expect.head_bytes as u64 {
            return Err(ProtocolFault::NotHttp(foreign::recognise_all(self.excerpt.bytes())));
        }
        Ok(cut)
    }

    /// The head has no end in CR LF yet, or only beyond the limit. What is new of it begins behind `from`.
    fn check_open_head(&mut self, from: usize, is_beyond: bool) -> Result<(), ProtocolFault> {
        if let Some(end) = lf_end(&self.partial, from) {
            let fault = head_fault::find(&self.partial[..end]);
            let HeadFault { fault, line } = fault.unwrap_or(HeadFault { fault: ProtocolFault::BareLf, line: 0..end });
            self.excerpt.set(&self.partial[line]);
            return Err(fault);
        }
        if is_beyond || self.partial.len() > self.expect.head_bytes {
            self.excerpt.set(&self.partial);
            return Err(ProtocolFault::HeadTooLarge);
        }
        Ok(())
    }

    /// What follows a head.
    fn begin_body(&mut self, parsed: Result<response_head::Head, HeadFault>, bytes: &[u8]) -> Result<(), ProtocolFault> {
        let head = parsed.map_err(|HeadFault { fault, line }| {
            self.excerpt.set(&bytes[line]);
            fault
        })?;
        if head.is_interim() {
            self.interim = true;
            return Ok(());
        }
        self.answer.status = head.status;
        self.limit_fields.on_head(head.status, bytes);
        self.answer.keep = head.keep;
        self.answer.server_timing_us = head.server_timing_us;
        self.framing = Some(head.framing);
        let fault = match head.framing {
            _ if head.status == 101 && !self.expect.upgrade => Some(ProtocolFault::Unasked101),
            Framing::ContentLength(n) if n > self.expect.body_bytes => Some(ProtocolFault::BodyTooLarge),
            _ => None,
        };
        if let Some(fault) = fault {
            self.excerpt.set(bytes);
            return Err(fault);
        }
        self.state = match head.framing {
            Framing::NoBody => State::Done,
            Framing::ContentLength(n) => State::Fixed(n),
            Framing::Chunked => State::Chunks(Chunked::of_answer(self.expect.head_bytes)),
            Framing::UntilClose => State::UntilEof,
        };
        Ok(())
    }
}

/// The end of a head.
const BLANK_LINE: &[u8] = b"\r\n\r\n";

fn is_line_ends(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| matches!(b, b'\r' | b'\n'))
}

/// Whether a line of `head` ends with LF alone.
fn has_bare_lf(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
}

/// The end of a head whose last lines end with LF alone, looked for behind `from`.
fn lf_end(head: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &head[from..]).map(|at| from + at).find_map(|at| match head[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] if at == 0 || head[at - 1] != b'\r' => Some(at + 3),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
