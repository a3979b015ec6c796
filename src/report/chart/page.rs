//! The charts of a page: all of them over one time axis with what happened marked in each, then how latencies spread.

use super::endpoint_times::EndpointTimes;
use super::moments::{Moments, moments};
use super::over_time::{Step, cpu_chart, empty, latency_chart, points, rps_chart, users_chart};
use super::{Axis, AxisSide, Chart, Color, Marker, Reference, ScaleKind, Series, Shape};
use crate::model::comparison::Comparison;
use crate::model::figures::{count, rate, seconds};
use crate::model::order::Order as _;
use crate::model::result::{Endpoint, LatencyMs, RunResult, SeriesPoint};
use crate::model::time::per_second;

/// A chart and what its page needs beside it. The chart's subtitle is a side remark.
#[derive(Debug, Clone, PartialEq)]
pub struct PageChart {
    /// unique in a page; letters and hyphens
    pub id: &'static str,
    /// what is drawn
    pub chart: Chart,
    /// why there is nothing to draw, where there is nothing
    pub missing: String,
}

/// A limit is drawn where it is at most this many times as high as the curves: higher ones would flatten them.
const LIMIT_TIMES: f64 = 4.0;
/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;
/// All charts of one run.
pub fn page_charts(run: &RunResult, times: &EndpointTimes) -> Vec<PageChart> {
    let mut charts = time_charts(&[Step { label: "", run, times }]);
    charts.push(heat(run, times));
    charts.push(distribution(run));
    charts
}

/// The charts over time of all steps, one after another.
pub fn time_charts(steps: &[Step<'_>]) -> Vec<PageChart> {
    let memory = memory_chart(steps);
    let all = [
        ("requests", requests_chart(steps), "series"),
        ("response-times", percentile_chart(steps), "series[].p50_ms"),
        ("endpoints", Chart { subtitle: String::new(), ..latency_chart(steps) }, ""),
        ("users", Chart { subtitle: String::new(), ..users_chart(steps) }, "series"),
        ("ports", ports_over_time(steps), "series[].ports_used"),
        ("connections", connections_chart(steps), "series"),
        ("connect-time", connect_chart(steps), "series[].connect_p50_us"),
        ("cpu", Chart { subtitle: String::new(), ..cpu_chart(steps) }, "series[].client_cpu_percent"),
        ("memory", memory, "series[].client_rss_bytes"),
    ];
    let mut moments_of_all = Moments::default();
    let mut offset = 0.0;
    for step in steps {
        let of = moments(step.run, offset);
        moments_of_all.markers.extend(of.markers);
        moments_of_all.alarms.extend(of.alarms);
        offset += step.run.duration_s;
    }
    let finish = |(id, mut chart, key): (&'static str, Chart, &str)| {
        chart.x.max = Some(offset);
        name_missing(&mut chart);
        chart.markers.extend(moments_of_all.markers.iter().cloned());
        chart.alarms.clone_from(&moments_of_all.alarms);
        let missing = if id == "endpoints" { NO_SECONDS.to_owned() } else { reason(steps, key) };
        PageChart { id, chart, missing }
    };
    all.into_iter().map(finish).collect()
}

/// A curve without any value leaves the legend, and is named: silence never reads as zero.
fn name_missing(chart: &mut Chart) {
    let is_missing = |s: &Series| !s.name.is_empty() && s.points.iter().all(|p| p.1.is_none());
    let missing: Vec<&str> = chart.series.iter().filter(|s| is_missing(s)).map(|s| s.name.as_str()).collect();
    if missing.is_empty() || missing.len() == chart.series.len() {
        return;
    }
    let text = format!("{}: not measured", missing.join(", "));
    chart.subtitle = if chart.subtitle.is_empty() { text } else { format!("{}; {text}", chart.subtitle) };
    chart.series.retain(|s| !is_missing(s));
}

/// Where the seconds by endpoint would be.
const NO_SECONDS: &str = "latencies by second are in run.hlog, which is not beside run.json";

/// Why `key` is null in all steps.
fn reason(steps: &[Step<'_>], key: &str) -> String {
    let row = steps.iter().flat_map(|s| &s.run.unavailable).find(|u| u.key == key || (key.contains("ports") && u.key == "ports"));
    row.map_or_else(|| "not recorded in this run".to_owned(), |u| u.reason.clone())
}

/// An empty chart over time; what it is over stands elsewhere in a page.
fn blank(steps: &[Step<'_>], title: &str, unit: &str) -> Chart {
    Chart { subtitle: String::new(), ..empty(steps, title, unit) }
}

fn requests_chart(steps: &[Step<'_>]) -> Chart {
    Chart { title: "Requests and failures per second".into(), subtitle: String::new(), ..rps_chart(steps) }
}

fn percentile_chart(steps: &[Step<'_>]) -> Chart {
    let mut chart = blank(steps, "Response times of all requests", "ms");
    let several = steps.iter().any(|s| s.run.endpoints.len() > 1);
    if several {
        chart.subtitle = "over all endpoints: these move with the mix".into();
    }
    chart.with_percentiles([points(steps, |p| p.p99_ms), points(steps, |p| p.p95_ms), points(steps, |p| p.p50_ms)])
}

/// Source ports with a socket, in TIME_WAIT, the pool, and the forecast up to the end of the time in which nothing connects.
fn ports_over_time(steps: &[Step<'_>]) -> Chart {
    let mut chart = blank(steps, "Source ports with a socket", "ports");
    if let [step] = steps
        && !step.run.destinations.is_empty()
    {
        return by_destination(chart, step.run);
    }
    let used = points(steps, |p| p.ports_used.map(f64::from));
    let most = used.iter().filter_map(|p| p.1).fold(0.0, f64::max);
    chart.series.push(Series::line("with a socket", Color::Blue, used).shaped(Shape::Area).joined());
    chart.series.push(Series::line("in TIME_WAIT", Color::Orange, points(steps, |p| p.time_wait.map(f64::from))).joined());
    if let Some(pool) = steps.iter().find_map(|s| s.run.ports.as_ref()?.pool) {
        limit(&mut chart, f64::from(pool), most, &format!("pool: {} ports", count(pool)));
    }
    let [step] = steps else { return chart };
    let Some(ports) = &step.run.ports else { return chart };
    let end = step.run.duration_s;
    if let (Some(pool), Some(f)) = (ports.pool.map(f64::from), ports.forecast.as_ref().filter(|f| f.exhausted_at_s <= end)) {
        let dead_until = (f.exhausted_at_s + f.dead_s).min(end);
        let course = [(0.0, f64::from(ports.leftover_before.unwrap_or(0))), (f.exhausted_at_s, pool), (dead_until, pool)];
        let course = course.into_iter().map(|(x, y)| (x, Some(y))).collect();
        chart.series.push(Series::line("forecast", Color::Grey, course).shaped(Shape::Dashed));
        let again = f.echo_s.iter().filter(|t| **t < end);
        chart.markers.extend(again.map(|t| Marker { x: *t, label: "forecast: run out again".into() }));
    }
    chart
}

/// A curve for each destination, whose pools are apart: a pool of one size is drawn.
fn by_destination(mut chart: Chart, run: &RunResult) -> Chart {
    const COLORS: [Color; 5] = [Color::Vermillion, Color::Blue, Color::Orange, Color::Green, Color::Grey];
    let mut most = 0.0_f64;
    let mut pools: Vec<u32> = run.destinations.iter().filter_map(|part| part.ports.as_ref()?.pool).collect();
    for (part, color) in run.destinations.iter().zip(COLORS.into_iter().cycle()) {
        let step = Step { label: "", run: part, times: &EndpointTimes::default() };
        let used = points(&[step], |p| p.ports_used.map(f64::from));
        most = used.iter().filter_map(|p| p.1).fold(most, f64::max);
        chart.series.push(Series::line(format!("to {}", part.plan.target.authority), color, used).joined());
    }
    pools.dedup();
    if let [pool] = pools[..] {
        limit(&mut chart, f64::from(pool), most, &format!("pool of each: {} ports", count(pool)));
    }
    chart
}

/// Connections opened, with the rate that the pool sustains.
fn connections_chart(steps: &[Step<'_>]) -> Chart {
    let mut chart = blank(steps, "New connections", "per second");
    let (mut all, mut offset, mut most) = (Vec::new(), 0.0, 0.0_f64);
    for step in steps {
        let mut from = 0.0;
        for p in &step.run.series {
            let opened = per_second(p.connects, p.t_s - from);
            most = most.max(opened);
            all.push((offset + f64::midpoint(from, p.t_s), Some(opened)));
            from = p.t_s;
        }
        offset += step.run.duration_s;
        all.push((offset, None));
    }
    chart.series.push(Series::line("connections/s", Color::Green, all).shaped(Shape::Area));
    let ports = steps.iter().find_map(|s| s.run.ports.as_ref());
    if let Some((ports, ceiling)) = ports.and_then(|p| Some((p, p.ceiling_cps?))) {
        let hold = ports.hold_s.map_or_else(String::new, |h| format!(", each port in use for {}", seconds(h)));
        limit(&mut chart, ceiling, most, &format!("sustained: {}/s", rate(ceiling)));
        chart.subtitle = format!("the ports sustain {}/s{hold}", rate(ceiling));
    }
    chart
}

/// A line where it does not flatten the curves, else a remark.
fn limit(chart: &mut Chart, value: f64, most: f64, label: &str) {
    if value <= most * LIMIT_TIMES {
        chart.references.push(Reference { value, side: AxisSide::Left, label: label.to_owned() });
    } else {
        label.clone_into(&mut chart.subtitle);
    }
}

fn connect_chart(steps: &[Step<'_>]) -> Chart {
    let mut chart = blank(steps, "Duration of connect()", "us");
    chart.left.scale = ScaleKind::Log;
    chart.series.push(Series::line("p95", Color::Orange, points(steps, |p| p.connect_p95_us)));
    chart.series.push(Series::line("mean", Color::Sky, points(steps, |p| p.connect_mean_us)).shaped(Shape::Dashed));
    chart.series.push(Series::line("p50", Color::Blue, points(steps, |p| p.connect_p50_us)));
    chart
}

fn memory_chart(steps: &[Step<'_>]) -> Chart {
    let mib = |column: fn(&SeriesPoint) -> Option<u64>| points(steps, move |p| column(p).map(|b| b as f64 / MIB));
    let each = [points(steps, |p| p.host_memory_percent), mib(|p| p.target_rss_bytes), mib(|p| p.client_rss_bytes)];
    blank(steps, "Memory", "MiB").with_load("% of host", each)
}

/// A heat map of all answered requests.
fn heat(run: &RunResult, times: &EndpointTimes) -> PageChart {
    let mut chart = Chart::over_time("Latencies of all requests over time", Axis::log("ms"));
    chart.subtitle = "the stronger the colour, the more requests took so long".into();
    chart.cells = times.heat(run.duration_s);
    chart.x.max = Some(run.duration_s);
    chart.markers = moments(run, 0.0).markers;
    let none = run.totals.latency_ms.is_none();
    PageChart { id: "heat-map", chart, missing: if none { "no request was answered".into() } else { NO_SECONDS.into() } }
}

/// Each endpoint's percentiles over the share of its requests.
fn distribution(run: &RunResult) -> PageChart {
    let of = |e: &Endpoint| e.latency_ms.map(|latency| (e.name.clone(), latency, e.requests - e.failures.min(e.requests)));
    let mut curves: Vec<_> = run.endpoints.iter().filter_map(of).collect();
    curves.order_by(|a, b| b.1.p95.total_cmp(&a.1.p95));
    spread(&curves)
}

/// Each step's percentiles over the share of its requests.
pub fn step_distribution(steps: &[Step<'_>]) -> PageChart {
    let of = |s: &Step<'_>| {
        let t = &s.run.totals;
        t.latency_ms.map(|latency| (s.label.to_owned(), latency, t.requests - t.failures.min(t.requests)))
    };
    spread(&steps.iter().filter_map(of).collect::<Vec<_>>())
}

/// The percentiles of all sides of a comparison, one over the other.
pub fn compared_distribution(comparison: &Comparison) -> PageChart {
    let mut chart = by_percentile();
    let sides = std::iter::once(&comparison.base).chain(comparison.pairs.iter().map(|pair| &pair.side));
    for (side, color) in sides.zip(Color::CYCLE) {
        let points = side.percentiles.iter().map(|p| (p.share, Some(p.ms))).collect();
        chart.series.push(Series::line(side.name.as_str(), color, points));
    }
    name_missing(&mut chart);
    PageChart { id: "percentiles", chart, missing: "no side has latencies".into() }
}

fn by_percentile() -> Chart {
    let x = Axis { label: "percent of requests".into(), scale: ScaleKind::Nines, max: None };
    Chart::over("Latency by percentile", x, Axis::log("ms"))
}

/// Percentiles that fewer requests than they need would repeat are left out.
fn spread(curves: &[(String, LatencyMs, u64)]) -> PageChart {
    let mut chart = by_percentile();
    for ((name, latency, answers), color) in curves.iter().zip(Color::CYCLE) {
        let points = latency.supported_by(*answers).map(|(share, ms)| (share, Some(ms))).collect();
        chart.series.push(Series::line(name.as_str(), color, points));
    }
    let hidden = curves.len().saturating_sub(Color::CYCLE.len());
    if hidden > 0 {
        chart.subtitle = format!("{hidden} quicker ones are left out");
    }
    PageChart { id: "percentiles", chart, missing: "no request was answered".into() }
}
