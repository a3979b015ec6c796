//! Two counts of the same thing: what our server says it answered, and what the client says it got, agree to the
//! unit. Also when the server drains in the middle of the run.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::runs;
use crate::until::until;
use nix::sys::signal::Signal;
use sockbench::testing::model::{Call, RunResult};
use sockbench::testing::sys::Child;

const REQUESTS: u64 = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
const PATIENCE: Duration = Duration::from_secs(60);
const MIX: &str = "/health=98,/io?ms=0,/nowhere=1";

/// A server with an admin port.
pub(crate) struct Counted {
    child: Child,
    pub(crate) url: String,
    admin: String,
}

/// What the server's counters say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// answers whose last byte went to the kernel
    pub(crate) answered: u64,
    unsent: u64,
    accepted: u64,
    closed: u64,
}

impl Counted {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    pub(crate) fn start_at(listen: &str) -> Self {
        let (mut child, url) = runs::server(listen, &["--admin", "127.0.0.1:0"]);
        let line = child.read_line(Duration::from_secs(5)).unwrap();
        let admin = line.strip_prefix("admin on http://").unwrap_or_else(|| panic!("{line}")).trim().to_owned();
        Self { child, url, admin }
    }

    /// Scrapes /metrics.
    pub(crate) fn scrape(&self) -> std::io::Result<Counts> {
        let mut admin = TcpStream::connect(&self.admin)?;
        admin.set_read_timeout(Some(Duration::from_secs(5)))?;
        admin.write_all(b"GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        admin.read_to_string(&mut page)?;
        let sum = |name: &str| {
            let samples = page.lines().filter(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
            samples.map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
        };
        assert!(page.contains("# TYPE sockbench_connections_accepted_total counter"), "{page}");
        Ok(Counts {
            answered: sum("http_requests_total"),
            unsent: sum("sockbench_answers_unsent_total"),
            accepted: sum("sockbench_connections_accepted_total"),
            closed: sum("sockbench_connections_closed_total"),
        })
    }

    /// Scrapes until every connection has ended.
    pub(crate) fn at_rest(&self) -> Counts {
        let mut counts = self.scrape().unwrap();
        until("every connection has ended", || {
            counts = self.scrape().unwrap();
            counts.accepted == counts.closed
        });
        counts
    }
}

/// Answers that the client read whole, whatever their status.
fn got(result: &RunResult) -> u64 {
    result.endpoints.iter().flat_map(|e| e.status.values()).sum()
}

fn load_of<'a>(url: &'a str, requests: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[url, "--requests", requests, "--conns", "8"], more].concat()
}

fn both_agree(more: &[&str]) {
    let server = Counted::start();
    let result = runs::load(&load_of(&server.url, &REQUESTS.to_string(), more), PATIENCE);
    let counts = server.at_rest();
    let t = &result.totals;
    println!("{counts:?} {t:?}");
    assert_eq!((t.attempts, t.requests, t.local_failures, t.cut), (REQUESTS, REQUESTS, 0, 0), "{:?}", result.errors);
    assert_eq!((counts.answered, counts.unsent), (got(&result), 0));
    assert_eq!(got(&result), REQUESTS);
    assert_eq!(counts.accepted, t.connections_opened);
    assert_eq!(t.failures, result.count_errors(|e| e.call == Call::Http), "{:?}", result.errors);
}

#[test]
fn kept_connections_and_a_mix_with_errors() {
    both_agree(&["--mix", MIX]);
}

#[test]
fn short_connections_that_the_server_closes() {
    both_agree(&["--mix", "/health=1", "--no-keepalive", "--closer", "server"]);
}

/// Not a count of answers, but a limit for them (docs/MEASURING.md has the figure).
#[test]
fn a_hundred_users_cost_under_12_mb_of_client_memory() {
    let (_server, url) = runs::server("127.0.0.1:0", &[]);
    let result = runs::load(&[&url, "--conns", "100", "--duration", "2s", "--mix", "/health=9,/io?ms=1"], PATIENCE);
    assert_eq!(result.totals.users_reached, 100);
    let most = result.resources.client.rss_bytes_max.unwrap();
    println!("client memory at most {most} bytes");
    // Pages of the program count too, and one that is not optimised has 10 MB more of them.
    let limit = if cfg!(debug_assertions) { 25_000_000 } else { 12_000_000 };
    assert!(most < limit, "{most} bytes");
}

/// SIGTERM in the middle of a run: what the server answered until its end is what the client got, and every request
/// that was not answered failed.
fn drain_in_the_middle(more: &[&str]) {
    let mut server = Counted::start();
    // More than can be done: the server's end comes first, then the run's time is over.
    let load = runs::start_load(&[&[server.url.as_str(), "--duration", "3s", "--conns", "8"], more].concat());
    until("the load is in its middle", || server.scrape().unwrap().answered >= 1000);
    server.child.signal(Signal::SIGTERM).unwrap();
    let said = runs::last_lines(server.child, Duration::from_secs(15));
    let result = runs::result_with_code(load, 3, PATIENCE);

    let t = &result.totals;
    println!("{}\n{t:?}\n{:?}", said.join("\n"), result.errors);
    let total = said.iter().find_map(|l| l.strip_prefix("total")).unwrap_or_else(|| panic!("{said:?}"));
    let answered: u64 = total.trim().parse().unwrap();
    assert_eq!(answered, got(&result), "{said:?}");
    assert_eq!(t.requests, got(&result) + result.count_errors(|e| e.call != Call::Http), "{:?}", result.errors);
    assert_eq!(t.attempts, t.requests + t.local_failures + t.cut);
    assert!(t.failures > 0 && answered >= 1000, "it ended in the middle: {t:?}");
    assert!(!said.iter().any(|l| l.contains("unsent")), "{said:?}");
    assert!(!result.errors.iter().any(|e| e.call == Call::Protocol), "no answer is cut short: {:?}", result.errors);
}

#[test]
fn a_drain_loses_and_invents_no_answer_on_kept_connections() {
    drain_in_the_middle(&["--mix", "/health=9,/io?ms=20"]);
}

#[test]
fn a_drain_loses_and_invents_no_answer_on_short_connections() {
    drain_in_the_middle(&["--mix", "/health=1", "--no-keepalive", "--closer", "server"]);
}
