//! What to do about a reading.

use super::advice_macos;
use super::advice_ports::{for_bound_ports, for_ports, windows};
use crate::model::explanation::{Arithmetic, Certainty, FailedCall, Limit, Os, Reading, Side};
use crate::model::finding::Remedy;
use crate::remedy::advice;

/// A limit as hit: at which call, by whose socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) limit: Limit,
    pub(super) call: FailedCall,
    pub(super) side: Option<Side>,
}

/// Remedies for the limits of these readings, those of the most frequent first; each once. Other readings of a text
/// count only where it is open between them.
pub(super) fn for_readings(readings: &[Reading], arithmetic: Option<&Arithmetic>, os: Os) -> Vec<Remedy> {
    let mut out: Vec<Remedy> = Vec::new();
    for reading in readings {
        let open = reading.certainty == Certainty::Ambiguous;
        let first = Hit { limit: reading.limit, call: reading.call, side: reading.side };
        let others = reading.alternatives.iter().filter(|_| open);
        let others = others.map(|a| Hit { limit: a.limit, call: a.call, side: reading.side }).filter(|h| h.limit != first.limit);
        for remedy in std::iter::once(first).chain(others).flat_map(|hit| for_hit(hit, arithmetic, os)) {
            if !out.iter().any(|r| r.action == remedy.action) {
                out.push(remedy);
            }
        }
    }
    out
}

fn for_hit(hit: Hit, arithmetic: Option<&Arithmetic>, os: Os) -> Vec<Remedy> {
    if os == Os::Macos
        && let Some(remedies) = advice_macos::for_hit(hit, arithmetic)
    {
        return remedies;
    }
    match hit.limit {
        Limit::LocalPorts if hit.call == FailedCall::Bind && os == Os::Linux => arithmetic.map_or_else(Vec::new, for_bound_ports),
        Limit::LocalPorts => arithmetic.map_or_else(Vec::new, |a| for_ports(a, os)),
        Limit::PortBusy if hit.side == Some(Side::Client) => vec![
            advice(
                "let the kernel choose the source port: name none, or 0",
                "sockbench load URL --no-keepalive",
                "any free port of the range serves",
            ),
            windows(
                advice("see who holds the port", "ss -tan 'sport = :PORT'", "one line shows its state and its other end"),
                "netstat -ano | findstr :PORT",
            ),
            advice(
                "where the port must be named: SO_REUSEADDR on every socket, from the first connection on",
                "sockbench load URL --no-keepalive --port-mode ring --reuse-addr",
                "a port in TIME_WAIT is free at once; one of a live connection is not",
            ),
        ],
        Limit::PortBusy => vec![
            windows(
                advice("see who holds the port", "ss -ltnp 'sport = :PORT'", "one line names the process"),
                "netstat -ano | findstr :PORT",
            ),
            advice(
                "stop it, or listen on a free port",
                "sockbench server --listen 127.0.0.1:0",
                "port 0: the kernel picks a free one and it is printed",
            ),
        ],
        Limit::NotLocal => vec![
            windows(advice("list this machine's addresses", "ip addr", "the address must be among them"), "ipconfig"),
            advice("name the target by its IPv4 address", "curl -4 http://HOST:PORT/", "connects, where only IPv6 is off"),
        ],
        // Windows has no such limit to raise: what ran out is a table of the programme (FD_SETSIZE) or of Winsock.
        Limit::Descriptors if os == Os::Windows => vec![
            windows(
                advice("count the sockets of the process", "", "thousands: it opens more than it closes"),
                "netstat -ano | find /c \"PID\"",
            ),
            fewer_at_once(),
        ],
        Limit::Descriptors => vec![
            advice("raise the limit before starting the process", "ulimit -n 65536", "room for 65536 descriptors"),
            fewer_at_once(),
        ],
        Limit::Backlog => vec![
            advice(
                "lengthen the queue",
                "sysctl -w net.core.somaxconn=4096 net.ipv4.tcp_max_syn_backlog=4096",
                "4096 connections may wait, where the server asks for as many in listen()",
            ),
            advice("start the clients slower", "sockbench load URL --spawn-rate 50", "50 new connections per second"),
        ],
        Limit::Conntrack => vec![
            advice("enlarge the table", "sysctl -w net.netfilter.nf_conntrack_max=262144", "room for 262144 connections"),
            advice(
                "forget closed connections sooner",
                "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=30",
                "entries leave after 30 s instead of 120 s",
            ),
        ],
        Limit::Policy if os == Os::Windows => vec![
            windows(
                advice("see which port ranges Windows keeps for itself", "", "the port lies in one of them: take another one"),
                "netsh int ipv4 show excludedportrange tcp",
            ),
            windows(
                advice("see who has the port for itself alone", "", "one line names the process"),
                "netstat -ano | findstr :PORT",
            ),
        ],
        Limit::Policy => vec![
            advice(
                "see which rule rejects it",
                "nft list ruleset ; iptables -S OUTPUT",
                "a REJECT or DROP for that address or user",
            ),
            advice("see whether SELinux forbids it", "ausearch -m avc -ts recent", "a line that names the program"),
            advice(
                "listen on a port from 1024 on, or allow lower ones",
                "sysctl -w net.ipv4.ip_unprivileged_port_start=80",
                "every user may listen from port 80 on",
            ),
        ],
        Limit::Refused => vec![
            windows(
                advice("see whether something listens", "ss -ltn 'sport = :PORT'", "no line: start the target"),
                "netstat -ano | findstr LISTENING",
            ),
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
            advice(
                "look into the server's log at that time",
                "journalctl --since -10min",
                "a crash, a kill, or a connection limit",
            ),
        ],
        Limit::TimedOut if hit.call == FailedCall::Read => answer_late(),
        Limit::NameResolution => vec![
            windows(
                advice("ask for the name by hand", "getent hosts NAME", "no line: the name is wrong, or no resolver answers"),
                "nslookup NAME",
            ),
            advice(
                "give the target's address instead of its name",
                "curl http://ADDRESS:PORT/",
                "no resolver is needed; send the name in the Host header where the target looks at it",
            ),
        ],
        Limit::TimedOut => vec![
            advice("see whether SYNs are answered", "ss -tn state syn-sent", "lines that stay: they are not"),
            advice(
                "see whether the server's queue is full",
                "nstat -az TcpExtListenOverflows",
                "a number that rises: its backlog overflows",
            ),
        ],
        Limit::Unreachable => vec![
            advice("ask for the route", "ip route get ADDRESS", "unreachable: there is none"),
            advice("name the target by its IPv4 address", "curl -4 http://HOST:PORT/", "connects, where only IPv6 is off"),
        ],
        Limit::Hidden => vec![
            advice(
                "run the same load with a tool that keeps the errno",
                "sockbench load URL --no-keepalive",
                "call, errno and cause of every failure",
            ),
            advice("ask for one connection by hand", "curl -v http://HOST:PORT/", "the reason of one failure"),
        ],
    }
}

/// The connection stood: what the target does, not what lies between.
pub(super) fn answer_late() -> Vec<Remedy> {
    vec![
        advice(
            "see whether the target answers one user in time",
            "sockbench load URL --conns 1 --duration 10s",
            "its time without load: near the timeout, the timeout is too short",
        ),
        advice(
            "find the load from which answers come too late",
            "sockbench study --url URL",
            "the step at which p95 rises: fewer users, or a faster target",
        ),
    ]
}

fn fewer_at_once() -> Remedy {
    advice("use fewer connections at once", "sockbench load URL --conns 500", "500 connections fit into the usual limit of 1024")
}
