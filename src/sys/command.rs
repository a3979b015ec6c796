//! A command of somebody else's that is watched: started with all that it starts in view, and waited for without taking
//! its signals or its terminal away.
//!
//! Processes that the command leaves behind become children of this one (PR_SET_CHILD_SUBREAPER), so that a tool that goes
//! into the background is not lost. It stays in this session and process group: Ctrl-C at the terminal reaches it by itself.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios;
use nix::unistd::Pid;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{WaitOptions, wait};
use rustix::termios::{tcgetwinsize, tcsetwinsize};

use super::child::PARENT_VAR;
use super::process;
use super::signals::is_ignored;

/// Signals that ask to stop.
const STOPS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// by itself, with this code
    Code(i32),
    /// by this signal
    Signal(i32),
    /// nobody knows: the kernel has kept nothing of it
    Unknown,
}

/// Where a stream of the command goes.
#[derive(Debug)]
pub enum Stream {
    /// where this process's goes
    Inherit,
    /// to us
    To(OwnedFd),
}

/// What woke [`Signals::wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// the time is over
    Timeout,
    /// a child ended
    Child,
    /// the terminal has another size
    Resized,
    /// somebody asks to stop
    Stop {
        /// the signal's number
        signal: i32,
        /// the terminal sent it, to every process in the foreground
        from_terminal: bool,
    },
}

/// Signals of this process as events: those that ask to stop, and the end of children.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    /// the mask before: the command's
    before: SigSet,
    /// those that came while the mask was that
    missed: Vec<(Signal, Arc<AtomicBool>)>,
}

impl Signals {
    /// Takes them over. To be called before any thread is started: threads inherit it. One that was ignored stays ignored
    /// (nohup(1)): blocked, it would come all the same.
    ///
    /// Errors: sigaction(2), signalfd(2).
    pub fn take() -> io::Result<Self> {
        let mut set = SigSet::empty();
        let mut missed = Vec::new();
        let stops = STOPS.into_iter().filter(|signal| !is_ignored(*signal as i32));
        // An ignored SIGCHLD would let the kernel bury children unseen: it is taken in any case.
        for signal in stops.chain([Signal::SIGCHLD, Signal::SIGWINCH]) {
            set.add(signal);
            let flag = Arc::default();
            signal_hook::flag::register(signal as i32, Arc::clone(&flag))?;
            missed.push((signal, flag));
        }
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { fd, before, missed })
    }

    /// Does `what` with the mask that was before; a signal that comes meanwhile is an event all the same.
    fn outside<T>(&self, what: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let own = self.before.thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let done = what();
        own.thread_set_mask()?;
        for (signal, flag) in &self.missed {
            if flag.swap(false, Ordering::SeqCst) {
                raise(*signal)?;
            }
        }
        done
    }

    /// The next event, within `patience`.
    ///
    /// Errors: poll(2).
    pub fn wait(&self, patience: Duration) -> io::Result<Event> {
        match poll(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)], timeout(Some(patience))) {
            Ok(0) | Err(Errno::EINTR) => return Ok(Event::Timeout),
            Ok(_) => {}
            Err(e) => return Err(e.into()),
        }
        let Some(info) = self.fd.read_signal()? else { return Ok(Event::Timeout) };
        let signal = info.ssi_signo.cast_signed();
        if signal == Signal::SIGCHLD as i32 {
            return Ok(Event::Child);
        }
        if signal == Signal::SIGWINCH as i32 {
            return Ok(Event::Resized);
        }
        // SI_KERNEL and others above zero come from the kernel, in the name of a terminal here.
        Ok(Event::Stop { signal, from_terminal: info.ssi_code > 0 })
    }
}

/// Waits until `from` has something to read, or has ended: true. False where `patience` is over, if there is one, or `end`
/// has no writer any more.
///
/// Errors: poll(2).
pub fn wait_readable(from: BorrowedFd<'_>, end: Option<BorrowedFd<'_>>, patience: Option<Duration>) -> io::Result<bool> {
    let fds = [Some(from), end].into_iter().flatten();
    let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    poll_whole(&mut fds, patience)?;
    Ok(fds[0].any() == Some(true))
}

/// Waits until `to` takes something, or nobody takes it any more: true. False where `patience` is over, if there is one.
///
/// Errors: poll(2).
pub fn wait_writable(to: BorrowedFd<'_>, patience: Option<Duration>) -> io::Result<bool> {
    Ok(poll_whole(&mut [PollFd::new(to, PollFlags::POLLOUT)], patience)? > 0)
}

/// poll(2), again after a signal.
fn poll_whole(fds: &mut [PollFd<'_>], patience: Option<Duration>) -> io::Result<i32> {
    loop {
        match poll(fds, timeout(patience)) {
            Err(Errno::EINTR) => {}
            done => return Ok(done?),
        }
    }
}

fn timeout(patience: Option<Duration>) -> PollTimeout {
    patience.map_or(PollTimeout::NONE, |p| u16::try_from(p.as_millis()).unwrap_or(u16::MAX).into())
}

/// Starts `words`, looked up in PATH.
///
/// Errors: as of exec(3): not found, or not executable.
pub fn start(signals: &Signals, words: &[OsString], out: Stream, err: Stream) -> io::Result<u32> {
    let Some((program, arguments)) = words.split_first() else { return Err(io::ErrorKind::InvalidInput.into()) };
    prctl::set_child_subreaper(true)?;
    let stdio = |stream: Stream| match stream {
        Stream::Inherit => Stdio::inherit(),
        Stream::To(fd) => Stdio::from(fd),
    };
    let mut command = Command::new(program);
    command.args(arguments).env_remove(PARENT_VAR).stdout(stdio(out)).stderr(stdio(err));
    // Children inherit the mask: with a blocked SIGTERM or SIGINT they could not be stopped.
    Ok(signals.outside(|| command.spawn())?.id())
}

/// A pipe: the end to read, the end to write.
///
/// Errors: EMFILE.
pub fn pipe() -> io::Result<(File, OwnedFd)> {
    let (read, write) = io::pipe()?;
    Ok((File::from(OwnedFd::from(read)), OwnedFd::from(write)))
}

/// A terminal of the size and the settings of this process's own: our end, the command's end. What is written there comes out
/// unchanged, because the own terminal makes of it what it is.
///
/// Errors: no terminal is left.
pub fn terminal(own: BorrowedFd<'_>) -> io::Result<(File, OwnedFd)> {
    let size = terminal_size::terminal_size_of(own).map(|(width, height)| Winsize {
        ws_row: height.0,
        ws_col: width.0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    });
    let mut settings = termios::tcgetattr(own)?;
    settings.output_flags.remove(termios::OutputFlags::OPOST);
    let pair = openpty(&size, &Some(settings))?;
    // The command has the other end as its streams, and no descriptor more than without us.
    for end in [&pair.master, &pair.slave] {
        fcntl_setfd(end, FdFlags::CLOEXEC)?;
    }
    Ok((File::from(pair.master), pair.slave))
}

/// Gives our end of a command's terminal the size that the own one has by now, and says so to `pids`: the signal that they
/// had from the own terminal may have come too early.
pub fn resize(own: BorrowedFd<'_>, terminal: BorrowedFd<'_>, pids: &[u32]) {
    if tcgetwinsize(own).and_then(|size| tcsetwinsize(terminal, size)).is_ok() {
        for pid in pids {
            send(*pid, Signal::SIGWINCH as i32);
        }
    }
}

/// Buries every child that has ended; how `command` ended, if it did. Without any child it has.
pub fn reap(command: u32) -> Option<Ended> {
    let mut ended = None;
    loop {
        // The raw status: real-time signals are no `Signal`.
        let (pid, status) = match wait(WaitOptions::NOHANG) {
            Ok(Some(one)) => one,
            Ok(None) => return ended,
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return ended.or(Some(Ended::Unknown)),
        };
        if pid.as_raw_pid().cast_unsigned() == command {
            let by_signal = status.terminating_signal().map(Ended::Signal);
            ended = status.exit_status().map(Ended::Code).or(by_signal).or(ended);
        }
    }
}

/// Children of this process: the command, and what it left behind.
///
/// Errors: /proc cannot be listed.
pub fn read_children() -> io::Result<Vec<u32>> {
    let own = std::process::id();
    Ok(process::read_parents()?.into_iter().filter(|(_, parent)| *parent == own).map(|(pid, _)| pid).collect())
}

/// Sends one of the signals that have a name; one that has ended gets none.
pub fn send(pid: u32, signal: i32) {
    if let (Ok(signal), Ok(pid)) = (Signal::try_from(signal), i32::try_from(pid)) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}
