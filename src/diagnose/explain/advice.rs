//! What to do about a reading, with numbers from P and T where ports are the limit.

use super::advice_macos;
use crate::diagnose::command::{cps, number, s};
use crate::diagnose::remedies::{advice, named};
use crate::diagnose::thresholds::PACE_SHARE;
use crate::model::explanation::{Arithmetic, Certainty, Limit, Os, Reading};
use crate::model::finding::Remedy;

/// Remedies for the limits of these readings, those of the most frequent first; each once. Other readings of a text
/// count only where it is open between them.
pub(super) fn for_readings(readings: &[Reading], arithmetic: Option<&Arithmetic>, os: Os) -> Vec<Remedy> {
    let mut out: Vec<Remedy> = Vec::new();
    let mut limits: Vec<Limit> = Vec::new();
    for reading in readings {
        let open = reading.certainty == Certainty::Ambiguous;
        let others = reading.alternatives.iter().filter(|_| open).map(|a| a.limit);
        for limit in std::iter::once(reading.limit).chain(others) {
            if !limits.contains(&limit) {
                limits.push(limit);
                out.extend(for_limit(limit, arithmetic, os));
            }
        }
    }
    out
}

fn for_limit(limit: Limit, arithmetic: Option<&Arithmetic>, os: Os) -> Vec<Remedy> {
    if os == Os::Macos
        && let Some(remedies) = advice_macos::for_limit(limit, arithmetic)
    {
        return remedies;
    }
    match limit {
        Limit::LocalPorts => arithmetic.map_or_else(Vec::new, |a| for_ports(a, os)),
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

fn fewer_at_once() -> Remedy {
    advice("use fewer connections at once", "sockbench load URL --conns 500", "500 connections fit into the usual limit of 1024")
}

/// Keep-alive and the other closer: the same on every system.
pub(super) fn without_ports(a: &Arithmetic) -> Vec<Remedy> {
    let now = cps(a.ceiling_cps);
    vec![
        named(
            "keep-alive",
            "keep connections open and reuse them (Locust: one session per user; the server must not send Connection: close)",
            "sockbench server --keepalive on",
            format!("one port per user instead of one per request: the {now}/s limit falls away"),
        ),
        named(
            "server-closes",
            "let the server close first, the client reading to the end",
            "sockbench load URL --no-keepalive --closer server",
            format!("TIME_WAIT stays at the server: no source port is held, the {now}/s limit falls away"),
        ),
    ]
}

fn for_ports(a: &Arithmetic, os: Os) -> Vec<Remedy> {
    let (pool, hold) = (f64::from(a.pool), a.hold_s.max(1e-9));
    let now = cps(a.ceiling_cps);
    let mut out = without_ports(a);
    if os == Os::Windows {
        out.push(windows(
            named(
                "wider-range",
                "widen the range of dynamic ports",
                "",
                format!("55535 ports: {}/s instead of {now}/s", cps(55_535.0 / hold)),
            ),
            "netsh int ipv4 set dynamicport tcp start=10000 num=55535",
        ));
        out.push(windows(
            named(
                "tw-reuse",
                "shorten TIME_WAIT (TcpTimedWaitDelay, 30 s at least; reboot)",
                "",
                format!("T = 30 s: {}/s instead of {now}/s; with the wider range {}/s", cps(pool / 30.0), cps(55_535.0 / 30.0)),
            ),
            r"reg add HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters /v TcpTimedWaitDelay /t REG_DWORD /d 30 /f",
        ));
    } else {
        out.push(named(
            "tw-reuse",
            "let connect() take ports in TIME_WAIT again (needs timestamps; no help to bind())",
            "sysctl -w net.ipv4.tcp_tw_reuse=1",
            format!("T = 1 s: {}/s instead of {now}/s", cps(pool)),
        ));
        out.push(named(
            "wider-range",
            "widen the range of source ports",
            "sysctl -w net.ipv4.ip_local_port_range='1024 65535'",
            format!("64512 ports: {}/s instead of {now}/s", cps(64_512.0 / hold)),
        ));
        out.push(named(
            "ring",
            "explicit ports from a ring with SO_REUSEADDR on every socket",
            "sockbench load URL --no-keepalive --port-mode ring --reuse-addr",
            format!("a port is free at once: T = 0 instead of {}", s(hold)),
        ));
    }
    out.push(named(
        "source-ips",
        "spread over several source addresses",
        "sockbench load URL --no-keepalive --port-mode no-port --source IP1,IP2",
        format!("2 addresses: {}/s instead of {now}/s", cps(2.0 * a.ceiling_cps)),
    ));
    out.extend(less(a));
    out
}

/// Less load, or a pause: the same on every system.
pub(super) fn less(a: &Arithmetic) -> Vec<Remedy> {
    let hold = a.hold_s.max(1e-9);
    let pace = (PACE_SHARE * a.ceiling_cps).floor().max(1.0);
    let pace = named(
        "pace",
        "stay below the ceiling",
        format!("sockbench load URL --no-keepalive --rate {}", number(pace)),
        format!("{}/s holds {} of {} ports", number(pace), (pace * hold).round(), a.pool),
    );
    let wait = named(
        "wait",
        format!("wait {} between runs", s(hold)),
        format!("sleep {}", hold.ceil()),
        format!("all {} ports are free again; the ceiling stays {}/s", a.pool, cps(a.ceiling_cps)),
    );
    vec![pace, wait]
}

fn windows(mut remedy: Remedy, command: &str) -> Remedy {
    remedy.windows_command = Some(command.to_owned());
    remedy
}
