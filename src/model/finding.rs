//! What a run means: findings with ids, order and severity that are a contract (docs/FINDINGS.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// requests failed, or the figures are not what was asked for
    Error,
    /// nothing failed yet, or the figures need care
    Warning,
    /// worth knowing
    Info,
}

/// Every finding, in the order of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each id is documented by its rule, printed in docs/FINDINGS.md")]
pub enum FindingId {
    LocalPortsExhausted,
    LocalPortBusy,
    LocalFdLimit,
    TargetGone,
    TargetRefused,
    TargetBacklogOverflow,
    TargetResets,
    TargetTimeouts,
    TargetHangs,
    TargetMalformed,
    TargetErrors,
    ClientStalled,
    HostContended,
    TargetForbidsKeepalive,
    FailuresWillReturn,
    PortBudgetHigh,
    PortSearchSlow,
    GeneratorSaturated,
    UsersNotReached,
    TargetStalled,
    TargetQueueing,
    SysctlChanged,
    TargetCpuSaturated,
    ClosedLoopLimited,
    ThroughputPlateau,
    TailEndpoint,
}

impl FindingId {
    /// All ids, in the order of reports.
    pub const ALL: [Self; 26] = [
        Self::LocalPortsExhausted,
        Self::LocalPortBusy,
        Self::LocalFdLimit,
        Self::TargetGone,
        Self::TargetRefused,
        Self::TargetBacklogOverflow,
        Self::TargetResets,
        Self::TargetTimeouts,
        Self::TargetHangs,
        Self::TargetMalformed,
        Self::TargetErrors,
        Self::ClientStalled,
        Self::HostContended,
        Self::TargetForbidsKeepalive,
        Self::FailuresWillReturn,
        Self::PortBudgetHigh,
        Self::PortSearchSlow,
        Self::GeneratorSaturated,
        Self::UsersNotReached,
        Self::TargetStalled,
        Self::TargetQueueing,
        Self::SysctlChanged,
        Self::TargetCpuSaturated,
        Self::ClosedLoopLimited,
        Self::ThroughputPlateau,
        Self::TailEndpoint,
    ];

    /// The id as written in reports: `local-ports-exhausted`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::LocalPortsExhausted => "local-ports-exhausted",
            Self::LocalPortBusy => "local-port-busy",
            Self::LocalFdLimit => "local-fd-limit",
            Self::TargetGone => "target-gone",
            Self::TargetRefused => "target-refused",
            Self::TargetBacklogOverflow => "target-backlog-overflow",
            Self::TargetResets => "target-resets",
            Self::TargetTimeouts => "target-timeouts",
            Self::TargetHangs => "target-hangs",
            Self::TargetMalformed => "target-malformed",
            Self::TargetErrors => "target-errors",
            Self::ClientStalled => "client-stalled",
            Self::HostContended => "host-contended",
            Self::TargetForbidsKeepalive => "target-forbids-keepalive",
            Self::FailuresWillReturn => "failures-will-return",
            Self::PortBudgetHigh => "port-budget-high",
            Self::PortSearchSlow => "port-search-slow",
            Self::GeneratorSaturated => "generator-saturated",
            Self::UsersNotReached => "users-not-reached",
            Self::TargetStalled => "target-stalled",
            Self::TargetQueueing => "target-queueing",
            Self::SysctlChanged => "sysctl-changed",
            Self::TargetCpuSaturated => "target-cpu-saturated",
            Self::ClosedLoopLimited => "closed-loop-limited",
            Self::ThroughputPlateau => "throughput-plateau",
            Self::TailEndpoint => "tail-endpoint",
        }
    }

    /// Its severity.
    pub const fn severity(self) -> Severity {
        match self {
            Self::LocalPortsExhausted
            | Self::LocalPortBusy
            | Self::LocalFdLimit
            | Self::TargetGone
            | Self::TargetRefused
            | Self::TargetBacklogOverflow
            | Self::TargetResets
            | Self::TargetTimeouts
            | Self::TargetHangs
            | Self::TargetMalformed
            | Self::TargetErrors => Severity::Error,
            Self::ClientStalled
            | Self::HostContended
            | Self::TargetForbidsKeepalive
            | Self::FailuresWillReturn
            | Self::PortBudgetHigh
            | Self::PortSearchSlow
            | Self::GeneratorSaturated
            | Self::UsersNotReached
            | Self::TargetStalled
            | Self::TargetQueueing
            | Self::SysctlChanged => Severity::Warning,
            Self::TargetCpuSaturated | Self::ClosedLoopLimited | Self::ThroughputPlateau | Self::TailEndpoint => Severity::Info,
        }
    }
}

/// One thing that a run shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// which
    pub id: FindingId,
    /// how bad
    pub severity: Severity,
    /// findings that this one follows from
    pub caused_by: Vec<FindingId>,
    /// one line with the decisive number
    pub title: String,
    /// the numbers it rests on, by name with the unit as suffix
    pub evidence: BTreeMap<String, serde_json::Value>,
    /// what happened and why, in sentences
    pub explanation: String,
    /// what to do, best first for the plan in force
    pub remedies: Vec<Remedy>,
}

/// A finding that could not be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// which
    pub id: FindingId,
    /// what would have to be known
    pub missing: String,
}

/// One thing to do about a finding.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Remedy {
    /// its name in the catalogue (`keep-alive`, `ring`, `wider-range`, ...), by which a rehearsal proves it
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// what, in words
    pub action: String,
    /// additive: what it changes of the run, as flags (`--closer server`, `drop --no-keepalive`); none where it changes
    /// nothing of it
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub change: Option<String>,
    /// the command that does it on Linux; empty where there is none
    pub command: String,
    /// the command that does it on Windows, where there is one
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub windows_command: Option<String>,
    /// additive: the command that does it on macOS, where there is one
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub macos_command: Option<String>,
    /// what it is expected to change, in numbers
    pub expected: String,
    /// additive: what is given up, what to mind
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub price: Option<String>,
    /// what a rehearsal on this host measured; null when there was none
    pub proven: Option<Proven>,
}

/// The outcome of a remedy in the latest rehearsal on this host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proven {
    /// what it did, held against the run without it
    pub verdict: super::rehearsal::Effect,
    /// what was measured, in words with numbers
    pub measured: String,
    /// kernel release it ran on
    pub kernel: String,
    /// RFC 3339 time of the rehearsal
    pub rehearsal: String,
}
