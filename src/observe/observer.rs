//! The observer's thread: a look at every whole second of the run's clock, cheap counters in between, a sock_diag
//! dump when its cost allows. It never runs on a load thread, and it measures what it costs itself.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::baseline::Baseline;
use super::live::LivePorts;
use super::meters::{ClientMeter, NoTarget, TargetMeter, Usage, UsageSum};
use super::observation::{Observation, ObservedSecond};
use super::socket_count::{self, SocketCounter};
use super::write_result::fill_point;
use super::{THREAD_NAME, baseline};
use crate::model::facts::{Fact, KernelCounters};
use crate::model::figures::{ms, seconds};
use crate::model::port_count::PortCount;
use crate::model::result::TargetResources;
use crate::model::time::Stamp;
use crate::sys::clock::Clock;
use crate::sys::host::HostMeter;
use crate::sys::process::ProcessEnd;
use crate::sys::sock_diag::Family;
use crate::sys::thread::Giving;
use crate::sys::{owner, proc_net, process, socket, thread};

/// Between two cheap looks.
const CHEAP_EVERY: Duration = Duration::from_millis(250);
/// A run that ends sooner is not worth a walk over the descriptors of every process, to find the target's.
const FIND_AFTER: Duration = Duration::from_millis(10);
/// Share of one core that dumps may take when connections are short.
const DUMP_SHARE: f64 = 0.003;
/// The same when connections are kept and the client is busy: nothing much changes then, and the client needs the CPU.
const DUMP_SHARE_KEPT: f64 = 0.0003;
/// A client that used less of a core in the last second has CPU to spare for each dump, percent.
const IDLE_CLIENT_PERCENT: f64 = 25.0;
/// A rest shorter than this joins the second before, as in the series (`stats`).
const LAST_LOOK_MIN: Duration = Duration::from_millis(500);
/// A target that does not listen yet is looked for this often, in seconds.
const FIND_TRIES: u32 = 5;

/// What to observe.
#[derive(Debug, Clone)]
pub struct ObservePlan {
    /// the look before the run
    pub baseline: Baseline,
    /// the target's process, where it is known
    pub target_pid: Option<u32>,
    /// the target is on this host
    pub target_is_local: bool,
}

impl ObservePlan {
    /// Of a run whose baseline was taken.
    pub fn of(baseline: Baseline, target_pid: Option<u32>) -> Self {
        Self { target_pid, target_is_local: socket::is_own_address(baseline.dest.ip()), baseline }
    }
}

/// A running observer. Dropping it ends the thread; [`Observer::stop`] gives what it saw.
#[derive(Debug)]
pub struct Observer {
    live: Arc<Mutex<LivePorts>>,
    stop: Option<Sender<()>>,
    thread: Option<Giving<Observation>>,
    plan: ObservePlan,
}

impl Observer {
    /// Starts observing; `clock` is the run's. Where no thread can be made, the observation says so.
    pub fn start(plan: ObservePlan, clock: Clock) -> Self {
        let live = Arc::new(Mutex::new(LivePorts {
            short_lived: plan.baseline.short_lived,
            pool: plan.baseline.pool.known().map(|p| p.ports),
            budget: plan.baseline.budget(),
            ..LivePorts::default()
        }));
        let (stop, stopped) = channel();
        let (ready, is_ready) = channel::<()>();
        let (ours, given) = (Arc::clone(&live), plan.clone());
        let thread = thread::giving(THREAD_NAME, move || {
            // Connections that take every descriptor must not leave the observer without. Where the kernel refuses, the
            // facts that then cannot be read say so.
            let _ = thread::own_descriptor_table();
            drop(ready);
            Watcher::start(given, clock, ours).watch(&stopped)
        })
        .ok();
        // No connection of the load may be closed while the table is copied: the copy would keep it open.
        let _ = is_ready.recv();
        Self { live, stop: Some(stop), thread, plan }
    }

    /// The latest port figures. A short lock, never held over a system call.
    pub fn live(&self) -> LivePorts {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a last look and gives all that was seen.
    pub fn stop(mut self) -> Observation {
        self.stop = None;
        let observed = self.thread.take().and_then(Giving::join);
        observed.unwrap_or_else(|| Observation::nothing(&self.plan.baseline, "the observer's thread could not run"))
    }
}

struct Watcher {
    plan: ObservePlan,
    clock: Clock,
    live: Arc<Mutex<LivePorts>>,
    client: ClientMeter,
    target: Result<TargetMeter, NoTarget>,
    tries: u32,
    host: HostMeter,
    host_sum: UsageSum,
    memory_max: Option<f64>,
    counter: SocketCounter,
    /// known from the first count on
    family: Option<Family>,
    last_dump: Stamp,
    dump_cost_s: f64,
    /// CPU of the client in the last second, percent of a core; none: it was not read
    client_percent: Option<f64>,
    last_counters: Option<(Stamp, KernelCounters)>,
    last_look: Stamp,
    /// the load is over: kept connections were closed by the end, not by the load
    ending: bool,
    seen: Observation,
}

impl Watcher {
    fn start(plan: ObservePlan, clock: Clock, live: Arc<Mutex<LivePorts>>) -> Self {
        let now = clock.now();
        let counter = SocketCounter::new(plan.baseline.scope());
        let seen = Observation::nothing(&plan.baseline, "not observed yet");
        Self {
            client: ClientMeter::start(now),
            target: Err(NoTarget::NotYet("the run ended before its process was looked for".into())),
            tries: 0,
            host: HostMeter::start(now),
            host_sum: UsageSum::default(),
            memory_max: None,
            counter,
            family: None,
            last_dump: Stamp::ZERO,
            dump_cost_s: 0.0,
            client_percent: None,
            last_counters: plan.baseline.counters.known().map(|c| (now, *c)),
            last_look: now,
            ending: false,
            seen,
            plan,
            clock,
            live,
        }
    }

    fn watch(mut self, stopped: &Receiver<()>) -> Observation {
        if stopped.recv_timeout(FIND_AFTER) != Err(RecvTimeoutError::Timeout) {
            return self.finish();
        }
        self.find_target(self.clock.now());
        let mut next_second = self.last_look.second() + 1;
        let mut next_cheap = self.last_look.plus(CHEAP_EVERY);
        loop {
            let whole = Stamp(next_second * 1_000_000_000);
            match stopped.recv_timeout(next_cheap.min(whole).since(self.clock.now())) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
            let now = self.clock.now();
            if now >= whole {
                // A look that comes a whole second late counts for the second that it ends.
                let count = self.count_if_cheap(now);
                self.look(now, now.second().saturating_sub(1), count);
                next_second = now.second() + 1;
                next_cheap = now.plus(CHEAP_EVERY);
            } else if now >= next_cheap {
                self.look_cheaply(now);
                next_cheap = now.plus(CHEAP_EVERY);
            }
        }
    }

    fn look_cheaply(&mut self, now: Stamp) {
        self.client.watch_threads(now);
        if let Ok(target) = &mut self.target {
            target.watch_stops(now);
        }
        let tw = proc_net::read_sockstat().ok().map(|s| s.tw);
        self.live.lock().unwrap_or_else(PoisonError::into_inner).namespace_time_wait = tw;
    }

    /// Everything, standing for second `second` of the run.
    fn look(&mut self, now: Stamp, second: u64, count: Fact<PortCount>) {
        let span = now.since(self.last_look);
        self.last_look = now;
        if matches!(self.target, Err(NoTarget::NotYet(_))) && self.tries < FIND_TRIES && !self.ending {
            self.find_target(now);
        }
        let client = self.client.read(now);
        self.client_percent = client.known().map(|usage| usage.cpu_percent);
        let target = match &mut self.target {
            Ok(meter) => {
                meter.watch_stops(now);
                meter.read(now)
            }
            Err(why) => Fact::missing(why.reason()),
        };
        let host = self.host.read(now);
        if let Fact::Known(h) = &host {
            self.host_sum.add(&Usage { cpu_percent: h.cpu_percent, rss_bytes: 0, threads: None }, span);
            self.memory_max = Some(self.memory_max.unwrap_or(0.0).max(h.memory_percent));
        }
        // When the load is over, its connections are closed, and a target takes those that waited for them.
        let is_seen = self.plan.target_is_local && !self.ending;
        let accept_queue = if is_seen { owner::read_accept_queue(self.plan.baseline.dest).ok().flatten() } else { None };
        let seen = ObservedSecond { index: second, count, client, target, host, accept_queue };
        self.update_live(now, &seen);
        self.seen.seconds.push(seen);
    }

    fn find_target(&mut self, now: Stamp) {
        self.tries += 1;
        self.target = if self.plan.target_is_local || self.plan.target_pid.is_some() {
            TargetMeter::find(self.plan.baseline.dest, self.plan.target_pid, now)
        } else {
            Err(NoTarget::Never(format!("{} is not an address of this host", self.plan.baseline.dest.ip())))
        };
    }

    fn count_if_cheap(&mut self, now: Stamp) -> Fact<PortCount> {
        let pause = Duration::from_secs_f64(self.dump_cost_s / dump_share(self.plan.baseline.short_lived, self.client_percent));
        // Half a second of grace: looks are aligned on seconds, not on the last dump.
        if now.since(self.last_dump) + Duration::from_millis(500) < pause {
            return Fact::missing(format!(
                "sock_diag is asked at most every {} here: one dump takes {} ms of CPU",
                seconds(pause.as_secs_f64().ceil()),
                ms(self.dump_cost_s * 1000.0)
            ));
        }
        self.count(now)
    }

    fn count(&mut self, now: Stamp) -> Fact<PortCount> {
        if self.plan.baseline.is_try {
            return self.plan.baseline.leftover.clone();
        }
        let family = *self.family.get_or_insert_with(|| socket_count::family_of(self.plan.baseline.dest));
        let (count, cost_s) = thread::with_cost(|| self.counter.count(family));
        let Fact::Known(count) = count else { return count };
        self.dump_cost_s = cost_s;
        self.last_dump = now;
        self.live.lock().unwrap_or_else(PoisonError::into_inner).count = Some(count);
        // At the end the run has closed its kept connections itself: until then they were open, and that is what used
        // their ports.
        let kept = self.ending && !self.plan.baseline.short_lived;
        let count = if kept {
            // Where it is not known what was in TIME_WAIT before, it is not known what has been closed since.
            self.plan.baseline.leftover.known().map_or(count, |l| count.before_closing(l.states.time_wait))
        } else {
            count
        };
        self.seen.by_source.look(&self.counter.by_source(), kept);
        // The first of equals.
        let is_peak = self.seen.peak.is_none_or(|p| count.used > p.used);
        if is_peak {
            self.seen.peak = Some(count);
        }
        self.seen.peak_in_use = self.seen.peak_in_use.max(Some(count.in_use.ports()));
        self.seen.peak_time_wait = self.seen.peak_time_wait.max(Some(count.states.time_wait));
        Fact::Known(count)
    }

    fn update_live(&mut self, now: Stamp, seen: &ObservedSecond) {
        let tw = proc_net::read_sockstat().ok().map(|s| s.tw);
        let counters = proc_net::read_counters().ok();
        let rate = match (counters, self.last_counters) {
            (Some(c), Some((at, before))) if now > at => {
                Some(c.since(&before).opened_actively() as f64 / now.since(at).as_secs_f64())
            }
            _ => None,
        };
        self.last_counters = counters.map(|c| (now, c));
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        fill_point(&mut live.seen, seen, &mut |_, _| {});
        live.namespace_time_wait = tw;
        live.rate_cps = rate;
        live.age_s = now.since(self.last_dump).as_secs_f64();
        live.target_pid = self.target.as_ref().ok().map(|meter| meter.pid);
        live.looked = Some(seen.index);
    }

    fn finish(mut self) -> Observation {
        let now = self.clock.now();
        self.ending = true;
        // A run that was over before its first look still names its target. Nobody reads that of a try.
        if self.tries == 0 && !self.plan.baseline.is_try {
            self.find_target(now);
        }
        let end = self.count(now);
        if self.seen.seconds.is_empty() || now.since(self.last_look) >= LAST_LOOK_MIN {
            self.look(now, last_second(now), end.clone());
        } else {
            self.client.watch_threads(now);
        }
        // Who else uses the range matters only where the pool can run out: a look costs 4 ms.
        let facts = if self.plan.baseline.short_lived {
            baseline::read_pool_facts()
        } else {
            Fact::missing("connections are kept: looked at before the run only")
        };
        let bound_after = baseline::bound_inside(&facts, &self.plan.baseline.pool, &self.plan.baseline.host.kernel);
        let mut seen = self.seen;
        seen.end = end;
        // What cannot be read is not named.
        if let (Fact::Known(facts), Fact::Known(pool)) = (&facts, &seen.baseline.pool) {
            seen.elsewhere = socket_count::elsewhere(seen.baseline.dest, pool.range, &facts.listeners).unwrap_or_default();
        }
        seen.bound_only = match (seen.bound_only, bound_after) {
            (Fact::Known(a), Fact::Known(b)) => Fact::Known(a.max(b)),
            (_, known @ Fact::Known(_)) | (known, _) => known,
        };
        // A look of this moment has read them.
        let after = match self.last_counters {
            Some((at, counters)) if at == now => Fact::Known(counters),
            _ => Fact::from(proc_net::read_counters()),
        };
        seen.counters = match (&self.plan.baseline.counters, &after) {
            (Fact::Known(before), Fact::Known(after)) => Fact::Known(after.since(before)),
            (Fact::Unavailable(why), _) | (_, Fact::Unavailable(why)) => Fact::missing(why.clone()),
        };
        seen.throttling = self.client.quota.read();
        seen.threads = self.client.threads.rows();
        seen.client_cores = self.client.threads.cores();
        seen.threads_error.clone_from(&self.client.threads_error);
        seen.client = self.client.summary;
        seen.host = self.host_sum;
        seen.memory_percent_max = self.memory_max;
        let target_end = self.target.as_ref().map_or(ProcessEnd::Unknown, |meter| process::read_end(meter.pid));
        seen.target_end_hidden = target_end == ProcessEnd::Hidden;
        seen.target = match self.target {
            Ok(meter) => Fact::Known(TargetResources {
                pid: meter.pid,
                cpu_percent_mean: meter.summary.cpu_percent_mean(),
                cpu_percent_max: meter.summary.cpu_percent_max,
                rss_bytes_max: meter.summary.rss_bytes_max,
                threads: meter.thread_count(),
                busiest_thread_percent: meter.busiest_percent(),
                stopped: Some(meter.stops.stretches.clone()),
                ended: if let ProcessEnd::Ended(how) = target_end { Some(how) } else { None },
                cores_allowed: meter.cores.map(|c| c.allowed),
                shares_cores_with_client: meter.cores.map(|c| c.shared_with_client),
                busy_poll: meter.polls,
                cores: meter.threads.cores(),
                throttling: meter.quota.read(),
                name: meter.name,
            }),
            Err(why) => Fact::missing(why.reason()),
        };
        seen
    }
}

/// The second of the series that a look at the run's end belongs to: a short rest joins the second before.
fn last_second(end: Stamp) -> u64 {
    let rest = end.since(Stamp(end.second() * 1_000_000_000));
    if rest < LAST_LOOK_MIN { end.second().saturating_sub(1) } else { end.second() }
}

/// Share of one core that dumps may take, beside a client that uses so much of one.
fn dump_share(short_lived: bool, client_percent: Option<f64>) -> f64 {
    let is_idle = client_percent.is_some_and(|percent| percent < IDLE_CLIENT_PERCENT);
    if short_lived || is_idle { DUMP_SHARE } else { DUMP_SHARE_KEPT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_an_idle_run_are_counted_as_often_as_those_of_short_connections() {
        assert_eq!(dump_share(true, Some(99.0)), DUMP_SHARE);
        assert_eq!(dump_share(false, Some(2.0)), DUMP_SHARE);
        assert_eq!(dump_share(false, Some(99.0)), DUMP_SHARE_KEPT);
        assert_eq!(dump_share(false, None), DUMP_SHARE_KEPT, "what was not read is taken for busy");
    }

    #[test]
    fn the_last_look_stands_for_the_last_second_of_the_series() {
        // A run of two seconds whose tick at 2 s was still pending when it ended: the look is that of second 1.
        for (ms, second) in [(300, 0), (900, 0), (1980, 1), (2010, 1), (2300, 1), (2600, 2), (3010, 2)] {
            assert_eq!(last_second(Stamp::from_millis(ms)), second, "{ms} ms");
        }
    }
}
