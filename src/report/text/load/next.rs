//! What helps, as a change of the run, and where to read on.

use super::{is_clean, subject};
use crate::model::finding::{Finding, Proven, Remedy};
use crate::model::rehearsal::Effect;
use crate::model::result::RunResult;
use crate::report::style::{Tone, folded};
use crate::report::text::Page;
use crate::report::text::page::{Block, Detail};

/// Remedies that are shown; `-v` has all.
const REMEDIES: usize = 3;
/// Between two columns.
const GAP: usize = 2;
/// Longer commands are for `-v`.
const COMMAND: usize = 40;
/// Columns of a row's number, with its indent.
const NUMBER: usize = 4;

pub(super) fn blocks(run: &RunResult, page: &Page) -> Vec<Block> {
    let about = subject(run);
    let remedies: &[Remedy] = about.map_or(&[], |f| &f.remedies);
    let shown = &remedies[..remedies.len().min(REMEDIES)];
    let mut blocks = Vec::new();
    if !shown.is_empty() {
        blocks.push(Block::ranked(6, "\n".into()));
        // Of several destinations the finding is about one: "the target" of its remedies.
        let at = about.and_then(|f| f.destinations.first()).map_or_else(String::new, |name| format!(" at {name}"));
        blocks.push(Block::kept(table(&format!("what helps{at}"), shown, page)));
    }
    blocks.push(page.more(&more(run, about, shown, page)));
    blocks
}

/// A row each: what, the change of flags, what a rehearsal here made of it.
pub(in crate::report) fn table(title: &str, shown: &[Remedy], page: &Page) -> String {
    let row = |r: &Remedy| [short(&r.action), change(r, page), r.proven.as_ref().map_or_else(String::new, proof)];
    let rows: Vec<[String; 3]> = shown.iter().map(row).collect();
    let any = |column: usize| rows.iter().any(|r| !r[column].is_empty());
    let head = [title, if any(1) { "how" } else { "" }, if any(2) { "rehearsed" } else { "" }].map(str::to_owned);
    let widest = |column: usize| rows.iter().map(|r| r[column].chars().count()).chain([head[column].len()]).max().unwrap_or(0);
    let room = page.width - NUMBER;
    let proven = widest(2);
    let left = room - if proven > 0 { proven + GAP } else { 0 };
    // Where both do not fit, the words give way down to half of the room.
    let changes = if any(1) { widest(1).min(left / 2).max(left.saturating_sub(widest(0) + GAP).min(widest(1))) } else { 0 };
    let words = left - if changes > 0 { changes + GAP } else { 0 };
    let widths = [widest(0).min(words), changes, proven];
    let mut out = page.style.paint(Tone::Heading, lines("  ", &head, widths).trim_end());
    out.push('\n');
    for (n, row) in (1..).zip(&rows) {
        out += &lines(&format!("  {n} "), row, widths);
    }
    out
}

/// The cells of a row, each wrapped in its column.
fn lines(number: &str, cells: &[String; 3], widths: [usize; 3]) -> String {
    let cells: Vec<Vec<String>> = cells.iter().zip(widths).map(|(cell, width)| folded(cell, width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    let indent = if number.len() < NUMBER { number.len() } else { NUMBER };
    let mut out = String::new();
    for i in 0..height {
        let mut line = if i == 0 { number.to_owned() } else { " ".repeat(indent) };
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let width = if column == 0 { width + NUMBER - indent } else { width };
            let text = cell.get(i).map_or("", String::as_str);
            line += &format!("{text:<width$}{}", " ".repeat(GAP));
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// The action up to its first explanation.
fn short(action: &str) -> String {
    let end = [":", ";", " (", ", ", " so that "].iter().filter_map(|mark| action.find(mark)).min();
    let short = action[..end.unwrap_or(action.len())].trim_end();
    if short.contains(' ') { short.to_owned() } else { action.to_owned() }
}

/// The flags that change; the command where none do. A long one is for `-v`.
fn change(r: &Remedy, page: &Page) -> String {
    match &r.change {
        Some(change) => change.clone(),
        None if r.command.chars().count() > COMMAND => (if page.detail == Detail::Brief { "see -v" } else { "below" }).to_owned(),
        None => r.command.clone(),
    }
}

/// `300 of 300`, `no effect`.
fn proof(p: &Proven) -> String {
    match p.verdict {
        Effect::NoEffect => "no effect".into(),
        Effect::AtAPrice => format!("{}, at a price", numbers(&p.measured)),
        _ => numbers(&p.measured),
    }
}

/// The measured words without their noun: `300 of 300 connections made` is `300 of 300`.
fn numbers(measured: &str) -> String {
    measured.strip_suffix(" connections made").unwrap_or(measured).to_owned()
}

fn more(run: &RunResult, about: Option<&Finding>, shown: &[Remedy], page: &Page) -> String {
    let mut parts = Vec::new();
    let remedies = about.map_or(0, |f| f.remedies.len());
    let unproven = about.is_some_and(|f| f.id.is_rehearsed()) && shown.iter().any(|r| r.name.is_some() && r.proven.is_none());
    if unproven {
        parts.push("sockbench rehearse tries them here".to_owned());
    }
    let hidden = remedies > shown.len();
    let all = if hidden { format!("all {remedies} remedies, ") } else { String::new() };
    if page.detail == Detail::Brief {
        parts.push(if is_clean(run) { "-v every figure".into() } else { format!("-v {all}commands and evidence") });
    }
    parts.push(match &page.kept {
        Some(dir) => format!("sockbench explain {dir}"),
        None => "-o DIR keeps report, JSON, charts".into(),
    });
    parts.join("; ")
}
