//! One line of any tool: which system error it names, which call failed, and so which limit was hit.
//!
//! Refused on purpose: a number without the context of an error (`10048 requests done`), words of a sentence, and
//! failures that have nothing to do with connections.

use super::judge::{Judged, judge};
use super::number::{Number, numbered};
use super::patterns::{CALLS, CODES, Code, Condition, TOOLS};
use super::phrases::{PHRASES, is_said};
use super::{summary, wording};
use crate::model::explanation::{Certainty, FailedCall, Os, Reading, Side};

/// What is known of a line beside its text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Around {
    /// the system, where it is known
    pub(super) os: Option<Os>,
    /// whose socket, where the file tells
    pub(super) side: Option<Side>,
}

/// The reading of one line, of several the most frequent; none when it says nothing about connections.
///
/// ```
/// use sockbench::explain::read_line;
/// use sockbench::model::explanation::Limit;
/// let r = read_line("dial tcp 10.0.0.1:80: connect: cannot assign requested address", None).expect("known");
/// assert_eq!(r.limit, Limit::LocalPorts);
/// assert!(read_line("10048 requests done", None).is_none());
/// ```
pub fn read_line(line: &str, os: Option<Os>) -> Option<Reading> {
    read_kinds(line, Around { os, side: None }).into_iter().max_by_key(|r| r.count)
}

/// Every kind of failure that one line tells, with its count: one, but for a tool's summary.
pub(super) fn read_kinds(line: &str, around: Around) -> Vec<Reading> {
    let text = normal(line);
    let tool = TOOLS.iter().find(|t| text.contains(t.0));
    let context = |os| Context {
        text: &text,
        only_connects: tool.is_some_and(|t| t.2),
        os,
        tool: tool.map(|t| t.1),
        side: around.side,
        bare: false,
    };
    if let Some(kinds) = summary::counts(&text) {
        let read = |(kind, n): (summary::Kind, u64)| {
            let judged = summary::judged_kind(kind);
            Reading { count: n, ..reading(line, None, judged, &context(around.os)) }
        };
        return kinds.into_iter().map(read).collect();
    }
    let Some(seen) = system_error(&text, around.os) else { return Vec::new() };
    let call = named_call(&text, seen.condition);
    let context = Context { bare: seen.bare, ..context(seen.os) };
    let judged = judge(seen.condition, call, &context);
    vec![reading(line, seen.code, judged, &context)]
}

fn reading(line: &str, code: Option<&'static Code>, mut judged: Judged, context: &Context<'_>) -> Reading {
    if judged.certainty == Certainty::Certain {
        judged.alternatives.clear();
    }
    let windows = context.os == Some(Os::Windows);
    Reading {
        text: printable(line.trim()),
        count: 1,
        tool: context.tool.map(str::to_owned),
        os: context.os,
        name: code.map(|c| if windows { format!("WSA{}", c.name) } else { c.name.to_owned() }),
        code: code.and_then(|c| number_on(c, context.os)),
        call: judged.call,
        limit: judged.limit,
        side: judged.side,
        certainty: judged.certainty,
        says: wording::says(&judged, context),
        is_not: wording::is_not(&judged).to_owned(),
        alternatives: judged.alternatives,
    }
}

/// What the judgement may look at beside condition and call.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) text: &'a str,
    pub(super) only_connects: bool,
    pub(super) os: Option<Os>,
    pub(super) tool: Option<&'static str>,
    pub(super) side: Option<Side>,
    /// the text is a number and nothing else
    pub(super) bare: bool,
}

struct Seen {
    condition: Condition,
    os: Option<Os>,
    code: Option<&'static Code>,
    bare: bool,
}

/// Without colours of a terminal and other control characters: they must not reach another terminal.
fn printable(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            chars.next();
            while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
        } else if !c.is_control() {
            out.push(c);
        } else if c == '\t' {
            out.push(' ');
        }
    }
    out
}

/// Printable, lower case, plain quotes, single spaces.
fn normal(line: &str) -> String {
    let line = printable(line);
    let plain = line
        .replace("\\'", "'")
        .replace("\\\"", "\"")
        .replace(['\u{2019}', '\u{2018}', '`'], "'")
        .replace(['\u{201c}', '\u{201d}'], "\"");
    plain.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
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
    let number = numbered(text, asked);
    let by_name = CODES.iter().find(|c| has_name(text, c.name));
    let phrase = PHRASES.iter().find(|p| is_said(text, p.words));
    let code_of = |n: &Option<Number>| n.as_ref().map(|n| n.code);
    let named = by_name.or(code_of(&number));
    let resolver = ["enotfound", "eai_again", "eai_noname"].iter().any(|w| has_name(text, w));
    let (condition, said) = match phrase {
        _ if resolver => (Condition::NoName, None),
        Some(p) if p.condition != Condition::NoReason => (p.condition, Some(p)),
        _ => (named.map(|c| c.condition).or(phrase.map(|p| p.condition))?, None),
    };
    let fits = |c: &&'static Code| c.condition == condition;
    let by_words = said.and_then(|p| CODES.iter().find(|c| c.name == p.errno));
    let code = code_of(&number).filter(fits).or(by_name.filter(fits)).or(by_words);
    // Node.js numbers errors of Windows from -4096 on.
    let libuv = (text.contains("-4091") || text.contains("-4090")).then_some(Os::Windows);
    let wsa = text.contains("wsaeaddr") || text.contains("wsaen") || text.contains("wsaecon") || text.contains("wsaet");
    let os = said
        .and_then(|p| p.os)
        .or_else(|| number.as_ref().map(|n| n.os))
        .or(libuv)
        .or(wsa.then_some(Os::Windows))
        .or(asked)
        .or_else(|| java_on_windows(text));
    Some(Seen { condition, os, code, bare: number.is_some_and(|n| n.bare) })
}

/// Node.js prints the number of an error on a line of its own; those of Windows are libuv's, from -4096 on.
pub(super) fn shows_windows(line: &str) -> bool {
    line.trim_start().starts_with("errno: -40")
}

/// Java names the call behind the message on Windows only.
fn java_on_windows(text: &str) -> Option<Os> {
    let java = text.contains("java.net.") || text.contains("non http response");
    let named = text.contains("in use: connect")
        || text.contains("in use: bind")
        || text.contains("address: connect")
        || text.contains("timed out: connect")
        || text.contains("refused: connect")
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

fn named_call(text: &str, condition: Condition) -> FailedCall {
    let call = CALLS.iter().find(|c| text.contains(c.0)).map_or(FailedCall::Unnamed, |c| c.1);
    match condition {
        // Refused is an answer to a SYN, also where a tool learns of it by reading; so it is for an unreachable host.
        Condition::Refused | Condition::Unreachable | Condition::PortsUsedUp => FailedCall::Connect,
        Condition::NoName => FailedCall::Getaddrinfo,
        Condition::BacklogFull | Condition::ConntrackFull => FailedCall::Unnamed,
        _ => call,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_come_through() {
        assert_eq!(printable("\u{1b}[31mERROR\u{1b}[0m\tx\u{7}\u{0}y"), "ERROR xy");
        assert_eq!(printable("\u{1b}["), "");
    }
}
