//! The client: a thin mio loop around pure virtual users.
//!
//! [`user`] is one virtual user, [`pacer`] says when, [`source`] from which local end; all three are pure. [`steering`] is how somebody else decides on
//! the number of users meanwhile. The
//! worker loop and the run around it are the only parts that touch sockets and threads.

pub mod clock_probe;
pub mod pacer;
pub mod run;
pub mod source;
pub mod steering;
pub mod user;
mod worker;
