//! The three CSV files that Locust writes with `--csv`, header for header: CRLF, milliseconds, `N/A` where nothing
//! was measured. Checked against Locust 2.47 by `scripts/check_locust_csv.py`.
//!
//! Where ours differ on purpose: percentiles of the history are those of the last ten seconds (Locust's
//! `--csv-full-history`; without it Locust writes percentiles since the start, under the same heads), they are whole
//! milliseconds but not rounded to two digits, requests in flight are not lost at the end, and `Error` names the
//! system call and its errno.

use std::collections::VecDeque;

use super::hlog::{HlogError, rfc3339_of, seconds_of};
use super::locust::{LocustRow, PERCENTILES, rows};
use crate::model::order::Order as _;
use crate::model::result::{ErrorRow, LatencyMs, RunResult};
use crate::stats::histogram::Latencies;
use crate::stats::interval::Interval;
use crate::stats::sparse::Sparse;

/// Seconds that "current" figures of the history look back.
const WINDOW_S: usize = 10;

/// Heads of the columns before and behind the percentiles, as Locust has them in one line.
const STATS_HEAD: &str = "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,\
                          Max Response Time,Average Content Size,Requests/s,Failures/s";
const HISTORY_HEAD: &str = "Timestamp,User Count,Type,Name,Requests/s,Failures/s";
const HISTORY_TOTALS: &str = "Total Request Count,Total Failure Count,Total Median Response Time,Total Average Response Time,\
                              Total Min Response Time,Total Max Response Time,Total Average Content Size";
const FAILURES_HEAD: &str = "Method,Name,Error,Occurrences,First Seen,Last Seen";

/// Why a file could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// the csv writer refused
    #[error("csv: {0}")]
    Csv(#[from] csv::Error),
    /// the run's start is not a time
    #[error(transparent)]
    Start(#[from] HlogError),
    /// a field was not UTF-8
    #[error("csv: {0}")]
    Text(String),
}

/// `PREFIX_stats.csv`: a row per endpoint by name, and the aggregated one.
pub fn stats_csv(run: &RunResult) -> Result<String, CsvError> {
    let mut out = writer();
    out.write_record(STATS_HEAD.split(',').chain(heads()))?;
    let (endpoints, all) = rows(run);
    for row in endpoints.iter().chain([&all]) {
        out.write_record(stats_record(row))?;
    }
    text_of(out)
}

fn stats_record(row: &LocustRow) -> Vec<String> {
    let mut record = vec![row.method.clone(), row.name.clone(), row.requests.to_string(), row.failures.to_string()];
    record.extend(times(row.times_ms.as_ref()));
    record.extend([row.content_size_mean, row.rps, row.failures_per_s].map(float));
    record.extend(percentiles(row.times_ms.as_ref()));
    record
}

/// `PREFIX_failures.csv`: a row per kind and endpoint, by name.
pub fn failures_csv(run: &RunResult) -> Result<String, CsvError> {
    let start_s = seconds_of(&run.started_at)?;
    let mut out = writer();
    out.write_record(FAILURES_HEAD.split(','))?;
    let mut errors: Vec<&ErrorRow> = run.errors.iter().collect();
    errors.order_by(|a, b| (&a.endpoint, &a.method).cmp(&(&b.endpoint, &b.method)));
    for e in errors {
        let errno = e.errno.map_or_else(String::new, |n| format!(" ({n})"));
        out.write_record([
            e.method.clone(),
            e.endpoint.clone(),
            format!("{} {}{errno}: {}", e.call.word(), e.name, e.message),
            e.count.to_string(),
            rfc3339_of(start_s + e.first_s),
            rfc3339_of(start_s + e.last_s),
        ])?;
    }
    text_of(out)
}

/// `PREFIX_stats_history.csv`: fed with every second while the run goes on, or with those of a stored interval log.
/// Keeps a row of fixed size for each second.
#[derive(Default)]
pub struct History {
    window: VecDeque<Recent>,
    all: Latencies,
    sums: Sums,
    rows: Vec<HistoryRow>,
}

struct Recent {
    requests: u64,
    failures: u64,
    times: Sparse,
}

#[derive(Default, Clone, Copy)]
struct Sums {
    requests: u64,
    failures: u64,
    body_bytes: u64,
}

struct HistoryRow {
    second: u64,
    rps: f64,
    failures_per_s: f64,
    current: Option<LatencyMs>,
    total: Option<LatencyMs>,
    sums: Sums,
}

impl History {
    /// A whole stored run.
    pub fn of(seconds: &[Interval]) -> Self {
        let mut history = Self::default();
        for second in seconds {
            history.push(second);
        }
        history
    }

    /// Adds the next second, all workers merged.
    pub fn push(&mut self, second: &Interval) {
        let counts = second.counts();
        let recent = Recent {
            requests: counts.requests + counts.local_failures,
            failures: counts.failures + counts.local_failures,
            times: second.answered_and_failed(),
        };
        self.all.add_sparse(&recent.times);
        self.sums.requests += recent.requests;
        self.sums.failures += recent.failures;
        self.sums.body_bytes += counts.body_bytes;
        if self.window.len() == WINDOW_S {
            self.window.pop_front();
        }
        self.window.push_back(recent);

        let mut current = Sparse::default();
        for recent in &self.window {
            current.add(&recent.times);
        }
        let mean = |count: fn(&Recent) -> u64| self.window.iter().map(count).sum::<u64>() as f64 / self.window.len() as f64;
        self.rows.push(HistoryRow {
            second: second.second,
            rps: mean(|r| r.requests),
            failures_per_s: mean(|r| r.failures),
            current: current.latency_ms(),
            total: self.all.latency_ms(),
            sums: self.sums,
        });
    }

    /// The file; start and users come from `run`.
    pub fn render(&self, run: &RunResult) -> Result<String, CsvError> {
        let start_s = seconds_of(&run.started_at)?.floor() as u64;
        let mut out = writer();
        out.write_record(HISTORY_HEAD.split(',').chain(heads()).chain(HISTORY_TOTALS.split(',')))?;
        for row in &self.rows {
            let point = run.series.get(row.second as usize).or(run.series.last());
            let mut record = vec![
                (start_s + row.second + 1).to_string(),
                point.map_or(0, |p| p.users).to_string(),
                String::new(),
                "Aggregated".into(),
                format!("{:.6}", row.rps),
                format!("{:.6}", row.failures_per_s),
            ];
            record.extend(percentiles(row.current.as_ref()));
            record.extend([row.sums.requests.to_string(), row.sums.failures.to_string()]);
            record.extend(times(row.total.as_ref()));
            let size = if row.sums.requests == 0 { 0.0 } else { row.sums.body_bytes as f64 / row.sums.requests as f64 };
            record.push(float(size));
            out.write_record(record)?;
        }
        text_of(out)
    }
}

/// Median (whole milliseconds, as Locust's), mean, minimum, maximum; zeros when nothing was measured, as Locust's.
fn times(l: Option<&LatencyMs>) -> [String; 4] {
    l.map_or_else(
        || ["0".into(), "0.0".into(), "0".into(), "0".into()],
        |l| [whole(l.p50), float(l.mean), float(l.min), float(l.max)],
    )
}

fn heads() -> impl Iterator<Item = &'static str> {
    PERCENTILES.into_iter().map(|(head, _)| head)
}

fn percentiles(l: Option<&LatencyMs>) -> [String; 11] {
    PERCENTILES.map(|(_, pick)| l.map_or_else(|| "N/A".to_owned(), |l| whole(pick(l))))
}

fn whole(ms: f64) -> String {
    format!("{ms:.0}")
}

/// As Python writes a float: always with a decimal point.
fn float(value: f64) -> String {
    format!("{value:?}")
}

fn writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new())
}

fn text_of(out: csv::Writer<Vec<u8>>) -> Result<String, CsvError> {
    let bytes = out.into_inner().map_err(|e| CsvError::Text(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| CsvError::Text(e.to_string()))
}
