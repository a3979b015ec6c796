//! What a line shows: the condition and its errno, the call, the system, the program, the addresses, and how often. What it
//! means is `classify`'s business.

use super::address::{SourcePort, Target};
use super::calls::{self, FrameCall};
use super::codes::{Condition, Errno};
use super::tools::Tool;
use crate::model::explanation::{FailedCall, Os, Side};

/// What is known of a line beside its text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Around {
    /// the system, where it is known
    pub(super) os: Option<Os>,
    /// whose socket, where the file says so
    pub(super) side: Option<Side>,
}

/// How a text gives the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Spelling {
    /// the text is a number and nothing else
    NumberAlone,
    /// a name, a number in context, a count of a tool
    Name,
    /// the system's or a program's sentence
    Words,
}

/// All that a judgement may rest on. Two events with the same evidence are of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Evidence {
    pub(super) condition: Condition,
    pub(super) errno: Option<&'static Errno>,
    pub(super) call: FailedCall,
    pub(super) os: Option<Os>,
    pub(super) tool: Option<&'static Tool>,
    pub(super) side: Option<Side>,
    pub(super) source: SourcePort,
    pub(super) target: Target,
    pub(super) spelling: Spelling,
    /// a counter of the kernel: all since the machine started
    pub(super) since_boot: bool,
}

impl Evidence {
    /// A condition at a call, and nothing else.
    pub(super) const fn new(condition: Condition, call: FailedCall) -> Self {
        Self {
            condition,
            errno: None,
            call,
            os: None,
            tool: None,
            side: None,
            source: SourcePort::Unsaid,
            target: Target::Unsaid,
            spelling: Spelling::Name,
            since_boot: false,
        }
    }

    /// This, and what another line of the same event adds. Of two conditions the one with the higher rank is the cause.
    pub(super) fn with(self, more: Self) -> Self {
        let weight = |e: &Self| (e.condition.rank(), e.errno.is_some());
        let (main, other) = if weight(&more) > weight(&self) { (more, self) } else { (self, more) };
        let same = main.condition == other.condition;
        let condition = match (main.condition, other.condition) {
            (Condition::NoName(a), Condition::NoName(b)) => Condition::NoName(a.max(b)),
            (condition, _) => condition,
        };
        let call = if main.call == FailedCall::Unnamed && (same || other.errno.is_none()) { other.call } else { main.call };
        Self {
            call: if calls::can_give(call, main.condition) || call == main.call { call } else { FailedCall::Unnamed },
            os: main.os.or(other.os),
            tool: main.tool.filter(|t| t.is_client).or(other.tool).or(main.tool),
            side: main.side.or(other.side),
            source: if main.source == SourcePort::Unsaid { other.source } else { main.source },
            target: if main.target == Target::Unsaid { other.target } else { main.target },
            condition,
            ..main
        }
    }

    /// This, and what the frames of the stack show: the call, where the message names none.
    pub(super) fn with_frame(self, frame: FrameCall) -> Self {
        let is_open = self.call == FailedCall::Unnamed && calls::can_give(frame.call, self.condition);
        let same = self.call == frame.call || is_open;
        // bind() that a connect calls is a client's.
        if self.call == FailedCall::Bind && frame.call == FailedCall::Connect && self.side.is_none() {
            return Self { side: Some(Side::Client), ..self };
        }
        Self {
            call: if is_open { frame.call } else { self.call },
            side: if same { self.side.filter(|_| frame.side.is_none()).or(frame.side) } else { self.side },
            ..self
        }
    }
}

/// One kind of failure in a line, and how often it happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub(super) evidence: Evidence,
    pub(super) count: u64,
    /// a counter's value since the machine started: two of them are not added
    pub(super) is_total: bool,
}
