//! The stamp of a run: whether its figures are what was asked for. It follows from the findings by the table of
//! [`super::verdict`], and from what a plan asked for and a run did not do.

use super::indicators::{Indicators, is_many, unnamed};
use super::rules::{refusal, users};
use super::thresholds::{EARLY_END_S, FALL_SHORT_SHARE};
use super::verdict::{TABLE, decides};
use crate::model::figures;
use crate::model::finding::{Finding, FindingId as Id};
use crate::model::limits::LINGER_TIMEOUT;
use crate::model::order::Order as _;
use crate::model::outcome::{Call, FailureSide};
use crate::model::plan::Closer;
use crate::model::result::{Doubt, RunResult, RunStamp, STOPPED, Validity};
use crate::model::validity::{EVERY_ANSWER_FAILED, NOT_STARTED, UNANSWERED};

/// The first stamp that applies, in the order of [`RunStamp`], and every reason, the decisive ones first.
pub(super) fn of(run: &RunResult, seen: &Indicators, findings: &[Finding]) -> Validity {
    let mut reasons: Vec<Reason> = findings.iter().filter(|f| decides(f)).filter_map(by_table).collect();
    own_failures(run, seen, &mut reasons);
    completeness(run, seen, findings, &mut reasons);
    reasons.order_by_key(|(stamp, ..)| *stamp);
    let stamp = reasons.first().map_or(RunStamp::Valid, |r| r.0);
    let reasons = reasons.into_iter().map(|(_, kind, text)| (kind, text)).collect();
    Validity { stopped: run.was_stopped(), ..Validity::new(stamp, reasons) }
}

/// What it makes of the stamp, what it is about, and in words.
type Reason = (RunStamp, Doubt, String);

fn by_table(finding: &Finding) -> Option<Reason> {
    let (.., stamp) = TABLE.iter().find(|(id, ..)| *id == finding.id)?;
    (*stamp != RunStamp::Valid).then(|| (*stamp, Doubt::Finding(finding.id), finding.title.clone()))
}

/// Failures of this machine that no finding of the table is about.
fn own_failures(run: &RunResult, seen: &Indicators, into: &mut Vec<Reason>) {
    if let Some(refusal) = refusal::of(run, seen).filter(|r| !is_many(run, r.failed)) {
        into.push((
            RunStamp::ClientBound,
            Doubt::OwnFailures,
            format!("{} could not begin: {}", figures::counted(refusal.failed, "attempt"), refusal.what),
        ));
    }
    let unnamed = unnamed(run, FailureSide::Local);
    if unnamed > 0 {
        into.push((
            RunStamp::ClientBound,
            Doubt::OwnFailures,
            format!("{unnamed} failures of this machine without a row in the error table"),
        ));
    }
}

fn completeness(run: &RunResult, seen: &Indicators, findings: &[Finding], into: &mut Vec<Reason>) {
    let (plan, t, duration) = (&run.plan, &run.totals, seen.duration_s);
    let asked_s = plan.duration.as_secs_f64();
    let counted = plan.requests > 0 && t.attempts >= plan.requests;
    if asked_s > 0.0 && !counted && duration < asked_s - EARLY_END_S {
        let reason = format!("ended after {} of {}", figures::seconds(duration), figures::seconds(asked_s));
        into.push((RunStamp::Incomplete, Doubt::EndedEarly, reason));
    } else if plan.requests > 0 && !counted && asked_s <= 0.0 {
        into.push((RunStamp::Incomplete, Doubt::EndedEarly, format!("ended after {} of {} requests", t.attempts, plan.requests)));
    }
    if t.attempts == 0 {
        into.push((RunStamp::Incomplete, Doubt::NotStarted, NOT_STARTED.into()));
    } else if t.latency_ms.is_none() {
        let errors = run.count_errors(|row| row.call == Call::Http);
        let (kind, reason) = if errors > 0 { (Doubt::OnlyErrors, EVERY_ANSWER_FAILED) } else { (Doubt::Unanswered, UNANSWERED) };
        into.push((RunStamp::Incomplete, kind, reason.into()));
    }
    if let Some(f) = findings.iter().find(|f| f.id == Id::UsersNotReached) {
        let refused_here = refusal::of(run, seen).is_some_and(|r| is_many(run, r.failed));
        let stamp = if refused_here { RunStamp::ClientBound } else { RunStamp::Incomplete };
        into.push((stamp, Doubt::Finding(f.id), f.title.clone()));
    } else if let Some((asked, reached)) = users::fewer_held(run) {
        into.push((
            RunStamp::Incomplete,
            Doubt::FewerUsers,
            format!("{} asked for, {reached} had a connection at the same time", figures::counted(asked, "user")),
        ));
    }
    if let Some(reason) = not_closed_by_target(run) {
        into.push((RunStamp::Incomplete, Doubt::NotClosedByTarget, reason));
    }
    if run.was_stopped() {
        into.push((RunStamp::Incomplete, Doubt::Stopped, STOPPED.into()));
    }
}

/// The plan leaves the first FIN to the target, and the client had to end connections itself, beyond those that the end
/// of the run cut off.
fn not_closed_by_target(run: &RunResult) -> Option<String> {
    let (c, t) = (run.closes, &run.totals);
    let all = c.client.saturating_add(c.server).saturating_add(c.reset);
    // Failed requests and those that the end cut off were ended by the client for another reason.
    let by_client = c.client.saturating_sub(t.cut).saturating_sub(t.failures);
    (run.plan.closer == Closer::Server && !run.plan.keepalive && by_client as f64 > FALL_SHORT_SHARE * all as f64).then(|| {
        format!(
            "asked for the target to close first: it did on {} of {}; after {} without its FIN the client closes",
            c.server,
            figures::counted(all, "connection"),
            figures::seconds(LINGER_TIMEOUT.as_secs_f64())
        )
    })
}
