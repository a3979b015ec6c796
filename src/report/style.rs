//! Colour or none, and wrapping: what differs between a terminal and a file.

use crate::model::result::{RunStamp, VerdictId};

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

impl Tone {
    /// What a verdict means.
    pub(super) fn of_verdict(id: VerdictId) -> Self {
        match id {
            VerdictId::Healthy => Self::Good,
            VerdictId::PortBound | VerdictId::FdBound | VerdictId::TargetFailing | VerdictId::TargetGone => Self::Bad,
            VerdictId::ClientBound | VerdictId::HostBound | VerdictId::TargetBound | VerdictId::Undecided => Self::Warn,
        }
    }

    /// What a stamp means.
    pub(super) fn of_stamp(stamp: RunStamp) -> Self {
        match stamp {
            RunStamp::Valid => Self::Good,
            RunStamp::PortBound => Self::Bad,
            RunStamp::ClientBound | RunStamp::Incomplete => Self::Warn,
        }
    }
}

impl Style {
    /// `text`, coloured for its tone where colours are allowed.
    ///
    /// ```
    /// use sockbench::testing::report::{Style, Tone};
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

/// `text` in lines of at most `width` characters, each after `indent` spaces; a longer word gets a line of its own. A number
/// stays with its unit, a flag with its value.
pub fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let room = width.saturating_sub(indent).max(20);
    let mut out = String::new();
    for paragraph in text.lines() {
        let lines = folded(paragraph, room);
        for line in &lines {
            push_line(&mut out, indent, line);
        }
        if lines.is_empty() {
            out.push('\n');
        }
    }
    out
}

/// The lines of one paragraph, each of at most `room` characters unless it is one word.
pub(super) fn folded(paragraph: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut words = with_quotes(paragraph, room).into_iter().peekable();
    while let Some(mut piece) = words.next() {
        let mut last = piece.clone();
        while let Some(next) = words.next_if(|next| belongs(&last, next) && length(&piece) + 1 + length(next) <= room) {
            piece = format!("{piece} {next}");
            last = next;
        }
        match lines.last_mut() {
            Some(line) if length(line) + 1 + length(&piece) <= room => *line += &format!(" {piece}"),
            _ => lines.push(piece),
        }
    }
    lines
}

/// A command in lines of at most `room` characters that can be pasted as they are; `goes_on` ends those that have another
/// one behind them. A longer word stands alone. A comment behind a command that is too long has lines of its own.
pub(super) fn command_lines(command: &str, room: usize, goes_on: &str) -> Vec<String> {
    if length(command) <= room {
        return vec![command.to_owned()];
    }
    if let Some(at) = outside_quotes(command).find(|at| command[at + 1..].starts_with('#')) {
        let comment = command[at + 1..].trim_start_matches('#').trim();
        let mut lines = command_lines(command[..at].trim_end(), room, goes_on);
        let wrapped = wrapped(comment, 0, room.saturating_sub(2));
        lines.extend(wrapped.lines().map(|line| format!("# {line}")));
        return lines;
    }
    let mut lines: Vec<String> = Vec::new();
    let mut from = 0;
    let mut words: Vec<&str> = outside_quotes(command).map(|at| &command[std::mem::replace(&mut from, at + 1)..at]).collect();
    words.push(&command[from..]);
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let mut piece = word.to_owned();
        while let Some(value) = words.next_if(|next| belongs(piece.rsplit(' ').next().unwrap_or(&piece), next)) {
            piece = format!("{piece} {value}");
        }
        match lines.last_mut() {
            Some(line) if length(line) + 1 + length(&piece) + length(goes_on) <= room => *line += &format!(" {piece}"),
            _ => lines.push(piece),
        }
    }
    let last = lines.len() - 1;
    lines[..last].iter_mut().for_each(|line| *line += goes_on);
    lines
}

/// The blanks between words: one inside quotes is part of a word, and so is one after a backslash.
fn outside_quotes(command: &str) -> impl Iterator<Item = usize> {
    let (mut quote, mut is_escaped) = (None, false);
    command.char_indices().filter_map(move |(at, c)| {
        if std::mem::take(&mut is_escaped) {
            return None;
        }
        is_escaped = c == '\\' && quote != Some('\'');
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            _ => {}
        }
        (c == ' ' && quote.is_none()).then_some(at)
    })
}

/// Characters of `text`.
pub(super) fn length(text: &str) -> usize {
    text.chars().count()
}

/// Words; one that begins a quoted value goes as far as that, where it fits.
fn with_quotes(paragraph: &str, room: usize) -> Vec<String> {
    let is_open = |text: &str| text.matches('\'').count() % 2 == 1;
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(word) = words.get(at) {
        let follows_flag = at > 0 && is_flag(words[at - 1]);
        let begins = follows_flag && word.starts_with('\'') || word.find("='").is_some();
        let end = (at + 1..words.len()).find(|end| is_open(words[*end])).filter(|_| begins && is_open(word));
        let quotation = end.map(|end| words[at..=end].join(" ")).filter(|text| length(text) <= room);
        at = end.filter(|_| quotation.is_some()).unwrap_or(at) + 1;
        all.push(quotation.unwrap_or_else(|| (*word).to_owned()));
    }
    all
}

/// Whether `next` stays on the line of `last`: a unit after its number, what comes after a flag.
fn belongs(last: &str, next: &str) -> bool {
    is_quantity(last) && is_unit(next) || is_flag(last) && !next.starts_with(['-', '(', '&', '|', ';', '\\'])
}

/// `--rate`, `-c`, `'--queue`: a flag that its value may follow, not one that a mark or a value ends.
fn is_flag(word: &str) -> bool {
    let word = word.trim_start_matches(['\'', '`', '(']);
    let name = word.trim_start_matches('-');
    let dashes = word.len() - name.len();
    (1..=2).contains(&dashes) && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-')
}

fn is_quantity(word: &str) -> bool {
    word.ends_with(|c: char| c.is_ascii_digit())
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
    out.extend(std::iter::repeat_n(' ', indent));
    out.push_str(line);
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

    /// What a shell takes: lines that end with a backslash go on, and a comment is nothing.
    #[test]
    fn folded_commands_are_the_same_to_a_shell() {
        for (command, typed) in [
            ("sockbench server --listen 0.0.0.0:8080   # and there: sockbench load http://THIS-HOST:8080 --allow-remote", 4),
            (r#"sockbench load http://127.0.0.1/ --body "{\"text\": \"it's a long text\"}" -c 100 --duration 30s"#, 9),
            (r"sockbench load http://127.0.0.1/ --body it\'s\ a\ long\ text -c 100 --duration 30s # while it runs", 9),
        ] {
            let whole = shlex::split(command.split(" #").next().unwrap()).unwrap();
            assert_eq!(whole.len(), typed, "{command}");
            for room in 20..command.len() {
                let lines = command_lines(command, room, " \\");
                let text = lines.join("\n").replace(" \\\n", " ");
                let at_once: Vec<String> =
                    text.lines().filter(|l| !l.starts_with('#')).map(|l| l.split(" # ").next().unwrap().to_owned()).collect();
                assert_eq!(at_once.len(), 1, "{lines:#?}");
                assert_eq!(shlex::split(&at_once[0]).unwrap(), whole, "{lines:#?}");
            }
        }
    }
}
