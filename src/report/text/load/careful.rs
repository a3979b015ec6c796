//! What makes the figures doubtful: other programs, answers that are missing, statuses, what could not be read or
//! decided, and further findings.

use super::{is_clean, subject};
use crate::diagnose::is_try;
use crate::diagnose::table::rule_of;
use crate::diagnose::thresholds::{CUT_SHARE, OTHERS_NAMED_PERCENT};
use crate::model::figures::{counted, percent, share, were};
use crate::model::finding::{Finding, FindingId, Severity};
use crate::model::order::grouped;
use crate::model::result::{Doubt, RunResult, RunStamp, VerdictId};
use crate::report::text::Page;
use crate::report::text::page::{Block, Detail};

/// Statuses that are named.
const STATUSES: usize = 4;
/// Undecided findings that are named.
const UNDECIDED: usize = 3;

pub(super) fn blocks(run: &RunResult, page: &Page) -> Vec<Block> {
    let mut ranked: Vec<(u8, String)> = Vec::new();
    ranked.extend(follows(run).map(|text| (2, text)));
    ranked.extend(further(run).into_iter().map(|text| (2, text)));
    ranked.extend(slow_bodies(run).map(|text| (2, text)));
    ranked.extend(statuses(run).map(|text| (2, text)));
    ranked.extend(cut(run).map(|text| (2, text)));
    ranked.extend(validity(run).map(|text| (3, text)));
    ranked.extend(run.careful.iter().map(|text| (4, text.clone())));
    // Of one request nobody asks for CPU, or for what only many show; where every connection was refused, that is the answer.
    if !is_try(run) {
        ranked.extend(others(run).map(|text| (4, text)));
        ranked.extend(unread(run).map(|text| (5, text)));
        let is_never = run.verdict.id == VerdictId::TargetGone && run.totals.latency_ms.is_none();
        ranked.extend(undecided(run, page).filter(|_| !is_never).map(|text| (7, text)));
    }
    page.each("careful", ranked)
}

/// Where the time of answers goes, if it is their body's.
fn slow_bodies(run: &RunResult) -> Option<String> {
    run.findings.iter().find(|f| f.id == FindingId::SlowBodies).map(|f| f.title.clone())
}

/// Other findings that are more than remarks, one line each. Of a run with failures, what follows from them is left to
/// `-v`, but for their return.
fn further(run: &RunResult) -> Vec<String> {
    others_of(run).filter(|f| !follows_from(run, f)).map(in_a_line).collect()
}

fn others_of(run: &RunResult) -> impl Iterator<Item = &Finding> {
    let subject = subject(run).map(|f| f.id);
    run.findings.iter().filter(move |f| {
        f.severity != Severity::Info
            && Some(f.id) != subject
            && f.id != FindingId::FailuresWillReturn
            && !is_same(run, f.id)
            && !is_headline(run, f)
    })
}

/// A kind of failures that follows from the subject, at the same destinations: the headline in other words.
fn is_headline(run: &RunResult, f: &Finding) -> bool {
    let same = subject(run).is_some_and(|subject| subject.destinations == f.destinations);
    same && follows_from(run, f) && is_kind_of_failure(f.id)
}

fn is_kind_of_failure(id: FindingId) -> bool {
    matches!(
        id,
        FindingId::TargetRefused
            | FindingId::TargetResets
            | FindingId::TargetTimeouts
            | FindingId::TargetMalformed
            | FindingId::TargetErrors
            | FindingId::ClientLimit
    )
}

fn follows_from(run: &RunResult, f: &Finding) -> bool {
    subject(run).is_some_and(|subject| f.caused_by.contains(&subject.id))
}

/// What follows from the finding that the page is about is one sentence of it.
fn follows(run: &RunResult) -> Option<String> {
    let titles: Vec<&str> = others_of(run).filter(|f| follows_from(run, f)).map(|f| f.title.as_str()).collect();
    (!titles.is_empty()).then(|| format!("because of this, {}", titles.join("; ")))
}

/// Its title, and what it spoils where it says so.
fn in_a_line(f: &Finding) -> String {
    f.spoiled().map_or_else(|| f.title.clone(), |what| format!("{}; that spoils {}", f.title, what.words()))
}

/// What the lines above have said: kinds of failures (of several destinations those of one), requests that never started, users without a connection where
/// there was none.
fn is_same(run: &RunResult, id: FindingId) -> bool {
    match id {
        kind if is_kind_of_failure(kind) => run.destinations.is_empty(),
        FindingId::UsersNotReached => {
            run.totals.never_started > 0 || matches!(run.verdict.id, VerdictId::TargetGone | VerdictId::PortBound)
        }
        _ => false,
    }
}

/// Redirects, and whatever is neither 200 nor a failure.
fn statuses(run: &RunResult) -> Option<String> {
    let mut by_status = std::collections::BTreeMap::<&str, u64>::new();
    for (status, n) in run.endpoints.iter().flat_map(|e| &e.status) {
        *by_status.entry(status.as_str()).or_default() += n;
    }
    let unusual: Vec<(&str, u64)> = by_status.into_iter().filter(|(s, _)| *s != "200" && !s.starts_with(['4', '5'])).collect();
    if unusual.is_empty() {
        return None;
    }
    let mut shown: Vec<String> = unusual.iter().take(STATUSES).map(|(s, n)| format!("{s}: {}", counted(*n, "time"))).collect();
    if unusual.len() > STATUSES {
        shown.push(format!("{} more", unusual.len() - STATUSES));
    }
    let redirects = unusual.iter().any(|(s, _)| s.starts_with('3'));
    let note = if redirects { " (redirects are answers and are not followed)" } else { "" };
    Some(format!("statuses other than 200: {}{note}", shown.join(", ")))
}

fn cut(run: &RunResult) -> Option<String> {
    let t = &run.totals;
    let part = t.cut as f64 / t.attempts.max(1) as f64;
    // The headline and its explanation are about them.
    if run.findings.iter().any(|f| matches!(f.id, FindingId::TargetHangs | FindingId::TargetConnectionLimit)) {
        return None;
    }
    // Requests that have waited no longer than answered ones did are ordinary ones.
    (run.cut_late() > 0 && part >= CUT_SHARE).then(|| {
        format!(
            "{} ({}) {} in flight at the end: the slowest answers are in no latency figure",
            counted(t.cut, "request"),
            share(part),
            were(t.cut)
        )
    })
}

/// The reasons against the stamp that no finding and no headline says.
fn validity(run: &RunResult) -> Option<String> {
    // The headline says the others.
    let is_new = |kind: Option<Doubt>| match kind {
        Some(Doubt::Finding(id)) => !run.findings.iter().any(|f| f.id == id),
        // What a merged run lacks is its verdict, or the end of it.
        Some(Doubt::EndedEarly | Doubt::Stopped | Doubt::Unanswered | Doubt::OnlyErrors | Doubt::Machines) => false,
        Some(Doubt::OwnFailures | Doubt::NotStarted | Doubt::FewerUsers | Doubt::NotClosedByTarget | Doubt::Unrecorded)
        | None => true,
    };
    let stamp = run.validity.stamp;
    if matches!(stamp, RunStamp::Valid | RunStamp::PortBound) || run.verdict.id == VerdictId::TargetGone {
        return None;
    }
    let reasons: Vec<&str> = run.validity.doubts().filter(|(kind, _)| is_new(*kind)).map(|(_, text)| text).collect();
    (!reasons.is_empty()).then(|| format!("{}: {}", stamp.word(), reasons.join("; ")))
}

fn others(run: &RunResult) -> Option<String> {
    let is_said = run.findings.iter().any(|f| f.id == FindingId::HostContended);
    let others = run.others_cpu_percent().filter(|o| *o >= OTHERS_NAMED_PERCENT && !is_said)?;
    let waits: Vec<f64> = run.series.iter().filter_map(|p| p.client_wait_percent).collect();
    let mean = waits.iter().sum::<f64>() / waits.len().max(1) as f64;
    let waited =
        if waits.is_empty() { String::new() } else { format!("; the client waited {} of the time for it", percent(mean)) };
    Some(format!("other programs took {} of this machine's CPU{waited}", percent(others)))
}

/// Whole parts that could not be read.
fn unread(run: &RunResult) -> Option<String> {
    let parts = [
        ("ports", "ports"),
        ("resources.client.cpu_percent_mean", "the client's CPU"),
        ("resources.target", "the target's CPU"),
        ("resources.target.cpu_percent_mean", "the target's CPU"),
        ("resources.host.cpu_percent_mean", "the host's CPU"),
    ];
    let missing = parts.iter().filter_map(|(key, words)| {
        let row = run.unavailable.iter().find(|u| u.key == *key)?;
        Some((row.reason.as_str(), *words))
    });
    // What each machine or destination has of its own is in their rows.
    let has_rows = !run.machines.is_empty() || !run.destinations.is_empty();
    let gone = run.verdict.id == VerdictId::TargetGone || has_rows;
    let missing = grouped(missing.filter(|_| !gone));
    let texts: Vec<String> = missing.iter().map(|(reason, all)| format!("{} not measured: {reason}", all.join(", "))).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn in_words(id: FindingId) -> &'static str {
    rule_of(id).map_or(id.word(), |rule| rule.as_cause)
}

/// Short: what; of a clean run the reason too. Of several destinations, at which.
fn undecided(run: &RunResult, page: &Page) -> Option<String> {
    let all = &run.undecided;
    let first = all.first()?;
    if is_clean(run) && all.len() == 1 {
        return Some(format!("could not tell whether {}: {}", in_words(first.id), first.missing));
    }
    let what: Vec<String> = all.iter().take(UNDECIDED).map(|u| in_words(u.id).to_owned() + &at_which(run, u.id)).collect();
    let more = if all.len() > UNDECIDED { format!(", and {} more", all.len() - UNDECIDED) } else { String::new() };
    let why = if page.detail == Detail::Brief { "-v: why" } else { "why: below" };
    Some(format!("could not tell whether {}{more} ({why})", what.join(", or ")))
}

/// ` (127.0.0.1:8081)`: the destinations where it is open; none where it is at all of them, or of the program.
fn at_which(run: &RunResult, id: FindingId) -> String {
    let open = run.destinations.iter().filter(|part| !id.is_of_process() && part.undecided.iter().any(|u| u.id == id));
    let names: Vec<&str> = open.map(|part| part.plan.target.authority.as_str()).collect();
    if names.is_empty() || names.len() == run.destinations.len() { String::new() } else { format!(" ({})", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    /// The page of several destinations says a failure once: not as what follows from itself.
    #[test]
    fn a_consequence_that_is_the_headline_is_left_out() {
        let mut run = fixture::broken().run;
        let finding = |id: FindingId, at: &str, because: &[FindingId]| Finding {
            id,
            severity: Severity::Error,
            title: format!("{at}: {}", id.word()),
            destinations: vec![at.to_owned()],
            caused_by: because.to_vec(),
            ..run.findings[0].clone()
        };
        let hangs = finding(FindingId::TargetHangs, "a:80", &[]);
        let here = finding(FindingId::TargetTimeouts, "a:80", &[FindingId::TargetHangs]);
        let there = finding(FindingId::TargetTimeouts, "b:80", &[FindingId::TargetHangs]);
        run.destinations = vec![run.clone()];
        run.findings = vec![hangs.clone(), here];
        assert_eq!(follows(&run), None);
        run.findings = vec![hangs, there];
        assert_eq!(follows(&run).as_deref(), Some("because of this, b:80: target-timeouts"));
    }
}
