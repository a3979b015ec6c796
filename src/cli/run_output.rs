//! What a run writes and shows besides its text: status lines, the HdrHistogram log while it runs, files at its end.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::load_args::OutputArgs;
use super::status::{self, Status};
use super::{Exit, files};
use crate::load::run::UsersNow;
use crate::model::plan::LoadPlan;
use crate::model::result::RunResult;
use crate::observe::Gauge;
use crate::report::chart::Chart;
use crate::report::hlog::{HlogError, HlogWriter};
use crate::report::locust_csv::{self, History};
use crate::report::{charts, json};
use crate::stats::aggregate::SecondSummary;
use crate::stats::interval::Interval;
use crate::study::measured::Watch;
use crate::sys::clock;
use crate::sys::signals::StopFlag;

/// Watches one run for the terminal and the files.
pub(crate) struct RunWatch<'a> {
    status: Status,
    stop: &'a StopFlag,
    plan: LoadPlan,
    history: History,
    hlog: Option<(HlogWriter<BufWriter<File>>, PathBuf)>,
    failed: Option<HlogError>,
}

impl<'a> RunWatch<'a> {
    /// `hlog` is where the interval log goes, if anywhere.
    pub(crate) fn new(plan: &LoadPlan, quiet: bool, stop: &'a StopFlag, hlog: Option<&Path>) -> Result<Self, Exit> {
        let hlog = match hlog {
            None => None,
            Some(path) => {
                let part = files::with_suffix(path, ".part");
                let fail = |e: &dyn std::fmt::Display| Exit::environment(format!("write {}: {e}", path.display()));
                let file = File::create(&part).map_err(|e| fail(&e))?;
                let now = clock::wall_rfc3339();
                let writer = HlogWriter::begin(BufWriter::new(file), &now, plan).map_err(|e| fail(&e))?;
                Some((writer, path.to_owned()))
            }
        };
        let status = Status::new(quiet, plan.duration);
        Ok(Self { status, stop, plan: plan.clone(), history: History::default(), hlog, failed: None })
    }

    /// Ends the log; the CSV history that was gathered.
    pub(crate) fn finish(self) -> Result<History, Exit> {
        self.status.clear();
        if let Some((writer, path)) = self.hlog {
            let fail = |e: &dyn std::fmt::Display| Exit::environment(format!("write {}: {e}", path.display()));
            if let Some(e) = self.failed {
                return Err(fail(&e));
            }
            writer.finish().map_err(|e| fail(&e))?;
            std::fs::rename(files::with_suffix(&path, ".part"), &path).map_err(|e| fail(&e))?;
        }
        Ok(self.history)
    }
}

impl Watch for RunWatch<'_> {
    fn on_interval(&mut self, interval: &Interval) {
        self.history.push(interval);
        if let Some((writer, _)) = &mut self.hlog
            && let Err(e) = writer.write(interval)
        {
            self.failed.get_or_insert(e);
        }
    }

    fn on_second(&mut self, second: &SecondSummary, users: UsersNow, gauge: Option<&Gauge>) {
        self.status.show(second.second + 1, &status::line(&self.plan, second, users, gauge));
    }

    fn is_stopped(&mut self) -> bool {
        self.stop.is_set()
    }
}

/// Where a command's results go, checked before anything runs.
#[derive(Debug, Clone)]
pub(crate) struct RunFiles {
    output: OutputArgs,
}

impl RunFiles {
    /// Errors: a directory or file that cannot be written, or that holds earlier results.
    pub(crate) fn prepare(output: &OutputArgs, guard: &str) -> Result<Self, Exit> {
        if let Some(dir) = &output.dir {
            files::prepare_dir(dir, guard, output.overwrite)?;
        }
        for file in [&output.json, &output.csv].into_iter().flatten().filter(|f| f.as_os_str() != "-") {
            files::check_writable(file)?;
        }
        Ok(Self { output: output.clone() })
    }

    /// Where the interval log of a run goes.
    pub(crate) fn hlog_path(&self) -> Option<PathBuf> {
        self.output.dir.as_ref().map(|d| d.join("run.hlog"))
    }

    /// Writes what one run asked for.
    pub(crate) fn write(&self, result: &RunResult, history: &History) -> Result<(), Exit> {
        if let Some(dir) = &self.output.dir {
            write_run(&dir.join("run"), result, history)?;
            write_charts(dir, &charts::run_charts(result))?;
        }
        if let Some(prefix) = &self.output.csv {
            write_csv(prefix, result, history)?;
        }
        self.write_json(&document(json::render(result))?)
    }

    /// `--json`.
    pub(crate) fn write_json(&self, document: &str) -> Result<(), Exit> {
        match &self.output.json {
            Some(file) if file.as_os_str() == "-" => files::to_stdout(document.as_bytes()),
            Some(file) => files::write(file, document.as_bytes()),
            None => Ok(()),
        }
    }

    /// Whether stdout belongs to the JSON document.
    pub(crate) fn is_stdout_json(&self) -> bool {
        self.output.json.as_ref().is_some_and(|f| f.as_os_str() == "-")
    }
}

/// `STEM.json` and the three CSV files of one run.
pub(crate) fn write_run(stem: &Path, result: &RunResult, history: &History) -> Result<(), Exit> {
    files::write(&files::with_suffix(stem, ".json"), document(json::render(result))?.as_bytes())?;
    write_csv(stem, result, history)
}

/// `NAME.svg` for each chart.
pub(crate) fn write_charts(dir: &Path, charts: &[(&str, Chart)]) -> Result<(), Exit> {
    for (name, chart) in charts {
        files::write(&dir.join(format!("{name}.svg")), chart.to_svg().as_bytes())?;
    }
    Ok(())
}

/// A document that was rendered, or one line about why not.
pub(crate) fn document<E: std::fmt::Display>(rendered: Result<String, E>) -> Result<String, Exit> {
    rendered.map_err(|e| Exit::environment(format!("render the result: {e}")))
}

/// Locust's three CSV files.
pub(crate) fn write_csv(prefix: &Path, result: &RunResult, history: &History) -> Result<(), Exit> {
    for (suffix, text) in [
        ("_stats.csv", locust_csv::stats_csv(result)),
        ("_stats_history.csv", history.render(result)),
        ("_failures.csv", locust_csv::failures_csv(result)),
    ] {
        files::write(&files::with_suffix(prefix, suffix), document(text)?.as_bytes())?;
    }
    Ok(())
}

/// How long a run is expected to take, in words: for the line before it.
pub(crate) fn length(plan: &LoadPlan) -> String {
    match (plan.duration, plan.requests) {
        (Duration::ZERO, n) => format!("{n} attempts"),
        (d, 0) => humantime::format_duration(d).to_string(),
        (d, n) => format!("{n} attempts or {}", humantime::format_duration(d)),
    }
}
