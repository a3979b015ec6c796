//! One of several machines that share a plan: which part of it this machine has. All parts together are the plan, exactly:
//! the same users with the same seeds at the same time, the same arrivals, as many requests.

use super::LoadPlan;

/// What of a plan is divided.
#[apply(record)]
#[derive(Copy, Default)]
#[allow(missing_docs, reason = "named as in the plan")]
pub struct Whole {
    pub users: u32,
    pub spawn_rate: f64,
    pub rate: f64,
    pub requests: u64,
}

/// The part of one machine.
///
/// User, arrival and ticket `n` of the whole plan are those of shard `n % at_work`, so that ramp and schedule stay as even
/// as those of one machine.
#[apply(record)]
#[derive(Copy)]
pub struct Shard {
    /// which, from 1
    pub number: u32,
    /// of how many
    pub of: u32,
    /// how many of them have users and requests: the first ones
    pub at_work: u32,
    /// the plan of all of them
    pub whole: Whole,
}

impl Shard {
    /// Part `number` (from 1) of `of` of `whole`.
    pub fn new(number: u32, of: u32, whole: Whole) -> Self {
        debug_assert!((1..=of).contains(&number), "a number among the shards");
        let requests = if whole.requests == 0 { u64::MAX } else { whole.requests };
        let at_work = u64::from(of.min(whole.users)).min(requests).max(1) as u32;
        Self { number, of, at_work, whole }
    }

    /// There are fewer users or requests than shards, and none for this one.
    pub fn is_empty(&self) -> bool {
        !(1..=self.at_work).contains(&self.number)
    }

    /// How many of the first `total` of the whole plan are this shard's.
    pub fn part(&self, total: u64) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let at_work = u64::from(self.at_work.max(1));
        let (each, rest) = (total / at_work, total % at_work);
        each.saturating_add(u64::from(u64::from(self.number) <= rest))
    }

    /// The number in the whole plan of this shard's own number `n`, both from 0.
    pub fn in_whole(&self, n: u32) -> u32 {
        n.saturating_mul(self.at_work).saturating_add(self.number.saturating_sub(1))
    }
}

impl LoadPlan {
    /// What is divided among shards, of all of them.
    pub fn whole(&self) -> Whole {
        let own = Whole { users: self.users, spawn_rate: self.spawn_rate, rate: self.rate, requests: self.requests };
        self.shard.map_or(own, |shard| shard.whole)
    }

    /// The part of this plan that machine `number` (from 1) of `of` has.
    #[must_use]
    pub fn sharded(self, number: u32, of: u32) -> Self {
        let shard = Shard::new(number, of, self.whole());
        let users = shard.part(u64::from(self.users)) as u32;
        let share = if shard.is_empty() { 0.0 } else { 1.0 / f64::from(shard.at_work) };
        Self {
            users,
            spawn_rate: self.spawn_rate * share,
            rate: self.rate * share,
            requests: shard.part(self.requests),
            threads: self.threads.min(users).max(1),
            shard: Some(shard),
            ..self
        }
    }

    /// There is nothing for this shard to do.
    pub fn is_empty(&self) -> bool {
        self.shard.is_some_and(|shard| shard.is_empty())
    }

    /// The number in the whole plan of this machine's user or worker `n`, both from 0.
    pub fn in_whole(&self, n: u32) -> u32 {
        self.shard.map_or(n, |shard| shard.in_whole(n))
    }

    /// Of the first `total` users of the whole plan those of this machine.
    pub fn users_of(&self, total: u32) -> u32 {
        self.shard.map_or(total, |shard| shard.part(u64::from(total)) as u32)
    }

    /// Worker threads of all machines.
    pub fn threads_of_all(&self) -> u32 {
        self.threads.saturating_mul(self.shard.map_or(1, |shard| shard.at_work.max(1)))
    }

    /// This machine's share of the plan.
    pub fn share(&self) -> f64 {
        self.shard.map_or(1.0, |shard| if shard.is_empty() { 0.0 } else { 1.0 / f64::from(shard.at_work.max(1)) })
    }

    /// Requests that the schedule of an open loop asks of this machine within `seconds`.
    pub fn due_by(&self, seconds: f64) -> f64 {
        let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
        match self.shard {
            Some(shard) => shard.part(self.rate_course().until(seconds).ceil() as u64) as f64,
            None => self.rate_course().until(seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::plan::Target;

    fn plan(users: u32, rate: f64, requests: u64) -> LoadPlan {
        let target = Target::at(([127, 0, 0, 1], 80).into());
        LoadPlan { users, rate, requests, spawn_rate: 3.0, threads: 2.min(users), ..LoadPlan::new(target, Vec::new()) }
    }

    proptest! {
        /// A document may have any numbers: nobody divides by them, none runs over, and no part is more than the whole.
        #[test]
        fn a_shard_of_a_damaged_document_ends_nobody(
            number in prop_oneof![Just(0), Just(u32::MAX), any::<u32>()],
            of in prop_oneof![Just(0), any::<u32>()],
            at_work in prop_oneof![Just(0), Just(u32::MAX), any::<u32>()],
            total in prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>()],
            users in any::<u32>(),
        ) {
            let plan = plan(3, 100.0, 0);
            let shard = Shard { number, of, at_work, whole: plan.whole() };
            let plan = LoadPlan { shard: Some(shard), ..plan };
            prop_assert_eq!(shard.is_empty(), number == 0 || at_work == 0 || number > at_work);
            let is_part = |part: u64, of: u64| part <= of && (part == 0 || !shard.is_empty());
            prop_assert!(is_part(shard.part(total), total), "{} of {total}", shard.part(total));
            prop_assert!(is_part(plan.users_of(users).into(), users.into()));
            prop_assert!(is_part(plan.due_by(3.5) as u64, 350), "{}", plan.due_by(3.5));
            prop_assert!(plan.due_by(1e300).is_finite() && plan.due_by(f64::NAN) == 0.0);
            prop_assert!((0.0..=1.0).contains(&plan.share()) && (plan.share() > 0.0) != shard.is_empty());
            prop_assert!(plan.threads_of_all() >= plan.threads, "{}", plan.threads_of_all());
            let _ = plan.in_whole(u32::MAX);
        }

        #[test]
        fn any_number_of_shards_sums_to_the_plan(users in 1_u32..500, of in 1_u32..700, requests in 0_u64..2000, rate in 0.1_f64..1e6) {
            let whole = plan(users, rate, requests);
            let shards: Vec<LoadPlan> = (1..=of).map(|n| whole.clone().sharded(n, of)).collect();
            let (at_work, idle): (Vec<_>, Vec<_>) = shards.iter().partition(|s| !s.is_empty());
            prop_assert_eq!(at_work.iter().map(|s| s.users).sum::<u32>(), users);
            prop_assert_eq!(at_work.iter().map(|s| s.requests).sum::<u64>(), requests);
            prop_assert!((at_work.iter().map(|s| s.rate).sum::<f64>() / rate - 1.0).abs() < 1e-9);
            prop_assert!(at_work.iter().all(|s| s.users > 0 && (requests == 0 || s.requests > 0) && s.threads <= s.users));
            prop_assert!(idle.iter().all(|s| (s.users, s.requests, s.rate) == (0, 0, 0.0)));
            // Each user of the plan is in one shard, as the same number: with the same seed and start.
            let mut all: Vec<u32> = shards.iter().flat_map(|s| (0..s.users).map(|n| s.in_whole(n))).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..users).collect::<Vec<_>>());
            // So is each that has begun.
            for begun in [0, 1, users / 2, users] {
                prop_assert_eq!(shards.iter().map(|s| s.users_of(begun)).sum::<u32>(), begun);
            }
            let due: f64 = shards.iter().map(|s| s.due_by(3.5)).sum();
            prop_assert_eq!(due, (rate * 3.5).ceil());
            prop_assert!(shards.iter().all(|s| s.ramp() == whole.ramp() && s.whole() == whole.whole()));
        }
    }

    #[test]
    fn a_shard_without_users_is_empty_and_has_no_rate() {
        let last = plan(2, 10.0, 0).sharded(3, 3);
        assert!(last.is_empty());
        assert_eq!((last.users, last.rate, last.due_by(10.0)), (0, 0.0, 0.0));
        let first = plan(2, 10.0, 0).sharded(1, 3);
        assert_eq!((first.users, first.rate, first.due_by(1.0)), (1, 5.0, 5.0), "its rate is shared by those at work");
    }
}
