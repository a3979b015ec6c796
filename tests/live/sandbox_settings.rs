//! `sockbench sandbox`: settings inside, the host untouched, refusals with their reason and exit code.

use crate::support::{self, describe, here, messages, namespaces_work, sandbox, text};

fn host(key: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/net/ipv4/{key}")).unwrap()
}

#[test]
fn settings_are_set_read_back_and_the_hosts_stay() {
    if !namespaces_work() {
        return;
    }
    let before = (host("ip_local_port_range"), host("tcp_tw_reuse"));
    let out = sandbox(
        &["--sysctl", "net.ipv4.ip_local_port_range=10000 10049", "--sysctl", "net.ipv4.tcp_tw_reuse=1"],
        &["cat", "/proc/sys/net/ipv4/ip_local_port_range", "/proc/sys/net/ipv4/tcp_tw_reuse"],
    )
    .output()
    .unwrap();
    assert!(out.status.success(), "{}", describe(&out));
    assert_eq!(text(&out.stdout), "10000\t10049\n1\n");
    assert_eq!(text(&out.stderr), "sandbox: net.ipv4.ip_local_port_range = 10000 10049\nsandbox: net.ipv4.tcp_tw_reuse = 1\n");
    assert_eq!(before, (host("ip_local_port_range"), host("tcp_tw_reuse")));
}

#[test]
fn loopback_is_up_and_further_addresses_are_there() {
    if !namespaces_work() {
        return;
    }
    let out =
        sandbox(&["--address", "10.9.8.7/24", "--address", "fd00::7"], &["cat", "/proc/net/fib_trie", "/proc/net/if_inet6"])
            .output()
            .unwrap();
    let seen = text(&out.stdout);
    assert!(seen.contains("127.0.0.1") && seen.contains("10.9.8.7"), "{}", describe(&out));
    if std::path::Path::new("/proc/net/if_inet6").exists() {
        assert!(seen.contains("fd000000000000000000000000000007"), "{seen}");
    }
}

#[test]
fn refused_keys_end_with_3_and_one_line_with_a_hint() {
    if !namespaces_work() {
        return;
    }
    for (setting, says) in [
        ("net.ipv4.no_such_thing=1", "this kernel has no such setting"),
        ("net.core.rmem_max=4194304", "EACCES"),
        ("net.ipv4.tcp_mem=1 2 3", "the host has this setting, but a private namespace does not"),
        ("net.ipv4.tcp_tw_reuse=7", "the kernel refuses this value"),
    ] {
        let out = sandbox(&["--sysctl", setting], &["echo", "ran"]).output().unwrap();
        let err = messages(&out);
        assert_eq!(out.status.code(), Some(3), "{setting}: {}", describe(&out));
        assert!(err.contains(says), "{setting}: {err}");
        assert_eq!(err.lines().count(), 2, "one line and a hint: {err}");
        assert!(err.lines().nth(1).unwrap().starts_with("hint: "), "{err}");
        assert_eq!(text(&out.stdout), "", "the command must not run");
    }
}

#[test]
fn the_exit_code_is_the_commands_own() {
    if !namespaces_work() {
        return;
    }
    assert_eq!(sandbox(&[], &["sh", "-c", "exit 42"]).status().unwrap().code(), Some(42));
    let killed = sandbox(&[], &["sh", "-c", "kill -TERM $$"]).status().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&killed), Some(15));
    let out = sandbox(&[], &["/no/such/program"]).output().unwrap();
    assert_eq!(out.status.code(), Some(127), "{}", describe(&out));
    assert!(text(&out.stderr).starts_with("sockbench: sandbox: /no/such/program: "), "{}", describe(&out));
    assert_eq!(sandbox(&[], &["/etc/passwd"]).output().unwrap().status.code(), Some(126));
}

#[test]
fn where_namespaces_are_forbidden_the_setting_is_named() {
    if !namespaces_work() {
        return;
    }
    // The limit is per user namespace: inside one of our own it can be set to 0 and met at once.
    let script = format!("echo 0 > /proc/sys/user/max_user_namespaces && exec {} sandbox -- true", support::SOCKBENCH);
    let out = sandbox(&[], &["sh", "-c", &script]).output().unwrap();
    assert_eq!(out.status.code(), Some(3), "{}", describe(&out));
    assert!(messages(&out).contains("user.max_user_namespaces is 0"), "{}", describe(&out));
    assert!(text(&out.stderr).contains("hint: "));
}

#[test]
fn where_namespaces_are_forbidden_the_setting_is_named_and_nothing_predicted() {
    if !support::inside(here!(), &[]) {
        return;
    }
    // A limit of this namespace and those below it; the host keeps its own.
    std::fs::write("/proc/sys/user/max_user_namespaces", "0").expect("we are root in here");
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_sockbench")).arg("rehearse").output().expect("it starts");
    assert_eq!(out.status.code(), Some(3), "{}", support::describe(&out));
    assert_eq!(support::text(&out.stdout), "", "no prediction that is not measured");
    assert!(support::messages(&out).contains("user.max_user_namespaces is 0"), "{}", support::describe(&out));
}
