//! Thresholds on differences: `p95_change<5%`.

use crate::gates::{Actual, BadThreshold, Judged, Operator, Unit, scan};
use crate::model::comparison::{Compared, Pair};

/// One `--threshold` of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeThreshold {
    text: String,
    what: Compared,
    operator: Operator,
    /// 0.05 is 5 %
    bound: f64,
}

const NAMES: [(&str, Compared); 5] = [
    ("p50_change", Compared::P50Ms),
    ("p95_change", Compared::P95Ms),
    ("p99_change", Compared::P99Ms),
    ("rate_change", Compared::RateRps),
    ("failed_change", Compared::FailedShare),
];

/// Reads one. Errors: what is wrong, and what would be right.
pub fn parse_threshold(text: &str) -> Result<ChangeThreshold, BadThreshold> {
    let text = text.trim();
    let bad = |why: String| BadThreshold { why, hint: "such as 'p95_change<5%', 'rate_change>-2%', 'failed_change<0.1%'".into() };
    let (name, operator, bound) = scan(text).ok_or_else(|| bad("no operator".into()))?;
    let names = || NAMES.map(|(name, _)| name).join(", ");
    let what = NAMES.iter().find(|(known, _)| *known == name).map(|(_, what)| *what);
    let what = what.ok_or_else(|| {
        let shown: String = name.chars().take(40).collect();
        BadThreshold { why: format!("{shown:?}: not a change"), hint: format!("one of {}", names()) }
    })?;
    let value = match bound.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
        None => bound.parse(),
    };
    match value {
        Ok(bound) if bound.is_finite() => Ok(ChangeThreshold { text: text.to_owned(), what, operator, bound }),
        _ => Err(bad(format!("{:?}: no bound", bound.chars().take(40).collect::<String>()))),
    }
}

/// Compares with a pair. A change that is not there fails.
pub fn judge(threshold: &ChangeThreshold, pair: &Pair) -> Judged {
    let change = pair.totals.iter().find(|row| row.what == threshold.what).and_then(|row| row.change);
    let (passed, actual) = match change {
        Some(change) => (threshold.operator.holds(change, threshold.bound), Actual::Number(change, Unit::Share)),
        None => (false, Actual::Missing("not in both".into())),
    };
    Judged { text: threshold.text.clone(), passed, actual }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_may_be_below_zero() {
        let read = |text: &str| parse_threshold(text).map(|t| (t.what, t.bound));
        assert_eq!(read("p95_change<5%"), Ok((Compared::P95Ms, 0.05)));
        assert_eq!(read("rate_change > -2%"), Ok((Compared::RateRps, -0.02)));
        assert_eq!(read("failed_change<=0.001"), Ok((Compared::FailedShare, 0.001)));
        for bad in ["p95<5%", "p95_change", "p95_change<x", "p95_change<inf", ""] {
            assert!(parse_threshold(bad).is_err(), "{bad}");
        }
    }
}
