//! The rest of a study's report, for `-v` and `report.txt`: every endpoint of every step, resources, the waits between
//! the steps, the analysis in sentences, the findings with their remedies.

use super::{Page, findings};
use crate::model::figures::{bytes, count, deviation, ms, number, percent, rate, seconds};
use crate::model::result::RunStamp;
use crate::model::study::{StepRow, StudyResult};
use crate::report::locust;
use crate::report::names::shortened_apart;
use crate::report::style::{Tone, wrapped};
use crate::report::table::{Align, Cell, Table};

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
            out += &heading(&format!("{}: {}", row.label, stamp(step.validity.stamp)));
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

fn stamp(stamp: RunStamp) -> &'static str {
    match stamp {
        RunStamp::PortBound => "port-bound",
        RunStamp::ClientBound => "client-bound",
        RunStamp::Incomplete => "incomplete",
        RunStamp::Valid => "valid",
    }
}

pub(in crate::report) fn steps(study: &StudyResult) -> Table {
    let right = Align::Right;
    let mut t = Table::new([
        ("step", Align::Left),
        ("requests", right),
        ("failed", right),
        ("cut", right),
        ("req/s", right),
        ("steady", right),
        ("closed loop", right),
        ("off", right),
        ("p50", right),
        ("p95", right),
        ("p99", right),
        ("target CPU", right),
        ("client CPU", right),
        ("target mem", right),
        ("host CPU", right),
        ("host mem", right),
    ])
    .indented(2);
    for r in &study.analysis.rows {
        t.row(step_cells(r));
    }
    t.note("cut: in flight at the end; steady: req/s after the last user had started; closed loop: users / (think + response); off: steady against it; times in ms; CPU in % of a core, of the host in % of all");
    t
}

fn step_cells(r: &StepRow) -> [Cell; 16] {
    let failed = r.failures + r.local_failures;
    let opt = |v: Option<f64>, f: &dyn Fn(f64) -> String| Cell::from(v.map_or_else(|| "-".into(), f));
    [
        r.label.clone().into(),
        count(r.requests).into(),
        if failed > 0 { Cell::toned(Tone::Bad, count(failed)) } else { "0".into() },
        count(r.cut).into(),
        rate(r.rps).into(),
        opt(r.steady_rps, &rate),
        opt(r.predicted_rps, &rate),
        opt(r.deviation_percent, &deviation),
        opt(r.p50_ms, &ms),
        opt(r.p95_ms, &ms),
        opt(r.p99_ms, &ms),
        opt(r.target_cpu_percent, &percent),
        opt(r.client_cpu_percent, &percent),
        r.target_rss_bytes.map_or_else(|| "-".into(), bytes).into(),
        opt(r.host_cpu_percent, &percent),
        opt(r.host_memory_percent, &percent),
    ]
}

/// Names longer than `name_width` lose their middle.
pub(in crate::report) fn endpoints(study: &StudyResult, name_width: usize) -> Table {
    let (left, right) = (Align::Left, Align::Right);
    let mut t = Table::new([
        ("step", left),
        ("name", left),
        ("requests", right),
        ("failed", right),
        ("median", right),
        ("p95", right),
        ("p99", right),
        ("mean", right),
        ("min", right),
        ("max", right),
        ("size", right),
        ("req/s", right),
    ])
    .indented(2)
    .named_by(2);
    let steps: Vec<_> = study.steps.iter().map(locust::rows).collect();
    let all: Vec<&str> = steps.iter().flat_map(|(rows, all)| rows.iter().chain([all])).map(|row| row.name.as_str()).collect();
    let mut names = shortened_apart(all, name_width).into_iter();
    for (i, ((rows, all), of)) in steps.iter().zip(&study.analysis.rows).enumerate() {
        if i > 0 {
            t.rule();
        }
        for (row, name) in rows.iter().chain([all]).zip(names.by_ref()) {
            t.row([
                of.label.clone().into(),
                name.into(),
                count(row.requests).into(),
                if row.failures > 0 { Cell::toned(Tone::Bad, count(row.failures)) } else { "0".into() },
                row.time(|l| l.p50).into(),
                row.time(|l| l.p95).into(),
                row.time(|l| l.p99).into(),
                row.time(|l| l.mean).into(),
                row.time(|l| l.min).into(),
                row.time(|l| l.max).into(),
                number(row.content_size_mean).into(),
                rate(row.rps).into(),
            ]);
        }
    }
    t.note("times in ms over requests that ended at the target; size in bytes");
    t
}
