//! The observed parts of a run result: ports towards the target, CPU and memory. Re-exported by
//! [`result`](super::result), whose document they are part of.
#![allow(missing_docs, reason = "contract keys")]

use super::port_count::StateCounts;
use super::stalls::{Stretch, Throttling};

/// Ports towards the target.
#[apply(record)]
#[derive(Default)]
pub struct Ports {
    pub source: String,
    pub destination: String,
    /// source ports this run can use towards the destination, all sources together
    pub pool: Option<u32>,
    /// T, seconds: 60; tcp_tw_reuse_delay where reuse applies; tcp_fin_timeout where the ports are in FIN_WAIT2
    pub hold_s: Option<f64>,
    pub ceiling_cps: Option<f64>,
    /// near (P/2)/T_eff, where the port search becomes slow; null where the search does not apply
    pub search_cps: Option<f64>,
    pub peak_used: Option<u32>,
    pub peak_share: Option<f64>,
    pub peak_time_wait: Option<u32>,
    /// connections opened per second, mean over the whole run
    pub rate_cps: f64,
    /// after the run, until all ports are free again
    pub free_again_in_s: Option<f64>,
    pub states: PortStates,
    /// null when the rate does not exhaust the pool
    pub forecast: Option<PortForecast>,
    /// additive: ports in use towards the destination before the first request, as this run's port mode counts them
    pub leftover_before: Option<u32>,
    /// additive: most ports that could not be taken at a look: `peak_used` without TIME_WAIT that may be reused
    #[serde(default)]
    pub peak_in_use: Option<u32>,
    /// additive: ports of the range with sockets towards other destinations at the end, none towards this one: in use for
    /// this run too where they were bound
    #[serde(default)]
    pub elsewhere: Vec<Elsewhere>,
}

/// Sockets inside the range towards another destination.
#[apply(record)]
pub struct Elsewhere {
    pub destination: String,
    pub ports: u32,
}

/// What used most of the ports at the peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// connections that this side closed first: the P/T law
    TimeWait,
    /// connections whose other side has not closed: tcp_fin_timeout
    FinWait2,
    /// connections that are open, or that this side has not closed: as long as they live
    Open,
}

impl PortStates {
    /// Of a look at the ports, and of sockets that are bound only.
    pub fn of(counts: Option<StateCounts>, bound_only: Option<u32>) -> Self {
        Self {
            time_wait: counts.map(|c| c.time_wait),
            established: counts.map(|c| c.established),
            fin_wait2: counts.map(|c| c.fin_wait2),
            close_wait: counts.map(|c| c.close_wait),
            bound_only,
        }
    }

    /// What used most of the ports that were seen; none when none were seen.
    pub fn holder(&self) -> Option<Holder> {
        let n = |v: Option<u32>| v.unwrap_or(0);
        let by = [
            (n(self.time_wait), Holder::TimeWait),
            (n(self.fin_wait2), Holder::FinWait2),
            (n(self.established).saturating_add(n(self.close_wait)), Holder::Open),
        ];
        by.into_iter().filter(|(ports, _)| *ports > 0).reduce(|a, b| if b.0 > a.0 { b } else { a }).map(|(_, holder)| holder)
    }
}

impl Ports {
    /// What used most of the ports that were seen at the peak; none when none were seen.
    pub fn holder(&self) -> Option<Holder> {
        // No moment had more in TIME_WAIT than their peak.
        let time_wait = self.states.time_wait.map(|n| self.peak_time_wait.map_or(n, |most| n.min(most)));
        PortStates { time_wait, ..self.states }.holder()
    }

    /// New connections per second that the plan demanded: what the forecast is for, else the mean of the run.
    pub fn demand_cps(&self) -> f64 {
        self.forecast.as_ref().map(|f| f.rate_cps).filter(|r| *r > 0.0).unwrap_or(self.rate_cps)
    }

    /// Most ports that could not be taken at a look; of an earlier version, TIME_WAIT that may be reused included.
    pub fn in_use(&self) -> Option<u32> {
        self.peak_in_use.or(self.peak_used)
    }

    /// [`Self::in_use`] as a share of the pool, 0 to 1.
    pub fn in_use_share(&self) -> Option<f64> {
        share_of(self.peak_in_use, self.pool).or(self.peak_share)
    }

    /// Ports of the pool that no socket was seen to use towards this destination at the peak.
    pub fn unseen(&self) -> Option<u32> {
        Some(self.pool?.saturating_sub(self.peak_used?))
    }
}

/// Ports as a share of the pool, 0 to 1.
pub(super) fn share_of(ports: Option<u32>, pool: Option<u32>) -> Option<f64> {
    let known = ports.zip(pool.filter(|p| *p > 0));
    known.map(|(ports, pool)| f64::from(ports) / f64::from(pool))
}

/// Sockets towards the target at the peak.
#[apply(record)]
#[derive(Copy, Default)]
pub struct PortStates {
    pub time_wait: Option<u32>,
    pub established: Option<u32>,
    pub fin_wait2: Option<u32>,
    pub close_wait: Option<u32>,
    pub bound_only: Option<u32>,
}

/// When the pool is used up at the run's rate.
#[apply(record)]
pub struct PortForecast {
    /// additive: the rate it is for: the plan's, or what the whole seconds before the first refusal made
    #[serde(default)]
    pub rate_cps: f64,
    pub exhausted_at_s: f64,
    pub dead_s: f64,
    pub echo_s: Vec<f64>,
}

/// CPU and memory.
#[apply(record)]
#[derive(Default)]
pub struct Resources {
    pub client: ClientResources,
    /// null when the target is not a process of this host, or was not found
    pub target: Option<TargetResources>,
    /// additive: CPU of the targets of the run's other destinations, percent of a core; absent where there are none, or where
    /// that of one is not known
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_targets_cpu_percent_mean: Option<f64>,
    pub host: HostResources,
}

/// This process.
#[apply(record)]
#[derive(Default)]
pub struct ClientResources {
    pub cpu_percent_mean: Option<f64>,
    pub cpu_percent_max: Option<f64>,
    pub rss_bytes_max: Option<u64>,
    pub threads: Vec<ThreadRow>,
    /// additive: seconds in which a worker ran 90 % of the time (waiting for a core excluded), or waited for events for no
    /// more than 10 % of it, while the target's busiest thread had 10 % idle or could not be read
    pub saturated_seconds: Option<u32>,
    /// additive: seconds that were measured for it
    pub measured_seconds: u32,
    /// additive: how late a due request was written although a connection was free, 99th percentile; null in a
    /// closed loop
    pub lateness_p99_ms: Option<f64>,
    /// additive: due requests that were written more than 10 ms late although a connection was free
    #[serde(default)]
    pub late_requests: u64,
    /// additive: the load thread that ran most: its time on a core as a share of the run, 0 to 1
    #[serde(default)]
    pub busiest_thread: Option<f64>,
    /// additive: cores to which some of its threads are confined
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cores: Vec<CoreUse>,
    /// additive: stretches in which no thread of this program ran (stopped, no CPU at all, swapped out), 0.2 s
    /// and more each; absent where they were not recorded
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalls: Option<Vec<Stretch>>,
    /// additive: what a CPU quota did to this program; absent where none is in force or it cannot be read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttling: Option<Throttling>,
}

/// What the threads that may run on one core alone used of it (CPU affinity).
#[apply(record)]
#[derive(Copy)]
pub struct CoreUse {
    pub core: u32,
    pub cpu_s: f64,
}

/// One thread of this process over the run.
#[apply(record)]
pub struct ThreadRow {
    pub name: String,
    pub cpu_s: f64,
    /// additive: runnable, but waiting for a core
    pub wait_s: f64,
}

/// The process that listens at the target, its children included.
#[apply(record)]
#[derive(Default)]
pub struct TargetResources {
    pub pid: u32,
    pub name: String,
    pub cpu_percent_mean: Option<f64>,
    pub cpu_percent_max: Option<f64>,
    pub rss_bytes_max: Option<u64>,
    /// additive: threads at the end of the run, children included
    pub threads: Option<u32>,
    /// additive: mean share of one core of its busiest thread, 0..100; null when not readable
    pub busiest_thread_percent: Option<f64>,
    /// additive: stretches in which its process was stopped (state T or t), as the observer saw it; absent where not read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Vec<Stretch>>,
    /// additive: how its process had ended when the run was over; absent while it ran, and where that cannot be seen
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// additive: cores that its processes may run on (CPU affinity); absent where it cannot be read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores_allowed: Option<u32>,
    /// additive: whether the client may run on these cores only, and so takes CPU from it; absent where it cannot be read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares_cores_with_client: Option<bool>,
    /// additive: a sockbench server that polls all the time (`--busy-poll`, by its command line): its CPU is no work
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub busy_poll: bool,
    /// additive: cores to which some of its threads are confined
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cores: Vec<CoreUse>,
    /// additive: what a CPU quota did to it; absent where none is in force or it cannot be read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttling: Option<Throttling>,
}

impl TargetResources {
    /// CPU that means work, mean percent of a core: none of a target that polls all the time, and where it was not read.
    pub fn worked_percent(&self) -> Option<f64> {
        self.cpu_percent_mean.filter(|_| !self.busy_poll)
    }
}

/// The whole machine.
#[apply(record)]
#[derive(Default)]
pub struct HostResources {
    pub cpu_percent_mean: Option<f64>,
    pub memory_percent_max: Option<f64>,
}
