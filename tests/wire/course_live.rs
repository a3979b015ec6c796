//! Loads that change while they run, requests that are due in other than even steps, and connections before the clock.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::scripted::{Scripted, keep_answering, plan, run};
use sockbench::testing::model::{Arrivals, LevelOf, LoadPlan, Stage, Stages, Think};

fn stages(of: LevelOf, each: &[(u64, f64)]) -> Stages {
    Stages { of, each: each.iter().map(|(ms, to)| Stage { duration: Duration::from_millis(*ms), to: *to }).collect() }
}

fn staged(plan: LoadPlan, stages: Stages) -> LoadPlan {
    LoadPlan { requests: 0, duration: stages.duration(), stages: Some(stages), ..plan }
}

#[test]
fn users_come_and_go_with_their_stages_and_lose_no_request() {
    let server = Scripted::start(keep_answering);
    for threads in [1, 3] {
        let base = LoadPlan { users: 6, threads, think: Think::exponential(Duration::from_millis(5)), ..plan(server.addr) };
        let course = stages(LevelOf::Users, &[(0, 6.0), (400, 6.0), (0, 1.0), (400, 1.0), (0, 4.0), (400, 4.0)]);
        let before = server.answers.load(Ordering::SeqCst);
        let (r, _) = run(&staged(base, course));
        let t = &r.totals;
        assert_eq!((t.failures, t.local_failures, t.users_reached), (0, 0, 6), "{:?}", r.errors);
        // Those that leave close their connections, those that come again open new ones.
        assert_eq!((t.connections_opened, r.closes.client + r.closes.reset), (9, 9));
        // An answer that came as the run ended lies unread: the kernel closes its connection by a reset.
        assert!(r.closes.reset <= t.cut, "{:?}, {} cut", r.closes, t.cut);
        assert_eq!(t.attempts, t.requests + t.cut);
        let answered = server.answers.load(Ordering::SeqCst) - before;
        assert!((t.requests..=t.attempts).contains(&answered), "{answered} answered, {} counted", t.requests);
        assert_eq!(r.series.last().map(|p| p.users_asked), Some(4));
    }
}

#[test]
fn a_rate_follows_its_stages_to_the_last_request() {
    let server = Scripted::start(keep_answering);
    let base = LoadPlan { users: 50, rate: 200.0, ..plan(server.addr) };
    let (r, _) = run(&staged(base, stages(LevelOf::Rate, &[(400, 200.0), (300, 200.0), (400, 0.0)])));
    let t = &r.totals;
    // 40 + 60 + 40, whatever of them found no free connection on a busy machine.
    assert!((140..=141).contains(&(t.attempts + t.never_started)) && t.failures == 0, "{t:?}");
}

#[test]
fn connections_before_the_clock_are_no_attempts_and_the_first_requests_take_them() {
    let server = Scripted::start(keep_answering);
    for (asked, before) in [(None, 2), (Some(5), 5), (Some(99), 10), (Some(0), 0)] {
        let p = LoadPlan { users: 10, threads: 2, rate: 100.0, requests: 20, preconnect: asked, ..plan(server.addr) };
        let (r, _) = run(&p);
        let t = &r.totals;
        assert_eq!((t.attempts, t.requests, t.failures, t.connections_before), (20, 20, 0, before), "{asked:?}");
        assert!(t.connections_opened >= before.max(1) && t.connections_opened <= 10);
        assert_eq!(r.closes.client, t.connections_opened, "each is closed once");
    }
    let closed = LoadPlan { keepalive: false, rate: 100.0, requests: 3, ..plan(server.addr) };
    assert_eq!(run(&closed).0.totals.connections_before, 0);
}

#[test]
fn a_connection_that_cannot_be_made_before_the_clock_is_left_to_the_schedule() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback");
    let (r, _) = run(&LoadPlan { rate: 50.0, requests: 3, preconnect: Some(2), ..plan(nobody) });
    let t = &r.totals;
    assert_eq!((t.attempts, t.connections_opened, t.connections_before, t.connects_failed), (3, 0, 0, 3));
}

#[test]
fn bursts_and_poisson_arrivals_are_all_started() {
    let server = Scripted::start(keep_answering);
    for arrivals in [Arrivals::Burst(10), Arrivals::Poisson] {
        let p = LoadPlan { users: 30, threads: 2, rate: 200.0, arrivals, requests: 60, ..plan(server.addr) };
        let t = run(&p).0.totals;
        assert_eq!((t.attempts, t.requests, t.failures), (60, 60, 0), "{arrivals:?}");
    }
}
