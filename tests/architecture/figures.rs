//! One module formats every number that people read: no other file gives a number its decimals, and no page shows a
//! large count without its separators.

use std::fs;
use std::path::Path;

use super::{sources, walk_files};

/// The formatter itself, and what is written for programs: the interval log, Locust's CSV, JUnit's XML, coordinates and axis ticks.
const MAY_SET_DECIMALS: &[&str] = &[
    "model/figures.rs",
    "report/hlog.rs",
    "report/junit.rs",
    "report/locust_csv.rs",
    "report/chart/svg.rs",
    "report/chart/scale.rs",
];

/// What a page counts. A number before one of these words has its thousands separated.
const COUNTED: &[&str] = &[
    "port",
    "ports",
    "connection",
    "connections",
    "request",
    "requests",
    "user",
    "users",
    "call",
    "calls",
    "failure",
    "failures",
    "answer",
    "answers",
    "time",
    "times",
    "descriptor",
    "descriptors",
    "fail",
    "succeed",
    "free",
];

#[test]
fn only_the_formatter_sets_decimals() {
    let mut faults = Vec::new();
    let of_pages = |name: &str| !MAY_SET_DECIMALS.contains(&name) && !name.ends_with("tests.rs") && !name.ends_with("fixture.rs");
    for (name, source) in sources().iter().filter(|(name, _)| of_pages(name)) {
        let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        faults.extend(decimals(code).iter().map(|spec| format!("src/{name}: {spec}")));
    }
    assert!(faults.is_empty(), "format these with model/figures.rs:\n{}", faults.join("\n"));
}

/// The placeholders of format strings that set a precision, such as `{:.1}` and `{rate:>8.2}`.
fn decimals(source: &str) -> Vec<&str> {
    let placeholder = |at: usize| source[at..].find('}').map(|end| &source[at..=at + end]);
    source.match_indices('{').filter_map(|(at, _)| placeholder(at)).filter(|text| sets_decimals(text)).collect()
}

fn sets_decimals(placeholder: &str) -> bool {
    let Some((name, spec)) = placeholder.trim_matches(['{', '}']).split_once(':') else { return false };
    let is_name = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
    is_name && spec.contains('.') && !spec.contains([' ', ':', '"', '\n'])
}

#[test]
fn decimals_are_found_in_every_spelling() {
    let source = r#"format!("{:.1} {x:.2} {row.rate:>8.1} {v:.decimals$} {:.*} {:+.1}", S { a: 0.5 }, 2, f)"#;
    assert_eq!(decimals(source).len(), 6, "{:?}", decimals(source));
    assert_eq!(decimals(r#"format!("{} {x} {x:?} {x:>8} {:width$}"); use a::{b, c}; T { at: 1.0 }"#), [""; 0]);
}

#[test]
fn no_page_shows_a_large_count_without_separators() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    let mut pages = 0;
    for dir in ["tests/snapshots", "src"] {
        walk_files(&root.join(dir), "snap", &mut |path| {
            pages += 1;
            let page = fs::read_to_string(path).unwrap_or_default();
            let shown = path.strip_prefix(root).unwrap_or(path).display();
            faults.extend(page.lines().filter_map(bare_count).map(|count| format!("{shown}: {count}")));
        });
    }
    assert!(pages > 100, "found only {pages} pages");
    assert!(faults.is_empty(), "format these with model/figures.rs:\n{}", faults.join("\n"));
}

/// The first count of a line that has four digits or more in a row, with its noun.
fn bare_count(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_bare = |word: &str| word.len() > 3 && word.chars().all(|c| c.is_ascii_digit());
    let noun = |word: &str| COUNTED.contains(&word.trim_end_matches([':', ';', ',', '.', ')']));
    words.windows(2).find(|pair| is_bare(pair[0]) && noun(pair[1])).map(|pair| pair.join(" "))
}

#[test]
fn a_bare_count_is_found() {
    assert_eq!(bare_count("all 28232 ports are free").as_deref(), Some("28232 ports"));
    assert_eq!(bare_count("28,232 ports; 500 ports; in 2026; --port-range 1024-65535, error 10048 at connect()"), None);
}
