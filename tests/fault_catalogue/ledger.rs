//! What the scripted targets count themselves, for the witness.

use std::sync::Mutex;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// Counts of all scripted connections of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// connections that a script took
    pub(crate) accepted: u64,
    /// whole request heads that were read
    pub(crate) requests: u64,
    /// whole answers that were written, errors and broken ones included
    pub(crate) answers: u64,
    /// longest time between two answers, milliseconds
    pub(crate) longest_gap_ms: f64,
}

static NOW: Mutex<(Ledger, Option<Instant>)> =
    Mutex::new((Ledger { accepted: 0, requests: 0, answers: 0, longest_gap_ms: 0.0 }, None));

pub(crate) fn on_accept() {
    NOW.lock().unwrap().0.accepted += 1;
}

pub(crate) fn on_request() {
    NOW.lock().unwrap().0.requests += 1;
}

pub(crate) fn on_answer() {
    let mut now = NOW.lock().unwrap();
    let gap_ms = now.1.replace(Instant::now()).map_or(0.0, |last| last.elapsed().as_secs_f64() * 1000.0);
    now.0.answers += 1;
    now.0.longest_gap_ms = now.0.longest_gap_ms.max(gap_ms);
}

/// The counts so far.
pub(crate) fn read() -> Ledger {
    NOW.lock().unwrap().0
}
