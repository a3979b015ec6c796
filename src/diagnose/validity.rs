//! The stamp of a run: whether its figures are what was asked for.

use super::command::{count, s};
use super::indicators::{Rows, duration_s, is_busy, is_exhaustion, is_foreign_source, unnamed};
use super::rule::{Verdict, diagnose, undecided};
use super::rules::{client, users};
use super::thresholds::{EARLY_END_S, FALL_SHORT_SHARE};
use crate::model::limits::LINGER_TIMEOUT;
use crate::model::outcome::{EMFILE, ENFILE};
use crate::model::plan::Closer;
use crate::model::result::{RunResult, Stamp, Validity};

/// The first stamp that applies, in the order of [`Stamp`], and every reason, the decisive ones first.
pub fn stamp(run: &RunResult) -> Validity {
    let mut reasons: Vec<(Stamp, String)> = Vec::new();
    port_reasons(run, &mut reasons);
    client_reasons(run, &mut reasons);
    completeness_reasons(run, &mut reasons);
    reasons.sort_by_key(|(stamp, _)| order(*stamp));
    let stamp = reasons.first().map_or(Stamp::Valid, |r| r.0);
    Validity { stamp, reasons: reasons.into_iter().map(|r| r.1).collect() }
}

const fn order(stamp: Stamp) -> u8 {
    match stamp {
        Stamp::PortBound => 0,
        Stamp::ClientBound => 1,
        Stamp::Incomplete => 2,
        Stamp::Valid => 3,
    }
}

fn port_reasons(run: &RunResult, into: &mut Vec<(Stamp, String)>) {
    let exhausted = Rows::of(run, is_exhaustion);
    if let Some(row) = exhausted.largest() {
        into.push((
            Stamp::PortBound,
            format!("{} attempts found no free source port ({} at {}())", exhausted.count(), row.name, row.call.word()),
        ));
    }
    let busy = Rows::of(run, is_busy);
    if let Some(row) = busy.largest() {
        into.push((
            Stamp::PortBound,
            format!("{} attempts found their source port held ({} at {}())", busy.count(), row.name, row.call.word()),
        ));
    }
}

fn client_reasons(run: &RunResult, into: &mut Vec<(Stamp, String)>) {
    let fds = Rows::of(run, |e| e.local && matches!(e.errno, Some(EMFILE | ENFILE)));
    if let Some(row) = fds.largest() {
        into.push((Stamp::ClientBound, format!("{} sockets could not be made ({})", fds.count(), row.name)));
    }
    if let Verdict::Finding(f) = client::generator_saturated(run) {
        into.push((Stamp::ClientBound, f.title));
    }
    if let Some((failed, which)) = users::foreign_source(run) {
        into.push((Stamp::ClientBound, format!("{failed} attempts could not begin: {which}")));
    }
    let other = Rows::of(run, |e| {
        let named = is_exhaustion(e) || is_busy(e) || is_foreign_source(e) || matches!(e.errno, Some(EMFILE | ENFILE));
        e.local && !named
    });
    if !other.is_empty() {
        into.push((Stamp::ClientBound, format!("failures of this machine: {}", other.in_words())));
    }
    let unnamed = unnamed(run, true);
    if unnamed > 0 && run.errors.iter().all(|e| e.name != "OTHER") {
        into.push((Stamp::ClientBound, format!("{unnamed} failures of this machine without a row in the error table")));
    }
}

fn completeness_reasons(run: &RunResult, into: &mut Vec<(Stamp, String)>) {
    let (plan, t, duration) = (&run.plan, &run.totals, duration_s(run));
    let asked_s = plan.duration.as_secs_f64();
    let counted = plan.requests > 0 && t.attempts >= plan.requests;
    if asked_s > 0.0 && !counted && duration < asked_s - EARLY_END_S {
        into.push((Stamp::Incomplete, format!("ended after {} of {}", s(duration), s(asked_s))));
    } else if plan.requests > 0 && !counted && asked_s <= 0.0 {
        into.push((Stamp::Incomplete, format!("ended after {} of {} requests", t.attempts, plan.requests)));
    }
    if t.attempts == 0 {
        into.push((Stamp::Incomplete, "no request was started".into()));
    } else if t.latency_ms.is_none() {
        into.push((Stamp::Incomplete, "no request was answered".into()));
    }
    if let Verdict::Finding(f) = users::users_not_reached(run) {
        into.push((Stamp::Incomplete, f.title));
    } else if let Some((asked, reached)) = users::fewer_held(run) {
        into.push((
            Stamp::Incomplete,
            format!("{} asked for, {reached} held a connection at the same time", count(asked, "user")),
        ));
    }
    if let Some(reason) = not_closed_by_target(run) {
        into.push((Stamp::Incomplete, reason));
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
            count(all, "connection"),
            s(LINGER_TIMEOUT.as_secs_f64())
        )
    })
}

/// Diagnoses a run in place: stamp, findings, and the rows that explain the nulls of the findings.
///
/// Reasons that only the caller knows (a signal) are added by it afterwards.
pub fn settle(run: &mut RunResult) {
    run.validity = stamp(run);
    run.findings = diagnose(run);
    run.undecided = undecided(run);
    run.verdict = super::verdict::verdict(run);
    if run.findings.iter().any(|f| f.remedies.iter().any(|r| r.proven.is_none())) {
        run.explain_null("findings[].remedies[].proven", "no rehearsal of this remedy on this host");
    }
}
