//! A timeout of which the output does not say whether the connection or its answer was late.
//!
//! Looks say it where they saw connections of the command open, and no SYN that was sent again: then the connects succeeded.

use crate::model::explanation::{FailedCall, Limit, Reading};
use crate::model::figures::counted;
use crate::model::watch::WatchReport;

const IS_NOT: &str = "not a lost SYN, nor a full backlog: looks saw the connections open";

/// The readings of a report with such timeouts named as what they are.
pub(super) fn told_apart(report: &mut WatchReport) {
    let open = report.destinations.iter().map(|d| d.open_max).fold(0, u32::saturating_add);
    let all_open = report.destinations.iter().all(|d| d.open_max > 0 && d.unanswered_max == 0);
    if report.destinations.is_empty() || !all_open {
        return;
    }
    let is_open = |r: &&mut Reading| r.limit == Limit::TimedOut && r.call == FailedCall::Unnamed;
    for reading in report.output.readings.iter_mut().filter(is_open) {
        (reading.call, reading.is_not) = (FailedCall::Read, IS_NOT.into());
        reading.alternatives.clear();
        reading.says = format!(
            "No answer came in time. The connections were established (looks saw at most {} at once): the target is slow or stuck.",
            counted(open, "connection")
        );
    }
}
