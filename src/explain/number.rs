//! Numbers of errors: only behind words that make a number an errno, or alone.

use super::patterns::{CODES, Code};
use crate::model::explanation::Os;

/// A number that is the errno of a known code.
pub(super) struct Number {
    pub(super) code: &'static Code,
    pub(super) os: Os,
    /// the text is this number and nothing else
    pub(super) bare: bool,
}

/// A number in the context of an error, or alone.
pub(super) fn numbered(text: &str, asked: Option<Os>) -> Option<Number> {
    if let Ok(alone) = text.trim_start_matches('-').parse::<i32>() {
        return by_number(alone, asked).map(|n| Number { bare: true, ..n });
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = bytes[at..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| at + n);
        let found = text[at..end].parse::<i32>().ok().and_then(|n| in_context(&text[..at], &text[end..], n, asked));
        if found.is_some() {
            return found;
        }
        at = end;
    }
    None
}

/// Words before a number that make it an errno, whatever the number.
const ERRNO_BEFORE: &[&str] =
    &["errno ", "errno: ", "errno:", "errno=", "errno = ", "errno -", "errno: -", "winerror ", "os error ", "oserror(", "error("];
/// Words before a Winsock number that make it one; too common for small numbers.
const WINSOCK_BEFORE: &[&str] = &[
    "error ",
    "error: ",
    "error code ",
    "error code: ",
    "error #",
    "code ",
    "code: ",
    "code=",
    "winsock ",
    "wsa",
    "wsagetlasterror ",
    "socketexception (",
];

fn in_context(before: &str, after: &str, n: i32, asked: Option<Os>) -> Option<Number> {
    let ends = |words: &[&str]| words.iter().any(|w| before.ends_with(w));
    if n >= 10_000 {
        // "error 10048 requests": a count, not a code.
        let counted = after.trim_start().split(|c: char| !c.is_alphabetic()).next().is_some_and(|w| COUNTED.contains(&w));
        // .NET and Java put it behind a message in the language of the machine.
        let behind = before.ends_with('(') && after.starts_with(')') && before.contains("exception");
        return ((ends(ERRNO_BEFORE) || ends(WINSOCK_BEFORE) || behind) && !counted).then(|| by_number(n, asked)).flatten();
    }
    // nginx and ab put it beside the message; MySQL after the host; redis-py before it.
    let nginx = before.ends_with('(') && after.starts_with(": ") && (before.ends_with("failed (") || before.contains("upstream"));
    let mysql = before.ends_with("' (") && after.starts_with(')') && before.contains("connect");
    let ab = before.ends_with('(') && after.starts_with(')') && before.contains("apr_socket");
    let redis = before.ends_with("error ") && (after.starts_with(" connecting to ") || after.starts_with(" while "));
    let socket = before.ends_with("socketexception (");
    (ends(ERRNO_BEFORE) || nginx || mysql || ab || redis || socket).then(|| by_number(n, asked)).flatten()
}

const COUNTED: &[&str] =
    &["requests", "reqs", "ms", "us", "s", "sec", "seconds", "bytes", "kb", "mb", "users", "connections", "lines", "times"];

/// Small numbers are Linux's unless macOS is asked for: the two overlap (48, 49, 61 are other errors on Linux).
fn by_number(n: i32, asked: Option<Os>) -> Option<Number> {
    let found = |code, os| Number { code, os, bare: false };
    if n >= 10_000 {
        return CODES.iter().find(|c| c.windows == n).map(|c| found(c, Os::Windows));
    }
    if asked == Some(Os::Macos) {
        return CODES.iter().find(|c| c.macos == n).map(|c| found(c, Os::Macos));
    }
    let linux = CODES.iter().find(|c| c.linux == n).map(|c| found(c, Os::Linux));
    linux.or_else(|| CODES.iter().find(|c| c.macos == n && (48..=65).contains(&n)).map(|c| found(c, Os::Macos)))
}
