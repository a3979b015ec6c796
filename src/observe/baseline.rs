//! The look before a run: the host, which ports the run can use, how long each stays in use, and what an earlier run left
//! behind. For the preflight line, and as the ground of the observation.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::socket_count::{CountScope, OfSource, SocketCounter, fin_wait2_rest};
use crate::diagnose::ports::budget::Budget;
use crate::diagnose::ports::hold::{CAPPED, Hold, hold};
use crate::diagnose::ports::pool::{PoolFacts, PortPool, PortUse, pool};
use crate::model::facts::{DiagSocket, Fact, KernelCounters, TcpState};
use crate::model::figures::{self, count, counted, rate, seconds};
use crate::model::order::distinct;
use crate::model::plan::{Closer, LoadPlan};
use crate::model::port_count::{PortCount, concrete};
use crate::model::result::Host;
use crate::sys::sock_diag::{Family, Scope, SockDiag, States, bound_only_missing};
use crate::sys::{host, proc_net, socket, sysctl};

/// Why a try has no count of ports: each walk over the kernel's tables takes longer than its request.
const ANSWERED: &str = "one request that was answered: ports were not counted";
/// Why a try that failed does not know what was there before.
const NOT_BEFORE: &str = "ports were counted after the request only";

/// What was found before the first request.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// this machine
    pub host: Host,
    /// keys of `host{}` that could not be read, with the reason
    pub host_missing: Vec<(String, String)>,
    /// the destination, the wildcard address made loopback
    pub dest: SocketAddr,
    /// source addresses: the plan's, or the one that the routing table picks
    pub sources: Fact<Vec<IpAddr>>,
    /// how the plan uses ports
    pub usage: PortUse,
    /// the ports it can use
    pub pool: Fact<PortPool>,
    /// how long each stays in use
    pub hold: Fact<Hold>,
    /// in use already
    pub leftover: Fact<PortCount>,
    /// the same for each source address, where the plan has several
    pub leftover_by_source: Vec<OfSource>,
    /// sockets that are bound, but neither connected nor listening, inside the range
    pub bound_only: Fact<u32>,
    /// every request makes a connection
    pub short_lived: bool,
    /// ports are counted after the run, and only where it was not answered
    pub(super) is_try: bool,
    /// counters of this namespace, to be compared with those at the end
    pub counters: Fact<KernelCounters>,
}

impl Baseline {
    /// Looks now: two walks of the kernel over its socket tables (docs/MEASURING.md). To be done before the run's clock starts.
    pub fn of(plan: &LoadPlan) -> Self {
        let mut baseline = Self::of_try(plan);
        baseline.is_try = false;
        let mut counter = baseline.count_pool();
        baseline.leftover = counter.count(Family::Both);
        baseline.leftover_by_source = counter.by_source();
        baseline
    }

    /// The same before one request of which nobody reads how many ports are in use: without these walks.
    pub fn of_try(plan: &LoadPlan) -> Self {
        let dest = concrete(plan.target.addr);
        let sources = if plan.sources.is_empty() {
            Fact::from(socket::source_towards(dest).map(|ip| vec![ip]).map_err(|e| format!("no route to {}: {e}", dest.ip())))
        } else {
            Fact::Known(plan.sources.clone())
        };
        let usage = PortUse::of(plan);
        let (host, host_missing) = host::read_host();
        Self {
            dest,
            sources,
            usage,
            hold: hold(&host.sysctls, dest, &usage),
            bound_only: Fact::missing(ANSWERED),
            pool: Fact::missing(ANSWERED),
            leftover: Fact::missing(ANSWERED),
            leftover_by_source: Vec::new(),
            short_lived: plan.is_short_lived(),
            is_try: true,
            counters: Fact::from(proc_net::read_counters()),
            host,
            host_missing,
        }
    }

    /// Counts after a try that was not answered: what is in use now.
    pub(super) fn count_after(&mut self) -> Fact<PortCount> {
        self.is_try = false;
        self.leftover = Fact::missing(NOT_BEFORE);
        self.count_pool().count(Family::Both)
    }

    /// The ports that can be used; what counts those in use.
    fn count_pool(&mut self) -> SocketCounter {
        let facts = read_pool_facts();
        self.pool = facts.clone().map(|f| pool(&f, &self.usage));
        self.bound_only = bound_inside(&facts, &self.pool, &self.host.kernel);
        SocketCounter::new(self.scope())
    }

    /// Which sockets a count of this run counts.
    pub fn scope(&self) -> CountScope {
        // What an earlier run left is as old as if this client had closed it, whoever closes in this run.
        let left = hold(&self.host.sysctls, self.dest, &PortUse { closer: Closer::Client, ..self.usage });
        CountScope {
            dest: self.dest,
            sources: self.sources.known().cloned().unwrap_or_default(),
            range: self.pool.known().map(|p| p.range),
            any_destination: self.usage.shares_all_destinations(),
            taken_again: left.known().map_or(Duration::ZERO, Hold::taken_again),
            fin_wait2_rest: fin_wait2_rest(&self.host.sysctls),
        }
    }

    /// P and T; none when either is unknown.
    pub fn budget(&self) -> Option<Budget> {
        let budget = Budget::new(self.pool.known()?.ports, self.hold.known()?.seconds);
        Some(budget.capped_at(self.host.sysctls.tcp_max_tw_buckets))
    }

    /// The budget in one line, for plans that can use it up (short connections); none for others.
    pub fn in_words(&self) -> Option<String> {
        if !self.short_lived {
            return None;
        }
        let pool = match (&self.pool, &self.hold) {
            (Fact::Known(pool), Fact::Known(hold)) => match self.budget().and_then(|b| b.limit_cps()) {
                Some(ceiling) => {
                    format!(
                        "{}, each in use for {}, so at most {} connections/s",
                        counted(pool.ports, "port"),
                        figures::hold(hold.seconds),
                        rate(ceiling)
                    )
                }
                None if self.budget().is_some_and(|b| b.is_capped()) => format!("{}; {CAPPED}", counted(pool.ports, "port")),
                None => format!("{}, none in use afterwards: {}", counted(pool.ports, "port"), hold.why),
            },
            (Fact::Unavailable(why), _) | (_, Fact::Unavailable(why)) => format!("unknown: {why}"),
        };
        let left = match &self.leftover {
            Fact::Known(c) if c.in_use.ports() > 0 => {
                let last = c.in_use.last_free_s;
                let until = if last > 0.0 { format!(", the last free in {}", seconds(last)) } else { String::new() };
                format!("; {} in use already ({} in TIME_WAIT{until})", count(c.in_use.ports()), count(c.time_wait_in_use))
            }
            Fact::Known(_) => String::new(),
            Fact::Unavailable(why) => format!("; leftovers unknown: {why}"),
        };
        Some(format!("port budget to {}: {pool}{left}", self.dest))
    }
}

/// Range, reserved ports, listeners and bound sockets of this namespace.
pub fn read_pool_facts() -> Fact<PoolFacts> {
    let sockets = SockDiag::open().and_then(|mut d| d.collect(States::LISTEN.and(States::BOUND_ONLY), Scope::All));
    Fact::from(sockets.map_err(|e| format!("sock_diag: {e}")).and_then(|sockets| pool_facts_of(&sockets)))
}

/// The same, by a dump that has the listeners and the bound sockets.
pub(super) fn pool_facts_of(sockets: &[DiagSocket]) -> Result<PoolFacts, String> {
    let range = sysctl::read_local_port_range().map_err(|e| format!("net.ipv4.ip_local_port_range: {e}"))?;
    let reserved = sysctl::read_reserved_ports().map_err(|e| format!("net.ipv4.ip_local_reserved_ports: {e}"))?;
    let ports = |wanted: TcpState| distinct(sockets.iter().filter(|s| s.state == wanted).map(|s| s.local.1));
    Ok(PoolFacts { range, reserved, listeners: ports(TcpState::Listen), bound: ports(TcpState::BoundOnly) })
}

/// Bound-only sockets inside the pool's range, or why a kernel of this release does not show them.
pub(super) fn bound_inside(facts: &Fact<PoolFacts>, pool: &Fact<PortPool>, release: &str) -> Fact<u32> {
    if let Some(why) = bound_only_missing(release) {
        return Fact::Unavailable(why);
    }
    match (facts, pool) {
        (Fact::Known(f), Fact::Known(p)) => Fact::Known(f.bound.iter().filter(|b| p.range.contains(**b)).count() as u32),
        (Fact::Unavailable(why), _) | (_, Fact::Unavailable(why)) => Fact::Unavailable(why.clone()),
    }
}
