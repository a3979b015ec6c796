//! Facts of a report at the borders of what is said of them.

use super::tests::{Played, empty, ids, reading};
use super::*;
use crate::model::explanation::{Certainty, FailedCall, Limit, Reading};
use crate::model::facts::AcceptQueue;
use crate::model::finding::{Finding, FindingId as Id};
use crate::model::port_count::StateCounts;
use crate::model::result::VerdictId;
use crate::model::watch::{OpenFor, Server};
use crate::watch::look::ServerLook;
use crate::watch::settle;

/// A watch of ten seconds of wrk with a server on this host, in which nothing is wrong, with these changes.
fn judged(change: impl FnOnce(&mut WatchReport)) -> WatchReport {
    let queue = Some(AcceptQueue { waiting: 0, limit: 128 });
    let server = Some(ServerLook { pid: 9, name: "python3".into(), queue, ..ServerLook::default() });
    let mut report = Played { server, ..Played::new(&[1; 10]) }.report("wrk http://10.0.0.1/", |_| ());
    assert_eq!(ids(&report), [], "{:?}", report.findings);
    report.destinations[0].made = None;
    change(&mut report);
    settle(&mut report);
    report
}

fn server(report: &mut WatchReport) -> &mut Server {
    report.destinations[0].server.as_mut().unwrap()
}

fn found(report: &WatchReport, id: Id) -> Option<&Finding> {
    report.findings.iter().find(|f| f.id == id)
}

#[test]
fn a_full_pool_is_used_up_only_where_connections_were_to_be_expected() {
    let full = |peak_cps, states| {
        judged(|r| {
            let d = &mut r.destinations[0];
            (d.full_s, d.stuck_s, d.peak_cps, d.peak_used, d.states) = (Some([5.0, 9.0]), 4.0, peak_cps, 1000, states);
        })
    };
    let states = |established, time_wait, fin_wait2| StateCounts { time_wait, established, fin_wait2, ..Default::default() };
    assert!(found(&full(1.0, states(0, 1000, 0)), Id::LocalPortsExhausted).is_none(), "4 connections in 4 s are chance");
    let why = |states| found(&full(2.0, states), Id::LocalPortsExhausted).unwrap().explanation.clone();
    assert!(why(states(900, 90, 10)).starts_with("900 of the 1,000 ports are open connections"));
    let kept = why(StateCounts { fin_wait2_kept: 900, ..states(10, 90, 900) });
    assert!(kept.starts_with("900 of the 1,000 ports are in FIN_WAIT2") && kept.contains("A process still has them"), "{kept}");
    assert!(!why(states(10, 90, 900)).contains("FIN_WAIT2"), "FIN_WAIT1 is another state");
    let orphans = why(StateCounts { fin_wait2_timed: 880, ..states(10, 90, 900) });
    assert!(orphans.contains("after tcp_fin_timeout") && !orphans.contains("A process"), "{orphans}");
    assert!(why(states(10, 900, 90)).contains("stays in TIME_WAIT"));
}

#[test]
fn all_descriptors_are_in_use_at_the_limit_and_not_below() {
    let at = |n| judged(|r| (r.processes.descriptors_max, r.processes.descriptor_limit) = (Some(n), Some(1024)));
    assert!(found(&at(1023), Id::LocalFdLimit).is_none());
    assert!(found(&at(1024), Id::LocalFdLimit).is_some());
}

#[test]
fn what_others_used_is_without_the_command_and_its_servers_each_of_them_once() {
    let report = judged(|r| {
        let p = &mut r.processes;
        (p.measured_looks, p.waiting_looks, p.waited_percent_mean, p.cpu_percent_mean) = (10, 5, Some(40.0), Some(50.0));
        r.host_cpu_percent_mean = Some(100.0);
        server(r).cpu_percent_mean = Some(100.0);
        r.destinations.push(r.destinations[0].clone());
    });
    assert_eq!(found(&report, Id::HostContended).unwrap().evidence["others_percent"], 250.0);
}

/// Too few looks to accuse other programs are no look that was fine.
#[test]
fn a_wait_for_a_core_in_too_few_looks_is_undecided_and_said() {
    for (looks, waiting, sentence) in [
        (2, 2, "OK, but wrk waited 51 % of the time to run, in 2 looks only: watch it for longer"),
        (2, 0, "OK: no limit was reached"),
        (0, 0, "OK: no limit was reached"),
    ] {
        let report = judged(|r| {
            let p = &mut r.processes;
            (p.measured_looks, p.waiting_looks, p.waited_percent_mean, p.cpu_percent_mean) =
                (looks, waiting, Some(51.0), Some(50.0));
            r.host_cpu_percent_mean = Some(100.0);
            server(r).cpu_percent_mean = Some(20.0);
        });
        assert!(report.verdict.sentence.starts_with(sentence), "{looks}, {waiting}: {}", report.verdict.sentence);
    }
}

#[test]
fn a_server_that_waits_for_a_core_has_no_room_only_where_it_runs() {
    let with =
        |ran, waited| judged(|r| (server(r).busiest_thread_percent, server(r).thread_waited_percent) = (Some(ran), Some(waited)));
    assert!(found(&with(10.0, 85.0), Id::TargetCpuSaturated).is_none());
    assert!(found(&with(50.0, 45.0), Id::TargetCpuSaturated).is_some());
}

#[test]
fn connections_that_end_with_the_command_were_kept() {
    let with = |open_max| {
        judged(|r| {
            let d = &mut r.destinations[0];
            (d.peak_cps, d.closed_by_client, d.open_max) = (20.0, 20, open_max);
        })
    };
    assert!(found(&with(10), Id::TargetForbidsKeepalive).is_none());
    assert!(found(&with(5), Id::TargetForbidsKeepalive).is_some());
}

#[test]
fn a_server_is_gone_for_a_command_that_used_it_and_ended_by_itself() {
    let gone = |open_max, stopped| {
        let report = judged(|r| {
            (r.watched.exit_code, r.watched.stopped) = (Some(1), stopped);
            r.kernel = Some(KernelCounters { active_opens: 40, attempt_fails: 8, ..KernelCounters::default() });
            (server(r).listens_at_end, server(r).failed_outside) = (false, Some([0, 8]));
            let d = &mut r.destinations[0];
            (d.open_max, d.closed_by_client) = (open_max, 0);
        });
        found(&report, Id::TargetGone).is_some()
    };
    assert!(gone(1, false));
    assert!(!gone(0, false), "nothing connected to it");
    assert!(!gone(1, true), "both were ended from outside");
}

#[test]
fn of_two_servers_the_one_whose_queue_was_exactly_full_dropped_syns() {
    let report = judged(|r| {
        let mut second = r.destinations[0].clone();
        second.destination = "10.0.0.1:81".parse::<SocketAddr>().unwrap().into();
        second.server.iter_mut().for_each(|s| (s.queue_max, s.queue_limit) = (5, 5));
        r.destinations.push(second);
        r.kernel = Some(KernelCounters { listen_drops: 24, ..KernelCounters::default() });
    });
    let title = &found(&report, Id::TargetBacklogOverflow).unwrap().title;
    assert_eq!(title, "the queue of 10.0.0.1:81 overflowed: 24 SYNs dropped");
}

#[test]
fn a_server_that_listens_in_the_sandbox_is_inside_whoever_it_refused() {
    let outside = |port: u16| {
        let report = judged(|r| {
            r.watched.sandbox = true;
            let address = SocketAddr::from(([127, 0, 0, 1], port)).into();
            r.output.readings = vec![Reading { address: Some(address), ..reading("111") }];
        });
        let f = found(&report, Id::TargetRefused).unwrap();
        f.explanation.contains("a private namespace cannot reach a server outside")
    };
    assert_eq!([80, 81].map(outside), [false, true]);
}

#[test]
fn a_pool_that_stays_full_after_the_command_keeps_nobody_waiting() {
    let played = Played { open: 0, ..Played::new(&[500, 500, 0, 0, 0, 0]) };
    let mut course = Course::default();
    for second in 0..=6 {
        course.on_look(&played.look(second), (second >= 2).then_some(2.0));
    }
    let mut report = empty(vec!["tool".into()], played.hold.clone());
    course.write(&mut report, End { at_s: 2.0, left: 0 });
    let d = &report.destinations[0];
    assert!(d.full_s.is_some() && d.stuck_s < 0.3, "{d:?}");
}

#[test]
fn pairs_that_are_not_followed_count_once_however_often_they_are_seen() {
    let mut course = Course::default();
    let others = SEEN_MAX as u32 + 904;
    for second in 0..4 {
        let mut look = Played::new(&[1; 4]).look(second);
        let own = look.towards[0].clone();
        look.towards.extend((0..others).map(|i| {
            let dest = SocketAddr::from(([11, 0, (i / 250) as u8, (i % 250) as u8], 80));
            Towards { dest, owned: 0, ..own.clone() }
        }));
        course.on_look(&look, None);
    }
    let mut report = empty(vec!["tool".into()], Played::new(&[]).hold);
    course.write(&mut report, End { at_s: 4.0, left: 0 });
    assert_eq!((report.destinations.len(), report.other_destinations), (1, others));
}

#[test]
fn the_limit_of_a_queue_in_which_nobody_waits_is_known() {
    let report = judged(|_| ());
    assert_eq!(report.destinations[0].server.as_ref().map(|s| (s.queue_max, s.queue_limit)), Some((0, 128)));
}

#[test]
fn answers_that_are_mostly_bad_lead_and_a_few_are_said_beside() {
    use crate::model::result::VerdictId;
    let with = |bad, all, status| {
        let report = judged(|r| (r.output.bad_answers, r.output.answers, r.output.bad_status) = (bad, all, status));
        (report.verdict.id, report.verdict.sentence)
    };
    let failing = |says: &str| (VerdictId::TargetFailing, format!("target failing: {says}, by the command's output"));
    assert_eq!(with(135_625, Some(135_626), None), failing("135,625 of 135,626 answers were not 2xx or 3xx"));
    assert_eq!(with(50, Some(100), Some(502)), failing("50 of 100 answers had status 502"));
    // The loop may have kept its connections, and had a million good answers beside.
    let says = "undecided: 400 answers had status 502, by the command's output, which does not count the good ones";
    assert_eq!(with(400, None, Some(502)), (VerdictId::Undecided, says.into()));
    let few = with(49, Some(100), Some(502));
    assert_eq!(few, (VerdictId::Healthy, "OK, but 49 of 100 answers had status 502, by the command's output".into()));
    assert_eq!(with(1, None, Some(502)).0, VerdictId::Healthy, "of at least ten answers");
    assert_eq!(with(0, Some(100), None).0, VerdictId::Healthy);
}

#[test]
fn a_usage_text_leaves_it_undecided() {
    let report = judged(|r| {
        r.destinations.clear();
        (r.output.usage, r.watched.exit_code) = (true, Some(1));
    });
    let says = "undecided: no connection of the command was seen, and it printed its usage and ended with exit code 1";
    assert!(report.verdict.sentence.starts_with(says), "{}", report.verdict.sentence);
}

#[test]
fn as_many_connections_were_made_as_were_open_at_once_and_none_longer_than_the_watch() {
    let with = |made, open_max| {
        let report = judged(|r| {
            r.duration_s = 3.0;
            r.looks = [1.0, 2.0, 3.0, 3.1].map(|t_s| LookRow { t_s, open: 4, ..LookRow::default() }).to_vec();
            if let Some(last) = r.looks.last_mut() {
                last.open = 0;
            }
            let d = &mut r.destinations[0];
            (d.made, d.open_max, d.closed_by_client, d.closed_by_server) = (made, open_max, 0, 1);
        });
        report.connections().unwrap()
    };
    for (made, open_max, all) in [(Some(1), 4, 4), (None, 4, 4), (Some(9), 4, 9), (None, 0, 1)] {
        let c = with(made, open_max);
        assert!(c.made == all && !matches!(c.open, OpenFor::Mean(s) if s > 3.0), "{c:?}");
    }
}

/// A target that accepts and never answers: wrk's own summary counts 0 requests and no error.
#[test]
fn a_command_that_got_no_answer_at_all_is_not_well() {
    let with = |answered, open_max, readings: &[&str]| {
        judged(|r| {
            r.output.answered = answered;
            r.output.readings = readings
                .iter()
                .map(|text| Reading { limit: Limit::Reset, certainty: Certainty::Certain, ..reading(text) })
                .collect();
            r.destinations[0].open_max = open_max;
        })
    };
    let silent = with(Some(false), 10, &[]);
    assert_eq!((silent.verdict.id, ids(&silent)), (VerdictId::TargetFailing, vec![Id::TargetTimeouts]), "{:?}", silent.verdict);
    assert!(silent.verdict.sentence.contains("no request to 10.0.0.1:80 was answered"), "{:?}", silent.verdict);
    for answered in [Some(true), None] {
        assert_eq!(with(answered, 10, &[]).verdict.id, VerdictId::Healthy);
    }
    let named = with(Some(false), 10, &["read: Connection reset by peer"]);
    assert_eq!(ids(&named), [Id::TargetResets], "what the output names comes first");
}

/// Looks saw the connections open: what was late was the answer.
#[test]
fn a_timeout_on_open_connections_is_one_of_the_answer() {
    let with = |open_max, unanswered_max| {
        let report = judged(|r| {
            let late = reading("context deadline exceeded");
            r.output.readings = vec![Reading { call: FailedCall::Unnamed, limit: Limit::TimedOut, ..late }];
            (r.destinations[0].open_max, r.destinations[0].unanswered_max) = (open_max, unanswered_max);
        });
        report.output.readings[0].call
    };
    assert_eq!(with(5, 0), FailedCall::Read);
    assert_eq!([with(0, 0), with(5, 1)], [FailedCall::Unnamed; 2], "none was seen open, or a SYN was sent again");
}

/// What only looks counted is the least it can be, and of short watches and short connections no mean is known.
#[test]
fn what_looks_may_have_missed_is_the_least_and_has_no_mean() {
    let with = |opened: Option<u64>, open: u32, looks: &[f64], made: Option<u64>| {
        let report = judged(|r| {
            r.duration_s = looks.last().copied().unwrap_or(0.0);
            r.looks = looks.iter().map(|t_s| LookRow { t_s: *t_s, open, ..LookRow::default() }).collect();
            if let Some(last) = r.looks.last_mut() {
                last.open = 0;
            }
            r.kernel = opened.map(|active_opens| KernelCounters { active_opens, ..KernelCounters::default() });
            let d = &mut r.destinations[0];
            (d.made, d.open_max, d.closed_by_client, d.closed_by_server) = (made, open, 0, 0);
        });
        report.connections().unwrap()
    };
    let short = [0.3, 0.6, 1.0, 2.0, 3.07];
    let reset = with(Some(16_719), 10, &short, None);
    assert_eq!((reset.made, reset.is_least, reset.open), (10, true, OpenFor::Unknown), "16,709 resets left no trace");
    assert!(with(None, 10, &short, None).is_least, "the counters could not be read");
    let kept = with(Some(10), 10, &short, None);
    assert_eq!((kept.made, kept.is_least, kept.open), (10, false, OpenFor::Mean(3.07)), "the kernel counted no others");
    assert_eq!(with(Some(20), 10, &short, Some(20)).open, OpenFor::Unknown, "a short watch");
    let long: Vec<f64> = (1..=30).map(f64::from).collect();
    assert_eq!(with(Some(300), 10, &long, Some(300)).open, OpenFor::Unknown, "each lives for a look");
    assert!(matches!(with(Some(30), 10, &long, Some(30)).open, OpenFor::Mean(s) if (9.0..=10.0).contains(&s)));
}
