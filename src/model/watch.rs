//! What was seen of a command that somebody else wrote: schema `sockbench-watch/1`. Verdict, findings, `undecided` and
//! `unavailable` are those of a run.

use super::address::Address;
use super::document::{self, Unavailable};
use super::explanation::Reading;
use super::facts::KernelCounters;
use super::finding::{Finding, FindingId, Undecided};
use super::port_count::StateCounts;
use super::result::{Host, Throttling, Tool, Verdict};

/// The schema of [`WatchReport`].
pub const WATCH_SCHEMA: &str = "sockbench-watch/1";

/// Findings about answers and times, which only a program's own client has: watching leaves them undecided.
pub const OF_A_CLIENT_ALONE: [FindingId; 6] = [
    FindingId::TargetHangs,
    FindingId::TargetMalformed,
    FindingId::PortSearchSlow,
    FindingId::UsersNotReached,
    FindingId::TargetStalled,
    FindingId::TargetQueueing,
];

/// One watched command.
#[apply(record)]
#[derive(Default)]
pub struct WatchReport {
    /// [`WATCH_SCHEMA`]
    pub schema: String,
    /// this program
    pub tool: Tool,
    /// this program's own command line
    pub command: String,
    /// RFC 3339, UTC
    pub started_at: String,
    /// how long it was watched
    pub duration_s: f64,
    /// what was watched
    pub watched: Watched,
    /// this machine, and the settings that forecasts rest on
    pub host: Host,
    /// the answer in one sentence
    pub verdict: Verdict,
    /// as of a run
    pub findings: Vec<Finding>,
    /// findings that watching alone cannot decide, and what was missing
    pub undecided: Vec<Undecided>,
    /// destinations of the command, the most ports first
    pub destinations: Vec<Destination>,
    /// destinations of other programs in this network namespace with new connections meanwhile
    pub other_destinations: u32,
    /// additive: of these, those with the most connections that ended meanwhile; absent where there are none
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unowned: Vec<Unowned>,
    /// kernel counters added meanwhile, the whole network namespace
    pub kernel: Option<KernelCounters>,
    /// the command's processes
    pub processes: Processes,
    /// CPU of the whole machine, percent of all cores
    pub host_cpu_percent_mean: Option<f64>,
    /// what the command printed
    pub output: Output,
    /// settings that changed meanwhile
    pub settings_changed: Vec<SettingChange>,
    /// what was said while it ran, with the time
    pub outlooks: Vec<Outlook>,
    /// a row for each look that could read the sockets
    pub looks: Vec<LookRow>,
    /// every null in this document has its row here
    pub unavailable: Vec<Unavailable>,
}

/// What was watched.
#[apply(record)]
#[derive(Default)]
pub struct Watched {
    /// the command with its arguments, or the name of the process
    pub words: Vec<String>,
    /// its process id
    pub pid: u32,
    /// a load generator or library that was recognised; null for another program
    pub program: Option<String>,
    /// its exit code; null where a signal ended it, or it still ran
    pub exit_code: Option<i32>,
    /// the signal that ended it; null where none did
    pub signal: Option<i32>,
    /// additive: it did not run any more at the end, however it ended; absent in earlier documents
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<bool>,
    /// somebody ended the watch, or its time was over: how the command ended says nothing then
    pub stopped: bool,
    /// additive: it ran in a private network namespace
    #[serde(default)]
    pub sandbox: bool,
}

/// Ports from one source address to one destination of the command.
#[apply(record)]
#[allow(clippy::struct_field_names, reason = "a key of the document, as in sockbench-ports/1")]
pub struct Destination {
    /// local address
    pub source: String,
    /// peer address and port
    #[cfg_attr(test, schemars(with = "String"))]
    pub destination: Address,
    /// how it is known to be the command's
    pub by: Attribution,
    /// P
    pub pool: Option<u32>,
    /// T for a client that closes first, seconds
    pub hold_s: Option<f64>,
    /// the rule that gives T
    pub hold_why: String,
    /// P/T
    pub ceiling_cps: Option<f64>,
    /// ports in use before it was watched: an earlier run's, or another program's
    pub used_before: u32,
    /// most ports in use at a look
    pub peak_used: u32,
    /// and as a share of the pool
    pub peak_share: Option<f64>,
    /// when that was
    pub peak_at_s: f64,
    /// the sockets by state at that time
    pub states: StateCounts,
    /// connections that entered TIME_WAIT on this side meanwhile: the client closed first
    pub closed_by_client: u64,
    /// and on the destination's side, where it is on this host: the server closed first
    pub closed_by_server: u64,
    /// additive: connections that were made, by the kernel's counter; absent where others share the network namespace, or the
    /// command has several destinations: then there are at least as many as were seen to end
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<u64>,
    /// most connections that were open at once
    pub open_max: u32,
    /// additive: most connections at a look whose SYN had been sent again: no answer for a second and more; absent where there were none
    #[serde(default, skip_serializing_if = "document::is_default")]
    pub unanswered_max: u32,
    /// most connections per second: those that were made, or that were seen to end, over two seconds
    pub peak_cps: f64,
    /// additive: the seconds that `peak_cps` was counted over, less than two in a short watch; absent where there was no rate
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_over_s: Option<f64>,
    /// from when to when every port was in use; null where that was not seen
    pub full_s: Option<[f64; 2]>,
    /// of that time, how long no connection began while the command ran
    pub stuck_s: f64,
    /// the process that listens there; null where it is not on this host or not visible
    pub server: Option<Server>,
}

/// Connections to one destination that ended meanwhile, and whose owner no look saw: the command's, or another program's.
#[apply(record)]
pub struct Unowned {
    /// local address
    pub source: String,
    /// peer address and port
    pub destination: String,
    /// connections that entered TIME_WAIT on this side: the client closed first
    pub closed_by_client: u64,
    /// and on the destination's side, where it is on this host: at least so many, those that a look saw
    pub closed_by_server: u64,
}

/// How a destination is known to be the command's.
#[apply(kebab_case)]
pub enum Attribution {
    /// a process of the command had an open socket to it
    Socket,
    /// the command's arguments or its output name it
    Named,
    /// new connections to it began while the command ran, and nothing more is known
    Time,
}

/// A process that listens at a destination on this host.
#[apply(record)]
pub struct Server {
    /// process id
    pub pid: u32,
    /// its name
    pub name: String,
    /// with its children, 100 is one core; null where it was not seen over an interval
    pub cpu_percent_mean: Option<f64>,
    /// share of a core that its busiest thread ran, mean, threads of a Python or Ruby process as in `processes`; null where that is
    /// not readable
    pub busiest_thread_percent: Option<f64>,
    /// share of the time that this thread waited for a core, mean, 0 where several count as one; null where that is not readable
    pub thread_waited_percent: Option<f64>,
    /// most connections that waited for accept() at a look
    pub queue_max: u32,
    /// as many may wait
    pub queue_limit: u32,
    /// most of its connections in CLOSE_WAIT: the client has closed, the server has not
    pub close_wait_max: u32,
    /// most descriptors open; null where it belongs to another user
    pub descriptors_max: Option<u32>,
    /// its limit of descriptors; null where there is none or it is not readable
    pub descriptor_limit: Option<u64>,
    /// whether something still listened at the last look
    pub listens_at_end: bool,
    /// additive: the first and the last look at which something listened, seconds from the start; absent in earlier documents
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listened_s: Option<[f64; 2]>,
    /// additive: connects that failed in this network namespace before that, after it, by the kernel's counter: a listener refuses
    /// nobody; absent where the counters could not be read
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_outside: Option<[u64; 2]>,
}

/// The command's processes, those excepted that listen at one of its destinations.
#[apply(record)]
#[derive(Default)]
pub struct Processes {
    /// most that lived at once
    pub count_max: u32,
    /// all of them, 100 is one core; null where it ended before it could be measured
    pub cpu_percent_mean: Option<f64>,
    /// the thread that ran most: its mean share of a core; all threads of a Python or Ruby process count as one, which runs one at a
    /// time, until they ran more than a core between two looks: code in C had released the lock
    pub busiest_thread_percent: Option<f64>,
    /// the longest wait for a core of a thread: its mean share of the time
    pub waited_percent_mean: Option<f64>,
    /// looks at which a thread ran 90 % of the time since the last one
    pub busy_looks: u32,
    /// additive: looks at which the busiest thread ran, or waited for a core that others had, for 90 % of that time, and ran for half of
    /// it at least; absent: 0
    #[serde(default, skip_serializing_if = "document::is_default")]
    pub no_room_looks: u32,
    /// looks at which a thread waited for a core for more than 10 % of the time
    pub waiting_looks: u32,
    /// looks that could be measured
    pub measured_looks: u32,
    /// most resident memory
    pub rss_bytes_max: Option<u64>,
    /// most descriptors of one process
    pub descriptors_max: Option<u32>,
    /// the limit of that process; null where there is none
    pub descriptor_limit: Option<u64>,
    /// what a CPU quota did; absent where none is in force
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttling: Option<Throttling>,
    /// processes that were still running at the end
    pub left: u32,
}

/// What the command printed.
#[apply(sparse)]
#[derive(Default)]
pub struct Output {
    /// whether it was read
    pub read: bool,
    /// lines about failed connections by kind, as `explain` reads them
    pub readings: Vec<Reading>,
    /// answers with a bad status, where the output counts them
    pub bad_answers: u64,
    /// additive: all answers, where the output counts them; absent where it does not
    pub answers: Option<u64>,
    /// additive: whether any request was answered, where the output counts that; absent where it does not
    pub answered: Option<bool>,
    /// additive: the status of the bad ones, where all have the same one that the output names; absent otherwise
    pub bad_status: Option<u16>,
    /// additive: the command printed its usage; absent where it did not
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub usage: bool,
}

/// A setting that changed.
#[apply(record)]
pub struct SettingChange {
    /// `net.ipv4.tcp_tw_reuse`
    pub key: String,
    /// before
    pub from: String,
    /// after
    pub to: String,
    /// the look that saw it
    pub at_s: f64,
}

/// A line about what is to come.
#[apply(sparse)]
pub struct Outlook {
    /// when it was said
    pub at_s: f64,
    /// towards which destination
    pub destination: String,
    /// earliest time at which the pool is full, from the start; absent where it does not fill
    pub full_from_s: Option<f64>,
    /// and the latest
    pub full_to_s: Option<f64>,
    /// the line
    pub text: String,
}

/// One look. Ports are those to the destination with the largest share of its pool in use.
#[apply(record)]
#[derive(Copy, Default)]
pub struct LookRow {
    /// when
    pub t_s: f64,
    /// ports in use
    pub ports_used: u32,
    /// connections that ended since the last look, either side first
    pub ended: u32,
    /// sockets that are open
    pub open: u32,
    /// the command's CPU since the last look, 100 is one core; 0 where it was not measured
    pub cpu_percent: f64,
}

/// The connections of a command, as far as looks show them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Connections {
    /// how many were made
    pub made: u64,
    /// there may be more: the kernel's count is not of the command alone, and a connection that ends between two looks is seen
    /// by none of them
    pub is_least: bool,
    /// per second of the watch
    pub per_s: f64,
    /// how long one was open
    pub open: OpenFor,
}

/// How long a connection was open, as far as looks show it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OpenFor {
    /// mean, seconds: what looks saw open, over all that were made (Little's law); at least a few times that between two looks
    Mean(f64),
    /// less than the time between two looks: they saw few of many
    LessThanALook,
    /// looks saw too few connections, or came too rarely, or it is not known how many were made
    Unknown,
}

/// Open connections that looks must have seen, each at each look, before a mean of their lifetime holds. Of as many that
/// were made and not seen so often, the mean is less than the time between two looks.
const SIGHTINGS: u32 = 5;
/// A mean of lifetimes is off by the time between two looks at most: it must be so many times as long. And a watch must be so
/// many times as long as that before connections that came and went have a mean.
const LOOKS_OF_A_MEAN: f64 = 3.0;
const LOOKS_OF_A_WATCH: f64 = 10.0;

impl WatchReport {
    /// Connections made and how long they were open; none where none was made, or no look was measured.
    pub fn connections(&self) -> Option<Connections> {
        let last = self.looks.last()?;
        let closed = |d: &Destination| d.closed_by_client.saturating_add(d.closed_by_server);
        let by_kernel: Option<u64> = self.destinations.iter().map(|d| d.made).sum();
        let seen = self.destinations.iter().map(closed).sum::<u64>().saturating_add(u64::from(last.open));
        // Those that were open at once are as many connections, whatever a look missed of their ends.
        let at_once = self.destinations.iter().map(|d| u64::from(d.open_max)).sum::<u64>();
        let made = by_kernel.unwrap_or(0).max(seen).max(at_once);
        // Of those that the kernel counted for everybody, the command's are a part.
        let of_all = self.kernel.map(|k| k.opened_actively());
        let is_least = by_kernel.is_none() && of_all.is_none_or(|all| all > made);
        let (mut from_s, mut open_s, mut between_s) = (0.0, 0.0, 0.0_f64);
        for look in &self.looks {
            let span_s = (look.t_s - from_s).max(0.0);
            open_s += f64::from(look.open) * span_s;
            between_s = between_s.max(span_s);
            from_s = look.t_s;
        }
        let mean_s = (open_s / made as f64).min(self.duration_s);
        // The command may not have begun at the first looks, and has ended at the last one.
        let within = self.looks.iter().filter(|look| look.t_s >= between_s && look.t_s < last.t_s);
        let is_whole = made == at_once && within.clone().count() > 0 && within.clone().all(|look| u64::from(look.open) == made);
        let is_long = mean_s >= LOOKS_OF_A_MEAN * between_s && self.duration_s >= LOOKS_OF_A_WATCH * between_s;
        let sightings = self.looks.iter().map(|look| look.open).fold(0, u32::saturating_add);
        (made > 0 && self.duration_s > 0.0).then(|| Connections {
            made,
            is_least,
            per_s: made as f64 / self.duration_s,
            open: match sightings {
                SIGHTINGS.. if !is_least && is_whole => OpenFor::Mean(self.duration_s),
                SIGHTINGS.. if !is_least && is_long => OpenFor::Mean(mean_s),
                SIGHTINGS.. => OpenFor::Unknown,
                _ if made >= u64::from(SIGHTINGS) && self.looks.len() > 1 => OpenFor::LessThanALook,
                _ => OpenFor::Unknown,
            },
        })
    }

    /// Adds a row to `unavailable`; the first reason for a key stays.
    pub fn explain_null(&mut self, key: &str, reason: impl Into<String>) {
        document::explain(&mut self.unavailable, key, reason);
    }

    /// Keys that are null and have no row in `unavailable`.
    pub fn unexplained_nulls(&self) -> Vec<String> {
        document::unexplained(self, &self.unavailable)
    }
}
