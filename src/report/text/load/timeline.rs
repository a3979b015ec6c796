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
    let step = STEPS.into_iter().find(|step| run.series.len().div_ceil(*step) <= columns)?;
    let sums: Vec<Sum> = summed(run, step);
    happened(&sums).then(|| Block::ranked(1, rows(run, &sums, page)))
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

fn rows(run: &RunResult, sums: &[Sum], page: &Page) -> String {
    let local = run.count_errors(|e| e.local);
    let no_port = run.count_errors(|e| e.local && e.no_port() == Some(NoPort::Exhausted));
    let here = if no_port == local { "no port" } else { "failed here" };
    let mut all: Vec<(&str, Vec<String>)> = vec![
        // A run that was stopped ends within a second: its rest is in the last column.
        ("second", sums.iter().map(|s| number((s.until_s * 10.0).round() / 10.0)).collect()),
        ("answered", sums.iter().map(|s| count(s.answered.round() as u64)).collect()),
    ];
    if sums.iter().any(|s| s.failed > 0.0) {
        all.push(("failed", sums.iter().map(|s| count(s.failed.round() as u64)).collect()));
    }
    if sums.iter().any(|s| s.local > 0.0) {
        all.push((here, sums.iter().map(|s| count(s.local.round() as u64)).collect()));
    }
    let width = all.iter().flat_map(|(_, cells)| cells).map(String::len).max().unwrap_or(1);
    // Columns that do not fit are joined in pairs by the caller's step; here they only lose their distance.
    let gap = if Page::VALUE + sums.len() * (width + 2) <= page.width { 2 } else { 1 };
    let mut out = String::new();
    for (label, cells) in all {
        let label = page.style.paint(Tone::Faint, &format!("  {label:<w$}", w = Page::VALUE - 2));
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>width$}")).collect();
        out += &format!("{label}{}\n", cells.join(&" ".repeat(gap)));
    }
    out
}
