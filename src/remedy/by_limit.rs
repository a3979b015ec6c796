//! What to do about the limit that another program's error text shows: the change in that program first, then settings
//! of its system, then what sockbench can show.
//!
//! Linux: measured. Windows and macOS: documentation.

use super::PACE_SHARE;
use super::catalogue::{Name, Row, Way};
use super::placeholders::filled;
use super::program_steps::change;
use super::programs::Program;
pub use super::step::Network;
use super::step::{Hit, Step, V4};
use super::steps::steps;
use super::systems::System;
use crate::model::address::Address;
use crate::model::budget::Budget;
use crate::model::explanation::{Arithmetic, Certainty, FailedCall, Limit, Os, Reading, Side};
use crate::model::figures::{self, hold};
use crate::model::finding::Remedy;

/// Remedies for the limits of these readings, those of the most frequent first; each once. Other readings of a text
/// count only where it is open between them. A text that shows no system is taken for one of Linux, with the commands of
/// the others beside it.
pub fn for_readings(readings: &[Reading], arithmetic: Option<&Arithmetic>, os: Option<Os>) -> Vec<Remedy> {
    let law = arithmetic.map(|a| Budget::new(a.pool, a.hold_s));
    let mut out: Vec<Remedy> = Vec::new();
    for reading in readings {
        let open = reading.certainty == Certainty::Ambiguous;
        let program = reading.tool.as_deref().and_then(Program::of_tool);
        let exactly = |limit| reading.exactly.filter(|_| limit == reading.limit);
        let (v4, network) = (Hit::v4(reading.address.as_ref()), Network::Machine);
        let hit = |limit, call| Hit {
            limit,
            exactly: exactly(limit),
            table: reading.table,
            call,
            side: reading.side,
            program,
            v4,
            network,
        };
        let first = hit(reading.limit, reading.call);
        let others = reading.alternatives.iter().filter(|_| open);
        let others = others.map(|a| hit(a.limit, a.call)).filter(|h| h.limit != first.limit);
        let all = std::iter::once(first).chain(others).flat_map(|hit| for_hit(hit, law, os));
        for remedy in all.map(|remedy| with_address(remedy, reading.address.as_ref())) {
            if !out.iter().any(|r| r.action == remedy.action) {
                out.push(remedy);
            }
        }
    }
    out
}

/// Remedies for a limit that a program on Linux was seen to hit in `network`, its own change first; `tool` as readings name it.
pub fn for_program(tool: Option<&str>, limit: Limit, call: FailedCall, law: Option<Budget>, network: Network) -> Vec<Remedy> {
    let program = tool.and_then(Program::of_tool);
    let hit = Hit { limit, exactly: None, table: None, call, side: Some(Side::Client), program, v4: V4::No, network };
    for_hit(hit, law, Some(Os::Linux))
}

fn for_hit(hit: Hit, law: Option<Budget>, os: Option<Os>) -> Vec<Remedy> {
    if hit.limit == Limit::LocalPorts {
        return law.map_or_else(Vec::new, |law| for_ports(hit, law, os));
    }
    let in_program = change(hit);
    // What the program's own change says already is not said again in general.
    let general = steps(hit).iter().filter(|step| step.fits(hit)).filter_map(|step| on(step, os, hit.network));
    let general = general
        .filter(|r| in_program.is_none() || !(r.command.is_empty() && r.windows_command.is_none() && r.macos_command.is_none()));
    in_program.clone().into_iter().chain(general).collect()
}

/// With the address that the text shows in its commands.
fn with_address(remedy: Remedy, address: Option<&Address>) -> Remedy {
    let fill = |command: String| filled(&command, address);
    Remedy {
        command: fill(remedy.command),
        windows_command: remedy.windows_command.map(fill),
        macos_command: remedy.macos_command.map(fill),
        ..remedy
    }
}

/// None where it does not apply on `os`.
fn on(step: &Step, os: Option<Os>, network: Network) -> Option<Remedy> {
    let way = match os {
        Some(Os::Linux) | None => step.linux,
        Some(Os::Windows) => step.windows,
        Some(Os::Macos) => step.macos,
    };
    if let Way::No(_) = way {
        return None;
    }
    let base = Remedy { action: step.action.into(), expected: step.expected.into(), ..Remedy::default() };
    Some(with_commands(base, [step.linux, step.windows, step.macos], os, network))
}

/// Commands for the system of the text; all of them where it shows none.
fn with_commands(remedy: Remedy, [linux, windows, macos]: [Way; 3], os: Option<Os>, network: Network) -> Remedy {
    let fits = |system| os.is_none_or(|os| os == system);
    let text = |way: Way, fits: bool| network.typed(way).filter(|_| fits);
    // sockbench runs on Linux and shows there what another program meets elsewhere.
    let shows = linux.command().is_some_and(|line| line.starts_with("sockbench "));
    Remedy {
        command: text(linux, fits(Os::Linux) || shows).unwrap_or_default(),
        windows_command: text(windows, fits(Os::Windows)),
        macos_command: text(macos, fits(Os::Macos)),
        ..remedy
    }
}

/// What helps where connect(), or bind() to port 0, finds no port: the program first, then its system, then less load.
fn for_ports(hit: Hit, law: Budget, shown: Option<Os>) -> Vec<Remedy> {
    let os = shown.unwrap_or(Os::Linux);
    let binds = hit.call == FailedCall::Bind && os == Os::Linux;
    let (pool, hold_s, ceiling_cps) = (law.pool, law.hold.as_secs_f64(), law.limit_cps().unwrap_or(f64::MAX));
    let system = System::of(os);
    let now = figures::rate(ceiling_cps);
    let sustains = |pool: u32, hold_s: f64| {
        let then = Budget::new(pool, hold_s);
        format!("{}/s instead of {now}/s", figures::rate(then.ceiling_cps()))
    };
    let row = |name: Name, action: &str, expected: String| {
        let row = name.row();
        let base = Remedy {
            name: Some(name.word().into()),
            action: action.into(),
            expected,
            price: price(row, os),
            ..Remedy::default()
        };
        with_commands(base, [row.linux, row.windows, row.macos], shown, hit.network)
    };
    let mut out = vec![
        kept(hit.program, &now, shown),
        row(
            Name::ServerCloses,
            "let the server close first, the client reading to the end",
            format!("TIME_WAIT stays at the server: no source port stays in use, the limit of {now}/s is gone"),
        ),
    ];
    // tcp_tw_reuse never helps bind() (measured): choosing the port in connect() comes first.
    if binds {
        out.push(row(
            Name::NoPort,
            "choose the port in connect(), not in bind(): IP_BIND_ADDRESS_NO_PORT on the socket, or bind no address at all",
            format!("{now}/s to each destination, instead of to all together; and tcp_tw_reuse can help then"),
        ));
    } else if hold_s > system.short_hold_s {
        let shorter = match os {
            Os::Linux => "let connect() take ports in TIME_WAIT again (needs timestamps; does not help bind())",
            Os::Windows => "shorten TIME_WAIT (TcpTimedWaitDelay, 30 s at least; reboot)",
            Os::Macos => "shorten TIME_WAIT for the test (net.inet.tcp.msl, milliseconds; 15000 before; TIME_WAIT is twice that)",
        };
        let with = if os == Os::Windows {
            format!(
                "; with the wider range {}/s",
                figures::rate(Budget::new(system.wide_pool, system.short_hold_s).ceiling_cps())
            )
        } else {
            String::new()
        };
        let then = sustains(pool, system.short_hold_s);
        out.push(row(Name::TwReuse, shorter, format!("T = {}: {then}{with}", hold(system.short_hold_s))));
    }
    let ports = figures::number(f64::from(system.wide_pool));
    let wider = if os == Os::Windows { "widen the range of dynamic ports" } else { "widen the range of source ports" };
    out.push(row(Name::WiderRange, wider, format!("{ports} ports: {}", sustains(system.wide_pool, hold_s))));
    if os == Os::Linux {
        out.push(row(
            Name::Ring,
            "explicit ports, one after the other, with SO_REUSEADDR on every socket",
            format!("a port is free at once: T = 0 instead of {}", hold(hold_s)),
        ));
    }
    if !binds {
        out.push(row(
            Name::SourceIps,
            "spread over several source addresses, each bound before connect()",
            format!("2 addresses: {}/s instead of {now}/s", figures::rate(2.0 * law.ceiling_cps())),
        ));
    }
    let pace = PACE_SHARE * ceiling_cps;
    let pace = if pace < 10.0 { (pace * 10.0).floor() / 10.0 } else { pace.floor() };
    let stay = row(
        Name::Pace,
        &format!("stay below the ceiling: at most {} new connections/s", figures::number(pace)),
        format!("{} of {} ports in use", figures::number(law.held_at(pace).round()), figures::number(f64::from(pool))),
    );
    out.push(Remedy { command: format!("sockbench load URL --no-keepalive --rate {pace}"), ..stay });
    let wait = row(
        Name::Wait,
        &format!("wait {} between runs", figures::seconds(hold_s)),
        format!("all {} ports are free again; the ceiling stays {now}/s", figures::number(f64::from(pool))),
    );
    let pause = format!("sleep {}", hold_s.ceil());
    out.push(match os {
        Os::Windows => Remedy { windows_command: Some(format!("timeout /t {}", hold_s.ceil())), ..wait },
        Os::Linux => Remedy { command: pause, windows_command: None, macos_command: None, ..wait },
        Os::Macos => Remedy { macos_command: Some(pause), ..wait },
    });
    out
}

/// Kept connections by a change of the server, by the name of its process; none where nothing is known of it.
pub fn kept_by_server(process: &str, ceiling_cps: f64) -> Option<Remedy> {
    Some(kept(Some(Program::of_server(process)?), &figures::rate(ceiling_cps), Some(Os::Linux)))
}

/// Kept connections: the change in the program where it is known.
fn kept(program: Option<Program>, now: &str, shown: Option<Os>) -> Remedy {
    let os = shown.unwrap_or(Os::Linux);
    let row = Name::KeepAlive.row();
    let base = Remedy {
        name: Some(Name::KeepAlive.word().into()),
        expected: format!("one port per user instead of one per request: the limit of {now}/s is gone"),
        price: price(row, os),
        ..Remedy::default()
    };
    if let Some(program) = program {
        let keep = program.keep();
        return Remedy { action: keep.action.into(), change: Some(keep.change.into()), ..base };
    }
    let action = "keep connections open and reuse them: one session or pooled client for all requests of a user; the server must not send Connection: close";
    with_commands(Remedy { action: action.into(), ..base }, [row.linux, row.windows, row.macos], shown, Network::Machine)
}

/// What is given up; what to mind is about Linux.
fn price(row: Row, os: Os) -> Option<String> {
    if os == Os::Linux { row.costs() } else { Some(row.price.to_owned()).filter(|price| !price.is_empty()) }
}
