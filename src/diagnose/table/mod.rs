//! All rules in the order of the contract, with everything that docs/FINDINGS.md says of them.
//!
//! A name in braces is replaced by the value of that threshold: `{FORBIDS_SHARE}` is printed as `50 %`.

mod errors;
mod infos;
mod warnings;

use super::rule::Rule;
use crate::model::finding::FindingId as Id;

/// What a rule about failures of this machine must know.
const COUNTED_HERE: &str = "a failure of this machine has no row in the error table";
/// What a rule about failures at the target must know.
const COUNTED_AT_TARGET: &str = "a failure at the target has no row in the error table";

/// One rule per finding id, in the order of reports.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    errors::RULES.iter().chain(warnings::RULES).chain(infos::RULES)
}

/// The rule of this id.
pub fn rule_of(id: Id) -> Option<&'static Rule> {
    rules().find(|rule| rule.id == id)
}
