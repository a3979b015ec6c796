//! Pages that people show to others: one file that needs nothing else, complete without JavaScript, in light and dark, on a
//! phone and on paper.
//!
//! What a page says is what the text report says: the sentences come from the result, tables and lines from [`text`](super::text),
//! pictures from [`chart`](super::chart). Names come from targets and users: all text is escaped by maud, characters that
//! cannot be seen are left out, and the page forbids itself every request.

mod charts;
mod compare;
mod environment;
mod failures;
mod findings;
mod live;
mod rehearsal;
mod run;
mod shell;
mod study;
#[cfg(test)]
mod tests;

pub use compare::render_comparison;
pub use live::{Going, live_page};
pub use rehearsal::render_rehearsal;
pub use run::{render_run, run_page};
pub use shell::Document;
pub use study::{render_study, study_page};
