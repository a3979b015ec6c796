//! sockbench: a load-testing daemon and client that knows why a load test failed.
//!
//! The floors, lowest first: [`model`] (plain data), [`sys`] (the only floor that talks to the OS),
//! [`http1`], [`evloop`], [`stats`], [`remedy`], [`diagnose`], [`gates`], [`compare`], [`merge`], [`watch`],
//! [`dist`] and [`report`] (pure), [`server`], [`load`] and [`observe`] (thin loops),
//! [`study`], and `cli` on top. A file imports only from lower floors and from its own folder;
//! `tests/architecture` holds that. `docs/ARCHITECTURE.md` says why.
//!
//! This is a program. Its places are private to the crate, so that the compiler names what nothing but a test uses;
//! `testing` lists what tests need of them. For the documentation they are public, so that it has to be complete.

#[doc(hidden)]
pub mod testing;

pub use cli::main;

#[cfg(doc)]
pub mod cli;
#[cfg(doc)]
pub mod compare;
#[cfg(doc)]
pub mod diagnose;
#[cfg(doc)]
pub mod dist;
#[cfg(doc)]
pub mod evloop;
#[cfg(doc)]
pub mod explain;
#[cfg(doc)]
pub mod gates;
#[cfg(doc)]
pub mod http1;
#[cfg(doc)]
pub mod live;
#[cfg(doc)]
pub mod load;
#[cfg(doc)]
pub mod merge;
#[cfg(doc)]
pub mod model;
#[cfg(doc)]
pub mod observe;
#[cfg(doc)]
pub mod remedy;
#[cfg(doc)]
pub mod report;
#[cfg(doc)]
pub mod server;
#[cfg(doc)]
pub mod stats;
#[cfg(doc)]
pub mod study;
#[cfg(doc)]
pub mod sys;
#[cfg(doc)]
pub mod watch;

#[cfg(not(doc))]
mod cli;
#[cfg(not(doc))]
mod compare;
#[cfg(not(doc))]
mod diagnose;
#[cfg(not(doc))]
mod dist;
#[cfg(not(doc))]
mod evloop;
#[cfg(not(doc))]
mod explain;
#[cfg(not(doc))]
mod gates;
#[cfg(not(doc))]
mod http1;
#[cfg(not(doc))]
mod live;
#[cfg(not(doc))]
mod load;
#[cfg(not(doc))]
mod merge;
#[cfg(not(doc))]
mod model;
#[cfg(not(doc))]
mod observe;
#[cfg(not(doc))]
mod remedy;
#[cfg(not(doc))]
mod report;
#[cfg(not(doc))]
mod server;
#[cfg(not(doc))]
mod stats;
#[cfg(not(doc))]
mod study;
#[cfg(not(doc))]
mod sys;
#[cfg(not(doc))]
mod watch;
