//! The rule about the port budget while no port is missing yet.

use super::exhaustion;
use crate::diagnose::indicators::{Holding, Indicators, wearing_within};
use crate::diagnose::rule::{Found, Ruling};
use crate::diagnose::thresholds::BUDGET_HIGH_SHARE;
use crate::model::result::{Holder, RunResult};
use crate::remedy::ports::for_run;
use crate::remedy::{advice, cps, percent, s};

/// port-budget-high.
pub(in crate::diagnose) fn budget_high(run: &RunResult, seen: &Indicators) -> Ruling {
    let figures = &seen.ports;
    if figures.exhausted > 0 || figures.busy > 0 {
        // Said by local-ports-exhausted or local-port-busy: "nothing failed yet" would not be true.
        return Ruling::Clear;
    }
    if seen.ports.closed_by_client <= 0.5 && run.plan.is_short_lived() {
        return Ruling::Clear;
    }
    let Some(b) = figures.budget else {
        return match (run.totals.connections_opened, figures.pool, &figures.hold) {
            (0, ..) => Ruling::Clear,
            (_, None, _) => Ruling::Undecided("the pool towards the destination was not observed".into()),
            (_, _, _) => Ruling::Undecided("how long a port stays held here could not be read".into()),
        };
    };
    if b.hold.is_zero() || b.pool == 0 {
        return Ruling::Clear;
    }
    let (p, t) = (f64::from(b.pool), b.hold.as_secs_f64());
    let ports = run.ports.as_ref();
    let established = ports.and_then(|p| p.states.established).map_or(0.0, f64::from);
    let reused_early = t < crate::model::budget::LINUX_HOLD_S;
    // Where TIME_WAIT may be taken again after T < 60 s, a port in TIME_WAIT is not a port that is missing: only the
    // open ones and those younger than T are.
    let share = if reused_early {
        (established + wearing_within(run, t)) / p
    } else {
        match ports.and_then(|p| p.peak_share.or_else(|| p.peak_used.map(|u| f64::from(u) / f64::from(b.pool)))) {
            Some(share) => share,
            None => {
                (established
                    + b.held_at(seen.ports.wearing_cps).min(run.totals.connections_opened as f64 * seen.ports.closed_by_client))
                    / p
            }
        }
    };
    let rate = seen.ports.wearing_cps;
    let ceiling = b.ceiling_cps();
    let opened = run.totals.connections_opened;
    let too_short = rate > ceiling && opened <= u64::from(b.pool);
    if share <= BUDGET_HIGH_SHARE && !too_short {
        return Ruling::Clear;
    }
    let at = b.exhausted_at(rate);
    let to = ports.map_or_else(|| run.plan.target.addr.to_string(), |p| p.destination.clone());
    let open_most = established > 0.5 * share * p;
    let stuck = ports.is_some_and(|p| p.holder() == Some(Holder::FinWait2));
    let mut text = if stuck {
        format!(
            "Connections that the client closed and the target did not (FIN_WAIT2, tcp_fin_timeout) hold {} of the {} source ports to \
             {to} at the peak; nothing failed yet. ",
            (share.min(1.0) * p).round(),
            b.pool
        )
    } else if open_most {
        format!("Open connections hold {} of the {} source ports to {to}; nothing failed yet. ", established, b.pool)
    } else {
        format!(
            "Connections that the client closed first hold {} of the {} source ports to {to} at the peak; nothing failed yet. ",
            (share.min(1.0) * p).round(),
            b.pool
        )
    };
    text += &format!(
        "Each stays held {}, so {} ports sustain {} new connections/s; this run made {}/s",
        s(t),
        b.pool,
        cps(ceiling),
        cps(rate)
    );
    match at {
        Some(at) if too_short => {
            text += &format!(
                " and ended after {}. At that rate the pool is used up after {}, nothing succeeds for {}, and the failures come back every {}.",
                s(seen.duration_s),
                s(at),
                s(t - at),
                s(t)
            );
        }
        Some(at) => text += &format!(", more than that: an empty pool lasts {} at this rate.", s(at)),
        None => text += &format!(". There is room for {}/s more.", cps((ceiling - rate).max(0.0))),
    }
    text += &format!(
        " On Windows the same rate would {} (16384 ports held 120 s sustain 136.5/s; the code is 10048).",
        if rate > 136.5 { "have failed" } else { "hold as well" }
    );
    let title = if too_short {
        format!(
            "{}/s is over the {}/s that {} ports sustain: a longer run fails after {}",
            cps(rate),
            cps(ceiling),
            b.pool,
            s(at.unwrap_or(0.0))
        )
    } else {
        format!("the peak held {} of the {} source ports to {to}", percent(share.min(1.0)), b.pool)
    };
    let mut remedies = if stuck {
        exhaustion::remedies_against(run, seen, Some(Holding::By(Holder::FinWait2)))
    } else {
        for_run(&seen.situation(run))
    };
    if remedies.len() < 2 {
        remedies.push(advice(
            "watch the budget while it runs",
            format!("sockbench ports --to {to} --watch 1s"),
            "the share, and the seconds until the pool is used up",
        ));
        remedies.push(advice(
            "predict a rate before you run it",
            format!("sockbench ports --predict {} --pool {} --hold {t}s", rate.ceil(), b.pool),
            "ceiling, first failure, dead time, echoes",
        ));
    }
    Found::new(title, text)
        .with("pool", b.pool)
        .with("hold_s", t)
        .with("peak_share", share)
        .with("peak_used", ports.and_then(|p| p.peak_used))
        .with("ceiling_cps", ceiling)
        .with("rate_cps", rate)
        .with("exhausted_at_s", at)
        .with("connections_opened", opened)
        .remedies(remedies)
        .ruling()
}
