//! The table of requests, in Locust's columns.

use crate::model::figures::{ms, rate};
use crate::model::result::RunResult;
use crate::report::locust::{LocustRow, rows};
use crate::report::style::{Style, Tone, shortened};
use crate::report::table::{Align, Cell, Table};

/// Longer names lose their middle.
const NAME_WIDTH: usize = 28;

/// One row per endpoint and the aggregated one. Times in milliseconds.
pub fn render_requests(run: &RunResult, style: Style) -> String {
    let mut table = Table::new([
        ("Type", Align::Left),
        ("Name", Align::Left),
        ("# reqs", Align::Right),
        ("# fails", Align::Right),
        ("Avg", Align::Right),
        ("Min", Align::Right),
        ("Max", Align::Right),
        ("Med", Align::Right),
        ("p95", Align::Right),
        ("p99", Align::Right),
        ("req/s", Align::Right),
        ("failures/s", Align::Right),
        ("avg size", Align::Right),
    ]);
    let (endpoints, all) = rows(run);
    for row in &endpoints {
        table.row(cells(row));
    }
    table.rule();
    table.row(cells(&all));
    table.note(if run.totals.local_failures == 0 {
        "times in ms, sizes in bytes"
    } else {
        "times in ms over requests that ended at the target, sizes in bytes; failures of this machine count but have no time"
    });
    table.render(style)
}

fn cells(row: &LocustRow) -> [Cell; 13] {
    let time =
        |pick: fn(&crate::model::result::LatencyMs) -> f64| Cell::from(row.times_ms.as_ref().map_or("-".into(), |t| ms(pick(t))));
    let fails = format!("{} ({:.1}%)", row.failures, row.failures_percent());
    [
        Cell::from(row.method.as_str()),
        Cell::from(shortened(&row.name, NAME_WIDTH)),
        row.requests.to_string().into(),
        if row.failures > 0 { Cell::toned(Tone::Bad, fails) } else { fails.into() },
        time(|t| t.mean),
        time(|t| t.min),
        time(|t| t.max),
        time(|t| t.p50),
        time(|t| t.p95),
        time(|t| t.p99),
        rate(row.rps).into(),
        rate(row.failures_per_s).into(),
        ms(row.content_size_mean).into(),
    ]
}
