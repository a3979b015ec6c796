//! Our own documents: diagnosed again from their facts, with the rules of today.

use std::time::Duration;

use super::arithmetic::{self, Seen};
use super::endpoint::Destination;
use super::{Known, finished};
use crate::diagnose::{deciding, diagnose, diagnose_study, keep_proofs};
use crate::model::explanation::{Explanation, Os};
use crate::model::figures::counted;
use crate::model::finding::{Finding, FindingId};
use crate::model::order::Order as _;
use crate::model::result::{Ports, RunResult};
use crate::model::study::{StepRow, StudyResult};

/// A stored run (`sockbench/1`).
pub fn explain_run(run: &RunResult, known: &Known) -> Explanation {
    // Of several destinations each was judged by its own facts.
    let is_judged = !run.destinations.is_empty();
    let mut findings = if is_judged { run.findings.clone() } else { keep_proofs(diagnose(run), &run.findings) };
    // What the report says first.
    let leads = deciding(&findings).map(|f| f.id);
    findings.order_by_key(|f| Some(f.id) != leads);
    let of = findings.first().and_then(|f| run.destination(f.destinations.first()?)).unwrap_or(run);
    explanation("run", findings, of, known)
}

/// The steps of a stored study (`sockbench-study/1`): the study's own findings first, then each step's, each id once. The
/// arithmetic is that of the step which has the first finding.
pub fn explain_study(study: &StudyResult, known: &Known) -> Option<Explanation> {
    let steps = &study.steps;
    let mut findings: Vec<(Finding, usize)> = Vec::new();
    let last = steps.len().checked_sub(1)?;
    findings.extend(diagnose_study(steps).into_iter().map(|f| (f, last)));
    for (n, step) in steps.iter().enumerate() {
        for mut f in keep_proofs(diagnose(step), &step.findings) {
            if !findings.iter().any(|(known, _)| known.id == f.id) {
                f.title = format!("{}: {}", place(study, n), f.title);
                findings.push((f, n));
            }
        }
    }
    findings.order_by_key(|(f, _)| f.id);
    let step = findings.first().map_or(last, |(_, n)| *n);
    Some(explanation("study", findings.into_iter().map(|(f, _)| f).collect(), &steps[step], known))
}

/// `at 100 users`, `in step short`: as the study's own report calls its steps.
fn place(study: &StudyResult, n: usize) -> String {
    let unnamed = || format!("in step {}, {}", n + 1, counted(study.steps[n].plan.users, "user"));
    study.analysis.rows.get(n).map_or_else(unnamed, StepRow::place)
}

fn explanation(source: &str, findings: Vec<Finding>, run: &RunResult, known: &Known) -> Explanation {
    let ports = run.ports.as_ref();
    let is_ports =
        |f: &Finding| matches!(f.id, FindingId::LocalPortsExhausted | FindingId::FailuresWillReturn | FindingId::PortBudgetHigh);
    let facts = Known {
        pool: known.pool.or(ports.and_then(|p| p.pool)),
        hold_s: known.hold_s.or(ports.and_then(|p| p.hold_s)),
        rates: arithmetic::Rates {
            rate_cps: known.rates.rate_cps.or(ports.map(Ports::demand_cps)),
            duration: known.rates.duration.or_else(|| Duration::try_from_secs_f64(run.duration_s).ok()),
            ..known.rates
        },
        ..*known
    };
    let exhausted = findings.iter().any(|f| f.id == FindingId::LocalPortsExhausted);
    let seen = if exhausted { Seen::Failures } else { Seen::Nothing };
    let arithmetic = findings
        .iter()
        .any(is_ports)
        .then(|| arithmetic::of(&facts, (known.os.unwrap_or(Os::Linux), Destination::Elsewhere), None, seen));
    Explanation { arithmetic, findings, ..finished(source, Vec::new(), 0, known, None) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, to_value};

    use super::*;
    use crate::model::study::{Analysis, StepKind};

    const HEALTHY: &str = include_str!("../../tests/data/runs/healthy.json");
    const EXHAUSTED: &str = include_str!("../../tests/data/runs/exhausted.json");

    /// A study whose steps have names, as windows-ports has.
    fn study(steps: [(StepKind, &str); 2]) -> StudyResult {
        let runs: Vec<Value> = steps.iter().map(|(_, run)| serde_json::from_str(run).expect("a run")).collect();
        let mut study: StudyResult = serde_json::from_value(json!({
            "schema": "sockbench-study/1", "tool": {"version": "0"}, "command": "", "name": "windows-ports", "started_at": "",
            "duration_s": 12.0, "steps_planned": 2, "ended": "", "steps": runs, "cooldowns": [],
            "analysis": to_value(Analysis::default()).expect("JSON"), "comparison": [], "findings": [], "unavailable": [],
        }))
        .expect("a study");
        study.analysis.rows = study.steps.iter().zip(steps).map(|(run, (kind, _))| StepRow::of(run).called(kind)).collect();
        study
    }

    #[test]
    fn findings_of_a_study_are_titled_as_its_steps_are_called_and_computed_from_that_step() {
        let users = |of| StepKind::Users { of, started: None, keepalive: None };
        let name = |name: &str| StepKind::Name { name: name.into(), started: None };
        for (steps, place) in [
            ([(name("short"), EXHAUSTED), (name("kept"), HEALTHY)], "in step short: "),
            ([(name("2nd"), EXHAUSTED), (name("10 users"), HEALTHY)], "in step 2nd: "),
            ([(users(10), HEALTHY), (users(20), EXHAUSTED)], "at 20 users: "),
        ] {
            let e = explain_study(&study(steps), &Known::default()).expect("steps");
            assert_eq!(e.findings[0].id, FindingId::LocalPortsExhausted);
            assert!(e.findings[0].title.starts_with(place), "{}", e.findings[0].title);
            let arithmetic = e.arithmetic.expect("ports");
            assert!(
                arithmetic.doubts.is_empty() && arithmetic.forecast.is_some_and(|f| f.failures > 0),
                "{:?}",
                arithmetic.doubts
            );
        }
    }
}
