//! What needs no socket, no process and no clock: rules, texts, state machines.
#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod diagnose;
mod diagnose_docs;
mod diagnose_properties;
mod explain_texts;
#[path = "../support/facts.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod facts;
mod help;
mod pair;
#[path = "../support/snapshot.rs"]
mod snapshot;
