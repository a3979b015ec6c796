//! The rule about users or a rate that were asked for and not reached.

use super::prelude::*;
use super::unfinished::first_by_hand;
use super::{rate, refusal};

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

/// Users that were started, where the run ended before all that were asked for; none where all were.
pub(crate) fn users_started(run: &RunResult) -> Option<u32> {
    started_of_ramp(run, run.totals.users_asked.max(run.plan.users))
}

/// The run ended before the time or the count that was asked for: a signal, or nothing worked at all.
fn was_stopped(run: &RunResult) -> bool {
    let plan = &run.plan;
    let counted = plan.requests > 0 && run.totals.attempts >= plan.requests;
    !counted && (plan.duration.is_zero() || duration_s(run) < plan.duration.as_secs_f64() - EARLY_END_S)
}

/// Kept connections: each started user keeps one to the end.
fn keeps_connections(run: &RunResult) -> bool {
    let t = &run.totals;
    run.plan.keepalive && t.requests_per_connection.is_none_or(|n| n > 1.5 || t.requests < u64::from(run.plan.users) * 2)
}

/// Asked and reached users, where each should have had a connection and fewer did; for the stamp, which says so even
/// where nothing is wrong with it.
pub(in crate::diagnose) fn fewer_held(run: &RunResult) -> Option<(u32, u32)> {
    let (t, asked) = (&run.totals, run.totals.users_asked.max(run.plan.users));
    let short = f64::from(t.users_reached) < f64::from(asked) * (1.0 - FALL_SHORT_SHARE);
    (!run.plan.is_open_loop() && t.attempts > 0 && keeps_connections(run) && short).then_some((asked, t.users_reached))
}

/// How many of the asked users can be expected to have a connection at the same time; none when it cannot be said.
fn expected_at_once(run: &RunResult) -> Option<f64> {
    let (plan, asked) = (&run.plan, f64::from(run.totals.users_asked.max(run.plan.users)));
    if plan.is_open_loop() || (plan.requests > 0 && run.totals.attempts < ATTEMPTS_PER_USER * u64::from(plan.users)) {
        return None;
    }
    // One that ended early may not have come to its highest stage.
    let all_started_s =
        if plan.stages.is_some() { plan.duration.as_secs_f64() - EARLY_END_S } else { plan.ramp().as_secs_f64() + 1.0 };
    if plan.requests == 0 && all_started_s > duration_s(run) {
        return None;
    }
    // A connection per answer exists only while the answer is under way; with think time hardly ever by all at once.
    match (keeps_connections(run), plan.think.max.is_zero()) {
        (true, _) => Some(asked * (1.0 - FALL_SHORT_SHARE)),
        (false, true) => Some(asked * SHORT_AT_ONCE_SHARE),
        (false, false) => None,
    }
}

pub(in crate::diagnose) fn users_not_reached(run: &RunResult, seen: &Indicators) -> Ruling {
    let (t, plan) = (&run.totals, &run.plan);
    if t.attempts == 0 {
        return undecided("no request was started");
    }
    let asked = t.users_asked.max(plan.users);
    let missing_rate = seen.shortfall.filter(|s| s.missing > FALL_SHORT_SHARE * s.asked && s.missing >= FALL_SHORT_REQUESTS);
    // The ramp was longer than the run: fewer users were ever started, whatever connections they had.
    let started = started_of_ramp(run, asked);
    let too_few = expected_at_once(run).is_some_and(|e| f64::from(t.users_reached) < e && t.users_reached < asked);
    let refused_here = refusal::of(run, seen).filter(|r| is_many(run, r.failed));
    if missing_rate.is_none() && !too_few && started.is_none() && refused_here.is_none() {
        return Err(Clear);
    }
    let duration = seen.duration_s;
    let evidence = |found: Found| {
        Ok(found
            .with("users_asked", asked)
            .with("users_reached", t.users_reached)
            .with("users_started", started)
            .with("rate_asked", plan.is_open_loop().then_some(plan.mean_rate(duration)))
            .with("rate_achieved", plan.is_open_loop().then_some(t.attempts as f64 / duration))
            .with("never_started", t.never_started)
            .with("connects_failed", t.connects_failed))
    };
    if let Some(refusal) = refused_here {
        return evidence(refusal.found(run, asked));
    }
    let found = if let Some(shortfall) = missing_rate {
        rate::missing(run, seen, shortfall, asked)
    } else if let Some(n) = started {
        let found = unstarted(run, seen, asked, n);
        // What failed beside it did not make the ramp longer.
        if was_stopped(run) { found } else { found.caused_only_by(Vec::new()) }
    } else {
        fewer(run, asked)
    };
    evidence(found)
}

/// Fewer users had a connection than were asked for.
fn fewer(run: &RunResult, asked: u32) -> Found {
    let (plan, reached) = (&run.plan, run.totals.users_reached);
    let all = counted(asked, "user");
    let look = advice(
        "see the state of their connections while it runs",
        format!("ss -tan dst {} | awk '{{print $1}}' | sort | uniq -c", plan.target.addr.ip()),
        "many SYN-SENT: the target does not accept; few ESTAB: it closes or refuses",
    );
    let why = "connections were refused, ended early, or took too long to be made";
    let (text, remedy) = if reached == 0 {
        // There is no smaller load that works: nothing did.
        (
            format!("None of {all} had a connection: {why}. Nothing was measured of the target under load."),
            advice(
                "make one connection by hand",
                format!("curl -v {}", first_by_hand(run)),
                "1 answer, or the reason why there is none",
            ),
        )
    } else {
        (
            format!(
                "At most {} of {all} had a connection at the same time: {why}. Throughput and latency are those of {}.",
                count(reached),
                counted(reached, "user")
            ),
            advice(
                "ask for what was reached",
                load_with(plan, |p| p.users = reached),
                format!("{}, each with a connection", counted(reached, "user")),
            ),
        )
    };
    let remedies = if reached == 0 { vec![remedy, look] } else { vec![look, remedy] };
    Found::new(format!("{} of {all} had a connection at the same time", count(reached)), text).remedies(remedies)
}

/// The run was over before all users had started.
fn unstarted(run: &RunResult, seen: &Indicators, asked: u32, n: u32) -> Found {
    let (plan, ramp, duration) = (&run.plan, run.plan.ramp().as_secs_f64(), seen.duration_s);
    let (all, spawned) = (counted(asked, "user"), figures::rate(plan.spawn_rate));
    let as_of = format!("Read its figures as those of {} at most.", counted(n, "user"));
    if was_stopped(run) {
        let again = if plan.duration.is_zero() { "let it run to its end" } else { "let it run for the time asked" };
        let remedy = advice(again, load_with(plan, |_| ()), format!("all {all} have started after {}", seconds(ramp)));
        let title = format!("{n} of {all} started: the run ended after {} of a ramp of {}", seconds(duration), seconds(ramp));
        let text = format!("The run ended after {}, when {n} of {all} had started (at {spawned}/s). {as_of}", seconds(duration));
        let at_once = load_with(plan, |p| p.spawn_rate = 0.0);
        let at_once = advice("start all users at once", at_once, format!("all {all} from the start"));
        return Found::new(title, text).remedies(vec![remedy, at_once]);
    }
    let counts = plan.requests > 0 && run.totals.attempts >= plan.requests;
    let longer = load_with(plan, |p| {
        if counts {
            let by_user = (p.requests as f64 / f64::from(n.max(1)) * f64::from(asked) * 2.0).ceil();
            p.requests = by_user as u64;
        } else {
            p.duration = Duration::from_secs((ramp * 2.0).ceil() as u64);
            // A warm-up that did not fit in was none.
            p.warmup = if plan.warmup < plan.duration { plan.warmup } else { Duration::ZERO };
        }
    });
    let faster = load_with(plan, |p| p.spawn_rate = (f64::from(plan.users) / (duration / 3.0)).ceil());
    let why = if counts {
        format!("the {} were used up after {}", counted(plan.requests, "request"), seconds(duration))
    } else {
        format!("the run ended after {}", seconds(duration))
    };
    Found::new(
        format!("{n} of {all} started: the ramp takes {}, the run {}", seconds(ramp), seconds(duration)),
        format!("Users start at {spawned}/s, so the last of {all} starts after {}; {why}. {as_of}", seconds(ramp)),
    )
    .remedies(vec![
        advice("let the run outlast its ramp", longer, format!("all {all} after {}", seconds(ramp))),
        advice("start the users faster", faster, format!("all {all} after {}", seconds(duration / 3.0))),
    ])
}
