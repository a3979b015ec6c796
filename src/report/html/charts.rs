//! Charts as figures: title, legend, picture, and the reason where there is no picture.

use maud::{Markup, html};

use crate::report::chart::{AxisSide, PageChart, Series, Shape};
use crate::report::style::visible;

/// All of them in a grid.
pub(super) fn grid(charts: &[PageChart]) -> Markup {
    html! { div class="charts" { @for chart in charts { (figure(chart)) } } }
}

/// One chart.
pub(super) fn figure(page: &PageChart) -> Markup {
    let chart = &page.chart;
    let drawn = !chart.is_empty();
    html! {
        figure id={ "chart-" (page.id) } {
            figcaption {
                h3 { (visible(&chart.title)) }
                @if drawn && chart.series.len() > 1 { ul class="legend" { @for (i, series) in chart.series.iter().enumerate() {
                    @if !series.name.is_empty() { (key(i, series, chart.right.is_some())) }
                } } }
                @if drawn && !chart.subtitle.is_empty() { p class="note" { (visible(&chart.subtitle)) } }
            }
            @if drawn { (chart.to_page(page.id)) } @else { p class="missing" { "Not drawn: " (visible(&page.missing)) "." } }
        }
    }
}

/// A line of the legend. A script makes it a switch and shows the value under the pointer in `output`.
fn key(index: usize, series: &Series, two_axes: bool) -> Markup {
    let right = two_axes && series.side == AxisSide::Right;
    let swatch = format!("key{} s-{}", if series.shape == Shape::Dashed { " dashed" } else { "" }, series.color.name());
    html! {
        li data-s=(index) {
            svg class=(swatch) viewBox="0 0 20 6" aria-hidden="true" { path d="M1,3H19" {} }
            span { (visible(&series.name)) @if right { " (right axis)" } }
            output {}
        }
    }
}
