//! The process's first thread, lent to work that is to have a table of descriptors of its own.
//!
//! A system call takes a reference on its descriptor's file, two atomic operations, unless the table belongs to one thread
//! (fs/file.c, `__fget_light`). What that costs is in docs/MEASURING.md. It has to be the first thread: /proc/PID/fd, which ss(8)
//! and lsof(8) read, is its table.

use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::thread::{Builder, scope};

use crossbeam_channel::{Sender, unbounded};

use super::thread::{Work, keep_copies};

/// Bytes of the stack of the thread that borrows: what Linux gives a first thread.
const STACK: usize = 8 << 20;

/// Works on the first thread. Whoever has this runs on another one.
#[derive(Debug)]
pub struct FirstThread {
    given: Sender<(&'static str, Work)>,
}

/// What the first thread is called while it works for another.
static NAME: OnceLock<&'static str> = OnceLock::new();

/// The name of thread `tid` where that is the first one of this process, and it was lent. The system has the name of the process
/// there, which pgrep(1) looks for.
pub fn name_of(tid: i32) -> Option<&'static str> {
    NAME.get().copied().filter(|_| tid.unsigned_abs() == std::process::id())
}

/// Runs `rest` on a new thread `name`; and on the calling one, which is the process's first, what [`FirstThread::start`] is given.
/// What `rest` gives. Only what is open now stays open in the first thread's table: no copy of a socket or pipe that is opened later
/// outlives its owner's close(2) there.
///
/// Errors: EAGAIN, no thread could be made.
pub fn lend<T: Send>(name: &str, rest: impl FnOnce(&FirstThread) -> T + Send) -> io::Result<T> {
    let kept = super::thread::open_descriptors();
    let (given, works) = unbounded();
    scope(|scope| {
        let thread = Builder::new().name(name.into()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, move || rest(&FirstThread { given }))?;
        for (name, work) in works {
            if NAME.set(name).is_ok() {
                own_table(kept.as_deref().unwrap_or_default());
            }
            // Whoever waits for the work finds that it has ended without a word.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Without a list of what was open before, or where the kernel refuses, the table stays shared: that is slower and nothing else.
fn own_table(kept: &[RawFd]) {
    if !kept.is_empty() {
        let _ = keep_copies(kept);
    }
}

impl FirstThread {
    /// Does `work` on the first thread, under this name, when what it was given before is done.
    pub fn start(&self, name: &'static str, work: Work) {
        // The first thread listens as long as this lives.
        let _ = self.given.send((name, work));
    }
}
