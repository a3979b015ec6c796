//! Findings, verdict and stamp of a merged run: rules over all that was counted for what is the target's, and what each
//! machine found of itself, under its name.

use super::Part;
use super::machines::{NOUN, by_text, who};
use crate::diagnose;
use crate::model::figures::counted;
use crate::model::finding::{Finding, FindingId, Severity, Undecided};
use crate::model::order::{Order as _, grouped};
use crate::model::result::{Doubt, Machine, RunResult, RunStamp, Validity, Verdict, VerdictId};

/// Machines whose reasons are in the stamp.
const REASONS: usize = 4;

/// Diagnoses `run`, whose machines are those of `parts`; `lacks` is why it is not the whole of one run.
pub(super) fn settle(run: &mut RunResult, parts: &[Part], lacks: &[String]) {
    // Each machine has looked at its own facts: what it could decide of the target it decided there.
    // A part that somebody stopped says so itself; the others went on.
    run.validity.stopped = parts.iter().all(|part| part.run.was_stopped());
    diagnose::settle(run);
    let overall = diagnose::decision(&run.findings).map(|(_, finding)| finding.id).filter(|id| !is_of_other_programs(parts, *id));
    let own = own_verdict(run, parts, overall);
    run.findings.retain(|f| !f.id.is_of_machine());
    // The plan is that of all parts. Users of a part that is missing were asked of nobody.
    if run.totals.users_reached >= run.totals.users_asked {
        run.findings.retain(|f| f.id != FindingId::UsersNotReached);
    }
    for finding in &mut run.findings {
        let follows = |f: &Finding| f.id == finding.id && f.caused_by.contains(&FindingId::HostContended);
        if parts.iter().filter(|part| decided_by_other_programs(part)).any(|part| part.run.findings.iter().any(follows)) {
            finding.caused_by = vec![FindingId::HostContended];
        }
    }
    let of_machines = by_machine(parts, &run.machines, &run.findings);
    run.findings.extend(of_machines);
    run.findings.order_by_key(|f| f.id);
    let found: Vec<FindingId> = run.findings.iter().map(|f| f.id).collect();
    run.findings.iter_mut().for_each(|f| f.caused_by.retain(|cause| found.contains(cause)));
    run.undecided = undecided(parts, &run.machines, &run.findings);
    if let Some(verdict) = own {
        run.verdict = verdict;
    }
    if !lacks.is_empty() {
        run.verdict = incomplete(&run.verdict, lacks);
    }
    run.validity = validity(&run.machines, parts, lacks, run.was_stopped());
}

/// A machine that has the finding too, and sees the target's threads, says that it follows from other programs.
fn is_of_other_programs(parts: &[Part], id: FindingId) -> bool {
    let is_there = |part: &&Part| part.run.findings.iter().any(|f| f.id == id);
    parts.iter().filter(is_there).any(decided_by_other_programs)
}

/// As [`diagnose::decision`] has it, for a load run alone.
fn decided_by_other_programs(part: &Part) -> bool {
    diagnose::decision(&part.run.findings).is_some_and(|(_, f)| f.id == FindingId::HostContended)
}

/// A part of a run says nothing good of the whole. What it found stays the answer.
fn incomplete(verdict: &Verdict, lacks: &[String]) -> Verdict {
    let lacks = format!("incomplete: {}", lacks.join("; "));
    match verdict.id {
        VerdictId::Healthy => Verdict::new(VerdictId::Undecided, lacks),
        _ => verdict.clone().with_end(&format!("; {lacks}")),
    }
}

/// What machines could not decide, under their names. What was found over all is decided.
fn undecided(parts: &[Part], machines: &[Machine], found: &[Finding]) -> Vec<Undecided> {
    let is_open = |u: &&Undecided| !found.iter().any(|f| f.id == u.id && f.machines.is_empty());
    let said = parts.iter().zip(machines).flat_map(|(part, machine)| {
        let own = part.run.undecided.iter().filter(is_open);
        own.map(|u| (u.id, (machine.name.clone(), u.missing.clone())))
    });
    let mut by_id = grouped(said);
    by_id.order_by_key(|(id, _)| *id);
    by_id.into_iter().map(|(id, said)| Undecided { id, missing: by_text(said, machines.len(), NOUN).join("; ") }).collect()
}

/// What the machines found: a finding each, with the text of the first machine that has it.
fn by_machine(parts: &[Part], machines: &[Machine], overall: &[Finding]) -> Vec<Finding> {
    let is_said = |f: &Finding| overall.iter().any(|whole| whole.id == f.id);
    // Remarks help to read figures: those of the whole are judged as a whole.
    let is_own = |f: &&Finding| !is_said(f) && (f.severity != Severity::Info || f.id.is_of_machine());
    let found = parts.iter().zip(machines).flat_map(|(part, machine)| {
        let own = part.run.findings.iter().filter(is_own);
        own.map(|finding| (finding.id, (finding, machine.name.clone())))
    });
    let mut by_id = grouped(found);
    by_id.order_by_key(|(id, _)| *id);
    let named = by_id.into_iter().filter_map(|(_, alike)| {
        let finding = alike.first()?.0;
        let names: Vec<String> = alike.into_iter().map(|(_, name)| name).collect();
        let title = format!("{}: {}", who(&names, machines.len(), NOUN), finding.title);
        Some(Finding { title, machines: names, ..finding.clone() })
    });
    named.collect()
}

/// The verdict of the machines on themselves, where it comes before that over all: in the order of findings.
fn own_verdict(run: &RunResult, parts: &[Part], overall: Option<FindingId>) -> Option<Verdict> {
    let is_own =
        |id: VerdictId| matches!(id, VerdictId::PortBound | VerdictId::FdBound | VerdictId::ClientBound | VerdictId::HostBound);
    let decided = |part: &Part| {
        let (id, finding) = diagnose::decision(&part.run.findings)?;
        is_own(id).then_some(finding.id)
    };
    let first = parts.iter().filter_map(decided).min()?;
    // Other programs explain what nothing else does.
    let is_last = first == FindingId::HostContended;
    if overall.is_some_and(|overall| (is_last || overall < first) && !overall.is_of_machine()) {
        return None;
    }
    let with: Vec<usize> = (0..parts.len()).filter(|at| decided(&parts[*at]) == Some(first)).collect();
    let names: Vec<String> = with.iter().map(|at| run.machines[*at].name.clone()).collect();
    let at = *with.first()?;
    let verdict = &parts[at].run.verdict;
    let since_s = verdict.since_s.map(|s| s + run.machines[at].from_s as f64);
    let who = who(&names, parts.len(), NOUN);
    let sentence = format!("{who}: {}", verdict.sentence);
    Some(Verdict { since_s, who: Some(who), ..Verdict::new(verdict.id, sentence) })
}

/// The stamp of the machine that has the worst, and the reasons of those that are not valid.
fn validity(machines: &[Machine], parts: &[Part], lacks: &[String], stopped: bool) -> Validity {
    let mut bad: Vec<(&Machine, &Part)> = machines.iter().zip(parts).filter(|(m, _)| m.stamp != RunStamp::Valid).collect();
    bad.order_by_key(|(machine, _)| machine.stamp);
    let worst = bad.first().map_or(RunStamp::Valid, |(machine, _)| machine.stamp);
    let stamp = if worst == RunStamp::Valid && !lacks.is_empty() { RunStamp::Incomplete } else { worst };
    let mut reasons: Vec<String> = lacks.to_vec();
    for (machine, part) in bad.iter().take(REASONS) {
        reasons.extend(part.run.validity.reasons.iter().map(|reason| format!("{}: {reason}", machine.name)));
    }
    reasons.extend((bad.len() > REASONS).then(|| format!("and {} more", counted((bad.len() - REASONS) as u64, "machine"))));
    let reasons = reasons.into_iter().map(|reason| (Doubt::Machines, reason)).collect();
    Validity { stopped, ..Validity::new(stamp, reasons) }
}
