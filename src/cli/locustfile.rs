//! `sockbench locustfile`: what a Locust master loads so that it leads workers of sockbench.

use super::{Exit, files, locust_flags};
use crate::dist::locust::locustfile;

/// Print the locustfile for a master that leads sockbench workers.
///
/// It has one class, whose users run the whole mix, and a field in Locust's web page for flags. Workers are started by
/// sockbench worker.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One class for each path: the master shares out users by their weights
    #[arg(long)]
    class_each: bool,
    /// Flags of sockbench load: --mix PATH=WEIGHT,... and what else is asked
    #[arg(value_name = "FLAGS", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<u8, Exit> {
    let words = args.flags.iter().map(String::as_str);
    let flags = shlex::try_join(words).map_err(|e| Exit::usage(format!("flags: {e}")))?;
    let carried = locust_flags::read(&flags)?;
    let Some(mix) = carried.run.mix else {
        return Err(Exit::usage("--mix: needed, it names what is asked for").hint("--mix /a=50,/b=30"));
    };
    let text = locustfile::render(&mix.0, &flags, args.class_each, &super::command_line());
    files::to_stdout(text.as_bytes())?;
    Ok(0)
}
