//! The rule about connections that the target does not keep.

use crate::diagnose::indicators::{Indicators, Rows};
use crate::diagnose::rule::{Found, Ruling};
use crate::diagnose::thresholds::{BUDGET_HIGH_SHARE, FORBIDS_ANSWERS, FORBIDS_SHARE};
use crate::model::outcome::{Call, Cause, Failure, ProtocolFault};
use crate::model::result::{ErrorRow, RunResult};
use crate::remedy::ports::for_run;
use crate::remedy::{advice, closes_idle, count, cps, load_with, percent, s, target_keeps};

/// target-forbids-keepalive.
pub(in crate::diagnose) fn forbids_keepalive(run: &RunResult, seen: &Indicators) -> Ruling {
    if !run.plan.keepalive {
        return Ruling::Clear;
    }
    let (t, closes) = (&run.totals, run.closes);
    // A broken answer ends its connection for another reason, and so does an end without an answer.
    let answers = t.requests.saturating_sub(run.count_errors(|e| !e.local && e.call != Call::Http));
    let broken_off = Rows::of(run, is_broken_off).count();
    if answers < FORBIDS_ANSWERS {
        return Ruling::Undecided(format!("only {answers} answers came: too few to tell"));
    }
    let announced = closes.announced_by_target.min(answers);
    // Unannounced ends count as well; each connection can only be ended once.
    let ended = announced.max(closes.server.saturating_sub(broken_off).min(t.connections_opened));
    let share = ended as f64 / answers as f64;
    if share < FORBIDS_SHARE {
        return Ruling::Clear;
    }
    let how = if announced * 2 >= ended {
        "announced it in the answer (Connection: close, or HTTP/1.0)"
    } else if closes_idle(run) {
        "closed it without saying so, as an idle timeout shorter than the users' pauses does"
    } else {
        "closed it without saying so"
    };
    let per = t.requests_per_connection.unwrap_or(1.0);
    let rate = t.connections_opened as f64 / seen.duration_s;
    let side = if seen.ports.closed_by_client > 0.5 {
        "The client reads the last byte and closes first, so the client keeps the TIME_WAIT and loses a source port each time"
    } else {
        "The target closes first, so the TIME_WAIT stays there and this side loses no port"
    };
    let mut text = format!(
        "The target was asked to keep connections and ended them after {} of the answers: it {how}. So {} took {}, {}/s, and each \
         answer pays for a new handshake. {side}.",
        percent(share),
        count(t.requests, "request"),
        count(t.connections_opened, "connection"),
        cps(rate)
    );
    if let Some(b) = seen.ports.budget.filter(|b| !b.hold.is_zero() && seen.ports.closed_by_client > 0.5) {
        text += &format!(
            " That is {} of the {}/s that {} ports held {} sustain.",
            percent(seen.ports.wearing_cps / b.ceiling_cps().max(1e-9)),
            cps(b.ceiling_cps()),
            b.pool,
            s(b.hold.as_secs_f64())
        );
    }
    if !closes_idle(run) {
        text += " Flask's development server and other HTTP/1.0 servers do this to Windows clients as well: there 16384 ports held 120 s sustain 136.5/s.";
    }
    let opened = count(t.connections_opened, "connection");
    let kept = format!("{} instead of {}", count(run.plan.users, "connection"), t.connections_opened);
    let mut remedies = vec![target_keeps(run, kept)];
    let short = load_with(&run.plan, |p| p.keepalive = false);
    // Ports are worth a word where this wears them out.
    if seen.ports.budget.is_some_and(|b| seen.ports.wearing_cps > BUDGET_HIGH_SHARE * b.ceiling_cps()) {
        remedies.extend(for_run(&seen.situation(run)).into_iter().filter(|r| r.name.as_deref() == Some("ring")));
    }
    remedies.push(advice(
        "ask for a connection per request, so that the plan says what happens anyway",
        short,
        format!("{opened} again, and the port budget told before the run"),
    ));
    Found::new(format!("the target ends the connection after {} of its answers although asked to keep it", percent(share)), text)
        .with("answers", answers)
        .with("announced_by_target", closes.announced_by_target)
        .with("closed_by_target", closes.server)
        .with("share", share)
        .with("requests_per_connection", per)
        .with("connections_opened", t.connections_opened)
        .with("rate_cps", rate)
        .remedies(remedies)
        .ruling()
}

/// An end of the connection inside an exchange.
fn is_broken_off(row: &ErrorRow) -> bool {
    let ended = |f: Failure| matches!(f.cause, Cause::Eof | Cause::Malformed(ProtocolFault::Truncated));
    !row.local && row.failure().is_some_and(ended)
}
