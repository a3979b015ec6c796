//! The runs of one program to several destinations as one run. What was counted is a sum; ports, findings and the target's
//! process stay with each destination, whose run is kept whole. What the program and the machine share (the client's CPU,
//! descriptors, other programs) is judged once, over all.

use super::machines::{by_text, who};
use crate::diagnose::{self, Diagnosis};
use crate::model::document;
use crate::model::finding::{Finding, FindingId, Undecided};
use crate::model::order::{Order as _, grouped};
use crate::model::result::{
    Doubt, Ports, Resources, RunResult, RunStamp, SeriesPoint, Validity, Verdict, VerdictId, full_client_seconds,
};

/// Why a figure of one destination is null in the run as a whole.
const PER_DESTINATION: &str = "each destination has its own: destinations[]";
/// What destinations are called where there are many.
const NOUN: &str = "destination";

/// Puts the runs to each destination into `run`, which has what was counted of all of them. `parts` have their facts, in the
/// order of the plan's destinations, and no diagnosis yet.
pub fn join(run: &mut RunResult, mut parts: Vec<RunResult>) {
    debug_assert_eq!(run.plan.destinations.len(), parts.len(), "a run for each destination");
    name_other_targets(&mut parts);
    parts.iter_mut().for_each(diagnose::settle);
    facts(run, &parts);
    run.validity.stopped = parts.iter().any(RunResult::was_stopped);
    run.destinations = parts;
    settle(run);
    let nulls = document::nulls(run);
    run.unavailable.retain(|row| nulls.contains(&row.key));
    for key in nulls {
        run.explain_null(&key, PER_DESTINATION);
    }
}

/// The findings, the verdict and the stamp of a run whose destinations have theirs.
pub fn settle(run: &mut RunResult) {
    // With its destinations: they say whose targets are on this machine.
    let whole = Diagnosis::of(run);
    let parts = std::mem::take(&mut run.destinations);
    let names: Vec<String> = parts.iter().map(|part| part.plan.target.authority.clone()).collect();
    let shared: Vec<Finding> = whole.findings.iter().filter(|f| f.id.is_of_process()).cloned().collect();
    run.verdict = verdict(&whole, &shared, &parts, &names);
    run.findings = shared.into_iter().chain(by_destination(&parts, &names)).collect();
    run.findings.order_by_key(|f| f.id);
    let found: Vec<FindingId> = run.findings.iter().map(|f| f.id).collect();
    run.findings.iter_mut().for_each(|f| f.caused_by.retain(|cause| found.contains(cause)));
    run.undecided = undecided(&whole, &parts, &names, &found);
    run.careful = careful(run, &parts, &names);
    run.validity = Validity { stopped: run.validity.stopped, ..validity(&whole, &parts, &names) };
    run.destinations = parts;
}

/// The targets of the other destinations are no other programs. A process that listens at several of them is counted once.
fn name_other_targets(parts: &mut [RunResult]) {
    let pid = |part: &RunResult| part.resources.target.as_ref().map(|t| t.pid);
    let pids: Vec<Option<u32>> = parts.iter().map(pid).collect();
    let means: Vec<Option<f64>> = parts.iter().map(|p| p.resources.target.as_ref()?.cpu_percent_mean).collect();
    let series: Vec<Vec<Option<f64>>> =
        parts.iter().map(|p| p.series.iter().map(|point| point.target_cpu_percent).collect()).collect();
    // A target elsewhere takes nothing of this machine.
    let is_here: Vec<bool> = parts.iter().map(RunResult::is_target_here).collect();
    for (at, part) in parts.iter_mut().enumerate() {
        let is_other = |other: &usize| *other != at && is_here[*other] && (pids[*other].is_none() || pids[*other] != pids[at]);
        let others: Vec<usize> = each_once(&pids).filter(is_other).collect();
        part.resources.other_targets_cpu_percent_mean = sum(others.iter().map(|other| means[*other]));
        for (second, point) in part.series.iter_mut().enumerate() {
            point.other_targets_cpu_percent =
                sum(others.iter().map(|other| series[*other].get(second).copied().unwrap_or(Some(0.0))));
        }
    }
}

/// The places of destinations whose process is that of none before them.
fn each_once(pids: &[Option<u32>]) -> impl Iterator<Item = usize> {
    (0..pids.len()).filter(|at| pids[*at].is_none() || !pids[..*at].contains(&pids[*at]))
}

/// None where there is nothing to add, or one is not known.
fn sum(mut known: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let first = known.next()??;
    known.try_fold(first, |sum, more| Some(sum + more?))
}

/// What the observers saw: of the program and the machine what the longest run has, of ports the fullest pool.
fn facts(run: &mut RunResult, parts: &[RunResult]) {
    let longest = parts.iter().reduce(|a, b| if b.duration_s > a.duration_s { b } else { a });
    let (Some(longest), fullest) = (longest, fullest(parts)) else { return };
    let pids: Vec<Option<u32>> = parts.iter().map(|p| p.resources.target.as_ref().map(|t| t.pid)).collect();
    let targets: Vec<&RunResult> = each_once(&pids).map(|at| &parts[at]).filter(|part| part.is_target_here()).collect();
    run.started_at.clone_from(&longest.started_at);
    run.host = longest.host.clone();
    run.kernel = longest.kernel;
    let lateness_p99_ms = run.resources.client.lateness_p99_ms;
    run.resources = Resources {
        client: longest.resources.client.clone(),
        target: None,
        other_targets_cpu_percent_mean: sum(targets.iter().map(|p| p.resources.target.as_ref()?.cpu_percent_mean)),
        host: longest.resources.host.clone(),
    };
    run.resources.client.lateness_p99_ms = lateness_p99_ms;
    for (second, point) in run.series.iter_mut().enumerate() {
        let busiest = parts.iter().filter_map(|p| p.series.get(second)).filter(|p| p.target_busiest_percent.is_some());
        let busiest = busiest.copied().reduce(|a, b| if b.target_busiest_percent > a.target_busiest_percent { b } else { a });
        let seen = longest.series.get(second).copied().unwrap_or_default();
        let ports = fullest.and_then(|p| p.series.get(second)).copied().unwrap_or_default();
        *point = SeriesPoint {
            ports_used: ports.ports_used,
            time_wait: ports.time_wait,
            time_wait_target_side: ports.time_wait_target_side,
            client_cpu_percent: seen.client_cpu_percent,
            client_busiest_percent: seen.client_busiest_percent,
            client_wait_percent: seen.client_wait_percent,
            client_rss_bytes: seen.client_rss_bytes,
            host_cpu_percent: seen.host_cpu_percent,
            host_memory_percent: seen.host_memory_percent,
            target_busiest_percent: busiest.and_then(|p| p.target_busiest_percent),
            target_wait_percent: busiest.and_then(|p| p.target_wait_percent),
            target_cpu_percent: sum(targets.iter().map(|p| p.series.get(second).map_or(Some(0.0), |p| p.target_cpu_percent))),
            ..*point
        };
    }
    let (full, measured) = full_client_seconds(&run.series);
    let client = &mut run.resources.client;
    (client.measured_seconds, client.saturated_seconds) = (measured, (measured > 0).then_some(full));
    let rows = parts.iter().flat_map(|part| match &part.ports_all[..] {
        [] => part.ports.iter().collect::<Vec<_>>(),
        several => several.iter().collect(),
    });
    run.ports_all = rows.cloned().collect();
    run.ports = fullest.and_then(|part| part.ports.clone());
    for row in fullest.iter().chain(&Some(longest)).flat_map(|part| &part.unavailable) {
        // Of the targets there is no one reason.
        if !row.key.starts_with("resources.target") && !row.key.starts_with("series[].target") {
            run.explain_null(&row.key, row.reason.clone());
        }
    }
}

/// The run with the largest part of its pool in use; the first of equal ones.
fn fullest(parts: &[RunResult]) -> Option<&RunResult> {
    let used = |part: &RunResult| part.ports.as_ref().and_then(Ports::in_use_share);
    let known = parts.iter().filter(|part| part.ports.is_some());
    known.reduce(|a, b| if used(b) > used(a) { b } else { a })
}

/// When a finding of `part` began, seconds into the run; infinite where it is of the whole run, or has no time.
fn began_s(part: &RunResult, finding: &Finding) -> f64 {
    let decides = diagnose::deciding(&part.findings).is_some_and(|f| f.id == finding.id);
    let by_verdict = part.verdict.since_s.filter(|_| decides);
    let by_evidence = || ["first_s", "since_s"].iter().find_map(|key| finding.evidence.get(*key)?.as_f64());
    by_verdict.or_else(by_evidence).unwrap_or(f64::INFINITY)
}

/// What is found of single destinations, a finding for each id, with the text of the destination where it began first.
fn by_destination(parts: &[RunResult], names: &[String]) -> Vec<Finding> {
    let found = parts.iter().enumerate().flat_map(|(at, part)| {
        let own = part.findings.iter().filter(|f| !f.id.is_of_process());
        own.map(move |finding| (finding.id, (at, finding)))
    });
    let mut by_id = grouped(found);
    by_id.order_by_key(|(id, _)| *id);
    let named = by_id.into_iter().filter_map(|(_, mut alike)| {
        alike.order_by(|(a, x), (b, y)| began_s(&parts[*a], x).total_cmp(&began_s(&parts[*b], y)));
        let destinations: Vec<String> = alike.iter().map(|(at, _)| names[*at].clone()).collect();
        let (_, finding) = alike.first()?;
        let title = format!("{}: {}{}", destinations[0], finding.title, also(&destinations[1..], names.len()));
        Some(Finding { title, destinations, ..(*finding).clone() })
    });
    named.collect()
}

/// The numbers of a text are those of the first: the others are named after them.
fn also(others: &[String], all: usize) -> String {
    if others.is_empty() { String::new() } else { format!("; also {}", who(others, all, NOUN)) }
}

/// A verdict and the finding that decides it.
struct Candidate {
    by: FindingId,
    /// the place of the destination; none of the program as a whole
    at: Option<usize>,
    /// when it began, seconds; infinite where that is not known
    began_s: f64,
    verdict: Verdict,
}

/// The first in the order of findings, of the program as a whole or of a destination; of destinations with the same, the one
/// where it began first.
fn verdict(whole: &Diagnosis, shared: &[Finding], parts: &[RunResult], names: &[String]) -> Verdict {
    let of_all = diagnose::decision(shared).map(|(id, finding)| {
        let same = diagnose::deciding(&whole.findings).is_some_and(|f| f.id == finding.id);
        let verdict = if same { whole.verdict.clone() } else { Verdict::new(id, finding.title.clone()) };
        Candidate { by: finding.id, at: None, began_s: 0.0, verdict }
    });
    let of_parts = parts.iter().enumerate().filter_map(|(at, part)| {
        let root = diagnose::deciding(&part.findings)?;
        let candidate = |finding: &Finding, verdict: Verdict| Candidate {
            by: finding.id,
            at: Some(at),
            began_s: began_s(part, finding),
            verdict,
        };
        if !root.id.is_of_process() {
            return Some(candidate(root, part.verdict.clone()));
        }
        // What follows from the program or the machine is said once, over all; unless it is not found over all.
        if shared.iter().any(|f| f.id == root.id && diagnose::decides(f)) {
            return None;
        }
        let own: Vec<Finding> = part.findings.iter().filter(|f| !f.id.is_of_process()).cloned().collect();
        let (id, finding) = diagnose::decision(&own)?;
        Some(candidate(finding, Verdict::new(id, finding.title.clone())))
    });
    let mut all: Vec<Candidate> = of_all.into_iter().chain(of_parts).collect();
    all.order_by(|a, b| a.began_s.total_cmp(&b.began_s));
    // Other programs explain what nothing else does.
    all.order_by_key(|c| (c.by == FindingId::HostContended, c.by));
    let Some(first) = all.first() else { return without_finding(whole, parts, names) };
    if first.at.is_none() {
        return first.verdict.clone();
    }
    let first = with_most_failures(first, &all, parts);
    let with: Vec<String> = all.iter().filter(|c| c.by == first.by).filter_map(|c| Some(names[c.at?].clone())).collect();
    named(&first.verdict, &with[0]).with_end(&also(&with[1..], names.len()))
}

/// Of targets that fail in several ways the way in which most requests failed, whichever finding comes first: at the
/// destination where that began first.
fn with_most_failures<'a>(first: &'a Candidate, all: &'a [Candidate], parts: &[RunResult]) -> &'a Candidate {
    if first.verdict.id != VerdictId::TargetFailing {
        return first;
    }
    let alike = || all.iter().filter(|c| c.verdict.id == first.verdict.id);
    let failed = |by: FindingId| -> u64 {
        alike().filter(|c| c.by == by).filter_map(|c| Some(parts[c.at?].totals.failures)).fold(0, u64::saturating_add)
    };
    // The first of equal ones.
    alike().reduce(|most, c| if failed(c.by) > failed(most.by) { c } else { most }).unwrap_or(first)
}

/// Where nothing was found: a destination that could not be judged, or all is well.
fn without_finding(whole: &Diagnosis, parts: &[RunResult], names: &[String]) -> Verdict {
    let rank = |id: VerdictId| match id {
        VerdictId::ClientBound => 0,
        VerdictId::Undecided => 1,
        _ => 2,
    };
    match parts.iter().zip(names).min_by_key(|(part, _)| rank(part.verdict.id)) {
        Some((part, name)) if part.verdict.id != VerdictId::Healthy => named(&part.verdict, name),
        _ if whole.verdict.id == VerdictId::Healthy => whole.verdict.clone(),
        _ => Verdict::new(VerdictId::Healthy, "OK: no limit was reached at any destination"),
    }
}

fn named(verdict: &Verdict, who: &str) -> Verdict {
    let of = |text: &String| format!("{who}: {text}");
    Verdict {
        sentence: of(&verdict.sentence),
        short: verdict.short.as_ref().map(of),
        who: Some(who.to_owned()),
        ..verdict.clone()
    }
}

/// What could not be decided, of the whole or under the names of destinations.
fn undecided(whole: &Diagnosis, parts: &[RunResult], names: &[String], found: &[FindingId]) -> Vec<Undecided> {
    let said = parts.iter().zip(names).flat_map(|(part, name)| {
        let own = part.undecided.iter().filter(|u| !u.id.is_of_process());
        own.map(|u| (u.id, (name.clone(), u.missing.clone())))
    });
    let named =
        grouped(said).into_iter().map(|(id, said)| Undecided { id, missing: by_text(said, names.len(), NOUN).join("; ") });
    let shared = whole.undecided.iter().filter(|u| u.id.is_of_process() && !found.contains(&u.id)).cloned();
    let mut all: Vec<Undecided> = shared.chain(named).collect();
    all.order_by_key(|u| u.id);
    all
}

/// Answers of a destination that are too few, where all together are not; pools that were not looked at, where others were.
fn careful(run: &RunResult, parts: &[RunResult], names: &[String]) -> Vec<String> {
    let each = || parts.iter().zip(names);
    let is_judged = diagnose::few_answers(run).is_none();
    // Of one where all failed, the verdict says so.
    let few = each().filter(|(part, _)| is_judged && part.verdict.id == VerdictId::Healthy);
    let few = few.filter_map(|(part, name)| Some((name.clone(), diagnose::few_answers(part)?)));
    let is_seen = parts.iter().any(|part| part.ports.is_some());
    let unseen = each().filter(|_| is_seen).filter_map(|(part, name)| {
        let row = part.unavailable.iter().find(|row| row.key == "ports")?;
        Some((name.clone(), format!("ports not measured: {}", row.reason)))
    });
    by_text(few.chain(unseen), names.len(), NOUN)
}

/// The worst stamp, and the reasons of the destinations that are not valid under their names.
fn validity(whole: &Diagnosis, parts: &[RunResult], names: &[String]) -> Validity {
    let is_shared = |kind: Option<Doubt>| matches!(kind, Some(Doubt::Finding(id)) if id.is_of_process());
    let of_all = whole.validity.doubts().filter(|(kind, _)| is_shared(*kind));
    let mut reasons: Vec<(Doubt, String)> =
        of_all.map(|(kind, text)| (kind.unwrap_or(Doubt::Unrecorded), text.to_owned())).collect();
    let mut stamp = if reasons.is_empty() { RunStamp::Valid } else { RunStamp::ClientBound };
    for (part, name) in parts.iter().zip(names) {
        let own: Vec<_> = part.validity.doubts().filter(|(kind, _)| !is_shared(*kind)).collect();
        if !own.is_empty() {
            stamp = stamp.min(part.validity.stamp);
        }
        reasons.extend(own.into_iter().map(|(kind, text)| (kind.unwrap_or(Doubt::Unrecorded), format!("{name}: {text}"))));
    }
    Validity::new(stamp, reasons)
}
