//! `sockbench load`: one run.

use std::path::Path;
use std::time::Duration;

use super::load_args::{ConnectionArgs, OutputArgs, RunArgs};
use super::run_output::{RunFiles, RunWatch};
use super::{Exit, files, load_args, target};
use crate::cli::server_args;
use crate::diagnose;
use crate::load::run::Ended;
use crate::model::plan::LoadPlan;
use crate::model::result::RunResult;
use crate::report;
use crate::study::measured::{self, Measured};
use crate::study::own_server::OwnServer;
use crate::sys::{nofile, signals};

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
    output: OutputArgs,
    /// Flag for the own child server, without dashes: 'cpu-workers=1', 'keepalive=off'; may be repeated
    #[arg(long, value_name = "FLAG=VALUE", conflicts_with = "url", help_heading = "Own server")]
    server: Vec<String>,
}

pub(crate) fn run(args: Args) -> Result<u8, Exit> {
    nofile::raise();
    let stop = signals::StopFlag::install().map_err(|e| Exit::environment(format!("signal handlers: {e}")))?;
    let files = RunFiles::prepare(&args.output, "run.json")?;
    let own = match args.url {
        None => Some(start_own_server(&args.server)?),
        Some(_) => None,
    };
    let (target, path) = match (&args.url, &own) {
        (Some(url), _) => {
            let resolved = target::resolve(url, args.conn.allow_remote)?;
            if let Some(note) = &resolved.note {
                eprintln!("{note}");
            }
            (resolved.target, resolved.path)
        }
        (None, Some(own)) => (target::own_server(own.addr()), "/".to_owned()),
        (None, None) => return Err(Exit::usage("no target")),
    };
    let plan = load_args::plan(&args.run, &args.conn, target, &path)?;
    announce(&plan, &args.output);
    let mut watch = RunWatch::new(&plan, &args.output, &stop, files.hlog_path().as_deref())?;
    let measured = measured::measure(&plan, own.as_ref().map(OwnServer::pid), &super::command_line(), &mut watch)
        .map_err(|e| Exit::environment(format!("start the client: {e}")))?;
    let history = watch.finish()?;
    if let Some(own) = own
        && let Err(e) = own.stop()
    {
        super::warn(&format!("own server: {e}"));
    }
    files.write(&measured.result, &history)?;
    print(&measured.result, &args.output)?;
    Ok(exit_code(&measured, stop.signal(), args.output.fail_on_errors))
}
