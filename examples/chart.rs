//! An SVG chart from columns of a CSV file: what the tuning scripts draw with. No part of the program.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use sockbench::testing::report::{Axis, AxisSide, Chart, Color, Marker, Reference, Series, Shape};

/// Draw a chart from columns of a CSV file.
///
/// A column is named as in the head; `COLUMN=NAME` gives it another name in the legend.
#[derive(Debug, clap::Parser)]
struct Args {
    /// CSV file with a head line; an empty cell, `-` or `N/A` is a gap
    #[arg(value_name = "CSV")]
    csv: PathBuf,
    /// SVG file to write
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    output: PathBuf,
    /// First line
    #[arg(long, value_name = "TEXT")]
    title: String,
    /// Second line
    #[arg(long, value_name = "TEXT", default_value = "")]
    subtitle: String,
    /// Column of the horizontal axis; `COLUMN=LABEL` labels the axis
    #[arg(long, value_name = "COLUMN[=LABEL]", value_parser = named)]
    x: Named,
    /// Columns on the left axis
    #[arg(long, value_name = "COLUMN[=NAME],...", value_delimiter = ',', required = true, value_parser = named)]
    y: Vec<Named>,
    /// Columns on the right axis
    #[arg(long, value_name = "COLUMN[=NAME],...", value_delimiter = ',', value_parser = named)]
    right: Vec<Named>,
    /// Label of the left axis
    #[arg(long, value_name = "TEXT", default_value = "")]
    y_label: String,
    /// Label of the right axis
    #[arg(long, value_name = "TEXT", default_value = "")]
    right_label: String,
    /// Horizontal axis in equal factors
    #[arg(long)]
    log_x: bool,
    /// Left axis in equal factors
    #[arg(long)]
    log_y: bool,
    /// Right axis in equal factors
    #[arg(long)]
    log_right: bool,
    /// Columns drawn dashed: predictions
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    dashed: Vec<String>,
    /// Columns drawn as points alone: single measurements
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    dots: Vec<String>,
    /// Horizontal line at a value of the left axis; may be repeated
    #[arg(long, value_name = "VALUE=LABEL", value_parser = place)]
    reference: Vec<(f64, String)>,
    /// Vertical line at a value of the horizontal axis; may be repeated
    #[arg(long, value_name = "X=LABEL", value_parser = place)]
    mark: Vec<(f64, String)>,
}

/// A column and what it is called.
#[derive(Debug, Clone, PartialEq)]
struct Named {
    column: String,
    name: String,
}

/// Why a chart could not be made.
#[derive(Debug, thiserror::Error)]
enum CsvError {
    /// not CSV
    #[error("csv: {0}")]
    Csv(#[from] csv::Error),
    /// a column is not in the head
    #[error("column `{name}`: not in the head: {head}")]
    Column { name: String, head: String },
    /// a cell is not a number
    #[error("line {line}, column `{column}`: `{text}`: not a number")]
    Cell { line: u64, column: String, text: String },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let drawn = std::fs::read_to_string(&args.csv)
        .map_err(|e| format!("{}: {e}", args.csv.display()))
        .and_then(|csv| chart_of(&csv, &args).map_err(|e| format!("{}: {e}", args.csv.display())))
        .and_then(|chart| std::fs::write(&args.output, chart.to_svg()).map_err(|e| format!("{}: {e}", args.output.display())));
    match drawn {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Standard error that takes nothing changes nothing: the exit code says it too.
            let _ = writeln!(std::io::stderr(), "chart: {message}");
            ExitCode::from(2)
        }
    }
}

/// The columns that `args` names, as series. Errors: what of `csv` (with a head line) cannot be drawn.
fn chart_of(csv: &str, args: &Args) -> Result<Chart, CsvError> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let head = reader.headers()?.clone();
    let column = |name: &str| {
        head.iter()
            .position(|h| h.trim() == name)
            .ok_or_else(|| CsvError::Column { name: name.to_owned(), head: head.iter().collect::<Vec<_>>().join(", ") })
    };
    let x_column = column(&args.x.column)?;
    // Left ones first: they are drawn behind.
    let sides = args.y.iter().map(|n| (n, AxisSide::Left)).chain(args.right.iter().map(|n| (n, AxisSide::Right)));
    let columns = sides.map(|(named, side)| Ok((column(&named.column)?, side, named))).collect::<Result<Vec<_>, CsvError>>()?;
    let mut points = vec![Vec::new(); columns.len()];
    for record in reader.records() {
        let record = record?;
        let Some(x) = cell(&record, x_column, &args.x.column)? else { continue };
        for ((at, _, named), points) in columns.iter().zip(&mut points) {
            points.push((x, cell(&record, *at, &named.column)?));
        }
    }
    let axis = |label: &str, log| if log { Axis::log(label) } else { Axis::linear(label) };
    let mut chart = Chart::over(args.title.clone(), axis(&args.x.name, args.log_x), axis(&args.y_label, args.log_y));
    chart.subtitle.clone_from(&args.subtitle);
    chart.right = (!args.right.is_empty()).then(|| axis(&args.right_label, args.log_right));
    for (((_, side, named), points), color) in columns.iter().zip(points).zip(Color::CYCLE.iter().cycle()) {
        let shape = match &named.column {
            c if args.dashed.contains(c) => Shape::Dashed,
            c if args.dots.contains(c) => Shape::Dots,
            _ => Shape::Line,
        };
        let mut series = Series::line(named.name.as_str(), *color, points).shaped(shape);
        series.side = *side;
        chart.series.push(series);
    }
    let lines = args.reference.iter().cloned();
    chart.references = lines.map(|(value, label)| Reference { value, side: AxisSide::Left, label }).collect();
    chart.markers = args.mark.iter().cloned().map(|(x, label)| Marker { x, label }).collect();
    Ok(chart)
}

fn cell(record: &csv::StringRecord, at: usize, column: &str) -> Result<Option<f64>, CsvError> {
    let text = record.get(at).unwrap_or("").trim();
    if matches!(text, "" | "-" | "N/A") {
        return Ok(None);
    }
    let line = record.position().map_or(0, csv::Position::line);
    text.parse().map(Some).map_err(|_| CsvError::Cell { line, column: column.to_owned(), text: text.to_owned() })
}

#[expect(clippy::unnecessary_wraps, reason = "what clap wants of a parser")]
fn named(text: &str) -> Result<Named, String> {
    let (column, name) = text.split_once('=').unwrap_or((text, text));
    Ok(Named { column: column.to_owned(), name: name.to_owned() })
}

fn place(text: &str) -> Result<(f64, String), String> {
    let (value, label) = text.split_once('=').unwrap_or((text, ""));
    let value = value.trim().parse::<f64>().map_err(|_| format!("{value:?}: not a number"))?;
    Ok((value, label.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(csv: &str, extra: &[&str]) -> Result<Chart, CsvError> {
        let fixed = ["chart", "in.csv", "-o", "out.svg", "--title", "Ceiling"];
        chart_of(csv, &Args::parse_from(fixed.iter().chain(extra)))
    }

    #[test]
    fn columns_become_series_on_their_axes_and_empty_cells_gaps() {
        let chart = drawn("conns,rps,p99\n10,100,1.5\n100,N/A,\n", &["--x", "conns", "--y", "rps", "--right", "p99"]).unwrap();
        assert_eq!(chart.series[0].points, [(10.0, Some(100.0)), (100.0, None)]);
        assert_eq!((chart.series[1].side, chart.series[1].points[0].1), (AxisSide::Right, Some(1.5)));
    }

    #[test]
    fn columns_get_their_names_and_lines_their_labels() {
        let extra =
            ["--x", "pool=ports", "--y", "rate=measured,law", "--dots", "rate", "--reference", "470=P/T", "--mark", "2=half"];
        let chart = drawn("pool,rate,law\n1,2,3\n2,4,5\n", &extra).unwrap();
        assert_eq!((chart.series[0].shape, chart.series[1].shape), (Shape::Dots, Shape::Line));
        let svg = chart.to_svg();
        for text in [">Ceiling<", ">ports<", ">measured<", ">law<", ">P/T<", ">half<"] {
            assert!(svg.contains(text), "{text} is missing");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let message = |csv: &str| drawn(csv, &["--x", "conns", "--y", "rps"]).unwrap_err().to_string();
        assert_eq!(message("conns,p99\n"), "column `rps`: not in the head: conns, p99");
        assert_eq!(message("conns,rps,p99\n10,x,1\n"), "line 2, column `rps`: `x`: not a number");
    }
}
