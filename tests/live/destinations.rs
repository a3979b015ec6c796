//! One run to several destinations: who is asked how often, whose ports run out, who refuses.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Output};

use serde_json::Value;

use crate::near::{First, Near, by_kernel, ring};
use crate::served::Served;
use crate::support::{here, inside};
use sockbench::testing::model::PortMode;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn load(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockbench"));
    command.args(["load", "-q"]).args(args).env("NO_COLOR", "1").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The document and the page of a run that is kept in `dir`.
fn kept(dir: &std::path::Path) -> (Value, String) {
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    (crate::documents::parse("run", &read("run.json")), read("report.txt"))
}

#[test]
fn each_destination_is_asked_as_often_as_its_part_of_the_run_says() {
    let servers = [(); 2].map(|()| Served::start(&["--admin", "127.0.0.1:0"]));
    let [a, b] = [0, 1].map(|at: usize| servers[at].addr.to_string());
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mix = format!("http://{a}/health=4,http://{a}/io=1,http://{b}/health=2");
    let out = load(&["-n", "70", "-c", "7", "--mix", &mix, "-o", run.to_str().unwrap(), "--threshold", "http_reqs:count==70"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let (document, _) = kept(&run);
    let parts = document["destinations"].as_array().unwrap();
    let asked = |served: &Served, handlers: &[&str]| -> u64 {
        let of = |handler: &&str| format!("http_requests_total{{handler=\"{handler}\",method=\"GET\",code=\"200\"}}");
        handlers.iter().map(|handler| served.counter(&of(handler))).sum()
    };
    let wanted: [(&[&str], u64); 2] = [(&["/health", "/io"], 50), (&["/health"], 20)];
    for ((part, served), (handlers, requests)) in parts.iter().zip(&servers).zip(wanted) {
        assert_eq!(part["totals"]["requests"], requests);
        assert_eq!(asked(served, handlers), requests, "{}", served.addr);
    }
    assert_eq!((&document["totals"]["requests"], &document["totals"]["failures"]), (&70.into(), &0.into()));
    // The log has each endpoint by its whole URL, and the report is made again from both.
    let log = std::fs::read_to_string(run.join("run.hlog")).unwrap();
    assert!(log.contains(&format!("Tag=http://{a}/health,")) && log.contains(&format!("Tag=http://{b}/health,")), "{log}");
    let report = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sockbench"));
        let out = command.arg("report").arg(&run).args(more).env("NO_COLOR", "1").output().unwrap();
        assert!(out.status.success(), "{more:?}: {}", text(&out.stderr));
        text(&out.stdout)
    };
    for more in [&[][..], &["--again"], &["-v"], &["--format", "html"]] {
        let page = report(more);
        assert!(page.contains(&a) && page.contains(&b), "{page}");
    }
    let out = Command::new(env!("CARGO_BIN_EXE_sockbench")).arg("compare").args([&run, &run]).output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
}

#[test]
fn the_ports_of_one_destination_run_out_and_the_other_goes_on() {
    // The two servers listen inside the range, and cost a port each.
    let few = ["--sysctl", "net.ipv4.ip_local_port_range=40000 40101", "--sysctl", "net.ipv4.tcp_tw_reuse=0"];
    if !inside(here!(), &few) {
        return;
    }
    let servers = [(); 2].map(|()| Served::start(&[]));
    let [a, b] = [0, 1].map(|at: usize| servers[at].addr.to_string());
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mix = format!("http://{a}/health=9,http://{b}/health=1");
    let out = load(&["-n", "200", "-c", "20", "--no-keepalive", "--mix", &mix, "-o", run.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let (document, _) = kept(&run);
    let exhausted = document["findings"].as_array().unwrap().iter().find(|f| f["id"] == "local-ports-exhausted").unwrap();
    assert_eq!(exhausted["destinations"], serde_json::json!([a]));
    assert_eq!(document["verdict"]["id"], "port-bound");
    let parts = document["destinations"].as_array().unwrap();
    let pool = |part: &Value| part["ports"]["pool"].as_u64().unwrap();
    let used = |part: &Value| part["ports"]["peak_used"].as_u64().unwrap();
    assert_eq!(parts.iter().map(pool).collect::<Vec<_>>(), [100, 100], "each has the whole range");
    assert_eq!(parts.iter().map(used).collect::<Vec<_>>(), [100, 20], "and its own TIME_WAIT in it");
    assert_eq!(document["ports"]["destination"], a.as_str(), "the fullest");
    assert_eq!(parts[1]["totals"]["local_failures"], 0);
    assert_eq!(parts[0]["totals"]["local_failures"], 80, "{}", parts[0]["totals"]);
    let page = text(&out.stdout);
    assert!(page.starts_with(&format!("{a}: SOURCE PORTS RAN OUT")), "{page}");
    assert!(page.contains("100 of 100") && page.contains("20 of 100"), "{page}");
    assert!(page.lines().count() <= 25 && page.lines().all(|line| line.chars().count() <= 80), "{page}");
}

#[test]
fn a_destination_that_refuses_is_named_and_the_other_has_all_its_requests() {
    let served = Served::start(&[]);
    let url = format!("http://{}/health", served.addr);
    let out = load(&[&url, "http://127.0.0.1:1/", "-n", "20", "-c", "4"]);
    assert_eq!(out.status.code(), Some(3), "as where it is the only one");
    let (page, told) = (text(&out.stdout), text(&out.stderr));
    assert!(page.starts_with("127.0.0.1:1: THE TARGET REFUSED EVERY CONNECTION"), "{page}");
    assert!(told.contains("connect 127.0.0.1:1: connection refused (ECONNREFUSED)"), "{told}");
    let row = page.lines().find(|line| line.trim_start().starts_with(&served.addr.to_string())).unwrap();
    assert_eq!(row.split_whitespace().nth(3), Some("0"), "nothing failed there: {row}");
}

/// A rate, stages and a run that nobody watches are divided as users are; each document keeps to its schema.
#[test]
fn rates_and_stages_are_divided_and_nobody_needs_to_watch() {
    let servers = [(); 2].map(|()| Served::start(&[]));
    let mix = format!("http://{}/health=3,http://{}/health=1", servers[0].addr, servers[1].addr);
    for (flags, of_first) in [
        (&["-R", "400", "-c", "8", "-n", "40"][..], 30),
        (&["--stages", "0s@8,1s@8", "-n", "40"], 30),
        (&["-n", "40", "-c", "4", "--no-observe"], 30),
    ] {
        let out = load(&[&["--mix", &mix, "--json", "-"], flags].concat());
        assert!(out.status.success(), "{flags:?}: {}", text(&out.stderr));
        let document: Value = crate::documents::parse_bytes("run", &out.stdout);
        let asked = |at: usize| document["destinations"][at]["totals"]["attempts"].as_u64().unwrap();
        assert_eq!((asked(0), asked(1)), (of_first, 40 - of_first), "{flags:?}");
        assert_eq!(document["ports"].is_null(), flags.contains(&"--no-observe"), "{flags:?}");
    }
}

/// Why a ring is divided among destinations, and a pool that the kernel chooses from at connect() is not.
#[test]
fn a_port_that_is_bound_first_is_taken_for_all_destinations() {
    if !inside(here!(), &["--sysctl", "net.ipv4.ip_local_port_range=30000 30001", "--sysctl", "net.ipv4.tcp_tw_reuse=0"]) {
        return;
    }
    let [a, b] = [8080, 8081].map(|port| Near::listen((LOOPBACK, port).into()));
    for (reuse, says) in [(false, "bind 98"), (true, "ok")] {
        let port = if reuse { 20_001 } else { 20_000 };
        let _open = a.open(&ring(LOOPBACK, port, reuse)).unwrap();
        assert_eq!(b.outcome(&ring(LOOPBACK, port, reuse), First::Server), says, "SO_REUSEADDR: {reuse}");
    }
    // Two ports for each destination, not two for both.
    let auto = by_kernel(PortMode::Auto, None);
    for near in [&a, &b] {
        assert_eq!([(); 3].map(|()| near.outcome(&auto, First::Client)), ["ok", "ok", "connect 99"]);
    }
}
