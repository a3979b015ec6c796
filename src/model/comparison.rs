//! Runs side by side: schema `sockbench-compare/1`. What cannot be said is absent, never null.
#![allow(missing_docs, reason = "the keys are a contract, documented in docs/JSON.md")]

use super::result::Tool;

/// The schema of [`Comparison`].
pub const COMPARE_SCHEMA: &str = "sockbench-compare/1";

/// Runs compared with the first of them.
#[apply(record)]
pub struct Comparison {
    pub schema: String,
    pub tool: Tool,
    /// what all others are compared with
    pub base: SideInfo,
    pub pairs: Vec<Pair>,
}

/// Where the figures of a side come from.
#[apply(sparse)]
pub struct SideInfo {
    /// the path that was given
    pub name: String,
    pub source: Source,
    /// RFC 3339; absent where the file does not say
    pub started_at: Option<String>,
    pub duration_s: f64,
    /// seconds that the intervals rest on: whole ones of the steady part
    pub steady_s: f64,
    /// what percentiles by second rest on; absent where there are none
    pub percentiles_from: Option<PercentilesFrom>,
    /// latencies of all answered requests; empty where there are none
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percentiles: Vec<PercentilePoint>,
}

/// A point of a latency distribution.
#[apply(record)]
#[derive(Copy)]
pub struct PercentilePoint {
    /// of the answered requests, 0 to 1
    pub share: f64,
    /// what they kept within
    pub ms: f64,
}

/// The tool that wrote a side.
#[apply(lowercase)]
pub enum Source {
    /// `run.json`
    Sockbench,
    /// `_stats.csv`
    Locust,
    /// its JSON
    Oha,
    /// `--summary-export`
    K6,
}

/// What percentiles by second rest on.
#[apply(kebab_case)]
pub enum PercentilesFrom {
    /// all latencies: `run.hlog`
    IntervalLog,
    /// the percentiles of each second: `series[]`, or Locust's history
    Series,
}

/// One run beside the base.
#[apply(sparse)]
pub struct Pair {
    pub side: SideInfo,
    pub verdict: Difference,
    /// one sentence
    pub sentence: String,
    /// what is not alike in the environments
    pub environment: Vec<Unlike>,
    /// seconds of a block of the bootstrap; absent where a side is too short or has no seconds
    pub block_s: Option<f64>,
    /// blocks of the side that has fewer
    pub blocks: Option<u32>,
    pub totals: Vec<Row>,
    pub endpoints: Vec<EndpointRows>,
    /// what a reader must know besides
    pub careful: Vec<String>,
}

/// An endpoint that both have.
#[apply(record)]
pub struct EndpointRows {
    pub name: String,
    pub rows: Vec<Row>,
}

/// A setting that differs.
#[apply(record)]
pub struct Unlike {
    pub key: String,
    pub base: String,
    pub other: String,
}

/// Settings that a reader knows by a flag.
const FLAGS: &[(&str, &str)] = &[
    ("plan.users", "--conns"),
    ("plan.rate", "--rate"),
    ("plan.stages", "--stages"),
    ("plan.arrivals", "--arrivals"),
    ("plan.preconnect", "--preconnect"),
    ("plan.duration_s", "--duration"),
    ("plan.warmup_s", "--warmup"),
    ("plan.timeout_s", "--timeout"),
    ("plan.requests", "--requests"),
    ("plan.spawn_rate", "--spawn-rate"),
    ("plan.think.min_s", "--think from"),
    ("plan.think.max_s", "--think to"),
    ("plan.threads", "--threads"),
    ("plan.pin", "--pin"),
    ("plan.busy_poll", "--busy-poll"),
    ("plan.method", "--method"),
    ("plan.body", "--body"),
    ("plan.closer", "--closer"),
    ("plan.port_mode", "--port-mode"),
    ("plan.reuse_addr", "--reuse-addr"),
];

impl Unlike {
    /// What it is called on a screen: a flag, a kernel's setting, or the words of its key.
    pub fn name(&self) -> String {
        if let Some((_, flag)) = FLAGS.iter().find(|(key, _)| *key == self.key) {
            return (*flag).to_owned();
        }
        if let Some(name) = self.key.strip_prefix("host.sysctls.") {
            return name.to_owned();
        }
        let words = self.key.strip_prefix("plan.").or_else(|| self.key.strip_prefix("host.")).unwrap_or(&self.key);
        words.replace(['.', '_'], " ")
    }

    /// Both values with their name: `--conns (base 5, other 10)`.
    pub fn in_words(&self, shown: impl Fn(&str) -> String) -> String {
        format!("{} (base {}, other {})", self.name(), shown(&self.base), shown(&self.other))
    }
}

/// What the comparison says, in the order in which it calls for attention.
#[apply(kebab_case)]
pub enum Difference {
    /// nothing that noise does not explain
    None,
    /// what differs is better than in the base
    Better,
    /// the runs are too short, or have no seconds
    Untold,
    /// some of it better, some worse
    Mixed,
    /// what differs is worse
    Worse,
}

/// Changes that are more seldom by chance than this are no chance.
pub const CHANCE: f64 = 0.05;
/// An interval that reaches as far cannot say that nothing changed.
const WIDE: f64 = 0.25;

impl Row {
    /// It changed by more than chance explains, and by too little to matter.
    pub fn is_small(&self) -> bool {
        self.outcome == Some(Difference::None) && self.p.is_some_and(|p| p < CHANCE)
    }

    /// No change is shown, and a large one is not excluded.
    pub fn is_unclear(&self) -> bool {
        let reaches = |[low, high]: [f64; 2]| low.abs().max(high.abs()) > WIDE;
        self.outcome == Some(Difference::None) && !self.is_small() && self.interval.is_some_and(reaches)
    }
}

/// What is compared.
#[apply(snake_case)]
#[derive(strum::EnumString)]
pub enum Compared {
    RateRps,
    P50Ms,
    P95Ms,
    P99Ms,
    /// of requests and local failures, 0 to 1
    FailedShare,
    Connections,
    PortsPeak,
    ClientCpuUsPerRequest,
    TargetCpuUsPerRequest,
}

words!(Compared);

/// One figure of both sides.
#[apply(sparse)]
pub struct Row {
    pub what: Compared,
    pub base: f64,
    pub other: f64,
    /// of the base: 0.05 is 5 % more; of a share the difference; absent where the base is 0
    pub change: Option<f64>,
    /// 95 % interval of the change by a block bootstrap
    pub interval: Option<[f64; 2]>,
    /// probability of such a change by chance, by Holm's correction over the rows that decide; absent where it does not decide
    pub p: Option<f64>,
    /// whether it differs beyond chance, and which way; absent where it does not decide
    pub outcome: Option<Difference>,
}
