//! Client and server over loopback sockets, each against a scripted peer.
#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod answers_live;
mod course_live;
mod load_live;
mod one_user_live;
mod requests_live;
mod scripted;
#[path = "../support/served.rs"]
mod served;
mod server_live;
mod server_wire;
mod steering_live;
mod stopped_live;
#[path = "../support/until.rs"]
mod until;
