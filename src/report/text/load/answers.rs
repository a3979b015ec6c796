//! What was answered, how fast, and how long it took: for all requests, and a row each where endpoints differ.

use super::answered;
use super::said::Said;
use crate::diagnose::no_rate;
use crate::model::figures::{count, is_supported, ms, rate, share};
use crate::model::order::Order as _;
use crate::model::result::{Endpoint, LatencyMs, RunResult, VerdictId, whole_seconds};
use crate::model::time::per_second;
use crate::report::names::shortened_apart;
use crate::report::slowest;
use crate::report::table::{Align, Cell, Table, or_dash};
use crate::report::text::Page;
use crate::report::text::page::Block;
use crate::report::text::summary::steady_part;

/// Endpoints with a row of their own.
const ENDPOINTS: usize = 5;
/// Longer names lose their middle.
const NAME_WIDTH: usize = 28;
/// Whole seconds from which their spread is said.
const SECONDS_MIN: usize = 3;

/// What was `said` above them is not repeated.
pub(super) fn blocks(run: &RunResult, page: &Page, said: &Said<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    if answered(run) == 0 {
        return blocks;
    }
    blocks.push(page.ranked(0, "answered", &rates(run, said)));
    if let Some(latency) = &run.totals.latency_ms {
        let clock = if run.totals.service_latency_ms.is_some() { " from the due time" } else { "" };
        blocks.push(page.ranked(0, "latency", &(percentiles(latency, answered(run)) + clock)));
    }
    if let Some(service) = &run.totals.service_latency_ms {
        let p99 = if is_supported(99.0, answered(run)) { format!(", p99 {}", ms(service.p99)) } else { String::new() };
        let text = format!("p50 {}{p99} ms from the start", ms(service.p50));
        blocks.push(page.ranked(3, "service", &text));
    }
    if run.endpoints.len() > 1 {
        blocks.push(Block::ranked(5, endpoints(run, page)));
    }
    blocks
}

fn rates(run: &RunResult, said: &Said<'_>) -> String {
    let t = &run.totals;
    let answers = answered(run);
    let has_rate = no_rate(run, answers).is_none();
    let mut text = if run.plan.is_open_loop() && t.never_started > 0 {
        let asked = t.attempts + t.never_started;
        let missed = share(t.never_started as f64 / asked.max(1) as f64);
        let mut text = format!("{} of {} asked", count(answers), count(asked));
        if t.attempts - answers.min(t.attempts) > t.attempts / 100 {
            text += &format!(", {} sent", count(t.attempts));
        }
        text += &if said.has_never_started() {
            format!("; {missed} never started")
        } else {
            format!("; {} ({missed}) never started", count(t.never_started))
        };
        if t.connects_failed + t.local_failures > 0 {
            text += ", while users paused after a failed connect";
        }
        text
    } else if t.failures + t.local_failures == 0 && !has_rate {
        format!("{} of {}, 0 failed", count(answers), count(t.attempts))
    } else if t.failures + t.local_failures == 0 {
        let rps = rate(per_second(answers, run.duration_s));
        if said.rates().any(|said| rate(said) == rps) {
            format!("{}, 0 failed", count(t.requests))
        } else {
            format!("{rps} req/s, 0 failed of {}", count(t.requests))
        }
    } else {
        // The lines about failures say of how many.
        let of = if run.errors.is_empty() { format!(" of {}", count(t.attempts)) } else { String::new() };
        let mut text = format!("{}{of}", count(answers));
        // The mean over a time in which nothing could be answered is nobody's rate.
        if !matches!(run.verdict.id, VerdictId::PortBound | VerdictId::TargetGone) && has_rate {
            text += &format!(", {}/s", rate(per_second(answers, run.duration_s)));
        }
        text
    };
    if !has_rate {
        return text;
    }
    if let Some((steady, when)) = steady_part(run, "after").filter(|_| t.failures + t.local_failures == 0) {
        text += &format!("; {} req/s {when}", rate(steady.rps));
    } else if let Some((least, most)) = spread(run).map(|(least, most)| (rate(least), rate(most)))
        && least != most
    {
        text += &format!("; {least}..{most} by second");
    }
    text
}

/// The least and most answers per second of the whole seconds in which all users ran, where nothing failed.
fn spread(run: &RunResult) -> Option<(f64, f64)> {
    let t = &run.totals;
    if t.failures + t.local_failures > 0 {
        return None;
    }
    let ramp_s = run.plan.ramp().as_secs_f64();
    // The last one may be longer than a second: a short rest joins it.
    let whole: Vec<f64> = whole_seconds(&run.series).filter(|p| p.t_s >= ramp_s + 1.0).map(|p| p.rps).collect();
    (whole.len() >= SECONDS_MIN)
        .then(|| (whole.iter().copied().fold(f64::INFINITY, f64::min), whole.iter().copied().fold(0.0, f64::max)))
}

/// Of few answers the highest percentiles are the maximum: they are left out.
fn percentiles(l: &LatencyMs, answers: u64) -> String {
    let figures =
        [("p50", l.p50, 50.0), ("p95", l.p95, 95.0), ("p99", l.p99, 99.0), ("p99.9", l.p99_9, 99.9), ("max", l.max, 0.0)];
    let figures = figures.iter().filter(|(.., percentile)| is_supported(*percentile, answers));
    let figures: Vec<String> = figures.map(|(name, value, _)| format!("{name} {}", ms(*value))).collect();
    format!("{} ms", figures.join(", "))
}

/// The slowest endpoints, in the order of the mix.
fn endpoints(run: &RunResult, page: &Page) -> String {
    let right = Align::Right;
    let failed = run.endpoints.iter().any(|e| e.failures + e.local_failures > 0);
    let rates = no_rate(run, answered(run)).is_none();
    let mut columns = vec![("endpoint", Align::Left), if rates { ("req/s", right) } else { ("answered", right) }];
    columns.extend(failed.then_some(("failed", right)));
    columns.extend([("p50", right), ("p95", right), ("p99 ms", right)]);
    let mut table = Table::with_columns(columns).indented(2);
    let mut shown = slowest(run, ENDPOINTS);
    shown.order_by(Ord::cmp);
    let shown: Vec<&Endpoint> = shown.into_iter().map(|i| &run.endpoints[i]).collect();
    let names = shortened_apart(shown.iter().map(|e| e.name.as_str()), NAME_WIDTH);
    for (e, name) in shown.into_iter().zip(names) {
        let answers = e.requests - e.failures.min(e.requests);
        let time = |percentile: f64, pick: fn(&LatencyMs) -> f64| {
            let known = e.latency_ms.as_ref().filter(|_| is_supported(percentile, answers));
            Cell::from(or_dash(known, |l| ms(pick(l))))
        };
        let mut cells: Vec<Cell> = vec![name.into()];
        cells.push(if rates { rate(per_second(answers, run.duration_s)) } else { count(answers) }.into());
        cells.extend(failed.then(|| Cell::from(count(e.failures + e.local_failures))));
        cells.extend([time(50.0, |l| l.p50), time(95.0, |l| l.p95), time(99.0, |l| l.p99)]);
        table.row_of(cells);
    }
    let hidden = run.endpoints.len().saturating_sub(ENDPOINTS);
    if hidden > 0 {
        table.note(format!("{hidden} faster ones: -v"));
    }
    table.render(page.style, page.width)
}
