//! Pages of port budgets and forecasts.

use std::time::Duration;

use super::*;
use crate::diagnose::ports::budget::Budget;
use crate::model::port_count::StateCounts;
use crate::model::ports_report::PORTS_SCHEMA;

fn report() -> PortsReport {
    PortsReport {
        schema: PORTS_SCHEMA.into(),
        kernel: "6.18.0".into(),
        range: Some([32768, 60999]),
        reserved: Some(0),
        listeners: Some(2),
        bound_only: Some(0),
        pool: Some(28230),
        destinations: vec![DestinationPorts {
            source: "127.0.0.1".into(),
            destination: "127.0.0.1:8080".into(),
            used: 27000,
            held: 27000,
            open: 10,
            used_outside: 3,
            share: Some(27000.0 / 28230.0),
            states: StateCounts { time_wait: 26990, established: 10, ..StateCounts::default() },
            time_wait_target_side: Some(4),
            hold_s: Some(60.0),
            hold_why: "tcp_tw_reuse=0: TIME_WAIT lasts its full 60 s".into(),
            ceiling_cps: Some(470.5),
            search_cps: Some(235.25),
            first_free_in_s: Some(1.5),
            last_free_in_s: Some(59.9),
        }],
        more_destinations: 2,
        more_used: 7,
        time_wait_at_servers: 0,
        unavailable: vec![],
    }
}

/// As a load run counts them: what connect() can take again is no port in use, and no state of one.
#[test]
fn ports_that_connect_can_take_again_are_counted_apart() {
    let mut r = report();
    let d = &mut r.destinations[0];
    (d.used, d.held, d.open, d.share, d.hold_s) = (341, 67, 1, Some(67.0 / 28_230.0), Some(1.0));
    d.states = StateCounts { time_wait: 340, established: 1, ..StateCounts::default() };
    let page = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let now = page(render_ports(&r, &Page::plain()));
    assert!(now.contains("in use 67 (0.2 %), from 127.0.0.1: 66 in TIME_WAIT, 1 in ESTABLISHED"), "{now}");
    assert!(now.contains(&format!("274 ports {REUSABLE} are not in use")), "{now}");
    let mut run = crate::report::fixture::healthy().run;
    let p = run.ports.as_mut().unwrap();
    (p.pool, p.peak_used, p.peak_in_use, p.hold_s) = (Some(28_230), Some(341), Some(67), Some(1.0));
    let run = page(crate::report::text::render_run(&run, &Page { detail: crate::report::text::Detail::Full, ..Page::plain() }));
    assert!(run.contains("at most 67 of 28,230 ports in use (0.2 %)"), "{run}");
    assert!(run.contains(&format!("341 with those {REUSABLE}")), "{run}");
}

#[test]
fn the_budget_reads_like_this() {
    insta::assert_snapshot!(render_ports(&report(), &Page::plain()));
}

#[test]
fn what_is_free_to_be_taken_and_what_servers_keep_is_told_apart() {
    let mut r = report();
    let d = &mut r.destinations[0];
    (d.held, d.share, d.first_free_in_s, d.last_free_in_s) = (10, Some(10.0 / 28230.0), Some(0.0), Some(0.0));
    r.time_wait_at_servers = 12;
    let shown = render_ports(&r, &Page::plain());
    assert!(shown.contains("28,220 of 28,230"), "{shown}");
    let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(&format!("26,990 ports {REUSABLE} are not in use")), "{shown}");
    assert!(shown.contains("16 in TIME_WAIT at the server's end"), "{shown}");
}

/// What a process still has lasts as long as it or the other side likes; the rest has a timer. Each page says which.
#[test]
fn ports_with_and_without_a_known_end_are_told_apart() {
    let shown = |states: StateCounts, timed: u32| {
        let held = states.time_wait + states.established + states.fin_wait2 + states.close_wait;
        let ends = (timed > 0).then_some(59.9);
        let row = DestinationPorts {
            states,
            used: held,
            held,
            open: held - timed,
            first_free_in_s: ends.map(|_| 1.5),
            last_free_in_s: ends,
            ..report().destinations.remove(0)
        };
        let other = DestinationPorts { destination: "127.0.0.1:8081".into(), ..row.clone() };
        [vec![row.clone()], vec![row, other]].map(|destinations| {
            let page = render_ports(&PortsReport { destinations, ..report() }, &Page::plain());
            assert!(page.lines().all(|l| l.chars().count() <= 80), "{page}");
            page.split_whitespace().collect::<Vec<_>>().join(" ")
        })
    };
    let none = StateCounts::default();
    let [one, two] = shown(StateCounts { time_wait: 27_000, ..none }, 27_000);
    assert!(one.contains("all free in 59.9 s, the first in 1.5 s") && two.contains("59.9 s"), "{one}");
    assert!([&one, &two].iter().all(|page| !page.contains("depend on")), "{one}");
    let orphans = "in FIN_WAIT2 that no process has any more end by their timer (tcp_fin_timeout)";
    let kept = "in FIN_WAIT2 depend on the server: no timer ends them";
    let [one, two] = shown(StateCounts { fin_wait2: 31, fin_wait2_timed: 31, ..none }, 31);
    assert!(one.contains("all free in 59.9 s, the first in 1.5 s") && one.contains(&format!("31 {orphans}")), "{one}");
    assert!(two.contains("all free") && two.contains(&format!("62 {orphans}")) && !two.contains("depend on"), "{two}");
    let [one, two] = shown(StateCounts { fin_wait2: 3, fin_wait2_kept: 3, ..none }, 0);
    assert!(one.contains("free 3 without a known end") && one.contains(&format!("3 {kept}")), "{one}");
    assert!(!two.contains("all free") && two.contains(&format!("6 {kept}")), "{two}");
    let [one, _] =
        shown(StateCounts { time_wait: 9, fin_wait2: 5, fin_wait2_timed: 2, fin_wait2_kept: 3, established: 4, ..none }, 11);
    assert!(one.contains("free 11 within 59.9 s, the first in 1.5 s; 7 without a known end"), "{one}");
    assert!(one.contains(&format!("2 {orphans}")) && one.contains(&format!("3 {kept}")), "{one}");
    let [one, _] = shown(StateCounts { close_wait: 2, ..none }, 0);
    assert!(one.contains("free 2 without a known end") && one.contains("2 in CLOSE_WAIT depend on the process here"), "{one}");
    let [one, _] = shown(StateCounts { fin_wait2: 2, close_wait: 3, last_ack: 3, ..none }, 0);
    assert!(!one.contains("depend on") && !one.contains("known end"), "FIN_WAIT1 and LAST_ACK: everybody has closed: {one}");
    let [one, _] = shown(StateCounts { established: 2, ..none }, 0);
    assert!(!one.contains("known end"), "open connections speak for themselves: {one}");
}

#[test]
fn several_destinations_are_a_table_without_empty_rows_and_columns() {
    let mut r = report();
    let quiet = DestinationPorts {
        destination: "127.0.0.1:81".into(),
        used: 0,
        held: 0,
        used_outside: 0,
        share: Some(0.0),
        states: StateCounts::default(),
        ..r.destinations[0].clone()
    };
    let small =
        DestinationPorts { destination: "127.0.0.1:443".into(), used: 12, held: 12, share: Some(0.0004), ..quiet.clone() };
    r.destinations.extend([small, quiet]);
    insta::assert_snapshot!(render_ports(&r, &Page::plain()));
}

#[test]
fn pages_keep_to_80_columns() {
    let f = Budget::new(28232, 60.0).forecast(10_000.0, Duration::from_mins(10), None, None);
    for text in [render_ports(&report(), &Page::plain()), render_forecast(&f, &["x ".repeat(60)], Style::Plain)] {
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    }
}

#[test]
fn an_empty_namespace_says_so_and_a_missing_fact_has_its_reason() {
    let mut r = PortsReport { destinations: vec![], more_destinations: 0, more_used: 0, bound_only: None, ..report() };
    r.explain_null("bound_only", "sock_diag shows bound-only sockets from Linux 6.8 on, this is 5.15.0");
    insta::assert_snapshot!(render_ports(&r, &Page::plain()));
}

#[test]
fn the_experiments_forecast_reads_like_this() {
    let f = Budget::new(16384, 120.0).forecast(170.0, Duration::from_mins(3), Some(300.0), Some(120.0));
    insta::assert_snapshot!(render_forecast(&f, &["no port is in use at the start".into()], Style::Plain));
}

#[test]
fn a_rate_below_the_ceiling_holds_out() {
    let f = Budget::new(16384, 120.0).forecast(122.6, Duration::from_mins(3), None, None);
    insta::assert_snapshot!(render_forecast(&f, &[], Style::Plain));
}
