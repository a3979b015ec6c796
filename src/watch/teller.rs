//! What is said while a command runs: one line when the outlook of a destination changes.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::forecast::Filling;
use crate::diagnose::ports::budget::Budget;
use crate::model::figures::{count, number, rate, seconds, share};
use crate::model::port_count::InUse;
use crate::model::watch::Outlook;

/// A forecast is said from this share of the pool on, or when it is this near.
const SAID_SHARE: f64 = 0.10;
const NEAR_S: f64 = 30.0;
/// It is said again when its moment has moved by this, seconds or share of what is left.
const MOVED_S: f64 = 3.0;
const MOVED_SHARE: f64 = 0.15;
/// And not more often than this.
const AGAIN_S: f64 = 3.0;
/// The last warning.
const LAST_SHARE: f64 = 0.80;
/// Looks without a forecast after which the pool no longer fills.
const LEVEL_LOOKS: u32 = 3;

/// What has been said of one destination.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Said {
    /// the moment of the latest forecast, from the start, and when it was said
    full_at: Option<(f64, f64)>,
    warned: bool,
    full: bool,
    silent: u32,
}

/// Says it once.
#[derive(Debug, Default)]
pub struct Teller {
    said: HashMap<SocketAddr, Said>,
}

/// The pool towards one destination at a look.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolNow {
    pub(super) dest: SocketAddr,
    pub(super) in_use: InUse,
    pub(super) budget: Budget,
    pub(super) filling: Option<Filling>,
    /// every port is in use
    pub(super) is_full: bool,
}

impl Teller {
    /// What there is to say at `at_s`, if anything.
    pub(super) fn on_look(&mut self, at_s: f64, now: &PoolNow) -> Option<Outlook> {
        let words = self.said.entry(now.dest).or_default().next(at_s, now)?;
        let used = format!("{} of {} in use", count(now.in_use.ports()), count(now.budget.pool));
        let filling = now.filling.filter(|_| !now.is_full);
        Some(Outlook {
            at_s,
            destination: now.dest.to_string(),
            full_from_s: filling.map(|f| at_s + f.from_s),
            full_to_s: filling.and_then(|f| f.to_s).map(|to| at_s + to),
            text: match words {
                Words::Full => {
                    let free = if now.in_use.last_free_s > 0.0 {
                        format!("; the first is free in {}", seconds(now.in_use.first_free_s.ceil()))
                    } else {
                        String::new()
                    };
                    format!("ports to {}: all {} in use{free}", now.dest, count(now.budget.pool))
                }
                Words::Level => format!("ports to {}: {used}, no longer filling", now.dest),
                Words::Last(f) => format!(
                    "warning: ports to {}: {} in use, +{}/s: {}",
                    now.dest,
                    share(f64::from(now.in_use.ports()) / f64::from(now.budget.pool.max(1))),
                    rate(f.rate_cps),
                    moment(&f)
                ),
                Words::Filling(f) => format!("ports to {}: {used}, +{}/s: {}", now.dest, rate(f.rate_cps), moment(&f)),
            },
        })
    }
}

enum Words {
    Full,
    Level,
    Last(Filling),
    Filling(Filling),
}

impl Said {
    fn next(&mut self, at_s: f64, now: &PoolNow) -> Option<Words> {
        if now.is_full {
            let first = !std::mem::replace(&mut self.full, true);
            (self.full_at, self.silent) = (None, 0);
            return first.then_some(Words::Full);
        }
        let used_share = f64::from(now.in_use.ports()) / f64::from(now.budget.pool.max(1));
        if used_share < LAST_SHARE {
            (self.full, self.warned) = (false, false);
        }
        let Some(filling) = now.filling else {
            self.silent += 1;
            let is_over = self.full_at.is_some() && self.silent >= LEVEL_LOOKS;
            return is_over.then(|| {
                self.full_at = None;
                Words::Level
            });
        };
        self.silent = 0;
        let (mid_s, until_s) = (at_s + middle(&filling), middle(&filling));
        if used_share >= LAST_SHARE && !self.warned {
            (self.warned, self.full_at) = (true, Some((mid_s, at_s)));
            return Some(Words::Last(filling));
        }
        let is_due = match self.full_at {
            None => used_share >= SAID_SHARE || until_s <= NEAR_S,
            Some((moment, said_s)) => (mid_s - moment).abs() > (MOVED_SHARE * until_s).max(MOVED_S) && at_s - said_s >= AGAIN_S,
        };
        is_due.then(|| {
            self.full_at = Some((mid_s, at_s));
            Words::Filling(filling)
        })
    }
}

fn middle(f: &Filling) -> f64 {
    f64::midpoint(f.from_s, f.to_s.unwrap_or(f.from_s))
}

/// `full in 62 s`, `full in 40-60 s`, `full in 40 s or later`.
fn moment(f: &Filling) -> String {
    let round = |s: f64| s.max(1.0).round();
    match f.to_s {
        None => format!("full in {} or later", seconds(round(f.from_s))),
        Some(to) if round(to) - round(f.from_s) <= (0.1 * to).max(1.0) => format!("full in {}", seconds(round(middle(f)))),
        Some(to) if to < 119.0 => format!("full in {}-{}", number(round(f.from_s)), seconds(round(to))),
        Some(to) => format!("full in {} to {}", seconds(round(f.from_s)), seconds(round(to))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(used: u32, filling: Option<(f64, Option<f64>, f64)>, is_full: bool) -> PoolNow {
        PoolNow {
            dest: "192.0.2.7:80".parse().unwrap(),
            in_use: InUse { timed: used, first_free_s: 27.2, last_free_s: 60.0, open: 0 },
            budget: Budget::new(28_232, 60.0),
            filling: filling.map(|(from_s, to_s, rate_cps)| Filling { from_s, to_s, rate_cps }),
            is_full,
        }
    }

    #[test]
    fn a_line_when_the_outlook_changes_and_none_between() {
        let mut teller = Teller::default();
        let mut say = |at_s: f64, now: PoolNow| teller.on_look(at_s, &now).map(|o| o.text);
        assert_eq!(say(1.0, now(900, Some((80.0, Some(95.0), 310.0)), false)), None, "3 % of the pool");
        let first = say(10.0, now(9120, Some((61.0, Some(63.0), 310.0)), false)).unwrap();
        assert_eq!(first, "ports to 192.0.2.7:80: 9,120 of 28,232 in use, +310/s: full in 62 s");
        assert_eq!(say(11.0, now(9430, Some((60.0, Some(62.0), 310.0)), false)), None);
        assert_eq!(say(12.0, now(9900, Some((30.0, Some(44.0), 480.0)), false)), None, "2 s after the last line");
        let again = say(13.0, now(10_400, Some((30.0, Some(44.0), 480.0)), false)).unwrap();
        assert_eq!(again, "ports to 192.0.2.7:80: 10,400 of 28,232 in use, +480/s: full in 30-44 s");
        let last = say(40.0, now(23_000, Some((11.0, Some(11.4), 480.0)), false)).unwrap();
        assert_eq!(last, "warning: ports to 192.0.2.7:80: 81 % in use, +480/s: full in 11 s");
        assert_eq!(say(45.0, now(25_000, Some((6.0, Some(6.4), 480.0)), false)), None);
        assert_eq!(
            say(52.0, now(28_232, None, true)).unwrap(),
            "ports to 192.0.2.7:80: all 28,232 in use; the first is free in 28 s"
        );
        assert_eq!(say(53.0, now(28_232, None, true)), None);
    }

    #[test]
    fn a_pool_that_has_emptied_is_warned_of_again() {
        let mut teller = Teller::default();
        let mut say = |at_s: f64, now: PoolNow| teller.on_look(at_s, &now).map(|o| o.text);
        let (high, low) = (now(23_000, Some((11.0, Some(11.4), 480.0)), false), now(9_000, None, false));
        assert!(say(40.0, high).unwrap().starts_with("warning"));
        assert!(say(50.0, now(28_232, None, true)).unwrap().contains("all 28,232"));
        assert_eq!(say(100.0, low), None);
        assert!(say(140.0, high).unwrap().starts_with("warning"));
        assert!(say(150.0, now(28_232, None, true)).unwrap().contains("all 28,232"));
    }

    #[test]
    fn only_looks_without_a_forecast_in_a_row_take_it_back() {
        let mut teller = Teller::default();
        let mut say = |at_s: f64, now: PoolNow| teller.on_look(at_s, &now).map(|o| o.text);
        let (fills, level) = (now(5000, Some((25.0, Some(26.0), 900.0)), false), now(5100, None, false));
        assert!(say(5.0, fills).is_some());
        assert_eq!([6.0, 7.0].map(|at_s| say(at_s, level)), [None, None]);
        assert_eq!(say(7.5, fills), None);
        assert_eq!([8.0, 9.0].map(|at_s| say(at_s, level)), [None, None]);
        assert!(say(10.0, level).unwrap().ends_with("no longer filling"));
    }

    #[test]
    fn a_burst_that_ends_is_taken_back() {
        let mut teller = Teller::default();
        let mut say = |at_s: f64, now: PoolNow| teller.on_look(at_s, &now).map(|o| o.text);
        assert!(say(5.0, now(5000, Some((25.0, None, 900.0)), false)).unwrap().ends_with("full in 25 s or later"));
        assert_eq!([say(6.0, now(5100, None, false)), say(7.0, now(5100, None, false))], [None, None]);
        assert_eq!(say(8.0, now(5100, None, false)).unwrap(), "ports to 192.0.2.7:80: 5,100 of 28,232 in use, no longer filling");
        assert_eq!(say(9.0, now(5100, None, false)), None);
    }
}
