//! Destinations of one program as one run.

use super::Part;
use super::destinations::{join, settle};
use super::tests::{OK, part};
use crate::model::finding::FindingId;
use crate::model::outcome::{Call, Cause, EADDRNOTAVAIL, Failure, Outcome, Phase};
use crate::model::plan::{Destination, LoadPlan};
use crate::model::result::{PhaseMs, RunResult, RunStamp, ServerTimingMs, TargetResources, VerdictId};
use crate::stats::aggregate::Aggregate;
use crate::stats::fixture;

/// The run to `port`, in which every ninth request came to `last`.
fn to(port: u16, last: Outcome) -> Part {
    let requests: Vec<(u64, u64, Outcome)> = (0..90).map(|n| (n * 40, 10 + n % 7, if n % 9 == 8 { last } else { OK })).collect();
    let mut part = part(1, 1, "2026-11-24T10:00:00Z", &requests);
    let target = &mut part.run.plan.target;
    target.addr.set_port(port);
    (target.url, target.authority) = (format!("http://{}/", target.addr), target.addr.to_string());
    part.run.plan.shard = None;
    if let Some(ports) = &mut part.run.ports {
        ports.destination = part.run.plan.target.addr.to_string();
    }
    part
}

fn joined(parts: Vec<Part>) -> RunResult {
    let first = &parts[0].run.plan;
    let destinations = parts.iter().map(|p| Destination { target: p.run.plan.target.clone(), weight: 1 }).collect();
    let entries = |p: &Part| p.run.plan.mix.iter().map(|m| m.as_url(&p.run.plan.target.authority)).collect::<Vec<_>>();
    let plan = LoadPlan { destinations, mix: parts.iter().flat_map(entries).collect(), ..first.clone() };
    let mut all = Aggregate::of_destinations(&plan);
    for (at, part) in parts.iter().enumerate() {
        part.seconds.iter().for_each(|second| all.add_interval(second.moved(3 * at as u16, plan.mix.len())));
    }
    let mut run = fixture::blank(&plan);
    all.fill(&mut run, plan.duration, &[(0, 18, 18)]);
    join(&mut run, parts.into_iter().map(|part| part.run).collect());
    run
}

fn no_port() -> Outcome {
    Outcome::Local(Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL)))
}

#[test]
fn a_pool_that_ran_out_is_of_one_destination_and_no_pools_are_added() {
    let run = joined(vec![to(8080, OK), to(8081, no_port())]);
    let [finding, returns] = &run.findings[..] else { panic!("two findings: {:?}", run.findings) };
    assert_eq!((returns.id, &returns.caused_by[..]), (FindingId::FailuresWillReturn, &[FindingId::LocalPortsExhausted][..]));
    assert_eq!((finding.id, &finding.destinations[..]), (FindingId::LocalPortsExhausted, &["127.0.0.1:8081".to_owned()][..]));
    assert!(finding.title.starts_with("127.0.0.1:8081: ") && finding.machines.is_empty(), "{}", finding.title);
    assert_eq!((run.verdict.id, run.verdict.who.as_deref()), (VerdictId::PortBound, Some("127.0.0.1:8081")));
    assert!(run.verdict.sentence.starts_with("127.0.0.1:8081: source ports ran out"), "{}", run.verdict.sentence);
    assert_eq!(run.validity.stamp, RunStamp::PortBound);
    assert!(run.validity.reasons[0].starts_with("127.0.0.1:8081: "), "{:?}", run.validity.reasons);
    let pools: Vec<_> = run.ports_all.iter().map(|p| (p.destination.as_str(), p.peak_used, p.pool)).collect();
    assert_eq!(pools, [("127.0.0.1:8080", Some(3), Some(100)), ("127.0.0.1:8081", Some(100), Some(100))]);
    assert_eq!(run.ports.as_ref().map(|p| p.destination.as_str()), Some("127.0.0.1:8081"), "the fullest");
    assert_eq!(run.destinations[0].verdict.id, VerdictId::Healthy);
    // Those of each destination are the observer's to explain.
    let nulls: Vec<_> = run.unexplained_nulls().into_iter().filter(|key| !key.starts_with("destinations[")).collect();
    assert_eq!(nulls, Vec::<String>::new());
    let mut again = run.clone();
    super::destinations::settle(&mut again);
    assert_eq!(again, run, "a stored run is judged alike");
}

#[test]
fn of_several_with_the_same_finding_the_first_in_time_speaks() {
    let late: Vec<(u64, u64, Outcome)> = (0..90).map(|n| (n * 40, 10, if n >= 60 { no_port() } else { OK })).collect();
    let mut first = to(8080, OK);
    first.run = RunResult { plan: first.run.plan.clone(), ..part(1, 1, "2026-11-24T10:00:00Z", &late).run };
    let run = joined(vec![first, to(8081, no_port())]);
    assert_eq!(run.verdict.who.as_deref(), Some("127.0.0.1:8081"));
    assert!(run.verdict.sentence.ends_with("; also 127.0.0.1:8080"), "{}", run.verdict.sentence);
    let finding = run.findings.iter().find(|f| f.id == FindingId::LocalPortsExhausted).expect("found");
    assert_eq!(finding.destinations, ["127.0.0.1:8081", "127.0.0.1:8080"]);
    assert_eq!(run.verdict.since_s, run.destinations[1].verdict.since_s);
    assert!(run.verdict.since_s < run.destinations[0].verdict.since_s, "{:?}", run.verdict);
}

#[test]
fn a_finding_of_several_names_them_and_the_order_of_findings_decides() {
    let refused = Outcome::Failed(Failure::new(Call::Http, Cause::Status(503)));
    let run = joined(vec![to(8080, refused), to(8081, no_port()), to(8082, no_port())]);
    assert_eq!(run.verdict.who.as_deref(), Some("127.0.0.1:8081"));
    let found: Vec<_> = run.findings.iter().map(|f| (f.id, f.destinations.len())).collect();
    assert_eq!(found[..2], [(FindingId::LocalPortsExhausted, 2), (FindingId::TargetErrors, 1)], "{found:?}");
    let healthy = joined(vec![to(8080, OK), to(8081, OK)]);
    assert_eq!((healthy.verdict.id, healthy.verdict.who, healthy.validity.stamp), (VerdictId::Healthy, None, RunStamp::Valid));
}

/// The numbers of a text are those of one destination, and only that one is named before them; which it is the time of the
/// finding says, not that of a verdict about something else.
/// Of targets that fail in different ways the headline is about the way in which most requests failed.
#[test]
fn the_headline_is_of_the_failure_that_most_requests_had() {
    let failed = |port: u16, outcome: Outcome, n: u64| {
        let mut part = to(port, outcome);
        let requests: Vec<(u64, u64, Outcome)> = (0..n).map(|k| (k * 20, 10, outcome)).collect();
        let made = super::tests::part(1, 1, "2026-11-24T10:00:00Z", &requests);
        (part.run.totals, part.run.endpoints, part.run.errors) = (made.run.totals, made.run.endpoints, made.run.errors);
        (part.run.series, part.seconds) = (made.run.series, made.seconds);
        part
    };
    let timeout = Outcome::Failed(Failure::new(Call::Timeout, Cause::TimedOut(Phase::Waiting)));
    let status = Outcome::Failed(Failure::new(Call::Http, Cause::Status(503)));
    for (few, many) in [(timeout, status), (status, timeout)] {
        let run = joined(vec![to(8080, OK), failed(8081, few, 2), failed(8082, many, 180)]);
        assert_eq!(run.verdict.who.as_deref(), Some("127.0.0.1:8082"), "{}", run.verdict.sentence);
    }
}

#[test]
fn numbers_are_under_the_name_of_the_destination_that_has_them() {
    let not_found = Outcome::Failed(Failure::new(Call::Http, Cause::Status(503)));
    let each = |from: u64, bad: Outcome| {
        let requests: Vec<(u64, u64, Outcome)> = (0..90).map(|n| (n * 40, 10, if n >= from { bad } else { OK })).collect();
        part(1, 1, "2026-11-24T10:00:00Z", &requests).run
    };
    let at = |port: u16, run: RunResult| {
        let whole = to(port, OK);
        Part { run: RunResult { plan: whole.run.plan.clone(), ..run }, ..whole }
    };
    let run = joined(vec![at(8080, each(60, not_found)), at(8081, each(30, not_found)), at(8082, each(0, OK))]);
    let finding = run.findings.iter().find(|f| f.id == FindingId::TargetErrors).expect("found");
    assert_eq!(finding.destinations, ["127.0.0.1:8081", "127.0.0.1:8080"]);
    let own = run.destinations[1].findings.iter().find(|f| f.id == FindingId::TargetErrors).expect("found");
    assert_eq!(finding.title, format!("127.0.0.1:8081: {}; also 127.0.0.1:8080", own.title));
    let own = &run.destinations[1].verdict.sentence;
    assert_eq!(run.verdict.sentence, format!("127.0.0.1:8081: {own}; also 127.0.0.1:8080"));
    assert_eq!(run.verdict.who.as_deref(), Some("127.0.0.1:8081"));
}

/// One request of many is no try by hand: of its destination it says little.
#[test]
fn a_destination_with_one_request_is_too_few_to_judge_by() {
    let mut one = to(8081, OK);
    let all = (one.run.plan.clone(), one.run.host.clone());
    one.run = part(1, 1, "2026-11-24T10:00:00Z", &[(0, 10, OK)]).run;
    (one.run.plan, one.run.host) = all;
    one.run.plan.requests = 1;
    let many = to(8080, OK);
    let careful = |parts: Vec<Part>| {
        let requests = parts.iter().map(|p| p.run.totals.requests).sum();
        let mut run = joined(parts);
        run.totals.requests = requests;
        settle(&mut run);
        run.careful
    };
    let of_one = careful(vec![many.clone(), one]);
    assert!(of_one.iter().any(|line| line.starts_with("127.0.0.1:8081: only 1 answer in ")), "{of_one:?}");
    let of_many = careful(vec![many, to(8081, OK)]);
    assert!(of_many.is_empty(), "{of_many:?}");
}

/// Both targets of this host are busy, and the client waits for a core.
fn busy(port: u16, pid: u32) -> Part {
    let mut part = to(port, OK);
    let run = &mut part.run;
    run.resources.target = Some(TargetResources { pid, cpu_percent_mean: Some(90.0), ..TargetResources::default() });
    run.resources.client.cpu_percent_mean = Some(20.0);
    run.resources.host.cpu_percent_mean = Some(100.0);
    for point in &mut run.series {
        (point.client_cpu_percent, point.client_wait_percent) = (Some(20.0), Some(60.0));
        (point.target_cpu_percent, point.host_cpu_percent) = (Some(90.0), Some(100.0));
    }
    part
}

#[test]
fn the_target_of_another_destination_is_no_other_program() {
    let contended = |run: &RunResult| {
        let of_parts = run.destinations.iter().map(|p| p.findings.iter().any(|f| f.id == FindingId::HostContended));
        (of_parts.collect::<Vec<_>>(), run.findings.iter().filter(|f| f.id == FindingId::HostContended).count())
    };
    let ours = joined(vec![busy(8080, 1), busy(8081, 2)]);
    assert_eq!(contended(&ours), (vec![false, false], 0), "two targets and the client have both cores");
    assert_eq!(ours.others_cpu_percent(), Some(0.0));
    assert_eq!(ours.destinations[0].resources.other_targets_cpu_percent_mean, Some(90.0));
    // One process that listens at both: a core is somebody else's.
    let one = joined(vec![busy(8080, 1), busy(8081, 1)]);
    assert_eq!(contended(&one), (vec![true, true], 1), "said once");
    assert_eq!(one.others_cpu_percent(), Some(45.0));
    let finding = one.findings.iter().find(|f| f.id == FindingId::HostContended).expect("found");
    assert!(finding.destinations.is_empty() && one.verdict.who.is_none(), "{finding:?}");
}

/// The target of another machine takes nothing of this one; one at another address of this host does, whichever is first.
#[test]
fn the_program_as_a_whole_knows_every_target_of_this_host() {
    let at = |part: Part, ip: [u8; 4]| {
        let mut part = part;
        let target = &mut part.run.plan.target;
        target.addr.set_ip(ip.into());
        (target.url, target.authority) = (format!("http://{}/", target.addr), target.addr.to_string());
        part
    };
    let remote = || {
        let mut part = at(busy(8090, 1), [192, 0, 2, 9]);
        part.run.resources.target = None;
        part.run.series.iter_mut().for_each(|p| p.target_cpu_percent = None);
        part
    };
    let here = |ip: [u8; 4]| [at(busy(8080, 1), ip), at(busy(8081, 2), ip)];
    let contended = |run: &RunResult| {
        let is_it = |id: FindingId| id == FindingId::HostContended;
        let of_parts = run.destinations.iter().flat_map(|p| &p.findings).filter(|f| is_it(f.id)).count();
        let whole = run.findings.iter().any(|f| is_it(f.id)) || run.undecided.iter().any(|u| is_it(u.id));
        (whole, of_parts, run.others_cpu_percent())
    };
    for ip in [[127, 0, 0, 1], [10, 1, 2, 3]] {
        let [a, b] = here(ip);
        assert_eq!(contended(&joined(vec![a, b])), (false, 0, Some(0.0)), "{ip:?}");
        for remote_at in 0..3 {
            let mut parts = here(ip).to_vec();
            parts.insert(remote_at, remote());
            assert_eq!(contended(&joined(parts)), (false, 0, Some(0.0)), "{ip:?}, elsewhere at {remote_at}");
        }
    }
}

/// What other programs made of both targets is theirs: the rule is that of a load run.
#[test]
fn a_queue_that_other_programs_made_is_theirs_at_all_destinations() {
    let starved = |port: u16| {
        let late = Outcome::Failed(Failure::new(Call::Timeout, Cause::TimedOut(Phase::Waiting)));
        let mut part = to(port, late);
        for point in &mut part.run.series {
            (point.target_wait_percent, point.client_wait_percent) = (Some(70.0), Some(70.0));
            (point.client_cpu_percent, point.target_cpu_percent, point.host_cpu_percent) = (Some(1.0), Some(20.0), Some(100.0));
        }
        let e = part.run.endpoints.iter_mut().max_by_key(|e| e.requests).expect("an endpoint");
        e.requests = e.requests.max(100);
        let pair = |p50: f64| PhaseMs { p50, p99: p50 };
        e.server_timing_ms = Some(ServerTimingMs { queue: pair(400.0), work: pair(90.0) });
        part.run.totals.latency_ms.as_mut().expect("answers").max = 9_900.0;
        part
    };
    let run = joined(vec![starved(8080), starved(8081)]);
    for part in &run.destinations {
        assert_eq!(part.verdict.id, VerdictId::HostBound, "{:?}", part.verdict);
        assert!(part.findings.iter().any(|f| f.id == FindingId::TargetQueueing), "{:?}", part.findings);
    }
    assert_eq!(run.verdict.id, VerdictId::HostBound, "{:?}", run.verdict);
    assert_eq!(run.verdict.who, None, "of the machine");
}
