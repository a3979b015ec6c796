use super::*;
use crate::model::explanation::{Certainty, FailedCall, Limit, Reading};
use crate::model::facts::AcceptQueue;
use crate::model::finding::FindingId as Id;
use crate::model::port_count::Free;
use crate::model::result::{Host, Tool, Verdict, VerdictId};
use crate::model::watch::{Output, WATCH_SCHEMA, Watched};
use crate::watch::look::{ServerLook, TreeLook};
use crate::watch::{program_of, settle};

const POOL: u32 = 1000;

pub(super) fn dest() -> SocketAddr {
    "10.0.0.1:80".parse().unwrap()
}

/// A namespace in which connections are made as a table says, played back second by second: `made(s)` in second `s`.
pub(super) struct Played {
    pub(super) hold: Sysctls,
    pub(super) made: Vec<u32>,
    pub(super) closed_by_server: bool,
    pub(super) tree: TreeLook,
    pub(super) server: Option<ServerLook>,
    pub(super) open: u32,
    pub(super) leftover: u32,
}

impl Played {
    pub(super) fn new(made: &[u32]) -> Self {
        let hold = Sysctls { tcp_tw_reuse: Some(0), tcp_timestamps: Some(1), ..Sysctls::default() };
        let tree = TreeLook {
            count: 1,
            cpu_percent: Some(20.0),
            ran: Some(0.2),
            busiest_waited: Some(0.0),
            waited: Some(0.0),
            rss_bytes: Some(1 << 20),
            descriptors: Some((12, Some(1024))),
        };
        Self { hold, made: made.to_vec(), closed_by_server: false, tree, server: None, open: 1, leftover: 0 }
    }

    pub(super) fn look(&self, second: usize) -> Look {
        let mut t = Towards { owned: 1, ..Towards::new([10, 0, 0, 2].into(), dest()) };
        for ago in 0..second.min(self.made.len()) {
            let made = self.made[second - ago - 1];
            if self.closed_by_server {
                t.server_new += if ago == 0 { made } else { 0 };
                continue;
            }
            t.new += if ago == 0 { made } else { 0 };
            for i in 0..made.min(POOL) {
                let age_s = ago as f64 + (f64::from(i) + 0.5) / f64::from(made);
                t.births.add(age_s);
                let held = if self.hold.tcp_tw_reuse == Some(1) { 1.0 } else { 60.0 };
                let free = if age_s < held { Free::In(held - age_s) } else { Free::Now };
                t.count.add_port(crate::model::facts::TcpState::TimeWait, free);
            }
        }
        for _ in 0..self.leftover {
            t.count.add_port(crate::model::facts::TcpState::TimeWait, Free::In(30.0));
            t.births.add(30.0 + second as f64);
        }
        // At the end all of them are closed.
        let open = if second < self.made.len() || second == 0 { self.open } else { 0 };
        for _ in 0..open {
            t.count.add_port(crate::model::facts::TcpState::Established, Free::Unknown);
        }
        Look {
            at_s: second as f64,
            towards: vec![t],
            pool: Some(POOL),
            counters: Some(self.counted(second)),
            tree: if second == 0 { TreeLook::default() } else { self.tree },
            servers: self.server.iter().map(|s| (dest(), s.clone())).collect(),
            host_cpu_percent: Some(10.0),
            sysctls: self.hold.clone(),
            ..Look::default()
        }
    }

    /// What the kernel has counted by then.
    fn counted(&self, second: usize) -> KernelCounters {
        let made: u32 = self.made[..second.min(self.made.len())].iter().sum();
        KernelCounters { active_opens: u64::from(made + self.open), ..KernelCounters::default() }
    }

    pub(super) fn report(&self, command: &str, change: impl FnOnce(&mut WatchReport)) -> WatchReport {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let mut course = Course::default();
        let last = self.made.len();
        for second in 0..=last {
            let ended = (second == last).then_some(last as f64);
            course.on_look(&self.look(second), ended);
        }
        let mut report = empty(words, self.hold.clone());
        change(&mut report);
        course.write(&mut report, End { at_s: last as f64, left: 0 });
        settle(&mut report);
        assert!(report.unexplained_nulls().is_empty(), "{:?}", report.unexplained_nulls());
        report
    }
}

pub(super) fn empty(words: Vec<String>, sysctls: Sysctls) -> WatchReport {
    let program = program_of(&words).map(|p| p.name.to_owned());
    WatchReport {
        schema: WATCH_SCHEMA.into(),
        tool: Tool { version: "1.0.0".into() },
        command: "sockbench watch".into(),
        started_at: "2026-01-01T00:00:00Z".into(),
        duration_s: 0.0,
        watched: Watched {
            words,
            pid: 7,
            program,
            exit_code: Some(0),
            signal: None,
            ended: Some(true),
            stopped: false,
            sandbox: false,
        },
        host: Host {
            name: None,
            kernel: "6.18.0".into(),
            cpus: 4,
            memory_bytes: None,
            nofile: None,
            sysctls,
            sysctls_at_end: None,
            congestion_control: None,
            boot_id: None,
            cpu_quota: None,
        },
        verdict: Verdict::default(),
        findings: Vec::new(),
        undecided: Vec::new(),
        destinations: Vec::new(),
        other_destinations: 0,
        unowned: Vec::new(),
        kernel: None,
        processes: Processes::default(),
        host_cpu_percent_mean: None,
        output: Output { read: true, ..Output::default() },
        settings_changed: Vec::new(),
        outlooks: Vec::new(),
        looks: Vec::new(),
        unavailable: Vec::new(),
    }
}

pub(super) fn ids(report: &WatchReport) -> Vec<Id> {
    report.findings.iter().map(|f| f.id).collect()
}

/// 100/s until the thousand ports are gone, then nothing.
fn exhausted() -> Played {
    let made: Vec<u32> = [100; 10].into_iter().chain([0; 5]).collect();
    Played { open: 0, ..Played::new(&made) }
}

#[test]
fn a_full_pool_in_which_nothing_begins_is_used_up() {
    let report = exhausted().report("wrk http://10.0.0.1/", |_| ());
    assert_eq!((report.verdict.id, ids(&report)[0]), (VerdictId::PortBound, Id::LocalPortsExhausted));
    let d = &report.destinations[0];
    assert_eq!((d.peak_used, d.closed_by_client, d.full_s.map(|f| f[0])), (1000, 1000, Some(10.0)));
    assert!((d.stuck_s - 5.0).abs() < 0.3, "{d:?}");
    let said: Vec<&str> = report.outlooks.iter().map(|o| o.text.as_str()).collect();
    assert!(said[0].contains("full in") && said.last().unwrap().contains("all 1,000 in use"), "{said:?}");
    let first = &report.outlooks[0];
    assert!((first.full_from_s.unwrap() - 10.0).abs() < 0.6 && first.at_s <= 2.0, "{first:?}");
    assert!(report.findings[0].remedies[0].action.contains("keeps connections by itself"), "{:?}", report.findings[0].remedies);
}

/// Series in which nothing is wrong, with what must not be said of them.
#[test]
fn series_that_look_like_trouble_and_are_none() {
    let reuse = Sysctls { tcp_tw_reuse: Some(1), tcp_timestamps: Some(1), ..Sysctls::default() };
    let cases: [(&str, Played); 6] = [
        ("reuse: used levels off while connections go on", Played { hold: reuse, ..Played::new(&[400; 30]) }),
        ("below P/T: levels off under the pool", Played::new(&[10; 70])),
        ("the server closes first: no port stays in use", Played { closed_by_server: true, ..Played::new(&[300; 20]) }),
        ("kept connections, all closed at the end", Played { open: 400, ..Played::new(&[0, 0, 0, 0, 400]) }),
        ("a server that waits for the client: nothing happens, and no port is missing", Played::new(&[0; 20])),
        ("an earlier run left ports in use", Played { leftover: 500, ..Played::new(&[5; 20]) }),
    ];
    for (name, played) in cases {
        let report = played.report("tool", |_| ());
        assert!(!ids(&report).contains(&Id::LocalPortsExhausted), "{name}: {:?}", report.findings);
        assert!(!ids(&report).contains(&Id::PortBudgetHigh), "{name}: {:?}", report.findings);
        let foretold: Vec<_> = report.outlooks.iter().filter(|o| o.full_from_s.is_some()).collect();
        assert!(foretold.is_empty(), "{name}: {foretold:?}");
        assert_eq!(report.verdict.id, VerdictId::Healthy, "{name}: {}", report.verdict.sentence);
    }
}

#[test]
fn a_pool_that_is_full_and_goes_on_at_its_limit_is_not_used_up() {
    // 16/s of 16.7/s: at 60 s nearly all are in use, and each that comes back is taken.
    let report = Played { open: 0, ..Played::new(&[16; 90]) }.report("tool", |_| ());
    assert!(!ids(&report).contains(&Id::LocalPortsExhausted), "{:?}", report.findings);
    assert!(ids(&report).contains(&Id::PortBudgetHigh), "it is high: {:?}", report.verdict);
}

#[test]
fn a_burst_that_would_exceed_the_budget_if_it_went_on_is_high() {
    let report = Played::new(&[50; 10]).report("tool", |_| ());
    assert_eq!(ids(&report), [Id::PortBudgetHigh]);
    assert_eq!(report.verdict.id, VerdictId::Healthy);
}

pub(super) fn reading(text: &str) -> Reading {
    let limit = match text {
        "99" => Limit::LocalPorts,
        "24" => Limit::Descriptors,
        "111" => Limit::Refused,
        _ => Limit::Hidden,
    };
    Reading {
        text: text.into(),
        count: 3,
        tool: None,
        os: None,
        name: None,
        code: None,
        call: FailedCall::Connect,
        limit,
        table: None,
        exactly: None,
        address: None,
        side: None,
        certainty: if limit == Limit::Hidden { Certainty::Ambiguous } else { Certainty::Certain },
        says: "It says so.".into(),
        is_not: String::new(),
        alternatives: Vec::new(),
    }
}

#[test]
fn what_the_output_says_is_joined_with_what_was_seen() {
    let says = |text: &'static str| move |r: &mut WatchReport| r.output.readings = vec![reading(text)];
    let verdict = |played: &Played, text| played.report("tool", says(text)).verdict.id;
    // The same line at a full pool and at an empty one.
    assert_eq!(verdict(&Played { open: 0, ..Played::new(&[100; 10]) }, "99"), VerdictId::PortBound);
    assert_eq!(verdict(&Played::new(&[5; 10]), "99"), VerdictId::Undecided);
    assert_eq!(verdict(&Played::new(&[5; 10]), "24"), VerdictId::FdBound);
    assert_eq!(verdict(&Played::new(&[5; 10]), "111"), VerdictId::TargetGone);
    assert_eq!(verdict(&Played::new(&[5; 10]), "hidden"), VerdictId::Undecided);
}

#[test]
fn limits_of_the_command_and_of_its_server_are_told_apart() {
    let busy = |ran: f64| TreeLook { ran: Some(ran), cpu_percent: Some(ran * 100.0), ..Played::new(&[]).tree };
    let server = |ran: f64, queue: Option<AcceptQueue>| {
        let (name, cpu) = ("python3".to_owned(), Some(ran * 100.0));
        Some(ServerLook {
            pid: 9,
            name,
            cpu_percent: cpu,
            ran: Some(ran),
            waited: Some(0.0),
            queue,
            descriptors: Some((9, Some(1024))),
        })
    };
    let queue = Some(AcceptQueue { waiting: 0, limit: 128 });
    let verdict = |tree, server| Played { tree, server, ..Played::new(&[5; 10]) }.report("locust", |_| ()).verdict.id;
    assert_eq!(verdict(busy(0.97), server(0.2, queue)), VerdictId::ClientBound);
    assert_eq!(verdict(busy(0.97), None), VerdictId::ClientBound);
    assert_eq!(verdict(busy(0.4), server(0.98, queue)), VerdictId::TargetBound);
    assert_eq!(verdict(busy(0.97), server(0.98, queue)), VerdictId::TargetBound);
    assert_eq!(verdict(busy(0.1), server(0.1, queue)), VerdictId::Healthy);
    // It always wanted to run: that others had its core for a moment changes nothing, for long they come first.
    let kept_waiting = |ran: f64, waited: f64| TreeLook { busiest_waited: Some(waited), waited: Some(waited), ..busy(ran) };
    assert_eq!(verdict(kept_waiting(0.86, 0.08), server(0.2, queue)), VerdictId::ClientBound);
    assert_eq!(verdict(kept_waiting(0.7, 0.08), server(0.2, queue)), VerdictId::Healthy);
    let beside = |tree| {
        let of_host = |r: &mut WatchReport| r.host.cpus = 20;
        Played { tree, server: server(0.2, queue), ..Played::new(&[5; 10]) }.report("locust", of_host).verdict.id
    };
    assert_eq!(beside(kept_waiting(0.86, 0.08)), VerdictId::ClientBound);
    assert_eq!(beside(kept_waiting(0.6, 0.35)), VerdictId::HostBound);
    // Of an interpreter one thread runs all the time, and another is ready meanwhile.
    assert_eq!(beside(kept_waiting(0.97, 0.35)), VerdictId::ClientBound);
    let full = TreeLook { descriptors: Some((64, Some(64))), ..busy(0.1) };
    assert_eq!(verdict(full, server(0.1, queue)), VerdictId::FdBound);
}

#[test]
fn a_setting_that_changes_is_said_with_its_moment() {
    let mut course = Course::default();
    let mut played = Played::new(&[5; 4]);
    (0..2).for_each(|s| drop(course.on_look(&played.look(s), None)));
    played.hold.tcp_tw_reuse = Some(2);
    (2..4).for_each(|s| drop(course.on_look(&played.look(s), None)));
    let mut report = empty(vec!["tool".into()], Played::new(&[]).hold);
    course.write(&mut report, End { at_s: 4.0, left: 0 });
    settle(&mut report);
    let f = report.findings.iter().find(|f| f.id == Id::SysctlChanged).unwrap();
    assert_eq!(f.title, "net.ipv4.tcp_tw_reuse changed from 0 to 2 at 2 s");
}

#[test]
fn a_tool_that_keeps_connections_and_makes_one_each_time_is_not_let() {
    let played = Played { closed_by_server: true, ..Played::new(&[40; 10]) };
    assert_eq!(ids(&played.report("wrk http://10.0.0.1/", |_| ())), [Id::TargetForbidsKeepalive]);
    assert_eq!(ids(&played.report("ab http://10.0.0.1/", |_| ())), [], "ab asks for one each");
    // What a script asks for is not seen: neither a locustfile with a header of its own nor one without is accused.
    for command in ["python3 load.py", "locust -f file.py", "wrk -s headers.lua http://10.0.0.1/"] {
        let unknown = played.report(command, |_| ());
        assert_eq!((ids(&unknown), unknown.verdict.id), (vec![], VerdictId::Healthy), "{command}");
        assert!(unknown.undecided.iter().any(|u| u.id == Id::TargetForbidsKeepalive), "{command}");
    }
}

/// 300 a second that the server closes first, of which each look sees a tenth: a socket at its end is there for a moment.
#[test]
fn connections_that_no_look_saw_are_counted_by_the_kernel_or_said_to_be_more() {
    let report = |is_shared: bool| {
        let mut course = Course::default();
        if is_shared {
            course.share();
        }
        let played = Played { closed_by_server: true, ..Played::new(&[30; 6]) };
        for second in 0..6 {
            let mut look = played.look(second);
            look.counters = Some(KernelCounters { active_opens: 300 * second as u64, ..KernelCounters::default() });
            course.on_look(&look, None);
        }
        let mut report = empty(vec!["wrk".into()], Played::new(&[]).hold);
        course.write(&mut report, End { at_s: 6.0, left: 0 });
        settle(&mut report);
        report
    };
    let (alone, beside) = (report(false), report(true));
    let d = &alone.destinations[0];
    assert_eq!((d.made, d.closed_by_server, d.peak_cps), (Some(1500), 150, 300.0));
    assert!(alone.findings[0].title.starts_with("1,500 connections of wrk"), "{:?}", alone.findings);
    assert_eq!(beside.destinations[0].made, None);
    assert!(beside.findings[0].title.starts_with("at least 150 connections of wrk"), "{:?}", beside.findings);
}

#[test]
fn advice_is_about_the_program_and_the_place_that_it_ran_in() {
    let busy = TreeLook { ran: Some(0.97), cpu_percent: Some(97.0), ..Played::new(&[]).tree };
    let ab = Played { tree: busy, ..Played::new(&[5; 10]) }.report("ab http://10.0.0.1/", |_| ());
    assert!(ab.findings[0].remedies[0].action.contains("ab has one"), "{:?}", ab.findings[0].remedies);
    let commands = |sandbox: bool| {
        let report = exhausted().report("wrk http://10.0.0.1/", |r| r.watched.sandbox = sandbox);
        report.findings[0].remedies.iter().map(|r| r.command.clone()).collect::<Vec<_>>()
    };
    let (inside, outside) = (commands(true), commands(false));
    assert!(outside.contains(&"sysctl -w net.ipv4.tcp_tw_reuse=1".into()), "{outside:?}");
    assert!(inside.contains(&"--sysctl net.ipv4.tcp_tw_reuse=1".into()), "{inside:?}");
    assert!(!inside.iter().any(|c| c.starts_with("sysctl ")), "{inside:?}");
}

/// A sentence that says "but" once is clear.
#[test]
fn a_warning_beside_a_healthy_verdict_reads_as_one_sentence() {
    let kept = Played { closed_by_server: true, ..Played::new(&[40; 10]) }.report("wrk http://10.0.0.1/", |_| ());
    let high = Played::new(&[50; 10]).report("tool", |_| ());
    for report in [kept, high] {
        assert_eq!(report.verdict.sentence.matches("but ").count(), 1, "{}", report.verdict.sentence);
    }
    let failed = Played::new(&[50; 10]).report("tool", |r| r.watched.exit_code = Some(1));
    assert!(failed.verdict.sentence.contains("exit code 1; 50 connections/s"), "{}", failed.verdict.sentence);
}

#[test]
fn what_others_do_takes_no_room_without_limit() {
    let played = Played::new(&[10]);
    let mut course = Course::default();
    for second in 0..5_u32 {
        let mut look = played.look(1);
        look.at_s = f64::from(second);
        let own = look.towards[0].clone();
        look.towards.extend((0..3000).map(|i| {
            let dest = SocketAddr::from(([11, second as u8, (i / 250) as u8, (i % 250) as u8], 80));
            Towards { dest, owned: 0, ..own.clone() }
        }));
        course.on_look(&look, None);
        assert!(course.seen.len() <= SEEN_MAX + 1 && course.any_sure, "{}", course.seen.len());
        assert_eq!(course.destinations(), [dest()]);
    }
    assert!(course.seen.contains_key(&([10, 0, 0, 2].into(), dest())));
}

#[test]
fn what_others_do_beside_the_command_is_not_the_commands() {
    for (is_shared, verdict) in [(true, VerdictId::Undecided), (false, VerdictId::Healthy)] {
        let mut course = Course::default();
        if is_shared {
            course.share();
        }
        let played = Played::new(&[5; 6]);
        for second in 0..6 {
            let mut look = played.look(second);
            look.towards.iter_mut().for_each(|t| t.owned = 0);
            drop(course.on_look(&look, None));
        }
        let mut report = empty(vec!["sleep".into(), "6".into()], Played::new(&[]).hold);
        course.write(&mut report, End { at_s: 6.0, left: 0 });
        settle(&mut report);
        assert_eq!(report.verdict.id, verdict, "{}", report.verdict.sentence);
    }
}
