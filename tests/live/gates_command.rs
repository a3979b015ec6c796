//! `--threshold` as a pipeline meets it: exit codes, files, what stdout and stderr carry.

use std::fs;
use std::process::{Command, Output, Stdio};

/// A short run against an own server that is ready at once.
const SHORT: &[&str] =
    &["load", "-q", "-n", "20", "-c", "2", "--mix", "/health", "--server", "cpu-iterations=1", "--server", "io-workers=2"];

fn sockbench(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockbench"));
    command.args(args).env_remove("GITHUB_ACTIONS").env_remove("GITHUB_STEP_SUMMARY").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(out: &Output) -> Option<i32> {
    out.status.code()
}

#[test]
fn a_failed_threshold_is_exit_99_with_a_table() {
    let passes = sockbench(SHORT).args(["--threshold", "http_reqs:count==20"]).output().unwrap();
    assert_eq!(code(&passes), Some(0), "{passes:?}");
    assert!(text(&passes.stdout).contains("http_reqs:count==20  passed"), "{}", text(&passes.stdout));
    let fails = ["--threshold", "http_reqs:count==20", "--threshold", "http_reqs:count>20", "--fail-on-errors"];
    let fails = sockbench(SHORT).args(fails).output().unwrap();
    assert_eq!(code(&fails), Some(99), "{fails:?}");
    assert!(text(&fails.stdout).contains("http_reqs:count>20   FAILED"), "{}", text(&fails.stdout));
}

#[test]
fn what_is_worse_than_a_threshold_comes_first() {
    // Nothing listens: the environment refused.
    let refused = ["load", "http://127.0.0.1:1/", "-n", "2", "-c", "1", "-q", "--threshold", "http_req_failed:rate==0"];
    assert_eq!(code(&sockbench(&refused).output().unwrap()), Some(3));
    // A threshold comes before requests that failed.
    let failing = ["load", "-q", "-n", "20", "-c", "2", "--mix", "/nowhere", "--fail-on-errors", "--threshold"];
    let failing = |threshold: &str| sockbench(&failing).arg(threshold).output().unwrap();
    let (holds, fails) = (failing("http_req_failed:rate==1"), failing("http_req_failed:rate<1"));
    assert_eq!((code(&holds), code(&fails)), (Some(1), Some(99)), "{holds:?}");
}

#[test]
fn an_interrupted_run_is_not_judged() {
    let mut run =
        sockbench(&["load", "-d", "60s", "-c", "1", "--mix", "/health", "--think", "10ms", "--threshold", "http_reqs:count<1"]);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The first second is reported on stderr.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    assert!(lines.any(|l| l.unwrap().contains("req/s")), "a second has passed");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    let out = child.wait_with_output().unwrap();
    assert_eq!(code(&out), Some(130), "{said:?}");
    assert!(said.iter().any(|l| l.contains("not judged")) && !text(&out.stdout).contains("FAILED"), "{said:?}");
}

#[test]
fn files_and_github_have_what_stdout_has() {
    let dir = tempfile::tempdir().unwrap();
    let (xml, summary) = (dir.path().join("gates.xml"), dir.path().join("summary.md"));
    let thresholds = ["--threshold", "http_req_duration{name:/health}:p(97.5)<10s", "--threshold", "local_failures:count>0"];
    let out = sockbench(SHORT)
        .args(thresholds)
        .args(["--json", "-", "-o"])
        .arg(dir.path().join("kept"))
        .arg("--junit")
        .arg(&xml)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()
        .unwrap();
    assert_eq!(code(&out), Some(99), "{out:?}");
    let run: serde_json::Value = crate::documents::parse_bytes("run", &out.stdout);
    assert_eq!(run["totals"]["attempts"], 20, "stdout is the document alone");
    let err = text(&out.stderr);
    assert!(err.contains("local_failures:count>0") && err.matches("::error ").count() == 1, "{err}");
    assert!(fs::read_to_string(&xml).unwrap().contains("failures=\"1\""));
    assert!(fs::read_to_string(&summary).unwrap().contains("1 of 2 failed"));
    let kept = dir.path().join("kept");
    assert!(fs::read_to_string(kept.join("report.txt")).unwrap().contains("FAILED"));

    // The stored run is judged alike, a percentile of its interval log included.
    let again = sockbench(&["report"]).arg(&kept).args(thresholds).output().unwrap();
    assert_eq!(code(&again), Some(99), "{again:?}");
    assert!(text(&again.stdout).contains("1 of 2 failed"), "{}", text(&again.stdout));
    fs::remove_file(kept.join("run.hlog")).unwrap();
    assert_eq!(code(&sockbench(&["report"]).arg(&kept).args(thresholds).output().unwrap()), Some(2), "no log, no percentile");
}

#[test]
fn a_run_without_source_ports_fails_and_every_step_of_a_study_is_judged() {
    let study = ["study", "-q", "--users", "1,2", "-d", "1s", "--mix", "/health", "--threshold", "http_reqs:count>0"];
    let out = sockbench(&study).output().unwrap();
    assert_eq!((code(&out), text(&out.stdout).matches("passed").count()), (Some(0), 3), "{out:?}");
    if !crate::support::namespaces_work() {
        return;
    }
    let exhausted = ["load", "-q", "--sandbox", "--sysctl", "net.ipv4.ip_local_port_range=40000 40099", "--sysctl"];
    let more = ["net.ipv4.tcp_tw_reuse=0", "--no-keepalive", "--mix", "/health", "-d", "2s", "-c", "4", "--threshold"];
    for threshold in ["http_req_failed:rate<0.01", "local_failures:count==0", "ports_peak_share<0.7", "validity==valid"] {
        let out = sockbench(&exhausted).args(more).arg(threshold).output().unwrap();
        assert_eq!(code(&out), Some(99), "{threshold}: {out:?}");
    }
}
