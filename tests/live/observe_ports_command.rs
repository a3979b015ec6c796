//! `sockbench ports` beside real sockets, in a private namespace.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::{self, SOCKBENCH, describe, here, text};
use crate::until::until;
use sockbench::testing::model::{Forecast, PortsReport};

fn ports(args: &[&str]) -> Output {
    Command::new(SOCKBENCH).arg("ports").args(args).output().unwrap()
}

fn report(args: &[&str]) -> PortsReport {
    let out = ports(args);
    assert!(out.status.success(), "{}", describe(&out));
    let report: PortsReport = crate::documents::parse_bytes("ports", &out.stdout);
    assert_eq!(report.unexplained_nulls(), Vec::<String>::new(), "{}", text(&out.stdout));
    report
}

#[test]
fn held_ports_are_listed_by_destination() {
    let options =
        ["--sysctl", "net.ipv4.tcp_tw_reuse=2", "--sysctl", "net.ipv4.ip_local_port_range=10000 10999", "--address", "10.0.0.1"];
    if !support::inside(here!(), &options) {
        return;
    }
    assert!(report(&["--json"]).destinations.is_empty());
    let loopback = TcpListener::bind("127.0.0.1:9000").unwrap();
    let other = TcpListener::bind("10.0.0.1:9000").unwrap();
    let _inside = TcpListener::bind("127.0.0.1:10999").unwrap();
    support::leave_time_wait(&loopback, 10_000..=10_099);
    support::leave_time_wait(&other, 10_000..=10_009);
    support::leave_time_wait(&other, 20_000..=20_001);
    let all = report(&["--json", "-"]);
    assert_eq!((all.range, all.listeners, all.pool), (Some([10_000, 10_999]), Some(1), Some(999)));
    let rows: Vec<_> = all.destinations.iter().map(|d| (d.destination.as_str(), d.used, d.used_outside, d.hold_s)).collect();
    assert_eq!(rows, [("127.0.0.1:9000", 100, 0, Some(1.0)), ("10.0.0.1:9000", 10, 2, Some(60.0))], "T is per destination");
    assert!((all.destinations[1].ceiling_cps.unwrap() - 999.0 / 60.0).abs() < 1e-9);
    assert!((50.0..=60.1).contains(&all.destinations[1].first_free_in_s.unwrap()));
    assert!(all.destinations[0].last_free_in_s.unwrap() <= 1.0, "reuse comes before the timer");

    let one = report(&["--json", "--to", "10.0.0.1:9000"]);
    assert_eq!(one.destinations.len(), 1);
    assert_eq!((one.destinations[0].source.as_str(), one.destinations[0].states.time_wait), ("10.0.0.1", 10), "two lie outside");
    let none = report(&["--json", "--to", "http://127.0.0.1:1/"]);
    assert_eq!((none.destinations.len(), none.destinations[0].used, none.destinations[0].hold_s), (1, 0, Some(1.0)));

    let out = ports(&[]);
    let shown = text(&out.stdout);
    println!("{shown}");
    assert!(["999", "10000-10999", "127.0.0.1:9000", "10.0.0.1:9000"].iter().all(|part| shown.contains(part)), "{shown}");
    assert_eq!(text(&out.stderr), "");
}

/// A process that has shut its side down keeps the port until the server closes; one that has closed leaves it to a timer.
#[test]
fn fin_wait2_with_and_without_a_process_is_told_apart() {
    if !support::inside(here!(), &["--sysctl", "net.ipv4.tcp_fin_timeout=30"]) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let connected = || (TcpStream::connect(to).unwrap(), listener.accept().unwrap().0);
    let pairs: Vec<_> = (0..5).map(|_| connected()).collect();
    let (mut clients, servers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    clients.iter().take(3).for_each(|c| c.shutdown(std::net::Shutdown::Write).unwrap());
    clients.truncate(3);
    let look = || report(&["--json", "--to", &to.to_string()]).destinations.remove(0);
    // The other side's kernel may take its time with the acknowledgement: FIN_WAIT1 until then.
    until("both are in FIN_WAIT2", || look().states.fin_wait2_timed == 2);
    let d = look();
    assert_eq!((d.states.fin_wait2, d.held, d.open), (5, 5, 3));
    assert!((1.0..=30.1).contains(&d.last_free_in_s.unwrap()), "{d:?}");
    let page = text(&ports(&["--to", &to.to_string()]).stdout);
    println!("{page}");
    assert!(page.contains("3 without a known end"), "{page}");
    drop(clients);
    until("no process has one any more", || look().states.fin_wait2_timed == 5);
    drop(servers);
    until("the server has closed too", || look().states.time_wait == 5);
}

#[test]
fn the_longest_list_is_cut_and_the_rest_counted() {
    if !support::inside(here!(), &["--sysctl", "net.ipv4.tcp_tw_reuse=0"]) {
        return;
    }
    let listeners: Vec<_> = (9000..9025u16).map(|p| TcpListener::bind(("127.0.0.1", p)).unwrap()).collect();
    for listener in &listeners {
        let dest = listener.local_addr().unwrap();
        drop(std::net::TcpStream::connect(dest).unwrap());
        drop(listener.accept().unwrap());
    }
    let some = report(&["--json"]);
    assert_eq!((some.destinations.len(), some.more_destinations, some.more_used), (20, 5, 5));
    assert_eq!(report(&["--json", "--all"]).destinations.len(), 25);
    let shown = text(&ports(&[]).stdout);
    assert_eq!(shown.lines().filter(|line| line.starts_with("  127.0.0.1:90")).count(), 20, "{shown}");
}

#[test]
fn the_experiment_is_predicted() {
    let out = ports(&[
        "--predict",
        "170",
        "--pool",
        "16384",
        "--hold",
        "120s",
        "--duration",
        "180s",
        "--fail-rate",
        "300",
        "--recovered-rate",
        "120",
        "--json",
    ]);
    let f: Forecast = crate::documents::parse_bytes("forecast", &out.stdout);
    assert!((f.ceiling_cps.unwrap() - 136.5).abs() < 0.05);
    assert!((f.exhausted_at_s.unwrap() - 96.4).abs() < 0.05 && (f.dead_s.unwrap() - 23.6).abs() < 0.05);
    assert!((7080..=7095).contains(&f.failures), "{}", f.failures);
    assert_eq!((f.assumed.fail_rate_cps, f.assumed.recovered_rate_cps), (300.0, 120.0));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("forecast.json");
    assert!(ports(&["--predict", "170", "--json", file.to_str().unwrap()]).status.success());
    let _: Forecast = crate::documents::parse_bytes("forecast", &std::fs::read(&file).unwrap());
}

#[test]
fn watch_looks_again_until_a_signal() {
    let mut c = Command::new(SOCKBENCH);
    c.args(["ports", "--to", "127.0.0.1:1", "--watch", "100ms", "--json"]);
    let mut child = sockbench::testing::sys::Child::start(c, sockbench::testing::sys::Stderr::Inherit).unwrap();
    for _ in 0..3 {
        let line = child.read_line(Duration::from_secs(10)).unwrap();
        let _: PortsReport = crate::documents::parse("ports", &line);
    }
    assert_eq!(child.stop(Duration::from_secs(10)).unwrap().code(), Some(143));
}

/// `sockbench ports --watch | head -1`, in every form of the output.
#[test]
fn a_watch_ends_when_its_reader_has_gone() {
    for form in [&["--watch", "100ms"][..], &["--watch", "100ms", "--json", "-"]] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_sockbench"))
            .arg("ports")
            .args(form)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut first).unwrap();
        crate::until::until("it ends", || child.try_wait().unwrap().is_some());
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_client_that_drips_does_not_keep_prometheus_away() {
    let mut exporter = Command::new(SOCKBENCH).args(["ports", "--serve", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(exporter.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let at = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_else(|| panic!("{line}")).to_owned();
    let mut drip = TcpStream::connect(&at).unwrap();
    let dripping = std::thread::spawn(move || {
        while drip.write_all(b"x").is_ok() {
            sockbench::testing::sys::sleep(Duration::from_millis(50));
        }
    });
    let mut scraper = TcpStream::connect(&at).unwrap();
    scraper.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(scraper, "GET /metrics HTTP/1.1\r\nHost: {at}\r\n\r\n").unwrap();
    let mut page = String::new();
    scraper.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("sockbench_ephemeral_port_pool "), "{page}");
    dripping.join().unwrap();
    exporter.kill().unwrap();
    exporter.wait().unwrap();
}
