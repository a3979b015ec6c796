//! An SVG writer: shapes and text with two decimals, escaped by construction. No fonts are measured: widths are estimates.
//!
//! Colours are classes. A file that stands alone brings the style sheet for them, and each shape its colour as an
//! attribute too, for programs that know no style sheets; inside a page the page brings it.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use super::palette::{Ink, stylesheet};
use crate::report::style::visible;

/// Fonts that browsers and rasterisers have, best first.
const FONTS: &str = "Inter, 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif";

/// Which end of a text its x names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Font {
    pub(super) size: f64,
    pub(super) ink: Ink,
    pub(super) weight: u32,
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) ink: Ink,
    pub(super) width: f64,
    /// `stroke-dasharray`; empty for a solid line
    pub(super) dash: &'static str,
}

/// Where a picture goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// a file of its own
    File,
    /// inside a page that has the style sheet
    Page,
}

/// A picture being drawn.
pub(super) struct Svg {
    place: Place,
    body: String,
}

/// Who a picture is: its size, what it is called, and its attributes for scripts.
pub(super) struct Head<'a> {
    pub(super) width: f64,
    pub(super) height: f64,
    /// begins the ids inside; unique in a page
    pub(super) id: &'a str,
    /// its name for those who cannot see it
    pub(super) title: &'a str,
    /// more for them; may be empty
    pub(super) description: &'a str,
    /// `data-` attributes
    pub(super) data: &'a [(&'static str, String)],
}

impl Svg {
    pub(super) fn new(place: Place) -> Self {
        Self { place, body: String::with_capacity(16 * 1024) }
    }

    /// The whole document.
    pub(super) fn finish(self, head: &Head<'_>) -> Markup {
        let Head { width, height, id, title, description, data } = head;
        let (title_id, description_id) = (format!("{id}-title"), format!("{id}-desc"));
        let alone = self.place == Place::File;
        let mut open = String::from("<svg xmlns=\"http://www.w3.org/2000/svg\"");
        if alone {
            let _ = write!(open, " width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"{FONTS}\"");
        }
        for (name, value) in *data {
            let value = html! { (value) }.into_string();
            let _ = write!(open, " data-{name}=\"{value}\"");
        }
        let _ = write!(open, " viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"{title_id}\"");
        if !description.is_empty() {
            let _ = write!(open, " aria-describedby=\"{description_id}\"");
        }
        open.push_str(">\n");
        html! {
            (PreEscaped(open))
            title id=(title_id) { (visible(title)) }
            @if !description.is_empty() { desc id=(description_id) { (visible(description)) } }
            @if alone {
                style { (PreEscaped(stylesheet("svg"))) }
                rect class="f-paper" width="100%" height="100%" fill=(Ink::Paper.hex()) {}
            }
            "\n" (PreEscaped(self.body)) (PreEscaped("</svg>\n"))
        }
    }

    /// Begins a group; `attributes` are names and values.
    pub(super) fn open(&mut self, attributes: &[(&str, &str)]) {
        self.body.push_str("<g");
        for (name, value) in attributes {
            let value = html! { (visible(value)) }.into_string();
            let _ = write!(self.body, " {name}=\"{value}\"");
        }
        self.body.push_str(">\n");
    }

    /// Ends the group that was begun last.
    pub(super) fn close(&mut self) {
        self.body.push_str("</g>\n");
    }

    /// Names a region outside which nothing of a group is seen.
    pub(super) fn clip(&mut self, id: &str, (x, y): (f64, f64), (w, h): (f64, f64)) {
        self.push(html! { clipPath id=(id) { rect x=(px(x)) y=(px(y)) width=(px(w)) height=(px(h)) {} } });
    }

    pub(super) fn rect(&mut self, (x, y): (f64, f64), (w, h): (f64, f64), ink: Ink, opacity: f64) {
        let opacity = (opacity < 1.0).then_some(opacity);
        let (class, hex) = self.fill(ink);
        self.push(html! {
            rect class=(class) x=(px(x)) y=(px(y)) width=(px(w)) height=(px(h)) fill=[hex] fill-opacity=[opacity] {}
        });
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.lines(&[vec![from, to]], stroke);
    }

    /// A path through runs of points, one for each stretch without a gap. A run of one point is a dot.
    pub(super) fn lines(&mut self, runs: &[Vec<(f64, f64)>], stroke: Stroke) {
        let d: String = runs.iter().filter(|r| r.len() > 1).map(|r| path(r)).collect();
        self.path(&d, stroke);
        // A point between two gaps would be invisible as a line.
        let dots: String = runs.iter().filter(|r| r.len() == 1).map(|r| path(r) + "h0").collect();
        self.path(&dots, Stroke { width: 4.4, dash: "", ..stroke });
    }

    fn path(&mut self, d: &str, Stroke { ink, width, dash }: Stroke) {
        if d.is_empty() {
            return;
        }
        let class = format!("s-{}", ink.name());
        let hex = self.hex(ink);
        let dash = (!dash.is_empty()).then_some(dash);
        self.push(html! {
            path class=(class) d=(d) fill="none" stroke=[hex] stroke-width=(width) stroke-dasharray=[dash]
                stroke-linejoin="round" stroke-linecap="round" {}
        });
    }

    /// The area between runs of points and `base`.
    pub(super) fn area(&mut self, runs: &[Vec<(f64, f64)>], base: f64, ink: Ink, opacity: f64) {
        let mut d = String::new();
        for run in runs.iter().filter(|r| r.len() > 1) {
            d += &path(run);
            if let (Some(first), Some(last)) = (run.first(), run.last()) {
                let _ = write!(d, "L{},{}L{},{}Z", px(last.0), px(base), px(first.0), px(base));
            }
        }
        self.shape(&d, ink, opacity);
    }

    /// Boxes of one ink: left, top, width, height.
    pub(super) fn boxes(&mut self, boxes: impl Iterator<Item = (f64, f64, f64, f64)>, ink: Ink, opacity: f64) {
        let mut d = String::new();
        for (x, y, w, h) in boxes {
            let _ = write!(d, "M{},{}h{}v{}h-{}Z", px(x), px(y), px(w), px(h), px(w));
        }
        self.shape(&d, ink, opacity);
    }

    fn shape(&mut self, d: &str, ink: Ink, opacity: f64) {
        if !d.is_empty() {
            let (class, hex) = self.fill(ink);
            self.push(html! { path class={ (class) " area" } d=(d) fill=[hex] fill-opacity=(opacity) {} });
        }
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), radius: f64, ink: Ink) {
        let (class, hex) = self.fill(ink);
        self.push(html! { circle class=(class) cx=(px(x)) cy=(px(y)) r=(radius) fill=[hex] {} });
    }

    pub(super) fn text(&mut self, at: (f64, f64), anchor: Anchor, font: Font, text: &str) {
        self.text_with(at, anchor, font, "", text);
    }

    /// Text with a rim of the ground's colour, readable over lines.
    pub(super) fn label(&mut self, at: (f64, f64), anchor: Anchor, font: Font, text: &str) {
        self.text_with(at, anchor, font, " s-paper", text);
    }

    fn text_with(&mut self, (x, y): (f64, f64), anchor: Anchor, font: Font, rim: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => None,
            Anchor::Middle => Some("middle"),
            Anchor::End => Some("end"),
        };
        let Font { size, ink, weight } = font;
        let (class, hex) = self.fill(ink);
        let rimmed = !rim.is_empty();
        let rim_hex = if rimmed { self.hex(Ink::Paper) } else { None };
        self.push(html! {
            text class={ (class) (rim) } x=(px(x)) y=(px(y)) text-anchor=[anchor] font-size=(size)
                font-weight=[(weight != 400).then_some(weight)] fill=[hex] stroke=[rim_hex] paint-order=[rimmed.then_some("stroke")]
                stroke-width=[rimmed.then_some("3.5")] stroke-linejoin=[rimmed.then_some("round")] { (visible(text)) }
        });
    }

    fn fill(&self, ink: Ink) -> (String, Option<&'static str>) {
        (format!("f-{}", ink.name()), self.hex(ink))
    }

    /// The colour as an attribute, where the style sheet may not be understood.
    fn hex(&self, ink: Ink) -> Option<&'static str> {
        (self.place == Place::File).then(|| ink.hex())
    }

    fn push(&mut self, markup: Markup) {
        self.body.push_str(&markup.into_string());
        self.body.push('\n');
    }
}

/// About how wide a text will be, pixels: digits and small letters of common sans-serif fonts.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let ems: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ':' | '/' | '(' | ')' | ' ' | '|' => 0.33,
            'm' | 'w' | 'M' | 'W' => 0.87,
            'A'..='Z' | '%' => 0.70,
            _ => 0.57,
        })
        .sum();
    ems * size
}

fn path(run: &[(f64, f64)]) -> String {
    let mut d = String::with_capacity(run.len() * 13);
    for (i, (x, y)) in run.iter().enumerate() {
        let _ = write!(d, "{}{},{}", if i == 0 { 'M' } else { 'L' }, px(*x), px(*y));
    }
    d
}

/// A coordinate with two decimals at most.
fn px(v: f64) -> String {
    let text = format!("{v:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
