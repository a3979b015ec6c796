//! What a rehearsal on this host showed, attached to the remedies of findings by their names.

use crate::model::finding::Finding;
use crate::model::rehearsal::Rehearsal;

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
