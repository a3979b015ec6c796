//! Interpreters that run one thread of a process at a time (CPython and Ruby have a lock for all of their own code): many threads
//! that run a little each are then as good as one that runs all the time.

use std::collections::HashMap;

use super::threads::SHARE_SPAN_MIN;
use crate::model::time::Stamp;
use crate::sys::process;

/// Such processes, and what they ran of their own code.
#[derive(Debug, Default)]
pub(super) struct Interpreters {
    /// user CPU by then; none of a process that is no interpreter
    known: HashMap<u32, Option<f64>>,
    at: Stamp,
}

impl Interpreters {
    /// The share of the time since the last call that the busiest interpreter among `pids` ran its own code, 0 to 1. System calls
    /// are not counted: the lock is free meanwhile. None where there is none, or the time is too short.
    pub(super) fn read(&mut self, pids: &[u32], now: Stamp) -> Option<f64> {
        self.known.retain(|pid, _| pids.contains(pid));
        let span = now.since(std::mem::replace(&mut self.at, now));
        let mut most: Option<f64> = None;
        for pid in pids {
            // Asked each time: a shell becomes its last command.
            let runs_one = process::read_executable(*pid).is_ok_and(|name| runs_one_thread(&name));
            let user_s = if runs_one { process::read_user_s(*pid).ok() } else { None };
            let before = self.known.insert(*pid, user_s).flatten();
            if let Some((now_s, before_s)) = user_s.zip(before)
                && span >= SHARE_SPAN_MIN
            {
                let share = ((now_s - before_s) / span.as_secs_f64()).clamp(0.0, 1.0);
                most = Some(most.map_or(share, |most| most.max(share)));
            }
        }
        most
    }
}

/// By the name of its executable. `python3.13t` is the build without the lock.
fn runs_one_thread(executable: &str) -> bool {
    let is_python = ["python", "pypy"].iter().any(|start| executable.starts_with(start));
    is_python && !executable.ends_with('t') || executable.starts_with("ruby")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

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

    #[test]
    fn a_shell_that_becomes_an_interpreter_is_one_from_then_on() {
        let mut shell = Command::new("sh").args(["-c", THREADS]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (pids, clock) = ([shell.id()], Clock::start());
        let mut interpreters = Interpreters::default();
        assert_eq!(interpreters.read(&pids, clock.now()), None, "a shell");
        std::io::Write::write_all(&mut shell.stdin.take().unwrap(), b"go\n").unwrap();
        let mut said = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(interpreters.read(&pids, clock.now()), None, "the first look at it");
        // An interval is what is measured; how much of it the machine gives is not asserted.
        clock::sleep(SHARE_SPAN_MIN);
        let share = interpreters.read(&pids, clock.now());
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert!(share.is_some_and(|share| (0.0..=1.0).contains(&share)), "{share:?}");
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
