//! Locust's two tables, with all their columns: requests, and the percentiles of their response times.

use super::{Page, section};
use crate::model::figures::{count, ms, percent, rate};
use crate::model::result::RunResult;
use crate::report::locust::{LocustRow, PERCENTILES, rows};
use crate::report::names::shortened_apart;
use crate::report::style::Tone;
use crate::report::table::Align::{Left, Right};
use crate::report::table::{Cell, Column, Table};

/// Longer names lose their middle.
const NAME_WIDTH: usize = 28;
/// Headings of the two tables.
pub(in crate::report) const REQUESTS: &str = "Requests, as Locust counts them";
/// See [`REQUESTS`].
pub(in crate::report) const PERCENTILES_TITLE: &str = "Response time percentiles";

/// One row per endpoint, and an aggregated one where there are several. Times in milliseconds.
pub fn render_locust_table(run: &RunResult, page: &Page) -> String {
    let shown = super::foreign::shown(run);
    let run = shown.as_ref().unwrap_or(run);
    let [requests, percentiles] = tables(run);
    let part = |title: &str, table: &Table| section(title, page.style) + &table.render(page.style, page.width);
    part(REQUESTS, &requests) + "\n" + &part(PERCENTILES_TITLE, &percentiles)
}

/// Both tables: requests, and the percentiles of their response times.
pub(in crate::report) fn tables(run: &RunResult) -> [Table; 2] {
    let (endpoints, all) = rows(run);
    let mut shown: Vec<&LocustRow> = endpoints.iter().collect();
    if endpoints.len() != 1 {
        shown.push(&all);
    }
    [requests(run, &shown), percentiles(&shown)]
}

fn requests(run: &RunResult, rows: &[&LocustRow]) -> Table {
    let fails = |row: &LocustRow| {
        let text = format!("{} ({})", count(row.failures), percent(row.failures_percent()));
        if row.failures > 0 { Cell::toned(Tone::Bad, text) } else { text.into() }
    };
    let columns: [Column<(&LocustRow, String)>; 11] = [
        ("Type", Left, &|(row, _)| row.method.as_str().into()),
        ("Name", Left, &|(_, name)| name.into()),
        ("# reqs", Right, &|(row, _)| count(row.requests).into()),
        ("# fails", Right, &|(row, _)| fails(row)),
        ("Avg", Right, &|(row, _)| row.time(|t| t.mean).into()),
        ("Min", Right, &|(row, _)| row.time(|t| t.min).into()),
        ("Max", Right, &|(row, _)| row.time(|t| t.max).into()),
        ("Med", Right, &|(row, _)| row.time(|t| t.p50).into()),
        ("req/s", Right, &|(row, _)| rate(row.rps).into()),
        ("failures/s", Right, &|(row, _)| rate(row.failures_per_s).into()),
        ("avg size", Right, &|(row, _)| ms(row.content_size_mean).into()),
    ];
    let mut table = Table::of(rows.iter().copied().zip(names(rows)), &columns).named_by(2);
    table.note(if run.totals.local_failures == 0 {
        "times in ms, sizes in bytes"
    } else {
        "times in ms, over requests that ended at the target; sizes in bytes"
    });
    if run.totals.local_failures > 0 {
        table.note("failures of this machine are counted, and have no time");
    }
    table
}

fn names(rows: &[&LocustRow]) -> Vec<String> {
    shortened_apart(rows.iter().map(|row| row.name.as_str()), NAME_WIDTH)
}

fn percentiles(rows: &[&LocustRow]) -> Table {
    let mut columns = vec![("Name", Left)];
    columns.extend(PERCENTILES.iter().map(|(head, _)| (*head, Right)));
    columns.push(("# reqs", Right));
    let mut table = Table::with_columns(columns);
    for (row, name) in rows.iter().zip(names(rows)) {
        let mut cells: Vec<Cell> = vec![name.into()];
        cells.extend(PERCENTILES.iter().map(|(_, pick)| Cell::from(row.time(*pick))));
        cells.push(count(row.requests).into());
        table.row_of(cells);
    }
    table
}
