//! Columns under headings: aligned for terminals and Markdown-like files, or as HTML.

use maud::{Markup, html};

use super::style::{Style, Tone, visible};

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
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), tone: Tone::Normal }
    }
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
}

impl Table {
    /// An empty table.
    pub fn new<const N: usize>(columns: [(&str, Align); N]) -> Self {
        Self::with_columns(columns.map(|(head, align)| (head.to_owned(), align)).into())
    }

    /// An empty table whose columns depend on what is shown.
    pub fn with_columns(columns: Vec<(String, Align)>) -> Self {
        Self { columns, rows: Vec::new(), indent: 0 }
    }

    /// The whole table starts after `spaces`.
    #[must_use]
    pub fn indented(mut self, spaces: usize) -> Self {
        self.indent = spaces;
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
        self.indent + widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
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

    /// The table as text, each line ended.
    pub fn render(&self, style: Style) -> String {
        let widths = self.widths();
        let rule: Vec<Cell> = widths.iter().map(|w| Cell::toned(Tone::Faint, "-".repeat(*w))).collect();
        let head: Vec<Cell> = self.columns.iter().map(|(h, _)| Cell::toned(Tone::Heading, h.clone())).collect();
        let mut out = self.line(&head, &widths, style) + &self.line(&rule, &widths, style);
        for row in &self.rows {
            match row {
                Row::Cells(cells) => out += &self.line(cells, &widths, style),
                Row::Rule => out += &self.line(&rule, &widths, style),
                Row::Note(text) => {
                    out.extend(std::iter::repeat_n(' ', self.indent));
                    out += &style.paint(Tone::Faint, text);
                    out.push('\n');
                }
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

    fn line(&self, cells: &[Cell], widths: &[usize], style: Style) -> String {
        let mut line = " ".repeat(self.indent);
        for (i, ((cell, width), (_, align))) in cells.iter().zip(widths).zip(&self.columns).enumerate() {
            let pad = " ".repeat(width - cell.text.chars().count());
            let text = style.paint(cell.tone, &cell.text);
            let gap = if i == 0 { "" } else { "  " };
            match align {
                Align::Left => line += &format!("{gap}{text}{pad}"),
                Align::Right => line += &format!("{gap}{pad}{text}"),
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
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
        assert_eq!(t.render(Style::Plain), " Name       ms\n -------  ----\n /health     5\n /io      1210\n a note\n");
    }

    #[test]
    fn colour_does_not_move_a_column() {
        let mut t = Table::new([("a", Align::Right), ("b", Align::Left)]);
        t.row([Cell::toned(Tone::Bad, "12"), "x".into()]);
        let bare = t.render(Style::Ansi).replace("\u{1b}[0m", "");
        let bare = ["\u{1b}[31m", "\u{1b}[1m", "\u{1b}[2m"].iter().fold(bare, |s, code| s.replace(code, ""));
        assert_eq!(bare, t.render(Style::Plain));
    }
}
