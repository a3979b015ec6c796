//! A chart drawn: into a file of its own with title and legend, or into a page that has these itself.

use maud::Markup;

use super::labels::{self, Frame, Ground};
use super::palette::Ink;
use super::scale::Scale;
use super::svg::{Anchor, Font, Head, Place, Stroke, Svg, text_width};
use super::thin::thinned;
use super::{Axis, AxisSide, Chart, Gaps, Reference, ScaleKind, Series, Shape};

/// Where everything goes, pixels.
struct Layout {
    place: Place,
    width: f64,
    height: f64,
    plot: Frame,
    /// base line of the labels of the vertical axes
    heads: f64,
    /// x of the title, the legend and the label of the left axis
    edge: f64,
    tick: f64,
    label: f64,
}

impl Layout {
    fn of_file(chart: &Chart) -> Self {
        let right = 960.0 - if chart.right.is_some() { 64.0 } else { 24.0 };
        Self {
            place: Place::File,
            width: 960.0,
            height: 384.0,
            plot: Frame { left: 64.0, right, top: 116.0, bottom: 338.0 },
            heads: 102.0,
            edge: 24.0,
            tick: 12.0,
            label: 12.0,
        }
    }

    /// Small, so that it can be read on a phone, and with the same margins in each chart, so that times lie below each other.
    fn of_page(chart: &Chart) -> Self {
        // The names of spans have a line of their own below those of the axes.
        let names = if chart.spans.iter().any(|s| !s.label.is_empty()) { 16.0 } else { 0.0 };
        Self {
            place: Place::Page,
            width: 480.0,
            height: 230.0 + names,
            plot: Frame { left: 46.0, right: 438.0, top: 26.0 + names, bottom: 194.0 + names },
            heads: 12.0,
            edge: 4.0,
            tick: 12.0,
            label: 12.0,
        }
    }

    fn font(&self, ink: Ink) -> Font {
        Font { size: self.tick, ink, weight: 400 }
    }

    fn bold(&self) -> Font {
        Font { size: self.label, ink: Ink::Text, weight: 500 }
    }
}

/// Pixels of a page in which a series keeps its extremes.
const COLUMN: f64 = 0.5;
const TITLE: Font = Font { size: 18.0, ink: Ink::Text, weight: 600 };
const SUBTITLE: Font = Font { size: 12.5, ink: Ink::Faint, weight: 400 };
const LEGEND: Font = Font { size: 12.5, ink: Ink::Text, weight: 400 };
const GRID: Stroke = Stroke { ink: Ink::Grid, width: 1.0, dash: "" };
const AXIS: Stroke = Stroke { ink: Ink::Axis, width: 1.0, dash: "" };
const EDGE: Stroke = Stroke { ink: Ink::Edge, width: 1.0, dash: "3 3" };
const LIMIT: Stroke = Stroke { ink: Ink::Faint, width: 1.1, dash: "1.5 3.5" };
/// Steps of a heat map's density.
const HEAT_STEPS: usize = 6;

/// The three scales of a chart being drawn.
struct Scales {
    x: Scale,
    left: Scale,
    right: Option<Scale>,
}

impl Scales {
    fn of(&self, side: AxisSide) -> &Scale {
        match side {
            AxisSide::Left => &self.left,
            AxisSide::Right => self.right.as_ref().unwrap_or(&self.left),
        }
    }
}

/// A document of 960 by 384 pixels.
pub(super) fn to_file(chart: &Chart) -> Markup {
    let drawing = Drawing::new(chart, Layout::of_file(chart), "chart");
    let mut svg = Svg::new(Place::File);
    svg.text((drawing.layout.edge, 30.0), Anchor::Start, TITLE, &chart.title);
    svg.text((drawing.layout.edge, 50.0), Anchor::Start, SUBTITLE, &chart.subtitle);
    drawing.legend(&mut svg);
    drawing.finish(svg, &chart.subtitle)
}

/// The picture alone.
pub(super) fn to_page(chart: &Chart, id: &str) -> Markup {
    let drawing = Drawing::new(chart, Layout::of_page(chart), id);
    let seen = chart.series.iter().filter(|s| !s.name.is_empty()).map(summary);
    let description = seen.collect::<Vec<_>>().join("; ");
    drawing.finish(Svg::new(Place::Page), &description)
}

/// `requests/s, 180 points`: what a reader who cannot see the curves has of them besides the tables.
fn summary(series: &Series) -> String {
    let known = series.points.iter().filter(|p| p.1.is_some()).count();
    if known == 0 { format!("{}: no values", series.name) } else { format!("{}: {known} points", series.name) }
}

struct Drawing<'a> {
    chart: &'a Chart,
    layout: Layout,
    scales: Scales,
    id: &'a str,
}

impl<'a> Drawing<'a> {
    fn new(chart: &'a Chart, layout: Layout, id: &'a str) -> Self {
        let scales = scales(chart, &layout);
        Self { chart, layout, scales, id }
    }

    fn finish(&self, mut svg: Svg, description: &str) -> Markup {
        let Frame { left, right, top, bottom } = self.layout.plot;
        self.spans(&mut svg);
        self.axes(&mut svg);
        let clip = format!("{}-plot", self.id);
        svg.clip(&clip, (left - 4.0, top - 4.0), (right - left + 8.0, bottom - top + 8.0));
        svg.open(&[("clip-path", &format!("url(#{clip})"))]);
        svg.open(&[("class", "plot")]);
        self.heat(&mut svg);
        self.alarms(&mut svg);
        let mut index = 0;
        for (i, series) in self.chart.series.iter().enumerate() {
            index = if i > 0 && series.name.is_empty() { index } else { i };
            let side = if series.side == AxisSide::Right && self.scales.right.is_some() { "r" } else { "l" };
            svg.open(&[("data-s", &index.to_string()), ("data-side", side)]);
            self.series(&mut svg, series);
            svg.close();
        }
        svg.close();
        svg.close();
        self.limits(&mut svg);
        let data = self.data();
        let Layout { width, height, .. } = self.layout;
        svg.finish(&Head { width, height, id: self.id, title: &self.chart.title, description, data: &data })
    }

    /// What a script needs to read values off the picture.
    fn data(&self) -> Vec<(&'static str, String)> {
        if self.layout.place == Place::File {
            return Vec::new();
        }
        let Scales { x, left, right } = &self.scales;
        let mut data = vec![("x", x.description()), ("l", left.description())];
        data.extend(right.as_ref().map(|scale| ("r", scale.description())));
        data
    }

    fn legend(&self, svg: &mut Svg) {
        let mut x = self.layout.edge;
        for series in &self.chart.series {
            if series.name.is_empty() {
                // Another figure of the series before it, in the same colour: the title says which.
                continue;
            }
            if series.shape == Shape::Dots {
                svg.dot((x + 10.0, 70.0), 3.5, Ink::Series(series.color));
            } else {
                svg.line((x, 70.0), (x + 20.0, 70.0), Stroke { width: 2.6, ..stroke_of(series) });
            }
            let name = match (series.side, &self.chart.right) {
                (AxisSide::Right, Some(_)) => format!("{} (right)", series.name),
                _ => series.name.clone(),
            };
            svg.text((x + 26.0, 74.5), Anchor::Start, LEGEND, &name);
            x += 26.0 + text_width(&name, LEGEND.size) + 24.0;
        }
    }

    fn spans(&self, svg: &mut Svg) {
        let Frame { top, bottom, .. } = self.layout.plot;
        for (i, span) in self.chart.spans.iter().enumerate() {
            let (Some(from), Some(to)) = (self.scales.x.px(span.from), self.scales.x.px(span.to)) else { continue };
            if i % 2 == 1 {
                svg.rect((from, top), (to - from, bottom - top), Ink::Band, 1.0);
            }
            if i > 0 {
                svg.line((from, top - 4.0), (from, bottom), EDGE);
            }
            svg.label((f64::midpoint(from, to), top - 8.0), Anchor::Middle, self.layout.bold(), &span.label);
        }
    }

    fn alarms(&self, svg: &mut Svg) {
        let Frame { top, bottom, .. } = self.layout.plot;
        for (from, to) in &self.chart.alarms {
            let (Some(from), Some(to)) = (self.scales.x.px(*from), self.scales.x.px(*to)) else { continue };
            svg.rect((from, top), ((to - from).max(1.0), bottom - top), Ink::Alarm, 0.12);
        }
    }

    /// Boxes of like density in one path each.
    fn heat(&self, svg: &mut Svg) {
        let pixels = |c: &super::HeatCell| {
            let (x0, x1) = (self.scales.x.px(c.x.0)?, self.scales.x.px(c.x.1)?);
            let (y0, y1) = (self.scales.left.px(c.y.0)?, self.scales.left.px(c.y.1)?);
            Some((x0, y1, x1 - x0, y0 - y1))
        };
        for step in 1..=HEAT_STEPS {
            let of_step = |c: &&super::HeatCell| ((c.density * HEAT_STEPS as f64).ceil() as usize).clamp(1, HEAT_STEPS) == step;
            let boxes = self.chart.cells.iter().filter(of_step).filter_map(pixels);
            svg.boxes(boxes, Ink::Series(super::Color::Blue), 0.12 + 0.88 * step as f64 / HEAT_STEPS as f64);
        }
    }

    fn axes(&self, svg: &mut Svg) {
        let Layout { plot: Frame { left, right, top, bottom }, heads, edge, .. } = self.layout;
        let tick = self.layout.font(Ink::Faint);
        for (value, label) in self.scales.left.ticks() {
            let Some(y) = self.scales.left.px(value) else { continue };
            svg.line((left, y), (right, y), GRID);
            svg.text((left - 8.0, y + 4.0), Anchor::End, tick, &label);
        }
        if let Some(scale) = &self.scales.right {
            for (value, label) in scale.ticks() {
                let Some(y) = scale.px(value) else { continue };
                svg.line((right, y), (right + 4.0, y), AXIS);
                svg.text((right + 8.0, y + 4.0), Anchor::Start, tick, &label);
            }
        }
        svg.open(&[("class", "xticks")]);
        for (value, label) in self.scales.x.ticks() {
            let Some(x) = self.scales.x.px(value) else { continue };
            if self.chart.x.scale != ScaleKind::Time {
                svg.line((x, top), (x, bottom), GRID);
            }
            svg.line((x, bottom), (x, bottom + 5.0), AXIS);
            svg.text((x, bottom + 17.0), Anchor::Middle, tick, &label);
        }
        svg.close();
        svg.line((left, bottom), (right, bottom), AXIS);
        svg.text((edge, heads), Anchor::Start, self.layout.bold(), &self.chart.left.label);
        if let Some(axis) = &self.chart.right {
            let end = if self.layout.place == Place::File { right + 40.0 } else { self.layout.width - edge };
            svg.text((end, heads), Anchor::End, self.layout.bold(), &axis.label);
        }
        let below = if self.layout.place == Place::File { 37.0 } else { 32.0 };
        let at = (f64::midpoint(left, right), bottom + below);
        svg.text(at, Anchor::Middle, Font { ink: Ink::Faint, ..self.layout.bold() }, &self.x_label());
    }

    /// Reference lines and markers, then their labels, where they cover as little as may be.
    fn limits(&self, svg: &mut Svg) {
        let Frame { left, right, top, bottom } = self.layout.plot;
        let mut ground = Ground::default();
        for series in &self.chart.series {
            for run in runs(series, &self.scales.x, self.scales.of(series.side)) {
                ground.cover(&run);
            }
        }
        let chart = self.chart;
        let at = |r: &Reference| self.scales.of(r.side).px(r.value);
        let levels: Vec<(f64, &str)> = chart.references.iter().filter_map(|r| Some((at(r)?, r.label.as_str()))).collect();
        let x = |m: &super::Marker| self.scales.x.px(m.x);
        let marks: Vec<(f64, &str)> = chart.markers.iter().filter_map(|m| Some((x(m)?, m.label.as_str()))).collect();
        for (y, _) in &levels {
            svg.line((left, *y), (right, *y), LIMIT);
            ground.cover(&[(left, *y), (right, *y)]);
        }
        svg.open(&[("class", "marks")]);
        for (x, _) in &marks {
            svg.line((*x, top), (*x, bottom), LIMIT);
            ground.cover(&[(*x, top), (*x, bottom)]);
        }
        svg.close();
        let (plot, font) = (self.layout.plot, self.layout.bold());
        for (y, text) in levels {
            svg.label(ground.place(labels::along(&plot, y, text_width(text, font.size))), Anchor::Start, font, text);
        }
        svg.open(&[("class", "marks")]);
        for (x, text) in marks {
            svg.label(ground.place(labels::beside(&plot, x, text_width(text, font.size))), Anchor::Start, font, text);
        }
        svg.close();
    }

    fn series(&self, svg: &mut Svg, series: &Series) {
        let runs = runs(series, &self.scales.x, self.scales.of(series.side));
        let ink = Ink::Series(series.color);
        match series.shape {
            Shape::Dots => {
                for point in runs.iter().flatten() {
                    svg.dot(*point, 3.0, ink);
                }
                return;
            }
            Shape::Area => svg.area(&runs, self.layout.plot.bottom, ink, 0.10),
            Shape::Line | Shape::Dashed => {}
        }
        if series.gaps == Gaps::Joined {
            let ends = runs.windows(2).filter_map(|w| Some(vec![*w[0].last()?, *w[1].first()?]));
            svg.lines(&ends.collect::<Vec<_>>(), Stroke { ink, width: 1.3, dash: "2 4" });
        }
        svg.lines(&runs, stroke_of(series));
    }

    /// The label with the unit that the ticks are in.
    fn x_label(&self) -> String {
        if self.chart.x.scale != ScaleKind::Time {
            return self.chart.x.label.clone();
        }
        let unit = match self.scales.x.ticks().last().map_or(0, |t| t.1.matches(':').count()) {
            0 => "s",
            1 => "min:s",
            _ => "h:min:s",
        };
        format!("{} ({unit})", self.chart.x.label)
    }
}

fn scales(chart: &Chart, layout: &Layout) -> Scales {
    let xs = chart.series.iter().flat_map(|s| s.points.iter().map(|p| p.0));
    let cells = chart.cells.iter().flat_map(|c| [c.x.0, c.x.1]);
    let spans = chart.spans.iter().flat_map(|s| [s.from, s.to]);
    let xs: Vec<f64> = xs.chain(spans).chain(chart.markers.iter().map(|m| m.x)).chain(cells).collect();
    let (lo, hi) = (lowest(xs.iter().copied()), highest(xs.iter().copied()));
    let lo = if chart.x.scale == ScaleKind::Time { lo.min(0.0) } else { lo };
    let pixels = (layout.plot.left, layout.plot.right);
    Scales {
        x: Scale::new(chart.x.scale, lo, chart.x.max.unwrap_or(hi), pixels, chart.x.scale == ScaleKind::Log),
        left: vertical(chart, layout, &chart.left, AxisSide::Left),
        right: chart.right.as_ref().map(|axis| vertical(chart, layout, axis, AxisSide::Right)),
    }
}

fn vertical(chart: &Chart, layout: &Layout, axis: &Axis, side: AxisSide) -> Scale {
    let values = chart.series.iter().filter(|s| s.side == side).flat_map(|s| s.points.iter().filter_map(|p| p.1));
    let limits = chart.references.iter().filter(|r| r.side == side).map(|r| r.value);
    let cells = chart.cells.iter().filter(|_| side == AxisSide::Left).flat_map(|c| [c.y.0, c.y.1]);
    let is_log = axis.scale == ScaleKind::Log;
    let all: Vec<f64> = values.chain(limits).chain(cells).filter(|v| v.is_finite() && (!is_log || *v > 0.0)).collect();
    let hi = axis.max.unwrap_or_else(|| highest(all.iter().copied()));
    let lo = if is_log { lowest(all.iter().copied()) } else { lowest(all.iter().copied()).min(0.0) };
    // A little air, so that the highest point does not lie on the frame.
    let hi = if is_log || axis.max.is_some() { hi } else { hi * 1.04 };
    Scale::new(axis.scale, lo, hi, (layout.plot.bottom, layout.plot.top), true)
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
    runs.iter().map(|run| if series.shape == Shape::Dots { run.clone() } else { thinned(run, COLUMN) }).collect()
}

fn stroke_of(series: &Series) -> Stroke {
    let dash = if series.shape == Shape::Dashed { "5 4" } else { "" };
    Stroke { ink: Ink::Series(series.color), width: 1.9, dash }
}

fn lowest(values: impl Iterator<Item = f64>) -> f64 {
    let min = values.filter(|v| v.is_finite()).fold(f64::INFINITY, f64::min);
    if min.is_finite() { min } else { 0.0 }
}

fn highest(values: impl Iterator<Item = f64>) -> f64 {
    let max = values.filter(|v| v.is_finite()).fold(f64::NEG_INFINITY, f64::max);
    if max.is_finite() { max } else { 0.0 }
}
