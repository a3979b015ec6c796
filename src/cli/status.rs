//! The status line: one line a second on a terminal, plain lines elsewhere, nothing with `--quiet`.

use std::io::IsTerminal;
use std::time::Duration;

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
    /// plain lines on stderr
    Plain { every: u64 },
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
            return Self::Plain { every: if planned.as_secs() > PLAIN_SHORT_S { PLAIN_EVERY_S } else { 1 } };
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
            Self::Plain { every } if second.is_multiple_of(*every) => eprintln!("{line}"),
            Self::Plain { .. } | Self::Off => {}
        }
    }

    /// A line that stays, above the live one.
    pub(crate) fn note(&self, line: &str) {
        match self {
            Self::Live(bar) => bar.suspend(|| eprintln!("{line}")),
            Self::Plain { .. } => eprintln!("{line}"),
            Self::Off => {}
        }
    }

    /// Takes the live line away.
    pub(crate) fn clear(&self) {
        if let Self::Live(bar) = self {
            bar.finish_and_clear();
        }
    }
}
