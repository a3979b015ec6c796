//! The rehearsal: the accident and every remedy, each in a private namespace. Schema `sockbench-rehearsal/1`.

use serde::{Deserialize, Serialize};

use super::finding::Proven;
use super::outcome::Call;
use super::result::Unavailable;

/// The schema of [`Rehearsal`].
pub const REHEARSAL_SCHEMA: &str = "sockbench-rehearsal/1";

/// A whole rehearsal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the keys are the contract of design section 5")]
pub struct Rehearsal {
    pub schema: String,
    pub kernel: String,
    /// RFC 3339, UTC
    pub started_at: String,
    pub duration_s: f64,
    /// the accident in small, second by second; null when it was left out
    pub accident: Option<Accident>,
    /// the burst without any remedy, that the rows are held against
    pub baseline: Row,
    pub rows: Vec<Row>,
    pub unavailable: Vec<Unavailable>,
}

/// A constant rate over P/T with a short T: exhaustion, dead time, echoes, as predicted and as measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "unit in the suffix")]
pub struct Accident {
    pub pool: u32,
    pub hold_s: f64,
    pub rate_cps: f64,
    pub duration_s: f64,
    pub predicted: Course,
    pub measured: Course,
    /// attempts and own-machine failures of each second
    pub seconds: Vec<AccidentSecond>,
}

/// When failures came and went.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "unit in the suffix")]
pub struct Course {
    /// null when nothing failed
    pub first_failure_s: Option<f64>,
    /// end of the first stretch of failures; null when it did not end in the run
    pub recovered_s: Option<f64>,
    /// starts of the later stretches
    pub echo_s: Vec<f64>,
    pub failures: u64,
    pub successes: u64,
}

/// One second of the accident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "unit in the suffix")]
pub struct AccidentSecond {
    pub t_s: f64,
    pub made: u64,
    pub failed: u64,
}

/// What a remedy does, held against the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// all, or nearly all, connections were made, at no cost that was seen
    Helps,
    /// they were made, but something else was given up
    AtAPrice,
    /// no more than without it
    NoEffect,
    /// not run here
    NotRun,
}

impl Verdict {
    /// The word of reports and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Helps => "helps",
            Self::AtAPrice => "at-a-price",
            Self::NoEffect => "no-effect",
            Self::NotRun => "not-run",
        }
    }
}

/// One remedy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the keys are the contract of design section 5")]
pub struct Row {
    pub remedy: String,
    /// in words
    pub what: String,
    pub asked: u64,
    /// requests that were answered
    pub made: Option<u64>,
    pub errors: Vec<RowError>,
    /// connections per second while they were made
    pub rate_cps: Option<f64>,
    pub connections: Option<u64>,
    pub connect_us: Option<ConnectUs>,
    pub time_wait: Sides,
    /// of `asked`, by the model
    pub predicted: u64,
    /// `made`, kept under the contract's name
    pub measured: Option<u64>,
    pub verdict: Verdict,
    /// what is given up, where something is
    pub price: String,
    /// why the verdict, or why it was not run
    pub reason: String,
    pub commands: Commands,
}

/// One kind of failure of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as errors[] of a run")]
pub struct RowError {
    pub call: Call,
    pub name: String,
    pub count: u64,
}

/// connect(2) itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "unit in the suffix")]
pub struct ConnectUs {
    pub p50: f64,
    pub p99: f64,
}

/// TIME_WAIT after the row, by the side that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "contract keys")]
pub struct Sides {
    pub client: Option<u32>,
    pub server: Option<u32>,
}

/// How to apply it for real.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "contract keys")]
pub struct Commands {
    pub linux: String,
    pub windows: String,
}

impl Row {
    /// What a finding's remedy of the same name shows as `proven`; none for a row that was not run.
    pub fn proof(&self, kernel: &str, when: &str) -> Option<Proven> {
        let made = self.made?;
        Some(Proven {
            verdict: self.verdict.word().into(),
            measured: format!("{made} of {} connections made", self.asked),
            kernel: kernel.into(),
            rehearsal: when.into(),
        })
    }
}
