//! `sockbench sandbox`.

use super::Exit;

/// Run a command in a private network namespace.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<u8, Exit> {
    Err(Exit::usage("sandbox: not built yet"))
}
