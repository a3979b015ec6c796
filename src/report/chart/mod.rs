//! Line charts as SVG: several series over one horizontal axis, one or two vertical axes, reference lines, markers
//! and labelled spans. Colours that the colour-blind can tell apart, in light and dark; no fonts measured. One writer for
//! files of their own and for pages.
//!
//! [`run_charts`] and [`study_charts`] are the charts over time, [`throughput`] and [`response_times`] those over users,
//! [`page_charts`] those of a page.
//!
//! ```
//! use sockbench::testing::report::{Axis, Chart, Color, Series};
//! let mut chart = Chart::over_time("Users", Axis::linear("users"));
//! chart.series.push(Series::line("users", Color::Blue, vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(3.0))]));
//! assert!(chart.to_svg().starts_with("<svg"));
//! ```

mod draw;
mod endpoint_times;
mod labels;
mod moments;
mod over_time;
mod over_users;
mod page;
mod palette;
mod scale;
mod series;
mod svg;
mod thin;

pub use endpoint_times::EndpointTimes;
pub use over_time::{Step, ports_chart, run_charts, study_charts};
pub use over_users::{percentiles_over_users, resources_over_users, response_times, throughput};
pub use page::{PageChart, compared_distribution, page_charts, step_distribution, time_charts};
pub use palette::stylesheet;
pub use scale::ScaleKind;
pub use series::{AxisSide, Color, Gaps, Points, Series, Shape};

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

/// A box of a heat map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeatCell {
    /// from and to on the horizontal axis
    pub x: (f64, f64),
    /// from and to on the left axis
    pub y: (f64, f64),
    /// how dense, 0 to 1
    pub density: f64,
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
    /// stretches in which something went wrong, from and to
    pub alarms: Vec<(f64, f64)>,
    /// boxes of a heat map, at the back
    pub cells: Vec<HeatCell>,
}

impl Chart {
    /// An empty chart over seconds since the start.
    pub fn over_time(title: impl Into<String>, left: Axis) -> Self {
        let x = Axis { label: "time".into(), scale: ScaleKind::Time, max: None };
        Self::over(title, x, left)
    }

    /// The same with the load of the host, in per cent of all of it on the right axis, of the target and of the client.
    fn with_load(mut self, of_all: &str, [host, target, client]: [Points; 3]) -> Self {
        self.right = Some(Axis { max: Some(100.0), ..Axis::linear(of_all) });
        self.series.push(Series::line("host", Color::Grey, host).on_right().shaped(Shape::Area));
        self.series.push(Series::line("target", Color::Vermillion, target));
        self.series.push(Series::line("client", Color::Blue, client));
        self
    }

    /// The same with percentiles in equal factors.
    fn with_percentiles(mut self, [p99, p95, p50]: [Points; 3]) -> Self {
        self.left.scale = ScaleKind::Log;
        self.series.push(Series::line("p99", Color::Vermillion, p99));
        self.series.push(Series::line("p95", Color::Orange, p95));
        self.series.push(Series::line("p50", Color::Blue, p50));
        self
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
            alarms: Vec::new(),
            cells: Vec::new(),
        }
    }

    /// Whether there is anything to draw.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && !self.series.iter().any(|s| s.points.iter().any(|p| p.1.is_some()))
    }

    /// The chart as an SVG document of 960 by 384 pixels.
    pub fn to_svg(&self) -> String {
        draw::to_file(self).into_string()
    }

    /// The picture alone, for a page that has [`stylesheet`], title and legend. `id` is unique in the page.
    pub(super) fn to_page(&self, id: &str) -> maud::Markup {
        draw::to_page(self, id)
    }
}

#[cfg(test)]
mod tests;
