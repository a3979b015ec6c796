//! What the pools do: the blocking sleep of `/io` and the loop of `/cpu`, whose length is calibrated once.

use std::hint::black_box;
use std::io;
use std::time::Duration;

use crate::model::plan::CpuWork;
use crate::sys::thread;

/// Iterations of one calibration probe: some milliseconds.
const PROBE_ITERATIONS: u64 = 1 << 20;
/// Probes; the quickest counts, since everything that disturbs a probe makes it longer.
const PROBES: usize = 7;

/// `iterations` steps of a xorshift generator: each needs the one before, so no compiler and no wide core can
/// shorten it, and the result is in the answer.
pub fn cpu_loop(iterations: u64, seed: u64) -> u64 {
    let mut x = black_box(seed | 1);
    for _ in 0..iterations {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        x = x.wrapping_mul(0x2545_f491_4f6c_dd1d);
    }
    black_box(x)
}

/// The iterations of one `/cpu` job: as the plan says, or as many as take its CPU time on the calling thread's core.
///
/// Errors: the thread's CPU clock cannot be read.
pub fn iterations(work: CpuWork) -> io::Result<u64> {
    let goal = match work {
        CpuWork::Iterations(n) => return Ok(n),
        CpuWork::CalibrateS(goal) => goal,
    };
    let mut quickest = Duration::MAX;
    for seed in 0..PROBES as u64 {
        let before = thread::cpu_time()?;
        cpu_loop(PROBE_ITERATIONS, seed);
        quickest = quickest.min(thread::cpu_time()?.saturating_sub(before));
    }
    let per_iteration = quickest.as_secs_f64().max(1e-9) / PROBE_ITERATIONS as f64;
    Ok(((goal.as_secs_f64() / per_iteration) as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_is_a_function_of_its_length_and_seed() {
        assert_eq!(cpu_loop(1000, 3), cpu_loop(1000, 3));
        assert_ne!(cpu_loop(1000, 3), cpu_loop(1001, 3));
        assert_ne!(cpu_loop(1000, 3), cpu_loop(1000, 5));
    }

    #[test]
    fn calibration_scales_with_the_goal() {
        assert_eq!(iterations(CpuWork::Iterations(5)).unwrap(), 5);
        let short = iterations(CpuWork::CalibrateS(Duration::from_millis(1))).unwrap();
        let long = iterations(CpuWork::CalibrateS(Duration::from_millis(10))).unwrap();
        // Generous: a shared machine changes its pace between the two.
        assert!((4.0..25.0).contains(&(long as f64 / short as f64)), "{short} {long}");
    }
}
