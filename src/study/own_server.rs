//! A `sockbench server` as a child process on a free loopback port, ended when its owner is done.

use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::sys::child::{Child, ChildError, Stderr};

/// Its port in a private namespace, where any is free: outside every usual range of ephemeral ports.
pub const SANDBOX_PORT: u16 = 8080;
/// How long the child may take to print its address: it calibrates its CPU work first.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to drain.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);
/// Exit code of a server whose drain cut requests.
const DRAIN_CUT: i32 = 1;

/// A running child server.
#[derive(Debug)]
pub struct OwnServer {
    child: Child,
    addr: SocketAddr,
}

impl OwnServer {
    /// Starts `sockbench server` at `listen` (port 0 for a free one) with `flags` added, and waits for its address;
    /// [`Self::addr`] is the first.
    ///
    /// Errors: the program cannot be started, or it ended before it listened (the error has its last lines).
    pub fn start_at(listen: &[SocketAddr], flags: &[String]) -> Result<Self, ChildError> {
        let mut args = vec!["server".to_owned()];
        args.extend(listen.iter().flat_map(|a| ["--listen".to_owned(), a.to_string()]));
        args.extend_from_slice(flags);
        let mut child = Child::start_own(&args, Stderr::Keep)?;
        let line = child.read_line(START_TIMEOUT)?;
        let addr = line
            .strip_prefix("listening on http://")
            .and_then(|a| a.trim().parse().ok())
            .ok_or_else(|| io::Error::other(format!("expected its address, got {line:?}")))?;
        Ok(Self { child, addr })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Ends it. Its client has gone, so nobody waits for what it still works on: it gets little time to drain.
    ///
    /// Errors: it had ended by itself, or did not end well.
    pub fn stop(mut self) -> Result<(), ChildError> {
        let by_itself = self.child.wait(Duration::ZERO)?.is_some();
        let status = self.child.stop(STOP_TIMEOUT)?;
        let was_cut = status.code() == Some(DRAIN_CUT) || status.signal() == Some(Signal::SIGKILL as i32);
        if status.success() || (was_cut && !by_itself) {
            Ok(())
        } else {
            Err(io::Error::other(format!("ended with {status}")).into())
        }
    }
}
