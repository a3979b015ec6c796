//! Findings, verdict and reasons of a report, from its facts.

use super::cases::{ended, is_of_server, may_be, name};
use super::rules_target::Bad;
use super::{refused, rules, rules_target, waited};
use crate::diagnose::rule::{NoFinding, Ruling};
use crate::diagnose::{decision, joined_by_id};
use crate::model::explanation::Limit;
use crate::model::facts::KernelCounters;
use crate::model::figures::{count, counted, seconds, share as share_of};
use crate::model::finding::{Finding, FindingId as Id, Severity, Undecided};
use crate::model::result::{Verdict, VerdictId};
use crate::model::watch::{OF_A_CLIENT_ALONE, WatchReport};

type Check = fn(&WatchReport) -> Ruling;

const RULES: &[(Id, Check)] = &[
    (Id::LocalPortsExhausted, rules::ports_exhausted),
    (Id::LocalPortBusy, rules::port_busy),
    (Id::LocalFdLimit, rules::descriptors),
    (Id::TargetGone, rules_target::gone),
    (Id::TargetRefused, rules_target::refused),
    (Id::TargetBacklogOverflow, rules_target::backlog),
    (Id::TargetResets, rules_target::resets),
    (Id::TargetTimeouts, rules_target::timeouts),
    (Id::TargetErrors, rules_target::bad_answers),
    (Id::HostContended, rules::contended),
    (Id::TargetForbidsKeepalive, rules::not_kept),
    (Id::PortBudgetHigh, rules::budget_high),
    (Id::GeneratorSaturated, rules::saturated),
    (Id::SysctlChanged, rules::settings),
    (Id::TargetCpuSaturated, rules::server_full),
];

/// What is missing for these.
const ONLY_THE_COMMAND: &str = "answers and their times, which only the command itself has (sockbench load measures them)";

/// All that a watched command can be found to have.
pub fn findings() -> impl Iterator<Item = Id> {
    RULES.iter().map(|(id, _)| *id)
}

/// Judges a report by its facts; what an earlier judgement left in it is not read.
pub fn settle(report: &mut WatchReport) {
    refused::told_apart(report);
    waited::told_apart(report);
    let (mut found, mut undecided) = (Vec::new(), Vec::new());
    for (id, check) in RULES {
        match check(report) {
            Ok(f) => found.push((*id, f)),
            Err(NoFinding::Undecided(missing)) => undecided.push(Undecided { id: *id, missing }),
            Err(NoFinding::Clear) => {}
        }
    }
    undecided.extend(OF_A_CLIENT_ALONE.iter().map(|id| Undecided { id: *id, missing: ONLY_THE_COMMAND.into() }));
    report.findings = joined_by_id(found);
    if rules_target::bad_share(report) != Bad::Most {
        for f in report.findings.iter_mut().filter(|f| f.id == Id::TargetErrors) {
            f.severity = Severity::Warning;
        }
    }
    report.undecided = undecided;
    report.verdict = verdict(report);
    explain_nulls(report);
}

fn verdict(report: &WatchReport) -> Verdict {
    // Bad answers that are few, or may be, are no limit, and what fails beside them comes first.
    let is_minor = |f: &&Finding| f.id == Id::TargetErrors && f.severity == Severity::Warning;
    let deciding: Vec<Finding> = report.findings.iter().filter(|f| !is_minor(f)).cloned().collect();
    if let Some((id, finding)) = decision(&deciding) {
        return Verdict { since_s: since(report, finding.id), ..Verdict::new(id, headline(report, id, finding)) };
    }
    let (id, sentence) = without_finding(report);
    Verdict::new(id, sentence)
}

fn since(report: &WatchReport, id: Id) -> Option<f64> {
    let full = report.destinations.iter().find_map(|d| d.full_s);
    full.filter(|_| id == Id::LocalPortsExhausted).map(|f| f[0])
}

fn headline(report: &WatchReport, id: VerdictId, f: &Finding) -> String {
    match id {
        VerdictId::PortBound if f.id == Id::LocalPortsExhausted => {
            let at = since(report, f.id).map_or_else(String::new, |s| format!(" at {}", seconds(s)));
            format!("source ports ran out on this machine{at}")
        }
        VerdictId::PortBound => format!("source ports were in use on this machine: {}", f.title),
        VerdictId::FdBound => format!("file descriptors ran out on this machine: {}", f.title),
        VerdictId::ClientBound => format!("the client was the limit: {}", f.title),
        VerdictId::TargetBound => format!("target saturated: {}", f.title),
        VerdictId::TargetFailing => format!("target failing: {}", f.title),
        VerdictId::TargetGone if f.id == Id::TargetRefused => f.title.clone(),
        VerdictId::TargetGone => format!("the target is gone: {}", f.title),
        VerdictId::HostBound | VerdictId::Healthy | VerdictId::Undecided => f.title.clone(),
    }
}

/// No limit was reached, as far as watching shows.
fn without_finding(report: &WatchReport) -> (VerdictId, String) {
    let w = &report.watched;
    let how = match (w.exit_code, w.signal) {
        (Some(0) | None, None) => None,
        _ if w.stopped => None,
        (Some(code), _) => Some(format!("ended with exit code {code}")),
        (None, Some(signal)) => Some(format!("was ended by signal {signal}")),
    };
    if report.unavailable.iter().any(|u| u.key == "destinations") {
        return (VerdictId::Undecided, "undecided: the sockets of this machine could not be read".into());
    }
    let lines = |of_server: bool| {
        let those = report.output.readings.iter().filter(|r| is_of_server(r) == of_server);
        those.map(|r| r.count).fold(0, u64::saturating_add)
    };
    let (failed, of_server) = (lines(false), lines(true));
    let connections: u64 = report.destinations.iter().map(|d| ended(d) + u64::from(d.open_max)).sum();
    if failed > 0 {
        let hidden = may_be(report, Limit::Hidden);
        let why = if hidden > 0 { "and does not say why" } else { "for a reason that was not seen on this machine" };
        let sentence =
            format!("undecided: the output of {} counts {}, {why}", name(report), counted(failed, "failed connection"));
        return (VerdictId::Undecided, sentence);
    }
    if of_server > 0 {
        let lines = counted(of_server, "line");
        let sentence = format!("undecided: the output has {lines} of a server about failures of its own, and no limit was seen");
        return (VerdictId::Undecided, sentence);
    }
    if connections == 0 {
        let usage = report.output.usage.then(|| "printed its usage".to_owned());
        let did = usage.into_iter().chain(how).collect::<Vec<_>>().join(" and ");
        let ended = if did.is_empty() { did } else { format!(", and it {did}") };
        let opened = report.kernel.map_or_else(String::new, |k| format!("; {}", opened(&k)));
        return (VerdictId::Undecided, format!("undecided: no connection of the command was seen{ended}{opened}"));
    }
    let warning = report.findings.iter().find(|f| f.severity != Severity::Info);
    if let Some(how) = how {
        // What is known comes first.
        let seen = warning.map_or("no limit was reached on this machine", |w| w.title.as_str());
        return (VerdictId::Undecided, format!("undecided: the command {how}; {seen}"));
    }
    if let Some(bad) = warning.filter(|w| w.id == Id::TargetErrors && rules_target::bad_share(report) == Bad::Unknown) {
        return (VerdictId::Undecided, format!("undecided: {}, which does not count the good ones", bad.title));
    }
    let most = report.destinations.iter().filter_map(|d| Some((d.peak_share?, d))).max_by(|a, b| a.0.total_cmp(&b.0));
    let ports = most.map_or_else(String::new, |(share, d)| {
        let before = if d.used_before > 0 { format!(", {} before it started", count(d.used_before)) } else { String::new() };
        format!(
            " (at most {} of {} source ports in use, {}{before})",
            count(d.peak_used),
            count(d.pool.unwrap_or(0)),
            share_of(share)
        )
    });
    // What it measured may be spoiled, and was seen for too short to say so.
    let spoiled = report.undecided.iter().find(|u| u.id == Id::HostContended && report.processes.waiting_looks > 0);
    let sentence = match warning {
        Some(w) => format!("OK, but {}", w.title),
        None if let Some(u) = spoiled => format!("OK, but {}", u.missing),
        None => format!("OK: no limit was reached, as far as can be seen from outside{ports}"),
    };
    (VerdictId::Healthy, sentence)
}

/// What the kernel counted, whoever connected.
fn opened(kernel: &KernelCounters) -> String {
    let failed = match kernel.attempt_fails.min(kernel.active_opens) {
        0 => String::new(),
        n => format!(", {} of them failed", count(n)),
    };
    match kernel.active_opens {
        0 => "the kernel counted none in this network namespace either".into(),
        n => format!("the kernel counted {} in this network namespace meanwhile{failed}", counted(n, "connection")),
    }
}

fn explain_nulls(report: &mut WatchReport) {
    const SHORT: &str = "the command ended before it could be measured over an interval";
    for key in report.unexplained_nulls() {
        let why = match key.as_str() {
            "watched.program" => "no load generator that is known",
            "watched.exit_code" => "a signal ended it, it still ran, or its end was not seen",
            "watched.signal" => "no signal ended it",
            "kernel" => "/proc/net/netstat and snmp could not be read",
            "destinations[].full_s" => "the pool was not full at any look",
            "destinations[].server" => "nothing that listens there was seen on this host",
            "destinations[].ceiling_cps" => "P or T is unknown, or TIME_WAIT cannot use up the ports",
            "destinations[].pool" | "destinations[].peak_share" => "the port range could not be read",
            "destinations[].hold_s" => "net.ipv4.tcp_tw_reuse or tcp_timestamps could not be read",
            "destinations[].server.descriptors_max" => "its process belongs to another user, or was not seen",
            "destinations[].server.descriptor_limit" | "processes.descriptor_limit" => "no limit, or it could not be read",
            "findings[].remedies[].proven" => "no rehearsal of this remedy on this host",
            key if key.starts_with("host.") => "could not be read",
            _ => SHORT,
        };
        report.explain_null(&key, why);
    }
}
