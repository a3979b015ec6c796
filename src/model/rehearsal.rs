//! The rehearsal: port exhaustion and every remedy, each in a private namespace. Schema `sockbench-rehearsal/1`.
#![allow(missing_docs, reason = "the keys are a contract, documented in docs/JSON.md")]

use crate::model::figures::count;

use super::document::Unavailable;
pub use super::finding::Effect;
use super::finding::Proven;
use super::outcome::Call;

/// The schema of [`Rehearsal`].
pub const REHEARSAL_SCHEMA: &str = "sockbench-rehearsal/1";

/// A whole rehearsal.
#[apply(record)]
pub struct Rehearsal {
    pub schema: String,
    pub kernel: String,
    /// RFC 3339, UTC
    pub started_at: String,
    pub duration_s: f64,
    /// the exhaustion, scaled down, second by second; null when it was left out
    pub accident: Option<Accident>,
    /// the burst without any remedy, which the rows are compared with
    pub baseline: Row,
    pub rows: Vec<Row>,
    pub unavailable: Vec<Unavailable>,
}

/// A constant rate over P/T with a short T: exhaustion, dead time, recurrence, as predicted and as measured.
#[apply(record)]
pub struct Accident {
    pub pool: u32,
    pub hold_s: f64,
    pub rate_cps: f64,
    pub duration_s: f64,
    pub predicted: Course,
    pub measured: Course,
    /// attempts and failures of this machine in each second
    pub seconds: Vec<AccidentSecond>,
}

/// When failures came and went.
#[apply(record)]
#[derive(Default)]
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
#[apply(record)]
pub struct AccidentSecond {
    pub t_s: f64,
    pub made: u64,
    pub failed: u64,
}

/// One remedy.
#[apply(record)]
#[derive(Default)]
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
    /// additive: the rate that it was to keep, connections per second; absent for a burst, as the baseline is one
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub paced_cps: Option<f64>,
    pub connections: Option<u64>,
    pub connect_us: Option<ConnectUs>,
    pub time_wait: Sides,
    /// of `asked`, by the model; null where the model is about another system
    pub predicted: Option<u64>,
    /// `made`, kept under the contract's name
    pub measured: Option<u64>,
    pub verdict: Effect,
    /// what is given up, where something is
    pub price: String,
    /// why the verdict, or why it was not run
    pub reason: String,
    pub commands: Commands,
    /// additive: when it was rehearsed, where it came from an earlier rehearsal than the document's own
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rehearsed_at: Option<String>,
}

/// One kind of failure of a row.
#[apply(record)]
pub struct RowError {
    pub call: Call,
    pub name: String,
    pub count: u64,
}

/// connect(2) itself.
#[apply(record)]
#[derive(Copy)]
pub struct ConnectUs {
    pub p50: f64,
    pub p99: f64,
}

/// Sockets in TIME_WAIT after the row, by side.
#[apply(record)]
#[derive(Copy, Default)]
pub struct Sides {
    pub client: Option<u32>,
    pub server: Option<u32>,
}

/// How to apply it for real.
#[apply(sparse)]
#[derive(Default)]
pub struct Commands {
    pub linux: String,
    pub windows: String,
    /// additive: absent where there is no command
    pub macos: Option<String>,
}

impl Row {
    /// One that was not run, and why.
    pub fn not_run(remedy: &str, what: &str, commands: Commands, reason: String) -> Self {
        Self { remedy: remedy.into(), what: what.into(), reason, commands, ..Self::default() }
    }

    /// What a finding's remedy of the same name shows as `proven`; none for a row that was not run. `when` is the
    /// document's own time, for a row that has none.
    pub fn proof(&self, kernel: &str, when: &str) -> Option<Proven> {
        let made = self.made?;
        Some(Proven {
            verdict: self.verdict,
            measured: format!("{} of {} connections made", count(made), count(self.asked)),
            kernel: kernel.into(),
            rehearsal: self.rehearsed_at.as_deref().unwrap_or(when).into(),
        })
    }
}

impl Rehearsal {
    /// This rehearsal with what an earlier one showed of remedies that this one did not run; each of those rows keeps
    /// the time of the rehearsal that it came from.
    #[must_use]
    pub fn merged_over(mut self, earlier: Self) -> Self {
        let when = earlier.started_at;
        for mut row in earlier.rows {
            row.rehearsed_at.get_or_insert_with(|| when.clone());
            match self.rows.iter_mut().find(|r| r.remedy == row.remedy) {
                None => self.rows.push(row),
                Some(newer) if newer.made.is_none() && row.made.is_some() => *newer = row,
                Some(_) => {}
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(remedy: &str, made: Option<u64>) -> Row {
        let verdict = if made.is_some() { Effect::Helps } else { Effect::NotRun };
        let row = Row::not_run(remedy, "", Commands::default(), String::new());
        Row { asked: 300, made, predicted: Some(300), measured: made, verdict, ..row }
    }

    fn rehearsal(started_at: &str, rows: Vec<Row>) -> Rehearsal {
        Rehearsal {
            schema: REHEARSAL_SCHEMA.into(),
            kernel: "6.18".into(),
            started_at: started_at.into(),
            duration_s: 1.0,
            accident: None,
            baseline: row("baseline", Some(50)),
            rows,
            unavailable: Vec::new(),
        }
    }

    #[test]
    fn a_rehearsal_of_one_remedy_does_not_date_the_others() {
        let first = rehearsal("monday", vec![row("ring", Some(300)), row("keep-alive", Some(300)), row("pace", Some(300))]);
        let second = rehearsal("tuesday", vec![row("ring", Some(300))]).merged_over(first);
        let third = rehearsal("friday", vec![row("keep-alive", Some(299)), row("pace", None)]).merged_over(second);
        let when = |name: &str| {
            let row = third.rows.iter().find(|r| r.remedy == name).expect("kept");
            row.proof(&third.kernel, &third.started_at).expect("was run").rehearsal
        };
        assert_eq!([when("ring"), when("keep-alive"), when("pace")], ["tuesday", "friday", "monday"]);
        assert_eq!(third.rows.len(), 3);
    }
}
