//! One run for each finding.

use sockbench::testing::diagnose::{diagnose, diagnose_study};
use sockbench::testing::model::{
    Call, Failure, FindingId as Id, Phase, PhaseMs, PortMode, PortRange, ProtocolFault, RunResult, Severity, SurplusKind,
};

use super::bodies::slow_bodies;
use super::cores::contended;
use super::stood_still::{gone, hanging, places, silent, stopped};
use super::{ids, page, study};
use crate::facts::{endpoint, errno, exhausted, fail, healthy, late, over, short, status, surplus, truncated};
use crate::snapshot;

/// One run for each id on which its finding is expected among the others.
pub(crate) fn firing() -> Vec<(Id, RunResult)> {
    let with = |base: RunResult, f: &dyn Fn(&mut RunResult)| {
        let mut run = base;
        f(&mut run);
        run
    };
    vec![
        (Id::LocalPortsExhausted, exhausted()),
        (
            Id::LocalPortBusy,
            with(short(100.0), &|r| {
                r.plan.port_mode = PortMode::Ring;
                r.plan.port_range = Some(PortRange { lo: 10_000, hi: 14_999 });
                fail(r, errno(Call::Bind, 98), 40, 50.1, 59.0);
            }),
        ),
        (
            Id::LocalFdLimit,
            with(healthy(), &|r| {
                r.plan.users = 2000;
                fail(r, errno(Call::Socket, 24), 900, 0.1, 59.0);
            }),
        ),
        (Id::TargetGone, gone()),
        (Id::TargetRefused, with(healthy(), &|r| fail(r, errno(Call::Connect, 111), 30, 0.0, 1.0))),
        (Id::TargetConnectionLimit, places()),
        (
            Id::TargetBacklogOverflow,
            with(healthy(), &|r| {
                r.kernel.as_mut().unwrap().listen_overflows = 44;
                r.totals.connects.as_mut().unwrap().setup_near_1s = 20;
            }),
        ),
        (
            Id::SlowConnects,
            with(healthy(), &|r| {
                let connects = r.totals.connects.as_mut().unwrap();
                (connects.setup_retried, connects.setup_near_1s, connects.setup_max_ms) = (7, 5, 3140.0);
            }),
        ),
        (Id::TargetResets, with(healthy(), &|r| fail(r, Failure { reused: true, ..errno(Call::Read, 104) }, 5, 3.0, 40.0))),
        (Id::TargetTimeouts, with(healthy(), &|r| fail(r, late(Phase::Waiting), 9, 10.0, 50.0))),
        (Id::TargetHangs, hanging()),
        (Id::TargetMalformed, with(healthy(), &|r| fail(r, truncated(), 3, 10.0, 50.0))),
        (Id::TargetErrors, with(healthy(), &|r| fail(r, status(503), 90, 10.0, 50.0))),
        (Id::ClientLimit, with(healthy(), &|r| fail(r, over(ProtocolFault::TooManyFields), 40, 10.0, 50.0))),
        (Id::ClientStalled, stopped()),
        (Id::HostContended, contended()),
        (
            Id::TargetForbidsKeepalive,
            with(healthy(), &|r| {
                r.closes.announced_by_target = 9000;
                r.totals.connections_opened = 9000;
                r.totals.requests_per_connection = Some(1.0);
                r.closes.client = 9000;
            }),
        ),
        (Id::TargetSurplusBytes, with(healthy(), &|r| r.surplus = vec![surplus(SurplusKind::SecondAnswer, 12)])),
        (
            Id::TargetSplitsAnswers,
            with(healthy(), &|r| {
                let e = &mut r.endpoints[0];
                e.phases_ms.receiving = Some(PhaseMs { p50: 41.2, p99: 44.8 });
                e.content_size_mean = Some(512.0);
            }),
        ),
        (Id::FailuresWillReturn, exhausted()),
        (Id::PortBudgetHigh, short(400.0)),
        (
            Id::PortSearchSlow,
            with(short(400.0), &|r| {
                for p in r.series.iter_mut().filter(|p| p.ports_used.unwrap() > 14_116) {
                    (p.connect_mean_us, p.connect_p95_us) = (Some(1950.0), Some(2400.0));
                }
            }),
        ),
        (
            Id::GeneratorSaturated,
            with(healthy(), &|r| r.series[..50].iter_mut().for_each(|p| p.client_busiest_percent = Some(97.0))),
        ),
        (Id::UsersNotReached, with(healthy(), &|r| r.totals.users_reached = 31)),
        (Id::TargetStalled, silent()),
        (
            Id::TargetQueueing,
            with(healthy(), &|r| {
                r.endpoints[0].server_timing_ms.as_mut().unwrap().queue.p50 = 80.0;
            }),
        ),
        (Id::SysctlChanged, with(healthy(), &|r| r.host.sysctls_at_end.as_mut().unwrap().tcp_tw_reuse = Some(1))),
        (
            Id::TargetCpuSaturated,
            with(healthy(), &|r| {
                r.plan.think = sockbench::testing::model::Think::default();
                r.resources.target.as_mut().unwrap().busiest_thread_percent = Some(97.0);
            }),
        ),
        (Id::ClosedLoopLimited, healthy()),
        (Id::TailEndpoint, with(healthy(), &|r| r.endpoints[1] = endpoint("/io", 4500, 210.0))),
        (Id::SlowBodies, slow_bodies(800.0, 8.0)),
    ]
}

#[test]
fn every_single_run_id_has_facts_on_which_it_fires() {
    let all = firing();
    for id in Id::ALL.iter().copied().filter(|id| *id != Id::ThroughputPlateau) {
        let (_, run) = all.iter().find(|(i, _)| *i == id).unwrap();
        let found = diagnose(run);
        assert!(ids(&found).contains(&id), "{}: {:?}", id.word(), ids(&found));
        if id.severity() != Severity::Info && id != Id::FailuresWillReturn && id != Id::PortSearchSlow {
            assert_eq!(found[0].id, id, "{:?}", ids(&found));
        }
    }
}

/// As reports have it: joined to its causes.
#[test]
fn every_finding_reads_well() {
    let studied = (Id::ThroughputPlateau, diagnose_study(&study::steps()));
    for (id, found) in firing().into_iter().map(|(id, run)| (id, diagnose(&run))).chain([studied]) {
        let f = found.iter().find(|f| f.id == id).unwrap();
        snapshot::matches("findings", id.word(), &page(&f.title, &f.explanation, &f.remedies));
    }
}
