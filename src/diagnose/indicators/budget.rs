//! How much of the port budget a run used, by source address where each has a pool of its own.

use super::ports::wearing_within;
use super::prelude::*;
use crate::model::budget::LINUX_HOLD_S;
use crate::model::result::Ports;

/// Most of a budget is used.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::diagnose) struct HighBudget {
    pub(in crate::diagnose) budget: Budget,
    /// source address, where there are several with pools of their own
    pub(in crate::diagnose) source: Option<String>,
    pub(in crate::diagnose) destination: String,
    /// of the pool, in use at the peak
    pub(in crate::diagnose) share: f64,
    /// what mostly had the ports
    pub(in crate::diagnose) holder: Option<Holder>,
    /// new connections a second that leave a port in use
    pub(in crate::diagnose) rate_cps: f64,
    /// the rate is above P/T, and the run was too short to use up the pool
    pub(in crate::diagnose) too_short: bool,
}

pub(super) fn high_budget(run: &RunResult, seen: &Indicators) -> Seen<HighBudget> {
    let figures = &seen.ports;
    if figures.exhausted > 0 || figures.busy > 0 {
        // Said by local-ports-exhausted or local-port-busy: "no port was missing yet" would not be true.
        return Err(Clear);
    }
    if figures.closed_by_client <= 0.5 && run.plan.is_short_lived() {
        return Err(Clear);
    }
    let Some(budget) = figures.budget else {
        return match (run.totals.connections_opened, figures.pool) {
            (0, _) => Err(Clear),
            // Kept connections take a port each: they cannot use up a pool that nobody knows of.
            _ if figures.wearing_cps <= 0.0 && figures.pool.is_none_or(|p| p > run.plan.users) => Err(Clear),
            (_, None) => undecided("the pool of source ports to the destination was not observed"),
            (_, Some(_)) => undecided("T for this destination could not be read"),
        };
    };
    let all = if run.ports_all.len() > 1 {
        run.ports_all.iter().filter_map(|row| of_source(run, seen, row)).collect()
    } else {
        vec![of_run(run, seen, budget)]
    };
    let high = |b: &HighBudget| !b.budget.hold.is_zero() && b.budget.pool > 0 && (b.share > BUDGET_HIGH_SHARE || b.too_short);
    all.into_iter().filter(high).max_by(|a, b| a.share.total_cmp(&b.share)).ok_or(Clear)
}

/// Of the pool, in use at the peak; none where it was not seen and T does not say. `young`: ports in TIME_WAIT for less than T.
fn share_seen(budget: &Budget, ports: Option<&Ports>, young: f64) -> Option<f64> {
    let (p, established) = (f64::from(budget.pool.max(1)), established(ports));
    if budget.is_capped() {
        // Further connections skip TIME_WAIT: only open ones can use up the pool.
        Some(established / p)
    } else if budget.hold.as_secs_f64() < LINUX_HOLD_S {
        // A port in TIME_WAIT that may be taken again after T is not missing: only open ones and those younger than T are.
        Some((established + young) / p)
    } else {
        ports.and_then(|row| row.peak_share.or_else(|| row.peak_used.map(|used| f64::from(used) / p)))
    }
}

fn established(ports: Option<&Ports>) -> f64 {
    ports.and_then(|p| p.states.established).map_or(0.0, f64::from)
}

fn of_run(run: &RunResult, seen: &Indicators, budget: Budget) -> HighBudget {
    let ports = run.ports.as_ref();
    let holder = ports.and_then(Ports::holder);
    let rate_cps = seen.ports.wearing_cps;
    let share = share_seen(&budget, ports, wearing_within(run, budget.hold.as_secs_f64())).unwrap_or_else(|| {
        let worn = run.totals.connections_opened as f64 * seen.ports.closed_by_client;
        (established(ports) + budget.held_at(rate_cps).min(worn)) / f64::from(budget.pool.max(1))
    });
    let too_short = rate_cps > budget.ceiling_cps() && run.totals.connections_opened <= u64::from(budget.pool);
    let destination = ports.map_or_else(|| run.plan.target.addr.to_string(), |p| p.destination.clone());
    HighBudget { budget, source: None, destination, share, holder, rate_cps, too_short }
}

/// One of several source addresses with a pool of its own.
fn of_source(run: &RunResult, seen: &Indicators, row: &Ports) -> Option<HighBudget> {
    let hold_s = row.hold_s.or(seen.ports.hold.as_ref().map(|h| h.seconds))?;
    let budget = Budget::new(row.pool?, hold_s).capped_at(run.host.sysctls.tcp_max_tw_buckets);
    // Of the connections of this source, the share that leaves ports in TIME_WAIT is that of the run.
    let opened = (run.totals.connections_opened as f64 / seen.duration_s).max(1e-9);
    let rate_cps = row.rate_cps * (seen.ports.wearing_cps / opened).min(1.0);
    let share = share_seen(&budget, Some(row), budget.held_at(rate_cps))?;
    let made = row.rate_cps * seen.duration_s;
    Some(HighBudget {
        budget,
        source: Some(row.source.clone()),
        destination: row.destination.clone(),
        share,
        holder: row.holder(),
        rate_cps,
        too_short: rate_cps > budget.ceiling_cps() && made <= f64::from(budget.pool.max(1)),
    })
}
