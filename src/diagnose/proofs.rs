//! What a rehearsal on this host showed, attached to the remedies of findings by their names.

use crate::model::finding::{Finding, Remedy};
use crate::model::rehearsal::Rehearsal;

/// New findings with what an earlier diagnosis of the same run had proven: it is still true of the same remedy.
#[must_use]
pub fn keep_proofs(mut findings: Vec<Finding>, earlier: &[Finding]) -> Vec<Finding> {
    let proofs: Vec<_> =
        earlier.iter().flat_map(|f| &f.remedies).filter_map(|r| Some((r.name.clone()?, r.proven.clone()?))).collect();
    for remedy in rehearsed(&mut findings) {
        if let Some((_, proof)) = proofs.iter().find(|(name, _)| Some(name) == remedy.name.as_ref()) {
            remedy.proven = Some(proof.clone());
        }
    }
    findings
}

/// Fills `proven` of every remedy that the rehearsal ran under the same name, where the finding is about what was
/// rehearsed; others keep what they have.
pub fn attach_proofs(findings: &mut [Finding], rehearsal: &Rehearsal) {
    for remedy in rehearsed(findings) {
        let Some(name) = remedy.name.as_deref() else { continue };
        let proof =
            rehearsal.rows.iter().find(|r| r.remedy == name).and_then(|r| r.proof(&rehearsal.kernel, &rehearsal.started_at));
        if proof.is_some() {
            remedy.proven = proof;
        }
    }
}

/// The remedies of the findings that a rehearsal is about.
fn rehearsed(findings: &mut [Finding]) -> impl Iterator<Item = &mut Remedy> {
    findings.iter_mut().filter(|f| f.id.is_rehearsed()).flat_map(|f| &mut f.remedies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::FindingId;
    use crate::model::rehearsal::{Commands, Effect, REHEARSAL_SCHEMA, Row};

    fn rehearsal() -> Rehearsal {
        let row = Row {
            asked: 300,
            made: Some(300),
            predicted: Some(300),
            measured: Some(300),
            verdict: Effect::Helps,
            ..Row::not_run("keep-alive", "", Commands::default(), String::new())
        };
        Rehearsal {
            schema: REHEARSAL_SCHEMA.into(),
            kernel: "6.18".into(),
            started_at: "monday".into(),
            duration_s: 1.0,
            accident: None,
            baseline: row.clone(),
            rows: vec![row],
            unavailable: Vec::new(),
        }
    }

    /// The same remedy helps against slow connects or an idle timeout too, but nobody tried that.
    #[test]
    fn a_rehearsal_proves_nothing_of_other_findings() {
        let keep_alive = || Remedy { name: Some("keep-alive".into()), ..Remedy::default() };
        let finding = |id: &FindingId| Finding {
            id: *id,
            severity: id.severity(),
            caused_by: Vec::new(),
            title: String::new(),
            evidence: std::collections::BTreeMap::new(),
            explanation: String::new(),
            remedies: vec![keep_alive()],
            machines: Vec::new(),
            destinations: Vec::new(),
            spoils: None,
        };
        let new: Vec<Finding> = FindingId::ALL.iter().map(finding).collect();
        let mut attached = new.clone();
        attach_proofs(&mut attached, &rehearsal());
        // What an earlier version had attached everywhere is kept in the right places only.
        let mut everywhere = attached.clone();
        let proof = attached[0].remedies[0].proven.clone();
        for f in &mut everywhere {
            f.remedies[0].proven.clone_from(&proof);
        }
        for findings in [attached, keep_proofs(new, &everywhere)] {
            let proven: Vec<FindingId> = findings.iter().filter(|f| f.remedies[0].proven.is_some()).map(|f| f.id).collect();
            let of_ports = [
                FindingId::LocalPortsExhausted,
                FindingId::LocalPortBusy,
                FindingId::FailuresWillReturn,
                FindingId::PortBudgetHigh,
            ];
            assert_eq!(proven, of_ports);
        }
    }
}
