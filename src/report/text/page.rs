//! A page: how wide it is, how much of it is wanted, and its labelled lines.

use crate::report::style::{Style, Tone, command_lines, wrapped};

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// one screen
    #[default]
    Brief,
    /// every figure, endpoint and finding
    Full,
}

/// Where a text goes, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// colours or none
    pub style: Style,
    /// columns
    pub width: usize,
    /// one screen or everything
    pub detail: Detail,
    /// the directory that keeps the run, where one does
    pub kept: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { style: Style::Plain, width: Self::WIDTH, detail: Detail::Brief, kept: None }
    }
}

impl Page {
    /// Columns of a page that is no terminal.
    pub const WIDTH: usize = 80;
    /// Narrower terminals wrap by themselves.
    pub const WIDTH_MIN: usize = 40;
    /// Longer lines are hard to read.
    pub const WIDTH_MAX: usize = 120;
    /// Lines of a page of one screen.
    pub const LINES: usize = 25;
    /// Column in which the values of labelled lines start.
    pub(super) const VALUE: usize = 12;

    /// A plain page of the usual width.
    pub fn plain() -> Self {
        Self::default()
    }

    /// A page of this width, within what can be read.
    #[must_use]
    pub fn wide(self, columns: usize) -> Self {
        Self { width: columns.clamp(Self::WIDTH_MIN, Self::WIDTH_MAX), ..self }
    }

    /// `  label     text`, wrapped; further lines begin below the text.
    pub(in crate::report) fn labelled(&self, label: &str, text: &str) -> String {
        self.toned(label, Tone::Normal, text)
    }

    /// The same, the text in its tone.
    pub(in crate::report) fn toned(&self, label: &str, tone: Tone, text: &str) -> String {
        let room = self.width.saturating_sub(Self::VALUE).max(20);
        let mut out = String::new();
        for (i, line) in wrapped(text, 0, room).lines().enumerate() {
            let label = if i == 0 { label } else { "" };
            let label = self.style.paint(Tone::Faint, &format!("  {label:<width$} ", width = Self::VALUE - 3));
            out += &format!("{label}{}\n", self.style.paint(tone, line));
        }
        out
    }

    /// A labelled line as a block, see [`Block::rank`].
    pub(super) fn ranked(&self, rank: u8, label: &str, text: &str) -> Block {
        Block { rank, text: self.labelled(label, text) }
    }

    /// The last line: where to read on.
    pub(super) fn more(&self, text: &str) -> Block {
        Block::kept(self.toned("more", Tone::Faint, text))
    }

    /// A block for each text with its rank, so that some of them may be left out: the label comes before the first.
    pub(super) fn each(&self, label: &str, texts: impl IntoIterator<Item = (u8, String)>) -> Vec<Block> {
        let labels = std::iter::once(label).chain(std::iter::repeat(""));
        texts.into_iter().zip(labels).map(|((rank, text), label)| self.ranked(rank, label, &text)).collect()
    }

    /// The same, where all matter as much.
    pub(super) fn blocks(&self, rank: u8, label: &str, texts: impl IntoIterator<Item = String>) -> Vec<Block> {
        self.each(label, texts.into_iter().map(|text| (rank, text)))
    }

    /// A command after its prompt, in lines that can be pasted as they are; `goes_on` ends those that have another one
    /// behind them.
    pub(in crate::report) fn typed(&self, indent: usize, prompt: &str, command: &str, goes_on: &str) -> String {
        let indent = " ".repeat(indent);
        let room = self.width.saturating_sub(indent.len() + prompt.len()).max(20);
        let mut out = String::new();
        for (i, line) in command_lines(command, room, goes_on).iter().enumerate() {
            let prompt = if i == 0 { prompt.to_owned() } else { " ".repeat(prompt.len()) };
            out += &format!("{indent}{prompt}{}\n", self.style.paint(Tone::Command, line));
        }
        out
    }

    /// The same for several texts: the label comes before the first.
    pub(super) fn listed(&self, label: &str, texts: &[String]) -> String {
        let line = |(i, text): (usize, &String)| self.labelled(if i == 0 { label } else { "" }, text);
        texts.iter().enumerate().map(line).collect()
    }
}

/// Lines that belong together; a page that is too long keeps those that matter most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// 0 is never left out; the highest goes first
    pub(super) rank: u8,
    /// lines, each ended
    pub(super) text: String,
}

impl Block {
    /// One that stays.
    pub(super) fn kept(text: String) -> Self {
        Self { rank: 0, text }
    }

    /// One that may be left out.
    pub(super) fn ranked(rank: u8, text: String) -> Self {
        Self { rank, text }
    }

    fn lines(&self) -> usize {
        self.text.lines().count()
    }
}

/// The blocks on one screen: those of the highest rank are left out until the page fits.
pub(super) fn one_screen(mut blocks: Vec<Block>) -> String {
    while blocks.iter().map(Block::lines).sum::<usize>() > Page::LINES {
        // The last of equals goes first.
        let Some(at) = (0..blocks.len()).rev().max_by_key(|i| (blocks[*i].rank, *i)).filter(|i| blocks[*i].rank > 0) else {
            break;
        };
        blocks.remove(at);
    }
    blocks.into_iter().map(|b| b.text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_stands_once_and_lines_keep_to_the_width() {
        let page = Page::plain().wide(40);
        let text = page.labelled("careful", "other programs took 49 % of this machine's CPU time");
        assert_eq!(text, "  careful   other programs took 49 % of\n            this machine's CPU time\n");
        assert_eq!(page.listed("a", &["x".into(), "y".into()]), "  a         x\n            y\n");
    }

    #[test]
    fn a_long_page_loses_what_matters_least() {
        let lines = |n: usize, c: char| format!("{c}\n").repeat(n);
        let page = one_screen(vec![
            Block::kept(lines(10, 'a')),
            Block::ranked(2, lines(10, 'b')),
            Block::ranked(1, lines(10, 'c')),
            Block::ranked(2, lines(3, 'd')),
        ]);
        assert_eq!(page, lines(10, 'a') + &lines(10, 'c'));
        assert_eq!(one_screen(vec![Block::kept(lines(30, 'a'))]).lines().count(), 30, "what stays, stays");
    }
}
