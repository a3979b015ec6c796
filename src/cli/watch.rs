//! `sockbench watch`: any command, watched from outside.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

use super::load_args::OutputArgs;
use super::run_output::{Keeps, RunFiles, Written};
use super::sandbox::{self, SandboxArgs};
use super::watch_output::{Passing, Streams};
use super::{EXIT_GATE, Exit, command_line, tell_line};
use crate::explain::Heard;
use crate::model::finding::FindingId;
use crate::model::order::Order as _;
use crate::model::result::Tool;
use crate::model::units;
use crate::model::watch::{Output, WATCH_SCHEMA, WatchReport, Watched};
use crate::observe::looker::{self, Looker, Whom};
use crate::report::text::{Detail, Page, render_watch};
use crate::sys::clock::{Clock, wall_rfc3339};
use crate::sys::command::{self, Ended, Event, Signals};
use crate::sys::{descriptors, host, netns, process, reaper, socket, thread};
use crate::watch::{Course, End, Stopping, findings, named_addresses, program_of, settle};

/// Looks of the first second, seconds from the start; one a second follows.
const FIRST_LOOKS_S: [f64; 4] = [0.1, 0.25, 0.5, 1.0];
/// Share of a core that looks may take after the first second: one that costs more is followed by a longer pause. 28,000
/// sockets in TIME_WAIT cost some 35 ms a look.
const LOOKS_SHARE: f64 = 0.015;
/// But no pause is longer than this.
const PAUSE_MAX_S: f64 = 5.0;
/// How often a process that is no child is looked for, and one that is to stop.
const ALIVE_EVERY: Duration = Duration::from_millis(100);
/// Names are looked up for this many addresses of the command's words.
const NAMES_MAX: usize = 8;

/// Watch any command, such as a load tool, and say which limit it hits, and when it will.
///
/// The command runs as without sockbench: its input, output and exit code are its own. Its source ports, TIME_WAIT,
/// descriptors and CPU are looked at once a second, and so is the server, where it is on this host. A line on stderr says when
/// the ports will run out; a report follows at the end, on stderr. No root is needed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: the command's own; 128+N where signal N ended it; 126 it cannot be executed, 127 there is none; 2 no process has the id of --pid; 99 with --fail-on"
)]
pub(crate) struct Args {
    /// The command and its arguments
    #[arg(last = true, required_unless_present = "pid", value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Watch this process and its children, which run already
    #[arg(long, value_name = "PID", conflicts_with_all = ["command", "sandbox"])]
    pid: Option<u32>,
    /// Connections to this address (HOST:PORT or URL) are the command's, repeatable: where its words do not name it
    #[arg(long, value_name = "ADDR", value_parser = destination)]
    to: Vec<String>,
    /// Stop watching after this time; the command gets SIGTERM, SIGKILL 30 s later; a process of --pid runs on
    #[arg(short = 'd', long, value_name = "DURATION", value_parser = units::duration)]
    duration: Option<Duration>,
    /// Do not read the command's output: it gets this terminal or file itself
    #[arg(long)]
    no_read: bool,
    /// Exit code 99 where this finding is there, repeatable
    #[arg(long, value_name = "FINDING", value_parser = finding)]
    fail_on: Vec<FindingId>,
    #[command(flatten)]
    sandbox: SandboxArgs,
    /// Write the result as JSON to FILE (replaced if it exists)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    json: Option<PathBuf>,
    /// Keep watch.json and report.txt (the report as plain text) in this directory
    #[arg(short = 'o', long = "output", value_name = "DIR", help_heading = "Output")]
    dir: Option<PathBuf>,
    /// Replace results that are already there
    #[arg(long, help_heading = "Output")]
    overwrite: bool,
    /// Show every finding
    #[arg(short = 'v', long, help_heading = "Output")]
    verbose: bool,
    /// No lines while it runs
    #[arg(short = 'q', long, help_heading = "Output")]
    quiet: bool,
    /// No colours
    #[arg(long, help_heading = "Output")]
    no_color: bool,
}

#[expect(clippy::needless_pass_by_value, reason = "every command takes its arguments in the same way")]
pub(crate) fn run(args: Args) -> Result<u8, Exit> {
    let output =
        OutputArgs { dir: args.dir.clone(), json: args.json.clone(), overwrite: args.overwrite, ..OutputArgs::default() };
    if output.json.as_deref().is_some_and(super::files::is_stdout) {
        return Err(Exit::usage("--json -: stdout is the command's").hint("--json FILE"));
    }
    let files = RunFiles::prepare(&output, &Keeps::Watch, None)?;
    enter(&args.sandbox)?;
    // Before any thread is started.
    let signals = Signals::take().map_err(|e| Exit::environment(format!("watch: signals: {e}")))?;
    let (report, code) = watch(&args, &signals)?;
    let mut written = Written::default();
    let document = || serde_json::to_string_pretty(&report).map(|text| text + "\n");
    if let Some(dir) = &output.dir {
        written.rendered(&dir.join("watch.json"), document());
        let whole = Page { detail: Detail::Full, kept: None, ..Page::plain() };
        files.write_report(&render_watch(&report, &whole), &mut written);
    }
    files.write_json(document(), &mut written);
    let page = super::page_of_stderr(args.no_color, args.verbose, files.kept_in());
    // Its colours are its own; what is foreign in it was made visible.
    let _ = io::stderr().write_all(render_watch(&report, &page).as_bytes());
    let failed = report.findings.iter().find(|f| args.fail_on.contains(&f.id));
    written.settle(Ok(if failed.is_some() { EXIT_GATE } else { code }))
}

/// A private namespace, where one is asked for, that does not outlive the command.
fn enter(sandbox: &SandboxArgs) -> Result<(), Exit> {
    let outside = reaper::namespace();
    sandbox::show(&sandbox.enter_if_asked(None)?);
    if sandbox.sandbox {
        sandbox::reap_in_the_end(outside);
    }
    Ok(())
}

/// One watch from its first look to its last.
struct Watch<'a> {
    args: &'a Args,
    clock: Clock,
    looker: Looker,
    course: Course,
    looks: usize,
    /// the last look cost CPU: no further one before then
    not_before_s: f64,
    /// the command's process
    pid: u32,
    ended: Option<(Ended, f64)>,
    stopping: Stopping,
    passing: Passing,
}

fn watch(args: &Args, signals: &Signals) -> Result<(WatchReport, u8), Exit> {
    let words: Vec<String> = match args.pid {
        Some(pid) => words_of(pid)?,
        None => args.command.iter().map(|w| w.to_string_lossy().into_owned()).collect(),
    };
    if let Some(pid) = args.pid {
        // A container's ports are its own: they are looked at where they are.
        let joined = netns::join(pid).map_err(|e| {
            let why = super::files::words(&e);
            Exit::environment(format!("--pid {pid}: its network namespace cannot be entered: {why}")).hint("as root")
        })?;
        if joined && !args.quiet {
            tell_line(&format!("sockbench: process {pid} is in another network namespace: looking there"));
        }
    }
    let mut report = report(words, args.sandbox.sandbox);
    let clock = Clock::start();
    let whom = args.pid.map_or(Whom::Children, Whom::Tree);
    let mut looker = Looker::new(whom, clock);
    let mut course = Course::default();
    if !args.sandbox.sandbox {
        course.share();
    }
    course.name(&resolved(named_addresses(&args.to)));
    course.name(&resolved(named_addresses(&report.watched.words)));
    course.on_look(&looker.look(&[]), None);
    looker.start();
    let start_s = clock.now().as_secs_f64();
    let (pid, passing) = match args.pid {
        Some(pid) => (pid, Passing::default()),
        None => start(args, signals)?,
    };
    report.watched.pid = pid;
    let stopping = Stopping::default();
    let mut watch = Watch { args, clock, looker, course, looks: 0, not_before_s: 0.0, pid, ended: None, stopping, passing };
    watch.follow(signals, start_s).map_err(|e| Exit::environment(format!("watch: {e}")))?;
    let at_s = watch.ended.map_or_else(|| clock.now().as_secs_f64() - start_s, |(_, at_s)| at_s);
    let ended = watch.ended.map(|(ended, _)| ended);
    report.watched.stopped = args.pid.is_none() && watch.stopping.has_begun();
    report.output.read = watch.passing.reads;
    for heard in watch.passing.finish(signals) {
        add(&mut report.output, heard);
    }
    report.output.readings.order_by_key(|r| std::cmp::Reverse(r.count));
    let addresses = report.output.readings.iter().filter_map(|r| Some(r.address.as_ref()?.to_string())).collect::<Vec<_>>();
    watch.course.name(&resolved(named_addresses(&addresses)));
    let throttling = watch.looker.throttling();
    let left = if args.pid.is_some() { 0 } else { watch.looker.read_all().len() as u32 };
    report.watched.ended = Some(ended.is_some() || args.pid.is_some_and(|pid| !looker::is_alive(pid)));
    let code;
    (report.watched.exit_code, report.watched.signal, code) = match ended {
        Some(Ended::Code(code)) => (Some(code), None, code as u8),
        Some(Ended::Signal(signal)) => (None, Some(signal), 128 + signal as u8),
        Some(Ended::Unknown) => (None, None, 1),
        None => (None, None, 0),
    };
    watch.course.write(&mut report, End { at_s, left });
    report.processes.throttling = throttling;
    settle(&mut report);
    Ok((report, code))
}

impl Watch<'_> {
    /// Looks until there is nothing left to look at.
    fn follow(&mut self, signals: &Signals, start_s: f64) -> io::Result<()> {
        loop {
            let now_s = self.clock.now().as_secs_f64() - start_s;
            let in_turn_s =
                FIRST_LOOKS_S.get(self.looks).copied().unwrap_or_else(|| (self.looks - FIRST_LOOKS_S.len() + 2) as f64);
            let due_s = in_turn_s.max(self.not_before_s);
            let mut patience = Duration::try_from_secs_f64(due_s - now_s).unwrap_or(Duration::ZERO);
            if self.args.pid.is_some() || self.stopping.has_begun() {
                patience = patience.min(ALIVE_EVERY);
            } else if let Some(limit) = self.args.duration {
                patience = patience.min(Duration::try_from_secs_f64(limit.as_secs_f64() - now_s).unwrap_or(Duration::ZERO));
            }
            let event = signals.wait(patience)?;
            let now_s = self.clock.now().as_secs_f64() - start_s;
            match event {
                Event::Child if self.ended.is_none() => self.ended = command::reap(self.pid).map(|ended| (ended, now_s)),
                Event::Child => drop(command::reap(self.pid)),
                Event::Stop { signal, from_terminal } => self.stopping.on_signal(now_s, signal, from_terminal),
                Event::Resized => self.passing.resize(&self.looker.read_all()),
                Event::Timeout => {}
            }
            if self.args.duration.is_some_and(|limit| now_s >= limit.as_secs_f64()) {
                self.stopping.on_time_limit(now_s);
            }
            if self.is_over(now_s) {
                break;
            }
            self.stop(now_s);
            if now_s >= due_s {
                let ((), cost_s) = thread::with_cost(|| self.look());
                if now_s >= 1.0 {
                    self.not_before_s = now_s + (cost_s / LOOKS_SHARE).min(PAUSE_MAX_S);
                }
                // A late look does not make up for those that it missed.
                let due = (now_s.floor() as usize + FIRST_LOOKS_S.len()).saturating_sub(1);
                self.looks = (self.looks + 1).max(if now_s >= 1.0 { due } else { 0 });
            }
        }
        let ended_s = self.ended.map_or(self.clock.now().as_secs_f64() - start_s, |(_, at)| at);
        let look = self.looker.look(&self.course.destinations());
        self.course.on_look(&look, Some(ended_s));
        Ok(())
    }

    fn look(&mut self) {
        let look = self.looker.look(&self.course.destinations());
        for outlook in self.course.on_look(&look, None) {
            // A line that nobody takes is not waited for: the report has it.
            if !self.args.quiet && command::wait_writable(io::stderr().as_fd(), Some(Duration::ZERO)).unwrap_or(true) {
                tell_line(&format!("sockbench: {}", outlook.text));
            }
        }
    }

    /// Whether nothing runs any more that matters: what the command left behind counts, unless it is a server.
    fn is_over(&self, now_s: f64) -> bool {
        if let Some(pid) = self.args.pid {
            return self.stopping.has_begun() || !looker::is_alive(pid);
        }
        if self.ended.is_none() {
            return false;
        }
        if self.stopping.has_begun() {
            return self.stopping.has_given_up(now_s) || self.looker.read_all().is_empty();
        }
        self.looker.read_pids().iter().all(|pid| looker::listens(*pid))
    }

    /// Signals whoever is to be signalled now, if the watch is to stop.
    fn stop(&mut self, now_s: f64) {
        if self.stopping.has_begun() {
            let command = self.ended.is_none().then_some(self.pid);
            for (pid, signal) in self.stopping.signals(now_s, command, &self.looker.read_all()) {
                command::send(pid, signal);
            }
        }
    }
}

fn start(args: &Args, signals: &Signals) -> Result<(u32, Passing), Exit> {
    let streams = Streams::make(!args.no_read).map_err(|e| Exit::environment(format!("watch: pipe: {e}")))?;
    let (out, err, ours) = streams.split();
    let pid = command::start(signals, &args.command, out, err).map_err(|e| {
        let name = args.command.first().map(|w| w.to_string_lossy().into_owned()).unwrap_or_default();
        sandbox::not_executed(&e, "watch", &name)
    })?;
    let passing = ours.pass_on().map_err(|e| Exit::environment(format!("watch: threads: {e}")))?;
    Ok((pid, passing))
}

/// Adds what a stream says.
fn add(output: &mut Output, heard: Heard) {
    let is_same = output.bad_answers == 0 || heard.bad_answers == 0 || output.bad_status == heard.status;
    output.bad_status = output.bad_status.or(heard.status).filter(|_| is_same);
    // Numbers that a foreign text names: a sum ends at the largest.
    output.bad_answers = output.bad_answers.saturating_add(heard.bad_answers);
    // A stream with bad answers that it does not count among all leaves the number of all open.
    let answers = output.answers.into_iter().chain(heard.answers).reduce(u64::saturating_add);
    output.answers = answers.filter(|all| *all >= output.bad_answers);
    output.answered = output.answered.into_iter().chain(heard.answered).reduce(|a, b| a | b);
    output.usage |= heard.usage;
    output.readings.extend(heard.readings);
}

/// A report in which nothing was seen yet.
fn report(words: Vec<String>, sandbox: bool) -> WatchReport {
    let (host, missing) = host::read_host();
    let program = program_of(&words).map(|p| p.name.to_owned());
    let mut report = WatchReport {
        schema: WATCH_SCHEMA.into(),
        tool: Tool { version: env!("CARGO_PKG_VERSION").into() },
        command: command_line(),
        started_at: wall_rfc3339(),
        watched: Watched { words, program, sandbox, ..Watched::default() },
        host,
        ..WatchReport::default()
    };
    for (key, why) in missing {
        report.explain_null(&key, why);
    }
    report
}

/// The command line of a process. Errors: there is none, or it is another user's.
fn words_of(pid: u32) -> Result<Vec<String>, Exit> {
    let refused = |e: &io::Error, what: &str| {
        if process::is_gone(e) {
            let exit = Exit::usage(format!("--pid {pid}: no process has this id"));
            return exit.hint("`pgrep -a NAME` lists the ids of programs that run");
        }
        let exit = Exit::usage(format!("--pid {pid}: {what}{}", super::files::words(e)));
        if e.kind() == io::ErrorKind::PermissionDenied { exit.hint("as root, or as the user of that process") } else { exit }
    };
    let words = process::read_words(pid).map_err(|e| refused(&e, ""))?;
    descriptors::read_open(pid).map_err(|e| refused(&e, "its descriptors: "))?;
    Ok(words)
}

/// An address as the words of a command name one.
fn destination(word: &str) -> Result<String, String> {
    match named_addresses(&[word.to_owned()])[..] {
        [_] => Ok(word.to_owned()),
        _ => Err(format!("{word}: not an address with a port\nhint: such as 127.0.0.1:8080 or http://localhost:8080/")),
    }
}

/// The addresses of these; a name that has none is no address of the command's.
fn resolved(named: Vec<(String, u16)>) -> Vec<SocketAddr> {
    let all = named.into_iter().take(NAMES_MAX);
    all.flat_map(|(host, port)| socket::resolve(&host, port).unwrap_or_default())
        .map(crate::model::port_count::concrete)
        .collect()
}

fn finding(word: &str) -> Result<FindingId, String> {
    let words = || findings().map(FindingId::word).collect::<Vec<_>>().join(", ");
    findings()
        .find(|id| id.word() == word)
        .ok_or_else(|| format!("{word:?}: nothing that watching can find\nhint: one of {}", words()))
}
