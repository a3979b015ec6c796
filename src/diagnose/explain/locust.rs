//! Locust's CSV files: `PREFIX_failures.csv` for what failed, `PREFIX_stats_history.csv` for when.

use super::{Known, advice, arithmetic, may_be_ports, read_lines};
use crate::model::explanation::{Arithmetic, Certainty, EXPLAIN_SCHEMA, Explanation, FailedCall, Limit, Measured, Os};

/// Seconds without a failure after which a stretch of failures is over.
const QUIET_S: f64 = 3.0;

/// Why a file is not what its name says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocustError {
    /// a column that is needed is missing
    #[error("no column {0:?}")]
    NoColumn(&'static str),
    /// a row cannot be read
    #[error("row {row}: {why}")]
    Row {
        /// from 2, the first after the header
        row: usize,
        /// in words
        why: String,
    },
    /// the history has fewer than two seconds
    #[error("fewer than two seconds of the aggregated history")]
    Short,
}

/// Whether a text begins like a failures file (its header is the same in every version).
pub fn is_failures_csv(text: &str) -> bool {
    let head = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default().replace('"', "");
    head.starts_with("Method,Name,Error,Occurrences")
}

/// Whether a text begins like a history file.
pub fn is_history_csv(text: &str) -> bool {
    let head = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default().replace('"', "");
    head.starts_with("Timestamp,User Count,Type,Name")
}

/// Failures, with the history beside them where there is one. Errors: either file is not as Locust writes it.
pub fn explain_locust(failures: &str, history: Option<&str>, known: &Known) -> Result<Explanation, LocustError> {
    let rows = failure_rows(failures)?;
    let (mut readings, other_lines) = read_lines(rows.iter().map(|(e, n)| (e.as_str(), *n)), known.os);
    for r in &mut readings {
        r.tool = Some("Locust".into());
        // Every row of this file is a request of a user: an outgoing connection.
        if r.limit == Limit::LocalPorts && r.certainty != Certainty::Certain {
            (r.call, r.certainty) = (FailedCall::Connect, Certainty::Certain);
            r.alternatives.clear();
        }
    }
    let os = known.os.or_else(|| readings.iter().find_map(|r| r.os)).unwrap_or(Os::Linux);
    let measured = history.map(read_history).transpose()?;
    let is_ports = readings.iter().any(may_be_ports);
    let arithmetic: Option<Arithmetic> = is_ports.then(|| arithmetic::of(known, os, measured.filter(|m| m.failures > 0)));
    let remedies = advice::for_readings(&readings, arithmetic.as_ref(), os);
    Ok(Explanation {
        schema: EXPLAIN_SCHEMA.into(),
        source: "locust".into(),
        readings,
        other_lines,
        arithmetic,
        remedies,
        findings: Vec::new(),
    })
}

fn reader(text: &str) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().flexible(true).from_reader(text.trim_start_matches('\u{feff}').as_bytes())
}

fn column(head: &csv::StringRecord, name: &'static str) -> Result<usize, LocustError> {
    head.iter().position(|c| c.trim() == name).ok_or(LocustError::NoColumn(name))
}

fn at(row: usize, why: impl std::fmt::Display) -> LocustError {
    LocustError::Row { row, why: why.to_string() }
}

/// Error texts with their occurrences.
fn failure_rows(text: &str) -> Result<Vec<(String, u64)>, LocustError> {
    let mut csv = reader(text);
    let head = csv.headers().map_err(|e| at(1, e))?.clone();
    let (error, count) = (column(&head, "Error")?, column(&head, "Occurrences")?);
    let mut rows = Vec::new();
    for (i, record) in csv.records().enumerate() {
        let record = record.map_err(|e| at(i + 2, e))?;
        let field = |n: usize| record.get(n).unwrap_or_default().trim();
        let n = field(count).parse::<u64>().map_err(|_| at(i + 2, format!("occurrences {:?}: not a count", field(count))))?;
        rows.push((field(error).to_owned(), n));
    }
    Ok(rows)
}

/// One second of the aggregated history: time, requests and failures so far.
struct Second {
    t: f64,
    requests: u64,
    failures: u64,
}

/// When failures began and ended, and at which rates. Errors: not a history, or too short.
pub fn read_history(text: &str) -> Result<Measured, LocustError> {
    let seconds = seconds(text)?;
    let (Some(first), Some(last)) = (seconds.first(), seconds.last()) else { return Err(LocustError::Short) };
    // Locust's first row may come some seconds before the first request.
    let start = seconds.iter().rev().find(|s| s.requests == 0).unwrap_or(first).t;
    let duration_s = last.t - start;
    if duration_s <= 0.0 || seconds.len() < 2 {
        return Err(LocustError::Short);
    }
    let successes = |s: &Second| s.requests.saturating_sub(s.failures);
    let Some(onset_at) = seconds.windows(2).position(|w| w[1].failures > w[0].failures) else {
        let rate = successes(last) as f64 / duration_s;
        return Ok(Measured {
            onset_s: duration_s,
            dead_s: None,
            successes_before: successes(last),
            rate_before_cps: rate,
            fail_rate_cps: 0.0,
            recovered_rate_cps: None,
            failures: 0,
            successes: successes(last),
            duration_s,
        });
    };
    let onset = &seconds[onset_at];
    // The stretch ends at the last growth of failures before QUIET_S without any.
    let mut end_at = onset_at + 1;
    for (i, w) in seconds.windows(2).enumerate().skip(onset_at) {
        if w[1].failures > w[0].failures {
            end_at = i + 1;
        } else if w[1].t - seconds[end_at].t >= QUIET_S {
            break;
        }
    }
    let end = &seconds[end_at];
    let stopped = last.t - end.t >= QUIET_S;
    let span = (end.t - onset.t).max(1e-9);
    let before = (onset.t - start).max(1e-9);
    let after = last.t - end.t;
    Ok(Measured {
        onset_s: onset.t - start,
        dead_s: stopped.then_some(span),
        successes_before: successes(onset),
        rate_before_cps: successes(onset) as f64 / before,
        fail_rate_cps: (end.failures - onset.failures) as f64 / span,
        recovered_rate_cps: stopped.then(|| successes(last).saturating_sub(successes(end)) as f64 / after),
        failures: last.failures,
        successes: successes(last),
        duration_s,
    })
}

fn seconds(text: &str) -> Result<Vec<Second>, LocustError> {
    let mut csv = reader(text);
    let head = csv.headers().map_err(|e| at(1, e))?.clone();
    let (time, name) = (column(&head, "Timestamp")?, column(&head, "Name")?);
    let (requests, failures) = (column(&head, "Total Request Count")?, column(&head, "Total Failure Count")?);
    let mut out = Vec::new();
    for (i, record) in csv.records().enumerate() {
        let record = record.map_err(|e| at(i + 2, e))?;
        let field = |n: usize| record.get(n).unwrap_or_default().trim();
        if field(name) != "Aggregated" {
            continue;
        }
        let t = field(time)
            .parse::<f64>()
            .ok()
            .filter(|t| t.is_finite())
            .ok_or_else(|| at(i + 2, format!("timestamp {:?}", field(time))))?;
        let count = |n: usize| field(n).parse::<u64>().map_err(|_| at(i + 2, format!("count {:?}", field(n))));
        out.push(Second { t, requests: count(requests)?, failures: count(failures)? });
    }
    if out.len() < 2 || out.windows(2).any(|w| w[1].failures < w[0].failures || w[1].requests < w[0].requests) {
        return Err(LocustError::Short);
    }
    Ok(out)
}
