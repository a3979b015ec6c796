//! SIGINT and SIGTERM: the first asks to stop, the second leaves at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Which signal has asked to stop, if any. Copies share it.
#[derive(Debug, Clone, Default)]
pub struct StopFlag {
    signal: Arc<AtomicI32>,
}

impl StopFlag {
    /// Takes over both signals; a second one ends the process with 128 + its number.
    ///
    /// Errors: sigaction(2) or the thread that waits for signals.
    pub fn install() -> io::Result<Self> {
        Self::install_with(|| {})
    }

    /// The same; `on_first` runs on the waiting thread when the first signal comes, to wake whoever sleeps.
    pub fn install_with(on_first: impl Fn() + Send + 'static) -> io::Result<Self> {
        let flag = Self::default();
        let shared = Arc::clone(&flag.signal);
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        std::thread::Builder::new().name("sockbench-signals".into()).spawn(move || {
            for signal in signals.forever() {
                if shared.swap(signal, Ordering::SeqCst) != 0 {
                    signal_hook::low_level::exit(128 + signal);
                }
                on_first();
            }
        })?;
        Ok(flag)
    }

    /// Whether a signal has come.
    pub fn is_set(&self) -> bool {
        self.signal().is_some()
    }

    /// The signal's number.
    pub fn signal(&self) -> Option<i32> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            n => Some(n),
        }
    }
}
