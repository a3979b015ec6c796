//! A run on one screen. The answer first: the verdict in one sentence, what was run, why it came out that way, the
//! figures by second where something happened in time, what is doubtful, what helps.
//!
//! No figure is said twice, and a part of the machine is named only where it matters. Every figure is in [`detail`].

use super::page::{Block, Page, one_screen};
use crate::model::finding::Finding;
use crate::model::result::{RunResult, VerdictId};
use said::Said;

mod answers;
mod careful;
mod cause;
pub(in crate::report) mod destinations;
pub(super) mod detail;
mod faults;
pub(in crate::report) mod headline;
mod limits;
pub(in crate::report) mod machines;
pub(in crate::report) mod next;
mod said;
#[cfg(test)]
mod tests;
mod timeline;

/// The report of a run on one screen.
pub(super) fn render(run: &RunResult, page: &Page) -> String {
    if !run.destinations.is_empty() {
        return destinations::render(run, page);
    }
    let said = Said::by_headline(run);
    let mut blocks = vec![Block::kept(headline::render(run, page)), Block::ranked(6, "\n".into())];
    blocks.extend(cause::blocks(run, page, &said));
    blocks.extend(faults::blocks(run, page, &said));
    blocks.extend(answers::blocks(run, page, &said));
    blocks.extend(machines::block(run, page));
    blocks.extend(timeline::block(run, page));
    blocks.extend(cause::recurrence(run, page));
    blocks.extend(limits::block(run, page, &said));
    blocks.extend(careful::blocks(run, page));
    blocks.extend(next::blocks(run, page));
    one_screen(blocks)
}

/// The finding that the page is about: the one that decided the verdict, else what is to mind. Of several destinations that
/// of the one that the verdict names.
fn subject(run: &RunResult) -> Option<&Finding> {
    let named = run.destinations.iter().find(|part| Some(&part.plan.target.authority) == run.verdict.who.as_ref());
    let own = named.and_then(|part| crate::diagnose::deciding(&part.findings)).filter(|f| !f.id.is_of_process());
    if let Some(found) = own.and_then(|own| run.findings.iter().find(|f| f.id == own.id)) {
        return Some(found);
    }
    crate::diagnose::deciding(&run.findings).or_else(|| crate::diagnose::remark(&run.findings))
}

/// No limit was reached, and nothing asks for care.
fn is_clean(run: &RunResult) -> bool {
    run.verdict.id == VerdictId::Healthy && subject(run).is_none()
}

/// Answers: requests that ended at the target and did not fail there.
fn answered(run: &RunResult) -> u64 {
    run.totals.requests - run.totals.failures.min(run.totals.requests)
}
