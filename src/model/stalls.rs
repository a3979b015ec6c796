//! What stalled in a run: requests without an answer, stretches without any answer, a program that did not run, a CPU quota.
//! Re-exported by [`result`](super::result), whose document these are part of.
#![allow(missing_docs, reason = "additive keys; unit in the suffix")]

/// Requests that were in flight when the run ended.
#[apply(sparse)]
#[derive(Copy, Default)]
pub struct InFlight {
    /// all of them, each on its own connection
    pub count: u64,
    /// of these: no connection was established yet
    pub connecting: u64,
    /// of these: the request was sent, and no byte of an answer came
    pub waiting: u64,
    /// of these: part of an answer came
    pub receiving: u64,
    /// connections whose request had been sent and had waited, since it was sent, longer than the slowest answered request
    /// took; all that were sent where nothing was answered
    pub overdue: u64,
    /// of the overdue ones: on a connection that has carried no answer so far
    #[serde(default)]
    pub unserved: u64,
    /// connections open at the end that have carried an answer
    #[serde(default)]
    pub served: u64,
    /// longest wait of the sent ones, since they were sent
    pub waited_max_ms: f64,
    /// from the run's start until the oldest of the sent ones was sent; absent where none was sent
    pub oldest_sent_s: Option<f64>,
}

/// The end of a run: whether the target was still there.
#[apply(sparse)]
#[derive(Copy, Default)]
pub struct AfterLastAnswer {
    /// when the last answer ended, one that failed included
    pub last_answer_s: f64,
    /// connections refused after it (from the next 20 ms on)
    pub refused: u64,
    /// when the first of them was; absent where none was
    pub first_refused_s: Option<f64>,
    /// and the last
    pub last_refused_s: Option<f64>,
    /// connections that were open when the run ended
    pub open_connections: u64,
}

/// A stretch of the run, from its start.
#[apply(record)]
#[derive(Copy, Default)]
pub struct Stretch {
    pub from_s: f64,
    pub to_s: f64,
}

impl Stretch {
    /// Its length; zero where it ends before it begins.
    pub fn length_s(&self) -> f64 {
        (self.to_s - self.from_s).max(0.0)
    }

    /// Seconds that both share.
    pub fn shared_s(&self, other: &Self) -> f64 {
        (self.to_s.min(other.to_s) - self.from_s.max(other.from_s)).max(0.0)
    }
}

/// A stretch in which no answer ended although requests were in flight all the while.
#[apply(record)]
#[derive(Copy, Default)]
pub struct Silence {
    #[serde(flatten)]
    pub stretch: Stretch,
    /// requests in flight at its end, before the answer that ended it
    pub in_flight: u32,
}

/// What a CPU quota (cgroup v2 `cpu.max`) did to a process during the run: `cpu.stat` at the end minus at the start.
#[apply(record)]
#[derive(Copy, Default)]
pub struct Throttling {
    /// cores that the quota allows: quota / period of the tightest group
    pub quota_cores: f64,
    /// periods that were counted (`nr_periods`)
    pub periods: u64,
    /// of these: the group was stopped before their end (`nr_throttled`)
    pub throttled_periods: u64,
    /// time for which it was stopped (`throttled_usec`)
    pub throttled_s: f64,
}
