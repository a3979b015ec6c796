//! The rest of a study's report, for `-v` and `report.txt`: every endpoint of every step, resources, the waits between
//! the steps, the analysis in sentences, the findings with their remedies.

use super::{Page, findings};
use crate::model::figures::{bytes, count, deviation, ms, number, percent, rate, seconds};
use crate::model::result::RunStamp;
use crate::model::study::{StepRow, StudyResult};
use crate::report::locust::{self, LocustRow};
use crate::report::names::shortened_apart;
use crate::report::style::{Tone, wrapped};
use crate::report::table::Align::{Left, Right};
use crate::report::table::{Cell, Column, Table, or_dash};

/// Characters of an endpoint's name.
const NAME_WIDTH: usize = 28;

/// Everything but the first screen.
pub(super) fn render(study: &StudyResult, page: &Page) -> String {
    let style = page.style;
    let heading = |text: &str| format!("\n{}\n", style.paint(Tone::Heading, text));
    let mut out = heading("steps");
    out += &steps(study).render(style, page.width);
    out += &heading("endpoints by step");
    out += &endpoints(study, NAME_WIDTH).render(style, page.width);
    if !study.cooldowns.is_empty() {
        out += &heading("between the steps");
        for c in &study.cooldowns {
            let text = format!("before step {}: waited {}: {}", c.before_step, seconds(c.waited_s), c.ended);
            out += &wrapped(&text, 2, page.width);
        }
    }
    out += &heading("analysis");
    for sentence in study.analysis.sentences.iter().skip(study.analysis.answers.len()) {
        let text = wrapped(sentence, 2, page.width);
        out += &format!("- {}", text.trim_start());
    }
    for (row, step) in study.analysis.rows.iter().zip(&study.steps) {
        if step.validity.stamp != RunStamp::Valid || !step.findings.is_empty() {
            out += &heading(&format!("{}: {}", row.label, step.validity.stamp.word()));
            for reason in &step.validity.reasons {
                out += &wrapped(reason, 2, page.width);
            }
            out += &findings::render(&step.findings, page);
        }
    }
    if !study.findings.is_empty() {
        out += &heading("over all steps");
        out += &findings::render(&study.findings, page);
    }
    out
}

pub(in crate::report) fn steps(study: &StudyResult) -> Table {
    let columns: [Column<&StepRow>; 16] = [
        ("step", Left, &|r| r.label.clone().into()),
        ("requests", Right, &|r| count(r.requests).into()),
        ("failed", Right, &|r| Cell::failures(r.failures + r.local_failures)),
        ("cut", Right, &|r| count(r.cut).into()),
        ("req/s", Right, &|r| rate(r.rps).into()),
        ("steady", Right, &|r| or_dash(r.steady_rps, rate).into()),
        ("closed loop", Right, &|r| or_dash(r.predicted_rps, rate).into()),
        ("off", Right, &|r| or_dash(r.deviation_percent, deviation).into()),
        ("p50", Right, &|r| or_dash(r.p50_ms, ms).into()),
        ("p95", Right, &|r| or_dash(r.p95_ms, ms).into()),
        ("p99", Right, &|r| or_dash(r.p99_ms, ms).into()),
        ("target CPU", Right, &|r| or_dash(r.target_cpu_percent, percent).into()),
        ("client CPU", Right, &|r| or_dash(r.client_cpu_percent, percent).into()),
        ("target mem", Right, &|r| or_dash(r.target_rss_bytes, bytes).into()),
        ("host CPU", Right, &|r| or_dash(r.host_cpu_percent, percent).into()),
        ("host mem", Right, &|r| or_dash(r.host_memory_percent, percent).into()),
    ];
    let mut t = Table::of(&study.analysis.rows, &columns).indented(2);
    t.note("cut: in flight at the end; steady: req/s after the last user had started; closed loop: users / (think + response); off: steady against it; times in ms; CPU in % of a core, of the host in % of all");
    t
}

/// Names longer than `name_width` lose their middle.
pub(in crate::report) fn endpoints(study: &StudyResult, name_width: usize) -> Table {
    let columns: [Column<(&str, String, &LocustRow)>; 12] = [
        ("step", Left, &|(step, ..)| (*step).into()),
        ("name", Left, &|(_, name, _)| name.into()),
        ("requests", Right, &|(.., row)| count(row.requests).into()),
        ("failed", Right, &|(.., row)| Cell::failures(row.failures)),
        ("median", Right, &|(.., row)| row.time(|l| l.p50).into()),
        ("p95", Right, &|(.., row)| row.time(|l| l.p95).into()),
        ("p99", Right, &|(.., row)| row.time(|l| l.p99).into()),
        ("mean", Right, &|(.., row)| row.time(|l| l.mean).into()),
        ("min", Right, &|(.., row)| row.time(|l| l.min).into()),
        ("max", Right, &|(.., row)| row.time(|l| l.max).into()),
        ("size", Right, &|(.., row)| number(row.content_size_mean).into()),
        ("req/s", Right, &|(.., row)| rate(row.rps).into()),
    ];
    let mut t = Table::of([], &columns).indented(2).named_by(2);
    let steps: Vec<_> = study.steps.iter().map(locust::rows).collect();
    let all = steps.iter().flat_map(|(rows, all)| rows.iter().chain([all])).map(|row| row.name.as_str());
    let mut names = shortened_apart(all, name_width).into_iter();
    for (i, ((rows, all), of)) in steps.iter().zip(&study.analysis.rows).enumerate() {
        if i > 0 {
            t.rule();
        }
        for (row, name) in rows.iter().chain([all]).zip(names.by_ref()) {
            t.add(&(of.label.as_str(), name, row), &columns);
        }
    }
    t.note("times in ms over requests that ended at the target; size in bytes");
    t
}
