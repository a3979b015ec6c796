//! `sockbench load`: one run.

use std::io;

use super::connection_args::ConnectionArgs;
use super::gate_args::{GateArgs, ToJudge};
use super::live_args::{Doors, LiveArgs};
use super::load_args::{OutputArgs, ReportArgs, RunArgs};
use super::run_output::{Keeps, Reads, RunFiles, RunWatch, Written};
use super::sandbox::{self, SandboxArgs};
use super::shard_args::{ShardArgs, Start};
use super::{Exit, destinations, load_args, ports_args, proofs, target, tell};
use crate::load::run::Ended;
use crate::model::environment::Environment;
use crate::model::figures::{count, counted};
use crate::model::finding::FindingId;
use crate::model::outcome::ECONNREFUSED;
use crate::model::plan::{Aim, LoadLimits, LoadPlan, Target};
use crate::model::result::{RunResult, VerdictId};
use crate::model::server_flags::ServerFlags;
use crate::observe::Baseline;
use crate::report::html;
use crate::report::plan_text;
use crate::report::style::wrapped;
use crate::study::destinations as side_by_side;
use crate::study::measured::{self, Measured};
use crate::study::own_server::{OwnServer, SANDBOX_PORT};
use crate::study::preflight;
use crate::sys::first_thread::FirstThread;
use crate::sys::nofile::{self, Raised};
use crate::sys::signals::StopFlag;

/// Run one load test and say why it failed.
///
/// Without a URL, sockbench starts a server of its own on a free loopback port and asks for /health=50, /io=30, /cpu=20.
///
/// Several URLs share the load in equal parts, or by the weights of --mix. Each user belongs to one destination, an address and
/// port, which has a pool of source ports, threads (one at least) and a row of the report.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Built-in limits: {}", plan_text::load_limits(&LoadLimits::default())))]
pub(crate) struct Args {
    /// http:// URLs to load; without one, sockbench's own server
    #[arg(value_name = "URL")]
    pub(crate) urls: Vec<String>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    conn: ConnectionArgs,
    #[command(flatten)]
    sandbox: SandboxArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    gates: GateArgs,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    shard: ShardArgs,
    /// Setting of sockbench's own server [default: none]
    ///
    /// A flag of sockbench server without its dashes, such as cpu-workers=1 or keepalive=off.
    #[arg(long, value_name = "FLAG=VALUE", conflicts_with = "urls", hide_short_help = true, help_heading = "Target")]
    server: Vec<String>,
}

/// Where sockbench's own server will be.
const NO_PORT_YET: ([u8; 4], u16) = ([127, 0, 0, 1], 1);

pub(crate) fn run(args: &Args) -> Result<u8, Exit> {
    args.shard.check(args.first_url().is_some())?;
    let start = args.shard.start(args.output.quiet);
    let doors = args.live.open(args.sandbox.sandbox)?;
    let settings = args.sandbox.enter_if_asked(args.first_url())?;
    if !args.output.quiet {
        sandbox::show(&settings);
    }
    let stop = StopFlag::install().map_err(|e| Exit::environment(format!("signal handlers: {e}")))?;
    super::beside_the_load(Box::new(|first| run_on(args, start, doors, &stop, first)))
}

fn run_on(args: &Args, mut start: Start, doors: Doors, stop: &StopFlag, first: &FirstThread) -> Result<u8, Exit> {
    // Everything a person can get wrong is found before anything is made or started.
    let aimed = aimed(args)?;
    let mut planned = plan(args, &aimed)?;
    args.gates.check([&planned.plan])?;
    raise_nofile([&planned.plan]);
    let files = RunFiles::prepare(&args.output, &Keeps::Run, args.gates.asked())?;
    let mut own = None;
    if planned.plan.target.own_server {
        let port = if args.sandbox.sandbox { SANDBOX_PORT } else { 0 };
        let started = start_own_server(port, &planned.plan.environment.server)?;
        planned = plan(args, &Aimed::One(Target::own(started.addr()), "/".to_owned()))?;
        own = Some(started);
    }
    let plan = &planned.plan;
    for doubt in ports_args::doubts(plan).into_iter().chain(load_args::doubt(&args.run)) {
        super::warn(&doubt);
    }
    start.approach(plan, stop);
    let look = if is_try(args, &planned) { Baseline::of_try } else { Baseline::of };
    let looks: Vec<Baseline> = planned.loads().map(look).collect();
    announce(plan, &planned.loads().zip(&looks).collect::<Vec<_>>(), &args.output);
    let followers = doors.start(args.output.quiet)?;
    followers.begin(plan, &looks[0], "", None);
    let reads = Reads::of(&args.output, args.gates.has_thresholds());
    let watch = RunWatch::new(plan, args.output.quiet, stop, &followers, reads, files.hlog_path().as_deref())?;
    let mut watch = watch.on(first);
    start.wait(plan, stop);
    let (mut result, ended) = measure(&planned, looks, own.as_ref().map(OwnServer::pid), &mut watch)
        .map_err(|e| Exit::environment(format!("start the client: {e}")))?;
    proofs::attach(&mut result);
    start.settle(&mut result);
    let mut written = Written::default();
    let seconds = watch.finish(&mut written);
    if let Some(own) = own {
        stop_own_server(own);
    }
    files.write(&result, &seconds, &mut written);
    let to_judge = ToJudge { step: None, result: &result, durations: Some(&seconds.durations) };
    // A shard that had nothing to do has no figures to judge.
    let to_judge = if plan.is_empty() { Vec::new() } else { vec![to_judge] };
    let outcome = args.gates.judge(&to_judge, stop.signal())?;
    outcome.report(&result, args.report, args.output.no_color, &files, &mut written);
    args.gates.publish(&outcome, &to_judge, &mut written);
    followers.end(|| html::run_page(&result, &seconds.times));
    let runs: Vec<(&RunResult, Ended)> = result.each_destination().zip(ended).collect();
    let code = conclude(&runs, stop.signal(), args.output.fail_on_errors);
    written.settle(code).and_then(|code| outcome.settle(code))
}

/// One request over a connection that is kept, for the brief page alone: it says nothing of ports unless it fails.
fn is_try(args: &Args, planned: &Planned) -> bool {
    let OutputArgs { dir, json, html, csv, .. } = &args.output;
    let is_read = [dir, json, html, csv].iter().any(|file| file.is_some()) || args.report.verbose || args.live.is_asked();
    let plan = &planned.plan;
    let is_one = plan.requests == 1 && plan.shard.is_none() && planned.parts.is_empty() && !plan.is_short_lived();
    is_one && !is_read && !args.gates.has_thresholds()
}

/// Where the load goes.
enum Aimed {
    /// and the path that its URL names
    One(Target, String),
    /// what is asked of each destination
    Several(Vec<Aim>),
}

/// The plan of a run, and of each destination where there are several.
struct Planned {
    plan: LoadPlan,
    parts: Vec<LoadPlan>,
}

impl Planned {
    /// The loads that run side by side.
    fn loads(&self) -> impl Iterator<Item = &LoadPlan> {
        let only = self.parts.is_empty().then_some(&self.plan);
        only.into_iter().chain(&self.parts)
    }
}

impl Args {
    /// Of several arguments the first that is no URL.
    pub(crate) fn stray(&self) -> Option<&str> {
        let several = self.urls.len() > 1;
        self.urls.iter().map(String::as_str).find(|url| several && !url.contains("://"))
    }

    /// A URL that is to be loaded, of those that are given.
    fn first_url(&self) -> Option<&str> {
        let entries = self.run.mix.iter().flat_map(|mix| &mix.0).filter(|entry| entry.is_url());
        self.urls.first().map(String::as_str).or_else(|| entries.map(|entry| entry.path.as_str()).next())
    }
}

/// Errors: exit 2 and 3, URLs that cannot be loaded.
fn aimed(args: &Args) -> Result<Aimed, Exit> {
    if let (false, Some(url)) = (args.server.is_empty(), args.first_url()) {
        return Err(Exit::usage(format!("--server: {url} is loaded, not sockbench's own server"))
            .hint("leave --server out, or the URLs: --mix with paths alone is asked of sockbench's own server"));
    }
    if destinations::are_asked(&args.urls, args.run.mix.as_ref()) {
        return destinations::aims(&args.urls, args.run.mix.as_ref(), args.conn.allow_remote).map(Aimed::Several);
    }
    aim(args.urls.first().map(String::as_str), args.conn.allow_remote).map(|(target, path)| Aimed::One(target, path))
}

/// The plan of these arguments. Errors: everything that a person can get wrong, exit 2.
fn plan(args: &Args, aimed: &Aimed) -> Result<Planned, Exit> {
    let server = server_flags("--server", &server_words(&args.server))?;
    let environment = Environment { server, ..args.sandbox.environment() };
    let of = |run: &RunArgs, target: &Target, path: &str| {
        let plan = load_args::plan(run, &args.conn, target.clone(), path)?;
        Ok::<LoadPlan, Exit>(LoadPlan { environment: environment.clone(), ..plan })
    };
    let one = |plan: LoadPlan| Planned { plan: args.shard.part(plan), parts: Vec::new() };
    match aimed {
        Aimed::One(target, path) => of(&args.run, target, path).map(one),
        Aimed::Several(aims) => {
            let without_mix = RunArgs { mix: None, ..args.run.clone() };
            let plan = of(&without_mix, &aims[0].target, "/")?;
            if let [only] = &aims[..] {
                return Ok(one(LoadPlan { mix: only.mix.clone(), ..plan }));
            }
            args.shard.refuse_destinations(aims.len())?;
            let (plan, parts) = destinations::divided(plan, aims, &args.conn)?;
            Ok(Planned { plan, parts })
        }
    }
}

/// One load, or one for each destination: the result, and why each ended.
fn measure(
    planned: &Planned,
    looks: Vec<Baseline>,
    target_pid: Option<u32>,
    watch: &mut RunWatch<'_>,
) -> io::Result<(RunResult, Vec<Ended>)> {
    let command = super::command_line();
    if planned.parts.is_empty() {
        let look = looks.into_iter().next().unwrap_or_else(|| Baseline::of(&planned.plan));
        let Measured { result, ended } = measured::measure(&planned.plan, look, target_pid, &command, watch)?;
        return Ok((result, vec![ended]));
    }
    let part = |(plan, baseline): (&LoadPlan, Baseline)| side_by_side::Planned { plan: plan.clone(), baseline };
    let parts = planned.loads().zip(looks).map(part).collect();
    let side_by_side::Several { result, ended } = side_by_side::measure(&planned.plan, parts, &command, watch)?;
    Ok((result, ended))
}

/// The same from the start; nothing is printed. sockbench's own server has port 1, because it has none yet.
pub(crate) fn plan_of(args: &Args) -> Result<LoadPlan, Exit> {
    if args.sandbox.sandbox && args.first_url().is_some() {
        return Err(sandbox::no_way_out());
    }
    if !args.sandbox.sandbox {
        args.sandbox.refuse_settings()?;
    }
    plan(args, &aimed(args)?).map(|planned| planned.plan)
}

/// Descriptors that each thread of a client opens beside its connections: its poll, its waker, a file or two.
const OF_A_THREAD: u64 = 4;

/// Each connection is a descriptor: the limit is raised as far as it goes. A plan that is sure to need more gets a warning;
/// one that only may, does not: a run that meets the limit says so itself.
pub(crate) fn raise_nofile<'a>(plans: impl IntoIterator<Item = &'a LoadPlan>) {
    let (Ok(Raised { to: limit, .. }), Ok(open)) = (nofile::raise(), nofile::read_open()) else { return };
    let most = plans.into_iter().max_by_key(|plan| at_once(plan));
    let Some((plan, connections)) = most.map(|plan| (plan, at_once(plan))) else { return };
    let beside = open.saturating_add(OF_A_THREAD.saturating_mul(u64::from(plan.threads)));
    let needed = connections.saturating_add(beside);
    if connections > 0 && needed > limit {
        super::warn(&format!(
            "{} at once, and {} beside them, but at most {} (RLIMIT_NOFILE): ulimit -n {needed}",
            counted(connections, "connection"),
            counted(beside, "descriptor"),
            count(limit),
        ));
    }
}

/// Connections that the plan is sure to have at the same time: of users who keep them or do not pause; any number of
/// a rate, and of users who close them before they pause.
fn at_once(plan: &LoadPlan) -> u64 {
    let has_all = !plan.is_open_loop() && (plan.keepalive || plan.think.max.is_zero());
    let users = u64::from(plan.users);
    match (has_all, plan.requests) {
        (false, _) => 0,
        (true, 0) => users,
        (true, requests) => users.min(requests),
    }
}

/// The target: what `url` names, or a server of our own that is yet to be started; and the path to ask for.
pub(crate) fn aim(url: Option<&str>, allow_remote: bool) -> Result<(Target, String), Exit> {
    let Some(url) = url else {
        return Ok((Target::own(NO_PORT_YET.into()), "/".to_owned()));
    };
    target::resolve(url, allow_remote).map(|found| (found.target, found.path))
}

/// Arguments of `sockbench server` as typed flags. Errors: exit 2 in the words of that command; `from` says where the
/// flags come from.
pub(crate) fn server_flags(from: &str, words: &[String]) -> Result<ServerFlags, Exit> {
    let named = |exit: Exit| Exit { message: format!("{from}: {}", exit.message), ..exit };
    super::server_plan(words).map_err(named)?;
    let mut flags = ServerFlags::default();
    for pair in words.chunks(2) {
        let [name, value] = pair else { return Err(Exit::usage(format!("{from}: {}: no value", pair.concat()))) };
        let name = name.trim_start_matches('-');
        flags.set(name, value).map_err(|why| Exit::usage(format!("{from}: {name} {value}: {why}")))?;
    }
    Ok(flags)
}

/// `cpu-workers=1` to `--cpu-workers 1`.
pub(crate) fn server_words(given: &[String]) -> Vec<String> {
    let word = |flag: &String| match flag.split_once('=') {
        Some((name, value)) => vec![format!("--{}", name.trim_start_matches('-')), value.to_owned()],
        None => vec![format!("--{}", flag.trim_start_matches('-'))],
    };
    given.iter().flat_map(word).collect()
}

/// Starts `sockbench server` on a loopback port (0 for a free one).
pub(crate) fn start_own_server(port: u16, flags: &ServerFlags) -> Result<OwnServer, Exit> {
    let words = flags.arguments();
    let listen = [([127, 0, 0, 1], port).into()];
    OwnServer::start_at(&listen, &words).map_err(|e| {
        Exit::environment(format!("sockbench's own server: {e}"))
            .hint(format!("{} starts it by hand", ["sockbench server", &words.join(" ")].join(" ").trim_end()))
    })
}

pub(crate) fn stop_own_server(own: OwnServer) {
    if let Err(e) = own.stop() {
        super::warn(&format!("sockbench's own server: {e}"));
    }
}

/// What will be done, before it is done; of each load the look before it.
pub(crate) fn announce(plan: &LoadPlan, loads: &[(&LoadPlan, &Baseline)], output: &OutputArgs) {
    if output.quiet || plan.is_empty() {
        return;
    }
    let columns = super::told_columns();
    tell(plan_text::render_plan(plan, columns).trim_end());
    for line in loads.iter().flat_map(|(plan, look)| preflight::lines(plan, look)) {
        tell(wrapped(&line, 2, columns).trim_end());
    }
}

/// Signal, refusal, a target that went away, failures: the first that applies decides, whichever destination or step it is of.
/// Where one answered no request, that is 1, whatever was asked.
/// Errors: exit 3, no connection succeeded, or the target was gone at the end.
pub(crate) fn conclude(runs: &[(&RunResult, Ended)], signal: Option<i32>, fail_on_errors: bool) -> Result<u8, Exit> {
    if let Some(signal) = signal {
        return Ok(128 + signal as u8);
    }
    for (run, ended) in runs {
        if let Ended::Refused(failure) = ended {
            let target = &run.plan.target;
            let exit = Exit::environment(format!(
                "{} {}: {} ({}): no connection succeeded in {}",
                failure.call.word(),
                target.addr,
                failure.message(),
                failure.name(),
                counted(run.totals.attempts, "attempt")
            ));
            return Err(exit.hint(if failure.errno() == Some(ECONNREFUSED) {
                "nothing listens there: `ss -ltn` shows who listens; without a URL sockbench starts its own server"
            } else {
                "the findings of the report say more"
            }));
        }
    }
    if let Some((gone, _)) = runs.iter().find(|(run, _)| run.findings.iter().any(|f| f.id == FindingId::TargetGone)) {
        return Err(Exit::environment(format!("load {}: {}", gone.plan.target.addr, gone.verdict.sentence)));
    }
    let failed = |run: &RunResult| run.totals.failures + run.totals.local_failures > 0;
    Ok(u8::from(runs.iter().any(|(run, _)| has_only_failed(run) || (fail_on_errors && failed(run)))))
}

/// Not one request was answered with a status below 400, and they failed, or the run says that they waited in vain: no script
/// can go on with that. What the end of a run only cut is no failure.
pub(crate) fn has_only_failed(run: &RunResult) -> bool {
    let t = &run.totals;
    let waited = run.verdict.id == VerdictId::TargetFailing || run.findings.iter().any(|f| f.id == FindingId::TargetHangs);
    t.requests <= t.failures && (t.failures + t.local_failures > 0 || waited)
}
