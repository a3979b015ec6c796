//! Thresholds against runs that the recorder made.

use std::time::Duration;

use super::*;
use crate::gates::parse::parse;
use crate::model::outcome::{Call, Cause, EADDRNOTAVAIL, EndpointId, Failure, Outcome, Sample};
use crate::model::time::Stamp;
use crate::stats::aggregate::Aggregate;
use crate::stats::fixture;
use crate::stats::recorder::Recorder;

/// 100 requests: 80 answered within 1 to 80 ms, 10 answered with 503 within 200 ms, 10 failed on this machine; /health, /io
/// and /cpu in turn. And their histograms.
fn run() -> (RunResult, Durations) {
    made(100, |n| match n {
        0..80 => (Outcome::Answered { status: 200 }, n + 1),
        80..90 => (Outcome::of(Failure::new(Call::Http, Cause::Status(503))), 200),
        _ => (Outcome::of(Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL))), 0),
    })
}

fn made(samples: u64, outcome: impl Fn(u64) -> (Outcome, u64)) -> (RunResult, Durations) {
    let mut plan = fixture::plan();
    plan.threads = 1;
    let mut r = Recorder::new(3, Duration::ZERO, false);
    for n in 0..samples {
        let (outcome, took_ms) = outcome(n);
        let started = Stamp::from_millis(n * 10);
        r.record_attempt(started);
        r.record(&Sample {
            endpoint: EndpointId((n % 3) as u16),
            intended: None,
            started,
            connected: None,
            sent: Some(started),
            first_byte: None,
            ended: Stamp::from_millis(n * 10 + took_ms),
            outcome,
            bytes_in: 100,
            body_bytes: 10,
            bytes_out: 50,
            server_timing_us: None,
        });
    }
    let mut run = fixture::blank(&plan);
    let mut all = Aggregate::new(&plan);
    all.add_worker(r.finish(Stamp::from_millis(2_000)));
    let durations = Durations::of(&all.take_complete());
    all.fill(&mut run, Duration::from_secs(2), &[]);
    (run, durations)
}

fn passes(text: &str, of: &(RunResult, Durations)) -> bool {
    judge(&parse(text).expect(text), &of.0, Some(&of.1)).expect("there are histograms").passed
}

#[test]
fn counts_include_failures_of_this_machine_and_durations_do_not() {
    let run = run();
    for holds in [
        "http_reqs:count==100",
        "http_reqs:rate==50",
        "http_req_failed:rate==20%",
        "local_failures:count==10",
        "http_reqs{status:503}:count==10",
        "http_reqs{expected_response:true}:count==80",
        "http_reqs{expected_response:false}:count==20",
        "http_req_duration:max==200ms",
        "http_req_duration{expected_response:true}:max==80ms",
        "http_req_duration{expected_response:false}:min>=199",
        "http_req_duration{name:/health}:min==1",
        "http_req_duration:p(97)>199",
        "http_req_duration{expected_response:true}:p(85)<71",
        "http_req_duration{name:/io,expected_response:false}:max==200",
        "http_req_duration{method:GET}:p(95)==200",
        "data_received:count==10k",
        "validity==valid",
    ] {
        assert!(passes(holds, &run), "{holds}");
    }
    assert!(!passes("http_req_failed:rate<0.01", &run), "a run whose ports ran out");
}

#[test]
fn what_was_not_sampled_fails() {
    let nothing = made(0, |_| (Outcome::Cut, 0));
    for text in [
        "http_req_duration:p(95)<250",
        "http_req_failed:rate<0.01",
        "http_reqs:count<10",
        "http_reqs:count==0",
        "local_failures:count==0",
        "http_req_duration{name:/io}:p(97)<250",
        "ports_peak_share<0.7",
        "client_busiest_thread<0.9",
    ] {
        let judged = judge(&parse(text).expect(text), &nothing.0, Some(&nothing.1)).expect("there are histograms");
        assert!(!judged.passed && matches!(judged.actual, Actual::Missing(_)), "{text}: {judged:?}");
    }
    // Only local failures: no duration, but counts.
    let local = made(5, |_| (Outcome::of(Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL))), 0));
    assert!(passes("http_req_failed:rate==1", &local) && !passes("http_req_duration:max<1s", &local));
}

#[test]
fn a_percentile_that_the_result_does_not_keep_is_not_guessed() {
    let run = run().0;
    let judged = |text: &str| judge(&parse(text).expect(text), &run, None);
    assert_eq!(judged("http_req_duration:p(97)<250"), Err(NoHistogram));
    assert_eq!(judged("http_req_duration{method:GET}:p(95)<250"), Err(NoHistogram), "of three endpoints together");
    assert!(judged("http_req_duration:p(99.9)<250").is_ok_and(|j| j.passed));
}

#[test]
fn stamps_and_verdicts_are_the_same_or_not() {
    let (mut run, durations) = run();
    run.validity.stamp = RunStamp::PortBound;
    run.verdict.id = VerdictId::PortBound;
    let run = (run, durations);
    assert!(!passes("validity==valid", &run) && passes("validity!=valid", &run) && passes("validity==port-bound", &run));
    assert!(!passes("verdict==healthy", &run) && passes("verdict===port-bound", &run));
}

#[test]
fn ports_that_can_be_reused_are_not_in_use() {
    let mut run = run();
    let ports =
        |in_use| Ports { pool: Some(100), peak_used: Some(90), peak_share: Some(0.9), peak_in_use: in_use, ..Ports::default() };
    for (in_use, holds) in [(Some(3), true), (Some(80), false), (None, false)] {
        run.0.ports = Some(ports(in_use));
        assert_eq!(passes("ports_peak_share<0.7", &run), holds, "{in_use:?}");
    }
}
