//! The latest rehearsal of this host, kept for later findings: `$XDG_STATE_HOME/sockbench/rehearsal.json`, by
//! default below `~/.local/state`. A later run finds there what each remedy was measured to do on this kernel.

use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::diagnose;
use crate::model::by_name;
use crate::model::rehearsal::Rehearsal;
use crate::model::result::RunResult;
use crate::sys::host;
use crate::sys::output_file::Draft;

/// Keeps `rehearsal` as the latest; where. Errors: no home directory, or it cannot be written.
pub(crate) fn keep(rehearsal: &Rehearsal) -> io::Result<PathBuf> {
    let file = place().ok_or_else(|| io::Error::other("neither XDG_STATE_HOME nor HOME is set"))?;
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir)?;
    }
    // A rehearsal of one remedy adds to the earlier proofs.
    let all = match latest().filter(|before| before.kernel == rehearsal.kernel) {
        Some(before) => rehearsal.clone().merged_over(before),
        None => rehearsal.clone(),
    };
    let mut draft = Draft::begin(&file)?;
    draft.write_all(serde_json::to_string_pretty(&all)?.as_bytes())?;
    draft.keep()?;
    Ok(file)
}

/// Fills `proven` of the remedies that the latest rehearsal on this kernel measured.
pub(crate) fn attach(result: &mut RunResult) {
    result.destinations.iter_mut().for_each(attach);
    if result.findings.iter().all(|f| f.remedies.is_empty()) {
        return;
    }
    if let (Some(latest), Ok(kernel)) = (latest(), host::read_kernel_release())
        && latest.kernel == kernel
    {
        diagnose::attach_proofs(&mut result.findings, &latest);
    }
    if result.findings.iter().flat_map(|f| &f.remedies).any(|r| r.proven.is_none()) {
        let why = "not about source ports, or not rehearsed on this host and kernel: sockbench rehearse";
        result.explain_null("findings[].remedies[].proven", why);
    }
}

fn latest() -> Option<Rehearsal> {
    by_name::read(&std::fs::read_to_string(place()?).ok()?).ok()
}

fn place() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").filter(|v| !v.is_empty()).map(|h| PathBuf::from(h).join(".local/state"));
    Some(state.or_else(home)?.join("sockbench/rehearsal.json"))
}
