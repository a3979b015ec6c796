//! `sockbench explain`.

use super::Exit;

/// Explain an error text or a failed run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> Result<u8, Exit> {
    Err(Exit::usage("explain: not built yet"))
}
