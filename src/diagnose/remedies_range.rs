//! Remedies about which source ports there are: a ring of its own, a wider range, a second destination. Each command
//! works where the run was made, also when another of them was followed before.

use super::command::{cps, load_after_sysctl, load_with};
use super::indicators::{budget, hold};
use super::remedies::{WINDOWS_HOLD_S, named, on_windows};
use super::target::Kind;
use crate::model::finding::Remedy;
use crate::model::limits;
use crate::model::plan::{PortMode, PortRange};
use crate::model::result::RunResult;

/// The widest range that leaves the well-known ports alone.
const WIDEST: PortRange = PortRange { lo: 1024, hi: 65535 };
/// Fewer ports than this are not worth a ring of their own.
const RING_WORTH: u32 = 1000;
/// Dynamic ports of a Windows machine after `netsh ... start=10000 num=55535`.
const WINDOWS_WIDE: f64 = 55_535.0;

fn kernel_range(run: &RunResult) -> Option<PortRange> {
    run.host.sysctls.ip_local_port_range.map(|[a, b]| PortRange { lo: a.min(b), hi: a.max(b) })
}

/// The larger part of `from` outside `taken`; none where nothing is left.
fn outside(from: PortRange, taken: PortRange) -> Option<PortRange> {
    if !from.overlaps(taken) {
        return Some(from);
    }
    let below = (taken.lo > from.lo).then(|| PortRange { lo: from.lo, hi: taken.lo - 1 });
    let above = (taken.hi < from.hi).then(|| PortRange { lo: taken.hi + 1, hi: from.hi });
    [above, below].into_iter().flatten().max_by_key(|r| r.len())
}

/// Ports for a ring: outside the kernel's range and outside `held`, those of the default ring first.
pub(super) fn free_of(run: &RunResult, held: Option<PortRange>) -> Option<PortRange> {
    let (lo, hi) = limits::RING_RANGE;
    let kernel = kernel_range(run);
    // The kernel's range splits the ports in two, and so may the ring each part.
    let (below, above) = match kernel {
        Some(k) => (outside_below(k), outside_above(k)),
        None => (Some(PortRange { lo: WIDEST.lo, hi }), None),
    };
    let default = kernel.map_or(Some(PortRange { lo, hi }), |k| outside(PortRange { lo, hi }, k));
    [default, below, above]
        .into_iter()
        .flatten()
        .filter_map(|part| held.map_or(Some(part), |held| outside(part, held)))
        .find(|part| part.len() >= RING_WORTH)
}

fn outside_below(kernel: PortRange) -> Option<PortRange> {
    (kernel.lo > WIDEST.lo).then(|| PortRange { lo: WIDEST.lo, hi: kernel.lo - 1 })
}

fn outside_above(kernel: PortRange) -> Option<PortRange> {
    (kernel.hi < WIDEST.hi).then(|| PortRange { lo: kernel.hi + 1, hi: WIDEST.hi })
}

/// A ring of source ports with SO_REUSEADDR on every socket.
pub(super) fn ring(run: &RunResult) -> Option<Remedy> {
    if run.plan.port_mode == PortMode::Ring && run.plan.reuse_addr {
        return None;
    }
    let off = run.host.sysctls.tcp_timestamps == Some(0);
    let settings: &[(&str, &str)] = if off { &[("net.ipv4.tcp_timestamps", "1")] } else { &[] };
    let mut settings = settings.to_vec();
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
    let also = if off { "; needs tcp_timestamps=1, off now" } else { "" };
    let aside = if shares { format!("; {} ports less for connect() elsewhere", range.len()) } else { String::new() };
    let action = if run.plan.port_mode == PortMode::Ring {
        "set SO_REUSEADDR on every socket of the ring, from the first one on, once the ports of sockets without it are free (60 s)"
    } else {
        "take source ports from an own ring with SO_REUSEADDR on every socket (a port in TIME_WAIT is taken again at once)"
    };
    Some(named(
        "ring",
        action,
        command,
        format!("T = 0: no ceiling from P/T, connect() near 13 us at full wear{also}{aside} (not on Windows)"),
    ))
}

/// More source ports to choose from.
pub(super) fn wider_range(run: &RunResult) -> Option<Remedy> {
    let (kernel, mode) = (kernel_range(run)?, run.plan.port_mode);
    let seconds = hold(run)?.seconds;
    let now = if matches!(mode, PortMode::Ring | PortMode::Range) { run.plan.port_range? } else { kernel };
    // A ring stays outside the kernel's range; a socket's own range must lie inside it.
    let to = match mode {
        PortMode::Ring => [outside_below(kernel), outside_above(kernel)].into_iter().flatten().max_by_key(|r| r.len())?,
        _ => WIDEST,
    };
    if now.len() >= to.len() || seconds <= 0.0 {
        return None;
    }
    let sources = run.plan.sources.len().max(1) as u32;
    // What is missing of the pool now, listeners and reserved ports, is missing then; a target's own port comes to it.
    let pool = budget(run).map_or(now.len() * sources, |b| b.pool);
    let listener = run.plan.target.addr.port();
    let loses = u32::from(to.contains(listener) && !now.contains(listener) && Kind::of(run) != Kind::Foreign);
    let then = pool.saturating_add((to.len() - now.len() - loses) * sources);
    let range = format!("{} {}", to.lo, to.hi);
    let command = match mode {
        PortMode::Ring => load_with(&run.plan, |p| p.port_range = Some(to)),
        _ => load_after_sysctl(&run.plan, &[("net.ipv4.ip_local_port_range", &range)], |p| {
            if mode == PortMode::Range {
                p.port_range = Some(to);
            }
        }),
    };
    let expected = format!(
        "{then} ports: ceiling {}/s instead of {}/s; reserve the ports of listeners inside (ip_local_reserved_ports); Windows {}/s",
        cps(f64::from(then) / seconds),
        cps(f64::from(pool) / seconds),
        cps(WINDOWS_WIDE / WINDOWS_HOLD_S.0)
    );
    Some(on_windows(
        named("wider-range", "widen the range of source ports", command, expected),
        "netsh int ipv4 set dynamicport tcp start=10000 num=55535",
    ))
}

/// A second address of the target: half of the load to each.
pub(super) fn destinations(run: &RunResult) -> Option<Remedy> {
    let b = budget(run)?;
    let own_pool = matches!(run.plan.port_mode, PortMode::Auto | PortMode::NoPort | PortMode::Range);
    let halves = run.plan.users > 1;
    // The own child server has one address.
    if !own_pool || run.plan.target.own_server || b.hold.is_zero() || b.pool == 0 || !halves {
        return None;
    }
    let to = run.plan.target.addr;
    let port = if to.port() < u16::MAX { to.port() + 1 } else { to.port() - 1 };
    let half = |host: Option<String>| {
        load_with(&run.plan, |p| {
            (p.users, p.rate, p.spawn_rate) = (p.users / 2, p.rate / 2.0, p.spawn_rate / 2.0);
            p.requests = p.requests.div_ceil(2);
            if let Some(host) = host {
                p.target.url = p.target.url.replacen(&p.target.authority, &host, 1);
            }
        })
    };
    let second = std::net::SocketAddr::new(to.ip(), port);
    let (first, expected) = (
        half(None),
        format!("each destination has a pool of its own: 2 x {}/s = {}/s", cps(b.ceiling_cps()), cps(2.0 * b.ceiling_cps())),
    );
    let command = if Kind::of(run) == Kind::Sockbench {
        let listen = super::command::quoted(&second.to_string());
        format!(
            "sockbench server --listen {listen} & SERVER=$!; sleep 1; {first} & LOAD=$!; {}; wait $LOAD; kill $SERVER",
            half(Some(second.to_string()))
        )
    } else {
        format!("{first} & {}; wait", half(Some(format!("SECOND-ADDRESS:{}", to.port()))))
    };
    Some(named("destinations", "spread the load over a second address or port of the target", command, expected))
}
