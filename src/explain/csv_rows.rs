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

pub(super) fn reader(text: &str) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().flexible(true).from_reader(text.trim_start_matches('\u{feff}').as_bytes())
}

pub(super) fn column(head: &csv::StringRecord, name: &'static str) -> Result<usize, LocustError> {
    head.iter().position(|c| c.trim() == name).ok_or(LocustError::NoColumn(name))
}

pub(super) fn at(row: usize, why: impl std::fmt::Display) -> LocustError {
    LocustError::Row { row, why: why.to_string() }
}
