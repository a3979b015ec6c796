//! Users that somebody starts, moves and retires while the run goes on.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::scripted::{Scripted, keep_answering, plan, run_watched};
use sockbench::testing::load::{Ended, Steering, UsersNow, Watch};
use sockbench::testing::model::{EndpointId, LoadPlan, MixEntry, RunResult, Think};
use sockbench::testing::stats::{Aggregate, Interval};
use sockbench::testing::sys::Clock;

/// Asks for one number of users of each class after another: the next when the last is at work and has lasted a turn.
struct Steps {
    steering: Arc<Steering>,
    left: Vec<[u32; 2]>,
    now: [u32; 2],
    lasted: u32,
    /// asked for and at work, at the end of each step
    seen: Vec<(u32, u32)>,
}

impl Watch for Steps {
    fn on_ready(&mut self) -> Clock {
        Clock::start()
    }

    fn on_interval(&mut self, _: &Interval) {}

    fn on_turn(&mut self, _: Duration, users: UsersNow, _: &Aggregate) -> bool {
        let at_work = [0, 1].map(|class| self.steering.at_work(class));
        self.lasted = if at_work == self.now { self.lasted + 1 } else { 0 };
        if self.lasted > 1 {
            self.seen.push((users.asked, users.active));
            self.lasted = 0;
            match self.left.pop() {
                Some(next) => {
                    self.now = next;
                    next.iter().enumerate().for_each(|(class, users)| self.steering.set(class, *users));
                }
                None => self.steering.end(),
            }
        }
        false
    }

    fn steering(&self) -> Option<Arc<Steering>> {
        Some(Arc::clone(&self.steering))
    }
}

/// The steps of [class of the whole mix, class of the second endpoint], in order.
fn steered(plan: &LoadPlan, steps: &[[u32; 2]]) -> (RunResult, Ended, Steps) {
    let steering = Arc::new(Steering::new(&[None, Some(EndpointId(1))]));
    let left = steps.iter().rev().copied().collect();
    let mut watch = Steps { steering, left, now: [0, 0], lasted: 0, seen: Vec::new() };
    let (result, ended) = run_watched(plan, &mut watch);
    (result, ended, watch)
}

fn endless(addr: std::net::SocketAddr, threads: u32) -> LoadPlan {
    let mix = ["/a", "/b"].map(|path| MixEntry { path: path.into(), weight: 1 }).to_vec();
    LoadPlan { mix, threads, requests: 0, duration: Duration::ZERO, users: 1, ..plan(addr) }
}

#[test]
fn users_start_move_and_retire_and_no_request_is_lost() {
    let server = Scripted::start(keep_answering);
    for (threads, think_ms) in [(2, 0), (2, 30), (1, 3_600_000)] {
        let before = server.answers.load(Ordering::SeqCst);
        let think = Duration::from_millis(think_ms);
        let p = LoadPlan { think: Think::uniform(think, think), ..endless(server.addr, threads) };
        let (r, ended, steps) = steered(&p, &[[3, 0], [1, 4], [0, 9], [5, 0], [0, 0], [2, 1]]);
        let t = &r.totals;
        assert_eq!((t.failures, t.local_failures, t.cut, ended), (0, 0, 0, Ended::Planned), "{:?}", r.errors);
        assert_eq!(t.requests, server.answers.load(Ordering::SeqCst) - before, "each request is counted once");
        assert_eq!(steps.seen, [0, 3, 5, 9, 5, 0, 3].map(|n| (n, n)), "{threads} threads, {think_ms} ms");
        // Who retires ends its connection; who comes has one of its own.
        assert!(t.connections_opened >= 3 + 4 + 5 + 5 + 3, "{}", t.connections_opened);
        assert_eq!(r.closes.client, t.connections_opened, "a user that leaves closes its connection");
    }
}

#[test]
fn the_users_of_a_class_ask_for_its_endpoint_only() {
    let server = Scripted::start(keep_answering);
    let (r, _, _) = steered(&endless(server.addr, 2), &[[0, 2]]);
    let requests: Vec<u64> = r.endpoints.iter().map(|e| e.requests).collect();
    assert!(requests[0] == 0 && requests[1] > 0, "{requests:?}");
    let (r, _, _) = steered(&endless(server.addr, 2), &[[2, 0]]);
    assert!(r.endpoints.iter().all(|e| e.requests > 0), "the whole mix");
}

#[test]
fn a_closed_port_ends_no_run_that_somebody_steers() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback");
    let (r, ended, _) = steered(&endless(free, 1), &[[1, 0]; 6]);
    assert_eq!(ended, Ended::Planned);
    assert!(r.totals.failures > 0 && r.totals.cut == 0, "{:?}", r.totals);
}
