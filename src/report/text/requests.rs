//! Locust's two tables, with all their columns: requests, and the percentiles of their response times.

use super::{Page, section};
use crate::model::figures::{count, ms, percent, rate};
use crate::model::result::{LatencyMs, RunResult};
use crate::report::locust::{LocustRow, rows};
use crate::report::names::shortened_apart;
use crate::report::style::Tone;
use crate::report::table::{Align, Cell, Table};

/// Longer names lose their middle.
const NAME_WIDTH: usize = 28;
/// Headings of the two tables.
pub(in crate::report) const REQUESTS: &str = "Requests, as Locust counts them";
/// See [`REQUESTS`].
pub(in crate::report) const PERCENTILES_TITLE: &str = "Response time percentiles";
/// Locust's percentiles, the heads of its columns.
type Percentile = (&'static str, fn(&LatencyMs) -> f64);
const PERCENTILES: [Percentile; 11] = [
    ("50%", |l| l.p50),
    ("66%", |l| l.p66),
    ("75%", |l| l.p75),
    ("80%", |l| l.p80),
    ("90%", |l| l.p90),
    ("95%", |l| l.p95),
    ("98%", |l| l.p98),
    ("99%", |l| l.p99),
    ("99.9%", |l| l.p99_9),
    ("99.99%", |l| l.p99_99),
    ("100%", |l| l.max),
];

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
    let right = Align::Right;
    let mut table = Table::new([
        ("Type", Align::Left),
        ("Name", Align::Left),
        ("# reqs", right),
        ("# fails", right),
        ("Avg", right),
        ("Min", right),
        ("Max", right),
        ("Med", right),
        ("req/s", right),
        ("failures/s", right),
        ("avg size", right),
    ])
    .named_by(2);
    for (row, name) in rows.iter().zip(names(rows)) {
        table.row(cells(row, name));
    }
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

fn cells(row: &LocustRow, name: String) -> [Cell; 11] {
    let fails = format!("{} ({})", count(row.failures), percent(row.failures_percent()));
    [
        Cell::from(row.method.as_str()),
        Cell::from(name),
        count(row.requests).into(),
        if row.failures > 0 { Cell::toned(Tone::Bad, fails) } else { fails.into() },
        row.time(|t| t.mean).into(),
        row.time(|t| t.min).into(),
        row.time(|t| t.max).into(),
        row.time(|t| t.p50).into(),
        rate(row.rps).into(),
        rate(row.failures_per_s).into(),
        ms(row.content_size_mean).into(),
    ]
}

fn percentiles(rows: &[&LocustRow]) -> Table {
    let mut columns = vec![("Name".to_owned(), Align::Left)];
    columns.extend(PERCENTILES.iter().map(|(head, _)| ((*head).to_owned(), Align::Right)));
    columns.push(("# reqs".to_owned(), Align::Right));
    let mut table = Table::with_columns(columns);
    for (row, name) in rows.iter().zip(names(rows)) {
        let mut cells: Vec<Cell> = vec![name.into()];
        cells.extend(PERCENTILES.iter().map(|(_, pick)| Cell::from(row.time(*pick))));
        cells.push(count(row.requests).into());
        table.row_of(cells);
    }
    table
}
