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
mod status_class;
pub(in crate::diagnose) mod statuses;
pub(in crate::diagnose) mod study;
pub(in crate::diagnose) mod target;
mod unfinished;
pub(in crate::diagnose) mod users;

/// What rules are written with: what was read off a run, the thresholds, words for figures, and remedies.
mod prelude {
    pub(super) use std::time::Duration;

    pub(super) use crate::diagnose::indicators::*;
    pub(super) use crate::diagnose::rule::{Found, NoFinding::Clear, Ruling, undecided};
    pub(super) use crate::diagnose::thresholds::*;
    pub(super) use crate::model::figures::{self, bytes, count, counted, ms, number, percent, rate, seconds, share, times, us};
    pub(super) use crate::model::finding::{FindingId as Id, Remedy};
    pub(super) use crate::model::limits;
    pub(super) use crate::model::order::Order as _;
    pub(super) use crate::model::outcome::{Cause, FailureSide, Phase};
    pub(super) use crate::model::plan::{MixEntry, PortMode};
    pub(super) use crate::model::prediction::{Metric, Prediction};
    pub(super) use crate::model::result::{Endpoint, ErrorRow, RunResult};
    pub(super) use crate::remedy::catalogue::Name;
    pub(super) use crate::remedy::command::Command;
    pub(super) use crate::remedy::ports::for_run;
    pub(super) use crate::remedy::target::{Pool, cpu_workers, own_flags, serve_with};
    pub(super) use crate::remedy::{advice, keep_alive, load_after_sysctl, load_with, log_since, quoted};
}
