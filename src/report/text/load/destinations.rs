//! Of a run with several destinations: a row for each, and the page of the one that the verdict is about.

use super::said::Said;
use super::{answered, answers, careful, cause, faults, headline, limits, next, subject, timeline};
use crate::diagnose::no_rate;
use crate::model::figures::{count, ms, rate};
use crate::model::order::Order as _;
use crate::model::result::{LatencyMs, RunResult, RunStamp, VerdictId};
use crate::model::time::per_second;
use crate::report::style::{Tone, shortened};
use crate::report::table::Align::{Left, Right};
use crate::report::table::{Cell, Column, Table, or_dash};
use crate::report::text::Page;
use crate::report::text::page::{Block, one_screen};

/// Destinations on one screen.
const ROWS: usize = 6;
/// Longer names lose their middle.
const NAME_WIDTH: usize = 28;

/// The report on one screen.
pub(super) fn render(run: &RunResult, page: &Page) -> String {
    let mut blocks = vec![Block::kept(headline::render(run, page)), Block::ranked(6, "\n".into()), Block::kept(rows(run, page))];
    let about = about(run);
    let shown = about.unwrap_or(run);
    // Failures have their rows where a destination has no finding.
    let has_more = about.is_some() || subject(run).is_some() || !run.errors.is_empty();
    if has_more {
        if let Some(part) = about {
            let of = page.style.paint(Tone::Heading, &part.plan.target.authority);
            blocks.push(Block::ranked(2, format!("  {of}\n")));
        }
        let said = Said::by_headline(shown);
        blocks.extend(cause::blocks(shown, page, &said));
        blocks.extend(faults::blocks(shown, page, &said));
        blocks.extend(timeline::block(shown, page));
        blocks.extend(cause::recurrence(shown, page));
    } else {
        blocks.extend(answers::blocks(run, page, &Said::by_headline(run)));
    }
    if run.verdict.id == VerdictId::Healthy {
        blocks.extend(limits::block(run, page, &Said::by_headline(run)));
    }
    blocks.extend(careful::blocks(run, page));
    blocks.extend(next::blocks(run, page));
    one_screen(blocks)
}

/// The run to the first destination that has the finding of the page; none where it is of the program as a whole.
fn about(run: &RunResult) -> Option<&RunResult> {
    run.destination(subject(run)?.destinations.first()?)
}

/// Those with the most to say first; `-v` has all of them.
fn rows(run: &RunResult, page: &Page) -> String {
    let mut parts: Vec<&RunResult> = run.destinations.iter().collect();
    if parts.len() > ROWS {
        parts.order_by_key(|part| (part.verdict.id == VerdictId::Healthy, part.validity.stamp == RunStamp::Valid));
    }
    let hidden = parts.len().saturating_sub(ROWS);
    parts.truncate(ROWS);
    let mut table = table(run, &parts);
    if hidden > 0 {
        table.note(format!("and {hidden} more: -v"));
    }
    table.render(page.style, page.width)
}

/// Whether the screen has a row for each.
pub(super) fn are_all_shown(run: &RunResult) -> bool {
    run.destinations.len() <= ROWS
}

/// All of them.
pub(in crate::report) fn all(run: &RunResult) -> Table {
    table(run, &run.destinations.iter().collect::<Vec<_>>())
}

fn table(run: &RunResult, parts: &[&RunResult]) -> Table {
    // As the rows of endpoints have it: over the time of the run, or how many, where there is no rate.
    let has_rates = no_rate(run, answered(run)).is_none();
    let of_answers = |n: u64| if has_rates { rate(per_second(n, run.duration_s)) } else { count(n) };
    let weight =
        |part: &RunResult| run.plan.destinations.iter().find(|d| d.target.addr == part.plan.target.addr).map(|d| d.weight);
    let time = |part: &RunResult, pick: fn(&LatencyMs) -> f64| or_dash(part.totals.latency_ms.as_ref(), |l| ms(pick(l))).into();
    let columns: [Column<&RunResult>; 7] = [
        ("destination", Left, &|part| shortened(&part.plan.target.authority, NAME_WIDTH).into()),
        ("weight", Right, &|part| weight(part).map_or_else(|| "?".into(), count).into()),
        (if has_rates { "req/s" } else { "answered" }, Right, &|part| of_answers(answered(part)).into()),
        ("failed", Right, &|part| Cell::failures(part.totals.failures.saturating_add(part.totals.local_failures))),
        ("p50", Right, &|part| time(part, |l| l.p50)),
        ("p95 ms", Right, &|part| time(part, |l| l.p95)),
        ("ports in use", Right, &|part| ports(part)),
    ];
    Table::of(parts.iter().copied(), &columns).indented(2)
}

/// `27,000 of 28,230`
fn ports(part: &RunResult) -> Cell {
    let known = part.ports.as_ref().and_then(|p| Some((p.in_use()?, p.pool?)));
    let Some((used, pool)) = known else { return "?".into() };
    Cell::toned(if used >= pool { Tone::Bad } else { Tone::Normal }, format!("{} of {}", count(used), count(pool)))
}
