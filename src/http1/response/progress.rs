//! What the reader of answers says.

use crate::model::protocol_fault::ProtocolFault;
use crate::model::received::SurplusKind;

/// What the connection has carried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// nothing
    Fresh,
    /// an answer: bytes that cannot begin another one may still belong to it
    Reused,
}

/// What the reader wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// the answer is not whole yet
    More,
    /// the answer is whole; `surplus` bytes were seen that belong to no answer
    Done {
        /// see [`ResponseReader::excerpt`](super::ResponseReader::excerpt) for the first of them
        surplus: Option<Surplus>,
    },
}

/// Bytes beyond a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surplus {
    /// what they are
    pub kind: SurplusKind,
    /// how many were seen
    pub bytes: u64,
}

/// What end of file means at this point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEof {
    /// not one byte of an answer had come
    NothingCame,
    /// the body was delimited by the end of the connection: the answer is whole
    Complete,
    /// the answer is cut short, or was none
    Broken(ProtocolFault),
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
