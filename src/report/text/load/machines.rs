//! Of a merged run, what each machine did and how much of its own it used: a row each.

use crate::model::figures::{count, ms, percent, share};
use crate::model::finding::Severity;
use crate::model::order::Order as _;
use crate::model::result::{Machine, MachinePorts, RunResult, RunStamp};
use crate::report::style::{Tone, shortened};
use crate::report::table::{Align, Cell, Table};
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
    let mut table = Table::new([
        ("machine", Align::Left),
        ("began", Align::Right),
        ("answers", Align::Right),
        ("failed", Align::Right),
        ("failed here", Align::Right),
        ("p95 ms", Align::Right),
        ("ports", Align::Right),
        // CPU of the load generator, not of its host.
        ("client", Align::Right),
    ])
    .indented(2);
    let known = |text: Option<String>| text.unwrap_or_else(|| "?".into());
    for m in machines {
        let tone = |bad: u64| if bad > 0 { Tone::Bad } else { Tone::Normal };
        let peak = m.ports.as_ref().and_then(MachinePorts::in_use_share);
        table.row([
            Cell::from(shortened(&m.name, NAME_WIDTH)),
            Cell::from(format!("{} s", m.from_s)),
            Cell::from(count(m.requests - m.failures.min(m.requests))),
            Cell::toned(tone(m.failures), count(m.failures)),
            Cell::toned(tone(m.local_failures), count(m.local_failures)),
            Cell::from(m.latency_ms.map_or_else(|| "-".into(), |l| ms(l.p95))),
            Cell::from(known(peak.map(share))),
            Cell::from(known(m.client_cpu_percent_mean.map(percent))),
        ]);
    }
    table
}
