//! What the reader of answers keeps beside its hot state. Load whose answers are small and sound never makes one.

use memchr::memmem;

use super::Start;
use crate::http1::chunked::Chunked;
use crate::http1::excerpt::Excerpt;
use crate::http1::foreign;
use crate::http1::head_fault::{self, HeadFault};
use crate::http1::limit_fields::LimitFields;
use crate::model::protocol_fault::ProtocolFault;

/// What an answer needs that is not whole at once, chunked, wrong, not alone, or refuses more for now.
#[derive(Debug)]
pub(super) struct Aside {
    /// of a head that arrives in pieces
    pub(super) partial: Vec<u8>,
    /// bytes before the answer that belong to none
    pub(super) before: u64,
    pub(super) excerpt: Excerpt,
    pub(super) limit_fields: LimitFields,
    /// of the present answer, where it is chunked
    pub(super) chunks: Chunked,
}

impl Default for Aside {
    fn default() -> Self {
        Self {
            partial: Vec::new(),
            before: 0,
            excerpt: Excerpt::default(),
            limit_fields: LimitFields::default(),
            chunks: Chunked::of_answer(0),
        }
    }
}

impl Aside {
    /// Prepares for the answer to the next request.
    pub(super) fn begin(&mut self) {
        self.partial.clear();
        self.before = 0;
        self.excerpt.clear();
    }

    /// Drops what comes before a head and belongs to no answer: line ends; on a reused connection also what cannot begin
    /// an answer, which is left of the one before. Returns how many bytes that were.
    ///
    /// Errors: on a fresh connection, that this is another protocol.
    pub(super) fn pass_before(&mut self, start: Start, head_bytes: usize) -> Result<usize, ProtocolFault> {
        let Self { partial, before, excerpt, .. } = self;
        let mut cut = partial.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let first = &partial[cut..];
        if !foreign::may_be_http(first) {
            if start == Start::Reused {
                cut = memmem::find(partial, foreign::HTTP).unwrap_or_else(|| {
                    // Its beginning may be the end of what came.
                    let tail = (1..foreign::HTTP.len()).rev().find(|n| partial.ends_with(&foreign::HTTP[..*n]));
                    partial.len() - tail.unwrap_or(0)
                });
            } else if let Some(foreign) = foreign::recognise(first) {
                excerpt.set(first);
                return Err(ProtocolFault::NotHttp(foreign));
            }
        }
        if cut == 0 {
            return Ok(0);
        }
        if *before == 0 {
            excerpt.clear();
        }
        excerpt.extend(&partial[..cut]);
        partial.drain(..cut);
        *before += cut as u64;
        if *before > head_bytes as u64 {
            return Err(ProtocolFault::NotHttp(foreign::recognise_all(excerpt.bytes())));
        }
        Ok(cut)
    }

    /// The head has no end in CR LF yet, or only beyond the limit. What is new of it begins behind `from`.
    pub(super) fn check_open_head(&mut self, from: usize, is_beyond: bool, head_bytes: usize) -> Result<(), ProtocolFault> {
        let Self { partial, excerpt, .. } = self;
        if let Some(end) = lf_end(partial, from) {
            let fault = head_fault::find(&partial[..end]);
            let HeadFault { fault, line } = fault.unwrap_or(HeadFault { fault: ProtocolFault::BareLf, line: 0..end });
            excerpt.set(&partial[line]);
            return Err(fault);
        }
        if is_beyond || partial.len() > head_bytes {
            excerpt.set(partial);
            return Err(ProtocolFault::HeadTooLarge);
        }
        Ok(())
    }
}

pub(super) fn is_line_ends(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| matches!(b, b'\r' | b'\n'))
}

/// The end of a head whose last lines end with LF alone, looked for behind `from`.
fn lf_end(head: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &head[from..]).map(|at| from + at).find_map(|at| match head[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] if at == 0 || head[at - 1] != b'\r' => Some(at + 3),
        _ => None,
    })
}
