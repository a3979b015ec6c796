//! `sockbench server`.

use super::Exit;

/// Serve the three endpoints of the experiment.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<u8, Exit> {
    Err(Exit::usage("server: not built yet"))
}
