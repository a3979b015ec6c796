//! The error report: every kind with its whole cause.

use super::{Page, section};
use crate::model::figures::{count, counted, seconds};
use crate::model::plan::PortChoice;
use crate::model::result::{ErrorRow, RunResult};
use crate::report::names::shortened_apart;
use crate::report::style::{Tone, wrapped};
use crate::report::table::Align::{Left, Right};
use crate::report::table::{Cell, Column, Table, or_dash};

/// Characters of a method and a name.
const NAME_WIDTH: usize = 24;
/// Kinds shown; `run.json` has all.
const ROWS_SHOWN: usize = 20;

/// Nothing when nothing failed.
pub(super) fn render(run: &RunResult, page: &Page) -> String {
    let style = page.style;
    if run.errors.is_empty() {
        return String::new();
    }
    let mut out = section("Errors", style) + &table(run).render(style, page.width);
    for message in messages(run) {
        out += &style.paint(Tone::Faint, wrapped(&message, 2, page.width).trim_end());
        out.push('\n');
    }
    if let Some(rest) = rest(run) {
        out += &style.paint(Tone::Faint, &format!("  {rest}"));
        out.push('\n');
    }
    out
}

/// A row for each kind, the most frequent of them.
pub(in crate::report) fn table(run: &RunResult) -> Table {
    let columns: [Column<(&ErrorRow, String)>; 9] = [
        ("Count", Right, &|(row, _)| count(row.count).into()),
        ("Error", Left, &|(row, _)| Cell::toned(Tone::Heading, error_name(row))),
        ("Call", Left, &|(row, _)| row.call.word().into()),
        ("Where", Left, &|(row, _)| place(row)),
        ("Local port", Left, &|(row, _)| local_port(row).into()),
        ("Windows", Left, &|(row, _)| or_dash(row.windows_code, |code| code.to_string()).into()),
        ("Endpoint", Left, &|(_, name)| name.into()),
        ("First", Right, &|(row, _)| seconds(row.first_s).into()),
        ("Last", Right, &|(row, _)| seconds(row.last_s).into()),
    ];
    let rows = shown(run);
    let names = shortened_apart(rows.iter().map(|row| format!("{} {}", row.method, row.endpoint)), NAME_WIDTH);
    Table::of(rows.iter().zip(names), &columns).indented(2).named_by(2)
}

fn shown(run: &RunResult) -> &[ErrorRow] {
    &run.errors[..run.errors.len().min(ROWS_SHOWN)]
}

/// What has no row.
pub(in crate::report) fn rest(run: &RunResult) -> Option<String> {
    let hidden = run.errors.get(ROWS_SHOWN..).filter(|rest| !rest.is_empty())?;
    let failures: u64 = hidden.iter().map(|e| e.count).sum();
    Some(format!(
        "and {} of {}: see errors[] in the JSON",
        counted(failures, "failure"),
        counted(hidden.len() as u64, "further kind")
    ))
}

fn place(row: &ErrorRow) -> Cell {
    if row.local { Cell::toned(Tone::Warn, "this machine") } else { Cell::toned(Tone::Bad, "target") }
}

/// `EADDRNOTAVAIL (99)`, or the name alone where no system call failed.
fn error_name(row: &ErrorRow) -> String {
    row.errno.map_or_else(|| row.name.clone(), |n| format!("{} ({n})", row.name))
}

/// Who chose the local port and whether there was one when the call failed. On a connection that had carried an answer
/// before, the port was no question any more.
fn local_port(row: &ErrorRow) -> String {
    if row.reused {
        return "reused connection".into();
    }
    let choice = match row.port_choice {
        PortChoice::KernelAtConnect => "kernel at connect",
        PortChoice::KernelAtBind => "kernel at bind",
        PortChoice::Explicit => "explicit",
    };
    if row.port_bound { format!("{choice}, bound") } else { format!("{choice}, none") }
}

/// What each kind means, once per kind.
pub(in crate::report) fn messages(run: &RunResult) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for row in shown(run) {
        let message = format!("{} {}: {}", row.call.word(), row.name, row.message);
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_failure_on_a_reused_connection_has_a_row_that_tells_it() {
        let mut run = fixture::broken().run;
        run.errors.retain(|e| e.name == "503");
        let reused = ErrorRow { reused: true, count: 13, ..run.errors[0].clone() };
        run.errors.push(reused);
        let text = render(&run, &Page::plain());
        let rows: Vec<&str> = text.lines().filter(|l| l.contains("target") && l.contains(" 503 ")).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert!(rows[0].contains("kernel at connect, bound") && rows[1].contains("reused connection"), "{text}");
    }
}
