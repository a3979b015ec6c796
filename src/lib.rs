//! sockbench: a load-testing daemon and client that knows why a load test failed.
//!
//! The floors, lowest first: [`model`] (plain data), [`sys`] (the only floor that talks to the OS),
//! [`http1`], [`evloop`], [`stats`], [`remedy`], [`diagnose`] and [`report`] (pure), [`server`], [`load`] and [`observe`] (thin loops),
//! [`study`], and `cli` on top. A file imports only from lower floors and from its own folder;
//! `tests/architecture` holds that. `docs/ARCHITECTURE.md` says why.

pub mod cli;
pub mod diagnose;
pub mod evloop;
pub mod explain;
pub mod http1;
pub mod load;
pub mod model;
pub mod observe;
pub mod remedy;
pub mod report;
pub mod server;
pub mod stats;
pub mod study;
pub mod sys;
