//! Real error lines of other tools, each with the expected call, limit and certainty; and lines to be refused.
#![expect(clippy::unwrap_used, reason = "an unreadable table is a failed test")]

use serde::Deserialize;
use sockbench::diagnose::explain::read_line;
use sockbench::model::explanation::Certainty;

#[derive(Deserialize)]
struct Table {
    line: Vec<Line>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Line {
    text: String,
    from: String,
    call: String,
    limit: String,
    certainty: String,
}

#[derive(Deserialize)]
struct Refused {
    text: String,
    why: String,
}

fn table() -> Table {
    toml::from_str(include_str!("data/error_texts.toml")).unwrap()
}

#[test]
fn every_line_is_read_as_expected() {
    let table = table();
    assert!(table.line.len() >= 40, "{} lines", table.line.len());
    let mut wrong = Vec::new();
    for l in &table.line {
        let got = read_line(&l.text, None)
            .map_or_else(|| "nothing".to_owned(), |r| format!("{} {} {}", r.call.word(), r.limit.word(), r.certainty.word()));
        let wanted = format!("{} {} {}", l.call, l.limit, l.certainty);
        if got != wanted {
            wrong.push(format!("{}\n  {}\n  wanted {wanted}, got {got}", l.from, l.text));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), table.line.len(), wrong.join("\n"));
}

#[test]
fn what_is_no_error_is_refused() {
    let table = table();
    assert!(table.refused.len() >= 15, "{} lines", table.refused.len());
    let taken: Vec<String> = table
        .refused
        .iter()
        .filter_map(|r| {
            read_line(&r.text, None).map(|got| format!("{} ({}): {} {}", r.text, r.why, got.call.word(), got.limit.word()))
        })
        .collect();
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

#[test]
fn an_open_reading_tells_how_to_tell_the_readings_apart() {
    for l in table().line {
        let r = read_line(&l.text, None).unwrap();
        assert_eq!(r.certainty == Certainty::Certain, r.alternatives.is_empty(), "{}", l.text);
        assert!(r.says.len() > 30 && r.is_not.starts_with("not "), "{}: {} / {}", l.text, r.says, r.is_not);
        if r.certainty == Certainty::Ambiguous && r.limit.word() != "hidden" {
            assert!(r.alternatives.len() >= 2, "{}", l.text);
        }
    }
}

#[test]
fn the_code_follows_the_system() {
    let code = |text: &str| read_line(text, None).and_then(|r| r.code);
    assert_eq!(code("dial tcp 127.0.0.1:1: connectex: Only one usage of each socket address"), Some(10048));
    assert_eq!(code("dial tcp 127.0.0.1:1: connect: cannot assign requested address"), Some(99));
    assert_eq!(code("connect: Can't assign requested address"), Some(49));
    assert_eq!(code("accept4: too many open files in system (ENFILE)"), Some(23));
}

mod any {
    use proptest::prelude::*;
    use sockbench::diagnose::explain::{Known, explain_text, locust, read_line};

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = read_line(&text, None);
            let _ = explain_text(&text, &Known::default());
        }

        #[test]
        fn nor_words_of_errors_in_any_order(words in prop::collection::vec(prop::sample::select(vec![
            "error", "errno", "10048", "99", "(", ")", ":", "connect", "bind", "socket errors: connect ", "OSError(", "'", ",", "-", "os error ", "\u{2019}", "\u{130}",
        ]), 0..12)) {
            let _ = read_line(&words.concat(), None);
            let _ = read_line(&words.join(" "), None);
        }

        #[test]
        fn nor_any_history(rows in prop::collection::vec((0_u32..400, 0_u64..50, 0_u64..50), 0..40)) {
            let mut csv = "Timestamp,User Count,Type,Name,Total Request Count,Total Failure Count\n".to_owned();
            for (t, r, f) in rows {
                csv += &format!("{t},1,,Aggregated,{r},{f}\n");
            }
            if let Ok(m) = locust::read_history(&csv) {
                prop_assert!(m.rate_before_cps.is_finite() && m.fail_rate_cps.is_finite());
            }
        }
    }
}
