//! Whether /proc is there at all: an ENOENT below it says little where it is not mounted.

use std::io;
use std::path::Path;

use super::proc_text;

/// What to say instead of an errno.
pub const NO_PROC: &str = "/proc is not mounted here";

/// Whether /proc is mounted.
pub fn is_mounted() -> bool {
    Path::new("/proc/self").exists()
}

/// The content of a file that some kernels have; none where it is not there.
pub(super) fn read_if_there(file: &Path) -> io::Result<Option<String>> {
    match proc_text::read(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// The error of a read or write below /proc, or that there is no /proc.
pub fn why(e: io::Error) -> io::Error {
    if e.kind() == io::ErrorKind::NotFound && !is_mounted() { io::Error::new(io::ErrorKind::NotFound, NO_PROC) } else { e }
}
