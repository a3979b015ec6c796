//! What a watched command prints: passed on unchanged, and read on the way.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::explain::{Heard, Known, TextReader};
use crate::model::explanation::Os;
use crate::sys::command::{self, Event, Signals, Stream};
use crate::sys::thread;

/// Bytes that are passed on at once.
const PIECE: usize = 64 * 1024;
/// When the command has ended, its output has too once nothing comes for this long: what it left behind may have the pipe
/// open, and a terminal passes bytes on a little later.
const SILENCE: Duration = Duration::from_millis(100);
/// Pieces that are read after the end: more than a pipe or a terminal can hold. What is left behind may write for ever.
const PIECES_AFTER: u32 = 32;
/// How often a signal is looked for while somebody takes the rest of the output.
const SIGNAL_EVERY: Duration = Duration::from_millis(20);

/// The streams of a command, on their way.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    readers: Vec<Arc<Mutex<TextReader>>>,
    ends: Vec<Receiver<()>>,
    /// closed when the command has ended
    running: Vec<OwnedFd>,
    /// our ends of the command's terminals
    terminals: Vec<(File, Kind)>,
    /// whether anything is read
    pub(crate) reads: bool,
}

/// The streams that a command gets, and what passes them on once it has them.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) out: Stream,
    pub(crate) err: Stream,
    ours: Vec<(File, Kind)>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Out,
    Err,
}

impl Kind {
    /// This process's stream, without the lock and the lines of the standard library: while somebody takes nothing of the
    /// command's, what we have to say is not delayed.
    fn own(self) -> io::Result<File> {
        let fd = match self {
            Self::Out => io::stdout().as_fd().try_clone_to_owned(),
            Self::Err => io::stderr().as_fd().try_clone_to_owned(),
        };
        fd.map(File::from)
    }
}

impl Streams {
    /// A terminal where there is one, a pipe elsewhere; the process's own where nothing is to be read.
    ///
    /// Errors: EMFILE, or no terminal is left.
    pub(crate) fn make(reads: bool) -> io::Result<Self> {
        if !reads {
            return Ok(Self { out: Stream::Inherit, err: Stream::Inherit, ours: Vec::new() });
        }
        let (stdout, stderr) = (io::stdout(), io::stderr());
        if stdout.is_terminal() && stderr.is_terminal() {
            // One for both, or their order would be lost.
            let (both, theirs) = command::terminal(stdout.as_fd())?;
            let err = theirs.try_clone()?;
            return Ok(Self { out: Stream::To(theirs), err: Stream::To(err), ours: vec![(both, Kind::Out)] });
        }
        let make = |own: BorrowedFd<'_>, is_terminal| if is_terminal { command::terminal(own) } else { command::pipe() };
        let (out, to_out) = make(stdout.as_fd(), stdout.is_terminal())?;
        let (err, to_err) = make(stderr.as_fd(), stderr.is_terminal())?;
        Ok(Self { out: Stream::To(to_out), err: Stream::To(to_err), ours: vec![(out, Kind::Out), (err, Kind::Err)] })
    }

    /// Takes apart: what the command gets, and what is ours.
    pub(crate) fn split(self) -> (Stream, Stream, Ours) {
        (self.out, self.err, Ours(self.ours))
    }
}

/// Our ends.
#[derive(Debug)]
pub(crate) struct Ours(Vec<(File, Kind)>);

impl Ours {
    /// Passes everything on, a thread each.
    ///
    /// Errors: no thread.
    pub(crate) fn pass_on(self) -> io::Result<Passing> {
        let mut passing = Passing { reads: !self.0.is_empty(), ..Passing::default() };
        for (from, kind) in self.0 {
            let known = Known { os: Some(Os::Linux), ..Known::default() };
            let reader = Arc::new(Mutex::new(TextReader::new(known)));
            let (end, is_ended) = channel();
            let shared = Arc::clone(&reader);
            let (over, running) = command::pipe()?;
            let to = kind.own()?;
            if from.is_terminal() {
                passing.terminals.push((from.try_clone()?, kind));
            }
            let work = move || {
                pass(from, &to, &over, &shared);
                drop(end);
            };
            thread::start("watch-output", Box::new(work))?;
            passing.readers.push(reader);
            passing.ends.push(is_ended);
            passing.running.push(running);
        }
        Ok(passing)
    }
}

impl Passing {
    /// The own terminal has another size: so has the command's. `pids` are its processes.
    pub(crate) fn resize(&self, pids: &[u32]) {
        for (terminal, kind) in &self.terminals {
            if let Ok(own) = kind.own() {
                command::resize(own.as_fd(), terminal.as_fd(), pids);
            }
        }
    }

    /// Waits until the rest was taken, however slowly, or a signal comes; what each stream says.
    pub(crate) fn finish(self, signals: &Signals) -> Vec<Heard> {
        drop((self.running, self.terminals));
        let is_taken = |end: &Receiver<()>| {
            while end.recv_timeout(SIGNAL_EVERY) == Err(RecvTimeoutError::Timeout) {
                if matches!(signals.wait(Duration::ZERO), Ok(Event::Stop { .. })) {
                    return false;
                }
            }
            true
        };
        let _ = self.ends.iter().all(is_taken);
        let take = |reader: &Arc<Mutex<TextReader>>| std::mem::take(&mut *reader.lock().unwrap_or_else(PoisonError::into_inner));
        self.readers.iter().map(|reader| take(reader).heard()).collect()
    }
}

/// Until its end, or until nobody takes it any more: then the command gets a broken pipe, as it would without us.
fn pass(mut from: File, to: &File, over: &File, reader: &Mutex<TextReader>) {
    let mut piece = vec![0; PIECE];
    let mut left = None;
    loop {
        if left.is_none() && command::wait_readable(over.as_fd(), None, Some(Duration::ZERO)).unwrap_or(false) {
            left = Some(PIECES_AFTER);
        }
        match left {
            None => {
                if !command::wait_readable(from.as_fd(), Some(over.as_fd()), None).unwrap_or(true) {
                    continue;
                }
            }
            Some(0) => return,
            Some(n) => {
                left = Some(n - 1);
                if !command::wait_readable(from.as_fd(), None, Some(SILENCE)).unwrap_or(false) {
                    return;
                }
            }
        }
        let n = match from.read(&mut piece) {
            // EIO: the last process has closed a terminal.
            Ok(0) => return,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        if write_all(to, &piece[..n]).is_err() {
            return;
        }
        reader.lock().unwrap_or_else(PoisonError::into_inner).feed(&piece[..n]);
    }
}

/// Whoever shares a terminal or a pipe with this process may have made it non-blocking: it is waited for all the same.
fn write_all(mut to: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => drop(command::wait_writable(to.as_fd(), None)?),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
