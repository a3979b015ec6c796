//! The law of the ephemeral ports: a pool of P ports, each in use for T seconds, sustains P/T connections a second.
//!
//! [`budget`] has the law in closed form and T for a destination; `playback` follows a pool through time.

pub mod budget;
mod playback;
