//! How often a message happened, by the number beside it: `[N] msg`, `N msg`, `msg: N`, `msg - N`, `N (p %)`, `(N times)`.
//!
//! A number that is the error's own number, a port, a process or a time is no count.

use super::codes::Errno;

/// Words before a number at the end of a line that make it something else than a count.
const NO_COUNT_BEFORE: &[&str] = &[
    "port",
    "pid",
    "fd",
    "line",
    "code",
    "errno",
    "error",
    "status",
    "id",
    "thread",
    "attempt",
    "retry",
    "after",
    "timeout",
    "took",
    "ms",
    "exit",
    "in",
    "host",
    "backlog",
    "signal",
    "ret",
    "version",
    "stream",
    "address",
    "failed",
    "failure",
    "errorcode",
    "winerror",
    "call",
    "received",
    "expected",
    "length",
    "size",
    "bytes",
];
/// Keys of a count, before its number.
const COUNT_KEYS: &[&str] = &[
    "count=",
    "count=\"",
    "count: ",
    "count:",
    "\"count\":",
    "\"count\": ",
    "occurrences: ",
    "occurrences=",
    "\"occurrences\":",
    "times=",
    "n=",
    "hits=",
    "repeated ",
];
const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// Units behind a number: it is a time or a size.
const UNITS: &[&str] = &[
    "ms",
    "msec",
    "millisecond",
    "milliseconds",
    "us",
    "s",
    "sec",
    "secs",
    "second",
    "seconds",
    "minute",
    "minutes",
    "bytes",
    "byte",
    "kb",
    "mb",
    "gb",
    "b",
    "users",
    "threads",
    "am",
    "pm",
];
/// Seconds and milliseconds of the epoch begin here.
const EPOCH_FROM: u64 = 1_000_000_000;

/// How often the message of a printable line happened; one where no number beside it says so, zero where it says none.
pub(super) fn count(line: &str, errno: Option<&Errno>) -> u64 {
    let line = without_tag(line);
    let line =
        line.trim().trim_start_matches(['|', '>', '*', '•', '-', '#', ' ']).trim_end_matches([',', ';', '|', ' ', '}', ']']);
    let is_own_number = |n: u64| i32::try_from(n).ok().zip(errno).is_some_and(|(n, e)| e.system_of(n).is_some());
    keyed(line)
        .or_else(|| named(line).filter(|n| !is_own_number(*n)))
        .or_else(|| leading(line))
        .or_else(|| columns(line))
        .or_else(|| trailing(line).filter(|n| !is_own_number(*n)))
        .unwrap_or(1)
}

/// Without the mark of a log line before its text: `[E] `, `ERROR: `; `[12] ` is a count.
fn without_tag(line: &str) -> &str {
    let line = line.trim_start();
    let Some((tag, rest)) = line.strip_prefix('[').and_then(|l| l.split_once("] ")) else { return line };
    if !tag.is_empty() && tag.len() <= 8 && tag.bytes().all(|b| b.is_ascii_alphabetic()) { rest } else { line }
}

/// A number with separators of thousands and a `k` behind it: `12`, `1,042`, `12k`.
pub(super) fn whole(text: &str) -> Option<u64> {
    let (digits, factor) = text.strip_suffix(['k', 'K']).map_or((text, 1), |d| (d, 1000));
    let is_grouped = digits.contains(',') && digits.split(',').skip(1).all(|g| g.len() == 3);
    let digits = if is_grouped { digits.replace(',', "") } else { digits.to_owned() };
    let is_number =
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    // More than fits is as many as there can be.
    is_number.then(|| digits.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(factor))
}

/// The digits at the start of a text.
fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(text.len())]
}

/// `count=12`, `(12 times)`, `12 occurrences`: a number that says itself that it is a count.
pub(super) fn keyed(line: &str) -> Option<u64> {
    let lower = line.to_ascii_lowercase();
    let by_key = COUNT_KEYS.iter().find_map(|key| {
        let at = lower.find(key)?;
        let is_word = !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        if is_word { whole(digits(&lower[at + key.len()..]).trim_end_matches(',')) } else { None }
    });
    by_key.or_else(|| {
        ["times", "occurrences", "occurrence", "errors)", "failures)"].iter().find_map(|unit| {
            let before = lower[..lower.find(&format!(" {unit}"))?].rsplit(|c: char| !c.is_ascii_digit() && c != ',').next()?;
            whole(before)
        })
    })
}

/// A name and its numbers, nothing else: `error_connect_etimedout 12 34`, where tsung adds the sum so far.
fn named(line: &str) -> Option<u64> {
    let mut words = line.strip_prefix("stats: ").unwrap_or(line).split_whitespace();
    let name = words.next().filter(|w| w.starts_with(|c: char| c.is_alphabetic()))?;
    let numbers: Option<Vec<u64>> = words.map(whole).collect();
    let n = *numbers?.first()?;
    (!name.ends_with([':', '.'])).then_some(n)
}

/// `[12] msg`, `12 msg`, `12: msg`, `12x msg`.
fn leading(line: &str) -> Option<u64> {
    if let Some(rest) = line.strip_prefix('[') {
        let (inside, rest) = rest.split_once(']')?;
        let is_message = rest.starts_with(' ') && !rest.trim_start().starts_with('[');
        return if is_message { whole(inside) } else { None };
    }
    let number = digits(line).trim_end_matches(',');
    let n = whole(number)?;
    let rest = &line[number.len()..];
    let rest = rest.strip_prefix(['x', '×', 'k']).or_else(|| rest.strip_prefix(':')).unwrap_or(rest);
    let rest = rest
        .strip_prefix(" x ")
        .or_else(|| rest.strip_prefix(" × "))
        .map_or(rest, |message| &rest[rest.len() - message.len() - 1..]);
    let message = rest.strip_prefix(' ')?.trim_start();
    let first = message.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_ascii_lowercase();
    let is_date = MONTHS.iter().any(|m| first.starts_with(m) && first.len() <= 9 && message[first.len()..].starts_with(' '));
    // strace -f: the process comes first.
    let is_traced = message.contains(" = -1 E") || message.starts_with("<...");
    let is_time = n >= EPOCH_FROM || message.starts_with(|c: char| c.is_ascii_digit()) || message.starts_with('[');
    (!message.is_empty() && !is_date && !is_traced && !is_time && !UNITS.contains(&first.as_str()))
        .then(|| if line[number.len()..].starts_with('k') { n.saturating_mul(1000) } else { n })
}

/// `msg: 12`, `msg - 12`, `msg   12`, `msg  12 (55.1 %)`, `msg x12`.
fn trailing(line: &str) -> Option<u64> {
    let line = without_shares(line);
    let number = line.rsplit([' ', '.', ':', '\t', '=', 'x', '×', '(']).next()?.trim_end_matches(')');
    let n = whole(number)?;
    let before = &line[..line.len() - number.len() - usize::from(line.ends_with(')'))];
    let last_word = |text: &str| {
        text.trim_end_matches([' ', ':', '=', '"', '\'', '-'])
            .rsplit(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let in_column = before.ends_with(" - ") || before.ends_with("  ");
    let is_other = (!in_column && NO_COUNT_BEFORE.contains(&last_word(before).as_str())) || n >= EPOCH_FROM;
    let is_counted = [": ", " - ", " | ", "  ", ".. ", "...", " x", "×", "(x"].iter().any(|w| before.ends_with(w))
        || (before.ends_with("\":") || before.ends_with("':")) && !is_field(before);
    (is_counted && !is_other).then_some(n)
}

/// `{"msg":"...","connectionCount":` before a number: another field of a log line, not the message as the key of its count.
fn is_field(before: &str) -> bool {
    let key = before.trim_end_matches([':', '"', '\'']);
    let start = key.rfind(['"', '\'']).map_or(0, |at| at + 1);
    let is_count = ["value", "count", "total", "n", "errors"].contains(&&key[start..]);
    !is_count && key[start..].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && key[..start].contains("\":")
}

/// `msg,12,96.72%,2.36%`: JMeter's table of errors.
fn columns(line: &str) -> Option<u64> {
    let mut columns = line.rsplit(',').map(|c| c.trim().trim_matches('"'));
    let (of_all, of_errors, n) = (columns.next()?, columns.next()?, columns.next()?);
    if of_all.ends_with('%') && of_errors.ends_with('%') { whole(n) } else { None }
}

/// `stats: error_connect_etimedout 5 12`: the sum so far, where tsung prints it behind that of the last interval.
pub(super) fn running_total(line: &str) -> Option<u64> {
    let mut words = line.trim().strip_prefix("stats: ")?.split_whitespace().skip(1);
    let (interval, total) = (whole(words.next()?)?, whole(words.next()?)?);
    (words.next().is_none() && total >= interval).then_some(total)
}

/// `N (55.1 %)`, `N 12.3% 1.2%`: without the shares.
fn without_shares(line: &str) -> &str {
    let mut line = line.trim_end();
    loop {
        let inside = line.strip_suffix(')').unwrap_or(line);
        let Some(rest) = inside.strip_suffix('%') else { return line };
        let cut = rest.trim_end().trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
        let cut = cut.trim_end().strip_suffix('(').unwrap_or(cut);
        // Two columns of numbers need a blank between them.
        if cut.len() == line.len() || !cut.ends_with(' ') {
            return line;
        }
        line = cut.trim_end();
    }
}

/// `msg: 12`, `"msg": 12`, `msg=12`, `name (12)`: the number right behind a message, or a name, that ends at `end`.
pub(super) fn behind(text: &str, end: usize, is_name: bool) -> Option<u64> {
    let rest = text[end..].trim_start_matches(['"', '\'', ')', ']']);
    let number =
        rest.trim_start().strip_prefix([':', '=']).or_else(|| rest.strip_prefix(" x")).or_else(|| rest.strip_prefix(" ×"));
    let number = number.or_else(|| rest.strip_prefix(" (").filter(|_| is_name))?.trim_start_matches(['>', ' ', '"', '\'']);
    let n = whole(digits(number).trim_end_matches(','))?;
    let after = &number[digits(number).trim_end_matches(',').len()..];
    let next = after.strip_prefix(' ').map(|w| w.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default());
    let ends = !after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, ':' | '%' | '-' | '/'))
        && !next.is_some_and(|w| UNITS.contains(&w));
    let is_decimal = after.starts_with('.') && after[1..].starts_with(|c: char| c.is_ascii_digit());
    (ends && !is_decimal).then_some(n)
}

#[cfg(test)]
mod tests {
    use super::count;
    use crate::explain::codes::by_name;
    use crate::explain::normal::printable;

    #[test]
    fn numbers_beside_a_message_are_counts() {
        for line in [
            "[12] connection refused",
            "   12 dial tcp 10.0.0.1:80: connect: connection refused",
            "12: connection refused",
            "connection refused: 12",
            "connect: connection refused - 12",
            "> j.n.ConnectException: Connection refused      12 (55.14%)",
            "> j.n.ConnectException: Connection refused      12 (55,14 %)",
            "Connection refused\t\t12\t55.1%\t1.2%",
            "connection refused (12 times)",
            "connection refused x12",
            "12x connection refused",
            "12 x connection refused",
            "connection refused (12 errors)",
            "| GET /io | connection refused | 12 |",
            "<failure count=\"12\" message=\"connection refused\"/>",
            "[E] 12 x connection refused",
            "[error] 12 connection refused",
            "Connection refused,12,96.72%,2.36%",
            "\"Connection refused\",\"12\",\"96.72%\",\"2.36%\"",
            "errors.ECONNREFUSED: ......... 12",
            "message repeated 12 times: [ connection refused ]",
            "12                 GET /cpu: ConnectionRefusedError(111, 'Connection refused')",
            "\"connect ECONNREFUSED 127.0.0.1:80\": 12,",
            "msg=\"connection refused\" count=12",
        ] {
            assert_eq!(count(&printable(line), by_name("ECONNREFUSED")), 12, "{line}");
        }
    }

    #[test]
    fn other_numbers_are_not() {
        for line in [
            "connect ECONNREFUSED 127.0.0.1:8080",
            "Connection refused (111)",
            "Connection refused: 111",
            "[827341.246171] TCP: connection refused",
            "12 Jan 10:00:01 connection refused",
            "1620216000 connection refused",
            "18774 connect(5, {..}, 16) = -1 ECONNREFUSED (Connection refused)",
            "connection refused to port: 8080",
            "connection refused, retry in: 5",
            "[2024-05-01] connection refused",
            "1234:connection refused",
            "{\"msg\":\"connection refused\",\"open\":819}",
            "007 connection refused",
        ] {
            assert_eq!(count(line, by_name("ECONNREFUSED")), 1, "{line}");
        }
        assert_eq!(count("connection refused: 0", by_name("ECONNREFUSED")), 0);
        assert_eq!(
            count("99999999999999999999999 connection refused", by_name("ECONNREFUSED")),
            1,
            "a number of the epoch at best"
        );
    }

    #[test]
    fn thousands_and_running_totals() {
        assert_eq!(
            ["12k", "12K", "12", "1,234", "012"].map(super::whole),
            [Some(12_000), Some(12_000), Some(12), Some(1234), None]
        );
        let total = |text| super::running_total(text);
        assert_eq!(
            [total("stats: refused 5 5"), total("stats: refused 5 9"), total("stats: refused 9 5")],
            [Some(5), Some(9), None]
        );
    }
}
