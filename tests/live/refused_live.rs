//! Refused connects on a real kernel: they leave no TIME_WAIT, so no port forecast is made of them.

use crate::support::{namespaces_work, sandbox};

#[test]
fn refused_connects_are_no_demand_for_ports() {
    if !namespaces_work() {
        return;
    }
    let small = ["--sysctl", "net.ipv4.tcp_tw_reuse=0", "--sysctl", "net.ipv4.ip_local_port_range=20000 20999"];
    let load = ["load", "http://127.0.0.1:9", "--no-keepalive", "-c", "600", "-n", "5k", "-d", "5", "-q", "--json", "-"];
    let command: Vec<&str> = std::iter::once(env!("CARGO_BIN_EXE_sockbench")).chain(load).collect();
    let out = sandbox(&small, &command).output().unwrap();
    let run: serde_json::Value = crate::documents::parse_bytes("run", &out.stdout);
    assert!(run["totals"]["connects_failed"].as_u64().unwrap() > 1000, "{}", run["totals"]);
    let ports = &run["ports"];
    assert!(ports["forecast"].is_null() && ports["rate_cps"].as_f64() == Some(0.0), "{ports}");
    let ids: Vec<&str> = run["findings"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap()).collect();
    assert_eq!(ids[0], "target-refused", "{ids:?}");
    assert!(!ids.iter().any(|id| id.contains("port") || id.contains("return")), "nothing about ports: {ids:?}");
}
