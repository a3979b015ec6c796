//! One rule per finding: facts of a run in, a finding, "clear" or "undecided" out.
//!
//! Not here: which rules there are and in which order ([`super::table`]), and the limits they use ([`super::thresholds`]).

pub(in crate::diagnose) mod backlog;
pub(in crate::diagnose) mod bodies;
pub(in crate::diagnose) mod busy;
mod capacity;
pub(in crate::diagnose) mod client;
pub(in crate::diagnose) mod contended;
pub(in crate::diagnose) mod cpu;
pub(in crate::diagnose) mod exhaustion;
pub(in crate::diagnose) mod gone;
pub(in crate::diagnose) mod info;
pub(in crate::diagnose) mod keepalive;
mod lighter;
pub(in crate::diagnose) mod local;
pub(in crate::diagnose) mod places;
pub(in crate::diagnose) mod ports;
pub(in crate::diagnose) mod queueing;
mod rate;
pub(in crate::diagnose) mod received;
pub(in crate::diagnose) mod refusal;
pub(in crate::diagnose) mod refused;
pub(in crate::diagnose) mod search;
pub(in crate::diagnose) mod settings;
pub(in crate::diagnose) mod split;
pub(in crate::diagnose) mod stalls;
pub(in crate::diagnose) mod statuses;
pub(in crate::diagnose) mod study;
pub(in crate::diagnose) mod target;
mod unfinished;
pub(in crate::diagnose) mod users;

/// What nearly every rule is written with.
mod prelude {
    pub(super) use crate::diagnose::indicators::Indicators;
    pub(super) use crate::diagnose::rule::{Found, NoFinding::Clear, Ruling, undecided};
    pub(super) use crate::model::figures::{count, counted, number, percent, rate, seconds, share};
    pub(super) use crate::model::finding::Remedy;
    pub(super) use crate::model::result::RunResult;
    pub(super) use crate::remedy::{advice, load_with};
}
