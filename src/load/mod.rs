//! The client: a thin mio loop around pure virtual users.
//!
//! [`user`] is one virtual user, [`pacer`] says when, [`source`] from which local end; all three are pure. The
//! worker loop and the run around it are the only parts that touch sockets and threads.

pub mod clock_probe;
pub mod pacer;
pub mod run;
pub mod source;
pub mod user;
mod worker;
