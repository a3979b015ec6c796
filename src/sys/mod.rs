//! The only floor that talks to the operating system: clock, sockets, /proc, sock_diag, affinity, namespaces,
//! processes. Thin and typed: errno and call survive, nothing is decided here.

pub mod cgroup;
pub mod child;
pub mod clock;
pub mod command;
pub mod descriptors;
pub mod first_thread;
pub mod host;
pub mod listen;
mod netlink;
pub mod netns;
pub mod nofile;
pub mod output_file;
pub mod own_process;
pub mod owner;
pub mod proc_mount;
pub mod proc_net;
mod proc_text;
pub mod process;
mod raw;
pub mod reach;
pub mod reaper;
pub mod service;
pub mod signals;
pub mod sock_diag;
pub mod socket;
pub mod stream;
pub mod sysctl;
pub mod terminal;
pub mod thread;
pub mod timer;

/// Says why a test is not run here. What a passing test prints is thrown away; the standard error itself is not.
#[cfg(test)]
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(format!("SKIPPED {why}\n").as_bytes());
}
