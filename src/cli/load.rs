//! `sockbench load`: one run.

use super::connection_args::ConnectionArgs;
use super::gate_args::{GateArgs, ToJudge};
use super::live_args::LiveArgs;
use super::load_args::{OutputArgs, ReportArgs, RunArgs};
use super::run_output::{self, Keeps, RunFiles, RunWatch, Written};
use super::sandbox::{self, SandboxArgs};
use super::shard_args::ShardArgs;
use super::{Exit, files, load_args, ports_args, proofs, target, tell};
use crate::load::run::Ended;
use crate::model::environment::Environment;
use crate::model::figures::{count, counted};
use crate::model::finding::FindingId;
use crate::model::outcome::ECONNREFUSED;
use crate::model::plan::{LoadLimits, LoadPlan, Target};
use crate::model::result::RunResult;
use crate::model::server_flags::ServerFlags;
use crate::observe::Baseline;
use crate::report::html;
use crate::report::plan_text;
use crate::report::style::{Style, wrapped};
use crate::study::measured::{self, Measured};
use crate::study::own_server::{OwnServer, SANDBOX_PORT};
use crate::study::preflight;
use crate::sys::nofile::{self, Raised};
use crate::sys::signals::StopFlag;

/// Run one load test and say why it failed.
///
/// Without a URL, sockbench starts a server of its own on a free loopback port and asks for /health=50, /io=30, /cpu=20.
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("Limits: {}", plan_text::load_limits(&LoadLimits::default())))]
pub(crate) struct Args {
    /// http:// URL to load; without one, sockbench's own server
    url: Option<String>,
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
    #[arg(long, value_name = "FLAG=VALUE", conflicts_with = "url", hide_short_help = true, help_heading = "Target")]
    server: Vec<String>,
}

/// Where sockbench's own server will be.
const NO_PORT_YET: ([u8; 4], u16) = ([127, 0, 0, 1], 1);

pub(crate) fn run(args: &Args) -> Result<u8, Exit> {
    args.shard.check(args.url.is_some())?;
    let mut start = args.shard.start(args.output.quiet);
    let doors = args.live.open(args.sandbox.sandbox)?;
    let settings = args.sandbox.enter_if_asked(args.url.as_deref())?;
    if !args.output.quiet {
        sandbox::show(&settings);
    }
    let stop = StopFlag::install().map_err(|e| Exit::environment(format!("signal handlers: {e}")))?;
    // Everything a person can get wrong is found before anything is made or started.
    let (mut target, path) = aim(args.url.as_deref(), args.conn.allow_remote)?;
    let planned = plan(args, target.clone(), &path)?;
    args.gates.check([&planned])?;
    raise_nofile([&planned]);
    let environment = planned.environment;
    let files = RunFiles::prepare(&args.output, &Keeps::Run, args.gates.asked())?;
    let mut own = None;
    if target.own_server {
        let port = if args.sandbox.sandbox { SANDBOX_PORT } else { 0 };
        let started = start_own_server(port, &environment.server)?;
        target = Target::own(started.addr());
        own = Some(started);
    }
    let plan = args.shard.part(load_args::plan(&args.run, &args.conn, target, &path)?);
    let plan = LoadPlan { environment, ..plan };
    for doubt in ports_args::doubts(&plan) {
        super::warn(&doubt);
    }
    start.approach(&plan, &stop);
    let baseline = Baseline::of(&plan);
    announce(&plan, &baseline, &args.output);
    let followers = doors.start(args.output.quiet)?;
    followers.begin(&plan, &baseline, "", None);
    let mut watch = RunWatch::new(&plan, args.output.quiet, &stop, &followers, files.hlog_path().as_deref())?;
    start.wait(&plan, &stop);
    let mut measured = measured::measure(&plan, baseline, own.as_ref().map(OwnServer::pid), &super::command_line(), &mut watch)
        .map_err(|e| Exit::environment(format!("start the client: {e}")))?;
    proofs::attach(&mut measured.result);
    start.settle(&mut measured.result);
    let mut written = Written::default();
    let seconds = watch.finish(&mut written);
    if let Some(own) = own {
        stop_own_server(own);
    }
    files.write(&measured.result, &seconds, &mut written);
    let kept = args.output.dir.as_ref().map(|dir| dir.display().to_string());
    let to_judge = ToJudge { step: None, result: &measured.result, durations: Some(&seconds.durations) };
    // A shard that had nothing to do has no figures to judge.
    let to_judge = if plan.is_empty() { Vec::new() } else { vec![to_judge] };
    let outcome = args.gates.judge(&to_judge, stop.signal())?;
    let whole = run_output::whole_report(&measured.result, kept.clone()) + &outcome.table(Style::Plain);
    files.write_report(&whole, &mut written);
    if files.is_stdout_json() {
        outcome.tell_table();
    } else {
        let page = super::page(args.output.no_color, kept);
        let table = outcome.table(page.style);
        written.note(files::to_stdout((run_output::report(&measured.result, args.report, page) + &table).as_bytes()));
    }
    args.gates.publish(&outcome, &to_judge, &mut written);
    followers.end(|| html::run_page(&measured.result, &seconds.times));
    let code = conclude(&[&measured], stop.signal(), args.output.fail_on_errors);
    written.settle(code).and_then(|code| outcome.settle(code))
}

/// The plan of these arguments, before anything is started. Errors: everything that a person can get wrong, exit 2.
fn plan(args: &Args, target: Target, path: &str) -> Result<LoadPlan, Exit> {
    let server = server_flags("--server", &server_words(&args.server))?;
    let plan = args.shard.part(load_args::plan(&args.run, &args.conn, target, path)?);
    Ok(LoadPlan { environment: Environment { server, ..args.sandbox.environment() }, ..plan })
}

/// The same from the start; nothing is printed. sockbench's own server has port 1, because it has none yet.
pub(crate) fn plan_of(args: &Args) -> Result<LoadPlan, Exit> {
    if args.sandbox.sandbox && args.url.is_some() {
        return Err(sandbox::no_way_out());
    }
    if !args.sandbox.sandbox {
        args.sandbox.refuse_settings()?;
    }
    match &args.url {
        Some(url) => {
            let found = target::resolve(url, args.conn.allow_remote)?;
            plan(args, found.target, &found.path)
        }
        None => plan(args, Target::own(NO_PORT_YET.into()), "/"),
    }
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

/// What will be done, before it is done.
pub(crate) fn announce(plan: &LoadPlan, baseline: &Baseline, output: &OutputArgs) {
    if output.quiet || plan.is_empty() {
        return;
    }
    let columns = super::told_columns();
    tell(plan_text::render_plan(plan, columns).trim_end());
    for line in preflight::lines(plan, baseline) {
        tell(wrapped(&line, 2, columns).trim_end());
    }
}

/// Signal, refusal, a target that went away, failures: the first that applies decides. Errors: exit 3, no connection
/// succeeded, or the target was gone at the end.
pub(crate) fn conclude(runs: &[&Measured], signal: Option<i32>, fail_on_errors: bool) -> Result<u8, Exit> {
    if let Some(signal) = signal {
        return Ok(128 + signal as u8);
    }
    for run in runs {
        if let Ended::Refused(failure) = run.ended {
            let target = &run.result.plan.target;
            let all = run.result.totals.attempts;
            let exit = Exit::environment(format!(
                "{} {}: {} ({}): no connection succeeded in {all} attempts",
                failure.call.word(),
                target.addr,
                failure.message(),
                failure.name()
            ));
            return Err(exit.hint(if failure.errno() == Some(ECONNREFUSED) {
                "nothing listens there: `ss -ltn` shows who listens; without a URL sockbench starts its own server"
            } else {
                "the findings of the report say more"
            }));
        }
    }
    if let Some(gone) = runs.iter().find(|r| r.result.findings.iter().any(|f| f.id == FindingId::TargetGone)) {
        return Err(Exit::environment(format!("load {}: {}", gone.result.plan.target.addr, gone.result.verdict.sentence)));
    }
    let failed = |r: &RunResult| r.totals.failures + r.totals.local_failures > 0;
    Ok(u8::from(fail_on_errors && runs.iter().any(|r| failed(&r.result))))
}
