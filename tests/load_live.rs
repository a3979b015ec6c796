//! The client against scripted servers on loopback: every sample ends once, and failures keep their cause.

mod common;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Scripted, keep_answering, plan, read_head, run};
use sockbench::load::run::{Ended, LoadRun};
use sockbench::model::outcome::{Call, Cause, ECONNREFUSED};
use sockbench::model::plan::{Closer, PortMode, PortRange, Think};
use sockbench::stats::totals::WorkerTotals;

fn totals(run: &LoadRun) -> &WorkerTotals {
    run.aggregate.totals()
}

#[test]
fn every_request_is_answered_and_counted_on_both_sides() {
    let server = Scripted::start(keep_answering);
    let mut p = plan(server.addr);
    p.requests = 2000;
    let r = run(&p);
    let sum = r.aggregate.counts();
    assert_eq!((sum.attempts, sum.requests, sum.failures, sum.local_failures, sum.cut), (2000, 2000, 0, 0, 0));
    assert_eq!(server.answers.load(Ordering::SeqCst), 2000);
    assert_eq!(r.users_reached, 4);
    assert_eq!(r.ended, Ended::Planned);
}
