//! The rule about a source port that was asked for by number and was in use: by what, until when, and where free ones are.

use super::prelude::*;
use super::target::{evidence, hidden};
use crate::model::budget::LINUX_HOLD_S;
use crate::model::outcome::Call;
use crate::remedy::{free_of, named};

/// A ring with this share of its ports connected at once was used up by the run itself.
const CROWDED_SHARE: f64 = 0.9;

/// What has the port, as far as the failure shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// passed bind(), and connect() met the pair in TIME_WAIT without timestamps
    NoTimestamps,
    /// a connection with the same four numbers
    LiveTwin,
    /// open connections of this run: it has more users than the ring has ports
    OwnLive,
    /// this run's own connections, in TIME_WAIT and without SO_REUSEADDR
    ThisRun,
    /// others from before: an earlier run's TIME_WAIT, a listener, another program
    Earlier,
}

impl Holder {
    fn of(run: &RunResult, call: Call, ports: Option<u32>, most_before: bool) -> Self {
        let t = &run.totals;
        let crowded = ports.is_some_and(|n| t.users_asked > n && f64::from(t.users_reached) >= CROWDED_SHARE * f64::from(n));
        match (call == Call::Connect, run.plan.reuse_addr) {
            (false, true) if crowded => Self::OwnLive,
            (true, true) if run.host.sysctls.tcp_timestamps == Some(0) => Self::NoTimestamps,
            (true, _) => Self::LiveTwin,
            (false, true) => Self::Earlier,
            (false, false) if most_before => Self::Earlier,
            (false, false) => Self::ThisRun,
        }
    }

    const fn who(self) -> &'static str {
        match self {
            Self::NoTimestamps => "a connection in TIME_WAIT, and tcp_timestamps is off",
            Self::LiveTwin => "an open connection with the same four numbers",
            Self::OwnLive => "an open connection of this run",
            Self::ThisRun => "a socket without SO_REUSEADDR",
            Self::Earlier => "a socket that is not this run's",
        }
    }

    fn why(self, run: &RunResult) -> &'static str {
        match self {
            Self::NoTimestamps => {
                "bind() passed thanks to SO_REUSEADDR, but without TCP timestamps (tcp_timestamps is 0) connect() must not reuse a \
                 connection in TIME_WAIT"
            }
            Self::LiveTwin => {
                "bind() passed, and connect() found an open connection with the same addresses and ports, of this program or another"
            }
            Self::OwnLive => "the run has more users than its ring has ports, and open connections of its own had them all",
            Self::ThisRun => {
                "the port belonged to a socket without SO_REUSEADDR: one of this run's in TIME_WAIT for 60 s, or another program's. \
                 bind() of a chosen port waits for the end of TIME_WAIT unless the old and the new socket both have SO_REUSEADDR; \
                 tcp_tw_reuse does not help it"
            }
            Self::Earlier if run.plan.reuse_addr => {
                "the sockets of this run have SO_REUSEADDR, so the other one has not: TIME_WAIT of an earlier run without \
                 --reuse-addr (60 s), a listener, or another program's socket"
            }
            Self::Earlier => {
                "the other socket is not this run's: TIME_WAIT of an earlier one (60 s), a listener, or another program's socket. \
                 SO_REUSEADDR on the new sockets alone would not help, because the old ones lack it"
            }
        }
    }
}

pub(in crate::diagnose) fn port_busy(run: &RunResult, _: &Indicators) -> Ruling {
    let rows = Rows::kind(run, Kind::PortBusy);
    let Some(row) = rows.largest() else { return hidden(run, FailureSide::Local) };
    let ring = run.plan.port_mode == PortMode::Ring;
    let skips = run.totals.ring_busy_skips;
    let ports = run.plan.port_range.filter(|_| ring).map(|r| r.count() * run.plan.sources.len().max(1) as u32);
    let before = held_before(run, ports, rows.first_s());
    let most_before = ports.zip(before).is_some_and(|(n, held)| held.saturating_mul(2) > n);
    let holder = Holder::of(run, row.call, ports, most_before);
    let mut text = format!("{}() of a source port that was chosen by number failed: {}. ", row.call.word(), holder.why(run));
    if let Some((n, held)) = ports.zip(before.filter(|n| *n > 0)) {
        text += &format!(
            "The first one failed after {}, when this run had made fewer connections than its {n} ports: about {held} of them were in \
             use from before, or skipped. ",
            seconds(rows.first_s())
        );
    }
    if let Some(n) = ports.filter(|_| !run.plan.reuse_addr) {
        let sustained = rate(f64::from(n) / LINUX_HOLD_S);
        text += &format!("A ring of {} without SO_REUSEADDR sustains {} / 60 s = {sustained}/s. ", counted(n, "port"), count(n));
    }
    if skips > 0 {
        text += &format!("The ring skipped {} that were in use. ", counted(skips, "port"));
    }
    text += "It is not the target. Windows shows WSAEADDRINUSE 10048; there SO_REUSEADDR would take the port from an open socket: do not use it.";
    let title = format!(
        "{} failed: the source port was in use by {} ({} at {}())",
        counted(rows.count(), "connection"),
        holder.who(),
        name_of(row),
        row.call.word()
    );
    Ok(evidence(Found::new(title, text), &rows)
        .with("port_bound", u32::from(row.port_bound))
        .with("reuse_addr", u32::from(run.plan.reuse_addr))
        .with("tcp_timestamps", run.host.sysctls.tcp_timestamps)
        .with("ring_ports", ports)
        .with("ring_held_before", before)
        .with("ring_busy_skips", skips)
        .remedies(remedies(run, holder)))
}

/// Ports of the ring that were in use before this run took any: it goes round from port to port and skips only busy
/// ones, so a ring without reuse fails for its own TIME_WAIT only once nearly all its ports were used. None where that
/// cannot be said.
fn held_before(run: &RunResult, ports: Option<u32>, first_s: f64) -> Option<u32> {
    let ports = ports.filter(|_| !run.plan.reuse_addr && first_s < LINUX_HOLD_S)?;
    // Whole seconds up to and with the one of the first failure: not fewer than were made by then.
    let by_series: u64 = run.series.iter().filter(|p| p.t_s - 1.0 <= first_s).map(|p| p.connects).sum();
    let made = if run.series.is_empty() { run.totals.connections_opened } else { by_series };
    // A connection that is set up at the end of a second counts in the next; an order of one for each user.
    // Each worker has a part of the ring, and one may be through with its own before the others.
    let made = made.saturating_add(u64::from(run.plan.users)).saturating_mul(u64::from(run.plan.threads.max(1)));
    Some(u64::from(ports).saturating_sub(made) as u32)
}

fn remedies(run: &RunResult, holder: Holder) -> Vec<Remedy> {
    let sandbox = run.plan.environment.sandbox;
    // In a private namespace every run starts with free ports; elsewhere those of this one stay in use.
    let mut remedies = Vec::new();
    let reusing = load_with(&run.plan, |p| p.reuse_addr = true);
    let after_a_pause = |command: Command| if sandbox { command } else { command.after("sleep 60") };
    let set_reuse = |command: Command| {
        named(
            Name::Ring,
            "set SO_REUSEADDR on every socket, from the first one on, once the ports of sockets without it are free",
            command,
            "T = 0: a port that such a socket left in TIME_WAIT is taken again at once",
        )
    };
    match holder {
        Holder::OwnLive => {
            let all = run.plan.port_range.map_or(1, |r| r.count().saturating_mul(run.plan.sources.len().max(1) as u32));
            // Ports of the ring that others listen on or bound are not for its users.
            let n = run.ports.as_ref().and_then(|p| p.pool).map_or(all, |pool| pool.min(all)).max(1);
            remedies.push(advice(
                "use as many users as the ring has ports",
                load_with(&run.plan, |p| {
                    p.users = n;
                    p.threads = p.threads.min(n);
                }),
                format!("{} at once, a port for each", counted(n, "connection")),
            ));
        }
        Holder::ThisRun => remedies.push(set_reuse(after_a_pause(reusing))),
        Holder::LiveTwin if !run.plan.reuse_addr => remedies.push(set_reuse(reusing)),
        Holder::Earlier if !sandbox => remedies.push(advice(
            "wait until the TIME_WAIT of earlier runs is over",
            reusing.after("sleep 60"),
            "60 s after the last of them all ports are free, except those of listeners and open connections",
        )),
        _ => {}
    }
    if holder == Holder::NoTimestamps {
        remedies.push(advice(
            "switch timestamps on",
            load_after_sysctl(&run.plan, &[("net.ipv4.tcp_timestamps", "1")], |_| ()),
            "connect() may reuse connections in TIME_WAIT: T = 0 with --reuse-addr",
        ));
    }
    let ring = run.plan.port_range.filter(|_| run.plan.port_mode == PortMode::Ring);
    if let Some((ring, free)) = ring.and_then(|r| Some((r, free_of(run, Some(r))?))) {
        let command = load_with(&run.plan, |p| {
            p.port_range = Some(free);
            p.reuse_addr = true;
        });
        remedies.push(advice(
            "move the ring to other ports, outside this one and ip_local_port_range, with SO_REUSEADDR from the first socket on",
            command,
            format!("{} that this ring did not use ({}-{} now)", counted(free.count(), "port"), ring.lo, ring.hi),
        ));
    }
    let (look, at) = run.plan.port_range.map_or_else(
        || ("ss -tan".to_owned(), String::new()),
        |r| (format!("ss -tanp '( sport >= :{} and sport <= :{} )'", r.lo, r.hi), format!(" of {}-{}", r.lo, r.hi)),
    );
    remedies.push(advice(
        format!("see which programs use ports{at}"),
        format!("{look}   # while it runs"),
        "the process of each open socket; TIME-WAIT lines have none and are gone after 60 s",
    ));
    let leave = load_with(&run.plan, |p| {
        p.port_mode = PortMode::Auto;
        p.port_range = None;
    });
    remedies.push(advice(
        "leave the choice of the port to connect()",
        leave,
        "ports in use are skipped; P is that of ip_local_port_range",
    ));
    remedies
}
