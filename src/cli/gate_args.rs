//! `--threshold` and what goes with it: checked before a run, judged after it, shown where a pipeline looks.

use std::fs;
use std::path::PathBuf;

use super::files::Asked;
use super::load_args::ReportArgs;
use super::run_output::{self, RunFiles, Written};
use super::{EXIT_FAILED, EXIT_GATE, Exit, files, load_args, tell};
use crate::gates::{self, Durations, Threshold};
use crate::model::plan::LoadPlan;
use crate::model::result::RunResult;
use crate::report::gates_text::{self, JudgedRun};
use crate::report::style::Style;
use crate::report::text::{Detail, Page, render_run};
use crate::report::{github, junit};
use crate::sys::output_file;

/// What a run must hold.
#[derive(Debug, clap::Args, Clone, Default)]
pub(crate) struct GateArgs {
    /// Exit with 99 unless it holds [default: none]
    ///
    /// May be given several times, in k6's grammar: 'http_req_duration:p(95)<250ms', 'http_req_duration{name:/io}:med<100',
    /// 'http_req_failed:rate<1%', 'http_reqs:rate>100'; also ports_peak_share<0.7, local_failures:count==0, rate_ratio>0.99,
    /// schedule_lag:p(99)<5ms, client_busiest_thread<0.9, validity==valid, verdict==healthy. Without samples it fails. An
    /// interrupted run is not judged.
    #[arg(long, hide_short_help = true, value_name = "EXPR", value_parser = threshold, help_heading = "Output")]
    threshold: Vec<Threshold>,
    /// Exit with 99 when the run is not stamped valid
    #[arg(long, hide_short_help = true, help_heading = "Output")]
    fail_on_invalid: bool,
    /// Write the thresholds as JUnit XML [default: none]
    #[arg(long, hide_short_help = true, value_name = "FILE", value_parser = load_args::junit_file, help_heading = "Output")]
    junit: Option<PathBuf>,
}

/// A run to be judged.
pub(crate) struct ToJudge<'a> {
    /// the step of a study
    pub(crate) step: Option<String>,
    pub(crate) result: &'a RunResult,
    /// none where they are not kept
    pub(crate) durations: Option<&'a Durations>,
}

/// What became of the thresholds.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    runs: Vec<JudgedRun>,
}

impl GateArgs {
    pub(crate) fn has_thresholds(&self) -> bool {
        !self.threshold.is_empty()
    }

    /// The file that is asked for.
    pub(crate) fn asked(&self) -> Option<Asked> {
        Asked::of("--junit", self.junit.as_deref())
    }

    /// Errors: a threshold that no run of these plans can have, exit 2.
    pub(crate) fn check<'a>(&self, plans: impl IntoIterator<Item = &'a LoadPlan>) -> Result<(), Exit> {
        for plan in plans {
            for threshold in &self.threshold {
                gates::check(threshold, plan).map_err(|e| Exit::usage(format!("--threshold {}", e.why)).hint(e.hint))?;
            }
        }
        Ok(())
    }

    /// Whether there is anything to judge or to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.threshold.is_empty() && !self.fail_on_invalid && self.junit.is_none()
    }

    /// Whether one of them asks for a figure of `run` that only its histograms have.
    pub(crate) fn need_histogram(&self, run: &RunResult) -> bool {
        self.threshold.iter().any(|t| gates::needs_histogram(t, run))
    }

    /// Compares. What was interrupted, by `signal` or when it was stored, is not judged, and says so.
    ///
    /// Errors: a percentile that is not kept, exit 2.
    pub(crate) fn judge(&self, runs: &[ToJudge<'_>], signal: Option<i32>) -> Result<Outcome, Exit> {
        if self.is_empty() {
            return Ok(Outcome::default());
        }
        if signal.is_some() || runs.iter().any(|r| r.result.was_stopped()) {
            tell("thresholds: not judged, because the run was interrupted");
            return Ok(Outcome::default());
        }
        let valid = self.fail_on_invalid.then(Threshold::valid_run);
        let all: Vec<&Threshold> = self.threshold.iter().chain(&valid).collect();
        let mut judged = Vec::with_capacity(runs.len());
        for run in runs {
            let mut thresholds = Vec::with_capacity(all.len());
            for threshold in &all {
                let one = gates::judge(threshold, run.result, run.durations).map_err(|e| {
                    Exit::usage(format!("--threshold {}: {e}", threshold.text))
                        .hint("p(50), 66, 75, 80, 90, 95, 98, 99, 99.9 and 99.99 are kept; -o DIR keeps run.hlog beside run.json")
                })?;
                thresholds.push(one);
            }
            let (verdict, duration_s) = (run.result.verdict.sentence.clone(), run.result.duration_s);
            judged.push(JudgedRun { step: run.step.clone(), verdict, duration_s, thresholds });
        }
        Ok(Outcome { runs: judged })
    }

    /// `--junit`, and what GitHub Actions shows.
    pub(crate) fn publish(&self, outcome: &Outcome, runs: &[ToJudge<'_>], written: &mut Written) {
        if outcome.runs.is_empty() {
            return;
        }
        if let Some(file) = &self.junit {
            written.rendered(file, junit::render(&outcome.runs));
        }
        if std::env::var_os("GITHUB_ACTIONS").is_some_and(|v| v == "true") {
            for line in github::annotations(&outcome.runs) {
                tell(&line);
            }
            let results: Vec<&RunResult> = runs.iter().map(|r| r.result).collect();
            written.note(summarise(&results, outcome));
        }
    }
}

/// Adds to the summary of the step, within its limit. Errors: exit 3.
fn summarise(results: &[&RunResult], outcome: &Outcome) -> Result<(), Exit> {
    let Some(file) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from).filter(|f| !f.as_os_str().is_empty()) else {
        return Ok(());
    };
    let fail = |e: std::io::Error| Exit::environment(format!("GITHUB_STEP_SUMMARY {}: {}", file.display(), files::words(&e)));
    let there = fs::metadata(&file).map_or(0, |m| usize::try_from(m.len()).unwrap_or(usize::MAX));
    let text = github::summary(results, &outcome.runs, github::SUMMARY_BYTES.saturating_sub(there));
    output_file::append(&file, text.as_bytes()).map_err(fail)
}

impl Outcome {
    /// Keeps and shows the report of a run, with the table below it.
    pub(crate) fn report(&self, run: &RunResult, asked: ReportArgs, no_color: bool, results: &RunFiles, written: &mut Written) {
        let whole = Page { detail: Detail::Full, kept: results.kept_in(), ..Page::plain() };
        results.write_report(&(render_run(run, &whole) + &self.table(Style::Plain)), written);
        if results.is_stdout_json() {
            self.tell_table();
        } else {
            let page = super::page(no_color, asked.verbose, results.kept_in());
            written.note(files::to_stdout((run_output::report(run, asked, &page) + &self.table(page.style)).as_bytes()));
            results.tell_kept();
        }
    }

    /// The table; empty where nothing was judged.
    pub(crate) fn table(&self, style: Style) -> String {
        let table = gates_text::render(&self.runs, style);
        if table.is_empty() { table } else { format!("\n{table}") }
    }

    /// The table on stderr, where stdout belongs to a document.
    pub(crate) fn tell_table(&self) {
        let table = self.table(Style::Plain);
        if !table.is_empty() {
            tell(table.trim_end());
        }
    }

    /// `code` as it would be without thresholds; 99 where one failed and nothing worse happened. Errors: exit 99.
    pub(crate) fn settle(&self, code: u8) -> Result<u8, Exit> {
        let failed = self.runs.iter().flat_map(|r| &r.thresholds).any(|j| !j.passed);
        if failed && code <= EXIT_FAILED {
            return Err(Exit { code: EXIT_GATE, message: gates_text::heading(&self.runs), hint: None });
        }
        Ok(code)
    }
}

fn threshold(text: &str) -> Result<Threshold, String> {
    gates::parse(text).map_err(|e| format!("{}\nhint: {}", e.why, e.hint))
}
