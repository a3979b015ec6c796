//! What observing costs with a full table of TIME_WAIT, in a private namespace. The costs are printed, not asserted
//! (docs/MEASURING.md has them): run with --nocapture. Asserted is that nothing is missed.

use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::support::{self, here};
use nix::time::{ClockId, clock_gettime};
use sockbench::observe::{ObservePlan, Observer};
use sockbench::sys::clock::{Clock, sleep};
use sockbench::sys::sock_diag::{Family, Scope, SockDiag, States};

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

/// Namespaces share the kernel's table of connections: another test's 28,000 would be walked as well.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_dump_with_28000_time_wait_gives_every_row() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !support::inside(here!(), &["--sysctl", "net.ipv4.tcp_tw_reuse=0"]) {
        return;
    }
    // Outside the ports that will be held.
    let listener = TcpListener::bind("127.0.0.1:9000").unwrap();
    let dest = listener.local_addr().unwrap();
    let mut diag = SockDiag::open().unwrap();
    for family in Family::BOTH {
        let ms = cost_ms(20, || diag.dump(family, States::CONNECTED, Scope::Either(dest), |_| ()).unwrap());
        println!("connected, nothing there, {family:?}: {ms:.2} ms");
    }
    let ms = cost_ms(20, || drop(diag.collect(States::LISTEN.and(States::BOUND_ONLY), Scope::All).unwrap()));
    println!("listen and bound-only, both families: {ms:.2} ms");
    let ms = cost_ms(20, || drop(diag.collect(States::LISTEN, Scope::All).unwrap()));
    println!("listen, both families: {ms:.2} ms");
    let ms = cost_ms(100, || {
        let _ = sockbench::sys::proc_net::read_sockstat().unwrap();
    });
    println!("sockstat: {ms:.3} ms");
    let ms = cost_ms(100, || {
        let _ = sockbench::sys::proc_net::read_counters().unwrap();
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

#[test]
fn the_observer_with_28000_time_wait_counts_them_all() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !support::inside(here!(), &["--sysctl", "net.ipv4.tcp_tw_reuse=0"]) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:9000").unwrap();
    support::leave_time_wait(&listener, 10_000..=37_999);
    let plan = sockbench::model::plan::LoadPlan {
        port_mode: sockbench::model::plan::PortMode::Ring,
        port_range: Some(sockbench::model::plan::PortRange { lo: 10_000, hi: 37_999 }),
        ..support::short_plan(listener.local_addr().unwrap())
    };
    let observe = ObservePlan::of(&plan, None);
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
