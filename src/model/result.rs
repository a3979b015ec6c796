//! The result of one run: schema `sockbench/1` (docs/JSON.md), the durable form that all else is rendered
//! from. Keys carry their unit as suffix. Every `null` has a row in `unavailable`.
//!
//! Keys beyond the agreed contract are additive and marked "additive" here; they carry facts that the diagnosis
//! needs, so that a stored run can be diagnosed again.
#![allow(missing_docs, reason = "the keys are a contract, documented in docs/JSON.md")]

use std::collections::BTreeMap;

use super::document::{self, Unavailable};
use super::facts::KernelCounters;
use super::finding::{Finding, Undecided};
use super::plan::LoadPlan;

pub use super::closes::Closes;
pub use super::error_row::{ErrorRow, NoPort};
pub use super::latency::{LatencyMs, PhaseMs, PhasesMs, ServerTimingMs};
pub use super::observed::{
    CoreUse, Elsewhere, Holder, HostResources, PortForecast, PortStates, Ports, Resources, TargetResources, ThreadRow,
};
pub use super::received::{Framing, PartialAnswer, Received, SurplusKind, SurplusRow};
pub use super::series::{SeriesPoint, full_client_seconds, whole_seconds};
pub use super::stalls::{AfterLastAnswer, InFlight, Silence, Stretch, Throttling};
pub use super::start::{ClockOffset, PlannedStart};
pub use super::validity::{Doubt, RunStamp, STOPPED, Validity};
pub use super::verdict::{Verdict, VerdictId};
pub use machine::{Machine, MachinePoint, MachinePorts};

mod machine;

/// The schema of [`RunResult`].
pub const SCHEMA: &str = "sockbench/1";

/// One run.
#[apply(record)]
pub struct RunResult {
    pub schema: String,
    pub tool: Tool,
    pub command: String,
    /// RFC 3339, UTC
    pub started_at: String,
    /// additive: when it was to start (`--start-at`); absent where nothing was asked for
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<PlannedStart>,
    pub duration_s: f64,
    pub host: Host,
    pub plan: LoadPlan,
    pub validity: Validity,
    /// additive: the answer in one sentence
    #[serde(default)]
    pub verdict: Verdict,
    pub unavailable: Vec<Unavailable>,
    pub totals: Totals,
    pub endpoints: Vec<Endpoint>,
    pub errors: Vec<ErrorRow>,
    /// additive: whole answers that more bytes followed
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub surplus: Vec<SurplusRow>,
    pub closes: Closes,
    /// null when ports were not observed
    pub ports: Option<Ports>,
    /// additive: one row for each source address and destination that has a pool of its own, `ports` being the tightest of
    /// them or their sum; absent where there is only one
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports_all: Vec<Ports>,
    /// additive: kernel counters added during the run, this network namespace
    pub kernel: Option<KernelCounters>,
    pub resources: Resources,
    pub series: Vec<SeriesPoint>,
    pub findings: Vec<Finding>,
    /// additive: findings that could not be decided, and what was missing
    #[serde(default)]
    pub undecided: Vec<Undecided>,
    /// additive: of a merged run, what makes the figures of some of its machines doubtful, a line each, with their names
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub careful: Vec<String>,
    /// additive: of a merged run, a row for each machine; what the run itself has of ports, CPU and memory is null then
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<Machine>,
    /// additive: of a run with several destinations, the run of each as a document of its own: its ports, its findings, its
    /// verdict. Counts here are sums; `ports` are those of the fullest pool
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Self>,
}

/// This program.
#[apply(record)]
#[derive(Default)]
pub struct Tool {
    /// semantic version
    pub version: String,
}

/// The machine that ran the client.
#[apply(record)]
#[derive(Default)]
pub struct Host {
    /// additive: its name (uname -n); absent where it was not recorded
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// additive: which start of the machine it is (boot_id): one machine has one; absent where it was not recorded
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    pub kernel: String,
    pub cpus: u32,
    pub memory_bytes: Option<u64>,
    /// soft RLIMIT_NOFILE
    pub nofile: Option<u64>,
    pub sysctls: Sysctls,
    /// additive: the same settings when the run ended; absent where they were not read again
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sysctls_at_end: Option<Sysctls>,
    /// additive: net.ipv4.tcp_congestion_control; absent where it cannot be read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub congestion_control: Option<String>,
    /// additive: cores that a CPU quota of the client's control group allows; absent where there is none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<f64>,
}

/// TCP settings in force in this network namespace (net.ipv4.* unless said).
#[apply(record)]
#[derive(Default)]
pub struct Sysctls {
    pub ip_local_port_range: Option<[u16; 2]>,
    /// number of reserved ports that lie inside ip_local_port_range
    pub ip_local_reserved_ports: Option<u32>,
    pub tcp_tw_reuse: Option<u32>,
    pub tcp_tw_reuse_delay_ms: Option<u32>,
    pub tcp_timestamps: Option<u32>,
    pub tcp_fin_timeout_s: Option<u32>,
    pub tcp_max_tw_buckets: Option<u64>,
    pub tcp_max_syn_backlog: Option<u64>,
    /// net.core.somaxconn
    pub somaxconn: Option<u64>,
}

/// Sums over the run. `attempts = requests + local_failures + cut`; `failures` is part of `requests`.
#[apply(record)]
#[derive(Default)]
pub struct Totals {
    pub attempts: u64,
    pub requests: u64,
    pub failures: u64,
    pub local_failures: u64,
    pub cut: u64,
    /// additive: due by the schedule but never started (constant rate)
    pub never_started: u64,
    pub rps: f64,
    pub failures_per_s: f64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub connections_opened: u64,
    /// additive: of these, before the clock started
    #[serde(default)]
    pub connections_before: u64,
    pub connects_failed: u64,
    /// null when no connection was opened
    pub requests_per_connection: Option<f64>,
    pub users_asked: u32,
    pub users_reached: u32,
    /// answered requests; null when there was none
    pub latency_ms: Option<LatencyMs>,
    /// requests that failed at the target; null when there was none
    pub failed_latency_ms: Option<LatencyMs>,
    /// additive: all requests that ended at the target, failed ones included, as Locust counts (CSV and table)
    pub all_latency_ms: Option<LatencyMs>,
    /// additive: answered requests counted from the real start, not the intended one; null in a closed loop
    pub service_latency_ms: Option<LatencyMs>,
    /// null when the run was shorter than its warm-up
    pub steady: Option<Steady>,
    /// additive: connection set-up as one distribution; null when no connection was tried
    pub connects: Option<Connects>,
    /// additive: ports of the ring found busy and skipped
    pub ring_busy_skips: u64,
    /// additive: stretches of own-machine failures, half a second without one apart
    pub local_failure_spans: Vec<FailureSpan>,
    /// additive: requests in flight when the run ended; absent where it was not recorded
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlight>,
    /// additive: stretches of 0.2 s and more without any answer while requests were in flight, the longest hundred in the
    /// order of time; absent where they were not recorded
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silences: Option<Vec<Silence>>,
    /// additive: where connections were refused and none was answered between the first and the last of them: from the last
    /// answer before to the first after them; absent otherwise, or where it was shorter than 0.2 s
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away: Option<Stretch>,
    /// additive: of the requests in flight at the end, what had come of an answer to the one that had waited longest; absent
    /// where none had begun
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_answer: Option<PartialAnswer>,
    /// additive: the last answer and what came after it; absent where nothing was answered, or it was not recorded
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_last_answer: Option<AfterLastAnswer>,
    /// additive: requests that were started of those that the rate asked for, 0 to 1; null in a closed loop
    #[serde(default)]
    pub rate_ratio: Option<f64>,
    /// additive: from the time at which a request was due until it began, 99th percentile, whatever it waited for; null in a
    /// closed loop
    #[serde(default)]
    pub lag_p99_ms: Option<f64>,
    /// additive: and the longest
    #[serde(default)]
    pub lag_max_ms: Option<f64>,
}

/// Requests that the schedule of an open loop asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shortfall {
    /// and that were not started
    pub missing: f64,
    /// in all
    pub asked: f64,
}

/// A stretch of failures of our own machine.
#[apply(record)]
#[derive(Copy)]
pub struct FailureSpan {
    pub from_s: f64,
    pub to_s: f64,
    pub count: u64,
}

/// The part after the warm-up; of a merged run, as far as all machines were at work.
#[apply(record)]
pub struct Steady {
    pub from_s: f64,
    /// its end, where that is not the end of the run: the first machine of a merged run has ended
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to_s: Option<f64>,
    pub rps: f64,
    /// null when nothing was answered in it
    pub latency_ms: Option<LatencyMs>,
}

/// connect(2) and the handshake.
#[apply(record)]
#[derive(Copy)]
pub struct Connects {
    /// duration of the connect(2) call itself: the kernel's port search is inside it
    pub call_mean_us: f64,
    pub call_p50_us: f64,
    pub call_p95_us: f64,
    pub call_p99_us: f64,
    /// from connect(2) to the established connection
    pub setup_p50_ms: f64,
    pub setup_p99_ms: f64,
    pub setup_max_ms: f64,
    /// set-ups of 0.95-1.2 s (first SYN retry) and of 2.9-3.4 s (second)
    pub setup_near_1s: u64,
    pub setup_near_3s: u64,
    /// set-ups of 0.95 s and more: a SYN was sent again, once or several times
    #[serde(default)]
    pub setup_retried: u64,
}

/// One entry of the mix.
#[apply(record)]
pub struct Endpoint {
    pub method: String,
    pub name: String,
    pub requests: u64,
    pub failures: u64,
    pub local_failures: u64,
    /// additive
    pub cut: u64,
    pub rps: f64,
    /// mean over answered requests and failed ones that had a body; null when nothing was answered
    pub content_size_mean: Option<f64>,
    pub latency_ms: Option<LatencyMs>,
    /// additive: all requests, failed ones included, as Locust counts (CSV and table)
    pub all_latency_ms: Option<LatencyMs>,
    pub status: BTreeMap<String, u64>,
    pub phases_ms: PhasesMs,
    pub server_timing_ms: Option<ServerTimingMs>,
}

impl RunResult {
    /// A result in which nothing was counted or observed yet.
    pub fn new(plan: LoadPlan, command: String, started_at: String, host: Host) -> Self {
        let users_asked = plan.users;
        Self {
            schema: SCHEMA.into(),
            tool: Tool { version: env!("CARGO_PKG_VERSION").into() },
            command,
            started_at,
            start: None,
            duration_s: 0.0,
            host,
            plan,
            validity: Validity::new(RunStamp::Incomplete, Vec::new()),
            verdict: Verdict::default(),
            unavailable: Vec::new(),
            totals: Totals { users_asked, ..Totals::default() },
            endpoints: Vec::new(),
            errors: Vec::new(),
            surplus: Vec::new(),
            closes: Closes::default(),
            ports: None,
            ports_all: Vec::new(),
            kernel: None,
            resources: Resources::default(),
            series: Vec::new(),
            findings: Vec::new(),
            undecided: Vec::new(),
            careful: Vec::new(),
            machines: Vec::new(),
            destinations: Vec::new(),
        }
    }

    /// CPU of the host that neither the client nor the target took, percent of all cores: other programs and what the
    /// kernel does in nobody's name (interrupts). None where one of the three is not known.
    pub fn others_cpu_percent(&self) -> Option<f64> {
        let host = self.resources.host.cpu_percent_mean?;
        let (target, others) = (self.resources.target.as_ref(), self.resources.other_targets_cpu_percent_mean);
        // Of a run with several destinations all targets are others.
        let target = match target {
            None if !self.destinations.is_empty() => others?,
            target => target?.cpu_percent_mean? + others.unwrap_or(0.0),
        };
        let own = self.resources.client.cpu_percent_mean? + target;
        Some((host - own / f64::from(self.host.cpus.max(1))).max(0.0))
    }

    /// Requests that were asked for and not started; none in a closed loop, and where nothing was asked for.
    pub fn shortfall(&self) -> Option<Shortfall> {
        if !self.plan.is_open_loop() {
            return None;
        }
        let made = self.totals.attempts as f64;
        let by_schedule = made + self.totals.never_started as f64;
        let by_clock = self.plan.due_by(self.duration_s);
        let limit = self.plan.requests;
        let asked = match limit {
            // Machines that began one after the other have each kept their own schedule.
            0 if !self.machines.is_empty() => by_schedule,
            0 => by_schedule.max(by_clock),
            limit => by_schedule.min(limit as f64).max(made),
        };
        (asked > 0.0).then(|| Shortfall { missing: (asked - made).max(0.0), asked })
    }

    /// Requests in flight at the end that no ordinary answer would have ended: all of them, but none where none had waited
    /// longer than answered ones did. In a closed loop each user has one in flight at any time.
    pub fn cut_late(&self) -> u64 {
        let cut = self.totals.cut;
        if self.totals.in_flight.is_some_and(|f| f.overdue == 0 && f.count >= cut) { 0 } else { cut }
    }

    /// The runs that it consists of: one for each destination, or itself where there is one.
    pub fn each_destination(&self) -> impl Iterator<Item = &Self> {
        let only = self.destinations.is_empty().then_some(self);
        only.into_iter().chain(&self.destinations)
    }

    /// Whether the target, or that of one destination at least, is known to run on this machine.
    pub fn is_target_here(&self) -> bool {
        self.each_destination().any(Self::is_own_target_here)
    }

    /// Whether the target of its own plan is known to run on this machine; of several destinations that is the first.
    pub fn is_own_target_here(&self) -> bool {
        let target = &self.plan.target;
        self.resources.target.is_some() || target.own_server || target.addr.ip().is_loopback()
    }

    /// The run to the destination that findings call `name`.
    pub fn destination(&self, name: &str) -> Option<&Self> {
        self.destinations.iter().find(|part| part.plan.target.authority == name)
    }

    /// Whether somebody ended it before its planned end.
    pub fn was_stopped(&self) -> bool {
        self.validity.stopped
    }

    /// Gives the keys that a run stored by an earlier version does not have a value, or a reason.
    pub fn explain_later_keys(&mut self) {
        const OLDER: &str = "stored by a version that did not record it";
        self.destinations.iter_mut().for_each(Self::explain_later_keys);
        self.validity.stopped |= self.validity.reasons.iter().any(|reason| reason == STOPPED);
        self.validity.recover_kinds(&self.findings, !self.machines.is_empty());
        let names: Vec<&str> = self.machines.iter().map(|m| m.name.as_str()).collect();
        self.verdict.recover_who(&names);
        let t = &self.totals;
        let later = [
            ("totals.rate_ratio", t.rate_ratio.is_none()),
            ("totals.lag_p99_ms", t.lag_p99_ms.is_none()),
            ("totals.lag_max_ms", t.lag_max_ms.is_none()),
            ("ports.peak_in_use", self.ports.as_ref().is_some_and(|p| p.peak_in_use.is_none())),
            ("ports_all[].peak_in_use", self.ports_all.iter().any(|p| p.peak_in_use.is_none())),
            ("resources.client.busiest_thread", self.resources.client.busiest_thread.is_none()),
        ];
        for (key, _) in later.into_iter().filter(|(_, is_null)| *is_null) {
            self.explain_null(key, OLDER);
        }
    }

    /// Keys that are null in the document and have no row in `unavailable`; empty for a sound document.
    ///
    /// Array elements share a key: `series[].p50_ms`.
    pub fn unexplained_nulls(&self) -> Vec<String> {
        let mut keys = document::unexplained(self, &self.unavailable);
        for (at, part) in self.destinations.iter().enumerate() {
            keys.extend(part.unexplained_nulls().into_iter().map(|key| format!("destinations[{at}].{key}")));
        }
        keys
    }

    /// Adds a row to `unavailable`; the first reason for a key stays.
    pub fn explain_null(&mut self, key: &str, reason: impl Into<String>) {
        document::explain(&mut self.unavailable, key, reason);
    }

    /// Gives those of these keys that are null their reasons, in this order; the first reason for a key stays.
    pub fn explain_nulls(&mut self, reasons: &[(&str, &str)]) {
        let nulls = document::nulls(&*self);
        for (key, reason) in reasons.iter().filter(|(key, _)| nulls.iter().any(|null| null == key)) {
            self.explain_null(key, *reason);
        }
    }

    /// Requests as Locust counts them: those that ended at the target plus our own machine's failures.
    pub fn locust_requests(&self) -> u64 {
        self.totals.requests + self.totals.local_failures
    }

    /// Failures as Locust counts them.
    pub fn locust_failures(&self) -> u64 {
        self.totals.failures + self.totals.local_failures
    }

    /// Failures of `endpoint`s and calls that satisfy `wanted`, summed over the error table.
    pub fn count_errors(&self, wanted: impl Fn(&ErrorRow) -> bool) -> u64 {
        self.errors.iter().filter(|e| wanted(e)).map(|e| e.count).sum()
    }
}
