//! Refused connects that a summary counts as if an established connection had been reset.
//!
//! A program that connects without waiting learns of the refusal at its first read: ab counts it under `Receive`, and under
//! `Exceptions` once more. The kernel counts the two apart: AttemptFails are connections that were never established,
//! EstabResets those that were.

use super::cases::{nobody_listens, servers};
use crate::model::explanation::{Alternative, Certainty, FailedCall, Limit, Reading};
use crate::model::facts::KernelCounters;
use crate::model::watch::WatchReport;

const SAYS: &str = "The target refused the connection: nothing listens on that port. The program noticed at its first read; the kernel counted failed connects, and no reset of an established connection.";
const IS_NOT: &str = "not a target that ended established connections: the kernel counted none";
const LIKELY: &str = "Either the target refused the connection, and the program noticed at its first read: the kernel counted as many failed connects, and no reset of an established connection. Or these were another program's, and the target ended its connections early.";
const TELL: &str =
    "connections of the command are established meanwhile (ss -tn), or its sockets are in another network namespace";

/// How far the counters of the network namespace speak of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// nobody else connects there, or nobody listens at the command's port of this host
    Sure,
    /// the target is elsewhere: a failed connect may be anybody's
    Open,
    /// somebody listens there, to the end: it refuses nobody
    Listens,
}

impl Place {
    fn of(report: &WatchReport) -> Self {
        let listens = servers(report).any(|(_, s)| s.listens_at_end);
        match (nobody_listens(report).is_some(), listens) {
            _ if report.watched.sandbox => Self::Sure,
            (true, false) => Self::Sure,
            (false, true) => Self::Listens,
            _ => Self::Open,
        }
    }
}

/// The readings of a report with such refusals named as what they are, and each failure counted once.
pub(super) fn told_apart(report: &mut WatchReport) {
    let place = Place::of(report);
    renamed(&mut report.output.readings, report.kernel.as_ref(), place);
}

/// `kernel` is what was added meanwhile.
fn renamed(readings: &mut Vec<Reading>, kernel: Option<&KernelCounters>, place: Place) {
    for reading in readings.iter_mut() {
        // An errno in the output is the program's own witness.
        let is_count = reading.limit == Limit::Reset && reading.code.is_none() && reading.name.is_none();
        let fits = kernel.is_some_and(|k| k.estab_resets == Some(0) && k.refused() >= reading.count);
        if !is_count || !fits || place == Place::Listens {
            continue;
        }
        if place == Place::Open {
            reading.alternatives = vec![Alternative { call: reading.call, limit: Limit::Reset, tell: TELL.into() }];
            (reading.says, reading.is_not, reading.certainty) = (LIKELY.into(), String::new(), Certainty::Likely);
        } else {
            (reading.says, reading.is_not, reading.certainty) = (SAYS.into(), IS_NOT.into(), Certainty::Certain);
        }
        (reading.limit, reading.call) = (Limit::Refused, FailedCall::Connect);
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
        renamed(&mut readings, Some(&kernel), Place::Sure);
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
    fn the_counters_of_all_programs_make_nothing_certain_of_a_target_elsewhere() {
        let kernel = KernelCounters { attempt_fails: 9, estab_resets: Some(0), ..KernelCounters::default() };
        let read = |place| {
            let mut readings = vec![reading(Limit::Reset, 3)];
            renamed(&mut readings, Some(&kernel), place);
            readings.remove(0)
        };
        let (sure, open) = (read(Place::Sure), read(Place::Open));
        assert_eq!((sure.limit, sure.certainty, sure.alternatives.len()), (Limit::Refused, Certainty::Certain, 0));
        assert_eq!((open.limit, open.certainty), (Limit::Refused, Certainty::Likely));
        assert_eq!(open.alternatives[0].limit, Limit::Reset);
        assert_eq!(read(Place::Listens), reading(Limit::Reset, 3), "who listens refuses nobody: others' connects failed");
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
        renamed(&mut untouched, None, Place::Sure);
        assert_eq!(untouched[0].limit, Limit::Reset, "the counters could not be read");
    }
}
