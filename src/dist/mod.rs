//! Joining load tests that other engines lead: Locust's protocol ([`locust`]) over ZeroMQ's ([`zmtp`]). Pure: the sockets
//! are the command's.

pub mod locust;
pub mod zmtp;
