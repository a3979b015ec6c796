//! The only floor that talks to the operating system: clock, sockets, /proc, sock_diag, affinity, namespaces,
//! processes. Thin and typed: errno and call survive, nothing is decided here.

pub mod clock;
mod raw;
pub mod socket;
pub mod sysctl;
pub mod timer;
