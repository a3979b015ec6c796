//! A plan and an empty result for tests of this floor and those above.

use std::time::Duration;

use crate::model::outcome::{EndpointId, Outcome, Sample};
use crate::model::plan::{LoadPlan, MixEntry, Target, Think};
use crate::model::result::{Host, RunResult, RunStamp, Sysctls};
use crate::model::time::Stamp;

/// The experiment's mix, 10 users, two workers, closed loop.
pub(crate) fn plan() -> LoadPlan {
    let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 8080));
    let entry = |path: &str, weight| MixEntry { path: path.into(), weight };
    let target = Target {
        url: "http://127.0.0.1:8080".into(),
        host: "127.0.0.1".into(),
        addr,
        resolved: vec![addr],
        unreached: vec![],
        authority: "127.0.0.1:8080".into(),
        own_server: true,
    };
    LoadPlan {
        users: 10,
        spawn_rate: 2.0,
        duration: Duration::from_secs(20),
        think: Think::uniform(Duration::from_millis(100), Duration::from_millis(500)),
        threads: 2,
        seed: 7,
        timeout: Duration::from_secs(10),
        ..LoadPlan::new(target, vec![entry("/health", 50), entry("/io", 30), entry("/cpu", 20)])
    }
}

/// A request of 50 bytes, whose answer of 100 bytes came all at once.
pub(crate) fn sample(endpoint: EndpointId, started: Stamp, ended: Stamp, outcome: Outcome) -> Sample {
    let (sent, first_byte) = (Some(started), Some(ended));
    let begun = Sample::begun(endpoint, None, started);
    Sample { sent, first_byte, ended, outcome, bytes_in: 100, body_bytes: 21, bytes_out: 50, ..begun }
}

/// A run of [`plan`] in which nothing was counted or observed yet.
pub(crate) fn blank(plan: &LoadPlan) -> RunResult {
    let host = Host {
        name: None,
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
        sysctls_at_end: None,
        congestion_control: Some("cubic".into()),
        boot_id: None,
        cpu_quota: Some(2.0),
    };
    let mut run = RunResult::new(plan.clone(), "sockbench load".into(), "2026-11-24T10:00:00Z".into(), host);
    run.tool.version = "0.1.0".into();
    run.validity.stamp = RunStamp::Valid;
    run
}
