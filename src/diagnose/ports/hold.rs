//! T: how long a port stays in use after its connection. The only place that decides it: for a plan by the truth table that
//! `tests/live/truth_table.rs` measures, for a run by how its connections really ended.

use std::net::SocketAddr;
use std::time::Duration;

use super::pool::PortUse;
use crate::model::budget::{LINUX_HOLD_S, REUSE_DELAY_DEFAULT_MS};
use crate::model::facts::Fact;
use crate::model::plan::{Closer, PortMode};
use crate::model::port_count::concrete;
use crate::model::result::{Holder, PortStates, RunResult, Sysctls};

/// Why a capped TIME_WAIT ends the law of P/T, and what it costs.
pub const CAPPED: &str = "tcp_max_tw_buckets is below the pool: TIME_WAIT cannot use up the ports, because further connections \
                          skip it; late packets of such a connection are no longer kept from the next one (protection lost)";

/// How long, and by which rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold {
    /// zero: the port is free at once
    pub seconds: f64,
    /// the rule, for the reader
    pub why: String,
}

impl Hold {
    fn by(seconds: f64, why: impl Into<String>) -> Self {
        Self { seconds, why: why.into() }
    }

    /// A port in TIME_WAIT with at most this left can be taken again.
    pub fn taken_again(&self) -> Duration {
        Duration::try_from_secs_f64(LINUX_HOLD_S - self.seconds).unwrap_or(Duration::ZERO)
    }
}

/// T towards `dest` for these sockets; unavailable when a setting that decides it could not be read.
pub fn hold(sysctls: &Sysctls, dest: SocketAddr, usage: &PortUse) -> Fact<Hold> {
    match by_table(sysctls, dest, usage) {
        Some(hold) => Fact::Known(hold),
        None => Fact::missing("net.ipv4.tcp_tw_reuse or tcp_timestamps could not be read"),
    }
}

/// T as a run had it: the plan's, unless the connections ended otherwise than it asked for. `states` are the ports at the
/// peak, out of a pool of `pool`.
pub fn hold_seen(run: &RunResult, states: &PortStates, pool: Option<u32>) -> Fact<Hold> {
    let opened = run.totals.connections_opened;
    let fin_wait2 = u64::from(states.fin_wait2.unwrap_or(0));
    // A target that closes late passes through FIN_WAIT2 as well: only one that does not close fills the pool with it.
    let stuck = states.holder() == Some(Holder::FinWait2) && 2 * fin_wait2 >= opened.min(pool.map_or(u64::MAX, u64::from));
    if let (true, Some(seconds)) = (stuck, run.host.sysctls.tcp_fin_timeout_s) {
        let why = "the target did not close its side: FIN_WAIT2 lasts tcp_fin_timeout, and tcp_tw_reuse does not apply to it";
        return Fact::Known(Hold::by(f64::from(seconds), why));
    }
    let c = run.closes;
    let by_client = 2 * c.client > c.client + c.server + c.reset;
    let usage = PortUse::of(&run.plan);
    let usage = if by_client { PortUse { closer: Closer::Client, ..usage } } else { usage };
    hold(&run.host.sysctls, run.plan.target.addr, &usage)
}

/// T of a stored run: as it was observed, else by the table; none when a setting that decides it is unknown.
pub(in crate::diagnose) fn hold_of(run: &RunResult) -> Option<Hold> {
    let by_table = by_table(&run.host.sysctls, run.plan.target.addr, &PortUse::of(&run.plan));
    let Some(seconds) = run.ports.as_ref().and_then(|p| p.hold_s).filter(|s| s.is_finite() && *s >= 0.0) else {
        return by_table;
    };
    let why = by_table.filter(|h| (h.seconds - seconds).abs() < 1e-6).map_or_else(String::new, |h| h.why);
    Some(Hold { seconds, why })
}

fn by_table(sysctls: &Sysctls, dest: SocketAddr, usage: &PortUse) -> Option<Hold> {
    match usage.closer {
        Closer::Server => return Some(Hold::by(0.0, "the target closes first and keeps the TIME_WAIT")),
        Closer::Reset => return Some(Hold::by(0.0, "connections are reset: no TIME_WAIT at all")),
        Closer::Client => {}
    }
    let (seconds, why) = match usage.mode {
        PortMode::Auto | PortMode::NoPort | PortMode::Range => return at_connect(sysctls, dest),
        PortMode::Bind => (LINUX_HOLD_S, "bind(ip,0) never takes a port in TIME_WAIT: tcp_tw_reuse does not help it"),
        PortMode::Ring if !usage.reuse_addr => (LINUX_HOLD_S, "an explicit bind without SO_REUSEADDR waits for TIME_WAIT to end"),
        PortMode::Ring if sysctls.tcp_timestamps? == 0 => {
            (LINUX_HOLD_S, "SO_REUSEADDR passes bind(), but without tcp_timestamps connect() refuses the old pair")
        }
        PortMode::Ring => (0.0, "own port ring with SO_REUSEADDR: a port in TIME_WAIT is taken again at once"),
    };
    Some(Hold::by(seconds, why))
}

/// The kernel picks the port in connect(): the only case in which tcp_tw_reuse counts.
fn at_connect(sysctls: &Sysctls, dest: SocketAddr) -> Option<Hold> {
    let reuse = sysctls.tcp_tw_reuse?;
    let full = |why: String| Some(Hold::by(LINUX_HOLD_S, why));
    match reuse {
        0 => return full("tcp_tw_reuse=0: TIME_WAIT lasts its full 60 s".into()),
        2 if !concrete(dest).ip().is_loopback() => {
            return full("tcp_tw_reuse=2 helps 127.0.0.0/8 and ::1 only: TIME_WAIT lasts 60 s here".into());
        }
        _ => {}
    }
    if sysctls.tcp_timestamps? == 0 {
        return full(format!("tcp_tw_reuse={reuse} needs tcp_timestamps=1, which is off: TIME_WAIT lasts its full 60 s"));
    }
    let delay = sysctls.tcp_tw_reuse_delay_ms.unwrap_or(REUSE_DELAY_DEFAULT_MS);
    let seconds = f64::from(delay) / 1000.0;
    let here = if reuse == 2 { ", loopback" } else { "" };
    Some(Hold::by(seconds, format!("tcp_tw_reuse={reuse}{here}: a port in TIME_WAIT is taken again after {seconds} s")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysctls() -> Sysctls {
        let delay = Some(1000);
        Sysctls { tcp_tw_reuse: Some(2), tcp_tw_reuse_delay_ms: delay, tcp_timestamps: Some(1), ..Sysctls::default() }
    }

    fn seconds(sysctls: &Sysctls, dest: &str, usage: &PortUse) -> Option<f64> {
        hold(sysctls, dest.parse().unwrap(), usage).known().map(|hold| hold.seconds)
    }

    const LOCAL: &str = "127.0.0.9:80";
    const FAR: &str = "10.0.0.1:80";

    /// Row by row; `tests/live/truth_table.rs` measures it.
    #[test]
    fn the_truth_table_gives_the_hold_time() {
        for reuse in 0..=2 {
            let sysctls = Sysctls { tcp_tw_reuse: Some(reuse), ..sysctls() };
            for closer in [Closer::Server, Closer::Reset] {
                assert_eq!(seconds(&sysctls, FAR, &PortUse { closer, ..PortUse::default() }), Some(0.0));
            }
            for dest in [LOCAL, FAR] {
                let t = |mode, reuse_addr| seconds(&sysctls, dest, &PortUse { mode, reuse_addr, ..PortUse::default() });
                assert_eq!((t(PortMode::Bind, false), t(PortMode::Bind, true)), (Some(60.0), Some(60.0)));
                assert_eq!((t(PortMode::Ring, false), t(PortMode::Ring, true)), (Some(60.0), Some(0.0)));
                let helped = reuse == 1 || (reuse == 2 && dest == LOCAL);
                for mode in [PortMode::Auto, PortMode::NoPort, PortMode::Range] {
                    assert_eq!(t(mode, false), Some(if helped { 1.0 } else { 60.0 }), "{mode:?} {dest} {reuse}");
                }
            }
        }
    }

    #[test]
    fn the_settings_beside_the_table_count() {
        let auto = PortUse::default();
        for loopback in ["[::1]:80", "[::ffff:127.0.0.1]:80", "0.0.0.0:80"] {
            assert_eq!(seconds(&sysctls(), loopback, &auto), Some(1.0), "{loopback}");
        }
        let delay = |ms| Sysctls { tcp_tw_reuse_delay_ms: ms, ..sysctls() };
        assert_eq!(seconds(&delay(Some(250)), LOCAL, &auto), Some(0.25));
        assert_eq!(seconds(&delay(None), LOCAL, &auto), Some(1.0), "fixed before 6.14");
        let timestamps = |on| Sysctls { tcp_timestamps: on, ..sysctls() };
        assert_eq!(seconds(&timestamps(Some(0)), LOCAL, &auto), Some(60.0));
        assert_eq!(seconds(&timestamps(None), LOCAL, &auto), None);
        assert_eq!(seconds(&Sysctls { tcp_tw_reuse: None, ..sysctls() }, LOCAL, &auto), None);
        let ring = PortUse { mode: PortMode::Ring, reuse_addr: true, ..auto };
        assert_eq!(seconds(&timestamps(Some(0)), LOCAL, &ring), Some(60.0), "bind passes, connect gives 99");
    }

    #[test]
    fn where_t_is_short_most_of_time_wait_can_be_taken_again() {
        let taken_again = |seconds| Hold::by(seconds, "").taken_again();
        assert_eq!((taken_again(1.0), taken_again(60.0)), (Duration::from_secs(59), Duration::ZERO));
        assert_eq!(taken_again(120.0), Duration::ZERO);
    }

    #[test]
    fn who_closed_most_connections_keeps_them() {
        let mut run = crate::stats::fixture::blank(&crate::stats::fixture::plan());
        (run.host.sysctls, run.totals.connections_opened) = (sysctls(), 100);
        let mut seen = |client, server, planned| {
            (run.closes.client, run.closes.server, run.plan.closer) = (client, server, planned);
            hold_seen(&run, &PortStates::default(), Some(1000)).known().map(|h| h.seconds)
        };
        assert_eq!(seen(51, 49, Closer::Server), Some(1.0), "asked of the target, done by the client");
        assert_eq!(seen(49, 51, Closer::Server), Some(0.0));
    }
}
