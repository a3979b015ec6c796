//! The source ports of this machine as Prometheus text, version 0.0.4. What is unknown has no line.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::course::is_full;
use super::forecast::filling;
use super::look::Towards;
use crate::diagnose::ports::budget::Budget;
use crate::diagnose::ports::hold::hold;
use crate::diagnose::ports::pool::PortUse;
use crate::model::facts::AcceptQueue;
use crate::model::metrics::{Exposition, Kind};
use crate::model::order::Order as _;
use crate::model::result::Sysctls;

/// The rate of a destination is that of so many seconds.
const RATE_S: f64 = 10.0;

/// One look at all source ports and listeners of a network namespace.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PortsNow {
    /// by source and destination
    pub towards: Vec<Towards>,
    /// P
    pub pool: Option<u32>,
    /// listening sockets
    pub listeners: Vec<(SocketAddr, AcceptQueue)>,
    /// settings in force
    pub sysctls: Sysctls,
}

/// One destination's figures.
struct Row<'a> {
    towards: &'a Towards,
    budget: Option<Budget>,
    rate_cps: f64,
    full_in_s: Option<f64>,
}

/// One figure of a destination, or of a queue.
type OfRow<'a> = &'a dyn Fn(&Row<'_>) -> Option<f64>;
type OfQueue = fn(&AcceptQueue) -> u32;

/// The page: the `top` destinations with the most ports in use, and the sum of the others.
pub fn ports_metrics(now: &PortsNow, top: usize) -> String {
    let mut all: Vec<&Towards> = now.towards.iter().filter(|t| t.count.used > 0).collect();
    all.order_by_key(|t| (std::cmp::Reverse(t.count.used), t.dest, t.source));
    let (shown, rest) = all.split_at(top.min(all.len()));
    let rows: Vec<Row<'_>> = shown.iter().map(|t| row(now, t)).collect();
    let mut o = Exposition::default();
    let pool = now.pool.map(f64::from);
    o.single(
        "sockbench_ephemeral_port_pool",
        Kind::Gauge,
        "Source ports that one address can use towards one destination.",
        pool,
    );
    o.family("sockbench_ephemeral_ports", Kind::Gauge, "Source ports with a socket, by source, destination and state.");
    for r in &rows {
        let s = r.towards.count.states;
        let states =
            [("time_wait", s.time_wait), ("established", s.established), ("closing", s.fin_wait2), ("close_wait", s.close_wait)];
        for (state, n) in states {
            let [source, destination] = r.labels();
            o.value(&[source, destination, ("state", state.to_owned())], f64::from(n));
        }
    }
    if !rest.is_empty() {
        let used: u32 = rest.iter().map(|t| t.count.used).sum();
        o.value(&[("source", "other"), ("destination", "other"), ("state", "all")], f64::from(used));
    }
    let in_use = |r: &Row<'_>| f64::from(r.towards.count.in_use.ports());
    let each: [(&str, &str, OfRow<'_>); 5] = [
        ("ephemeral_ports_in_use", "Source ports that connect() cannot take now.", &|r| Some(in_use(r))),
        ("ephemeral_ports_in_use_ratio", "The same as a part of the pool.", &|r| {
            pool.filter(|p| *p > 0.0).map(|p| in_use(r) / p)
        }),
        ("sustainable_connections_per_second", "New connections per second that the ports sustain (P/T).", &|r| {
            r.budget.and_then(|b| b.limit_cps())
        }),
        ("connections_per_second", "Connections per second that entered TIME_WAIT on this side, over ten seconds.", &|r| {
            Some(r.rate_cps)
        }),
        (
            "ephemeral_ports_exhausted_in_seconds",
            "Time until no source port is left at the present rate; absent where it always finds one.",
            &|r| r.full_in_s,
        ),
    ];
    for (name, help, value) in each {
        o.family(&format!("sockbench_{name}"), Kind::Gauge, help);
        for r in &rows {
            o.value(&r.labels(), value(r));
        }
    }
    // Sockets that share a port by SO_REUSEPORT are one listener: a label set must come once.
    let mut queues: BTreeMap<SocketAddr, AcceptQueue> = BTreeMap::new();
    for (at, queue) in &now.listeners {
        let sum = queues.entry(*at).or_default();
        *sum = sum.plus(*queue);
    }
    let queue: [(&str, &str, OfQueue); 2] = [
        ("sockbench_listen_queue_connections", "Connections that wait for accept().", |q| q.waiting),
        ("sockbench_listen_queue_limit_connections", "Connections that may wait for accept().", |q| q.limit),
    ];
    for (name, help, value) in queue {
        o.family(name, Kind::Gauge, help);
        for (at, q) in &queues {
            o.value(&[("listener", at.to_string())], f64::from(value(q)));
        }
    }
    o.text()
}

impl Row<'_> {
    fn labels(&self) -> [(&'static str, String); 2] {
        [("source", self.towards.source.to_string()), ("destination", self.towards.dest.to_string())]
    }
}

fn row<'a>(now: &PortsNow, t: &'a Towards) -> Row<'a> {
    let held = hold(&now.sysctls, t.dest, &PortUse::default());
    let budget = now.pool.zip(held.known().map(|h| h.seconds));
    let budget = budget.map(|(p, s)| Budget::new(p, s).capped_at(now.sysctls.tcp_max_tw_buckets));
    let history_s = t.births.oldest_within(60.0).unwrap_or(0.0);
    let over_s = history_s.clamp(1.0, RATE_S);
    Row {
        towards: t,
        budget,
        rate_cps: f64::from(t.births.between(0.0, over_s)) / over_s,
        full_in_s: if is_full(t, now.pool) {
            Some(0.0)
        } else {
            budget.and_then(|b| filling(&t.births, t.count.in_use, b, history_s)).map(|f| f.from_s)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::TcpState;
    use crate::model::port_count::{Free, PortCount};
    use crate::watch::look::Births;

    fn towards(port: u16, made: u32, over_s: f64) -> Towards {
        let (mut count, mut births) = (PortCount::default(), Births::default());
        for i in 0..made {
            let age_s = f64::from(i) / f64::from(made) * over_s;
            births.add(age_s);
            count.add_port(TcpState::TimeWait, Free::In(60.0 - age_s));
        }
        let (source, dest) = ([10, 0, 0, 2].into(), SocketAddr::from(([10, 0, 0, 1], port)));
        Towards { count, births, ..Towards::new(source, dest) }
    }

    #[test]
    fn each_destination_has_its_lines_and_the_rest_is_summed() {
        let now = PortsNow {
            towards: vec![towards(80, 500, 10.0), towards(81, 7, 1.0), towards(82, 3, 1.0), towards(83, 0, 1.0)],
            pool: Some(1000),
            listeners: vec![(SocketAddr::from(([0, 0, 0, 0], 22)), AcceptQueue { waiting: 1, limit: 128 }); 2],
            sysctls: Sysctls { tcp_tw_reuse: Some(0), ..Sysctls::default() },
        };
        let text = ports_metrics(&now, 1);
        let at = "{source=\"10.0.0.2\",destination=\"10.0.0.1:80\"";
        for line in [
            "sockbench_ephemeral_port_pool 1000".to_owned(),
            format!("sockbench_ephemeral_ports{at},state=\"time_wait\"}} 500"),
            "sockbench_ephemeral_ports{source=\"other\",destination=\"other\",state=\"all\"} 10".to_owned(),
            format!("sockbench_ephemeral_ports_in_use_ratio{at}}} 0.5"),
            format!("sockbench_connections_per_second{at}}} 50"),
            "sockbench_listen_queue_connections{listener=\"0.0.0.0:22\"} 2".to_owned(),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        let until = text.lines().find(|l| l.starts_with("sockbench_ephemeral_ports_exhausted_in_seconds{")).unwrap();
        let seconds: f64 = until.rsplit(' ').next().unwrap().parse().unwrap();
        assert!((seconds - 10.0).abs() < 1.0, "500 of 1,000 are left at 50/s: {until}");
        // The last port of a range may never be taken: the alert must not end while nothing connects any more.
        for made in [999, 1000] {
            let text = ports_metrics(&PortsNow { towards: vec![towards(80, made, 10.0)], ..now.clone() }, 1);
            let full = format!("sockbench_ephemeral_ports_exhausted_in_seconds{at}}} 0");
            assert!(text.lines().any(|l| l == full), "{made}: {text}");
        }
        assert!(!text.contains("10.0.0.1:83"), "no port is in use there");
    }
}
