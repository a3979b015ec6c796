//! Result files: checked before the run (exit 2), written completely or not at all (exit 3 where that fails).

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Exit;
use crate::model::errno::{errno_name, errno_text};
use crate::report::style::{shortened, visible};
use crate::sys::clock;
use crate::sys::output_file::{self, Claim, ClaimError, Draft, Place};

/// The document that each command keeps with `-o`.
const RESULTS: [&str; 4] = ["run.json", "study.json", "rehearsal.json", "watch.json"];
/// The ends of the names of all that a command keeps in its directory.
const KEPT: [&str; 5] = ["json", "hlog", "csv", "svg", "txt"];
/// Longest document that is read.
const INPUT_BYTES: u64 = 1 << 30;
/// Columns of what is shown of a run that has the directory.
const HOLDER_COLUMNS: usize = 120;

/// A file that a flag asks for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    flag: &'static str,
    file: PathBuf,
}

impl Asked {
    /// None where stdout is asked for.
    pub(crate) fn of(flag: &'static str, file: Option<&Path>) -> Option<Self> {
        file.filter(|f| !is_stdout(f)).map(|file| Self { flag, file: file.to_owned() })
    }

    /// Locust's three files.
    pub(crate) fn csv(prefix: &Path) -> impl Iterator<Item = Self> {
        CSV_NAMES.iter().map(|name| Self { flag: "--csv", file: with_suffix(prefix, name) })
    }

    /// Whether it is in `dir`.
    pub(crate) fn is_in(&self, dir: &Path) -> bool {
        self.file.parent() == Some(dir)
    }

    fn refused(&self, why: &str) -> Exit {
        Exit::usage(format!("{} {}: {why}", self.flag, shown(&self.file)))
    }
}

/// Whether `file` is another name of stdout: what a document goes to then is the document's alone.
pub(crate) fn is_stdout(file: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| file == Path::new(name))
}

/// What follows the prefix of Locust's CSV files.
pub(crate) const CSV_NAMES: [&str; 3] = ["_stats.csv", "_stats_history.csv", "_failures.csv"];

/// Checks that all of `asked` could be written and that no two are the same file. Nothing is touched.
///
/// Errors: exit 2.
pub(crate) fn check(asked: &[Asked]) -> Result<(), Exit> {
    check_distinct(asked)?;
    asked.iter().try_for_each(check_writable)
}

/// Errors: exit 2, two flags that name the same file.
pub(crate) fn check_distinct(asked: &[Asked]) -> Result<(), Exit> {
    for (i, one) in asked.iter().enumerate() {
        if let Some(same) = asked[..i].iter().find(|before| before.file == one.file)
            && !is_stream(&one.file)
        {
            return Err(one.refused(&format!("{} names the same file", same.flag)).hint("give each its own"));
        }
    }
    Ok(())
}

/// Errors: exit 2, a result would replace one of `inputs`, the files that it is made from, by whatever name.
pub(crate) fn spare(asked: &[Asked], inputs: &[PathBuf]) -> Result<(), Exit> {
    let id = |file: &Path| fs::metadata(file).ok().map(|there| (there.dev(), there.ino()));
    for one in asked.iter().filter(|one| !is_stream(&one.file)) {
        let Some(there) = id(&one.file) else { continue };
        if let Some(input) = inputs.iter().find(|input| id(input) == Some(there)) {
            let why = format!("would replace {}, which is read here", shown(input));
            return Err(one.refused(&why).hint("another file or directory"));
        }
    }
    Ok(())
}

/// Errors: exit 2. Whether a pipe or a device takes anything shows when it is written: a reader may come later.
pub(crate) fn check_writable(asked: &Asked) -> Result<(), Exit> {
    let hint = "name a file in a directory that exists and that you may write to";
    let refused = |e: io::Error| asked.refused(&words(&e)).hint(hint);
    match output_file::read_place(&asked.file).map_err(refused)? {
        Place::Replaceable => Draft::begin(&asked.file).map(drop).map_err(refused),
        Place::Stream => Ok(()),
        Place::Directory => Err(asked.refused("is a directory").hint("name a file in it")),
        Place::Socket => Err(asked.refused("is a socket").hint("name a file or a FIFO")),
        Place::BlockDevice => Err(asked.refused("is a block device").hint("name a file or a FIFO")),
    }
}

/// Several results may go to the same pipe or device.
fn is_stream(file: &Path) -> bool {
    matches!(output_file::read_place(file), Ok(Place::Stream))
}

/// Makes the output directory, claims it, and checks that it can be written and has no earlier results. `guard` is the
/// document that this command keeps there; `overwrite` replaces it.
///
/// Errors: exit 2. Where another run has the directory, nothing is touched.
pub(crate) fn claim_dir(dir: &Path, guard: &str, overwrite: bool) -> Result<Claim, Exit> {
    let named = |why: &str| Exit::usage(format!("-o {}: {why}", shown(dir)));
    let refused = |e: io::Error| named(&words(&e)).hint("-o takes a directory that you may write to");
    if fs::metadata(dir).is_ok_and(|there| !there.is_dir()) {
        return Err(named("is not a directory").hint("-o takes a directory; --json FILE writes one file"));
    }
    fs::create_dir_all(dir).map_err(refused)?;
    let who = format!("process {} since {} ({})", std::process::id(), clock::wall_rfc3339(), super::command_line());
    let claim = Claim::take(dir, &who).map_err(|e| match e {
        ClaimError::Held(who) => {
            let who = if who.is_empty() { "another run".to_owned() } else { shortened(&visible(&who), HOLDER_COLUMNS) };
            named(&format!("in use by {who}")).hint("another directory, or wait until that run has ended")
        }
        ClaimError::Io(e) => refused(e),
    })?;
    // Some files of a run, a study and a rehearsal have the same name: each needs a directory of its own.
    if let Some(found) = RESULTS.iter().find(|name| dir.join(name).exists() && !(overwrite && **name == guard)) {
        let hint = if *found == guard { "another directory, or --overwrite" } else { "another directory" };
        return Err(named(&format!("has {found} of an earlier run")).hint(hint));
    }
    let is_kept = |path: &Path| path.extension().is_some_and(|end| KEPT.iter().any(|k| end == *k));
    let inside = fs::read_dir(dir).map_err(refused)?.flatten().map(|entry| entry.path());
    if let Some(found) = inside.into_iter().find(|path| is_kept(path) && path.is_dir()) {
        return Err(named(&format!("{} is a directory, where a result may go", shown(&found))).hint("another directory"));
    }
    Ok(claim)
}

/// Writes `bytes` to a file beside `file`, then renames it: no reader sees a partial file. Pipes and devices are opened
/// and written, for a bounded time. Errors: exit 3.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<(), Exit> {
    if is_stdout(file) {
        // Opened again it would be written from its beginning, over the report.
        return to_stdout(bytes);
    }
    match output_file::read_place(file) {
        Ok(Place::Stream) => output_file::write_stream(file, bytes).map_err(|e| match e {
            output_file::StreamError::Io(e) => failed(file, &e),
            other => unwritten(file, &other),
        }),
        _ => Draft::begin(file)
            .and_then(|mut draft| draft.write_all(bytes).and_then(|()| draft.keep()))
            .map_err(|e| failed(file, &e)),
    }
}

/// A file that could not be written: exit 3.
pub(crate) fn failed(file: &Path, e: &io::Error) -> Exit {
    unwritten(file, &words(e))
}

fn unwritten(file: &Path, why: &dyn std::fmt::Display) -> Exit {
    Exit::environment(format!("write {}: {why}", shown(file)))
}

/// A path as a message shows it.
fn shown(path: &Path) -> String {
    visible(&path.display().to_string())
}

/// An error of the system as the other messages name it: `no such file or directory (ENOENT)`.
pub(crate) fn words(e: &io::Error) -> String {
    match e.raw_os_error() {
        Some(n) => format!("{} ({})", errno_text(n), errno_name(n)),
        None => e.to_string(),
    }
}

/// A kept document. Errors: exit 2, it cannot be read, or is longer than any that is kept.
pub(crate) fn read(file: &Path) -> Result<String, Exit> {
    let bad = |why: String| Exit::usage(format!("{}: {why}", shown(file)));
    let size = fs::metadata(file).map_err(|e| bad(words(&e)))?.len();
    if size > INPUT_BYTES {
        return Err(bad(format!("{size} bytes: more than {INPUT_BYTES}")));
    }
    fs::read_to_string(file).map_err(|e| bad(words(&e)))
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
        Err(e) => Err(Exit::environment(format!("write stdout: {}", words(&e)))),
    }
}

/// `PREFIX` + `_stats.csv` and so on.
pub(crate) fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
