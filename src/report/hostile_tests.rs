//! Names that others choose stay text, whatever they are made of.

use super::fixture;
use super::gates_text::{self, JudgedRun};
use super::style::Style;
use super::text::{Detail, Page, render_locust_table, render_run};
use super::{github, json, junit, locust_csv};
use crate::gates::{Actual, Judged};
use crate::model::result::RunResult;

fn names() -> Vec<String> {
    [
        "/<script>alert(1)</script>",
        "/\"quotes\" & 'more'",
        "/two\nlines\r\nand | a pipe",
        "/\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}",
        "=cmd|' /C calc'!A0",
        "@SUM(1+1)*cmd, 50%",
        "[link](javascript:alert(1)) `code` ![image](http://x/y) @someone",
        "/right\u{202e}to left",
        "::error::forged\n::error::again",
        "]]></system-out>",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(["x".repeat(10_000)])
    .collect()
}

/// A run in which everything that has a name has this one.
fn run(name: &str) -> RunResult {
    let mut run = fixture::broken().run;
    for (entry, endpoint) in run.plan.mix.iter_mut().zip(&mut run.endpoints) {
        name.clone_into(&mut entry.path);
        name.clone_into(&mut endpoint.name);
    }
    for row in &mut run.errors {
        (row.endpoint, row.message, row.name, row.first_bytes) = (name.into(), name.into(), name.into(), Some(name.into()));
    }
    for finding in &mut run.findings {
        (finding.title, finding.explanation) = (name.into(), name.into());
    }
    (run.verdict.sentence, run.command, run.plan.target.url) = (name.into(), name.into(), name.into());
    run.validity.reasons = vec![name.into()];
    run.resources.client.threads[0].name = name.into();
    run
}

fn judged(name: &str) -> Vec<JudgedRun> {
    let one =
        Judged { text: format!("http_req_duration{{name:{name}}}:med<1"), passed: false, actual: Actual::Missing(name.into()) };
    vec![JudgedRun { step: Some(name.into()), verdict: name.into(), duration_s: 1.0, thresholds: vec![one] }]
}

/// What a terminal obeys, but for line breaks and the colours of sockbench.
fn obeyed(text: &str, style: Style) -> Option<char> {
    let mut text = text.to_owned();
    if style == Style::Ansi {
        for code in ["0", "1", "2", "31", "32", "33", "36"] {
            text = text.replace(&format!("\u{1b}[{code}m"), "");
        }
    }
    text.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}')
}

#[test]
fn on_the_terminal() {
    for name in names() {
        let run = run(&name);
        for style in [Style::Plain, Style::Ansi] {
            for detail in [Detail::Brief, Detail::Full] {
                let text = render_run(&run, &Page { style, detail, ..Page::plain() });
                assert_eq!(obeyed(&text, style), None, "{name:.40}: {text:.2000}");
            }
            assert_eq!(obeyed(&render_locust_table(&run, &Page { style, ..Page::plain() }), style), None, "{name:.40}");
            let table = gates_text::render(&judged(&name), style);
            assert_eq!(obeyed(&table, style), None, "{name:.40}");
            assert!(table.lines().all(|l| l.chars().count() <= 200), "{table:.400}");
        }
    }
    // Red in the name of an endpoint is not sockbench's own red.
    let coloured = render_run(&run("/\u{1b}[31mred"), &Page { style: Style::Ansi, ..Page::plain() });
    assert!(!coloured.contains("\u{1b}[31mred"), "{coloured:?}");
}

#[test]
fn in_the_files_of_other_tools() {
    for name in names() {
        let run = run(&name);
        let stats = locust_csv::stats_csv(&run).unwrap();
        let rows: Vec<csv::StringRecord> = csv::Reader::from_reader(stats.as_bytes()).records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), run.endpoints.len() + 1, "{name:.40}");
        assert!(rows[..rows.len() - 1].iter().all(|row| row[1] == *name), "{name:.40}");
        let failures = locust_csv::failures_csv(&run).unwrap();
        let rows = csv::Reader::from_reader(failures.as_bytes()).records().map(Result::unwrap).collect::<Vec<_>>();
        assert!(rows.iter().all(|row| row.len() == 6), "{name:.40}");
        assert_eq!(json::parse(&json::render(&run).unwrap()).unwrap(), run, "{name:.40}");

        let xml = junit::render(&judged(&name)).unwrap();
        let tags = |xml: &str| xml.matches('<').count();
        assert_eq!(tags(&xml), tags(&junit::render(&judged("plain")).unwrap()), "{name:.40}: {xml:.2000}");
        assert!(xml.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')), "{name:.40}");
    }
}

#[test]
fn in_what_github_reads() {
    for name in names() {
        let lines = github::annotations(&judged(&name));
        assert!(lines.len() == 1 && lines[0].lines().count() == 1, "{lines:?}");
        // A command is what a line begins with: "::" further on is text.
        assert!(lines[0].starts_with("::error title=sockbench threshold failed::"), "{lines:?}");
        let text = github::summary(&[&run(&name)], &judged(&name), github::SUMMARY_BYTES);
        let plain = github::summary(&[&run("plain")], &judged("plain"), github::SUMMARY_BYTES);
        assert_eq!(text.lines().count(), plain.lines().count(), "{name:.40}: {text:.2000}");
        assert!(!text.contains('<') && !text.contains("](") && !text.contains('@'), "{name:.40}: {text:.2000}");
        let cells = |text: &str| text.replace("\\|", "").matches('|').count();
        assert_eq!(cells(&text), cells(&plain), "{name:.40}: {text:.2000}");
        assert!(text.len() < 10_000, "{name:.40}: {}", text.len());
    }
}
