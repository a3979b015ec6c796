//! The verdict of a run: one table from findings to a verdict and its stamp, and one headline per verdict.
//!
//! The first finding, in the order of reports, that has a row decides the verdict. The stamp follows from the same
//! rows, in [`super::validity`]; nothing else decides either.

use std::collections::HashMap;

use super::caveat::{caveat, is_try};
use super::indicators::{
    CpuLimit, Full, Holding, Indicators, Kind, Queue, Reason, Refusing, Rows, Saturated, Still, message_of, search_limit,
};
use super::rules::users::users_started;
use super::rules::{backlog, received, refusal};
use super::thresholds::SHORT_RUN_S;
use crate::model::figures::{count, counted, number, percent, rate, seconds, share};
use crate::model::finding::{Finding, FindingId as Id, Severity, Spoils};
use crate::model::result::{Holder, RunResult, RunStamp, Verdict, VerdictId};

/// Finding, the verdict that it decides, and what it makes of the stamp. Findings without a row decide neither.
pub(super) const TABLE: &[(Id, VerdictId, RunStamp)] = &[
    (Id::LocalPortsExhausted, VerdictId::PortBound, RunStamp::PortBound),
    (Id::LocalPortBusy, VerdictId::PortBound, RunStamp::PortBound),
    (Id::LocalFdLimit, VerdictId::FdBound, RunStamp::ClientBound),
    (Id::TargetGone, VerdictId::TargetGone, RunStamp::Incomplete),
    (Id::TargetRefused, VerdictId::TargetGone, RunStamp::Valid),
    (Id::TargetConnectionLimit, VerdictId::TargetFailing, RunStamp::Incomplete),
    (Id::TargetBacklogOverflow, VerdictId::TargetFailing, RunStamp::Valid),
    (Id::SlowConnects, VerdictId::TargetFailing, RunStamp::Valid),
    (Id::TargetResets, VerdictId::TargetFailing, RunStamp::Valid),
    (Id::TargetTimeouts, VerdictId::TargetFailing, RunStamp::Valid),
    (Id::TargetHangs, VerdictId::TargetFailing, RunStamp::Incomplete),
    (Id::TargetMalformed, VerdictId::TargetFailing, RunStamp::Valid),
    (Id::TargetErrors, VerdictId::TargetFailing, RunStamp::Valid),
    (Id::ClientLimit, VerdictId::ClientBound, RunStamp::ClientBound),
    (Id::ClientStalled, VerdictId::ClientBound, RunStamp::ClientBound),
    (Id::HostContended, VerdictId::HostBound, RunStamp::ClientBound),
    (Id::GeneratorSaturated, VerdictId::ClientBound, RunStamp::ClientBound),
    (Id::TargetStalled, VerdictId::TargetFailing, RunStamp::Valid),
    (Id::TargetQueueing, VerdictId::TargetBound, RunStamp::Valid),
    (Id::TargetCpuSaturated, VerdictId::TargetBound, RunStamp::Valid),
];

/// The verdict of a run with these findings; of one that somebody stopped it says so.
pub(super) fn of(run: &RunResult, seen: &Indicators, findings: &[Finding]) -> Verdict {
    let verdict = as_far_as_it_went(run, seen, findings);
    let Some(stopped) = stopped(run) else { return verdict };
    match verdict.id {
        VerdictId::Healthy => Verdict::new(verdict.id, format!("{stopped}: {}", until_the_stop(run, findings))),
        VerdictId::Undecided => Verdict::new(verdict.id, format!("{stopped}: {}", verdict.sentence)),
        _ => verdict.with_end(&format!("; {stopped}")),
    }
}

/// `stopped after 2.3 s of 6 s`, `stopped after 300 of 1,000 requests`; none where nobody stopped it.
pub fn stopped(run: &RunResult) -> Option<String> {
    let plan = &run.plan;
    run.was_stopped().then(|| match plan.duration.as_secs_f64() {
        asked_s if asked_s > 0.0 => format!("stopped after {} of {}", seconds(run.duration_s), seconds(asked_s)),
        _ => format!("stopped after {} of {}", count(run.totals.attempts), counted(plan.requests, "request")),
    })
}

fn as_far_as_it_went(run: &RunResult, seen: &Indicators, findings: &[Finding]) -> Verdict {
    if let Some((id, finding)) = decision(findings) {
        let id = if is_back(seen, finding) { VerdictId::TargetFailing } else { id };
        let id = if is_of_nobody(seen, finding) { VerdictId::Undecided } else { id };
        if id == VerdictId::TargetBound {
            let (short, why) = saturated(run, seen);
            let whole = format!("{short}{why}");
            // Of a queue, its lines have these figures.
            return Verdict { short: (finding.id == Id::TargetQueueing).then_some(short), ..Verdict::new(id, whole) };
        }
        let (sentence, since_s) = headline(id, run, seen, finding);
        return Verdict { since_s, ..Verdict::new(id, sentence) };
    }
    if let Some(refusal) = refusal::of(run, seen) {
        let sentence = format!("the client could not connect: {}", refusal.what);
        return Verdict::new(VerdictId::ClientBound, sentence);
    }
    let answered = run.totals.latency_ms.is_some();
    let (id, sentence) =
        if answered { (VerdictId::Healthy, healthy(run, findings)) } else { (VerdictId::Undecided, undecided(run)) };
    Verdict::new(id, sentence)
}

/// The finding that decides the verdict; none where the run is healthy or undecided.
pub fn deciding(findings: &[Finding]) -> Option<&Finding> {
    decision(findings).map(|(_, finding)| finding)
}

/// The first finding that decides, or the one that it follows from: where that decides the same, where this side is the
/// reason, or where requests that were late waited in a full target. The cause may have a cause of its own.
///
/// This is the one place that says what leads: a load run, the steps of a study and a merged run ask it.
pub(crate) fn decision(findings: &[Finding]) -> Option<(VerdictId, &Finding)> {
    let decide = || findings.iter().filter(|f| decides(f)).filter_map(|f| Some((decided_by(f.id)?, f)));
    // Other programs explain what nothing else does.
    let (id, first) = decide().find(|(_, f)| f.id != Id::HostContended).or_else(|| decide().next())?;
    Some(root_of(findings, (id, first)))
}

/// What a finding follows from, as far as its causes decide; itself where none does.
fn root_of<'a>(findings: &'a [Finding], decided: (VerdictId, &'a Finding)) -> (VerdictId, &'a Finding) {
    Roots { findings, known: HashMap::new() }.of(decided)
}

/// Looks for roots. Each finding is looked at once: in a stored run, which anybody may have edited, findings may cause each
/// other.
struct Roots<'a> {
    findings: &'a [Finding],
    /// none while its causes are being looked at
    known: HashMap<Id, Option<(VerdictId, &'a Finding)>>,
}

impl<'a> Roots<'a> {
    fn of(&mut self, (id, finding): (VerdictId, &'a Finding)) -> (VerdictId, &'a Finding) {
        self.known.insert(finding.id, None);
        let root = finding.caused_by.iter().find_map(|cause| self.through(*cause, id, finding)).unwrap_or((id, finding));
        self.known.insert(finding.id, Some(root));
        root
    }

    /// The root of `finding` through one of its causes, where that is one.
    fn through(&mut self, cause: Id, id: VerdictId, finding: &Finding) -> Option<(VerdictId, &'a Finding)> {
        let (decides, root) = if let Some(known) = self.known.get(&cause) {
            (*known)?
        } else {
            let found = self.findings.iter().find(|f| f.id == cause && decides(f))?;
            self.of((decided_by(found.id)?, found))
        };
        let this_side = matches!(decides, VerdictId::ClientBound | VerdictId::HostBound);
        let full = finding.id == Id::TargetTimeouts && decides == VerdictId::TargetBound;
        (root.caused_by.is_empty() && (decides == id || this_side || full)).then_some((decides, root))
    }
}

/// What is to mind of a run without a verdict of its own: the first warning. Before what the answers show comes that they are
/// not of the load that was asked for.
pub fn remark(findings: &[Finding]) -> Option<&Finding> {
    let warnings = || findings.iter().filter(|f| f.severity != Severity::Info && decides(f));
    let fell_short = warnings().find(|f| f.id == Id::UsersNotReached);
    let because = fell_short.and_then(|short| warnings().find(|f| short.caused_by.contains(&f.id)));
    because.or(fell_short).or_else(|| warnings().next())
}

/// A finding that can be the headline. Waiting for a core that spoils the slowest latencies at most cannot, and asks for
/// care only.
pub fn decides(finding: &Finding) -> bool {
    finding.spoiled().is_none_or(Spoils::is_all)
}

/// A target that refused some connections, and answered others after them, is not gone.
fn is_back(seen: &Indicators, finding: &Finding) -> bool {
    finding.id == Id::TargetRefused && !matches!(seen.refusing, None | Some(Refusing::Always))
}

/// A stall that may as well be of other programs.
fn is_of_nobody(seen: &Indicators, finding: &Finding) -> bool {
    finding.id == Id::TargetStalled && seen.target_stall.as_ref().ok().is_some_and(|stall| stall.still == Still::HostFull)
}

fn decided_by(finding: Id) -> Option<VerdictId> {
    TABLE.iter().find(|(id, ..)| *id == finding).map(|(_, verdict, _)| *verdict)
}

fn headline(id: VerdictId, run: &RunResult, seen: &Indicators, finding: &Finding) -> (String, Option<f64>) {
    match id {
        VerdictId::PortBound => ports(run, seen),
        VerdictId::FdBound => descriptors(run),
        VerdictId::ClientBound => client(run, seen, finding),
        VerdictId::TargetGone => gone(run, seen),
        VerdictId::TargetFailing if finding.id == Id::TargetRefused => refused(run, seen),
        VerdictId::TargetFailing if matches!(finding.id, Id::TargetBacklogOverflow | Id::SlowConnects) => {
            (backlog::headline(run, seen), None)
        }
        VerdictId::TargetFailing
            if seen.hang.as_ref().is_ok_and(|hang| finding.id == Id::TargetHangs && hang.never_accepted.is_some()) =>
        {
            (format!("target not accepting: {}", finding.title), failing_since(run, seen, finding))
        }
        VerdictId::TargetFailing => (format!("target failing: {}", finding.title), failing_since(run, seen, finding)),
        VerdictId::HostBound => (host(seen, finding), None),
        VerdictId::Undecided => (format!("undecided: {}", finding.title), failing_since(run, seen, finding)),
        VerdictId::TargetBound | VerdictId::Healthy => (finding.title.clone(), None),
    }
}

fn ports(run: &RunResult, seen: &Indicators) -> (String, Option<f64>) {
    if seen.ports.exhausted == 0 {
        let rows = Rows::kind(run, Kind::PortBusy);
        let sentence = format!(
            "source ports were in use on this machine: {} of {} found theirs taken",
            count(rows.count()),
            counted(run.totals.attempts, "connection")
        );
        return (sentence, Some(rows.first_s()));
    }
    let since = Rows::kind(run, Kind::NoPort).first_s();
    let failing_too = run.totals.failures > 0 || run.totals.latency_ms.is_none();
    let rest = match seen.ports.holding {
        Some(Holding::By(Holder::FinWait2)) => ": the target does not close its side of the connections",
        _ if failing_too => "",
        _ => "; the target is fine",
    };
    (format!("source ports ran out on this machine at {}{rest}", seconds(since)), Some(since))
}

fn descriptors(run: &RunResult) -> (String, Option<f64>) {
    let rows = Rows::kind(run, Kind::NoDescriptor);
    let limit = run.host.nofile.map_or_else(|| "its limit".to_owned(), |n| format!("the limit of {}", count(n)));
    let sentence = format!("file descriptors ran out on this machine at {}, at {limit}", seconds(rows.first_s()));
    (sentence, Some(rows.first_s()))
}

fn client(run: &RunResult, seen: &Indicators, finding: &Finding) -> (String, Option<f64>) {
    if finding.id == Id::ClientLimit {
        return over_limit(run, finding);
    }
    if let (Id::ClientStalled, Some(stalls)) = (finding.id, seen.client_stalls.as_ref().ok()) {
        let (from, to) = (seconds(stalls.longest.from_s), seconds(stalls.longest.to_s));
        return (
            format!("the client itself stalled from {from} to {to}: latencies of that time are not the target's"),
            Some(stalls.first_s),
        );
    }
    let sentence = match seen.saturated.as_ref().ok() {
        Some(Saturated { for_long: true, .. }) if search_limit(run).is_some() => format!(
            "the client was the limit: at {} req/s the kernel searches longer for a free source port",
            rate(seen.steady_rps)
        ),
        Some(Saturated { for_long: true, kept_rate: true, .. }) => {
            format!(
                "the client kept {} req/s with hardly any time left: its own waiting is in the latencies",
                rate(seen.steady_rps)
            )
        }
        Some(Saturated { for_long: true, .. }) => {
            format!("the client was the limit: {} req/s are its own maximum, not the target's", rate(seen.steady_rps))
        }
        Some(Saturated { late_ms: Some(late), .. }) => {
            format!("the client was the limit: it sent requests up to {} ms late (p99)", number(*late))
        }
        _ => finding.title.clone(),
    };
    (sentence, None)
}

/// Answers that this program did not take.
fn over_limit(run: &RunResult, finding: &Finding) -> (String, Option<f64>) {
    let rows = Rows::kind(run, Kind::OwnLimit);
    let hit = rows.largest().and_then(|row| Some((row, received::limit_of(row)?)));
    let Some((row, limit)) = hit else { return (finding.title.clone(), None) };
    let sentence = format!(
        "the client did not take {} of {}: {} of {} ({} raises it)",
        count(rows.count()),
        counted(run.totals.requests, "answer"),
        message_of(row),
        count(run.plan.limits.value(limit)),
        limit.flag()
    );
    (sentence, Some(rows.first_s()))
}

fn host(seen: &Indicators, finding: &Finding) -> String {
    let Some(c) = seen.contention.as_ref().ok() else { return format!("other programs took the cores: {}", finding.title) };
    let who = c.who;
    match c.reason {
        Reason::Others(_) => {
            format!("other programs took the cores: the {who} waited for one, so rates and latencies are not the target's own")
        }
        Reason::Quota(q) => format!(
            "a CPU quota of {} cores (not other programs) stopped the {who} in {} of its periods",
            number(q.quota_cores),
            share(q.throttled_periods as f64 / q.periods.max(1) as f64)
        ),
    }
}

fn gone(run: &RunResult, seen: &Indicators) -> (String, Option<f64>) {
    if let Some(gone) = seen.gone {
        let until = if gone.since_s < SHORT_RUN_S {
            format!("{} until then", counted(gone.answered, "answer"))
        } else {
            format!("{} req/s until then", rate(gone.rps_before))
        };
        let sentence = format!("the target is gone since {}: {until}, none answered after", seconds(gone.since_s));
        return (sentence, Some(gone.since_s));
    }
    (format!("the target refused every connection: nothing listens at {}", run.plan.target.addr), None)
}

/// It refused some connections and answered others.
fn refused(run: &RunResult, seen: &Indicators) -> (String, Option<f64>) {
    let rows = Rows::are(run, Kind::is_refused);
    let (first, last) = (seconds(rows.first_s()), seconds(rows.last_s()));
    let of = format!("{} of {}", count(rows.count()), counted(run.totals.requests, "request"));
    let sentence = match seen.refusing {
        Some(Refusing::AtFirst(until_s)) => {
            format!("target failing until {}: nothing listened yet, {of} were refused", seconds(until_s))
        }
        Some(Refusing::ForAWhile) => match run.totals.away {
            Some(away) => format!(
                "target failing: it was away for {}, from {} to {}, and refused {of}",
                seconds(away.length_s()),
                seconds(away.from_s),
                seconds(away.to_s)
            ),
            None => format!("target failing: it refused {of}, from {first} to {last}, and was back after that"),
        },
        Some(Refusing::NowAndThen) => format!("target failing: it refused {of} now and then, from {first} to {last}"),
        _ => format!("target failing: it refused {of} since {first}"),
    };
    (sentence, Some(rows.first_s()))
}

/// How much came, and after a comma why it was not more; empty where that is not known.
fn saturated(run: &RunResult, seen: &Indicators) -> (String, String) {
    // Requests that failed are no measure of what it can do.
    let answered = run.totals.requests.saturating_sub(run.totals.failures);
    let (rps, unit) = match run.totals.failures {
        0 => (rate(seen.steady_rps), "req/s"),
        _ => (rate(answered as f64 / seen.duration_s), "answers/s"),
    };
    let figures = if run.plan.is_open_loop() && seen.steady_rps < run.plan.rate * 0.95 {
        format!("target saturated: {rps} of {} req/s answered", rate(run.plan.rate))
    } else {
        let started = users_started(run).map_or_else(String::new, |n| format!("{} of ", count(n)));
        format!("target saturated: {rps} {unit} with {started}{}", counted(run.plan.users, "user"))
    };
    let why = match (seen.queue.as_ref().ok(), seen.cpu.as_ref().ok()) {
        (Some(Queue::Reported { queue_ms, work_ms, .. }), _) => {
            format!(", {} ms of queue for {} ms of service time", number(*queue_ms), number(*work_ms))
        }
        (_, Some(limit)) if limit.full == Full::Machine => ", every core is busy".to_owned(),
        (_, Some(CpuLimit { full: Full::SharedCores(shared), .. })) => {
            format!(", it and the client together fill {}", shared.in_words())
        }
        (_, Some(limit)) => format!(", its CPU is at {} of a core", percent(limit.percent)),
        (Some(Queue::Rising(g)), None) => {
            format!(", and its median grew from {} to {} ms with the users", number(g.p50_ms.0), number(g.p50_ms.1))
        }
        (Some(Queue::Leak(leak)), None) => {
            format!(", and its median grew from {} to {} ms", number(leak.p50_ms.0), number(leak.p50_ms.1))
        }
        (None, None) => String::new(),
    };
    (figures, why)
}

fn failing_since(run: &RunResult, seen: &Indicators, finding: &Finding) -> Option<f64> {
    match finding.id {
        Id::TargetHangs => return seen.hang.as_ref().ok().and_then(|h| h.since_s),
        Id::TargetStalled => return seen.target_stall.as_ref().ok().map(|t| t.stalls.first_s),
        _ => {}
    }
    let of_kind = |kind: Kind| match finding.id {
        Id::TargetResets => kind == Kind::Reset,
        Id::TargetTimeouts => kind.is_timeout(),
        Id::TargetMalformed => kind == Kind::Malformed,
        Id::TargetErrors => matches!(kind, Kind::Status | Kind::OtherAtTarget),
        _ => false,
    };
    Some(Rows::are(run, of_kind).first_s()).filter(|at| at.is_finite())
}

fn figures(run: &RunResult) -> String {
    let t = &run.totals;
    if is_try(run) {
        let answered = count(t.requests.saturating_sub(t.failures));
        return format!("{answered} of {} answered in {}", counted(run.plan.requests, "request"), seconds(run.duration_s));
    }
    format!("{} req/s, {} failed of {}", rate(t.rps), count(t.failures), counted(t.requests, "request"))
}

/// What was measured of a run without an error, and what to mind.
fn until_the_stop(run: &RunResult, findings: &[Finding]) -> String {
    let warning = remark(findings).map(|f| f.title.clone());
    let but = warning.or_else(|| caveat(run)).map_or_else(String::new, |but| format!(" ({but})"));
    format!("{} until then{but}", figures(run))
}

fn healthy(run: &RunResult, findings: &[Finding]) -> String {
    let figures = figures(run);
    match remark(findings) {
        Some(w) => format!("OK, but {} ({figures})", w.title),
        None => caveat(run).map_or_else(|| format!("OK: {figures}"), |but| format!("OK, but {but} ({figures})")),
    }
}

fn undecided(run: &RunResult) -> String {
    let t = &run.totals;
    match (t.attempts, t.local_failures.saturating_add(t.failures)) {
        (0, _) if run.was_stopped() => "no request was started until then".to_owned(),
        (attempts, 0) if run.was_stopped() => {
            let waited = t
                .in_flight
                .filter(|f| f.waited_max_ms > 0.0)
                .map_or_else(String::new, |f| format!("; the longest had waited {}", seconds(f.waited_max_ms / 1000.0)));
            format!("none of {} was answered until then{waited}", counted(attempts, "request"))
        }
        (0, _) => "undecided: no request was started".to_owned(),
        (attempts, 0) => format!("undecided: none of {} was answered before the run ended", counted(attempts, "request")),
        (attempts, failed) => format!(
            "undecided: no request was answered, {} of them failed, and the error table does not say why",
            share(failed as f64 / attempts as f64)
        ),
    }
}
