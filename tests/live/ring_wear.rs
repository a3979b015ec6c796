//! sockbench's ring of ports, all in TIME_WAIT: many times more short connections than the ring has ports, the client closing
//! first, tcp_tw_reuse=0, and none fails. In the same namespace the kernel's own choice makes exactly as many
//! connections as its pool has ports. What a connection costs then: `scripts/ring-wear.sh`.

use std::time::Duration;

use crate::runs;
use crate::support::{self, here};
use sockbench::testing::model::FindingId::{self, FailuresWillReturn, LocalPortsExhausted, PortBudgetHigh, PortSearchSlow};
use sockbench::testing::model::{Call, EADDRNOTAVAIL, RunStamp, Severity};

const POOL: u64 = 4000;
const RANGE: &str = "net.ipv4.ip_local_port_range=33000 36999";
/// As many as the pool, outside of it: TIME_WAIT left by explicit binds would block the kernel's choice.
const RING: &str = "10000-13999";
const CONNECTIONS: &str = if cfg!(debug_assertions) { "20000" } else { "100000" };
/// Attempts beyond the pool.
const REFUSED: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_ring_wears_without_failure_and_auto_fails_as_predicted() {
    let settings = ["--sysctl", RANGE, "--sysctl", "net.ipv4.tcp_tw_reuse=0"];
    if !support::inside(here!(), &settings) {
        return;
    }
    let (mut server, url) = runs::server("127.0.0.1:8080", &[]);
    let health = format!("{url}/health");
    let short = [health.as_str(), "--no-keepalive", "--conns", "8", "--requests"];

    let ring = [&short[..], &[CONNECTIONS, "--port-mode", "ring", "--port-range", RING, "--reuse-addr"]].concat();
    let ring = runs::load(&ring, PATIENCE);
    let t = &ring.totals;
    assert_eq!(t.requests.to_string(), CONNECTIONS, "{t:?}");
    assert_eq!((t.failures, t.local_failures, t.cut), (0, 0, 0), "{:?}", ring.errors);
    assert_eq!((t.connections_opened, ring.closes.client), (t.requests, t.requests), "{:?}", ring.closes);
    // As fast as it goes, so the client or the server may be at its limit: only the ports must not be.
    let ids: Vec<FindingId> = ring.findings.iter().map(|f| f.id).collect();
    assert!(ring.findings.iter().all(|f| f.severity != Severity::Error), "{ids:?}");
    assert!(!ids.iter().any(|id| [PortBudgetHigh, PortSearchSlow, FailuresWillReturn].contains(id)), "{ids:?}");
    assert_ne!(ring.validity.stamp, RunStamp::PortBound, "{:?}", ring.validity);

    // A refused user pauses: as many users as refusals, so that nobody waits for a second one.
    let (asked, users) = ((POOL + REFUSED).to_string(), REFUSED.to_string());
    let auto = runs::load(&[&health, "--no-keepalive", "--conns", &users, "--requests", &asked], PATIENCE);
    let t = &auto.totals;
    assert_eq!((t.requests, t.failures, t.local_failures), (POOL, 0, REFUSED), "{:?}", auto.errors);
    let used_up = auto.count_errors(|e| (e.call, e.errno, e.port_bound) == (Call::Connect, Some(EADDRNOTAVAIL), false));
    assert_eq!(used_up, t.local_failures, "{:?}", auto.errors);
    assert_eq!(auto.validity.stamp, RunStamp::PortBound, "{:?}", auto.validity);
    assert_eq!(auto.findings.first().map(|f| f.id), Some(LocalPortsExhausted), "{:?}", auto.findings);
    println!("ring {ids:?} {:?} {:?}\nauto {:?}", ring.validity, ring.totals.connects, auto.totals.connects);
    server.stop(Duration::from_secs(5)).unwrap();
}
