//! Failures of our own machine: ports, a port, descriptors.

use sockbench::testing::model::FindingId::{
    FailuresWillReturn, LocalFdLimit, LocalPortBusy, LocalPortsExhausted, UsersNotReached,
};
use sockbench::testing::model::{Cause, Party, PortChoice, RunStamp, VerdictId};

use crate::check::{Case, Check, ROW};
use crate::rig::{cannot, load, load_by, load_url, load_url_while, server};
use crate::runs;

/// A pool of 100 ports.
const POOL_100: &str = "net.ipv4.ip_local_port_range=33000 33099";
const POOL_40: &str = "net.ipv4.ip_local_port_range=33000 33039";
const NO_REUSE: &str = "net.ipv4.tcp_tw_reuse=0";
const REUSE: &str = "net.ipv4.tcp_tw_reuse=1";
const HOLD_1S: &str = "net.ipv4.tcp_tw_reuse_delay=1000";

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "pool of 100 used up at 50/s",
        expected: Some(LocalPortsExhausted),
        also: &[FailuresWillReturn],
        sysctls: &[POOL_100, NO_REUSE],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--rate", "50", "--conns", "60", "--duration", "4s"])
        },
        check: |c| {
            exhausted(c, 100.0, 60.0);
            // The schedule's 100th connection is due after 1.98 s, the first refusal 20 ms later.
            c.between("rate_until_first_cps", 40.0, 50.5);
            c.between("first_s", 1.98, 2.5);
            // From the plan's rate alone, whatever was seen.
            c.between("predicted_first_s", 1.999, 2.001);
            c.between("time_wait", 95.0, 100.0);
            c.is("closed_first_by_client_share", 1.0);
        },
        ..ROW
    },
    Case {
        name: "pool of 40 used up within its first second",
        expected: Some(LocalPortsExhausted),
        also: &[FailuresWillReturn],
        sysctls: &[POOL_40, NO_REUSE],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--conns", "4", "--duration", "2s"])
        },
        check: |c| exhausted(c, 40.0, 60.0),
        ..ROW
    },
    Case {
        name: "pool of 40 used up at bind(ip,0)",
        expected: Some(LocalPortsExhausted),
        also: &[FailuresWillReturn],
        sysctls: &[POOL_40, REUSE],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--port-mode", "bind", "--conns", "4", "--duration", "2s"])
        },
        // tcp_tw_reuse does not help bind().
        check: |c| used_up(c, ("bind", 98, 10055), 40.0, 60.0),
        ..ROW
    },
    Case {
        name: "pool of 40 used up by open connections",
        expected: Some(LocalPortsExhausted),
        also: &[],
        sysctls: &[POOL_40, NO_REUSE],
        run: || {
            let _server = server(&[]);
            load("/health", &["--conns", "60", "--think", "100ms", "--duration", "2s"])
        },
        check: |c| {
            c.failure("connect", Some(99), Some(10048));
            c.is("pool", 40.0);
            c.is("peak_used", 40.0);
            c.between("established", 38.0, 40.0);
            c.counts("failures", c.run.totals.local_failures);
        },
        ..ROW
    },
    Case {
        name: "exhaustion that recurs every 1 s",
        expected: Some(FailuresWillReturn),
        also: &[LocalPortsExhausted],
        sysctls: &[POOL_40, REUSE, HOLD_1S],
        run: || {
            let _server = server(&[]);
            load("/health", &["--no-keepalive", "--rate", "80", "--conns", "160", "--duration", "3500ms"])
        },
        check: |c| {
            c.is("every_s", 1.0);
            let first = c.run.totals.local_failure_spans.first().map_or(f64::NAN, |s| s.from_s);
            c.between("first_s", first - 1e-4, first + 1e-4);
            // From 0.5 s on: it recurs at 1.5, 2.5 and perhaps 3.5 s, the next one after the end.
            c.between("echoes_in_run", 2.0, 3.0);
            let end = c.run.duration_s;
            c.between("next_s", end, end + 1.0);
            let next = c.number("next_s") - first;
            c.that("next_s is a whole number of T after the first", (next - next.round()).abs() < 1e-3);
            c.between("dead_s", 0.3, 0.6);
        },
        ..ROW
    },
    Case {
        name: "ring of 50 without SO_REUSEADDR",
        expected: Some(LocalPortBusy),
        sysctls: &[NO_REUSE],
        run: || {
            let _server = server(&[]);
            load(
                "/health",
                &["--no-keepalive", "--port-mode", "ring", "--port-range", "10000-10049", "--conns", "4", "--duration", "2s"],
            )
        },
        check: |c| {
            busy(c, "bind", 98);
            c.is("ring_ports", 50.0);
            c.is("reuse_addr", 0.0);
            c.counts("ring_busy_skips", c.run.totals.ring_busy_skips);
            c.same("connections", c.run.totals.connections_opened, 50);
            let ports = c.run.ports.as_ref();
            let mean = c.run.totals.connections_opened as f64 / c.run.duration_s;
            c.that("a mean rate", ports.is_some_and(|p| (p.rate_cps / mean - 1.0).abs() < 0.001));
            c.that("no forecast from busy ports", ports.is_some_and(|p| p.forecast.is_none()));
        },
        ..ROW
    },
    Case {
        name: "ring of 50 with SO_REUSEADDR, tcp_timestamps off",
        expected: Some(LocalPortBusy),
        sysctls: &[NO_REUSE, "net.ipv4.tcp_timestamps=0"],
        run: || {
            let _server = server(&[]);
            let ring = ["--port-mode", "ring", "--port-range", "10000-10049", "--reuse-addr"];
            load("/health", &[&["--no-keepalive", "--conns", "4", "--duration", "2s"], &ring[..]].concat())
        },
        check: |c| {
            busy(c, "connect", 99);
            c.is("tcp_timestamps", 0.0);
            c.is("reuse_addr", 1.0);
            c.same("connections", c.run.totals.connections_opened, 50);
        },
        ..ROW
    },
    Case {
        name: "ring inside another program's listeners",
        expected: Some(LocalPortBusy),
        also: &[UsersNotReached],
        run: || {
            let _server = server(&[]);
            // The whole ring is taken by listeners without SO_REUSEADDR.
            let _held: Vec<_> = (10_000..10_020)
                .map(|port| {
                    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
                    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
                    socket.listen(1).unwrap();
                    socket
                })
                .collect();
            let ring = ["--port-mode", "ring", "--port-range", "10000-10019", "--reuse-addr"];
            load("/health", &[&["--no-keepalive", "--conns", "2", "--duration", "2s"], &ring[..]].concat())
        },
        check: |c| {
            busy(c, "bind", 98);
            c.is("reuse_addr", 1.0);
            c.is("ring_ports", 20.0);
            c.same("connections", c.run.totals.connections_opened, 0);
        },
        ..ROW
    },
    Case {
        name: "IPv6 off, a target at [::1]",
        expected: Some(UsersNotReached),
        sysctls: &["net.ipv6.conf.all.disable_ipv6=1"],
        run: || load_url("http://[::1]:8080/", &["--conns", "4", "--requests", "20", "--think", "20ms"]),
        check: |c| {
            no_address(c, "connect");
            c.counts("local_failures", 20);
        },
        ..ROW
    },
    Case {
        name: "IPv6 off, a target at [::1], ports chosen by bind()",
        expected: Some(UsersNotReached),
        sysctls: &["net.ipv6.conf.all.disable_ipv6=1"],
        run: || {
            let bind = ["--port-mode", "bind", "--no-observe"];
            load_url("http://[::1]:8080/", &[&["--conns", "4", "--requests", "20", "--think", "20ms"], &bind[..]].concat())
        },
        check: |c| no_address(c, "connect"),
        ..ROW
    },
    Case {
        name: "IPv6 switched off in mid-run, a target at [::1]",
        expected: Some(UsersNotReached),
        run: || {
            let mut target = runs::start(&["server", "--listen", "[::1]:8080", "--cpu-iterations", "1"]);
            target.read_line(std::time::Duration::from_secs(30)).unwrap();
            let args = ["--no-keepalive", "--conns", "4", "--think", "20ms", "--duration", "3s"];
            load_url_while("http://[::1]:8080/health", &args, |_| {
                std::thread::sleep(std::time::Duration::from_millis(1500));
                let file = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
                if let Err(e) = std::fs::write(file, "1") {
                    cannot(&format!("{file} cannot be written: {e}"));
                }
            })
        },
        check: |c| {
            no_address(c, "connect");
            c.that("answers before", c.run.totals.latency_ms.is_some());
        },
        ..ROW
    },
    Case {
        name: "RLIMIT_NOFILE of 48 for 64 users",
        expected: Some(LocalFdLimit),
        run: || {
            let _server = server(&[]);
            load_by(&["prlimit", "--nofile=48:48"], "/health", &["--conns", "64", "--think", "100ms", "--duration", "3s"])
        },
        check: |c| {
            c.failure("socket", Some(24), Some(10024));
            c.counts("failures", c.run.totals.local_failures);
            c.is("nofile", 48.0);
            c.is("users_asked", 64.0);
            c.counts("users_reached", u64::from(c.run.totals.users_reached));
            c.between("users_reached", 35.0, 48.0);
        },
        ..ROW
    },
];

/// This machine has no address that reaches the target: error row, finding, verdict and stamp agree.
fn no_address(c: &mut Check<'_>, call: &str) {
    c.word("call", call);
    c.is("errno", 99);
    c.is("windows_code", 10049);
    let rows: Vec<_> = c.run.errors.iter().filter(|e| e.local).map(|e| (e.cause, e.windows_code, e.party)).collect();
    let no_address = (Some(Cause::NoAddress), Some(10049), Party::Limits);
    // While IPv6 is switched off, its routes go before its addresses: a connect between the two finds the network unreachable.
    let in_between = (Some(Cause::Errno(101)), Some(10051), Party::Limits);
    let all_known = rows.iter().all(|row| [no_address, in_between].contains(row));
    c.that(&format!("{rows:?}"), rows.first() == Some(&no_address) && all_known);
    c.counts("local_failures", c.run.totals.local_failures);
    c.same("stamp", c.run.validity.stamp, RunStamp::ClientBound);
    c.same("verdict", c.run.verdict.id, VerdictId::ClientBound);
}

/// The pool was used up at connect().
fn exhausted(c: &mut Check<'_>, pool: f64, hold_s: f64) {
    used_up(c, ("connect", 99, 10048), pool, hold_s);
}

fn used_up(c: &mut Check<'_>, (call, errno, windows): (&str, i32, i32), pool: f64, hold_s: f64) {
    c.failure(call, Some(errno), Some(windows));
    c.counts("failures", c.run.totals.local_failures);
    c.is("pool", pool);
    c.is("hold_s", hold_s);
    c.between("ceiling_cps", pool / hold_s * 0.999, pool / hold_s * 1.001);
    c.is("peak_used", pool);
    c.same("connections", c.run.totals.connections_opened as f64, pool);
    // The pool is the rate until the first refusal times its time; a forecast is made from other figures, or not at all.
    let (rate, first) = (c.number("rate_until_first_cps"), c.number("first_s"));
    c.that(&format!("rate {rate} x first {first} is the pool"), (rate * first / pool - 1.0).abs() < 0.01);
    let forecast = c.run.ports.as_ref().and_then(|p| p.forecast.clone());
    let predicted = forecast.map(|f| f.exhausted_at_s);
    c.that("a closed loop's first second predicts nothing", c.run.plan.is_open_loop() == predicted.is_some());
    if let Some(predicted) = predicted {
        c.between("first_s", predicted * 0.9, predicted * 1.1);
    }
    let said = c.run.ports.as_ref().map_or(f64::NAN, |p| p.rate_cps);
    let mean = c.run.totals.connections_opened as f64 / c.run.duration_s;
    c.that(&format!("ports.rate_cps {said} is the mean {mean}"), (said / mean - 1.0).abs() < 0.001);
}

fn busy(c: &mut Check<'_>, call: &str, errno: i32) {
    c.failure(call, Some(errno), Some(10048));
    c.counts("failures", c.run.totals.local_failures);
    c.that("the port was chosen", c.run.errors.iter().all(|e| e.port_choice == PortChoice::Explicit));
}
