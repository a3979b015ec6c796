//! The arguments of a load run, and their one conversion into a [`LoadPlan`]: defaults and conflicts are decided
//! here, so that nothing below sees raw arguments.

use std::path::PathBuf;
use std::time::Duration;

use super::connection_args::ConnectionArgs;
use super::{Exit, ports_args};
use crate::model::limits;
use crate::model::plan::{LoadPlan, MixEntry, Target, Think};
use crate::model::units::{self, Span};

/// The load of one run.
#[derive(Debug, clap::Args, Clone)]
pub(crate) struct RunArgs {
    #[arg(help = format!("Virtual users, one connection each, at most {}; with --rate the most connections at once", limits::USERS_MAX))]
    #[arg(short = 'c', long = "conns", visible_alias = "users", visible_short_alias = 'u', value_name = "N",
          default_value_t = u64::from(limits::USERS), value_parser = units::count, help_heading = "Load")]
    pub(crate) conns: u64,
    #[arg(help = format!("End after this long, at most {} [default: {}, unless --requests]", Span(limits::DURATION_MAX), Span(limits::DURATION)))]
    #[arg(short = 'd', long, value_name = "DURATION", value_parser = units::duration, help_heading = "Load")]
    pub(crate) duration: Option<Duration>,
    /// The same, as Locust names it, with a unit [default: as --duration]
    #[arg(short = 't', long, value_name = "DURATION", value_parser = run_time, conflicts_with = "duration", help_heading = "Load")]
    pub(crate) run_time: Option<Duration>,
    /// End after this many attempts [default: --duration alone ends the run]
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count, help_heading = "Load")]
    pub(crate) requests: Option<u64>,
    /// Users started per second [default: all at once]
    #[arg(short = 'r', long, value_name = "N", conflicts_with = "rate", help_heading = "Load")]
    pub(crate) spawn_rate: Option<f64>,
    /// Constant rate: total requests per second, whatever the answers do (open loop) [default: none: a user's next
    /// request waits for its answer]
    #[arg(short = 'R', long, value_name = "N", help_heading = "Load")]
    pub(crate) rate: Option<f64>,
    /// Wait between an answer and the user's next request: 200ms, or 100ms..500ms (uniform)
    #[arg(long, value_name = "A..B", default_value = "0s", value_parser = think, conflicts_with = "rate", help_heading = "Load")]
    pub(crate) think: Think,
    /// Leave the first part out of the steady figures
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = units::duration, help_heading = "Load")]
    pub(crate) warmup: Duration,
    /// What to ask for, with weights [default: the URL's path; of an own server /health=50,/io=30,/cpu=20]
    #[arg(long, value_name = "PATH=WEIGHT,...", value_parser = mix, help_heading = "Request")]
    pub(crate) mix: Option<Mix>,
    /// Further header field, 'Name: value'; may be repeated [default: none but Host, User-Agent and Accept]
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = header, help_heading = "Request")]
    pub(crate) headers: Vec<(String, String)>,
    /// Request method
    #[arg(long, value_name = "METHOD", default_value = "GET", value_parser = method, help_heading = "Request")]
    pub(crate) method: String,
    /// Request body
    #[arg(long, value_name = "TEXT", default_value = "", help_heading = "Request")]
    pub(crate) body: String,
}

/// How much a report shows.
#[derive(Debug, clap::Args, Clone, Copy, Default)]
pub(crate) struct ReportArgs {
    /// Show every figure, the evidence and the full commands, not one screen
    #[arg(short = 'v', long, help_heading = "Output")]
    pub(crate) verbose: bool,
    /// Add Locust's tables, with all their columns
    #[arg(long, help_heading = "Output")]
    pub(crate) locust_table: bool,
}

/// Where results go. Shared by `load` and `study`.
#[derive(Debug, clap::Args, Clone, Default)]
pub(crate) struct OutputArgs {
    /// Keep everything in this directory: the report as plain text, JSON, HdrHistogram log, CSV, charts
    /// [default: nothing is kept]
    #[arg(short = 'o', long = "output", value_name = "DIR", help_heading = "Output")]
    pub(crate) dir: Option<PathBuf>,
    /// Write the result document, over one that is there; - is stdout, and then nothing else is [default: none]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,
    /// Write Locust's PREFIX_stats.csv, PREFIX_stats_history.csv and PREFIX_failures.csv, over those that are there
    /// [default: none]
    #[arg(long, value_name = "PREFIX", help_heading = "Output")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace results that are already in the output directory [default: refused]
    #[arg(long, help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// No status lines [default: one a second]
    #[arg(short = 'q', long, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// No colours [default: colours on a terminal without NO_COLOR and CI]
    #[arg(long, help_heading = "Output")]
    pub(crate) no_color: bool,
    /// Exit with 1 when a request failed [default: 0]
    #[arg(long, help_heading = "Output")]
    pub(crate) fail_on_errors: bool,
}

/// Highest `--rate` and `--spawn-rate`, per second.
const RATE_MAX: f64 = 1e7;

/// A parsed `--mix`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mix(pub(crate) Vec<MixEntry>);

/// Makes the plan of one run against `target`, whose URL named `path`.
pub(crate) fn plan(run: &RunArgs, conn: &ConnectionArgs, target: Target, path: &str) -> Result<LoadPlan, Exit> {
    let Ok(users @ 1..=limits::USERS_MAX) = u32::try_from(run.conns) else {
        return Err(Exit::usage(format!("--conns {}: not between 1 and {}", run.conns, limits::USERS_MAX))
            .hint("one user is one connection; --rate N asks for more requests, not more users"));
    };
    let requests = run.requests.unwrap_or(0);
    if run.requests == Some(0) {
        return Err(Exit::usage("--requests 0: nothing to do").hint("leave it out: --duration alone ends the run"));
    }
    let duration = length(run, requests)?;
    for (name, value) in [("--rate", run.rate), ("--spawn-rate", run.spawn_rate)] {
        if let Some(value) = value.filter(|v| !v.is_finite() || *v <= 0.0 || *v > RATE_MAX) {
            return Err(Exit::usage(format!("{name} {value}: not a rate above 0 and up to {RATE_MAX} per second"))
                .hint("leave it out for no limit but the target's answers"));
        }
    }
    if conn.threads > users {
        return Err(Exit::usage(format!("--threads {}: more threads than --conns {users}", conn.threads))
            .hint("a thread without a connection has nothing to do: raise --conns, or lower --threads"));
    }
    if conn.timeout.0.is_zero() {
        return Err(Exit::usage("--timeout 0: no answer could come in time").hint("such as --timeout 10s"));
    }
    let ports = ports_args::resolve(conn, target.addr)?;
    let mix = match (&run.mix, target.own_server) {
        (Some(mix), _) => mix.0.clone(),
        (None, true) => experiment_mix(),
        (None, false) => vec![MixEntry { path: path.into(), weight: 1 }],
    };
    Ok(LoadPlan {
        method: run.method.clone(),
        headers: run.headers.clone(),
        body: run.body.clone(),
        users,
        spawn_rate: run.spawn_rate.unwrap_or(0.0),
        duration,
        requests,
        think: run.think,
        rate: run.rate.unwrap_or(0.0),
        threads: conn.threads,
        seed: conn.seed,
        warmup: run.warmup,
        keepalive: !conn.no_keepalive,
        closer: conn.closer.into(),
        port_mode: ports.mode,
        port_range: ports.range,
        reuse_addr: conn.reuse_addr,
        sources: ports.sources,
        timeout: conn.timeout.0,
        allow_remote: conn.allow_remote,
        observe: !conn.no_observe,
        ..LoadPlan::new(target, mix)
    })
}

/// How long the run lasts, zero where a count alone bounds it; the warm-up must leave some of it.
fn length(run: &RunArgs, requests: u64) -> Result<Duration, Exit> {
    let asked = run.duration.or(run.run_time);
    if asked.is_some_and(|d| d.is_zero()) {
        return Err(Exit::usage("--duration 0: nothing to do").hint("such as --duration 10s"));
    }
    if let Some(long) = asked.filter(|d| *d > limits::DURATION_MAX) {
        return Err(Exit::usage(format!("--duration {}: longer than {}", Span(long), Span(limits::DURATION_MAX)))
            .hint("a run in several parts"));
    }
    let duration = match (asked, requests) {
        (Some(d), _) => d,
        (None, 0) => limits::DURATION,
        (None, _) => Duration::ZERO,
    };
    if !duration.is_zero() && run.warmup >= duration {
        return Err(Exit::usage(format!("--warmup {}: nothing is left of a run of {}", Span(run.warmup), Span(duration)))
            .hint("a shorter warm-up or a longer --duration"));
    }
    Ok(duration)
}

/// The mix of the experiment: 50 % `/health`, 30 % `/io`, 20 % `/cpu`.
pub(crate) fn experiment_mix() -> Vec<MixEntry> {
    [("/health", 50), ("/io", 30), ("/cpu", 20)].map(|(path, weight)| MixEntry { path: path.into(), weight }).to_vec()
}

fn run_time(text: &str) -> Result<Duration, String> {
    if text.trim().parse::<f64>().is_ok() {
        return Err("a number without a unit\nhint: wrk's -t is --threads; a time is 30s or 3m".into());
    }
    units::duration(text)
}

/// `100ms..500ms`, or one duration for a constant wait.
pub(crate) fn think(text: &str) -> Result<Think, String> {
    let (min, max) = match text.split_once("..") {
        Some((a, b)) => (units::duration(a)?, units::duration(b)?),
        None => (units::duration(text)?, units::duration(text)?),
    };
    if min > max {
        return Err(format!("{text}: the shortest wait is longer than the longest"));
    }
    Ok(Think { min, max })
}

/// `/a=50,/b=30`; a path without a weight has weight 1.
pub(crate) fn mix(text: &str) -> Result<Mix, String> {
    let mut entries: Vec<MixEntry> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (path, weight) = match part.rsplit_once('=') {
            // The '=' of a query string is not a weight.
            Some((path, weight)) if !weight.is_empty() && weight.bytes().all(|b| b.is_ascii_digit()) && !path.contains('?') => {
                (path, weight)
            }
            Some((path, weight)) if !path.contains('?') => {
                return Err(format!("{path}: weight {weight:?} is not a whole number"));
            }
            _ => (part, "1"),
        };
        let weight: u32 = weight.parse().map_err(|_| format!("{path}: weight {weight} is too large"))?;
        if !path.starts_with('/') || path.bytes().any(|b| b <= b' ' || b == 127) {
            return Err(format!("{path:?}: a path starts with / and has no blanks"));
        }
        if weight == 0 {
            return Err(format!("{path}: weight 0"));
        }
        if entries.iter().any(|e| e.path == path) {
            return Err(format!("{path}: named twice"));
        }
        entries.push(MixEntry { path: path.into(), weight });
    }
    if entries.len() > limits::MIX_ENTRIES || entries.iter().map(|e| u64::from(e.weight)).sum::<u64>() > u64::from(u32::MAX) {
        return Err(format!("more than {} entries, or weights beyond {}", limits::MIX_ENTRIES, u32::MAX));
    }
    Ok(Mix(entries))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("{text:?}: not 'Name: value'"))?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("{name:?}: not a field name (RFC 9110 section 5.1)"));
    }
    // Two lengths of one message are how requests are smuggled (RFC 9112 section 6.3).
    if ["content-length", "transfer-encoding"].iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
        return Err(format!(
            "{name}: sent by the client itself, as the body needs\nhint: --body TEXT sends a body with its length"
        ));
    }
    let value = value.trim();
    if value.bytes().any(|b| b == b'\r' || b == b'\n' || b == 0) {
        return Err(format!("{name}: a line break in the value"));
    }
    Ok((name.into(), value.into()))
}

fn method(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(format!("{text:?}: a method is a word in capitals, such as GET"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes() {
        let m = mix("/health=50,/io=30,/cpu?a=b").expect("ok").0;
        assert_eq!(
            m.iter().map(|e| (e.path.as_str(), e.weight)).collect::<Vec<_>>(),
            [("/health", 50), ("/io", 30), ("/cpu?a=b", 1)]
        );
        for bad in ["", "health=1", "/a=0", "/a=x", "/a=1,/a=2", "/a b=1", "/a=99999999999"] {
            assert!(mix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn think_times() {
        let t = think("100ms..500ms").expect("ok");
        assert_eq!(
            (t.min, t.max, t.mean()),
            (Duration::from_millis(100), Duration::from_millis(500), Duration::from_millis(300))
        );
        assert!(think("5s..1s").is_err() && think("x").is_err());
    }

    #[test]
    fn a_bare_number_after_t_is_wrks() {
        assert!(run_time("4").expect_err("no unit").contains("--threads"));
        assert_eq!(run_time("3m"), Ok(Duration::from_secs(180)));
    }
}
