//! The verdict of a run: one table from findings to a verdict id and its headline.
//!
//! The first finding, in the order of reports, that has a row decides. The stamp of a run agrees with it by
//! [`super::validity`].

use crate::model::finding::{Finding, FindingId as Id};
use crate::model::result::{RunResult, Verdict, VerdictId};

/// Which findings decide which verdict.
const TABLE: &[(VerdictId, &[Id])] = &[
    (VerdictId::PortBound, &[Id::LocalPortsExhausted, Id::LocalPortBusy]),
    (VerdictId::FdBound, &[Id::LocalFdLimit]),
    (VerdictId::TargetGone, &[Id::TargetRefused]),
    (
        VerdictId::TargetFailing,
        &[Id::TargetBacklogOverflow, Id::TargetResets, Id::TargetTimeouts, Id::TargetMalformed, Id::TargetErrors],
    ),
    (VerdictId::ClientBound, &[Id::GeneratorSaturated]),
    (VerdictId::TargetBound, &[Id::TargetQueueing, Id::TargetCpuSaturated]),
];

/// The verdict of a run whose findings are known.
pub(super) fn verdict(run: &RunResult) -> Verdict {
    let decisive = run.findings.iter().find_map(|f| Some((of(f.id)?, f)));
    match decisive {
        Some((id, finding)) => Verdict { id, sentence: headline(id, finding), since_s: None },
        None if run.totals.latency_ms.is_some() => {
            Verdict { id: VerdictId::Healthy, sentence: "OK: no limit was reached".into(), since_s: None }
        }
        None => Verdict { id: VerdictId::Undecided, sentence: "undecided: nothing was answered".into(), since_s: None },
    }
}

fn of(finding: Id) -> Option<VerdictId> {
    TABLE.iter().find(|(_, ids)| ids.contains(&finding)).map(|(id, _)| *id)
}

fn headline(id: VerdictId, finding: &Finding) -> String {
    let what = match id {
        VerdictId::Healthy => "OK",
        VerdictId::PortBound => "source ports ran out on this machine",
        VerdictId::FdBound => "file descriptors ran out on this machine",
        VerdictId::ClientBound => "the client was the limit",
        VerdictId::HostBound => "other programs took the CPU",
        VerdictId::TargetBound => "the target is saturated",
        VerdictId::TargetFailing => "the target is failing",
        VerdictId::TargetGone => "the target is gone",
        VerdictId::Undecided => "undecided",
    };
    format!("{what}: {}", finding.title)
}
