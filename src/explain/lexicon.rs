//! All words that `explain` knows, searched for in one pass over a line; and the fast search for the next line that may
//! say anything.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use daachorse::DoubleArrayAhoCorasick;

use super::answers::{STATUS_WORDS, SUMMARIES};
use super::asides::ASIDES;
use super::call_words::CALL_WORDS;
use super::codes::ERRNOS;
use super::messages::{Message, SYSTEM, WINDOWS};
use super::messages_limits::LIMITS;
use super::messages_programs::PROGRAMS;
use super::messages_translated::{POSIX_TRANSLATED, WINDOWS_TRANSLATED};
use super::tools::TOOLS;
use super::usage::USAGE;
use crate::model::explanation::{FailedCall, Side};
use crate::model::order::distinct;

/// What a piece of a line is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    /// words of a message
    Message(&'static Message),
    /// the symbolic name of an errno
    Name(&'static str),
    /// words that show the call
    Call(FailedCall),
    /// words that only one program prints: its row in the table
    Tool(usize),
    /// words of a server that wants its port, or of a client that wants a connection
    Side(Side),
}

/// A piece of a line, as byte offsets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) role: Role,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Words that show whose socket it is.
const SIDES: &[(&str, Side)] = &[
    ("*listen*", Side::Server),
    ("on address", Side::Server),
    ("0.0.0.0:*", Side::Server),
    (":::*", Side::Server),
    ("\"0.0.0.0\" port", Side::Server),
    ("bind() to", Side::Server),
    ("jvm_bind", Side::Server),
    ("*serversocket*", Side::Server),
    ("could not bind to host", Side::Server),
    ("web server failed to start", Side::Server),
    ("is already in use", Side::Server),
    ("was already in use", Side::Server),
    ("dial tcp", Side::Client),
    ("dial udp", Side::Client),
    ("connect(", Side::Client),
    ("connect:", Side::Client),
    ("connect", Side::Client),
    ("connecting", Side::Client),
    ("to connect", Side::Client),
    ("connecterror", Side::Client),
    ("*connectexception", Side::Client),
    ("new connection", Side::Client),
    ("http failed", Side::Client),
    ("curl: (", Side::Client),
    ("urlopen", Side::Client),
    ("upstream", Side::Client),
];

/// What a line that is worth reading contains beside messages and names: numbers of errors in their context, the
/// summaries of tools, counters, socket lists, and what joins lines to one event.
const MARKS: &[&str] = &[
    "errno",
    "winerror",
    "os error",
    "oserror",
    "socketexception",
    "error_code",
    "system:",
    "0x8007",
    "err:",
    "err=",
    "ret=",
    "retcode",
    "returned -",
    "error(1",
    "error(9",
    "error 1",
    "error 2",
    "error 9",
    "error: 1",
    "error: 2",
    "error: 9",
    "error -",
    "error: -",
    "error=-",
    "error code",
    "errorcode",
    "code 9",
    "code 1",
    "code: 9",
    "code: 1",
    "code: -",
    "code=",
    "fehler",
    "erreur",
    "ошибка",
    "错误",
    "エラー",
    "오류",
    "(99)",
    "(98)",
    "(110)",
    "(111)",
    "(104)",
    "(113)",
    "10013",
    "10024",
    "10047",
    "10048",
    "10049",
    "1005",
    "1006",
    "10091",
    "10104",
    "10106",
    "1100",
    "12002",
    "12007",
    "12029",
    "1203",
    "socket errors:",
    "requests: ",
    "connrefused ",
    "addrunavail ",
    "(connect:",
    "write errors:",
    "() failed: ",
    " errors (",
    " -1 : ",
    "%)",
    "pool_",
    "upstream_cx_",
    "upstream_rq_",
    "stream_resets",
    "code:count",
    "error set:",
    "listenoverflows",
    "listendrops",
    "abortonmemory",
    "reqqfull",
    "connection attempts",
    "attemptfails",
    "early user close",
    "aborted due to",
    "connections reset",
    "failed requests:",
    "httperror('",
    "all done ",
    ",false,",
    "timeout - ",
    " responses",
    "http.codes.",
    "2xx",
    "message repeated",
    "time_wait",
    "time-wait",
    "timewait",
    "estab",
    "listen ",
    "syn_sent",
    "syn-sent",
    "close_wait",
    "close-wait",
    "fin_wait",
    "fin-wait",
    "recv-q",
    "rem_address",
    "remoteaddress",
    "maxqlen",
    "closewait",
    "finwait",
    "synsent",
    "wartend",
    "hergestellt",
    "tcp: inuse",
    "traceback (most recent call last)",
];

/// The patterns of all tables, and what each of them is.
pub(super) struct Lexicon {
    words: Automaton,
    /// of each of the words: what it is, several things for some
    roles: Vec<Vec<(Role, Edges)>>,
    marks: Automaton,
}

type Automaton = DoubleArrayAhoCorasick<u32>;

/// At which ends a pattern must end with its word.
#[derive(Debug, Clone, Copy)]
struct Edges {
    start: bool,
    end: bool,
}

pub(super) fn lexicon() -> &'static Lexicon {
    static LEXICON: OnceLock<Lexicon> = OnceLock::new();
    LEXICON.get_or_init(Lexicon::new)
}

pub(super) fn messages() -> impl Iterator<Item = &'static Message> {
    [SYSTEM, WINDOWS, PROGRAMS, LIMITS, WINDOWS_TRANSLATED, POSIX_TRANSLATED].into_iter().flatten()
}

impl Lexicon {
    fn new() -> Self {
        let names = ERRNOS.iter().map(|e| (e.name, Role::Name(e.name))).chain([("EWOULDBLOCK", Role::Name("EAGAIN"))]);
        let all = messages()
            .map(|m| (m.pattern, Role::Message(m)))
            .chain(names)
            .chain(CALL_WORDS.iter().map(|(words, call)| (*words, Role::Call(*call))))
            .chain(SIDES.iter().map(|(words, side)| (*words, Role::Side(*side))))
            // The words of a tool may be part of any word.
            .chain(
                TOOLS.iter().enumerate().flat_map(|(n, (_, patterns))| patterns.iter().map(move |words| (*words, Role::Tool(n)))),
            );
        let mut roles: BTreeMap<String, Vec<(Role, Edges)>> = BTreeMap::new();
        for (pattern, role) in all {
            let is_tool = matches!(role, Role::Tool(_));
            let edges = Edges { start: !is_tool && !pattern.starts_with('*'), end: !is_tool && !pattern.ends_with('*') };
            roles.entry(pattern.trim_matches('*').to_ascii_lowercase()).or_default().push((role, edges));
        }
        Self { words: automaton(roles.keys()), roles: roles.into_values().collect(), marks: automaton(&marks()) }
    }

    /// Every known piece of a line in normal form, in the order of their ends.
    pub(super) fn read(&self, text: &str) -> Vec<Found> {
        let found = self.words.find_overlapping_iter(text).flat_map(|m| {
            let (start, end) = (m.start(), m.end());
            self.roles[m.value() as usize].iter().filter_map(move |(role, edges)| {
                let starts = !edges.start || is_start(&text[start..end], &text[..start]);
                let ends = !edges.end || is_end(&text[start..end], &text[end..]);
                (starts && ends).then_some(Found { role: *role, start, end })
            })
        });
        found.collect()
    }

    /// The offset of the next piece that makes its line worth reading.
    pub(super) fn next_mark(&self, bytes: &[u8]) -> Option<usize> {
        self.marks.find_iter_from_iter(bytes.iter().map(u8::to_ascii_lowercase)).next().map(|m| m.start())
    }
}

/// What a line that is worth reading contains, in lower case, each once.
fn marks() -> Vec<String> {
    // Texts write apostrophes in several ways.
    let part = |m: &'static Message| m.pattern.trim_matches('*').split('\'').max_by_key(|p| p.len());
    let to_find: Vec<&str> = messages().filter_map(part).chain(ERRNOS.iter().map(|e| e.name)).collect();
    // Columns of a summary are blanks apart.
    let summaries =
        SUMMARIES.iter().flat_map(|(_, all)| *all).map(|words| words.find('[').map_or(words.trim_end(), |at| &words[at..]));
    let asides = ASIDES.iter().map(|(words, _)| *words);
    let statuses = STATUS_WORDS.iter().copied();
    let marks = to_find.into_iter().chain(MARKS.iter().copied()).chain(summaries).chain(asides).chain(statuses).chain([USAGE]);
    distinct(marks.map(str::to_ascii_lowercase))
}

/// A match has the number of its pattern.
fn automaton<'a>(patterns: impl IntoIterator<Item = &'a String>) -> Automaton {
    Automaton::new(patterns).expect("some hundred short patterns, each once, fit an automaton")
}

/// The pattern begins a word; Winsock's names begin with WSA.
fn is_start(pattern: &str, before: &str) -> bool {
    let is_ascii_word = pattern.starts_with(|c: char| c.is_ascii_alphanumeric());
    let before = if pattern.starts_with('e') { before.strip_suffix("wsa").unwrap_or(before) } else { before };
    !is_ascii_word || !before.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_end(pattern: &str, after: &str) -> bool {
    let is_ascii_word = pattern.ends_with(|c: char| c.is_ascii_alphanumeric());
    !is_ascii_word || !after.starts_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_upper_and_in_lower_case() {
        let lexicon = lexicon();
        for mark in marks() {
            for written in [mark.to_ascii_uppercase(), mark] {
                assert!(lexicon.next_mark(format!("worker 7 {written}\n").as_bytes()).is_some(), "{written}");
            }
        }
    }
}
