//! What the answers of a run may be, and may cost.

use crate::model::limits;

/// What the requests of a run ask for, and what their answers may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// longest head, bytes; the same for trailers and chunk extensions
    pub head_bytes: usize,
    /// most fields of a head
    pub head_fields: usize,
    /// longest body, bytes
    pub body_bytes: u64,
    /// the requests are HEAD: no body follows
    pub head_only: bool,
    /// the requests ask for an upgrade: 101 is an answer
    pub upgrade: bool,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            head_bytes: limits::RESPONSE_HEAD_BYTES,
            head_fields: limits::RESPONSE_HEAD_FIELDS,
            body_bytes: limits::RESPONSE_BODY_BYTES,
            head_only: false,
            upgrade: false,
        }
    }
}
