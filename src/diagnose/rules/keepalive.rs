//! The rule about connections that the target does not keep.

use super::exhaustion::hold_words;
use super::places;
use super::prelude::*;
use crate::remedy::target_keeps;

/// Where both sides close first, a smaller part than this is not named.
const SOME: f64 = 0.05;

pub(in crate::diagnose) fn forbids_keepalive(run: &RunResult, seen: &Indicators) -> Ruling {
    let not_kept = seen.not_kept.clone()?;
    let NotKept { answers, ending, since_s, .. } = not_kept;
    let (t, closes) = (&run.totals, run.closes);
    let how = match ending {
        Ending::Announced => "it announced that in the answer (Connection: close, or HTTP/1.0)".to_owned(),
        Ending::WhileIdle => {
            "it closed them without notice, as an idle timeout that is shorter than the users' pauses does".to_owned()
        }
        Ending::ForNewOnes => {
            let most = seen.kept_most.map_or(0, |kept| kept.open);
            format!("it keeps about {} at a time, and ends others for new ones", counted(most, "connection"))
        }
        Ending::Fin => "it closed them without notice".to_owned(),
        Ending::Reset => "it reset them without notice (RST)".to_owned(),
    };
    let since = since_s.map_or_else(String::new, |at| format!(" since {}", seconds(at)));
    let opened = counted(t.connections_opened, "connection");
    let cps = t.connections_opened as f64 / seen.duration_s;
    let by_client = seen.ports.closed_by_client >= SOME;
    let mut text = format!(
        "The client asked to keep connections, and the target ended them after {} of the answers{since}: {how}. Each of \
         these answers pays for a new connection and its handshake. {}.",
        share(not_kept.share),
        match seen.ports.closed_by_client {
            few if few < SOME => "The target closes first, so the TIME_WAIT stays there and costs no source port here".to_owned(),
            most if most > 1.0 - SOME => {
                "The client closes first after the last byte, so it keeps the TIME_WAIT and loses a source port each time"
                    .to_owned()
            }
            part => format!(
                "The client closed {} of them first, after the last byte: each of these keeps a source port in TIME_WAIT. The target \
                 closed the others first",
                share(part)
            ),
        }
    );
    if let Some(b) = seen
        .ports
        .budget
        .filter(|b| !b.hold.is_zero() && by_client && seen.ports.wearing_cps > 0.0 && b.ceiling_cps().is_finite())
    {
        text += &format!(
            " That is {} of the {}/s that {} / {} sustain.",
            share(seen.ports.wearing_cps / b.ceiling_cps().max(1e-9)),
            rate(b.ceiling_cps()),
            counted(b.pool, "port"),
            hold_words(b.hold.as_secs_f64())
        );
    }
    let kept = format!("{} instead of {}", counted(run.plan.users, "connection"), count(t.connections_opened));
    let keeps =
        if ending == Ending::ForNewOnes { places::more(run, "keep more connections", kept) } else { target_keeps(run, kept) };
    let mut remedies = vec![keeps];
    let short = load_with(&run.plan, |p| p.keepalive = false);
    // Ports are mentioned where this can use them up.
    if seen.ports.budget.is_some_and(|b| seen.ports.wearing_cps > BUDGET_HIGH_SHARE * b.ceiling_cps()) {
        remedies.extend(for_run(&seen.situation(run)).into_iter().filter(|r| Name::Ring.is(r)));
    }
    remedies.push(advice(
        "plan for a connection per request: the same figures, and the port budget before the run",
        short,
        format!("{opened} again, as planned"),
    ));
    Ok(Found::new(
        format!(
            "the target did not keep the connection after {} of the answers{since}, although asked to",
            share(not_kept.share)
        ),
        text,
    )
    .with("answers", answers)
    .with("announced_by_target", closes.announced_by_target)
    .with("closed_by_target", closes.server)
    .with("reset_by_target", (ending == Ending::Reset).then_some(closes.reset))
    .with("share", not_kept.share)
    .with("since_s", since_s)
    .with("requests_per_connection", t.requests_per_connection)
    .with("connections_opened", t.connections_opened)
    .with("rate_cps", cps)
    .remedies(remedies))
}
