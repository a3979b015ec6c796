//! What a rule is: facts and indicators in, a ruling out.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::indicators::Indicators;
pub use super::indicators::NoFinding;
pub(crate) use super::indicators::undecided;
use crate::model::finding::{FindingId, Remedy, Spoils};
use crate::model::result::RunResult;

/// What a rule says of a run: it is so, or why it says nothing.
pub type Ruling = Result<Found, NoFinding>;

/// The parts of a finding that its rule makes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// one line with the decisive number
    pub title: String,
    /// the numbers it rests on
    pub evidence: BTreeMap<String, Value>,
    /// what happened and why
    pub explanation: String,
    /// what to do, best first
    pub remedies: Vec<Remedy>,
    /// the only ones of its rule's causes that explain it in this run; none: all of them do
    pub causes: Option<Vec<FindingId>>,
    /// those of its rule's causes that do not
    pub not_causes: Vec<FindingId>,
    /// the figures that it spoils
    pub spoils: Option<Spoils>,
}

impl Found {
    /// A finding with its title and explanation; numbers and remedies follow.
    pub(crate) fn new(title: String, explanation: String) -> Self {
        Self { title, explanation, ..Self::default() }
    }

    /// Adds a number. Unknown and not finite ones leave no key (a null would need its own reason).
    pub(crate) fn with(mut self, name: &str, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(Value::Null) | Err(_) => {}
            Ok(Value::Number(n)) if n.is_f64() => drop(self.evidence.insert(name.to_owned(), json!(n.as_f64().map(rounded)))),
            Ok(v) => drop(self.evidence.insert(name.to_owned(), v)),
        }
        self
    }

    /// Sets what to do.
    pub(crate) fn remedies(mut self, remedies: Vec<Remedy>) -> Self {
        self.remedies = remedies;
        self
    }

    /// Only these of its rule's causes explain it.
    pub(crate) fn caused_only_by(mut self, causes: Vec<FindingId>) -> Self {
        self.causes = Some(causes);
        self
    }

    /// These of its rule's causes do not explain it.
    pub(super) fn not_caused_by(mut self, causes: impl IntoIterator<Item = FindingId>) -> Self {
        self.not_causes.extend(causes);
        self
    }

    /// Says which figures are not the target's own.
    pub(super) fn spoiling(mut self, spoils: Spoils) -> Self {
        self.spoils = Some(spoils);
        self
    }
}

/// Four decimals and at least four significant digits, up to nanoseconds of a second: a formula with the evidence in it
/// comes out as the text says.
fn rounded(v: f64) -> f64 {
    if v == 0.0 || v.abs() >= 1e9 {
        return v;
    }
    let decimals = (3 - v.abs().log10().floor() as i32).clamp(4, 9);
    let scale = 10_f64.powi(decimals);
    (v * scale).round() / scale
}

/// One rule: everything that docs/FINDINGS.md says of it, and the check.
#[derive(Debug)]
pub struct Rule {
    /// which finding
    pub id: FindingId,
    /// what it says, one line
    pub says: &'static str,
    /// when it fires; names of thresholds in braces
    pub fires: &'static str,
    /// when it cannot decide; empty where it always can
    pub needs: &'static str,
    /// what its remedies are about; empty where it leaves them to its cause
    pub advises: &'static str,
    /// what else saw it when the fault catalogue provoked it; empty for information
    pub witness: &'static str,
    /// how it reads as a cause: "Because ..., "
    pub as_cause: &'static str,
    /// findings that can be its cause
    pub caused_by: &'static [FindingId],
    /// findings that say the same with more weight: with one of them it is left out
    pub swallowed_by: &'static [FindingId],
    /// facts in, ruling out
    pub check: fn(&RunResult, &Indicators) -> Ruling,
}

impl Rule {
    /// A rule that nothing is said of yet.
    pub(super) const fn of(id: FindingId, check: fn(&RunResult, &Indicators) -> Ruling) -> Self {
        let [says, fires, needs, advises, witness, as_cause] = [""; 6];
        Self { id, says, fires, needs, advises, witness, as_cause, caused_by: &[], swallowed_by: &[], check }
    }
}

/// One step of a study.
#[derive(Debug)]
pub struct Step<'a> {
    /// its result
    pub run: &'a RunResult,
    /// what was read off it
    pub seen: Indicators,
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn evidence_keeps_what_its_formula_needs() {
        assert_eq!(
            [0.005, 0.000_114_49, 0.012_345_6, 910.123_45, 1e-17].map(rounded),
            [0.005, 0.000_114_5, 0.012_35, 910.1235, 0.0]
        );
        let predicted = 5.0 / (0.005 + 0.000_107_8);
        assert_eq!((5.0 / (rounded(0.005) + rounded(0.000_107_8))).round(), f64::round(predicted));
        for exponent in -4..9 {
            let v = 1.234_567 * 10_f64.powi(exponent);
            assert!((rounded(-v) / -v - 1.0).abs() < 5e-4, "{v}");
        }
    }
}
