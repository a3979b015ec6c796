//! Source ports towards the destination: P, T, what uses them up, what used them when none was left.

use super::load::duration_s;
use super::prelude::*;
use crate::diagnose::ports::budget::{Budget, rate_until};
use crate::diagnose::ports::hold::Hold;
pub(in crate::diagnose) use crate::diagnose::ports::hold::hold_of as hold;
use crate::model::plan::{Closer, PortMode};

/// What used the ports when none was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::diagnose) enum Holding {
    /// seen towards the destination, mostly so
    By(Holder),
    /// connect() found none, and this many of the pool were not seen in use towards the destination
    Unseen(u32),
}

/// Source ports of one run.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::diagnose) struct PortFigures {
    /// P towards the destination
    pub(in crate::diagnose) pool: Option<u32>,
    /// T with its reason
    pub(in crate::diagnose) hold: Option<Hold>,
    /// P and T
    pub(in crate::diagnose) budget: Option<Budget>,
    pub(in crate::diagnose) closed_by_client: f64,
    pub(in crate::diagnose) wearing_cps: f64,
    /// connections that found no free port
    pub(in crate::diagnose) exhausted: u64,
    /// connections that found no local address at all: the same errno, though hardly a port was in use
    pub(in crate::diagnose) no_address: u64,
    /// connections whose own port was in use
    pub(in crate::diagnose) busy: u64,
    /// what used the ports when none was left; none when it was not observed
    pub(in crate::diagnose) holding: Option<Holding>,
    /// P/T decides: connections that have ended keep the ports in use, for T
    pub(in crate::diagnose) by_law: bool,
}

impl PortFigures {
    pub(super) fn of(run: &RunResult) -> Self {
        let (closed_by_client, holding) = (closed_by_client(run), holding(run));
        let (no_port, without_address) = (Rows::kind(run, Kind::NoPort).count(), has_no_address(run));
        Self {
            pool: pool(run),
            hold: hold(run),
            budget: budget(run),
            closed_by_client,
            wearing_cps: wearing_cps(run),
            exhausted: if without_address { 0 } else { no_port },
            no_address: if without_address { no_port } else { 0 },
            busy: Rows::kind(run, Kind::PortBusy).count(),
            holding,
            by_law: match holding {
                Some(by) => matches!(by, Holding::By(Holder::TimeWait | Holder::FinWait2)),
                // Not observed: connections that the client ends after an answer or two leave TIME_WAIT, others do not.
                None => closed_by_client > 0.5 && run.totals.requests_per_connection.is_none_or(|n| n < 2.0),
            },
        }
    }
}

/// connect() gives EADDRNOTAVAIL 99 for two reasons. Where nothing ever connected and the range is nearly free, there is
/// no local address for the destination (IPv6 is off, say).
fn has_no_address(run: &RunResult) -> bool {
    let Some((used, p)) = run.ports.as_ref().and_then(|p| p.peak_used.zip(p.pool)) else { return false };
    let nearly_free = f64::from(used) < POOL_NOT_FULL_SHARE * f64::from(p);
    // Ports that others bound are a reason as well.
    nearly_free && run.totals.connections_opened == 0 && elsewhere(run) < p.saturating_sub(used) / 2
}

fn holding(run: &RunResult) -> Option<Holding> {
    let ports = run.ports.as_ref()?;
    if let (Some(used), Some(p)) = (ports.peak_used, ports.pool)
        && f64::from(used) < POOL_SEEN_SHARE * f64::from(p)
    {
        if f64::from(run.totals.users_reached) >= POOL_SEEN_SHARE * f64::from(p) {
            // As many connections of this run were open at once, between two looks.
            return Some(Holding::By(Holder::Open));
        }
        return was_looked_at(run).then(|| ports.unseen().map(Holding::Unseen)).flatten();
    }
    ports.holder().map(Holding::By)
}

/// Whether the ports were counted in a second in which connections found none.
fn was_looked_at(run: &RunResult) -> bool {
    let spans = &run.totals.local_failure_spans;
    let failing = |t_s: f64| spans.is_empty() || spans.iter().any(|p| (p.from_s..=p.to_s).contains(&t_s));
    run.series.iter().any(|p| p.ports_used.is_some() && p.local_failures_per_s > 0.0 && failing(p.t_s))
}

/// Ports of the range that are seen with other destinations.
pub(in crate::diagnose) fn elsewhere(run: &RunResult) -> u32 {
    run.ports.as_ref().map_or(0, |p| p.elsewhere.iter().fold(0, |sum: u32, e| sum.saturating_add(e.ports)))
}

pub(in crate::diagnose) fn pool(run: &RunResult) -> Option<u32> {
    run.ports.as_ref().and_then(|p| p.pool)
}

pub(in crate::diagnose) fn budget(run: &RunResult) -> Option<Budget> {
    Some(Budget::new(pool(run)?, hold(run)?.seconds).capped_at(run.host.sysctls.tcp_max_tw_buckets))
}

/// The share of ended connections that the client ended first and by FIN: only these leave it a TIME_WAIT.
pub(in crate::diagnose) fn closed_by_client(run: &RunResult) -> f64 {
    let c = run.closes;
    let all = c.client as f64 + c.server as f64 + c.reset as f64;
    if all > 0.0 { c.client as f64 / all } else { f64::from(u8::from(run.plan.closer == Closer::Client)) }
}

/// New connections a second that leave a port in use: the first connection of each user, which stays open until the run
/// ends when connections are kept, does not count.
pub(in crate::diagnose) fn wearing_cps(run: &RunResult) -> f64 {
    let t = &run.totals;
    let first = if run.plan.keepalive { u64::from(t.users_reached.max(t.users_asked)) } else { 0 };
    t.connections_opened.saturating_sub(first) as f64 / duration_s(run) * closed_by_client(run)
}

/// (P/2)/T, connections a second, where the run stood at it: half of the ports were in use, the kernel chose them, and a load
/// thread was busy, as the search uses CPU. More load does not raise such a rate (14,191 to 14,220/s by second where (P/2)/T is
/// 14,116/s, Linux 6.18).
pub(crate) fn search_limit(run: &RunResult) -> Option<f64> {
    let search = budget(run).filter(|_| kernel_searches(run)).map(|b| b.search_cps()).filter(|c| c.is_finite() && *c > 0.0)?;
    let held = run
        .ports
        .as_ref()
        .and_then(crate::model::result::Ports::in_use_share)
        .is_some_and(|used| used >= SEARCH_SHARE * (1.0 - SEARCH_STANDS));
    let t = &run.totals;
    // Of a mean over the whole run, the start is a part.
    let steady = t.steady.as_ref().filter(|_| t.rps > 0.0).map_or(1.0, |s| (s.rps / t.rps).max(1.0));
    let stands = (wearing_cps(run) * steady - search).abs() <= SEARCH_STANDS * search;
    let cpu = run.resources.client.cpu_percent_mean.map(|cpu| cpu / f64::from(run.plan.threads.max(1)));
    let busy = run.plan.busy_poll || cpu.is_none_or(|cpu| cpu >= SEARCH_BUSY_PERCENT);
    (held && stands && busy).then_some(search)
}

/// The most wearing connections within any `window_s` of the run: from the series, else by the mean rate.
pub(in crate::diagnose) fn wearing_within(run: &RunResult, window_s: f64) -> f64 {
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

/// Connections a second that the users of a closed loop make while ports are free: in the busiest second, or until the
/// first of them found none, which may be much sooner.
pub(super) fn wanted_cps(run: &RunResult) -> f64 {
    let rows = Rows::kind(run, Kind::NoPort);
    let before = if rows.is_empty() { None } else { cps_before(run, rows.first_s()) };
    wearing_within(run, 1.0).max(before.filter(|cps| cps.is_finite()).unwrap_or(0.0))
}

/// Connections a second made before `until_s`, the first refusal: the rate that used the pool up.
pub(in crate::diagnose) fn cps_before(run: &RunResult, until_s: f64) -> Option<f64> {
    let leftover = run.ports.as_ref().and_then(|p| p.leftover_before).unwrap_or(0);
    let free = budget(run).filter(|b| until_s <= b.hold.as_secs_f64()).map(|b| b.pool.saturating_sub(leftover));
    rate_until(run.series.iter().map(|p| p.connects), until_s, free.map(u64::from))
}

/// Ports in use in each second of the series: as observed, the last observation before it where the observer did not
/// look in that second.
pub(in crate::diagnose) fn held_by_second(run: &RunResult) -> Vec<(&SeriesPoint, Option<u32>)> {
    let mut last = None;
    run.series
        .iter()
        .map(|p| {
            last = p.ports_used.or(last);
            (p, last)
        })
        .collect()
}

/// As [`held_by_second`], but where the ports in use crossed `border` between two looks: where they rose, the connections made in
/// each second between them say how far they had come. None where no connection was made in all that time, and where they fell:
/// ports become free as T ends, whatever connects.
pub(in crate::diagnose) fn held_against(run: &RunResult, border: f64) -> Vec<(&SeriesPoint, Option<u32>)> {
    let mut rows = held_by_second(run);
    let looks: Vec<(usize, u32)> = run.series.iter().enumerate().filter_map(|(i, p)| Some((i, p.ports_used?))).collect();
    for pair in looks.windows(2) {
        let [(from, before), (to, after)] = *pair else { continue };
        if (f64::from(before) > border) == (f64::from(after) > border) {
            continue;
        }
        let made = |rows: &[(&SeriesPoint, Option<u32>)]| rows.iter().map(|(p, _)| p.connects as f64).sum::<f64>();
        let all = made(&rows[from + 1..=to]);
        for i in from + 1..to {
            let part = made(&rows[from + 1..=i]) / all;
            rows[i].1 = (after > before && part.is_finite())
                .then(|| (f64::from(before) + f64::from(after - before) * part).round() as u32);
        }
    }
    rows
}

/// The kernel looks for a port in connect(2).
pub(in crate::diagnose) fn kernel_searches(run: &RunResult) -> bool {
    matches!(run.plan.port_mode, PortMode::Auto | PortMode::NoPort)
}
