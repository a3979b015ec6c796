//! `sockbench study`.

use super::Exit;

/// Run the experiment's steps.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<u8, Exit> {
    Err(Exit::usage("study: not built yet"))
}
