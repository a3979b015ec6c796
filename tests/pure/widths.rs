//! Nothing that a person reads is wider than 80 columns where no terminal says otherwise: every text over the stored
//! examples, brief and in full. A word that is longer alone is the one exception.

use std::process::{Command, Stdio};

use sockbench::testing::explain::{Known, explain_run, explain_text};
use sockbench::testing::model::PortsReport;
use sockbench::testing::report::{Detail, Page, json, render_explanation, render_ports, render_run};

const RUNS: [&str; 7] = ["exhausted", "generator", "gone", "healthy", "queueing", "refused", "saturated"];

fn path(run: &str) -> String {
    format!("{}/tests/data/runs/{run}.json", env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> [Page; 2] {
    [Detail::Brief, Detail::Full].map(|detail| Page { detail, ..Page::plain() })
}

fn fits(name: &str, text: &str) {
    for line in text.lines() {
        let width = line.chars().count();
        assert!(width <= 80 || is_one_word(line), "{name}: {width} columns: {line}\n{text}");
    }
}

/// A word of a command, as a shell counts words, with the flag that it is the value of; after a prompt.
fn is_one_word(line: &str) -> bool {
    let line = line.trim().trim_end_matches([' ', '\\', '^']);
    let line = ["$ ", "Windows> ", "macOS$ "].iter().fold(line, |line, prompt| line.strip_prefix(prompt).unwrap_or(line));
    let outside: String = line.split('\'').step_by(2).collect();
    let words: Vec<&str> = outside.split_whitespace().collect();
    matches!(words[..], [] | [_]) || matches!(words[..], [flag, _] if flag.starts_with('-'))
}

#[test]
fn runs_and_what_explains_them() {
    for name in RUNS {
        let run = json::parse(&std::fs::read_to_string(path(name)).unwrap()).unwrap();
        for page in pages() {
            fits(name, &render_run(&run, &page));
            fits(name, &render_explanation(&explain_run(&run, &Known::default()), &page));
        }
    }
}

/// The widest figures that a column can have: counts in the hundreds of millions, times in minutes, names that are long.
#[test]
fn runs_with_large_figures_and_long_names() {
    fn grown(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Array(all) => all.iter_mut().for_each(grown),
            serde_json::Value::Object(all) => all.values_mut().for_each(grown),
            serde_json::Value::Number(n) => {
                if let Some(count) = n.as_u64() {
                    *value = (count * 54_321).into();
                } else if let Some(figure) = n.as_f64() {
                    *value = (figure * 4_321.0).into();
                }
            }
            _ => {}
        }
    }
    for name in RUNS {
        let text = std::fs::read_to_string(path(name)).unwrap();
        let mut run: serde_json::Value = serde_json::from_str(&text).unwrap();
        for key in ["totals", "endpoints", "closes", "errors", "kernel"] {
            grown(&mut run[key]);
        }
        for endpoint in run["endpoints"].as_array_mut().unwrap() {
            let long = format!("{}/of/a/path/that/is/much/longer/than/a/column", endpoint["name"].as_str().unwrap());
            endpoint["name"] = long.into();
        }
        // A word is as long as it is; errors keep their calls.
        for error in run["errors"].as_array_mut().into_iter().flatten() {
            error["errno"] = serde_json::Value::Null;
        }
        let run = json::parse(&run.to_string()).unwrap_or_else(|e| panic!("{name}: {e}"));
        for page in pages() {
            fits(name, &render_run(&run, &page));
        }
    }
}

#[test]
fn explained_texts() {
    let texts: toml::Table = toml::from_str(include_str!("../data/error_texts.toml")).unwrap();
    for line in texts["line"].as_array().unwrap() {
        let text = line["text"].as_str().unwrap();
        let Some(explained) = explain_text(text, &Known::default()) else { continue };
        for page in pages() {
            fits(text, &render_explanation(&explained, &page));
        }
    }
}

/// As many kinds of figures in as long names as there are.
#[test]
fn port_budgets() {
    let states = serde_json::json!({ "time_wait": 12_000, "established": 10_000, "fin_wait2": 4_000, "fin_wait2_timed": 1_000, "close_wait": 2_000 });
    let of = |source: &str, destination: &str| {
        serde_json::json!({
            "source": source, "destination": destination, "used": 28_000, "held": 28_000, "open": 15_000, "used_outside": 12, "share": 0.9913,
            "states": states, "time_wait_target_side": 4, "hold_s": 60.0, "hold_why": "TIME_WAIT lasts its full 60 s",
            "ceiling_cps": 28_231.0, "search_cps": 14_115.0, "first_free_in_s": 1.5, "last_free_in_s": 59.9,
        })
    };
    let v6 = "fd00:1234:5678:9abc:def0:1234:5678:9abc";
    for pairs in [
        vec![("127.0.0.1", "127.0.0.1:8080")],
        vec![("127.0.0.1", "127.0.0.1:8080"), ("127.0.0.1", "127.0.0.1:8081")],
        vec![("192.168.100.101", "192.168.100.200:65535"), ("192.168.100.102", "192.168.100.200:65535")],
        vec![(v6, "[fd00:1234:5678:9abc:def0:1234:5678:1]:65535"), (v6, "[fd00:1234:5678:9abc:def0:1234:5678:2]:65535")],
        vec![(v6, "[fd00:1234:5678:9abc:def0:1234:5678:1]:65535"), ("127.0.0.1", "127.0.0.1:8080")],
    ] {
        let rows: Vec<_> = pairs.iter().map(|(source, destination)| of(source, destination)).collect();
        let report: PortsReport = serde_json::from_value(serde_json::json!({
            "schema": "sockbench-ports/1", "kernel": "6.18.44-a-long-name-of-a-kernel", "range": [32768, 60999], "reserved": 12,
            "listeners": 2, "bound_only": 1, "pool": 28_231, "destinations": rows, "more_destinations": 12_000,
            "more_used": 28_000, "time_wait_at_servers": 17, "unavailable": [],
        }))
        .unwrap();
        for page in pages() {
            let text = render_ports(&report, &page);
            fits("ports", &text);
            // What differs stays different.
            let names: std::collections::BTreeSet<_> =
                text.lines().filter(|line| line.contains("28,000")).map(|line| line.split("  28,000").next()).collect();
            assert!(names.len() >= pairs.len(), "{text}");
        }
    }
}

#[test]
fn comparisons_and_forecasts() {
    let paths = RUNS.map(path);
    let pairs = paths.iter().flat_map(|a| paths.iter().map(move |b| vec!["compare", "--across-environments", a, b]));
    let forecasts = ["10", "470", "4000"].map(|rate| vec!["ports", "--predict", rate, "--pool", "28231"]);
    for words in pairs.chain(forecasts) {
        let out = Command::new(env!("CARGO_BIN_EXE_sockbench")).args(&words).stdin(Stdio::null()).output().unwrap();
        for text in [out.stdout, out.stderr] {
            fits(&words.join(" "), &String::from_utf8(text).unwrap());
        }
    }
}
