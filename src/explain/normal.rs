//! A line as it is compared: printable, lower case, plain quotes, single blanks.

/// Without colours of a terminal and other control characters: they must not reach another terminal.
pub(super) fn printable(line: &str) -> String {
    let plain = without_bold(line);
    let mut out = String::with_capacity(line.len());
    let mut chars = plain.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            chars.next();
            while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
        } else if !c.is_control() {
            out.push(c);
        } else if c == '\t' {
            out.push_str("  ");
        }
    }
    out
}

/// `read **90038**`: numbers that people stress when they paste.
fn without_bold(line: &str) -> std::borrow::Cow<'_, str> {
    if !line.contains("**") {
        return line.into();
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("**") {
        out.push_str(before);
        let is_number = after.starts_with(|c: char| c.is_ascii_digit()) || before.ends_with(|c: char| c.is_ascii_digit());
        out.push_str(if is_number { "" } else { "**" });
        rest = after;
    }
    out.push_str(rest);
    out.into()
}

/// The normal form of a printable line.
pub(super) fn normal(line: &str) -> String {
    let plain = line
        .replace("\\'", "'")
        .replace("\\\"", "\"")
        .replace(['\u{2019}', '\u{2018}', '`'], "'")
        .replace(['\u{201c}', '\u{201d}'], "\"");
    plain.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Blanks before the first other character of a printable line.
pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// `retrying 3 times on ECONNRESET`, `retry on status code 503`: what would be done.
pub(super) fn is_policy(before: &str) -> bool {
    ["times on", "retry on", "retries on"].iter().any(|words| before.trim_end().ends_with(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_come_through() {
        assert_eq!(printable("\u{1b}[31mERROR\u{1b}[0m\tx\u{7}\u{0}y"), "ERROR  xy");
        assert_eq!(printable("\u{1b}["), "");
        assert_eq!(printable("read **90038**, ** (Mint.TransportError)"), "read 90038, ** (Mint.TransportError)");
    }
}
