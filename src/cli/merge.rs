//! `sockbench merge`: runs of several machines as one.

use std::path::{Path, PathBuf};

use super::files::Asked;
use super::gate_args::{GateArgs, ToJudge};
use super::load_args::{self, OutputArgs, ReportArgs};
use super::report::{self, Stored};
use super::run_output::{Keeps, RunFiles, Seconds, Written};
use super::{Exit, files, load};
use crate::merge::{self, Part};

/// Add up the runs of several machines: one report, exact percentiles, ports and CPU per machine.
///
/// RUN is the directory of one machine's part (sockbench load --shard I/N -o RUN), or a run.json with its run.hlog beside it.
/// Latencies are added bin by bin, seconds aligned on wall clock. Runs of different plans or versions, and a part that is
/// there twice, are refused. A part that is missing, or a machine that began more than a second after the others, leaves the
/// result incomplete; without compared clocks (--start-at compares them) a minute is allowed, and said.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directories or run.json files, one for each machine
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Keep report, JSON, log, CSV, charts [default: none]
    ///
    /// As load does: sockbench report and compare read it.
    #[arg(short = 'o', long = "output", value_name = "DIR", value_parser = load_args::result_dir, help_heading = "Output")]
    dir: Option<PathBuf>,
    /// Write the result as JSON; "-" writes only JSON to stdout [default: none]
    #[arg(long, value_name = "FILE", value_parser = load_args::result_file, help_heading = "Output")]
    json: Option<PathBuf>,
    /// Write a page to show to others [default: none]
    #[arg(long, value_name = "FILE", value_parser = load_args::page_file, help_heading = "Output")]
    html: Option<PathBuf>,
    /// Replace results that are already in the output directory
    #[arg(long, help_heading = "Output")]
    overwrite: bool,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    gates: GateArgs,
    /// No colours
    #[arg(long, help_heading = "Output")]
    no_color: bool,
}

pub(crate) fn run(args: &Args) -> Result<u8, Exit> {
    spare_the_runs(args)?;
    let parts = args.runs.iter().map(|given| read(given)).collect::<Result<Vec<Part>, Exit>>()?;
    let merged = merge::merge(parts, super::command_line()).map_err(|misfit| Exit::usage(misfit.message).hint(misfit.hint))?;
    let run = &merged.run;
    args.gates.check([&run.plan])?;
    let output = OutputArgs {
        dir: args.dir.clone(),
        json: args.json.clone(),
        html: args.html.clone(),
        overwrite: args.overwrite,
        ..OutputArgs::default()
    };
    let files = RunFiles::prepare(&output, &Keeps::Run, args.gates.asked())?;
    let seconds = Seconds::of(&merged.seconds);
    let to_judge = [ToJudge { step: None, result: run, durations: Some(&seconds.durations) }];
    let outcome = args.gates.judge(&to_judge, None)?;
    for note in &merged.notes {
        super::warn(note);
    }
    let mut written = Written::default();
    files.write(run, &seconds, &mut written);
    files.write_log(run, &merged.seconds, &mut written);
    outcome.report(run, args.report, args.no_color, &files, &mut written);
    args.gates.publish(&outcome, &to_judge, &mut written);
    written.settle(Ok(u8::from(load::has_only_failed(run)))).and_then(|code| outcome.settle(code))
}

/// Nothing is read or written before. Errors: exit 2, a result would replace one of the runs, or there is no run.
fn spare_the_runs(args: &Args) -> Result<(), Exit> {
    let documents = args.runs.iter().map(|given| report::document(given)).collect::<Result<Vec<PathBuf>, Exit>>()?;
    let inputs: Vec<PathBuf> = documents.iter().flat_map(|document| report::inputs(document)).collect();
    let kept = ["run.json", "run.hlog"].map(|name| args.dir.as_ref().map(|dir| dir.join(name)));
    let kept = kept.iter().filter_map(|file| Asked::of("-o", file.as_deref()));
    let files = [("--json", &args.json), ("--html", &args.html)];
    let files = files.iter().filter_map(|(flag, file)| Asked::of(flag, file.as_deref()));
    files::spare(&kept.chain(files).chain(args.gates.asked()).collect::<Vec<_>>(), &inputs)
}

/// Errors: exit 2, no run of one machine, or without its log.
fn read(given: &Path) -> Result<Part, Exit> {
    let file = report::document(given)?;
    let run = match report::read(&file)? {
        Stored::Run(run) => *run,
        Stored::Study(_) => {
            return Err(Exit::usage(format!("{}: a study, not one run", file.display()))
                .hint("merge its steps one by one: the files beside study.json, such as step-1-10-users.json"));
        }
        Stored::Watch => {
            return Err(Exit::usage(format!("{}: a watch, not a run", file.display()))
                .hint("merge adds up what sockbench load kept with -o"));
        }
    };
    let seconds = report::seconds(&file, &run)?;
    Ok(Part { from: given.display().to_string(), run, seconds })
}
