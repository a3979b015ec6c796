//! Which finding leads a merged run.

use super::tests::{OK, part};
use super::*;
use crate::model::outcome::{Call, Cause, Failure, Outcome, Phase};
use crate::model::result::{PhaseMs, SeriesPoint, ServerTimingMs, VerdictId};

/// What the machine beside the target says of its queue holds for all: the rule is that of a load run.
#[test]
fn a_queue_that_other_programs_made_is_theirs_on_all_machines() {
    let late = Outcome::Failed(Failure::new(Call::Timeout, Cause::TimedOut(Phase::Waiting)));
    let each = |starved: bool| {
        let requests: Vec<(u64, u64, Outcome)> = (0..60).map(|n| (n * 40, 500, if n % 9 == 8 { late } else { OK })).collect();
        let parts = [1, 2].map(|n| part(n, 2, "2026-11-24T10:00:00Z", &requests)).map(|mut part| {
            if starved && part.from == "run-2" {
                let waiting = |p: &mut SeriesPoint| {
                    (p.target_wait_percent, p.client_wait_percent) = (Some(70.0), Some(70.0));
                    (p.client_cpu_percent, p.target_cpu_percent, p.host_cpu_percent) = (Some(1.0), Some(20.0), Some(100.0));
                };
                part.run.series.iter_mut().for_each(waiting);
                let e = part.run.endpoints.iter_mut().max_by_key(|e| e.requests).unwrap();
                e.requests = e.requests.max(100);
                let pair = |p50: f64| PhaseMs { p50, p99: p50 };
                e.server_timing_ms = Some(ServerTimingMs { queue: pair(400.0), work: pair(90.0) });
                part.run.totals.latency_ms.as_mut().unwrap().max = 9_900.0;
                crate::diagnose::settle(&mut part.run);
                assert_eq!(part.run.verdict.id, VerdictId::HostBound, "{:?}", part.run.verdict);
            }
            part
        });
        merge(parts.to_vec(), "sockbench merge".into()).unwrap().run
    };
    assert_eq!(each(false).verdict.id, VerdictId::TargetFailing);
    let starved = each(true);
    assert_eq!(starved.verdict.id, VerdictId::HostBound, "{:?}", starved.verdict);
    assert_eq!(starved.verdict.who.as_deref(), Some("w2"));
}
