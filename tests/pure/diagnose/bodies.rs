//! Answers whose time is their body's.

use sockbench::testing::diagnose::diagnose;
use sockbench::testing::model::{FindingId as Id, LatencyMs, PhaseMs, RunResult, VerdictId};

use super::{clear, fires, ids, reads};
use crate::facts::{healthy, latency};

/// The first endpoint answers at once; its body of `size` bytes takes `body_ms` more.
pub(super) fn slow_bodies(body_ms: f64, size: f64) -> RunResult {
    let mut run = healthy();
    let e = &mut run.endpoints[0];
    (e.phases_ms.waiting, e.phases_ms.receiving) =
        (Some(PhaseMs { p50: 1.2, p99: 3.0 }), Some(PhaseMs { p50: body_ms, p99: body_ms * 1.1 }));
    (e.content_size_mean, e.latency_ms) = (Some(size), Some(latency(body_ms + 1.2)));
    run
}

#[test]
fn a_small_body_that_takes_long_is_where_the_time_goes() {
    for (body_ms, size) in [(800.0, 8.0), (250.0, 2000.0), (3000.0, 40_000.0), (30_000.0, 0.0)] {
        let f = fires(Id::SlowBodies, &slow_bodies(body_ms, size));
        assert_eq!((&f.evidence["percentile"], f.evidence["body_ms"].as_f64()), (&50.into(), Some(body_ms)), "{size}");
    }
    let run = slow_bodies(800.0, 8.0);
    reads("slow-bodies", &fires(Id::SlowBodies, &run));
    // A stream may be meant: it is no warning, and decides nothing.
    let found = diagnose(&run);
    assert_eq!(found.last().map(|f| f.id), Some(Id::SlowBodies), "{:?}", ids(&found));
    let mut settled = run;
    sockbench::testing::diagnose::settle(&mut settled);
    assert_eq!(settled.verdict.id, VerdictId::Healthy);
}

#[test]
fn a_body_that_takes_what_it_needs_is_not_slow() {
    // Large answers, on a fast path and on one of 1 Mbit/s; answers in two writes; a slow head.
    for (body_ms, size) in [(900.0, 100e6), (8000.0, 1e6), (44.0, 512.0), (170.0, 8.0), (0.0, 21.0)] {
        clear(Id::SlowBodies, &slow_bodies(body_ms, size));
    }
    let mut head = slow_bodies(250.0, 8.0);
    head.endpoints[0].latency_ms = Some(latency(900.0));
    clear(Id::SlowBodies, &head);
    // On a path with round trips of 150 ms, 200 kB take five of them.
    let mut far = slow_bodies(900.0, 200_000.0);
    far.totals.connects.as_mut().unwrap().setup_p50_ms = 150.0;
    clear(Id::SlowBodies, &far);
    clear(Id::SlowBodies, &healthy());
}

#[test]
fn slow_bodies_of_one_answer_in_a_hundred_are_seen_too() {
    let tail = |size: f64| {
        let mut run = slow_bodies(0.0, size);
        run.endpoints[0].phases_ms.receiving = Some(PhaseMs { p50: 0.0, p99: 800.0 });
        run.endpoints[0].latency_ms = Some(LatencyMs { p99: 802.0, ..latency(2.0) });
        run
    };
    assert_eq!(fires(Id::SlowBodies, &tail(8.0)).evidence["percentile"], 99);
    reads("slow-bodies, of a few answers", &fires(Id::SlowBodies, &tail(8.0)));
    // One answer in a hundred may be the large one.
    clear(Id::SlowBodies, &tail(20_000.0));
    // Where this machine stood still, that is why.
    let mut stopped = super::stood_still::stopped();
    let shown = tail(8.0).endpoints[0].clone();
    stopped.endpoints[0] = shown;
    clear(Id::SlowBodies, &stopped);
}
