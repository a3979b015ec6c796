use proptest::prelude::*;

use super::*;
use crate::model::course::{LevelOf, Stage, Stages};
use crate::model::document;
use crate::model::finding::FindingId;
use crate::model::outcome::{Call, Cause, EADDRNOTAVAIL, EndpointId, Failure, Outcome};
use crate::model::plan::PortMode;
use crate::model::result::{ClockOffset, MachinePorts, PlannedStart, Ports, RunStamp, VerdictId};
use crate::model::time::Stamp;
use crate::stats::aggregate::Aggregate;
use crate::stats::fixture;
use crate::stats::interval::EndpointSecond;
use crate::stats::recorder::Recorder;
use crate::stats::sparse::{Bin, Sparse};

pub(super) const OK: Outcome = Outcome::Answered { status: 200 };

/// A machine that made these requests (when each began, how long it took, milliseconds) within 4 s.
pub(super) fn part(number: u32, of: u32, started_at: &str, requests: &[(u64, u64, Outcome)]) -> Part {
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
        let endpoint = EndpointId(u16::try_from(began % 3).unwrap());
        recorder.record(&fixture::sample(endpoint, Stamp::from_millis(began), ended, outcome));
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
    let mut dense = Latencies::default();
    parts.iter().flat_map(|p| &p.seconds).flat_map(|s| &s.endpoints).for_each(|e| dense.add_sparse(&e.answered));
    assert_eq!(t.latency_ms, dense.latency_ms());
    // The third began two seconds later.
    assert_eq!(all.run.machines.iter().map(|m| m.from_s).collect::<Vec<_>>(), [0, 0, 2]);
    assert_eq!((all.run.duration_s, all.run.series.len()), (6.0, 6));
    let series: f64 = all.run.series.iter().map(|p| p.rps).sum();
    assert_eq!(series, 260.0);
    assert_eq!(all.run.started_at, "2026-11-24T10:00:00.000Z");
    let said = all.notes.iter().chain([&all.run.verdict.sentence]).filter(|text| text.contains("w3 began 1.9 s after"));
    assert_eq!(said.count(), 1, "{:?} {:?}", all.notes, all.run.verdict);
    let statuses: u64 = all.run.endpoints.iter().filter_map(|e| e.status.get("503")).sum();
    assert_eq!(statuses, 10);
    assert_eq!(all.run.errors.iter().map(|e| e.count).sum::<u64>(), 20);
    assert!(all.run.errors.iter().filter(|e| e.local).all(|e| e.first_s >= 2.0), "moved with its machine");
    assert_eq!(document::unexplained(&all.run, &all.run.unavailable), Vec::<String>::new());
}

/// One machine ends before the other, which began later: a rate of both is that of the seconds in which both ran.
#[test]
fn the_steady_part_is_the_time_in_which_all_machines_ran() {
    for (after_s, from_s, to_s) in [(0.0, 0.0, None), (0.4, 0.0, None), (0.6, 1.0, Some(4.0)), (0.9, 1.0, Some(4.0))] {
        let ten_a_second: Vec<(u64, u64, Outcome)> = (0..40).map(|n| (n * 100, 10, OK)).collect();
        let began = [0.0, after_s].map(|after| crate::model::time::rfc3339_of(1_795_514_400.0 + after));
        let parts: Vec<Part> = (1..).zip(began).map(|(n, began)| part(n, 2, &began, &ten_a_second)).collect();
        let run = merged(parts).run;
        let steady = run.totals.steady.as_ref().expect("both ran for seconds");
        assert_eq!((steady.from_s, steady.to_s, steady.rps), (from_s, to_s, 20.0), "{after_s}");
        let starts: Vec<f64> = run.machines.iter().filter_map(|m| m.began_s).collect();
        assert!(starts[0] == 0.0 && (starts[1] - after_s).abs() < 0.002, "{starts:?}");
        assert_eq!(document::unexplained(&run, &run.unavailable), Vec::<String>::new());
    }
}

#[test]
fn ports_that_can_be_reused_are_not_in_use() {
    let mut parts = three();
    parts[0].run.ports.as_mut().expect("made so").peak_in_use = Some(1);
    let machines = merged(parts).run.machines;
    let shares: Vec<_> = machines.iter().map(|m| m.ports.as_ref().and_then(MachinePorts::in_use_share)).collect();
    assert_eq!(shares, [Some(0.01), Some(0.03), Some(1.0)]);
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
    // What was found stays the answer, and nothing healthy is said of a part.
    let sentence = all.run.verdict.sentence;
    assert!(sentence.starts_with("target failing: ") && sentence.ends_with("; incomplete: shard 3/3 of the plan is missing"));
    let well = |of: u32, given: &[u32]| {
        let parts = given.iter().map(|n| part(*n, of, "2026-11-24T10:00:00Z", &[(0, 10, OK)])).collect();
        let run = merged(parts).run;
        assert!(run.findings.iter().all(|f| f.id != FindingId::UsersNotReached), "of nobody that was there");
        let verdict = run.verdict;
        assert_eq!(verdict.id, VerdictId::Undecided, "{verdict:?}");
        verdict.sentence
    };
    assert_eq!(well(3, &[1, 3]), "incomplete: shard 2/3 of the plan is missing");
    assert_eq!(well(9, &[1, 5, 9]), "incomplete: shards 2 to 4 and 6 to 8 of 9 of the plan are missing");
    assert_eq!(well(9, &[1, 3, 4, 5, 6, 7]), "incomplete: shards 2 and 8 to 9 of 9 of the plan are missing");
}

/// Parts of machines that began so many seconds after the first, each with the clock that it measured.
fn began(seconds: &[f64], clocks: &[Option<ClockOffset>]) -> Vec<Part> {
    let each = seconds.iter().zip(clocks).zip(1..);
    each.map(|((after, clock), n)| {
        let began = crate::model::time::rfc3339_of(1_795_514_400.0 + after);
        let mut part = part(n, seconds.len() as u32, &began, &[(0, 10, OK)]);
        part.run.start = Some(PlannedStart { at: began, late_s: 0.0, clock: *clock });
        part
    })
    .collect()
}

#[test]
fn machines_that_did_not_begin_together_are_not_one_run() {
    let clock = |offset_s| Some(ClockOffset { offset_s, within_s: 1.0, requests: 8 });
    let stamp = |parts: Vec<Part>| {
        let run = merged(parts).run;
        let careful = run.careful.iter().any(|line| line.contains("not compared with the target's"));
        let reason = run.validity.reasons.iter().find(|reason| reason.starts_with("not one run")).cloned();
        assert_eq!(reason.is_some(), run.verdict.sentence.contains("incomplete: not one run"), "{:?}", run.verdict);
        // A rate after the start of the last machine would be that machine's alone; the others are over all seconds.
        assert!(reason.is_none() || run.totals.steady.is_none(), "{:?}", run.totals.steady);
        let mean = run.totals.requests as f64 / run.duration_s;
        assert!((run.totals.rps - mean).abs() < 1e-6, "{} {mean}", run.totals.rps);
        (reason, careful)
    };
    let late = |s: &str| Some(format!("not one run: w2 began {s} after the first machine"));
    // Clocks that were compared: a second, and what is not known of the two.
    assert_eq!(stamp(began(&[0.0, 3.3], &[clock(0.2), clock(-0.2)])), (None, false));
    assert_eq!(stamp(began(&[0.0, 3.5], &[clock(0.2), clock(-0.2)])), (late("3.1 s"), false));
    assert_eq!(stamp(began(&[0.0, 30.0], &[clock(0.2), clock(-30.0)])), (None, false));
    assert_eq!(stamp(began(&[0.0, 30.0], &[clock(0.2), clock(-25.0)])), (late("4.8 s"), false));
    // All are corrected or none: one that differs for sure, and one that may.
    assert_eq!(stamp(began(&[0.0, 0.0], &[clock(0.9), clock(2.1)])), (None, false));
    // One machine has one clock.
    let on_one = |seconds: &[f64]| {
        let mut parts = began(seconds, &[None, None]);
        for part in &mut parts {
            part.run.host.name = Some("w".into());
        }
        parts
    };
    assert_eq!(stamp(on_one(&[0.0, 0.9])), (None, false));
    let late_here = Some("not one run: w 2/2 began 1.2 s after the first machine".to_owned());
    assert_eq!(stamp(on_one(&[0.0, 1.2])), (late_here, false));
    // Clocks that nobody compared: a minute may be theirs, and that is said.
    assert_eq!(stamp(began(&[0.0, 59.0], &[clock(0.1), None])), (None, true));
    assert_eq!(stamp(began(&[0.0, 61.0], &[clock(0.1), None])), (late("61 s").map(|l| l + " by its own clock"), true));
}

proptest! {
    /// Whatever is known of clocks: machines that began within a second of each other are not called apart.
    #[test]
    fn machines_that_may_have_begun_together_are_not_called_apart(
        machines in proptest::collection::vec((0.0_f64..1.0, -40.0_f64..40.0, 1.0_f64..2.0, -1.0_f64..1.0), 2..5)
    ) {
        let clocks: Vec<_> = machines.iter().map(|(_, behind, within_s, wrong)| {
            Some(ClockOffset { offset_s: behind + wrong * within_s, within_s: *within_s, requests: 8 })
        }).collect();
        let by_own: Vec<f64> = machines.iter().map(|(at, behind, ..)| at - behind).collect();
        let run = merged(began(&by_own, &clocks)).run;
        prop_assert!(!run.validity.reasons.iter().any(|r| r.starts_with("not one run")), "{:?}", run.validity);
    }
}

/// One image makes many machines of one name: what else is known decides whether they are one.
#[test]
fn machines_of_one_name_are_one_only_if_nothing_speaks_against_it() {
    let clock = |offset_s| Some(ClockOffset { offset_s, within_s: 1.0, requests: 8 });
    let merged_as = |seconds: [f64; 2], clocks: [Option<ClockOffset>; 2], boots: [Option<&str>; 2]| {
        let mut parts = began(&seconds, &clocks);
        for (part, boot) in parts.iter_mut().zip(boots) {
            (part.run.host.name, part.run.host.boot_id) = (Some("localhost".into()), boot.map(str::to_owned));
        }
        let cpus = parts[0].run.host.cpus;
        let all = merged(parts);
        let is_one = all.notes.iter().any(|note| note.starts_with("2 parts ran on localhost"));
        assert_eq!(all.run.host.cpus, if is_one { cpus } else { 2 * cpus });
        let apart = all.run.validity.reasons.iter().any(|reason| reason.starts_with("not one run"));
        (is_one, apart)
    };
    assert_eq!(merged_as([0.0, 1.5], [None, None], [Some("a"), Some("a")]), (true, true), "by one clock");
    assert_eq!(merged_as([0.0, 1.5], [None, None], [Some("a"), Some("b")]), (false, false), "clocks that nobody knows");
    assert_eq!(merged_as([0.0, 1.5], [None, None], [None, None]), (true, true), "of an earlier version, and alike");
    assert_eq!(merged_as([0.0, 30.0], [clock(0.0), clock(-30.0)], [None, None]), (false, false), "each has its own clock");
    let mut parts = began(&[0.0, 1.5], &[None, None]);
    for (part, cpus) in parts.iter_mut().zip([2, 4]) {
        (part.run.host.name, part.run.host.cpus) = (Some("localhost".into()), cpus);
    }
    assert_eq!(merged(parts).run.host.cpus, 6);
}

#[test]
fn a_clock_that_was_not_compared_is_named_with_the_reason() {
    let said = |seconds: &[f64], start: bool| {
        let clock = Some(ClockOffset { offset_s: 0.0, within_s: 1.0, requests: 8 });
        let mut parts = began(seconds, &[clock, None]);
        if !start {
            parts[1].run.start = None;
        }
        merged(parts).run.careful.into_iter().find(|line| line.contains("not compared")).unwrap()
    };
    assert_eq!(
        said(&[0.0, 0.0], false),
        "the clock of w2 was not compared with the target's: it takes --start-at. The machines may have begun up to 60 s apart"
    );
    assert_eq!(
        said(&[0.0, 59.0], true),
        "the clock of w2 was not compared with the target's: no answer before the start had a Date. w2 began 59 s after the first \
         machine by its own clock; up to 60 s may be the clocks' difference"
    );
}

#[test]
fn what_one_machine_warns_of_is_said_under_its_name() {
    let mut parts = three();
    parts[0] = part(1, 3, "2026-11-24T10:00:00Z", &[(0, 10, OK)]);
    for part in &mut parts {
        part.run.undecided.clear();
    }
    let undecided = |missing: &str| crate::model::finding::Undecided { id: FindingId::TargetQueueing, missing: missing.into() };
    parts[0].run.undecided = vec![undecided("no queue was read")];
    parts[1].run.undecided = vec![undecided("no queue was read")];
    parts[2].run.undecided = vec![undecided("it is far away")];
    parts[1].run.explain_null("ports", "not watched: --no-observe");
    let run = merged(parts).run;
    assert_eq!(run.undecided.len(), 1);
    assert_eq!(run.undecided[0].missing, "w1, w2: no queue was read; w3: it is far away");
    assert!(run.careful.contains(&"w2: ports not measured: not watched: --no-observe".to_owned()), "{:?}", run.careful);
    assert!(run.careful.contains(&"w1: only 1 answer in 4 s: too few to judge by".to_owned()), "{:?}", run.careful);
}

#[test]
fn machines_may_choose_their_ports_and_addresses() {
    let mut parts = three();
    let range = |lo, hi| Some(crate::model::plan::PortRange { lo, hi });
    (parts[1].run.plan.port_mode, parts[1].run.plan.port_range) = (PortMode::Ring, range(10_000, 20_000));
    parts[1].run.plan.sources = vec![[10, 0, 0, 2].into()];
    parts[2].run.plan.port_mode = PortMode::NoPort;
    parts[2].run.plan.sources = vec![[10, 0, 0, 3].into()];
    let run = merged(parts).run;
    let ports: Vec<_> = run.machines.iter().map(|m| (m.port_mode, m.port_range, m.sources.len())).collect();
    assert_eq!(ports, [(PortMode::Auto, None, 0), (PortMode::Ring, range(10_000, 20_000), 1), (PortMode::NoPort, None, 1)]);
    assert_eq!((run.plan.port_range, run.plan.sources.len()), (None, 2));
    assert!(run.unavailable.iter().any(|row| row.key == "plan.port_range" && row.reason == PER_MACHINE));
    let said =
        "source ports were not chosen alike: w1: --port-mode auto; w2: --port-mode ring, 10000-20000; w3: --port-mode no-port";
    assert!(run.careful.iter().any(|line| line == said), "{:?}", run.careful);
}

#[test]
fn runs_that_somebody_led_have_each_its_own_length() {
    let led = |n: u32, ms: u64| {
        let mut part = part(1, 1, "2026-11-24T10:00:00Z", &[(0, 10, OK)]);
        (part.run.plan.shard, part.run.plan.led, part.from) = (None, true, format!("run-{n}"));
        (part.run.plan.duration, part.run.plan.users) = (std::time::Duration::from_millis(ms), n);
        part.run.host.name = Some(format!("w{n}"));
        part
    };
    let all = merged(vec![led(1, 4_000), led(2, 4_013)]).run;
    assert_eq!((all.plan.users, all.totals.requests, all.plan.duration.as_millis()), (3, 2, 4_013));
    // Others ran as long as they were asked to.
    let mut alone = [led(1, 4_000), led(2, 4_013)];
    for part in &mut alone {
        part.run.plan.led = false;
    }
    let refused = merge(alone.to_vec(), String::new()).expect_err("two lengths").message;
    assert!(refused.contains("plan.duration_s"), "{refused}");
    // Two on one machine, begun in the same millisecond by the same words, are two all the same.
    let mut twins = [led(1, 4_000), led(2, 4_000)];
    for part in &mut twins {
        (part.run.host.name, part.run.plan.users) = (Some("w".into()), 2);
    }
    assert!(merge(twins.to_vec(), String::new()).expect_err("equal to the last figure").message.contains("are the same run"));
    twins[1].run.totals.bytes_in += 1;
    assert_eq!(merged(twins.to_vec()).run.totals.requests, 2);
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
    let of_90 = |plan: &LoadPlan| LoadPlan { users: 90, shard: None, ..plan.clone() }.sharded(3, 3);
    let users = refused(&|p| p[2].run.plan = of_90(&p[2].run.plan));
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

#[test]
fn the_seconds_of_a_machine_that_began_later_are_moved() {
    use crate::stats::interval::Interval;
    let second = |n, attempts| Interval { attempts, ..Interval::empty(n, 1) };
    let all = super::align::joined([(vec![second(0, 1), second(1, 2)], 0), (vec![second(0, 10)], 1)]);
    assert_eq!(all.iter().map(|s| (s.second, s.attempts)).collect::<Vec<_>>(), [(0, 1), (1, 12)]);
}
