//! users-not-reached where requests of an asked rate were never started: what kept them away, and a rate that is possible.

use super::lighter::round_rate;
use super::prelude::*;
use crate::model::result::Shortfall;

/// Connections beyond those that the rate needs on average, times.
const SPARE: f64 = 1.2;

/// Answers whose mean is so many times the quickest vary.
const VARIED_TIMES: f64 = 3.0;

/// The finding, for `asked` connections.
pub(super) fn missing(run: &RunResult, seen: &Indicators, shortfall: Shortfall, asked: u32) -> Found {
    let (plan, t) = (&run.plan, &run.totals);
    let Shortfall { missing, asked: all } = shortfall;
    let never = counted(missing.round() as u64, "request");
    let sent = t.attempts as f64 / seen.duration_s;
    let rate_asked = plan.mean_rate(seen.duration_s);
    let kept_away = is_kept_away(run, seen);
    let because = match (kept_away, asked) {
        (true, _) => "connections could not be made when they were due, and a user pauses after such a failure".to_owned(),
        (false, 1) => "the only connection was busy when they were due".to_owned(),
        (false, _) => format!("all {} were busy when they were due", counted(asked, "connection")),
    };
    let text = format!(
        "{never} of {} ({}) were never started: {because}. Latency from the due time counts those that were started; the others are in no \
         figure. Read this run as {} req/s answered, not as {} req/s.",
        count(all.round() as u64),
        share(missing / all.max(1.0)),
        rate(t.rps),
        rate(rate_asked)
    );
    let title = format!("{} of {} req/s were sent: {never} never started", rate(sent), rate(rate_asked));
    // A full target answers no faster over more connections.
    let full = seen.cpu.is_ok() || seen.queue.is_ok();
    let remedies = match (kept_away, full) {
        (true, _) => sustained_rate(run, seen).into_iter().collect(),
        (false, true) => vec![lower(run, seen)],
        (false, false) if may_queue(run) => vec![lower(run, seen), more_connections(run, seen, asked)],
        (false, false) => {
            let kept = Prediction::near(Metric::Rps, rate_asked, FALL_SHORT_SHARE);
            vec![more_connections(run, seen, asked).promising(kept), lower(run, seen)]
        }
    };
    Found::new(title, text).remedies(remedies).not_caused_by(not_causes_of_missing(run))
}

/// Connections could not be made when users or requests were due: more of them would meet the same failures.
fn is_kept_away(run: &RunResult, seen: &Indicators) -> bool {
    let not_connected = |kind: Kind| kind.is_refused() || kind == Kind::ConnectTimeout;
    is_many(run, seen.ports.busy) || is_many(run, Rows::are(run, not_connected).count())
}

/// A rate that the ports sustain, where busy ports kept a higher one away.
fn sustained_rate(run: &RunResult, seen: &Indicators) -> Option<Remedy> {
    let busy = is_many(run, seen.ports.busy);
    let ceiling = seen.ports.budget.map(|b| b.ceiling_cps()).filter(|c| c.is_finite() && *c > 0.0 && *c < run.plan.rate)?;
    let paced = round_rate(PACE_SHARE * ceiling);
    busy.then(|| {
        advice(
            "ask for a rate that the ports sustain, once those of this run are free",
            load_with(&run.plan, |p| p.rate = paced).after("sleep 60"),
            format!("{} of the {}/s that the ports sustain", share(PACE_SHARE), rate(ceiling)),
        )
        .promising(Prediction::at_most(Metric::LocalFailures, 0.0))
    })
}

/// A part of what was answered: a request that failed is none that it answered, and what is still under way at the end
/// was sent, but a full target does not keep up with it.
fn lower(run: &RunResult, seen: &Indicators) -> Remedy {
    let t = &run.totals;
    let ended_well = t.requests.saturating_sub(t.failures) as f64 / t.requests.max(1) as f64;
    let answered = ((t.attempts as f64 / seen.duration_s).min(t.rps) * ended_well).max(0.1);
    let paced = round_rate(CAPACITY_SHARE * answered);
    // At the end each connection may be busy with a slow answer while one more request is due.
    let left = u64::from(run.plan.users);
    advice(
        "ask for a rate that it answers",
        load_with(&run.plan, |p| p.rate = paced),
        format!(
            "at most {} never started: {} of the {} req/s answered here (computed)",
            count(left),
            share(CAPACITY_SHARE),
            rate(answered)
        ),
    )
    .promising(Prediction::at_most(Metric::NeverStarted, left as f64))
    .promising(Prediction::near(Metric::Rps, paced, FALL_SHORT_SHARE))
}

/// As many connections as the rate needs at the time that one is busy with a request (Little's law), with a fifth to
/// spare. That time counts the requests that failed or were cut too: all of them kept a connection busy.
fn more_connections(run: &RunResult, seen: &Indicators, have: u32) -> Remedy {
    let plan = &run.plan;
    let t = &run.totals;
    // All connections were busy while requests were due.
    let busy_s = f64::from(have) * seen.duration_s / t.attempts.max(1) as f64;
    let all_answered = !is_many(run, t.failures.saturating_add(t.cut));
    let answers_s = t.service_latency_ms.map(|l| l.mean / 1000.0).filter(|s| all_answered && s.is_finite() && *s > 0.0);
    let took = answers_s.unwrap_or(busy_s);
    let want = (plan.rate * took * SPARE).ceil().min(f64::from(plan.limits.users_max));
    let want = (want as u32).max(have.saturating_add(1));
    advice(
        "give the schedule more connections, so that slow answers do not delay it",
        load_with(plan, |p| p.users = want),
        format!(
            "{} carry {} req/s while each is busy with a request for {} as here (computed)",
            counted(want, "connection"),
            rate(plan.rate),
            seconds(took)
        ),
    )
}

/// Answers that vary may have waited at the target, which more connections only makes longer.
fn may_queue(run: &RunResult) -> bool {
    let told = run.endpoints.iter().all(|e| e.server_timing_ms.is_some());
    let varies = run.totals.service_latency_ms.is_some_and(|l| l.mean >= VARIED_TIMES * l.min);
    is_many(run, run.totals.failures) || (!told && varies)
}

/// The causes of the table that do not explain a missing rate here: failures unless they are many enough.
fn not_causes_of_missing(run: &RunResult) -> impl Iterator<Item = Id> {
    let few = |wanted: fn(Kind) -> bool| !is_many(run, Rows::are(run, wanted).count());
    let all = [
        (Id::LocalPortBusy, few(|kind| kind == Kind::PortBusy)),
        (Id::TargetRefused, few(Kind::is_refused)),
        (Id::TargetConnectionLimit, true),
        (Id::SlowConnects, true),
        (Id::TargetResets, few(|kind| kind == Kind::Reset)),
        (Id::TargetTimeouts, few(Kind::is_timeout)),
    ];
    all.into_iter().filter_map(|(id, is_so)| is_so.then_some(id))
}
