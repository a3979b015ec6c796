//! How the rulings of all rules become the diagnosis of a run: findings sorted, joined to their causes, swallowed by
//! stronger ones; the verdict and the stamp from these.

use super::indicators::Indicators;
use super::rule::{Found, NoFinding, Rule, Ruling, Step};
use super::table::{rule_of, rules};
use super::{rules::study, validity, verdict};
use crate::model::figures::counted;
use crate::model::finding::{Finding, FindingId, Severity, Undecided};
use crate::model::order::Order as _;
use crate::model::outcome::Cause;
use crate::model::plan::Shard;
use crate::model::result::{ErrorRow, NoPort, RunResult, RunStamp, Validity, Verdict, VerdictId};

/// Everything that a run shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// in the order of the contract
    pub findings: Vec<Finding>,
    /// what could not be decided, and what was missing for it
    pub undecided: Vec<Undecided>,
    /// the answer in one sentence
    pub verdict: Verdict,
    /// whether the figures are what was asked for
    pub validity: Validity,
}

impl Diagnosis {
    /// Diagnoses a run by its facts; what an earlier diagnosis left in it is not read.
    pub fn of(run: &RunResult) -> Self {
        if let Some(shard) = run.plan.shard.filter(Shard::is_empty) {
            return Self::of_an_idle_shard(&shard);
        }
        let seen = Indicators::of(run);
        let mut found = Vec::new();
        let mut undecided = Vec::new();
        for rule in rules() {
            match (rule.check)(run, &seen) {
                Ok(f) => found.push((rule, f)),
                // How to read figures is no question that must be answered.
                Err(NoFinding::Undecided(_)) if rule.id.severity() == Severity::Info => {}
                Err(NoFinding::Undecided(missing)) => undecided.push(Undecided { id: rule.id, missing }),
                Err(NoFinding::Clear) => {}
            }
        }
        let findings = joined(found);
        let verdict = verdict::of(run, &seen, &findings);
        let validity = validity::of(run, &seen, &findings);
        Self { findings, undecided, verdict, validity }
    }

    /// Of a machine for which nothing of the plan is left: it did what was asked.
    fn of_an_idle_shard(shard: &Shard) -> Self {
        let Shard { whole, number, of, .. } = shard;
        let few = if shard.at_work == whole.users { counted(whole.users, "user") } else { counted(whole.requests, "request") };
        let sentence = format!("nothing to do for shard {number}/{of}: the plan has {few}");
        let verdict = Verdict::new(VerdictId::Undecided, sentence);
        let validity = Validity::new(RunStamp::Valid, Vec::new());
        Self { findings: Vec::new(), undecided: Vec::new(), verdict, validity }
    }
}

/// What one rule says of a run.
pub fn ruling(id: FindingId, run: &RunResult) -> Ruling {
    rule_of(id).map_or(Err(NoFinding::Clear), |rule| (rule.check)(run, &Indicators::of(run)))
}

/// What the one rule about the steps of a study says: throughput-plateau.
pub fn study_ruling(steps: &[RunResult]) -> Ruling {
    let steps: Vec<Step<'_>> = steps.iter().map(|run| Step { run, seen: Indicators::of(run) }).collect();
    study::plateau(&steps)
}

/// The findings of a run, in the order of the contract.
pub fn diagnose(run: &RunResult) -> Vec<Finding> {
    Diagnosis::of(run).findings
}

/// Diagnoses a run in place: findings, verdict, stamp, and the rows that explain the nulls of the findings.
///
/// What only the caller knows, that somebody stopped the run, is in `run.validity.stopped` before.
pub fn settle(run: &mut RunResult) {
    let diagnosis = Diagnosis::of(run);
    if Indicators::of(run).ports.no_address > 0 {
        run.errors.iter_mut().filter(|row| row.no_port() == Some(NoPort::Exhausted)).for_each(name_the_address);
    }
    (run.findings, run.undecided) = (diagnosis.findings, diagnosis.undecided);
    (run.verdict, run.validity) = (diagnosis.verdict, diagnosis.validity);
    if run.findings.iter().any(|f| f.remedies.iter().any(|r| r.proven.is_none())) {
        run.explain_null("findings[].remedies[].proven", "no rehearsal of this remedy on this host");
    }
}

/// Linux has one errno for "no port" and "no address"; Windows has 10048 for ports and 10049 for a missing address.
fn name_the_address(row: &mut ErrorRow) {
    row.cause = Some(Cause::NoAddress);
    if let Some(failure) = row.failure() {
        (row.party, row.message) = (failure.party(), failure.message());
        row.windows_code = failure.windows_code(row.port_choice);
    }
}

/// What the steps of a study show together; each step has its own findings beside these.
pub fn diagnose_study(steps: &[RunResult]) -> Vec<Finding> {
    joined_by_id(study_ruling(steps).into_iter().map(|found| (FindingId::ThroughputPlateau, found)).collect())
}

/// Findings of other rules than those of the table, which say of a finding what the table's rule of that id says: sorted,
/// joined to their causes, swallowed by stronger ones.
pub(crate) fn joined_by_id(found: Vec<(FindingId, Found)>) -> Vec<Finding> {
    joined(found.into_iter().filter_map(|(id, found)| Some((rule_of(id)?, found))).collect())
}

fn joined(mut found: Vec<(&Rule, Found)>) -> Vec<Finding> {
    let all: Vec<FindingId> = found.iter().map(|(rule, _)| rule.id).collect();
    found.retain(|(rule, _)| !rule.swallowed_by.iter().any(|by| all.contains(by)));
    found.order_by_key(|(rule, _)| rule.id);
    let left: Vec<FindingId> = found.iter().map(|(rule, _)| rule.id).collect();
    found
        .into_iter()
        .map(|(rule, f)| {
            let explains = |c: &FindingId| !f.not_causes.contains(c) && f.causes.as_ref().is_none_or(|only| only.contains(c));
            let causes: Vec<FindingId> = rule.caused_by.iter().copied().filter(|c| left.contains(c)).filter(explains).collect();
            Finding {
                machines: Vec::new(),
                destinations: Vec::new(),
                id: rule.id,
                severity: rule.id.severity(),
                explanation: after_causes(&causes, f.explanation),
                caused_by: causes,
                title: f.title,
                evidence: f.evidence,
                remedies: f.remedies,
                spoils: f.spoils,
            }
        })
        .collect()
}

/// The first sentence joins both: "Because the source ports ran out (local-ports-exhausted), ...".
fn after_causes(causes: &[FindingId], explanation: String) -> String {
    let phrases: Vec<String> =
        causes.iter().filter_map(|c| rule_of(*c)).map(|r| format!("{} ({})", r.as_cause, r.id.word())).collect();
    if phrases.is_empty() {
        return explanation;
    }
    let mut chars = explanation.chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    format!("Because {}, {first}{}", phrases.join(" and "), chars.as_str())
}
