//! Our own documents: diagnosed again from their facts, with the rules of today.

use super::Known;
use super::arithmetic::{self, Seen};
use crate::diagnose::{diagnose, diagnose_study, keep_proofs};
use crate::model::explanation::{EXPLAIN_SCHEMA, Explanation, Os};
use crate::model::figures::counted;
use crate::model::finding::{Finding, FindingId};
use crate::model::result::{Ports, RunResult};

/// A stored run (`sockbench/1`).
pub fn explain_run(run: &RunResult, known: &Known) -> Explanation {
    let findings = keep_proofs(diagnose(run), &run.findings);
    explanation("run", findings, run, known)
}

/// The steps of a stored study (`sockbench-study/1`): the study's own findings first, then each step's, each id once.
pub fn explain_study(steps: &[RunResult], known: &Known) -> Option<Explanation> {
    let last = steps.last()?;
    let mut findings = diagnose_study(steps);
    for (n, step) in steps.iter().enumerate() {
        for mut f in keep_proofs(diagnose(step), &step.findings) {
            if !findings.iter().any(|known| known.id == f.id) {
                f.title = format!("step {}, {}: {}", n + 1, counted(step.plan.users, "user"), f.title);
                findings.push(f);
            }
        }
    }
    findings.sort_by_key(|f| f.id);
    Some(explanation("study", findings, last, known))
}

fn explanation(source: &str, findings: Vec<Finding>, run: &RunResult, known: &Known) -> Explanation {
    let ports = run.ports.as_ref();
    let is_ports =
        |f: &Finding| matches!(f.id, FindingId::LocalPortsExhausted | FindingId::FailuresWillReturn | FindingId::PortBudgetHigh);
    let facts = Known {
        pool: known.pool.or(ports.and_then(|p| p.pool)),
        hold_s: known.hold_s.or(ports.and_then(|p| p.hold_s)),
        rates: arithmetic::Rates { rate_cps: known.rates.rate_cps.or(ports.map(Ports::demand_cps)), ..known.rates },
        ..*known
    };
    let exhausted = findings.iter().any(|f| f.id == FindingId::LocalPortsExhausted);
    let seen = if exhausted { Seen::Failures } else { Seen::Nothing };
    let arithmetic = findings.iter().any(is_ports).then(|| arithmetic::of(&facts, known.os.unwrap_or(Os::Linux), None, seen));
    Explanation {
        schema: EXPLAIN_SCHEMA.into(),
        source: source.into(),
        readings: Vec::new(),
        other_lines: 0,
        cut_lines: 0,
        bad_answers: 0,
        arithmetic,
        remedies: Vec::new(),
        findings,
    }
}
