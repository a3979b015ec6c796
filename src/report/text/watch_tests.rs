use serde_json::json;

use super::*;
use crate::report::text::Detail;

/// A pool that ran out, with everything that a page can have.
fn report() -> WatchReport {
    let remedy = |action: &str, change: Option<&str>, command: &str| json!({ "name": "keep-alive", "action": action, "change": change, "command": command, "expected": "one port per user", "proven": null });
    let finding = |id: &str, severity: &str, title: &str, remedies: serde_json::Value| {
        json!({ "id": id, "severity": severity, "caused_by": [], "title": title, "evidence": { "pool": 1000 }, "remedies": remedies,
            "explanation": "Each connection of wrk ended after use, and this side closed first, so its port stays in TIME_WAIT: 1,000 ports / 60 s = 16.7 new connections/s at the most; 1,240/s were made." })
    };
    let keep = [
        remedy(
            "this client keeps connections by itself: let the server keep them",
            Some("HTTP/1.1 without Connection: close in the answers"),
            "",
        ),
        remedy(
            "let the server close first, the client reading to the end",
            None,
            "sockbench load URL --no-keepalive --closer server",
        ),
        remedy("let connect() take ports in TIME_WAIT again", None, "sysctl -w net.ipv4.tcp_tw_reuse=1"),
    ];
    let mut document = json!({
        "schema": "sockbench-watch/1", "tool": { "version": "1.0.0" }, "command": "sockbench watch", "started_at": "2026-01-01T00:00:00Z",
        "duration_s": 20.4,
        "watched": { "words": ["wrk", "-c", "10", "-d", "20s", "http://127.0.0.1:8080/"], "pid": 7, "program": "wrk", "exit_code": 0, "signal": null, "stopped": false },
        "host": { "kernel": "6.18.0", "cpus": 2, "memory_bytes": null, "nofile": null, "sysctls": {
            "ip_local_port_range": null, "ip_local_reserved_ports": null, "tcp_tw_reuse": 0, "tcp_tw_reuse_delay_ms": null, "tcp_timestamps": 1,
            "tcp_fin_timeout_s": null, "tcp_max_tw_buckets": null, "tcp_max_syn_backlog": null, "somaxconn": null } },
    });
    document["verdict"] =
        json!({ "id": "port-bound", "sentence": "source ports ran out on this machine at 12.3 s", "since_s": 12.3 });
    document["findings"] = json!([
        finding(
            "local-ports-exhausted",
            "error",
            "all 1,000 source ports to 127.0.0.1:8080 were in use from 12.3 s on, and no connection began for 8.1 s",
            json!(keep)
        ),
        finding(
            "target-forbids-keepalive",
            "warning",
            "wrk keeps connections, but 1,000 to 127.0.0.1:8080 ended, with at most 10 open at once",
            json!([])
        ),
    ]);
    document["undecided"] =
        json!([{ "id": "target-queueing", "missing": "answers and their times, which only the command itself has" }]);
    document["destinations"] = json!([{
            "source": "127.0.0.1", "destination": "127.0.0.1:8080", "by": "socket", "pool": 1000, "hold_s": 60.0, "hold_why": "", "ceiling_cps": 16.67,
            "used_before": 0, "peak_used": 1000, "peak_share": 1.0, "peak_at_s": 13.0,
            "states": { "time_wait": 1000, "established": 0, "fin_wait2": 0, "close_wait": 0 },
            "closed_by_client": 1000, "closed_by_server": 0, "open_max": 10, "peak_cps": 1240.0, "full_s": [12.3, 20.4], "stuck_s": 8.1,
            "server": { "pid": 4711, "name": "python3", "cpu_percent_mean": 12.0, "busiest_thread_percent": 12.0, "thread_waited_percent": 1.0, "queue_max": 3, "queue_limit": 128,
                "close_wait_max": 0, "descriptors_max": 15, "descriptor_limit": 1024, "listens_at_end": true } }]);
    document["processes"] = json!({ "count_max": 1, "cpu_percent_mean": 31.0, "busiest_thread_percent": 30.0, "waited_percent_mean": 1.0, "busy_looks": 0, "waiting_looks": 0, "measured_looks": 20,
            "rss_bytes_max": 5_242_880, "descriptors_max": 16, "descriptor_limit": 1024, "left": 0 });
    let rest = json!({
        "other_destinations": 0, "kernel": null, "host_cpu_percent_mean": 40.0,
        "output": { "read": true, "bad_answers": 0, "readings": [] },
        "settings_changed": [],
        "outlooks": [{ "at_s": 2.0, "destination": "127.0.0.1:8080", "full_from_s": 12.0, "full_to_s": 12.4,
            "text": "ports to 127.0.0.1:8080: 160 of 1,000 in use, +81/s: full in 10 s" }],
        "looks": [], "unavailable": []
    });
    for (key, value) in rest.as_object().unwrap() {
        document[key] = value.clone();
    }
    serde_json::from_value(document).unwrap()
}

#[test]
fn a_watched_command_is_on_one_screen_at_any_width() {
    for columns in [80, 60] {
        let text = render(&report(), &Page::plain().wide(columns));
        assert!(text.lines().count() <= Page::LINES, "{text}");
        assert!(text.lines().all(|l| l.chars().count() <= columns), "{text}");
        insta::assert_snapshot!(format!("exhausted_{columns}"), text);
    }
    let full = detail(&report(), &Page { detail: Detail::Full, ..Page::plain() });
    assert!(full.contains("target-queueing: not known: answers and their times"), "{full}");
    assert!(full.lines().all(|l| l.chars().count() <= Page::WIDTH), "{full}");
}

#[test]
fn a_line_of_the_output_is_read_whole_and_counted_once() {
    let mut report = report();
    let reading = |text: &str| -> Reading {
        serde_json::from_value(
            json!({ "text": text, "count": 1268, "name": "EADDRNOTAVAIL", "code": 99, "call": "connect", "limit": "local-ports",
            "certainty": "certain", "says": "", "is_not": "" }),
        )
        .unwrap()
    };
    report.output.readings = vec![
        reading("1268    GET /: OSError(99, 'Cannot assign requested address')"),
        reading(&format!("HTTPConnectionPool({})", "x".repeat(500))),
    ];
    let text = render(&report, &Page::plain());
    assert!(text.contains("1,268 x EADDRNOTAVAIL 99: GET /: OSError(99, 'Cannot assign\n"), "{text}");
    assert!(
        text.contains("            requested address')\n") && text.contains("HTTPConnectionPool(xxx") && text.contains("xxx)\n"),
        "{text}"
    );
    assert!(text.lines().count() <= Page::LINES && text.lines().all(|l| l.chars().count() <= 80), "{text}");
}

/// What a command is called, what it prints and what listens there is anybody's text.
#[test]
fn foreign_text_moves_no_cursor() {
    let mut report = report();
    let evil = "\u{1b}[2J\u{7}x\ny";
    report.watched.words = vec!["sh".into(), "-c".into(), evil.into()];
    report.destinations[0].server.as_mut().unwrap().name = evil.into();
    report.findings[0].title = evil.into();
    report.findings[1].title = evil.into();
    report.output.readings = vec![
        serde_json::from_value(
            json!({ "text": evil, "count": 3, "call": "connect", "limit": "hidden", "certainty": "certain", "says": "",
            "is_not": "" }),
        )
        .unwrap(),
    ];
    let text = render(&report, &Page::plain());
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

#[test]
fn connections_are_said_as_they_were_counted() {
    let d = |client: u64, server: u64, made: Option<u64>| {
        let d = report().destinations.remove(0);
        ports(&Destination { closed_by_client: client, closed_by_server: server, made, ceiling_cps: None, peak_cps: 50.0, ..d })
    };
    for (line, end) in [
        (d(0, 0, None), "; 10 connections open at once"),
        (d(0, 0, Some(10)), "; 10 connections open at once"),
        (d(400, 0, None), "; 400 closed by the client first, at most 50/s"),
        (d(0, 400, None), "; at least 400 closed by the server first"),
        (d(0, 400, Some(405)), "; 400 closed by the server first"),
        (d(40, 400, None), "; closed first: 40 by the client, at least 400 by the server"),
        (d(40, 400, Some(9000)), "; 9,000 connections made, at most 50/s, 40 of them closed by the client first"),
    ] {
        assert!(line.ends_with(end), "{line}");
    }
}

/// P/T is of connections that this side closes first.
#[test]
fn the_law_of_the_ports_is_said_where_it_holds() {
    let has_law = |client: u64, server: u64, made: Option<u64>| {
        let d = report().destinations.remove(0);
        let d = Destination { closed_by_client: client, closed_by_server: server, made, ceiling_cps: Some(8.33), ..d };
        ports(&d).contains("these ports allow 8.33")
    };
    assert!(has_law(400, 0, None) && has_law(400, 0, Some(410)) && has_law(400, 40, None));
    for (client, server, made) in [(0, 400, None), (40, 400, None), (12, 0, Some(1500)), (12, 3, Some(1500)), (0, 0, Some(10))] {
        assert!(!has_law(client, server, made), "{client} {server} {made:?}");
    }
}

#[test]
fn a_command_that_ended_at_once_was_a_process_all_the_same() {
    let mut report = report();
    report.processes = crate::model::watch::Processes::default();
    let text = render(&report, &Page::plain());
    assert!(text.contains("ended before the first look") && !text.contains("0 processes"), "{text}");
}

#[test]
fn a_healthy_one_says_so_first() {
    let mut report = report();
    report.findings.clear();
    report.verdict.id = VerdictId::Healthy;
    report.verdict.sentence = "OK: no limit was reached (at most 12 of 1,000 source ports in use, 1.2 %)".into();
    let text = render(&report, &Page::plain());
    assert!(text.starts_with("OK   no limit was reached"), "{text}");
}

/// A target that answers one request in 2 s fills no limit: the page says what was made, how long it was open, and what nobody saw.
#[test]
fn a_command_that_crawls_is_no_bare_ok() {
    let of = |open: u32, closed: u64, opened: u64| {
        let mut report = report();
        report.kernel = Some(crate::model::facts::KernelCounters { active_opens: opened, ..Default::default() });
        report.findings.clear();
        report.verdict.id = VerdictId::Healthy;
        report.verdict.sentence = "OK: no limit was reached, as far as can be seen from outside".into();
        report.duration_s = 30.0;
        let d = &mut report.destinations[0];
        (d.closed_by_client, d.closed_by_server, d.made, d.open_max) = (closed, 0, None, open);
        let look = |t_s: u32| crate::model::watch::LookRow { t_s: f64::from(t_s), open, ..Default::default() };
        report.looks = (1..=30).map(look).collect();
        let text = render(&report, &Page::plain());
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let short = of(1, 5, 6);
    assert!(short.contains("made 6 connections, 0.2/s, each open for 5 s on average"), "{short}");
    let least = of(1, 5, 600);
    assert!(least.contains("made at least 6 connections not seen"), "others connect too: {least}");
    assert!(short.contains("not seen requests, answers and their times"), "{short}");
    let kept = of(10, 0, 10);
    assert!(kept.contains("made 10 connections, 0.33/s, open the whole time"), "{kept}");
    let quick = of(0, 9000, 9000);
    assert!(quick.contains("made 9,000 connections, 300/s, open for less time than between two looks"), "{quick}");
}

/// Of a run of few looks at few connections nothing follows about how long they were open.
#[test]
fn few_looks_at_few_connections_say_nothing_of_their_length() {
    use crate::model::watch::{LookRow, OpenFor};
    let open = |looks: u32, open: u32, made: u64| {
        let mut report = report();
        report.duration_s = f64::from(looks);
        let d = &mut report.destinations[0];
        (d.closed_by_client, d.closed_by_server, d.made, d.open_max) = (made - u64::from(open), 0, Some(made), open);
        report.looks = (1..=looks).map(|t| LookRow { t_s: f64::from(t), open, ..Default::default() }).collect();
        report.connections().expect("some were made").open
    };
    for (looks, at_once) in (1..5).flat_map(|looks| (0..=4 / looks).map(move |n| (looks, n))) {
        for made in u64::from(at_once.max(1))..5 {
            assert_eq!(open(looks, at_once, made), OpenFor::Unknown, "{made} made, {at_once} open at each of {looks} looks");
        }
    }
    assert_eq!([open(1, 0, 9000), open(2, 0, 9000)], [OpenFor::Unknown, OpenFor::LessThanALook]);
    assert_eq!([open(5, 1, 1), open(4, 2, 2)], [OpenFor::Mean(5.0), OpenFor::Mean(4.0)]);
}

/// nginx whose worker could not start: the client gave up, and no limit was seen.
#[test]
fn a_command_that_failed_for_a_reason_that_was_not_seen_gets_a_next_step() {
    let mut report = report();
    report.findings.clear();
    report.verdict.id = VerdictId::Undecided;
    report.verdict.sentence = "undecided: the command ended with exit code 28; no limit was reached on this machine".into();
    assert!(!render(&report, &Page::plain()).contains("what helps"), "exit code 0");
    report.watched.exit_code = Some(28);
    report.watched.sandbox = true;
    let server = report.destinations[0].server.as_mut().unwrap();
    (server.name, server.cpu_percent_mean, server.queue_max, server.listens_at_end) = ("nginx".into(), Some(0.0), 1, false);
    let text = render(&report, &Page::plain());
    assert!(text.lines().count() <= Page::LINES && text.lines().all(|l| l.chars().count() <= 80), "{text}");
    insta::assert_snapshot!("failed_without_a_reason", text);
    report.watched.stopped = true;
    assert!(!render(&report, &Page::plain()).contains("what helps"), "somebody stopped it");
    report.watched.stopped = false;
    report.destinations.clear();
    let text = render(&report, &Page::plain());
    assert!(text.contains("what helps") && !text.contains("curl"), "{text}");
}

/// What nobody saw is said once, for all findings that miss it.
#[test]
fn findings_that_miss_the_same_are_one_paragraph() {
    use crate::model::finding::{FindingId, Undecided};
    let mut report = report();
    report.undecided = OF_A_CLIENT_ALONE.iter().map(|id| Undecided { id: *id, missing: "answers".into() }).collect();
    report.undecided.push(Undecided { id: FindingId::TargetGone, missing: "its end".into() });
    let text = detail(&report, &Page::plain());
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(flat.matches("not known: answers").count(), 1, "{flat}");
    assert!(flat.contains("target-hangs, target-malformed, ") && flat.contains("target-gone: not known: its end"), "{flat}");
}
