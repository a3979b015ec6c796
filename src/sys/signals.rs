//! SIGINT, SIGTERM and SIGHUP (the terminal has gone): the first asks to stop, a SIGINT or SIGTERM a second later leaves at once. A
//! daemon has no terminal, and a SIGHUP does not end it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::clock::Clock;
use super::proc_text;
use super::thread;
use crate::model::time::Stamp;

/// Which signal has asked to stop, if any. Copies share it.
#[derive(Debug, Clone, Default)]
pub struct StopFlag {
    signal: Arc<AtomicI32>,
    /// set inside the handlers of [`STOPS`]: whoever looks sees a signal before the thread that waits for it has woken
    came: [Arc<AtomicBool>; STOPS.len()],
}

/// Signals within this time are one wish.
const AGAIN: Duration = Duration::from_secs(1);

/// The signals that ask to stop.
const STOPS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// What a SIGHUP does.
#[derive(Debug, Clone, Copy)]
pub enum Hangup {
    /// it is the first signal, as a SIGINT is: the terminal has gone
    Stops,
    /// nothing but this: a daemon has no terminal
    Only(fn()),
}

impl StopFlag {
    /// Takes over these signals; another SIGINT or SIGTERM, a second or more after the first, ends the process with 128 + its number.
    /// One that comes sooner is the same wish: timeout(1) signals its command and then the whole group. A SIGHUP never does: the
    /// shell and the kernel send one each when a terminal closes. One that was ignored stays ignored (nohup(1)).
    ///
    /// Errors: sigaction(2) or the thread that waits for signals.
    pub fn install() -> io::Result<Self> {
        Self::install_with(Hangup::Stops, Box::new(|| {}))
    }

    /// The same; `on_first` runs on the waiting thread when the first signal comes, to wake whoever sleeps.
    pub fn install_with(hangup: Hangup, on_first: Box<dyn Fn() + Send>) -> io::Result<Self> {
        let flag = Self::default();
        let shared = flag.clone();
        let mut taken = vec![SIGINT, SIGTERM];
        if !is_ignored(SIGHUP) {
            taken.push(SIGHUP);
        }
        for (signal, came) in STOPS.iter().zip(&flag.came) {
            let is_stop = *signal != SIGHUP || matches!(hangup, Hangup::Stops);
            if is_stop && taken.contains(signal) {
                signal_hook::flag::register(*signal, Arc::clone(came))?;
            }
        }
        let mut signals = Signals::new(taken)?;
        let wait = move || {
            let mut asked: Option<Clock> = None;
            for signal in signals.forever() {
                if let (SIGHUP, Hangup::Only(says)) = (signal, hangup) {
                    says();
                    continue;
                }
                // The first one stays: it says how the process ends.
                match shared.ask(signal) {
                    Ok(()) => {
                        asked = Some(Clock::start());
                        on_first();
                    }
                    Err(_) if signal == SIGHUP || asked.is_some_and(|asked| asked.now() < Stamp::from_duration(AGAIN)) => {}
                    Err(_) => signal_hook::low_level::exit(128 + signal),
                }
            }
        };
        thread::start("sockbench-signals", Box::new(wait))?;
        Ok(flag)
    }

    /// Whether a signal has come.
    pub fn is_set(&self) -> bool {
        self.signal().is_some()
    }

    /// The signal's number; the first one's where several came.
    pub fn signal(&self) -> Option<i32> {
        match self.signal.load(Ordering::SeqCst) {
            0 => STOPS.iter().zip(&self.came).find(|(_, came)| came.load(Ordering::SeqCst)).map(|(signal, _)| *signal),
            n => Some(n),
        }
    }

    /// Asks to stop as this signal does, if none has come yet.
    ///
    /// Errors: the signal that came first.
    pub fn ask(&self, signal: i32) -> Result<(), i32> {
        self.signal.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).map(|_| ())
    }
}

/// Whether this process was started with `signal` ignored (proc_pid_status(5), `SigIgn`); false where that cannot be read.
pub(super) fn is_ignored(signal: i32) -> bool {
    let status = proc_text::read("/proc/self/status").unwrap_or_default();
    mask_of(&status).is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

fn mask_of(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_mask() {
        assert_eq!(mask_of("Name:\tx\nSigIgn:\t0000000000001001\n"), Some(0x1001));
        assert_eq!(mask_of("Name:\tx\n"), None);
        // Rust ignores SIGPIPE (13) at the start of every program.
        assert!(is_ignored(13) && !is_ignored(SIGTERM));
    }
}
