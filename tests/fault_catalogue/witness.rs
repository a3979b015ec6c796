//! What is seen of a row by something that is no part of the client: whether this machine let the run be what it should be,
//! the kernel's counters, and what the target counted. [`evidence`] compares it with what was found.

mod evidence;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use procfs::CurrentSI as _;
use serde::{Deserialize, Serialize};

use crate::ledger::{self, Ledger};

pub(crate) use evidence::of;

/// What the witness saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// how late a thread woke up that wants to wake up every millisecond, 99th percentile
    pub(crate) late_ms: f64,
    /// and the latest
    pub(crate) late_max_ms: f64,
    /// CPU that neither this process nor its children took, percent of a core
    pub(crate) others_percent: f64,
    /// CPU of the children that have ended, the client among them, percent of a core
    pub(crate) children_percent: f64,
    /// counters of /proc/net/snmp (Tcp) and /proc/net/netstat (TcpExt) of this namespace, added during the row
    pub(crate) kernel: BTreeMap<String, u64>,
    /// sockets in TIME_WAIT at the end (/proc/net/sockstat)
    pub(crate) time_wait: u64,
    /// net.ipv4.ip_local_port_range differs from the start
    pub(crate) range_changed: bool,
    /// connections that wait for accept() at the row's listener, median of the row (/proc/net/tcp)
    pub(crate) accept_queue: u64,
    /// what the scripted target counted
    pub(crate) target: Ledger,
    /// processes that /proc showed stopped after a signal
    pub(crate) stopped: u64,
}

impl Seen {
    /// A counter of the kernel.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.kernel.get(name).copied().unwrap_or(0)
    }
}

/// Watches from its start to its end.
pub(crate) struct Witness {
    stop: Arc<AtomicBool>,
    sleeper: Option<JoinHandle<Vec<Duration>>>,
    queue: JoinHandle<Vec<u64>>,
    began: Instant,
    busy_s: f64,
    own_s: f64,
    children_s: f64,
    kernel: BTreeMap<String, u64>,
    range: String,
}

impl Witness {
    /// Without the sleeper where the run needs all of the machine.
    pub(crate) fn start(sleeps: Sleeper) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let sleeper = (sleeps == Sleeper::With).then(|| std::thread::spawn(move || lateness(&ended)));
        let ended = Arc::clone(&stop);
        let queue = std::thread::spawn(move || accept_queues(&ended));
        Self {
            stop,
            sleeper,
            queue,
            began: Instant::now(),
            busy_s: busy_s(),
            own_s: own_s(),
            children_s: cpu_s(UsageWho::RUSAGE_CHILDREN),
            kernel: counters(),
            range: port_range(),
        }
    }

    pub(crate) fn end(self) -> Seen {
        let span_s = self.began.elapsed().as_secs_f64();
        let others_s = (busy_s() - self.busy_s) - (own_s() - self.own_s);
        self.stop.store(true, Ordering::Relaxed);
        let mut late = self.sleeper.map(|thread| thread.join().unwrap()).unwrap_or_default();
        late.sort_unstable();
        let late_ms = late.get(late.len() * 99 / 100).map_or(0.0, |d| d.as_secs_f64() * 1000.0);
        let mut queues = self.queue.join().unwrap();
        queues.sort_unstable();
        let kernel = counters().into_iter().map(|(name, n)| {
            let before = self.kernel.get(&name).copied().unwrap_or(0);
            (name, n.saturating_sub(before))
        });
        Seen {
            late_ms,
            late_max_ms: late.last().map_or(0.0, |d| d.as_secs_f64() * 1000.0),
            others_percent: (others_s / span_s * 100.0).max(0.0),
            children_percent: (cpu_s(UsageWho::RUSAGE_CHILDREN) - self.children_s) / span_s * 100.0,
            kernel: kernel.filter(|(_, n)| *n > 0).collect(),
            time_wait: time_wait(),
            range_changed: port_range() != self.range,
            accept_queue: queues.get(queues.len() / 2).copied().unwrap_or(0),
            target: ledger::read(),
            stopped: STOPPED.load(Ordering::Relaxed),
        }
    }
}

/// Whether a witness has a thread that sleeps and wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleeper {
    With,
    Without,
}

fn lateness(ended: &AtomicBool) -> Vec<Duration> {
    let mut late = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let due = Instant::now() + Duration::from_millis(1);
        std::thread::sleep(Duration::from_millis(1));
        late.push(due.elapsed());
    }
    late
}

/// CPU time of the whole machine since it started.
fn busy_s() -> f64 {
    let t = procfs::KernelStats::current().unwrap().total;
    let ticks = t.user + t.nice + t.system + t.irq.unwrap_or(0) + t.softirq.unwrap_or(0);
    ticks as f64 / procfs::ticks_per_second() as f64
}

/// CPU time of this process and of its children that have ended.
fn own_s() -> f64 {
    cpu_s(UsageWho::RUSAGE_SELF) + cpu_s(UsageWho::RUSAGE_CHILDREN)
}

fn cpu_s(who: UsageWho) -> f64 {
    let usage = getrusage(who).unwrap();
    [usage.user_time(), usage.system_time()].iter().map(|t| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6).sum()
}

/// Five times a second: rx_queue of the listener.
fn accept_queues(ended: &AtomicBool) -> Vec<u64> {
    let port: u16 = crate::rig::LISTEN.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap();
    let local = format!(":{port:04X}");
    let queue = || {
        let text = std::fs::read_to_string("/proc/net/tcp").ok()?;
        let row = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        // sl, local, remote, state (0A is LISTEN), tx:rx
        let mut listening = row.filter(|w| w.len() > 4 && w[1].ends_with(&local) && w[3] == "0A");
        u64::from_str_radix(listening.next()?[4].split(':').nth(1)?, 16).ok()
    };
    let mut seen = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        seen.extend(queue());
        std::thread::sleep(Duration::from_millis(200));
    }
    seen
}

/// Pairs of lines: names, then values, with the same first word.
fn counters() -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (file, word) in [("/proc/net/snmp", "Tcp:"), ("/proc/net/netstat", "TcpExt:")] {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut rows = text.lines().filter(|line| line.starts_with(word)).map(|line| line.split_whitespace().skip(1));
        if let (Some(names), Some(values)) = (rows.next(), rows.next()) {
            all.extend(names.zip(values).filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))));
        }
    }
    all
}

/// `TCP: inuse 5 orphan 0 tw 12 alloc 6 mem 1`
fn time_wait() -> u64 {
    let text = std::fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let mut words = text.split_whitespace().skip_while(|word| *word != "tw");
    words.nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn port_range() -> String {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default()
}

static STOPPED: AtomicU64 = AtomicU64::new(0);

/// A process that was sent a SIGSTOP is looked at until /proc shows it stopped.
pub(crate) fn on_signal(pid: u32, signal: Signal) {
    if signal != Signal::SIGSTOP {
        return;
    }
    let is_stopped =
        || procfs::process::Process::new(pid.cast_signed()).and_then(|p| p.stat()).is_ok_and(|stat| stat.state == 'T');
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        if is_stopped() {
            STOPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
