//! The error report: every kind with its whole cause.

use super::{Page, section};
use crate::model::figures::{count, seconds};
use crate::model::plan::PortChoice;
use crate::model::result::{ErrorRow, RunResult};
use crate::report::style::{Tone, shortened, wrapped};
use crate::report::table::{Align, Cell, Table};

/// Kinds shown; `run.json` has all.
const ROWS_SHOWN: usize = 20;

/// Nothing when nothing failed.
pub(super) fn render(run: &RunResult, page: &Page) -> String {
    let style = page.style;
    if run.errors.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("Count", Align::Right),
        ("Where", Align::Left),
        ("Call", Align::Left),
        ("Error", Align::Left),
        ("Local port", Align::Left),
        ("Windows", Align::Left),
        ("Endpoint", Align::Left),
        ("First", Align::Right),
        ("Last", Align::Right),
    ])
    .indented(2);
    for row in run.errors.iter().take(ROWS_SHOWN) {
        table.row(cells(row));
    }
    let mut out = section("Errors", style) + &table.render(style);
    out += &messages(&run.errors[..run.errors.len().min(ROWS_SHOWN)], page);
    if run.errors.len() > ROWS_SHOWN {
        let rest: u64 = run.errors[ROWS_SHOWN..].iter().map(|e| e.count).sum();
        let kinds = run.errors.len() - ROWS_SHOWN;
        out += &style.paint(Tone::Faint, &format!("  and {rest} failures of {kinds} further kinds: see errors[] in the JSON"));
        out.push('\n');
    }
    out
}

fn cells(row: &ErrorRow) -> [Cell; 9] {
    let place = if row.local { Cell::toned(Tone::Warn, "this machine") } else { Cell::toned(Tone::Bad, "target") };
    [
        count(row.count).into(),
        place,
        row.call.word().into(),
        Cell::toned(Tone::Heading, error_name(row)),
        local_port(row).into(),
        row.windows_code.map_or_else(|| "-".to_owned(), |code| code.to_string()).into(),
        shortened(&format!("{} {}", row.method, row.endpoint), 24).into(),
        seconds(row.first_s).into(),
        seconds(row.last_s).into(),
    ]
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
fn messages(rows: &[ErrorRow], page: &Page) -> String {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    let mut out = String::new();
    for row in rows {
        let key = (row.name.as_str(), row.message.as_str());
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let line = wrapped(&format!("{} {}: {}", row.call.word(), row.name, row.message), 2, page.width);
        out += &page.style.paint(Tone::Faint, line.trim_end());
        out.push('\n');
    }
    out
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
