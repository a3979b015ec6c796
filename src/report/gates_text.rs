//! Thresholds as a table for people: what was asked, what the run has.

use super::style::{Style, Tone, shortened, visible};
use super::table::{Align, Cell, Table};
use crate::gates::{Actual, Judged, Unit};
use crate::model::figures;

/// The thresholds of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedRun {
    /// the step of a study; none for a run of its own
    pub step: Option<String>,
    /// its verdict
    pub verdict: String,
    /// how long it took, seconds
    pub duration_s: f64,
    /// one for each threshold
    pub thresholds: Vec<Judged>,
}

/// A threshold is longer than this only by a long name.
const THRESHOLD_CHARS: usize = 48;
/// A longer reason for a figure that is missing stands below its row.
const ACTUAL_CHARS: usize = 18;

const NOTE_CHARS: usize = 74;

/// The table, in the order in which they were given; empty where there are none.
pub fn render(runs: &[JudgedRun], style: Style) -> String {
    if runs.iter().all(|r| r.thresholds.is_empty()) {
        return String::new();
    }
    let mut table = Table::new([("Threshold", Align::Left), ("", Align::Left), ("This run", Align::Right)]).indented(2);
    for run in runs {
        if let Some(step) = &run.step {
            table.note(shortened(&visible(step), NOTE_CHARS));
        }
        for judged in &run.thresholds {
            let was = visible(&actual(&judged.actual));
            let is_long = was.chars().count() > ACTUAL_CHARS;
            let (tone, word) = if judged.passed { (Tone::Good, "passed") } else { (Tone::Bad, "FAILED") };
            table.row([
                shortened(&visible(&judged.text), THRESHOLD_CHARS).into(),
                Cell::toned(tone, word),
                if is_long { "not known".into() } else { was.clone().into() },
            ]);
            if is_long {
                table.note(format!("  {}", shortened(&was, NOTE_CHARS)));
            }
        }
    }
    format!("{}\n{}", style.paint(Tone::Heading, &heading(runs)), table.render(style, NOTE_CHARS + 6))
}

/// `thresholds: 2 of 5 failed`, `thresholds: all 5 passed`.
pub fn heading(runs: &[JudgedRun]) -> String {
    let all = || runs.iter().flat_map(|r| &r.thresholds);
    let (failed, count) = (all().filter(|j| !j.passed).count(), all().count());
    match (failed, count) {
        (0, 1) => "thresholds: passed".into(),
        (0, _) => format!("thresholds: all {count} passed"),
        _ => format!("thresholds: {failed} of {count} failed"),
    }
}

/// What the run has, with its unit.
pub fn actual(actual: &Actual) -> String {
    match actual {
        Actual::Number(value, unit) => match unit {
            Unit::Milliseconds => format!("{} ms", figures::ms(*value)),
            Unit::Share => figures::share(*value),
            Unit::Count => figures::count(value.max(0.0).round() as u64),
            Unit::PerSecond => format!("{}/s", figures::rate(*value)),
            Unit::Bytes => figures::bytes(value.max(0.0).round() as u64),
            Unit::BytesPerSecond => format!("{}/s", figures::bytes(value.max(0.0).round() as u64)),
        },
        Actual::Stamp(stamp) => stamp.word().into(),
        Actual::Verdict(id) => id.word().into(),
        Actual::Missing(why) => why.clone(),
    }
}
