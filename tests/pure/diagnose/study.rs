//! Several steps together, the closed loop's arithmetic, and the tail of a mix.

use sockbench::testing::diagnose::{NoFinding, diagnose_study, study_ruling};
use sockbench::testing::model::{FindingId as Id, RunResult, Think};

use super::{clear, fires, ids, unknown};
use crate::facts::{healthy, latency, short};

#[test]
fn closed_loop_is_the_experiments_arithmetic() {
    let mut run = healthy();
    run.totals.latency_ms = Some(latency(102.73));
    run.totals.steady.as_mut().unwrap().latency_ms = Some(latency(102.73));
    run.totals.steady.as_mut().unwrap().rps = 122.6;
    let f = fires(Id::ClosedLoopLimited, &run);
    assert_eq!(f.evidence["rps"].as_f64(), Some(122.6));
    assert!((f.evidence["predicted_rps"].as_f64().unwrap() - 124.2).abs() < 0.05, "{:?}", f.evidence);
    run.plan.think = Think::default();
    clear(Id::ClosedLoopLimited, &run);
    let mut none = healthy();
    (none.totals.latency_ms, none.totals.steady) = (None, None);
    unknown(Id::ClosedLoopLimited, &none);
}

#[test]
fn a_full_target_is_not_the_closed_loops_own_pace() {
    let mut run = healthy();
    run.totals.latency_ms = Some(latency(102.73));
    run.totals.steady.as_mut().unwrap().latency_ms = Some(latency(102.73));
    run.totals.steady.as_mut().unwrap().rps = 122.6;
    fires(Id::ClosedLoopLimited, &run);
    let queue = |run: &mut RunResult, p50: f64| {
        run.endpoints.iter_mut().for_each(|e| e.server_timing_ms.as_mut().unwrap().queue.p50 = p50);
    };
    queue(&mut run, 90.0);
    clear(Id::ClosedLoopLimited, &run);
    // Without Server-Timing: far above the quickest answer is a queue or other work, near it is neither.
    run.endpoints.iter_mut().for_each(|e| e.server_timing_ms = None);
    fires(Id::ClosedLoopLimited, &run);
    run.endpoints.iter_mut().for_each(|e| e.latency_ms.as_mut().unwrap().p50 = 200.0);
    unknown(Id::ClosedLoopLimited, &run);
}

#[test]
fn tail_needs_two_endpoints() {
    clear(Id::TailEndpoint, &healthy());
    let mut one = healthy();
    one.endpoints.truncate(1);
    unknown(Id::TailEndpoint, &one);
    one.plan.mix.truncate(1);
    clear(Id::TailEndpoint, &one);
}

/// 10, 50 and 100 users of the experiment.
pub(super) fn steps() -> Vec<RunResult> {
    let step = |users: u32, rps: f64, mean: f64| {
        let mut run = short(rps);
        run.plan.users = users;
        run.totals.users_asked = users;
        run.totals.latency_ms = Some(latency(mean));
        let steady = run.totals.steady.as_mut().unwrap();
        (steady.rps, steady.latency_ms) = (rps, Some(latency(mean)));
        let ports = run.ports.as_mut().unwrap();
        (ports.pool, ports.hold_s) = (Some(16_384), Some(120.0));
        run
    };
    vec![step(10, 25.9, 74.66), step(50, 122.6, 102.73), step(100, 122.0, 256.23)]
}

#[test]
fn plateau_names_the_two_limits_of_the_experiment() {
    let found = diagnose_study(&steps());
    assert_eq!(ids(&found), [Id::ThroughputPlateau]);
    let f = &found[0];
    assert_eq!((&f.evidence["users_before"], &f.evidence["users_after"]), (&50.into(), &100.into()));
    assert_eq!((f.evidence["rps_before"].as_f64(), f.evidence["rps_after"].as_f64()), (Some(122.6), Some(122.0)));
    assert!((f.evidence["limit_ports_rps"].as_f64().unwrap() - 136.5).abs() < 0.1);
    let mut growing = steps();
    growing[2].totals.steady.as_mut().unwrap().rps = 200.0;
    assert_eq!(study_ruling(&growing), Err(NoFinding::Clear));
    assert!(matches!(study_ruling(&steps()[..1]), Err(NoFinding::Undecided(_))));
}
