//! The calling thread: its core and its CPU time.

use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// What a thread does. One type for all of them: each closure type of its own is a kilobyte of program.
pub type Work = Box<dyn FnOnce() + Send>;

/// Starts a thread of this name.
///
/// Errors: EAGAIN.
pub fn start(name: &str, work: Work) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(work)
}

/// A thread that gives something when it ends.
#[derive(Debug)]
pub struct Giving<T> {
    thread: JoinHandle<()>,
    given: Arc<OnceLock<T>>,
}

/// Starts a thread of this name for what `work` gives.
///
/// Errors: EAGAIN.
pub fn giving<T: Send + Sync + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<Giving<T>> {
    let given = Arc::new(OnceLock::new());
    let give = Arc::clone(&given);
    let thread = start(name, Box::new(move || drop(give.set(work()))))?;
    Ok(Giving { thread, given })
}

impl<T> Giving<T> {
    /// Waits for its end. None: it panicked.
    pub fn join(self) -> Option<T> {
        self.thread.join().ok()?;
        Arc::into_inner(self.given)?.into_inner()
    }
}

/// Numbers of the cores this process may run on; empty when the machine does not say.
pub fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().iter().map(|c| c.id).collect()
}

/// Pins the calling thread to one core. False: refused.
pub fn pin(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

/// The only core that a thread may run on; none where it may use several (sched_getaffinity(2), which asks for no right).
///
/// Errors: it has ended.
pub fn only_core_of(tid: i32) -> io::Result<Option<u32>> {
    let set = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(tid))?;
    let mut allowed = (0..nix::sched::CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false));
    let first = allowed.next();
    Ok(first.filter(|_| allowed.next().is_none()).map(|core| core as u32))
}

/// CPU time that the calling thread has used.
///
/// Errors: the clock is not supported.
pub fn cpu_time() -> io::Result<Duration> {
    let t = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(Duration::new(t.tv_sec().unsigned_abs(), t.tv_nsec() as u32))
}

/// Does `what`; and the CPU seconds that it took of the calling thread, 0 where that cannot be read.
pub fn with_cost<T>(what: impl FnOnce() -> T) -> (T, f64) {
    let before = cpu_time().unwrap_or_default();
    let done = what();
    let cost = cpu_time().map_or(Duration::ZERO, |after| after.saturating_sub(before));
    (done, cost.as_secs_f64())
}

/// Gives the calling thread an empty table of descriptors, but for the three standard ones: what other threads open takes
/// no room in it (RLIMIT_NOFILE is a limit of each table, unshare(2) CLONE_FILES). It takes no privilege.
///
/// The copies that unshare(2) makes are closed. A copy of a socket would keep its connection open after the thread that
/// owns it has closed it: no FIN would be sent. Nothing that the calling thread holds may own a descriptor.
///
/// Errors: ENOMEM, EPERM in a container that forbids it; the thread then goes on with the shared table.
pub fn own_descriptor_table() -> nix::Result<()> {
    keep_copies(&[0, 1, 2])
}

/// The same, but the copies of `kept` stay.
pub(super) fn keep_copies(kept: &[RawFd]) -> nix::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES)?;
    // Without /proc, as many as a process without a raised limit can have.
    let copies = open_descriptors().unwrap_or_else(|_| (0..1024).collect());
    close_all(copies.into_iter().filter(|fd| !kept.contains(fd)).collect());
    Ok(())
}

/// Gives the calling thread a table of descriptors that no other thread shares. `ours`, which it alone uses, close in the table
/// of the others; all else that is open stays open in both. Then `next` runs on another thread, in the table of the others: what
/// it opens, and what the threads do that it starts, has no copy in the table of the calling thread.
///
/// A system call takes a reference on its descriptor's file, two atomic operations, unless the table belongs to one thread
/// (fs/file.c, `__fget_light`). What that costs is in docs/MEASURING.md. /proc/PID/fd, which ss(8) and lsof(8) read, is the table
/// of the process's first thread.
///
/// What `next` gives, and whether there are two tables (EPERM in a container that forbids it, ENOMEM). Errors: no thread could be
/// started.
pub fn split_descriptor_table<T: Send + Sync + 'static>(
    ours: Vec<RawFd>,
    next: impl FnOnce() -> T + Send + 'static,
) -> io::Result<(T, nix::Result<()>)> {
    let split = Arc::new(OnceLock::new());
    let waits = Arc::clone(&split);
    let other = giving("descriptors", move || {
        if *waits.wait() {
            close_all(ours);
        }
        next()
    })?;
    let result = nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES);
    let _ = split.set(result.is_ok());
    // Until `ours` are closed there, a listener would go on listening after its owner has closed it.
    let given = other.join().ok_or_else(|| io::Error::other("a thread panicked"))?;
    Ok((given, result))
}

fn close_all(descriptors: Vec<RawFd>) {
    for descriptor in descriptors {
        let _ = nix::unistd::close(descriptor);
    }
}

/// Those of the calling thread's table, and the list's own, which is closed by then. Errors: /proc is not mounted.
pub(super) fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let names = std::fs::read_dir("/proc/thread-self/fd")?;
    Ok(names.filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// Whether the calling thread has it open.
pub(super) fn is_open(descriptor: RawFd) -> bool {
    std::fs::symlink_metadata(format!("/proc/thread-self/fd/{descriptor}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_open_takes_no_room_in_an_own_table() {
        let (opened, is_opened) = std::sync::mpsc::channel::<i32>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            own_descriptor_table().unwrap();
            ready.send(()).unwrap();
            let theirs = is_opened.recv().unwrap();
            std::fs::read_link(format!("/proc/thread-self/fd/{theirs}")).is_ok()
        });
        is_ready.recv().unwrap();
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        assert!(std::fs::read_link(format!("/proc/thread-self/fd/{number}")).is_ok());
        opened.send(number).unwrap();
        assert!(!thread.join().unwrap());
    }

    /// Also where the table is made while connections are open, one closes with its owner.
    #[test]
    fn a_connection_ends_although_a_table_was_made_while_it_was_open() {
        use std::io::Read;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (end, is_ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            own_descriptor_table().unwrap();
            ready.send(()).unwrap();
            let _ = is_ended.recv();
        });
        is_ready.recv().unwrap();
        drop(client);
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        drop(end);
        thread.join().unwrap();
    }

    #[test]
    fn a_core_of_ours_is_granted_and_cpu_time_passes() {
        std::thread::spawn(|| {
            let all = cores();
            assert!(!all.is_empty() && pin(all[0]));
            assert_eq!(only_core_of(nix::unistd::gettid().as_raw()).unwrap(), Some(all[0] as u32));
            assert!(!pin(1000), "no machine of ours has that many");
            let before = cpu_time().unwrap();
            std::hint::black_box((0..1_000_000u64).fold(0, |a, b| std::hint::black_box(a ^ b)));
            assert!(cpu_time().unwrap() > before);
        })
        .join()
        .unwrap();
    }
}
