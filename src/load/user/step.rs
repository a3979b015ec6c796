//! What a user asks of the loop after an input.

use crate::http1::response::Surplus;
use crate::model::outcome::{ClosedBy, Phase};
use crate::model::received::Received;
use crate::model::time::Stamp;

/// How a request begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// no connection: open one, then write
    Connect,
    /// write on the kept connection
    Write,
}

/// What the loop does after an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct After {
    /// this input ended the request: [`User::sample`](super::User::sample) is final
    pub ended: bool,
    /// close the socket; who ended the connection, as far as the user's inputs show
    pub close: Option<ClosedBy>,
    /// the user is free for its next request, not before this
    pub free_at: Option<Stamp>,
    /// until then it pauses, because no connection could be made
    pub paused: bool,
    /// the answer announced that the connection ends, although it was asked to be kept
    pub announced_close: bool,
    /// the target ended a kept connection between two requests
    pub ended_idle: bool,
    /// bytes came that belong to no answer; the reader's excerpt shows the first of them
    pub surplus: Option<Surplus>,
}

/// A request that has not ended, in its present state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// what it waits for
    pub phase: Phase,
    /// when the last request byte was handed to the kernel
    pub sent: Option<Stamp>,
    /// what came of an answer
    pub received: Option<Received>,
}

// It is handed on for each answer.
const _: () = assert!(size_of::<After>() <= 48);
