//! `sockbench chart`, hidden: an SVG chart from a CSV file, what the tuning scripts draw with.

use std::path::PathBuf;

use super::{Exit, files};
use crate::report::chart::{Axis, Marker, Reference, ScaleKind, Shape, Side};
use crate::report::csv_chart::{CsvChart, chart_of_csv};

/// Draw a chart from columns of a CSV file.
///
/// A column is named as in the head; `COLUMN=NAME` gives it another name in the legend.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
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

pub(crate) fn run(args: &Args) -> Result<u8, Exit> {
    let csv = std::fs::read_to_string(&args.csv).map_err(|e| Exit::usage(format!("{}: {e}", args.csv.display())))?;
    let chart = draw(&csv, args).map_err(|e| Exit::usage(format!("{}: {e}", args.csv.display())))?;
    files::write(&args.output, chart.as_bytes())?;
    Ok(0)
}

fn draw(csv: &str, args: &Args) -> Result<String, crate::report::csv_chart::CsvChartError> {
    let scale = |log| if log { ScaleKind::Log } else { ScaleKind::Linear };
    let axis = |label: &String, log| Axis { label: label.clone(), scale: scale(log), max: None };
    let columns = |names: &[Named]| names.iter().map(|n| n.column.clone()).collect();
    let mut chart = chart_of_csv(
        csv,
        &CsvChart {
            title: args.title.clone(),
            subtitle: args.subtitle.clone(),
            x: args.x.column.clone(),
            x_scale: scale(args.log_x),
            left: columns(&args.y),
            left_axis: axis(&args.y_label, args.log_y),
            right: columns(&args.right),
            right_axis: axis(&args.right_label, args.log_right),
            shape: Shape::Line,
        },
    )?;
    chart.x.label.clone_from(&args.x.name);
    // The series stand in the order of the columns: left ones first.
    for (series, named) in chart.series.iter_mut().zip(args.y.iter().chain(&args.right)) {
        series.name.clone_from(&named.name);
        if args.dashed.contains(&named.column) {
            series.shape = Shape::Dashed;
        } else if args.dots.contains(&named.column) {
            series.shape = Shape::Dots;
        }
    }
    let lines = args.reference.iter().cloned();
    chart.references = lines.map(|(value, label)| Reference { value, side: Side::Left, label }).collect();
    chart.markers = args.mark.iter().cloned().map(|(x, label)| Marker { x, label }).collect();
    Ok(chart.to_svg())
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

    fn args(extra: &[&str]) -> Args {
        #[derive(clap::Parser)]
        struct Parsed {
            #[command(flatten)]
            args: Args,
        }
        let fixed = ["chart", "in.csv", "-o", "out.svg", "--title", "Ceiling"];
        <Parsed as clap::Parser>::parse_from(fixed.iter().chain(extra)).args
    }

    #[test]
    fn columns_get_their_names_and_lines_their_labels() {
        let extra =
            ["--x", "pool=ports", "--y", "rate=measured,law", "--dots", "rate", "--reference", "470=P/T", "--mark", "2=half"];
        let svg = draw("pool,rate,law\n1,2,3\n2,4,5\n", &args(&extra)).unwrap();
        for text in [">Ceiling<", ">ports<", ">measured<", ">law<", ">P/T<", ">half<"] {
            assert!(svg.contains(text), "{text} is missing");
        }
    }

    #[test]
    fn a_missing_column_is_named() {
        let error = draw("pool,rate\n1,2\n", &args(&["--x", "pool", "--y", "speed"])).unwrap_err();
        assert_eq!(error.to_string(), "column `speed`: not in the head: pool, rate");
    }
}
