//! The page of a comparison: the answer of each pair, its figures, and the percentiles of all sides, one over the other.

use maud::{Markup, html};

use super::charts;
use super::shell::{Top, list, page, section};
use crate::model::comparison::{Comparison, Difference, Pair};
use crate::report::chart::compared_distribution;
use crate::report::style::visible;
use crate::report::text::compare;

/// Runs side by side.
pub fn render_comparison(comparison: &Comparison) -> String {
    let worst = comparison.pairs.iter().map(|pair| pair.verdict).max();
    let sentences: Vec<String> = comparison.pairs.iter().map(compare::sentence).collect();
    let top = Top {
        kind: "sockbench compare",
        sentence: &sentences.join("; "),
        tone: compare::tone(worst.unwrap_or(Difference::Untold)),
        what: format!("base: {}", compare::side(&comparison.base)),
        when: format!("sockbench {}", comparison.tool.version),
        ..Top::default()
    };
    let body = html! {
        @for (i, pair) in comparison.pairs.iter().enumerate() {
            (section(&format!("pair-{}", i + 1), &visible(&format!("Beside {}", pair.side.name)), &figures(pair)))
        }
        (section("charts", "How latencies spread", &html! { div class="charts" { (charts::figure(&compared_distribution(comparison))) } }))
    };
    page(&top, &body).file()
}

fn figures(pair: &Pair) -> Markup {
    html! {
        p { (visible(&compare::side(&pair.side))) }
        @for table in compare::tables(pair, usize::MAX) { (table.to_html()) }
        @if let Some(text) = compare::intervals(pair) { p class="note" { "Intervals: " (text) "." } }
        (list(&compare::careful(pair, usize::MAX)))
    }
}
