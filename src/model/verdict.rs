//! The verdict of a run: one id for all kinds of runs, and the sentence that a report begins with.

use serde::{Deserialize, Serialize};

/// The kinds of verdict, one list for all commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum VerdictId {
    /// no limit was reached
    Healthy,
    /// this machine's source ports ran out, or were in use
    PortBound,
    /// this machine's file descriptors ran out
    FdBound,
    /// the load generator itself was the limit
    ClientBound,
    /// other programs took the CPU
    HostBound,
    /// the target is saturated
    TargetBound,
    /// the target fails: errors, resets, timeouts, hangs, malformed answers
    TargetFailing,
    /// the target went away, or was never there
    TargetGone,
    /// the facts do not say
    #[default]
    Undecided,
}

/// The verdict, in the result and as the first line of every report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verdict {
    /// which
    pub id: VerdictId,
    /// the headline: one sentence that is true; empty before the diagnosis
    pub sentence: String,
    /// seconds from the run's start until it became so; absent where it was so from the start or the time is not known
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_s: Option<f64>,
}
