//! A plan that is typed as a command is read back as the same plan.

use std::net::IpAddr;
use std::time::Duration;

use sockbench::testing::cli::read_command;
use sockbench::testing::model::{Closer, Environment, LoadPlan, MixEntry, PortMode, PortRange, ServerFlags, Target, Think};
use sockbench::testing::remedy::command;

/// The plan that a typed command makes; sockbench's own server is at the address of `like`.
pub(super) fn read(command: &str, like: &LoadPlan) -> Result<LoadPlan, String> {
    let words = shlex::split(command).ok_or_else(|| format!("open quotes: {command}"))?;
    let mut plan =
        read_command(&words[1..]).map_err(|e| format!("{command}\n{e}"))?.ok_or_else(|| format!("no load: {command}"))?;
    if plan.target.own_server && like.target.own_server {
        plan.target = like.target.clone();
    }
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
    (plan.spawn_rate, plan.think) = (12.625, Think::uniform(Duration::from_millis(100), Duration::from_millis(500)));
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
    assert_eq!(read(&command::load(&plan), &plan).as_ref(), Ok(&plan));
    let mut open = rich();
    (open.rate, open.spawn_rate, open.think) = (0.125, 0.0, Think::default());
    assert_eq!(read(&command::load(&open), &open).as_ref(), Ok(&open));
    for (url, mix) in [
        ("http://127.0.0.1:8080/a?b=c,d", vec![entry("/a?b=c,d", 1)]),
        ("http://127.0.0.1:8080", vec![entry("/", 1)]),
        ("http://127.0.0.1:8080/a", vec![entry("/", 1), entry("/x", 3)]),
    ] {
        let mut plan = rich();
        plan.target = read(&format!("sockbench load {url}"), &plan).unwrap().target;
        (plan.mix, plan.environment) = (mix, Environment::default());
        plan.sources.retain(|s| s.is_ipv4() == plan.target.addr.is_ipv4());
        if plan.sources.is_empty() {
            (plan.port_mode, plan.port_range) = (PortMode::Auto, None);
        }
        assert_eq!(read(&command::load(&plan), &plan).as_ref(), Ok(&plan), "{url}");
    }
}

/// A study's step may end inside its ramp, which is its warm-up; `load` would refuse that.
#[test]
fn a_step_that_ended_inside_its_ramp_can_be_repeated() {
    let mut plan = rich();
    (plan.duration, plan.warmup) = (Duration::from_secs(3), Duration::from_secs(3));
    let again = read(&command::load(&plan), &plan);
    plan.warmup = Duration::ZERO;
    assert_eq!(again.as_ref(), Ok(&plan));
}
