//! What is advised for a full target, followed in a simulation of it: the promised figures come true, and the run that
//! follows needs no lighter load again.

use std::time::Duration;

use proptest::prelude::*;
use sockbench::testing::diagnose::diagnose;
use sockbench::testing::model::{FindingId as Id, LoadPlan, Metric, MixEntry, Remedy, RunResult, Target, Think};
use sockbench::testing::remedy::promise::measured;

use super::simulated::{Varies, Work, simulate};
use super::typed::read;

/// Fewer answers have no median to speak of.
const ANSWERS: u64 = 40;
/// Enough for each kind; 400 passed when the arithmetic was written.
const CASES: u32 = 40;

/// A target and the load on it.
#[derive(Debug, Clone)]
struct Case {
    plan: LoadPlan,
    works: Vec<Work>,
    is_told: bool,
}

impl Case {
    fn own(path: &str, workers: usize, work_ms: u64, varies: Varies) -> Self {
        let mut plan = LoadPlan::new(Target::own(([127, 0, 0, 1], 8080).into()), Vec::new());
        plan.mix = vec![MixEntry { path: path.into(), weight: 1 }];
        plan.duration = Duration::from_secs(60);
        let is_cpu = path == "/cpu";
        let flag = if is_cpu { "cpu-workers" } else { "io-workers" };
        plan.environment.server = vec![format!("{flag}={workers}")].try_into().unwrap();
        let work = Work { workers, s: work_ms as f64 / 1000.0, varies, is_cpu };
        Self { plan, works: vec![work], is_told: true }
    }

    /// Another program, which sends no Server-Timing; it queues behind `workers` locks, or threads that use a core each.
    fn foreign(workers: usize, work_ms: u64, is_cpu: bool) -> Self {
        let mut case = Self::own("/", workers, work_ms, Varies::Little);
        case.plan.target = Target::at(([127, 0, 0, 1], 8080).into());
        case.plan.environment = sockbench::testing::model::Environment::default();
        case.works[0].is_cpu = is_cpu;
        Self { is_told: false, ..case }
    }

    fn closed(mut self, users: u32, think_ms: (u64, u64)) -> Self {
        self.plan.users = users;
        self.plan.think = Think::uniform(Duration::from_millis(think_ms.0), Duration::from_millis(think_ms.1));
        self
    }

    fn open(mut self, rate: f64) -> Self {
        (self.plan.rate, self.plan.think) = (rate, Think::default());
        self
    }

    fn measure(&self) -> RunResult {
        simulate(&self.plan, self.works.clone(), self.is_told)
    }

    /// The case after the command of a remedy; none where it is no load run.
    fn following(&self, remedy: &Remedy) -> Option<Self> {
        if !remedy.command.starts_with("sockbench load") {
            return None;
        }
        let plan = read(&remedy.command, &self.plan).unwrap();
        let flags = &plan.environment.server;
        let works = self.works.iter().zip(&plan.mix).map(|(work, entry)| match entry.path.as_str() {
            "/cpu" => Work { workers: flags.cpu_workers.unwrap_or(work.workers), ..*work },
            "/io" => Work { workers: flags.io_workers.unwrap_or(work.workers), ..*work },
            _ => *work,
        });
        Some(Self { works: works.collect(), plan: plan.clone(), is_told: self.is_told })
    }
}

/// Remedies of the findings about a full target.
fn advised(run: &RunResult) -> Vec<(Id, Remedy)> {
    let full = [Id::TargetQueueing, Id::TargetCpuSaturated, Id::UsersNotReached];
    let found = diagnose(run).into_iter().filter(|f| full.contains(&f.id));
    found.flat_map(|f| f.remedies.into_iter().map(move |r| (f.id, r))).collect()
}

/// Those that lower the load.
fn lighter(case: &Case, run: &RunResult) -> Vec<Remedy> {
    let is_lighter = |remedy: &Remedy| {
        let Some(next) = case.following(remedy) else { return false };
        let (before, after) = (&case.plan, &next.plan);
        remedy.predicts.iter().any(|p| matches!(p.metric, Metric::LatencyP50Ms | Metric::NeverStarted))
            && (after.users < before.users || after.rate < before.rate || after.think.min > before.think.min)
    };
    advised(run).into_iter().map(|(_, r)| r).filter(is_lighter).collect()
}

/// Every promise of a run, and where the advice leads; the words say what is wrong.
fn check(case: &Case) -> Result<(), String> {
    let run = case.measure();
    for (id, remedy) in advised(&run) {
        let Some(next) = case.following(&remedy).filter(|_| !remedy.predicts.is_empty()) else { continue };
        let followed = next.measure();
        for promised in &remedy.predicts {
            if promised.metric == Metric::LatencyP50Ms && followed.totals.requests < ANSWERS {
                continue;
            }
            let got = measured(&followed, promised).ok_or_else(|| format!("{}: no {promised:?}", id.word()))?;
            // Whole requests at the ends of the minute.
            let edge = if promised.metric == Metric::NeverStarted { 1.0 } else { 0.0 };
            if !promised.is_kept_by(got) && !promised.is_kept_by(got - edge) {
                return Err(format!("{}: {}: {got} is not {}: {promised:?}", id.word(), remedy.command, remedy.expected));
            }
        }
    }
    let (mut now, mut run, mut path) = (case.clone(), run, Vec::new());
    for _ in 0..2 {
        let Some(remedy) = lighter(&now, &run).pop() else { return Ok(()) };
        now = now.following(&remedy).unwrap();
        run = now.measure();
        path.push(remedy.action);
    }
    match lighter(&now, &run).pop() {
        None => Ok(()),
        Some(again) => Err(format!("still lighter after {path:?}: {}", again.action)),
    }
}

/// 60 users of two workers of 100 ms: two users leave no queue, and no other number is advised.
#[test]
fn sixty_users_of_two_workers_are_told_to_be_two() {
    let case = Case::own("/cpu", 2, 100, Varies::Never).closed(60, (0, 0));
    let run = case.measure();
    let all = lighter(&case, &run);
    assert!(!all.is_empty());
    for remedy in all {
        assert_eq!(case.following(&remedy).unwrap().plan.users, 2, "{remedy:?}");
    }
    check(&case).unwrap();
    // Half of the requests or more time out: they were asked for, and are no capacity.
    let mut late = case;
    late.plan.timeout = Duration::from_millis(2900);
    let run = late.measure();
    assert!(run.totals.failures > 0, "{:?}", run.totals);
    for remedy in lighter(&late, &run) {
        assert!(late.following(&remedy).unwrap().plan.users <= 2, "{remedy:?}");
    }
    check(&late).unwrap();
}

/// Fifty workers take fifty users, not 49.
#[test]
fn a_pool_takes_as_many_users_as_it_has_workers() {
    for workers in [1, 3, 50, 100] {
        let case = Case::own("/io", workers, 200, Varies::Never).closed(workers as u32 * 3, (0, 0));
        let all = lighter(&case, &case.measure());
        let users: Vec<u32> = all.iter().map(|r| case.following(r).unwrap().plan.users).collect();
        assert_eq!(users, [workers as u32], "{all:?}");
        check(&case).unwrap();
    }
}

/// One lock behind a threaded server: only the quickest answer is known.
#[test]
fn a_lock_behind_another_program() {
    let mut case = Case::foreign(1, 20, false).closed(40, (0, 0));
    case.plan.spawn_rate = 2.0;
    assert!(!lighter(&case, &case.measure()).is_empty(), "it queues by growth");
    check(&case).unwrap();
    check(&Case::foreign(1, 20, true).closed(40, (0, 0))).unwrap();
    check(&Case::foreign(1, 20, true).closed(90, (1000, 1000))).unwrap();
}

/// Work that varies much makes requests wait at a constant pace too: 70 % of what one worker did would leave the median at
/// twice the response without a queue, which is the most that is promised.
#[test]
fn a_constant_pace_of_work_that_varies_much() {
    for rate in [10.1, 10.6, 11.0, 15.0, 30.0] {
        check(&Case::own("/cpu", 1, 100, Varies::Much).closed(19, (0, 0)).open(rate)).unwrap();
    }
}

/// A mix whose requests meet a queue at one of its endpoints only.
#[test]
fn a_mix_with_one_full_endpoint() {
    let mut case = Case::own("/io", 2, 50, Varies::Little).closed(40, (0, 0));
    case.plan.mix.push(MixEntry { path: "/health".into(), weight: 3 });
    case.works.push(Work { workers: 1000, s: 0.001, varies: Varies::Never, is_cpu: false });
    assert!(!lighter(&case, &case.measure()).is_empty());
    check(&case).unwrap();
    check(&case.clone().closed(60, (100, 500))).unwrap();
    check(&case.open(400.0)).unwrap();
}

fn cases() -> impl Strategy<Value = Case> {
    let think = prop::sample::select(vec![(0, 0), (5, 5), (0, 50), (1000, 1000), (100, 500)]);
    let varies = prop::sample::select(vec![Varies::Never, Varies::Little, Varies::Much]);
    let path = prop::sample::select(vec!["/cpu", "/io", "/"]);
    let work = prop::sample::select(vec![20_u64, 100, 400]);
    let rate = prop::option::weighted(0.3, 0.3..3.0_f64);
    (path, 1..=4_usize, work, varies, 1..=100_u32, think, rate, 2.0..40.0_f64).prop_map(
        |(path, workers, work_ms, varies, users, think, rate, ramp)| {
            let mut case = match path {
                "/" => Case::foreign(workers, work_ms, workers == 1),
                _ => Case::own(path, workers, work_ms, varies),
            };
            case = case.closed(users, think);
            if let Some(share) = rate {
                let capacity = workers as f64 / case.works[0].s;
                return case.open((share * capacity * 10.0).ceil() / 10.0);
            }
            if path == "/" {
                case.plan.spawn_rate = (f64::from(users) / ramp).ceil();
            }
            case
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn advice_about_a_full_target_converges(case in cases()) {
        if let Err(wrong) = check(&case) {
            return Err(TestCaseError::fail(wrong));
        }
    }
}
