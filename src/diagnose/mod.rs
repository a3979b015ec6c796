//! Facts in, findings out: the P/T law, the rules, the wording. Pure.
//!
//! [`budget`] is arithmetic about ports. [`rule`] says what a rule is and joins the findings of the [`table`];
//! [`validity`] stamps a run; [`mod@preflight`] says before a run what it can reach. [`explain`] goes the other way:
//! from an error text or another tool's file to the same causes.
//!
//! Not here: reading facts (`observe`, `sys`), rendering findings (`report`), proving remedies (`study::rehearse`).

pub mod budget;
pub mod command;
mod exhaustion;
pub mod explain;
mod findings_doc;
mod playback;
pub mod preflight;
pub mod proofs;
mod reading;
mod remedies;
mod remedies_range;
pub mod rule;
mod rules_backlog;
mod rules_busy;
mod rules_client;
mod rules_info;
mod rules_local;
mod rules_ports;
mod rules_study;
mod rules_target;
mod rules_users;
mod rules_work;
pub mod table;
mod target;
pub mod thresholds;
pub mod validity;

pub use findings_doc::findings_markdown;
pub use preflight::preflight;
pub use proofs::attach_proofs;
pub use rule::{diagnose, diagnose_study, undecided};
pub use validity::{settle, stamp};
