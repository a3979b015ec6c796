//! `ports{}` of a run: by what happened, where that differs from what was asked for.

use std::time::Duration;

use super::by_source::{self, Shared};
use super::observation::Observation;
use crate::diagnose::ports::budget::{Budget, Demand};
use crate::diagnose::ports::hold::{CAPPED, hold_seen};
use crate::diagnose::thresholds::POOL_SEEN_SHARE;
use crate::model::facts::Fact;
use crate::model::plan::{Closer, PortMode};
use crate::model::result::{Holder, NoPort, PortStates, Ports, RunResult};

impl Observation {
    pub(super) fn apply_ports(&self, result: &mut RunResult) {
        let s = &self.baseline;
        let pool = s.pool.known().copied();
        let peak = self.peak;
        let states = PortStates::of(peak.map(|p| p.states), self.bound_only.known().copied());
        let ports = pool.map(|p| p.ports);
        let hold = hold_seen(result, &states, ports);
        let hold_s = hold.known().map(|h| h.seconds);
        let cap = result.host.sysctls.tcp_max_tw_buckets;
        let budget = ports.zip(hold_s).map(|(p, t)| Budget::new(p, t).capped_at(cap));
        let why_no_ceiling = match (&s.pool, &hold) {
            (Fact::Unavailable(why), _) | (_, Fact::Unavailable(why)) => why.clone(),
            (_, Fact::Known(_)) if budget.is_some_and(|b| b.is_capped()) => CAPPED.to_owned(),
            (_, Fact::Known(h)) => format!("no port stays in use: {}", h.why),
        };
        let ceiling_cps = budget.and_then(|b| b.limit_cps());
        let search_cps = budget.and_then(|b| b.search_limit_cps(s.usage.mode));
        let why_no_search = match s.usage.mode {
            PortMode::Ring => "explicit ports: the kernel does not search",
            PortMode::Range => "IP_LOCAL_PORT_RANGE: the kernel does not search by parity",
            _ => &why_no_ceiling,
        };

        let no_count = self.end.reason().unwrap_or("the ports were not counted");
        let peak_used = peak.map(|p| p.used);
        let peak_share = peak_used.zip(ports).filter(|(_, p)| *p > 0).map(|(used, p)| f64::from(used) / f64::from(p));
        let no_share = s.pool.reason().unwrap_or(if ports == Some(0) { "the pool is empty" } else { no_count });
        let left = s.leftover.known().map(|l| l.in_use);
        let free_again_in_s = self.end.known().map(|c| c.in_use.last_free_s);
        let rate_cps = rate_per_s(result, result.totals.connections_opened);
        let duration = Duration::try_from_secs_f64(result.duration_s).unwrap_or_default();
        let demand = demand(result, &states, peak_used.zip(ports));
        let forecast = match (budget, &demand) {
            (Some(budget), Ok(demand)) => budget.port_forecast(left.unwrap_or_default(), demand, duration),
            _ => None,
        };
        let no_forecast = match (&s.pool, &hold, &demand) {
            (Fact::Unavailable(why), ..) | (_, Fact::Unavailable(why), _) => why.as_str(),
            (.., Err(why)) => why,
            _ => "the rate does not exhaust the pool",
        };

        let source = match &s.sources {
            Fact::Known(sources) => sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            Fact::Unavailable(why) => format!("unknown ({why})"),
        };
        let shared = Shared {
            destination: &s.dest.to_string(),
            pool: pool.map(|p| p.per_source),
            hold_s,
            cap,
            mode: s.usage.mode,
            rate_cps,
            demand: demand.as_ref().ok(),
            duration,
        };
        result.ports_all = self.by_source.rows(shared);
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
            peak_in_use: peak.and(self.peak_in_use),
            elsewhere: self.elsewhere.clone(),
        });
        result.explain_nulls(&[
            ("ports.pool", s.pool.reason().unwrap_or_default()),
            ("ports.hold_s", hold.reason().unwrap_or_default()),
            ("ports.ceiling_cps", &why_no_ceiling),
            ("ports.search_cps", why_no_search),
            ("ports.peak_used", no_count),
            ("ports.peak_in_use", no_count),
            ("ports.peak_time_wait", no_count),
            ("ports.states.time_wait", no_count),
            ("ports.states.established", no_count),
            ("ports.states.fin_wait2", no_count),
            ("ports.states.close_wait", no_count),
            ("ports.peak_share", no_share),
            ("ports.leftover_before", s.leftover.reason().unwrap_or_default()),
            ("ports.states.bound_only", self.bound_only.reason().unwrap_or_default()),
            ("ports.free_again_in_s", no_count),
            ("ports.forecast", no_forecast),
        ]);
        by_source::explain_nulls(result);
    }
}

/// What the forecast is for: the course of the plan's stages, where its connections use up the pool; else a rate.
fn demand(run: &RunResult, states: &PortStates, held: Option<(u32, u32)>) -> Result<Demand, &'static str> {
    let rate = demand_cps(run, states, held)?;
    let response_s = run.totals.latency_ms.map_or(0.0, |l| l.mean / 1000.0);
    let staged = run.plan.stages.as_ref().filter(|_| rate > 0.0 && !run.plan.keepalive);
    Ok(staged.and_then(|_| Demand::of(&run.plan, response_s)).unwrap_or(Demand::Level(rate)))
}

/// New connections per second that the forecast is for: the plan's own, what the whole seconds before the first
/// exhaustion made, or the mean of a run that found a port each time; only those that the client closes use up the pool.
/// Never worked out from the time of the first failure, which it is compared with.
fn demand_cps(run: &RunResult, states: &PortStates, held: Option<(u32, u32)>) -> Result<f64, &'static str> {
    let first = |kind| run.errors.iter().filter(|e| e.no_port() == Some(kind)).map(|e| e.first_s).reduce(f64::min);
    let Some(first_s) = first(NoPort::Exhausted) else {
        if first(NoPort::Busy).is_some() {
            return Err("explicit ports were busy: the rate that was made is not the one that was asked for");
        }
        // A kept connection stays open until the run ends: the first of each user does not come again.
        let kept = if run.plan.keepalive { u64::from(run.totals.users_reached.max(run.totals.users_asked)) } else { 0 };
        let c = run.closes;
        let share = match c.client + c.server + c.reset {
            0 => f64::from(u8::from(run.plan.closer == Closer::Client)),
            all => c.client as f64 / all as f64,
        };
        return Ok(rate_per_s(run, run.totals.connections_opened.saturating_sub(kept)) * share);
    };
    if states.holder() == Some(Holder::Open) {
        return Err("open connections used the ports: they are free when these end, whatever T is");
    }
    if held.is_some_and(|(used, pool)| f64::from(used) < POOL_SEEN_SHARE * f64::from(pool)) {
        return Err("part of the pool was used by what was not seen towards this destination");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::{Call, Cause, EADDRINUSE, EADDRNOTAVAIL, Party};
    use crate::model::plan::{LoadPlan, Target};
    use crate::model::result::{Closes, ErrorRow, Host, SeriesPoint, Sysctls};

    fn run(change: impl FnOnce(&mut LoadPlan)) -> RunResult {
        let mut plan = LoadPlan::new(Target::at(([127, 0, 0, 1], 80).into()), Vec::new());
        plan.keepalive = false;
        change(&mut plan);
        let sysctls = Sysctls { tcp_fin_timeout_s: Some(60), ..Sysctls::default() };
        let host = Host {
            name: None,
            kernel: String::new(),
            cpus: 1,
            memory_bytes: None,
            nofile: None,
            sysctls,
            sysctls_at_end: None,
            congestion_control: None,
            boot_id: None,
            cpu_quota: None,
        };
        let mut run = RunResult::new(plan, String::new(), String::new(), host);
        run.duration_s = 4.0;
        run.totals.connections_opened = 100;
        run.closes = Closes { client: 100, ..Closes::default() };
        run.series = [40, 40, 20, 0].map(|connects| SeriesPoint { connects, ..SeriesPoint::default() }).to_vec();
        run
    }

    fn refused(run: &mut RunResult, call: Call, errno: i32, first_s: f64) {
        run.errors.push(ErrorRow {
            call,
            errno: Some(errno),
            name: String::new(),
            port_choice: run.plan.port_mode.choice(),
            port_bound: false,
            reused: false,
            windows_code: None,
            message: String::new(),
            method: String::new(),
            endpoint: String::new(),
            local: true,
            cause: Some(Cause::Errno(errno)),
            phase: None,
            party: Party::Sockets,
            so_error: false,
            first_bytes: None,
            received: None,
            limit_fields: None,
            limit: None,
            count: 9,
            first_s,
            last_s: 4.0,
        });
    }

    const FULL: Option<(u32, u32)> = Some((100, 100));

    fn time_wait(n: u32) -> PortStates {
        PortStates { time_wait: Some(n), ..PortStates::default() }
    }

    #[test]
    fn the_demand_is_never_worked_out_from_the_failure_that_it_is_to_predict() {
        assert_eq!(demand_cps(&run(|_| ()), &time_wait(100), FULL), Ok(25.0), "the mean, when nothing failed");
        for first_s in [2.1, 2.5, 2.9] {
            let mut closed = run(|_| ());
            refused(&mut closed, Call::Connect, EADDRNOTAVAIL, first_s);
            assert_eq!(demand_cps(&closed, &time_wait(100), FULL), Ok(40.0), "two whole seconds");
            let mut open = run(|p| p.rate = 50.0);
            refused(&mut open, Call::Connect, EADDRNOTAVAIL, first_s);
            assert_eq!(demand_cps(&open, &time_wait(100), FULL), Ok(50.0), "as asked");
        }
        let mut soon = run(|_| ());
        refused(&mut soon, Call::Connect, EADDRNOTAVAIL, 0.4);
        assert!(demand_cps(&soon, &time_wait(100), FULL).is_err());
    }

    #[test]
    fn what_is_no_exhaustion_by_the_law_gives_no_demand() {
        let mut ring = run(|p| p.port_mode = PortMode::Ring);
        refused(&mut ring, Call::Bind, EADDRINUSE, 0.05);
        assert!(demand_cps(&ring, &time_wait(50), Some((50, 50))).is_err(), "busy");
        let mut full = run(|p| p.rate = 50.0);
        refused(&mut full, Call::Connect, EADDRNOTAVAIL, 2.5);
        let open = PortStates { established: Some(100), ..PortStates::default() };
        assert!(demand_cps(&full, &open, FULL).is_err());
        assert!(demand_cps(&full, &time_wait(20), Some((20, 100))).is_err(), "80 were used by something else");
        let mut by_target = run(|_| ());
        by_target.closes = Closes { server: 100, ..Closes::default() };
        assert_eq!(demand_cps(&by_target, &time_wait(1), FULL), Ok(0.0), "no port is used up");
    }
}
