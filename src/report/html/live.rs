//! The page of a run or a study that goes on: what is known so far, by the same writer as the page of one that has ended.

use maud::html;

use super::run::{key_figures, request_tables, when};
use super::shell::{Document, Tile, Top, page, section, tiles, titled};
use super::study::by_step;
use super::{charts, environment, failures};
use crate::model::figures::{count, number, seconds};
use crate::model::study::StepRow;
use crate::report::chart::{Step, page_charts, time_charts};
use crate::report::plan_text;
use crate::report::style::Tone;
use crate::report::text::load;

/// A run or a study in its course.
#[derive(Debug, Clone, Copy)]
pub struct Going<'a> {
    /// the steps so far, the one that goes on last; a run is the only one. None: the page says so
    pub steps: &'a [Step<'a>],
    /// of how many; none for a run
    pub planned: Option<usize>,
    /// what is done now, where it is not the last step
    pub said: Option<&'a str>,
    /// source ports in use now and of how many
    pub ports: Option<(u32, u32)>,
    /// seconds until none is free at the present rate; zero: none is
    pub full_in_s: Option<f64>,
}

/// As it is now: the outlook of the source ports leads. Findings come with the end, when all is known.
pub fn live_page(going: &Going<'_>) -> Document {
    let Some(Step { label, run, times }) = going.steps.last() else {
        let stamps = vec![("running".into(), Tone::Normal)];
        let top = Top { kind: "sockbench", sentence: "no second is over yet", stamps, ..Top::default() };
        return page(&top, &html! {});
    };
    let planned = run.plan.duration.as_secs_f64();
    let at = number(run.duration_s);
    let time = if planned > 0.0 { format!("{at} of {} s", number(planned)) } else { format!("{at} s") };
    let step = going.planned.map_or_else(String::new, |all| format!("step {} of {all} ({label}): ", going.steps.len()));
    let (outlook, tone) = outlook(going);
    let top = Top {
        kind: if going.planned.is_some() { "sockbench study" } else { "sockbench load" },
        sentence: &(going.said.map_or_else(|| format!("{step}running, {time}"), str::to_owned) + &outlook),
        tone,
        stamps: vec![("running".into(), Tone::Normal)],
        what: format!("{}, {}", plan_text::asked(&run.plan), load::headline::load(run)),
        when: when(run),
        over: (planned > 0.0).then(|| (run.duration_s / planned).clamp(0.0, 1.0)),
        command: &run.command,
    };
    let all = if going.planned.is_some() { time_charts(going.steps) } else { page_charts(run, times) };
    let row = |s: &Step<'_>| StepRow { label: s.label.to_owned(), ..StepRow::of(s.run) };
    let done: Vec<StepRow> = going.steps.iter().rev().skip(1).rev().map(row).collect();
    let of_step = if going.planned.is_some() { format!(" of {label}") } else { String::new() };
    let body = html! {
        (tiles(&key_figures(run, ports_tile(going))))
        (section("requests", &format!("Requests{of_step}"), &request_tables(run)))
        (section("charts", "Second by second", &charts::grid(&all)))
        @if !done.is_empty() { (section("steps", "Steps that are over", &by_step(&done).to_html())) }
        (section("errors", &format!("Errors and statuses{of_step}"), &html! {
            (failures::by_kind(run))
            (titled("Statuses", &failures::statuses(run)))
        }))
        p class="note" { "Findings, remedies, phases and who closed the connections come when the run has ended." }
        (section("environment", "Environment", &environment::render(run)))
    };
    page(&top, &body)
}

/// What can already be said of the source ports, and how bad that is.
fn outlook(going: &Going<'_>) -> (String, Tone) {
    match (going.full_in_s, going.ports) {
        (Some(s), Some((_, pool))) if s <= 0.0 => {
            (format!("; all {} source ports to the target are in use", count(pool)), Tone::Bad)
        }
        (Some(s), Some((_, pool))) => (
            format!("; the {} source ports to the target run out in {} at this rate", count(pool), seconds(s.ceil())),
            Tone::Warn,
        ),
        _ => (String::new(), Tone::Normal),
    }
}

fn ports_tile(going: &Going<'_>) -> Option<Tile> {
    let (used, pool) = going.ports?;
    let (label, tone) = match going.full_in_s {
        Some(s) if s <= 0.0 => ("source ports now: none is free".to_owned(), Tone::Bad),
        Some(s) => (format!("source ports now: full in {} at this rate", seconds(s.ceil())), Tone::Warn),
        None => ("source ports in use now".to_owned(), Tone::Normal),
    };
    Some(Tile { value: format!("{} of {}", count(used), count(pool)), label, tone })
}
