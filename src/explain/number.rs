//! Numbers of errors: behind words that make a number an errno, beside a message that has this number, or alone.

use std::ops::Range;

use super::codes::{self, Errno, Meaning, WINSOCK_FROM};
use crate::model::explanation::Os;

/// A piece of a line that gives a condition.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) means: Meaning,
    pub(super) at: Range<usize>,
    /// a symbolic name or a number, not a sentence
    pub(super) is_name: bool,
    /// the text is this number and nothing else
    pub(super) is_alone: bool,
}

impl Piece {
    const fn number(means: Meaning, at: Range<usize>) -> Self {
        Self { means, at, is_name: true, is_alone: false }
    }
}

/// Words before a number that make it an errno, whatever the number.
const ERRNO_BEFORE: &[&str] = &["errno", "os error", "oserror(", "error(", "system:"];
/// Words before a number that make it one where the line speaks of a connection too, or where Winsock has this number.
const ERROR_BEFORE: &[&str] = &[
    "error",
    "error code",
    "errorcode",
    "err",
    "code",
    "ret",
    "retcode",
    "returned",
    "winsock",
    "wsa",
    "wsagetlasterror",
    "wsagetlasterror()",
    "socketexception (",
    "fehler",
    "fehlercode",
    "erreur",
    "código",
    "errore",
    "erro",
    "ошибка",
    "ошибки",
    "код",
    "错误",
    "错误码",
    "错误代码",
    "錯誤",
    "錯誤碼",
    "エラー",
    "エラーコード",
    "오류",
    "hata",
];
/// Numbers behind these words are something else.
const NO_ERROR_BEFORE: &[&str] =
    &["status code", "statuscode", "http code", "http error", "exit code", "exit status", "response code", "http/1.1", "line"];
/// What is counted, not numbered.
const COUNTED: &[&str] = &[
    "requests",
    "reqs",
    "ms",
    "us",
    "s",
    "sec",
    "seconds",
    "bytes",
    "kb",
    "mb",
    "users",
    "connections",
    "lines",
    "times",
    "errors",
    "failures",
    "samples",
    "responses",
    "of",
    "out",
];
/// A line with one of these speaks of a connection.
const CONNECTION_WORDS: &[&str] = &[
    "connect", "socket", "bind", "accept", "recv", "send", "tcp", "host", "peer", "port", "dial", "upstream", "network",
    "server", "listen",
];

/// Every number of an error in a line in normal form. `said`: errnos that its words name; a number beside them is theirs.
pub(super) fn numbers(text: &str, said: &[&'static Errno], asked: Option<Os>) -> Vec<Piece> {
    if let Ok(alone) = text.trim_start_matches('-').parse::<i32>() {
        let means = codes::by_number(alone, asked);
        return means.map(|means| Piece { is_alone: true, ..Piece::number(means, 0..text.len()) }).into_iter().collect();
    }
    let mut out = Vec::new();
    let (bytes, mut at) = (text.as_bytes(), 0);
    while let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|n| at + n) {
        let end = bytes[start..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| start + n);
        at = end;
        let in_word = text[..start].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_');
        let means = if in_word { hexadecimal(text, start, &mut at) } else { one(text, start..end, said, asked) };
        out.extend(means.map(|means| Piece::number(means, start..end)));
    }
    out
}

fn one(text: &str, at: Range<usize>, said: &[&'static Errno], asked: Option<Os>) -> Option<Meaning> {
    let (before, after) = (text[..at.start].trim_end_matches('-'), &text[at.end..]);
    if before.ends_with("0x") || after.starts_with('x') && text[at.clone()] == *"0" {
        return hexadecimal(text, at.end, &mut { at.end });
    }
    // Part of an address, a time, a decimal number.
    if after.starts_with('.') && after[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let n: i32 = text[at].parse().ok()?;
    if before.ends_with("winerror ") {
        return codes::by_winerror(n).or_else(|| codes::by_number(n, None));
    }
    let label = before.trim_end_matches([' ', '=', ':', '#', '"', '\'', '-']);
    let ends = |words: &[&str]| words.iter().any(|w| label.ends_with(w));
    let no_error = NO_ERROR_BEFORE.iter().any(|w| label.ends_with(w));
    let counted = after.trim_start().split(|c: char| !c.is_alphabetic()).next().is_some_and(|w| COUNTED.contains(&w));
    if no_error || counted || after.trim_start().starts_with('%') {
        return None;
    }
    let in_brackets = (before.ends_with('(') && (after.starts_with(')') || after.starts_with(": ") || after.starts_with(" \"")))
        || (before.ends_with('[') && after.starts_with(']') && before.len() > 1);
    // `EADDRNOTAVAIL 99`; behind a colon it is a count.
    let is_behind_name = before.ends_with(' ') && said.iter().any(|e| label.ends_with(&e.name.to_ascii_lowercase()));
    let is_named =
        in_brackets || is_behind_name || ends(ERRNO_BEFORE) || ends(ERROR_BEFORE) || (before.ends_with(": ") && after.is_empty());
    // Beside its message: then the number shows the system too.
    if is_named && let Some((errno, os)) = said.iter().find_map(|e| Some((*e, e.system_of(n)?))) {
        return Some(Meaning::of(errno, Some(os)));
    }
    let speaks_of_connections = || CONNECTION_WORDS.iter().any(|w| text.contains(w));
    let reports = || {
        ["error", "fail", "exception", "fehler", "erreur", "errore", "错误", "錯誤", "エラー", "ошибк", "오류"]
            .iter()
            .any(|w| text.contains(w))
    };
    let is_error = if n >= WINSOCK_FROM {
        ends(ERRNO_BEFORE) || ends(ERROR_BEFORE) || (in_brackets && reports() && !is_total(before))
    } else {
        ends(ERRNO_BEFORE)
            || (ends(ERROR_BEFORE) && speaks_of_connections())
            // nginx and ab put it beside the message; MySQL behind the host.
            || (before.ends_with("failed (") && after.starts_with(": "))
            || (before.ends_with("() failed: ") && after.is_empty())
            || (in_brackets && (before.contains("apr_") || before.contains("upstream")))
            || (before.ends_with("' (") && in_brackets && before.contains("connect"))
    };
    if is_error { codes::by_number(n, asked) } else { None }
}

/// A total is in brackets after the name of what was counted.
fn is_total(before: &str) -> bool {
    let word = before.trim_end_matches(['(', '[', ' ']).rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    ["requests", "errors", "failures", "responses", "samples", "total", "ok", "ko", "users", "iterations", "count"]
        .contains(&word)
}

/// `0x80072740`: an HRESULT of a Win32 error, as .NET and WinHTTP print it.
fn hexadecimal(text: &str, near: usize, at: &mut usize) -> Option<Meaning> {
    let start =
        text[..near].rfind("0x").or_else(|| text[near.saturating_sub(1)..].find("0x").map(|n| near.saturating_sub(1) + n))?;
    let digits = text[start + 2..].split(|c: char| !c.is_ascii_hexdigit()).next()?;
    *at = (start + 2 + digits.len()).max(*at);
    let low = digits.strip_prefix("8007").filter(|d| d.len() == 4)?;
    let n = i32::from_str_radix(low, 16).ok()?;
    if n >= WINSOCK_FROM { codes::by_number(n, None) } else { codes::by_winerror(n) }
}

/// k6's `error_code=1211`, also as a tag in JSON.
pub(super) fn k6_code(text: &str) -> Option<Piece> {
    let rest = text.split_once("error_code")?.1.trim_start_matches(['"', ':', '=', ' ', '\'']);
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    let means = codes::by_k6_code(digits.parse().ok()?)?;
    Some(Piece::number(means, text.len()..text.len()))
}
