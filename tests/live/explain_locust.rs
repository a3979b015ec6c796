//! `sockbench explain` of Locust's CSV files: one, a pair, a directory of them.

use std::fmt::Write as _;

use crate::explain_command::{explain, json};
use crate::support::messages;
use serde_json::Value;

/// What `locust --csv PREFIX` leaves in a directory, of one run and of two; a watch's directory.
#[test]
fn a_directory_with_the_files_of_locust_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let row = "Method,Name,Error,Occurrences\nGET,/,\"ConnectionRefusedError(111, 'Connection refused')\",7\n";
    std::fs::write(dir.path().join("run_failures.csv"), row).unwrap();
    std::fs::write(dir.path().join("run_stats.csv"), "Type,Name,Request Count,Failure Count\n").unwrap();
    let e = json(&[path]);
    assert_eq!(
        (&e["source"], &e["readings"][0]["limit"], &e["readings"][0]["count"]),
        (&"locust".into(), &"refused".into(), &7.into())
    );
    let says = |words: &[&str]| {
        let text = messages(explain(&[path]).assert().code(2).get_output());
        assert!(words.iter().all(|w| text.contains(w)), "{text}");
    };
    std::fs::write(dir.path().join("again_failures.csv"), row).unwrap();
    says(&["several runs of Locust", "sockbench explain ", "again_failures.csv"]);
    for name in ["run_failures.csv", "run_stats.csv", "again_failures.csv"] {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    std::fs::write(dir.path().join("watch.json"), "{}").unwrap();
    says(&["report.txt has its report"]);
}

const FAILURES: &str = "Method,Name,Error,Occurrences,First Seen,Last Seen\r\n\
    GET,/cpu,\"OSError(10048, '[WinError 10048] Only one usage of each socket address (protocol/network address/port) is normally permitted')\",1435,1,2\r\n\
    GET,/health,\"OSError(10048, '[WinError 10048] Only one usage of each socket address (protocol/network address/port) is normally permitted')\",3533,1,2\r\n\
    GET,/io,\"OSError(10048, '[WinError 10048] Only one usage of each socket address (protocol/network address/port) is normally permitted')\",2119,1,2\r\n";

/// 170/s until P/r, 300 failing/s until T, 120/s until 180 s, written every quarter of a second.
fn history() -> String {
    let mut out = "Timestamp,User Count,Type,Name,Requests/s,Failures/s,Total Request Count,Total Failure Count\r\n".to_owned();
    let (exhausted, back) = (16384.0 / 170.0, 120.0);
    for i in 0..=720 {
        let t = f64::from(i) / 4.0;
        let good = 170.0 * t.min(exhausted) + 120.0 * (t - back).max(0.0);
        let bad = 300.0 * (t.min(back) - exhausted).max(0.0);
        let (good, bad) = (good.round() as u64, bad.round() as u64);
        write!(out, "{},100,,Aggregated,0,0,{},{}\r\n", 1_700_000_000.0 + t, good + bad, bad).unwrap();
    }
    out
}

#[test]
fn locusts_files_are_solved_backwards() {
    let dir = tempfile::tempdir().unwrap();
    let failures = dir.path().join("hundred_failures.csv");
    std::fs::write(&failures, FAILURES).unwrap();
    std::fs::write(dir.path().join("hundred_stats_history.csv"), history()).unwrap();
    let file = failures.to_str().unwrap();
    let e = json(&[file, "--pool", "16384", "--hold", "120"]);
    assert_eq!(e["source"], "locust");
    assert_eq!((e["readings"][0]["count"].as_u64(), e["readings"][0]["certainty"].as_str()), (Some(7087), Some("certain")));
    let a = &e["arithmetic"];
    let near =
        |v: &Value, wanted: f64, within: f64| assert!((v.as_f64().unwrap() - wanted).abs() <= within, "{v} is not {wanted}");
    near(&a["measured"]["onset_s"], 96.4, 0.3);
    near(&a["measured"]["dead_s"], 23.6, 0.5);
    near(&a["measured"]["rate_before_cps"], 170.0, 1.0);
    near(&a["measured"]["recovered_rate_cps"], 120.0, 0.5);
    near(&a["solved_hold_s"], 120.0, 0.5);
    near(&a["forecast"]["exhausted_at_s"], 96.4, 0.5);
    near(&a["forecast"]["failures"], 7087.0, 150.0);
    let rejected: Vec<&str> = a["rejected"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    for guess in ["T = 30 s", "T = 60 s", "T = 240 s"] {
        assert!(rejected.iter().any(|r| r.starts_with(guess)), "{guess}: {rejected:?}");
    }
    // The same by the history's name; alone, the failures still say what and why.
    let by_history = dir.path().join("hundred_stats_history.csv");
    explain(&[by_history.to_str().unwrap()]).assert().success();
    let lone = dir.path().join("lone_failures.csv");
    std::fs::write(&lone, FAILURES).unwrap();
    explain(&[lone.to_str().unwrap()]).assert().success();
    std::fs::write(&lone, "Method,Name,Error,Occurrences\r\nGET,/,\"x\",many\r\n").unwrap();
    explain(&[lone.to_str().unwrap()]).assert().code(2);
}

/// Statistics say how often, the failures beside them say why; exceptions of users' tasks are read as failures are.
#[test]
fn each_of_locusts_files_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let stats = |failures: u32| {
        format!(
            "Type,Name,Request Count,Failure Count,Median Response Time\r\nGET,/,100,{failures},1\r\n,Aggregated,100,{failures},1\r\n"
        )
    };
    let said = |name: &str| {
        let out = explain(&[&file(name)]).assert().code(1);
        messages(out.get_output())
    };
    std::fs::write(file("a_stats.csv"), stats(7)).unwrap();
    assert!(said("a_stats.csv").contains("counts 7 failed of 100 requests") && said("a_stats.csv").contains("_failures.csv"));
    std::fs::write(file("a_failures.csv"), "Method,Name,Error,Occurrences\r\nGET,/,\"OSError(24, 'Too many open files')\",7\r\n")
        .unwrap();
    assert_eq!(json(&[&file("a_stats.csv")])["readings"][0]["limit"], "descriptors");
    std::fs::write(file("b_stats.csv"), stats(0)).unwrap();
    assert!(json(&[&file("b_stats.csv")])["answer"].as_str().unwrap().contains("no failure: Locust counts none in 100 requests"));
    std::fs::write(file("b_stats_history.csv"), history()).unwrap();
    assert!(said("b_stats_history.csv").contains("failed of"));
    let trace = "Traceback (most recent call last):\n  File \"\"l.py\"\", line 3, in t\n    s.connect(a)\nConnectionRefusedError: [Errno 111] Connection refused\n";
    let row = format!("Count,Message,Traceback,Nodes\r\n5,[Errno 111] Connection refused,\"{trace}\",local\r\n");
    std::fs::write(file("b_exceptions.csv"), row).unwrap();
    let e = json(&[&file("b_exceptions.csv")]);
    assert_eq!((e["readings"][0]["limit"].as_str(), e["readings"][0]["count"].as_u64()), (Some("refused"), Some(5)));
}

/// P/T is shown where ports are, or may be, the limit, and nowhere else.
#[test]
fn no_port_arithmetic_where_ports_are_not_the_limit() {
    for text in [
        "connect: connection refused",
        "socket: too many open files",
        "TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.",
        "connect: connection timed out",
        "read: connection reset by peer",
        "bind() to 0.0.0.0:80 failed (98: Address already in use)",
    ] {
        assert!(json(&[text]).get("arithmetic").is_none(), "{text}");
    }
    let dir = tempfile::tempdir().unwrap();
    let refused = dir.path().join("r_failures.csv");
    let row = "ConnectionRefusedError(111, 'Connection refused')";
    std::fs::write(&refused, format!("Method,Name,Error,Occurrences\r\nGET,/,\"{row}\",70\r\n")).unwrap();
    std::fs::write(dir.path().join("r_stats_history.csv"), history()).unwrap();
    assert!(json(&[refused.to_str().unwrap()]).get("arithmetic").is_none(), "a history does not make it ports");
    let open = json(&["curl: (7) Couldn't connect to server"]);
    assert!(open.get("arithmetic").is_some(), "{open}");
}

/// 100 users on a pool of 8192 with T = 60 s: the rate rises for ten seconds, then timeouts of the target follow.
fn small_pool() -> (String, String) {
    let mut history = "Timestamp,User Count,Type,Name,Total Request Count,Total Failure Count\r\n".to_owned();
    let start = 1_700_000_000_u64;
    let (mut got, mut requests, mut ports, mut late) = (vec![0_u64], 0_u64, 0_u64, 0_u64);
    for t in 1..=110_u64 {
        let wanted = if t <= 10 { 15 * t } else { 150 };
        let made: u64 = got[got.len() - 1];
        let back = got.get((t as usize).saturating_sub(60)).copied().unwrap_or(0);
        let held = made - if t > 60 { back } else { 0 };
        let given = wanted.min(8192 - held.min(8192));
        let refused = if given < wanted { 300 } else { 0 };
        late += if t > 90 { 5 } else { 0 };
        got.push(made + given);
        (requests, ports) = (requests + given + refused, ports + refused);
        write!(history, "{},100,,Aggregated,{requests},{}\r\n", start + t, ports + late).unwrap();
    }
    let failures = format!(
        "Method,Name,Error,Occurrences,First Seen,Last Seen\r\n\
         GET,/,connect EADDRNOTAVAIL (99): cannot assign requested address,{ports},2023-11-14T22:14:19Z,2023-11-14T22:14:28Z\r\n\
         GET,/cpu,\"timeout TIMEOUT: no progress before the timeout, while waiting for the first byte\",{late},2023-11-14T22:14:51Z,2023-11-14T22:15:10Z\r\n"
    );
    (failures, history)
}

/// An assumed pool that the counts contradict is not used, and timeouts of the target are no port failures.
#[test]
fn a_pool_that_does_not_fit_is_told_and_solved() {
    let dir = tempfile::tempdir().unwrap();
    let failures = dir.path().join("small_failures.csv");
    let (rows, history) = small_pool();
    std::fs::write(&failures, rows).unwrap();
    std::fs::write(dir.path().join("small_stats_history.csv"), history).unwrap();
    let file = failures.to_str().unwrap();
    let e = json(&[file]);
    let a = &e["arithmetic"];
    let number = |v: &Value| v.as_f64().unwrap();
    assert!((number(&a["pool"]) - 8192.0).abs() < 200.0 && number(&a["hold_s"]) == 60.0, "{a}");
    assert!((number(&a["solved_hold_s"]) - 60.0).abs() < 4.0, "{}", a["solved_hold_s"]);
    let doubts = a["doubts"].to_string();
    assert!(
        doubts.contains("28,232 ports do not fit") && doubts.contains("--pool 8") && doubts.contains("--hold 60s"),
        "{doubts}"
    );
    let m = &a["measured"];
    assert_eq!(number(&m["failures"]) - number(&m["port_failures"]), 100.0, "{m}");
    assert!(number(&a["forecast"]["failures"]) > 0.0, "no forecast without failures beside a history with them: {a}");
    // A wrong pool by flag is kept, said to be wrong, and gives no forecast.
    let wrong = json(&[file, "--pool", "28232", "--hold", "60"]);
    assert!(wrong["arithmetic"].get("forecast").is_none(), "{wrong}");
    assert!(wrong["arithmetic"]["doubts"].to_string().contains("do not fit"));
    // The right one raises no doubt.
    let right = json(&[file, "--pool", "8192", "--hold", "60"]);
    assert!(right["arithmetic"].get("doubts").is_none(), "{}", right["arithmetic"]);
}
