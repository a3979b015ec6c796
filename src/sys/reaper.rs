//! Ends what is left in a private namespace when its command has ended, also by SIGKILL.
//!
//! `sandbox` becomes its command by exec, so nothing of ours is left to clean up after it, and children that the command
//! put into the background would keep the namespace for as long as they live. A reaper process inside does it: it
//! watches the command's pid, then ends every process that lives in the same network namespace.
//!
//! Not ended: processes in a further namespace made inside this one; those have a reaper of their own, which watches
//! their own command.

use std::collections::HashSet;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::child::{PARENT_VAR, own_executable};
use super::clock::{Clock, sleep};
use super::process::{is_alive, read_pids};
use crate::model::time::Stamp;

/// How often the reaper looks whether the command lives. One look is one small file of /proc.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What is left has this long to end by itself after its one SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// Processes that do not end after SIGKILL for this long are left (uninterruptible sleep).
const PATIENCE: Duration = Duration::from_secs(10);

/// The network namespace of this process.
///
/// Errors: /proc is not mounted.
pub fn namespace() -> io::Result<PathBuf> {
    std::fs::read_link("/proc/self/ns/net")
}

/// Starts a reaper for this process, which has left the namespace `outside` for one of its own. Returns when the reaper
/// is no child of this process any more: the command is not to find one that it did not start.
///
/// Errors: no process can be started, or this process is still outside, where everything would be ended.
pub fn start(outside: &Path, hidden_arguments: &[&str]) -> io::Result<()> {
    if namespace()? == outside {
        return Err(io::Error::other("the namespace is not private"));
    }
    let mut command = Command::new(own_executable()?);
    command.args(hidden_arguments).arg(std::process::id().to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.env_remove(PARENT_VAR).process_group(0).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the namespace's reaper ended at once: {status}"))) }
}

/// The reaper itself: goes into the background, waits for the end of `command` and ends what it left behind.
///
/// Errors: fork(2), or /proc cannot be read.
pub fn reap(command: u32) -> io::Result<()> {
    nix::unistd::daemon(false, false)?;
    while is_alive(command) {
        sleep(LOOK_EVERY);
    }
    let namespace = namespace()?;
    let clock = Clock::start();
    // Asked once each: to many programs, sockbench among them, a second SIGTERM means "at once".
    let mut asked = HashSet::new();
    loop {
        let living = living_in(&namespace)?;
        let waited = clock.now().since(Stamp::ZERO);
        if living.is_empty() || waited >= PATIENCE {
            return Ok(());
        }
        for pid in living {
            // One that ended meanwhile is gone, as it should be.
            if waited >= GRACE {
                let _ = kill(pid, Signal::SIGKILL);
            } else if asked.insert(pid) {
                let _ = kill(pid, Signal::SIGTERM);
            }
        }
        sleep(LOOK_EVERY);
    }
}

/// Every other living process in `namespace`.
fn living_in(namespace: &Path) -> io::Result<Vec<Pid>> {
    // One that ended meanwhile, or is another user's: not ours to end.
    let here = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|ns| ns == namespace);
    let others = read_pids()?.into_iter().filter(|pid| *pid != std::process::id());
    Ok(others.filter(|pid| here(*pid) && is_alive(*pid)).map(|pid| Pid::from_raw(pid.cast_signed())).collect())
}
