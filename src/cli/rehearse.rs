//! `sockbench rehearse`.

use super::Exit;

/// Rehearse the accident and every remedy in private namespaces.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<u8, Exit> {
    Err(Exit::usage("rehearse: not built yet"))
}
