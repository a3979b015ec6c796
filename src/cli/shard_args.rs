//! `--shard` and `--start-at`, shared by `load` and `study`: one plan on several machines.

use std::time::Duration;

use super::{Exit, tell};
use crate::load::clock_probe;
use crate::model::figures::seconds;
use crate::model::limits::SHARDS_MAX;
use crate::model::plan::LoadPlan;
use crate::model::result::{ClockOffset, PlannedStart, RunResult};
use crate::model::{time, units};
use crate::report::style::wrapped;
use crate::sys::clock;
use crate::sys::signals::StopFlag;

/// A start further away is taken for a mistake.
const AWAIT_MAX_S: f64 = 86_400.0;
/// What is done right before the start: the ports are looked at, the plan is shown.
const AHEAD_S: f64 = 0.5;
/// A start later than this is said.
const LATE_S: f64 = 0.1;
/// How late a stop request may be noticed.
const NAP: Duration = Duration::from_millis(50);
/// A number below this is no time since 1970, but perhaps a length.
const UNIX_MIN: f64 = 1e9;

/// One plan on several machines.
#[derive(Debug, clap::Args, Clone, Copy, Default)]
pub(crate) struct ShardArgs {
    /// This machine's part of the plan, such as 2/3 [default: all of it]
    ///
    /// Users, rate and requests are divided so that all N parts together are the plan exactly; sockbench merge adds the results.
    /// A part without users or requests ends at once.
    #[arg(long, hide_short_help = true, value_name = "I/N", value_parser = shard, help_heading = "Several machines")]
    shard: Option<(u32, u32)>,
    /// When to start: 2026-11-29T14:00:00Z, seconds since 1970, or +10s [default: at once]
    ///
    /// By this machine's clock. Meanwhile up to eight HEAD requests compare it with the Date of the target; the result says how far
    /// apart they are, and how late the run began.
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = moment, allow_hyphen_values = true, help_heading = "Several machines")]
    start_at: Option<Moment>,
}

/// As typed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    Unix(f64),
    In(Duration),
}

impl ShardArgs {
    /// Errors: exit 2, sockbench's own server would be another one for each shard; a start too far away.
    pub(crate) fn check(self, has_url: bool) -> Result<(), Exit> {
        if self.shard.is_some() && !has_url {
            return Err(Exit::usage("--shard: no URL: each machine would load a server of its own")
                .hint("give all of them the URL of one target"));
        }
        let ahead = match self.start_at {
            Some(Moment::Unix(at)) => at - clock::wall_s(),
            Some(Moment::In(ahead)) => ahead.as_secs_f64(),
            None => 0.0,
        };
        if ahead > AWAIT_MAX_S {
            return Err(Exit::usage(format!("--start-at: in {}, more than a day", seconds(ahead))).hint("a nearer time"));
        }
        Ok(())
    }

    /// Errors: exit 2, users that were divided among destinations are not divided again.
    pub(crate) fn refuse_destinations(self, destinations: usize) -> Result<(), Exit> {
        let Some((number, of)) = self.shard else { return Ok(()) };
        let message = format!("--shard {number}/{of}: a run with {destinations} destinations is not divided among machines");
        Err(Exit::usage(message).hint("one URL for each run; or one machine for all of them"))
    }

    /// This machine's part of `plan`.
    pub(crate) fn part(self, plan: LoadPlan) -> LoadPlan {
        match self.shard {
            Some((number, of)) => plan.sharded(number, of),
            None => plan,
        }
    }

    /// From now on `+10s` has a date.
    pub(crate) fn start(self, quiet: bool) -> Start {
        let at_s = self.start_at.map(|at| match at {
            Moment::Unix(at) => at,
            Moment::In(ahead) => clock::wall_s() + ahead.as_secs_f64(),
        });
        Start { at_s, clock: None, quiet }
    }
}

/// The agreed start of a run.
#[derive(Debug)]
pub(crate) struct Start {
    at_s: Option<f64>,
    clock: Option<Result<ClockOffset, String>>,
    quiet: bool,
}

impl Start {
    /// Measures the target's clock, and waits until shortly before the start.
    pub(crate) fn approach(&mut self, plan: &LoadPlan, stop: &StopFlag) {
        let Some(at_s) = self.at_s.filter(|_| !plan.is_empty()) else { return };
        let path = plan.mix.first().map_or("/", |entry| entry.host_and_path("").1);
        let measured = clock_probe::measure(&plan.target, path, at_s - AHEAD_S, stop);
        if !self.quiet {
            let clock = match &measured {
                Ok(offset) => format!("this clock is {}", offset.in_words()),
                Err(why) => format!("the target's clock is not known: {why}"),
            };
            let ahead = at_s - clock::wall_s();
            let when = if ahead > 0.0 { format!("in {}", seconds(ahead)) } else { "now".to_owned() };
            let line = format!("start at {}, {when}; {clock}", time::rfc3339_of(at_s));
            tell(wrapped(&line, 2, super::told_columns()).trim_end());
        }
        self.clock = Some(measured);
        wait_until(at_s - AHEAD_S, stop);
    }

    /// Waits for the start itself.
    pub(crate) fn wait(&self, plan: &LoadPlan, stop: &StopFlag) {
        if let Some(at_s) = self.at_s.filter(|_| !plan.is_empty()) {
            wait_until(at_s, stop);
        }
    }

    /// Writes into `result` what became of it, and warns of a late start.
    pub(crate) fn settle(&self, result: &mut RunResult) {
        let at_s = self.at_s.filter(|_| !result.plan.is_empty());
        let Some((at_s, began_s)) = at_s.zip(time::unix_seconds(&result.started_at)) else { return };
        let late_s = (began_s - at_s).max(0.0);
        if late_s >= LATE_S {
            super::warn(&format!("started {} late (--start-at {})", seconds(late_s), time::rfc3339_of(at_s)));
        }
        let clock = match &self.clock {
            Some(Ok(offset)) => Some(*offset),
            Some(Err(why)) => {
                result.explain_null("start.clock", why.clone());
                None
            }
            None => None,
        };
        result.start = Some(PlannedStart { at: time::rfc3339_of(at_s), late_s, clock });
    }
}

fn wait_until(at_s: f64, stop: &StopFlag) {
    while !stop.is_set() {
        let left = at_s - clock::wall_s();
        let Ok(left) = Duration::try_from_secs_f64(left) else { return };
        if left.is_zero() {
            return;
        }
        clock::sleep(left.min(NAP));
    }
}

fn shard(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("{text:?}: not I/N\nhint: the second of three machines: --shard 2/3");
    let (number, of) = text.split_once('/').ok_or_else(wrong)?;
    let (number, of): (u32, u32) = (number.parse().map_err(|_| wrong())?, of.parse().map_err(|_| wrong())?);
    if of > SHARDS_MAX {
        return Err(format!("{of} shards: more than {SHARDS_MAX}"));
    }
    if number == 0 || number > of {
        return Err(format!("{text}: not between 1/{of} and {of}/{of}\nhint: shards count from 1"));
    }
    Ok((number, of))
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Some(ahead) = text.strip_prefix('+') {
        return units::duration(ahead).map(Moment::In);
    }
    let unix = match text.parse::<f64>() {
        Ok(number) if number < UNIX_MIN => {
            return Err(format!("{text}: not seconds since 1970\nhint: --start-at +{text} is {text} s from now"));
        }
        Ok(number) => Some(number),
        Err(_) => time::unix_seconds(text),
    };
    unix.filter(|s| s.is_finite())
        .map(Moment::Unix)
        .ok_or_else(|| format!("{text:?}: not a time such as 2026-11-29T14:00:00Z, 1795960800 or +10s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_count_from_one() {
        assert_eq!(shard("2/3"), Ok((2, 3)));
        for bad in ["0/3", "4/3", "3", "a/b", "-1/3", "1/0", "1/99999"] {
            assert!(shard(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_start_is_a_date_or_a_wait() {
        assert_eq!(moment("2026-11-24T10:00:00Z"), Ok(Moment::Unix(1_795_514_400.0)));
        assert_eq!(moment("1795514400.5"), Ok(Moment::Unix(1_795_514_400.5)));
        assert_eq!(moment("+10s"), Ok(Moment::In(Duration::from_secs(10))));
        assert!(moment("10").expect_err("a length").contains("+10"));
        for bad in ["now", "inf", "nan", "2026-11-24", ""] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
