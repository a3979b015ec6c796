//! `sockbench worker` under a real, unpatched Locust master: what Locust counts, what the worker keeps, and what the server
//! answered are the same numbers.

use std::cell::Cell;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};

use sockbench::testing::model::RunResult;

use crate::counting::Counted;
use crate::loud;
use crate::machines::{HUB, Machine, can_be_joined};
use crate::relay::Relay;
use crate::support::{SOCKBENCH, here, inside};
use crate::until::until;

const MIX: &str = "/health=9,/nowhere=1";
/// Where a master's ports are looked for: below those that the kernel gives to others.
const PORTS: std::ops::Range<u16> = 2_000..9_900;
/// Ports that are tried before the test gives up.
const TRIES: usize = 20;

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// Whether it listens at each of these ports itself.
    fn listens(&self, ports: &[u16]) -> bool {
        let Some(fds) = Process::new(self.0.id().cast_signed()).and_then(|process| process.fd()).ok() else { return false };
        let own: Vec<u64> =
            fds.flatten().filter_map(|fd| if let FDTarget::Socket(inode) = fd.target { Some(inode) } else { None }).collect();
        let all = procfs::net::tcp().unwrap();
        let open = |port: &u16| {
            all.iter().any(|e| e.state == TcpState::Listen && e.local_address.port() == *port && own.contains(&e.inode))
        };
        ports.iter().all(open)
    }

    fn ended(&mut self) -> i32 {
        let mut status = None;
        until("it ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code().unwrap_or(-1)
    }
}

/// A target that counts, a directory, and a master's ports, for workers and for its web page, once it has some.
struct Rig {
    locust: String,
    target: Counted,
    dir: tempfile::TempDir,
    ports: Cell<Option<[u16; 2]>>,
    /// where target and master are
    host: &'static str,
}

/// Two ports at `host` that nobody has now.
fn free_ports(host: &str) -> [u16; 2] {
    let mut free = (0..).map(|_| fastrand::u16(PORTS)).filter(|port| TcpListener::bind((host, *port)).is_ok());
    let first = free.next().unwrap();
    [first, free.find(|port| *port != first).unwrap()]
}

impl Rig {
    /// None where Locust is not installed.
    fn new(each: &[&str]) -> Option<Self> {
        Self::at("127.0.0.1", each)
    }

    /// The same with another address of this host.
    fn at(host: &'static str, each: &[&str]) -> Option<Self> {
        let locust = std::env::var("SOCKBENCH_TEST_LOCUST").unwrap_or_else(|_| "locust".into());
        if !Command::new(&locust).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
        {
            loud::skipped(format!("{locust}: not installed; SOCKBENCH_TEST_LOCUST names one"));
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let made = Command::new(SOCKBENCH).arg("locustfile").args(each).args(["--mix", MIX, "--think", "5ms"]).output().unwrap();
        assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
        std::fs::write(dir.path().join("sockbench.py"), made.stdout).unwrap();
        Some(Self { locust, target: Counted::start_at(&format!("{host}:0")), dir, ports: Cell::new(None), host })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ports(&self) -> [u16; 2] {
        self.ports.get().unwrap()
    }

    /// A master that listens. A stock one cannot be asked for any free port, so that somebody else may take the one that it is
    /// given: then it gets another. One that follows another has the same, which workers look for.
    fn master(&self, has_web: bool, more: &[&str]) -> Running {
        for _ in 0..TRIES {
            let [port, web] = self.ports.get().unwrap_or_else(|| free_ports(self.host));
            let log = std::fs::File::create(self.path("master.log")).unwrap();
            let mut command = Command::new(&self.locust);
            command.args(["--master", "--master-bind-host", self.host, "--master-bind-port", &port.to_string()]);
            command.args(["--host", &self.target.url, "-f"]).arg(self.path("sockbench.py")).args(more);
            if has_web {
                command.args(["--web-host", "127.0.0.1", "--web-port", &web.to_string()]);
            }
            let mut master = Running::start(command.stderr(log).current_dir(self.dir.path()));
            let wanted = if has_web { &[port, web][..] } else { &[port] };
            let mut is_there = false;
            until("the master listens, or has ended", || {
                is_there = master.listens(wanted);
                is_there || self.log("master.log").contains("ddress already in use") || master.0.try_wait().unwrap().is_some()
            });
            if is_there {
                self.ports.set(Some([port, web]));
                return master;
            }
            let said = self.log("master.log");
            assert!(said.contains("ddress already in use"), "{said}");
        }
        panic!("{TRIES} ports were all in use");
    }

    fn headless(&self, users: &str, length: &str, csv: &str, workers: u32) -> Running {
        let csv = self.path(csv);
        let (csv, workers) = (csv.to_str().unwrap(), workers.to_string());
        self.master(false, &["--headless", "--expect-workers", &workers, "-u", users, "-r", "100", "-t", length, "--csv", csv])
    }

    fn worker(&self) -> Running {
        self.worker_at(self.ports()[0], "kept")
    }

    /// One that looks for its master at `port`, and keeps its tests in `kept`.
    fn worker_at(&self, port: u16, kept: &str) -> Running {
        let mut command = Command::new(SOCKBENCH);
        command.args(["worker", "-q", "--master-port", &port.to_string(), "-o"]).arg(self.path(kept));
        Running::start(command.stderr(std::fs::File::create(self.path(&format!("{kept}.log"))).unwrap()))
    }

    fn kept(&self, test: &str) -> RunResult {
        self.kept_in("kept", test)
    }

    fn kept_in(&self, kept: &str, test: &str) -> RunResult {
        let file = self.path(kept).join(test).join("run.json");
        until("the test's result is kept", || file.exists());
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap()
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A page of the master's web server.
    fn web(&self, path: &str, form: Option<&str>) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.ports()[1]);
        let answer = match form {
            Some(form) => ureq::post(&url).content_type("application/x-www-form-urlencoded").send(form),
            None => ureq::get(&url).call(),
        };
        answer.map(|mut a| a.body_mut().read_to_string().unwrap_or_default()).unwrap_or_default()
    }

    fn stats(&self) -> serde_json::Value {
        serde_json::from_str(&self.web("/stats/requests", None)).unwrap_or_default()
    }
}

/// Requests and failures of all rows together, as Locust's CSV file has them.
fn of_csv(prefix: &Path) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("{}_stats.csv", prefix.display())).unwrap();
    let row = text.lines().find(|line| line.contains(",Aggregated,")).unwrap_or_else(|| panic!("{text}"));
    let cell = |n: usize| row.split(',').nth(n).unwrap().parse().unwrap();
    (cell(2), cell(3))
}

fn of_run(run: &RunResult) -> (u64, u64) {
    (run.locust_requests(), run.locust_failures())
}

#[test]
fn locusts_csv_the_kept_run_and_the_servers_count_are_the_same() {
    for (each, users) in [(&[][..], 10), (&["--class-each"][..], 10)] {
        let Some(rig) = Rig::new(each) else { return };
        let mut master = rig.headless(&users.to_string(), "4s", "csv", 1);
        let mut worker = rig.worker();
        let codes = (master.ended(), worker.ended());
        let said = format!("{}{}", rig.log("master.log"), rig.log("kept.log"));
        // Each tenth path is not there: Locust ends with 1 when a request failed.
        assert_eq!(codes, (1, 0), "{said}");
        let run = rig.kept("1");
        assert_eq!(of_csv(&rig.path("csv")), of_run(&run), "{said}");
        assert_eq!(run.totals.requests, rig.target.at_rest().answered, "{said}");
        assert!(run.totals.cut == 0 && run.totals.requests > 100, "{:?} {said}", run.totals);
        assert_eq!((run.plan.users, run.totals.users_reached), (users, users));
        assert!(run.endpoints.iter().all(|e| e.requests > 0), "{:?}", run.endpoints);
        assert!(!said.contains("Traceback") && !said.contains("Unknown message"), "{said}");
    }
}

#[test]
fn what_two_workers_kept_merges_to_what_the_master_counted() {
    let Some(rig) = Rig::new(&[]) else { return };
    let mut master = rig.headless("10", "4s", "csv", 2);
    let mut workers = ["kept", "other"].map(|kept| rig.worker_at(rig.ports()[0], kept));
    let codes = (master.ended(), workers.each_mut().map(Running::ended));
    let said = ["master.log", "kept.log", "other.log"].map(|log| rig.log(log)).concat();
    assert_eq!(codes, (1, [0, 0]), "{said}");
    let each = ["kept", "other"].map(|kept| rig.path(kept).join("1"));
    let out = Command::new(SOCKBENCH).arg("merge").args(&each).args(["--json", "-"]).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let merged: RunResult = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(of_csv(&rig.path("csv")), of_run(&merged), "{said}");
    assert_eq!(merged.totals.requests, rig.target.at_rest().answered, "{said}");
    assert_eq!((merged.machines.len(), merged.plan.users, merged.totals.cut), (2, 10, 0));
    assert!(merged.machines.iter().all(|m| m.users == 5 && m.requests > 50), "the master has dealt them out");
    assert!(!merged.verdict.sentence.contains("incomplete"), "one master starts both at once: {}", merged.verdict.sentence);
}

#[test]
fn a_machine_without_ports_fails_under_its_name_and_the_other_does_not() {
    if !can_be_joined() || !inside(here!(), HUB) {
        return;
    }
    let Some(rig) = Rig::at("10.77.0.1", &["--no-keepalive"]) else { return };
    let mut master = rig.headless("20", "4s", "csv", 2);
    let port = rig.ports()[0].to_string();
    let machines = [(1, "40000 40049", "few"), (2, "20000 59999", "many")].map(|(n, range, kept)| {
        let kept = rig.path(kept);
        let led =
            ["worker", "-q", "--allow-remote", "--master-host", rig.host, "--master-port", &port, "-o", kept.to_str().unwrap()];
        Machine::start(n, range, &[&[SOCKBENCH], &led[..]].concat())
    });
    assert_eq!(master.ended(), 1, "{}", rig.log("master.log"));
    machines.into_iter().for_each(Machine::ended);
    let [few, many] = ["few", "many"].map(|kept| rig.kept_in(kept, "1"));
    let [(few_all, few_failed), (many_all, many_failed)] = [&few, &many].map(of_run);
    assert_eq!(of_csv(&rig.path("csv")), (few_all + many_all, few_failed + many_failed), "{}", rig.log("master.log"));
    assert_eq!(few.totals.requests + many.totals.requests, rig.target.at_rest().answered);
    assert!(few.totals.local_failures > 0 && many.totals.local_failures == 0, "{:?} {:?}", few.totals, many.totals);
    let said = rig.log("csv_failures.csv");
    assert!(said.contains("connect EADDRNOTAVAIL (this machine: "), "{said}");
}

#[test]
fn a_report_that_was_cut_on_its_way_is_counted_once() {
    let Some(rig) = Rig::new(&[]) else { return };
    let mut master = rig.headless("5", "8s", "csv", 1);
    let relay = Relay::start(rig.ports()[0]);
    let mut worker = rig.worker_at(relay.port, "kept");
    let codes = (master.ended(), worker.ended());
    let said = format!("{}{}", rig.log("master.log"), rig.log("kept.log"));
    assert_eq!(codes, (1, 0), "{said}");
    assert!(relay.has_cut(), "{said}");
    let run = rig.kept("1");
    assert_eq!(of_csv(&rig.path("csv")), of_run(&run), "{said}");
    assert_eq!(run.totals.requests, rig.target.at_rest().answered, "{said}");
}

#[test]
fn users_are_moved_from_the_web_page_and_a_stop_ends_the_test() {
    let Some(rig) = Rig::new(&[]) else { return };
    let _master = rig.master(true, &[]);
    let worker = rig.worker();
    until("the worker is registered", || rig.stats()["workers"].as_array().is_some_and(|w| w.len() == 1));
    for users in [5, 12, 3] {
        rig.web("/swarm", Some(&format!("user_count={users}&spawn_rate=100&host={}", rig.target.url)));
        until("the users are there", || rig.stats()["user_count"] == users);
    }
    until("it has reported", || rig.stats()["total_rps"].as_f64().is_some_and(|rps| rps > 0.0));
    // Older masters take a GET.
    if rig.web("/stop", Some("")).is_empty() {
        rig.web("/stop", None);
    }
    until("the test has ended", || rig.stats()["state"] == "stopped");
    let run = rig.kept("1");
    let stats = rig.stats();
    let total = stats["stats"].as_array().unwrap().iter().find(|row| row["name"] == "Aggregated").unwrap();
    let counted = (total["num_requests"].as_u64().unwrap(), total["num_failures"].as_u64().unwrap());
    assert_eq!(counted, of_run(&run), "{}", rig.log("kept.log"));
    assert_eq!((run.totals.requests, run.totals.cut), (rig.target.at_rest().answered, 0));
    assert_eq!(run.plan.users, 12);
    // A worker that dies is missed, and another takes its place.
    until("it is ready again", || rig.stats()["workers"].as_array().is_some_and(|w| w.len() == 1));
    drop(worker);
    until("it is missed", || rig.stats()["workers"].as_array().is_some_and(|w| w.iter().all(|w| w["state"] == "missing")));
    let _another = rig.worker();
    until("the other one is ready", || {
        rig.stats()["workers"].as_array().is_some_and(|w| w.iter().any(|w| w["state"] == "ready"))
    });
    rig.web("/swarm", Some(&format!("user_count=2&spawn_rate=100&host={}", rig.target.url)));
    // An older master deals half of them to the worker that is missing, until it forgets it after a minute.
    let version = Command::new(&rig.locust).arg("--version").output().unwrap().stdout;
    let there = if String::from_utf8_lossy(&version).contains("2.20.") { 1 } else { 2 };
    until("its users are there", || rig.stats()["user_count"] == there);
}

#[test]
fn a_master_that_is_restarted_finds_the_worker_again() {
    let Some(rig) = Rig::new(&[]) else { return };
    let first = rig.headless("4", "10m", "first", 1);
    let _worker = rig.worker();
    until("the first test runs", || rig.target.scrape().is_ok_and(|c| c.answered > 0));
    drop(first);
    let mut second = rig.headless("6", "3s", "second", 1);
    until("the second test has begun", || rig.path("kept").join("2").exists());
    assert_eq!(second.ended(), 1, "{}{}", rig.log("master.log"), rig.log("kept.log"));
    let run = rig.kept("2");
    assert_eq!(of_csv(&rig.path("second")), of_run(&run), "{}{}", rig.log("master.log"), rig.log("kept.log"));
    assert_eq!((run.plan.users, rig.kept("1").plan.users), (6, 4));
}
