//! What needs neither clock nor socket: rules, texts, state machines, and commands that only print and end.
#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod diagnose;
mod diagnose_docs;
mod diagnose_properties;
mod explain_answers;
mod explain_kinds;
mod explain_lists;
mod explain_pages;
mod explain_texts;
#[path = "../support/facts.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod facts;
mod fuzzed;
mod help;
mod mistakes;
mod pair;
mod remedies;
mod simulated;
#[path = "../support/snapshot.rs"]
mod snapshot;
#[path = "../../fuzz/targets.rs"]
mod targets;
mod widths;
