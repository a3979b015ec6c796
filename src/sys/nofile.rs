//! RLIMIT_NOFILE: each connection is a descriptor.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, which needs no privilege (getrlimit(2)). Returns the limit in force.
///
/// Errors: the limit cannot be read; one that cannot be raised is left alone.
pub fn raise() -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return Ok(hard);
    }
    Ok(soft)
}

/// Descriptors that this process has open, that of the look itself not counted.
///
/// Errors: /proc/self/fd cannot be listed.
pub fn read_open() -> io::Result<u64> {
    let open = std::fs::read_dir("/proc/self/fd")?.flatten().count() as u64;
    Ok(open.saturating_sub(1))
}
