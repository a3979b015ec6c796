//! `sockbench report`: a stored run or study, rendered again.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::files::Asked;
use super::gate_args::{GateArgs, ToJudge};
use super::load_args::ReportArgs;
use super::run_output::Written;
use super::study::steps_to_judge;
use super::{Exit, files, run_output, tell_line};
use crate::diagnose::{self, keep_proofs};
use crate::gates::Durations;
use crate::merge;
use crate::model::by_name;
use crate::model::document::plain;
use crate::model::result::{RunResult, SCHEMA};
use crate::model::study::{STUDY_SCHEMA, StudyResult};
use crate::model::watch::WATCH_SCHEMA;
use crate::remedy::quoted;
use crate::report::chart::EndpointTimes;
use crate::report::locust_csv::{self, History};
use crate::report::text::render_study;
use crate::report::{hlog, html, json};
use crate::stats::interval::Interval;

/// The kept files of a directory, in the order in which they are looked for.
const DOCUMENTS: [&str; 3] = ["run.json", "study.json", "watch.json"];

/// Render a stored run, study or watch again: text, JSON, Locust's CSV files or the HdrHistogram log.
///
/// RUN is a run.json, study.json or watch.json, or the directory that -o made. Findings are those that were stored; --again
/// applies the rules of this version to the stored facts of a run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// run.json, study.json, watch.json, or the directory that holds one
    #[arg(value_name = "RUN")]
    document: Option<PathBuf>,
    /// What to write to stdout: the report; the document; Locust's statistics; the log beside run.json, checked; a page
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write Locust's PREFIX_stats.csv, PREFIX_stats_history.csv and PREFIX_failures.csv instead
    #[arg(long, value_name = "PREFIX")]
    csv: Option<PathBuf>,
    /// Diagnose again with the rules of this version
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    gates: GateArgs,
    /// No colours
    #[arg(long, help_heading = "Output")]
    no_color: bool,
}

/// `--format`.
#[derive(Debug, Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Format {
    Text,
    Json,
    Csv,
    Hlog,
    Html,
}

/// How far below the current directory a kept run is looked for.
const SEARCHED_LEVELS: usize = 2;
/// Directories of one level that are looked into.
const SEARCHED_DIRS: usize = 1_000;

/// A document that can be rendered.
pub(crate) enum Stored {
    Run(Box<RunResult>),
    Study(Box<StudyResult>),
    /// as it was kept: nothing is computed from it again
    Watch,
}

pub(crate) fn run(args: &Args) -> Result<u8, Exit> {
    let csv = args.csv.iter().flat_map(|prefix| Asked::csv(prefix));
    let asked: Vec<Asked> = csv.chain(args.gates.asked()).collect();
    files::check(&asked)?;
    let given = args.document.as_deref().ok_or_else(|| nothing_given(Path::new(".")))?;
    let file = document(given)?;
    files::spare(&asked, &inputs(&file))?;
    match read(&file)? {
        Stored::Run(run) => {
            args.gates.check([&run.plan])?;
            let run = current(args, &file, *run)?;
            // Read before anything is shown: a log that cannot be read is found first.
            let durations = if args.gates.need_histogram(&run) { Some(Durations::of(&seconds(&file, &run)?)) } else { None };
            render_run(args, &file, &run)?;
            gate(args, &[ToJudge { step: None, result: &run, durations: durations.as_ref() }])
        }
        Stored::Study(study) => {
            args.gates.check(study.steps.iter().map(|step| &step.plan))?;
            study_report(args, &file, &study)?;
            gate(args, &steps_to_judge(&study).collect::<Vec<_>>())
        }
        Stored::Watch => {
            watch_report(args, &file)?;
            Ok(0)
        }
    }
}

/// Thresholds on what was stored: below the report, or on stderr where stdout is a document. Errors: exit 99.
fn gate(args: &Args, runs: &[ToJudge<'_>]) -> Result<u8, Exit> {
    let outcome = args.gates.judge(runs, None)?;
    if args.format == Format::Text && args.csv.is_none() {
        files::to_stdout(outcome.table(super::style(args.no_color)).as_bytes())?;
    } else {
        outcome.tell_table();
    }
    let mut written = Written::default();
    args.gates.publish(&outcome, runs, &mut written);
    written.settle(Ok(0)).and_then(|code| outcome.settle(code))
}

/// What is missing, and the newest kept run in `here` or below it.
fn nothing_given(here: &Path) -> Exit {
    let exit = Exit::usage("nothing to report: give RUN, the directory that a run was given with -o, or the run.json in it");
    match newest_run(here) {
        Some(dir) => exit.hint(format!("the newest run here: sockbench report {}", quoted(&dir.display().to_string()))),
        None => exit.hint("keep a run: sockbench load URL -o DIR, then sockbench report DIR"),
    }
}

/// The directory with the newest document, at most two levels down; hidden directories are not searched.
fn newest_run(here: &Path) -> Option<PathBuf> {
    let mut newest: Option<(std::time::SystemTime, PathBuf)> = None;
    let mut level = vec![here.to_owned()];
    for _ in 0..=SEARCHED_LEVELS {
        let mut below = Vec::new();
        for dir in level {
            let changed = DOCUMENTS.iter().filter_map(|name| fs::metadata(dir.join(name)).ok()?.modified().ok()).max();
            if let Some(at) = changed
                && newest.as_ref().is_none_or(|(known, _)| at > *known)
            {
                newest = Some((at, dir.clone()));
            }
            let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
            let dirs = entries
                .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()) && !e.file_name().as_encoded_bytes().starts_with(b"."));
            below.extend(dirs.map(|e| e.path()).take(SEARCHED_DIRS.saturating_sub(below.len())));
        }
        level = below;
    }
    newest.map(|(_, dir)| dir.strip_prefix("./").map(Path::to_owned).unwrap_or(dir))
}

/// The document that `given` names. Errors: exit 2.
pub(crate) fn document(given: &Path) -> Result<PathBuf, Exit> {
    if given.is_dir() {
        let found = DOCUMENTS.iter().map(|name| given.join(name)).find(|file| file.is_file());
        return found.ok_or_else(|| {
            Exit::usage(format!("{}: none of run.json, study.json and watch.json in it", given.display()))
                .hint("the directory that a run was given with -o, or the run.json in it")
        });
    }
    Ok(given.to_owned())
}

/// Errors: exit 2, one line with the place in the document.
pub(crate) fn read(file: &Path) -> Result<Stored, Exit> {
    let bad = |why: &dyn std::fmt::Display| Exit::usage(format!("{}: {}", file.display(), plain(&why.to_string())));
    let text = files::read(file).map_err(|e| e.hint("the directory that a run was given with -o, or the run.json in it"))?;
    let hint = format!(
        "give run.json, study.json or watch.json; sockbench explain {} reads logs and error texts",
        quoted(&file.display().to_string())
    );
    let head: Head = by_name::read(&text).map_err(|e| bad(&format!("not a result of sockbench: {e}")).hint(hint))?;
    match head.schema.as_str() {
        SCHEMA => Ok(Stored::Run(Box::new(json::parse(&text).map_err(|e| bad(&e))?))),
        STUDY_SCHEMA => Ok(Stored::Study(Box::new(by_name::read(&text).map_err(|e| bad(&e))?))),
        WATCH_SCHEMA => Ok(Stored::Watch),
        other => {
            let ours = format!("schema {other}: not {SCHEMA}, {STUDY_SCHEMA} or {WATCH_SCHEMA}");
            Err(bad(&ours).hint("give run.json, study.json or watch.json"))
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(expecting = "a result in JSON")]
struct Head {
    schema: String,
}

/// The run as it is to be shown: diagnosed again where asked for, or where it has no verdict.
///
/// Errors: exit 2, a merged run has not what its machines found.
fn current(args: &Args, file: &Path, mut run: RunResult) -> Result<RunResult, Exit> {
    let nameless = run.verdict.sentence.is_empty();
    if args.again && !run.machines.is_empty() {
        return Err(Exit::usage(format!("{}: --again of a merged run: its rules ran on each machine's facts", file.display()))
            .hint("sockbench merge again, from the runs that it was made of"));
    }
    if args.again || nameless {
        if nameless && !args.again {
            tell_line(&format!(
                "{}: stored without a verdict: diagnosed again by sockbench {}",
                file.display(),
                env!("CARGO_PKG_VERSION")
            ));
        }
        diagnose_again(&mut run);
    }
    Ok(run)
}

fn render_run(args: &Args, file: &Path, run: &RunResult) -> Result<(), Exit> {
    if let Some(prefix) = &args.csv {
        let history = History::of(&seconds(file, run)?);
        let mut written = Written::default();
        run_output::write_csv(prefix, run, &history, &mut written);
        return written.into_result();
    }
    let text = match args.format {
        Format::Text => {
            let kept = args.document.as_ref().map(|given| given.display().to_string()).unwrap_or_default();
            run_output::report(run, args.report, &super::page(args.no_color, args.report.verbose, Some(kept)))
        }
        Format::Json => run_output::document(json::render(run))?,
        Format::Csv => run_output::document(locust_csv::stats_csv(run))?,
        Format::Hlog => return files::to_stdout(&log_and_seconds(file, run)?.0),
        Format::Html => html::render_run(run, &times_of(file, run)?),
    };
    files::to_stdout(text.as_bytes())
}

/// The rules of this version on the stored facts. What only the run itself knew stays: proofs, and that it was stopped.
fn diagnose_again(run: &mut RunResult) {
    let earlier = std::mem::take(&mut run.findings);
    run.destinations.iter_mut().for_each(diagnose_again);
    if run.destinations.is_empty() {
        diagnose::settle(run);
    } else {
        merge::destinations::settle(run);
    }
    run.findings = keep_proofs(std::mem::take(&mut run.findings), &earlier);
}

/// What is read of a run: its document, and the log beside it.
pub(crate) fn inputs(document: &Path) -> [PathBuf; 2] {
    [document.to_owned(), document.with_extension("hlog")]
}

/// The interval log beside a run's document, as it is stored, and its seconds. It is read once, so that these are the same log.
///
/// Errors: exit 2, it cannot be read, or is not the log of this run.
fn log_and_seconds(file: &Path, run: &RunResult) -> Result<(Vec<u8>, Vec<Interval>), Exit> {
    let log = file.with_extension("hlog");
    let bytes = fs::read(&log).map_err(|e| {
        Exit::usage(format!("{}: {}", log.display(), files::words(&e))).hint("the log is kept beside run.json by -o DIR")
    })?;
    let seconds = hlog::read(&bytes, run).map_err(|e| Exit::usage(format!("{}: {e}", log.display())))?;
    Ok((bytes, seconds))
}

/// The seconds of a run, from the log beside its document. Errors: exit 2.
pub(crate) fn seconds(file: &Path, run: &RunResult) -> Result<Vec<Interval>, Exit> {
    log_and_seconds(file, run).map(|(_, seconds)| seconds)
}

/// The same by endpoint; none where there is no log. Errors: exit 2, a log that cannot be read.
fn times_of(file: &Path, run: &RunResult) -> Result<EndpointTimes, Exit> {
    if !file.with_extension("hlog").is_file() {
        return Ok(EndpointTimes::default());
    }
    Ok(EndpointTimes::of(&seconds(file, run)?))
}

fn study_report(args: &Args, file: &Path, study: &StudyResult) -> Result<(), Exit> {
    let refused = |what: &str| {
        Exit::usage(format!("{}: {what} of a study", file.display()))
            .hint("each step's files are beside study.json; give a step's .json")
    };
    if args.again {
        return Err(refused("--again"));
    }
    let text = match (&args.csv, args.format) {
        (Some(_), _) | (None, Format::Csv) => return Err(refused("csv")),
        (None, Format::Hlog) => return Err(refused("hlog")),
        (None, Format::Json) => run_output::document(json::render_study(study))?,
        (None, Format::Html) => {
            let step = |(i, run): (usize, &RunResult)| times_of(&file.with_file_name(super::study::step_file(i, &run.plan)), run);
            let times = study.steps.iter().enumerate().map(step).collect::<Result<Vec<_>, Exit>>()?;
            html::render_study(study, &times)
        }
        (None, Format::Text) => {
            let kept = file.parent().filter(|dir| !dir.as_os_str().is_empty()).map(|dir| dir.display().to_string());
            render_study(study, &super::page(args.no_color, args.report.verbose, kept.or(Some(".".into()))))
        }
    };
    files::to_stdout(text.as_bytes())
}

/// The page with every figure that was kept of a watch, or its document. Errors: exit 2, it has no such form, or its page was
/// not kept.
fn watch_report(args: &Args, file: &Path) -> Result<(), Exit> {
    let refused = |what: &str| {
        Exit::usage(format!("{}: {what} of a watch: it sent no requests of its own", file.display()))
            .hint("--format text or json; thresholds are for run.json and study.json")
    };
    if args.again {
        return Err(refused("--again"));
    }
    if !args.gates.is_empty() {
        return Err(refused("thresholds"));
    }
    let text = match (&args.csv, args.format) {
        (Some(_), _) | (None, Format::Csv) => return Err(refused("csv")),
        (None, Format::Hlog) => return Err(refused("hlog")),
        (None, Format::Html) => return Err(refused("html")),
        (None, Format::Json) => files::read(file)?,
        (None, Format::Text) => files::read(&file.with_file_name("report.txt"))
            .map_err(|e| e.hint("sockbench watch -o DIR keeps report.txt beside watch.json"))?,
    };
    files::to_stdout(text.as_bytes())
}
