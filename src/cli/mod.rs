//! Arguments, plans, commands: the only floor that prints and decides exit codes. One file per command.
//!
//! Exit codes: 0 done; 1 done, but a run, destination or step has no good answer (a status below 400), or a request failed and
//! `--fail-on-errors`; 2 usage, bad plan or output path; 3 the environment refused, a result could not be written, or the target
//! was refused or gone; 99 a threshold failed; 130/143 after a signal. Of several the first of 130/143, 2, 3, 99, 1.

use std::ffi::OsString;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::model::plan::{LoadPlan, ServerPlan};
use crate::report::style::{Style, visible, wrapped};
use crate::report::text::{Detail, Page};
use crate::sys::first_thread::{self, FirstThread};
use crate::sys::terminal;

mod bad_value;
mod compare;
mod connection_args;
mod destinations;
mod explain;
mod files;
mod gate_args;
mod habits;
mod live_args;
mod load;
mod load_args;
mod load_shape;
mod locust_flags;
mod locustfile;
mod log;
mod manual;
mod merge;
mod ports;
mod ports_args;
mod ports_serve;
mod proofs;
mod rehearse;
mod report;
mod request_args;
mod run_output;
mod sandbox;
#[cfg(test)]
mod schema_tests;
mod server;
mod server_summary;
mod shard_args;
mod status;
mod study;
mod study_plan;
mod target;
mod watch;
mod watch_output;
mod worker;

/// For the help of the program.
const EXIT_CODES: &str = "Exit codes: 0 done; 1 a run, a destination or a step of a study has not one answer with a status below 400, or a request failed and --fail-on-errors is given, or a server's drain cut requests, or a text does not say why (explain); 2 unusable arguments, files or output paths, \
found before the run; 3 this machine refused, a result could not be written (the others are kept), or the target was not reached \
or went away; 99 a threshold failed; 128+N ended by signal N";

/// In front of the second line of a message.
const HANGING: &str = "  ";

/// Done, and what was asked for is not so.
pub(crate) const EXIT_FAILED: u8 = 1;
/// Usage or plan error.
pub(crate) const EXIT_USAGE: u8 = 2;
/// A threshold failed.
pub(crate) const EXIT_GATE: u8 = 99;
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

/// Takes one of these words for a kind that knows them.
pub(crate) fn one_of<T>(words: impl Into<PossibleValuesParser>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = strum::ParseError> + Clone + Send + Sync + 'static,
{
    words.into().try_map(|word| word.parse())
}

/// Lines on stderr. A stderr that takes nothing (a full disk, a reader that left) ends no run. No control character of a
/// flag, a file or a server's answer reaches the terminal.
pub(crate) fn tell(text: &str) {
    let shown: Vec<String> = text.split('\n').map(visible).collect();
    let _ = writeln!(std::io::stderr(), "{}", shown.join("\n"));
}

/// The rest of a command. One type for all of them, as [`Work`](crate::sys::thread::Work) is.
type Rest<'a> = Box<dyn FnOnce(&FirstThread) -> Result<u8, Exit> + Send + 'a>;

/// Runs the rest of a command on a thread of its own: the process's first one is for the load. Signals are taken over by now: their
/// handlers run on the first thread, and what they write to has to be open in its table. Errors: those of `rest`; exit 3, no thread.
pub(crate) fn beside_the_load(rest: Rest<'_>) -> Result<u8, Exit> {
    first_thread::lend("sockbench", rest).map_err(|e| Exit::environment(format!("start a thread: {e}")))?
}

/// A message on stderr: on a terminal and elsewhere lines of at most [`told_columns`], broken at words.
pub(crate) fn tell_line(text: &str) {
    tell(&within(text, told_columns()));
}

/// `text` in lines of at most `columns`; what is longer goes on under its own words, and rows of a table stay as they are.
fn within(text: &str, columns: usize) -> String {
    let each = |line: &str| {
        if line.chars().count() <= columns {
            return line.to_owned();
        }
        let indent = &line[..line.len() - line.trim_start_matches(' ').len()];
        let lines = wrapped(line, 0, columns - HANGING.len() - indent.len());
        format!("{indent}{}", lines.trim_end().replace('\n', &format!("\n{indent}{HANGING}")))
    };
    text.lines().map(each).collect::<Vec<_>>().join("\n")
}

/// Columns of what goes to stderr: those of the terminal, or of a page.
pub(crate) fn told_columns() -> usize {
    terminal::columns_of_stderr().map_or(Page::WIDTH, |columns| Page::plain().wide(columns).width.min(Page::WIDTH))
}

/// One warning on stderr; the run goes on.
pub(crate) fn warn(text: &str) {
    tell_line(&format!("warning: {text}"));
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
    if style_is_allowed(no_color) && std::io::stdout().is_terminal() { Style::Ansi } else { Style::Plain }
}

/// Whether nobody asked for plain text.
fn style_is_allowed(no_color: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    !(no_color || set("NO_COLOR") || set("CI") || is_dumb())
}

/// A terminal that knows no escape sequences.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// The page that stdout is: as wide as its terminal, 80 columns where there is none. `kept` names the directory with the
/// run's files, if one has them.
pub(crate) fn page(no_color: bool, verbose: bool, kept: Option<String>) -> Page {
    page_of(style(no_color), terminal::columns_of_stdout(), verbose, kept)
}

/// The same for stderr, where stdout is somebody else's.
pub(crate) fn page_of_stderr(no_color: bool, verbose: bool, kept: Option<String>) -> Page {
    let has_colors = std::io::stderr().is_terminal() && style_is_allowed(no_color);
    page_of(if has_colors { Style::Ansi } else { Style::Plain }, terminal::columns_of_stderr(), verbose, kept)
}

fn page_of(style: Style, columns: Option<usize>, verbose: bool, kept: Option<String>) -> Page {
    let detail = if verbose { Detail::Full } else { Detail::Brief };
    let page = Page { style, detail, kept, ..Page::plain() };
    match columns {
        Some(columns) => page.wide(columns),
        None => page,
    }
}

/// Load-test a server and learn why it failed: ephemeral ports, TIME_WAIT, limits, and remedies that were proven.
#[derive(Debug, Parser)]
#[command(name = "sockbench", version, arg_required_else_help = true, max_term_width = 80, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Server(server::Run),
    Load(load::Args),
    Study(study::Args),
    Report(report::Args),
    Compare(compare::Args),
    Merge(merge::Args),
    Ports(ports::Args),
    Explain(explain::Args),
    Watch(watch::Args),
    Sandbox(sandbox::Args),
    Rehearse(rehearse::Args),
    Worker(worker::Args),
    Locustfile(locustfile::Args),
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
}

/// The arguments; what is wrong with them is one line and a hint, as every other error.
fn parse() -> Result<Cli, Exit> {
    let typed: Vec<String> = std::env::args_os().skip(1).map(|w| w.to_string_lossy().into_owned()).collect();
    one_dash(&typed)?;
    let words = asked(std::env::args_os());
    let cli = load_alone(&words).map_or_else(|| Cli::try_parse_from(words), Ok).map_err(|e| {
        if !e.use_stderr() || e.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            e.exit();
        }
        bad_arguments(&e, &typed)
    })?;
    only_urls(cli, &typed)
}

/// A `load` whose arguments are sound. The arguments of all commands take a millisecond to make, a sixth of `load -n 1`; errors and
/// help are theirs.
fn load_alone(words: &[OsString]) -> Option<Cli> {
    words.get(1).filter(|name| *name == "load")?;
    // `--body @-`: what a value is read from can be read once only.
    if words.iter().any(|word| word.to_string_lossy().contains('@')) {
        return None;
    }
    let program = clap::Command::new("sockbench").subcommand(load::Args::augment_args(clap::Command::new("load")));
    Cli::from_arg_matches_mut(&mut program.try_get_matches_from(words.to_vec()).ok()?).ok()
}

/// The command line; `help -h` and `help load --help` ask for what `help` and `help load` show.
fn asked(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let words: Vec<OsString> = words.collect();
    let is_help = words.get(1).is_some_and(|word| word == "help");
    words.into_iter().filter(|word| !is_help || word != "-h" && word != "--help").collect()
}

/// Errors: of several arguments of `load` one is no URL: a value of a flag that takes none, perhaps.
fn only_urls(cli: Cli, words: &[String]) -> Result<Cli, Exit> {
    let Command::Load(args) = &cli.command else { return Ok(cli) };
    let Some(word) = args.stray() else { return Ok(cli) };
    let beside = args.urls.iter().find(|url| url.as_str() != word).map_or("", String::as_str);
    let exit = Exit::usage(format!("{word}: not a URL, beside {beside}"));
    Err(exit.hint(misplaced(Some("load"), word, words).unwrap_or_default()))
}

/// Errors: a long flag with one dash, which would be read as flags of one letter (`-host x` as `-h`).
fn one_dash(words: &[String]) -> Result<(), Exit> {
    if words.iter().all(|word| habits::long_of_one_dash(word).is_none()) {
        return Ok(());
    }
    let cli = Cli::command();
    let Some(command) = words.first().and_then(|name| cli.find_subcommand(name)) else { return Ok(()) };
    let long: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    match habits::one_dash(words, &long) {
        Some((given, hint)) => Err(Exit::usage(format!("unexpected argument '{given}' found")).hint(hint)),
        None => Ok(()),
    }
}

/// What is wrong with `words`, in one line and a hint. A value parser's error may bring its own hint, on a line of its
/// own that begins with `hint: `.
fn bad_arguments(e: &clap::Error, words: &[String]) -> Exit {
    let is_command = |w: &&String| Cli::command().get_subcommands().any(|c| c.get_name() == w.as_str());
    let command = words.first().filter(is_command).map(String::as_str);
    if command.is_none()
        && let Some(line) = habits::no_command(words)
    {
        return Exit::usage(format!("{}: not a command", words.first().map_or("", String::as_str))).hint(line);
    }
    let help = command.map_or("sockbench --help".into(), |c| format!("sockbench {c} --help"));
    // clap takes `-5s` for a flag -5.
    if let (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) = (e.kind(), e.get(ContextKind::InvalidArg))
        && flag.strip_prefix('-').is_some_and(|f| f.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
    {
        let given = words.iter().find(|w| w.starts_with(flag.as_str())).unwrap_or(flag);
        return Exit::usage(format!("{given}: a negative value: counts, rates and times are not below zero")).hint(help);
    }
    let unknown = match (e.kind(), e.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) => misplaced(command, word, words),
        // A study's own argument is a plan.
        (ErrorKind::ArgumentConflict, _) if command == Some("study") => {
            let bare = |pair: &&[String]| pair[1].contains("://") && !pair[0].starts_with("--url");
            words.windows(2).find(bare).map(|pair| format!("--url {}: the argument of a study is a plan", pair[1]))
        }
        _ => None,
    };
    let mut text = e.to_string();
    let (mut meant, mut example) = (None, None);
    if let Some(ContextValue::String(given)) = e.get(ContextKind::InvalidValue) {
        text = bad_value::shown(text, given);
        if let Some(ContextValue::String(flag)) = e.get(ContextKind::InvalidArg) {
            let is_switch = e.kind() == ErrorKind::TooManyValues;
            example = if is_switch { Some(format!("{flag} takes no value here")) } else { bad_value::example(flag) };
        }
        if let (Some(command), Some(ContextValue::String(failed))) = (command, e.get(ContextKind::InvalidArg)) {
            meant = habits::of_another_tool(command, failed, words, given).map(str::to_owned);
        }
    }
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let message = lines.next().unwrap_or("bad arguments").trim_start_matches("error: ").to_owned();
    let message = message + &rest_of(e);
    let tip = |l: &str| l.strip_prefix("hint: ").or_else(|| l.strip_prefix("tip: ")).map(str::to_owned);
    // clap offers to pass an unknown flag as a value; no command takes one.
    let tipped = lines.find_map(tip).filter(|t| !t.contains("as a value"));
    let both = (e.kind() == ErrorKind::ArgumentConflict).then(|| format!("leave out one of the two; {help}"));
    Exit::usage(message).hint(unknown.or(meant).or(tipped).or(both).or(example).unwrap_or(help))
}

/// What to type for a word that the command does not take.
fn misplaced(command: Option<&str>, word: &str, words: &[String]) -> Option<String> {
    let command = command?;
    match (command, word.starts_with('-')) {
        (_, true) => habits::hint(command, word, words).map(str::to_owned),
        ("sandbox" | "watch", false) => Some(format!("sockbench {command} [FLAGS] -- {word} ...: the command comes after --")),
        ("load", false) if words.windows(2).any(|w| w[0] == "-q" && w[1].parse::<f64>().is_ok()) => {
            Some("-R N is the rate of all requests; hey's and oha's -q. Here -q is --quiet".to_owned())
        }
        ("load", false) => Some(match without_value(word, words) {
            Some(flag) => format!("{flag} takes no value: leave out '{word}'"),
            None => "a URL begins with http://; several paths of one: --mix /a=2,/b=1".to_owned(),
        }),
        _ => None,
    }
}

/// The flag right before `word`, which was not taken as its value: `-v 4` as with ab, `--busy-poll on`.
fn without_value<'w>(word: &str, words: &'w [String]) -> Option<&'w str> {
    let flag = words.windows(2).find(|w| w[1] == word).map(|w| w[0].as_str())?;
    (flag.len() > 1 && flag != "--" && flag.starts_with('-') && !flag.contains('=')).then_some(flag)
}

/// What clap puts on further lines: the arguments that are missing, the values that there are.
fn rest_of(e: &clap::Error) -> String {
    match (e.kind(), e.get(ContextKind::InvalidArg), e.get(ContextKind::ValidValue)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(names)), _) => format!(" {}", names.join(", ")),
        (ErrorKind::InvalidValue, _, Some(ContextValue::Strings(all))) if !all.is_empty() => {
            format!(": one of {}", all.join(", "))
        }
        _ => String::new(),
    }
}

/// The command line `sockbench WORDS`. Errors: what is wrong with it, exit 2.
fn read(words: &[String]) -> Result<Cli, Exit> {
    let line = std::iter::once("sockbench").chain(words.iter().map(String::as_str));
    Cli::try_parse_from(line).map_err(|e| bad_arguments(&e, words))
}

/// What `sockbench server FLAGS` would serve. Errors: what is wrong with the flags, exit 2.
pub(crate) fn server_plan(flags: &[String]) -> Result<ServerPlan, Exit> {
    let words = [&["server".to_owned()], flags].concat();
    match read(&words)?.command {
        Command::Server(args) => Ok(args.server.plan()),
        _ => Err(Exit::usage("not the flags of a server").hint("sockbench server --help")),
    }
}

/// What the command line makes of `sockbench WORDS`: the plan of a `load`, none of another command. For tests.
///
/// Errors: the words are refused; why.
#[doc(hidden)]
pub fn read_command(words: &[String]) -> Result<Option<LoadPlan>, String> {
    let refused = |exit: Exit| exit.message;
    let cli = read(words).and_then(|cli| only_urls(cli, words));
    match cli.map_err(refused)?.command {
        Command::Load(args) => load::plan_of(&args).map(Some).map_err(refused),
        _ => Ok(None),
    }
}

/// A study's plan, read and written again with steps of 1 s. For tests.
///
/// Errors: the plan is refused; why.
#[doc(hidden)]
pub fn read_plan(text: &str) -> Result<String, String> {
    let plan = study_plan::parse(text, "plan.toml").map_err(|exit| exit.message)?;
    drop((plan.steps(None), plan.server_words()));
    Ok(study_plan::PlanFile::text_with(text, std::time::Duration::from_secs(1)))
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    // First of all: a child of ours whose parent is gone already must not start anything.
    if !crate::sys::child::die_with_parent() {
        return ExitCode::from(EXIT_ENVIRONMENT);
    }
    let result = parse().and_then(|cli| match cli.command {
        Command::Server(args) => server::run(args),
        Command::Load(args) => load::run(&args),
        Command::Study(args) => study::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Ports(args) => ports::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Sandbox(args) => sandbox::run(args),
        Command::Rehearse(args) => rehearse::run(args),
        Command::Worker(args) => worker::run(&args),
        Command::Locustfile(args) => locustfile::run(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    });
    match result {
        Ok(code) => ExitCode::from(code),
        Err(exit) => {
            log::fail(&exit);
            ExitCode::from(exit.code)
        }
    }
}

#[cfg(test)]
mod tests;
