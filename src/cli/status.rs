//! The status line: one line a second on a terminal, plain lines elsewhere, nothing with `--quiet`.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use crate::load::run::UsersNow;
use crate::model::figures::{count, counted, ms, number};
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
        let live = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none() && !super::is_dumb();
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

/// Columns of a line.
const WIDTH: usize = 80;

/// The line of one second: time, users, rate, failures, ports, latency. Where not all fits, latency
/// gives way first, then the users.
pub(crate) fn line(plan: &LoadPlan, second: &SecondSummary, users: UsersNow, live: Option<&LivePorts>) -> String {
    let at = second.second + 1;
    let end = if plan.duration.is_zero() { String::new() } else { format!("/{}", number(plan.duration.as_secs_f64())) };
    // In an open loop connections are opened as needed: fewer than allowed is no shortfall.
    let who = if plan.is_open_loop() {
        counted(users.active, "conn")
    } else if users.active == users.asked {
        counted(users.active, "user")
    } else {
        format!("{} of {}", count(users.active), counted(users.asked, "user"))
    };
    let mut parts = vec![format!("{at:>4}{end} s"), who, format!("{} req/s", count(second.counts.requests))];
    let (failed, local) = (second.counts.failures, second.counts.local_failures);
    if local > 0 {
        parts.push(format!("failed {} at target, {} local", count(failed), count(local)));
    } else if failed > 0 {
        parts.push(format!("failed {}", count(failed)));
    }
    parts.extend(live.and_then(LivePorts::in_words));
    let latency = second.p50_ms.zip(second.p95_ms).map(|(p50, p95)| format!("p50 {}, p95 {} ms", ms(p50), ms(p95)));
    let whole = [parts.clone(), latency.into_iter().collect()].concat();
    let without_users = [&parts[..1], &parts[2..]].concat();
    let lines = [whole, parts, without_users].map(|parts| parts.join("  "));
    let fits = lines.iter().position(|line| line.chars().count() <= WIDTH);
    // The widest counts that there are fit without their nouns.
    fits.map_or_else(|| lines[2].replace(" at target,", ",").replace("req/s", "/s"), |i| lines[i].clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::ports::budget::Budget;
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
        assert!(shown(&counted).contains("ports 14,116/28,232"), "{}", shown(&counted));
    }

    #[test]
    fn a_line_keeps_to_80_columns() {
        let mut plan = LoadPlan::new(Target::at(([127, 0, 0, 1], 80).into()), Vec::new());
        plan.duration = Duration::from_secs(180);
        let mut second = SecondSummary { second: 99, p50_ms: Some(12.3), p95_ms: Some(1234.5), ..SecondSummary::default() };
        second.counts.requests = 12_345;
        let users = UsersNow { active: 1000, asked: 1000 };
        let in_use = InUse { timed: 28_000, first_free_s: 30.0, ..InUse::default() };
        let filling = LivePorts {
            short_lived: true,
            count: Some(PortCount { in_use, ..PortCount::default() }),
            pool: Some(28_232),
            budget: Some(Budget::new(28_232, 60.0)),
            rate_cps: Some(12_345.0),
            ..LivePorts::default()
        };
        let healthy = line(&plan, &second, users, None);
        assert_eq!(healthy, " 100/180 s  1,000 users  12,345 req/s  p50 12.3, p95 1,235 ms");
        second.counts.local_failures = 9_999;
        let short = line(&plan, &second, UsersNow { active: 1, ..users }, Some(&filling));
        assert!(short.chars().count() <= WIDTH && short.contains("full in 1 s"), "{short}");
    }
}
