//! The stamp of a run: whether its figures are what was asked for, and every reason why not.

use serde::{Deserialize, Serialize};

use super::finding::FindingId;

/// The reason of a run that somebody ended. Documents of earlier versions have this text only.
pub const STOPPED: &str = "stopped before its planned end";

/// Whether the figures are what was asked for; the decisive ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RunStamp {
    /// local ports ran out
    PortBound,
    /// the client was the limit
    ClientBound,
    /// stopped early, or fell short of what was asked
    Incomplete,
    /// none of these
    Valid,
}

/// The stamp and all reasons; the stamp is the first that applies in the order of [`RunStamp`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "contract keys")]
pub struct Validity {
    pub stamp: RunStamp,
    pub reasons: Vec<String>,
    /// additive: what each of the reasons is about, in their order; empty in documents of earlier versions
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Doubt>,
    /// additive: somebody ended the run before its planned end; absent where nobody did
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

impl Validity {
    /// A stamp with these reasons.
    pub fn new(stamp: RunStamp, reasons: Vec<(Doubt, String)>) -> Self {
        let (kinds, reasons) = reasons.into_iter().unzip();
        Self { stamp, reasons, kinds, stopped: false }
    }

    /// The reasons with what they are about; none where an earlier version did not record it.
    pub fn doubts(&self) -> impl Iterator<Item = (Option<Doubt>, &str)> {
        let kinds = self.kinds.iter().copied().map(Some).chain(std::iter::repeat(None));
        kinds.zip(self.reasons.iter().map(String::as_str))
    }
}

/// What a reason against the stamp `valid` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// a finding: the reason is its title
    Finding(FindingId),
    /// failures of this machine
    OwnFailures,
    /// the run was shorter than planned, or made fewer requests
    EndedEarly,
    /// somebody ended it
    Stopped,
    /// no request was started
    NotStarted,
    /// no request was answered
    Unanswered,
    /// every answer was an error
    OnlyErrors,
    /// fewer users had a connection at the same time than were asked for
    FewerUsers,
    /// the target was to close connections first, and did not
    NotClosedByTarget,
    /// merged runs: a machine, or what is missing of one
    Machines,
}
