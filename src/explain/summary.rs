//! Summary lines of load tools: counts of failures by kind, most of them without an errno.

use super::codes::{Condition, by_name};
use super::counts::whole;
use super::evidence::{Evidence, Sighting};
use super::tools;
use crate::model::explanation::{FailedCall as Call, Side};

/// The kinds that a line in normal form counts, zeros too; none when it is no such line.
pub(super) fn read(text: &str) -> Option<Vec<Sighting>> {
    wrk(text)
        .or_else(|| h2load(text))
        .or_else(|| httperf(text))
        .or_else(|| ab(text))
        .or_else(|| autocannon(text))
        .or_else(|| autocannon_json(text))
        .or_else(|| fortio(text))
}

fn counted(condition: Condition, call: Call, name: &str, count: u64) -> Sighting {
    let evidence = Evidence { tool: tools::named(name), side: Some(Side::Client), ..Evidence::new(condition, call) };
    Sighting { evidence, count, is_total: false }
}

fn errno(name: &'static str, call: Call, tool: &str, count: u64) -> Sighting {
    let errno = by_name(name);
    let mut out = counted(errno.map_or(Condition::NoReason, |e| e.condition), call, tool, count);
    out.evidence.errno = errno;
    out
}

/// `Socket errors: connect 12, read 34, write 0, timeout 5`; an early end is a read error too.
fn wrk(text: &str) -> Option<Vec<Sighting>> {
    let rest = text.split_once("socket errors: ")?.1;
    let mut out = Vec::new();
    for part in rest.split(", ") {
        let (kind, n) = part.split_once(' ')?;
        let (condition, call) = match kind {
            "connect" => (Condition::NoReason, Call::Connect),
            "read" => (Condition::Ended, Call::Read),
            "write" => (Condition::BrokenPipe, Call::Write),
            "timeout" => (Condition::TimedOut, Call::Read),
            _ => return None,
        };
        out.push(counted(condition, call, "wrk", leading(n)?));
    }
    Some(out)
}

/// `requests: 1000 total, 500 started, 400 done, 400 succeeded, 100 failed, 100 errored, 0 timeout`: failed contains
/// errored, and errored the timed out. What failed and is not errored was answered, with another status.
fn h2load(text: &str) -> Option<Vec<Sighting>> {
    let rest = text.split_once("requests: ")?.1;
    let n = |what: &str| {
        rest.split(", ").find_map(|part| part.split_once(' ').filter(|p| p.1.trim() == what).and_then(|p| leading(p.0)))
    };
    let (_, errored, timeout) = (n("started")?, n("errored")?, n("timeout")?);
    Some(vec![
        counted(Condition::NoReason, Call::Unnamed, "h2load", errored.saturating_sub(timeout)),
        counted(Condition::TimedOut, Call::Read, "h2load", timeout),
    ])
}

/// `Errors: total 1000 client-timo 0 socket-timo 0 connrefused 0 connreset 120`, `Errors: fd-unavail 0 addrunavail 880 ...`
fn httperf(text: &str) -> Option<Vec<Sighting>> {
    let rest = text.split_once("errors: ")?.1;
    if !["client-timo ", "fd-unavail "].iter().any(|w| rest.contains(w)) {
        return None;
    }
    let words: Vec<&str> = rest.split(' ').collect();
    let read = words.chunks_exact(2).filter_map(|pair| {
        let n = leading(pair[1])?;
        Some(match pair[0] {
            "client-timo" => counted(Condition::TimedOut, Call::Unnamed, "httperf", n),
            "socket-timo" => errno("ETIMEDOUT", Call::Connect, "httperf", n),
            "connrefused" => errno("ECONNREFUSED", Call::Connect, "httperf", n),
            "connreset" => errno("ECONNRESET", Call::Read, "httperf", n),
            "fd-unavail" => errno("EMFILE", Call::Socket, "httperf", n),
            "addrunavail" => errno("EADDRNOTAVAIL", Call::Connect, "httperf", n),
            "ftab-full" => errno("ENFILE", Call::Socket, "httperf", n),
            "other" => counted(Condition::NoReason, Call::Unnamed, "httperf", n),
            _ => return None,
        })
    });
    Some(read.collect())
}

/// `(Connect: 0, Receive: 12, Length: 0, Exceptions: 0)`, `Write errors: 3`; an answer of another length is an answer.
fn ab(text: &str) -> Option<Vec<Sighting>> {
    if let Some(n) = text.strip_prefix("write errors: ") {
        return Some(vec![counted(Condition::BrokenPipe, Call::Write, "ab", leading(n)?)]);
    }
    let inside = text.strip_prefix("(connect: ")?.strip_suffix(')')?;
    let n = |what: &str| inside.split(", ").find_map(|part| leading(part.strip_prefix(what)?.strip_prefix(": ")?));
    Some(vec![
        counted(Condition::NoReason, Call::Connect, "ab", leading(inside)?),
        counted(Condition::Ended, Call::Read, "ab", n("receive")?),
        counted(Condition::NoReason, Call::Unnamed, "ab", n("exceptions")?),
    ])
}

/// `48 errors (12 timeouts)`
fn autocannon(text: &str) -> Option<Vec<Sighting>> {
    let (errors, rest) = text.split_once(" errors (")?;
    let (errors, timeouts) = (whole(errors)?, whole(rest.strip_suffix(" timeouts)")?)?);
    Some(vec![
        counted(Condition::NoReason, Call::Unnamed, "autocannon", errors.saturating_sub(timeouts)),
        counted(Condition::TimedOut, Call::Unnamed, "autocannon", timeouts),
    ])
}

/// `{"errors":48,"timeouts":12,"mismatches":0,...}`
fn autocannon_json(text: &str) -> Option<Vec<Sighting>> {
    let n = |key: &str| leading(text.split_once(key)?.1.trim_start());
    let (errors, timeouts) = (n("\"errors\":")?, n("\"timeouts\":")?);
    autocannon(&format!("{errors} errors ({timeouts} timeouts)"))
}

/// `Code -1 : 12 (2.4 %)`: no answer came
fn fortio(text: &str) -> Option<Vec<Sighting>> {
    let n = leading(text.strip_prefix("code -1 : ")?)?;
    Some(vec![counted(Condition::NoReason, Call::Unnamed, "fortio", n)])
}

/// `timeout - 12` in the list of errors of bombardier: elsewhere these words are too few.
pub(super) fn bombardier_timeout(line: &str) -> Option<Sighting> {
    let n = whole(line.trim().strip_prefix("timeout - ")?)?;
    Some(counted(Condition::TimedOut, Call::Unnamed, "bombardier", n)).filter(|_| n > 0)
}

/// Requests without a status: `Status Codes [code:count] 0:1740 200:28260` of vegeta, and its JSON.
pub(super) fn unanswered(line: &str) -> Option<u64> {
    let lower = line.to_ascii_lowercase();
    let rest = lower.split_once("[code:count]").or_else(|| lower.split_once("\"status_codes\":{"))?.1;
    rest.split([' ', ',', '}'])
        .find_map(|part| leading(part.trim_matches('"').replace('"', "").strip_prefix("0:")?))
        .filter(|n| *n > 0)
}

/// Gatling breaks long messages: `> message that is too lo    12 (98.4%)`, and the rest on the next line.
pub(super) fn may_be_broken(line: &str) -> bool {
    line.starts_with("> ") && split_count(line).is_some()
}

/// Whether a line is the rest of a broken one.
pub(super) fn continues(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with(['>', '=', '-', '#']) && split_count(line).is_none()
}

/// The whole message with its count.
pub(super) fn unbroken(start: &str, rest: &str) -> String {
    let (message, count) = split_count(start).unwrap_or((start, ""));
    // A blank at the break is lost: where the last word is whole, one was there.
    let blank = if message.ends_with(char::is_alphanumeric) && rest.starts_with(char::is_alphabetic) && !is_cut(message, rest) {
        " "
    } else {
        ""
    };
    format!("{}{blank}{}   {count}", message.trim_end(), rest.trim_end())
}

/// Message and `12 (98.4%)`.
fn split_count(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_end();
    let open = line.strip_suffix("%)").or_else(|| line.strip_suffix(" %)"))?.rfind('(')?;
    let before = line[..open].trim_end();
    let at = before.rfind(' ')? + 1;
    (whole(&before[at..]).is_some() && before[..at].ends_with("  ")).then(|| (line[..at].trim_end(), &line[at..]))
}

/// Whether the break cuts a word: then the two parts together read as a message that the parts with a blank do not.
fn is_cut(message: &str, rest: &str) -> bool {
    let read = |text: String| super::lexicon::lexicon().read(&super::normal::normal(&text)).len();
    read(format!("{message}{rest}")) >= read(format!("{message} {rest}"))
}

/// The number at the start of a text.
fn leading(text: &str) -> Option<u64> {
    let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
    // More than fits is as many as there can be.
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX))
}
