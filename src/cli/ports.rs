//! `sockbench ports`: the port budget now, or at a rate.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Exit, files, ports_serve, target};
use crate::diagnose::ports::budget::Budget;
use crate::diagnose::ports::hold::{CAPPED, hold};
use crate::diagnose::ports::pool::{PortUse, pool};
use crate::model::address::{Address, Port};
use crate::model::budget::LINUX_HOLD_S;
use crate::model::figures::{self, count, counted, span};
use crate::model::plan::Target;
use crate::model::ports_report::PortsReport;
use crate::model::server_flags::address;
use crate::model::units;
use crate::observe::{baseline, listing};
use crate::report::text::{Page, render_forecast, render_ports};
use crate::sys::signals::StopFlag;
use crate::sys::{clock, sysctl};

/// Destinations listed unless --all.
const ROWS: usize = 20;
/// Length of a prediction when none is asked for.
const PREDICT_DURATION: Duration = Duration::from_mins(3);
/// Shortest interval of --watch: one look costs up to 10 ms.
const WATCH_MIN: Duration = Duration::from_millis(100);
/// How often a waiting --watch checks whether it should end.
const STOP_POLL: Duration = Duration::from_millis(50);

/// Show the port budget: how many source ports there are, what uses them, and when they are free again.
///
/// Without ADDR it lists every destination that uses ports, the largest first. With --predict it computes what a rate of
/// new connections leads to: the ceiling, when the ports run out, how long nothing connects, and when it recurs. No root
/// is needed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this destination: IP:PORT, NAME:PORT or an http:// URL
    #[arg(value_name = "ADDR")]
    destination: Option<String>,
    /// The same as ADDR
    #[arg(long, value_name = "ADDR", conflicts_with = "destination")]
    to: Option<String>,
    /// Look again at this interval (100ms or more), until Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = watch_every, num_args = 0..=1, default_missing_value = "1s", conflicts_with = "predict")]
    watch: Option<Duration>,
    /// List all destinations, however many
    #[arg(long)]
    all: bool,
    #[arg(help = format!("Serve the figures to Prometheus at http://ADDR/metrics [default ADDR: {}]", ports_serve::ADDRESS))]
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = ports_serve::ADDRESS, value_parser = address, conflicts_with_all = ["predict", "watch", "json", "destination", "to", "all"])]
    serve: Option<SocketAddr>,
    #[arg(help = format!("Destinations with figures of their own, the rest summed [default: {ROWS}]"))]
    #[arg(long, value_name = "N", requires = "serve")]
    top: Option<usize>,
    /// Write the result as JSON to FILE ("-" or no FILE: stdout); with --watch one line for each look
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    #[command(flatten)]
    sandbox: super::sandbox::SandboxArgs,
    /// No colours
    #[arg(long)]
    no_color: bool,
    /// Predict what happens at this many new connections per second
    #[arg(long, value_name = "RATE", value_parser = rate, help_heading = "Prediction")]
    predict: Option<f64>,
    /// Source ports [default: this host's pool; Windows: 16384]
    #[arg(long, value_name = "PORTS", value_parser = clap::value_parser!(u32).range(1..), requires = "predict", help_heading = "Prediction")]
    pool: Option<u32>,
    /// T: how long a closed connection keeps its port [default: this host's T towards --to; Windows: 120s]
    #[arg(long, value_name = "TIME", value_parser = units::duration, requires = "predict", help_heading = "Prediction")]
    hold: Option<Duration>,
    #[arg(help = format!("Length of the run [default: {}]", units::Span(PREDICT_DURATION)))]
    #[arg(long, value_name = "TIME", value_parser = units::duration, requires = "predict", help_heading = "Prediction")]
    duration: Option<Duration>,
    /// Calls per second while nothing succeeds [default: the rate]
    #[arg(long, value_name = "RATE", value_parser = rate, requires = "predict", help_heading = "Prediction")]
    fail_rate: Option<f64>,
    /// Calls per second after the first recovery [default: the rate]
    #[arg(long, value_name = "RATE", value_parser = rate, requires = "predict", help_heading = "Prediction")]
    recovered_rate: Option<f64>,
}

#[expect(clippy::needless_pass_by_value, reason = "every command takes its arguments in the same way")]
pub(crate) fn run(args: Args) -> Result<u8, Exit> {
    files::check(&files::Asked::of("--json", args.json.as_deref()).into_iter().collect::<Vec<_>>())?;
    // A fresh namespace has ports to every destination, reachable or not.
    super::sandbox::show(&args.sandbox.enter_if_asked(None)?);
    if let Some(addr) = args.serve {
        return ports_serve::run(addr, args.top.unwrap_or(ROWS));
    }
    let to = args.destination.as_deref().or(args.to.as_deref()).map(destination).transpose()?;
    let page = super::page(args.no_color, false, None);
    if let Some(rate) = args.predict {
        return predict(&args, rate, to, &page);
    }
    let rows = if args.all { usize::MAX } else { ROWS };
    let look = || listing::look(to, rows).map_err(|e| Exit::environment(format!("ports: sock_diag: {e}")));
    match args.watch {
        None => show(&look()?, args.json.as_deref(), &page).map(|()| 0),
        Some(every) => watch(every, args.json.as_deref(), &page, look),
    }
}

fn show(report: &PortsReport, json: Option<&Path>, page: &Page) -> Result<(), Exit> {
    match json {
        Some(file) => files::write(file, pretty(report)?.as_bytes()),
        None => files::to_stdout(render_ports(report, page).as_bytes()),
    }
}

fn watch(every: Duration, json: Option<&Path>, page: &Page, look: impl Fn() -> Result<PortsReport, Exit>) -> Result<u8, Exit> {
    if json.is_some_and(|file| !files::is_stdout(file)) {
        return Err(Exit::usage("ports: --watch writes JSON to stdout only").hint("--watch --json - > FILE"));
    }
    let stop = StopFlag::install().map_err(|e| Exit::environment(format!("signal handlers: {e}")))?;
    let on_screen = std::io::stdout().is_terminal();
    while !stop.is_set() {
        let report = look()?;
        let text = match json {
            Some(_) => serde_json::to_string(&report).map_err(|e| Exit::environment(format!("ports: {e}")))? + "\n",
            // Cursor home, text, clear the rest: no flicker.
            None if on_screen => format!("\u{1b}[H{}\u{1b}[J", render_ports(&report, page).replace('\n', "\u{1b}[K\n")),
            None => render_ports(&report, page) + "\n",
        };
        if !files::while_read(text.as_bytes())? {
            break;
        }
        let clock = clock::Clock::start();
        while !stop.is_set() && clock.now().as_secs_f64() < every.as_secs_f64() {
            clock::sleep(STOP_POLL.min(every));
        }
    }
    Ok(stop.signal().map_or(0, |signal| 128 + signal as u8))
}

fn predict(args: &Args, rate: f64, to: Option<SocketAddr>, page: &Page) -> Result<u8, Exit> {
    let mut assumed =
        vec!["no port is in use at the start, the client closes first, connections come at a constant rate".to_owned()];
    let usage = PortUse::default();
    let ports = if let Some(ports) = args.pool {
        ports
    } else {
        let pool = baseline::read_pool_facts().map(|f| pool(&f, &usage));
        let pool = pool.known().ok_or_else(|| {
            Exit::environment(format!("ports: {}", pool.reason().unwrap_or_default())).hint("--pool PORTS sets it")
        })?;
        assumed.push(format!("the pool of this host: {} of {}-{}", counted(pool.ports, "port"), pool.range.lo, pool.range.hi));
        pool.ports
    };
    let mut cap = None;
    let hold_s = match (args.hold, to) {
        (Some(hold), _) => hold.as_secs_f64(),
        (None, Some(to)) => {
            let sysctls = sysctl::read_sysctls().0;
            cap = sysctls.tcp_max_tw_buckets;
            let hold = hold(&sysctls, to, &usage);
            let hold = hold.known().ok_or_else(|| {
                Exit::environment(format!("ports: {}", hold.reason().unwrap_or_default())).hint("--hold TIME sets it")
            })?;
            assumed.push(format!("T towards {to} on this host: {}", hold.why));
            hold.seconds
        }
        (None, None) => {
            assumed.push("T = 60 s, Linux without reuse; --to ADDR uses this host's T, --hold 120s is Windows".into());
            LINUX_HOLD_S
        }
    };
    assumed.extend(match (args.pool, args.hold) {
        (Some(_), Some(_)) => Some(format!("a pool of {} and T = {}, as given", counted(ports, "port"), figures::hold(hold_s))),
        (Some(_), None) => Some(format!("a pool of {}, as given", counted(ports, "port"))),
        (None, Some(_)) => Some(format!("T = {}, as given", figures::hold(hold_s))),
        (None, None) => None,
    });
    let duration = args.duration.unwrap_or_else(|| {
        assumed.push(format!("a run of {}", span(PREDICT_DURATION)));
        PREDICT_DURATION
    });
    let budget = Budget::new(ports, hold_s).capped_at(cap);
    if budget.is_capped() {
        assumed.push(format!("at most {} in TIME_WAIT on this host: {CAPPED}", count(budget.time_wait_max)));
    }
    let forecast = budget.forecast(rate, duration, args.fail_rate, args.recovered_rate);
    let asked = figures::rate(rate);
    if forecast.fails_within() {
        if args.fail_rate.is_none() {
            assumed.push(format!("while nothing succeeds, calls fail at the asked rate of {asked}/s (a closed loop calls faster, because failures return at once)"));
        }
        if args.recovered_rate.is_none() {
            assumed.push(format!("after the recovery the rate is the asked {asked}/s again"));
        }
    }
    match &args.json {
        Some(file) => files::write(file, pretty(&forecast)?.as_bytes())?,
        None => files::to_stdout(render_forecast(&forecast, &assumed, page.style).as_bytes())?,
    }
    Ok(0)
}

/// `127.0.0.1:80`, `[::1]:80`, `localhost:80`, `http://host/` (port 80).
fn destination(text: &str) -> Result<SocketAddr, Exit> {
    let bad = || Exit::usage(format!("{text}: not an address with a port")).hint("such as 127.0.0.1:8080");
    let authority = text.strip_prefix("http://").map_or(text, |rest| rest.split(['/', '?']).next().unwrap_or(rest));
    if let Ok(addr) = authority.parse() {
        return Ok(addr);
    }
    let Address { host, port } = Address::from(authority);
    let port = match port {
        Some(Port::Number(port)) => port,
        None if text.starts_with("http://") => 80,
        _ => return Err(bad()),
    };
    if host.is_empty() {
        return Err(bad());
    }
    let found = target::addresses(&host, port)?;
    let (addr, unreached) = target::choose(&found);
    if found.len() > 1 {
        let target = Target { resolved: found, unreached, ..Target::at(addr) };
        super::tell_line(&format!("{host} {}", target.choice_in_words().unwrap_or_default()));
    }
    Ok(addr)
}

fn watch_every(text: &str) -> Result<Duration, String> {
    let every = units::duration(text)?;
    if every < WATCH_MIN { Err(format!("{text}: less than 100ms between two looks")) } else { Ok(every) }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.trim_end_matches("/s").parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => units::count(text).ok().filter(|n| *n > 0).map(|n| n as f64).ok_or_else(|| format!("{text:?}: not a rate above 0")),
    }
}

fn pretty<T: serde::Serialize>(document: &T) -> Result<String, Exit> {
    serde_json::to_string_pretty(document).map(|text| text + "\n").map_err(|e| Exit::environment(format!("ports: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_as_people_write_them() {
        let to = |t: &str| destination(t).map(|a| a.to_string()).map_err(|e| e.code);
        assert_eq!(to("127.0.0.1:8080"), Ok("127.0.0.1:8080".into()));
        assert_eq!(to("[::1]:8080"), Ok("[::1]:8080".into()));
        assert_eq!(to("http://127.0.0.1:81/x?y"), Ok("127.0.0.1:81".into()));
        assert_eq!(to("http://127.0.0.1"), Ok("127.0.0.1:80".into()));
        for bad in ["127.0.0.1", ":80", "127.0.0.1:http", "[::1]"] {
            assert_eq!(to(bad), Err(2), "{bad}");
        }
    }

    #[test]
    fn rates_as_people_write_them() {
        assert_eq!([rate("170"), rate("122.6/s"), rate("1k")], [170.0, 122.6, 1000.0].map(Ok));
        assert!(rate("0").is_err() && rate("-1").is_err() && rate("fast").is_err());
    }
}
