//! The arguments of a load run, and their one conversion into a [`LoadPlan`]: defaults and conflicts are decided
//! here, so that nothing below sees raw arguments.

use std::path::PathBuf;
use std::time::Duration;

use super::connection_args::ConnectionArgs;
use super::request_args::{self, Mix, RequestArgs};
use super::{Exit, load_shape, ports_args};
use crate::model::course::{LevelOf, Stages};
use crate::model::figures::{count, counted};
use crate::model::limits;
use crate::model::plan::{Arrivals, LoadLimits, LoadPlan, MixEntry, Target, Think};
use crate::model::units::{self, Span};

/// The load of one run.
#[derive(Debug, clap::Args, Clone)]
pub(crate) struct RunArgs {
    #[arg(help = format!("Users, each with one connection [default: {}]", limits::USERS))]
    #[arg(long_help = format!("Users (-u, --users), each with one connection, at most {}; with a rate the most connections at once [default: {}]", count(limits::USERS_MAX), limits::USERS))]
    #[arg(short = 'c', long = "conns", alias = "users", short_alias = 'u', value_name = "N",
          value_parser = users, help_heading = "Load")]
    pub(crate) conns: Option<u64>,
    #[arg(help = format!("Length of the run [default: {}]", Span(limits::DURATION)))]
    #[arg(long_help = format!("Length of the run, at most {} days [default: {}, unless --requests is given]", limits::DURATION_MAX.as_secs() / 86_400, Span(limits::DURATION)))]
    #[arg(short = 'd', long, value_name = "DURATION", value_parser = units::duration, help_heading = "Load")]
    pub(crate) duration: Option<Duration>,
    /// The same, by Locust's name, with a unit [default: as --duration]
    #[arg(short = 't', long, hide_short_help = true, value_name = "DURATION", value_parser = run_time, conflicts_with = "duration", help_heading = "Load")]
    pub(crate) run_time: Option<Duration>,
    /// End after this many requests [default: none]
    ///
    /// Requests that fail are counted too. With --duration, whichever comes first ends the run. Without a rate or stages there are no
    /// more users, and so no more threads, than requests.
    #[arg(short = 'n', long, value_name = "N", value_parser = units::count, help_heading = "Load")]
    pub(crate) requests: Option<u64>,
    /// Users started per second [default: all at once]
    #[arg(short = 'r', long, value_name = "N", value_parser = spawn_rate, conflicts_with = "rate", help_heading = "Load")]
    pub(crate) spawn_rate: Option<f64>,
    /// Total requests per second [default: none]
    ///
    /// Requests are due at a constant rate, however long answers take (open loop). Without it each user's next request waits for
    /// the answer to its last one (closed loop).
    #[arg(short = 'R', long, value_name = "N", value_parser = units::rate, help_heading = "Load")]
    pub(crate) rate: Option<f64>,
    /// Changing load: DURATION@LEVEL,... [default: none]
    ///
    /// Each stage moves in a straight line to its level, the first from 0; one of 0s jumps. 30s@50,1m@200,10s@0 are users; with
    /// 50/s, 200/s they are requests per second (open loop). The stages end the run.
    #[arg(long, value_name = "STAGES", value_parser = load_shape::stages, conflicts_with_all = ["rate", "spawn_rate", "duration", "run_time"], help_heading = "Load")]
    pub(crate) stages: Option<Stages>,
    /// When requests of a rate are due: constant, poisson or burst:N
    ///
    /// constant spaces them evenly, poisson draws them independently of each other, burst:N lets N be due at once.
    #[arg(long, hide_short_help = true, value_name = "HOW", default_value = "constant", value_parser = load_shape::arrivals, help_heading = "Load")]
    pub(crate) arrivals: Arrivals,
    /// Connections opened before the clock starts [default: one for each 100/s of the rate]
    ///
    /// So that a rate is met from its first second. They are set-up, no attempts; more are opened as they are needed. Only with
    /// a rate over kept connections.
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = units::count, help_heading = "Load")]
    pub(crate) preconnect: Option<u64>,
    /// Think time: 1s, 1s..2s or exp(1s)
    ///
    /// How long a user waits between an answer and its next request: one time (200ms), a range (100ms..500ms, uniform), or
    /// exponential with a mean (exp(300ms)).
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = load_shape::think, conflicts_with = "rate", help_heading = "Load")]
    pub(crate) think: Think,
    /// Leave the first part of the run out of the steady figures
    #[arg(long, hide_short_help = true, value_name = "DURATION", default_value = "0s", value_parser = units::duration, help_heading = "Load")]
    pub(crate) warmup: Duration,
    /// Paths with weights [default: the URL's path]
    ///
    /// /a=50,/b=30 asks for /a in 50 of 80 requests. Without a URL the default is /health=50,/io=30,/cpu=20. With load, an entry
    /// may be a URL: http://a:80/x=9,http://b:80/y=1 gives the first destination nine of ten users.
    #[arg(long, value_name = "PATH=WEIGHT,...", value_parser = request_args::mix, help_heading = "Request")]
    pub(crate) mix: Option<Mix>,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
}

/// How much a report shows.
#[derive(Debug, clap::Args, Clone, Copy, Default)]
pub(crate) struct ReportArgs {
    /// Show every figure, the evidence, full commands
    #[arg(short = 'v', long, help_heading = "Output")]
    pub(crate) verbose: bool,
    /// Add Locust's tables, with all their columns
    #[arg(long, hide_short_help = true, help_heading = "Output")]
    pub(crate) locust_table: bool,
}

/// Where results go. Shared by `load` and `study`.
#[derive(Debug, clap::Args, Clone, Default)]
pub(crate) struct OutputArgs {
    /// Keep report, JSON, log, CSV, charts [default: none]
    ///
    /// Keeps everything in this directory: the whole report as plain text, the result as JSON, the HdrHistogram log,
    /// Locust's CSV files, charts as SVG. One run at a time: a second one ends with 2. A path that cannot be written ends with
    /// 2 before the run; a disk that is full or a FIFO that nobody reads ends with 3 after it, and all other results are kept.
    #[arg(short = 'o', long = "output", value_name = "DIR", value_parser = result_dir, help_heading = "Output")]
    pub(crate) dir: Option<PathBuf>,
    /// Write the result as JSON [default: none]
    ///
    /// FILE is replaced if it exists; "-" writes only JSON to stdout.
    #[arg(long, value_name = "FILE", value_parser = result_file, help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page to show to others [default: none]
    ///
    /// One HTML file that needs nothing else: verdict, findings, tables, charts, environment. It is replaced if it exists.
    #[arg(long, value_name = "FILE", value_parser = page_file, help_heading = "Output")]
    pub(crate) html: Option<PathBuf>,
    /// Write Locust's CSV files [default: none]
    ///
    /// PREFIX_stats.csv, PREFIX_stats_history.csv and PREFIX_failures.csv; they are replaced if they exist.
    #[arg(long, hide_short_help = true, value_name = "PREFIX", help_heading = "Output")]
    pub(crate) csv: Option<PathBuf>,
    /// Replace results that are already in the output directory
    #[arg(long, hide_short_help = true, help_heading = "Output")]
    pub(crate) overwrite: bool,
    /// No plan and no line per second
    #[arg(short = 'q', long, hide_short_help = true, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// No colours, as with NO_COLOR or CI set, with TERM=dumb, and where stdout is no terminal
    #[arg(long, hide_short_help = true, help_heading = "Output")]
    pub(crate) no_color: bool,
    /// Exit with 1 when any request failed (without it: only when none was answered)
    #[arg(long, hide_short_help = true, help_heading = "Output")]
    pub(crate) fail_on_errors: bool,
}

/// curl's and bombardier's `--json` is a body.
/// curl's -u is a name and a password.
fn users(text: &str) -> Result<u64, String> {
    let hint = if text.contains(':') { "\nhint: -H 'Authorization: Basic ...'; curl's -u" } else { "" };
    units::count(text).map_err(|e| e + hint)
}

/// ab's -r has no value.
fn spawn_rate(text: &str) -> Result<f64, String> {
    let is_url = text.contains("://");
    let hint = if is_url { "\nhint: a broken connection never ends a run: leave it out; ab's -r" } else { "" };
    units::rate(text).map_err(|e| e + hint)
}

/// hey's -o names a format.
pub(crate) fn result_dir(text: &str) -> Result<PathBuf, String> {
    if text == "-" {
        return Err(
            "a directory is kept, not stdout\nhint: --json - writes the result to stdout; -o ./- makes the directory".into()
        );
    }
    if ["csv", "json"].contains(&text) {
        return Err(format!(
            "a format, not a directory for the results\nhint: --csv PREFIX, or --json FILE; -o ./{text} makes the directory"
        ));
    }
    Ok(text.into())
}

pub(crate) fn result_file(text: &str) -> Result<PathBuf, String> {
    if text.starts_with(['{', '[']) {
        return Err(
            "a JSON text, not a file for the result\nhint: -H 'Content-Type: application/json' --body '{...}' sends it".into()
        );
    }
    Ok(text.into())
}

/// stdout has the report, or with `--json -` the document.
pub(crate) fn page_file(text: &str) -> Result<PathBuf, String> {
    if text == "-" {
        return Err("a page goes to a file\nhint: sockbench report RUN --format html writes one to stdout".into());
    }
    Ok(text.into())
}

/// The same for `--junit`.
pub(crate) fn junit_file(text: &str) -> Result<PathBuf, String> {
    if text == "-" {
        return Err("the thresholds go to a file\nhint: --junit FILE; /dev/stderr writes them there".into());
    }
    Ok(text.into())
}

/// Makes the plan of one run against `target`, whose URL named `path`.
pub(crate) fn plan(run: &RunArgs, conn: &ConnectionArgs, target: Target, path: &str) -> Result<LoadPlan, Exit> {
    let users = load_shape::users(run.conns, run.stages.as_ref())?;
    let requests = run.requests.unwrap_or(0);
    if run.requests == Some(0) {
        return Err(Exit::usage("--requests 0: nothing to do").hint("leave it out: --duration alone ends the run"));
    }
    let duration = length(run, requests)?;
    let request = run.request.resolve()?;
    let rates = [
        ("--rate", run.rate, "leave it out for no limit but the target's answers"),
        ("--spawn-rate", run.spawn_rate, "leave it out to start all users at once"),
    ];
    for (name, value, hint) in rates {
        if let Some(value) = value.filter(|v| !v.is_finite() || *v <= 0.0 || *v > limits::RATE_MAX) {
            return Err(
                Exit::usage(format!("{name} {value}: not a rate above 0 and up to {} per second", limits::RATE_MAX)).hint(hint)
            );
        }
    }
    let staged = run.stages.as_ref().filter(|s| s.of == LevelOf::Rate).map(Stages::peak);
    let rate = run.rate.or(staged).unwrap_or(0.0);
    let keepalive = !conn.no_keepalive && !request.says_close;
    check(run, rate, keepalive)?;
    if conn.threads > users {
        return Err(Exit::usage(format!("--threads {}: more threads than --conns {users}", conn.threads))
            .hint("a thread without a connection has nothing to do: raise --conns, or lower --threads"));
    }
    // A user without a request would never connect.
    let users = match u32::try_from(requests) {
        Ok(n @ 1..) if rate <= 0.0 && run.stages.is_none() => users.min(n),
        _ => users,
    };
    if conn.timeout.0.is_zero() {
        return Err(Exit::usage("--timeout 0: no answer could come in time").hint("such as --timeout 10s"));
    }
    if let Some(url) = run.mix.iter().flat_map(|mix| &mix.0).find(|entry| entry.is_url()) {
        return Err(Exit::usage(format!("--mix {}: a URL, not a path", url.path))
            .hint("only sockbench load has several destinations; the URL is an argument of its own"));
    }
    let ports = ports_args::resolve(conn, target.addr)?;
    let mix = match (&run.mix, target.own_server) {
        (Some(mix), _) => mix.0.clone(),
        (None, true) => experiment_mix(),
        (None, false) => vec![MixEntry { path: path.into(), weight: 1 }],
    };
    Ok(LoadPlan {
        method: request.method,
        headers: request.headers,
        body: request.body,
        says_close: request.says_close,
        users,
        spawn_rate: run.spawn_rate.unwrap_or(0.0),
        stages: run.stages.clone(),
        arrivals: run.arrivals,
        preconnect: run.preconnect.map(|n| n.min(u64::from(users)) as u32),
        duration,
        requests,
        think: run.think,
        rate,
        threads: conn.threads.min(users),
        pin: conn.pin,
        busy_poll: conn.busy_poll,
        seed: conn.seed,
        warmup: run.warmup,
        keepalive,
        closer: conn.closer,
        port_mode: ports.mode,
        port_range: ports.range,
        reuse_addr: conn.reuse_addr,
        sources: ports.sources,
        timeout: conn.timeout.0,
        allow_remote: conn.allow_remote,
        observe: !conn.no_observe,
        limits: LoadLimits {
            head_bytes: conn.head_bytes,
            head_fields: conn.head_fields,
            body_bytes: conn.body_bytes,
            ..LoadLimits::default()
        },
        ..LoadPlan::new(target, mix)
    })
}

/// That fewer connections are opened before the start than were asked for, where they are.
pub(crate) fn doubt(run: &RunArgs) -> Option<String> {
    let users = load_shape::users(run.conns, run.stages.as_ref()).ok()?;
    let asked = run.preconnect.filter(|n| *n > u64::from(users))?;
    let (most, are) = (counted(users, "connection"), if users == 1 { "is" } else { "are" });
    Some(format!("--preconnect {asked}: only {most} {are} opened, as many as -c {users} allows"))
}

/// What a rate takes, and what only a rate takes.
fn check(run: &RunArgs, rate: f64, keepalive: bool) -> Result<(), Exit> {
    if rate > 0.0 && !run.think.max.is_zero() {
        return Err(Exit::usage(format!("--think {}: with a rate requests are due by the clock", run.think.typed()))
            .hint("stages of users, such as 30s@50, take a pause"));
    }
    if let Some(n) = run.preconnect.filter(|_| rate <= 0.0 || !keepalive) {
        return Err(Exit::usage(format!("--preconnect {n}: only a rate over kept connections has some before its start"))
            .hint("--rate N without --no-keepalive, or leave --preconnect out"));
    }
    if rate <= 0.0 && run.arrivals != Arrivals::Constant {
        return Err(Exit::usage(format!("--arrivals {}: only requests of a rate are due by the clock", run.arrivals))
            .hint("--rate N, or --stages such as 30s@50/s"));
    }
    Ok(())
}

/// How long the run lasts, zero where a count alone bounds it; the warm-up must leave some of it.
fn length(run: &RunArgs, requests: u64) -> Result<Duration, Exit> {
    let asked = run.duration.or(run.run_time).or(run.stages.as_ref().map(Stages::duration));
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
        return Err("a number without a unit\nhint: a time is 30s or 3m".into());
    }
    units::duration(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_time_has_a_unit() {
        assert!(run_time("4").expect_err("no unit").contains("30s or 3m"));
        assert_eq!(run_time("3m"), Ok(Duration::from_secs(180)));
    }

    #[test]
    fn connections_that_will_not_be_opened_are_named() {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            run: RunArgs,
        }
        let said = |words: &str| doubt(&Line::parse_from(std::iter::once("load").chain(words.split(' '))).run);
        let cut = "--preconnect 500: only 100 connections are opened, as many as -c 100 allows";
        assert_eq!(said("-R 5 -c 100 --preconnect 500").as_deref(), Some(cut));
        assert!(
            said("-R 5 -c 1 --preconnect 2")
                .is_some_and(|text| text.ends_with("only 1 connection is opened, as many as -c 1 allows"))
        );
        for all in ["-R 5 -c 100 --preconnect 100", "-R 5 -c 100", "-R 5 -c 100 --preconnect 0"] {
            assert_eq!(said(all), None, "{all}");
        }
    }

    #[test]
    fn there_are_no_more_users_than_requests() {
        let users_and_threads = |words: &str| {
            let words: Vec<String> = std::iter::once("load").chain(words.split(' ')).map(str::to_owned).collect();
            let plan = crate::cli::read_command(&words).expect("accepted").expect("a load");
            (plan.users, plan.threads)
        };
        assert_eq!(users_and_threads("-n 1"), (1, 1));
        assert_eq!(users_and_threads("-n 3 -c 20 --threads 4 --no-keepalive"), (3, 3));
        assert_eq!(users_and_threads("-n 20 -c 20"), (20, 1));
        // Connections of a rate are a limit, and stages say how many users there are.
        assert_eq!(users_and_threads("-n 3 -c 20 --rate 10"), (20, 1));
        assert_eq!(users_and_threads("-n 3 --stages 1s@5,1s@9"), (9, 1));
    }
}
