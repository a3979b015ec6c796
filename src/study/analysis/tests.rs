use std::time::Duration;

use super::*;
use crate::diagnose;
use crate::model::finding::{Finding, FindingId, Severity};
use crate::model::result::VerdictId::{self, Healthy, HostBound, PortBound, TargetBound};
use crate::model::result::{PhaseMs, Ports, ServerTimingMs, Steady};
use crate::model::study::{CeilingKind, Question, STUDY_SCHEMA, SaturationKind, StudyResult};
use crate::report::fixture;
use crate::report::text::{Detail, Page, render_study};

/// A step of the experiment: `users`, the rate they came to, and what `/cpu` queued and worked, medians in ms.
pub(super) fn step(users: u32, rps: f64, queue_ms: f64, work_ms: f64) -> RunResult {
    let mut run = fixture::healthy().run;
    run.plan.users = users;
    run.plan.keepalive = true;
    run.plan.duration = Duration::from_secs(20);
    run.plan.spawn_rate = f64::from(users) / 2.0;
    (run.totals.rps, run.totals.users_reached, run.totals.users_asked) = (rps, users, users);
    run.totals.requests_per_connection = Some(40.0);
    let response_ms = f64::from(users) / rps * 1000.0 - 300.0;
    let mean = run.totals.latency_ms.map(|mut l| {
        l.mean = response_ms;
        l
    });
    run.totals.steady = Some(Steady { from_s: 5.0, to_s: None, rps, latency_ms: mean });
    let pair = |p50: f64| PhaseMs { p50, p99: p50 * 3.0 };
    for e in &mut run.endpoints {
        let (queue, work) = match e.name.as_str() {
            "/cpu" => (queue_ms, work_ms),
            "/io" => (0.0, 200.0),
            _ => (0.0, 0.0),
        };
        e.server_timing_ms = (e.name != "/health").then(|| ServerTimingMs { queue: pair(queue), work: pair(work) });
        let p50 = if e.name == "/health" { 0.2 } else { queue + work };
        e.latency_ms = e.latency_ms.map(|mut l| {
            (l.p50, l.p95, l.p99) = (p50, p50 * 2.0, p50 * 3.0);
            l
        });
    }
    diagnose::settle(&mut run);
    run
}

pub(super) fn kinds(steps: &[RunResult]) -> Vec<StepKind> {
    steps.iter().map(|s| StepKind::Users { of: s.plan.users, started: None, keepalive: None }).collect()
}

fn experiment() -> Vec<RunResult> {
    vec![step(10, 27.2, 0.1, 30.0), step(50, 132.0, 4.0, 33.0), step(100, 250.0, 80.0, 34.0)]
}

pub(super) fn study(steps: Vec<RunResult>) -> StudyResult {
    let analysis = analyse(&steps, &kinds(&steps));
    StudyResult {
        schema: STUDY_SCHEMA.into(),
        tool: steps[0].tool.clone(),
        command: "sockbench study".into(),
        name: "experiment".into(),
        started_at: "2026-11-24T10:00:00Z".into(),
        duration_s: 60.0,
        verdict: verdict(&steps, &analysis, None),
        not_run: Vec::new(),
        steps_planned: steps.len() as u32,
        stopped: false,
        ended: "all steps ran".into(),
        cooldowns: Vec::new(),
        analysis,
        comparison: Vec::new(),
        findings: diagnose::diagnose_study(&steps),
        steps,
        unavailable: Vec::new(),
    }
}

fn page(study: &StudyResult, detail: Detail) -> String {
    render_study(study, &Page { detail, ..Page::plain() })
}

pub(super) fn answer(analysis: &Analysis, question: Question) -> &str {
    analysis.answers.iter().find(|a| a.question == question).map_or("", |a| a.text.as_str())
}

#[test]
fn the_experiment_on_one_screen() {
    let text = page(&study(experiment()), Detail::Brief);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() <= 40, "{} lines", lines.len());
    assert!(lines.iter().all(|l| l.chars().count() <= 80), "{text}");
    let last_answer = lines.iter().position(|l| l.trim_start().starts_with("next")).unwrap_or(usize::MAX);
    assert!(last_answer < 10, "the answers are the first paragraph:\n{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn the_full_report_has_what_the_screen_leaves_out() {
    let study = study(experiment());
    let (brief, full) = (page(&study, Detail::Brief), page(&study, Detail::Full));
    let rest = |text: &str| text.lines().filter(|l| !l.starts_with("  more")).count();
    assert!(brief.lines().filter(|l| !l.starts_with("  more")).all(|l| full.contains(l)) && rest(&full) > rest(&brief));
    let findings = study.steps.iter().flat_map(|s| &s.findings);
    assert!(findings.into_iter().all(|f| full.contains(f.id.word())), "{full}");
    assert!(full.contains("MiB"), "memory of client and target");
}

#[test]
fn the_ceiling_is_cores_by_work_by_share() {
    let steps = experiment();
    let analysis = analyse(&steps, &kinds(&steps));
    let c = analysis.ceiling.expect("sockbench's own server says what its work takes");
    assert_eq!((c.kind, c.slots, c.busy_ms, c.share), (CeilingKind::Cpu, 2.0, 30.0, 0.2));
    assert!((c.rps - 333.3).abs() < 0.1 && (c.reached_rps - 250.0).abs() < 0.1, "{c:?}");
}

#[test]
fn a_pool_smaller_than_the_cores_is_the_ceiling_and_not_the_cores() {
    let mut steps = vec![step(10, 27.2, 0.1, 30.0), step(50, 122.0, 20.0, 31.0), step(100, 150.0, 200.0, 32.0)];
    for s in &mut steps {
        s.plan.environment.server.cpu_workers = Some(1);
    }
    let c = analyse(&steps, &kinds(&steps)).ceiling.expect("known");
    assert_eq!((c.kind, c.slots, c.rps.round()), (CeilingKind::Workers, 1.0, 167.0));
}

#[test]
fn what_stays_and_what_rises_is_told_apart_and_where_the_time_goes() {
    let steps = experiment();
    let analysis = analyse(&steps, &kinds(&steps));
    let io = analysis.endpoints.iter().find(|e| e.name == "/io").expect("answered");
    let cpu = analysis.endpoints.iter().find(|e| e.name == "/cpu").expect("answered");
    assert_eq!((io.p50_ms, io.users), ([200.0, 200.0], [10, 100]));
    assert_eq!((cpu.queue_p50_ms, cpu.work_p50_ms), (Some([0.1, 80.0]), Some([30.0, 34.0])));
    let text = answer(&analysis, Question::UnderLoad);
    assert!(text.contains("/io at 200 ms") && text.contains("/cpu rises from 30.1 to 114 ms (3.8 times as much)"), "{text}");
    // A step between the first and the last is one of those that a figure stays between.
    let mut bent = vec![steps[0].clone(), step(50, 48.0, 40.0, 32.0), steps[steps.len() - 1].clone()];
    for e in bent[1].endpoints.iter_mut().filter(|e| e.name == "/io") {
        e.latency_ms.as_mut().unwrap().p50 = 212.0;
    }
    let text = answer(&analyse(&bent, &kinds(&bent)), Question::UnderLoad).to_owned();
    assert!(text.contains("/io between 200 and 212 ms") || text.contains("/io stays between 200 and 212 ms"), "{text}");
    let flat = [steps[0].clone(), steps[0].clone()];
    assert!(analyse(&flat, &kinds(&flat)).endpoints.is_empty(), "the load did not rise");
}

#[test]
fn the_analysis_says_what_the_findings_say() {
    // Every step's set-up of workers and cores: the answers are the deciding finding's own words and its own advice.
    for (queue, work) in [(80.0, 34.0), (400.0, 31.0), (0.1, 30.0), (2.0, 90.0)] {
        for workers in [1, 2, 8] {
            let mut steps = vec![step(10, 27.2, 0.1, 30.0), step(100, 250.0, queue, work)];
            for s in &mut steps {
                s.plan.environment.server.cpu_workers = Some(workers);
                diagnose::settle(s);
            }
            let analysis = analyse(&steps, &kinds(&steps));
            let (why, next) = (answer(&analysis, Question::Why), answer(&analysis, Question::Next));
            let limits = [FindingId::ClosedLoopLimited, FindingId::TargetCpuSaturated];
            let grave = |f: &Finding| f.severity != Severity::Info || limits.contains(&f.id);
            if !steps.iter().flat_map(|s| &s.findings).any(grave) {
                assert_eq!(why, "no limit was reached");
                continue;
            }
            let said = steps.iter().flat_map(|s| &s.findings).any(|f| {
                let knee = f.id == FindingId::ClosedLoopLimited && next.starts_with("more users");
                why.contains(&f.title) && (knee || f.remedies.first().is_some_and(|r| next.starts_with(&r.action)))
            });
            assert!(said, "queue {queue}, work {work}, {workers} workers: {why} / {next}");
        }
    }
}

#[test]
fn the_plateau_finding_and_the_analysis_have_one_ceiling() {
    let study = study(vec![step(50, 230.0, 20.0, 30.0), step(100, 235.0, 90.0, 31.0)]);
    let plateau = study.findings.iter().find(|f| f.id == FindingId::ThroughputPlateau).expect("235 after 230");
    let ceiling = study.analysis.ceiling.as_ref().map(|c| c.rps);
    let limit = plateau.evidence["limit_target_cpu_rps"].as_f64();
    assert!(ceiling.zip(limit).is_some_and(|(a, b)| (a - b).abs() < 0.001), "{ceiling:?} {limit:?}");
    let found = study.analysis.saturation.as_ref().expect("the same plateau");
    let evidence = |key: &str| plateau.evidence[key].as_f64();
    assert_eq!((evidence("users_before"), evidence("rps_before")), (Some(f64::from(found.users)), Some(found.rps)));
    assert_eq!((found.kind, found.users, found.users_before), (SaturationKind::Flat, 50, None));
}

#[test]
fn the_verdict_is_the_gravest_of_the_steps_and_names_them() {
    let of = |ids: &[VerdictId]| {
        let mut steps: Vec<RunResult> =
            ids.iter().zip([10, 50, 100]).map(|(_, u)| step(u, 2.7 * f64::from(u), 0.1, 30.0)).collect();
        steps.iter_mut().zip(ids).for_each(|(s, id)| s.verdict.id = *id);
        let analysis = analyse(&steps, &kinds(&steps));
        verdict(&steps, &analysis, None)
    };
    for (ids, id, says) in [
        ([Healthy, Healthy, Healthy], Healthy, "up to 100 users"),
        ([Healthy, Healthy, TargetBound], TargetBound, "at 100 users; the other steps are fine"),
        ([Healthy, TargetBound, TargetBound], TargetBound, "from 50 users on; 10 users are fine"),
        ([HostBound, TargetBound, PortBound], PortBound, "at 100 users"),
        ([TargetBound, TargetBound, TargetBound], TargetBound, "in every step"),
    ] {
        let found = of(&ids);
        assert!(found.id == id && found.sentence.contains(says), "{ids:?}: {found:?}");
    }
}

/// The headline and the paragraph say the same of steps of which one had no cores and another is saturated by itself.
#[test]
fn a_step_that_other_programs_made_slow_is_not_called_saturated_for_another() {
    for (ids, says, saturates) in [
        ([TargetBound, HostBound, TargetBound], "TARGET SATURATED at 10 users, at 100 users", "at 10 users"),
        ([Healthy, HostBound, TargetBound], "TARGET SATURATED at 100 users", "at 100 users"),
        ([Healthy, HostBound, HostBound], "OTHER PROGRAMS TOOK THE CPU from 50 users on", "cannot be said"),
    ] {
        let mut steps = vec![step(10, 24.1, 0.1, 30.0), step(50, 52.7, 1900.0, 150.0), step(100, 53.0, 3000.0, 150.0)];
        steps.iter_mut().zip(ids).for_each(|(s, id)| s.verdict.id = id);
        let analysis = analyse(&steps, &kinds(&steps));
        let verdict = verdict(&steps, &analysis, None);
        assert!(analysis.saturation.is_some(), "the rows alone show it");
        assert!(verdict.sentence.starts_with(says), "{ids:?}: {}", verdict.sentence);
        let answer = answer(&analysis, Question::Saturation);
        assert!(answer.starts_with(saturates), "{ids:?}: {answer}");
    }
}

/// Steps whose cores other programs had: no answer is about the target.
#[test]
fn steps_that_other_programs_made_slow_say_nothing_of_the_target() {
    let mut steps = vec![step(10, 24.1, 0.1, 30.0), step(50, 52.7, 1900.0, 150.0), step(100, 53.0, 3000.0, 150.0)];
    for run in &mut steps[1..] {
        let waiting = |p: &mut crate::model::result::SeriesPoint| {
            (p.target_wait_percent, p.host_cpu_percent) = (Some(70.0), Some(100.0));
            (p.client_cpu_percent, p.target_cpu_percent) = (Some(2.0), Some(40.0));
        };
        run.series.iter_mut().for_each(waiting);
        run.series.iter_mut().for_each(|p| p.client_wait_percent = Some(2.0));
        diagnose::settle(run);
    }
    let study = study(steps);
    assert_eq!(study.verdict.id, HostBound, "{}", study.verdict.sentence);
    let said = |question| answer(&study.analysis, question);
    assert!(study.analysis.saturation.is_some(), "the rows alone show it");
    assert_eq!(said(Question::Saturation), "cannot be said: other programs took the cores at 50 users");
    assert!(said(Question::Why).contains("other programs used"), "{}", said(Question::Why));
    assert!(said(Question::Next).contains("see what takes the cores"), "{}", said(Question::Next));
    let page = page(&study, Detail::Brief);
    assert!(page.starts_with("OTHER PROGRAMS TOOK THE CPU from 50 users on") && !page.contains("SATURATED"), "{page}");
}

/// A rate that failures kept low is no part of what the target's CPU allows.
#[test]
fn steps_with_failures_are_not_compared_with_the_ceiling() {
    let mut steps = vec![step(10, 27.2, 0.1, 30.0), step(100, 60.0, 0.1, 30.0)];
    steps[1].totals.failures = steps[1].totals.requests / 2;
    let analysis = analyse(&steps, &kinds(&steps));
    assert!(analysis.ceiling.as_ref().is_some_and(|c| c.kind != CeilingKind::Ports));
    let said = answer(&analysis, Question::Saturation);
    assert!(said.starts_with("cannot be said: ") && said.ends_with("failed or had no answer"), "{said}");
}

#[test]
fn a_step_that_ends_inside_its_ramp_is_named() {
    let mut run = fixture::healthy().run;
    (run.plan.users, run.plan.spawn_rate) = (50, 5.0);
    run.plan.duration = Duration::from_secs(3);
    let found = |run: &RunResult| {
        let runs = [run.clone()];
        analyse(&runs, &kinds(&runs)).sentences.iter().any(|s| s.contains("50 users start over 9.8 s, their step took 3 s"))
    };
    assert!(found(&run));
    run.plan.duration = Duration::from_secs(30);
    assert!(!found(&run));
}

/// A step that ended before all of its users had started is called by those that had, wherever it is named.
#[test]
fn users_that_never_started_are_not_counted() {
    let mut late = step(100, 50.0, 0.1, 30.0);
    (late.plan.spawn_rate, late.duration_s, late.totals.steady) = (1.0, 20.0, None);
    (late.totals.users_reached, late.totals.users_asked) = (21, 21);
    for (i, p) in late.series.iter_mut().enumerate() {
        // One at once, and one a second: by the end of this one.
        p.users_asked = 21.min(i as u32 + 2);
    }
    diagnose::settle(&mut late);
    let found = study(vec![step(10, 27.2, 0.1, 30.0), late]);
    assert_eq!(found.analysis.rows[1].label, "21 of 100 users");
    assert_eq!(found.analysis.rows[1].expected_rps, None);
    let page = render_study(&found, &Page::plain());
    assert!(page.contains("21 of 100") && !page.contains("to 100 users") && !page.contains("at 100 users"), "{page}");
    assert!(!found.verdict.sentence.contains("up to 100 users"), "{}", found.verdict.sentence);
}

/// A name that looks like a number of users is a name.
#[test]
fn a_step_with_a_name_is_called_by_it_whatever_it_looks_like() {
    let runs = experiment();
    let names = ["1st", "100 users", "3"].map(|name| StepKind::Name { name: name.into(), started: None });
    let by_name = analyse(&runs, &names);
    let places: Vec<String> = by_name.rows.iter().map(StepRow::place).collect();
    assert_eq!(places, ["in step 1st", "in step 100 users", "in step 3"]);
    assert!(by_name.answers[0].text.starts_with("medians from 10 to 100 users: "), "{:?}", by_name.answers);
    let kept = serde_json::to_value(&by_name.rows[1]).unwrap();
    assert_eq!(kept["kind"], serde_json::json!({"by": "name", "name": "100 users"}));
    let page = render_study(&StudyResult { analysis: by_name, ..study(runs) }, &Page::plain());
    assert!(page.lines().any(|line| line.trim_start().starts_with("step ")) && page.contains("  100 users "), "{page}");
}

#[test]
fn ports_that_can_be_reused_are_not_in_use() {
    let mut run = step(10, 27.2, 0.1, 30.0);
    run.ports = Some(Ports { pool: Some(28_232), peak_used: Some(14_100), peak_in_use: Some(4), ..Ports::default() });
    let found = study(vec![run]);
    assert_eq!(found.analysis.rows[0].peak_ports, Some(4));
    let said = found.analysis.sentences.iter().find(|s| s.starts_with("Source ports")).expect("a sentence");
    assert!(said.contains("at most 4 of 28,232 in use"), "{said}");
}
