//! Answers that more bytes followed, by kind and endpoint.

use crate::model::order::Order as _;
use crate::model::outcome::EndpointId;
use crate::model::received::{SurplusKind, escaped};
use crate::model::time::Stamp;

/// One kind at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurplusCount {
    /// what came
    pub kind: SurplusKind,
    /// where
    pub endpoint: EndpointId,
    /// answers
    pub count: u64,
    /// bytes beyond them
    pub bytes: u64,
    /// of the first of them, escaped
    pub first_bytes: String,
    /// when the first was seen
    pub first: Stamp,
    /// and the last
    pub last: Stamp,
}

/// A row for each kind at each endpoint: as many as both together. Only a new row allocates.
#[derive(Debug, Clone, Default)]
pub struct SurplusTable {
    rows: Vec<SurplusCount>,
}

impl SurplusTable {
    /// Counts one answer.
    pub fn record(&mut self, kind: SurplusKind, endpoint: EndpointId, bytes: u64, at: Stamp, excerpt: &[u8]) {
        match self.rows.iter_mut().find(|r| r.kind == kind && r.endpoint == endpoint) {
            Some(row) => {
                row.count += 1;
                row.bytes += bytes;
                row.last = row.last.max(at);
            }
            None => self.rows.push(SurplusCount {
                kind,
                endpoint,
                count: 1,
                bytes,
                first_bytes: escaped(excerpt),
                first: at,
                last: at,
            }),
        }
    }

    /// The same table of a run in which the first of these endpoints is number `first`.
    pub(super) fn move_by(&mut self, first: u16) {
        self.rows.iter_mut().for_each(|row| row.endpoint = row.endpoint.moved(first));
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &Self) {
        for more in &other.rows {
            match self.rows.iter_mut().find(|r| r.kind == more.kind && r.endpoint == more.endpoint) {
                Some(row) => {
                    row.count += more.count;
                    row.bytes += more.bytes;
                    row.last = row.last.max(more.last);
                    if more.first < row.first {
                        row.first = more.first;
                        row.first_bytes.clone_from(&more.first_bytes);
                    }
                }
                None => self.rows.push(more.clone()),
            }
        }
    }

    /// The most frequent first.
    pub fn rows(&self) -> Vec<&SurplusCount> {
        let mut rows: Vec<&SurplusCount> = self.rows.iter().collect();
        rows.order_by_key(|r| (std::cmp::Reverse(r.count), r.kind, r.endpoint));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_add_up_in_any_order() {
        let table = |ms: u64, bytes: &[u8]| {
            let mut t = SurplusTable::default();
            t.record(SurplusKind::Other, EndpointId(0), 3, Stamp::from_millis(ms), bytes);
            t.record(SurplusKind::Other, EndpointId(0), 4, Stamp::from_millis(ms + 1), b"later");
            t
        };
        let (early, late) = (table(10, b"one"), table(20, b"two"));
        for (mut sum, other) in [(early.clone(), &late), (late.clone(), &early)] {
            sum.add(other);
            let [row] = sum.rows()[..] else { panic!("one row") };
            assert_eq!((row.count, row.bytes, row.first_bytes.as_str()), (4, 14, "one"));
            assert_eq!((row.first, row.last), (Stamp::from_millis(10), Stamp::from_millis(21)));
        }
    }
}
