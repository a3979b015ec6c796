//! `sockbench worker`: load that a Locust master leads. One thread speaks with the master ([`link`]), this one runs the tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::connection_args::ConnectionArgs;
use super::live_args::Followers;
use super::load_args::{self, OutputArgs};
use super::run_output::{Keeps, Reads, RunFiles, RunWatch, Written};
use super::{Exit, load, locust_flags, target};
use crate::dist::locust::act::Leave;
use crate::dist::locust::locustfile::{Asks, classes};
use crate::dist::locust::message::Spawn;
use crate::dist::locust::worker::SEARCH;
use crate::load::run::UsersNow;
use crate::load::steering::Steering;
use crate::model::outcome::EndpointId;
use crate::model::plan::LoadPlan;
use crate::model::time::Stamp;
use crate::observe::{Baseline, LivePorts};
use crate::report::text::{Detail, Page, render_run};
use crate::stats::interval::{Interval, SecondSummary};
use crate::study::measured::{self, Watch};
use crate::sys::clock::{self, Clock};
use crate::sys::first_thread::FirstThread;
use crate::sys::signals::StopFlag;
use crate::sys::thread;
use link::{Link, News, Run};

mod link;

/// Load a target as a worker of a Locust master, and say here why it failed.
///
/// The master decides on target, users, start and stop; its locustfile is what sockbench locustfile prints. It has no say in
/// what is given here: a target that is not this host needs --allow-remote, because Locust's port asks for no password.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the master is [default: LOCUST_MASTER_NODE_HOST, or 127.0.0.1]
    #[arg(long, value_name = "HOST")]
    master_host: Option<String>,
    /// Its port for workers [default: LOCUST_MASTER_NODE_PORT, or 5557]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    master_port: Option<u16>,
    #[command(flatten)]
    conn: ConnectionArgs,
    /// Keep each test in a directory below this one: DIR/1, DIR/2 and so on [default: none]
    #[arg(short = 'o', long = "output", value_name = "DIR", help_heading = "Output")]
    dir: Option<PathBuf>,
    /// No line per second, no report
    #[arg(short = 'q', long, help_heading = "Output")]
    quiet: bool,
    /// Show every figure, the evidence, full commands
    #[arg(short = 'v', long, help_heading = "Output")]
    verbose: bool,
}

/// Locust's own defaults, and the variables that its workers read.
const HOST: (&str, &str) = ("LOCUST_MASTER_NODE_HOST", "127.0.0.1");
/// See [`HOST`].
const PORT: (&str, u16) = ("LOCUST_MASTER_NODE_PORT", 5557);

pub(crate) fn run(args: &Args) -> Result<u8, Exit> {
    let stop = StopFlag::install().map_err(|e| Exit::environment(format!("signal handlers: {e}")))?;
    super::beside_the_load(Box::new(|first| run_on(args, &stop, first)))
}

fn run_on(args: &Args, stop: &StopFlag, first: &FirstThread) -> Result<u8, Exit> {
    let (host, port) = master(args)?;
    let (orders, tests) = crossbeam_channel::unbounded();
    let (news, of_runs) = crossbeam_channel::unbounded();
    let clock = Clock::start();
    let cut_at = Arc::new(AtomicU64::new(Stamp::NEVER.0));
    super::tell_line(&format!("looking for Locust's master at {host}:{port}"));
    let link = Link::new((host.clone(), port), clock, stop.clone(), orders, of_runs, Arc::clone(&cut_at));
    let link = thread::giving("locust-link", move || link.run());
    let link = link.map_err(|e| Exit::environment(format!("start a thread: {e}")))?;
    let mut worker = Tests { args, stop, first, clock, cut_at, news, unwritten: Written::default() };
    worker.run(&tests);
    let leave = link.join().ok_or_else(|| Exit::environment("the thread that speaks with the master has died"))?;
    let code = match leave {
        Leave::Quit => Ok(0),
        Leave::Signal => Ok(128 + stop.signal().unwrap_or(15) as u8),
        Leave::NoMaster => Err(Exit::environment(format!("{host}:{port}: no master of Locust for {} s", SEARCH.as_secs()))
            .hint("locust --master -f LOCUSTFILE; --master-host and --master-port say where it is")),
    };
    worker.unwritten.settle(code)
}

/// Host and port. Errors: exit 2: a variable that is no port.
fn master(args: &Args) -> Result<(String, u16), Exit> {
    let variable = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
    let host = args.master_host.clone().or_else(|| variable(HOST.0)).unwrap_or_else(|| HOST.1.to_owned());
    let port = match (args.master_port, variable(PORT.0)) {
        (Some(port), _) => port,
        (None, Some(text)) => text
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| Exit::usage(format!("{} {text:?}: not a port", PORT.0)).hint("--master-port 5557"))?,
        (None, None) => PORT.1,
    };
    Ok((host, port))
}

/// Runs what the link hands over, one test after another.
struct Tests<'a> {
    args: &'a Args,
    stop: &'a StopFlag,
    first: &'a FirstThread,
    clock: Clock,
    /// when a run that is ending is cut off
    cut_at: Arc<AtomicU64>,
    news: Sender<News>,
    unwritten: Written,
}

impl Tests<'_> {
    /// Until the link ends.
    fn run(&mut self, tests: &Receiver<Spawn>) {
        for spawn in tests {
            if let Err(exit) = self.one(&spawn) {
                let hint = exit.hint.map_or_else(String::new, |hint| format!("; {hint}"));
                let _ = self.news.send(News::Failed(format!("{}{hint}", exit.message)));
            }
        }
    }

    /// One test. Errors: it cannot be run, and nothing has been.
    fn one(&mut self, spawn: &Spawn) -> Result<(), Exit> {
        let plan = plan(self.args, spawn)?;
        load::raise_nofile([&plan]);
        let dir = self.args.dir.as_deref().map(free_dir).transpose()?;
        let output = OutputArgs { dir, quiet: self.args.quiet, ..OutputArgs::default() };
        let files = RunFiles::prepare(&output, &Keeps::Run, None)?;
        let named = classes(&plan.mix);
        let asks = named.iter().map(|(_, asks)| match asks {
            Asks::Mix => None,
            Asks::Entry(n) => Some(EndpointId(*n as u16)),
        });
        let steering = Arc::new(Steering::new(&asks.collect::<Vec<_>>()));
        let baseline = Baseline::of(&plan);
        let nobody = Followers::default();
        let reads = Reads::of(&output, false);
        let watch = RunWatch::new(&plan, self.args.quiet, self.stop, &nobody, reads, files.hlog_path().as_deref())?;
        let watch = watch.on(self.first);
        self.cut_at.store(Stamp::NEVER.0, Ordering::SeqCst);
        let _ = self.news.send(News::Begun(Run {
            steering: Arc::clone(&steering),
            classes: named.into_iter().map(|(name, _)| name).collect(),
            method: plan.method.clone(),
            paths: plan.mix.iter().map(|entry| entry.path.clone()).collect(),
            started: Duration::from_nanos(clock::wall_unix_ns()).as_secs_f64(),
        }));
        let mut watch = Led { watch, steering, clock: self.clock, cut_at: &self.cut_at, news: &self.news, is_abandoned: false };
        let measured = measured::measure(&plan, baseline, None, &super::command_line(), &mut watch)
            .map_err(|e| Exit::environment(format!("start the client: {e}")))?;
        let written = &mut self.unwritten;
        let seconds = watch.watch.finish(written);
        files.write(&measured.result, &seconds, written);
        let whole = Page { detail: Detail::Full, kept: files.kept_in(), ..Page::plain() };
        files.write_report(&render_run(&measured.result, &whole), written);
        if !self.args.quiet {
            let page = super::page(false, self.args.verbose, files.kept_in());
            written.note(super::files::to_stdout(render_run(&measured.result, &page).as_bytes()));
        }
        Ok(())
    }
}

/// The plan of one test: what is asked comes from the master, how this machine does it from its own command line.
fn plan(args: &Args, spawn: &Spawn) -> Result<LoadPlan, Exit> {
    let carried = locust_flags::read(&spawn.flags)?;
    let url = spawn.host.as_deref().ok_or_else(|| Exit::usage("no target: the master was started without --host"))?;
    let found = target::resolve(url, args.conn.allow_remote)?;
    let conn = carried.onto(&args.conn);
    let mut run = carried.run;
    run.conns = Some(u64::from(conn.threads));
    let plan = load_args::plan(&run, &conn, found.target, &found.path)?;
    // The master ends it, or the machine that speaks with it when it has lasted too long.
    Ok(LoadPlan { duration: Duration::ZERO, led: true, ..plan })
}

/// The first of DIR/1, DIR/2 and so on that is not there. Errors: exit 2.
fn free_dir(dir: &Path) -> Result<PathBuf, Exit> {
    let mut numbered = (1..=u32::MAX).map(|n| dir.join(n.to_string()));
    numbered.find(|path| !path.exists()).ok_or_else(|| Exit::usage(format!("-o {}: full", dir.display())))
}

/// A run whose users and end are the master's to decide.
struct Led<'a> {
    watch: RunWatch<'a>,
    steering: Arc<Steering>,
    clock: Clock,
    cut_at: &'a AtomicU64,
    news: &'a Sender<News>,
    /// the thread that speaks with the master is gone: nobody would end the run
    is_abandoned: bool,
}

impl Watch for Led<'_> {
    fn on_interval(&mut self, interval: &Interval) {
        self.watch.on_interval(interval);
        self.is_abandoned |= self.news.send(News::Second(Box::new(interval.clone()))).is_err();
    }

    fn on_second(&mut self, second: &SecondSummary, users: UsersNow, live: Option<&LivePorts>) {
        self.watch.on_second(second, users, live);
    }

    fn is_stopped(&mut self) -> bool {
        self.is_abandoned || self.clock.now().0 >= self.cut_at.load(Ordering::SeqCst)
    }

    fn steering(&self) -> Option<Arc<Steering>> {
        Some(Arc::clone(&self.steering))
    }

    fn first(&self) -> Option<&FirstThread> {
        self.watch.first()
    }

    fn on_load_over(&mut self) {
        let _ = self.news.send(News::Over);
    }
}
