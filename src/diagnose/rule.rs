//! What a rule is, and how the findings of all rules become the list of a report: sorted, joined to their causes,
//! swallowed by stronger ones.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::table::{RULES, STUDY_RULES};
use crate::model::finding::{Finding, FindingId, Remedy, Undecided};
use crate::model::result::RunResult;

/// What a rule says of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// looked, and it is not so
    Clear,
    /// it is so
    Finding(Box<Found>),
    /// cannot be told: what is missing
    Unknown(String),
}

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
}

impl Found {
    /// A finding with its title and explanation; numbers and remedies follow.
    pub(super) fn new(title: String, explanation: String) -> Self {
        Self { title, explanation, ..Self::default() }
    }

    /// Adds a number.
    pub(super) fn with(mut self, name: &str, value: impl Into<Evidence>) -> Self {
        if let Evidence(Some(v)) = value.into() {
            self.evidence.insert(name.to_owned(), v);
        }
        self
    }

    /// Sets what to do.
    pub(super) fn remedies(mut self, remedies: Vec<Remedy>) -> Self {
        self.remedies = remedies;
        self
    }

    /// Only these of its rule's causes explain it.
    pub(super) fn caused_only_by(mut self, causes: Vec<FindingId>) -> Self {
        self.causes = Some(causes);
        self
    }

    pub(super) fn verdict(self) -> Verdict {
        Verdict::Finding(Box::new(self))
    }
}

/// A number of the evidence; unknown and not finite ones leave no key (a null would need its own reason).
pub(super) struct Evidence(Option<Value>);

impl From<u64> for Evidence {
    fn from(v: u64) -> Self {
        Self(Some(json!(v)))
    }
}

impl From<u32> for Evidence {
    fn from(v: u32) -> Self {
        Self(Some(json!(v)))
    }
}

impl From<i32> for Evidence {
    fn from(v: i32) -> Self {
        Self(Some(json!(v)))
    }
}

impl From<f64> for Evidence {
    fn from(v: f64) -> Self {
        // Evidence is read by people: four digits behind the point are below any measurement here.
        let rounded = if v.abs() < 1e9 { (v * 1e4).round() / 1e4 } else { v };
        Self(v.is_finite().then(|| json!(rounded)))
    }
}

impl From<&str> for Evidence {
    fn from(v: &str) -> Self {
        Self(Some(json!(v)))
    }
}

impl From<String> for Evidence {
    fn from(v: String) -> Self {
        Self(Some(json!(v)))
    }
}

impl<T: Into<Evidence>> From<Option<T>> for Evidence {
    fn from(v: Option<T>) -> Self {
        Self(v.and_then(|v| v.into().0))
    }
}

/// One rule: everything that docs/FINDINGS.md says of it, and the check.
#[derive(Debug)]
pub struct Rule {
    /// which finding
    pub id: FindingId,
    /// what it says, one line
    pub says: &'static str,
    /// when it fires, with the names of its thresholds
    pub fires: &'static str,
    /// what must be known to tell
    pub needs: &'static str,
    /// how it reads as a cause: "Because ..., "
    pub as_cause: &'static str,
    /// findings that can be its cause
    pub caused_by: &'static [FindingId],
    /// findings that say the same with more weight: with one of them it is left out
    pub swallowed_by: &'static [FindingId],
    /// facts in, verdict out
    pub check: fn(&RunResult) -> Verdict,
}

/// The same over the steps of a study.
#[derive(Debug)]
pub struct StudyRule {
    /// which finding
    pub id: FindingId,
    /// facts of all steps in, verdict out
    pub check: fn(&[RunResult]) -> Verdict,
}

/// Everything that a run shows, in the order of the contract.
pub fn diagnose(run: &RunResult) -> Vec<Finding> {
    let found: Vec<(&Rule, Found)> = RULES
        .iter()
        .filter_map(|rule| match (rule.check)(run) {
            Verdict::Finding(found) => Some((rule, *found)),
            Verdict::Clear | Verdict::Unknown(_) => None,
        })
        .collect();
    joined(found)
}

/// What could not be told, and what was missing for it, rule by rule.
pub fn undecided(run: &RunResult) -> Vec<Undecided> {
    RULES
        .iter()
        .filter_map(|rule| match (rule.check)(run) {
            Verdict::Unknown(missing) => Some(Undecided { id: rule.id, missing }),
            Verdict::Clear | Verdict::Finding(_) => None,
        })
        .collect()
}

/// What the steps of a study show together; each step has its own findings beside these.
pub fn diagnose_study(steps: &[RunResult]) -> Vec<Finding> {
    let found = STUDY_RULES.iter().filter_map(|study| {
        let rule = RULES.iter().find(|r| r.id == study.id)?;
        match (study.check)(steps) {
            Verdict::Finding(found) => Some((rule, *found)),
            Verdict::Clear | Verdict::Unknown(_) => None,
        }
    });
    joined(found.collect())
}

fn joined(mut found: Vec<(&Rule, Found)>) -> Vec<Finding> {
    let all: Vec<FindingId> = found.iter().map(|(rule, _)| rule.id).collect();
    found.retain(|(rule, _)| !rule.swallowed_by.iter().any(|by| all.contains(by)));
    found.sort_by_key(|(rule, _)| rule.id);
    let left: Vec<FindingId> = found.iter().map(|(rule, _)| rule.id).collect();
    found
        .into_iter()
        .map(|(rule, f)| {
            let explains = |c: &FindingId| f.causes.as_ref().is_none_or(|only| only.contains(c));
            let causes: Vec<FindingId> = rule.caused_by.iter().copied().filter(|c| left.contains(c)).filter(explains).collect();
            Finding {
                id: rule.id,
                severity: rule.id.severity(),
                explanation: after_causes(&causes, f.explanation),
                caused_by: causes,
                title: f.title,
                evidence: f.evidence,
                remedies: f.remedies,
            }
        })
        .collect()
}

/// The first sentence joins both: "Because the source ports ran out (local-ports-exhausted), ...".
fn after_causes(causes: &[FindingId], explanation: String) -> String {
    let phrases: Vec<String> = causes
        .iter()
        .filter_map(|c| RULES.iter().find(|r| r.id == *c))
        .map(|r| format!("{} ({})", r.as_cause, r.id.word()))
        .collect();
    if phrases.is_empty() {
        return explanation;
    }
    let mut chars = explanation.chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    format!("Because {}, {first}{}", phrases.join(" and "), chars.as_str())
}
