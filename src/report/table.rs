//! Columns under headings: aligned for terminals and Markdown-like files, or as HTML.

use maud::{Markup, html};

use super::style::{Style, Tone, folded, length, visible};
use crate::model::figures::count;

/// Which edge a column's cells share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// names
    Left,
    /// numbers
    Right,
}

/// A cell and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell with a tone.
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone }
    }

    /// How many failed: none is fine.
    pub fn failures(n: u64) -> Self {
        Self::toned(if n > 0 { Tone::Bad } else { Tone::Normal }, count(n))
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: Tone::Normal }
    }
}

/// The text of what is known, `-` of what is not.
pub(super) fn or_dash<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

/// A column: its heading, which edge its cells share, and what a row has in it.
pub type Column<'a, R> = (&'a str, Align, &'a dyn Fn(&R) -> Cell);

/// Blanks between two columns.
const GAP: usize = 2;
/// A last column of words is not narrower where its cells have lines.
const LEAST_TEXT: usize = 30;

/// Of columns of these widths, side by side.
fn taken(widths: &[usize], gap: usize) -> usize {
    widths.iter().sum::<usize>() + gap * widths.len().saturating_sub(1)
}

enum Row {
    Cells(Vec<Cell>),
    Rule,
    Note(String),
}

/// Rows under headings; columns are as wide as their widest cell.
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Row>,
    indent: usize,
    /// columns at the left that name a row
    names: usize,
}

impl Table {
    /// An empty table.
    pub fn new<const N: usize>(columns: [(&str, Align); N]) -> Self {
        Self::with_columns(columns)
    }

    /// An empty table whose columns depend on what is shown.
    pub fn with_columns(columns: impl IntoIterator<Item = (impl Into<String>, Align)>) -> Self {
        let columns = columns.into_iter().map(|(head, align)| (head.into(), align)).collect();
        Self { columns, rows: Vec::new(), indent: 0, names: 1 }
    }

    /// A table of `rows`.
    pub fn of<R>(rows: impl IntoIterator<Item = R>, columns: &[Column<'_, R>]) -> Self {
        let mut table = Self::with_columns(columns.iter().map(|(head, align, _)| (*head, *align)));
        rows.into_iter().for_each(|row| table.add(&row, columns));
        table
    }

    /// Adds a row below `columns`, which are the table's.
    pub fn add<R>(&mut self, row: &R, columns: &[Column<'_, R>]) {
        self.row_of(columns.iter().map(|(_, _, cell)| cell(row)).collect());
    }

    /// The whole table starts after `spaces`.
    #[must_use]
    pub fn indented(mut self, spaces: usize) -> Self {
        self.indent = spaces;
        self
    }

    /// The first `columns` name a row: where a table is too wide for a page, its other columns follow below, after these
    /// again.
    #[must_use]
    pub fn named_by(mut self, columns: usize) -> Self {
        self.names = columns;
        self
    }

    /// Adds a row; it has a cell for each column.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.row_of(cells.into());
    }

    /// The same with as many cells as the columns turned out to be.
    pub fn row_of(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(Row::Cells(cells));
    }

    /// Adds a rule across.
    pub fn rule(&mut self) {
        self.rows.push(Row::Rule);
    }

    /// Adds a line of text below the last row, outside the columns.
    pub fn note(&mut self, text: impl Into<String>) {
        self.rows.push(Row::Note(text.into()));
    }

    /// Columns that its rows take, notes not counted.
    pub(super) fn width(&self) -> usize {
        let widths = self.widths();
        self.indent + taken(&widths, GAP)
    }

    fn widths(&self) -> Vec<usize> {
        self.columns
            .iter()
            .enumerate()
            .map(|(i, (head, _))| {
                let cells = self.rows.iter().filter_map(|r| match r {
                    Row::Cells(cells) => cells.get(i).map(|c| c.text.chars().count()),
                    Row::Rule | Row::Note(_) => None,
                });
                cells.max().unwrap_or(0).max(head.chars().count())
            })
            .collect()
    }

    /// The table as text in at most `width` columns, each line ended. Where it is too wide, words of its last column get
    /// lines, or its columns move together, or those that do not fit are a table of their own below.
    pub fn render(&self, style: Style, width: usize) -> String {
        let room = width.saturating_sub(self.indent);
        let parts = self.parts(room);
        let last = parts.len() - 1;
        let texts: Vec<String> = parts.iter().enumerate().map(|(i, part)| self.part(part, style, room, i == last)).collect();
        texts.join("\n")
    }

    /// The columns of each part.
    fn parts(&self, room: usize) -> Vec<Vec<usize>> {
        let mut widths = self.widths();
        let all: Vec<usize> = (0..widths.len()).collect();
        if taken(&widths, 1) <= room {
            return vec![all];
        }
        if let (Some(width), Some((_, Align::Left))) = (widths.last_mut(), self.columns.last()) {
            *width = (*width).min(LEAST_TEXT);
        }
        let (names, others) = all.split_at(self.names.min(widths.len()));
        let mut parts = vec![names.to_vec()];
        for column in others {
            let part = parts.last_mut().expect("there is one");
            part.push(*column);
            let of: Vec<usize> = part.iter().map(|i| widths[*i]).collect();
            if taken(&of, GAP) > room && part.len() > names.len() + 1 {
                part.pop();
                parts.push([names, &[*column]].concat());
            }
        }
        parts
    }

    fn part(&self, columns: &[usize], style: Style, room: usize, is_last: bool) -> String {
        let all = self.widths();
        let mut widths: Vec<usize> = columns.iter().map(|i| all[*i]).collect();
        let is_text = columns.last().is_some_and(|i| self.columns[*i].1 == Align::Left);
        let others = taken(&widths[..widths.len().saturating_sub(1)], GAP) + GAP;
        if let Some(width) = widths.last_mut().filter(|_| is_text && others + LEAST_TEXT <= room) {
            *width = (*width).min(room - others);
        }
        let gap = if taken(&widths, GAP) <= room { GAP } else { 1 };
        let of = |cells: &[Cell]| columns.iter().map(|i| cells[*i].clone()).collect::<Vec<_>>();
        let rule: Vec<Cell> = widths.iter().map(|w| Cell::toned(Tone::Faint, "-".repeat(*w))).collect();
        let head: Vec<Cell> = self.columns.iter().map(|(h, _)| Cell::toned(Tone::Heading, h.clone())).collect();
        let line = |cells: &[Cell]| self.line(cells, columns, (&widths, gap), style);
        let mut out = line(&of(&head)) + &line(&rule);
        for row in &self.rows {
            match row {
                Row::Cells(cells) => out += &line(&of(cells)),
                Row::Rule => out += &line(&rule),
                Row::Note(text) if is_last => {
                    for text in folded_beyond(text, room) {
                        out += &format!("{:indent$}{}\n", "", style.paint(Tone::Faint, &text), indent = self.indent);
                    }
                }
                Row::Note(_) => {}
            }
        }
        out
    }

    /// The table for a page, in a box of its own that scrolls where it is too wide. Colours are the classes of tones.
    pub(super) fn to_html(&self) -> Markup {
        let edge = |column: usize| match self.columns.get(column) {
            Some((_, Align::Right)) => Some("r"),
            _ => None,
        };
        let notes = self.rows.iter().filter_map(|row| if let Row::Note(text) = row { Some(text) } else { None });
        let bodies = self.rows.split(|row| matches!(row, Row::Rule));
        html! {
            div class="scroll" tabindex="0" role="group" aria-label="table" {
                table {
                    thead { tr { @for (i, (head, _)) in self.columns.iter().enumerate() {
                        th scope="col" class=[edge(i)] { (visible(head)) }
                    } } }
                    @for body in bodies { tbody { @for row in body { @if let Row::Cells(cells) = row { tr {
                        @for (i, cell) in cells.iter().enumerate() {
                            td class=[classes(edge(i), cell.tone)] { (visible(&cell.text)) }
                        }
                    } } } } }
                }
            }
            @for note in notes { p class="note" { (visible(note)) } }
        }
    }

    fn line(&self, cells: &[Cell], columns: &[usize], (widths, gap): (&[usize], usize), style: Style) -> String {
        let lines: Vec<Vec<String>> = cells.iter().zip(widths).map(|(cell, width)| folded_beyond(&cell.text, *width)).collect();
        let mut out = String::new();
        for n in 0..lines.iter().map(Vec::len).max().unwrap_or(0) {
            let mut line = " ".repeat(self.indent);
            for (i, column) in columns.iter().enumerate() {
                let text = lines[i].get(n).map_or("", String::as_str);
                let pad = " ".repeat(widths[i].saturating_sub(length(text)));
                let text = style.paint(cells[i].tone, text);
                let gap = if i == 0 { "" } else { &"  "[..gap] };
                match self.columns[*column].1 {
                    Align::Left => line += &format!("{gap}{text}{pad}"),
                    Align::Right => line += &format!("{gap}{pad}{text}"),
                }
            }
            line.truncate(line.trim_end().len());
            out += &line;
            out.push('\n');
        }
        out
    }
}

/// As it is where it fits, else in lines.
fn folded_beyond(text: &str, width: usize) -> Vec<String> {
    if length(text) <= width { vec![text.to_owned()] } else { folded(text, width) }
}

/// The class of a tone, or none.
pub(super) fn tone_class(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Normal | Tone::Heading | Tone::Command => None,
        Tone::Faint => Some("faint"),
        Tone::Good => Some("good"),
        Tone::Warn => Some("warn"),
        Tone::Bad => Some("bad"),
    }
}

fn classes(edge: Option<&str>, tone: Tone) -> Option<String> {
    let all: Vec<&str> = edge.into_iter().chain(tone_class(tone)).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut t = Table::new([("Name", Align::Left), ("ms", Align::Right)]).indented(1);
        t.row(["/health".into(), "5".into()]);
        t.row(["/io".into(), "1210".into()]);
        t.note("a note");
        assert_eq!(t.render(Style::Plain, 80), " Name       ms\n -------  ----\n /health     5\n /io      1210\n a note\n");
    }

    #[test]
    fn colour_does_not_move_a_column() {
        let mut t = Table::new([("a", Align::Right), ("b", Align::Left)]);
        t.row([Cell::toned(Tone::Bad, "12"), "x".into()]);
        let bare = t.render(Style::Ansi, 80).replace("\u{1b}[0m", "");
        let bare = ["\u{1b}[31m", "\u{1b}[1m", "\u{1b}[2m"].iter().fold(bare, |s, code| s.replace(code, ""));
        assert_eq!(bare, t.render(Style::Plain, 80));
    }
}
