//! Remedies about source ports, ranked for the plan in force: cheapest and strongest first, never one that is already
//! on, each with the command that applies it and the ceiling that it leaves.

use std::time::Duration;

use super::catalogue::Name;
use super::command::{Command, load_after_sysctl, load_with};
use super::ports_range::{destinations, ring, wider_range};
use super::promise::{PACE_SHARE, against_demand, leaving, none_missing, room_for};
use super::software::{self, LONGER_IDLE, keeps_connections};
use super::systems::System;
use super::target::{Kind, serve_with};
use super::{Situation, advice, named, sustains};
use crate::model::budget::{Budget, LINUX_HOLD_S, REUSE_DELAY_DEFAULT_MS};
use crate::model::explanation::Os;
use crate::model::figures;
use crate::model::finding::Remedy;
use crate::model::plan::{Closer, PortMode, ServerCloser};
use crate::model::prediction::{Metric, Prediction};
use crate::model::result::RunResult;

/// At this share of the pool in use the budget counts as high.
const HIGH_SHARE: f64 = 0.70;
/// Ports that are free again sooner than this are not waited for, seconds.
const NOTICEABLE_S: f64 = 2.0;

/// What helps when ports run out, or are about to, towards this run's destination.
pub fn for_run(at: &Situation<'_>) -> Vec<Remedy> {
    let all = [
        keep_alive(at),
        server_closes(at),
        ring(at),
        reuse(at),
        reuse_delay(at),
        wider_range(at),
        source_ips(at),
        pace(at),
        fresh_namespace(at),
        wait(at),
        destinations(at),
    ];
    with_a_look(all.into_iter().flatten().collect(), at)
}

/// What makes the search for a free port short again.
pub fn for_search(at: &Situation<'_>) -> Vec<Remedy> {
    let all = [keep_alive(at), ring(at), reuse(at), reuse_delay(at), server_closes(at), source_ips(at), search_pace(at)];
    with_a_look(all.into_iter().flatten().collect(), at)
}

/// The same where connections are kept, so that no port comes back.
pub fn for_kept_search(at: &Situation<'_>) -> Vec<Remedy> {
    let says = |remedy: Option<Remedy>, expected: &str| remedy.map(|remedy| Remedy { expected: expected.into(), ..remedy });
    let sources = says(source_ips(at), "each address has ports of its own: less than half of them in use");
    let ring = says(ring(at), "each connection takes the next port of the ring: the kernel searches none");
    with_a_look([sources, ring].into_iter().flatten().collect(), at)
}

/// Where little is left to change, other programs use the ports: then look which.
fn with_a_look(mut remedies: Vec<Remedy>, at: &Situation<'_>) -> Vec<Remedy> {
    if remedies.len() < 2 {
        let of_pool = at.pool.map_or_else(String::new, |p| format!(" of {}", figures::count(p)));
        remedies.push(advice(
            "see how the ports to this destination are used",
            format!("sockbench ports --to {}", at.run.plan.target.addr),
            format!("ports in use{of_pool}, by state, and when the first is free again"),
        ));
        remedies.push(advice(
            "see which programs use ports of the range",
            "ss -tanp",
            "open and bound sockets with their processes; TIME-WAIT lines have none",
        ));
    }
    remedies
}

/// Keep-alive, where the plan or the target does without it.
pub(crate) fn keep_alive(at: &Situation<'_>) -> Option<Remedy> {
    let plan = &at.run.plan;
    let of_pool = at.pool.map_or_else(String::new, |p| format!(" of {}", figures::count(p)));
    // A kept connection uses its port all the time: there must be one for each user, and room beside them.
    let room = at.pool.map_or(plan.users, room_for);
    let users = plan.users.min(room);
    let expected = format!(
        "{} in all, on {}{of_pool}: ports no longer limit the rate",
        figures::counted(users, "connection"),
        figures::counted(users, "port")
    );
    let own_refuses = plan.environment.server.keepalive == Some(false);
    if !plan.keepalive {
        let command = load_with(plan, |p| {
            (p.keepalive, p.users) = (true, users);
            if own_refuses {
                p.environment.server.keepalive = Some(true);
            }
        });
        let action = if users < plan.users {
            format!(
                "keep connections open, reused for every request, with {} for the ports that there are",
                figures::counted(users, "user")
            )
        } else {
            "keep connections open: one per user, reused for every request".to_owned()
        };
        let remedy = named(Name::KeepAlive, action, command, expected);
        let opened = Prediction::at_most(Metric::ConnectionsOpened, f64::from(users));
        return Some(none_missing(remedy).promising(opened));
    }
    at.ends_most.then(|| target_keeps(at.run, expected))
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
        Kind::Foreign => {
            let process = run.resources.target.as_ref().map_or("", |t| t.name.as_str());
            match software::longer_idle(process) {
                Some(setting) => advice(action, setting, expected),
                None => advice(action, LONGER_IDLE.at(run.plan.target.addr.port()), LONGER_IDLE.reaching(&expected)),
            }
        }
        Kind::Own | Kind::Sockbench => {
            let pause = Duration::from_secs(run.plan.think.max.as_secs().saturating_mul(2).max(75));
            advice(action, serve_with(run, |f| f.idle_timeout = Some(pause)), expected)
        }
    }
}

/// A server that keeps connections, where nothing is known of the target.
const ANY_KEEPS: &str = "gunicorn --worker-class gthread --keep-alive 75 app:app";

/// For a target that ends each connection although asked to keep it.
pub(crate) fn target_keeps(run: &RunResult, expected: String) -> Remedy {
    if closes_idle(run) {
        return Remedy { name: Some(Name::KeepAlive.word().into()), ..longer_idle(run, expected) };
    }
    match Kind::of(run) {
        Kind::Foreign => named(
            Name::KeepAlive,
            "let the target keep connections (it ends each after one answer): HTTP/1.1 without Connection: close, on a server that can",
            run.resources.target.as_ref().and_then(|t| keeps_connections(&t.name)).unwrap_or(ANY_KEEPS),
            expected,
        ),
        Kind::Own | Kind::Sockbench => named(
            Name::KeepAlive,
            "let the target keep connections (it ends each after one answer)",
            serve_with(run, |f| f.keepalive = Some(true)),
            expected,
        ),
    }
}

fn server_closes(at: &Situation<'_>) -> Option<Remedy> {
    let plan = &at.run.plan;
    let waits = plan.environment.server.closer == Some(ServerCloser::Client);
    (plan.closer == Closer::Client && !plan.keepalive).then(|| {
        let command = load_with(plan, |p| {
            p.closer = Closer::Server;
            if waits {
                p.environment.server.closer = Some(ServerCloser::Server);
            }
        });
        let remedy = named(
            Name::ServerCloses,
            "let the target close first: the client reads to the end, TIME_WAIT stays at the target",
            command,
            "T = 0: no source port stays in use after a connection, provided that the target really closes first",
        );
        // What another program does is not known here.
        if Kind::of(at.run) == Kind::Foreign { remedy } else { none_missing(remedy) }
    })
}

/// What P ports sustain with another T, in words too; `unknown` where P or T now is not known.
fn with_hold(at: &Situation<'_>, hold_s: f64, unknown: impl FnOnce() -> String) -> (Option<Budget>, String) {
    let to = figures::seconds(hold_s);
    at.budget().map_or_else(
        || (None, format!("T = {to}{}", unknown())),
        |now| {
            let then = Budget { hold: Budget::new(now.pool, hold_s).hold, ..now };
            (Some(then), format!("T = {to}: {}", sustains(now, then)))
        },
    )
}

fn delay_s(run: &RunResult) -> f64 {
    f64::from(run.host.sysctls.tcp_tw_reuse_delay_ms.unwrap_or(REUSE_DELAY_DEFAULT_MS)) / 1000.0
}

/// Reuse already decides T here.
fn is_reusing(at: &Situation<'_>) -> bool {
    at.hold_s.is_some_and(|hold| hold > 0.0 && hold < LINUX_HOLD_S)
}

fn reuse(at: &Situation<'_>) -> Option<Remedy> {
    let run = at.run;
    if is_reusing(at) || run.plan.port_mode == PortMode::Ring || at.hold_s.is_some_and(|hold| hold <= 0.0) {
        return None;
    }
    let to = delay_s(run);
    let (then, ceiling) = with_hold(at, to, || {
        let times = figures::number((LINUX_HOLD_S / to.max(0.001)).round());
        format!(" instead of {}: {times} times the ceiling", figures::seconds(LINUX_HOLD_S))
    });
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
        "choose the port in connect() (IP_BIND_ADDRESS_NO_PORT) with tcp_tw_reuse=1: reuse never helps bind(ip,0)"
    } else {
        "let connect() take ports in TIME_WAIT again (tcp_tw_reuse=1, needs timestamps)"
    };
    let windows = System::of(Os::Windows);
    let there = Budget::new(windows.pool, windows.short_hold_s).ceiling_cps();
    let remedy = named(
        Name::TwReuse,
        action,
        command,
        format!("{ceiling}; Windows, TcpTimedWaitDelay=30: {}/s (computed)", figures::rate(there)),
    );
    Some(leaving_known(remedy, then, at))
}

/// `remedy` with the budget of ports that it leaves, where that budget's P and T are known; unchanged where not.
fn leaving_known(remedy: Remedy, then: Option<Budget>, at: &Situation<'_>) -> Remedy {
    match then {
        Some(then) => leaving(remedy, then, at),
        None => remedy,
    }
}

fn reuse_delay(at: &Situation<'_>) -> Option<Remedy> {
    // The setting exists from 6.14 on; 100 ms is far above the peer's timestamp tick.
    const TO_MS: u32 = 100;
    let now = at.run.host.sysctls.tcp_tw_reuse_delay_ms?;
    (is_reusing(at) && now > TO_MS).then(|| {
        let to = f64::from(TO_MS) / 1000.0;
        let (then, expected) =
            with_hold(at, to, || format!(": {} times the ceiling", figures::number(f64::from(now) / f64::from(TO_MS))));
        let setting = [("net.ipv4.tcp_tw_reuse_delay", &*TO_MS.to_string())];
        let command = load_after_sysctl(&at.run.plan, &setting, |_| ());
        let remedy =
            named(Name::TwReuseDelay, "let ports in TIME_WAIT be taken again sooner (Linux 6.14 or later)", command, expected);
        leaving_known(remedy, then, at)
    })
}

fn source_ips(at: &Situation<'_>) -> Option<Remedy> {
    let (plan, b) = (&at.run.plan, at.budget()?);
    if b.hold.is_zero() || b.pool == 0 {
        return None;
    }
    let have = plan.sources.len().max(1) as f64;
    let binds = plan.port_mode == PortMode::Bind;
    let per_source = b.ceiling_cps() / have;
    let need = (at.wanted_cps / (PACE_SHARE * per_source)).ceil().clamp(have + 1.0, 62.0) as u32;
    let loopback = plan.target.addr.ip().is_loopback() && plan.target.addr.is_ipv4();
    // Long lists are typed as a block: a power of two less network and broadcast address.
    let need = if need <= 4 { need } else { (need + 2).next_power_of_two() - 2 };
    if loopback && need <= plan.sources.len() as u32 {
        return None;
    }
    let shared = if binds { " (with bind(ip,0) one for all destinations together)" } else { "" };
    let expected = format!(
        "each address has its own pool{shared}: {need} x {}/s = {}/s",
        figures::rate(per_source),
        figures::rate(f64::from(need) * per_source)
    );
    let action = format!("use {need} source addresses in turn");
    if !loopback {
        // Which addresses this machine has is not known here: a command with invented ones would be refused.
        let action = format!("{action}: --source with addresses of this machine, and --port-mode no-port");
        return Some(named(
            Name::SourceIps,
            action,
            "ip -brief address",
            format!("{expected} (computed); this lists the addresses"),
        ));
    }
    let command = load_with(plan, |p| {
        p.sources = (1..=need).map(|n| [127, 0, 0, n as u8].into()).collect();
        p.port_mode = if p.port_mode == PortMode::Auto { PortMode::NoPort } else { p.port_mode };
    });
    let ports = need.saturating_mul(b.pool / plan.sources.len().max(1) as u32);
    Some(against_demand(named(Name::SourceIps, action, command, expected), ports, f64::from(need) * per_source, at))
}

fn pace(at: &Situation<'_>) -> Option<Remedy> {
    let b = at.budget()?;
    let rate = below(b.ceiling_cps(), at)?;
    let expected = format!(
        "{} of the ceiling of {}/s: {} of {} ports in use, none missing",
        figures::share(PACE_SHARE),
        figures::rate(b.ceiling_cps()),
        figures::number(b.held_at(rate).round()),
        figures::count(b.pool)
    );
    let command = after_those_in_use(load_with(&at.run.plan, |p| p.rate = rate), at);
    let remedy =
        none_missing(named(Name::Pace, format!("stay below the ceiling: {}/s", figures::number(rate)), command, expected));
    // Where reuse decides T, a port in TIME_WAIT counts as in use for longer than it is missing.
    Some(if is_reusing(at) { remedy } else { remedy.promising(Prediction::at_most(Metric::PeakShare, HIGH_SHARE)) })
}

fn search_pace(at: &Situation<'_>) -> Option<Remedy> {
    let search = at.budget()?.search_cps();
    let rate = below(search, at)?;
    let expected = format!(
        "less than half of the pool in use: connect() stays near 12 us (it slows down above {}/s)",
        figures::rate(search)
    );
    let command = after_those_in_use(load_with(&at.run.plan, |p| p.rate = rate), at);
    let remedy = named(Name::Pace, format!("stay below half of the ceiling: {}/s", figures::number(rate)), command, expected);
    Some(none_missing(remedy))
}

/// A rate leaves room only where the ports of the run before are free: in a private namespace, or after T.
fn after_those_in_use(command: Command, at: &Situation<'_>) -> Command {
    let hold_s = at.hold_s.filter(|hold| *hold >= NOTICEABLE_S && !at.run.plan.environment.sandbox);
    match hold_s {
        Some(seconds) => command.after(&format!("sleep {}", seconds.ceil())),
        None => command,
    }
}

/// The rate to keep below a ceiling; none where there is no ceiling, or the plan asks for less already.
fn below(ceiling: f64, at: &Situation<'_>) -> Option<f64> {
    let aim = PACE_SHARE * ceiling;
    // Whole connections per second, and tenths where there are only a few.
    let rate = if aim < 10.0 { (aim * 10.0).floor() / 10.0 } else { aim.floor() };
    let plan = &at.run.plan;
    (rate.is_finite() && rate > 0.0 && !(plan.is_open_loop() && plan.rate <= rate)).then_some(rate)
}

fn fresh_namespace(at: &Situation<'_>) -> Option<Remedy> {
    let run = at.run;
    let left = run.ports.as_ref().and_then(|p| p.leftover_before).unwrap_or(0);
    // A namespace has one address 127.0.0.1 and sockbench's own server, and starts with the kernel's own settings.
    let fits = run.plan.target.own_server && run.plan.sources.iter().all(std::net::IpAddr::is_loopback);
    (fits && !run.plan.environment.sandbox).then(|| {
        let expected = at.pool.map_or_else(
            || "an empty pool at the start".to_owned(),
            |p| {
                let (p, left) = (figures::count(p), figures::count(left));
                format!("starts with 0 of {p} ports in use ({left} here); with the same settings the ceiling is the same")
            },
        );
        let command = load_with(&run.plan, |p| {
            p.environment.sandbox = true;
            for (key, value) in own_settings(run) {
                p.environment.set_sysctl(key, &value);
            }
        });
        let action = "run in a private network namespace: nothing is left over from earlier runs";
        named(Name::FreshNamespace, action, command, expected)
    })
}

/// Settings of this host that decide about ports and differ from those that a new namespace starts with.
fn own_settings(run: &RunResult) -> Vec<(&'static str, String)> {
    let s = &run.host.sysctls;
    let mut own = Vec::new();
    let mut differs = |key, now: Option<u32>, fresh: u32| own.extend(now.filter(|n| *n != fresh).map(|n| (key, n.to_string())));
    differs("net.ipv4.tcp_tw_reuse", s.tcp_tw_reuse, 2);
    differs("net.ipv4.tcp_tw_reuse_delay", s.tcp_tw_reuse_delay_ms, REUSE_DELAY_DEFAULT_MS);
    differs("net.ipv4.tcp_timestamps", s.tcp_timestamps, 1);
    let range = s.ip_local_port_range.filter(|r| *r != [32_768, 60_999]);
    own.extend(range.map(|[lo, hi]| ("net.ipv4.ip_local_port_range", format!("{lo} {hi}"))));
    own
}

fn wait(at: &Situation<'_>) -> Option<Remedy> {
    let seconds = at.hold_s?;
    // A private namespace starts empty every time.
    (seconds > 0.0 && !at.run.plan.environment.sandbox).then(|| {
        let ports = at.pool.map_or_else(|| "ports".into(), |p| figures::counted(p, "port"));
        let expected = format!("after {} all {ports} are free; the ceiling stays the same", figures::seconds(seconds));
        let command = load_with(&at.run.plan, |_| ()).after(&format!("sleep {}", seconds.ceil()));
        named(Name::Wait, format!("wait {} between runs", figures::seconds(seconds)), command, expected)
    })
}
