//! A run that a signal stops: the target of the same terminal may end at the same moment.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::scripted::{Scripted, plan, read_head, run_watched};
use sockbench::testing::load::{Ended, UsersNow, Watch};
use sockbench::testing::model::LoadPlan;
use sockbench::testing::stats::{Aggregate, Interval};
use sockbench::testing::sys::{Clock, StopFlag};

const SIGINT: i32 = 2;
/// Requests that are answered before the signal.
const ANSWERED: u64 = 40;

struct Signalled(StopFlag);

impl Watch for Signalled {
    fn on_ready(&mut self) -> Clock {
        Clock::start()
    }

    fn on_interval(&mut self, _: &Interval) {}

    fn on_turn(&mut self, _: Duration, _: UsersNow, _: &Aggregate) -> bool {
        self.0.is_set()
    }

    fn signal(&self) -> Option<StopFlag> {
        Some(self.0.clone())
    }
}

/// Every connection ends right after the signal, and each one that is made after it as well.
#[test]
fn nothing_that_fails_after_a_signal_is_counted() {
    for keepalive in [true, false] {
        let stop = StopFlag::default();
        let asks = stop.clone();
        let target = Scripted::start(move |mut stream, answers| {
            while !asks.is_set() && read_head(&mut stream) {
                if answers.fetch_add(1, Ordering::SeqCst) >= ANSWERED {
                    let _ = asks.ask(SIGINT);
                    return;
                }
                if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                    return;
                }
            }
        });
        let plan = LoadPlan { requests: 0, keepalive, users: 1, ..plan(target.addr) };
        let (result, ended) = run_watched(&plan, &mut Signalled(stop));
        assert_eq!(ended, Ended::Stopped);
        let t = &result.totals;
        assert_eq!((t.failures, t.local_failures), (0, 0), "{:?}", result.errors);
        assert_eq!((t.requests, t.cut), (ANSWERED, 1));
    }
}

/// The first signal stays the one that says how the program ends.
#[test]
fn the_first_signal_stays() {
    let flag = StopFlag::default();
    assert!(!flag.is_set());
    assert_eq!((flag.ask(SIGINT), flag.ask(15)), (Ok(()), Err(SIGINT)));
    assert_eq!(flag.clone().signal(), Some(SIGINT));
}

#[test]
fn what_is_due_after_a_signal_was_not_left_out() {
    let stop = StopFlag::default();
    let asks = stop.clone();
    let target = Scripted::start(move |mut stream, answers| {
        while read_head(&mut stream) && stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_ok() {
            if answers.fetch_add(1, Ordering::SeqCst) >= ANSWERED {
                let _ = asks.ask(SIGINT);
            }
        }
    });
    let hour = Duration::from_secs(3600);
    let plan = LoadPlan { requests: 0, rate: 1000.0, duration: hour, users: 1, threads: 1, ..plan(target.addr) };
    let (result, ended) = run_watched(&plan, &mut Signalled(stop));
    assert_eq!(ended, Ended::Stopped);
    let (due, t) = (1000.0 * result.duration_s + 1.0, &result.totals);
    assert!((t.attempts + t.never_started) as f64 <= due, "{} and {} of {due}", t.attempts, t.never_started);
}
