//! What the machine wants done, and what it asks for.

use std::time::Duration;

use super::message::Spawn;

/// What the machine wants done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Do {
    /// send this message
    Send(Vec<u8>),
    /// begin a run; `on_begun` or `on_failed` follows
    Begin(Box<Spawn>),
    /// the run is to have these users of the classes it knows
    Users(Vec<(String, u32)>),
    /// users finish the request that they have in flight, for this long at most; `on_over` follows
    End(Duration),
    /// close the connection if it is open, and after this long open another under the machine's node id
    Reopen(Duration),
    /// say this to who watches
    Tell(String),
    /// all is said: the process ends
    Leave(Leave),
}

/// Why the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// the master said so
    Quit,
    /// a signal came
    Signal,
    /// no master was found
    NoMaster,
}

/// What this process uses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usage {
    /// the busiest thread's share of a core, per cent
    pub cpu_percent: f64,
    /// resident memory, bytes
    pub memory_bytes: u64,
}
