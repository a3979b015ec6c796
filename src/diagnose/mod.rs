//! Facts in, findings out: the P/T law, the rules, the wording. Pure.
//!
//! [`ports`] is arithmetic about ports. [`rule`] says what a rule is and joins the findings of the [`table`];
//! [`validity`] stamps a run; [`mod@preflight`] says before a run what it can reach.
//!
//! Not here: reading facts (`observe`, `sys`), rendering findings (`report`), proving remedies (`study::rehearse`).

pub mod command;
mod findings_doc;
mod indicators;
pub mod ports;
pub mod preflight;
pub mod proofs;
pub(crate) mod remedies;
mod remedies_range;
pub mod rule;
mod rules;
pub mod table;
mod target;
pub mod thresholds;
pub mod validity;
mod verdict;

pub use findings_doc::findings_markdown;
pub use preflight::preflight;
pub use proofs::attach_proofs;
pub use rule::{diagnose, diagnose_study, undecided};
pub use validity::{settle, stamp};
