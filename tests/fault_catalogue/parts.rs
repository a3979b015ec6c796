//! What begins in the middle of a run, what others do to the machine meanwhile, and limits of the machine that look
//! like something else; each with a healthy twin.

use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sockbench::testing::model::FindingId::{
    GeneratorSaturated, HostContended, LocalFdLimit, SysctlChanged, TargetErrors, TargetForbidsKeepalive, TargetQueueing,
    UsersNotReached,
};

use crate::check::{Case, Check, ROW};
use crate::peers::{OK, answer, good, peer, read_head};
use crate::rig::{cannot, load, load_by, load_while, server};

const CLOSING: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
const FOUND: &str = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
const POOL_100: &str = "net.ipv4.ip_local_port_range=33000 33099";
const NO_REUSE: &str = "net.ipv4.tcp_tw_reuse=0";

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "keep-alive forbidden from the third second on",
        expected: Some(TargetForbidsKeepalive),
        run: || {
            peer(|s| later(s, Duration::from_secs(3), OK, CLOSING));
            load("/", &["--conns", "4", "--think", "20ms", "--duration", "7s"])
        },
        check: |c| c.between("since_s", 2.0, 4.1),
        ..ROW
    },
    Case {
        name: "errors in the last second only",
        expected: Some(TargetErrors),
        run: || {
            peer(|s| later(s, Duration::from_secs(4), OK, UNAVAILABLE));
            load("/", &["--conns", "4", "--think", "20ms", "--duration", "5s"])
        },
        check: |c| {
            c.between("first_s", 3.4, 4.6);
            c.counts("failures", c.run.totals.failures);
        },
        ..ROW
    },
    Case {
        name: "one lock behind every answer, 40 users",
        expected: Some(TargetQueueing),
        run: || {
            peer(one_lock);
            load("/", &["--conns", "40", "--spawn-rate", "8", "--duration", "9s"])
        },
        check: |c| {
            let (before, after) = (c.number("p50_ms_before"), c.number("p50_ms_after"));
            c.that("latency grew with the users", after >= 1.5 * before);
        },
        ..ROW
    },
    Case {
        name: "ip_local_port_range changed during the run",
        expected: Some(SysctlChanged),
        run: || {
            let _server = server(&[]);
            load_while("/health", &["--no-keepalive", "--rate", "20", "--conns", "4", "--duration", "3s"], |_| {
                sleep(Duration::from_secs(1));
                let file = "/proc/sys/net/ipv4/ip_local_port_range";
                if let Err(e) = std::fs::write(file, "40000 50000") {
                    cannot(&format!("{file} cannot be written: {e}"));
                }
            })
        },
        check: |c| {
            c.is("changed", 1.0);
            c.word("ip_local_port_range_after", "40000-50000");
        },
        ..ROW
    },
    Case {
        name: "a CPU quota of a fifth of a core for the client",
        expected: Some(HostContended),
        // Its loop has always something to do, and the quota is why.
        also: &[GeneratorSaturated],
        alone: true,
        run: || {
            peer(good);
            let group = quota(20_000);
            load_by(&["sh", "-c", IN_GROUP, &group.0], "/", &["--conns", "8", "--duration", "4s"])
        },
        check: |c| {
            let seen = c.run.resources.client.throttling;
            c.that("the kernel counted throttled periods", seen.is_some_and(|t| t.throttled_periods > 5));
            c.that("the quota is known", c.run.host.cpu_quota.is_some_and(|q| (q - 0.2).abs() < 0.01));
            let saturated = c.run.findings.iter().find(|f| f.id == GeneratorSaturated);
            c.that("the quota is the cause", saturated.is_none_or(|f| f.caused_by == [HostContended]));
        },
        ..ROW
    },
    Case {
        name: "healthy: a CPU quota that never throttles",
        alone: true,
        run: || {
            peer(good);
            let group = quota(190_000);
            load_by(&["sh", "-c", IN_GROUP, &group.0], "/", &["--conns", "4", "--think", "20ms", "--duration", "4s"])
        },
        check: |c| c.that("the quota is known", c.run.host.cpu_quota.is_some()),
        ..ROW
    },
    Case {
        name: "RLIMIT_NOFILE of 100 for 400 users",
        expected: Some(LocalFdLimit),
        also: &[UsersNotReached],
        run: || {
            let _server = server(&[]);
            load_by(&["prlimit", "--nofile=100"], "/health", &["--conns", "400", "--think", "50ms", "--duration", "3s"])
        },
        check: |c| {
            c.counts("failures", c.run.count_errors(|e| e.errno == Some(24)));
            let reached = c.run.totals.users_reached;
            c.that(&format!("{reached} users had a connection"), (85..100).contains(&reached));
            // The observer has a table of descriptors of its own: nothing of it is missing.
            c.that("ports and counters were read", c.run.ports.is_some() && c.run.kernel.is_some());
            let blind = c.run.unavailable.iter().find(|u| u.reason.contains("open files"));
            c.that(&format!("nothing failed to be read: {blind:?}"), blind.is_none());
        },
        ..ROW
    },
    Case {
        name: "healthy: as many users as a limit of 100 descriptors has carried before",
        run: || {
            let _server = server(&[]);
            let limited = |users: u32| {
                let users = users.to_string();
                load_by(&["prlimit", "--nofile=100"], "/health", &["--conns", &users, "--think", "50ms", "--duration", "2s"])
            };
            // The advice of the first run, followed.
            let reached = limited(400).totals.users_reached;
            limited(reached)
        },
        check: |c| {
            fine(c);
            c.same("all of them have a connection", c.run.totals.users_reached, c.run.plan.users);
            c.that("more than 85 of 100", c.run.plan.users > 85);
        },
        ..ROW
    },
    Case {
        name: "healthy: a table of TIME_WAIT that is capped at 50 of 100 ports",
        sysctls: &[POOL_100, NO_REUSE, "net.ipv4.tcp_max_tw_buckets=50"],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--rate", "50", "--conns", "10", "--duration", "4s"])
        },
        check: |c| {
            fine(c);
            c.that("twice the pool without a failure", c.run.totals.connections_opened > 150);
            let overflow = c.run.kernel.map(|k| k.time_wait_overflow);
            c.that(&format!("the kernel dropped TIME_WAITs: {overflow:?}"), overflow.is_some_and(|n| n > 50));
        },
        ..ROW
    },
    Case {
        name: "healthy: a cap on TIME_WAIT that is never reached",
        sysctls: &["net.ipv4.ip_local_port_range=33000 36999", NO_REUSE, "net.ipv4.tcp_max_tw_buckets=3000"],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--rate", "20", "--conns", "10", "--duration", "3s"])
        },
        check: |c| {
            fine(c);
            c.same("dropped TIME_WAITs", c.run.kernel.map(|k| k.time_wait_overflow), Some(0));
        },
        ..ROW
    },
    Case {
        name: "healthy: every answer a redirect",
        run: || {
            peer(|s| later(s, Duration::ZERO, FOUND, FOUND));
            load("/", &["--conns", "4", "--think", "20ms", "--duration", "3s"])
        },
        check: |c| {
            fine(c);
            let redirects = c.run.endpoints.first().and_then(|e| e.status.get("302").copied());
            c.same("counted by status", redirects, Some(c.run.totals.requests));
        },
        ..ROW
    },
    Case {
        name: "healthy: half of the answers redirects",
        run: || {
            peer(every_second_redirects);
            load("/", &["--conns", "4", "--think", "20ms", "--duration", "3s"])
        },
        check: |c| {
            fine(c);
            let by: u64 = c.run.endpoints.iter().flat_map(|e| e.status.values()).sum();
            c.same("every answer has its status", by, c.run.totals.requests);
            c.same("two statuses", c.run.endpoints.first().map(|e| e.status.len()), Some(2));
        },
        ..ROW
    },
    Case {
        name: "healthy: connections that the target ends now and then",
        run: || {
            peer(closes_sometimes);
            load("/", &["--conns", "4", "--think", "20ms", "--duration", "4s"])
        },
        check: |c| {
            fine(c);
            c.that("some were ended", c.run.closes.announced_by_target > 2);
        },
        ..ROW
    },
];

fn fine(c: &mut Check<'_>) {
    c.same("failures", (c.run.totals.failures, c.run.totals.local_failures), (0, 0));
}

/// Answers `first`, and from `after` on `then`, counted from the first request of all.
fn later(mut s: std::net::TcpStream, after: Duration, first: &str, then: &str) {
    static BEGUN: Mutex<Option<Instant>> = Mutex::new(None);
    while read_head(&mut s) {
        let since = BEGUN.lock().unwrap().get_or_insert_with(Instant::now).elapsed();
        let text = if since < after { first } else { then };
        if !answer(&mut s, text) || text == CLOSING {
            return;
        }
    }
}

fn every_second_redirects(mut s: std::net::TcpStream) {
    while read_head(&mut s) && answer(&mut s, OK) && read_head(&mut s) && answer(&mut s, FOUND) {}
}

/// After twenty answers, as servers with a limit of requests for a connection do.
fn closes_sometimes(mut s: std::net::TcpStream) {
    for _ in 0..20 {
        if !(read_head(&mut s) && answer(&mut s, OK)) {
            return;
        }
    }
    if read_head(&mut s) {
        answer(&mut s, CLOSING);
    }
}

fn one_lock(mut s: std::net::TcpStream) {
    static LOCK: Mutex<()> = Mutex::new(());
    while read_head(&mut s) {
        {
            let _held = LOCK.lock().unwrap();
            sleep(Duration::from_millis(20));
        }
        if !answer(&mut s, OK) {
            return;
        }
    }
}

/// How a client enters a control group: `$0` is the group's directory, the rest the client.
const IN_GROUP: &str = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";

/// A control group (v1 layout) of this process alone, removed at the end of the row.
struct Group(String);

/// With a quota of `us` in each 100 ms.
fn quota(us: u32) -> Group {
    // Its name is its own: catalogues may run beside each other.
    let group = format!("/sys/fs/cgroup/cpu/sockbench-catalogue-{}", std::process::id());
    if let Err(e) = std::fs::create_dir(&group).and_then(|()| std::fs::write(format!("{group}/cpu.cfs_quota_us"), us.to_string()))
    {
        cannot(&format!("no control group with a CPU quota can be made here: {group}: {e}"));
    }
    Group(group)
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
