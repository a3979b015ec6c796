//! What a run writes and shows besides its text: status lines, the HdrHistogram log while it runs, files at its end.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::load_args::OutputArgs;
use super::status::{self, Status};
use super::{Exit, files};
use crate::load::run::UsersNow;
use crate::model::plan::LoadPlan;
use crate::model::result::RunResult;
use crate::observe::Gauge;
use crate::report::hlog::HlogWriter;
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
    failed: Option<io::Error>,
}

impl<'a> RunWatch<'a> {
    /// `hlog` is where the interval log goes, if anywhere.
    pub(crate) fn new(plan: &LoadPlan, quiet: bool, stop: &'a StopFlag, hlog: Option<&Path>) -> Result<Self, Exit> {
        let hlog = match hlog {
            None => None,
            Some(path) => {
                let part = files::with_suffix(path, ".part");
                let open = File::create(&part).and_then(|f| HlogWriter::new(BufWriter::new(f), clock::wall(), plan));
                let writer = open.map_err(|e| Exit::environment(format!("write {}: {e}", path.display())))?;
                Some((writer, path.to_owned()))
            }
        };
        Ok(Self {
            status: Status::new(quiet, plan.duration), stop, plan: plan.clone(), history: History::new(), hlog, failed: None })
    }

    /// Ends the log; the CSV history that was gathered.
    pub(crate) fn finish(self) -> Result<History, Exit> {
        self.status.clear();
        if let Some((writer, path)) = self.hlog {
            let done = match self.failed {
                Some(e) => Err(e),
                None => writer.finish().and_then(|mut w| w.flush()).and_then(|()| std::fs::rename(files::with_suffix(&path, ".part"), &path)),
            };
            done.map_err(|e| Exit::environment(format!("write {}: {e}", path.display())))?;
        }
        Ok(self.history)
    }
}

impl Watch for RunWatch<'_> {
    fn on_interval(&mut self, interval: &Interval) {
        self.history.add(interval);
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
            for (name, svg) in charts::run_charts(result) {
                files::write(&dir.join(name), svg.as_bytes())?;
            }
        }
        if let Some(prefix) = &self.output.csv {
            write_csv(prefix, result, history)?;
        }
        self.write_json(&json::render(result))
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
    files::write(&files::with_suffix(stem, ".json"), json::render(result).as_bytes())?;
    write_csv(stem, result, history)
}

pub(crate) fn write_csv(prefix: &Path, result: &RunResult, history: &History) -> Result<(), Exit> {
    let bad = |e: csv::Error| Exit::environment(format!("write CSV: {e}"));
    files::write(&files::with_suffix(prefix, "_stats.csv"), &locust_csv::stats(result).map_err(bad)?)?;
    files::write(&files::with_suffix(prefix, "_stats_history.csv"), &locust_csv::history(result, history).map_err(bad)?)?;
    files::write(&files::with_suffix(prefix, "_failures.csv"), &locust_csv::failures(result).map_err(bad)?)
}

/// How long a run is expected to take, in words: for the line before it.
pub(crate) fn length(plan: &LoadPlan) -> String {
    match (plan.duration, plan.requests) {
        (Duration::ZERO, n) => format!("{n} attempts"),
        (d, 0) => humantime::format_duration(d).to_string(),
        (d, n) => format!("{n} attempts or {}", humantime::format_duration(d)),
    }
}
