//! A study on one screen: the verdict, the answers to what it asks, and one table over its steps.

use super::{Detail, Page, study_detail};
use crate::diagnose::thresholds::OTHERS_NAMED_PERCENT;
use crate::model::figures::{ms, number, percent, rate, seconds, share};
use crate::model::finding::{FindingId, Severity};
use crate::model::order::Order as _;
use crate::model::result::{Doubt, RunResult, RunStamp};
use crate::model::study::{Comparison, Question, StepRow, StudyResult};
use crate::report::names::shortened_apart;
use crate::report::slowest;
use crate::report::style::{Tone, wrapped};
use crate::report::table::{Align, Cell, Table, or_dash};

/// Endpoints with a column of their own.
const ENDPOINTS: usize = 3;
/// Longer names lose their middle.
const NAME_WIDTH: usize = 12;
/// From this share of the pool in use the ports have a column.
const PORTS_SHARE: f64 = 0.5;
/// Marks percentiles that leave out too many requests.
const CENSORED: &str = "*";
/// Further findings that are named.
const FINDINGS: usize = 3;

/// The report of a study.
pub fn render_study(study: &StudyResult, page: &Page) -> String {
    let shown = super::foreign::shown(study);
    let study = shown.as_ref().unwrap_or(study);
    let mut out = headline(study, page);
    out += &answers(study, page);
    if !study.comparison.is_empty() {
        out.push('\n');
        out += &compared(study, page);
    }
    out.push('\n');
    out += &steps(study, page);
    let mut careful = careful(study);
    let more = match (page.detail, &page.kept) {
        (Detail::Full, _) => study_detail::render(study, page),
        (Detail::Brief, None) => page.toned("more", Tone::Faint, "-v every figure and finding; -o DIR keeps them, with charts"),
        (Detail::Brief, Some(dir)) => page.toned("more", Tone::Faint, &format!("-v every figure and finding; kept in {dir}")),
    };
    let doubts = |careful: &[String]| if careful.is_empty() { String::new() } else { page.listed("careful", careful) };
    // The last of these matter least, and -v has the findings that they name.
    let room = Page::LINES.saturating_sub(out.lines().count() + more.lines().count() + 1);
    while page.detail == Detail::Brief && careful.len() > 1 && doubts(&careful).lines().count() > room {
        careful.pop();
    }
    let doubts = doubts(&careful);
    // A line of its own between table and doubts is the first thing to save.
    if !doubts.is_empty() && (page.detail == Detail::Full || doubts.lines().count() <= room) {
        out.push('\n');
    }
    out += &doubts;
    out += &more;
    out
}

fn headline(study: &StudyResult, page: &Page) -> String {
    let tone = Tone::of_verdict(study.verdict.id);
    let target = study.steps.first().map_or("", |s| s.plan.target.url.as_str());
    let second = format!("study {} of {target}, {}", study.name, seconds(study.duration_s));
    let first = wrapped(&study.verdict.sentence, 0, page.width);
    let missing = missing(study).map_or_else(String::new, |text| page.toned("missing", Tone::Warn, &text));
    format!("{}{}{missing}", page.style.paint(tone, &first), wrapped(&second, 5, page.width))
}

/// What the plan had and did not get: steps that ended early, steps that did not run, and why.
pub(in crate::report) fn missing(study: &StudyResult) -> Option<String> {
    let short = study.analysis.rows.iter().filter_map(|r| {
        let missing = r.missing_s()?;
        Some(format!("{} of the {} of {}", seconds(missing), seconds(r.planned_s), r.label))
    });
    let mut parts: Vec<String> = short.collect();
    if !study.not_run.is_empty() {
        parts.push(format!("all of {}", study.not_run.join(", ")));
    }
    // A result of an earlier version does not name them.
    let ran = study.steps.len();
    if parts.is_empty() && ran < study.steps_planned as usize {
        parts.push(format!("{} of {} steps", study.steps_planned as usize - ran, study.steps_planned));
    }
    (!parts.is_empty()).then(|| format!("{}: {}", parts.join("; "), study.ended))
}

fn answers(study: &StudyResult, page: &Page) -> String {
    // The comparison has the ceiling and the rate in its own rows.
    let is_said = |q: Question| q != Question::Saturation || study.comparison.is_empty();
    let answers = study.analysis.answers.iter().filter(|a| is_said(a.question));
    answers.map(|a| page.labelled(label(a.question), &a.text)).collect()
}

/// What a question is about, in a word.
pub(in crate::report) fn label(question: Question) -> &'static str {
    match question {
        Question::UnderLoad => "load",
        Question::Saturation => "saturates",
        Question::Why => "why",
        Question::Next => "next",
    }
}

/// The comparison as a table, or as lines where that is too wide.
fn compared(study: &StudyResult, page: &Page) -> String {
    let table = comparison(study);
    if table.width() <= page.width {
        return table.render(page.style, page.width);
    }
    let line = |c: &Comparison| wrapped(&format!("{}: {}; in the experiment {}", c.what, c.here, c.experiment), 2, page.width);
    study.comparison.iter().map(line).collect()
}

pub(in crate::report) fn comparison(study: &StudyResult) -> Table {
    let left = Align::Left;
    let mut t = Table::new([("", left), ("experiment", left), ("here", left)]).indented(2);
    for c in &study.comparison {
        t.row([c.what.clone().into(), c.experiment.clone().into(), c.here.clone().into()]);
    }
    t
}

/// The endpoints with a column: the slowest of the last step, in the order of the mix.
fn shown(study: &StudyResult) -> Vec<String> {
    let Some(last) = study.steps.last() else { return Vec::new() };
    let mut order = slowest(last, ENDPOINTS);
    order.order_by(Ord::cmp);
    order.into_iter().map(|i| last.endpoints[i].name.clone()).collect()
}

/// Columns of the table over the steps.
#[derive(Debug, Clone, Copy)]
struct Columns {
    /// rates, failures, CPU, ports
    figures: bool,
    /// percentiles of each endpoint
    times: bool,
}

/// One table over the steps; where it is too wide, the figures and the times in tables of their own.
fn steps(study: &StudyResult, page: &Page) -> String {
    let all = Columns { figures: true, times: true };
    let whole = step_table(study, all);
    let mut out = if whole.width() <= page.width {
        whole.render(page.style, page.width)
    } else {
        let figures = step_table(study, Columns { times: false, ..all });
        let times = step_table(study, Columns { figures: false, ..all });
        format!("{}\n{}", figures.render(page.style, page.width), times.render(page.style, page.width))
    };
    for note in notes(study) {
        for line in wrapped(&note, 2, page.width).lines() {
            out += &format!("{}\n", page.style.paint(Tone::Faint, line));
        }
    }
    out
}

fn step_table(study: &StudyResult, show: Columns) -> Table {
    let rows = &study.analysis.rows;
    let endpoints = if show.times { shown(study) } else { Vec::new() };
    let open = study.steps.iter().any(|s| s.plan.is_open_loop());
    let with_ports = show.figures && rows.iter().any(|r| used_share(r).is_some_and(|s| s >= PORTS_SHARE));
    let users: Option<Vec<String>> = rows.iter().map(|r| r.kind.as_ref()?.users()).collect();
    let right = Align::Right;
    let mut columns = vec![if users.is_none() { ("step".to_owned(), Align::Left) } else { ("users".to_owned(), right) }];
    if show.figures {
        let asked = if open { "asked" } else { "ideal" };
        columns.extend(["req/s", asked, "failed"].map(|head| (head.to_owned(), right)));
    }
    let names = shortened_apart(&endpoints, NAME_WIDTH);
    columns.extend(names.into_iter().map(|name| (name, right)));
    columns.extend(show.figures.then(|| ("CPU t/c/h".to_owned(), right)));
    columns.extend(with_ports.then(|| ("ports".to_owned(), right)));
    let mut t = Table::with_columns(columns).indented(2);
    let names = users.unwrap_or_else(|| rows.iter().map(|r| r.label.clone()).collect());
    for ((row, run), name) in rows.iter().zip(&study.steps).zip(names) {
        let mut cells = vec![Cell::from(name)];
        let ([rates, cpu, ports], times) = (figures(row), times(row, run, &endpoints));
        if show.figures {
            cells.extend(rates);
        }
        cells.extend(times);
        if show.figures {
            cells.extend(cpu);
        }
        if with_ports {
            cells.extend(ports);
        }
        t.row_of(cells);
    }
    t
}

/// What the columns mean.
fn notes(study: &StudyResult) -> Vec<String> {
    let rows = &study.analysis.rows;
    let mut notes = vec!["endpoints: p50/p95 ms; CPU: target and client in % of a core, host in % of all".to_owned()];
    if study.steps.iter().all(|s| !s.plan.is_open_loop()) {
        notes.push("ideal: req/s without a queue: users / (think + response of the quickest step)".into());
    }
    let whole: Vec<&str> = rows.iter().filter(|r| r.steady_rps.is_none()).map(|r| r.label.as_str()).collect();
    if !whole.is_empty() && whole.len() < rows.len() {
        notes.push(format!("req/s {}: of the whole step with its ramp; else from the end of the ramp on", whole.join(", ")));
    }
    // Where nothing was answered there is no time to mark.
    if rows.iter().any(|r| r.is_censored && r.response_mean_s.is_some()) {
        notes.push("*: of the answered requests only, see careful".into());
    }
    let hidden = study.steps.last().map_or(0, |s| s.endpoints.len() - shown(study).len());
    if hidden > 0 {
        notes.push(format!("{hidden} quicker endpoints are left out"));
    }
    notes
}

/// Rates and failures; CPU; ports.
fn figures(r: &StepRow) -> [Vec<Cell>; 3] {
    let failed = r.failures + r.local_failures;
    let whole = |v: Option<f64>| or_dash(v, |v| number(v.round()));
    let expected = or_dash(r.expected_rps, rate).into();
    let rates = vec![rate(r.steady_rps.unwrap_or(r.rps)).into(), expected, Cell::failures(failed)];
    let cpu = [r.target_cpu_percent, r.client_cpu_percent, r.host_cpu_percent].map(whole).join("/");
    [rates, vec![cpu.into()], vec![or_dash(used_share(r), share).into()]]
}

/// p50 and p95 of each endpoint.
fn times(r: &StepRow, run: &RunResult, endpoints: &[String]) -> Vec<Cell> {
    let pair = |name: &String| {
        let latency = run.endpoints.iter().find(|e| e.name == *name).and_then(|e| e.latency_ms);
        let mark = if r.is_censored { CENSORED } else { "" };
        Cell::from(or_dash(latency, |l| format!("{}/{}{mark}", ms(l.p50), ms(l.p95))))
    };
    endpoints.iter().map(pair).collect()
}

fn used_share(r: &StepRow) -> Option<f64> {
    r.peak_ports.zip(r.pool).filter(|(_, pool)| *pool > 0).map(|(peak, pool)| f64::from(peak) / f64::from(pool))
}

/// What makes figures doubtful, and the findings that the answers do not name.
pub(in crate::report) fn careful(study: &StudyResult) -> Vec<String> {
    let rows = &study.analysis.rows;
    let mut all = Vec::new();
    let others = || rows.iter().filter_map(|r| r.others_cpu_percent).filter(|o| *o >= OTHERS_NAMED_PERCENT);
    if let (Some(least), Some(most)) = (others().reduce(f64::min), others().reduce(f64::max)) {
        let (least, most) = (percent(least), percent(most));
        let range = if least == most { most } else { format!("{least} to {most}") };
        all.push(format!("other programs took {range} of all cores: part of the times is theirs"));
    }
    let censored: Vec<String> =
        rows.iter().filter(|r| r.is_censored).map(|r| format!("{} {}", share(r.unanswered_share), r.place())).collect();
    if !censored.is_empty() {
        let list = censored.join(", ");
        all.push(format!("requests that failed, or were in flight at the end: {list}; times are those of the rest"));
    }
    let mut named: Vec<FindingId> = study.analysis.answers.iter().filter_map(|a| a.finding).collect();
    for (row, step) in rows.iter().zip(&study.steps) {
        if step.validity.stamp == RunStamp::Incomplete
            && let Some((doubt, reason)) = step.validity.doubts().next()
        {
            all.push(format!("incomplete {}: {reason}", row.place()));
            named.extend(if let Some(Doubt::Finding(id)) = doubt { Some(id) } else { None });
        }
    }
    let grave = rows.iter().zip(&study.steps).flat_map(|(row, s)| s.findings.iter().map(move |f| (row, f)));
    let further = grave
        .filter(|(_, f)| f.severity != Severity::Info && f.caused_by.is_empty())
        .filter(|(_, f)| {
            let is_new = !named.contains(&f.id);
            named.push(f.id);
            is_new
        })
        .map(|(row, f)| format!("{}: {}", row.label, f.title));
    all.extend(further.take(FINDINGS));
    all
}
