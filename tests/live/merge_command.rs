//! Several processes as machines: shards of one plan, merged.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::served::Served;

fn sockbench(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockbench"));
    command.args(args);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Starts shard `number` of `of` of a load with `flags`, kept in `dir/number`.
fn shard(url: &str, number: u32, of: u32, flags: &[&str], dir: &Path) -> Child {
    let kept = dir.join(number.to_string());
    sockbench(&["load", url, "-q", "--mix", "/health=3,/io?ms=1", "--shard", &format!("{number}/{of}"), "-o"])
        .arg(kept)
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ended(children: Vec<Child>) -> Vec<Output> {
    children
        .into_iter()
        .map(|child| {
            let out = child.wait_with_output().unwrap();
            assert!(out.status.success(), "{}", text(&out.stderr));
            out
        })
        .collect()
}

fn run(dir: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(dir.join("run.json")).unwrap()).unwrap()
}

fn merge(dir: &Path, numbers: &[u32], more: &[&str]) -> Output {
    let mut command = sockbench(&["merge"]);
    command.args(numbers.iter().map(|n| dir.join(n.to_string()))).args(more);
    command.output().unwrap()
}

fn sum(runs: &[Value], key: &str) -> u64 {
    runs.iter().map(|run| run["totals"][key].as_u64().unwrap()).sum()
}

#[test]
fn three_shards_merged_are_one_run_to_the_unit() {
    let served = Served::start(&["--admin", "127.0.0.1:0"]);
    let url = format!("http://{}/", served.addr);
    let dir = tempfile::tempdir().unwrap();
    // A count that three do not divide; some users more than requests would need.
    let flags = ["-n", "1000", "-c", "7", "--start-at", "+2s"];
    let outs = ended((1..=3).map(|n| shard(&url, n, 3, &flags, dir.path())).collect());
    assert_eq!(outs.len(), 3);
    let parts: Vec<Value> = (1..=3).map(|n| run(&dir.path().join(n.to_string()))).collect();
    let attempts: Vec<u64> = parts.iter().map(|p| p["totals"]["attempts"].as_u64().unwrap()).collect();
    assert_eq!(attempts, [334, 333, 333]);
    assert_eq!(parts.iter().map(|p| p["plan"]["users"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 2, 2]);
    let clock = &parts[0]["start"]["clock"];
    assert!(clock["offset_s"].as_f64().unwrap().abs() <= clock["within_s"].as_f64().unwrap() + 1e-3, "one clock: {clock}");

    let all = dir.path().join("all");
    let out = merge(dir.path(), &[3, 1, 2], &["-o", all.to_str().unwrap()]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let merged = run(&all);
    for key in ["attempts", "requests", "failures", "local_failures", "cut", "connections_opened", "bytes_in"] {
        assert_eq!(merged["totals"][key].as_u64().unwrap(), sum(&parts, key), "{key}");
    }
    assert_eq!(merged["totals"]["requests"], 1000);
    // The server counted the same; what measured the clock are HEAD requests.
    let gets =
        |handler: &str| served.counter(&format!("http_requests_total{{handler=\"{handler}\",method=\"GET\",code=\"200\"}}"));
    assert_eq!(gets("/health") + gets("/io"), 1000);
    assert_eq!(merged["plan"]["users"], 7);
    assert!(merged["plan"].get("shard").is_none() && merged["ports"].is_null());
    assert_eq!(merged["machines"].as_array().unwrap().len(), 3);

    // It is a run like any other.
    let report = sockbench(&["report", all.to_str().unwrap(), "-v"]).output().unwrap();
    assert!(report.status.success() && text(&report.stdout).contains("1/3"), "{}", text(&report.stdout));
    let html = sockbench(&["report", all.to_str().unwrap(), "--format", "html"]).output().unwrap();
    assert!(html.status.success(), "{}", text(&html.stderr));
    let compared =
        sockbench(&["compare", "--across-environments", all.to_str().unwrap(), all.to_str().unwrap()]).output().unwrap();
    assert!(compared.status.success(), "{}", text(&compared.stderr));
    let again = sockbench(&["report", all.to_str().unwrap(), "--again"]).output().unwrap();
    assert!(again.status.code() == Some(2) && text(&again.stderr).contains("sockbench merge again"), "{}", text(&again.stderr));
    let log = sockbench(&["report", all.to_str().unwrap(), "--format", "hlog"]).output().unwrap();
    assert!(log.status.success(), "{}", text(&log.stderr));
    assert_eq!(text(&log.stdout), std::fs::read_to_string(all.join("run.hlog")).unwrap());

    // Two of three are no whole, and the first line says so.
    let some = merge(dir.path(), &[1, 3], &["--json", "-"]);
    let some: Value = serde_json::from_slice(&some.stdout).unwrap();
    let sentence = some["verdict"]["sentence"].as_str().unwrap();
    assert!(sentence.contains("incomplete: shard 2/3 of the plan is missing") && !sentence.starts_with("OK"), "{sentence}");
    assert_eq!(some["validity"]["stamp"], "incomplete");

    let twice = merge(dir.path(), &[1, 2, 2], &[]);
    assert_eq!(twice.status.code(), Some(2));
    assert!(text(&twice.stderr).contains("are both shard 2/3"), "{}", text(&twice.stderr));
}

#[test]
fn no_result_replaces_a_run_that_it_is_made_from() {
    let served = Served::start(&[]);
    let url = format!("http://{}/", served.addr);
    let dir = tempfile::tempdir().unwrap();
    ended((1..=2).map(|n| shard(&url, n, 2, &["-n", "20", "-c", "2"], dir.path())).collect());
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::os::unix::fs::symlink(at("1/run.hlog"), at("link")).unwrap();
    let kept = || ["1/run.json", "1/run.hlog", "2/run.json", "2/run.hlog"].map(|name| std::fs::read(at(name)).unwrap());
    let before = kept();
    let refused = |out: Output| {
        assert_eq!(out.status.code(), Some(2));
        assert!(text(&out.stderr).contains("which is read here"), "{}", text(&out.stderr));
        assert!(out.stdout.is_empty() && kept() == before);
    };
    for more in [
        &["-o", &at("1"), "--overwrite"][..],
        &["-o", &at("2/../1"), "--overwrite"],
        &["--json", &at("2/run.json")],
        &["--html", &at("link")],
        &["--junit", &at("1/run.json"), "--fail-on-invalid"],
    ] {
        refused(merge(dir.path(), &[1, 2], more));
    }
    // So it is where runs are compared, and where one is shown again.
    for (command, flag) in [("compare", "--json"), ("compare", "--html"), ("report", "--junit")] {
        let runs = [at("1"), at("2")];
        let runs = if command == "compare" { &runs[..] } else { &runs[..1] };
        refused(sockbench(&[command]).args(runs).args([flag, &at("1/run.json")]).output().unwrap());
    }
    let out = merge(dir.path(), &[1, 2], &["--json", &at("all.json")]);
    assert!(out.status.success(), "{}", text(&out.stderr));
}

#[test]
fn a_shard_without_users_ends_at_once_and_can_be_merged() {
    let served = Served::start(&[]);
    let url = format!("http://{}/", served.addr);
    let dir = tempfile::tempdir().unwrap();
    let flags = ["-d", "1s", "-c", "2", "-R", "50"];
    let outs = ended((1..=3).map(|n| shard(&url, n, 3, &flags, dir.path())).collect());
    assert!(
        text(&outs[2].stdout).to_lowercase().contains("nothing to do for shard 3/3: the plan has 2 users"),
        "{}",
        text(&outs[2].stdout)
    );
    let third = run(&dir.path().join("3"));
    assert_eq!((&third["totals"]["attempts"], &third["validity"]["stamp"]), (&0.into(), &"valid".into()));
    let out = merge(dir.path(), &[1, 2, 3], &["--json", "-"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let merged: Value = serde_json::from_slice(&out.stdout).unwrap();
    // Every arrival of the schedule, by whichever machine.
    assert_eq!(merged["totals"]["attempts"].as_u64().unwrap() + merged["totals"]["never_started"].as_u64().unwrap(), 50);
    assert_eq!(merged["machines"].as_array().unwrap().len(), 3);
}

#[test]
fn shards_without_a_common_target_are_refused() {
    let out = sockbench(&["load", "--shard", "1/2"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("--shard: no URL"), "{}", text(&out.stderr));
}
