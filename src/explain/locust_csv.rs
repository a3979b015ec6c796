//! Locust's CSV files: `PREFIX_failures.csv` and `PREFIX_exceptions.csv` for what failed, `PREFIX_stats_history.csv` for when,
//! `PREFIX_stats.csv` for how often.

pub use super::csv_rows::LocustError;
use super::csv_rows::{column, counted, field, reader};
use super::evidence::Around;
use super::history::{History, Share};
use super::readings::{line_may_be_ports, of_counted};
use super::{Known, finished};
use crate::model::explanation::{Certainty, Explanation, FailedCall, Limit, Measured, Side};

/// One of Locust's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `_failures.csv`
    Failures,
    /// `_stats_history.csv`
    History,
    /// `_exceptions.csv`
    Exceptions,
    /// `_stats.csv`
    Stats,
}

impl Kind {
    /// Which one a text begins like: the first columns are the same in every version.
    pub fn of(text: &str) -> Option<Self> {
        let head = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default().replace('"', "");
        let heads = [
            ("Method,Name,Error,Occurrences", Self::Failures),
            ("Timestamp,User Count,Type,Name", Self::History),
            ("Count,Message,Traceback", Self::Exceptions),
            ("Type,Name,Request Count,Failure Count", Self::Stats),
        ];
        heads.into_iter().find(|(columns, _)| head.starts_with(columns)).map(|(_, kind)| kind)
    }

    /// How the name of such a file ends.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Failures => "_failures.csv",
            Self::History => "_stats_history.csv",
            Self::Exceptions => "_exceptions.csv",
            Self::Stats => "_stats.csv",
        }
    }
}

/// Failures, with the history beside them where there is one. Errors: either file is not as Locust writes it.
pub fn explain_locust(failures: &str, history: Option<&str>, known: &Known) -> Result<Explanation, LocustError> {
    of_rows(&failure_rows(failures)?, history, known)
}

/// Exceptions of users' tasks. Errors: not as Locust writes it.
pub fn explain_exceptions(exceptions: &str, known: &Known) -> Result<Explanation, LocustError> {
    let (mut csv, head) = reader(exceptions)?;
    let (count, message, trace) = (column(&head, "Count")?, column(&head, "Message")?, column(&head, "Traceback")?);
    let rows = counted(&mut csv, count, "count", |record, count| {
        // The last line of a trace has the exception's name beside its message.
        let last = field(record, trace).lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let message = field(record, message);
        let error = if last.contains(message) { last } else { message };
        Row { error: error.to_owned(), count, seen: None }
    })?;
    of_rows(&rows, None, known)
}

/// How many requests were made and how many of them failed, by the aggregated row of statistics or of a history.
pub fn counts(text: &str) -> Option<(u64, u64)> {
    let (mut csv, head) = reader(text).ok()?;
    let either = |a, b| column(&head, a).or_else(|_| column(&head, b)).ok();
    let name = column(&head, "Name").ok()?;
    let (requests, failures) = (either("Request Count", "Total Request Count")?, either("Failure Count", "Total Failure Count")?);
    let rows = csv.records().filter_map(Result::ok).filter(|r| r.get(name).is_some_and(|n| n.trim() == "Aggregated"));
    let last = rows.last()?;
    let number = |n: usize| last.get(n)?.trim().parse().ok();
    Some((number(requests)?, number(failures)?))
}

fn of_rows(rows: &[Row], history: Option<&str>, known: &Known) -> Result<Explanation, LocustError> {
    // Every row of these files is of a user: an outgoing connection.
    let around = Around { os: known.os, side: Some(Side::Client) };
    let (mut readings, other_lines) = of_counted(rows.iter().map(|r| (r.error.as_str(), r.count)), around);
    for r in &mut readings {
        r.tool.get_or_insert_with(|| "Locust".into());
        if r.limit == Limit::LocalPorts && r.certainty == Certainty::Likely && r.call == FailedCall::Connect {
            r.certainty = Certainty::Certain;
            r.alternatives.clear();
        }
    }
    let history = history.map(|h| History::read(h, share(rows, around))).transpose()?;
    let history = history.as_ref().filter(|h| h.measured.port_failures > 0);
    Ok(finished("locust", readings, other_lines, known, history))
}

/// One row of a failures file.
struct Row {
    error: String,
    count: u64,
    /// first and last time, seconds of the Unix epoch, where the file has them
    seen: Option<(f64, f64)>,
}

/// Which failures ports may be the limit of: what the target did is none of them.
fn share(rows: &[Row], around: Around) -> Share {
    let is_ports = |r: &&Row| line_may_be_ports(&r.error, around);
    let of_ports: Vec<&Row> = rows.iter().filter(is_ports).collect();
    let seen: Option<Vec<(f64, f64)>> = of_ports.iter().map(|r| r.seen).collect();
    let between = seen.and_then(|s| s.into_iter().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))));
    // Without others the history's own count is the better one: it may be of another moment than the failures file.
    let all = of_ports.len() == rows.len();
    Share {
        count: (!all).then(|| of_ports.iter().map(|r| r.count).fold(0, u64::saturating_add)),
        between: between.filter(|_| !all),
    }
}

fn failure_rows(text: &str) -> Result<Vec<Row>, LocustError> {
    let (mut csv, head) = reader(text)?;
    let (error, count) = (column(&head, "Error")?, column(&head, "Occurrences")?);
    let (first, last) = (column(&head, "First Seen").ok(), column(&head, "Last Seen").ok());
    counted(&mut csv, count, "occurrences", |record, count| {
        let seen_at = |column: Option<usize>| epoch_s(field(record, column?));
        Row { error: field(record, error).to_owned(), count, seen: seen_at(first).zip(seen_at(last)) }
    })
}

/// `2026-11-26T01:08:17Z`, or seconds of the epoch.
fn epoch_s(text: &str) -> Option<f64> {
    let date = || Some(humantime::parse_rfc3339_weak(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs_f64());
    text.parse().ok().or_else(date)
}

/// When failures began and ended, and at which rates. Errors: not a history, or too short.
pub fn read_history(text: &str) -> Result<Measured, LocustError> {
    History::read(text, Share::default()).map(|h| h.measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failures_of_a_history_are_those_of_the_ports_where_no_others_were() {
        let around = Around { os: None, side: Some(Side::Client) };
        let row = |error: &str, count| Row { error: error.into(), count, seen: Some((1.0, 2.0)) };
        let ports = || row("OSError(99, 'Cannot assign requested address')", 7);
        let all = share(&[ports(), ports()], around);
        assert_eq!((all.count, all.between), (None, None));
        let some = share(&[ports(), row("ConnectionRefusedError(111, 'Connection refused')", 5)], around);
        assert_eq!((some.count, some.between), (Some(7), Some((1.0, 2.0))));
    }
}
