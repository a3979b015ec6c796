//! The stamp of a run: whether its figures are what was asked for.

use super::command::s;
use super::reading::{Rows, duration_s, is_busy, is_exhaustion, unnamed};
use super::rule::Verdict;
use super::rules_client;
use super::thresholds::EARLY_END_S;
use crate::model::outcome::{EMFILE, ENFILE};
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
    if let Verdict::Finding(f) = rules_client::generator_saturated(run) {
        into.push((Stamp::ClientBound, f.title));
    }
    let other = Rows::of(run, |e| e.local && !is_exhaustion(e) && !is_busy(e) && !matches!(e.errno, Some(EMFILE | ENFILE)));
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
    if let Verdict::Finding(f) = rules_client::users_not_reached(run) {
        into.push((Stamp::Incomplete, f.title));
    }
}
