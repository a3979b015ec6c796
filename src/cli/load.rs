//! `sockbench load`.

use super::Exit;

/// Run one load test.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<u8, Exit> {
    Err(Exit::usage("load: not built yet"))
}
