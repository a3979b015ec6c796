//! The rule about the port budget while no port is missing yet.

use super::exhaustion;
use super::prelude::*;
use crate::model::explanation::Os;
use crate::model::result::Holder;
use crate::model::units::exact;
use crate::remedy::systems::System;

pub(in crate::diagnose) fn budget_high(run: &RunResult, seen: &Indicators) -> Ruling {
    let high = seen.high_budget.clone()?;
    let b = high.budget;
    let (t, ceiling) = (b.hold.as_secs_f64(), b.ceiling_cps());
    let from = high.source.as_ref().map_or_else(String::new, |ip| format!(" from {ip}"));
    let used = count((high.share.clamp(0.0, 1.0) * f64::from(b.pool)).round() as u64);
    let whose = match high.holder {
        Some(Holder::FinWait2) => "closed by the client and not by the target (FIN_WAIT2, tcp_fin_timeout)",
        Some(Holder::Open) => "with open connections",
        Some(Holder::TimeWait) | None => "of connections that the client closed first",
    };
    let mut text = format!(
        "No port was missing yet. At the peak {used} of {}{from} to {} were in use, {whose}. ",
        counted(b.pool, "source port"),
        high.destination
    );
    if ceiling.is_finite() {
        text += &format!(
            "{} / {} sustain {} new connections/s; this run made {}/s. ",
            counted(b.pool, "port"),
            exhaustion::hold_words(t),
            rate(ceiling),
            rate(high.rate_cps)
        );
    }
    let at = b.exhausted_at(high.rate_cps);
    match at {
        Some(at) if high.too_short => {
            text += &format!(
                "It ended after {}; at this rate the ports run out after {}, nothing connects for {}, and this recurs every {}. ",
                seconds(seen.duration_s),
                seconds(at),
                seconds(t - at),
                seconds(t)
            );
        }
        Some(at) => text += &format!("That is more than these ports allow: an empty pool lasts {}. ", seconds(at)),
        None => {}
    }
    text += &on_windows(high.rate_cps);
    let title = match at.filter(|_| high.too_short) {
        Some(at) => format!(
            "{}/s is above the {}/s that {}{from} sustain: a longer run fails after {}",
            rate(high.rate_cps),
            rate(ceiling),
            counted(b.pool, "port"),
            seconds(at)
        ),
        None => {
            format!(
                "{} of {}{from} to {} were in use at the peak",
                share(high.share.min(1.0)),
                counted(b.pool, "source port"),
                high.destination
            )
        }
    };
    let ports = run.ports.as_ref();
    Ok(Found::new(title, text)
        .with("pool", b.pool)
        .with("hold_s", t)
        .with("source", high.source.clone())
        .with("peak_share", high.share)
        .with("peak_used", ports.and_then(|p| p.peak_used).filter(|_| high.source.is_none()))
        .with("ceiling_cps", ceiling)
        .with("rate_cps", high.rate_cps)
        .with("exhausted_at_s", at)
        .with("connections_opened", run.totals.connections_opened)
        .remedies(remedies(run, seen, &high)))
}

fn on_windows(rate_cps: f64) -> String {
    let usual = System::of(Os::Windows);
    let sustains = usual.budget().ceiling_cps();
    let then = if rate_cps > sustains { "would have failed with 10048" } else { "would have passed" };
    format!(
        "On Windows this rate {then}: {} / {} sustain {}/s.",
        counted(usual.pool, "port"),
        exhaustion::hold_words(usual.hold_s),
        rate(sustains)
    )
}

fn remedies(run: &RunResult, seen: &Indicators, high: &HighBudget) -> Vec<Remedy> {
    let mut remedies = match high.holder {
        Some(holder @ (Holder::FinWait2 | Holder::Open)) => exhaustion::remedies_against(run, seen, Some(Holding::By(holder))),
        Some(Holder::TimeWait) | None => for_run(&seen.situation(run)),
    };
    if remedies.len() < 2 {
        remedies.push(advice(
            "watch the ports while it runs",
            format!("sockbench ports --to {} --watch 1s", high.destination),
            "the share in use, and the seconds until the pool is used up",
        ));
        remedies.push(advice(
            "predict a rate before running it",
            format!(
                "sockbench ports --predict {} --pool {} --hold {}",
                high.rate_cps.ceil(),
                high.budget.pool,
                exact(high.budget.hold)
            ),
            "P/T, the first failure, and how long nothing connects",
        ));
    }
    remedies
}
