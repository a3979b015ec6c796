//! Charts of a study against its users: the rate beside the closed loop's prediction, and each endpoint's percentiles.

use super::over_time::ENDPOINT_COLORS;
use super::{Axis, AxisSide, Chart, Color, Marker, Points, Reference, ScaleKind, Series, Shape};
use crate::model::figures::{rate, share};
use crate::model::order::Order as _;
use crate::model::result::{LatencyMs, RunResult};
use crate::model::study::{CeilingKind, SaturationKind, StepRow, StudyResult};
use crate::report::slowest;

/// Requests per second against users, with the closed loop's line and the lowest known ceiling; none for open loops and
/// for studies whose users did not change.
pub fn throughput(study: &StudyResult) -> Option<Chart> {
    let mut chart = empty(study, "Throughput", "requests/s")?;
    let predicted = by_users(study, |r| r.expected_rps);
    chart.series.push(Series::line("ideal: users / (think + quickest response)", Color::Grey, predicted).shaped(Shape::Dashed));
    let measured = by_users(study, |r| Some(r.steady_rps.unwrap_or(r.rps)));
    chart.series.push(Series::line("measured", Color::Blue, measured.clone()));
    chart.series.push(Series::line("", Color::Blue, measured).shaped(Shape::Dots));
    if let Some(c) = &study.analysis.ceiling {
        let name = match c.kind {
            CeilingKind::Cpu => "CPU",
            CeilingKind::Workers => "workers",
            CeilingKind::Ports => "ports",
        };
        let label = format!("ceiling by {name}: {}/s", rate(c.rps));
        chart.references.push(Reference { value: c.rps, side: AxisSide::Left, label });
    }
    if let Some(s) = &study.analysis.saturation {
        let label = match s.kind {
            SaturationKind::Flat => "saturated",
            SaturationKind::Bends => "slows down",
        };
        chart.markers.push(Marker { x: f64::from(s.users), label: label.into() });
    }
    Some(chart)
}

/// p50 (solid) and p95 (dashed) of the slowest endpoints against users.
pub fn response_times(study: &StudyResult) -> Option<Chart> {
    let mut chart = empty(study, &format!("Response times by endpoint, p50 and p95 (dashed){}", of_answered(study)), "ms")?;
    chart.left.scale = ScaleKind::Log;
    let last = study.steps.last()?;
    for (name, color) in slowest(last, ENDPOINT_COLORS.len()).into_iter().map(|i| &last.endpoints[i].name).zip(ENDPOINT_COLORS) {
        let points = |figure: fn(&LatencyMs) -> f64| {
            let of = |step: &RunResult| {
                let end = step.endpoints.iter().find(|e| e.name == *name);
                (f64::from(step.plan.users), end.and_then(|e| e.latency_ms.as_ref()).map(figure))
            };
            rising(study.steps.iter().map(of))
        };
        chart.series.push(Series::line(name.as_str(), color, points(|l| l.p50)));
        chart.series.push(Series::line("", color, points(|l| l.p95)).shaped(Shape::Dashed));
    }
    Some(chart)
}

/// Percentiles of all requests of each step against users.
pub fn percentiles_over_users(study: &StudyResult) -> Option<Chart> {
    let of = |column: fn(&StepRow) -> Option<f64>| by_users(study, column);
    let chart = empty(study, &format!("Response times of all requests{}", of_answered(study)), "ms")?;
    Some(chart.with_percentiles([of(|r| r.p99_ms), of(|r| r.p95_ms), of(|r| r.p50_ms)]))
}

/// CPU of target and client in per cent of a core, of the host in per cent of all, against users.
pub fn resources_over_users(study: &StudyResult) -> Option<Chart> {
    let of = |column: fn(&StepRow) -> Option<f64>| by_users(study, column);
    let each = [of(|r| r.host_cpu_percent), of(|r| r.target_cpu_percent), of(|r| r.client_cpu_percent)];
    Some(empty(study, "CPU", "% of a core")?.with_load("% of all cores", each))
}

/// `; at 100 users 34 % got no answer`: times leave these out.
fn of_answered(study: &StudyResult) -> String {
    let censored = study.analysis.rows.iter().filter(|r| r.is_censored);
    let worst = censored.max_by(|a, b| a.unanswered_share.total_cmp(&b.unanswered_share));
    worst.map_or_else(String::new, |r| format!("; {} {} got no answer", r.place(), share(r.unanswered_share)))
}

/// A column of the steps, in rising order of users.
fn by_users(study: &StudyResult, column: fn(&StepRow) -> Option<f64>) -> Points {
    rising(study.analysis.rows.iter().map(|r| (f64::from(r.users), column(r))))
}

fn rising(points: impl Iterator<Item = (f64, Option<f64>)>) -> Points {
    let mut all: Vec<_> = points.collect();
    all.order_by(|a, b| a.0.total_cmp(&b.0));
    all
}

fn empty(study: &StudyResult, title: &str, unit: &str) -> Option<Chart> {
    let rows = &study.analysis.rows;
    let rising = rows.windows(2).any(|w| w[0].users != w[1].users);
    let closed = study.steps.iter().all(|s| !s.plan.is_open_loop());
    (rising && closed).then(|| {
        let mut chart = Chart::over(title, Axis::linear("users"), Axis::linear(unit));
        let url = study.steps.first().map_or("", |s| s.plan.target.url.as_str());
        chart.subtitle = format!("study {} of {url}, {}", study.name, study.started_at);
        chart
    })
}
