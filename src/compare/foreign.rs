//! Results of other tools, as far as they go: Locust's CSV files, oha's JSON, k6's `--summary-export`.
//!
//! The formats are those of the tools' documentation. k6's was not tried against k6.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::side::{Latency, Part, RunSide, Second, share};
use crate::model::by_name;
use crate::model::comparison::{Compared, PercentilePoint, PercentilesFrom, SideInfo, Source};

/// Why a text is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// not CSV with Locust's columns
    #[error("not Locust's CSV: {0}")]
    Csv(#[from] csv::Error),
    /// not JSON of this shape
    #[error("not in the shape of {tool}: {error}")]
    Json {
        /// whose
        tool: &'static str,
        /// serde's words
        error: serde_json::Error,
    },
    /// the row or figure that everything rests on
    #[error("{0}")]
    Lacks(&'static str),
}

fn info(name: &str, source: Source, duration_s: f64, totals: &[(Compared, f64)]) -> SideInfo {
    let shares = [(Compared::P50Ms, 0.5), (Compared::P95Ms, 0.95), (Compared::P99Ms, 0.99)];
    let at = |(what, share)| totals.iter().find(|(w, _)| *w == what).map(|(_, ms)| PercentilePoint { share, ms: *ms });
    SideInfo {
        name: name.to_owned(),
        source,
        started_at: None,
        duration_s,
        steady_s: 0.0,
        percentiles_from: None,
        percentiles: shares.into_iter().filter_map(at).collect(),
    }
}

/// A row of `_stats.csv`.
#[derive(Deserialize)]
struct StatsRow {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Request Count")]
    requests: u64,
    #[serde(rename = "Failure Count")]
    failures: u64,
    #[serde(rename = "Requests/s")]
    rate: f64,
    #[serde(rename = "50%")]
    p50: String,
    #[serde(rename = "95%")]
    p95: String,
    #[serde(rename = "99%")]
    p99: String,
}

impl StatsRow {
    fn figures(&self) -> Vec<(Compared, f64)> {
        // `N/A` where there was no request.
        let ms = [(Compared::P50Ms, &self.p50), (Compared::P95Ms, &self.p95), (Compared::P99Ms, &self.p99)];
        let ms = ms.into_iter().filter_map(|(what, text)| Some((what, text.parse().ok()?)));
        [(Compared::RateRps, self.rate), (Compared::FailedShare, share(self.failures, self.requests))]
            .into_iter()
            .chain(ms)
            .collect()
    }
}

/// A row of `_stats_history.csv`.
#[derive(Deserialize)]
struct HistoryRow {
    #[serde(rename = "Timestamp")]
    at: u64,
    #[serde(rename = "User Count")]
    users: u64,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "50%")]
    p50: String,
    #[serde(rename = "95%")]
    p95: String,
    #[serde(rename = "Total Request Count")]
    requests: u64,
    #[serde(rename = "Total Failure Count")]
    failures: u64,
}

/// Locust's `_stats.csv`, and its `_stats_history.csv` where there is one.
///
/// Errors: another shape, or no row `Aggregated`.
pub fn locust(name: &str, stats: &str, history: Option<&str>) -> Result<RunSide, NotRead> {
    let rows: Vec<StatsRow> = csv::Reader::from_reader(stats.as_bytes()).deserialize().collect::<Result<_, _>>()?;
    let (all, endpoints): (Vec<_>, Vec<_>) = rows.into_iter().partition(|r| r.name == "Aggregated");
    let all = all.first().ok_or(NotRead::Lacks("no row `Aggregated`"))?;
    let seconds = history.map(locust_seconds).transpose()?.unwrap_or_default();
    let mut info = info(name, Source::Locust, if all.rate > 0.0 { all.requests as f64 / all.rate } else { 0.0 }, &all.figures());
    (info.steady_s, info.percentiles_from) = (seconds.len() as f64, (!seconds.is_empty()).then_some(PercentilesFrom::Series));
    let mut careful = vec![format!("{name}: Locust counts failed requests into its percentiles")];
    if !seconds.is_empty() {
        careful.push(format!(
            "{name}: Locust's history has the percentiles of the last 10 s in each second, so chance looks smaller"
        ));
    }
    let parts = endpoints.iter().map(|row| Part { name: row.name.clone(), figures: row.figures(), seconds: Vec::new() });
    Ok(RunSide { info, open_loop: false, totals: all.figures(), endpoints: parts.collect(), seconds, careful })
}

/// Seconds with all users: the ramp is left out.
fn locust_seconds(history: &str) -> Result<Vec<Second>, NotRead> {
    let rows: Vec<HistoryRow> = csv::Reader::from_reader(history.as_bytes()).deserialize().collect::<Result<_, _>>()?;
    let rows: Vec<HistoryRow> = rows.into_iter().filter(|r| r.name == "Aggregated").collect();
    let most = rows.iter().map(|r| r.users).max().unwrap_or(0);
    let steady = rows.windows(2).filter(|w| w[0].users == most && w[1].users == most && w[1].at > w[0].at);
    let second = |w: &[HistoryRow]| {
        let seconds = (w[1].at - w[0].at) as f64;
        let per_s = |a: u64, b: u64| b.saturating_sub(a) as f64 / seconds;
        Second {
            requests: per_s(w[0].requests, w[1].requests),
            failed: per_s(w[0].failures, w[1].failures),
            latency: match (w[1].p50.parse(), w[1].p95.parse()) {
                (Ok(p50_ms), Ok(p95_ms)) => Latency::Percentiles { p50_ms, p95_ms },
                _ => Latency::Unknown,
            },
        }
    };
    Ok(steady.map(second).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Oha {
    summary: OhaSummary,
    #[serde(default)]
    latency_percentiles: BTreeMap<String, Option<f64>>,
    #[serde(default)]
    status_code_distribution: BTreeMap<String, u64>,
    #[serde(default)]
    error_distribution: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OhaSummary {
    total: f64,
    requests_per_sec: f64,
}

/// oha's `--output-format json`: seconds, and only sums over the run.
///
/// Errors: another shape.
pub fn oha(name: &str, text: &str) -> Result<RunSide, NotRead> {
    let oha: Oha = by_name::read(text).map_err(|error| NotRead::Json { tool: "oha", error })?;
    // Another's figures may be any.
    let sum = |counts: &mut dyn Iterator<Item = &u64>| counts.fold(0, |all: u64, n| all.saturating_add(*n));
    let answered = sum(&mut oha.status_code_distribution.values());
    let errors = sum(&mut oha.error_distribution.values());
    let is_failed = |status: &str| status.parse::<u16>().is_ok_and(|s| s >= 400);
    let failed = sum(&mut oha.status_code_distribution.iter().filter(|(s, _)| is_failed(s)).map(|(_, n)| n));
    let percentile = |key: &str| oha.latency_percentiles.get(key).copied().flatten().map(|s| s * 1000.0);
    let ms = [(Compared::P50Ms, "p50"), (Compared::P95Ms, "p95"), (Compared::P99Ms, "p99")];
    let mut totals = vec![(Compared::RateRps, oha.summary.requests_per_sec)];
    totals.push((Compared::FailedShare, share(failed.saturating_add(errors), answered.saturating_add(errors))));
    totals.extend(ms.into_iter().filter_map(|(what, key)| Some((what, percentile(key)?))));
    let careful = vec![format!("{name}: oha stores sums only, so nothing says how much they vary")];
    let info = info(name, Source::Oha, oha.summary.total, &totals);
    Ok(RunSide { info, open_loop: false, totals, endpoints: Vec::new(), seconds: Vec::new(), careful })
}

#[derive(Deserialize)]
struct K6 {
    metrics: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
}

/// k6's `--summary-export`.
///
/// Errors: another shape, or no `http_reqs`.
pub fn k6(name: &str, text: &str) -> Result<RunSide, NotRead> {
    let k6: K6 = by_name::read(text).map_err(|error| NotRead::Json { tool: "k6", error })?;
    let figure = |metric: &str, key: &str| k6.metrics.get(metric)?.get(key)?.as_f64();
    let rate = figure("http_reqs", "rate").ok_or(NotRead::Lacks("no http_reqs in it"))?;
    let count = figure("http_reqs", "count").unwrap_or(0.0);
    let mut totals = vec![(Compared::RateRps, rate)];
    let duration = [(Compared::P50Ms, "med"), (Compared::P95Ms, "p(95)"), (Compared::P99Ms, "p(99)")];
    totals.extend(duration.into_iter().filter_map(|(what, key)| Some((what, figure("http_req_duration", key)?))));
    // The share of a rate is its `value` in an export, its `rate` in a summary of a script.
    let failed = figure("http_req_failed", "value").or_else(|| figure("http_req_failed", "rate"));
    totals.extend(failed.map(|share| (Compared::FailedShare, share)));
    let careful = vec![
        format!("{name}: read by k6's documentation, not tried against k6"),
        format!("{name}: k6 stores sums only, so nothing says how much they vary"),
    ];
    let info = info(name, Source::K6, if rate > 0.0 { count / rate } else { 0.0 }, &totals);
    Ok(RunSide { info, open_loop: false, totals, endpoints: Vec::new(), seconds: Vec::new(), careful })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(side: &RunSide, what: Compared) -> Option<f64> {
        side.totals.iter().find(|(w, _)| *w == what).map(|(_, v)| *v)
    }

    #[test]
    fn locusts_files_by_their_columns() {
        let stats = "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,\
                     Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%\r\n\
                     GET,/io,600,60,200,201,200,260,24,50,5,200,201,202,203,204,205,206,207,208,209,260\r\n\
                     ,Aggregated,600,60,200,201,200,260,24,50,5,200,201,202,203,204,205,206,207,208,209,260\r\n";
        let head = "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%,\
                    Total Request Count,Total Failure Count,Total Median Response Time,Total Average Response Time,\
                    Total Min Response Time,Total Max Response Time,Total Average Content Size\r\n";
        let row = |t: u64| {
            let (users, ms) = if t < 2 { (5, "N/A") } else { (10, "200") };
            format!("{},{users},,Aggregated,50,5,{ms},,,,,{ms},,,,,,{},{},,,,,\r\n", 1000 + t, t * 50, t * 5)
        };
        let history = head.to_owned() + &(0..14).map(row).collect::<String>();
        let side = locust("a", stats, Some(&history)).expect("Locust's");
        assert_eq!((side.endpoints.len(), side.seconds.len(), side.info.duration_s), (1, 11, 12.0), "without the ramp");
        assert_eq!([Compared::P95Ms, Compared::FailedShare].map(|w| of(&side, w)), [Some(205.0), Some(0.1)]);
        assert!(side.seconds.iter().all(|s| s.requests == 50.0 && matches!(s.latency, Latency::Percentiles { .. })));
        assert!(locust("a", stats, None).expect("without its history").seconds.is_empty());
        assert!(locust("a", "Type,Name\n", None).is_err() && locust("a", "{}", None).is_err());
    }

    #[test]
    fn oha_in_seconds() {
        let text = r#"{"summary":{"successRate":1.0,"total":10.0,"slowest":0.3,"fastest":0.001,"average":0.02,"requestsPerSec":100.0,
            "totalData":1,"sizePerRequest":1,"sizePerSec":1.0},"latencyPercentiles":{"p10":0.001,"p50":0.02,"p95":0.2,"p99":null},
            "statusCodeDistribution":{"200":900,"503":50},"errorDistribution":{"connection refused":50}}"#;
        let side = oha("b", text).expect("oha's");
        assert_eq!(
            [Compared::P50Ms, Compared::P95Ms, Compared::P99Ms, Compared::FailedShare].map(|w| of(&side, w)),
            [Some(20.0), Some(200.0), None, Some(0.1)]
        );
        assert!(oha("b", "{}").is_err());
    }

    #[test]
    fn k6s_export_as_documented() {
        let text = r#"{"metrics":{"http_reqs":{"count":1000,"rate":50.0},"http_req_failed":{"passes":10,"fails":990,"value":0.01},
            "http_req_duration":{"avg":20.0,"min":1.0,"med":18.0,"max":90.0,"p(90)":40.0,"p(95)":55.5}},"root_group":{}}"#;
        let side = k6("c", text).expect("k6's");
        assert_eq!(
            [Compared::RateRps, Compared::P50Ms, Compared::P95Ms, Compared::FailedShare].map(|w| of(&side, w)),
            [Some(50.0), Some(18.0), Some(55.5), Some(0.01)]
        );
        assert_eq!(side.info.duration_s, 20.0);
        assert!(k6("c", r#"{"metrics":{}}"#).is_err());
    }
}
