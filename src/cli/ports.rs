//! `sockbench ports`.

use super::Exit;

/// Show the port budget.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<u8, Exit> {
    Err(Exit::usage("ports: not built yet"))
}
