//! One run to several destinations: what each of them has of the plan. All parts together are the plan, exactly.
//!
//! A user belongs to one destination, as in Locust a user is of one class, with a host and a weight. A destination is an
//! address and a port: that is what has a pool of source ports.

use super::{LoadPlan, MixEntry, PortMode, PortRange, Target};
use crate::model::course::{Arrivals, LevelOf, Stage, Stages};
use crate::model::order::Order as _;

/// One of several destinations.
#[apply(record)]
pub struct Destination {
    /// where
    pub target: Target,
    /// its part of the load, relative to those of the others: the weights of its entries of the mix
    pub weight: u64,
}

/// What is asked of one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Aim {
    /// where
    pub target: Target,
    /// what; never empty
    pub mix: Vec<MixEntry>,
}

impl Aim {
    /// The weights of its entries.
    pub fn weight(&self) -> u64 {
        self.mix.iter().map(|entry| u64::from(entry.weight)).sum()
    }
}

/// What of a plan is divided in whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// users, or connections of a rate
    Users,
    /// users of a stage
    StageUsers,
    /// requests of a plan that ends after a number of them
    Requests,
    /// source ports that destinations cannot share
    Ports,
}

/// A destination for which nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undivided {
    /// of what
    pub what: Share,
    /// the place of the destination
    pub which: usize,
    /// how many there are
    pub total: u64,
    /// with so many each destination has one
    pub least: u64,
}

/// `total` divided by `weights`, of which one at least is more than 0: the parts sum to `total` exactly, and each is less
/// than 1 away from its exact part (largest remainder; of equal ones the first).
pub fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let all: u128 = weights.iter().map(|w| u128::from(*w)).sum();
    debug_assert!(all > 0, "somebody has a weight");
    let exact = |weight: &u64| u128::from(total) * u128::from(*weight);
    let mut parts: Vec<u64> = weights.iter().map(|w| (exact(w) / all.max(1)) as u64).collect();
    let left = total.saturating_sub(parts.iter().sum());
    let mut by_rest: Vec<usize> = (0..weights.len()).collect();
    by_rest.order_by_key(|at| (std::cmp::Reverse(exact(&weights[*at]) % all.max(1)), *at));
    by_rest.into_iter().take(left as usize).for_each(|at| parts[at] += 1);
    parts
}

impl LoadPlan {
    /// The load goes to several destinations.
    pub fn has_several_destinations(&self) -> bool {
        !self.destinations.is_empty()
    }

    /// This plan for several destinations, and the plan of each: users, stages, rate, bursts, requests and connections
    /// before the start by weight. Each has a thread, and a request of a burst, at least.
    ///
    /// Errors: a destination would have no user, no request or no source port.
    pub fn divided(self, aims: &[Aim]) -> Result<(Self, Vec<Self>), Undivided> {
        let weights: Vec<u64> = aims.iter().map(Aim::weight).collect();
        let by_weight = |what: Share, total: u64| match apportion(total, &weights) {
            parts if total > 0 => match parts.iter().position(|part| *part == 0) {
                Some(which) => Err(Undivided { what, which, total, least: least(&weights) }),
                None => Ok(parts),
            },
            none => Ok(none),
        };
        let stages = self.stages.as_ref().map(|stages| divided_stages(stages, &weights, by_weight)).transpose()?;
        // There are no more users than requests: too few requests are named first.
        let requests = by_weight(Share::Requests, self.requests)?;
        let users = by_weight(Share::Users, u64::from(self.users))?;
        let users = if self.requests >= u64::from(self.users) { with_work(users, &requests) } else { users };
        let bursts = match self.arrivals {
            Arrivals::Burst(n) => Some(apportion(u64::from(n), &weights)),
            Arrivals::Constant | Arrivals::Poisson => None,
        };
        let preconnects = self.preconnect.map(|n| apportion(u64::from(n), &weights));
        let more_threads = apportion(u64::from(self.threads).saturating_sub(aims.len() as u64), &weights);
        let ranges = match self.port_range.filter(|_| self.shares_bound_ports()) {
            Some(range) => Some(divided_range(range, &by_weight(Share::Ports, u64::from(range.count()))?)),
            None => None,
        };
        let all = weights.iter().sum::<u64>() as f64;
        let part = |(at, aim): (usize, &Aim)| {
            let share = weights[at] as f64 / all;
            let stages = stages.as_ref().map(|each| each[at].clone());
            // With stages of users, there are as many as in the highest.
            let peak = stages.as_ref().filter(|s| s.of == LevelOf::Users).map(|s| s.peak() as u32);
            let users = peak.unwrap_or(users[at] as u32).max(1);
            Self {
                target: aim.target.clone(),
                mix: aim.mix.clone(),
                users,
                spawn_rate: self.spawn_rate * share,
                rate: self.rate * share,
                arrivals: bursts.as_ref().map_or(self.arrivals, |each| Arrivals::Burst((each[at] as u32).max(1))),
                stages,
                requests: requests[at],
                preconnect: preconnects.as_ref().map(|each| each[at] as u32),
                threads: (1 + more_threads[at] as u32).min(users),
                port_range: ranges.as_ref().map_or(self.port_range, |each| Some(each[at])),
                // Users of two destinations do not pause alike.
                seed: self.seed.wrapping_add(at as u64),
                ..self.clone()
            }
        };
        let parts: Vec<Self> = aims.iter().enumerate().map(part).collect();
        let destinations = aims.iter().map(|aim| Destination { target: aim.target.clone(), weight: aim.weight() }).collect();
        let mix = aims.iter().flat_map(|aim| aim.mix.iter().map(|entry| entry.as_url(&aim.target.authority))).collect();
        let threads = parts.iter().map(|part| part.threads).sum();
        let target = aims.first().map_or(self.target.clone(), |aim| aim.target.clone());
        Ok((Self { target, destinations, mix, threads, ..self }, parts))
    }

    /// A port that is bound before the destination is known is taken for all of them, unless each socket says
    /// SO_REUSEADDR (measured in `tests/live`, `destinations`).
    fn shares_bound_ports(&self) -> bool {
        self.port_mode == PortMode::Ring && !self.reuse_addr
    }
}

/// The smallest number of which each part is 1 at least.
fn least(weights: &[u64]) -> u64 {
    let all: u64 = weights.iter().sum();
    weights.iter().filter(|w| **w > 0).map(|w| all.div_ceil(*w)).max().unwrap_or(1)
}

/// No destination has more users than requests: those left over go where there are most requests without a user.
fn with_work(mut users: Vec<u64>, requests: &[u64]) -> Vec<u64> {
    let mut left = 0;
    for (users, requests) in users.iter_mut().zip(requests) {
        left += users.saturating_sub(*requests);
        *users = (*users).min(*requests);
    }
    while left > 0 {
        let room = |at: &usize| requests[*at] - users[*at];
        let Some(most) = (0..users.len()).rev().max_by_key(room).filter(|at| room(at) > 0) else { break };
        users[most] += 1;
        left -= 1;
    }
    users
}

/// Each level is divided by itself.
fn divided_stages(
    stages: &Stages,
    weights: &[u64],
    by_weight: impl Fn(Share, u64) -> Result<Vec<u64>, Undivided>,
) -> Result<Vec<Stages>, Undivided> {
    let all = weights.iter().sum::<u64>() as f64;
    let level = |stage: &Stage| match stages.of {
        LevelOf::Users => {
            by_weight(Share::StageUsers, stage.to as u64).map(|each| each.into_iter().map(|users| users as f64).collect())
        }
        LevelOf::Rate => Ok(weights.iter().map(|w| stage.to * *w as f64 / all).collect()),
    };
    let levels: Vec<Vec<f64>> = stages.each.iter().map(level).collect::<Result<_, _>>()?;
    let of = |at: usize| Stages {
        of: stages.of,
        each: stages.each.iter().zip(&levels).map(|(stage, to)| Stage { duration: stage.duration, to: to[at] }).collect(),
    };
    Ok((0..weights.len()).map(of).collect())
}

/// Stretches of `range` of these lengths, one after the other.
fn divided_range(range: PortRange, lengths: &[u64]) -> Vec<PortRange> {
    let mut next = u32::from(range.lo);
    let stretch = |length: &u64| {
        let lo = next;
        next += *length as u32;
        PortRange { lo: lo as u16, hi: (next - 1) as u16 }
    };
    lengths.iter().map(stretch).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn aims(weights: &[u32]) -> Vec<Aim> {
        let aim = |(at, weight): (usize, &u32)| Aim {
            target: Target::at(([127, 0, 0, 1], 8000 + at as u16).into()),
            mix: vec![MixEntry { path: "/a".into(), weight: *weight }],
        };
        weights.iter().enumerate().map(aim).collect()
    }

    fn plan(users: u32, requests: u64, rate: f64) -> LoadPlan {
        let target = Target::at(([127, 0, 0, 1], 80).into());
        LoadPlan { users, requests, rate, spawn_rate: 3.0, threads: 4.min(users), ..LoadPlan::new(target, Vec::new()) }
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole_and_are_less_than_one_away(
            total in prop_oneof![0_u64..5000, any::<u64>()],
            weights in prop::collection::vec(prop_oneof![1_u64..20, 1_u64..=u64::from(u32::MAX)], 1..16),
        ) {
            let parts = apportion(total, &weights);
            prop_assert_eq!(parts.iter().map(|p| u128::from(*p)).sum::<u128>(), u128::from(total));
            let all: u128 = weights.iter().map(|w| u128::from(*w)).sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = u128::from(total) * u128::from(*weight);
                prop_assert!((u128::from(*part) * all).abs_diff(exact) < all, "{part} of {total} by {weights:?}");
            }
            let enough = least(&weights);
            if enough < 1 << 40 {
                prop_assert!(apportion(enough, &weights).iter().all(|part| *part > 0), "{enough} by {weights:?}");
            }
        }

        #[test]
        fn destinations_have_all_that_was_asked_for_together(
            weights in prop::collection::vec(1_u32..50, 2..8),
            users in 1_u32..2000, requests in 0_u64..5000, rate in prop_oneof![Just(0.0), 1.0_f64..1e5],
            preconnect in prop::option::of(0_u32..500), stage_users in 1_u32..500,
        ) {
            let (of, each) = if rate > 0.0 { (LevelOf::Rate, rate) } else { (LevelOf::Users, f64::from(stage_users)) };
            let each = vec![Stage { duration: Duration::from_secs(1), to: each }, Stage { duration: Duration::ZERO, to: 7.0 }];
            let whole = LoadPlan { preconnect, stages: Some(Stages { of, each }), ..plan(users, requests, rate) };
            let least = least(&weights.iter().map(|w| u64::from(*w)).collect::<Vec<_>>());
            let (joint, parts) = match whole.clone().divided(&aims(&weights)) {
                Ok(divided) => divided,
                Err(e) => {
                    prop_assert!(e.total < least && e.least == least && e.what != Share::Ports, "{e:?}");
                    return Ok(());
                }
            };
            let sum = |of: &dyn Fn(&LoadPlan) -> f64| parts.iter().map(of).sum::<f64>();
            let alike = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs();
            prop_assert_eq!(parts.iter().map(|p| p.requests).sum::<u64>(), requests);
            prop_assert!(alike(sum(&|p| p.rate), rate) && alike(sum(&|p| p.spawn_rate), 3.0));
            for (at, stage) in whole.stages.as_ref().expect("stages").each.iter().enumerate() {
                prop_assert!(alike(sum(&|p| p.stages.as_ref().expect("stages").each[at].to), stage.to));
            }
            if let Some(n) = preconnect {
                prop_assert_eq!(parts.iter().filter_map(|p| p.preconnect).sum::<u32>(), n);
            }
            prop_assert!(parts.iter().all(|p| p.users >= 1 && (1..=p.users).contains(&p.threads)));
            prop_assert_eq!(parts.iter().map(|p| p.threads).sum::<u32>(), joint.threads);
            prop_assert!(parts.iter().all(|p| (p.requests > 0) == (requests > 0) && !p.has_several_destinations()));
            let paths: Vec<&str> = joint.mix.iter().map(|m| m.path.as_str()).collect();
            prop_assert!(paths.iter().zip(&parts).all(|(path, part)| **path == part.url_of("/a")), "{paths:?}");
            if rate > 0.0 {
                prop_assert_eq!(parts.iter().map(|p| p.users).sum::<u32>(), users);
            }
        }
    }

    proptest! {
        #[test]
        fn no_destination_has_more_users_than_requests(
            weights in prop::collection::vec(1_u32..50, 2..8), users in 1_u32..300, more in 0_u64..40,
        ) {
            let requests = u64::from(users) + more;
            let Ok((_, parts)) = plan(users, requests, 0.0).divided(&aims(&weights)) else { return Ok(()) };
            prop_assert!(parts.iter().all(|p| u64::from(p.users) <= p.requests), "{parts:?}");
            prop_assert_eq!(parts.iter().map(|p| p.users).sum::<u32>(), users);
        }
    }

    #[test]
    fn a_burst_is_divided_and_no_stage_leaves_a_destination_out() {
        let burst = |n: u32| LoadPlan { arrivals: Arrivals::Burst(n), ..plan(10, 0, 100.0) };
        let arrivals = |n: u32| {
            let (joint, parts) = burst(n).divided(&aims(&[3, 1])).expect("divided");
            assert_eq!(joint.arrivals, Arrivals::Burst(n));
            parts.iter().map(|p| p.arrivals).collect::<Vec<_>>()
        };
        assert_eq!(arrivals(20), [Arrivals::Burst(15), Arrivals::Burst(5)]);
        assert_eq!(arrivals(1), [Arrivals::Burst(1), Arrivals::Burst(1)], "one at least");
        let stages = |levels: &[f64]| {
            let each = levels.iter().map(|to| Stage { duration: Duration::from_secs(1), to: *to }).collect();
            let whole = LoadPlan { stages: Some(Stages { of: LevelOf::Users, each }), ..plan(8, 0, 0.0) };
            whole.divided(&aims(&[3, 1])).map(|(_, parts)| parts.len())
        };
        assert_eq!(stages(&[8.0, 4.0, 0.0]), Ok(2), "a level of nobody is of nobody");
        assert_eq!(stages(&[8.0, 1.0]), Err(Undivided { what: Share::StageUsers, which: 1, total: 1, least: 4 }));
    }

    /// `-n 1` leaves one user: more users would not help.
    #[test]
    fn too_few_requests_are_named_before_the_users_that_they_allow() {
        for (users, requests) in [(1, 1), (2, 2)] {
            let without = plan(users, requests, 0.0).divided(&aims(&[1, 1, 1])).unwrap_err();
            assert_eq!((without.what, without.least), (Share::Requests, 3), "-n {requests}");
        }
    }

    #[test]
    fn a_user_for_whom_no_request_is_left_goes_where_one_is() {
        let (_, parts) = plan(10, 11, 0.0).divided(&aims(&[6, 6, 2])).expect("divided");
        assert_eq!(parts.iter().map(|p| (p.users, p.requests)).collect::<Vec<_>>(), [(5, 5), (4, 5), (1, 1)]);
    }

    #[test]
    fn a_ring_is_divided_unless_its_ports_can_be_bound_twice() {
        let range = Some(PortRange { lo: 10_000, hi: 10_009 });
        let ring = LoadPlan { port_mode: PortMode::Ring, port_range: range, ..plan(10, 0, 0.0) };
        let ranges = |plan: LoadPlan| {
            let (_, parts) = plan.divided(&aims(&[9, 1])).expect("divided");
            parts.iter().map(|p| p.port_range.map(|r| (r.lo, r.hi))).collect::<Vec<_>>()
        };
        assert_eq!(ranges(ring.clone()), [Some((10_000, 10_008)), Some((10_009, 10_009))]);
        let both = Some((10_000, 10_009));
        assert_eq!(ranges(LoadPlan { reuse_addr: true, ..ring.clone() }), [both, both]);
        assert_eq!(ranges(LoadPlan { port_mode: PortMode::Range, ..ring.clone() }), [both, both]);
        let few = LoadPlan { port_range: Some(PortRange { lo: 10_000, hi: 10_001 }), ..ring };
        let none = few.divided(&aims(&[9, 1])).expect_err("two ports by 9 to 1");
        assert_eq!(none, Undivided { what: Share::Ports, which: 1, total: 2, least: 10 });
    }
}
