//! Child processes that run this program again: started, read, ended, and never left behind.
//!
//! A child that must not outlive its parent learns that from [`PARENT_VAR`] and asks the kernel to be killed with it
//! (PR_SET_PDEATHSIG), as its first act: [`die_with_parent`]. The kernel means the parent's THREAD that started
//! the child: start children from a thread that lives as long as they should.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};

use super::clock::{Clock, sleep};
use super::{proc_mount, thread};
use crate::model::time::Stamp;

/// Environment variable that names the parent's pid to a child that must die with it.
pub const PARENT_VAR: &str = "SOCKBENCH_PARENT";
/// Lines of stderr that are kept for an error message.
const KEPT_LINES: usize = 20;
/// How a message of this program begins.
const MESSAGES: [&str; 3] = ["sockbench: ", "hint: ", "warning: "];
const POLL: Duration = Duration::from_millis(5);
/// How long an ended child is waited for, and listened to.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// First act of a process that may be such a child: where [`PARENT_VAR`] is set, asks to be killed when the
/// parent ends, then checks that it has not ended already. True: go on. False: the parent is gone, leave.
///
/// To be called again after a change of credentials, which clears the request (prctl(2)).
pub fn die_with_parent() -> bool {
    let Some(parent) = std::env::var(PARENT_VAR).ok().and_then(|v| v.parse::<i32>().ok()) else { return true };
    if prctl::set_pdeathsig(Signal::SIGKILL).is_err() {
        return false;
    }
    getppid() == Pid::from_raw(parent)
}

/// What to do with a child's stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stderr {
    /// goes where this process's goes
    Inherit,
    /// the last lines are kept for [`Child::complaint`]
    Keep,
}

/// A running child. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    lines: Receiver<String>,
    complaints: Arc<Mutex<VecDeque<String>>>,
    /// reads its stderr to the end
    listener: Option<JoinHandle<()>>,
    status: Option<ExitStatus>,
}

/// Why a child did not give what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// it could not be started, signalled or waited for
    #[error("child process: {0}")]
    Io(#[from] io::Error),
    /// it ended (or closed its stdout) first
    #[error("child process ended before its first lines: {status}{complaint}")]
    Ended {
        /// how it ended, in words
        status: String,
        /// what it said on stderr, led by `: `; may be empty
        complaint: String,
    },
    /// the deadline passed
    #[error("child process said nothing for {0:?}")]
    Silent(Duration),
}

impl Child {
    /// Starts this executable with `args`, stdout read line by line, to die with this thread.
    ///
    /// Errors: fork or exec failed.
    pub fn start_own<A: AsRef<OsStr>>(args: &[A], stderr: Stderr) -> io::Result<Self> {
        let mut command = Command::new(own_executable()?);
        command.args(args);
        Self::start(command, stderr)
    }

    /// Starts `command`, which finally runs this executable, in the same way.
    ///
    /// Errors: fork or exec failed.
    pub fn start(mut command: Command, stderr: Stderr) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).env(PARENT_VAR, std::process::id().to_string());
        command.stderr(if stderr == Stderr::Keep { Stdio::piped() } else { Stdio::inherit() });
        // Ctrl-C at a terminal goes to the whole process group: the owner of the child ends it.
        command.process_group(0);
        let process = command.spawn()?;
        let (to_us, lines) = channel();
        // Whole before anything else can fail: dropped, it ends the process.
        let mut child = Self { process, lines, complaints: Arc::default(), listener: None, status: None };
        if let Some(out) = child.process.stdout.take() {
            // Reads on after the receiver is gone, so that the child never meets a full or broken pipe.
            read_lines(Box::new(out), "sockbench-out", Box::new(move |line| drop(to_us.send(line))))?;
        }
        if let Some(err) = child.process.stderr.take() {
            let kept = Arc::clone(&child.complaints);
            let keep = move |line: String| {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                // A message of several lines: the others begin under its words.
                let is_message = |line: &&mut String| MESSAGES.iter().any(|begin| line.starts_with(begin));
                if let (Some(message), Some(rest)) = (kept.back_mut().filter(is_message), line.strip_prefix("  ")) {
                    *message += &format!(" {rest}");
                    return;
                }
                if kept.len() == KEPT_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
            };
            child.listener = Some(read_lines(Box::new(err), "sockbench-err", Box::new(keep))?);
        }
        Ok(child)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The next line of its stdout, without the line end.
    ///
    /// Errors: it ended first, or nothing came within `patience`.
    pub fn read_line(&mut self, patience: Duration) -> Result<String, ChildError> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(ChildError::Silent(patience)),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.wait(LAST_WORDS)?.map_or_else(|| "stdout closed".into(), |s| s.to_string());
                self.hear_out();
                Err(ChildError::Ended { status, complaint: self.complaint().map(|c| format!(": {c}")).unwrap_or_default() })
            }
        }
    }

    /// The hint that it gave last on stderr, if that was kept.
    pub fn hint(&self) -> Option<String> {
        let kept = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().find_map(|l| l.strip_prefix("hint: ")).map(str::to_owned)
    }

    /// Its last line on stderr, if that was kept: the message, where a hint follows it.
    pub fn complaint(&self) -> Option<String> {
        let kept = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let last = kept.iter().rfind(|l| !l.starts_with("hint: ")).or(kept.back())?;
        Some(last.strip_prefix("sockbench: ").unwrap_or(last).to_owned())
    }

    /// Waits until all of its stderr was read, at most [`LAST_WORDS`]: a process that it started may still have the pipe open.
    fn hear_out(&self) {
        let clock = Clock::start();
        let deadline = Stamp::ZERO.plus(LAST_WORDS);
        while self.listener.as_ref().is_some_and(|l| !l.is_finished()) && clock.now() < deadline {
            sleep(POLL);
        }
    }

    /// How it ended; none when it still runs after `patience`.
    ///
    /// Errors: waitpid(2).
    pub fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let clock = Clock::start();
        let deadline = Stamp::ZERO.plus(patience);
        loop {
            if self.status.is_none() {
                self.status = self.process.try_wait()?;
            }
            if self.status.is_some() || clock.now() >= deadline {
                return Ok(self.status);
            }
            sleep(POLL);
        }
    }

    /// Sends a signal, unless it has ended.
    ///
    /// Errors: kill(2).
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.status.is_none() {
            self.status = self.process.try_wait()?;
        }
        match self.status {
            Some(_) => Ok(()),
            None => kill(Pid::from_raw(self.pid().cast_signed()), signal).map_err(io::Error::from),
        }
    }

    /// SIGTERM, then `patience` to end by itself, then SIGKILL. How it ended.
    ///
    /// Errors: kill(2), waitpid(2).
    pub fn stop(&mut self, patience: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        // One that somebody has stopped takes no signal until it goes on.
        self.signal(Signal::SIGCONT)?;
        if let Some(status) = self.wait(patience)? {
            return Ok(status);
        }
        self.process.kill()?;
        let status = self.process.wait()?;
        self.status = Some(status);
        Ok(status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// This program with `arguments` in a private namespace, as a command to start with [`Child::start`]: it dies
/// with the thread that starts it, and the namespace with it. `sysctls` are written inside; `addresses` are added
/// to its loopback interface (`IP/LEN`).
///
/// Errors: the path of this executable is not known.
pub fn sandboxed(sysctls: &[(String, String)], addresses: &[String], arguments: &[String]) -> io::Result<Command> {
    let own = own_executable()?;
    let mut command = Command::new(&own);
    command.arg("sandbox");
    for (key, value) in sysctls {
        command.arg("--sysctl").arg(format!("{key}={value}"));
    }
    for address in addresses {
        command.arg("--address").arg(address);
    }
    command.arg("--").arg(&own).args(arguments);
    Ok(command)
}

/// The path of this executable. (Not /proc/self/exe itself: the child's name would be `exe`.)
///
/// Errors: /proc is not mounted.
pub fn own_executable() -> io::Result<OsString> {
    match std::env::current_exe() {
        Ok(path) => Ok(path.into()),
        Err(_) if !proc_mount::is_mounted() => {
            Err(io::Error::other(format!("{}, and without it this program cannot find itself", proc_mount::NO_PROC)))
        }
        Err(e) => Err(e),
    }
}

fn read_lines(from: Box<dyn io::Read + Send>, name: &str, mut each: Box<dyn FnMut(String) + Send>) -> io::Result<JoinHandle<()>> {
    let read = move || {
        // Split by bytes: a line that is no UTF-8 must not end the reading, or the child would meet a broken pipe.
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            each(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned());
        }
    };
    thread::start(name, Box::new(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, stderr: Stderr) -> Child {
        let mut c = Command::new("sh");
        c.args(["-c", script]);
        Child::start(c, stderr).unwrap()
    }

    #[test]
    fn first_lines_come_and_sigterm_ends_it() {
        let mut child = shell("echo one; echo two; exec sleep 30", Stderr::Inherit);
        assert_eq!(child.read_line(Duration::from_secs(5)).unwrap(), "one");
        assert_eq!(child.read_line(Duration::from_secs(5)).unwrap(), "two");
        assert!(matches!(child.read_line(Duration::from_millis(20)), Err(ChildError::Silent(_))));
        let status = child.stop(Duration::from_secs(5)).unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    }

    #[test]
    fn one_that_ignores_sigterm_is_killed() {
        let mut child = shell("trap '' TERM; echo ready; while :; do sleep 0.05; done", Stderr::Inherit);
        child.read_line(Duration::from_secs(5)).unwrap();
        let status = child.stop(Duration::from_millis(100)).unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }

    #[test]
    fn one_that_ends_early_says_why() {
        let mut child = shell(
            "exec >&-; echo sockbench: cannot >&2; echo '  bind' >&2; echo hint: another >&2; echo '  port' >&2; exit 3",
            Stderr::Keep,
        );
        let said = match child.read_line(Duration::from_secs(5)) {
            Err(e @ ChildError::Ended { .. }) => e.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(said.ends_with("exit status: 3: cannot bind"), "the message, not the hint, and not half of it: {said}");
        assert_eq!(child.hint().as_deref(), Some("another port"));
    }

    #[test]
    fn one_that_is_stopped_ends_without_the_patience() {
        let mut child = shell("exec sleep 30", Stderr::Inherit);
        child.signal(Signal::SIGSTOP).unwrap();
        let status = child.stop(Duration::from_secs(600)).unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let child = shell("exec sleep 30", Stderr::Inherit);
        let pid = Pid::from_raw(child.pid().cast_signed());
        drop(child);
        assert!(kill(pid, None).is_err());
    }
}
