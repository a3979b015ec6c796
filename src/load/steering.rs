//! Users that somebody else decides on while the run goes on: an absolute target for each class of users, at any time.
//!
//! The workers follow: they start users that are missing, and retire the latest of those that are too many. A user that
//! retires ends the request that it has in flight first, so that no request is lost or counted twice.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::model::outcome::EndpointId;

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
    target: AtomicU32,
    at_work: AtomicU32,
}

impl Steering {
    /// One class for each entry: what its users ask for; none for the whole mix. No class has users yet.
    pub fn new(classes: &[Option<EndpointId>]) -> Self {
        let class =
            |endpoint: &Option<EndpointId>| Class { endpoint: *endpoint, target: AtomicU32::new(0), at_work: AtomicU32::new(0) };
        Self { classes: classes.iter().map(class).collect(), over: AtomicBool::new(false) }
    }

    /// `class` is to have this many users, over all workers.
    pub fn set(&self, class: usize, users: u32) {
        self.classes[class].target.store(users, Ordering::Relaxed);
    }

    /// No users any more: the run ends when the last has ended its request.
    pub fn end(&self) {
        self.classes.iter().for_each(|c| c.target.store(0, Ordering::Relaxed));
        self.over.store(true, Ordering::Relaxed);
    }

    /// Users of `class` at work now, those that retire left out.
    pub fn at_work(&self, class: usize) -> u32 {
        self.classes[class].at_work.load(Ordering::Relaxed)
    }

    /// Users that all classes together are to have.
    pub(super) fn asked(&self) -> u32 {
        self.classes.iter().fold(0, |sum, c| sum.saturating_add(c.target.load(Ordering::Relaxed)))
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

    /// How many users of `class` are worker `worker`'s, of `workers`. The first users of different classes go to different
    /// workers.
    pub(super) fn share(&self, class: usize, worker: u32, workers: u32) -> usize {
        let place = (worker + class as u32) % workers;
        let target = self.classes[class].target.load(Ordering::Relaxed);
        target.saturating_sub(place).div_ceil(workers) as usize
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

    #[test]
    fn the_shares_of_all_workers_add_up_to_the_target() {
        let steering = Steering::new(&[None, Some(EndpointId(1)), Some(EndpointId(0))]);
        for workers in 1..5 {
            for users in 0..12 {
                for class in 0..3 {
                    steering.set(class, users);
                    let shares: Vec<usize> = (0..workers).map(|w| steering.share(class, w, workers)).collect();
                    assert_eq!(shares.iter().sum::<usize>(), users as usize, "{shares:?}");
                    assert!(shares.iter().max() <= shares.iter().min().map(|least| least + 1).as_ref(), "{shares:?}");
                }
            }
        }
        (0..3).for_each(|class| steering.set(class, 1));
        let firsts = [0, 1, 2].map(|w| (0..3).map(|class| steering.share(class, w, 3)).sum::<usize>());
        assert_eq!(firsts, [1, 1, 1], "one user each");
        steering.end();
        assert!(steering.is_over() && steering.asked() == 0);
    }
}
