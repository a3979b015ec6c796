//! What to do about a finding: one catalogue of remedies, those that fit a plan in force, and the commands that apply
//! them. Pure, and below the rules: what the rules derived of a run comes in as a [`Situation`].
//!
//! [`catalogue`] has a row for each remedy. [`ports`] ranks them for a run that lacks source ports. [`command`] types a
//! plan as a `sockbench load` command, [`change`] says in flags what one plan changes of another. [`systems`] has the
//! source ports of Linux, Windows and macOS.
//!
//! Not here: whether something is wrong (`diagnose`), and running a remedy to prove it (`study::rehearse`).

pub mod by_limit;
pub mod catalogue;
pub mod change;
pub mod command;
mod flags;
pub mod placeholders;
pub mod ports;
mod ports_range;
mod program_steps;
pub mod programs;
pub mod promise;
pub mod software;
mod step;
mod steps;
mod steps_hidden;
pub mod systems;
pub(crate) mod target;

pub(crate) use command::{load_after_sysctl, load_with, study};
pub(crate) use flags::quoted;
pub(crate) use ports::{for_kept_search, for_search, keep_alive, longer_idle, target_keeps};
pub(crate) use ports_range::free_of;
pub(crate) use promise::{PACE_SHARE, room_for};

use catalogue::{Name, Way};
use command::Command;

use crate::model::budget::Budget;
use crate::model::figures;
use crate::model::finding::Remedy;
use crate::model::result::RunResult;
use crate::model::time::clock_at;

/// A run as far as remedies depend on it, with what the rules derived of it.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// the run: its plan, its host, its totals
    pub run: &'a RunResult,
    /// P towards the destination
    pub pool: Option<u32>,
    /// T for the destination, seconds
    pub hold_s: Option<f64>,
    /// new connections a second that the plan wants: asked in an open loop, else as ports were used up
    pub wanted_cps: f64,
    /// the target ends most connections after an answer, whatever it was asked
    pub ends_most: bool,
}

impl Situation<'_> {
    /// P and T, where both are known.
    pub fn budget(&self) -> Option<Budget> {
        Some(Budget::new(self.pool?, self.hold_s?).capped_at(self.run.host.sysctls.tcp_max_tw_buckets))
    }
}

/// The log of this machine from `at_s` of the run on.
pub(crate) fn log_since(run: &RunResult, at_s: f64) -> String {
    let since = clock_at(&run.started_at, at_s).map_or_else(|| "-10min".to_owned(), |at| quoted(&at));
    format!("journalctl -S {since}")
}

/// A remedy without a row of its own.
pub(crate) fn advice(action: impl Into<String>, command: impl Into<Command>, expected: impl Into<String>) -> Remedy {
    let Command { line, change } = command.into();
    Remedy { action: action.into(), change, command: line, expected: expected.into(), ..Remedy::default() }
}

/// The remedy `name` of the catalogue: what it means for this run.
pub(crate) fn named(name: Name, action: impl Into<String>, command: impl Into<Command>, expected: impl Into<String>) -> Remedy {
    let row = name.row();
    let elsewhere = |way: Way| way.command().map(str::to_owned);
    Remedy {
        name: Some(name.word().to_owned()),
        windows_command: elsewhere(row.windows),
        macos_command: elsewhere(row.macos),
        price: row.costs(),
        ..advice(action, command, expected)
    }
}

/// `28,232 ports / 1 s sustain 28,232/s instead of 470.5/s`.
pub(super) fn sustains(now: Budget, then: Budget) -> String {
    let (hold, instead) = (then.hold.as_secs_f64(), figures::rate(now.ceiling_cps()));
    format!(
        "{} / {} sustain {}/s instead of {instead}/s",
        figures::counted(then.pool, "port"),
        figures::hold(hold),
        figures::rate(then.ceiling_cps())
    )
}
