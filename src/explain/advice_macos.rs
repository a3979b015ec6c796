//! What to do on macOS, where names and defaults are Darwin's. By documentation (tcp(4), ip(4), sysctl(8)), not measured.

use super::advice::{Hit, answer_late};
use super::advice_ports::named;
use super::advice_ports::{less, without_ports};
use crate::model::explanation::{Arithmetic, FailedCall, Limit, Side};
use crate::model::finding::Remedy;
use crate::remedy::advice;
use crate::remedy::catalogue::Name;
use crate::remedy::cps;

/// T with net.inet.tcp.msl=1000, seconds.
const SHORT_HOLD_S: f64 = 2.0;
/// Ports from 10000 to 65535.
const WIDE: f64 = 55_536.0;

/// None where nothing of the advice depends on the system.
pub(super) fn for_hit(hit: Hit, arithmetic: Option<&Arithmetic>) -> Option<Vec<Remedy>> {
    Some(match hit.limit {
        Limit::LocalPorts => arithmetic.map_or_else(Vec::new, for_ports),
        Limit::PortBusy if hit.side == Some(Side::Client) => vec![
            advice("let the kernel choose the source port: name none, or 0", "", "any free port of the range serves"),
            advice("see who holds the port", "netstat -an -p tcp | grep PORT", "one line shows its state and its other end"),
        ],
        Limit::PortBusy => vec![
            advice("see who holds the port", "lsof -nP -iTCP:PORT -sTCP:LISTEN", "one line names the process"),
            advice(
                "stop it, or listen on another port (AirPlay Receiver holds 5000 and 7000)",
                "sudo kill PID",
                "the port is free within 30 s",
            ),
        ],
        Limit::NotLocal => vec![
            advice("list this machine's addresses", "ifconfig -a", "the address must be among them"),
            advice(
                "add it where it is one of 127.0.0.0/8: macOS has 127.0.0.1 only",
                "sudo ifconfig lo0 alias 127.0.0.2",
                "1 address more to bind",
            ),
        ],
        Limit::Descriptors => vec![
            advice(
                "raise the limit before starting the process",
                "sudo launchctl limit maxfiles 65536 200000 && ulimit -n 65536",
                "room for 65536 descriptors; the usual limit is 256",
            ),
            advice("use fewer connections at once", "sockbench load URL --conns 200", "200 connections fit into a limit of 256"),
        ],
        Limit::Backlog => vec![
            advice(
                "lengthen the queue",
                "sudo sysctl -w kern.ipc.somaxconn=2048",
                "2048 connections may wait instead of 128, where the server asks for as many in listen()",
            ),
            advice("start the clients slower", "sockbench load URL --spawn-rate 50", "50 new connections per second"),
        ],
        Limit::Refused => vec![
            advice("see whether something listens", "lsof -nP -iTCP:PORT -sTCP:LISTEN", "no line: start the target"),
            advice(
                "try IPv4 and IPv6 apart",
                "curl -4 http://localhost:PORT/ ; curl -6 http://localhost:PORT/",
                "one of the two answers, if the target listens on one only",
            ),
        ],
        Limit::Reset => vec![
            advice(
                "let the server keep idle connections longer than the client",
                "sockbench server --idle-timeout 75s",
                "no resets on reused connections",
            ),
            advice("look into the server's log at that time", "log show --last 10m", "a crash, a kill, or a connection limit"),
        ],
        Limit::TimedOut if hit.call == FailedCall::Read => answer_late(),
        Limit::TimedOut => vec![
            advice("see whether SYNs are answered", "netstat -an -p tcp | grep SYN_SENT", "lines that stay: they are not"),
            advice(
                "see whether a server on this Mac keeps up with accepting",
                "netstat -Lan",
                "a first figure near the third: its backlog is full",
            ),
        ],
        Limit::Unreachable => vec![
            advice("ask for the route", "route -n get ADDRESS", "not in table: there is none"),
            advice("name the target by its IPv4 address", "curl -4 http://HOST:PORT/", "connects, where only IPv6 is off"),
        ],
        Limit::Conntrack | Limit::Hidden | Limit::NameResolution | Limit::Policy => return None,
    })
}

fn for_ports(a: &Arithmetic) -> Vec<Remedy> {
    let now = cps(a.ceiling_cps);
    let mut out = without_ports(a);
    out.push(advice(
        "shorten TIME_WAIT for the test (net.inet.tcp.msl, milliseconds; 15000 before; TIME_WAIT is twice that)",
        "sudo sysctl -w net.inet.tcp.msl=1000",
        format!("T = 2 s: {}/s instead of {now}/s (documentation)", cps(f64::from(a.pool) / SHORT_HOLD_S)),
    ));
    out.push(advice(
        "widen the range of ephemeral ports (net.inet.ip.portrange.first to net.inet.ip.portrange.last)",
        "sudo sysctl -w net.inet.ip.portrange.first=10000",
        format!("55536 ports: {}/s instead of {now}/s (documentation)", cps(WIDE / a.hold_s.max(1e-9))),
    ));
    out.push(named(
        Name::SourceIps,
        "spread over several source addresses, each bound before connect()",
        "sudo ifconfig lo0 alias 127.0.0.2",
        format!("2 addresses: {}/s instead of {now}/s", cps(2.0 * a.ceiling_cps)),
    ));
    out.extend(less(a));
    out
}
