//! The error table: one row for each kind of failure at each endpoint, bounded.

use std::cmp::Reverse;

use crate::model::limits::ERROR_ROWS;
use crate::model::order::Order as _;
use crate::model::outcome::{Call, EndpointId, Failure, FailureSide};
use crate::model::received::{Received, escaped};
use crate::model::time::Stamp;

/// How often and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hits {
    /// how often
    pub count: u64,
    /// the first
    pub first: Stamp,
    /// the last
    pub last: Stamp,
}

impl Hits {
    const fn one(at: Stamp) -> Self {
        Self { count: 1, first: at, last: at }
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// What was received when a failure was first seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// what was known of the answer
    pub received: Received,
    /// the line that is wrong, or the first bytes; escaped
    pub first_bytes: String,
    /// fields that say when the target takes more
    pub limit_fields: Option<String>,
}

impl Evidence {
    /// From what was known and the bytes to show; none where nothing came.
    pub fn of(received: Received, excerpt: &[u8]) -> Option<Self> {
        let evidence = Self { received, first_bytes: escaped(excerpt), limit_fields: None };
        Some(evidence).filter(|_| received.bytes > 0)
    }

    /// With the fields of its head that say when the target takes more.
    #[must_use]
    pub fn with_limit_fields(self, fields: Option<&str>) -> Self {
        Self { limit_fields: fields.map(str::to_owned), ..self }
    }
}

/// One kind of failure at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorCount {
    /// the failure with its whole cause
    pub failure: Failure,
    /// where
    pub endpoint: EndpointId,
    /// how often and when
    pub hits: Hits,
    /// of the first one of which an answer had begun; looked for once
    pub evidence: Option<Box<Evidence>>,
}

/// Kinds that found no row any more, summed by side so that the sums still add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherErrors {
    /// whose
    pub side: FailureSide,
    /// the lowest call among them
    pub call: Call,
    /// how often and when
    pub hits: Hits,
}

/// Rows in order of first sight, and the rest.
///
/// A new kind allocates at most one table's worth of memory; known kinds none. The search is linear: a run has a
/// handful of kinds, and at most [`ERROR_ROWS`].
#[derive(Debug, Clone, Default)]
pub struct ErrorTable {
    rows: Vec<ErrorCount>,
    other: Vec<OtherErrors>,
}

impl ErrorTable {
    /// Counts one failure.
    pub fn record(&mut self, failure: Failure, endpoint: EndpointId, at: Stamp) {
        self.add_row(ErrorCount { failure, endpoint, hits: Hits::one(at), evidence: None });
    }

    /// Counts several failures of one kind, the first and the last of them at these times.
    pub fn record_many(&mut self, failure: Failure, endpoint: EndpointId, count: u64, first: Stamp, last: Stamp) {
        self.add_row(ErrorCount { failure, endpoint, hits: Hits { count, first, last }, evidence: None });
    }

    /// Keeps what `evidence` gives for a failure that was just recorded, unless its row has some.
    pub fn keep_evidence(&mut self, failure: Failure, endpoint: EndpointId, evidence: impl FnOnce() -> Option<Evidence>) {
        let row = self.rows.iter_mut().find(|r| r.failure == failure && r.endpoint == endpoint);
        if let Some(row) = row.filter(|r| r.evidence.is_none()) {
            row.evidence = evidence().map(Box::new);
        }
    }

    /// The same table of a run in which the first of these endpoints is number `first`.
    pub(super) fn moved(mut self, first: u16) -> Self {
        self.rows.iter_mut().for_each(|row| row.endpoint = row.endpoint.moved(first));
        self
    }

    fn add_row(&mut self, row: ErrorCount) {
        if let Some(known) = self.rows.iter_mut().find(|r| r.failure == row.failure && r.endpoint == row.endpoint) {
            known.hits.add(row.hits);
        } else if self.rows.len() < ERROR_ROWS {
            self.rows.push(row);
        } else {
            self.add_other(OtherErrors { side: row.failure.side(), call: row.failure.call, hits: row.hits });
        }
    }

    fn add_other(&mut self, more: OtherErrors) {
        if let Some(known) = self.other.iter_mut().find(|o| o.side == more.side) {
            known.call = known.call.min(more.call);
            known.hits.add(more.hits);
        } else {
            self.other.push(more);
        }
    }

    /// The table of several workers: the most frequent kinds keep their rows, the rest is summed.
    /// In any order of `tables` the same.
    pub fn merged(tables: &[Self]) -> Self {
        let mut rows: Vec<ErrorCount> = tables.iter().flat_map(|t| t.rows.iter().cloned()).collect();
        rows.order_by_key(|r| (r.failure, r.endpoint));
        rows.dedup_by(|later, kept| {
            let same = later.failure == kept.failure && later.endpoint == kept.endpoint;
            if same {
                // Of the workers' evidence the earliest, whatever the order of the tables.
                let earlier =
                    (later.evidence.is_some(), Reverse(later.hits.first)) > (kept.evidence.is_some(), Reverse(kept.hits.first));
                if earlier {
                    std::mem::swap(&mut kept.evidence, &mut later.evidence);
                }
                kept.hits.add(later.hits);
            }
            same
        });
        rows.order_by_key(|r| (Reverse(r.hits.count), r.failure, r.endpoint));
        let mut merged = Self::default();
        tables.iter().flat_map(|t| &t.other).for_each(|o| merged.add_other(*o));
        for row in rows {
            merged.add_row(row);
        }
        merged.other.order_by_key(|o| o.side);
        merged
    }

    /// The rows; the most frequent first after [`Self::merged`].
    pub fn rows(&self) -> &[ErrorCount] {
        &self.rows
    }

    /// What found no row, one entry per side.
    pub fn other(&self) -> &[OtherErrors] {
        &self.other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::Cause;

    fn kind(n: i32) -> Failure {
        Failure::new(Call::Read, Cause::Errno(n))
    }

    #[test]
    fn the_table_is_bounded_and_still_counts_everything() {
        let mut t = ErrorTable::default();
        let kinds = i32::try_from(ERROR_ROWS).unwrap() + 10;
        for n in 0..kinds {
            t.record(kind(n), EndpointId(0), Stamp::from_millis(n as u64));
        }
        t.record(kind(0), EndpointId(0), Stamp::from_millis(9_000));
        let merged = ErrorTable::merged(&[t]);
        assert_eq!(merged.rows().len(), ERROR_ROWS);
        assert_eq!(merged.rows()[0].hits.count, 2, "the most frequent first");
        assert_eq!(merged.rows()[0].hits.last, Stamp::from_millis(9_000));
        let rest: u64 = merged.other().iter().map(|o| o.hits.count).sum();
        assert_eq!(merged.rows().iter().map(|r| r.hits.count).sum::<u64>() + rest, kinds as u64 + 1);
    }
}
