//! The process's first thread, lent to work that is to have a table of descriptors of its own.
//!
//! A system call takes a reference on its descriptor's file, two atomic operations, unless the table belongs to one thread
//! (fs/file.c, `__fget_light`). What that costs is in docs/MEASURING.md. It has to be the first thread: /proc/PID/fd, which ss(8)
//! and lsof(8) read, is its table.

use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{Builder, Thread, current, park, scope};

use super::thread::{Work, is_open, keep_copies, open_descriptors};

/// Bytes of the stack of the thread that borrows: what Linux gives a first thread.
const STACK: usize = 8 << 20;

/// Works on the first thread. Whoever has this runs on another one.
pub struct FirstThread {
    thread: Thread,
    given: Mutex<Option<Work>>,
    is_back: AtomicBool,
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
pub fn lend<T: Send>(name: &str, rest: Box<dyn FnOnce(&FirstThread) -> T + Send + '_>) -> io::Result<T> {
    let kept: Vec<RawFd> = open_descriptors().unwrap_or_default().into_iter().filter(|fd| is_open(*fd)).collect();
    let lent = &FirstThread { thread: current(), given: Mutex::default(), is_back: AtomicBool::new(false) };
    scope(|scope| {
        let borrower = Builder::new().name(name.into()).stack_size(STACK).spawn_scoped(scope, move || {
            let _back = GiveBack(lent);
            rest(lent)
        })?;
        lent.serve(&kept);
        Ok(borrower.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// The borrower is done, also where it panics.
struct GiveBack<'a>(&'a FirstThread);

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        self.0.is_back.store(true, Ordering::SeqCst);
        self.0.thread.unpark();
    }
}

impl FirstThread {
    /// Does `work` on the first thread, under this name. What it was given before has to be done.
    pub fn start(&self, name: &'static str, work: Work) {
        let _ = NAME.set(name);
        *self.given() = Some(work);
        self.thread.unpark();
    }

    fn given(&self) -> std::sync::MutexGuard<'_, Option<Work>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On the first thread, until it is given back. Its table keeps the descriptors `kept`.
    fn serve(&self, kept: &[RawFd]) {
        let mut has_table = false;
        while !self.is_back.load(Ordering::SeqCst) {
            let next = self.given().take();
            let Some(work) = next else {
                park();
                continue;
            };
            // Without a list of what to keep, or where the kernel refuses, the table stays shared: that is slower and nothing else.
            if !std::mem::replace(&mut has_table, true) && !kept.is_empty() {
                let _ = keep_copies(kept);
            }
            // Whoever waits for the work finds that it has ended without a word.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn work_is_done_on_the_lending_thread_with_what_was_open_before() {
        let lender = current().id();
        let before = TcpListener::bind("127.0.0.1:0").unwrap();
        let (told, hear) = channel();
        let number = lend("borrower", {
            let before = &before;
            Box::new(move |first: &FirstThread| {
                assert_ne!(current().id(), lender);
                let since = TcpListener::bind("127.0.0.1:0").unwrap();
                let numbers = [before.as_raw_fd(), since.as_raw_fd()];
                for _ in 0..2 {
                    let told = told.clone();
                    first.start("work", Box::new(move || told.send((current().id(), numbers.map(is_open))).unwrap()));
                    assert_eq!(hear.recv().unwrap(), (lender, [true, false]));
                }
                7
            })
        });
        assert_eq!(number.unwrap(), 7);
    }

    #[test]
    fn a_connection_of_the_borrower_ends_with_its_owner_while_the_work_goes_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let made = lend("borrower", {
            let listener = &listener;
            Box::new(move |first: &FirstThread| {
                let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (mut server, _) = listener.accept().unwrap();
                let ((begun, has_begun), (end, is_ended)) = (channel(), channel::<()>());
                first.start(
                    "work",
                    Box::new(move || {
                        begun.send(()).unwrap();
                        let _ = is_ended.recv();
                    }),
                );
                has_begun.recv().unwrap();
                drop(client);
                server.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
                assert_eq!(server.read(&mut [0]).unwrap(), 0);
                drop(end);
            })
        });
        made.unwrap();
    }

    #[test]
    fn work_that_panics_ends_neither_the_lender_nor_the_borrower() {
        let made = lend(
            "borrower",
            Box::new(|first: &FirstThread| {
                let (told, hear) = channel::<()>();
                first.start(
                    "work",
                    Box::new(move || {
                        let _held = told;
                        panic!("on purpose");
                    }),
                );
                assert!(hear.recv().is_err());
                let (told, hear) = channel();
                first.start("work", Box::new(move || told.send(1).unwrap()));
                hear.recv().unwrap()
            }),
        );
        assert_eq!(made.unwrap(), 1);
    }
}
