//! The course of a run from made-up seconds: what the page, `/metrics` and a collector get.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::client::Shown as _;
use super::course::{Begun, Course, Now, Update};
use super::{Towards, metrics, otlp};
use crate::model::outcome::{Call, Cause, EADDRNOTAVAIL, EndpointId, Failure};
use crate::model::result::{Ports, SeriesPoint};
use crate::report::fixture;
use crate::stats::interval::Interval;

/// A run of two endpoints with hostile names begins.
pub(super) fn begin(steps: Option<usize>) -> Update {
    let f = fixture::broken();
    let mut run = crate::model::result::RunResult::new(f.run.plan, "sockbench load".into(), "now".into(), f.run.host);
    run.plan.mix[0].path = "/a\"<i>\\\n".into();
    Update::Begin(Arc::new(Begun { run, label: "10 users".into(), steps, unix_ns: 1_000_000_000 }))
}

/// It goes on, `seconds` over.
fn course(seconds: u64, steps: Option<usize>) -> Course {
    let f = fixture::broken();
    let mut course = Course::default();
    course.on_update(begin(steps));
    for second in 0..seconds {
        let like = &f.seconds[second as usize % f.seconds.len()];
        // Two kinds that differ in what no label shows.
        let no_port = Failure::new(Call::Connect, Cause::Errno(EADDRNOTAVAIL));
        let kinds = [no_port, Failure { port_bound: true, ..no_port }].map(|failure| ((failure, EndpointId(0)), 2));
        course.on_update(Update::Interval(Arc::new(Interval { second, failures: BTreeMap::from(kinds), ..like.clone() })));
        course.on_update(Update::Second(Box::new(now(second))));
    }
    course
}

pub(super) fn now(second: u64) -> Now {
    Now {
        second,
        users_asked: 10,
        users: 9,
        seen: SeriesPoint {
            ports_used: Some(400),
            time_wait: Some(390),
            client_cpu_percent: Some(50.0),
            ..SeriesPoint::default()
        },
        ports: Some(Ports { pool: Some(500), hold_s: Some(60.0), ceiling_cps: Some(500.0 / 60.0), ..Ports::default() }),
        ports_in_use: Some(400),
        full_in_s: Some(2.5),
        destinations: Vec::new(),
    }
}

#[test]
fn the_page_shows_what_was_before_one_opened_it() {
    let mut course = course(3, None);
    let page = course.page();
    for part in [
        "running, 3 of",
        "400 of 500",
        "full in 3 s at this rate",
        "EADDRNOTAVAIL",
        "sustained: 8.33/s",
        "data-events=\"events\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("connect-src 'self'") && !page.contains("<i>"), "it may ask for its events, and names stay text");
}

/// The outlook of the ports leads, as it leads the page of a run that has ended.
#[test]
fn ports_that_run_out_are_said_first() {
    let mut course = course(3, None);
    let head = |page: &str| page.split("<main>").next().unwrap().to_owned();
    assert!(head(&course.page()).contains("; the 500 source ports to the target run out in 3 s at this rate"));
    course.on_update(Update::Second(Box::new(Now { full_in_s: Some(0.0), ..now(3) })));
    assert!(head(&course.page()).contains("; all 500 source ports to the target are in use"));
    course.on_update(Update::Second(Box::new(Now { full_in_s: None, ..now(4) })));
    assert!(!head(&course.page()).contains("source ports to the target"));
}

#[test]
fn a_page_that_is_opened_too_early_says_so() {
    let mut none = Course::default();
    assert!(none.page().contains("no second is over yet") && none.metrics().unwrap().is_empty());
    assert!(course(0, None).page().contains("running, 0 of"));
}

#[test]
fn a_study_shows_its_steps_and_what_it_waits_for() {
    let f = fixture::broken();
    let mut course = course(2, Some(3));
    assert!(course.page().contains("step 1 of 3 (10 users): running, 2 of"));
    let before = course.version();
    course.on_update(Update::Done(Arc::new(f.run.clone())));
    course.on_update(Update::Say("cool-down 2 s".into()));
    assert!(course.version() > before && course.page().contains("cool-down 2 s"));
    let begun = Begun { run: f.run.clone(), label: "50 users".into(), steps: Some(3), unix_ns: 2_000_000_000 };
    course.on_update(Update::Begin(Arc::new(begun)));
    let page = course.page();
    assert!(page.contains("step 2 of 3 (50 users)") && page.contains("Steps that are over"), "{page:.300}");
}

#[test]
fn each_second_has_its_own_update_and_a_finished_step_keeps_its_result() {
    let f = fixture::broken();
    let mut course = course(1, None);
    let first = course.update().to_owned();
    course.on_update(Update::Interval(Arc::new(Interval { second: 1, ..f.seconds[1].clone() })));
    course.on_update(Update::Second(Box::new(now(1))));
    assert!(first.contains("running, 1 of") && course.update().contains("running, 2 of"));
    // The result comes before anybody has looked at the last second.
    course.on_update(Update::Second(Box::new(now(2))));
    course.on_update(Update::Done(Arc::new(f.run.clone())));
    let whole = format!("running, {} of", crate::model::figures::number(f.run.duration_s));
    assert!(course.update().contains(&whole), "{:.300}", course.update());
}

#[test]
fn the_end_is_the_last_page() {
    let mut course = course(1, None);
    assert!(course.update().contains("running") && !course.is_last());
    course.on_update(Update::End("<title>x</title><header>healthy</header><main></main>".into()));
    assert!(course.is_last() && course.update().contains("healthy") && !course.update().contains("running"));
}

#[test]
fn prometheus_gets_each_label_set_once() {
    let text = course(2, None).metrics().unwrap();
    insta::assert_snapshot!(text);
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap();
        assert!(seen.insert(name.to_owned()), "twice: {name}");
    }
}

#[test]
fn a_collector_gets_numbers_as_the_encoding_has_them() {
    let (figures, times) = course(2, None).figures().unwrap();
    assert_eq!(times, metrics::Times { begin_ns: 1_000_000_000, now_ns: 3_000_000_000 });
    let request = otlp::request("http://t/", &[(figures, times)]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&request).unwrap());
}

/// The pool that is named does not change from second to second.
#[test]
fn each_of_several_destinations_has_its_lines() {
    let towards = |name: &str, used: u32| Towards {
        seen: SeriesPoint { ports_used: Some(used), time_wait: Some(1), accept_queue: Some(2), ..SeriesPoint::default() },
        ports: Ports { destination: name.into(), pool: Some(500), ceiling_cps: Some(8.0), ..Ports::default() },
        full_in_s: Some(f64::from(used)),
    };
    let mut course = course(3, None);
    let seen = SeriesPoint { target_cpu_percent: Some(150.0), ..SeriesPoint::default() };
    let destinations = vec![towards("127.0.0.1:1", 30), towards("127.0.0.1:2", 40)];
    course.on_update(Update::Second(Box::new(Now { seen, destinations, ..now(2) })));
    let text = course.metrics().unwrap();
    for (name, used) in [("127.0.0.1:1", 30), ("127.0.0.1:2", 40)] {
        for line in [
            format!("sockbench_ephemeral_ports{{destination=\"{name}\",state=\"other\"}} {}", used - 1),
            format!("sockbench_ephemeral_port_pool{{destination=\"{name}\"}} 500"),
            format!("sockbench_sustainable_connections_per_second{{destination=\"{name}\"}} 8"),
            format!("sockbench_ephemeral_ports_exhausted_in_seconds{{destination=\"{name}\"}} {used}"),
            format!("sockbench_listen_queue_connections{{listener=\"{name}\"}} 2"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
    assert!(text.contains("sockbench_cpu_cores{of=\"target\"} 1.5\n"), "{text}");
}
