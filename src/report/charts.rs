//! The three charts of a run or of all steps of a study: requests per second, response times, users; over time.

use super::chart::{Axis, Chart, Color, Marker, Reference, Series, Shape, Side, Span};
use crate::model::figures::counted;
use crate::model::result::{RunResult, SeriesPoint};

/// One run of a study, in its place.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// what the step is called: `10 users`
    pub label: &'a str,
    /// what it came to
    pub run: &'a RunResult,
}

/// The charts with the names of their files, without a suffix.
pub fn run_charts(run: &RunResult) -> [(&'static str, Chart); 3] {
    study_charts(&[Step { label: "", run }])
}

/// The same over all steps, one after another on one time axis; the cool-downs between them are left out.
pub fn study_charts(steps: &[Step<'_>]) -> [(&'static str, Chart); 3] {
    [("rps", rps_chart(steps)), ("response-times", latency_chart(steps)), ("users", users_chart(steps))]
}

/// Attempts/s, failures/s and the ports used of the pool on one time axis: an exhaustion, as it comes and goes.
pub fn ports_chart(run: &RunResult) -> Chart {
    let steps = [Step { label: "", run }];
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
            chart.references.push(Reference { value: f64::from(pool), side: Side::Right, label: format!("pool: {pool} ports") });
        }
        if let Some(hold) = ports.hold_s.filter(|h| *h < run.duration_s) {
            chart.markers.push(Marker { x: hold, label: format!("T = {hold:.0} s") });
        }
    }
    if let Some(first) = run.totals.local_failure_spans.first() {
        chart.markers.push(Marker { x: first.from_s, label: format!("first failure, {:.1} s", first.from_s) });
    }
    chart
}

fn rps_chart(steps: &[Step<'_>]) -> Chart {
    let mut chart = empty(steps, "Total requests per second", "per second");
    let local = steps.iter().any(|s| s.run.totals.local_failures > 0);
    let failures = if local { "failures/s, this machine's included" } else { "failures/s" };
    chart.series.push(Series::line("requests/s", Color::Blue, points(steps, |p| Some(p.rps))).shaped(Shape::Area));
    let failed = |p: &SeriesPoint| Some(p.failures_per_s + p.local_failures_per_s);
    chart.series.push(Series::line(failures, Color::Vermillion, points(steps, failed)));
    chart
}

fn latency_chart(steps: &[Step<'_>]) -> Chart {
    let mut chart = empty(steps, "Response times (ms)", "ms");
    chart.series.push(Series::line("50th percentile", Color::Blue, points(steps, |p| p.p50_ms)));
    chart.series.push(Series::line("95th percentile", Color::Orange, points(steps, |p| p.p95_ms)));
    chart
}

fn users_chart(steps: &[Step<'_>]) -> Chart {
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

fn empty(steps: &[Step<'_>], title: &str, unit: &str) -> Chart {
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
fn points(steps: &[Step<'_>], column: impl Fn(&SeriesPoint) -> Option<f64>) -> Vec<(f64, Option<f64>)> {
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
