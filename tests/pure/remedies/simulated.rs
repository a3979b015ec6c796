//! A small target and its users, simulated event by event: what a plan comes to where the queue is known exactly. It
//! knows nothing of the arithmetic of the rules.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use sockbench::testing::model::{LatencyMs, LoadPlan, Phase, PhaseMs, RunResult, ServerTimingMs, Steady};

use crate::facts::{endpoint, fail, healthy, late, second};

/// How the time of one job varies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Varies {
    /// not at all
    Never,
    /// by 20 % either way
    Little,
    /// exponentially
    Much,
}

/// One pool of workers with a queue, behind one path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Work {
    pub(super) workers: usize,
    pub(super) s: f64,
    pub(super) varies: Varies,
    /// the workers use CPU, as far as they work
    pub(super) is_cpu: bool,
}

/// A simulated second of a plan has at most this many requests at the target.
const SECONDS: f64 = 60.0;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    /// the user is free: in an open loop it takes the next due request
    Free(usize),
    /// this job of the pool is done
    Done { pool: usize, job: usize },
    /// nobody waits for this job any longer
    GiveUp(usize),
}

#[derive(Debug, Clone, Copy)]
struct At(f64, u64, Event);

impl PartialEq for At {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for At {}
impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

#[derive(Debug, Clone, Copy)]
struct Job {
    pool: usize,
    user: usize,
    due: f64,
    sent: f64,
    work: f64,
    started: f64,
    ended: Option<f64>,
    given_up: bool,
}

struct Simulation<'a> {
    plan: &'a LoadPlan,
    pools: Vec<Work>,
    random: fastrand::Rng,
    events: BinaryHeap<Reverse<At>>,
    order: u64,
    queues: Vec<VecDeque<usize>>,
    busy: Vec<usize>,
    worked: Vec<f64>,
    jobs: Vec<Job>,
    due: u64,
}

impl<'a> Simulation<'a> {
    fn new(plan: &'a LoadPlan, pools: Vec<Work>) -> Self {
        let n = pools.len();
        let mut all = Self {
            plan,
            pools,
            random: fastrand::Rng::with_seed(7),
            events: BinaryHeap::new(),
            order: 0,
            queues: vec![VecDeque::new(); n],
            busy: vec![0; n],
            worked: vec![0.0; n],
            jobs: Vec::new(),
            due: 0,
        };
        for user in 0..plan.users as usize {
            let start = if plan.spawn_rate > 0.0 { user as f64 / plan.spawn_rate } else { 0.0 };
            all.at(start, Event::Free(user));
        }
        all
    }

    fn at(&mut self, s: f64, event: Event) {
        self.order += 1;
        self.events.push(Reverse(At(s, self.order, event)));
    }

    fn run(mut self) -> Self {
        while let Some(Reverse(At(now, _, event))) = self.events.pop() {
            if now >= SECONDS {
                break;
            }
            match event {
                Event::Free(user) if self.plan.is_open_loop() => {
                    let due = self.due as f64 / self.plan.rate;
                    if due > now {
                        self.at(due, Event::Free(user));
                    } else {
                        self.due += 1;
                        self.ask(user, due, now);
                    }
                }
                Event::Free(user) => self.ask(user, now, now),
                Event::Done { pool, job } => self.done(pool, job, now),
                Event::GiveUp(job) => {
                    if self.jobs[job].ended.is_none() {
                        self.jobs[job].given_up = true;
                        self.next(self.jobs[job].user, now);
                    }
                }
            }
        }
        self
    }

    fn ask(&mut self, user: usize, due: f64, now: f64) {
        let all: u32 = self.plan.mix.iter().map(|m| m.weight).sum();
        let mut drawn = self.random.u32(0..all);
        let pool = self.plan.mix.iter().position(|m| {
            let here = drawn < m.weight;
            drawn = drawn.wrapping_sub(m.weight);
            here
        });
        let pool = pool.unwrap();
        let work = self.pools[pool];
        let factor = match work.varies {
            Varies::Never => 1.0,
            Varies::Little => 0.8 + 0.4 * self.random.f64(),
            Varies::Much => -(1.0 - self.random.f64()).ln(),
        };
        let job = self.jobs.len();
        self.jobs.push(Job { pool, user, due, sent: now, work: work.s * factor, started: 0.0, ended: None, given_up: false });
        self.at(now + self.plan.timeout.as_secs_f64(), Event::GiveUp(job));
        self.queues[pool].push_back(job);
        self.work_on(pool, now);
    }

    fn work_on(&mut self, pool: usize, now: f64) {
        while self.busy[pool] < self.pools[pool].workers {
            let Some(job) = self.queues[pool].pop_front() else { return };
            self.busy[pool] += 1;
            self.jobs[job].started = now;
            self.worked[pool] += self.jobs[job].work.min(SECONDS - now);
            self.at(now + self.jobs[job].work, Event::Done { pool, job });
        }
    }

    /// A server works on what nobody waits for any longer, too.
    fn done(&mut self, pool: usize, job: usize, now: f64) {
        self.busy[pool] -= 1;
        self.work_on(pool, now);
        if !self.jobs[job].given_up {
            self.jobs[job].ended = Some(now);
            self.next(self.jobs[job].user, now);
        }
    }

    fn next(&mut self, user: usize, now: f64) {
        let think = self.plan.think;
        let (min, max) = (think.min.as_secs_f64(), think.max.as_secs_f64());
        let pause = min + (max - min) * self.random.f64();
        self.at(now + pause, Event::Free(user));
    }
}

/// What `plan` measures of a target whose entries of the mix are worked on by `pools`; `told`: it sends Server-Timing.
pub(super) fn simulate(plan: &LoadPlan, pools: Vec<Work>, told: bool) -> RunResult {
    let done = Simulation::new(plan, pools).run();
    let mut run = healthy();
    run.plan = plan.clone();
    run.duration_s = SECONDS;
    let answered: Vec<&Job> = done.jobs.iter().filter(|j| j.ended.is_some()).collect();
    let given_up = done.jobs.iter().filter(|j| j.given_up).count() as u64;
    let open = plan.is_open_loop();
    let latency_ms = |j: &Job| (j.ended.unwrap() - if open { j.due } else { j.sent }) * 1000.0;
    let t = &mut run.totals;
    (t.users_asked, t.users_reached, t.connections_opened) = (plan.users, plan.users, u64::from(plan.users));
    t.requests = answered.len() as u64;
    t.attempts = done.jobs.len() as u64 - given_up;
    t.cut = t.attempts - t.requests;
    t.never_started = if open { ((plan.rate * SECONDS).floor() as u64).saturating_sub(done.due) } else { 0 };
    t.rps = answered.len() as f64 / SECONDS;
    t.latency_ms = percentiles(answered.iter().map(|j| latency_ms(j)).collect());
    t.service_latency_ms = percentiles(answered.iter().map(|j| (j.ended.unwrap() - j.sent) * 1000.0).collect()).filter(|_| open);
    t.requests_per_connection = Some(t.requests as f64 / f64::from(plan.users));
    t.steady = Some(Steady { from_s: 0.0, to_s: None, rps: t.rps, latency_ms: t.latency_ms });
    run.endpoints = (0..plan.mix.len()).filter_map(|pool| of_path(plan, pool, &done, &answered, told, latency_ms)).collect();
    run.series = (0..SECONDS as u32).map(|i| of_second(plan, i, &answered, latency_ms)).collect();
    let cpu = done.pools.iter().zip(&done.worked).filter(|(p, _)| p.is_cpu);
    let (cores, worked) = cpu.fold((0, 0.0), |(n, s), (p, worked)| (n + p.workers, s + worked));
    let target = run.resources.target.as_mut().unwrap();
    let percent = worked / SECONDS * 100.0;
    (target.cpu_percent_mean, target.cpu_percent_max) = (Some(percent), Some(percent));
    target.busiest_thread_percent = Some(percent / cores.max(1) as f64);
    target.threads = Some(cores.max(1) as u32);
    if plan.target.own_server {
        target.name = "sockbench".into();
    }
    run.host.cpus = 4;
    if given_up > 0 {
        fail(&mut run, late(Phase::Waiting), given_up, plan.timeout.as_secs_f64(), SECONDS);
        let (requests, failures) = (run.totals.requests as f64, run.totals.failures);
        run.totals.rps = requests / SECONDS;
        run.totals.steady.as_mut().unwrap().rps = requests / SECONDS;
        run.endpoints[0].requests += failures;
        run.endpoints[0].failures = failures;
    }
    run
}

fn of_path(
    plan: &LoadPlan,
    pool: usize,
    done: &Simulation<'_>,
    answered: &[&Job],
    told: bool,
    latency_ms: impl Fn(&Job) -> f64,
) -> Option<sockbench::testing::model::Endpoint> {
    let here: Vec<&&Job> = answered.iter().filter(|j| j.pool == pool).collect();
    let latency = percentiles(here.iter().map(|j| latency_ms(j)).collect())?;
    let mut e = endpoint(&plan.mix[pool].path, here.len() as u64, latency.mean);
    (e.latency_ms, e.all_latency_ms, e.rps) = (Some(latency), Some(latency), here.len() as f64 / SECONDS);
    e.cut = done.jobs.iter().filter(|j| j.pool == pool && j.ended.is_none() && !j.given_up).count() as u64;
    let of = |f: &dyn Fn(&Job) -> f64| {
        let all = percentiles(here.iter().map(|j| f(j) * 1000.0).collect()).unwrap();
        PhaseMs { p50: all.p50, p99: all.p99 }
    };
    e.server_timing_ms = told.then(|| ServerTimingMs { queue: of(&|j| j.started - j.sent), work: of(&|j| j.work) });
    Some(e)
}

fn of_second(
    plan: &LoadPlan,
    i: u32,
    answered: &[&Job],
    latency_ms: impl Fn(&Job) -> f64,
) -> sockbench::testing::model::SeriesPoint {
    let from = f64::from(i);
    let here: Vec<f64> =
        answered.iter().filter(|j| (from..from + 1.0).contains(&j.ended.unwrap())).map(|j| latency_ms(j)).collect();
    let rps = here.len() as f64;
    let median = percentiles(here).map(|l| l.p50);
    let users = if plan.spawn_rate > 0.0 { ((from + 1.0) * plan.spawn_rate).ceil() as u32 } else { plan.users };
    let mut point = second(i, users.min(plan.users), rps, median.unwrap_or(0.0));
    point.p50_ms = median;
    point
}

fn percentiles(mut all: Vec<f64>) -> Option<LatencyMs> {
    all.sort_by(f64::total_cmp);
    let (min, max) = (*all.first()?, *all.last()?);
    let at = |q: f64| all[((q * all.len() as f64).ceil() as usize).clamp(1, all.len()) - 1];
    Some(LatencyMs {
        min,
        mean: all.iter().sum::<f64>() / all.len() as f64,
        p50: at(0.5),
        p66: at(0.66),
        p75: at(0.75),
        p80: at(0.8),
        p90: at(0.9),
        p95: at(0.95),
        p98: at(0.98),
        p99: at(0.99),
        p99_9: at(0.999),
        p99_99: at(0.9999),
        max,
    })
}
