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

use std::sync::Arc;

use memchr::memmem;

use super::chunked::{Broken, ChunkFault, Chunked, Step};
use super::expect::Expect;
use super::foreign;
use super::head_fault::HeadFault;
use super::limit_fields::LimitFields;
use super::recent::RecentHeads;
use super::response_head;
use crate::model::protocol_fault::ProtocolFault;
use crate::model::received::{Framing, Received, SurplusKind};

mod aside;
mod progress;

use aside::{Aside, is_line_ends};
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
    /// see [`Aside::chunks`]
    Chunks,
    UntilEof,
    Done,
}

/// Reads one answer after another from a connection's bytes.
#[derive(Debug)]
pub struct ResponseReader {
    expect: Arc<Expect>,
    state: State,
    start: Start,
    answer: Answer,
    framing: Option<Framing>,
    any: bool,
    /// an interim answer (1xx) came
    interim: bool,
    /// none while all answers were whole, sound, alone, not chunked, and no refusal of more
    aside: Option<Box<Aside>>,
}

// A user fits few cache lines: thousands of them take turns.
const _: () = assert!(size_of::<ResponseReader>() <= 96);

impl ResponseReader {
    /// A reader for the answers of one connection after another.
    pub fn new(expect: impl Into<Arc<Expect>>) -> Self {
        Self {
            expect: expect.into(),
            state: State::Head,
            start: Start::Fresh,
            answer: Answer::default(),
            framing: None,
            any: false,
            interim: false,
            aside: None,
        }
    }

    fn aside(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Of a head that arrives in pieces.
    fn partial(&self) -> &[u8] {
        self.aside.as_ref().map_or(&[], |a| &a.partial)
    }

    /// Bytes before the answer that belong to none.
    fn before(&self) -> u64 {
        self.aside.as_ref().map_or(0, |a| a.before)
    }

    /// Prepares for the answer to the next request.
    pub fn begin(&mut self, start: Start) {
        self.state = State::Head;
        self.start = start;
        self.answer = Answer::default();
        self.framing = None;
        self.any = false;
        self.interim = false;
        if let Some(aside) = &mut self.aside {
            aside.begin();
        }
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
        self.aside.as_ref().map_or(&[], |a| a.excerpt.bytes())
    }

    /// Of an answer that refuses more for now (429, 503): the fields that say for how long.
    pub fn limit_fields(&self) -> Option<&str> {
        self.aside.as_ref()?.limit_fields.of(self.answer.status)
    }

    /// What is known of an answer of which `bytes` bytes came and that did not end well; none where nothing came.
    pub fn received(&self, bytes: u64) -> Option<Received> {
        let head_complete = self.framing.is_some();
        self.any.then(|| Received {
            bytes,
            head_complete,
            bare_lf: has_bare_lf(self.partial()),
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
        if progress == Ok(Progress::More) && self.before() == 0 {
            self.aside().excerpt.extend(bytes);
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
                State::Chunks => match self.aside().chunks.on_bytes(rest) {
                    Ok(Step { consumed, body, done }) => {
                        self.count_body(body as u64, bytes)?;
                        rest = &rest[consumed..];
                        if !done {
                            return Ok(Progress::More);
                        }
                        self.state = State::Done;
                    }
                    Err(broken) => {
                        let Aside { chunks, excerpt, .. } = self.aside();
                        excerpt.set(chunks.line());
                        excerpt.extend(&rest[broken.consumed + 1..]);
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
        self.aside().excerpt.extend(bytes);
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
                None if self.partial().is_empty() && self.framing.is_none() && !self.interim => AtEof::NothingCame,
                None => AtEof::Broken(ProtocolFault::TruncatedHead),
            },
            _ => AtEof::Broken(ProtocolFault::Truncated),
        }
    }

    /// A fault that no further bytes can undo, although more were waited for to name it better: what came is no HTTP.
    pub fn certain_fault(&self) -> Option<ProtocolFault> {
        let shown = self.excerpt();
        let left_of_another = self.before() > 0 && !is_line_ends(shown);
        let first = if left_of_another { shown } else { self.partial() };
        let is_foreign = matches!(self.state, State::Head) && (left_of_another || !foreign::may_be_http(first));
        is_foreign.then(|| ProtocolFault::NotHttp(foreign::recognise_all(first)))
    }

    /// Bytes beyond the whole answer, `rest` and what came before it; the excerpt then shows them.
    fn surplus(&mut self, rest: &[u8]) -> Option<Surplus> {
        let before = self.before();
        if rest.is_empty() && before == 0 {
            return None;
        }
        let kind = if !rest.is_empty() {
            self.aside().excerpt.set(rest);
            self.surplus_kind(rest)
        } else if is_line_ends(self.excerpt()) {
            SurplusKind::LineEnd
        } else {
            SurplusKind::Other
        };
        Some(Surplus { kind, bytes: before + rest.len() as u64 })
    }

    /// Bytes that came after the whole answer and before the next request began. The excerpt then shows them.
    pub fn on_surplus(&mut self, bytes: &[u8]) -> Surplus {
        self.aside().excerpt.set(bytes);
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
        let is_piece = !self.partial().is_empty();
        if !is_piece && let Some((head, end)) = heads.0.find(bytes) {
            self.begin_body(Ok(head), &bytes[..end])?;
            return Ok(end);
        }
        // A whole head, parsed where it is.
        if !is_piece
            && bytes.starts_with(foreign::HTTP)
            && let Some(end) = memmem::find(bytes, BLANK_LINE).map(|at| at + BLANK_LINE.len())
        {
            if end > self.expect.head_bytes {
                self.aside().excerpt.extend(bytes);
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
        let seam = self.partial().len();
        let taken = (self.expect.head_bytes + BLANK_LINE.len()).saturating_sub(seam).min(bytes.len());
        self.aside().partial.extend_from_slice(&bytes[..taken]);
        let (start, head_bytes) = (self.start, self.expect.head_bytes);
        let cut = self.aside().pass_before(start, head_bytes)?;
        if !foreign::may_be_http(self.partial()) {
            return Ok(taken);
        }
        // The end may straddle the old and the new bytes: look from three bytes before the seam.
        let from = seam.saturating_sub(cut).saturating_sub(BLANK_LINE.len() - 1);
        let crlf = memmem::find(&self.partial()[from..], BLANK_LINE).map(|at| from + at + BLANK_LINE.len());
        let Some(end) = crlf.filter(|end| *end <= head_bytes) else {
            self.aside().check_open_head(from, crlf.is_some(), head_bytes)?;
            return Ok(taken);
        };
        let mut head = std::mem::take(&mut self.aside().partial);
        let parsed = response_head::parse(&head[..end], &self.expect);
        let begun = self.begin_body(parsed, &head[..end]);
        head.clear();
        head.shrink_to(KEPT_ROOM);
        self.aside().partial = head;
        begun?;
        Ok((cut + end).saturating_sub(seam))
    }

    /// What follows a head.
    fn begin_body(&mut self, parsed: Result<response_head::Head, HeadFault>, bytes: &[u8]) -> Result<(), ProtocolFault> {
        let head = parsed.map_err(|HeadFault { fault, line }| {
            self.aside().excerpt.set(&bytes[line]);
            fault
        })?;
        if head.is_interim() {
            self.interim = true;
            return Ok(());
        }
        self.answer.status = head.status;
        if LimitFields::come_with(head.status) {
            self.aside().limit_fields.on_head(head.status, bytes);
        }
        self.answer.keep = head.keep;
        self.answer.server_timing_us = head.server_timing_us;
        self.framing = Some(head.framing);
        let fault = match head.framing {
            _ if head.status == 101 && !self.expect.upgrade => Some(ProtocolFault::Unasked101),
            Framing::ContentLength(n) if n > self.expect.body_bytes => Some(ProtocolFault::BodyTooLarge),
            _ => None,
        };
        if let Some(fault) = fault {
            self.aside().excerpt.set(bytes);
            return Err(fault);
        }
        self.state = match head.framing {
            Framing::NoBody => State::Done,
            Framing::ContentLength(n) => State::Fixed(n),
            Framing::Chunked => {
                self.aside().chunks = Chunked::of_answer(self.expect.head_bytes);
                State::Chunks
            }
            Framing::UntilClose => State::UntilEof,
        };
        Ok(())
    }
}

/// The end of a head.
const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// Whether a line of `head` ends with LF alone.
fn has_bare_lf(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
}

#[cfg(test)]
mod tests;
