//! Connections that the target does not keep: in the whole run, or from a moment in mid-run on.

use super::prelude::*;
use crate::model::outcome::{Call, ECONNRESET, EPIPE, Failure, ProtocolFault};
use crate::model::plan::Closer;

/// How the connections end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::diagnose) enum Ending {
    /// the answer said so (`Connection: close`, or HTTP/1.0)
    Announced,
    /// without a word, by FIN
    Fin,
    /// without a word, by RST
    Reset,
    /// by FIN or RST while the users pause
    WhileIdle,
    /// by FIN or RST, because so many are open
    ForNewOnes,
}

/// Connections that were not kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct NotKept {
    /// answers, in the part of the run that this is about
    pub(in crate::diagnose) answers: u64,
    /// share of them after which the connection ended
    pub(in crate::diagnose) share: f64,
    pub(in crate::diagnose) ending: Ending,
    /// seconds from the run's start; none where it was so from the start
    pub(in crate::diagnose) since_s: Option<f64>,
}

pub(super) fn not_kept(run: &RunResult, seen: &Indicators) -> Seen<NotKept> {
    if !run.plan.keepalive {
        return Err(Clear);
    }
    // A broken answer ends its connection for another reason, and so does an end without an answer.
    let answers = run.totals.requests.saturating_sub(run.count_errors(|e| !e.local && e.call != Call::Http));
    if answers == 0 {
        return Err(Clear);
    }
    if answers < FORBIDS_ANSWERS {
        return undecided(format!("only {} came: too few to decide", counted(answers, "answer")));
    }
    let (announced, ended) = ends(run, answers);
    let share = ended as f64 / answers as f64;
    let part = later_part(run);
    if share < FORBIDS_SHARE && part.is_none() {
        return Err(Clear);
    }
    // Where the target is gone, connections are made again and again for another reason.
    if share < FORBIDS_SHARE && seen.gone.is_some() {
        return Err(Clear);
    }
    let ending = match (announced.saturating_mul(2) >= ended, run.closes.reset > run.closes.server) {
        (true, _) => Ending::Announced,
        (false, _) if seen.kept_most.is_some_and(|kept| kept.is_limit) => Ending::ForNewOnes,
        (false, _) if !run.plan.think.max.is_zero() => Ending::WhileIdle,
        (false, true) => Ending::Reset,
        (false, false) => Ending::Fin,
    };
    let whole = NotKept { answers, share, ending, since_s: None };
    Ok(part.map_or(whole, |part| NotKept {
        answers: part.answers,
        share: part.connects.min(part.answers) as f64 / part.answers.max(1) as f64,
        since_s: Some(part.since_s),
        ..whole
    }))
}

/// Announced ends, and ends in all; each connection can only be ended once.
fn ends(run: &RunResult, answers: u64) -> (u64, u64) {
    let (t, closes) = (&run.totals, run.closes);
    let announced = closes.announced_by_target.min(answers);
    let broken_off = Rows::of(run, is_broken_off).count();
    // Where this side resets its connections itself, an RST says nothing of the target.
    let resets = if run.plan.closer == Closer::Reset { 0 } else { closes.reset };
    let by_target = closes.server.saturating_add(resets).saturating_sub(broken_off);
    // A connection that ends before its first answer is after none.
    (announced, announced.max(by_target.min(t.connections_opened).min(answers)))
}

/// An end of the connection inside an exchange.
fn is_broken_off(row: &ErrorRow) -> bool {
    let ended = |f: Failure| {
        matches!(
            f.cause,
            Cause::Eof
                | Cause::Malformed(ProtocolFault::Truncated | ProtocolFault::TruncatedHead)
                | Cause::Errno(ECONNRESET | EPIPE)
        )
    };
    !row.local && row.failure().is_some_and(ended)
}

/// The later part of a run, in which every answer costs a connection.
struct Part {
    since_s: f64,
    answers: u64,
    connects: u64,
}

/// One second: when it began, its answers, and the connections that neither a new user nor a failure explains.
#[derive(Debug, Clone, Copy)]
struct Second {
    began_s: f64,
    answers: f64,
    connects: f64,
}

/// None where the run was so from its start, or not to its end.
fn later_part(run: &RunResult) -> Option<Part> {
    let enough = |s: &Second| s.answers >= FORBIDS_ANSWERS as f64;
    let seconds: Vec<Second> = seconds(run).into_iter().filter(enough).collect();
    let later = seconds.iter().rev().take_while(|s| s.connects >= FORBIDS_SHARE * s.answers).count();
    let (before, after) = seconds.split_at(seconds.len() - later);
    // Before it connections were kept; the change may lie inside a second.
    let kept = before.iter().filter(|s| s.connects < FORBIDS_SHARE / 2.0 * s.answers).count();
    if later < FORBIDS_SECONDS || before.len() < FORBIDS_SECONDS || kept + 1 < before.len() {
        return None;
    }
    let sum = |of: fn(&Second) -> f64| after.iter().map(of).sum::<f64>().round() as u64;
    Some(Part { since_s: after[0].began_s, answers: sum(|s| s.answers), connects: sum(|s| s.connects) })
}

fn seconds(run: &RunResult) -> Vec<Second> {
    // New users who have made no connection yet: a client that is late makes them seconds after they were asked for.
    let (mut before, mut new) = (0, 0.0);
    let second = |(began_s, p): (f64, &SeriesPoint)| {
        let width = (p.t_s - began_s).max(0.0);
        let users = std::mem::replace(&mut before, p.users_asked);
        new += f64::from(p.users_asked.saturating_sub(users));
        let (made, failed) = (p.connects as f64, p.failures_per_s * width);
        let first = made.min(new);
        new -= first;
        Second { began_s, answers: (p.rps * width - failed).max(0.0), connects: (made - first - failed).max(0.0) }
    };
    seconds_of(run).map(second).collect()
}
