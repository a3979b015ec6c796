//! Runs as facts, without a run: a healthy one to start from, and what tests change about it.

use std::time::Duration;

use sockbench::testing::model::{
    Call, Cause, Closes, Connects, Endpoint, ErrorRow, Failure, FailureSide, Host, InFlight, KernelCounters, LatencyMs, LoadPlan,
    MixEntry, Phase, PhaseMs, PhasesMs, PortStates, Ports, ProtocolFault, RunResult, SeriesPoint, ServerTimingMs, Steady,
    SurplusKind, SurplusRow, Sysctls, Target, TargetResources, Think, ThreadRow,
};

pub(crate) fn latency(mean: f64) -> LatencyMs {
    let at = |f: f64| mean * f;
    LatencyMs {
        min: at(0.5),
        mean,
        p50: at(0.9),
        p66: at(1.0),
        p75: at(1.1),
        p80: at(1.2),
        p90: at(1.4),
        p95: at(1.6),
        p98: at(1.8),
        p99: at(2.0),
        p99_9: at(2.5),
        p99_99: at(3.0),
        max: at(3.2),
    }
}

pub(crate) fn host() -> Host {
    Host {
        name: None,
        kernel: "6.18.5".into(),
        cpus: 2,
        memory_bytes: Some(8_000_000_000),
        nofile: Some(1024),
        sysctls: Sysctls {
            ip_local_port_range: Some([32768, 60999]),
            ip_local_reserved_ports: Some(0),
            tcp_tw_reuse: Some(2),
            tcp_tw_reuse_delay_ms: Some(1000),
            tcp_timestamps: Some(1),
            tcp_fin_timeout_s: Some(60),
            tcp_max_tw_buckets: Some(131_072),
            tcp_max_syn_backlog: Some(4096),
            somaxconn: Some(4096),
        },
        sysctls_at_end: None,
        congestion_control: None,
        boot_id: None,
        cpu_quota: None,
    }
}

pub(crate) fn endpoint(name: &str, requests: u64, mean: f64) -> Endpoint {
    Endpoint {
        method: "GET".into(),
        name: name.into(),
        requests,
        failures: 0,
        local_failures: 0,
        cut: 0,
        rps: requests as f64 / 60.0,
        content_size_mean: Some(21.0),
        latency_ms: Some(latency(mean)),
        all_latency_ms: Some(latency(mean)),
        status: [("200".to_owned(), requests)].into(),
        phases_ms: PhasesMs { blocked: None, connecting: None, sending: None, waiting: None, receiving: None },
        server_timing_ms: Some(ServerTimingMs { queue: PhaseMs { p50: 0.1, p99: 1.0 }, work: PhaseMs { p50: mean, p99: mean } }),
    }
}

/// 60 s, 50 users, 100..500 ms think time, kept connections to 10.0.0.1:80, a tenth of every limit.
pub(crate) fn healthy() -> RunResult {
    let mix = vec![MixEntry { path: "/health".into(), weight: 1 }, MixEntry { path: "/items".into(), weight: 1 }];
    let mut plan = LoadPlan::new(Target::at(([10, 0, 0, 1], 80).into()), mix);
    plan.users = 50;
    plan.duration = Duration::from_secs(60);
    plan.think = Think::uniform(Duration::from_millis(100), Duration::from_millis(500));
    let mut run = RunResult::new(plan, "sockbench load".into(), "2026-11-24T10:00:00Z".into(), host());
    run.host.sysctls_at_end = Some(run.host.sysctls.clone());
    run.duration_s = 60.0;
    let t = &mut run.totals;
    (t.attempts, t.requests) = (9000, 9000);
    t.rps = 150.0;
    (t.users_asked, t.users_reached) = (50, 50);
    t.connections_opened = 50;
    t.requests_per_connection = Some(180.0);
    t.latency_ms = Some(latency(33.0));
    t.steady = Some(Steady { from_s: 0.0, to_s: None, rps: 150.0, latency_ms: Some(latency(33.0)) });
    t.connects = Some(Connects {
        call_mean_us: 13.0,
        call_p50_us: 12.0,
        call_p95_us: 15.0,
        call_p99_us: 18.0,
        setup_p50_ms: 0.1,
        setup_p99_ms: 0.3,
        setup_max_ms: 0.5,
        setup_near_1s: 0,
        setup_near_3s: 0,
        setup_retried: 0,
    });
    run.endpoints = vec![endpoint("/health", 4500, 30.0), endpoint("/items", 4500, 36.0)];
    t.in_flight = Some(InFlight { count: 3, waiting: 3, waited_max_ms: 40.0, oldest_sent_s: Some(59.96), ..InFlight::default() });
    t.silences = Some(Vec::new());
    run.closes = Closes { client: 50, ..Closes::default() };
    run.ports = Some(Ports {
        source: "10.0.0.1".into(),
        destination: "10.0.0.1:80".into(),
        pool: Some(28_232),
        hold_s: Some(60.0),
        ceiling_cps: Some(470.53),
        search_cps: Some(235.27),
        peak_used: Some(50),
        peak_share: Some(50.0 / 28_232.0),
        peak_time_wait: Some(0),
        rate_cps: 50.0 / 60.0,
        free_again_in_s: Some(60.0),
        states: PortStates {
            time_wait: Some(0),
            established: Some(50),
            fin_wait2: Some(0),
            close_wait: Some(0),
            bound_only: Some(0),
        },
        forecast: None,
        leftover_before: Some(0),
        peak_in_use: Some(50),
        elsewhere: vec![],
    });
    run.kernel = Some(KernelCounters::default());
    let c = &mut run.resources.client;
    (c.cpu_percent_mean, c.cpu_percent_max) = (Some(4.0), Some(6.0));
    (c.saturated_seconds, c.measured_seconds) = (Some(0), 60);
    c.stalls = Some(Vec::new());
    c.threads = vec![ThreadRow { name: "load-0".into(), cpu_s: 2.0, wait_s: 0.1 }];
    run.resources.target = Some(TargetResources {
        pid: 4711,
        name: "server".into(),
        cpu_percent_mean: Some(20.0),
        cpu_percent_max: Some(150.0),
        rss_bytes_max: Some(9_000_000),
        threads: Some(8),
        busiest_thread_percent: Some(12.0),
        stopped: None,
        ended: None,
        cores_allowed: None,
        shares_cores_with_client: None,
        busy_poll: false,
        cores: Vec::new(),
        throttling: None,
    });
    run.series = (0..60).map(|i| second(i, 50, 150.0, 29.7)).collect();
    run.series[0].connects = 50;
    run
}

pub(crate) fn second(i: u32, users: u32, rps: f64, p50_ms: f64) -> SeriesPoint {
    SeriesPoint {
        t_s: f64::from(i + 1),
        users_asked: users,
        users,
        rps,
        attempts_per_s: rps,
        p50_ms: Some(p50_ms),
        p95_ms: Some(p50_ms * 2.0),
        ports_used: Some(users),
        time_wait: Some(0),
        client_cpu_percent: Some(4.0),
        client_busiest_percent: Some(4.0),
        client_wait_percent: Some(1.0),
        target_cpu_percent: Some(20.0),
        target_busiest_percent: Some(12.0),
        target_wait_percent: Some(1.0),
        host_cpu_percent: Some(14.0),
        ..SeriesPoint::default()
    }
}

/// The same run with a connection per request, `cps` of them, the client closing first; ports in use follow the law.
pub(crate) fn short(cps: f64) -> RunResult {
    let mut run = healthy();
    run.plan.keepalive = false;
    let opened = (cps * 60.0).round() as u64;
    let t = &mut run.totals;
    (t.attempts, t.requests, t.connections_opened) = (opened, opened, opened);
    t.requests_per_connection = Some(1.0);
    (t.rps, t.users_reached) = (cps, 12);
    t.steady = Some(Steady { from_s: 0.0, to_s: None, rps: cps, latency_ms: Some(latency(33.0)) });
    run.closes = Closes { client: opened, ..Closes::default() };
    let used = opened.min(28_232) as u32;
    let ports = run.ports.as_mut().unwrap();
    (ports.peak_used, ports.peak_in_use, ports.peak_time_wait) = (Some(used), Some(used), Some(used));
    ports.peak_share = Some(f64::from(used) / 28_232.0);
    ports.states.time_wait = Some(used);
    ports.states.established = Some(3);
    ports.rate_cps = cps;
    for (i, p) in run.series.iter_mut().enumerate() {
        p.connects = cps.round() as u64;
        p.rps = cps;
        p.ports_used = Some(((i as f64 + 1.0) * cps).min(28_232.0) as u32);
        p.connect_mean_us = Some(13.0);
        p.connect_p50_us = Some(12.0);
        p.connect_p95_us = Some(16.0);
    }
    run
}

/// Adds a row to the error table and its count to the totals.
pub(crate) fn fail(run: &mut RunResult, failure: Failure, count: u64, first_s: f64, last_s: f64) {
    let choice = run.plan.port_mode.choice();
    let local = failure.side() == FailureSide::Local;
    if local {
        run.totals.local_failures += count;
    } else {
        run.totals.failures += count;
        run.totals.requests += count;
    }
    run.totals.attempts += count;
    run.errors.push(ErrorRow {
        call: failure.call,
        errno: failure.errno(),
        name: failure.name().into_owned(),
        port_choice: choice,
        port_bound: failure.port_bound,
        reused: failure.reused,
        windows_code: failure.windows_code(choice),
        message: failure.message(),
        method: "GET".into(),
        endpoint: "/health".into(),
        local,
        cause: Some(failure.cause),
        phase: failure.phase(),
        party: failure.party(),
        so_error: failure.so_error,
        first_bytes: None,
        received: None,
        limit_fields: None,
        limit: None,
        count,
        first_s,
        last_s,
    });
}

pub(crate) fn errno(call: Call, n: i32) -> Failure {
    Failure::new(call, Cause::Errno(n))
}

pub(crate) fn status(n: u16) -> Failure {
    Failure::new(Call::Http, Cause::Status(n))
}

pub(crate) fn late(phase: Phase) -> Failure {
    Failure::new(Call::Timeout, Cause::TimedOut(phase))
}

pub(crate) fn truncated() -> Failure {
    Failure::new(Call::Protocol, Cause::Malformed(ProtocolFault::Truncated))
}

/// An answer over a limit of sockbench's own.
pub(crate) fn over(fault: ProtocolFault) -> Failure {
    Failure::new(Call::Protocol, Cause::Malformed(fault))
}

/// Complete answers of /health that more bytes followed.
pub(crate) fn surplus(kind: SurplusKind, count: u64) -> SurplusRow {
    SurplusRow {
        kind,
        method: "GET".into(),
        endpoint: "/health".into(),
        count,
        bytes: 40 * count,
        first_bytes: "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok".into(),
        first_s: 1.0,
        last_s: 59.0,
    }
}

/// Short connections at 800/s that used up the pool at 35.3 s.
pub(crate) fn exhausted() -> RunResult {
    let mut run = short(800.0);
    for p in run.series.iter_mut().filter(|p| p.t_s > 35.3) {
        (p.connects, p.rps, p.local_failures_per_s) = (0, 0.0, 500.0);
        p.connect_mean_us = Some(3800.0);
        p.ports_used = Some(28_232);
    }
    // 35 whole seconds of 800, and the last free ports within the next.
    run.series[35].connects = 28_232 - 35 * 800;
    let t = &mut run.totals;
    (t.attempts, t.requests, t.connections_opened) = (28_232, 28_232, 28_232);
    run.closes.client = 28_232;
    fail(&mut run, errno(Call::Connect, 99), 12_350, 35.3, 59.9);
    run.ports.as_mut().unwrap().forecast = Some(sockbench::testing::model::PortForecast {
        rate_cps: 800.0,
        exhausted_at_s: 35.3,
        dead_s: 24.7,
        echo_s: vec![95.3, 155.3],
    });
    run
}
