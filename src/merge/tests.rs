use proptest::prelude::*;

use super::*;
use crate::model::course::{LevelOf, Stage, Stages};
use crate::model::document;
use crate::model::finding::FindingId;
use crate::model::outcome::{Call, Cause, EADDRNOTAVAIL, EndpointId, Failure, Outcome, Sample};
use crate::model::result::{Ports, RunStamp, VerdictId};
use crate::model::time::Stamp;
use crate::stats::aggregate::Aggregate;
use crate::stats::fixture;
use crate::stats::interval::EndpointSecond;
use crate::stats::recorder::Recorder;
use crate::stats::sparse::{Bin, Sparse};

const OK: Outcome = Outcome::Answered { status: 200 };

/// A machine that made these requests (when each began, how long it took, milliseconds) within 4 s.
fn part(number: u32, of: u32, started_at: &str, requests: &[(u64, u64, Outcome)]) -> Part {
    let mut plan = fixture::plan();
    (plan.spawn_rate, plan.duration, plan.users) = (0.0, std::time::Duration::from_secs(4), 9);
    plan.target.own_server = false;
    let plan = LoadPlan { threads: 1, ..plan.sharded(number, of) };
    let mut run = fixture::blank(&plan);
    (run.started_at, run.host.name) = (started_at.into(), Some(format!("w{number}")));
    let mut recorder = Recorder::new(plan.mix.len(), std::time::Duration::ZERO, false);
    let mut requests = requests.to_vec();
    requests.sort_by_key(|(began, took, _)| began + took);
    for (began, took, outcome) in requests {
        let ended = Stamp::from_millis(began + took);
        recorder.record_attempt(ended);
        if outcome == OK {
            recorder.record_setup(ended, 100);
        }
        recorder.record(&Sample {
            endpoint: EndpointId(u16::try_from(began % 3).unwrap()),
            intended: None,
            started: Stamp::from_millis(began),
            connected: None,
            sent: Some(Stamp::from_millis(began)),
            first_byte: Some(ended),
            ended,
            outcome,
            bytes_in: 100,
            body_bytes: 21,
            bytes_out: 50,
            server_timing_us: None,
        });
    }
    recorder.roll_to(Stamp::from_millis(4000));
    let seconds: Vec<Interval> = recorder.drain_intervals().collect();
    let mut aggregate = Aggregate::new(&plan);
    for second in &seconds {
        aggregate.add_interval(second.clone());
    }
    aggregate.add_worker(recorder.finish(Stamp::from_millis(4000)));
    aggregate.fill(&mut run, plan.duration, &[(0, plan.users, plan.users)]);
    run.totals.users_reached = plan.users;
    let used = if run.totals.local_failures > 0 { 100 } else { 3 };
    let share = Some(f64::from(used) / 100.0);
    run.ports = Some(Ports { pool: Some(100), peak_used: Some(used), peak_share: share, ..Ports::default() });
    crate::diagnose::settle(&mut run);
    Part { from: format!("run-{number}"), run, seconds }
}

fn three() -> Vec<Part> {
    let no_port = Outcome::Local(Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL)));
    let busy = Outcome::Failed(Failure::new(Call::Http, Cause::Status(503)));
    let many = |took: u64, last: Outcome| -> Vec<(u64, u64, Outcome)> {
        (0..90).map(|n| (n * 40, took + n % 7, if n % 9 == 8 { last } else { OK })).collect()
    };
    vec![
        part(1, 3, "2026-11-24T10:00:00.100Z", &many(10, OK)),
        part(2, 3, "2026-11-24T10:00:00Z", &many(20, busy)),
        part(3, 3, "2026-11-24T10:00:01.900Z", &many(30, no_port)),
    ]
}

fn merged(parts: Vec<Part>) -> Merged {
    merge(parts, "sockbench merge".into()).unwrap()
}

#[test]
fn three_machines_are_the_sum_of_each() {
    let parts = three();
    let sum = |of: fn(&RunResult) -> u64| parts.iter().map(|p| of(&p.run)).sum::<u64>();
    let all = merged(parts.clone());
    let t = &all.run.totals;
    assert_eq!(t.attempts, sum(|r| r.totals.attempts));
    assert_eq!((t.requests, t.failures, t.local_failures), (260, 10, 10));
    assert_eq!(t.users_asked, 9);
    assert_eq!((all.run.plan.users, all.run.plan.shard), (9, None), "the plan that was divided");
    let logged: u64 = all.seconds.iter().map(|s| s.counts().requests).sum();
    assert_eq!(logged, t.requests);
    // The same latencies in one recorder.
    let mut dense = Dense::new(LATENCY_DIGITS);
    parts.iter().flat_map(|p| &p.seconds).flat_map(|s| &s.endpoints).for_each(|e| dense.add_sparse(&e.answered));
    assert_eq!(t.latency_ms, dense.latency_ms());
    // The third began two seconds later.
    assert_eq!(all.run.machines.iter().map(|m| m.from_s).collect::<Vec<_>>(), [0, 0, 2]);
    assert_eq!((all.run.duration_s, all.run.series.len()), (6.0, 6));
    let series: f64 = all.run.series.iter().map(|p| p.rps).sum();
    assert_eq!(series, 260.0);
    assert_eq!(all.run.started_at, "2026-11-24T10:00:00.000Z");
    assert!(all.notes.iter().any(|n| n.contains("w3 began 1.9 s after")), "{:?}", all.notes);
    let statuses: u64 = all.run.endpoints.iter().filter_map(|e| e.status.get("503")).sum();
    assert_eq!(statuses, 10);
    assert_eq!(all.run.errors.iter().map(|e| e.count).sum::<u64>(), 20);
    assert!(all.run.errors.iter().filter(|e| e.local).all(|e| e.first_s >= 2.0), "moved with its machine");
    assert_eq!(document::unexplained(&all.run, &all.run.unavailable), Vec::<String>::new());
}

#[test]
fn what_belongs_to_a_machine_stays_with_it() {
    let all = merged(three());
    assert!(all.run.ports.is_none() && all.run.kernel.is_none() && all.run.resources.client.cpu_percent_mean.is_none());
    assert_eq!(all.run.machines[1].ports.as_ref().map(|p| p.peak_used), Some(Some(3)));
    let ports = all.run.findings.iter().find(|f| f.id == FindingId::LocalPortsExhausted).expect("of w3");
    assert_eq!(ports.machines, ["w3"]);
    assert!(ports.title.starts_with("w3: "), "{}", ports.title);
    assert_eq!((all.run.verdict.id, all.run.validity.stamp), (VerdictId::PortBound, RunStamp::PortBound));
    assert!(all.run.verdict.sentence.starts_with("w3: source ports ran out"), "{}", all.run.verdict.sentence);
    let errors = all.run.findings.iter().find(|f| f.id == FindingId::TargetErrors).expect("of the target");
    assert_eq!(errors.machines, Vec::<String>::new(), "over all");
}

#[test]
fn the_stages_of_a_merged_plan_are_those_of_all_machines() {
    let each = [(2, 4.0), (2, 9.0)].map(|(s, to)| Stage { duration: std::time::Duration::from_secs(s), to }).to_vec();
    let whole = LoadPlan { stages: Some(Stages { of: LevelOf::Users, each }), users: 9, ..fixture::plan() };
    let peak = |plans: [LoadPlan; 2]| {
        let parts = plans.map(|plan| Part { run: RunResult { plan, ..part(1, 2, "", &[]).run }, ..part(1, 2, "", &[]) });
        let merged = whole_plan(&parts);
        (merged.users, merged.stages.map(|stages| stages.peak()))
    };
    assert_eq!(peak([1, 2].map(|n| whole.clone().sharded(n, 2))), (9, Some(9.0)));
    assert_eq!(peak([whole.clone(), whole.clone()]), (18, Some(18.0)));
}

#[test]
fn a_part_that_is_missing_leaves_the_plan_incomplete() {
    let all = merged(three()[..2].to_vec());
    assert_eq!(all.run.validity.stamp, RunStamp::Incomplete);
    assert_eq!(all.run.validity.reasons[0], "shard 3/3 of the plan is missing");
    assert_eq!(all.run.plan.users, 9);
}

#[test]
fn one_that_had_nothing_to_do_is_taken() {
    let mut parts: Vec<Part> = (1..=9).map(|n| part(n, 10, "2026-11-24T10:00:00Z", &[(0, 10, OK)])).collect();
    parts.push(part(10, 10, "2026-11-24T09:00:00Z", &[]));
    assert!(parts[9].run.plan.is_empty());
    let all = merged(parts);
    assert_eq!((all.run.totals.requests, all.run.machines.len(), all.run.duration_s), (9, 10, 4.0));
    assert!(!all.run.validity.reasons.iter().any(|r| r.contains("missing")), "{:?}", all.run.validity);
}

#[test]
fn what_does_not_belong_together_is_refused_by_name() {
    let refused = |change: &dyn Fn(&mut Vec<Part>)| {
        let mut parts = three();
        change(&mut parts);
        merge(parts, String::new()).expect_err("refused").message
    };
    assert_eq!(refused(&|p| p[1].run.plan.shard = p[0].run.plan.shard), "run-1 and run-2 are both shard 1/3");
    assert!(refused(&|p| p[1].run.tool.version = "9.9.9".into()).contains("run-2 of 9.9.9"));
    let other = refused(&|p| p[2].run.plan.mix[1].path = "/else".into());
    assert!(other.starts_with("run-1 and run-3 ran different plans: plan.mix"), "{other}");
    let users = refused(&|p| p[2].run.plan.shard.as_mut().unwrap().whole.users = 90);
    assert!(users.contains("plan.users 9 and 90"), "{users}");
    assert!(refused(&|p| p[2].run.plan.shard = None).contains("run-3 is a whole plan"));
    assert!(refused(&|p| p[2].run.started_at = "2026-11-24T11:00:00Z".into()).contains("before run-3 began"));
    assert!(refused(&|p| drop(p[0].seconds.pop())).contains("its log has"));
    let twice = merged(three());
    assert!(refused(&|p| p[0].run.machines.clone_from(&twice.run.machines)).contains("merged already"));
    // Threads and addresses are each machine's own.
    let mut own = three();
    own[1].run.plan.threads = 3;
    own[2].run.plan.target.addr = ([10, 0, 0, 9], 8080).into();
    merged(own);
}

fn any_seconds() -> impl Strategy<Value = Vec<Interval>> {
    let bins = proptest::collection::btree_map(1_u32..5000, 1_u32..9, 0..5);
    let second = (0_u64..6, proptest::collection::vec((bins, 0_u64..5), 2), 0_u64..50);
    proptest::collection::vec(second, 0..6).prop_map(|all| {
        let seconds = all.into_iter().map(|(second, endpoints, attempts)| Interval {
            attempts,
            endpoints: endpoints
                .into_iter()
                .map(|(bins, failures)| {
                    let sum = bins.iter().map(|(us, n)| u64::from(*us) * u64::from(*n)).sum();
                    let (min, max) = (bins.keys().next().copied().unwrap_or(0), bins.keys().last().copied().unwrap_or(0));
                    let bins: Vec<Bin> = bins.into_iter().map(|(us, count)| Bin { us, count }).collect();
                    let mut e =
                        EndpointSecond { answered: Sparse::from_sorted(bins, sum, min, max), ..EndpointSecond::default() };
                    (e.counts.requests, e.counts.failures) = (e.answered.count() + failures, failures);
                    e
                })
                .collect(),
            ..Interval::empty(second, 2)
        });
        seconds.collect()
    })
}

proptest! {
    #[test]
    fn any_set_of_intervals_in_any_order_is_equal(
        machines in proptest::collection::vec((any_seconds(), 0_u64..4), 0..6),
        seed in any::<u64>(),
    ) {
        let mut other = machines.clone();
        let mut random = fastrand::Rng::with_seed(seed);
        for (seconds, _) in &mut other {
            random.shuffle(seconds);
        }
        random.shuffle(&mut other);
        let (one, two) = (align::joined(machines.clone()), align::joined(other));
        prop_assert_eq!(&one, &two);
        let requests = |all: &[Interval]| all.iter().map(|s| s.counts().requests).sum::<u64>();
        prop_assert_eq!(requests(&one), machines.iter().map(|(s, _)| requests(s)).sum::<u64>());
    }

    #[test]
    fn the_order_of_the_machines_does_not_matter(seed in any::<u64>()) {
        let mut parts = three();
        let one = merged(parts.clone());
        fastrand::Rng::with_seed(seed).shuffle(&mut parts);
        let two = merged(parts);
        prop_assert_eq!((&one.run, &one.seconds), (&two.run, &two.seconds));
    }
}
