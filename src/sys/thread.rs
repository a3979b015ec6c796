//! The calling thread: its core and its CPU time.

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Numbers of the cores this process may run on; empty when the machine does not say.
pub fn cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().iter().map(|c| c.id).collect()
}

/// Pins the calling thread to one core. False: refused.
pub fn pin(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

/// CPU time that the calling thread has used.
///
/// Errors: the clock is not supported.
pub fn cpu_time() -> io::Result<Duration> {
    let t = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(Duration::new(t.tv_sec().unsigned_abs(), t.tv_nsec() as u32))
}

/// Gives the calling thread a table of descriptors of its own, a copy of the process's: what other threads open from now
/// on takes no room in it (RLIMIT_NOFILE is a limit of each table, unshare(2) CLONE_FILES). Nobody needs a privilege for it.
///
/// Errors: ENOMEM; the thread then goes on with the shared table.
pub fn own_descriptor_table() -> nix::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES)
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

    #[test]
    fn a_core_of_ours_is_granted_and_cpu_time_passes() {
        std::thread::spawn(|| {
            let all = cores();
            assert!(!all.is_empty() && pin(all[0]));
            assert!(!pin(1000), "no machine of ours has that many");
            let before = cpu_time().unwrap();
            std::hint::black_box((0..1_000_000u64).fold(0, |a, b| std::hint::black_box(a ^ b)));
            assert!(cpu_time().unwrap() > before);
        })
        .join()
        .unwrap();
    }
}
