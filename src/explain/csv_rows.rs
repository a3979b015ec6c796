//! Rows of Locust's CSV files, and why one cannot be read.

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

/// The rows of a text, and its head.
pub(super) fn reader(text: &str) -> Result<(csv::Reader<&[u8]>, csv::StringRecord), LocustError> {
    let mut csv = csv::ReaderBuilder::new().flexible(true).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let head = csv.headers().map_err(|e| at(1, e))?.clone();
    Ok((csv, head))
}

pub(super) fn column(head: &csv::StringRecord, name: &'static str) -> Result<usize, LocustError> {
    head.iter().position(|c| c.trim() == name).ok_or(LocustError::NoColumn(name))
}

/// A field without blanks at its ends; empty where the row is short.
pub(super) fn field(record: &csv::StringRecord, column: usize) -> &str {
    record.get(column).unwrap_or_default().trim()
}

/// Each row with the count in its column `of`, which is a count of `what`.
pub(super) fn counted<R>(
    csv: &mut csv::Reader<&[u8]>,
    of: usize,
    what: &str,
    row: impl Fn(&csv::StringRecord, u64) -> R,
) -> Result<Vec<R>, LocustError> {
    let read = |(i, record): (usize, csv::Result<csv::StringRecord>)| {
        let record = record.map_err(|e| at(i + 2, e))?;
        let n = field(&record, of);
        let n = n.parse().map_err(|_| at(i + 2, format!("{what} {n:?}: not a count")))?;
        Ok(row(&record, n))
    };
    csv.records().enumerate().map(read).collect()
}

pub(super) fn at(row: usize, why: impl std::fmt::Display) -> LocustError {
    LocustError::Row { row, why: why.to_string() }
}
