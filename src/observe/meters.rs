//! CPU and memory between two looks: this process with its threads, and the target's processes with theirs.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::threads::{Newcomer, SHARE_SPAN_MIN, Shares, Threads};
use super::throttle::{QuotaMeter, StopWatch};
use crate::model::facts::Fact;
use crate::model::server_flags::asks_to_poll;
use crate::model::time::Stamp;
use crate::sys::owner::{OwnerError, find_owner};
use crate::sys::{process, thread};

/// Share of a core that the search for new children of the target may take: it costs about 20 us a process of the host.
const TREE_SHARE: f64 = 0.002;

/// One process (or tree) over one interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    /// 100 is one core
    pub(super) cpu_percent: f64,
    pub(super) rss_bytes: u64,
    /// of the client's load workers, or of all the target's threads; none when not readable
    pub(super) threads: Option<Shares>,
}

/// Mean, highest and memory of a sequence of [`Usage`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UsageSum {
    cpu_s: f64,
    span_s: f64,
    pub(super) cpu_percent_max: Option<f64>,
    pub(super) rss_bytes_max: Option<u64>,
}

impl UsageSum {
    pub(super) fn add(&mut self, usage: &Usage, span: Duration) {
        let span_s = span.as_secs_f64();
        self.cpu_s += usage.cpu_percent / 100.0 * span_s;
        self.span_s += span_s;
        if span >= SHARE_SPAN_MIN {
            self.cpu_percent_max = Some(self.cpu_percent_max.unwrap_or(0.0).max(usage.cpu_percent));
        }
        self.rss_bytes_max = Some(self.rss_bytes_max.unwrap_or(0).max(usage.rss_bytes));
    }

    /// None over a time that is too short for a share of it.
    pub(super) fn cpu_percent_mean(&self) -> Option<f64> {
        (self.span_s >= SHARE_SPAN_MIN.as_secs_f64()).then(|| self.cpu_s / self.span_s * 100.0)
    }
}

/// This process.
#[derive(Debug)]
pub(super) struct ClientMeter {
    pub(super) threads: Threads,
    /// why thread times could not be read
    pub(super) threads_error: Option<String>,
    cpu_s: Option<f64>,
    at: Stamp,
    pub(super) quota: QuotaMeter,
    pub(super) summary: UsageSum,
}

impl ClientMeter {
    pub(super) fn start(now: Stamp) -> Self {
        let cpu_s = process::read_usage(std::process::id()).ok().map(|u| u.cpu_s);
        let quota = QuotaMeter::start(std::process::id());
        let mut meter =
            Self { threads: Threads::default(), threads_error: None, cpu_s, at: now, quota, summary: UsageSum::default() };
        meter.watch_threads(now);
        meter
    }

    /// Notes the CPU time of the threads, so that one that ends soon is not lost. Cheap: a few files.
    pub(super) fn watch_threads(&mut self, now: Stamp) {
        self.threads_error = self.threads.read(&[std::process::id()], now, Newcomer::Born).err();
    }

    /// Usage since the last call; `threads` are the load workers.
    pub(super) fn read(&mut self, now: Stamp) -> Fact<Usage> {
        self.watch_threads(now);
        let span = now.since(self.at);
        if span.is_zero() {
            return Fact::missing("own process: no time since the last reading");
        }
        let usage = match process::read_usage(std::process::id()) {
            Ok(usage) => usage,
            Err(e) => return Fact::missing(format!("own process: {e}")),
        };
        let Some(before) = self.cpu_s.replace(usage.cpu_s) else {
            self.at = now;
            return Fact::missing("own process: no reading at the start");
        };
        let threads = match self.threads_error {
            None => self.threads.shares(|name| name.starts_with(super::WORKER_PREFIX)),
            Some(_) => None,
        };
        self.threads.mark(now);
        self.at = now;
        let cpu_percent = (usage.cpu_s - before) / span.as_secs_f64() * 100.0;
        let usage = Usage { cpu_percent, rss_bytes: usage.rss_bytes, threads };
        self.summary.add(&usage, span);
        Fact::Known(usage)
    }
}

/// Why there is no process to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoTarget {
    /// nothing listens there; look again
    NotYet(String),
    /// looking again would give the same
    Never(String),
}

impl NoTarget {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::NotYet(why) | Self::Never(why) => why,
        }
    }
}

/// Where the target may run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    /// cores of its CPU affinity
    pub(super) allowed: u32,
    /// the client may run on these cores only
    pub(super) shared_with_client: bool,
}

impl Cores {
    /// Of all these processes together; none where one of them, or the client, cannot be read.
    fn read(pids: &[u32]) -> Option<Self> {
        let mut allowed = HashSet::new();
        for pid in pids {
            allowed.extend(process::read_cores_allowed(*pid).ok()?);
        }
        let client = process::read_cores_allowed(std::process::id()).ok()?;
        let count = u32::try_from(allowed.len()).ok().filter(|n| *n > 0)?;
        Some(Self { allowed: count, shared_with_client: client.is_subset(&allowed) })
    }
}

/// The target's processes.
#[derive(Debug)]
pub(super) struct TargetMeter {
    pub(super) pid: u32,
    pub(super) name: String,
    /// a sockbench server with `--busy-poll`
    pub(super) polls: bool,
    roots: Vec<u32>,
    /// its processes at the last look
    pub(super) tree: Vec<u32>,
    tree_at: Stamp,
    tree_cost_s: f64,
    cpu_s: HashMap<u32, f64>,
    pub(super) threads: Threads,
    started: Stamp,
    at: Stamp,
    pub(super) quota: QuotaMeter,
    /// seen stopped, by the looks of [`Self::watch_stops`]
    pub(super) stops: StopWatch,
    /// those that its processes may run on; none where it cannot be read
    pub(super) cores: Option<Cores>,
    pub(super) summary: UsageSum,
}

impl TargetMeter {
    /// The process that listens on `addr` and its children, or `pid` where it is known.
    ///
    /// Errors: why there is nothing to measure.
    pub(super) fn find(addr: SocketAddr, pid: Option<u32>, now: Stamp) -> Result<Self, NoTarget> {
        let (roots, name) = if let Some(pid) = pid {
            (vec![pid], process::read_name(pid).map_err(|e| NoTarget::Never(format!("target process {pid}: {e}")))?)
        } else {
            let owner = find_owner(addr).map_err(|e| match e {
                OwnerError::NotListening(_) => NoTarget::NotYet(e.to_string()),
                _ => NoTarget::Never(e.to_string()),
            })?;
            (owner.roots, owner.name)
        };
        let Some(first) = roots.first().copied() else { return Err(NoTarget::Never("the listener has no owner".into())) };
        if roots.contains(&std::process::id()) {
            return Err(NoTarget::Never("the target is in this very process".into()));
        }
        let mut meter = Self {
            pid: first,
            polls: name == "sockbench" && process::read_words(first).is_ok_and(|words| asks_to_poll(&words)),
            name,
            tree: roots.clone(),
            roots,
            tree_at: now,
            tree_cost_s: 0.0,
            cpu_s: HashMap::new(),
            threads: Threads::default(),
            started: now,
            at: now,
            quota: QuotaMeter::start(first),
            stops: StopWatch::default(),
            cores: None,
            summary: UsageSum::default(),
        };
        meter.refresh_tree(now);
        meter.cores = Cores::read(&meter.tree);
        for pid in &meter.tree {
            if let Ok(usage) = process::read_usage(*pid) {
                meter.cpu_s.insert(*pid, usage.cpu_s);
            }
        }
        // Not readable is no failure: the process figures remain, the busiest thread is unknown.
        let _ = meter.threads.read(&meter.tree, now, Newcomer::Unseen);
        Ok(meter)
    }

    fn refresh_tree(&mut self, now: Stamp) {
        self.tree_at = now;
        let (tree, cost_s) = thread::with_cost(|| process::read_tree_of_others(&self.roots));
        self.tree = tree.unwrap_or_else(|_| std::mem::take(&mut self.tree));
        self.tree_cost_s = cost_s;
    }

    /// Usage since the last call, all processes together.
    pub(super) fn read(&mut self, now: Stamp) -> Fact<Usage> {
        // With the tree of the last look in hand, whoever is new was born since; with an older one it is not known.
        let newcomer = if self.tree_at == self.at { Newcomer::Born } else { Newcomer::Unseen };
        if now.since(self.tree_at) >= Duration::from_secs_f64(self.tree_cost_s / TREE_SHARE) {
            self.refresh_tree(now);
        }
        self.read_as(now, newcomer)
    }

    /// The same of these processes, whoever their parents are; those that are new were born since the last call.
    pub(super) fn read_of(&mut self, tree: Vec<u32>, now: Stamp) -> Fact<Usage> {
        self.tree = tree;
        self.read_as(now, Newcomer::Born)
    }

    fn read_as(&mut self, now: Stamp, newcomer: Newcomer) -> Fact<Usage> {
        let span = now.since(self.at);
        // Found at this very look, because it started later than the run: nothing to compare with yet.
        if span.is_zero() {
            return Fact::missing(format!("the target process {} was found in this second", self.pid));
        }
        let (mut cpu_s, mut rss_bytes, mut alive) = (0.0, 0, 0);
        let mut refused = None;
        for pid in &self.tree {
            let usage = match process::read_usage(*pid) {
                // One that ended but was not waited for yet has no memory left.
                Ok(usage) if usage.rss_bytes > 0 => usage,
                Ok(_) => continue,
                Err(e) => {
                    // A process that ended differs from one that cannot be read (no descriptor left, another user's).
                    refused = refused.or((!process::is_gone(&e)).then_some(e));
                    continue;
                }
            };
            cpu_s += usage.cpu_s - self.cpu_s.insert(*pid, usage.cpu_s).unwrap_or_else(|| newcomer.baseline(usage.cpu_s));
            rss_bytes += usage.rss_bytes;
            alive += 1;
        }
        self.at = now;
        // A pid that comes again is another process.
        let tree = &self.tree;
        self.cpu_s.retain(|pid, _| tree.contains(pid));
        if let (0, Some(e)) = (alive, refused) {
            return Fact::missing(format!("the target process {}: {e}", self.pid));
        }
        if alive == 0 {
            return Fact::missing(format!("the target process {} ended", self.pid));
        }
        let threads = self.threads.read(&self.tree, now, newcomer).ok().and_then(|()| self.threads.shares(|_| true));
        self.threads.mark(now);
        self.threads.retire_dead();
        let usage = Usage { cpu_percent: cpu_s / span.as_secs_f64() * 100.0, rss_bytes, threads };
        self.summary.add(&usage, span);
        Fact::Known(usage)
    }

    /// Notes whether the process is stopped (SIGSTOP, a debugger). Cheap: one file.
    pub(super) fn watch_stops(&mut self, now: Stamp) {
        if let Ok(is_stopped) = process::read_is_stopped(self.pid) {
            self.stops.on_look(now, is_stopped);
        }
    }

    /// Threads alive at the last look; none when unreadable.
    pub(super) fn thread_count(&self) -> Option<u32> {
        Some(self.threads.alive()).filter(|n| *n > 0)
    }

    /// Mean share of one core of the busiest thread over the whole observation, percent.
    pub(super) fn busiest_percent(&self) -> Option<f64> {
        let span_s = self.at.since(self.started).as_secs_f64();
        (span_s >= SHARE_SPAN_MIN.as_secs_f64()).then_some(())?;
        self.threads.busiest_cpu_s().map(|cpu_s| cpu_s / span_s * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::{Clock, sleep};

    #[test]
    fn a_busy_worker_thread_is_seen_as_busy() {
        let clock = Clock::start();
        let started = clock.now();
        let mut meter = ClientMeter::start(started);
        let (done, is_done) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        // It takes 250 ms of CPU, however long this machine makes it wait for them.
        let burn = move || {
            while thread::cpu_time().unwrap() < Duration::from_millis(250) {}
            done.send(()).unwrap();
            let _ = ended.recv();
        };
        let thread = std::thread::Builder::new().name("load-0".into()).spawn(burn).unwrap();
        is_done.recv().unwrap();
        let now = clock.now();
        let usage = *meter.read(now).known().unwrap();
        let span_s = now.since(started).as_secs_f64();
        assert!(usage.cpu_percent / 100.0 * span_s > 0.24, "{usage:?} in {span_s} s");
        assert!(usage.threads.unwrap().ran * span_s > 0.24, "{usage:?} in {span_s} s");
        let rows = meter.threads.rows();
        assert!(rows.iter().any(|r| r.name == "load-0" && r.cpu_s > 0.24), "{rows:?}");
        drop(end);
        thread.join().unwrap();
    }

    #[test]
    fn a_target_is_measured_with_its_children() {
        let clock = Clock::start();
        let mut shell = std::process::Command::new("sh")
            // Five seconds of CPU at most, whatever becomes of this test.
            .args(["-c", "sh -c 'ulimit -t 5; while :; do :; done' & trap 'kill $!' TERM; wait"])
            .spawn()
            .unwrap();
        wait_until(clock, "its child runs", || process::read_tree(&[shell.id()]).is_ok_and(|tree| tree.len() == 2));
        let mut meter = TargetMeter::find("127.0.0.1:1".parse().unwrap(), Some(shell.id()), clock.now()).unwrap();
        let mut usage = None;
        wait_until(clock, "it was seen to use CPU", || {
            // Shares of threads need an interval that is long enough to divide by.
            sleep(Duration::from_millis(250));
            usage = meter.read(clock.now()).known().copied();
            usage.is_some_and(|u| u.cpu_percent > 0.0 && u.threads.is_some_and(|t| t.ran > 0.0))
        });
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(shell.id().cast_signed()), nix::sys::signal::Signal::SIGTERM).unwrap();
        shell.wait().unwrap();
        assert!(usage.unwrap().rss_bytes > 0, "{usage:?}");
        assert!(meter.busiest_percent().unwrap() > 0.0);
        assert_eq!(meter.thread_count(), Some(2));
        wait_until(clock, "it is read no more after its end", || meter.read(clock.now()).known().is_none());
    }

    fn wait_until(clock: Clock, what: &str, mut holds: impl FnMut() -> bool) {
        let end = clock.now().plus(Duration::from_secs(20));
        while !holds() {
            assert!(clock.now() < end, "not within 20 s: {what}");
            sleep(Duration::from_millis(5));
        }
    }

    /// A target that starts later than the run is found by a look, which reads it at once.
    #[test]
    fn a_reading_without_time_before_it_is_missing() {
        let now = Clock::start().now();
        let mut sleeper = std::process::Command::new("sleep").arg("20").spawn().unwrap();
        let mut target = TargetMeter::find("127.0.0.1:1".parse().unwrap(), Some(sleeper.id()), now).unwrap();
        assert!(target.read(now).reason().is_some());
        assert_eq!(target.summary.cpu_percent_mean(), None, "nothing was measured");
        assert!(ClientMeter::start(now).read(now).reason().is_some());
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }

    /// Ten milliseconds of CPU in three of time are no share.
    #[test]
    fn a_share_of_too_short_a_time_is_none() {
        let usage = |cpu_percent| Usage { cpu_percent, rss_bytes: 7, threads: None };
        let mut sum = UsageSum::default();
        sum.add(&usage(121.0), Duration::from_millis(3));
        assert_eq!((sum.cpu_percent_mean(), sum.cpu_percent_max, sum.rss_bytes_max), (None, None, Some(7)));
        sum.add(&usage(50.0), Duration::from_millis(997));
        assert_eq!(sum.cpu_percent_max, Some(50.0));
        assert!(sum.cpu_percent_mean().is_some_and(|mean| (50.0..51.0).contains(&mean)));
    }

    #[test]
    fn this_process_is_never_its_own_target() {
        let l = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let e = TargetMeter::find(l.local_addr().unwrap(), None, Stamp::ZERO).unwrap_err();
        assert_eq!(e, NoTarget::Never("the target is in this very process".into()));
    }
}
