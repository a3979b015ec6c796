//! The page of a run. The answer first, then why and what to do, the figures, the charts, and where it ran.

use maud::{Markup, html};

use super::shell::{Document, Tile, Top, lines, list, page, section, tiles, titled};
use super::{charts, environment, failures, findings};
use crate::diagnose::no_rate;
use crate::model::figures::{count, counted, is_supported, ms, percent, rate, seconds, share};
use crate::model::result::RunResult;
use crate::report::chart::{EndpointTimes, page_charts};
use crate::report::locust;
use crate::report::plan_text;
use crate::report::style::Tone;
use crate::report::text::{load, requests, summary};

/// One run. `times` are its seconds; without them their charts say why they are missing.
pub fn render_run(run: &RunResult, times: &EndpointTimes) -> String {
    run_page(run, times).file()
}

/// The same by its parts.
pub fn run_page(run: &RunResult, times: &EndpointTimes) -> Document {
    let stamp = run.validity.stamp;
    let top = Top {
        kind: "sockbench load",
        sentence: &run.verdict.sentence,
        tone: Tone::of_verdict(run.verdict.id),
        stamps: vec![(stamp.word().to_owned(), Tone::of_stamp(stamp))],
        what: format!("{}, {}", plan_text::asked(&run.plan), load::headline::load(run)),
        when: when(run),
        command: &run.command,
        ..Top::default()
    };
    let body = html! {
        (tiles(&key_figures(run, None)))
        (section("findings", "Findings", &findings::render(&run.findings)))
        (section("requests", "Requests", &request_tables(run)))
        @if !run.machines.is_empty() {
            (section("machines", "Machines", &html! { (load::machines::all(run).to_html()) (list(&run.careful)) }))
        }
        @if !run.destinations.is_empty() {
            (section("destinations", "Destinations", &destinations(run)))
        }
        (section("charts", "Second by second", &charts::grid(&page_charts(run, times))))
        (section("errors", "Errors, statuses, closes", &failures::render(run)))
        (section("summary", "All figures", &lines(&summary::lines(run))))
        (section("undecided", "Could not decide", &undecided(run)))
        (section("unavailable", "Not measured", &unavailable(run)))
        (section("environment", "Environment", &environment::render(run)))
    };
    page(&top, &body)
}

/// When, by which version, on what.
pub(super) fn when(run: &RunResult) -> String {
    let cores = counted(run.host.cpus, "core");
    format!("{}, sockbench {}, Linux {}, {cores}", run.started_at, run.tool.version, run.host.kernel)
}

/// `ports_now` takes the place of the peak, where it is known.
pub(super) fn key_figures(run: &RunResult, ports_now: Option<Tile>) -> Vec<Tile> {
    let (_, all) = locust::rows(run);
    let tile = |value: String, label: &str, tone: Tone| Tile { value, label: label.to_owned(), tone };
    let failed = if all.failures > 0 { Tone::Bad } else { Tone::Good };
    let mut figures = vec![
        tile(count(all.requests), "requests", Tone::Normal),
        tile(percent(all.failures_percent()), &format!("failed: {}", count(all.failures)), failed),
        match no_rate(run, run.totals.requests) {
            Some(why) => {
                let ended = counted(run.totals.requests, "request");
                let label = format!("requests/s: {ended} in {}, {}", seconds(run.duration_s), why.words());
                tile("-".into(), &label, Tone::Normal)
            }
            None => tile(rate(run.totals.rps), "requests/s answered or failed at the target", Tone::Normal),
        },
    ];
    if let Some(l) = &run.totals.latency_ms {
        let answers = run.totals.requests.saturating_sub(run.totals.failures);
        let p99 = if is_supported(99.0, answers) { format!(", p99 {}", ms(l.p99)) } else { String::new() };
        figures.push(if is_supported(95.0, answers) {
            tile(format!("{} ms", ms(l.p95)), &format!("p95; p50 {}{p99}", ms(l.p50)), Tone::Normal)
        } else {
            tile(format!("{} ms", ms(l.p50)), &format!("p50; max {}", ms(l.max)), Tone::Normal)
        });
    }
    if let Some(tile) = ports_now {
        figures.push(tile);
    } else if let Some((ports, used)) = run.ports.as_ref().and_then(|p| Some((p, p.in_use_share()?))) {
        let of = ports.in_use().zip(ports.pool).map_or_else(String::new, |(n, of)| format!(": {} of {}", count(n), count(of)));
        let before = ports.leftover_before.filter(|n| *n > 0);
        let of = of + &before.map_or_else(String::new, |n| format!(", {} before the run", count(n)));
        let tone = if used >= 1.0 { Tone::Bad } else { Tone::Normal };
        figures.push(tile(share(used), &format!("of the source ports at the peak{of}"), tone));
    }
    figures
}

pub(super) fn request_tables(run: &RunResult) -> Markup {
    let [counted, percentiles] = requests::tables(run);
    html! { (titled(requests::REQUESTS, &counted)) (titled(requests::PERCENTILES_TITLE, &percentiles)) }
}

/// A row each, and what each is found to be.
fn destinations(run: &RunResult) -> Markup {
    let verdict = |part: &RunResult| format!("{}: {}", part.plan.target.authority, part.verdict.sentence);
    html! {
        (load::destinations::all(run).to_html())
        (list(&run.destinations.iter().map(verdict).collect::<Vec<_>>()))
        (list(&run.careful))
    }
}

fn undecided(run: &RunResult) -> Markup {
    list(&run.undecided.iter().map(|u| format!("{}: {}", u.id.word(), u.missing)).collect::<Vec<_>>())
}

fn unavailable(run: &RunResult) -> Markup {
    let all = summary::not_measured(run);
    list(&all.iter().map(|(reason, keys)| format!("{}: {reason}", keys.join(", "))).collect::<Vec<_>>())
}
