//! Conversations with a master, written out.

use super::*;
use crate::dist::locust::message::Spawn;

/// A machine with a clock, and what it wants done in short words.
struct Talk {
    worker: Worker,
    now: Stamp,
}

impl Talk {
    fn new() -> Self {
        Self { worker: Worker::new("w_1", 7, Stamp::ZERO), now: Stamp::ZERO }
    }

    /// Connected and registered.
    fn ready() -> Self {
        let mut t = Self::new();
        t.open();
        t.hears(FromMaster::Ack);
        t.done();
        t
    }

    /// With a run of these users of class `Sockbench`, all at work.
    fn running(users: u32) -> Self {
        let mut t = Self::ready();
        t.hears(spawn(1.0, &[("Sockbench", users)]));
        t.begun();
        t.at_work(users);
        t.done();
        t
    }

    fn open(&mut self) {
        self.worker.on_open(self.now);
    }

    fn hears(&mut self, message: FromMaster) {
        self.worker.on_message(message, self.now);
    }

    fn begun(&mut self) {
        let known = ["Sockbench", "io"].map(str::to_owned).to_vec();
        self.worker.on_begun(known, "GET", vec!["/".into(), "/io".into()], 100.0, self.now);
    }

    fn at_work(&mut self, users: u32) {
        self.worker.on_users(vec![("Sockbench".into(), users), ("io".into(), 0)]);
    }

    /// Lets time pass in turns of 100 ms; each heartbeat is answered if `answers`.
    fn wait(&mut self, for_ms: u64, answers: bool) -> Vec<String> {
        let mut all = Vec::new();
        for _ in 0..for_ms / 100 {
            self.now = self.now.plus(Duration::from_millis(100));
            self.worker.on_tick(self.now, &mut || Usage { cpu_percent: 12.5, memory_bytes: 1 });
            let done = self.done();
            if answers && done.iter().any(|d| d.starts_with("heartbeat")) {
                self.hears(FromMaster::Heartbeat);
            }
            all.extend(done);
        }
        all
    }

    /// A second of the run in which so many requests were answered.
    fn counts(&mut self, requests: u64) {
        let mut second = Interval::empty(0, 2);
        second.endpoints[0].counts.requests = requests;
        self.worker.on_interval(&second, 101.0);
    }

    /// Requests in the reports that were sent since the last call.
    fn reported(&mut self) -> Vec<u64> {
        let total = |wanted: Do| {
            let Do::Send(bytes) = wanted else { return None };
            let value = rmpv::decode::read_value(&mut &bytes[..]).expect("whole");
            let field = |of: &rmpv::Value, key: &str| {
                of.as_map()?.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value.clone())
            };
            field(&field(&value.as_array()?[1], "stats_total")?, "num_requests")?.as_u64()
        };
        self.worker.take().into_iter().filter_map(total).collect()
    }

    /// What was said since the last call.
    fn told(&mut self) -> Vec<String> {
        let line = |wanted| if let Do::Tell(line) = wanted { Some(line) } else { None };
        self.worker.take().into_iter().filter_map(line).collect()
    }

    /// One tick, so much later.
    fn tick(&mut self, after: Duration) {
        self.now = self.now.plus(after);
        self.worker.on_tick(self.now, &mut Usage::default);
    }

    /// What was wanted since the last call; what is only said is left out.
    fn done(&mut self) -> Vec<String> {
        let words = |wanted| match wanted {
            Do::Send(bytes) => {
                let value = rmpv::decode::read_value(&mut &bytes[..]).expect("whole");
                let parts = value.as_array().expect("three parts");
                assert!(parts.len() == 3 && parts[2].as_str().is_some_and(|id| id.starts_with("w-1_")), "{parts:?}");
                let kind = parts[0].as_str().expect("a type");
                let shown = ["state", "user_count", "msg"].iter().find_map(|key| {
                    let found = parts[1].as_map()?.iter().find(|(k, _)| k.as_str() == Some(key))?;
                    Some(format!(" {}", found.1.to_string().trim_matches('"')))
                });
                Some(format!("{kind}{}", shown.unwrap_or_default()))
            }
            Do::Begin(_) => Some("BEGIN".to_owned()),
            Do::Users(users) => {
                Some(format!("USERS {}", users.iter().map(|(c, n)| format!("{c}={n}")).collect::<Vec<_>>().join(" ")))
            }
            Do::End(grace) => Some(format!("END {}", grace.as_millis())),
            Do::Reopen(after) => Some(format!("REOPEN {}", after.as_millis())),
            Do::Tell(_) => None,
            Do::Leave(leave) => Some(format!("LEAVE {leave:?}")),
        };
        let all = self.worker.take();
        all.into_iter().filter_map(words).collect()
    }
}

fn spawn(timestamp: f64, users: &[(&str, u32)]) -> FromMaster {
    FromMaster::Spawn(Spawn {
        timestamp,
        users: users.iter().map(|(class, n)| ((*class).to_owned(), *n)).collect(),
        host: Some("http://127.0.0.1:1".into()),
        stop_timeout: Duration::ZERO,
        flags: String::new(),
        reset_stats: false,
    })
}

#[test]
fn a_whole_test_from_registration_to_quit() {
    let mut t = Talk::new();
    assert_eq!(t.done(), ["REOPEN 0"]);
    assert!(t.worker.node_id().starts_with("w-1_") && t.worker.node_id().len() == 36);
    t.open();
    assert_eq!(t.done(), ["client_ready"]);
    t.hears(FromMaster::Ack);
    assert_eq!(t.wait(1100, true), ["heartbeat ready", "heartbeat ready"]);
    t.hears(spawn(1.0, &[("Sockbench", 3), ("io", 0)]));
    assert_eq!(t.done(), ["spawning", "BEGIN"]);
    t.begun();
    assert_eq!(t.done(), ["USERS Sockbench=3 io=0"]);
    t.at_work(2);
    assert_eq!(t.done(), [""; 0], "not all are there");
    t.at_work(3);
    assert_eq!(t.done(), ["spawning_complete 3"]);
    t.hears(FromMaster::SpawningComplete);
    assert_eq!(t.wait(3000, true), ["heartbeat running", "heartbeat running", "stats 3", "heartbeat running"]);
    t.hears(FromMaster::Stop);
    assert_eq!(t.done(), ["END 200"]);
    t.worker.on_over(t.now);
    assert_eq!(t.done(), ["stats 0", "client_stopped", "client_ready"]);
    t.hears(FromMaster::Ack);
    t.hears(spawn(2.0, &[("io", 1)]));
    assert_eq!(t.done(), ["spawning", "BEGIN"], "the next test");
    t.begun();
    t.done();
    t.hears(FromMaster::Quit);
    t.hears(FromMaster::Quit);
    assert_eq!(t.done(), ["END 200"], "it comes up to three times");
    t.worker.on_over(t.now);
    assert_eq!(t.done(), ["stats 0", "LEAVE Quit"]);
}

#[test]
fn a_target_is_absolute_and_an_old_one_is_ignored() {
    let mut t = Talk::running(3);
    t.hears(spawn(2.5, &[("Sockbench", 1), ("io", 2)]));
    assert_eq!(t.done(), ["spawning", "USERS Sockbench=1 io=2"]);
    t.hears(spawn(2.5, &[("Sockbench", 9)]));
    t.hears(spawn(2.0, &[("Sockbench", 9)]));
    assert_eq!(t.done(), [""; 0], "timestamps are floats");
    t.worker.on_users(vec![("Sockbench".into(), 1), ("io".into(), 2)]);
    assert_eq!(t.done(), ["spawning_complete 3"]);
}

#[test]
fn an_unknown_class_is_reported_once_and_gets_no_users() {
    let mut t = Talk::ready();
    t.hears(spawn(1.0, &[("Other", 2), ("Sockbench", 1)]));
    t.begun();
    let done = t.done();
    assert_eq!(done[..3], ["spawning", "BEGIN", "USERS Sockbench=1 io=0"]);
    assert!(done.len() == 4 && done[3].starts_with("exception class Other: not one of this worker's: Sockbench, io"), "{done:?}");
    t.at_work(1);
    assert_eq!(t.done(), ["spawning_complete 1"], "the count says that they are missing");
    t.hears(spawn(2.0, &[("Other", 4), ("Sockbench", 2)]));
    assert_eq!(t.done(), ["spawning", "USERS Sockbench=2 io=0"]);
}

#[test]
fn many_unknown_classes_are_one_exception_and_few_words() {
    let mut t = Talk::running(1);
    for round in 0..3_u32 {
        let names: Vec<String> = (0..3000).map(|n| format!("{round}_{n}_{}", "x".repeat(900))).collect();
        let users: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        t.hears(spawn(f64::from(round) + 2.0, &users));
        let said: Vec<String> = t.done().into_iter().filter(|d| d.starts_with("exception")).collect();
        assert_eq!(said.len(), usize::from(round == 0), "those that are remembered are bounded");
        assert!(said.iter().all(|d| d.len() < 300 && d.contains(" and 2999 more: ")), "{said:?}");
    }
}

#[test]
fn more_users_than_a_worker_takes_are_an_exception_and_begin_nothing() {
    let mut t = Talk::ready();
    for (n, users) in [(1.0, &[("Sockbench", u32::MAX)][..]), (2.0, &[("Sockbench", 60_000), ("io", 60_000)])] {
        t.hears(spawn(n, users));
        let done = t.done();
        assert!(done.len() == 1 && done[0].starts_with("exception ") && done[0].contains("at most 100,000"), "{done:?}");
    }
    let mut t = Talk::running(3);
    t.hears(spawn(2.0, &[("Sockbench", u32::MAX), ("io", u32::MAX)]));
    assert!(t.done().iter().all(|d| d.starts_with("exception ")), "those at work stay");
}

#[test]
fn another_target_in_mid_run_is_not_taken_and_is_said() {
    let mut t = Talk::running(3);
    let FromMaster::Spawn(other) = spawn(2.0, &[("Sockbench", 4)]) else { return };
    for (timestamp, host) in [(2.0, "http://127.0.0.1:2"), (3.0, "http://127.0.0.1:2")] {
        t.hears(FromMaster::Spawn(Spawn { timestamp, host: Some(host.into()), ..other.clone() }));
    }
    let said = t.done().into_iter().filter(|d| d.starts_with("exception target or flags were changed")).count();
    assert_eq!(said, 1);
}

#[test]
fn a_restarted_master_may_have_a_clock_that_is_behind() {
    let mut t = Talk::running(3);
    t.hears(FromMaster::Stop);
    t.worker.on_over(t.now);
    t.worker.on_closed(t.now);
    t.open();
    t.hears(FromMaster::Ack);
    t.done();
    t.hears(spawn(0.5, &[("Sockbench", 1)]));
    assert_eq!(t.done(), ["spawning", "BEGIN"]);
}

#[test]
fn a_test_that_cannot_begin_is_an_exception_and_waits_for_the_stop() {
    let mut t = Talk::ready();
    t.hears(spawn(1.0, &[("Sockbench", 1)]));
    t.done();
    t.worker.on_failed("no target", t.now);
    assert_eq!(t.done(), ["exception no target"]);
    t.worker.on_users(Vec::new());
    assert_eq!(t.done(), ["spawning_complete 0"]);
    t.hears(spawn(2.0, &[("Sockbench", 2)]));
    assert_eq!(t.done(), ["spawning"]);
    t.hears(FromMaster::Stop);
    assert_eq!(t.done(), ["stats 0", "client_stopped", "client_ready"]);
    // The stop may come before the run has begun.
    t.hears(FromMaster::Ack);
    t.hears(spawn(3.0, &[("Sockbench", 1)]));
    t.hears(FromMaster::Stop);
    assert_eq!(t.done(), ["spawning", "BEGIN"]);
    t.worker.on_failed("no target", t.now);
    assert_eq!(t.done(), ["exception no target", "stats 0", "client_stopped", "client_ready"]);
}

#[test]
fn without_an_ack_another_connection_is_opened_under_another_name() {
    let mut t = Talk::new();
    t.open();
    let first = t.worker.node_id().to_owned();
    t.done();
    assert_eq!(t.wait(4900, true), [""; 0]);
    assert_eq!(t.wait(200, true), ["REOPEN 0"]);
    assert_ne!(t.worker.node_id(), first);
    t.open();
    assert_eq!(t.done(), ["client_ready"]);
    // Nobody there at all: it ends.
    t.worker.on_closed(t.now);
    assert_eq!(t.done(), ["REOPEN 1000"]);
    let end = t.wait(300_000, true);
    assert_eq!(end[0], "LEAVE NoMaster");
}

#[test]
fn a_connection_that_ends_is_reopened_under_the_same_name_and_the_load_goes_on() {
    let mut t = Talk::running(2);
    let name = t.worker.node_id().to_owned();
    t.worker.on_closed(t.now);
    assert_eq!(t.done(), ["REOPEN 1000"]);
    assert_eq!(t.wait(3000, true), [""; 0], "nothing can be sent");
    t.open();
    let done = t.wait(1000, true);
    assert_eq!(done[..2], ["stats 2", "heartbeat running"], "no client_ready: the master may know it still");
    assert_eq!(t.worker.node_id(), name);
    // Nothing is lost while ready either: it registers again.
    let mut t = Talk::ready();
    t.worker.on_closed(t.now);
    t.open();
    assert_eq!(t.done(), ["REOPEN 1000", "client_ready"]);
}

#[test]
fn a_master_that_was_restarted_answers_nothing_and_the_worker_registers_anew() {
    let mut t = Talk::running(2);
    let name = t.worker.node_id().to_owned();
    t.worker.on_closed(t.now);
    t.open();
    t.done();
    let done = t.wait(10_200, false);
    assert_eq!(done.last().map(String::as_str), Some("END 200"), "{done:?}");
    t.worker.on_over(t.now);
    assert_eq!(t.done(), ["stats 0", "REOPEN 0"]);
    assert_ne!(t.worker.node_id(), name, "a ROUTER ignores a second connection of the same name");
    t.open();
    assert_eq!(t.done(), ["client_ready"]);
    // The same without a run.
    let mut t = Talk::ready();
    assert!(t.wait(10_200, false).iter().any(|d| d == "REOPEN 0"));
}

#[test]
fn a_standstill_of_this_process_is_no_silence_of_the_master() {
    let mut t = Talk::running(2);
    t.wait(1000, true);
    t.now = t.now.plus(Duration::from_secs(30));
    assert_eq!(t.wait(1000, true)[..2], ["stats 2", "heartbeat running"]);
}

#[test]
fn a_signal_says_goodbye() {
    let mut t = Talk::running(2);
    t.worker.on_signal(t.now);
    assert_eq!(t.done(), ["END 200"]);
    t.worker.on_over(t.now);
    assert_eq!(t.done(), ["stats 0", "quit", "LEAVE Signal"]);
    let mut t = Talk::ready();
    t.worker.on_signal(t.now);
    assert_eq!(t.done(), ["quit", "LEAVE Signal"]);
}

#[test]
fn requests_in_flight_get_the_stop_timeout_and_a_master_that_leaves_gets_what_is_known() {
    let with = |ending: fn(&mut Talk)| {
        let mut t = Talk::ready();
        let FromMaster::Spawn(asked) = spawn(1.0, &[("Sockbench", 2)]) else { unreachable!() };
        t.hears(FromMaster::Spawn(Spawn { stop_timeout: Duration::from_secs(5), ..asked }));
        t.begun();
        t.at_work(2);
        t.done();
        ending(&mut t);
        t
    };
    assert_eq!(with(|t| t.hears(FromMaster::Stop)).done(), ["END 5000"]);
    let mut t = with(|t| t.hears(FromMaster::Quit));
    t.hears(FromMaster::Quit);
    t.counts(4);
    assert_eq!(t.done(), ["END 5000"]);
    t.tick(Duration::from_millis(200));
    assert_eq!(t.reported(), [4], "before it leaves");
    t.counts(2);
    t.worker.on_over(t.now);
    assert_eq!(t.done(), ["stats 0", "LEAVE Quit"]);
    // Nobody waits for a stop timeout where a signal asks to end.
    assert_eq!(with(|t| t.worker.on_signal(t.now)).done(), ["END 200"]);
}

#[test]
fn a_test_that_nobody_stops_ends_after_the_longest_run() {
    let mut t = Talk::running(2);
    t.tick(DURATION_MAX.saturating_sub(Duration::from_secs(1)));
    assert!(!t.done().iter().any(|d| d.starts_with("END")));
    t.hears(FromMaster::Heartbeat);
    t.tick(Duration::from_secs(1));
    let done = t.done();
    let at = done.iter().position(|d| d == "END 200").unwrap();
    assert!(done[at + 1].starts_with("exception this test has run for"), "{done:?}");
    t.worker.on_over(t.now);
    t.hears(FromMaster::Heartbeat);
    assert!(!t.wait(4000, true).iter().any(|d| d.starts_with("END") || d.starts_with("exception")), "once");
    t.hears(FromMaster::Stop);
    assert_eq!(t.done(), ["stats 0", "client_stopped", "client_ready"]);
}

#[path = "worker_reports_tests.rs"]
mod reports;
