//! One line of any tool: which system error it names, which call failed, and so which limit was hit.
//!
//! Refused on purpose: a number without the context of an error (`10048 requests done`), and failures that have
//! nothing to do with connections.

use super::patterns::{CALLS, CODES, Code, Condition, PHRASES, TOOLS};
use super::wording;
use crate::model::explanation::{Certainty, FailedCall, Os, Reading};

/// The reading of one line; none when it says nothing about connections.
///
/// ```
/// use sockbench::diagnose::explain::read_line;
/// use sockbench::model::explanation::Limit;
/// let r = read_line("dial tcp 10.0.0.1:80: connect: cannot assign requested address", None).expect("known");
/// assert_eq!(r.limit, Limit::LocalPorts);
/// assert!(read_line("10048 requests done", None).is_none());
/// ```
pub fn read_line(line: &str, os: Option<Os>) -> Option<Reading> {
    let text = normal(line);
    if says_zero(&text) {
        return None;
    }
    let seen = system_error(&text, os)?;
    let (tool, only_connects) = TOOLS.iter().find(|t| text.contains(t.0)).map_or((None, false), |t| (Some(t.1), t.2));
    let call = named_call(&text, seen.condition);
    let context = Context { text: &text, only_connects, os: seen.os, tool };
    let judged = wording::judge(seen.condition, call, &context);
    Some(Reading {
        text: line.trim().to_owned(),
        count: 1,
        tool: tool.map(str::to_owned),
        os: seen.os,
        name: seen.code.map(|c| if seen.os == Some(Os::Windows) { format!("WSA{}", c.name) } else { c.name.to_owned() }),
        code: seen.code.and_then(|c| number_on(c, seen.os)),
        call: judged.call,
        limit: judged.limit,
        certainty: judged.certainty,
        says: judged.says,
        is_not: judged.is_not,
        alternatives: if judged.certainty == Certainty::Certain { Vec::new() } else { judged.alternatives },
    })
}

/// What the judgement may look at beside condition and call.
pub(super) struct Context<'a> {
    pub(super) text: &'a str,
    pub(super) only_connects: bool,
    pub(super) os: Option<Os>,
    pub(super) tool: Option<&'static str>,
}

struct Seen {
    condition: Condition,
    os: Option<Os>,
    code: Option<&'static Code>,
}

/// Lower case, plain quotes, single spaces.
fn normal(line: &str) -> String {
    let plain = line.replace("\\'", "'").replace(['\u{2019}', '\u{2018}', '`'], "'").replace(['\u{201c}', '\u{201d}'], "\"");
    plain.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// wrk's summary names the kinds of errors whether there were any or not.
fn says_zero(text: &str) -> bool {
    text.contains("socket errors: connect 0, read 0, write 0, timeout 0")
}

const fn number_on(code: &Code, os: Option<Os>) -> Option<i32> {
    let n = match os {
        Some(Os::Windows) => code.windows,
        Some(Os::Macos) => code.macos,
        Some(Os::Linux) | None => code.linux,
    };
    if n == 0 { None } else { Some(n) }
}

fn system_error(text: &str, asked: Option<Os>) -> Option<Seen> {
    let by_number = numbered(text, asked);
    let by_name = CODES.iter().find(|c| has_name(text, c.name));
    let by_phrase = PHRASES.iter().find(|p| text.contains(p.0));
    // Node.js numbers errors of Windows from -4096 on.
    let libuv = (text.contains("-4091") || text.contains("-4090")).then_some(Os::Windows);
    let named = by_name.or(by_number.map(|n| n.0));
    let (condition, phrase_os) = match by_phrase {
        Some((_, Condition::NoReason, _)) | None => (named.map(|c| c.condition).or(by_phrase.map(|p| p.1))?, None),
        Some((_, condition, os)) => (*condition, *os),
    };
    let fits = |c: &&'static Code| c.condition == condition;
    let code = by_number.map(|n| n.0).filter(fits).or(by_name.filter(fits)).or_else(|| CODES.iter().find(fits));
    let wsa = text.contains("wsaeaddr") || text.contains("wsaen") || text.contains("wsaecon") || text.contains("wsaet");
    let os = phrase_os
        .or_else(|| by_number.map(|n| n.1))
        .or(libuv)
        .or(wsa.then_some(Os::Windows))
        .or(asked)
        .or_else(|| java_on_windows(text));
    Some(Seen { condition, os, code })
}

/// Java names the call behind the message on Windows only.
fn java_on_windows(text: &str) -> Option<Os> {
    let java = text.contains("java.net.") || text.contains("non http response");
    let named = text.contains("in use: connect")
        || text.contains("in use: bind")
        || text.contains("address: connect")
        || text.contains("in use: jvm_bind");
    (java && named).then_some(Os::Windows)
}

/// `EADDRINUSE` as a word of its own, with or without WSA before it.
fn has_name(text: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    text.match_indices(&name).any(|(at, _)| {
        let before = text[..at].trim_end_matches("wsa").chars().next_back();
        let after = text[at + name.len()..].chars().next();
        before.is_none_or(|c| !c.is_alphanumeric()) && after.is_none_or(|c| !c.is_alphanumeric())
    })
}

/// A number in the context of an error, or alone.
fn numbered(text: &str, asked: Option<Os>) -> Option<(&'static Code, Os)> {
    if let Ok(alone) = text.trim_start_matches('-').parse::<i32>() {
        return by_number(alone, asked);
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

fn in_context(before: &str, after: &str, n: i32, asked: Option<Os>) -> Option<(&'static Code, Os)> {
    let ends = |words: &[&str]| words.iter().any(|w| before.ends_with(w));
    if n >= 10_000 {
        // "error 10048 requests": a count, not a code.
        let counted = after.trim_start().split(|c: char| !c.is_alphabetic()).next().is_some_and(|w| COUNTED.contains(&w));
        return ((ends(ERRNO_BEFORE) || ends(WINSOCK_BEFORE)) && !counted).then(|| by_number(n, asked)).flatten();
    }
    // nginx and ab put it beside the message; MySQL after the host.
    let bracketed = (before.ends_with("failed (") && after.starts_with(": "))
        || (before.trim_end_matches('(').ends_with("' ")
            && before.ends_with('(')
            && after.starts_with(')')
            && before.contains("connect"));
    let ab = before.ends_with('(') && after.starts_with(')') && before.contains("apr_socket");
    let bracketed = bracketed || ab;
    let socket = before.ends_with("socketexception (");
    (ends(ERRNO_BEFORE) || bracketed || socket).then(|| by_number(n, asked)).flatten()
}

const COUNTED: &[&str] =
    &["requests", "reqs", "ms", "us", "s", "sec", "seconds", "bytes", "kb", "mb", "users", "connections", "lines", "times"];

/// Small numbers are Linux's unless macOS is asked for: the two overlap (48, 49, 61 are other errors on Linux).
fn by_number(n: i32, asked: Option<Os>) -> Option<(&'static Code, Os)> {
    if n >= 10_000 {
        return CODES.iter().find(|c| c.windows == n).map(|c| (c, Os::Windows));
    }
    if asked == Some(Os::Macos) {
        return CODES.iter().find(|c| c.macos == n).map(|c| (c, Os::Macos));
    }
    let linux = CODES.iter().find(|c| c.linux == n).map(|c| (c, Os::Linux));
    linux.or_else(|| CODES.iter().find(|c| c.macos == n && (48..=65).contains(&n)).map(|c| (c, Os::Macos)))
}

fn named_call(text: &str, condition: Condition) -> FailedCall {
    if let Some(call) = wrk_call(text) {
        return call;
    }
    let call = CALLS.iter().find(|c| text.contains(c.0)).map_or(FailedCall::Unnamed, |c| c.1);
    match condition {
        // Refused is an answer to a SYN, also where a tool learns of it by reading; so it is for an unreachable host.
        Condition::Refused | Condition::Unreachable | Condition::PortsUsedUp => FailedCall::Connect,
        Condition::BacklogFull | Condition::ConntrackFull => FailedCall::Unnamed,
        _ => call,
    }
}

/// `Socket errors: connect 0, read 12, write 0, timeout 3`: the largest count names the call.
fn wrk_call(text: &str) -> Option<FailedCall> {
    let rest = text.split_once("socket errors: ")?.1;
    let mut most = (0_u64, FailedCall::Unnamed);
    for part in rest.split(", ") {
        let (kind, n) = part.split_once(' ')?;
        let n: u64 = n.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        let call = match kind {
            "connect" => FailedCall::Connect,
            "read" => FailedCall::Read,
            "write" => FailedCall::Write,
            _ => FailedCall::Unnamed,
        };
        if n > most.0 {
            most = (n, call);
        }
    }
    Some(most.1)
}
