//! Remedies about ports, ranked for the plan in force: cheapest and strongest first, never one that is already on,
//! each with the command that applies it and the new ceiling that it is expected to give.

use std::time::Duration;

use super::command::{count, cps, load_after_sysctl, load_with, number, percent, s};
use super::indicators::{budget, hold, pool, wearing_within};
use super::remedies_range::{destinations, ring, wider_range};
use super::target::{Kind, serve_with};
use super::thresholds::PACE_SHARE;
use crate::model::finding::Remedy;
use crate::model::plan::{Closer, PortMode, ServerCloser};
use crate::model::result::RunResult;

/// Seconds a Windows port stays held, by default and at its lowest setting.
pub(crate) const WINDOWS_HOLD_S: (f64, f64) = (120.0, 30.0);
/// Dynamic ports of a Windows machine by default.
const WINDOWS_POOL: f64 = 16_384.0;

/// A remedy without a name in rehearsals.
pub(crate) fn advice(action: impl Into<String>, command: impl Into<String>, expected: impl Into<String>) -> Remedy {
    Remedy {
        name: None,
        action: action.into(),
        command: command.into(),
        windows_command: None,
        expected: expected.into(),
        proven: None,
    }
}

/// A remedy that a rehearsal can prove under `name`.
pub(crate) fn named(name: &str, action: impl Into<String>, command: impl Into<String>, expected: impl Into<String>) -> Remedy {
    Remedy { name: Some(name.to_owned()), ..advice(action, command, expected) }
}

pub(crate) fn on_windows(mut remedy: Remedy, command: &str) -> Remedy {
    remedy.windows_command = Some(command.to_owned());
    remedy
}

/// What helps when ports run out, or are about to, towards this run's destination.
pub(crate) fn for_ports(run: &RunResult) -> Vec<Remedy> {
    let all = [
        keep_alive(run),
        server_closes(run),
        ring(run),
        reuse(run),
        reuse_delay(run),
        wider_range(run),
        source_ips(run),
        pace(run),
        fresh_namespace(run),
        wait(run),
        destinations(run),
    ];
    with_a_look(all.into_iter().flatten().collect(), run)
}

/// What makes the port search cheap again.
pub(crate) fn for_search(run: &RunResult) -> Vec<Remedy> {
    let all = [keep_alive(run), ring(run), reuse(run), reuse_delay(run), server_closes(run), source_ips(run), search_pace(run)];
    with_a_look(all.into_iter().flatten().collect(), run)
}

/// Where little is left to change, others hold the ports: then look who.
fn with_a_look(mut remedies: Vec<Remedy>, run: &RunResult) -> Vec<Remedy> {
    if remedies.len() < 2 {
        let held = pool(run).map_or_else(String::new, |p| format!(" of {p}"));
        let (command, expected) = (
            format!("sockbench ports --to {}", run.plan.target.addr),
            format!("ports held{held}, by state, and when the first is free again"),
        );
        remedies.push(advice("see what holds the ports to this destination", command, expected));
        remedies.push(advice(
            "see which programmes hold ports of the range",
            "ss -tanp",
            "open and bound sockets with their processes; TIME-WAIT lines have none",
        ));
    }
    remedies
}

/// Keep-alive, where the plan or the target does without it.
pub(crate) fn keep_alive(run: &RunResult) -> Option<Remedy> {
    let users = run.plan.users;
    let of_pool = pool(run).map_or_else(String::new, |p| format!(" of {p}"));
    let expected =
        format!("{} in all, {}{of_pool}; no limit from ports on the rate", count(users, "connection"), count(users, "port"));
    let own_refuses = run.plan.environment.server.keepalive == Some(false);
    if !run.plan.keepalive {
        let command = load_with(&run.plan, |p| {
            p.keepalive = true;
            if own_refuses {
                p.environment.server.keepalive = Some(true);
            }
        });
        return Some(named("keep-alive", "keep connections open: one per user, reused for every request", command, expected));
    }
    let answers = run.totals.requests.max(1) as f64;
    let ended = run.closes.announced_by_target.max(run.closes.server) as f64;
    (ended / answers > super::thresholds::FORBIDS_SHARE).then(|| target_keeps(run, expected))
}

/// The target ends connections between requests without announcing it, and the users pause there.
pub(crate) fn closes_idle(run: &RunResult) -> bool {
    let c = run.closes;
    !run.plan.think.max.is_zero() && c.announced_by_target.saturating_mul(2) < c.server
}

/// Longer than the users' pauses, for a target that closes idle connections.
pub(crate) fn longer_idle(run: &RunResult, expected: String) -> Remedy {
    let action = "let the target keep idle connections longer than the users pause";
    match Kind::of(run) {
        Kind::Foreign => advice(
            format!("{action} (nginx: keepalive_timeout; Node.js: keepAliveTimeout; gunicorn as here)"),
            "gunicorn --keep-alive 75 app:app",
            expected,
        ),
        Kind::Own | Kind::Sockbench => {
            let pause = run.plan.think.max.as_secs().saturating_mul(2).max(75);
            advice(action, serve_with(run, |f| f.idle_timeout = Some(Duration::from_secs(pause))), expected)
        }
    }
}

/// For a target that ends each connection although asked to keep it.
pub(crate) fn target_keeps(run: &RunResult, expected: String) -> Remedy {
    if closes_idle(run) {
        return Remedy { name: Some("keep-alive".into()), ..longer_idle(run, expected) };
    }
    let (action, command) = match Kind::of(run) {
        Kind::Foreign => (
            "let the target keep connections (it ends each after one answer): HTTP/1.1 without Connection: close, under a server that does so",
            "gunicorn --worker-class gthread --keep-alive 75 app:app".to_owned(),
        ),
        Kind::Own | Kind::Sockbench => {
            ("let the target keep connections (it ends each after one answer)", serve_with(run, |f| f.keepalive = Some(true)))
        }
    };
    named("keep-alive", action, command, expected)
}

fn server_closes(run: &RunResult) -> Option<Remedy> {
    let waits = run.plan.environment.server.closer == Some(ServerCloser::Client);
    (run.plan.closer == Closer::Client && !run.plan.keepalive).then(|| {
        let command = load_with(&run.plan, |p| {
            p.closer = Closer::Server;
            if waits {
                p.environment.server.closer = Some(ServerCloser::Server);
            }
        });
        named(
            "server-closes",
            "let the target close first: the client reads to the end of the stream, TIME_WAIT stays at the target",
            command,
            "no source port stays held after a connection: the ceiling P/T falls away; the target must really close",
        )
    })
}

fn delay_s(run: &RunResult) -> f64 {
    f64::from(run.host.sysctls.tcp_tw_reuse_delay_ms.unwrap_or(super::ports::budget::REUSE_DELAY_DEFAULT_MS)) / 1000.0
}

/// Reuse already decides T here.
fn is_reusing(run: &RunResult) -> bool {
    hold(run).is_some_and(|h| h.seconds > 0.0 && h.seconds < super::ports::budget::LINUX_HOLD_S)
}

fn reuse(run: &RunResult) -> Option<Remedy> {
    if is_reusing(run) || run.plan.port_mode == PortMode::Ring || hold(run).is_some_and(|h| h.seconds <= 0.0) {
        return None;
    }
    let to = delay_s(run);
    let ceiling = pool(run).map_or_else(
        || format!("T = {} instead of 60 s: {} times the ceiling", s(to), number((60.0 / to.max(0.001)).round())),
        |p| format!("T = {}: ceiling {}/s instead of {}/s", s(to), cps(f64::from(p) / to.max(0.001)), cps(f64::from(p) / 60.0)),
    );
    let mut settings = Vec::new();
    if run.host.sysctls.tcp_timestamps == Some(0) {
        settings.push(("net.ipv4.tcp_timestamps", "1"));
    }
    if run.host.sysctls.tcp_tw_reuse != Some(1) {
        settings.push(("net.ipv4.tcp_tw_reuse", "1"));
    }
    let binds = run.plan.port_mode == PortMode::Bind;
    if settings.is_empty() && !binds {
        return None;
    }
    // tw_reuse never helps bind(ip,0): the port must be chosen at connect.
    let command = load_after_sysctl(&run.plan, &settings, |p| {
        if binds {
            p.port_mode = PortMode::NoPort;
        }
    });
    let action = if binds {
        "choose the port at connect() (IP_BIND_ADDRESS_NO_PORT) with tcp_tw_reuse=1: reuse never helps bind(ip,0)"
    } else {
        "let connect() take ports in TIME_WAIT again (tcp_tw_reuse=1, needs timestamps)"
    };
    let windows = format!("; Windows, TcpTimedWaitDelay=30: {}/s", cps(WINDOWS_POOL / WINDOWS_HOLD_S.1));
    Some(on_windows(
        named("tw-reuse", action, command, ceiling + &windows),
        r"reg add HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters /v TcpTimedWaitDelay /t REG_DWORD /d 30 /f",
    ))
}

fn reuse_delay(run: &RunResult) -> Option<Remedy> {
    // The setting exists from 6.14 on; 100 ms is far above the peer's timestamp tick.
    const TO_MS: u32 = 100;
    let now = run.host.sysctls.tcp_tw_reuse_delay_ms?;
    (is_reusing(run) && now > TO_MS).then(|| {
        let expected = pool(run).map_or_else(
            || format!("T = 0.1 s: {} times the ceiling", number(f64::from(now) / f64::from(TO_MS))),
            |p| {
                format!(
                    "T = 0.1 s: ceiling {}/s instead of {}/s",
                    cps(f64::from(p) * 10.0),
                    cps(f64::from(p) * 1000.0 / f64::from(now))
                )
            },
        );
        let command = load_after_sysctl(&run.plan, &[("net.ipv4.tcp_tw_reuse_delay", &TO_MS.to_string())], |_| ());
        named("tw-reuse-delay", "let ports in TIME_WAIT be taken again sooner (Linux 6.14 and later)", command, expected)
    })
}

fn source_ips(run: &RunResult) -> Option<Remedy> {
    let b = budget(run)?;
    if b.hold.is_zero() || b.pool == 0 {
        return None;
    }
    let have = run.plan.sources.len().max(1) as f64;
    let binds = run.plan.port_mode == PortMode::Bind;
    let per_source = b.ceiling_cps() / have;
    let need = (wanted_cps(run) / (PACE_SHARE * per_source)).ceil().clamp(have + 1.0, 62.0) as u32;
    let loopback = run.plan.target.addr.ip().is_loopback() && run.plan.target.addr.is_ipv4();
    // Long lists are typed as a block: a power of two less network and broadcast address.
    let need = if need <= 4 { need } else { (need + 2).next_power_of_two() - 2 };
    if loopback && need <= run.plan.sources.len() as u32 {
        return None;
    }
    let command = load_with(&run.plan, |p| {
        p.sources = if loopback { (1..=need).map(|n| [127, 0, 0, n as u8].into()).collect() } else { Vec::new() };
        p.port_mode = if p.port_mode == PortMode::Auto { PortMode::NoPort } else { p.port_mode };
    });
    let command = if loopback { command } else { format!("{command} --source IP1,IP2,...") };
    let expected = format!(
        "each address has a pool of its own{}: {need} x {}/s = {}/s",
        if binds { " (with bind(ip,0) one for all destinations together)" } else { "" },
        cps(per_source),
        cps(f64::from(need) * per_source)
    );
    Some(named("source-ips", format!("use {need} source addresses in turn"), command, expected))
}

/// The rate that the plan wants: asked in an open loop, else as it wore ports before they ran out.
fn wanted_cps(run: &RunResult) -> f64 {
    if run.plan.is_open_loop() { run.plan.rate } else { wearing_within(run, 1.0) }
}

fn pace(run: &RunResult) -> Option<Remedy> {
    let b = budget(run)?;
    let ceiling = b.ceiling_cps();
    let rate = (PACE_SHARE * ceiling).floor();
    if !ceiling.is_finite() || rate < 1.0 || (run.plan.is_open_loop() && run.plan.rate <= rate) {
        return None;
    }
    let command = load_with(&run.plan, |p| p.rate = rate);
    let expected = format!(
        "{} of the ceiling of {}/s: {} of {} ports held, none missing",
        percent(PACE_SHARE),
        cps(ceiling),
        b.held_at(rate).round(),
        b.pool
    );
    Some(named("pace", format!("stay below the ceiling: {}/s", number(rate)), command, expected))
}

fn search_pace(run: &RunResult) -> Option<Remedy> {
    let search = budget(run)?.search_cps();
    let rate = (PACE_SHARE * search).floor();
    if !search.is_finite() || rate < 1.0 || (run.plan.is_open_loop() && run.plan.rate <= rate) {
        return None;
    }
    let expected = format!("less than half of the pool held: connect() stays near 12 us (search ceiling {}/s)", cps(search));
    Some(named(
        "pace",
        format!("stay below half of the ceiling: {}/s", number(rate)),
        load_with(&run.plan, |p| p.rate = rate),
        expected,
    ))
}

fn fresh_namespace(run: &RunResult) -> Option<Remedy> {
    let left = run.ports.as_ref().and_then(|p| p.leftover_before).unwrap_or(0);
    // A namespace has one address 127.0.0.1 and the own server, and starts with the kernel's own settings.
    (run.plan.target.own_server && run.plan.sources.iter().all(std::net::IpAddr::is_loopback) && !run.plan.environment.sandbox)
        .then(|| {
            let expected = pool(run).map_or_else(
                || "an empty pool at the start".to_owned(),
                |p| format!("starts with 0 of {p} ports held ({left} here); with the same settings the ceiling is the same"),
            );
            let command = load_with(&run.plan, |p| {
                p.environment.sandbox = true;
                for (key, value) in own_settings(run) {
                    p.environment.set_sysctl(key, &value);
                }
            });
            named("fresh-namespace", "run in a private network namespace: nothing left over from earlier runs", command, expected)
        })
}

/// Settings of this host that decide about ports and differ from those that a new namespace starts with.
fn own_settings(run: &RunResult) -> Vec<(&'static str, String)> {
    let s = &run.host.sysctls;
    let mut own = Vec::new();
    let mut differs = |key, now: Option<u32>, fresh: u32| own.extend(now.filter(|n| *n != fresh).map(|n| (key, n.to_string())));
    differs("net.ipv4.tcp_tw_reuse", s.tcp_tw_reuse, 2);
    differs("net.ipv4.tcp_tw_reuse_delay", s.tcp_tw_reuse_delay_ms, super::ports::budget::REUSE_DELAY_DEFAULT_MS);
    differs("net.ipv4.tcp_timestamps", s.tcp_timestamps, 1);
    let range = s.ip_local_port_range.filter(|r| *r != [32_768, 60_999]);
    own.extend(range.map(|[lo, hi]| ("net.ipv4.ip_local_port_range", format!("{lo} {hi}"))));
    own
}

fn wait(run: &RunResult) -> Option<Remedy> {
    let seconds = hold(run)?.seconds;
    // A private namespace starts empty every time.
    (seconds > 0.0 && !run.plan.environment.sandbox).then(|| {
        let expected = format!(
            "after {} all {} ports are free; the ceiling stays the same",
            s(seconds),
            pool(run).map_or_else(|| "held".into(), |p| p.to_string())
        );
        let command = format!("sleep {} && {}", seconds.ceil(), load_with(&run.plan, |_| ()));
        named("wait", format!("wait {} between runs", s(seconds)), command, expected)
    })
}
