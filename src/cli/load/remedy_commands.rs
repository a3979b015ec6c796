//! A command printed as a remedy is the plan in force with one change: what the rules type is parsed again here, by
//! the arguments of `sockbench load` themselves.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use clap::Parser;
use proptest::prelude::*;

use super::{Args, load_args};
use crate::diagnose::diagnose;
use crate::model::environment::Environment;
use crate::model::plan::{Closer, LoadPlan, MixEntry, PortMode, PortRange, Target, Think};
use crate::model::result::RunResult;
use crate::model::server_flags::ServerFlags;
use crate::remedy::command;
use crate::report::fixture;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// Words as a shell splits them.
fn words(command: &str) -> Vec<String> {
    shlex::split(command).expect("whole quotes")
}

/// The plan that a typed command makes, at the target of `like`.
fn parsed(command: &str, like: &LoadPlan) -> Result<LoadPlan, String> {
    let rest = command.strip_prefix("sockbench load").ok_or_else(|| format!("not a load: {command}"))?;
    let line = std::iter::once("load".to_owned()).chain(words(rest));
    let args = Line::try_parse_from(line).map_err(|e| format!("{command}\n{e}"))?.args;
    let (target, path) = match &args.url {
        Some(url) => {
            let found = crate::cli::target::resolve(url, args.conn.allow_remote).map_err(|e| e.message)?;
            (found.target, found.path)
        }
        None => (like.target.clone(), "/".to_owned()),
    };
    args.sandbox.sandbox.then_some(()).map_or_else(|| args.sandbox.refuse_settings(), Ok).map_err(|e| e.message)?;
    let mut plan = load_args::plan(&args.run, &args.conn, target, &path).map_err(|e| format!("{command}\n{}", e.message))?;
    let server = super::server_flags("--server", &super::server_words(&args.server)).map_err(|e| e.message)?;
    plan.environment = Environment { server, ..args.sandbox.environment() };
    Ok(plan)
}

fn flags(given: &[&str]) -> ServerFlags {
    ServerFlags::try_from(given.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>()).expect("sound flags")
}

fn entry(path: &str, weight: u32) -> MixEntry {
    MixEntry { path: path.into(), weight }
}

/// Every flag of `load --help` that decides about the run, at something else than its default.
fn rich() -> LoadPlan {
    let mut plan = LoadPlan::new(Target::own(([127, 0, 0, 1], 8080).into()), vec![entry("/cpu?a='b' c", 1), entry("/health", 7)]);
    plan.mix[0].path = "/cpu?a=b&c=d".into();
    (plan.method, plan.body) = ("POST".into(), "it's {\"a\": 1}".into());
    plan.headers = vec![("X-A".into(), "b c; d=\"e\"".into()), ("Cookie".into(), "k='v'".into())];
    (plan.users, plan.threads, plan.seed, plan.requests) = (40, 2, 77, 9_000);
    (plan.duration, plan.warmup, plan.timeout) =
        (Duration::from_millis(4_500), Duration::from_millis(1_250), Duration::from_micros(2_500_500));
    (plan.spawn_rate, plan.think) = (12.625, Think { min: Duration::from_millis(100), max: Duration::from_millis(500) });
    (plan.keepalive, plan.closer, plan.observe) = (false, Closer::Server, false);
    (plan.port_mode, plan.reuse_addr) = (PortMode::Ring, true);
    plan.port_range = Some(PortRange { lo: 10_000, hi: 10_999 });
    plan.sources = (1..=6).map(|n| IpAddr::from([127, 0, 0, n])).collect();
    plan.environment = Environment {
        sandbox: true,
        sysctls: vec![
            ("net.ipv4.ip_local_port_range".into(), "20000 20999".into()),
            ("net.ipv4.tcp_tw_reuse".into(), "0".into()),
        ],
        addresses: vec!["10.9.9.1/32".into()],
        server: flags(&["cpu-workers=1", "keepalive=off", "io-sleep=20ms"]),
    };
    plan
}

#[test]
fn a_plan_with_every_flag_is_typed_and_read_back() {
    let plan = rich();
    assert_eq!(parsed(&command::load(&plan), &plan).as_ref(), Ok(&plan));
    let mut open = rich();
    (open.rate, open.spawn_rate, open.think) = (0.125, 0.0, Think::default());
    assert_eq!(parsed(&command::load(&open), &open).as_ref(), Ok(&open));
    for (url, mix) in [
        ("http://127.0.0.1:8080/a?b=c,d", vec![entry("/a?b=c,d", 1)]),
        ("http://127.0.0.1:8080", vec![entry("/", 1)]),
        ("http://127.0.0.1:8080/a", vec![entry("/", 1), entry("/x", 3)]),
    ] {
        let mut plan = rich();
        plan.target = crate::cli::target::resolve(url, false).expect("this host").target;
        (plan.mix, plan.environment) = (mix, Environment::default());
        plan.sources.retain(|s| s.is_ipv4() == plan.target.addr.is_ipv4());
        if plan.sources.is_empty() {
            (plan.port_mode, plan.port_range) = (PortMode::Auto, None);
        }
        assert_eq!(parsed(&command::load(&plan), &plan).as_ref(), Ok(&plan), "{url}");
    }
}

/// A study's step may end inside its ramp, which is its warm-up; `load` would refuse that.
#[test]
fn a_step_that_ended_inside_its_ramp_can_be_repeated() {
    let mut plan = rich();
    (plan.duration, plan.warmup) = (Duration::from_secs(3), Duration::from_secs(3));
    let again = parsed(&command::load(&plan), &plan);
    plan.warmup = Duration::ZERO;
    assert_eq!(again.as_ref(), Ok(&plan));
}

/// No flag of the help text is forgotten: each is typed, or belongs to the place of results.
#[test]
fn every_flag_of_the_help_is_typed_or_about_results() {
    use clap::CommandFactory as _;
    let mut open = rich();
    (open.rate, open.port_mode, open.allow_remote) = (5.0, PortMode::Auto, true);
    open.target.own_server = false;
    let typed = format!("{} {}", command::load(&rich()), command::load(&open));
    let typed = words(&typed);
    // The same as --duration, and where results go.
    let aside = [
        "run-time",
        "output",
        "json",
        "csv",
        "overwrite",
        "quiet",
        "no-color",
        "verbose",
        "locust-table",
        "fail-on-errors",
        "threshold",
        "html",
        "help",
    ];
    let forgotten: Vec<String> = Line::command()
        .get_arguments()
        .filter_map(|a| a.get_long().map(str::to_owned))
        .filter(|name| !aside.contains(&name.as_str()) && !typed.contains(&format!("--{name}")))
        .collect();
    assert!(forgotten.is_empty(), "{forgotten:?} are dropped by {typed:?}");
}

/// Findings of a broken run, for this plan: their load commands parse, and keep what no remedy is about.
fn check_remedies(plan: &LoadPlan) -> Result<(), TestCaseError> {
    // Recording a fixture's samples takes longer than all the rest.
    static RUNS: LazyLock<[RunResult; 2]> = LazyLock::new(|| [fixture::broken().run, fixture::healthy().run]);
    for mut run in RUNS.clone() {
        run.plan = plan.clone();
        run.endpoints.iter_mut().for_each(|e| e.requests += 100);
        for finding in diagnose(&run) {
            for remedy in &finding.remedies {
                // Behind `sysctl -w ... && `, `sleep 60 && ` or `taskset ... ` stands the same command.
                let Some(at) = remedy.command.find("sockbench load").filter(|_| !remedy.command.contains("http://")) else {
                    continue;
                };
                prop_assert!(!remedy.command.contains("IP1"), "{}", remedy.command);
                let again = parsed(&remedy.command[at..], plan).map_err(TestCaseError::fail)?;
                let kept = |p: &LoadPlan| {
                    (
                        p.method.clone(),
                        p.headers.clone(),
                        p.body.clone(),
                        p.seed,
                        p.warmup,
                        p.observe,
                        p.environment.addresses.clone(),
                    )
                };
                prop_assert_eq!(kept(&again), kept(plan), "{}", remedy.command);
                prop_assert!(!plan.environment.sandbox || again.environment.sandbox, "{}", remedy.command);
                let is = |what: &str| remedy.action.contains(what);
                prop_assert!(again.mix == plan.mix || is("measure"), "{}", remedy.command);
                prop_assert!(again.timeout == plan.timeout || is("wait longer"), "{}", remedy.command);
            }
        }
    }
    Ok(())
}

fn plans() -> impl Strategy<Value = LoadPlan> {
    let shape = (1_u32..300, 1_u32..9, 0_u64..5_000, 0_u64..90_000, 0.0_f64..900.0, any::<bool>(), any::<u64>());
    let sockets = (any::<bool>(), 0_u8..3, 0_u8..4, any::<bool>(), 1_u8..40, any::<bool>());
    let texts = ("[ -~]{0,12}", "[ -~]{0,12}", prop::collection::vec(("/[a-z]{1,4}", 1_u32..90), 1..4), any::<bool>());
    (shape, sockets, texts).prop_map(|(shape, sockets, texts)| {
        let mut plan = rich();
        let (users, threads, requests, ms, rate, open, seed) = shape;
        (plan.users, plan.threads, plan.requests, plan.seed) = (users, threads.min(users), requests, seed);
        plan.duration = Duration::from_millis(if requests == 0 { ms + 1 } else { ms });
        if !plan.duration.is_zero() {
            // A warm-up as long as the run is refused.
            plan.warmup = plan.warmup.min(plan.duration / 2);
        }
        if open {
            (plan.rate, plan.spawn_rate, plan.think) = (rate + 0.001, 0.0, Think::default());
        } else {
            plan.spawn_rate = rate;
            plan.think.max = Duration::from_micros(ms * 7 + 100_000);
        }
        let (keepalive, closer, mode, reuse, sources, sandbox) = sockets;
        plan.keepalive = keepalive;
        plan.closer = [Closer::Client, Closer::Server, Closer::Reset][usize::from(closer)];
        plan.port_mode = [PortMode::Auto, PortMode::Bind, PortMode::NoPort, PortMode::Ring][usize::from(mode)];
        plan.port_range = plan.port_range.filter(|_| plan.port_mode == PortMode::Ring);
        plan.reuse_addr = reuse;
        plan.sources = (1..=sources).map(|n| IpAddr::from([127, 0, 0, n])).collect();
        let (body, value, mix, observe) = texts;
        (plan.body, plan.observe) = (body, observe);
        plan.headers = vec![("X-Any".into(), value.trim().into())];
        plan.mix = Vec::new();
        for (path, weight) in mix {
            if !plan.mix.iter().any(|m| m.path == path) {
                plan.mix.push(entry(&path, weight));
            }
        }
        if !sandbox {
            plan.environment = Environment { server: plan.environment.server, ..Environment::default() };
        }
        plan
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_plan_is_typed_and_read_back(plan in plans()) {
        let typed = command::load(&plan);
        prop_assert_eq!(parsed(&typed, &plan), Ok(plan.clone()), "{}", typed);
        check_remedies(&plan)?;
    }
}
