//! `sockbench compare`: runs side by side.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::Asked;
use super::run_output::{self, Written};
use super::{EXIT_GATE, Exit, files, load_args};
use crate::compare::{self, ChangeThreshold, NotRead, RunSide};
use crate::model::by_name;
use crate::model::comparison::{Comparison, Unlike};
use crate::model::document::plain;
use crate::model::order::Order as _;
use crate::model::plan::LoadPlan;
use crate::model::result::{RunResult, SCHEMA};
use crate::model::study::STUDY_SCHEMA;
use crate::remedy::change::between;
use crate::remedy::quoted;
use crate::report::gates_text::{self, JudgedRun};
use crate::report::style::{Style, shortened, visible};
use crate::report::text::render_comparison;
use crate::report::{hlog, html, json, junit};

const INPUTS: &str = "run.json, the directory that -o made, Locust's _stats.csv, oha's JSON or k6's --summary-export";
/// Characters of a refusal, two lines, `sockbench: ` in front of it included.
const LINE: usize = 160;
const PROGRAM: usize = "sockbench: ".len();
/// Columns of a run's name in a refusal, and of one thing that differs.
const NAME: usize = 16;
const PART: usize = 50;
/// Columns of the flags that make another plan.
const FLAGS: usize = 120;
/// Steps of a study that are named.
const STEPS_SHOWN: usize = 2;

/// Compare runs with the first of them, and say whether they differ by more than chance.
///
/// A run is a run.json, or the directory that -o made; also Locust's PREFIX_stats.csv (with PREFIX_stats_history.csv beside it),
/// oha's JSON and k6's --summary-export (by its documentation, not tried against k6). p50 and p95 of each endpoint, the share of
/// failures and, of sockbench load --rate, the rate decide: their change is compared with what chance makes of the seconds of both
/// runs (block bootstrap, Holm's correction). Steady parts under 10 s say nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Two or more results; all are compared with the first
    #[arg(value_name = "RUN", num_args = 2.., required = true)]
    runs: Vec<PathBuf>,
    /// Compare although machine, settings, target or plan differ
    #[arg(long)]
    across_environments: bool,
    /// Exit with 99 unless it holds [default: none]
    ///
    /// May be given several times: p50_change, p95_change, p99_change, rate_change or failed_change against a bound, such as
    /// 'p95_change<5%' or 'rate_change>-2%'.
    #[arg(long, value_name = "EXPR", value_parser = threshold, allow_hyphen_values = true)]
    threshold: Vec<ChangeThreshold>,
    /// Write the thresholds as JUnit XML [default: none]
    #[arg(long, value_name = "FILE", value_parser = load_args::junit_file)]
    junit: Option<PathBuf>,
    /// Write the comparison as JSON; "-" writes only JSON to stdout [default: none]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    json: Option<PathBuf>,
    /// Write a page to show to others [default: none]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    html: Option<PathBuf>,
    /// No colours
    #[arg(long, help_heading = "Output")]
    no_color: bool,
}

/// A result that was read.
struct Input {
    side: RunSide,
    /// none where another tool wrote it
    run: Option<Box<RunResult>>,
}

pub(crate) fn run(args: &Args) -> Result<u8, Exit> {
    let outputs = [("--json", &args.json), ("--html", &args.html), ("--junit", &args.junit)];
    let asked = outputs.map(|(flag, file)| Asked::of(flag, file.as_deref()));
    let asked: Vec<Asked> = asked.into_iter().flatten().collect();
    files::check(&asked)?;
    let documents = args.runs.iter().filter_map(|given| super::report::document(given).ok());
    files::spare(&asked, &documents.flat_map(|document| super::report::inputs(&document)).collect::<Vec<_>>())?;
    let inputs = args.runs.iter().map(|path| read(path)).collect::<Result<Vec<Input>, Exit>>()?;
    let (base, others) = inputs.split_first().ok_or_else(|| Exit::usage("nothing to compare"))?;
    let unlike: Vec<Vec<Unlike>> = others.iter().map(|other| differences(base, other)).collect();
    let first_unlike = others.iter().zip(&unlike).find(|(_, unlike)| !unlike.is_empty() && !args.across_environments);
    if let Some((other, unlike)) = first_unlike {
        let plans = base.run.as_ref().zip(other.run.as_ref()).map(|(a, b)| (&a.plan, &b.plan));
        let who = if others.len() == 1 { "the second run" } else { &other.side.info.name };
        return Err(refused(who, unlike, plans));
    }
    let sides: Vec<RunSide> = others.iter().map(|other| other.side.clone()).collect();
    let comparison = compare::compare(&base.side, &sides, unlike);
    let judged = judged(args, &comparison);
    show(args, &comparison, &judged)?;
    if judged.iter().flat_map(|r| &r.thresholds).any(|j| !j.passed) {
        return Err(Exit { code: EXIT_GATE, message: gates_text::heading(&judged), hint: None });
    }
    Ok(0)
}

fn show(args: &Args, comparison: &Comparison, judged: &[JudgedRun]) -> Result<(), Exit> {
    let document = serde_json::to_string_pretty(comparison).map(|text| text + "\n");
    let table = |style: Style| gates_text::render(judged, style);
    let mut written = Written::default();
    if args.json.as_deref().is_some_and(files::is_stdout) {
        written.note(run_output::document(document).and_then(|d| files::to_stdout(d.as_bytes())));
        if !judged.is_empty() {
            super::tell(table(Style::Plain).trim_end());
        }
    } else {
        if let Some(file) = &args.json {
            written.rendered(file, document);
        }
        let mut text = render_comparison(comparison, &super::page(args.no_color, false, None));
        if !judged.is_empty() {
            text += &format!("\n{}", table(super::style(args.no_color)));
        }
        written.note(files::to_stdout(text.as_bytes()));
    }
    if let Some(file) = &args.html {
        written.file(file, html::render_comparison(comparison).as_bytes());
    }
    if let Some(file) = &args.junit {
        written.rendered(file, junit::render(judged));
    }
    written.into_result()
}

fn judged(args: &Args, comparison: &Comparison) -> Vec<JudgedRun> {
    if args.threshold.is_empty() {
        return Vec::new();
    }
    let several = comparison.pairs.len() > 1;
    let of = |pair: &crate::model::comparison::Pair| JudgedRun {
        step: several.then(|| pair.side.name.clone()),
        verdict: pair.sentence.clone(),
        duration_s: pair.side.duration_s,
        thresholds: args.threshold.iter().map(|t| compare::judge(t, pair)).collect(),
    };
    comparison.pairs.iter().map(of).collect()
}

/// What other tools did not store cannot differ.
fn differences(base: &Input, other: &Input) -> Vec<Unlike> {
    match (&base.run, &other.run) {
        (Some(a), Some(b)) => compare::unlike(a, b),
        _ => Vec::new(),
    }
}

/// The flags of `who` that the first run had not, else what differs; as much of it as fits, and how much more.
fn refused(who: &str, unlike: &[Unlike], plans: Option<(&LoadPlan, &LoadPlan)>) -> Exit {
    // What the plans differ in is named by the flags that make them so.
    let flags = plans.and_then(|(a, b)| between(a, b));
    let rest = unlike.iter().filter(|u| flags.is_none() || !u.key.starts_with("plan."));
    let who = shortened(&visible(who), NAME);
    let mut parts = flags.iter().map(|flags| shortened(flags, FLAGS)).chain(rest.map(|u| shortened(&u.in_words(short), PART)));
    let (verb, most) = if flags.is_some() { ("has another plan:", 2 * LINE) } else { ("differs:", LINE) };
    let mut text = format!("{who} {verb} {}", parts.next().unwrap_or_default());
    let all: Vec<String> = parts.collect();
    let mut said = 0;
    for part in &all {
        let more = format!(", {} more", all.len() - said);
        if PROGRAM + text.chars().count() + 2 + part.chars().count() + more.len() > most {
            break;
        }
        text += &format!(", {part}");
        said += 1;
    }
    if said < all.len() {
        text += &format!(", {} more", all.len() - said);
    }
    Exit::usage(text).hint("--across-environments compares them nevertheless")
}

fn short(text: &str) -> String {
    shortened(&visible(text), 24)
}

fn read(given: &Path) -> Result<Input, Exit> {
    let name = given.display().to_string();
    let path = if given.is_dir() { run_in(given)? } else { given.to_owned() };
    let bad = |why: &dyn std::fmt::Display| Exit::usage(format!("{}: {}", path.display(), plain(&why.to_string()))).hint(INPUTS);
    let text = files::read(&path).map_err(|e| e.hint(INPUTS))?;
    let foreign = |side: Result<RunSide, NotRead>| Ok(Input { side: side.map_err(|e| bad(&e))?, run: None });
    if let Some(prefix) = path.to_str().and_then(|p| p.strip_suffix("_stats.csv")) {
        let history = PathBuf::from(format!("{prefix}_stats_history.csv"));
        let history = if history.is_file() { Some(files::read(&history)?) } else { None };
        return foreign(compare::locust(&name, &text, history.as_deref()));
    }
    let head: Head = by_name::read(&text).map_err(|e| bad(&format!("not a result: {e}")))?;
    match head {
        Head { schema: Some(schema), .. } if schema == SCHEMA => {
            let run = json::parse(&text).map_err(|e| bad(&e))?;
            let log = path.with_extension("hlog");
            let log = if log.is_file() {
                let bytes = fs::read(&log).map_err(|e| bad(&files::words(&e)))?;
                Some(hlog::read(&bytes, &run).map_err(|e| Exit::usage(format!("{}: {e}", log.display())))?)
            } else {
                None
            };
            Ok(Input { side: RunSide::of(&name, &run, log.as_deref()), run: Some(Box::new(run)) })
        }
        Head { schema: Some(schema), .. } if schema == STUDY_SCHEMA => Err(several(&path)),
        Head { schema: Some(schema), .. } => Err(bad(&format!("schema {schema}: not one run"))),
        Head { metrics: Some(_), .. } => foreign(compare::k6(&name, &text)),
        Head { .. } => foreign(compare::oha(&name, &text)),
    }
}

/// The run that a directory keeps. Errors: it keeps a study, or nothing of the kind.
fn run_in(dir: &Path) -> Result<PathBuf, Exit> {
    let [run, study] = ["run.json", "study.json"].map(|name| dir.join(name));
    match (run.is_file(), study.is_file()) {
        (true, _) => Ok(run),
        (false, true) => Err(several(&study)),
        (false, false) => Err(Exit::usage(format!("{}: no run.json in it", dir.display())).hint(INPUTS)),
    }
}

/// A study is several runs: which files they are.
fn several(study: &Path) -> Exit {
    let dir = study.parent().unwrap_or(Path::new("."));
    let is_step = |path: &PathBuf| path.extension().is_some_and(|e| e == "json") && path.as_path() != study;
    let mut steps: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).filter(is_step).collect();
    steps.order_by(Ord::cmp);
    let named: Vec<String> = steps.iter().take(STEPS_SHOWN).map(|step| quoted(&step.display().to_string())).collect();
    Exit::usage(format!("{}: a study, not one run", study.display())).hint(match named.as_slice() {
        [first, second, ..] => format!("its steps are runs: sockbench compare {first} {second}"),
        [only] => format!("its step is a run: {only}"),
        [] => "the steps of a study are files beside study.json".to_owned(),
    })
}

/// What says whose document it is.
#[derive(serde::Deserialize)]
#[serde(expecting = "a result in JSON")]
struct Head {
    schema: Option<String>,
    metrics: Option<serde::de::IgnoredAny>,
}

fn threshold(text: &str) -> Result<ChangeThreshold, String> {
    compare::parse_threshold(text).map_err(|e| format!("{}\nhint: {}", e.why, e.hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever differs, and however a run is called.
    #[test]
    fn a_refusal_is_short_and_says_how_much_more_differs() {
        for len in [1, 9, 20, 60] {
            for n in [1, 2, 5, 40] {
                let each = |i: usize| Unlike {
                    key: format!("host.{i}{}", "k".repeat(len)),
                    base: "b".repeat(len),
                    other: "o".repeat(len),
                };
                let exit = refused(&"n".repeat(len), &(0..n).map(each).collect::<Vec<_>>(), None);
                assert!(PROGRAM + exit.message.chars().count() <= LINE && !exit.message.contains('\n'), "{}", exit.message);
                let is_whole = (0..n).all(|i| exit.message.contains(&format!("{i}k")));
                assert!(is_whole || exit.message.ends_with(" more"), "{}", exit.message);
                assert!(exit.hint.is_some_and(|hint| hint.len() <= LINE / 2 && !hint.contains(';')));
            }
        }
    }
}
