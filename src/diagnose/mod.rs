//! Facts in, findings out: the P/T law, the rules, the wording. Pure.
//!
//! [`ports`] is arithmetic about ports. `indicators` reads a run once; each [`rule`] of the [`table`] reads the indicators
//! and makes a ruling; the [`engine`] makes findings, verdict and stamp of these. [`mod@preflight`] says before a run what
//! it can reach.
//!
//! Not here: reading facts (`observe`, `sys`), rendering findings (`report`), proving remedies (`study::rehearse`).

mod caveat;
pub(crate) mod ceiling;
pub mod engine;
mod findings_doc;
pub(crate) mod growth;
mod indicators;
pub mod ports;
pub mod preflight;
pub mod proofs;
pub mod rule;
mod rules;
mod station;
pub mod table;
pub mod thresholds;
mod validity;
mod verdict;

pub use caveat::{caveat, few_answers, is_try, no_rate};
pub(crate) use engine::joined_by_id;
pub use engine::{Diagnosis, diagnose, diagnose_study, ruling, settle, study_ruling};
pub use findings_doc::findings_markdown;
pub(crate) use indicators::{Form, search_limit};
pub use preflight::preflight;
pub use proofs::{attach_proofs, keep_proofs};
pub(crate) use rules::search::is_near_search;
pub(crate) use rules::settings::settings_changed;
pub(crate) use rules::users::users_started;
pub(crate) use verdict::decision;
pub use verdict::{decides, deciding, remark, stopped};
