//! What observing costs with a full table of TIME_WAIT, in private namespaces: one look, and the observer for 6 s.
//! docs/MEASURING.md has the figures.
//!
//! `cargo bench --profile quick --bench observe_cost`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may unwrap, and prints what it measured")]

#[path = "../tests/support/loud.rs"]
mod loud;
#[path = "../tests/support/mod.rs"]
mod support;

use std::net::TcpListener;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use sockbench::testing::model::{LoadPlan, PortMode, PortRange};
use sockbench::testing::observe::{Baseline, ObservePlan, Observer};
use sockbench::testing::sys::{Clock, Family, Scope, SockDiag, States, sleep};

/// Names the part to the run inside its namespace.
const PART: &str = "SOCKBENCH_BENCH_PART";

fn main() {
    match std::env::var(PART).as_deref() {
        Ok("look") => one_look(),
        Ok(_) => whole_observer(),
        // One after the other: namespaces share the kernel's table of connections, and both would walk it.
        Err(_) => ["look", "observer"].into_iter().for_each(inside),
    }
}

fn inside(part: &str) {
    let this = std::env::current_exe().unwrap();
    let mut command = support::sandbox(&["--sysctl", "net.ipv4.tcp_tw_reuse=0"], &[this.to_str().unwrap()]);
    assert!(command.env(PART, part).status().unwrap().success(), "{part}");
}

/// The system calls of one look, with nothing there and with 28,000 sockets in TIME_WAIT.
fn one_look() {
    // Outside the ports that will be in use.
    let listener = TcpListener::bind("127.0.0.1:9000").unwrap();
    let dest = listener.local_addr().unwrap();
    let mut diag = SockDiag::open().unwrap();
    for family in [Family::V4, Family::Both] {
        let ms = cost_ms(20, || diag.dump(family, States::CONNECTED, Scope::Either(dest), |_| ()).unwrap());
        println!("connected, nothing there, {family:?}: {ms:.2} ms");
    }
    let ms = cost_ms(20, || drop(diag.collect(States::LISTEN.and(States::BOUND_ONLY), Scope::All).unwrap()));
    println!("listen and bound-only, both families: {ms:.2} ms");
    let ms = cost_ms(20, || drop(diag.collect(States::LISTEN, Scope::All).unwrap()));
    println!("listen, both families: {ms:.2} ms");
    let ms = cost_ms(100, || {
        let _ = sockbench::testing::sys::proc_net::read_sockstat().unwrap();
    });
    println!("sockstat: {ms:.3} ms");
    let ms = cost_ms(100, || {
        let _ = sockbench::testing::sys::proc_net::read_counters().unwrap();
    });
    println!("netstat and snmp: {ms:.3} ms");

    support::leave_time_wait(&listener, 10_000..=37_999);
    let mut rows = 0;
    let mut dump = || {
        rows = 0;
        diag.dump(Family::V4, States::CONNECTED, Scope::Either(dest), |_| rows += 1).unwrap();
    };
    let ms = cost_ms(20, &mut dump);
    println!("connected, {rows} there: {ms:.2} ms");
    assert!(rows >= 28_000, "{rows}");
    let other =
        cost_ms(20, || diag.dump(Family::V4, States::CONNECTED, Scope::Either("127.0.0.1:9".parse().unwrap()), |_| ()).unwrap());
    println!("connected, all to another destination: {other:.2} ms");
}

/// The observer's own thread, for 6 s beside 28,000 sockets in TIME_WAIT.
fn whole_observer() {
    let listener = TcpListener::bind("127.0.0.1:9000").unwrap();
    support::leave_time_wait(&listener, 10_000..=37_999);
    let plan = LoadPlan {
        port_mode: PortMode::Ring,
        port_range: Some(PortRange { lo: 10_000, hi: 37_999 }),
        ..support::short_plan(listener.local_addr().unwrap())
    };
    let observe = ObservePlan::of(Baseline::of(&plan), None);
    let observer = Observer::start(observe, Clock::start());
    sleep(Duration::from_millis(6_050));
    let mut result = support::counted(&plan, 6, 0);
    observer.stop().apply(&mut result);
    let own = result.resources.client.threads.iter().find(|t| t.name == "sockbench-observer").unwrap();
    let percent = own.cpu_s / 6.05 * 100.0;
    let seen = result.series.iter().filter(|p| p.ports_used.is_some()).count();
    println!("observer: {:.1} ms of CPU in 6 s = {percent:.2} %, {seen} seconds with a dump", own.cpu_s * 1e3);
    assert_eq!(result.ports.as_ref().unwrap().peak_used, Some(28_000));
    assert!(seen >= 1, "{seen}");
}

fn thread_cpu_ms() -> f64 {
    let t = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    t.tv_sec() as f64 * 1e3 + t.tv_nsec() as f64 / 1e6
}

/// Lowest CPU time of `rounds` calls: what it costs when nothing else is in the way.
fn cost_ms(rounds: usize, mut f: impl FnMut()) -> f64 {
    let once = |()| {
        let before = thread_cpu_ms();
        f();
        thread_cpu_ms() - before
    };
    std::iter::repeat_n((), rounds).map(once).fold(f64::INFINITY, f64::min)
}
