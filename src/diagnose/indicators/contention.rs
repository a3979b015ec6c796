//! A host that others use: whether our threads, or a local target's, waited for a core, why, and how much it spoils.
//!
//! One measure decides: the share of the wall time that the thread with the longest wait waited, over the whole run and
//! by second. Below the first level it is silent. From there on it is a line that asks for care. Only where it spoils the
//! figures can it be the headline, and only where nothing else explains the run.

use super::prelude::*;
use crate::diagnose::caveat::is_try;
use crate::model::result::{CoreUse, Throttling};

/// Whose threads waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
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
    pub(in crate::diagnose) seconds: usize,
    /// seconds that were measured
    pub(in crate::diagnose) measured: usize,
    /// wait over the measured time, percent of it
    pub(in crate::diagnose) wait_percent: f64,
    /// the figures as a whole are not to be trusted; else the slowest latencies at most
    pub(in crate::diagnose) spoils: bool,
    /// other programs had the cores that the target's threads waited for, so much that its work on a request is not what it is
    /// on a free machine
    pub(in crate::diagnose) starves_target: bool,
}

pub(super) fn contention(run: &RunResult) -> Seen<Contention> {
    if is_try(run) && run.duration_s < WAIT_SECONDS {
        return undecided("one request does not last long enough to tell how threads wait for a core");
    }
    let by_quota = [
        (Waiter::Client, run.resources.client.throttling),
        (Waiter::Target, run.resources.target.as_ref().and_then(|t| t.throttling)),
    ];
    let starves_target = is_target_starved(run);
    for (who, throttling) in by_quota {
        if let Some(reason) = throttling.filter(is_tight).map(Reason::Quota) {
            let waits = Waits::of(run, who);
            let (seconds, measured, wait_percent) = waits.map_or((0, 0, 0.0), |w| (w.high.len(), w.measured, w.mean));
            return Ok(Contention { who, reason, seconds, measured, wait_percent, spoils: true, starves_target });
        }
    }
    let client = Waits::of(run, Waiter::Client);
    let Some(known) = client.as_ref() else {
        return undecided("how long this program's threads waited for a core was not measured");
    };
    if known.measured_s < WAIT_SECONDS && known.is_much(WAIT_PERCENT) {
        return undecided(format!("waiting for a core was measured for {} only", seconds(known.measured_s)));
    }
    let mut unexplained = false;
    let mut waiting: Vec<Waits<'_>> =
        client.into_iter().chain(Waits::of(run, Waiter::Target)).filter(|w| w.is_much(WAIT_PERCENT)).collect();
    waiting.order_by(|a, b| b.mean.total_cmp(&a.mean));
    for waits in waiting {
        match waits.others_percent(run) {
            Some(others) if others >= OTHERS_PERCENT && others > used_by_the_other_end(run, waits.who) => {
                return Ok(Contention {
                    who: waits.who,
                    reason: Reason::Others(others),
                    seconds: waits.high.len(),
                    measured: waits.measured,
                    wait_percent: waits.mean,
                    spoils: waits.spoils(run),
                    starves_target,
                });
            }
            // Our own processes share the cores among themselves.
            Some(_) => {}
            None => unexplained = true,
        }
    }
    if unexplained {
        return undecided("threads waited for a core, and who had the cores was not measured");
    }
    Err(Clear)
}

/// Percent of a core that the other end uses of the cores to which threads of both ends are confined: there they wait for each other.
fn used_by_the_other_end(run: &RunResult, who: Waiter) -> f64 {
    let share = |core: &CoreUse| 100.0 * core.cpu_s / run.duration_s;
    let of_target = run.resources.target.as_ref().map_or(&[][..], |target| &target.cores);
    let both = run.resources.client.cores.iter().flat_map(|client| {
        let same = of_target.iter().filter(|target| target.core == client.core);
        same.map(|target| (share(client), share(target)))
    });
    let shared = both.filter(|(client, target)| client.min(*target) >= SHARED_PERCENT);
    shared.map(|(client, target)| if who == Waiter::Client { target } else { client }).sum()
}

/// Seconds of CPU that the run left of the cores to which an end's threads are confined: other programs took no more of them.
/// None where it may run elsewhere too.
fn left_of_own_cores_s(run: &RunResult, who: Waiter) -> Option<f64> {
    let target = run.resources.target.as_ref();
    let (cores, percent) = match who {
        Waiter::Client => (&run.resources.client.cores, run.resources.client.cpu_percent_mean?),
        Waiter::Target => (&target?.cores, target?.cpu_percent_mean?),
    };
    let on_cores: f64 = cores.iter().map(|core| core.cpu_s).sum();
    if on_cores < CONFINED_SHARE * percent / 100.0 * run.duration_s {
        return None;
    }
    let both = || run.resources.client.cores.iter().chain(target.iter().flat_map(|t| &t.cores));
    let used_s = |number: u32| both().filter(|core| core.core == number).map(|core| core.cpu_s).sum::<f64>();
    // Threads that are idle on theirs, as those for /cpu without a job, wait for none.
    let busy = || cores.iter().filter(|core| core.cpu_s >= SHARED_PERCENT / 100.0 * run.duration_s);
    busy().next().map(|_| busy().map(|core| (run.duration_s - used_s(core.core)).max(0.0)).sum())
}

/// Other programs took from the target what it would have on a free machine.
fn is_target_starved(run: &RunResult) -> bool {
    Waits::of(run, Waiter::Target)
        .filter(|waits| waits.is_much(WAIT_SPOILS_PERCENT))
        .and_then(|waits| waits.others_percent(run))
        .is_some_and(|others| others >= OTHERS_PERCENT)
}

fn is_tight(throttling: &Throttling) -> bool {
    throttling.throttled_periods as f64 > THROTTLED_SHARE * throttling.periods.max(1) as f64
}

struct Waits<'a> {
    who: Waiter,
    /// each measured second with its length and its wait
    known: Vec<(&'a SeriesPoint, f64, f64)>,
    measured: usize,
    measured_s: f64,
    high: Vec<&'a SeriesPoint>,
    mean: f64,
}

impl<'a> Waits<'a> {
    fn of(run: &'a RunResult, who: Waiter) -> Option<Self> {
        let wait = |p: &SeriesPoint| match who {
            Waiter::Client => p.client_wait_percent,
            Waiter::Target => p.target_wait_percent,
        };
        let known: Vec<(&SeriesPoint, f64, f64)> =
            seconds_of(run).filter_map(|(from_s, p)| Some((p, (p.t_s - from_s).max(0.0), wait(p)?))).collect();
        let measured_s: f64 = known.iter().map(|(_, length, _)| length).sum();
        if measured_s <= 0.0 {
            return None;
        }
        let mean = known.iter().map(|(_, length, wait)| length * wait).sum::<f64>() / measured_s;
        let high = known.iter().filter(|(.., wait)| *wait > WAIT_PERCENT).map(|(p, ..)| *p).collect();
        Some(Self { who, measured: known.len(), measured_s, known, high, mean })
    }

    /// Above `percent` over the whole run, or in many of its seconds.
    fn is_much(&self, percent: f64) -> bool {
        self.mean > percent || self.is_often(percent)
    }

    fn is_often(&self, percent: f64) -> bool {
        let often: f64 = self.known.iter().filter(|(.., wait)| *wait > percent).map(|(_, length, _)| length).sum();
        often > WAIT_SECONDS_SHARE * self.measured_s
    }

    /// An asked rate that was missed was missed because no core was free; where it was kept, single bad seconds change no rate.
    fn spoils(&self, run: &RunResult) -> bool {
        let often = !run.plan.is_open_loop() && self.is_often(WAIT_SPOILS_PERCENT);
        self.mean > WAIT_SPOILS_PERCENT || often || run.shortfall().is_some_and(|s| s.missing > FALL_SHORT_SHARE * s.asked)
    }

    /// What neither the client nor a local target took in the seconds with waiting, mean percent of a core. Threads that are
    /// confined to cores wait for nothing that ran elsewhere.
    fn others_percent(&self, run: &RunResult) -> Option<f64> {
        let known: Vec<f64> = self.high.iter().filter_map(|p| others_percent(run, p)).collect();
        let mean = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)?;
        Some(left_of_own_cores_s(run, self.who).map_or(mean, |left_s| mean.min(100.0 * left_s / self.high_s().max(f64::EPSILON))))
    }

    /// How long the seconds with waiting lasted.
    fn high_s(&self) -> f64 {
        self.known.iter().filter(|(.., wait)| *wait > WAIT_PERCENT).map(|(_, length, _)| length).sum()
    }
}

/// What neither the client nor a local target took in a second, percent of a core.
pub(super) fn others_percent(run: &RunResult, p: &SeriesPoint) -> Option<f64> {
    let targets = if run.is_target_here() { p.target_cpu_percent? } else { 0.0 } + p.other_targets_cpu_percent.unwrap_or(0.0);
    let own = p.client_cpu_percent? + targets;
    Some((p.host_cpu_percent? * f64::from(run.host.cpus.max(1)) - own).max(0.0))
}
