//! Remedies about which source ports there are: a ring of them, a wider range, a second destination. Each command
//! works where the run was made, also when another of them was followed before.

use super::catalogue::Name;
use super::command::{Command, load_after_sysctl, load_with};
use super::flags::quoted;
use super::promise::{leaving, none_missing, room_for};
use super::systems::System;
use super::target::Kind;
use super::{Situation, named, sustains};
use crate::model::budget::Budget;
use crate::model::explanation::Os;
use crate::model::figures;
use crate::model::finding::Remedy;
use crate::model::limits;
use crate::model::plan::{Destination, PortMode, PortRange};
use crate::model::result::RunResult;

/// The widest range that leaves the well-known ports alone.
const WIDEST: PortRange = PortRange { lo: 1024, hi: 65535 };
/// Fewer ports than this are not worth a ring of their own.
const RING_WORTH: u32 = 1000;

fn kernel_range(run: &RunResult) -> Option<PortRange> {
    run.host.sysctls.ip_local_port_range.map(|[a, b]| PortRange { lo: a.min(b), hi: a.max(b) })
}

/// The parts of `from` below and above `taken`.
fn parts(from: PortRange, taken: PortRange) -> [Option<PortRange>; 2] {
    let below = (taken.lo > from.lo).then(|| PortRange { lo: from.lo, hi: from.hi.min(taken.lo - 1) });
    let above = (taken.hi < from.hi).then(|| PortRange { lo: from.lo.max(taken.hi + 1), hi: from.hi });
    [below, above]
}

/// The larger part of `from` outside `taken`; none where nothing is left.
fn outside(from: PortRange, taken: PortRange) -> Option<PortRange> {
    parts(from, taken).into_iter().rev().flatten().max_by_key(|r| r.count())
}

/// Ports for a ring: outside the kernel's range and outside `taken`, those of the default ring first.
pub(crate) fn free_of(run: &RunResult, taken: Option<PortRange>) -> Option<PortRange> {
    let (lo, hi) = limits::RING_RANGE;
    let kernel = kernel_range(run);
    // The kernel's range splits the ports in two, and so may the ring each part.
    let [below, above] = kernel.map_or([Some(PortRange { lo: WIDEST.lo, hi }), None], |k| parts(WIDEST, k));
    let default = kernel.map_or(Some(PortRange { lo, hi }), |k| outside(PortRange { lo, hi }, k));
    [default, below, above]
        .into_iter()
        .flatten()
        .filter_map(|part| taken.map_or(Some(part), |taken| outside(part, taken)))
        .find(|part| part.count() >= RING_WORTH)
}

/// A ring of source ports with SO_REUSEADDR on every socket.
pub(super) fn ring(at: &Situation<'_>) -> Option<Remedy> {
    let run = at.run;
    if run.plan.port_mode == PortMode::Ring && run.plan.reuse_addr {
        return None;
    }
    let off = run.host.sysctls.tcp_timestamps == Some(0);
    let mut settings: Vec<(&str, &str)> = if off { vec![("net.ipv4.tcp_timestamps", "1")] } else { Vec::new() };
    let range = run.plan.port_range.filter(|_| run.plan.port_mode == PortMode::Ring).or_else(|| free_of(run, None));
    // Where the kernel's range leaves no room, ports of it are set aside: a ring must not share them with connect().
    let (lo, hi) = limits::RING_RANGE;
    let range = range.unwrap_or(PortRange { lo, hi });
    let reserved = format!("{}-{}", range.lo, range.hi);
    let shares = kernel_range(run).is_some_and(|k| k.overlaps(range));
    if shares {
        settings.push(("net.ipv4.ip_local_reserved_ports", &reserved));
    }
    let command = load_after_sysctl(&run.plan, &settings, |p| {
        p.port_mode = PortMode::Ring;
        p.port_range = Some(range);
        p.reuse_addr = true;
    });
    // Sockets without the option keep their ports for 60 s; a private namespace starts without any.
    let first = run.plan.port_mode == PortMode::Ring && !run.plan.environment.sandbox;
    let command = if first { command.after("sleep 60") } else { command };
    let also = if off { "; needs tcp_timestamps=1, off now" } else { "" };
    let aside =
        if shares { format!("; {} fewer ports for connect() elsewhere", figures::count(range.count())) } else { String::new() };
    let action = if run.plan.port_mode == PortMode::Ring {
        "set SO_REUSEADDR on every socket of the ring, from the first one on, once the ports of sockets without it are free (60 s)"
    } else {
        "take source ports from a ring, with SO_REUSEADDR on every socket: a port in TIME_WAIT is taken again at once"
    };
    let expected = format!("T = 0: P/T no longer limits, connect() near 13 us with every port in TIME_WAIT{also}{aside}");
    let remedy = named(Name::Ring, action, command, expected);
    let ports = range.count().saturating_mul(run.plan.sources.len().max(1) as u32);
    Some(if run.plan.users <= room_for(ports) { none_missing(remedy) } else { remedy })
}

/// More source ports to choose from.
pub(super) fn wider_range(at: &Situation<'_>) -> Option<Remedy> {
    let run = at.run;
    let (kernel, mode) = (kernel_range(run)?, run.plan.port_mode);
    let seconds = at.hold_s?;
    let now = if matches!(mode, PortMode::Ring | PortMode::Range) { run.plan.port_range? } else { kernel };
    // A ring stays outside the kernel's range; a socket's own range must lie inside it.
    let to = match mode {
        PortMode::Ring => parts(WIDEST, kernel).into_iter().flatten().max_by_key(|r| r.count())?,
        _ => WIDEST,
    };
    if now.count() >= to.count() || seconds <= 0.0 {
        return None;
    }
    let sources = run.plan.sources.len().max(1) as u32;
    // What is missing of the pool now, listeners and reserved ports, is missing then; a target's own port comes to it.
    let pool = at.pool.unwrap_or(now.count() * sources);
    let listener = run.plan.target.addr.port();
    let loses = u32::from(to.contains(listener) && !now.contains(listener) && Kind::of(run) != Kind::Foreign);
    let then = pool.saturating_add((to.count() - now.count() - loses) * sources).min(to.count() * sources);
    let range = format!("{} {}", to.lo, to.hi);
    let command = match mode {
        PortMode::Ring => load_with(&run.plan, |p| p.port_range = Some(to)),
        _ => load_after_sysctl(&run.plan, &[("net.ipv4.ip_local_port_range", &range)], |p| {
            if mode == PortMode::Range {
                p.port_range = Some(to);
            }
        }),
    };
    let windows = System::of(Os::Windows);
    let expected = format!(
        "{}; Windows {}/s (computed)",
        sustains(Budget::new(pool, seconds), Budget::new(then, seconds)),
        figures::rate(Budget::new(windows.wide_pool, windows.hold_s).ceiling_cps())
    );
    Some(leaving(named(Name::WiderRange, "widen the range of source ports", command, expected), Budget::new(then, seconds), at))
}

/// A second address of the target: half of the load to each.
pub(super) fn destinations(at: &Situation<'_>) -> Option<Remedy> {
    let (run, b) = (at.run, at.budget()?);
    let own_pool = matches!(run.plan.port_mode, PortMode::Auto | PortMode::NoPort | PortMode::Range);
    let halves = run.plan.users > 1 && run.plan.requests != 1;
    // Its own child server has one address.
    if !own_pool || run.plan.target.own_server || b.hold.is_zero() || b.pool == 0 || !halves {
        return None;
    }
    let to = run.plan.target.addr;
    let expected = format!(
        "each destination has its own pool: 2 x {}/s = {}/s",
        figures::rate(b.ceiling_cps()),
        figures::rate(2.0 * b.ceiling_cps())
    );
    let action = "spread the load over a second address or port of the target";
    if Kind::of(run) != Kind::Sockbench {
        // Which other address the target has is not known here.
        let action = format!("{action}: half of the users to each URL");
        let command = format!("ss -ltn 'sport = :{}'", to.port());
        return Some(named(
            Name::Destinations,
            action,
            command,
            format!("{expected} (computed); on the target's machine this lists its addresses"),
        ));
    }
    let port = if to.port() < u16::MAX { to.port() + 1 } else { to.port() - 1 };
    let second = std::net::SocketAddr::new(to.ip(), port).to_string();
    let Command { line, .. } = load_with(&run.plan, |p| {
        let mut other = p.target.clone();
        other.url = other.url.replacen(&other.authority, &second, 1);
        other.authority.clone_from(&second);
        let targets = [p.target.clone(), other];
        p.mix = targets.iter().flat_map(|target| p.mix.iter().map(|entry| entry.as_url(&target.authority))).collect();
        p.destinations = targets.map(|target| Destination { target, weight: 1 }).to_vec();
    });
    let listen = quoted(&second);
    let line = format!("sockbench server --listen {listen} & SERVER=$!; sleep 1; {line}; kill $SERVER");
    let command = Command { line, change: Some(format!("half of the load to {second}")) };
    Some(named(Name::Destinations, action, command, expected))
}
