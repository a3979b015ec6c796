//! The page of a study: the answers to what it asks, throughput and times against users, a column for each step, then the
//! charts over time of all steps.

use maud::html;

use super::run::when;
use super::shell::{Document, Top, lines, list, page, section, titled};
use super::{charts, environment, findings};
use crate::model::figures::{bytes, count, ms, percent, rate, seconds, share, times};
use crate::model::study::{EndpointLoad, StepRow, StudyResult};
use crate::report::chart::{self, EndpointTimes, PageChart, Step};
use crate::report::style::Tone;
use crate::report::table::Align::{Left, Right};
use crate::report::table::{Cell, Column, Table, or_dash};
use crate::report::text::{study, study_detail};

/// A study. `times` are the seconds of each step.
pub fn render_study(study: &StudyResult, times: &[EndpointTimes]) -> String {
    study_page(study, times).file()
}

/// The same by its parts.
pub fn study_page(study: &StudyResult, times: &[EndpointTimes]) -> Document {
    let none = EndpointTimes::default();
    let of = |i: usize| times.get(i).unwrap_or(&none);
    let rows = &study.analysis.rows;
    let steps = study.steps.iter().zip(rows).enumerate();
    let steps: Vec<Step<'_>> = steps.map(|(i, (run, row))| Step { label: &row.label, run, times: of(i) }).collect();
    let first = study.steps.first();
    let target = first.map_or("", |s| s.plan.target.url.as_str());
    let top = Top {
        kind: "sockbench study",
        sentence: &study.verdict.sentence,
        tone: Tone::of_verdict(study.verdict.id),
        stamps: study.steps.iter().zip(rows).map(stamp).collect(),
        what: format!("study {} of {target}, {} of {} steps, {}", study.name, rows.len(), study.steps_planned, ended(study)),
        when: first.map_or_else(String::new, when),
        command: &study.command,
        ..Top::default()
    };
    let answers: Vec<_> =
        study.analysis.answers.iter().map(|a| (study::label(a.question), Tone::Normal, a.text.clone())).collect();
    let body = html! {
        (section("answers", "Answers", &html! { (lines(&answers)) (list(&study::careful(study))) }))
        @if !study.comparison.is_empty() { (section("comparison", "The experiment and this run", &study::comparison(study).to_html())) }
        (section("users", "Against users", &html! {
            (charts::grid(&over_users(study, &steps)))
            @if !study.analysis.endpoints.is_empty() { (titled("Each endpoint under rising load", &under_load(study))) }
        }))
        (section("steps", "Steps", &html! { (by_step(rows).to_html()) (titled("Endpoints by step", &study_detail::endpoints(study, usize::MAX))) }))
        (section("charts", "Second by second", &charts::grid(&chart::time_charts(&steps))))
        (section("findings", "Findings over all steps", &findings::render(&study.findings)))
        @for (run, row) in study.steps.iter().zip(rows) {
            (section("", &format!("Findings: {}", row.label), &findings::render(&run.findings)))
        }
        (section("analysis", "Analysis", &list(&study.analysis.sentences)))
        @if let Some(run) = first { (section("environment", "Environment", &environment::render(run))) }
    };
    page(&top, &body)
}

fn stamp((run, row): (&crate::model::result::RunResult, &StepRow)) -> (String, Tone) {
    let stamp = run.validity.stamp;
    (format!("{}: {}", row.label, stamp.word()), Tone::of_stamp(stamp))
}

fn ended(study: &StudyResult) -> String {
    let missing = study::missing(study).map_or_else(String::new, |text| format!("; missing: {text}"));
    format!("{}{missing}", seconds(study.duration_s))
}

/// Throughput beside the closed loop's prediction, percentiles, resources; then percentiles by step.
fn over_users(study: &StudyResult, steps: &[Step<'_>]) -> Vec<PageChart> {
    let charts = [
        ("throughput", chart::throughput(study)),
        ("times-by-users", chart::response_times(study)),
        ("p95-by-users", chart::percentiles_over_users(study)),
        ("resources-by-users", chart::resources_over_users(study)),
    ];
    let known = charts.into_iter().filter_map(|(id, chart)| {
        let mut chart = chart?;
        chart.subtitle.clear();
        Some(PageChart { id, chart, missing: "not recorded in this study".into() })
    });
    known.chain([chart::step_distribution(steps)]).collect()
}

/// Each endpoint at the lightest and at the heaviest step: what rises, and whether the target queued or worked.
fn under_load(study: &StudyResult) -> Table {
    let endpoints = &study.analysis.endpoints;
    let [light, heavy] = endpoints.first().map_or([0, 0], |e| e.users);
    let pair = |of: [f64; 2], text: fn(f64) -> String| format!("{} to {}", text(of[0]), text(of[1]));
    let timing = |of: Option<[f64; 2]>| or_dash(of, |of| pair(of, ms)).into();
    let columns: [Column<&EndpointLoad>; 7] = [
        ("endpoint", Left, &|e| e.name.clone().into()),
        ("p50, ms", Right, &|e| pair(e.p50_ms, ms).into()),
        ("p95, ms", Right, &|e| pair(e.p95_ms, ms).into()),
        ("in the queue, ms", Right, &|e| timing(e.queue_p50_ms)),
        ("at work, ms", Right, &|e| timing(e.work_p50_ms)),
        ("median, as a multiple", Right, &|e| times(e.times()).into()),
        ("without an answer", Right, &|e| pair(e.unanswered_share, share).into()),
    ];
    let mut table = Table::of(endpoints, &columns);
    table.note(format!(
        "from {light} to {heavy} users; queue and work are medians as the target says (Server-Timing), - where it does not"
    ));
    table
}

/// A figure of a row: its name and its text.
type Figure = (&'static str, fn(&StepRow) -> String);

/// A column for each step.
pub(super) fn by_step(rows: &[StepRow]) -> Table {
    let figures: [Figure; 19] = [
        ("requests", |r| count(r.requests)),
        ("failed at the target", |r| count(r.failures)),
        ("failed on this machine", |r| count(r.local_failures)),
        ("in flight at the end", |r| count(r.cut)),
        ("without an answer, of all", |r| share(r.unanswered_share)),
        ("req/s", |r| rate(r.rps)),
        ("req/s after the last user had started", |r| or_dash(r.steady_rps, rate)),
        ("users / (think + response)", |r| or_dash(r.predicted_rps, rate)),
        ("of the ideal rate, without a queue", |r| or_dash(r.expected_share, share)),
        ("p50, ms", |r| or_dash(r.p50_ms, ms)),
        ("p95, ms", |r| or_dash(r.p95_ms, ms)),
        ("p99, ms", |r| or_dash(r.p99_ms, ms)),
        ("CPU of the target, of a core", |r| or_dash(r.target_cpu_percent, percent)),
        ("CPU of the client, of a core", |r| or_dash(r.client_cpu_percent, percent)),
        ("CPU of the host, of all cores", |r| or_dash(r.host_cpu_percent, percent)),
        ("memory of the target", |r| or_dash(r.target_rss_bytes, bytes)),
        ("memory of the client", |r| or_dash(r.client_rss_bytes, bytes)),
        ("source ports at the peak", |r| or_dash(r.peak_ports, count)),
        ("of a pool of", |r| or_dash(r.pool, count)),
    ];
    let mut columns = vec![(String::new(), Left)];
    columns.extend(rows.iter().map(|r| (r.label.clone(), Right)));
    let mut table = Table::with_columns(columns);
    for (name, text) in figures {
        let mut cells: Vec<Cell> = vec![name.into()];
        cells.extend(rows.iter().map(|r| Cell::from(text(r))));
        table.row_of(cells);
    }
    table
}
