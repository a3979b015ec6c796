//! Charts of a study against its users: the rate beside the closed loop's prediction, and each endpoint's percentiles.

use super::over_time::{ENDPOINT_COLORS, slowest};
use super::{Axis, AxisSide, Chart, Color, Marker, Reference, ScaleKind, Series, Shape};
use crate::model::figures::{rate, share};
use crate::model::order::Order as _;
use crate::model::study::{CeilingKind, SaturationKind, StepRow, StudyResult};

/// Requests per second against users, with the closed loop's line and the lowest known ceiling; none for open loops and
/// for studies whose users did not change.
pub fn throughput(study: &StudyResult) -> Option<Chart> {
    let mut chart = empty(study, "Throughput", "requests/s")?;
    let rows = &study.analysis.rows;
    let points = |f: &dyn Fn(usize) -> Option<f64>| {
        let mut all: Vec<(f64, Option<f64>)> = (0..rows.len()).map(|i| (f64::from(rows[i].users), f(i))).collect();
        all.order_by(|a, b| a.0.total_cmp(&b.0));
        all
    };
    let predicted = points(&|i| rows[i].expected_rps);
    chart.series.push(Series::line("ideal: users / (think + quickest response)", Color::Grey, predicted).shaped(Shape::Dashed));
    let measured = points(&|i| Some(rows[i].steady_rps.unwrap_or(rows[i].rps)));
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
    for (name, color) in slowest(last).into_iter().map(|i| &last.endpoints[i].name).zip(ENDPOINT_COLORS) {
        let points = |figure: fn(&crate::model::result::LatencyMs) -> f64| {
            let of = |step: &crate::model::result::RunResult| {
                let end = step.endpoints.iter().find(|e| e.name == *name);
                (f64::from(step.plan.users), end.and_then(|e| e.latency_ms.as_ref()).map(figure))
            };
            let mut all: Vec<(f64, Option<f64>)> = study.steps.iter().map(of).collect();
            all.order_by(|a, b| a.0.total_cmp(&b.0));
            all
        };
        chart.series.push(Series::line(name.as_str(), color, points(|l| l.p50)));
        chart.series.push(Series::line("", color, points(|l| l.p95)).shaped(Shape::Dashed));
    }
    Some(chart)
}

/// Percentiles of all requests of each step against users.
pub fn percentiles_over_users(study: &StudyResult) -> Option<Chart> {
    let mut chart = empty(study, &format!("Response times of all requests{}", of_answered(study)), "ms")?;
    chart.left.scale = ScaleKind::Log;
    chart.series.push(Series::line("p99", Color::Vermillion, by_users(study, |r| r.p99_ms)));
    chart.series.push(Series::line("p95", Color::Orange, by_users(study, |r| r.p95_ms)));
    chart.series.push(Series::line("p50", Color::Blue, by_users(study, |r| r.p50_ms)));
    Some(chart)
}

/// CPU of target and client in per cent of a core, of the host in per cent of all, against users.
pub fn resources_over_users(study: &StudyResult) -> Option<Chart> {
    let mut chart = empty(study, "CPU", "% of a core")?;
    chart.right = Some(Axis { max: Some(100.0), ..Axis::linear("% of all cores") });
    chart.series.push(Series::line("host", Color::Grey, by_users(study, |r| r.host_cpu_percent)).on_right().shaped(Shape::Area));
    chart.series.push(Series::line("target", Color::Vermillion, by_users(study, |r| r.target_cpu_percent)));
    chart.series.push(Series::line("client", Color::Blue, by_users(study, |r| r.client_cpu_percent)));
    Some(chart)
}

/// `; at 100 users 34 % got no answer`: times leave these out.
fn of_answered(study: &StudyResult) -> String {
    let censored = study.analysis.rows.iter().filter(|r| r.is_censored);
    let worst = censored.max_by(|a, b| a.unanswered_share.total_cmp(&b.unanswered_share));
    worst.map_or_else(String::new, |r| format!("; {} {} got no answer", r.place(), share(r.unanswered_share)))
}

/// A column of the steps, in rising order of users.
fn by_users(study: &StudyResult, column: fn(&StepRow) -> Option<f64>) -> Vec<(f64, Option<f64>)> {
    let mut all: Vec<(f64, Option<f64>)> = study.analysis.rows.iter().map(|r| (f64::from(r.users), column(r))).collect();
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
