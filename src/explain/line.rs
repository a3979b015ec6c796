//! From one line to its evidence.
//!
//! The steps, each a file of its own: `normal` (normal form), `lexicon` (known words), `number` (numbers of errors), `calls`
//! (which call), `address` (whose address), `counts` (how often). Lines of summaries and counters have readers of their own.
//!
//! Refused on purpose: a number without the context of an error (`10048 requests done`), words of a sentence, a count of
//! zero, and failures that have nothing to do with connections.

use super::address::{self, SourcePort};
use super::calls;
use super::codes::{Condition, Errno, Lookup, Meaning, by_name};
use super::evidence::{Around, Evidence, Sighting, Spelling};
use super::lexicon::{Found, Role, lexicon};
use super::messages::Means;
use super::normal::{is_policy, normal};
use super::number::{self, Piece};
use super::tools::TOOLS;
use super::{asides, counters, counts, summary};
use crate::model::explanation::{Exactly, FailedCall, Os, Side};

/// Every kind of failure that a printable line shows: one, but for a tool's summary.
pub(super) fn read(line: &str, around: Around) -> Vec<Sighting> {
    let text = normal(line);
    if let Some(counted) = summary::read(&text).or_else(|| counters::read(&text)) {
        return counted.into_iter().filter(|s| s.count > 0).collect();
    }
    let found = lexicon().read(&text);
    let pieces = pieces(&text, &found, around.os);
    let many = counted_pieces(&text, &pieces);
    if many.len() >= 2 {
        let read = many.iter().filter(|(_, n)| *n > 0);
        return read.map(|(p, count)| sighting(evidence(&text, &found, p, &pieces, around), *count)).collect();
    }
    let Some(cause) = cause(&pieces) else { return Vec::new() };
    let evidence = evidence(&text, &found, cause, &pieces, around);
    if !is_failure(&text, &evidence) {
        return Vec::new();
    }
    if let Some(count) = counts::running_total(line) {
        return if count == 0 { Vec::new() } else { vec![Sighting { evidence, count, is_total: true }] };
    }
    let own = |n: &u64| i32::try_from(*n).ok().zip(evidence.errno).is_some_and(|(n, e)| e.system_of(n).is_some());
    let behind = || counts::behind(&text, cause.at.end, cause.is_name).filter(|n| cause.is_name || !own(n));
    let count = counts::keyed(line).or_else(behind);
    // Bare numbers beside a worker are its own and its pid.
    let is_of_worker = matches!(evidence.condition, Condition::Exact(Exactly::WorkerKilled) | Condition::WorkerGone);
    let count = count.unwrap_or_else(|| if is_of_worker { 1 } else { counts::count(line, evidence.errno) });
    if count == 0 { Vec::new() } else { vec![sighting(evidence, count)] }
}

const fn sighting(evidence: Evidence, count: u64) -> Sighting {
    Sighting { evidence, count, is_total: false }
}

fn pieces(text: &str, found: &[Found], asked: Option<Os>) -> Vec<Piece> {
    let all: Vec<Piece> = found.iter().filter_map(|f| piece(text, f)).collect();
    // Of a message and a part of it the whole one counts.
    let is_part = |p: &Piece| all.iter().any(|o| o.at.start <= p.at.start && p.at.end <= o.at.end && p.at.len() < o.at.len());
    let mut out: Vec<Piece> = all.iter().filter(|p| !is_part(p)).cloned().collect();
    let said: Vec<&'static Errno> = out.iter().filter_map(|p| p.means.errno).collect();
    out.extend(number::numbers(text, &said, asked));
    out.extend(number::k6_code(text));
    out
}

fn piece(text: &str, f: &Found) -> Option<Piece> {
    let (before, words, after) = (&text[..f.start], &text[f.start..f.end], &text[f.end..]);
    if says_nothing(before, after) || is_in_a_path(before) {
        return None;
    }
    let at = f.start..f.end;
    let piece = |means, is_name| Piece { means, at, is_name, is_alone: false };
    match f.role {
        Role::Name(name) => by_name(name).map(|e| piece(Meaning::of(e, None), true)),
        Role::Message(m) if stands(before, words, after) => {
            let means = match m.means {
                Means::Errno(name) => Meaning::of(by_name(name)?, None),
                Means::Only(condition) => Meaning { condition, errno: None, call: None, os: None },
            };
            Some(piece(Meaning { call: m.call, os: m.os, ..means }, !words.contains(' ')))
        }
        _ => None,
    }
}

/// The cause among the pieces: by rank; of equals the one with an errno, then the last, which is the innermost.
fn cause(pieces: &[Piece]) -> Option<&Piece> {
    let best = pieces.iter().max_by_key(|p| (p.means.condition.rank(), p.means.errno.is_some(), p.at.start))?;
    // axios and others call their own timeout ECONNABORTED.
    let timeout = || pieces.iter().find(|p| p.means.condition == Condition::TimedOut);
    let is_aborted = best.means.errno.is_some_and(|e| e.name == "ECONNABORTED");
    Some(if is_aborted { timeout().unwrap_or(best) } else { best })
}

/// Pieces with a number of their own behind them: maps of errors and their counts.
fn counted_pieces<'p>(text: &str, pieces: &'p [Piece]) -> Vec<(&'p Piece, u64)> {
    let mut out: Vec<(&Piece, u64)> = Vec::new();
    for p in pieces {
        let Some(n) = counts::behind(text, p.at.end, p.is_name) else { continue };
        let is_own = i32::try_from(n).ok().zip(p.means.errno).is_some_and(|(n, e)| !p.is_name && e.system_of(n).is_some());
        // The longest of those that end together.
        if !is_own && !out.iter().any(|(o, _)| o.at.end == p.at.end) {
            out.push((p, n));
        }
    }
    out
}

fn evidence(text: &str, found: &[Found], cause: &Piece, pieces: &[Piece], around: Around) -> Evidence {
    let same = |p: &&Piece| p.means.condition == cause.means.condition;
    let errno = cause.means.errno.or_else(|| pieces.iter().filter(same).find_map(|p| p.means.errno));
    let is_lookup = pieces.iter().any(|p| p.means.condition.is_lookup());
    let call = match cause.means.condition {
        Condition::NoName(_) => Some(FailedCall::Getaddrinfo),
        condition if condition.has_no_call() => None,
        // Words around a failed look-up speak of the connection that it was for.
        _ => calls::named(text, found, cause.means.condition, &cause.at).filter(|n| n.is_spelled || !is_lookup).map(|n| n.call),
    };
    let implied = pieces.iter().filter(same).find_map(|p| p.means.call).filter(|_| !cause.means.condition.has_no_call());
    let call = call.or(implied).or_else(|| is_lookup.then_some(FailedCall::Getaddrinfo)).unwrap_or(FailedCall::Unnamed);
    let tool = found.iter().filter_map(|f| if let Role::Tool(n) = f.role { Some(n) } else { None }).min().map(|n| &TOOLS[n].0);
    let os = pieces.iter().filter(same).find_map(|p| p.means.os).or_else(|| system(text)).or(around.os);
    let source = if matches!(cause.means.condition, Condition::InUse | Condition::NotAvailable) {
        address::source_port(text)
    } else {
        SourcePort::Unsaid
    };
    let has = |side: Side| found.iter().any(|f| matches!(f.role, Role::Side(s) if s == side));
    let is_client = has(Side::Client) || source != SourcePort::Unsaid;
    let side = around.side.or_else(|| match (has(Side::Server), is_client) {
        (true, false) => Some(Side::Server),
        (_, true) => Some(Side::Client),
        _ => tool.is_some_and(|t| t.is_client).then_some(Side::Client),
    });
    Evidence {
        condition: looked_up(cause.means.condition, pieces),
        errno,
        call,
        os,
        tool,
        side,
        source,
        target: address::target(text),
        spelling: match (cause.is_alone, cause.is_name) {
            (true, _) => Spelling::NumberAlone,
            (_, true) if !pieces.iter().any(|p| same(&p) && !p.is_name) => Spelling::Name,
            _ => Spelling::Words,
        },
        since_boot: false,
    }
}

/// Why a look-up failed, where another piece says it: a name server that refuses or is late gave no answer.
fn looked_up(condition: Condition, pieces: &[Piece]) -> Condition {
    if condition != Condition::NoName(Lookup::Unsaid) {
        return condition;
    }
    let said = |p: &Piece| match p.means.condition {
        Condition::NoName(why) => why,
        Condition::TimedOut | Condition::Refused | Condition::Unreachable => Lookup::NoAnswer,
        _ => Lookup::Unsaid,
    };
    let whys = || pieces.iter().map(said);
    Condition::NoName(whys().find(|why| *why == Lookup::Unknown).or_else(|| whys().max()).unwrap_or(Lookup::Unsaid))
}

/// The system that a line shows beside its message.
fn system(text: &str) -> Option<Os> {
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    // Java names the call behind the message on Windows only.
    let java = has(&["java.net.", "java.io.", "non http response", "sun.nio.ch"])
        && has(&[
            "in use: connect",
            "in use: bind",
            "address: connect",
            "timed out: connect",
            "refused: connect",
            "denied: connect",
            "denied: listen",
            "unreachable: connect",
            "in use: jvm_bind",
            "no further information",
            "recv failed",
            "write error",
        ]);
    let winsock = has(&[
        "wsaeaddr",
        "wsaen",
        "wsaecon",
        "wsaet",
        "wsaeacces",
        "wsaemf",
        "wsaeh",
        "connectex:",
        "connectex tcp",
        "wsarecv",
        "wsasend",
        "getaddrinfow",
    ]);
    if java || winsock {
        return Some(Os::Windows);
    }
    has(&["epoll", "nio.epoll", "accept4"]).then_some(Os::Linux)
}

/// Conditions that are failures of a connection only at certain calls: elsewhere they are of files and processes.
fn is_failure(text: &str, e: &Evidence) -> bool {
    let is_traced = text.contains(" = -1 e");
    match e.condition {
        // A server's log of a client that went away, or let its connection time out: the failure is in the client's own log.
        Condition::Reset | Condition::BrokenPipe | Condition::TimedOut | Condition::Ended | Condition::NoReason
            if asides::of(text).is_some() =>
        {
            false
        }
        // Calls that have nothing to do with connections.
        _ if is_traced && e.call == FailedCall::Unnamed && e.condition != Condition::TooManyFiles => false,
        Condition::Denied if e.os == Some(Os::Windows) => true,
        Condition::Denied | Condition::NotPermitted | Condition::NoMemory => e.call != FailedCall::Unnamed,
        // A non-blocking socket answers it all the time.
        Condition::Again => match e.call {
            FailedCall::Connect => true,
            FailedCall::Read => !is_traced && ["fail", "error", "timeout", "timed out"].iter().any(|w| text.contains(w)),
            _ => false,
        },
        _ => true,
    }
}

/// `GET /errors/ECONNREFUSED 200`: the name of a page.
fn is_in_a_path(before: &str) -> bool {
    before.ends_with('/') && before.rsplit(' ').next().is_some_and(|word| word.starts_with('/') || word.starts_with("http"))
}

/// `ECONNRESET: 0`, `"timed out": false`, `no connection refused`: the words are there, the failure is not.
fn says_nothing(before: &str, after: &str) -> bool {
    let rest = after.trim_start_matches(['"', '\'']);
    let value = rest.strip_prefix([':', '=']).map(|v| v.trim_start_matches([' ', '"', '\'']));
    let is_empty = value.is_some_and(|v| {
        let word: &str = v.split(|c: char| !c.is_alphanumeric() && c != '.').next().unwrap_or_default();
        let ends = !v[word.len()..].starts_with(' ');
        // An exception without a message prints null.
        let is_null = word == "null" && rest.len() < after.len();
        ends && (is_null || ["0", "0.0", "false", "none", "nil", "no"].contains(&word))
    });
    // `connection refused 0, timeouts 0`
    let is_zero =
        rest.strip_prefix(" 0").is_some_and(|r| r.is_empty() || r.starts_with([',', ';', ')', '|']) || r.starts_with(" |"));
    let last = before.trim_end().rsplit(' ').next().unwrap_or_default();
    // A log's own clients went away: nothing failed here.
    let is_client = last == "client" && after.starts_with(", so");
    // `retry on ECONNRESET enabled`: what is done about it.
    let is_setting = ["enabled", "disabled", "is handled", "is ignored"].iter().any(|w| after.trim_start().starts_with(w));
    // `too many connections from one client are rejected by default`: what would happen.
    let is_rule = [" are rejected", " are refused", " is rejected", " is refused"].iter().any(|w| after.contains(w));
    let is_denied = ["no", "without", "zero", "avoid", "avoids", "prevent", "prevents", "ignore", "ignoring"].contains(&last);
    is_empty || is_zero || is_client || is_setting || is_rule || is_policy(before) || is_denied
}

/// Words that may stand behind a message: more about the same error.
const FOLLOWS: &[&str] = &[
    "by", "while", "when", "at", "for", "on", "from", "in", "trying", "after", "with", "during", "to", "before", "because",
    "until", "of",
];
/// Words of a line that reports an error.
const REPORTS: &[&str] = &[
    "error",
    "exception",
    "errno",
    "fail",
    "unable",
    "could not",
    "couldn't",
    "can't",
    "cannot",
    "fatal",
    "warn",
    "caused by",
    "curl: (",
    "dial tcp",
    "timeout",
    "crit",
    "alert",
    "upstream",
];
/// Messages that are said of much else: they count in a line that reports an error, and speaks of a connection.
const COMMON: &[&str] = &[
    "timed out",
    "has timed out",
    "name resolution",
    "is already in use",
    "was already in use",
    "unknown host",
    "timeout expired",
    "connect timeout",
    "connection timeout",
    "read timeout",
    "write timeout",
    "send timeout",
    "receive timeout",
    "recv timeout",
    "socket timeout",
    "request timeout",
    "query timeout",
    "connection lost",
];
/// What a line speaks of where such a message is one about a connection.
const SUBJECTS: &[&str] = &[
    "connect",
    "request",
    "socket",
    "http",
    "tcp",
    "host",
    "peer",
    "port",
    "address",
    "response",
    "upstream",
    "server",
    "read",
    "recv",
    "lookup",
    "resolv",
    "dns",
    "temporary failure",
];
/// Messages no longer than this may be words of a sentence by chance.
const SENTENCE_WORDS: usize = 3;

/// `read timeout=5`, `connect timeout: 30s`, `timeout of 5 s`: how long is waited, not that it was.
fn is_setting(after: &str) -> bool {
    let value = after.trim_start_matches(['"', '\'', ')']);
    let is_number = |v: &str| v.trim_start_matches([' ', '"', '\'']).starts_with(|c: char| c.is_ascii_digit());
    let has_unit = |v: &str| {
        let digits = v.trim_start_matches(|c: char| c == ' ' || c == '"' || c == '\'' || c == '.' || c.is_ascii_digit());
        let unit = digits.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
        ["s", "ms", "m", "sec", "secs", "second", "seconds", "min", "minutes", "millis", "milliseconds"].contains(&unit)
    };
    value.strip_prefix('=').is_some_and(is_number)
        || value.strip_prefix(':').is_some_and(|v| is_number(v) && has_unit(v))
        || [" of ", " is ", " to ", " set to ", " ("]
            .iter()
            .any(|w| value.strip_prefix(w).is_some_and(|v| is_number(v) && has_unit(v)))
}

/// `408 Request Timeout`: an answer.
fn is_status(before: &str) -> bool {
    before.trim_end_matches([' ', ',', '/', '-', ':']).ends_with("408")
}

/// Whether words stand in a line as a message, not as words of a sentence (`the connection refused to be serious`).
fn stands(before: &str, words: &str, after: &str) -> bool {
    let has = |list: &[&str]| list.iter().any(|w| before.contains(w) || after.contains(w));
    if (words.ends_with("timeout") && !words.starts_with("httpclient")) && (is_setting(after) || is_status(before)) {
        return false;
    }
    if COMMON.contains(&words) {
        return has(SUBJECTS) && (has(REPORTS) || after.is_empty() || after.starts_with(['.', ':', ',', ')', '"', '\'']));
    }
    if words == "ms exceeded" {
        return before.contains("timeout of ");
    }
    if words == "s), killing" {
        return before.contains("timeout (") && before.contains("s > ");
    }
    // So many words stand in this order in messages only; a single one is a name.
    let n = words.split(' ').count();
    if n > SENTENCE_WORDS || n == 1 || !words.is_ascii() {
        return true;
    }
    let Some(rest) = after.strip_prefix(' ').filter(|_| words.ends_with(char::is_alphanumeric)) else { return true };
    let next = rest.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    let follows = FOLLOWS.contains(&next) && (next != "to" || rest.starts_with("to host"));
    let is_times = rest.trim_start_matches(['x', '×']).starts_with(|c: char| c.is_ascii_digit());
    before.ends_with(": ") || next.is_empty() || follows || is_times || has(REPORTS)
}
