//! What a run writes and shows besides its text: status lines, the HdrHistogram log while it runs, files at its end.

use std::collections::BTreeMap;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use super::files::Asked;
use super::live_args::Followers;
use super::load_args::{OutputArgs, ReportArgs};
use super::status::{self, Status};
use super::{Exit, files};
use crate::gates::Durations;
use crate::load::run::UsersNow;
use crate::model::figures::counted;
use crate::model::outcome::Failure;
use crate::model::plan::LoadPlan;
use crate::model::result::RunResult;
use crate::observe::LivePorts;
use crate::report::chart::{self, Chart, EndpointTimes};
use crate::report::hlog::{HlogError, HlogWriter};
use crate::report::locust_csv::{self, History};
use crate::report::text::{self, Page};
use crate::report::{html, json};
use crate::stats::interval::{Interval, SecondSummary};
use crate::study::measured::Watch;
use crate::sys::clock;
use crate::sys::first_thread::FirstThread;
use crate::sys::output_file::{Claim, Draft};
use crate::sys::signals::StopFlag;

/// Results that are written one by one. One that fails keeps none of the others back.
#[derive(Debug, Default)]
pub(crate) struct Written {
    files: usize,
    failed: Vec<String>,
}

impl Written {
    /// Writes one file and remembers what became of it.
    pub(crate) fn file(&mut self, file: &Path, bytes: &[u8]) {
        self.kept(files::write(file, bytes));
    }

    /// Remembers what became of a file.
    fn kept(&mut self, done: Result<(), Exit>) {
        self.files += usize::from(done.is_ok());
        self.note(done);
    }

    /// The same, where it has to be rendered first.
    pub(crate) fn rendered<E: std::fmt::Display>(&mut self, file: &Path, text: Result<String, E>) {
        match document(text) {
            Ok(text) => self.file(file, text.as_bytes()),
            Err(exit) => self.note(Err(exit)),
        }
    }

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

    /// Errors: exit 3, all that failed in one line, and how many files were written.
    pub(crate) fn into_result(self) -> Result<(), Exit> {
        if self.failed.is_empty() {
            return Ok(());
        }
        let kept = if self.files == 0 { "no other file".to_owned() } else { counted(self.files as u64, "other file") };
        let was = if self.files > 1 { "were" } else { "was" };
        Err(Exit::environment(self.failed.join("; ")).hint(format!("{kept} {was} written")))
    }
}

/// Watches one run for the terminal and the files.
pub(crate) struct RunWatch<'a> {
    status: Status,
    stop: &'a StopFlag,
    followers: &'a Followers,
    first: Option<&'a FirstThread>,
    plan: LoadPlan,
    step: Option<(usize, usize)>,
    /// of several destinations, what was seen of each in this second
    each: Vec<LivePorts>,
    /// the last second, its failures by kind, and requests that have ended so far
    last: (u64, BTreeMap<Failure, u64>),
    ended: u64,
    seconds: Seconds,
    reads: Reads,
    log: Option<Log>,
}

/// What is gathered of each second. What nobody reads is not: it takes memory for each endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reads {
    /// [`Seconds::history`]: Locust's CSV files are written
    pub(crate) history: bool,
    /// [`Seconds::durations`]: thresholds are judged
    pub(crate) durations: bool,
}

impl Reads {
    /// By these files, and by thresholds where there are some.
    pub(crate) fn of(output: &OutputArgs, has_thresholds: bool) -> Self {
        Self { history: output.dir.is_some() || output.csv.is_some(), durations: has_thresholds }
    }
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

impl Seconds {
    /// Of a run that is over.
    pub(crate) fn of(intervals: &[Interval]) -> Self {
        Self { history: History::of(intervals), times: EndpointTimes::of(intervals), durations: Durations::of(intervals) }
    }
}

/// The interval log while it grows. Dropped before its end, it leaves no half of it behind.
struct Log {
    path: PathBuf,
    writer: HlogWriter<BufWriter<Draft>>,
    failed: Option<HlogError>,
}

impl Log {
    /// Errors: exit 2, nothing has run yet.
    fn begin(path: &Path, plan: &LoadPlan) -> Result<Self, Exit> {
        let refused = |why: String| Exit::usage(format!("write {}: {why}", path.display()));
        let draft = Draft::begin(path).map_err(|e| refused(files::words(&e)))?;
        let writer =
            HlogWriter::begin(BufWriter::new(draft), &clock::wall_rfc3339(), plan).map_err(|e| refused(e.to_string()))?;
        Ok(Self { path: path.to_owned(), writer, failed: None })
    }

    fn write(&mut self, interval: &Interval) {
        if self.failed.is_none() {
            self.failed = self.writer.write(interval).err();
        }
    }

    fn finish(self) -> Result<(), Exit> {
        let whole = match self.failed {
            Some(e) => Err(e),
            None => self.writer.finish(),
        };
        let draft = whole.and_then(|buffered| buffered.into_inner().map_err(|e| HlogError::Io(e.into_error())));
        draft.and_then(|draft| draft.keep().map_err(HlogError::Io)).map_err(|e| match e {
            HlogError::Io(e) => files::failed(&self.path, &e),
            other => files::failed(&self.path, &io::Error::other(other)),
        })
    }
}

impl<'a> RunWatch<'a> {
    /// `hlog` is where the interval log goes, if anywhere.
    ///
    /// Errors: it cannot be begun.
    pub(crate) fn new(
        plan: &LoadPlan,
        quiet: bool,
        stop: &'a StopFlag,
        followers: &'a Followers,
        reads: Reads,
        hlog: Option<&Path>,
    ) -> Result<Self, Exit> {
        let log = hlog.map(|path| Log::begin(path, plan)).transpose()?;
        Ok(Self { log, ..Self::without_log(plan, quiet, stop, followers, reads) })
    }

    /// One that keeps no interval log.
    pub(crate) fn without_log(plan: &LoadPlan, quiet: bool, stop: &'a StopFlag, followers: &'a Followers, reads: Reads) -> Self {
        Self {
            status: Status::new(quiet),
            stop,
            followers,
            first: None,
            plan: plan.clone(),
            step: None,
            each: Vec::new(),
            last: (0, BTreeMap::new()),
            ended: 0,
            seconds: Seconds::default(),
            reads,
            log: None,
        }
    }

    /// Whose load may have the process's first thread.
    pub(crate) fn on(self, first: &'a FirstThread) -> Self {
        Self { first: Some(first), ..self }
    }

    /// For step `step` of `steps`, from 1.
    pub(crate) fn of_step(self, step: usize, steps: usize) -> Self {
        Self { step: Some((step, steps)), ..self }
    }

    /// Ends the log; what was gathered second by second.
    pub(crate) fn finish(self, written: &mut Written) -> Seconds {
        self.status.clear();
        if let Some(log) = self.log {
            written.kept(log.finish());
        }
        self.seconds
    }
}

impl Watch for RunWatch<'_> {
    fn on_interval(&mut self, interval: &Interval) {
        if self.reads.history {
            self.seconds.history.push(interval);
        }
        self.seconds.times.push(interval);
        if self.reads.durations {
            self.seconds.durations.push(interval);
        }
        self.followers.on_interval(interval);
        self.last = (interval.second, status::by_kind(interval));
        let counts = interval.counts();
        self.ended += counts.requests + counts.local_failures;
        if let Some(log) = &mut self.log {
            log.write(interval);
        }
    }

    fn on_second(&mut self, second: &SecondSummary, users: UsersNow, live: Option<&LivePorts>) {
        let none = BTreeMap::new();
        let failures = if self.last.0 == second.second { &self.last.1 } else { &none };
        let (plan, ended, step) = (&self.plan, self.ended, self.step);
        self.status.show(&status::Second {
            plan,
            counted: second,
            users,
            live,
            failures,
            ended,
            step,
            page: self.followers.page_url(),
        });
        self.followers.on_second(second.second, users, live, &self.each);
    }

    fn on_destinations(&mut self, each: &[LivePorts]) {
        self.each = each.to_vec();
    }

    fn is_stopped(&mut self) -> bool {
        self.stop.is_set()
    }

    fn signal(&self) -> Option<StopFlag> {
        Some(self.stop.clone())
    }

    fn first(&self) -> Option<&FirstThread> {
        self.first
    }
}

/// What a command keeps.
pub(crate) enum Keeps {
    Run,
    /// the steps of a study, by the ends of the names of their files
    Steps(Vec<String>),
    Rehearsal,
    /// a watched command
    Watch,
}

impl Keeps {
    fn document(&self) -> &'static str {
        match self {
            Self::Run => "run.json",
            Self::Steps(_) => "study.json",
            Self::Rehearsal => "rehearsal.json",
            Self::Watch => "watch.json",
        }
    }

    fn csv_prefixes(&self, prefix: &Path) -> Vec<PathBuf> {
        match self {
            Self::Run => vec![prefix.to_owned()],
            Self::Steps(ends) => ends.iter().map(|end| files::with_suffix(prefix, end)).collect(),
            Self::Rehearsal | Self::Watch => Vec::new(),
        }
    }
}

/// Where a command's results go, checked before anything runs.
#[derive(Debug)]
pub(crate) struct RunFiles {
    output: OutputArgs,
    /// no other run writes into the directory meanwhile
    _claim: Option<Claim>,
}

impl RunFiles {
    /// `more` is what other flags than those of [`OutputArgs`] ask for.
    ///
    /// Errors: exit 2: a directory or file that cannot be written, that another run has, or that holds earlier results.
    pub(crate) fn prepare(output: &OutputArgs, keeps: &Keeps, more: Option<Asked>) -> Result<Self, Exit> {
        let json = Asked::of("--json", output.json.as_deref());
        let html = Asked::of("--html", output.html.as_deref());
        let csv = output.csv.iter().flat_map(|prefix| keeps.csv_prefixes(prefix));
        let csv: Vec<Asked> = csv.flat_map(|prefix| Asked::csv(&prefix).collect::<Vec<_>>()).collect();
        let all: Vec<Asked> = json.into_iter().chain(html).chain(csv).chain(more).collect();
        files::check_distinct(&all)?;
        // A file in the directory waits for it; the directory is made when nothing else is wrong.
        let is_inside = |asked: &Asked| output.dir.as_deref().is_some_and(|dir| asked.is_in(dir));
        let (inside, elsewhere): (Vec<Asked>, Vec<Asked>) = all.into_iter().partition(is_inside);
        elsewhere.iter().try_for_each(files::check_writable)?;
        let claim = |dir: &PathBuf| files::claim_dir(dir, keeps.document(), output.overwrite);
        let claim = output.dir.as_ref().map(claim).transpose()?;
        inside.iter().try_for_each(files::check_writable)?;
        Ok(Self { output: output.clone(), _claim: claim })
    }

    /// Where the interval log of a run goes.
    pub(crate) fn hlog_path(&self) -> Option<PathBuf> {
        self.output.dir.as_ref().map(|d| d.join("run.hlog"))
    }

    /// Writes the interval log of a run that is over.
    pub(crate) fn write_log(&self, result: &RunResult, intervals: &[Interval], written: &mut Written) {
        let Some(path) = self.hlog_path() else { return };
        let log = HlogWriter::begin(Vec::new(), &result.started_at, &result.plan).and_then(|mut log| {
            intervals.iter().try_for_each(|interval| log.write(interval))?;
            log.finish()
        });
        match log {
            Ok(bytes) => written.file(&path, &bytes),
            Err(e) => written.note(Err(files::failed(&path, &io::Error::other(e)))),
        }
    }

    /// Writes what one run asked for.
    pub(crate) fn write(&self, result: &RunResult, seconds: &Seconds, written: &mut Written) {
        if let Some(dir) = &self.output.dir {
            write_run(&dir.join("run"), result, &seconds.history, written);
            write_charts(dir, &chart::run_charts(result, &seconds.times), written);
        }
        if let Some(prefix) = &self.output.csv {
            write_csv(prefix, result, &seconds.history, written);
        }
        self.write_json(json::render(result), written);
        self.write_html(|| html::render_run(result, &seconds.times), written);
    }

    /// `--html`. `page` is made only where it is asked for.
    pub(crate) fn write_html(&self, page: impl FnOnce() -> String, written: &mut Written) {
        if let Some(file) = &self.output.html {
            written.file(file, page().as_bytes());
        }
    }

    /// `--json`.
    pub(crate) fn write_json<E: std::fmt::Display>(&self, text: Result<String, E>, written: &mut Written) {
        match &self.output.json {
            Some(_) if self.is_stdout_json() => written.note(document(text).and_then(|d| files::to_stdout(d.as_bytes()))),
            Some(file) => written.rendered(file, text),
            None => {}
        }
    }

    /// The directory that the results are kept in.
    pub(crate) fn kept_in(&self) -> Option<String> {
        self.output.dir.as_ref().map(|dir| dir.display().to_string())
    }

    /// `kept in DIR` on stderr, after the report; nothing with `-q`.
    pub(crate) fn tell_kept(&self) {
        if let Some(dir) = self.kept_in().filter(|_| !self.output.quiet) {
            super::tell(&format!("kept in {dir}"));
        }
    }

    /// `report.txt`: what stdout shows, in plain text.
    pub(crate) fn write_report(&self, text: &str, written: &mut Written) {
        if let Some(dir) = &self.output.dir {
            written.file(&dir.join("report.txt"), text.as_bytes());
        }
    }

    /// Whether stdout belongs to the JSON document.
    pub(crate) fn is_stdout_json(&self) -> bool {
        self.output.json.as_deref().is_some_and(files::is_stdout)
    }
}

/// The report of a run as asked for: one screen or everything, with Locust's tables or without.
pub(crate) fn report(run: &RunResult, asked: ReportArgs, page: &Page) -> String {
    let mut text = text::render_run(run, page);
    // -v has the tables already.
    if asked.locust_table && !asked.verbose {
        text += &format!("\n{}", text::render_locust_table(run, page));
    }
    text
}

/// `STEM.json` and the three CSV files of one run.
pub(crate) fn write_run(stem: &Path, result: &RunResult, history: &History, written: &mut Written) {
    let file = files::with_suffix(stem, ".json");
    written.rendered(&file, json::render(result));
    write_csv(stem, result, history, written);
}

/// `NAME.svg` for each chart.
pub(crate) fn write_charts(dir: &Path, charts: &[(&str, Chart)], written: &mut Written) {
    for (name, chart) in charts {
        written.file(&dir.join(format!("{name}.svg")), chart.to_svg().as_bytes());
    }
}

/// A document that was rendered, or one line about why not.
pub(crate) fn document<E: std::fmt::Display>(rendered: Result<String, E>) -> Result<String, Exit> {
    rendered.map_err(|e| Exit::environment(format!("render the result: {e}")))
}

/// Locust's three CSV files.
pub(crate) fn write_csv(prefix: &Path, result: &RunResult, history: &History, written: &mut Written) {
    let texts = [locust_csv::stats_csv(result), history.render(result), locust_csv::failures_csv(result)];
    for (suffix, text) in files::CSV_NAMES.iter().zip(texts) {
        written.rendered(&files::with_suffix(prefix, suffix), text);
    }
}
