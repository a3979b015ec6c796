//! Two runs for the tests of renderers: one healthy, one in which the ports ran out. Made by the recorder itself
//! from a fixed list of samples, so that all figures agree with each other; what an observer would add is written
//! out here.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::diagnose::Diagnosis;
use crate::model::comparison::{
    COMPARE_SCHEMA, Compared, Comparison, Difference, EndpointRows, Pair, PercentilePoint, PercentilesFrom, Row, SideInfo,
    Source, Unlike,
};
use crate::model::facts::KernelCounters;
use crate::model::finding::{Finding, FindingId, Proven, Remedy};
use crate::model::outcome::{
    Call, Cause, ClosedBy, EADDRNOTAVAIL, ECONNRESET, EndpointId, Failure, Outcome, OwnLimit, Phase, ProtocolFault, Sample,
};
use crate::model::prediction::{Metric, Prediction};
use crate::model::received::LimitHit;
use crate::model::result::{
    AfterLastAnswer, Elsewhere, Framing, InFlight, PartialAnswer, PortForecast, PortStates, Ports, Received, RunResult, Silence,
    Stretch, SurplusKind, SurplusRow, TargetResources, ThreadRow, Throttling,
};
use crate::model::time::Stamp;
use crate::stats::aggregate::Aggregate;
use crate::stats::fixture::{blank, plan};
use crate::stats::interval::Interval;
use crate::stats::recorder::Recorder;

/// A run and its seconds.
pub(crate) struct Fixture {
    pub(crate) run: RunResult,
    pub(crate) seconds: Vec<Interval>,
}

/// 20 s, 10 users, nothing failed, all observed.
pub(crate) fn healthy() -> Fixture {
    let mut f = recorded(20_000, |_| Outcome::Answered { status: 200 });
    observe(&mut f.run);
    judge(&mut f.run);
    f
}

/// What is only there in runs with answers that broke the protocol, passed a limit, or had more bytes behind them.
fn show_bytes(run: &mut RunResult) {
    let shown = "HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nhello";
    for row in run.errors.iter_mut().filter(|row| row.call == Call::Protocol) {
        row.limit_fields = Some("Retry-After: 5".into());
        row.first_bytes = Some(shown.into());
        row.received = Some(Received {
            bytes: 44,
            head_complete: true,
            bare_lf: true,
            status: Some(200),
            framing: Some(Framing::ContentLength(100)),
            missing_bytes: Some(95),
        });
        row.limit = Some(LimitHit { limit: OwnLimit::HeadBytes, value: 307_200, flag: OwnLimit::HeadBytes.flag().into() });
        row.so_error = true;
    }
    run.surplus = vec![SurplusRow {
        kind: SurplusKind::LineEnd,
        method: "GET".into(),
        endpoint: "/io".into(),
        count: 3,
        bytes: 6,
        first_bytes: "\\r\\n".into(),
        first_s: 1.0,
        last_s: 9.0,
    }];
}

/// Verdict and stamp by the rules; findings stay those of the fixture.
fn judge(run: &mut RunResult) {
    let diagnosis = Diagnosis::of(run);
    (run.verdict, run.validity, run.undecided) = (diagnosis.verdict, diagnosis.validity, diagnosis.undecided);
}

/// What is only there in runs in which something stalled.
fn stand_still(run: &mut RunResult) {
    let stretch = Stretch { from_s: 3.1, to_s: 3.6 };
    let throttling = Throttling { quota_cores: 0.5, periods: 200, throttled_periods: 20, throttled_s: 0.9 };
    run.totals.in_flight = Some(InFlight {
        count: 2,
        waiting: 2,
        overdue: 1,
        unserved: 1,
        served: 1,
        waited_max_ms: 900.0,
        oldest_sent_s: Some(19.1),
        ..InFlight::default()
    });
    let received = Received { bytes: 12, head_complete: false, bare_lf: false, status: None, framing: None, missing_bytes: None };
    run.totals.partial_answer = Some(PartialAnswer {
        method: "GET".into(),
        endpoint: "/io".into(),
        waited_ms: 900.0,
        first_bytes: "HTTP/1.1 200".into(),
        received,
    });
    run.totals.after_last_answer = Some(AfterLastAnswer {
        last_answer_s: 19.9,
        refused: 2,
        first_refused_s: Some(19.92),
        last_refused_s: Some(19.97),
        open_connections: 1,
    });
    run.totals.silences = Some(vec![Silence { stretch, in_flight: 9 }]);
    run.totals.away = Some(stretch);
    run.resources.client.stalls = Some(vec![stretch]);
    run.resources.client.throttling = Some(throttling);
    run.host.sysctls_at_end = Some(run.host.sysctls.clone());
    for point in &mut run.series {
        (point.client_busiest_percent, point.client_wait_percent) = (Some(3.0), Some(0.4));
        point.client_idle_percent = Some(96.0);
        (point.accept_queue, point.accept_queue_limit) = (Some(0), Some(4096));
    }
}

/// 20 s in which the ports ran out from second 12 to 16, after a few failures of other kinds.
pub(crate) fn broken() -> Fixture {
    let mut f = recorded(20_000, |n| match n {
        600..=799 if n % 8 != 0 => Outcome::of(Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL))),
        17 | 217 => Outcome::of(Failure { reused: true, port_bound: true, ..Failure::new(Call::Read, Cause::Errno(ECONNRESET)) }),
        118 => Outcome::of(Failure { port_bound: true, ..Failure::new(Call::Http, Cause::Status(503)) }),
        119 => Outcome::of(Failure { port_bound: true, ..Failure::new(Call::Timeout, Cause::TimedOut(Phase::Waiting)) }),
        120 => {
            Outcome::of(Failure { port_bound: true, ..Failure::new(Call::Protocol, Cause::Malformed(ProtocolFault::Truncated)) })
        }
        998.. => Outcome::Cut,
        _ => Outcome::Answered { status: 200 },
    });
    observe(&mut f.run);
    let run = &mut f.run;
    run.ports = Some(exhausted_ports());
    run.resources.target = None;
    run.explain_null("resources.target", "the target's owner is another user's process: permission denied");
    for (second, point) in run.series.iter_mut().enumerate() {
        point.target_cpu_percent = None;
        point.target_rss_bytes = None;
        point.ports_used = Some((second as u32 * 84).min(1000));
    }
    run.explain_null("series[].target_cpu_percent", "the target's owner is another user's process: permission denied");
    run.explain_null("series[].target_rss_bytes", "the target's owner is another user's process: permission denied");
    stand_still(run);
    show_bytes(run);
    judge(run);
    run.findings = vec![exhausted(), returning()];
    run.explain_null("findings[].remedies[].proven", "no rehearsal of this remedy on this host");
    f
}

/// 50 samples a second over the mix, each 4 ms apart in latency classes; sample `n` ends as `outcome(n)`.
fn recorded(millis: u64, outcome: fn(u64) -> Outcome) -> Fixture {
    let mut plan = plan();
    plan.threads = 1;
    plan.keepalive = false;
    plan.warmup = Duration::from_secs(5);
    let mut r = Recorder::new(plan.mix.len(), plan.warmup, false);
    for n in 0..millis / 20 {
        let (endpoint, base_us, body) = [(0, 900, 21), (1, 200_300, 24), (0, 1100, 21), (2, 31_000, 33)][(n % 4) as usize];
        let took_us = base_us + n * 7919 % 5000;
        let ended = Stamp::from_millis(n * 20 + 10);
        let started = Stamp(ended.0.saturating_sub(took_us * 1000));
        let at = |us: u64| Stamp(started.0 + us * 1000);
        let outcome = outcome(n);
        let is_answer = matches!(outcome, Outcome::Answered { .. });
        let is_local = matches!(outcome, Outcome::Local(_));
        r.record_attempt(started);
        r.record_connect_call(started, 12 + n % 5);
        if is_local {
            r.totals.connects.failed += 1;
        } else {
            r.record_setup(at(60), 40 + n % 9);
            r.record_close(if matches!(outcome, Outcome::Failed(_)) { ClosedBy::Reset } else { ClosedBy::Client });
        }
        r.record(&Sample {
            endpoint: EndpointId(endpoint),
            intended: None,
            started,
            connected: (!is_local).then(|| at(60)),
            sent: (!is_local).then(|| at(75)),
            first_byte: is_answer.then(|| at(took_us - 20)),
            ended,
            outcome,
            bytes_in: if is_answer { 120 + body } else { 0 },
            body_bytes: if is_answer { body } else { 0 },
            bytes_out: if is_local { 0 } else { 60 },
            server_timing_us: (is_answer && endpoint > 0).then_some((n % 90, took_us - 200)),
        });
    }
    let mut run = blank(&plan);
    let mut all = Aggregate::new(&plan);
    all.add_worker(r.finish(Stamp::from_millis(millis)));
    let seconds = all.take_complete();
    let users: Vec<(u64, u32, u32)> =
        (0..millis / 1000).map(|s| (s, (s as u32 * 2 + 2).min(10), (s as u32 * 2 + 1).min(9))).collect();
    all.fill(&mut run, Duration::from_millis(millis), &users);
    Fixture { run, seconds: seconds.into_iter().filter(|s| s.second < millis / 1000).collect() }
}

fn observe(run: &mut RunResult) {
    run.kernel = Some(KernelCounters { active_opens: 825, estab_resets: Some(0), ..KernelCounters::default() });
    run.ports = Some(Ports {
        source: "127.0.0.1".into(),
        destination: "127.0.0.1:8080".into(),
        pool: Some(28_231),
        hold_s: Some(1.0),
        ceiling_cps: Some(28_231.0),
        search_cps: Some(14_115.5),
        peak_used: Some(58),
        peak_share: Some(58.0 / 28_231.0),
        peak_time_wait: Some(51),
        rate_cps: 50.0,
        free_again_in_s: Some(0.0),
        states: PortStates {
            time_wait: Some(51),
            established: Some(7),
            fin_wait2: Some(0),
            close_wait: Some(0),
            bound_only: Some(0),
        },
        forecast: None,
        leftover_before: Some(0),
        peak_in_use: Some(7),
        elsewhere: vec![],
    });
    run.explain_null("ports.forecast", "the rate does not exhaust the pool");
    let client = &mut run.resources.client;
    (client.cpu_percent_mean, client.cpu_percent_max) = (Some(3.1), Some(4.4));
    client.rss_bytes_max = Some(9_100_000);
    client.threads = vec![ThreadRow { name: "load-0".into(), cpu_s: 0.52, wait_s: 0.01 }];
    (client.saturated_seconds, client.measured_seconds) = (Some(0), 20);
    client.busiest_thread = Some(0.026);
    run.resources.target = Some(TargetResources {
        pid: 4711,
        name: "sockbench".into(),
        cpu_percent_mean: Some(41.0),
        cpu_percent_max: Some(52.5),
        rss_bytes_max: Some(7_300_000),
        threads: Some(133),
        busiest_thread_percent: Some(22.0),
        stopped: None,
        ended: Some("exit status: 1".into()),
        cores_allowed: Some(2),
        shares_cores_with_client: Some(false),
        busy_poll: false,
        cores: Vec::new(),
        throttling: None,
    });
    run.resources.host.cpu_percent_mean = Some(23.4);
    run.resources.host.memory_percent_max = Some(8.3);
    for (second, point) in run.series.iter_mut().enumerate() {
        let drift = second as f64 / 10.0;
        (point.ports_used, point.time_wait, point.time_wait_target_side) = (Some(58), Some(51), Some(0));
        (point.client_cpu_percent, point.target_cpu_percent) = (Some(3.0 + drift), Some(41.0 + drift));
        (point.host_cpu_percent, point.host_memory_percent) = (Some(23.0 + drift), Some(8.3));
        (point.client_rss_bytes, point.target_rss_bytes) = (Some(9_100_000), Some(7_300_000));
    }
}

fn exhausted_ports() -> Ports {
    Ports {
        source: "10.77.0.1".into(),
        destination: "10.77.0.2:8080".into(),
        pool: Some(1000),
        hold_s: Some(60.0),
        ceiling_cps: Some(16.67),
        search_cps: Some(8.33),
        peak_used: Some(1000),
        peak_share: Some(1.0),
        peak_time_wait: Some(996),
        rate_cps: 41.25,
        free_again_in_s: Some(56.2),
        states: PortStates {
            time_wait: Some(996),
            established: Some(4),
            fin_wait2: Some(0),
            close_wait: Some(0),
            bound_only: Some(0),
        },
        forecast: Some(PortForecast { rate_cps: 1000.0 / 12.0, exhausted_at_s: 12.0, dead_s: 48.0, echo_s: vec![72.0, 132.0] }),
        leftover_before: Some(0),
        peak_in_use: Some(1000),
        elsewhere: vec![Elsewhere { destination: "10.77.0.3:5432".into(), ports: 2 }],
    }
}

fn exhausted() -> Finding {
    let id = FindingId::LocalPortsExhausted;
    Finding {
        machines: Vec::new(),
        destinations: Vec::new(),
        spoils: None,
        id,
        severity: id.severity(),
        caused_by: Vec::new(),
        title: "175 connections could not be made: all 1,000 source ports to 10.77.0.2:8080 were in use".into(),
        evidence: BTreeMap::from([
            ("failures".to_owned(), json!(175)),
            ("hold_s".to_owned(), json!(60.0)),
            ("pool".to_owned(), json!(1000)),
            ("rate_cps".to_owned(), json!(41.25)),
        ]),
        explanation: "Each request opened a connection and closed it first, so its local port stayed in TIME_WAIT for 60 s. At \
                      41.2 connections/s the pool of 1,000 ports lasts 24 s; 16.7/s is what it sustains."
            .into(),
        remedies: vec![
            Remedy {
                name: Some("keep-alive".into()),
                change: Some("drop --no-keepalive".into()),
                price: Some("changes what is measured: handshakes are left out".into()),
                action: "keep connections: one per user is enough".into(),
                command: "sockbench load http://10.77.0.2:8080 --conns 10".into(),
                windows_command: None,
                expected: "10 connections instead of 41.2/s".into(),
                predicts: vec![Prediction::near(Metric::LatencyP50Ms, 12.0, 0.5).of("/cpu")],
                proven: Some(Proven {
                    verdict: crate::model::rehearsal::Effect::Helps,
                    measured: "0 of 20000 failed, 10 ports used".into(),
                    kernel: "6.18.5".into(),
                    rehearsal: "2026-11-24T09:00:00Z".into(),
                }),
                ..Remedy::default()
            },
            Remedy {
                name: Some("wider-range".into()),
                macos_command: Some("sudo sysctl -w net.inet.ip.portrange.first=10000".into()),
                action: "widen the range of local ports".into(),
                command: "sysctl -w net.ipv4.ip_local_port_range='1024 65535'".into(),
                windows_command: Some("netsh int ipv4 set dynamicport tcp start=1025 num=64510".into()),
                expected: "ceiling 1075/s".into(),
                proven: None,
                ..Remedy::default()
            },
        ],
    }
}

fn returning() -> Finding {
    let id = FindingId::FailuresWillReturn;
    Finding {
        machines: Vec::new(),
        destinations: Vec::new(),
        spoils: None,
        id,
        severity: id.severity(),
        caused_by: vec![FindingId::LocalPortsExhausted],
        title: "Because local ports ran out, the failures will return about 60 s after they began".into(),
        evidence: BTreeMap::from([("next_s".to_owned(), json!(72.0))]),
        explanation: "Ports come back in the order in which they were used.".into(),
        remedies: Vec::new(),
    }
}

/// Three runs side by side: one that is slower at one endpoint, and one of another tool, without seconds.
pub(crate) fn comparison() -> Comparison {
    let row = |what: Compared, base: f64, other: f64, outcome: Option<Difference>| {
        let change = (base > 0.0).then(|| other / base - 1.0);
        let interval = outcome.and(change).map(|c| [c - 0.02, c + 0.02]);
        Row { what, base, other, change, interval, p: outcome.map(|o| if o == Difference::None { 0.4 } else { 0.001 }), outcome }
    };
    let chance = Some(Difference::None);
    let totals = |slower: Option<Difference>| {
        vec![
            row(Compared::RateRps, 1865.0, 1702.0, None),
            row(Compared::P50Ms, 200.1, 200.2, chance),
            row(Compared::P95Ms, 201.4, 231.0, slower),
            row(Compared::P99Ms, 204.0, 239.0, None),
            row(Compared::FailedShare, 0.0, 0.0, chance),
            row(Compared::Connections, 10.0, 10.0, None),
            row(Compared::PortsPeak, 10.0, 10.0, None),
            row(Compared::ClientCpuUsPerRequest, 9.7, 9.9, None),
            row(Compared::TargetCpuUsPerRequest, 4.2, 4.1, None),
        ]
    };
    let endpoint = |name: &str, slower: Option<Difference>| EndpointRows { name: name.into(), rows: totals(slower) };
    let side = |name: &str, source: Source, from: Option<PercentilesFrom>| SideInfo {
        name: name.into(),
        source,
        started_at: from.map(|_| "2026-11-24T09:00:00.000Z".into()),
        duration_s: 60.0,
        steady_s: if from.is_some() { 59.0 } else { 0.0 },
        percentiles_from: from,
        percentiles: [(0.5, 200.1), (0.95, 201.4), (0.99, 204.0)].map(|(share, ms)| PercentilePoint { share, ms }).to_vec(),
    };
    let log = Some(PercentilesFrom::IntervalLog);
    let worse = Pair {
        side: side("after", Source::Sockbench, log),
        verdict: Difference::Worse,
        sentence: "worse: p95 of /io +15 %".into(),
        environment: vec![Unlike { key: "host.kernel".into(), base: "6.12".into(), other: "6.18".into() }],
        block_s: Some(4.0),
        blocks: Some(14),
        totals: totals(Some(Difference::Worse)),
        endpoints: vec![
            endpoint("/health", chance),
            endpoint("/io", Some(Difference::Worse)),
            endpoint("/cpu", chance),
            endpoint("/cart", chance),
            endpoint("/user", chance),
        ],
        careful: vec!["after: OK, but other programs took 49 % of this machine's CPU".into()],
    };
    let untold = Pair {
        side: side("oha.json", Source::Oha, None),
        verdict: Difference::Untold,
        sentence: "cannot tell: oha.json has no figures by second".into(),
        environment: Vec::new(),
        block_s: None,
        blocks: None,
        totals: totals(None),
        endpoints: Vec::new(),
        careful: vec!["oha.json: oha stores sums only, so nothing says how much they vary".into()],
    };
    Comparison {
        schema: COMPARE_SCHEMA.into(),
        tool: crate::model::result::Tool { version: "0".into() },
        base: side("before", Source::Sockbench, log),
        pairs: vec![worse, untold],
    }
}
