//! One side of a comparison, whoever measured it.

use crate::model::comparison::{Compared, PercentilePoint, PercentilesFrom, SideInfo, Source};
use crate::model::result::{LatencyMs, Ports, RunResult};
use crate::stats::counts::Counts;
use crate::stats::interval::Interval;
use crate::stats::sparse::Sparse;

/// A run as it is compared.
#[derive(Debug, Clone)]
pub struct RunSide {
    /// what it is called and where it comes from
    pub info: SideInfo,
    /// whether it asked for a rate
    pub(super) open_loop: bool,
    pub(super) totals: Vec<(Compared, f64)>,
    pub(super) endpoints: Vec<Part>,
    /// the steady part, second by second; empty where it is not known
    pub(super) seconds: Vec<Second>,
    /// what a reader must know of it
    pub(super) careful: Vec<String>,
}

/// An endpoint.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) figures: Vec<(Compared, f64)>,
    pub(super) seconds: Vec<Second>,
}

/// One second.
#[derive(Debug, Clone, Default)]
pub(super) struct Second {
    /// requests and local failures
    pub(super) requests: f64,
    /// failures and local failures
    pub(super) failed: f64,
    pub(super) latency: Latency,
}

/// Latencies of answered requests in a second.
#[derive(Debug, Clone, Default)]
pub(super) enum Latency {
    #[default]
    Unknown,
    All(Sparse),
    Percentiles {
        p50_ms: f64,
        p95_ms: f64,
    },
}

impl RunSide {
    /// A run of sockbench; `seconds` are those of its interval log, where there is one.
    pub fn of(name: &str, run: &RunResult, log: Option<&[Interval]>) -> Self {
        let steady_from = run.totals.steady.as_ref().map_or(run.plan.steady_from().as_secs_f64(), |s| s.from_s);
        let first = steady_from.ceil() as u64;
        let until = run.totals.steady.as_ref().and_then(|s| s.to_s).unwrap_or(run.duration_s);
        // The last second may be cut short.
        let is_whole = |second: u64| second >= first && (second + 1) as f64 <= until + 0.001;
        let (seconds, from) = match log {
            Some(log) => {
                let whole = log.iter().filter(|i| is_whole(i.second));
                (whole.map(|i| second(&i.counts(), i.answered())).collect(), PercentilesFrom::IntervalLog)
            }
            None => (series(run, &is_whole), PercentilesFrom::Series),
        };
        let of_endpoint =
            |i: &Interval, at: usize| i.endpoints.get(at).map_or_else(Second::default, |e| second(&e.counts, e.answered.clone()));
        let endpoints = run.endpoints.iter().enumerate().map(|(at, e)| Part {
            name: e.name.clone(),
            figures: latency(e.latency_ms.as_ref())
                .into_iter()
                .chain([
                    (Compared::RateRps, e.rps),
                    (Compared::FailedShare, share(e.failures + e.local_failures, e.requests + e.local_failures)),
                ])
                .collect(),
            seconds: log.unwrap_or_default().iter().filter(|i| is_whole(i.second)).map(|i| of_endpoint(i, at)).collect(),
        });
        let mut totals = latency(run.totals.latency_ms.as_ref());
        totals.push((Compared::RateRps, run.totals.rps));
        totals.push((Compared::FailedShare, share(run.locust_failures(), run.locust_requests())));
        totals.push((Compared::Connections, run.totals.connections_opened as f64));
        totals.extend(run.ports.as_ref().and_then(Ports::in_use).map(|n| (Compared::PortsPeak, f64::from(n))));
        let cpu = |percent: Option<f64>| {
            let requests = run.totals.requests as f64;
            percent.filter(|_| requests > 0.0).map(|p| p / 100.0 * run.duration_s * 1e6 / requests)
        };
        totals.extend(cpu(run.resources.client.cpu_percent_mean).map(|us| (Compared::ClientCpuUsPerRequest, us)));
        let target = run.resources.target.as_ref().and_then(|t| t.cpu_percent_mean);
        totals.extend(cpu(target).map(|us| (Compared::TargetCpuUsPerRequest, us)));
        let seconds: Vec<Second> = seconds;
        let mut careful = Vec::new();
        if run.validity.stamp != crate::model::result::RunStamp::Valid {
            careful.push(format!("{name}: {}", run.verdict.sentence));
        }
        Self {
            info: SideInfo {
                name: name.to_owned(),
                source: Source::Sockbench,
                started_at: Some(run.started_at.clone()),
                duration_s: run.duration_s,
                steady_s: seconds.len() as f64,
                percentiles_from: Some(from),
                percentiles: run.totals.latency_ms.as_ref().map_or_else(Vec::new, |l| {
                    let answers = run.totals.requests.saturating_sub(run.totals.failures);
                    l.supported_by(answers).map(|(share, ms)| PercentilePoint { share, ms }).collect()
                }),
            },
            open_loop: run.plan.is_open_loop(),
            totals,
            endpoints: endpoints.collect(),
            seconds,
            careful,
        }
    }
}

fn second(counts: &Counts, answered: Sparse) -> Second {
    Second {
        requests: (counts.requests + counts.local_failures) as f64,
        failed: (counts.failures + counts.local_failures) as f64,
        latency: Latency::All(answered),
    }
}

/// The seconds of a run without its interval log.
fn series(run: &RunResult, is_whole: &impl Fn(u64) -> bool) -> Vec<Second> {
    let points = run.series.iter().enumerate().filter(|(i, p)| is_whole(*i as u64) && (p.t_s - (*i as f64 + 1.0)).abs() < 0.001);
    points
        .map(|(_, p)| Second {
            requests: p.rps + p.local_failures_per_s,
            failed: p.failures_per_s + p.local_failures_per_s,
            latency: match (p.p50_ms, p.p95_ms) {
                (Some(p50_ms), Some(p95_ms)) => Latency::Percentiles { p50_ms, p95_ms },
                _ => Latency::Unknown,
            },
        })
        .collect()
}

fn latency(l: Option<&LatencyMs>) -> Vec<(Compared, f64)> {
    l.map_or_else(Vec::new, |l| vec![(Compared::P50Ms, l.p50), (Compared::P95Ms, l.p95), (Compared::P99Ms, l.p99)])
}

pub(super) fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}
