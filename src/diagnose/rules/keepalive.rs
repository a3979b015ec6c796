//! The rule about connections that the target does not keep.

use crate::diagnose::indicators::{Ending, Indicators, NotKept};
use crate::diagnose::rule::{Found, Ruling};
use crate::diagnose::thresholds::BUDGET_HIGH_SHARE;
use crate::model::result::RunResult;
use crate::remedy::ports::for_run;
use crate::remedy::{advice, count, cps, load_with, percent, s, target_keeps};

/// target-forbids-keepalive.
pub(in crate::diagnose) fn forbids_keepalive(run: &RunResult, seen: &Indicators) -> Ruling {
    Ruling::about(&seen.not_kept, |not_kept| forbidden(run, seen, *not_kept))
}

fn forbidden(run: &RunResult, seen: &Indicators, not_kept: NotKept) -> Ruling {
    let NotKept { answers, share, ending, since_s } = not_kept;
    let (t, closes) = (&run.totals, run.closes);
    let how = match ending {
        Ending::Announced => "announced it in the answer (Connection: close, or HTTP/1.0)",
        Ending::WhileIdle => "closed it without saying so, as an idle timeout shorter than the users' pauses does",
        Ending::Fin => "closed it without saying so",
        Ending::Reset => "reset it without saying so (RST)",
    };
    let since = since_s.map_or_else(String::new, |at| format!(" since {}", s(at)));
    let per = t.requests_per_connection.unwrap_or(1.0);
    let rate = t.connections_opened as f64 / seen.duration_s;
    let side = if seen.ports.closed_by_client > 0.5 {
        "The client reads the last byte and closes first, so the client keeps the TIME_WAIT and loses a source port each time"
    } else {
        "The target closes first, so the TIME_WAIT stays there and this side loses no port"
    };
    let mut text = format!(
        "The target was asked to keep connections and ended them after {} of the answers{since}: it {how}. So {} took {}, {}/s, and each \
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
    if ending != Ending::WhileIdle {
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
    Found::new(
        format!("the target ends the connection after {} of its answers{since}, although asked to keep it", percent(share)),
        text,
    )
    .with("answers", answers)
    .with("announced_by_target", closes.announced_by_target)
    .with("closed_by_target", closes.server)
    .with("reset_by_target", (ending == Ending::Reset).then_some(closes.reset))
    .with("share", share)
    .with("since_s", since_s)
    .with("requests_per_connection", per)
    .with("connections_opened", t.connections_opened)
    .with("rate_cps", rate)
    .remedies(remedies)
    .ruling()
}
