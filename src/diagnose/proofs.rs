//! What a rehearsal on this host showed, attached to the remedies of findings by their names.

use crate::model::finding::Finding;
use crate::model::rehearsal::Rehearsal;

/// New findings with what an earlier diagnosis of the same run had proven: it is still true of the same remedy.
#[must_use]
pub fn keep_proofs(mut findings: Vec<Finding>, earlier: &[Finding]) -> Vec<Finding> {
    let proofs: Vec<_> =
        earlier.iter().flat_map(|f| &f.remedies).filter_map(|r| Some((r.name.clone()?, r.proven.clone()?))).collect();
    for remedy in findings.iter_mut().flat_map(|f| &mut f.remedies) {
        if let Some((_, proof)) = proofs.iter().find(|(name, _)| Some(name) == remedy.name.as_ref()) {
            remedy.proven = Some(proof.clone());
        }
    }
    findings
}

/// Fills `proven` of every remedy that the rehearsal ran under the same name; others keep what they have.
pub fn attach_proofs(findings: &mut [Finding], rehearsal: &Rehearsal) {
    for remedy in findings.iter_mut().flat_map(|f| &mut f.remedies) {
        let Some(name) = remedy.name.as_deref() else { continue };
        let proof =
            rehearsal.rows.iter().find(|r| r.remedy == name).and_then(|r| r.proof(&rehearsal.kernel, &rehearsal.started_at));
        if proof.is_some() {
            remedy.proven = proof;
        }
    }
}
