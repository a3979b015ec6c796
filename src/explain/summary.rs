//! Summary lines of load tools: counts of failures by kind, most of them without an errno.

use super::codes::{Condition, by_name};
use super::counts::whole;
use super::evidence::{Evidence, Sighting};
use super::tools::{TOOLS, Tool};
use crate::model::explanation::{FailedCall as Call, Side};

/// The kinds that a line in normal form counts, zeros too; none when it is no such line.
pub(super) fn read(text: &str) -> Option<Vec<Sighting>> {
    wrk(text)
        .or_else(|| h2load(text))
        .or_else(|| httperf(text))
        .or_else(|| ab(text))
        .or_else(|| autocannon(text))
        .or_else(|| fortio(text))
}

fn tool(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|t| t.name == name)
}

fn counted(condition: Condition, call: Call, name: &str, count: u64) -> Sighting {
    let evidence = Evidence { tool: tool(name), side: Some(Side::Client), ..Evidence::new(condition, call) };
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

/// `Code -1 : 12 (2.4 %)`: no answer came
fn fortio(text: &str) -> Option<Vec<Sighting>> {
    let n = leading(text.strip_prefix("code -1 : ")?)?;
    Some(vec![counted(Condition::NoReason, Call::Unnamed, "fortio", n)])
}

/// The number at the start of a text.
fn leading(text: &str) -> Option<u64> {
    let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
    // More than fits is as many as there can be.
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX))
}
