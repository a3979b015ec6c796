//! The run by second, where something happened in time: what was answered and what failed, side by side.

use crate::model::figures::{count, number};
use crate::model::result::{NoPort, RunResult};
use crate::report::style::Tone;
use crate::report::text::Page;
use crate::report::text::page::Block;

/// Lengths of a column, seconds.
const STEPS: [usize; 13] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 21_600];
/// Columns on a page of the usual width.
const COLUMNS: usize = 12;

/// Counts of one column.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sum {
    until_s: f64,
    answered: f64,
    failed: f64,
    local: f64,
}

pub(super) fn block(run: &RunResult, page: &Page) -> Option<Block> {
    let columns = COLUMNS * page.width / Page::WIDTH;
    let steps = STEPS.into_iter().filter(|step| run.series.len().div_ceil(*step) <= columns);
    let sums = steps.map(|step| summed(run, step)).find(|sums| gap(&cells(run, sums), page).is_some())?;
    happened(&sums).then(|| Block::ranked(1, rows(&cells(run, &sums), page)))
}

fn summed(run: &RunResult, step: usize) -> Vec<Sum> {
    let mut from = 0.0;
    let mut sums: Vec<Sum> = Vec::new();
    for (i, p) in run.series.iter().enumerate() {
        let length = (p.t_s - from).max(0.0);
        from = p.t_s;
        if i % step == 0 {
            sums.push(Sum::default());
        }
        if let Some(sum) = sums.last_mut() {
            sum.until_s = p.t_s;
            sum.answered += (p.rps - p.failures_per_s).max(0.0) * length;
            sum.failed += p.failures_per_s * length;
            sum.local += p.local_failures_per_s * length;
        }
    }
    sums
}

/// Failures that were not there all the time, or answers that came and went.
fn happened(sums: &[Sum]) -> bool {
    let bad = |s: &Sum| (s.failed + s.local).round() > 0.0;
    let silent = |s: &Sum| s.answered.round() < 1.0;
    let differs = |f: &dyn Fn(&Sum) -> bool| sums.iter().any(f) && !sums.iter().all(f);
    sums.len() > 1 && (differs(&bad) || differs(&silent))
}

/// A label and a cell for each column.
type Row = (&'static str, Vec<String>);

fn cells(run: &RunResult, sums: &[Sum]) -> Vec<Row> {
    let local = run.count_errors(|e| e.local);
    let no_port = run.count_errors(|e| e.local && e.no_port() == Some(NoPort::Exhausted));
    let here = if no_port == local { "no port" } else { "failed here" };
    let counts = |of: fn(&Sum) -> f64| sums.iter().map(|s| count(of(s).round() as u64)).collect();
    // A run that was stopped ends within a second: its rest is in the last column.
    let mut all = vec![("second", sums.iter().map(|s| number((s.until_s * 10.0).round() / 10.0)).collect())];
    all.push(("answered", counts(|s| s.answered)));
    all.extend(sums.iter().any(|s| s.failed > 0.0).then(|| ("failed", counts(|s| s.failed))));
    all.extend(sums.iter().any(|s| s.local > 0.0).then(|| (here, counts(|s| s.local))));
    all
}

fn widest(rows: &[Row]) -> usize {
    rows.iter().flat_map(|(_, cells)| cells).map(String::len).max().unwrap_or(1)
}

/// Blanks between two columns; none where they do not fit the page.
fn gap(rows: &[Row], page: &Page) -> Option<usize> {
    let columns = rows.first().map_or(0, |(_, cells)| cells.len());
    let fits = |gap: &usize| Page::VALUE + columns * (widest(rows) + gap) <= page.width + usize::from(*gap == 1);
    [2, 1].into_iter().find(fits)
}

fn rows(rows: &[Row], page: &Page) -> String {
    let (width, gap) = (widest(rows), " ".repeat(gap(rows, page).unwrap_or(1)));
    let mut out = String::new();
    for (label, cells) in rows {
        let label = page.style.paint(Tone::Faint, &format!("  {label:<w$}", w = Page::VALUE - 2));
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>width$}")).collect();
        out += &format!("{label}{}\n", cells.join(&gap));
    }
    out
}
