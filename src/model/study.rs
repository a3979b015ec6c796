//! A study: steps of load against one target, and its result. Schema `sockbench-study/1`.
#![allow(missing_docs, reason = "the keys are a contract, documented in docs/JSON.md")]

use std::time::Duration;

use super::document::{self, Unavailable};
use super::finding::{Finding, FindingId};
use super::plan::LoadPlan;
use super::result::{Ports, RunResult, Tool, Verdict};
pub use super::step::StepKind;
use super::time::Secs;

/// A step that ended this much before its planned end was cut short, seconds.
const ENDED_EARLY_S: f64 = 0.5;

/// The schema of [`StudyResult`].
pub const STUDY_SCHEMA: &str = "sockbench-study/1";

/// A study, resolved: one load plan a step.
#[apply(record)]
pub struct StudyPlan {
    /// its name
    pub name: String,
    /// the steps in order
    pub steps: Vec<LoadPlan>,
    /// what each step is called
    pub kinds: Vec<StepKind>,
    /// longest wait between two steps for leftover TIME_WAIT to go
    #[serde(rename = "cooldown_max_s", with = "Secs")]
    pub cooldown_max: Duration,
}

/// The result of a study.
#[apply(record)]
pub struct StudyResult {
    pub schema: String,
    pub tool: Tool,
    pub command: String,
    pub name: String,
    /// RFC 3339, UTC
    pub started_at: String,
    pub duration_s: f64,
    /// additive: the answer in one sentence
    #[serde(default)]
    pub verdict: Verdict,
    /// steps of the plan
    pub steps_planned: u32,
    /// why the study ended where it did
    pub ended: String,
    /// additive: somebody stopped it; absent where nobody did
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// additive: what the steps that did not run are called
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_run: Vec<String>,
    /// one run for each step that ran
    pub steps: Vec<RunResult>,
    /// the wait before each step but the first
    pub cooldowns: Vec<Cooldown>,
    pub analysis: Analysis,
    /// the experiment's observations and this run's; `windows-ports` only
    pub comparison: Vec<Comparison>,
    /// of the study as a whole; each step has its own
    pub findings: Vec<Finding>,
    pub unavailable: Vec<Unavailable>,
}

/// One observation, in the experiment and here.
#[apply(record)]
pub struct Comparison {
    pub what: String,
    pub experiment: String,
    pub here: String,
}

impl StudyResult {
    /// Gives every null of the document a row in `unavailable`: those of a step keep the step's own reason.
    pub fn explain_nulls(&mut self) {
        for key in document::nulls(&*self) {
            let reason = key.strip_prefix("steps[].").map_or("not measured in this step: the step's own rows say why", |k| {
                self.steps.iter().flat_map(|s| &s.unavailable).find(|u| u.key == k).map_or("see the step", |u| u.reason.as_str())
            });
            let reason = reason.to_owned();
            self.unavailable.push(Unavailable { key, reason });
        }
    }
}

/// The wait between two steps.
#[apply(record)]
pub struct Cooldown {
    /// the step that waited, from 2
    pub before_step: u32,
    pub waited_s: f64,
    /// ports towards the target that ended connections still keep from this step, when the wait began and ended; null when
    /// not readable
    pub time_wait_before: Option<u32>,
    pub time_wait_after: Option<u32>,
    /// below this many the next step may start: 1 % of the pool
    pub threshold: Option<u32>,
    /// why it ended
    pub ended: String,
}

/// Figures and sentences over all steps.
#[apply(sparse)]
#[derive(Default)]
pub struct Analysis {
    /// a row for each step
    pub rows: Vec<StepRow>,
    /// additive: the questions of a study, answered
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// additive: each endpoint at the lightest and at the heaviest step; empty where the load did not rise
    #[serde(default)]
    pub endpoints: Vec<EndpointLoad>,
    /// additive: the lowest rate that a known limit allows at the heaviest step; absent where none is known
    pub ceiling: Option<Ceiling>,
    /// additive: where the rate fell behind the users; absent where it did not, or where that cannot be said
    pub saturation: Option<Saturation>,
    /// all conclusions with their numbers, the answers first
    pub sentences: Vec<String>,
}

/// Where additional users only wait longer. Figures of the steady part of their step.
#[apply(sparse)]
pub struct Saturation {
    /// how it shows
    pub kind: SaturationKind,
    /// users of the step from which on
    pub users: u32,
    /// users of the step before; absent where it is the lightest step: saturated already
    pub users_before: Option<u32>,
    pub rps: f64,
    /// `rps` as a part of the closed loop's line
    pub expected_share: f64,
    pub response_mean_ms: f64,
    /// the heaviest step
    pub heaviest_users: u32,
    pub heaviest_rps: f64,
    pub heaviest_response_mean_ms: f64,
}

/// How saturation shows.
#[apply(kebab_case)]
pub enum SaturationKind {
    /// no later step has a higher rate
    Flat,
    /// the rate still rises, well below the closed loop's line, and answers take longer
    Bends,
}

/// A question that a study asks, and its answer.
#[apply(sparse)]
pub struct Answer {
    /// which
    pub question: Question,
    /// one or two sentences with their numbers
    pub text: String,
    /// additive: the finding whose title the text has; absent where it has none, and in documents of earlier versions
    pub finding: Option<FindingId>,
}

/// What a study asks.
#[apply(kebab_case)]
pub enum Question {
    /// how each endpoint takes rising load: does CPU-bound differ from I/O-bound
    UnderLoad,
    /// where it saturates
    Saturation,
    /// what limits it
    Why,
    /// what to do
    Next,
}

/// An endpoint under rising load. Milliseconds; medians unless said.
#[apply(sparse)]
pub struct EndpointLoad {
    pub name: String,
    /// users of the lightest and of the heaviest step
    pub users: [u32; 2],
    pub p50_ms: [f64; 2],
    pub p95_ms: [f64; 2],
    /// additive: the medians of all steps, in rising order of users; null where a step has none
    #[serde(default)]
    pub p50_by_step_ms: Vec<Option<f64>>,
    /// additive: of its requests, those that failed or were not answered by the end of the step, 0 to 1
    #[serde(default)]
    pub unanswered_share: [f64; 2],
    /// what the target says of its own time (`Server-Timing`); absent where it says nothing
    pub queue_p50_ms: Option<[f64; 2]>,
    /// see `queue_p50_ms`
    pub work_p50_ms: Option<[f64; 2]>,
}

impl EndpointLoad {
    /// The heaviest median as a multiple of the lightest.
    pub fn times(&self) -> f64 {
        self.p50_ms[1] / self.p50_ms[0].max(1e-3)
    }
}

/// What a limit allows: `slots` working at a time, each `busy_ms` for a request, `share` of the requests.
#[apply(sparse)]
pub struct Ceiling {
    /// which limit
    pub kind: CeilingKind,
    /// the endpoint whose work it is; absent where it is every request's
    pub endpoint: Option<String>,
    /// cores, workers or ports
    pub slots: f64,
    /// how long one request takes one of them, milliseconds
    pub busy_ms: f64,
    /// the part of all requests that take one, 0 to 1
    pub share: f64,
    /// additive: CPU that the client takes for a request of the cores in `slots`, milliseconds; absent where it runs on others,
    /// or that is not known
    pub client_ms: Option<f64>,
    /// additive: why the target may not use every core of the machine; absent where it may
    pub cores_by: Option<CoresBy>,
    /// requests per second: slots / (busy * share + client)
    pub rps: f64,
    /// requests per second that were made at the heaviest step
    pub reached_rps: f64,
}

/// What sets a [`Ceiling`].
#[apply(kebab_case)]
pub enum CeilingKind {
    /// cores that the target may use
    Cpu,
    /// threads of the target that wait
    Workers,
    /// source ports, each in TIME_WAIT for T
    Ports,
}

/// What keeps a target from the other cores of its machine.
#[apply(kebab_case)]
pub enum CoresBy {
    /// the CPU affinity of its processes
    Affinity,
    /// the CPU quota of its control group
    Quota,
    /// one thread runs at a time
    OneThread,
}

/// One step in a line.
#[apply(record)]
pub struct StepRow {
    /// additive: what the step is called: `10 users`, or its name in the plan file
    #[serde(default)]
    pub label: String,
    /// additive: by what it is called so; absent in documents of earlier versions
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<StepKind>,
    /// users asked for
    pub users: u32,
    /// length of the step
    pub duration_s: f64,
    /// additive: its length by the plan; 0 where it was bounded by a count
    #[serde(default)]
    pub planned_s: f64,
    /// requests that ended at the target
    pub requests: u64,
    /// failures there
    pub failures: u64,
    /// failures of this machine
    pub local_failures: u64,
    /// in flight at the end of the step: neither answered nor failed
    pub cut: u64,
    /// requests per second over the whole step, ramp included
    pub rps: f64,
    /// requests per second after the last user had started; null when the step ended before
    pub steady_rps: Option<f64>,
    /// mean think time of the plan
    pub think_mean_s: f64,
    /// mean measured response after the last user had started; null when nothing was answered then
    pub response_mean_s: Option<f64>,
    /// users / (think + response): the rate of a closed loop of these users; null in an open loop
    pub predicted_rps: Option<f64>,
    /// additive: the rate if answers stayed as quick as at the quickest step without failures; the asked rate in an open
    /// loop; null where neither is known
    #[serde(default)]
    pub expected_rps: Option<f64>,
    /// additive: measured steady rate as a part of `expected_rps`; absent where that is null
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_share: Option<f64>,
    /// additive: requests that failed or were not answered, as a part of all that were started, 0 to 1
    #[serde(default)]
    pub unanswered_share: f64,
    /// additive: so many were not answered that the percentiles say little of all requests
    #[serde(default)]
    pub is_censored: bool,
    /// measured steady rate against the predicted one, percent
    pub deviation_percent: Option<f64>,
    /// percentiles of answered requests, whole step
    pub p50_ms: Option<f64>,
    /// see `p50_ms`
    pub p95_ms: Option<f64>,
    /// see `p50_ms`
    pub p99_ms: Option<f64>,
    /// CPU of the target's processes, percent of one core
    pub target_cpu_percent: Option<f64>,
    /// most memory of the target's processes
    pub target_rss_bytes: Option<u64>,
    /// CPU of this process, percent of one core
    pub client_cpu_percent: Option<f64>,
    /// most memory of this process
    pub client_rss_bytes: Option<u64>,
    /// CPU of the host, percent of all cores
    pub host_cpu_percent: Option<f64>,
    /// of that what neither client nor target took
    pub others_cpu_percent: Option<f64>,
    /// most memory in use on the host, percent
    pub host_memory_percent: Option<f64>,
    /// the most source ports in use towards the target, of `pool`
    pub peak_ports: Option<u32>,
    /// source ports towards the target
    pub pool: Option<u32>,
}

impl StepRow {
    /// Seconds of the plan that are missing, where the step ended early.
    pub fn missing_s(&self) -> Option<f64> {
        Some(self.planned_s - self.duration_s).filter(|s| *s >= ENDED_EARLY_S)
    }

    /// `at 100 users`, `in step short`.
    pub fn place(&self) -> String {
        match self.kind {
            Some(StepKind::Users { .. } | StepKind::Rate { .. }) => format!("at {}", self.label),
            Some(StepKind::Name { .. }) | None => format!("in step {}", self.label),
        }
    }

    /// The same row, called by `kind`.
    #[must_use]
    pub fn called(self, kind: StepKind) -> Self {
        Self { label: kind.label(), kind: Some(kind), ..self }
    }

    /// The row of one run, which is not called anything yet.
    pub fn of(run: &RunResult) -> Self {
        let plan = &run.plan;
        let think = plan.think.mean().as_secs_f64();
        let steady = run.totals.steady.as_ref();
        let response = steady.and_then(|s| s.latency_ms).map(|l| l.mean / 1000.0);
        let closed = !plan.is_open_loop();
        let predicted = response.filter(|r| closed && think + r > 0.0).map(|r| f64::from(plan.users) / (think + r));
        let steady_rps = steady.map(|s| s.rps);
        let deviation = steady_rps.zip(predicted).map(|(m, p)| (m / p - 1.0) * 100.0);
        let target = run.resources.target.as_ref();
        let (client, host) = (&run.resources.client, &run.resources.host);
        let latency = run.totals.latency_ms;
        let failed = [run.totals.failures, run.totals.local_failures];
        Self {
            label: String::new(),
            kind: None,
            users: plan.users,
            duration_s: run.duration_s,
            planned_s: plan.duration.as_secs_f64(),
            requests: run.totals.requests,
            failures: run.totals.failures,
            local_failures: run.totals.local_failures,
            cut: run.totals.cut,
            rps: run.totals.rps,
            steady_rps,
            think_mean_s: think,
            response_mean_s: response,
            predicted_rps: predicted,
            expected_rps: None,
            expected_share: None,
            unanswered_share: unanswered_share(run.totals.requests, failed, run.cut_late()),
            is_censored: false,
            deviation_percent: deviation,
            p50_ms: latency.map(|l| l.p50),
            p95_ms: latency.map(|l| l.p95),
            p99_ms: latency.map(|l| l.p99),
            target_cpu_percent: target.and_then(|t| t.cpu_percent_mean),
            target_rss_bytes: target.and_then(|t| t.rss_bytes_max),
            client_cpu_percent: client.cpu_percent_mean,
            client_rss_bytes: client.rss_bytes_max,
            host_cpu_percent: host.cpu_percent_mean,
            others_cpu_percent: run.others_cpu_percent(),
            host_memory_percent: host.memory_percent_max,
            peak_ports: run.ports.as_ref().and_then(Ports::in_use),
            pool: run.ports.as_ref().and_then(|p| p.pool),
        }
    }
}

/// Requests without an answer as a part of all: `requests` ended at the target, `failed` there and on this machine, `cut`
/// were in flight at the end and late.
pub fn unanswered_share(requests: u64, failed: [u64; 2], cut: u64) -> f64 {
    let all = (requests + failed[1] + cut).max(1);
    (failed[0] + failed[1] + cut) as f64 / all as f64
}
