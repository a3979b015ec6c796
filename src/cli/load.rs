//! `sockbench load`: one run.

use super::load_args::{ConnectionArgs, OutputArgs, RunArgs};
use super::run_output::{self, RunFiles, RunWatch};
use super::sandbox::SandboxArgs;
use super::study::OWN_PORT;
use super::{Exit, files, load_args, proofs, target};
use crate::load::run::Ended;
use crate::model::plan::{LoadPlan, Target};
use crate::model::result::RunResult;
use crate::model::surroundings::Surroundings;
use crate::report::{plan_text, text};
use crate::study::measured::{self, Measured};
use crate::study::own_server::OwnServer;
use crate::study::preflight;
use crate::sys::nofile;
use crate::sys::signals::StopFlag;

/// Run one load test, and say why it failed if it does.
///
/// Without a URL it starts its own server as a child process on a free loopback port and loads the mix of the
/// experiment: /health=50, /io=30, /cpu=20.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// http:// URL of the target; its path is what is asked for, unless --mix says otherwise
    url: Option<String>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    conn: ConnectionArgs,
    #[command(flatten)]
    sandbox: SandboxArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Flag for the own child server, without dashes: 'cpu-workers=1', 'keepalive=off'; may be repeated
    #[arg(long, value_name = "FLAG=VALUE", conflicts_with = "url", help_heading = "Own server")]
    server: Vec<String>,
}

impl Args {
    fn surroundings(&self) -> Surroundings {
        Surroundings { server: Surroundings::server_from_words(&server_flags(&self.server)), ..self.sandbox.surroundings() }
    }
}

pub(crate) fn run(args: &Args) -> Result<u8, Exit> {
    args.sandbox.enter_if_asked(args.url.as_deref())?;
    raise_nofile(args.run.conns.unwrap_or(0));
    let stop = StopFlag::install().map_err(|e| Exit::environment(format!("signal handlers: {e}")))?;
    let files = RunFiles::prepare(&args.output, "run.json")?;
    if args.url.is_none() {
        // The plan is checked before the child is started: a bad flag starts nothing.
        load_args::plan(&args.run, &args.conn, Target::own(([127, 0, 0, 1], 1).into()), "/")?;
    }
    let port = if args.sandbox.sandbox { OWN_PORT } else { 0 };
    let (own, target, path) = aim(args.url.as_deref(), args.conn.allow_remote, port, &server_flags(&args.server))?;
    let mut plan = load_args::plan(&args.run, &args.conn, target, &path)?;
    plan.surroundings = args.surroundings();
    announce(&plan, &args.output);
    let mut watch = RunWatch::new(&plan, args.output.quiet, &stop, files.hlog_path().as_deref())?;
    let mut measured = measured::measure(&plan, own.as_ref().map(OwnServer::pid), &super::command_line(), &mut watch)
        .map_err(|e| Exit::environment(format!("start the client: {e}")))?;
    proofs::attach(&mut measured.result);
    let history = watch.finish()?;
    if let Some(own) = own {
        stop_own_server(own);
    }
    files.write(&measured.result, &history)?;
    if !files.is_stdout_json() {
        files::to_stdout(text::render_run(&measured.result, super::style(args.output.no_color)).as_bytes())?;
    }
    Ok(exit_code(&[&measured], stop.signal(), args.output.fail_on_errors))
}

/// Each connection is a descriptor: the limit is raised as far as it goes, and a plan beyond it is told so.
pub(crate) fn raise_nofile(users: u64) {
    if let Ok(limit) = nofile::raise()
        && users.saturating_add(32) > limit
    {
        super::warn(&format!(
            "{users} connections, but at most {limit} descriptors (RLIMIT_NOFILE): ulimit -n {}",
            users.saturating_add(64)
        ));
    }
}

/// The target: what `url` names, or a server of our own started with `flags`; and the path to ask for.
///
/// `port` is the own server's; 0 takes a free one.
pub(crate) fn aim(
    url: Option<&str>,
    allow_remote: bool,
    port: u16,
    flags: &[String],
) -> Result<(Option<OwnServer>, Target, String), Exit> {
    let Some(url) = url else {
        let own = start_own_server(port, flags)?;
        let target = Target::own(own.addr());
        return Ok((Some(own), target, "/".to_owned()));
    };
    let found = target::resolve(url, allow_remote)?;
    if let Some(note) = &found.note {
        eprintln!("{note}");
    }
    Ok((None, found.target, found.path))
}

/// `cpu-workers=1` to `--cpu-workers 1`.
pub(crate) fn server_flags(given: &[String]) -> Vec<String> {
    let word = |flag: &String| match flag.split_once('=') {
        Some((name, value)) => vec![format!("--{}", name.trim_start_matches('-')), value.to_owned()],
        None => vec![format!("--{}", flag.trim_start_matches('-'))],
    };
    given.iter().flat_map(word).collect()
}

fn start_own_server(port: u16, flags: &[String]) -> Result<OwnServer, Exit> {
    let listen = [([127, 0, 0, 1], port).into()];
    OwnServer::start_at(&listen, flags)
        .map_err(|e| Exit::environment(format!("own server: {e}")).hint("sockbench server starts it by hand"))
}

pub(crate) fn stop_own_server(own: OwnServer) {
    if let Err(e) = own.stop() {
        super::warn(&format!("own server: {e}"));
    }
}

/// What will be done, before it is done.
pub(crate) fn announce(plan: &LoadPlan, output: &OutputArgs) {
    if !output.quiet {
        eprint!("{}", plan_text::render_plan(plan, &run_output::length(plan)));
    }
    for line in preflight::lines(plan) {
        eprintln!("{line}");
    }
}

/// Signal, refusal, failures: the first that applies decides.
pub(crate) fn exit_code(runs: &[&Measured], signal: Option<i32>, fail_on_errors: bool) -> u8 {
    if let Some(signal) = signal {
        return 128 + signal as u8;
    }
    if runs.iter().any(|r| matches!(r.ended, Ended::Refused(_))) {
        return super::EXIT_ENVIRONMENT;
    }
    let failed = |r: &RunResult| r.totals.failures + r.totals.local_failures > 0;
    u8::from(fail_on_errors && runs.iter().any(|r| failed(&r.result)))
}

#[cfg(test)]
mod remedy_commands;
