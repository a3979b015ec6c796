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

#[cfg(test)]
mod tests {
    use super::*;

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
