//! A host that others use: whether our threads, or a local target's, waited for a core, and why.

use super::Seen;
use crate::diagnose::thresholds::{OTHERS_PERCENT, THROTTLED_SHARE, WAIT_PERCENT, WAIT_SECONDS, WAIT_SECONDS_SHARE};
use crate::model::result::{RunResult, SeriesPoint, Throttling};

/// Whose threads waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::diagnose) enum Waiter {
    Client,
    Target,
}

/// Why they waited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) enum Reason {
    /// other programs had the cores: percent of a core in the seconds with waiting
    Others(f64),
    /// a CPU quota stopped the process
    Quota(Throttling),
}

/// Threads that waited for a core.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::diagnose) struct Contention {
    pub(in crate::diagnose) who: Waiter,
    pub(in crate::diagnose) reason: Reason,
    /// seconds with waiting
    pub(in crate::diagnose) seconds: usize,
    /// seconds that were measured
    pub(in crate::diagnose) measured: usize,
    /// mean wait in the measured seconds, percent of the time
    pub(in crate::diagnose) wait_percent: f64,
}

pub(super) fn contention(run: &RunResult) -> Seen<Contention> {
    let by_quota = [
        (Waiter::Client, run.resources.client.throttling),
        (Waiter::Target, run.resources.target.as_ref().and_then(|t| t.throttling)),
    ];
    for (who, throttling) in by_quota {
        if let Some(quota) = throttling.filter(is_tight) {
            let waits = Waits::of(run, who);
            let (seconds, measured, wait_percent) = waits.map_or((0, 0, 0.0), |w| (w.high.len(), w.measured, w.mean));
            return Seen::Yes(Contention { who, reason: Reason::Quota(quota), seconds, measured, wait_percent });
        }
    }
    let client = Waits::of(run, Waiter::Client);
    let Some(known) = client.as_ref() else {
        return Seen::Unknown("how long this program's threads waited for a core was not measured".into());
    };
    if known.measured < WAIT_SECONDS && !known.high.is_empty() {
        return Seen::Unknown(format!("only {} s of waiting for a core were measured", known.measured));
    }
    let mut unexplained = false;
    let mut waiting: Vec<Waits<'_>> = client.into_iter().chain(Waits::of(run, Waiter::Target)).filter(Waits::are_many).collect();
    waiting.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    for waits in waiting {
        match waits.others_percent(run) {
            Some(others) if others >= OTHERS_PERCENT => {
                return Seen::Yes(Contention {
                    who: waits.who,
                    reason: Reason::Others(others),
                    seconds: waits.high.len(),
                    measured: waits.measured,
                    wait_percent: waits.mean,
                });
            }
            // Our own processes share the cores among themselves.
            Some(_) => {}
            None => unexplained = true,
        }
    }
    if unexplained {
        return Seen::Unknown("threads waited for a core, and who had the cores was not measured".into());
    }
    Seen::No
}

fn is_tight(throttling: &Throttling) -> bool {
    throttling.throttled_periods as f64 > THROTTLED_SHARE * throttling.periods.max(1) as f64
}

struct Waits<'a> {
    who: Waiter,
    measured: usize,
    high: Vec<&'a SeriesPoint>,
    mean: f64,
}

impl<'a> Waits<'a> {
    fn of(run: &'a RunResult, who: Waiter) -> Option<Self> {
        let wait = |p: &SeriesPoint| match who {
            Waiter::Client => p.client_wait_percent,
            Waiter::Target => p.target_wait_percent,
        };
        let known: Vec<(&SeriesPoint, f64)> = run.series.iter().filter_map(|p| Some((p, wait(p)?))).collect();
        if known.is_empty() {
            return None;
        }
        let mean = known.iter().map(|(_, w)| w).sum::<f64>() / known.len() as f64;
        let high = known.iter().filter(|(_, w)| *w > WAIT_PERCENT).map(|(p, _)| *p).collect();
        Some(Self { who, measured: known.len(), high, mean })
    }

    fn are_many(&self) -> bool {
        self.measured >= WAIT_SECONDS && self.high.len() as f64 > WAIT_SECONDS_SHARE * self.measured as f64
    }

    /// What neither the client nor a local target took in the seconds with waiting, mean percent of a core.
    fn others_percent(&self, run: &RunResult) -> Option<f64> {
        let cpus = f64::from(run.host.cpus.max(1));
        let target = &run.plan.target;
        let is_here = run.resources.target.is_some() || target.own_server || target.addr.ip().is_loopback();
        let others = |p: &SeriesPoint| {
            let own = p.client_cpu_percent? + if is_here { p.target_cpu_percent? } else { 0.0 };
            Some((p.host_cpu_percent? * cpus - own).max(0.0))
        };
        let known: Vec<f64> = self.high.iter().filter_map(|p| others(p)).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }
}
