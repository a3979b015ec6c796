//! The look before a run: which ports it can use, how long each stays held, and what an earlier run left behind.
//! For the preflight line, and as the ground of the observation.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::pool::{self, Pool, PoolFacts, PortUse};
use super::socket_count::{CensusScope, CensusTaker, concrete, shares_all_destinations};
use crate::diagnose::ports::budget::Hold;
use crate::model::facts::{Fact, KernelCounters, PortCensus, TcpState};
use crate::model::plan::{Closer, LoadPlan};
use crate::sys::sock_diag::{Family, Scope, SockDiag, States, bound_only_missing};
use crate::sys::{host, proc_net, socket, sysctl};

/// What was found before the first request.
#[derive(Debug, Clone)]
pub struct Survey {
    /// the destination, the wildcard address made loopback
    pub dest: SocketAddr,
    /// source addresses: the plan's, or the one that the routing table picks
    pub sources: Fact<Vec<IpAddr>>,
    /// how the plan uses ports
    pub usage: PortUse,
    /// the ports it can use
    pub pool: Fact<Pool>,
    /// how long each stays held
    pub hold: Fact<Hold>,
    /// how long each would if the client closed first: what counts for ports that an earlier run left, and where the target
    /// does not close as asked
    pub law: Fact<Hold>,
    /// held already
    pub leftover: Fact<PortCensus>,
    /// sockets that are bound, but neither connected nor listening, inside the range
    pub bound_only: Fact<u32>,
    /// every request makes a connection
    pub short_lived: bool,
    /// counters of this namespace, to be compared with those at the end
    pub counters: Fact<KernelCounters>,
    /// keys of `host{}` that could not be read, with the reason
    pub host_missing: Vec<(String, String)>,
}

impl Survey {
    /// Looks now. About a millisecond; 10 ms with a full table. To be done before the run's clock starts.
    pub fn of(plan: &LoadPlan) -> Self {
        let dest = concrete(plan.target.addr);
        let sources = if plan.sources.is_empty() {
            Fact::from(socket::source_towards(dest).map(|ip| vec![ip]).map_err(|e| format!("no route to {}: {e}", dest.ip())))
        } else {
            Fact::Known(plan.sources.clone())
        };
        let usage = port_use(plan);
        let facts = read_pool_facts();
        let pool = facts.clone().map(|f| pool::pool(&f, &usage));
        let (host, host_missing) = host::read_host();
        let mut survey = Self {
            dest,
            sources,
            usage,
            hold: pool::hold(&host.sysctls, dest.ip(), &usage),
            law: pool::hold(&host.sysctls, dest.ip(), &PortUse { closer: Closer::Client, ..usage }),
            bound_only: bound_inside(&facts, &pool),
            pool,
            leftover: Fact::missing("not looked yet"),
            short_lived: plan.is_short_lived(),
            counters: Fact::from(proc_net::read_counters()),
            host_missing,
        };
        let take = || -> io::Result<PortCensus> { CensusTaker::new(survey.scope())?.take(&Family::BOTH) };
        survey.leftover = Fact::from(take().map_err(|e| format!("sock_diag: {e}")));
        survey
    }

    /// What a census of this run counts.
    pub fn scope(&self) -> CensusScope {
        CensusScope {
            dest: self.dest,
            sources: self.sources.known().cloned().unwrap_or_default(),
            range: self.pool.known().map(|p| p.range),
            any_destination: shares_all_destinations(self.usage.mode),
            taken_again: self.law.known().map_or(Duration::ZERO, |law| pool::taken_again(law.seconds)),
        }
    }

    /// P/T, connections per second; none when unknown or when no port stays held.
    pub fn ceiling_cps(&self) -> Option<f64> {
        pool::ceiling_cps(self.pool.known()?.ports, self.hold.known()?.seconds)
    }

    /// The budget in one line, for plans that can use it up (short connections); none for others.
    pub fn in_words(&self) -> Option<String> {
        if !self.short_lived {
            return None;
        }
        let pool = match (&self.pool, &self.hold) {
            (Fact::Known(pool), Fact::Known(hold)) => match pool::ceiling_cps(pool.ports, hold.seconds) {
                Some(ceiling) => {
                    format!("{} ports, each held {} s, so at most {ceiling:.0} connections/s", pool.ports, hold.seconds)
                }
                None => format!("{} ports, none held afterwards: {}", pool.ports, hold.why),
            },
            (Fact::Unavailable(why), _) | (_, Fact::Unavailable(why)) => format!("unknown: {why}"),
        };
        let left = match &self.leftover {
            Fact::Known(c) if c.held > 0 => {
                let until =
                    c.last_free_ms.map(|ms| format!(", the last free in {:.0} s", f64::from(ms) / 1000.0)).unwrap_or_default();
                format!("; {} held already ({} in TIME_WAIT{until})", c.held, c.held_time_wait)
            }
            Fact::Known(_) => String::new(),
            Fact::Unavailable(why) => format!("; leftovers unknown: {why}"),
        };
        Some(format!("port budget to {}: {pool}{left}", self.dest))
    }
}

/// The part of `plan` that decides about ports.
pub fn port_use(plan: &LoadPlan) -> PortUse {
    PortUse {
        mode: plan.port_mode,
        range: plan.port_range,
        reuse_addr: plan.reuse_addr,
        closer: plan.closer,
        sources: (plan.sources.len() as u32).max(1),
    }
}

/// Range, reserved ports, listeners and bound sockets of this namespace.
pub fn read_pool_facts() -> Fact<PoolFacts> {
    let read = || -> Result<PoolFacts, String> {
        let range = sysctl::read_local_port_range().map_err(|e| format!("net.ipv4.ip_local_port_range: {e}"))?;
        let reserved = sysctl::read_reserved_ports().map_err(|e| format!("net.ipv4.ip_local_reserved_ports: {e}"))?;
        let sockets = SockDiag::open()
            .and_then(|mut d| d.collect(States::LISTEN.and(States::BOUND_ONLY), Scope::All))
            .map_err(|e| format!("sock_diag: {e}"))?;
        let ports = |wanted: TcpState| {
            let mut ports: Vec<u16> = sockets.iter().filter(|s| s.state == wanted).map(|s| s.local.1).collect();
            ports.sort_unstable();
            ports.dedup();
            ports
        };
        Ok(PoolFacts { range, reserved, listeners: ports(TcpState::Listen), bound: ports(TcpState::BoundOnly) })
    };
    Fact::from(read())
}

/// Bound-only sockets inside the pool's range, or why they cannot be seen.
pub(super) fn bound_inside(facts: &Fact<PoolFacts>, pool: &Fact<Pool>) -> Fact<u32> {
    match host::read_kernel_release() {
        Ok(release) => match bound_only_missing(&release) {
            Some(why) => Fact::Unavailable(why),
            None => match (facts, pool) {
                (Fact::Known(f), Fact::Known(p)) => Fact::Known(f.bound.iter().filter(|b| p.range.contains(**b)).count() as u32),
                (Fact::Unavailable(why), _) | (_, Fact::Unavailable(why)) => Fact::Unavailable(why.clone()),
            },
        },
        Err(e) => Fact::missing(format!("kernel release: {e}")),
    }
}
