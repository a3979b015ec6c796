//! The charts over time, of a run or of all steps of a study: requests per second, response times by endpoint, users, CPU.

use super::endpoint_times::EndpointTimes;
use super::{Axis, AxisSide, Chart, Color, Marker, Points, Reference, ScaleKind, Series, Shape, Span};
use crate::model::figures::{self, counted, seconds};
use crate::model::result::{RunResult, SeriesPoint};
use crate::report::slowest;

/// Colours of endpoints, the slowest first.
pub(super) const ENDPOINT_COLORS: [Color; 3] = [Color::Vermillion, Color::Orange, Color::Blue];

/// One run of a study, in its place.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// what the step is called: `10 users`
    pub label: &'a str,
    /// its result
    pub run: &'a RunResult,
    /// its endpoints second by second
    pub times: &'a EndpointTimes,
}

/// The charts with the names of their files, without a suffix.
pub fn run_charts(run: &RunResult, times: &EndpointTimes) -> [(&'static str, Chart); 4] {
    study_charts(&[Step { label: "", run, times }])
}

/// The same over all steps, one after another on one time axis; the cool-downs between them are left out.
pub fn study_charts(steps: &[Step<'_>]) -> [(&'static str, Chart); 4] {
    [
        ("rps", rps_chart(steps)),
        ("response-times", latency_chart(steps)),
        ("users", users_chart(steps)),
        ("cpu", cpu_chart(steps)),
    ]
}

/// Attempts/s, failures/s and the ports used of the pool on one time axis: an exhaustion, as it comes and goes.
pub fn ports_chart(run: &RunResult) -> Chart {
    let steps = [Step { label: "", run, times: &EndpointTimes::default() }];
    let mut chart = empty(&steps, "Ports run out", "per second");
    chart.spans.clear();
    chart.right = Some(Axis::linear("ports used"));
    let used = |p: &SeriesPoint| p.ports_used.map(f64::from);
    let name =
        if run.series.iter().any(|p| p.ports_used.is_none()) { "ports used, dashed where not counted" } else { "ports used" };
    chart.series.push(Series::line(name, Color::Grey, points(&steps, used)).on_right().shaped(Shape::Area).joined());
    chart.series.push(Series::line("attempts/s", Color::Blue, points(&steps, |p| Some(p.attempts_per_s))));
    let failed = |p: &SeriesPoint| Some(p.failures_per_s + p.local_failures_per_s);
    chart.series.push(Series::line("failures/s", Color::Vermillion, points(&steps, failed)));
    if let Some(ports) = &run.ports {
        if let Some(pool) = ports.pool {
            chart.references.push(Reference {
                value: f64::from(pool),
                side: AxisSide::Right,
                label: format!("pool: {}", counted(pool, "port")),
            });
        }
        if let Some(hold) = ports.hold_s.filter(|h| *h < run.duration_s) {
            chart.markers.push(Marker { x: hold, label: format!("T = {}", figures::hold(hold)) });
        }
    }
    if let Some(first) = run.totals.local_failure_spans.first() {
        chart.markers.push(Marker { x: first.from_s, label: format!("first failure, {}", seconds(first.from_s)) });
    }
    chart
}

pub(super) fn rps_chart(steps: &[Step<'_>]) -> Chart {
    let mut chart = empty(steps, "Total requests per second", "per second");
    let local = steps.iter().any(|s| s.run.totals.local_failures > 0);
    let failures = if local { "failures/s, this machine's included" } else { "failures/s" };
    chart.series.push(Series::line("requests/s", Color::Blue, points(steps, |p| Some(p.rps))).shaped(Shape::Area));
    let failed = |p: &SeriesPoint| Some(p.failures_per_s + p.local_failures_per_s);
    chart.series.push(Series::line(failures, Color::Vermillion, points(steps, failed)));
    chart
}

/// p50 (solid) and p95 (dashed) of each of the slowest endpoints: a percentile over the mix would move with the mix.
pub(super) fn latency_chart(steps: &[Step<'_>]) -> Chart {
    let mut chart = empty(steps, "Response times by endpoint, p50 and p95 (dashed)", "ms");
    chart.left.scale = ScaleKind::Log;
    let Some(last) = steps.last().map(|s| s.run) else { return chart };
    for (index, color) in slowest(last, ENDPOINT_COLORS.len()).into_iter().zip(ENDPOINT_COLORS) {
        let name = &last.endpoints[index].name;
        let points = |figure: fn((f64, f64)) -> f64| {
            let mut all = Vec::new();
            let mut offset = 0.0;
            for step in steps {
                if let Some(at) = step.run.endpoints.iter().position(|e| e.name == *name) {
                    // The last second may reach beyond the step.
                    let inside = step.times.points(at, figure).filter(|(t, _)| *t <= step.run.duration_s);
                    all.extend(inside.map(|(t, v)| (offset + t, v)));
                }
                offset += step.run.duration_s;
                all.push((offset, None));
            }
            all
        };
        chart.series.push(Series::line(name.as_str(), color, points(|t| t.0)));
        chart.series.push(Series::line("", color, points(|t| t.1)).shaped(Shape::Dashed));
    }
    chart
}

/// CPU of target and client in per cent of a core, of the host in per cent of all.
pub(super) fn cpu_chart(steps: &[Step<'_>]) -> Chart {
    let of = |column: fn(&SeriesPoint) -> Option<f64>| points(steps, column);
    let each = [of(|p| p.host_cpu_percent), of(|p| p.target_cpu_percent), of(|p| p.client_cpu_percent)];
    empty(steps, "CPU", "% of a core").with_load("% of all cores", each)
}

pub(super) fn users_chart(steps: &[Step<'_>]) -> Chart {
    let mut chart = empty(steps, "Number of users", "users");
    let asked = |p: &SeriesPoint| Some(f64::from(p.users_asked));
    let differ = steps.iter().flat_map(|s| &s.run.series).any(|p| p.users_asked != p.users);
    if differ {
        chart.series.push(Series::line("asked for", Color::Grey, points(steps, asked)).shaped(Shape::Dashed));
    }
    let users = if differ { "active: started and not paused" } else { "users" };
    chart.series.push(Series::line(users, Color::Green, points(steps, |p| Some(f64::from(p.users)))));
    chart
}

pub(super) fn empty(steps: &[Step<'_>], title: &str, unit: &str) -> Chart {
    let mut chart = Chart::over_time(title, Axis::linear(unit));
    chart.subtitle = subtitle(steps);
    let mut from = 0.0;
    for step in steps {
        let to = from + step.run.duration_s;
        chart.spans.push(Span { from, to, label: step.label.to_owned() });
        from = to;
    }
    chart
}

fn subtitle(steps: &[Step<'_>]) -> String {
    let Some(first) = steps.first() else { return String::new() };
    let plan = &first.run.plan;
    let load = if steps.len() == 1 { counted(u64::from(plan.users), "user") } else { counted(steps.len() as u64, "step") };
    let (min, max) = (plan.think.min.as_millis(), plan.think.max.as_millis());
    let think = match (min, max) {
        (0, 0) => "no think time".to_owned(),
        (min, max) if min == max => format!("think time {min} ms"),
        _ => format!("think time {min} to {max} ms"),
    };
    let differ = steps.iter().any(|s| s.run.plan.keepalive != plan.keepalive);
    let kept = match (differ, plan.keepalive) {
        (true, _) => "a connection per request or kept, by step",
        (false, true) => "connections kept",
        (false, false) => "a connection per request",
    };
    format!("{}, {load}, {think}, {kept}, {}", plan.target.url, first.run.started_at)
}

/// One column of all steps on the common time axis, with a gap between steps. A point lies in the middle of its
/// second.
pub(super) fn points(steps: &[Step<'_>], column: impl Fn(&SeriesPoint) -> Option<f64>) -> Points {
    let mut all = Vec::new();
    let mut offset = 0.0;
    for step in steps {
        let mut from = 0.0;
        for point in &step.run.series {
            all.push((offset + f64::midpoint(from, point.t_s), column(point)));
            from = point.t_s;
        }
        offset += step.run.duration_s;
        all.push((offset, None));
    }
    all
}
