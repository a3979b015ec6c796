//! All words that `explain` knows, searched for in one pass over a line; and the fast search for the next line that may
//! say anything.

use std::sync::OnceLock;

use aho_corasick::automaton::Automaton;
use aho_corasick::dfa::DFA;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Input, MatchKind};

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
    words: NFA,
    roles: Vec<(Role, Edges)>,
    marks: Vec<&'static str>,
    /// of `marks`, for a text of usual length
    small: NFA,
    /// of `marks`, for a long one
    fast: OnceLock<DFA>,
}

/// A text is long from this line on: a table of all states takes 30 ms and 17 MB to build, and then finds marks four times as
/// fast (docs/MEASURING.md).
const LONG_LINES: u64 = 20_000;

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
        let (mut patterns, mut roles) = (Vec::new(), Vec::new());
        for (pattern, role) in all {
            let is_tool = matches!(role, Role::Tool(_));
            let edges = Edges { start: !is_tool && !pattern.starts_with('*'), end: !is_tool && !pattern.ends_with('*') };
            patterns.push(pattern.trim_matches('*'));
            roles.push((role, edges));
        }
        // Texts write apostrophes in several ways.
        let part = |m: &'static Message| m.pattern.trim_matches('*').split('\'').max_by_key(|p| p.len());
        let to_find: Vec<&str> = messages().filter_map(part).chain(ERRNOS.iter().map(|e| e.name)).collect();
        // Columns of a summary are blanks apart.
        let summaries =
            SUMMARIES.iter().flat_map(|(_, all)| *all).map(|words| words.find('[').map_or(words.trim_end(), |at| &words[at..]));
        let asides = ASIDES.iter().map(|(words, _)| *words);
        let statuses = STATUS_WORDS.iter().copied();
        let marks =
            to_find.into_iter().chain(MARKS.iter().copied()).chain(summaries).chain(asides).chain(statuses).chain([USAGE]);
        let marks: Vec<&str> = marks.collect();
        let words = small_automaton(&patterns);
        let small = small_automaton(&marks);
        Self { words, roles, marks, small, fast: OnceLock::new() }
    }

    /// Every known piece of a line in normal form, in the order of their ends.
    pub(super) fn read(&self, text: &str) -> Vec<Found> {
        let found = self.words.try_find_overlapping_iter(Input::new(text)).expect(UNANCHORED).filter_map(|m| {
            let (role, edges) = self.roles[m.pattern().as_usize()];
            let (before, after) = (&text[..m.start()], &text[m.end()..]);
            let starts = !edges.start || is_start(&text[m.start()..m.end()], before);
            let ends = !edges.end || is_end(&text[m.start()..m.end()], after);
            (starts && ends).then_some(Found { role, start: m.start(), end: m.end() })
        });
        found.collect()
    }

    /// The offset of the next piece that makes its line worth reading, in a text of which `lines` are read.
    pub(super) fn next_mark(&self, bytes: &[u8], lines: u64) -> Option<usize> {
        let input = Input::new(bytes);
        let found = if lines < LONG_LINES {
            self.small.try_find(&input)
        } else {
            self.fast.get_or_init(|| fast_automaton(&self.marks)).try_find(&input)
        };
        found.expect(UNANCHORED).map(|m| m.start())
    }
}

const UNANCHORED: &str = "these automata take searches that may begin anywhere";
const FITS: &str = "some hundred short patterns fit an automaton";

fn small_automaton(patterns: &[&str]) -> NFA {
    NFA::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(patterns).expect(FITS)
}

fn fast_automaton(patterns: &[&str]) -> DFA {
    DFA::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(patterns).expect(FITS)
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
    fn a_mark_is_found_at_the_same_place_early_and_late_in_a_text() {
        let lexicon = lexicon();
        for mark in lexicon.marks.iter().copied().chain(["nothing that is known"]) {
            let line = format!("01:02:03 worker 7 {}\n", mark.to_uppercase());
            assert_eq!(lexicon.next_mark(line.as_bytes(), LONG_LINES), lexicon.next_mark(line.as_bytes(), 1), "{mark}");
        }
    }
}
