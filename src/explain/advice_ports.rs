//! What to do where source ports are the limit, with numbers from P and T.

use crate::model::explanation::{Arithmetic, Os};
use crate::model::finding::Remedy;
use crate::remedy::PACE_SHARE;
use crate::remedy::advice;
use crate::remedy::catalogue::Name;
use crate::remedy::{cps, number, s};

/// Keep-alive and the other closer: the same on every system.
pub(super) fn without_ports(a: &Arithmetic) -> Vec<Remedy> {
    let now = cps(a.ceiling_cps);
    vec![
        named(
            Name::KeepAlive,
            "keep connections open and reuse them (Locust: one session per user; the server must not send Connection: close)",
            "sockbench server --keepalive on",
            format!("one port per user instead of one per request: the {now}/s limit falls away"),
        ),
        named(
            Name::ServerCloses,
            "let the server close first, the client reading to the end",
            "sockbench load URL --no-keepalive --closer server",
            format!("TIME_WAIT stays at the server: no source port is held, the {now}/s limit falls away"),
        ),
    ]
}

/// What helps where connect() finds no port.
pub(super) fn for_ports(a: &Arithmetic, os: Os) -> Vec<Remedy> {
    let (pool, hold) = (f64::from(a.pool), a.hold_s.max(1e-9));
    let now = cps(a.ceiling_cps);
    let mut out = without_ports(a);
    if os == Os::Windows {
        out.push(windows(
            named(
                Name::WiderRange,
                "widen the range of dynamic ports",
                "",
                format!("55535 ports: {}/s instead of {now}/s", cps(55_535.0 / hold)),
            ),
            "netsh int ipv4 set dynamicport tcp start=10000 num=55535",
        ));
        out.push(windows(
            named(
                Name::TwReuse,
                "shorten TIME_WAIT (TcpTimedWaitDelay, 30 s at least; reboot)",
                "",
                format!("T = 30 s: {}/s instead of {now}/s; with the wider range {}/s", cps(pool / 30.0), cps(55_535.0 / 30.0)),
            ),
            r"reg add HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters /v TcpTimedWaitDelay /t REG_DWORD /d 30 /f",
        ));
    } else {
        out.push(named(
            Name::TwReuse,
            "let connect() take ports in TIME_WAIT again (needs timestamps; no help to bind())",
            "sysctl -w net.ipv4.tcp_tw_reuse=1",
            format!("T = 1 s: {}/s instead of {now}/s", cps(pool)),
        ));
        out.push(named(
            Name::WiderRange,
            "widen the range of source ports",
            "sysctl -w net.ipv4.ip_local_port_range='1024 65535'",
            format!("64512 ports: {}/s instead of {now}/s", cps(64_512.0 / hold)),
        ));
        out.push(named(
            Name::Ring,
            "explicit ports from a ring with SO_REUSEADDR on every socket",
            "sockbench load URL --no-keepalive --port-mode ring --reuse-addr",
            format!("a port is free at once: T = 0 instead of {}", s(hold)),
        ));
    }
    out.push(named(
        Name::SourceIps,
        "spread over several source addresses",
        "sockbench load URL --no-keepalive --port-mode no-port --source IP1,IP2",
        format!("2 addresses: {}/s instead of {now}/s", cps(2.0 * a.ceiling_cps)),
    ));
    out.extend(less(a));
    out
}

/// What helps where bind() to port 0 finds none: `tcp_tw_reuse` does not (measured).
pub(super) fn for_bound_ports(a: &Arithmetic) -> Vec<Remedy> {
    let connected = for_ports(a, Os::Linux).into_iter();
    let mut out: Vec<Remedy> = connected.filter(|r| !matches!(r.name.as_deref(), Some("tw-reuse" | "source-ips"))).collect();
    out.insert(
        2,
        named(
            Name::NoPort,
            "choose the port in connect(), not in bind() (IP_BIND_ADDRESS_NO_PORT on the socket, or bind no address at all)",
            "sockbench load URL --no-keepalive --port-mode no-port --source IP",
            format!("{}/s to each destination, instead of to all together; and tcp_tw_reuse can help then", cps(a.ceiling_cps)),
        ),
    );
    out
}

/// Less load, or a pause: the same on every system.
pub(super) fn less(a: &Arithmetic) -> Vec<Remedy> {
    let hold = a.hold_s.max(1e-9);
    let pace = (PACE_SHARE * a.ceiling_cps).floor().max(1.0);
    let pace = named(
        Name::Pace,
        "stay below the ceiling",
        format!("sockbench load URL --no-keepalive --rate {pace}"),
        format!("{}/s holds {} of {} ports", number(pace), (pace * hold).round(), a.pool),
    );
    let wait = named(
        Name::Wait,
        format!("wait {} between runs", s(hold)),
        format!("sleep {}", hold.ceil()),
        format!("all {} ports are free again; the ceiling stays {}/s", a.pool, cps(a.ceiling_cps)),
    );
    vec![pace, wait]
}

pub(super) fn windows(mut remedy: Remedy, command: &str) -> Remedy {
    remedy.windows_command = Some(command.to_owned());
    remedy
}

pub(super) fn named(name: Name, action: impl Into<String>, command: impl Into<String>, expected: impl Into<String>) -> Remedy {
    Remedy { name: Some(name.word().into()), ..advice(action, command.into(), expected) }
}
