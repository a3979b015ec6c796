//! The law of the ephemeral ports: a pool of P ports, each in use for T seconds, sustains P/T connections a second.
//!
//! [`pool`] gives P and [`hold`] gives T for a plan, [`budget`] has the law in closed form, `playback` follows a pool
//! through time. Not here: reading any of it.

pub mod budget;
pub mod demand;
pub mod hold;
mod playback;
pub mod pool;
