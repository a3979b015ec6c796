//! The observer beside real connections, in private namespaces.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::runs;
use crate::support::{self, here};
use crate::until::until;
use sockbench::testing::model::{Closer, PortMode, PortRange, SeriesPoint};
use sockbench::testing::observe::{Baseline, ObservePlan, Observer, apply_unobserved, socket_count};
use sockbench::testing::sys::{Clock, sleep};

const PATIENCE: Duration = Duration::from_secs(20);
const NO_REUSE: [&str; 2] = ["--sysctl", "net.ipv4.tcp_tw_reuse=0"];

/// One connection that ends with the client's FIN first.
fn client_closes_first(listener: &TcpListener) {
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    drop(client);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
}

/// One connection that ends with the server's FIN first.
fn server_closes_first(listener: &TcpListener) {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    drop(listener.accept().unwrap());
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn ports_held_are_seen_second_by_second() {
    if !support::inside(here!(), &NO_REUSE) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:9000").unwrap();
    for _ in 0..7 {
        client_closes_first(&listener);
    }
    let plan = support::short_plan(listener.local_addr().unwrap());
    let observe = ObservePlan::of(Baseline::of(&plan), None);
    let baseline = &observe.baseline;
    let (pool, hold) = (baseline.pool.known().unwrap().ports, baseline.hold.known().unwrap().seconds);
    assert_eq!((pool, hold, baseline.leftover.known().unwrap().used), (28_232, 60.0, 7));
    let clock = Clock::start();
    let observer = Observer::start(observe, clock);
    // A look finds a rate only in the second after a batch: whether one did is noted at every look.
    let mut has_rate = false;
    for held in [17, 27, 37] {
        for _ in 0..10 {
            client_closes_first(&listener);
        }
        server_closes_first(&listener);
        // The next batch comes after the look at this one.
        until("the look at this batch", || {
            let live = observer.live();
            has_rate |= live.rate_cps.is_some_and(|rate| rate > 1.0);
            live.count.is_some_and(|c| c.in_use.ports() == held)
        });
    }
    // The rate and the count of the whole namespace are written beside the ports, not together with them.
    until("the look at the rest", || {
        let live = observer.live();
        has_rate |= live.rate_cps.is_some_and(|rate| rate > 1.0);
        has_rate && live.namespace_time_wait == Some(40)
    });
    let live = observer.live();
    let count = live.count.unwrap();
    assert_eq!((count.in_use.ports(), count.time_wait_in_use, live.pool), (37, 37, Some(28232)));
    let live = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    // A look that a busy machine makes too expensive is left out of its second: the run is as long as the looks took.
    let seconds = clock.now().as_secs_f64().floor().max(3.0);
    let mut result = support::counted(&plan, seconds as u32, 33);
    observer.stop().apply(&mut result);
    drop(live);
    println!("{:?}", result.series);
    assert_eq!(support::observed_nulls(&result), Vec::<String>::new());
    let seen = |p: &SeriesPoint| Some((p.ports_used?, p.time_wait?, p.time_wait_target_side?));
    let mut used: Vec<_> = result.series.iter().filter_map(seen).collect();
    used.dedup();
    assert_eq!(used, [(17, 17, 1), (27, 27, 2), (37, 37, 3)]);
    let ports = result.ports.unwrap();
    assert_eq!((ports.pool, ports.hold_s, ports.leftover_before), (Some(28232), Some(60.0), Some(7)));
    assert_eq!((ports.peak_used, ports.peak_time_wait), (Some(38), Some(37)));
    assert_eq!(
        (ports.states.time_wait, ports.states.established, ports.states.bound_only.map(|b| b > 0)),
        (Some(37), Some(1), Some(false))
    );
    assert_eq!((ports.source.as_str(), ports.destination.as_str()), ("127.0.0.1", "127.0.0.1:9000"));
    assert!((55.0..=60.1).contains(&ports.free_again_in_s.unwrap()));
    assert!((ports.ceiling_cps.unwrap() - 470.5).abs() < 0.1 && (ports.search_cps.unwrap() - 235.3).abs() < 0.1);
    assert!((ports.rate_cps - 33.0 / seconds).abs() < 0.01 && ports.forecast.is_none());
    assert!(result.kernel.unwrap().active_opens >= 33);
    let client = &result.resources.client;
    assert!(client.threads.iter().any(|t| t.name == "sockbench-observer"), "{client:?}");
    assert!(client.cpu_percent_mean.is_some() && result.resources.host.memory_percent_max.is_some());
    assert!(result.resources.target.is_none(), "the target is this very process");
}

#[test]
fn a_small_pool_is_counted_down_and_forecast() {
    if !support::inside(here!(), &["--sysctl", "net.ipv4.ip_local_port_range=10000 10099", "--sysctl", "net.ipv4.tcp_tw_reuse=1"])
    {
        return;
    }
    // A listener and a bound socket inside the range cost a port each.
    let _inside = TcpListener::bind("127.0.0.1:10050").unwrap();
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound.bind(&"127.0.0.1:10060".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:9000").unwrap();
    let plan = support::short_plan(listener.local_addr().unwrap());
    let observe = ObservePlan::of(Baseline::of(&plan), None);
    let kernel_sees_bound = observe.baseline.bound_only.known().is_some();
    let pool = observe.baseline.pool.known().unwrap().ports;
    assert_eq!(pool, if kernel_sees_bound { 98 } else { 99 });
    assert_eq!(observe.baseline.hold.known().unwrap().seconds, 1.0, "tcp_tw_reuse=1");
    let observer = Observer::start(observe, Clock::start());
    for _ in 0..50 {
        client_closes_first(&listener);
    }
    until("the look at the first second", || observer.live().count.is_some());
    let mut result = support::counted(&plan, 1, 200);
    observer.stop().apply(&mut result);
    let ports = result.ports.as_ref().unwrap();
    assert_eq!(ports.peak_used, Some(50));
    let forecast = ports.forecast.as_ref().unwrap();
    assert!((forecast.exhausted_at_s - f64::from(pool) / 200.0).abs() < 1e-9, "at 200/s: {forecast:?}");
    assert!(ports.free_again_in_s.unwrap() <= 1.0, "reuse comes before the timer");
    assert_eq!(support::observed_nulls(&result), Vec::<String>::new());
    assert_eq!(socket_count::towards(listener.local_addr().unwrap()).known().unwrap().states.time_wait, 50);
}

#[test]
fn each_port_mode_has_its_own_pool() {
    if !support::inside(here!(), &NO_REUSE) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:9000").unwrap();
    let plan = support::short_plan(listener.local_addr().unwrap());
    let ring = Some(PortRange { lo: 10_000, hi: 10_099 });
    let baseline = |change: &dyn Fn(&mut sockbench::testing::model::LoadPlan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        let s = Baseline::of(&plan);
        (s.pool.known().unwrap().ports, s.hold.known().unwrap().seconds)
    };
    assert_eq!(baseline(&|p| (p.port_mode, p.port_range) = (PortMode::Ring, ring)), (100, 60.0));
    assert_eq!(baseline(&|p| (p.port_mode, p.port_range, p.reuse_addr) = (PortMode::Ring, ring, true)), (100, 0.0));
    let own = Some(PortRange { lo: 40_000, hi: 40_099 });
    assert_eq!(baseline(&|p| (p.port_mode, p.port_range) = (PortMode::Range, own)), (100, 60.0));
    assert_eq!(baseline(&|p| p.closer = Closer::Reset), (28_232, 0.0));
    let two = vec!["127.0.0.2".parse().unwrap(), "127.0.0.3".parse().unwrap()];
    assert_eq!(baseline(&|p| p.sources.clone_from(&two)), (56_464, 60.0));

    // In bind mode a port in use towards another destination is in use.
    let other = TcpListener::bind("127.0.0.1:9001").unwrap();
    client_closes_first(&other);
    let mut bind = plan.clone();
    bind.port_mode = PortMode::Bind;
    let used = |p: &sockbench::testing::model::LoadPlan| Baseline::of(p).leftover.known().unwrap().used;
    assert_eq!((used(&plan), used(&bind)), (0, 1));
}

#[test]
fn a_target_process_is_found_by_its_listener() {
    if !support::inside(here!(), &[]) {
        return;
    }
    if std::process::Command::new("python3").arg("-V").output().is_err() {
        crate::loud::skipped("python3 is not installed");
        return;
    }
    // A parent that listens and a child that burns: both are the target, also a child that is born meanwhile.
    let script = "import os,socket,time\ns=socket.create_server(('127.0.0.1',9000))\nprint('up',flush=True)\n\
                  time.sleep(0.3)\nif os.fork()==0:\n  while True: pass\ntime.sleep(60)";
    let mut python = std::process::Command::new("python3");
    python.args(["-c", script]);
    let mut python = sockbench::testing::sys::Child::start(python, sockbench::testing::sys::Stderr::Inherit).unwrap();
    assert_eq!(python.read_line(Duration::from_secs(10)).unwrap(), "up");
    let plan = support::short_plan("127.0.0.1:9000".parse().unwrap());
    let observer = Observer::start(ObservePlan::of(Baseline::of(&plan), None), Clock::start());
    // The search for children takes a small share of a core, so it is rare on a busy host.
    sleep(Duration::from_millis(4600));
    let mut result = support::counted(&plan, 5, 0);
    observer.stop().apply(&mut result);
    let tree = sockbench::testing::sys::read_tree(&[python.pid()]).unwrap();
    for pid in &tree {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), nix::sys::signal::Signal::SIGKILL);
    }
    let target = result.resources.target.as_ref().unwrap();
    assert_eq!(target.pid, python.pid());
    assert!(target.name.starts_with("python"), "{target:?}");
    assert_eq!(target.threads, Some(2));
    assert!(target.cpu_percent_mean.unwrap() > 2.0 && target.busiest_thread_percent.unwrap() > 2.0, "{target:?}");
    // No second has more than the machine has: time is charged to the second in which it was taken.
    let most = 100.0 * f64::from(result.host.cpus) * 1.1;
    assert!(result.series.iter().all(|p| p.target_cpu_percent.is_some_and(|c| c <= most)), "{most}: {:?}", result.series);
    assert_eq!(support::observed_nulls(&result), Vec::<String>::new());
}

#[test]
fn a_run_that_is_not_observed_says_so_in_every_key() {
    let plan = support::short_plan("127.0.0.1:1".parse().unwrap());
    let mut result = support::counted(&plan, 2, 0);
    apply_unobserved(&mut result, "not watched: --no-observe");
    assert_eq!(support::observed_nulls(&result), Vec::<String>::new());
}

#[test]
fn a_very_short_run_has_a_reason_for_every_null() {
    let plan = support::short_plan("127.0.0.1:1".parse().unwrap());
    let observer = Observer::start(ObservePlan::of(Baseline::of(&plan), None), Clock::start());
    let mut result = support::counted(&plan, 1, 0);
    observer.stop().apply(&mut result);
    assert_eq!(support::observed_nulls(&result), Vec::<String>::new());
}

/// What a page says, and its exit code; `flags` ask for more than the brief page, or for nothing.
fn page(url: &str, flags: &[&str]) -> (String, Option<i32>) {
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_sockbench"))
        .args([&["load", url, "--requests", "1", "--quiet"], flags].concat())
        .output()
        .unwrap();
    (String::from_utf8(out.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" "), out.status.code())
}

#[test]
fn ports_of_one_request_are_known_where_somebody_reads_them_and_where_it_failed() {
    if !support::inside(here!(), &["--sysctl", "net.ipv4.ip_local_port_range=10000 10009", "--sysctl", "net.ipv4.tcp_tw_reuse=0"])
    {
        return;
    }
    let (mut server, url) = runs::server("127.0.0.1:9000", &[]);
    let (health, nowhere) = (format!("{url}/health"), format!("{url}/nowhere"));
    let (brief, code) = page(&health, &[]);
    assert!(code == Some(0) && brief.starts_with("OK ") && !brief.contains("ports"), "{brief}");
    assert_eq!(page(&health, &["--threshold", "ports_peak_share<0.9"]).1, Some(0));
    let (full, _) = page(&health, &["--verbose"]);
    assert!(full.contains("of 10 ports in use"), "{full}");
    let one = runs::load(&[&health, "--requests", "1"], PATIENCE);
    let ports = one.ports.as_ref().unwrap();
    assert!(ports.pool == Some(10) && ports.peak_used.is_some() && ports.leftover_before.is_some(), "{ports:?}");
    assert_eq!(support::observed_nulls(&one), Vec::<String>::new());
    // Its own connection was not there before.
    let (failed, _) = page(&nowhere, &[]);
    assert!(failed.contains("404") && !failed.contains("before the run"), "{failed}");
    let silent = TcpListener::bind("127.0.0.1:9001").unwrap();
    let (cut, _) = page("http://127.0.0.1:9001/", &["--duration", "1s"]);
    assert!(!cut.contains('?'), "{cut}");
    drop(silent);
    let mut all = Vec::new();
    while let Ok(one) = TcpStream::connect("127.0.0.1:9000") {
        all.push(one);
    }
    let (exhausted, code) = page(&health, &[]);
    assert!(exhausted.starts_with("SOURCE PORTS RAN OUT") && exhausted.contains("10 ports / 60 s"), "{exhausted}");
    assert_eq!(code, Some(3), "{exhausted}");
    server.stop(PATIENCE).unwrap();
}
