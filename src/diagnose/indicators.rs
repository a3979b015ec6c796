//! What the rules read off a run: figures that several rules need, each derived in one place. A figure that cannot
//! be had is none, never a guess.

use super::ports::budget::{Budget, Hold, HoldFacts, hold_for, rate_until};
use crate::model::outcome::{Call, EADDRNOTAVAIL};
use crate::model::plan::{Closer, PortMode};
use crate::model::result::{ErrorRow, NoPort, RunResult, SeriesPoint};

/// Rows of the error table that one rule is about.
#[derive(Debug, Clone)]
pub(super) struct Rows<'a>(pub(super) Vec<&'a ErrorRow>);

impl<'a> Rows<'a> {
    /// The rows for which `wanted` holds.
    pub(super) fn of(run: &'a RunResult, wanted: impl Fn(&ErrorRow) -> bool) -> Self {
        Self(run.errors.iter().filter(|e| e.count > 0 && wanted(e)).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, r| sum.saturating_add(r.count))
    }

    /// The most frequent row; of equals the first.
    pub(super) fn largest(&self) -> Option<&'a ErrorRow> {
        self.0.iter().copied().reduce(|a, b| if b.count > a.count { b } else { a })
    }

    pub(super) fn first_s(&self) -> f64 {
        self.0.iter().map(|r| r.first_s).fold(f64::INFINITY, f64::min)
    }

    pub(super) fn last_s(&self) -> f64 {
        self.0.iter().map(|r| r.last_s).fold(0.0, f64::max)
    }

    /// `ECONNRESET at read() 12, EOF at read() 3`, the most frequent first, equal kinds of all endpoints summed.
    pub(super) fn in_words(&self) -> String {
        let mut kinds: Vec<(String, u64)> = Vec::new();
        for row in &self.0 {
            let kind = match row.call {
                Call::Http => format!("status {}", row.name),
                Call::Protocol => row.name.clone(),
                Call::Timeout => row.message.rsplit_once(", ").map_or_else(|| row.name.clone(), |(_, phase)| phase.to_owned()),
                call => format!("{} at {}()", row.name, call.word()),
            };
            match kinds.iter_mut().find(|k| k.0 == kind) {
                Some(known) => known.1 += row.count,
                None => kinds.push((kind, row.count)),
            }
        }
        kinds.sort_by_key(|k| std::cmp::Reverse(k.1));
        kinds.truncate(4);
        kinds.iter().map(|(kind, n)| format!("{n} x {kind}")).collect::<Vec<_>>().join(", ")
    }

    /// The endpoints hit, at most three by name.
    pub(super) fn endpoints(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for row in &self.0 {
            if !names.contains(&row.endpoint.as_str()) {
                names.push(&row.endpoint);
            }
        }
        let rest = names.len().saturating_sub(3);
        names.truncate(3);
        if rest > 0 { format!("{} and {rest} more", names.join(", ")) } else { names.join(", ") }
    }
}

/// Failures of the totals that no row of the error table names, by side.
pub(super) fn unnamed(run: &RunResult, local: bool) -> u64 {
    let named =
        run.errors.iter().filter(|e| e.local == local && e.name != "OTHER").fold(0_u64, |sum, e| sum.saturating_add(e.count));
    let all = if local { run.totals.local_failures } else { run.totals.failures };
    all.saturating_sub(named)
}

/// The pool to the destination was used up.
pub(super) fn is_exhaustion(row: &ErrorRow) -> bool {
    row.no_port() == Some(NoPort::Exhausted)
}

/// One particular port is held.
pub(super) fn is_busy(row: &ErrorRow) -> bool {
    row.no_port() == Some(NoPort::Busy)
}

/// bind(2) of an explicit source address that this host has not: no port was chosen yet.
pub(super) fn is_foreign_source(row: &ErrorRow) -> bool {
    row.local && row.call == Call::Bind && row.errno == Some(EADDRNOTAVAIL)
}

/// Failed connections that ran out of ports.
pub(super) fn exhaustion(run: &RunResult) -> Rows<'_> {
    Rows::of(run, is_exhaustion)
}

/// T for the run's destination: as observed, else by the truth table; none when a setting is unknown.
pub(super) fn hold(run: &RunResult) -> Option<Hold> {
    let s = &run.host.sysctls;
    let by_table = hold_for(&HoldFacts {
        destination: run.plan.target.addr.ip(),
        tcp_tw_reuse: s.tcp_tw_reuse,
        tcp_tw_reuse_delay_ms: s.tcp_tw_reuse_delay_ms,
        tcp_timestamps: s.tcp_timestamps,
        port_mode: run.plan.port_mode,
        reuse_addr: run.plan.reuse_addr,
        closer: run.plan.closer,
    });
    match run.ports.as_ref().and_then(|p| p.hold_s).filter(|s| s.is_finite() && *s >= 0.0) {
        Some(seconds) => {
            let why = by_table.filter(|h| (h.seconds - seconds).abs() < 1e-6).map_or_else(String::new, |h| h.why);
            Some(Hold { seconds, why })
        }
        None => by_table,
    }
}

/// P towards the destination.
pub(super) fn pool(run: &RunResult) -> Option<u32> {
    run.ports.as_ref().and_then(|p| p.pool)
}

/// P and T.
pub(super) fn budget(run: &RunResult) -> Option<Budget> {
    Some(Budget::new(pool(run)?, hold(run)?.seconds))
}

/// Seconds the run lasted; at least a thousandth, so that rates stay finite.
pub(super) fn duration_s(run: &RunResult) -> f64 {
    if run.duration_s.is_finite() { run.duration_s.max(0.001) } else { 0.001 }
}

/// The share of ended connections that the client ended first and by FIN: only these leave it a TIME_WAIT.
pub(super) fn closed_by_client(run: &RunResult) -> f64 {
    let c = run.closes;
    let all = c.client as f64 + c.server as f64 + c.reset as f64;
    if all > 0.0 { c.client as f64 / all } else { f64::from(u8::from(run.plan.closer == Closer::Client)) }
}

/// New connections a second that leave a port held: the first connection of each user, which stands until the run
/// ends when connections are kept, does not count.
pub(super) fn wearing_cps(run: &RunResult) -> f64 {
    let t = &run.totals;
    let first = if run.plan.keepalive { u64::from(t.users_reached.max(t.users_asked)) } else { 0 };
    t.connections_opened.saturating_sub(first) as f64 / duration_s(run) * closed_by_client(run)
}

/// The most wearing connections within any `window_s` of the run: from the series, else by the mean rate.
pub(super) fn wearing_within(run: &RunResult, window_s: f64) -> f64 {
    let by_mean = wearing_cps(run) * window_s;
    let whole = run.series.len().saturating_sub(1);
    if run.plan.keepalive || whole == 0 || !window_s.is_finite() {
        return by_mean;
    }
    let wide = (window_s.ceil().max(1.0) as usize).min(whole);
    let sums = run.series[..whole].windows(wide).map(|w| w.iter().map(|p| p.connects as f64).sum::<f64>());
    let most = sums.fold(0.0, f64::max) * closed_by_client(run) * (window_s / wide as f64).min(1.0);
    most.max(by_mean)
}

/// Connections a second made before `until_s`, the first refusal: the rate that used the pool up.
pub(super) fn cps_before(run: &RunResult, until_s: f64) -> Option<f64> {
    let leftover = run.ports.as_ref().and_then(|p| p.leftover_before).unwrap_or(0);
    let free = budget(run).filter(|b| until_s <= b.hold.as_secs_f64()).map(|b| b.pool.saturating_sub(leftover));
    rate_until(run.series.iter().map(|p| p.connects), until_s, free.map(u64::from))
}

/// Ports held in each second of the series: as observed, the last observation before it where the observer did not
/// look in that second.
pub(super) fn held_by_second(run: &RunResult) -> Vec<(&SeriesPoint, Option<u32>)> {
    let mut last = None;
    run.series
        .iter()
        .map(|p| {
            last = p.ports_used.or(last);
            (p, last)
        })
        .collect()
}

/// As [`held_by_second`], but a second without an observation is known only where those before and after it lie on
/// the same side of `border`: the ports may have been taken in either.
pub(super) fn held_against(run: &RunResult, border: f64) -> Vec<(&SeriesPoint, Option<u32>)> {
    let mut rows = held_by_second(run);
    let mut next = None;
    for (point, held) in rows.iter_mut().rev() {
        next = point.ports_used.or(next);
        let crosses = |(a, b): (u32, u32)| (f64::from(a) > border) != (f64::from(b) > border);
        if point.ports_used.is_none() && held.zip(next).is_some_and(crosses) {
            *held = None;
        }
    }
    rows
}

/// Mean wait of the plan plus nothing else, seconds.
pub(super) fn think_s(run: &RunResult) -> f64 {
    run.plan.think.mean().as_secs_f64()
}

/// Mean answered response of the steady part, else of the whole run, seconds.
pub(super) fn response_s(run: &RunResult) -> Option<f64> {
    let t = &run.totals;
    let ms = t.steady.as_ref().and_then(|s| s.latency_ms).or(t.latency_ms)?.mean;
    (ms.is_finite() && ms >= 0.0).then_some(ms / 1000.0)
}

/// Requests per second of the steady part, else of the whole run.
pub(super) fn steady_rps(run: &RunResult) -> f64 {
    run.totals.steady.as_ref().map_or(run.totals.rps, |s| s.rps)
}

/// Share of the attempts that failed, on either side.
pub(super) fn failed_share(run: &RunResult) -> f64 {
    let t = &run.totals;
    t.failures.saturating_add(t.local_failures) as f64 / t.attempts.max(1) as f64
}

/// Asked requests that were not made, and all that were asked, in an open loop; none in a closed one.
pub(super) fn rate_shortfall(run: &RunResult) -> Option<(f64, f64)> {
    if !run.plan.is_open_loop() {
        return None;
    }
    let made = run.totals.attempts as f64;
    let by_schedule = made + run.totals.never_started as f64;
    let by_clock = run.plan.rate * duration_s(run);
    let asked =
        if run.plan.requests > 0 { by_schedule.min(run.plan.requests as f64).max(made) } else { by_schedule.max(by_clock) };
    Some(((asked - made).max(0.0), asked))
}

/// The kernel looks for a port in connect(2).
pub(super) fn kernel_searches(run: &RunResult) -> bool {
    matches!(run.plan.port_mode, PortMode::Auto | PortMode::NoPort)
}

/// Users grew and throughput did not: (users, rps, p50) of the earlier and of the later seconds.
pub(super) struct Growth {
    pub(super) users: (f64, f64),
    pub(super) rps: (f64, f64),
    pub(super) p50_ms: (f64, f64),
}

/// Compares the seconds at about half of the users with those at nearly all; none where the users never grew that
/// much, or for want of seconds. Seconds with failures are left out: failed requests make another loop.
pub(super) fn growth(run: &RunResult) -> Option<Growth> {
    use super::thresholds::{GROWN_USERS, GROWTH_SECONDS};
    let top = f64::from(run.series.iter().map(|p| p.users_asked).max()?);
    let band = |lo: f64, hi: f64| {
        let points: Vec<(f64, f64, f64)> = run
            .series
            .iter()
            .filter(|p| p.failures_per_s + p.local_failures_per_s <= 0.0)
            .filter(|p| (lo * top..=hi * top).contains(&f64::from(p.users_asked)))
            .filter_map(|p| Some((f64::from(p.users_asked), p.rps, p.p50_ms?)))
            .collect();
        let n = points.len() as f64;
        let mean = |f: fn(&(f64, f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / n;
        (points.len() >= GROWTH_SECONDS).then(|| (mean(|p| p.0), mean(|p| p.1), mean(|p| p.2)))
    };
    let (early, late) = (band(0.35, 0.65)?, band(0.95, 1.0)?);
    (late.0 >= GROWN_USERS * early.0).then_some(Growth {
        users: (early.0, late.0),
        rps: (early.1, late.1),
        p50_ms: (early.2, late.2),
    })
}
