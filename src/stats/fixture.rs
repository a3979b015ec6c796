//! A plan and an empty result for tests of this floor and those above.

use std::time::Duration;

use crate::model::plan::{Closer, LoadLimits, LoadPlan, MixEntry, PortMode, Target, Think};
use crate::model::result::{
    ClientResources, Closes, Host, HostResources, Resources, RunResult, SCHEMA, Stamp, Sysctls, Tool, Totals, Validity,
};

/// The experiment's mix, 10 users, two workers, closed loop.
pub(crate) fn plan() -> LoadPlan {
    let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 8080));
    let entry = |path: &str, weight| MixEntry { path: path.into(), weight };
    LoadPlan {
        target: Target {
            url: "http://127.0.0.1:8080".into(),
            host: "127.0.0.1".into(),
            addr,
            resolved: vec![addr],
            authority: "127.0.0.1:8080".into(),
            own_server: true,
        },
        method: "GET".into(),
        headers: Vec::new(),
        body: String::new(),
        mix: vec![entry("/health", 50), entry("/io", 30), entry("/cpu", 20)],
        users: 10,
        spawn_rate: 2.0,
        duration: Duration::from_secs(20),
        requests: 0,
        think: Think { min: Duration::from_millis(100), max: Duration::from_millis(500) },
        rate: 0.0,
        threads: 2,
        seed: 7,
        warmup: Duration::ZERO,
        keepalive: true,
        closer: Closer::Client,
        port_mode: PortMode::Auto,
        port_range: None,
        reuse_addr: false,
        sources: Vec::new(),
        timeout: Duration::from_secs(10),
        allow_remote: false,
        observe: true,
        limits: LoadLimits::default(),
    }
}

/// A run of [`plan`] in which nothing was counted or observed yet.
pub(crate) fn blank(plan: &LoadPlan) -> RunResult {
    RunResult {
        schema: SCHEMA.into(),
        tool: Tool { version: "0.1.0".into() },
        command: "sockbench load".into(),
        started_at: "2026-11-24T10:00:00Z".into(),
        duration_s: 0.0,
        host: Host {
            kernel: "6.18.5".into(),
            cpus: 2,
            memory_bytes: Some(25_000_000_000),
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
        },
        plan: plan.clone(),
        validity: Validity { stamp: Stamp::Valid, reasons: Vec::new() },
        unavailable: Vec::new(),
        totals: Totals {
            attempts: 0,
            requests: 0,
            failures: 0,
            local_failures: 0,
            cut: 0,
            never_started: 0,
            rps: 0.0,
            failures_per_s: 0.0,
            bytes_in: 0,
            bytes_out: 0,
            connections_opened: 0,
            connects_failed: 0,
            requests_per_connection: None,
            users_asked: 0,
            users_reached: 0,
            latency_ms: None,
            failed_latency_ms: None,
            all_latency_ms: None,
            service_latency_ms: None,
            steady: None,
            connects: None,
            ring_busy_skips: 0,
        },
        endpoints: Vec::new(),
        errors: Vec::new(),
        closes: Closes::default(),
        ports: None,
        kernel: None,
        resources: Resources {
            client: ClientResources {
                cpu_percent_mean: None,
                cpu_percent_max: None,
                rss_bytes_max: None,
                threads: Vec::new(),
                saturated_seconds: None,
                measured_seconds: 0,
                lateness_p99_ms: None,
            },
            target: None,
            host: HostResources { cpu_percent_mean: None, memory_percent_max: None },
        },
        series: Vec::new(),
        findings: Vec::new(),
    }
}
