//! What stalled: requests that got no answer, the client itself, the target.

use super::contention::others_percent;
use super::places::none_accepted;
use super::prelude::*;
use super::rows::stop_s;
use crate::model::result::{Silence, Stretch};

/// Requests that waited longer than any answered one and got nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Hang {
    /// that were still in flight at the end, each on a connection of its own
    pub(in crate::diagnose) in_flight: u64,
    /// that the plan's timeout ended before a byte came
    pub(in crate::diagnose) timed_out: u64,
    /// of both, those of which part of an answer came
    pub(in crate::diagnose) begun: u64,
    /// the longest of these waits, milliseconds
    pub(in crate::diagnose) waited_ms: f64,
    /// slowest answered request, milliseconds; none where nothing was answered
    pub(in crate::diagnose) slowest_ms: Option<f64>,
    /// when the oldest of those in flight was sent, or the first of the timed out ones
    pub(in crate::diagnose) since_s: Option<f64>,
    /// answers per second until then, where nothing was answered from then on
    pub(in crate::diagnose) rps_before: Option<f64>,
    /// this program stalled for most of these waits
    pub(in crate::diagnose) is_own_stall: bool,
    /// connections that wait in the target's accept queue, where these are all: the kernel made them, and the program has
    /// accepted none
    pub(in crate::diagnose) never_accepted: Option<u32>,
}

impl Hang {
    pub(in crate::diagnose) const fn requests(&self) -> u64 {
        self.in_flight.saturating_add(self.timed_out)
    }
}

pub(super) fn hang(run: &RunResult) -> Seen<Hang> {
    let t = &run.totals;
    let slowest_ms = t.service_latency_ms.or(t.latency_ms).map(|l| l.max);
    let is_long = |ms: f64| ms >= HANG_MS && ms >= HANG_TIMES * slowest_ms.unwrap_or(0.0);
    let timeout_ms = run.plan.timeout.as_secs_f64() * 1000.0;
    let given_up = |phase: Phase| {
        Rows::of(run, |row| {
            Kind::of(row) == Kind::AnswerTimeout && row.failure().is_some_and(|f| f.cause == Cause::TimedOut(phase))
        })
    };
    let (waiting, receiving) = (given_up(Phase::Waiting), given_up(Phase::Receiving));
    let timed_out = if is_long(timeout_ms) { waiting.count().saturating_add(receiving.count()) } else { 0 };
    // What a target did while it was being stopped too is no wait.
    let overdue = t.in_flight.filter(|f| f.overdue > 0 && is_long(f.waited_max_ms - stop_s(run) * 1000.0));
    if timed_out == 0 && overdue.is_none() {
        return match t.in_flight {
            None if t.cut > 0 => {
                undecided(format!("how long the {} requests in flight at the end had waited was not recorded", t.cut))
            }
            _ => Err(Clear),
        };
    }
    let in_flight = overdue.map_or(0, |f| f.overdue);
    // Those that began may be ordinary answers that the end of the run cut: as many as are not overdue.
    let begun_in_flight = overdue.map_or(0, |f| f.receiving.saturating_sub(f.count.saturating_sub(f.overdue)));
    let (by_timeout_ms, first_s) = match timed_out {
        0 => (0.0, f64::INFINITY),
        _ => (timeout_ms, waiting.first_s().min(receiving.first_s()) - timeout_ms / 1000.0),
    };
    let since = overdue.and_then(|f| f.oldest_sent_s).unwrap_or(f64::INFINITY).min(first_s);
    if let Some(why) = no_way_back(run, since) {
        return undecided(why);
    }
    let silent = run.totals.silences.iter().flatten().find_map(|s| lasts_until(s, run.duration_s));
    // Answers that came after the first of them was sent belong to no part before.
    let rps_before = silent.filter(|from| (*from - since).abs() <= 1.0 && *from > 0.0).map(|from| {
        let answered = run.totals.requests.saturating_sub(run.totals.failures);
        answered as f64 / from
    });
    let by_timeout = timed_out == 0 || {
        let ended_s = [waiting.first_s().min(receiving.first_s()), waiting.last_s().max(receiving.last_s())];
        stalls_cover(run, ended_s, timeout_ms / 1000.0)
    };
    let by_end = overdue.is_none_or(|f| {
        let ended_s = [run.duration_s - stop_s(run); 2];
        stalls_cover(run, ended_s, f.waited_max_ms / 1000.0 - stop_s(run))
    });
    let begun = begun_in_flight.saturating_add(if timed_out > 0 { receiving.count() } else { 0 });
    let nobody = slowest_ms.is_none() && begun == 0;
    let never_accepted = none_accepted(run).filter(|_| nobody);
    Ok(Hang {
        never_accepted,
        is_own_stall: by_timeout && by_end,
        rps_before: rps_before.filter(|_| slowest_ms.is_some()),
        in_flight,
        timed_out,
        begun,
        waited_ms: overdue.map_or(0.0, |f| f.waited_max_ms).max(by_timeout_ms),
        slowest_ms,
        since_s: since.is_finite().then(|| since.max(0.0)),
    })
}

/// Since when this machine itself refused every connection, to the end of the run (an address, a route or an interface is
/// gone, a policy forbids it); none where it did not, not to the end, or where something was answered after. Seconds.
fn cut_off_s(run: &RunResult) -> Option<f64> {
    let rows = Rows::are(run, |kind| matches!(kind, Kind::OwnMachine | Kind::ForeignSource));
    let to_the_end = rows.count() > 1 && rows.last_s() + seen_late_s(run) >= run.duration_s;
    let since_s = to_the_end.then(|| rows.first_s()).filter(|s| s.is_finite())?;
    // Another source, or another endpoint, may have gone on. What was in flight is answered within a second.
    let went_on = seconds_of(run).any(|(from_s, p)| p.p50_ms.is_some() && from_s > since_s + seen_late_s(run));
    (!went_on).then_some(since_s)
}

/// How long users may take to see that there is no way any more: they pause, and wait for an answer, before they connect.
/// At most a second: a single slow answer must not widen it.
fn seen_late_s(run: &RunResult) -> f64 {
    let answer_ms = run.totals.latency_ms.map_or(0.0, |l| l.p99);
    (CUT_OFF_S + run.plan.think.mean().as_secs_f64() + answer_ms / 1000.0).min(1.0)
}

/// Why nobody can say whether the target answered requests that were sent at `since_s` or later: this machine had no way
/// to it any more.
pub(in crate::diagnose) fn no_way_back(run: &RunResult, since_s: f64) -> Option<String> {
    let cut_s = cut_off_s(run).filter(|cut_s| since_s + seen_late_s(run) >= *cut_s)?;
    Some(format!(
        "this machine itself had no way to the target from {} on: whether the target answered what was in flight is not known",
        seconds(cut_s)
    ))
}

/// Stretches of one kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Stalls {
    pub(in crate::diagnose) times: usize,
    pub(in crate::diagnose) longest: Stretch,
    pub(in crate::diagnose) first_s: f64,
    pub(in crate::diagnose) last_s: f64,
    /// all of them together
    pub(in crate::diagnose) total_s: f64,
}

impl Stalls {
    fn of(stretches: &[Stretch]) -> Option<Self> {
        let longest = *stretches.iter().max_by(|a, b| a.length_s().total_cmp(&b.length_s()))?;
        Some(Self {
            times: stretches.len(),
            longest,
            first_s: stretches.iter().map(|s| s.from_s).fold(f64::INFINITY, f64::min),
            last_s: stretches.iter().map(|s| s.to_s).fold(0.0, f64::max),
            total_s: stretches.iter().map(Stretch::length_s).sum(),
        })
    }
}

pub(super) fn client_stalls(run: &RunResult) -> Seen<Stalls> {
    let Some(all) = run.resources.client.stalls.as_ref() else {
        return undecided("whether this program's own threads stalled was not recorded");
    };
    let long: Vec<Stretch> = all.iter().copied().filter(|s| s.length_s() >= CLIENT_STALL_S).collect();
    Stalls::of(&long).ok_or(Clear)
}

/// Whether this program stalled for at least [`STALL_SHARED`] of each wait that ended from `first_s` to `last_s`, so that
/// it, and not the target, let them end without an answer. Seconds of the run, and how long each waited.
///
/// Of the waits between the first and the last nothing is known: the same stall covers both, or each second with failures
/// has part of a stall.
pub(in crate::diagnose) fn stalls_cover(run: &RunResult, ended_s: [f64; 2], waited_s: f64) -> bool {
    let all = run.resources.client.stalls.as_deref().unwrap_or(&[]);
    let long: Vec<Stretch> = all.iter().copied().filter(|s| s.length_s() >= CLIENT_STALL_S).collect();
    cover(run, &long, ended_s, waited_s)
}

/// Whether these stretches cover at least [`STALL_SHARED`] of each wait of `waited_s` that ended from `first_s` to `last_s`.
pub(in crate::diagnose) fn cover(run: &RunResult, long: &[Stretch], [first_s, last_s]: [f64; 2], waited_s: f64) -> bool {
    let long = || long.iter();
    let covers = |stall: &Stretch, to_s: f64| {
        let shared_s = stall.shared_s(&Stretch { from_s: to_s - waited_s, to_s });
        shared_s > 0.0 && shared_s >= STALL_SHARED * waited_s
    };
    if long().any(|stall| covers(stall, first_s) && covers(stall, last_s)) {
        return true;
    }
    let has_stall = |from_s: f64, to_s: f64| long().any(|s| s.from_s <= to_s && from_s <= s.to_s);
    let mut failed = seconds_of(run).filter(|(_, p)| p.failures_per_s > 0.0).peekable();
    failed.peek().is_some()
        && [first_s, last_s].iter().all(|to_s| long().any(|stall| covers(stall, *to_s)))
        && failed.all(|(from_s, p)| has_stall(from_s, p.t_s))
}

/// Who stalled while nothing was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::diagnose) enum Still {
    /// the target's process was stopped (SIGSTOP, a debugger)
    TargetStopped,
    /// the target's process used no CPU
    TargetIdle,
    /// the target's process was busy: it worked, and answered nobody
    TargetBusy,
    /// threads waited for a core
    Host,
    /// the target's process used no CPU, and the machine had none idle
    HostFull,
    /// the target's process cannot be seen from here
    Unseen,
}

/// Nothing was answered for a while.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::diagnose) struct TargetStall {
    pub(in crate::diagnose) stalls: Stalls,
    pub(in crate::diagnose) still: Still,
    /// most requests that waited at the same time
    pub(in crate::diagnose) in_flight: u32,
    /// each of them
    pub(in crate::diagnose) stretches: Vec<Stretch>,
}

pub(super) fn target_stall(run: &RunResult, seen: &Indicators) -> Seen<TargetStall> {
    let l = run.totals.service_latency_ms.or(run.totals.latency_ms).ok_or(Clear)?;
    let Some(silences) = run.totals.silences.as_ref() else {
        return match seen.duration_s {
            short if short < STALL_S => Err(Clear),
            _ => undecided("stretches without an answer were not recorded"),
        };
    };
    let shortest = STALL_S.max(STALL_TIMES * l.p75 / 1000.0);
    // One that lasts to the end may be a hang, or a target that is gone; where connections are still being made, it is
    // those that wait.
    let connecting = run.totals.in_flight.is_none_or(|f| f.connecting > 0);
    let is_other = seen.hang.is_ok() || seen.gone.is_some() || connecting || cut_off_s(run).is_some();
    let ended = |s: &&Silence| !is_other || lasts_until(s, seen.duration_s).is_none();
    let own = run.resources.client.stalls.as_deref().unwrap_or(&[]);
    let of_client = |s: &Silence| own.iter().map(|o| s.stretch.shared_s(o)).sum::<f64>() >= STALL_SHARED * s.stretch.length_s();
    // Where every request in flight hangs, nothing is answered until the timeout ends them: target-hangs says so.
    let timeout_s = run.plan.timeout.as_secs_f64();
    let hung = |s: &Silence| seen.hang.is_ok() && s.stretch.length_s() >= HUNG_SHARE * timeout_s;
    // Users whose SYN was lost wait for its retry, and for no answer.
    let slow_connects = seen.overflow.as_ref().ok().map(|o| o.retried).or(seen.retried).map_or(0.0, |r| r.longest_ms / 1000.0);
    // What a run's stop adds to the last one is not the target's.
    let length_s = |s: &Silence| s.stretch.length_s() - lasts_until(s, seen.duration_s).map_or(0.0, |_| stop_s(run));
    let long: Vec<&Silence> = silences
        .iter()
        .filter(|s| length_s(s) >= shortest)
        .filter(ended)
        .filter(|s| !of_client(s) && !hung(s) && s.stretch.length_s() > slow_connects)
        .collect();
    let stretches: Vec<Stretch> = long.iter().map(|s| s.stretch).collect();
    let stalls = Stalls::of(&stretches).ok_or(Clear)?;
    let in_flight = long.iter().map(|s| s.in_flight).max().unwrap_or(0);
    Ok(TargetStall { stalls, still: still(run, &stalls.longest), in_flight, stretches })
}

/// A silence that lasts to the end of a run of `duration_s`.
fn lasts_until(silence: &Silence, duration_s: f64) -> Option<f64> {
    (silence.stretch.to_s + END_S >= duration_s).then_some(silence.stretch.from_s)
}

/// A silence of this share of the timeout was ended by it.
const HUNG_SHARE: f64 = 0.9;
/// Before the end of a run: what lasts until then has not ended.
const END_S: f64 = 0.05;

fn still(run: &RunResult, stall: &Stretch) -> Still {
    let Some(target) = run.resources.target.as_ref() else { return Still::Unseen };
    let stopped: f64 = target.stopped.iter().flatten().map(|s| s.shared_s(stall)).sum();
    if stopped >= STALL_SHARED * stall.length_s() {
        return Still::TargetStopped;
    }
    // Whole seconds inside the stall; of a short one the seconds that it mostly fills.
    let shared_s = |p: &SeriesPoint| Stretch { from_s: p.t_s - 1.0, to_s: p.t_s }.shared_s(stall);
    let inside: Vec<_> = run.series.iter().filter(|p| shared_s(p) >= STALL_SHARED.min(stall.length_s() / 2.0)).collect();
    let mean = |of: fn(&SeriesPoint) -> Option<f64>| {
        let known: Vec<f64> = inside.iter().filter_map(|p| of(p)).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    // Shares of whole seconds: of the stall's own part of them it is more.
    let share = |of: fn(&SeriesPoint) -> Option<f64>| {
        let known = inside.iter().filter_map(|p| Some((of(p)?, shared_s(p))));
        let (percent, of_s) = known.fold((0.0, 0.0), |(a, b), (percent, s)| (a + percent, b + s));
        (of_s > 0.0).then(|| (percent / of_s).min(100.0))
    };
    let waited = share(|p| p.target_wait_percent).or_else(|| share(|p| p.client_wait_percent));
    match (waited, mean(|p| p.target_cpu_percent)) {
        (Some(wait), _) if wait >= STALL_WAIT_PERCENT => Still::Host,
        (_, Some(cpu)) if cpu < STALL_IDLE_PERCENT => {
            let is_full = mean(|p| p.host_cpu_percent).is_some_and(|host| host >= STALL_HOST_PERCENT);
            // A client that polls fills cores as well.
            let others: Vec<f64> = inside.iter().filter_map(|p| others_percent(run, p)).collect();
            let by_others = others.iter().sum::<f64>() >= OTHERS_PERCENT * others.len().max(1) as f64;
            if is_full && by_others { Still::HostFull } else { Still::TargetIdle }
        }
        (_, Some(_)) => Still::TargetBusy,
        (_, None) => Still::Unseen,
    }
}
