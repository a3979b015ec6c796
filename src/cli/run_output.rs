//! What a run writes and shows besides its text: status lines, the HdrHistogram log while it runs, files at its end.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::load_args::{OutputArgs, ReportArgs};
use super::status::{self, Status};
use super::{Exit, files};
use crate::gates::Durations;
use crate::load::run::UsersNow;
use crate::model::plan::LoadPlan;
use crate::model::result::RunResult;
use crate::observe::LivePorts;
use crate::report::chart::{self, Chart, EndpointTimes};
use crate::report::hlog::{HlogError, HlogWriter};
use crate::report::locust_csv::{self, History};
use crate::report::text::{self, Detail, Page};
use crate::report::{html, json};
use crate::stats::interval::{Interval, SecondSummary};
use crate::study::measured::Watch;
use crate::sys::clock;
use crate::sys::signals::StopFlag;

/// Results that could not be written. One that fails keeps none of the others back.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    failed: Vec<String>,
}

impl Unwritten {
    /// Remembers a failure.
    pub(crate) fn note(&mut self, result: Result<(), Exit>) {
        self.failed.extend(result.err().map(|exit| exit.message));
    }

    /// The exit of a run: what could not be written is exit 3, unless a signal ended the run. Errors: the same.
    pub(crate) fn settle(self, code: Result<u8, Exit>) -> Result<u8, Exit> {
        match (self.into_result(), code) {
            (Err(exit), Ok(code)) if code > 128 => {
                super::warn(&exit.message);
                Ok(code)
            }
            (unwritten, code) => unwritten.and(code),
        }
    }

    /// Errors: exit 3, all that failed in one line.
    pub(crate) fn into_result(self) -> Result<(), Exit> {
        if self.failed.is_empty() {
            return Ok(());
        }
        Err(Exit::environment(self.failed.join("; ")).hint("everything else was written; --overwrite takes the same place again"))
    }
}

/// Watches one run for the terminal and the files.
pub(crate) struct RunWatch<'a> {
    status: Status,
    stop: &'a StopFlag,
    plan: LoadPlan,
    seconds: Seconds,
    log: Option<Log>,
}

/// What files and charts need of each second and the result does not keep.
#[derive(Default)]
pub(crate) struct Seconds {
    /// Locust's CSV history
    pub(crate) history: History,
    /// percentiles by endpoint
    pub(crate) times: EndpointTimes,
    /// all latencies, for thresholds
    pub(crate) durations: Durations,
}

/// The interval log while it grows. Dropped before its end, it leaves no half of it behind.
struct Log {
    path: PathBuf,
    writer: Option<HlogWriter<BufWriter<File>>>,
    failed: Option<HlogError>,
}

impl Log {
    fn begin(path: &Path, plan: &LoadPlan) -> Result<Self, Exit> {
        let fail = |e: &dyn std::fmt::Display| Exit::environment(format!("write {}: {e}", path.display()));
        let mut log = Self { path: path.to_owned(), writer: None, failed: None };
        let file = File::create(log.part()).map_err(|e| fail(&e))?;
        let writer = HlogWriter::begin(BufWriter::new(file), &clock::wall_rfc3339(), plan).map_err(|e| fail(&e))?;
        log.writer = Some(writer);
        Ok(log)
    }

    fn part(&self) -> PathBuf {
        files::with_suffix(&self.path, ".part")
    }

    fn write(&mut self, interval: &Interval) {
        if let Some(Err(e)) = self.writer.as_mut().map(|w| w.write(interval)) {
            self.failed.get_or_insert(e);
        }
    }

    fn finish(mut self) -> Result<(), Exit> {
        let fail = |path: &Path, e: &dyn std::fmt::Display| Exit::environment(format!("write {}: {e}", path.display()));
        if let Some(e) = self.failed.take() {
            return Err(fail(&self.path, &e));
        }
        if let Some(writer) = self.writer.take() {
            writer.finish().map_err(|e| fail(&self.path, &e))?;
            std::fs::rename(self.part(), &self.path).map_err(|e| fail(&self.path, &e))?;
        }
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Nothing is there after a log that was finished.
        let _ = std::fs::remove_file(self.part());
    }
}

impl<'a> RunWatch<'a> {
    /// `hlog` is where the interval log goes, if anywhere.
    ///
    /// Errors: it cannot be begun.
    pub(crate) fn new(plan: &LoadPlan, quiet: bool, stop: &'a StopFlag, hlog: Option<&Path>) -> Result<Self, Exit> {
        let log = hlog.map(|path| Log::begin(path, plan)).transpose()?;
        Ok(Self { log, ..Self::without_log(plan, quiet, stop) })
    }

    /// One that keeps no interval log.
    pub(crate) fn without_log(plan: &LoadPlan, quiet: bool, stop: &'a StopFlag) -> Self {
        let status = Status::new(quiet, plan.duration);
        Self { status, stop, plan: plan.clone(), seconds: Seconds::default(), log: None }
    }

    /// Ends the log; what was gathered second by second.
    pub(crate) fn finish(self, unwritten: &mut Unwritten) -> Seconds {
        self.status.clear();
        if let Some(log) = self.log {
            unwritten.note(log.finish());
        }
        self.seconds
    }
}

impl Watch for RunWatch<'_> {
    fn on_interval(&mut self, interval: &Interval) {
        self.seconds.history.push(interval);
        self.seconds.times.push(interval);
        self.seconds.durations.push(interval);
        if let Some(log) = &mut self.log {
            log.write(interval);
        }
    }

    fn on_second(&mut self, second: &SecondSummary, users: UsersNow, live: Option<&LivePorts>) {
        self.status.show(second.second + 1, &status::line(&self.plan, second, users, live));
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
        if let Some(file) = output.html.as_ref().filter(|file| output.json.as_ref() == Some(*file)) {
            return Err(Exit::usage(format!("--html {}: --json names the same file", file.display())).hint("give each its own"));
        }
        let files = [&output.json, &output.csv, &output.html].into_iter().flatten().filter(|f| f.as_os_str() != "-");
        // A file in the directory waits for it; the directory is made when nothing else is wrong.
        let is_inside = |file: &Path| output.dir.is_some() && file.parent() == output.dir.as_deref();
        let (inside, elsewhere): (Vec<&PathBuf>, Vec<&PathBuf>) = files.partition(|file| is_inside(file));
        elsewhere.into_iter().try_for_each(|file| files::check_writable(file))?;
        if let Some(dir) = &output.dir {
            files::prepare_dir(dir, guard, output.overwrite)?;
        }
        inside.into_iter().try_for_each(|file| files::check_writable(file))?;
        Ok(Self { output: output.clone() })
    }

    /// Where the interval log of a run goes.
    pub(crate) fn hlog_path(&self) -> Option<PathBuf> {
        self.output.dir.as_ref().map(|d| d.join("run.hlog"))
    }

    /// Writes what one run asked for.
    pub(crate) fn write(&self, result: &RunResult, seconds: &Seconds, unwritten: &mut Unwritten) {
        if let Some(dir) = &self.output.dir {
            write_run(&dir.join("run"), result, &seconds.history, unwritten);
            write_charts(dir, &chart::run_charts(result, &seconds.times), unwritten);
        }
        if let Some(prefix) = &self.output.csv {
            write_csv(prefix, result, &seconds.history, unwritten);
        }
        unwritten.note(document(json::render(result)).and_then(|d| self.write_json(&d)));
        unwritten.note(self.write_html(|| html::render_run(result, &seconds.times)));
    }

    /// `--html`. `page` is made only where it is asked for.
    pub(crate) fn write_html(&self, page: impl FnOnce() -> String) -> Result<(), Exit> {
        self.output.html.as_ref().map_or(Ok(()), |file| files::write(file, page().as_bytes()))
    }

    /// `--json`.
    pub(crate) fn write_json(&self, document: &str) -> Result<(), Exit> {
        match &self.output.json {
            Some(file) if file.as_os_str() == "-" => files::to_stdout(document.as_bytes()),
            Some(file) => files::write(file, document.as_bytes()),
            None => Ok(()),
        }
    }

    /// `report.txt`: what stdout shows, in plain text.
    pub(crate) fn write_report(&self, text: &str) -> Result<(), Exit> {
        self.output.dir.as_ref().map_or(Ok(()), |dir| files::write(&dir.join("report.txt"), text.as_bytes()))
    }

    /// Whether stdout belongs to the JSON document.
    pub(crate) fn is_stdout_json(&self) -> bool {
        self.output.json.as_ref().is_some_and(|f| f.as_os_str() == "-")
    }
}

/// The report of a run as asked for: one screen or everything, with Locust's tables or without.
pub(crate) fn report(run: &RunResult, asked: ReportArgs, page: Page) -> String {
    let detail = if asked.verbose { Detail::Full } else { Detail::Brief };
    let page = Page { detail, ..page };
    let mut text = text::render_run(run, &page);
    // -v has the tables already.
    if asked.locust_table && !asked.verbose {
        text += &format!("\n{}", text::render_locust_table(run, page.style));
    }
    text
}

/// `report.txt`: everything, in plain text.
pub(crate) fn whole_report(run: &RunResult, kept: Option<String>) -> String {
    text::render_run(run, &Page { detail: Detail::Full, kept, ..Page::plain() })
}

/// `STEM.json` and the three CSV files of one run.
pub(crate) fn write_run(stem: &Path, result: &RunResult, history: &History, unwritten: &mut Unwritten) {
    let file = files::with_suffix(stem, ".json");
    unwritten.note(document(json::render(result)).and_then(|d| files::write(&file, d.as_bytes())));
    write_csv(stem, result, history, unwritten);
}

/// `NAME.svg` for each chart.
pub(crate) fn write_charts(dir: &Path, charts: &[(&str, Chart)], unwritten: &mut Unwritten) {
    for (name, chart) in charts {
        unwritten.note(files::write(&dir.join(format!("{name}.svg")), chart.to_svg().as_bytes()));
    }
}

/// A document that was rendered, or one line about why not.
pub(crate) fn document<E: std::fmt::Display>(rendered: Result<String, E>) -> Result<String, Exit> {
    rendered.map_err(|e| Exit::environment(format!("render the result: {e}")))
}

/// Locust's three CSV files.
pub(crate) fn write_csv(prefix: &Path, result: &RunResult, history: &History, unwritten: &mut Unwritten) {
    for (suffix, text) in [
        ("_stats.csv", locust_csv::stats_csv(result)),
        ("_stats_history.csv", history.render(result)),
        ("_failures.csv", locust_csv::failures_csv(result)),
    ] {
        let file = files::with_suffix(prefix, suffix);
        unwritten.note(document(text).and_then(|t| files::write(&file, t.as_bytes())));
    }
}
