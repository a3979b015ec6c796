//! Sides that were made: like ones do not differ, unlike ones do.

use super::*;
use crate::compare::side::Latency;
use crate::model::comparison::{PercentilesFrom, SideInfo, Source};
use crate::stats::histogram::Latencies;

/// Seconds of 100 requests around `ms`, with noise of a fifth, of which a share fails.
fn seconds(count: usize, ms: f64, failed: f64, seed: u64) -> Vec<Second> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..count)
        .map(|_| {
            let mut all = Latencies::default();
            for _ in 0..100 {
                all.record((ms * 1000.0 * (0.8 + 0.4 * rng.f64())) as u64);
            }
            let fails = (0..100).filter(|_| rng.f64() < failed).count();
            Second { requests: 100.0 + 4.0 * rng.f64(), failed: fails as f64, latency: Latency::All(all.take_sparse()) }
        })
        .collect()
}

fn side(name: &str, seconds: Vec<Second>) -> RunSide {
    let info = SideInfo {
        name: name.into(),
        source: Source::Sockbench,
        started_at: None,
        duration_s: seconds.len() as f64,
        steady_s: seconds.len() as f64,
        percentiles_from: Some(PercentilesFrom::IntervalLog),
        percentiles: Vec::new(),
    };
    let totals = [Compared::RateRps, Compared::P50Ms, Compared::P95Ms, Compared::FailedShare].map(|what| (what, 1.0)).to_vec();
    RunSide { info, open_loop: true, totals, endpoints: Vec::new(), seconds, careful: Vec::new() }
}

fn of(a: Vec<Second>, b: Vec<Second>) -> Pair {
    compare(&side("a", a), &[side("b", b)], vec![Vec::new()]).pairs.remove(0)
}

#[test]
fn like_runs_seldom_differ() {
    let differ = (0..20).filter(|n| {
        let pair = of(seconds(60, 20.0, 0.01, *n), seconds(60, 20.0, 0.01, 1000 + n));
        pair.verdict != Difference::None
    });
    let differ = differ.count();
    assert!(differ <= 3, "{differ} of 20");
}

#[test]
fn a_tenth_more_is_found_and_named() {
    for n in 0..4 {
        let pair = of(seconds(60, 200.0, 0.0, n), seconds(60, 220.0, 0.0, 1000 + n));
        assert_eq!(pair.verdict, Difference::Worse, "{}", pair.sentence);
        let p50 = pair.totals.iter().find(|r| r.what == Compared::P50Ms).expect("a row");
        let [low, high] = p50.interval.expect("an interval");
        assert!(low < 0.1 && 0.1 < high && high - low < 0.05, "{p50:?}");
    }
    let better = of(seconds(60, 20.0, 0.2, 1), seconds(60, 20.0, 0.0, 2));
    assert_eq!(better.verdict, Difference::Better, "{}", better.sentence);
    assert!(better.sentence.contains("failures"), "{}", better.sentence);
}

#[test]
fn short_runs_say_nothing() {
    let pair = of(seconds(9, 20.0, 0.0, 1), seconds(60, 40.0, 0.0, 2));
    assert_eq!((pair.verdict, pair.block_s), (Difference::Untold, None));
    assert!(pair.sentence.starts_with("too short to tell"), "{}", pair.sentence);
    let lacks = of(Vec::new(), seconds(60, 40.0, 0.0, 2));
    assert_eq!(lacks.verdict, Difference::Untold);
}

#[test]
fn blocks_are_at_least_twelve_where_there_are_seconds_for_them() {
    for (seconds, length, blocks) in [(10, 1, 10), (15, 1, 15), (30, 2, 15), (60, 5, 12), (180, 5, 36)] {
        assert_eq!(super::length(seconds), length, "{seconds}");
        assert_eq!(Blocks::of(&vec![Second::default(); seconds], length).len(), blocks, "{seconds}");
    }
}

#[test]
fn the_same_twice_is_the_same() {
    let a = seconds(30, 20.0, 0.01, 5);
    let pair = of(a.clone(), a);
    assert_eq!(pair.verdict, Difference::None);
    assert!(pair.totals.iter().all(|r| r.change == Some(0.0)), "{:?}", pair.totals);
}

#[test]
fn a_mix_of_quick_and_slow_is_judged_by_endpoint() {
    let mix = |slow_ms: f64, seed: u64| {
        let part = |name: &str, ms: f64, seed: u64| Part {
            name: name.into(),
            figures: [Compared::P50Ms, Compared::P95Ms].map(|what| (what, 1.0)).to_vec(),
            seconds: seconds(60, ms, 0.0, seed),
        };
        let mut all = side("mix", seconds(60, 1.0, 0.0, seed));
        all.endpoints = vec![part("/quick", 1.0, seed + 1), part("/slow", slow_ms, seed + 2)];
        all
    };
    let pair = compare(&mix(200.0, 1), &[mix(220.0, 50)], vec![Vec::new()]).pairs.remove(0);
    assert_eq!(pair.verdict, Difference::Worse, "{}", pair.sentence);
    assert!(pair.sentence.contains("/slow p50 +") && !pair.sentence.contains("/quick"), "{}", pair.sentence);
    let of_all = pair.totals.iter().find(|r| r.what == Compared::P50Ms).expect("a row");
    assert_eq!((of_all.p, of_all.outcome), (None, None), "the median of both together decides nothing");
}

/// A port in TIME_WAIT that may be reused is not in use: those that an earlier run left are no figure of this one.
#[test]
fn ports_that_can_be_reused_are_not_counted() {
    use crate::model::result::{Ports, RunResult};
    let mut run = crate::stats::fixture::blank(&crate::stats::fixture::plan());
    let ports = |run: &RunResult| RunSide::of("a", run, None).totals.iter().find(|t| t.0 == Compared::PortsPeak).map(|t| t.1);
    run.ports = Some(Ports { pool: Some(28_232), peak_used: Some(14_100), peak_in_use: Some(4), ..Ports::default() });
    assert_eq!(ports(&run), Some(4.0));
    run.ports.as_mut().expect("set").peak_in_use = None;
    assert_eq!(ports(&run), Some(14_100.0), "of an earlier version");
}

#[test]
fn a_difference_of_microseconds_is_none_that_matters() {
    let pair = of(seconds(60, 1.0, 0.0, 3), seconds(60, 1.05, 0.0, 4));
    let p50 = pair.totals.iter().find(|r| r.what == Compared::P50Ms).expect("a row");
    assert!(p50.p.is_some_and(|p| p < 0.01), "it is real: {p50:?}");
    assert_eq!((p50.outcome, pair.verdict), (Some(Difference::None), Difference::None));
}

#[test]
fn an_endpoint_that_one_side_hardly_asked_for_has_no_interval() {
    let with = |requests: f64, seed: u64| {
        let mut few = seconds(60, 20.0, 0.0, seed);
        for s in &mut few {
            s.requests = requests;
        }
        let figures = [Compared::P50Ms, Compared::P95Ms].map(|what| (what, 1.0)).to_vec();
        let part = Part { name: "/rare".into(), figures, seconds: few };
        RunSide { endpoints: vec![part], ..side("a", seconds(60, 20.0, 0.0, seed)) }
    };
    let known = |base, other| {
        let pair = compare(&with(base, 1), &[with(other, 2)], vec![Vec::new()]).pairs.remove(0);
        pair.endpoints[0].rows.iter().all(|r| r.interval.is_some())
    };
    assert_eq!([known(1.0, 1.0), known(0.5, 1.0), known(1.0, 0.5)], [true, false, false]);
}

#[test]
fn only_whole_seconds_of_the_steady_part_are_compared() {
    let mut run = crate::stats::fixture::blank(&crate::stats::fixture::plan());
    (run.plan.spawn_rate, run.plan.warmup, run.duration_s) = (0.0, std::time::Duration::from_millis(1500), 5.4);
    let log: Vec<_> = (0..6).map(|second| crate::stats::interval::Interval::empty(second, 3)).collect();
    // Those that begin at 2, 3 and 4 s.
    assert_eq!(RunSide::of("a", &run, Some(&log)).seconds.len(), 3);
}

/// "No real difference" is said only where a large one would have been seen, and a small one was not.
#[test]
fn a_small_change_and_one_that_cannot_be_told_are_named() {
    let row = |what, base, other, interval, p| Row {
        what,
        base,
        other,
        change: change(what, base, other),
        interval,
        p: Some(p),
        outcome: Some(Difference::None),
    };
    let p95 = |other, interval, p| row(Compared::P95Ms, 0.39, other, interval, p);
    let said = |rows: &[Row]| nothing_real(rows);
    assert_eq!(
        said(&[p95(0.45, Some([0.087, 0.21]), 0.0004)]),
        "no difference that matters: p95 +15 % is more than chance, but less than 0.1 ms"
    );
    assert_eq!(
        said(&[row(Compared::P50Ms, 40.0, 40.4, Some([0.005, 0.015]), 0.01)]),
        "no difference that matters: p50 +1 % is more than chance, but less than 2 %"
    );
    assert_eq!(
        said(&[p95(1.04, Some([-0.29, 9.04]), 0.3)]),
        "no difference shown: p95 varies so much that it may have changed by -29 % to +904 %"
    );
    assert!(said(&[p95(0.40, Some([-0.05, 0.08]), 0.4)]).starts_with("no real difference"));
}
