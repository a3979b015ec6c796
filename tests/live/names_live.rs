//! A name with several addresses of which one listens, from /etc/hosts of a private mount namespace.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Output};

use crate::support::{SOCKBENCH, describe, text};
use crate::{loud, runs};

/// Runs `args` of sockbench where /etc/hosts is `hosts`; none where such a namespace cannot be made.
fn with_hosts(hosts: &str, args: &[&str]) -> Option<Output> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(hosts.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let shell = |script: &str, args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, path, SOCKBENCH]).args(args);
        command.output()
    };
    let trial = shell("mount --bind \"$0\" /etc/hosts", &[]);
    if !trial.is_ok_and(|out| out.status.success()) {
        loud::skipped("unshare(1) cannot make a mount namespace here");
        return None;
    }
    Some(shell("mount --bind \"$0\" /etc/hosts && exec \"$@\"", args).unwrap())
}

fn result(out: &Output) -> serde_json::Value {
    crate::documents::parse_bytes("run", &out.stdout)
}

const LOAD: [&str; 7] = ["-n", "20", "-c", "2", "--json", "-", "-q"];

#[test]
fn the_address_that_listens_is_used_and_the_other_is_named() {
    let (_server, own) = runs::server("127.0.0.9:0", &["--io-workers", "2"]);
    let port: u16 = own.rsplit(':').next().and_then(|p| p.trim_end_matches('/').parse().ok()).unwrap();
    // The port is in use on the other address, so that nobody listens there meanwhile.
    let held = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    held.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    let url = format!("http://both.test:{port}/health");
    let hosts = "127.0.0.1 both.test\n127.0.0.9 both.test\n";
    let Some(out) = with_hosts(hosts, &[&["load", &url], &LOAD[..]].concat()) else { return };
    let run = result(&out);
    assert_eq!(out.status.code(), Some(0), "{}", describe(&out));
    assert_eq!((run["totals"]["requests"].as_u64(), run["totals"]["failures"].as_u64()), (Some(20), Some(0)));
    let target = &run["plan"]["target"];
    assert_eq!(target["addr"], format!("127.0.0.9:{port}"));
    assert_eq!(target["resolved"].as_array().unwrap().len(), 2);
    assert_eq!(target["unreached"], serde_json::json!([{"addr": format!("127.0.0.1:{port}"), "cause": {"errno": 111}}]));
    // The text says so, and so does a look at the ports.
    let out = with_hosts(hosts, &["load", &url, "-n", "2", "-c", "1"]).unwrap();
    let said = format!("at 127.0.0.9:{port}; 127.0.0.1:{port} refused");
    for said_in in [&out.stdout, &out.stderr] {
        let words = text(said_in).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&said), "{}", describe(&out));
    }
    let out = with_hosts(hosts, &["ports", &format!("both.test:{port}"), "--json"]).unwrap();
    let ports: serde_json::Value = crate::documents::parse_bytes("ports", &out.stdout);
    assert_eq!(ports["destinations"][0]["destination"], format!("127.0.0.9:{port}"));
}

#[test]
fn where_no_address_listens_the_finding_names_them_all() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    drop(held);
    let url = format!("http://none.test:{port}/");
    let Some(out) = with_hosts("127.0.0.8 none.test\n127.0.0.9 none.test\n", &[&["load", &url], &LOAD[..]].concat()) else {
        return;
    };
    assert_eq!(out.status.code(), Some(3), "{}", describe(&out));
    let run = result(&out);
    assert_eq!(run["plan"]["target"]["unreached"].as_array().unwrap().len(), 2);
    let finding = &run["findings"][0];
    assert_eq!(finding["id"], "target-refused");
    assert!(finding["explanation"].as_str().unwrap().contains(&format!("127.0.0.9:{port} refused")), "{finding}");
}
