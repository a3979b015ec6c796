//! How many users there are to be: an absolute target for each class of users, at any time. The plan's course says so, with the
//! whole mix as one class, or somebody else while the run goes on.
//!
//! The workers follow: they start users that are missing, and retire the latest of those that are too many. A user that
//! retires ends the request that it has in flight first, so that no request is lost or counted twice.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::pacer;
use crate::model::course::Course;
use crate::model::outcome::EndpointId;
use crate::model::plan::LoadPlan;
use crate::model::time::Stamp;

/// How often the workers look at what somebody else has set.
const LOOK: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub struct Steering {
    classes: Vec<Class>,
    over: AtomicBool,
}

#[derive(Debug)]
struct Class {
    /// what its users ask for; none: the whole mix, by its weights
    endpoint: Option<EndpointId>,
    target: Target,
    at_work: AtomicU32,
}

#[derive(Debug)]
enum Target {
    /// the plan's, of all machines
    Course(Course),
    /// somebody else's, of this machine
    Set(AtomicU32),
}

impl Class {
    fn new(endpoint: Option<EndpointId>, target: Target) -> Self {
        Self { endpoint, target, at_work: AtomicU32::new(0) }
    }

    fn set(&self, users: u32) {
        if let Target::Set(target) = &self.target {
            target.store(users, Ordering::Relaxed);
        }
    }

    fn asked(&self, plan: &LoadPlan, now: Stamp) -> u32 {
        match &self.target {
            Target::Course(course) => plan.users_of(course.users_at(now.as_secs_f64())),
            Target::Set(target) => target.load(Ordering::Relaxed),
        }
    }
}

impl Steering {
    /// One class for each entry: what its users ask for; none for the whole mix. No class has users yet.
    pub fn new(classes: &[Option<EndpointId>]) -> Self {
        let classes = classes.iter().map(|endpoint| Class::new(*endpoint, Target::Set(AtomicU32::new(0))));
        Self { classes: classes.collect(), over: AtomicBool::new(false) }
    }

    /// By the plan alone.
    pub(super) fn of(plan: &LoadPlan) -> Self {
        Self { classes: vec![Class::new(None, Target::Course(plan.users_course()))], over: AtomicBool::new(false) }
    }

    /// `class` is to have this many users, over all workers.
    pub fn set(&self, class: usize, users: u32) {
        self.classes[class].set(users);
    }

    /// No users any more: the run ends when the last has ended its request.
    pub fn end(&self) {
        self.classes.iter().for_each(|c| c.set(0));
        self.over.store(true, Ordering::Relaxed);
    }

    /// Users of `class` at work now, those that retire left out.
    pub fn at_work(&self, class: usize) -> u32 {
        self.classes[class].at_work.load(Ordering::Relaxed)
    }

    /// The same of all classes.
    pub(super) fn all_at_work(&self) -> u32 {
        self.classes.iter().fold(0, |sum, c| sum.saturating_add(c.at_work.load(Ordering::Relaxed)))
    }

    /// Users that all classes together are to have at `now`.
    pub(super) fn asked(&self, plan: &LoadPlan, now: Stamp) -> u32 {
        self.classes.iter().fold(0, |sum, c| sum.saturating_add(c.asked(plan, now)))
    }

    /// When another number may be asked for, after `now`.
    pub(super) fn next_look(&self, now: Stamp) -> Stamp {
        let next = self.classes.iter().map(|class| match &class.target {
            Target::Course(course) => Stamp::after_secs(course.next_change(now.as_secs_f64())),
            Target::Set(_) => now.plus(LOOK),
        });
        next.min().unwrap_or(Stamp::NEVER)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn classes(&self) -> usize {
        self.classes.len()
    }

    pub(super) fn endpoint(&self, class: usize) -> Option<EndpointId> {
        self.classes[class].endpoint
    }

    /// How many users of `class` are worker `worker`'s at `now`. The first users of different classes go to different workers.
    pub(super) fn share(&self, class: usize, plan: &LoadPlan, worker: u32, now: Stamp) -> usize {
        let place = (worker + class as u32) % plan.threads;
        pacer::share(self.classes[class].asked(plan, now), place, plan.threads) as usize
    }

    pub(super) fn note_start(&self, class: usize) {
        self.classes[class].at_work.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_retirement(&self, class: usize) {
        self.classes[class].at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::course::{LevelOf, Stage, Stages};
    use crate::model::plan;

    fn plan(threads: u32) -> LoadPlan {
        LoadPlan { threads, ..LoadPlan::new(plan::Target::at(([10, 0, 0, 1], 80).into()), Vec::new()) }
    }

    #[test]
    fn the_shares_of_all_workers_add_up_to_the_target() {
        let steering = Steering::new(&[None, Some(EndpointId(1)), Some(EndpointId(0))]);
        for workers in 1..5 {
            for users in 0..12 {
                for class in 0..3 {
                    steering.set(class, users);
                    let shares: Vec<usize> =
                        (0..workers).map(|w| steering.share(class, &plan(workers), w, Stamp::ZERO)).collect();
                    assert_eq!(shares.iter().sum::<usize>(), users as usize, "{shares:?}");
                    assert!(shares.iter().max() <= shares.iter().min().map(|least| least + 1).as_ref(), "{shares:?}");
                }
            }
        }
        (0..3).for_each(|class| steering.set(class, 1));
        let firsts = [0, 1, 2].map(|w| (0..3).map(|class| steering.share(class, &plan(3), w, Stamp::ZERO)).sum::<usize>());
        assert_eq!(firsts, [1, 1, 1], "one user each");
        steering.end();
        assert!(steering.is_over() && steering.asked(&plan(3), Stamp::ZERO) == 0);
    }

    #[test]
    fn the_stages_of_a_plan_are_such_a_target_for_each_machine() {
        let each = [(2, 4.0), (0, 1.0)].map(|(s, to)| Stage { duration: Duration::from_secs(s), to }).to_vec();
        let whole = LoadPlan { users: 4, stages: Some(Stages { of: LevelOf::Users, each }), ..plan(1) };
        let halves = [1, 2].map(|number| whole.clone().sharded(number, 2));
        let steering = Steering::of(&whole);
        let at = |plan: &LoadPlan, ms| steering.asked(plan, Stamp::from_millis(ms));
        assert_eq!([0, 600, 1900, 2000].map(|ms| at(&whole, ms)), [1, 2, 4, 1]);
        assert_eq!([0, 600, 1900, 2000].map(|ms| [at(&halves[0], ms), at(&halves[1], ms)]), [[1, 0], [1, 1], [2, 2], [1, 0]]);
        assert_eq!(steering.next_look(Stamp::ZERO), Stamp::from_millis(500), "the second user");
        assert_eq!(steering.next_look(Stamp::from_millis(2000)), Stamp::NEVER);
    }
}
