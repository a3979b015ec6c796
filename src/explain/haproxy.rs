//! Lines of HAProxy's HTTP log: the two letters of the termination state say who ended a request, and in which phase.

use super::codes::Condition;
use super::evidence::{Evidence, Sighting};
use super::tools::TOOLS;
use crate::model::explanation::{FailedCall, Side};

/// What its letters say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// by the server behind it, or on the way there
    Failed(Condition, FailedCall),
    /// by its client
    ByClient,
    /// normally, or by a rule of its own
    Otherwise,
}

/// The failure of a printable line; none where it is no such line, or nothing failed at a connection.
pub(super) fn read(line: &str) -> Option<Sighting> {
    let Ended::Failed(condition, call) = ended(line)? else { return None };
    let tool = TOOLS.iter().find(|t| t.name == "HAProxy");
    let side = if call == FailedCall::Unnamed { None } else { Some(Side::Client) };
    Some(Sighting { evidence: Evidence { tool, side, ..Evidence::new(condition, call) }, count: 1, is_total: false })
}

/// None where it is no line of its HTTP log: timers, status, bytes, two cookies, four letters.
pub(super) fn ended(line: &str) -> Option<Ended> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|w| is_timers(w))?;
    let [status, bytes, _, _, state, ..] = words.get(at + 1..)? else { return None };
    let is_number = |w: &str| !w.is_empty() && w.trim_start_matches(['+', '-']).bytes().all(|b| b.is_ascii_digit());
    let mut letters = state.chars();
    let (Some(who), Some(phase), 4) = (letters.next(), letters.next(), state.len()) else { return None };
    if !is_number(status) || !is_number(bytes) {
        return None;
    }
    let no_server = words[..at].last().is_some_and(|w| w.ends_with("/<NOSRV>"));
    Some(match (who, phase) {
        ('S', 'C') if no_server => Ended::Failed(Condition::AllDown, FailedCall::Unnamed),
        ('S', 'C') => Ended::Failed(Condition::Refused, FailedCall::Connect),
        ('s', 'C') => Ended::Failed(Condition::TimedOut, FailedCall::Connect),
        ('R', 'C') => Ended::Failed(Condition::NoReason, FailedCall::Connect),
        ('s', 'Q') => Ended::Failed(Condition::ServerLimit, FailedCall::Unnamed),
        ('s', 'H' | 'D' | 'L') => Ended::Failed(Condition::TimedOut, FailedCall::Read),
        ('S', 'H' | 'D' | 'L') => Ended::Failed(Condition::Ended, FailedCall::Read),
        ('C' | 'c', _) => Ended::ByClient,
        _ => Ended::Otherwise,
    })
}

/// `0/0/-1/-1/10001`: five times in milliseconds, -1 for those that did not come.
fn is_timers(word: &str) -> bool {
    let parts: Vec<&str> = word.split('/').collect();
    parts.len() == 5 && parts.iter().all(|p| p.trim_start_matches('+').parse::<i64>().is_ok())
}
