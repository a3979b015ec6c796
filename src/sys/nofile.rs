//! RLIMIT_NOFILE: each connection is a descriptor.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The soft limit before it was raised, and since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// before
    pub from: u64,
    /// in force
    pub to: u64,
}

/// Raises the soft limit to the hard one, which needs no privilege (getrlimit(2)).
///
/// Errors: the limit cannot be read; one that cannot be raised is left alone.
pub fn raise() -> nix::Result<Raised> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let is_raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    Ok(Raised { from: soft, to: if is_raised { hard } else { soft } })
}

/// Descriptors that this process has open, that of the look itself not counted.
///
/// Errors: /proc/self/fd cannot be listed.
pub fn read_open() -> io::Result<u64> {
    let open = std::fs::read_dir("/proc/self/fd")?.flatten().count() as u64;
    Ok(open.saturating_sub(1))
}
