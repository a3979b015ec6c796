//! The status line: one line a second on a terminal, plain lines elsewhere, nothing with `--quiet`.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use crate::load::run::UsersNow;
use crate::model::plan::LoadPlan;
use crate::observe::LivePorts;
use crate::stats::interval::SecondSummary;
use indicatif::{ProgressBar, ProgressStyle};

/// Seconds between plain lines of a long run.
const PLAIN_EVERY_S: u64 = 5;
/// Runs up to this long get a plain line each second.
const PLAIN_SHORT_S: u64 = 10;

/// Where status goes.
#[derive(Debug)]
pub(crate) enum Status {
    /// a live line on the terminal
    Live(ProgressBar),
    /// plain lines on stderr, one for every so many seconds
    Plain { every: u64, shown: Cell<Option<u64>> },
    /// nothing
    Off,
}

impl Status {
    /// A status for a run of `planned` length (zero: not known).
    pub(crate) fn new(quiet: bool, planned: Duration) -> Self {
        if quiet {
            return Self::Off;
        }
        let live = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        if !live {
            let every = if planned.as_secs() > PLAIN_SHORT_S { PLAIN_EVERY_S } else { 1 };
            return Self::Plain { every, shown: Cell::new(None) };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self::Live(bar)
    }

    /// Shows the line of second `second`.
    pub(crate) fn show(&self, second: u64, line: &str) {
        match self {
            Self::Live(bar) => {
                bar.set_message(line.to_owned());
                bar.tick();
            }
            Self::Plain { every, shown } if second.is_multiple_of(*every) && shown.replace(Some(second)) != Some(second) => {
                super::tell(line);
            }
            Self::Plain { .. } | Self::Off => {}
        }
    }

    /// Takes the live line away.
    pub(crate) fn clear(&self) {
        if let Self::Live(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// The line of one second: time, users, rate, latency, failures, ports.
pub(crate) fn line(plan: &LoadPlan, second: &SecondSummary, users: UsersNow, live: Option<&LivePorts>) -> String {
    let at = second.second + 1;
    let end = if plan.duration.is_zero() { String::new() } else { format!("/{:.0}", plan.duration.as_secs_f64()) };
    // In an open loop connections are opened as needed: fewer than allowed is no shortfall.
    let what = if plan.is_open_loop() { "conns" } else { "users" };
    let mut line = format!("{at:>4}{end} s  {what} {:>3}", users.active);
    if !plan.is_open_loop() && users.active != users.asked {
        line += &format!(" of {}", users.asked);
    }
    line += &format!("  {:>8.1} req/s", second.counts.requests as f64);
    if let (Some(p50), Some(p95)) = (second.p50_ms, second.p95_ms) {
        line += &format!("  p50 {p50:.1} ms  p95 {p95:.1} ms");
    }
    if second.counts.failures + second.counts.local_failures > 0 {
        line += &format!("  failed {}", second.counts.failures);
        if second.counts.local_failures > 0 {
            line += &format!(", own machine {}", second.counts.local_failures);
        }
    }
    if let Some(ports) = live.and_then(LivePorts::in_words) {
        line += &format!("  {ports}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Target;
    use crate::model::port_count::{InUse, PortCount};

    #[test]
    fn ports_are_shown_once_they_were_counted() {
        let plan = LoadPlan::new(Target::at(([127, 0, 0, 1], 80).into()), Vec::new());
        let before = LivePorts { short_lived: true, pool: Some(28_232), ..LivePorts::default() };
        let shown = |live| line(&plan, &SecondSummary::default(), UsersNow::default(), Some(live));
        assert!(!shown(&before).contains("ports"), "{}", shown(&before));
        let in_use = InUse { timed: 14_116, ..InUse::default() };
        let counted = LivePorts { count: Some(PortCount { in_use, ..PortCount::default() }), ..before };
        assert!(shown(&counted).contains("ports 14116/28232 (50 %)"), "{}", shown(&counted));
    }
}
