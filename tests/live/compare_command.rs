//! `sockbench compare` on results that the program made itself.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::messages;

fn sockbench(dir: &Path, line: &str) -> Output {
    let words = line.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_sockbench")).current_dir(dir).env("NO_COLOR", "1").args(words).output().unwrap()
}

fn code(out: &Output) -> Option<i32> {
    out.status.code()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One comparison has the steady part of 10 s that an answer needs: both runs at once, they sleep most of the time.
#[test]
fn a_slower_target_is_found_named_and_judged() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, sleep: &str| {
        let line =
            format!("load -q -c 4 -d 12s --mix /io --server io-sleep={sleep} --server cpu-iterations=1 -o {name} --csv {name}");
        sockbench(dir.path(), &line)
    };
    std::thread::scope(|scope| {
        for (name, sleep) in [("before", "50ms"), ("after", "80ms")] {
            scope.spawn(move || {
                let out = run(name, sleep);
                assert_eq!(code(&out), Some(0), "{out:?}");
            });
        }
    });
    let refused = sockbench(dir.path(), "compare before after");
    assert_eq!(code(&refused), Some(2), "{refused:?}");
    assert!(
        messages(&refused).contains("the second run has another plan: --server io-sleep=80ms")
            && messages(&refused).contains("--across-environments"),
        "{refused:?}"
    );

    let line = "compare before after --across-environments --threshold p95_change<5% --json compared.json --html page.html --junit x.xml";
    let out = sockbench(dir.path(), line);
    assert_eq!(code(&out), Some(99), "{out:?}");
    let shown = text(&out.stdout);
    assert!(shown.starts_with("WORSE: ") && shown.contains("p50 ms") && shown.contains("FAILED"), "{shown}");
    let document: Value = crate::documents::parse_bytes("compare", &fs::read(dir.path().join("compared.json")).unwrap());
    let pair = &document["pairs"][0];
    assert_eq!(pair["verdict"], "worse");
    let p50 = pair["totals"].as_array().unwrap().iter().find(|row| row["what"] == "p50_ms").unwrap();
    let interval: Vec<f64> = serde_json::from_value(p50["interval"].clone()).unwrap();
    // Each sleep lasts a little longer than asked, on a busy machine more.
    let change = p50["change"].as_f64().unwrap();
    assert!((0.5..0.65).contains(&change) && interval[0] <= change && change <= interval[1], "80 ms instead of 50: {p50}");
    let page = fs::read_to_string(dir.path().join("page.html")).unwrap();
    assert!(page.contains("chart-percentiles") && page.contains("Beside after"));
    assert!(fs::read_to_string(dir.path().join("x.xml")).unwrap().contains("failures=\"1\""));

    // The other way round, it is better; and the same run beside itself differs in nothing.
    let better = sockbench(dir.path(), "compare after before --across-environments");
    assert!(code(&better) == Some(0) && text(&better.stdout).starts_with("BETTER: "), "{better:?}");
    let same = sockbench(dir.path(), "compare before before/run.json");
    assert!(code(&same) == Some(0) && text(&same.stdout).starts_with("NO REAL DIFFERENCE"), "{same:?}");
    // In Locust's format a side is another tool's: it has no plan, and is compared without a question.
    let locust = sockbench(dir.path(), "compare before after_stats.csv --json -");
    let document: Value = crate::documents::parse_bytes("compare", &locust.stdout);
    assert_eq!((code(&locust), &document["pairs"][0]["side"]["source"]), (Some(0), &Value::from("locust")));
}

#[test]
fn what_cannot_be_compared_says_why_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let out = sockbench(dir.path(), "load -q -n 5 -c 1 --mix /health --server cpu-iterations=1 -o short");
    assert_eq!(code(&out), Some(0), "{out:?}");
    let out = sockbench(dir.path(), "compare short short");
    assert!(code(&out) == Some(0) && text(&out.stdout).to_lowercase().contains("too short"), "{out:?}");
    fs::write(dir.path().join("other.json"), "{\"schema\": \"sockbench-study/1\"}").unwrap();
    fs::write(dir.path().join("text"), "p95 is fine").unwrap();
    for wrong in ["nothing", "other.json", "text", "short/run.hlog"] {
        let out = sockbench(dir.path(), &format!("compare short {wrong}"));
        let err = messages(&out);
        assert_eq!((code(&out), err.lines().count(), err.contains("hint: ")), (Some(2), 2, true), "{wrong}: {err}");
    }
    let out = sockbench(dir.path(), "compare short short --threshold p95<5");
    assert_eq!(code(&out), Some(2), "{out:?}");
}
