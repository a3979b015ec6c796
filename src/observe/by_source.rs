//! `ports_all[]`: the ports of each source address, where a plan has several. Each has a pool of its own towards a
//! destination, so that one can be short of ports while the sum of all looks harmless.

use std::net::IpAddr;
use std::time::Duration;

use super::socket_count::OfSource;
use crate::diagnose::ports::budget::{Budget, Demand};
use crate::model::plan::PortMode;
use crate::model::port_count::PortCount;
use crate::model::result::{PortStates, Ports, RunResult};

/// What was seen of one source address.
#[derive(Debug, Clone)]
struct Source {
    addr: IpAddr,
    /// before the first request
    before: PortCount,
    /// the look with the most ports used
    peak: PortCount,
    peak_time_wait: u32,
    peak_in_use: u32,
    /// the latest look
    latest: PortCount,
}

/// Every source address of the plan; none where it has one.
#[derive(Debug, Clone, Default)]
pub(super) struct BySource(Vec<Source>);

/// What the rows share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) destination: &'a str,
    /// P of each, where it is known
    pub(super) pool: Option<u32>,
    pub(super) hold_s: Option<f64>,
    /// tcp_max_tw_buckets
    pub(super) cap: Option<u64>,
    pub(super) mode: PortMode,
    /// of all sources together: connections a second that were made, and what the forecast is for
    pub(super) rate_cps: f64,
    pub(super) demand: Option<&'a Demand>,
    pub(super) duration: Duration,
}

impl BySource {
    /// As it was before the run.
    pub(super) fn from(before: &[OfSource]) -> Self {
        let source = |(addr, count): &OfSource| Source {
            addr: *addr,
            before: *count,
            peak: *count,
            peak_time_wait: count.states.time_wait,
            peak_in_use: count.in_use.ports(),
            latest: *count,
        };
        Self(before.iter().map(source).collect())
    }

    /// One more look, in the order of the plan; `kept_until_now`: after the end of the load, it shows connections that were
    /// open until then.
    pub(super) fn look(&mut self, counts: &[OfSource], kept_until_now: bool) {
        for (source, (_, count)) in self.0.iter_mut().zip(counts) {
            source.latest = *count;
            let before_closing = || count.before_closing(source.before.states.time_wait);
            let count = if kept_until_now { before_closing() } else { *count };
            source.peak_in_use = source.peak_in_use.max(count.in_use.ports());
            source.peak_time_wait = source.peak_time_wait.max(count.states.time_wait);
            if count.used > source.peak.used {
                source.peak = count;
            }
        }
    }

    /// One row for each. The sources take turns, so each made its equal share of the connections.
    pub(super) fn rows(&self, shared: Shared<'_>) -> Vec<Ports> {
        let part = 1.0 / self.0.len().max(1) as f64;
        self.0.iter().map(|source| source.row(shared, part)).collect()
    }
}

impl Source {
    fn row(&self, s: Shared<'_>, part: f64) -> Ports {
        let budget = s.pool.zip(s.hold_s).map(|(p, t)| Budget::new(p, t).capped_at(s.cap));
        let share = s.pool.filter(|p| *p > 0).map(|p| f64::from(self.peak.used) / f64::from(p));
        let demand = s.demand.map(|demand| demand.part(part));
        Ports {
            source: self.addr.to_string(),
            destination: s.destination.to_owned(),
            pool: s.pool,
            hold_s: s.hold_s,
            ceiling_cps: budget.and_then(|b| b.limit_cps()),
            search_cps: budget.and_then(|b| b.search_limit_cps(s.mode)),
            peak_used: Some(self.peak.used),
            peak_share: share,
            peak_time_wait: Some(self.peak_time_wait),
            rate_cps: s.rate_cps * part,
            free_again_in_s: Some(self.latest.in_use.last_free_s),
            states: PortStates::of(Some(self.peak.states), None),
            forecast: budget.zip(demand).and_then(|(b, demand)| b.port_forecast(self.before.in_use, &demand, s.duration)),
            leftover_before: Some(self.before.in_use.ports()),
            peak_in_use: Some(self.peak_in_use),
            elsewhere: Vec::new(),
        }
    }
}

/// Explains the nulls of `ports_all[]` as those of `ports{}` are, which have the same reasons.
pub(super) fn explain_nulls(run: &mut RunResult) {
    const OF_ALL: &str = "counted for all source addresses together: see ports";
    if run.ports_all.is_empty() {
        return;
    }
    for key in run.unexplained_nulls() {
        let Some(rest) = key.strip_prefix("ports_all[].") else { continue };
        let whole = format!("ports.{rest}");
        let why = run.unavailable.iter().find(|u| u.key == whole).map_or_else(|| OF_ALL.to_owned(), |u| u.reason.clone());
        let why = if rest == "forecast" { "the rate of one source address does not exhaust its pool".to_owned() } else { why };
        run.explain_null(&key, why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::port_count::{InUse, StateCounts};

    fn worn(time_wait: u32) -> PortCount {
        let in_use = InUse { timed: time_wait, first_free_s: 30.0, last_free_s: 59.0, open: 0 };
        PortCount { used: time_wait, in_use, states: StateCounts { time_wait, ..StateCounts::default() }, ..PortCount::default() }
    }

    fn addr(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    const SHARED: Shared<'_> = Shared {
        destination: "127.0.0.1:80",
        pool: Some(100),
        hold_s: Some(60.0),
        cap: None,
        mode: PortMode::NoPort,
        rate_cps: 10.0,
        demand: Some(&Demand::Level(10.0)),
        duration: Duration::from_secs(4),
    };

    #[test]
    fn each_source_has_its_own_peak_leftover_and_share_of_the_rate() {
        let mut seen = BySource::from(&[(addr(2), worn(60)), (addr(3), worn(0))]);
        seen.look(&[(addr(2), worn(80)), (addr(3), worn(20))], false);
        seen.look(&[(addr(2), worn(70)), (addr(3), worn(20))], false);
        let rows = seen.rows(SHARED);
        let figures: Vec<_> = rows.iter().map(|r| (r.source.as_str(), r.peak_used, r.peak_share, r.leftover_before)).collect();
        assert_eq!(figures, [("127.0.0.2", Some(80), Some(0.8), Some(60)), ("127.0.0.3", Some(20), Some(0.2), Some(0))]);
        assert!(rows.iter().all(|r| (r.rate_cps - 5.0).abs() < 1e-9 && r.pool == Some(100)));
        assert!((rows[0].ceiling_cps.unwrap() - 100.0 / 60.0).abs() < 1e-9);
        // 40 ports at 5/s are used up after 8 s, longer than the run; the empty pool lasts 20 s.
        let exhausted: Vec<_> = rows.iter().map(|r| r.forecast.as_ref().map(|f| f.exhausted_at_s)).collect();
        assert_eq!(exhausted, [Some(8.0), Some(20.0)]);
    }

    #[test]
    fn connections_that_the_end_closed_were_open_until_then() {
        let mut seen = BySource::from(&[(addr(2), worn(5))]);
        seen.look(&[(addr(2), worn(25))], true);
        let row = &seen.rows(SHARED)[0];
        assert_eq!((row.states.time_wait, row.states.established, row.peak_time_wait), (Some(5), Some(20), Some(5)));
    }
}
