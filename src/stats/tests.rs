//! Properties of the whole floor: sums add up, merging is order-free, nothing panics on an empty run.

use std::time::Duration;

use proptest::prelude::*;

use super::aggregate::Aggregate;
use super::fixture;
use super::interval::Interval;
use super::recorder::Recorder;
use super::totals::WorkerTotals;
use crate::model::outcome::{
    Call, Cause, ClosedBy, EADDRNOTAVAIL, ECONNREFUSED, ECONNRESET, EndpointId, Failure, Outcome, Sample,
};
use crate::model::plan::{Destination, LoadPlan};
use crate::model::result::RunResult;
use crate::model::time::Stamp;

fn sample() -> impl Strategy<Value = Sample> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Answered { status: 200 }),
        1 => Just(Outcome::of(Failure::new(Call::Http, Cause::Status(503)))),
        1 => Just(Outcome::of(Failure::new(Call::Connect, Cause::Errno(ECONNREFUSED)))),
        1 => Just(Outcome::of(Failure::new(Call::Read, Cause::Errno(ECONNRESET)))),
        1 => Just(Outcome::of(Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL)))),
        1 => Just(Outcome::Cut),
    ];
    (0_u16..3, 0_u64..5_000_000, 0_u64..3_000_000, outcome, 0_u64..200).prop_map(
        |(endpoint, start_us, took_us, outcome, body)| {
            let (started, ended) = (Stamp(start_us * 1000), Stamp((start_us + took_us) * 1000));
            let sample = fixture::sample(EndpointId(endpoint), started, ended, outcome);
            Sample { bytes_in: body + 100, body_bytes: body, ..sample }
        },
    )
}

/// What a worker that saw these samples delivers.
fn worker(samples: &[Sample]) -> (Vec<Interval>, WorkerTotals) {
    let mut samples = samples.to_vec();
    samples.sort_by_key(|s| s.ended);
    let mut r = Recorder::new(3, Duration::from_secs(1), false);
    for s in &samples {
        r.record(s);
        r.record_attempt(s.ended);
    }
    let early = r.drain_intervals().collect();
    (early, r.finish(Stamp::from_millis(8_000)))
}

fn filled(seconds: Vec<Interval>, workers: Vec<WorkerTotals>, taking: Taking) -> RunResult {
    let mut plan = fixture::plan();
    plan.threads = workers.len() as u32;
    plan.warmup = Duration::from_secs(1);
    let mut result = fixture::blank(&plan);
    let mut all = Aggregate::new(&plan);
    for second in seconds {
        all.add_interval(second);
        if taking == Taking::AsTheyComplete {
            all.take_complete();
        }
    }
    for w in workers {
        all.add_worker(w);
    }
    all.fill(&mut result, Duration::from_secs(8), &[(0, 10, 4), (3, 10, 10)]);
    result
}

#[derive(Clone, Copy, PartialEq)]
enum Taking {
    AsTheyComplete,
    AtTheEnd,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_is_order_free_and_independent_of_who_saw_a_sample(
        samples in prop::collection::vec(sample(), 0..80),
        split in 0_usize..80,
        seed in any::<u64>(),
    ) {
        let (left, right) = samples.split_at(split.min(samples.len()));
        let ((mut seconds, a), (more, b)) = (worker(left), worker(right));
        seconds.extend(more);
        let forward = filled(seconds.clone(), vec![a.clone(), b.clone()], Taking::AsTheyComplete);
        fastrand::Rng::with_seed(seed).shuffle(&mut seconds);
        let shuffled = filled(seconds, vec![b, a], Taking::AtTheEnd);
        prop_assert_eq!(&forward, &shuffled);

        let (whole, one) = worker(&samples);
        let mut single = filled(whole, vec![one], Taking::AtTheEnd);
        single.plan.threads = 2;
        // How many requests waited in a silence is known by worker only.
        let mut forward = forward;
        (forward.totals.silences, single.totals.silences) = (None, None);
        prop_assert_eq!(&forward.totals, &single.totals);
        prop_assert_eq!(&forward.endpoints, &single.endpoints);
        prop_assert_eq!(&forward.errors, &single.errors);
        prop_assert_eq!(&forward.series, &single.series);
    }

    /// A run to two destinations counts the same as one run that saw all their samples.
    #[test]
    fn destinations_add_up_to_one_run(samples in prop::collection::vec(sample(), 0..120), first in 1_u16..3) {
        let (seconds, all) = worker(&samples);
        let one = filled(seconds, vec![all], Taking::AtTheEnd);
        let mut plan = LoadPlan { warmup: Duration::from_secs(1), ..fixture::plan() };
        let destination = Destination { target: plan.target.clone(), weight: 1 };
        plan.destinations = vec![destination.clone(), destination];
        let mut joint = Aggregate::of_destinations(&plan);
        for from in [0, first] {
            let own = |s: &&Sample| (s.endpoint.0 >= first) == (from > 0);
            let own: Vec<Sample> = samples.iter().filter(own).map(|s| Sample { endpoint: EndpointId(s.endpoint.0 - from), ..*s }).collect();
            let (seconds, totals) = worker(&own);
            let of_one = LoadPlan { threads: 1, destinations: Vec::new(), ..plan.clone() };
            let mut lane = Aggregate::new(&of_one);
            for second in seconds {
                lane.add_interval(second);
            }
            lane.add_worker(totals);
            lane.take_complete().iter().for_each(|second| joint.add_interval(second.moved(from, plan.mix.len())));
            joint.add_destination(&lane, from);
        }
        let mut result = fixture::blank(&plan);
        joint.take_complete();
        joint.fill(&mut result, Duration::from_secs(8), &[(0, 10, 4), (3, 10, 10)]);
        let mut one = one;
        (result.totals.silences, one.totals.silences) = (None, None);
        prop_assert_eq!(&result.totals, &one.totals);
        prop_assert_eq!(&result.endpoints, &one.endpoints);
        prop_assert_eq!(&result.errors, &one.errors);
        prop_assert_eq!(&result.series, &one.series);
    }

    #[test]
    fn sums_add_up_everywhere(samples in prop::collection::vec(sample(), 0..120)) {
        let (seconds, totals) = worker(&samples);
        let run = filled(seconds, vec![totals], Taking::AtTheEnd);
        let t = &run.totals;
        prop_assert_eq!(t.attempts, samples.len() as u64);
        prop_assert_eq!(t.attempts, t.requests + t.local_failures + t.cut);
        prop_assert_eq!(t.requests, run.endpoints.iter().map(|e| e.requests).sum::<u64>());
        prop_assert_eq!(t.failures, run.count_errors(|e| !e.local));
        prop_assert_eq!(t.local_failures, run.count_errors(|e| e.local));
        prop_assert_eq!(t.local_failures, t.local_failure_spans.iter().map(|s| s.count).sum::<u64>());
        for e in &run.endpoints {
            let good: u64 = e.status.iter().filter(|s| s.0 == "200").map(|s| s.1).sum();
            prop_assert_eq!(good, e.requests - e.failures);
        }
        let mut from = 0.0;
        let in_series: f64 = run.series.iter().map(|p| {
            let n = p.rps * (p.t_s - from);
            from = p.t_s;
            n
        }).sum();
        prop_assert!((in_series - t.requests as f64).abs() < 1e-6);
        let mine = run.unexplained_nulls().into_iter().filter(|k| OWN_KEYS.iter().any(|own| k.starts_with(own))).collect::<Vec<_>>();
        prop_assert!(mine.is_empty(), "nulls without a reason: {mine:?}");
    }
}

/// Keys that the aggregate fills, nulls included.
const OWN_KEYS: [&str; 7] = ["totals", "endpoints", "errors", "closes", "series[].p50", "series[].p95", "series[].connect"];

#[test]
fn an_empty_run_has_zeros_and_reasons() {
    let plan = fixture::plan();
    let mut run = fixture::blank(&plan);
    Aggregate::new(&plan).fill(&mut run, Duration::ZERO, &[]);
    assert_eq!((run.totals.attempts, run.totals.rps, run.series.len()), (0, 0.0, 1));
    let keys: Vec<_> = run.unavailable.iter().map(|u| u.key.as_str()).collect();
    assert!(keys.contains(&"totals.latency_ms") && keys.contains(&"totals.steady"), "{keys:?}");
}

#[test]
fn a_second_is_reported_once_every_worker_has_delivered_it() {
    let plan = fixture::plan();
    let mut all = Aggregate::new(&plan);
    let (mut a, mut b) = (Recorder::new(3, Duration::ZERO, false), Recorder::new(3, Duration::ZERO, false));
    a.record_attempt(Stamp::from_millis(100));
    a.roll_to(Stamp::from_millis(1000));
    a.drain_intervals().for_each(|i| all.add_interval(i));
    assert_eq!(all.second(0), None, "the other worker may still add to it");
    b.record_attempt(Stamp::from_millis(200));
    all.add_worker(b.finish(Stamp::from_millis(700)));
    assert_eq!(all.second(0).map(|s| s.attempts), Some(2));
    assert_eq!(all.take_complete().len(), 1);
    assert_eq!(all.second(0).map(|s| s.attempts), Some(2), "still known after it was taken");
    a.roll_to(Stamp::from_millis(2000));
    a.drain_intervals().for_each(|i| all.add_interval(i));
    assert!(all.second(1).is_some(), "the worker that finished before is not waited for");
}

#[test]
fn a_second_in_which_a_worker_finished_waits_for_the_others() {
    let mut all = Aggregate::new(&fixture::plan());
    let (mut a, mut b) = (Recorder::new(3, Duration::ZERO, false), Recorder::new(3, Duration::ZERO, false));
    a.record_attempt(Stamp::from_millis(100));
    all.add_worker(a.finish(Stamp::from_millis(700)));
    assert_eq!((all.second(0), all.take_complete().len()), (None, 0), "it is no worker before that second");
    b.record_attempt(Stamp::from_millis(800));
    all.add_worker(b.finish(Stamp::from_millis(900)));
    assert_eq!(all.second(0).map(|s| s.attempts), Some(2));
}

#[test]
fn phases_follow_each_other_and_set_ups_are_told_apart() {
    let ms = |n| Some(Stamp::from_millis(n));
    let mut r = Recorder::new(1, Duration::ZERO, true);
    let stamps = Sample { intended: ms(1), started: Stamp::from_millis(3), ended: Stamp::from_millis(80), ..answered() };
    r.record(&Sample { connected: ms(8), sent: ms(18), first_byte: ms(48), ..stamps });
    for us in [949_999, 950_000, 1_200_001, 2_900_000, 3_400_001] {
        r.record_setup(Stamp::from_millis(80), us);
    }
    let totals = r.finish(Stamp::from_millis(100));
    let p = &totals.endpoints[0].phases;
    let phases = [&p.blocked, &p.connecting, &p.sending, &p.waiting, &p.receiving].map(super::histogram::Coarse::max_us);
    assert_eq!(phases, [2000, 5000, 10_000, 30_000, 32_000].map(Some));
    let c = &totals.connects;
    assert_eq!((c.setup_retried, c.setup_near_1s, c.setup_near_3s), (4, 1, 1));
}

#[test]
fn a_short_rest_joins_the_last_point() {
    let mut plan = fixture::plan();
    plan.threads = 1;
    let mut run = fixture::blank(&plan);
    let mut r = Recorder::new(3, Duration::ZERO, false);
    for at_ms in [100, 1100, 1200, 2010] {
        r.record(&Sample { ended: Stamp::from_millis(at_ms), ..answered() });
    }
    let mut all = Aggregate::new(&plan);
    all.add_worker(r.finish(Stamp::from_millis(2050)));
    all.take_complete();
    all.fill(&mut run, Duration::from_millis(2050), &[]);
    assert_eq!(run.series.iter().map(|p| p.t_s).collect::<Vec<_>>(), [1.0, 2.05]);
    assert!((run.series[1].rps - 3.0 / 1.05).abs() < 1e-9);
    assert_eq!(run.series[1].p95_ms, Some(2010.0), "percentiles of the joined point are of all its samples");
}

fn answered() -> Sample {
    Sample { outcome: Outcome::Answered { status: 200 }, ..Sample::begun(EndpointId(0), None, Stamp::ZERO) }
}

#[test]
fn an_open_loop_says_how_much_of_its_rate_was_started_and_how_late() {
    let mut plan = fixture::plan();
    (plan.rate, plan.threads) = (100.0, 1);
    let mut r = Recorder::new(3, Duration::ZERO, true);
    for n in 0..300 {
        let at = Stamp::from_millis(n * 13);
        r.record_attempt(at);
        r.totals.lag.record(if n == 0 { 9_000 } else { 1_000 });
        r.record(&Sample { started: at, ended: at, ..answered() });
    }
    r.totals.never_started += 100;
    let mut all = Aggregate::new(&plan);
    all.add_worker(r.finish(Stamp::from_millis(4_000)));
    let mut run = fixture::blank(&plan);
    all.fill(&mut run, Duration::from_secs(4), &[]);
    let t = &run.totals;
    assert_eq!((t.rate_ratio, t.lag_p99_ms, t.lag_max_ms), (Some(0.75), Some(1.0), Some(9.0)));
}

#[test]
fn a_wait_belongs_to_the_seconds_that_it_lies_in() {
    let mut r = Recorder::new(1, Duration::ZERO, false);
    let ms = Stamp::from_millis;
    r.record_wait(ms(100), ms(400));
    r.record_wait(ms(900), ms(1100));
    // It had no time to wait in the third second, and did not come by in the fourth.
    r.record_wait(ms(2000), ms(2000));
    r.record_wait(ms(4000), ms(4000));
    r.record_wait(ms(4900), ms(5020));
    let waited = |r: Recorder| r.finish(ms(5030)).intervals.iter().map(|i| i.waited.map(|w| w.as_millis())).collect::<Vec<_>>();
    assert_eq!(waited(r), [Some(400), Some(100), Some(0), None, Some(100), Some(20)]);
    // Of several workers the one that waited least decides; one that recorded nothing does not.
    let second = |ms| Interval { waited: ms, ..Interval::empty(0, 1) };
    let mut all = second(None);
    for ms in [Some(300), None, Some(20), Some(500)] {
        all.add(&second(ms.map(Duration::from_millis)));
    }
    assert_eq!(all.waited, Some(Duration::from_millis(20)));
}

#[test]
fn what_the_end_cut_and_how_idle_connections_ended_are_counted() {
    let mut r = Recorder::new(1, Duration::ZERO, false);
    r.record_attempt(Stamp::ZERO);
    r.record(&Sample { outcome: Outcome::Cut, sent: Some(Stamp::ZERO), ..answered() });
    for by in [ClosedBy::Reset, ClosedBy::Server, ClosedBy::Reset] {
        r.record_idle_close(by);
    }
    let totals = r.finish(Stamp::from_millis(1000));
    let open = totals.unanswered.to_row(None);
    assert_eq!((open.count, open.waiting, open.overdue), (1, 1, 1));
    assert_eq!((totals.closes.idle_reset, totals.closes.idle_fin), (2, 1));
}

#[test]
fn figures_are_over_the_time_that_they_are_of() {
    let mut plan = fixture::plan();
    (plan.rate, plan.threads, plan.warmup, plan.spawn_rate) = (100.0, 1, Duration::from_secs(1), 0.0);
    let mut r = Recorder::new(3, plan.steady_from(), true);
    for at_ms in [500, 1500, 2200] {
        r.record(&Sample { ended: Stamp::from_millis(at_ms), ..answered() });
    }
    for us in [10, 9900, 10_500] {
        r.totals.lateness.record(us);
    }
    r.record_wait(Stamp::from_millis(2200), Stamp::from_millis(2450));
    let mut all = Aggregate::new(&plan);
    all.add_worker(r.finish(Stamp::from_millis(2500)));
    let mut run = fixture::blank(&plan);
    all.fill(&mut run, Duration::from_millis(2500), &[]);
    let steady = run.totals.steady.expect("longer than its warm-up");
    assert!((steady.rps - 2.0 / 1.5).abs() < 1e-9, "{steady:?}");
    assert_eq!(run.resources.client.late_requests, 1, "later than 10 ms");
    let last = run.series.last().expect("three points");
    assert_eq!((last.t_s, last.client_idle_percent), (2.5, Some(50.0)), "250 ms of 500");
}

#[test]
fn requests_that_never_had_a_connection_were_carried_by_none() {
    let mut plan = fixture::plan();
    plan.threads = 1;
    let mut r = Recorder::new(3, Duration::ZERO, false);
    r.record_setup(Stamp::ZERO, 100);
    let refused = Outcome::of(Failure::new(Call::Connect, Cause::Errno(ECONNREFUSED)));
    for outcome in [answered().outcome, answered().outcome, refused] {
        r.record(&Sample { outcome, ..answered() });
    }
    let mut all = Aggregate::new(&plan);
    all.add_worker(r.finish(Stamp::from_millis(1000)));
    let mut run = fixture::blank(&plan);
    all.fill(&mut run, Duration::from_secs(1), &[]);
    assert_eq!((run.totals.requests, run.totals.requests_per_connection), (3, Some(2.0)));
}
