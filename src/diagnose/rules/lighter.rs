//! The load that a full target can take, by arithmetic over what was measured, with the median that it then has.
//!
//! `capacity x (think + response without a queue)` users fill the target. The advice is 70 % of them, fewer where half of
//! the requests would still wait ([`Station`]), and never fewer than the workers that they keep busy one for one.

use super::prelude::*;
use crate::diagnose::station::Station;
use crate::model::plan::{Arrivals, LoadPlan};
use crate::model::time::per_second;
use crate::remedy::target::useful_workers;

/// Half of the requests may wait this share of the response without a queue, in the worst case.
const WAIT_SHARE: f64 = 0.25;
const HALF: f64 = 0.5;
/// Fewer where work varies much: long work and a long wait come together.
const FEWER: f64 = 0.4;
/// A pool with this share of its workers at work is what is full.
const FULL_POOL_SHARE: f64 = 0.7;
/// What workers get done, of what their number and the median of steady work come to.
const DONE_SHARE: f64 = 0.9;
/// This share of the users that fill it keeps a target's CPU near its limit.
const BUSY_SHARE: f64 = 0.8;
/// A promised median may be this much of the response without a queue, at the least.
const MEDIAN_LEAST: f64 = 0.75;
/// And at the most where the target says how long it works on a request.
pub(super) const MEDIAN_TOLD: f64 = 1.5;
/// And at the most where only its quickest answer is known, or the time that it works on a request varies much.
const MEDIAN_VARIES: f64 = 2.0;
/// It varies much where its 99th percentile is so many times its median.
const VARIES_TIMES: f64 = 3.0;
/// Beside these: what the network and a busy client add, milliseconds.
const MEDIAN_ADDED_MS: f64 = 1.0;
/// A pause that still leaves a queue is lengthened by this, so many times at the most.
const LONGER_PAUSE: (f64, u32) = (1.15, 30);

/// What is known to be full.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bottleneck<'a> {
    /// the endpoint whose requests wait
    pub(super) endpoint: Option<&'a Endpoint>,
    /// requests that it works on at the same time
    pub(super) slots: Option<f64>,
}

/// The same plan with the load that leaves no queue, and the median that it promises. None where a closed loop is so short that
/// its time says nothing of the target: see [`is_too_short`].
pub(super) fn lighter(run: &RunResult, seen: &Indicators, of: Bottleneck<'_>) -> Option<Remedy> {
    match Full::of(run, seen, of) {
        Some(full) if !run.plan.is_open_loop() && is_too_short(full.think_s + full.alone_s) => None,
        full => Some(full.and_then(|full| full.lighter(run)).unwrap_or_else(|| one_at_a_time(run))),
    }
}

/// Little's law counts users by pause and response without a queue, and with both so short it counts none: most of a
/// response of microseconds is wake-ups and system calls, of the client too, and these take less of each request the
/// more of them come at once.
fn is_too_short(cycle_s: f64) -> bool {
    cycle_s * 1000.0 < MEDIAN_ADDED_MS
}

/// The range in which a promised median lies, for a response without a queue of `ms`.
pub(super) fn median_range(ms: f64, most: f64) -> (f64, f64) {
    (MEDIAN_LEAST * ms, most * ms + MEDIAN_ADDED_MS)
}

/// Users with whom the target is just saturated, and the sum that says so: by Little's law, answers of the best second times pause
/// and response without a queue. None where too little was answered, or where that time says nothing of the target.
pub(super) fn just_saturating(run: &RunResult) -> Option<(u32, String)> {
    let answers = run.totals.requests.saturating_sub(run.totals.failures);
    // Work for those who gave up is lost: the best second says most of what the target can do.
    let best = run.series.iter().map(|p| p.rps - p.failures_per_s).fold(per_second(answers, run.duration_s), f64::max);
    let (rps, think_s) = (best, run.plan.think.mean().as_secs_f64());
    let known = || run.endpoints.iter().filter_map(|e| Some((e.requests as f64, without_queue_s(run, e)?)));
    let alone_s = known().map(|(n, s)| n * s).sum::<f64>() / known().map(|(n, _)| n).sum::<f64>();
    let users = rps * (think_s + alone_s);
    let sum = format!("{} answers/s x ({} + {}) = {}", rate(rps), seconds(think_s), seconds(alone_s), number(users));
    // A target that is full works on one request at least: with less, its quickest answers are not its work.
    let enough = answers >= LITTLE_LAW_ANSWERS && users.is_finite() && users >= 1.0 && !is_too_short(think_s + alone_s);
    enough.then(|| (users.ceil().min(f64::from(u32::MAX)) as u32, sum))
}

/// Answers from which their rate and the quickest of them say something.
const LITTLE_LAW_ANSWERS: u64 = 20;

/// Where the arithmetic has nothing to say: the response without a queue, measured.
fn one_at_a_time(run: &RunResult) -> Remedy {
    let once = load_with(&run.plan, |p| (p.users, p.rate, p.requests, p.duration) = (1, 0.0, 10, Duration::ZERO));
    advice("measure 10 requests, one at a time", once, "the response without a queue")
}

/// A target at its limit, as far as the run shows it.
struct Full<'a> {
    /// answered requests per second, of all endpoints
    capacity: f64,
    think_s: f64,
    /// mean response without a queue, of all endpoints
    alone_s: f64,
    /// the endpoint whose requests wait
    endpoint: &'a Endpoint,
    /// share of the requests that are its
    part: f64,
    /// its response without a queue
    own_s: f64,
    /// how far the promised median may be above it, times
    most: f64,
    /// share of the requests that may wait noticeably
    late_share: f64,
    /// workers that are known to be all at work
    workers: Option<u32>,
    /// requests that a full CPU works on at the same time
    slots: Option<f64>,
}

impl<'a> Full<'a> {
    /// None where nothing is known of the target without a queue.
    fn of(run: &'a RunResult, seen: &Indicators, of: Bottleneck<'a>) -> Option<Self> {
        // A request that failed is no work done, and one that was cut was asked for all the same.
        let answered = run.totals.requests.saturating_sub(run.totals.failures) as f64 / run.totals.requests.max(1) as f64;
        let capacity = seen.steady_rps * answered;
        let known: Vec<(&Endpoint, f64, f64)> =
            run.endpoints.iter().filter_map(|e| Some((e, (e.requests + e.cut) as f64, without_queue_s(run, e)?))).collect();
        let asked: f64 = known.iter().map(|(_, n, _)| n).sum();
        let demand = |(_, n, s): &(&Endpoint, f64, f64)| n * s;
        let alone_s = known.iter().map(demand).sum::<f64>() / asked;
        let pool = |e: &&(&Endpoint, f64, f64)| Pool::of(run, &e.0.name) == Some(Pool::Cpu);
        let largest = || known.iter().max_by(|a, b| demand(a).total_cmp(&demand(b)));
        let (endpoint, n, own_s) = match of.endpoint {
            Some(wanted) => known.iter().find(|(e, ..)| std::ptr::eq(*e, wanted)),
            None => known.iter().find(pool).or_else(largest),
        }?;
        let timing = endpoint.server_timing_ms.as_ref();
        let told = timing.is_some();
        let is_steady = timing.is_some_and(|t| t.work.p99 < VARIES_TIMES * t.work.p50);
        // A full target works on one request at least: without its own timing, that is the least that one takes. With
        // failures it may also work on what nobody waits for any longer.
        let counts = known.len() == 1 && !told && capacity > 0.0 && answered > 1.0 - FALL_SHORT_SHARE;
        let quickest = if counts { own_s.max(1.0 / capacity) } else { *own_s };
        let full = Self {
            capacity,
            think_s: seen.think_s,
            alone_s: if known.len() == 1 { quickest } else { alone_s },
            endpoint,
            part: n / asked,
            own_s: quickest,
            late_share: if told && !is_steady { FEWER } else { HALF },
            most: if is_steady { MEDIAN_TOLD } else { MEDIAN_VARIES },
            workers: None,
            slots: of.slots,
        };
        let full = Self { workers: full.all_at_work(run), ..full };
        let all_answered = answered > 1.0 - FALL_SHORT_SHARE;
        if !all_answered && full.late_share < HALF {
            // What was answered in time is the short work only: how long the other takes is not known.
            return None;
        }
        let full = if all_answered { full } else { full.with_wasted_work(run) };
        let sound = full.capacity > 0.0 && full.alone_s.is_finite() && full.alone_s > 0.0 && full.part > 0.0 && full.own_s > 0.0;
        sound.then_some(full)
    }

    /// Workers of the endpoint's pool, where nearly all of them worked.
    fn all_at_work(&self, run: &RunResult) -> Option<u32> {
        let workers = self.workers_there(run)?;
        (self.capacity * self.part * self.own_s >= FULL_POOL_SHARE * f64::from(workers)).then_some(workers)
    }

    fn workers_there(&self, run: &RunResult) -> Option<u32> {
        useful_workers(run, &self.endpoint.name).map(|workers| workers.max(1))
    }

    /// Workers that are busy with requests that nobody waits for any longer can do more than was answered in time: as
    /// much as their number and the work say.
    fn with_wasted_work(self, run: &RunResult) -> Self {
        let queues = self.endpoint.server_timing_ms.as_ref().is_some_and(|t| t.queue.p50 > t.work.p50);
        let Some(workers) = self.workers_there(run).filter(|_| queues) else { return self };
        let capacity = DONE_SHARE * f64::from(workers) / (self.own_s * self.part);
        if capacity > self.capacity { Self { capacity, workers: Some(workers), ..self } } else { self }
    }

    /// The endpoint's workers, asked by users who pause for `think_s`. Of workers that nobody knows it takes one that is
    /// as fast as all: no other number waits longer.
    fn station(&self, think_s: f64) -> Station {
        let rps = self.capacity * self.part;
        // Between two of its requests a user pauses and asks the other endpoints.
        let away_s = ((think_s + self.alone_s) / self.part - self.own_s).max(0.0);
        match self.workers {
            Some(workers) => Station { workers, work_s: self.own_s.max(f64::from(workers) / rps), away_s },
            None => Station { workers: 1, work_s: 1.0 / rps, away_s: away_s + (self.own_s - 1.0 / rps).max(0.0) },
        }
    }

    /// More requests than may would wait noticeably.
    fn waits(&self, users: u32, think_s: f64) -> bool {
        self.station(think_s).waiting_longer(users, WAIT_SHARE * self.own_s) > self.late_share
    }

    /// None where nothing is left to take away.
    fn lighter(&self, run: &RunResult) -> Option<Remedy> {
        if run.plan.is_open_loop() {
            Some(self.lower_rate(run))
        } else {
            self.fewer_users(run).or_else(|| self.longer_pause(run))
        }
    }

    fn lower_rate(&self, run: &RunResult) -> Remedy {
        let plan = &run.plan;
        let most = self.capacity.min(plan.rate);
        // A mix comes to each endpoint at random; one endpoint is asked as the plan says.
        let is_mixed = plan.mix.len() > 1;
        let too_much = |part: &f64| {
            let think_s = (f64::from(plan.users) / (part * most) - self.alone_s).max(0.0);
            if is_mixed {
                self.waits(plan.users, think_s)
            } else {
                let (busy, wait_s) = (part * most / self.capacity, WAIT_SHARE * self.own_s);
                let station = self.station(think_s);
                let late = match plan.arrivals {
                    Arrivals::Constant => station.waiting_longer_at_a_pace(busy, wait_s),
                    Arrivals::Poisson => station.waiting_longer_at_random(busy, wait_s),
                    // Of those that come at once, the first find a worker, whatever the rate.
                    Arrivals::Burst(n) => {
                        let soon = f64::from(station.workers.max(1)) * (1.0 + wait_s / station.work_s) / f64::from(n.max(1));
                        (1.0 - soon).max(station.waiting_longer_at_a_pace(busy, wait_s))
                    }
                };
                late > self.late_share
            }
        };
        let parts = [CAPACITY_SHARE, 0.6, 0.5, 0.4];
        let part = parts.iter().copied().find(|part| !too_much(part)).unwrap_or(0.3);
        let lower = round_rate(part * most);
        let action = format!("ask for {} req/s, {} of what it answered", rate(lower), share(part));
        self.promising(advice(action, load_with(plan, |p| p.rate = lower), ""))
    }

    fn fewer_users(&self, run: &RunResult) -> Option<Remedy> {
        let plan = &run.plan;
        let fill = self.capacity * (self.think_s + self.alone_s);
        let part = (CAPACITY_SHARE * fill).ceil().clamp(1.0, f64::from(u32::MAX)) as u32;
        let by_queue = self.station(self.think_s).users_within(WAIT_SHARE * self.own_s, self.late_share, part.min(plan.users));
        let mut users = by_queue.max(self.workers.unwrap_or(1));
        let keeps_busy = self.think_s <= 0.0 && f64::from(users) >= BUSY_SHARE * fill;
        if let Some(slots) = self.slots.filter(|_| keeps_busy) {
            // So many in flight would still count as a full CPU, unless most of them are on their way.
            let few = ((IN_FLIGHT_TIMES * slots).ceil() as u32).saturating_sub(1).max(1);
            users = users.min(few.max(((BUSY_SHARE * fill).ceil() as u32).saturating_sub(1)));
        }
        if users >= plan.users {
            return None;
        }
        let sum =
            format!("{} req/s x ({} + {}) = {}", rate(self.capacity), seconds(self.think_s), seconds(self.alone_s), number(fill));
        let full = format!("full with {}: {sum}", count(fill.ceil().max(1.0) as u64));
        let why = if self.workers == Some(users) { format!("one for each worker; {full}") } else { full };
        let action = format!("offer what it can take: {} ({why})", counted(users, "user"));
        Some(self.promising(advice(action, load_with(plan, |p| p.users = users), "")))
    }

    /// As many users, who pause: the same arithmetic the other way round.
    fn longer_pause(&self, run: &RunResult) -> Option<Remedy> {
        let plan = &run.plan;
        let mut think_s =
            (f64::from(plan.users) / (CAPACITY_SHARE * self.capacity) - self.alone_s).max(plan.think.mean().as_secs_f64());
        let (longer, times) = LONGER_PAUSE;
        for _ in 0..times {
            if !self.waits(plan.users, think_s) {
                break;
            }
            think_s = think_s.max(self.own_s) * longer;
        }
        let think = Duration::try_from_secs_f64(think_s).ok().filter(|t| *t > plan.think.mean())?;
        let think = Duration::from_millis(u64::try_from(think.as_millis()).ok()? + 1);
        let command = load_with(plan, |p: &mut LoadPlan| (p.think.min, p.think.max) = (think, think));
        Some(self.promising(advice(format!("let the users pause {} between requests", figures::span(think)), command, "")))
    }

    /// With the median of the endpoint, in words and as a figure.
    fn promising(&self, remedy: Remedy) -> Remedy {
        let (ms, name) = (self.own_s * 1000.0, self.endpoint.name.as_str());
        let (low, high) = median_range(ms, self.most);
        let expected = format!(
            "{name}: median near {} ms, its response without a queue (computed: {} to {} ms)",
            number(ms),
            number(low),
            number(high)
        );
        let figure = Prediction::between(Metric::LatencyP50Ms, ms, low, high).of(name);
        Remedy { expected, ..remedy }.promising(figure)
    }
}

/// Digits that nobody would type say nothing.
pub(super) fn round_rate(rate: f64) -> f64 {
    if rate >= 10.0 { rate.floor() } else { ((rate * 10.0).floor() / 10.0).max(0.1) }
}

/// The time of a median answer without the target's queue; without Server-Timing the quickest answer. The way to the
/// target and back comes to its work: no answer was quicker. In an open loop the latency also counts from when a
/// request was due, so the work alone is the target's.
fn without_queue_s(run: &RunResult, e: &Endpoint) -> Option<f64> {
    let latency = e.latency_ms?;
    let told = |work: f64, queue: f64| {
        if run.plan.is_open_loop() { work } else { work.max(latency.min.min(latency.p50 - queue)) }
    };
    let ms = e.server_timing_ms.as_ref().map_or(latency.min, |t| told(t.work.p50, t.queue.p50));
    Some(ms / 1000.0)
}
