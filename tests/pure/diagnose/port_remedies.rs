//! Remedies for used-up ports: those that fit the plan in force, as commands that can be run.

use sockbench::testing::model::{FindingId as Id, RunResult};

use super::{fires, names, reads, remedy};
use crate::facts::exhausted;

#[test]
fn remedies_fit_the_plan_in_force() {
    let mut run = exhausted();
    let f = fires(Id::LocalPortsExhausted, &run);
    let all = names(&f);
    assert_eq!(&all[..4], ["keep-alive", "server-closes", "ring", "tw-reuse"], "{all:?}");
    for folklore in ["fin-timeout", "reuse-addr-alone", "linger-reset", "max-tw-buckets"] {
        assert!(!all.contains(&folklore));
    }
    let by = |name: &str| remedy(&f, name);
    assert!(by("wider-range").windows_command.as_deref().unwrap().contains("netsh"));
    assert!(by("pace").command.contains("--rate 305"), "{}", by("pace").command);
    assert!(by("ring").command.contains("--port-mode ring --port-range 10000-32000 --reuse-addr"));
    assert!(!by("keep-alive").command.contains("--no-keepalive"));
    run.host.sysctls.ip_local_port_range = Some([1024, 65535]);
    let wide = fires(Id::LocalPortsExhausted, &run);
    assert!(!names(&wide).contains(&"wider-range"), "never advise what is already on");
    run.host.sysctls.tcp_tw_reuse = Some(1);
    run.ports.as_mut().unwrap().hold_s = Some(1.0);
    let f = fires(Id::LocalPortsExhausted, &run);
    assert!(!names(&f).contains(&"tw-reuse") && names(&f).contains(&"tw-reuse-delay"), "{:?}", names(&f));
    reads("local-ports-exhausted, with tcp_tw_reuse on", &f);
}

#[test]
fn port_remedies_work_beside_each_other() {
    let by = |run: &RunResult, name: &str| remedy(&fires(Id::LocalPortsExhausted, run), name).clone();
    // After the range was widened the ring's ports are set aside first.
    let mut wide = exhausted();
    wide.host.sysctls.ip_local_port_range = Some([1024, 65535]);
    let ring = by(&wide, "ring").command;
    assert!(ring.starts_with("sysctl -w net.ipv4.ip_local_reserved_ports=10000-32000 && "), "{ring}");
    assert!(by(&exhausted(), "ring").command.starts_with("sockbench load "), "nothing to set aside");
    // A small pool is compared with itself, not with its range; the target's own listener is not gained.
    let mut small = exhausted();
    small.plan.target = sockbench::testing::model::Target::own(([127, 0, 0, 1], 8080).into());
    small.host.sysctls.ip_local_port_range = Some([33000, 33099]);
    small.ports.as_mut().unwrap().pool = Some(40);
    let fresh = by(&small, "fresh-namespace").command;
    assert!(fresh.contains("--sandbox --sysctl 'net.ipv4.ip_local_port_range=33000 33099'"), "the same ceiling there: {fresh}");
    reads("local-ports-exhausted, a small pool", &fires(Id::LocalPortsExhausted, &small));
    // A second server beside the first, and half of the load to each.
    let mut second = exhausted();
    second.plan.target = sockbench::testing::model::Target::at(([127, 0, 0, 1], 8080).into());
    second.resources.target.as_mut().unwrap().name = "sockbench".into();
    let command = by(&second, "destinations").command;
    assert!(command.starts_with("sockbench server --listen 127.0.0.1:8081 & "), "{command}");
    assert!(
        command.matches("sockbench load ").count() == 1 && command.contains(" --conns 50 "),
        "all users in one run: {command}"
    );
    for entry in ["http://127.0.0.1:8080/health=1", "http://127.0.0.1:8081/health=1"] {
        assert!(command.contains(entry), "{command}");
    }
}

/// In a private namespace the settings are part of the command; the host's are left alone.
#[test]
fn a_sandbox_stays_a_sandbox() {
    let mut run = exhausted();
    run.plan.target = sockbench::testing::model::Target::own(([127, 0, 0, 1], 8080).into());
    run.plan.environment.sandbox = true;
    run.plan.environment.set_sysctl("net.ipv4.tcp_tw_reuse", "0");
    run.plan.environment.server = vec!["closer=client".to_owned()].try_into().unwrap();
    let f = fires(Id::LocalPortsExhausted, &run);
    for r in &f.remedies {
        assert!(r.command.starts_with("sockbench load --sandbox "), "{r:?}");
    }
    let by = |name: &str| &remedy(&f, name).command;
    assert!(by("tw-reuse").contains("--sysctl net.ipv4.tcp_tw_reuse=1 ") && !by("tw-reuse").contains("tcp_tw_reuse=0"));
    assert!(by("server-closes").ends_with("--server closer=server"), "{}", by("server-closes"));
    assert!(!names(&f).iter().any(|name| ["wait", "fresh-namespace"].contains(name)), "it is fresh each time: {:?}", names(&f));
}
