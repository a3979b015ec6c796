//! From an error text, another tool's files or a stored run to the limit that was hit, the arithmetic and what to do.
//!
//! ```text
//! bytes -> text (lines) -> evidence (of a line) -> events (lines that belong together) -> classify -> readings
//!                     \-> sockets (pasted lists) ------------------------------------------^
//! ```
//!
//! [`TextReader`] reads a text of any size, [`explain_text`] one at hand, [`read_line`] one line; [`locust_csv`] the CSV files
//! of Locust; [`explain_run`] and [`explain_study`] our own documents, diagnosed again. Pure: files are read by `cli`.

mod address;
mod answers;
mod arithmetic;
mod asides;
mod call_words;
mod calls;
mod classify;
mod codes;
mod container;
mod counted_answers;
mod counters;
mod counts;
mod csv_rows;
mod endpoint;
mod events;
mod evidence;
mod history;
mod lexicon;
mod line;
pub mod locust_csv;
mod messages;
mod messages_limits;
mod messages_programs;
mod messages_translated;
mod normal;
mod number;
mod readings;
mod socket_rows;
mod sockets;
mod stored;
mod summary;
mod tell;
mod text;
mod tools;
mod usage;
mod wording;

use self::history::History;
use crate::model::explanation::{Certainty, EXPLAIN_SCHEMA, Explanation, FailedCall, Limit, Os, Reading};
use crate::model::figures::counted;
use crate::remedy::by_limit::for_readings;

pub use arithmetic::Rates;
pub use readings::read_line;
pub use stored::{explain_run, explain_study};
pub use text::TextReader;

/// What the user knows beside the text; flags of `sockbench explain`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Known {
    /// P; the system's default when not given
    pub pool: Option<u32>,
    /// T, seconds; the system's default when not given
    pub hold_s: Option<f64>,
    /// the system the text comes from
    pub os: Option<Os>,
    /// `net.ipv4.tcp_tw_reuse` of this host, where it is Linux: of use where a text is about loopback
    pub tw_reuse: Option<u32>,
    /// rates and length of the run
    pub rates: Rates,
}

/// A text in which no line says that a connection failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NothingKnown {
    /// it says what happened instead: answers with their statuses, a list of sockets that is far from any limit
    #[error("{0}")]
    Answered(String),
    /// it does not say why: failures that are only counted, lines that were too long
    #[error("{0}")]
    Unexplained(String),
    /// no line of it is known
    #[error("no known connection error found")]
    Unknown,
}

/// The explanation of a text that shows this instead of a failed connection.
pub fn answered(answer: String) -> Explanation {
    Explanation { answer: Some(answer), ..finished("text", Vec::new(), 0, &Known::default(), None) }
}

/// What a text says; none when no line of it says anything about connections.
///
/// ```
/// use sockbench::testing::explain::{Known, explain_text};
/// let e = explain_text("OSError(10048, '[WinError 10048] Only one usage of each socket address ...')", &Known::default());
/// assert_eq!(e.expect("known").arithmetic.expect("ports").ceiling_cps.round(), 137.0);
/// ```
pub fn explain_text(text: &str, known: &Known) -> Option<Explanation> {
    let mut reader = TextReader::new(*known);
    reader.feed(text.as_bytes());
    reader.finish().ok()
}

/// What a command printed: its failures and its answers, whichever of them there are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// what each kind of line about a failure says
    pub readings: Vec<Reading>,
    /// answers with another status than 2xx or 3xx
    pub bad_answers: u64,
    /// all answers, where the text counts them
    pub answers: Option<u64>,
    /// whether any request was answered, where the text counts that
    pub answered: Option<bool>,
    /// the status of the bad ones, where all have one
    pub status: Option<u16>,
    /// it has a usage text: how the program is called
    pub usage: bool,
}

impl TextReader {
    /// What the whole text shows, failures or not.
    pub fn heard(self) -> Heard {
        let text = self.ended();
        Heard {
            bad_answers: text.answers.bad,
            answers: text.answers.all(),
            answered: text.answers.any(),
            status: text.answers.status(),
            usage: text.usage.is_shown,
            readings: readings::of(&text).0,
        }
    }

    /// What the whole text says. Errors: no line of it says that a connection failed.
    pub fn finish(self) -> Result<Explanation, NothingKnown> {
        let text = self.ended();
        let (known, other_lines, cut_lines) = (text.known, text.other_lines(), text.cut);
        let (readings, listed) = readings::of(&text);
        if readings.is_empty() {
            let aside = || text.asides.sentence().map(NothingKnown::Answered);
            let listed = || listed.map(|text| NothingKnown::Answered(format!("no known connection error found: {text}")));
            let cut = || {
                let lines = counted(cut_lines, "line");
                let said = format!("no known connection error found: {lines} over 64 KiB, read at the start only");
                (cut_lines > 0).then_some(NothingKnown::Unexplained(said))
            };
            let usage = || {
                let said = "no known connection error found: this is the usage text of a program";
                text.usage.is_shown.then(|| NothingKnown::Unexplained(said.into()))
            };
            let told = text.answers.told().or_else(aside).or_else(listed).or_else(cut).or_else(usage);
            return Err(told.unwrap_or(NothingKnown::Unknown));
        }
        let (bad_answers, bad_status) = (text.answers.bad, text.answers.status());
        Ok(Explanation { cut_lines, bad_answers, bad_status, ..finished("text", readings, other_lines, &known, None) })
    }
}

fn finished(source: &str, readings: Vec<Reading>, other_lines: u64, known: &Known, history: Option<&History>) -> Explanation {
    let os = known.os.or_else(|| readings.iter().find_map(|r| r.os));
    let arithmetic = arithmetic::of_readings(known, os, history, &readings);
    let remedies = for_readings(&readings, arithmetic.as_ref(), os);
    Explanation {
        schema: EXPLAIN_SCHEMA.into(),
        source: source.into(),
        readings,
        other_lines,
        cut_lines: 0,
        bad_answers: 0,
        bad_status: None,
        answer: None,
        arithmetic,
        remedies,
        findings: Vec::new(),
    }
}

/// What `explain` knows, for texts that it does not.
pub const KNOWN_TEXTS: &[&str] = &[
    "system errors by name, number or message: EADDRNOTAVAIL 99, EADDRINUSE 98, EMFILE 24, ECONNREFUSED 111, ETIMEDOUT 110, ...",
    "Windows 10013, 10048, 10055, 10061 and others, by number, name or message, in 13 languages; events 4227, 4231",
    "connections that were reset, closed or timed out without an errno; host names that gave no address",
    "lines and summaries of Locust, k6, JMeter, Gatling, wrk, oha, hey, ab, h2load, vegeta, bombardier, autocannon, siege, tsung, httperf",
    "traces of Python, Go, Java, Node.js, .NET, Rust, Ruby, PHP, Erlang, Elixir, Haskell, Swift; strace",
    "logs of nginx, HAProxy, Envoy; dmesg, netstat -s, nstat; lists of ss -tan and netstat -an",
    "Locust's PREFIX_failures.csv (with PREFIX_stats_history.csv beside it), _exceptions.csv, _stats.csv; a sockbench run.json or study.json",
];

/// Whether P/T has to do with it: ports are the limit, or may be where the text leaves it open.
fn may_be_ports(r: &Reading) -> bool {
    let open = r.certainty == Certainty::Ambiguous;
    r.limit == Limit::LocalPorts || open && r.alternatives.iter().any(|a| a.limit == Limit::LocalPorts)
}

/// Whether a reading leaves something to distinguish.
pub fn is_open(reading: &Reading) -> bool {
    reading.certainty != Certainty::Certain || (reading.call == FailedCall::Unnamed && reading.limit == Limit::Hidden)
}
