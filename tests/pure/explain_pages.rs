//! What `explain` says to a person: one screen, the words in snapshots, the size and what must be there asserted.

use sockbench::testing::explain::{Known, Rates, explain_text};
use sockbench::testing::model::{Explanation, Os};
use sockbench::testing::report::{Detail, Page, render_explanation};

use crate::snapshot;

const WINERROR: &str = "OSError(10048, '[WinError 10048] Only one usage of each socket address (protocol/network address/port) is normally permitted')";
const WRK: &str = "  10048 requests in 10.02s, 3.21MB read\n  Socket errors: connect 12, read 34, write 0, timeout 5\n";

fn explained(text: &str, known: &Known) -> Explanation {
    explain_text(text, known).unwrap()
}

/// The texts that stand for the kinds of answers.
fn answers() -> Vec<(&'static str, Explanation)> {
    let rates = Rates { rate_cps: Some(170.0), fail_rate_cps: Some(300.0), recovered_rate_cps: Some(120.0), ..Rates::default() };
    let slow = Rates { rate_cps: Some(100.0), ..Rates::default() };
    let plain = Known::default();
    vec![
        ("windows ports with rates", explained(WINERROR, &Known { rates, ..plain })),
        (
            "open reading against a rate",
            explained("OSError: [Errno 99] Cannot assign requested address", &Known { rates: slow, ..plain }),
        ),
        ("go ports", explained("dial tcp 10.0.0.1:80: connect: cannot assign requested address", &plain)),
        ("refused", explained("Error: connect ECONNREFUSED 127.0.0.1:8080", &plain)),
        (
            "excluded port",
            explained("Error: listen EACCES: permission denied 0.0.0.0:3000", &Known { os: Some(Os::Windows), ..plain }),
        ),
        ("wrk summary", explained(WRK, &plain)),
    ]
}

#[test]
fn every_answer_fits_one_screen() {
    for (name, e) in answers() {
        for width in [60, 80, 120] {
            let text = render_explanation(&e, &Page::plain().wide(width));
            let widest = text.lines().map(|l| l.chars().count()).max().unwrap_or(0);
            assert!(widest <= width, "{name}: {widest} columns of {width}:\n{text}");
            assert!(width < 80 || text.lines().count() <= Page::LINES, "{name}: {} lines:\n{text}", text.lines().count());
        }
        snapshot::matches("explain", name, &render_explanation(&e, &Page::plain()));
    }
}

#[derive(serde::Deserialize)]
struct Texts {
    #[serde(default)]
    line: Vec<Text>,
    #[serde(default)]
    page: Vec<Text>,
}

#[derive(serde::Deserialize)]
struct Text {
    text: String,
}

/// Every text of the tables: one screen at 80 columns, no line too wide at 60, and no placeholder for a port that it shows.
#[test]
fn every_text_of_the_tables_fits_one_screen() {
    let lines: Texts = toml::from_str(include_str!("../data/error_texts.toml")).unwrap();
    let pages: Texts = toml::from_str(include_str!("../data/error_pages.toml")).unwrap();
    for t in lines.line.iter().chain(&pages.page) {
        let Some(e) = explain_text(&t.text, &Known::default()) else { continue };
        let text = render_explanation(&e, &Page::plain());
        let narrow = render_explanation(&e, &Page::plain().wide(60));
        // A word that is wider than the page stands alone; one at the end of a line goes on with the next.
        let is_one_word = |l: &str| l.split_whitespace().filter(|w| !["^", "\\"].contains(w)).count() == 1;
        let widest = |text: &str| text.lines().filter(|l| !is_one_word(l)).map(|l| l.chars().count()).max().unwrap_or(0);
        assert!(
            text.lines().count() <= Page::LINES && widest(&text) <= 80 && widest(&narrow) <= 60,
            "{}\n{text}\n{narrow}",
            t.text
        );
        let has_port = e.readings.iter().any(|r| r.address.as_ref().is_some_and(|a| a.port.is_some()));
        assert!(!has_port || e.readings.len() > 1 || !text.contains("PORT/") && !text.contains(":PORT"), "{}\n{text}", t.text);
    }
}

/// What is left out of one screen is in the long form.
#[test]
fn the_long_form_has_every_reading_and_remedy() {
    for (name, e) in answers() {
        let text = render_explanation(&e, &Page { detail: Detail::Full, ..Page::plain() });
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = |words: &str| flat.contains(&words.split_whitespace().collect::<Vec<_>>().join(" "));
        assert!(e.remedies.iter().all(|r| said(&r.action)), "{name}:\n{text}");
        assert!(e.readings.iter().all(|r| r.alternatives.iter().all(|a| said(&a.tell))), "{name}:\n{text}");
    }
}

/// A forecast without a failure beside a failure that happened: said, not printed without a word.
#[test]
fn a_rate_that_would_not_use_up_the_ports_raises_a_doubt() {
    let slow = Known { rates: Rates { rate_cps: Some(10.0), ..Rates::default() }, ..Known::default() };
    let fast = Known { rates: Rates { rate_cps: Some(5000.0), ..Rates::default() }, ..Known::default() };
    for text in [WINERROR, "connect: cannot assign requested address", "OSError: [Errno 99] Cannot assign requested address"] {
        let doubts = |known| explained(text, known).arithmetic.map_or(0, |a| a.doubts.len());
        assert_eq!((doubts(&slow), doubts(&fast), doubts(&Known::default())), (1, 0, 0), "{text}");
    }
}
