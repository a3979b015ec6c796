//! What a run means: findings with ids, order and severity that are a contract (docs/FINDINGS.md).

use std::collections::BTreeMap;

use super::prediction::Prediction;

/// How bad.
#[apply(lowercase)]
pub enum Severity {
    /// requests failed, or the figures are not what was asked for
    Error,
    /// nothing failed yet, or the figures need care
    Warning,
    /// worth knowing
    Info,
}

/// Every finding, in the order of reports.
#[apply(kebab_case)]
#[derive(strum::VariantArray)]
#[allow(missing_docs, reason = "each id is documented by its rule, printed in docs/FINDINGS.md")]
pub enum FindingId {
    LocalPortsExhausted,
    LocalPortBusy,
    LocalFdLimit,
    TargetGone,
    TargetRefused,
    TargetConnectionLimit,
    TargetBacklogOverflow,
    SlowConnects,
    TargetResets,
    TargetTimeouts,
    TargetHangs,
    TargetMalformed,
    TargetErrors,
    ClientLimit,
    ClientStalled,
    HostContended,
    TargetForbidsKeepalive,
    TargetSurplusBytes,
    TargetSplitsAnswers,
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
    SlowBodies,
}

impl FindingId {
    /// All ids, in the order of reports.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// It is about the machine that made the load: its ports, its CPU, its settings.
    pub const fn is_of_machine(self) -> bool {
        matches!(
            self,
            Self::LocalPortsExhausted
                | Self::LocalPortBusy
                | Self::LocalFdLimit
                | Self::ClientStalled
                | Self::HostContended
                | Self::FailuresWillReturn
                | Self::PortBudgetHigh
                | Self::PortSearchSlow
                | Self::GeneratorSaturated
                | Self::SysctlChanged
        )
    }

    /// It is about this program or this machine as a whole, wherever the load goes: its descriptors, its threads, its CPU, its
    /// settings. Source ports are not: each destination has a pool.
    pub const fn is_of_process(self) -> bool {
        matches!(
            self,
            Self::LocalFdLimit | Self::ClientStalled | Self::HostContended | Self::GeneratorSaturated | Self::SysctlChanged
        )
    }

    /// Whether a rehearsal is about it: source ports that are missing. What was measured of a remedy says nothing of other findings.
    pub const fn is_rehearsed(self) -> bool {
        matches!(self, Self::LocalPortsExhausted | Self::LocalPortBusy | Self::FailuresWillReturn | Self::PortBudgetHigh)
    }

    /// Its severity: errors come first, then warnings.
    pub const fn severity(self) -> Severity {
        match self as usize {
            n if n <= Self::ClientLimit as usize => Severity::Error,
            n if n <= Self::SysctlChanged as usize => Severity::Warning,
            _ => Severity::Info,
        }
    }
}

/// One thing that a run shows.
#[apply(sparse)]
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
    /// additive: which figures it spoils; absent where it spoils none, and in documents of earlier versions
    pub spoils: Option<Spoils>,
    /// additive: of a merged run, the machines that have it, the text being that of the first; empty where it is of all
    /// together
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<String>,
    /// additive: of a run with several destinations, those that have it, the text being that of the first; empty where it is
    /// of this program or machine as a whole
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<String>,
}

/// Figures of a run that are not to be taken for the target's own.
#[apply(kebab_case)]
#[derive(strum::EnumString)]
pub enum Spoils {
    /// those alone: the rest of the run holds
    #[strum(serialize = "the slowest latencies")]
    SlowestLatencies,
    /// the client waited
    #[strum(serialize = "latencies, and rates above what it could send")]
    LatenciesAndSentRates,
    /// the target waited
    #[strum(serialize = "rates and latencies")]
    RatesAndLatencies,
}

impl Spoils {
    /// `the slowest latencies`
    pub fn words(self) -> &'static str {
        self.into()
    }

    /// The figures as a whole.
    pub fn is_all(self) -> bool {
        self != Self::SlowestLatencies
    }
}

impl Finding {
    /// What it spoils; documents of earlier versions have the words among the evidence only.
    pub fn spoiled(&self) -> Option<Spoils> {
        self.spoils.or_else(|| self.evidence.get("spoils")?.as_str()?.parse().ok())
    }
}

/// A finding that could not be decided.
#[apply(record)]
pub struct Undecided {
    /// which
    pub id: FindingId,
    /// what would have to be known
    pub missing: String,
}

/// One thing to do about a finding.
#[apply(record)]
#[derive(Default)]
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
    /// additive: the figures of `expected` that a run which follows `command` can be compared with
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub predicts: Vec<Prediction>,
    /// additive: what is given up, what to mind
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub price: Option<String>,
    /// what a rehearsal on this host measured; null when there was none
    pub proven: Option<Proven>,
}

impl Remedy {
    /// With a promised figure.
    #[must_use]
    pub fn promising(mut self, figure: Prediction) -> Self {
        self.predicts.push(figure);
        self
    }
}

/// What a remedy does, compared with the baseline.
#[apply(kebab_case)]
#[derive(Default)]
pub enum Effect {
    /// all, or nearly all, connections were made, at no cost that was seen
    Helps,
    /// they were made, at the cost of something else
    AtAPrice,
    /// no more than without it
    NoEffect,
    /// not run here
    #[default]
    NotRun,
    /// additive: no remedy at all, which the others are compared with
    Baseline,
}

words!(FindingId, Effect);

/// The outcome of a remedy in the latest rehearsal on this host.
#[apply(record)]
pub struct Proven {
    /// what it did, compared with the run without it
    pub verdict: Effect,
    /// what was measured, in words with numbers
    pub measured: String,
    /// kernel release it ran on
    pub kernel: String,
    /// RFC 3339 time of the rehearsal
    pub rehearsal: String,
}

#[cfg(test)]
mod tests {
    use super::FindingId as Id;
    use super::*;

    #[test]
    fn an_id_is_of_the_machine_or_of_the_target_by_its_name_or_is_listed_here() {
        let is_other = |id: &Id| !id.is_of_machine() && !id.word().starts_with("target-");
        let others: Vec<Id> = Id::ALL.iter().copied().filter(is_other).collect();
        let of_the_load = [Id::UsersNotReached, Id::ClosedLoopLimited, Id::ThroughputPlateau];
        let of_answers = [Id::SlowConnects, Id::ClientLimit, Id::TailEndpoint, Id::SlowBodies];
        let mut listed = [&of_the_load[..], &of_answers].concat();
        listed.sort();
        assert_eq!(others, listed);
    }

    /// A document that an earlier version wrote says the same as one of today.
    #[test]
    fn what_an_earlier_version_said_in_words_is_read() {
        for spoils in [Spoils::SlowestLatencies, Spoils::LatenciesAndSentRates, Spoils::RatesAndLatencies] {
            let earlier = serde_json::json!({
                "id": "host-contended", "severity": "warning", "caused_by": [], "title": "", "explanation": "", "remedies": [],
                "evidence": { "spoils": spoils.words(), "spoils_all": if spoils.is_all() { "yes" } else { "no" } },
            });
            let mut finding: Finding = serde_json::from_value(earlier).unwrap();
            assert_eq!((finding.spoils, finding.spoiled()), (None, Some(spoils)));
            (finding.spoils, finding.evidence) = (Some(spoils), BTreeMap::new());
            let read: Finding = serde_json::from_value(serde_json::to_value(&finding).unwrap()).unwrap();
            assert_eq!(read.spoiled(), Some(spoils));
        }
    }
}
