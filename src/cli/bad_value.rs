//! How the message about a value that no parser takes shows the value: as it would be typed, and once. And what to type instead.

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

/// Flags whose values have parts, or are one of a few words: a value that is taken, and what else to know.
const EXAMPLES: [(&str, &str, &str); 13] = [
    ("--stages", "30s@50,1m@200,10s@0", "; 50/s are requests per second"),
    ("--arrivals", "burst:20", ", 20 requests due at once; or constant, poisson"),
    ("--think", "100ms..500ms", "; 200ms is always the same, exp(300ms) a mean"),
    ("--mix", "/a=50,/b=30", "; paths begin with /, weights are 1 or more"),
    ("--header", "Accept: text/html", ""),
    ("--port-range", "10000-32000", ""),
    ("--pin", "auto", ", which gives each thread a core; or off"),
    ("--busy-poll", "on", ", the same as --busy-poll alone; or off"),
    ("--keepalive", "on", "; or off"),
    ("--sysctl", "net.ipv4.tcp_tw_reuse=1", ""),
    ("--address", "127.0.0.2/8", ""),
    ("--users", "10,50,100", ", a step of each"),
    ("--threads", "2", "; from 1 to 256"),
];

/// The hint for a flag, as clap names it: `such as 10000-32000`.
pub(super) fn example(named: &str) -> Option<String> {
    let flag = named.split_whitespace().next()?;
    let (_, value, more) = EXAMPLES.iter().find(|(of, ..)| *of == flag)?;
    let typed = if value.contains(' ') { format!("'{value}'") } else { (*value).to_owned() };
    Some(format!("such as {typed}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of each example is one that the flag takes.
    #[test]
    fn an_example_is_taken() {
        let commands: [&[&str]; 4] = [&["load"], &["server"], &["study"], &["sandbox"]];
        for (flag, value, _) in EXAMPLES {
            let word = format!("{flag}={value}");
            let line = |command: &[&str]| {
                let words = command.iter().copied().chain([word.as_str(), "--", "true"]).map(str::to_owned);
                let keep = if command == ["sandbox"] { usize::MAX } else { 2 };
                words.take(keep).collect::<Vec<_>>()
            };
            assert!(commands.iter().any(|command| super::super::read(&line(command)).is_ok()), "{word}");
        }
    }

    /// Parts that are empty, counts of zero, `yes` where other words are expected: the hint says what is.
    #[test]
    fn a_value_of_parts_or_words_has_an_example_in_its_hint() {
        for line in [
            "load --stages 10s@",
            "load --stages @5",
            "load --stages 10s@5,",
            "load --stages 10s@0",
            "load --stages ,",
            "load --arrivals burst:",
            "load --arrivals burst:0",
            "load --arrivals even",
            "load --pin yes",
            "load --think 5..ms",
            "load --think ..5ms",
            "load --think 5ms..",
            "load --think exp()",
            "load --mix /a=",
            "load --mix /a=0",
            "load --mix ,",
            "load --mix =1",
            "load -H Accept",
            "load -H :b",
            "load --port-range 10000-",
            "load --port-range 0-10",
            "load --threads 0",
            "server --pin yes",
            "server --keepalive yes",
            "server --busy-poll=yes",
            "study --users 1,",
            "study --users 0",
            "sandbox --sysctl net.ipv4.tcp_tw_reuse -- true",
            "sandbox --address x/ -- true",
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let Err(exit) = super::super::read(&words) else { panic!("{line}: taken") };
            let hint = exit.hint.unwrap_or_default();
            assert!(hint.starts_with("such as "), "{line}: {} / {hint}", exit.message);
            assert!(!exit.message.contains("\"\""), "{line}: {}", exit.message);
        }
    }

    /// The same word for a flag that is a switch in one command and takes a value in another.
    #[test]
    fn a_switch_takes_no_value() {
        let words = |command: &str| [command, "--busy-poll=on"].map(str::to_owned);
        assert!(super::super::read(&words("server")).is_ok());
        let exit = super::super::read(&words("load")).err().unwrap();
        assert_eq!(exit.hint.as_deref(), Some("--busy-poll takes no value here"));
    }

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
