//! Interpreters that run one thread of a process at a time (CPython and Ruby have a lock for all of their own code): many threads
//! that run a little each are then as good as one that runs all the time.
//!
//! That assumes that user CPU is time under the lock. Code in C may release it (hashes, compression, TLS, numpy): once the threads
//! of a process ran more than one core between two looks, it is known to do so, and they count singly from then on. One that never
//! gets as much is taken for one thread; a wait for a core is never added to such a sum.

use std::collections::HashMap;
use std::time::Duration;

use super::threads::{SHARE_SPAN_MIN, Shares};
use crate::model::time::Stamp;
use crate::sys::process;

/// Two figures of CPU differ by this share of the time without a reason: the kernel gives them in steps of 10 ms.
const STEPS: f64 = 0.10;

/// Such processes, and what they ran of their own code.
#[derive(Debug, Default)]
pub(super) struct Interpreters {
    /// none of a process that is no interpreter
    known: HashMap<u32, Option<Interpreter>>,
    at: Stamp,
}

impl Interpreters {
    /// The share of the time since the last call that the busiest interpreter among `pids` ran its own code, 0 to 1. System calls
    /// are not counted: the lock is free meanwhile. None where there is none that runs one thread at a time, or the time is too
    /// short.
    pub(super) fn read(&mut self, pids: &[u32], now: Stamp) -> Option<f64> {
        self.known.retain(|pid, _| pids.contains(pid));
        let span = now.since(std::mem::replace(&mut self.at, now));
        let mut most: Option<f64> = None;
        for pid in pids {
            // Asked each time: a shell becomes its last command.
            let runs_one = process::read_executable(*pid).is_ok_and(|name| runs_one_thread(&name));
            let user_s = if runs_one { process::read_user_s(*pid).ok() } else { None };
            let before = self.known.remove(pid).flatten();
            let after = user_s.map(|user_s| Interpreter::after(before, user_s, span));
            self.known.insert(*pid, after);
            most = most.into_iter().chain(after.and_then(|i| i.share)).reduce(f64::max);
        }
        most
    }
}

/// One process.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Interpreter {
    /// user CPU by now
    user_s: f64,
    /// its threads ran at the same time, by more than a core: the lock does not hold them
    is_parallel: bool,
    /// what it ran since the look before, 0 to 1; none where that is not known, or its threads count singly
    share: Option<f64>,
}

impl Interpreter {
    fn after(before: Option<Self>, user_s: f64, span: Duration) -> Self {
        let ran = before.filter(|_| span >= SHARE_SPAN_MIN).map(|b| (user_s - b.user_s) / span.as_secs_f64());
        let is_parallel = before.is_some_and(|b| b.is_parallel) || ran.is_some_and(|ran| ran > 1.0 + STEPS);
        Self { user_s, is_parallel, share: ran.filter(|_| !is_parallel).map(|ran| ran.clamp(0.0, 1.0)) }
    }
}

/// What the busiest thread ran and waited for a core, with all threads of an interpreter, which ran for `in_turn`, as one. Where that
/// is a sum of several threads, the wait of one of them is no part of it, and it has none: 0.
pub(super) fn busiest(thread: Shares, in_turn: Option<f64>) -> (f64, f64) {
    in_turn.filter(|all| *all > thread.ran + STEPS).map_or((thread.ran, thread.waited), |all| (all, 0.0))
}

/// By the name of its executable. `python3.13t` is the build without the lock.
fn runs_one_thread(executable: &str) -> bool {
    let is_python = ["python", "pypy"].iter().any(|start| executable.starts_with(start));
    is_python && !executable.ends_with('t') || executable.starts_with("ruby")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::sys::clock::{self, Clock};

    /// It waits for a line as a shell, then becomes an interpreter whose two threads compute in turn.
    const THREADS: &str = "read go; exec python3 -c '
import threading
def spin():
    while True: pass
threads = [threading.Thread(target=spin) for _ in range(2)]
for t in threads: t.start()
print(\"ready\", flush=True)'";

    /// It ends with the test, whatever the test says.
    struct Ends(Child);

    impl Drop for Ends {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_shell_that_becomes_an_interpreter_is_one_from_then_on() {
        if !Command::new("python3").arg("-c").arg("").status().is_ok_and(|s| s.success()) {
            return crate::sys::skipped("a_shell_that_becomes_an_interpreter_is_one_from_then_on: no python3");
        }
        let shell = Command::new("sh").args(["-c", THREADS]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut shell = Ends(shell);
        let (pids, clock) = ([shell.0.id()], Clock::start());
        let mut interpreters = Interpreters::default();
        assert_eq!(interpreters.read(&pids, clock.now()), None, "a shell");
        std::io::Write::write_all(&mut shell.0.stdin.take().unwrap(), b"go\n").unwrap();
        let mut said = String::new();
        BufReader::new(shell.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(interpreters.read(&pids, clock.now()), None, "the first look at it");
        // An interval is what is measured; how much of it the machine gives is not asserted.
        clock::sleep(SHARE_SPAN_MIN);
        let share = interpreters.read(&pids, clock.now());
        assert!(share.is_some_and(|share| (0.0..=1.0).contains(&share)), "{share:?}");
        // An id that was gone may be another process's.
        assert_eq!(interpreters.read(&[], clock.now()), None);
        clock::sleep(SHARE_SPAN_MIN);
        assert_eq!(interpreters.read(&pids, clock.now()), None, "the first look at it");
    }

    #[test]
    fn threads_that_ran_at_the_same_time_count_singly_from_then_on() {
        let second = Duration::from_secs(1);
        let shares = |user_s: &[f64]| {
            let mut process = None;
            let looks = user_s.iter().map(|user_s| {
                let now = Interpreter::after(process, *user_s, second);
                process = Some(now);
                now.share.map(|share| (share * 100.0).round())
            });
            looks.collect::<Vec<_>>()
        };
        // In turn, up to the steps of the figure.
        assert_eq!(shares(&[0.0, 0.97, 1.0, 2.03]), [None, Some(97.0), Some(3.0), Some(100.0)]);
        // Hashes beside each other on two cores.
        assert_eq!(shares(&[0.0, 0.5, 2.4, 3.3]), [None, Some(50.0), None, None]);
        // Too short to be a share, and no proof.
        let first = Interpreter::after(None, 0.0, second);
        let short = Interpreter::after(Some(first), 1.0, SHARE_SPAN_MIN / 2);
        assert_eq!((short.share, short.is_parallel), (None, false));
    }

    #[test]
    fn the_wait_of_one_thread_is_not_added_to_what_several_ran() {
        let thread = |ran, waited| Shares { ran, waited, waited_most: waited };
        // Four that hash on a busy machine; four that run in turn.
        assert_eq!(busiest(thread(0.14, 0.8), Some(0.55)), (0.55, 0.0));
        assert_eq!(busiest(thread(0.25, 0.05), Some(0.97)), (0.97, 0.0));
        // One thread alone, whose user CPU is read in steps; none of an interpreter.
        assert_eq!(busiest(thread(0.86, 0.1), Some(0.9)), (0.86, 0.1));
        assert_eq!(busiest(thread(0.86, 0.1), None), (0.86, 0.1));
    }

    #[test]
    fn interpreters_with_one_lock_for_all_threads() {
        for name in ["python3", "python3.11", "python2.7", "pypy3.10", "ruby3.1"] {
            assert!(runs_one_thread(name), "{name}");
        }
        for name in ["python3.13t", "node", "java", "wrk", "bash", ""] {
            assert!(!runs_one_thread(name), "{name}");
        }
    }
}
