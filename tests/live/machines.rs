//! Machines of their own: network namespaces joined by veth, each with its own addresses and its own pool of source ports.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use sockbench::testing::model::{FindingId, RunResult, VerdictId};

use crate::counting::Counted;
use crate::loud;
use crate::support::{SOCKBENCH, here, inside};

/// Waits for its end of the cable; `$1` is its number, `$2` its range of source ports, and the rest what it runs.
const MACHINE: &str = "echo ready; read -r go; n=$1; range=$2; shift 2; set -e
ip link set lo up; ip addr add 10.77.$n.2/24 dev eth0; ip link set eth0 up
ip route add default via 10.77.$n.1
echo $range > /proc/sys/net/ipv4/ip_local_port_range; echo 0 > /proc/sys/net/ipv4/tcp_tw_reuse; exec \"$@\"";

/// A namespace in which a command runs.
pub(crate) struct Machine {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Machine {
    /// Joins number `n` to this namespace, which is its router 10.77.N.1, and lets it run `command`.
    pub(crate) fn start(n: u8, range: &str, command: &[&str]) -> Self {
        let mut words = vec!["--net", "--", "sh", "-c", MACHINE, "machine"];
        let number = n.to_string();
        words.extend([number.as_str(), range]);
        words.extend(command);
        let mut child = Command::new("unshare").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let (end, pid) = (format!("v{n}"), child.id().to_string());
        ip(&["link", "add", &end, "type", "veth", "peer", "name", "eth0", "netns", &pid]);
        ip(&["addr", "add", &format!("10.77.{n}.1/24"), "dev", &end]);
        ip(&["link", "set", &end, "up"]);
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        Self { child, out }
    }

    pub(crate) fn ended(mut self) {
        let said = std::io::read_to_string(&mut self.out).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Options of the namespace that all are joined to: its address is one for all of them.
pub(crate) const HUB: &[&str] = &["--address", "10.77.0.1/32"];

/// Whether what joins namespaces is installed; says what is missing.
pub(crate) fn can_be_joined() -> bool {
    let missing = ["ip", "unshare"].into_iter().find(|tool| Command::new(tool).arg("-V").output().is_err());
    if let Some(tool) = missing {
        loud::skipped(format!("{tool}: not installed"));
    }
    missing.is_none()
}

fn ip(words: &[&str]) {
    assert!(Command::new("ip").args(words).status().unwrap().success(), "ip {words:?}");
}

fn kept(dir: &Path) -> RunResult {
    serde_json::from_str(&std::fs::read_to_string(dir.join("run.json")).unwrap()).unwrap()
}

#[test]
fn a_merged_run_says_which_machine_had_no_ports_left() {
    if !can_be_joined() || !inside(here!(), HUB) {
        return;
    }
    let target = Counted::start_at("0.0.0.0:0");
    let port = target.url.rsplit(':').next().unwrap().trim_end_matches('/');
    let dir = tempfile::tempdir().unwrap();
    let kept_in = |name: &str| dir.path().join(name);
    // One has fifty ports for some 200 connections a second, the other has enough.
    let machines: Vec<Machine> = [(1, "40000 40049"), (2, "20000 59999")]
        .map(|(n, range)| {
            let (url, shard, dir) = (format!("http://10.77.0.1:{port}/"), format!("{n}/2"), kept_in(&n.to_string()));
            let load = ["load", &url, "-q", "--allow-remote", "--mix", "/health", "--shard", &shard, "-o", dir.to_str().unwrap()];
            let how = ["--no-keepalive", "-c", "20", "--think", "40..60ms", "-d", "4s"];
            Machine::start(n, range, &[&[SOCKBENCH], &load[..], &how[..]].concat())
        })
        .into();
    machines.into_iter().for_each(Machine::ended);
    let runs = ["1", "2"].map(kept_in);
    let out = Command::new(SOCKBENCH).arg("merge").args(&runs).arg("-o").arg(kept_in("all")).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let (all, each) = (kept(&kept_in("all")), runs.map(|run| kept(&run)));
    assert_eq!(all.totals.requests, each.iter().map(|run| run.totals.requests).sum::<u64>());
    assert_eq!(all.totals.requests, target.at_rest().answered);
    let failed: Vec<u64> = all.machines.iter().map(|m| m.local_failures).collect();
    assert!(failed[0] > 100 && failed[1] == 0, "{failed:?}");
    let pools: Vec<Option<u32>> = all.machines.iter().map(|m| m.ports.as_ref().and_then(|ports| ports.pool)).collect();
    assert_eq!(pools, [Some(50), Some(40_000)]);
    let full = all.findings.iter().find(|f| f.id == FindingId::LocalPortsExhausted).expect("of the first");
    assert_eq!(full.machines, [all.machines[0].name.clone()]);
    assert_eq!(all.verdict.id, VerdictId::PortBound);
    assert!(all.verdict.sentence.starts_with(&format!("{}: source ports ran out", all.machines[0].name)), "{:?}", all.verdict);
}
