//! Of a merged run, what each machine did and how much of its own it used: a row each.

use crate::model::figures::{count, ms, percent, seconds, share};
use crate::model::finding::Severity;
use crate::model::order::Order as _;
use crate::model::result::{Machine, MachinePorts, RunResult, RunStamp};
use crate::report::style::shortened;
use crate::report::table::Align::{Left, Right};
use crate::report::table::{Cell, Column, Table, or_dash};
use crate::report::text::Page;
use crate::report::text::page::Block;

/// Machines on one screen.
const ROWS: usize = 4;
/// Longer names lose their middle.
const NAME_WIDTH: usize = 18;

/// The machines with the most to say first; `-v` has all of them.
pub(super) fn block(run: &RunResult, page: &Page) -> Option<Block> {
    if run.machines.is_empty() {
        return None;
    }
    let mut machines: Vec<&Machine> = run.machines.iter().collect();
    let named = |m: &Machine| {
        let findings = run.findings.iter().filter(|f| f.severity != Severity::Info);
        findings.flat_map(|f| &f.machines).filter(|name| **name == m.name).count()
    };
    machines.order_by_key(|m| (m.stamp == RunStamp::Valid, std::cmp::Reverse(named(m))));
    let hidden = machines.len().saturating_sub(ROWS);
    machines.truncate(ROWS);
    let mut table = table(&machines);
    if hidden > 0 {
        table.note(format!("and {hidden} more: -v"));
    }
    Some(Block::ranked(1, table.render(page.style, page.width)))
}

/// All of them.
pub(in crate::report) fn all(run: &RunResult) -> Table {
    table(&run.machines.iter().collect::<Vec<_>>())
}

fn table(machines: &[&Machine]) -> Table {
    let known = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "?".into()));
    let columns: [Column<&Machine>; 8] = [
        ("machine", Left, &|m| shortened(&m.name, NAME_WIDTH).into()),
        ("began", Right, &|m| seconds(m.began_s.unwrap_or(m.from_s as f64)).into()),
        ("answers", Right, &|m| count(m.requests - m.failures.min(m.requests)).into()),
        ("failed", Right, &|m| Cell::failures(m.failures)),
        ("failed here", Right, &|m| Cell::failures(m.local_failures)),
        ("p95 ms", Right, &|m| or_dash(m.latency_ms, |l| ms(l.p95)).into()),
        ("ports", Right, &|m| known(m.ports.as_ref().and_then(MachinePorts::in_use_share).map(share))),
        // CPU of the load generator, not of its host.
        ("client", Right, &|m| known(m.client_cpu_percent_mean.map(percent))),
    ];
    Table::of(machines.iter().copied(), &columns).indented(2)
}
