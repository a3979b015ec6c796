//! Cores that this run's threads waited for: other programs had them, or a quota took them away.

use sockbench::testing::diagnose::{Diagnosis, settle};
use sockbench::testing::model::{CoreUse, FindingId as Id, RunResult, RunStamp, Throttling, VerdictId};

use super::{clear, fires, reads, unknown};
use crate::facts::healthy;

/// The client waited for a core in every third second, and others had both.
pub(super) fn contended() -> RunResult {
    let mut run = healthy();
    for p in run.series.iter_mut().step_by(3) {
        (p.client_wait_percent, p.host_cpu_percent) = (Some(35.0), Some(98.0));
    }
    run
}

#[test]
fn cores_that_others_have() {
    let run = contended();
    let f = fires(Id::HostContended, &run);
    assert_eq!((&f.evidence["waiting"], &f.evidence["seconds_with_waiting"]), (&"client".into(), &20.into()));
    let diagnosis = Diagnosis::of(&run);
    assert_eq!((diagnosis.verdict.id, diagnosis.validity.stamp), (VerdictId::HostBound, RunStamp::ClientBound));
    assert!(diagnosis.findings.iter().all(|f| f.id != Id::ClosedLoopLimited));
    // Our own processes share the cores among themselves.
    let mut own = contended();
    for p in &mut own.series {
        (p.target_cpu_percent, p.client_cpu_percent) = (Some(120.0), Some(70.0));
    }
    clear(Id::HostContended, &own);
    // So they do where both are confined to the same cores, although others take a little of these too.
    let mut pinned = contended();
    pinned.series.iter_mut().for_each(|p| p.host_cpu_percent = Some(32.0));
    let half = |core| CoreUse { core, cpu_s: 0.4 * pinned.duration_s };
    let cores = vec![half(0), half(1)];
    pinned.resources.client.cores.clone_from(&cores);
    pinned.resources.target.as_mut().unwrap().cores = cores;
    clear(Id::HostContended, &pinned);
    pinned.resources.client.cores.clear();
    fires(Id::HostContended, &pinned);
    // A program on another core takes nothing from threads that are confined to theirs, whatever is idle beside them there.
    let mut on_one = contended();
    let spinning = |share: f64| CoreUse { core: 0, cpu_s: share * on_one.duration_s };
    let shares = |share: f64| (vec![spinning(share)], vec![spinning(share), CoreUse { core: 1, cpu_s: 0.0 }]);
    let [halves, thirds] = [0.5, 0.33].map(shares);
    on_one.series.iter_mut().for_each(|p| (p.client_wait_percent, p.target_wait_percent) = (Some(50.0), Some(50.0)));
    for (share, (of_client, of_target), is_free) in [(50.0, halves, true), (33.0, thirds, false)] {
        on_one.resources.client.cpu_percent_mean = Some(share);
        on_one.resources.client.cores = of_client;
        let target = on_one.resources.target.as_mut().unwrap();
        (target.cpu_percent_mean, target.cores) = (Some(share), of_target);
        on_one.series.iter_mut().for_each(|p| {
            (p.client_cpu_percent, p.target_cpu_percent, p.host_cpu_percent) = (Some(share), Some(share), Some(99.0));
        });
        let found = Diagnosis::of(&on_one).findings.iter().any(|f| f.id == Id::HostContended);
        assert_eq!(found, !is_free, "{share} % each");
    }
    // Others take CPU, and nobody waits.
    let mut beside = healthy();
    beside.series.iter_mut().for_each(|p| p.host_cpu_percent = Some(60.0));
    clear(Id::HostContended, &beside);
    clear(Id::HostContended, &healthy());
    let mut blind = healthy();
    blind.series.iter_mut().for_each(|p| p.client_wait_percent = None);
    unknown(Id::HostContended, &blind);
    let mut hidden = contended();
    hidden.series.iter_mut().for_each(|p| p.host_cpu_percent = None);
    unknown(Id::HostContended, &hidden);
    // The target's threads count as well.
    let mut starved = healthy();
    starved.series.iter_mut().for_each(|p| (p.target_wait_percent, p.host_cpu_percent) = (Some(50.0), Some(99.0)));
    assert_eq!(fires(Id::HostContended, &starved).evidence["waiting"], "target");
}

/// Share of the time that the client waited, by second, in a closed loop and at a rate that was kept or missed.
#[test]
fn waiting_for_a_core_is_judged_by_its_share_and_by_what_it_spoils() {
    let with = |waits: &[f64], rate: Option<(f64, u64)>| {
        let mut run = healthy();
        run.series.truncate(waits.len());
        for (p, wait) in run.series.iter_mut().zip(waits) {
            (p.client_wait_percent, p.host_cpu_percent) = (Some(*wait), Some(98.0));
        }
        run.duration_s = waits.len() as f64;
        run.plan.duration = std::time::Duration::from_secs(waits.len() as u64);
        (run.totals.attempts, run.totals.requests) = (150 * waits.len() as u64, 150 * waits.len() as u64);
        if let Some((asked, never_started)) = rate {
            (run.plan.rate, run.plan.think) = (asked, sockbench::testing::model::Think::default());
            run.totals.never_started = never_started;
        }
        settle(&mut run);
        run
    };
    let page = |run: &RunResult| sockbench::testing::report::render_run(run, &sockbench::testing::report::Page::plain());
    // A healthy user waits about 1 %: silent.
    for quiet in [with(&[1.0; 5], None), with(&[3.0, 25.0, 2.0, 2.0, 2.0], None)] {
        clear(Id::HostContended, &quiet);
    }
    // Some: a line that asks for care, in long runs, in short ones and at a rate that was kept.
    for some in [
        with(&[14.0; 5], None),
        with(&[0.0, 0.0, 22.0], Some((150.0, 0))),
        with(&[14.0], None),
        with(&[5.0, 5.0, 40.0], Some((150.0, 0))),
    ] {
        fires(Id::HostContended, &some);
        let page = page(&some);
        assert_eq!((some.verdict.id, some.validity.stamp), (VerdictId::Healthy, RunStamp::Valid), "{page}");
        assert!(page.starts_with("OK ") && page.contains("that spoils the slowest"), "{page}");
    }
    // Much, or a rate that was missed: the figures are not the target's own.
    for much in
        [with(&[44.0], None), with(&[60.0, 79.0], None), with(&[60.0; 4], Some((150.0, 0))), with(&[14.0; 4], Some((200.0, 200)))]
    {
        assert_eq!((much.verdict.id, much.validity.stamp), (VerdictId::HostBound, RunStamp::ClientBound), "{}", page(&much));
    }
    // Too short to be measured.
    let mut short = with(&[60.0], None);
    short.series[0].t_s = 0.2;
    unknown(Id::HostContended, &short);
}

#[test]
fn a_quota_that_throttles_is_the_cause() {
    let quota = |throttled_periods| {
        let mut run = healthy();
        run.resources.client.throttling =
            Some(Throttling { quota_cores: 0.2, periods: 600, throttled_periods, throttled_s: 40.0 });
        run
    };
    let f = fires(Id::HostContended, &quota(500));
    assert_eq!((f.evidence["quota_cores"].as_f64(), f.evidence["throttled_periods"].as_u64()), (Some(0.2), Some(500)));
    reads("host-contended, by a quota", &f);
    clear(Id::HostContended, &quota(3));
}
