//! The CPU of a local target: whether it is the limit.

use super::prelude::*;
use crate::model::figures;
use crate::model::result::TargetResources;
use crate::remedy::target::{Kind as Server, Pool, cpu_workers, own_flags, working};

/// Which part of the target's CPU is used up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) enum Full {
    /// every core of the machine, by the target, or by it and the client
    Machine,
    /// cores to which threads of the client and of the target are confined
    SharedCores(Shared),
    /// the `/cpu` pool of a sockbench server, which has this many workers
    CpuPool(u32),
    /// the event loop of a sockbench server
    Reactor,
    /// the only thread of the target
    OneThread,
    /// one thread of several
    BusiestThread,
    /// many threads that together never pass one core
    OneCoreInAll,
}

/// Cores that threads of both ends are confined to, and that both together fill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Shared {
    /// number of one of them
    pub(in crate::diagnose) core: u32,
    /// how many there are
    pub(in crate::diagnose) count: u32,
    /// percent of a core that the client uses of them
    pub(in crate::diagnose) client_percent: f64,
}

impl Shared {
    /// `core 0`, `2 cores`
    pub(in crate::diagnose) fn in_words(self) -> String {
        if self.count == 1 { format!("core {}", self.core) } else { format!("{} cores", self.count) }
    }
}

/// A limit of the target's CPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct CpuLimit {
    pub(in crate::diagnose) full: Full,
    /// percent of a core that it uses
    pub(in crate::diagnose) percent: f64,
    /// requests that it can work on at the same time
    pub(in crate::diagnose) slots: f64,
}

pub(super) fn cpu(run: &RunResult, seen: &Indicators) -> Seen<CpuLimit> {
    let Some(t) = run.resources.target.as_ref() else {
        return undecided("the target's process is not of this host, or was not found");
    };
    if t.cpu_percent_mean.is_none() {
        return undecided("the target's CPU could not be read");
    }
    if seen.duration_s < CPU_RUN_S {
        return undecided(format!(
            "the run lasted {}: too short for a mean of the target's CPU",
            figures::seconds(seen.duration_s)
        ));
    }
    if t.busy_poll {
        return undecided("the server polls all the time (--busy-poll): it uses its whole core, with work or without");
    }
    cpu_limit(run, t).filter(|limit| is_flat(run, seen, limit)).ok_or(Clear)
}

fn cpu_limit(run: &RunResult, t: &TargetResources) -> Option<CpuLimit> {
    let mean = t.cpu_percent_mean?;
    let cpus = f64::from(run.host.cpus);
    let limit = |full, percent, slots| Some(CpuLimit { full, percent, slots });
    // The client beside it leaves it less; but then the target must be what fills the machine.
    let client = run.resources.client.cpu_percent_mean.unwrap_or(0.0);
    let together = mean + client >= CPU_LIMIT_PERCENT * cpus && mean >= 2.0 * client;
    if cpus > 0.0 && (mean >= CPU_LIMIT_PERCENT * cpus || together) {
        return limit(Full::Machine, mean, cpus);
    }
    if let Some((shared, percent)) = shared_cores(run, t) {
        return limit(Full::SharedCores(shared), percent, f64::from(shared.count));
    }
    if t.threads == Some(1) {
        return (mean >= CPU_LIMIT_PERCENT).then_some(CpuLimit { full: Full::OneThread, percent: mean, slots: 1.0 });
    }
    let one_thread = t.busiest_thread_percent.filter(|b| *b >= CPU_LIMIT_PERCENT);
    if Server::of(run) != Server::Foreign {
        let jobs = || run.endpoints.iter().filter(|e| Pool::of(run, &e.name) == Some(Pool::Cpu));
        let queues = jobs().any(|e| e.server_timing_ms.as_ref().is_some_and(|t| t.queue.p50 >= QUEUE_MS));
        let by_jobs = jobs().filter_map(working).sum::<f64>() * 100.0;
        let workers = cpu_workers(run).unwrap_or(((mean + 100.0 - CPU_LIMIT_PERCENT) / 100.0) as u32);
        if queues && workers > 0 && mean >= CPU_LIMIT_PERCENT * f64::from(workers) {
            return limit(Full::CpuPool(workers), mean, f64::from(workers));
        }
        // What is left of the whole without the jobs is the event loop's.
        let loops = own_flags(run).map_or(1, |f| f.reactors.unwrap_or(1));
        return one_thread
            .filter(|_| loops == 1 && mean - by_jobs >= CPU_LIMIT_PERCENT)
            .and_then(|percent| limit(Full::Reactor, percent, 1.0));
    }
    if let Some(percent) = one_thread {
        return limit(Full::BusiestThread, percent, 1.0);
    }
    let never_more = t.cpu_percent_max.is_some_and(|m| m <= ONE_CORE_PERCENT);
    if never_more && mean >= CPU_LIMIT_PERCENT { limit(Full::OneCoreInAll, mean, 1.0) } else { None }
}

/// Cores to which threads of both ends are confined, all of them full by both together, and the target's percent of them. None
/// while one of them has room, where either end takes little of one, and where the target fills one alone.
fn shared_cores(run: &RunResult, t: &TargetResources) -> Option<(Shared, f64)> {
    let share = |cpu_s: f64| 100.0 * cpu_s / run.duration_s;
    let of_client = |core| run.resources.client.cores.iter().find(|c| c.core == core).map(|c| share(c.cpu_s));
    let shared: Vec<(u32, f64, f64)> =
        t.cores.iter().filter_map(|t| Some((t.core, share(t.cpu_s), of_client(t.core)?))).collect();
    // Threads that are confined to a core and idle there share nothing.
    let by_both = |target: f64, client: f64| {
        target + client >= CPU_LIMIT_PERCENT && target < CPU_LIMIT_PERCENT && target.min(client) >= SHARED_PERCENT
    };
    let full = shared.iter().all(|(_, target, client)| by_both(*target, *client));
    let (core, ..) = shared.first().filter(|_| full)?;
    let client_percent = shared.iter().map(|(.., client)| client).sum();
    Some((Shared { core: *core, count: shared.len() as u32, client_percent }, shared.iter().map(|(_, target, _)| target).sum()))
}

/// Throughput does not grow with the load: the asked rate was missed, or stayed flat while users came, or there are
/// more requests at the target than the limit can work on.
fn is_flat(run: &RunResult, seen: &Indicators, limit: &CpuLimit) -> bool {
    if let Some(s) = seen.shortfall {
        return s.missing > FALL_SHORT_SHARE * s.asked;
    }
    if let Some(g) = seen.growth {
        return g.rps.1 < FLAT_THROUGHPUT * g.rps.0;
    }
    // Users who mostly pause ask for more, the more of them there are.
    let hurried = run.plan.think.max.is_zero() || seen.response_s.is_some_and(|r| r > seen.think_s);
    hurried && seen.in_flight().is_some_and(|n| n >= IN_FLIGHT_TIMES * limit.slots)
}
