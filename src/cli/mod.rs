//! Arguments, plans, commands: the only floor that prints and decides exit codes. One file per command.
//!
//! Exit codes: 0 done; 1 done, but requests failed and `--fail-on-errors`; 2 usage or bad plan; 3 the environment
//! refused; 99 a threshold failed; 130/143 after a signal.
#![expect(clippy::print_stderr, reason = "the command line is the one floor that prints")]

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::report::style::Style;

mod chart;
mod explain;
mod files;
mod load;
mod load_args;
mod ports;
mod ports_args;
mod proofs;
mod rehearse;
mod run_output;
mod sandbox;
mod server;
mod status;
mod study;
mod study_plan;
mod target;
mod units;

/// Usage or plan error.
pub(crate) const EXIT_USAGE: u8 = 2;
/// The environment refused.
pub(crate) const EXIT_ENVIRONMENT: u8 = 3;

/// Why a command ends with something else than 0: one line, a hint where the user can act, a code.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: u8,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Exit {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: EXIT_USAGE, message: message.into(), hint: None }
    }

    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self { code: EXIT_ENVIRONMENT, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// One warning on stderr; the run goes on.
pub(crate) fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// This process's command line, as a reader would type it, for the result document.
pub(crate) fn command_line() -> String {
    let words = std::env::args_os().enumerate().map(|(i, a)| {
        let a = a.to_string_lossy().into_owned();
        if i == 0 {
            return "sockbench".to_owned();
        }
        let plain = !a.is_empty() && a.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=/.:,@%+".contains(&b));
        if plain { a } else { format!("'{}'", a.replace('\'', "'\\''")) }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether stdout may carry colours.
pub(crate) fn style(no_color: bool) -> Style {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let plain = no_color || set("NO_COLOR") || set("CI") || !std::io::stdout().is_terminal();
    if plain { Style::Plain } else { Style::Ansi }
}

/// Load-test a server and learn why it failed: ephemeral ports, TIME_WAIT, limits, and remedies that were proven.
#[derive(Debug, Parser)]
#[command(name = "sockbench", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Server(server::Args),
    Load(load::Args),
    Study(study::Args),
    Ports(ports::Args),
    Explain(explain::Args),
    Sandbox(sandbox::Args),
    Rehearse(rehearse::Args),
    Chart(chart::Args),
}

/// The arguments; what is wrong with them is one line and a hint, as every other error.
fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|e| {
        if !e.use_stderr() || e.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            e.exit();
        }
        let text = e.to_string();
        let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
        let message = lines.next().unwrap_or("bad arguments").trim_start_matches("error: ").to_owned();
        let tip = lines.find_map(|l| l.strip_prefix("tip: ")).unwrap_or("sockbench COMMAND --help").to_owned();
        eprintln!("sockbench: {message}\nhint: {tip}");
        std::process::exit(i32::from(EXIT_USAGE));
    })
}

/// Runs the programme on the process's arguments.
pub fn main() -> ExitCode {
    // First of all: a child of ours whose parent is gone already must not start anything.
    if !crate::sys::child::die_with_parent() {
        return ExitCode::from(EXIT_ENVIRONMENT);
    }
    let result = match parse().command {
        Command::Server(args) => server::run(args),
        Command::Load(args) => load::run(&args),
        Command::Study(args) => study::run(&args),
        Command::Ports(args) => ports::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Sandbox(args) => sandbox::run(args),
        Command::Rehearse(args) => rehearse::run(args),
        Command::Chart(args) => chart::run(&args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(exit) => {
            eprintln!("sockbench: {}", exit.message);
            if let Some(hint) = exit.hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(exit.code)
        }
    }
}
