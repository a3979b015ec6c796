//! The only floor that talks to the operating system: clock, sockets, /proc, sock_diag, affinity, namespaces,
//! processes. Thin and typed: errno and call survive, nothing is decided here.

pub mod child;
pub mod clock;
pub mod host;
pub mod listen;
mod netlink;
pub mod netns;
pub mod nofile;
pub mod own_process;
pub mod owner;
pub mod proc_net;
pub mod process;
mod raw;
pub mod signals;
pub mod sock_diag;
pub mod socket;
pub mod sysctl;
pub mod thread;
pub mod timer;
