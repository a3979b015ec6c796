//! `sockbench server`.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};

use super::log::{self, Level};
use super::{Exit, server_summary};
use crate::model::figures::{self, count, counted};
use crate::model::outcome::{errno_name, errno_text};
use crate::model::plan::{CpuWork, Pinning, ServerCloser, ServerPlan};
use crate::model::server_flags as flag;
use crate::model::units::{self, Span, span};
use crate::model::{document, limits};
use crate::report::plan_text;
use crate::server::pools::Pin;
use crate::server::shortage::{Change, Shortage};
use crate::server::{BindError, Handle, Server};
use crate::sys::clock::{self, Clock};
use crate::sys::nofile::{self, Raised};
use crate::sys::service::{self, State};
use crate::sys::signals::{Hangup, StopFlag};
use crate::sys::{terminal, thread};

/// Serve three endpoints to test against: /health answers at once, /io sleeps, /cpu computes.
///
/// The first lines on stdout are `listening on http://ADDR`, one for each --listen, then `admin on http://ADDR`. SIGINT,
/// SIGTERM, and SIGHUP at a terminal, finish the open requests first; another SIGINT or SIGTERM, a second or more later, ends the
/// server at once. As a service of systemd it says when it is ready, when it ends and that it still turns (Type=notify), and takes
/// sockets that were opened for it.
#[derive(Debug, clap::Args)]
// Of two equal flags the last one wins: the flags of a study's plan come before those of its command line.
#[command(args_override_self = true, after_long_help = format!("Fixed limits: {}", plan_text::server_fixed_limits()))]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) server: Args,
    /// How stderr is written: lines for people, or a JSON object a line
    #[arg(long, hide_short_help = true, value_name = "text|json", value_enum, default_value_t, hide_possible_values = true)]
    log: log::Form,
}

/// What is served, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(help = format!("Address to listen on, port 0 for a free one; may be repeated [default: {LISTEN}]"))]
    #[arg(long, value_name = "ADDR", value_parser = flag::address)]
    listen: Vec<SocketAddr>,
    /// Address of the admin port, which serves /metrics [default: none]
    #[arg(long, value_name = "ADDR", value_parser = flag::address)]
    admin: Option<SocketAddr>,
    /// Event loops; above one they share the port by SO_REUSEPORT
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = 1, value_parser = flag::at_most::<{ limits::REACTORS_MAX }>)]
    reactors: usize,
    /// Give each event loop a core, and the connections that are opened on it: auto, off
    #[arg(long, hide_short_help = true, value_name = "auto|off", default_value = "off", value_parser = flag::pin)]
    pin: Pinning,
    /// Poll for events all the time instead of sleeping: on, off
    ///
    /// Each event loop uses a whole core; the client needs another. Requests are seen sooner, which matters with few connections.
    #[arg(long, hide_short_help = true, value_name = "on|off", default_value = "off", num_args = 0..=1, default_missing_value = "on", value_parser = flag::on_off, action = clap::ArgAction::Set)]
    busy_poll: bool,
    #[arg(help = format!("Backlog of listen(2); the kernel clamps it to net.core.somaxconn [default: {}]", limits::LISTEN_BACKLOG))]
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = flag::backlog)]
    backlog: Option<i32>,

    #[arg(help = format!("Threads of the blocking pool, at most {}", count(limits::WORKERS_MAX as u64)))]
    #[arg(long, value_name = "N", default_value_t = limits::IO_WORKERS, value_parser = flag::at_most::<{ limits::WORKERS_MAX }>, help_heading = "Work")]
    io_workers: usize,
    /// How long one /io request sleeps; `/io?ms=N` asks for another time, up to 10s
    #[arg(long, value_name = "DURATION", default_value_t = Span(limits::IO_SLEEP), value_parser = span, help_heading = "Work")]
    io_sleep: Span,
    #[arg(help = format!("Threads of the CPU pool, at most {} [default: one per core]", count(limits::WORKERS_MAX as u64)))]
    #[arg(long, value_name = "N", value_parser = flag::at_most::<{ limits::WORKERS_MAX }>, help_heading = "Work")]
    cpu_workers: Option<usize>,
    /// Pin each CPU worker to a core
    #[arg(long, hide_short_help = true, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, help_heading = "Work")]
    cpu_pin: bool,
    /// CPU time of one /cpu request, calibrated once at start
    #[arg(long, value_name = "DURATION", default_value_t = Span(limits::CPU_WORK), value_parser = span, help_heading = "Work")]
    cpu_work: Span,
    /// Iterations of one /cpu request [default: calibrated to --cpu-work]
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = units::count, conflicts_with = "cpu_work", help_heading = "Work")]
    cpu_iterations: Option<u64>,
    #[arg(help = format!("Jobs that may wait in each pool, at most {}; 503 beyond", count(limits::QUEUE_MAX as u64)))]
    #[arg(long, value_name = "N", default_value_t = limits::QUEUE, value_parser = flag::at_most::<{ limits::QUEUE_MAX }>, help_heading = "Work")]
    queue: usize,

    /// Keep connections open: on, or off to answer with `Connection: close`
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = flag::on_off, action = clap::ArgAction::Set, help_heading = "Connections")]
    keepalive: bool,
    /// Which side closes first when a connection is not kept
    #[arg(long, value_name = "server|client", default_value = "server", value_parser = flag::closer, help_heading = "Connections")]
    closer: ServerCloser,
    #[arg(help = format!("Connections at once, at most {}; further ones wait in the backlog", count(limits::MAX_CONNS_MAX as u64)))]
    #[arg(long, value_name = "N", default_value_t = limits::MAX_CONNS, value_parser = flag::at_most::<{ limits::MAX_CONNS_MAX }>, help_heading = "Connections")]
    max_conns: usize,
    /// Time for a whole request head, from its first byte (408)
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value_t = Span(limits::HEADER_TIMEOUT), value_parser = span, help_heading = "Connections")]
    header_timeout: Span,
    /// Time until the next request on a kept connection
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value_t = Span(limits::IDLE_TIMEOUT), value_parser = span, help_heading = "Connections")]
    idle_timeout: Span,
    /// Time between two reads of a request body; ten times as long for the whole body (408)
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value_t = Span(limits::BODY_TIMEOUT), value_parser = span, help_heading = "Connections")]
    body_timeout: Span,
    /// Time between two writes that make progress
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value_t = Span(limits::WRITE_TIMEOUT), value_parser = span, help_heading = "Connections")]
    write_timeout: Span,
    /// Time for open requests after the first signal
    #[arg(long, value_name = "DURATION", default_value_t = Span(limits::DRAIN_TIMEOUT), value_parser = span, help_heading = "Connections")]
    drain_timeout: Span,

    /// Longest request head (431)
    #[arg(long, hide_short_help = true, value_name = "BYTES", default_value_t = limits::HEAD_BYTES, value_parser = flag::head_bytes, help_heading = "Limits")]
    head_bytes: usize,
    /// Most fields in a head (431)
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = limits::HEAD_FIELDS, value_parser = flag::at_most::<{ limits::HEAD_FIELDS_MAX }>, help_heading = "Limits")]
    head_fields: usize,
    /// Longest request target (414)
    #[arg(long, hide_short_help = true, value_name = "BYTES", default_value_t = limits::TARGET_BYTES, value_parser = flag::at_most::<{ limits::TARGET_BYTES_MAX }>, help_heading = "Limits")]
    target_bytes: usize,
    /// Longest request body (413)
    #[arg(long, hide_short_help = true, value_name = "BYTES", default_value_t = limits::BODY_BYTES, value_parser = units::count, help_heading = "Limits")]
    body_bytes: u64,
}

/// Where it listens unless it is asked to listen elsewhere.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Between two looks at accept(2).
const SHORTAGE_LOOK: Duration = Duration::from_millis(200);
/// Descriptors that must be left when the server listens.
const DESCRIPTORS_LEAST: u64 = 4;

impl Args {
    /// The flags that are about sockets of its own, as they were typed: sockets that are given listen already.
    fn about_own_sockets(&self) -> Vec<String> {
        let pin = (self.pin == Pinning::Auto).then(|| "--pin auto".to_owned());
        self.listen
            .iter()
            .map(|addr| format!("--listen {addr}"))
            .chain(self.backlog.map(|n| format!("--backlog {n}")))
            .chain(pin)
            .collect()
    }

    /// The plan, with defaults filled in.
    pub(crate) fn plan(self) -> ServerPlan {
        ServerPlan {
            cpu_workers: self.cpu_workers.unwrap_or_else(|| thread::cores().len().max(1)),
            cpu_work: self.cpu_iterations.map_or(CpuWork::CalibrateS(self.cpu_work.0), CpuWork::Iterations),
            listen: if self.listen.is_empty() { vec![LISTEN] } else { self.listen },
            admin: self.admin,
            reactors: self.reactors,
            pin: self.pin,
            busy_poll: self.busy_poll,
            io_workers: self.io_workers,
            cpu_pin: self.cpu_pin,
            io_sleep: self.io_sleep.0,
            queue: self.queue,
            max_conns: self.max_conns,
            backlog: self.backlog.unwrap_or(limits::LISTEN_BACKLOG),
            keepalive: self.keepalive,
            closer: self.closer,
            header_timeout: self.header_timeout.0,
            idle_timeout: self.idle_timeout.0,
            body_timeout: self.body_timeout.0,
            write_timeout: self.write_timeout.0,
            drain_timeout: self.drain_timeout.0,
            head_bytes: self.head_bytes,
            head_fields: self.head_fields,
            target_bytes: self.target_bytes,
            body_bytes: self.body_bytes,
        }
    }
}

/// Serves until a signal; exit 0 after the drain, 1 when the drain cut requests, 3 when the server cannot start.
pub(crate) fn run(args: Run) -> Result<u8, Exit> {
    log::choose(args.log);
    let about_sockets = args.server.about_own_sockets();
    let plan = args.server.plan();
    check_descriptors(&plan);
    let given = service::take_listeners().map_err(|e| Exit::environment(format!("sockets of the service manager: {e}")))?;
    if !given.is_empty() && !about_sockets.is_empty() {
        let given = counted(given.len() as u64, "socket");
        let text =
            format!("the service manager opened {given} to serve, so these flags are ignored: {}", about_sockets.join(", "));
        log::say(Level::Warning, "ignored-flags", &text, json!({ "flags": about_sockets }));
    }
    let server = Server::bind(&plan, &given).map_err(refused)?;
    // A drain closes the server's own copies: the last of them ends the listening, unless the manager goes on.
    drop(given);
    check_room()?;
    watch_shortage(server.handle());
    let stopping = server.handle();
    let begin_drain = move || {
        stopping.stop();
        report_to_manager(State::Stopping);
    };
    let hangup = if terminal::is_controlled() { Hangup::Stops } else { Hangup::Only(go_on) };
    StopFlag::install_with(hangup, Box::new(begin_drain))
        .map_err(|e| Exit::environment(format!("install signal handlers: {e}")))?;
    say_plan(&plan, &server);
    announce(&server).map_err(|e| Exit::environment(format!("write to stdout: {e}")))?;
    let addrs: Vec<String> = server.addrs().iter().map(|a| format!("http://{a}")).collect();
    report_to_manager(State::Ready(&format!("listening on {}", addrs.join(", "))));
    watch_loops(server.handle());
    let say_shared = |why: nix::Error| {
        let errno = why as i32;
        let text = format!("unshare(CLONE_FILES): {}: each answer costs a little more CPU", errno_text(errno));
        log::say(Level::Info, "shared-descriptors", &text, json!({ "errno": errno, "name": errno_name(errno) }));
    };
    let summary = server.run_alone(say_shared).map_err(|e| Exit::environment(format!("serve: {e}")))?;
    server_summary::say(&summary);
    let cut = summary.cut();
    if cut > 0 {
        let after = figures::span(plan.drain_timeout);
        let text = format!("the drain cut {} after {after}: --drain-timeout gives more time", counted(cut, "connection"));
        log::say(Level::Warning, "drain-cut", &text, json!({ "connections": cut }));
    }
    Ok(u8::from(cut > 0))
}

/// A SIGHUP where no terminal can have gone.
fn go_on() {
    log::say(Level::Info, "sighup", "SIGHUP: no terminal and no file to read again: the server goes on", Value::Null);
}

/// A service manager that takes nothing is no reason to end.
fn report_to_manager(state: State<'_>) {
    if let Err(e) = service::report(state) {
        log::say(Level::Warning, "manager", &format!("the service manager was not notified: {e}"), Value::Null);
    }
}

/// Where a service manager watches: says that the server is alive as long as each of its event loops turns.
fn watch_loops(handle: Handle) {
    let Some(patience) = service::read_watchdog() else { return };
    let watch = move || {
        loop {
            let before = handle.wake();
            clock::sleep(patience / 3);
            if handle.has_turned_since(&before) {
                report_to_manager(State::Alive);
            }
        }
    };
    if let Err(e) = thread::start("watchdog", Box::new(watch)) {
        log::say(Level::Warning, "watchdog", &format!("nobody says that the server is alive: {e}"), Value::Null);
    }
}

/// Says when connections begin to wait because accept(2) fails, and when that is over. The thread ends with the process.
fn watch_shortage(handle: Handle) {
    let watch = move || {
        let (clock, mut shortage) = (Clock::start(), Shortage::default());
        loop {
            clock::sleep(SHORTAGE_LOOK);
            let (pauses, errno) = handle.accept_pauses();
            match shortage.look(clock.now(), pauses, errno) {
                Some(Change::Began(errno)) => {
                    let name = errno_name(errno);
                    let text = format!("accept: {} ({name}): new connections wait", errno_text(errno));
                    log::say(Level::Warning, "accept-fails", &text, json!({ "errno": errno, "name": name }));
                }
                Some(Change::Ended(after, pauses)) => {
                    let (length, pauses_of) = (figures::span(after), counted(pauses, "pause"));
                    let text = format!("accept: no failure for a second, after {length} and {pauses_of}");
                    log::say(Level::Info, "accept-works", &text, json!({ "after_s": after.as_secs_f64(), "pauses": pauses }));
                }
                None => {}
            }
        }
    };
    // Without this thread the table at the end has the count.
    let _ = thread::start("shortage", Box::new(watch));
}

/// The lines that a parent process waits for.
fn announce(server: &Server) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for addr in server.addrs() {
        writeln!(out, "listening on http://{addr}")?;
    }
    if let Some(addr) = server.admin_addr() {
        writeln!(out, "admin on http://{addr}")?;
    }
    out.flush()
}

/// What it is, before it serves.
fn say_plan(plan: &ServerPlan, server: &Server) {
    let mut fields = json!({ "addresses": server.addrs(), "admin_address": server.admin_addr(), "pid": std::process::id() });
    fields["plan"] = document::as_value(plan).unwrap_or_default();
    log::say(Level::Info, "listening", plan_text::render_server_plan(plan).trim_end(), fields);
    let iterations = server.cpu_iterations();
    let text = match plan.cpu_work {
        CpuWork::CalibrateS(goal) => {
            format!("/cpu: {}, calibrated to {} of CPU time", counted(iterations, "iteration"), figures::span(goal))
        }
        CpuWork::Iterations(_) => format!("/cpu: {}", counted(iterations, "iteration")),
    };
    log::say(Level::Info, "cpu-work", &text, json!({ "iterations": iterations }));
    for Pin { worker, core, granted } in server.pins() {
        let fields = json!({ "worker": worker, "core": core });
        if *granted {
            log::say(Level::Info, "pinned", &format!("cpu worker {worker}: pinned to core {core}"), fields);
        } else {
            let text = format!("cpu worker {worker}: not allowed on core {core}; the kernel chooses its core");
            log::say(Level::Warning, "not-pinned", &text, fields);
        }
    }
    if plan.cpu_pin && server.pins().is_empty() {
        let text = "the allowed cores cannot be read: CPU workers are not pinned";
        log::say(Level::Warning, "not-pinned", text, Value::Null);
    }
}

/// Each connection is a descriptor: too few are reported now, not under load.
fn check_descriptors(plan: &ServerPlan) {
    // Threads need none; polls, wakers, listeners and stdio a few.
    let needed = plan.max_conns as u64 + 64;
    match nofile::raise() {
        Ok(Raised { to: limit, .. }) if limit < needed => {
            let conns = plan.max_conns;
            let text = format!("{limit} descriptors are allowed, --max-conns {conns} may need {needed}: raise `ulimit -n`");
            log::say(Level::Warning, "few-descriptors", &text, json!({ "limit": limit, "needed": needed }));
        }
        Ok(Raised { from, to }) if from < to => {
            let text = format!("descriptors: the soft limit was raised from {} to {}, the hard one", count(from), count(to));
            log::say(Level::Info, "descriptors", &text, json!({ "from": from, "to": to }));
        }
        Ok(_) => {}
        Err(e) => {
            let text = format!("the limit of descriptors cannot be read: {e}");
            log::say(Level::Warning, "few-descriptors", &text, Value::Null);
        }
    }
}

/// A server that has no descriptor left for a connection serves nobody.
fn check_room() -> Result<(), Exit> {
    // What cannot be counted cannot be refused.
    let (Ok(Raised { to: limit, .. }), Ok(open)) = (nofile::raise(), nofile::read_open()) else { return Ok(()) };
    if open + DESCRIPTORS_LEAST <= limit {
        return Ok(());
    }
    let message = format!("{limit} descriptors are allowed and the server itself has {open} open: none is left for connections");
    Err(Exit::environment(message).hint("`ulimit -n 1024` or more"))
}

fn refused(e: BindError) -> Exit {
    let exit = Exit::environment(e.to_string());
    match e {
        BindError::Listen { addr, source } => match source.kind() {
            io::ErrorKind::AddrInUse => exit.hint(format!(
                "another process has port {0}: `ss -ltnp 'sport = :{0}'` shows it; {1}:0 takes a free one",
                addr.port(),
                addr.ip()
            )),
            io::ErrorKind::PermissionDenied => exit.hint("ports below 1024 need a privilege; choose a higher port"),
            io::ErrorKind::AddrNotAvailable => exit.hint("that address is not one of this host; 127.0.0.1 always is"),
            _ => exit,
        },
        BindError::Setup(_) => exit,
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};
    use proptest::prelude::*;

    use super::Args;
    use crate::cli::load::server_flags;
    use crate::cli::server_plan;
    use crate::model::server_flags::ServerFlags;

    fn names() -> Vec<String> {
        let command = Args::augment_args(Command::new("server"));
        command.get_arguments().filter_map(|a| a.get_long().map(str::to_owned)).collect()
    }

    #[test]
    fn typed_flags_know_every_flag_of_the_command() {
        let unknown = |name: &String| ServerFlags::default().set(name, "?") == Err("no flag of sockbench server".into());
        let missing: Vec<String> = names().into_iter().filter(unknown).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    fn flag() -> impl Strategy<Value = [String; 2]> {
        let durations = ["1.5s", "0", "20ms", "1h30m", "2us"];
        let words = ["on", "off", "true", "false", "server", "client", "127.0.0.1:0", "[::1]:80", "soon", "-1", ""];
        let counts = ["1", "10k", "1.5M", "300", "9000", "2000000", "3000000000"];
        let value = prop::sample::select([&durations[..], &words, &counts].concat());
        (prop::sample::select(names()), value).prop_map(|(name, value)| [format!("--{name}"), value.to_owned()])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// One reading of a flag: what the command takes the typed flags take, and typing them again is the same server.
        #[test]
        fn typed_flags_are_the_command_s_own(words in prop::collection::vec(flag(), 1..4)) {
            let words = words.concat();
            if let Ok(plan) = server_plan(&words) {
                let flags = server_flags("--server", &words).map_err(|e| TestCaseError::fail(e.message))?;
                let again = server_plan(&flags.arguments()).map_err(|e| TestCaseError::fail(e.message))?;
                prop_assert_eq!(again, plan);
                let stored = serde_json::to_string(&flags).map_err(|e| TestCaseError::fail(e.to_string()))?;
                prop_assert_eq!(serde_json::from_str::<ServerFlags>(&stored).ok(), Some(flags), "{}", stored);
            }
        }
    }
}
