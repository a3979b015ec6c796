//! Line charts as SVG: several series over one horizontal axis, one or two vertical axes, reference lines, markers
//! and labelled spans. Dark on white, a palette that the colour-blind can tell apart, no fonts measured.
//!
//! [`run_charts`] and [`study_charts`] are the charts over time, [`throughput`] and [`response_times`] those over users.
//!
//! ```
//! use sockbench::testing::report::chart::{Axis, Chart, Color, Series};
//! let mut chart = Chart::over_time("Users", Axis::linear("users"));
//! chart.series.push(Series::line("users", Color::Blue, vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(3.0))]));
//! assert!(chart.to_svg().starts_with("<svg"));
//! ```

mod endpoint_times;
mod labels;
mod over_time;
mod over_users;
mod scale;
mod series;
mod svg;

pub use endpoint_times::EndpointTimes;
pub use over_time::{Step, ports_chart, run_charts, study_charts};
pub use over_users::{response_times, throughput};
pub use scale::ScaleKind;
pub use series::{AxisSide, Color, Gaps, Series, Shape};

use labels::Ground;
use scale::Scale;
use svg::{Anchor, Font, Stroke, Svg, text_width};

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// what and in which unit
    pub label: String,
    /// how values spread
    pub scale: ScaleKind,
    /// the highest value shown; the data's when none
    pub max: Option<f64>,
}

impl Axis {
    /// From zero, in equal steps.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: ScaleKind::Linear, max: None }
    }

    /// In equal factors.
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: ScaleKind::Log, max: None }
    }
}

/// A horizontal line at a value: a limit, a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// where
    pub value: f64,
    /// on which axis
    pub side: AxisSide,
    /// what it is
    pub label: String,
}

/// A vertical line at an x: something happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Marker {
    /// when
    pub x: f64,
    /// what
    pub label: String,
}

/// A labelled stretch of the horizontal axis: a step of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// from
    pub from: f64,
    /// to
    pub to: f64,
    /// name, at the top of the stretch
    pub label: String,
}

/// A chart. All parts are public data; [`Chart::to_svg`] draws it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// first line
    pub title: String,
    /// second line; may be empty
    pub subtitle: String,
    /// the horizontal axis
    pub x: Axis,
    /// the left vertical axis
    pub left: Axis,
    /// the right one, where a series uses it
    pub right: Option<Axis>,
    /// what is drawn, the first at the back
    pub series: Vec<Series>,
    /// horizontal lines
    pub references: Vec<Reference>,
    /// vertical lines
    pub markers: Vec<Marker>,
    /// stretches
    pub spans: Vec<Span>,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 384.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 116.0;
const BOTTOM: f64 = HEIGHT - 46.0;
const TITLE: Font = Font { size: 18.0, color: "#202124", weight: 600 };
const SUBTITLE: Font = Font { size: 12.5, color: "#5f6368", weight: 400 };
const TICK: Font = Font { size: 12.0, color: "#5f6368", weight: 400 };
const LABEL: Font = Font { size: 12.0, color: "#3c4043", weight: 500 };
const LEGEND: Font = Font { size: 12.5, color: "#202124", weight: 400 };
const GRID: Stroke = Stroke { color: "#e8eaed", width: 1.0, dash: "" };
const AXIS: Stroke = Stroke { color: "#9aa0a6", width: 1.0, dash: "" };
const EDGE: Stroke = Stroke { color: "#bdc1c6", width: 1.0, dash: "3 3" };
const LIMIT: Stroke = Stroke { color: "#5f6368", width: 1.1, dash: "1.5 3.5" };

/// The three scales of a chart being drawn.
struct Scales {
    x: Scale,
    left: Scale,
    right: Option<Scale>,
    plot_right: f64,
}

impl Scales {
    fn of(&self, side: AxisSide) -> &Scale {
        match side {
            AxisSide::Left => &self.left,
            AxisSide::Right => self.right.as_ref().unwrap_or(&self.left),
        }
    }
}

impl Chart {
    /// An empty chart over seconds since the start.
    pub fn over_time(title: impl Into<String>, left: Axis) -> Self {
        let x = Axis { label: "time".into(), scale: ScaleKind::Time, max: None };
        Self::over(title, x, left)
    }

    /// An empty chart over anything.
    pub fn over(title: impl Into<String>, x: Axis, left: Axis) -> Self {
        Self {
            title: title.into(),
            subtitle: String::new(),
            x,
            left,
            right: None,
            series: Vec::new(),
            references: Vec::new(),
            markers: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// The chart as an SVG document of 960 by 384 pixels.
    pub fn to_svg(&self) -> String {
        let scales = self.scales();
        let mut svg = Svg::new(WIDTH, HEIGHT, &format!("{}. {}", self.title, self.subtitle));
        svg.text((LEFT - 40.0, 30.0), Anchor::Start, TITLE, &self.title);
        svg.text((LEFT - 40.0, 50.0), Anchor::Start, SUBTITLE, &self.subtitle);
        self.draw_legend(&mut svg);
        self.draw_spans(&mut svg, &scales);
        self.draw_axes(&mut svg, &scales);
        for series in &self.series {
            draw_series(&mut svg, series, &scales);
        }
        self.draw_limits(&mut svg, &scales);
        svg.finish()
    }

    fn scales(&self) -> Scales {
        let plot_right = WIDTH - if self.right.is_some() { 64.0 } else { 24.0 };
        let xs = self.series.iter().flat_map(|s| s.points.iter().map(|p| p.0));
        let xs: Vec<f64> =
            xs.chain(self.spans.iter().flat_map(|s| [s.from, s.to])).chain(self.markers.iter().map(|m| m.x)).collect();
        let (lo, hi) = (lowest(xs.iter().copied()), highest(xs.iter().copied()));
        let lo = if self.x.scale == ScaleKind::Time { lo.min(0.0) } else { lo };
        Scales {
            x: Scale::new(self.x.scale, lo, self.x.max.unwrap_or(hi), (LEFT, plot_right), self.x.scale == ScaleKind::Log),
            left: self.vertical(&self.left, AxisSide::Left),
            right: self.right.as_ref().map(|axis| self.vertical(axis, AxisSide::Right)),
            plot_right,
        }
    }

    fn vertical(&self, axis: &Axis, side: AxisSide) -> Scale {
        let values = self.series.iter().filter(|s| s.side == side).flat_map(|s| s.points.iter().filter_map(|p| p.1));
        let limits = self.references.iter().filter(|r| r.side == side).map(|r| r.value);
        let all: Vec<f64> =
            values.chain(limits).filter(|v| v.is_finite() && (axis.scale != ScaleKind::Log || *v > 0.0)).collect();
        let hi = axis.max.unwrap_or_else(|| highest(all.iter().copied()));
        let lo = if axis.scale == ScaleKind::Log { lowest(all.iter().copied()) } else { lowest(all.iter().copied()).min(0.0) };
        // A little air, so that the highest point does not lie on the frame.
        let hi = if axis.scale == ScaleKind::Log || axis.max.is_some() { hi } else { hi * 1.04 };
        Scale::new(axis.scale, lo, hi, (BOTTOM, TOP), true)
    }

    fn draw_legend(&self, svg: &mut Svg) {
        let mut x = LEFT - 40.0;
        for series in &self.series {
            let stroke = stroke_of(series);
            if series.name.is_empty() {
                // Another figure of the series before it, in the same colour: the title says which.
                continue;
            }
            if series.shape == Shape::Dots {
                svg.dot((x + 10.0, 70.0), 3.5, series.color.hex());
            } else {
                svg.line((x, 70.0), (x + 20.0, 70.0), Stroke { width: 2.6, ..stroke });
            }
            let name = match (series.side, &self.right) {
                (AxisSide::Right, Some(_)) => format!("{} (right)", series.name),
                _ => series.name.clone(),
            };
            svg.text((x + 26.0, 74.5), Anchor::Start, LEGEND, &name);
            x += 26.0 + text_width(&name, LEGEND.size) + 24.0;
        }
    }

    fn draw_spans(&self, svg: &mut Svg, scales: &Scales) {
        for (i, span) in self.spans.iter().enumerate() {
            let (Some(from), Some(to)) = (scales.x.px(span.from), scales.x.px(span.to)) else { continue };
            if i % 2 == 1 {
                svg.rect((from, TOP), (to - from, BOTTOM - TOP), "#f6f7f9");
            }
            if i > 0 {
                svg.line((from, TOP - 4.0), (from, BOTTOM), EDGE);
            }
            svg.label((f64::midpoint(from, to), TOP - 8.0), Anchor::Middle, LABEL, &span.label);
        }
    }

    fn draw_axes(&self, svg: &mut Svg, scales: &Scales) {
        for (value, label) in scales.left.ticks() {
            let Some(y) = scales.left.px(value) else { continue };
            svg.line((LEFT, y), (scales.plot_right, y), GRID);
            svg.text((LEFT - 8.0, y + 4.0), Anchor::End, TICK, &label);
        }
        if let Some(right) = &scales.right {
            for (value, label) in right.ticks() {
                let Some(y) = right.px(value) else { continue };
                svg.line((scales.plot_right, y), (scales.plot_right + 4.0, y), AXIS);
                svg.text((scales.plot_right + 8.0, y + 4.0), Anchor::Start, TICK, &label);
            }
        }
        for (value, label) in scales.x.ticks() {
            let Some(x) = scales.x.px(value) else { continue };
            if self.x.scale != ScaleKind::Time {
                svg.line((x, TOP), (x, BOTTOM), GRID);
            }
            svg.line((x, BOTTOM), (x, BOTTOM + 5.0), AXIS);
            svg.text((x, BOTTOM + 19.0), Anchor::Middle, TICK, &label);
        }
        svg.line((LEFT, BOTTOM), (scales.plot_right, BOTTOM), AXIS);
        svg.text((LEFT - 40.0, TOP - 14.0), Anchor::Start, LABEL, &self.left.label);
        if let Some(right) = &self.right {
            svg.text((scales.plot_right + 40.0, TOP - 14.0), Anchor::End, LABEL, &right.label);
        }
        svg.text((f64::midpoint(LEFT, scales.plot_right), BOTTOM + 37.0), Anchor::Middle, LABEL, &self.x_label(scales));
    }

    /// Reference lines and markers, then their labels, where they cover as little as may be.
    fn draw_limits(&self, svg: &mut Svg, scales: &Scales) {
        let mut ground = Ground::default();
        for series in &self.series {
            for run in runs(series, &scales.x, scales.of(series.side)) {
                ground.cover(&run);
            }
        }
        let at = |r: &Reference| scales.of(r.side).px(r.value);
        let levels: Vec<(f64, &str)> = self.references.iter().filter_map(|r| Some((at(r)?, r.label.as_str()))).collect();
        let marks: Vec<(f64, &str)> = self.markers.iter().filter_map(|m| Some((scales.x.px(m.x)?, m.label.as_str()))).collect();
        for (y, _) in &levels {
            svg.line((LEFT, *y), (scales.plot_right, *y), LIMIT);
            ground.cover(&[(LEFT, *y), (scales.plot_right, *y)]);
        }
        for (x, _) in &marks {
            svg.line((*x, TOP), (*x, BOTTOM), LIMIT);
            ground.cover(&[(*x, TOP), (*x, BOTTOM)]);
        }
        let plot = labels::Frame { left: LEFT, right: scales.plot_right, top: TOP, bottom: BOTTOM };
        for (y, text) in levels {
            svg.label(ground.place(labels::along(&plot, y, text_width(text, LABEL.size))), Anchor::Start, LABEL, text);
        }
        for (x, text) in marks {
            svg.label(ground.place(labels::beside(&plot, x, text_width(text, LABEL.size))), Anchor::Start, LABEL, text);
        }
    }

    /// The label with the unit that the ticks are in.
    fn x_label(&self, scales: &Scales) -> String {
        if self.x.scale != ScaleKind::Time {
            return self.x.label.clone();
        }
        let unit = match scales.x.ticks().last().map_or(0, |t| t.1.matches(':').count()) {
            0 => "s",
            1 => "min:s",
            _ => "h:min:s",
        };
        format!("{} ({unit})", self.x.label)
    }
}

fn draw_series(svg: &mut Svg, series: &Series, scales: &Scales) {
    let scale = scales.of(series.side);
    let runs = runs(series, &scales.x, scale);
    let color = series.color.hex();
    match series.shape {
        Shape::Dots => {
            for point in runs.iter().flatten() {
                svg.dot(*point, 3.0, color);
            }
            return;
        }
        Shape::Area => svg.area(&runs, BOTTOM, color, 0.10),
        Shape::Line | Shape::Dashed => {}
    }
    if series.gaps == Gaps::Joined {
        let ends = runs.windows(2).filter_map(|w| Some(vec![*w[0].last()?, *w[1].first()?]));
        svg.lines(&ends.collect::<Vec<_>>(), Stroke { color, width: 1.3, dash: "2 4" });
    }
    svg.lines(&runs, stroke_of(series));
    // A point between two gaps would be invisible as a line.
    for run in runs.iter().filter(|r| r.len() == 1) {
        svg.dot(run[0], 2.2, color);
    }
}

/// Stretches without a gap, in pixels.
fn runs(series: &Series, x: &Scale, y: &Scale) -> Vec<Vec<(f64, f64)>> {
    let mut runs = vec![Vec::new()];
    for (at, value) in &series.points {
        let point = value.and_then(|v| Some((x.px(*at)?, y.px(v)?)));
        let Some(run) = runs.last_mut() else { continue };
        match point {
            Some(point) => {
                run.push(point);
            }
            None if !run.is_empty() => runs.push(Vec::new()),
            None => {}
        }
    }
    runs.retain(|r| !r.is_empty());
    runs
}

fn stroke_of(series: &Series) -> Stroke {
    let dash = if series.shape == Shape::Dashed { "5 4" } else { "" };
    Stroke { color: series.color.hex(), width: 1.9, dash }
}

fn lowest(values: impl Iterator<Item = f64>) -> f64 {
    let min = values.filter(|v| v.is_finite()).fold(f64::INFINITY, f64::min);
    if min.is_finite() { min } else { 0.0 }
}

fn highest(values: impl Iterator<Item = f64>) -> f64 {
    let max = values.filter(|v| v.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    if max.is_finite() { max } else { 0.0 }
}

#[cfg(test)]
mod tests;
