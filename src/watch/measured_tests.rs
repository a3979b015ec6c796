//! What a report says was measured: rates, connections without an owner, refusals.

use super::tests::{Played, dest, empty, ids, reading};
use super::*;
use crate::model::explanation::{Alternative, Certainty, FailedCall, Limit, Reading, Side};
use crate::model::facts::AcceptQueue;
use crate::model::finding::{Finding, FindingId as Id};
use crate::model::result::VerdictId;
use crate::watch::look::ServerLook;
use crate::watch::settle;

/// One second of connections in a long watch is no rate that lasts: the forecast of used-up ports rests on it.
#[test]
fn a_burst_is_the_rate_of_two_seconds_whoever_closed_and_whoever_counted() {
    for closed_by_server in [false, true] {
        let played = Played { closed_by_server, ..Played::new(&[100, 0, 0, 0, 0, 0]) };
        let report = played.report("tool", |_| ());
        assert_eq!(report.destinations[0].peak_cps, 50.0, "closed by the server: {closed_by_server}");
    }
    let mut course = Course::default();
    let played = Played::new(&[1; 6]);
    for second in 0..6 {
        let mut look = played.look(second);
        look.counters = Some(KernelCounters { active_opens: if second > 2 { 300 } else { 0 }, ..KernelCounters::default() });
        course.on_look(&look, None);
    }
    let mut report = empty(vec!["tool".into()], Played::new(&[]).hold);
    course.write(&mut report, End { at_s: 6.0, left: 0 });
    assert_eq!((report.destinations[0].made, report.destinations[0].peak_cps), (Some(300), 150.0));
}

#[test]
fn what_was_measured_is_said_where_nobody_was_seen_to_own_it() {
    let watched = |opened: u64, failed: u64, made: u32| {
        let mut course = Course::default();
        course.share();
        let played = Played { open: 0, ..Played::new(&[made; 4]) };
        for second in 0..5_u64 {
            let mut look = played.look(second as usize);
            for t in &mut look.towards {
                t.owned = 0;
            }
            let (active_opens, attempt_fails) = (opened * second / 4, failed * second / 4);
            look.counters = Some(KernelCounters { active_opens, attempt_fails, ..KernelCounters::default() });
            course.on_look(&look, None);
        }
        let mut report = empty(vec!["./load.sh".into()], Played::new(&[]).hold);
        course.write(&mut report, End { at_s: 4.0, left: 0 });
        settle(&mut report);
        assert_eq!((report.verdict.id, report.destinations.len()), (VerdictId::Undecided, 0));
        report
    };
    let short = watched(1200, 0, 300);
    let unowned: Vec<_> =
        short.unowned.iter().map(|u| (u.destination.as_str(), u.closed_by_client, u.closed_by_server)).collect();
    assert_eq!(unowned, [("10.0.0.1:80", 1200, 0)]);
    assert!(
        short.verdict.sentence.ends_with("; the kernel counted 1,200 connections in this network namespace meanwhile"),
        "{:?}",
        short.verdict
    );
    let refused = watched(300, 300, 0);
    assert!(refused.unowned.is_empty() && refused.verdict.sentence.ends_with(", 300 of them failed"), "{:?}", refused.verdict);
    let none = watched(0, 0, 0).verdict.sentence;
    assert!(none.ends_with("; the kernel counted none in this network namespace either"), "{none}");
}

/// ab -r at a port where nobody listens: one kind of failure, one finding, one line of the output.
#[test]
fn refused_connects_that_a_summary_counts_as_resets_are_refusals() {
    let line = "(Connect: 0, Receive: 300, Length: 0, Exceptions: 150)";
    let report = |estab_resets| {
        let mut course = Course::default();
        course.name(&[dest()]);
        for second in 0..2_u64 {
            let mut look = Played::new(&[]).look(0);
            (look.at_s, look.towards) = (second as f64, Vec::new());
            // Of this host it is known that nobody listens.
            look.servers = vec![(dest(), ServerLook::default())];
            let n = second * 301;
            look.counters = Some(KernelCounters {
                active_opens: n,
                attempt_fails: n,
                estab_resets: Some(second * estab_resets),
                ..KernelCounters::default()
            });
            course.on_look(&look, None);
        }
        let mut report = empty("ab -r http://10.0.0.1/".split(' ').map(str::to_owned).collect(), Played::new(&[]).hold);
        let reset = Reading { limit: Limit::Reset, count: 300, call: FailedCall::Read, ..reading(line) };
        let refused = Alternative { call: FailedCall::Connect, limit: Limit::Refused, tell: String::new() };
        let again = Reading { certainty: Certainty::Ambiguous, alternatives: vec![refused], count: 150, ..reading(line) };
        report.output.readings = vec![Reading { certainty: Certainty::Certain, ..reset }, again];
        course.write(&mut report, End { at_s: 1.0, left: 0 });
        settle(&mut report);
        report
    };
    let refused = report(0);
    assert_eq!((ids(&refused), refused.verdict.id), (vec![Id::TargetRefused], VerdictId::TargetGone));
    assert_eq!(refused.output.readings.len(), 1, "{:?}", refused.output.readings);
    assert_eq!(refused.findings[0].title, "the target at 10.0.0.1:80 refused 301 connections");
    let commands: Vec<_> = refused.findings[0].remedies.iter().map(|r| r.command.as_str()).collect();
    assert!(commands[0].contains("sport = :80'") && !commands.concat().contains("PORT"), "{commands:?}");
    assert!(ids(&report(9)).contains(&Id::TargetResets), "established connections were reset too");
}

/// A script that also starts the server: what the server says of itself is about no connection of a client.
#[test]
fn a_servers_own_lines_are_no_failures_of_the_command() {
    for limit in [Limit::TimedOut, Limit::Reset] {
        let said = |side| {
            let line = Reading { limit, side, certainty: Certainty::Likely, call: FailedCall::Unnamed, ..reading("said") };
            Played::new(&[5; 10]).report("./load.sh", |r| r.output.readings = vec![line])
        };
        let (of_client, of_server) = (said(None), said(Some(Side::Server)));
        assert!(matches!(ids(&of_client)[..], [Id::TargetTimeouts | Id::TargetResets]), "{:?}", of_client.findings);
        assert_eq!((ids(&of_server), of_server.verdict.id), (vec![], VerdictId::Undecided));
        assert!(of_server.verdict.sentence.contains("3 lines of a server"), "{:?}", of_server.verdict);
    }
}

/// A watch that was shorter than two seconds says over which time its rate is.
#[test]
fn a_peak_is_of_the_time_that_it_was_counted_over() {
    let text = |over_s| {
        let made: &[u32] = if over_s < 1.0 { &[1000] } else { &[500, 500, 0, 0] };
        let report = Played { open: 0, ..Played::new(made) }.report("tool", |r| r.output.readings = vec![reading("99")]);
        assert_eq!(report.destinations[0].peak_over_s, Some(over_s));
        report.findings[0].explanation.clone()
    };
    // The last half of a second before the end is none: that is the closing of what was open.
    assert!(text(0.5).contains("in the busiest 0.5 s "), "{}", text(0.5));
    assert!(text(2.0).contains("in the two busiest seconds "), "{}", text(2.0));
}

/// Python's http.server asks for 5: no setting of the kernel makes that more.
#[test]
fn a_short_queue_is_lengthened_where_its_length_comes_from() {
    let advice = |limit: u32| {
        let queue = Some(AcceptQueue { waiting: limit, limit });
        let server = Some(ServerLook { pid: 9, name: "python3".into(), queue, ..ServerLook::default() });
        let played = Played { server, ..Played::new(&[5; 4]) };
        let report = played.report("wrk http://10.0.0.1/", |r| {
            r.host.sysctls.somaxconn = Some(4096);
        });
        let mut report = WatchReport { kernel: Some(KernelCounters { listen_drops: 24, ..KernelCounters::default() }), ..report };
        settle(&mut report);
        let f = report.findings.iter().find(|f| f.id == Id::TargetBacklogOverflow).unwrap().clone();
        (f.remedies[0].command.clone(), f.explanation)
    };
    let (own, text) = advice(5);
    assert_eq!(own, "request_queue_size = 4096 (socketserver)");
    assert!(text.contains("5 may by its own listen(), where the kernel allows 4,096"), "{text}");
    assert!(advice(4096).0.contains("net.core.somaxconn"));
}

/// h2load -c 10 -n 100 at a port of this host where nobody listens, while other programs connect elsewhere.
#[test]
fn an_output_that_does_not_say_why_is_about_the_port_at_which_nobody_listens() {
    let report = |listens: bool| {
        let mut course = Course::default();
        course.share();
        course.name(&[dest()]);
        let queue = listens.then_some(AcceptQueue { waiting: 0, limit: 128 });
        for second in 0..2_u64 {
            let mut look = Played::new(&[]).look(0);
            (look.at_s, look.towards) = (second as f64, Vec::new());
            look.servers = vec![(dest(), ServerLook { queue, ..ServerLook::default() })];
            look.counters =
                Some(KernelCounters { active_opens: second * 40, attempt_fails: second * 10, ..KernelCounters::default() });
            course.on_look(&look, None);
        }
        let mut report = empty("h2load http://10.0.0.1/".split(' ').map(str::to_owned).collect(), Played::new(&[]).hold);
        let may_be = |limit| Alternative { call: FailedCall::Connect, limit, tell: String::new() };
        report.output.readings = vec![Reading {
            alternatives: vec![may_be(Limit::Refused), may_be(Limit::LocalPorts)],
            count: 100,
            ..reading("hidden")
        }];
        course.write(&mut report, End { at_s: 1.0, left: 0 });
        settle(&mut report);
        report
    };
    let refused = report(false);
    let sentence = "nothing listens at 10.0.0.1:80, and the output counts 100 failed connections";
    assert_eq!((refused.verdict.id, refused.verdict.sentence.as_str()), (VerdictId::TargetGone, sentence));
    assert!(!refused.findings[0].evidence.contains_key("attempt_fails"), "of other programs too: {:?}", refused.findings);
    assert_eq!(report(true).verdict.id, VerdictId::Undecided, "somebody listens there: why is not known");
}

#[test]
fn a_look_that_saw_no_sockets_has_no_row_of_zeros() {
    let mut course = Course::default();
    let played = Played::new(&[5; 3]);
    for second in 0..3 {
        let mut look = played.look(second);
        if second == 2 {
            (look.towards, look.sockets_missing) = (Vec::new(), Some("sock_diag: no buffer space".into()));
        }
        course.on_look(&look, None);
    }
    let mut report = empty(vec!["tool".into()], played.hold);
    course.write(&mut report, End { at_s: 3.0, left: 0 });
    assert_eq!(report.looks.iter().map(|l| l.t_s).collect::<Vec<_>>(), [1.0]);
    settle(&mut report);
    assert_eq!(report.verdict.sentence, "undecided: the sockets of this machine could not be read");
}

/// A server that listens from 1 s on and does not at the end, by the command's exit code, its output, and failed connects by the
/// kernel before and after it listened.
fn ended_server(exit_code: i32, readings: Vec<Reading>, failed: [u64; 2], is_read: bool) -> WatchReport {
    let mut course = Course::default();
    course.name(&[dest()]);
    let queue = Some(AcceptQueue { waiting: 0, limit: 128 });
    for second in 0..4_u64 {
        let mut look = Played::new(&[5; 4]).look(second as usize);
        let queue = queue.filter(|_| (1..3).contains(&second));
        look.servers = vec![(dest(), ServerLook { pid: 9, name: "python3".into(), queue, ..ServerLook::default() })];
        look.counters = Some(KernelCounters {
            active_opens: second * 50,
            attempt_fails: [0, failed[0], failed[0], failed[0] + failed[1]][second as usize],
            estab_resets: Some(0),
            ..KernelCounters::default()
        });
        course.on_look(&look, (second == 3).then_some(3.0));
    }
    let mut report = empty(vec!["sh".into(), "-c".into(), "SERVER & ab http://10.0.0.1/; kill $p".into()], Played::new(&[]).hold);
    report.watched.exit_code = Some(exit_code);
    report.output.readings = readings;
    report.output.read = is_read;
    course.write(&mut report, End { at_s: 3.0, left: 0 });
    settle(&mut report);
    report
}

#[test]
fn a_server_that_the_command_ended_is_gone_only_where_a_connection_failed_for_it() {
    const NONE: [u64; 2] = [0, 0];
    const BEFORE: [u64; 2] = [8, 0];
    const AFTER: [u64; 2] = [0, 8];
    let sure = |limit| Reading { limit, certainty: Certainty::Certain, ..reading("said") };
    let of_server = || Reading { side: Some(Side::Server), ..sure(Limit::TimedOut) };
    let is_open = |r: &WatchReport| r.undecided.iter().any(|u| u.id == Id::TargetGone);
    // Its exit code, its lines, failed connects, whether it is read: the verdict, whether the server is gone or may be.
    for (name, report, verdict, is_gone, may_be) in vec![
        ("all was well", ended_server(0, vec![], NONE, true), VerdictId::Healthy, false, false),
        ("it failed for another reason", ended_server(28, vec![], NONE, true), VerdictId::Undecided, false, false),
        ("it waited for its server", ended_server(0, vec![], BEFORE, true), VerdictId::Healthy, false, false),
        ("it waited, then failed", ended_server(7, vec![], BEFORE, true), VerdictId::Undecided, false, false),
        ("it waited for the end of its server", ended_server(0, vec![], AFTER, true), VerdictId::Healthy, false, true),
        ("its server said something", ended_server(0, vec![of_server()], NONE, true), VerdictId::Undecided, false, false),
        ("timeouts lead", ended_server(0, vec![sure(Limit::TimedOut)], AFTER, true), VerdictId::TargetFailing, false, false),
        ("resets lead", ended_server(0, vec![sure(Limit::Reset)], NONE, true), VerdictId::TargetFailing, false, false),
        ("it was refused", ended_server(0, vec![reading("111")], NONE, true), VerdictId::TargetGone, true, false),
        ("reset, and it failed", ended_server(104, vec![sure(Limit::Reset)], NONE, true), VerdictId::TargetGone, true, false),
        ("reset, then refused", ended_server(0, vec![sure(Limit::Reset)], AFTER, true), VerdictId::TargetGone, true, false),
        ("it does not say why", ended_server(0, vec![reading("hidden")], AFTER, true), VerdictId::TargetGone, true, false),
        ("it failed and was refused", ended_server(1, vec![], AFTER, true), VerdictId::TargetGone, true, false),
        ("it was not read", ended_server(0, vec![], AFTER, false), VerdictId::TargetGone, true, false),
    ] {
        let seen = (report.verdict.id, ids(&report).contains(&Id::TargetGone), is_open(&report));
        assert_eq!(seen, (verdict, is_gone, may_be), "{name}: {:?} {:?}", report.verdict, report.undecided);
    }
    for (failed, when) in [
        (AFTER, "8 failed connects in this network namespace, after it was last seen to listen, at 2 s."),
        (
            [3, 5],
            "8 failed connects in this network namespace, 3 of them before it was first seen to listen, at 1 s, and 5 after it was last seen to listen, at 2 s.",
        ),
    ] {
        let text = &ended_server(1, vec![], failed, true).findings[0].explanation;
        assert!(text.ends_with(&format!("Meanwhile the kernel counted {when}")), "{text}");
    }
    let early = ended_server(0, vec![reading("111")], BEFORE, true);
    let refused = early.findings.iter().find(|f| f.id == Id::TargetRefused).unwrap();
    let when = "The kernel counted 8 failed connects, before it was first seen to listen, at 1 s.";
    assert!(refused.explanation.ends_with(when), "{}", refused.explanation);
}

/// The loopback of a private namespace is not the host's: a command at the host's sockets would show a listener there.
#[test]
fn a_server_outside_of_the_sandbox_is_said_to_be_out_of_reach() {
    let report = |dest: &str, sandbox: bool, listens: bool, said: &str| {
        let dest: SocketAddr = dest.parse().unwrap();
        let mut course = Course::default();
        course.name(&[dest]);
        let queue = listens.then_some(AcceptQueue { waiting: 0, limit: 128 });
        for second in 0..2_u64 {
            let mut look = Played::new(&[]).look(0);
            (look.at_s, look.towards) = (second as f64, Vec::new());
            look.servers = vec![(dest, ServerLook { queue, ..ServerLook::default() })];
            look.counters = Some(KernelCounters { active_opens: second, attempt_fails: second, ..KernelCounters::default() });
            course.on_look(&look, None);
        }
        let mut report = empty(vec!["ab".into(), format!("http://{dest}/")], Played::new(&[]).hold);
        report.watched.sandbox = sandbox;
        report.output.readings = vec![reading(said)];
        course.write(&mut report, End { at_s: 1.0, left: 0 });
        settle(&mut report);
        assert_eq!(report.verdict.id, VerdictId::TargetGone, "{:?}", report.verdict);
        report.findings.remove(0)
    };
    let of_host = |f: &Finding| f.remedies.iter().any(|r| r.command.starts_with("ss ") || r.command.starts_with("curl "));
    let is_said = |f: &Finding| f.explanation.contains("a private namespace cannot reach a server outside");
    for (at, said) in [("127.0.0.1:8123", "111"), ("127.0.0.1:8123", "hidden"), ("[::1]:8123", "111")] {
        let inside = report(at, true, false, said);
        assert!(is_said(&inside) && !of_host(&inside) && inside.remedies.len() == 2, "{inside:?}");
        let outside = report(at, false, false, said);
        assert!(!is_said(&outside) && of_host(&outside), "{outside:?}");
    }
    // Another address of the sandbox, and a server that listened in it too late.
    for f in [report("10.0.0.1:80", true, false, "111"), report("127.0.0.1:8123", true, true, "111")] {
        assert!(!is_said(&f) && !of_host(&f) && !f.remedies.is_empty(), "{f:?}");
    }
}

/// A target elsewhere that answers no SYN, by what the kernel counted: the command's own patience may end before the kernel's.
#[test]
fn a_target_that_answers_no_syn_has_refused_nothing() {
    let counted = |active_opens, attempt_fails, syn_retrans| KernelCounters {
        active_opens,
        attempt_fails,
        syn_retrans: Some(syn_retrans),
        dest_unreachable: Some(0),
        ..KernelCounters::default()
    };
    let report = |unanswered: u32, kernel: KernelCounters, change: fn(&mut Look)| {
        let mut course = Course::default();
        course.name(&[dest()]);
        for second in 0..4_u64 {
            let mut t = Towards { owned: 1, opening: 3, unanswered, ..Towards::new([10, 0, 0, 2].into(), dest()) };
            for _ in 0..3 {
                t.count.add_port(crate::model::facts::TcpState::SynSent, crate::model::port_count::Free::Unknown);
            }
            let mut look = Look { at_s: second as f64, pool: Some(1000), towards: vec![t], ..Look::default() };
            look.counters = Some(if second == 0 { counted(0, 0, 0) } else { kernel });
            change(&mut look);
            course.on_look(&look, None);
        }
        let mut report = empty(vec!["tool".into(), "http://10.0.0.1/".into()], Played::new(&[]).hold);
        report.watched.sandbox = true;
        course.write(&mut report, End { at_s: 4.0, left: 0 });
        settle(&mut report);
        report
    };
    let none_seen: fn(&mut Look) = |look| look.towards.clear();
    let no_change: fn(&mut Look) = |_| {};
    // Given up by the kernel; by the command.
    for (waiting, kernel) in [(3, counted(9, 9, 18)), (3, counted(9, 6, 15)), (9, counted(9, 0, 9))] {
        let silent = report(waiting, kernel, no_change);
        assert_eq!(
            (silent.verdict.id, ids(&silent)),
            (VerdictId::TargetFailing, vec![Id::TargetTimeouts]),
            "{:?}",
            silent.verdict
        );
        let d = &silent.destinations[0];
        assert_eq!((d.unanswered_max, d.open_max, d.made), (waiting, 0, None), "a SYN is no connection: {d:?}");
    }
    // Connections of a few milliseconds that the target closes first, which no look sees, and one SYN that was lost. Where the
    // command itself gave up more than waited at once, the counters look the same.
    let no_counters: fn(&mut Look) = |look| look.counters = None;
    for (kernel, change) in [(counted(21, 0, 1), no_change), (counted(9, 0, 9), no_change), (counted(9, 9, 18), no_counters)] {
        let unsure = report(1, kernel, change);
        assert_eq!(ids(&unsure), [], "{:?}", unsure.verdict);
        assert!(unsure.undecided.iter().any(|u| u.id == Id::TargetTimeouts), "{:?}", unsure.undecided);
        assert_ne!(unsure.verdict.id, VerdictId::TargetFailing, "{:?}", unsure.verdict);
    }
    // A SYN that some other program's listener on this host dropped says nothing of a target elsewhere.
    let other_drops = KernelCounters { listen_drops: 1, ..counted(9, 9, 18) };
    assert_eq!(ids(&report(3, other_drops, no_change)), [Id::TargetTimeouts]);
    // No look saw one of them. A router that says at once that there is no way has refused nothing either.
    let unreachable = KernelCounters { dest_unreachable: Some(9), ..counted(9, 9, 0) };
    for kernel in [counted(9, 9, 18), unreachable] {
        let unseen = report(0, kernel, none_seen);
        assert_eq!((unseen.verdict.id, ids(&unseen)), (VerdictId::Undecided, vec![]), "{:?}", unseen.verdict);
    }
    // A SYN on its way at a look is none without an answer, and what fails without a second SYN was refused.
    let young = report(0, counted(9, 0, 0), |_| {});
    assert_eq!(ids(&young), [], "{:?}", young.verdict);
}
