//! Refused connects that a summary counts as if an established connection had been reset.
//!
//! A program that connects without waiting learns of the refusal at its first read: ab counts it under `Receive`, and under
//! `Exceptions` once more. The kernel counts the two apart: AttemptFails are connections that were never established,
//! EstabResets those that were.

use crate::model::explanation::{Certainty, FailedCall, Limit, Reading};
use crate::model::facts::KernelCounters;

const SAYS: &str = "The target refused the connection: nothing listens on that port. The program noticed at its first read; the kernel counted failed connects, and no reset of an established connection.";
const IS_NOT: &str = "not a target that ended established connections: the kernel counted none";

/// The readings with such refusals named as what they are, and each failure counted once. `kernel` is what was added meanwhile.
pub(super) fn told_apart(readings: &mut Vec<Reading>, kernel: Option<&KernelCounters>) {
    for reading in readings.iter_mut() {
        // An errno in the output is the program's own witness.
        let is_count = reading.limit == Limit::Reset && reading.code.is_none() && reading.name.is_none();
        if is_count && kernel.is_some_and(|k| k.estab_resets == Some(0) && k.attempt_fails >= reading.count) {
            (reading.limit, reading.call, reading.certainty) = (Limit::Refused, FailedCall::Connect, Certainty::Certain);
            (reading.says, reading.is_not) = (SAYS.into(), IS_NOT.into());
        }
    }
    // The same line under another heading, which may be the same limit: the same requests.
    let is_sure = |r: &&Reading| matches!(r.limit, Limit::Refused | Limit::Reset) && r.certainty != Certainty::Ambiguous;
    let sure: Vec<(String, Limit, u64)> = readings.iter().filter(is_sure).map(|r| (r.text.clone(), r.limit, r.count)).collect();
    let is_again = |r: &Reading| {
        let same = |(text, limit, count): &(String, Limit, u64)| {
            *text == r.text && *count >= r.count && r.alternatives.iter().any(|a| a.limit == *limit)
        };
        r.certainty == Certainty::Ambiguous && sure.iter().any(same)
    };
    readings.retain(|r| !is_again(r));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::explanation::Alternative;

    const LINE: &str = "(Connect: 0, Receive: 300, Length: 0, Exceptions: 150)";

    fn reading(limit: Limit, count: u64) -> Reading {
        let is_open = limit == Limit::Hidden;
        let may_be = |limit| Alternative { call: FailedCall::Unnamed, limit, tell: String::new() };
        Reading {
            text: LINE.into(),
            count,
            tool: Some("ab".into()),
            os: None,
            name: None,
            code: None,
            call: FailedCall::Read,
            limit,
            table: None,
            exactly: None,
            address: None,
            side: None,
            certainty: if is_open { Certainty::Ambiguous } else { Certainty::Certain },
            says: String::new(),
            is_not: String::new(),
            alternatives: if is_open { vec![may_be(Limit::Refused), may_be(Limit::Reset)] } else { Vec::new() },
        }
    }

    fn read(mut readings: Vec<Reading>, attempt_fails: u64, estab_resets: Option<u64>) -> Vec<(Limit, u64)> {
        let kernel = KernelCounters { active_opens: 900, attempt_fails, estab_resets, ..KernelCounters::default() };
        told_apart(&mut readings, Some(&kernel));
        readings.iter().map(|r| (r.limit, r.count)).collect()
    }

    #[test]
    fn a_refused_connect_is_no_reset_and_is_counted_once() {
        let ab = || vec![reading(Limit::Reset, 300), reading(Limit::Hidden, 150)];
        let as_it_is = [(Limit::Reset, 300)];
        assert_eq!(read(ab(), 301, Some(0)), [(Limit::Refused, 300)]);
        assert_eq!(read(ab(), 301, Some(7)), as_it_is, "established ones were reset too");
        assert_eq!(read(ab(), 301, None), as_it_is, "a stored document without the counter");
        assert_eq!(read(ab(), 4, Some(0)), as_it_is, "somebody else's: an answer that ends too early is no reset either");
    }

    #[test]
    fn a_named_errno_and_another_line_stay() {
        let more = vec![reading(Limit::Reset, 3), reading(Limit::Hidden, 150)];
        assert_eq!(read(more, 0, Some(6)).len(), 2, "more than the resets: something else is among them");
        let named = Reading { name: Some("ECONNRESET".into()), code: Some(104), ..reading(Limit::Reset, 3) };
        assert_eq!(read(vec![named], 301, Some(0)), [(Limit::Reset, 3)]);
        let other = Reading { text: "another line".into(), ..reading(Limit::Hidden, 9) };
        assert_eq!(read(vec![reading(Limit::Reset, 300), other], 301, Some(0)), [(Limit::Refused, 300), (Limit::Hidden, 9)]);
        let mut untouched = vec![reading(Limit::Reset, 3)];
        told_apart(&mut untouched, None);
        assert_eq!(untouched[0].limit, Limit::Reset, "the counters could not be read");
    }
}
