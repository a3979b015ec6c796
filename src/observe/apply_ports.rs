//! `ports{}` of a run: by what happened, where that differs from what was asked for.

use std::time::Duration;

use super::apply::Nulls;
use super::observation::Observation;
use super::pool;
use super::survey::Survey;
use crate::diagnose::budget::{Held, Hold};
use crate::diagnose::thresholds::POOL_SEEN_SHARE;
use crate::model::facts::Fact;
use crate::model::plan::{Closer, PortMode};
use crate::model::result::{Holder, NoPort, PortStates, Ports, RunResult};

impl Observation {
    pub(super) fn apply_ports(&self, result: &mut RunResult) {
        let s = &self.survey;
        let mut null = Nulls(result);
        let pool = null.take("ports.pool", &s.pool).copied();
        let peak = self.peak;
        let states = PortStates {
            time_wait: peak.map(|p| p.time_wait),
            established: peak.map(|p| p.established),
            fin_wait2: peak.map(|p| p.fin_wait2),
            close_wait: peak.map(|p| p.close_wait),
            bound_only: self.bound_only.known().copied(),
        };
        let hold = hold_seen(s, null.0, &states, pool.map(|p| p.ports));
        let hold_s = null.take("ports.hold_s", &hold).map(|h| h.seconds);
        let ports = pool.map(|p| p.ports);
        let why_no_ceiling = match (&s.pool, &hold) {
            (Fact::Unavailable(why), _) | (_, Fact::Unavailable(why)) => why.clone(),
            (_, Fact::Known(h)) => format!("no port stays held: {}", h.why),
        };
        let ceiling_cps = ports.zip(hold_s).and_then(|(p, h)| pool::ceiling_cps(p, h));
        null.explain(ceiling_cps.is_none(), "ports.ceiling_cps", &why_no_ceiling);
        let search_cps = ports.zip(hold_s).and_then(|(p, h)| pool::search_cps(p, h, s.usage.mode));
        let why_no_search = match s.usage.mode {
            PortMode::Ring => "explicit ports: the kernel does not search",
            PortMode::Range => "IP_LOCAL_PORT_RANGE: the kernel does not search by parity",
            _ => &why_no_ceiling,
        };
        null.explain(search_cps.is_none(), "ports.search_cps", why_no_search);

        let no_census = self.end.reason().unwrap_or("no census was taken").to_owned();
        for key in
            ["peak_used", "peak_time_wait", "states.time_wait", "states.established", "states.fin_wait2", "states.close_wait"]
        {
            null.explain(peak.is_none(), &format!("ports.{key}"), &no_census);
        }
        let peak_used = peak.map(|p| p.used);
        let peak_share = peak_used.zip(ports).filter(|(_, p)| *p > 0).map(|(used, p)| f64::from(used) / f64::from(p));
        let no_share = s.pool.reason().unwrap_or(if ports == Some(0) { "the pool is empty" } else { &no_census }).to_owned();
        null.explain(peak_share.is_none(), "ports.peak_share", &no_share);
        let left = null.take("ports.leftover_before", &s.leftover).map(Held::of);
        null.take("ports.states.bound_only", &self.bound_only);
        let free_again_in_s = self.end.known().map(|c| f64::from(c.last_free_ms.unwrap_or(0)) / 1000.0);
        null.explain(free_again_in_s.is_none(), "ports.free_again_in_s", &no_census);
        let rate_cps = rate_per_s(null.0, null.0.totals.connections_opened);
        let duration = Duration::try_from_secs_f64(null.0.duration_s).unwrap_or_default();
        let demand = demand_cps(null.0, &states, peak_used.zip(ports));
        let forecast = match (ports, hold_s, &demand) {
            (Some(p), Some(h), Ok(rate)) => pool::forecast(p, left.unwrap_or_default(), h, *rate, duration),
            _ => None,
        };
        let no_forecast = match (&s.pool, &hold, &demand) {
            (Fact::Unavailable(why), ..) | (_, Fact::Unavailable(why), _) => why.as_str(),
            (.., Err(why)) => why,
            _ => "the rate does not exhaust the pool",
        };
        null.explain(forecast.is_none(), "ports.forecast", no_forecast);

        let source = match &s.sources {
            Fact::Known(sources) => sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            Fact::Unavailable(why) => format!("unknown ({why})"),
        };
        result.ports = Some(Ports {
            source,
            destination: s.dest.to_string(),
            pool: ports,
            hold_s,
            ceiling_cps,
            search_cps,
            peak_used,
            peak_share,
            peak_time_wait: self.peak_time_wait,
            rate_cps,
            free_again_in_s,
            states,
            forecast,
            leftover_before: left.map(|l| l.ports()),
            elsewhere: self.elsewhere.clone(),
        });
    }
}

/// T as it was: the plan's, unless the connections ended otherwise than it asked for.
fn hold_seen(survey: &Survey, run: &RunResult, states: &PortStates, pool: Option<u32>) -> Fact<Hold> {
    let opened = run.totals.connections_opened;
    let fin_wait2 = u64::from(states.fin_wait2.unwrap_or(0));
    // A target that closes late passes through FIN_WAIT2 as well: only one that does not close fills the pool with it.
    let stuck = states.holder() == Some(Holder::FinWait2) && 2 * fin_wait2 >= opened.min(pool.map_or(u64::MAX, u64::from));
    if let (true, Some(seconds)) = (stuck, run.host.sysctls.tcp_fin_timeout_s) {
        let why = "the target did not close its side: FIN_WAIT2 lasts tcp_fin_timeout, and tcp_tw_reuse does not apply to it";
        return Fact::Known(Hold { seconds: f64::from(seconds), why: why.to_owned() });
    }
    let c = run.closes;
    let by_client = 2 * c.client > c.client + c.server + c.reset;
    if run.plan.closer != Closer::Client && by_client { survey.law.clone() } else { survey.hold.clone() }
}

/// New connections per second that the forecast is for: the plan's own, what the whole seconds before the first
/// exhaustion made, or the mean of a run that found a port each time; only those that the client closes wear the pool.
/// Never worked out from the time of the first failure, which it is to be held against.
fn demand_cps(run: &RunResult, states: &PortStates, held: Option<(u32, u32)>) -> Result<f64, &'static str> {
    let first = |kind| run.errors.iter().filter(|e| e.no_port() == Some(kind)).map(|e| e.first_s).reduce(f64::min);
    let Some(first_s) = first(NoPort::Exhausted) else {
        if first(NoPort::Busy).is_some() {
            return Err("explicit ports were busy: the rate that was made is not the one that was asked for");
        }
        // A kept connection stands until the run ends: the first of each user does not come again.
        let kept = if run.plan.keepalive { u64::from(run.totals.users_reached.max(run.totals.users_asked)) } else { 0 };
        let c = run.closes;
        let share = match c.client + c.server + c.reset {
            0 => f64::from(u8::from(run.plan.closer == Closer::Client)),
            all => c.client as f64 / all as f64,
        };
        return Ok(rate_per_s(run, run.totals.connections_opened.saturating_sub(kept)) * share);
    };
    if states.holder() == Some(Holder::Open) {
        return Err("open connections held the ports: they are free when these end, whatever T is");
    }
    if held.is_some_and(|(used, pool)| f64::from(used) < POOL_SEEN_SHARE * f64::from(pool)) {
        return Err("part of the pool was held by what was not seen towards this destination");
    }
    if run.plan.is_open_loop() && !run.plan.keepalive {
        return Ok(run.plan.rate);
    }
    let whole = if first_s.is_finite() { first_s.max(0.0).floor() } else { 0.0 };
    let made: u64 = run.series.iter().take(whole as usize).map(|p| p.connects).sum();
    if whole >= 1.0 && made > 0 {
        Ok(made as f64 / whole)
    } else {
        Err("the pool was used up within the first second: no rate from before it is known")
    }
}

fn rate_per_s(run: &RunResult, count: u64) -> f64 {
    if run.duration_s > 0.0 { count as f64 / run.duration_s } else { 0.0 }
}
