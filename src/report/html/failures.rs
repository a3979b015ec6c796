//! What failed, by call and errno; which statuses came; who closed the connections.

use maud::{Markup, html};

use super::shell::{list, titled};
use crate::model::figures::{count, counted, seconds};
use crate::model::order::distinct;
use crate::model::result::{RunResult, SurplusRow};
use crate::report::names::shortened_apart;
use crate::report::style::{Tone, shortened, visible};
use crate::report::table::Align::{Left, Right};
use crate::report::table::{Cell, Column, Table};
use crate::report::text::errors;

/// Longer names lose their middle.
const NAME_WIDTH: usize = 40;
/// Statuses with a column of their own.
const STATUSES: usize = 12;

/// Errors with first and last sight; nothing where nothing failed.
pub(super) fn render(run: &RunResult) -> Markup {
    html! {
        (by_kind(run))
        (titled("Statuses", &statuses(run)))
        @if !run.surplus.is_empty() { (titled("Bytes behind whole answers", &surplus(run))) }
        (titled("Who closed the connections", &closes(run)))
    }
}

/// By call and errno.
pub(super) fn by_kind(run: &RunResult) -> Markup {
    html! {
        @if run.errors.is_empty() { p { "Nothing failed." } } @else {
            (errors::table(run).to_html())
            (list(&errors::messages(run)))
            @if let Some(rest) = errors::rest(run) { p class="note" { (visible(&rest)) } }
        }
    }
}

/// A row for each endpoint, a column for each status.
pub(super) fn statuses(run: &RunResult) -> Table {
    let all = distinct(run.endpoints.iter().flat_map(|e| e.status.keys().map(String::as_str)));
    let shown = &all[..all.len().min(STATUSES)];
    let mut columns = vec![("Endpoint".to_owned(), Left)];
    columns.extend(shown.iter().map(|status| (shortened(status, NAME_WIDTH), Right)));
    columns.push(("No status".into(), Right));
    let mut table = Table::with_columns(columns);
    let names = shortened_apart(run.endpoints.iter().map(|e| format!("{} {}", e.method, e.name)), NAME_WIDTH);
    for (e, name) in run.endpoints.iter().zip(names) {
        let mut cells: Vec<Cell> = vec![name.into()];
        for status in shown {
            let n = e.status.get(*status).copied().unwrap_or(0);
            let bad = n > 0 && status.starts_with(['4', '5']);
            cells.push(if bad { Cell::toned(Tone::Bad, count(n)) } else { count(n).into() });
        }
        let answered: u64 = e.status.values().sum();
        cells.push(count(e.requests.saturating_sub(answered)).into());
        table.row_of(cells);
    }
    let hidden = all.len().saturating_sub(STATUSES);
    if hidden > 0 {
        table.note(format!("{} left out: endpoints[].status in the JSON has them", counted(hidden as u64, "status code")));
    }
    table
}

fn surplus(run: &RunResult) -> Table {
    let columns: [Column<(&SurplusRow, String)>; 6] = [
        ("Answers", Right, &|(row, _)| count(row.count).into()),
        ("Endpoint", Left, &|(_, name)| name.into()),
        ("Bytes", Right, &|(row, _)| count(row.bytes).into()),
        ("The first of them", Left, &|(row, _)| row.first_bytes.clone().into()),
        ("First", Right, &|(row, _)| seconds(row.first_s).into()),
        ("Last", Right, &|(row, _)| seconds(row.last_s).into()),
    ];
    let names = shortened_apart(run.surplus.iter().map(|row| format!("{} {}", row.method, row.endpoint)), NAME_WIDTH);
    Table::of(run.surplus.iter().zip(names), &columns)
}

fn closes(run: &RunResult) -> Table {
    let c = &run.closes;
    let mut table = Table::new([("Closed first", Left), ("Connections", Right), ("TIME_WAIT", Left)]);
    table.row(["the client".into(), count(c.client).into(), "on this machine: the port stays in use".into()]);
    table.row(["the target".into(), count(c.server).into(), "on the target's side".into()]);
    table.row(["a reset".into(), count(c.reset).into(), "none".into()]);
    let idle = c.idle_fin + c.idle_reset;
    if idle > 0 {
        table.note(format!("the target closed {} between two requests", counted(idle, "kept connection")));
    }
    if c.announced_by_target > 0 {
        table.note(format!("the target announced the end {}", counted(c.announced_by_target, "time")));
    }
    table
}
