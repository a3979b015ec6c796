//! The rule about asked users or an asked rate that were not reached, with the advice of what kept them away.

use super::refusal;
use crate::diagnose::indicators::{Indicators, Kind, Rows, Shortfall, duration_s};
use crate::diagnose::rule::{Found, Ruling};
use crate::diagnose::thresholds::{
    ATTEMPTS_PER_USER, EARLY_END_S, FALL_SHORT_REQUESTS, FALL_SHORT_SHARE, PACE_SHARE, SHORT_AT_ONCE_SHARE,
};
use crate::model::finding::{FindingId as Id, Remedy};
use crate::model::result::RunResult;
use crate::remedy::{advice, count, load_with, number, percent, quoted, s};

/// Users whose time to start came before the run's end, where the ramp did not end before it.
fn started_of_ramp(run: &RunResult, asked: u32) -> Option<u32> {
    let plan = &run.plan;
    if plan.is_open_loop() || plan.spawn_rate <= 0.0 {
        return None;
    }
    let seen = run.series.iter().map(|p| p.users_asked).max().filter(|n| *n > 0);
    let due = ((duration_s(run) * plan.spawn_rate).floor() + 1.0).min(f64::from(asked)).max(1.0) as u32;
    (due < asked).then_some(seen.map_or(due, |n| n.min(due)))
}

/// The run ended before the time or the count that was asked for: a signal, or nothing worked at all.
fn was_stopped(run: &RunResult) -> bool {
    let plan = &run.plan;
    let counted = plan.requests > 0 && run.totals.attempts >= plan.requests;
    !counted && (plan.duration.is_zero() || duration_s(run) < plan.duration.as_secs_f64() - EARLY_END_S)
}

/// Kept connections: each started user holds one to the end.
fn holds_on(run: &RunResult) -> bool {
    let t = &run.totals;
    run.plan.keepalive && t.requests_per_connection.is_none_or(|n| n > 1.5 || t.requests < u64::from(run.plan.users) * 2)
}

/// Asked and reached users, where each should have held a connection and fewer did; for the stamp, which says so even
/// where nothing is wrong with it.
pub(in crate::diagnose) fn fewer_held(run: &RunResult) -> Option<(u32, u32)> {
    let (t, asked) = (&run.totals, run.totals.users_asked.max(run.plan.users));
    let short = f64::from(t.users_reached) < f64::from(asked) * (1.0 - FALL_SHORT_SHARE);
    (!run.plan.is_open_loop() && t.attempts > 0 && holds_on(run) && short).then_some((asked, t.users_reached))
}

/// How many of the asked users can be expected to hold a connection at the same time; none when it cannot be said.
fn expected_at_once(run: &RunResult) -> Option<f64> {
    let (plan, asked) = (&run.plan, f64::from(run.totals.users_asked.max(run.plan.users)));
    if plan.is_open_loop() || (plan.requests > 0 && run.totals.attempts < ATTEMPTS_PER_USER * u64::from(plan.users)) {
        return None;
    }
    if plan.requests == 0 && plan.ramp().as_secs_f64() + 1.0 > duration_s(run) {
        return None;
    }
    // A connection per answer is only held while the answer is under way; with think time hardly ever by all at once.
    match (holds_on(run), plan.think.max.is_zero()) {
        (true, _) => Some(asked * (1.0 - FALL_SHORT_SHARE)),
        (false, true) => Some(asked * SHORT_AT_ONCE_SHARE),
        (false, false) => None,
    }
}

/// What failed is a share of the attempts that can explain missing ones.
fn is_many(run: &RunResult, failed: u64) -> bool {
    failed as f64 > FALL_SHORT_SHARE * run.totals.attempts as f64
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
    let rate = ((PACE_SHARE * ceiling * 10.0).floor() / 10.0).max(0.1);
    busy.then(|| {
        advice(
            "ask for a rate that the ports sustain, once those of this run are free",
            load_with(&run.plan, |p| p.rate = rate).after("sleep 60"),
            format!("{} of the {}/s that the ports sustain", percent(PACE_SHARE), number((ceiling * 10.0).round() / 10.0)),
        )
    })
}

/// The causes of the table that explain a missing rate here: failures only where they are many enough.
fn causes_of_missing(run: &RunResult) -> Vec<Id> {
    let many = |wanted: fn(Kind) -> bool| is_many(run, Rows::are(run, wanted).count());
    [
        (Id::LocalPortBusy, many(|kind| kind == Kind::PortBusy)),
        (Id::TargetRefused, many(Kind::is_refused)),
        (Id::TargetResets, many(|kind| kind == Kind::Reset)),
        (Id::TargetTimeouts, many(Kind::is_timeout)),
        (Id::TargetBacklogOverflow, true),
        (Id::PortSearchSlow, true),
        (Id::TargetQueueing, true),
        (Id::TargetCpuSaturated, true),
    ]
    .into_iter()
    .filter_map(|(id, explains)| explains.then_some(id))
    .collect()
}

/// As many connections as the rate needs at the time that an answer takes (Little's law), with a fifth to spare.
fn more_connections(run: &RunResult, have: u32) -> Remedy {
    let plan = &run.plan;
    let took = run.totals.service_latency_ms.map(|l| l.mean / 1000.0).filter(|s| s.is_finite() && *s > 0.0);
    let want = took.map_or(f64::from(have) * 2.0, |s| (plan.rate * s * 1.2).ceil());
    let want = (want.min(f64::from(plan.limits.users_max)) as u32).max(have.saturating_add(1));
    let per = took.unwrap_or(f64::from(want) / plan.rate.max(1e-9));
    advice(
        "give the schedule more connections, so that slow answers do not hold it up",
        load_with(plan, |p| p.users = want),
        format!(
            "{} carry {}/s when an answer takes {} as here, while it does not take longer",
            count(want, "connection"),
            number(plan.rate),
            s(per)
        ),
    )
}

/// users-not-reached.
pub(in crate::diagnose) fn users_not_reached(run: &RunResult, seen: &Indicators) -> Ruling {
    let (t, plan) = (&run.totals, &run.plan);
    if t.attempts == 0 {
        return Ruling::Undecided("no request was started".into());
    }
    let asked = t.users_asked.max(plan.users);
    let missing_rate = seen.shortfall.filter(|s| s.missing > FALL_SHORT_SHARE * s.asked && s.missing >= FALL_SHORT_REQUESTS);
    // The ramp was longer than the run: fewer users were ever started, whatever they held.
    let started = started_of_ramp(run, asked);
    let too_few = expected_at_once(run).is_some_and(|e| f64::from(t.users_reached) < e && t.users_reached < asked);
    let refused_here = refusal::of(run, seen).filter(|r| is_many(run, r.failed));
    if missing_rate.is_none() && !too_few && started.is_none() && refused_here.is_none() {
        return Ruling::Clear;
    }
    let duration = seen.duration_s;
    let evidence = |found: Found| {
        found
            .with("users_asked", asked)
            .with("users_reached", t.users_reached)
            .with("users_started", started)
            .with("rate_asked", plan.is_open_loop().then_some(plan.rate))
            .with("rate_achieved", plan.is_open_loop().then_some(t.attempts as f64 / duration))
            .with("never_started", t.never_started)
            .with("connects_failed", t.connects_failed)
            .ruling()
    };
    if let Some(refusal) = refused_here {
        return evidence(refusal.found(run, asked));
    }
    let kept_away = is_kept_away(run, seen);
    let (mut remedies, mut causes) = (Vec::new(), None);
    let (title, text) = if let Some(Shortfall { missing, asked: all }) = missing_rate {
        let achieved = t.attempts as f64 / duration;
        let connections = more_connections(run, asked);
        // What is still under way at the end was started, but a full target does not keep up with it.
        let kept_up = achieved.min(t.rps).max(0.1);
        // Ten digits of a percent are no rate that anybody would type.
        let rate = if kept_up >= 10.0 { (kept_up * 0.9).floor() } else { (kept_up * 9.0).floor() / 10.0 };
        let lower = load_with(plan, |p| p.rate = rate.max(0.1));
        let lower = advice(
            "ask for a rate that can be reached",
            lower,
            format!("{}/s was answered", number((kept_up * 10.0).round() / 10.0)),
        );
        causes = Some(causes_of_missing(run));
        // A full target answers no faster over more connections.
        let full = seen.cpu.is_yes() || seen.queue.is_yes();
        remedies.extend(match (kept_away, full) {
            (true, _) => sustained_rate(run, seen).into_iter().collect(),
            (false, true) => vec![lower],
            (false, false) => vec![connections, lower],
        });
        let only = asked == 1;
        let because = match (kept_away, only) {
            (true, true) => "the only connection could not be made when they were due (its user pauses after a failure)",
            (true, false) => "connections could not be made when they were due, and a user pauses after such a failure",
            (false, true) => "the only connection was busy when they were due",
            (false, false) => &format!("all {asked} connections were busy when they were due"),
        };
        (
            format!(
                "{}/s were asked and {}/s made: {} never started",
                number(plan.rate),
                number((achieved * 10.0).round() / 10.0),
                count(missing.round() as u64, "request")
            ),
            format!(
                "Of {} that the schedule wanted, {missing:.0} ({}) were not started: {because}. The latencies of those that were started count from their due time; those of the others are in no figure. \
                 Read this run as {}/s, not as {}/s.",
                count(all.round() as u64, "request"),
                percent(missing / all.max(1.0)),
                number(achieved.round()),
                number(plan.rate)
            ),
        )
    } else if let Some(n) = started {
        if !was_stopped(run) {
            // What failed beside it did not make the ramp longer.
            causes = Some(Vec::new());
        }
        unstarted(run, seen, asked, n, &mut remedies)
    } else {
        let look = advice(
            "see what holds them while it runs",
            format!("ss -tan dst {} | awk '{{print $1}}' | sort | uniq -c", plan.target.addr.ip()),
            "SYN-SENT: the target does not accept; few ESTAB: it closes or refuses",
        );
        let (all, reached) = (count(asked, "user"), t.users_reached);
        if reached == 0 {
            // There is no smaller load that works: nothing did.
            let url = format!("http://{}{}", plan.target.authority, plan.mix.first().map_or("/", |m| m.path.as_str()));
            let hand = format!("curl -v {}", quoted(&url));
            remedies.push(advice(
                "make one connection by hand",
                hand,
                "an answer, or the reason why there is none: 1 instead of 0",
            ));
            remedies.push(look);
        } else {
            let fewer = load_with(plan, |p| p.users = reached);
            remedies.push(look);
            remedies.push(advice(
                "ask for what was reached",
                fewer,
                format!("{}, each with a connection", count(reached, "user")),
            ));
        }
        (
            format!("{reached} of {all} held a connection at the same time"),
            format!(
                "The plan asked for {all}, and {} held a connection at the same time: connections were refused, ended early, or took too long to make. {}",
                if reached == 0 { "none".to_owned() } else { format!("at most {reached}") },
                if reached == 0 {
                    "Nothing was measured of the target under load: read no rate or latency here as its own.".to_owned()
                } else {
                    format!("The concurrency of this run is what was reached; throughput and latency belong to it, not to {all}.")
                }
            ),
        )
    };
    let found = Found::new(title, text).remedies(remedies);
    evidence(match causes {
        Some(causes) => found.caused_only_by(causes),
        None => found,
    })
}

/// The run was over before all users had started.
fn unstarted(run: &RunResult, seen: &Indicators, asked: u32, n: u32, remedies: &mut Vec<Remedy>) -> (String, String) {
    let (plan, ramp, duration) = (&run.plan, run.plan.ramp().as_secs_f64(), seen.duration_s);
    let all = format!("all {asked} users");
    if was_stopped(run) {
        let again = if plan.duration.is_zero() { "let it run to its end" } else { "let it run for the time asked" };
        remedies.push(advice(again, load_with(plan, |_| ()), format!("{all} have started after {}", s(ramp))));
        let title =
            format!("{n} of {} started: the run ended after {} of a ramp of {}", count(asked, "user"), s(duration), s(ramp));
        let text = format!(
            "The run ended after {}, when {n} of {} had started (at {}/s). Read its figures as those of {} at most.",
            s(duration),
            count(asked, "user"),
            number(plan.spawn_rate),
            count(n, "user")
        );
        return (title, text);
    }
    let counted = plan.requests > 0 && run.totals.attempts >= plan.requests;
    let longer = load_with(plan, |p| {
        if counted {
            let by_user = (p.requests as f64 / f64::from(n.max(1)) * f64::from(asked) * 2.0).ceil();
            p.requests = by_user as u64;
        } else {
            p.duration = std::time::Duration::from_secs((ramp * 2.0).ceil() as u64);
        }
    });
    remedies.push(advice("let the run outlast its ramp", longer, format!("{all} after {}", s(ramp))));
    let faster = load_with(plan, |p| p.spawn_rate = (f64::from(plan.users) / (duration / 3.0)).ceil());
    remedies.push(advice("start the users faster", faster, format!("{all} after {}", s(duration / 3.0))));
    let why = if counted {
        format!("the {} were used up after", count(plan.requests, "request"))
    } else {
        "the run ended after".to_owned()
    };
    (
        format!("{n} of {} started: the ramp takes {}, the run {}", count(asked, "user"), s(ramp), s(duration)),
        format!(
            "Users start at {}/s, so the last of {asked} would have started after {}, but {why} {}. Read its figures as those of {} at most.",
            number(plan.spawn_rate),
            s(ramp),
            s(duration),
            count(n, "user")
        ),
    )
}
