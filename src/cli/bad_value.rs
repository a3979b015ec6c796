//! How the message about a value that no parser takes shows the value: as it would be typed, and once.

/// clap's message about the value `given`.
pub(super) fn shown(message: String, given: &str) -> String {
    named_once(&as_typed(message, given), given)
}

/// clap drops what a terminal obeys, and the message ended at the first line break.
fn as_typed(message: String, given: &str) -> String {
    match (message.find("invalid value '"), message.find("' for '")) {
        (Some(start), Some(end)) if given.contains(char::is_control) => {
            format!("{}invalid value '{}{}", &message[..start], given.escape_debug(), &message[end..])
        }
        _ => message,
    }
}

/// A parser's own message begins with the value: where no flag is named, it stands alone.
fn named_once(message: &str, given: &str) -> String {
    let again = [format!("': {given}: "), format!("': {given:?}: ")];
    let again = again.iter().find(|words| message.contains(words.as_str()));
    again.map_or_else(|| message.to_owned(), |words| message.replacen(words.as_str(), "': ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_named_once_whoever_names_it_again() {
        for (given, parser) in [
            ("soon", "\"soon\": not a length of time"),
            ("nowhere", "nowhere: not an address"),
            ("a\u{1b}b", "\"a\\u{1b}b\": not a length of time"),
            ("0", "0 is not in 1..=9"),
        ] {
            let message = shown(format!("error: invalid value '{given}' for '--to <ADDR>': {parser}\nhint: x"), given);
            let why = parser.split_once(": ").map_or(parser, |(_, why)| why);
            let typed = given.escape_debug();
            assert_eq!(message, format!("error: invalid value '{typed}' for '--to <ADDR>': {why}\nhint: x"));
        }
    }
}
