//! Colour or none, and wrapping: what differs between a terminal and a file.

/// Whether text may carry ANSI colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// plain text, for files, pipes, `NO_COLOR` and `--no-color`
    #[default]
    Plain,
    /// ANSI colours (SGR), for terminals
    Ansi,
}

/// What a piece of text means; the colour follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// as it is
    #[default]
    Normal,
    /// a heading
    Heading,
    /// a label, a rule, a side remark
    Faint,
    /// healthy
    Good,
    /// needs care
    Warn,
    /// failed
    Bad,
    /// something to type
    Command,
}

impl Style {
    /// `text`, coloured for its tone where colours are allowed.
    ///
    /// ```
    /// use sockbench::testing::report::style::{Style, Tone};
    /// assert_eq!(Style::Plain.paint(Tone::Bad, "7 failed"), "7 failed");
    /// assert_eq!(Style::Ansi.paint(Tone::Bad, "7 failed"), "\u{1b}[31m7 failed\u{1b}[0m");
    /// ```
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Normal => return text.to_owned(),
            Tone::Heading => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Command => "36",
        };
        match self {
            Self::Ansi if !text.trim().is_empty() => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }
}

/// `text` in lines of at most `width` characters, each after `indent` spaces; a longer word gets a line of its own, and a number
/// stays with its unit.
pub fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let room = width.saturating_sub(indent).max(20);
    let mut out = String::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut words = paragraph.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let mut piece = word.to_owned();
            while let Some(unit) = words.next_if(|next| is_quantity(&piece) && is_unit(next)) {
                piece = format!("{piece} {unit}");
            }
            if !line.is_empty() && line.chars().count() + 1 + piece.chars().count() > room {
                push_line(&mut out, indent, &line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&piece);
        }
        push_line(&mut out, indent, &line);
    }
    out
}

fn is_quantity(piece: &str) -> bool {
    piece.split(' ').next_back().is_some_and(|word| word.ends_with(|c: char| c.is_ascii_digit()))
}

/// `s`, `%,`, `MiB)`: what a number is of.
fn is_unit(word: &str) -> bool {
    const UNITS: [&str; 15] =
        ["s", "ms", "us", "%", "min", "h", "B", "KiB", "MiB", "GiB", "TiB", "req/s", "times", "ports", "connections/s"];
    UNITS.contains(&word.trim_end_matches(['.', ',', ';', ':', ')']))
}

/// Text of others on one line: what a terminal would obey (escape sequences, line breaks) is shown as it would be typed.
pub fn visible(text: &str) -> String {
    // Bidirectional controls reorder what follows; C1 controls are obeyed by some terminals; the last two are no text in XML.
    let is_obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// A name that takes at most `width` characters: the middle gives way, because both ends tell names apart.
pub fn shortened(name: &str, width: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= width {
        return name.to_owned();
    }
    let keep = width.saturating_sub(2);
    let head = keep.div_ceil(2);
    let tail = keep - head;
    let first: String = chars[..head].iter().collect();
    let last: String = chars[chars.len() - tail..].iter().collect();
    format!("{first}..{last}")
}

/// With a capital at its start.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn push_line(out: &mut String, indent: usize, line: &str) {
    if !line.is_empty() {
        out.extend(std::iter::repeat_n(' ', indent));
        out.push_str(line);
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(shortened("/a/very/long/path?q=1", 11), "/a/ve..?q=1");
        assert_eq!(shortened("/short", 11), "/short");
    }

    #[test]
    fn wrapping_keeps_words_whole_and_indents_every_line() {
        let text = wrapped("one two three four five six seven", 2, 22);
        assert_eq!(text, "  one two three four\n  five six seven\n");
        assert_eq!(wrapped("a\n\nb", 1, 80), " a\n\n b\n");
        assert_eq!(wrapped("they came back after 60 s, all", 0, 23), "they came back after\n60 s, all\n");
    }
}
