//! Result files: checked before the run, written completely or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Exit;

/// The document that each command keeps with `-o`.
const RESULTS: [&str; 3] = ["run.json", "study.json", "rehearsal.json"];

/// Makes the output directory and checks that it can be written and has no earlier results.
///
/// Errors: exit 3 when it cannot be made or written; exit 2 when it has results: `guard`, unless `overwrite` is set, or
/// those of another command.
pub(crate) fn prepare_dir(dir: &Path, guard: &str, overwrite: bool) -> Result<(), Exit> {
    let refuse = |e: io::Error| {
        Exit::environment(format!("{}: {e}", dir.display())).hint("-o DIR takes a directory that you may write to")
    };
    // Some files of a run, a study and a rehearsal have the same name: each needs a directory of its own.
    if let Some(found) = RESULTS.iter().find(|name| dir.join(name).exists() && !(overwrite && **name == guard)) {
        let hint = if *found == guard { "another directory, or --overwrite" } else { "another directory" };
        return Err(Exit::usage(format!("{}: has {found} of an earlier run", dir.display())).hint(hint));
    }
    fs::create_dir_all(dir).map_err(refuse)?;
    probe(&dir.join(format!(".sockbench-probe-{}", std::process::id()))).map_err(refuse)
}

/// Checks that `file` could be written, without touching what is there.
pub(crate) fn check_writable(file: &Path) -> Result<(), Exit> {
    if file.is_dir() {
        return Err(Exit::usage(format!("{}: is a directory", file.display())).hint("name a file in it"));
    }
    if is_special(file) {
        return Ok(());
    }
    let dir = parent(file);
    probe(&dir.join(format!(".sockbench-probe-{}", std::process::id()))).map_err(|e| {
        Exit::environment(format!("{}: {e}", file.display()))
            .hint("name a file in a directory that exists and that you may write to")
    })
}

/// Writes `bytes` to a file beside `file`, then renames it: no reader sees a partial file.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<(), Exit> {
    let fail = |e: io::Error| Exit::environment(format!("write {}: {e}", file.display()));
    if is_special(file) {
        return fs::write(file, bytes).map_err(fail);
    }
    let mut name = file.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(".part");
    let part = parent(file).join(name);
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, file)).map_err(|e| {
        let _ = fs::remove_file(&part);
        fail(e)
    })
}

/// Bytes to stdout; a reader that has ended is no error.
pub(crate) fn to_stdout(bytes: &[u8]) -> Result<(), Exit> {
    while_read(bytes).map(|_| ())
}

/// Bytes to stdout, and whether its reader is still there: what prints again and again ends without one (`| head`).
pub(crate) fn while_read(bytes: &[u8]) -> Result<bool, Exit> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Exit::environment(format!("write stdout: {e}"))),
    }
}

/// `PREFIX` + `_stats.csv` and so on.
pub(crate) fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn parent(file: &Path) -> PathBuf {
    match file.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A device or a pipe must not be replaced by a file.
fn is_special(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

fn probe(file: &Path) -> io::Result<()> {
    fs::write(file, b"")?;
    fs::remove_file(file)
}
