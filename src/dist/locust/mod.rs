//! A worker of a Locust master, as unpatched masters 2.12 to 2.47 expect one: messages in, messages out, time as an argument.
//!
//! [`worker`] is the machine, `run` one test of it, [`act`] what it wants done, [`message`] the messages, [`stats`] a run's seconds as Locust counts them, [`locustfile`] what the
//! master loads. The protocol as seen and as read in Locust's source (rpc/protocol.py, runners.py, stats.py).

pub mod act;
pub mod locustfile;
pub mod message;
mod run;
pub mod stats;
pub mod worker;
