//! Facts in, findings out: the P/T law, the rules, the wording. Pure.

pub mod budget;
