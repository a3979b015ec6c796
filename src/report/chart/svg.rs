//! A small SVG writer: shapes and text with two decimals, escaped. No fonts are measured: widths are estimates.

use std::fmt::Write;

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
    pub(super) color: &'static str,
    pub(super) weight: u32,
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) color: &'static str,
    pub(super) width: f64,
    /// `stroke-dasharray`; empty for a solid line
    pub(super) dash: &'static str,
}

/// A picture being drawn.
pub(super) struct Svg {
    body: String,
}

impl Svg {
    /// An empty white picture with a title for those who cannot see it.
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut body = String::with_capacity(16 * 1024);
        let _ = writeln!(
            body,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             role=\"img\" font-family=\"{FONTS}\">\n<title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>",
            escaped(title)
        );
        Self { body }
    }

    pub(super) fn finish(mut self) -> String {
        self.body.push_str("</svg>\n");
        self.body
    }

    pub(super) fn rect(&mut self, (x, y): (f64, f64), (w, h): (f64, f64), fill: &str) {
        let _ = writeln!(self.body, "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{w:.2}\" height=\"{h:.2}\" fill=\"{fill}\"/>");
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{:.2}\" y1=\"{:.2}\" x2=\"{:.2}\" y2=\"{:.2}\"{}/>",
            from.0,
            from.1,
            to.0,
            to.1,
            stroked(stroke)
        );
    }

    /// A path through runs of points, one for each stretch without a gap.
    pub(super) fn lines(&mut self, runs: &[Vec<(f64, f64)>], stroke: Stroke) {
        let d: String = runs.iter().filter(|r| r.len() > 1).map(|r| path(r)).collect();
        if !d.is_empty() {
            let _ = writeln!(
                self.body,
                "<path d=\"{d}\" fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"round\"{}/>",
                stroked(stroke)
            );
        }
    }

    /// The area between runs of points and `base`.
    pub(super) fn area(&mut self, runs: &[Vec<(f64, f64)>], base: f64, color: &str, opacity: f64) {
        let mut d = String::new();
        for run in runs.iter().filter(|r| r.len() > 1) {
            d += &path(run);
            if let (Some(first), Some(last)) = (run.first(), run.last()) {
                let _ = write!(d, "L{:.2},{base:.2}L{:.2},{base:.2}Z", last.0, first.0);
            }
        }
        if !d.is_empty() {
            let _ = writeln!(self.body, "<path d=\"{d}\" fill=\"{color}\" fill-opacity=\"{opacity}\"/>");
        }
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), radius: f64, color: &str) {
        let _ = writeln!(self.body, "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"{radius}\" fill=\"{color}\"/>");
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, font: Font, text: &str) {
        self.text_with(x, y, anchor, font, "", text);
    }

    /// Text with a white rim, readable over lines.
    pub(super) fn label(&mut self, (x, y): (f64, f64), anchor: Anchor, font: Font, text: &str) {
        let rim = " paint-order=\"stroke\" stroke=\"#ffffff\" stroke-width=\"3.5\" stroke-linejoin=\"round\"";
        self.text_with(x, y, anchor, font, rim, text);
    }

    fn text_with(&mut self, x: f64, y: f64, anchor: Anchor, font: Font, extra: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let Font { size, color, weight } = font;
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.2}\" y=\"{y:.2}\" text-anchor=\"{anchor}\" font-size=\"{size}\" font-weight=\"{weight}\" fill=\"{color}\"{extra}>{}</text>",
            escaped(text)
        );
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
    let mut d = String::new();
    for (i, (x, y)) in run.iter().enumerate() {
        let _ = write!(d, "{}{x:.2},{y:.2}", if i == 0 { 'M' } else { 'L' });
    }
    d
}

fn stroked(s: Stroke) -> String {
    let dash = if s.dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{}\"", s.dash) };
    format!(" stroke=\"{}\" stroke-width=\"{}\"{dash}", s.color, s.width)
}

/// XML 1.0 section 2.4; control characters have no place in it at all.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
