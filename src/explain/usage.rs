//! Usage texts: how a program is called, and lists of its options. What an option is for is no failure, whatever its words:
//! `--timeout <T>  Socket/request timeout`.

/// Lines behind `usage:` that are all read: more than the longest list of options.
const LINES: u32 = 1_000;

/// The word that begins a usage text; a line with it is worth reading.
pub(super) const USAGE: &str = "usage:";

/// Where a text is in a usage text.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// lines that are still read as those of a usage text
    left: u32,
    /// the column of the last option, while its description goes on
    column: Option<usize>,
    /// it began, and listed an option
    pub(super) is_shown: bool,
}

impl Usage {
    /// Whether a printable line is part of a usage text.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let text = line.trim();
        self.left = self.left.saturating_sub(1);
        if text.is_empty() {
            return self.left > 0 || self.column.is_some();
        }
        let column = line.chars().take_while(|c| c.is_whitespace()).count();
        if text.get(..USAGE.len()).is_some_and(|start| start.eq_ignore_ascii_case(USAGE)) {
            (self.left, self.column) = (LINES, None);
            let is_synopsis = text.contains("[-") || text.contains("[options") || text.contains("<options");
            self.is_shown |= is_synopsis;
            return is_synopsis;
        }
        if is_option(text) || text.strip_prefix('[').is_some_and(|rest| flag(rest).is_some()) {
            self.column = Some(column);
            self.is_shown |= self.left > 0;
            return true;
        }
        self.column = self.column.filter(|option| column > *option);
        self.column.is_some()
    }

    /// Whether the next line may belong to it, whatever its words.
    pub(super) const fn is_open(&self) -> bool {
        self.left > 0 || self.column.is_some()
    }
}

/// `-t  Timeout in seconds`, `-s timeout    Seconds to wait`, `-m, --max-time <seconds> Time`, `--timeout=<T>` with its
/// description on the next lines: a flag, what it takes, and a column of its own for what it is for.
fn is_option(text: &str) -> bool {
    let Some(rest) = flag(text) else { return false };
    let takes = |rest: &str| rest.is_empty() || rest.starts_with(['=', '[', '<', ',']) || rest.trim_start().starts_with('<');
    takes(rest) || rest.starts_with("  ") || rest.split_once("  ").is_some_and(|(value, _)| !value.trim().contains([' ', ':']))
}

/// What is behind the flag that a text begins with; none where it begins with none.
fn flag(text: &str) -> Option<&str> {
    let (name, is_long) = match text.strip_prefix("--") {
        Some(name) => (name, true),
        None => (text.strip_prefix('-')?, false),
    };
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(name.len());
    let (word, rest) = name.split_at(end);
    // `-ECONNREFUSED`, `-111`: an error number as the kernel has it.
    let is_name = word.starts_with(|c: char| c.is_ascii_alphabetic())
        && (is_long || word.len() == 1 || !word.contains(|c: char| c.is_ascii_uppercase()));
    let ends = rest.is_empty() || rest.starts_with([' ', ',', '=', '[', '<']);
    (is_name && ends).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_a_flag_and_what_it_is_for() {
        for line in [
            "--timeout     <T>  Socket/request timeout",
            "--timeout <T> Socket/request timeout",
            "-t  Timeout for each request in seconds",
            "-s timeout      Seconds to max. wait",
            "-m, --max-time <seconds>  Maximum time",
            "--retry-connrefused  Retry on connection refused",
            "-T, --connection-active-timeout=<DURATION>",
            "-disable-keepalive    prevents re-use of TCP",
            "--http-debug string[=\"headers\"]   log all requests",
        ] {
            assert!(is_option(line), "{line}");
        }
        for line in [
            "-ECONNREFUSED",
            "-111 connection refused",
            "- connect: connection refused",
            "-- connection refused",
            "--- connection refused ---",
            "-connect: connection refused",
            "--> connect: connection refused",
            "-v connection refused",
        ] {
            assert!(!is_option(line), "{line}");
        }
    }
}
