//! Destinations of one program as one run.

use super::Part;
use super::destinations::join;
use super::tests::{OK, part};
use crate::model::finding::FindingId;
use crate::model::outcome::{Call, Cause, EADDRNOTAVAIL, Failure, Outcome};
use crate::model::plan::{Destination, LoadPlan};
use crate::model::result::{RunResult, RunStamp, TargetResources, VerdictId};
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
    assert_eq!(run.verdict.who.as_deref(), Some("127.0.0.1:8081, 127.0.0.1:8080"));
    let finding = run.findings.iter().find(|f| f.id == FindingId::LocalPortsExhausted).expect("found");
    assert_eq!(finding.destinations, ["127.0.0.1:8081", "127.0.0.1:8080"]);
    assert_eq!(run.verdict.since_s, run.destinations[1].verdict.since_s);
    assert!(run.verdict.since_s < run.destinations[0].verdict.since_s, "{:?}", run.verdict);
}

#[test]
fn a_finding_of_several_names_them_and_the_order_of_findings_decides() {
    let refused = Outcome::Failed(Failure::new(Call::Http, Cause::Status(503)));
    let run = joined(vec![to(8080, refused), to(8081, no_port()), to(8082, no_port())]);
    assert_eq!(run.verdict.who.as_deref(), Some("127.0.0.1:8081, 127.0.0.1:8082"));
    let found: Vec<_> = run.findings.iter().map(|f| (f.id, f.destinations.len())).collect();
    assert_eq!(found[..2], [(FindingId::LocalPortsExhausted, 2), (FindingId::TargetErrors, 1)], "{found:?}");
    let healthy = joined(vec![to(8080, OK), to(8081, OK)]);
    assert_eq!((healthy.verdict.id, healthy.verdict.who, healthy.validity.stamp), (VerdictId::Healthy, None, RunStamp::Valid));
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
