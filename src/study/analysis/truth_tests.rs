//! For any table of steps: no sentence says what the rows deny.

use proptest::prelude::*;

use super::tests::{answer, kinds, step, study};
use super::*;
use crate::diagnose;
use crate::diagnose::growth::{Change, Trend};
use crate::model::figures::rate;
use crate::model::plan::Think;
use crate::model::result::{TargetResources, Throttling, VerdictId};
use crate::model::study::{CeilingKind, CoresBy, Question, SaturationKind};
use crate::report::text::{Page, render_study};

/// Steps of a target without Server-Timing, each with its users, its rate and its mean response.
fn foreign(of: &[(u32, f64)]) -> Vec<RunResult> {
    let each = |&(users, rps): &(u32, f64)| {
        let mut run = step(users, rps, 0.0, 0.0);
        run.plan.think = Think::default();
        let response_ms = f64::from(users) / rps * 1000.0;
        run.endpoints.truncate(1);
        let e = &mut run.endpoints[0];
        e.server_timing_ms = None;
        let slow = |l: Option<crate::model::result::LatencyMs>| {
            l.map(|mut l| {
                (l.mean, l.p50, l.p95, l.p99) = (response_ms, response_ms, response_ms * 1.1, response_ms * 1.2);
                l
            })
        };
        e.latency_ms = slow(e.latency_ms);
        run.totals.latency_ms = slow(run.totals.latency_ms);
        if let Some(steady) = &mut run.totals.steady {
            steady.latency_ms = slow(steady.latency_ms);
        }
        run.plan.target.own_server = false;
        if let Some(t) = &mut run.resources.target {
            (t.name, t.cpu_percent_mean, t.busiest_thread_percent) = ("python3".into(), Some(3.0), Some(3.0));
        }
        diagnose::settle(&mut run);
        run
    };
    of.iter().map(each).collect()
}

fn analysed(runs: &[RunResult]) -> Analysis {
    analyse(runs, &kinds(runs))
}

#[test]
fn a_server_of_one_request_at_a_time_is_saturated_and_where() {
    // 20 ms of work under one lock: the rate is 50/s, whatever the users.
    for (of, users, before) in [
        (vec![(1, 49.0), (2, 49.8), (5, 50.0)], 1, None),
        (vec![(10, 49.5), (50, 49.8), (100, 49.0)], 10, None),
        (vec![(1, 15.5), (2, 31.1), (5, 49.2), (10, 49.2)], 5, Some(2)),
    ] {
        let runs = foreign(&of);
        let analysis = analysed(&runs);
        let found = analysis.saturation.clone().expect("flat");
        assert_eq!((found.kind, found.users, found.users_before), (SaturationKind::Flat, users, before), "{of:?}");
        let verdict = verdict(&runs, &analysis, None);
        assert_eq!(verdict.id, VerdictId::TargetBound, "{verdict:?}");
        assert_ne!(answer(&analysis, Question::Why), "no limit was reached");
        let chart = crate::report::chart::throughput(&study(runs)).expect("users rose");
        assert_eq!(chart.markers.iter().map(|m| m.x).collect::<Vec<_>>(), [f64::from(users)], "the chart says it too");
    }
}

#[test]
fn a_rate_that_follows_the_users_is_not_saturated() {
    for of in [vec![(1, 5.0), (10, 49.0), (100, 470.0)], vec![(10, 100.0), (11, 101.0)]] {
        let runs = foreign(&of);
        let analysis = analysed(&runs);
        assert_eq!(analysis.saturation, None, "{of:?}");
        assert_eq!(verdict(&runs, &analysis, None).id, VerdictId::Healthy);
    }
}

#[test]
fn a_rate_that_still_grows_slows_down_and_did_not_stop() {
    let runs = foreign(&[(10, 100.0), (40, 250.0), (100, 420.0)]);
    let analysis = analysed(&runs);
    let found = analysis.saturation.clone().expect("bends");
    assert_eq!((found.kind, found.users), (SaturationKind::Bends, 40));
    assert!(verdict(&runs, &analysis, None).sentence.starts_with("TARGET SLOWS DOWN from 40 users on"));
}

#[test]
fn percentiles_of_the_survivors_are_called_so() {
    for spoil in [
        |run: &mut RunResult| run.totals.failures = run.totals.requests / 2,
        |run: &mut RunResult| run.totals.cut = run.totals.requests,
        |run: &mut RunResult| run.totals.local_failures = run.totals.requests,
    ] {
        let mut runs = foreign(&[(10, 100.0), (20, 200.0)]);
        spoil(&mut runs[1]);
        let (t, e) = (runs[1].totals.clone(), &mut runs[1].endpoints[0]);
        (e.requests, e.failures, e.local_failures, e.cut) = (t.requests, t.failures, t.local_failures, t.cut);
        let study = study(runs);
        let rows = &study.analysis.rows;
        assert_eq!((rows[0].is_censored, rows[1].is_censored), (false, true));
        assert!((rows[1].unanswered_share - 0.5).abs() < 0.01, "{}", rows[1].unanswered_share);
        let text = answer(&study.analysis, Question::UnderLoad);
        assert!(text.contains("of the 50 % that were answered at 20 users"), "{text}");
        let page = render_study(&study, &Page::plain());
        let words: Vec<&str> = page.split_whitespace().collect();
        assert!(words.join(" ").contains("50 % at 20 users; times are those of the rest"), "{page}");
        assert!(verdict(&study.steps, &study.analysis, None).sentence.contains("50 %"), "the headline is not all well");
    }
}

#[test]
fn a_median_that_leaves_between_the_ends_does_not_stay() {
    let mut runs = foreign(&[(10, 100.0), (20, 200.0), (40, 400.0)]);
    if let Some(l) = &mut runs[1].endpoints[0].latency_ms {
        l.p50 = 900.0;
    }
    let text = answer(&analysed(&runs), Question::UnderLoad).to_owned();
    assert!(text.contains("with 100 to 900 ms between"), "{text}");
}

#[test]
fn a_ceiling_by_cpu_has_the_cores_that_the_target_may_use_and_what_the_client_takes() {
    let with = |change: &dyn Fn(&mut TargetResources)| {
        let mut runs = foreign(&[(10, 100.0), (20, 200.0)]);
        for run in &mut runs {
            run.resources.client.cpu_percent_mean = Some(4.0);
            if let Some(t) = &mut run.resources.target {
                // By its name alone a program of Python has one core.
                (t.name, t.threads, t.cpu_percent_mean) = ("nginx".into(), Some(8), Some(10.0));
                change(t);
            }
        }
        analysed(&runs).ceiling.expect("a local target")
    };
    // 10 % of a core for 200/s are 0.5 ms each; the client's 4 % are 0.2 ms.
    let machine = with(&|_| ());
    assert_eq!((machine.kind, machine.slots, machine.rps.round(), machine.client_ms), (CeilingKind::Cpu, 2.0, 4000.0, None));
    let shared = with(&|t| (t.cores_allowed, t.shares_cores_with_client) = (Some(2), Some(true)));
    assert_eq!((shared.slots, shared.rps.round(), shared.cores_by), (2.0, 2857.0, None));
    let pinned = with(&|t| (t.cores_allowed, t.shares_cores_with_client) = (Some(1), Some(false)));
    assert_eq!((pinned.slots, pinned.rps.round(), pinned.cores_by), (1.0, 2000.0, Some(CoresBy::Affinity)));
    let quota = Throttling { quota_cores: 0.5, periods: 10, throttled_periods: 1, throttled_s: 0.1 };
    let quota = with(&|t| t.throttling = Some(quota));
    assert_eq!((quota.slots, quota.rps.round(), quota.cores_by), (0.5, 1000.0, Some(CoresBy::Quota)));
}

#[test]
fn a_target_that_refused_only_at_first_is_not_gone() {
    let mut runs = foreign(&[(10, 100.0), (20, 200.0)]);
    runs[0].verdict.id = VerdictId::TargetGone;
    let analysis = analysed(&runs);
    let sentence = verdict(&runs, &analysis, None).sentence;
    assert!(sentence.starts_with("TARGET REFUSED CONNECTIONS at 10 users"), "{sentence}");
}

#[test]
fn what_a_study_did_not_do_is_in_its_first_paragraph() {
    let mut runs = foreign(&[(10, 100.0), (20, 200.0)]);
    runs[1].duration_s = 7.0;
    let mut study = study(runs);
    (study.steps_planned, study.ended) = (3, "step 2: stopped".into());
    study.not_run = vec!["40 users".into()];
    let page = render_study(&study, &Page::plain());
    let first: Vec<&str> = page.lines().take(4).collect();
    assert!(first.iter().any(|l| l.contains("missing   13 s of the 20 s of 20 users; all of 40 users")), "{page}");
}

/// Found by the property below: as many lines as there can be above the doubts.
#[test]
fn a_study_whose_every_answer_is_long_keeps_to_a_screen() {
    let page = render_study(&study(foreign(&[(3, 128.0), (6, 307.0), (12, 37.5), (24, 1.0), (48, 371.0)])), &Page::plain());
    assert!(page.lines().count() <= Page::LINES && page.contains("  careful   "), "{page}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_sentence_says_what_the_rows_deny(rates in prop::collection::vec(1.0f64..500.0, 2..6), first in 1u32..20) {
        let of: Vec<(u32, f64)> = rates.iter().zip(0u32..).map(|(r, i)| (first * 2u32.pow(i), *r)).collect();
        let runs = foreign(&of);
        let analysis = analysed(&runs);
        let verdict = verdict(&runs, &analysis, None);
        let at = answer(&analysis, Question::Saturation).to_owned();
        let rows = &analysis.rows;
        // What is said not to be saturated lies on the line.
        let last = rows.last().and_then(|r| r.expected_share).unwrap_or(0.0);
        prop_assert!(!at.starts_with("not up to") || analysis.saturation.is_none() && last >= 0.9, "{}", at);
        if let Some(found) = &analysis.saturation {
            let row = rows.iter().find(|r| r.users == found.users).expect("one of the rows");
            prop_assert_eq!(row.steady_rps, Some(found.rps));
            prop_assert!(at.contains(&rate(found.rps)) && at.contains(&rate(found.heaviest_rps)), "{}", at);
            prop_assert!(verdict.id != VerdictId::Healthy, "{:?}", verdict);
            let later = rows.iter().filter(|r| r.users > found.users).filter_map(|r| r.steady_rps);
            let rises = later.into_iter().any(|to| Change { from: found.rps, to }.trend() == Trend::Rises);
            prop_assert!(found.kind == SaturationKind::Bends || !rises);
            prop_assert!(found.kind == SaturationKind::Flat || found.expected_share < 0.9);
        }
        if let Some(c) = analysis.ceiling.filter(|c| c.kind != CeilingKind::Ports) {
            prop_assert!(rates.iter().all(|r| *r <= c.rps), "a ceiling below what was measured: {:?}", c);
        }
        let page = render_study(&study(runs), &Page::plain());
        prop_assert!(page.lines().count() <= 25 && page.lines().all(|l| l.chars().count() <= 80), "{}", page);
    }
}
