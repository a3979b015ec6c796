//! Failures that come in turn: every second, every third request.

use super::course::Course;
use super::prelude::*;

/// The words for every second up to every tenth.
const ORDINALS: [&str; 9] = ["second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];

/// Every how many requests failed, of those to the endpoints where any did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::diagnose) struct Turn {
    /// 2 is every second one
    pub(in crate::diagnose) every: u64,
    failed: u64,
    of: u64,
}

impl Turn {
    /// None where failures came in a part of the run only, or no more evenly than chance brings them.
    pub(in crate::diagnose) fn of(run: &RunResult, rows: &Rows<'_>, course: &Course) -> Option<Self> {
        let has = |name: &str, method: &str| rows.0.iter().any(|row| row.endpoint == name && row.method == method);
        let sum = |hit: bool| {
            let those = run.endpoints.iter().filter(|e| !hit || has(&e.name, &e.method));
            those.fold(0_u64, |sum, e| sum.saturating_add(e.requests))
        };
        let (failed, of) = (rows.count(), sum(true));
        // Endpoints that do not add up to the whole do not say of how many.
        if course.is_part() || failed == 0 || of < failed || sum(false) != run.totals.requests {
            return None;
        }
        let every = (of as f64 / failed as f64).round() as u64;
        let fits = (2..=TURN_MOST).contains(&every) && chance_of(every, failed, of) <= TURN_CHANCE;
        fits.then_some(Self { every, failed, of })
    }

    /// `every second request`, for the noun `request`.
    pub(in crate::diagnose) fn in_words(self, noun: &str) -> String {
        let nth = usize::try_from(self.every - 2).ok().and_then(|n| ORDINALS.get(n));
        nth.map_or_else(|| format!("1 {noun} in {}", self.every), |nth| format!("every {nth} {noun}"))
    }

    /// `4,837 of 9,675`
    pub(in crate::diagnose) fn counted(self) -> String {
        format!("{} of {}", count(self.failed), count(self.of))
    }

    /// What follows from it where failures are spread over all connections.
    pub(in crate::diagnose) fn meaning(self) -> String {
        format!(
            "That is {}, more evenly than chance would have it: something takes turns, as a balancer does with {} servers of which \
             one is broken.",
            self.in_words("one"),
            self.every
        )
    }
}

/// How likely independent failures, one in `every` on average, come at least as near to exactly that (a normal distribution).
fn chance_of(every: u64, failed: u64, of: u64) -> f64 {
    let p = 1.0 / every as f64;
    let spread = (of as f64 * p * (1.0 - p)).sqrt();
    let off = (failed as f64 - of as f64 * p).abs() + p / 2.0;
    (2.0 * off / (spread.max(1e-9) * std::f64::consts::TAU.sqrt())).min(1.0)
}

/// How a headline gives a part: by what it is of, its share, or its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `all 9,675`
    All,
    /// `50 % of 9,675`
    Share,
    /// `3 of 9,675`
    Count,
}

impl Form {
    /// Less than a hundredth is given by number.
    pub(crate) fn of(n: u64, of: u64) -> Self {
        match n as f64 / of.max(n).max(1) as f64 {
            _ if n >= of && n > 1 => Self::All,
            part if part >= 0.01 => Self::Share,
            _ => Self::Count,
        }
    }
}

/// `50 % of 9,675 requests`; less than a hundredth by number: `3 of 9,675 requests`; and `all 9,675 requests`.
pub(in crate::diagnose) fn part_of(n: u64, of: u64, noun: &str) -> String {
    let of = of.max(n);
    match Form::of(n, of) {
        Form::All => format!("all {}", counted(of, noun)),
        Form::Share => format!("{} of {}", share(n as f64 / of.max(1) as f64), counted(of, noun)),
        Form::Count => format!("{} of {}", count(n), counted(of, noun)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_turns_is_more_even_than_chance() {
        let even = |every, failed, of| chance_of(every, failed, of) <= TURN_CHANCE;
        assert!(even(2, 4837, 9675) && even(3, 5886, 17_660) && even(2, 500, 1000));
        // One standard deviation off, and too few to tell.
        assert!(!even(2, 4886, 9675) && !even(3, 5951, 17_660) && !even(2, 5, 10));
    }

    #[test]
    fn a_part_is_a_share_a_number_or_all() {
        let parts = [(4837, 9675), (3, 9675), (9675, 9675), (1, 1), (96, 9675)].map(|(n, of)| part_of(n, of, "request"));
        assert_eq!(
            parts,
            ["50 % of 9,675 requests", "3 of 9,675 requests", "all 9,675 requests", "100 % of 1 request", "96 of 9,675 requests"]
        );
    }
}
