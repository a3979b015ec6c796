//! The port budget of this namespace now, destination by destination: `sockbench ports`.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;

use super::baseline::{bound_inside, read_pool_facts};
use super::towards::{Groups, Reading};
use crate::diagnose::ports::budget::Budget;
use crate::diagnose::ports::hold::{CAPPED, hold};
use crate::diagnose::ports::pool::{PortPool, PortUse, pool};
use crate::model::facts::Fact;
use crate::model::order::Order as _;
use crate::model::port_count::concrete;
use crate::model::ports_report::{DestinationPorts, PORTS_SCHEMA, PortsReport};
use crate::model::result::Sysctls;
use crate::sys::sock_diag::{Scope, SockDiag, States};
use crate::sys::{host, socket, sysctl};
use crate::watch::Towards;

/// Why nothing is known of a target's own sockets.
pub(super) const TARGET_ELSEWHERE: &str = "the target is on another host, whose sockets are not seen";

/// Looks now. `to` narrows it to one destination, which is then listed even if none of its ports is in use; at most `rows`
/// destinations are listed. One dump of all sockets (of the destination's with `to`).
///
/// Errors: sock_diag refused, so that nothing is known of any socket.
pub fn look(to: Option<SocketAddr>, rows: usize) -> io::Result<PortsReport> {
    let to = to.map(concrete);
    let scope = to.map_or(Scope::All, Scope::Either);
    let sockets = SockDiag::open()?.collect(States::CONNECTED, scope)?;
    let facts = read_pool_facts();
    let usage = PortUse::default();
    let pool = facts.clone().map(|f| pool(&f, &usage));
    let (sysctls, _) = sysctl::read_sysctls();
    let kernel = host::read_kernel_release().unwrap_or_else(|e| format!("unknown ({e})"));
    let how = Reading { facts: facts.known(), sysctls: &sysctls, to, inodes: &HashSet::new(), last: None };
    // Where a destination on this host has the TIME_WAIT itself, no port of the source is lost: a figure of its own.
    let (mut groups, at_servers) = Groups::of(&sockets, &how).joined(|_, _| to.is_some());
    // What connect() can take again is no port in use: such rows come last, and are none of those beyond the list.
    let in_use = |t: &Towards| t.count.in_use.ports() + t.used_outside;
    groups.retain(|t| to.is_some() || t.count.used + t.used_outside > 0);
    groups.order_by_key(|t| (std::cmp::Reverse((in_use(t), t.count.used)), t.dest, t.source));
    if let Some(dest) = to
        && groups.is_empty()
    {
        let source = socket::source_towards(dest).map_or(dest.ip(), |ip| ip);
        groups.push(Towards::new(source, dest));
    }
    let mut report = PortsReport {
        schema: PORTS_SCHEMA.into(),
        kernel: kernel.clone(),
        range: pool.known().map(|p| [p.range.lo, p.range.hi]),
        reserved: pool.known().map(|p| p.reserved),
        listeners: pool.known().map(|p| p.listeners),
        bound_only: None,
        pool: pool.known().map(|p| p.ports),
        destinations: groups.iter().take(rows).map(|towards| destination(towards, &pool, &sysctls, &usage)).collect(),
        more_destinations: groups.iter().skip(rows).filter(|t| in_use(t) > 0).count() as u32,
        more_used: groups.iter().skip(rows).map(in_use).sum(),
        time_wait_at_servers: at_servers,
        unavailable: Vec::new(),
    };
    explain(&mut report, &pool, bound_inside(&facts, &pool, &kernel));
    Ok(report)
}

fn destination(towards: &Towards, pool: &Fact<PortPool>, sysctls: &Sysctls, usage: &PortUse) -> DestinationPorts {
    let Towards { source, dest, count, used_outside, .. } = *towards;
    let hold = hold(sysctls, dest, usage);
    let ports = pool.known().map(|p| p.ports);
    let hold_s = hold.known().map(|h| h.seconds);
    let budget = ports.zip(hold_s).map(|(p, t)| Budget::new(p, t).capped_at(sysctls.tcp_max_tw_buckets));
    let held = count.in_use.ports();
    // With every one of them free to be taken again: 0.
    let is_timed = count.in_use.timed > 0 || count.states.time_wait > 0;
    DestinationPorts {
        source: source.to_string(),
        destination: dest.to_string(),
        used: count.used,
        held,
        open: count.in_use.open,
        used_outside,
        share: ports.filter(|p| *p > 0).map(|p| f64::from(held) / f64::from(p)),
        states: count.states,
        time_wait_target_side: count.time_wait_target_side.or_else(|| socket::is_own_address(dest.ip()).then_some(0)),
        hold_s,
        hold_why: match hold {
            Fact::Known(h) if budget.is_some_and(|b| b.is_capped()) => format!("{}; {CAPPED}", h.why),
            Fact::Known(h) => h.why,
            Fact::Unavailable(why) => why,
        },
        ceiling_cps: budget.and_then(|b| b.limit_cps()),
        search_cps: budget.and_then(|b| b.search_limit_cps(usage.mode)),
        first_free_in_s: is_timed.then_some(count.in_use.first_free_s),
        last_free_in_s: is_timed.then_some(count.in_use.last_free_s),
    }
}

fn explain(report: &mut PortsReport, pool: &Fact<PortPool>, bound_only: Fact<u32>) {
    match bound_only {
        Fact::Known(n) => report.bound_only = Some(n),
        Fact::Unavailable(why) => report.explain_null("bound_only", why),
    }
    if let Some(why) = pool.reason() {
        for key in ["range", "reserved", "listeners", "pool", "destinations[].share"] {
            report.explain_null(key, why);
        }
    }
    let rows = std::mem::take(&mut report.destinations);
    for d in &rows {
        let unknown = pool.reason().unwrap_or(&d.hold_why).to_owned();
        if d.share.is_none() {
            report.explain_null("destinations[].share", "the pool is empty");
        }
        if d.time_wait_target_side.is_none() {
            report.explain_null("destinations[].time_wait_target_side", TARGET_ELSEWHERE);
        }
        if d.hold_s.is_none() {
            report.explain_null("destinations[].hold_s", d.hold_why.clone());
        }
        for (null, key) in [(d.ceiling_cps.is_none(), "ceiling_cps"), (d.search_cps.is_none(), "search_cps")] {
            if null {
                report.explain_null(&format!("destinations[].{key}"), unknown.clone());
            }
        }
        if d.first_free_in_s.is_none() {
            for key in ["first_free_in_s", "last_free_in_s"] {
                report.explain_null(&format!("destinations[].{key}"), "nothing towards this destination has a known end");
            }
        }
    }
    report.destinations = rows;
}
