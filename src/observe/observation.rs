//! All that was seen of one run, before it is written into the result.

use super::baseline::Baseline;
use super::by_source::BySource;
use super::meters::{Usage, UsageSum};
use crate::model::facts::{AcceptQueue, Fact, HostUsage, KernelCounters};
use crate::model::port_count::PortCount;
use crate::model::result::{CoreUse, Elsewhere, TargetResources, ThreadRow, Throttling};

/// One second of the run.
#[derive(Debug, Clone)]
pub(super) struct ObservedSecond {
    /// which, counted from the run's start
    pub(super) index: u64,
    pub(super) count: Fact<PortCount>,
    pub(super) client: Fact<Usage>,
    pub(super) target: Fact<Usage>,
    pub(super) host: Fact<HostUsage>,
    /// connections that a local target had not accepted; none where that cannot be seen
    pub(super) accept_queue: Option<AcceptQueue>,
}

/// What the observer saw, each fact known or unavailable with its reason.
#[derive(Debug, Clone)]
pub struct Observation {
    pub(super) baseline: Baseline,
    pub(super) seconds: Vec<ObservedSecond>,
    /// the count with the most ports used
    pub(super) peak: Option<PortCount>,
    pub(super) peak_time_wait: Option<u32>,
    pub(super) peak_in_use: Option<u32>,
    /// the same for each source address, where the plan has several
    pub(super) by_source: BySource,
    /// the count after the last request
    pub(super) end: Fact<PortCount>,
    pub(super) bound_only: Fact<u32>,
    /// clients of other destinations inside the range, at the end
    pub(super) elsewhere: Vec<Elsewhere>,
    /// counters added during the run
    pub(super) counters: Fact<KernelCounters>,
    pub(super) client: UsageSum,
    pub(super) threads: Vec<ThreadRow>,
    /// cores to which threads of this process are confined
    pub(super) client_cores: Vec<CoreUse>,
    pub(super) threads_error: Option<String>,
    /// what a CPU quota did to this process; none where none is in force
    pub(super) throttling: Option<Throttling>,
    pub(super) target: Fact<TargetResources>,
    /// its process has ended, and how is not for this user to see
    pub(super) target_end_hidden: bool,
    pub(super) host: UsageSum,
    pub(super) memory_percent_max: Option<f64>,
}

impl Observation {
    /// A try was not answered: counts the ports now.
    pub fn on_unanswered(&mut self) {
        if !self.baseline.is_try {
            return;
        }
        self.end = self.baseline.count_after();
        self.bound_only = self.baseline.bound_only.clone();
        self.peak = self.end.known().copied();
        self.peak_in_use = self.peak.map(|c| c.in_use.ports());
        self.peak_time_wait = self.peak.map(|c| c.states.time_wait);
    }

    /// Nothing but the baseline, all else for `reason`.
    pub(super) fn nothing(baseline: &Baseline, reason: &str) -> Self {
        Self {
            peak: baseline.leftover.known().copied(),
            peak_in_use: baseline.leftover.known().map(|c| c.in_use.ports()),
            peak_time_wait: baseline.leftover.known().map(|c| c.states.time_wait),
            by_source: BySource::from(&baseline.leftover_by_source),
            bound_only: baseline.bound_only.clone(),
            elsewhere: Vec::new(),
            baseline: baseline.clone(),
            seconds: Vec::new(),
            end: Fact::missing(reason),
            counters: Fact::missing(reason),
            client: UsageSum::default(),
            threads: Vec::new(),
            client_cores: Vec::new(),
            threads_error: Some(reason.to_owned()),
            throttling: None,
            target: Fact::missing(reason),
            target_end_hidden: false,
            host: UsageSum::default(),
            memory_percent_max: None,
        }
    }
}
