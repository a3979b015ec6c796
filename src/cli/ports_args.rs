//! Port modes of the command line, resolved against this kernel: conflicts, defaults, overlaps.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::Exit;
use super::connection_args::{ConnectionArgs, sources};
use crate::model::figures::{count, counted, rate, seconds, span};
use crate::model::limits;
use crate::model::plan::{Closer, LoadPlan, PortMode, PortRange};
use crate::sys::{socket, sysctl};

/// The resolved port mode.
#[derive(Debug, PartialEq)]
pub(crate) struct PortPlan {
    pub(crate) mode: PortMode,
    pub(crate) range: Option<PortRange>,
    pub(crate) sources: Vec<IpAddr>,
}

/// Decides mode, range and sources.
///
/// Errors: exit 2 for flags that contradict each other, 3 for what this host does not have.
pub(crate) fn resolve(conn: &ConnectionArgs, target: SocketAddr) -> Result<PortPlan, Exit> {
    let sources = match &conn.source {
        Some(text) => sources(text).map_err(|e| {
            Exit::usage(format!("--source {e}")).hint("an address, several with commas, or an IPv4 block such as 127.1.0.0/24")
        })?,
        None => Vec::new(),
    };
    let given = !sources.is_empty();
    if let Some(other) = sources.iter().find(|s| s.is_ipv4() != target.is_ipv4()) {
        let ip = target.ip();
        let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
        return Err(Exit::usage(format!("--source {other}: not of the same family as the target {ip}"))
            .hint(format!("an {family} address of this host, or a target of the source's family")));
    }
    if let Some(foreign) = sources.iter().find(|s| s.is_unspecified() || !socket::is_own_address(**s)) {
        return Err(Exit::environment(format!("--source {foreign}: not an address of this host")).hint(format!(
            "`ip -brief address` lists them; all of 127.0.0.0/8 are; --sandbox --address {foreign} gives it to a private namespace"
        )));
    }
    let mode = match (conn.port_mode, conn.port_range, given) {
        (Some(mode), ..) => mode,
        (None, Some(_), _) => PortMode::Ring,
        (None, None, true) => PortMode::NoPort,
        (None, None, false) => PortMode::Auto,
    };
    if conn.port_range.is_some() && !matches!(mode, PortMode::Ring | PortMode::Range) {
        return Err(Exit::usage("--port-range: only --port-mode ring or range takes one")
            .hint("--port-mode ring, or leave the mode out: a range implies it"));
    }
    let kernel = sysctl::read_local_port_range().ok();
    let range = match mode {
        PortMode::Ring => Some(ring_range(conn.port_range, kernel)?),
        PortMode::Range => {
            socket::probe_local_port_range().map_err(|e| {
                Exit::environment(format!("--port-mode range: IP_LOCAL_PORT_RANGE: {e}"))
                    .hint("Linux 6.3 or later, or --port-mode ring")
            })?;
            if let (Some(asked), Some(kernel)) = (conn.port_range, kernel)
                && !(kernel.contains(asked.lo) && kernel.contains(asked.hi))
            {
                return Err(Exit::usage(format!(
                    "--port-range {}-{}: not within ip_local_port_range {}-{}, and the kernel ignores the part outside without an error",
                    asked.lo, asked.hi, kernel.lo, kernel.hi
                ))
                .hint("--port-mode ring takes ports outside it"));
            }
            let all = PortRange { lo: limits::RING_RANGE.0, hi: limits::RING_RANGE.1 };
            Some(conn.port_range.or(kernel).unwrap_or(all))
        }
        _ => None,
    };
    // A port bound to the wildcard address would be taken for every destination and source.
    let sources = match mode {
        PortMode::Bind | PortMode::Ring | PortMode::NoPort if !given => {
            socket::source_towards(target).map(|ip| vec![ip]).unwrap_or_default()
        }
        _ => sources,
    };
    Ok(PortPlan { mode, range, sources })
}

/// What a plan asks for and probably does not mean: one warning each.
pub(crate) fn doubts(plan: &LoadPlan) -> Vec<String> {
    let mut doubts = Vec::new();
    if let (PortMode::Ring, Some(ring), Ok(kernel)) = (plan.port_mode, plan.port_range, sysctl::read_local_port_range())
        && ring.overlaps(kernel)
    {
        doubts.push(format!(
            "the ring {}-{} overlaps ip_local_port_range {}-{}: no other program can use the ports it leaves in TIME_WAIT for 60 s",
            ring.lo, ring.hi, kernel.lo, kernel.hi
        ));
    }
    if plan.keepalive && plan.closer != Closer::Client {
        doubts.push(
            "--closer matters only for connections that are not kept: here those that the target ends; --no-keepalive ends all"
                .into(),
        );
    }
    let ramp = plan.ramp();
    // One that is due just when the run ends does not start.
    let last = plan.duration.saturating_sub(Duration::from_nanos(1));
    let started = plan.users_of(plan.users_course().users_at(last.as_secs_f64()));
    if !plan.duration.is_zero() && plan.stages.is_none() && started < plan.users {
        doubts.push(format!(
            "{} at {}/s start over {}, the run ends after {}: {} of them start",
            counted(plan.users, "user"),
            rate(plan.spawn_rate),
            seconds(ramp.as_secs_f64()),
            span(plan.duration),
            count(started)
        ));
    }
    doubts
}

fn ring_range(asked: Option<PortRange>, kernel: Option<PortRange>) -> Result<PortRange, Exit> {
    if let Some(range) = asked {
        return Ok(range);
    }
    let default = PortRange { lo: limits::RING_RANGE.0, hi: limits::RING_RANGE.1 };
    clip(default, kernel).ok_or_else(|| {
        Exit::usage(format!("--port-mode ring: ip_local_port_range covers all of {}-{}", default.lo, default.hi))
            .hint("--port-range A-B outside ip_local_port_range")
    })
}

/// The larger part of `range` that lies outside `other`.
fn clip(range: PortRange, other: Option<PortRange>) -> Option<PortRange> {
    let Some(other) = other.filter(|o| o.overlaps(range)) else { return Some(range) };
    let below = (other.lo > range.lo).then(|| PortRange { lo: range.lo, hi: other.lo - 1 });
    let above = (other.hi < range.hi).then(|| PortRange { lo: other.hi + 1, hi: range.hi });
    [below, above].into_iter().flatten().max_by_key(|r| r.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_stays_outside_the_kernels_range() {
        let r = |lo, hi| PortRange { lo, hi };
        assert_eq!(clip(r(10_000, 32_000), Some(r(32_768, 60_999))), Some(r(10_000, 32_000)));
        assert_eq!(clip(r(10_000, 32_000), Some(r(20_000, 60_999))), Some(r(10_000, 19_999)));
        assert_eq!(clip(r(10_000, 32_000), Some(r(12_000, 20_000))), Some(r(20_001, 32_000)));
        assert_eq!(clip(r(10_000, 32_000), Some(r(1_024, 65_000))), None);
    }

    #[test]
    fn a_ramp_that_does_not_end_is_told() {
        let target = crate::model::plan::Target::at(([127, 0, 0, 1], 80).into());
        let mut plan = LoadPlan::new(target, Vec::new());
        (plan.users, plan.spawn_rate, plan.duration) = (100, 1.0, std::time::Duration::from_secs(10));
        assert!(doubts(&plan)[0].ends_with("10 of them start"), "{:?}", doubts(&plan));
        plan.spawn_rate = 10.0;
        assert_eq!(doubts(&plan), Vec::<String>::new());
    }

    #[test]
    fn a_closer_without_connections_to_close_is_told() {
        let target = crate::model::plan::Target::at(([127, 0, 0, 1], 80).into());
        let mut plan = LoadPlan { closer: Closer::Server, ..LoadPlan::new(target, Vec::new()) };
        assert!(doubts(&plan)[0].contains("--no-keepalive"), "{:?}", doubts(&plan));
        plan.keepalive = false;
        assert_eq!(doubts(&plan), Vec::<String>::new());
    }

    #[test]
    fn ranges_are_checked() {
        assert_eq!(crate::cli::connection_args::range("1000-2000"), Ok(PortRange { lo: 1000, hi: 2000 }));
        for bad in ["5", "0-5", "9-3", "a-b", "1-70000"] {
            assert!(crate::cli::connection_args::range(bad).is_err(), "{bad}");
        }
    }
}
