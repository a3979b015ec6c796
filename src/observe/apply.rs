//! An observation written into a run result: figures where there are some, a reason for each null.

use std::time::Duration;

use super::observation::{Observation, Second};
use super::pool;
use crate::diagnose::budget::{LINUX_HOLD_S, rate_until};
use crate::model::facts::{Fact, PortCensus};
use crate::model::outcome::{Call, EADDRINUSE, EADDRNOTAVAIL};
use crate::model::plan::PortMode;
use crate::model::result::{HostResources, PortStates, Ports, RunResult, SeriesPoint};
use crate::sys::host;

const NO_LOOK: &str = "the observer did not look in this second";

impl Observation {
    /// Fills `ports{}`, `kernel{}`, `resources{}` and the observed columns of `series[]`, and explains every null
    /// among them. To be called after the counted part is filled: rate and duration come from there.
    pub fn apply(&self, result: &mut RunResult) {
        self.apply_ports(result);
        result.kernel = self.counters.known().copied();
        if let Some(why) = self.counters.reason() {
            result.explain_null("kernel", why);
        }
        self.apply_resources(result);
        self.apply_series(result);
        for (key, reason) in &self.survey.host_missing {
            result.explain_null(key, reason.clone());
        }
    }

    fn apply_ports(&self, result: &mut RunResult) {
        let s = &self.survey;
        let mut null = Nulls(result);
        let pool = null.take("ports.pool", &s.pool).copied();
        let hold_s = null.take("ports.hold_s", &s.hold).map(|h| h.seconds);
        let ports = pool.map(|p| p.ports);
        let why_no_ceiling = match (&s.pool, &s.hold) {
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
        let peak = self.peak;
        for key in
            ["peak_used", "peak_time_wait", "states.time_wait", "states.established", "states.fin_wait2", "states.close_wait"]
        {
            null.explain(peak.is_none(), &format!("ports.{key}"), &no_census);
        }
        let peak_used = peak.map(|p| p.used);
        let peak_share = peak_used.zip(ports).filter(|(_, p)| *p > 0).map(|(used, p)| f64::from(used) / f64::from(p));
        let no_share = s.pool.reason().unwrap_or(if ports == Some(0) { "the pool is empty" } else { &no_census }).to_owned();
        null.explain(peak_share.is_none(), "ports.peak_share", &no_share);
        let leftover_before = null.take("ports.leftover_before", &s.leftover).map(|c| c.used);
        let bound_only = null.take("ports.states.bound_only", &self.bound_only).copied();
        let free_again_in_s = self.end.known().map(|c| free_again_s(c, hold_s.unwrap_or(LINUX_HOLD_S)));
        null.explain(free_again_in_s.is_none(), "ports.free_again_in_s", &no_census);
        let leftover = leftover_before.unwrap_or(0);
        let free = ports.map(|p| p.saturating_sub(leftover));
        // A refused connect() leaves no TIME_WAIT and one that times out none either: only those that came to stand
        // wear the pool.
        let rate_cps =
            rate_until_exhausted(null.0, free, hold_s).unwrap_or_else(|| rate_per_s(null.0, null.0.totals.connections_opened));
        let duration = Duration::try_from_secs_f64(null.0.duration_s).unwrap_or_default();
        let forecast = ports.zip(hold_s).and_then(|(p, h)| pool::forecast(p, leftover, h, rate_cps, duration));
        let no_forecast = match (&s.pool, &s.hold) {
            (Fact::Unavailable(why), _) | (_, Fact::Unavailable(why)) => why.as_str(),
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
            states: PortStates {
                time_wait: peak.map(|p| p.time_wait),
                established: peak.map(|p| p.established),
                fin_wait2: peak.map(|p| p.fin_wait2),
                close_wait: peak.map(|p| p.close_wait),
                bound_only,
            },
            forecast,
            leftover_before,
        });
    }

    fn apply_resources(&self, result: &mut RunResult) {
        let no_second =
            || self.seconds.iter().find_map(|s| s.client.reason()).unwrap_or("the run was too short to measure").to_owned();
        let client = &mut result.resources.client;
        client.cpu_percent_mean = self.client.cpu_percent_mean();
        client.cpu_percent_max = self.client.cpu_percent_max;
        client.rss_bytes_max = self.client.rss_bytes_max;
        client.threads.clone_from(&self.threads);
        client.measured_seconds = self.measured_seconds;
        client.saturated_seconds = (self.measured_seconds > 0).then_some(self.saturated_seconds);
        result.resources.target = self.target.known().cloned();
        result.resources.host =
            HostResources { cpu_percent_mean: self.host.cpu_percent_mean(), memory_percent_max: self.memory_percent_max };

        let mut null = Nulls(result);
        let client_is_null = self.client.cpu_percent_mean().is_none();
        for key in ["cpu_percent_mean", "cpu_percent_max", "rss_bytes_max"] {
            null.explain(client_is_null, &format!("resources.client.{key}"), &no_second());
        }
        let no_threads = self.threads_error.clone().unwrap_or_else(|| "no load worker was seen over a whole interval".into());
        null.explain(self.measured_seconds == 0, "resources.client.saturated_seconds", &no_threads);
        match &self.target {
            Fact::Unavailable(why) => null.explain(true, "resources.target", why),
            Fact::Known(t) => {
                let short = "the run was too short to measure the target";
                null.explain(t.cpu_percent_mean.is_none(), "resources.target.cpu_percent_mean", short);
                null.explain(t.cpu_percent_max.is_none(), "resources.target.cpu_percent_max", short);
                null.explain(t.rss_bytes_max.is_none(), "resources.target.rss_bytes_max", short);
                let hidden = "its threads' times cannot be read (/proc/PID/task/*/schedstat)";
                null.explain(t.threads.is_none(), "resources.target.threads", hidden);
                null.explain(t.busiest_thread_percent.is_none(), "resources.target.busiest_thread_percent", hidden);
            }
        }
        let no_host = self.seconds.iter().find_map(|s| s.host.reason()).unwrap_or("the run was too short to measure the host");
        null.explain(self.host.cpu_percent_mean().is_none(), "resources.host.cpu_percent_mean", no_host);
        null.explain(self.memory_percent_max.is_none(), "resources.host.memory_percent_max", no_host);
    }

    fn apply_series(&self, result: &mut RunResult) {
        let mut reasons: Vec<(&'static str, String)> = Vec::new();
        let mut note = |key: &'static str, why: Option<&str>| {
            if let Some(why) = why
                && !reasons.iter().any(|(k, _)| *k == key)
            {
                reasons.push((key, why.to_owned()));
            }
        };
        for (i, point) in result.series.iter_mut().enumerate() {
            match self.seconds.iter().find(|s| s.index == i as u64) {
                Some(second) => fill_point(point, second, &mut note),
                None => COLUMNS.iter().for_each(|key| note(key, Some(NO_LOOK))),
            }
        }
        for (key, why) in reasons {
            result.explain_null(&format!("series[].{key}"), why);
        }
    }
}

const COLUMNS: [&str; 9] = [
    "ports_used",
    "time_wait",
    "time_wait_target_side",
    "client_cpu_percent",
    "client_rss_bytes",
    "target_cpu_percent",
    "target_rss_bytes",
    "host_cpu_percent",
    "host_memory_percent",
];

fn fill_point(point: &mut SeriesPoint, second: &Second, note: &mut impl FnMut(&'static str, Option<&str>)) {
    let census = second.census.known();
    point.ports_used = census.map(|c| c.used);
    point.time_wait = census.map(|c| c.time_wait);
    point.time_wait_target_side = census.map(|c| c.time_wait_target_side);
    let client = second.client.known();
    point.client_cpu_percent = client.map(|u| u.cpu_percent);
    point.client_rss_bytes = client.map(|u| u.rss_bytes);
    let target = second.target.known();
    point.target_cpu_percent = target.map(|u| u.cpu_percent);
    point.target_rss_bytes = target.map(|u| u.rss_bytes);
    let host = second.host.known();
    point.host_cpu_percent = host.map(|h| h.cpu_percent);
    point.host_memory_percent = host.map(|h| h.memory_percent);
    let whys = [second.census.reason(), second.client.reason(), second.target.reason(), second.host.reason()];
    for (key, why) in COLUMNS.iter().zip([0, 0, 0, 1, 1, 2, 2, 3, 3].map(|i: usize| whys[i])) {
        note(key, why);
    }
}

/// For a run without an observer: every observed key is null for `reason`.
pub fn apply_unobserved(result: &mut RunResult, reason: &str) {
    let whole = ["ports", "kernel", "resources.target"];
    let client = ["cpu_percent_mean", "cpu_percent_max", "rss_bytes_max", "saturated_seconds"];
    for key in whole {
        result.explain_null(key, reason);
    }
    for key in client {
        result.explain_null(&format!("resources.client.{key}"), reason);
    }
    for key in ["cpu_percent_mean", "memory_percent_max"] {
        result.explain_null(&format!("resources.host.{key}"), reason);
    }
    for key in COLUMNS {
        result.explain_null(&format!("series[].{key}"), reason);
    }
    for (key, why) in host::read_host().1 {
        result.explain_null(&key, why);
    }
}

/// Until the last port is free: TIME_WAIT's own timer, or the reuse age where that comes first.
fn free_again_s(end: &PortCensus, hold_s: f64) -> f64 {
    let timer_s = f64::from(end.last_free_ms.unwrap_or(0)) / 1000.0;
    (timer_s - (LINUX_HOLD_S - hold_s)).max(0.0)
}

fn rate_per_s(result: &RunResult, count: u64) -> f64 {
    if result.duration_s > 0.0 { count as f64 / result.duration_s } else { 0.0 }
}

/// Connections per second up to the first refused port: the pauses after it are not the demand, and a mean over
/// them would put the exhaustion later than it was seen. None where no port was refused.
fn rate_until_exhausted(result: &RunResult, free: Option<u32>, hold_s: Option<f64>) -> Option<f64> {
    let is_port = |call, errno| matches!((call, errno), (Call::Connect, Some(EADDRNOTAVAIL)) | (Call::Bind, Some(EADDRINUSE)));
    let first_s = result.errors.iter().filter(|e| is_port(e.call, e.errno)).map(|e| e.first_s).reduce(f64::min)?;
    // Before T nothing was given back.
    let most = free.filter(|_| hold_s.is_some_and(|hold| first_s <= hold));
    rate_until(result.series.iter().map(|p| p.connects), first_s, most.map(u64::from))
}

/// Explains nulls while they are made.
struct Nulls<'a>(&'a mut RunResult);

impl Nulls<'_> {
    fn take<'f, T>(&mut self, key: &str, fact: &'f Fact<T>) -> Option<&'f T> {
        if let Some(why) = fact.reason() {
            self.0.explain_null(key, why);
        }
        fact.known()
    }

    fn explain(&mut self, is_null: bool, key: &str, why: &str) {
        if is_null {
            self.0.explain_null(key, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_reuse_applies_a_port_is_free_before_its_timer() {
        let end = PortCensus { last_free_ms: Some(59_500), ..PortCensus::default() };
        assert!((free_again_s(&end, 60.0) - 59.5).abs() < 1e-9);
        assert!((free_again_s(&end, 1.0) - 0.5).abs() < 1e-9);
        let old = PortCensus { last_free_ms: Some(30_000), ..PortCensus::default() };
        assert_eq!(free_again_s(&old, 1.0), 0.0);
        assert_eq!(free_again_s(&PortCensus::default(), 60.0), 0.0);
    }
}
