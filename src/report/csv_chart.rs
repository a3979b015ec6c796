//! A chart from columns of a CSV file: what the tuning scripts draw with.

use super::chart::{Axis, Chart, Color, ScaleKind, Series, Shape, Side};

/// Which columns, and how they are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvChart {
    /// first line
    pub title: String,
    /// second line
    pub subtitle: String,
    /// the column of the horizontal axis; also its label
    pub x: String,
    /// how it spreads
    pub x_scale: ScaleKind,
    /// columns on the left axis
    pub left: Vec<String>,
    /// the left axis
    pub left_axis: Axis,
    /// columns on the right axis
    pub right: Vec<String>,
    /// the right axis, where there are such columns
    pub right_axis: Axis,
    /// how all series are drawn
    pub shape: Shape,
}

/// Why a chart could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CsvChartError {
    /// not CSV
    #[error("csv: {0}")]
    Csv(#[from] csv::Error),
    /// a column is not in the head
    #[error("column `{name}`: not in the head: {head}")]
    Column {
        /// asked for
        name: String,
        /// there
        head: String,
    },
    /// a cell is not a number
    #[error("line {line}, column `{column}`: `{text}`: not a number")]
    Cell {
        /// line of the file, counted from 1
        line: u64,
        /// column
        column: String,
        /// what stands there
        text: String,
    },
}

/// Reads `csv` (with a head line). An empty cell, `-` or `N/A` is a gap.
pub fn chart_of_csv(csv: &str, spec: &CsvChart) -> Result<Chart, CsvChartError> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let head = reader.headers()?.clone();
    let column = |name: &str| {
        head.iter()
            .position(|h| h.trim() == name)
            .ok_or_else(|| CsvChartError::Column { name: name.to_owned(), head: head.iter().collect::<Vec<_>>().join(", ") })
    };
    let x_column = column(&spec.x)?;
    let mut columns = Vec::new();
    for (names, side) in [(&spec.left, Side::Left), (&spec.right, Side::Right)] {
        for name in names {
            columns.push((column(name)?, side, name));
        }
    }
    let mut points = vec![Vec::new(); columns.len()];
    for record in reader.records() {
        let record = record?;
        let Some(x) = cell(&record, x_column, &spec.x)? else { continue };
        for ((at, _, name), points) in columns.iter().zip(&mut points) {
            points.push((x, cell(&record, *at, name)?));
        }
    }
    let x = Axis { label: spec.x.clone(), scale: spec.x_scale, max: None };
    let mut chart = Chart::over(spec.title.clone(), x, spec.left_axis.clone());
    chart.subtitle.clone_from(&spec.subtitle);
    chart.right = (!spec.right.is_empty()).then(|| spec.right_axis.clone());
    for (((_, side, name), points), color) in columns.iter().zip(points).zip(Color::CYCLE.iter().cycle()) {
        let mut series = Series::line(name.as_str(), *color, points).shaped(spec.shape);
        series.side = *side;
        chart.series.push(series);
    }
    Ok(chart)
}

fn cell(record: &csv::StringRecord, at: usize, column: &str) -> Result<Option<f64>, CsvChartError> {
    let text = record.get(at).unwrap_or("").trim();
    if matches!(text, "" | "-" | "N/A") {
        return Ok(None);
    }
    let line = record.position().map_or(0, csv::Position::line);
    text.parse().map(Some).map_err(|_| CsvChartError::Cell { line, column: column.to_owned(), text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> CsvChart {
        CsvChart {
            title: "t".into(),
            subtitle: String::new(),
            x: "conns".into(),
            x_scale: ScaleKind::Log,
            left: vec!["rps".into()],
            left_axis: Axis::linear("req/s"),
            right: vec!["p99".into()],
            right_axis: Axis::log("ms"),
            shape: Shape::Line,
        }
    }

    #[test]
    fn columns_become_series_on_their_axes_and_empty_cells_gaps() {
        let chart = chart_of_csv("conns,rps,p99\n10,100,1.5\n100,N/A,\n", &spec()).unwrap();
        assert_eq!(chart.series[0].points, [(10.0, Some(100.0)), (100.0, None)]);
        assert_eq!((chart.series[1].side, chart.series[1].points[0].1), (Side::Right, Some(1.5)));
        assert!(chart.to_svg().contains("p99 (right)"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let message = |csv: &str| chart_of_csv(csv, &spec()).unwrap_err().to_string();
        assert_eq!(message("conns,p99\n"), "column `rps`: not in the head: conns, p99");
        assert_eq!(message("conns,rps,p99\n10,x,1\n"), "line 2, column `rps`: `x`: not a number");
    }
}
