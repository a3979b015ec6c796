//! The inks of charts: what each is for, its colour on white and on black, and the style sheet that chooses.

use super::series::Color;

/// What a line, an area or a text is drawn in. A style sheet gives it the colour of the reader's scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Series(Color),
    /// titles and legends
    Text,
    /// ticks and side remarks
    Faint,
    Grid,
    Axis,
    /// between two spans
    Edge,
    /// every other span
    Band,
    /// a stretch in which something went wrong
    Alarm,
    /// the ground
    Paper,
}

/// Ink, its class and custom property, on white, on black.
type Row = (Ink, &'static str, &'static str, &'static str);

/// All of them. Series are those of Okabe and Ito (2008); on black they are lighter.
const INKS: [Row; 15] = [
    (Ink::Series(Color::Blue), "blue", "#0072b2", "#56b0ea"),
    (Ink::Series(Color::Vermillion), "vermillion", "#d55e00", "#ff8a4a"),
    (Ink::Series(Color::Green), "green", "#009e73", "#2ecc9f"),
    (Ink::Series(Color::Orange), "orange", "#e69f00", "#f2b83a"),
    (Ink::Series(Color::Sky), "sky", "#56b4e9", "#9fdcff"),
    (Ink::Series(Color::Purple), "purple", "#b8609a", "#e09ac6"),
    (Ink::Series(Color::Grey), "grey", "#80868b", "#9aa0a6"),
    (Ink::Text, "text", "#202124", "#e8eaed"),
    (Ink::Faint, "faint", "#5f6368", "#a9afb6"),
    (Ink::Grid, "grid", "#e8eaed", "#2c3138"),
    (Ink::Axis, "axis", "#9aa0a6", "#6b737c"),
    (Ink::Edge, "edge", "#bdc1c6", "#4a515a"),
    (Ink::Band, "band", "#f6f7f9", "#1c2026"),
    (Ink::Alarm, "alarm", "#d93025", "#ff7b72"),
    (Ink::Paper, "paper", "#ffffff", "#14171b"),
];

impl Ink {
    /// Its class, `s-` before it for strokes and `f-` for fills, and its custom property, `--` before it.
    pub(super) fn name(self) -> &'static str {
        self.row().1
    }

    /// The colour on white: for programs that know no style sheets.
    pub(super) fn hex(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> Row {
        INKS.into_iter().find(|row| row.0 == self).unwrap_or(INKS[7])
    }
}

impl Color {
    /// The name of its custom property in [`stylesheet`], without the dashes.
    pub fn name(self) -> &'static str {
        Ink::Series(self).name()
    }
}

/// Custom properties of the inks for `root` in both schemes, and the classes that use them.
pub fn stylesheet(root: &str) -> String {
    let (mut light, mut dark, mut classes) = (String::new(), String::new(), String::new());
    for (_, name, on_white, on_black) in INKS {
        light += &format!("--{name}:{on_white};");
        dark += &format!("--{name}:{on_black};");
        classes += &format!(".s-{name}{{stroke:var(--{name})}}.f-{name}{{fill:var(--{name})}}");
    }
    format!("{root}{{{light}}}\n@media screen and (prefers-color-scheme:dark){{{root}{{{dark}}}}}\n{classes}\n")
}
